"""The sampler of autoregressive models, in NetKet's place."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from symir.netket import ARDirectSampler

N = 5
HILBERT = nk.hilbert.Spin(0.5, N)

# What NetKet's classes take is hidden by their metaclass
operators: Any = nk.operator
ISING = operators.Ising(HILBERT, nk.graph.Chain(N), h=1.0)


class Product(nn.Module):
    """A model with log psi alone."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        w = self.param("w", nn.initializers.normal(1.0), (N,))
        return jax.nn.log_sigmoid(2 * x * w).sum(-1) / 2


class Recurrent(nn.Module):
    """A model with a loop over sites, which NetKet draws from."""

    machine_pow: int = 2

    def conditionals(self, x: Any) -> Any:
        def step(state: Any, value: Any) -> Any:
            own = jnp.stack([state, -state], axis=-1)
            return jnp.cos(state + value), jax.nn.softmax(own)

        _, found = jax.lax.scan(step, jnp.ones(len(x)), x.T.astype(float))
        return found.transpose(1, 0, 2)

    @nn.compact
    def __call__(self, x: Any) -> Any:
        self.param("w", nn.initializers.normal(1.0), (1,))
        own = ((x + 1) / 2).astype(int)[..., None]
        chosen = jnp.take_along_axis(self.conditionals(x), own, axis=-1)
        return jnp.log(chosen[..., 0]).sum(-1) / 2

    @nn.compact
    def conditional(self, x: Any, index: Any) -> Any:
        self.param("w", nn.initializers.normal(1.0), (1,))
        return self.conditionals(x)[:, index]

    def reorder(self, x: Any) -> Any:
        return x


def state(model: Any, **options: Any) -> Any:
    sampler = ARDirectSampler(HILBERT)
    return nk.vqs.MCState(sampler, model, n_samples=500, seed=1, **options)


def test_a_state_has_its_samples() -> None:
    model = nk.models.ARNNDense(hilbert=HILBERT, layers=2, features=3)
    own = state(model)
    samples = own.samples
    assert (samples.shape, samples.dtype) == ((1, 500, N), jnp.int8)
    assert np.any(own.sample() != samples)  # its key has moved on
    exact = nk.vqs.FullSumState(HILBERT, model, variables=own.variables)
    found, expected = own.expect(ISING), exact.expect(ISING)
    assert abs(found.mean - expected.mean) < 5 * found.error_of_mean


def test_a_driver_takes_it() -> None:
    own = state(nk.models.ARNNDense(hilbert=HILBERT, layers=1, features=2))
    driver = nk.driver.VMC(ISING, nk.optimizer.Sgd(0.1), variational_state=own)
    before = own.expect(ISING).mean.real
    driver.run(10, show_progress=False)
    assert own.expect(ISING).mean.real < before - 0.5


def test_a_model_needs_log_psi_alone() -> None:
    own = state(Product())
    assert own.samples.shape == (1, 500, N)


def test_logarithms_of_probabilities_are_returned() -> None:
    model = nk.models.ARNNDense(hilbert=HILBERT, layers=1, features=2, machine_pow=1)
    own = state(model)
    given = {"state": own.sampler_state, "chain_length": 3}
    (x, log), _ = own.sampler.sample(
        model, own.variables, **given, return_log_probabilities=True
    )
    assert (x.shape, log.shape) == ((1, 3, N), (1, 3))
    expected: Any = model.apply(own.variables, x[0])
    np.testing.assert_allclose(log[0], expected.real)


def test_netket_draws_what_has_no_terms() -> None:
    with pytest.warns(UserWarning, match="N020"):
        samples = state(Recurrent()).samples
    assert samples.shape == (1, 500, N)


def test_a_wavefunction_that_is_not_normalised_is_refused() -> None:
    class Twice(Product):
        def __call__(self, x: Any) -> Any:
            return 2 * super().__call__(x)

    with pytest.raises(sym.InputError, match="R022"):
        _ = state(Twice()).samples
