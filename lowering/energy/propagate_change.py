"""`propagate-change`: deep networks are evaluated where a change of x reaches them.

A change of x at a few sites changes a convolution near them, the next one a little
farther, and so on: a cone. Behind a sum over all positions it is everywhere. Where that
takes fewer operations than the network, its changes are found in the cone: see
`lowering/change/cones.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from statistics import fmean
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import bt
from dialects.stablehlo import shape_of
from lowering.change.cone_analysis import Cones, cones_of
from lowering.change.cones import Node, Pointwise, Stencil, Whole, of_real
from lowering.change.determinants import DeterminantPart
from lowering.change.masked import Masked
from lowering.change.position_lists import Trace
from lowering.energy.bt_local_energy_pack import local_values
from lowering.energy.cone_part import groups_of, in_group, traced
from lowering.energy.extraction import function_named, module_of
from lowering.energy.moves import moves_of
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import op_name, rewrite_once

MAX_ROWS = 1 << 13
"""Of more rows of changes lists take long to follow, and memory."""

GAIN = 1.5
"""So many times fewer operations are worth it: what a change reads is not counted."""

MASKED_GAIN = 1.3
"""The same, of networks with masked layers: of these what is read is counted."""

CONVOLUTION = {8: 8, 4: 3}
"""Multiplications of a convolution take so many times as long as those of a product of
matrices, by bytes of a real: 2.6 and 26 GFLOP/s on a core in double precision, 20 and
75 in single, by XLA on CPUs."""

FUNCTION = {8: 60, 4: 140}
"""Multiplications that take as long as a tanh, by bytes of a real."""

_CHEAP = (
    *("add", "subtract", "multiply", "negate", "maximum", "minimum", "select"),
    *("compare", "convert", "and", "or", "not", "abs", "real", "imag", "complex"),
)


class PropagateChanges(RewritePattern):
    """Networks of an energy are found where changes reach them, if that is less.

    %e = bt.local_energy %x, %b parameters(..) through [#bt.part<network @f>] ..
    becomes
    %e = bt.local_energy %x, %b parameters(..) through [#bt.part<cone @f>] ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        parts = [
            _propagated(op, one) if one.kind == bt.Rung.NETWORK else one
            for one in op.parts
        ]
        if parts != list(op.parts):
            op.parts = ArrayAttr(parts)
            rewriter.notify_op_modified(op)


def _propagated(op: bt.LocalEnergyOp, part: bt.PartAttr) -> bt.PartAttr:
    (name,) = part.functions
    cones = cones_of(function_named(module_of(op), name))
    if isinstance(cones, str):
        reason = cones
    elif not any(_is_local(node) for node in cones.nodes):
        return part  # nothing to tell: its layers are dense
    else:
        found = _gain(op, cones)
        least = MASKED_GAIN if cones.joint else GAIN
        if not isinstance(found, str) and found >= least:
            remark(
                f"@{name} is found in the cone of a change: {found:.1f} times fewer "
                "operations",
                at=op,
            )
            return bt.PartAttr.get(bt.Rung.CONE, name, coefficient=part.coefficient)
        reason = (
            found
            if isinstance(found, str)
            else (f"{found:.1f} times fewer operations are not worth it")
        )
    remark(f"@{name} is not found in cones: {reason}", done=False, at=op)
    return part


def _is_local(node: Node) -> bool:
    """Whether a node is behind a function that is not linear, at many positions."""
    if isinstance(node, DeterminantPart):
        return True
    return isinstance(node, Pointwise) and not node.makes_changes and node.positions > 1


def _gain(op: bt.LocalEnergyOp, cones: Cones) -> float | str:
    """Return how many times fewer operations there are in cones, or why none."""
    size = shape_of(op.config)[1]
    values = local_values(op) or ()
    moves = moves_of(op.branches, values, size=size)
    if isinstance(moves, str):
        return moves
    rows, _ = moves.differences(size)
    if not len(rows) or len(rows) > MAX_ROWS:
        return f"{len(rows)} changes"
    trace = traced(cones, rows, values)
    if isinstance(trace, str):
        return trace
    groups = np.array(groups_of(cones, rows), int)
    traces = [
        in_group(cones, rows, values, groups == number)
        for number in range(groups.max(initial=-1) + 1)
    ]
    inside = fmean(
        sum(_work(node, one) for node in cones.nodes) for one in traces or [trace]
    )
    return sum(map(_whole_work, cones.nodes)) / max(1, inside)


def _work(node: Node, trace: Trace) -> float:
    if isinstance(node, Pointwise):
        return _cost(node) * trace.length(node) * node.channels
    if isinstance(node, Whole):
        return _whole_work(node)
    return node.work(trace)


def _whole_work(node: Node) -> float:
    """Return the multiplications of a node for one x, all of it."""
    size = node.positions * node.channels
    match node:
        case Pointwise():
            return _cost(node) * size
        case DeterminantPart():
            return node.of.whole_work
        case Stencil():
            (source,) = node.sources
            is_wide = node.near.shape[1] > 1
            slow = of_real(CONVOLUTION, node.value) if is_wide else 1
            return slow * size * node.near.shape[1] * source.channels
        case Masked():
            (source,) = node.sources
            return size * source.positions * source.channels
        case Whole(op=op):
            return sum(prod(shape_of(one)) for one in op.operands) * node.channels
        case _:
            return sum(one.positions * one.channels for one in node.sources)


def _cost(node: Pointwise) -> float:
    name = op_name(node.op).removeprefix("stablehlo.")
    return 1 if name in _CHEAP else of_real(FUNCTION, node.value)


@dataclass(frozen=True)
class PropagateChangePass(ModulePass):
    """Find changes of deep networks at the positions that they reach."""

    name = "propagate-change"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, PropagateChanges())
