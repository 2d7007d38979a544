"""The weights of what is imported: one finite number for each term."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from symir.errors import DefinitionError
from symir.language.scalars import as_number, items_of, plain_numbers, shortened

Weights = npt.NDArray[np.complex128]


def as_weights(weights: object, count: int, what: str) -> Weights:
    """Return the weights of `count` terms, shape (count,); None is 1 for each.

    One number stands for all.

    Raises:
        DefinitionError: unless there is one finite number for each (N002).
    """
    if weights is None:
        return np.ones(count, np.complex128)
    items = items_of(weights)
    entries: list[Any] = [weights] * count if items is None else list(items)
    if len(entries) != count:
        raise DefinitionError(
            "N002",
            f"there is not one weight for each of the {what}",
            expected=f"{count} numbers",
            found=f"{len(entries)} numbers",
        )
    plain = plain_numbers(entries)
    if plain is not None:
        return plain.astype(np.complex128)
    return np.array([_weight(k, entry, what) for k, entry in enumerate(entries)])


def _weight(position: int, entry: object, what: str) -> complex:
    found = f"weight {position}: {shortened(entry)}"
    try:
        number = as_number(entry)
        value = None if number is None else complex(number)
    except (DefinitionError, OverflowError):
        value = None
    if value is not None:
        return value
    raise DefinitionError(
        "N002",
        f"a weight of the {what} is no finite number",
        expected="a real or complex number",
        found=found,
    )


def is_real(weights: Weights) -> bool:
    """Whether no weight has an imaginary part."""
    return not weights.imag.any()


def dtype_of(weights: Weights, dtype: npt.DTypeLike | None) -> npt.DTypeLike | None:
    """Return the dtype asked for; by default the narrowest that holds the weights.

    That is None, the builder's own choice, where all of them are real. Its precision is
    open.
    """
    return complex if dtype is None and not is_real(weights) else dtype
