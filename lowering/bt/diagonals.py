"""Lanes without writes, which lead back to x: told apart from lanes that write."""

from __future__ import annotations

from collections.abc import Iterable

from xdsl.ir import SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.canonicalization.bt import FlattenConcat
from dialects.provenance import in_place_of
from lowering.bt.lanes import lane_count, sinks_of, write_count


def is_diagonal(branches: SSAValue) -> bool:
    """Whether no lane of `bt.branches` or `bt.compact` writes, and there is a lane.

    Matrix elements of such lanes can be summed, see `LaneSums`. Not where another op
    has the lanes as well.
    """
    if write_count(branches) > 0 or lane_count(branches) == 0:
        return False
    op = branches.owner
    whole = _is_of_leaves(op.operand) if isinstance(op, bt.CompactOp) else True
    is_known = isinstance(op, bt.BranchesOp | bt.CompactOp) and whole
    return is_known and len(set(sinks_of(branches))) == 1


def _is_of_leaves(branches: SSAValue) -> bool:
    op = branches.owner
    if isinstance(op, bt.JoinOp):
        return all(map(_is_of_leaves, op.parts))
    return isinstance(op, bt.BranchesOp)


def diagonals_of(branches: SSAValue) -> tuple[list[SSAValue], list[SSAValue]]:
    """Return the parts of a concatenation without writes, and its other parts."""
    op = branches.owner
    parts: Iterable[SSAValue] = op.parts if isinstance(op, bt.ConcatOp) else [branches]
    found: tuple[list[SSAValue], list[SSAValue]] = ([], [])
    for part in parts:
        found[not is_diagonal(part)].append(part)
    return found


class SeparateDiagonal(RewritePattern):
    """Lanes without writes are in front of those that they were interleaved with.

    %c = bt.interleave %b, %d : <7 x 1>, <7 x 0> -> <14 x 1>
    becomes
    %c = bt.concat %d, %b : <7 x 0>, <7 x 1> -> <14 x 1>

    Those of a single row keep their places, since their sum is one of no other lane.
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.InterleaveOp, rewriter: PatternRewriter) -> None:
        diagonals = [part for part in op.parts if is_diagonal(part)]
        ends = (bt.ConnectionsOp, bt.LocalEnergyOp)
        if not diagonals or not all(isinstance(s, ends) for s in sinks_of(op.result)):
            return
        others = [part for part in op.parts if part not in diagonals]
        if lane_count(diagonals[0]) == 1:
            joined = bt.ConcatOp(op.parts)
        elif len(others) < 2:
            joined = bt.ConcatOp([*diagonals, *others])
        else:
            rest = in_place_of(op, bt.InterleaveOp(others))
            rewriter.insert(rest)
            joined = bt.ConcatOp([*diagonals, rest.result])
        rewriter.replace(op, in_place_of(op, joined))


SEPARATE = (SeparateDiagonal(), FlattenConcat())
"""Patterns behind which lanes without writes are parts of the last `bt.concat`."""
