"""Normal forms of exponentials compute what they were made of, and are equal then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowering.energy.exponential_forms import (
    ExponentialProduct,
    Form,
    NoForm,
    Sum,
    added,
    exponential,
    logarithm,
    multiplied,
    power,
    scaled,
    sign,
)

T = Sum(0j, 1.0)
ONE = Sum(1 + 0j)


def values(form: Form, t: Any) -> Any:
    """Return what a form is at real points."""
    pairs = form.logs if isinstance(form, Sum) else form.powers
    sums = [(1 + sum(a * np.exp(s * t) for s, a in one), k) for one, k in pairs]
    if isinstance(form, Sum):
        return form.constant + form.slope * t + sum(k * np.log(e) for e, k in sums)
    product = form.factor * np.exp(form.slope * t)
    return product * np.prod([e**k for e, k in sums], axis=0)


def softplus(form: Form) -> Form:
    return logarithm(added(ONE, exponential(form)), None)


def cosh(form: Form) -> Form:
    return added(exponential(form), exponential(scaled(form, -1)))


def test_spellings_end_in_equal_forms() -> None:
    log_cosh = logarithm(cosh(T), None)
    spelled = added(softplus(scaled(T, 2)), scaled(T, -1))
    assert log_cosh == spelled
    assert scaled(logarithm(power(cosh(T), 2), None), 0.5) == spelled
    assert added(softplus(T), scaled(softplus(scaled(T, -1)), -1)) == T
    quotient = multiplied(cosh(T), power(added(ONE, exponential(scaled(T, 2))), -1))
    assert quotient == exponential(scaled(T, -1))
    assert added(cosh(T), scaled(cosh(T), -1)) == Sum(0)
    assert added(cosh(scaled(T, 2)), scaled(ONE, 2)) == power(cosh(T), 2)
    assert added(cosh(scaled(T, 2)), ONE) != power(cosh(T), 2)
    huge = added(ONE, scaled(exponential(T), 1e300))
    assert isinstance(added(huge, exponential(scaled(T, 2))), ExponentialProduct)


factors = st.sampled_from([-2.0, -1.0, -0.3, 0.5, 1.0, 3.0])
POINTS = np.linspace(-1.5, 1.5, 7)


@given(st.lists(st.tuples(factors, factors), min_size=1, max_size=4), factors)
def test_forms_compute_what_they_are_made_of(
    terms: list[tuple[float, float]], exponent: float
) -> None:
    product, expected = Sum(2 + 0j), 2 + 0 * POINTS
    for factor, slope in terms:
        product = added(product, scaled(exponential(scaled(T, slope)), abs(factor)))
        expected = expected + abs(factor) * np.exp(slope * POINTS)
    assert values(power(product, exponent), POINTS) == pytest.approx(expected**exponent)
    log = logarithm(product, None)
    assert values(log, POINTS) == pytest.approx(np.log(expected))
    assert values(exponential(log), POINTS) == pytest.approx(expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: multiplied(T, T),
        lambda: added(T, exponential(T)),
        lambda: power(T, 2),
        lambda: exponential(exponential(T)),
        lambda: exponential(scaled(T, 1j)),
        lambda: logarithm(T, None),
        lambda: logarithm(added(exponential(T), scaled(ONE, -1)), None),
        lambda: power(added(exponential(T), scaled(ONE, -1)), 0.5),
        lambda: power(Sum(0), -1),
        lambda: power(cosh(T), np.inf),
        lambda: power(Sum(1e200 + 0j), 2),
        lambda: multiplied(
            ExponentialProduct(1e200, 1.0), ExponentialProduct(1e200, 1.0)
        ),
        lambda: exponential(Sum(1e3 + 0j)),
        lambda: logarithm(Sum(0), 1),
        lambda: scaled(T, np.inf),
        # t + c has lost what is subtracted then
        lambda: added(added(T, Sum(2.0**40 + 0j)), Sum(-(2.0**40) + 0j)),
    ],
)
def test_anything_else_has_no_form(make: Any) -> None:
    with pytest.raises(NoForm):
        make()


def test_signs() -> None:
    assert [sign(T, side) for side in (-1, 0, 1)] == [-1, 0, 1]
    assert [sign(added(T, ONE), side) for side in (-1, 0, 1)] == [None, 1, 1]
    assert sign(Sum(-np.inf + 0j, 1.0), 1) == -1
    assert sign(cosh(T), 1) == 1
    assert sign(softplus(T), 1) is None


def test_logarithms_of_complex_numbers_may_miss_turns() -> None:
    def turns(form: Form, side: int) -> Any:
        found = logarithm(form, side)
        assert isinstance(found, Sum)
        return found.turns

    rising = added(ONE, exponential(T))
    assert (turns(rising, -1), turns(rising, 1)) == (frozenset(), {1})
    assert turns(ExponentialProduct(1.0, 1.0), -1) == {1}
