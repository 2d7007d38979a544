"""Updates: how the connected configuration x' arises from the source x.

An update is an immutable chain of steps, each of which acts on the result of the one
before. `site(..)` in a step's value reads the source x wherever the step stands; what a
shift or a swap starts from is the configuration that the steps before it made.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from symir.errors import SourceLocation, user_location
from symir.language.codes import Mistake
from symir.language.expressions import Expr, ExprLike, Site, SiteNumber, as_expr
from symir.language.scalars import as_name, shortened

__all__ = [
    "SiteLike",
    "Step",
    "Update",
    "as_update",
    "identity",
    "shift",
    "swap",
    "write",
]

SiteLike = str | Site


@dataclass(frozen=True, eq=False)
class Step:
    """One step of an update: write, shift or swap.

    Sites are expressions for a site's number; today always that of a label.
    """

    kind: str
    sites: tuple[SiteNumber, ...]
    values: tuple[Expr, ...] = ()
    location: SourceLocation | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class Update:
    """A chain of steps; each method returns the chain with one more step."""

    steps: tuple[Step, ...] = ()

    def identity(self) -> Update:
        """Change nothing more."""
        return self

    def write(self, site: SiteLike, value: ExprLike) -> Update:
        """Then set the local value of a site."""
        return self._then("write", (site,), (value,))

    def shift(self, site: SiteLike, amount: ExprLike) -> Update:
        """Then add an amount to the local value of a site."""
        return self._then("shift", (site,), (amount,))

    def swap(self, a: SiteLike, b: SiteLike) -> Update:
        """Then exchange the local values of two sites."""
        return self._then("swap", (a, b))

    def _then(
        self, kind: str, sites: tuple[object, ...], values: tuple[object, ...] = ()
    ) -> Update:
        step = Step(
            kind,
            tuple(_as_site(site) for site in sites),
            tuple(as_expr(value) for value in values),
            user_location(),
        )
        return Update((*self.steps, step))

    def __repr__(self) -> str:
        if not self.steps:
            return "identity()"
        return ".".join(
            f"{step.kind}({', '.join(_arguments(step))})" for step in self.steps
        )


def _arguments(step: Step) -> list[str]:
    labels = [repr(site.label) for site in step.sites]
    return [*labels, *(repr(value) for value in step.values)]


def identity() -> Update:
    """Return the update that changes nothing: a diagonal branch."""
    return Update()


def write(site: SiteLike, value: ExprLike) -> Update:
    """Start an update: x'[site] = value."""
    return Update().write(site, value)


def shift(site: SiteLike, amount: ExprLike) -> Update:
    """Start an update: x'[site] = x'[site] + amount."""
    return Update().shift(site, amount)


def swap(a: SiteLike, b: SiteLike) -> Update:
    """Start an update: x'[a], x'[b] = x'[b], x'[a]."""
    return Update().swap(a, b)


def as_update(value: object) -> Update:
    """Return an update, the identity for None.

    Raises:
        DefinitionError: for anything else (D017).
    """
    if value is None:
        return Update()
    if isinstance(value, Update):
        return value
    raise Mistake.NOT_AN_UPDATE.error(
        f"a value of type {type(value).__name__} is no update",
        expected="identity(), write(..), shift(..), swap(..), or a chain of them",
        found=shortened(value),
        hint="an amplitude is passed by name: emit(amplitude=..)",
    )


def _as_site(value: object) -> SiteNumber:
    if isinstance(value, str):
        return SiteNumber(as_name(value, "a label"))
    if isinstance(value, Site) and not value.is_emitted:
        return value.index
    if isinstance(value, Site):
        raise Mistake.MISPLACED_EMITTED.error(
            "an update makes x', so it cannot be addressed by emitted(..)",
            found=repr(value),
            hint=f"write {value.label!r} or site({value.label!r})",
        )
    raise Mistake.NOT_A_SITE.error(
        f"an update cannot change {shortened(value)}",
        expected="a label such as 'i', or site('i')",
        found=f"a value of type {type(value).__name__}",
    )
