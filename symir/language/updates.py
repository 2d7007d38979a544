"""Updates: how the connected configuration x' arises from the source x.

An update is an immutable chain of steps, each of which acts on the result of the one
before. `site(..)` in a step's value reads the source x wherever the step stands; what a
shift or a swap starts from is the configuration that the steps before it made.

A site is a label, a constant, or computed: any real expression, in which
`site(..).index` is a number of a site and `site(..).value` a local value. A computed
site that the lattice does not have makes the branch invalid.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from xdsl.ir import Operation, SSAValue

from dialects import sym
from symir.errors import SourceLocation, user_location
from symir.language.codes import Mistake
from symir.language.expressions import (
    Constant,
    Expr,
    ExprLike,
    Predicate,
    PredicateLike,
    Site,
    SiteNumber,
    as_expr,
    as_predicate,
    check_site_number,
    whole,
)
from symir.language.scalars import (
    NumberLike,
    as_name,
    as_number,
    items_of,
    shortened,
)

SiteLike = str | Expr | NumberLike

REGISTERED: dict[str, Callable[..., Update]] = {}
"""The registered updates, by name: methods of every update."""


def _permute(config: SSAValue, *sites: SSAValue) -> Operation:
    return sym.PermuteOp(config, sites)


OPS: dict[str, Callable[..., Operation]] = {
    "write": sym.WriteOp,
    "shift": sym.ShiftOp,
    "shift_mod": sym.ShiftModOp,
    "swap": sym.SwapOp,
    "affine": sym.AffineOp,
    "permute": _permute,
}
"""The op of each kind of step that is one: of a configuration, sites, and values."""


@dataclass(frozen=True, eq=False)
class Step:
    """Step of an update.

    Attributes:
        kind: the name of the method that appended it.
        sites: the number of each site: that of a label, a constant, or computed.
        values: what is written, added and so on.
        location: where the user wrote the step.
        predicate: what a `cond` asks.
        choices: the two updates that a `cond` may continue with; the second one where
            the predicate does not hold.
        text: the site set of a `flip_set`, the reason of an `invalidate`.
    """

    kind: str
    sites: tuple[Expr, ...] = ()
    values: tuple[Expr, ...] = ()
    location: SourceLocation | None = field(default=None, repr=False)
    predicate: Predicate | None = None
    choices: tuple[Update, ...] = ()
    text: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Update:
    """A chain of steps; each method returns the chain with one more step."""

    steps: tuple[Step, ...] = ()

    __hash__ = object.__hash__

    def _no_comparison(self, _: object) -> NoReturn:
        raise Mistake.NOT_AN_EXPRESSION.error(
            f"updates are not compared: {shortened(self)} is no number",
            expected="numbers on both sides of a comparison",
            found=shortened(self),
        )

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _no_comparison  # pyright: ignore[reportAssignmentType]

    def identity(self) -> Update:
        """Change nothing more."""
        return self

    def write(self, site: SiteLike, value: ExprLike) -> Update:
        """Then set the local value of a site."""
        return self._then("write", (site,), (value,))

    def shift(self, site: SiteLike, amount: ExprLike) -> Update:
        """Then add an amount to the local value of a site."""
        return self._then("shift", (site,), (amount,))

    def shift_mod(self, site: SiteLike, amount: ExprLike) -> Update:
        """Then move a site so many places on among its local values, cyclically.

        It counts places, whatever the values are: `shift_mod("i", 1)` takes a spin from
        -1 to 1 and from 1 to -1. A value that is none of the site's makes the branch
        invalid.

        Raises:
            DefinitionError: for a constant that is no whole number (D066).
        """
        places = as_expr(amount)
        if isinstance(places, Constant) and whole(places.value) is None:
            raise Mistake.BAD_PLACES.error(
                "shift_mod moves a site by so many places",
                expected="a whole number of places",
                found=repr(amount),
                hint="shift(site, amount) adds any number to a local value",
            )
        return self._then("shift_mod", (site,), (places,))

    def hop(self, a: SiteLike, b: SiteLike, amount: ExprLike = 1) -> Update:
        """Then move an amount from one site to another."""
        return self._then("hop", (a, b), (amount,))

    def swap(self, a: SiteLike, b: SiteLike) -> Update:
        """Then exchange the local values of two sites."""
        return self._then("swap", (a, b))

    def permute(self, *sites: SiteLike) -> Update:
        """Then give each site the value of the next, and the last that of the first.

        Raises:
            DefinitionError: for fewer than two sites (D039).
        """
        if len(sites) < 2:
            raise Mistake.BAD_COUNT.error(
                "permute moves local values around in a circle of sites",
                expected="two sites at least",
                found=f"{len(sites)} of them: {shortened(sites)}",
            )
        return self._then("permute", sites)

    def affine(
        self, site: SiteLike, *, scale: ExprLike = 1, bias: ExprLike = 0
    ) -> Update:
        """Then multiply the local value of a site, and add to it."""
        return self._then("affine", (site,), (scale, bias))

    def scatter(self, sites: Iterable[SiteLike], values: Iterable[ExprLike]) -> Update:
        """Then set the local values of several sites, one after the other.

        Where a site comes twice, its last value stays.

        Raises:
            DefinitionError: unless there is one value per site (D039).
        """
        places, numbers = _listed("sites", sites), _listed("values", values)
        if len(places) != len(numbers):
            raise Mistake.BAD_COUNT.error(
                "scatter writes one value to each site",
                expected="as many values as sites",
                found=f"{len(places)} sites and {len(numbers)} values",
            )
        return self._then("scatter", places, numbers)

    def flip(self, site: SiteLike) -> Update:
        """Then give a site the other one of its two local values."""
        return self._then("flip", (site,))

    def flip_set(self, name: str) -> Update:
        """Then flip every site of the term's site set of that name."""
        return self._append(
            Step(
                "flip_set",
                location=user_location(),
                text=as_name(name, "the name of a site set"),
            )
        )

    def cond(
        self,
        predicate: PredicateLike,
        then: Update | None,
        otherwise: Update | None = None,
    ) -> Update:
        """Then go on with one update where a predicate holds, with another elsewhere.

        Both start from the configuration that the steps so far made; None changes
        nothing more. The predicate reads the source x.
        """
        return self._append(
            Step(
                "cond",
                location=user_location(),
                predicate=as_predicate(predicate),
                choices=(as_update(then), as_update(otherwise)),
            )
        )

    def invalidate(self, reason: str | None = None) -> Update:
        """Then give the branch up: it is not valid, and contributes nothing."""
        text = None if reason is None else as_name(reason, "the reason of invalidate")
        return self._append(Step("invalidate", location=user_location(), text=text))

    def _then(
        self,
        kind: str,
        sites: tuple[object, ...] = (),
        values: tuple[object, ...] = (),
    ) -> Update:
        step = Step(
            kind,
            tuple(_as_site(site) for site in sites),
            tuple(as_expr(value) for value in values),
            user_location(),
        )
        return self._append(step)

    def _append(self, step: Step) -> Update:
        return Update((*self.steps, step))

    def __getattr__(self, name: str) -> Callable[..., Update]:
        """Return a registered update as a method that appends it."""
        found = REGISTERED.get(name)
        if found is None:
            raise AttributeError(_no_method(name), name=name, obj=self)
        return lambda *arguments: Update((*self.steps, *found(*arguments).steps))

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *REGISTERED})

    def __repr__(self) -> str:
        if not self.steps:
            return "identity()"
        return ".".join(
            f"{step.kind}({', '.join(_arguments(step))})" for step in self.steps
        )


def _no_method(name: str) -> str:
    near = difflib.get_close_matches(name, dir(Update()), n=1)
    hint = f"; did you mean {near[0]!r}?" if near and not name.startswith("_") else ""
    return f"there is no update {name!r}, and none is registered so{hint}"


def _arguments(step: Step) -> list[str]:
    sites = [_site_text(site) for site in step.sites]
    values = [repr(value) for value in step.values]
    match step:
        case Step(kind="affine"):
            scale, bias = values
            return [*sites, f"scale={scale}", f"bias={bias}"]
        case Step(kind="scatter"):
            return [f"[{', '.join(sites)}]", f"[{', '.join(values)}]"]
        case Step(kind="cond"):
            return [repr(step.predicate), *map(repr, step.choices)]
        case _:
            text = [] if step.text is None else [repr(step.text)]
            return [*text, *sites, *values]


def _site_text(site: Expr) -> str:
    if isinstance(site, SiteNumber) and site.number is None:
        return repr(site.label)
    return repr(site)


def _listed(what: str, values: object) -> tuple[object, ...]:
    items = items_of(values)
    if items is not None:
        return tuple(items)
    raise Mistake.BAD_COUNT.error(
        f"the {what} of scatter are not a list",
        expected=f"a list of {what}",
        found=shortened(values),
    )


def identity() -> Update:
    """Return the update that changes nothing: a diagonal branch."""
    return Update()


def write(site: SiteLike, value: ExprLike) -> Update:
    """Start an update: x'[site] = value."""
    return Update().write(site, value)


def shift(site: SiteLike, amount: ExprLike) -> Update:
    """Start an update: x'[site] = x'[site] + amount."""
    return Update().shift(site, amount)


def shift_mod(site: SiteLike, amount: ExprLike) -> Update:
    """Start an update: x'[site] moves on among its local values, cyclically."""
    return Update().shift_mod(site, amount)


def hop(a: SiteLike, b: SiteLike, amount: ExprLike = 1) -> Update:
    """Start an update: x'[a] = x'[a] - amount, then x'[b] = x'[b] + amount."""
    return Update().hop(a, b, amount)


def swap(a: SiteLike, b: SiteLike) -> Update:
    """Start an update: x'[a], x'[b] = x'[b], x'[a]."""
    return Update().swap(a, b)


def permute(*sites: SiteLike) -> Update:
    """Start an update: each site takes the value of the next, the last the first's."""
    return Update().permute(*sites)


def affine(site: SiteLike, *, scale: ExprLike = 1, bias: ExprLike = 0) -> Update:
    """Start an update: x'[site] = scale * x'[site] + bias."""
    return Update().affine(site, scale=scale, bias=bias)


def scatter(sites: Iterable[SiteLike], values: Iterable[ExprLike]) -> Update:
    """Start an update: x'[site] = value for each of several sites, in order."""
    return Update().scatter(sites, values)


def flip(site: SiteLike) -> Update:
    """Start an update: x'[site] becomes the other one of two local values."""
    return Update().flip(site)


def flip_set(name: str) -> Update:
    """Start an update: every site of a site set of the term is flipped."""
    return Update().flip_set(name)


def cond(
    predicate: PredicateLike, then: Update | None, otherwise: Update | None = None
) -> Update:
    """Start an update: one of two, as a predicate of the source x says."""
    return Update().cond(predicate, then, otherwise)


def invalidate(reason: str | None = None) -> Update:
    """Start an update that gives the branch up."""
    return Update().invalidate(reason)


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


def _as_site(value: object) -> Expr:
    match value:
        case str():
            return SiteNumber(as_name(value, "a label"))
        case Site(is_emitted=False):
            return value.index if value.number is None else value.number
        case Site():
            raise Mistake.MISPLACED_EMITTED.error(
                "an update makes x', so it cannot be addressed by emitted(..)",
                expected="a label, site(..) or a site number",
                found=repr(value),
                hint=f"write {value.label!r} or site({value.label!r})",
            )
        case Expr():
            return check_site_number(value)
        case _:
            return _constant_site(value)


def _constant_site(value: object) -> Expr:
    # Whether the lattice has the site is seen where the operator is known.
    number = as_number(value)
    if number is not None:
        return Constant(number)
    raise Mistake.NOT_A_SITE.error(
        f"an update cannot change {shortened(value)}",
        expected="a label such as 'i', site('i'), a site number or an expression",
        found=f"a value of type {type(value).__name__}",
    )
