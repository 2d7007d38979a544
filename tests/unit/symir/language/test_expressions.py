"""Expressions and predicates: what may be combined with what, and what comes out."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from symir.errors import DefinitionError
from symir.language import abs_, emitted, false, row, site, sqrt, symbol, true
from symir.language.expressions import (
    Apply,
    Compare,
    Constant,
    Expr,
    LocalValue,
    Logical,
    Symbol,
    Truth,
    as_expr,
    postorder,
)

i: Any = site("i")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: i + 1, "(site('i') + 1)"),
        (lambda: 1 + i, "(1 + site('i'))"),
        (lambda: i - 1, "(site('i') - 1)"),
        (lambda: 1 - i, "(1 - site('i'))"),
        (lambda: i * 2, "(site('i') * 2)"),
        (lambda: 2 * i, "(2 * site('i'))"),
        (lambda: i / 2, "(site('i') / 2)"),
        (lambda: 2 / i, "(2 / site('i'))"),
        (lambda: i**2, "(site('i') ** 2)"),
        (lambda: 2**i, "(2 ** site('i'))"),
        (lambda: -i, "-site('i')"),
        (lambda: +i, "site('i')"),
        (lambda: abs(i), "abs(site('i'))"),
        (lambda: abs_(i), "abs(site('i'))"),
        (lambda: sqrt(i), "sqrt(site('i'))"),
        (lambda: sqrt(2), "sqrt(2)"),
        (lambda: i.value, "site('i').value"),
        (lambda: i.index, "site('i').index"),
        (lambda: emitted("j").value, "emitted('j').value"),
        (lambda: symbol("h"), "symbol('h')"),
        (lambda: row("J"), "row('J')"),
        (lambda: i * Fraction(1, 3), "(site('i') * 1/3)"),
        (lambda: i == 1, "(site('i') == 1)"),
        (lambda: i != 1, "(site('i') != 1)"),
        (lambda: i < 1, "(site('i') < 1)"),
        (lambda: i <= 1, "(site('i') <= 1)"),
        (lambda: i > 1, "(site('i') > 1)"),
        (lambda: i >= 1, "(site('i') >= 1)"),
        (lambda: 1 < i, "(site('i') > 1)"),
        (lambda: i == site("j"), "(site('i') == site('j'))"),
        (lambda: (i > 0) & (i < 2), "((site('i') > 0) & (site('i') < 2))"),
        (lambda: (i > 0) | (i < 2), "((site('i') > 0) | (site('i') < 2))"),
        (lambda: ~(i > 0), "~(site('i') > 0)"),
        (lambda: true & (i > 0), "(true & (site('i') > 0))"),
        (lambda: False | (i > 0), "(false | (site('i') > 0))"),
        (lambda: (i > 0) & np.True_, "((site('i') > 0) & true)"),
        (lambda: sum([i, i]), "((0 + site('i')) + site('i'))"),
    ],
)
def test_operators_build_what_they_say(build: Callable[[], object], text: str):
    assert repr(build()) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (-2.5, -2.5),
        (1 + 2j, 1 + 2j),
        (Fraction(2, 7), Fraction(2, 7)),
        (np.int8(-3), -3),
        (np.uint64(2**63), 2**63),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.25), 0.25),
        (np.complex64(2j), 2j),
        (np.array(7), 7),
        (np.array(1.5), 1.5),
        (jnp.asarray(3), 3),
        (jnp.float32(0.5), 0.5),
        (jnp.asarray(1j), 1j),
    ],
)
def test_constants_become_python_numbers(value: Any, number: complex):
    constant = as_expr(value)
    assert isinstance(constant, Constant)
    assert constant.value == number
    assert type(constant.value) is type(number)


@pytest.mark.parametrize(
    "scalar",
    [np.int64(2), np.float32(2), np.complex128(2), np.array(2.0), jnp.float32(2)],
)
@pytest.mark.parametrize(
    ("combine", "function"),
    [
        (lambda a, b: a + b, "add"),
        (lambda a, b: a - b, "sub"),
        (lambda a, b: a * b, "mul"),
        (lambda a, b: a / b, "div"),
        (lambda a, b: a**b, "pow"),
    ],
)
def test_scalars_of_numpy_and_jax_on_the_left(
    scalar: Any, combine: Callable[[Any, Any], Any], function: str
):
    combined = combine(scalar, i)
    assert isinstance(combined, Apply)
    assert combined.function == function
    left, right = combined.arguments
    assert isinstance(left, Constant)
    assert left.value == 2
    assert right is i


@pytest.mark.parametrize(
    ("compare", "direction"),
    [
        (lambda a, b: a == b, "EQ"),
        (lambda a, b: a != b, "NE"),
        (lambda a, b: a < b, "GT"),
        (lambda a, b: a <= b, "GE"),
        (lambda a, b: a > b, "LT"),
        (lambda a, b: a >= b, "LE"),
    ],
)
@pytest.mark.parametrize("scalar", [2, np.int8(2), np.float64(2), jnp.int32(2)])
def test_comparisons_with_scalars_on_the_left(
    scalar: Any, compare: Callable[[Any, Any], Any], direction: str
):
    predicate = compare(scalar, i)
    assert isinstance(predicate, Compare)
    assert predicate.direction == direction
    assert predicate.lhs is i


def test_numpy_booleans_combine_with_predicates_from_the_left():
    predicate: Any = np.True_ & (i > 0)
    assert isinstance(predicate, Logical)
    assert isinstance(predicate.arguments[0], Truth)


def test_nodes_are_told_apart_by_identity():
    other = site("i")
    assert len({i, other, i}) == 2
    assert len({true, false, true}) == 2
    assert i in [i]


def test_nodes_cannot_be_changed():
    with pytest.raises(AttributeError):
        i.label = "j"


def test_a_misspelt_attribute_is_an_error():
    with pytest.raises(AttributeError, match="valu"):
        _ = i.valu


def test_expressions_survive_pickling():
    expression = pickle.loads(pickle.dumps(2 * i + symbol("h", 1.0)))
    assert repr(expression) == "((2 * site('i')) + symbol('h'))"


def test_a_site_as_an_expression_is_its_value():
    source = site("i")
    assert isinstance(source, Expr)
    assert isinstance(source, LocalValue)
    assert (source.label, source.is_emitted) == ("i", False)
    assert (source.value.label, source.value.is_emitted) == ("i", False)
    assert emitted("i").value.is_emitted
    assert emitted("i").index.is_emitted


@pytest.mark.parametrize(
    ("build", "default", "is_complex"),
    [
        (lambda: symbol("h"), None, False),
        (lambda: symbol("h", default=2), 2.0, False),
        (lambda: symbol("h", default=Fraction(1, 4)), 0.25, False),
        (lambda: symbol("h", default=np.float32(0.5)), 0.5, False),
        (lambda: symbol("h", default=1j), 1j, True),
        (lambda: symbol("h", dtype="complex64"), None, True),
        (lambda: symbol("h", default=1.0, dtype=complex), 1.0, True),
        (lambda: symbol("h", default=1.0, dtype=jnp.float32), 1.0, False),
    ],
)
def test_symbols(
    build: Callable[[], Symbol], default: complex | None, is_complex: bool
):
    declared = build()
    assert declared.default == default
    assert type(declared.default) is type(default)
    assert declared.is_complex is is_complex


def test_a_symbol_keeps_its_documentation():
    assert symbol("h", doc="the field").doc == "the field"


def test_postorder_visits_shared_parts_once_and_children_first():
    shared = i + 1
    order = postorder(shared * shared)
    assert [repr(node) for node in order] == [
        "site('i')",
        "1",
        "(site('i') + 1)",
        "((site('i') + 1) * (site('i') + 1))",
    ]


def test_postorder_is_linear_where_sharing_is_deep():
    expression = i
    for _ in range(500):
        expression = expression * expression
    assert len(postorder(expression)) == 501


def test_long_and_shared_expressions_have_short_texts():
    expression = i
    for _ in range(5000):
        expression = expression + expression
    assert "..." in repr(expression)
    assert len(repr(expression)) < 1000


def _raises(code: str, action: Callable[[], object]) -> str:
    with pytest.raises(DefinitionError) as caught:
        action()
    assert caught.value.code == code
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    return str(caught.value)


@pytest.mark.parametrize(
    "action",
    [
        lambda: bool(i > 0),
        lambda: 1 < i < 3,
        lambda: (i > 0) and (i < 3),
        lambda: not (i > 0),
        lambda: i in [1, 2],
    ],
)
def test_python_cannot_decide_predicates(action: Callable[[], object]):
    message = _raises("D020", action)
    assert "use & | ~ instead of and, or, not" in message
    assert "(1 < x) & (x < 3)" in message


def test_python_cannot_decide_expressions():
    assert "site('i') != 0" in _raises("D020", lambda: bool(i))


@pytest.mark.parametrize(
    "action",
    [
        lambda: i & (i > 0),
        lambda: (i > 0) & i,
        lambda: (i > 0) | 1,
        lambda: 1 & (i > 0),
        lambda: i > 0 & i,  # pyright: ignore
        lambda: ~i,
        lambda: i ^ i,
        lambda: (i > 0) & None,
    ],
)
def test_only_predicates_are_combined(action: Callable[[], object]):
    _raises("D016", action)


@pytest.mark.parametrize(
    "action",
    [
        lambda: i + (i > 0),
        lambda: (i > 0) + 1,
        lambda: 2 * (i > 0),
        lambda: -(i > 0),
        lambda: abs(i > 0),
        lambda: (i > 0) == (i > 1),
        lambda: (i > 0) != true,
        lambda: (i > 0) ^ (i > 1),
        lambda: (i > 0) < 1,
        lambda: i * True,
        lambda: i * np.True_,
        lambda: i + "1",
        lambda: i + None,
        lambda: i == None,  # noqa: E711
        lambda: [1] * i,
        lambda: i * np.array([1.0, 2.0]),
        lambda: np.array([1.0, 2.0]) * i,
        lambda: np.array("2024-01-01", "M8[D]") + i,
        lambda: sqrt("2"),  # pyright: ignore[reportArgumentType]
        lambda: i + sqrt,
        lambda: symbol("h", default="1"),  # pyright: ignore[reportArgumentType]
        lambda: symbol("h", default=True),
    ],
)
def test_what_is_no_expression(action: Callable[[], object]):
    _raises("D015", action)


def test_hints_name_what_was_meant():
    assert "symbol('h')" in _raises("D015", lambda: i * "h")
    assert "pass the expression itself" in _raises("D015", lambda: i * sqrt)
    assert "data={..}" in _raises("D015", lambda: i * np.ones(3))
    assert "where" in _raises("D015", lambda: i * (i > 0))


def test_what_jax_traces_is_no_constant():
    import jax

    def traced(h: Any) -> Any:
        message = _raises("D015", lambda: h * i)
        assert "make it a parameter" in message
        return h

    jax.jit(traced)(1.0)


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        float("nan"),
        complex(0, float("nan")),
        np.float32("inf"),
        np.array(np.nan),
        jnp.inf,
        10**400,
        pytest.param(10**5000, id="too long to print"),
        Fraction(10**400, 3),
    ],
)
def test_constants_are_finite(value: Any):
    _raises("D013", lambda: i + value)
    _raises("D013", lambda: symbol("h", default=value))


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\ud800"])
@pytest.mark.parametrize("selector", [site, emitted, symbol, row])
def test_names_are_printable_strings(selector: Callable[[Any], object], name: Any):
    _raises("D019", lambda: selector(name))


@pytest.mark.parametrize("name", [3, None, b"i"])
@pytest.mark.parametrize("selector", [symbol, row])
def test_names_are_no_other_objects(selector: Callable[[Any], object], name: Any):
    _raises("D019", lambda: selector(name))


@pytest.mark.parametrize("place", [None, b"i", [0], i > 0])
@pytest.mark.parametrize("selector", [site, emitted])
def test_sites_are_labels_or_numbers(selector: Callable[[Any], object], place: Any):
    _raises("D015", lambda: selector(place))


@pytest.mark.parametrize("place", [1.5, 1j, i, emitted("i"), site(2)])
@pytest.mark.parametrize("selector", [site, emitted])
def test_numbers_of_sites_are_whole(selector: Callable[[Any], object], place: Any):
    _raises("D036", lambda: selector(place))


def test_a_symbol_of_a_real_dtype_has_a_real_default():
    message = _raises("D012", lambda: symbol("h", default=1j, dtype="float64"))
    assert "complex default" in message
    _raises("D025", lambda: symbol("h", dtype="int8"))
