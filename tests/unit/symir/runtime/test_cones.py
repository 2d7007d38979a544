"""Local energies of deep networks, in the cones of changes: those of the network."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import symir as sym
from lowering.energy import propagate_change
from symir import models
from tests.unit.symir.runtime.energies import energies_of

SITES = 24
RING = [(site, (site + 1) % SITES) for site in range(SITES)]
RNG = np.random.default_rng(0)
W = [RNG.normal(size=shape) / 3 for shape in ((3, 1, 6), (3, 6, 6), (3, 6, 4))]


def layer(y: Any, w: Any) -> Any:
    wide = jnp.pad(y, ((0, 0), (1, 1), (0, 0)), mode="wrap")
    kinds = ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(wide, w, (1,), "VALID", dimension_numbers=kinds)


def deep(w: Any, x: Any) -> Any:
    y = x[..., None].astype(w[0].dtype)
    for k in w:
        y = jax.nn.gelu(layer(y, k))
    return y.sum((1, 2))


def with_sum(w: Any, x: Any) -> Any:
    """A deep network next to a linear function, and a phase."""
    return 0.5j * deep(w, x) + x @ jnp.ones(x.shape[-1]) * 0.1


def of_remainders(w: Any, x: Any) -> Any:
    """A function of integers in front of a network."""
    return deep(w, x.astype(int) % 3)


def with_nodes(w: Any, x: Any) -> Any:
    """Log psi with infinities of some positions."""
    y = layer(x[..., None].astype(float), w[0])
    z = jnp.tanh(layer(y, w[1]))
    return jnp.where(z > 0.9, -jnp.inf, z * z).sum((1, 2))


def masked(layers: int, features: int) -> Any:
    """An autoregressive network, and its parameters."""
    sizes = [1, *[features] * (layers - 1), 2]
    masks = [
        np.kron(np.triu(np.ones((SITES, SITES)), number == 0), np.ones(shape))
        for number, shape in enumerate(pairwise(sizes))
    ]

    def network(w: Any, x: Any) -> Any:
        y = x.astype(w[0].dtype)
        for number, (own, mask) in enumerate(zip(w, masks, strict=True)):
            y = (jnp.tanh(y) if number else y) @ (mask.astype(w[0].dtype) * own)
        said = jax.nn.log_softmax(y.reshape(len(x), SITES, 2)) / 2
        own = jnp.take_along_axis(said, (x[..., None] == 1).astype(int), -1)
        return own.sum((1, 2))

    rng = np.random.default_rng(2)
    return network, [rng.normal(size=mask.shape) / 5 for mask in masks]


def with_poles(w: Any, x: Any) -> Any:
    """Signs of sums of infinities of some positions, of x or of x'."""
    y = jnp.log(jnp.abs(layer(x[..., None].astype(float), jnp.ones((3, 1, 2))) - 3))
    z = layer(y, jnp.abs(w[1][:, :2]))
    return jnp.where(z > 0, 0.3, -0.1).sum((1, 2))


def flips() -> sym.SymbolicOperator:
    return models.transverse_field_ising(SITES, RING, h=0.7)


def swaps() -> sym.SymbolicOperator:
    return models.heisenberg(SITES, RING)


def bosons() -> sym.SymbolicOperator:
    return models.bose_hubbard(sym.fock(2, SITES), RING, U=2.0)


OPERATORS = {"flips": flips, "swaps": swaps, "bosons": bosons}


def samples(name: str, count: int = 6) -> Any:
    local = [0, 1, 2] if name == "bosons" else [-1, 1]
    return np.random.default_rng(1).choice(local, (count, SITES)).astype(np.int8)


def rungs(energy: sym.LocalEnergy, w: Any, x: Any) -> list[str]:
    return [part.rung for part in energy.report(w, x, measure=False).parts]


@pytest.mark.parametrize(
    "network", [deep, with_sum, of_remainders], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("name", OPERATORS)
def test_energies_are_those_of_the_network(name: str, network: Any) -> None:
    op, x = OPERATORS[name](), samples(name)
    energy = sym.LocalEnergy(op, network)
    assert rungs(energy, W, x)[0] == "cone"
    expected = energies_of(op, network, W, x)
    np.testing.assert_allclose(energy(W, x), expected, rtol=1e-10)


def test_derivatives_ensembles_and_single_precision() -> None:
    op, x = flips(), samples("flips")
    energy = sym.LocalEnergy(op, deep)

    def plain(w: Any) -> Any:
        return energies_of(op, deep, w, x)

    own = jax.grad(lambda w: energy(w, x).sum())(W)
    expected = jax.grad(lambda w: plain(w).sum())(W)
    for one, other in zip(own, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)
    many = [np.stack([w, 1.1 * w]) for w in W]
    found = jax.jit(jax.vmap(lambda w: energy(w, x)))(many)
    np.testing.assert_allclose(found[1], plain([1.1 * w for w in W]), rtol=1e-10)
    single = [w.astype(np.float32) for w in W]
    assert rungs(energy, single, x) == ["cone"]
    np.testing.assert_allclose(energy(single, x), plain(W), rtol=2e-4)


def test_nodes_are_those_of_the_network() -> None:
    op, x = flips(), samples("flips", 40)
    is_node = ~np.isfinite(np.asarray(with_nodes(W, x)))
    assert 4 < is_node.sum() < 36
    energy = sym.LocalEnergy(op, with_nodes)
    assert rungs(energy, W, x) == ["cone"]
    np.testing.assert_allclose(energy(W, x), energies_of(op, with_nodes, W, x), 1e-10)


def test_reports_say_what_was_found_and_why_not() -> None:
    x = samples("flips")
    told = str(sym.LocalEnergy(flips(), deep).report(W, x, measure=False))
    assert "@logpsi is found in the cone of a change" in told

    def attention(w: Any, x: Any) -> Any:
        y = jax.nn.gelu(layer(x[..., None].astype(float), w[0]))
        return (y @ jnp.swapaxes(y, 1, 2)).sum((1, 2))

    told = str(sym.LocalEnergy(flips(), attention).report(W, x, measure=False))
    assert "@logpsi is not found in cones: a product of two values" in told


def rounded(w: Any, x: Any) -> Any:
    y = jax.nn.gelu(layer(x[..., None].astype(jnp.bfloat16), w[0].astype(jnp.bfloat16)))
    return jax.nn.gelu(layer(y.astype(float), w[1])).sum((1, 2))


@pytest.mark.parametrize(
    ("network", "kind", "reason"),
    [
        (rounded, np.int8, "of fewer than 32 bits the rounding is the model"),
        (deep, np.uint8, "changes of x are no numbers of uint8"),
    ],
)
def test_rounding_and_numbers_without_sign_are_left_to_the_network(
    network: Any, kind: Any, reason: str
) -> None:
    op, x = bosons(), samples("bosons").astype(kind)
    energy = sym.LocalEnergy(op, network)
    told = str(energy.report(W, x, measure=False))
    assert f"@logpsi is not found in cones: {reason}" in told
    assert rungs(energy, W, x) == ["network"]
    np.testing.assert_allclose(energy(W, x), energies_of(op, network, W, x), 1e-8)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_depends_on_sites_before(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: Any
) -> None:
    monkeypatch.setattr(propagate_change, "MASKED_GAIN", 0)
    network, leaves = masked(3, 4)
    w, x = [one.astype(dtype) for one in leaves], samples(name, 9)
    op = OPERATORS[name]()
    energy = sym.LocalEnergy(op, network)
    assert rungs(energy, w, x) == ["cone"]
    told = str(energy.report(w, x, measure=False))
    assert "4 groups of rows, by what they reach" in told
    expected = energies_of(op, network, w, x)
    tolerance = 1e-12 if dtype == np.float64 else 2e-4
    np.testing.assert_allclose(energy(w, x), expected, tolerance, 10 * tolerance)


def test_few_channels_are_not_read_for_each_site() -> None:
    network, w = masked(2, 2)
    energy = sym.LocalEnergy(flips(), network)
    assert rungs(energy, w, samples("flips")) == ["network"]
    network, w = masked(3, 32)
    energy = sym.LocalEnergy(flips(), network)
    assert rungs(energy, w, samples("flips")) == ["cone"]


def test_what_is_not_known_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagate_change, "GAIN", 0)
    x = np.ones((3, SITES), np.int8)
    x[1, ::2] = x[2, 3:9] = -1
    energy = sym.LocalEnergy(flips(), with_poles)
    assert rungs(energy, W, x) == ["cone"]
    expected = energies_of(flips(), with_poles, W, x)
    np.testing.assert_allclose(energy(W, x), expected, 1e-12)
