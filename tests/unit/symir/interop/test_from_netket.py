"""NetKet's operators, taken over, against their own matrices."""

from __future__ import annotations

# pyright: basic
from typing import Any

import netket
import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import branches
from tests.unit.symir.interop.test_fermions import matrix_of, random_terms
from tests.unit.symir.interop.test_pauli import kronecker, random_strings

nk: Any = netket  # too dynamic for a type checker


def dense(op: sym.SymbolicOperator) -> npt.NDArray[Any]:
    """Return the matrix in the order of NetKet's states."""
    states = op.hilbert.all_states()
    module = op.to_ir().module
    matrix = np.zeros((len(states), len(states)), np.complex128)
    for row, x in enumerate(states):
        for branch in branches(module, x):
            column = int(op.hilbert.states_to_numbers(branch.config))
            matrix[row, column] += branch.amplitude
    return matrix


def assert_taken(op: Any, expected: Any = None) -> sym.SymbolicOperator:
    taken = sym.from_netket(op)
    expected = op.to_dense() if expected is None else expected
    assert np.allclose(dense(taken), expected, rtol=0, atol=1e-12)
    assert taken.hilbert is op.hilbert
    assert taken.dtype == np.dtype(op.dtype)
    assert taken.is_hermitian == bool(op.is_hermitian)
    return taken


def embedded(hilbert: Any, matrix: Any, sites: list[int]) -> npt.NDArray[Any]:
    """Return a matrix on a few sites as one on all of them."""
    rest = [site for site in range(hilbert.size) if site not in sites]
    order = [*sites, *rest]
    full = np.kron(matrix, np.eye(int(np.prod([hilbert.shape[s] for s in rest]))))
    places = np.arange(hilbert.n_states).reshape([hilbert.shape[s] for s in order])
    back = places.transpose(np.argsort(order)).reshape(-1)
    return full[np.ix_(back, back)]


def random_matrix(rng: np.random.Generator, size: int, *, density: float) -> Any:
    matrix = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return matrix * (rng.random((size, size)) < density)


HILBERTS = {
    "spins": nk.hilbert.Spin(0.5, 4),
    "inverted": nk.hilbert.Spin(0.5, 4, inverted_ordering=True),
    "spins 1": nk.hilbert.Spin(1, 3),
    "bosons": nk.hilbert.Fock(2, 3),
    "mixed": nk.hilbert.Spin(0.5, 2) * nk.hilbert.Fock(3, 1) * nk.hilbert.Qubit(1),
}


@pytest.mark.parametrize("name", HILBERTS)
@pytest.mark.parametrize("seed", range(6))
def test_local_operators(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hilbert = HILBERTS[name]
    op = nk.operator.LocalOperatorJax(hilbert, constant=0.5, dtype=complex)
    expected = 0.5 * np.eye(hilbert.n_states)
    for _ in range(4):
        sites = rng.permutation(hilbert.size)[: rng.integers(1, 3)].tolist()
        size = int(np.prod([hilbert.shape[site] for site in sites]))
        matrix = random_matrix(rng, size, density=rng.choice([0.2, 1.0]))
        op = op + nk.operator.LocalOperatorJax(hilbert, matrix, sites)
        expected = expected + embedded(hilbert, matrix, sites)
    assert_taken(op, expected)


def test_local_operators_are_those_of_netket() -> None:
    hilbert, rng = HILBERTS["mixed"], np.random.default_rng(0)
    matrix = random_matrix(rng, 8, density=0.5)
    assert_taken(nk.operator.LocalOperatorJax(hilbert, matrix, [2, 1]))


def test_matrices_of_one_pattern_are_one_term() -> None:
    chain = nk.graph.Chain(6)
    op = nk.operator.Heisenberg(nk.hilbert.Spin(0.5, 6), chain, J=0.3)
    expected = sum(
        embedded(op.hilbert, op.operators[0], [*edge]) for edge in chain.edges()
    )
    taken = assert_taken(op, expected)
    assert len(taken.terms) == 1
    assert taken.max_conn_size == 12  # a diagonal branch and a swap for each bond
    assert taken.name == type(op).__name__
    assert sym.from_netket(op, "H").name == "H"


def test_conserved_magnetisation() -> None:
    hilbert = nk.hilbert.Spin(0.5, 6, total_sz=0)
    taken = sym.from_netket(nk.operator.Heisenberg(hilbert, nk.graph.Chain(6)))
    x = taken.space.all_states()
    xp, mels = taken.compile().get_conn_padded(x)
    assert not np.isnan(mels).any()
    assert taken.space.contains(np.asarray(xp)).all()


def test_ising() -> None:
    hilbert, chain = nk.hilbert.Spin(0.5, 4), nk.graph.Chain(4)
    taken = assert_taken(nk.operator.IsingJax(hilbert, chain, h=0.7, J=-1.3))
    for other in (
        nk.operator.IsingNumba(hilbert, chain, h=0.7, J=-1.3),
        nk.operator.IsingJax(nk.hilbert.Qubit(4), chain, h=0.7, J=-1.3),
    ):
        assert_taken(other, dense(taken))
    op = nk.operator.IsingJax(hilbert, chain, h=0.7, dtype=np.float32)
    assert sym.from_netket(op).dtype == np.float32


def test_bose_hubbard() -> None:
    hilbert, graph = nk.hilbert.Fock(3, 3, n_particles=4), nk.graph.Chain(3)
    op = nk.operator.BoseHubbardJax(hilbert, graph, U=1.5, V=0.3, J=0.7, mu=0.2)
    taken = assert_taken(op)
    free = nk.operator.BoseHubbardJax(
        nk.hilbert.Fock(3, 3), graph, U=1.5, V=0.3, J=0.7, mu=0.2
    )
    kept = np.flatnonzero(free.hilbert.all_states().sum(axis=1) == 4)
    assert np.allclose(dense(sym.from_netket(free))[np.ix_(kept, kept)], dense(taken))
    without = nk.operator.BoseHubbardJax(hilbert, graph, U=1.5)
    assert len(sym.from_netket(without).terms) == 2


@pytest.mark.parametrize("name", ["spins", "inverted", "qubits"])
@pytest.mark.parametrize("seed", range(5))
def test_pauli_strings(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hilbert = HILBERTS.get(name, nk.hilbert.Qubit(4))
    strings = random_strings(rng, 8, 4)
    weights: Any = rng.normal(size=8)
    op = nk.operator.PauliStringsNumba(hilbert, strings, weights, dtype=complex)
    assert_taken(op, kronecker(strings, weights))
    weights = weights + 1j * rng.normal(size=8)
    op = nk.operator.PauliStringsJax(hilbert, strings, weights, dtype=complex)
    assert_taken(op, None if seed == 0 else kronecker(strings, weights))


@pytest.mark.parametrize("seed", range(30))
def test_fermions(seed: int) -> None:
    terms = random_terms(np.random.default_rng(seed), 4, 8, 4)
    op = nk.operator.FermionOperator2ndJax(
        nk.hilbert.Fock(1, 4), *zip(*terms, strict=True), constant=0.5
    )
    expected = None if seed == 0 else matrix_of([*terms, ((), 0.5)], 4)
    assert_taken(op, expected)


def test_fermions_of_a_fixed_number() -> None:
    hilbert = nk.hilbert.SpinOrbitalFermions(4, n_fermions=2)
    terms, weights = ["0^ 2", "2^ 0", "1^ 3^ 2 0", "0^ 2^ 3 1"], [1.0, 1.0, 0.5, 0.5]
    op = nk.operator.FermionOperator2nd(hilbert, terms, weights)
    free = sym.from_fermions(terms, weights, hilbert=nk.hilbert.Fock(1, 4))
    kept = np.flatnonzero(free.hilbert.all_states().sum(axis=1) == 2)
    assert_taken(op, dense(free)[np.ix_(kept, kept)])


def test_what_converts_to_fermion_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    hilbert = nk.hilbert.SpinOrbitalFermions(3, n_fermions=2)
    op = nk.operator.FermionOperator2nd(hilbert, ["0^ 2", "2^ 0"], [1.0, 1.0])
    kind = nk.experimental.operator.ParticleNumberConservingFermioperator2nd
    # Its constructor compiles for long
    monkeypatch.setattr(kind, "to_fermionoperator2nd", lambda _: op)
    conserving = sym.from_netket(object.__new__(kind))
    assert np.allclose(dense(conserving), dense(sym.from_netket(op)))
    assert conserving.name == "ParticleNumberConservingFermioperator2nd"


def test_sums_and_multiples() -> None:
    hilbert = nk.hilbert.Spin(0.5, 3)
    ising = nk.operator.IsingJax(hilbert, nk.graph.Chain(3), h=0.5)
    strings = nk.operator.PauliStringsJax(hilbert, ["XYY", "IZZ"], [0.3, 0.2])
    local = nk.operator.spin.sigmax(hilbert, 1)
    h, p, s = (dense(sym.from_netket(op)) for op in (ising, strings, local))
    taken = sym.from_netket(2.0 * ising - strings + 0.5 * local)
    assert np.allclose(dense(taken), 2 * h - p + 0.5 * s)
    taken = sym.from_netket((1 + 2j) * strings + ising)
    assert np.allclose(dense(taken), (1 + 2j) * p + h)
    assert not taken.is_hermitian


def test_products() -> None:
    hilbert = nk.hilbert.Spin(0.5, 3)
    ising = nk.operator.IsingJax(hilbert, nk.graph.Chain(3), h=0.5)
    strings = nk.operator.PauliStringsJax(hilbert, ["XYY", "IZZ"], [0.3, 0.2])
    h, p = (dense(sym.from_netket(op)) for op in (ising, strings))
    for op, expected in ((0.5 * (ising @ strings), h @ p / 2), (ising @ ising, h @ h)):
        assert np.allclose(dense(sym.from_netket(op)), expected)


def test_adjoints_and_transposes() -> None:
    hilbert, rng = nk.hilbert.Spin(0.5, 3), np.random.default_rng(0)
    matrix = random_matrix(rng, 4, density=1.0)
    op = nk.operator.LocalOperatorJax(hilbert, matrix, [0, 2])
    full = embedded(hilbert, matrix, [0, 2])
    assert np.allclose(dense(sym.from_netket(op.H)), full.conj().T)
    assert np.allclose(dense(sym.from_netket(op.T)), full.T)
    ising = nk.operator.IsingJax(hilbert, nk.graph.Chain(3), h=0.5)
    transposed = sym.from_netket(nk.operator.Transpose(ising))
    assert np.allclose(dense(transposed), dense(sym.from_netket(ising)))
    strings = nk.operator.PauliStringsJax(hilbert, ["XYY", "IZZ"], [0.3, 0.2j])
    with pytest.raises(sym.DefinitionError, match="N012"):
        sym.from_netket(nk.operator.Transpose(strings))


def test_nothing_is_left() -> None:
    hilbert = nk.hilbert.Spin(0.5, 2)
    for op in (
        nk.operator.LocalOperatorJax(hilbert),
        nk.operator.PauliStringsJax(hilbert, ["XX"], [0.0]),
        nk.operator.FermionOperator2ndJax(nk.hilbert.SpinOrbitalFermions(2)),
    ):
        assert not dense(sym.from_netket(op)).any()


@pytest.mark.parametrize("other", [3, "Ising", None, nk.graph.Chain(3)])
def test_what_is_no_operator(other: Any) -> None:
    with pytest.raises(sym.DefinitionError, match="N011") as caught:
        sym.from_netket(other)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_operators_of_another_kind() -> None:
    hilbert = nk.hilbert.Spin(0.5, 3)
    ising = nk.operator.IsingJax(hilbert, nk.graph.Chain(3), h=0.5)
    with pytest.raises(sym.DefinitionError, match=r"N011.*LocalLiouvillian"):
        sym.from_netket(nk.operator.LocalLiouvillian(ising.to_local_operator()))
