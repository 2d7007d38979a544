"""The lanes of a chunk of samples, and sums over those that are live."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lowering.local_energy.moves import Moves, SiteMoves
from symir.runtime import x64_enabled
from symir.runtime.local_energy.parts import Pairs, taken
from symir.runtime.manual_axes import varying_like

__all__ = [
    "Lanes",
    "Packed",
    "contributions",
    "counted",
    "over_chunks",
    "over_pairs",
    "over_states",
]

FLAGS, NUMBERS = 8, 32
"""So many are a block that is counted, or added, by itself."""


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
            value != source if _is_everywhere(site) else (value != source) & (site >= 0)
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

    def pairs(self, flat: Any) -> Pairs:
        """Return pairs by their numbers in (C, R), row by row."""
        sample, lane = self._numbers(flat)
        row, positive = lane, None
        if isinstance(self._moves, Moves):
            row, positive = self._directions(flat, lane, self._moves)
        elif isinstance(self._moves, SiteMoves):
            row = self._of_writes(self._changes(flat, sample, lane), self._moves)
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
        old = jnp.where(inside, old, any_value)
        return jnp.where(inside, sites, 0), old, jnp.where(inside, new, old)

    def _of_writes(self, changes: tuple[Any, Any, Any], moves: SiteMoves) -> Any:
        """Return the rows of the writes of pairs in tables by site, (P, K)."""
        values = np.asarray(moves.values)

        def numbers(local: Any) -> Any:
            between = ((values[1:] + values[:-1]) / 2).astype(self._wide)
            above = local[..., None].astype(self._wide) > between
            return above.sum(axis=-1, dtype=np.int32)

        sites, old, new = changes
        pairs = numbers(old) * len(values) + numbers(new)
        return sites.astype(np.int32) * len(values) ** 2 + pairs

    def _directions(self, flat: Any, lane: Any, moves: Moves) -> tuple[Any, Any]:
        """Return the rows of pairs in tables of differences, and their signs."""
        if moves.rows == 1 and not moves.signed:
            return lane, None
        changes = jnp.stack(
            [
                taken(value.reshape(-1), flat).astype(self._wide)
                - taken(source.reshape(-1), flat).astype(self._wide)
                for value, source in zip(self._values, self._sources, strict=True)
            ],
            axis=-1,
        )
        changes = self._where_sites(changes, lane)
        if moves.olds is not None:
            return lane * moves.rows + self._of_values(flat, lane, changes), None
        deltas = self._of_each(moves.deltas, lane)
        # Write by write: a sum of so few is not fused with anything
        by_write = [
            deltas[:, :, write] * changes[:, None, write]
            for write in range(changes.shape[1])
        ]
        overlaps = reduce(jnp.add, by_write)
        if moves.rows == 1:
            return lane, overlaps[:, 0] > 0
        distances = [
            jnp.abs(changes[:, None, :] - sign * deltas).sum(axis=-1)
            for sign in (1, -1)
        ]
        nearest = jnp.minimum(*distances).argmin(axis=1)
        overlap = jnp.take_along_axis(overlaps, nearest[:, None], axis=1)[:, 0]
        return lane * moves.rows + nearest, overlap > 0 if moves.signed else None

    def _where_sites(self, numbers: Any, lane: Any) -> Any:
        """Return numbers of writes (P, K), 0 where one has no site: it does nothing."""
        if self._are_everywhere:
            return numbers
        is_site = np.stack(self._sites, axis=-1) >= 0
        return jnp.where(taken(is_site, lane), numbers, 0)

    def _of_each(self, rows: np.ndarray, lane: Any) -> Any:
        """Return the rows of lanes, (P, ..), or one, (1, ..), where all are equal."""
        rows = rows.astype(self._wide)
        is_same = (rows == rows[:1]).all()
        return jnp.asarray(rows[:1]) if is_same else taken(rows, lane)

    def _of_values(self, flat: Any, lane: Any, changes: Any) -> Any:
        """Return which differences pairs have, told apart by the values before."""
        moves = self._moves
        assert isinstance(moves, Moves)
        assert moves.olds is not None
        sources = [taken(source.reshape(-1), flat) for source in self._sources]
        old = jnp.stack(sources, axis=-1).astype(self._wide)
        old = self._where_sites(old, lane)

        def distance(one: Any, known: np.ndarray) -> Any:
            own = self._of_each(known, lane)
            return jnp.abs(one[:, None, :] - own).sum(axis=-1)

        distances = distance(changes, moves.deltas) + distance(old, moves.olds)
        return distances.argmin(axis=1)

    def connected(self, flat: Any) -> Any:
        """Return x' of pairs, (P, N)."""
        sample, lane = self._numbers(flat)
        connected = taken(self.x, sample)
        numbers = np.arange(self.x.shape[1], dtype=np.int32)
        for site, value in zip(self._sites, self._values, strict=True):
            is_fixed = site.ndim == 1
            at = taken(site, lane) if is_fixed else taken(site.reshape(-1), flat)
            written = taken(value.reshape(-1), flat)[:, None]
            connected = jnp.where(numbers == at[:, None], written, connected)
        return connected


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

    def of_pairs(places: Any, flat: Any) -> Any:
        return log_ratio(lanes.pairs(flat))

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
    so_far = np.tri(FLAGS, dtype=bool)
    inside = (blocks[:, None] & so_far).sum(axis=2, dtype=np.int32)
    before = _sums_before(inside[:, -1])
    return (inside + before[:, None]).reshape(-1)[: flags.shape[0]]


def _sums_before(numbers: Any) -> Any:
    """Return the sum of all numbers (L,) before each, as int32."""
    length = numbers.shape[0]
    whole = length <= 2 * NUMBERS
    blocks = numbers[None] if whole else _blocks(numbers, NUMBERS)
    earlier = np.tri(blocks.shape[1], k=-1, dtype=bool)
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
