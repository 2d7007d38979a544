"""Declared models inside of larger ones: the energies of the plain model."""

# pyright: basic, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from tests.unit.symir.runtime.energies import energies_of
from tests.unit.symir.runtime.test_deltas import (
    GENERALISED,
    RESTRICTED,
    UNRESTRICTED,
    heisenberg,
    hubbard,
    parameters_of,
)

D = "declared"


def check(op: Any, logpsi: Any, parameters: Any, x: Any, rungs: list[str]) -> Any:
    """Compare all energies, and how the parts of log psi are found."""
    energy = sym.LocalEnergy(op, logpsi)
    found = np.asarray(energy(parameters, x))
    assert energy.program(parameters, x.dtype).rungs == rungs
    expected = np.asarray(energies_of(op, logpsi, parameters, x))
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 1e-11
    return energy


# region NetKet's determinants


class SlaterJastrow(nn.Module):
    """A determinant, or some, times a Jastrow factor."""

    determinant: Any

    def setup(self) -> None:
        self.factor = nk.models.Jastrow(param_dtype=float)

    def __call__(self, x: Any) -> Any:
        return self.determinant(x) + self.factor(x)


@pytest.mark.parametrize(
    ("per_spin", "model", "options"),
    [
        ((2, 2), nk.models.Slater2nd, RESTRICTED),
        ((1, 2), nk.models.Slater2nd, UNRESTRICTED | {"param_dtype": complex}),
        ((1, 2), nk.models.Slater2nd, GENERALISED),
        ((2, 2), nk.models.MultiSlater2nd, RESTRICTED | {"n_determinants": 3}),
    ],
)
def test_determinants_times_a_jastrow_factor(
    per_spin: tuple[int, int], model: Any, options: dict[str, Any]
) -> None:
    hilbert, op, x = hubbard(per_spin)
    whole = SlaterJastrow(model(hilbert, **options))
    check(op, whole.apply, parameters_of(whole, x, 30), x, [D, D])


# endregion
# region Sums, multiples, phases


class Linear(nn.Module):
    """psi is a sum over sites, of any phase."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        weights = self.param("w", nn.initializers.normal(), (x.shape[-1],), complex)
        return jnp.log(x @ weights + 0.1)


class Quadratic(nn.Module):
    """log psi is a quadratic form, with a hyperparameter."""

    scale: float = 1.0

    @nn.compact
    def __call__(self, x: Any) -> Any:
        shape = 2 * x.shape[-1:]
        weights = self.param("w", nn.initializers.normal(), shape, float)
        return self.scale * jnp.einsum("...i,ij,...j->...", x, weights, x)


def linear_init(model: Linear, parameters: Any, x: Any) -> Any:
    return x @ parameters["params"]["w"] + 0.1


def linear_delta(
    model: Linear, parameters: Any, psi: Any, sites: Any, old: Any, new: Any
) -> Any:
    # None where it were to move the first fermion
    change = (new - old) @ parameters["params"]["w"][sites]
    return jnp.where((sites == 0).any(), jnp.nan, jnp.log(1 + change / psi))


def quadratic_init(model: Quadratic, parameters: Any, x: Any) -> Any:
    weights = parameters["params"]["w"]
    return (weights + weights.T) @ x


def quadratic_delta(
    model: Quadratic, parameters: Any, fields: Any, sites: Any, old: Any, new: Any
) -> Any:
    change = new - old
    matrix = parameters["params"]["w"][sites[:, None], sites]
    return model.scale * (change @ fields[sites] + change @ matrix @ change)


@pytest.fixture(autouse=True)
def registered() -> Generator[None]:
    sym.register_delta(Linear)(linear_init, linear_delta)
    sym.register_delta(Quadratic)(quadratic_init, quadratic_delta)
    yield


class Model(nn.Module):
    """A function of modules and x."""

    of: Callable[[Any], Any]

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return self.of(x)


def network(x: Any) -> Any:
    """Return what no pass takes apart."""
    return jnp.sin(nn.Dense(3, param_dtype=float)(x)).sum(axis=-1)


def modulus_and_phase(x: Any) -> Any:
    return Linear()(x).real / 3 + 1j * (0.7 * Quadratic()(x) + network(x))


def phase_twice(x: Any) -> Any:
    linear = Linear()(x.astype(float))
    units = nn.Dense(4, param_dtype=float)(x)
    return linear + 1j * linear.imag + jnp.log(jnp.cosh(units)).sum(axis=-1)


def sum_of_several(x: Any) -> Any:
    factor = Quadratic(0.1)
    terms = [2 * Linear()(x), -factor(x) / 2, 0.3j * Quadratic()(x), factor(x)]
    return jnp.stack(terms, axis=-1).sum(axis=-1)


@pytest.mark.parametrize(
    ("of", "rungs"),
    [
        (sum_of_several, [D] * 4),
        (modulus_and_phase, [D, D, "network"]),
        (phase_twice, [D, D, "exponential"]),
    ],
)
def test_sums_and_multiples(of: Any, rungs: list[str]) -> None:
    op, x = heisenberg()
    model = Model(of)
    check(op, model.apply, parameters_of(model, x, 30), x, rungs)


# endregion
# region What they read of x


@pytest.mark.parametrize(
    "of",
    [
        lambda x: Linear()((jnp.roll(x, 2, axis=-1) + 1) / 2),
        lambda x: Quadratic()(x[..., 1:4]) + Quadratic()(x.reshape(-1, 6).clip(0)),
    ],
)
def test_what_is_made_of_x_site_by_site(of: Any) -> None:
    op, x = heisenberg()
    model = Model(of)
    rungs = [D] * len(parameters_of(model, x)["params"])
    check(op, model.apply, parameters_of(model, x, 30), x, rungs)
