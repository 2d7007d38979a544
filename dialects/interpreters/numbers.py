"""Kinds of numbers that the interpreters of all levels compute with.

An interpreter is written once, over arrays. What is in them is a `Numbers`: floats, the
reference, unless `interpret_with` says another, such as the fractions of
`dialects.interpreters.exact`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.interpreter import Interpreter, InterpreterFunctions
from xdsl.ir import Operation
from xdsl.utils.exceptions import InterpretationError

from dialects.tables import NO_SITE, LocalSpace

Array = npt.NDArray[Any]
Reference = Callable[..., Any]
"""The elementwise function of an op in floats, of the op and its arguments."""


class Numbers:
    """Floats: NumPy's own arrays, of the dtype that a type says.

    A subclass is another kind of numbers, in other arrays. Those of known integers and
    predicates are NumPy's in every kind.
    """

    refused = "cOSUMm"
    """The kinds of dtypes that configurations cannot have."""

    listeners: tuple[Interpreter.Listener, ...] = ()
    """Listeners that an interpreter of such numbers needs."""

    def dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of arrays that hold numbers of a dtype."""
        return dtype

    def taken(
        self, values: npt.ArrayLike, dtype: np.dtype[Any], op: Operation | None = None
    ) -> Any:
        """Return values as numbers of a dtype, in an array that holds them."""
        given = np.asarray(values)
        with np.errstate(all="ignore"):
            return given if given.dtype == dtype else converted(given, dtype)

    def given(self, values: Array, op: Operation | None = None) -> Any:
        """Return the numbers of an array that the IR holds, such as a constant."""
        return values

    def items(self, values: Any, key: tuple[Any, ...]) -> Any:
        """Return some elements of an array, by one array of places for each axis."""
        return values[key]

    def replaced(self, values: Any, key: Any, new: Any) -> Any:
        """Return an array with other elements at some places."""
        result = np.array(values)
        result[key] = new
        return result

    def write(self, config: Any, site: Any, value: Any, where: Any) -> None:
        """Write values to sites, (..), of configurations, (.., N), where meant."""
        meant = np.nonzero(where)
        config[(*meant, site[meant])] = value[meant]

    def entry(self, number: Any, count: int) -> tuple[Any, Any]:
        """Return an integer, -1 unless it is one of 0 .. count - 1, and whether so."""
        with np.errstate(all="ignore"):
            whole = np.real(number)
            found = (number == np.floor(whole)) & (0 <= whole) & (whole < count)
        return np.where(found, whole, -1).astype(np.int64), found

    def is_whole(self, number: Any) -> Any:
        """Return where numbers are integers."""
        return number == np.floor(number)

    def place(
        self, space: LocalSpace, real: np.dtype[Any], value: Any, site: Any
    ) -> tuple[Any, Any]:
        """Return the place of a value among the allowed of a site, and if it has one.

        There is none where there is no site.
        """
        value, site = np.broadcast_arrays(value, site)
        place, found = np.zeros(value.shape, np.int64), np.zeros(value.shape, bool)
        kinds, number = space.kinds
        for kind, allowed in enumerate(kinds):
            own = (site != NO_SITE) & (number[site] == kind)
            equal = value[own][..., None] == self.taken(allowed, real)
            place[own], found[own] = equal.argmax(axis=-1), equal.any(axis=-1)
        return place, found

    def value_at(
        self, space: LocalSpace, real: np.dtype[Any], place: Any, site: Any
    ) -> Any:
        """Return the allowed value at a place, which is taken modulo their number.

        Anything where that place is too large to be counted, or there is no site.
        """
        place, site = np.broadcast_arrays(place, site)
        with np.errstate(all="ignore"):
            countable = np.where(np.abs(place) < 2.0**62, place, 0)
            # The floor of a single fraction is an int, no array
            below = np.asarray(np.floor(countable)).astype(np.int64)
        result = np.zeros(place.shape, self.dtype(real))
        kinds, number = space.kinds
        for kind, allowed in enumerate(kinds):
            own = (site != NO_SITE) & (number[site] == kind)
            values = self.taken(allowed, real)
            result[own] = values[below[own] % len(allowed)]
        return result

    def is_inside(
        self, space: LocalSpace, real: np.dtype[Any], config: Any, source: Any
    ) -> Any:
        """Return whether each site of x' has an allowed value, or that of x."""
        # A site as it was is not this operator's doing, whatever its value.
        inside = config == source
        kinds, number = space.kinds
        for kind, allowed in enumerate(kinds):
            own = number == kind
            inside[:, own] |= np.isin(config[:, own], self.taken(allowed, real))
        return inside.all(axis=-1)

    def conserves(self, space: LocalSpace, config: Any, source: Any, asked: Any) -> Any:
        """Return whether every conserved sum is that of x, where asked: exactly."""
        result = np.ones(len(config), bool)
        if not space.sums:
            return result
        points, sites = np.nonzero((config != source) & asked[:, None])
        changed = config[points, sites], source[points, sites]
        values, places = np.unique(np.concatenate(changed), return_inverse=True)
        new, old = np.split(_in_units(values)[places], 2)
        for conserved in space.sums:
            weights = _in_units(np.asarray(conserved.weights))
            total = np.zeros(len(config), object)
            np.add.at(total, points, weights[sites] * (new - old))
            result &= total == 0
        return result

    def compacted(
        self, valid: Any, lanes: int, parts: Sequence[Any]
    ) -> tuple[Any, list[Any], Any]:
        """Return the first lanes of which valid ones come first, in their order.

        Their validity, (B, lanes), their parts, and where there are more valid ones.
        """
        # A stable sort by "not valid" keeps the order of the valid ones.
        order = np.argsort(~valid, axis=1, kind="stable")[:, :lanes]
        each = np.arange(len(order))[:, None]
        kept = [part[each, order] for part in parts]
        return valid[each, order], kept, valid.sum(axis=1) > lanes

    def computed(self, reference: Reference, op: Operation, args: Any) -> Any:
        """Return the result of an elementwise op of StableHLO."""
        return reference(op, *args)


def converted(value: Array, dtype: np.dtype[Any]) -> Array:
    """Convert as XLA does: truncate, saturate, wrap; NaN becomes the integer 0."""
    if value.dtype.kind == "c" and dtype.kind != "c":
        value = np.real(value)
    if dtype.kind == "b":
        return value != 0
    if value.dtype.kind != "f" or dtype.kind not in "iu":
        return value.astype(dtype)
    limits = np.iinfo(dtype)
    # Exact for floats of all widths, unlike the limits in the float's own type.
    wide = np.trunc(value.astype(np.float64))
    above, below = wide >= 2.0 ** int(limits.max).bit_length(), wide < limits.min
    inside = np.where(above | below | np.isnan(wide), 0, wide).astype(dtype)
    saturated = np.where(above, np.asarray(limits.max, dtype), inside)
    return np.where(below, np.asarray(limits.min, dtype), saturated)


def _in_units(numbers: Array) -> Array:
    """Return numbers as integers of any size, in units of one fraction of 1."""
    exact = [Fraction(number) for number in numbers.tolist()]
    unit = math.lcm(*(number.denominator for number in exact))
    return np.array([int(number * unit) for number in exact], object)


def as_array(values: Any) -> Any:
    """Return values as an array: NumPy's, or that of another kind of numbers."""
    return values if hasattr(values, "__array_function__") else np.asarray(values)


def known(op: Operation, value: Any) -> Array:
    """Return the value that decides what an op does: an array of NumPy."""
    if isinstance(value, np.ndarray | np.generic):
        return cast(Array, value)
    raise InterpretationError(f"{op.name} by a value that is not known")


FLOATS = Numbers()


def interpret_with(interpreter: Interpreter, numbers: Numbers) -> Interpreter:
    """Let an interpreter compute with another kind of numbers; return it."""
    interpreter.set_data(InterpreterFunctions, "numbers", numbers)
    interpreter.listeners = (*interpreter.listeners, *numbers.listeners)
    return interpreter


def numbers_of(interpreter: Interpreter) -> Numbers:
    """Return the kind of numbers of an interpreter."""
    return interpreter.get_data(InterpreterFunctions, "numbers", lambda: FLOATS)
