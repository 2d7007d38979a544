"""Where a scalar program can change its course: the points at which to look at it.

Two programs that agree at some points can differ between them: beyond a threshold, in a
narrow window, at one number. But a program does nothing without a reason. What it
computes changes its course only where one of its values goes through 0 or becomes as
large as 1, where two of them are equal, or as large as each other, where a comparison
changes, or where a value has an extremum. All of these are searched for, for every
value, and again on the points that were found, since an extremum or a crossing can hide
in a window until its ends are known. Around each the distances of points are powers of
two: whatever scale a feature has there, some of them are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

__all__ = ["base_line", "quantities_of", "refined"]

Array = npt.NDArray[Any]
Values = Mapping[SSAValue, Array]
Trace = Callable[[Array], Values]
"""All values of a program at some points."""

ROUNDS = 3
SECTIONS = 16
MIN_POINTS = 1024
"""Points that are traced at once: few intervals are cut into more sections."""

MAX_BRACKETS = 48
"""Of one quantity: the widest. Between points that are close it is rounding."""

PROMINENCE = 1e-6
"""An extremum that is less than that above its neighbours is rounding."""


@dataclass(frozen=True)
class Quantity:
    """A number that says something where its sign changes, or has an extremum.

    Attributes:
        of: what it is, of all values.
        has_extrema: whether its extrema count, and not its sign.
    """

    of: Callable[[Values], Array]
    has_extrema: bool = False


# region Floats in order


def _integers(line: Array) -> Array:
    """Return the numbers of floats, in order: 0 is 0, the next one is 1."""
    kind = np.int64 if line.dtype.itemsize == 8 else np.int32
    bits = line.view(kind)
    return np.where(bits < 0, np.iinfo(kind).min - bits, bits).astype(np.int64)


def _floats(numbers: Array, dtype: np.dtype[Any]) -> Array:
    kind = np.int64 if dtype.itemsize == 8 else np.int32
    small = numbers.astype(kind)
    bits = np.where(small < 0, np.iinfo(kind).min - small, small).astype(kind)
    return bits.view(dtype)


def base_line(dtype: np.dtype[Any]) -> Array:
    """Return points from the one end of a real dtype to the other, in order.

    Those of 16 bits are all there are. Besides round numbers there are some with a full
    mantissa, at irrational distances: what rounds, or repeats, is seen there.
    """
    if dtype.itemsize < 4:
        every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
        line = every[np.isfinite(every.astype(np.float32))]
    else:
        info = np.finfo(dtype)
        scales = 2.0 ** np.concatenate(
            [np.arange(info.minexp + 2, -40, 8), np.arange(-40, info.maxexp - 3, 1.0)]
        )
        turns = np.modf(np.arange(1, 200) * ((1 + 5**0.5) / 2))[0]
        uneven = 24 * turns - 12
        scattered = 1.7 * scales * (1 + turns[np.arange(len(scales)) % 199])
        line = np.concatenate(
            [[0.0, float(info.smallest_subnormal)], scales, scattered]
        )
        line = np.concatenate(
            [line, -line, uneven, np.linspace(-12, 12, 97), np.linspace(-90, 90, 61)]
        )
        line = line[np.abs(line) < float(info.max) / 8].astype(dtype)
    return line[np.unique(line.astype(np.float64), return_index=True)[1]]


# endregion
# region What to look for


def quantities_of(
    root: SSAValue, values: Sequence[SSAValue], dtypes: Callable[[SSAValue], Any]
) -> list[Quantity]:
    """Return what changes its sign, or has an extremum, where a program can turn.

    The program computes `values` from the root.
    """
    found: list[Quantity] = []
    for value in (root, *values):
        kind = dtypes(value).kind
        if kind in "biu":
            found.append(Quantity(_number(value)))
        for part in (np.real, np.imag)[: {"c": 2, "f": 1}.get(kind, 0)]:
            found += _of_one(value, part)
        op = value.owner
        if value is not root and isinstance(op, Operation):
            found += _of_operands(op, dtypes)
    return found


def _number(value: SSAValue) -> Callable[[Values], Array]:
    return lambda values: values[value].astype(np.float64)


def _of_one(value: SSAValue, part: Callable[[Any], Any]) -> list[Quantity]:
    def own(values: Values) -> Array:
        return cast(Array, part(values[value]))

    def to_one(values: Values) -> Array:
        return np.abs(own(values)) - 1

    return [Quantity(own), Quantity(to_one), Quantity(own, has_extrema=True)]


def _of_operands(op: Operation, dtypes: Callable[[SSAValue], Any]) -> list[Quantity]:
    """Return the differences of what an op compares, or adds."""
    operands = [one for one in op.operands if dtypes(one).kind in "iuf"]
    pairs = list(pairwise(operands))
    if isinstance(op, hlo.CompareOp | hlo.MaximumOp | hlo.MinimumOp | hlo.ClampOp):
        return [Quantity(_difference(*pair, _same)) for pair in pairs]
    if isinstance(op, hlo.AddOp | hlo.SubtractOp | hlo.DivideOp):
        return [Quantity(_difference(*pair, np.abs)) for pair in pairs]
    return []


def _same(value: Array) -> Array:
    return value


def _difference(lhs: SSAValue, rhs: SSAValue, of: Callable[[Array], Array]):
    def own(values: Values) -> Array:
        return of(values[lhs].astype(np.float64)) - of(values[rhs].astype(np.float64))

    return own


def _states(numbers: Array) -> Array:
    """Return signs; infinities and what is not a number have states of their own."""
    states = np.sign(numbers)
    if np.isfinite(numbers).all():
        return states
    states = np.where(np.isinf(numbers), 3 * states, states)
    return np.where(np.isnan(numbers), 5, states)


# endregion
# region Search


@dataclass(frozen=True)
class _Brackets:
    """Intervals in which quantities have a crossing or an extremum, as integers.

    `groups` are pairs of a quantity and the rows of its intervals, (T,) in all.
    """

    low: Array
    high: Array
    groups: list[tuple[Quantity, slice]]


def refined(
    line: Array, trace: Trace, quantities: Sequence[Quantity]
) -> tuple[Array, Array]:
    """Return the points of a line and more next to places where something changes.

    And these places, with those in the middle between them.
    """
    if line.dtype.itemsize < 4:
        return line, line  # all there are
    numbers = _integers(line)
    known = np.zeros(0, np.int64)
    for _ in range(ROUNDS):
        with np.errstate(all="ignore"):
            brackets = _brackets(
                numbers, trace(_floats(numbers, line.dtype)), quantities
            )
            places = _searched(brackets, trace, line.dtype)
        new = np.setdiff1d(places, known)
        if not new.size:
            break
        known = np.union1d(known, new)
        numbers = np.union1d(numbers, _around(new, known, line.dtype))
    places = np.union1d(known, _between(known))
    return _floats(numbers, line.dtype), _floats(places, line.dtype)


def _between(places: Array) -> Array:
    return places[:-1] + (places[1:] - places[:-1]) // 2


def _around(new: Array, known: Array, dtype: np.dtype[Any]) -> Array:
    """Return points at distances of powers of two, and between neighbouring places.

    Known places that are neighbours share them: those below the first, above the last.
    """
    distances = 1 << np.arange(0, 8 * dtype.itemsize - 10, 2, dtype=np.int64)
    apart = np.diff(known) > 2
    is_new = np.isin(known, new, assume_unique=True)
    first = known[is_new & np.concatenate([[True], apart])]
    last = known[is_new & np.concatenate([apart, [True]])]
    below, above = first[:, None] - distances, last[:, None] + distances
    found = np.concatenate([new, below.reshape(-1), above.reshape(-1), _between(known)])
    largest = _integers(np.array([np.finfo(dtype).max / 8], dtype))[0]
    return found[np.abs(found) <= largest]


def _brackets(
    numbers: Array, values: Values, quantities: Sequence[Quantity]
) -> _Brackets:
    lows: list[Array] = []
    highs: list[Array] = []
    groups: list[tuple[Quantity, slice]] = []
    start = 0
    for one in quantities:
        own = np.broadcast_to(one.of(values), numbers.shape)
        low, high = (_peaks if one.has_extrema else _crossings)(numbers, own)
        far = high - low > 2
        low, high = low[far], high[far]
        if not low.size:
            continue
        widest = np.argsort(low - high, kind="stable")[:MAX_BRACKETS]
        low, high = low[widest], high[widest]
        lows.append(low)
        highs.append(high)
        groups.append((one, slice(start, start + low.size)))
        start += low.size
    empty = np.zeros(0, np.int64)
    return _Brackets(
        np.concatenate([empty, *lows]), np.concatenate([empty, *highs]), groups
    )


def _crossings(numbers: Array, own: Array) -> tuple[Array, Array]:
    states = _states(own)
    at = np.nonzero(states[1:] != states[:-1])[0]
    return numbers[at], numbers[at + 1]


def _peaks(numbers: Array, own: Array) -> tuple[Array, Array]:
    left, middle, right = own[:-2], own[1:-1], own[2:]
    margin = PROMINENCE * np.abs(middle)
    above = (middle - left > margin) & (middle - right > margin)
    below = (left - middle > margin) & (right - middle > margin)
    at = np.nonzero(above | below)[0]
    return numbers[at], numbers[at + 2]


def _searched(brackets: _Brackets, trace: Trace, dtype: np.dtype[Any]) -> Array:
    """Return the integers where quantities change: both sides of each place."""
    low, high = brackets.low, brackets.high
    if not low.size:
        return low
    sections = max(SECTIONS, MIN_POINTS // low.size)
    fractions = np.arange(sections + 1)
    for _ in range(dtype.itemsize * 2):
        step = (high - low) // sections
        grid = np.minimum(low[:, None] + step[:, None] * fractions, high[:, None])
        small = step == 0
        grid[small] = np.minimum(low[small, None] + fractions, high[small, None])
        grid[:, -1] = high
        values = trace(_floats(grid.reshape(-1), dtype))
        next_low, next_high = low.copy(), high.copy()
        for quantity, rows in brackets.groups:
            own = np.broadcast_to(quantity.of(values), (grid.size,))
            own = own.reshape(grid.shape)[rows]
            narrowed = _turn if quantity.has_extrema else _change
            next_low[rows], next_high[rows] = narrowed(grid[rows], own)
        if ((next_high - next_low) == (high - low)).all():
            break
        low, high = next_low, next_high
    return np.unique(np.concatenate([low, high]))


def _change(grid: Array, own: Array) -> tuple[Array, Array]:
    states = _states(own)
    at = np.argmax(states != states[:, :1], axis=1)
    at = np.maximum(at, 1)
    rows = np.arange(len(grid))
    return grid[rows, at - 1], grid[rows, at]


def _turn(grid: Array, own: Array) -> tuple[Array, Array]:
    # Of a short interval the last columns are all its end
    half = grid[:, 0] + (grid[:, -1] - grid[:, 0]) // 2
    rows = np.arange(len(grid))
    middle = own[rows, np.abs(grid - half[:, None]).argmin(axis=1)]
    rises = middle >= (own[:, 0] + own[:, -1]) / 2
    finite: Array = np.nan_to_num(own)
    signed = np.where(rises[:, None], finite, -finite)
    extremum = np.argmax(signed, axis=1)
    last = grid.shape[1] - 1
    return (
        grid[rows, np.maximum(extremum - 1, 0)],
        grid[rows, np.minimum(extremum + 1, last)],
    )


# endregion
