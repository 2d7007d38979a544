"""Reports of checks: what became of the meaning of an operator in each pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy.typing as npt

from lowering.relations import Relation
from symir.compiler.artifact import BranchOrigin
from symir.errors import SourceLocation, SymbolicCompilerError
from symir.late import late
from symir.validation.comparison import LaneDifference

Array = npt.NDArray[Any]
Parameters = Mapping[str, complex]

EXECUTABLE = "executable"
"""The name of the last stage: the kernel as JAX compiles it."""


class Mark:
    """A mark of a module, the same one for modules that are equal.

    Its text is made when it is asked for: it may be a fingerprint, for which the module
    is printed, and of most reports nobody reads it.
    """

    def __init__(self, write: Callable[[], str]):
        self._write = write

    @cached_property
    def text(self) -> str:
        return self._write()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mark) and (self is other or self.text == other.text)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return repr(self.text)


@dataclass(frozen=True)
class StageReport:
    """Fate of the meaning of an operator in one pass.

    Attributes:
        name: the name of the pass, or "executable".
        spec: the pass with its settings, as in a pass pipeline.
        level: the level after it: "sym", "bt" or "stablehlo".
        relation: what it declares to preserve.
        given: the mark of the module that it was given.
        left: that of the module that it left; None for the executable.
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
    given: Mark
    left: Mark | None
    worst_error: float = 0.0
    difference: LaneDifference | None = None
    x: tuple[float, ...] | None = None
    parameters: Parameters | None = None
    origin: BranchOrigin | None = None
    location: SourceLocation | None = None
    skipped: str | None = None

    @property
    def before(self) -> str:
        """The fingerprint of the module that the pass was given.

        Of a local energy it is the number of the stage that first had it.
        """
        return self.given.text

    @property
    def after(self) -> str | None:
        """That of the module that it left; None for the executable."""
        return None if self.left is None else self.left.text

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
        lowering: the passes from `sym` to `bt`; of an energy all of them.
        of_energy: whether it is of a local energy, whose wavefunction no file holds.
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
    of_energy: bool = False

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
            InputError: for a report on a local energy (V015).
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
