"""Where lanes are: the parts of joined branches, and what becomes of their lanes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.rewriter import Rewriter

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import element_of, shape_of, tensor
from lowering.rewriting import Inserter

__all__ = [
    "Change",
    "connections_in",
    "lane_count",
    "lanes_of_function",
    "parts_of",
    "rejoined",
    "repeated",
    "replace_branches",
    "write_count",
]

Array = npt.NDArray[Any]


def lane_count(branches: SSAValue) -> int:
    """Return the number of lanes of a value of `!bt.branches`."""
    return cast(bt.BranchesType, branches.type).lanes.data


def write_count(branches: SSAValue) -> int:
    """Return the number of writes of each lane of a value of `!bt.branches`."""
    return cast(bt.BranchesType, branches.type).writes.data


def repeated(value: SSAValue, shape: tuple[int, ...], at: Inserter) -> SSAValue:
    """Return a value along more axes: lanes are the last ones, the batch is the first.

    Before `bt-specialize`, which tells a value of each sample from one of each lane.
    """
    own = shape_of(value)
    if own == shape:
        return value
    last = list(range(len(shape) - len(own), len(shape)))
    dims = [0] if own == (bt.BATCH,) else last
    return at.add(bt.BroadcastOp(value, dims, tensor(element_of(value), shape)))


def lanes_of_function(module: ModuleOp) -> int | None:
    """Return how many lanes the first function of a module returns.

    None where it has no function of the kind that operators become.
    """
    function = next((op for op in module.ops if isinstance(op, FuncOp)), None)
    kinds = [] if function is None else list(function.function_type.outputs)
    if len(kinds) != 2 or not isinstance(kinds[1], TensorType):
        return None
    shape = kinds[1].get_shape()
    return shape[1] if len(shape) == 2 else None


def connections_in(module: ModuleOp) -> list[bt.ConnectionsOp]:
    """Return where the lanes of each function of a module come to an end."""
    return [op for op in module.walk() if isinstance(op, bt.ConnectionsOp)]


def parts_of(branches: SSAValue) -> Iterator[tuple[SSAValue, Array]]:
    """Yield the parts that branches are joined of, with the numbers of their lanes.

    What is neither `bt.concat` nor `bt.interleave` is a part. One that is used twice
    comes twice, with other numbers.
    """
    stack = [(branches, np.arange(lane_count(branches)))]
    while stack:
        value, numbers = stack.pop()
        match value.owner:
            case bt.ConcatOp() as op:
                counts = [lane_count(part) for part in op.parts]
                pieces = np.split(numbers, np.cumsum(counts)[:-1])
            case bt.InterleaveOp() as op:
                pieces = list(numbers.reshape(-1, max(1, len(op.parts))).T)
            case _:
                yield value, numbers
                continue
        if op.parts:
            stack.extend(reversed(list(zip(op.parts, pieces, strict=True))))


@dataclass(frozen=True)
class Change:
    """What a part becomes.

    Attributes:
        branches: the new part; None where nothing is left.
        lane_of: for each lane of the old part, which lane of the new one it is a part
            of, -1 for none.
    """

    branches: SSAValue | None
    lane_of: Array


def rejoined(
    branches: SSAValue, changes: Mapping[SSAValue, Change], at: Inserter
) -> tuple[SSAValue | None, Array]:
    """Join branches anew with some parts changed.

    Returns them, None where nothing is left, and for each lane that there was which
    lane it is a part of now, -1 for none. Parts keep their order; the lanes of parts
    that were interleaved follow each other where their numbers are not equal any more.
    """
    joined = _joined(branches, changes, at)
    moved = np.full(lane_count(branches), -1)
    now = iter(() if joined is None else parts_of(joined))
    for part, numbers in parts_of(branches):
        change = changes.get(part)
        if change is None:
            moved[numbers] = next(now)[1]
        elif change.branches is not None:
            places, lane_of = next(now)[1], change.lane_of
            moved[numbers] = np.where(lane_of < 0, -1, places[lane_of])
    return joined, moved


def _joined(
    branches: SSAValue, changes: Mapping[SSAValue, Change], at: Inserter
) -> SSAValue | None:
    if branches in changes:
        return changes[branches].branches
    op = branches.owner
    if not isinstance(op, bt.ConcatOp | bt.InterleaveOp):
        return branches
    parts = [_joined(part, changes, at) for part in op.parts]
    kept = [part for part in parts if part is not None]
    if kept == list(op.parts):
        return branches
    if not kept:
        return None
    equal = len({lane_count(part) for part in kept}) == 1
    at.location = op.location
    return at.add(type(op)(kept) if equal else bt.ConcatOp(kept))


def replace_branches(op: bt.ConnectionsOp, branches: SSAValue, moved: Array) -> None:
    """Let connections be those of other branches, and mend the type of the function.

    `moved` says for each lane that there was which lane it is a part of, -1 for none.
    """
    element = op.matrix_elements.type.element_type
    # One more entry, for those that are none already
    lane_of = np.append(moved, -1)[op.lane_numbers()]
    new = bt.ConnectionsOp(op.config, branches, element, lane_of)
    function = op.parent_op()
    Rewriter.replace_op(op, in_place_of(op, new))
    if not isinstance(function, FuncOp):
        return
    end = function.body.block.last_op
    if isinstance(end, ReturnOp):
        function.function_type = FunctionType.from_lists(
            list(function.function_type.inputs),
            [value.type for value in end.arguments],
        )
