"""Functions that JAX traces, as the text of StableHLO."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from jaxlib.mlir.dialects import stablehlo
from jaxlib.mlir.passmanager import PassManager

__all__ = ["stablehlo_of", "with_x64"]

stablehlo.register_stablehlo_passes()

_EXPAND = "builtin.module(func.func(chlo-legalize-to-stablehlo))"
"""What XLA does first with what JAX leaves to it, such as erf, square and sinh."""


def with_x64(enabled: bool) -> AbstractContextManager[None]:
    """Return a context in which JAX is set to 64 bits, or to 32."""
    return jax.enable_x64(enabled)


def stablehlo_of(function: Callable[..., Any], arity: int, dtype: np.dtype) -> str:
    """Return the StableHLO of a function of `arity` scalars of a dtype.

    It depends on nothing but these: neither on how JAX is set up, nor on the devices.
    Raises whatever the function does when it is traced.
    """

    # JAX remembers the traces of a function, so it gets a new one
    def traced(*arguments: Any) -> Any:
        return function(*arguments)

    scalar = jax.ShapeDtypeStruct((), dtype)
    with with_x64(np.finfo(dtype).bits == 64):
        # Arguments that the function does not use stay where they are
        trace = jax.jit(traced, keep_unused=True).trace(*[scalar] * arity)
        module = trace.lower(lowering_platforms=("cpu",)).compiler_ir("stablehlo")
        assert module is not None
        with module.context:
            PassManager.parse(_EXPAND).run(module.operation)
        return str(module)
