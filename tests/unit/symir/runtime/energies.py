"""Local energies as the sum over x', with the network at every x'."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from symir.operator import SymbolicOperator


def energies_of(op: Any, logpsi: Callable[..., Any], parameters: Any, x: Any) -> Any:
    """Return the energies of x (B, N), as (B,); x' that is a node adds nothing.

    All is compiled at once: op by op most of the time of a test was XLA's, for
    executables of one op.
    """
    compiled = op.compile() if isinstance(op, SymbolicOperator) else op

    @jax.jit
    def energies(parameters: Any, x: Any) -> Any:
        connected, elements = compiled.get_conn_padded(x)
        before = logpsi(parameters, x).reshape(-1)
        after = logpsi(parameters, connected.reshape(-1, x.shape[1]))
        after = after.reshape(elements.shape)
        stays = (connected == x[:, None]).all(axis=2)
        nothing = (elements == 0) | jnp.isneginf(after.real) & ~stays
        ratios = jnp.exp(jnp.where(stays, 0, after - before[:, None]))
        return jnp.where(nothing, 0, elements * ratios).sum(axis=1)

    return energies(parameters, x)
