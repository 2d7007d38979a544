"""Hilbert spaces of NetKet for spaces of symir.

Where a class of NetKet has the configurations of a space, that is taken. What it does
not know, such as sums with weights and predicates, is a `SpaceConstraint` of it; what
no class has, such as sites of any values, is a `SpaceHilbert`.
"""

# pyright: basic

from __future__ import annotations

import functools
import math
import operator
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import equinox
import jax
import jax.numpy as jnp
import netket.hilbert as hilberts
import numpy as np
import numpy.typing as npt
from netket.hilbert.constraint import DiscreteHilbertConstraint
from netket.hilbert.index import optimalConstrainedHilbertindex
from netket.utils import struct
from netket.utils.dispatch import dispatch

from dialects.tables import SiteSum
from symir.errors import PrecisionWarning
from symir.operator.constraints import PartialSums, partial_sums
from symir.operator.predicates import indicator
from symir.operator.spaces import (
    MAX_DRAWS,
    MAX_ENUMERATED_STATES,
    Space,
    Subsystem,
    as_space,
)

MAX_STATES = 2**31 - 1
"""NetKet numbers configurations with 32 bits."""


def hilbert_of(space: Space) -> Any:
    """Return a Hilbert space of NetKet that has the configurations of a space.

    Its sites are the same and in the same order, and so are their local values as a
    set; NetKet numbers the configurations in its own order.

    Raises:
        DefinitionError: for predicates that too few configurations satisfy (S019).
    """
    factors = [_factor(part) for part in _parts(space)]
    hilbert = functools.reduce(operator.mul, factors)
    return hilbert if as_space(hilbert) == space else SpaceHilbert(space)


# region NetKet's classes


def _parts(space: Space) -> Iterator[Space]:
    """Yield the factors of a space: successive sites that nothing ties to the others.

    No sum reaches from one factor to another. Predicates speak of all sites.
    """
    if space.predicates:
        yield space
        return
    start, members = 0, list[Subsystem]()
    for part in space.subsystems:
        end = part.start + part.size
        members.append(replace(part, start=part.start - start))
        if not any(_crosses(conserved, end) for conserved in space.sums):
            yield _between(space, start, end, tuple(members))
            start, members = end, []


def _crosses(conserved: SiteSum, cut: int) -> bool:
    return any(conserved.weights[:cut]) and any(conserved.weights[cut:])


def _between(
    space: Space, start: int, end: int, members: tuple[Subsystem, ...]
) -> Space:
    if end - start == space.size:
        return space
    values = space.local_states
    return Space(
        end - start,
        values if space.is_uniform else values[start:end],
        subsystems=members,
        sums=tuple(
            SiteSum(conserved.weights[start:end], conserved.total)
            for conserved in space.sums
            if any(conserved.weights[start:end])
        ),
    )


def _factor(space: Space) -> Any:
    hilbert = _of_one_kind(space) if len(space.subsystems) == 1 else None
    if hilbert is not None and as_space(hilbert) == space:
        return hilbert
    return SpaceHilbert(space)


def _of_one_kind(space: Space) -> Any:
    """Return a Hilbert space of NetKet's class for sites of a kind, if it has one."""
    (part,) = space.subsystems
    largest = space.local_states[0][-1]
    if part.kind == "qubit" and not space.is_constrained:
        return hilberts.Qubit(space.size)
    if part.kind == "boson":
        fixed = _constraints(space, "n_particles", 1)
        return hilberts.Fock(int(largest), space.size, **fixed)
    if part.kind == "spin":
        fixed = _constraints(space, "total_sz", 0.5)
        return hilberts.Spin(largest / 2, space.size, **fixed)
    if part.kind == "fermion":
        per_spin = _fermions_per_spin(space, part)
        fixed: dict[str, Any] = {"n_fermions_per_spin": per_spin}
        if per_spin is None:
            fixed = _constraints(space, "n_fermions", 1)
        return hilberts.SpinOrbitalFermions(part.orbitals, s=part.spin, **fixed)
    return None


def _constraints(space: Space, name: str, unit: float) -> dict[str, Any]:
    """Return the keyword argument that constrains a Hilbert space of NetKet."""
    if not space.is_constrained:
        return {}
    everywhere = (1.0,) * space.size
    is_total = [conserved.weights for conserved in space.sums] == [everywhere]
    if not is_total or space.predicates:
        return {"constraint": SpaceConstraint(space)}
    total = space.sums[0].total * unit
    return {name: int(total) if total.is_integer() else total}


def _fermions_per_spin(space: Space, part: Subsystem) -> tuple[int, ...] | None:
    """Return the number of fermions of each spin state, if just these are fixed."""
    if part.spin_states == 1 or space.predicates:
        return None
    totals = {conserved.weights: int(conserved.total) for conserved in space.sums}
    sites = np.arange(space.size) // part.orbitals
    blocks = [tuple((sites == k).astype(float)) for k in range(part.spin_states)]
    if set(totals) != set(blocks):
        return None
    return tuple(totals[block] for block in blocks)


# endregion
# region The configurations of any space, in JAX


@functools.lru_cache(maxsize=32)
def _states_of(space: Space) -> _States:
    return _States(space)


class _States:
    """The configurations of a space: members, numbers and random ones, in JAX.

    They are walks through `PartialSums`, so all is exact whatever the local values are;
    predicates leave out some walks. All tables are NumPy's: they are made once, maybe
    while JAX is tracing. N sites have M nodes and S local states at most.

    Attributes:
        values: the local values, ascending, (N, S); the last one fills the rest.
        middles: between each two of them, (N, S - 1), infinite after the last.
        edges: (N, M, S) int32, see `PartialSums`.
    """

    def __init__(self, space: Space):
        self.space = space
        sites = [space.local_states_at(site) for site in range(space.size)]
        self.lengths = np.array([len(values) for values in sites])
        width = int(self.lengths.max())
        self.values = np.array(
            [[*values, *values[-1:] * (width - len(values))] for values in sites]
        )
        middles = (self.values[:, 1:] + self.values[:, :-1]) / 2
        is_last = np.arange(1, width) >= self.lengths[:, None]
        self.middles = np.where(is_last, np.inf, middles)
        self._walks = partial_sums(space.local)
        self.edges = self._padded(self._walks.edges, -1, np.int32)
        self._test = None
        if space.predicates:
            with warnings.catch_warnings():  # no operator of the user's
                warnings.simplefilter("ignore", PrecisionWarning)
                compiled = indicator(space, space._conditions).compile()
            self._test = compiled.get_conn_padded
            if self._walks.count > MAX_DRAWS:
                space.random_states(1, seed=0)  # raises where drawing is hopeless

    def _padded(self, layers: Any, fill: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return arrays of shape (nodes, states), one for each site, as one."""
        nodes = max(len(layer) for layer in layers)
        shape = (len(layers), nodes, self.values.shape[1])
        padded = np.full(shape, fill, dtype)
        for site, layer in enumerate(layers):
            padded[site, : layer.shape[0], : layer.shape[1]] = layer
        return padded

    @property
    def is_indexable(self) -> bool:
        """Whether NetKet can number the configurations."""
        limit = MAX_ENUMERATED_STATES if self.space.predicates else MAX_STATES
        return self._walks.count <= limit

    @property
    def n_states(self) -> int:
        """The number of configurations."""
        return self.space.n_states

    # region Local states

    def local_indices(self, x: jax.Array) -> jax.Array:
        """Return the places of local values, (.., N), among those of their sites."""
        return (x[..., None] > self.middles).sum(-1, dtype=jnp.int32)

    def local_values(self, indices: jax.Array, dtype: Any = None) -> jax.Array:
        """Return the local values, (.., N), at places among those of their sites."""
        table = jnp.asarray(self.values, dtype or self.space.default_dtype())
        return table[np.arange(self.space.size), indices]

    def flipped(self, key: Any, x: jax.Array, site: Any) -> jax.Array:
        """Return x, of shape (N,), with another value on a site, if there is one."""
        length = jnp.asarray(self.lengths)[site]
        place = self.local_indices(x)[site]
        step = jax.random.randint(key, (), 1, jnp.maximum(length, 2))
        table = jnp.asarray(self.values, x.dtype)
        return x.at[site].set(table[site, (place + step) % length])

    # endregion
    # region Members and numbers

    def contains(self, x: jax.Array) -> jax.Array:
        """Return which configurations, (.., N), belong to the space."""
        x = jnp.asarray(x)
        return self._satisfied(x, self._ranked(x)[1])

    def _satisfied(self, x: jax.Array, inside: jax.Array) -> jax.Array:
        """Return what is inside and satisfies the predicates."""
        if self._test is None:
            return inside
        # What is outside stands for another x here: the operator would refuse it
        known = self.local_values(self.local_indices(x), x.dtype)
        return inside & (self._test(known)[1][..., 0] == 1)

    def _ranked(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the places before predicates, and what is inside but for them."""
        indices = self.local_indices(x)
        is_local = (self.local_values(indices, x.dtype) == x).all(-1)
        walked = is_local.shape
        start = jnp.zeros(walked, jnp.int32), jnp.zeros(walked, jnp.int32)

        def step(carry: Any, of_site: Any) -> Any:
            node, rank = carry
            edges, before, place = of_site
            next_node = jnp.where(node < 0, -1, edges[node, place])
            return (next_node, rank + before[node, place]), None

        per_site = self.edges, self._before, jnp.moveaxis(indices, -1, 0)
        (node, rank), _ = jax.lax.scan(step, start, per_site)
        return rank, is_local & (node >= 0)

    @cached_property
    def _before(self) -> npt.NDArray[np.int32]:
        """For each edge, how many walks go by the edges before it; (N, M, S).

        Zeros where the walks are too many to be numbered.
        """
        if self._walks.count > MAX_STATES:
            return np.zeros_like(self.edges)
        ways = self._padded(_ways(self._walks), 0, np.int64)
        return (np.cumsum(ways, axis=-1) - ways).astype(np.int32)

    @cached_property
    def _kept(self) -> npt.NDArray[np.int32] | None:
        """The ranks that predicates leave, ascending; None without predicates."""
        if self._test is None:
            return None
        with jax.ensure_compile_time_eval():
            ranks, _ = self._ranked(jnp.asarray(self.space.all_states()))
            return np.asarray(ranks)

    def states_to_numbers(self, x: jax.Array) -> jax.Array:
        """Return the places of configurations, (.., N), in lexicographic order.

        That of one that is not in the space is an error of Equinox's, as NetKet has it.
        """
        x = jnp.asarray(x)
        ranks, inside = self._ranked(x)
        if jax.device_count() == 1:
            message = "States are not in the Hilbert space."
            ranks = equinox.error_if(ranks, ~self._satisfied(x, inside), message)
        return ranks if self._kept is None else jnp.searchsorted(self._kept, ranks)

    def numbers_to_states(self, numbers: jax.Array) -> jax.Array:
        """Return the configurations, (.., N), of places in lexicographic order."""
        ranks = jnp.asarray(numbers)
        if self._kept is not None:
            ranks = jnp.asarray(self._kept)[ranks]
        start = jnp.zeros(ranks.shape, jnp.int32), ranks.astype(jnp.int32)

        def step(carry: Any, of_site: Any) -> Any:
            node, rest = carry
            edges, before = of_site
            place = (rest[..., None] >= before[node][..., 1:]).sum(-1, dtype=jnp.int32)
            return (edges[node, place], rest - before[node, place]), place

        _, places = jax.lax.scan(step, start, (self.edges, self._before))
        return self.local_values(jnp.moveaxis(places, 0, -1))

    def all_states(self) -> jax.Array:
        """Return all configurations in lexicographic order."""
        return jnp.asarray(self.space.all_states())

    # endregion
    # region Random configurations

    @functools.partial(jax.jit, static_argnums=(0, 2, 3))
    def random(self, key: Any, n: int, dtype: Any = None) -> jax.Array:
        """Draw `n` configurations uniformly: (n, N)."""
        if self._test is None:
            return self.local_values(self._walk(key, n), dtype)
        if self._walks.count <= MAX_DRAWS:
            rows = jax.random.randint(key, (n,), 0, self.n_states)
            states = self.space.all_states()
            return jnp.asarray(states, dtype or states.dtype)[rows]
        return self._accepted(key, n, dtype)

    def _walk(self, key: Any, n: int) -> jax.Array:
        """Draw local indices, whatever the predicates are."""

        def step(node: jax.Array, of_site: Any) -> Any:
            key, edges, weights = of_site
            place = jax.random.categorical(key, weights[node])
            return edges[node, place], place

        keys = jax.random.split(key, self.space.size)
        per_site = keys, self.edges, self._log_ways
        _, places = jax.lax.scan(step, jnp.zeros(n, jnp.int32), per_site)
        return places.T

    @cached_property
    def _log_ways(self) -> npt.NDArray[np.float64]:
        # They may be too large for any dtype
        log = np.frompyfunc(lambda ways: math.log(ways) if ways else -math.inf, 1, 1)
        return self._padded([*map(log, _ways(self._walks))], -np.inf, np.float64)

    def _accepted(self, key: Any, n: int, dtype: Any) -> jax.Array:
        """Draw until all configurations satisfy the predicates."""

        def draw(key: Any) -> Any:
            x = self.local_values(self._walk(key, n), dtype)
            return x, self.contains(x)

        def redraw(carry: Any) -> Any:
            x, done, key = carry
            key, now = jax.random.split(key)
            new, is_fine = draw(now)
            return jnp.where(done[:, None], x, new), done | is_fine, key

        key, now = jax.random.split(key)
        first = (*draw(now), key)
        return jax.lax.while_loop(lambda carry: ~carry[1].all(), redraw, first)[0]

    # endregion


def _ways(walks: PartialSums) -> list[npt.NDArray[Any]]:
    """Return in how many ways each edge is completed, as the edges."""
    following = walks.completions[1:]
    return [ways[edges] for edges, ways in zip(walks.edges, following, strict=True)]


# endregion
# region What NetKet sees of it


class SpaceConstraint(DiscreteHilbertConstraint):
    """The configurations of a space of symir, as a constraint of NetKet."""

    space: Space = struct.field(pytree_node=False)

    def __init__(self, space: Space):
        self.space = space
        _states_of(space)  # not while JAX is tracing

    def __call__(self, x: Any) -> jax.Array:
        """Return which configurations, (.., N), belong to the space."""
        return _states_of(self.space).contains(x)

    def __hash__(self) -> int:
        return hash(("SpaceConstraint", self.space))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpaceConstraint) and self.space == other.space

    def __repr__(self) -> str:
        return f"SpaceConstraint({self.space!r})"


class SpaceHilbert(hilberts.DiscreteHilbert):
    """The configurations of a space of symir, as a Hilbert space of NetKet.

    They are numbered in lexicographic order, as `Space.all_states` lists them.
    """

    def __init__(self, space: Space):
        self._space = space
        self._states = _states_of(space)
        self._constraint = SpaceConstraint(space) if space.is_constrained else None
        super().__init__(shape=tuple(self._states.lengths.tolist()))

    @property
    def space(self) -> Space:
        """The space of symir."""
        return self._space

    @property
    def size(self) -> int:
        """The number of sites."""
        return self._space.size

    @property
    def constraint(self) -> SpaceConstraint | None:
        """Constraint on configurations of the local states, if there is any."""
        return self._constraint

    @property
    def constrained(self) -> bool:
        """Whether some configurations of the local states are left out."""
        return self._space.is_constrained

    @property
    def is_finite(self) -> bool:
        """Whether the local states are finitely many; they are."""
        return True

    @property
    def is_indexable(self) -> bool:
        """Whether the configurations can be numbered."""
        return self._states.is_indexable

    @property
    def n_states(self) -> int:
        """The number of configurations."""
        return self._states.n_states

    def size_at_index(self, i: int) -> int:
        """Return the number of values that a site may hold."""
        return self.shape[i]

    def states_at_index(self, i: int) -> list[float]:
        """Return the values that a site may hold, ascending."""
        return list(self._space.local_states_at(i))

    def all_states(self) -> jax.Array:
        """Return all configurations, in the order of their numbers."""
        return self._states.all_states()

    def states_to_local_indices(self, x: Any) -> jax.Array:
        """Return the places of local values among those of their sites."""
        return self._states.local_indices(jnp.asarray(x))

    def local_indices_to_states(self, x: Any, dtype: Any = None) -> jax.Array:
        """Return the local values at places among those of their sites."""
        return self._states.local_values(jnp.asarray(x), dtype)

    def _numbers_to_states(self, numbers: Any) -> jax.Array:
        return self._states.numbers_to_states(numbers)

    def _states_to_numbers(self, states: Any) -> jax.Array:
        return self._states.states_to_numbers(states)

    @property
    def _attrs(self) -> tuple[Any, ...]:
        return (self._space,)

    def __repr__(self) -> str:
        return f"SpaceHilbert({self._space!r})"


@optimalConstrainedHilbertindex.dispatch
def _index(local_states: Any, size: Any, constraint: SpaceConstraint):
    return _states_of(constraint.space)


@dispatch
def random_state(  # pyright: ignore[reportRedeclaration]
    hilb: hilberts.HomogeneousHilbert,
    constraint: SpaceConstraint,
    key: Any,
    batches: int,
    *,
    dtype: Any = None,
):
    """Draw configurations of one of NetKet's classes."""
    return _states_of(constraint.space).random(key, batches, dtype)


@dispatch
def random_state(  # noqa: F811
    hilb: SpaceHilbert, key: Any, batches: int, *, dtype: Any = None
):
    """Draw configurations."""
    return hilb._states.random(key, batches, dtype)


@dispatch
def flip_state_scalar(hilb: SpaceHilbert, key: Any, state: Any, index: Any):
    """Return a configuration with another value on a site, and the value there was."""
    return hilb._states.flipped(key, state, index), state[index]


# endregion
