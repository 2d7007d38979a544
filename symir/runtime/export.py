"""Operators and energies as portable files: they run with JAX, without symir."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from symir.errors import SymbolicCompilerError, SymirError
from symir.language.scalars import is_count
from symir.runtime.compiled_operator import CompiledOperator
from symir.runtime.importing import static_of

if TYPE_CHECKING:
    from symir.runtime.local_energy import LocalEnergy

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
    x = _samples(compiled, batch, dtype)

    def run(x, parameters):
        bound = compiled.replace(**parameters)
        if isinstance(batch, int):
            return bound.get_conn_padded(x)
        return _in_chunks(bound.get_conn_padded, x, chunk)

    function = export.export(jax.jit(run), platforms=platforms)
    return _serialised(compiled.name, lambda: function(x, _couplings(compiled)))


def exported_energy(
    energy: LocalEnergy,
    parameters: Any,
    *,
    batch: str | int,
    dtype: np.dtype,
    chunk: int,
    platforms: Sequence[str],
) -> bytearray:
    """Return `(parameters, x, couplings) -> energies` as serialised by `jax.export`.

    Couplings are the parameters of the operator, by name.

    Raises:
        InputError: for a dtype that cannot hold the local values (R002).
        SymbolicCompilerError: for a batch, chunk or platform that cannot be (C025), or
            where JAX cannot export the network or serialise it (C024).
    """
    operator = energy.operator
    _check_sizes(operator.name, batch, chunk, platforms)
    operator.check_dtype(dtype)
    types = jax.tree.unflatten(*static_of(parameters))
    x = _samples(operator, batch, dtype)

    def run(parameters, x, couplings):
        of_chunk = partial(energy.replace(**couplings), parameters)
        return of_chunk(x) if isinstance(batch, int) else _in_chunks(of_chunk, x, chunk)

    function = export.export(jax.jit(run), platforms=platforms)
    return _serialised(operator.name, lambda: function(types, x, _couplings(operator)))


def _samples(
    compiled: CompiledOperator, batch: str | int, dtype: np.dtype
) -> jax.ShapeDtypeStruct:
    size = batch if isinstance(batch, int) else _symbol(compiled.name, batch)
    return jax.ShapeDtypeStruct((size, compiled.kernel.space.size), dtype)


def _couplings(compiled: CompiledOperator) -> dict[str, jax.ShapeDtypeStruct]:
    kernel = compiled.kernel
    kinds = zip(kernel.parameter_names, kernel.parameter_dtypes, strict=True)
    return {name: jax.ShapeDtypeStruct((), dtype) for name, dtype in kinds}


def _serialised(operator: str, exported: Callable[[], export.Exported]) -> bytearray:
    """Return an exported function in bytes; what JAX cannot do is an error of ours."""
    try:
        return exported().serialize()
    except SymirError:
        raise
    except ImportError as error:
        cause, expected, hint = error, "the package flatbuffers", "symir[export]"
        hint = f'pip install "{hint}"'
    except Exception as error:
        cause, expected = error, "a function that jax.export takes"
        hint = (
            'one platform alone, such as platforms=["cpu"]; parameters in dictionaries '
            "and lists, or jax.export.register_pytree_node_serialization"
        )
    raise SymbolicCompilerError(
        "C024",
        "this cannot be exported",
        operator=operator,
        expected=expected,
        found=f"{type(cause).__name__}: {cause}".partition("\n")[0],
        hint=hint,
    ) from cause


def _in_chunks(of_chunk: Callable[..., Any], x: jax.Array, chunk: int) -> Any:
    """Run what is for a fixed number of samples on as many chunks as x has, in turn.

    Kernels have static shapes; x (b, N) is filled up with its first sample to whole
    chunks, and what comes of that is cut off again.
    """
    samples, sites = x.shape
    chunks = (samples + chunk - 1) // chunk
    filled = jnp.broadcast_to(x[:1], (chunks * chunk, sites))
    filled = lax.dynamic_update_slice(filled, x, (0, 0))
    kinds = jax.eval_shape(of_chunk, jax.ShapeDtypeStruct((chunk, sites), x.dtype))
    empty = jax.tree.map(
        lambda kind: jnp.zeros((chunks * chunk, *kind.shape[1:]), kind.dtype), kinds
    )

    def step(k, results):
        first = k * chunk
        found = of_chunk(lax.dynamic_slice_in_dim(filled, first, chunk))
        return jax.tree.map(
            lambda whole, new: lax.dynamic_update_slice_in_dim(whole, new, first, 0),
            results,
            found,
        )

    results = lax.fori_loop(0, chunks, step, empty)
    return jax.tree.map(lambda whole: whole[:samples], results)


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
