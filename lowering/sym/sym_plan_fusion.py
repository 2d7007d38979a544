"""`sym-plan-fusion`: mark the neighbouring terms that `sym-fuse-terms` may fuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from lowering.relations import Relation
from lowering.sym.sym_fuse_terms import fusible_groups, mark_groups, operators_of


@dataclass(frozen=True)
class SymPlanFusionPass(ModulePass):
    """Mark groups of neighbouring terms that have the same structure."""

    name = "sym-plan-fusion"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for operator in operators_of(op):
            mark_groups(operator, fusible_groups(operator))
