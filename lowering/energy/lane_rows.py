"""The lanes of a chunk of samples: which are live, where they lead, and their rows.

What tables have a row of is a difference of x, see `moves`; here it is found which row
the difference of each lane is, and whether it is that or the opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import (
    Float32Type,
    IntegerType,
    f32,
    f64,
    i1,
    i32,
)
from xdsl.ir import Attribute

from dialects import bt
from dialects.stablehlo import constant_of, dtype_of, gather_rows
from lowering.arrays import Array, array, concatenated, iota, zeros
from lowering.energy.moves import Moves, SiteMoves
from lowering.rewriting import Inserter


@dataclass(frozen=True, eq=False)
class Lanes:
    """The lanes of C samples of N sites: R lanes of K writes each.

    Attributes:
        moves: their differences, where they are known.
        local: the local values that a site can have, where they are known.
        x: (C, N).
        sites: where each write is, (R,) or (C, R).
        sources: x at these sites, (C, R); anything where there is no site.
        values: x' at these sites, (C, R).
        count: R.
    """

    moves: Moves | SiteMoves | str
    local: Sequence[float]
    x: Array
    sites: Sequence[Array]
    sources: Sequence[Array]
    values: Sequence[Array]
    count: int

    @classmethod
    def of(
        cls,
        op: bt.LocalEnergyOp,
        moves: Moves | SiteMoves | str,
        local: Sequence[float],
        lanes: bt.LanesOp,
        insert: Inserter,
    ) -> Lanes:
        """Insert what is read at the sites of lanes, and return these."""
        x = Array(op.config, insert)
        sites = [Array(one, insert) for one in lanes.sites]
        if isinstance(moves, Moves):
            sites = [array(insert, c, i32) for c in moves.sites.T]
        sources = [
            x.of(bt.GatherOp(x.value, s.value, x.element, per_sample=len(s.shape) == 2))
            for s in sites
        ]
        values = [Array(one, insert) for one in lanes.values]
        count = lanes.matrix_elements.type.get_shape()[1]
        return cls(moves, local, x, sites, sources, values, count)

    def at(self, insert: Inserter) -> Lanes:
        """Return the same lanes, for what is inserted elsewhere."""
        x, columns = self.x.inside(insert), (self.sites, self.sources, self.values)
        sites, sources, values = ([a.inside(insert) for a in of] for of in columns)
        return replace(self, x=x, sites=sites, sources=sources, values=values)

    @property
    def insert(self) -> Inserter:
        return self.x.insert

    @property
    def shape(self) -> tuple[int, int]:
        """(C, R)."""
        return self.x.shape[0], self.count

    # region Live lanes

    @cached_property
    def _inside(self) -> list[Array | None]:
        """Where each write has a site, (R,) or (C, R); None for everywhere."""
        return [self.has_site(site) for site in self.sites]

    def has_site(self, site: Array) -> Array | None:
        """Return where a write has a site; None for everywhere."""
        known, size = constant_of(site.value), self.x.shape[1]
        if known is not None and ((known >= 0) & (known < size)).all():
            return None
        return site.compared("GE", 0) & site.compared("LT", size)

    def live(self) -> Array | None:
        """Return where x' is another configuration, (C, R); None where it always is."""
        if not isinstance(self.moves, str) and self.moves.always:
            return None
        changes = [
            self._where(inside, value.compared("NE", source))
            for value, source, inside in zip(
                self.values, self.sources, self._inside, strict=True
            )
        ]
        nothing = zeros(self.insert, i1, self.shape)
        return reduce(Array.__or__, changes) if changes else nothing

    def _where(self, inside: Array | None, found: Array) -> Array:
        """Return predicates or numbers (C, R), 0 where a write has no site."""
        if inside is None:
            return found
        return inside.broadcast(found.shape).where(found, 0)

    def keys(self) -> Array:
        """Return a key of all samples, and of x' of all lanes, (C + C R, W).

        What writes add is added to that of x, as no two of a lane change one site.
        """
        own, table = keys_of(self.x, self.local)
        samples, words = own.shape
        keys = own.reshape(samples, 1, words).broadcast((*self.shape, words))
        for site, old, new, inside in zip(
            self.sites, self.sources, self.values, self._inside, strict=True
        ):
            change = self._where(
                inside, digits_of(new, self.local) - digits_of(old, self.local)
            )
            weight = table.of(gather_rows(table.value, site.value))
            keys = keys + change.reshape(*self.shape, 1) * weight
        return concatenated([own, keys.reshape(samples * self.count, words)], 0)

    def changes(self) -> tuple[Array, Array, Array]:
        """Return sites, old and new values of all lanes, as `State.changes` does.

        Sites are (R, K) where they are the same for every x, else (C, R, K) as values.
        """
        is_fixed = all(len(site.shape) == 1 for site in self.sites)
        any_value = self.x.columns(0, 1)
        columns = list[tuple[Array, Array, Array]]()
        for site, old, new, inside in zip(
            self.sites, self.sources, self.values, self._inside, strict=True
        ):
            if inside is not None:
                site, wide = inside.where(site, 0), inside.broadcast(self.shape)
                old = wide.where(old, any_value)
                new = wide.where(new, old)
            columns.append((site, old, new))
        shapes = [self.shape[1:] if is_fixed else self.shape, self.shape, self.shape]
        sites, old, new = (
            concatenated([a.broadcast(shape).reshape(*shape, 1) for a in of], -1)
            for of, shape in zip(zip(*columns, strict=True), shapes, strict=True)
        )
        return sites, old, new

    # endregion
    # region Rows of tables

    def rows_and_signs(self) -> tuple[Array | None, Array | None]:
        """Return rows in tables, (C R,) or (C R, K), and signs, (C R,), of all lanes.

        Rows are None where they are the numbers of lanes, signs where none is minus.
        Those of lanes that are not live are of no use, but to gather for live ones what
        they are found from takes longer than to find all.
        """
        total = self.shape[0] * self.count
        if isinstance(self.moves, SiteMoves):
            columns = [one.reshape(total, 1) for one in self._rows_by_site()]
            return concatenated(columns, 1), None
        assert isinstance(self.moves, Moves)
        rows, signs = self._rows_by_lane(self.moves)
        return (
            None if rows is None else rows.reshape(total),
            None if signs is None else signs.reshape(total),
        )

    def _rows_by_site(self) -> list[Array]:
        """Return the rows of the writes of all lanes in tables by site, each (C, R)."""
        count = len(self.local)
        kind = _smallest(self.x.shape[1] * count**2)

        def row(
            site: Array, source: Array, value: Array, inside: Array | None
        ) -> Array:
            old, new = (digits_of(one, self.local, kind) for one in (source, value))
            if inside is not None:
                # A row of no change: old and new are the same value
                site = inside.where(site, 0)
                old, new = self._where(inside, old), self._where(inside, new)
            first = site.astype(kind) * count**2
            return first.broadcast(old.shape) + old * count + new

        columns = self.sites, self.sources, self.values, self._inside
        return [row(*column) for column in zip(*columns, strict=True)]

    def _rows_by_lane(self, moves: Moves) -> tuple[Array | None, Array | None]:
        """Return the rows of all lanes in tables by lane, and their signs, (C, R).

        Row by row, as that is one loop: a reduction would have all of them in memory.
        """
        wide = _wide(self.x.element, self.local)
        sources = [source.astype(wide) for source in self.sources]
        values = [value.astype(wide) for value in self.values]
        pairs = zip(values, sources, strict=True)
        changes = self._where_sites([value - source for value, source in pairs])
        before = self._where_sites(sources)

        def compared(row: int) -> tuple[Array, Callable[[], Array]]:
            """Return how far a row, or minus that, is; and whether it is not minus."""
            deltas = self._columns(moves.deltas[:, row])
            distance = _sum_of_sizes(
                c - d for c, d in zip(changes, deltas, strict=True)
            )
            if moves.olds is not None:
                olds = self._columns(moves.olds[:, row])
                here = _sum_of_sizes(c - d for c, d in zip(before, olds, strict=True))
                distance = distance + here
            else:
                opposite = (c + d for c, d in zip(changes, deltas, strict=True))
                distance = distance.minimum(_sum_of_sizes(opposite))

            def is_positive() -> Array:
                both = (c * d for c, d in zip(changes, deltas, strict=True))
                return reduce(Array.__add__, both).compared("GT", 0)

            return distance, is_positive

        if moves.rows == 1:
            return None, compared(0)[1]() if moves.signed else None
        kind = _smallest(self.count * moves.rows)
        nearest = zeros(self.insert, kind, self.shape)
        least, first_sign = compared(0)
        sign = first_sign() if moves.signed else None
        for row in range(1, moves.rows):
            distance, is_positive = compared(row)
            nearer = distance.compared("LT", least)
            nearest = nearer.where(nearest.like(row).broadcast(self.shape), nearest)
            least = distance.minimum(least)
            if sign is not None:
                sign = nearer.where(is_positive(), sign)
        first = array(self.insert, np.arange(self.count)[None] * moves.rows, kind)
        return first.broadcast(self.shape) + nearest, sign

    def _where_sites(self, columns: list[Array]) -> list[Array]:
        pairs = zip(self._inside, columns, strict=True)
        return [self._where(inside, column) for inside, column in pairs]

    def _columns(self, known: npt.NDArray[np.float64]) -> list[Array]:
        """Return numbers (R, K) write by write, (1, R), or () if all are equal."""
        return [
            array(
                self.insert,
                c[0] if (c == c[0]).all() else c[None],
                _wide(self.x.element, self.local),
            )
            for c in known.T
        ]

    # endregion


@dataclass(frozen=True, eq=False)
class State:
    """One state of a chunk, inside of the loop over states, see `bt.pack`.

    Attributes:
        lanes: those of the chunk.
        number: its number, a scalar.
        may_be_sample: whether it may be a sample itself, and not a lane of one.
    """

    lanes: Lanes
    number: Array
    may_be_sample: bool

    @cached_property
    def flat(self) -> Array:
        """The number of the lane among those of all samples."""
        flat = self.number - self.lanes.shape[0]
        return flat.maximum(0) if self.may_be_sample else flat

    @cached_property
    def sample(self) -> Array:
        """The number of the sample that it is a lane of."""
        return self.flat // self.lanes.count

    @cached_property
    def lane(self) -> Array:
        """The number of the lane among those of its sample."""
        return self.flat % self.lanes.count

    def of_lane(self, column: Array) -> Array:
        """Return the number of this lane in (R,) or (C, R)."""
        if len(column.shape) == 1:
            return column.inside(self.number.insert).at(self.lane)
        flat = column.reshape(column.shape[0] * column.shape[1])
        return flat.inside(self.number.insert).at(self.flat)

    def changes(self) -> tuple[Array, Array, Array]:
        """Return sites, old and new values, (K,) each; none is new where no site is."""
        lanes, columns = self.lanes, list[tuple[Array, Array, Array]]()
        for site, source, value in zip(
            lanes.sites, lanes.sources, lanes.values, strict=True
        ):
            at, old, new = map(self.of_lane, (site, source, value))
            if lanes.has_site(site) is not None:
                inside = lanes.has_site(at)
                assert inside is not None
                at = inside.where(at, 0)
                first = lanes.x.inside(self.number.insert).at(self.sample)
                old = inside.where(old, first.slice(0, 1).reshape())
                new = inside.where(new, old)
            columns.append((at, old, new))
        both = [[one.reshape(1) for one in column] for column in columns]
        sites, old, new = (concatenated(of, 0) for of in zip(*both, strict=True))
        return sites, old, new

    def configuration(self) -> Array:
        """Return x' of a lane, or x of a sample, (N,)."""
        lanes, insert = self.lanes, self.number.insert
        samples, size = lanes.x.shape
        connected = lanes.x.inside(self.number.insert).at(self.sample)
        numbers = iota(insert, i32, (size,), 0)
        for site, value in zip(lanes.sites, lanes.values, strict=True):
            here = numbers.compared("EQ", self.of_lane(site))
            written = self.of_lane(value).broadcast((size,), [])
            connected = here.where(written, connected)
        if not self.may_be_sample:
            return connected
        own = lanes.x.inside(self.number.insert).at(self.number.minimum(samples - 1))
        is_own = self.number.compared("LT", samples).broadcast((size,), [])
        return is_own.where(own, connected)


def keys_of(x: Array, local: Sequence[float]) -> tuple[Array, Array]:
    """Return a key of all samples, (C, W), and what a digit of a site counts, (N, W).

    Local values are digits of numbers of 32 bits, of which there are W for all sites:
    samples are equal where their keys are.
    """
    weights = array(x.insert, _weights(x.shape[1], len(local)), i32)
    return (digits_of(x, local).reshape(*x.shape, 1) * weights).sum(1), weights


def between(local: Sequence[float]) -> list[float]:
    """Return numbers that tell local values, in order, from the next ones."""
    return [(low + high) / 2 for low, high in pairwise(local)]


def digits_of(values: Array, local: Sequence[float], kind: Attribute = i32) -> Array:
    """Return which of the local values, in order, each value is."""
    wide = values.astype(_wide(values.element, local))
    nothing = zeros(values.insert, kind, wide.shape)
    above = (wide.compared("GT", one).astype(kind) for one in between(local))
    return reduce(Array.__add__, above, nothing)


def _wide(kind: Attribute, local: Sequence[float]) -> Attribute:
    """Return a real type that tells local values apart, and their differences."""
    halves = all((2 * one).is_integer() and abs(one) < 1 << 20 for one in local)
    narrow = isinstance(kind, Float32Type) or dtype_of(kind).itemsize <= 2
    return f32 if narrow or halves else f64


def _weights(size: int, values: int) -> npt.NDArray[np.int32]:
    """Return what a digit of a site counts in each word of a key, (N, W).

    So many sites are in a word as have no more than 2**32 states; its last bit is that
    of the sign.
    """
    base = max(2, values)
    digits = next(n for n in range(1, 33) if base ** (n + 1) > 2**32)
    weights = np.zeros((size, -(-size // digits)), np.uint32)
    for site in range(size):
        weights[site, site // digits] = base ** (site % digits)
    return weights.view(np.int32)


def _smallest(numbers: int) -> Attribute:
    """Return the smallest type of so many numbers, from 0 on."""
    dtype = np.min_scalar_type(-max(1, numbers))  # signed
    return IntegerType(8 * dtype.itemsize)


def _sum_of_sizes(numbers: Iterable[Array]) -> Array:
    """Return the sum of the absolute values of some arrays."""
    return reduce(Array.__add__, (one.abs() for one in numbers))
