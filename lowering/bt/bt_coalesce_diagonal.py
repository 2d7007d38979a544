"""`bt-coalesce-diagonal`: sum all branches that lead back to x into one lane.

The matrix elements of all lanes without a write, of all terms, become one lane, which
comes first; the others keep their order. A lane that is not valid adds nothing.

The valid lanes of a term with a fanout are elsewhere for each x: such a term is summed
only where none of its lanes has a write. A broken promise stays NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import shape_of
from lowering.bt.diagonals import SEPARATE, diagonals_of
from lowering.bt.lanes import connections_in, lane_count, rewrite_lanes, write_count
from lowering.bt.sums import LaneSums
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter


@dataclass
class _OfDiagonals(RewritePattern):
    """Base of the patterns: lanes of which connections were summed."""

    summed: set[Operation] = field(default_factory=set[Operation])

    def sum(
        self, found: Sequence[SSAValue], end: bt.ConnectionsOp, at: Inserter
    ) -> SSAValue:
        """Return one lane with the sum of the matrix elements of others."""
        if shape_of(end.config)[0] != bt.BATCH:
            raise PassFailedException(
                "bt-coalesce-diagonal: the batch size is bound; run it before "
                "bt-specialize"
            )
        sums = LaneSums(end.matrix_elements.type.element_type, at)
        total = sums.added([sums.of(part) for part in found])
        at.location = end.location
        amplitude, origins = sums.as_lane(total), sums.origins_of(found)
        lanes = sum(map(lane_count, found))
        groups = f"{len(found)} lane group{'s' if len(found) > 1 else ''}"
        remark(f"{lanes} lanes of {groups} are summed into one", at=end)
        self.summed.add(end)
        return at.add(bt.BranchesOp([], [], amplitude, None, 1, origins))


class SumDiagonal(_OfDiagonals):
    """Lanes without writes become one, with the sum of their matrix elements.

    %d = bt.branches [] = [] amplitude %a : [] [] tensor<3xf64> -> <3 x 0>
    %c = bt.concat %b, %d : <7 x 1>, <3 x 0> -> <10 x 1>
    bt.connections %x, %c
    becomes
    %s = bt.reduce sum %a : tensor<3xf64> -> tensor<f64>
    %d = bt.branches [] = [] amplitude %s : [] [] tensor<f64> -> <1 x 0>
    %c = bt.concat %d, %b : <1 x 0>, <7 x 1> -> <8 x 1>
    bt.connections %x, %c
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.ConcatOp, rewriter: PatternRewriter) -> None:
        ends = [use.operation for use in op.result.uses]
        found, others = diagonals_of(op.result)
        if len(ends) != 1 or sum(map(lane_count, found)) < 2:
            return
        (end,) = ends
        if not isinstance(end, bt.ConnectionsOp):
            return
        diagonal = self.sum(found, end, Inserter(rewriter, op.location))
        rewriter.replace(op, in_place_of(op, bt.ConcatOp([diagonal, *others])))


class SumAll(_OfDiagonals):
    """Where no lane writes at all, the sum is all there is.

    %d = bt.branches [] = [] amplitude %a : [] [] tensor<3xf64> -> <3 x 0>
    bt.connections %x, %d
    becomes
    %s = bt.reduce sum %a : tensor<3xf64> -> tensor<f64>
    %d = bt.branches [] = [] amplitude %s : [] [] tensor<f64> -> <1 x 0>
    bt.connections %x, %d
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.ConnectionsOp, rewriter: PatternRewriter
    ) -> None:
        if isinstance(op.branches.owner, bt.ConcatOp) or lane_count(op.branches) < 2:
            return
        found, _ = diagonals_of(op.branches)
        if found:
            op.operands[1] = self.sum(found, op, Inserter(rewriter, op.location))
            rewriter.notify_op_modified(op)


def _remark_on_promises(module: ModuleOp) -> None:
    """Name the terms with a fanout that hold lanes without writes, and others."""
    for op in module.walk():
        if not isinstance(op, bt.CompactOp) or not write_count(op.result):
            continue
        inner = [leaf.result for leaf in bt.leaves_of(op.operand)]
        lanes = sum(lane_count(one) for one in inner if not write_count(one))
        if lanes:
            remark(
                f"{lanes} lanes without writes are not summed: they share a fanout "
                "with lanes that write",
                done=False,
                hint="give the emissions without writes a term of their own",
                at=op,
            )


@dataclass(frozen=True)
class BtCoalesceDiagonalPass(ModulePass):
    """Sum the diagonal: x' = x once, with the sum of its matrix elements."""

    name = "bt-coalesce-diagonal"
    relation: ClassVar[Relation] = Relation.SUM_PER_TARGET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        _remark_on_promises(op)
        summing = SumDiagonal()
        rewrite_lanes(op, *SEPARATE, summing, SumAll(summing.summed), repeatedly=True)
        for end in connections_in(op):
            if end not in summing.summed:
                remark("fewer than two lanes are without writes", done=False, at=end)
