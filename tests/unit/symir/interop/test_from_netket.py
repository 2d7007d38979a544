"""NetKet's operators, taken over, against their own matrices."""

from __future__ import annotations

# pyright: basic
from typing import Any

import netket
import numpy as np
import numpy.typing as npt
import pytest
import sparse

import symir as sym
from dialects.interpreters.sym import connections
from tests.unit.symir.interop.matrices import (
    matrix_from,
    matrix_of_branches,
    states_of,
)
from tests.unit.symir.interop.test_fermions import matrix_of, random_terms
from tests.unit.symir.interop.test_pauli import kronecker, random_strings

nk: Any = netket  # too dynamic for a type checker


def dense(op: sym.SymbolicOperator) -> npt.NDArray[Any]:
    """Return the matrix by the reference interpreter."""
    x = states_of(op.hilbert)
    return matrix_from(op.hilbert, *connections(op.to_ir().module, x))


def assert_taken(op: Any, expected: Any = None) -> sym.SymbolicOperator:
    taken = sym.from_netket(op)
    expected = matrix_of_branches(op) if expected is None else expected
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
@pytest.mark.parametrize("seed", range(2))
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


def test_fermions_are_those_of_netket() -> None:
    terms = random_terms(np.random.default_rng(0), 4, 8, 4)
    op = nk.operator.FermionOperator2ndJax(
        nk.hilbert.Fock(1, 4), *zip(*terms, strict=True), constant=0.5
    )
    assert_taken(op)


def test_fermions_of_a_fixed_number() -> None:
    hilbert = nk.hilbert.SpinOrbitalFermions(4, n_fermions=2)
    terms, weights = ["0^ 2", "2^ 0", "1^ 3^ 2 0", "0^ 2^ 3 1"], [1.0, 1.0, 0.5, 0.5]
    op = nk.operator.FermionOperator2nd(hilbert, terms, weights)
    free = sym.from_fermions(terms, weights, hilbert=nk.hilbert.Fock(1, 4))
    kept = np.flatnonzero(free.hilbert.all_states().sum(axis=1) == 2)
    assert_taken(op, dense(free)[np.ix_(kept, kept)])


conserving = nk.experimental.operator.ParticleNumberConservingFermioperator2nd
spin_conserving = (
    nk.experimental.operator.ParticleNumberAndSpinConservingFermioperator2nd
)
Terms = list[tuple[Any, complex]]


def on_states(hilbert: Any, terms: Terms) -> npt.NDArray[Any]:
    """Return the matrix of products, from that without a fixed number of fermions."""
    kept = states_of(hilbert) @ 2 ** np.arange(hilbert.size)[::-1]
    return matrix_of(terms, hilbert.size)[np.ix_(kept, kept)]


def weights_of(rng: np.random.Generator, shape: Any, *, is_complex: bool) -> Any:
    real = rng.normal(size=shape)
    return real + 1j * rng.normal(size=shape) if is_complex else real


def terms_of(weights: Any, shifts: Any, creates: Any) -> Terms:
    """Return a product for each element of an array."""
    return [
        (tuple(zip(np.add(place, shifts), creates, strict=True)), weights[place])
        for place in zip(*np.nonzero(weights), strict=True)
    ]


CONSERVED = nk.hilbert.SpinOrbitalFermions(4, n_fermions=2)
ELECTRONS = nk.hilbert.SpinOrbitalFermions(3, s=0.5, n_fermions_per_spin=(2, 1))


@pytest.mark.parametrize("seed", range(4))
def test_fermions_that_conserve_their_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    is_complex = seed % 2 == 1
    constant, one, two = (
        weights_of(rng, (4,) * k, is_complex=is_complex) for k in (0, 2, 4)
    )
    two[rng.permutation(256).reshape(two.shape) < 180] = 0
    op = conserving.from_sparse_arrays(CONSERVED, [constant, one, two])
    terms = [
        ((), constant),
        *terms_of(one, 0, (1, 0)),
        *terms_of(two, 0, (1, 1, 0, 0)),
    ]
    taken = sym.from_netket(op)
    expected = on_states(CONSERVED, terms)
    assert np.allclose(dense(taken), expected, rtol=0, atol=1e-12)
    assert taken.name == "ParticleNumberConservingFermioperator2nd"
    assert taken.dtype == np.dtype(complex if is_complex else float)
    assert taken.hilbert is CONSERVED
    if seed < 2:
        assert np.allclose(matrix_of_branches(op), expected, rtol=0, atol=1e-12)


def electrons(seed: int) -> tuple[Any, Terms]:
    """Return an operator of all kinds of products that NetKet's class has."""
    rng = np.random.default_rng(seed)
    constant, down, up, pairs, mixed = (
        weights_of(rng, (3,) * k, is_complex=seed % 2 == 1) for k in (0, 2, 2, 4, 4)
    )
    pairs[rng.random(pairs.shape) < 0.3] = 0
    mixed[rng.random(mixed.shape) < 0.3] = 0
    a, b, c, d = np.indices(pairs.shape)
    pairs[(a <= b) | (c <= d)] = 0
    arrays = {
        (0, ()): constant,
        (2, (0,)): sparse.COO(down),
        (2, (1,)): sparse.COO(up),
        (4, (0, 1)): sparse.COO(pairs),
        (4, ((1, 0),)): sparse.COO(mixed),
    }
    op = spin_conserving._from_sparse_arrays_normal_order(ELECTRONS, arrays)
    # c^+_a c_c of spin up, c^+_b c_d of spin down
    reordered = mixed.transpose(0, 2, 1, 3)
    terms = [
        ((), constant),
        *terms_of(down, 0, (1, 0)),
        *terms_of(up, 3, (1, 0)),
        *terms_of(pairs, 0, (1, 1, 0, 0)),
        *terms_of(pairs, 3, (1, 1, 0, 0)),
        *terms_of(reordered, (3, 3, 0, 0), (1, 0, 1, 0)),
    ]
    return op, terms


@pytest.mark.parametrize("seed", range(4))
def test_fermions_that_conserve_their_spin(seed: int) -> None:
    op, terms = electrons(seed)
    taken = sym.from_netket(op)
    expected = on_states(ELECTRONS, terms)
    assert np.allclose(dense(taken), expected, rtol=0, atol=1e-12)
    assert taken.name == "ParticleNumberAndSpinConservingFermioperator2nd"
    assert not taken.is_hermitian
    if seed == 1:
        assert np.allclose(matrix_of_branches(op), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_fermi_hubbard(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = nk.graph.Chain(3)
    t, u = rng.normal(size=3), rng.normal(size=3)
    op = nk.operator.FermiHubbardJax(ELECTRONS, graph=graph, t=t.tolist(), U=u.tolist())
    terms: Terms = []
    for (i, j), weight in zip(graph.edges(), t, strict=True):
        for s in (0, 3):
            there, back = ((i + s, 1), (j + s, 0)), ((j + s, 1), (i + s, 0))
            terms += [(there, -weight), (back, -weight)]
    terms += [
        (((i, 1), (i, 0), (i + 3, 1), (i + 3, 0)), weight) for i, weight in enumerate(u)
    ]
    taken = sym.from_netket(op)
    expected = on_states(ELECTRONS, terms)
    assert np.allclose(dense(taken), expected, rtol=0, atol=1e-12)
    assert taken.is_hermitian
    assert taken.name == "FermiHubbardJax"
    if not seed:
        assert np.allclose(matrix_of_branches(op), expected, rtol=0, atol=1e-12)


def test_nothing_conserved_is_left() -> None:
    op = spin_conserving._from_sparse_arrays_normal_order(ELECTRONS, {})
    assert not dense(sym.from_netket(op)).any()


def test_products_out_of_order() -> None:
    weights = np.zeros((4,) * 4)
    weights[3, 2, 0, 1] = 1.0
    parts = {4: (np.argwhere(weights), np.ones(1))}
    op = conserving._from_coords_data_normal_order(CONSERVED, parts)
    with pytest.raises(sym.DefinitionError, match="N016"):
        sym.from_netket(op)
    parts = {4: (np.array([[2, 3, 1, 0]]), np.ones(1))}
    op = conserving._from_coords_data_normal_order(CONSERVED, parts)
    assert not dense(sym.from_netket(op)).any()  # NetKet never finds it


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


def test_what_is_hermitian_whatever_it_is_made_of() -> None:
    """Squares are; NetKet says so of sums and models, too, that are not."""
    hilbert, graph = nk.hilbert.Spin(0.5, 3), nk.graph.Chain(3)
    up = nk.operator.spin.sigmap(hilbert, 0)
    ising = nk.operator.IsingJax(hilbert, graph, h=0.5)
    total = ising + 1j * nk.operator.PauliStringsJax(hilbert, ["XYY"])
    a, b = dense(sym.from_netket(up)), dense(sym.from_netket(total))
    for op, expected in (
        (nk.operator.Squared(up), a.conj().T @ a),
        (nk.operator.Squared(total), b.conj().T @ b),
    ):
        taken = sym.from_netket(op)
        assert taken.declared_hermitian is True
        assert np.allclose(dense(taken), expected)
        assert taken.compile().is_hermitian
    assert total.is_hermitian  # says NetKet
    assert not sym.from_netket(total).is_hermitian
    adjoint = sym.from_netket(nk.operator.Adjoint(total))
    assert np.allclose(dense(adjoint), b.conj().T)
    transposed = sym.from_netket(nk.operator.Transpose(total))
    assert np.allclose(dense(transposed), b.T)
    hop = nk.operator.LocalOperatorJax(hilbert, [[0, 1j], [-1j, 0]], [1], dtype=complex)
    assert sym.from_netket(nk.operator.Transpose(hop)).is_hermitian


def test_nothing_is_left() -> None:
    hilbert = nk.hilbert.Spin(0.5, 2)
    for op in (
        nk.operator.LocalOperatorJax(hilbert),
        nk.operator.PauliStringsJax(hilbert, ["XX"], [0.0]),
        nk.operator.FermionOperator2ndJax(nk.hilbert.SpinOrbitalFermions(2)),
    ):
        assert not dense(sym.from_netket(op)).any()


# region Generated operators of every class


def compiled_dense(op: sym.SymbolicOperator) -> npt.NDArray[Any]:
    """Return the matrix that the compiled kernel says."""
    x = states_of(op.hilbert)
    return matrix_from(op.hilbert, *op.compile().get_conn_padded(x))


def assert_generated(op: Any, expected: Any, seed: int) -> None:
    """Compare matrices to 1e-12 of the largest element, and what is claimed of them.

    Every operator goes through the reference interpreter, and two of twelve, a real
    and a complex one of both of NetKet's classes, through the compiled kernel too,
    which takes ten times as long.
    """
    taken = sym.from_netket(op)
    tolerance = 1e-12 * max(float(np.abs(expected).max()), 1.0)
    for found in [dense(taken), *([] if seed % 7 else [compiled_dense(taken)])]:
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert taken.hilbert is op.hilbert
    assert taken.dtype == np.dtype(op.dtype)
    if taken.is_hermitian:
        np.testing.assert_allclose(expected, expected.conj().T, rtol=0, atol=tolerance)


def drawn(rng: np.random.Generator, seed: int, *, every: int = 2) -> Any:
    """Return a number, complex for every second seed."""
    return complex(*rng.normal(size=2)) if seed % every else float(rng.normal())


def drawn_graph(rng: np.random.Generator, sites: int) -> Any:
    pairs = [(a, b) for a in range(sites) for b in range(a + 1, sites)]
    count = int(rng.integers(1, len(pairs) + 1))
    edges = [pairs[k] for k in rng.permutation(len(pairs))[:count]]
    return nk.graph.Graph(edges, n_nodes=sites)


X, Z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])
twelve = pytest.mark.parametrize("seed", range(12))


def dtype_of(*numbers: Any) -> type:
    return complex if any(isinstance(one, complex) for one in numbers) else float


def drawn_ising(rng: np.random.Generator, seed: int) -> tuple[Any, Any]:
    hilbert, graph = HILBERTS["spins"], drawn_graph(rng, 4)
    field, coupling = drawn(rng, seed), drawn(rng, seed)
    kind = (nk.operator.IsingJax, nk.operator.IsingNumba)[seed % 4 // 2]
    dtype = dtype_of(field, coupling)
    op = kind(hilbert, graph, h=field, J=coupling, dtype=dtype)
    expected = sum(-field * embedded(hilbert, X, [k]) for k in range(4))
    for edge in graph.edges():
        expected = expected + coupling * embedded(hilbert, np.kron(Z, Z), [*edge])
    return op, expected


@twelve
def test_generated_ising(seed: int) -> None:
    op, expected = drawn_ising(np.random.default_rng(seed), seed)
    assert_generated(op, expected, seed)


@twelve
def test_generated_heisenberg(seed: int) -> None:
    """Couplings of two colours, with and without the sign rule of Marshall."""
    rng, hilbert = np.random.default_rng(seed), HILBERTS["spins"]
    colours = [(0, 1, 0), (1, 2, 1), (2, 3, 0), (0, 3, 1)][: rng.integers(2, 5)]
    graph = nk.graph.Graph(colours, n_nodes=4)
    couplings: Any = rng.normal(size=2).tolist()
    rule: Any = (rng.random(2) < 0.5).tolist()
    op = nk.operator.Heisenberg(hilbert, graph, J=couplings, sign_rule=rule)
    flips = np.kron(X, X) - np.kron([[0, -1], [1, 0]], [[0, -1], [1, 0]])
    expected = np.zeros((16, 16))
    for a, b, colour in colours:
        sign = -1 if rule[colour] else 1
        bond = np.kron(Z, Z) + sign * flips
        expected += couplings[colour] * embedded(hilbert, bond, [a, b])
    assert_generated(op if seed % 2 else op.to_jax_operator(), expected, seed)


@twelve
def test_generated_bose_hubbard(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = 2 + seed % 2
    hilbert, graph = nk.hilbert.Fock(levels, 3), drawn_graph(rng, 3)
    u, v, j, mu = (drawn(rng, seed, every=3) for _ in range(4))
    kind = (nk.operator.BoseHubbardJax, nk.operator.BoseHubbardNumba)[seed % 4 // 2]
    op = kind(hilbert, graph, U=u, V=v, J=j, mu=mu, dtype=dtype_of(u))
    n, lower = (
        np.diag(np.arange(levels + 1.0)),
        np.diag(np.sqrt(range(1, levels + 1)), 1),
    )
    local = u / 2 * n @ (n - np.eye(levels + 1)) - mu * n
    bond = v * np.kron(n, n) - j * (np.kron(lower.T, lower) + np.kron(lower, lower.T))
    expected = sum(embedded(hilbert, local, [k]) for k in range(3))
    for edge in graph.edges():
        expected = expected + embedded(hilbert, bond, [*edge])
    assert_generated(op, expected, seed)


def drawn_local(rng: np.random.Generator, seed: int, name: str) -> tuple[Any, Any]:
    hilbert = HILBERTS[name]
    kind = (nk.operator.LocalOperatorJax, nk.operator.LocalOperator)[seed % 2]
    sites = [rng.permutation(hilbert.size)[: rng.integers(1, 3)].tolist() for _ in "ab"]
    sizes = [int(np.prod([hilbert.shape[site] for site in of])) for of in sites]
    matrices = [random_matrix(rng, size, density=0.5) for size in sizes]
    expected = sum(
        embedded(hilbert, m, s) for m, s in zip(matrices, sites, strict=True)
    )
    return kind(hilbert, matrices, sites), expected


@twelve
def test_generated_local_operators(seed: int) -> None:
    rng = np.random.default_rng(seed)
    op, expected = drawn_local(rng, seed, [*HILBERTS][seed % len(HILBERTS)])
    assert_generated(op, expected, seed)


def drawn_strings(rng: np.random.Generator, seed: int) -> tuple[Any, Any]:
    strings = random_strings(rng, 5, 4)
    weights = np.array([drawn(rng, seed) for _ in strings])
    kind = (nk.operator.PauliStringsJax, nk.operator.PauliStringsNumba)[seed % 4 // 2]
    op = kind(HILBERTS["spins"], strings, weights, dtype=complex)
    return op, kronecker(strings, weights)


@twelve
def test_generated_pauli_strings(seed: int) -> None:
    op, expected = drawn_strings(np.random.default_rng(seed), seed)
    assert_generated(op, expected, seed)


@twelve
def test_generated_fermions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = random_terms(rng, 4, 6, 4)
    kinds = nk.operator.FermionOperator2ndJax, nk.operator.FermionOperator2ndNumba
    hilbert, constant = nk.hilbert.Fock(1, 4), drawn(rng, seed)
    op = kinds[seed % 2](
        hilbert, *zip(*terms, strict=True), constant=constant, dtype=complex
    )
    assert_generated(op, matrix_of([*terms, ((), constant)], 4), seed)


def drawn_parts(rng: np.random.Generator, seed: int) -> list[tuple[Any, Any]]:
    """Return operators of three classes on one space, as NetKet may combine them."""
    parts = [
        drawn_ising(rng, seed),
        drawn_local(rng, seed, "spins"),
        drawn_strings(rng, seed),
    ]
    return [(op.to_jax_operator(), matrix) for op, matrix in parts]


@twelve
def test_generated_sums(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = drawn_parts(rng, seed)
    factors = [drawn(rng, seed + k) for k in range(3)]
    op = sum((f * part for f, (part, _) in zip(factors[1:], parts[1:], strict=True)), 0)
    op = factors[0] * parts[0][0] + op
    expected = sum(f * matrix for f, (_, matrix) in zip(factors, parts, strict=True))
    assert_generated(op, expected, seed)


@twelve
def test_generated_products(seed: int) -> None:
    rng = np.random.default_rng(seed)
    (a, a_matrix), (b, b_matrix), _ = [
        drawn_parts(rng, seed)[k] for k in rng.permutation(3)
    ]
    factor = drawn(rng, seed)
    assert_generated(factor * (a @ b), factor * a_matrix @ b_matrix, seed)


def test_complex_couplings_are_not_hermitian() -> None:
    """NetKet says of its models that they are, whatever the couplings."""
    graph = nk.graph.Chain(3)
    for op in (
        nk.operator.IsingJax(nk.hilbert.Spin(0.5, 3), graph, h=1j, dtype=complex),
        nk.operator.BoseHubbardJax(nk.hilbert.Fock(2, 3), graph, U=1j, dtype=complex),
    ):
        assert op.is_hermitian
        taken = sym.from_netket(op)
        assert not taken.is_hermitian
        assert np.allclose(dense(taken.H), dense(taken).conj().T)


# endregion


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
