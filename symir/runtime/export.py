"""Compiled operators as portable files: they run where JAX is, without symir."""

# pyright: basic

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from symir.errors import SymbolicCompilerError
from symir.language.scalars import is_count
from symir.runtime.compiled_operator import CompiledOperator

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
"""The platforms that JAX lowers for, wherever it runs itself."""


def exported_bytes(
    compiled: CompiledOperator,
    *,
    batch: str | int,
    dtype: np.dtype,
    chunk: int,
    platforms: Sequence[str],
) -> bytearray:
    """Return `(x, parameters) -> (x', matrix elements)` as serialised by `jax.export`.

    Raises:
        InputError: for a dtype that cannot hold the local values (R002).
        SymbolicCompilerError: for a batch, chunk or platform that cannot be (C025), or
            where the serialiser of JAX is missing (C024).
    """
    _check_sizes(compiled.name, batch, chunk, platforms)
    kernel = compiled.kernel
    parameters = {
        name: jax.ShapeDtypeStruct((), dtype)
        for name, dtype in zip(
            kernel.parameter_names, kernel.parameter_dtypes, strict=True
        )
    }
    size = batch if isinstance(batch, int) else _symbol(compiled.name, batch)
    x = jax.ShapeDtypeStruct((size, kernel.space.size), dtype)

    def run(x, parameters):
        bound = compiled.replace(**parameters)
        if isinstance(batch, int):
            return bound.get_conn_padded(x)
        return _in_chunks(bound, x, chunk)

    exported = export.export(jax.jit(run), platforms=platforms)(x, parameters)
    try:
        return exported.serialize()
    except ImportError as error:
        raise SymbolicCompilerError(
            "C024",
            "exporting needs what JAX serialises with",
            operator=compiled.name,
            expected="the package flatbuffers",
            found=str(error),
            hint='pip install "symir[export]"',
        ) from error


def _in_chunks(compiled: CompiledOperator, x: jax.Array, chunk: int):
    """Run a kernel of a fixed batch size on as many chunks as x has, one by one.

    Kernels have static shapes; x (b, N) is filled up with zeros to whole chunks, and
    what comes of them is cut off again.
    """
    samples, sites = x.shape
    chunks = (samples + chunk - 1) // chunk
    lanes = compiled.max_conn_size
    filled = jnp.zeros((chunks * chunk, sites), x.dtype)
    filled = lax.dynamic_update_slice(filled, x, (0, 0))
    empty = (
        jnp.zeros((chunks * chunk, lanes, sites), x.dtype),
        jnp.zeros((chunks * chunk, lanes), compiled.dtype),
    )

    def step(k, results):
        first = k * chunk
        part = lax.dynamic_slice_in_dim(filled, first, chunk)
        found = compiled.get_conn_padded(part)
        return tuple(
            lax.dynamic_update_slice_in_dim(whole, new, first, 0)
            for whole, new in zip(results, found, strict=True)
        )

    connected, elements = lax.fori_loop(0, chunks, step, empty)
    return connected[:samples], elements[:samples]


def _symbol(operator: str, batch: str):
    """Return the dimension variable of a name."""
    try:
        (size,) = export.symbolic_shape(batch)
    except ValueError as error:
        raise _bad(operator, "batch", "a name or a number of samples", batch) from error
    return size


def _check_sizes(
    operator: str, batch: object, chunk: object, platforms: Sequence[str]
) -> None:
    is_name = isinstance(batch, str) and batch.isidentifier()
    if not is_name and not is_count(batch, 1):
        raise _bad(operator, "batch", "a name or a number of samples", batch)
    if not is_count(chunk, 1):
        raise _bad(operator, "chunk", "a number of samples", chunk)
    listed = isinstance(platforms, tuple | list) and len(platforms) > 0
    if not listed or any(platform not in PLATFORMS for platform in platforms):
        raise _bad(operator, "platforms", f"some of {PLATFORMS}", platforms)


def _bad(
    operator: str, name: str, expected: str, found: object
) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C025",
        f"the artifact cannot be exported with this {name}",
        operator=operator,
        expected=expected,
        found=repr(found),
    )
