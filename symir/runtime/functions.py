"""Functions of the IR as functions of JAX: their text is merged into the program."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jax.interpreters.mlir import ir
from jaxlib.mlir.dialects import func
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp

from dialects.stablehlo import dtype_of
from dialects.text import print_module
from lowering.stablehlo.indexed import index_arguments
from lowering.stablehlo.stablehlo_batch import batch_function
from symir.runtime.manual_axes import varying_like

call_p = Primitive("symir_call")
"""(*arguments) -> results of a function of StableHLO."""

call_p.multiple_results = True


class Function:
    """A function of StableHLO; functions of one text are equal.

    Attributes:
        text: a module with it alone, as `@main`.
        results: shapes and dtypes of its results.
    """

    def __init__(self, function: FuncOp):
        alone = function.clone()
        alone.sym_name = StringAttr("main")
        alone.sym_visibility = StringAttr("public")
        self.name = function.sym_name.data
        self.text = print_module(ModuleOp([alone]))
        self._function = alone
        kinds = cast(Any, function.function_type.outputs.data)
        self.results = [
            (kind.get_shape(), dtype_of(kind.element_type)) for kind in kinds
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __call__(self, *arguments: Any) -> list[Any]:
        """Return the results for arrays of the types that the function has."""
        arrays = [jnp.asarray(one) for one in arguments]
        return call_p.bind(*(varying_like(a, arrays) for a in arrays), function=self)

    def of_many(
        self,
        size: int,
        which: Sequence[int],
        entries: tuple[int, Sequence[int]] = (0, ()),
    ) -> Function:
        """Return the function with a leading axis of some arguments, and of results.

        `entries` are a length and arguments of which all pairs have one array: what a
        pair has is the entry that a last argument says, which has the leading axis.
        """
        length, chosen = entries
        return _of_many(self, size, tuple(which), length, tuple(chosen))


@lru_cache(maxsize=256)
def _of_many(
    function: Function,
    size: int,
    which: tuple[int, ...],
    length: int,
    chosen: tuple[int, ...],
) -> Function:
    many = function._function.clone()
    if chosen:
        index_arguments(many, length, chosen)
        which = (*which, len(many.body.block.args) - 1)
    batch_function(many, size, which)
    many.sym_name = StringAttr(function.name)
    return Function(many)


@call_p.def_impl
def _impl(*arguments, function: Function):
    # Without jit it would come back here for ever
    with jax.disable_jit(False):
        run = jax.jit(lambda *given: call_p.bind(*given, function=function))
        return run(*arguments)


@call_p.def_abstract_eval
def _abstract_eval(*arguments, function: Function):
    if not arguments:
        return [ShapedArray(shape, dtype) for shape, dtype in function.results]
    # update() keeps what else a type says, such as the manual axes of shard_map
    return [
        arguments[0].update(shape=shape, dtype=dtype, weak_type=False)
        for shape, dtype in function.results
    ]


def _lowering(ctx, *arguments, function: Function):
    module = ir.Module.parse(function.text, context=ctx.module_context.context)
    (main,) = cast(Any, module.body.operations)
    results = main.type.results
    name = mlir.merge_mlir_modules(
        ctx.module_context.module,
        function.name,
        module,
        dst_symtab=ctx.module_context.symbol_table,
    )
    return func.CallOp(results, ir.FlatSymbolRefAttr.get(name), [*arguments]).results


mlir.register_lowering(call_p, _lowering)


def _batching(arguments, axes, *, function: Function):
    """Compute for all of a mapped axis at once."""
    mapped = [number for number, axis in enumerate(axes) if axis is not None]
    size = arguments[mapped[0]].shape[axes[mapped[0]]]
    moved = [
        one if axis is None else jnp.moveaxis(one, axis, 0)
        for one, axis in zip(arguments, axes, strict=True)
    ]
    results = function.of_many(size, mapped)(*moved)
    return results, [0] * len(results)


batching.primitive_batchers[call_p] = _batching
