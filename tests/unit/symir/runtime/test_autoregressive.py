"""Samples of autoregressive wavefunctions, next to those of all probabilities.

The reference interpreter draws each site of sums over all configurations, by the same
noise: kernels have to return its configurations, up to what is rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest
from jax import lax
from scipy import stats

import symir as sym
from dialects.interpreters.bt import run_function
from symir.runtime.autoregressive import Autoregressive

N = 5
KEY = jax.random.key(1)


def normal(seed: int, *shape: int, scale: float = 1.0) -> jax.Array:
    return scale * jax.random.normal(jax.random.key(seed), shape)


# region Networks, with parameters


def chosen(table: Any, x: Any) -> Any:
    """Return half of the logarithms that numbers x (B, N) choose, all of them."""
    index = x.astype(int)[..., None]
    return jnp.take_along_axis(table, index, axis=-1)[..., 0].sum(-1) / 2


MASK = jnp.triu(jnp.ones((N, N)))


def dense(w: Any, x: Any) -> Any:
    """Two masked layers of shifted sites, of which the first is a parameter."""
    h = jax.nn.one_hot(x.astype(int), 3)
    start = jnp.broadcast_to(w["start"], (x.shape[0], 1, 3))
    h = jnp.concatenate([start, h[:, :-1]], axis=1)
    for one in ("a", "b"):
        weights = w[one] * MASK[:, None, :, None]
        z = jnp.einsum("bnc,ncmd->bmd", h, weights) + w["bias"]
        h = jax.nn.gelu(z) if one == "a" else h + jnp.tanh(z)
    return chosen(jax.nn.log_softmax(h @ w["last"]), x)


DENSE = {
    "start": normal(1, 3),
    "a": normal(2, N, 3, N, 4, scale=0.5),
    "b": normal(3, N, 4, N, 4, scale=0.5),
    "bias": normal(4, N, 4),
    "last": normal(5, 4, 3),
}


def convolution(w: Any, x: Any) -> Any:
    """A convolution of sites before and constants, a norm, and a phase of its own."""
    h = x[..., None].astype(w["kernel"].dtype)
    start = jnp.broadcast_to(w["start"], (x.shape[0], 1, 1))
    h = jnp.concatenate([start, h[:, :-1]], axis=1)
    h = jnp.pad(h, ((0, 0), (2, 0), (0, 0)), constant_values=0.7)
    dims = ("NHC", "HIO", "NHC")
    h = lax.conv_general_dilated(h, w["kernel"], (1,), "VALID", dimension_numbers=dims)
    h = jnp.tanh(h)
    mean, variance = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
    h = (h - mean) / jnp.sqrt(variance + 1e-3)
    log = jax.nn.log_sigmoid(x * (h @ w["last"])[..., 0]) / 2
    return log.sum(-1) + 1j * (h @ w["phase"])[..., 0].sum(-1)


CONVOLUTION = {
    "start": normal(1, 1),
    "kernel": normal(2, 3, 1, 4),
    "last": normal(3, 4, 1),
    "phase": normal(4, 4, 1),
}


def product(w: Any, x: Any) -> Any:
    return jax.nn.log_sigmoid(2 * x * w).sum(-1) / 2


def permuted(w: Any, x: Any) -> Any:
    return convolution(w, x[:, np.array([2, 0, 4, 1, 3])])


def of_phases(w: Any, x: Any) -> Any:
    """Spins, and a phase of channels in another order."""
    log = convolution(w, x).real
    y = (x.astype(log.dtype) @ w["channels"])[:, np.array([1, 2, 0])]
    return log + 1j * (y * w["own"]).sum(-1)


def forbidding(w: Any, x: Any) -> Any:
    """No two particles next to each other: -inf."""
    before = jnp.pad(x, ((0, 0), (1, 0)))[:, :-1, None].astype(float)
    logits = jnp.stack(
        [jnp.zeros(x.shape), jnp.broadcast_to(w, x.shape)], axis=-1
    ) + jnp.where(before > 0, jnp.array([0, -jnp.inf]), 0)
    return chosen(jax.nn.log_softmax(logits), x)


def of_netket(kind: str, **options: Any) -> tuple[Callable[..., Any], Any, Any]:
    hilbert = nk.hilbert.Spin(1.0 if kind == "ARNNDense" else 0.5, options.pop("n", N))
    model = getattr(nk.models, kind)(hilbert=hilbert, layers=2, features=3, **options)
    w = model.init(jax.random.key(0), jnp.zeros((1, hilbert.size)))
    moved = jax.tree.map(
        lambda one: one + jax.random.normal(KEY, one.shape, one.dtype) / 3, w
    )
    return model.apply, moved, hilbert


SPINS = sym.spin(0.5, N)

NETWORKS: dict[str, Callable[[], tuple[Callable[..., Any], Any, Any]]] = {
    "dense": lambda: (dense, DENSE, sym.fock(2, N)),
    "convolution": lambda: (convolution, CONVOLUTION, SPINS),
    "permuted": lambda: (permuted, CONVOLUTION, SPINS),
    "of phases": lambda: (
        of_phases,
        CONVOLUTION | {"channels": normal(5, N, 3), "own": normal(6, 3)},
        SPINS,
    ),
    "product": lambda: (product, normal(1, N), SPINS),
    "forbidding": lambda: (forbidding, normal(1, N), sym.qubit(N)),
    "ARNNDense": lambda: of_netket("ARNNDense"),
    "ARNNConv1D": lambda: of_netket("ARNNConv1D", kernel_size=3, param_dtype=complex),
    "ARNNConv2D": lambda: of_netket("ARNNConv2D", n=9, kernel_size=(2, 3)),
    "FastARNNConv1D": lambda: of_netket(
        "FastARNNConv1D", kernel_size=2, kernel_dilation=2, param_dtype=jnp.float32
    ),
}


# endregion


def check(
    logpsi: Callable[..., Any],
    w: Any,
    space: Any,
    samples: int = 100,
    tolerance: float = 1e-9,
    **options: Any,
) -> jax.Array:
    """Draw samples, which are those of the reference; return them."""
    power = options.pop("power", 2.0)
    own = Autoregressive(logpsi, space, power=power)
    x, log_psi = own.sample(w, KEY, samples, **options)
    assert x.shape == (samples, own.space.size)
    np.testing.assert_allclose(log_psi, logpsi(w, x), rtol=tolerance, atol=tolerance)
    leaves = [np.asarray(one) for one in jax.tree.leaves(w)]
    dtype = np.finfo(np.asarray(log_psi).dtype).dtype
    of_each = [jax.random.fold_in(KEY, number) for number in range(samples)]
    noise = np.stack([jax.random.uniform(k, x.shape[1:], dtype) for k in of_each])
    drawn, logarithms = run_function(own.module(w, dtype=x.dtype), [noise, *leaves])
    np.testing.assert_array_equal(x, drawn)
    np.testing.assert_allclose(log_psi, logarithms, rtol=tolerance, atol=tolerance)
    return x


@pytest.mark.parametrize("name", NETWORKS)
def test_samples_are_those_of_the_reference(name: str) -> None:
    single = name == "FastARNNConv1D"
    check(*NETWORKS[name](), tolerance=1e-4 if single else 1e-9)


def test_samples_are_distributed_as_psi_says() -> None:
    samples = 4000
    x, _ = Autoregressive(dense, sym.fock(2, N)).sample(DENSE, KEY, samples)
    states = sym.fock(2, N).all_states()
    expected = samples * np.exp(2 * np.asarray(dense(DENSE, states)))
    weights = 3 ** np.arange(N)
    found = np.bincount(np.asarray(x) @ weights, minlength=3**N)[states @ weights]
    rare = expected < 5
    own, other = (np.append(of[~rare], of[rare].sum()) for of in (found, expected))
    # One run in a million is off by so much
    assert stats.chisquare(own, other).pvalue > 1e-6


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.int32, jnp.float32, jnp.float64])
def test_x_has_the_dtype_that_is_asked_for(dtype: Any) -> None:
    x = check(convolution, CONVOLUTION, SPINS, 20, dtype=dtype)
    assert x.dtype == dtype


def test_sites_may_have_different_values() -> None:
    space = sym.qubit(2) * sym.fock(3, 2)

    def logpsi(w: Any, x: Any) -> Any:
        before = jnp.pad(x, ((0, 0), (1, 0)))[:, :-1, None].astype(float)
        allowed = jnp.arange(4) < jnp.array([2, 2, 4, 4])[:, None]
        logits = jnp.where(allowed, w * (1 + before), -jnp.inf)
        return chosen(jax.nn.log_softmax(logits), x)

    x = check(logpsi, normal(1, 4, 4), space)
    assert int(x[:, :2].max()) == 1
    assert int(x[:, 2:].max()) == 3


def test_a_phase_does_not_say_the_order() -> None:
    """That of a site is ready before the site may be drawn."""

    def logpsi(w: Any, x: Any) -> Any:
        y = jax.nn.one_hot(x[:, np.array([1, 3, 2, 0])].astype(int), 3)
        y = jnp.pad(y, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        z = jnp.tanh(jnp.einsum("bnc,ncmd->bmd", y, w[0] * MASK[:4, None, :4, None]))
        own = x[:, np.array([1, 3, 2, 0])]
        return chosen(jax.nn.log_softmax(z), own) + 1j * jnp.sin(y @ w[1]).sum(1)

    w = normal(1, 4, 3, 4, 3), normal(2, 3)
    check(logpsi, w, sym.fock(2, 4))
    assert Autoregressive(logpsi, sym.fock(2, 4)).report(w).order == (1, 3, 2, 0)


def test_a_sum_next_to_a_constant_is_refused() -> None:
    def logpsi(w: Any, x: Any) -> Any:
        both = jnp.stack([product(w, x), jnp.ones(len(x))], axis=-1)
        return both.sum(-1)

    with pytest.raises(sym.InputError, match="no sum of terms"):
        Autoregressive(logpsi, SPINS).sample(normal(1, N), KEY, 3)


def test_one_site() -> None:
    table = normal(1, 3)

    def logpsi(w: Any, x: Any) -> Any:
        return chosen(jax.nn.log_softmax(jnp.broadcast_to(w, (*x.shape, 3))), x)

    check(logpsi, table, sym.fock(2, 1))


def test_a_power_is_that_of_the_distribution() -> None:
    def logpsi(w: Any, x: Any) -> Any:
        return 2 * convolution(w, x)

    check(logpsi, CONVOLUTION, SPINS, power=1.0)


def test_samples_do_not_depend_on_chunks_or_their_number() -> None:
    own = Autoregressive(dense, sym.fock(2, N))
    x, log_psi = own.sample(DENSE, KEY, 50)
    for chunk, samples in ((7, 50), (1, 3), (64, 50), (None, 11)):
        y, other = own.sample(DENSE, KEY, samples, chunk=chunk)
        np.testing.assert_array_equal(y, x[:samples])
        np.testing.assert_allclose(other, log_psi[:samples], rtol=1e-12)


def test_no_samples_are_an_empty_array() -> None:
    x, log_psi = Autoregressive(dense, sym.fock(2, N)).sample(DENSE, KEY, 0)
    assert x.shape == (0, N)
    assert (log_psi.shape, log_psi.dtype) == ((0,), jnp.float64)


def test_samples_are_drawn_inside_of_transformations() -> None:
    own = Autoregressive(dense, sym.fock(2, N))

    def drawn(w: Any, key: Any) -> Any:
        return own.sample(w, key, 5)

    x, _ = drawn(DENSE, KEY)
    np.testing.assert_array_equal(jax.jit(drawn)(DENSE, KEY)[0], x)
    both = jax.tree.map(lambda one: jnp.stack([one, 2 * one]), DENSE)
    of_both, _ = jax.vmap(drawn, (0, None))(both, KEY)
    np.testing.assert_array_equal(of_both[0], x)
    keys = jax.random.split(KEY, 3)
    of_keys, _ = jax.vmap(drawn, (None, 0))(DENSE, keys)
    np.testing.assert_array_equal(of_keys[2], drawn(DENSE, keys[2])[0])
    _, scanned = lax.scan(lambda _, key: (None, drawn(DENSE, key)[0]), None, keys)
    np.testing.assert_array_equal(scanned, of_keys)


def test_derivatives_do_not_go_through_samples() -> None:
    own = Autoregressive(dense, sym.fock(2, N))
    gradient = jax.grad(lambda w: own.sample(w, KEY, 5)[1].sum())(DENSE)
    assert not any(np.any(one) for one in jax.tree.leaves(gradient))


def test_values_that_log_psi_holds_on_to_are_those_of_now() -> None:
    held = {"w": normal(1, N)}
    own = Autoregressive(lambda _, x: product(held["w"], x), SPINS)
    first, _ = own.sample(None, KEY, 30)
    np.testing.assert_array_equal(first, check(product, held["w"], SPINS, 30))
    held["w"] = -held["w"]
    again, _ = own.sample(None, KEY, 31)
    np.testing.assert_array_equal(again, check(product, held["w"], SPINS, 31))

    def of(w: Any) -> Any:
        return Autoregressive(lambda _, x: product(w, x), SPINS).sample(None, KEY, 30)

    np.testing.assert_array_equal(jax.jit(of)(-held["w"])[0], first)


@pytest.mark.parametrize("asked", ["report", "module", "nothing"])
def test_values_are_those_of_now_behind_what_was_asked_before(asked: str) -> None:
    held = {"w": normal(1, N)}
    own = Autoregressive(lambda _, x: product(held["w"], x), SPINS)
    module = own.module(None)
    if asked == "report":
        own.report(None)
    elif asked == "nothing":
        own.sample(None, KEY, 0)
    held["w"] = -held["w"]
    x, _ = own.sample(None, KEY, 30)
    np.testing.assert_array_equal(x, check(product, held["w"], SPINS, 30))
    assert not module.is_structurally_equivalent(own.module(None))


def test_the_report_says_how_much_is_kept() -> None:
    report = Autoregressive(permuted, SPINS).report(CONVOLUTION)
    # The site that is first, and those of its order
    assert report.order == (2, 0, 4, 1, 3)
    assert report.groups == 1
    assert report.bytes * report.samples <= 2**21
    assert str(report).startswith("5 sites are drawn in 1 loop")


# region What cannot be drawn


@pytest.mark.parametrize(
    ("logpsi", "w", "reason"),
    [
        (lambda w, x: jnp.tanh(x @ w).sum(-1), normal(1, N, 7), "no sum of terms"),
        (
            lambda w, x: (x * (x @ w)[:, None]).sum(-1),
            normal(1, N),
            "different positions",
        ),
        (
            lambda w, x: jnp.tanh(x + w * jnp.roll(x, 1, 1)).sum(-1),
            normal(1, N),
            "one of the sites 0, 1, 2, 3, 4 alone",
        ),
        (
            lambda w, x: jnp.exp(jax.nn.log_sigmoid(2 * x * w).sum(-1)),
            normal(1, N),
            "'stablehlo.exponential' of 1 x 1 elements behind all sites is no sum",
        ),
        (
            lambda w, x: jnp.tanh(w * x[:, 1:]).sum(-1),
            normal(1, N - 1),
            "one of the sites 0 alone",
        ),
    ],
)
def test_other_wavefunctions_are_refused(logpsi: Any, w: Any, reason: str) -> None:
    with pytest.raises(sym.InputError, match=reason) as caught:
        Autoregressive(logpsi, SPINS).sample(w, KEY, 3)
    assert caught.value.code == "C033"


def test_probabilities_that_do_not_add_up_to_1_are_refused() -> None:
    own = Autoregressive(lambda w, x: 2 * product(w, x), SPINS)
    with pytest.raises(sym.InputError, match="NaN for 9 of 9 samples") as caught:
        own.sample(normal(1, N), KEY, 9)
    assert caught.value.code == "R022"
    _, log_psi = jax.jit(lambda w: own.sample(w, KEY, 9))(normal(1, N))
    assert np.isnan(log_psi).all()
    # Each site is normalised, and psi is not
    own = Autoregressive(lambda w, x: product(w, x) + 1, SPINS)
    with pytest.raises(sym.InputError, match="add up to 1"):
        own.sample(normal(1, N), KEY, 9)


def test_samples_outside_of_the_space_are_refused() -> None:
    w = normal(1, N)
    own = Autoregressive(forbidding, sym.qubit(N).where_sum(2))
    with pytest.raises(sym.InputError, match="not in the space") as caught:
        own.sample(w, KEY, 50)
    assert caught.value.code == "R007"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"samples": -1}, "R020"),
        ({"samples": 2.0}, "R020"),
        ({"samples": 2, "chunk": 0}, "R020"),
        ({"samples": 2, "dtype": bool}, "R002"),
        ({"samples": 2, "dtype": jnp.uint8}, "R002"),
        ({"samples": 2, "dtype": complex}, "R002"),
    ],
)
def test_arguments_that_cannot_be_are_refused(options: Any, code: str) -> None:
    with pytest.raises(sym.InputError) as caught:
        Autoregressive(product, SPINS).sample(normal(1, N), KEY, **options)
    assert caught.value.code == code


@pytest.mark.parametrize(("logpsi", "power"), [(None, 2), (product, 0), (product, "2")])
def test_what_is_no_wavefunction_is_refused(logpsi: Any, power: Any) -> None:
    with pytest.raises(sym.InputError) as caught:
        Autoregressive(logpsi, SPINS, power=power)
    assert caught.value.code == "C034"


# endregion
