"""`bt-local-energy-pack`: which lanes are asked for at x', and in what order.

Only a live lane is: valid, and with x' another configuration than x. Live lanes of a
chunk of samples are packed into chunks of pairs, in order, as many as there are: less
than a chunk is evaluated in vain, and none is lost. Where every lane is live for every
x, which follows from the local values that the writes are functions of, pairs are
simply counted. The differences x' - x that lanes can make are tabulated, up to a sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import (
    ModuleOp,
)
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.stablehlo import shape_of
from lowering.bt.lanes import lane_count
from lowering.energy.moves import Moves, moves_of
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import rewrite_once


def local_values(op: bt.LocalEnergyOp) -> tuple[float, ...]:
    """Return the local values that x can have, in order; none where nothing says so."""
    known = bt.assumptions(op)
    if known is None or known.values is None or len(known.values) > 1:
        return ()
    return tuple(sorted(known.values.data[0].get_values()))


def planned(op: bt.LocalEnergyOp, **entries: Any) -> None:
    """Add entries to the plan of an energy."""
    before = bt.Plan() if op.plan is None else op.plan.data
    op.plan = bt.PlanAttr(replace(before, **entries))


class PackLanes(RewritePattern):
    """An energy says which of its lanes are live, and how many rows tables have.

    %e = bt.local_energy %x, %b parameters() through [#bt.part<network @f>] ..
    becomes, of 8 lanes that each flip a spin,
    %e = bt.local_energy %x, %b parameters() through [#bt.part<network @f>]
      plan <live = all, rows = 8> ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        rewriter.notify_op_modified(op)
        lanes = lane_count(op.branches)
        values = local_values(op)
        moves = "the local values are not known"
        if values:
            moves = moves_of(op.branches, values, size=shape_of(op.config)[1])
        if not isinstance(moves, Moves):
            remark(f"no table has a row for each lane: {moves}", done=False, at=op)
            planned(op, live="some", rows=0)
            return
        if moves.always:
            remark(f"all of {lanes} lanes are always live: they are counted", at=op)
        else:
            said = f"the live ones of {lanes} lanes are packed, sample by sample"
            remark(said, at=op)
        live = "all" if moves.always else "some"
        planned(op, live=live, rows=lanes * moves.rows)


@dataclass(frozen=True)
class BtLocalEnergyPackPass(ModulePass):
    """Find which lanes are live, and what they change."""

    name = "bt-local-energy-pack"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, PackLanes())
