"""Facts of an operator and their proofs: plain values that print and become JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from symir.plain_text import Reading

_SITES_SHOWN = 16
_CHANGES_SHOWN = 4
_TRUTH = {True: "yes", False: "no", None: "unknown"}


class How(Enum):
    """The way in which a fact was found."""

    PROVED = "proved by analysis of the IR"
    CHECKED = "checked on all configurations"
    SAMPLED = "sampled"
    NONE = "not decided"


@dataclass(frozen=True)
class Counterexample(Reading):
    """A matrix element that contradicts a fact.

    Attributes:
        x: the local values of x.
        xp: those of x'.
        elements: <x|O|x'>, summed over the branches that lead to x'; for Hermiticity
            <x'|O|x> after it.
    """

    x: tuple[float, ...]
    xp: tuple[float, ...]
    elements: tuple[complex, ...]

    def __str__(self) -> str:
        names = ("<x|O|x'>", "<x'|O|x>")
        pairs = zip(names, self.elements, strict=False)
        shown = ", ".join(f"{name} = {_number(value)}" for name, value in pairs)
        if len(self.x) <= _SITES_SHOWN:
            return f"x = {_values(self.x)}, x' = {_values(self.xp)}, {shown}"
        return f"x' has {self._changes()}, {shown}"

    def _changes(self) -> str:
        pairs = enumerate(zip(self.x, self.xp, strict=True))
        changes = [f"{a:g} -> {b:g} at {site}" for site, (a, b) in pairs if a != b]
        if len(changes) > _CHANGES_SHOWN:
            changes[_CHANGES_SHOWN:] = [f"{len(changes) - _CHANGES_SHOWN} more"]
        return ", ".join(changes) or "no change"


@dataclass(frozen=True)
class Fact(Reading):
    """A statement on an operator that holds, does not hold, or is not known.

    Attributes:
        value: True where it is proved, or was checked on all configurations; False
            where there is a counterexample; None else. That a sample of configurations
            has no counterexample leaves it None.
        how: the way in which that was found.
        reason: the same in words.
        counterexample: what contradicts it, where it is False.
    """

    value: bool | None
    how: How
    reason: str
    counterexample: Counterexample | None = None

    def __str__(self) -> str:
        shown = "" if self.counterexample is None else f": {self.counterexample}"
        return f"{_TRUTH[self.value]} ({self.reason}{shown})"


@dataclass(frozen=True)
class OperatorFacts(Reading):
    """Findings of analysis and evaluation of an operator, at some values of parameters.

    Attributes:
        operator: the name of the operator.
        sites: the number of sites N.
        declared_hermitian: whether the author claims that it is Hermitian, or that it
            is not; None where nothing is said.
        finite: whether all matrix elements are finite. The other facts take NaN for
            equal to NaN, and for real and not 0.
        hermitian: whether the matrix is equal to its adjoint.
        real: whether all matrix elements are real.
        diagonal: whether no branch changes a configuration.
        stoquastic: whether the matrix is real, and its elements off the diagonal,
            branches with equal x' summed, are not positive.
        conserves_sum: whether x' has the same sum of local values as x.
        conserves_parity: whether (-1)^p is conserved, where p sums the places of the
            local values, counted from the lowest of the site in units of the common
            spacing: the parity of a number of particles, the product of the signs of
            spins 1/2.
        conserves_constraints: whether every x' satisfies the constraints of the space.
        conserved_sums: the same for each conserved sum of the space, by its text.
        body: the largest number of sites that one branch reads or writes.
        reach: the largest |i - j| of two sites that one branch reads or writes.
        reach_periodic: the same on a ring of all sites: the smaller of |i - j| and
            N - |i - j|.
        max_conn_size: the number of lanes K of each configuration.
        branches_bound: no configuration has more branches with a matrix element other
            than 0 than so many.
        branches_found: the most that were found in one of the configurations that were
            evaluated; None where none was.
        terms: the number of terms.
        parameters: the parameters that it depends on, with the values that all this
            holds for; None for one without a value.
    """

    operator: str
    sites: int
    declared_hermitian: bool | None
    finite: Fact
    hermitian: Fact
    real: Fact
    diagonal: Fact
    stoquastic: Fact
    conserves_sum: Fact
    conserves_parity: Fact
    conserves_constraints: Fact
    conserved_sums: Mapping[str, Fact]
    body: int
    reach: int
    reach_periodic: int
    max_conn_size: int
    branches_bound: int
    branches_found: int | None
    terms: int
    parameters: Mapping[str, complex | None]

    def __post_init__(self) -> None:
        for name in ("conserved_sums", "parameters"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def facts(self) -> Mapping[str, Fact]:
        """All that holds or does not, by its name."""
        return {
            "finite": self.finite,
            "hermitian": self.hermitian,
            "real": self.real,
            "diagonal": self.diagonal,
            "stoquastic": self.stoquastic,
            "conserves the sum": self.conserves_sum,
            "conserves the parity": self.conserves_parity,
            "stays in the space": self.conserves_constraints,
            **{f"conserves {text}": fact for text, fact in self.conserved_sums.items()},
        }

    @property
    def numbers(self) -> Mapping[str, str]:
        """All that is counted, by its name, for reading."""
        found = "unknown" if self.branches_found is None else str(self.branches_found)
        values = (
            f"{name} = {'no value' if value is None else _number(value)}"
            for name, value in self.parameters.items()
        )
        return {
            "terms": str(self.terms),
            "body": f"{self.body} sites",
            "reach": f"{self.reach} sites, {self.reach_periodic} on a ring",
            "branches": f"{self.max_conn_size} lanes, at most {self.branches_bound} "
            f"not 0, found {found}",
            "parameters": ", ".join(values) or "none",
        }

    def __str__(self) -> str:
        facts, numbers = self.facts, self.numbers
        width = max(map(len, [*facts, *numbers]))
        claim = ", declared hermitian" if self.declared_hermitian else ""
        lines = [f"{self.operator}: {self.sites} sites{claim}"]
        for name, fact in facts.items():
            lines.append(f"  {name:<{width}}  {_TRUTH[fact.value]:<7}  {fact.reason}")
            if fact.counterexample is not None:
                lines.append(f"  {'':<{width}}  {'':<7}  {fact.counterexample}")
        lines += [f"  {name:<{width}}  {text}" for name, text in numbers.items()]
        return "\n".join(lines)


def _values(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _number(value: complex) -> str:
    return f"{value:.6g}" if value.imag else f"{value.real:.6g}"
