"""Local energies of determinants that are written by hand: those of the network."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from symir import models
from tests.unit.symir.runtime.energies import energies_of

SITES, FERMIONS = 6, 3
LATTICE = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]
RING = [(site, (site + 1) % 12) for site in range(12)]
RNG = np.random.default_rng(0)


def parameters(sites: int = SITES, count: int = FERMIONS) -> dict[str, Any]:
    """Return orbitals of both spins, of both at once, pairs of sites, and others."""
    return {
        "spins": RNG.normal(size=(2, sites, count)),
        "both": RNG.normal(size=(2 * sites, 2 * count)),
        "pairs": RNG.normal(size=(2 * sites, 2 * sites)) / 4,
        "more": RNG.normal(size=(2, sites, count)) / 3,
    }


def nonzero(n: Any, count: int) -> Any:
    return jax.vmap(lambda one: jnp.nonzero(one, size=count)[0])(n)


def logarithm(sign: Any, size: Any) -> Any:
    return size + jnp.log(jax.lax.complex(sign, jnp.zeros_like(sign)))


def slater(w: Any, n: Any) -> Any:
    """One determinant for each spin."""
    count, found = w["spins"].shape[-1], 0.0
    for orbitals, one in zip(w["spins"], jnp.split(n, 2, axis=-1), strict=True):
        found += logarithm(*jnp.linalg.slogdet(orbitals[nonzero(one, count)]))
    return found


def generalised(w: Any, n: Any) -> Any:
    """One determinant of both spins, complex."""
    occupied = nonzero(n, w["both"].shape[-1])
    sign, size = jnp.linalg.slogdet((w["both"] + 1j * w["both"][::-1])[occupied])
    return size + jnp.log(sign)


def slater_jastrow(w: Any, n: Any) -> Any:
    own = n.astype(w["pairs"].dtype)
    return slater(w, n) + jnp.einsum("bi,ij,bj->b", own, w["pairs"], own)


def backflow(w: Any, n: Any) -> Any:
    """Orbitals that depend on whether the other spin is at the site."""
    spins = jnp.split(n, 2, axis=-1)
    count, found = w["spins"].shape[-1], 0.0
    for k, (one, other) in enumerate((spins, spins[::-1])):
        rows = w["spins"][k] + jnp.tanh(other[..., None] * w["more"][k])
        occupied = nonzero(one, count)[..., None]
        matrices = jnp.take_along_axis(rows, occupied, axis=1)
        found += logarithm(*jnp.linalg.slogdet(matrices))
    return found


def hubbard() -> sym.SymbolicOperator:
    return models.fermi_hubbard(SITES, LATTICE, U=4.0)


def samples(count: int = 8, sites: int = SITES, fermions: int = FERMIONS) -> Any:
    x = np.zeros((count, 2, sites), np.int8)
    x[..., :fermions] = 1
    return np.random.default_rng(1).permuted(x, axis=-1).reshape(count, -1)


def rungs(energy: sym.LocalEnergy, w: Any, x: Any) -> list[str]:
    return [part.rung for part in energy.report(w, x, measure=False).parts]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (generalised, ["cone"]),
        (slater_jastrow, ["bilinear", "cone", "cone"]),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_energies_are_those_of_the_network(network: Any, expected: Any) -> None:
    op, w, x = hubbard(), parameters(), samples()
    energy = sym.LocalEnergy(op, network)
    assert sorted(rungs(energy, w, x)) == expected
    plain = energies_of(op, network, w, x)
    np.testing.assert_allclose(energy(w, x), plain, rtol=1e-10)
    np.testing.assert_allclose(energy(w, x.astype(float)), plain, rtol=1e-10)


def test_energies_of_orbitals_that_depend_on_other_fermions() -> None:
    op = models.fermi_hubbard(12, RING, U=4.0)
    w, x = parameters(12, 6), samples(4, 12, 6)
    energy = sym.LocalEnergy(op, backflow)
    assert rungs(energy, w, x) == ["cone"]
    plain = energies_of(op, backflow, w, x)
    np.testing.assert_allclose(energy(w, x), plain, rtol=1e-10)


def test_batches_of_any_size() -> None:
    op, w, x = hubbard(), parameters(), samples(300)
    energy = sym.LocalEnergy(op, slater)
    assert rungs(energy, w, x) == ["cone"]
    np.testing.assert_allclose(energy(w, x), energies_of(op, slater, w, x), rtol=1e-8)
    assert energy(w, x[:0]).shape == (0,)


def test_single_precision() -> None:
    op, x, w = hubbard(), samples(), parameters()
    plain = energies_of(op, slater_jastrow, w, x)
    with jax.enable_x64(False):
        w = {name: one.astype(np.float32) for name, one in w.items()}
        with pytest.warns(sym.PrecisionWarning):
            compiled = op.compile()
        energy = sym.LocalEnergy(compiled, slater_jastrow)
        assert sorted(rungs(energy, w, x)) == ["bilinear", "cone", "cone"]
        found = energy(w, x)
    assert found.dtype == np.complex64
    np.testing.assert_allclose(found, plain, rtol=2e-4)


def test_samples_of_which_no_ratio_is_known() -> None:
    """psi(x) = 0, and samples of more and of fewer fermions."""
    op, w, x = hubbard(), parameters(), samples(6)
    w["spins"][0, 1] = w["spins"][0, 0]
    x[0] = [1, 1, 1, 0, 0, 0, *x[0, 6:]]
    x[1, np.flatnonzero(x[1] == 0)[:2]] = 1
    x[2, np.flatnonzero(x[2])[-1]] = 0
    energy = sym.LocalEnergy(op, slater)
    assert rungs(energy, w, x) == ["cone"]
    with np.errstate(all="ignore"):
        plain = np.asarray(energies_of(op, slater, w, x))
    found = np.asarray(energy(w, x))
    np.testing.assert_allclose(found, plain, rtol=1e-8)


def test_derivatives_are_those_of_the_network() -> None:
    op, w, x = hubbard(), parameters(), samples(3)
    energy = sym.LocalEnergy(op, slater)
    own = jax.grad(lambda w: energy(w, x).real.sum())(w)
    expected = jax.grad(lambda w: energies_of(op, slater, w, x).real.sum())(w)
    for name, one in own.items():
        np.testing.assert_allclose(one, expected[name], rtol=1e-8, atol=1e-8)


def test_reports_say_why_it_is_no_determinant() -> None:
    def squared(w: Any, n: Any) -> Any:
        occupied = nonzero(n, w["both"].shape[-1])
        return jnp.linalg.slogdet(w["both"][occupied] ** 2)[1]

    energy = sym.LocalEnergy(hubbard(), squared)
    told = str(energy.report(parameters(), samples(), measure=False))
    reason = "'stablehlo.multiply' of rows that are exchanged"
    assert f"@logpsi is not found in cones: {reason}" in told
