"""From a wavefunction to a program that draws its configurations.

Nothing here needs JAX: see `symir.compiler.local_energy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xdsl.dialects.builtin import (
    ComplexType,
    FunctionType,
    ModuleOp,
    StringAttr,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region

from dialects import bt
from dialects.stablehlo import element_of, shape_of, tensor
from lowering.change.completion import Conditionals, conditionals_of
from lowering.change.cone_analysis import cones_of
from lowering.energy.extraction import returned
from symir.compiler.local_energy import WAVEFUNCTION
from symir.compiler.lowering import LoweringPipeline, kernel_pipeline
from symir.compiler.trace import Trace

PLAN = LoweringPipeline.parse("write-conditionals")


def conditionals(wavefunction: FuncOp) -> Conditionals | str:
    """Return in which order the sites of a wavefunction are drawn, or why in none."""
    cones = cones_of(wavefunction)
    return cones if isinstance(cones, str) else conditionals_of(cones)


def draws(
    wavefunction: FuncOp,
    order: Sequence[int],
    values: Sequence[Sequence[float]],
    power: float,
) -> ModuleOp:
    """Return a module that draws configurations of a wavefunction.

    Its function (noise, parameters) -> (x, log psi) has one `bt.draw`.
    """
    network = wavefunction.clone()
    network.sym_name = StringAttr(WAVEFUNCTION)
    network.sym_visibility = StringAttr("private")
    leaves = network.body.block.arg_types[:-1]
    log: Attribute = element_of(returned(network))
    is_complex = isinstance(log, ComplexType)
    real = cast("Attribute", log.element_type) if is_complex else log
    sites = shape_of(network.body.block.args[-1])[-1]
    block = Block(arg_types=[tensor(real, (bt.BATCH, sites)), *leaves])
    results = tensor(bt.StateType(), (bt.BATCH, sites)), tensor(log, (bt.BATCH,))
    noise, *parameters = block.args
    op = bt.DrawOp(noise, parameters, WAVEFUNCTION, order, values, power, results)
    block.add_ops([op, ReturnOp(*op.results)])
    kind = FunctionType.from_lists(block.arg_types, results)
    return ModuleOp([FuncOp("draw", kind, Region(block)), network])


def compile_draws(module: ModuleOp, trace: Trace) -> ModuleOp:
    """Return a module of draws with functions that draw one site after the other."""
    return PLAN.run_and_verify(module, trace=trace)


def draws_pipeline(
    module: ModuleOp, batch: int, state: str, samples: int = 0
) -> LoweringPipeline:
    """Return the passes to a kernel of a batch, of so many samples at once."""
    kernel = kernel_pipeline(batch, state, module)
    convert = kernel.names.index("convert-bt-to-stablehlo")
    (lower,) = LoweringPipeline.parse(f"lower-draws{{{samples=}}}")
    return kernel.inserted(lower, convert)
