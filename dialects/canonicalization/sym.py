"""Canonicalization of `sym`: each pattern keeps every branch, its order and value."""

from xdsl.ir import SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import sym
from dialects.provenance import in_place_of
from dialects.stablehlo import constant_of


class ForwardWriteToRead(RewritePattern):
    """`read(write(c, i, v), i)` is `v`, unless `i` may be no site."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.ReadOp, rewriter: PatternRewriter) -> None:
        write = op.config.owner
        if not isinstance(write, sym.WriteOp) or write.site is not op.site:
            return
        if sym.may_be_missing(op.site):
            return
        rewriter.replace(op, (), (write.value,))


class DropWriteOfRead(RewritePattern):
    """`write(c, i, read(c, i))` is `c`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.WriteOp, rewriter: PatternRewriter) -> None:
        read = op.value.owner
        if not isinstance(read, sym.ReadOp):
            return
        if read.config is not op.config or read.site is not op.site:
            return
        rewriter.replace(op, (), (op.config,))


class DropOverwrittenWrite(RewritePattern):
    """`write(write(c, i, v), i, w)` is `write(c, i, w)`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.WriteOp, rewriter: PatternRewriter) -> None:
        inner = op.config.owner
        if not isinstance(inner, sym.WriteOp) or inner.site is not op.site:
            return
        write = sym.WriteOp(inner.config, op.site, op.value)
        rewriter.replace(op, in_place_of(op, write))


class FoldSelect(RewritePattern):
    """`select(p, c, c)` is `c`; a constant predicate chooses its side."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.SelectOp, rewriter: PatternRewriter) -> None:
        chosen = _chosen(op)
        if chosen is not None:
            rewriter.replace(op, (), (chosen,))


def _chosen(op: sym.SelectOp) -> SSAValue | None:
    if op.on_true is op.on_false:
        return op.on_true
    predicate = constant_of(op.predicate)
    if predicate is None:
        return None
    return op.on_true if predicate.item() else op.on_false


class DropTruePredicate(RewritePattern):
    """`emit c, a if true` is `emit c, a`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.EmitOp, rewriter: PatternRewriter) -> None:
        if op.predicate is None:
            return
        predicate = constant_of(op.predicate)
        if predicate is None or not predicate.item():
            return
        tag = None if op.tag is None else op.tag.data
        emission = sym.EmitOp(op.config, op.amplitude, tag=tag)
        rewriter.replace(op, in_place_of(op, emission))


class DropEmptyTerm(RewritePattern):
    """A term without rows has no lanes."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.TermOp, rewriter: PatternRewriter) -> None:
        if not op.rows.data.rows:
            rewriter.erase(op)
