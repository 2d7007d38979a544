"""Lists of the positions that changes reach, one for each row of changes and node.

Lists follow from op to op, in the order of positions for one row of a class: of rows
that a translation maps onto each other, sources of a position have the same numbers in
the lists before, so that one matrix is the linear map from list to list. Sources of
positions next to each other are close in that order: of the matrix there are blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

NOWHERE = -1

MAX_PERMUTED = 3
"""Rows of more writes keep the order of these: there are too many other ones."""

BLOCK = 16
"""A block more costs as much as so many pairs of positions."""

MAX_BLOCKED = 1 << 9
"""Longer lists are not searched for blocks."""


class Listed(Protocol):
    """What a change reaches some positions of, as a node of a network."""

    @property
    def positions(self) -> int: ...

    @property
    def sources(self) -> Sequence[Listed]: ...

    @property
    def stays(self) -> bool: ...

    @property
    def is_joint(self) -> bool: ...

    def reached(self, lists: Sequence[Numbers]) -> Numbers: ...

    def needed(self, own: Numbers) -> list[Numbers]: ...


class Trace:
    """The lists of positions of nodes, for all rows of changes.

    Rows are of one class where what each position needs has the same numbers in lists.

    Attributes:
        lists: of each node (R, m), ended by `NOWHERE` where they are shorter.
        places: of each node, for each of its sources, numbers in the list of that, of
            each class (classes, m, ..).
        class_of: the class of each row (R,).
        values: how many local values x has, where that is known.
    """

    values: int | None = None

    def __init__(
        self,
        nodes: Sequence[Listed],
        sites: Sequence[Numbers],
        values: int | None = None,
    ):
        self.values = values
        rows = np.arange(len(sites))
        lengths = np.array([len(one) for one in sites])
        joint = reached_by_any(nodes, sites)
        found: list[_Class] = []
        for length in np.unique(lengths):
            left = rows[lengths == length]
            while len(left):
                written = np.array([sites[int(row)] for row in left], np.int64)
                one = _class_of(nodes, written, joint)
                found.append(replace(one, rows=left[one.rows]))
                left = np.delete(left, one.rows)
        self.class_of = np.zeros(len(rows), np.int64)
        for number, one in enumerate(found):
            self.class_of[one.rows] = number
        order = np.argsort(np.concatenate([one.rows for one in found]))
        joined = _once_each(lambda *parts: _joined(parts)[order])
        self.lists = {
            node: joined(*(one.lists[node] for one in found)) for node in nodes
        }
        stacked = _once_each(lambda *parts: _joined([one[None] for one in parts]))
        self.places = {
            node: [
                stacked(*parts)
                for parts in zip(*(one.places[node] for one in found), strict=True)
            ]
            for node in nodes
        }
        self._blocks: dict[Listed, list[Block]] = {}

    def blocks(self, node: Listed) -> list[Block]:
        """Return blocks of the map from the list of a node's source to its own."""
        if node not in self._blocks:
            self._blocks[node] = blocks_of(self.places[node][0])
        return self._blocks[node]

    @property
    def classes(self) -> int:
        """How many classes of rows there are."""
        return int(self.class_of.max()) + 1

    def length(self, node: Listed) -> int:
        return self.lists[node].shape[1]


class Block(NamedTuple):
    """Some positions of a list, and those of another one that they are made of."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def pairs(self) -> int:
        return (self.stop - self.start) * (self.last - self.first)


def blocks_of(places: Numbers, each: int = BLOCK) -> list[Block]:
    """Return blocks that have all places (classes, m, K), with the fewest pairs.

    A block costs as much as so many pairs.
    """
    length = places.shape[1]
    flat = places.transpose(1, 0, 2).reshape(length, -1)
    nothing = flat.max(initial=0) + 1
    first = np.where(flat < 0, nothing, flat).min(axis=1)
    last = flat.max(axis=1) + 1
    if length > MAX_BLOCKED:
        return [Block(0, length, int(first.min()), int(last.max()))]
    cost, before = np.zeros(length + 1, np.int64), np.zeros(length + 1, np.int64)
    for stop in range(1, length + 1):
        # From each start before it, the last one first
        low = np.minimum.accumulate(first[:stop][::-1])
        high = np.maximum.accumulate(last[:stop][::-1])
        pairs = np.maximum(high - low, 0) * np.arange(1, stop + 1)
        total = cost[:stop][::-1] + pairs + each
        best = int(total.argmin())
        cost[stop], before[stop] = total[best], stop - 1 - best
    found: list[Block] = []
    stop = length
    while stop:
        start = int(before[stop])
        low, high = int(first[start:stop].min()), int(last[start:stop].max())
        found.append(Block(start, stop, min(low, high), high))
        stop = start
    return found[::-1]


@dataclass(frozen=True, eq=False)
class _Class:
    """Rows of changes that the first of some is like.

    Attributes:
        rows: their numbers.
        lists: of each node (R, m).
        places: of each node, for each of its sources (m, ..).
    """

    rows: Numbers
    lists: dict[Listed, Numbers]
    places: dict[Listed, list[Numbers]]


def reached_by_any(
    nodes: Sequence[Listed], sites: Sequence[Numbers]
) -> dict[Listed, Numbers]:
    """Return the lists of nodes that have the same one in all rows, (m,)."""
    if not any(node.is_joint for node in nodes):
        return {}
    found: dict[Listed, Numbers] = {}
    for node in nodes:
        sources = [found[one][None] for one in node.sources]
        reached = node.reached(sources) if sources else np.concatenate(sites)
        own = np.unique(reached)
        # A list has one position at least, from which often nothing is reached
        last = np.array([node.positions - 1])
        found[node] = own[own >= 0] if own.max() >= 0 else last
    return {node: own for node, own in found.items() if node.is_joint}


def _central(nodes: Sequence[Listed], sites: Numbers) -> int:
    """Return the number of a row that reaches positions close to each other.

    On a torus that is one far from where the order of positions goes around.
    """
    lists: dict[Listed, Numbers] = {}
    for node in nodes:
        sources = [lists[one] for one in node.sources]
        lists[node] = node.reached(sources) if sources else sites
        if lists[node].shape[1] > 2 * sites.shape[1]:
            own = lists[node]
            least = np.where(own < 0, node.positions, own).min(axis=1)
            spread = own.max(axis=1) - least
            best = np.flatnonzero(spread == spread.min())
            return int(best[len(best) // 2])
    return 0


def _class_of(
    nodes: Sequence[Listed], sites: Numbers, joint: Mapping[Listed, Numbers]
) -> _Class:
    """Return the rows, of writes in some order, that are like a central row."""
    central = _central(nodes, sites)
    count = sites.shape[1]
    first = range(count)
    orders = permutations(first) if count <= MAX_PERMUTED else [tuple(first)]
    found: list[_Class] = []
    left = np.arange(len(sites))
    for order in orders:
        if not len(left):
            break
        # The first row is there to compare with
        first_row = sites[central : central + 1]
        own = np.concatenate([first_row, sites[left][:, list(order)]])
        one = _followed(nodes, own, joint)
        rows = one.rows[one.rows > 0] - 1
        kept = _of_rows(one.lists, one.rows > 0)
        found.append(_Class(left[rows], kept, one.places))
        left = np.delete(left, rows)
    joined = _once_each(lambda *parts: np.concatenate(parts))
    return _Class(
        np.concatenate([one.rows for one in found]),
        {node: joined(*(one.lists[node] for one in found)) for node in nodes},
        found[0].places,
    )


def _followed(
    nodes: Sequence[Listed], sites: Numbers, joint: Mapping[Listed, Numbers]
) -> _Class:
    """Return the rows that are like the first row."""
    rows = np.arange(len(sites))
    lists: dict[Listed, Numbers] = {}
    places: dict[Listed, list[Numbers]] = {}
    for node in nodes:
        sources = [lists[one] for one in node.sources]
        if sources and all(one is sources[0] for one in sources) and node.stays:
            lists[node] = sources[0]
            places[node] = [np.arange(sources[0].shape[1])] * len(sources)
            continue
        if node in joint:
            lists[node] = np.broadcast_to(joint[node], (len(rows), len(joint[node])))
            places[node] = _joint_places(node, joint)
            continue
        reached = node.reached(sources) if sources else sites
        own = reached[:, _in_order(reached[0])]
        numbers = _numbers_in(own, node.positions)
        line = np.arange(len(rows))[:, None]
        same = (numbers[line, reached] >= 0) | (reached < 0)
        same = same.all(axis=1) & (own >= 0).all(axis=1)
        same &= (numbers >= 0).sum(axis=1) == own.shape[1]
        wanted: list[Numbers] = node.needed(own) if sources else []
        found = [
            _numbers_in(lists[one], one.positions)[
                line.reshape(-1, *[1] * (of.ndim - 1)),
                np.where(of >= 0, of, one.positions),
            ]
            for one, of in zip(node.sources, wanted, strict=False)
        ]
        for one in found:
            same &= (one == one[:1]).reshape(len(one), -1).all(axis=1)
        places[node] = [one[0] for one in found]
        lists[node] = own
        if same.all():
            continue
        rows, lists = rows[same], _of_rows(lists, same)
    return _Class(rows, lists, places)


def _joint_places(node: Listed, joint: Mapping[Listed, Numbers]) -> list[Numbers]:
    """Return places in lists that all rows have, `NOWHERE` in those of each row."""
    found: list[Numbers] = []
    for one, of in zip(node.sources, node.needed(joint[node][None]), strict=False):
        own = joint.get(one, np.zeros(0, np.int64))[None]
        numbers = _numbers_in(own, one.positions)[0]
        found.append(numbers[np.where(of >= 0, of, one.positions)][0])
    return found


def _once_each(make: Callable[..., Numbers]) -> Callable[..., Numbers]:
    """Return what makes one array of arrays that many nodes share, while they live."""
    made: dict[tuple[int, ...], Numbers] = {}

    def of(*parts: Numbers) -> Numbers:
        key = tuple(map(id, parts))
        if key not in made:
            made[key] = make(*parts)
        return made[key]

    return of


def _of_rows(
    lists: Mapping[Listed, Numbers], rows: npt.NDArray[np.bool_]
) -> dict[Listed, Numbers]:
    cut = _once_each(lambda *parts: parts[0][rows])
    return {node: cut(one) for node, one in lists.items()}


def _joined(parts: Sequence[Numbers]) -> Numbers:
    """Return rows of different lengths as one array."""
    most = max(1, *(one.shape[1] for one in parts))
    if all(one.shape[1] == most for one in parts):
        return np.concatenate(parts)
    ended = [
        np.pad(
            one,
            [(0, 0), (0, most - one.shape[1]), *[(0, 0)] * (one.ndim - 2)],
            constant_values=NOWHERE,
        )
        for one in parts
    ]
    return np.concatenate(ended)


def _in_order(values: Numbers) -> Numbers:
    """Return where each number that is somewhere is first, the least number first."""
    found, first = np.unique(values, return_index=True)
    return first[found >= 0]


def _numbers_in(lists: Numbers, size: int) -> Numbers:
    """Return the number of each position in a list, `NOWHERE` if it has none."""
    numbers = np.full((len(lists), size + 1), NOWHERE)
    own = np.where(lists >= 0, lists, size)
    numbers[np.arange(len(lists))[:, None], own] = np.arange(lists.shape[1])
    numbers[:, size] = NOWHERE
    return numbers


def reading(wanted: Numbers, lists: Numbers) -> Numbers:
    """Return which numbers want positions of lists (R, ..), given what each wants.

    `NOWHERE` is where none does.
    """
    counts = np.bincount(wanted, minlength=lists.max(initial=0) + 1)
    # The last row is what wants no position
    found = np.full((len(counts) + 1, max(counts.max(), 1)), NOWHERE)
    order = np.argsort(wanted, kind="stable")
    starts = np.cumsum(counts) - counts
    found[wanted[order], np.arange(len(order)) - starts[wanted[order]]] = order
    return found[lists].reshape(len(lists), -1)
