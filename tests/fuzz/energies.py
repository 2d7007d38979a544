"""Local energies of many random networks: `python -m tests.fuzz.energies 2000`.

Energies, and their forward and reverse derivatives by the network and the operator, are
compared with those of sums over x' with the network at every x', written with
`jax.numpy` alone and in double precision. What fails is printed as source, with no part
that it does not need, and the others go on.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

import symir as sym
from lowering.energy import lift_sparse_delta
from symir import models
from tests.fuzz import many
from tests.fuzz.check import Mismatch
from tests.fuzz.networks import Network, draw_network

__all__ = ["check_network", "main"]

Array = npt.NDArray[Any]

SAMPLES = 6

DRAWS = 8
"""So many batches are looked through for configurations that are no nodes."""

SLACK = {True: 80, False: 4e5}
"""By whether there is single precision: errors in units of the last place of log psi,
which is where ratios lose digits. The oracle's own are those of double precision."""

LARGEST = {True: 1e25, False: 1e200}
"""Energies with larger terms overflow on the way, or nearly."""

FAST = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""What XLA makes is not measured here, and seldom run twice."""

H = 0.7
"""The operator's parameter."""

WAYS = ("value", "forward", "reverse")

HOW = {
    "forward, network": "the forward derivative by the network",
    "forward, operator": "the forward derivative by the operator",
    "reverse": "the reverse derivative",
}


# region Operators


@dataclass(frozen=True)
class Connected:
    """An operator, and all that leads anywhere in it.

    Attributes:
        operator: the compiled operator; its parameter is "h".
        x: all configurations, (B, N).
        xp: x', (B, K, N).
        elements: (B, K), for h = H.
        slopes: their derivatives by h, which they are linear in.
    """

    operator: Any
    x: Array
    xp: Array
    elements: Array
    slopes: Array

    @property
    def leads_elsewhere(self) -> bool:
        """Whether some x' is not x."""
        return bool((self.xp != self.x[:, None]).any())


def _ring(n: int) -> list[tuple[int, int]]:
    return [(i, (i + 1) % n) for i in range(n)]


def _three_spins(h: Any) -> Any:
    i = sym.site("i")
    last = (i.index + 2) % 5
    middle = sym.site((i.index + 1) % 5).value
    return (
        sym.DOperator(sym.spin(0.5, 5), "three spins")
        .for_each_site("i")
        .emit(sym.flip("i").flip(last), amplitude=h * (1 + 0.3 * middle))
        .emit(amplitude=i * middle)
        .build()
    )


def _one_way(h: Any) -> Any:
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.fock(3, 4), "one way")
        .for_each_site("i")
        .emit_if(i < 3, sym.shift("i", 1), amplitude=h * (1 + i))
        .for_each(("i", "j"), over=_ring(4))
        .emit(sym.swap("i", "j"), amplitude=0.4 + 0.2 * i)
        .emit(amplitude=0.3 * i * j)
        .build()
    )


def _complex(h: Any) -> Any:
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, 5), "complex", dtype="complex128")
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=h * (0.5 - 0.4j * i))
        .for_each(("i", "j"), over=_ring(5))
        .emit(sym.write("i", j).write("j", i), amplitude=0.3 + 0.1j)
        .emit(amplitude=i * j)
        .build()
    )


def _diagonal(h: Any) -> Any:
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, 5), "diagonal")
        .for_each(("i", "j"), over=_ring(5))
        .emit(amplitude=h * i * j)
        .build()
    )


def _symbolic(name: str) -> Any:
    h = sym.symbol("h", H)
    match name:
        case "ising":
            return models.transverse_field_ising(6, _ring(6), h=h)
        case "heisenberg":
            hilbert = sym.spin(0.5, 6, total_sz=0)
            return h * models.heisenberg(hilbert, _ring(6))
        case "bosons":
            return h * models.bose_hubbard(sym.fock(3, 4), _ring(4), J=0.8, U=1.3)
        case "three spins":
            return _three_spins(h)
        case "one way":
            return _one_way(h)
        case "complex":
            return _complex(h)
        case _:
            return _diagonal(h)


@cache
def connected(name: str) -> Connected:
    """Return an operator of `SPACES`, with all that it leads to."""
    operator = _symbolic(name).compile()
    x = operator.hilbert.all_states().astype(np.int8)
    xp, _ = operator.get_conn_padded(x)

    def elements(h: Any) -> Any:
        return operator.replace(h=h).get_conn_padded(x)[1]

    found, slopes = jax.jvp(elements, (H,), (1.0,))
    return Connected(operator, x, *map(np.asarray, (xp, found, slopes)))


# endregion
# region Two energies


@dataclass(frozen=True)
class Directions:
    """What derivatives are taken in, and pulled back from."""

    floats: list[Array]
    weights: Array


class Energies:
    """Energies by a function of (leaves that are floats, h, x, ...), and derivatives.

    All are of one executable, which takes most of the time. `function` returns energies
    and something beside them; `of` names the directions.
    """

    def __init__(self, function: Callable[..., Any], of: tuple[str, ...]):
        self.function, self.of = function, of

    def _derived(self, ways: tuple[str, ...]) -> Callable[..., Any]:
        def run(floats: Any, h: Any, directions: Any, weights: Any, *rest: Any) -> Any:
            def energies(floats: Any, h: Any) -> Any:
                return self.function(floats, h, *rest)

            found: dict[str, Any] = {}
            if "value" in ways:
                found["value"] = energies(floats, h)
            if "forward" in ways:
                found["value"], found["forward"] = jax.jvp(
                    energies, (floats, h), directions
                )
            if "reverse" in ways:

                def real(floats: Any, h: Any) -> Any:
                    return (weights * energies(floats, h)[0]).sum().real

                found["reverse"] = jax.grad(real, (0, 1))(floats, h)
            return found

        return run

    def why_not(self, way: str, arguments: Any) -> Exception | None:
        """Return why there is no such derivative, if there is none."""
        try:
            # Not only traced: JAX may say so as late as it lowers
            jax.jit(self._derived((way,))).lower(*arguments)
        except Exception as error:
            return error
        return None

    def compiled(self, arguments: Any) -> Callable[..., Any]:
        """Return the executable."""
        lowered = jax.jit(self._derived(self.of)).lower(*arguments)
        return lowered.compile(compiler_options=FAST)


def _is_float(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.inexact))  # a key is none


def _double(array: Any) -> Any:
    wide = {"float32": np.float64, "complex64": np.complex128}
    name = array.dtype.name
    return array.astype(wide[name]) if name in wide else array


class Case:
    """A network, its leaves, and both of its energies."""

    def __init__(self, network: Network):
        self.network = network
        self.space = connected(network.operator)
        self.leaves = [leaf.values() for leaf in network.leaves]
        self.moving = [_is_float(leaf) for leaf in self.leaves]
        self.logpsi = network.build()
        rng = np.random.default_rng(network.seed)
        floats = [a for a, m in zip(self.leaves, self.moving, strict=True) if m]
        self.floats = floats
        self.directions = [_direction(rng, one) for one in floats]
        self.weights = rng.normal(size=SAMPLES)
        if _is_complex(self.space.elements):
            self.weights = self.weights + 0.7j * rng.normal(size=SAMPLES)
        self.batches = rng.integers(len(self.space.x), size=(DRAWS, SAMPLES))

    def parameters(self, floats: Any, *, double: bool = False) -> Any:
        """Return `w` with such floats."""
        given = iter(floats)
        return self.network.parameters(
            [
                next(given) if moves else jnp.asarray(_double(leaf) if double else leaf)
                for leaf, moves in zip(self.leaves, self.moving, strict=True)
            ]
        )

    def theirs(
        self,
        floats: Any,
        h: Any,
        x: Any,
        xp: Any,
        elements: Any,
        slopes: Any,
        *,
        double: bool = True,
    ) -> Any:
        """Return energies, and (terms, log psi of x and x') of (B, K) and (B, 1 + K).

        What has no matrix element is no branch, and neither is what leads to a node.
        """
        w = self.parameters(floats, double=double)
        batch, lanes, sites = xp.shape
        every = jnp.concatenate([x[:, None], xp], axis=1).reshape(-1, sites)
        values = self.logpsi(w, every).reshape(batch, 1 + lanes)
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            values = values.astype(np.float64)
        before, after = values[:, :1], values[:, 1:]
        elements = elements + slopes * (h - H)
        is_branch = (elements != 0) | (slopes != 0)
        stays = (xp == x[:, None]).all(-1)
        # Of a lane that stays the ratio is 1, at a node as well
        counts = is_branch & ~stays & ~jnp.isneginf(after.real)
        ratios = jnp.exp(jnp.where(counts, after - before, 0))
        terms = jnp.where(counts | (is_branch & stays), elements * ratios, 0)
        return terms.sum(1), (terms, values)

    def ours(self, floats: Any, h: Any, x: Any) -> Any:
        w, chunk = self.parameters(floats), self.network.chunk
        operator, budget = self.space.operator.replace(h=h), self.network.budget
        if self.network.is_captured:
            captured = partial(self._ignoring, w)
            energy = sym.LocalEnergy(operator, captured, budget=budget)
            return energy((), x, chunk=chunk), ()
        energy = sym.LocalEnergy(operator, self.logpsi, budget=budget)
        return energy(w, x, chunk=chunk), ()

    def _ignoring(self, w: Any, _: Any, x: Any) -> Any:
        """Return log psi of parameters that it holds on to."""
        return self.logpsi(w, x)

    def x(self, rows: Array) -> Array:
        return self.space.x[rows].astype(self.network.x_dtype)

    def given_to_ours(self, rows: Array, *, by_w: bool = True) -> Any:
        return (*self._moved(self.floats, self.directions, by_w), self.x(rows))

    def given_to_theirs(
        self, rows: Array, *, by_w: bool = True, double: bool = True
    ) -> Any:
        of = _double if double else np.asarray
        floats = [of(one) for one in self.floats]
        directions = [of(one) for one in self.directions]
        space = self.space
        return (
            *self._moved(floats, directions, by_w),
            of(self.x(rows)),
            of(space.xp[rows].astype(self.network.x_dtype)),
            space.elements[rows],
            space.slopes[rows],
        )

    def _moved(self, floats: Any, directions: Any, by_w: bool) -> Any:
        moved = [one if by_w else np.zeros_like(one) for one in directions]
        tangents = (moved, np.float64(not by_w))
        return floats, np.float64(H), tangents, self.weights


def _is_complex(array: Array) -> bool:
    return bool(np.issubdtype(array.dtype, np.complexfloating))


def _direction(rng: np.random.Generator, like: Array) -> Array:
    found = rng.normal(size=like.shape)
    if _is_complex(like):
        found = found + 1j * rng.normal(size=like.shape)
    return np.asarray(found).astype(like.dtype)


# endregion
# region Comparisons


@dataclass(frozen=True)
class Expected:
    """What the oracle says of a batch, and by how much one may be off."""

    found: dict[str, Any]
    unit: float
    terms: Array
    comparable: Array

    @classmethod
    def of(cls, found: dict[str, Any], is_single: bool) -> Expected:
        energies, (terms, values) = found["value"]
        digits = np.finfo(np.float32 if is_single else np.float64).eps
        finite = np.abs(values[np.isfinite(values)])
        size = 10 + finite.max(initial=0)
        terms = np.abs(terms).sum(1)
        with np.errstate(invalid="ignore"):
            comparable = np.isfinite(energies) & (terms < LARGEST[is_single])
        return cls(found, float(SLACK[is_single] * digits * size), terms, comparable)


def _differ(found: Any, expected: Any, within: Any) -> bool:
    """Whether numbers differ where the oracle has one."""
    found, expected = np.asarray(found), np.asarray(expected)
    known = np.isfinite(expected)
    with np.errstate(all="ignore"):
        return bool((known & ~(np.abs(found - expected) <= within)).any())


def _shown(found: Any, expected: Any) -> str:
    return f"\nfound    {np.asarray(found)}\nexpected {np.asarray(expected)}"


@jax.enable_x64(True)
# Of as few sites a layer is as fast as what it is lifted to, but it has to be right
@patch.dict(lift_sparse_delta.SITES, {32: 0, 64: 0})
def check_network(network: Network) -> Counter[str]:
    """Compare a network's energies and their derivatives, in 64-bit mode.

    Returns:
        What there was in it, how its parts were found, and what could not be compared.

    Raises:
        Mismatch: where a number differs, or where one of both raises and not the other.
    """
    case, counts = Case(network), Counter[str](network.features)
    rows = case.batches[0]
    theirs, refused = _compiled_oracle(case, case.given_to_theirs(rows))
    ours = Energies(case.ours, tuple(way for way in WAYS if way not in refused))
    for way in refused:
        counts[f"no {way} derivative"] += 1
        if not case.space.leads_elsewhere:
            continue  # nothing is asked of log psi, nor derived
        if ours.why_not(way, case.given_to_ours(rows)) is None:
            raise Mismatch(f"no error of the {way} derivative: JAX has {refused[way]}")
    try:
        compiled = ours.compiled(case.given_to_ours(rows))
    except Exception as error:
        raise Mismatch(f"raises {type(error).__name__}: {error}") from error

    nodes, rows = _rows(case, theirs)
    for batch in (nodes, rows):
        if batch is not None:
            counts["at nodes"] += batch is nodes
            _compare_values(case, theirs, compiled, batch, counts)
    if rows is not None:
        _compare_derivatives(case, theirs, compiled, rows, counts)
        _compare_eager(case, theirs, rows)
    if not network.is_captured:
        counts.update(_rungs(case))
    return counts


def _compiled_oracle(
    case: Case, arguments: Any
) -> tuple[Callable[..., Any], dict[str, Exception]]:
    """Return the oracle, and what JAX has no derivatives of, and why."""
    try:
        return Energies(case.theirs, WAYS).compiled(arguments), {}
    except Exception:
        whole = Energies(case.theirs, WAYS)
        reasons = {way: whole.why_not(way, arguments) for way in WAYS}
        refused = {way: why for way, why in reasons.items() if why is not None}
        if not refused or "value" in refused:
            raise  # a fault of the generator
    ways = tuple(way for way in WAYS if way not in refused)
    return Energies(case.theirs, ways).compiled(arguments), refused


def _rows(case: Case, theirs: Any) -> tuple[Array | None, Array | None]:
    """Return a batch with nodes, if there is one, and one without, if there is one."""
    nodes, others = None, []
    for rows in case.batches:
        _, (_, values) = theirs(*case.given_to_theirs(rows))["value"]
        is_node = np.isneginf(np.real(values[:, 0]))
        if is_node.any():
            nodes = rows
        others += rows[~is_node].tolist()
        if len(others) >= SAMPLES:
            return nodes, np.array(others[:SAMPLES])
    if not others:
        return nodes, None
    return nodes, np.resize(np.array(others), SAMPLES)


def _compare_values(
    case: Case, theirs: Any, ours: Any, rows: Array, counts: Counter[str]
) -> None:
    found = np.asarray(ours(*case.given_to_ours(rows))["value"][0])
    answer = jax.tree.map(np.asarray, theirs(*case.given_to_theirs(rows)))
    expected = Expected.of(answer, case.network.is_single)
    values = expected.found["value"][0]
    counts["energies too large"] += not expected.comparable.all()
    within = np.where(expected.comparable, expected.unit * expected.terms, np.inf)
    # An energy at a node is infinite, or that of what leads to nodes alone
    special = ~np.isfinite(values) & np.isneginf(
        np.real(expected.found["value"][1][1][:, 0])
    )
    if (np.isfinite(found) & special).any():
        raise Mismatch(f"energies at a node are finite{_shown(found, values)}")
    if _differ(found, values, np.where(special, np.inf, within)):
        x = case.x(rows).tolist()
        raise Mismatch(f"energies differ{_shown(found, values)}\nat x = {x}")


def _compare_derivatives(
    case: Case, theirs: Any, ours: Any, rows: Array, counts: Counter[str]
) -> None:
    steepest = 1.0
    for name, by_w in (("forward, network", True), ("forward, operator", False)):
        answer = theirs(*case.given_to_theirs(rows, by_w=by_w))
        answer = jax.tree.map(np.asarray, answer)
        expected = Expected.of(answer, case.network.is_single)
        if "forward" not in answer:
            break
        change, (_, slopes) = answer["forward"]
        if by_w and np.isfinite(slopes).any():
            steepest += np.abs(slopes[np.isfinite(slopes)]).max()
        within = expected.unit * (expected.terms * steepest + np.abs(change))
        within = np.where(expected.comparable, within, np.inf)
        found = ours(*case.given_to_ours(rows, by_w=by_w))["forward"][0]
        counts[name] += 1
        counts["derivatives not finite"] += not np.isfinite(change).all()
        if _differ(found, change, within) and not np.isfinite(found).all():
            single = _in_single(case, "forward", rows, by_w=by_w)[0]
            counts["no number in single precision"] += 1
            change = _where_known(found, change, single)
        if _differ(found, change, within):
            raise Mismatch(f"{HOW[name]} differs{_shown(found, change)}")
    answer = jax.tree.map(np.asarray, theirs(*case.given_to_theirs(rows)))
    expected = Expected.of(answer, case.network.is_single)
    if "reverse" not in answer or not expected.comparable.all():
        return
    counts["reverse"] += 1
    found = ours(*case.given_to_ours(rows))["reverse"]
    gradients = jax.tree.leaves(answer["reverse"])
    sizes = [np.abs(one[np.isfinite(one)]).max(initial=0) for one in gradients]
    size = max(sizes) + (np.abs(case.weights) * expected.terms).sum() * steepest
    if not all(np.isfinite(one).all() for one in jax.tree.leaves(found)):
        single = jax.tree.leaves(_in_single(case, "reverse", rows))
        both = zip(jax.tree.leaves(found), gradients, single, strict=True)
        gradients = [_where_known(*one) for one in both]
    names = [leaf.name for leaf in case.network.leaves if _is_float(leaf.values())]
    pairs = zip((*names, "h"), jax.tree.leaves(found), gradients, strict=True)
    for name, one, other in pairs:
        if _differ(one, other, expected.unit * size):
            raise Mismatch(f"{HOW['reverse']} by {name} differs{_shown(one, other)}")


def _in_single(case: Case, way: str, rows: Array, *, by_w: bool = True) -> Any:
    """Return what JAX makes of the sum over x' in the network's own precision."""
    single = Energies(partial(case.theirs, double=False), (way,))
    arguments = case.given_to_theirs(rows, by_w=by_w, double=False)
    return single.compiled(arguments)(*arguments)[way]


def _where_known(found: Any, expected: Any, single: Any) -> Array:
    """Return what is expected, NaN where JAX has no number either.

    Of the largest of several numbers XLA may round one in two ways, and finds none of
    them equal to it: the derivative of `max` divides by how many there are.
    """
    neither = ~np.isfinite(found) & ~np.isfinite(single)
    return np.where(neither, np.nan, expected)


def _compare_eager(case: Case, theirs: Any, rows: Array) -> None:
    if not case.network.is_eager:
        return
    floats = [jnp.asarray(one) for one in case.floats]
    found = case.ours(floats, np.float64(H), case.x(rows))[0]
    answer = jax.tree.map(np.asarray, theirs(*case.given_to_theirs(rows)))
    expected = Expected.of(answer, case.network.is_single)
    values = expected.found["value"][0]
    within = np.where(expected.comparable, expected.unit * expected.terms, np.inf)
    if _differ(found, values, within):
        raise Mismatch(f"energies outside of jit differ{_shown(found, values)}")


def _rungs(case: Case) -> Iterator[str]:
    energy = sym.LocalEnergy(
        case.space.operator, case.logpsi, budget=case.network.budget
    )
    w = case.parameters([jnp.asarray(one) for one in case.floats])
    program = energy.program(w, np.dtype(case.network.x_dtype))
    return (f"rung: {rung}" for rung in program.rungs)


# endregion


def main(arguments: list[str] | None = None) -> int:
    """Check as many networks as asked for; return the number of those that failed."""
    return many.main(
        "tests.fuzz.energies", __doc__, draw_network, check_network, arguments
    )


if __name__ == "__main__":
    sys.exit(bool(main()))
