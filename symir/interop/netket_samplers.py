"""Samplers that NetKet takes for its own."""

# pyright: basic

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import netket.sampler
from netket.utils import config

from symir.errors import InputError, warn
from symir.runtime.autoregressive import Autoregressive


class ARDirectSampler(netket.sampler.ARDirectSampler):
    """Exact samples of an autoregressive model, site after site, with what is known.

    It is the sampler of NetKet of that name, for `MCState` and drivers, with the
    samples of `symir.Autoregressive`. NetKet evaluates the whole network for each site
    of models such as `ARNNDense`; here what a layer computes for a site is computed
    once. The model needs no method but its log psi, and may be a function; it is drawn
    of |psi| ** machine_pow if it has that attribute, or of |psi| ** 2.

    Of a model that symir cannot draw from NetKet draws, with a warning (N020).
    """

    def _sample_chain(
        self,
        model: Any,
        variables: Any,
        state: Any,
        chain_length: int,
        return_log_probabilities: bool = False,
    ) -> Any:
        parameters = {one: variables[one] for one in variables if one != "cache"}
        power = getattr(model, "machine_pow", 2)
        own = Autoregressive(model.apply, self.hilbert, power=power)
        new, key = jax.random.split(state.key)
        try:
            x, log_psi = own.sample(
                parameters,
                key,
                self.n_batches * chain_length,
                dtype=self.dtype,
                sharding=_spread() if config.netket_sharding else None,
            )
        except InputError as error:
            if error.code != "C033" or not hasattr(model, "conditional"):
                raise
            warn(
                UserWarning,
                "N020",
                "NetKet draws the samples of this model, by its method `conditional`",
                found=f"{type(model).__name__}: {error.found}",
            )
            return super()._sample_chain(
                model, variables, state, chain_length, return_log_probabilities
            )
        shape = self.n_batches, chain_length
        samples = x.reshape(*shape, self.hilbert.size)
        state = state.replace(key=new)
        if not return_log_probabilities:
            return samples, state
        return (samples, (power * jnp.real(log_psi)).reshape(shape)), state


def _spread() -> Any:
    """Return how NetKet has samples on its devices."""
    mesh = jax.sharding.get_abstract_mesh()
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("S"))
