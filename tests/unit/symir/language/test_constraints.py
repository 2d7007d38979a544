"""Operators on constrained spaces: what leaves is diagnosed, or projected away."""

from __future__ import annotations

import inspect
from typing import Any

import netket as nk
import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import connections, dense_matrix
from tests.unit.symir.interop.matrices import matrix_of_branches

i, j = sym.site("i"), sym.site("j")
RING = [(k, (k + 1) % 4) for k in range(4)]

BOSONS = sym.fock(2, 4, n_particles=3)
SPINS = sym.spin(0.5, 4, total_sz=0)
SPECIES = sym.fermions(2, spin=0.5, n_fermions_per_spin=(1, 1))
BLOCKADE = sym.qubit(4).where(sym.site(0) * sym.site(1) == 0)


def hops(space: sym.Space, **options: Any) -> sym.DOperator:
    return (
        sym.DOperator(space, "hops", **options)
        .for_each(("i", "j"), over=RING)
        .where((i > 0) & (j < 1))
        .emit(sym.hop("i", "j"), amplitude=i + 1)
        .emit(sym.swap("i", "j"), amplitude=0.5)
    )


def flips(space: sym.Space, **options: Any) -> sym.DOperator:
    return (
        sym.DOperator(space, "flips", **options)
        .for_each_site("i")
        .named("field")
        .emit(sym.flip("i"), amplitude=i.index + 1.0, tag="up")
    )


def exact(operator: sym.SymbolicOperator) -> npt.NDArray[Any]:
    return dense_matrix(operator.to_ir().module)


def compiled_matrix(operator: sym.SymbolicOperator) -> npt.NDArray[Any]:
    """Return the matrix over the configurations of the space, by the kernel."""
    states = operator.space.all_states()
    xp, mels = operator.compile().get_conn_padded(states)
    assert operator.space.contains(np.asarray(xp)).all()
    number = {tuple(state): n for n, state in enumerate(states.tolist())}
    matrix = np.zeros((len(states), len(states)), operator.dtype)
    for row, (configs, elements) in enumerate(
        zip(np.asarray(xp), np.asarray(mels), strict=True)
    ):
        for config, element in zip(configs.tolist(), elements, strict=True):
            matrix[row, number[tuple(config)]] += element
    return matrix


def test_an_operator_that_conserves_has_no_checks_left():
    operator = hops(BOSONS).build()
    assert "nan" not in str(operator.compile().kernel.stablehlo(2, np.dtype(np.int8)))
    assert np.array_equal(compiled_matrix(operator), exact(operator))


@pytest.mark.parametrize("space", [BOSONS, SPECIES, BLOCKADE])
def test_a_projected_operator_is_the_block_of_the_whole_one(space: sym.Space):
    free = space.unconstrained
    builder = hops if space is not BLOCKADE else flips
    operator = builder(space, projected=True).build()
    inside = space.contains(free.all_states())
    block = exact(builder(free).build())[np.ix_(inside, inside)]
    assert np.array_equal(compiled_matrix(operator), block)
    assert block.any()


def test_projecting_drops_what_leaves_and_nothing_else():
    operator = flips(SPINS, projected=True).build()
    assert not compiled_matrix(operator).any()
    assert not exact(operator).any()


@pytest.mark.parametrize("space", [SPINS, BLOCKADE])
def test_leaving_is_found_when_the_operator_is_built(space: sym.Space):
    builder = flips(space)
    with pytest.raises(sym.DefinitionError) as caught:
        builder.build()
    error = caught.value
    assert (error.code, error.operator) == ("D048", "flips")
    assert (error.term, error.emission) == ("field", "up")
    assert error.location is not None
    source, first = inspect.getsourcelines(flips)
    assert error.location.file == __file__
    assert first <= error.location.line < first + len(source)
    assert error.found is not None
    assert error.found.startswith("x = [")
    assert "projected=True" in (error.hint or "")


def rarely(space: sym.Space) -> sym.SymbolicOperator:
    """An operator that leaves the space in one row out of a thousand."""
    rows = [(0, 1)] * 1000
    switched = [0.0] * 1000
    switched[501] = 1.0
    return (
        sym.DOperator(space, "rare")
        .for_each(("i", "j"), over=rows, data={"w": switched})
        .emit(sym.shift_mod("i", sym.row("w")), amplitude=1.0)
        .build()
    )


@pytest.mark.parametrize("space", [SPINS, BOSONS])
def test_what_is_not_found_is_not_a_number(space: sym.Space):
    operator = rarely(space)
    x = space.all_states()
    xp, mels = operator.compile().get_conn_padded(x)
    expected_xp, expected = connections(operator.to_ir().module, x)
    assert np.isnan(mels[:, 501]).all()
    assert np.isfinite(np.delete(np.asarray(mels), 501, axis=1)).all()
    np.testing.assert_array_equal(mels, expected)
    np.testing.assert_array_equal(xp, expected_xp)


def test_checked_says_which_branch_left():
    with pytest.raises(sym.InputError) as caught:
        rarely(SPINS).compile().get_conn_padded(SPINS.all_states(), checked=True)
    error = caught.value
    assert (error.code, error.operator, error.term) == ("R010", "rare", "term0")
    assert "x' = " in (error.found or "")


def test_checked_wants_configurations_of_the_space():
    with pytest.raises(sym.InputError, match="R007"):
        hops(BOSONS).build().compile().get_conn_padded(
            np.array([2, 2, 0, 0]), checked=True
        )


def test_a_branch_that_leaves_with_weight_0_is_no_mistake():
    """Its matrix element is 0, so it is not valid."""
    operator = (
        sym.DOperator(SPINS, "op")
        .for_each(("i", "j"), over=RING)
        .emit(sym.flip("i").flip("j"), amplitude=(1 - i * j) / 2)
        .build()
    )
    exchange = nk.operator.Heisenberg(
        nk.hilbert.Spin(0.5, 4), nk.graph.Chain(4), sign_rule=False
    )
    inside = SPINS.contains(SPINS.unconstrained.all_states())
    dense = matrix_of_branches(exchange)[np.ix_(inside, inside)]
    offdiagonal = dense - np.diag(np.diag(dense))
    np.testing.assert_allclose(2 * compiled_matrix(operator), offdiagonal)
    np.testing.assert_array_equal(compiled_matrix(operator), exact(operator))


@pytest.mark.parametrize(
    "hilbert",
    [
        nk.hilbert.Spin(0.5, 4, total_sz=0),
        nk.hilbert.Fock(2, 4, n_particles=3),
        nk.hilbert.SpinOrbitalFermions(2, s=0.5, n_fermions_per_spin=(1, 1)),
    ],
)
def test_the_constraint_of_a_netket_hilbert_counts(hilbert: Any):
    builder = sym.DOperator(hilbert, "op", projected=True).for_each_site("i")
    operator = builder.emit(sym.shift_mod("i", 1)).build()
    assert operator.space.n_states == hilbert.n_states
    assert not compiled_matrix(operator).any()


def test_the_text_says_all_of_it():
    ir = hops(SPECIES, projected=True).build().to_ir()
    text = ir.text()
    assert "sum [0, 0, 1, 1] = 1, sum [1, 1, 0, 0] = 1" in text
    assert "projected" in text
    again = sym.SymbolicOperatorIR.from_text(text)
    assert again == ir
    assert again.space == SPECIES
    assert ir != hops(SPECIES.unconstrained, projected=True).build().to_ir()
    other = sym.fermions(2, spin=0.5, n_fermions_per_spin=(1, 2))
    assert ir != hops(other, projected=True).build().to_ir()


@pytest.mark.parametrize("bad", [1, None, "yes"])
def test_projected_is_a_flag(bad: Any):
    with pytest.raises(sym.DefinitionError, match="D027"):
        sym.DOperator(SPINS, "op", projected=bad)
