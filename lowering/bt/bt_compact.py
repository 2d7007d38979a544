"""`bt-compact`: the valid lanes first, in as few as conserved sums leave room for.

Where the number of particles is conserved, most hops and most excitations are not
possible from a given x: an electron moves from one of the n occupied orbitals to one
that is empty. How many lanes can be valid at once is counted, for each kind of lane by
what its predicate asks of how many sites of which sector,

    n over the sites that have to be occupied, times m over those to be empty,

and the lanes are compacted into so many where that is much less. The bound holds for
every x that has the sums, as `bt.assume` promises. For another x it might
not, and then the matrix elements are NaN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb, prod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint
from xdsl_jax.dialects.stablehlo import OrOp, SelectOp

from dialects import bt
from dialects.provenance import in_place_of
from dialects.reductions import ReductionKind
from dialects.stablehlo import (
    ELEMENTWISE,
    constant_of,
    dtype_of,
    element_of,
    shape_of,
)
from lowering.analysis.site_wise import SiteWiseAnalysis
from lowering.bt.lane_layout import all_can_be_laid_out
from lowering.bt.lanes import has_batch, is_connected, lane_count, rewrite_lanes
from lowering.evaluate import evaluate
from lowering.order import conjuncts, operands_first
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter

MOST_KEPT = 0.7
"""Compacting connected states costs about as much as this part of the lanes."""

FEWEST_LANES = 64
"""Fewer lanes are not worth it."""

Array = npt.NDArray[Any]

_ANY, _EMPTY, _FULL, _NEVER = 3, 1, 2, 0
"""Question to a site with the values 0 and 1: bits for the two values."""


class _Sectors(NamedTuple):
    """Sites that hold a fixed number of particles together, none or one each."""

    of_site: Array
    """The sector of each site, -1 for none."""
    filling: tuple[int, ...]
    """Number of particles of each sector."""

    def sizes(self) -> tuple[int, ...]:
        return tuple(int((self.of_site == k).sum()) for k in range(len(self.filling)))


def _sectors(function: FuncOp) -> _Sectors | None:
    """Return the sectors of a lattice of zeros and ones; None where there are none."""
    known = bt.assumptions(function)
    if known is None or known.bounds is None or known.sums is None:
        return None
    if tuple(known.bounds.get_values()) != (0, 1):
        return None
    of_site, filling = None, list[int]()
    for one in known.sums:
        *weights, total = one.get_values()
        sites = np.array(weights)
        if of_site is None:
            of_site = np.full(len(sites), -1)
        inside = sites == 1
        if not np.isin(sites, (0, 1)).all() or (of_site[inside] >= 0).any():
            continue  # not a number of particles, or of some that are counted already
        of_site[inside] = len(filling)
        filling.append(int(total))
    if of_site is None or not filling:
        return None
    return _Sectors(of_site, tuple(filling))


# region What a predicate asks for


def _asked_conditions(valid: SSAValue) -> Iterator[SSAValue]:
    """Yield what has to hold where a lane is valid."""
    for value in conjuncts(valid):
        op = value.owner
        if isinstance(op, SelectOp) and _is_false(op.on_false):
            # Where a row of a sum has a lane; more lanes do no harm to a bound
            yield from _asked_conditions(op.on_true)
        else:
            yield value


def _is_false(value: SSAValue) -> bool:
    while isinstance(value.owner, bt.BroadcastOp):
        value = value.owner.operand
    array = constant_of(value)
    return array is not None and not array.any()


def _truth(image: SSAValue) -> int | None:
    """Return for which of the values 0 and 1 a predicate on one site holds, as bits."""
    known: dict[SSAValue, Array] = {}
    for value in operands_first(image, _read):
        op = value.owner
        array = constant_of(value)
        if array is not None and array.size == 1:
            known[value] = np.broadcast_to(array.reshape(()), (2,))
        elif isinstance(op, bt.GatherOp):
            known[value] = np.array([0, 1], dtype_of(element_of(value)))
        elif isinstance(op, bt.BroadcastOp):
            known[value] = known[op.operand]
        elif isinstance(op, Operation) and op.name in ELEMENTWISE:
            operands = [known[operand] for operand in op.operands]
            result = evaluate(op, operands, exact=True)
            if result is None:
                return None
            known[value] = result
        else:
            return None
    holds = known[image].astype(bool)
    return int(holds[0]) * _EMPTY + int(holds[1]) * _FULL


def _read(op: Operation) -> Sequence[SSAValue]:
    return () if isinstance(op, bt.GatherOp) else op.operands


def _asked(valid: SSAValue, analysis: SiteWiseAnalysis) -> Array:
    """Return what a conjunction asks of each site, (lanes, sites).

    Rows of lanes, as in sums, are one after the other.
    """
    axes = (
        shape_of(valid)[1:] if shape_of(valid)[:1] == (bt.BATCH,) else shape_of(valid)
    )
    lanes, sites = prod(axes), analysis.sites
    asked = np.full((lanes, sites), _ANY, np.int8)
    rows = np.arange(lanes)
    for value in _asked_conditions(valid):
        form = analysis.of(value)
        if form is None:
            continue
        table = np.broadcast_to(form.table, axes).reshape(-1)
        for piece in form.pieces:
            truth = _truth(piece.value) if piece.is_image else None
            where = np.broadcast_to(piece.where, axes).reshape(-1) & (table >= 0)
            if truth is not None and (table[where] < sites).all():
                asked[rows[where], table[where]] &= truth
    return asked


# endregion
# region Counting


def _bound(valid: SSAValue, analysis: SiteWiseAnalysis, sectors: _Sectors) -> int:
    """Return how many lanes can be valid at once, at most.

    Of alternatives, as sums of lanes have them, each may be met as often as alone.
    """
    op = valid.owner
    match op:
        case OrOp():
            return sum(_bound(side, analysis, sectors) for side in op.operands)
        case bt.ReduceOp() if op.kind.data is ReductionKind.ANY:
            return _bound(op.operand, analysis, sectors)
        case _:
            return _bound_of_lanes(_asked(valid, analysis), sectors)


def _bound_of_lanes(asked: Array, sectors: _Sectors) -> int:
    possible = asked[(asked != _NEVER).all(axis=1)]
    if not len(possible):
        return 0
    count = len(sectors.filling)
    profile = np.zeros((len(possible), 2 * count), np.int64)
    for sector in range(count):
        inside = possible[:, sectors.of_site == sector]
        profile[:, 2 * sector] = (inside == _FULL).sum(axis=1)
        profile[:, 2 * sector + 1] = (inside == _EMPTY).sum(axis=1)
    kinds, number = np.unique(profile, axis=0, return_inverse=True)
    number = number.reshape(-1)
    return sum(
        _bound_of_kind(possible[number == k], kind.tolist(), sectors)
        for k, kind in enumerate(kinds)
    )


def _bound_of_kind(lanes: Array, kind: Sequence[int], sectors: _Sectors) -> int:
    """Return the least of some bounds on lanes that ask for as many sites each."""
    room = [
        (filling, size - filling)
        for filling, size in zip(sectors.filling, sectors.sizes(), strict=True)
    ]
    choices = prod(
        comb(full, kind[2 * k]) * comb(empty, kind[2 * k + 1])
        for k, (full, empty) in enumerate(room)
    )
    known = lanes[:, sectors.of_site >= 0]
    twins = max(Counter(map(bytes, np.ascontiguousarray(known))).values())
    found = [len(lanes), twins * choices]
    for k, (full, empty) in enumerate(room):
        inside = lanes[:, sectors.of_site == k]
        for what, most, times in (
            (_FULL, full, kind[2 * k]),
            (_EMPTY, empty, kind[2 * k + 1]),
        ):
            if times:
                # A lane is counted at each of its sites; only so many have that value
                per_site = np.sort((inside == what).sum(axis=0))[::-1]
                found.append(int(per_site[:most].sum()) // times)
    return min(found)


# endregion


@dataclass
class CompactLanes(RewritePattern):
    """Valid lanes come first, in as many as can be valid at once.

    %b = bt.branches .. valid %p origins #bt.lanes<0:132 of 132> -> <132 x 2>
    bt.connections %x, %b
    becomes
    %b = bt.branches .. valid %p origins #bt.lanes<0:132 of 132> -> <132 x 2>
    %c = bt.compact %b : <132 x 2> -> <36 x 2>
    bt.connections %x, %c
    """

    most_kept: float

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BranchesOp, rewriter: PatternRewriter) -> None:
        lanes, function = lane_count(op.result), op.parent_op()
        if op.valid is None or lanes < FEWEST_LANES or not isinstance(function, FuncOp):
            return
        sectors = _sectors(function)
        if sectors is None or not is_connected(op) or not has_batch(op):
            return
        (config, *_) = function.body.block.args
        analysis = SiteWiseAnalysis(config, Inserter(rewriter, op.location))
        bound = max(1, _bound(op.valid, analysis, sectors))
        if bound > self.most_kept * lanes:
            remark(
                f"{bound} of {lanes} lanes may be valid at once: they keep their "
                "places",
                done=False,
                at=op,
            )
            return
        if not all_can_be_laid_out(op):
            return
        remark(f"{lanes} lanes are compacted into {bound}", at=op)
        compact = in_place_of(op, bt.CompactOp(op.result, bound))
        rewriter.insert(compact, InsertPoint.after(op))
        rewriter.replace_uses_with_if(
            op.result, compact.result, lambda use: use.operation is not compact
        )


@dataclass(frozen=True)
class BtCompactPass(ModulePass):
    """Compact lanes of which conserved sums allow few. Before `bt-specialize`.

    Attributes:
        most_kept: what part of the lanes may be kept at most, of 1.
    """

    name = "bt-compact"
    relation: ClassVar[Relation] = Relation.MULTISET

    most_kept: float = MOST_KEPT

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, CompactLanes(self.most_kept))
