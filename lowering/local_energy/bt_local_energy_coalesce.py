"""`bt-local-energy-coalesce`: lanes that lead back to x never ask the wavefunction.

The matrix elements of all lanes without a write are summed, as `diagonal`; what is left
are lanes that lead elsewhere. Lanes that provably lead to the same x' are one already
where `bt-coalesce-static` was run before.
"""

from __future__ import annotations

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

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import element_of
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

__all__ = ["BtLocalEnergyCoalescePass"]


class CoalesceDiagonal(RewritePattern):
    """Lanes without writes become the diagonal of local energies.

    %c = bt.concat %d, %b : <3 x 0>, <7 x 1> -> <10 x 1>
    %e = bt.local_energy %x, %c ..
    becomes
    %s = bt.reduce sum %a : tensor<3xf64> -> tensor<f64>
    %e = bt.local_energy %x, %b diagonal %s ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        parts = (part for part, _ in parts_of(op.branches))
        found = [part for part in parts if _is_diagonal(part) and ends_in(part, op)]
        if not found or op.diagonal is not None:
            remark("no lane is without writes", done=False, at=op)
            return
        leaf = found[0].owner
        assert isinstance(leaf, bt.BranchesOp)
        sums = LaneSums(element_of(leaf.amplitude), Inserter(rewriter, op.location))
        total = sums.added([sums.of(part) for part in found])
        lanes = sum(map(lane_count, found))
        remark(
            f"lanes without writes are summed, {lanes} in all: no network for them",
            at=op,
        )
        leave_out(found, rewriter)
        new = bt.LocalEnergyOp(
            op.config, op.branches, total, op.parameters, op.parts.data, op.result.type
        )
        new.plan = op.plan
        rewriter.replace(op, in_place_of(op, new))


def _is_diagonal(part: SSAValue) -> bool:
    is_leaf = isinstance(part.owner, bt.BranchesOp)
    return is_leaf and not write_count(part) and lane_count(part) > 0


@dataclass(frozen=True)
class BtLocalEnergyCoalescePass(ModulePass):
    """Sum the diagonal of local energies."""

    name = "bt-local-energy-coalesce"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, CoalesceDiagonal())
