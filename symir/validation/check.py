"""Translation validation: what every pass does is compared with what it declares.

After each pass the module is executed by the reference interpreter of its level, on all
configurations of a small space or on some of a large one, and the lanes are compared
with those before it, under the relation that the pass declares. At the end the compiled
kernel is compared with the interpreted one. This is evidence, not proof: see
`docs/semantics.md` for what is checked and what is trusted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.interpreters.bt import run_branches
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import Guards, connections
from lowering.bt.bt_specialize import STATE_DTYPES, BtSpecializePass, state_type
from lowering.relations import Relation, relation_of
from symir.compiler.artifact import BranchOrigin, in_common, lane_sources
from symir.compiler.checks import as_configurations
from symir.compiler.lowerers import check_lowered
from symir.compiler.lowering import OPERATOR_PIPELINE, LoweringPipeline, kernel_pipeline
from symir.compiler.trace import Stage, Trace
from symir.errors import InputError, SourceLocation, SymbolicCompilerError
from symir.language.scalars import is_count, items_of, shortened
from symir.late import late
from symir.operator.ir import SymbolicOperatorIR, fingerprint
from symir.operator.spaces import Space, as_space
from symir.operator.symbolic_operator import SymbolicOperator
from symir.provenance import place_of
from symir.validation.comparison import Connected, LaneDifference, compare

if TYPE_CHECKING:
    from symir.compiler.context import SymbolicCompilationContext
    from symir.runtime.compiled_operator import CompiledOperator

MODES = ("sampled", "exhaustive")

PIPELINE = f"sym-plan-fusion,{OPERATOR_PIPELINE}"
"""Passes of a compilation: the plan of the fusion is one of its analyses."""

SAMPLES = 64
"""Random configurations that are checked by default."""

MAX_STATES = 2**16
"""Spaces of more configurations than this are sampled only."""

MAX_NUMBERS = 2**23
"""Local values of connected configurations that are checked together."""

EXECUTABLE = "executable"
"""The name of the last stage: the kernel as JAX compiles it."""

Array = npt.NDArray[Any]
Parameters = Mapping[str, complex]
Batches = Sequence[tuple[Parameters, Array]]


# region Reports


@dataclass(frozen=True)
class StageReport:
    """Fate of the meaning of an operator in one pass.

    Attributes:
        name: the name of the pass, or "executable".
        spec: the pass with its settings, as in a pass pipeline.
        level: the level after it: "sym", "bt" or "stablehlo".
        relation: what it declares to preserve.
        before: the fingerprint of the module that it was given.
        after: that of the module that it left; None for the executable.
        worst_error: the largest error of a matrix element, relative to the largest
            element of its batch, or to 1.
        difference: the first place where the relation does not hold, or None.
        x: the configuration of that place.
        parameters: the values of the parameters there.
        origin: the term, row and emission of the lane, where there is one.
        location: the user's line of that emission.
        skipped: why it was not looked at, or None.
    """

    name: str
    spec: str
    level: str
    relation: Relation
    before: str
    after: str | None
    worst_error: float = 0.0
    difference: LaneDifference | None = None
    x: tuple[float, ...] | None = None
    parameters: Parameters | None = None
    origin: BranchOrigin | None = None
    location: SourceLocation | None = None
    skipped: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the relation held wherever it was looked at."""
        return self.difference is None

    def blame(self) -> str:
        """Return what is wrong, where, and which line of the user it comes from."""
        lines = [f"{self.name} ({self.relation}): {self.difference}"]
        if self.x is not None:
            lines.append(f"  x = {[*self.x]}")
        if self.parameters:
            lines.append(f"  parameters = {dict(self.parameters)}")
        if self.origin is not None:
            tag = f" ({self.origin.tag})" if self.origin.tag else ""
            lines.append(
                f"  term '{self.origin.term}', row {self.origin.row}, emission "
                f"{self.origin.emission}{tag}"
            )
        if self.location is not None:
            lines.append(f"  at {self.location}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "name": self.name,
            "spec": self.spec,
            "level": self.level,
            "relation": str(self.relation),
            "before": self.before,
            "after": self.after,
            "worst_error": self.worst_error,
            "ok": self.ok,
            "skipped": self.skipped,
            "blame": None if self.ok else self.blame(),
        }


@dataclass(frozen=True)
class ValidationReport:
    """Findings of `check`.

    Attributes:
        operator: the name of the operator.
        mode: "sampled", "exhaustive" or "given".
        samples: the number of configurations.
        n_states: the number of configurations of the space.
        x: the configurations.
        parameters: each set of values of the parameters that was tried.
        stages: a report for each pass, in order, and one for the executable.
        text: the operator as text.
        lowering: the passes from `sym` to `bt`.
    """

    operator: str
    mode: str
    samples: int
    n_states: int
    x: Array
    parameters: tuple[Parameters, ...]
    stages: tuple[StageReport, ...]
    text: str
    lowering: str

    @property
    def ok(self) -> bool:
        """Whether every pass kept its word."""
        return all(stage.ok for stage in self.stages)

    @property
    def worst_error(self) -> float:
        """The largest error of a matrix element at any stage; see `StageReport`."""
        return max((stage.worst_error for stage in self.stages), default=0.0)

    @property
    def blamed(self) -> StageReport | None:
        """The first stage that did not keep its word, or None."""
        return next((stage for stage in self.stages if not stage.ok), None)

    def summary(self) -> dict[str, Any]:
        """Return what is kept with an artifact."""
        return {
            "ok": self.ok,
            "mode": self.mode,
            "samples": self.samples,
            "n_states": self.n_states,
            "worst_error": self.worst_error,
            "relations": {stage.name: str(stage.relation) for stage in self.stages},
        }

    def raise_if_wrong(self) -> None:
        """Raise for the first pass that did not keep its word.

        Raises:
            SymbolicCompilerError: with the pass, the lane and the values (V010).
        """
        stage = self.blamed
        if stage is None:
            return
        origin = stage.origin
        raise SymbolicCompilerError(
            "V010",
            f"'{stage.name}' changed what the operator computes",
            operator=self.operator,
            pass_name=stage.name,
            term=None if origin is None else origin.term,
            emission=None if origin is None else f"emit{origin.emission}",
            location=stage.location,
            expected=f"the relation '{stage.relation}' to what was before it",
            found=stage.blame(),
            hint="leave the pass out, or report it together with the certificate",
        )

    @late
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a certificate, which `symir check --replay` does again.

        Raises:
            SymbolicCompilerError: where the file cannot be written (C015).
        """
        ...

    def __str__(self) -> str:
        coverage = f"{self.samples} of {self.n_states} configurations"
        head = f"{self.operator}: {'valid' if self.ok else 'WRONG'}, {self.mode}, "
        head += f"{coverage}, {len(self.parameters)} set(s) of parameters"
        lines = [head]
        width = max((len(stage.name) for stage in self.stages), default=0)
        for stage in self.stages:
            verdict = f"error {stage.worst_error:.1e}"
            if stage.skipped is not None:
                verdict = f"skipped: {stage.skipped}"
            elif not stage.ok:
                verdict = f"WRONG: {stage.difference}"
            lines.append(
                f"  {stage.name:<{width}}  {stage.level:<9}  {stage.relation:<14}  "
                f"{verdict}"
            )
        if self.blamed is not None:
            lines.append(self.blamed.blame())
        return "\n".join(lines)


# endregion
# region The check


def check(
    op: SymbolicOperator | CompiledOperator | SymbolicOperatorIR,
    x: npt.ArrayLike | None = None,
    validate: str = "sampled",
    *,
    parameters: Parameters | Sequence[Parameters] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    lowering: str | LoweringPipeline = PIPELINE,
    executable: bool = True,
    partial: bool = False,
    trace: Trace | None = None,
) -> ValidationReport:
    """Compile an operator and compare, after every pass, what it computes.

    Args:
        op: the operator; of a compiled one, its IR and the values of its parameters.
        x: configurations (.., N) of the space to look at, of any real dtype that a
            kernel can have.
        validate: without x, "exhaustive" takes all configurations of the space, which
            has at most 2^16, and "sampled" takes `samples` random ones, or all where
            there are no more.
        parameters: values of parameters, or several sets of them. Without them there
            are two sets: the defaults (1 where there is none), and drawn values, so
            that a pass cannot take a default for a constant.
        samples: the number of random configurations.
        seed: what they and the drawn parameters follow from.
        lowering: the passes from `sym` to `bt`.
        executable: whether the kernel is compiled by JAX and compared, too.
        partial: whether the passes may end anywhere. Where they do not end in branch
            tensors of every batch size, no kernel is made; one batch size is that of
            `bt-specialize`, and x is converted to its type.
        trace: an empty trace, which gets the stages that are compared.

    Raises:
        InputError: for an x that holds no configurations of the space (S007, S008,
            R007), parameters that do not fit (R003, R005), a space that is too large
            (V011), and any other argument that is of no use (V012).
        SymbolicCompilerError: where a pass fails, as in a compilation.
    """
    ir, space, own = operator_of(op)
    if validate not in MODES:
        raise _bad(ir, "validate", " or ".join(map(repr, MODES)), repr(validate))
    if trace is not None and (trace.stages or not trace.keeps_stages):
        raise _bad(ir, "trace", "an empty Trace, which keeps stages", "another one")
    for name, number, least in (("samples", samples, 1), ("seed", seed, 0)):
        if not is_count(number, least):
            raise _bad(ir, name, f"an integer >= {least}", shortened(number))
    states, mode = _configurations(ir, space, x, validate, samples, seed)
    values = _parameter_sets(ir, own, parameters, seed)
    if isinstance(lowering, str):
        lowering = LoweringPipeline.parse(lowering)
    if not isinstance(lowering, LoweringPipeline):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _bad(ir, "lowering", "a pass pipeline", shortened(lowering))
    inputs = _Inputs(states, mode, space.n_states, values)
    return _report(ir, ir.module, lowering, inputs, executable, partial, trace)


def check_lowering(
    context: SymbolicCompilationContext, module: ModuleOp
) -> ValidationReport:
    """Check what a compilation is about to do, as its option `validate` asks for.

    Raises:
        SymbolicCompilerError: for a space that is too large (V011), and where a pass
            fails.
    """
    ir, space = context.ir, as_space(context.operator.hilbert)
    try:
        found = _configurations(ir, space, None, context.options.validate, SAMPLES, 0)
    except InputError as error:
        raise SymbolicCompilerError(
            error.code,
            error.message,
            operator=error.operator,
            expected=error.expected,
            found=error.found,
        ) from error
    inputs = _Inputs(*found, space.n_states, _parameter_sets(ir, {}, None, 0))
    return _report(ir, module, context.lowering, inputs)


@dataclass(frozen=True)
class _Inputs:
    """Samples and parameters that an operator is checked with."""

    states: Array
    mode: str
    n_states: int
    parameters: list[Parameters]


def _report(
    ir: SymbolicOperatorIR,
    module: ModuleOp,
    lowering: LoweringPipeline,
    inputs: _Inputs,
    executable: bool = True,
    partial: bool = False,
    trace: Trace | None = None,
) -> ValidationReport:
    states, trace = inputs.states, trace or Trace()
    batch = _batch_size(ir, len(states))
    bound = next((one for one in lowering if isinstance(one, BtSpecializePass)), None)
    if bound is not None and bound.batch > 0:
        batch, states = bound.batch, states.astype(_dtype(ir, bound.state))
    stages = trace.stages
    stages.append(Stage(0, "sym", module))
    lowering.run(module, trace=trace)
    is_partial = partial and (bound is not None or stages[-1].level != "bt")
    if not is_partial:
        check_lowered(stages[-1].module)
        lowered = stages[-1].module
        kernel = kernel_pipeline(batch, state_type(states.dtype), lowered)
        kernel.run(lowered, trace=trace)
    marks = _fingerprints(stages)
    runs = _runs(ir, stages, marks)
    batches = [
        (parameters, x)
        for parameters in inputs.parameters
        for x in _batches(states, batch)
    ]
    reports = [
        _unseen(stage, *pair)
        for stage, pair in zip(stages[1:], pairwise(marks), strict=True)
    ]
    reports = _compared(ir, reports, runs, batches)
    # Where a pass is looked for, the first one is enough
    is_done = any(r.skipped or (partial and not r.ok) for r in reports)
    if executable and not is_done and not is_partial:
        reports += _executed(ir, stages, runs[-1], marks[-1], batches)
    return ValidationReport(
        operator=ir.operator_name,
        mode=inputs.mode,
        samples=len(states),
        n_states=inputs.n_states,
        x=states,
        parameters=tuple(inputs.parameters),
        stages=tuple(reports),
        text=ir.text(),
        lowering=str(lowering),
    )


def _fingerprints(stages: Sequence[Stage]) -> list[str]:
    """Return the fingerprint of the module of each stage.

    Most passes change nothing, and to compare is ten times as fast as to print.
    """
    marks = [fingerprint(stages[0].module)]
    for before, after in pairwise(stage.module for stage in stages):
        same = before.is_structurally_equivalent(after)
        marks.append(marks[-1] if same else fingerprint(after))
    return marks


def _unseen(stage: Stage, before: str, after: str) -> StageReport:
    """Return the report on a pass of which nothing has been looked at."""
    one = cast(ModulePass, stage.applied)
    spec, relation = str(one.pipeline_pass_spec()), relation_of(one)
    return StageReport(one.name, spec, stage.level, relation, before, after)


def operator_of(op: Any) -> tuple[SymbolicOperatorIR, Space, Parameters]:
    """Return what is to be checked, and values of parameters that it comes with."""
    if isinstance(op, SymbolicOperatorIR):
        return op, op.space, {}
    if isinstance(op, SymbolicOperator):
        return op.to_ir(), as_space(op.hilbert), {}
    ir = getattr(getattr(op, "kernel", op), "ir", None)
    if isinstance(ir, SymbolicOperatorIR):
        own = {name: np.asarray(v).item() for name, v in op.parameters.items()}
        return ir, as_space(op.hilbert), own
    raise InputError(
        "V012",
        "this cannot be checked",
        expected="an operator, a compiled operator, or its IR",
        found=repr(op),
    )


def _bad(
    ir: SymbolicOperatorIR, what: str, expected: str, found: str, code: str = "V012"
) -> InputError:
    return InputError(
        code,
        f"the check cannot be made with this {what}",
        operator=ir.operator_name,
        expected=expected,
        found=found,
    )


def _configurations(
    ir: SymbolicOperatorIR,
    space: Space,
    x: npt.ArrayLike | None,
    validate: str,
    samples: int,
    seed: int,
) -> tuple[Array, str]:
    if x is not None:
        given = as_configurations(ir.operator_name, space, x)
        # Whatever the byte order
        given = given.astype(given.dtype.newbyteorder("="), copy=False)
        if given.dtype not in STATE_DTYPES.values():
            raise _bad(ir, "x", "a dtype of kernels", str(given.dtype))
        return given, "given"
    if validate == "exhaustive" and space.n_states > MAX_STATES:
        expected = f"at most {MAX_STATES} configurations"
        raise _bad(ir, "space", expected, str(space.n_states), "V011")
    if validate == "exhaustive" or space.n_states <= samples:
        return space.all_states(), "exhaustive"
    return space.random_states(samples, seed=seed), "sampled"


def _dtype(ir: SymbolicOperatorIR, state: str) -> np.dtype[Any]:
    """Return the dtype of x that `bt-specialize` has a name for."""
    if state not in STATE_DTYPES:
        raise _bad(ir, "state", " or ".join(STATE_DTYPES), state)
    return STATE_DTYPES[state]


def _parameter_sets(
    ir: SymbolicOperatorIR,
    own: Parameters,
    given: Parameters | Sequence[Parameters] | None,
    seed: int,
) -> list[Parameters]:
    own = {**ir.bind(otherwise=1.0), **own}
    if given is not None:
        sets = items_of(given)
        sets = [given] if sets is None else list(sets)
        if not sets:
            raise _bad(ir, "parameters", "at least one set of values", "none")
        return [
            ir.bind({**own, **one} if isinstance(one, Mapping) else one) for one in sets
        ]
    if not own:
        return [{}]
    rng = np.random.default_rng(seed)
    drawn: dict[str, complex] = {}
    for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True):
        real, imaginary = rng.uniform(0.5, 1.5, 2).tolist()
        drawn[name] = complex(real, imaginary) if dtype.kind == "c" else real
    return [own, drawn]


def _batch_size(ir: SymbolicOperatorIR, samples: int) -> int:
    numbers = max(1, ir.max_conn_size * ir.hilbert_size)
    return max(1, min(samples, MAX_NUMBERS // numbers))


GUARDS = {"sym-guard-undefined": Guards.UNDEFINED, "sym-guard-space": Guards.SPACE}
"""Ops that these passes put into predicates."""


@dataclass(frozen=True)
class _Run:
    """The lanes of a batch x after a stage, and the origins of each lane."""

    lanes: Callable[[Array, Parameters], Connected]
    layout: list[tuple[BranchOrigin, ...]]


def _runs(ir: SymbolicOperatorIR, stages: list[Stage], marks: list[str]) -> list[_Run]:
    """Return how each stage runs: the same again where a pass has changed nothing."""
    module, runs, layout = ir.module, list[_Run](), []
    # What the `sym` level does not yet say in predicates
    guards = Guards.ALL
    for number, stage in enumerate(stages):
        left = guards & ~GUARDS.get(stage.name, Guards.NONE)
        # A pass that does nothing may have promised a guard.
        if number and left == guards and marks[number] == marks[number - 1]:
            runs.append(runs[-1])
            continue
        guards = left
        if stage.level != "stablehlo":
            layout = lane_sources(module, stage.module)
        runs.append(_Run(partial(_lanes_at, stage, guards, ir), layout))
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


def _batches(x: Array, size: int) -> Iterator[Array]:
    """Yield batches of one size; the last wraps around."""
    for first in range(0, len(x), size):
        numbers = np.arange(first, first + size) % len(x)
        yield x[numbers]


def _compared(
    ir: SymbolicOperatorIR,
    reports: list[StageReport],
    runs: Sequence[_Run],
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
    difference = LaneDifference("run", None, None, None, "lanes", found)
    first, *others = reports
    if first.ok:
        first = replace(
            first, worst_error=np.inf, difference=difference, parameters=parameters
        )
    yield first
    for report in others:
        yield replace(report, skipped=f"{first.name} left what cannot be run")


def _executed(
    ir: SymbolicOperatorIR,
    stages: list[Stage],
    kernel: _Run,
    mark: str,
    batches: Batches,
) -> list[StageReport]:
    """Return the report on the kernel as JAX compiles it."""
    report = StageReport(
        EXECUTABLE, EXECUTABLE, "stablehlo", Relation.EQUAL, mark, None
    )
    problem = _not_executable(ir)
    if problem is not None:
        return [replace(report, skipped=problem)]
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.kernel import Kernel

    compiled = Kernel(ir, _unspecialised(stages))

    def lanes(x: Array, parameters: Parameters) -> Connected:
        operator = CompiledOperator(compiled, parameters, ir.space)
        return Connected(*map(np.asarray, operator.get_conn_padded(x)))

    return _compared(ir, [report], [kernel, _Run(lanes, kernel.layout)], batches)


def _unspecialised(stages: list[Stage]) -> ModuleOp:
    """Return the branch tensors for every batch size, which a kernel is made of."""
    names = [stage.name for stage in stages]
    return stages[names.index("bt-specialize") - 1].module


def _not_executable(ir: SymbolicOperatorIR) -> str | None:
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


# endregion
