"""Functions of t that are made of exponentials: an algebra of their normal forms.

A `Sum` is c + a t + sum_i k_i log E_i(t), a `Product` is c exp(s t) prod_i E_i(t)^k_i,
with E(t) = 1 + sum_j a_j exp(s_j t) and s_j > 0: every spelling by sums, products,
powers, exp and log ends in equal forms, but for sums that are products of different E.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

Exponentials: TypeAlias = tuple[tuple[float, complex], ...]
"""Pairs (s_j, a_j) of 1 + sum_j a_j exp(s_j t), rising in s_j > 0."""

MAX_EXPONENTIALS = 16

MAX_CONSTANT = 64.0
"""Beyond it t + c loses bits of t, and exp(c) may leave the range of single numbers."""

MAX_EXPONENT = 700.0
"""Beyond it exp of a number is 0 or infinite."""

ROUNDING = 1e-13
"""A difference that is smaller, relative to what is subtracted, is zero."""


class NoForm(ArithmeticError):
    """The result of an operation has neither of the two forms."""


@dataclass(frozen=True)
class Sum:
    """constant + slope t + sum of k log E.

    Attributes:
        constant: c.
        slope: a.
        logs: pairs (E, k).
        turns: factors of 2 pi i, multiples of which may be missing: logarithms of
            complex numbers end at a cut.
        is_part: whether t stands for the real part of t.
    """

    constant: complex
    slope: complex = 0.0
    logs: frozenset[tuple[Exponentials, complex]] = frozenset()
    turns: frozenset[complex] = frozenset()
    is_part: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether there is no t in it."""
        return not self.slope and not self.logs

    @property
    def is_real(self) -> bool:
        """Whether it is real where t is."""
        numbers = (self.constant, self.slope, *(k for _, k in self.logs))
        return _are_real(numbers) and all(_are_real(_factors(e)) for e, _ in self.logs)


@dataclass(frozen=True)
class ExponentialProduct:
    """factor exp(slope t) times the product of E^k, for pairs (E, k) of `powers`."""

    factor: complex
    slope: float = 0.0
    powers: frozenset[tuple[Exponentials, float]] = frozenset()

    @property
    def is_real(self) -> bool:
        """Whether it is real where t is."""
        return _are_real(
            [self.factor, *(a for e, _ in self.powers for a in _factors(e))]
        )

    @property
    def is_positive(self) -> bool:
        """Whether it is positive where t is real, as all factors are."""
        factors = [self.factor, *(a for e, _ in self.powers for a in _factors(e))]
        return self.is_real and all(factor.real > 0 for factor in factors)


Form: TypeAlias = Sum | ExponentialProduct


def _factors(exponentials: Exponentials) -> list[complex]:
    return [factor for _, factor in exponentials]


def _are_real(numbers: Iterable[complex]) -> bool:
    return all(number.imag == 0 for number in numbers)


def _tidy(value: complex) -> complex:
    """Return a number without its last digits, which spellings differ in."""
    if not np.isfinite(value):
        raise NoForm
    return complex(float(f"{value.real:.13g}"), float(f"{value.imag:.13g}"))


def _plus(lhs: complex, rhs: complex) -> complex:
    total = lhs + rhs
    return 0 if abs(total) <= ROUNDING * (abs(lhs) + abs(rhs)) else _tidy(total)


def _checked(form: Sum) -> Sum:
    if form.is_constant or abs(form.constant) <= MAX_CONSTANT:
        return form
    raise NoForm


def _as_product(form: Form) -> ExponentialProduct:
    if isinstance(form, ExponentialProduct):
        return form
    if form.is_constant and np.isfinite(form.constant):
        return ExponentialProduct(form.constant)
    raise NoForm


def added(lhs: Form, rhs: Form) -> Form:
    """Return lhs + rhs."""
    if isinstance(lhs, ExponentialProduct) or isinstance(rhs, ExponentialProduct):
        return _added_products(_as_product(lhs), _as_product(rhs))
    if lhs.is_part != rhs.is_part and not (lhs.is_constant or rhs.is_constant):
        raise NoForm
    logs: dict[Exponentials, complex] = dict(lhs.logs)
    for one, k in rhs.logs:
        logs[one] = _plus(logs.get(one, 0), k)
    return _checked(
        Sum(
            _plus(lhs.constant, rhs.constant),
            _plus(lhs.slope, rhs.slope),
            frozenset((one, k) for one, k in logs.items() if k),
            lhs.turns | rhs.turns,
            lhs.is_part or rhs.is_part,
        )
    )


def _added_products(lhs: ExponentialProduct, rhs: ExponentialProduct) -> Form:
    """Return a sum over the common denominator."""
    left, right = (defaultdict(float, one.powers) for one in (lhs, rhs))
    common = {one: min(left[one], right[one]) for one in {*left, *right}}
    terms: dict[float, complex] = {}
    for form, powers in ((lhs, left), (rhs, right)):
        rest = {one: powers[one] - k for one, k in common.items()}
        own = expanded(replace(form, powers=frozenset(rest.items())))
        for slope, factor in own.items():
            terms[slope] = _plus(terms.get(slope, 0), factor)
    terms = {slope: factor for slope, factor in terms.items() if factor}
    if not terms:
        return Sum(0)
    first = min(terms)
    rest = tuple(
        (_tidy(slope - first).real, _tidy(factor / terms[first]))
        for slope, factor in sorted(terms.items())
        if slope > first
    )
    powers = frozenset([_factorised(rest)] if rest else ())
    numerator = ExponentialProduct(terms[first], first, powers)
    return multiplied(
        numerator, ExponentialProduct(1.0, 0.0, frozenset(common.items()))
    )


def _factorised(exponentials: Exponentials) -> tuple[Exponentials, float]:
    """Return E and k where a sum is E^k = (1 + a exp(s t))^k, else itself and 1."""
    (s, first), *others = exponentials
    count = float(len(exponentials))
    factor = ((s, _tidy(first / count)),)
    try:
        whole = expanded(ExponentialProduct(1.0, powers=frozenset([(factor, count)])))
    except NoForm:
        return exponentials, 1.0
    is_power = others and whole == {0.0: 1.0, **dict(exponentials)}
    return (factor, count) if is_power else (exponentials, 1.0)


def expanded(form: ExponentialProduct) -> dict[float, complex]:
    """Return a product as a sum of exponentials: factors by slope.

    Raises:
        NoForm: where powers are no whole numbers or negative, or there are too many.
    """
    terms: dict[float, complex] = {form.slope: form.factor}
    for exponentials, k in form.powers:
        if k < 0 or k != int(k) or k * len(exponentials) > MAX_EXPONENTIALS:
            raise NoForm
        for _ in range(int(k)):
            found: dict[float, complex] = {}
            for s, a in ((0.0, 1.0), *exponentials):
                for slope, factor in terms.items():
                    total = _tidy(slope + s).real
                    found[total] = _plus(found.get(total, 0), factor * a)
            terms = {slope: factor for slope, factor in found.items() if factor}
            if len(terms) > MAX_EXPONENTIALS:
                raise NoForm
    return terms


def scaled(form: Form, factor: complex) -> Form:
    """Return a multiple of a form."""
    if not np.isfinite(factor):
        raise NoForm
    if not factor:
        return Sum(0)
    if isinstance(form, ExponentialProduct):
        return replace(form, factor=_tidy(form.factor * factor))
    if form.is_part and factor.imag:
        raise NoForm
    return _checked(
        Sum(
            _tidy(form.constant * factor),
            _tidy(form.slope * factor),
            frozenset((one, _tidy(k * factor)) for one, k in form.logs),
            frozenset(_tidy(turn * factor) for turn in form.turns),
            form.is_part,
        )
    )


def multiplied(lhs: Form, rhs: Form) -> Form:
    """Return lhs * rhs."""
    for one, other in ((lhs, rhs), (rhs, lhs)):
        if isinstance(one, Sum) and one.is_constant:
            return scaled(other, one.constant)
    lhs, rhs = _as_product(lhs), _as_product(rhs)
    powers: dict[Exponentials, float] = dict(lhs.powers)
    for one, k in rhs.powers:
        powers[one] = _plus(powers.get(one, 0), k).real
    return _settled(
        ExponentialProduct(
            _tidy(lhs.factor * rhs.factor),
            _plus(lhs.slope, rhs.slope).real,
            frozenset((one, k) for one, k in powers.items() if k),
        )
    )


def _settled(form: ExponentialProduct) -> Form:
    return form if form.slope or form.powers else Sum(form.factor)


def power(form: Form, exponent: float) -> Form:
    """Return a power; of what is not positive only where it is a whole number."""
    found = _as_product(form)
    if not found.factor or not exponent or abs(exponent) > MAX_EXPONENTIALS:
        raise NoForm
    if not (found.is_positive or exponent == int(exponent)):
        raise NoForm
    powers = frozenset((one, k * exponent) for one, k in found.powers)
    with np.errstate(all="ignore"):
        factor = _tidy(complex(np.power(complex(found.factor), exponent)))
    return _settled(ExponentialProduct(factor, found.slope * exponent, powers))


def exponential(form: Form) -> Form:
    """Return exp of a sum."""
    if isinstance(form, ExponentialProduct) or form.is_part:
        raise NoForm
    if abs(form.constant.real) > MAX_EXPONENT:
        raise NoForm
    numbers = (form.slope, *(k for _, k in form.logs), *form.turns)
    if not _are_real(numbers) or any(t != round(t.real) for t in form.turns):
        raise NoForm
    powers = frozenset((one, k.real) for one, k in form.logs)
    factor = _tidy(complex(np.exp(form.constant)))
    return _settled(ExponentialProduct(factor, form.slope.real, powers))


def logarithm(form: Form, side: int | None) -> Form:
    """Return log of a product.

    It is positive where t is real. Where the real part of complex t has the sign
    `side`, whole turns may be missing, unless it is the log of 1 + w with |w| <= 1.
    """
    found = _as_product(form)
    if not found.factor or (side is None and not found.is_positive):
        raise NoForm
    if side is not None and any(k != int(k) for _, k in found.powers):
        raise NoForm
    turns = () if side is None or _is_right_of_cut(found, side) else (1.0 + 0j,)
    constant = _tidy(complex(np.log(complex(found.factor))))
    logs = frozenset((one, complex(k)) for one, k in found.powers)
    return _checked(Sum(constant, found.slope, logs, frozenset(turns)))


def _is_right_of_cut(form: ExponentialProduct, side: int) -> bool:
    """Whether a product is c (1 + w), with c > 0 and |w| <= 1, on a side."""
    try:
        terms = expanded(form)
    except NoForm:
        return False
    first = terms.pop(0.0, 0)
    decays = all(slope * side <= 0 for slope in terms)
    return decays and first.imag == 0 and first.real >= sum(map(abs, terms.values()))


def sign(form: Form, side: int) -> int | None:
    """Return the sign of c + a t for real t of a sign, None where it is not known."""
    if isinstance(form, ExponentialProduct):
        return 1 if form.is_positive else None
    if form.logs or not form.is_real or np.isnan(form.constant):
        return None
    rising = int(np.sign(form.slope.real)) * side
    offset = int(np.sign(form.constant.real))
    if not rising or np.isinf(form.constant):
        return offset
    return rising if offset in (0, rising) else None
