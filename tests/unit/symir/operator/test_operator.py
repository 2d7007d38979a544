"""Symbolic operators: what builders and texts become."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from symir.errors import DefinitionError
from symir.language import DOperator, shift, site, symbol
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import fock, qubit
from symir.operator.symbolic_operator import SymbolicOperator


def _operator() -> SymbolicOperator:
    return (
        DOperator(fock(2, 3), "op", dtype="complex64", hermitian=True)
        .for_each(("i", "j"), over=[(0, 1), (1, 2)])
        .where(site("i") > 0)
        .emit(shift("i", -1).shift("j", 1), amplitude=symbol("t", 1.0), tag="hop")
        .emit()
        .globally()
        .named("shift")
        .emit(amplitude=1j)
        .build()
    )


def test_operators_cannot_be_changed():
    operator: Any = _operator()
    with pytest.raises(AttributeError):
        operator.name = "other"


def test_operators_are_translated_once():
    operator = _operator()
    assert operator.to_ir() is operator.to_ir()


def test_an_operator_from_its_ir_says_the_same():
    operator = _operator()
    ir = SymbolicOperatorIR.from_text(operator.to_ir().text())
    parsed = SymbolicOperator.from_ir(ir)
    assert parsed.to_ir() is ir
    assert parsed.name == operator.name
    assert parsed.dtype == operator.dtype == np.complex64
    assert parsed.is_hermitian
    assert parsed.space == operator.space
    assert parsed.terms == operator.terms
    assert parsed.max_conn_size == operator.max_conn_size == ir.max_conn_size == 5
    assert not parsed.dtype_is_default
    assert repr(parsed) == repr(operator).replace("fock(2, 3)", "space([0, 1, 2], 3)")


def test_labels_that_the_text_cannot_hold_are_made_up():
    builder = DOperator(qubit(2)).for_each(("1", "k"), over=[(0, 1)]).emit()
    ir = SymbolicOperatorIR.from_text(builder.build().to_ir().text())
    assert SymbolicOperator.from_ir(ir).terms[0].labels == ("s0", "k")


class _Hilbert:
    """A discrete Hilbert space of another package."""

    size = 3
    local_states = (0, 1, 2)


def test_an_operator_from_ir_can_be_given_a_space():
    hilbert = _Hilbert()
    ir = _operator().to_ir()
    assert SymbolicOperator.from_ir(ir, hilbert).hilbert is hilbert
    assert SymbolicOperator.from_ir(ir).hilbert == fock(2, 3)


def test_a_space_of_other_configurations_is_an_error():
    with pytest.raises(DefinitionError, match="D031") as caught:
        SymbolicOperator.from_ir(_operator().to_ir(), fock(3, 3))
    assert caught.value.operator == "op"
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_operators_survive_pickling():
    operator = _operator()
    operator.to_ir()
    copy = pickle.loads(pickle.dumps(operator))
    assert copy.to_ir() == operator.to_ir()
    assert copy.terms == operator.terms


def test_what_only_comes_after_a_call():
    operator, builder = _operator(), DOperator(qubit(2), "flips").globally().emit()
    for early, attribute, call in (
        (operator, "get_conn_padded", "compile()"),
        (operator + operator, "to_dense", "compile()"),
        (builder, "compile", "build()"),
        (builder, "H", "build()"),
        (builder, "replace", "build().compile()"),
    ):
        with pytest.raises(DefinitionError) as caught:
            getattr(early, attribute)
        error = caught.value
        assert error.code == "D087"
        assert error.message == f".{attribute} comes after .{call}"
        assert error.location is not None
        assert error.location.file == __file__
        assert not hasattr(early, attribute)
    for early in (operator, builder):
        with pytest.raises(AttributeError, match="nothing"):
            getattr(early, "nothing")
