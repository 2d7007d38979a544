"""`plan-distinct-states`: of equal x' in a chunk of samples one is evaluated.

In molecules, small systems and peaked states many x' of a batch are the same. To find
equal ones takes time, too: it is worth it where many are, and log psi is no trifle.
Samples say so, which a pass does not have: who has them inserts this one. Equal samples
are taken once, and of these so many at once as are planned here. What is evaluated is
the network as a whole; parts that are found without x' need none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.stablehlo import dtype_of, element_of
from lowering.bt.lanes import lane_count, write_count
from lowering.energy.bt_local_energy_pack import local_values, planned
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import rewrite_once

SAMPLES = 1024
BUDGET = 8
"""Multiple of the budget: more samples at once have more x' in common. But of few that
are distinct a chunk is not filled, and its lanes are found in vain."""
DEFAULT_BUDGET = 2 << 20
BYTES = 24
"""What a state takes beside its writes and matrix element: its key, where it is."""


def has_distinct_states(op: bt.LocalEnergyOp) -> bool:
    """Whether the plan says that each distinct state is evaluated once."""
    return op.plan is not None and op.plan.data.states == "distinct"


def not_distinct(op: bt.LocalEnergyOp) -> str | None:
    """Return why equal states cannot be of use or be found; None where they can."""
    kinds = {part.kind for part in op.parts}
    if not lane_count(op.branches) or not kinds & {bt.Rung.NETWORK, bt.Rung.LIFTED}:
        return "no part is evaluated at x'"
    if bt.Rung.DECLARED in kinds:
        return "a declared change is of a sample and a lane"
    return None if local_values(op) else "the local values are not known"


def samples_at_once(op: bt.LocalEnergyOp, budget: int) -> int:
    """Return how many samples have their equal states in common."""
    return int(np.clip(BUDGET * budget // _bytes_per_sample(op), 8, SAMPLES))


def _bytes_per_sample(op: bt.LocalEnergyOp) -> int:
    element = dtype_of(element_of(op.result)).itemsize
    per_lane = BYTES + 6 * write_count(op.branches) + 3 * element
    return per_lane * lane_count(op.branches)


@dataclass(frozen=True)
class PlanDistinctStates(RewritePattern):
    """An energy says that equal states are evaluated once, and takes more samples.

    %e = bt.local_energy %x, %b parameters() through [#bt.part<network @f>]
      plan <samples = 100, ..> ..
    becomes
    %e = bt.local_energy %x, %b parameters() through [#bt.part<network @f>]
      plan <samples = 300, .., states = distinct> ..
    """

    budget: int

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        missed = not_distinct(op)
        if missed is not None:
            remark(f"equal states are not looked for: {missed}", done=False, at=op)
            return
        rewriter.notify_op_modified(op)
        samples = samples_at_once(op, self.budget)
        peak = _bytes_per_sample(op) * samples
        if op.plan is not None:
            peak += op.plan.data.peak_bytes or 0
        planned(op, samples=samples, states="distinct", peak_bytes=peak)
        remark(f"equal states of {samples} samples are evaluated once", at=op)


@dataclass(frozen=True)
class PlanDistinctStatesPass(ModulePass):
    """Evaluate each distinct x' of a chunk of samples once. After `plan-local-energy`.

    Attributes:
        budget: bytes for what a chunk of samples needs, eight times as many here.
    """

    name = "plan-distinct-states"
    relation: ClassVar[Relation] = Relation.EQUAL

    budget: int = DEFAULT_BUDGET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, PlanDistinctStates(self.budget))
