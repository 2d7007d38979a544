"""Values of a function of JAX that are marked for whoever imports it.

A mark says of which declared model a value is, and from what that computes it. It
computes nothing: outside of an import it is its operand.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.interpreters.mlir import ir
from jaxlib.mlir.dialects import stablehlo
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation

from dialects import bt
from dialects.stablehlo_ops import CustomCallOp

TARGET = "symir.declared"
"""What a mark calls in the text of an imported function."""

mark_p = Primitive("symir_declared")
"""(value, *parameters of the model, x) -> value; what is `lost` has no others."""


def marked(value: Any, inputs: Sequence[Any], declaration: str, lost: str = "") -> Any:
    """Return a value that the model of a declaration computes from its inputs.

    Or for what reason it does not: that is `lost`, and there are no inputs.
    """
    arrays = map(jnp.asarray, (value, *inputs))
    return mark_p.bind(*arrays, declaration=declaration, lost=lost)


_IMPORTING: ContextVar[bool] = ContextVar("_IMPORTING", default=False)


@contextmanager
def importing() -> Generator[None]:
    """Let marks be ops, where a function is lowered within."""
    token = _IMPORTING.set(True)
    try:
        yield
    finally:
        _IMPORTING.reset(token)


def declared_of(op: Operation) -> bt.DeclaredOp | None:
    """Return what an op of an imported function marks, None where it is no mark."""
    if not isinstance(op, CustomCallOp) or op.call_target_name.data != TARGET:
        return None
    config = op.backend_config
    assert isinstance(config, StringAttr)
    declaration, _, lost = config.data.partition(" ")
    value, *inputs = op.operands
    return bt.DeclaredOp(declaration, value, inputs, lost or None)


def _same(value: Any, *inputs: Any, declaration: str, lost: str) -> Any:
    return value


mark_p.def_impl(_same)
mark_p.def_abstract_eval(_same)


def _jvp(primals, tangents, *, declaration: str, lost: str):
    value = marked(primals[0], (), declaration, lost or "it is differentiated")
    return value, tangents[0]


def _batched(arguments, axes, *, declaration: str, lost: str):
    value, *inputs = arguments
    axis, *own = axes
    if not lost:
        *shared, of_x = own
        of_one = of_x is not None and inputs[-1].shape[of_x] == 1
        if not of_one or any(one is not None for one in shared):
            lost = "it is mapped over more than one configuration"
    return marked(value, () if lost else inputs, declaration, lost), axis


def _lowered(ctx, value, *inputs, declaration: str, lost: str):
    if not _IMPORTING.get():
        return [value]
    call = stablehlo.CustomCallOp(
        [value.type],
        [value, *inputs],
        call_target_name=TARGET,
        backend_config=ir.StringAttr.get(f"{declaration} {lost}"),
    )
    return call.results


ad.primitive_jvps[mark_p] = _jvp
batching.primitive_batchers[mark_p] = _batched
mlir.register_lowering(mark_p, _lowered)
