"""The `sym` level with sets of numbers: what an amplitude can be, over a whole space.

A number is a few intervals that its value is one of, for each row of a term; a local
value of x is any of the allowed ones. Ends are rounded outwards, in the precision of
the operation, so that the exact number and the one that is computed in floats both lie
between them. A predicate may hold, may fail, or both. Which values occur together is
forgotten, but for two operands that are one SSA value: bounds are sound, not tight.

NaN lies in no interval. It is followed all the same, since a comparison with it fails.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ComplexType, ModuleOp, TensorType, UnitAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import dtype_of, element_of, to_numpy
from dialects.tables import NO_SITE, LocalSpace, largest_place

__all__ = ["Bounds", "ComplexNumbers", "Ranges", "amplitude_bounds"]

Array = npt.NDArray[Any]
DType = np.dtype[Any]
Ranges: TypeAlias = Mapping[str, "float | tuple[float, float]"]

MAX_SET = 16
"""So many intervals are kept apart; more are joined to one."""

MAX_NUMBERS = 2**20
"""So many ends of intervals are looked at together, about."""

MAX_CASES = 64
"""The values of reads are told apart by a predicate if these are not more."""

SLOPPY = 8
"""How many steps functions that are not rounded correctly may be off."""


class Bounds(NamedTuple):
    """What the matrix elements of one emission can be.

    Attributes:
        low: at most every matrix element of a valid branch, unless that is NaN.
        high: at least every one of them. Both are 0 where no branch is ever valid.
        valid: True where the branch is valid at every row and configuration of the
            space, False where it is at none, None where it depends, or is not known.
    """

    low: float
    high: float
    valid: bool | None


class ComplexNumbers(TypeError):
    """An op computes with complex numbers, which have no bounds.

    Attributes:
        op: that op, or the operator.
    """

    def __init__(self, op: Operation):
        self.op = op
        super().__init__(f"'{op.name}' computes with complex numbers")


# region Values


@dataclass(frozen=True)
class Range:
    """A number in one of a few intervals; the first axis is that of rows, or 1.

    Attributes:
        low: the ends below, (rows, intervals).
        high: the ends above.
        nan: whether it may be NaN instead, (rows,).
        unsure: whether it may be undefined, (rows,).
    """

    low: Array
    high: Array
    nan: Array
    unsure: Array

    def hull(self) -> Range:
        """Return the number in one interval."""
        low, high = self.low.min(1, keepdims=True), self.high.max(1, keepdims=True)
        return replace(self, low=low, high=high)


@dataclass(frozen=True)
class Truth:
    """A predicate: whether it may hold, may fail, and may be undefined; all (rows,)."""

    holds: Array
    fails: Array
    unsure: Array


@dataclass(frozen=True)
class Places:
    """A site: one of `sites` that is `possible`, both (rows, candidates)."""

    sites: Array
    possible: Array
    unsure: Array


@dataclass(frozen=True)
class Configuration:
    """A `Range` for each site: ends (rows, sites, intervals), NaNs (rows, sites)."""

    low: Array
    high: Array
    nan: Array
    unsure: Array


_NO = np.zeros(1, bool)
_YES = np.ones(1, bool)


def _points(values: npt.ArrayLike) -> Range:
    """Return numbers that are known: (rows, intervals)."""
    given = np.asarray(values, np.float64)
    nan = np.isnan(given)
    clean = np.where(nan, 0.0, given)
    return Range(clean, clean, np.any(nan, axis=1), np.zeros(len(given), bool))


def _anything(dtype: DType) -> Range:
    """Return a number of which nothing is known but its type."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        ends = float(limits.min), float(limits.max)
    else:
        ends = -math.inf, math.inf
    low, high = (np.full((1, 1), end) for end in ends)
    return Range(low, high, np.full(1, dtype.kind == "f"), _NO)


def _few(value: Range) -> Range:
    """Return the same number in at most `MAX_SET` intervals."""
    count = value.low.shape[1]
    if count <= MAX_SET:
        return value
    order = np.lexsort((value.high, value.low), axis=1)
    low = np.take_along_axis(value.low, order, 1)
    high = np.take_along_axis(value.high, order, 1)
    new = (low[:, 1:] != low[:, :-1]) | (high[:, 1:] != high[:, :-1])
    place = np.concatenate([np.zeros((len(low), 1), int), np.cumsum(new, 1)], axis=1)
    distinct = int(place.max()) + 1
    if distinct > MAX_SET:
        return value.hull()
    kept_low, kept_high = (
        np.repeat(ends[:, -1:], distinct, axis=1) for ends in (low, high)
    )
    np.put_along_axis(kept_low, place, low, 1)
    np.put_along_axis(kept_high, place, high, 1)
    return replace(value, low=kept_low, high=kept_high)


def _wider(ends: Array, count: int) -> Array:
    """Repeat the last interval until there are so many."""
    missing = count - ends.shape[-1]
    return np.concatenate([ends, *[ends[..., -1:]] * missing], axis=-1)


def _chosen(predicate: Truth, on_true: Range, on_false: Range) -> Range:
    """Return a number that is one of two, by a predicate."""
    count = max(on_true.low.shape[1], on_false.low.shape[1])
    holds, fails = np.broadcast_arrays(predicate.holds, predicate.fails)
    holds, fails = holds[:, None], fails[:, None]

    def either(true: Array, false: Array) -> Array:
        true, false = _wider(true, count), _wider(false, count)
        first = np.where(holds, true, false)
        return np.concatenate([first, np.where(fails, false, true)], axis=1)

    return _few(
        Range(
            either(on_true.low, on_false.low),
            either(on_true.high, on_false.high),
            (predicate.holds & on_true.nan) | (predicate.fails & on_false.nan),
            predicate.unsure | on_true.unsure | on_false.unsure,
        )
    )


# endregion
# region Rounding


def _down(values: Array, exact: Array | bool, dtype: DType, steps: int = 1) -> Array:
    """Round down, by steps of a dtype, what is not exact."""
    return -_up(-values, exact, dtype, steps)


def _up(values: Array, exact: Array | bool, dtype: DType, steps: int = 1) -> Array:
    if dtype.kind != "f":
        return values
    with np.errstate(all="ignore"):
        narrow = values.astype(dtype)
        kept = exact & (narrow == values)
        for _ in range(steps):
            narrow = np.nextafter(narrow, dtype.type(np.inf))
    return np.where(kept, values, narrow.astype(np.float64))


def _is_exact_sum(lhs: Array, rhs: Array, total: Array) -> Array:
    """Whether a sum is not rounded (Knuth's two-sum has no error term)."""
    part = total - lhs
    error = (lhs - (total - part)) + (rhs - part)
    return (error == 0) & np.isfinite(total)


def _halves(value: Array) -> tuple[Array, Array]:
    """Split numbers into two of half the bits (Veltkamp)."""
    scaled = value * 134217729.0
    upper = scaled - (scaled - value)
    return upper, value - upper


def _is_exact_product(lhs: Array, rhs: Array, product: Array) -> Array:
    """Whether a product is not rounded (Dekker's product has no error term)."""
    (a, b), (c, d) = _halves(lhs), _halves(rhs)
    error = b * d - (((product - a * c) - b * c) - a * d)
    size = np.abs(product)
    in_range = (size > 1e-250) & (size < 1e250)
    in_range &= (np.abs(lhs) < 1e250) & (np.abs(rhs) < 1e250)
    return (
        (in_range & (error == 0))
        | (lhs == 0) & np.isfinite(rhs)
        | (rhs == 0) & (np.isfinite(lhs))
    )


Corner: TypeAlias = Callable[[Array, Array], tuple[Array, "Array | bool"]]
"""A function of numbers, and whether its value is exact."""


def _product(lhs: Array, rhs: Array) -> tuple[Array, Array]:
    product = lhs * rhs
    return product, _is_exact_product(lhs, rhs, product)


def _quotient(lhs: Array, rhs: Array) -> tuple[Array, Array]:
    quotient = lhs / rhs
    back, exact = _product(quotient, rhs)
    return quotient, exact & (back == lhs)


def _power(base: Array, exponent: Array) -> tuple[Array, Array]:
    # Libraries differ in the last bits of all but the plainest powers
    is_count = (exponent >= 0) & (exponent == np.floor(exponent))
    is_unit = (base == 0) | (np.abs(base) == 1)
    exact = (is_unit & is_count) | (exponent == 0) | (exponent == 1)
    return np.power(base, exponent), exact


# endregion
# region Ops


class _Kind(NamedTuple):
    """What a rule knows of its op.

    Attributes:
        dtype: that of the result.
        operand: that of the first operand.
        together: whether it has one SSA value twice, so that two operands are equal.
    """

    dtype: DType
    operand: DType
    together: bool = False

    @classmethod
    def of(cls, op: Operation) -> _Kind:
        result, *others = (dtype_of(element_of(v)) for v in (*op.results, *op.operands))
        operands = list(op.operands)
        together = len(operands) == 2 and operands[0] is operands[1]
        return cls(result, others[0] if others else result, together)

    @classmethod
    def from_type(cls, value: SSAValue) -> _Kind:
        """Return that of an op on numbers with the type of a value."""
        dtype = dtype_of(element_of(value))
        return cls(dtype, dtype)


class _Operands(NamedTuple):
    """The intervals of two operands, pair by pair."""

    a: Array
    b: Array
    c: Array
    d: Array
    nan: Array
    unsure: Array


def _pairs(kind: _Kind, lhs: Range, rhs: Range) -> _Operands:
    nan, unsure = lhs.nan | rhs.nan, lhs.unsure | rhs.unsure
    if kind.together:
        return _Operands(lhs.low, lhs.high, rhs.low, rhs.high, nan, unsure)
    shape = np.broadcast_shapes(lhs.low[:, :, None].shape, rhs.low[:, None, :].shape)
    left = [np.broadcast_to(ends[:, :, None], shape) for ends in (lhs.low, lhs.high)]
    right = [np.broadcast_to(ends[:, None, :], shape) for ends in (rhs.low, rhs.high)]
    a, b, c, d = (ends.reshape(shape[0], -1) for ends in (*left, *right))
    return _Operands(a, b, c, d, nan, unsure)


def _finished(
    dtype: DType, low: Array, high: Array, nan: Array, unsure: Array
) -> Range:
    """Return a result; an integer that may wrap can be any of its type."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        most = min(float(limits.max), 2.0**53)
        outside = (low < max(float(limits.min), -most)) | (high > most)
        low = np.where(outside, float(limits.min), low)
        high = np.where(outside, float(limits.max), high)
        nan = np.zeros_like(nan)
    return _few(Range(low, high, nan, unsure))


def _at_corners(corner: Corner, p: _Operands, dtype: DType, steps: int = 1) -> Range:
    """Return what a function takes that is monotonic in each of its arguments."""
    with np.errstate(all="ignore"):
        found = [corner(x, y) for x in (p.a, p.b) for y in (p.c, p.d)]
        nan = p.nan | np.any([np.isnan(value) for value, _ in found], axis=(0, 2))
        # 0 * inf: the limits are among the other corners, or 0
        clean = [(np.where(np.isnan(value), 0, value), ok) for value, ok in found]
        low = np.minimum.reduce([_down(v, ok, dtype, steps) for v, ok in clean])
        high = np.maximum.reduce([_up(v, ok, dtype, steps) for v, ok in clean])
    return Range(low, high, nan, p.unsure)


def _unknown_where(where: Array, nan: Array, value: Range) -> Range:
    """Return a number that is not known in some intervals, where it may be NaN."""
    return Range(
        np.where(where, -np.inf, value.low),
        np.where(where, np.inf, value.high),
        value.nan | np.any(where & nan, axis=1),
        value.unsure,
    )


def _add(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    with np.errstate(all="ignore"):
        low, high = p.a + p.c, p.b + p.d
        opposite = ((p.b == np.inf) & (p.c == -np.inf)) | (
            (p.a == -np.inf) & (p.d == np.inf)
        )
        low = _down(low, _is_exact_sum(p.a, p.c, low), dtype)
        high = _up(high, _is_exact_sum(p.b, p.d, high), dtype)
    nan = p.nan | opposite.any(axis=1)
    low = np.where(np.isnan(low), -np.inf, low)
    high = np.where(np.isnan(high), np.inf, high)
    return _finished(dtype, low, high, nan, p.unsure)


def _negate(kind: _Kind, value: Range) -> Range:
    dtype = kind.dtype
    return _finished(dtype, -value.high, -value.low, value.nan, value.unsure)


def _subtract(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    return _add(kind, lhs, replace(rhs, low=-rhs.high, high=-rhs.low))


def _multiply(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    found = _at_corners(_product, p, dtype)
    if kind.together:
        crosses = (p.a < 0) & (p.b > 0)
        found = replace(found, low=np.where(crosses, 0.0, np.maximum(found.low, 0)))
    return _finished(dtype, found.low, found.high, found.nan, found.unsure)


def _divide(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    if dtype.kind != "f":
        return replace(_anything(dtype), unsure=p.unsure)
    by_zero = (p.c <= 0) & (p.d >= 0)
    no_zero = p._replace(c=np.where(by_zero, 1, p.c), d=np.where(by_zero, 1, p.d))
    found = _at_corners(_quotient, no_zero, dtype)
    zero_by_zero = by_zero & (p.a <= 0) & (p.b >= 0)
    return _few(_unknown_where(by_zero, zero_by_zero, found))


def _pow(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    if dtype.kind != "f":
        return replace(_anything(dtype), unsure=p.unsure)
    is_whole = (p.c == p.d) & (p.c == np.floor(p.c)) & np.isfinite(p.c)
    known = (
        (p.a > 0) | (is_whole & ((p.c >= 0) | (p.b < 0))) | ((p.a >= 0) & (p.c >= 0))
    )
    base = [np.where(known, ends, 1) for ends in (p.a, p.b)]
    found = _at_corners(_power, p._replace(a=base[0], b=base[1]), dtype, SLOPPY)
    crosses = (p.a < 0) & (p.b > 0) & (p.c > 0)
    low = np.where(crosses, np.minimum(found.low, 0), found.low)
    return _few(_unknown_where(~known, ~is_whole, replace(found, low=low)))


def _remainder(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    """Return the remainder: it has the sign of the dividend, and is exact."""
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    by_zero = (p.c <= 0) & (p.d >= 0)
    dividend = np.maximum(np.abs(p.a), np.abs(p.b))
    most = np.minimum(dividend, np.maximum(np.abs(p.c), np.abs(p.d)))
    if dtype.kind != "f":  # then it is the dividend where the divisor is zero
        most = np.where(by_zero, dividend, most)
    low, high = np.where(p.a < 0, -most, 0), np.where(p.b > 0, most, 0)
    is_point = (p.a == p.b) & (p.c == p.d) & ~by_zero & np.isfinite(p.a)
    with np.errstate(all="ignore"):
        point = np.fmod(p.a, np.where(by_zero, 1, p.c))
    low, high = (np.where(is_point, point, ends) for ends in (low, high))
    nan = p.nan | np.any(by_zero | np.isinf(dividend), axis=1)
    return _finished(dtype, low, high, nan, p.unsure)


def _maximum(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    p = _pairs(kind, lhs, rhs)
    return _few(Range(np.maximum(p.a, p.c), np.maximum(p.b, p.d), p.nan, p.unsure))


def _minimum(kind: _Kind, lhs: Range, rhs: Range) -> Range:
    p = _pairs(kind, lhs, rhs)
    return _few(Range(np.minimum(p.a, p.c), np.minimum(p.b, p.d), p.nan, p.unsure))


def _rising(
    function: Callable[[Array], Array],
    steps: int = SLOPPY,
    inside: tuple[float, float] = (-math.inf, math.inf),
) -> Callable[[_Kind, Range], Range]:
    """An op that does not fall where it is defined, and is NaN elsewhere."""

    def rule(kind: _Kind, value: Range) -> Range:
        dtype = kind.dtype
        outside = (value.low < inside[0]) | (value.high > inside[1])
        with np.errstate(all="ignore"):
            low, high = (
                function(np.clip(ends, *inside)) for ends in (value.low, value.high)
            )
            nan = value.nan | outside.any(axis=1)
            exact = steps == 0
            low, high = _down(low, exact, dtype, steps), _up(high, exact, dtype, steps)
        return Range(low, high, nan, value.unsure)

    return rule


def _sqrt(kind: _Kind, value: Range) -> Range:
    dtype = kind.dtype
    with np.errstate(all="ignore"):
        low, high = (np.sqrt(np.maximum(e, 0)) for e in (value.low, value.high))
        exact = [_is_exact_product(r, r, r * r) for r in (low, high)]
        exact[0] &= low * low == value.low
        exact[1] &= high * high == value.high
    low = np.maximum(_down(low, exact[0], dtype), 0)
    high = _up(high, exact[1], dtype)
    return Range(low, high, value.nan | np.any(value.low < 0, axis=1), value.unsure)


def _abs(kind: _Kind, value: Range) -> Range:
    """Return the absolute value; that of the smallest integer is itself."""
    dtype = kind.dtype
    crosses = (value.low < 0) & (value.high > 0)
    ends = np.abs(value.low), np.abs(value.high)
    low = np.where(crosses, 0, np.minimum(*ends))
    return _finished(dtype, low, np.maximum(*ends), value.nan, value.unsure)


def _round_half_away(value: Array) -> Array:
    whole = np.trunc(value)
    return whole + np.sign(value) * (np.abs(value - whole) >= 0.5)


def _of_points(
    function: Callable[[Array], Array], low: float, high: float
) -> Callable[[_Kind, Range], Range]:
    """An op that is known where its operand is, and else within some limits."""

    def rule(kind: _Kind, value: Range) -> Range:
        dtype = kind.dtype
        known = (value.low == value.high) & np.isfinite(value.low)
        with np.errstate(all="ignore"):
            found = function(np.where(known, value.low, 0))
            below = np.maximum(_down(found, False, dtype, SLOPPY), low)
            above = np.minimum(_up(found, False, dtype, SLOPPY), high)
        nan = value.nan | np.any(np.isinf(value.low) | np.isinf(value.high), axis=1)
        return Range(
            np.where(known, below, low), np.where(known, above, high), nan, value.unsure
        )

    return rule


def _clamp(kind: _Kind, lower: Range, value: Range, upper: Range) -> Range:
    low = np.minimum(np.maximum(value.hull().low, lower.hull().low), upper.hull().low)
    high = np.maximum(value.hull().high, lower.hull().high)
    high = np.minimum(high, upper.hull().high)
    nan = lower.nan | value.nan | upper.nan
    return Range(low, high, nan, lower.unsure | value.unsure | upper.unsure)


def _convert(kind: _Kind, value: Range | Truth) -> Range | Truth:
    dtype = kind.dtype
    if isinstance(value, Truth):
        if dtype.kind == "b":
            return value
        low = np.where(value.fails, 0.0, 1.0)[:, None]
        high = np.where(value.holds, 1.0, 0.0)[:, None]
        ends = np.concatenate([low, high], axis=1)
        return Range(ends, ends, np.zeros(len(ends), bool), value.unsure)
    if dtype.kind == "b":
        return _compared("NE", _pairs(kind, value, _points([[0.0]])))
    if dtype.kind == "f":
        low, high = _down(value.low, True, dtype), _up(value.high, True, dtype)
        return replace(value, low=low, high=high)
    limits = np.iinfo(dtype)
    low, high = (
        np.clip(np.trunc(ends), float(limits.min), float(limits.max))
        for ends in (value.low, value.high)
    )
    if kind.operand.kind in "iu":  # wraps
        return _finished(dtype, value.low, value.high, value.nan, value.unsure)
    low = np.where(value.nan[:, None], np.minimum(low, 0), low)
    high = np.where(value.nan[:, None], np.maximum(high, 0), high)
    return Range(low, high, np.zeros_like(value.nan), value.unsure)


def _compared(direction: str, p: _Operands) -> Truth:
    match direction:
        case "LT":
            holds, fails = p.a < p.d, p.b >= p.c
        case "LE":
            holds, fails = p.a <= p.d, p.b > p.c
        case "GT" | "GE":
            mirrored = p._replace(a=p.c, b=p.d, c=p.a, d=p.b)
            return _compared("LT" if direction == "GT" else "LE", mirrored)
        case "NE":
            equal = _compared("EQ", p)
            return Truth(equal.fails, equal.holds, equal.unsure)
        case _:
            holds = (p.a <= p.d) & (p.c <= p.b)
            fails = ~((p.a == p.b) & (p.c == p.d) & (p.a == p.c))
    return Truth(np.any(holds, axis=1), np.any(fails, axis=1) | p.nan, p.unsure)


def _compare(op: hlo.CompareOp, kind: _Kind, lhs: Any, rhs: Any) -> Truth:
    order = op.comparison_type
    if isinstance(lhs, Truth) or (order is not None and order.data == "TOTALORDER"):
        return Truth(_YES, _YES, lhs.unsure | rhs.unsure)
    return _compared(op.comparison_direction.data, _pairs(kind, lhs, rhs))


def _select(kind: _Kind, predicate: Truth, on_true: Any, on_false: Any) -> Any:
    if isinstance(on_true, Range):
        return _chosen(predicate, on_true, on_false)
    holds, fails = predicate.holds, predicate.fails
    return Truth(
        (holds & on_true.holds) | (fails & on_false.holds),
        (holds & on_true.fails) | (fails & on_false.fails),
        predicate.unsure | on_true.unsure | on_false.unsure,
    )


def _not(kind: _Kind, value: Truth) -> Truth:
    return Truth(value.fails, value.holds, value.unsure)


def _and(kind: _Kind, lhs: Truth, rhs: Truth) -> Truth:
    unsure = lhs.unsure | (rhs.unsure & lhs.holds)
    return Truth(lhs.holds & rhs.holds, lhs.fails | rhs.fails, unsure)


def _or(kind: _Kind, lhs: Truth, rhs: Truth) -> Truth:
    unsure = lhs.unsure | (rhs.unsure & lhs.fails)
    return Truth(lhs.holds | rhs.holds, lhs.fails & rhs.fails, unsure)


def _xor(kind: _Kind, lhs: Truth, rhs: Truth) -> Truth:
    return Truth(
        (lhs.holds & rhs.fails) | (lhs.fails & rhs.holds),
        (lhs.holds & rhs.holds) | (lhs.fails & rhs.fails),
        lhs.unsure | rhs.unsure,
    )


def _is_finite(kind: _Kind, value: Range) -> Truth:
    infinite = np.any(np.isinf(value.low) | np.isinf(value.high), axis=1)
    return Truth(np.ones_like(infinite), infinite | value.nan, value.unsure)


_NUMBERS: dict[type[Operation], Callable[..., Any]] = {
    hlo.AbsOp: _abs,
    hlo.AddOp: _add,
    hlo.CbrtOp: _rising(np.cbrt),
    hlo.CeilOp: _rising(np.ceil, 0),
    hlo.ClampOp: _clamp,
    hlo.ConvertOp: _convert,
    hlo.CosineOp: _of_points(np.cos, -1, 1),
    hlo.DivideOp: _divide,
    hlo.ExponentialOp: _rising(np.exp),
    hlo.ExponentialMinusOneOp: _rising(np.expm1),
    hlo.FloorOp: _rising(np.floor, 0),
    hlo.IsFiniteOp: _is_finite,
    hlo.LogOp: _rising(np.log, inside=(0, math.inf)),
    hlo.LogPlusOneOp: _rising(np.log1p, inside=(-1, math.inf)),
    hlo.MaximumOp: _maximum,
    hlo.MinimumOp: _minimum,
    hlo.MultiplyOp: _multiply,
    hlo.NegateOp: _negate,
    hlo.PowerOp: _pow,
    hlo.RemainderOp: _remainder,
    hlo.RoundNearestAfzOp: _rising(_round_half_away, 0),
    hlo.RoundNearestEvenOp: _rising(np.rint, 0),
    hlo.SignOp: _rising(np.sign, 0),
    hlo.SineOp: _of_points(np.sin, -1, 1),
    hlo.SqrtOp: _sqrt,
    hlo.SubtractOp: _subtract,
    hlo.TanhOp: _rising(np.tanh),
}

_TRUTHS: dict[type[Operation], Callable[..., Any]] = {
    hlo.AndOp: _and,
    hlo.AddOp: _or,
    hlo.MultiplyOp: _and,
    hlo.ConvertOp: _convert,
    hlo.NotOp: _not,
    hlo.OrOp: _or,
    hlo.SelectOp: _select,
    hlo.XorOp: _xor,
}


def _computed(op: Operation, args: Sequence[Any]) -> Range | Truth:
    """Return the result of an op of StableHLO; anything where it has no rule."""
    kind = _Kind.of(op)
    if isinstance(op, hlo.CompareOp):
        return _compare(op, kind, *args)
    rules = _TRUTHS if kind.operand.kind == "b" else _NUMBERS
    rule = rules.get(type(op))
    if rule is not None:
        return rule(kind, *args)
    unsure = _any(*(value.unsure for value in args))
    if kind.dtype.kind == "b":
        return Truth(_YES, _YES, unsure)
    return replace(_anything(kind.dtype), unsure=unsure)


def _any(*flags: Array) -> Array:
    """Return where one of some flags is set."""
    return functools.reduce(np.logical_or, flags, _NO)


# endregion
# region Configurations


def _source(space: LocalSpace, real: DType) -> Configuration:
    """Return all configurations: each site has any of its allowed values."""
    sets: list[Array] = []
    for site in range(space.sites):
        allowed = np.asarray(space.at(site), real).astype(np.float64)
        sets.append(allowed if len(allowed) <= MAX_SET else allowed[[0, -1]])
    width = max(map(len, sets))
    low = np.stack([_wider(allowed, width) for allowed in sets])
    high = low.copy()
    for site in range(space.sites):
        if len(space.at(site)) > MAX_SET:
            low[site], high[site] = sets[site]
    none = np.zeros((1, space.sites), bool)
    return Configuration(low[None], high[None], none, _NO)


def _candidates(site: Places) -> Iterator[tuple[Array, Array]]:
    """Yield the sites of one candidate after the other, and where they are possible."""
    for place in range(site.sites.shape[1]):
        yield site.sites[:, place], site.possible[:, place]


def _value_there(config: Configuration, numbers: Array) -> Range:
    """Return the local value at known sites; 0 where there is none."""
    rows = max(len(config.low), len(numbers))
    row = np.zeros(rows, int) if len(config.low) == 1 else np.arange(rows)
    sites = np.broadcast_to(numbers, rows)
    none = sites == NO_SITE
    return Range(
        np.where(none[:, None], 0.0, config.low[row, sites]),
        np.where(none[:, None], 0.0, config.high[row, sites]),
        ~none & config.nan[row, sites],
        config.unsure,
    )


def _read(config: Configuration, site: Places) -> Range:
    """Return the local value at a site that may be one of a few."""
    if site.sites.shape[1] == 1:
        value = _value_there(config, site.sites[:, 0])
        return replace(value, unsure=value.unsure | site.unsure)
    low, high, nan = np.inf, -np.inf, _NO
    for numbers, possible in _candidates(site):
        one, here = _value_there(config, numbers).hull(), possible[:, None]
        low = np.minimum(low, np.where(here, one.low, np.inf))
        high = np.maximum(high, np.where(here, one.high, -np.inf))
        nan = nan | (possible & one.nan)
    nowhere = np.asarray(low > high)
    low, high = np.where(nowhere, 0.0, low), np.where(nowhere, 0.0, high)
    return Range(low, high, nan, config.unsure | site.unsure)


def _written(config: Configuration, site: Places, value: Range) -> Configuration:
    """Return configurations with another value at a site, where there is one."""
    rows = max(len(config.low), len(site.sites), len(value.low), len(value.nan))
    width = max(config.low.shape[-1], value.low.shape[-1])
    shape = (rows, config.low.shape[1])
    low = np.broadcast_to(_wider(config.low, width), (*shape, width)).copy()
    high = np.broadcast_to(_wider(config.high, width), (*shape, width)).copy()
    nan = np.broadcast_to(config.nan, shape).copy()
    new = [
        np.broadcast_to(_wider(e, width), (rows, width))
        for e in (value.low, value.high)
    ]
    new_nan = np.broadcast_to(value.nan, rows)
    only = site.sites.shape[1] == 1
    for numbers, possible in _candidates(site):
        here = np.broadcast_to(possible & (numbers != NO_SITE), rows)
        points, sites = np.flatnonzero(here), np.broadcast_to(numbers, rows)[here]
        if only:
            low[points, sites], high[points, sites] = new[0][points], new[1][points]
            nan[points, sites] = new_nan[points]
            continue
        # One of several: the old value may be there as well
        least = np.minimum(low[points, sites].min(1), new[0][points].min(1))
        most = np.maximum(high[points, sites].max(1), new[1][points].max(1))
        low[points, sites], high[points, sites] = least[:, None], most[:, None]
        nan[points, sites] |= new_nan[points]
    unsure = config.unsure | site.unsure | value.unsure
    return Configuration(low, high, nan, unsure)


def _either(
    predicate: Truth, first: Configuration, second: Configuration
) -> Configuration:
    """Return one of two configurations: a choice at every site of every row."""
    sites = first.low.shape[1]
    lengths = map(len, (predicate.holds, predicate.fails, first.low, second.low))
    rows = max(lengths)

    def each(config: Configuration) -> Range:
        low, high = (
            np.broadcast_to(ends, (rows, *ends.shape[1:])).reshape(-1, ends.shape[2])
            for ends in (config.low, config.high)
        )
        return Range(low, high, np.broadcast_to(config.nan, (rows, sites)).ravel(), _NO)

    holds, fails = (
        np.repeat(np.broadcast_to(part, rows), sites)
        for part in (predicate.holds, predicate.fails)
    )
    both = _chosen(Truth(holds, fails, _NO), each(first), each(second))
    unsure = predicate.unsure | (predicate.holds & first.unsure)
    unsure = unsure | (predicate.fails & second.unsure)
    low, high = (ends.reshape(rows, sites, -1) for ends in (both.low, both.high))
    return Configuration(low, high, both.nan.reshape(rows, sites), unsure)


# endregion
# region Terms


@dataclass
class _Term:
    """Evaluates the body of a term at some rows.

    Attributes:
        given: values that are known, in place of those that ops compute.
        values: what every SSA value is.
        emitted: x', amplitude and predicate of each emission.
    """

    term: sym.TermOp
    space: LocalSpace
    real: DType
    outer: Mapping[SSAValue, Any]
    given: Mapping[SSAValue, Range]

    def __post_init__(self) -> None:
        self.values: dict[SSAValue, Any] = dict(self.outer)
        self.emitted: list[tuple[Configuration, Range, Truth]] = []
        self.source = _source(self.space, self.real)

    def run(self, rows: Array) -> None:
        """Evaluate at rows, by their numbers."""
        source, *others = self.term.body.block.args
        self.values[source] = self.source
        for argument, value in zip(others, _arguments(self.term, rows), strict=True):
            self.values[argument] = value
        self.block(self.term.body.block)

    def block(self, block: Block) -> Any:
        """Evaluate the ops of a block; return what it yields."""
        for op in block.ops:
            args = [self.values[operand] for operand in op.operands]
            if isinstance(op, sym.YieldOp):
                return args[0]
            if isinstance(op, sym.EmitOp):
                self.emit(*args)
                continue
            (result,) = op.results
            self.values[result] = self.given.get(result) or self.result(op, args)
        return None

    def emit(
        self, config: Configuration, amplitude: Range, predicate: Truth | None = None
    ) -> None:
        holds = predicate or Truth(_YES, _NO, _NO)
        unsure = config.unsure | amplitude.unsure | holds.unsure
        self.emitted.append((config, amplitude, replace(holds, unsure=unsure)))

    def result(self, op: Operation, args: Sequence[Any]) -> Any:
        """Return what an op computes."""
        rule = _RULES.get(type(op))
        if rule is not None:
            return rule(self, op, *args)
        if isinstance(op, hlo.ConstantOp):
            return _known(to_numpy(op.value).reshape(1))
        return _computed(op, args)

    def place(self, value: Range, count: int) -> Places:
        """Return which of 0 .. count - 1 a number may be; undefined if it is none."""
        wanted = np.arange(count)[None, :, None]
        may_be = (value.low[:, None] <= wanted) & (wanted <= value.high[:, None])
        possible = np.any(may_be, axis=-1)
        inside = _is_whole(value) & (value.low >= 0) & (value.low < count)
        unsure = value.unsure | value.nan | ~inside.all(axis=1)
        if value.low.shape[1] == 1 and inside.all():
            return Places(value.low.astype(np.int64), np.ones_like(inside), unsure)
        sites = np.broadcast_to(np.arange(count), possible.shape)
        return Places(sites, possible, unsure)

    def any_allowed(self, site: Places, defined: Array) -> Range:
        """Return some allowed value of a site, defined where it is known to be."""
        value = _read(self.source, site)
        return replace(value, unsure=value.unsure | site.unsure | ~defined)


def _known(values: Array) -> Range | Truth:
    """Return numbers or predicates that are known, one per row."""
    if values.dtype.kind == "b":
        return Truth(values, ~values, np.zeros(len(values), bool))
    exact = values.astype(np.float64)
    if values.dtype.kind in "iu" and np.any(np.abs(exact) >= 2.0**53):
        return _anything(values.dtype)
    return _points(exact[:, None])


def _arguments(term: sym.TermOp, rows: Array) -> Iterator[Any]:
    """Yield what stands after x: sites, data and sets of some rows."""
    for label in range(term.rows.data.labels):
        yield _site(term.rows.data.array[rows, label])
    for column in term.data_columns:
        yield _known(to_numpy(column.values)[rows])
    for table in term.site_sets:
        yield table.data.array[rows]


def _site(numbers: Array) -> Places:
    sites = np.asarray(numbers)[:, None]
    return Places(sites, np.ones(sites.shape, bool), np.zeros(len(sites), bool))


def _index(term: _Term, op: Operation, site: Places) -> Range:
    if site.sites.shape[1] == 1:
        return replace(_points(site.sites), unsure=site.unsure)
    low = np.where(site.possible, site.sites, np.inf).min(1, keepdims=True)
    high = np.where(site.possible, site.sites, -np.inf).max(1, keepdims=True)
    nowhere = low > high
    low, high = np.where(nowhere, 0.0, low), np.where(nowhere, 0.0, high)
    return Range(low, high, _NO, site.unsure)


def _shifted(
    term: _Term, op: sym.ShiftOp, config: Configuration, site: Places, amount: Range
) -> Configuration:
    total = _add(_Kind.from_type(op.amount), _read(config, site), amount)
    return _written(config, site, total)


def _affine(
    term: _Term,
    op: sym.AffineOp,
    config: Configuration,
    site: Places,
    scale: Range,
    bias: Range,
) -> Configuration:
    typed = _Kind.from_type(op.scale)
    scaled = _multiply(typed, scale, _read(config, site))
    return _written(config, site, _add(typed, scaled, bias))


def _swap(
    term: _Term, op: Operation, config: Configuration, i: Places, j: Places
) -> Configuration:
    first, second = _read(config, i), _read(config, j)
    return _written(_written(config, i, second), j, first)


def _permute(
    term: _Term, op: Operation, config: Configuration, *sites: Places
) -> Configuration:
    result = config
    for site, following in zip(sites, (*sites[1:], sites[0]), strict=True):
        result = _written(result, site, _read(config, following))
    return result


def _shift_mod(
    term: _Term, op: Operation, config: Configuration, site: Places, amount: Range
) -> Configuration:
    value = _read(config, site)
    outside = _membership(term, value, site)[1]
    is_count = _is_countable(term, amount) & np.all(_is_whole(amount), axis=1)
    defined = ~outside & ~value.unsure & is_count
    return _written(config, site, term.any_allowed(site, defined))


def _is_countable(term: _Term, value: Range) -> Array:
    """Return where a number is surely one that local values can be shifted by."""
    most = largest_place(term.real)
    inside = (value.low >= -most) & (value.high <= most)
    return np.all(inside, axis=1) & ~value.nan & ~value.unsure


def _is_whole(value: Range) -> Array:
    return (value.low == value.high) & (value.low == np.floor(value.low))


def _allowed(term: _Term, op: Operation, value: Range, site: Places) -> Truth:
    inside, outside = _membership(term, value, site)
    return Truth(inside, outside, value.unsure | site.unsure)


def _membership(term: _Term, value: Range, site: Places) -> tuple[Array, Array]:
    """Return whether a value may be allowed at a site, and whether it may not be."""
    kinds, number = term.space.kinds
    low, high = value.low[:, None, :], value.high[:, None, :]
    may = must = np.zeros((1, 1), bool)
    for kind, allowed in enumerate(kinds):
        values = np.asarray(allowed, term.real).astype(np.float64)
        nearest = np.searchsorted(values, low)
        padded = np.append(values, np.inf)
        own = (site.sites != NO_SITE) & (number[site.sites] == kind)
        within = padded[nearest] <= high
        exactly = (padded[nearest] == low) & (low == high)
        may = may | (own & within.any(-1))
        must = must | (own & exactly.all(-1))
    none = site.sites == NO_SITE
    may, must = may | none, (must & ~value.nan[:, None]) | none
    return (may & site.possible).any(1), (~must & site.possible).any(1)


def _element(term: _Term, op: sym.ElementOp, sites: Array) -> Places:
    position = op.position.value.data
    if position < sites.shape[1]:
        return _site(sites[:, position])
    return _site(np.full(len(sites), NO_SITE))


def _lookup(term: _Term, op: sym.LookupOp, index: Range) -> Range | Truth:
    table = to_numpy(op.table)
    place = term.place(index, len(table))
    entries = _known(table)
    if isinstance(entries, Truth):
        return Truth(_YES, _YES, place.unsure)
    if len(entries.low) < len(table):  # integers that are not told apart
        return replace(entries, unsure=place.unsure)
    nan = np.isnan(table)[None]
    return _read(Configuration(entries.low[None], entries.high[None], nan, _NO), place)


def _reduce(term: _Term, op: sym.ReduceOp, *args: Any) -> Range | Truth:
    kind = _Kind.from_type(op.result)
    total: Any = _EMPTY[op.kind.data]
    unsure = _any(*(bound.unsure for bound in args if isinstance(bound, Range)))
    for site, counts in _members(term, op, args):
        term.values[op.body.block.args[0]] = site
        value = term.block(op.body.block)
        with_it = _COMBINE[op.kind.data](kind, total, value)
        unsure = unsure | (counts.holds & value.unsure)
        total = _select(kind, counts, with_it, total)
    return replace(total, unsure=unsure)


_EMPTY: dict[sym.Reduction, Range | Truth] = {
    sym.Reduction.SUM: _points([[0.0]]),
    sym.Reduction.PROD: _points([[1.0]]),
    sym.Reduction.ANY: Truth(_NO, _YES, _NO),
    sym.Reduction.ALL: Truth(_YES, _NO, _NO),
    sym.Reduction.PARITY: Truth(_NO, _YES, _NO),
}

_COMBINE: dict[sym.Reduction, Callable[..., Any]] = {
    sym.Reduction.SUM: _add,
    sym.Reduction.PROD: _multiply,
    sym.Reduction.ANY: _or,
    sym.Reduction.ALL: _and,
    sym.Reduction.PARITY: _xor,
}


def _members(
    term: _Term, op: sym.ReduceOp, args: Sequence[Any]
) -> Iterator[tuple[Places, Truth]]:
    """Yield each site, and whether it is one of those that are combined."""
    if op.sites is not None:
        (sites,) = args
        for numbers in np.moveaxis(sites, -1, 0):
            there = numbers != NO_SITE
            yield _site(numbers), Truth(there, ~there, _NO)
        return
    for number in range(term.space.sites):
        counts = Truth(_YES, _NO, _NO)
        if args:
            start, stop = (one.hull() for one in args)
            low, high = start.low[:, 0], start.high[:, 0]
            after = Truth(low <= number, high > number, _NO)
            low, high = stop.low[:, 0], stop.high[:, 0]
            before = Truth(high > number, low <= number, _NO)
            counts = _and(_Kind.from_type(op.result), after, before)
        yield _site(np.array([number])), counts


def _local_index(term: _Term, op: Operation, value: Range, site: Places) -> Range:
    """Return the place of an allowed value: any there is."""
    count = max(map(len, term.space.local_states))
    places = _points(np.arange(float(count))[None])
    outside = _membership(term, value, site)[1]
    return _few(replace(places, unsure=outside | value.unsure | site.unsure))


def _local_value(term: _Term, op: Operation, place: Range, site: Places) -> Range:
    return term.any_allowed(site, _is_countable(term, place))


def _run_read(term: _Term, op: Operation, config: Configuration, site: Places) -> Range:
    return _read(config, site)


def _run_write(
    term: _Term, op: Operation, config: Configuration, site: Places, value: Range
) -> Configuration:
    return _written(config, site, value)


def _run_select(
    term: _Term,
    op: Operation,
    predicate: Truth,
    on_true: Configuration,
    on_false: Configuration,
) -> Configuration:
    return _either(predicate, on_true, on_false)


def _run_site(term: _Term, op: Operation, number: Range) -> Places:
    return term.place(number, term.space.sites)


def _invalid(term: _Term, op: Operation) -> Configuration:
    return replace(term.source, unsure=_YES)


def _is_defined(term: _Term, op: Operation, value: Range | Truth) -> Truth:
    return Truth(np.ones_like(value.unsure), value.unsure, _NO)


_RULES: dict[type[Operation], Callable[..., Any]] = {
    sym.AffineOp: _affine,
    sym.AllowedOp: _allowed,
    sym.DefinedOp: _is_defined,
    sym.ElementOp: _element,
    sym.IndexOp: _index,
    sym.InvalidOp: _invalid,
    sym.LocalIndexOp: _local_index,
    sym.LocalValueOp: _local_value,
    sym.LookupOp: _lookup,
    sym.PermuteOp: _permute,
    sym.ReadOp: _run_read,
    sym.ReduceOp: _reduce,
    sym.SelectOp: _run_select,
    sym.ShiftModOp: _shift_mod,
    sym.ShiftOp: _shifted,
    sym.SiteOp: _run_site,
    sym.SwapOp: _swap,
    sym.WriteOp: _run_write,
}

# endregion
# region Bounds


def amplitude_bounds(
    operator: sym.OperatorOp | ModuleOp, parameters: Ranges | None = None
) -> dict[str, list[Bounds]]:
    """Return what the matrix elements can be, over all configurations and rows.

    By the name of each term, one entry per emission. A parameter is a number or an
    interval (low, high); without either it has its default, and without that it may be
    anything. An op that has no rule gives anything. What the predicate of a branch, and
    the space, exclude for each value of a read on its own is left out.

    The reference interpreter and exact arithmetic both stay within these bounds. NaN
    does not: it is what a root of a negative number may give, for instance.

    Raises:
        ComplexNumbers: for complex numbers.
        ValueError: for parameters that the operator does not have, and what is no
            interval.
    """
    operator = _the_operator(operator)
    _refuse_complex(operator)
    outer = _bind(operator, parameters or {})
    return {
        term.sym_name.data: _bounds(operator, term, outer) for term in operator.terms
    }


def _the_operator(op: sym.OperatorOp | ModuleOp) -> sym.OperatorOp:
    found = [one for one in op.walk() if isinstance(one, sym.OperatorOp)]
    if len(found) != 1:
        raise ValueError(f"expected a module with one sym.operator, found {len(found)}")
    return found[0]


def _refuse_complex(operator: sym.OperatorOp) -> None:
    if isinstance(operator.element, ComplexType):
        raise ComplexNumbers(operator)
    for op in operator.walk():
        for value in (*op.operands, *op.results):
            kind = value.type
            if isinstance(kind, TensorType) and isinstance(
                element_of(value), ComplexType
            ):
                raise ComplexNumbers(op)


def _bind(operator: sym.OperatorOp, given: Ranges) -> dict[SSAValue, Any]:
    names = [name.data for name in operator.parameter_names]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"there are no parameters {unknown}; the operator has {names}")
    bound: dict[SSAValue, Any] = {}
    arguments = zip(operator.body.block.args, operator.defaults, strict=True)
    for name, (argument, default) in zip(names, arguments, strict=True):
        if name in given:
            bound[argument] = _parameter(
                name, given[name], dtype_of(element_of(argument))
            )
        elif isinstance(default, UnitAttr):
            bound[argument] = _anything(dtype_of(element_of(argument)))
        else:
            bound[argument] = _known(to_numpy(default).reshape(1))
    return bound


def _parameter(name: str, value: float | tuple[float, float], dtype: DType) -> Range:
    ends = np.asarray(value, np.float64).ravel()
    if len(ends) not in (1, 2) or np.isnan(ends).any() or ends[0] > ends[-1]:
        raise ValueError(f'parameter "{name}" is no number and no interval: {value!r}')
    low, high = ends[None, :1], ends[None, -1:]
    return Range(_down(low, True, dtype), _up(high, True, dtype), _NO, _NO)


def _bounds(
    operator: sym.OperatorOp, term: sym.TermOp, outer: Mapping[SSAValue, Any]
) -> list[Bounds]:
    space = operator.space.data
    real = dtype_of(operator.element)
    rows = term.rows.data.rows
    size = max(1, MAX_NUMBERS // (space.sites * MAX_SET))
    parts: list[list[Bounds]] = []
    for start in range(0, rows, size):
        numbers = np.arange(start, min(rows, start + size))

        def evaluated(
            given: Mapping[SSAValue, Range], numbers: Array = numbers
        ) -> _Term:
            found = _Term(term, space, real, outer, given)
            found.run(numbers)
            return found

        parts.append(
            [
                _bounds_of(evaluated, emission, number, len(numbers))
                for number, emission in enumerate(term.emissions)
            ]
        )
    return [_over_all(part) for part in zip(*parts)] or [
        Bounds(0.0, 0.0, False) for _ in term.emissions
    ]


def _over_all(parts: Sequence[Bounds]) -> Bounds:
    """Return the bounds of an emission from those at some rows each."""
    alive = [part for part in parts if part.valid is not False]
    if not alive:
        return Bounds(0.0, 0.0, False)
    low, high = min(one.low for one in alive), max(one.high for one in alive)
    return Bounds(low, high, True if all(one.valid for one in parts) else None)


def _bounds_of(
    evaluate: Callable[[Mapping[SSAValue, Range]], _Term],
    emission: sym.EmitOp,
    number: int,
    rows: int,
) -> Bounds:
    first = evaluate({})
    narrowed, alive = _narrowed(evaluate, first, emission, number, rows)
    found = evaluate(narrowed) if narrowed else first
    _, amplitude, _ = found.emitted[number]
    config, _, predicate = first.emitted[number]
    alive = alive & predicate.holds
    if not alive.any():
        return Bounds(0.0, 0.0, False)
    always = ~predicate.fails & ~predicate.unsure & _stays(first, emission, config)
    low = np.broadcast_to(amplitude.low.min(1), rows)[alive]
    high = np.broadcast_to(amplitude.high.max(1), rows)[alive]
    return Bounds(float(low.min()), float(high.max()), bool(always.all()) or None)


def _narrowed(
    evaluate: Callable[[Mapping[SSAValue, Range]], _Term],
    first: _Term,
    emission: sym.EmitOp,
    number: int,
    rows: int,
) -> tuple[dict[SSAValue, Range], Array]:
    """Return the reads without the values at which the branch is not valid.

    And where the branch may be valid at all.
    """
    reads = [op for op in first.term.body.block.ops if isinstance(op, sym.ReadOp)]
    alive = np.ones(rows, bool)
    narrowed: dict[SSAValue, Range] = {}
    cases = sum(first.values[op.result].low.shape[1] for op in reads)
    if cases > MAX_CASES:
        return narrowed, alive
    for op in reads:
        value: Range = first.values[op.result]
        kept = np.ones((rows, value.low.shape[1]), bool)
        for place in range(value.low.shape[1]):
            case = replace(
                value,
                low=value.low[:, place : place + 1],
                high=value.high[:, place : place + 1],
            )
            if emission.predicate is not None:
                kept[:, place] &= evaluate({op.result: case}).emitted[number][2].holds
            if op.config is emission.config:
                kept[:, place] &= _membership(first, case, first.values[op.site])[0]
        alive &= kept.any(axis=1)
        any_kept = kept.argmax(axis=1)[:, None]
        low, high = (
            np.broadcast_to(ends, kept.shape) for ends in (value.low, value.high)
        )
        narrowed[op.result] = replace(
            value,
            low=np.where(kept, low, np.take_along_axis(low, any_kept, 1)),
            high=np.where(kept, high, np.take_along_axis(high, any_kept, 1)),
        )
    return narrowed, alive


def _stays(term: _Term, emission: sym.EmitOp, config: Configuration) -> Any:
    """Return where x' is surely in the space."""
    if emission.config is term.term.source:
        return _YES
    if term.space.sums:
        return _NO
    stays = _YES
    for site in range(term.space.sites):
        place = _site(np.array([site]))
        value = _value_there(config, place.sites[:, 0])
        stays = stays & ~_membership(term, value, place)[1]
    return stays


# endregion
