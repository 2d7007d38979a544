"""StableHLO over NumPy agrees with XLA: one program text, both of them run it."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.extend.backend
import numpy as np
import numpy.typing as npt
import pytest
from xdsl.dialects.builtin import TensorType
from xdsl.interpreter import Interpreter, InterpreterFunctions, impl, register_impls
from xdsl.interpreters.func import FuncFunctions
from xdsl.ir import Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.stablehlo import dtype_of
from dialects.text import parse_module

Array = npt.NDArray[Any]

# region One program, two machines


class Statement(NamedTuple):
    """An op over the arguments %a, %b, .. of a program, in MLIR, and its result type."""

    text: str
    result: str


def program(inputs: Sequence[str], statements: Sequence[Statement]) -> str:
    """Write a function that returns the result of every statement."""
    arguments = ", ".join(f"%{'abc'[n]}: {kind}" for n, kind in enumerate(inputs))
    results = ", ".join(statement.result for statement in statements)
    values = ", ".join(f"%r{n}" for n in range(len(statements)))
    body = "\n".join(f"%r{n} = {statement.text}" for n, statement in enumerate(statements))
    return f"""
module @m {{ func.func public @main({arguments}) -> ({results}) {{
{body}
func.return {values} : {results}
}} }}"""


def run_by_xla(text: str, inputs: Sequence[Array]) -> list[Array]:
    backend = jax.extend.backend.get_backend("cpu")
    device = backend.devices()[0]
    executable = backend.compile_and_load(text, (device,))
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

DTYPES = {
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
    small = [0, 1, 2, 3, 5, 7, 8, 9, 16, 31, 33, 63, 64, 65, 100]
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

UNARY_OF_FLOATS = (
    *("abs", "cbrt", "cosine", "exponential", "exponential_minus_one", "log"),
    *("log_plus_one", "logistic", "negate", "rsqrt", "sign", "sine", "sqrt", "tan"),
    "tanh",
)
UNARY_OF_REALS = ("ceil", "floor", "round_nearest_afz", "round_nearest_even")
UNARY = {
    **{kind: (*UNARY_OF_FLOATS, *UNARY_OF_REALS) for kind in FLOATS},
    **{kind: UNARY_OF_FLOATS[1:] for kind in COMPLEXES},
    **{kind: ("count_leading_zeros", "negate", "not", "popcnt") for kind in INTEGERS},
    "i1": ("not",),
}
for signed in ("i8", "i16", "i32", "i64"):
    UNARY[signed] += ("abs", "sign")

BINARY_OF_INTEGERS = (
    *("add", "and", "divide", "maximum", "minimum", "multiply", "or", "power"),
    *("remainder", "shift_left", "shift_right_arithmetic", "shift_right_logical"),
    *("subtract", "xor"),
)
BINARY_OF_FLOATS = (
    *("add", "atan2", "divide", "maximum", "minimum", "multiply", "power"),
    *("remainder", "subtract"),
)
BINARY = {
    **{kind: BINARY_OF_FLOATS for kind in FLOATS},
    **{kind: BINARY_OF_INTEGERS for kind in INTEGERS},
    **{
        kind: ("add", "atan2", "divide", "multiply", "power", "subtract")
        for kind in COMPLEXES
    },
    "i1": ("add", "and", "maximum", "minimum", "multiply", "or", "xor"),
}


@cache
def unary_results(kind: str) -> dict[str, tuple[Array, Array]]:
    inputs = arguments(kind, 1)
    ops = UNARY[kind]
    statements = [Statement(f"stablehlo.{op} %a : {inputs[0][0]}", inputs[0][0]) for op in ops]
    return dict(zip(ops, xla_and_numpy(inputs, statements), strict=True))


@cache
def binary_results(kind: str) -> dict[str, tuple[Array, Array]]:
    inputs = arguments(kind, 2)
    ops = BINARY[kind]
    statements = [Statement(f"stablehlo.{op} %a, %b : {inputs[0][0]}", inputs[0][0]) for op in ops]
    return dict(zip(ops, xla_and_numpy(inputs, statements), strict=True))


@pytest.mark.parametrize(
    ("kind", "op"), [(kind, op) for kind, ops in UNARY.items() for op in ops]
)
def test_unary(kind: str, op: str) -> None:
    assert_same(*unary_results(kind)[op])


@pytest.mark.parametrize(
    ("kind", "op"), [(kind, op) for kind, ops in BINARY.items() for op in ops]
)
def test_binary(kind: str, op: str) -> None:
    assert_same(*binary_results(kind)[op])

# endregion
