"""Translation validation: what every pass does is compared with what it declares.

After each pass the module is executed by the reference interpreter of its level, on all
configurations of a small space or on some of a large one, and the lanes are compared
with those before it, under the relation that the pass declares. At the end the compiled
kernel is compared with the interpreted one. This is evidence, not proof: see
`docs/semantics.md` for what is checked and what is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

from lowering.bt.bt_specialize import STATE_DTYPES, BtSpecializePass, state_type
from lowering.relations import Relation
from symir.compiler.lowerers import check_lowered
from symir.compiler.lowering import OPERATOR_PIPELINE, LoweringPipeline, kernel_pipeline
from symir.compiler.trace import Stage, Trace
from symir.errors import InputError, SymbolicCompilerError
from symir.language.scalars import is_count, shortened
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import as_space
from symir.operator.symbolic_operator import SymbolicOperator
from symir.validation.comparison import Connected
from symir.validation.energies import check_energy
from symir.validation.inputs import (
    MODES,
    SAMPLES,
    bad_argument,
    configurations_of,
    operator_of,
    parameter_sets,
)
from symir.validation.reports import (
    EXECUTABLE,
    Array,
    Mark,
    Parameters,
    StageReport,
    ValidationReport,
)
from symir.validation.stages import (
    Batches,
    Run,
    batches_of,
    compared,
    marks_of,
    not_executable,
    runs_of,
    unseen,
)

if TYPE_CHECKING:
    from symir.compiler.context import SymbolicCompilationContext
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.local_energy import LocalEnergy

PIPELINE = f"sym-plan-fusion,{OPERATOR_PIPELINE}"
"""Passes of a compilation: the plan of the fusion is one of its analyses."""

MAX_NUMBERS = 2**23
"""Local values of connected configurations that are checked together."""


@overload
def check(
    op: SymbolicOperator | CompiledOperator | SymbolicOperatorIR,
    x: npt.ArrayLike | None = None,
    validate: str = "sampled",
    *,
    parameters: Parameters | Sequence[Parameters] | None = None,
    samples: int | None = None,
    seed: int = 0,
    lowering: str | LoweringPipeline = PIPELINE,
    executable: bool = True,
    partial: bool = False,
    trace: Trace | None = None,
) -> ValidationReport: ...


@overload
def check(
    op: LocalEnergy,
    x: Any,
    validate: npt.ArrayLike,
    /,
    *,
    samples: int | None = None,
    seed: int = 0,
    executable: bool = True,
    partial: bool = False,
    trace: Trace | None = None,
) -> ValidationReport: ...


def check(
    op: Any,
    x: Any = None,
    validate: Any = "sampled",
    *,
    parameters: Parameters | Sequence[Parameters] | None = None,
    samples: int | None = None,
    seed: int = 0,
    lowering: str | LoweringPipeline = PIPELINE,
    executable: bool = True,
    partial: bool = False,
    trace: Trace | None = None,
) -> ValidationReport:
    """Compile an operator and compare, after every pass, what it computes.

    ```text
    check(operator, x=None, validate="sampled")
    check(energy, parameters, x)
    ```

    Of a local energy the energies of some of the x are compared, after every pass, and
    the functions that find ratios of a part of log psi are held to its values, on
    changes of x. `symir.LocalEnergy` knows its passes and the operator's parameters.

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
        samples: the number of random configurations, by default 64; of a local energy
            how many of the x there are at most, by default 8.
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
        SymbolicCompilerError: where a pass fails, as in a compilation; of a local
            energy also one that is left out there.
    """
    if hasattr(op, "logpsi"):
        if parameters is not None or lowering != PIPELINE:
            raise bad_argument(
                op.operator.kernel.ir,
                "argument",
                "check(energy, parameters, x), for what a LocalEnergy does not know",
                "parameters of the operator, or passes",
            )
        return check_energy(
            op,
            x,
            validate,
            samples=samples,
            seed=seed,
            executable=executable,
            partial=partial,
            trace=trace,
        )
    samples = SAMPLES if samples is None else samples
    ir, space, own = operator_of(op)
    if validate not in MODES:
        raise bad_argument(
            ir, "validate", " or ".join(map(repr, MODES)), repr(validate)
        )
    if trace is not None and (trace.stages or not trace.keeps_stages):
        raise bad_argument(
            ir, "trace", "an empty Trace, which keeps stages", "another one"
        )
    for name, number, least in (("samples", samples, 1), ("seed", seed, 0)):
        if not is_count(number, least):
            raise bad_argument(ir, name, f"an integer >= {least}", shortened(number))
    states, mode = configurations_of(ir, space, x, validate, samples, seed)
    values = parameter_sets(ir, own, parameters, seed)
    if isinstance(lowering, str):
        lowering = LoweringPipeline.parse(lowering)
    if not isinstance(lowering, LoweringPipeline):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise bad_argument(ir, "lowering", "a pass pipeline", shortened(lowering))
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
        found = configurations_of(ir, space, None, context.options.validate, SAMPLES, 0)
    except InputError as error:
        raise SymbolicCompilerError(
            error.code,
            error.message,
            operator=error.operator,
            expected=error.expected,
            found=error.found,
        ) from error
    inputs = _Inputs(*found, space.n_states, parameter_sets(ir, {}, None, 0))
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
    marks = marks_of(stages)
    runs = runs_of(ir, stages, marks)
    batches = [
        (parameters, x)
        for parameters in inputs.parameters
        for x in batches_of(states, batch)
    ]
    reports = [
        unseen(stage, *pair)
        for stage, pair in zip(stages[1:], pairwise(marks), strict=True)
    ]
    reports = compared(ir, reports, runs, batches)
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


def _dtype(ir: SymbolicOperatorIR, state: str) -> np.dtype[Any]:
    """Return the dtype of x that `bt-specialize` has a name for."""
    if state not in STATE_DTYPES:
        raise bad_argument(ir, "state", " or ".join(STATE_DTYPES), state)
    return STATE_DTYPES[state]


def _batch_size(ir: SymbolicOperatorIR, samples: int) -> int:
    numbers = max(1, ir.max_conn_size * ir.hilbert_size)
    return max(1, min(samples, MAX_NUMBERS // numbers))


def _executed(
    ir: SymbolicOperatorIR,
    stages: list[Stage],
    kernel: Run,
    mark: Mark,
    batches: Batches,
) -> list[StageReport]:
    """Return the report on the kernel as JAX compiles it."""
    report = StageReport(
        EXECUTABLE, EXECUTABLE, "stablehlo", Relation.EQUAL, mark, None
    )
    problem = not_executable(ir)
    if problem is not None:
        return [replace(report, skipped=problem)]
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.kernel import Kernel

    compiled = Kernel(ir, _unspecialised(stages))

    def lanes(x: Array, parameters: Parameters) -> Connected:
        operator = CompiledOperator(compiled, parameters, ir.space)
        return Connected(*map(np.asarray, operator.get_conn_padded(x)))

    return compared(ir, [report], [kernel, Run(lanes, kernel.layout)], batches)


def _unspecialised(stages: list[Stage]) -> ModuleOp:
    """Return the branch tensors for every batch size, which a kernel is made of."""
    names = [stage.name for stage in stages]
    return stages[names.index("bt-specialize") - 1].module
