"""Reductions: a value at each of several sites, combined into one.

What is reduced is an expression of `here`, the site at hand:

    sum_(here.value, over=all_sites())
    parity(here.value, over=between("i", "j"))
    any_(here == 0, over=set_("star"))

It may use everything that the term around it has: labels, row data, symbols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from symir.language.codes import Mistake
from symir.language.expressions import (
    Apply,
    AtSite,
    Constant,
    Expr,
    ExprLike,
    Node,
    Predicate,
    PredicateLike,
    Site,
    as_expr,
    as_predicate,
    as_site_number,
    here,
    site,
    walk,
)
from symir.language.functions import where
from symir.language.scalars import as_name, shortened

SiteLike: TypeAlias = "str | Site | ExprLike"

# region Sets of sites


@dataclass(frozen=True, eq=False)
class AllSites:
    """All sites of the lattice."""

    def __repr__(self) -> str:
        return "all_sites()"


@dataclass(frozen=True, eq=False)
class SiteSet:
    """The site set of that name for the row at hand."""

    name: str

    def __repr__(self) -> str:
        return f"set_({self.name!r})"


@dataclass(frozen=True, eq=False)
class Between:
    """The sites whose number is strictly between two others, in either order."""

    a: Expr
    b: Expr

    def __repr__(self) -> str:
        return f"between({self.a!r}, {self.b!r})"


@dataclass(frozen=True, eq=False)
class Range:
    """The sites whose number is at least `start` and less than `stop`."""

    start: Expr
    stop: Expr

    def __repr__(self) -> str:
        return f"sites_range({self.start!r}, {self.stop!r})"


Region: TypeAlias = AllSites | SiteSet | Between | Range


def all_sites() -> AllSites:
    """Return all sites of the lattice, to reduce over."""
    return AllSites()


def set_(name: str) -> SiteSet:
    """Return the term's site set of that name, to reduce over.

    The sets are those of `for_each(labels, over=rows, sets={name: lists})`.
    """
    return SiteSet(as_name(name, "the name of a site set"))


def between(a: SiteLike, b: SiteLike) -> Between:
    """Return the sites strictly between two others, in either order, to reduce over.

    Sites are given by a label, `site(..)`, or the number.
    """
    return Between(_number(a), _number(b))


def sites_range(start: SiteLike, stop: SiteLike) -> Range:
    """Return the sites from `start` up to, but not including, `stop`.

    Ends are given by a label, `site(..)`, or a number; what is beyond the lattice is
    left out.
    """
    return Range(_number(start), _number(stop))


def _number(value: object) -> Expr:
    if isinstance(value, str):
        return site(value).index
    if isinstance(value, Site):
        return value.index
    return as_site_number(value)


# endregion
# region Nodes


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ReducedNumber(Expr):
    """A `sum` or `prod` of an expression over sites."""

    kind: str
    body: Expr
    over: Region

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.body, *_ends(self.over))

    def shown(self, show: Callable[[Node], str]) -> str:
        return _text(f"{self.kind}_" if self.kind == "sum" else self.kind, self, show)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ReducedPredicate(Predicate):
    """Whether a predicate holds at `any` site, at `all`, or at an odd number of them.

    The last one is of kind `parity`.
    """

    kind: str
    body: Predicate
    over: Region

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.body, *_ends(self.over))

    def shown(self, show: Callable[[Node], str]) -> str:
        return _text("is_odd" if self.kind == "parity" else f"{self.kind}_", self, show)


def _text(
    name: str, node: ReducedNumber | ReducedPredicate, show: Callable[[Node], str]
) -> str:
    return f"{name}({show(node.body)}, over={node.over!r})"


def reads_emitted(root: Node) -> bool:
    """Whether an expression or predicate depends on the connected configuration x'."""
    return any(isinstance(node, AtSite) and node.is_emitted for node in walk(root))


def _ends(region: Region) -> tuple[Expr, ...]:
    match region:
        case Between(a, b) | Range(a, b):
            return (a, b)
        case _:
            return ()


# endregion
# region What users write


def sum_(body: ExprLike, over: Region | None = None) -> Expr:
    """Return the sum of an expression of `here` over sites; 0 over none.

    It is over all sites by default, as all reductions are.
    """
    return ReducedNumber("sum", as_expr(body), _as_region(over))


def prod(body: ExprLike, over: Region | None = None) -> Expr:
    """Return the product of an expression of `here` over sites; 1 over none."""
    return ReducedNumber("prod", as_expr(body), _as_region(over))


def any_(body: PredicateLike, over: Region | None = None) -> Predicate:
    """Return whether a predicate of `here` holds at one site at least."""
    return ReducedPredicate("any", as_predicate(body), _as_region(over))


def all_(body: PredicateLike, over: Region | None = None) -> Predicate:
    """Return whether a predicate of `here` holds at every site; true over none."""
    return ReducedPredicate("all", as_predicate(body), _as_region(over))


def count(body: PredicateLike, over: Region | None = None) -> Expr:
    """Return at how many sites a predicate of `here` holds."""
    return ReducedNumber("sum", where(as_predicate(body), 1, 0), _as_region(over))


def parity(body: ExprLike, over: Region | None = None) -> Expr:
    """Return 1 where the sum of an integer expression of `here` is odd, else 0."""
    return where(_is_odd(body, over), 1, 0)


def jordan_wigner(a: SiteLike, b: SiteLike) -> Expr:
    """Return (-1) to the number of particles strictly between two sites.

    It is the sign that a fermion picks up when it hops from one to the other; local
    values are occupations.
    """
    return where(_is_odd(here.value, between(a, b)), -1, 1)


def _is_odd(body: object, over: Region | None) -> Predicate:
    # The remainder of division towards zero: -1, 0 or 1 for an integer.
    rest = Apply("rem", (as_expr(body), Constant(2)))
    return ReducedPredicate("parity", rest != 0, _as_region(over))


def _as_region(over: object) -> Region:
    if over is None:
        return AllSites()
    if isinstance(over, AllSites | SiteSet | Between | Range):
        return over
    raise Mistake.BAD_REGION.error(
        f"a value of type {type(over).__name__} is no set of sites",
        expected="all_sites(), between(a, b), sites_range(a, b) or set_(name)",
        found=shortened(over),
        hint=f"set_({over!r})?" if isinstance(over, str) else None,
    )


# endregion
