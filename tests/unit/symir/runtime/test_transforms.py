"""Derivatives and vectorisation: a compiled operator is any other function of JAX."""

from __future__ import annotations

import copy
import pickle
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from symir.errors import NotDifferentiable

i, j = sym.site("i"), sym.site("j")
h = sym.symbol("h", default=0.7)
t = sym.symbol("t", default=0.3)
SPACE = sym.fock(3, 4)
X = SPACE.random_states(6, seed=1)


def smooth(**options: Any) -> sym.SymbolicOperator:
    """Depends on h and t, with guards that hide singularities."""
    return (
        sym.DOperator(SPACE, "smooth", **options)
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 3))
        .emit(sym.hop("i", "j"), amplitude=t * sym.sqrt(h * i * (j + 1)))
        .for_each_site("i")
        .where(i != 0)
        .emit(amplitude=sym.exp(h) / i + t**2 / (i * h))
        .for_each_site("i")
        .emit(amplitude=sym.where(i > 0, sym.log(h * i), 0.0))
        .build()
    )


@cache
def compiled() -> Any:
    """Return it compiled: once JAX is set to 64 bits, and not before."""
    return smooth().compile()


WEIGHTS = np.cos(np.arange(X.shape[0] * smooth().max_conn_size)).reshape(X.shape[0], -1)


def total(parameters: dict[str, Any], x: Any = X) -> jax.Array:
    """Return a number that every matrix element has a say in."""
    _, mels = compiled().replace(**parameters).get_conn_padded(x)
    return (mels * WEIGHTS).sum()


POINT = {"h": np.float64(0.7), "t": np.float64(0.3)}


def difference(function: Any, at: dict[str, Any], name: str, step: float) -> Any:
    up, down = dict(at), dict(at)
    up[name], down[name] = at[name] + step, at[name] - step
    return (function(up) - function(down)) / (2 * step)


# region First derivatives


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("name", ["h", "t"])
def test_first_derivatives(derivative: Any, name: str):
    found = derivative(total)(POINT)[name]
    expected = difference(total, POINT, name, 1e-6)
    assert np.isfinite(found)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("first", ["h", "t"])
@pytest.mark.parametrize("second", ["h", "t"])
def test_second_derivatives(first: str, second: str):
    found = jax.hessian(total)(POINT)[first][second]
    expected = difference(lambda p: jax.grad(total)(p)[first], POINT, second, 1e-6)
    assert np.isfinite(found)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: jax.jacfwd(jax.jacrev(f)),
        lambda f: jax.jacrev(jax.jacrev(f)),
        lambda f: jax.jacrev(jax.jacfwd(f)),
    ],
    ids=["forward over reverse", "reverse over reverse", "reverse over forward"],
)
def test_second_derivatives_do_not_depend_on_the_way(derivative: Any):
    expected = jax.hessian(total)(POINT)
    found = derivative(total)(POINT)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12), found, expected
    )


def test_forward_and_reverse_agree():
    tangent = {"h": np.float64(0.4), "t": np.float64(-1.3)}
    _, pushed = jax.jvp(total, (POINT,), (tangent,))
    pulled = jax.grad(total)(POINT)
    np.testing.assert_allclose(
        pushed, sum(pulled[name] * tangent[name] for name in tangent), rtol=1e-12
    )


def test_the_derivative_of_a_compiled_operator_is_one():
    gradient = jax.grad(lambda op: (op.get_conn_padded(X)[1] * WEIGHTS).sum())(
        compiled()
    )
    assert isinstance(gradient, type(compiled()))
    for name, value in jax.grad(total)(POINT).items():
        np.testing.assert_allclose(gradient.parameters[name], value, rtol=1e-12)


def test_derivatives_by_x():
    """In x of a floating dtype; guarded singularities stay finite."""
    x = jnp.asarray(X, jnp.float64)
    found = jax.grad(partial(total, POINT))(x)
    assert np.isfinite(found).all()
    for sample, site in [(0, 0), (3, 2), (5, 1)]:
        if x[sample, site] == 0:  # at the edge of a guard
            continue
        step = jnp.zeros_like(x).at[sample, site].set(1e-7)
        # Off the lattice of local values branches would leave the space.
        mels = [_amplitudes(x + sign * step) for sign in (1, -1)]
        expected = ((mels[0] - mels[1]) * WEIGHTS).sum() / 2e-7
        np.testing.assert_allclose(found[sample, site], expected, rtol=1e-5)


def _amplitudes(x: jax.Array) -> jax.Array:
    """The matrix elements of `smooth` written out, without the space."""
    n = x.shape[-1]
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    hv, tv = POINT["h"], POINT["t"]
    columns = [
        jnp.where(
            (X[:, a] > 0) & (X[:, b] < 3),
            tv * jnp.sqrt(hv * jnp.where(X[:, a] > 0, x[:, a], 1) * (x[:, b] + 1)),
            0,
        )
        for a, b in pairs
    ]
    safe = jnp.where(X != 0, x, 1)
    diagonal = jnp.where(X != 0, jnp.exp(hv) / safe + tv**2 / (safe * hv), 0)
    logs = jnp.where(X > 0, jnp.log(hv * safe), 0)
    return jnp.concatenate([jnp.stack(columns, -1), diagonal, logs], axis=-1)


def test_x_prime_follows_x():
    operator = (
        sym.DOperator(sym.spin(0.5, 3), "op")
        .for_each_site("i")
        .emit(sym.write("i", -i))
    ).build()
    jacobian = jax.jacfwd(lambda x: operator.compile().get_conn_padded(x)[0])(
        jnp.ones(3)
    )
    expected = np.stack([np.diag(1.0 - 2.0 * np.eye(3)[k]) for k in range(3)])
    np.testing.assert_array_equal(jacobian, expected)


def test_integers_have_no_tangents():
    (_, mels), (states, tangent) = jax.jvp(
        lambda op: op.get_conn_padded(X), (compiled(),), (compiled(),)
    )
    assert states.dtype == jax.dtypes.float0
    assert tangent.shape == mels.shape


def test_complex_parameters():
    z = sym.symbol("z", default=0.3 + 0.4j)
    operator = (
        sym.DOperator(SPACE, "op", dtype="complex128")
        .for_each_site("i")
        .emit(amplitude=z**2 * i + sym.conj(z))
        .build()
    ).compile()

    def energy(value: Any) -> Any:
        return (jnp.abs(operator.replace(z=value).get_conn_padded(X)[1]) ** 2).sum()

    def by_hand(value: Any) -> Any:
        return (jnp.abs(value**2 * X + jnp.conj(value)) ** 2).sum()

    at = np.complex128(0.2 - 0.7j)
    np.testing.assert_allclose(jax.grad(energy)(at), jax.grad(by_hand)(at), rtol=1e-12)


# endregion
# region What has no derivative


@pytest.mark.parametrize(
    "amplitude",
    [h // 1 + i, (h + i) % 2, sym.sign(h) * i, h * i + sym.sign(h)],
    ids=["floor", "remainder", "sign", "beside a smooth path"],
)
def test_steps_have_no_derivative(amplitude: sym.Expr):
    operator = sym.DOperator(SPACE, "steps").for_each_site("i")
    steps = operator.emit(amplitude=amplitude).build().compile()
    with pytest.raises(NotDifferentiable) as caught:
        jax.grad(lambda v: steps.replace(h=v).get_conn_padded(X)[1].sum())(0.5)
    assert caught.value.code == "R011"
    assert caught.value.operator == "steps"
    assert "steps/term0/emit0" in str(caught.value)


def test_rounding_to_a_site_has_no_derivative():
    """Which site is read changes in steps: 0 would hide that."""
    operator = sym.DOperator(SPACE, "op").globally()
    chosen = operator.emit(amplitude=h * sym.site(2 * h).value).build().compile()
    with pytest.raises(NotDifferentiable, match="convert"):
        jax.grad(lambda v: chosen.replace(h=v).get_conn_padded(X)[1].sum())(0.5)


def test_sixty_four_bits_are_not_run_in_thirty_two():
    operator = compiled()
    with jax.enable_x64(False), pytest.raises(sym.InputError, match="R012"):
        operator.get_conn_padded(X)


def test_steps_that_decide_are_no_obstacle():
    """A predicate has no derivative, and needs none."""
    operator = (
        sym.DOperator(SPACE, "op")
        .for_each_site("i")
        .where(h // 1 == 0)
        .emit(amplitude=h * h * i)
        .build()
    ).compile()
    found = jax.grad(lambda v: operator.replace(h=v).get_conn_padded(X)[1].sum())(0.5)
    np.testing.assert_allclose(found, float(X.sum()))


def test_steps_elsewhere_are_no_obstacle():
    """Of x alone: h is what is differentiated by."""
    operator = (
        sym.DOperator(SPACE, "op").for_each_site("i").emit(amplitude=h * (i // 2))
    ).build()
    found = jax.grad(
        lambda v: operator.compile().replace(h=v).get_conn_padded(X)[1].sum()
    )(0.5)
    np.testing.assert_allclose(found, float((X // 2).sum()))


# endregion
# region Other transformations


def test_vmap_over_parameters():
    values = jnp.linspace(0.1, 2.0, 7)
    found = jax.vmap(lambda v: compiled().replace(h=v).get_conn_padded(X))(values)
    for k, value in enumerate(values):
        expected = compiled().replace(h=value).get_conn_padded(X)
        np.testing.assert_array_equal(found[0][k], expected[0])
        np.testing.assert_allclose(found[1][k], expected[1], rtol=1e-12)


def test_vmap_over_parameters_and_x():
    values = jnp.linspace(0.1, 2.0, X.shape[0])

    def one(value: Any, x: Any) -> Any:
        return compiled().replace(h=value).get_conn_padded(x)[1]

    found = jax.vmap(one)(values, X)
    for k, value in enumerate(values):
        np.testing.assert_allclose(found[k], one(value, X[k]), rtol=1e-12)
    nested = jax.vmap(lambda v: jax.vmap(partial(one, v))(X))(values)
    np.testing.assert_allclose(nested[2, 3], one(values[2], X[3]), rtol=1e-12)


def test_vmap_over_the_last_axis_of_x():
    found = jax.vmap(lambda x: compiled().get_conn_padded(x)[1], in_axes=1)(X.T)
    np.testing.assert_array_equal(found, compiled().get_conn_padded(X)[1])


def test_vmap_of_a_gradient():
    values = jnp.linspace(0.1, 2.0, 5)
    gradient = jax.grad(lambda v: total({"h": v, "t": POINT["t"]}))
    found = jax.vmap(gradient)(values)
    expected = [gradient(value) for value in values]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_thousand_couplings_are_one_compilation():
    traces = 0

    @jax.jit
    def sweep(values: jax.Array) -> jax.Array:
        nonlocal traces
        traces += 1
        return jax.vmap(lambda v: total({"h": v, "t": POINT["t"]}))(values)

    found = sweep(jnp.linspace(0.1, 2.0, 1000))
    sweep(jnp.linspace(0.2, 3.0, 1000))
    assert found.shape == (1000,)
    assert traces == 1
    np.testing.assert_allclose(found[0], total({"h": 0.1, "t": POINT["t"]}), rtol=1e-10)


def test_a_hundred_values_are_one_trace():
    traces = 0

    @jax.jit
    def energy(operator: Any) -> jax.Array:
        nonlocal traces
        traces += 1
        return operator.get_conn_padded(X)[1].sum()

    for value in np.linspace(0.1, 2.0, 100):
        energy(compiled().replace(h=value))
    energy(smooth().compile(cache=False))
    assert traces == 1


def test_scan_cond_and_remat():
    values = jnp.linspace(0.1, 1.0, 4)

    def step(carry: Any, value: Any) -> Any:
        return carry + total({"h": value, "t": POINT["t"]}), value

    summed, _ = jax.lax.scan(step, 0.0, values)
    expected = sum(total({"h": v, "t": POINT["t"]}) for v in values)
    np.testing.assert_allclose(summed, expected, rtol=1e-10)
    chosen = jax.lax.cond(True, total, lambda _: np.float64(0), POINT)
    np.testing.assert_allclose(chosen, total(POINT), rtol=1e-12)
    remat = jax.grad(jax.checkpoint(total))(POINT)  # pyright: ignore[reportPrivateImportUsage]
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-12), remat, jax.grad(total)(POINT)
    )
    through = jax.grad(lambda v: jax.lax.scan(step, 0.0, v)[0])(values)
    assert np.isfinite(through).all()


def test_shapes_without_values():
    states, mels = jax.eval_shape(lambda op, x: op.get_conn_padded(x), compiled(), X)
    assert states.shape == (6, compiled().max_conn_size, 4)
    assert (states.dtype, mels.dtype) == (X.dtype, np.float64)


def test_compiled_ahead_of_time():
    ahead = jax.jit(lambda op, x: op.get_conn_padded(x)).lower(compiled(), X).compile()
    for ours, theirs in zip(
        ahead(compiled(), X), compiled().get_conn_padded(X), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    text = ahead.as_text()
    assert text is not None
    assert "custom-call" not in text


def test_a_gradient_holds_no_custom_call():
    text = jax.jit(jax.grad(total)).lower(POINT).compile().as_text()
    assert text is not None
    assert "custom-call" not in text


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_copies_have_the_same_derivatives(again: Any):
    twin = again(compiled().replace(h=0.2))
    found = jax.grad(lambda op: op.get_conn_padded(X)[1].sum())(twin)
    expected = jax.grad(lambda op: op.get_conn_padded(X)[1].sum())(
        compiled().replace(h=0.2)
    )
    np.testing.assert_allclose(found.parameters["h"], expected.parameters["h"])


def test_the_leaves_are_arrays_and_floats():
    leaves = jax.tree.leaves(compiled())
    assert len(leaves) == 2
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves)


def test_empty_batches_have_derivatives():
    empty = X[:0]
    found = jax.grad(lambda op: op.get_conn_padded(empty)[1].sum())(compiled())
    assert float(found.parameters["h"]) == 0.0


def test_fanouts_have_derivatives():
    builder = sym.DOperator(SPACE, "op").for_each_site("i").where(i > 1)
    narrow = builder.emit(amplitude=h**2 * i).fanout(3).build().compile()
    x = X[(X > 1).sum(-1) <= 3]
    found = jax.grad(lambda v: narrow.replace(h=v).get_conn_padded(x)[1].sum())(0.5)
    np.testing.assert_allclose(found, float(jnp.where(x > 1, x, 0).sum()))


# endregion
