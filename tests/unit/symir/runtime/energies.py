"""Local energies as the sum over x', with the network at every x'."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dialects.interpreters.sym import connections
from symir.operator.symbolic_operator import SymbolicOperator

Network = Callable[..., Any]


def energies_of(op: Any, logpsi: Network, parameters: Any, x: Any) -> Any:
    """Return the energies of x (B, N), as (B,); x' that is a node adds nothing.

    XLA compiles the network alone: branches are those of the reference interpreter, and
    NumPy adds them up. All of it is compiled, at once, where JAX traces something: op
    by op most of the time of a test was XLA's, for executables of one op.
    """
    if isinstance(op, SymbolicOperator):
        op = op.compile()
    if _is_traced(x, op.parameters):
        return _traced(logpsi, parameters, x, *op.get_conn_padded(x))
    x = np.asarray(x)
    connected, elements = connections(op.kernel.ir.module, x, op.parameters)
    rows, inverse = np.unique(_with(np, x, connected), axis=0, return_inverse=True)
    found = parameters
    if not _is_traced(parameters):
        found = _jitted(logpsi)(parameters, _padded(rows))
    if _is_traced(found):
        return _traced(logpsi, parameters, x, connected, elements)
    amplitudes = np.asarray(found).reshape(-1)[inverse.reshape(-1)]
    with np.errstate(all="ignore"):
        return _summed(np, amplitudes, x, connected, elements)


def _padded(rows: Any) -> Any:
    """Return rows with the last one repeated, so that few shapes are compiled."""
    count = 1 << max(len(rows) - 1, 0).bit_length()
    return np.concatenate([rows, rows[-1:].repeat(count - len(rows), axis=0)])


def _jitted(logpsi: Network) -> Network:
    """Compile a network, once for all calls if it holds on to nothing."""
    if isinstance(logpsi, FunctionType) and logpsi.__closure__ is None:
        return _jitted_once(logpsi)
    # A new function: JAX would not trace an old one again, whatever it holds by now
    return jax.jit(lambda *given: logpsi(*given))


@lru_cache(maxsize=64)
def _jitted_once(logpsi: Network) -> Network:
    return jax.jit(lambda *given: logpsi(*given))


def _is_traced(*values: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def _traced(logpsi: Network, parameters: Any, *branches: Any) -> Any:
    @jax.jit
    def energies(parameters: Any, x: Any, connected: Any, elements: Any) -> Any:
        amplitudes = logpsi(parameters, _with(jnp, x, connected))
        return _summed(jnp, amplitudes, x, connected, elements)

    return energies(parameters, *branches)


def _with(xp: Any, x: Any, connected: Any) -> Any:
    """Return each x and its x', as (B (K + 1), N)."""
    return xp.concatenate([x[:, None], connected], axis=1).reshape(-1, x.shape[1])


def _summed(xp: Any, amplitudes: Any, x: Any, connected: Any, elements: Any) -> Any:
    amplitudes = amplitudes.reshape(len(x), -1)
    before, after = amplitudes[:, :1], amplitudes[:, 1:]
    stays = (connected == x[:, None]).all(axis=2)
    nothing = (elements == 0) | xp.isneginf(after.real) & ~stays
    ratios = xp.exp(xp.where(stays, 0, after - before))
    return xp.where(nothing, 0, elements * ratios).sum(axis=1)
