"""Report of the passes of a compilation: done, missed, and the cost that is left.

The report runs the passes of an artifact again, with the fusion plan that it was
compiled with: what it says holds for artifacts from a file or a store as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy.typing as npt

from lowering.bt.bt_specialize import state_type
from lowering.relations import relation_of
from lowering.remarks import Remark
from symir.compiler.artifact import SymbolicCompiledArtifact, state_dtype
from symir.compiler.costs import CostTable, cost_table
from symir.compiler.lowerers import planned_module
from symir.compiler.lowering import LoweringPipeline, kernel_pipeline
from symir.compiler.options import COALESCE, OPT_LEVELS, SymbolicCompilerOptions
from symir.compiler.trace import Stage, Trace
from symir.errors import SymbolicCompilerError, SymirError
from symir.operator.ir import fingerprint
from symir.plain_text import Reading, columns
from symir.provenance import name_terms, place_in

_REMARKS_SHOWN = 8
"""Most remarks of one pass that are shown; the others are counted."""


@dataclass(frozen=True)
class PassOutcome(Reading):
    """Record of a pass over IR.

    Attributes:
        name: the name of the pass.
        pipeline: "operator" for a pass from `sym` to `bt`, "kernel" for one behind it.
        relation: how the lanes after it are related to those before it.
        ops_before: the number of ops before it.
        ops_after: the number of ops after it.
        lanes_before: the number of lanes before it; None where nothing says it.
        lanes_after: the number of lanes after it, likewise.
        changed: whether it changed anything.
        remarks: what it says that it did, or did not do and why.
    """

    name: str
    pipeline: str
    relation: str
    ops_before: int
    ops_after: int
    lanes_before: int | None
    lanes_after: int | None
    changed: bool
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class AbsentPass(Reading):
    """A pass that the compiler knows of, and that was not asked for.

    Attributes:
        name: the name of the pass.
        reason: why it is not in the pipeline.
        hint: what puts it there.
    """

    name: str
    reason: str
    hint: str


@dataclass(frozen=True)
class OptimisationReport(Reading):
    """Report of steps to make a kernel cheap, done and missed, and of its cost.

    Attributes:
        operator: the name of the operator.
        batch: the number of samples that the kernel is for.
        dtype: the dtype of its x.
        passes: the passes that ran, in order.
        absent: passes that were not in the pipeline.
        cost: what the branch tensors cost, predicted from the IR.
    """

    operator: str
    batch: int
    dtype: str
    passes: tuple[PassOutcome, ...]
    absent: tuple[AbsentPass, ...]
    cost: CostTable = field(repr=False)

    def __str__(self) -> str:
        head = f"optimisation of {self.operator}: batch {self.batch}, x of {self.dtype}"
        parts = [[head], _pass_lines(self.passes)]
        if remarks := [line for one in self.passes for line in _remark_lines(one)]:
            parts.append(["remarks", *remarks])
        if self.absent:
            absent = (f"  {one.name}: {one.reason}; {one.hint}" for one in self.absent)
            parts.append(["not in the pipeline", *absent])
        parts.append(["predicted cost per sample", str(self.cost)])
        return "\n\n".join("\n".join(lines) for lines in parts)


def optimisation_report(
    artifact: SymbolicCompiledArtifact,
    batch: int = 1024,
    dtype: npt.DTypeLike | None = None,
) -> OptimisationReport:
    """Return what was done for the kernel of a batch size and a dtype of x.

    Raises:
        SymbolicCompilerError: as `SymbolicCompiledArtifact.optimisation_report`.
    """
    own = state_dtype(artifact, dtype if artifact.backend == "jax" else None)
    try:
        state = state_type(own)
    except TypeError:
        state = None
    if state is None or batch < 1:
        raise SymbolicCompilerError(
            "C025",
            "there is no such kernel",
            operator=artifact.operator_name,
            expected="a batch of at least 1, and a real dtype of numbers",
            found=f"batch {batch}, dtype {own}",
        )
    lowering = _lowering_of(artifact)
    try:
        groups = artifact.metadata.get("fusion_groups", ())
        planned = planned_module(artifact.operator_ir, groups)
    except SymbolicCompilerError as error:
        raise _cannot(artifact, error.found or error.message) from error
    name_terms(planned)
    trace = Trace([Stage(0, "sym", planned)])
    lowered = lowering.run(planned, verify=False, trace=trace)
    assert artifact.branch_tensors is not None
    if fingerprint(lowered) != fingerprint(artifact.branch_tensors):
        raise _cannot(artifact, "they lead to other branch tensors than they did")
    kernel = kernel_pipeline(batch, state, lowered)
    kernel.run(lowered, verify=False, trace=trace)
    return OptimisationReport(
        artifact.operator_name,
        batch,
        str(own),
        tuple(_outcomes(trace.stages, len(lowering))),
        tuple(_absent(lowering, artifact.options or SymbolicCompilerOptions())),
        cost_table(artifact.operator_ir.module, lowered, own.itemsize),
    )


# region Running the passes again


def _lowering_of(artifact: SymbolicCompiledArtifact) -> LoweringPipeline:
    if artifact.lowering is None or artifact.branch_tensors is None:
        raise _cannot(artifact, f"the backend '{artifact.backend}', without a lowering")
    try:
        return LoweringPipeline.parse(artifact.lowering)
    except SymirError as error:
        raise _cannot(artifact, error.found or error.message) from error


def _outcomes(stages: list[Stage], above: int) -> Iterator[PassOutcome]:
    """Yield what each pass did, the first so many of them from `sym` to `bt`."""
    marks = [fingerprint(stage.module) for stage in stages]
    for number, (before, after) in enumerate(pairwise(stages)):
        report, one = after.report, after.applied
        assert report is not None
        assert one is not None
        assert report.ops_before is not None
        assert report.ops_after is not None
        yield PassOutcome(
            one.name,
            "operator" if number < above else "kernel",
            relation_of(one).value,
            report.ops_before,
            report.ops_after,
            before.lanes,
            after.lanes,
            marks[number] != marks[number + 1],
            report.remarks,
        )


def _cannot(artifact: SymbolicCompiledArtifact, found: str) -> SymbolicCompilerError:
    return SymbolicCompilerError(
        "C026",
        "the passes of the artifact cannot be run again",
        operator=artifact.operator_name,
        expected="an artifact of the backend 'jax', with the passes of symir-opt -h",
        found=found,
    )


# endregion
# region What was not asked for


def _absent(
    lowering: LoweringPipeline, options: SymbolicCompilerOptions
) -> Iterator[AbsentPass]:
    """Yield the passes that another value of one option would have put in."""
    asked = LoweringPipeline.parse(options.operator_pipeline())
    is_own = options.lowering is not None or str(asked) != str(lowering)
    seen = set(lowering.names)
    switches = (("without", ((),)), ("opt_level", OPT_LEVELS), ("coalesce", COALESCE))
    for name, values in switches:
        for value in values:
            other = replace(options, lowering=None, **{name: value})
            names = LoweringPipeline.parse(other.operator_pipeline()).names
            for missing in dict.fromkeys(names):
                if missing in seen:
                    continue
                seen.add(missing)
                if is_own:
                    reason, hint = "the lowering is one of your own", "put it there"
                else:
                    reason = f"{name} is {getattr(options, name)!r}"
                    hint = f"compile with {name}={value!r}"
                yield AbsentPass(missing, reason, hint)


# endregion
# region Text


def _pass_lines(passes: Iterable[PassOutcome]) -> list[str]:
    header = ("pass", "pipeline", "relation", "changed")
    header = (*header, "ops before", "after", "lanes before", "after")
    rows = [
        (
            *(one.name, one.pipeline, one.relation, "yes" if one.changed else "no"),
            *(one.ops_before, one.ops_after, one.lanes_before, one.lanes_after),
        )
        for one in passes
    ]
    return columns(header, rows, right=range(4, len(header)))


def _remark_lines(one: PassOutcome) -> list[str]:
    shown = one.remarks[:_REMARKS_SHOWN]
    lines = [line for remark in shown for line in _lines_of(one.name, remark)]
    more = len(one.remarks) - len(shown)
    return [*lines, *([f"  {one.name}: {more} more remarks"] if more else [])]


def _lines_of(name: str, one: Remark) -> Iterator[str]:
    place = place_in(one.location)
    at = "" if place is None else f" at {place}"
    yield f"  {name}: {'done' if one.done else 'not done'}: {one.message}{at}"
    if one.hint is not None:
        yield f"    hint: {one.hint}"


# endregion
