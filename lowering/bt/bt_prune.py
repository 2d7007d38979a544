"""`bt-prune`: leave out lanes that are nothing for every x.

A lane is left out where its predicate is false whatever x is, in rows whose labels
coincide, say, or where its matrix element is: it is 0, or 0 times a finite number, as
in a model one of whose couplings is 0. What is left out was padding for every x. Lanes
of a term with a fanout stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import constant_of, shape_of
from lowering.analysis.site_wise import is_finite
from lowering.bt.lane_layout import LaneLayout, all_can_be_laid_out
from lowering.bt.lanes import (
    has_batch,
    is_connected,
    lane_count,
    nothing_like,
    rewrite_lanes,
)
from lowering.order import operands_first
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter

Mask = npt.NDArray[np.bool_]


def _along_lanes(array: npt.NDArray[Any], lanes: int) -> npt.NDArray[Any] | None:
    """Return a constant of each lane."""
    return np.broadcast_to(array, (lanes,)) if array.ndim < 2 else None


def _repeated(value: SSAValue) -> npt.NDArray[Any] | None:
    """Return a constant that is the same for all samples; None for another value."""
    op = value.owner
    if isinstance(op, bt.BroadcastOp):
        last = len(shape_of(value)) - 1
        return constant_of(op.operand) if all(d == last for d in _dims(op)) else None
    return constant_of(value)


def _dims(op: bt.BroadcastOp) -> list[int]:
    return list(op.dims.get_values())


def _never(value: SSAValue, lanes: int) -> Mask:
    """Return the lanes in which a predicate is false, however x is."""
    never: dict[SSAValue, Mask] = {}
    for one in operands_first(value, _conjuncts):
        array = _repeated(one)
        known = None if array is None else _along_lanes(array, lanes)
        if known is not None:
            never[one] = ~known.astype(bool)
        elif isinstance(one.owner, hlo.AndOp):
            never[one] = never[one.owner.lhs] | never[one.owner.rhs]
        elif isinstance(one.owner, hlo.OrOp):
            never[one] = never[one.owner.lhs] & never[one.owner.rhs]
        else:
            never[one] = np.zeros(lanes, bool)
    return never[value]


def _conjuncts(op: Operation) -> list[SSAValue]:
    return list(op.operands) if isinstance(op, hlo.AndOp | hlo.OrOp) else []


def _zero(value: SSAValue, lanes: int) -> Mask:
    """Return the lanes in which an amplitude is 0, however x is."""
    zero: dict[SSAValue, Mask] = {}
    for one in operands_first(value, _factors):
        op = one.owner
        array = _repeated(one)
        known = None if array is None else _along_lanes(array, lanes)
        if known is not None:
            zero[one] = known == 0
        elif isinstance(op, hlo.MultiplyOp):
            lhs = zero[op.lhs] & is_finite(op.rhs)
            zero[one] = lhs | (zero[op.rhs] & is_finite(op.lhs))
        elif isinstance(op, hlo.NegateOp | hlo.ConvertOp):
            zero[one] = zero[op.operand]
        else:
            zero[one] = np.zeros(lanes, bool)
    return zero[value]


def _factors(op: Operation) -> list[SSAValue]:
    is_one = isinstance(op, hlo.MultiplyOp | hlo.NegateOp | hlo.ConvertOp)
    return list(op.operands) if is_one else []


def _kept(op: bt.BranchesOp) -> Mask:
    lanes = lane_count(op.result)
    kept = ~_zero(op.amplitude, lanes)
    return kept if op.valid is None else kept & ~_never(op.valid, lanes)


class PruneLanes(RewritePattern):
    """Branches keep the lanes that may be something for some x.

    %w = stablehlo.constant dense<[1.0, 0.0, 2.0]> : tensor<3xf64>
    %b = bt.branches [] = [] amplitude %w origins #bt.lanes<0:3 of 3>
      : [] [] tensor<3xf64> -> !bt.branches<3 x 0>
    becomes
    bt.pruned #bt.lanes<1 of 3>
    %w = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf64>
    %b = bt.branches [] = [] amplitude %w origins #bt.lanes<0, 2 of 3>
      : [] [] tensor<2xf64> -> !bt.branches<2 x 0>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BranchesOp, rewriter: PatternRewriter) -> None:
        if not lane_count(op.result) or not is_connected(op) or not has_batch(op):
            return
        kept = _kept(op)
        if kept.all():
            return
        if kept.any() and not all_can_be_laid_out(op):
            return
        remark(f"{int((~kept).sum())} lanes are nothing for every x", at=op)
        origins = bt.origins_of(op.result)
        if origins is not None:
            left_out = bt.PrunedOp(origins.picked(np.flatnonzero(~kept)))
            rewriter.insert(in_place_of(op, left_out), InsertPoint.before(op))
        if kept.any():
            rewriter.replace(op, _pruned(op, np.flatnonzero(kept), rewriter))
        else:
            rewriter.replace(op, nothing_like(op))


def _pruned(
    op: bt.BranchesOp, lanes: npt.NDArray[Any], rewriter: PatternRewriter
) -> bt.BranchesOp:
    """Return the branches of some of the lanes."""
    layout = LaneLayout(lanes, Inserter(rewriter, op.location))
    new = [layout.operand(value) for value in op.operands]
    count = len(op.sites)
    valid = None if op.valid is None else new[-1]
    origins = bt.origins_of(op.result)
    branches = bt.BranchesOp(
        new[:count],
        new[count : 2 * count],
        new[2 * count],
        valid,
        len(lanes),
        None if origins is None else origins.picked(lanes),
    )
    return in_place_of(op, branches)


@dataclass(frozen=True)
class BtPrunePass(ModulePass):
    """Leave out lanes that add nothing for any x. Before `bt-specialize`."""

    name = "bt-prune"
    relation: ClassVar[Relation] = Relation.SUM_PER_TARGET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, PruneLanes())
