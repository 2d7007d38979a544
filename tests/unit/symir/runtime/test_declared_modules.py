"""Declared models inside of larger ones: the energies of the plain model."""

# pyright: basic, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest
from flax import nnx

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
def registered() -> None:
    sym.register_delta(Linear)(linear_init, linear_delta)
    sym.register_delta(Quadratic)(quadratic_init, quadratic_delta)


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


# endregion
# region What is not used


class Scaled(nn.Module):
    """A multiple of what another module returns, by a parameter."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return self.param("s", nn.initializers.ones, (), float) * Quadratic()(x)


def after_a_network(x: Any) -> Any:
    return Linear()(nn.Dense(4, param_dtype=float)(x))


def in_a_loop(x: Any) -> Any:
    quadratic, start = Quadratic(), jnp.zeros(x.shape[:-1])
    quadratic(x)  # its parameters are made outside
    return jax.lax.fori_loop(0, 2, lambda _, total: total + quadratic(x), start)


def over_translations(x: Any) -> Any:
    quadratic = Quadratic()
    quadratic(x)
    moved = jax.vmap(lambda by: quadratic(jnp.roll(x, by, axis=-1)))
    return moved(jnp.arange(3)).sum(axis=0)


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (lambda x: jnp.logaddexp(Linear()(x), Linear()(-x)), "value goes through"),
        (lambda x: Linear()(x) / 2, "factor of its imaginary part"),
        (lambda x: Linear()(x).imag, "factor of its imaginary part"),
        (lambda x: Scaled()(x), "its factor is a parameter"),
        (after_a_network, "not made of x site by site"),
        (
            lambda x: Quadratic()(x * jnp.roll(x, 1, axis=-1)),
            "not made of x site by site",
        ),
        (lambda x: Quadratic()(jnp.stack([x, -x])).sum(axis=0), "it returns no number"),
        (in_a_loop, "it is inside of 'stablehlo.while'"),
        (over_translations, "mapped over more than one configuration"),
    ],
)
def test_what_could_not_be_used(of: Any, reason: str) -> None:
    op, x = heisenberg()
    model = Model(of)
    parameters = parameters_of(model, x, 30)
    energy = sym.LocalEnergy(op, model.apply)
    report = energy.report(parameters, x, measure=False)
    missed = [text for one in report.passes for text, _ in one.missed]
    declared = [text for text in missed if "a delta is declared for" in text]
    assert declared
    assert all(reason in text for text in declared)
    assert D not in [part.rung for part in report.parts]
    np.testing.assert_allclose(
        energy(parameters, x), energies_of(op, model.apply, parameters, x), rtol=1e-11
    )


# endregion
# region Where they are found


def product(x: Any) -> Any:
    return Linear()(x) + Quadratic()(x)


def test_however_the_module_is_called() -> None:
    op, x = heisenberg()
    model = Model(product)
    own = parameters_of(model, x, 30)["params"]

    def doubled(p: Any, x: Any) -> Any:
        each = jax.vmap(lambda one: jax.jit(model.apply)({"params": p}, one))(x)
        return 2 * each

    check(op, doubled, own, x, [D, D])


class Field(nnx.Module):
    """What is linear in x."""

    def __init__(self, scale: float):
        self.w = nnx.Param(np.arange(6.0) / 10)
        self.scale = scale

    def __call__(self, x: Any) -> Any:
        return self.scale * (x @ self.w[...])


class OfFields(nnx.Module):
    def __init__(self) -> None:
        self.fields = nnx.List([Field(1.0), Field(0.5j), Field(1.0)])
        self.dense = nnx.Linear(6, 3, rngs=nnx.Rngs(0), param_dtype=float)

    def __call__(self, x: Any) -> Any:
        first, second, third = (field(x) for field in self.fields)
        return first - second + jnp.tanh(third) + jnp.sin(self.dense(x)).sum(axis=-1)


def field_delta(
    model: Field, parameters: Any, cache: Any, sites: Any, old: Any, new: Any
) -> Any:
    return model.scale * ((new - old) @ parameters["w"][sites])


def test_modules_of_nnx() -> None:
    op, x = heisenberg()
    before = Field.__call__
    sym.register_delta(Field)(lambda model, parameters, x: (), field_delta)
    graph, state = nnx.split(OfFields())

    def logpsi(parameters: Any, x: Any) -> Any:
        return nnx.merge(graph, parameters)(x)

    check(op, logpsi, state, x, [D, D, "network"])
    assert Field.__call__ is before


def test_parameters_that_are_computed() -> None:
    op, x = heisenberg()
    model = Model(product)
    parameters = parameters_of(model, x, 30)

    def exponentiated(p: Any, x: Any) -> Any:
        return model.apply(jax.tree.map(jnp.exp, p), x)

    check(op, exponentiated, parameters, x, [D, D])


def test_derivatives_under_jit_and_vmap() -> None:
    op, x = heisenberg()
    x = x[:8]
    model = Model(lambda x: product(x) + 1j * network(x))
    parameters = parameters_of(model, x, 30)
    energy = sym.LocalEnergy(op, model.apply)

    def both(function: Callable[..., Any]) -> Any:
        def loss(p: Any) -> Any:
            return (jnp.abs(function(p)) ** 2).sum()

        pushed = jax.jvp(function, (parameters,), (jax.tree.map(np.cos, parameters),))
        many = jax.tree.map(lambda one: jnp.stack([one, 2 * one]), parameters)
        return *pushed, jax.grad(loss)(parameters), jax.vmap(function)(many)

    found = jax.jit(lambda: both(lambda p: energy(p, x)))()
    expected = jax.jit(lambda: both(lambda p: energies_of(op, model.apply, p, x)))()
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    assert energy.program(parameters, x.dtype).rungs == [D, D, "network"]


def test_values_that_a_module_holds_on_to() -> None:
    """They may be traced: then they are parameters, or it is no declared model."""
    op, x = heisenberg()

    def energies(scale: Any, p: Any) -> Any:
        of_scale = Model(lambda x: product(x) + Quadratic(scale)(x) * scale)
        return sym.local_energy(op, of_scale.apply, p, x)

    more = parameters_of(Model(lambda x: product(x) + Quadratic(1.0)(x)), x, 30)
    found = jax.jit(energies)(0.5, more)
    np.testing.assert_allclose(found, energies(0.5, more), rtol=1e-11)


# endregion
# region Deltas


def test_one_that_does_not_know_asks_the_whole_model() -> None:
    op, x = heisenberg()
    model = Model(lambda x: Quadratic(0.1)(x) + network(x))

    def never(*arguments: Any) -> Any:
        found = quadratic_delta(*arguments)
        return jnp.where(arguments[3][0] == 0, found, jnp.nan)

    sym.register_delta(Quadratic)(quadratic_init, never)
    check(op, model.apply, parameters_of(model, x, 30), x, [D, "network"])


def test_one_is_wrong_or_never_known() -> None:
    op, x = heisenberg()
    model = Model(product)
    parameters = parameters_of(model, x, 30)
    energy = sym.LocalEnergy(op, model.apply)
    expected = np.asarray(energy(parameters, x))
    nothing = lambda *arguments: jnp.full((), jnp.nan)  # noqa: E731
    sym.register_delta(Quadratic)(quadratic_init, nothing)
    np.testing.assert_allclose(energy(parameters, x), expected, rtol=1e-11)
    report = energy.report(parameters, x, measure=False)
    assert [part.rung for part in report.parts] == [D, "bilinear"]
    assert any("Quadratic.Quadratic_0" in miss for miss in report.misses)
    sym.register_delta(Quadratic)(
        quadratic_init, lambda *arguments: 1.01 * quadratic_delta(*arguments)
    )
    with pytest.raises(sym.DefinitionError, match="R027"):
        energy(parameters, x)


def quadratic_commit(
    model: Quadratic, parameters: Any, fields: Any, sites: Any, old: Any, new: Any
) -> Any:
    weights = parameters["params"]["w"]
    return fields + (weights + weights.T)[:, sites] @ (new - old)


def forgetful_commit(*arguments: Any) -> Any:
    model, parameters, fields, sites, old, new = arguments
    return quadratic_commit(model, parameters, fields, sites[:1], old[:1], new[:1])


@pytest.mark.parametrize(
    ("commit", "expected"),
    [
        (quadratic_commit, ""),
        (lambda model, parameters, fields, *change: fields, "at sites"),
        (forgetful_commit, "at sites"),
        (lambda model, parameters, fields, *change: fields[:2], "float64[2]"),
    ],
)
def test_commits(commit: Any, expected: str) -> None:
    op, x = heisenberg()
    model = Model(lambda x: Quadratic(0.1)(x[..., 1:]))
    parameters = parameters_of(model, x, 30)
    sym.register_delta(Quadratic)(quadratic_init, quadratic_delta, commit)
    if not expected:
        check(op, model.apply, parameters, x, [D])
        return
    with pytest.raises(sym.DefinitionError, match="R028") as caught:
        sym.local_energy(op, model.apply, parameters, x)
    assert expected in (caught.value.found or "")


# endregion
