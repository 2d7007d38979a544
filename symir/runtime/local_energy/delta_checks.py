"""The comparison of declared deltas with the models that they are of."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from symir.errors import DefinitionError
from symir.runtime import x64_enabled
from symir.runtime.local_energy.deltas import Delta, Function

if TYPE_CHECKING:
    from symir.runtime.local_energy.declared_parts import Declared

SAMPLES, PAIRS = 8, (32, 256)
"""So many configurations, and at least and at most so many pairs of them, are compared
at once."""

MOST, LEAST = (64, 2**29), 3
"""So often at most, with so many operations or bytes; but on so many draws in any case.
"""

TRIES = 3
"""Comparisons of a lane whose log ratios are no finite numbers, at most."""

NEAR, SPREAD = 4, 32
"""So many parameters with other last digits are looked at; and numbers may differ by
so many times what they differ among these."""

ROUNDED = 16
"""Units in the last place that are lost in a sum."""

COARSE = 0.1
"""Digits that numbers of single precision have in any case, relative to 1."""

QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""Options of XLA for what runs once: to make it fast would take longer than that."""


class Executed:
    """A function of arrays that is executed, whatever JAX is tracing meanwhile.

    It is for arrays of the shapes and dtypes that are given. Results are of NumPy.
    """

    def __init__(self, function: Function, *arguments: Any):
        traced = jax.jit(function).trace(*arguments)
        self.types = traced.out_info
        self._lowered = traced.lower()

    @cached_property
    def _compiled(self) -> Any:
        options = QUICKLY if jax.default_backend() == "cpu" else None
        try:
            return self._lowered.compile(options)
        except jax.errors.JaxRuntimeError:  # such as for options that are no more
            return self._lowered.compile()

    def __call__(self, *arguments: Any) -> Any:
        return jax.tree.map(np.asarray, self._compiled(*arguments))

    @property
    def work(self) -> float:
        """Operations or bytes of it that XLA counts; 1 where it counts none."""
        costs = self._compiled.cost_analysis() or {}
        return max(1, costs.get("flops", 0), costs.get("bytes accessed", 0))


Changes = tuple[Any, Any, Any]
"""Sites, old and new local values, (.., K) each."""


def written(x: np.ndarray, changes: Changes) -> np.ndarray:
    """Return x' of x (P, N) after changes, (P, K) each."""
    sites, old, new = changes
    x = x.copy()
    for write in range(sites.shape[1]):
        (row,) = (old[:, write] != new[:, write]).nonzero()
        x[row, sites[row, write]] = new[row, write]
    return x


class Walk(NamedTuple):
    """Configurations that others were left from, by one lane after another.

    Attributes:
        start: (C, N).
        steps: those of the lanes, (C, K), in order.
    """

    start: Any
    steps: list[Changes]

    def at(self, numbers: np.ndarray) -> Walk:
        """Return some of them."""
        return jax.tree.map(lambda one: one[numbers], self)


class Compared(NamedTuple):
    """Pairs that are compared, of configurations of their own.

    Attributes:
        x: (C, N).
        connected: x' of the pairs, (P, N).
        sample: the number of x of a pair, (P,).
        changes: what changes there, (P, K) each.
        walk: what led to x, if that is known.
    """

    x: Any
    connected: Any
    sample: Any
    changes: Changes
    walk: Walk | None = None


class Trial:
    """Configurations of an operator, and what its lanes change there.

    Attributes:
        live: where x' is another configuration, (C, R), for at least one lane of each
            configuration: there may be none at all.
    """

    def __init__(
        self,
        x: np.ndarray,
        changes: Changes,
        kinds: Iterable[np.ndarray] = (),
        walk: Walk | None = None,
    ):
        """Take configurations (C, N), and the changes of all lanes, each (C, R, K).

        Kinds are the numbers of the lanes of each emission.
        """
        sites, old, new = changes
        live = (old != new).any(axis=-1)
        kept = live.any(axis=1)
        self._x, self._writes = x[kept], (sites[kept], old[kept], new[kept])
        self._walk = walk and walk.at(kept)
        self.live = live[kept]
        self._rng = np.random.default_rng(0)
        # One lane of each kind first, then the next: they may be too many
        turn = self._rng.random(self.live.shape[1])
        for lanes in kinds:
            turn[lanes] += self._rng.permutation(len(lanes))
        self._order = turn.argsort()
        least, most = PAIRS
        self._pairs = min(max(least, -(-len(turn) // len(DRAWS))), most)

    def chosen(self, waiting: np.ndarray) -> tuple[np.ndarray, Compared]:
        """Return pairs of as many lanes as possible that are waiting, (R,), and others.

        Returns their lanes, (P,), too.
        """
        rng = self._rng
        score = (self.live & waiting).sum(axis=1) + rng.random(len(self.live))
        group = np.resize((-score).argsort()[:SAMPLES], SAMPLES)
        live = self.live[group]
        candidates = self._order[(waiting & live.any(axis=0))[self._order]]
        lanes = candidates[: self._pairs]
        first = (live[:, lanes] * (1 - rng.random((SAMPLES, len(lanes))))).argmax(0)
        others = rng.choice(np.flatnonzero(live), self._pairs - len(lanes))
        sample = np.append(first, others // live.shape[1]).astype(np.int32)
        lanes = np.append(lanes, others % live.shape[1])
        x = self._x[group]
        sites, old, new = (one[group[sample], lanes] for one in self._writes)
        connected = written(x[sample], (sites, old, new))
        walk = self._walk and self._walk.at(group)
        return lanes, Compared(x, connected, sample, (sites, old, new), walk)


class Draw(NamedTuple):
    """Random parameters: of what size and sign (0: both), and what part of them 0."""

    size: float
    sign: int = 0
    zeros: float = 0

    def __str__(self) -> str:
        if self.zeros:
            return f"random ones, {self.zeros:.0%} of them 0"
        sign = {0: "", 1: " positive", -1: " negative"}[self.sign]
        return f"random{sign} ones of size {self.size:g}"


USUAL = tuple(Draw(0.5, sign) for sign in (0, 1, -1))
LARGE = (Draw(30), Draw(3), Draw(30, 1), Draw(30, -1))
ZEROS = (Draw(0.5, zeros=0.5), Draw(0.5, zeros=1))
DRAWS = (USUAL[0], LARGE[0], ZEROS[0], *USUAL[1:], *LARGE[1:], ZEROS[1])
"""The parameters that deltas are compared on, first what sees most.

Of usual ones a delta knows what its model does; large ones may overflow, and it may
divide by zeros."""


class Draws:
    """Random parameters of some shapes and dtypes.

    Integers are small: in six draws each takes all of six values, or of four where
    there is no sign. Keys of random numbers are those of any seed.
    """

    def __init__(self, avals: Sequence[Any], seed: int = 0):
        rng = np.random.default_rng(seed)
        self._avals = avals
        self._seeds = [
            rng.normal(size=(1 + _is_complex(aval), *aval.shape))
            if _is_inexact(aval)
            else rng.integers(12, size=aval.shape)
            for aval in avals
        ]

    def __call__(self, draw: Draw) -> list[Any]:
        pairs = zip(self._avals, self._seeds, strict=True)
        return [self._leaf(draw, aval, seed) for aval, seed in pairs]

    def _leaf(self, draw: Draw, aval: Any, seed: np.ndarray) -> Any:
        dtype, number = aval.dtype, DRAWS.index(draw)
        if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
            with jax.ensure_compile_time_eval():
                return jax.random.split(jax.random.key(number, impl=dtype), aval.shape)
        if jnp.issubdtype(dtype, jnp.signedinteger):
            return ((seed + number) % 6 - 2).astype(dtype)
        if not _is_inexact(aval):
            return ((seed + number) % (2 if dtype == np.bool_ else 4)).astype(dtype)
        real, *imaginary = seed
        # Large ones are not small by chance
        found = real + np.copysign(1 if draw in LARGE else 0.2, real)
        if draw.sign:
            found = draw.sign * np.abs(found)
        for part in imaginary:
            found = found + 1j * part
        # The last digits of a random number are random too
        kept = real * 2**20 % 1 >= draw.zeros
        return (draw.size * (found * kept if draw.zeros else found)).astype(dtype)


def at_hand(leaves: Sequence[Any], avals: Sequence[Any]) -> list[Any] | None:
    """Return parameters as arrays of these types, None where they are not known.

    They are not while JAX is tracing them, nor where other processes have parts.
    """

    def is_known(leaf: Any) -> bool:
        if isinstance(leaf, jax.Array):
            return not isinstance(leaf, Tracer) and leaf.is_fully_addressable
        return not isinstance(leaf, jax.ShapeDtypeStruct)

    def of(leaf: Any, dtype: Any) -> Any:
        is_key = jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
        return leaf if is_key else np.asarray(leaf, dtype)

    if not all(map(is_known, leaves)):
        return None
    return [of(leaf, aval.dtype) for leaf, aval in zip(leaves, avals, strict=True)]


class Check:
    """The comparison of a delta with its model.

    Log ratios are compared on each draw for some pairs, and then for more until all
    lanes of the trial were, as far as `MOST` allows. So they are for the caller's own
    parameters, where these are given. Where the trial says what led to x, log ratios
    are found once more, from a cache that was committed.
    """

    def __init__(
        self,
        part: Declared,
        trial: Trial,
        own: Sequence[Any] | None = None,
    ):
        self._part, self._trial, self._own = part, trial, own
        self._avals = part.declaration.avals

    def is_right(self) -> bool:
        """Return whether it is, False where nothing is compared.

        Raises:
            DefinitionError: for a delta of another shape or kind of number (R026), for
                one that differs (R027), or does so from a cache that was committed, and
                for a commit that returns no cache (R028).
        """
        if not self._trial.live.size:
            return False
        self._draws = Draws(self._avals)
        self._run = self._executed(self._draws(DRAWS[0]))
        own = self._own is not None and self._everywhere([None])
        return self._everywhere(DRAWS) or own

    def _executed(self, leaves: Sequence[Any]) -> Executed:
        """Return the delta, that from committed caches, and log psi after and before.

        As a function of parameters and of what is compared.
        """
        part = self._part

        def values(leaves: Sequence[Any], compared: Compared) -> Any:
            x, connected, sample, changes, walk = compared

            def ratios(caches: Any) -> Any:
                own = jax.tree.map(lambda values: values[sample], caches)
                return jax.tree.map(_inexact, part.ratios(leaves, own, changes))

            found, again = ratios(part.caches(leaves, x)), None
            if walk is not None:
                again = ratios(self._committed(leaves, walk))
            # It is called once: what it is made of compiles slowly
            psi = part.values(leaves, jnp.concatenate([x, connected]))
            before, after = psi[: len(x)], psi[len(x) :]
            return found, again, after, before[sample]

        nothing = np.zeros(self._trial.live.shape[1], bool)
        _, compared = self._trial.chosen(nothing)
        run = Executed(values, leaves, compared)
        _check_type(part.declaration.delta, run.types)
        return run

    def _committed(self, leaves: Sequence[Any], walk: Walk) -> Any:
        """Return the caches of what a walk leads to, as they are committed."""
        caches = self._part.caches(leaves, walk.start)
        for changes in walk.steps:
            found = self._part.committed(leaves, caches, changes)
            if _types_of(found) != _types_of(caches):
                raise _no_cache(self._part.declaration.delta, caches, found)
            caches = found
        return caches

    def _everywhere(self, draws: Sequence[Draw | None]) -> bool:
        """Compare on each draw, and more pairs until all lanes are; None: the own.

        Returns whether something was compared.
        """
        tries = np.where(self._trial.live.any(axis=0), TRIES, 0)
        useful: list[Draw | None] = []
        most = min(MOST[0], MOST[1] // self._run.work)
        several = chain(draws, cycle(useful))
        for number, draw in enumerate(several):
            is_more = number >= len(draws)
            is_enough = number >= most and (is_more or len(useful) >= LEAST)
            if is_enough or (is_more and not tries.any()):
                break
            if self._once(draw, tries) and not is_more:
                useful.append(draw)
        return bool(useful)

    def _once(self, draw: Draw | None, tries: np.ndarray) -> bool:
        """Compare some pairs on one draw, and count the tries of their lanes.

        Returns whether a lane was compared for good.
        """
        own = self._own or []
        leaves = own if draw is None else self._draws(draw)
        may_overflow = draw is not None and draw not in USUAL
        lanes, pairs = self._trial.chosen(tries > 0)
        found = _compared(self._run, leaves, pairs, may_overflow)
        if found.wrong.any() and _is_single(self._avals):
            # Whether that is rounding is seen with more digits
            with jax.enable_x64(True):
                leaves = [_as_double(one) for one in leaves]
                exact = _compared(self._executed(leaves), leaves, pairs, may_overflow)
            found = exact if exact.wrong.any() else found.coarse(may_overflow)
        own, *committed = found.apart(len(lanes))
        whose = "your own" if draw is None else str(draw)
        for one, error in ((own, _wrong), *((c, _not_committed) for c in committed)):
            if one.wrong.any():
                shown = f"{one.shown(pairs)}; parameters are {whose}"
                raise error(self._part.declaration.delta, shown)
        if (draw is not None and draw.zeros) or not own.known.any():
            return False
        tries[lanes] = np.maximum(tries[lanes] - 1, 0)
        tries[lanes[own.known]] = 0
        return True


@dataclass(frozen=True)
class RatioComparison:
    """Log ratios that were found for some pairs, (P,), and those that are expected.

    Attributes:
        known: where there is something to compare.
        allowed: by how much they may differ.
    """

    found: np.ndarray
    expected: np.ndarray
    known: np.ndarray
    allowed: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Where they differ by more."""
        close = self.distance(self.found, self.expected) <= self.allowed
        return self.known & ~close

    def distance(self, one: Any, other: Any) -> np.ndarray:
        """Return how different numbers are, 0 for equal infinities, NaN for NaN."""
        with np.errstate(invalid="ignore"):
            # Imaginary parts of logarithms are angles
            angle = np.abs(np.exp(1j * one.imag) - np.exp(1j * other.imag))
            equal = one.real == other.real
            return angle + np.where(equal, 0, np.abs(one.real - other.real))

    def spread(self, near: RatioComparison) -> np.ndarray:
        """Return how far numbers are from those next to them, infinity for NaN."""
        both = self.distance(self.found, near.found)
        both = both + self.distance(self.expected, near.expected)
        return np.where(np.isnan(both), np.inf, both)

    def apart(self, count: int) -> list[RatioComparison]:
        """Return those of so many pairs each."""
        fields = self.found, self.expected, self.known, self.allowed
        starts = range(0, len(self.found), count)
        return [RatioComparison(*(f[n : n + count] for f in fields)) for n in starts]

    def coarse(self, may_overflow: bool) -> RatioComparison:
        """Return the same for numbers with few digits, or none where they overflow."""
        allowed = np.inf if may_overflow else COARSE * (1 + np.abs(self.expected))
        return replace(self, allowed=np.maximum(self.allowed, allowed))

    def shown(self, pairs: Compared) -> str:
        wrong = self.wrong
        first = int(np.argmax(wrong))
        sites, old, new = (one[first].tolist() for one in pairs.changes)
        return (
            f"a log ratio of {self.found[first]:.6g} for {self.expected[first]:.6g}, "
            f"at sites {sites} from {old} to {new}; {int(wrong.sum())} of {len(wrong)} "
            "differ"
        )


def _compared(
    run: Function, leaves: Sequence[Any], pairs: Compared, may_overflow: bool
) -> RatioComparison:
    """Compare for these parameters; and for some next to them, if something is wrong.

    No more is known of numbers than what they are for parameters with other last
    digits: that is what an ill-conditioned matrix, or a large sum, leaves of them.
    """
    found = _comparison(run(leaves, pairs), may_overflow)
    if not found.wrong.any():
        return found
    eps = float(jnp.finfo(found.expected.dtype).eps)
    first, *others = (
        _comparison(run(_next_to(leaves, eps, seed), pairs), may_overflow)
        for seed in range(NEAR)
    )
    spread = np.max([first.spread(other) for other in others], axis=0)
    return replace(found, allowed=np.maximum(found.allowed, SPREAD * spread))


def _next_to(leaves: Sequence[Any], eps: float, seed: int) -> list[Any]:
    """Return parameters with other last digits."""
    rng = np.random.default_rng(seed)

    def of(leaf: Any) -> Any:
        if not _is_inexact(leaf):
            return leaf
        own = max(eps, float(jnp.finfo(leaf.dtype).eps))
        # At least a few units, so that none stays what it is
        shape = 2, *leaf.shape
        real, imaginary = own * rng.uniform(2, 4, shape) * rng.choice([-1, 1], shape)
        change = real + 1j * imaginary if _is_complex(leaf) else real
        return (leaf * (1 + change)).astype(leaf.dtype)

    return [of(leaf) for leaf in leaves]


def _comparison(results: Any, may_overflow: bool) -> RatioComparison:
    """Return the comparison of log ratios by a delta, and log psi after and before.

    Of those from committed caches behind them, where there are any.
    """
    found, after, before = _joined(*results)
    real = jnp.finfo(after.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        is_node = np.isneginf(after.real)
        expected: Any = np.where(is_node, -np.inf, after - before)
        # No more is known of a number close to 0 than that it is. Where one of both is
        # 0, the other is what rounding left of a sum of many terms
        is_zero = np.isneginf(found.real) | np.isneginf(expected.real)
        limit = np.where(is_zero, 0.5, 1) * math.log(real.eps)
        vanishing = (found.real < limit) & (expected.real < limit)
        known = (np.isfinite(expected) | is_node) & ~np.isnan(found) & ~vanishing
        known = known & np.isfinite(found) if may_overflow else known
        least = np.minimum(np.abs(found), np.abs(expected))
        tolerance = 1e-3 if real.bits < 64 else 1e-6
        # Nor has a sum more digits than its largest term
        sizes = (np.where(np.isfinite(p), np.abs(p), 0) for p in (after, before))
        allowed = tolerance * (1 + least) + ROUNDED * float(real.eps) * sum(sizes)
    return RatioComparison(found, expected, known, allowed)


def _joined(found: Any, again: Any, *psi: Any) -> Any:
    if again is None:
        return found, *psi
    return np.append(found, again), *(np.tile(one, 2) for one in psi)


def _check_type(declared: Delta, results: Any) -> None:
    """Check the shapes and dtypes of what a delta returns for pairs, and of log psi."""
    found, _, psi, _ = results
    expected = "a scalar" + ("" if _is_complex(psi) else ", real as log psi is")
    if getattr(found, "shape", None) != psi.shape:
        shown = [str(leaf.shape[1:]) for leaf in jax.tree.leaves(found)]
        raise _of_type(declared, expected, f"arrays of shape {', '.join(shown)}")
    if _is_complex(found) and not _is_complex(psi):
        raise _of_type(declared, expected, f"dtype {found.dtype}")


def _is_complex(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, jnp.complexfloating)


def _inexact(found: Any) -> Any:
    """Return what a delta returned, as floats if it is an integer."""
    found = jnp.asarray(found)
    return found if _is_inexact(found) else found.astype(jnp.result_type(float))


def _is_inexact(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, jnp.inexact)


def _of_type(delta: Delta, expected: str, found: str) -> DefinitionError:
    return DefinitionError(
        "R026",
        "a delta returns what is no difference of log psi",
        location=delta.location,
        expected=expected,
        found=found,
        hint="delta is called for one configuration, and is vectorised by symir",
    )


def _wrong(delta: Delta, found: str) -> DefinitionError:
    return DefinitionError(
        "R027",
        "a delta is not how log psi changes",
        location=delta.location,
        expected="log psi(x') - log psi(x) of the model, for all parameters",
        found=found,
        hint="compare delta(parameters, init(parameters, x), sites, old, new) with the "
        "model at x and x'. Where it does not know it may return NaN; integers that "
        "have one value only are no parameters",
    )


def _not_committed(delta: Delta, found: str) -> DefinitionError:
    return DefinitionError(
        "R028",
        "a commit does not return the cache of where it leads",
        location=delta.location,
        expected="log ratios from commit(parameters, init(parameters, x), ..) as from "
        "init(parameters, x')",
        found=found,
        hint="a committed cache need not be that of x', but deltas from it, and from "
        "what is committed after it, have to be the same",
    )


def _no_cache(delta: Delta, expected: Any, found: Any) -> DefinitionError:
    return DefinitionError(
        "R028",
        "a commit returns no cache",
        location=delta.location,
        expected=f"what init returns: {_types_of(expected)}",
        found=str(_types_of(found)),
        hint="commit is called for one configuration, and is vectorised by symir",
    )


def _types_of(caches: Any) -> Any:
    """Return the types of a cache, of which there are some."""
    return jax.tree.map(lambda one: f"{one.dtype}{list(one.shape[1:])}", caches)


def _is_single(avals: Sequence[Any]) -> bool:
    inexact = [aval.dtype for aval in avals if _is_inexact(aval)]
    return not x64_enabled() or any(jnp.finfo(dtype).bits < 64 for dtype in inexact)


def _as_double(leaf: Any) -> Any:
    if not _is_inexact(leaf):
        return leaf
    return leaf.astype(np.complex128 if _is_complex(leaf) else np.float64)
