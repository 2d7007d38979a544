"""Elementary operators at one site: matrices with one element in each row at most.

`LocalOperator` keeps <x|O|x'> exactly, x' being determined by x, and says it in the
language: as a condition on the local value, a new value, and an amplitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from symir.language.expressions import (
    Apply,
    Constant,
    Expr,
    Predicate,
)
from symir.language.functions import Lookup, any_of
from symir.language.scalars import Number
from symir.operator.spaces import Subsystem

MAX_DEGREE = 6
"""Highest degree of polynomials that stand for amplitudes, or for their squares."""

Real = int | float | Fraction

_FERMIONIC = ("c", "cdag")
_BOSONIC = ("a", "adag")
_SPINS = ("Sx", "Sy", "Sz", "Sp", "Sm")
_PAULI = ("X", "Y", "Z")


@dataclass(frozen=True, eq=False)
class Amplitude:
    """A matrix element: number * sqrt(square * radicand) * value.

    The root of a negative square is that of its absolute value, negated. None is 1.
    """

    number: Number = 1
    square: Fraction = Fraction(1)
    radicand: Expr | None = None
    value: Expr | None = None

    def __mul__(self, other: Amplitude) -> Amplitude:
        return Amplitude(
            exact_product(self.number, other.number),
            self.square * other.square,
            times_known(self.radicand, other.radicand),
            times_known(self.value, other.value),
        )

    @property
    def parts(self) -> tuple[Number, Expr | None]:
        """The same as a number times an expression, with one root at most."""
        root = _root(self.square)
        number = exact_product(self.number, 1 if root is None else _plain(root))
        if self.radicand is None:
            outside = 1 if root is not None else _float_root(self.square)
            return exact_product(number, outside), self.value
        radicand = self.radicand
        if root is None:
            radicand = times(constant(_plain(abs(self.square))), radicand)
            number = number if self.square > 0 else -number
        return number, times_known(Apply("sqrt", (radicand,)), self.value)


@dataclass(frozen=True)
class LocalOperator:
    """A matrix with one element in each row at most: <x|O|x'>.

    Attributes:
        values: the local values x, ascending.
        move: how many places x' is on from x among them; with two values 1 is the
            other one, whichever x is.
        squares: for each x, the element times its absolute value, which is rational.
    """

    values: tuple[float, ...]
    move: int
    squares: tuple[Fraction, ...]

    def target(self, place: int) -> int:
        """Return the place of x' among the values, from that of x; it may be beyond."""
        return place ^ self.move if len(self.values) == 2 else place + self.move

    def __matmul__(self, other: LocalOperator) -> LocalOperator:
        """Return the product of the matrices."""
        size = len(self.values)
        move = self.move ^ other.move if size == 2 else self.move + other.move
        squares = tuple(
            square * other.squares[target]
            if square and 0 <= (target := self.target(place)) < size
            else Fraction(0)
            for place, square in enumerate(self.squares)
        )
        return LocalOperator(self.values, move, squares)

    @property
    def live(self) -> tuple[int, ...]:
        """The places of the values x whose row is not zero."""
        return tuple(place for place, square in enumerate(self.squares) if square)

    @property
    def is_identity(self) -> bool:
        return self.move == 0 and all(square == 1 for square in self.squares)

    def element(self, place: int) -> Fraction:
        """Return an element of a site with two values, where all are rational."""
        root = _root(self.squares[place])
        assert root is not None
        return root

    # region In the language

    def holds(self, x: Expr, live: Sequence[int]) -> Predicate | None:
        """Return that x is at one of some places; None where it always is."""
        size = len(self.values)
        if len(live) == size:
            return None
        first, last = live[0], live[-1]
        if len(live) == 1:
            return x == self.values[first]
        if len(live) < last - first + 1:
            return any_of(*[x == self.values[place] for place in live])
        above = x >= self.values[first]
        below = x <= self.values[last]
        if first == 0 or last == size - 1:
            return below if first == 0 else above
        return above & below

    def moved(self, x: Expr, live: Sequence[int]) -> Expr:
        """Return x', where x is at one of some places."""
        if len(live) == 1:
            return constant(self.values[self.target(live[0])])
        if len(self.values) == 2:
            total = sum(self.values)
            return -x if total == 0 else constant(total) - x
        step = self.values[1] - self.values[0]
        return x + constant(self.move * step)

    def amplitude(self, x: Expr, live: Sequence[int]) -> Amplitude:
        """Return the element as an expression of x.

        It is right where x is at one of the places, whether or not that row is zero.
        """
        points = [Fraction(self.values[place]) for place in live]
        squares = [self.squares[place] for place in live]
        roots = [root for square in squares if (root := _root(square)) is not None]
        if len(set(squares)) == 1:
            return Amplitude(square=squares[0])
        if len(roots) == len(squares):
            fit = _fitted(x, points, roots)
            if fit is not None:
                return Amplitude(fit[0], value=fit[1])
        elif min(squares) >= 0:
            fit = _fitted(x, points, squares)
            if fit is not None and fit[0] > 0:
                return Amplitude(square=Fraction(fit[0]), radicand=fit[1])
        return Amplitude(value=self._table(x))

    def _table(self, x: Expr) -> Expr:
        step = self.values[1] - self.values[0]
        place = (x - constant(self.values[0])) / constant(step)
        return Lookup(tuple(_float_root(square) for square in self.squares), place)

    # endregion


def _root(square: Fraction) -> Fraction | None:
    """Return a rational number times whose absolute value is `square`."""
    numerator, denominator = abs(square.numerator), square.denominator
    roots = math.isqrt(numerator), math.isqrt(denominator)
    if (roots[0] ** 2, roots[1] ** 2) != (numerator, denominator):
        return None
    return Fraction(roots[0] if square > 0 else -roots[0], roots[1])


def _float_root(square: Fraction) -> float:
    return math.copysign(math.sqrt(abs(square)), square)


def _plain(number: Fraction) -> Real:
    """Return a rational number as an integer or a float where it is one."""
    if number.denominator == 1:
        return number.numerator
    return float(number) if Fraction(float(number)) == number else number


def _fitted(
    x: Expr, points: list[Fraction], values: list[Fraction]
) -> tuple[Real, Expr | None] | None:
    """Return a polynomial of low degree through all points, as number and expression.

    Newton's interpolation, exact; the leading coefficient is the number.
    """
    columns = list(values)
    coefficients = list[Fraction]()
    for order in range(len(points)):
        coefficients.append(columns[0])
        columns = [
            (columns[k + 1] - columns[k]) / (points[k + 1 + order] - points[k])
            for k in range(len(columns) - 1)
        ]
        if not any(columns):
            break
    if len(coefficients) > MAX_DEGREE + 1:
        return None
    power = _expanded(points, coefficients)
    scale = _content(power)
    result: Expr | None = None
    for coefficient in reversed(power):
        result = _horner(result, x, int(coefficient / scale) if scale else 0)
    return _plain(scale), None if len(power) == 1 else result


def _content(coefficients: list[Fraction]) -> Fraction:
    """Return what the coefficients of a polynomial have in common; negative if all."""
    shared = Fraction(
        math.gcd(*(coefficient.numerator for coefficient in coefficients)),
        math.lcm(*(coefficient.denominator for coefficient in coefficients)),
    )
    return -shared if all(coefficient <= 0 for coefficient in coefficients) else shared


def _horner(so_far: Expr | None, x: Expr, coefficient: int) -> Expr:
    """Return `so_far * x + coefficient`."""
    if so_far is None:
        return Constant(coefficient)
    product = times(so_far, x)
    if coefficient == 0:
        return product
    match product:
        case Apply("neg", (inner,)):
            return coefficient - inner
        case Apply("mul", (Constant(int(value)), inner)) if value < 0:
            return coefficient - times(Constant(-value), inner)
        case _:
            return product + coefficient


def _expanded(points: list[Fraction], newton: list[Fraction]) -> list[Fraction]:
    """Return the coefficients of 1, x, x^2, .. of a polynomial in Newton's form."""
    result = [newton[-1]]
    for k in range(len(newton) - 2, -1, -1):
        shifted = [Fraction(0), *result]
        for power, coefficient in enumerate(result):
            shifted[power] -= points[k] * coefficient
        shifted[0] += newton[k]
        result = shifted
    while len(result) > 1 and result[-1] == 0:
        result.pop()
    return result


def constant(value: Number) -> Constant:
    """Return a constant; whole numbers as integers."""
    if isinstance(value, float) and value.is_integer():
        return Constant(int(value))
    return Constant(value)


def exact_product(left: Any, right: Any) -> Any:
    """Return a product, rational where both numbers are and real where it is so."""
    if isinstance(right, Fraction) and not isinstance(left, Fraction | int):
        right = _plain(right)
    if isinstance(left, Fraction) and not isinstance(right, Fraction | int):
        left = _plain(left)
    product = left * right
    if isinstance(product, complex) and product.imag == 0:
        return product.real
    return product


def times_known(left: Expr | None, right: Expr | None) -> Expr | None:
    """Return a product, where None is 1."""
    if left is None or right is None:
        return right if left is None else left
    return times(left, right)


def times(left: Expr, right: Expr) -> Expr:
    """Return a product, without factors of 1."""
    if isinstance(right, Constant) and right.value == 1:
        return left
    if isinstance(left, Constant) and left.value in (1, -1):
        return right if left.value == 1 else -right
    return left * right


# region The elementary operators


@cache
def elementary(
    kind: str, subsystem: Subsystem, values: tuple[float, ...]
) -> tuple[tuple[Number, LocalOperator], ...] | None:
    """Return an elementary operator as a sum of numbers times local operators.

    None where it does not act on sites of that kind.
    """
    if kind in _PAULI:
        return _pauli(kind, subsystem, values) if len(values) == 2 else None
    if kind in _SPINS:
        return _spin(kind, subsystem, values) if subsystem.kind == "spin" else None
    if kind in _FERMIONIC and subsystem.kind == "fermion":
        return _one(values, -1 if kind == "cdag" else 1, lambda _: 1)
    if kind in _BOSONIC and subsystem.kind == "boson":
        if kind == "a":
            return _one(values, 1, lambda x: x + 1)
        return _one(values, -1, lambda x: x)
    if kind == "n" and subsystem.kind in ("boson", "fermion", "qubit"):
        return _one(values, 0, lambda x: x * x)
    return None


Square = Callable[[Fraction], "Fraction | int"]


def _one(
    values: tuple[float, ...], move: int, square: Square
) -> tuple[tuple[Number, LocalOperator], ...]:
    """Return <x|O|x'>, where x' is `move` places on; zero where there is no such x'."""
    squares = tuple(
        Fraction(square(Fraction(x)))
        if 0 <= place + move < len(values)
        else Fraction(0)
        for place, x in enumerate(values)
    )
    kept = abs(move) if len(values) == 2 else move
    return ((1, LocalOperator(values, kept, squares)),)


def _pauli(
    kind: str, subsystem: Subsystem, values: tuple[float, ...]
) -> tuple[tuple[Number, LocalOperator], ...]:
    # |0> is spin up, or the lower value: (-1, 1) are spins, whatever they are called
    is_spin = subsystem.kind == "spin" or values == (-1, 1)
    z = (Fraction(-1), Fraction(1)) if is_spin else (Fraction(1), Fraction(-1))
    if kind == "Z":
        return ((1, LocalOperator(values, 0, z)),)
    if kind == "Y":
        return ((-1j, LocalOperator(values, 1, z)),)
    return ((1, LocalOperator(values, 1, (Fraction(1),) * 2)),)


def _spin(
    kind: str, subsystem: Subsystem, values: tuple[float, ...]
) -> tuple[tuple[Number, LocalOperator], ...]:
    top = Fraction(values[-1])
    if kind == "Sz":
        return _one(values, 0, lambda x: x * abs(x) / 4)
    if kind == "Sp":
        # <m|S+|m - 1>^2 = (s + m) (s - m + 1), and the local value is 2 m
        return _one(values, -1, lambda x: (top + x) * (top - x + 2) / 4)
    if kind == "Sm":
        return _one(values, 1, lambda x: (top - x) * (top + x + 2) / 4)
    if len(values) == 2:
        ((scale, pauli),) = _pauli("X" if kind == "Sx" else "Y", subsystem, values)
        return ((scale * 0.5, pauli),)
    ((_, up),) = _spin("Sp", subsystem, values)
    ((_, down),) = _spin("Sm", subsystem, values)
    if kind == "Sx":
        return ((0.5, up), (0.5, down))
    return ((-0.5j, up), (0.5j, down))


def mentioned(kind: str) -> str:
    """Return what an elementary operator acts on, for messages."""
    if kind in _FERMIONIC:
        return "fermions"
    if kind in _BOSONIC:
        return "bosons"
    if kind in _SPINS:
        return "spins"
    return "fermions, bosons and qubits" if kind == "n" else "sites with two values"


# endregion
