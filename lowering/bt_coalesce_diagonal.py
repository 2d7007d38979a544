"""`bt-coalesce-diagonal`: sum all branches that lead back to x into one lane.

The matrix elements of all lanes without a write, of all terms, become one lane, which
comes first; the others keep their order. A lane that is not valid adds nothing.

The valid lanes of a term with a fanout are elsewhere for each x: such a term is summed
only where none of its lanes has a write. A broken promise stays NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.stablehlo import shape_of
from lowering.lanes import (
    ends_in,
    lane_count,
    leave_out,
    parts_of,
    rewrite_lanes,
    write_count,
)
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter
from lowering.sums import LaneSums


def _is_diagonal(part: SSAValue) -> bool:
    if write_count(part) > 0 or lane_count(part) == 0:
        return False
    if not isinstance(part.owner, bt.CompactOp):
        return isinstance(part.owner, bt.BranchesOp)
    inner = (one.owner for one, _ in parts_of(part.owner.operand))
    return all(isinstance(one, bt.BranchesOp) for one in inner)


class CoalesceDiagonal(RewritePattern):
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
    def match_and_rewrite(
        self, op: bt.ConnectionsOp, rewriter: PatternRewriter
    ) -> None:
        parts = [part for part, _ in parts_of(op.branches)]
        found = [part for part in parts if _is_diagonal(part) and ends_in(part, op)]
        _remark_on_promises(parts)
        lanes = sum(map(lane_count, found))
        if lanes < 2:
            remark("fewer than two lanes are without writes", done=False, at=op)
            return
        if shape_of(op.config)[0] != bt.BATCH:
            raise PassFailedException(
                "bt-coalesce-diagonal: the batch size is bound; run it before "
                "bt-specialize"
            )
        at = Inserter(rewriter, op.location)
        sums = LaneSums(op.matrix_elements.type.element_type, at)
        total = sums.added([sums.of(part) for part in found])
        at.location = op.location
        amplitude = sums.as_lane(total)
        origins = sums.origins_of(found)
        diagonal = at.add(bt.BranchesOp([], [], amplitude, None, 1, origins))
        leave_out(found, rewriter)
        joined = at.add(bt.ConcatOp([diagonal, op.branches]))
        op.operands[1] = joined
        rewriter.notify_op_modified(op)
        remark(f"{lanes} lanes of {_groups(len(found))} are summed into one", at=op)


def _groups(number: int) -> str:
    return f"{number} lane group{'s' if number > 1 else ''}"


def _remark_on_promises(parts: Iterable[SSAValue]) -> None:
    """Name the terms with a fanout that hold lanes without writes, and others."""
    for part in parts:
        if not isinstance(part.owner, bt.CompactOp) or not write_count(part):
            continue
        inner = [one for one, _ in parts_of(part.owner.operand)]
        lanes = sum(lane_count(one) for one in inner if not write_count(one))
        if lanes:
            remark(
                f"{lanes} lanes without writes are not summed: they share a fanout "
                "with lanes that write",
                done=False,
                hint="give the emissions without writes a term of their own",
                at=part.owner,
            )


@dataclass(frozen=True)
class BtCoalesceDiagonalPass(ModulePass):
    """Sum the diagonal: x' = x once, with the sum of its matrix elements."""

    name = "bt-coalesce-diagonal"
    relation: ClassVar[Relation] = Relation.SUM_PER_TARGET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, CoalesceDiagonal())
