"""The lanes of a chunk of samples, and sums over those that are live."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
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

BLOCK = 32
"""So many flags are a block that is counted by itself."""


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

        Those are (C, R); the value before is that of any site where there is none.
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
        first = lax.iota(np.int32, samples + total)
        order = jnp.where(first < samples, first, 0)
        order = order.at[jnp.where(live, places + samples, samples + total)].set(
            first[samples:], mode="drop", unique_indices=True
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
        if all(map(_is_everywhere, self._sites)):
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
        deltas = self._of_each(moves.deltas, lane)
        changes = jnp.stack(
            [
                taken(value.reshape(-1), flat).astype(self._wide)
                - taken(source.reshape(-1), flat).astype(self._wide)
                for value, source in zip(self._values, self._sources, strict=True)
            ],
            axis=-1,
        )
        changes = self._where_sites(changes, lane)
        overlaps = (deltas * changes[:, None, :]).sum(axis=-1)
        if moves.olds is not None:
            return lane * moves.rows + self._of_values(flat, lane, changes), None
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
        if all(map(_is_everywhere, self._sites)):
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
    """Return whether there is a site in every lane, as far as is known."""
    return isinstance(sites, np.ndarray) and bool((sites >= 0).all())


@dataclass(frozen=True, eq=False)
class Packed:
    """Live lanes of a chunk of samples, without gaps.

    Attributes:
        order: the numbers of the samples, and behind them those of live lanes, which
            are those in (C, R) and how many samples there are: (C + C R,).
        places: where each lane is among those, or the last live one before it, (C R,).
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

    def of_pairs(flat: Any) -> Any:
        return log_ratio(lanes.pairs(flat))

    found = _over_numbers(0, lanes, packed, of_pairs, chunk, dtype)
    return _of_lanes(found, lanes, packed)


def over_states(
    lanes: Lanes,
    packed: Packed | None,
    logpsi: Callable[[Any], Any],
    chunk: int,
    dtype: np.dtype,
) -> tuple[Any, Any]:
    """Return log psi of x, (C,), and of x' of live lanes, (C, R), so many at once.

    One loop has both: a network takes XLA long, and is compiled once.
    """
    samples = lanes.shape[0]

    def of_states(numbers: Any) -> Any:
        own = taken(lanes.x, jnp.minimum(numbers, samples - 1))
        connected = lanes.connected(jnp.maximum(numbers - samples, 0))
        found = logpsi(jnp.where((numbers < samples)[:, None], own, connected))
        # In the IR bfloat16 is float32, and a number of Python has a type of its own
        return found.astype(jnp.promote_types(found.dtype, dtype))

    found = _over_numbers(samples, lanes, packed, of_states, chunk, dtype)
    return found[:samples], _of_lanes(found[samples:], lanes, packed)


def _over_numbers(
    others: int,
    lanes: Lanes,
    packed: Packed | None,
    function: Callable[[Any], Any],
    chunk: int,
    dtype: np.dtype,
) -> Any:
    """Return a function of numbers below that of others, and those of live lanes after.

    The numbers of lanes are those in (C, R), behind the others, which are the samples
    or none.
    """
    samples, lanes_of_each = lanes.shape
    total = others + samples * lanes_of_each
    chunk = min(chunk, total)
    found = varying_like(jnp.zeros(total, dtype), [lanes.x])
    if packed is None:
        count = -(-total // chunk)
    else:
        numbers = packed.places[-1] + (others + chunk)
        count = lax.div(numbers, np.asarray(chunk, numbers.dtype))

    def body(trip, found):
        # The last ones have some of the ones before again, so that nothing is padded
        start = jnp.minimum(trip * chunk, total - chunk)
        if packed is None:
            numbers = start + np.arange(chunk, dtype=np.int32)
        else:
            left_out = samples - others
            numbers = lax.dynamic_slice(packed.order, (start + left_out,), (chunk,))
            numbers = numbers - left_out
        return lax.dynamic_update_slice(found, function(numbers), (start,))

    return lax.fori_loop(0, count, body, found)


def _of_lanes(found: Any, lanes: Lanes, packed: Packed | None) -> Any:
    """Return what was found of lanes, live ones without gaps, as (C, R)."""
    if packed is None:
        return found.reshape(lanes.shape)
    return taken(found, jnp.maximum(packed.places, 0)).reshape(lanes.shape)


def counted(flags: Any) -> Any:
    """Return how many flags (L,) are set up to each, itself included, as int32.

    Blocks are counted by themselves, by a sum over the whole block for each flag: on
    CPUs `jnp.cumsum` takes longer, and more kernels are to be compiled.
    """
    length = flags.shape[0]
    blocks = -(-length // BLOCK)
    blocked = jnp.pad(flags, (0, blocks * BLOCK - length)).reshape(blocks, 1, BLOCK)
    so_far = np.tri(BLOCK, dtype=bool)
    inside = (blocked & so_far).sum(axis=2, dtype=np.uint8).astype(np.int32)
    return (inside + _sums_before(inside[:, -1])[:, None]).reshape(-1)[:length]


def _sums_before(numbers: Any) -> Any:
    """Return the sum of all numbers (L,) before each, as int32."""
    length = numbers.shape[0]
    if length <= 2 * BLOCK:
        return jnp.where(np.tri(length, k=-1, dtype=bool), numbers, 0).sum(
            axis=1, dtype=np.int32
        )
    blocks = -(-length // BLOCK)
    blocked = jnp.pad(numbers, (0, blocks * BLOCK - length)).reshape(blocks, BLOCK)
    earlier = np.tri(BLOCK, k=-1, dtype=bool)
    inside = jnp.where(earlier, blocked[:, None], 0).sum(axis=2, dtype=np.int32)
    before = _sums_before(blocked.sum(axis=1, dtype=np.int32))
    return (inside + before[:, None]).reshape(-1)[:length]


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
