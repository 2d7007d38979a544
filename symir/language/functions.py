"""Functions of expressions: elementary ones, choices, tables, and predicates joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symir.language.codes import Mistake
from symir.language.expressions import (
    Constant,
    Expr,
    ExprLike,
    Logical,
    Node,
    Predicate,
    PredicateLike,
    Site,
    SiteNumber,
    apply,
    as_expr,
    as_predicate,
    false,
    site,
    true,
    whole,
)
from symir.language.scalars import (
    Number,
    as_number,
    items_of,
    shortened,
)

MAX_TABLE = 64
"""The longest lookup table; it becomes a chain of as many choices."""

# region Nodes


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Where(Expr):
    """Choice of one of two expressions by a predicate."""

    predicate: Predicate
    on_true: Expr
    on_false: Expr

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.predicate, self.on_true, self.on_false)

    def shown(self, show: Callable[[Node], str]) -> str:
        return f"where({', '.join(map(show, self.children))})"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class WrapMod(Expr):
    """A value wrapped into the allowed local values of a site."""

    value: Expr
    site: SiteNumber

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.value,)

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.value, self.site)

    def shown(self, show: Callable[[Node], str]) -> str:
        return f"wrap_mod({show(self.value)}, {show(self.site)})"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Lookup(Expr):
    """An entry of a constant table.

    The index is no child: it is computed in its own way, as an integer where possible.
    """

    values: tuple[Number, ...]
    index: Expr

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.index,)

    def shown(self, show: Callable[[Node], str]) -> str:
        return f"{_table_text(self.values)}[{show(self.index)}]"


# endregion
# region Numbers


def exp(value: ExprLike) -> Expr:
    """Return e to a power; `exp(1j * phase)` is a complex phase."""
    return apply("exp", value)


def log(value: ExprLike) -> Expr:
    """Return the natural logarithm; NaN where a real value is negative."""
    return apply("log", value)


def sin(value: ExprLike) -> Expr:
    """Return the sine."""
    return apply("sin", value)


def cos(value: ExprLike) -> Expr:
    """Return the cosine."""
    return apply("cos", value)


def conj(value: ExprLike) -> Expr:
    """Return the complex conjugate."""
    return apply("conj", value)


def real(value: ExprLike) -> Expr:
    """Return the real part."""
    return apply("real", value)


def imag(value: ExprLike) -> Expr:
    """Return the imaginary part, which is real; 0 for a real value."""
    return apply("imag", value)


def norm2(value: ExprLike) -> Expr:
    """Return the squared absolute value re^2 + im^2, which is real."""
    return apply("norm2", value)


def sign(value: ExprLike) -> Expr:
    """Return -1, 0 or 1; of a real value."""
    return apply("sign", value)


def minimum(first: ExprLike, second: ExprLike, *more: ExprLike) -> Expr:
    """Return the smallest of two or more real values."""
    return _nested("minimum", first, second, *more)


def maximum(first: ExprLike, second: ExprLike, *more: ExprLike) -> Expr:
    """Return the largest of two or more real values."""
    return _nested("maximum", first, second, *more)


def _nested(function: str, first: ExprLike, *more: ExprLike) -> Expr:
    result = as_expr(first)
    for value in more:
        result = apply(function, result, value)
    return result


def where(predicate: PredicateLike, on_true: ExprLike, on_false: ExprLike) -> Expr:
    """Return one expression where a predicate holds, and another where it does not.

    What is not chosen does not matter: `where(n > 0, 1 / n, 0)` is finite at n = 0.
    """
    return Where(as_predicate(predicate), as_expr(on_true), as_expr(on_false))


def wrap_mod(value: ExprLike, at: str | Site) -> Expr:
    """Return a value wrapped into the allowed local values of a site, cyclically.

    The local values are equally spaced: with values -1, 0, 1, a 2 becomes -1. What is
    between two of them is rounded to the nearest first.
    """
    return WrapMod(as_expr(value), as_site(at).index)


def as_site(value: object) -> Site:
    """Return a site of the source from its label, its number, or itself.

    Raises:
        DefinitionError: for what is no site (D015, D019, D036), or emitted(..) (D014).
    """
    if not isinstance(value, Site):
        return site(value)  # pyright: ignore[reportArgumentType]
    if not value.is_emitted:
        return value
    raise Mistake.MISPLACED_EMITTED.error(
        "a site is meant here, not what x' has there",
        expected="a label, site(..) or here",
        found=repr(value),
    )


# endregion
# region Tables


class Table:
    """A table of constants, to be looked up at an expression: `table([..])[index]`."""

    __slots__ = ("values",)

    def __init__(self, values: tuple[Number, ...]):
        self.values = values

    def __getitem__(self, index: ExprLike) -> Expr:
        """Return the entry at an index, which counts from 0.

        A branch that needs an entry at an index that the table does not have, or that
        is not whole, is not valid.

        Raises:
            DefinitionError: for what is no expression (D015), or a constant that is no
                index of the table (D044).
        """
        number = as_expr(index)
        if isinstance(number, Constant):
            self._check(number.value)
        return Lookup(self.values, number)

    def _check(self, index: Number) -> None:
        position = whole(index)
        if position is not None and 0 <= position < len(self.values):
            return
        raise Mistake.OUTSIDE_TABLE.error(
            "the table has no such entry",
            expected=f"a whole number from 0 to {len(self.values) - 1}",
            found=repr(index),
        )

    def __iter__(self) -> None:  # pyright: ignore[reportReturnType]
        raise TypeError("a table is looked up, not walked through")

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return _table_text(self.values)


def table(values: object) -> Table:
    """Return a lookup table of up to 64 numbers, real or complex.

    `table([0.5, 1, 2])[site("i").value]` is 0.5 where the local value is 0.

    Raises:
        DefinitionError: for a table that is empty, too long, or does not hold numbers
            (D043), or one that is not finite (D013).
    """
    items = items_of(values)
    if items is None:
        raise _bad_table("a list or one-dimensional array of numbers", values)
    numbers = [as_number(item) for item in items]
    known = tuple(number for number in numbers if number is not None)
    if len(known) < len(numbers):
        raise _bad_table("numbers", values)
    if not 0 < len(known) <= MAX_TABLE:
        raise _bad_table(f"1 to {MAX_TABLE} entries", f"{len(known)} entries")
    return Table(known)


def _bad_table(expected: str, found: object) -> Exception:
    return Mistake.BAD_TABLE.error(
        "this cannot be a lookup table",
        expected=expected,
        found=found if isinstance(found, str) else shortened(found),
    )


def _table_text(values: tuple[Number, ...]) -> str:
    shown = ", ".join(map(str, values[:4]))
    return f"table([{shown}{', ..' if len(values) > 4 else ''}])"


# endregion
# region Predicates


def all_of(*predicates: PredicateLike) -> Predicate:
    """Return the predicate that holds where all of the given ones do."""
    return _joined("and", predicates) if predicates else true


def any_of(*predicates: PredicateLike) -> Predicate:
    """Return the predicate that holds where one of the given ones does."""
    return _joined("or", predicates) if predicates else false


def _joined(function: str, predicates: tuple[PredicateLike, ...]) -> Predicate:
    result = as_predicate(predicates[0])
    for predicate in predicates[1:]:
        result = Logical(function, (result, as_predicate(predicate)))
    return result


# endregion
