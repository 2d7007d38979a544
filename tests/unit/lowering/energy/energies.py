"""Local energies as modules: what the compiler makes of them, and the interpreter."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from xdsl.dialects.builtin import FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.interpreter import Interpreter
from xdsl.rewriter import InsertPoint, Rewriter

import symir as sym
from dialects import bt
from dialects.interpreters.bt import functions_of
from dialects.stablehlo import element_of
from lowering.energy.extraction import energies_in
from symir.compiler.lowering import operator_pipeline, run_passes
from symir.runtime.importing import import_function

BRANCHES = operator_pipeline(
    "static", 3, without=("bt-compact", "bt-join-diagonal", "bt-materialize-strategy")
)
"""Lanes with one target are one; writes stay."""


def with_wavefunction(
    operator: sym.SymbolicOperator, logpsi: Callable[..., Any], parameters: Any
) -> ModuleOp:
    """Return branch tensors of an operator and, beside them, a wavefunction."""
    shaped = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype), parameters
    )
    x = jax.ShapeDtypeStruct((1, operator.space.size), np.float64)
    (function,) = import_function(logpsi, shaped, x).ops
    assert isinstance(function, FuncOp)
    function.detach()
    function.sym_name = StringAttr("logpsi")
    function.sym_visibility = StringAttr("private")
    module = run_passes(operator.to_ir().module, BRANCHES)
    module.body.block.add_op(function)
    return module


def connections_of(module: ModuleOp) -> ModuleOp:
    """Return a module with the connections of the lanes of a local energy only."""
    module = module.clone()
    (energy,) = energies_in(module)
    function = energy.parent_op()
    assert isinstance(function, FuncOp)
    leaf = next(bt.leaves_of(energy.branches), None)
    element = element_of(energy.result if leaf is None else leaf.amplitude)
    lanes = bt.ConnectionsOp(energy.config, energy.branches, element)
    Rewriter.insert_op(lanes, InsertPoint.before(energy))
    block = function.body.block
    assert block.last_op is not None
    Rewriter.replace_op(block.last_op, ReturnOp(*lanes.results))
    parameters = list(energy.parameters)
    energy.detach()
    energy.erase()
    for argument in reversed(parameters):
        block.erase_arg(argument)  # pyright: ignore
    function.function_type = FunctionType.from_lists(
        [argument.type for argument in block.args],
        [result.type for result in lanes.results],
    )
    for other in list(module.ops):
        if other is not function:
            other.detach()
            other.erase(safe_erase=False)
    return module


def interpreted(module: ModuleOp, x: np.ndarray, leaves: Sequence[Any]) -> np.ndarray:
    """Return what the first function of a module computes from x and parameters."""
    interpreter = Interpreter(module)
    for functions in functions_of(len(x), x.dtype):
        interpreter.register_implementations(functions)
    (main,) = (
        op
        for op in module.ops
        if isinstance(op, FuncOp) and op.sym_visibility != StringAttr("private")
    )
    (energies,) = interpreter.call_op(main.sym_name.data, (x, *leaves))
    return energies
