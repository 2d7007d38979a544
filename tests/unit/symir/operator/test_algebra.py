"""Sums and multiples of operators, against those of their dense matrices."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FileLineColLoc, NameLoc

import symir as sym
from dialects import sym as ir
from dialects.interpreters.sym import branches, dense_matrix
from symir import (
    DefinitionError,
    SymbolicOperator,
    SymbolicOperatorIR,
    SymbolicOperatorSum,
)
from tests.unit.symir.constructs import CONSTRUCTS

i, j, h = sym.site("i"), sym.site("j"), sym.symbol("h", 0.75)
z = sym.symbol("z", 0.5 - 1j)
SPACE = sym.spin(0.5, 3)


def dense(operator: SymbolicOperator, **parameters: complex) -> Any:
    return dense_matrix(operator.to_ir().module, parameters)


def field(
    name: str = "field",
    amplitude: sym.Expr | complex = -1.0,
    hermitian: bool | None = True,
    **options: Any,
) -> SymbolicOperator:
    builder = sym.DOperator(SPACE, name, hermitian=hermitian, **options)
    return builder.for_each_site("i").emit(sym.flip("i"), amplitude=amplitude).build()


def bonds(name: str = "bonds", **options: Any) -> SymbolicOperator:
    builder = sym.DOperator(SPACE, name, hermitian=True, **options)
    rows = [(0, 1), (1, 2)]
    builder.for_each(("i", "j"), over=rows, data={"J": [0.5, 2.0]}).named("zz")
    return builder.emit(amplitude=i * j * sym.row("J"), tag="diagonal").build()


def reparsed(operator: SymbolicOperator) -> SymbolicOperator:
    """Return the operator of a text, which has no definition."""
    text = operator.to_ir().text()
    return SymbolicOperator.from_ir(SymbolicOperatorIR.from_text(text))


def assert_compiles_to(operator: SymbolicOperator, expected: Any) -> None:
    """Compare the compiled kernel with a matrix, on all configurations."""
    x = operator.space.all_states()
    xp, mels = operator.compile().get_conn_padded(x)
    matrix = np.zeros(expected.shape, operator.dtype)
    columns = (np.asarray(xp)[:, :, None] == x).all(axis=-1).argmax(axis=-1)
    np.add.at(matrix, (np.arange(len(x))[:, None], columns), np.asarray(mels))
    np.testing.assert_allclose(matrix, expected, rtol=1e-6, atol=1e-9)


# region Matrices

ALGEBRA: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "a + b": (lambda a, b: a + b, lambda a, b: a + b),
    "a - b": (lambda a, b: a - b, lambda a, b: a - b),
    "a + a": (lambda a, b: a + a, lambda a, b: 2 * a),
    "-a": (lambda a, b: -a, lambda a, b: -a),
    "a - (b - 2 * a)": (lambda a, b: a - (b - 2 * a), lambda a, b: a - (b - 2 * a)),
    "a / 3 + 1": (lambda a, b: a / 3 + 1, lambda a, b: a / 3 + np.eye(len(a))),
    "2 - h * b": (lambda a, b: 2 - h * b, lambda a, b: 2 * np.eye(len(a)) - 0.75 * b),
    "(a + 1j * b) * 2": (lambda a, b: (a + 1j * b) * 2, lambda a, b: 2 * a + 2j * b),
    "z * a / h - b / 4": (
        lambda a, b: z * a / h - b / 4,
        lambda a, b: (0.5 - 1j) * a / 0.75 - b / 4,
    ),
    "a + z": (lambda a, b: a + z, lambda a, b: a + (0.5 - 1j) * np.eye(len(a))),
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", ALGEBRA)
def test_the_matrix_is_that_of_the_formula(name: str, precision: str) -> None:
    of_operators, of_matrices = ALGEBRA[name]
    a, b = bonds(dtype=precision), reparsed(field(amplitude=h + i, hermitian=None))
    operator = of_operators(a, b)
    expected = of_matrices(dense(a), dense(b))
    np.testing.assert_allclose(dense(operator), expected, rtol=1e-6, atol=1e-12)
    assert_compiles_to(operator, expected)


FACTORS: dict[str, tuple[Any, complex]] = {
    "2": (2, 2),
    "-1/4": (Fraction(-1, 4), -0.25),
    "1j": (1j, 1j),
    "real": (sym.symbol("real"), 1.5),
    "complex": (sym.symbol("complex", dtype="complex128") + 1, 1 + 1.5j),
}


@settings(max_examples=25)
@given(st.sampled_from([*CONSTRUCTS]), st.sampled_from([*FACTORS]), st.booleans())
def test_any_construct_can_be_scaled_and_added(
    name: str, factor: str, is_text: bool
) -> None:
    a = CONSTRUCTS[name](3)
    a = reparsed(a) if is_text else a
    b = _other_on(a.hilbert)
    scalar, value = FACTORS[factor]
    total = scalar * a + b
    own = {symbol.name: 0.5 for symbol in a.symbols}
    values = own | {"real": 1.5, "complex": 1.5j}
    parameters = {symbol.name: values[symbol.name] for symbol in total.symbols}
    with np.errstate(all="ignore"):
        expected = value * dense(a, **own) + dense(b)
        found = dense(total, **parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    text = total.to_ir().text()
    assert SymbolicOperatorIR.from_text(text).text() == text


def _other_on(space: object) -> SymbolicOperator:
    builder = sym.DOperator(space, "other").for_each_pair("i", "j")
    return builder.where(i > j).emit(sym.swap("i", "j"), amplitude=i + 0.5).build()


def test_a_sum_in_parameters_follows_them() -> None:
    t = sym.symbol("t", 2.0)
    operator = h * bonds() + t * field(amplitude=h + 1)
    assert [symbol.name for symbol in operator.symbols] == ["h", "t"]
    expected = 3 * dense(bonds()) + 4 * dense(field())
    np.testing.assert_allclose(dense(operator, h=3, t=-1), expected)
    x = SPACE.all_states()
    _, mels = operator.compile().replace(h=3.0, t=-1.0).get_conn_padded(x)
    _, wanted = (3 * bonds() + 4 * field()).compile().get_conn_padded(x)
    np.testing.assert_allclose(mels, wanted)


def test_lanes_are_those_of_the_left_operand_first() -> None:
    a, b = bonds(), field()
    module = (a + 2 * b).to_ir().module
    lanes = branches(module, np.array([1.0, -1, 1]))
    origins = [(lane.term, lane.row) for lane in lanes]
    assert origins == [("zz", 0), ("zz", 1), ("term0", 0), ("term0", 1), ("term0", 2)]
    assert [lane.amplitude.item() for lane in lanes] == [-0.5, -2, -2, -2, -2]
    assert a.max_conn_size + b.max_conn_size == (a + 2 * b).max_conn_size == 5
    assert (a + a).max_conn_size == 4
    assert (0.0 * a).max_conn_size == 2


# endregion
# region What a combination is


def test_sums_are_flat_and_keep_their_operators() -> None:
    a, b, c = bonds("a"), field("b"), field("c")
    total = 2 * (a - b / 2) + h * c
    assert isinstance(total, SymbolicOperatorSum)
    assert total.operators == (a, b, c)
    two, minus_one, coefficient = total.coefficients
    assert (two, minus_one) == (2, -1)
    assert coefficient is h
    assert type(-a) is type(Fraction(1, 3) * a) is SymbolicOperator
    assert (3 * a) is not a
    assert +a is a


def test_sums_are_made_of_a_list_too() -> None:
    a, b, c = bonds("a"), field("b", amplitude=h, dtype="complex64"), field("c")
    total = SymbolicOperatorSum(sym.spin(0.5, 3), (one for one in (a, 2 * b + c)))
    assert total.operators == (a, b, c)
    assert total.coefficients == (1, 2, 1)
    assert total.name == "a + 2*b + c"
    added = a + (2 * b + c)
    assert type(added) is type(total)
    assert added.to_ir() == total.to_ir()
    assert added.dtype_is_default is total.dtype_is_default is False
    named = SymbolicOperatorSum(SPACE, [a], name="H")
    assert (named.name, named.operators, named.is_hermitian) == ("H", (a,), True)
    assert named.hilbert is (2 * named).named("G").hilbert is SPACE


@pytest.mark.parametrize(
    ("code", "space", "operators"),
    [
        ("D058", SPACE, []),
        ("D058", SPACE, bonds()),
        ("D058", SPACE, [bonds(), 2]),
        ("D031", sym.qubit(3), [bonds()]),
        ("D031", SPACE, [sym.DOperator(sym.qubit(3)).globally().emit().build()]),
        ("D019", SPACE, [bonds()]),
    ],
)
def test_lists_that_have_no_sum(code: str, space: sym.Space, operators: Any) -> None:
    name: Any = 3 if code == "D019" else "sum"
    with pytest.raises(DefinitionError, match=code):
        SymbolicOperatorSum(space, operators, name=name)


def test_the_builtin_sum() -> None:
    operators = [bonds("a"), field("b"), field("c")]
    total = sum(operators)
    assert isinstance(total, SymbolicOperatorSum)
    assert total.operators == (*operators,)
    assert sum(operators[:1]) is operators[0]


def test_numbers_are_multiples_of_the_identity() -> None:
    total = 1.5 - bonds("a")
    assert isinstance(total, SymbolicOperatorSum)
    assert [term.name for term in total.terms] == ["identity", "zz"]
    assert total.coefficients == (1.5, -1)
    np.testing.assert_allclose(dense(total), 1.5 * np.eye(8) - dense(bonds()))
    assert (bonds() + 0.0).max_conn_size == 3  # only the integer 0 is no term


def test_the_fanout_of_a_term_stays() -> None:
    builder = sym.DOperator(SPACE, "a").for_each_site("i").where(i.index == 1)
    a = builder.fanout(1).emit(sym.flip("i")).build()
    total = bonds() - 2 * a
    assert [term.fanout for term in total.terms] == [None, 1]
    assert reparsed(total).terms[1].fanout == 1
    assert total.max_conn_size == 3
    assert_compiles_to(total, dense(bonds()) - 2 * dense(a))


def test_terms_have_names_of_their_own_in_any_grouping() -> None:
    a, b, c = (field(name) for name in "abc")
    left, right = (a + b) + c, a + (b + c)
    assert [term.name for term in left.terms] == ["term0", "term0_1", "term0_2"]
    assert left.terms == right.terms
    assert left.named("H").to_ir() == right.named("H").to_ir()


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (lambda a, b: a + 0.5 * b, "a + 0.5*b"),
        (lambda a, b: -a - (b + 3), "-a - (b + 3)"),
        (lambda a, b: 2 * (a - b) / h, "(2*(a - b))/h"),
        (lambda a, b: Fraction(1, 2) * a + 1j * b, "(1/2)*a + 1j*b"),
        (lambda a, b: (h + 1) * a, "(symbol('h') + 1)*a"),
        (lambda a, b: (a + b).named("H") * 2, "2*H"),
    ],
)
def test_names_can_be_read(operator: Callable[[Any, Any], Any], name: str) -> None:
    combination = operator(field("a"), field("b"))
    assert combination.name == combination.to_ir().operator_name == name


def test_long_names_are_cut() -> None:
    total = sum(field(f"field{k}") for k in range(30))
    assert isinstance(total, SymbolicOperatorSum)
    assert len(total.name) == 60
    assert total.name.startswith("field0 + field1 + ")
    assert total.name.endswith("...")


@pytest.mark.parametrize(
    "make", [field, lambda: reparsed(field()), lambda: 2 * field()]
)
def test_named_changes_the_name_only(make: Callable[[], SymbolicOperator]) -> None:
    operator = make()
    named = operator.named("H")
    assert named.name == named.to_ir().operator_name == "H"
    assert named.named(operator.name).to_ir() == operator.to_ir()
    assert operator.name != "H"
    with pytest.raises(DefinitionError, match="D019"):
        operator.named("")


@pytest.mark.parametrize(
    ("left", "right", "factor", "expected"),
    [
        ("float32", "float32", 1.0, "float32"),
        ("float32", "float64", 1.0, "float64"),
        ("float32", "float32", np.float64(2), "float32"),
        ("float32", "float32", 1j, "complex64"),
        ("float64", "float32", 1j, "complex128"),
        ("complex64", "float32", 2, "complex64"),
        ("complex64", "float64", 2, "complex128"),
        ("float32", "float32", z, "complex64"),
    ],
)
def test_the_dtype_is_the_common_one(
    left: str, right: str, factor: Any, expected: str
) -> None:
    a, b = field(dtype=left), bonds(dtype=right)
    total = factor * a + b
    assert total.dtype == expected
    assert total.to_ir().dtype_str == expected
    assert not total.dtype_is_default
    matrix = dense(total)
    assert matrix.dtype == expected
    value = 0.5 - 1j if factor is z else factor
    np.testing.assert_allclose(matrix, value * dense(a) + dense(b))


def test_a_dtype_is_a_default_where_all_are() -> None:
    assert (2 * field() + bonds() - 1).dtype_is_default
    assert not (field() + bonds(dtype="float64")).dtype_is_default


def test_real_parameters_stay_real_in_a_complex_sum() -> None:
    total = field(amplitude=h) + 1j * bonds()
    assert total.to_ir().parameter_dtypes == (np.dtype("float64"),)


@pytest.mark.parametrize(
    ("operator", "is_hermitian"),
    [
        (lambda a, b: 2 * a - h * a + 1, True),
        (lambda a, b: a + b, False),
        (lambda a, b: 1j * a, False),
        (lambda a, b: a * z, False),
        (lambda a, b: a * abs(z), True),
        (lambda a, b: a + 1j, False),
        (lambda a, b: -b, False),
        (lambda a, b: a @ a, True),
        (lambda a, b: b**3 - b.H, True),
        (lambda a, b: 1j * (1j * a), True),
    ],
)
def test_what_is_known_to_be_hermitian(
    operator: Callable[[Any, Any], Any], is_hermitian: bool
) -> None:
    combination = operator(field(), field(hermitian=False))
    assert combination.is_hermitian is is_hermitian
    assert combination.to_ir().is_hermitian is is_hermitian


class _Hilbert:
    """A discrete Hilbert space of another package."""

    size = 3
    local_states = (-1, 1)


def test_the_hilbert_space_is_that_of_the_first_operand() -> None:
    hilbert = _Hilbert()
    other = sym.DOperator(hilbert).for_each_site("i").emit().build()
    assert (other + field()).hilbert is hilbert
    assert (1 - other * 2).hilbert is hilbert
    assert (field() + other).hilbert is SPACE


@pytest.mark.parametrize(
    "two", [2, 2.0, np.float64(2), np.int8(2), np.array(2.0), jnp.asarray(2.0)]
)
def test_scalars_of_all_kinds_from_both_sides(two: Any) -> None:
    a = field("a")
    for multiple in (two * a, a * two):
        assert type(multiple) is SymbolicOperator
        np.testing.assert_array_equal(dense(multiple), 2 * dense(a))
    np.testing.assert_array_equal(dense(two - a), 2 * np.eye(8) - dense(a))
    np.testing.assert_array_equal(dense(a / two), dense(a) / 2)


def test_combinations_survive_pickling() -> None:
    total = h * bonds() - 2
    copy = pickle.loads(pickle.dumps(total))
    assert copy.to_ir() == total.to_ir()
    assert copy.terms == total.terms


def test_ops_keep_the_place_that_they_come_from() -> None:
    a = field()  # the emission stands in `field`
    total = 3 * a + bonds()
    operator = total.to_ir().module.body.block.first_op
    assert isinstance(operator, ir.OperatorOp)
    for op in operator.walk():
        assert isinstance(op.location, NameLoc)
        assert isinstance(op.location.location, FileLineColLoc)
        assert op.location.location.filename.data == __file__
    emission = operator.terms[0].emissions[0]
    assert isinstance(emission.location, NameLoc)
    assert emission.location.desc.data == "field/term0/emit0"


def test_a_sum_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from symir.operator import algebra

    joined: list[str] = []
    opened = algebra.without_terms
    monkeypatch.setattr(
        algebra,
        "without_terms",
        lambda definition: joined.append(definition.name) or opened(definition),
    )
    operators = [field(f"a{k}") for k in range(40)]
    total = sum(operators[1:], operators[0])
    assert joined == []
    assert total.to_ir() is total.to_ir()
    assert joined == [total.name]


def test_multiples_and_shifts_of_projected_operators_are_projected() -> None:
    chain = sym.fock(2, 3, n_particles=3)
    builder = sym.DOperator(chain, "op", projected=True).for_each_site("i")
    a = builder.emit(sym.shift("i", 1)).emit(amplitude=i).build()
    for total in (2 * a, a - 1, a + a):
        assert total.is_projected
        assert reparsed(total).is_projected
    matrix = dense(a)
    np.testing.assert_allclose(dense(a + 2 * a - 1), 3 * matrix - np.eye(len(matrix)))


# endregion
# region Mistakes


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("D050", lambda a: i * a),
        ("D050", lambda a: a * sym.row("J")),
        ("D050", lambda a: a + sym.site(0).value),
        ("D050", lambda a: sym.sum_(sym.here.value) * a),
        ("D051", lambda a: a / 0),
        ("D051", lambda a: a / 0j),
        ("D013", lambda a: a * float("inf")),
        ("D013", lambda a: a * 1e200 * 1e200),
        ("D013", lambda a: a / 1e-320),
        ("D026", lambda a: sym.symbol("h", 2.0) * a),
        ("D026", lambda a: a - sym.symbol("h", 0.75, dtype="complex128")),
        ("D026", lambda a: a + field(amplitude=sym.symbol("h"))),
        ("D031", lambda a: a + sym.DOperator(sym.qubit(3)).globally().emit().build()),
    ],
)
def test_mistakes_are_reported_where_they_are_made(
    code: str, mistake: Callable[[Any], Any]
) -> None:
    operator = field("tfim", amplitude=h)
    with pytest.raises(DefinitionError) as caught:
        mistake(operator)
    assert caught.value.code == code
    assert caught.value.operator is not None
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_a_number_too_large_for_single_precision() -> None:
    with pytest.raises(DefinitionError, match="D013"):
        _ = 1e300 * field(dtype="float32")


@pytest.mark.parametrize(
    "mistake",
    [
        lambda a: a * a,
        lambda a: a @ 2,
        lambda a: np.eye(8) @ a,
        lambda a: a / a,
        lambda a: 1 / a,
        lambda a: 2**a,
        lambda a: a + "b",
        lambda a: True * a,
        lambda a: np.array([1.0, 2.0]) * a,
        lambda a: a + None,
    ],
)
def test_what_operators_do_not_have_is_a_type_error(
    mistake: Callable[[Any], Any],
) -> None:
    with pytest.raises(TypeError):
        mistake(field())


@pytest.mark.parametrize("order", [1, -1])
def test_one_symbol_in_two_precisions_is_one_parameter(order: int) -> None:
    third = sym.symbol("third", 1 / 3)
    coarse = reparsed(field(amplitude=third, dtype="float32"))
    first, second = (coarse, field(amplitude=third))[::order]
    total = first + second
    assert total.to_ir().defaults == {"third": 1 / 3}


# endregion
