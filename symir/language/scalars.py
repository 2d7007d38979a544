"""Forms in which users may pass numbers, dtypes and names."""

from __future__ import annotations

import cmath
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from dialects.stablehlo import dtype_of
from dialects.sym import ELEMENT_TYPES
from symir.language.codes import Mistake

Number: TypeAlias = int | float | complex | Fraction


class ScalarArray(Protocol):
    """A 0-d array or scalar of NumPy or JAX."""

    @property
    def ndim(self) -> int: ...

    def item(self) -> Any: ...


NumberLike: TypeAlias = int | float | complex | Fraction | ScalarArray

DTYPES = tuple(dtype_of(element).name for element in ELEMENT_TYPES)
"""The names of the dtypes that operators can have."""


def shortened(value: object, limit: int = 80) -> str:
    """Return the repr of a value, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def is_bool(value: object) -> bool:
    """Whether a value is a boolean of Python or NumPy."""
    return isinstance(value, bool | np.bool_)


def is_count(value: object, least: int = 0) -> bool:
    """Whether a value is an integer of Python or NumPy, of at least so much."""
    if is_bool(value) or not isinstance(value, int | np.integer):
        return False
    return int(cast(int, value)) >= least


def items_of(value: object) -> Iterable[Any] | None:
    """Return what can be walked through as a list, None for anything else.

    Texts and dictionaries are none; neither are arrays without axes.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return None
    items = cast(Iterable[Any], value)
    return None if getattr(items, "ndim", 1) == 0 else items


def as_number(value: object) -> Number | None:
    """Return a finite Python number, or None where the value is no number.

    Booleans are no numbers. Scalars and 0-d arrays of NumPy and JAX are.

    Raises:
        DefinitionError: when the number is not finite in double precision (D013).
    """
    number = _python_number(value)
    if number is None or _is_finite(number):
        return number
    raise Mistake.NOT_FINITE.error(
        "a constant is not finite",
        expected="a finite number",
        found=shortened(value),
    )


def _python_number(value: object) -> Number | None:
    if is_bool(value):
        return None
    if isinstance(value, int | float | complex | Fraction):
        return _plain(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return _item(cast(ScalarArray, value))
    return None


def _plain(value: Number) -> Number:
    # Subclasses (np.float64 is a float) become what they stand for.
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return complex(value) if isinstance(value, complex) else value


def _item(value: ScalarArray) -> Number | None:
    try:
        item = value.item()
    except TypeError:  # a value that JAX is tracing has none
        return None
    if getattr(item, "ndim", None) == 0:  # NumPy's long double is its own item
        return float(item)
    return _python_number(item)


def _is_finite(number: Number) -> bool:
    try:
        return cmath.isfinite(complex(number))
    except OverflowError:
        return False


def plain_numbers(entries: list[Any]) -> npt.NDArray[Any] | None:
    """Return finite numbers that NumPy may convert at once without hiding a mistake."""
    kinds = set(map(type, entries))
    if not kinds <= {int, float, complex, np.float64, np.complex128}:
        return None
    is_complex = not kinds.isdisjoint({complex, np.complex128})
    try:
        array = np.array(entries, np.complex128 if is_complex else np.float64)
    except OverflowError:
        return None
    return array if np.isfinite(array).all() else None


def fits(number: Number, dtype: np.dtype[Any]) -> bool:
    """Whether a finite number stays finite in a floating or complex dtype."""
    value, largest = complex(number), float(np.finfo(dtype).max)
    return abs(value.real) <= largest and abs(value.imag) <= largest


def as_dtype(dtype: npt.DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype of an operator, in native byte order.

    Names, NumPy's and JAX's dtypes, `float` and `complex` will do.

    Raises:
        DefinitionError: for anything but the four floating and complex dtypes (D025).
    """
    name = _dtype_name(dtype)
    if name in DTYPES:
        return np.dtype(name)
    raise Mistake.UNKNOWN_DTYPE.error(
        "this is no dtype for an operator",
        expected=" or ".join((", ".join(DTYPES[:-1]), DTYPES[-1])),
        found=shortened(dtype),
    )


def is_open(dtype: npt.DTypeLike | None) -> bool:
    """Whether a dtype says the kind of numbers, and leaves their precision open."""
    if isinstance(dtype, str):
        return dtype in ("float", "complex")
    # No comparison by value: to NumPy float64 equals `float`
    return dtype is None or dtype is float or dtype is complex


def _dtype_name(dtype: npt.DTypeLike | None) -> str | None:
    if dtype is None:  # double precision to NumPy
        return None
    # JAX's scalar types are no types, but hold the dtype they stand for.
    held = getattr(dtype, "dtype", None)
    try:
        return np.dtype(held if isinstance(held, np.dtype) else dtype).name
    except (TypeError, ValueError):
        return None


def as_name(value: object, what: str) -> str:
    """Return a name; `what` says whose it is.

    Raises:
        DefinitionError: for anything but a printable, non-empty string (D019).
    """
    if isinstance(value, str) and value.strip() and value.isprintable():
        return str(value)
    raise Mistake.NOT_A_NAME.error(
        f"this cannot be {what}",
        expected="a printable, non-empty string",
        found=shortened(value),
    )
