"""Functions of the IR as functions of JAX: their text is merged into the program.

A function that a module declares alone is one of JAX. Where the module is merged JAX
lowers it, for the platform, types and mesh at hand; text of it from elsewhere would not
do, as it may name what only another program has.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jax.interpreters.mlir import ir
from jaxlib.mlir.dialects import func
from xdsl.dialects.builtin import BFloat16Type, ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import FuncOp

from dialects.stablehlo import dtype_of
from symir.runtime.kernel import located_text
from symir.runtime.manual_axes import axes_of, varying_like
from symir.spans import span

call_p = Primitive("symir_call")
"""(x, *others) -> results of a function of StableHLO, each with the axis of x."""

call_p.multiple_results = True


class Function:
    """The public function of a module of StableHLO: of samples x, and of others.

    Attributes:
        text: the module; its public function is `@main`.
        declared: functions that it calls and does not have: shapes and dtypes that
            each takes.
        results: shapes and dtypes of its results.
    """

    def __init__(self, code: ModuleOp | FuncOp):
        """Take a module, or a function that calls no other."""
        module = code.clone()
        if isinstance(module, FuncOp):
            module.sym_visibility = None
            module = ModuleOp([module])
        functions = [op for op in module.ops if isinstance(op, FuncOp)]
        (main,) = (op for op in functions if op.sym_visibility is None)
        self.name = f"symir_{main.sym_name.data}"
        main.sym_name = StringAttr("main")
        self.text = located_text(module)
        self.results = [_aval(kind) for kind in main.function_type.outputs]
        self.declared = {
            op.sym_name.data: [_aval(kind) for kind in op.function_type.inputs]
            for op in functions
            if op.is_declaration
        }

    def __call__(self, *arrays: Any) -> list[Any]:
        """Return the results, where nothing is declared alone."""
        return Linked(self, {})(*arrays)

    def linked(
        self,
        functions: Callable[[str], Callable[..., Any]],
        arrays: Sequence[Any],
        again: Callable[[int], Linked],
    ) -> Linked:
        """Return it with what it calls, as functions of JAX that are traced now.

        `functions` returns what one of a name computes, as a sequence; arrays are what
        it is to be called with, and `again(batch)` is the same of so many samples.
        """
        links = {
            name: jax.make_jaxpr(functions(name))(*(_like(one, arrays) for one in own))
            for name, own in self.declared.items()
        }
        return Linked(self, links, again)


class Linked:
    """A function of the IR and the functions of JAX that it calls."""

    def __init__(
        self,
        function: Function,
        links: dict[str, Any],
        again: Callable[[int], Linked] | None = None,
    ):
        self.function = function
        self.links = links
        self.again = again

    def __call__(self, *given: Any) -> list[Any]:
        """Return the results for arrays of the types that the function has."""
        arrays = list(map(jnp.asarray, given))
        return call_p.bind(*(varying_like(a, arrays) for a in arrays), linked=self)

    @property
    def has_effects(self) -> bool:
        """Whether a function that is called does more than to return something."""
        return any(link.effects for link in self.links.values())


def of_arrays(code: ModuleOp | FuncOp) -> Callable[..., list[np.ndarray]]:
    """Return a function of the IR that declares nothing, of arrays of NumPy."""
    run = jax.jit(Function(code))
    return lambda *given: [np.asarray(one) for one in run(*given)]


def _aval(kind: Any) -> jax.ShapeDtypeStruct:
    assert isinstance(kind, TensorType)
    element = kind.element_type
    dtype = jnp.bfloat16 if isinstance(element, BFloat16Type) else dtype_of(element)
    return jax.ShapeDtypeStruct(kind.get_shape(), dtype)


def _like(aval: jax.ShapeDtypeStruct, arrays: Sequence[Any]) -> Any:
    """Return a type, or what is of it and varies over the axes that arrays do."""
    if not any(map(axes_of, arrays)):
        return aval
    return varying_like(jnp.zeros(aval.shape, aval.dtype), arrays)


@call_p.def_impl
def _impl(*arguments, linked: Linked):
    # Without jit it would come back here for ever
    with jax.disable_jit(False):
        return jax.jit(lambda *given: call_p.bind(*given, linked=linked))(*arguments)


@call_p.def_abstract_eval
def _abstract_eval(*arguments, linked: Linked):
    own = linked.function.results
    if not arguments:
        return [ShapedArray(one.shape, one.dtype) for one in own]
    # update() keeps what else a type says, such as the manual axes of shard_map
    return [
        arguments[0].update(shape=one.shape, dtype=one.dtype, weak_type=False)
        for one in own
    ]


def _lowering(ctx, *arguments, linked: Linked):
    own, text = ctx.module_context, linked.function.text
    with span("merge", "kernel", operator=linked.function.name, bytes=len(text)):
        module = ir.Module.parse(text, context=own.context)
        here = {op.sym_name.value: op for op in cast(Any, module.body.operations)}
        for name in linked.function.declared:
            jaxpr = linked.links[name]
            other = mlir.lower_jaxpr_to_fun(
                own, name, jaxpr, [], num_const_args=0, in_avals=jaxpr.in_avals
            )
            ir.SymbolTable.replace_all_symbol_uses(
                name, other.name.value, module.operation
            )
            here[name].operation.erase()
        results = here["main"].type.results
        merged = mlir.merge_mlir_modules(
            own.module, linked.function.name, module, dst_symtab=own.symbol_table
        )
    symbol = ir.FlatSymbolRefAttr.get(merged)
    return func.CallOp(results, symbol, [*arguments]).results


mlir.register_lowering(call_p, _lowering)


def _batching(arguments, axes, *, linked: Linked):
    """Fold a mapped axis of x into its samples; map over others one by one.

    Op by op a mapped choice would run both of its branches, and a mapped loop each of
    its turns for all.
    """
    mapped = [number for number, axis in enumerate(axes) if axis is not None]
    if mapped == [0] and linked.again is not None:
        x, *others = arguments
        x = jnp.moveaxis(x, axes[0], 0)
        size, samples = x.shape[:2]
        flat = x.reshape(size * samples, *x.shape[2:])
        found = linked.again(size * samples)(flat, *others)
        results = [one.reshape(size, samples, *one.shape[1:]) for one in found]
        return results, [0] * len(results)
    moved = [jnp.moveaxis(arguments[n], axes[n], 0) for n in mapped]

    def of_one(given):
        own = list(arguments)
        for number, one in zip(mapped, given, strict=True):
            own[number] = one
        return linked(*own)

    results = lax.map(of_one, moved)
    return results, [0] * len(results)


batching.primitive_batchers[call_p] = _batching
