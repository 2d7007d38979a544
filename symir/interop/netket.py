"""Compiled operators that NetKet takes for its own.

An operator on a Hilbert space of NetKet compiles to a `NetKetOperator`, which is a
`netket.operator.DiscreteJaxOperator`: samplers, expectation values, gradients, drivers
and full summation take it as they take one of NetKet's. Its local energies are those of
`symir.runtime.local_energy`, compiled together with the network.
"""

# pyright: basic

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jax._src.core import trace_state_clean
from jax.core import Tracer
from jax.errors import JAXTypeError
from netket.jax.sharding import sharding_decorator
from netket.operator import AbstractOperator, DiscreteJaxOperator, SumOperator
from netket.operator._sum.discrete_jax_operator import SumDiscreteJaxOperator
from netket.utils import config
from netket.vqs import MCState, VariationalState, expect_and_grad
from netket.vqs.mc import get_local_kernel, kernels, kernels_packed

from symir.compiler.failures import tolerated
from symir.errors import DefinitionError, InputError, SymirError
from symir.interop.from_netket import from_netket
from symir.runtime.compiled_operator import CompiledOperator
from symir.runtime.importing import Traced
from symir.runtime.local_energy import LocalEnergy
from symir.runtime.local_energy.captured import WithCaptured, without_captured


@jax.tree_util.register_pytree_node_class
class NetKetOperator(CompiledOperator, DiscreteJaxOperator):
    """A compiled operator on a Hilbert space of NetKet.

    Its leaves are the parameters, all arrays; it hashes and compares by identity, and
    does not change. `max_conn_size` is known while JAX is tracing, too.
    """

    __hash__ = object.__hash__

    def _combined(self, operation: str, other: Any) -> Any:
        if not isinstance(other, AbstractOperator) or isinstance(other, NetKetOperator):
            return _honest(super()._combined(operation, other))
        if operation not in _SUMS:
            return _honest(_theirs(super()._combined(operation, other), self, other))
        imported = _imported(other)
        if imported is not None:
            try:
                return super()._combined(operation, imported)
            except SymirError:  # one of them is projected
                pass
        first, second = (other, self) if operation[2] == "r" else (self, other)
        operators: Any = (first, second)
        return _honest(SumOperator(*operators, coefficients=[1.0, _SUMS[operation]]))

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


# region Sums and products with operators of NetKet's own

_SUMS = {"__add__": 1.0, "__radd__": 1.0, "__sub__": -1.0, "__rsub__": -1.0}
"""The sign of the second operand."""


def _imported(other: Any) -> CompiledOperator | None:
    """Return an operator of NetKet's as ours, where `from_netket` knows it."""
    try:
        return from_netket(other).compile()
    except (SymirError, JAXTypeError):  # of another kind, or its numbers are traced
        return None


def _theirs(product: Any, first: Any, second: Any) -> Any:
    """Return NetKet's product, which the second operand may have to make."""
    return second.__rmatmul__(first) if product is NotImplemented else product


def _honest(result: Any) -> Any:
    """Return a sum of NetKet's as one that claims no more than follows."""
    if type(result) is not SumDiscreteJaxOperator:
        return result
    coefficients: Any = result.coefficients
    return HonestSum(*result.operators, coefficients=coefficients, dtype=result.dtype)


@jax.tree_util.register_pytree_node_class
class HonestSum(SumDiscreteJaxOperator):
    """A sum with an operator that is not imported.

    NetKet takes every sum for Hermitian. This one is if all operators are and all
    coefficients are real; and so are the sums that are made of it.
    """

    @property
    def is_hermitian(self) -> bool:
        """Whether that follows from the operators and coefficients."""
        factors = self.coefficients
        is_real = not isinstance(factors, Tracer) and not jnp.imag(factors).any()
        return bool(is_real) and all(one.is_hermitian for one in self.operators)


def _keep_honest(name: str) -> None:
    """Let what a method makes of such sums be one again."""
    theirs = getattr(SumDiscreteJaxOperator, name)

    @functools.wraps(theirs)
    def method(self: HonestSum, *other: Any) -> Any:
        return _honest(theirs(self, *other))

    setattr(HonestSum, name, method)


for _name in (
    *("__add__", "__radd__", "__sub__", "__mul__", "__rmul__", "__neg__"),
    *("__matmul__", "__rmatmul__"),
):
    _keep_honest(_name)


@expect_and_grad.dispatch(precedence=1)
def _expect_and_grad(
    vstate: VariationalState,
    op: NetKetOperator | SumDiscreteJaxOperator,
    *args: Any,
    **options: Any,
):
    # A sum that NetKet has made of one of ours claims what it likes
    if _has_ours(op):
        op = _honest(op)
        _check_hermitian(op, options.get("use_covariance"))
    types = [type(vstate), DiscreteJaxOperator, *map(type, args)]
    return expect_and_grad.invoke(*types)(vstate, op, *args, **options)


def _has_ours(op: Any) -> bool:
    parts = getattr(op, "operators", ())  # of a sum or product
    return isinstance(op, NetKetOperator) or any(map(_has_ours, parts))


def _check_hermitian(op: Any, use_covariance: bool | None) -> None:
    """Raise where NetKet would not compute the gradient (N017)."""
    takes = op.is_hermitian if use_covariance is None else use_covariance
    if takes or config.netket_experimental:
        return
    parts = op.operators if isinstance(op, HonestSum) else (op,)
    names = [getattr(one, "name", type(one).__name__) for one in parts]
    blamed = [
        name for name, one in zip(names, parts, strict=True) if not one.is_hermitian
    ]
    raise InputError(
        "N017",
        "the gradient of an expectation value is known of Hermitian operators only",
        operator=" + ".join(names),
        expected="is_hermitian True: declared, or proved for all values of parameters",
        found=f"is_hermitian False, of {', '.join(map(repr, blamed)) or 'a factor'}",
        hint="declare DOperator(.., hermitian=True) where it is and no cheap proof is "
        "found: op.facts().hermitian of the symbolic operator says what is known for "
        "one set of values. "
        "NetKet's own gradient of others needs NETKET_EXPERIMENTAL=1",
    )


# endregion


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
    logged, or raised in an environment that is strict: see `tolerated`.
    """
    try:
        return _on_devices(logpsi, pars, sigma, op, chunk_size)
    except DefinitionError:  # a declared delta is wrong
        raise
    # Whatever goes wrong here is no reason to stop: NetKet's kernel needs none of it,
    # and where the model or the samples are to blame it says so itself
    except Exception as error:
        failed = error
    chunked = {} if chunk_size is None else {"chunk_size": chunk_size}
    found = _their_kernel(chunk_size)(logpsi, pars, sigma, op, **chunked)
    tolerated(failed, f"local energies of {op.name!r} by NetKet's kernel")
    return found


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
    if jax.device_count() == 1:
        # Nothing differs, and no loop of a model has to say so
        return LocalEnergy(op, logpsi)(pars, sigma, chunk_size)
    if not trace_state_clean():
        one = jax.ShapeDtypeStruct((1, sigma.shape[-1]), sigma.dtype)
        traced = Traced(logpsi, pars, one)
        logpsi, pars = without_captured(logpsi, pars, traced)
    if isinstance(logpsi, WithCaptured):
        # What it holds on to was the same for all devices when it was traced
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
