"""The `sym` level in rational numbers, next to the same in floats."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from xdsl.dialects.builtin import ModuleOp

import symir as lang
from dialects import sym
from dialects.interpreters.bt import run_branches
from dialects.interpreters.exact import (
    ExactComplex,
    Fractions,
    NoExactAnswer,
    exact_connections,
)
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import connections, dense_matrix, interpreter_of
from symir.errors import InputError
from symir.models import heisenberg
from symir.validation import exact_connections as checked_connections
from tests.unit.lowering.programs import Program, programs
from tests.unit.symir.constructs import CONSTRUCTS, branch_tensors

Array = npt.NDArray[Any]

i, j = lang.site("i"), lang.site("j")

IRRATIONAL = (
    *("_pair", "_distinct_pair", "_unordered_pair", "_edge", "_edge of a colour"),
    *("_ktuple, ordered", "_ktuple, not distinct", ""),
    " with duplicate and aliasing rows",
)
HAVE_NO_EXACT_ANSWER = {
    *(f"iterator: for_each{kind}" for kind in IRRATIONAL),  # bosons hop with a root
    *("update: shift then shift", "amplitude: ** real", "amplitude: sqrt"),
    *("expression: exp", "expression: log", "expression: sin, cos"),
    *("expression: complex phase", "expression: sqrt of complex"),
    *("expression: log of complex", "expression: where guards"),
    "reduction: complex sum",
}
ARE_ROUNDED = {"reduction: table in a reduction"}


def configurations(module: ModuleOp) -> Array:
    (operator,) = module.ops
    assert isinstance(operator, sym.OperatorOp)
    space = operator.space.data
    return np.array([*itertools.product(*[space.at(k) for k in range(space.sites)])])


def one_amplitude(amplitude: Any, dtype: str = "float64") -> lang.SymbolicOperator:
    operator = lang.DOperator(lang.fock(4, 2), "op", dtype=dtype)
    return operator.globally().emit(amplitude=amplitude).build()


def element(amplitude: Any, dtype: str = "float64", **parameters: float) -> Any:
    module = one_amplitude(amplitude, dtype).to_ir().module
    _, mels = exact_connections(module, [2, 3], parameters)
    return mels.item()


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_exact_is_the_oracle_where_that_does_not_round(name: str) -> None:
    module = CONSTRUCTS[name](3).to_ir().module
    x = configurations(module)
    expected_xp, expected = connections(module, x)
    if name in HAVE_NO_EXACT_ANSWER:
        with pytest.raises(NoExactAnswer):
            exact_connections(module, x)
    inexact = "float" if name in HAVE_NO_EXACT_ANSWER else "error"
    xp, mels = exact_connections(module, x, inexact=inexact)
    kinds = {type(value) for value in (*xp.flat, *mels.flat)}
    assert kinds <= {Fraction, ExactComplex}
    assert (xp == expected_xp).all()
    found = mels.astype(expected.dtype)
    if name in ARE_ROUNDED:
        assert (found != expected).any()
        np.testing.assert_allclose(found, expected, rtol=1e-15, atol=0)
    else:
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=40)
@given(programs(("f64", "complex<f64>")))
def test_random_operators_are_as_in_floats(program: Program) -> None:
    module, x = program.module(), program.configurations
    expected_xp, expected = connections(module, x)
    if not np.isfinite(expected).all():
        return
    xp, mels = exact_connections(module, x, inexact="float")
    assert (xp == expected_xp).all()
    np.testing.assert_allclose(mels.astype(expected.dtype), expected, rtol=1e-14)


# ---- what floats get wrong ----


def test_the_rounding_of_the_oracle_is_found() -> None:
    g = lang.symbol("g", default=0.1)
    operator = one_amplitude(g + 0.2).to_ir().module
    _, rounded = connections(operator, np.zeros(2))
    _, exact = exact_connections(operator, np.zeros(2))
    assert rounded.item() == 0.1 + 0.2
    assert exact.item() == Fraction(0.1) + Fraction(0.2)
    assert exact.item() - Fraction(rounded.item()) == Fraction(-1, 2**55)


def test_a_sum_that_cancels_is_zero() -> None:
    g = lang.symbol("g", default=0.1)
    amplitude = (g + 0.2) - g - 0.2
    _, rounded = connections(one_amplitude(amplitude).to_ir().module, np.zeros(2))
    assert rounded.item() != 0
    assert element(amplitude) == 0


def test_a_comparison_is_not_fooled_by_rounding() -> None:
    g = lang.symbol("g", default=0.1)
    assert element(lang.where(g * 3 == 0.3, 1, 2)) == 2
    assert element(lang.where((i_0() / 3) * 3 == i_0(), 1, 2)) == 1


def i_0() -> lang.Expr:
    return lang.site(0).value


# ---- single ops ----


@pytest.mark.parametrize(
    ("amplitude", "expected"),
    [
        (i_0() / 3, Fraction(2, 3)),
        (i_0() ** -3, Fraction(1, 8)),
        (lang.sqrt(i_0() * i_0() / 9), Fraction(2, 3)),
        ((i_0() * 2) ** 0.5, 2),
        ((i_0() * 2) ** 1.5, 8),
        (lang.exp(i_0() - 2), 1),
        (lang.cos(i_0() - 2) + lang.log(i_0() - 1), 1),
        (lang.sign(0.5 - i_0()), -1),
        (lang.minimum(i_0(), 0.25), Fraction(1, 4)),
        ((i_0() / 3) // 0.5, 1),
        ((-i_0() / 3) % 1, Fraction(1, 3)),
    ],
)
def test_ops_with_an_exact_answer(amplitude: Any, expected: Any) -> None:
    assert element(amplitude) == expected


@pytest.mark.parametrize(
    ("amplitude", "real", "imag"),
    [
        ((1 + 2j) * i_0() / (3 - 1j), Fraction(1, 5), Fraction(7, 5)),
        (lang.sqrt((3 + 4j) * i_0() * 2), 4, 2),
        (lang.sqrt(-1j * i_0()), 1, -1),
        (lang.conj(1j * i_0()) ** 3, 0, 8),
        (abs((3 + 4j) * i_0()) + 0j, 10, 0),
    ],
)
def test_complex_numbers(amplitude: Any, real: Any, imag: Any) -> None:
    assert element(amplitude, "complex128") == ExactComplex(
        Fraction(real), Fraction(imag)
    )


def test_numbers_that_are_not_needed_do_no_harm() -> None:
    assert element(lang.where(i_0() > 2, lang.sqrt(i_0()), 5)) == 5
    assert element(lang.where(i_0() > 2, 1 / (i_0() - 2), 5)) == 5


def test_floats_when_asked() -> None:
    module = one_amplitude(lang.sqrt(i_0()) * 3).to_ir().module
    _, mels = exact_connections(module, [2, 3], inexact="float")
    assert mels.item() == Fraction(2**0.5) * 3
    module = one_amplitude(1 / (i_0() - 2)).to_ir().module
    with pytest.raises(NoExactAnswer):
        exact_connections(module, [2, 3], inexact="float")


def test_x_may_be_what_came_out() -> None:
    module = heisenberg(3, [(0, 1), (1, 2)], J=0.1).to_ir().module
    xp, _ = exact_connections(module, [1, -1, 1])
    again, mels = exact_connections(module, xp)
    assert again.shape == (*xp.shape[:-1], *xp.shape[-2:])
    assert (mels[0] == exact_connections(module, xp[0])[1]).all()


# ---- matrices ----


def exact_dense_matrix(module: ModuleOp) -> Array:
    """Return the matrix <x|O|x'> without rounding."""
    exactly = interpreter_of(module, numbers=Fractions())
    return dense_matrix(module, interpreter=exactly)


@pytest.mark.parametrize("coupling", [0.1, 1 / 3])
def test_heisenberg_is_hermitian_exactly(coupling: float) -> None:
    module = heisenberg(3, [(0, 1), (1, 2), (2, 0)], J=coupling).to_ir().module
    matrix = exact_dense_matrix(module)
    assert (matrix == matrix.T).all()
    np.testing.assert_allclose(matrix.astype(float), dense_matrix(module), rtol=1e-15)
    square = matrix @ matrix
    assert (square == square.T).all()
    assert (square @ matrix == matrix @ square).all()


def test_squared_hopping_elements_of_bosons_are_hermitian_exactly() -> None:
    operator = (
        lang.DOperator(lang.fock(3, 3), "squares")
        .for_each(("i", "j"), over=[(0, 1), (1, 0), (1, 2), (2, 1)])
        .where(i > 0)
        .emit(lang.hop("i", "j"), amplitude=0.1 * i * lang.emitted("j"))
        .build()
    )
    matrix = exact_dense_matrix(operator.to_ir().module)
    assert (matrix == matrix.T).all()
    assert matrix.max() == Fraction(0.1) * 9


def test_a_complex_operator_is_hermitian_exactly() -> None:
    operator = (
        lang.DOperator(lang.qubit(2), "current", dtype="complex128")
        .for_each_site("i")
        .emit(lang.flip("i"), amplitude=(0.1 + 0.3j) * i + (0.1 - 0.3j) * (1 - i))
        .build()
    )
    matrix = exact_dense_matrix(operator.to_ir().module)
    assert (matrix == np.conj(matrix).T).all()
    assert (matrix != matrix.T).any()


# ---- errors ----


def test_an_error_names_the_op_the_term_and_the_line() -> None:
    operator = (
        lang.DOperator(lang.fock(2, 2), "roots")
        .for_each_site("i")
        .named("first")
        .emit(lang.shift("i", -1), amplitude=lang.sqrt(i.value))
        .build()
    )
    with pytest.raises(InputError) as caught:
        checked_connections(operator, [2, 0])
    error = caught.value
    assert (error.code, error.operator, error.term) == ("V007", "roots", "first")
    assert error.location is not None
    assert error.location.file == __file__
    assert "stablehlo.sqrt" in str(error)
    assert "(2)" in str(error)
    checked_connections(operator, [1, 0])


@pytest.mark.parametrize(
    ("code", "x", "options"),
    [
        ("V002", [1, 2, 3], {}),
        ("V002", [1j, 2], {}),
        ("V002", ["1", "2"], {}),
        ("V003", [1, 2], {"parameters": {"h": 1.0}}),
        ("V007", [1, np.nan], {}),
        ("V009", [1, 2], {"inexact": "maybe"}),
    ],
)
def test_what_does_not_fit(code: str, x: Any, options: Any) -> None:
    operator = one_amplitude(lang.symbol("g", default=2) * i_0())
    with pytest.raises(InputError) as caught:
        checked_connections(operator, x, **options)
    assert caught.value.code == code


def test_a_decision_needs_an_answer() -> None:
    operator = one_amplitude(lang.where(lang.exp(i_0()) > 1, 1, 2))
    with pytest.raises(InputError, match="exponential") as caught:
        checked_connections(operator, [2, 0])
    assert caught.value.code == "V007"


def test_no_operator() -> None:
    with pytest.raises(InputError) as caught:
        checked_connections(3, [0])  # pyright: ignore[reportArgumentType]
    assert caught.value.code == "V001"


# ---- the levels below ----


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_every_level_has_the_same_fractions(name: str) -> None:
    operator = CONSTRUCTS[name](3)
    ir = operator.to_ir()
    x = operator.space.all_states().astype(float)
    parameters = [
        np.asarray(ir.defaults[name], dtype)
        for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    ]
    inexact = "float" if name in HAVE_NO_EXACT_ANSWER else "error"
    expected_xp, expected = exact_connections(ir.module, x, inexact=inexact)
    lowered = branch_tensors(name)
    kernel = lang.lower_to_stablehlo(lowered, len(x), "f64")
    numbers = Fractions(inexact)
    for xp, mels in (
        run_branches(lowered, x, parameters, numbers=numbers),
        run_kernel(kernel, [x, *parameters], numbers=numbers),
    ):
        assert (xp == expected_xp).all()
        assert (mels == expected).all()
