"""From an operator and an imported wavefunction to a planned local energy.

Nothing here needs JAX: a wavefunction is a module of StableHLO with one function of its
parameters and one configuration, as `symir.import_function` returns it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.stablehlo import element_of, shape_of
from lowering.arrays import Array
from lowering.bt.lanes import connections_in
from lowering.energy.apply_declared_deltas import erase_declared
from lowering.energy.bt_local_energy import is_network
from lowering.energy.extraction import energies_in
from lowering.functions import applied, batched, function_of
from lowering.rewriting import Inserter
from lowering.stablehlo.stablehlo_batch import unbatched_op
from symir.compiler.lowering import (
    LoweringPipeline,
    kernel_pipeline,
    operator_pipeline,
    optional_passes,
)
from symir.compiler.trace import Trace
from symir.errors import SymbolicCompilerError
from symir.operator.ir import SymbolicOperatorIR

WAVEFUNCTION = "logpsi"
"""The name of the imported function."""

DECLARED = "apply-declared-deltas"
"""The pass after which nothing is declared: so it is where it is left out, too."""

OPERATOR_PIPELINE = operator_pipeline(
    "static",
    3,
    without=("bt-join-diagonal", "bt-materialize-strategy"),
    most_kept=0.25,
)
"""From an operator to branch tensors: lanes with one target are one, writes stay.

Compacted lanes are elsewhere for each x, and have no row of a table each: that they
are few has to be worth more."""

ENERGY_PASSES = (
    "bt-local-energy-coalesce",
    "canonicalize",
    "cse",
    "bt-local-energy-pack",
    DECLARED,
    "apply-exponential-sums",
    "propagate-change",
    "lift-sparse-delta",
    "plan-local-energy",
    "write-parts",
)
"""From branch tensors and a wavefunction to a plan, after `bt-local-energy`."""

_OPTIONAL = (
    "bt-local-energy-coalesce",
    DECLARED,
    "apply-exponential-sums",
    "propagate-change",
    "lift-sparse-delta",
)

_DISPENSABLE = (
    *(*_OPTIONAL, "canonicalize", "cse"),
    *("plan-distinct-states", "write-parts"),
)
"""Passes that are left out where they fail."""


def energy_pipeline(
    without: Collection[str] = (),
    budget: int | None = None,
    passes: Sequence[ModulePass] = (),
    *,
    distinct: bool = False,
) -> LoweringPipeline:
    """Return the passes that make a plan of an operator and a wavefunction.

    `without` names passes that are left out; `budget` is the memory in bytes that a
    chunk of samples may take; `passes` are others, before log psi is taken apart;
    `distinct` says that equal states are evaluated once.

    Raises:
        SymbolicCompilerError: for a name that is no such pass (C006).
    """
    unknown = sorted(set(without) - set(_OPTIONAL))
    if unknown:
        raise SymbolicCompilerError(
            "C006",
            "the option without cannot have this value",
            expected=f"names of {', '.join(_OPTIONAL)}",
            found=", ".join(unknown),
        )
    names = ["bt-local-energy", *(p for p in ENERGY_PASSES if p not in without)]
    if distinct:
        names.insert(names.index("write-parts"), "plan-distinct-states")
    bytes_ = "" if budget is None else f"{{budget={budget}}}"
    texts = (f"{p}{bytes_}" if p.startswith("plan-") else p for p in names)
    pipeline = LoweringPipeline.parse(",".join(texts))
    for one in reversed(passes):
        pipeline = pipeline.inserted(one, pipeline.names.index("bt-local-energy-pack"))
    return pipeline


def compile_energy(
    ir: SymbolicOperatorIR,
    wavefunction: ModuleOp,
    *,
    without: Collection[str] = (),
    budget: int | None = None,
    passes: Sequence[ModulePass] = (),
    distinct: bool = False,
    strict: bool = False,
    trace: Trace | None = None,
) -> ModuleOp:
    """Return the local energy of an operator and a wavefunction, with a plan.

    The wavefunction is a valid module of one function, which is copied. The module
    that is returned has a function (x, parameters of the operator, those of the
    wavefunction) -> energies, and the functions that it refers to. The trace gets a
    stage and a report for each pass; `passes` are others, which run before all that
    take log psi apart. A pass that only makes something faster, and fails, is left out
    (`LoweringPipeline.run_what_works`), unless it is `strict`.
    """
    (function,) = wavefunction.clone().ops
    assert isinstance(function, FuncOp)
    function.detach()
    function.sym_name = StringAttr(WAVEFUNCTION)
    function.sym_visibility = StringAttr("private")
    trace = trace or Trace(keeps_stages=False)

    def run(
        pipeline: LoweringPipeline,
        module: ModuleOp,
        optional: Collection[str],
        what: str,
    ) -> ModuleOp:
        own = replace(trace, dump=what)
        if strict:
            return pipeline.run(module, verified=True, trace=own)
        return pipeline.run_what_works(module, optional, verified=True, trace=own)

    operator = LoweringPipeline.parse(OPERATOR_PIPELINE)
    module = run(operator, ir.module, optional_passes(), "energy-operator")
    values = np.unique([v for site in ir.space.local_states for v in site])
    for connections in connections_in(module):
        known = bt.AssumeOp(connections.config, values=[values.tolist()])
        Rewriter.insert_op(known, InsertPoint.before(connections))
    module.body.block.add_op(function)
    if DECLARED in without:
        erase_declared(module)
    pipeline = energy_pipeline(without, budget, passes, distinct=distinct)
    return run(pipeline, module, [*_DISPENSABLE, *(p.name for p in passes)], "energy")


def energy_kernel_pipeline(
    module: ModuleOp,
    batch: int,
    samples: int,
    state: str,
    *,
    chunk: int | None = None,
    ratios: bool = False,
    fused: bool = True,
    dense: bool = False,
) -> LoweringPipeline:
    """Return the passes from a plan to a kernel of a batch, so many samples at once.

    Other options are those of `lower-local-energy`.
    """
    said = [f"batch={batch}"]
    said += [f"chunk={chunk}"] if chunk else []
    said += ["ratios=true"] if ratios else []
    said += [] if fused else ["fused=false"]
    said += ["dense=true"] if dense else []
    kernel = kernel_pipeline(samples, state, module)
    convert = kernel.names.index("convert-bt-to-stablehlo")
    (lower,) = LoweringPipeline.parse(f"lower-local-energy{{{' '.join(said)}}}")
    return kernel.inserted(lower, convert)


def with_network(module: ModuleOp, wavefunction: ModuleOp) -> ModuleOp:
    """Return a kernel with the body of a network where it declares that alone.

    The wavefunction is a module of the function that was imported. Where an op of it
    has no rule for many samples the kernel is returned as it is.
    """
    wavefunction = wavefunction.clone()
    erase_declared(wavefunction)
    (logpsi,) = wavefunction.ops
    assert isinstance(logpsi, FuncOp)
    if unbatched_op(logpsi) is not None:
        return module
    whole, module = module, module.clone()
    for function in [op for op in module.ops if isinstance(op, FuncOp)]:
        name = function.sym_name.data
        if function.is_declaration and is_network(name):
            try:
                many = _of_many(logpsi, function)
            except PassFailedException:  # such as for groups of images
                return whole
            Rewriter.replace_op(function, many)
    return module


def _of_many(logpsi: FuncOp, declared: FuncOp) -> FuncOp:
    """Return the body of a declaration: log psi of x (S, N), as (S,)."""
    kinds = list(declared.function_type.inputs)
    samples, sites = cast("TensorType[Attribute]", kinds[-1]).get_shape()
    (result,) = declared.function_type.outputs
    element = cast("TensorType[Attribute]", result).element_type

    def body(insert: Inserter, arguments: list[Array]) -> list[Array]:
        *leaves, x = arguments
        many = batched(logpsi, samples)
        found = applied(insert, many, [*leaves, x.reshape(samples, 1, sites)])
        return [found.reshape(samples).astype(element)]

    return function_of(declared.sym_name.data, kinds, body)


def lanes_of_energy(module: ModuleOp, parameters: int) -> ModuleOp:
    """Return the lanes alone, as a function of x and the parameters of the operator.

    It returns what `bt.lanes` does (sites, values, matrix elements), the values of x at
    these sites, and the diagonal if there is one. There are so many parameters.
    """
    module = module.clone()
    (energy,) = energies_in(module)
    function = energy.parent_op()
    assert isinstance(function, FuncOp)
    block = function.body.block
    leaf = next(bt.leaves_of(energy.branches), None)
    element = element_of(energy.result if leaf is None else leaf.amplitude)
    lanes = bt.LanesOp(energy.config, energy.branches, element)
    # Most are read for the values anyway
    sources = [_read(energy.config, site) for site in lanes.sites]
    Rewriter.insert_op([lanes, *sources], InsertPoint.before(energy))
    results: list[SSAValue] = [*lanes.results, *(one.result for one in sources)]
    if energy.diagonal is not None:
        results.append(energy.diagonal)
    end = block.last_op
    assert isinstance(end, ReturnOp)
    Rewriter.replace_op(end, ReturnOp(*results))
    energy.detach()
    energy.erase()
    for argument in reversed(block.args[1 + parameters :]):
        block.erase_arg(argument)
    function.update_function_type()
    for other in list(module.ops):
        if other is not function:
            other.detach()
            other.erase(safe_erase=False)
    return module


def _read(config: SSAValue, sites: SSAValue) -> bt.GatherOp:
    """Return the values of x at the sites of a write, (batch, lanes)."""
    is_own = len(shape_of(sites)) == 2
    return bt.GatherOp(config, sites, element_of(config), per_sample=is_own)
