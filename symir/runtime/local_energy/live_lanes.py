"""The lanes of a chunk of samples, and sums over those that are live."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lowering.energy.moves import Moves, SiteMoves
from symir.runtime import x64_enabled
from symir.runtime.local_energy.parts import Pairs, taken
from symir.runtime.manual_axes import varying_like

FLAGS, NUMBERS = 8, 32
"""Sizes of the blocks that are counted, or added, by themselves."""


class Lanes:
    """The lanes of a chunk of samples: C samples of R lanes of K writes.

    Attributes:
        x: (C, N).
        shape: (C, R).
        live: where x' is another configuration, (C, R); None where it always is.
    """

    def __init__(
        self,
        moves: Moves | SiteMoves | str,
        x: Any,
        writes: tuple[Sequence[Any], Sequence[Any], Sequence[Any]],
        lanes: int,
    ):
        """Take the sites of the K writes, (R,) or (C, R), and values before and after.

        Those are (C, R); the value before is that of any site where there is none. Of
        moves that are known the sites are theirs.
        """
        self._moves = moves
        self.x = x
        self._sites, self._sources, self._values = writes
        if isinstance(moves, Moves):
            self._sites = list(moves.sites.astype(np.int32).T)
        self.shape = (x.shape[0], lanes)
        self.live = self._live()

    @property
    def _wide(self) -> Any:
        """A real type that tells local values apart."""
        is_narrow = self.x.dtype.itemsize <= 2 or not x64_enabled()
        return np.float32 if is_narrow else np.float64

    @cached_property
    def _are_everywhere(self) -> bool:
        """Whether every write of every lane has a site, as far as is known."""
        return all(map(_is_everywhere, self._sites))

    def _live(self) -> Any:
        """Return where x' is another configuration; None where it always is."""
        if not isinstance(self._moves, str) and self._moves.always:
            return None
        if not self._values:
            return jnp.zeros(self.shape, bool)
        changes = [
            value != source
            if _is_everywhere(site)
            else (value != source) & _wide_as(value, site >= 0)
            for value, source, site in zip(
                self._values, self._sources, self._sites, strict=True
            )
        ]
        return reduce(jnp.logical_or, changes)

    def only_live(self, log_ratios: Any) -> Any:
        """Return log ratios (C, R) with 0 where x' is x."""
        if self.live is None:
            return log_ratios
        return jnp.where(self.live, log_ratios, jnp.zeros_like(log_ratios))

    def packed(self) -> Packed | None:
        """Return which lanes are live; None where all are."""
        if self.live is None:
            return None
        live = self.live.reshape(-1)
        samples, total = self.shape[0], live.shape[0]
        places = counted(live) - 1
        order = jnp.zeros(samples + total, np.int32)
        order = order.at[jnp.where(live, places + samples, samples + total)].set(
            lax.iota(np.int32, total), mode="drop", unique_indices=True
        )
        return Packed(order, places)

    def _numbers(self, flat: Any) -> tuple[Any, Any]:
        """Return those of samples and lanes by those of pairs."""
        # Not those of NumPy, which look for numbers below 0
        count = np.asarray(self.shape[1], flat.dtype)
        return lax.div(flat, count), lax.rem(flat, count)

    def rows_and_signs(self) -> tuple[Any, Any]:
        """Return rows in tables, (C, R) or (C, R, K), and signs, (C, R), of all lanes.

        Rows are None where they are the numbers of lanes, signs where none is minus.
        Those of lanes that are not live are of no use, but to gather for live ones what
        they are found from takes longer than to find all.
        """
        if isinstance(self._moves, Moves):
            return self._rows_by_lane(self._moves)
        if isinstance(self._moves, SiteMoves):
            return self._rows_by_site(self._moves), None
        return None, None

    def pairs(self, flat: Any, rows: Any, signs: Any) -> Pairs:
        """Return pairs by their numbers in (C, R), row by row."""
        sample, lane = self._numbers(flat)
        row, positive = lane, None
        if rows is not None:
            row = taken(rows.reshape(-1, *rows.shape[2:]), flat).astype(np.int32)
        if signs is not None:
            positive = taken(signs.reshape(-1), flat)
        return Pairs(
            sample,
            row,
            positive,
            lambda x: self.connected(flat),
            lambda: self._changes(flat, sample, lane),
        )

    def _changes(self, flat: Any, sample: Any, lane: Any) -> tuple[Any, Any, Any]:
        """Return sites, old and new values of pairs, each (P, K)."""

        def of_pairs(column: Any) -> Any:
            if column.ndim == 1:
                return taken(column, lane)
            return taken(column.reshape(-1), flat)

        columns = self._sites, self._sources, self._values
        sites, old, new = (jnp.stack([of_pairs(c) for c in of], -1) for of in columns)
        return self._inside(sites, old, new, taken(self.x[:, :1], sample))

    def changes(self) -> tuple[Any, Any, Any]:
        """Return sites, old and new values of all lanes, as those of `Pairs`.

        Sites are (R, K) where they are the same for every x, else (C, R, K) as values.
        """
        is_fixed = all(site.ndim == 1 for site in self._sites)
        shape = self.shape[1:] if is_fixed else self.shape
        columns = (self._sites, shape), (self._sources, None), (self._values, None)
        sites, old, new = (
            jnp.stack([jnp.broadcast_to(c, own or self.shape) for c in of], -1)
            for of, own in columns
        )
        return self._inside(sites, old, new, self.x[:, None, :1])

    def _inside(self, sites: Any, old: Any, new: Any, any_value: Any) -> Any:
        """Return changes that are none where a write has no site."""
        if self._are_everywhere:
            return sites, old, new
        inside = (sites >= 0) & (sites < self.x.shape[1])
        sites, inside = jnp.where(inside, sites, 0), _wide_as(old, inside)
        old = jnp.where(inside, old, any_value)
        return sites, old, jnp.where(inside, new, old)

    def _rows_by_site(self, moves: SiteMoves) -> Any:
        """Return the rows of the writes of all lanes in tables by site, (C, R, K)."""
        values = np.asarray(moves.values)
        between = ((values[1:] + values[:-1]) / 2).astype(self._wide)
        kind = _smallest_type(self.x.shape[1] * len(values) ** 2)

        def number(local: Any) -> Any:
            above = [(local.astype(self._wide) > one).astype(kind) for one in between]
            return reduce(jnp.add, above, jnp.zeros(local.shape, kind))

        def row(site: Any, source: Any, value: Any) -> Any:
            site, old, new = self._inside(site, source, value, self.x[:, :1])
            pair = number(old) * kind(len(values)) + number(new)
            return _wide_as(pair, site.astype(kind)) * kind(len(values) ** 2) + pair

        columns = zip(self._sites, self._sources, self._values, strict=True)
        return jnp.stack([row(*column) for column in columns], axis=-1)

    def _rows_by_lane(self, moves: Moves) -> tuple[Any, Any]:
        """Return the rows of all lanes in tables by lane, and their signs.

        Row by row, as that is one loop: a reduction would have all of them in memory.
        """
        sources = [source.astype(self._wide) for source in self._sources]
        values = [value.astype(self._wide) for value in self._values]
        changes = self._where_sites(list(map(jnp.subtract, values, sources)))
        before = self._where_sites(sources)

        def compared(row: int) -> tuple[Any, Any]:
            """Return how far a row, or minus that, is; and whether it is not minus."""
            deltas = self._columns(moves.deltas[:, row])
            distance = _sum_of_sizes(map(jnp.subtract, changes, deltas))
            if moves.olds is not None:
                olds = self._columns(moves.olds[:, row])
                here = _sum_of_sizes(map(jnp.subtract, before, olds))
                return distance + here, None
            distance = jnp.minimum(
                distance, _sum_of_sizes(map(jnp.add, changes, deltas))
            )
            return distance, reduce(jnp.add, map(jnp.multiply, changes, deltas)) > 0

        if moves.rows == 1:
            return None, compared(0)[1] if moves.signed else None
        kind = _smallest_type(self.shape[1] * moves.rows)
        nearest = kind(0)
        least, sign = compared(0)
        for row in range(1, moves.rows):
            distance, is_positive = compared(row)
            is_nearer = distance < least
            nearest = jnp.where(is_nearer, kind(row), nearest)
            least = jnp.minimum(distance, least)
            if sign is not None:
                sign = jnp.where(is_nearer, is_positive, sign)
        first = np.arange(self.shape[1]) * moves.rows
        return first.astype(kind)[None] + nearest, sign if moves.signed else None

    def _where_sites(self, columns: list[Any]) -> list[Any]:
        """Return numbers of writes (C, R), 0 where one has no site: it does nothing."""
        if self._are_everywhere:
            return columns
        return [
            jnp.where(_wide_as(column, site >= 0), column, 0)
            for site, column in zip(self._sites, columns, strict=True)
        ]

    def _columns(self, known: np.ndarray) -> list[Any]:
        """Return numbers (R, K) write by write, (1, R), or () if all are equal."""
        columns = known.astype(self._wide).T
        return [jnp.asarray(c[0] if (c == c[0]).all() else c[None]) for c in columns]

    def connected(self, flat: Any) -> Any:
        """Return x' of pairs, (P, N)."""
        sample, lane = self._numbers(flat)
        connected = taken(self.x, sample)
        numbers = np.arange(self.x.shape[1], dtype=np.int32)[None]
        for site, value in zip(self._sites, self._values, strict=True):
            is_fixed = site.ndim == 1
            at = taken(site, lane) if is_fixed else taken(site.reshape(-1), flat)
            written = taken(value.reshape(-1), flat)[:, None]
            connected = jnp.where(numbers == at[:, None], written, connected)
        return connected


def _wide_as(values: Any, of_lanes: Any) -> Any:
    """Return what is of lanes, (R, ..), to be used with values of samples, (C, R, ..).

    That is said for those who allow no promotion of ranks.
    """
    return of_lanes if of_lanes.ndim == values.ndim else of_lanes[None]


def _smallest_type(numbers: int) -> Any:
    """Return the smallest type of so many numbers, from 0 on."""
    return np.min_scalar_type(max(0, numbers - 1)).type


def _sum_of_sizes(numbers: Iterable[Any]) -> Any:
    """Return the sum of the absolute values of some arrays."""
    return reduce(jnp.add, map(jnp.abs, numbers))


def _is_everywhere(sites: Any) -> bool:
    """Return whether every lane has a site, as far as is known by its moves."""
    return isinstance(sites, np.ndarray) and bool((sites >= 0).all())


@dataclass(frozen=True, eq=False)
class Packed:
    """Live lanes of a chunk of samples, without gaps.

    Attributes:
        order: their numbers in (C, R), behind a zero for each sample: (C + C R,).
        places: where each lane is among them, or the last live one before it, (C R,).
    """

    order: Any
    places: Any


def over_pairs(
    lanes: Lanes,
    packed: Packed | None,
    log_ratio: Callable[[Pairs], Any],
    chunk: int,
    dtype: np.dtype,
) -> Any:
    """Return the log ratios of all live lanes, (C, R), so many pairs at once."""
    rows, signs = lanes.rows_and_signs()

    def of_pairs(places: Any, flat: Any) -> Any:
        return log_ratio(lanes.pairs(flat, rows, signs))

    found = _over_places(lanes.shape[0], lanes, packed, of_pairs, (chunk,), dtype)
    return _of_lanes(found, lanes, packed)


def over_states(
    lanes: Lanes,
    packed: Packed | None,
    logpsi: Callable[[Any], Any],
    chunks: Sequence[int],
    dtype: np.dtype,
) -> tuple[Any, Any]:
    """Return log psi of x, (C,), and of x' of live lanes, (C, R), so many at once.

    One loop has both: a network takes XLA long, and is compiled once for each size of
    chunks.
    """
    samples = lanes.shape[0]

    def of_states(places: Any, flat: Any) -> Any:
        own = taken(lanes.x, jnp.minimum(places, samples - 1))
        is_own = (places < samples)[:, None]
        found = logpsi(jnp.where(is_own, own, lanes.connected(flat)))
        # In the IR bfloat16 is float32, and a number of Python has a type of its own
        return found.astype(jnp.promote_types(found.dtype, dtype))

    found = _over_places(0, lanes, packed, of_states, chunks, dtype)
    return found[:samples], _of_lanes(found, lanes, packed)


def _over_places(
    first: int,
    lanes: Lanes,
    packed: Packed | None,
    function: Callable[[Any, Any], Any],
    chunks: Sequence[int],
    dtype: np.dtype,
) -> Any:
    """Return a function of places from the first, (C + C R,), so many at once.

    The C places of samples are followed by those of live lanes, or of all where nothing
    is packed. The function takes numbers in (C, R) too, those of the lanes there. There
    are as many chunks of each size, the largest first, as leave least for the next.
    """
    samples, of_each = lanes.shape
    total = samples + samples * of_each
    found = varying_like(jnp.zeros(total, dtype), [lanes.x])
    start = varying_like(jnp.asarray(first, np.int32), [lanes.x])
    for size, count in _counts(first, total, samples, packed, chunks):

        def body(_, state, size=size):
            start, found = state
            places = start + np.arange(size, dtype=np.int32)
            if packed is None:
                numbers = jnp.maximum(places - samples, 0)
            else:
                numbers = lax.dynamic_slice(packed.order, (start,), (size,), **_FORWARD)
            values = function(places, numbers)
            found = lax.dynamic_update_slice(found, values, (start,), **_FORWARD)
            # The last ones have some of those before again, so that nothing is padded
            return jnp.minimum(start + size, total - size), found

        begin = jnp.minimum(start, total - size)
        _, found = lax.fori_loop(0, count, body, (begin, found))
        start = start + size * count
    return found


def _counts(
    first: int, total: int, samples: int, packed: Packed | None, chunks: Sequence[int]
) -> list[tuple[int, Any]]:
    """Return sizes of chunks from a place to the last in use, and how many of each."""
    sizes = list(dict.fromkeys(min(chunk, total - first) for chunk in chunks))
    if packed is None:
        count = -(-(total - first) // sizes[0])
        return [(-(-(total - first) // count), count)]
    left = packed.places[-1] + (samples + 1 - first)
    counts = []
    # One more where the smaller ones would be as many as fill it
    for size, smaller in zip(sizes, (*sizes[1:], sizes[-1]), strict=True):
        counts.append(lax.div(left + (smaller - 1), np.asarray(size, left.dtype)))
        left = left - counts[-1] * size
    return list(zip(sizes, counts, strict=True))


_FORWARD: dict[str, Any] = {"allow_negative_indices": False}
"""Slices that start at no negative place: to look would take ops."""


def _of_lanes(found: Any, lanes: Lanes, packed: Packed | None) -> Any:
    """Return what was found of lanes, behind the samples, as (C, R)."""
    samples = lanes.shape[0]
    if packed is None:
        return found[samples:].reshape(lanes.shape)
    return taken(found, jnp.maximum(packed.places, 0) + samples).reshape(lanes.shape)


def counted(flags: Any) -> Any:
    """Return how many flags (L,) are set up to each, itself included, as int32.

    By sums over short blocks: on CPUs `jnp.cumsum` of all takes longer, and it is more
    to compile.
    """
    blocks = _blocks(flags, FLAGS)
    so_far = np.tri(FLAGS, dtype=bool)[None]
    inside = (blocks[:, None] & so_far).sum(axis=2, dtype=np.int32)
    before = _sums_before(inside[:, -1])
    return (inside + before[:, None]).reshape(-1)[: flags.shape[0]]


def _sums_before(numbers: Any) -> Any:
    """Return the sum of all numbers (L,) before each, as int32."""
    length = numbers.shape[0]
    whole = length <= 2 * NUMBERS
    blocks = numbers[None] if whole else _blocks(numbers, NUMBERS)
    earlier = np.tri(blocks.shape[1], k=-1, dtype=bool)[None]
    inside = jnp.where(earlier, blocks[:, None], 0).sum(axis=2, dtype=np.int32)
    if whole:
        return inside[0]
    before = _sums_before(blocks.sum(axis=1, dtype=np.int32))
    return (inside + before[:, None]).reshape(-1)[:length]


def _blocks(values: Any, size: int) -> Any:
    """Return values (L,) in blocks of a size, with zeros at the end."""
    count = -(-values.shape[0] // size)
    padded = jnp.pad(values, (0, count * size - values.shape[0]))
    return padded.reshape(count, size)


def over_chunks(function: Callable[[Any], Any], x: Any, size: int) -> Any:
    """Return a function of rows of x, (B,), so many rows at once."""
    batch = x.shape[0]
    if batch <= size:
        return function(x)
    count = -(-batch // size)
    size = -(-batch // count)  # none of them is nearly empty
    missing = count * size - batch
    if missing:
        x = jnp.concatenate([x, x[:missing]])
    return lax.map(function, x.reshape(count, size, x.shape[1])).reshape(-1)[:batch]


@jax.custom_jvp
def contributions(elements: Any, log_ratios: Any) -> Any:
    """Return elements times ratios: no branch is no branch, however large its ratio."""
    ratios = jnp.exp(log_ratios)
    values = elements * ratios
    nothing = (elements == 0) & ~jnp.isfinite(ratios)
    return jnp.where(nothing, jnp.zeros_like(values), values)


@partial(contributions.defjvp, symbolic_zeros=True)
def _pushed(primals, tangents):
    # Not by the rule of products: 0 times infinity is not a number
    elements, log_ratios = primals
    values = contributions(elements, log_ratios)
    factors = (jnp.exp(log_ratios), values)
    changes = [
        (factor * tangent).astype(values.dtype)
        for factor, tangent in zip(factors, tangents, strict=True)
        if not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    ]
    return values, sum(changes, start=jnp.zeros_like(values))
