"""Operators as on paper: `-t * (cdag("i") * c("j") + cdag("j") * c("i"))`.

An operator expression is a sum of products of elementary operators, each at a site that
a label or a number names. It belongs to no space; what it means on one, as branches, is
said by `symir.language.matrix_elements`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NoReturn, TypeAlias, cast

from symir.language.codes import Mistake
from symir.language.expressions import (
    Apply,
    AtSite,
    Constant,
    Expr,
    ExprLike,
    LocalValue,
    Node,
    Site,
    as_expr,
    as_site_number,
    site,
    walk,
)
from symir.language.functions import WrapMod
from symir.language.reductions import ReducedNumber, ReducedPredicate
from symir.language.rows import edges_of
from symir.language.scalars import Number, as_number, items_of, shortened

Place: TypeAlias = "str | ExprLike"
"""A label, `site(..)`, or the number of a site."""

MAX_POWER = 16
"""Powers of operators are written out, as products of so many factors at most."""

S_TO_ADJOINT = {"c": "cdag", "cdag": "c", "a": "adag", "adag": "a", "Sp": "Sm"}
S_TO_ADJOINT["Sm"] = "Sp"
"""The elementary operators that are not Hermitian, and the adjoint of each."""

# region Products


@dataclass(frozen=True, eq=False)
class Factor:
    """An elementary operator at a site; `spin` is the spin state of a fermion."""

    kind: str
    place: Expr
    spin: float | None = None

    @property
    def adjoint(self) -> Factor:
        return replace(self, kind=S_TO_ADJOINT.get(self.kind, self.kind))

    def __repr__(self) -> str:
        at = repr(self.place)
        if isinstance(self.place, AtSite) and self.place.number is None:
            at = repr(self.place.label)
        return f"{self.kind}({at}{'' if self.spin is None else f', {self.spin:+g}'})"


@dataclass(frozen=True, eq=False)
class Product:
    """A number times scalar expressions times elementary operators, in order."""

    scale: Number
    scalars: tuple[Expr, ...] = ()
    factors: tuple[Factor, ...] = ()

    def __mul__(self, other: Product) -> Product:
        return Product(
            exact(self.scale * other.scale),
            (*self.scalars, *other.scalars),
            (*self.factors, *other.factors),
        )

    @property
    def adjoint(self) -> Product:
        return Product(
            self.scale.conjugate(),
            tuple(Apply("conj", (scalar,)) for scalar in self.scalars),
            tuple(factor.adjoint for factor in reversed(self.factors)),
        )

    def __repr__(self) -> str:
        parts: list[object] = [*self.scalars, *self.factors]
        if self.scale != 1 or not parts:
            parts.insert(0, self.scale)
        return " * ".join(map(repr, parts))


def exact(number: Any) -> Number:
    """Return a number as a real one where its imaginary part is exactly zero."""
    if isinstance(number, complex) and number.imag == 0:
        return number.real
    return number


def _scalar(value: object) -> Product:
    """Return a number or a scalar expression as a product without operators."""
    expression = as_expr(value)
    _check_scalar(expression)
    return _flattened(expression)


def _flattened(expression: Expr) -> Product:
    match expression:
        case Constant(value):
            return Product(exact(value))
        case Apply("neg", (inner,)):
            return Product(-1) * _flattened(inner)
        case Apply("mul", (left, right)):
            return _flattened(left) * _flattened(right)
        case _:
            return Product(1, (expression,))


def _check_scalar(expression: Expr) -> None:
    if not reads_local_values(expression):
        return
    raise Mistake.LOCAL_COEFFICIENT.error(
        "a coefficient of an operator reads local values: whether before or after the "
        "operators beside it act is not said",
        expected="numbers, symbols, row data, site numbers, and tables of them",
        found=repr(expression),
        hint="write n(i), Z(i) or Sz(i) for the operator of a local value",
    )


def reads_local_values(root: Node) -> bool:
    """Whether an expression depends on the configuration."""
    read = (LocalValue, ReducedNumber, ReducedPredicate, WrapMod)
    return any(isinstance(node, read) for node in walk(root))


# endregion
# region Expressions


class Operatorial:
    """Operands to which scalar expressions and NumPy's leave sums and products."""

    __slots__ = ()
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def _no_comparison(self, _: object) -> NoReturn:
        raise Mistake.NOT_AN_EXPRESSION.error(
            f"operators are not compared: {shortened(self)} is no number",
            expected="numbers on both sides of a comparison",
            found=shortened(self),
            hint="site('i') is the local value: where(site('i') == 1)",
        )

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _no_comparison  # pyright: ignore[reportAssignmentType]

    def __bool__(self) -> NoReturn:
        raise Mistake.TRUTH_VALUE.error(
            f"an operator is neither true nor false: {shortened(self)}",
            expected="a predicate, such as site('i') == 1",
            found=shortened(self),
        )


@dataclass(frozen=True, eq=False, repr=False)
class OperatorExpr(Operatorial):
    """A sum of products of elementary operators: `+ - *`, powers, and `.H`.

    A product means what the product of the matrices means, factors left to right:
    <x|A B|x'> = sum_y <x|A|y> <y|B|x'>. Scalars are numbers, and expressions of
    symbols, row data and site numbers.
    """

    products: tuple[Product, ...] = ()

    @property
    def H(self) -> OperatorExpr:
        """The adjoint."""
        return OperatorExpr(tuple(product.adjoint for product in self.products))

    def __add__(self, other: object) -> Any:
        if isinstance(other, LatticeSum):
            return NotImplemented
        return OperatorExpr((*self.products, *_as_operator(other).products))

    def __radd__(self, other: object) -> OperatorExpr:
        return _as_operator(other) + self

    def __neg__(self) -> OperatorExpr:
        return -1 * self

    def __pos__(self) -> OperatorExpr:
        return self

    def __sub__(self, other: object) -> Any:
        if isinstance(other, LatticeSum):
            return NotImplemented
        return self + -_as_operator(other)

    def __rsub__(self, other: object) -> OperatorExpr:
        return _as_operator(other) + -self

    def __mul__(self, other: object) -> OperatorExpr:
        right = _as_operator(other).products
        return OperatorExpr(tuple(p * q for p in self.products for q in right))

    def __rmul__(self, other: object) -> OperatorExpr:
        return _as_operator(other) * self

    def __truediv__(self, scalar: ExprLike) -> OperatorExpr:
        return self * _inverse(scalar)

    def __pow__(self, exponent: int) -> OperatorExpr:
        if type(exponent) is not int or not 0 <= exponent <= MAX_POWER:
            raise _no_operator(
                "operators have whole powers",
                f"an integer from 0 to {MAX_POWER}",
                exponent,
            )
        result = OperatorExpr((Product(1),))
        for _ in range(exponent):
            result = result * self
        return result

    def __repr__(self) -> str:
        shown = [repr(product) for product in self.products[:4]]
        return " + ".join([*shown, ".."] if len(self.products) > 4 else shown) or "0"


def _as_operator(value: object) -> OperatorExpr:
    """Return an operator; a scalar is so many times the identity."""
    if isinstance(value, OperatorExpr):
        return value
    if isinstance(value, LatticeSum):
        raise _no_operator(
            "products of sums over the lattice are not written out",
            "an operator at given sites, or a scalar",
            value,
        )
    return OperatorExpr((_scalar(value),))


def _inverse(scalar: ExprLike) -> ExprLike:
    if isinstance(scalar, Operatorial):
        raise _no_operator("operators are divided by scalars", "a scalar", scalar)
    expression = as_expr(scalar)
    if not isinstance(expression, Constant):
        return 1 / expression
    if expression.value == 0:
        raise _no_operator(
            "an operator is divided by zero", "another number", expression
        )
    if isinstance(expression.value, int):
        return Fraction(1, expression.value)
    return 1 / expression.value


def _no_operator(message: str, expected: str, found: object) -> Exception:
    return Mistake.NOT_AN_OPERATOR.error(
        message, expected=expected, found=shortened(found)
    )


def dagger(operator: Any) -> Any:
    """Return the adjoint of an operator expression or of a sum over the lattice.

    Raises:
        DefinitionError: for anything else (D058).
    """
    if isinstance(operator, OperatorExpr | LatticeSum):
        return operator.H
    raise _no_operator(
        f"a value of type {type(operator).__name__} has no adjoint",
        "an operator expression or sum_over(..)",
        operator,
    )


def commutator(a: Any, b: Any) -> Any:
    """Return [A, B] = A B - B A, of operator expressions or of operators."""
    return a * b - b * a if _is_on_paper(a) else a.commutator(b)


def anticommutator(a: Any, b: Any) -> Any:
    """Return {A, B} = A B + B A, of operator expressions or of operators."""
    return a * b + b * a if _is_on_paper(a) else a.anticommutator(b)


def _is_on_paper(operator: object) -> bool:
    """Whether it is no operator on a space, which multiplies by `@`."""
    return not hasattr(operator, "commutator")


# endregion
# region Elementary operators


def _elementary(kind: str, place: Place, spin: object = None) -> OperatorExpr:
    number = site(place).index if isinstance(place, str) else None
    if isinstance(place, Site) and not place.is_emitted:
        number = place.index if place.number is None else place.number
    if number is None:
        number = as_site_number(place)
    if reads_local_values(number):
        raise Mistake.BAD_PLACE.error(
            f"{kind}(..) acts on a site that depends on the configuration",
            expected="a label, a site number, or one computed from site numbers",
            found=repr(number),
            hint="the neighbour of i is site(i.index + 1), not i + 1",
        )
    return OperatorExpr((Product(1, (), (Factor(kind, number, _spin(kind, spin)),)),))


def _spin(kind: str, spin: object) -> float | None:
    if spin is None:
        return None
    named = {"up": 0.5, "down": -0.5}.get(spin) if isinstance(spin, str) else None
    number = as_number(spin) if named is None else named
    if number is None or isinstance(number, complex) or (2 * number) % 1:
        raise Mistake.BAD_SPIN.error(
            f"{kind}(..) is given a spin that is none",
            expected="'up', 'down', or a multiple of one half such as +0.5",
            found=shortened(spin),
        )
    return float(number)


def c(place: Place, spin: float | str | None = None) -> OperatorExpr:
    """Return the operator that removes a fermion: <0|c|1> = 1.

    The sign is that of Jordan and Wigner: -1 to the number of fermions on the sites
    before, of the same subsystem. On a space of fermions with spin the place is an
    orbital where `spin` is given ("up", "down", or the number), else a site.

    Raises:
        DefinitionError: for what is no site (D015, D019, D036), depends on local values
            (D059), or a spin that is none (D056).
    """
    return _elementary("c", place, spin)


def cdag(place: Place, spin: float | str | None = None) -> OperatorExpr:
    """Return the operator that adds a fermion, the adjoint of `c`."""
    return _elementary("cdag", place, spin)


def n(place: Place, spin: float | str | None = None) -> OperatorExpr:
    """Return the number of fermions or bosons at a site; of ones, for a qubit."""
    return _elementary("n", place, spin)


def a(place: Place) -> OperatorExpr:
    """Return the operator that removes a boson: <k|a|k + 1> = sqrt(k + 1)."""
    return _elementary("a", place)


def adag(place: Place) -> OperatorExpr:
    """Return the operator that adds a boson, up to the largest number of a site."""
    return _elementary("adag", place)


def Sx(place: Place) -> OperatorExpr:
    """Return the x component of a spin of any size, (Sp + Sm) / 2."""
    return _elementary("Sx", place)


def Sy(place: Place) -> OperatorExpr:
    """Return the y component of a spin of any size, (Sp - Sm) / 2i."""
    return _elementary("Sy", place)


def Sz(place: Place) -> OperatorExpr:
    """Return the z component of a spin: half its local value."""
    return _elementary("Sz", place)


def Sp(place: Place) -> OperatorExpr:
    """Return the operator that raises a spin.

    <m + 1|S+|m> = sqrt((s - m) (s + m + 1)), so <x|S+ lowers what x has.
    """
    return _elementary("Sp", place)


def Sm(place: Place) -> OperatorExpr:
    """Return the operator that lowers a spin, the adjoint of `Sp`."""
    return _elementary("Sm", place)


def X(place: Place) -> OperatorExpr:
    """Return Pauli's X at a site with two local values: it exchanges them."""
    return _elementary("X", place)


def Y(place: Place) -> OperatorExpr:
    """Return Pauli's Y, <0|Y|1> = -i; |0> is spin up, or the lower local value."""
    return _elementary("Y", place)


def Z(place: Place) -> OperatorExpr:
    """Return Pauli's Z: the local value of a spin 1/2, and 1 - 2 x for 0 and 1."""
    return _elementary("Z", place)


# endregion
# region Sums over the lattice


@dataclass(frozen=True, eq=False)
class LatticeTerm:
    """An operator expression summed over rows; without labels it stands once."""

    operator: OperatorExpr
    labels: tuple[str, ...] = ()
    rows: Any = None
    data: Mapping[str, object] | None = None
    sets: Mapping[str, object] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class LatticeSum(Operatorial):
    """A sum of operator expressions over rows of sites: `+ -`, times scalars, `.H`.

    `DOperator.add` takes it, one term of the operator or more for each part.
    """

    parts: tuple[LatticeTerm, ...] = field(default=())

    @property
    def H(self) -> LatticeSum:
        """The adjoint."""
        return self._each(lambda operator: operator.H)

    def _each(self, change: Callable[[OperatorExpr], OperatorExpr]) -> LatticeSum:
        return LatticeSum(
            tuple(replace(part, operator=change(part.operator)) for part in self.parts)
        )

    def __add__(self, other: object) -> LatticeSum:
        return LatticeSum((*self.parts, *as_lattice_sum(other).parts))

    def __radd__(self, other: object) -> LatticeSum:
        return as_lattice_sum(other) + self

    def __neg__(self) -> LatticeSum:
        return self._each(lambda operator: -operator)

    def __pos__(self) -> LatticeSum:
        return self

    def __sub__(self, other: object) -> LatticeSum:
        return self + -as_lattice_sum(other)

    def __rsub__(self, other: object) -> LatticeSum:
        return as_lattice_sum(other) + -self

    def __mul__(self, scalar: object) -> LatticeSum:
        if isinstance(scalar, Operatorial):
            raise _no_operator(
                "products of sums over the lattice are not written out",
                "a scalar",
                scalar,
            )
        factor = _as_operator(scalar)
        return self._each(lambda operator: factor * operator)

    __rmul__ = __mul__

    def __truediv__(self, scalar: ExprLike) -> LatticeSum:
        return self * _inverse(scalar)

    def __repr__(self) -> str:
        return " + ".join(
            f"sum_over({', '.join(part.labels)}: {part.operator!r})"
            if part.labels
            else repr(part.operator)
            for part in self.parts
        )


def as_lattice_sum(value: object) -> LatticeSum:
    """Return a sum over the lattice; an operator or a scalar stands once.

    Raises:
        DefinitionError: for anything else (D058).
    """
    if isinstance(value, LatticeSum):
        return value
    if isinstance(value, OperatorExpr | Expr) or as_number(value) is not None:
        return LatticeSum((LatticeTerm(_as_operator(value)),))
    raise _no_operator(
        f"a value of type {type(value).__name__} is no operator",
        "sum_over(..), an operator expression such as n(0), or a scalar",
        value,
    )


def sum_over(
    rows: object,
    summand: Callable[..., object],
    *,
    data: Mapping[str, object] | None = None,
    sets: Mapping[str, object] | None = None,
    labels: Iterable[str] | None = None,
) -> LatticeSum:
    """Return the sum of an operator over rows of sites, or the edges of a graph.

        sum_over(edges, lambda i, j: cdag(i) * c(j) + cdag(j) * c(i))

    Args:
        rows: rows of site numbers, a flat list for one label, or a graph of NetKet or
            networkx, whose edges are meant.
        summand: returns the operator; it is called once, with a `site` for each label.
        data: as in `DOperator.for_each`, to be read as `row(name)`; so are `sets`.
        labels: the labels of the columns; by default the names of the parameters of
            the summand.

    Raises:
        DefinitionError: for a summand that is no function of sites (D060) or returns no
            operator (D058), or a graph that is none (D037).
    """
    names = _labels_of(summand) if labels is None else _names(labels)
    over = edges_of(rows) if callable(getattr(rows, "edges", None)) else rows
    items = None if getattr(over, "ndim", 0) else items_of(over)
    operator = summand(*[site(name) for name in names])
    if not isinstance(operator, OperatorExpr | Expr) and as_number(operator) is None:
        raise _no_operator(
            "what is summed over the lattice is no operator",
            "a function that returns an operator expression",
            operator,
        )
    kept = over if items is None else list(items)
    data, sets = (_listed(columns) for columns in (data, sets))
    return LatticeSum((LatticeTerm(_as_operator(operator), names, kept, data, sets),))


def _listed(columns: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """Return columns that can be walked through again: a sum may be used twice."""
    if not isinstance(columns, Mapping):
        return columns
    return {
        name: list(cast(Iterator[object], values))
        if isinstance(values, Iterator)
        else values
        for name, values in columns.items()
    }


def _names(labels: Iterable[str]) -> tuple[str, ...]:
    return (labels,) if isinstance(labels, str) else tuple(labels)


def _labels_of(summand: object) -> tuple[str, ...]:
    if not callable(summand):
        raise _bad_summand(shortened(summand))
    try:
        parameters = inspect.signature(summand).parameters.values()
    except (TypeError, ValueError):
        raise _bad_summand(shortened(summand)) from None
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    names = tuple(p.name for p in parameters if p.default is p.empty)
    if not names or any(p.kind not in positional for p in parameters):
        raise _bad_summand(f"parameters ({', '.join(map(str, parameters))})")
    return names


def _bad_summand(found: str) -> Exception:
    return Mistake.BAD_SUMMAND.error(
        "sum_over sums a function of sites",
        expected="a function with one parameter per label, such as lambda i, j: ..",
        found=found,
        hint="labels=('i', 'j') names the labels of a function of any parameters",
    )


# endregion
