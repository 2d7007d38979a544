"""Declared deltas that are nearly right: all of them are refused, and no right one."""

# pyright: basic, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from symir import models
from symir.runtime.local_energy.delta_checks import DRAWS, Draws

SITES = 6
WEIGHTS = np.random.default_rng(0).normal(size=SITES)


@cache
def operator(name: str) -> Any:
    """Return an operator that flips one spin, or changes one or two sites."""
    match name.split("-"):
        case ["flips", sites]:
            edges = [(i, (i + 1) % int(sites)) for i in range(int(sites))]
            return models.transverse_field_ising(int(sites), edges, h=0.8).compile()
        case ["exchanges", sites]:
            edges = [(i, (i + 1) % int(sites)) for i in range(int(sites))]
            return models.heisenberg(sym.spin(0.5, int(sites)), edges).compile()
        case _:
            written = sym.write("i", (sym.site("i").value + 1) % 8)
            built = sym.DOperator(sym.fock(7, SITES), "raises").for_each_site("i")
            built = built.emit(written, amplitude=0.5)
            built = built.for_each_distinct_pair("i", "j")
            return built.emit(sym.swap("i", "j"), amplitude=0.3).build().compile()


@dataclass(frozen=True)
class Case:
    """A model whose log psi is a function of (parameters, x (N,)), and a delta.

    The delta is a function of (parameters, x, sites, old, new).
    """

    of_one: Callable[..., Any]
    delta: Callable[..., Any]
    parameters: Any = field(default_factory=lambda: WEIGHTS)
    operator: str = "flips-6"

    def registered(self) -> Callable[..., Any]:
        of_one = self.of_one

        def logpsi(parameters: Any, x: Any) -> Any:
            return jax.vmap(lambda one: of_one(parameters, one))(x)

        sym.register_delta(logpsi)(lambda parameters, x: x, self.delta)
        return logpsi

    def program(self) -> Any:
        """Return what is compiled for it, after its check."""
        energy = sym.LocalEnergy(operator(self.operator), self.registered())
        return energy.program(self.parameters)


def after(x: Any, sites: Any, old: Any, new: Any) -> Any:
    """Return x', (N,)."""
    return x.at[sites].add((new - old).astype(x.dtype))


def exact(of_one: Callable[..., Any]) -> Callable[..., Any]:
    """Return the delta that evaluates log psi twice."""

    def delta(w: Any, x: Any, sites: Any, old: Any, new: Any) -> Any:
        return of_one(w, after(x, sites, old, new)) - of_one(w, x)

    return delta


def field_of(w: Any, x: Any) -> Any:
    return w @ x


def change_of(w: Any, x: Any, sites: Any, old: Any, new: Any) -> Any:
    return w[sites] @ (new - old)


def chain(s: Any, x: Any) -> Any:
    return s * (x * jnp.roll(x, -1)).sum()


def open_chain(s: Any, x: Any) -> Any:
    return s * (x[:-1] * x[1:]).sum()


def pair_energy(w: Any, x: Any) -> Any:
    return w @ (x * jnp.roll(x, -1)).astype(w.dtype)


def masked(p: Any, x: Any) -> Any:
    return jnp.where(p["mask"], p["w"], 0) @ x


def powers(p: Any, x: Any) -> Any:
    return ((p["w"] * x) ** p["n"]).sum()


def with_phase(s: Any, x: Any) -> Any:
    return s * x.sum() + 1j * jnp.maximum(-s, 0) * chain(1.0, x)


def bent(a: Any, x: Any) -> Any:
    return jnp.maximum(x @ a - 20, 0) + x @ a


def rescaled(w: Any, x: Any) -> Any:
    return jnp.where(jnp.all(w == 0), 0.3, 1.0) * (x @ x * 0.1 + x @ w)


def of_value(w: Any, x: Any) -> Any:
    return w @ (x + 0.1 * (x == 5))


WITH_MASK = {"w": WEIGHTS, "mask": WEIGHTS > 0}
WITH_POWER = {"w": WEIGHTS, "n": np.array([1, 2, 3, 1, 2, 3])}

WRONG = {
    "nothing, for a mask": Case(masked, lambda *arguments: 0.0, WITH_MASK),
    "nothing, for an exponent": Case(powers, lambda *arguments: 0.0, WITH_POWER),
    "one of a mask": Case(
        lambda p, x: jnp.where(p["on"], p["w"], -p["w"]) @ x,
        lambda p, *changes: change_of(p["w"], *changes),
        {"w": WEIGHTS, "on": np.array(True)},
    ),
    "the exponents of odd ones": Case(
        lambda p, x: jnp.where(p["n"] == -2, 2.0, 1.0) * field_of(p["w"], x),
        lambda p, *changes: change_of(p["w"], *changes),
        {"w": WEIGHTS, "n": np.array(1)},
    ),
    "no absolute value": Case(
        lambda s, x: chain(jnp.abs(s), x), exact(chain), 0.7, "flips-6"
    ),
    "no phase of a negative number": Case(
        with_phase, exact(lambda s, x: s * x.sum() + 0j), 0.7
    ),
    "no ring of 400": Case(chain, exact(open_chain), 0.7, "flips-400"),
    "no ring of 2000": Case(chain, exact(open_chain), 0.7, "flips-2000"),
    "no ring of 2000, exchanged": Case(chain, exact(open_chain), 0.7, "exchanges-2000"),
    "no large values": Case(bent, change_of),
    "no large values of a scalar": Case(
        lambda s, x: jnp.maximum(s * x.sum() - 20, 0) + s * x.sum(),
        lambda s, x, sites, old, new: s * (new - old).sum(),
        0.7,
        "raises",
    ),
    "a sublattice": Case(
        pair_energy,
        lambda w, x, sites, old, new: jnp.where(
            sites[0] % 2 == 0, exact(pair_energy)(w, x, sites, old, new), 0.0
        ),
    ),
    "two writes at once": Case(
        pair_energy,
        lambda w, x, sites, old, new: sum(
            exact(pair_energy)(w, x, sites[k : k + 1], old[k : k + 1], new[k : k + 1])
            for k in range(2)
        ),
        operator="raises",
    ),
    "one local value": Case(of_value, change_of, operator="raises"),
    "the last site": Case(
        field_of,
        lambda w, x, sites, *changes: change_of(w.at[-1].set(0), x, sites, *changes),
        operator="exchanges-6",
    ),
    "an imaginary part": Case(
        field_of,
        lambda w, *changes: change_of(w.real + 0j, *changes),
        WEIGHTS + 1j * WEIGHTS[::-1],
    ),
    "one precision": Case(
        field_of,
        lambda w, *changes: change_of(w, *changes) * (1.2 if w.itemsize < 8 else 1),
        WEIGHTS.astype(np.float32),
    ),
    "the sign of negative numbers": Case(
        lambda s, x: jnp.abs(s) * x.sum(),
        lambda s, x, sites, old, new: s * (new - old).sum(),
        0.7,
    ),
    "zero": Case(rescaled, exact(lambda w, x: x @ x * 0.1 + x @ w), operator="raises"),
    "values of the caller": Case(
        lambda w, x: jnp.where(w[0] == 3.25, 2, 1) * (x @ w),
        change_of,
        np.array([3.25, 1, 1, 1, 1, 1]),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_deltas_are_refused(name: str) -> None:
    with pytest.raises(sym.DefinitionError, match="R027"):
        WRONG[name].program()


def rooted(w: Any, x: Any) -> Any:
    return jnp.log(w) @ x


def noded(w: Any, x: Any) -> Any:
    return jnp.where(x[0] == x[1], -jnp.inf, field_of(w, x))


def rounded(zero: float) -> Callable[..., Any]:
    """Return the delta of `noded` that finds another logarithm of zero."""

    def delta(*changes: Any) -> Any:
        found = exact(noded)(*changes)
        return jnp.where(jnp.isneginf(found), zero, found)

    return delta


def summed(w: Any, x: Any) -> Any:
    """A large sum: its difference has few digits."""
    return 1e5 * w.sum() + w @ x


RIGHT = {
    "a mask": Case(masked, exact(masked), WITH_MASK),
    "exponents": Case(powers, exact(powers), WITH_POWER),
    "a ring": Case(chain, exact(chain), 0.7, "flips-400"),
    "positive numbers": Case(
        rooted, lambda w, *changes: change_of(jnp.log(w), *changes), np.abs(WEIGHTS)
    ),
    "unstable for large numbers": Case(
        lambda w, x: jnp.logaddexp(w @ x, -(w @ x)),
        lambda w, x, sites, old, new: jnp.log(
            jnp.cosh(after(x, sites, old, new) @ w) / jnp.cosh(x @ w)
        ),
        WEIGHTS.astype(np.float32),
    ),
    "few digits": Case(summed, change_of, WEIGHTS.astype(np.float32)),
    "nodes": Case(noded, exact(noded)),
    "nodes but for rounding": Case(noded, rounded(-34.5)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_deltas_are_used(name: str) -> None:
    assert RIGHT[name].program().rungs == ["declared"]


def test_finite_ratios_at_nodes_are_refused() -> None:
    with pytest.raises(sym.DefinitionError, match="R027"):
        Case(noded, change_of).program()
    with pytest.raises(sym.DefinitionError, match="R027"):
        Case(noded, rounded(-15.0)).program()


def test_under_jit_nothing_is_known_of_the_caller() -> None:
    """Random parameters see what is wrong for them, and of traced ones no more."""
    case = WRONG["no ring of 400"]
    energy = sym.LocalEnergy(operator(case.operator), case.registered())
    x = energy.operator.hilbert.random_states(1, seed=0)
    with pytest.raises(sym.DefinitionError, match="parameters are random"):
        jax.jit(energy)(case.parameters, x)


def test_the_callers_values_are_told_and_not_kept() -> None:
    case = WRONG["values of the caller"]
    energy = sym.LocalEnergy(operator(case.operator), case.registered())
    for _ in range(2):
        with pytest.raises(sym.DefinitionError, match="your own"):
            energy.program(case.parameters)
    own = jnp.array(WEIGHTS)
    kept = weakref.ref(own)
    right = Case(field_of, change_of, own)
    energy = sym.LocalEnergy(operator("flips-6"), right.registered())
    energy.program(own)
    del own, right
    gc.collect()
    assert kept() is None


def test_keys_of_random_numbers_stay_valid() -> None:
    key = jax.ShapeDtypeStruct((2,), jax.random.key(0).dtype)
    bits = jax.ShapeDtypeStruct((2,), np.uint32)
    for draw in DRAWS:
        keys, raw = Draws([key, bits])(draw)
        assert keys.dtype == key.dtype
        assert keys.shape == (2,)
        assert raw.dtype == np.uint32


def test_integers_and_booleans_take_all_values() -> None:
    types = (np.int8, np.uint8, bool)
    draws = Draws([jax.ShapeDtypeStruct((), dtype) for dtype in types])
    found = [
        {int(leaf) for leaf in leaves}
        for leaves in zip(*map(draws, DRAWS), strict=True)
    ]
    assert found == [set(range(-2, 4)), set(range(4)), {0, 1}]
