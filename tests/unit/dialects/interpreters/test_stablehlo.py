"""StableHLO over NumPy agrees with XLA: one program text, both of them run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.extend.backend
import numpy as np
import numpy.typing as npt
import pytest
from jaxlib.xla_client import CompileOptions
from xdsl.interpreter import Interpreter, InterpreterFunctions, impl, register_impls
from xdsl.interpreters.func import FuncFunctions
from xdsl.ir import Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.text import parse_module

Array = npt.NDArray[Any]

# region One program, two machines


class Statement(NamedTuple):
    """An op over the arguments %a, %b, .. of a program, and its result type."""

    text: str
    result: str


def program(inputs: Sequence[str], statements: Sequence[Statement]) -> str:
    """Write a function that returns the result of every statement."""
    arguments = ", ".join(f"%{'abc'[n]}: {kind}" for n, kind in enumerate(inputs))
    results = ", ".join(statement.result for statement in statements)
    values = ", ".join(f"%r{n}" for n in range(len(statements)))
    body = "\n".join(
        f"%r{n} = {statement.text}" for n, statement in enumerate(statements)
    )
    return f"""
module @m {{ func.func public @main({arguments}) -> ({results}) {{
{body}
func.return {values} : {results}
}} }}"""


def run_by_xla(text: str, inputs: Sequence[Array]) -> list[Array]:
    backend = jax.extend.backend.get_backend("cpu")
    device = backend.devices()[0]
    # Without options, NaN would get lost in a maximum. And as users compile: the
    # emitters of the rest of the suite find other powers of integers
    options = CompileOptions()
    options.env_option_overrides = [("xla_cpu_use_fusion_emitters", True)]
    executable = backend.compile_and_load(text, (device,), options)
    with jax.enable_x64(True):
        buffers = [jax.device_put(value, device) for value in inputs]
        return [np.asarray(result) for result in executable.execute(buffers)]


def interpreter_of(text: str) -> Interpreter:
    interpreter = Interpreter(parse_module(text))
    interpreter.register_implementations(FuncFunctions())
    interpreter.register_implementations(StableHLOFunctions())
    return interpreter


def run_by_numpy(text: str, inputs: Sequence[Array]) -> list[Array]:
    return list(interpreter_of(text).call_op("main", tuple(inputs)))


def run_one(text: str, kind: str, *inputs: tuple[str, Array]) -> Array:
    """Interpret one statement over the arguments %a, %b, .. of the given types."""
    kinds, values = [k for k, _ in inputs], [v for _, v in inputs]
    (result,) = run_by_numpy(program(kinds, [Statement(text, kind)]), values)
    return result


def xla_and_numpy(
    inputs: Sequence[tuple[str, Array]], statements: Sequence[Statement]
) -> list[tuple[Array, Array]]:
    kinds, values = [kind for kind, _ in inputs], [value for _, value in inputs]
    text = program(kinds, statements)
    answers = run_by_xla(text, values), run_by_numpy(text, values)
    return list(zip(*answers, strict=True))


def assert_same(xla: Array, ours: Array) -> None:
    assert isinstance(ours, np.ndarray)
    assert ours.dtype == xla.dtype
    assert ours.shape == xla.shape
    if ours.dtype.kind not in "fc":
        np.testing.assert_array_equal(ours, xla)
        return
    rtol = {2: 2e-3, 4: 5e-6, 8: 1e-13}[np.real(ours).dtype.itemsize]
    np.testing.assert_allclose(ours, xla, rtol=rtol, atol=rtol / 10)


# endregion
# region Values on the edge

FLOATS = ("f16", "f32", "f64")
INTEGERS = ("i8", "i16", "i32", "i64", "ui8", "ui16", "ui32", "ui64")
COMPLEXES = ("complex<f32>", "complex<f64>")

DTYPES: dict[str, Any] = {
    "i1": np.bool_,
    **{name: np.dtype(name.replace("f", "float")) for name in FLOATS},
    **{name: np.dtype(name.replace("i", "int")) for name in INTEGERS},
    "complex<f32>": np.dtype(np.complex64),
    "complex<f64>": np.dtype(np.complex128),
}


def float_edges(kind: str) -> Array:
    limits = np.finfo(DTYPES[kind])
    return np.array(
        [
            *(0, 1, 0.3, 0.5, 1.5, 2, 2.5, 3.7, 40, 1 / 3, 1 - limits.epsneg),
            *(0.5 - limits.epsneg / 2, limits.max, limits.tiny, np.inf),
            *(-0.0, -1, -0.3, -0.5, -1.5, -2, -2.5, -3.7, -40, -1 / 3),
            *(-(0.5 - limits.epsneg / 2), -limits.max, -limits.tiny, -np.inf, np.nan),
        ],
        DTYPES[kind],
    )


def integer_edges(kind: str) -> Array:
    limits = np.iinfo(DTYPES[kind])
    small = [0, 1, 2, 3, 5, 7, 8, 9, 16, 31, 32, 33, 63, 64, 65, 100]
    values = {*small, *(-n for n in small), limits.max, limits.min, limits.max - 1}
    values |= {limits.min + 1, limits.max // 2}
    return np.array(
        sorted(n for n in values if limits.min <= n <= limits.max), DTYPES[kind]
    )


def complex_edges(kind: str) -> Array:
    parts = (0.0, 1.0, 0.3, -0.5, 2.0, -1.0, -3.0)
    return np.array([complex(a, b) for a in parts for b in parts], DTYPES[kind])


def edges(kind: str) -> Array:
    if kind == "i1":
        return np.array([False, True])
    if kind in FLOATS:
        return float_edges(kind)
    return complex_edges(kind) if kind in COMPLEXES else integer_edges(kind)


def arguments(kind: str, count: int) -> list[tuple[str, Array]]:
    """Return arrays that hold each combination of edge values."""
    values = edges(kind)
    grids = np.meshgrid(*[values] * count, indexing="ij")
    columns = [np.ascontiguousarray(grid.reshape(-1)) for grid in grids]
    return [(f"tensor<{len(column)}x{kind}>", column) for column in columns]


# endregion
# region Elementwise ops

OF_FLOATS = (
    *("exponential", "exponential_minus_one", "log", "log_plus_one", "logistic"),
    *("cosine", "negate", "rsqrt", "sign", "sine", "sqrt", "tan", "tanh"),
)
OF_REALS = ("abs", "cbrt", "ceil", "floor", "round_nearest_afz", "round_nearest_even")
OF_INTEGERS = ("count_leading_zeros", "negate", "not", "popcnt")
SIGNED = INTEGERS[:4]

UNARY: dict[str, tuple[str, ...]] = {
    "i1": ("not",),
    **dict.fromkeys(FLOATS, (*OF_FLOATS, *OF_REALS)),
    **dict.fromkeys(INTEGERS, OF_INTEGERS),
    **dict.fromkeys(SIGNED, (*OF_INTEGERS, "abs", "sign")),
    **dict.fromkeys(COMPLEXES, OF_FLOATS),
}

ARITHMETIC = ("add", "divide", "multiply", "subtract")
ORDERED = ("maximum", "minimum", "remainder")
SHIFTS = ("shift_left", "shift_right_arithmetic", "shift_right_logical")
BITWISE = ("and", "or", "xor")

BINARY: dict[str, tuple[str, ...]] = {
    "i1": ("add", "multiply", "maximum", "minimum", *BITWISE),
    **dict.fromkeys(FLOATS, (*ARITHMETIC, *ORDERED, "atan2", "power")),
    **dict.fromkeys(INTEGERS, (*ARITHMETIC, *ORDERED, *SHIFTS, *BITWISE)),
    **dict.fromkeys(COMPLEXES, ARITHMETIC),
}

DIRECTIONS = ("EQ", "NE", "LT", "LE", "GT", "GE")
COMPARISONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("i1", *INTEGERS), DIRECTIONS),
    **dict.fromkeys(FLOATS, (*DIRECTIONS, *(f"{d} TOTALORDER" for d in DIRECTIONS))),
    **dict.fromkeys(COMPLEXES, DIRECTIONS[:2]),
}


def cases(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(kind, op) for kind, ops in table.items() for op in ops]


@cache
def unary_results(kind: str) -> dict[str, tuple[Array, Array]]:
    inputs = arguments(kind, 1)
    ((operand, _),) = inputs
    ops = UNARY[kind]
    statements = [Statement(f"stablehlo.{op} %a : {operand}", operand) for op in ops]
    return dict(zip(ops, xla_and_numpy(inputs, statements), strict=True))


@cache
def binary_results(kind: str) -> dict[str, tuple[Array, Array]]:
    inputs = arguments(kind, 2)
    operand = inputs[0][0]
    ops = BINARY[kind]
    statements = [
        Statement(f"stablehlo.{op} %a, %b : {operand}", operand) for op in ops
    ]
    return dict(zip(ops, xla_and_numpy(inputs, statements), strict=True))


@cache
def comparison_results(kind: str) -> dict[str, tuple[Array, Array]]:
    inputs = arguments(kind, 2)
    operand, values = inputs[0]
    result = f"tensor<{len(values)}xi1>"
    ops = COMPARISONS[kind]
    statements: list[Statement] = []
    for op in ops:
        direction, *order = op.split()
        text = ", ".join([f"stablehlo.compare {direction}, %a, %b", *order])
        statements.append(
            Statement(f"{text} : ({operand}, {operand}) -> {result}", result)
        )
    return dict(zip(ops, xla_and_numpy(inputs, statements), strict=True))


@pytest.mark.parametrize(("kind", "op"), cases(UNARY))
def test_unary(kind: str, op: str) -> None:
    assert_same(*unary_results(kind)[op])


@pytest.mark.parametrize(("kind", "op"), cases(BINARY))
def test_binary(kind: str, op: str) -> None:
    assert_same(*binary_results(kind)[op])


@pytest.mark.parametrize(("kind", "op"), cases(COMPARISONS))
def test_compare(kind: str, op: str) -> None:
    assert_same(*comparison_results(kind)[op])


@pytest.mark.parametrize("kind", INTEGERS)
def test_power_of_integers(kind: str) -> None:
    (operand, base), (_, exponent) = arguments(kind, 2)
    ours = run_one(
        f"stablehlo.power %a, %b : {operand}",
        operand,
        (operand, base),
        (operand, exponent),
    )
    modulus = 2 ** (8 * ours.dtype.itemsize)
    for b, e, power in zip(
        base.tolist(), exponent.tolist(), ours.tolist(), strict=True
    ):
        if e >= 0:
            assert power % modulus == pow(b, e, modulus)
        else:
            assert power == {1: 1, -1: 1 - 2 * (e % 2)}.get(b, 0)
    # XLA looks at the lowest bits of an exponent only.
    small = exponent <= 63
    operand = f"tensor<{small.sum()}x{kind}>"
    inputs = [(operand, base[small]), (operand, exponent[small])]
    statement = Statement(f"stablehlo.power %a, %b : {operand}", operand)
    assert_same(*xla_and_numpy(inputs, [statement])[0])


@pytest.mark.parametrize("kind", COMPLEXES)
@pytest.mark.parametrize("op", ["atan2", "power"])
def test_binary_of_complex_numbers_off_their_cuts(kind: str, op: str) -> None:
    (operand, lhs), (_, rhs) = arguments(kind, 2)
    regular = (lhs != 0) & (np.real(rhs) > 0)
    operand = f"tensor<{regular.sum()}x{kind}>"
    inputs = [(operand, lhs[regular]), (operand, rhs[regular])]
    statement = Statement(f"stablehlo.{op} %a, %b : {operand}", operand)
    assert_same(*xla_and_numpy(inputs, [statement])[0])


def test_power_of_complex_zero() -> None:
    kind = "tensor<3xcomplex<f64>>"
    zero = np.zeros(3, complex)
    exponent = np.array([0, 2, 1 + 1j])
    result = run_one(
        f"stablehlo.power %a, %b : {kind}", kind, (kind, zero), (kind, exponent)
    )
    assert result.tolist() == [1, 0, 0]


def test_complex_numbers_are_ordered_lexicographically() -> None:
    kind = "tensor<4xcomplex<f64>>"
    lhs = (kind, np.array([1 + 5j, 2 + 1j, 2 - 1j, np.nan]))
    rhs = (kind, np.array([2 + 0j, 2 + 2j, 2 - 2j, 1]))
    larger = run_one(f"stablehlo.maximum %a, %b : {kind}", kind, lhs, rhs)
    smaller = run_one(f"stablehlo.minimum %a, %b : {kind}", kind, lhs, rhs)
    assert larger[:3].tolist() == [2, 2 + 2j, 2 - 1j]
    assert smaller[:3].tolist() == [1 + 5j, 2 + 1j, 2 - 2j]
    assert np.isnan(larger[3])
    assert np.isnan(smaller[3])


@pytest.mark.parametrize("kind", COMPLEXES)
def test_complex_cube_root(kind: str) -> None:
    ((operand, values),) = arguments(kind, 1)
    root = run_one(f"stablehlo.cbrt %a : {operand}", operand, (operand, values))
    assert root.dtype == values.dtype
    np.testing.assert_allclose(root**3, values, rtol=5e-6, atol=1e-12)
    assert (np.abs(np.angle(root)) <= np.pi / 3 + 1e-6).all()


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_zeros_have_signs(kind: str) -> None:
    inputs = arguments(kind, 2)
    operand = inputs[0][0]
    ops = ("maximum", "minimum", "multiply", "add", "subtract", "divide", "remainder")
    binary = [Statement(f"stablehlo.{op} %a, %b : {operand}", operand) for op in ops]
    ops = ("sign", "ceil", "floor", "round_nearest_afz", "round_nearest_even", "sqrt")
    unary = [Statement(f"stablehlo.{op} %a : {operand}", operand) for op in ops]
    for xla, ours in xla_and_numpy(inputs, [*binary, *unary]):
        zero = (xla == 0) & (ours == 0)
        np.testing.assert_array_equal(np.signbit(ours[zero]), np.signbit(xla[zero]))


@pytest.mark.parametrize("kind", [*FLOATS, *COMPLEXES])
def test_parts_of_numbers(kind: str) -> None:
    inputs = arguments(kind, 1)
    ((operand, values),) = inputs
    part = kind.removeprefix("complex<").removesuffix(">")
    real = f"tensor<{len(values)}x{part}>"
    statements = [
        Statement(f"stablehlo.{op} %a : ({operand}) -> {real}", real)
        for op in ("real", "imag", "abs")
    ]
    if kind in FLOATS:
        finite = f"tensor<{len(values)}xi1>"
        statements.append(
            Statement(f"stablehlo.is_finite %a : ({operand}) -> {finite}", finite)
        )
    for xla, ours in xla_and_numpy(inputs, statements):
        assert_same(xla, ours)


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_complex(kind: str) -> None:
    inputs = arguments(kind, 2)
    result = f"tensor<{len(inputs[0][1])}xcomplex<{kind}>>"
    statement = Statement(f"stablehlo.complex %a, %b : {result}", result)
    ((xla, ours),) = xla_and_numpy(inputs, [statement])
    assert ours.dtype == xla.dtype
    for part in (np.real, np.imag):
        np.testing.assert_array_equal(part(ours), part(xla))


@pytest.mark.parametrize("kind", DTYPES)
def test_convert(kind: str) -> None:
    inputs = arguments(kind, 1)
    ((operand, values),) = inputs
    statements = [
        Statement(f"stablehlo.convert %a : ({operand}) -> {result}", result)
        for result in (f"tensor<{len(values)}x{other}>" for other in DTYPES)
    ]
    for xla, ours in xla_and_numpy(inputs, statements):
        assert_same(xla, ours)


@pytest.mark.parametrize("kind", ["i1", "i8", "ui32", "f32", "f64", "complex<f64>"])
def test_select(kind: str) -> None:
    (operand, lhs), (_, rhs) = arguments(kind, 2)
    some = f"tensor<{len(lhs)}xi1>"
    predicates = np.arange(len(lhs)) % 3 == 0
    everywhere = Statement(f"stablehlo.select %c, %a, %b : {some}, {operand}", operand)
    inputs = [(operand, lhs), (operand, rhs)]
    assert_same(*xla_and_numpy([*inputs, (some, predicates)], [everywhere])[0])
    at_once = Statement(f"stablehlo.select %c, %a, %b : tensor<i1>, {operand}", operand)
    for choice in (True, False):
        predicate = ("tensor<i1>", np.array(choice))
        assert_same(*xla_and_numpy([*inputs, predicate], [at_once])[0])


@pytest.mark.parametrize("kind", ["i8", "ui32", "f16", "f32", "f64"])
def test_clamp(kind: str) -> None:
    (operand, lower), (_, value) = arguments(kind, 2)
    upper = np.roll(value, len(value) // 2 + 3)
    inputs = [(operand, lower), (operand, value), (operand, upper)]
    each = Statement(f"stablehlo.clamp %a, %b, %c : {operand}", operand)
    assert_same(*xla_and_numpy(inputs, [each])[0])
    scalar = f"tensor<{kind}>"
    bounds = [(scalar, np.array(bound, value.dtype)) for bound in (1, 2)]
    inputs = [bounds[0], (operand, value), bounds[1]]
    types = f"({scalar}, {operand}, {scalar}) -> {operand}"
    all_alike = Statement(f"stablehlo.clamp %a, %b, %c : {types}", operand)
    assert_same(*xla_and_numpy(inputs, [all_alike])[0])


@pytest.mark.parametrize("kind", FLOATS)
def test_reduce_precision(kind: str) -> None:
    edge = float_edges(kind)
    with np.errstate(over="ignore"):
        other = np.random.default_rng(3).normal(size=500) * 10.0 ** np.arange(
            -25, 25, 0.1
        )
        values = np.concatenate([edge, other.astype(edge.dtype)])
    # XLA flushes subnormal numbers to zero.
    tiny = np.finfo(edge.dtype).tiny
    values = values[~((values != 0) & (np.abs(values) < tiny))]
    operand = f"tensor<{len(values)}x{kind}>"
    formats = ("e5m10", "e8m7", "e4m3", "e5m2", "e8m23", "e11m52", "e3m0")
    statements = [
        Statement(f"stablehlo.reduce_precision %a, format = {f} : {operand}", operand)
        for f in formats
    ]
    for xla, ours in xla_and_numpy([(operand, values)], statements):
        assert ours.dtype == xla.dtype
        np.testing.assert_array_equal(ours, xla)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("4xf32", "4xi32"),
        ("4xf64", "4xui64"),
        ("2x3xi8", "2x3xui8"),
        ("4xf64", "4x2xi32"),
        ("i32", "4xi8"),
        ("i32", "2xf16"),
        ("3x2xi16", "3xf32"),
        ("4xi8", "i32"),
        ("0x2xi32", "0xf64"),
        ("2xcomplex<f32>", "2xcomplex<f32>"),
        ("3xi1", "3xi1"),
    ],
)
def test_bitcast_convert(source: str, target: str) -> None:
    *shape, kind = source.split("x") if "complex" not in source else ["2", source[2:]]
    dtype = np.dtype(DTYPES[kind])
    sizes = [int(size) for size in shape]
    numbers = np.random.default_rng(5).integers(-100, 100, size=sizes)
    value = np.asarray(numbers * 3.5).astype(dtype)
    operand, result = f"tensor<{source}>", f"tensor<{target}>"
    statement = Statement(
        f"stablehlo.bitcast_convert %a : ({operand}) -> {result}", result
    )
    assert_same(*xla_and_numpy([(operand, value)], [statement])[0])


def test_map() -> None:
    kind = "tensor<3x2xf32>"
    region = """
        ^bb0(%x: tensor<f32>, %y: tensor<f32>):
          %z = stablehlo.add %x, %y : tensor<f32>
          %n = stablehlo.convert %z : (tensor<f32>) -> tensor<i32>
          stablehlo.return %n : tensor<i32>
    """
    types = f"({kind}, {kind}) -> tensor<3x2xi32>"
    text = f"""
      "stablehlo.map"(%a, %b) ({{ {region} }}) {{
        dimensions = array<i64: 0, 1>
      }} : {types}"""
    lhs = np.arange(6, dtype=np.float32).reshape(3, 2)
    inputs = [(kind, lhs), (kind, np.float32(0.6) * lhs)]
    statement = Statement(text, "tensor<3x2xi32>")
    assert_same(*xla_and_numpy(inputs, [statement])[0])


# endregion
# region Shapes


@pytest.mark.parametrize(
    ("operand", "text", "result"),
    [
        ("f64", "broadcast_in_dim %a, dims = []", "2x3xf64"),
        ("3xf32", "broadcast_in_dim %a, dims = [1]", "2x3xf32"),
        ("2xi8", "broadcast_in_dim %a, dims = [0]", "2x3xi8"),
        ("1x3xi32", "broadcast_in_dim %a, dims = [2, 1]", "2x3x4xi32"),
        ("4x3xi32", "broadcast_in_dim %a, dims = [2, 1]", "2x3x4xi32"),
        ("2x3xi32", "broadcast_in_dim %a, dims = [0, 1]", "2x3x4xi32"),
        ("3x4x2xi32", "broadcast_in_dim %a, dims = [1, 2, 0]", "2x3x4xi32"),
        ("0xf64", "broadcast_in_dim %a, dims = [0]", "0x2xf64"),
        ("2x6xf64", "reshape %a", "3x2x2xf64"),
        ("1xi32", "reshape %a", "i32"),
        ("2x3x4xi32", "transpose %a, dims = [2, 0, 1]", "4x2x3xi32"),
        ("i32", "transpose %a, dims = []", "i32"),
        ("5x7xi32", "slice %a [1:4, 0:7:3]", "3x3xi32"),
        ("5x7xi32", "slice %a [2:2, 6:7]", "0x1xi32"),
    ],
)
def test_shapes(operand: str, text: str, result: str) -> None:
    *sizes, kind = operand.split("x")
    shape = [int(size) for size in sizes]
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(DTYPES[kind])
    types = f"(tensor<{operand}>) -> tensor<{result}>"
    statement = Statement(f"stablehlo.{text} : {types}", f"tensor<{result}>")
    assert_same(*xla_and_numpy([(f"tensor<{operand}>", values)], [statement])[0])


def test_concatenate() -> None:
    kinds = ["tensor<2x3xi8>", "tensor<2x1xi8>", "tensor<2x0xi8>"]
    values = [np.full((2, 3), 1, np.int8), np.full((2, 1), -2, np.int8)]
    values.append(np.empty((2, 0), np.int8))
    types = f"({', '.join(kinds)}) -> tensor<2x4xi8>"
    text = f"stablehlo.concatenate %a, %b, %c, dim = 1 : {types}"
    inputs = list(zip(kinds, values, strict=True))
    assert_same(*xla_and_numpy(inputs, [Statement(text, "tensor<2x4xi8>")])[0])


@pytest.mark.parametrize("kind", ["i8", "i32", "ui8", "f32", "f64", "complex<f32>"])
@pytest.mark.parametrize("axis", [0, 1])
def test_iota(kind: str, axis: int) -> None:
    result = f"tensor<3x5x{kind}>"
    text = f"stablehlo.iota dim = {axis} : {result}"
    assert_same(*xla_and_numpy([], [Statement(text, result)])[0])


@pytest.mark.parametrize(
    ("literal", "kind"),
    [
        ("dense<1.5>", "tensor<2x3xf64>"),
        ("dense<[true, false, true]>", "tensor<3xi1>"),
        ("dense<0xFF800000>", "tensor<2xf32>"),
        ("dense<[-1, 127]>", "tensor<2xi8>"),
        ("dense<(1.0, -2.0)>", "tensor<complex<f64>>"),
        ("dense<255>", "tensor<ui8>"),
    ],
)
def test_constant(literal: str, kind: str) -> None:
    statement = Statement(f"stablehlo.constant {literal} : {kind}", kind)
    assert_same(*xla_and_numpy([], [statement])[0])


def test_dynamic_dimensions() -> None:
    kind = "tensor<?x2xf64>"
    value = (kind, np.arange(6.0).reshape(3, 2))
    total = run_one(f"stablehlo.add %a, %b : {kind}", kind, value, value)
    np.testing.assert_array_equal(total, 2 * value[1])


# endregion
# region What it does not do, and how it is changed


@pytest.mark.parametrize("op", ["subtract", "divide", "power", "remainder", *SHIFTS])
def test_no_arithmetic_of_booleans(op: str) -> None:
    pair = ("tensor<2xi1>", np.array([True, False]))
    with pytest.raises(TypeError, match=f"{op} is not defined on i1"):
        run_one(f"stablehlo.{op} %a, %b : {pair[0]}", pair[0], pair, pair)


@pytest.mark.parametrize(
    ("source", "target"), [("1xi1", "1xi8"), ("1xcomplex<f32>", "1xf64")]
)
def test_no_bitcast_of_booleans_and_complex_numbers(source: str, target: str) -> None:
    value = np.zeros(1, DTYPES[source.partition("x")[2]])
    operand, result = f"tensor<{source}>", f"tensor<{target}>"
    with pytest.raises(TypeError, match="no bitcast"):
        run_one(
            f"stablehlo.bitcast_convert %a : ({operand}) -> {result}",
            result,
            (operand, value),
        )


def test_every_elementwise_op_is_implemented() -> None:
    interpreter = interpreter_of("builtin.module {}")
    implemented = set(interpreter._impls._impl_dict)
    folder = "xdsl_jax.dialects.stablehlo.elementwise_"
    elementwise = {
        op for op in hlo.StableHLO.operations if op.__module__.startswith(folder)
    }
    assert len(elementwise) > 45
    assert elementwise <= implemented


@pytest.mark.parametrize("kind", ["i1", "i32", "ui8", "f32", "complex<f64>"])
def test_scalars_are_arrays_too(kind: str) -> None:
    value = edges(kind)[-1:]
    operands = {1: "%a", 2: "%a, %b"}
    for names, count in ((UNARY[kind], 1), (BINARY[kind], 2)):
        for op in names:
            results: list[Array] = []
            for operand, array in (
                (f"tensor<{kind}>", value.reshape(())),
                (f"tensor<1x{kind}>", value),
            ):
                text = f"stablehlo.{op} {operands[count]} : {operand}"
                results.append(run_one(text, operand, *[(operand, array)] * count))
            scalar, vector = results
            assert isinstance(scalar, np.ndarray)
            assert scalar.shape == ()
            assert scalar.dtype == vector.dtype == value.dtype
            np.testing.assert_array_equal(scalar, vector[0])


def test_operands_stay_as_they_are() -> None:
    value = np.arange(4.0)
    value.flags.writeable = False
    kind = "tensor<4xf64>"
    ops: list[Callable[[str], str]] = [
        lambda op: f"stablehlo.{op} %a : {kind}",
        lambda op: f"stablehlo.{op} %a, %a : {kind}",
    ]
    for text, names in zip(ops, (UNARY["f64"], BINARY["f64"]), strict=True):
        for op in names:
            run_one(text(op), kind, (kind, value))
    np.testing.assert_array_equal(value, np.arange(4.0))


@register_impls
class OffByOne(InterpreterFunctions):
    @impl(hlo.NegateOp)
    def run_negate(
        self, interpreter: Interpreter, op: Operation, args: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        return (1 - args[0],)


def test_an_op_can_be_overridden() -> None:
    kind = "tensor<2xf64>"
    text = program([kind], [Statement(f"stablehlo.negate %a : {kind}", kind)])
    interpreter = interpreter_of(text)
    interpreter.register_implementations(OffByOne(), override=True)
    (result,) = interpreter.call_op("main", (np.array([1.0, 2.0]),))
    assert result.tolist() == [0.0, -1.0]


# endregion
