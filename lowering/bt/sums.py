"""Sums over lanes, with what all lanes have in common taken out of them.

What is left in a sum is often a product of local values, which are small integers. So
sums of products are taken apart, too: sum(c v + d w) = c sum(v) + d sum(w). Where
factors are finite that changes no more than rounding does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product
from typing import cast

import numpy as np
from xdsl.dialects.builtin import ComplexType, i32
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import bt
from dialects.origins import LaneOrigins
from dialects.reductions import ReductionKind
from dialects.stablehlo import (
    AddOp,
    ConvertOp,
    MultiplyOp,
    NegateOp,
    SubtractOp,
    compare,
    constant,
    constant_of,
    convert,
    dtype_of,
    element_of,
    select,
    shape_of,
    tensor,
)
from lowering.bt.lanes import lane_count, repeated
from lowering.order import operands_first
from lowering.rewriting import Inserter

MAX_PRODUCTS = 4
"""An amplitude is taken apart into so many products at most."""


@dataclass(frozen=True)
class _Product:
    """A part of an amplitude: what all lanes have in common, times what differs."""

    factors: tuple[SSAValue, ...]
    """Each a scalar, or (batch)."""
    rest: SSAValue | None
    """(lanes) or (batch, lanes); None for 1."""


_Products = tuple[_Product, ...]


@dataclass
class LaneSums:
    """Builds sums over lanes, before `bt-specialize`.

    Attributes:
        element: the element type of matrix elements.
        at: where the sums are built.
    """

    element: Attribute
    at: Inserter

    # region What can be asked for

    def of(self, branches: SSAValue) -> SSAValue:
        """Return the sum of the matrix elements of `bt.branches` or `bt.compact`.

        It is a scalar, or (batch).
        """
        op = branches.owner
        if isinstance(op, bt.CompactOp):
            return self._of_promised(op)
        self.at.location = cast(Operation, op).location
        op = cast(bt.BranchesOp, op)
        return self.of_lanes(op.amplitude, op.valid, lane_count(branches))

    def of_lanes(
        self, amplitude: SSAValue, valid: SSAValue | None, lanes: int
    ) -> SSAValue:
        """Return the sum of the amplitudes of valid lanes."""
        if valid is not None:
            return self._of_valid(amplitude, valid, lanes)
        products = self._products(amplitude, MAX_PRODUCTS)
        return self.added([self._total(one, lanes) for one in products])

    def added(self, sums: Iterable[SSAValue]) -> SSAValue:
        """Return the sum of sums, of which there is one at least."""
        return reduce(lambda a, b: self._elementwise(AddOp, a, b), sums)

    def origins_of(self, summed: Sequence[SSAValue]) -> LaneOrigins | None:
        """Return the origins of a lane that holds a sum; None if some are unknown."""
        parts = [bt.origins_of(branches) for branches in summed]
        known = [part for part in parts if part is not None]
        return LaneOrigins.joined(known).in_one() if len(known) == len(parts) else None

    def as_lane(self, total: SSAValue) -> SSAValue:
        """Return a sum as the amplitude of a single lane."""
        if not shape_of(total):
            return total
        wide = tensor(element_of(total), (*shape_of(total), 1))
        return self.at.add(bt.BroadcastOp(total, [0], wide))

    # endregion
    # region Lanes that may not be valid

    def _of_valid(self, amplitude: SSAValue, valid: SSAValue, lanes: int) -> SSAValue:
        (one,) = self._products(amplitude, 1)
        values = one.rest
        if values is None:
            values = self._number(1, self.element)
        zero = self._number(0, element_of(values))
        chosen = self._lifted(self._elementwise(select, valid, values, zero), lanes)
        total = self._total(_Product(one.factors, chosen), lanes)
        if all(map(_is_finite_constant, one.factors)):
            return total
        # Of no lane at all it is 0, and not infinity times that
        some = self._reduced(ReductionKind.ANY, self._lifted(valid, lanes))
        return self._elementwise(select, some, total, self._number(0, self.element))

    def _of_promised(self, op: bt.CompactOp) -> SSAValue:
        """Return the sum of a term with a fanout: NaN where that is broken."""
        parts = [leaf.result for leaf in bt.leaves_of(op.operand)]
        total = self.added([self.of(part) for part in parts])
        self.at.location = op.location
        counts = [self._count_of_valid(part) for part in parts]
        count = reduce(lambda a, b: self._elementwise(AddOp, a, b), counts)
        promised = self._number(lane_count(op.result), i32)
        is_broken = self._elementwise(partial(compare, "GT"), count, promised)
        broken = self._number(np.nan, self.element)
        return self._elementwise(select, is_broken, broken, total)

    def _count_of_valid(self, branches: SSAValue) -> SSAValue:
        op, lanes = cast(bt.BranchesOp, branches.owner), lane_count(branches)
        if op.valid is None:
            return self._number(lanes, i32)
        valid = self._lifted(op.valid, lanes)
        return self._reduced(ReductionKind.SUM, self.at.add(convert(valid, i32)))

    # endregion
    # region Products

    def _products(self, amplitude: SSAValue, limit: int) -> _Products:
        """Return products that add up to an amplitude, `limit` at most."""
        known: dict[SSAValue, _Products] = {}
        for value in operands_first(amplitude, _needs):
            known[value] = self._split(value, known, limit)
        return known[amplitude]

    def _split(
        self, value: SSAValue, known: dict[SSAValue, _Products], limit: int
    ) -> _Products:
        op = value.owner
        if not shape_of(value):
            return (_Product((value,), None),)
        array = constant_of(value)
        if array is not None and array.size and (array == array.flat[0]).all():
            return (_Product((self._number(array.flat[0], element_of(value)),), None),)
        itself = (_Product((), value),)
        match op:
            case bt.BroadcastOp():
                return self._split_broadcast(op, known)
            case NegateOp():
                minus = self._number(-1, element_of(value))
                return tuple(
                    _Product((*one.factors, minus), one.rest)
                    for one in known[op.operand]
                )
            case ConvertOp() if _widens(op):
                return known[op.operand]
            case MultiplyOp():
                pairs = list(product(known[op.lhs], known[op.rhs]))
                return self._multiplied(op, pairs) if len(pairs) <= limit else itself
            case AddOp() | SubtractOp():
                rhs = known[op.rhs]
                parts = (*known[op.lhs], *rhs)
                factors = [factor for one in parts for factor in one.factors]
                if len(parts) > limit or all(map(_is_whole_constant, factors)):
                    return itself
                if isinstance(op, AddOp):
                    return parts
                minus = self._number(-1, element_of(value))
                turned = (_Product((*one.factors, minus), one.rest) for one in rhs)
                return (*known[op.lhs], *turned)
            case _:
                return itself

    def _split_broadcast(
        self, op: bt.BroadcastOp, known: dict[SSAValue, _Products]
    ) -> _Products:
        if _lanes_of(op):
            return known[op.operand]
        if shape_of(op.operand) in ((), (bt.BATCH,)):
            return (_Product((op.operand,), None),)
        return (_Product((), op.operand),)

    def _multiplied(
        self, op: MultiplyOp, pairs: Sequence[tuple[_Product, _Product]]
    ) -> _Products:
        found: list[_Product] = []
        for one, other in pairs:
            rests = [rest for rest in (one.rest, other.rest) if rest is not None]
            if rests == [op.lhs, op.rhs]:
                rest = op.result
            else:
                rest = reduce(self._multiply, rests) if rests else None
            found.append(_Product((*one.factors, *other.factors), rest))
        return tuple(found)

    def _total(self, one: _Product, lanes: int) -> SSAValue:
        """Return the sum of a product over the lanes."""
        if one.rest is None:
            total = self._number(lanes, self.element)
        elif (array := constant_of(one.rest)) is not None:
            total = self._number(array.sum(), element_of(one.rest))
        else:
            total = self._reduced(ReductionKind.SUM, one.rest)
        factors = sorted(one.factors, key=lambda value: len(shape_of(value)))
        if factors:
            total = self._multiply(reduce(self._multiply, factors), total)
        return self._converted(total, self.element)

    def _multiply(self, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        element = max(element_of(lhs), element_of(rhs), key=_rank)
        lhs, rhs = self._converted(lhs, element), self._converted(rhs, element)
        return self._elementwise(MultiplyOp, lhs, rhs)

    # endregion
    # region Values

    def _number(self, value: complex, element: Attribute) -> SSAValue:
        return self.at.add(constant(np.array(value), element))

    def _converted(self, value: SSAValue, element: Attribute) -> SSAValue:
        if element_of(value) == element:
            return value
        return self.at.add(convert(value, element))

    def _reduced(self, kind: ReductionKind, value: SSAValue) -> SSAValue:
        return self.at.add(bt.ReduceOp(kind, value))

    def _lifted(self, value: SSAValue, lanes: int) -> SSAValue:
        """Give a value its lanes."""
        shape = shape_of(value)
        return value if shape[-1:] == (lanes,) else repeated(value, (lanes,), self.at)

    def _elementwise(
        self, build: Callable[..., Operation], *operands: SSAValue
    ) -> SSAValue:
        """Insert an elementwise op on values that are repeated to one shape."""
        shapes = [shape_of(operand) for operand in operands]
        lanes = next((s[-1:] for s in shapes if s and s[-1] != bt.BATCH), ())
        batch = next((s[:1] for s in shapes if s and s[0] == bt.BATCH), ())
        shape = (*batch, *lanes)
        return self.at.add(build(*[repeated(v, shape, self.at) for v in operands]))

    # endregion


def _lanes_of(op: Operation) -> Sequence[SSAValue]:
    """Return the operand of a broadcast of what is the same for all samples."""
    if not isinstance(op, bt.BroadcastOp):
        return ()
    shape = shape_of(op.operand)
    return op.operands if len(shape) == 1 and shape[0] != bt.BATCH else ()


def _needs(op: Operation) -> Sequence[SSAValue]:
    """Return the operands that products are taken from."""
    if isinstance(op, bt.BroadcastOp):
        return _lanes_of(op)
    if isinstance(op, MultiplyOp | NegateOp | AddOp | SubtractOp):
        return op.operands
    return op.operands if isinstance(op, ConvertOp) and _widens(op) else ()


def _widens(op: ConvertOp) -> bool:
    """Whether a conversion keeps every number as it is, and computes with such."""
    old, new = element_of(op.operand), element_of(op.result)
    return _rank(new) > _rank(old) > 0


def _rank(element: Attribute) -> int:
    """Number the element types that matrix elements can have, each in the next."""
    dtype = dtype_of(element)
    if dtype.kind not in "fc":
        return 0
    return np.finfo(dtype).bits + isinstance(element, ComplexType)


def _is_whole_constant(value: SSAValue) -> bool:
    array = constant_of(value)
    return array is not None and bool((array == np.round(array)).all())


def _is_finite_constant(value: SSAValue) -> bool:
    array = constant_of(value)
    return array is not None and bool(np.isfinite(array).all())
