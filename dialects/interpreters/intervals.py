"""Sets of numbers instead of numbers: every level at many configurations at once.

An element of an array is one of a few intervals that its value lies in. Ends are
rounded outwards, in the precision of the operation, so that the exact number and the
one that is computed in floats both lie between them. A predicate may hold, may fail, or
both. Which values occur together is forgotten, but for two operands that are one SSA
value: bounds are sound, not tight. Sums are taken in the order of the reference.

NaN lies in no interval. It is followed all the same, since a comparison with it fails.
Integers and predicates that are known are arrays of NumPy, as in all kinds of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin
from xdsl.dialects.builtin import ComplexType, ModuleOp, TensorType, UnitAttr
from xdsl.interpreter import OpImplResult, PythonValues
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.chlo import ELEMENTWISE as CHLO
from dialects.interpreters.numbers import Numbers, Reference, as_array, interpret_with
from dialects.interpreters.stablehlo import (
    COMPARISONS,
    StableHLOFunctions,
    erf,
    logistic,
    round_half_away,
)
from dialects.interpreters.sym import (
    Partial,
    SymFunctions,
    SymInterpreter,
    defined_of,
    run_rows,
    the_operator,
    values_of,
)
from dialects.stablehlo import dtype_of, element_of, to_numpy
from dialects.tables import NO_SITE, LocalSpace

Array = npt.NDArray[Any]
DType = np.dtype[Any]
Ranges: TypeAlias = Mapping[str, "float | tuple[float, float]"]

MAX_SET = 16
"""Most intervals that are kept apart; more are joined to one."""

MAX_NUMBERS = 2**20
"""Ends of intervals that are computed together, about."""

MAX_CASES = 64
"""The values of reads are told apart by a predicate if these are not more."""

SLOPPY = 8
"""Steps that functions which are not rounded correctly may be off."""


class Bounds(NamedTuple):
    """Bounds of the matrix elements of one emission.

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
        op: that op, or the operator; None where a parameter is complex.
    """

    def __init__(self, op: Operation | None):
        self.op = op
        name = "a parameter" if op is None else f"'{op.name}'"
        super().__init__(f"{name} computes with complex numbers")


# region Arrays


class _Several(NDArrayOperatorsMixin):
    """An array whose elements are known up to a few cases.

    NumPy's functions rearrange it as they do arrays of numbers.
    """

    dtype: DType

    @property
    def parts(self) -> tuple[Array, ...]:
        """The arrays that hold the cases, of the shape and what each element has."""
        raise NotImplementedError

    def like(self, *parts: Array) -> Any:
        """Return another array of the same type."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[-1].shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def copy(self) -> Any:
        return self.like(*(part.copy() for part in self.parts))

    def reshape(self, *shape: Any) -> Any:
        return np.reshape(cast(Any, self), shape[0] if len(shape) == 1 else shape)

    def __getitem__(self, key: Any) -> Any:
        return self.at(_numbered(self.shape)[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        where = _numbered(self.shape)[key]
        wide = np.broadcast_to(lifted(value, self.dtype), where.shape)
        own, new = _aligned(self, wide)
        for name, part, other in zip(_names(self), own, new, strict=True):
            flat = part.reshape(self.size, *part.shape[self.ndim :]).copy()
            flat[where] = other
            setattr(self, name, flat.reshape(part.shape))

    def at(self, where: Array) -> Any:
        """Return the elements of some numbers, in the order of memory."""
        flat = (p.reshape(self.size, *p.shape[self.ndim :]) for p in self.parts)
        return self.like(*(part[where] for part in flat))

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any:
        rule = _UFUNCS.get(ufunc)
        if rule is None or method != "__call__" or options:
            return NotImplemented
        dtype = _joint_dtype(*inputs)
        first, *others = (lifted(one, dtype) for one in inputs)
        return settled(rule(_Kind(dtype, dtype), first, *others))

    def __array_function__(
        self, function: Any, types: Any, args: Any, options: Any
    ) -> Any:
        rule = _FUNCTIONS.get(function)
        if rule is not None:
            return rule(*args, **options)
        if function in _REARRANGING:
            return _rearranged(function, *args, **options)
        return NotImplemented


@dataclass(eq=False)
class Intervals(_Several):
    """An array of numbers, each in one of a few intervals.

    Attributes:
        low: the ends below, (.., intervals).
        high: the ends above.
        nan: whether it may be NaN instead, (..).
        dtype: that of the numbers.
    """

    low: Array
    high: Array
    nan: Array
    dtype: DType

    def __post_init__(self) -> None:
        shape = np.broadcast_shapes(self.low.shape[:-1], self.nan.shape)
        if self.low.shape[:-1] != shape:
            self.low = np.broadcast_to(self.low, (*shape, self.low.shape[-1]))
            self.high = np.broadcast_to(self.high, self.low.shape)
        if self.nan.shape != shape:
            self.nan = np.broadcast_to(self.nan, shape)

    @classmethod
    def between(
        cls, low: npt.ArrayLike, high: npt.ArrayLike, dtype: npt.DTypeLike = np.float64
    ) -> Intervals:
        """Return numbers of one interval each, with ends that are no NaN."""
        ends = np.broadcast_arrays(*(np.asarray(e, np.float64) for e in (low, high)))
        if not np.all(ends[0] <= ends[1]):
            raise ValueError(f"no intervals: {low!r} to {high!r}")
        kind = np.dtype(dtype)
        below, above = (end[..., None] for end in ends)
        return cls(
            _down(below, True, kind), _up(above, True, kind), ends[0] > ends[1], kind
        )

    @property
    def parts(self) -> tuple[Array, ...]:
        return self.low, self.high, self.nan

    def like(self, *parts: Array) -> Intervals:
        low, high, nan = parts
        return Intervals(low, high, nan, self.dtype)

    def hull(self) -> Intervals:
        """Return the numbers in one interval each."""
        low, high = self.low.min(-1, keepdims=True), self.high.max(-1, keepdims=True)
        return replace(self, low=low, high=high)

    def astype(self, dtype: DType, copy: bool = True) -> Any:
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        return settled(_convert(_Kind(dtype, self.dtype), self))

    def may_be(self, number: float) -> Array:
        """Return where one of the intervals has a number."""
        return np.any((self.low <= number) & (number <= self.high), axis=-1)


@dataclass(eq=False)
class Truths(_Several):
    """An array of predicates: whether each may hold, and may fail."""

    holds: Any
    fails: Any
    dtype = np.dtype(np.bool_)

    def __post_init__(self) -> None:
        self.holds, self.fails = np.broadcast_arrays(self.holds, self.fails)

    @property
    def parts(self) -> tuple[Array, ...]:
        return self.holds, self.fails

    def like(self, *parts: Array) -> Truths:
        return Truths(*parts)

    def astype(self, dtype: DType, copy: bool = True) -> Any:
        return settled(_convert(_Kind(np.dtype(dtype), self.dtype), self))

    def all(self, axis: int) -> Any:
        return settled(Truths(self.holds.all(axis), self.fails.any(axis)))

    def any(self, axis: int) -> Any:
        return settled(Truths(self.holds.any(axis), self.fails.all(axis)))


def _names(value: _Several) -> tuple[str, ...]:
    return ("holds", "fails") if isinstance(value, Truths) else ("low", "high", "nan")


def _numbered(shape: tuple[int, ...]) -> Array:
    return np.arange(math.prod(shape)).reshape(shape)


def lifted(values: Any, dtype: DType | None = None) -> Any:
    """Return numbers or predicates that are known as sets of one; others as they are.

    `dtype` is that of Python's numbers, which have none.
    """
    if isinstance(values, _Several):
        return values
    given = np.asarray(values)
    if not isinstance(values, np.ndarray | np.generic) and dtype is not None:
        given = given.astype(dtype)
    if given.dtype.kind == "b":
        return Truths(given, ~given)
    _refuse(given.dtype)
    ends = given.astype(np.float64)
    if given.dtype.kind in "iu" and np.any(np.abs(ends) >= 2.0**53):
        return _anything(given.dtype, given.shape)
    nan = np.isnan(ends)
    clean = np.where(nan, 0.0, ends)[..., None]
    return Intervals(clean, clean, nan, given.dtype)


def settled(value: Any) -> Any:
    """Return an array of NumPy where predicates or integers are known."""
    if isinstance(value, Truths):
        return value if np.any(value.holds & value.fails) else value.holds
    is_known = (
        isinstance(value, Intervals)
        and value.dtype.kind in "iu"
        and value.low.shape[-1] == 1
        and np.array_equal(value.low, value.high)
    )
    return value.low[..., 0].astype(value.dtype) if is_known else value


def _joint_dtype(*values: Any) -> DType:
    """Return the dtype of some arrays; Python's numbers have none."""
    return np.result_type(*(one.dtype for one in values if hasattr(one, "dtype")))


def _refuse(dtype: DType, op: Operation | None = None) -> None:
    if dtype.kind == "c":
        raise ComplexNumbers(op)
    if dtype.kind not in "biuf":
        raise InterpretationError(f"there are no intervals of {dtype}")


def _aligned(*values: Any) -> list[tuple[Array, ...]]:
    """Return the parts of some arrays, with as many intervals."""
    if isinstance(values[0], Truths):
        return [value.parts for value in values]
    count = max(value.low.shape[-1] for value in values)
    return [(_wider(v.low, count), _wider(v.high, count), v.nan) for v in values]


def _rearranged(
    function: Callable[..., Any], values: Any, *args: Any, **options: Any
) -> Any:
    """Move elements: as the function does with their numbers."""
    many = isinstance(values, list | tuple)
    if not many:
        return values.at(function(_numbered(values.shape), *args, **options))
    given = cast(list[Any], values)
    dtype = _joint_dtype(*given)
    several = [lifted(one, dtype) for one in given]
    numbers: list[Array] = []
    for one in several:
        start = sum(part.size for part in numbers)
        numbers.append(start + _numbered(one.shape))
    where = function(numbers, *args, **options)
    parts = zip(*_aligned(*several))
    flat = [
        np.concatenate([p.reshape(n.size, *p.shape[n.ndim :]) for p, n in pairs])
        for pairs in (list(zip(part, numbers)) for part in parts)
    ]
    found = several[0].like(*(part[where] for part in flat))
    return replace(found, dtype=dtype) if isinstance(found, Intervals) else found


def _anything(dtype: DType, shape: tuple[int, ...] = ()) -> Any:
    """Return numbers of which nothing is known but their type."""
    if dtype.kind == "b":
        return Truths(np.ones(shape, bool), np.ones(shape, bool))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        ends = float(limits.min), float(limits.max)
    else:
        ends = -math.inf, math.inf
    low, high = (np.full((*shape, 1), end) for end in ends)
    return Intervals(low, high, np.full(shape, dtype.kind == "f"), dtype)


def _few(value: Intervals) -> Intervals:
    """Return the same numbers in at most `MAX_SET` intervals."""
    count = value.low.shape[-1]
    if count <= MAX_SET:
        return value
    order = np.lexsort((value.high, value.low), axis=-1)
    low = np.take_along_axis(value.low, order, -1)
    high = np.take_along_axis(value.high, order, -1)
    new = (low[..., 1:] != low[..., :-1]) | (high[..., 1:] != high[..., :-1])
    place = np.zeros(low.shape, int)
    place[..., 1:] = np.cumsum(new, -1)
    distinct = int(place.max(initial=0)) + 1
    if distinct > MAX_SET:
        return value.hull()
    kept_low, kept_high = (
        np.repeat(ends[..., -1:], distinct, axis=-1) for ends in (low, high)
    )
    np.put_along_axis(kept_low, place, low, -1)
    np.put_along_axis(kept_high, place, high, -1)
    return replace(value, low=kept_low, high=kept_high)


def _wider(ends: Array, count: int) -> Array:
    """Repeat the last interval until there are so many."""
    missing = count - ends.shape[-1]
    return np.concatenate([ends, *[ends[..., -1:]] * missing], axis=-1)


def _where(predicate: Any, on_true: Any, on_false: Any) -> Any:
    """Return one of two numbers or predicates, by a predicate."""
    dtype = _joint_dtype(on_true, on_false)
    choice, true, false = (lifted(one, dtype) for one in (predicate, on_true, on_false))
    holds, fails = choice.holds, choice.fails
    if isinstance(true, Truths):
        return settled(
            Truths(
                (holds & true.holds) | (fails & false.holds),
                (holds & true.fails) | (fails & false.fails),
            )
        )
    (*true, true_nan), (*false, false_nan) = _aligned(true, false)
    both = np.any(holds & fails)

    def either(one: Array, other: Array) -> Array:
        first = np.where(holds[..., None], one, other)
        if not both:
            return first
        second = np.where(fails[..., None], other, one)
        return np.concatenate(np.broadcast_arrays(first, second), axis=-1)

    low, high = map(either, true, false)
    nan = (holds & true_nan) | (fails & false_nan)
    return settled(_few(Intervals(low, high, nan, dtype)))


def _broadcast_arrays(*values: Any) -> tuple[Any, ...]:
    arrays = [as_array(one) for one in values]
    shape = np.broadcast_shapes(*(one.shape for one in arrays))
    return tuple(a if a.shape == shape else np.broadcast_to(a, shape) for a in arrays)


def _all(values: Any) -> bool:
    """Return whether all of some predicates surely hold."""
    return not np.any(values.fails)


def _take_along_axis(values: Any, places: Any, axis: int) -> Any:
    if not isinstance(places, Intervals):
        return _rearranged(np.take_along_axis, values, places, axis)
    key: list[Any] = [*np.indices(places.shape)]
    key[axis] = places
    return INTERVALS.items(values, tuple(key))


def _product_sum(lhs: Any, rhs: Any, axes: Any) -> Intervals:
    """Contract axes, one product after the other, with room for any order of sums."""
    left, right = _last_axis(lifted(lhs), axes[0]), _last_axis(lifted(rhs), axes[1])
    dtype, count = left.dtype, left.shape[-1]
    kept, others = left.shape[:-1], right.shape[:-1]
    left = left.reshape(*kept, *[1] * len(others), count).hull()
    right = right.hull()
    low: Any = np.zeros((*kept, *others, 1))
    high, size, nan = low, low, low[..., 0] > 0
    kind = _Kind(dtype, dtype)
    for place in range(count):
        one = _multiply(kind, left[..., place], right[..., place]).hull()
        low, high, nan = low + one.low, high + one.high, nan | one.nan
        size = size + np.maximum(np.abs(one.low), np.abs(one.high))
    if dtype.kind in "iu":
        return _finished(dtype, low, high, nan)
    slack = 2 * count * float(np.finfo(dtype).eps) * size if count > 1 else 0.0
    lost = ~np.isfinite(size)
    return Intervals(
        np.where(lost, -np.inf, _down(low - slack, count < 2, dtype)),
        np.where(lost, np.inf, _up(high + slack, count < 2, dtype)),
        nan | lost[..., 0],
        dtype,
    )


def _last_axis(value: Any, axes: Sequence[int]) -> Any:
    """Return an array with some axes moved to the end and made one."""
    kept = [axis for axis in range(value.ndim) if axis not in axes]
    moved = np.transpose(value, (*kept, *axes))
    return moved.reshape(*(value.shape[axis] for axis in kept), -1)


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
    """Data of an op that its rule reads.

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


class _Operands(NamedTuple):
    """The intervals of two operands, pair by pair."""

    a: Array
    b: Array
    c: Array
    d: Array
    nan: Array


def _pairs(kind: _Kind, lhs: Intervals, rhs: Intervals) -> _Operands:
    nan = lhs.nan | rhs.nan
    if kind.together or lhs.low.shape[-1] == rhs.low.shape[-1] == 1:
        return _Operands(lhs.low, lhs.high, rhs.low, rhs.high, nan)
    wide = lhs.low[..., :, None].shape, rhs.low[..., None, :].shape
    shape = np.broadcast_shapes(*wide)
    left = [np.broadcast_to(ends[..., :, None], shape) for ends in (lhs.low, lhs.high)]
    right = [np.broadcast_to(ends[..., None, :], shape) for ends in (rhs.low, rhs.high)]
    a, b, c, d = (ends.reshape(*shape[:-2], -1) for ends in (*left, *right))
    return _Operands(a, b, c, d, nan)


def _finished(dtype: DType, low: Array, high: Array, nan: Array) -> Intervals:
    """Return a result; an integer that may wrap can be any of its type."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        most = min(float(limits.max), 2.0**53)
        outside = (low < max(float(limits.min), -most)) | (high > most)
        low = np.where(outside, float(limits.min), low)
        high = np.where(outside, float(limits.max), high)
        nan = np.zeros_like(nan)
    return _few(Intervals(low, high, nan, dtype))


def _at_corners(
    corner: Corner, p: _Operands, dtype: DType, steps: int = 1
) -> Intervals:
    """Return what a function takes that is monotonic in each of its arguments."""
    with np.errstate(all="ignore"):
        found = [corner(x, y) for x in (p.a, p.b) for y in (p.c, p.d)]
        nan = p.nan | np.any([np.isnan(value) for value, _ in found], axis=(0, -1))
        # 0 * inf: the limits are among the other corners, or 0
        clean = [(np.where(np.isnan(value), 0, value), ok) for value, ok in found]
        low = np.minimum.reduce([_down(v, ok, dtype, steps) for v, ok in clean])
        high = np.maximum.reduce([_up(v, ok, dtype, steps) for v, ok in clean])
    return Intervals(low, high, nan, dtype)


def _unknown_where(where: Array, nan: Array, value: Intervals) -> Intervals:
    """Return numbers that are not known in some intervals, where they may be NaN."""
    return replace(
        value,
        low=np.where(where, -np.inf, value.low),
        high=np.where(where, np.inf, value.high),
        nan=value.nan | np.any(where & nan, axis=-1),
    )


def _add(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    with np.errstate(all="ignore"):
        low, high = p.a + p.c, p.b + p.d
        opposite = ((p.b == np.inf) & (p.c == -np.inf)) | (
            (p.a == -np.inf) & (p.d == np.inf)
        )
        low = _down(low, _is_exact_sum(p.a, p.c, low), dtype)
        high = _up(high, _is_exact_sum(p.b, p.d, high), dtype)
    nan = p.nan | opposite.any(axis=-1)
    low = np.where(np.isnan(low), -np.inf, low)
    high = np.where(np.isnan(high), np.inf, high)
    return _finished(dtype, low, high, nan)


def _negate(kind: _Kind, value: Intervals) -> Intervals:
    return _finished(kind.dtype, -value.high, -value.low, value.nan)


def _subtract(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
    return _add(kind, lhs, replace(rhs, low=-rhs.high, high=-rhs.low))


def _multiply(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    found = _at_corners(_product, p, dtype)
    if kind.together:
        crosses = (p.a < 0) & (p.b > 0)
        found = replace(found, low=np.where(crosses, 0.0, np.maximum(found.low, 0)))
    return _finished(dtype, found.low, found.high, found.nan)


def _divide(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    if dtype.kind != "f":
        return _anything(dtype, p.nan.shape)
    by_zero = (p.c <= 0) & (p.d >= 0)
    no_zero = p._replace(c=np.where(by_zero, 1, p.c), d=np.where(by_zero, 1, p.d))
    found = _at_corners(_quotient, no_zero, dtype)
    zero_by_zero = by_zero & (p.a <= 0) & (p.b >= 0)
    return _few(_unknown_where(by_zero, zero_by_zero, found))


def _pow(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
    p, dtype = _pairs(kind, lhs, rhs), kind.dtype
    if dtype.kind != "f":
        return _anything(dtype, p.nan.shape)
    is_whole = (p.c == p.d) & (p.c == np.floor(p.c)) & np.isfinite(p.c)
    known = (
        (p.a > 0) | (is_whole & ((p.c >= 0) | (p.b < 0))) | ((p.a >= 0) & (p.c >= 0))
    )
    base = [np.where(known, ends, 1) for ends in (p.a, p.b)]
    found = _at_corners(_power, p._replace(a=base[0], b=base[1]), dtype, SLOPPY)
    crosses = (p.a < 0) & (p.b > 0) & (p.c > 0)
    low = np.where(crosses, np.minimum(found.low, 0), found.low)
    return _few(_unknown_where(~known, ~is_whole, replace(found, low=low)))


def _remainder(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
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
    nan = p.nan | np.any(by_zero | np.isinf(dividend), axis=-1)
    return _finished(dtype, low, high, nan)


def _maximum(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
    p = _pairs(kind, lhs, rhs)
    low, high = np.maximum(p.a, p.c), np.maximum(p.b, p.d)
    return _few(Intervals(low, high, p.nan, kind.dtype))


def _minimum(kind: _Kind, lhs: Intervals, rhs: Intervals) -> Intervals:
    p = _pairs(kind, lhs, rhs)
    low, high = np.minimum(p.a, p.c), np.minimum(p.b, p.d)
    return _few(Intervals(low, high, p.nan, kind.dtype))


def _rising(
    function: Callable[[Array], Array],
    steps: int = SLOPPY,
    inside: tuple[float, float] = (-math.inf, math.inf),
) -> Callable[[_Kind, Intervals], Intervals]:
    """An op that does not fall where it is defined, and is NaN elsewhere."""

    def rule(kind: _Kind, value: Intervals) -> Intervals:
        dtype = kind.dtype
        outside = (value.low < inside[0]) | (value.high > inside[1])
        with np.errstate(all="ignore"):
            low, high = (
                function(np.clip(ends, *inside)) for ends in (value.low, value.high)
            )
            exact = steps == 0
            low, high = _down(low, exact, dtype, steps), _up(high, exact, dtype, steps)
        return Intervals(low, high, value.nan | outside.any(axis=-1), dtype)

    return rule


def _sqrt(kind: _Kind, value: Intervals) -> Intervals:
    dtype = kind.dtype
    with np.errstate(all="ignore"):
        low, high = (np.sqrt(np.maximum(e, 0)) for e in (value.low, value.high))
        exact = [_is_exact_product(r, r, r * r) for r in (low, high)]
        exact[0] &= low * low == value.low
        exact[1] &= high * high == value.high
    low = np.maximum(_down(low, exact[0], dtype), 0)
    high = _up(high, exact[1], dtype)
    return Intervals(low, high, value.nan | np.any(value.low < 0, axis=-1), dtype)


def _rsqrt(kind: _Kind, value: Intervals) -> Intervals:
    one = cast(Intervals, lifted(1.0, kind.dtype))
    # One op, rounded once: what it is off by more is the room of two roundings
    root = _sqrt(kind, value)
    return _divide(_Kind(kind.dtype, kind.dtype), one, root)


def _abs(kind: _Kind, value: Intervals) -> Intervals:
    """Return the absolute value; that of the smallest integer is itself."""
    crosses = (value.low < 0) & (value.high > 0)
    ends = np.abs(value.low), np.abs(value.high)
    low = np.where(crosses, 0, np.minimum(*ends))
    return _finished(kind.dtype, low, np.maximum(*ends), value.nan)


def _of_points(
    function: Callable[[Array], Array], low: float, high: float
) -> Callable[[_Kind, Intervals], Intervals]:
    """An op that is known where its operand is, and else within some limits."""

    def rule(kind: _Kind, value: Intervals) -> Intervals:
        dtype = kind.dtype
        known = (value.low == value.high) & np.isfinite(value.low)
        with np.errstate(all="ignore"):
            found = function(np.where(known, value.low, 0))
            below = np.maximum(_down(found, False, dtype, SLOPPY), low)
            above = np.minimum(_up(found, False, dtype, SLOPPY), high)
        nan = value.nan | np.any(np.isinf(value.low) | np.isinf(value.high), axis=-1)
        low_ends, high_ends = np.where(known, below, low), np.where(known, above, high)
        return Intervals(low_ends, high_ends, nan, dtype)

    return rule


def _clamp(
    kind: _Kind, lower: Intervals, value: Intervals, upper: Intervals
) -> Intervals:
    below, inner, above = (one.hull() for one in (lower, value, upper))
    low = np.minimum(np.maximum(inner.low, below.low), above.low)
    high = np.minimum(np.maximum(inner.high, below.high), above.high)
    return Intervals(low, high, lower.nan | value.nan | upper.nan, kind.dtype)


def _convert(kind: _Kind, value: Any) -> Any:
    dtype = kind.dtype
    if isinstance(value, Truths):
        if dtype.kind == "b":
            return value
        low, high = np.where(value.fails, 0.0, 1.0), np.where(value.holds, 1.0, 0.0)
        ends = np.stack([low, high], axis=-1)
        return Intervals(ends, ends, np.zeros(value.shape, bool), dtype)
    if dtype.kind == "b":
        return _compared("NE", _pairs(kind, value, lifted(0.0, dtype=value.dtype)))
    if dtype.kind == "f":
        low, high = _down(value.low, True, dtype), _up(value.high, True, dtype)
        return Intervals(low, high, value.nan, dtype)
    if kind.operand.kind in "iu":  # wraps
        return _finished(dtype, value.low, value.high, value.nan)
    limits = np.iinfo(dtype)
    sides: tuple[Array, Array] = value.low, value.high
    low, high = (
        np.clip(np.trunc(end), float(limits.min), float(limits.max)) for end in sides
    )
    low = np.where(value.nan[..., None], np.minimum(low, 0), low)
    high = np.where(value.nan[..., None], np.maximum(high, 0), high)
    return Intervals(low, high, np.zeros_like(value.nan), dtype)


def _compared(direction: str, p: _Operands) -> Truths:
    match direction:
        case "LT":
            holds, fails = p.a < p.d, p.b >= p.c
        case "LE":
            holds, fails = p.a <= p.d, p.b > p.c
        case "GT" | "GE":
            mirrored = p._replace(a=p.c, b=p.d, c=p.a, d=p.b)
            return _compared("LT" if direction == "GT" else "LE", mirrored)
        case "NE":
            return _not(None, _compared("EQ", p))
        case _:
            holds = (p.a <= p.d) & (p.c <= p.b)
            fails = ~((p.a == p.b) & (p.c == p.d) & (p.a == p.c))
    return Truths(np.any(holds, axis=-1), np.any(fails, axis=-1) | p.nan)


def _comparing(direction: str) -> Callable[[_Kind, Any, Any], Truths]:
    def rule(kind: _Kind, lhs: Any, rhs: Any) -> Truths:
        if isinstance(lhs, Truths):
            return _anything(np.dtype(bool), (lhs ^ rhs).shape)
        return _compared(direction, _pairs(kind, lhs, rhs))

    return rule


def _select(kind: _Kind, predicate: Any, on_true: Any, on_false: Any) -> Any:
    return _where(predicate, on_true, on_false)


def _not(kind: object, value: Truths) -> Truths:
    return Truths(value.fails, value.holds)


def _and(kind: object, lhs: Truths, rhs: Truths) -> Truths:
    return Truths(lhs.holds & rhs.holds, lhs.fails | rhs.fails)


def _or(kind: object, lhs: Truths, rhs: Truths) -> Truths:
    return Truths(lhs.holds | rhs.holds, lhs.fails & rhs.fails)


def _xor(kind: object, lhs: Truths, rhs: Truths) -> Truths:
    return Truths(
        (lhs.holds & rhs.fails) | (lhs.fails & rhs.holds),
        (lhs.holds & rhs.holds) | (lhs.fails & rhs.fails),
    )


def _is_finite(kind: _Kind, value: Intervals) -> Truths:
    infinite = np.any(np.isinf(value.low) | np.isinf(value.high), axis=-1)
    return Truths(np.ones_like(infinite), infinite | value.nan)


def _matrix_product(kind: object, lhs: Any, rhs: Any) -> Intervals:
    return _product_sum(lhs, rhs, ([lhs.ndim - 1], [0]))


def _square(kind: _Kind, value: Intervals) -> Intervals:
    size = _abs(kind, value)
    return _multiply(kind, size, size)


def _clip(value: Any, low: Any, high: Any) -> Any:
    limits = lifted(low, value.dtype), lifted(high, value.dtype)
    return settled(_clamp(_Kind(value.dtype, value.dtype), limits[0], value, limits[1]))


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
    hlo.LogisticOp: _rising(logistic),
    hlo.LogPlusOneOp: _rising(np.log1p, inside=(-1, math.inf)),
    hlo.MaximumOp: _maximum,
    hlo.MinimumOp: _minimum,
    hlo.MultiplyOp: _multiply,
    hlo.NegateOp: _negate,
    hlo.PowerOp: _pow,
    hlo.RemainderOp: _remainder,
    hlo.RoundNearestAfzOp: _rising(round_half_away, 0),
    hlo.RoundNearestEvenOp: _rising(np.rint, 0),
    hlo.RsqrtOp: _rsqrt,
    hlo.SignOp: _rising(np.sign, 0),
    hlo.SineOp: _of_points(np.sin, -1, 1),
    hlo.SqrtOp: _sqrt,
    hlo.SubtractOp: _subtract,
    hlo.TanhOp: _rising(np.tanh),
    CHLO["erf"]: _rising(erf),
    CHLO["square"]: _square,
}

_TRUTHS: dict[type[Operation], Callable[..., Any]] = {
    hlo.AndOp: _and,
    hlo.AddOp: _or,
    hlo.MultiplyOp: _and,
    hlo.ConvertOp: _convert,
    hlo.MaximumOp: _or,
    hlo.MinimumOp: _and,
    hlo.NotOp: _not,
    hlo.OrOp: _or,
    hlo.SelectOp: _select,
    hlo.XorOp: _xor,
}

_UFUNCS: dict[Any, Callable[..., Any]] = {
    **{function: _comparing(name) for name, function in COMPARISONS.items()},
    np.absolute: _abs,
    np.add: _add,
    np.bitwise_and: _and,
    np.bitwise_or: _or,
    np.bitwise_xor: _xor,
    np.floor: _rising(np.floor, 0),
    np.invert: _not,
    np.logical_and: _and,
    np.logical_or: _or,
    np.logical_xor: _xor,
    np.matmul: _matrix_product,
    np.multiply: _multiply,
    np.negative: _negate,
    np.subtract: _subtract,
}
"""Functions that an interpreter itself computes, with NumPy's names."""

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.all: _all,
    np.broadcast_arrays: _broadcast_arrays,
    np.clip: _clip,
    np.take_along_axis: _take_along_axis,
    np.tensordot: _product_sum,
    np.where: _where,
}

_REARRANGING = {
    *(np.broadcast_to, np.concatenate, np.expand_dims, np.moveaxis, np.repeat),
    *(np.reshape, np.stack, np.tile, np.transpose),
}


class _IntervalNumbers(Numbers):
    """Sets of numbers: `Intervals` for floats, and for what is not known."""

    def taken(self, values: Any, dtype: DType, op: Operation | None = None) -> Any:
        given = self.given(as_array(values), op)
        if dtype.kind == "f":
            return lifted(given).astype(dtype)
        return given.astype(dtype)

    def given(self, values: Any, op: Operation | None = None) -> Any:
        _refuse(values.dtype, op)
        return lifted(values) if values.dtype.kind == "f" else values

    def computed(self, reference: Reference, op: Operation, args: Any) -> Any:
        kind = _Kind.of(op)
        for dtype in kind[:2]:
            _refuse(dtype, op)
        is_known = all(isinstance(value, np.ndarray) for value in args)
        if is_known and "f" not in (kind.dtype.kind, kind.operand.kind):
            return reference(op, *args)
        several = [lifted(value) for value in args]
        rule = (_TRUTHS if kind.operand.kind == "b" else _NUMBERS).get(type(op))
        if isinstance(op, hlo.CompareOp):
            order = op.comparison_type
            if order is None or order.data != "TOTALORDER":
                rule = _comparing(op.comparison_direction.data)
        if rule is not None:
            return settled(rule(kind, *several))
        return _anything(kind.dtype, np.broadcast_shapes(*(s.shape for s in several)))

    def items(self, values: Any, key: tuple[Any, ...]) -> Any:
        axis = next((k for k, one in enumerate(key) if isinstance(one, Intervals)), -1)
        if axis < 0:
            return lifted(values)[key]
        place = key[axis]
        found, anywhere = None, np.zeros(place.shape, bool)
        for number in range(values.shape[axis]):
            here = place.may_be(number)
            if not here.any():
                continue
            fixed = np.full(place.shape, number)
            item = self.items(values, (*key[:axis], fixed, *key[axis + 1 :]))
            found = (
                item if found is None else _where(Truths(here, anywhere), item, found)
            )
            anywhere = anywhere | here
        nothing = np.zeros(place.shape, values.dtype)
        return settled(lifted(nothing if found is None else found))

    def replaced(self, values: Any, key: Any, new: Any) -> Any:
        if isinstance(values, np.ndarray) and isinstance(new, np.ndarray):
            return super().replaced(values, key, new)
        result = lifted(values).copy()
        result[key] = new
        return settled(result)

    def write(self, config: Any, site: Any, value: Any, where: Any) -> None:
        if isinstance(site, Intervals):
            only = np.all(site.low == site.high, axis=-1) & (site.low.shape[-1] == 1)
            for number in range(config.shape[-1]):
                may = Truths(site.may_be(number), ~(only & site.may_be(number)))
                here = np.full(site.shape, number)
                self.write(config, here, value, may & where)
            return
        chosen = cast(Truths, lifted(where))
        meant = np.nonzero(chosen.holds)
        key = (*meant, site[meant])
        old, new = config[key], lifted(value)[meant]
        config[key] = _where(chosen[meant], new, old)

    def entry(self, number: Any, count: int) -> tuple[Any, Any]:
        value = cast(Intervals, lifted(number))
        low = np.maximum(np.ceil(value.low), 0)
        high = np.minimum(np.floor(value.high), count - 1)
        empty = low > high
        point = (value.low == value.high) & (low == value.low) & ~empty
        found = Truths(~empty.all(-1), ~point.all(-1) | value.nan)
        some = np.argmin(empty, axis=-1)[..., None]
        low, high = (
            np.where(empty, np.take_along_axis(ends, some, -1), ends)
            for ends in (low, high)
        )
        nowhere = empty.all(-1, keepdims=True)
        low, high = (np.where(nowhere, NO_SITE, ends) for ends in (low, high))
        place = Intervals(low, high, np.zeros(value.shape, bool), np.dtype(np.int64))
        return settled(place), settled(found)

    def is_whole(self, number: Any) -> Any:
        value = cast(Intervals, lifted(number))
        known = (value.low == value.high) & (value.low == np.floor(value.low))
        return settled(Truths(np.ones(value.shape, bool), ~known.all(-1)))

    def place(
        self, space: LocalSpace, real: DType, value: Any, site: Any
    ) -> tuple[Any, Any]:
        value, site = _broadcast_arrays(lifted(value), site)
        shape: tuple[int, ...] = value.shape
        kinds, number = space.kinds
        is_known = isinstance(site, np.ndarray)
        outside = site == NO_SITE if is_known else site.may_be(NO_SITE)
        may = np.zeros(shape, bool)
        for kind, allowed in enumerate(kinds):
            values = np.asarray(allowed, real).astype(np.float64)
            nearest = np.searchsorted(values, np.asarray(value.low))
            padded = np.append(values, np.inf)
            within = padded[nearest] <= value.high
            exactly = (padded[nearest] == value.low) & (value.low == value.high)
            if not is_known:
                own = np.zeros(shape, bool)
                for one in np.flatnonzero(np.asarray(number) == kind):
                    own |= site.may_be(one)
            else:
                own = (site != NO_SITE) & (number[site] == kind)
            may = may | (own & within.any(-1))
            outside = outside | (own & ~(exactly.all(-1) & ~value.nan))
        places = lifted(np.arange(max(map(len, kinds))))
        low = np.broadcast_to(places.low[:, 0], (*shape, len(places)))
        place = _few(Intervals(low, low, np.zeros(shape, bool), places.dtype))
        return place, settled(Truths(may, outside))

    def value_at(self, space: LocalSpace, real: DType, place: Any, site: Any) -> Any:
        allowed = any_configuration(space, real)
        shape = np.broadcast_shapes(place.shape, site.shape)
        return self.items(allowed, (np.broadcast_to(site, shape),))

    def is_inside(
        self, space: LocalSpace, real: DType, config: Any, source: Any
    ) -> Any:
        _, allowed = self.place(space, real, config, np.arange(space.sites))
        return lifted(allowed | (config == source)).all(axis=-1)

    def conserves(self, space: LocalSpace, config: Any, source: Any, asked: Any) -> Any:
        unknown = _anything(np.dtype(bool), (len(config),))
        return unknown if space.sums else np.ones(len(config), bool)

    def compacted(
        self, valid: Any, lanes: int, parts: Sequence[Any]
    ) -> tuple[Any, list[Any], Any]:
        if not isinstance(valid, Truths):
            order = np.argsort(~valid, axis=1, kind="stable")[:, :lanes]
            each = np.arange(len(order))[:, None]
            kept = [lifted(part)[each, order] for part in parts]
            return valid[each, order], kept, valid.sum(axis=1) > lanes
        # A valid lane that is kept is itself, or one of those that come after it
        least, most = (~valid.fails).sum(1), valid.holds.sum(1)
        after = np.flip(np.logical_or.accumulate(np.flip(valid.holds, 1), 1), 1)
        fails = least[:, None] <= np.arange(lanes)
        kept = [np.stack([_any_of(p, k) for k in range(lanes)], 1) for p in parts]
        broken = settled(Truths(most > lanes, least <= lanes))
        return settled(Truths(after[:, :lanes], fails)), kept, broken


def _any_of(part: Any, first: int) -> Any:
    """Return one of the lanes from the first on."""
    found = lifted(part)[:, first]
    for lane in range(first + 1, part.shape[1]):
        either = _anything(np.dtype(bool), found.shape)
        found = lifted(_where(either, found, part[:, lane]))
    return found


INTERVALS = _IntervalNumbers()


def any_configuration(space: LocalSpace, real: DType) -> Intervals:
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
    return Intervals(low, high, np.zeros(space.sites, bool), real)


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
    operator = the_operator(operator)
    _refuse_complex(operator)
    outer = _bind(operator, parameters or {})
    return {term.sym_name.data: _bounds(term, outer) for term in operator.terms}


def _refuse_complex(operator: sym.OperatorOp) -> None:
    if isinstance(operator.element, ComplexType):
        raise ComplexNumbers(operator)
    for op in operator.walk():
        for value in (*op.operands, *op.results):
            if isinstance(value.type, TensorType):
                _refuse(dtype_of(element_of(value)), op)


def _bind(operator: sym.OperatorOp, given: Ranges) -> list[Any]:
    names = [name.data for name in operator.parameter_names]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"there are no parameters {unknown}; the operator has {names}")
    bound: list[Any] = []
    arguments = zip(operator.body.block.args, operator.defaults, strict=True)
    for name, (argument, default) in zip(names, arguments, strict=True):
        dtype = dtype_of(element_of(argument))
        if name in given:
            bound.append(_parameter(name, given[name], dtype))
        elif isinstance(default, UnitAttr):
            bound.append(_anything(dtype))
        else:
            bound.append(INTERVALS.given(to_numpy(default)))
    return bound


def _parameter(
    name: str, value: float | tuple[float, float], dtype: DType
) -> Intervals:
    ends = np.asarray(value, np.float64).ravel()
    if len(ends) not in (1, 2) or np.isnan(ends).any() or ends[0] > ends[-1]:
        raise ValueError(f'parameter "{name}" is no number and no interval: {value!r}')
    return Intervals.between(ends[0], ends[-1], dtype)


class _Emission(NamedTuple):
    """Bounds of a branch at some rows: x', amplitude and validity."""

    config: Intervals
    amplitude: Intervals
    valid: Truths


class _Rows(SymInterpreter):
    """Runs the body of a term at some rows, and keeps what its branches can be.

    Attributes:
        reads: the local values that are read, with their sites.
        emitted: the branches, in order.
    """

    def __init__(
        self,
        term: sym.TermOp,
        outer: Sequence[Any],
        rows: Array,
        given: Mapping[SSAValue, Any],
    ):
        super().__init__(ModuleOp([]))
        self.register_implementations(StableHLOFunctions())
        self.register_implementations(SymFunctions())
        interpret_with(self, INTERVALS)
        operator = sym.operator_of(term)
        self.term, self.rows, self.given = term, rows, given
        self.space = operator.space.data
        self.real = dtype_of(operator.element)
        self.reads: dict[SSAValue, tuple[Any, Any]] = {}
        self.emitted: list[_Emission] = []
        samples = any_configuration(self.space, self.real)[None]
        run_rows(self, term, samples, outer, rows)

    def _run_op(self, op: Operation, inputs: PythonValues) -> OpImplResult:
        if isinstance(op, sym.EmitOp):
            config, amplitude, *predicate = (values_of(value) for value in inputs)
            valid: Any = Truths(np.ones(len(self.rows), bool), np.zeros(1, bool))
            for holds in (*predicate, *(defined_of(value) for value in inputs)):
                valid = valid & holds
            wide: Any = np.broadcast_to(lifted(amplitude), len(self.rows))
            self.emitted.append(_Emission(config, wide, lifted(valid)))
            return OpImplResult((), None)
        if op.results and op.results[0] in self.given:
            return OpImplResult((self.given[op.results[0]],), None)
        found = super()._run_op(op, inputs)
        if isinstance(op, sym.ReadOp):
            self.reads[op.result] = values_of(inputs[1]), found.values[0]
        return found

    def in_space(self, value: Any, site: Any) -> Truths:
        """Return whether values are allowed at their sites."""
        return lifted(INTERVALS.place(self.space, self.real, value, site)[1])


Evaluate: TypeAlias = Callable[[Mapping[SSAValue, Any]], _Rows]


def _bounds(term: sym.TermOp, outer: Sequence[Any]) -> list[Bounds]:
    rows = term.rows.data.rows
    sites = sym.operator_of(term).space.data.sites
    size = max(1, MAX_NUMBERS // (sites * MAX_SET))
    parts: list[list[Bounds]] = []
    for start in range(0, rows, size):
        numbers = np.arange(start, min(rows, start + size))

        def evaluate(given: Mapping[SSAValue, Any], numbers: Array = numbers) -> _Rows:
            return _Rows(term, outer, numbers, given)

        first = evaluate({})
        emissions = enumerate(term.emissions)
        parts.append([_bounds_of(evaluate, first, e, k) for k, e in emissions])
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
    evaluate: Evaluate, first: _Rows, emission: sym.EmitOp, number: int
) -> Bounds:
    narrowed, alive = _narrowed(evaluate, first, emission, number)
    found = evaluate(narrowed) if narrowed else first
    config, _, valid = first.emitted[number]
    alive = alive & valid.holds
    if not alive.any():
        return Bounds(0.0, 0.0, False)
    always = ~valid.fails & _stays(first, emission, config)
    amplitude = found.emitted[number].amplitude
    low, high = amplitude.low[alive].min(), amplitude.high[alive].max()
    return Bounds(float(low), float(high), bool(always.all()) or None)


def _narrowed(
    evaluate: Evaluate, first: _Rows, emission: sym.EmitOp, number: int
) -> tuple[dict[SSAValue, Any], Array]:
    """Return the reads without the values at which the branch is not valid.

    And where the branch may be valid at all.
    """
    block, rows = first.term.body.block, len(first.rows)
    reads = [op for op in block.ops if isinstance(op, sym.ReadOp)]
    alive = np.ones(rows, bool)
    narrowed: dict[SSAValue, Any] = {}
    found = {op: values_of(first.reads[op.result][1]) for op in reads}
    if sum(value.low.shape[-1] for value in found.values()) > MAX_CASES:
        return narrowed, alive
    for op, value in found.items():
        site, read = first.reads[op.result]

        def case(low: Array, high: Array, value: Any = value, read: Any = read) -> Any:
            new = replace(value, low=low, high=high)
            return replace(read, values=new) if isinstance(read, Partial) else new

        kept = np.ones((rows, value.low.shape[-1]), bool)
        for place in range(kept.shape[1]):
            ends = (e[:, place : place + 1] for e in (value.low, value.high))
            one = case(*ends)
            if emission.predicate is not None:
                kept[:, place] &= evaluate({op.result: one}).emitted[number].valid.holds
            if op.config is emission.config:
                kept[:, place] &= first.in_space(values_of(one), site).holds
        alive &= kept.any(axis=1)
        some = kept.argmax(axis=1)[:, None]
        narrowed[op.result] = case(
            *(
                np.where(kept, ends, np.take_along_axis(ends, some, 1))
                for ends in (value.low, value.high)
            )
        )
    return narrowed, alive


def _stays(found: _Rows, emission: sym.EmitOp, config: Intervals) -> Any:
    """Return where x' is surely in the space."""
    if emission.config is found.term.source:
        return True
    if found.space.sums:
        return False
    return ~found.in_space(config, np.arange(found.space.sites)).fails.any(axis=-1)


# endregion
