"""`sym-expand-updates`: every update becomes `sym.write` and `sym.select`.

An update's own operand is the configuration that it is applied to, so that a later
update sees the earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Attribute, Operation
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import sym
from dialects.stablehlo import AddOp, MultiplyOp, tensor
from lowering.relations import Relation
from lowering.rewriting import Inserter


class ExpandShift(RewritePattern):
    """`shift(c, i, d)` becomes `write(c, i, read(c, i) + d)`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.ShiftOp, rewriter: PatternRewriter) -> None:
        at = Inserter.before(op)
        old = at.add(sym.ReadOp(op.config, op.site, op.amount.type))
        new = at.add(AddOp(old, op.amount))
        rewriter.replace(op, (), (at.add(sym.WriteOp(op.config, op.site, new)),))


class ExpandSwap(RewritePattern):
    """`swap(c, i, j)` becomes `write(write(c, i, read(c, j)), j, read(c, i))`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.SwapOp, rewriter: PatternRewriter) -> None:
        at = Inserter.before(op)
        local_value = _local_value_type(op)
        first = at.add(sym.ReadOp(op.config, op.first, local_value))
        second = at.add(sym.ReadOp(op.config, op.second, local_value))
        half = at.add(sym.WriteOp(op.config, op.first, second))
        rewriter.replace(op, (), (at.add(sym.WriteOp(half, op.second, first)),))


class ExpandPermute(RewritePattern):
    """`permute(c, s0, .., sn)` writes c[s1] to s0, .., c[s0] to sn."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.PermuteOp, rewriter: PatternRewriter) -> None:
        at = Inserter.before(op)
        kind = _local_value_type(op)
        values = [at.add(sym.ReadOp(op.config, site, kind)) for site in op.sites]
        config = op.config
        for site, value in zip(op.sites, [*values[1:], values[0]], strict=True):
            config = at.add(sym.WriteOp(config, site, value))
        rewriter.replace(op, (), (config,))


class ExpandAffine(RewritePattern):
    """`affine(c, i, a, b)` becomes `write(c, i, a * read(c, i) + b)`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.AffineOp, rewriter: PatternRewriter) -> None:
        at = Inserter.before(op)
        old = at.add(sym.ReadOp(op.config, op.site, op.scale.type))
        new = at.add(AddOp(at.add(MultiplyOp(op.scale, old)), op.bias))
        rewriter.replace(op, (), (at.add(sym.WriteOp(op.config, op.site, new)),))


class ExpandShiftMod(RewritePattern):
    """`shift_mod(c, i, d)` writes the allowed value d places after c[i], cyclically."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.ShiftModOp, rewriter: PatternRewriter) -> None:
        at = Inserter.before(op)
        old = at.add(sym.ReadOp(op.config, op.site, op.amount.type))
        place = at.add(AddOp(at.add(sym.LocalIndexOp(old, op.site)), op.amount))
        new = at.add(sym.LocalValueOp(place, op.site))
        rewriter.replace(op, (), (at.add(sym.WriteOp(op.config, op.site, new)),))


class ExpandInvalid(RewritePattern):
    """No configuration becomes the source: its branches are guarded already."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.InvalidOp, rewriter: PatternRewriter) -> None:
        rewriter.replace(op, (), (sym.term_of(op).source,))


def _local_value_type(op: Operation) -> TensorType[Attribute]:
    return tensor(sym.real_type(sym.operator_of(op).element))


@dataclass(frozen=True)
class SymExpandUpdatesPass(ModulePass):
    """Express every update by writes and selects."""

    name = "sym-expand-updates"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        patterns = GreedyRewritePatternApplier(
            [
                ExpandShift(),
                ExpandSwap(),
                ExpandPermute(),
                ExpandAffine(),
                ExpandShiftMod(),
                ExpandInvalid(),
            ]
        )
        PatternRewriteWalker(patterns, apply_recursively=False).rewrite_module(op)
