"""`sym-expand-updates`: every update becomes `sym.write` and `sym.select`.

An update's own operand is the configuration that it is applied to, so that a later
update sees the earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import sym
from lowering.relations import Relation
from lowering.rewriting import Inserter, rewrite_once


class ExpandUpdate(RewritePattern):
    """An update becomes what it says of itself: `sym.UpdateInterface.expand`.

    %y = sym.swap %x[%i, %j]
    becomes
    %a = sym.read %x[%i] : tensor<f64>
    %b = sym.read %x[%j] : tensor<f64>
    %z = sym.write %x[%i], %b : tensor<f64>
    %y = sym.write %z[%j], %a : tensor<f64>
    """

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if not isinstance(op, sym.UpdateInterface):
            return
        expanded = op.expand(Inserter(rewriter, op.location))
        if expanded is not None:
            rewriter.replace(op, (), (expanded,))


class ExpandInvalid(RewritePattern):
    """No configuration becomes the source: its branches are guarded already."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.InvalidOp, rewriter: PatternRewriter) -> None:
        rewriter.replace(op, (), (sym.term_of(op).source,))


@dataclass(frozen=True)
class SymExpandUpdatesPass(ModulePass):
    """Express every update by writes and selects."""

    name = "sym-expand-updates"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, ExpandUpdate(), ExpandInvalid())
