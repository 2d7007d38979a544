"""The JAX primitive that runs kernels.

Its lowering rule parses the kernel's StableHLO and merges it into the module that JAX
is building, as a function and a call: XLA then fuses it with whatever is around it.
"""

# pyright: basic

from __future__ import annotations

import math
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.interpreters.mlir import ir
from jaxlib.mlir.dialects import func

from symir.runtime.kernel import Kernel
from symir.runtime.steps import check_differentiable
from symir.spans import span

connections_p = Primitive("symir_connections")
"""(x, *parameters) -> (x', matrix elements); x is (batch, sites)."""

connections_p.multiple_results = True


@partial(jax.jit, static_argnums=2)
def connections(x: jax.Array, parameters: tuple, kernel: Kernel):
    """Return the connected configurations and matrix elements.

    x has shape (..., sites); x' has shape (..., lanes, sites) and x's dtype, the matrix
    elements have shape (..., lanes) and the operator's dtype.
    """
    lead, sites = x.shape[:-1], x.shape[-1]
    # -1 cannot be inferred where a dimension is 0
    flat = x.reshape(math.prod(lead), sites)
    connected, elements = connections_p.bind(flat, *parameters, kernel=kernel)
    return (
        connected.reshape(*lead, kernel.lanes, sites),
        elements.reshape(*lead, kernel.lanes),
    )


@connections_p.def_impl
def _impl(x, *parameters, kernel: Kernel):
    # Without jit it would come back here for ever
    with jax.disable_jit(False):
        return list(connections(x, parameters, kernel))


@connections_p.def_abstract_eval
def _abstract_eval(x, *parameters, kernel: Kernel):
    batch, sites = x.shape
    # update() keeps what else the type says, such as the manual axes of shard_map
    connected = x.update(shape=(batch, kernel.lanes, sites))
    elements = x.update(
        shape=(batch, kernel.lanes), dtype=kernel.dtype, weak_type=False
    )
    return [connected, elements]


def _lowering(ctx, x, *parameters, kernel: Kernel):
    aval = ctx.avals_in[0]
    text = kernel.stablehlo(aval.shape[0], aval.dtype)
    with span("merge", "kernel", operator=kernel.name, bytes=len(text)):
        module = ir.Module.parse(text, context=ctx.module_context.context)
        (function,) = cast(Any, module.body.operations)
        results = function.type.results
        name = mlir.merge_mlir_modules(
            ctx.module_context.module,
            f"symir_{kernel.fingerprint[:8]}",
            module,
            dst_symtab=ctx.module_context.symbol_table,
        )
    call = func.CallOp(results, ir.FlatSymbolRefAttr.get(name), [x, *parameters])
    return call.results


mlir.register_lowering(connections_p, _lowering)


def _batching(arguments, axes, *, kernel: Kernel):
    """Fold a mapped axis of x into the batch; vectorise over mapped parameters.

    An axis is None where an argument is not mapped.
    """
    x, *parameters = arguments
    x_axis, *parameter_axes = axes
    if any(axis is not None for axis in parameter_axes):
        return _over_parameters(arguments, axes, kernel)
    x = jnp.moveaxis(x, x_axis, 0)
    return list(connections(x, tuple(parameters), kernel)), [0, 0]


def _over_parameters(arguments, axes, kernel: Kernel):
    """Let JAX vectorise the ops of the kernel."""
    shape = list(arguments[0].shape)
    if axes[0] is not None:
        del shape[axes[0]]
    function = kernel.traceable(shape[0], arguments[0].dtype)
    return list(jax.vmap(function, axes)(*arguments)), [0, 0]


batching.primitive_batchers[connections_p] = _batching


def _jvp(primals, tangents, *, kernel: Kernel):
    """Push tangents through the ops of the kernel, where it has derivatives."""
    active = [_is_active(tangent) for tangent in tangents]
    results = connections_p.bind(*primals, kernel=kernel)
    x = primals[0]
    check_differentiable(kernel, x.shape[0], x.dtype, active)
    function = kernel.traceable(x.shape[0], x.dtype)

    def of_active(*chosen):
        given = iter(chosen)
        merged = [
            next(given) if is_active else primal
            for primal, is_active in zip(primals, active, strict=True)
        ]
        # Integers have no tangents
        return [y for y in function(*merged) if jnp.issubdtype(y.dtype, jnp.inexact)]

    chosen = [p for p, is_active in zip(primals, active, strict=True) if is_active]
    pushed = [t for t, is_active in zip(tangents, active, strict=True) if is_active]
    found = iter(jax.jvp(of_active, chosen, pushed)[1]) if chosen else iter(())
    return results, [
        next(found)
        if chosen and jnp.issubdtype(result.dtype, jnp.inexact)
        else _no_tangent(result)
        for result in results
    ]


def _no_tangent(result):
    return ad.Zero(jax.typeof(result).to_tangent_aval())


def _is_active(tangent) -> bool:
    return not isinstance(tangent, ad.Zero) and tangent.dtype != jax.dtypes.float0


ad.primitive_jvps[connections_p] = _jvp
