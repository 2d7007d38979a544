"""`bt-coalesce-diagonal`: sum all branches that lead back to x into one lane.

The matrix elements of all lanes without a write, of all terms, become one lane, which
comes first; the others keep their order. A lane that is not valid adds nothing.

The valid lanes of a term with a fanout are elsewhere for each x: such a term is summed
only where none of its lanes has a write. A broken promise stays NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.stablehlo import shape_of
from lowering.lanes import (
    Change,
    connections_in,
    lane_count,
    parts_of,
    rejoined,
    replace_branches,
    write_count,
)
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter
from lowering.sums import LaneSums


def _is_diagonal(part: SSAValue) -> bool:
    if write_count(part) > 0 or lane_count(part) == 0:
        return False
    if not isinstance(part.owner, bt.CompactOp):
        return isinstance(part.owner, bt.BranchesOp)
    inner = (one.owner for one, _ in parts_of(part.owner.operand))
    return all(isinstance(one, bt.BranchesOp) for one in inner)


def _coalesce(op: bt.ConnectionsOp) -> None:
    parts = [part for part, _ in parts_of(op.branches)]
    found = [part for part in parts if _is_diagonal(part)]
    _remark_on_promises(parts)
    lanes = sum(map(lane_count, found))
    if lanes < 2:
        remark("fewer than two lanes are without writes", done=False, at=op)
        return
    at = Inserter.before(op)
    if shape_of(op.config)[0] != bt.BATCH:
        raise PassFailedException(
            "bt-coalesce-diagonal: the batch size is bound; run it before bt-specialize"
        )
    element = op.matrix_elements.type.element_type
    sums = LaneSums(element, at)
    total = sums.added([sums.of(part) for part in found])
    at.location = op.location
    amplitude = sums.as_lane(total)
    diagonal = at.add(bt.BranchesOp([], [], amplitude, None, 1))
    changes = {part: Change(None, np.full(lane_count(part), -1)) for part in found}
    others, moved = rejoined(op.branches, changes, at)
    at.location = op.location
    joined = diagonal if others is None else at.add(bt.ConcatOp([diagonal, others]))
    remark(f"{lanes} lanes of {_groups(len(found))} are summed into one", at=op)
    # A lane that is none of the others is one of the diagonal
    replace_branches(op, joined, moved + 1)


def _groups(number: int) -> str:
    return f"{number} lane group{'s' if number > 1 else ''}"


def _remark_on_promises(parts: Iterable[SSAValue]) -> None:
    """Name the terms with a fanout that hold lanes without writes, and others."""
    for part in parts:
        if not isinstance(part.owner, bt.CompactOp) or not write_count(part):
            continue
        inner = [one for one, _ in parts_of(part.owner.operand)]
        lanes = sum(lane_count(one) for one in inner if not write_count(one))
        if lanes:
            remark(
                f"{lanes} lanes without writes are not summed: they share a fanout "
                "with lanes that write",
                done=False,
                hint="give the emissions without writes a term of their own",
                at=part.owner,
            )


@dataclass(frozen=True)
class BtCoalesceDiagonalPass(ModulePass):
    """Sum the diagonal: x' = x once, with the sum of its matrix elements."""

    name = "bt-coalesce-diagonal"
    relation: ClassVar[Relation] = Relation.SUM_PER_TARGET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for connections in connections_in(op):
            _coalesce(connections)
