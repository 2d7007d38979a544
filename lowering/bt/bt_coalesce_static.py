"""`bt-coalesce-static`: sum lanes that provably lead to the same x'.

What a lane writes is a function of x at the sites that it reads, see `lane_functions`.
Lanes that write the same functions to the same sites lead to one x', and are summed:
Pauli strings that flip the same qubits, say, or hops with other numbers beside them.
They may come from different terms. What is written over or leaves x as it is does not
count: two flips of one site lead back to x.

The lanes of a sum are put in a row of a table (sums, lanes of each), so that summing is
a reduction along rows; nothing is gathered for it at run time. The writes of a sum are
those of its first lane, none where it leads back to x. It is valid where one of its
lanes is.

Functions are the same if they are for all local values (`bt.assume`). Derivatives
of x' by x, of which there are some where x is a float, are those of the first lane. Two
lanes that agree only where both are valid keep a lane each. Those of a term with a
fanout stay as they are: where they are differs from x to x.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.canonicalization.bt import FlattenConcat
from dialects.origins import LaneOrigins
from dialects.reductions import ReductionKind
from dialects.stablehlo import (
    AddOp,
    OrOp,
    constant,
    constant_of,
    element_of,
    select,
    shape_of,
)
from lowering.analysis.lane_functions import IDENTITY, UNKNOWN, LaneFunctions
from lowering.analysis.row_kinds import kinds_of_rows
from lowering.bt.lane_layout import LaneLayout, all_can_be_laid_out
from lowering.bt.lanes import lane_count, repeated, rewrite_lanes
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter

Array = npt.NDArray[Any]

_NOTHING = -1
"""In a key: there is no such write."""


@dataclass(frozen=True, eq=False)
class _Part:
    """Branches whose lanes can be told apart by what they write.

    Attributes:
        op: the branches.
        keys: (lanes, writes, 2 + sites): the site, the number of the function of x, and
            the sites that it is one of, for each write that changes x; the same for two
            lanes whose x' agree.
    """

    op: bt.BranchesOp
    keys: Array

    @property
    def lanes(self) -> int:
        return lane_count(self.op.result)


# region What lanes write


def _keys(op: bt.BranchesOp, functions: LaneFunctions, sites: int) -> Array | None:
    """Return what the lanes write, for `_Part`; None where that is not known."""
    lanes = lane_count(op.result)
    columns: list[Array] = []
    for site, value in zip(op.sites, op.values, strict=True):
        table = constant_of(site)
        if table is None:
            return None
        of_lane = np.broadcast_to(table, (lanes,)).astype(np.int64)[:, None]
        column = np.hstack([of_lane, functions.of(value, lanes)])
        column[(of_lane[:, 0] < 0) | (of_lane[:, 0] >= sites)] = _NOTHING
        columns.append(column)
    if not columns:
        return np.full((lanes, 0, 3), _NOTHING)
    width = max(column.shape[1] for column in columns)
    writes = _without_shadowed(
        np.stack([_widened(column, width) for column in columns], axis=1)
    )
    # Not before: a write that restores the source shadows earlier ones, too
    site, number, read = writes[:, :, 0], writes[:, :, 1], writes[:, :, 2]
    writes[(number == IDENTITY) & (read == site)] = _NOTHING
    if (number <= UNKNOWN).any(axis=1).all():
        return None
    return _in_order(writes)


def _widened(keys: Array, width: int) -> Array:
    """Return keys with more columns, in which there is nothing."""
    missing = [(0, 0)] * (keys.ndim - 1) + [(0, width - keys.shape[-1])]
    return np.pad(keys, missing, constant_values=_NOTHING)


def _without_shadowed(writes: Array) -> Array:
    """Leave out each write that a later one to the same site shadows."""
    kept = writes.copy()
    for k in range(writes.shape[1]):
        later = writes[:, k + 1 :, 0]
        shadowed = (later == writes[:, k, None, 0]).any(axis=1)
        kept[shadowed, k] = _NOTHING
    return kept


def _in_order(writes: Array) -> Array:
    """Sort the writes of each lane by their sites: no two are at one."""
    order = np.argsort(writes[:, :, 0], axis=1, kind="stable")[:, ::-1]
    return np.take_along_axis(writes, order[:, :, None], axis=1)


def _members(op: bt.BranchesOp | bt.JoinOp) -> list[SSAValue]:
    """Return branches, or the parts of a join, with interleaved ones one by one."""
    if isinstance(op, bt.BranchesOp):
        return [op.result]
    if isinstance(op, bt.InterleaveOp):
        return list(op.parts)
    opened = (
        one.parts if isinstance(one := part.owner, bt.InterleaveOp) else [part]
        for part in op.parts
    )
    return [member for members in opened for member in members]


def _parts(members: Iterable[SSAValue], end: bt.ConnectionsOp) -> list[_Part]:
    functions = LaneFunctions.before(end, end.config)
    sites = shape_of(end.config)[1]
    found: list[_Part] = []
    for branches in members:
        leaf = branches.owner
        if not isinstance(leaf, bt.BranchesOp) or not lane_count(branches):
            continue
        if not all_can_be_laid_out(leaf):
            continue
        keys = _keys(leaf, functions, sites)
        if keys is not None:
            found.append(_Part(leaf, keys))
    return found


# endregion
# region Sums


def _sums_of(parts: Sequence[_Part]) -> Array:
    """Return the number of the sum that each lane belongs to, in order of the parts."""
    keys = [part.keys for part in parts]
    width = max(one.shape[2] for one in keys)
    writes = max(one.shape[1] for one in keys)
    rows = [
        _widened(_widened(one, width).reshape(len(one), -1), width * writes)
        for one in keys
    ]
    columns = np.concatenate(rows)
    number, first = kinds_of_rows(columns.T, len(columns))
    # The sums come in the order of their first lanes
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[number]


@dataclass(frozen=True, eq=False)
class _Class:
    """Sums of lanes of the same parts, with about as many of each.

    Attributes:
        sums: their numbers.
        writes: whether they write anything.
        members: for each part that has a lane in them, its number, and the table of its
            lanes (sums, most lanes of one sum), -1 where there are fewer.
    """

    sums: Array
    writes: bool
    members: list[tuple[int, Array]]


def _classes(parts: Sequence[_Part], sum_of: Array) -> list[_Class]:
    """Return classes of sums, each of which becomes one `bt.branches`."""
    count = int(sum_of.max()) + 1
    bounds = np.cumsum([0, *[part.lanes for part in parts]])
    owns = [sum_of[start:stop] for start, stop in pairwise(bounds.tolist())]
    lanes = [np.argsort(own, kind="stable") for own in owns]
    lengths = np.stack([np.bincount(own, minlength=count) for own in owns], axis=1)
    # Rows of twice the length are another class, lest most of them be empty
    sizes = np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64) + (lengths > 0)
    writes = np.zeros(count, np.int64)
    writes[sum_of] = np.concatenate([_writes(part) for part in parts])
    kind, first = kinds_of_rows([writes, *sizes.T], count)
    found: list[_Class] = []
    for number in np.argsort(first, kind="stable"):
        sums = np.flatnonzero(kind == number)
        members = [
            (part, _table(own, lengths[:, part], sums))
            for part, own in enumerate(lanes)
            if lengths[sums[0], part]
        ]
        found.append(_Class(sums, bool(writes[sums[0]]), members))
    return found


def _writes(part: _Part) -> Array:
    """Return whether each lane of a part changes x anywhere."""
    return (part.keys != _NOTHING).any(axis=(1, 2))


def _table(lanes: Array, lengths: Array, sums: Array) -> Array:
    """Return the lanes of some sums, (sums, most lanes), filled up with -1.

    `lanes` has those of all sums, one sum after the other, of which each has so many.
    """
    start: Array = (np.cumsum(lengths) - lengths)[sums, None]
    length: Array = lengths[sums, None]
    place = np.arange(int(length.max()))
    found = lanes[np.minimum(start + place, len(lanes) - 1)]
    return np.where(place < length, found, -1)


@dataclass
class _Summing:
    """Builds the branches of one class of sums."""

    parts: Sequence[_Part]
    group: _Class
    at: Inserter

    @property
    def sums(self) -> int:
        return len(self.group.sums)

    def run(self) -> SSAValue:
        number, table = self.group.members[0]
        first = self.parts[number].op
        if self._is_whole(first, table):
            return first.result
        layout = LaneLayout(table[:, 0], self.at)
        writes = (
            zip(first.sites, first.values, strict=True) if self.group.writes else ()
        )
        written = [
            (layout.operand(site), layout.operand(value)) for site, value in writes
        ]
        sites, values = [one for one, _ in written], [one for _, one in written]
        self.at.location = first.location
        totals, valids = zip(*map(self._total, self.group.members), strict=True)
        amplitude = reduce(lambda a, b: self._joined(AddOp, a, b), totals)
        valid = None
        if all(one is not None for one in valids):
            known = [one for one in valids if one is not None]
            valid = reduce(lambda a, b: self._joined(OrOp, a, b), known)
        return self.at.add(
            bt.BranchesOp(sites, values, amplitude, valid, self.sums, self._origins())
        )

    def _origins(self) -> LaneOrigins | None:
        """Return the origins of all lanes of each sum."""
        found: list[LaneOrigins] = []
        sum_of: list[Array] = []
        for number, table in self.group.members:
            own = bt.origins_of(self.parts[number].op.result)
            if own is None:
                return None
            rows, columns = np.nonzero(table >= 0)
            found.append(own.picked(table[rows, columns]))
            sum_of.append(rows)
        return LaneOrigins.joined(found).summed(np.concatenate(sum_of), self.sums)

    def _is_whole(self, op: bt.BranchesOp, table: Array) -> bool:
        """Whether the class is a part as it stands."""
        if len(self.group.members) > 1 or table.shape[1] > 1:
            return False
        if op.sites and not self.group.writes:
            return False
        return np.array_equal(table[:, 0], np.arange(lane_count(op.result)))

    def _total(self, member: tuple[int, Array]) -> tuple[SSAValue, SSAValue | None]:
        """Return the sum of the lanes of a part in each sum, and where one is valid.

        The latter is None where that is always so.
        """
        number, table = member
        op = self.parts[number].op
        if table.shape[1] == 1:
            return self._single(op, table[:, 0])
        is_there = table >= 0
        layout = LaneLayout(np.maximum(table, 0), self.at)
        amplitude = self._rows(op.amplitude, layout, table.shape)
        valid = None if op.valid is None else self._rows(op.valid, layout, table.shape)
        self.at.location = op.location
        meant = valid
        if not is_there.all():
            there = self.at.add(constant(is_there, i1))
            if valid is not None:
                no = self._number(False, valid)
                meant = self._joined(select, there, valid, no)
            else:
                meant = there
        if meant is not None:
            zero = self._number(0, amplitude)
            amplitude = self._joined(select, meant, amplitude, zero)
        total = self.at.add(bt.ReduceOp(ReductionKind.SUM, amplitude))
        if valid is None or meant is None:
            return total, None
        return total, self.at.add(bt.ReduceOp(ReductionKind.ANY, meant))

    def _single(
        self, op: bt.BranchesOp, lanes: Array
    ) -> tuple[SSAValue, SSAValue | None]:
        """Return one lane of each sum: 0 where it is not valid."""
        layout = LaneLayout(lanes, self.at)
        amplitude = self._rows(op.amplitude, layout, lanes.shape)
        if op.valid is None:
            return amplitude, None
        valid = self._rows(op.valid, layout, lanes.shape)
        self.at.location = op.location
        zero = self._number(0, amplitude)
        return self._joined(select, valid, amplitude, zero), valid

    def _rows(
        self, value: SSAValue, layout: LaneLayout, shape: tuple[int, ...]
    ) -> SSAValue:
        """Return a value of each lane in the table."""
        found = layout.operand(value)
        self.at.location = layout.at.location
        return found if shape_of(found) else repeated(found, shape, self.at)

    def _number(self, value: float, like: SSAValue) -> SSAValue:
        return self.at.add(constant(np.array(value), element_of(like)))

    def _joined(self, build: Any, *operands: SSAValue) -> SSAValue:
        """Insert an elementwise op on values that are repeated to the largest shape."""
        shape = max((shape_of(operand) for operand in operands), key=len)
        return self.at.add(build(*[repeated(v, shape, self.at) for v in operands]))


# endregion


class CoalesceStatic(RewritePattern):
    """Lanes that write the same functions of x to the same sites are summed.

    %b = bt.branches [%i] = [%v] amplitude %a : .. tensor<4xf64> -> <4 x 1>
    bt.connections %x, %b
    becomes, where lanes 0 and 2 write the same, and lanes 1 and 3
    %s = bt.reduce sum %r : tensor<2x2xf64> -> tensor<2xf64>
    %c = bt.branches [%j] = [%w] amplitude %s
      origins #bt.lanes<{0, 2} x 2 by 1 of 4> : .. tensor<2xf64> -> <2 x 1>
    bt.connections %x, %c
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self,
        op: bt.BranchesOp | bt.JoinOp,
        rewriter: PatternRewriter,
    ) -> None:
        ends = {use.operation for use in op.result.uses}
        if len(ends) != 1:
            return
        (end,) = ends
        if not isinstance(end, bt.ConnectionsOp):
            return
        if shape_of(end.config)[0] != bt.BATCH:
            raise PassFailedException(
                "bt-coalesce-static: the batch size is bound; run it before "
                "bt-specialize"
            )
        joined = _coalesced(_members(op), end, Inserter(rewriter, op.location))
        if joined is not None:
            rewriter.replace(op, (), (joined,))


def _coalesced(
    members: Sequence[SSAValue], end: bt.ConnectionsOp, at: Inserter
) -> SSAValue | None:
    """Return the branches with sums of lanes; None where no two agree."""
    parts = _parts(members, end)
    lanes = sum(part.lanes for part in parts)
    sum_of = _sums_of(parts) if parts else np.zeros(0, np.int64)
    count = len(np.unique(sum_of))
    ours = {part.op.result for part in parts}
    rest = [member for member in members if member not in ours]
    _remark_on_rest(rest)
    if count == lanes:
        remark("no two lanes provably lead to the same x'", done=False)
        return None
    classes = _classes(parts, sum_of)
    summed = [_Summing(parts, group, at).run() for group in classes]
    remark(f"{lanes} lanes are summed into {count}")
    at.location = end.location
    return at.add(bt.ConcatOp([*summed, *rest]))


def _remark_on_rest(rest: Iterable[SSAValue]) -> None:
    """Say which lanes cannot be compared with others."""
    for branches in rest:
        lanes = lane_count(branches)
        if not lanes:
            continue
        promised = isinstance(branches.owner, bt.CompactOp)
        remark(
            f"{lanes} lanes are not compared with others",
            done=False,
            hint="lanes of a term with a fanout are elsewhere for each x: leave it out"
            if promised
            else "where they write, or what, follows from x in no way that is known",
            at=cast(Operation, branches.owner),
        )


@dataclass(frozen=True)
class BtCoalesceStaticPass(ModulePass):
    """Sum the lanes whose writes agree as functions of x. Before `bt-specialize`."""

    name = "bt-coalesce-static"
    relation: ClassVar[Relation] = Relation.SUM_PER_TARGET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, FlattenConcat(), repeatedly=True)
        rewrite_lanes(op, CoalesceStatic())
