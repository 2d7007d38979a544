"""`plan-local-energy{budget=..}`: how many samples and pairs at once, and what memory.

Samples are taken in chunks whose lanes fit the budget, live lanes of a chunk in chunks
of pairs: so many that what a network makes of them stays in the cache of a core. So
memory grows with neither the batch nor lanes times hidden units, but for tables: they
have rows for each lane, or for each lane and its values before, or for each site.
`units` are the lengths of products whose logarithms are added; the longest that is safe
for the parameters is taken at run time, and the network itself where none is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.stablehlo import dtype_of, element_of, shape_of
from lowering.bt.lanes import lane_count, write_count
from lowering.change.cone_analysis import Cones, cones_of
from lowering.change.cones import of_real
from lowering.change.form_analysis import analyse, is_linear
from lowering.change.forms import Same
from lowering.energy.activations import ACTIVATIONS
from lowering.energy.bt_local_energy_pack import local_values, planned
from lowering.energy.cone_part import MAX_GROUPS, groups_of, traced
from lowering.energy.extraction import function_named, module_of, returned
from lowering.energy.moves import MAX_SITE_VALUES, MAX_SITE_WRITES, moves_of
from lowering.energy.write_parts import tabled
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import op_name, rewrite_once

SAMPLES, NETWORK_SAMPLES = 256, 1024
"""Networks take more at once: the last chunk of live pairs of each chunk of samples is
not full, and what it is short of is evaluated in vain. What a declared delta keeps of a
sample is not known."""
NETWORK_BUDGET = 4
"""Multiple of the budget where the function of a part is called for live pairs."""
PAIRS = 1024
TABLES = 8
"""Multiple of the budget for tables, which are made once for all chunks."""
MIN_NETWORK_PAIRS, MAX_NETWORK_PAIRS = 512, 4096
FEW_NETWORK_PAIRS = 16
"""Pairs at least that a network is evaluated at where that is at nodes of psi alone."""
SMALL = 3 << 9
"""Of networks whose largest values have so many bytes, to start an op is what takes
time: where there is nothing else they are given twice as many pairs."""
CALLS = 16
"""Multiple of the budget where a network calls a library, such as to factorise
matrices: that shares them among threads, which pays for many only."""
BUFFERS = 3
"""Copies of its largest values that a network holds at once."""
CONE_PAIRS, MIN_CONE_PAIRS = 4, {8: 32, 4: 128}
"""What changes of so many pairs take at most, as a multiple of what a network may, and
pairs at least, by bytes of a real: products of matrices have as many rows."""
CONE_CHANGES = 5 / 8
"""What changes behind sums of all pairs take, as a part of what a network may: most of
them are there at once, and what is elementwise between them."""
CONE_VALUES = 6
"""Values of a deep network that are kept of a sample: before and behind activations."""
LONG, SHORT = 32, 8
"""Lengths of products: the logarithm of each costs as much as many factors."""


@dataclass(frozen=True)
class PlanChunks(RewritePattern):
    """An energy says how many samples and pairs are evaluated at once.

    %e = bt.local_energy %x, %b parameters() through [#bt.part<network @f>]
      plan <live = all, rows = 8> ..
    becomes
    %e = bt.local_energy %x, %b parameters() through [#bt.part<network @f>]
      plan <live = all, rows = 8, samples = 1024, pairs = 1024, ..>
    """

    budget: int
    cache: int

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        rewriter.notify_op_modified(op)
        module = module_of(op)
        lanes, writes = lane_count(op.branches), write_count(op.branches)
        # Sites, old and new values, order and log ratios, matrix elements
        per_lane = 4 * writes + 4 + 3 * _bytes(op.result)
        units = sum(_units_bytes(part, module) for part in op.parts)
        kept = sum(_kept(part) * _units_bytes(part, module) for part in op.parts)
        kept += sum(
            CONE_VALUES * _largest(part.functions[0], module)
            for part in op.parts
            if part.kind == bt.Rung.CONE
        )
        per_sample = lanes * per_lane + kept
        networks, kinds = _networks(op), {part.kind for part in op.parts}
        masked = _masked(op, module)
        # Of each group of rows there is a part of the lanes
        budget, most = self.budget * (MAX_GROUPS if masked else 1), SAMPLES
        factorise = any(
            _has_calls(part.functions[0], module)
            for part in op.parts
            if part.kind == bt.Rung.CONE
        )
        if (networks or factorise) and not _is_always_live(op):
            budget *= NETWORK_BUDGET
            if networks and bt.Rung.DECLARED not in kinds:
                most = NETWORK_SAMPLES
        samples = int(np.clip(budget // max(1, per_sample), 8, most))
        # Where no product is safe the whole network is evaluated after all
        functions = {name for part in op.parts for name in part.functions}
        largest = max([1, *(_largest(name, module) for name in functions)])
        network = self.cache // largest
        if bt.Rung.LIFTED in kinds:
            network //= 2  # what its first layer is found from takes as much
        if kinds == {bt.Rung.NETWORK} and largest <= SMALL:
            network *= 2
        if any(_has_calls(name, module) for name in networks):
            network = max(network, CALLS * self.budget // (BUFFERS * largest))
        network = int(np.clip(network, MIN_NETWORK_PAIRS, MAX_NETWORK_PAIRS))
        network = 1 << (network.bit_length() - 1)  # libraries are fast for such
        # What is evaluated for each state is as a network is
        is_evaluated = {bt.Rung.CONE, bt.Rung.LIFTED, bt.Rung.NETWORK} & kinds
        pairs = network if is_evaluated and kinds != {bt.Rung.NETWORK} else PAIRS
        if bt.Rung.CONE in kinds and not {bt.Rung.LIFTED, bt.Rung.NETWORK} & kinds:
            # At nodes of psi alone, and its memory is always taken
            network = max(FEW_NETWORK_PAIRS, self.cache // (4 * largest))
            most = CONE_PAIRS * self.cache // largest
            most = min(most, int(CONE_CHANGES * self.cache) // _changed(op, module))
            deep = next(part for part in op.parts if part.kind == bt.Rung.CONE)
            value = returned(function_named(module, deep.functions[0]))
            pairs = int(np.clip(most, of_real(MIN_CONE_PAIRS, value), pairs))
        elif not networks:
            network //= 2  # that is rare, and its memory is always taken
        rows, by_site, tables = _rows(op), _rows_by_site(op), "lanes"
        has_tables = not kinds <= {bt.Rung.NETWORK, bt.Rung.DECLARED}
        if has_tables and rows and _are_by_values(op, module):
            rows, tables = _rows_by_values(op), "values"
        if (
            has_tables
            and bt.Rung.CONE not in kinds
            and by_site
            and _is_by_site(rows, by_site, units, TABLES * self.budget)
        ):
            rows, tables = by_site, "sites"
            remark(f"tables are of {rows} differences at one site", at=op)
        peak = samples * per_sample + 2 * rows * units + BUFFERS * network * largest
        planned(
            op,
            samples=samples,
            pairs=pairs,
            network_pairs=network,
            units=tuple(_units(op, module)),
            tables=tables,
            peak_bytes=int(peak),
        )
        _plan_groups(op, masked)
        remark(
            f"{samples} samples, {pairs} pairs, {network} evaluations of a network at "
            f"once; about {peak / 1e6:.1f} MB",
            at=op,
        )


@dataclass(frozen=True)
class PlanLocalEnergyPass(ModulePass):
    """Choose chunk sizes for a memory budget, and predict the memory.

    Attributes:
        budget: bytes for what a chunk of samples needs, four times as many where
            networks, or declared deltas, are evaluated for live lanes; tables by lane
            that take more than eight times as many give way to tables by site, if these
            take less.
        cache: bytes of the largest value that a network makes of all of its pairs.
    """

    name = "plan-local-energy"
    relation: ClassVar[Relation] = Relation.EQUAL

    budget: int = 2 << 20
    cache: int = 2 << 20

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, PlanChunks(self.budget, self.cache))


def _units(op: bt.LocalEnergyOp, module: ModuleOp) -> list[int]:
    """Return lengths of products, the longest first; one is enough without any."""
    results = [
        returned(function_named(module, part.functions[0]))
        for part in op.parts
        if part.kind == bt.Rung.EXPONENTIAL
    ]
    if not results:
        return [1]
    # In double precision hardly any parameters need the shorter ones
    is_double = all(_precision(result) == 64 for result in results)
    return [LONG] if is_double else [LONG, SHORT]


def _precision(value: SSAValue) -> int:
    dtype = dtype_of(element_of(value))
    return 8 * dtype.itemsize // (2 if dtype.kind == "c" else 1)


def _masked(op: bt.LocalEnergyOp, module: ModuleOp) -> Cones | None:
    """Return how changes go through the only deep part, if it has masked layers."""
    deep = [part for part in op.parts if part.kind == bt.Rung.CONE]
    if len(deep) != 1:
        return None
    cones = cones_of(function_named(module, deep[0].functions[0]))
    return cones if isinstance(cones, Cones) and cones.joint else None


def _changed(op: bt.LocalEnergyOp, module: ModuleOp) -> int:
    """Return the bytes of all changes behind sums in a cone, of one x', or 1.

    Those of masked layers are not known: groups of rows reach less than lists have.
    """
    moves = tabled(op)
    if isinstance(moves, str):
        return 1
    rows, _ = moves.differences(shape_of(op.config)[1])
    total = 0
    for part in (one for one in op.parts if one.kind == bt.Rung.CONE):
        cones = cones_of(function_named(module, part.functions[0]))
        if isinstance(cones, str) or cones.joint:
            continue
        trace = traced(cones, rows, local_values(op))
        if not isinstance(trace, str):
            total += sum(
                trace.length(node) * node.channels * _bytes(node.value)
                for node in cones.nodes
                if not node.stays
            )
    return max(total, 1)


def _plan_groups(op: bt.LocalEnergyOp, cones: Cones | None) -> None:
    """Say which groups rows of changes are in, where that is of use."""
    moves = tabled(op)
    if cones is None or isinstance(moves, str):
        return
    rows, _ = moves.differences(shape_of(op.config)[1])
    groups = groups_of(cones, rows)
    if groups:
        planned(op, groups=tuple(groups))
        remark(f"{max(groups) + 1} groups of rows, by what they reach", at=op)


def _is_always_live(op: bt.LocalEnergyOp) -> bool:
    return op.plan is not None and op.plan.data.live == "all"


def _rows(op: bt.LocalEnergyOp) -> int:
    return 0 if op.plan is None else op.plan.data.rows or 0


def _are_by_values(op: bt.LocalEnergyOp, module: ModuleOp) -> bool:
    """Whether a difference x' - x does not say how what is additive changes.

    Of two local values it says which they are.
    """
    names = [name for part in op.parts for name in part.additive]
    functions = (function_named(module, name) for name in names)
    return len(local_values(op)) > 2 and not all(map(is_linear, functions))


def _rows_by_values(op: bt.LocalEnergyOp) -> int:
    size = shape_of(op.config)[1]
    moves = moves_of(op.branches, local_values(op), size=size, by_values=True)
    return 0 if isinstance(moves, str) else lane_count(op.branches) * moves.rows


def _rows_by_site(op: bt.LocalEnergyOp) -> int:
    """Return how many rows tables by site have, 0 for no such tables."""
    values, writes = local_values(op), write_count(op.branches)
    if not 0 < writes <= MAX_SITE_WRITES or len(values) > MAX_SITE_VALUES:
        return 0
    return shape_of(op.config)[1] * len(values) ** 2


def _is_by_site(by_lane: int, by_site: int, units: int, limit: int) -> bool:
    """Whether tables are by site: those by lane are not known, or larger and large."""
    return not by_lane or (by_site < by_lane and by_lane * units > limit)


def _bytes(value: SSAValue) -> int:
    return dtype_of(element_of(value)).itemsize


def _units_bytes(part: bt.PartAttr, module: ModuleOp) -> int:
    """Return what the elements of an additive function take, for one x.

    That of a sum of softplus is needed for each of them.
    """
    if part.kind == bt.Rung.LINEAR:
        return 0  # its table has one number for each row
    results = [returned(function_named(module, name)) for name in part.additive]
    found = sum(prod(shape_of(result)) * _bytes(result) for result in results)
    if part.kind == bt.Rung.EXPONENTIAL:
        found *= len(ACTIVATIONS[part.applied or ""].terms)
    return found


def _kept(part: bt.PartAttr) -> int:
    """Return how many numbers are kept of each element for a sample."""
    return 3 if part.kind == bt.Rung.RATIONAL else 2


def _networks(op: bt.LocalEnergyOp) -> list[str]:
    """Return the functions that may be called for live pairs."""
    called: dict[str, int] = {
        bt.Rung.NETWORK: 0,
        bt.Rung.LIFTED: -1,
        bt.Rung.DECLARED: 0,
    }
    return [
        part.functions[called[part.kind]] for part in op.parts if part.kind in called
    ]


def _has_calls(name: str, module: ModuleOp) -> bool:
    ops = function_named(module, name).body.block.ops
    return any(op_name(op) == "stablehlo.custom_call" for op in ops)


def _largest(name: str, module: ModuleOp) -> int:
    """Return the bytes of the largest value that depends on x, for one x."""
    function: FuncOp = function_named(module, name)
    known = analyse(function)
    sizes = [
        prod(shape_of(result)) * _bytes(result)
        for op in function.body.block.ops
        for result in op.results
        if isinstance(result.type, TensorType) and not isinstance(known[result], Same)
    ]
    return max(sizes, default=1)
