"""Sites that a branch depends on, and the operator cut into parts on few sites.

Rows that read and write the same sites make up a group, which is an operator on these
sites alone. The sum of the groups is the operator: what holds for each of them, and
passes to sums, holds on a lattice of any size. Groups that cannot be told apart but by
their place are the same operator, and one of them stands for all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from xdsl.ir import Block, SSAValue

from dialects import sym
from dialects.stablehlo import to_numpy
from dialects.tables import NO_SITE, LocalSpace
from symir.facts.elements import Selected
from symir.operator.terms import site_numbers

Array = npt.NDArray[Any]
Support: TypeAlias = tuple[int, ...]
Member: TypeAlias = tuple[int, tuple[int, ...], bytes]
"""A row in a group: its term, which of the group's sites it uses, and its data."""

MAX_CONFIGURATIONS = 2**8
"""A group on sites with more joint configurations is not enumerated."""

MAX_ROWS = 2**14
"""An operator of more rows is not cut into groups."""

MAX_PAIRED = 64
"""The distances on a ring of all pairs of so many sites are looked at, at most."""


# region Sites


def sites_read(term: sym.TermOp, roots: Iterable[SSAValue]) -> Array | None:
    """Return the sites that values depend on, for each row: (rows, width) numbers.

    Shorter rows are padded with `NO_SITE`, and a site may stand twice. None where they
    are not known from the tables, or are the whole lattice.
    """
    columns = [np.full((term.rows.data.rows, 1), NO_SITE, np.int32)]
    seen = set[SSAValue]()
    pending = list(roots)
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        if value.type == sym.SiteType() or value.type == sym.SitesType():
            found = _numbers(term, value)
            if found is None:
                return None
            columns.append(found)
            continue
        if isinstance(value.owner, Block):
            continue
        if isinstance(value.owner, sym.ReduceOp) and value.owner.sites is None:
            return None
        for op in value.owner.walk():
            pending += [one for one in op.operands if not _is_of_reduction(one)]
    return np.concatenate(columns, axis=1)


def _is_of_reduction(value: SSAValue) -> bool:
    """Whether a value is the site that a reduction goes over."""
    owner = value.owner
    return isinstance(owner, Block) and isinstance(owner.parent_op(), sym.ReduceOp)


def _numbers(term: sym.TermOp, site: SSAValue) -> Array | None:
    """Return the numbers of a site or set of sites, (rows, width), or None."""
    if site.type == sym.SitesType():
        sets = term.set_of(site)
        return None if sets is None else sets.array
    numbers = site_numbers(term, site)
    return None if numbers is None else numbers[:, None]


@dataclass(frozen=True)
class Reach:
    """Most sites that a branch reads or writes, and the distance between them."""

    body: int
    distance: int
    on_ring: int


def reach(operator: sym.OperatorOp) -> Reach:
    """Return the reach of an operator; all sites where a branch may read them all."""
    sites = operator.space.data.sites
    worst = Reach(0, 0, 0)
    for term in operator.terms:
        for emission in term.emissions:
            table = sites_read(term, emission.operands)
            one = (
                Reach(sites, sites - 1, sites // 2)
                if table is None
                else _reach(table, sites)
            )
            worst = Reach(
                max(worst.body, one.body),
                max(worst.distance, one.distance),
                max(worst.on_ring, one.on_ring),
            )
    return worst


def _reach(table: Array, sites: int) -> Reach:
    if not len(table):
        return Reach(0, 0, 0)
    ordered = np.sort(table, axis=1)
    is_new = np.diff(ordered, axis=1, prepend=NO_SITE) > 0
    body = int(is_new.sum(axis=1).max())
    highest = ordered[:, -1]
    lowest = np.where(table == NO_SITE, sites, table).min(axis=1)
    distance = int(np.where(highest == NO_SITE, 0, highest - lowest).max())
    if table.shape[1] > MAX_PAIRED:
        return Reach(body, distance, min(distance, sites // 2))
    on_ring = 0
    for a, b in itertools.combinations(table.T, 2):
        apart = np.where((a == NO_SITE) | (b == NO_SITE), 0, np.abs(a - b))
        on_ring = max(on_ring, int(np.minimum(apart, sites - apart).max()))
    return Reach(body, distance, on_ring)


# endregion
# region Groups


@dataclass(frozen=True)
class Cut:
    """An operator as a sum of operators on few sites, a representative of each kind.

    Attributes:
        x: all joint configurations of the sites of each representative, (n, N); the
            other sites have their lowest values.
        selected: the lanes of each representative.
        copies: for each sample, how many groups are of the same kind.
        others: the number of lanes that belong to no group: they are diagonal and real.
    """

    x: Array
    selected: Selected
    copies: Array
    others: int

    @property
    def kinds(self) -> int:
        """The number of kinds."""
        return len(np.unique(self.selected.samples))

    def branches_bound(self, busy: Array) -> int:
        """Return how many branches other than 0 there are at most, from those of x."""
        total = self.others
        for group in np.unique(self.selected.samples):
            own = self.selected.samples == group
            total += int(busy[own].max()) * int(self.copies[own][0])
        return total


def is_diagonal(term: sym.TermOp) -> bool:
    """Whether every branch of a term has x' = x by its form."""
    return all(emission.config is term.source for emission in term.emissions)


def cut(operator: sym.OperatorOp, max_samples: int) -> Cut | str:
    """Cut an operator into groups, or say why that cannot be done.

    Terms that are diagonal by their form and real take no part. At most `max_samples`
    configurations are listed.
    """
    space = operator.space.data
    is_real = sym.real_type(operator.element) == operator.element
    lanes = sum(term.lanes for term in operator.terms)
    groups: dict[Support, list[Member]] = {}
    lanes_of: dict[Support, list[Array]] = {}
    first = others = 0
    rows = 0
    for number, term in enumerate(operator.terms):
        start, first = first, first + term.lanes
        if is_real and is_diagonal(term):
            others += term.lanes
            continue
        rows += term.rows.data.rows
        table = sites_read(term, [v for e in term.emissions for v in e.operands])
        problem = _problem(term, table, rows)
        if problem is not None or table is None:
            name = term.sym_name.data
            return problem or f"term {name!r} reads sites that its tables do not name"
        names = _row_names(term, table)
        emissions = len(term.emissions)
        for row, sites in enumerate(table.tolist()):
            support = tuple(sorted({site for site in sites if site != NO_SITE}))
            positions = [support.index(s) if s != NO_SITE else s for s in sites]
            member = (number, tuple(positions), names[row])
            groups.setdefault(support, []).append(member)
            own = start + row * emissions + np.arange(emissions)
            lanes_of.setdefault(support, []).append(own)
    return _listed(space, groups, lanes_of, lanes, others, max_samples)


def _problem(term: sym.TermOp, table: Array | None, rows: int) -> str | None:
    name = term.sym_name.data
    if term.lanes != term.branches:
        return f"term {name!r} has a fanout"
    if table is not None and rows > MAX_ROWS:
        return f"there are more than {MAX_ROWS} rows"
    return None


def _row_names(term: sym.TermOp, table: Array) -> list[bytes]:
    """Return what tells each row apart from others beside the pattern of its sites."""
    parts = [to_numpy(column.values)[:, None] for column in term.data_columns]
    found = [np.ascontiguousarray(part).view(np.uint8) for part in parts]
    # The number of a site, or its place in the row, may enter the computation.
    if any(isinstance(op, sym.IndexOp) for op in term.walk()):
        found.append(np.ascontiguousarray(table).view(np.uint8))
    if not found:
        return [b""] * len(table)
    return [row.tobytes() for row in np.concatenate(found, axis=1)]


def _listed(
    space: LocalSpace,
    groups: dict[Support, list[Member]],
    lanes_of: dict[Support, list[Array]],
    lanes: int,
    others: int,
    max_samples: int,
) -> Cut | str:
    kinds, kind_of = space.kinds
    known: dict[Any, list[Support]] = {}
    for support, members in groups.items():
        of_sites = tuple(kind_of[list(support)].tolist())
        known.setdefault((of_sites, tuple(sorted(members))), []).append(support)
    lowest = np.array([space.at(site)[0] for site in range(space.sites)])
    group_of_lane = np.full(lanes, -2)
    parts: list[Array] = []
    numbers: list[Array] = []
    copies: list[Array] = []
    total = 0
    for group, ((of_sites, _), alike) in enumerate(known.items()):
        support = alike[0]
        values: list[tuple[float, ...]] = [kinds[kind] for kind in of_sites]
        size = math.prod(map(len, values))
        total += size
        if size > MAX_CONFIGURATIONS:
            return f"a branch depends on {len(support)} sites"
        if total > max_samples:
            return "too many of its rows are of different kinds"
        own = np.repeat(lowest[None], size, axis=0)
        own[:, list(support)] = np.array([*itertools.product(*values)])
        parts.append(own)
        numbers.append(np.full(size, group))
        copies.append(np.full(size, len(alike)))
        group_of_lane[np.concatenate(lanes_of[support])] = group
    return Cut(
        np.concatenate([np.empty((0, space.sites)), *parts]),
        Selected(_joined(numbers), group_of_lane),
        _joined(copies),
        others,
    )


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.empty(0, np.int64), *parts])


# endregion
