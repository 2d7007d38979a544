"""Importing functions of JAX: their StableHLO, as xDSL sees it."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import config
from jax.core import Tracer
from jax.extend.core import jaxpr_as_fun
from xdsl.dialects.builtin import ModuleOp, UnregisteredOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import VerifyException

from dialects.text import Parser, context
from lowering.energy.inline_calls import InlineCallsPass
from symir.runtime.marks import declared_of, importing
from symir.spans import spanned


def static_of(tree: Any) -> tuple[Any, list[jax.ShapeDtypeStruct]]:
    """Return the structure of parameters, and the types of their leaves."""
    leaves, structure = jax.tree.flatten(tree)
    avals = [
        jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves
    ]
    return structure, avals


def unjitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that `jax.jit` was given, however often.

    A function of `jax.jit` keeps traces, each of what it held on to at that time.
    """
    jitted = type(jax.jit(unjitted))
    while isinstance(function, jitted):
        function = getattr(function, "__wrapped__")
    return function


def retraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as one that JAX has not traced yet.

    JAX remembers the traces of a function, with what it held on to then.
    """

    def anew(*given: Any) -> Any:
        return function(*given)

    return anew


_GENERATIONS = itertools.count()


class FreshTraces:
    """A context in which JAX remembers no trace from outside, of `jax.jit` neither.

    Functions of `jax.jit` keep one for each shape, with what they held on to then. A
    setting of JAX that traces depend on, and nothing that is traced does, is another
    one in each context: by which part of the names of source files are shortened in
    metadata, here of none. It may be entered again, and remembers its own traces.
    """

    def __init__(self) -> None:
        self._nothing = f"$^{next(_GENERATIONS)}"

    def __call__(self) -> AbstractContextManager[None]:
        return config.hlo_source_file_canonicalization_regex(self._nothing)


class Traced:
    """A function of JAX as it is by now, for arguments as `import_function` has them.

    Attributes:
        traces: where it was traced, to trace it there again for another shape.
        captured: the values that it holds on to and that JAX is tracing.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self.traces = FreshTraces()
        with self.traces():
            self._jaxpr = jax.make_jaxpr(retraced(function))(*arguments)
        self.captured = [one for one in self._jaxpr.consts if isinstance(one, Tracer)]

    @cached_property
    def text(self) -> str:
        """Its StableHLO; there is none where it holds on to what JAX is tracing."""
        function = jax.jit(jaxpr_as_fun(self._jaxpr), keep_unused=True)
        with self.traces(), importing():
            lowered = function.lower(*self._jaxpr.in_avals)
        ir = lowered.compiler_ir("stablehlo")
        return ir.operation.get_asm(print_generic_op_form=True)  # pyright: ignore


CONSTRAINT = "sdy.sharding_constraint"
"""An op that says where its operand is, and returns it: that is JAX's concern."""


def import_function(function: Callable[..., Any], *arguments: Any) -> ModuleOp:
    """Return a function of JAX as a module of StableHLO with the one function `@main`.

    The arguments are arrays, or `jax.ShapeDtypeStruct`, or pytrees of them; their
    leaves are the arguments of `@main`, in the order of `jax.tree.leaves`, and the
    leaves of the result its results. Calls are inlined, one copy for each call; ops
    that xDSL does not know stay as they are, unregistered. Nothing is executed.

    Raises what JAX raises where the function cannot be traced.
    """
    return module_of(Traced(function, *arguments).text)


@spanned("import a function", "local energy")
def module_of(text: str) -> ModuleOp:
    """Return the text of a function of JAX as `import_function` does."""
    # What xdsl-jax calls a property of `compare` is not what StableHLO does
    text = text.replace("compare_type = #stablehlo", "comparison_type = #stablehlo")
    ctx = context()
    ctx.allow_unregistered = True
    module = Parser(ctx, text).parse_module()
    # JAX has verified it; what xdsl-jax does not verify, such as a padding by floats,
    # is no op of a dialect here
    for op in list(module.walk(region_first=True)):
        if isinstance(op, UnregisteredOp) and op.op_name.data == CONSTRAINT:
            Rewriter.replace_op(op, [], list(op.operands))
        elif (declared := declared_of(op)) is not None:
            Rewriter.replace_op(op, declared)
        elif not _is_valid(op):
            Rewriter.replace_op(op, _unregistered(op))
    for op in list(module.ops):
        if not isinstance(op, FuncOp):
            op.detach()  # such as the mesh of devices: shardings are JAX's concern
            op.erase()
            continue
        op.properties.pop("arg_attrs", None)
        op.properties.pop("res_attrs", None)
    module.attributes.clear()
    module.properties.clear()
    InlineCallsPass().apply(context(), module)
    return module


def _is_valid(op: Operation) -> bool:
    try:
        op.verify(verify_nested_ops=False)
    except VerifyException:
        return False
    return True


def _unregistered(op: Operation) -> Operation:
    return UnregisteredOp.with_name(op.name).create(
        operands=op.operands,
        result_types=[result.type for result in op.results],
        properties=op.properties,
        attributes=op.attributes,
        regions=[op.detach_region(region) for region in list(op.regions)],
    )
