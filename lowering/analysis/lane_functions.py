"""Functions of x that lanes compute: one number for one function.

A value of a lane is a function of x at the sites that the lane reads. Lanes where the
same reads are of one site, with the same constants, are of one kind, and compute the
same function of sites that differ. It is tabulated for all local values of these sites,
once for each kind. The table over those sites that matter is the same for two lanes
just where they compute the same.

A function that cannot be tabulated is told apart by how it is computed: where the local
values or a parameter are not known, numbers are rounded, or there are too many points.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import ELEMENTWISE, constant_of, dtype_of, element_of, shape_of
from dialects.tables import NO_SITE
from lowering.analysis.row_kinds import bits_of, kinds_of_rows
from lowering.bt.lanes import behind_broadcasts
from lowering.evaluate import evaluate
from lowering.order import operands_first

Array = npt.NDArray[Any]

IDENTITY = 0
"""The number of f(v) = v."""

UNKNOWN = -3
"""Nothing is known of functions with numbers up to this one: each is of one lane."""

MAX_POINTS = 1 << 18
"""The largest number of (kind of lanes, joint local values) points to tabulate."""

MAX_CHOICES = 256
"""Lanes whose constants choose in more ways are looked at together."""


@dataclass(frozen=True, eq=False)
class _LocalValues:
    """The local values of each kind of site, and the kind of each site.

    `table` is (kinds, most values); the last value is repeated where there are fewer.
    """

    table: Array
    kind: Array

    @classmethod
    def of(cls, op: Operation, sites: int) -> _LocalValues | None:
        """Return what the function around an op says of x; None if it does not."""
        known = bt.assumptions(op)
        if known is None or known.values is None:
            return None
        number: dict[tuple[float, ...], int] = {}
        kind: list[int] = []
        for one in known.values:
            kind.append(number.setdefault(tuple(one.get_values()), len(number)))
        width = max(map(len, number))
        table = [[*one, *[one[-1]] * (width - len(one))] for one in number]
        return cls(np.array(table), np.broadcast_to(kind, (sites,)))


@dataclass(frozen=True, eq=False)
class _Reads:
    """The sites that lanes read in some places.

    Attributes:
        sites: (lanes, reads), those that a lane reads, ascending, each once; `NO_SITE`
            where there are fewer.
        ranks: (lanes, reads), which of them each read is of.
    """

    sites: Array
    ranks: Array

    @classmethod
    def of(cls, places: Sequence[Array], lanes: int) -> _Reads:
        """Return them for places, each of which is a site of every lane."""
        read = np.stack(places, axis=1) if places else np.zeros((lanes, 0), np.int64)
        order = np.argsort(read, axis=1, kind="stable")
        ascending = np.take_along_axis(read, order, axis=1)
        rank = np.zeros(read.shape, np.int64)
        rank[:, 1:] = np.cumsum(ascending[:, 1:] != ascending[:, :-1], axis=1)
        sites, ranks = np.full(read.shape, NO_SITE), np.empty(read.shape, np.int64)
        np.put_along_axis(sites, rank, ascending, axis=1)
        np.put_along_axis(ranks, order, rank, axis=1)
        return cls(sites, ranks)


@dataclass
class LaneFunctions:
    """Numbers the functions of x that values of lanes are, before `bt-specialize`.

    Attributes:
        config: x.
        local_values: those that x can have; None where they are not known.
    """

    config: SSAValue
    local_values: _LocalValues | None
    _numbers: dict[Hashable, int] = field(
        default_factory=lambda: dict[Hashable, int]({"identity": IDENTITY})
    )
    _unknown: int = UNKNOWN

    @classmethod
    def before(cls, op: Operation, config: SSAValue) -> LaneFunctions:
        """Return those of values that an op uses."""
        return cls(config, _LocalValues.of(op, shape_of(config)[1]))

    def of(self, value: SSAValue, lanes: int) -> Array:
        """Return the function that a value is in each lane, (lanes, 1 + sites).

        Its number comes first, then the sites that it is a function of, in ascending
        order, and `NO_SITE` where there are fewer. Lanes that agree in this have the
        same value for every x, also where they are lanes of two values.
        """
        found = [
            (members, self._of_group(_Group.of(value, lane, members, self.config)))
            for members, lane in _groups(value, lanes)
        ]
        width = max([2, *[own.shape[1] for _, own in found]])
        result = np.full((lanes, width), NO_SITE)
        for members, own in found:
            result[members, : own.shape[1]] = own
        return result

    def _of_group(self, group: _Group) -> Array:
        """Return the functions of lanes in which constants choose the same."""
        lanes = len(group.members)
        if not group.is_known:
            last, self._unknown = self._unknown, self._unknown - lanes
            return np.arange(last, self._unknown, -1)[:, None]
        reads = _Reads.of(list(group.reads.values()), lanes)
        tables = [one for table in group.tables.values() for one in bits_of(table)]
        signature = [np.zeros(lanes, np.int64), *reads.ranks.T, *tables]
        if self.local_values is not None:
            signature += [self.local_values.kind[one] for one in group.reads.values()]
        kind, first = kinds_of_rows(signature, lanes)
        points = self._tabulated(group, reads, first)
        if points is None:
            keys = np.stack([column[first] for column in signature], axis=1)
            numbers = self._numbers_of(group, keys)
            return np.column_stack([numbers[kind], reads.sites])
        result = np.full((lanes, 1 + reads.sites.shape[1]), NO_SITE)
        for kinds, axes, numbers in self._named(points, group, reads, first):
            of_kind = np.full(len(first), UNKNOWN)
            of_kind[kinds] = numbers
            rows = np.flatnonzero(of_kind[kind] != UNKNOWN)
            result[rows, 0] = of_kind[kind[rows]]
            result[rows, 1 : 1 + len(axes)] = reads.sites[rows[:, None], axes]
        return result

    def _number(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    # region Tables

    def _tabulated(self, group: _Group, reads: _Reads, first: Array) -> Array | None:
        """Return the bits of a value for the first lane of each kind, at each point.

        They are of shape (kinds, values of a site, .. for each site that is read).
        """
        local_values = self.local_values
        if local_values is None:
            return None
        width = local_values.table.shape[1]
        sites = int(reads.ranks.max(initial=-1)) + 1
        if len(first) * width**sites > MAX_POINTS:
            return None
        grid = np.indices((width,) * sites).reshape(sites, width**sites)
        known: dict[SSAValue, Array] = {}
        for place, (value, read) in enumerate(group.reads.items()):
            own = local_values.table[local_values.kind[read[first]]]
            points = np.take_along_axis(own, grid[reads.ranks[first, place]], axis=1)
            known[value] = _read_as(element_of(value), points)
        for value, table in group.tables.items():
            known[value] = table[first][:, None]
        for value in group.order:
            if value not in known:
                array = constant_of(value)
                if array is None:
                    array = _evaluated(value.owner, group.lane, known)
                if array is not None:
                    known[value] = array
        root = known.get(group.root)
        bits = None if root is None else _bits(root, (len(first), width**sites))
        return None if bits is None else bits.reshape(len(first), *[width] * sites)

    def _named(
        self, points: Array, group: _Group, reads: _Reads, first: Array
    ) -> Iterator[tuple[Array, Array, Array]]:
        """Yield kinds, which of their sites matter, and the number of each."""
        assert self.local_values is not None
        kinds, *width = points.shape
        matters = np.zeros((kinds, len(width)), np.int64)
        for axis in range(len(width)):
            differs = points != points.take([0], axis=1 + axis)
            matters[:, axis] = differs.reshape(kinds, -1).any(axis=1)
        of_pattern, patterns = kinds_of_rows(matters.T, kinds)
        for pattern, one in enumerate(patterns):
            axes = np.flatnonzero(matters[one])
            chosen = np.flatnonzero(of_pattern == pattern)
            at = [slice(None) if own else 0 for own in matters[one]]
            tables = points[(chosen, *at)].reshape(len(chosen), -1)
            numbers = np.array(
                [
                    self._number(("table", len(axes), table.tobytes()))
                    for table in tables
                ]
            )
            if len(axes) == 1:
                site = reads.sites[first[chosen], axes[0]]
                own = self.local_values.table[self.local_values.kind[site]]
                read = _read_as(element_of(group.root), own)
                numbers[(tables == _bits(read, own.shape)).all(axis=1)] = IDENTITY
            yield chosen, axes, numbers

    # endregion

    def _numbers_of(self, group: _Group, keys: Array) -> Array:
        """Return a number for each kind of lanes that have no table.

        It is that of how the value is computed of reads and constants, and of what
        tells the kinds apart, (kinds, any).
        """
        if isinstance(group.root.owner, bt.GatherOp):
            return np.full(len(keys), IDENTITY)
        number: dict[SSAValue, int] = {}
        places = {value: k for k, value in enumerate([*group.reads, *group.tables])}
        for value in group.order:
            op, array = value.owner, constant_of(value)
            key: Hashable = value
            if value in places:
                key = ("place", places[value], element_of(value))
            elif array is not None:
                key = ("constant", array.tobytes(), element_of(value))
            elif isinstance(op, Operation) and op.name in ELEMENTWISE:
                properties = tuple(sorted(op.properties.items()))
                operands = [number[_behind(one, group.lane)] for one in op.operands]
                key = (op.name, properties, element_of(value), *operands)
            number[value] = self._number(key)
        root = number[group.root]
        return np.array(
            [self._number(("computed", root, key.tobytes())) for key in keys]
        )


@dataclass(frozen=True, eq=False)
class _Group:
    """Sources of a value in some lanes.

    Attributes:
        members: the lanes.
        lane: one of them, if constants choose the same in all; None otherwise.
        root: the value, behind what it is repeated of or chosen from.
        order: all that it is computed from, operands first.
        reads: where x is read, and at which site of each lane.
        tables: constants with a number for each lane.
        is_known: whether the lanes differ in these alone.
    """

    members: Array
    lane: int | None
    root: SSAValue
    order: list[SSAValue]
    reads: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])
    tables: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])
    is_known: bool = True

    @classmethod
    def of(
        cls, value: SSAValue, lane: int | None, members: Array, config: SSAValue
    ) -> _Group:
        root = _behind(value, lane)
        order = operands_first(
            root, lambda op: [_behind(one, lane) for one in _operands(op)]
        )
        group = cls(members, lane, root, order)
        known = [group._takes(one, config) for one in order]
        return group if all(known) else replace(group, is_known=False)

    def _takes(self, value: SSAValue, config: SSAValue) -> bool:
        """Note what differs from lane to lane; False if it is not known what does."""
        op, array = value.owner, constant_of(value)
        if array is not None:
            if array.ndim == 1:
                self.tables[value] = array[self.members]
            return array.ndim < 2
        if isinstance(op, bt.GatherOp) and op.config is config:
            table = constant_of(op.sites)
            if op.is_per_sample or table is None or table.ndim > 1:
                return False
            # A site off the lattice is clamped to it, which is what is read there
            table = np.clip(table, 0, shape_of(config)[1] - 1).astype(np.int64)
            self.reads[value] = (
                table[self.members]
                if table.ndim
                else np.broadcast_to(table, self.members.shape)
            )
            return True
        if isinstance(op, Operation) and op.name in ELEMENTWISE:
            return len(op.results) == 1
        return shape_of(value) in ((), (bt.BATCH,))


def _groups(value: SSAValue, lanes: int) -> Iterator[tuple[Array, int | None]]:
    """Yield lanes in which all constants that choose are the same, and one of them."""
    choices = [
        array
        for one in operands_first(value, _operands)
        if isinstance(one.owner, hlo.SelectOp)
        and (array := _constant_behind(one.owner.pred)) is not None
        and array.ndim
    ]
    kind, first = kinds_of_rows(choices, lanes)
    if len(first) > MAX_CHOICES:
        yield np.arange(lanes), None
        return
    order = np.argsort(kind, kind="stable")
    bounds = np.searchsorted(kind[order], np.arange(1, len(first)))
    for members in np.split(order, bounds):
        yield members, int(members[0])


def _behind(value: SSAValue, lane: int | None) -> SSAValue:
    """Return what a value is repeated of, and chosen from by a constant, in a lane."""
    while True:
        match value.owner:
            case bt.BroadcastOp() as op:
                value = op.operand
            case hlo.SelectOp() as op:
                array = _constant_behind(op.pred)
                if array is None or (array.ndim and lane is None):
                    return value
                value = op.on_true if array[lane if array.ndim else ()] else op.on_false
            case _:
                return value


def _constant_behind(value: SSAValue) -> Array | None:
    return constant_of(behind_broadcasts(value))


def _operands(op: Operation) -> Sequence[SSAValue]:
    """Return what a value is computed from in each lane for itself."""
    is_known = isinstance(op, bt.BroadcastOp) or op.name in ELEMENTWISE
    return op.operands if is_known else ()


def _evaluated(
    op: Operation | Block, lane: int | None, known: dict[SSAValue, Array]
) -> Array | None:
    """Return what an op computes, None where that is rounded, or not known."""
    if not isinstance(op, Operation) or op.name not in ELEMENTWISE:
        return None
    operands = [known.get(_behind(one, lane)) for one in op.operands]
    there = [one for one in operands if one is not None]
    if len(there) == len(operands):
        return evaluate(op, there, exact=True)
    if not isinstance(op, hlo.FloorOp):
        return None
    # Rounded, a quotient that is far from all integers is still between the same two
    quotient = _behind(op.operand, lane).owner
    if not isinstance(quotient, hlo.DivideOp):
        return None
    lhs, rhs = (known.get(_behind(one, lane)) for one in quotient.operands)
    if lhs is None or rhs is None:
        return None
    found = cast(Array, evaluate(quotient, [lhs, rhs]))
    margin = np.sqrt(np.finfo(found.dtype).eps) * (1 + np.abs(found))
    is_far = np.abs(found - np.round(found)) > margin
    return np.floor(found) if is_far.all() else None


def _read_as(element: Attribute, values: Array) -> Array:
    """Return local values of x as an element type has them."""
    if isinstance(element, bt.StateType):
        return values
    with np.errstate(over="ignore"):
        return values.astype(dtype_of(element))


def _bits(values: Array, shape: tuple[int, ...]) -> Array | None:
    """Return integers that are equal where real numbers are, with 0 for -0."""
    numbers = values.astype(np.float64) if values.dtype.kind in "biuf" else None
    if numbers is None or (values.dtype.kind in "iu" and (numbers != values).any()):
        return None
    return (np.broadcast_to(numbers, shape) + 0.0).view(np.int64)
