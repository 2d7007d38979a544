"""Arrays: StableHLO written as NumPy is, one op for each operation.

What is computed of arrays is inserted where their `Inserter` is. Shapes are broadcast
as NumPy does, types are not: both sides of an operation have one element type, and a
Python number takes that of the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from xdsl.builder import Builder
from xdsl.dialects.builtin import ComplexType, DenseArrayBase, i1, i64
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.rewriter import InsertPoint
from xdsl_jax.dialects import stablehlo as hlo

from dialects import stablehlo
from dialects.stablehlo import element_of, shape_of, tensor
from lowering.rewriting import Inserter

Number: TypeAlias = "complex | npt.ArrayLike"


@dataclass(frozen=True, eq=False)
class Array:
    """A tensor value, and where ops on it are inserted."""

    value: SSAValue
    insert: Inserter

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.value)

    @property
    def element(self) -> Attribute:
        return element_of(self.value)

    @property
    def is_complex(self) -> bool:
        return isinstance(self.element, ComplexType)

    def of(self, op: Operation) -> Array:
        """Insert an op and return its first result."""
        return Array(self.insert.add(op), self.insert)

    def like(self, number: Number) -> Array:
        """Return a constant of the element type."""
        return array(self.insert, number, self.element)

    # region Elements

    def _array(self, other: Array | Number) -> Array:
        return other if isinstance(other, Array) else self.like(other)

    def _binary(self, kind: type[Operation], other: Array | Number) -> Array:
        lhs, rhs = _together(self, self._array(other))
        return lhs.of(
            kind.create(operands=[lhs.value, rhs.value], result_types=[lhs.value.type])
        )

    def __add__(self, other: Array | Number) -> Array:
        return self._binary(hlo.AddOp, other)

    def __sub__(self, other: Array | Number) -> Array:
        return self._binary(hlo.SubtractOp, other)

    def __mul__(self, other: Array | Number) -> Array:
        return self._binary(hlo.MultiplyOp, other)

    def __truediv__(self, other: Array | Number) -> Array:
        return self._binary(hlo.DivideOp, other)

    def __radd__(self, other: Number) -> Array:
        return self.like(other) + self

    def __rsub__(self, other: Number) -> Array:
        return self.like(other) - self

    def __rmul__(self, other: Number) -> Array:
        return self.like(other) * self

    def __rtruediv__(self, other: Number) -> Array:
        return self.like(other) / self

    def __floordiv__(self, other: Array | Number) -> Array:
        """Return a quotient of integers, which are not negative."""
        return self._binary(hlo.DivideOp, other)

    def __mod__(self, other: Array | Number) -> Array:
        """Return a remainder of integers, which are not negative."""
        return self._binary(hlo.RemainderOp, other)

    def __and__(self, other: Array) -> Array:
        return self._binary(hlo.AndOp, other)

    def __or__(self, other: Array) -> Array:
        return self._binary(hlo.OrOp, other)

    def shifted_right(self, bits: int) -> Array:
        """Return integers without so many of their last bits, with zeros before."""
        return self._binary(hlo.ShiftRightLogicalOp, bits)

    def __neg__(self) -> Array:
        return self._unary(hlo.NegateOp)

    def __invert__(self) -> Array:
        return self._unary(hlo.NotOp)

    def maximum(self, other: Array | Number) -> Array:
        return self._binary(hlo.MaximumOp, other)

    def minimum(self, other: Array | Number) -> Array:
        return self._binary(hlo.MinimumOp, other)

    def compared(self, direction: str, other: Array | Number) -> Array:
        """Return a predicate: EQ, NE, LT, LE, GT or GE."""
        lhs, rhs = _together(self, self._array(other))
        return lhs.of(stablehlo.compare(direction, lhs.value, rhs.value))

    def where(self, on_true: Array, on_false: Array | Number) -> Array:
        """Return elements of two arrays, as this predicate says."""
        on_true, other = _together(on_true, on_true._array(on_false))
        shape = np.broadcast_shapes(self.shape, on_true.shape)
        sides = [one.broadcast(shape).value for one in (self, on_true, other)]
        return self.of(stablehlo.select(*sides))

    def _unary(self, kind: type[Operation]) -> Array:
        op = kind.create(operands=[self.value], result_types=[self.value.type])
        return self.of(op)

    def exp(self) -> Array:
        return self._unary(hlo.ExponentialOp)

    def log(self) -> Array:
        return self._unary(hlo.LogOp)

    def log1p(self) -> Array:
        return self._unary(hlo.LogPlusOneOp)

    def cos(self) -> Array:
        return self._unary(hlo.CosineOp)

    def sin(self) -> Array:
        return self._unary(hlo.SineOp)

    def tanh(self) -> Array:
        return self._unary(hlo.TanhOp)

    def logistic(self) -> Array:
        return self._unary(hlo.LogisticOp)

    def _real_part(self, kind: type[Operation]) -> Array:
        element = self.element
        if isinstance(element, ComplexType):
            element = cast(Attribute, element.element_type)
        op = kind.create(
            operands=[self.value], result_types=[tensor(element, self.shape)]
        )
        return self.of(op)

    def abs(self) -> Array:
        return self._real_part(hlo.AbsOp)

    @property
    def real(self) -> Array:
        return self._real_part(hlo.RealOp) if self.is_complex else self

    @property
    def imag(self) -> Array:
        return self._real_part(hlo.ImagOp)

    def is_finite(self) -> Array:
        if self.is_complex:
            return self.real.is_finite() & self.imag.is_finite()
        return self.of(hlo.IsFiniteOp(self.value, tensor(i1, self.shape)))

    def is_nan(self) -> Array:
        if self.is_complex:
            return self.real.is_nan() | self.imag.is_nan()
        return self.compared("NE", self)

    def inside(self, insert: Inserter) -> Array:
        """Return the array, to be used where another inserter is."""
        return Array(self.value, insert)

    def astype(self, element: Attribute) -> Array:
        if element == self.element:
            return self
        return self.of(stablehlo.convert(self.value, element))

    # endregion
    # region Axes

    def broadcast(
        self, shape: Sequence[int], dims: Sequence[int] | None = None
    ) -> Array:
        """Return the array in a shape; its last axes are those of NumPy's rules."""
        if tuple(shape) == self.shape:
            return self
        if dims is None:
            dims = range(len(shape) - len(self.shape), len(shape))
        op = stablehlo.broadcast_in_dim(self.value, shape, list(dims))
        return self.of(op)

    def reshape(self, *shape: int) -> Array:
        """Return the array in a shape, of which one length may be -1."""
        if -1 in shape:
            known = prod(one for one in shape if one >= 0)
            rest = prod(self.shape) // max(1, known)
            shape = tuple(rest if one < 0 else one for one in shape)
        return (
            self
            if shape == self.shape
            else self.of(stablehlo.reshape(self.value, shape))
        )

    def transpose(self, *order: int) -> Array:
        """Return the array with axes in an order; axis k is that of number order[k]."""
        if list(order) == sorted(order):
            return self
        shape = [self.shape[axis] for axis in order]
        op = hlo.TransposeOp.create(
            operands=[self.value],
            result_types=[tensor(self.element, shape)],
            properties={"permutation": DenseArrayBase.from_list(i64, list(order))},
        )
        return self.of(op)

    def reduce(self, kind: type[Operation], initial: Number, axis: int) -> Array:
        def combine(one: SSAValue, other: SSAValue) -> Operation:
            return kind.create(operands=[one, other], result_types=[one.type])

        start = self.like(initial).value
        op = stablehlo.reduce(self.value, start, axis % len(self.shape), combine)
        return self.of(op)

    def sum(self, axis: int) -> Array:
        return self.reduce(hlo.AddOp, 0, axis)

    def prod(self, axis: int) -> Array:
        return self.reduce(hlo.MultiplyOp, 1, axis)

    def max(self, axis: int, initial: float) -> Array:
        return self.reduce(hlo.MaximumOp, initial, axis)

    def any(self, axis: int) -> Array:
        return self.reduce(hlo.OrOp, False, axis)

    def all(self, axis: int) -> Array:
        return self.reduce(hlo.AndOp, True, axis)

    def padded(self, missing: int, filling: float) -> Array:
        """Return the array with so many more elements along its last axis."""
        if not missing:
            return self
        more = self.like(filling).broadcast((*self.shape[:-1], missing), [])
        return concatenated([self, more], -1)

    def at(self, index: Array, axis: int = 0) -> Array:
        """Return the entry of a number along an axis; it is one of those there are."""
        zero = index.like(0)
        starts = [
            index.value if n == axis else zero.value for n in range(len(self.shape))
        ]
        sizes = [1 if n == axis else size for n, size in enumerate(self.shape)]
        op = dynamic_slice(self.value, starts, sizes)
        rest = [size for n, size in enumerate(self.shape) if n != axis]
        return self.of(op).reshape(*rest)

    def entry(self, number: int) -> Array:
        """Return an entry along the first axis, of a number that is known."""
        return self.slice(number, number + 1).reshape(*self.shape[1:])

    def slice(self, start: int, stop: int, axis: int = 0) -> Array:
        """Return the entries from one number to before another along an axis."""
        axis %= len(self.shape)
        if (start, stop) == (0, self.shape[axis]):
            return self
        bounds = [(0, length) for length in self.shape]
        bounds[axis] = (start, stop)
        starts, stops = zip(*bounds, strict=True)
        shape = [high - low for low, high in bounds]
        op = hlo.SliceOp.create(
            operands=[self.value],
            result_types=[tensor(self.element, shape)],
            properties={
                name: DenseArrayBase.from_list(i64, list(numbers))
                for name, numbers in (
                    ("start_indices", starts),
                    ("limit_indices", stops),
                    ("strides", [1] * len(shape)),
                )
            },
        )
        return self.of(op)

    def part(self, start: Array, size: int) -> Array:
        """Return so many entries along the first axis from a number on."""
        sizes = [size, *self.shape[1:]]
        starts = [start.value, *(start.like(0).value for _ in self.shape[1:])]
        return self.of(dynamic_slice(self.value, starts, sizes))

    def columns(self, start: int, stop: int) -> Array:
        """Return the columns (.., start:stop) of a matrix."""
        return self.of(stablehlo.slice_columns(self.value, start, stop))

    # endregion

    def constant(self, number: Number, element: Attribute) -> Array:
        """Return a constant of another element type."""
        return array(self.insert, number, element)


def dynamic_slice(
    value: SSAValue, starts: Sequence[SSAValue], sizes: Sequence[int]
) -> Operation:
    """Build a slice of so many entries along each axis, from places that are values."""
    return hlo.DynamicSliceOp.create(
        operands=[value, *starts],
        result_types=[tensor(element_of(value), sizes)],
        properties={"slice_sizes": DenseArrayBase.from_list(i64, list(sizes))},
    )


def array(insert: Inserter, number: Number, element: Attribute) -> Array:
    """Return a constant."""
    return Array(insert.add(stablehlo.constant(np.asarray(number), element)), insert)


def zeros(insert: Inserter, element: Attribute, shape: Sequence[int]) -> Array:
    """Return zeros of a shape."""
    return array(insert, 0, element).broadcast(shape, [])


def iota(
    insert: Inserter, element: Attribute, shape: Sequence[int], axis: int
) -> Array:
    """Return the number of each element along an axis."""
    return Array(insert.add(stablehlo.iota(element, shape, axis)), insert)


def chosen(number: Array, ways: Sequence[Callable[[Inserter], Array]]) -> Array:
    """Return the result of the way of a number; others are not computed."""
    if len(ways) == 1:
        return ways[0](number.insert)
    regions: list[Region] = []
    kinds: list[Attribute] = []
    for way in ways:
        block = Block()
        insert = Inserter(Builder(InsertPoint.at_end(block)), number.insert.location)
        found = way(insert)
        insert.add_op(hlo.ReturnOp([found.value]))
        kinds.append(found.value.type)
        regions.append(Region(block))
    op = hlo.CaseOp.create(
        operands=[number.value], result_types=[kinds[0]], regions=regions
    )
    return number.of(op)


def concatenated(arrays: Sequence[Array], axis: int) -> Array:
    """Return arrays behind each other along an axis."""
    first = arrays[0]
    axis %= len(first.shape)
    return first.of(stablehlo.concatenate([one.value for one in arrays], axis))


def _together(lhs: Array, rhs: Array) -> tuple[Array, Array]:
    """Return two arrays in the shape that NumPy's rules say."""
    assert lhs.element == rhs.element, f"{lhs.value.type} and {rhs.value.type}"
    shape = np.broadcast_shapes(lhs.shape, rhs.shape)
    return lhs.broadcast(shape), rhs.broadcast(shape)
