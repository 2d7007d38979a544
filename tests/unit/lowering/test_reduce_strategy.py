# pyright: basic
"""Parities, any and all over sites as bits of words: exact, of any number of sites."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest
from hypothesis import given, settings

import symir as sym
from dialects.interpreters.bt import run_branches
from dialects.interpreters.sym import connections
from lowering.bt import bt_reduce_strategy
from symir.compiler.lowering import operator_pipeline, run_passes
from symir.interop.fermions import from_fermions
from tests.unit.lowering.branch_programs import (
    checked,
    lowered,
    ops_of,
    questions,
    remarks_of,
)
from tests.unit.lowering.test_coalesce_static import assert_same_matrix

PASS = "bt-reduce-strategy"

here, i, j = sym.here, sym.site("i"), sym.site("j")


@pytest.fixture(autouse=True)
def _x64() -> object:  # pyright: ignore[reportUnusedFunction]
    with jax.enable_x64(True):
        yield


def asking(
    predicate: Any, space: Any = None, rows: Any = None, *, amplitude: Any = 1.0
) -> sym.SymbolicOperator:
    """Return an operator with a predicate in the amplitudes of all pairs of sites."""
    space = sym.qubit(8) if space is None else space
    n = space.size
    if rows is None:
        rows = [(a, b) for a in range(n) for b in range(a + 1, n)]
    return (
        sym.DOperator(space, "asking")
        .for_each(("i", "j"), over=rows)
        .emit(
            sym.shift_mod("i", 1), amplitude=amplitude * sym.where(predicate, 1.5, -0.5)
        )
        .build()
    )


def is_packed(operator: sym.SymbolicOperator) -> bool:
    """Whether all reductions to a truth are done by words."""
    # Lanes that are summed are in several groups, of which some may be small
    module = run_passes(operator.to_ir().module, operator_pipeline("none", 3))
    left = [
        op for op in ops_of(module, "bt.reduce") if "xi1>" in str(op.operands[0].type)
    ]
    return not left


# region Where it is done


@pytest.mark.parametrize(
    "predicate",
    [
        sym.parity(here, over=sym.between("i", "j")) == 1,
        sym.parity(here, over=sym.sites_range(0, "j")) == 1,
        sym.any_(here > 0, over=sym.between("i", "j")),
        sym.all_(here > 0, over=sym.between("i", "j")),
        sym.all_(here == sym.sum_(here), over=sym.sites_range("i", 8)),
        sym.any_(here * sym.symbol("J", 0.5) > 0, over=sym.between("i", "j")),
    ],
)
def test_questions_to_sites_are_asked_once(predicate: Any) -> None:
    operator = asking(predicate)
    assert is_packed(operator)
    checked(operator)


@pytest.mark.parametrize("local", [[-1, 1], [0, 1, 2], [0.5, 2.5], [-2, 0, 4]])
def test_local_values_may_be_any(local: list[float]) -> None:
    either, every = (
        kind(here > local[0], over=sym.between("i", "j"))
        for kind in (sym.any_, sym.all_)
    )
    operator = asking(either, sym.space([local] * 8), amplitude=sym.where(every, 1, 4))
    assert is_packed(operator)
    checked(operator)


def test_a_question_to_the_sites_of_a_lane_may_differ_in_what_is_constant() -> None:
    rows = [(a, b) for a in range(7) for b in range(a + 1, 7)]
    signs = [(-1.0) ** a for a, _ in rows]
    operator = (
        sym.DOperator(sym.qubit(7), "signs")
        .for_each(("i", "j"), over=rows, data={"J": signs})
        .emit(
            amplitude=sym.where(
                sym.any_(here * sym.row("J") > 0, over=sym.between("i", "j")), 1.0, 2.0
            )
        )
        .build()
    )
    assert is_packed(operator)
    checked(operator)


def jordan_wigner(n: int) -> sym.SymbolicOperator:
    rows = [(a, b) for a in range(0, n, 3) for b in range(n) if a != b]
    return (
        sym.DOperator(sym.fock(1, n), "hops")
        .for_each(("i", "j"), over=rows)
        .where(sym.all_of(i.value > 0, j.value < 1))
        .emit(sym.hop("i", "j"), amplitude=sym.jordan_wigner("i", "j"))
        .build()
    )


@pytest.mark.parametrize("n", [1, 32, 33, 70])
def test_any_number_of_sites(n: int) -> None:
    """At the ends of words, too, where the last bit is the sign of an integer."""
    rows = [(a, b) for a in {0, n // 2, n - 1} for b in range(n)]
    space = sym.qubit(n)
    predicate = sym.parity(here, over=sym.between("i", "j")) == 1
    operator = asking(predicate, space, rows)
    x = np.array([[0] * n, [1] * n, *space.random_states(3, seed=1)], np.int8)
    _, mels = operator.compile(coalesce="static").get_conn_padded(x)
    compiled = operator.compile()
    _, plain = compiled.get_conn_padded(x)
    totals = np.zeros((len(x), n))
    for lane, (a, b) in enumerate(rows):
        low, high = sorted((a, b))
        odd = x[:, low + 1 : high].sum(axis=1) % 2
        expected = np.where(odd == 1, 1.5, -0.5)
        np.testing.assert_array_equal(np.asarray(plain)[:, lane], expected)
        totals[:, a] += expected
    for lane, a in enumerate(dict.fromkeys(a for a, _ in rows)):
        np.testing.assert_array_equal(np.asarray(mels)[:, lane], totals[:, a])


def test_strings_of_fermions_over_three_words() -> None:
    operator = jordan_wigner(70)
    assert is_packed(operator)
    x = operator.space.random_states(3, seed=5).astype(np.int8)
    expected = connections(operator.to_ir().module, x)
    found = run_branches(lowered(operator, "bt-coalesce-diagonal"), x)
    for ours, theirs in zip(expected, found, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for coalesce in ("none", "static"):
        compiled = operator.compile(coalesce=coalesce, opt_level=3)
        xp, mels = map(np.asarray, compiled.get_conn_padded(x))
        for n in range(len(x)):
            mine, reference = {}, {}
            for target, element in zip(xp[n], mels[n], strict=True):
                key = target.tobytes()
                mine[key] = mine.get(key, 0) + element
            for target, element in zip(expected[0][n], expected[1][n], strict=True):
                key = target.tobytes()
                reference[key] = reference.get(key, 0) + element
            assert mine == reference


# endregion
# region Where it is not


def test_few_lanes_with_few_sites_each_ask_themselves() -> None:
    operator = (
        sym.DOperator(sym.qubit(70), "few")
        .for_each("i", over=[0, 5], sets={"s": [[1, 2], [3, 4]]})
        .emit(amplitude=1 + sym.parity(here, over=sym.set_("s")))
        .build()
    )
    assert not is_packed(operator)
    checked(operator, samples=8)
    assert not remarks_of(operator, PASS)


def test_what_all_lanes_ask_is_asked_once_anyway() -> None:
    operator = asking(sym.parity(here) == 1)
    assert not is_packed(operator)
    assert not remarks_of(operator, PASS)


@pytest.mark.parametrize(
    "predicate",
    [
        sym.any_(here == i, over=sym.between("i", "j")),
        sym.parity(sym.where(here + j.value > 1, 1, 0), over=sym.between("i", "j"))
        == 1,
    ],
)
def test_a_question_that_depends_on_the_lane_is_left(predicate: Any) -> None:
    operator = asking(predicate)
    assert not is_packed(operator)
    checked(operator)
    found = remarks_of(operator, PASS, operator_pipeline("none", 3))
    assert found
    for remark in found:
        assert not remark.done
        assert "lane by lane" in remark.message
        assert "asking/" in str(remark.location)


def test_data_of_many_values_is_left() -> None:
    rows = [(a, b) for a in range(8) for b in range(a + 1, 8)]
    operator = (
        sym.DOperator(sym.qubit(8), "data")
        .for_each(("i", "j"), over=rows, data={"J": np.arange(len(rows)) - 3.25})
        .emit(
            amplitude=sym.where(
                sym.any_(here > sym.row("J"), over=sym.between("i", "j")), 1.0, 2.0
            )
        )
        .build()
    )
    assert not is_packed(operator)
    checked(operator)


# endregion
# region The same numbers


@settings(max_examples=6)
@given(questions((1, 2, 5)))
def test_random_questions(operator: sym.SymbolicOperator) -> None:
    checked(operator)


@settings(max_examples=4)
@given(questions((33, 70)))
def test_random_questions_in_several_words(operator: sym.SymbolicOperator) -> None:
    checked(operator, samples=4)


def test_random_questions_where_it_never_costs_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each reduction that can be is packed, however small."""
    monkeypatch.setattr(bt_reduce_strategy, "_is_cheaper", lambda *_: True)

    @settings(max_examples=6)
    @given(questions((1, 3, 34)))
    def every(operator: sym.SymbolicOperator) -> None:
        checked(operator, samples=6)

    every()


def test_an_empty_set_of_sites_is_even_and_none_and_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bt_reduce_strategy, "_is_cheaper", lambda *_: True)
    region = sym.set_("s")
    numbers = [
        sym.where(sym.parity(here, over=region) == 1, 1.0, 0.0),
        sym.where(sym.any_(here > 0, over=region), 2.0, 0.0),
        sym.where(sym.all_(here > 0, over=region), 4.0, 0.0),
    ]
    for sets in ([[], []], [[], [0, 2]]):
        operator = (
            sym.DOperator(sym.qubit(3), "empty")
            .for_each("i", over=[0, 1], sets={"s": sets})
            .emit(sym.flip("i"), amplitude=numbers[0] + numbers[1] + numbers[2])
            .build()
        )
        checked(operator)
        x = np.array([[1, 1, 1]], np.int8)
        mels = operator.compile(coalesce="static").get_conn_padded(x)[1]
        expected = [4.0, 4.0 if not sets[1] else 6.0]
        assert np.asarray(mels).tolist() == [expected]


@pytest.mark.parametrize("dtype", ["int8", "float64", "bool", "uint8"])
def test_any_dtype_of_x(dtype: str) -> None:
    operator = jordan_wigner(5)
    compiled = operator.compile(coalesce="static")
    states = operator.space.all_states()
    xp, mels = compiled.get_conn_padded(jnp.asarray(states.astype(dtype)))
    expected = connections(operator.to_ir().module, states)
    assert xp.dtype == dtype
    # No two hops lead to one x': lanes are those of the operator
    np.testing.assert_array_equal(np.asarray(xp).astype(float), expected[0])
    np.testing.assert_array_equal(mels, expected[1])


def test_a_threshold_may_be_differentiated_and_mapped_over() -> None:
    h = sym.symbol("h", 0.5)
    operator = asking(sym.any_(here * h > 0.75, over=sym.between("i", "j")))
    assert is_packed(operator)
    x = operator.space.random_states(3, seed=2).astype(np.int8)
    hs = jnp.array([0.5, 1.0, -2.0])
    plain, packed = (
        jax.vmap(lambda v, c=c: c.replace(h=v).get_conn_padded(x)[1].sum())(hs)
        for c in (operator.compile(), operator.compile(coalesce="static"))
    )
    np.testing.assert_allclose(plain, packed, rtol=1e-13)
    assert len(set(np.asarray(plain).tolist())) > 1


def test_no_sample_has_no_answers() -> None:
    operator = jordan_wigner(8)
    assert is_packed(operator)
    xp, mels = operator.compile(coalesce="static").get_conn_padded(
        np.zeros((0, 8), np.int8)
    )
    assert (xp.shape[0], mels.shape[0]) == (0, 0)


@pytest.mark.filterwarnings(r"ignore:\s*WARNING. Initializing")
def test_the_fermions_are_those_of_netket() -> None:
    hilbert = nk.hilbert.SpinOrbitalFermions(3)
    create, destroy = nk.operator.fermion.create, nk.operator.fermion.destroy
    total: Any = 0.0
    terms, weights = [], []
    for a in range(3):
        for b in range(3):
            weight = 0.5 + a - 0.25 * b
            total = total + weight * create(hilbert, a) @ destroy(hilbert, b)
            terms.append([(a, 1), (b, 0)])
            weights.append(weight)
    operator = from_fermions(terms, weights, hilbert=hilbert)
    compiled = operator.to_netket(coalesce="static")
    assert_same_matrix(compiled, total, operator.space.all_states())


def test_it_is_left_alone_where_the_batch_is_bound() -> None:
    module = lowered(jordan_wigner(8), PASS)
    bound = run_passes(module, "bt-specialize{batch=2 state=i8}")
    assert str(run_passes(bound, PASS)) == str(bound)


# endregion
