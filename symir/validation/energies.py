"""The check of a local energy: every pass, every part of log psi, and the executable.

Up to `bt-local-energy` the stages are those of an operator. From there on each is run
by the interpreter of its level, with what it only declares, such as the network, as
functions of NumPy, and its energies are compared with those before it. The first ones
are the sum over x' of what the operator interpreter finds, with log psi of every x' by
JAX. Where a pass has written functions that find ratios, these obey laws, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.rewriter import Rewriter

from dialects import bt
from dialects.interpreters.bt import functions_of, run_function
from dialects.interpreters.calls import Oracle
from dialects.interpreters.kernel import unknown_op
from dialects.stablehlo import dtype_of, element_of, shape_of
from lowering.energy.bt_local_energy import (
    NETWORK,
    BtLocalEnergyPass,
    is_network,
)
from lowering.energy.extraction import energies_in, is_coarse
from lowering.relations import Relation
from symir.compiler.trace import Stage, Trace
from symir.inspection.lowered import passed_energy
from symir.language.scalars import is_count, shortened
from symir.operator.spaces import as_space
from symir.validation.comparison import TOLERANCES, Connected, Energies
from symir.validation.inputs import bad_argument, configurations_of, parameter_sets
from symir.validation.part_laws import Laws
from symir.validation.reports import (
    EXECUTABLE,
    Array,
    Mark,
    Parameters,
    StageReport,
    ValidationReport,
)
from symir.validation.stages import (
    NOT_RUN,
    Batches,
    Run,
    batches_of,
    compared,
    marks_of,
    runs_of,
    unseen,
)

if TYPE_CHECKING:
    from symir.runtime.local_energy import LocalEnergy
    from symir.runtime.local_energy.program import EnergyProgram

SAMPLES = 8
"""Configurations that are looked at by default."""

STATES = 512
"""Of x and x' of all samples there are about so many at most: they run one by one."""

CHUNK, PAIRS = 3, 5
"""Samples, and states, that loops take at once: few, for several turns and a rest."""


def check_energy(
    energy: LocalEnergy,
    parameters: Any,
    x: npt.ArrayLike,
    *,
    samples: int | None = None,
    seed: int = 0,
    executable: bool = True,
    partial: bool = False,
    trace: Trace | None = None,
) -> ValidationReport:
    """Compile a local energy and compare, after every pass, what it computes: `check`.

    Raises:
        InputError: for an x that holds no configurations of the space (S007, S008,
            R007), or where psi is 0, and for other arguments of no use (V012).
        SymbolicCompilerError: where a pass fails, one without which it would do, too.
    """
    subject = EnergySubject.of(
        energy, parameters, x, SAMPLES if samples is None else samples
    )
    own, ir = energy.operator.parameters, subject.program.kernel.ir
    given = {name: np.asarray(value).item() for name, value in own.items()}
    sets = parameter_sets(ir, given, None, seed)
    batches = [(one, subject.x) for one in sets]
    reports = subject.reports(
        trace or Trace(), batches, executable=executable, first=partial
    )
    passes = (one.spec for one in reports if one.name != EXECUTABLE)
    return ValidationReport(
        operator=ir.operator_name,
        mode="given",
        samples=len(subject.x),
        n_states=as_space(energy.operator.hilbert).n_states,
        x=subject.x,
        parameters=tuple(sets),
        stages=tuple(reports),
        text=ir.text(),
        lowering=",".join(passes),
        of_energy=True,
    )


@dataclass(frozen=True)
class EnergySubject:
    """A local energy with its arguments: what the interpreters run."""

    energy: LocalEnergy
    parameters: Any
    x: Array
    program: EnergyProgram
    leaves: list[Array]

    @classmethod
    def of(
        cls,
        energy: LocalEnergy,
        parameters: Any,
        x: npt.ArrayLike,
        samples: int | None,
    ) -> EnergySubject:
        """Take so many of the x where psi is not 0, at most, or all as they are."""
        ir = energy.operator.kernel.ir
        if energy.is_edited:
            expected = "one as it was compiled, whose passes can run again"
            raise bad_argument(ir, "energy", expected, "one whose IR was edited")
        if samples is not None and not is_count(samples, 1):
            raise bad_argument(ir, "samples", "an integer >= 1", shortened(samples))
        space = as_space(energy.operator.hilbert)
        states, _ = configurations_of(ir, space, x, "sampled", 0, 0)
        # Other samples may call for another program: this one is checked
        given = energy.operator._checked(states)  # pyright: ignore[reportPrivateUsage]
        program = energy.program(parameters, states.dtype, given)
        energy = copy(energy)
        energy.options = program.options
        *kinds, _ = program.imported.body.block.args
        leaves = [
            np.asarray(leaf).astype(dtype_of(element_of(kind)))
            for leaf, kind in zip(energy.leaves(parameters), kinds, strict=True)
        ]
        if samples is None:
            return cls(energy, parameters, states, program, leaves)
        most = max(1, min(samples, STATES // (1 + program.lanes), len(states)))
        states = states[np.linspace(0, len(states) - 1, most).astype(int)]
        found = cls(energy, parameters, states, program, leaves)
        # Where psi is 0 there is no energy
        kept = states[np.isfinite(found.logpsi(states))]
        if not len(kept):
            raise bad_argument(ir, "x", "some x with psi(x) other than 0", "none")
        return replace(found, x=kept)

    @cached_property
    def logpsi(self) -> _LogPsi:
        return _LogPsi(self.program.oracle(f"{NETWORK}.1"), self.leaves)

    @cached_property
    def tolerance(self) -> float:
        """The relative error of what is rounded most coarsely on the way to log psi."""
        ops = self.program.imported.walk()
        values = [v for op in ops for v in op.results if isinstance(v.type, TensorType)]
        if any(map(is_coarse, values)):
            return TOLERANCES[16]
        dtypes = {dtype_of(element_of(one)) for one in values}
        reals = (np.finfo(one).bits for one in dtypes if one.kind in "fc")
        return TOLERANCES[min(reals, default=64)]

    def plan(self, trace: Trace) -> ModuleOp:
        """Run the passes to a plan, none of which may fail."""
        return passed_energy(self.program, trace, strict=True)

    def lower(
        self,
        planned: ModuleOp,
        trace: Trace,
        *,
        chunk: int = CHUNK,
        pairs: int | None = PAIRS,
    ) -> None:
        """Run the passes from there to a kernel for these samples, so many at once."""
        count = len(self.x)
        passes = self.program.kernel_pipeline(count, pairs, samples=min(count, chunk))
        passes.run(planned, trace=trace)

    # region What is run

    def operands(self, parameters: Parameters) -> list[Array]:
        """Return the parameters of the operator, in order."""
        ir = self.program.kernel.ir
        pairs = zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
        return [np.asarray(parameters[name], dtype) for name, dtype in pairs]

    def oracle(self, name: str) -> Oracle:
        """Return a function that a module declares."""
        return self.logpsi.given if is_network(name) else self.program.oracle(name)

    def with_oracles(self, module: ModuleOp) -> tuple[ModuleOp, dict[str, Oracle]]:
        """Return a module, and what the interpreters cannot say of it.

        A network with an op that they do not know is called by JAX.
        """
        oracles = dict[str, Oracle]()
        known = functions_of(len(self.x), self.x.dtype)
        functions = [op for op in module.ops if isinstance(op, FuncOp)]
        for function in functions:
            name = function.sym_name.data
            if function.is_declaration:
                oracles[name] = self.oracle(name)
            elif function.sym_visibility and unknown_op(function, known):
                oracles[name] = _by_jax(function)
        if all(
            one.is_declaration or one.sym_name.data not in oracles for one in functions
        ):
            return module, oracles
        module = module.clone()
        for function in [op for op in module.ops if isinstance(op, FuncOp)]:
            name, kind = function.sym_name.data, function.function_type
            if name in oracles:
                external = FuncOp.external(name, kind.inputs.data, kind.outputs.data)
                Rewriter.replace_op(function, external)
        return module, oracles

    def run(self, stage: Stage, scale: Callable[..., Any]) -> Run:
        """Return how a stage with energies is run."""
        module, oracles = self.with_oracles(stage.module)
        (main,) = (op for op in module.ops if not cast(FuncOp, op).sym_visibility)
        size = shape_of(cast(FuncOp, main).body.block.args[0])[0]

        def energies(x: Array, parameters: Parameters) -> Energies:
            others = [*self.operands(parameters), *self.leaves]
            # Before there are loops a function is of one chunk
            chunks = [x] if size == bt.BATCH else batches_of(x, size)
            with np.errstate(all="ignore"):
                found = [run_function(module, [c, *others], oracles) for c in chunks]
            energies = np.concatenate([one for (one,) in found])[: len(x)]
            return scale(x, parameters)._replace(energies=energies)

        return Run(_remembered(energies))

    def weighed(self, connected: Connected, x: Array) -> Energies:
        """Return the sum over x' of matrix elements times ratios of psi."""
        elements = connected.elements
        before: Any = self.logpsi(x)[:, None]
        after: Any = self.logpsi(connected.connected)
        with np.errstate(all="ignore"):
            is_node = cast("Array", np.isneginf(after.real))
            ratios = np.where(is_node, 0, np.exp(after - before))
            terms: Any = np.where(elements == 0, 0, elements * ratios)
        energies = terms.sum(axis=1).astype(self.program.element)
        # An error of log psi is one of the ratio
        sizes = [
            np.abs(one)[np.isfinite(one)].max(initial=0) for one in (before, after)
        ]
        scale = np.maximum(1, np.abs(terms).sum(axis=1)) * (1 + max(sizes))
        return Energies(energies, scale, self.tolerance)

    # endregion
    # region What is found

    def reports(
        self, trace: Trace, batches: Batches, *, executable: bool, first: bool
    ) -> list[StageReport]:
        """Run all passes; return the report of each, and of the executable.

        With `first` the reports may end behind a pass that is to blame.
        """
        planned = self.plan(trace)
        stages, ir = [*trace.stages], self.program.kernel.ir
        # So many stages are of the operator; the last one says what x is connected to
        count = [stage.name for stage in stages].index(BtLocalEnergyPass.name)
        marks = _marks_of(stages)
        operator = runs_of(ir, stages[:count], marks[:count])
        found = self._compared(stages[:count], marks[:count], operator, batches)
        energies = self._weighed(operator[-1])
        stages, marks = stages[count - 1 :], marks[count - 1 :]
        runs = self.runs(Run(energies), energies, stages[1:], marks)
        found += self._compared(stages, marks, runs, batches, found)
        if all(map(_has_run, found)):
            lanes = cast("Connected", operator[-1].lanes(self.x, batches[0][0]))
            found = self.with_laws(trace.stages, found, lanes.connected)
        if first and not all(report.ok for report in found):
            return found
        number = len(trace.stages)
        self.lower(planned, trace)
        stages = trace.stages[number - 1 :]
        marks = _marks_of(stages)
        runs = self.runs(runs[-1], energies, stages[1:], marks)
        found += self._compared(stages, marks, runs, batches, found)
        is_done = any(r.skipped or (first and not r.ok) for r in found)
        if executable and not is_done and all(map(_has_run, found)):
            report = StageReport(
                EXECUTABLE, EXECUTABLE, "stablehlo", Relation.EQUAL, marks[-1], None
            )
            own = [runs[-1], Run(self.executed(runs[-1]))]
            found += compared(ir, [report], own, batches)
        return found

    def _compared(
        self,
        stages: Sequence[Stage],
        marks: Sequence[Mark],
        runs: Sequence[Run],
        batches: Batches,
        before: Sequence[StageReport] = (),
    ) -> list[StageReport]:
        """Return reports on all stages but the first, where those before have run."""
        reports = [
            unseen(stage, *pair)
            for stage, pair in zip(stages[1:], pairwise(marks), strict=True)
        ]
        failed = next((one.name for one in before if not _has_run(one)), None)
        if failed is None:
            return compared(self.program.kernel.ir, reports, runs, batches)
        why = f"{failed} left what cannot be run"
        return [replace(report, skipped=why) for report in reports]

    def _weighed(self, connected: Run) -> Callable[[Array, Parameters], Energies]:
        """Return how energies are found of what x is connected to."""

        def weighed(x: Array, parameters: Parameters) -> Energies:
            found = connected.lanes(x, parameters)
            assert isinstance(found, Connected)
            return self.weighed(found, x)

        return _remembered(weighed)

    def runs(
        self,
        before: Run,
        energies: Callable[[Array, Parameters], Energies],
        stages: Sequence[Stage],
        marks: Sequence[Mark],
    ) -> list[Run]:
        """Return how energies are found before some stages, and after each of them.

        `energies` finds them before all stages.
        """
        runs = [before]
        for stage, mark in zip(stages, pairwise(marks), strict=True):
            same = stage.name != BtLocalEnergyPass.name and mark[0] is mark[1]
            runs.append(runs[-1] if same else self.run(stage, energies))
        return runs

    def with_laws(
        self, stages: Sequence[Stage], reports: list[StageReport], connected: Array
    ) -> list[StageReport]:
        """Return reports where the pass that wrote parts is held to their laws."""
        for number, stage in enumerate(stages[1:]):
            energies = energies_in(stage.module)
            if not energies or not any(part.written.data for part in energies[0].parts):
                continue
            report = reports[number]
            if not report.ok or report.skipped:
                break
            module, oracles = self.with_oracles(stage.module)
            space = as_space(self.energy.operator.hilbert)
            laws = Laws(
                module,
                self.leaves,
                self.x,
                connected,
                space,
                oracles,
                self.tolerance,
            )
            broken = laws.broken()
            if broken is not None:
                x, difference = broken
                reports[number] = replace(
                    report,
                    worst_error=np.inf,
                    difference=difference,
                    x=tuple(map(float, x.tolist())),
                )
            break
        return reports

    def executed(self, interpreted: Run) -> Callable[[Array, Parameters], Energies]:
        """Return how energies are found by what JAX compiles."""

        def energies(x: Array, parameters: Parameters) -> Energies:
            energy = self.energy.replace(**parameters)
            found = cast("Energies", interpreted.lanes(x, parameters))
            return found._replace(energies=np.asarray(energy(self.parameters, x)))

        return energies

    # endregion


class _LogPsi:
    """Log psi by JAX, once for each configuration.

    Loops see a configuration often, and in other company each time.
    """

    def __init__(self, evaluate: Oracle, leaves: Sequence[Array]):
        self._evaluate = evaluate
        self._leaves = leaves
        self._known: dict[bytes, Any] = {}

    def __call__(self, x: Array) -> Array:
        """Return log psi of configurations (.., N), of shape (..)."""
        rows = x.reshape(-1, x.shape[-1])
        keys = [row.tobytes() for row in rows]
        new = {key: row for key, row in zip(keys, rows) if key not in self._known}
        if new:
            found = self._of(self._leaves, np.stack([*new.values()]))
            self._known.update(zip(new, found, strict=True))
        return np.array([self._known[key] for key in keys]).reshape(x.shape[:-1])

    def given(self, *arrays: Array) -> Array:
        """Return log psi for parameters of the network, and x, as an oracle does."""
        *leaves, x = arrays
        pairs = zip(leaves, self._leaves, strict=True)
        if all(one is own or np.array_equal(one, own) for one, own in pairs):
            return self(x)
        return self._of(leaves, x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1])

    def _of(self, leaves: Sequence[Array], rows: Array) -> Array:
        # Of few sizes, as JAX compiles each
        size = 1 << max(6, (len(rows) - 1).bit_length())
        padded = np.concatenate([rows, rows[-1:].repeat(size - len(rows), axis=0)])
        (found,) = self._evaluate(*leaves, padded)
        return found[: len(rows)]


def _by_jax(function: FuncOp) -> Oracle:
    """Return a function of StableHLO as one of arrays of NumPy."""
    from symir.runtime.functions import of_arrays

    return of_arrays(function)


def _remembered(
    function: Callable[[Array, Parameters], Energies],
) -> Callable[[Array, Parameters], Energies]:
    """Return a function that computes once what it is asked for again."""
    known: dict[Any, Energies] = {}

    def remembered(x: Array, parameters: Parameters) -> Energies:
        key = x.tobytes(), tuple(parameters.items())
        if key not in known:
            known[key] = function(x, parameters)
        return known[key]

    return remembered


def _marks_of(stages: Sequence[Stage]) -> list[Mark]:
    # There is no certificate that would need fingerprints
    return marks_of(stages, lambda stage: str(stage.number))


def _has_run(report: StageReport) -> bool:
    return report.skipped is None and (
        report.difference is None or report.difference.what != NOT_RUN
    )
