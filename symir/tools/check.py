"""`symir check`: whether every pass keeps its word, with a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.operator import SymbolicOperator
from symir.tools.run import parameter_values
from symir.tools.samples import read_samples
from symir.validation.certificate import replay
from symir.validation.check import ValidationReport, check

__all__ = ["checked", "looked_at", "replayed"]


def checked(
    operator: SymbolicOperator,
    given: Mapping[str, complex],
    *,
    inputs: Path | None,
    **options: Any,
) -> ValidationReport:
    """Check an operator on the configurations of a file, or on some or all.

    Raises:
        InputError: for configurations and parameters that do not fit (T008 to T018),
            and a space that is too large (V011).
    """
    return check(operator, **looked_at(operator, given, inputs), **options)


def looked_at(
    operator: SymbolicOperator, given: Mapping[str, complex], inputs: Path | None
) -> dict[str, Any]:
    """Return the configurations of a file, if any, and the values of parameters.

    Raises:
        InputError: for configurations and parameters that do not fit (T008 to T018).
    """
    x: npt.NDArray[Any] | None = None
    if inputs is not None:
        samples = read_samples(inputs, operator.space, None)
        x = np.concatenate([*samples.blocks(1 << 16)])
    values = parameter_values(operator, given) if given else None
    return {"x": x, "parameters": values}


def replayed(path: Path) -> tuple[str, bool]:
    """Do a certificate again; return what is to be said, and whether it holds.

    Raises:
        InputError: for a file that is no certificate (V013).
    """
    found = replay(path)
    return str(found), found.ok
