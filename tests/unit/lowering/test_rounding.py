"""Exact arithmetic is told from rounded arithmetic: measured with rational numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ComplexType, Float32Type, Float64Type, i32
from xdsl.ir import Attribute, Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import constant, dtype_of
from lowering.analysis.rounding import is_exact

f32, f64 = Float32Type(), Float64Type()

OPS: dict[type[Operation], tuple[Callable[..., Any], Callable[..., Fraction]]] = {
    hlo.AddOp: (np.add, lambda a, b: a + b),
    hlo.SubtractOp: (np.subtract, lambda a, b: a - b),
    hlo.MultiplyOp: (np.multiply, lambda a, b: a * b),
    hlo.DivideOp: (np.divide, lambda a, b: a / b),
}


def exact(op_type: type[Operation], element: Attribute, lhs: Any, rhs: Any) -> bool:
    operands = [np.array(value, dtype_of(element)) for value in (lhs, rhs)]
    values = [constant(operand, element).output for operand in operands]
    op = op_type.create(operands=values, result_types=[values[0].type])
    with np.errstate(all="ignore"):
        return is_exact(op, operands, OPS[op_type][0](*operands))


def numbers(width: int) -> st.SearchStrategy[float]:
    short = st.integers(-200, 200).map(lambda n: n / 8)
    limit = 2.0**50
    long = st.floats(-limit, limit, width=width, allow_subnormal=False)  # pyright: ignore[reportArgumentType]
    return short | long.filter(lambda value: value == 0 or abs(value) > 2.0**-50)


@pytest.mark.parametrize("element", [f32, f64], ids=str)
@pytest.mark.parametrize("op_type", OPS)
@given(st.data())
def test_exact_is_what_rational_numbers_say(
    op_type: type[Operation], element: Attribute, data: Any
) -> None:
    dtype = dtype_of(element)
    lhs, rhs = (data.draw(numbers(8 * dtype.itemsize)) for _ in range(2))
    if op_type is hlo.DivideOp:
        rhs = data.draw(st.sampled_from([1.0, -2.0, 0.25]))
    result = OPS[op_type][0](dtype.type(lhs), dtype.type(rhs))
    truth = OPS[op_type][1](Fraction(lhs), Fraction(rhs))
    assert exact(op_type, element, lhs, rhs) == (Fraction(float(result)) == truth)


@pytest.mark.parametrize("element", [f32, f64], ids=str)
def test_quotients_are_exact_by_powers_of_two_only(element: Attribute) -> None:
    def quotient(lhs: float, rhs: float) -> bool:
        return exact(hlo.DivideOp, element, lhs, rhs)

    assert quotient(3, 2)
    assert quotient(3, -0.125)
    assert quotient(0, 3)
    # exact on paper, but a product with the rounded inverse is not
    assert not quotient(49, 49)
    assert not quotient(1, 3)


def test_sums_and_products_at_the_edge() -> None:
    assert exact(hlo.AddOp, f64, 2.0**53, 1.0) is False
    assert exact(hlo.AddOp, f64, 2.0**52, 1.0)
    assert exact(hlo.AddOp, f32, 2.0**24, 1.0) is False
    assert exact(hlo.AddOp, f32, 2.0**23, 1.0)
    assert exact(hlo.SubtractOp, f64, 0.1, -0.2) is False
    # the difference of two numbers of one size is exact, whatever they stand for
    assert exact(hlo.SubtractOp, f64, 0.3, 0.2)
    assert exact(hlo.MultiplyOp, f64, 2.0**27 + 1, 2.0**26 + 1) is False
    assert exact(hlo.MultiplyOp, f64, 2.0**26 + 1, 2.0**26 - 1)


def test_every_point_counts() -> None:
    assert exact(hlo.AddOp, f64, [1.0, 2.0], [0.5, 0.25])
    assert exact(hlo.AddOp, f64, [1.0, 0.1], [0.5, 0.2]) is False


@pytest.mark.parametrize("op_type", OPS)
def test_what_is_no_number_is_not_rounded(op_type: type[Operation]) -> None:
    for special in (np.nan, np.inf, -np.inf):
        assert exact(op_type, f64, [special, 1.0, special], [1.0, special, special])
    assert exact(hlo.DivideOp, f64, [1.0, 0.0, -1.0], [0.0, 0.0, 0.0])


@pytest.mark.parametrize("element", [f32, f64], ids=str)
def test_overflow_and_underflow_are_rounding(element: Attribute) -> None:
    limits = np.finfo(dtype_of(element))
    largest, tiny = float(limits.max), float(limits.tiny)
    assert not exact(hlo.AddOp, element, largest, largest)
    assert not exact(hlo.MultiplyOp, element, largest, 2)
    assert not exact(hlo.MultiplyOp, element, tiny, tiny)
    # subnormal: exact, but zero to XLA
    assert not exact(hlo.MultiplyOp, element, tiny, 0.5)
    assert not exact(hlo.DivideOp, element, tiny, 2)
    assert not exact(hlo.DivideOp, element, tiny, largest)
    assert not exact(hlo.SubtractOp, element, 1.5 * tiny, tiny)
    assert exact(hlo.MultiplyOp, element, 0, 1e30)


def test_integers_are_exact_and_complex_numbers_are_not() -> None:
    assert exact(hlo.MultiplyOp, i32, 2**30, 4)
    for op_type in OPS:
        assert not exact(op_type, ComplexType(f64), 1, 1)
