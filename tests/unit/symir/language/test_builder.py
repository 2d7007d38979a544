"""The builder: iterators, names, and what a definition becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from symir.language import (
    DOperator,
    emitted,
    identity,
    row,
    shift,
    site,
    symbol,
    true,
    write,
)
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import as_space, fock, qubit, spin


@pytest.mark.parametrize(
    ("opened", "labels", "rows"),
    [
        (lambda b: b.globally(), (), [[]]),
        (lambda b: b.for_each_site(), ("i",), [[0], [1], [2]]),
        (lambda b: b.for_each_site("s"), ("s",), [[0], [1], [2]]),
        (
            lambda b: b.for_each_pair(),
            ("i", "j"),
            [[a, c] for a in range(3) for c in range(3)],
        ),
        (
            lambda b: b.for_each_distinct_pair("a", "b"),
            ("a", "b"),
            [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]],
        ),
        (lambda b: b.for_each_unordered_pair(), ("i", "j"), [[0, 1], [0, 2], [1, 2]]),
        (lambda b: b.for_each("ij", over=[0, 2]), ("ij",), [[0], [2]]),
        (lambda b: b.for_each(["i"], over=[(0,), (2,)]), ("i",), [[0], [2]]),
        (
            lambda b: b.for_each((f"s{k}" for k in range(2)), over=[(2, 1), (2, 1)]),
            ("s0", "s1"),
            [[2, 1], [2, 1]],
        ),
        (
            lambda b: b.for_each(("i", "j"), over=jnp.array([[0, 1], [2, 0]])),
            ("i", "j"),
            [[0, 1], [2, 0]],
        ),
    ],
)
def test_iterators(
    opened: Callable[[DOperator], DOperator], labels: tuple[str, ...], rows: list[Any]
):
    operator = opened(DOperator(qubit(3))).emit().build()
    (term,) = operator.terms
    assert term.labels == labels
    assert [list(entry) for entry in term.rows] == rows
    assert operator.max_conn_size == len(rows)
    assert operator.to_ir().term_count == 1


@pytest.mark.parametrize(
    "opened",
    [
        lambda b: b.for_each_distinct_pair(),
        lambda b: b.for_each_unordered_pair(),
    ],
)
def test_one_site_has_no_pairs(opened: Callable[[DOperator], DOperator]):
    operator = opened(DOperator(qubit(1))).emit().build()
    assert operator.max_conn_size == 0
    assert operator.terms[0].rows.labels == 2
    assert operator.to_ir().max_conn_size == 0


def test_every_method_returns_the_builder():
    builder = DOperator(qubit(3))
    assert builder.for_each_site("i") is builder
    assert builder.named("a") is builder
    assert builder.where(site("i") > 0) is builder
    assert builder.emit() is builder


def test_defaults():
    operator = DOperator(qubit(2)).globally().emit().build()
    assert operator.name == "operator"
    assert operator.dtype == np.float64
    assert operator.dtype_is_default
    assert operator.declared_hermitian is None
    assert operator.terms[0].tags == (None,)


@pytest.mark.parametrize(
    "dtype", ["float64", np.complex64, jnp.float32, np.dtype(float), "complex128"]
)
def test_a_stated_dtype_is_no_default(dtype: Any):
    operator = DOperator(qubit(2), dtype=dtype).globally().emit().build()
    assert operator.dtype == np.dtype(dtype)
    assert not operator.dtype_is_default
    assert operator.to_ir().dtype_str == operator.dtype.name


@pytest.mark.parametrize("dtype", [float, complex, "float", "complex"])
def test_a_kind_of_numbers_leaves_their_precision_open(dtype: Any):
    operator = DOperator(qubit(2), dtype=dtype).globally().emit().build()
    assert operator.dtype == np.dtype(dtype)
    assert operator.dtype_is_default


def test_the_claim_of_hermiticity_is_kept():
    operator = DOperator(qubit(2), hermitian=True).globally().emit().build()
    assert operator.declared_hermitian is operator.is_hermitian is True
    assert operator.to_ir().declared_hermitian is True


def test_what_is_declared_not_to_be_hermitian_stays_so():
    operator = DOperator(qubit(2), hermitian=False).globally().emit().build()
    assert operator.declared_hermitian is operator.is_hermitian is False
    ir = operator.to_ir()
    assert " element f64 not_hermitian {" in ir.text()
    assert SymbolicOperatorIR.from_text(ir.text()).declared_hermitian is False
    assert operator.H.is_hermitian is operator.compile().is_hermitian is False


class _Hilbert:
    """A discrete Hilbert space of another package."""

    size = 3
    local_states = (1, -1)


def test_other_hilbert_spaces_are_accepted_and_kept():
    hilbert = _Hilbert()
    operator = DOperator(hilbert).globally().emit().build()
    assert operator.hilbert is hilbert
    assert operator.space == as_space(hilbert) == spin(0.5, 3)
    assert operator.to_ir().space == operator.space


def _names(builder: DOperator) -> list[str]:
    return [term.name for term in builder.build().terms]


def test_terms_are_named_by_their_place():
    builder = DOperator(qubit(2))
    for _ in range(3):
        builder.globally().emit()
    assert _names(builder) == ["term0", "term1", "term2"]


def test_named_renames_the_open_term_at_any_time():
    builder = DOperator(qubit(2)).globally().named("a").emit().named("b")
    assert _names(builder) == ["b"]


def test_default_names_give_way_to_names_of_users():
    builder = DOperator(qubit(2)).globally().named("term1").emit().globally().emit()
    assert _names(builder) == ["term1", "term1_"]
    builder = DOperator(qubit(2)).globally().emit().globally().named("term0").emit()
    assert _names(builder) == ["term0_", "term0"]
    assert _names(builder.globally().emit().named("term0_")) == [
        "term0__",
        "term0",
        "term0_",
    ]


def test_a_term_may_keep_its_default_name_on_purpose():
    builder = DOperator(qubit(2)).globally().named("term0").named("term0").emit()
    assert _names(builder) == ["term0"]


def test_emissions_and_tags():
    operator = (
        DOperator(fock(2, 3))
        .for_each_site("i")
        .emit(shift("i", 1), amplitude=2, tag="up")
        .emit(identity())
        .emit(None, tag="up")
        .build()
    )
    assert operator.terms[0].tags == ("up", None, "up")
    assert operator.terms[0].size == 9
    assert operator.max_conn_size == 9


def test_a_builder_can_be_used_further():
    builder = DOperator(qubit(2)).globally().emit()
    first = builder.build()
    second = builder.for_each_site("i").emit().build()
    assert [operator.max_conn_size for operator in (first, second)] == [1, 3]


def test_expressions_belong_to_no_operator():
    amplitude = symbol("h", 1.0) * site("i")
    built = [
        DOperator(qubit(n)).for_each_site("i").emit(amplitude=amplitude).build()
        for n in (2, 3)
    ]
    assert [operator.max_conn_size for operator in built] == [2, 3]


def test_symbols_are_in_the_order_of_first_use():
    a, b, c, d = (symbol(name, 1.0) for name in "abcd")
    operator = (
        DOperator(qubit(2))
        .for_each_site("i")
        .where(site("i") > d)
        .emit(write("i", c * b), amplitude=b + a)
        .build()
    )
    assert operator.to_ir().free_symbols == ("d", "c", "b", "a")


def test_the_same_symbol_may_be_declared_twice_alike():
    amplitude = symbol("h", 1) + symbol("h", 1.0, doc="the field")
    operator = DOperator(qubit(2)).globally().emit(amplitude=amplitude).build()
    assert operator.to_ir().defaults == {"h": 1.0}


def test_booleans_are_predicates():
    builder = DOperator(qubit(2)).for_each_site("i").where(True).where(np.False_)
    assert builder.where(true).emit().build().max_conn_size == 2


def test_data_may_share_a_name_with_a_label():
    operator = (
        DOperator(qubit(3))
        .for_each("i", over=[0, 2], data={"i": [1, 2], "unused": (0, 0)})
        .emit(amplitude=row("i") * emitted("i").value)
        .build()
    )
    assert operator.to_ir().term_count == 1


def test_texts():
    builder = DOperator(spin(0.5, 4), "tfim", hermitian=True).globally().emit()
    assert repr(builder) == (
        "DOperator(spin(1/2, 4), 'tfim', dtype=float64, hermitian=True, "
        "terms=['term0'])"
    )
    assert repr(builder.build()) == (
        "SymbolicOperator('tfim', spin(1/2, 4), dtype=float64, hermitian=True, "
        "terms=1, max_conn_size=1)"
    )
