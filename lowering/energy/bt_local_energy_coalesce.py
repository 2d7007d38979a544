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
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import element_of
from lowering.bt.diagonals import SEPARATE, diagonals_of
from lowering.bt.lanes import lane_count, rewrite_lanes
from lowering.bt.sums import LaneSums
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter


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
        found, others = diagonals_of(op.branches)
        if not found or op.diagonal is not None:
            return
        leaf = next(bt.leaves_of(found[0]))
        at = Inserter(rewriter, op.location)
        sums = LaneSums(element_of(leaf.amplitude), at)
        total = sums.added([sums.of(part) for part in found])
        lanes = sum(map(lane_count, found))
        at.location = op.location
        remark(
            f"lanes without writes are summed, {lanes} in all: no network for them",
            at=op,
        )
        rest = others[0] if len(others) == 1 else at.add(bt.ConcatOp(others))
        new = bt.LocalEnergyOp(
            op.config, rest, total, op.parameters, op.parts.data, op.result.type
        )
        new.plan = op.plan
        rewriter.replace(op, in_place_of(op, new))


@dataclass(frozen=True)
class BtLocalEnergyCoalescePass(ModulePass):
    """Sum the diagonal of local energies."""

    name = "bt-local-energy-coalesce"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, *SEPARATE, CoalesceDiagonal(), repeatedly=True)
        for one in op.walk():
            if isinstance(one, bt.LocalEnergyOp) and one.diagonal is None:
                remark("no lane is without writes", done=False, at=one)
