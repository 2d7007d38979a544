"""`lowering.evaluate` folds an op to what the reference interpreter computes for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from xdsl.dialects.builtin import (
    ComplexType,
    Float32Type,
    Float64Type,
    IntegerType,
    ModuleOp,
    Signedness,
    i1,
    i32,
)
from xdsl.interpreter import Interpreter
from xdsl.ir import Attribute, Operation
from xdsl.irdl import IRDLOperation
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import (
    ComparisonType,
    ComparisonTypeAttr,
)

from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.stablehlo import compare, constant, convert, dtype_of, tensor
from lowering.evaluate import _EXACT, _ROUNDED, evaluate

Array = npt.NDArray[Any]

f32, f64, i8 = Float32Type(), Float64Type(), IntegerType(8)
i64, ui8, ui64 = (
    IntegerType(64),
    IntegerType(8, Signedness.UNSIGNED),
    IntegerType(64, Signedness.UNSIGNED),
)
c64, c128 = ComplexType(f32), ComplexType(f64)

SMALLEST, LARGEST = np.iinfo(np.int32).min, np.iinfo(np.int32).max

VALUES: dict[Attribute, list[Any]] = {
    i1: [False, True],
    i8: [-128, -7, -2, -1, 0, 1, 2, 3, 127],
    i32: [SMALLEST, -7, -2, -1, 0, 1, 2, 3, LARGEST],
    f32: [-np.inf, -3e38, -2.5, -1.0, -0.0, 0.0, 0.1, 1.0, 2.0, 3e38, np.inf, np.nan],
    f64: [-np.inf, -3e38, -2.5, -1.0, -0.0, 0.0, 0.1, 1.0, 2.0, 3e38, np.inf, np.nan],
    c64: [0, 1, -1, 1j, -2.5 + 0.5j, 3 - 4j],
    c128: [0, 1, -1, 1j, -2.5 + 0.5j, 3 - 4j],
}


def grid(element: Attribute, operands: int) -> list[Array]:
    """Return every combination of the values of a type, one array per operand."""
    values = np.array(VALUES[element], dtype_of(element))
    return [axis.ravel() for axis in np.meshgrid(*[values] * operands)]


def build(
    op_type: type[Operation],
    operands: Sequence[Array],
    of: Attribute,
    result: Attribute,
) -> Operation:
    values = [constant(operand, of).output for operand in operands]
    shape = operands[0].shape
    return op_type.create(operands=values, result_types=[tensor(result, shape)])


def interpret(op: Operation, operands: Sequence[Array]) -> Array:
    interpreter = Interpreter(ModuleOp([]))
    interpreter.register_implementations(StableHLOFunctions())
    (result,) = interpreter.run_op(op, tuple(operands))
    return result


def assert_folds_right(op: Operation, operands: Sequence[Array]) -> None:
    found, expected = evaluate(op, operands), interpret(op, operands)
    assert found is not None
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if type(op) in _ROUNDED:
        np.testing.assert_allclose(found, expected, rtol=4e-7)
        return
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        number = ~np.isnan(found)
        np.testing.assert_array_equal(
            np.signbit(found)[number], np.signbit(expected)[number]
        )


LOGIC = [hlo.AndOp, hlo.OrOp, hlo.XorOp, hlo.NotOp]
REAL_ONLY = [hlo.CeilOp, hlo.FloorOp, hlo.RemainderOp, hlo.MaximumOp, hlo.MinimumOp]
ARITHMETIC = [
    hlo.AbsOp,
    hlo.AddOp,
    hlo.DivideOp,
    hlo.MultiplyOp,
    hlo.NegateOp,
    hlo.SignOp,
    hlo.SubtractOp,
]
TRANSCENDENTAL = [
    hlo.CosineOp,
    hlo.ExponentialMinusOneOp,
    hlo.ExponentialOp,
    hlo.LogOp,
    hlo.LogPlusOneOp,
    hlo.LogisticOp,
    hlo.PowerOp,
    hlo.RsqrtOp,
    hlo.SineOp,
    hlo.SqrtOp,
    hlo.TanhOp,
]
UNARY = [
    *(hlo.AbsOp, hlo.CeilOp, hlo.CosineOp, hlo.ExponentialOp, hlo.FloorOp, hlo.LogOp),
    *(hlo.NegateOp, hlo.NotOp, hlo.SignOp, hlo.SineOp, hlo.SqrtOp, hlo.TanhOp),
    *(hlo.ExponentialMinusOneOp, hlo.LogPlusOneOp, hlo.LogisticOp, hlo.RsqrtOp),
]

CASES: list[tuple[type[IRDLOperation], Attribute]] = [
    *itertools.product(LOGIC, (i1, i8, i32)),
    *itertools.product([hlo.AddOp, hlo.MultiplyOp], [i1]),
    *itertools.product([hlo.MaximumOp, hlo.MinimumOp], [i1]),
    *itertools.product(ARITHMETIC, (i8, i32, f32, f64)),
    *itertools.product([hlo.RemainderOp, hlo.MaximumOp, hlo.MinimumOp], (i8, i32)),
    *itertools.product([hlo.PowerOp], (i8, i32)),
    *itertools.product(REAL_ONLY, (f32, f64)),
    *itertools.product(TRANSCENDENTAL, (f32, f64)),
    *itertools.product(ARITHMETIC[1:5], (c64, c128)),
]


def test_every_op_that_can_be_evaluated_is_tested() -> None:
    tested = {op_type for op_type, _ in CASES}
    others = {hlo.SelectOp, hlo.ComplexOp, hlo.RealOp, hlo.ImagOp}
    assert tested | others == {*_EXACT, *_ROUNDED}
    assert not {*_EXACT} & {*_ROUNDED}


@pytest.mark.parametrize(
    ("op_type", "element"), CASES, ids=lambda case: getattr(case, "name", str(case))
)
def test_elementwise_ops(op_type: type[Operation], element: Attribute) -> None:
    operands = grid(element, 1 if op_type in UNARY else 2)
    assert_folds_right(build(op_type, operands, element, element), operands)


@pytest.mark.parametrize(("of", "real"), [(c64, f32), (c128, f64)])
def test_parts_of_complex_numbers(of: Attribute, real: Attribute) -> None:
    (z,) = grid(of, 1)
    for op_type in (hlo.AbsOp, hlo.RealOp, hlo.ImagOp):
        assert_folds_right(build(op_type, [z], of, real), [z])
    parts = grid(real, 2)
    assert_folds_right(build(hlo.ComplexOp, parts, real, of), parts)


@pytest.mark.parametrize("element", [i1, i32, f64, c128], ids=str)
@pytest.mark.parametrize("direction", ["EQ", "NE", "LT", "LE", "GT", "GE"])
def test_comparisons(direction: str, element: Attribute) -> None:
    if element == c128 and direction not in ("EQ", "NE"):
        # complex numbers have no order
        element = f32
    lhs, rhs = grid(element, 2)
    op = compare(
        direction, constant(lhs, element).output, constant(rhs, element).output
    )
    assert_folds_right(op, [lhs, rhs])


def test_a_comparison_of_bits_is_not_known() -> None:
    lhs, rhs = grid(f64, 2)
    op = compare("LT", constant(lhs, f64).output, constant(rhs, f64).output)
    op.comparison_type = ComparisonTypeAttr(ComparisonType.TOTALORDER)
    assert evaluate(op, [lhs, rhs]) is None


@pytest.mark.parametrize(
    ("source", "target"),
    [
        *itertools.product(VALUES, (i1, i8, i32, f32, f64)),
        *itertools.product((f32, f64), (ui8, i64, ui64)),
        *((f64, c128), (c64, c128)),
    ],
    ids=str,
)
def test_conversions(source: Attribute, target: Attribute) -> None:
    (value,) = grid(source, 1)
    op = convert(constant(value, source).output, target)
    assert_folds_right(op, [value])


def test_select() -> None:
    predicate = np.array([True, False, True])
    a, b = np.array([1.0, np.nan, -0.0]), np.array([np.inf, 2.0, 3.0])
    op = hlo.SelectOp.create(
        operands=[
            constant(predicate, i1).output,
            constant(a, f64).output,
            constant(b, f64).output,
        ],
        result_types=[tensor(f64, (3,))],
    )
    assert_folds_right(op, [predicate, a, b])


# ---- beyond single ops ----


def test_operands_broadcast_against_each_other() -> None:
    op = hlo.AddOp(constant(1.0, f32).output, constant(2.0, f32).output)
    points = [np.ones((3, 1), np.float32), np.arange(4, dtype=np.float32)]
    result = evaluate(op, points)
    assert result is not None
    assert result.dtype == np.float32
    assert result.tolist() == [[1.0, 2.0, 3.0, 4.0]] * 3


@pytest.mark.parametrize("op_type", [hlo.ExponentialOp, hlo.PowerOp, hlo.TanhOp])
def test_rounded_ops_are_not_exact(op_type: type[Operation]) -> None:
    operands = grid(f64, 1 if op_type in UNARY else 2)
    op = build(op_type, operands, f64, f64)
    assert evaluate(op, operands) is not None
    assert evaluate(op, operands, exact=True) is None


def test_what_is_not_elementwise_is_not_known() -> None:
    value = np.arange(6.0).reshape(2, 3)
    source = constant(value, f64).output
    op = hlo.ReshapeOp.create(operands=[source], result_types=[tensor(f64, (3, 2))])
    assert evaluate(op, [value]) is None
    assert evaluate(hlo.CbrtOp(source), [value]) is None


@pytest.mark.parametrize("op_type", [hlo.SubtractOp, hlo.NegateOp, hlo.DivideOp])
def test_arithmetic_on_booleans_is_not_known(op_type: type[Operation]) -> None:
    operands = grid(i1, 1 if op_type in UNARY else 2)
    assert evaluate(build(op_type, operands, i1, i1), operands) is None
