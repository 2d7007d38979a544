"""Functions that JAX traces, as the text of StableHLO."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxprs_in_params
from jaxlib.mlir.dialects import stablehlo
from jaxlib.mlir.passmanager import PassManager

stablehlo.register_stablehlo_passes()

_EXPAND = "builtin.module(func.func(chlo-legalize-to-stablehlo))"
"""Passes of XLA that expand ops which JAX leaves to it: erf, square and sinh."""


def with_x64(enabled: bool) -> AbstractContextManager[None]:
    """Return a context in which JAX is set to 64 bits, or to 32."""
    return jax.enable_x64(enabled)


def stablehlo_of(
    function: Callable[..., Any], arity: int, dtype: np.dtype
) -> tuple[str, str | None]:
    """Return the StableHLO of a function of `arity` scalars of a dtype, and its rule.

    It depends on nothing but these: neither on how JAX is set up, nor on the devices.
    Behind it is the name of what stops gradients or has a derivative of its own, in
    place of that of its ops: the text does not say so. None where nothing does.
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
        return str(module), _own_rule(trace.jaxpr.jaxpr)


_RULES = ("custom_jvp_call", "custom_vjp_call", "stop_gradient")
_LOGADDEXP = f"logaddexp at {Path(jax.__file__).parent}"


def _own_rule(jaxpr: Any) -> str | None:
    """Return the name of a derivative that need not be that of the ops of a function.

    That of JAX's own `logaddexp`, and so of its softplus, is the same.
    """
    for equation in jaxpr.eqns:
        inner = list(jaxprs_in_params(equation.params))
        if equation.primitive.name in _RULES:
            sources = [str(one.debug_info.func_src_info) for one in inner[:1]]
            if not sources or not sources[0].startswith(_LOGADDEXP):
                return sources[0].partition(" at ")[0] if sources else "stop_gradient"
        for found in map(_own_rule, inner):
            if found is not None:
                return found
    return None
