"""What looks right and would mean something else: an error, or what was meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections, dense_matrix
from symir.language import Sx, Sy, Sz, X, Z, c, cdag, n, sum_over

i = sym.site("i")


@pytest.mark.parametrize(
    "make",
    [
        lambda: n("i") == 1,
        lambda: n("i") != 1,
        lambda: n("i") > 0,
        lambda: 1 == n("i"),
        lambda: sum_over([(0, 1)], lambda i, j: Z(i) * Z(j)) == 0,
        lambda: sym.write("i", 1) == 1,
    ],
)
def test_operators_and_updates_are_no_numbers(make: Callable[[], Any]):
    with pytest.raises(sym.DefinitionError, match="D015"):
        make()


def test_operators_are_not_true():
    with pytest.raises(sym.DefinitionError, match="D020"):
        bool(X(0))


@pytest.mark.parametrize("call", ["project", "where", "fanout", "named", "emit"])
def test_nothing_joins_the_terms_that_add_made(call: str):
    """There may be several of them, and the user cannot see it."""
    rows = [(0, 1), (1, 2), (1, 1)]
    builder = sym.DOperator(sym.fermions(3), "op")
    builder.add(sum_over(rows, lambda i, j: cdag(i) * c(j)))
    arguments: dict[str, tuple[Any, ...]] = {
        "project": (sym.emitted("i") == 1,),
        "where": (i == 1,),
        "fanout": (2,),
        "named": ("hop",),
        "emit": (),
    }
    with pytest.raises(sym.DefinitionError) as caught:
        getattr(builder, call)(*arguments[call])
    assert (caught.value.code, caught.value.operator) == ("D007", "op")
    builder.for_each_site("i").emit(amplitude=1.0).build()


def test_a_sum_that_fails_leaves_the_builder_closed():
    builder = sym.DOperator(sym.qubit(2), "op").add(Z(0))
    with pytest.raises(sym.DefinitionError):
        builder.add("no operator")
    with pytest.raises(sym.DefinitionError, match="D007"):
        builder.where(i == 1)


def test_numbers_that_cancel_leave_no_branch():
    """0.1 * 3 - 0.3 is not 0 in floating point; this is the AKLT term of spin 3/2."""

    def exchange(i: Any, j: Any) -> Any:
        return Sx(i) * Sx(j) + Sy(i) * Sy(j) + Sz(i) * Sz(j)

    cube = sum_over([(0, 1)], lambda i, j: 0.1 * exchange(i, j) ** 3)
    space = sym.spin(1.5, 2, total_sz=0)
    operator = sym.DOperator(space, "aklt", hermitian=True).add(cube).build()
    free = sym.DOperator(sym.spin(1.5, 2), "free").add(cube).build()
    inside = space.contains(space.unconstrained.all_states())
    expected = dense_matrix(free.to_ir().module)[np.ix_(inside, inside)]
    np.testing.assert_allclose(
        dense_matrix(operator.to_ir().module), expected, atol=1e-13
    )


def test_sums_that_single_precision_cannot_hold():
    space = sym.qubit(3).where_sum(2**24 + 1, weights=[2**24 + 1, 2**24, 1])
    flips = sym.scatter([0, 1, 2], [1 - sym.site(k) for k in range(3)])
    operator = sym.DOperator(space, "op").globally().emit(flips).build()
    states = space.all_states()
    _, mels = operator.compile().get_conn_padded(states)
    np.testing.assert_array_equal(mels, 1.0)
    with (
        jax.enable_x64(False),
        pytest.warns(sym.PrecisionWarning),
        pytest.raises(sym.SymirError, match="64 bits"),
    ):
        operator.compile(cache=False)


def test_checks_know_the_predicates_of_a_space():
    space = sym.qubit(3).where(sym.site(0) != sym.site(1))
    builder = sym.DOperator(space, "op").globally()
    operator = builder.emit(
        sym.write(0, 1 - sym.site(0)), amplitude=sym.symbol("h", 0.0)
    ).build()
    compiled = operator.compile()
    with pytest.raises(sym.InputError, match="R007"):
        compiled.get_conn_padded(np.array([1, 1, 0]), checked=True)
    with pytest.raises(sym.InputError, match="R010"):
        compiled.replace(h=1.0).get_conn_padded(np.array([1, 0, 0]), checked=True)


def test_a_predicate_that_cannot_be_told_does_not_hold():
    """A table of two entries: of two particles there is none to look up."""
    at_most_one = sym.table([1, 1])[sym.sum_(sym.here.value)] == 1
    space = sym.qubit(3).where(at_most_one)
    builder = sym.DOperator(space, "op").for_each_site("i").where(i == 0)
    operator = builder.emit(sym.write("i", 1), amplitude=sym.symbol("h", 0.0)).build()
    x = np.array([1, 0, 0], np.int8)
    _, mels = operator.compile().replace(h=1.0).get_conn_padded(x)
    np.testing.assert_array_equal(mels, [0.0, np.nan, np.nan])
    module = operator.to_ir().module
    np.testing.assert_array_equal(connections(module, x, {"h": 1.0})[1], mels)
    _, mels = operator.compile().get_conn_padded(x)
    np.testing.assert_array_equal(mels, 0.0)


def test_spaces_too_sparse_to_draw_from_have_operators():
    space = sym.qubit(30)
    for v in range(13):
        ends = sym.sites_range(2 * v, 2 * v + 3)
        space = space.where(sym.parity(sym.here.value, over=ends) == 0)
    operator = sym.DOperator(space, "op").for_each_site("i").emit(Z("i")).build()
    assert operator.max_conn_size == 30


def test_what_is_projected_is_described_so():
    builder = sym.DOperator(sym.fermions(3, 2), "op", projected=True)
    ir = builder.add(c(0)).build().to_ir()
    assert "projected" in ir.describe().splitlines()[0]
    assert ir.as_dict()["projected"] is True


def test_data_that_run_out_are_kept():
    total = sum_over(
        [(0, 1), (1, 2)],
        lambda i, j: sym.row("J") * Z(i) * Z(j),
        data={"J": (value for value in (1.0, 2.0))},
    )
    twice = sym.DOperator(sym.qubit(3), "twice").add(total + total).build()
    once = sym.DOperator(sym.qubit(3), "once").add(total).build()
    np.testing.assert_array_equal(
        dense_matrix(twice.to_ir().module), 2 * dense_matrix(once.to_ir().module)
    )


def test_sites_off_the_lattice_in_a_choice_not_taken_drop_no_branch() -> None:
    """Local spaces differ, so that what is read nowhere may not be allowed anywhere."""
    i = sym.site("i")
    chosen = sym.cond(sym.site(0).value == 1, sym.shift(i.index + 1, 1))
    builder = sym.DOperator(sym.space([[0, 1], [-1, 1]]), "op", dtype="float64")
    operator = builder.for_each("i", over=[1]).emit(chosen).build()
    x = operator.space.all_states()
    xp, mels = operator.compile().get_conn_padded(x)
    np.testing.assert_array_equal(mels[:, 0], x[:, 0] == 0)
    np.testing.assert_array_equal(xp[:, 0], x)


def test_values_off_the_lattice_in_a_choice_not_taken_drop_no_branch() -> None:
    i, first = sym.site("i"), sym.site(0).value
    builder = sym.DOperator(sym.space([[-2, 0, 2], [0, 1]]), "op", dtype="complex128")
    builder = builder.for_each("i", over=[0])
    builder = builder.emit_if(sym.site(1).value == 5, sym.write(0, -2))
    moved = sym.cond(i != 1, sym.write(0, -2), sym.shift(first, 1))
    operator = builder.emit_else(moved).build()
    x = operator.space.all_states()
    found = operator.compile().get_conn_padded(x)
    for ours, expected in zip(found, connections(operator.to_ir().module, x)):
        np.testing.assert_array_equal(ours, expected)
