"""Properties: expressions mean what Python means, and only our errors are raised."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialects.interpreters.sym import branches
from symir.errors import DefinitionError
from symir.language import (
    DOperator,
    Expr,
    Predicate,
    emitted,
    false,
    identity,
    row,
    shift,
    site,
    sqrt,
    symbol,
    true,
    write,
)
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import space

SITES = 3
SPACE = space([-1.5, 0, 0.5, 1, 2], SITES)
LABELS = ("i", "j")
PAIRS = [(a, b) for a in range(SITES) for b in range(SITES)]
DATA = [0.25 * k - 1 for k in range(len(PAIRS))]
FIELD = 0.75


@dataclass
class Row:
    """What a row of the term sees."""

    x: list[float]
    y: list[float]
    sites: dict[str, int]
    data: float


class Meant(NamedTuple):
    """Something of the language, and what it means in Python."""

    written: Any
    value: Callable[[Row], Any]


# region Strategies


def _source(label: str) -> Meant:
    return Meant(site(label), lambda at: at.x[at.sites[label]])


def _number_of(label: str) -> Meant:
    return Meant(site(label).index, lambda at: at.sites[label])


def _emitted(label: str) -> Meant:
    return Meant(emitted(label).value, lambda at: at.y[at.sites[label]])


def _constant(value: float) -> Meant:
    return Meant(value, lambda _: value)


LEAVES = [
    *map(_source, LABELS),
    *map(_number_of, LABELS),
    Meant(row("J"), lambda at: at.data),
    Meant(symbol("h", FIELD), lambda _: FIELD),
]
BINARY: list[Callable[[Any, Any], Any]] = [operator.add, operator.sub, operator.mul]


def _binary(function: Callable[[Any, Any], Any], lhs: Meant, rhs: Meant) -> Meant:
    return Meant(
        function(lhs.written, rhs.written),
        lambda at: function(lhs.value(at), rhs.value(at)),
    )


def _unary(function: Callable[[Any], Any], operand: Meant) -> Meant:
    return Meant(function(operand.written), lambda at: function(operand.value(at)))


def _exact(leaves: list[Meant]) -> st.SearchStrategy[Meant]:
    """Expressions that doubles compute without rounding."""
    constants = st.integers(-3, 3).map(_constant)
    selected = st.sampled_from(leaves)

    def grow(smaller: st.SearchStrategy[Meant]) -> st.SearchStrategy[Meant]:
        return (
            st.builds(_binary, st.sampled_from(BINARY), smaller, smaller | constants)
            | st.builds(_binary, st.sampled_from(BINARY), constants, smaller)
            | st.builds(_unary, st.sampled_from([operator.neg, abs]), smaller)
        )

    return st.recursive(selected, grow, max_leaves=6)


def _root(lhs: Meant) -> Meant:
    return Meant(
        sqrt(abs(lhs.written)) / (1 + lhs.written**2),
        lambda at: math.sqrt(abs(lhs.value(at))) / (1 + lhs.value(at) ** 2),
    )


AMPLITUDES = st.builds(
    _binary,
    st.sampled_from(BINARY),
    _exact([*LEAVES, *map(_emitted, LABELS)]),
    _exact(LEAVES).map(_root),
)
COMPARISONS: list[Callable[[Any, Any], Any]] = [
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


def _not(operand: Meant) -> Meant:
    return Meant(~operand.written, lambda at: not operand.value(at))


PREDICATES = st.recursive(
    st.builds(_binary, st.sampled_from(COMPARISONS), _exact(LEAVES), _exact(LEAVES)),
    lambda smaller: (
        st.builds(
            _binary, st.sampled_from([operator.and_, operator.or_]), smaller, smaller
        )
        | smaller.map(_not)
    ),
    max_leaves=4,
)


class Change(NamedTuple):
    """A step of an update, and what it does to the configuration at hand."""

    append: Callable[[Any], Any]
    apply: Callable[[Row], None]


def _write(label: str, value: Meant) -> Change:
    def apply(at: Row) -> None:
        at.y[at.sites[label]] = value.value(at)

    return Change(lambda chain: chain.write(label, value.written), apply)


def _shift(label: str, amount: Meant) -> Change:
    def apply(at: Row) -> None:
        at.y[at.sites[label]] += amount.value(at)

    return Change(lambda chain: chain.shift(label, amount.written), apply)


def _swap(a: str, b: str) -> Change:
    def apply(at: Row) -> None:
        first, second = at.sites[a], at.sites[b]
        at.y[first], at.y[second] = at.y[second], at.y[first]

    return Change(lambda chain: chain.swap(a, site(b)), apply)


CHANGES = st.lists(
    st.builds(_write, st.sampled_from(LABELS), _exact(LEAVES))
    | st.builds(_shift, st.sampled_from(LABELS), _exact(LEAVES))
    | st.builds(_swap, st.sampled_from(LABELS), st.sampled_from(LABELS)),
    max_size=3,
)
CONFIGURATIONS = st.lists(
    st.sampled_from(SPACE.local_states[0]), min_size=SITES, max_size=SITES
)

# endregion


@given(CONFIGURATIONS, PREDICATES, CHANGES, AMPLITUDES)
@settings(max_examples=60)
def test_operators_mean_what_python_means(
    x: list[float], predicate: Meant, changes: list[Change], amplitude: Meant
):
    update = identity()
    for change in changes:
        update = change.append(update)
    built = (
        DOperator(SPACE)
        .for_each(LABELS, over=PAIRS, data={"J": DATA})
        .where(predicate.written)
        .emit(update, amplitude=amplitude.written)
        .build()
    )
    for branch in branches(built.to_ir().module, x):
        sites: dict[str, int] = dict(zip(LABELS, PAIRS[branch.row], strict=True))
        at = Row(x, list(x), sites, DATA[branch.row])
        for change in changes:
            change.apply(at)
        stays = all(value in SPACE.local_states[0] for value in at.y)
        assert branch.valid == (stays and predicate.value(at))
        if branch.valid:
            assert branch.config.tolist() == at.y
            assert branch.amplitude == pytest.approx(amplitude.value(at), rel=1e-12)


@given(PREDICATES, CHANGES, AMPLITUDES, st.sampled_from(["float32", "complex128"]))
@settings(max_examples=40)
def test_operators_survive_their_text(
    predicate: Meant, changes: list[Change], amplitude: Meant, dtype: str
):
    update = identity()
    for change in changes:
        update = change.append(update)
    built = (
        DOperator(SPACE, dtype=dtype)
        .for_each(LABELS, over=PAIRS, data={"J": DATA})
        .where(predicate.written)
        .emit(update, amplitude=amplitude.written)
        .build()
    )
    _check_round_trip(built.to_ir())


@given(st.floats(allow_nan=False, allow_infinity=False), st.complex_numbers())
def test_constants_survive_their_text(real: float, number: complex):
    builder = DOperator(SPACE, dtype=complex).globally().emit(amplitude=real)
    if math.isfinite(number.real) and math.isfinite(number.imag):
        builder.emit(amplitude=number)
    else:
        with pytest.raises(DefinitionError, match="D013"):
            builder.emit(amplitude=number)
    _check_round_trip(builder.build().to_ir())


LETTERS = st.one_of(st.sampled_from('"\\ \na_0%@\u00e9\u03bb'), st.characters())
"""What a printer escapes comes often: `text` would draw from all characters alike."""


def texts(fewest: int, most: int) -> st.SearchStrategy[str]:
    return st.lists(LETTERS, min_size=fewest, max_size=most).map("".join)


@settings(max_examples=50)
@given(texts(1, 4), texts(0, 3))
@example('a"', "\\")
def test_names_are_kept_or_refused(name: str, tag: str):
    def build() -> SymbolicOperatorIR:
        return (
            DOperator(SPACE, name)
            .for_each([name, "other"], over=[(0, 1)], data={name: [1.0]})
            .named(name)
            .emit(write(name, 1), amplitude=symbol(name, 1) * row(name), tag=tag)
            .build()
            .to_ir()
        )

    if not all(text.strip() and text.isprintable() for text in (name, tag)):
        with pytest.raises(DefinitionError, match="D019"):
            build()
        return
    ir = build()
    assert (ir.operator_name, ir.free_symbols) == (name, (name,))
    _check_round_trip(ir)


def _check_round_trip(ir: SymbolicOperatorIR) -> None:
    text = ir.text()
    parsed = SymbolicOperatorIR.from_text(text)
    assert parsed.text() == text
    assert parsed == ir


# region Abuse

EXPRESSIONS: list[Any] = [
    site("i"),
    site("j").index,
    row("J"),
    symbol("h", 1.0),
    0,
    1.5,
]
OTHERS: list[Any] = [
    emitted("j"),
    symbol("z", 1j),
    site("i") > 0,
    true,
    false,
    write("i", 1),
    1j,
    10**400,
    math.nan,
    True,
    np.float32(2),
    np.ones(2),
    np.array(3),
    "i",
    "",
    None,
    [1],
    len,
]
OPERATORS: list[Callable[[Any, Any], Any]] = [
    *BINARY,
    operator.truediv,
    operator.pow,
    operator.and_,
    operator.or_,
    *COMPARISONS,
]
things = st.recursive(
    st.sampled_from(EXPRESSIONS)
    | st.sampled_from(EXPRESSIONS)
    | st.sampled_from(OTHERS),
    lambda smaller: st.tuples(st.sampled_from(OPERATORS), smaller, smaller),
    max_leaves=5,
)

conditions = st.just(true) | st.tuples(st.sampled_from(COMPARISONS), things, things)


def _evaluate(thing: Any) -> Any:
    """Apply operators of the language; leave out those of Python and NumPy alone."""
    if not isinstance(thing, tuple):
        return thing
    function, lhs, rhs = thing[0], _evaluate(thing[1]), _evaluate(thing[2])
    if not any(isinstance(side, Expr | Predicate) for side in (lhs, rhs)):
        return lhs
    return function(lhs, rhs)


@given(conditions, things, things, st.sampled_from(["float32", "complex64"]))
@settings(max_examples=150)
def test_whatever_is_written_either_translates_or_is_our_error(
    predicate: Any, value: Any, amplitude: Any, dtype: str
):
    with contextlib.suppress(DefinitionError):
        ir = (
            DOperator(SPACE, dtype=dtype)
            .for_each(LABELS, over=PAIRS, data={"J": DATA})
            .where(_evaluate(predicate))
            .emit(shift("i", _evaluate(value)), amplitude=_evaluate(amplitude))
            .build()
            .to_ir()
        )
        _check_round_trip(ir)


@given(things, things, things)
def test_whatever_iterates_either_opens_a_term_or_is_our_error(
    labels: Any, over: Any, data: Any
):
    with contextlib.suppress(DefinitionError):
        builder = DOperator(SPACE).for_each(
            _evaluate(labels), _evaluate(over), {"J": _evaluate(data)}
        )
        assert builder.emit().build().max_conn_size >= 1


# endregion
