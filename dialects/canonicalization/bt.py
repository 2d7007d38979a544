"""Canonicalization of `bt`: every lane keeps its place and its value."""

from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import constant_of


class DropBroadcast(RewritePattern):
    """A broadcast to the operand's own type is the operand."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BroadcastOp, rewriter: PatternRewriter) -> None:
        if op.operand.type == op.result.type:
            rewriter.replace(op, (), (op.operand,))


class ComposeBroadcasts(RewritePattern):
    """`broadcast(broadcast(v))` is one broadcast."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BroadcastOp, rewriter: PatternRewriter) -> None:
        inner = op.operand.owner
        if not isinstance(inner, bt.BroadcastOp):
            return
        outer = op.dims.get_values()
        dims = [outer[axis] for axis in inner.dims.get_values()]
        composed = bt.BroadcastOp(inner.operand, dims, op.result.type)
        rewriter.replace(op, in_place_of(op, composed))


class DropAlwaysValid(RewritePattern):
    """Lanes whose validity is the constant true need no validity."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BranchesOp, rewriter: PatternRewriter) -> None:
        if op.valid is None:
            return
        valid = constant_of(op.valid)
        if valid is None or not valid.all():
            return
        lanes = op.result.type.lanes.data
        origins = bt.origins_of(op.result)
        unguarded = bt.BranchesOp(
            op.sites, op.values, op.amplitude, None, lanes, origins
        )
        rewriter.replace(op, in_place_of(op, unguarded))


class UnwrapSingle(RewritePattern):
    """A concatenation or interleaving of one part is that part."""

    def match_and_rewrite(self, op: object, rewriter: PatternRewriter) -> None:
        if not isinstance(op, bt.JoinOp) or len(op.parts) != 1:
            return
        rewriter.replace(op, (), (op.parts[0],))


class FlattenConcat(RewritePattern):
    """`concat(concat(a, b), c)` is `concat(a, b, c)`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.ConcatOp, rewriter: PatternRewriter) -> None:
        if not any(isinstance(part.owner, bt.ConcatOp) for part in op.parts):
            return
        parts = [
            inner
            for part in op.parts
            for inner in (
                part.owner.parts if isinstance(part.owner, bt.ConcatOp) else [part]
            )
        ]
        rewriter.replace(op, in_place_of(op, bt.ConcatOp(parts)))
