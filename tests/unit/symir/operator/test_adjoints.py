"""Adjoints, transposes and conjugates of operators, against those of matrices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections, dense_matrix
from symir import DefinitionError, SymbolicOperator, SymbolicOperatorIR
from tests.unit.symir.constructs import CONSTRUCTS

i, j, z = sym.site("i"), sym.site("j"), sym.symbol("z", 0.5 - 1j)
SPINS = sym.spin(0.5, 3)
BOSONS = sym.fock(2, 3)


def dense(operator: SymbolicOperator, **parameters: complex) -> Any:
    with np.errstate(all="ignore"):
        return dense_matrix(operator.to_ir().module, parameters)


def on_pairs(space: Any, update: Any, **options: Any) -> SymbolicOperator:
    builder = sym.DOperator(space, "a", dtype="complex128").for_each_pair("i", "j")
    amplitude = (i + 2) * z + 1j * sym.emitted("j")
    return builder.emit(update, amplitude=amplitude, **options).build()


def assert_compiles_to_itself(operator: SymbolicOperator) -> None:
    """Compare the kernel with the interpreter, lane by lane."""
    x = operator.space.all_states().astype(np.float64)
    expected_xp, expected = connections(operator.to_ir().module, x)
    xp, elements = operator.compile().get_conn_padded(x)
    np.testing.assert_allclose(elements, expected, rtol=1e-5, atol=1e-6)
    kept = expected != 0
    np.testing.assert_array_equal(np.asarray(xp)[kept], expected_xp[kept])


def assert_is_adjoint(operator: SymbolicOperator) -> None:
    matrix = dense(operator)
    assert matrix.any()
    np.testing.assert_allclose(dense(operator.H), matrix.conj().T, atol=1e-12)
    np.testing.assert_allclose(dense(operator.transpose()), matrix.T, atol=1e-12)
    np.testing.assert_allclose(dense(operator.conjugate()), matrix.conj(), atol=1e-12)


# region Matrices

UNDONE = {
    "identity": sym.identity(),
    "shift": sym.shift("i", 1),
    "shift by row data": sym.shift("i", sym.row("J")),
    "hop": sym.shift("i", -1).shift("j", 1),
    "out and back": sym.shift("i", 2).swap("i", "j").shift("i", -1),
    "shift_mod": sym.shift_mod("i", 1).shift_mod("j", 2),
    "swap": sym.swap("i", "j").shift("j", 1),
    "affine": sym.affine("i", scale=-1, bias=2),
    "write of the mirror image": sym.write("i", 2 - i.value),
    "write of a sum": sym.write("i", sym.row("J") + i.value - 2),
    "cond on what is not changed": sym.cond(
        i.index < 1, sym.shift("i", 1), sym.shift("i", -1).swap("i", "j")
    ),
    "invalidate": sym.cond(i.index < 1, sym.invalidate(), sym.shift("i", 1)),
}


def _with_data(update: sym.Update) -> SymbolicOperator:
    builder = sym.DOperator(BOSONS, "a", dtype="complex128")
    rows = [(0, 1), (1, 2), (2, 0), (1, 1)]
    builder.for_each(("i", "j"), over=rows, data={"J": [1.0, 2.0, -1.0, 0.0]})
    amplitude = (i + 2) * z + 1j * sym.emitted("j")
    return builder.where(i + j < 4).emit(update, amplitude=amplitude, tag="t").build()


@pytest.mark.parametrize("name", UNDONE)
def test_updates_are_undone_in_as_many_lanes(name: str) -> None:
    operator = _with_data(UNDONE[name])
    assert_is_adjoint(operator)
    assert operator.H.max_conn_size == operator.max_conn_size
    assert operator.H.terms[0].tags == ("t",)


TRIED = {
    "write of a number": (sym.write("i", 1), 3),
    "write of another site": (sym.write("i", j.value), 3),
    "shift by what is changed": (sym.shift("i", i - j), 3),
    "write of what was changed": (sym.shift("i", 1).write("i", i / 2), 3),
    "exchange by two writes": (sym.write("i", j.value).write("j", i.value), 9),
    "cond on what is changed": (sym.cond(i > 0, sym.shift("i", -1)), 3),
    "computed site in a cond": (
        sym.cond(i.index < 1, sym.write(i.index + 1, j), sym.write("i", 0)),
        9,
    ),
}


@pytest.mark.parametrize("name", TRIED)
def test_other_updates_are_tried_from_all_values(name: str) -> None:
    update, lanes = TRIED[name]
    operator = on_pairs(sym.fock(2, 2), update)
    assert_is_adjoint(operator)
    assert operator.H.max_conn_size <= lanes * operator.max_conn_size


CLOSED = "update: computed site from a local value"
SAMPLE = sorted(set(CONSTRUCTS) - {CLOSED})[::12]


@pytest.mark.parametrize("name", SAMPLE)
def test_any_construct_has_an_adjoint(name: str) -> None:
    operator = CONSTRUCTS[name](3)
    values = {symbol.name: 0.5 for symbol in operator.symbols}
    adjoint = operator.H
    matrix = dense(operator, **values)
    np.testing.assert_allclose(dense(adjoint, **values), matrix.conj().T, atol=1e-12)
    text = adjoint.to_ir().text()
    assert SymbolicOperatorIR.from_text(text).text() == text


def test_the_kernel_of_an_adjoint_is_as_the_interpreter() -> None:
    for update in (UNDONE["hop"], UNDONE["cond on what is not changed"]):
        assert_compiles_to_itself(_with_data(update).H)
    update, _ = TRIED["write of what was changed"]
    assert_compiles_to_itself(on_pairs(sym.fock(2, 2), update).H)


def test_sites_with_values_of_their_own() -> None:
    space = sym.space([[0, 1, 2], [0, 1], [5]])
    for update in (sym.shift("i", 1), sym.write("i", 1), sym.swap("i", "j")):
        assert_is_adjoint(on_pairs(space, update))
    assert_compiles_to_itself(on_pairs(space, sym.write("i", 1)).H)


def test_local_values_that_are_rounded() -> None:
    # 0.3 - 0.2 is not 0.1: shifts are tried, and no branch is lost
    builder = sym.DOperator(sym.space([0.1, 0.2, 0.3], 2), "a", dtype="float64")
    operator = builder.for_each_site("i").emit(sym.shift("i", 0.1)).build()
    assert_is_adjoint(operator)
    assert operator.H.max_conn_size == 6


def test_operators_on_paper() -> None:
    space = sym.fermions(3)
    builder = sym.DOperator(space, "a", dtype="complex128")
    builder.for_each_unordered_pair("i", "j").emit(1j * sym.cdag("i") * sym.c("j"))
    operator = builder.for_each_site("i").emit(sym.cdag("i")).build()
    assert_is_adjoint(operator)
    # all that is tried but leads elsewhere is left out
    assert operator.H.max_conn_size == operator.max_conn_size
    assert_compiles_to_itself(operator.H)


def test_products_and_sums_have_adjoints() -> None:
    two = sym.spin(0.5, 2)
    a = on_pairs(two, sym.swap("i", "j").flip("i"))
    b = on_pairs(two, sym.write("i", 1))
    matrices = dense(a), dense(b)
    product = (a @ b).H
    np.testing.assert_allclose(
        dense(product), (matrices[0] @ matrices[1]).conj().T, atol=1e-12
    )
    total = a + a.H
    np.testing.assert_allclose(dense(total), dense(total).conj().T, atol=1e-12)
    np.testing.assert_allclose(dense((1j * a).H), dense(-1j * a.H), atol=1e-12)


def test_a_constrained_space() -> None:
    space = sym.fock(2, 3, n_particles=3)
    builder = sym.DOperator(space, "hop", dtype="complex128")
    rows = [(0, 1), (1, 2)]
    builder.for_each(("i", "j"), over=rows, data={"t": [1j, 2.0]})
    update = sym.shift("i", -1).shift("j", 1)
    hop = builder.emit(update, amplitude=sym.row("t") * (i + 1)).build()
    assert_is_adjoint(hop)
    assert_compiles_to_itself(hop.H)
    assert not hop.H.is_projected


def test_what_leads_into_a_constrained_space_from_outside_is_no_branch() -> None:
    space = sym.qubit(3).where_sum(1)
    builder = sym.DOperator(space, "a", dtype="float64").for_each_site("i")
    # the value that keeps the sum, whatever the site had before
    rest = sym.sum_(sym.here.value) - i.value
    a = builder.where(rest < 2).emit(sym.write("i", 1 - rest), amplitude=2.0).build()
    assert_is_adjoint(a)
    assert_compiles_to_itself(a.H)


def test_a_projected_operator() -> None:
    space = sym.fock(2, 3, n_particles=3)
    builder = sym.DOperator(space, "a", projected=True, dtype="float64")
    builder.for_each_pair("i", "j").emit(sym.shift("i", 1).shift("j", -1), amplitude=i)
    a = builder.for_each_site("i").emit(sym.shift("i", 1)).build()
    assert_is_adjoint(a)
    assert a.H.is_projected


def test_a_space_with_predicates() -> None:
    space = sym.qubit(3).where(sym.site(0) + sym.site(1) < 2)
    builder = sym.DOperator(space, "a", dtype="float64").for_each_site("i")
    a = builder.where(i == 1).emit(sym.write("i", 0), amplitude=i.index + 1).build()
    x = space.all_states()
    for operator in (a, a.H):
        xp, elements = connections(operator.to_ir().module, x)
        assert np.isfinite(elements).all()
        assert space.contains(xp.reshape(-1, 3)).all()
    full = x[:, None, None, :]
    matrices = []
    for operator in (a, a.H):
        xp, elements = connections(operator.to_ir().module, x)
        hits = (xp[:, :, None, :] == full[None, :, 0, 0]).all(axis=-1)
        matrices.append((hits * elements[:, :, None]).sum(axis=1))
    assert matrices[0].any()
    np.testing.assert_array_equal(matrices[1], matrices[0].T)


# endregion
# region What an adjoint is


def test_hermitian_operators_are_their_own() -> None:
    builder = sym.DOperator(SPINS, "a", hermitian=True).for_each_site("i")
    a = builder.emit(sym.flip("i")).build()
    assert a.H is a.adjoint() is a
    assert a.T is a.conjugate() is a


def test_names_and_parameters() -> None:
    a = on_pairs(SPINS, sym.flip("i"))
    assert a.H.name == a.H.to_ir().operator_name == "a.H"
    assert (2 * a).H.name == "(2*a).H"
    assert a.T.name == "a.T"
    assert a.conjugate().name == "conj(a)"
    assert [symbol.name for symbol in a.H.symbols] == ["z"]
    np.testing.assert_allclose(dense(a.H, z=2j), dense(a, z=2j).conj().T)
    np.testing.assert_allclose(dense(a.conjugate(), z=2j), dense(a, z=2j).conj())


def test_a_promised_fanout_is_not_one_of_the_adjoint() -> None:
    builder = sym.DOperator(SPINS, "a", dtype="float64").for_each_site("i")
    a = builder.where(i.index == 0).fanout(1).emit(sym.write("i", 1)).build()
    assert a.H.terms[0].fanout is None
    assert_is_adjoint(a)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: CONSTRUCTS[CLOSED](3), "a local value"),
        (lambda: _wide(), "for 9 sites"),
        (lambda: _ragged(), "different sizes"),
    ],
)
def test_an_update_that_cannot_be_undone(
    make: Callable[[], SymbolicOperator], found: str
) -> None:
    operator = make()
    with pytest.raises(DefinitionError, match="D082") as caught:
        operator.transpose()
    error = caught.value
    assert found in str(error.found)
    assert (error.operator, error.term) == (operator.name, operator.terms[0].name)
    assert error.emission == "emit0"
    assert error.hint is not None
    assert error.location is not None
    assert Path(error.location.file).is_relative_to(Path(__file__).parents[1])


def _wide() -> SymbolicOperator:
    update = sym.identity()
    for site in range(9):
        update = update.write(site, 0)
    builder = sym.DOperator(sym.qubit(9), "wide").globally()
    return builder.emit(update).build()


def _ragged() -> SymbolicOperator:
    builder = sym.DOperator(sym.qubit(3), "ragged")
    builder.for_each("i", over=[0, 1], sets={"near": [[1, 2], [0]]})
    return builder.emit(sym.flip_set("near").write("i", 0)).build()


# endregion
