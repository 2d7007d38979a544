"""`bt-join-diagonal`: one lane without writes becomes a lane of the branches after it.

A concatenation of tensors is a loop with a case per element, which XLA cannot
vectorise, and it computes both sides within. So the tables of the other lanes get one
row more, and the matrix element of the first lane is chosen by its number:

    concatenate(diagonal, amplitude)   becomes   select(lane == 0, diagonal, amplitude)

Only for two parts, and where the others have one amplitude: what is concatenated with
more parts anyway gains nothing, and amplitudes that are computed are better left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i1, i32
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.stablehlo import (
    OrOp,
    constant,
    constant_of,
    element_of,
    select,
    shape_of,
    tensor,
)
from dialects.tables import NO_SITE
from lowering.bt.lane_layout import LaneLayout, all_can_be_laid_out
from lowering.bt.lanes import has_batch, lane_count, repeated
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter, rewrite_once


def _alone(part: SSAValue) -> SSAValue:
    """Return branches that nothing is joined with."""
    while isinstance(part.owner, bt.JoinOp):
        if len(part.owner.parts) != 1:
            break
        (part,) = part.owner.parts
    return part


def _two_parts(op: bt.ConcatOp) -> tuple[bt.BranchesOp, bt.BranchesOp] | None:
    """Return a diagonal of one lane and the other lanes, where that is all there is."""
    if len(op.parts) != 2:
        return None
    diagonal, others = (_alone(part).owner for part in op.parts)
    if not isinstance(diagonal, bt.BranchesOp) or not isinstance(others, bt.BranchesOp):
        return None
    is_one = lane_count(diagonal.result) == 1 and not diagonal.sites
    if not is_one or diagonal.valid is not None or lane_count(others.result) < 2:
        return None
    return (diagonal, others) if _is_all(op.result) and has_batch(others) else None


def _is_all(branches: SSAValue) -> bool:
    """Whether connections have these branches, and none beside them."""
    return all(
        isinstance(user, bt.ConnectionsOp)
        or (
            isinstance(user, bt.JoinOp)
            and len(user.parts) == 1
            and _is_all(user.result)
        )
        for user in (use.operation for use in branches.uses)
    )


@dataclass
class _Join:
    """Puts a lane in front of others."""

    whole: bt.ConcatOp
    diagonal: bt.BranchesOp
    others: bt.BranchesOp
    at: Inserter

    @property
    def lanes(self) -> int:
        return 1 + lane_count(self.others.result)

    def run(self) -> SSAValue:
        op = self.others
        # What the first lane would compute is that of the second, and not used
        numbers = np.maximum(np.arange(self.lanes) - 1, 0)
        layout = LaneLayout(numbers, self.at)
        sites = [self._site(layout.operand(site)) for site in op.sites]
        values = [layout.operand(value) for value in op.values]
        amplitude = layout.operand(op.amplitude)
        amplitude = self._first(self._single(self.diagonal.amplitude), amplitude)
        valid = None
        if op.valid is not None:
            valid = layout.operand(op.valid)
            shape = self._joint(valid)
            first = repeated(self._is_first(), shape, self.at)
            valid = self.at.add(OrOp(repeated(valid, shape, self.at), first))
        self.at.location = op.location
        origins = bt.origins_of(self.whole.result)
        return self.at.add(
            bt.BranchesOp(sites, values, amplitude, valid, self.lanes, origins)
        )

    def _site(self, site: SSAValue) -> SSAValue:
        """Let the first lane write nothing."""
        table = constant_of(site)
        if table is not None:
            table = np.broadcast_to(table, (self.lanes,)).copy()
            table[0] = NO_SITE
            return self.at.add(constant(table, i32))
        nowhere = self.at.add(constant(np.array(NO_SITE), i32))
        return self._first(nowhere, site)

    def _single(self, value: SSAValue) -> SSAValue:
        """Return the value of the only lane for all lanes: of any of its shapes."""
        if len(shape_of(value)) < 2:
            return self._widened(value, [0] if shape_of(value) else [], (self.lanes,))
        # (batch, 1) has no op that drops an axis; it was made of a (batch)
        inner = value.owner
        assert isinstance(inner, bt.BroadcastOp)
        return self._widened(inner.operand, [0], (bt.BATCH, self.lanes))

    def _widened(
        self, value: SSAValue, dims: list[int], shape: tuple[int, ...]
    ) -> SSAValue:
        wide = tensor(element_of(value), shape)
        return self.at.add(bt.BroadcastOp(value, dims, wide))

    def _first(self, first: SSAValue, others: SSAValue) -> SSAValue:
        """Choose between the first lane and the others."""
        shape = max((shape_of(first), self._joint(others)), key=len)
        chosen = [
            repeated(v, shape, self.at) for v in (self._is_first(), first, others)
        ]
        return self.at.add(select(*chosen))

    def _joint(self, value: SSAValue) -> tuple[int, ...]:
        return max((shape_of(value), (self.lanes,)), key=len)

    def _is_first(self) -> SSAValue:
        return self.at.add(constant(np.arange(self.lanes) == 0, i1))


def _is_known_single(value: SSAValue) -> bool:
    """Whether the value of the only lane can be repeated."""
    if not shape_of(value):
        return True
    op = value.owner
    return (
        len(shape_of(value)) == 2
        and isinstance(op, bt.BroadcastOp)
        and shape_of(op.operand) == (bt.BATCH,)
    )


class JoinDiagonal(RewritePattern):
    """A lane without writes and branches of one amplitude are branches.

    %d = bt.branches [] = [] amplitude %s : [] [] tensor<f64> -> <1 x 0>
    %b = bt.branches [%i] = [%v] amplitude %a : .. tensor<f64> -> <7 x 1>
    %c = bt.concat %d, %b : <1 x 0>, <7 x 1> -> <8 x 1>
    becomes
    %c = bt.branches [%j] = [%w] amplitude %e : .. tensor<8xf64> -> <8 x 1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.ConcatOp, rewriter: PatternRewriter) -> None:
        found = _two_parts(op)
        if found is None:
            return
        diagonal, others = found
        if shape_of(others.amplitude):
            remark(
                "the diagonal is concatenated: others differ", done=False, at=diagonal
            )
            return
        if not all_can_be_laid_out(others) or not _is_known_single(diagonal.amplitude):
            remark("the diagonal is concatenated", done=False, at=diagonal)
            return
        joined = _Join(op, diagonal, others, Inserter(rewriter, op.location)).run()
        rewriter.replace(op, (), (joined,))
        remark("the diagonal is a lane of the other branches", at=diagonal)


@dataclass(frozen=True)
class BtJoinDiagonalPass(ModulePass):
    """Choose the diagonal's matrix element by lane. Before `bt-specialize`."""

    name = "bt-join-diagonal"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, JoinDiagonal())
