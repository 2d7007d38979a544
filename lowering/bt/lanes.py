"""Lanes: the parts of joined branches, where they end, and the types of joins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
)

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import element_of, shape_of, tensor
from lowering.rewriting import FirstPattern, Inserter, rewrite_once

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


def behind_broadcasts(value: SSAValue) -> SSAValue:
    """Return what a value is repeated of, which is the value itself if it is not."""
    while isinstance(value.owner, bt.BroadcastOp):
        value = value.owner.operand
    return value


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


def sinks_of(branches: SSAValue) -> Iterator[Operation]:
    """Yield the ops that branches end in, through `bt.concat` and `bt.interleave`."""
    for use in branches.uses:
        if isinstance(use.operation, bt.JoinOp):
            yield from sinks_of(use.operation.result)
        else:
            yield use.operation


def is_connected(leaf: bt.LeafOp) -> bool:
    """Whether lanes are those of `bt.connections`, and of nothing else.

    Of lanes behind `bt.compact` it is not known which ones are where.
    """
    sinks = list(sinks_of(leaf.result))
    return bool(sinks) and all(isinstance(op, bt.ConnectionsOp) for op in sinks)


def has_batch(leaf: bt.LeafOp) -> bool:
    """Whether the batch size is open, as it is before `bt-specialize`."""
    sinks = (op for op in sinks_of(leaf.result) if isinstance(op, bt.ConnectionsOp))
    return all(shape_of(op.config)[0] == bt.BATCH for op in sinks)


def nothing_like(op: Operation) -> bt.ConcatOp:
    """Return branches without a lane, in the place of an op."""
    return in_place_of(op, bt.ConcatOp([]))


class RefreshTypes(RewritePattern):
    """Joins, connections and functions get the types of the parts that there are now.

    Parts without anything go. Interleaved parts whose numbers of lanes are not equal
    any more follow each other.

        %c = bt.interleave %a, %b : <7 x 1>, <5 x 1> -> <14 x 1>
        becomes
        %c = bt.concat %a, %b : <7 x 1>, <5 x 1> -> <12 x 1>
    """

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        match op:
            case bt.JoinOp():
                self._join(op, rewriter)
            case bt.ConnectionsOp():
                element = op.matrix_elements.type.element_type
                new = bt.ConnectionsOp(op.config, op.branches, element)
                for old, result in zip(op.results, new.results, strict=True):
                    self._retype(old, result.type, rewriter)
                new.drop_all_references()
            case ReturnOp():
                self._function(op)
            case _:
                return

    def _join(self, op: bt.JoinOp, rewriter: PatternRewriter) -> None:
        kept = [part for part in op.parts if not _is_nothing(part)]
        if len(kept) == 1 and len(op.parts) > 1:
            rewriter.replace(op, (), kept)
            return
        equal = len({lane_count(part) for part in kept}) == 1
        new = (type(op) if equal else bt.ConcatOp)(kept)
        if type(new) is not type(op) or kept != list(op.parts):
            rewriter.replace(op, in_place_of(op, new))
            return
        self._retype(op.result, new.result.type, rewriter)
        new.drop_all_references()

    def _retype(
        self, value: SSAValue, kind: Attribute, rewriter: PatternRewriter
    ) -> None:
        if value.type != kind:
            rewriter.replace_value_with_new_type(value, kind)

    def _function(self, end: ReturnOp) -> None:
        function = end.parent_op()
        if isinstance(function, FuncOp):
            function.update_function_type()


def _is_nothing(branches: SSAValue) -> bool:
    op = branches.owner
    return isinstance(op, bt.ConcatOp) and not op.parts


def rewrite_lanes(
    module: ModuleOp, *patterns: RewritePattern, repeatedly: bool = False
) -> None:
    """Apply patterns of lanes everywhere, once or until all is done; refresh types."""
    first = FirstPattern(*patterns, dce=False)
    PatternRewriteWalker(first, apply_recursively=repeatedly).rewrite_module(module)
    rewrite_once(module, RefreshTypes())
