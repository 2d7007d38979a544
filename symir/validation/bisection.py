"""Bisection: the first pass that changes the meaning of an operator."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy.typing as npt

from symir.compiler.lowering import LoweringPipeline
from symir.compiler.trace import Trace
from symir.errors import SourceLocation, SymbolicCompilerError
from symir.operator.ir import SymbolicOperatorIR
from symir.validation.check import PIPELINE, check
from symir.validation.inputs import operator_of
from symir.validation.reports import StageReport, ValidationReport

if TYPE_CHECKING:
    from symir.operator.symbolic_operator import SymbolicOperator
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.local_energy import LocalEnergy


@dataclass(frozen=True)
class Bisection:
    """The first pass that does not keep its word, or that there is none.

    Attributes:
        operator: the name of the operator.
        report: what was compared after each pass; None where a pass failed.
        error: how the pass failed, or what invalid IR it left; None where it did not.
        passes: the names of the passes that ran, in order, up to a failing one.
        number: which of them is to blame, from 1; None where none is.
        before: the text of the IR that it was given.
        after: the text of the IR that it left, if it left any that is valid.
    """

    operator: str
    report: ValidationReport | None
    error: SymbolicCompilerError | None
    passes: tuple[str, ...]
    number: int | None
    before: str | None = field(default=None, repr=False)
    after: str | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether no pass is to blame, as far as was looked."""
        return self.number is None

    @property
    def pass_name(self) -> str | None:
        """The name of the pass, "executable" for XLA, or None."""
        return None if self.number is None else self.passes[self.number - 1]

    @property
    def stage(self) -> StageReport | None:
        """Difference in meaning: sample, lane, values, term and line."""
        return None if self.report is None else self.report.blamed

    @property
    def term(self) -> str | None:
        """The term that the difference or the error is in, where that is known."""
        if self.error is not None:
            return self.error.term
        origin = None if self.stage is None else self.stage.origin
        return None if origin is None else origin.term

    @property
    def location(self) -> SourceLocation | None:
        """The user's line that it comes from, where that is known."""
        if self.error is not None:
            return self.error.location
        return None if self.stage is None else self.stage.location

    def diff(self, context: int = 3) -> str:
        """Return what the pass did to the IR, as a unified diff.

        It is empty where there is no text to compare.
        """
        if self.before is None or self.after is None:
            return ""
        texts = self.before.splitlines(), self.after.splitlines()
        names = f"before {self.pass_name}", f"after {self.pass_name}"
        return "\n".join(difflib.unified_diff(*texts, *names, n=context, lineterm=""))

    def __str__(self) -> str:
        if self.report is not None and self.number is None:
            report = self.report
            skipped = [stage for stage in report.stages if stage.skipped]
            found = (
                f"{self.operator}: none of {len(self.passes) - len(skipped)} passes is "
                f"to blame, on {report.samples} of {report.n_states} configurations "
                f"and {len(report.parameters)} set(s) of parameters"
            )
            left_out = [f"  {one.name} is left out: {one.skipped}" for one in skipped]
            return "\n".join([found, *left_out])
        head = f"{self.operator}: pass {self.number}, {self.pass_name}, is to blame"
        if self.error is not None:
            return f"{head}\n{self.error}"
        assert self.stage is not None
        return f"{head}\n{self.stage.blame()}"


@overload
def bisect(
    op: SymbolicOperator | CompiledOperator | SymbolicOperatorIR,
    x: npt.ArrayLike | None = None,
    validate: str = "sampled",
    *,
    pipeline: str | LoweringPipeline | None = None,
    parameters: Any = None,
    samples: int | None = None,
    seed: int = 0,
    executable: bool = True,
) -> Bisection: ...


@overload
def bisect(
    op: LocalEnergy,
    x: Any,
    validate: npt.ArrayLike,
    /,
    *,
    samples: int | None = None,
    seed: int = 0,
    executable: bool = True,
) -> Bisection: ...


def bisect(
    op: Any,
    x: Any = None,
    validate: Any = "sampled",
    *,
    pipeline: str | LoweringPipeline | None = None,
    parameters: Any = None,
    samples: int | None = None,
    seed: int = 0,
    executable: bool = True,
) -> Bisection:
    """Return the first pass that breaks the relation that it declares, or fails.

    ```text
    bisect(operator, x=None, validate="sampled")
    bisect(energy, parameters, x)
    ```

    After every pass the operator is executed by the reference interpreter of its level.
    That there is none is evidence for the configurations that were looked at: ask for
    all of a small space by `validate="exhaustive"`.

    Args:
        op: the operator; of a compiled one, its IR and the values of its parameters.
        x: as for `check`, as `validate`, `parameters`, `samples`, `seed` are.
        pipeline: passes, from the operator on; they may end at any level. Behind branch
            tensors of every batch size come the passes that make a kernel of them. By
            default those of a compilation.
        executable: whether the kernel of JAX is compared, too.

    Raises:
        InputError: as `check`.
        SymbolicCompilerError: for a text that is no pass pipeline (C008), and where the
            operator itself is not valid (C001).
    """
    is_energy = hasattr(op, "logpsi")
    own: dict[str, Any] = {}
    if pipeline is not None or parameters is not None or not is_energy:
        if pipeline is None or isinstance(pipeline, str):
            pipeline = LoweringPipeline.parse(pipeline or PIPELINE)
        own = {"parameters": parameters, "lowering": pipeline}
    ir, *_ = operator_of(op.operator if is_energy else op)
    name = ir.operator_name
    trace = Trace()
    try:
        report = check(
            op,
            x,
            validate,
            **own,
            samples=samples,
            seed=seed,
            executable=executable,
            partial=True,
            trace=trace,
        )
    except SymbolicCompilerError as error:
        if error.pass_name is None:
            raise
        error.blame(operator=name)
        names = (*(one.name for one in trace.stages[1:]), error.pass_name)
        return Bisection(name, None, error, names, len(names), trace.stages[-1].text)
    names = tuple(stage.name for stage in report.stages)
    if report.blamed is None:
        return Bisection(name, report, None, names, None)
    number = report.stages.index(report.blamed)
    texts = [stage.text for stage in trace.stages[number : number + 2]]
    return Bisection(name, report, None, names, number + 1, *texts)
