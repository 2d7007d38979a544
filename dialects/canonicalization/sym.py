"""Canonicalization of `sym`: each pattern keeps every branch, its order and value."""

import numpy as np
from xdsl.ir import Operation, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import sym
from dialects.provenance import in_place_of
from dialects.stablehlo import (
    AddOp,
    NegateOp,
    SubtractOp,
    constant,
    constant_of,
    dtype_of,
    element_of,
)


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


class FlipOfTwoStates(RewritePattern):
    """The next of two allowed values v, w after one that was read is `v + w - read`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: sym.LocalValueOp, rewriter: PatternRewriter
    ) -> None:
        place = op.value.owner
        if not isinstance(place, AddOp) or sym.may_be_missing(op.site):
            return
        index, amount = place.lhs.owner, constant_of(place.rhs)
        if not isinstance(index, sym.LocalIndexOp) or index.site is not op.site:
            return
        # Only of what is read from x it is known to be one of the two
        if not isinstance(index.value.owner, sym.ReadOp) or isinstance(
            index.value.owner.config.owner, Operation
        ):
            return
        kinds, _ = sym.operator_of(op).space.data.kinds
        if amount is None or amount.item() % 2 != 1 or list(map(len, kinds)) != [2]:
            return
        element = element_of(op.result)
        states = np.array(kinds[0], dtype_of(element))
        total = states.sum()
        if ((total - states) != states[::-1]).any():
            return
        if total == 0:
            rewriter.replace(op, in_place_of(op, NegateOp(index.value)))
            return
        both = in_place_of(op, constant(total, element))
        other = SubtractOp(both.results[0], index.value)
        rewriter.replace(op, [both, in_place_of(op, other)])


class DropTruePredicate(RewritePattern):
    """`emit c, a if true` is `emit c, a`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.EmitOp, rewriter: PatternRewriter) -> None:
        if op.predicate is None:
            return
        predicate = constant_of(op.predicate)
        if predicate is None or not predicate.item():
            return
        emission = sym.EmitOp(op.config, op.amplitude, tag=op.tag)
        rewriter.replace(op, in_place_of(op, emission))


class DropEmptyTerm(RewritePattern):
    """A term without rows has no lanes."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.TermOp, rewriter: PatternRewriter) -> None:
        if not op.rows.data.rows:
            rewriter.erase(op)
