"""Spaces: how many sites a lattice has, and which values each site may hold.

A space is plain data over NumPy: local values, conserved sums, and predicates for what
these cannot say. It enumerates and samples configurations and knows nothing of JAX.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from dialects.interpreters.sym import connections
from dialects.tables import LocalSpace, SiteSum
from symir.errors import DefinitionError, InputError
from symir.late import late
from symir.operator.constraints import (
    PartialSums,
    normal_sums,
    partial_sums,
    shown_number,
    shown_sum,
    shown_values,
)

if TYPE_CHECKING:
    from dialects import sym
    from symir.language.expressions import Predicate, PredicateLike
    from symir.operator.symbolic_operator import SymbolicOperator

__all__ = [
    "Space",
    "Subsystem",
    "as_space",
    "fermions",
    "fock",
    "qubit",
    "space",
    "spin",
]

MAX_ENUMERATED_STATES = 2**24
"""`Space.all_states` refuses to list more configurations than this."""

CHUNK = 2**14
"""Configurations of a constrained space that are made at once."""

MIN_ACCEPTANCE = 2**12
"""Drawing goes on where at least one draw in so many satisfies the predicates, .."""

MAX_DRAWS = 2**16
""".. and ends otherwise after so many. A space of this size is looked at in full."""

MAX_LOCAL_STATES = 2**16
"""A site may hold at most this many values: they are stored one by one."""

_INTEGER_DTYPES = tuple(np.dtype(name) for name in ("int8", "int16", "int32"))


# region Predicates, whose meaning is that of guards: it takes the language


@late
def checked_predicate(space: Space, predicate: PredicateLike) -> Predicate:
    """Return a predicate that makes sense for a space.

    Raises:
        DefinitionError: for what is no predicate (D016), reads what only a term has
            (D001, D014, D023, ..), or depends on a parameter (S017).
    """
    ...


@late
def indicator(
    space: Space, predicates: Sequence[Predicate], dtype: npt.DTypeLike | None = None
) -> SymbolicOperator:
    """Return the operator that is 1 where all predicates hold, on the diagonal.

    It acts on all configurations of the local states.
    """
    ...


# endregion


@dataclass(frozen=True)
class Subsystem:
    """Successive sites of one physical kind.

    Attributes:
        start: the first site.
        size: the number of sites.
        kind: "spin" (local values -2s, -2s + 2, .., 2s), "boson" and "fermion"
            (occupation numbers), "qubit" (0 and 1), or "other".
        spin: the spin of fermions; None where they have none.
    """

    start: int
    size: int
    kind: str
    spin: float | None = None

    @property
    def spin_states(self) -> int:
        """The number of spin states of a fermion: 2s + 1."""
        return 1 if self.spin is None else round(2 * self.spin) + 1

    @property
    def orbitals(self) -> int:
        """The number of orbitals, each with one site per spin state.

        The sites of one spin state stand together, the lowest (down) first: orbital k
        with the p-th spin state is site `start + p * orbitals + k`, as in NetKet.
        """
        return self.size // self.spin_states


@dataclass(frozen=True, repr=False, eq=False)
class Space:
    """Configurations of `size` sites, each holding one of its local states.

    All those that have every conserved sum and satisfy every predicate. Two spaces are
    equal when these are the same, whatever their names.

    Attributes:
        size: the number of sites N.
        local_states: the values a site may hold, ascending; one tuple when all sites
            are alike, one per site otherwise.
        name: how the space prints.
        subsystems: what the sites are, physically, in order.
        sums: the conserved sums, in normal form: with coprime integer weights.
        predicates: predicates of the language that all configurations satisfy.

    Raises:
        DefinitionError: for a size that is no positive integer (S001), a number of
            site lists other than N (S003), values that are missing, repeated, not
            ascending, not finite, not real or too many (S002), or conserved sums that
            no configuration has (S013), that are malformed (S014), or that cannot be
            counted exactly (S015).
    """

    size: int
    local_states: tuple[tuple[float, ...], ...]
    name: str = ""
    subsystems: tuple[Subsystem, ...] = ()
    sums: tuple[SiteSum, ...] = ()
    predicates: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        size = _number_of_sites(self.size)
        sites = tuple(_checked_values(values) for values in _items(self.local_states))
        if len(sites) not in (1, size):
            raise DefinitionError(
                "S003",
                "a space has one list of local states, or one per site",
                expected=f"1 or {size} lists",
                found=f"{len(sites)} lists",
            )
        if len(set(sites)) == 1:
            sites = sites[:1]
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "local_states", sites)
        parts = self.subsystems or (Subsystem(0, size, "other"),)
        object.__setattr__(self, "subsystems", parts)
        object.__setattr__(self, "sums", tuple(self.sums))
        object.__setattr__(self, "predicates", tuple(self.predicates))
        object.__setattr__(self, "name", self.name or self._default_name())
        if self.sums:
            self._normalise_sums()

    def _normalise_sums(self) -> None:
        try:
            object.__setattr__(self, "sums", normal_sums(self.local))
            partial_sums(self.local)
        except DefinitionError as error:
            error.found = f"{error.found} in {self.name}"
            raise

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return self is other or self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.size, self.local_states, self.name, self.subsystems)
        return (Space, (*parts, self.sums, self.predicates))

    @cached_property
    def _identity(self) -> tuple[object, ...]:
        shown = frozenset[str]()
        if self.predicates:
            found = (indicator(self, [one]).to_ir() for one in self._conditions)
            shown = frozenset(ir.static_fingerprint() for ir in found)
        return (self.size, self.local_states, self.sums, shown)

    # region Constraints

    @property
    def local(self) -> LocalSpace:
        """The space as the IR has it: without names and predicates."""
        return LocalSpace(self.size, self.local_states, self.sums)

    @property
    def is_uniform(self) -> bool:
        """Whether all sites hold the same values."""
        return len(self.local_states) == 1

    @property
    def is_constrained(self) -> bool:
        """Whether some configurations of the local states are left out."""
        return bool(self.sums or self.predicates)

    @property
    def unconstrained(self) -> Space:
        """The space of all configurations of the local states."""
        if not self.is_constrained:
            return self
        return Space(self.size, self.local_states, subsystems=self.subsystems)

    def where_sum(
        self,
        total: float,
        *,
        sites: Iterable[int] | None = None,
        weights: Iterable[float] | None = None,
    ) -> Space:
        """Return the configurations with sum_k weights[k] * x[sites[k]] == total.

        `sites` are all sites by default, and `weights` are 1. Several sums are AND-ed.

        Raises:
            DefinitionError: for a site that the lattice does not have (S004), repeated
                sites, or weights and a total that are not one finite number each
                (S014); else as `Space`.
        """
        chosen = list(range(self.size))
        if sites is not None:
            chosen = [self._site(site) for site in _sum_list(sites, "sites")]
        factors = [1.0] * len(chosen)
        if weights is not None:
            items = _sum_list(weights, "weights")
            factors = [_real(w, "S014", "a weight of a conserved sum") for w in items]
        of_site = dict(zip(chosen, factors, strict=False))
        if not len(of_site) == len(chosen) == len(factors):
            raise DefinitionError(
                "S014",
                "a conserved sum has each site once, and one weight for each",
                expected=f"{len(chosen)} different sites and as many weights",
                found=f"{len(set(chosen))} different sites, {len(factors)} weights",
            )
        every = tuple(of_site.get(site, 0.0) for site in range(self.size))
        target = _real(total, "S014", "the total of a conserved sum")
        conserved = SiteSum(every, target)
        name = f"{self._as_operand()}.where_sum({shown_sum(conserved)})"
        return replace(self, name=name, sums=(*self.sums, conserved))

    def where(self, predicate: PredicateLike) -> Space:
        """Return the configurations that satisfy a predicate; several are AND-ed.

        The predicate is of the language, over sites by number and reductions:
        `sum_(abs_(here.value), over=sites_range(0, 4)) <= 2`. What `where_sum` can say
        is better said there: that is counted and drawn from without trying.

        Raises:
            DefinitionError: for what is no predicate (D016), reads what only a term has
                (D001, D014, D023), has a parameter (S017), or holds for none of at most
                2**16 configurations (S013).
        """
        checked = checked_predicate(self, predicate)
        name = f"{self._as_operand()}.where({checked!r})"
        narrowed = replace(self, name=name, predicates=(*self.predicates, checked))
        if self._n_with_sums <= MAX_DRAWS and not narrowed.n_states:
            raise DefinitionError(
                "S013",
                "no configuration satisfies the constraints of the space",
                expected="predicates that hold for some configuration",
                found=name,
            )
        return narrowed

    def __mul__(self, other: object) -> Space:
        """Return the tensor product: the sites of this space, then those of the other.

        Raises:
            DefinitionError: where a space has predicates (S018): they speak of sites by
                number.
        """
        if not isinstance(other, Space):
            return NotImplemented
        for factor in (self, other):
            if factor.predicates:
                raise DefinitionError(
                    "S018",
                    "a space with predicates is no factor of a product",
                    expected="predicates that are stated on the product",
                    found=factor.name,
                    hint="(a * b).where(..), with the numbers of its sites",
                )
        before, after = (0.0,) * self.size, (0.0,) * other.size
        return Space(
            self.size + other.size,
            (*self._every_site(), *other._every_site()),
            f"{self.name} * {other.name}",
            (
                *self.subsystems,
                *(replace(s, start=s.start + self.size) for s in other.subsystems),
            ),
            (
                *(SiteSum((*s.weights, *after), s.total) for s in self.sums),
                *(SiteSum((*before, *s.weights), s.total) for s in other.sums),
            ),
        )

    def _every_site(self) -> tuple[tuple[float, ...], ...]:
        repeats = self.size if self.is_uniform else 1
        return self.local_states * repeats

    def _site(self, site: object) -> int:
        number = _integer(site, "the number of a site", at_least=0, code="S004")
        self.local_states_at(number)
        return number

    def _as_operand(self) -> str:
        return f"({self.name})" if " * " in self.name else self.name

    def _default_name(self) -> str:
        base = _default_name(self.local_states, self.size)
        sums = "".join(f".where_sum({shown_sum(sum_)})" for sum_ in self.sums)
        return base + sums + "".join(f".where({p!r})" for p in self.predicates)

    @cached_property
    def _partial_sums(self) -> PartialSums:
        return partial_sums(self.local)

    @property
    def _conditions(self) -> tuple[Predicate, ...]:
        return cast("tuple[Predicate, ...]", self.predicates)

    @cached_property
    def _indicator(self) -> sym.OperatorOp:
        return indicator(self, self._conditions).to_ir().operator

    def _test(self, states: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which of (n, N) configurations satisfy the predicates: (n,)."""
        return connections(self._indicator, states)[1][:, 0] == 1

    # endregion

    @cached_property
    def n_states(self) -> int:
        """The number of configurations, exact however large.

        With predicates they are counted one by one.

        Raises:
            DefinitionError: for predicates, and more than 2**24 configurations before
                they are tested (S005).
        """
        if self.predicates:
            return sum(len(chunk) for chunk in self._chunks())
        return self._n_with_sums

    @cached_property
    def _n_with_sums(self) -> int:
        """The number of configurations that predicates may leave out some of."""
        if self.sums:
            return self._partial_sums.count
        if self.is_uniform:
            return len(self.local_states[0]) ** self.size
        return math.prod(len(values) for values in self.local_states)

    def local_states_at(self, site: int) -> tuple[float, ...]:
        """Return the values that one site may hold, ascending.

        Raises:
            DefinitionError: for a site outside of 0 .. N-1 (S004).
        """
        if not 0 <= site < self.size:
            raise DefinitionError(
                "S004",
                "there is no such site",
                expected=f"0 <= site < {self.size}",
                found=f"site {site}",
            )
        return self.local_states[0 if self.is_uniform else site]

    def default_dtype(self) -> np.dtype[Any]:
        """Return the narrowest dtype for configurations of this space.

        That is the first of int8, int16 and int32 that holds all local states, and
        float64 when some are fractions or out of their range.
        """
        values = self._distinct_values
        for dtype in _INTEGER_DTYPES:
            if _holds(dtype, values):
                return dtype
        return np.dtype(np.float64)

    def all_states(self, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """Return every configuration: an (n_states, N) array of `dtype`.

        The order is lexicographic by value, the last site running fastest. `dtype`
        defaults to `default_dtype()`.

        Raises:
            DefinitionError: for more than 2**24 configurations, before predicates are
                tested (S005), or a dtype that cannot hold the local states (S006).
        """
        self._check_listable()
        state_dtype = self._state_dtype(dtype)
        if self.is_constrained:
            chunks = [self._values(chunk, state_dtype) for chunk in self._chunks()]
            return np.concatenate([np.empty((0, self.size), state_dtype), *chunks])
        states = np.empty((self.n_states, self.size), state_dtype)
        slower, faster = 1, self.n_states
        for site in range(self.size):
            values = self.local_states_at(site)
            faster //= len(values)
            block = states.reshape(slower, len(values), faster, self.size)
            block[..., site] = np.array(values)[:, None]
            slower *= len(values)
        return states

    def _check_listable(self) -> None:
        if self._n_with_sums <= MAX_ENUMERATED_STATES:
            return
        untested = " before its predicates are tested" if self.predicates else ""
        raise DefinitionError(
            "S005",
            f"{self} has too many configurations to list{untested}",
            expected=f"at most {MAX_ENUMERATED_STATES} configurations",
            found=_readable_count(self._n_with_sums),
            hint="draw some with random_states, or take a smaller lattice",
        )

    def _chunks(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the local indices of all configurations of a constrained space."""
        self._check_listable()
        for chunk in self._partial_sums.chunks(CHUNK):
            yield self._tested(chunk)

    def _tested(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return those local indices that satisfy the predicates."""
        if not self.predicates:
            return indices
        return indices[self._test(self._values(indices, np.dtype(np.float64)))]

    def _values(
        self, indices: npt.NDArray[np.int64], dtype: np.dtype[Any]
    ) -> npt.NDArray[Any]:
        """Return the local values of (.., N) local indices."""
        # The values of all kinds of sites in one table, each kind from its own offset.
        lengths = self._lengths
        offsets = np.cumsum(lengths) - lengths
        return np.concatenate(self.local_states).astype(dtype)[offsets + indices]

    @property
    def _lengths(self) -> npt.NDArray[np.int64]:
        return np.array([len(values) for values in self.local_states])

    def random_states(
        self,
        n: int,
        seed: int | np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> npt.NDArray[Any]:
        """Draw `n` configurations uniformly: an (n, N) array of `dtype`.

        `seed` is a seed or a NumPy generator, which then advances; None draws fresh
        entropy. `dtype` defaults to `default_dtype()`.

        Raises:
            DefinitionError: for an `n` that is no integer >= 0 (S001), a dtype that
                cannot hold the local states (S006), or predicates that fewer than one
                configuration in 4096 satisfies (S019).
        """
        count = _integer(n, "the number of configurations to draw", at_least=0)
        state_dtype = self._state_dtype(dtype)
        rng = np.random.default_rng(seed)
        if self.predicates:
            return self._values(self._draw_until(count, rng), state_dtype)
        return self._values(self._draw(count, rng), state_dtype)

    def _draw(self, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw local indices, whatever the predicates are."""
        if not self.sums:
            return rng.integers(0, self._lengths, (n, self.size))
        sums = self._partial_sums
        return sums.local_indices(sums.random_ranks(n, rng))

    def _draw_until(self, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw local indices until `n` satisfy the predicates."""
        accepted = [np.empty((0, self.size), np.int64)]
        found = drawn = 0
        size = min(CHUNK, 4 * n + 64)
        while found < n:
            if drawn >= MAX_DRAWS and found * MIN_ACCEPTANCE < drawn:
                raise self._hopeless(found, drawn)
            accepted.append(self._tested(self._draw(size, rng)))
            found, drawn = found + len(accepted[-1]), drawn + size
            size = CHUNK
        return np.concatenate(accepted)[:n]

    def _hopeless(self, found: int, drawn: int) -> DefinitionError:
        return DefinitionError(
            "S019",
            "too few configurations satisfy the predicates to draw from them",
            expected=f"at least one in {MIN_ACCEPTANCE}",
            found=f"{found} of {drawn} draws from {self}",
            hint="state what is a sum with where_sum; small spaces list all_states()",
        )

    def contains(self, states: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which configurations belong to the space.

        `states` has shape (..., N); the answer has shape (...). Floats are compared
        with the local states as the dtype of `states` rounds them.

        Raises:
            InputError: when the last axis is not N (S007) or the dtype is neither
                integer nor float (S008).
            DefinitionError: where the space is constrained, and the dtype is one of
                floats that cannot tell its local states apart (S006).
        """
        exact = self._exact(states)
        inside = self._has_local_states(exact)
        if self.is_constrained:
            inside[inside] = self._satisfied(exact[inside])
        return inside

    def has_local_states(self, states: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which configurations have a local state on every site.

        As `contains`, whatever the constraints of the space.

        Raises:
            InputError: as `contains`.
        """
        return self._has_local_states(self._exact(states))

    def _exact(self, states: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return configurations as an array of floats.

        Raises:
            InputError: for another shape (S007) or dtype (S008).
        """
        array = np.asarray(states)
        if array.ndim == 0 or array.shape[-1] != self.size:
            raise InputError(
                "S007",
                "the last axis of configurations runs over the sites",
                expected=f"shape (..., {self.size})",
                found=f"shape {array.shape}",
            )
        if array.dtype.kind not in "iuf":
            raise InputError(
                "S008",
                "configurations are arrays of integers or floats",
                expected="an integer or floating dtype",
                found=f"dtype {array.dtype}",
            )
        # Rounding the local states to an integer dtype would change them.
        return array if array.dtype.kind == "f" else array.astype(np.float64)

    def _has_local_states(self, array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        if self.is_uniform:
            return np.asarray(_is_in(array, self.local_states[0]).all(axis=-1))
        inside = np.ones(array.shape[:-1], np.bool_)
        for values, sites in self._sites_by_values.items():
            inside &= _is_in(array[..., sites], values).all(axis=-1)
        return inside

    def _satisfied(self, array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which of (n, N) floats, all of them local states, are in the space."""
        self._state_dtype(array.dtype)
        exact = array.astype(np.float64)
        for values, sites in self._sites_by_values.items():
            # From what the dtype rounds a local state to, back to the local state.
            rounded = np.array(values, array.dtype)
            place = np.searchsorted(rounded, array[:, sites])
            exact[:, sites] = np.array(values)[place]
        inside = np.ones(len(exact), np.bool_)
        for conserved in self.sums:
            inside &= exact @ np.array(conserved.weights) == conserved.total
        if self.predicates:
            inside[inside] = self._test(exact[inside])
        return inside

    @cached_property
    def _sites_by_values(self) -> dict[tuple[float, ...], list[int]]:
        kinds: dict[tuple[float, ...], list[int]] = {}
        for site, values in enumerate(self._every_site()):
            kinds.setdefault(values, []).append(site)
        return kinds

    @cached_property
    def _distinct_values(self) -> npt.NDArray[np.float64]:
        return np.unique(np.concatenate(self.local_states))

    def _state_dtype(self, dtype: npt.DTypeLike | None) -> np.dtype[Any]:
        if dtype is None:
            return self.default_dtype()
        chosen = np.dtype(dtype)
        if _holds(chosen, self._distinct_values):
            return chosen
        raise DefinitionError(
            "S006",
            f"dtype {chosen} cannot hold the local states of {self}",
            expected=f"a dtype that can, such as {self.default_dtype()}",
            found=f"dtype {chosen}",
        )


def spin(s: float, n: int, total_sz: float | None = None) -> Space:
    """Return `n` spins of size `s`, in NetKet's convention.

    A site holds twice its magnetic quantum number, -2s, -2s + 2, .., 2s: a spin 1/2 is
    -1 or +1. `total_sz` fixes the magnetisation: the sum of the magnetic quantum
    numbers, half of that of the local values.

    Raises:
        DefinitionError: when `s` is not a positive multiple of one half (S009), `n` is
            no positive integer (S001), or the spins cannot have the magnetisation
            (S013, S014).
    """
    twice = 2 * _real(s, "S009", "the size of a spin")
    if twice < 1 or not twice.is_integer():
        raise DefinitionError(
            "S009",
            "the size of a spin is a positive multiple of one half",
            expected="one of 0.5, 1, 1.5, ..",
            found=repr(s),
        )
    top = int(twice)
    _check_count(top + 1)
    values = tuple(float(value) for value in range(-top, top + 1, 2))
    if total_sz is None:
        return _of_one_kind("spin", n, values, f"spin({_half(top)}, {n})")
    magnetisation = _real(total_sz, "S014", "the magnetisation")
    name = f"spin({_half(top)}, {n}, total_sz={shown_number(magnetisation)})"
    return _of_one_kind("spin", n, values, name, 2 * magnetisation)


def fock(n_max: int | None, n: int, n_particles: int | None = None) -> Space:
    """Return `n` bosonic modes of 0, 1, .., n_max particles.

    `n_particles` fixes the number of all particles; `n_max` may be None then.

    Raises:
        DefinitionError: when `n_max` is no integer >= 0 (S010), it is None and
            `n_particles` is too (S012), `n` is no positive integer (S001), or the modes
            cannot hold so many particles (S013, S014).
    """
    total = None if n_particles is None else _particles(n_particles)
    if n_max is None and total is None:
        raise _unbounded("n_max is None")
    largest = total if n_max is None else n_max
    top = _integer(largest, "the largest number of particles", at_least=0, code="S010")
    _check_count(top + 1)
    values = tuple(float(value) for value in range(top + 1))
    fixed = "" if total is None else f", n_particles={total}"
    return _of_one_kind("boson", n, values, f"fock({top}, {n}{fixed})", total)


def fermions(
    n_orbitals: int,
    n_fermions: int | None = None,
    *,
    spin: float | None = None,
    n_fermions_per_spin: Iterable[int | None] | None = None,
) -> Space:
    """Return fermions on `n_orbitals` orbitals, in NetKet's convention.

    A site holds 0 or 1 fermions. With a spin there are n_orbitals * (2 * spin + 1)
    sites: all orbitals of the lowest spin state (down), then all of the next.

    `n_fermions` fixes the number of all fermions, `n_fermions_per_spin` that of each
    spin state, from the lowest one on; None leaves one open.

    Raises:
        DefinitionError: when `n_orbitals` is no positive integer (S001), `spin` no
            multiple of one half (S009), or there cannot be so many fermions (S013,
            S014).
    """
    orbitals = _number_of_sites(n_orbitals)
    twice = 0.0 if spin is None else 2 * _real(spin, "S009", "the spin of fermions")
    if twice < 0 or not twice.is_integer():
        raise DefinitionError(
            "S009",
            "the spin of fermions is a multiple of one half",
            expected="one of 0, 0.5, 1, 1.5, ..",
            found=repr(spin),
        )
    _check_count(int(twice) + 1)
    size = orbitals * (int(twice) + 1)
    shown = [str(orbitals)]
    sums: list[SiteSum] = []
    if spin is not None:
        shown.append(f"spin={_half(int(twice))}")
    if n_fermions is not None:
        total = _particles(n_fermions)
        shown.append(f"n_fermions={total}")
        sums.append(_block_sum(size, 0, size, total))
    if n_fermions_per_spin is not None:
        per_spin = _per_spin(n_fermions_per_spin, int(twice) + 1)
        shown.append(f"n_fermions_per_spin={per_spin}")
        sums += [
            _block_sum(size, state * orbitals, orbitals, total)
            for state, total in enumerate(per_spin)
            if total is not None
        ]
    part = Subsystem(0, size, "fermion", None if spin is None else twice / 2)
    name = f"fermions({', '.join(shown)})"
    return Space(size, ((0.0, 1.0),), name, (part,), tuple(sums))


def qubit(n: int) -> Space:
    """Return `n` qubits: each site holds 0 or 1.

    Raises:
        DefinitionError: when `n` is no positive integer (S001).
    """
    return _of_one_kind("qubit", n, (0.0, 1.0), f"qubit({n})")


def _of_one_kind(
    kind: str,
    n: int,
    values: tuple[float, ...],
    name: str,
    total: float | None = None,
) -> Space:
    size = _number_of_sites(n)
    sums = () if total is None else (_block_sum(size, 0, size, total),)
    return Space(size, (values,), name, (Subsystem(0, size, kind),), sums)


def _block_sum(size: int, start: int, length: int, total: float) -> SiteSum:
    """Return the sum over successive sites."""
    weights = [float(start <= site < start + length) for site in range(size)]
    return SiteSum(tuple(weights), float(total))


def _per_spin(numbers: object, states: int) -> tuple[int | None, ...]:
    items = list(cast("Iterable[object]", numbers)) if _is_list(numbers) else None
    if items is None or len(items) != states:
        raise DefinitionError(
            "S014",
            "the numbers of fermions are not one for each spin state",
            expected=f"{states} numbers, or None for each that is not fixed",
            found=repr(numbers),
            hint="fermions(.., spin=0.5) have two spin states, the lowest first",
        )
    return tuple(None if item is None else _particles(item) for item in items)


def _particles(number: object) -> int:
    return _integer(number, "the number of particles", at_least=0, code="S014")


def _half(twice: int) -> str:
    return f"{twice}/2" if twice % 2 else str(twice // 2)


def _sum_list(values: object, what: str) -> list[object]:
    if isinstance(values, str | bytes) or not _is_list(values):
        raise DefinitionError(
            "S014",
            f"the {what} of a conserved sum are a list",
            expected=f"a list of {what}",
            found=repr(values),
        )
    return list(cast("Iterable[object]", values))


def space(
    local_states: Iterable[float] | Iterable[Iterable[float]], n: int | None = None
) -> Space:
    """Return a space of any finite sets of real values.

    `local_states` is the values of every site, `space([-1, 0, 2], 8)`, or a list of
    values per site, `space([[0, 1], [0, 1, 2]])`, where `n` may be left out. Their
    order does not matter.

    Raises:
        DefinitionError: when `n` is missing or no positive integer (S001), values are
            missing, repeated, not finite, not real or too many (S002), or there are
            not `n` lists (S003).
    """
    items = _items(local_states)
    per_site = [_is_list(item) for item in items]
    if not any(per_site):
        return _uniform_space(items, n)
    if not all(per_site):
        raise DefinitionError(
            "S002",
            "local states are numbers, or one list of numbers per site: not both",
            found=shown_values(items),
        )
    if n is not None and _number_of_sites(n) != len(items):
        raise DefinitionError(
            "S003",
            "the number of sites is not the number of lists of local states",
            expected=f"{n} lists",
            found=f"{len(items)} lists",
        )
    return Space(len(items), tuple(_sorted_values(item) for item in items))


def as_space(hilbert: object) -> Space:
    """Return the space of a discrete Hilbert space of NetKet, or a space as it is.

    Anything with the attributes `size` and `local_states`, or `size` and
    `states_at_index(site)` where sites differ, will do; NetKet is not imported.
    Constraints of NetKet on sums (a fixed magnetisation or number of particles) become
    conserved sums.

    Raises:
        DefinitionError: when the object is no such thing (S011), a site of it has no
            bound on its values (S012), or it is constrained otherwise (S016).
    """
    if isinstance(hilbert, Space):
        return hilbert
    known = _own_space(hilbert)
    if known is not None:
        return known
    factors = _factors(hilbert)
    if factors:
        product = functools.reduce(operator.mul, map(as_space, factors))
        return replace(product, name=repr(hilbert))
    size = getattr(hilbert, "size", None)
    if isinstance(size, bool) or not isinstance(size, SupportsIndex):
        raise _no_hilbert(hilbert)
    sites = size.__index__()
    return Space(
        sites,
        _foreign_local_states(hilbert, sites),
        repr(hilbert),
        (_foreign_subsystem(hilbert, sites),),
        tuple(_foreign_sums(hilbert, sites)),
    )


def is_of_netket(hilbert: object) -> bool:
    """Whether a space is a Hilbert space of NetKet, or derived from one."""
    bases = type(hilbert).__mro__
    return any(base.__module__.partition(".")[0] == "netket" for base in bases)


def _own_space(hilbert: object) -> Space | None:
    """Return the space that a Hilbert space was made of by `to_netket`, if any."""
    found: Any = getattr(hilbert, "space", None)
    if isinstance(found, Space):
        return found
    found = getattr(getattr(hilbert, "constraint", None), "space", None)
    if not isinstance(found, Space) or found.size != getattr(hilbert, "size", None):
        return None
    # The constraint may have been given to a Hilbert space of other local states
    local = Space(found.size, _foreign_local_states(hilbert, found.size))
    return found if local.local_states == found.local_states else None


def _factors(hilbert: object) -> tuple[object, ...]:
    """Return the factors of NetKet's TensorHilbert or DoubledHilbert, else nothing."""
    physical = getattr(hilbert, "physical", None)
    if physical is not None:
        return (physical, physical)
    return tuple(getattr(hilbert, "subspaces", ()))


def _foreign_local_states(hilbert: object, sites: int) -> tuple[tuple[float, ...], ...]:
    uniform = getattr(hilbert, "local_states", None)
    if uniform is not None:
        return (_foreign_values(uniform),)
    at = getattr(hilbert, "states_at_index", None)
    if not callable(at):
        raise _no_hilbert(hilbert)
    return tuple(_foreign_values(at(site)) for site in range(sites))


_KINDS = {
    "Spin": "spin",
    "Fock": "boson",
    "Qubit": "qubit",
    "SpinOrbitalFermions": "fermion",
}
"""Kinds of sites of NetKet's Hilbert spaces."""


def _foreign_subsystem(hilbert: object, sites: int) -> Subsystem:
    names = (base.__name__ for base in type(hilbert).__mro__)
    kind = next((_KINDS[name] for name in names if name in _KINDS), "other")
    s = getattr(hilbert, "spin", None) if kind == "fermion" else None
    return Subsystem(0, sites, kind, None if s is None else float(s))


def _foreign_sums(hilbert: object, sites: int) -> list[SiteSum]:
    constraint = getattr(hilbert, "constraint", None)
    if constraint is not None:
        return _sums_of(constraint, hilbert, sites)
    if getattr(hilbert, "constrained", False):
        raise _no_sum(hilbert, "a constraint that it does not show")
    return []


def _sums_of(constraint: Any, hilbert: object, sites: int) -> list[SiteSum]:
    # By name: another class may give attributes of these names another meaning.
    match type(constraint).__name__.partition("[")[0]:
        case "SumConstraint" if hasattr(constraint, "sum_value"):
            return [_block_sum(sites, 0, sites, constraint.sum_value)]
        case "SumOnPartitionConstraint" if hasattr(constraint, "sum_values"):
            ends = itertools.accumulate(constraint.sizes)
            parts = zip(ends, constraint.sizes, constraint.sum_values, strict=True)
            return [
                _block_sum(sites, end - length, length, total)
                for end, length, total in parts
            ]
        case "ExtraConstraint" if hasattr(constraint, "base_constraint"):
            return [
                *_sums_of(constraint.base_constraint, hilbert, sites),
                *_sums_of(constraint.extra_constraint, hilbert, sites),
            ]
        case _:
            raise _no_sum(hilbert, repr(constraint))


def _no_sum(hilbert: object, constraint: str) -> DefinitionError:
    return DefinitionError(
        "S016",
        "a constraint of the Hilbert space is no sum of local values",
        expected="SumConstraint or SumOnPartitionConstraint",
        found=f"{constraint} of {hilbert!r}",
        hint="leave it out, and state it as a predicate: as_space(..).where(..)",
    )


def _uniform_space(values: Sequence[object], n: int | None) -> Space:
    if n is None:
        raise DefinitionError(
            "S001",
            "the number of sites is missing",
            expected="space(local_states, n)",
            hint="it may be left out only where each site has a list of its own",
        )
    return Space(n, (_sorted_values(values),))


def _foreign_values(values: object) -> tuple[float, ...]:
    # An unbounded range has a length too, near 2**63: look before walking through it.
    if isinstance(values, Sized) and len(values) > MAX_LOCAL_STATES:
        raise _unbounded(f"{len(values)} local states")
    return _sorted_values(values)


def _sorted_values(values: object) -> tuple[float, ...]:
    items = _items(values)
    _check_count(len(items))
    return tuple(sorted(_local_value(item) for item in items))


def _checked_values(values: object) -> tuple[float, ...]:
    numbers = tuple(_local_value(value) for value in _items(values))
    _check_count(len(numbers))
    if not numbers:
        raise DefinitionError("S002", "a site needs at least one local state")
    if len(set(numbers)) < len(numbers):
        raise DefinitionError(
            "S002", "a local state is listed twice", found=shown_values(numbers)
        )
    if numbers != tuple(sorted(numbers)):
        raise DefinitionError(
            "S002",
            "the local states of a Space ascend",
            found=shown_values(numbers),
            hint="space(local_states, n) sorts them",
        )
    return numbers


def _local_value(value: object) -> float:
    number = _real(value, "S002", "a local state")
    if not math.isfinite(number):
        raise DefinitionError("S002", "a local state is not finite", found=repr(value))
    return number + 0.0  # -0.0 becomes 0.0, which prints as the same value


def _real(value: object, code: str, what: str) -> float:
    # The scalars and 0-d arrays of NumPy and JAX turn themselves into Python numbers.
    scalar = getattr(value, "ndim", None) == 0
    number: object = cast(Any, value).item() if scalar else value
    if isinstance(number, int | float | Real) and not isinstance(number, bool):
        try:
            return float(number)
        except OverflowError:
            pass
    raise DefinitionError(
        code, f"{what} is no real number", expected="a real number", found=repr(number)
    )


def _number_of_sites(n: object) -> int:
    return _integer(n, "the number of sites", at_least=1)


def _integer(value: object, what: str, *, at_least: int, code: str = "S001") -> int:
    number: int | None = None
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        try:
            number = operator.index(value)
        except TypeError:  # an array of one element or more
            number = None
    if number is None or number < at_least:
        raise DefinitionError(
            code,
            f"{what} is not acceptable",
            expected=f"an integer >= {at_least}",
            found=repr(value),
        )
    return number


def _check_count(count: int) -> None:
    if count > MAX_LOCAL_STATES:
        raise DefinitionError(
            "S002",
            "a site has too many local states",
            expected=f"at most {MAX_LOCAL_STATES}",
            found=str(count),
        )


def _items(values: object) -> list[object]:
    if isinstance(values, str | bytes) or not _is_list(values):
        raise DefinitionError(
            "S002",
            "local states are given as a list",
            expected="a list of numbers, or one per site",
            found=repr(values),
        )
    return list(cast(Iterable[object], values))


def _is_list(item: object) -> bool:
    # A 0-d array has the method, but nothing to iterate over.
    return hasattr(item, "__iter__") and getattr(item, "ndim", 1) != 0


def _unbounded(found: str) -> DefinitionError:
    return DefinitionError(
        "S012",
        "a site has no bound on its values, so the space is not finite",
        expected=f"at most {MAX_LOCAL_STATES} local states",
        found=found,
        hint="bound it, as in fock(n_max=4, n=8)",
    )


def _no_hilbert(value: object) -> DefinitionError:
    return DefinitionError(
        "S011",
        "this is no discrete Hilbert space",
        expected="spin(..), fock(..), qubit(..), space(..) or one of NetKet's",
        found=f"{value!r} of type {type(value).__name__}",
    )


def _holds(dtype: np.dtype[Any], values: npt.NDArray[np.float64]) -> bool:
    if dtype.kind == "f":
        # Rounding is fine as long as the values stay finite and apart.
        with np.errstate(over="ignore"):
            rounded = values.astype(dtype)
        return bool(np.isfinite(rounded).all()) and len(np.unique(rounded)) == len(
            values
        )
    if dtype.kind not in "iu" or not (values == np.rint(values)).all():
        return False
    limits = np.iinfo(dtype)
    return limits.min <= int(values[0]) and int(values[-1]) <= limits.max


def _is_in(array: npt.NDArray[Any], values: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    with np.errstate(over="ignore"):
        rounded = np.array(values).astype(array.dtype)
    # A value beyond the range of the dtype became infinite; x = inf is no such state.
    return np.isin(array, rounded[np.isfinite(rounded)])


def _default_name(sites: Sequence[tuple[float, ...]], size: int) -> str:
    if len(sites) == 1:
        return f"space({shown_values(sites[0])}, {size})"
    if size <= 4:
        return f"space([{', '.join(shown_values(values) for values in sites)}])"
    first, last = shown_values(sites[0]), shown_values(sites[-1])
    return f"space([{first}, .., {last}], {size})"


def _readable_count(count: int) -> str:
    # str() refuses integers of thousands of digits.
    if count < 10**18:
        return f"{count} configurations"
    return f"about 10^{int(math.log10(count))} configurations"
