"""`bt-local-energy-coalesce`: lanes that lead back to x never ask the wavefunction.

The matrix elements of all lanes without a write are summed, as `diagonal`; what is left
are lanes that lead elsewhere. Lanes that provably lead to the same x' are one already
where `bt-coalesce-static` was run before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import element_of
from lowering.lanes import Change, lane_count, parts_of, rejoined, write_count
from lowering.local_energy.extraction import energies_in
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter
from lowering.sums import LaneSums

__all__ = ["BtLocalEnergyCoalescePass"]


def _coalesce(op: bt.LocalEnergyOp) -> None:
    parts = [part for part, _ in parts_of(op.branches)]
    found = [
        part
        for part in parts
        if isinstance(part.owner, bt.BranchesOp)
        and not write_count(part)
        and lane_count(part)
    ]
    if not found or op.diagonal is not None:
        remark("no lane is without writes", done=False, at=op)
        return
    at = Inserter.before(op)
    leaf = found[0].owner
    assert isinstance(leaf, bt.BranchesOp)
    sums = LaneSums(element_of(leaf.amplitude), at)
    total = sums.added([sums.of(part) for part in found])
    changes = {part: Change(None, np.full(lane_count(part), -1)) for part in found}
    others, _ = rejoined(op.branches, changes, at)
    at.location = op.location
    if others is None:
        others = at.add(bt.ConcatOp([]))
    lanes = sum(map(lane_count, found))
    remark(
        f"lanes without writes are summed, {lanes} in all: no network for them", at=op
    )
    new = bt.LocalEnergyOp(
        op.config, others, total, op.parameters, op.parts.data, op.result.type
    )
    new.plan = op.plan
    Rewriter.replace_op(op, in_place_of(op, new))


@dataclass(frozen=True)
class BtLocalEnergyCoalescePass(ModulePass):
    """Sum the diagonal of local energies."""

    name = "bt-local-energy-coalesce"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for energy in energies_in(op):
            _coalesce(energy)
