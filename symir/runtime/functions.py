"""Functions of the IR as functions of JAX: their text is merged into the program.

A function that a module declares alone is one of JAX. Where the module is merged JAX
lowers it, for the platform, types and mesh at hand; text of it from elsewhere would not
do, as it may name what only another program has.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
from xdsl.dialects.builtin import (
    BFloat16Type,
    FunctionType,
    ModuleOp,
    StringAttr,
    TensorType,
)
from xdsl.dialects.func import CallOp, FuncOp
from xdsl.rewriter import Rewriter

from dialects.stablehlo import dtype_of
from dialects.text import Parser, context, parse_module
from symir.runtime.kernel import located_text
from symir.runtime.manual_axes import axes_of, varying_like
from symir.runtime.shards import is_of_meshes, is_spread, knows_devices, over_shards
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
        return self._alone(*arrays)

    @cached_property
    def _alone(self) -> Linked:
        return Linked(self, {})


@dataclass(frozen=True)
class Source:
    """Functions of any number of samples, and those of JAX that they call.

    Attributes:
        of_batch: the function of so many samples.
        named: what a function of JAX of a name computes, as a sequence.
        arrays: what they are called with.
        is_current: whether functions of JAX are by now what they were.
    """

    of_batch: Callable[[int], Function]
    named: Callable[[str], Callable[..., Any]]
    arrays: Sequence[Any]
    is_current: Callable[[], bool]

    def linked(self, batch: int, known: dict[str, Any] | None = None) -> Linked:
        """Return the function of so many samples with what it calls.

        That is traced now where it is not known.
        """
        function, links = self.of_batch(batch), dict(known or {})
        for name, own in function.declared.items():
            if name not in links:
                given = (_like(one, self.arrays) for one in own)
                links[name] = jax.make_jaxpr(self.named(name))(*given)
        return Linked(function, links, self)


@dataclass(frozen=True, eq=False)
class Linked:
    """A function of the IR and the functions of JAX that it calls."""

    function: Function
    links: dict[str, Any]
    source: Source | None = None

    def __call__(self, *given: Any) -> list[Any]:
        """Return the results for arrays of the types that the function has."""
        arrays = list(map(jnp.asarray, given))
        return call_p.bind(*(varying_like(a, arrays) for a in arrays), linked=self)

    @cached_property
    def compiled(self) -> Callable[..., list[Any]]:
        """The same for calls from outside of JAX, compiled by the first of them."""
        return jax.jit(lambda *given: call_p.bind(*given, linked=self))

    def of(
        self, batch: int, of_batch: Callable[[int], Function] | None = None
    ) -> Linked:
        """Return it for so many samples, or another function that calls the same."""
        assert self.source is not None
        of_batch = of_batch or self.source.of_batch
        return replace(self.source, of_batch=of_batch).linked(batch, self.links)

    def later(self, batch: int) -> Linked | None:
        """Return it for so many samples, some time after it was traced.

        None where it calls functions that compute something else by now, and have to be
        traced for another shape.
        """
        assert self.source is not None
        is_known = self.source.of_batch(batch).declared.keys() <= self.links.keys()
        return self.of(batch) if is_known or self.source.is_current() else None


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
        return linked.compiled(*arguments)


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
    own = ctx.module_context
    callbacks = len(own.host_callbacks)
    dimensions = ctx.dim_var_values
    merged, results = _merged(own, linked, dimensions)
    is_apart = len(own.host_callbacks) == callbacks and not any(
        map(is_of_meshes, linked.links.values())
    )
    if linked.source is not None and is_apart and is_spread(own):
        # What was merged is called by nobody. What is there instead has an address for
        # a name, and JAX looks programs up by their text: it has to say what it is
        each = mlir.lower_fun(_on_each_device(linked), multiple_results=True)
        return each(ctx, *arguments)
    symbol = ir.FlatSymbolRefAttr.get(merged)
    return func.CallOp(results, symbol, [*dimensions, *arguments]).results


def _merged(
    own: mlir.ModuleContext, linked: Linked, dimensions: Sequence[Any]
) -> tuple[str, Any]:
    """Add a function to a module; return its name there, and its result types."""
    text = linked.function.text
    if dimensions:
        text = _with_dimensions(text, [str(one.type) for one in dimensions])
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
    return merged, results


def _with_dimensions(text: str, kinds: Sequence[str]) -> str:
    """Return a module all of whose functions take and pass on more, to begin with.

    An exported program has dimensions, and the number of its platform, that JAX gives
    to each function: those that the module calls are to have them, too.
    """
    module = parse_module(text)
    types = [Parser(context(), kind).parse_type() for kind in kinds]
    for function in [op for op in module.ops if isinstance(op, FuncOp)]:
        own, given = function.function_type, []
        inputs, outputs = [*types, *own.inputs], [*own.outputs]
        function.function_type = FunctionType.from_lists(inputs, outputs)
        if not function.is_declaration:
            block = function.body.block
            given = [block.insert_arg(kind, n) for n, kind in enumerate(types)]
        for call in [op for op in function.walk() if isinstance(op, CallOp)]:
            name = call.callee.string_value()
            new = CallOp(name, [*given, *call.arguments], call.result_types)
            Rewriter.replace_op(call, new)
    return located_text(module)


def _on_each_device(linked: Linked) -> Callable[..., Any]:
    def run(one: Linked) -> Callable[..., Any]:
        return lambda *given: call_p.bind(*given, linked=one)

    def of_batch(batch: int) -> Callable[..., Any] | None:
        own = linked.later(batch)
        return own and run(own)

    return over_shards(run(linked), of_batch)


mlir.register_lowering(call_p, _lowering)
knows_devices(call_p)


def _batching(arguments, axes, *, linked: Linked):
    """Fold a mapped axis of x into its samples; map over others one by one.

    Op by op a mapped choice would run both of its branches, and a mapped loop each of
    its turns for all.
    """
    mapped = [number for number, axis in enumerate(axes) if axis is not None]
    if mapped == [0] and linked.source is not None:
        x, *others = arguments
        x = jnp.moveaxis(x, axes[0], 0)
        size, samples = x.shape[:2]
        if not size * samples:
            whole = [(size, *one.shape) for one in linked.function.results]
            kinds = [one.dtype for one in linked.function.results]
            return list(map(jnp.zeros, whole, kinds)), [0] * len(kinds)
        flat = x.reshape(size * samples, *x.shape[2:])
        found = linked.of(size * samples)(flat, *others)
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
