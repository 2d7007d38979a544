"""Spaces: how many sites a lattice has, and which values each site may hold.

A space is plain data over NumPy. It enumerates and samples configurations; it knows
nothing of operators, of the IR, or of JAX.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from symir.errors import DefinitionError, InputError

__all__ = ["Space", "Subsystem", "as_space", "fock", "qubit", "space", "spin"]

MAX_ENUMERATED_STATES = 2**24
"""`Space.all_states` refuses to list more configurations than this."""

MAX_LOCAL_STATES = 2**16
"""A site may hold at most this many values: they are stored one by one."""

_INTEGER_DTYPES = tuple(np.dtype(name) for name in ("int8", "int16", "int32"))


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


@dataclass(frozen=True, repr=False)
class Space:
    """All configurations of `size` sites, each holding one of its local states.

    Two spaces are equal when they hold the same configurations, whatever their names.

    Attributes:
        size: the number of sites N.
        local_states: the values a site may hold, ascending; one tuple when all sites
            are alike, one per site otherwise.
        name: how the space prints.
        subsystems: what the sites are, physically, in order.

    Raises:
        DefinitionError: for a size that is no positive integer (S001), a number of
            site lists other than N (S003), or values that are missing, repeated, not
            ascending, not finite, not real or too many (S002).
    """

    size: int
    local_states: tuple[tuple[float, ...], ...]
    name: str = field(default="", compare=False)
    subsystems: tuple[Subsystem, ...] = field(default=(), compare=False)

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
        object.__setattr__(self, "name", self.name or _default_name(sites, size))
        parts = self.subsystems or (Subsystem(0, size, "other"),)
        object.__setattr__(self, "subsystems", parts)

    def __repr__(self) -> str:
        return self.name

    @property
    def is_uniform(self) -> bool:
        """Whether all sites hold the same values."""
        return len(self.local_states) == 1

    @cached_property
    def n_states(self) -> int:
        """The number of configurations, exact however large."""
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
            DefinitionError: for more than 2**24 configurations (S005), or a dtype
                that cannot hold the local states (S006).
        """
        if self.n_states > MAX_ENUMERATED_STATES:
            raise DefinitionError(
                "S005",
                f"{self} has too many configurations to list",
                expected=f"at most {MAX_ENUMERATED_STATES} configurations",
                found=_readable_count(self.n_states),
                hint="draw some with random_states, or take a smaller lattice",
            )
        states = np.empty((self.n_states, self.size), self._state_dtype(dtype))
        slower, faster = 1, self.n_states
        for site in range(self.size):
            values = self.local_states_at(site)
            faster //= len(values)
            block = states.reshape(slower, len(values), faster, self.size)
            block[..., site] = np.array(values)[:, None]
            slower *= len(values)
        return states

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
            DefinitionError: for an `n` that is no integer >= 0 (S001), or a dtype
                that cannot hold the local states (S006).
        """
        count = _integer(n, "the number of configurations to draw", at_least=0)
        state_dtype = self._state_dtype(dtype)
        rng = np.random.default_rng(seed)
        # The values of all kinds of sites in one table, each kind from its own offset.
        lengths = np.array([len(values) for values in self.local_states])
        offsets = np.cumsum(lengths) - lengths
        table = np.concatenate(self.local_states).astype(state_dtype)
        return table[offsets + rng.integers(0, lengths, (count, self.size))]

    def contains(self, states: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which configurations belong to the space.

        `states` has shape (..., N); the answer has shape (...). Floats are compared
        with the local states as the dtype of `states` rounds them.

        Raises:
            InputError: when the last axis is not N (S007) or the dtype is neither
                integer nor float (S008).
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
        exact = array if array.dtype.kind == "f" else array.astype(np.float64)
        if self.is_uniform:
            return np.asarray(_is_in(exact, self.local_states[0]).all(axis=-1))
        inside = np.ones(array.shape[:-1], np.bool_)
        for values, sites in self._sites_by_values.items():
            inside &= _is_in(exact[..., sites], values).all(axis=-1)
        return inside

    @cached_property
    def _sites_by_values(self) -> dict[tuple[float, ...], list[int]]:
        kinds: dict[tuple[float, ...], list[int]] = {}
        for site, values in enumerate(self.local_states):
            kinds.setdefault(values, []).append(site)
        return kinds

    @property
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


def spin(s: float, n: int) -> Space:
    """Return `n` spins of size `s`, in NetKet's convention.

    A site holds twice its magnetic quantum number, -2s, -2s + 2, .., 2s: a spin 1/2 is
    -1 or +1.

    Raises:
        DefinitionError: when `s` is not a positive multiple of one half (S009), or `n`
            is no positive integer (S001).
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
    size = f"{top}/2" if top % 2 else str(top // 2)
    values = tuple(float(value) for value in range(-top, top + 1, 2))
    return _of_one_kind("spin", n, values, f"spin({size}, {n})")


def fock(n_max: int, n: int) -> Space:
    """Return `n` bosonic modes of 0, 1, .., n_max particles.

    Raises:
        DefinitionError: when `n_max` is no integer >= 0 (S010), or `n` no positive
            integer (S001).
    """
    if n_max is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise _unbounded("n_max is None")
    top = _integer(n_max, "the largest number of particles", at_least=0, code="S010")
    _check_count(top + 1)
    values = tuple(float(value) for value in range(top + 1))
    return _of_one_kind("boson", n, values, f"fock({top}, {n})")


def qubit(n: int) -> Space:
    """Return `n` qubits: each site holds 0 or 1.

    Raises:
        DefinitionError: when `n` is no positive integer (S001).
    """
    return _of_one_kind("qubit", n, (0.0, 1.0), f"qubit({n})")


def _of_one_kind(kind: str, n: int, values: tuple[float, ...], name: str) -> Space:
    size = _number_of_sites(n)
    return Space(size, (values,), name, (Subsystem(0, size, kind),))


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
            found=_shortened(items),
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
    `states_at_index(site)` where sites differ, will do; NetKet is not imported. A
    constraint (fixed magnetisation or particle number) is not part of a space: what is
    returned holds all configurations of the local states.

    Raises:
        DefinitionError: when the object is no such thing (S011), or a site of it has
            no bound on its values (S012).
    """
    if isinstance(hilbert, Space):
        return hilbert
    size = getattr(hilbert, "size", None)
    if isinstance(size, bool) or not isinstance(size, SupportsIndex):
        raise _no_hilbert(hilbert)
    uniform = getattr(hilbert, "local_states", None)
    at = getattr(hilbert, "states_at_index", None)
    if uniform is not None:
        return Space(size.__index__(), (_foreign_values(uniform),), repr(hilbert))
    if callable(at):
        sites = range(size.__index__())
        return Space(
            len(sites), tuple(_foreign_values(at(i)) for i in sites), repr(hilbert)
        )
    raise _no_hilbert(hilbert)


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
            "S002", "a local state is listed twice", found=_shortened(numbers)
        )
    if numbers != tuple(sorted(numbers)):
        raise DefinitionError(
            "S002",
            "the local states of a Space ascend",
            found=_shortened(numbers),
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
        return f"space({_shortened(sites[0])}, {size})"
    if size <= 4:
        return f"space([{', '.join(_shortened(values) for values in sites)}])"
    first, last = _shortened(sites[0]), _shortened(sites[-1])
    return f"space([{first}, .., {last}], {size})"


def _shortened(values: Sequence[object]) -> str:
    shown = [repr(value).removesuffix(".0") for value in values]
    if len(shown) > 8:
        shown[4:-2] = [".."]
    return f"[{', '.join(shown)}]"


def _readable_count(count: int) -> str:
    # str() refuses integers of thousands of digits.
    if count < 10**18:
        return f"{count} configurations"
    return f"about 10^{int(math.log10(count))} configurations"
