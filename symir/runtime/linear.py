"""Linear functions of JAX with a transpose of their own.

The tangent of a local energy is pushed forward through the kernel, whose loops are as
long as there are live lanes: JAX cannot transpose those. So the tangent is one op that
knows how to be transposed: by another computation. Unlike `jax.custom_vjp` it leaves
forward mode alone, and it is vectorised and differentiated again like any other.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import eval_jaxpr
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.interpreters.partial_eval import dce_jaxpr

from symir.runtime.shards import knows_devices

_Forward = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]

linear_p = Primitive("symir_linear")
linear_p.multiple_results = True


def linear_function(
    forward: _Forward,
    transpose: _Forward,
    residuals: Sequence[Any],
    arguments: Sequence[Any],
    *,
    smooth: _Forward,
    like: Any,
) -> list[Any]:
    """Return forward(residuals, arguments), which is linear in the arguments.

    `transpose(residuals, cotangents)` returns the cotangents of the arguments, and
    `smooth` what `forward` does, by ops that JAX can differentiate in every mode: it is
    what derivatives by the residuals are taken of. All take and return sequences of
    arrays; the functions are static. The one result has the type of `like`: where it is
    only transposed, `forward` is never traced, which rules of `jax.custom_vjp` forbid.
    """
    result = linear_p.bind(
        lax.stop_gradient(like),
        *residuals,
        *arguments,
        forward=forward,
        transpose=transpose,
        smooth=smooth,
        count=len(residuals),
    )
    return list(result)


def _run(
    _, *arrays, forward: _Forward, transpose: _Forward, smooth: _Forward, count: int
):
    def of(*arrays):
        return list(forward(arrays[:count], arrays[count:]))

    # JAX forgets what nothing needs in what it compiles, not inside of a primitive: it
    # may have no rule there, as tangents of `jax.custom_vjp` behind a step
    traced = jax.make_jaxpr(of)(*arrays)
    needed, _ = dce_jaxpr(traced.jaxpr, [True] * len(traced.out_avals), True)
    return eval_jaxpr(needed, traced.consts, *arrays)


@linear_p.def_abstract_eval
def _abstract_eval(like, *_, **__):
    return [like]


linear_p.def_impl(_run)
mlir.register_lowering(linear_p, mlir.lower_fun(_run))
knows_devices(linear_p)  # it has no jaxpr in which JAX could see what does


def _transpose(cotangents, _, *arrays, forward, transpose, smooth, count: int):
    residuals, arguments = arrays[:count], arrays[count:]
    given = [
        ad.instantiate_zeros(ct) if isinstance(ct, ad.Zero) else ct for ct in cotangents
    ]
    results = transpose(residuals, given)
    return [None] * (1 + count) + [
        result if ad.is_undefined_primal(argument) else None
        for result, argument in zip(results, arguments, strict=True)
    ]


ad.primitive_transposes[linear_p] = _transpose


def _jvp(primals, tangents, *, forward, transpose, smooth, count: int):
    static = {"forward": forward, "transpose": transpose, "smooth": smooth}
    like, *primals = primals
    _, *tangents = tangents
    results = linear_p.bind(like, *primals, **static, count=count)
    changes = [ad.instantiate_zeros(tangent) for tangent in tangents]
    by_residuals = [
        not isinstance(tangent, ad.Zero) and tangent.dtype != jax.dtypes.float0
        for tangent in tangents[:count]
    ]
    moving = [like, *primals[:count], *changes[count:]]
    pushed = linear_p.bind(*moving, **static, count=count)
    if not any(by_residuals):
        return results, pushed

    def of_residuals(*active):
        given = iter(active)
        residuals = [
            next(given) if is_active else primal
            for primal, is_active in zip(primals[:count], by_residuals, strict=True)
        ]
        return list(smooth(residuals, primals[count:]))

    active = [p for p, flag in zip(primals, by_residuals, strict=False) if flag]
    moved = [t for t, flag in zip(tangents, by_residuals, strict=False) if flag]
    _, more = jax.jvp(of_residuals, active, moved)
    return results, [one + other for one, other in zip(pushed, more, strict=True)]


ad.primitive_jvps[linear_p] = _jvp


def _batching(arrays, axes, *, forward, transpose, smooth, count: int):
    (size,) = {
        array.shape[axis]
        for array, axis in zip(arrays, axes, strict=True)
        if axis is not None
    }
    # Of arguments that are not mapped the transpose has to be summed: as that of this.
    # The first array has the type of the result
    moved = [
        jnp.broadcast_to(array, (size, *array.shape))
        if axis is None and not 0 < number <= count
        else array
        if axis is None
        else jnp.moveaxis(array, axis, 0)
        for number, (array, axis) in enumerate(zip(arrays, axes, strict=True))
    ]
    mapped = [None if axis is None else 0 for axis in axes[1 : 1 + count]]

    def of_many(function):
        def mapped_function(residuals, others):
            return jax.vmap(lambda r, o: list(function(r, o)), (mapped, 0))(
                list(residuals), list(others)
            )

        return mapped_function

    results = linear_p.bind(
        *moved,
        forward=of_many(forward),
        transpose=of_many(transpose),
        smooth=of_many(smooth),
        count=count,
    )
    return results, [0] * len(results)


batching.primitive_batchers[linear_p] = _batching
