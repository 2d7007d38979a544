"""The handle on every level of an operator, or of a local energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dialects.stablehlo import dtype_of
from dialects.text import print_module
from lowering.bt.bt_specialize import STATE_TYPES
from symir.compiler.garbage_collection import collector_paused
from symir.compiler.trace import Stage
from symir.errors import StageError
from symir.inspection.difference import Difference, LaneChange, changes_between
from symir.inspection.specs import Spec, Specs, lanes_by_term, spec_of
from symir.late import late
from symir.operator.ir import SymbolicOperatorIR
from symir.plain_text import elided_constants

LEVELS = ("sym", "bt", "stablehlo")

_ROWS_SHOWN = 16


@dataclass(frozen=True, eq=False)
class LoweredOperator:
    """All stages of an operator on its way to a kernel, or of a local energy.

    `symir.lower` and `symir.parse` make it. It is immutable: what changes something
    returns another one.

    Attributes:
        name: the name of the operator.
        stages: the beginning, and one stage for each pass, in order.
        source: what was lowered: an operator, a local energy, or None for a text of a
            lower level.
        options: the options of the compiler that it was lowered with.
        batch: the number of samples that the kernel is for.
        state: the type of a local value of x in the kernel, such as "i8".
        last_of: the number of the stage that stands for a level.
        program: of a local energy, what it was compiled to for these types.
    """

    name: str
    stages: tuple[Stage, ...]
    source: Any = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    batch: int = 1
    state: str = "i8"
    last_of: Mapping[str, int] = field(default_factory=dict[str, int])
    program: Any = field(default=None, repr=False)

    # region Stages

    @property
    def stage(self) -> Stage:
        """Where the operator is: the last stage."""
        return self.stages[-1]

    @property
    def level(self) -> str:
        """The level of the last stage."""
        return self.stage.level

    @property
    def entered(self) -> str:
        """The level of the first stage."""
        return self.stages[0].level

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that there are, from the first one on."""
        return tuple(level for level in LEVELS if level in self.last_of)

    def at(self, where: str | int) -> Stage:
        """Return a stage by level, name of the pass, or number.

        "sym" is the operator as it was defined, "bt" the branch tensors that kernels
        are made of (of a local energy: with its plan), "stablehlo" the kernel. Of a
        pass that ran more than once the last run is meant; negative numbers count from
        the end.

        Raises:
            StageError: where there is no such stage (C060).
        """
        match where:
            case bool():
                pass
            case int() if -len(self.stages) <= where < len(self.stages):
                return self.stages[where]
            case str() if where in self.last_of:
                return self.stages[self.last_of[where]]
            case str():
                named = [one for one in self.stages[1:] if one.name == where]
                if named:
                    return named[-1]
            case _:  # pyright: ignore[reportUnnecessaryComparison]
                pass
        raise self._no_stage(where)

    def _no_stage(self, where: object) -> StageError:
        if where in LEVELS:
            reached = self.level
            later = LEVELS.index(str(where)) > LEVELS.index(reached)
            got = f"a handle of '{self.name}' at {', '.join(self.levels)}"
            if not later:
                return StageError(
                    f"a handle that was entered at {where} or above",
                    f"one of '{self.name}' that was entered at {self.entered}",
                    "symir.lower(operator) has every level",
                    operator=self.name,
                )
            return StageError(
                f"a handle that was lowered to {where}",
                got,
                "symir.lower(handle) lowers what was only parsed",
                operator=self.name,
            )
        names = dict.fromkeys(one.name for one in self.stages[1:])
        return StageError(
            " or ".join(
                [
                    *self.levels,
                    *names,
                    f"a number from 0 to {len(self.stages) - 1}",
                ]
            ),
            repr(where),
            "the passes that run depend on the options: opt_level, coalesce, without",
            operator=self.name,
        )

    # endregion
    # region Looking

    def inspect(
        self,
        level: str | int | None = None,
        *,
        stats: bool = False,
        formula: bool = False,
    ) -> str:
        """Return the text of a stage for reading: long tables lose their middle.

        Args:
            level: what `at` takes; by default the last stage.
            stats: whether its numbers come first: ops, lanes, bytes, flops.
            formula: whether the operator in words and formulas comes before that.

        `at(level).text` is the whole text, which parses back.

        Raises:
            StageError: where there is no such stage, or no "sym" level for a formula
                (C060).
        """
        stage = self.stage if level is None else self.at(level)
        parts = [self.describe()] if formula else []
        if stats:
            parts.append(str(self._spec(stage)))
        text = print_module(stage.module, elide_rows_over=_ROWS_SHOWN)
        return "\n\n".join([*parts, elided_constants(text)])

    def describe(self) -> str:
        """Return the operator in words and formulas.

        Raises:
            StageError: where it was entered below "sym" (C060).
        """
        return SymbolicOperatorIR(self.at("sym").module).describe()

    def specs(self, levels: Sequence[str | int] | str | int | None = None) -> Specs:
        """Return the numbers of stages: op histogram, lanes, bytes, flops.

        `levels` are what `at` takes, by default all levels that there are.

        Raises:
            StageError: where there is no such stage (C060).
        """
        if levels is None:
            levels = self.levels
        chosen = [levels] if isinstance(levels, str | int) else levels
        return Specs(tuple(self._spec(self.at(one)) for one in chosen))

    def _spec(self, stage: Stage) -> Spec:
        size = dtype_of(STATE_TYPES[self.state]).itemsize
        return spec_of(stage, size)

    def diff(self, first: str | int, second: str | int) -> Difference:
        """Return what is different between two stages.

        Both are what `at` takes. Ops are compared by what they are: `Difference` says
        which were added, removed or rewritten, and for which term and line of yours.

        Raises:
            StageError: where there is no such stage (C060).
        """
        return difference((self, self.at(first)), (self, self.at(second)))

    def lanes_of_terms(self, level: str | int | None = None) -> dict[str, int] | None:
        """Return how many lanes of a stage hold branches of each term.

        None where nothing tells: where the handle was entered below "sym", where IR was
        edited up to that stage, and in a local energy. A lane that is a sum counts for
        each of its terms.

        Raises:
            StageError: where there is no such stage (C060).
        """
        stage = self.stage if level is None else self.at(level)
        if "sym" not in self.last_of:
            return None
        last = self.last_of.get("bt", stage.number)
        lowered = self.stages[min(stage.number, last)]
        if any(one.edited for one in self.stages[: stage.number + 1]):
            return None
        return lanes_by_term(self.stages[0].module, lowered.module)

    # endregion
    # region Editing and running

    @late
    def replace_ir(
        self, level: str | int, text: str, *, file: str = "<string>"
    ) -> LoweredOperator:
        """Return a handle with the IR of a stage written by hand.

        The passes behind that stage run again, and `compile()` gives what runs it. At
        "sym" the text is another operator, which is lowered with the same options; of a
        local energy the stages from `bt-local-energy` on can be edited. `file` is what
        messages call the text.

        Raises:
            DefinitionError: for a text that is no valid IR (D028, D029): at which line
                and column.
            StageError: where there is no such stage, or the text is of another level
                (C060).
            SymbolicCompilerError: for a kernel with other arguments or results, or with
                declarations that nobody knows, and for another network where it is JAX
                that calls it (C061); where a pass cannot take it (C001, C002).
        """
        ...

    @late
    def with_network(self) -> LoweredOperator:
        """Return the handle of a local energy with the network in its kernel.

        The kernel declares the network, and JAX lowers that where it runs. Here its own
        text takes the place of the declaration, in another last stage: for reading, for
        other tools and for edits. A network with an op that has no rule for many
        configurations stays declared.

        Raises:
            StageError: where there is no kernel of a local energy (C060).
        """
        ...

    @late
    def compile(self) -> Any:
        """Return what runs: a `CompiledOperator`, or a `LocalEnergy`.

        Where IR was edited, that is what runs. A kernel that was edited behind "bt" is
        for the batch and state of the handle only. A local energy that was edited is
        for parameters and x of the types that it was lowered for, and calls the network
        as it is. Its derivatives by parameters of the network are those of log psi at
        every x', with the matrix elements as edited; edited behind "bt" it has none.

        Raises:
            StageError: where it was entered below "sym" (C060).
            SymbolicCompilerError: as a compilation.
        """
        ...

    # endregion

    @late
    def _repr_html_(self) -> str:
        """Return what notebooks show."""
        ...

    def __repr__(self) -> str:
        count = len(self.stages)
        noun = "stage" if count == 1 else "stages"
        levels = " -> ".join(self.levels)
        return f"LoweredOperator({self.name!r}, {count} {noun}, {levels})"

    def __str__(self) -> str:
        return "\n".join([repr(self), *map(_line_of, self.stages)])


def difference(
    first: tuple[LoweredOperator, Stage], second: tuple[LoweredOperator, Stage]
) -> Difference:
    """Return what is different between stages of one handle, or of two."""
    with collector_paused():
        changes, moved = changes_between(first[1].module, second[1].module)
    lanes = [handle.lanes_of_terms(stage.number) for handle, stage in (first, second)]
    found: list[LaneChange] = []
    if lanes[0] is not None and lanes[1] is not None:
        for term in dict.fromkeys((*lanes[0], *lanes[1])):
            counts = lanes[0].get(term), lanes[1].get(term)
            if counts[0] != counts[1]:
                found.append(LaneChange(term, *counts))
    alone = first[0] is second[0]
    before, after = (_called(*one, alone=alone) for one in (first, second))
    return Difference(before, after, changes, tuple(found), moved)


def _called(handle: LoweredOperator, stage: Stage, *, alone: bool) -> str:
    """Return what a stage is called: by its level where it stands for that."""
    stands_for = handle.last_of.get(stage.level) == stage.number
    name = stage.level if stands_for else f"{stage.name} ({stage.number})"
    return name if alone else f"{handle.name} at {name}"


def _line_of(stage: Stage) -> str:
    report = stage.report
    ops = "" if report is None else f"  {report.ops_before} -> {report.ops_after} ops"
    edited = "  edited by hand" if stage.edited else ""
    return f"{stage.number:>4}  {stage.level:<9}  {stage.name}{ops}{edited}"
