"""`write-parts`: what finds the ratios of parts of log psi, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.stablehlo import element_of, shape_of
from lowering.bt.lanes import write_count
from lowering.energy.bt_local_energy_pack import local_values
from lowering.energy.cone_part import Cone
from lowering.energy.differences import Steps
from lowering.energy.extraction import (
    added_to,
    function_named,
    module_of,
    returned,
)
from lowering.energy.moves import Moves, SiteMoves, moves_of
from lowering.energy.part_functions import (
    Bilinear,
    Draft,
    Exponential,
    Lifted,
    Linear,
    PartFunctions,
    Rational,
    Setting,
)
from lowering.energy.plan_distinct_states import has_distinct_states
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import rewrite_once
from lowering.stablehlo.stablehlo_batch import unbatched_op

DRAFTS: dict[str, type[Draft]] = {
    bt.Rung.LINEAR: Linear,
    bt.Rung.EXPONENTIAL: Exponential,
    bt.Rung.BILINEAR: Bilinear,
    bt.Rung.RATIONAL: Rational,
    bt.Rung.LIFTED: Lifted,
    bt.Rung.CONE: Cone,
}
"""Drafts by the name of the method; one of your own is added here where it is made."""


def draft_of(
    part: bt.PartAttr, functions: Sequence[FuncOp], own: Setting
) -> Draft | None:
    """Return the draft of a part, None where there is none of its kind."""
    kind = DRAFTS.get(part.kind)
    return None if kind is None else kind(part, functions, own)


def tabled(energy: bt.LocalEnergyOp) -> Moves | SiteMoves | str:
    """Return the differences that tables have rows of by the plan, or why none."""
    values = local_values(energy)
    branches, size = energy.branches, shape_of(energy.config)[1]
    assert energy.plan is not None
    match energy.plan.data.tables:
        case "sites":
            by_lane = moves_of(branches, values, size=size)
            always = isinstance(by_lane, Moves) and by_lane.always
            return SiteMoves(values, always, write_count(branches))
        case "values":
            return moves_of(branches, values, size=size, by_values=True)
        case _:
            return moves_of(branches, values, size=size)


class WriteParts(RewritePattern):
    """The parts of an energy name functions that find their ratios.

    %e = bt.local_energy %x, %b parameters() through [#bt.part<linear @a>] plan <..>
    becomes
    %e = bt.local_energy %x, %b parameters()
      through [#bt.part<linear @a written [@a.tables, @a.bound, @a.cache, @a.ratio]>]
      plan <..>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        if op.plan is None or isinstance(moves := tabled(op), str):
            return
        if has_distinct_states(op):  # by the network as a whole
            return
        rows, writes = moves.differences(shape_of(op.config)[1])
        if not len(rows):
            return  # nothing leads elsewhere
        steps = Steps(rows, local_values(op), writes)
        lengths = op.plan.data.units or (1,)
        by_site = isinstance(moves, SiteMoves)
        module, parts = module_of(op), list[bt.PartAttr]()
        for part in op.parts:
            functions = [function_named(module, name) for name in part.functions]
            setting = Setting(
                steps,
                moves.at_once if by_site else None,
                not by_site and moves.signed,
                lengths,
                element_of(returned(functions[0])),
                op.plan.data.groups or (),
            )
            written = _written(op, part, functions, setting)
            if written is not None:
                part = part.by(added_to(module, "part", written.all))
            parts.append(part)
        if parts != list(op.parts):
            op.parts = ArrayAttr(parts)
            rewriter.notify_op_modified(op)


def _written(
    op: bt.LocalEnergyOp,
    part: bt.PartAttr,
    functions: Sequence[FuncOp],
    setting: Setting,
) -> PartFunctions | None:
    """Return the functions of a part; None, with a remark, where there are none."""
    try:
        draft = draft_of(part, functions, setting)
        if draft is None:
            return None
        written = draft.written()
        name = next(filter(None, map(unbatched_op, written.all)), None)
        if name is None:
            return written
        reason = f"'{name}' has no batching rule"
    except PassFailedException as error:
        reason = str(error)
    remark(f"a part is not written: {reason}", done=False, at=op)
    return None


@dataclass(frozen=True)
class WritePartsPass(ModulePass):
    """Write what finds the ratios of parts of log psi as functions of the module."""

    name = "write-parts"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, WriteParts())
