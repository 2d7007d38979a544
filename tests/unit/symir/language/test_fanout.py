"""`fanout(k)`: a promise that compacts, and that cannot drop a branch in silence."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import branches, connections

i, j = sym.site("i"), sym.site("j")

SPACE = sym.fock(2, 4)


def hops(fanout: int | None, *, dtype: str = "float64") -> sym.SymbolicOperator:
    """A term with 24 branches, half of them diagonal, and one without a promise."""
    builder = (
        sym.DOperator(SPACE, "hops", dtype=dtype)
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 2))
        .emit(sym.hop("i", "j"), amplitude=i + 10 * j + 0.1 * i.index)
        .emit(amplitude=2.0)
    )
    if fanout is not None:
        builder = builder.fanout(fanout)
    return builder.for_each_site("i").emit(sym.shift_mod("i", 1)).build()


def reference(
    operator: sym.SymbolicOperator, x: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return connections(operator.to_ir().module, x)


@pytest.mark.parametrize(
    ("fanout", "dtype"),
    [
        *((fanout, "float64") for fanout in (1, 2, 5, 12, 23, 24, 25, 1000)),
        *((fanout, "complex64") for fanout in (1, 12, 25)),
    ],
)
def test_is_what_the_reference_interpreter_says(fanout: int, dtype: str):
    operator = hops(fanout, dtype=dtype)
    x = SPACE.all_states()
    xp, mels = reference(operator, x)
    found_xp, found_mels = operator.compile().get_conn_padded(x)
    assert xp.shape[1] == operator.max_conn_size == min(fanout, 24) + 4
    np.testing.assert_array_equal(found_xp, xp)
    precision = np.finfo(mels.dtype).eps
    np.testing.assert_allclose(found_mels, mels, rtol=8 * precision)


def test_a_kept_promise_loses_no_branch_and_keeps_their_order():
    wide, narrow = hops(None), hops(12)
    for x in SPACE.all_states():
        valid = [b for b in branches(wide.to_ir().module, x) if b.valid]
        if sum(branch.term == "term0" for branch in valid) > 12:
            continue
        xp, mels = narrow.compile().get_conn_padded(x)
        kept = [b for b in branches(narrow.to_ir().module, x) if b.valid]
        assert [(b.row, b.emission) for b in kept] == [
            (b.row, b.emission) for b in valid
        ]
        np.testing.assert_allclose(
            np.asarray(mels)[np.asarray(mels) != 0], [b.amplitude for b in valid]
        )
        assert SPACE.contains(np.asarray(xp)).all()


def test_a_broken_promise_makes_the_matrix_elements_nan():
    x = np.array([[1, 1, 1, 1], [2, 0, 0, 0]], np.int8)  # 24 and 6 valid branches
    xp, mels = hops(6).compile().get_conn_padded(x)
    assert np.isnan(mels[0, :6]).all()
    assert np.isfinite(mels[0, 6:]).all(), "the other term kept its word"
    assert np.isfinite(mels[1]).all()
    assert SPACE.contains(np.asarray(xp)).all()


def test_checked_raises_where_a_promise_is_broken():
    x = np.array([[[2, 0, 0, 0], [1, 1, 1, 1]]], np.int8)
    with pytest.raises(sym.InputError) as caught:
        hops(6).compile().get_conn_padded(x, checked=True)
    error = caught.value
    assert (error.code, error.operator, error.term) == ("R008", "hops", "term0")
    assert error.found == "24 at x[0, 1] = [1, 1, 1, 1]"
    assert error.expected == "at most 6 valid branches"


def test_checked_returns_what_is_right():
    compiled = hops(12).compile()
    x = np.array([[2, 0, 0, 0]], np.int8)
    for plain, checked in zip(
        compiled.get_conn_padded(x),
        compiled.get_conn_padded(x, checked=True),
        strict=True,
    ):
        np.testing.assert_array_equal(plain, checked)


@pytest.mark.parametrize("x", [[3, 0, 0, 0], [[0, 0, 0, 0], [0, 0, 0, -1]]])
def test_checked_looks_at_the_configurations(x: list[Any]):
    with pytest.raises(sym.InputError) as caught:
        hops(12).compile().get_conn_padded(np.array(x, np.int8), checked=True)
    assert caught.value.code == "R007"
    assert "a configuration of fock(2, 4)" in str(caught.value)


def test_checked_names_the_emission_of_a_nan():
    operator = (
        sym.DOperator(sym.fock(2, 2), "op")
        .for_each_site("i")
        .emit(amplitude=1.0)
        .emit(amplitude=sym.log(i - 1))
        .build()
    )
    with pytest.raises(sym.InputError) as caught:
        operator.compile().get_conn_padded(np.array([2, 0]), checked=True)
    error = caught.value
    assert (error.code, error.term, error.emission) == ("R009", "term0", "emit1")


def test_checked_has_nothing_to_look_at_while_jax_is_tracing():
    compiled = hops(12).compile()
    with pytest.raises(sym.InputError, match="R006"):
        jax.jit(lambda x: compiled.get_conn_padded(x, checked=True))(
            jnp.zeros((1, 4), jnp.int8)
        )


def test_checked_takes_every_kind_of_state():
    compiled = hops(24).compile()
    for dtype in (jnp.bfloat16, jnp.float16, jnp.uint8, jnp.int64):
        xp, _ = compiled.get_conn_padded(jnp.ones((2, 4), dtype), checked=True)
        assert xp.dtype == dtype


@pytest.mark.parametrize("shape", [(4,), (0, 4), (2, 0, 4), (2, 3, 4)])
def test_all_shapes(shape: tuple[int, ...]):
    xp, mels = hops(5).compile().get_conn_padded(np.zeros(shape, np.int8))
    assert xp.shape == (*shape[:-1], 9, 4)
    assert mels.shape == (*shape[:-1], 9)


@pytest.mark.parametrize("fanout", range(1, 8))
def test_every_pattern_of_valid_lanes(fanout: int):
    operator = (
        sym.DOperator(sym.qubit(7), "op")
        .for_each_site("i")
        .where(i == 1)
        .emit(sym.flip("i"), amplitude=i.index + 1)
        .fanout(fanout)
        .build()
    )
    x = operator.space.all_states()
    xp, mels = reference(operator, x)
    found_xp, found_mels = operator.compile().get_conn_padded(x)
    np.testing.assert_array_equal(found_xp, xp)
    np.testing.assert_array_equal(found_mels, mels)


def test_the_promise_is_part_of_the_operator():
    ir = hops(6).to_ir()
    assert ir == sym.SymbolicOperatorIR.from_text(ir.text())
    assert ir != hops(7).to_ir()
    assert ir.max_conn_size == 10
    assert [term.fanout for term in hops(6).terms] == [6, None]


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "3", None, np.zeros(2)])
def test_a_fanout_is_a_positive_integer(bad: Any):
    builder = sym.DOperator(SPACE, "op").for_each_site("i").emit()
    with pytest.raises(sym.DefinitionError) as caught:
        builder.fanout(bad)
    error = caught.value
    assert (error.code, error.operator, error.term) == ("D049", "op", "term0")
    assert error.location is not None
    assert error.location.file == __file__


def test_a_fanout_belongs_to_a_term():
    with pytest.raises(sym.DefinitionError, match="D007"):
        sym.DOperator(SPACE, "op").fanout(2)
