"""Derivatives of local energies: those of the network at every x', or an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from tests.unit.symir.runtime.energies import energies_of

SITES = 4
X = np.array([[1, 1, -1, 1], [-1, 1, -1, -1], [1, -1, 1, -1]], np.int8)
W = np.array([0.1, 4.0, -0.2, 5.0])
H = sym.symbol("h", default=2.5)


def log_cosh(w: Any, x: Any) -> Any:
    return jnp.log(jnp.cosh(x * w)).sum(-1)


def flips(amplitude: Any) -> Any:
    terms = sym.DOperator(sym.spin(0.5, SITES), "flips").for_each_site("i")
    return terms.emit(sym.flip("i"), amplitude=amplitude).build().compile()


@cache
def operator() -> Any:
    return flips(H * H)


def both(derivative: Callable[[Any], Callable[..., Any]], *given: Any) -> Any:
    """Return derivatives of our energies and of the reference: one executable."""
    return jax.jit(
        lambda *given: tuple(
            derivative(energies)(*given) for energies in (sym.local_energy, energies_of)
        )
    )(*given)


# region Steps


@pytest.mark.parametrize("step", ["//", "%", "sign", "table"])
def test_steps_of_a_parameter_have_no_derivative(step: str) -> None:
    amplitude: dict[str, Callable[[], Any]] = {
        "//": lambda: H // 1,
        "%": lambda: H % 1,
        "sign": lambda: sym.sign(H),
        "table": lambda: sym.table([1.0, 2.0, 3.0])[H // 2],
    }
    op = flips(amplitude[step]())
    for direction in (jax.jacfwd, jax.jacrev):
        with pytest.raises(sym.NotDifferentiable, match="R011"):
            direction(lambda op: sym.local_energy(op, log_cosh, W, X))(op)
    # What does not depend on the step has derivatives
    jax.jit(
        lambda w: tuple(
            direction(lambda w: sym.local_energy(op, log_cosh, w, X))(w)
            for direction in (jax.jacfwd, jax.jacrev)
        )
    )(W)


@pytest.mark.parametrize("direction", [jax.jacfwd, jax.jacrev])
def test_steps_of_x_have_no_derivative(direction: Any) -> None:
    op = flips(sym.site("i").value // 2)
    with pytest.raises(sym.NotDifferentiable, match="R011"):
        direction(lambda x: sym.local_energy(op, log_cosh, W, x))(X.astype(float))


# endregion
# region Rules of the user's own


def stopped_above(w: Any, x: Any) -> Any:
    return x @ jnp.where(w > 3, jax.lax.stop_gradient(w), w)


@jax.custom_jvp
def clipped(z: Any) -> Any:
    return z


@clipped.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return primals[0], jnp.where(jnp.abs(primals[0]) > 4.5, 0.0, tangents[0])


@jax.custom_vjp
def doubled(z: Any) -> Any:
    return jnp.tanh(z)


doubled.defvjp(lambda z: (doubled(z), z), lambda z, given: (2 * given,))


def with_clipped(w: Any, x: Any) -> Any:
    return clipped(x * w).sum(-1)


def with_doubled(w: Any, x: Any) -> Any:
    return doubled(x * w).sum(-1) + log_cosh(w, x)


def with_relu(w: Any, x: Any) -> Any:
    return jax.nn.relu(x * jnp.round(w)).sum(-1)


@pytest.mark.parametrize("logpsi", [stopped_above, with_clipped, with_relu])
def test_forward_and_backward(logpsi: Any) -> None:
    def jacobians(f: Any) -> Any:
        def energies(w: Any) -> Any:
            return f(operator(), logpsi, w, X)

        return lambda w: (jax.jacfwd(energies)(w), jax.jacrev(energies)(w))

    found, expected = both(jacobians, W)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_rules_of_reverse_mode_alone() -> None:
    found, expected = both(
        lambda f: jax.jacrev(lambda w: f(operator(), with_doubled, w, X)), W
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(lambda w: sym.local_energy(operator(), with_doubled, w, X), (W,), (W,))


def test_rules_that_no_derivative_needs() -> None:
    """JAX has no tangent of `doubled`, and nothing is found from it."""

    def stepped(w: Any, x: Any) -> Any:
        return jnp.round(doubled(x * w)).sum(-1) + log_cosh(w, x)

    def pushed(f: Any) -> Any:
        return lambda w: jax.jvp(lambda w: f(operator(), stepped, w, X), (w,), (w,))[1]

    found, expected = both(pushed, W)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("direction", [jax.jacfwd, jax.jacrev])
def test_no_network_is_derived_for_couplings(direction: Any) -> None:
    """Elements enter linearly: rules of the network are not asked."""

    @jax.custom_jvp
    def refused(z: Any) -> Any:
        return jnp.tanh(jnp.tanh(z))

    @refused.defjvp
    def _(*_: Any) -> Any:
        raise AssertionError("a network has been differentiated")

    def logpsi(w: Any, x: Any) -> Any:
        return refused(x * w).sum(-1)

    found, expected = both(
        lambda f: direction(lambda op: f(op, logpsi, W, X)), operator()
    )
    np.testing.assert_allclose(found.parameters["h"], expected.parameters["h"])


def test_derivatives_by_couplings_of_groups_of_samples() -> None:
    """Log ratios, too, are of as many samples as there are in all groups."""

    def pushed(f: Any) -> Any:
        def of_group(op: Any, x: Any) -> Any:
            return jax.jvp(lambda op: f(op, log_cosh, W, x), (op,), (op,))[1]

        return jax.vmap(of_group, (None, 0))

    found, expected = both(pushed, operator(), np.stack([X, -X]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("direction", [jax.jacfwd, jax.jacrev])
def test_couplings_that_move_x(direction: Any) -> None:
    """Ratios depend on a coupling that a site of floats is multiplied by."""
    halves = sym.symbol("h", default=0.5)
    terms = sym.DOperator(sym.space([0.25, 0.5, 1.0], SITES), "op").for_each_site("i")
    update = sym.write("i", sym.site("i").value * halves)
    op = terms.emit(update, amplitude=2 * halves).build().compile()
    x = np.where(X > 0, 1.0, 0.5)
    found, expected = both(lambda f: direction(lambda op: f(op, log_cosh, W, x)), op)
    np.testing.assert_allclose(found.parameters["h"], expected.parameters["h"])


# endregion
# region Values that a wavefunction holds on to


def nested(function: Any) -> Any:
    """Return a function of a function of `jax.jit`, which keeps a trace a shape."""
    inner = jax.jit(function)
    return lambda w, x: inner(w, x)


@pytest.mark.parametrize("wrapped", [lambda f: f, jax.jit, nested])
def test_an_energy_and_its_derivative_are_of_one_model(wrapped: Any) -> None:
    held = {"scale": 1.0}

    def scaled(w: Any, x: Any) -> Any:
        # A part that is fused, and one that stays a network
        hidden = log_cosh(w * held["scale"], x)
        return hidden + jnp.sin(jnp.tanh(x @ w) * held["scale"]).reshape(-1)

    energy = sym.LocalEnergy(operator(), wrapped(scaled))

    def both(count: int) -> Any:
        return jax.value_and_grad(lambda w: energy(w, X[:count]).sum())(W / 5)

    def expected(count: int) -> Any:
        def of(w: Any) -> Any:
            return energies_of(operator(), scaled, w, X[:count]).sum()

        return jax.jit(jax.value_and_grad(of))(W / 5)

    energy(W / 5, X[:1])
    jitted = jax.jit(lambda w: energy(w, X).sum())
    jitted(W / 5)
    _, pull = jax.vjp(lambda w: energy(w, X).sum(), W / 5)
    earlier = expected(1), expected(3)
    held["scale"] = 2.0
    # As with jax.jit: what was traced is of the value then, all of it
    for found, other in (
        (jax.value_and_grad(jitted)(W / 5), earlier[1]),
        ((earlier[1][0], *pull(1.0)), earlier[1]),
        (both(2), expected(2)),
    ):
        np.testing.assert_allclose(found[0], other[0], rtol=1e-10)
        np.testing.assert_allclose(found[1], other[1], rtol=1e-10)
    # What was traced for this shape is of either value, but not of both
    value, gradient = both(1)
    model = min((earlier[0], expected(1)), key=lambda one: abs(one[0] - value))
    np.testing.assert_allclose(value, model[0], rtol=1e-10)
    np.testing.assert_allclose(gradient, model[1], rtol=1e-10)


def test_a_closure_that_holds_what_is_differentiated() -> None:
    held = {"scale": 0.3}

    def scaled(w: Any, x: Any) -> Any:
        return jnp.log(jnp.cosh(x @ w * held["scale"] + 0.1))

    energy = sym.LocalEnergy(operator(), scaled)
    energy(W, X)  # now JAX knows a trace of it

    def total(scale: Any, count: int) -> Any:
        held["scale"] = scale
        return energy(W, X[:count]).sum()

    def expected(scale: Any, count: int) -> Any:
        held["scale"] = scale
        return energies_of(operator(), scaled, W, X[:count]).sum()

    for scale, count in ((0.2, 3), (0.1, 2), (0.4, 3)):
        other = jax.jit(jax.value_and_grad(partial(expected, count=count)))(scale)
        found = jax.value_and_grad(total)(scale, count)
        np.testing.assert_allclose(found, other, rtol=1e-10)


# endregion
