"""Precision that an operator is compiled in, given the setting of JAX."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from symir.compiler.lowering import run_passes
from symir.errors import PrecisionWarning, SymbolicCompilerError, warn
from symir.late import late
from symir.operator.ir import SymbolicOperatorIR

if TYPE_CHECKING:
    import numpy as np

    from symir.compiler.context import SymbolicCompilationContext
    from symir.operator.symbolic_operator import SymbolicOperator

_ITEMSIZE = {"f": 4, "c": 8}
"""The bytes of a real and a complex number where JAX is set to 32 bits."""


@late
def runtime() -> ModuleType:
    """Import what runs kernels."""
    ...


def runtime_of(operator: SymbolicOperator) -> ModuleType:
    """Import what runs kernels; it needs JAX."""
    try:
        return runtime()
    except ModuleNotFoundError as error:
        raise SymbolicCompilerError(
            "C005",
            "compiling and running an operator needs JAX",
            operator=operator.name,
            found=str(error),
            hint="pip install jax; defining, printing, lowering and interpreting "
            "operators works without it",
        ) from error


def in_supported_precision(context: SymbolicCompilationContext) -> SymbolicOperatorIR:
    """Return the IR of an operator in a precision that its backend is set up for.

    With 64-bit types switched off in JAX, an operator whose precision was left open
    becomes a 32-bit one, as every array of JAX does, with a warning; one that asks for
    64 bits is an error (C004).
    """
    ir, operator = context.ir, context.operator
    if context.options.backend_preference == "reference":
        return ir
    x64_enabled = runtime_of(operator).x64_enabled
    if x64_enabled() or operator.dtype.itemsize == _ITEMSIZE[operator.dtype.kind]:
        return ir
    if not operator.dtype_is_default:
        raise SymbolicCompilerError(
            "C004",
            "the operator computes with 64 bits, but JAX is set to 32",
            operator=operator.name,
            expected=f"dtype {_single(operator.dtype)}",
            found=str(operator.dtype),
            hint='set jax.config.update("jax_enable_x64", True) before anything else, '
            f'or define the operator with dtype="{_single(operator.dtype)}"',
        )
    return in_single_precision(context)


def _single(dtype: np.dtype[Any]) -> str:
    """Return the dtype of 32 bits, twice where it is complex."""
    return "complex64" if dtype.kind == "c" else "float32"


_CONVERTED: WeakKeyDictionary[SymbolicOperatorIR, SymbolicOperatorIR] = (
    WeakKeyDictionary()
)
"""Conversions made before: compiling an operator again must not repeat them."""

_SAID: WeakSet[SymbolicOperator] = WeakSet()
"""The operators of which it was said that they are converted."""


def in_single_precision(context: SymbolicCompilationContext) -> SymbolicOperatorIR:
    """Return the IR of an operator with numbers of 32 bits, complex ones of 64.

    The first time for an operator it warns that this is not the dtype it has (C030).
    """
    ir, operator = context.ir, context.operator
    if operator not in _SAID:
        _warn(operator)
        _SAID.add(operator)
    converted = _CONVERTED.get(ir)
    if converted is None:
        module = run_passes(ir.module, "sym-convert-element{to=f32}")
        converted = _CONVERTED[ir] = SymbolicOperatorIR(module)
    return converted


def _warn(operator: SymbolicOperator) -> None:
    single = _single(operator.dtype)
    warn(
        PrecisionWarning,
        "C030",
        f"an operator of {operator.dtype} is computed with {single}: JAX is set to 32 "
        "bits",
        operator=operator.name,
        hint='set jax.config.update("jax_enable_x64", True) before anything else, or '
        f'define the operator with dtype="{single}"; symir.PrecisionWarning is the '
        "category",
    )
