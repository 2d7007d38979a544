"""Values of lanes in another order: expressions rebuilt with their tables rearranged.

What lanes differ in are constants: tables of sites, data, masks. So lanes are picked,
repeated or put in rows by picking from these tables, and nothing is moved at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation, SSAValue

from dialects import bt
from dialects.provenance import in_place_of
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

__all__ = ["LaneLayout", "LanePicks", "can_be_laid_out"]

Axis = int | None
"""Which axis of a value has the lanes; None where all have the same."""


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


@dataclass
class LaneLayout:
    """Rebuilds values with lanes picked by number.

    Attributes:
        lanes: the number of the lane that is picked for each place, of any shape: its
            axes take the place of the axis of lanes.
        at: where values are rebuilt.
    """

    lanes: npt.NDArray[Any]
    at: Inserter
    _known: dict[tuple[SSAValue, Axis], SSAValue] = field(
        default_factory=dict[tuple[SSAValue, Axis], SSAValue]
    )

    def of(self, value: SSAValue, axis: Axis) -> SSAValue:
        """Return a value for which `can_be_laid_out` in this layout."""
        stack = [(value, axis)]
        while stack:
            current = stack[-1]
            if current[1] is None or current in self._known:
                stack.pop()
                continue
            missing = self._missing(*current)
            if missing:
                stack.extend(missing)
                continue
            self._known[current] = self._rebuilt(*current)
            stack.pop()
        return self._get(value, axis)

    def _get(self, value: SSAValue, axis: Axis) -> SSAValue:
        return value if axis is None else self._known[value, axis]

    def _missing(self, value: SSAValue, axis: Axis) -> list[tuple[SSAValue, Axis]]:
        op = value.owner
        if constant_of(value) is not None or not isinstance(op, Operation):
            return []
        return [
            one
            for one in _operands(op, axis)
            if one[1] is not None and one not in self._known
        ]

    def _rebuilt(self, value: SSAValue, axis: Axis) -> SSAValue:
        op = cast(Operation, value.owner)
        axis = cast(int, axis)
        self.at.location = op.location
        array = constant_of(value)
        if array is not None:
            picked = np.take(array, self.lanes, axis=axis)
            return self.at.add(constant(picked, element_of(value)))
        operands = [self._get(*one) for one in _operands(op, axis)]
        shape = self._shape(shape_of(value), axis)
        return self.at.add(in_place_of(op, self._op(op, axis, operands, shape)))

    def _shape(self, shape: Sequence[int], axis: int) -> tuple[int, ...]:
        return (*shape[:axis], *self.lanes.shape, *shape[axis + 1 :])

    def _op(
        self,
        op: Operation,
        axis: int,
        operands: Sequence[SSAValue],
        shape: tuple[int, ...],
    ) -> Operation:
        kind = tensor(element_of(op.results[0]), shape)
        match op:
            case bt.BroadcastOp():
                dims = self._dims(op.dims.get_values(), axis)
                return bt.BroadcastOp(operands[0], dims, kind)
            case bt.GatherOp():
                return bt.GatherOp(
                    op.config,
                    operands[0],
                    element_of(op.result),
                    per_sample=op.is_per_sample,
                )
            case bt.ReduceOp():
                return bt.ReduceOp(op.kind.data, operands[0])
            case _:
                return type(op).create(
                    operands=operands,
                    result_types=[kind],
                    properties=op.properties.copy(),
                    attributes=op.attributes.copy(),
                )

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


@dataclass
class LanePicks:
    """Rebuilds values with lanes picked for each sample, after `bt-specialize`.

    What differs from lane to lane is then looked up in tables, and computed for the
    lanes that are picked alone.

    Attributes:
        config: x.
        lanes: the number of the lane for each place, (batch, places) of i32.
        at: where values are rebuilt.
    """

    config: SSAValue
    lanes: SSAValue
    at: Inserter
    _known: dict[tuple[SSAValue, Axis], SSAValue] = field(
        default_factory=dict[tuple[SSAValue, Axis], SSAValue]
    )

    def of(self, value: SSAValue, axis: Axis) -> SSAValue:
        """Return a value for which `can_be_laid_out`, of each sample and place."""
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
            self._known[current] = self._rebuilt(current[0], current[1], needed)
            stack.pop()
        return value if axis is None else self._known[value, axis]

    def _rebuilt(
        self, value: SSAValue, axis: int, needed: Sequence[tuple[SSAValue, Axis]]
    ) -> SSAValue:
        if constant_of(value) is not None:
            return self.at.add(gather_rows(value, self.lanes))
        op = cast(Operation, value.owner)
        operands = [v if a is None else self._known[v, a] for v, a in needed]
        # What had lanes first has samples before them now
        added = 1 - axis
        kind = tensor(
            element_of(value), (*shape_of(self.lanes), *shape_of(value)[axis + 1 :])
        )
        match op:
            case bt.BroadcastOp():
                dims = [dim + added for dim in op.dims.get_values()]
                ((_, own),) = needed
                if own == 0:
                    dims = [0, *dims]
                if dims == list(range(len(kind.get_shape()))):
                    return operands[0]
                return self.at.add(bt.BroadcastOp(operands[0], dims, kind))
            case bt.GatherOp():
                element = element_of(value)
                new = bt.GatherOp(self.config, operands[0], element, per_sample=True)
                return self.at.add(new)
            case bt.ReduceOp():
                return self.at.add(bt.ReduceOp(op.kind.data, operands[0]))
            case _:
                new = type(op).create(
                    operands=operands,
                    result_types=[kind],
                    properties=op.properties.copy(),
                    attributes=op.attributes.copy(),
                )
                return self.at.add(new)
