"""Values of lanes in another order: expressions rebuilt with their tables rearranged.

What lanes differ in are constants: tables of sites, data, masks. So lanes are picked,
repeated or put in rows by picking from these tables, and nothing is moved at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation, SSAValue

from dialects import bt
from dialects.stablehlo import (
    ELEMENTWISE,
    constant,
    constant_of,
    element_of,
    gather_rows,
    shape_of,
    tensor,
)
from lowering.rewriting import Inserter

Axis = int | None
"""Axis of a value that has the lanes; None where all have the same."""


def lane_axis(value: SSAValue) -> Axis:
    """Return the axis of the lanes of an operand of branches."""
    shape = shape_of(value)
    return len(shape) - 1 if shape else None


def _operands(op: Operation, axis: Axis) -> list[tuple[SSAValue, Axis]]:
    """Return the operands of an op, each with the axis of its lanes."""
    match op:
        case bt.BroadcastOp():
            dims = list(op.dims.get_values())
            return [(op.operand, dims.index(axis) if axis in dims else None)]
        case bt.GatherOp():
            own = axis if op.is_per_sample or axis is None else axis - 1
            return [(op.sites, own)]
        case bt.ReduceOp():
            return [(op.operand, axis)]
        case _:
            return [(operand, axis) for operand in op.operands]


def _is_known(value: SSAValue) -> bool:
    op = value.owner
    if constant_of(value) is not None or isinstance(
        op, bt.BroadcastOp | bt.GatherOp | bt.ReduceOp
    ):
        return True
    return isinstance(op, Operation) and op.name in ELEMENTWISE and len(op.results) == 1


def can_be_laid_out(value: SSAValue, axis: Axis) -> bool:
    """Whether all that a value is computed from can be picked from."""
    seen: set[tuple[SSAValue, Axis]] = set()
    stack = [(value, axis)]
    while stack:
        current = stack.pop()
        if current[1] is None or current in seen:
            continue
        seen.add(current)
        if not _is_known(current[0]):
            return False
        if constant_of(current[0]) is None and isinstance(current[0].owner, Operation):
            stack.extend(_operands(current[0].owner, current[1]))
    return True


def all_can_be_laid_out(op: bt.LeafOp) -> bool:
    """Whether the lanes of branches can be picked from."""
    return all(can_be_laid_out(value, lane_axis(value)) for value in op.operands)


class _Rebuilding:
    """Rebuilds expressions, operands first; there is no recursion."""

    def __init__(self, at: Inserter):
        self.at = at
        self._known: dict[tuple[SSAValue, Axis], SSAValue] = {}

    def of(self, value: SSAValue, axis: Axis) -> SSAValue:
        """Return a value for which `can_be_laid_out`, with its lanes picked."""
        stack = [(value, axis)]
        while stack:
            current = stack[-1]
            if current[1] is None or current in self._known:
                stack.pop()
                continue
            op = cast(Operation, current[0].owner)
            is_table = constant_of(current[0]) is not None
            needed = [] if is_table else _operands(op, current[1])
            missing = [n for n in needed if n[1] is not None and n not in self._known]
            if missing:
                stack.extend(missing)
                continue
            self.at.location = op.location
            if is_table:
                new = self._table(current[0], current[1])
            else:
                new = self._value(op, current[1], needed)
            self._known[current] = new
            stack.pop()
        return self._get(value, axis)

    def operand(self, value: SSAValue) -> SSAValue:
        """Return an operand of branches, with its lanes picked."""
        return self.of(value, lane_axis(value))

    def _get(self, value: SSAValue, axis: Axis) -> SSAValue:
        return value if axis is None else self._known[value, axis]

    def _table(self, value: SSAValue, axis: int) -> SSAValue:
        """Pick from a constant."""
        raise NotImplementedError

    def _value(
        self, op: Operation, axis: int, needed: Sequence[tuple[SSAValue, Axis]]
    ) -> SSAValue:
        """Rebuild an op whose operands are known."""
        raise NotImplementedError


def _elementwise(
    op: Operation, operands: Sequence[SSAValue], shape: Sequence[int]
) -> Operation:
    return type(op).create(
        operands=operands,
        result_types=[tensor(element_of(op.results[0]), shape)],
        properties=op.properties.copy(),
        attributes=op.attributes.copy(),
    )


class LaneLayout(_Rebuilding):
    """Rebuilds values with lanes picked by number, before `bt-specialize`.

    Args:
        lanes: the number of the lane that is picked for each place, of any shape: its
            axes take the place of the axis of lanes.
        at: where values are rebuilt.
    """

    def __init__(self, lanes: npt.NDArray[Any], at: Inserter):
        super().__init__(at)
        self.lanes = lanes

    def _table(self, value: SSAValue, axis: int) -> SSAValue:
        array = cast("npt.NDArray[Any]", constant_of(value))
        picked = np.take(array, self.lanes, axis=axis)
        return self.at.add(constant(picked, element_of(value)))

    def _value(
        self, op: Operation, axis: int, needed: Sequence[tuple[SSAValue, Axis]]
    ) -> SSAValue:
        operands = [self._get(*one) for one in needed]
        (result,) = op.results
        old = shape_of(result)
        shape = (*old[:axis], *self.lanes.shape, *old[axis + 1 :])
        match op:
            case bt.BroadcastOp():
                dims = self._dims(op.dims.get_values(), axis)
                kind = tensor(element_of(result), shape)
                return self.at.add(bt.BroadcastOp(operands[0], dims, kind))
            case bt.GatherOp():
                per_sample = op.is_per_sample
                element = element_of(result)
                new = bt.GatherOp(
                    op.config, operands[0], element, per_sample=per_sample
                )
                return self.at.add(new)
            case bt.ReduceOp():
                return self.at.add(bt.ReduceOp(op.kind.data, operands[0]))
            case _:
                return self.at.add(_elementwise(op, operands, shape))

    def _dims(self, dims: Sequence[int], axis: int) -> list[int]:
        """Return where the axes of an operand are in the result."""
        added = self.lanes.ndim - 1
        found: list[int] = []
        for dim in dims:
            if dim == axis:
                found += range(axis, axis + 1 + added)
            else:
                found.append(dim if dim < axis else dim + added)
        return found


class LanePicks(_Rebuilding):
    """Rebuilds values with lanes picked for each sample, after `bt-specialize`.

    What differs from lane to lane is then looked up in tables, and computed for the
    lanes that are picked alone.

    Args:
        lanes: the number of the lane for each place, (batch, places) of i32.
        at: where values are rebuilt.
    """

    def __init__(self, lanes: SSAValue, at: Inserter):
        super().__init__(at)
        self.lanes = lanes

    def _table(self, value: SSAValue, axis: int) -> SSAValue:
        return self.at.add(gather_rows(value, self.lanes))

    def _value(
        self, op: Operation, axis: int, needed: Sequence[tuple[SSAValue, Axis]]
    ) -> SSAValue:
        operands = [self._get(*one) for one in needed]
        (result,) = op.results
        shape = (*shape_of(self.lanes), *shape_of(result)[axis + 1 :])
        match op:
            case bt.BroadcastOp():
                # What had lanes first has samples before them now
                dims = [dim + 1 - axis for dim in op.dims.get_values()]
                ((_, own),) = needed
                if own == 0:
                    dims = [0, *dims]
                if dims == list(range(len(shape))):
                    return operands[0]
                kind = tensor(element_of(result), shape)
                return self.at.add(bt.BroadcastOp(operands[0], dims, kind))
            case bt.GatherOp():
                element = element_of(result)
                new = bt.GatherOp(op.config, operands[0], element, per_sample=True)
                return self.at.add(new)
            case bt.ReduceOp():
                return self.at.add(bt.ReduceOp(op.kind.data, operands[0]))
            case _:
                return self.at.add(_elementwise(op, operands, shape))
