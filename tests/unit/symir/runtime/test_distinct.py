"""Energies that evaluate equal states once: the same numbers, by fewer evaluations."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.bt import run_function
from symir import models
from symir.compiler.failures import STRICT
from symir.runtime.local_energy import repeats
from tests.unit.symir.runtime.energies import energies_of

RING = [(site, (site + 1) % 6) for site in range(6)]

OPERATORS: dict[str, Callable[[], Any]] = {
    "flips": lambda: models.transverse_field_ising(6, RING, h=0.7),
    "swaps": lambda: models.heisenberg(6, RING),
    "hops": lambda: models.bose_hubbard(sym.fock(2, 6), RING, U=1.5),
    # Several words of a key, in the last one of which there is one site
    "many sites": lambda: models.transverse_field_ising(65, [(0, 64), (31, 32)], h=0.7),
}


def network(w: Any, x: Any) -> Any:
    return jnp.tanh(jnp.tanh(x @ w["W"]) @ w["U"]).sum(axis=-1)


@cache
def setting(name: str = "swaps") -> tuple[Any, Any, Any]:
    """Return an operator, parameters, and samples of which many are the same."""
    op = OPERATORS[name]()
    rng = np.random.default_rng(0)
    w = {"W": rng.normal(size=(op.space.size, 4)), "U": rng.normal(size=(4, 3))}
    x = op.space.random_states(9, seed=0)[rng.integers(9, size=40)]
    return op, w, x.astype(np.int8)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, np.int8) for name in OPERATORS), ("hops", np.float64)],
)
def test_values(name: str, dtype: Any) -> None:
    op, w, x = setting(name)
    energy = sym.LocalEnergy(op, network, distinct=True, budget=2**10)
    report = energy.report(w, x.astype(dtype), measure=False)
    assert report.schedule == "distinct"
    assert report.plan["samples"] < len(x)  # in several chunks
    expected = energies_of(op, network, w, x)
    np.testing.assert_allclose(energy(w, x.astype(dtype)), expected, rtol=1e-12)


def test_memory_is_that_of_more_samples() -> None:
    op, w, x = setting("swaps")
    plain, distinct = (
        sym.LocalEnergy(op, network, distinct=one).report(w, x) for one in (False, True)
    )
    assert distinct.plan["samples"] >= plain.plan["samples"]
    assert distinct.predicted_bytes > plain.predicted_bytes
    assert distinct.measured_bytes is not None
    assert distinct.measured_bytes < distinct.predicted_bytes + 1_000_000


@pytest.mark.parametrize("name", ["swaps", "hops"])
def test_each_distinct_state_is_evaluated_once(name: str) -> None:
    op, w, x = setting(name)
    energy = sym.LocalEnergy(op, network, distinct=True)
    handle = sym.lower(energy, w, x, batch=len(x))
    seen: list[bytes] = []

    def counted(*given: Any) -> Any:
        *leaves, one = given
        seen.append(one.tobytes())
        return np.tanh(np.tanh(one @ leaves[1]) @ leaves[0]).sum()

    module = handle.at("lower-local-energy").module
    leaves = [w["U"], w["W"]]
    (found,) = run_function(module, [x, *leaves], oracles={"network": counted})
    np.testing.assert_allclose(found, energies_of(op, network, w, x), rtol=1e-12)
    connected, _ = op.compile().get_conn_padded(x)
    states = np.concatenate([x, np.asarray(connected).reshape(-1, 6)])
    assert sorted(seen) == sorted({one.tobytes() for one in states})


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "vmap of x": lambda e: (
        lambda w, x: jax.vmap(lambda x: e(w, x))(x.reshape(4, 10, -1))
    ),
    "vmap of parameters": lambda e: (
        lambda w, x: jax.vmap(lambda c: e(scaled(w, c), x))(jnp.asarray([1.0, 0.5]))
    ),
    "grad": lambda e: jax.grad(lambda w, x: (e(w, x) ** 2).sum()),
    "scan": lambda e: (
        lambda w, x: jax.lax.scan(
            lambda total, x: (total + e(w, x).sum(), None), 0.0, x.reshape(4, 10, -1)
        )[0]
    ),
    "shard_map": lambda e: (
        lambda w, x: jax.shard_map(
            e,
            mesh=jax.make_mesh((1,), ("S",), axis_types=(jax.sharding.AxisType.Auto,)),
            in_specs=(jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("S")),
            out_specs=jax.sharding.PartitionSpec("S"),
        )(w, x)
    ),
}


def scaled(w: Any, by: Any) -> Any:
    return {"W": w["W"] * by, "U": w["U"]}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformations(name: str) -> None:
    op, w, x = setting()
    found, expected = (
        jax.jit(TRANSFORMS[name](sym.LocalEnergy(op, network, distinct=distinct)))(w, x)
        for distinct in (True, False)
    )
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.fixture
def is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let finding equal states take no time, as it does beside a large network."""
    monkeypatch.setattr(repeats, "FINDING", 0)


@pytest.mark.usefixtures("is_worth_it")
def test_samples_decide() -> None:
    op, w, x = setting("many sites")
    energy = sym.LocalEnergy(op, network)
    other = op.space.random_states(20, seed=1, dtype=np.int8)
    np.testing.assert_allclose(energy(w, x), energies_of(op, network, w, x), rtol=1e-12)
    # Nine samples and 65 x' of each
    repeated = energy.report(w, x, measure=False)
    assert "states of 40 samples are distinct: each is evaluated once" in str(repeated)
    assert repeated.repeats is not None
    assert (repeated.repeats.states, repeated.repeats.distinct) == (40 * 66, 9 * 66)
    assert energy.report(w, other, measure=False).schedule == "packed"
    # What samples of a number decide is for all of them: nothing is compiled again
    assert (
        energy.report(w, np.tile(other, (2, 1)), measure=False).schedule == "distinct"
    )
    off = sym.LocalEnergy(op, network, distinct=False).report(w, x, measure=False)
    assert off.schedule == "packed"
    assert "LocalEnergy(.., distinct=True) would" in str(off)


@pytest.mark.usefixtures("is_worth_it")
def test_a_small_space_has_few_states() -> None:
    """Though those of the samples that are looked at are all distinct."""
    op, w, _ = setting()
    x = op.space.all_states(np.int8)
    report = sym.LocalEnergy(op, network).report(w, x[:60], measure=False)
    assert report.schedule == "distinct"


@pytest.mark.usefixtures("is_worth_it")
def test_states_that_cannot_be_counted_are_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*arguments: Any) -> Any:
        raise KeyError("not today")

    op, w, x = setting()
    energy = sym.LocalEnergy(op, lambda w, x: network(w, x))
    monkeypatch.setattr(repeats, "run_lanes", broken)
    with pytest.raises(KeyError, match="not today"):
        energy(w, x)
    monkeypatch.delenv(STRICT)
    np.testing.assert_allclose(energy(w, x), energies_of(op, network, w, x), rtol=1e-12)
    report = energy.report(w, x, measure=False)
    assert (report.schedule, report.repeats) == ("packed", None)
    assert report.misses == ("equal states are not counted: KeyError: 'not today'",)


def test_what_needs_no_states_stays_as_it_is() -> None:
    op, w, x = setting()

    def rbm(w: Any, x: Any) -> Any:
        return jnp.logaddexp(x @ w["W"], -(x @ w["W"])).sum(axis=-1)

    report = sym.LocalEnergy(op, rbm, distinct=True).report(w, x, measure=False)
    assert [part.rung for part in report.parts] == ["exponential"]
    (notes,) = (one for one in report.passes if one.name == "plan-distinct-states")
    missed = "equal states are not looked for: no part is evaluated at x'"
    assert notes.missed == ((missed, None),)
