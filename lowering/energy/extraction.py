"""Parts of the functions that wavefunctions are made of, as functions of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from xdsl.builder import Builder
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    FunctionType,
    ModuleOp,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.pattern_rewriter import PatternRewriter
from xdsl.rewriter import InsertPoint

from dialects import bt
from dialects.stablehlo import element_of
from lowering.order import operands_first


def energies_in(module: ModuleOp) -> list[bt.LocalEnergyOp]:
    """Return the local energies of a module."""
    return [op for op in module.walk() if isinstance(op, bt.LocalEnergyOp)]


def module_of(op: Operation) -> ModuleOp:
    """Return the module that an op is in."""
    top = op.get_toplevel_object()
    assert isinstance(top, ModuleOp)
    return top


def function_named(module: ModuleOp, name: str) -> FuncOp:
    """Return a function of a module by its name."""
    return next(
        op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == name
    )


def wavefunctions_in(module: ModuleOp) -> list[FuncOp]:
    """Return the functions that the local energies of a module go through."""
    names = [
        name
        for op in energies_in(module)
        for part in op.parts
        for name in part.functions
    ]
    return [function_named(module, name) for name in dict.fromkeys(names)]


def returned(function: FuncOp) -> SSAValue:
    """Return the first result of a function."""
    last = function.body.block.last_op
    assert isinstance(last, ReturnOp)
    return last.arguments[0]


def is_coarse(value: SSAValue) -> bool:
    """Whether a value has fewer than 32 bits: its rounding is a part of the model."""
    return isinstance(element_of(value), BFloat16Type | Float16Type)


def extracted(
    function: FuncOp, name: str, inputs: Sequence[SSAValue], *results: SSAValue
) -> FuncOp:
    """Return a private function that computes values of a function from others.

    Its arguments are those of the function but for x, which is the last one, and then
    the inputs, of which x may be one. It stands next to the function.
    """
    *parameters, _ = function.body.block.args
    arguments = [*parameters, *inputs]
    block = Block(arg_types=[value.type for value in arguments])
    now: dict[SSAValue, SSAValue] = dict(zip(arguments, block.args, strict=True))
    for old, new in now.items():
        new.name_hint = old.name_hint
    known = set(arguments)
    order = [one for result in results for one in operands_first(result, known=known)]
    needed = {value.owner for value in order if isinstance(value.owner, Operation)}
    builder = Builder(InsertPoint.at_end(block))
    for op in function.body.block.ops:
        if op in needed:
            builder.insert(op.clone(now))
    builder.insert(ReturnOp(*(now[result] for result in results)))
    kind = FunctionType.from_lists(
        [value.type for value in arguments], [result.type for result in results]
    )
    new = FuncOp(name, kind, Region(block), visibility="private")
    module = function.parent_block()
    assert module is not None
    module.insert_op_after(new, function)
    return new


def added_to(module: ModuleOp, kind: str, functions: Sequence[FuncOp]) -> list[str]:
    """Add functions to a module; return their names, which are free."""
    taken = {op.sym_name.data for op in module.ops if isinstance(op, FuncOp)}
    number = next(n for n in count() if f"{kind}{n}.tables" not in taken)
    names: list[str] = []
    for function in functions:
        name = f"{kind}{number}.{function.sym_name.data}"
        function.sym_name = StringAttr(name)
        module.body.block.add_op(function)
        names.append(name)
    return names


def erase(function: FuncOp) -> None:
    """Erase a function that nothing refers to."""
    function.detach()
    function.erase(safe_erase=False)


def erase_unreachable(module: ModuleOp) -> None:
    """Erase private functions that no call leads to, from those that are public."""
    functions = {op.sym_name.data: op for op in module.ops if isinstance(op, FuncOp)}
    waiting = [name for name, op in functions.items() if not is_private(op)]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in reached:
            reached.add(name)
            waiting += [
                symbol.string_value()
                for op in functions[name].walk()
                for symbol in (*op.properties.values(), *op.attributes.values())
                if isinstance(symbol, SymbolRefAttr)
            ]
    for name in functions.keys() - reached:
        erase(functions[name])


def is_private(function: FuncOp) -> bool:
    return function.sym_visibility == StringAttr("private")


def erase_unused(
    module: ModuleOp, names: Iterable[str], rewriter: PatternRewriter
) -> None:
    """Erase those of some functions that no local energy refers to any more."""
    used = {
        name
        for energy in energies_in(module)
        for part in energy.parts
        for name in part.functions
    }
    for name in set(names) - used:
        rewriter.erase(function_named(module, name), safe_erase=False)
