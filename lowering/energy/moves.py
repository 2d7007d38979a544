"""All differences that the writes of lanes can make to x, lane by lane.

A lane of a two-valued space flips a spin by +2 or -2; a hop always takes one particle
from here to there. Tables of what a wavefunction does with such a difference are made
once, for each lane and difference, and shared by its two signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation, SSAValue

from dialects import bt
from dialects.stablehlo import ELEMENTWISE, constant_of, dtype_of, element_of, shape_of
from lowering.bt.lanes import lane_count, parts_of, write_count
from lowering.evaluate import evaluate
from lowering.order import operands_first

Array = npt.NDArray[Any]
Writes: TypeAlias = tuple[Array, Array, Array]
"""Sites, values before and values after of rows of K writes, (rows, K) each."""

MAX_ROWS = 16
"""A lane with more differences than that, signs aside, has no table."""

MAX_SITE_WRITES, MAX_SITE_VALUES = 8, 4
"""Lanes of more writes, or sites of more local values, have no tables by site: so many
rows take as long as the first layer of a network, or are of no lane."""

MAX_POINTS = 1 << 21
"""More combinations of local values than that are not looked at."""


@dataclass(frozen=True, eq=False)
class Moves:
    """Differences x' - x of R lanes of K writes.

    Attributes:
        sites: (R, K), where a lane writes, -1 for nowhere.
        deltas: (R, U, K), the differences of a lane up to a sign; rows of zeros where
            it has fewer.
        always: whether every lane is valid, and changes x, for every x.
        signed: whether a difference occurs with both signs.
        olds: (R, U, K), the local values before, where differences are told apart by
            them, and never shared by two signs; None where they are not.
    """

    sites: Array
    deltas: Array
    always: bool
    signed: bool
    olds: Array | None = None
    at_once: ClassVar[int] = 1

    @property
    def rows(self) -> int:
        """Most differences of a lane, signs aside."""
        return self.deltas.shape[1]

    def differences(self, size: int) -> tuple[Array, Writes | None]:
        """Return all differences of N sites, (R * U, N), lane by lane, and writes.

        The writes are None where the values before are not told apart.
        """
        lanes, rows, writes = self.deltas.shape
        steps = np.zeros((lanes, rows, size))
        for write in range(writes):
            sites = self.sites[:, write]
            known = np.nonzero(sites >= 0)[0]
            for row in range(rows):
                # No two writes of a lane change one site: shadowed ones change nothing
                steps[known, row, sites[known]] += self.deltas[known, row, write]
        flat = steps.reshape(lanes * rows, size)
        if self.olds is None:
            return flat, None
        places = np.repeat(self.sites[:, None, :], rows, axis=1)
        written = (places, self.olds, self.olds + self.deltas)
        sites, old, new = (one.reshape(lanes * rows, writes) for one in written)
        return flat, (sites, old, new)


@dataclass(frozen=True, eq=False)
class SiteMoves:
    """Differences at one site: for each of N sites, value before and value after.

    A lane makes one at each of its writes, wherever that is: these are few where lanes
    are many.

    Attributes:
        values: the V local values, in order.
        always: as in `Moves`.
        at_once: how many of them a lane makes at most.
    """

    values: tuple[float, ...]
    always: bool
    at_once: int

    def differences(self, size: int) -> tuple[Array, Writes]:
        """Return all differences of N sites, (N * V * V, N), and their writes."""
        grid = np.meshgrid(np.arange(size), self.values, self.values, indexing="ij")
        sites, old, new = (one.reshape(-1, 1) for one in grid)
        rows = np.zeros((len(sites), size))
        rows[np.arange(len(sites)), sites[:, 0]] = (new - old)[:, 0]
        return rows, (sites, old, new)


def moves_of(
    branches: SSAValue,
    values: Sequence[float],
    *,
    size: int | None = None,
    by_values: bool = False,
) -> Moves | str:
    """Return the differences that lanes make, or why they are not known.

    `values` are the local values that a site can have, `size` is how many sites there
    are: a write elsewhere does nothing. `by_values` tells differences
    apart by the values before.
    """
    lanes, writes = lane_count(branches), write_count(branches)
    sites = np.full((lanes, writes), -1)
    found: list[list[Array]] = [[] for _ in range(lanes)]
    always = True
    for part, numbers in parts_of(branches):
        op = part.owner
        if not isinstance(op, bt.BranchesOp):
            return "lanes of a fanout, or compacted ones, are elsewhere for each x"
        one = _of_leaf(op, np.asarray(values, float), size)
        if isinstance(one, str):
            return one
        own_sites, deltas, is_always = one
        sites[numbers, : own_sites.shape[1]] = own_sites
        always = always and is_always
        for number, rows in zip(numbers, deltas, strict=True):
            found[number] = rows
    if by_values:
        return _tabled_by_values(sites, found, always)
    return _tabled(
        sites, [[row[: len(row) // 2] for row in own] for own in found], always
    )


def _tabled_by_values(
    sites: Array, found: list[list[Array]], always: bool
) -> Moves | str:
    lanes, writes = sites.shape
    most = max(map(len, found), default=0)
    if most > MAX_ROWS:
        return f"a lane has {most} pairs of old and new values, more than {MAX_ROWS}"
    deltas, olds = np.zeros((2, lanes, max(most, 1), writes))
    for number, own in enumerate(found):
        for place, row in enumerate(own):
            count = len(row) // 2
            deltas[number, place, :count] = row[:count]
            olds[number, place, :count] = row[count:]
    return Moves(sites, deltas, always, signed=False, olds=olds)


def _tabled(sites: Array, found: list[list[Array]], always: bool) -> Moves | str:
    lanes, writes = sites.shape
    signed = False
    kept: list[list[Array]] = []
    for rows in found:
        own: list[Array] = []
        for row in rows:
            if any(np.array_equal(row, one) for one in own):
                continue
            if any(np.array_equal(-row, one) for one in own):
                signed = True
                continue
            own.append(row)
        kept.append(own)
    most = max(map(len, kept), default=0)
    if most > MAX_ROWS:
        return f"a lane has {most} differences, more than {MAX_ROWS}"
    deltas = np.zeros((lanes, max(most, 1), writes))
    for number, own in enumerate(kept):
        for place, row in enumerate(own):
            deltas[number, place, : len(row)] = row
    return Moves(sites, deltas, always, signed)


def _of_leaf(
    op: bt.BranchesOp, values: Array, size: int | None
) -> tuple[Array, list[list[Array]], bool] | str:
    """Return sites (R, K), the differences of each lane, and whether all are always.

    Differences are followed by the values before.
    """
    lanes = lane_count(op.result)
    sites = _written_sites(op, lanes, size)
    if isinstance(sites, str):
        return sites
    slots = _Slots(lanes, values)
    for column in range(sites.shape[1]):
        slots.add(sites[:, column])
    order = _gathers(op.values)
    if order is None:
        return "a write depends on more than the values of some sites"
    for gather in order:
        table = constant_of(gather.sites)
        if table is None or table.shape not in ((), (lanes,)):
            return "a write reads more than one site of each lane"
        slots.add(np.broadcast_to(table, (lanes,)))
    if slots.points * lanes > MAX_POINTS:
        return "the writes of a lane depend on too many local values"
    written = [slots.value(value) for value in op.values]
    if any(value is None for value in written):
        return "a write is computed in a way that is not followed"
    valid = None if op.valid is None else slots.value(op.valid)
    possible = slots.consistent()
    meant = possible if valid is None else possible & valid.astype(bool)
    deltas, olds = np.zeros((2, slots.points, lanes, sites.shape[1]))
    for column, value in enumerate(written):
        assert value is not None
        old = slots.at(sites[:, column])
        is_site = sites[:, column] >= 0
        deltas[:, :, column] = np.where(is_site, value - old, 0)
        olds[:, :, column] = np.where(is_site, old, 0)
    moving = meant & (deltas != 0).any(axis=2)
    known = op.valid is None or valid is not None
    always = known and bool((moving | ~possible).all())
    both = np.concatenate([deltas, olds], axis=2)
    rows: list[list[Array]] = [
        [*np.unique(both[moving[:, lane], lane], axis=0)] for lane in range(lanes)
    ]
    return sites, rows, always


def _written_sites(op: bt.BranchesOp, lanes: int, size: int | None) -> Array | str:
    """Return where each lane writes, (R, K), or why that is not known."""
    tables = [constant_of(site) for site in op.sites]
    if any(table is None for table in tables):
        return "the sites of a write depend on x"
    sites = np.zeros((lanes, len(tables)), int)
    for column, table in enumerate(tables):
        sites[:, column] = table
        if size is not None:
            sites[sites[:, column] >= size, column] = -1
        again = sites[:, :column] == sites[:, column : column + 1]
        if (again & (sites[:, :column] >= 0)).any():
            return "a lane writes to one site twice"
    return sites


def _gathers(values: Sequence[SSAValue]) -> list[bt.GatherOp] | None:
    """Return the gathers that values are computed from; None where there is more."""
    found: list[bt.GatherOp] = []
    for value in values:
        for one in operands_first(value, _needs):
            op = one.owner
            if not isinstance(op, Operation):
                return None
            if isinstance(op, bt.GatherOp) and op not in found:
                found.append(op)
    return found


def _needs(op: Operation) -> Sequence[SSAValue]:
    return () if isinstance(op, bt.GatherOp) else op.operands


class _Slots:
    """All combinations of local values at some columns of sites, for all lanes."""

    def __init__(self, lanes: int, values: Array):
        self._lanes = lanes
        self._values = values
        self._columns: list[Array] = []

    def add(self, sites: Array) -> None:
        if not any(np.array_equal(sites, one) for one in self._columns):
            self._columns.append(np.asarray(sites))

    @property
    def points(self) -> int:
        return len(self._values) ** len(self._columns)

    def at(self, sites: Array) -> Array:
        """Return the local values at a column of sites, (points, 1)."""
        for place, one in enumerate(self._columns):
            if np.array_equal(sites, one):
                axes = [1] * len(self._columns)
                axes[place] = -1
                shape = [len(self._values)] * len(self._columns)
                grid = np.broadcast_to(self._values.reshape(axes), shape)
                return grid.reshape(-1, 1)
        raise KeyError(sites)

    def consistent(self) -> Array:
        """Return which combinations can be, (points, lanes): one site, one value."""
        result = np.ones((self.points, self._lanes), bool)
        for place, first in enumerate(self._columns):
            for second in self._columns[:place]:
                same = first == second
                if same.any():
                    result &= ~same[None, :] | (self.at(first) == self.at(second))
        return result

    def value(self, value: SSAValue) -> Array | None:
        """Return a value for all combinations, (points, lanes); None if not known."""
        found: dict[SSAValue, Array] = {}
        for one in operands_first(value, _needs):
            result = self._one(one, found)
            if result is None:
                return None
            found[one] = result
        return np.broadcast_to(found[value], (self.points, self._lanes))

    def _one(self, value: SSAValue, found: dict[SSAValue, Array]) -> Array | None:
        array = constant_of(value)
        if array is not None:
            return (
                array[None, :] if array.ndim == 1 else array if not array.ndim else None
            )
        match value.owner:
            case bt.GatherOp() as op:
                table = constant_of(op.sites)
                if table is None or table.shape not in ((), (self._lanes,)):
                    return None
                sites = np.broadcast_to(table, (self._lanes,))
                if not any(np.array_equal(sites, one) for one in self._columns):
                    return None
                element = element_of(op.result)
                old = self.at(sites)
                is_state = isinstance(element, bt.StateType)
                return old if is_state else old.astype(dtype_of(element))
            case bt.BroadcastOp() as op:
                same = shape_of(op.operand)[-1:] in ((), shape_of(value)[-1:])
                return found[op.operand] if same else None
            case Operation() as op if op.name in ELEMENTWISE:
                return evaluate(op, [found[operand] for operand in op.operands])
            case _:
                return None
