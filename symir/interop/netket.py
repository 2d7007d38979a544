"""Compiled operators that NetKet takes for its own.

An operator on a Hilbert space of NetKet compiles to a `NetKetOperator`, which is a
`netket.operator.DiscreteJaxOperator`: samplers, expectation values, gradients, drivers
and full summation take it as they take one of NetKet's. Its local energies are those of
`symir.runtime.local_energy`, compiled together with the network.
"""

# pyright: basic

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import jax
from netket.jax.sharding import sharding_decorator
from netket.operator import AbstractOperator, DiscreteJaxOperator, SumOperator
from netket.utils import config
from netket.vqs import MCState
from netket.vqs.mc import get_local_kernel, kernels, kernels_packed

from symir.errors import InputError
from symir.runtime.local_energy import LocalEnergy
from symir.runtime.local_energy.captured import WithCaptured, without_captured
from symir.runtime.operator import CompiledOperator

__all__ = ["NetKetOperator", "fused_local_energy", "local_energy_kernel"]

logger = logging.getLogger(__name__)


@jax.tree_util.register_pytree_node_class
class NetKetOperator(CompiledOperator, DiscreteJaxOperator):
    """A compiled operator on a Hilbert space of NetKet.

    Its leaves are the parameters, all arrays; it hashes and compares by identity, and
    does not change. `max_conn_size` is known while JAX is tracing, too.
    """

    __hash__ = object.__hash__

    # With an operator of NetKet's own the sum is NetKet's. It is made here: not every
    # class of NetKet answers to an operator of another class.

    def __add__(self, other: Any) -> Any:
        return _sum(self, other, 1) if _is_theirs(other) else super().__add__(other)

    def __sub__(self, other: Any) -> Any:
        return _sum(self, other, -1) if _is_theirs(other) else super().__sub__(other)

    def __rsub__(self, other: Any) -> Any:
        return _sum(other, self, -1) if _is_theirs(other) else super().__rsub__(other)

    def to_numba_operator(self) -> NoReturn:
        """Raise an InputError: there is none, and `LocalLiouvillian` asks for it."""
        raise InputError(
            "N019",
            "operators of symir have no form for Numba, which open systems need",
            operator=self.name,
            expected="operators of NetKet in a LocalLiouvillian",
            found=repr(self),
            hint="write the Hamiltonian and the jump operators with netket.operator",
        )

    def __repr__(self) -> str:
        return CompiledOperator.__repr__(self).replace(
            "CompiledOperator", "NetKetOperator"
        )


def _sum(first: Any, second: Any, sign: int) -> Any:
    operators: Any = (first, second)
    return SumOperator(*operators, coefficients=[1.0, float(sign)])


def _is_theirs(value: Any) -> bool:
    return isinstance(value, AbstractOperator) and not isinstance(value, NetKetOperator)


# region Local energies

_FUSED = ContextVar(
    "symir_fused_local_energy",
    default=os.environ.get("SYMIR_FUSED_LOCAL_ENERGY", "1") not in ("0", "false"),
)


@contextmanager
def fused_local_energy(enabled: bool) -> Iterator[None]:
    """Say whether states of NetKet use our local energies, in a `with` block.

    They do by default, unless the environment variable `SYMIR_FUSED_LOCAL_ENERGY` is 0.
    """
    token = _FUSED.set(enabled)
    try:
        yield
    finally:
        _FUSED.reset(token)


def local_energy_kernel(
    logpsi: Callable[..., Any],
    pars: Any,
    sigma: jax.Array,
    op: NetKetOperator,
    *,
    chunk_size: int | None = None,
) -> jax.Array:
    """Return the local energies of samples (B, N), (B,): a local kernel of NetKet's.

    The network sees `chunk_size` configurations at once, at most. Where the network and
    the operator cannot be compiled together the kernel is NetKet's own; the reason is
    logged.
    """
    try:
        return _on_devices(logpsi, pars, sigma, op, chunk_size)
    # Whatever goes wrong here is no reason to stop: NetKet's kernel needs none of it,
    # and where the model or the samples are to blame it says so itself
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        logger.warning("local energies of %r by NetKet's kernel: %s", op.name, reason)
    chunked = {} if chunk_size is None else {"chunk_size": chunk_size}
    return _their_kernel(chunk_size)(logpsi, pars, sigma, op, **chunked)


def _on_devices(
    logpsi: Callable[..., Any],
    pars: Any,
    sigma: jax.Array,
    op: NetKetOperator,
    chunk_size: int | None,
) -> jax.Array:
    """Return local energies, those of its own samples by each device.

    Of what differs between them, x here and parameters while they are differentiated,
    sums over devices are taken once, at the end: there is none in the kernel.
    """
    one = jax.ShapeDtypeStruct((1, sigma.shape[-1]), sigma.dtype)
    logpsi, pars = without_captured(logpsi, pars, one)
    if isinstance(logpsi, WithCaptured) or jax.device_count() == 1:
        # What it holds on to was the same for all devices when it was traced. Of one
        # device nothing differs, and no loop of a model has to say so
        return LocalEnergy(op, logpsi)(pars, sigma, chunk_size)

    def of_device(pars: Any, sigma: jax.Array, op: NetKetOperator) -> jax.Array:
        return LocalEnergy(op, logpsi)(pars, sigma, chunk_size)

    # Of these flags a pytree is taken, whatever its type says
    vary: Any = (True, False, True)
    return sharding_decorator(
        of_device,
        sharded_args_tree=(False, True, False),
        pvary_args_tree=vary,
    )(pars, sigma, op)


def _their_kernel(chunk_size: int | None) -> Callable[..., Any]:
    """Return the kernel that NetKet has for any operator of JAX."""
    if config.netket_experimental_packed_kernel:
        return kernels_packed.local_value_kernel_jax_packed
    if chunk_size is None:
        return kernels.local_value_kernel_jax
    return kernels.local_value_kernel_jax_chunked


# A state of a density matrix is an `MCState`, too: there NetKet's rule goes first


@get_local_kernel.dispatch(precedence=-1)
def _kernel(vstate: MCState, op: NetKetOperator):
    return local_energy_kernel if _FUSED.get() else _their_kernel(None)


@get_local_kernel.dispatch(precedence=-1)
def _kernel_in_chunks(vstate: MCState, op: NetKetOperator, chunk_size: int):
    return local_energy_kernel if _FUSED.get() else _their_kernel(chunk_size)


# endregion
