"""Functions of a module: written with arrays, called, inlined, and of many samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.builder import Builder
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.rewriter import InsertPoint

from lowering.arrays import Array
from lowering.rewriting import Inserter
from lowering.stablehlo.stablehlo_batch import batch_function

Arrays = list[Array]


def function_of(
    name: str, kinds: Sequence[Attribute], of: Callable[[Inserter, Arrays], Arrays]
) -> FuncOp:
    """Return a function of tensors that is written with arrays."""
    block = Block(arg_types=kinds)
    region = Region(block)
    function = FuncOp(name, FunctionType.from_lists(kinds, []), region, "private")
    insert = Inserter(Builder(InsertPoint.at_end(block)), function.location)
    arguments = [Array(argument, insert) for argument in block.args]
    results = [one.value for one in of(insert, arguments)]
    insert.add_op(ReturnOp(*results))
    function.function_type = FunctionType.from_lists(kinds, [v.type for v in results])
    return function


def named(module: ModuleOp) -> dict[str, FuncOp]:
    """Return the functions of a module by their names."""
    return {op.sym_name.data: op for op in module.ops if isinstance(op, FuncOp)}


def called(insert: Inserter, function: FuncOp, given: Sequence[Array]) -> Arrays:
    """Insert a call and return its results."""
    kinds = list(function.function_type.outputs)
    call = CallOp(function.sym_name.data, [one.value for one in given], kinds)
    insert.add_op(call)
    return [Array(result, insert) for result in call.results]


def declared(
    module: ModuleOp, name: str, given: Sequence[Attribute], kinds: Sequence[Attribute]
) -> FuncOp:
    """Return the function of a name, which is declared where it is not yet."""
    known = named(module)
    if name in known:
        return known[name]
    function = FuncOp.external(name, list(given), list(kinds))
    module.body.block.add_op(function)
    return function


def applied(insert: Inserter, function: FuncOp, arguments: Sequence[Array]) -> Array:
    """Insert the ops of a function, and return its first result."""
    return inlined(insert, function, arguments)[0]


def inlined(
    insert: Inserter, function: FuncOp, arguments: Sequence[Array]
) -> list[Array]:
    """Insert the ops of a function, and return its results."""
    block = function.body.block
    own = (one.value for one in arguments)
    now: dict[SSAValue, SSAValue] = dict(zip(block.args, own, strict=True))
    for op in block.ops:
        if not isinstance(op, ReturnOp):
            insert.add_op(op.clone(now))
    end = block.last_op
    assert isinstance(end, ReturnOp)
    return [Array(now[one], insert) for one in end.arguments]


def batched(
    function: FuncOp, size: int, arguments: Sequence[int] | None = None
) -> FuncOp:
    """Return the function of many of some arguments, in no module; of x by default."""
    many = function.clone()
    last = [len(many.body.block.args) - 1]
    batch_function(many, size, last if arguments is None else arguments)
    return many
