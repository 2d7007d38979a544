"""What a careful reader found: integers on the way, infinities, shapes, gradients."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from lowering.stablehlo.stablehlo_batch import RULES
from symir import models
from symir.compiler.failures import OUR_FAULT, STRICT
from tests.unit.symir.runtime.energies import energies_of

SITES = 4
RING = [(site, (site + 1) % SITES) for site in range(SITES)]
X = np.array([[1, 1, -1, 1], [-1, 1, -1, -1], [1, -1, 1, -1]], np.int8)
W = np.random.default_rng(0).normal(size=(SITES, 9)) * 0.4


def flips() -> Any:
    return models.transverse_field_ising(SITES, RING, h=0.5)


def log_cosh(z: Any) -> Any:
    return jnp.log(jnp.cosh(z))


def check(logpsi: Any, x: Any = X, op: Any = None) -> Any:
    """Compare all energies; return the program."""
    op = op or flips()
    energy = sym.LocalEnergy(op, logpsi)
    expected = energies_of(op, logpsi, W, x)
    np.testing.assert_allclose(energy(W, x), expected, rtol=1e-5)
    return energy.program(W, x.dtype)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
def test_integers_on_the_way(dtype: Any) -> None:
    """Parts of one network, that are found one by one."""

    def logpsi(w: Any, x: Any) -> Any:
        direct = log_cosh(x.astype(dtype) @ w[:, :4]).sum(-1)
        twice = log_cosh(x.astype(dtype).astype(w.dtype) @ w[:, 4:]).sum(-1)
        hidden = jnp.tanh(x.astype(dtype) @ jnp.tile(w, 20)).sum(-1)
        return direct + twice + 0.02 * hidden

    assert check(logpsi).rungs == ["exponential", "exponential", "rational"]


def test_amplitudes_that_are_zero_elsewhere() -> None:
    x = X[X[:, 0] == 1]
    check(
        lambda w, x: log_cosh(x @ w).sum(-1) + jnp.where(x[:, 0] == 1, 0, -jnp.inf), x
    )
    mask = np.zeros((SITES, 2))
    mask[0, 0] = -np.inf
    check(lambda w, x: jnp.where(x == 1, mask[:, 1], mask[:, 0]).sum(-1), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_that_are_shifted_first(dtype: Any) -> None:
    check(lambda w, x: log_cosh((x + 1) / 2 @ w).sum(-1), X.astype(dtype))


def test_sites_off_the_lattice() -> None:
    op = (
        sym.DOperator(sym.fock(2, SITES), "off")
        .for_each_site("i")
        .emit(
            sym.cond(sym.site("i").index < 2, sym.write("i", 0), sym.write("i", 1)),
            amplitude=1.0,
        )
        .build()
    )
    check(lambda w, x: log_cosh(x @ w).sum(-1) + x @ w[:, 0], np.abs(X), op)


def test_no_lane_writes_and_none_is_summed() -> None:
    op = (
        sym.DOperator(sym.spin(0.5, SITES), "field")
        .for_each_site("i")
        .emit(amplitude=sym.site("i").value)
        .build()
    )
    energy = sym.LocalEnergy(
        op, lambda w, x: (x @ w).sum(-1), without=("bt-local-energy-coalesce",)
    )
    np.testing.assert_allclose(energy(W, X), X.sum(axis=1))


@pytest.mark.parametrize("chunk", [0, -1, 2.5])
def test_chunks_that_are_none(chunk: Any) -> None:
    with pytest.raises(sym.InputError, match="R020"):
        sym.local_energy(flips(), lambda w, x: (x @ w).sum(-1), W, X, chunk=chunk)


def test_one_number_for_each_configuration() -> None:
    check(lambda w, x: jnp.squeeze(jnp.sin(x @ w).prod(-1, keepdims=True)), X[:1])
    with pytest.raises(sym.InputError, match="R021"):
        sym.local_energy(flips(), lambda w, x: jnp.sin(x @ w).sum(), W, X)
    matrix: Any = lambda w, x: x @ w  # noqa: E731
    pair: Any = lambda w, x: (matrix(w, x).sum(-1), 1.0)  # noqa: E731
    for logpsi, found in (matrix, "(1, 9)"), (pair, "(1,) and ()"):
        with pytest.raises(sym.InputError, match="R021") as caught:
            sym.local_energy(flips(), logpsi, W, X)
        assert caught.value.found == f"shape {found}"


def test_what_has_no_local_energy() -> None:
    module = nk.models.RBM()
    builder = sym.DOperator(sym.spin(0.5, SITES)).globally().emit()
    theirs = nk.operator.spin.sigmax(nk.hilbert.Spin(0.5, SITES), 0)
    for op, logpsi, hint in (
        (builder, module.apply, "build()"),
        (theirs, module.apply, "from_netket"),
        (flips(), module, "model.apply"),
        (flips(), None, "model.apply"),
    ):
        with pytest.raises(sym.InputError, match="C032") as caught:
            sym.LocalEnergy(op, logpsi)  # pyright: ignore[reportArgumentType]
        assert hint in (caught.value.hint or "")


@jax.custom_jvp
def steeper(z: Any) -> Any:
    return jnp.tanh(z)


@steeper.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return steeper(*primals), 7 * tangents[0]


@pytest.mark.parametrize("stopped", [True, False])
def test_rules_of_derivatives_are_kept(stopped: bool) -> None:
    def logpsi(w: Any, x: Any) -> Any:
        hidden = log_cosh(x @ w).sum(-1)
        if stopped:
            return hidden + x @ jax.lax.stop_gradient(w[:, 0])
        return hidden + steeper(x @ w[:, 0])

    op = flips()
    found, expected = jax.jit(
        lambda w: tuple(
            jax.jvp(lambda w, f=f: f(op, logpsi, w, X), (w,), (w[::-1],))[1]
            for f in (sym.local_energy, energies_of)
        )
    )(W)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def compared(logpsi: Any, w: Any, x: Any = X) -> None:
    """Compare with the network at every x', to the last digits of either."""
    op = flips()
    rewrites = ("apply-exponential-sums", "lift-sparse-delta")
    found = np.asarray(sym.LocalEnergy(op, logpsi)(w, x))
    plain = np.asarray(sym.LocalEnergy(op, logpsi, without=rewrites)(w, x))
    assert np.isfinite(plain).all()
    np.testing.assert_allclose(found, plain, rtol=1e-4)


def test_ratios_have_the_type_of_log_psi() -> None:
    """Ratios that 32 bits cannot say, of a log psi that is widened in the end."""
    single = np.full((SITES, SITES), 5, np.float32)

    def square(w: Any, x: Any) -> Any:
        return -jnp.square(x.astype(w.dtype) @ w).sum(-1).astype(np.float64)

    def hidden(w: Any, x: Any) -> Any:
        return 40 * log_cosh(x.astype(w.dtype) @ w).sum(-1).astype(np.float64)

    compared(square, single)
    compared(hidden, single / 5)


@pytest.mark.parametrize("scale", [0.5, 0.5 + 0.1j, jnp.bfloat16(0.5)])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float32])
def test_types_that_are_others_in_the_ir(scale: Any, dtype: Any) -> None:
    """Numbers of Python are as wide as what they meet, and bfloat16 is widened."""

    def of_type(dtype: Any, w: Any, x: Any) -> Any:
        # One is a part, one stays a network
        scaled = log_cosh(x.astype(dtype) @ w["W"]).sum(-1) * w["s"]
        return scaled + jnp.sin(log_cosh(x.astype(dtype) @ w["V"]).sum(-1) * w["s"])

    w = {"W": W[:, :5].astype(dtype), "V": W[:, 4:].astype(dtype), "s": scale}
    found = sym.local_energy(flips(), partial(of_type, dtype), w, X)
    wide: dict[str, Any] = {name: np.asarray(w[name], np.float64) for name in "WV"}
    wide["s"] = complex(scale)
    expected = energies_of(flips(), partial(of_type, np.float64), wide, X)
    # bfloat16 has 8 bits
    tolerance = 0.1 if jnp.bfloat16 in (dtype, jnp.asarray(scale).dtype) else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_that_overflow(dtype: Any) -> None:
    large = np.asarray(np.sqrt(np.finfo(dtype).max) * 10, dtype)

    def difference_of_squares(w: Any, x: Any) -> Any:
        x = x.astype(w.dtype)
        return (w * (x[:, 0] + x[:, 1])) * (w * (x[:, 0] - x[:, 1]))

    def node(w: Any, x: Any) -> Any:
        return -jnp.square(w * x.astype(w.dtype).sum(-1))

    compared(difference_of_squares, large, np.array([[1, 1, 1, -1]], np.int8))
    compared(node, large, np.ones((1, SITES), np.int8))


def test_products_with_what_is_infinite_at_x() -> None:
    w = {"W": W[:, :SITES], "a": np.array([0, -np.inf, 0, 0])}

    def logpsi(w: Any, x: Any) -> Any:
        x = x.astype(np.float64)
        return ((x @ w["W"] + w["a"]) * (x / 2 + 0.75)).sum(-1)

    compared(logpsi, w)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.float64])
def test_whole_numbers_made_of_x(dtype: Any) -> None:
    x = X.astype(dtype)
    order = np.array([2, 0, 3, 1])

    def of_sums(w: Any, x: Any) -> Any:
        powers = 0.1 * x.sum(-1) ** 2 + abs(x.sum(-1)) * 0.3
        return powers + log_cosh((x[:, order] * 2) * 0.3).sum(-1) + x @ w[:, 0]

    check(of_sums, x)

    def sector(w: Any, x: Any) -> Any:
        return log_cosh(x @ w).sum(-1) + jnp.where(x.sum(-1) == 0, 0.0, -jnp.inf)

    bonds = models.heisenberg(SITES, RING)
    check(sector, x[2:], bonds)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_log_psi_of_whole_numbers(dtype: Any) -> None:
    check(lambda w, x: x.astype(np.int8).sum(-1), X.astype(dtype))


def test_nodes_of_two_parts() -> None:
    """One is a node at x, the other one at x': as of a network that is not split."""

    def node(w: Any, x: Any, first: int) -> Any:
        holds = x[:, first] * x[:, first + 1] * jnp.sin(x @ w[:, first]) > -0.5
        return jnp.where(holds, 0.0, -jnp.inf)

    def bar(w: Any, x: Any) -> Any:
        return jnp.where(x[:, 0] * jnp.sin(x @ w[:, 1]) > 0.8, jnp.inf, 0.0)

    def logpsi(w: Any, x: Any) -> Any:
        return x @ w[:, 2] + node(w, x, 0) + node(w, x, 2) - bar(w, x)

    x = np.array(list(product((-1, 1), repeat=SITES)), np.int8)
    split = sym.LocalEnergy(flips(), logpsi)
    whole = sym.LocalEnergy(flips(), logpsi, without=("apply-exponential-sums",))
    assert [part.rung for part in split.report(W, x, measure=False).parts] == [
        "linear",
        *["network"] * 3,
    ]
    expected = np.asarray(whole(W, x))
    assert np.isinf(expected).any()
    assert np.isfinite(expected).any()
    assert not np.isnan(expected).any()
    np.testing.assert_allclose(split(W, x), expected, rtol=1e-5)


def test_keys_among_parameters() -> None:
    def logpsi(w: Any, x: Any) -> Any:
        noise = jax.random.normal(w["keys"][1], (SITES,))
        return log_cosh(x @ w["W"]).sum(-1) + x @ noise

    keys = jax.random.split(jax.random.key(3, impl="rbg"), 2)
    given = {"W": W, "keys": keys}
    energy = sym.LocalEnergy(flips(), logpsi)
    expected = energies_of(flips(), logpsi, given, X)
    np.testing.assert_allclose(energy(given, X), expected, rtol=1e-5)
    assert energy.report(given, X, measure=False).lanes == SITES

    def total(weights: Any) -> Any:
        return energy({**given, "W": weights}, X).sum()

    @jax.jit
    def both_ways(weights: Any) -> Any:
        moved = jax.jvp(total, (weights,), (weights,))[1]
        return moved, jnp.vdot(jax.grad(total)(weights), weights)

    np.testing.assert_allclose(*both_ways(W), rtol=1e-5)


def test_ranks_that_are_not_promoted() -> None:
    """Wherever numbers of lanes meet those of samples."""
    hops = (
        sym.DOperator(sym.fock(2, SITES), "hops")
        .for_each_distinct_pair("i", "j")
        .emit(sym.hop("i", "j"), amplitude=1.0)
        .for_each_site("i")
        .emit(sym.write("i", 0), amplitude=0.3)
        .build()
        .compile()
    )
    x = np.abs(X)

    def logpsi(w: Any, x: Any) -> Any:
        one_hot = x[..., None] == jnp.arange(3)[None, None]
        return log_cosh(one_hot.reshape(len(x), -1) @ jnp.tile(w, (3, 1))).sum(-1)

    def tanh(w: Any, x: Any) -> Any:
        return jnp.tanh(x @ w) @ w[0]

    for network, budget in ((logpsi, None), (logpsi, 100), (tanh, None)):
        expected = energies_of(hops, network, W, x)
        with jax.numpy_rank_promotion("raise"):
            found = sym.LocalEnergy(hops, network, budget=budget)(W, x)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def broken(*arguments: Any, **options: Any) -> Any:
    raise KeyError("not today")


BREAKABLE = (
    ("lowering.energy.apply_exponential_sums.fit_of", "apply-exponential-sums"),
    ("lowering.bt.bt_coalesce_static.BtCoalesceStaticPass.apply", "bt-coalesce-static"),
    ("lowering.energy.write_parts.draft_of", "write-parts"),
    ("lowering.energy.lower_local_energy.Written.ratio", "not better: no part"),
)


@pytest.mark.parametrize(("place", "said"), BREAKABLE)
def test_what_fails_and_could_be_left_out_is(
    place: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def logpsi(w: Any, x: Any) -> Any:
        return log_cosh(x @ w).sum(-1)

    expected = energies_of(flips(), logpsi, W, X)
    monkeypatch.setattr(place, broken)
    with pytest.raises((sym.SymbolicCompilerError, KeyError), match="not today"):
        sym.local_energy(flips(), lambda w, x: logpsi(w, x), W, X)
    monkeypatch.delenv(STRICT)
    energy = sym.LocalEnergy(flips(), lambda w, x: logpsi(w, x))
    np.testing.assert_allclose(energy(W, X), expected, rtol=1e-5)
    text = str(energy.report(W, X, measure=False))
    assert said in text
    assert "KeyError: 'not today'" in text
    (record,) = (one for one in caplog.records if one.name == "symir")
    assert OUR_FAULT in record.getMessage()


def test_ensembles_choose_lengths_of_products_one_by_one() -> None:
    """Of single precision products may be long, or short, or not safe at all."""
    scales = np.array([0.1, 1.0, 30.0], np.float32)
    weights = scales[:, None, None] * np.ones((3, SITES, 40), np.float32)

    def logpsi(w: Any, x: Any) -> Any:
        return log_cosh(x.astype(np.float32) @ w).sum(-1)

    energy = sym.LocalEnergy(flips(), logpsi)
    assert [part.rung for part in energy.report(weights[0], X).parts] == ["exponential"]
    found = jax.vmap(lambda w: energy(w, X))(weights)
    for one, w in zip(found, weights, strict=True):
        np.testing.assert_allclose(one, energy(w, X), rtol=1e-4)


def test_what_cannot_be_written_is_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def logpsi(w: Any, x: Any) -> Any:
        return log_cosh(x @ w).sum(-1)

    expected = energies_of(flips(), logpsi, W, X)
    monkeypatch.delitem(RULES, "stablehlo.dot_general")
    energy = sym.LocalEnergy(flips(), lambda w, x: logpsi(w, x))
    np.testing.assert_allclose(energy(W, X), expected, rtol=1e-5)
    report = energy.report(W, X, measure=False)
    assert [part.rung for part in report.parts] == ["network"]
    assert "'stablehlo.dot_general' has no batching rule" in str(report)


def with_a_loop(w: Any, x: Any) -> Any:
    hidden = jnp.tanh(x @ jnp.tile(w, 16))

    def is_large(values: Any) -> Any:
        return abs(values).max() > 0.5

    return jax.lax.while_loop(is_large, jnp.sin, hidden).sum(-1)


def with_a_callback(w: Any, x: Any) -> Any:
    of_parameters = jax.pure_callback(np.copy, w, w)
    return log_cosh(x @ of_parameters).sum(-1)


def with_a_library(w: Any, x: Any) -> Any:
    return log_cosh(x @ jnp.linalg.qr(w)[0]).sum(-1)


@pytest.mark.parametrize(
    ("logpsi", "op"),
    [
        (with_a_loop, "while"),
        (with_a_callback, "custom_call"),
        (with_a_library, "custom_call"),
    ],
)
@pytest.mark.usefixtures("lifting")
def test_what_only_jax_can_link_is_a_network(logpsi: Any, op: str) -> None:
    """Also where it depends on parameters alone: text has no callbacks, say."""
    assert check(logpsi).rungs == ["network"]
    report = sym.LocalEnergy(flips(), logpsi).report(W, X, measure=False)
    assert f"a part is not written: 'stablehlo.{op}' has no batching rule" in str(
        report
    )


def test_ensembles_of_convolutions() -> None:
    """Each member has kernels of its own."""

    def logpsi(kernel: Any, x: Any) -> Any:
        image, dims = x.astype(kernel.dtype)[..., None], ("NHC", "HIO", "NHC")
        found = jax.lax.conv_general_dilated(
            image, kernel, (1,), "SAME", dimension_numbers=dims
        )
        return log_cosh(found).sum((-1, -2))

    kernels = np.random.default_rng(0).normal(size=(3, 2, 1, 5))
    energy = sym.LocalEnergy(flips(), logpsi)
    assert [part.rung for part in energy.report(kernels[0], X).parts] == ["exponential"]
    found = jax.vmap(lambda kernel: energy(kernel, X))(kernels)
    for one, kernel in zip(found, kernels, strict=True):
        np.testing.assert_allclose(one, energy(kernel, X), rtol=1e-5)


def test_mistakes_of_the_user_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STRICT)
    with pytest.raises(sym.InputError, match="R021"):
        sym.local_energy(flips(), lambda w, x: log_cosh(x @ w).sum(), W, X)
    with pytest.raises(sym.SymbolicCompilerError, match="C006"):
        sym.LocalEnergy(flips(), lambda w, x: x @ w[:, 0], without=("nothing",))(W, X)
