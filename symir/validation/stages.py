"""Stages of a compilation that are executed, and compared one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import cast

import numpy as np
from xdsl.passes import ModulePass

from dialects.interpreters.bt import run_branches
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import Guards, connections
from lowering.relations import relation_of
from symir.compiler.artifact import BranchOrigin, in_common, lane_sources
from symir.compiler.trace import Stage
from symir.errors import SourceLocation
from symir.operator.ir import SymbolicOperatorIR, fingerprint
from symir.provenance import place_of
from symir.validation.comparison import Connected, Energies, LaneDifference, compare
from symir.validation.reports import Array, Mark, Parameters, StageReport

Batches = Sequence[tuple[Parameters, Array]]


def fingerprint_of(stage: Stage) -> str:
    """Return the fingerprint of the module of a stage."""
    return fingerprint(stage.module)


def marks_of(
    stages: Sequence[Stage], write: Callable[[Stage], str] = fingerprint_of
) -> list[Mark]:
    """Return a mark of the module of each stage, the same one where a pass did nothing.

    Most passes change nothing, and to compare is ten times as fast as to print.
    """
    marks = [Mark(partial(write, stages[0]))]
    for before, after in pairwise(stages):
        same = before.module is after.module
        same = same or before.module.is_structurally_equivalent(after.module)
        marks.append(marks[-1] if same else Mark(partial(write, after)))
    return marks


def unseen(stage: Stage, before: Mark, after: Mark) -> StageReport:
    """Return the report on a pass of which nothing has been looked at."""
    one = cast(ModulePass, stage.applied)
    spec, relation = str(one.pipeline_pass_spec()), relation_of(one)
    return StageReport(one.name, spec, stage.level, relation, before, after)


NOT_RUN = "run"
"""What differs where a pass left what cannot be run."""

GUARDS = {"sym-guard-undefined": Guards.UNDEFINED, "sym-guard-space": Guards.SPACE}
"""Ops that these passes put into predicates."""


@dataclass(frozen=True)
class Run:
    """The lanes of a batch x after a stage, or energies; and the origins of lanes."""

    lanes: Callable[[Array, Parameters], Connected | Energies]
    layout: list[tuple[BranchOrigin, ...]] = field(
        default_factory=list[tuple[BranchOrigin, ...]]
    )


def runs_of(
    ir: SymbolicOperatorIR, stages: list[Stage], marks: list[Mark]
) -> list[Run]:
    """Return how each stage runs: the same again where a pass has changed nothing."""
    module, runs, layout = ir.module, list[Run](), []
    # What the `sym` level does not yet say in predicates
    guards = Guards.ALL
    for number, stage in enumerate(stages):
        left = guards & ~GUARDS.get(stage.name, Guards.NONE)
        # A pass that does nothing may have promised a guard.
        if number and left == guards and marks[number] is marks[number - 1]:
            runs.append(runs[-1])
            continue
        guards = left
        if stage.level != "stablehlo":
            layout = lane_sources(module, stage.module)
        runs.append(Run(partial(_lanes_at, stage, guards, ir), layout))
    return runs


def _lanes_at(
    stage: Stage,
    guards: Guards,
    ir: SymbolicOperatorIR,
    x: Array,
    parameters: Parameters,
) -> Connected:
    """Return what a stage computes for a batch x, by the interpreter of its level."""
    if stage.level == "sym":
        return Connected(*connections(stage.module, x, parameters, guards=guards))
    values = [
        np.asarray(parameters[name], dtype)
        for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    ]
    if stage.level == "bt":
        return Connected(*run_branches(stage.module, x, values))
    return Connected(*run_kernel(stage.module, [x, *values]))


def batches_of(x: Array, size: int) -> Iterator[Array]:
    """Yield batches of one size; the last wraps around."""
    for first in range(0, len(x), size):
        numbers = np.arange(first, first + size) % len(x)
        yield x[numbers]


def compared(
    ir: SymbolicOperatorIR,
    reports: list[StageReport],
    runs: Sequence[Run],
    batches: Batches,
) -> list[StageReport]:
    """Return reports with what is found on all batches; `runs` has one more, before."""
    for parameters, x in batches:
        before, earlier = runs[0], runs[0].lanes(x, parameters)
        for number, after in enumerate(runs[1:]):
            later, report = earlier, reports[number]
            try:
                if after is not before:
                    later = after.lanes(x, parameters)
            except Exception as error:
                reports[number:] = _not_run(reports[number:], parameters, error)
                return reports
            found = compare(report.relation, x, earlier, later)
            report = replace(
                report, worst_error=max(report.worst_error, found.worst_error)
            )
            if found.difference is not None and report.ok:
                layout = (before if found.difference.before else after).layout
                report = _blamed(report, ir, parameters, x, found.difference, layout)
            reports[number] = report
            before, earlier = after, later
    return reports


def _not_run(
    reports: Sequence[StageReport], parameters: Parameters, error: Exception
) -> Iterator[StageReport]:
    """Yield reports on a pass that left what cannot be run, and on those after it."""
    found = f"{type(error).__name__}: {error}"
    difference = LaneDifference(NOT_RUN, None, None, None, "results", found)
    first, *others = reports
    if first.ok:
        first = replace(
            first, worst_error=np.inf, difference=difference, parameters=parameters
        )
    yield first
    for report in others:
        yield replace(report, skipped=f"{first.name} left what cannot be run")


def not_executable(ir: SymbolicOperatorIR) -> str | None:
    try:
        from symir.runtime import x64_enabled
    except ImportError:
        return "JAX is not installed"
    if np.finfo(ir.dtype_str).bits == 64 and not x64_enabled():
        return "JAX is set to 32 bits"
    return None


def _blamed(
    report: StageReport,
    ir: SymbolicOperatorIR,
    parameters: Parameters,
    x: Array,
    difference: LaneDifference,
    layout: list[tuple[BranchOrigin, ...]],
) -> StageReport:
    """Return a report with a difference, and where its lane comes from."""
    sample, lane = difference.sample, difference.lane
    origins = () if lane is None else layout[lane]
    return replace(
        report,
        difference=difference,
        x=None if sample is None else tuple(map(float, x[sample].tolist())),
        parameters=parameters,
        origin=in_common(origins) if origins else None,
        location=_line(ir, origins[0]) if origins else None,
    )


def _line(ir: SymbolicOperatorIR, origin: BranchOrigin) -> SourceLocation | None:
    """Return the user's line of the emission that a lane comes from."""
    (term,) = (t for t in ir.operator.terms if t.sym_name.data == origin.term)
    place = term if origin.emission is None else term.emissions[origin.emission]
    return place_of(place)
