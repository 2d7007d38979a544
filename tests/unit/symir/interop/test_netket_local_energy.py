"""States of NetKet use our local energies: numbers and gradients stay NetKet's."""

# pyright: basic

from __future__ import annotations

import logging
from collections.abc import Generator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest
from netket.vqs.mc import get_local_kernel as _get_local_kernel
from netket.vqs.mc import kernels

import symir as sym
from symir.compiler.failures import OUR_FAULT, STRICT
from symir.interop.netket import local_energy_kernel
from tests.unit.symir.interop.matrices import matrix_of_branches as dense
from tests.unit.symir.interop.matrices import states_of

# NetKet would rather have another class of its own
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:\s*WARNING. Initializing"),
    pytest.mark.filterwarnings(r"ignore:\s*Ignoring chunk_size"),
]

models: Any = nk.models
get_local_kernel: Any = _get_local_kernel
SITES = 6
CHAIN = nk.graph.Chain(SITES)
HILBERT = nk.hilbert.Spin(0.5, SITES)
MODELS = {
    "real": models.RBM(alpha=1, param_dtype=float),
    "complex": models.RBM(alpha=1, param_dtype=complex),
    "phase": models.RBMModPhase(alpha=1, param_dtype=float),
    "any": models.MLP(hidden_dims=(3,), param_dtype=float),
    "own": models.RBM(alpha=2, param_dtype=float),
    "loop": models.tensor_networks.MPSPeriodic(HILBERT, 2, param_dtype=float),
}
i, j = sym.site("i"), sym.site("j")


@pytest.fixture(autouse=True)
def no_fallback(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    yield
    logged = caplog.get_records("call")
    assert not [one for one in logged if one.name == "symir"]


@pytest.fixture
def experimental() -> Generator[None]:
    """Let NetKet differentiate what operators that are not Hermitian yield."""
    nk.config.update("NETKET_EXPERIMENTAL", True)
    yield
    nk.config.update("NETKET_EXPERIMENTAL", False)


@cache
def operator(*, hermitian: bool = True) -> Any:
    h = sym.symbol("h", default=0.8)
    return (
        sym.DOperator(HILBERT, "model", hermitian=hermitian)
        .for_each_edge(CHAIN)
        .emit(amplitude=i * j)
        .emit_if(i != j, sym.swap("i", "j"), amplitude=2.0)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-h if hermitian else -h * (1 + 0.4 * i))
        .build()
        .compile()
    )


def state(model: str = "real", **options: Any) -> Any:
    sampler = nk.sampler.MetropolisLocal(HILBERT, n_chains=8)
    vstate = nk.vqs.MCState(
        sampler, MODELS[model], n_samples=32, seed=1, sampler_seed=2, **options
    )
    vstate.init_parameters(jax.nn.initializers.normal(0.3), seed=3)
    # Given: to draw samples, NetKet compiles a kernel for each model
    vstate._samples = HILBERT.random_state(jax.random.key(4), 32).reshape(8, 4, SITES)
    return vstate


def close(ours: Any, theirs: Any) -> None:
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def statistics(vstate: Any, op: Any) -> Any:
    energy, gradient = vstate.expect_and_grad(op)
    return energy.mean, energy.variance, gradient


def same_without_fusion(vstate: Any, op: Any) -> None:
    ours = statistics(vstate, op)
    with sym.fused_local_energy(False):
        assert get_local_kernel(vstate, op) is kernels.local_value_kernel_jax
        close(ours, statistics(vstate, op))
    assert get_local_kernel(vstate, op) is local_energy_kernel


@pytest.mark.parametrize(
    ("model", "chunk_size"),
    [("real", 8), ("complex", None), ("phase", 8), ("any", None), ("loop", None)],
)
def test_hermitian_operators(model: str, chunk_size: int | None):
    same_without_fusion(state(model, chunk_size=chunk_size), operator())


@pytest.mark.parametrize("chunk_size", [None, 8])
def test_one_energy_for_each_sample(chunk_size: int | None):
    vstate, op = state("complex", chunk_size=chunk_size), operator()
    x = states_of(HILBERT)
    psi = np.exp(np.asarray(vstate.log_value(x)))
    expected = dict(zip(map(tuple, x), dense(op) @ psi / psi, strict=True))
    samples = np.asarray(vstate.samples)
    expected = np.apply_along_axis(lambda one: expected[tuple(one)], -1, samples)
    close(vstate.local_estimators(op).data, expected)


# There NetKet differentiates through the kernel
@pytest.mark.parametrize(("model", "chunk_size"), [("complex", None), ("phase", 8)])
def test_other_operators(model: str, chunk_size: int | None, experimental: None):
    vstate = state(model, chunk_size=chunk_size)
    same_without_fusion(vstate, operator(hermitian=False))


def test_derivatives_by_parameters_of_the_operator():
    vstate, op = state("complex"), operator(hermitian=False)
    x = vstate.samples.reshape(-1, SITES)

    def mean(h: Any, kernel: Any) -> Any:
        values = kernel(vstate._apply_fun, vstate.variables, x, op.replace(h=h))
        return values.real.mean()

    for transform in (jax.grad, jax.jacfwd):
        found, expected = (
            jax.jit(transform(lambda h, k=kernel: mean(h, k)))(0.5)
            for kernel in (local_energy_kernel, kernels.local_value_kernel_jax)
        )
        close(found, expected)


def test_sums_with_operators_of_netket():
    sigma_x: Any = nk.operator.spin.sigmax
    theirs = sigma_x(HILBERT, 0).to_jax_operator()
    vstate, op = state("complex"), operator()
    expected = vstate.expect(op).mean + vstate.expect(theirs).mean
    close(vstate.expect(op + theirs).mean, expected)
    vstate.chunk_size = 8
    close(vstate.expect(op + theirs).mean, expected)


def test_squares_and_full_summation():
    vstate, op = state(), operator()
    squared = vstate.expect(nk.operator.Squared(op)).mean
    close(squared, jnp.mean(jnp.abs(vstate.local_estimators(op).data) ** 2))
    full = nk.vqs.FullSumState(HILBERT, MODELS["real"], variables=vstate.variables)
    psi = full.to_array()
    close(full.expect(op).mean, psi.conj() @ dense(op) @ psi)


def test_density_matrices_have_the_kernel_of_netket():
    ndm: Any = models.NDM(alpha=1, beta=1)
    doubled = nk.hilbert.DoubledHilbert(nk.hilbert.Spin(0.5, 2))
    sampler = nk.sampler.MetropolisLocal(doubled, n_chains=4)
    mixed = nk.vqs.MCMixedState(sampler, ndm, n_samples=16, n_samples_diag=16)
    flips = sym.DOperator(nk.hilbert.Spin(0.5, 2), "flips").for_each_site("i")
    op = flips.emit(sym.flip("i"), amplitude=0.5).build().to_netket()
    assert get_local_kernel(mixed, op) is kernels.local_value_op_op_cost
    assert np.isfinite(mixed.expect(op).mean)


@pytest.mark.parametrize("driver", ["VMC", "VMC_SR"])
def test_drivers(driver: str):
    def optimised() -> Any:
        vstate, optimizer = state(), nk.optimizer.Sgd(0.05)
        options = {"diag_shift": 0.01} if driver == "VMC_SR" else {}
        run: Any = getattr(nk.driver, driver)(
            operator(), optimizer, variational_state=vstate, **options
        )
        run.run(2, show_progress=False, out=nk.logging.RuntimeLog())
        return vstate.parameters

    ours = optimised()
    with sym.fused_local_energy(False):
        theirs = optimised()
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


def test_a_state_of_the_model_that_is_traced_is_followed():
    # The function that NetKet makes of such a model holds on to what it is tracing
    vstate, op = state(), operator()
    x = vstate.samples.reshape(-1, SITES)

    def energies(scale: Any, kernel: Any) -> Any:
        def logpsi(variables: Any, x: Any) -> Any:
            return scale * vstate._apply_fun(variables, x)

        return kernel(logpsi, vstate.variables, x, op).mean()

    found, expected = (
        jax.jit(jax.value_and_grad(lambda s, k=kernel: energies(s, k)))(0.7)
        for kernel in (local_energy_kernel, kernels.local_value_kernel_jax)
    )
    close(found, expected)


class TestFallback:
    @pytest.fixture(autouse=True)
    def no_fallback(self):
        """Here it is meant."""

    @pytest.mark.parametrize("chunk_size", [None, 8])
    def test_what_is_not_compiled_is_left_to_netket(
        self,
        chunk_size: int | None,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ):
        def broken(*arguments: Any, **options: Any) -> Any:
            raise RuntimeError("not today\nnor tomorrow")

        # No other test has compiled the local energies of this model
        vstate, op = state("own", chunk_size=chunk_size), operator()
        with sym.fused_local_energy(False):
            expected = vstate.expect(op).mean
        monkeypatch.setattr("symir.interop.netket.LocalEnergy", broken)
        with pytest.raises(RuntimeError, match="not today"):
            vstate.expect(op)
        monkeypatch.delenv(STRICT)
        with caplog.at_level(logging.WARNING):
            close(vstate.expect(op).mean, expected)
        (record,) = (one for one in caplog.records if one.name == "symir")
        assert OUR_FAULT in record.message
        assert "'model' by NetKet's kernel: RuntimeError: not today" in record.message
        assert "tomorrow" not in record.message
