"""The models: each one the matrix that its formula says, computed in two ways."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from itertools import combinations, combinations_with_replacement
from itertools import product as product_of
from math import comb
from typing import Any

import netket as nk
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse

import symir as sym
from dialects.interpreters.sym import dense_matrix
from symir import models
from tests.unit.symir.interop.matrices import matrix_of_branches, states_of

Matrix = npt.NDArray[Any]
Sparse = Any

# What NetKet's classes take is hidden by their metaclass
operators: Any = nk.operator

CHAIN = [(k, (k + 1) % 4) for k in range(4)]
"""A periodic chain of four sites: a square too."""

PATH = [(0, 1), (1, 2), (1, 3)]
"""A tree of four sites, which no symmetry maps onto itself."""

WEIGHTS = [0.3, -1.1, 0.7, 1.9]


# ---- matrices, from textbooks ----


def product(dims: list[int], factors: Mapping[int, Matrix]) -> Matrix:
    """Return the Kronecker product with these matrices at these sites, else 1."""
    sites = (factors.get(site, np.eye(dim)) for site, dim in enumerate(dims))
    return reduce(np.kron, sites)


# Local states ascend, so that of -1 comes first
X = np.array([[0, 1], [1, 0]])
Y = np.array([[0, 1j], [-1j, 0]])
Z = np.diag([-1, 1])
N = np.diag([0, 1])


def total(matrices: Iterable[Matrix]) -> Matrix:
    return np.sum([*matrices], axis=0)


def on_spins(n: int, factors: Mapping[int, Matrix]) -> Matrix:
    return product([2] * n, factors)


def annihilator(n: int, site: int) -> Matrix:
    """Return c of a site, with Jordan and Wigner's string on the sites before it."""
    string = {k: np.diag([1, -1]) for k in range(site)}
    return on_spins(n, {**string, site: np.array([[0, 1], [0, 0]])})


def boson(n_max: int) -> Matrix:
    return np.diag(np.sqrt(np.arange(1, n_max + 1)), 1)


def compiled_matrix(operator: sym.SymbolicOperator) -> Matrix:
    states = operator.space.all_states()
    number = {tuple(state): k for k, state in enumerate(states.tolist())}
    xp, mels = operator.compile().get_conn_padded(states)
    found = np.zeros((len(states), len(states)), np.asarray(mels).dtype)
    branches = zip(np.asarray(xp).tolist(), np.asarray(mels), strict=True)
    for row, (targets, elements) in enumerate(branches):
        np.add.at(found[row], [number[tuple(target)] for target in targets], elements)
    return found


def check(operator: sym.SymbolicOperator, expected: Matrix) -> None:
    """Compare a model's matrix, interpreted and compiled, with one to be trusted."""
    assert np.abs(expected).max() > 0
    assert operator.is_hermitian
    for found in (dense_matrix(operator.to_ir().module), compiled_matrix(operator)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found, found.conj().T, rtol=0, atol=1e-12)


def of_netket(operator: Any, space: sym.Space) -> Matrix:
    """Return the matrix of an operator of NetKet, in the order of a space of symir."""
    states = states_of(operator.hilbert).tolist()
    number = {tuple(state): k for k, state in enumerate(states)}
    order = [number[tuple(state)] for state in space.all_states().tolist()]
    return matrix_of_branches(operator)[np.ix_(order, order)]


# ---- spins ----


def test_transverse_field_ising_is_netkets() -> None:
    graph = nk.graph.Graph(edges=CHAIN)
    hilbert = nk.hilbert.Spin(0.5, 4)
    expected = operators.Ising(hilbert=hilbert, graph=graph, h=0.7, J=1.3)
    for operator in (
        models.transverse_field_ising(4, CHAIN, J=1.3, h=0.7),
        models.transverse_field_ising(hilbert, graph, J=1.3, h=0.7),
        models.transverse_field_ising(4, iter(CHAIN), sym.symbol("J", 1.3), h=0.7),
    ):
        check(operator, of_netket(expected, operator.space))


def test_transverse_field_ising_with_couplings_of_their_own() -> None:
    J = np.array([0.5, -1.5, 2.5])
    expected: Matrix = total(
        c * on_spins(4, {a: Z, b: Z}) for c, (a, b) in zip(J, PATH, strict=True)
    ) - total(h * on_spins(4, {k: X}) for k, h in enumerate(WEIGHTS))
    check(models.transverse_field_ising(4, PATH, J, WEIGHTS), expected)


def test_long_range_ising() -> None:
    expected: Matrix = total(
        1.3 / (b - a) ** 1.5 * on_spins(4, {a: Z, b: Z})
        for a, b in combinations(range(4), 2)
    ) - total(0.7 * on_spins(4, {k: X}) for k in range(4))
    check(models.long_range_ising(4, 1.5, J=1.3, h=0.7), expected)


def test_heisenberg_is_netkets() -> None:
    hilbert = nk.hilbert.Spin(0.5, 4)
    graph = nk.graph.Graph(edges=PATH)
    expected = operators.Heisenberg(hilbert, graph, J=1.3, sign_rule=False)
    operator = models.heisenberg(4, graph, J=1.3)
    check(operator, of_netket(expected, operator.space))


def exchange(n: int, a: int, b: int, delta: float = 1.0) -> Matrix:
    pairs = ((1, X), (1, Y), (delta, Z))
    return total(c * on_spins(n, {a: m, b: m}) for c, m in pairs)


def test_xxz() -> None:
    expected: Matrix = total(
        c * exchange(4, a, b, 0.6) for c, (a, b) in zip(WEIGHTS, CHAIN, strict=True)
    ) + total(h * on_spins(4, {k: Z}) for k, h in enumerate(WEIGHTS))
    check(models.xxz(4, CHAIN, WEIGHTS, 0.6, WEIGHTS), expected)


def test_xxz_without_a_field() -> None:
    expected: Matrix = total(1.3 * exchange(4, a, b, 0.6) for a, b in PATH)
    check(models.xxz(4, PATH, 1.3, 0.6), expected)


def test_j1_j2() -> None:
    far = [(0, 2), (1, 3)]
    expected: Matrix = total(1.3 * exchange(4, a, b) for a, b in CHAIN) + total(
        0.4 * exchange(4, a, b) for a, b in far
    )
    check(models.j1_j2(4, (CHAIN, far), 1.3, 0.4), expected)


def test_j1_j2_at_its_exact_point() -> None:
    """Majumdar and Ghosh: dimers with -3 each are the ground states at J2 = J1 / 2."""
    far = [(k, (k + 2) % 6) for k in range(6)]
    near = [(k, (k + 1) % 6) for k in range(6)]
    matrix = dense_matrix(models.j1_j2(6, (near, far), 1.0, 0.5).to_ir().module)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix)[:2], -9, atol=1e-12)


def test_kitaev_honeycomb() -> None:
    bonds = ([(0, 1), (2, 3)], [(1, 2)], [(3, 0)])
    J = (0.5, 1.5, -0.7)
    expected: Matrix = -total(
        c * on_spins(4, {a: m, b: m})
        for c, m, pairs in zip(J, (X, Y, Z), bonds, strict=True)
        for a, b in pairs
    )
    check(models.kitaev_honeycomb(4, bonds, J), expected)


# ---- more than two states ----


@pytest.mark.parametrize("q", [2, 3, 4])
def test_potts(q: int) -> None:
    dims = [q] * 3
    raising = np.roll(np.eye(q), 1, axis=0)
    powers = total(np.linalg.matrix_power(raising, k) for k in range(1, q))
    projectors = [np.diag(row) for row in np.eye(q)]
    expected: Matrix = -total(
        c * product(dims, {a: p, b: p})
        for c, (a, b) in ((1.3, (0, 1)), (-0.4, (1, 2)))
        for p in projectors
    ) - total(0.7 * product(dims, {k: np.asarray(powers)}) for k in range(3))
    check(
        models.potts(sym.fock(q - 1, 3), [(0, 1), (1, 2)], [1.3, -0.4], 0.7), expected
    )


@pytest.mark.parametrize("q", [2, 3, 4])
def test_clock(q: int) -> None:
    dims = [q] * 3
    X = np.roll(np.eye(q), 1, axis=0)
    Z = np.diag(np.exp(2j * np.pi * np.arange(q) / q))
    bond: Matrix = total(
        1.3 * product(dims, {a: Z.conj(), b: Z}) for a, b in ((0, 1), (1, 2))
    )
    expected: Matrix = -(bond + bond.conj().T) - total(
        0.7 * product(dims, {k: X + X.T}) for k in range(3)
    )
    check(models.clock(sym.fock(q - 1, 3), [(0, 1), (1, 2)], 1.3, 0.7), expected)


# ---- atoms ----


def test_pxp() -> None:
    down = np.diag([1, 0])
    around = [[1], [0, 2, 3], [1], [1]]
    expected: Matrix = total(
        omega * on_spins(4, {k: X, **dict.fromkeys(blockers, down)})
        for k, (omega, blockers) in enumerate(zip(WEIGHTS, around, strict=True))
    )
    check(models.pxp(4, PATH, WEIGHTS), expected)


@pytest.mark.parametrize("dimension", [1, 2])
def test_rydberg(dimension: int) -> None:
    positions = np.array([[0, 0], [1, 0.5], [2.5, 0], [3, -1]])[:, :dimension]
    distance = {
        (a, b): np.linalg.norm(positions[a] - positions[b])
        for a, b in combinations(range(4), 2)
    }
    expected: Matrix = total(
        0.9 / 2 * on_spins(4, {k: X}) - detuning * on_spins(4, {k: N})
        for k, detuning in enumerate(WEIGHTS)
    ) + total(1.3 / d**6 * on_spins(4, {a: N, b: N}) for (a, b), d in distance.items())
    places = positions[:, 0] if dimension == 1 else positions
    check(models.rydberg(4, places, 0.9, WEIGHTS, 1.3), expected)


# ---- bosons ----


def test_bose_hubbard_is_netkets() -> None:
    graph = nk.graph.Graph(edges=CHAIN)
    hilbert = nk.hilbert.Fock(3, 4)
    expected = operators.BoseHubbard(
        hilbert=hilbert, graph=graph, U=2.5, J=1.3, mu=0.4, V=0.6
    )
    operator = models.bose_hubbard(sym.fock(3, 4), CHAIN, J=1.3, U=2.5, mu=0.4, V=0.6)
    check(operator, of_netket(expected, operator.space))


def test_bose_hubbard_with_phases() -> None:
    dims, a = [3] * 4, boson(2)
    phases = [0.4, -1.3, 2.2]
    hopping: Matrix = total(
        -1.3 * np.exp(1j * phi) * product(dims, {i: a.T, j: a})
        for phi, (i, j) in zip(phases, PATH, strict=True)
    )
    n = a.T @ a
    expected: Matrix = (
        hopping
        + hopping.conj().T
        + total(0.6 * product(dims, {i: n, j: n}) for i, j in PATH)
        + total(
            product(dims, {k: 2.5 / 2 * n @ (n - np.eye(3)) - mu * n})
            for k, mu in enumerate(WEIGHTS)
        )
    )
    operator = models.bose_hubbard(sym.fock(2, 4), PATH, 1.3, 2.5, WEIGHTS, 0.6, phases)
    check(operator, expected)


def test_dicke() -> None:
    dims, a = [4, 2, 2], boson(3)
    expected: Matrix = product(dims, {0: 0.9 * a.T @ a}) + total(
        product(dims, {k: w / 2 * Z})
        + 0.7 / np.sqrt(2) * product(dims, {0: a + a.T, k: X})
        for k, w in ((1, 1.3), (2, 0.4))
    )
    check(
        models.dicke(sym.fock(3, 1) * sym.spin(0.5, 2), 0.9, [1.3, 0.4], 0.7), expected
    )


def test_spin_boson() -> None:
    dims, a = [2, 3, 3], boson(2)
    expected: Matrix = product(dims, {0: 0.7 / 2 * Z - 1.1 / 2 * X}) + total(
        product(dims, {k: omega * a.T @ a}) + product(dims, {0: g / 2 * Z, k: a + a.T})
        for k, omega, g in ((1, 1.3, 0.4), (2, 0.9, -0.6))
    )
    check(
        models.spin_boson(
            sym.spin(0.5, 1) * sym.fock(2, 2), [1.3, 0.9], [0.4, -0.6], 0.7, 1.1
        ),
        expected,
    )


# ---- fermions ----


@pytest.mark.filterwarnings(r"ignore:\s*WARNING")  # NetKet knows a faster operator
def test_fermi_hubbard_is_netkets() -> None:
    hilbert = nk.hilbert.SpinOrbitalFermions(4, s=0.5)
    hops = [
        (i + s, j + s) for i, j in [*CHAIN, *((b, a) for a, b in CHAIN)] for s in (0, 4)
    ]
    terms: list[list[tuple[int, int]]] = [[(i, 1), (j, 0)] for i, j in hops]
    terms += [[(k, 1), (k, 0), (4 + k, 1), (4 + k, 0)] for k in range(4)]
    weights = [-1.3] * len(hops) + WEIGHTS
    expected = operators.FermionOperator2ndJax(hilbert, terms, weights)
    operator = models.fermi_hubbard(4, CHAIN, t=1.3, U=WEIGHTS)
    check(operator, of_netket(expected, operator.space))


def test_fermi_hubbard_from_its_formula() -> None:
    ring = [(0, 1), (1, 2), (2, 0)]
    c = [annihilator(6, k) for k in range(6)]
    hopping: Matrix = -1.3 * total(
        c[i + s].T @ c[j + s] for s in (0, 3) for i, j in ring
    )
    expected: Matrix = (
        hopping
        + hopping.T
        + total(2.5 * on_spins(6, {k: N, 3 + k: N}) for k in range(3))
    )
    check(models.fermi_hubbard(3, ring, 1.3, 2.5), expected)


def test_t_j() -> None:
    """In the space of the Fermi-Hubbard model, without the states that P excludes."""
    ring = [(0, 1), (1, 2), (2, 0)]
    c = [[annihilator(6, 2 * k + s) for s in (0, 1)] for k in range(3)]
    spins = [
        [
            np.vstack(c[k]).T.conj() @ np.kron(m, np.eye(64)) @ np.vstack(c[k]) / 2
            for m in (X, Y, Z)
        ]
        for k in range(3)
    ]
    numbers = [up.T @ up + down.T @ down for up, down in c]
    hopping = -1.3 * total(c[a][s].T @ c[b][s] for a, b in ring for s in (0, 1))
    exchange = total(
        J
        * (
            total(spins[a][m] @ spins[b][m] for m in range(3))
            - numbers[a] @ numbers[b] / 4
        )
        for J, (a, b) in zip(WEIGHTS, ring, strict=False)
    )
    # The two modes of a site, down and up, are 10, 00 and 01: of these states, in order
    local = (2, 0, 1)
    kept = [16 * a + 4 * b + c for a, b, c in product_of(local, repeat=3)]
    expected = (hopping + hopping.T + exchange)[np.ix_(kept, kept)]
    check(models.t_j(3, iter(ring), 1.3, WEIGHTS[:3]), expected)


def test_syk() -> None:
    n = 5
    J = models.syk_couplings(n, 1.3, seed=4)
    c = [annihilator(n, k) for k in range(n)]
    pairs = [*combinations(range(n), 2)]
    expected: Matrix = total(
        J[row, column] * c[i].T @ c[j].T @ c[m] @ c[k]
        for row, (i, j) in enumerate(pairs)
        for column, (k, m) in enumerate(pairs)
    ) / (2 * n) ** 1.5 - total(0.7 * on_spins(n, {k: N}) for k in range(n))
    check(models.syk(n, J, 0.7), expected)


def test_syk_couplings() -> None:
    J = models.syk_couplings(12, 1.5)
    np.testing.assert_array_equal(J, J.conj().T)
    np.testing.assert_array_equal(J, models.syk_couplings(12, 1.5))
    off_diagonal = J[~np.eye(66, dtype=bool)]
    np.testing.assert_allclose(np.mean(np.abs(off_diagonal) ** 2), 1.5**2, rtol=0.05)


def majoranas(n: int) -> list[Matrix]:
    """Return matrices of the Clifford algebra: {chi_a, chi_b} = delta_ab."""
    c = [annihilator(n, k) for k in range(n)]
    chi = [m for a in c for m in ((a.T + a) / 2**0.5, 1j * (a.T - a) / 2**0.5)]
    for a, b in combinations_with_replacement(range(2 * n), 2):
        expected: Matrix = np.eye(2**n) * (a == b)
        found = chi[a] @ chi[b] + chi[b] @ chi[a]
        np.testing.assert_allclose(found, expected, atol=1e-15)
    return chi


@pytest.mark.parametrize("n", [2, 4])
def test_majorana_syk(n: int) -> None:
    J = models.majorana_syk_couplings(n, 1.3, seed=5)
    chi = majoranas(n)
    expected: Matrix = total(
        c * chi[a] @ chi[b] @ chi[k] @ chi[m]
        for c, (a, b, k, m) in zip(J, combinations(range(2 * n), 4), strict=True)
    )
    check(models.majorana_syk(n, J), expected)


def test_majorana_syk_couplings() -> None:
    J = models.majorana_syk_couplings(12, 1.5)
    np.testing.assert_array_equal(J, models.majorana_syk_couplings(12, 1.5))
    np.testing.assert_allclose(np.mean(J**2), 6 * 1.5**2 / 24**3, rtol=0.05)
    with pytest.raises(sym.DefinitionError, match="D024"):
        models.majorana_syk(4, J)


# ---- gauge theories ----


def links(shape: tuple[int, int], d: int, x: int, y: int) -> int:
    return 2 * ((x % shape[0]) * shape[1] + y % shape[1]) + d


def around(shape: tuple[int, int], x: int, y: int) -> tuple[list[int], list[int]]:
    """Return the links at a vertex, and those around the plaquette there."""
    star = [(0, x, y), (0, x - 1, y), (1, x, y), (1, x, y - 1)]
    plaquette = [(0, x, y), (0, x, y + 1), (1, x, y), (1, x + 1, y)]
    at, of = ([links(shape, *link) for link in some] for some in (star, plaquette))
    return at, of


def strings(shape: tuple[int, int]) -> tuple[list[Matrix], list[Matrix]]:
    """Return the star operators and the plaquette operators."""
    n = 2 * shape[0] * shape[1]
    places = [around(shape, x, y) for x, y in np.ndindex(*shape)]
    return (
        [on_spins(n, dict.fromkeys(star, X)) for star, _ in places],
        [on_spins(n, dict.fromkeys(links, Z)) for _, links in places],
    )


def test_toric_code() -> None:
    A, B = strings((2, 2))
    expected: Matrix = -1.3 * total(A) - 0.7 * total(B)
    check(models.toric_code(8, (2, 2), 1.3, 0.7), expected)
    energies = np.linalg.eigvalsh(expected)
    np.testing.assert_allclose(energies[:4], -8, atol=1e-12)
    assert energies[4] > -7


def test_z2_gauge() -> None:
    A, B = strings((2, 2))
    expected: Matrix = -1.3 * total(B) - 0.7 * total(
        on_spins(8, {k: X}) for k in range(8)
    )
    check(models.z2_gauge(8, (2, 2), 1.3, 0.7), expected)
    for star in A:
        np.testing.assert_allclose(expected @ star, star @ expected, atol=1e-12)


def u1_matrix(shape: tuple[int, int], g: float, s: float) -> Sparse:
    """Return the U(1) quantum link model, from the matrices of a spin s."""
    m = np.arange(-s, s + 1)
    U = np.diag(np.sqrt(s * (s + 1) - m[:-1] * m[1:]), -1)
    n = 2 * shape[0] * shape[1]

    def on_links(factors: Mapping[int, Matrix]) -> Sparse:
        matrices = (factors.get(link, np.eye(len(m))) for link in range(n))
        return reduce(scipy.sparse.kron, map(scipy.sparse.csr_array, matrices))

    electric: Sparse = sum(on_links({link: np.diag(m**2)}) for link in range(n))
    magnetic: Sparse = sum(
        on_links(
            {
                links(shape, 0, x, y): U,
                links(shape, 1, x + 1, y): U,
                links(shape, 0, x, y + 1): U.T,
                links(shape, 1, x, y): U.T,
            }
        )
        for x, y in np.ndindex(*shape)
    )
    return g**2 / 2 * electric - (magnetic + magnetic.T) / (2 * g**2)


def test_u1_gauge() -> None:
    expected = u1_matrix((2, 2), 1.3, 0.5).toarray()
    check(models.u1_gauge(8, (2, 2), 1.3), expected)
    charges = models.divergence((2, 2)) @ (np.indices([2] * 8).reshape(8, -1) - 0.5)
    for charge in charges:
        np.testing.assert_array_equal(charge[:, None] * expected, expected * charge)


def test_u1_gauge_of_spin_1() -> None:
    operator = models.u1_gauge(sym.spin(1, 8), (2, 2), 1.3)
    states = operator.space.all_states()
    xp, mels = map(np.asarray, operator.compile().get_conn_padded(states))
    targets = (xp + 2) // 2 @ 3 ** np.arange(8)[::-1]
    sources = np.repeat(np.arange(len(states)), mels.shape[1])
    found = scipy.sparse.coo_array(
        (mels.ravel(), (sources, targets.ravel())), shape=(len(states),) * 2
    ).tocsr()
    assert abs(found - u1_matrix((2, 2), 1.3, 1)).max() < 1e-12
    assert abs(found - found.T).max() < 1e-12


def test_divergence() -> None:
    """A link leaves one vertex and enters another; around a plaquette nothing does."""
    for shape in ((2, 2), (3, 4)):
        matrix = models.divergence(shape)
        assert (matrix == 1).sum(axis=0).tolist() == [1] * matrix.shape[1]
        assert (matrix == -1).sum(axis=0).tolist() == [1] * matrix.shape[1]
        for a, b, c, d in models.plaquettes(shape):
            assert (matrix[:, [a, b, c, d]] @ [1, 1, -1, -1] == 0).all()


@pytest.mark.parametrize("shape", [(3, 4), (2, 3)])
def test_stars_and_plaquettes(shape: tuple[int, int]) -> None:
    """Every link is in two of each, and they share an even number of links."""
    stars, plaquettes = models.stars(shape), models.plaquettes(shape)
    for sets in (stars, plaquettes):
        assert len(sets) == shape[0] * shape[1]
        assert all(len(set(links)) == 4 for links in sets)
        assert np.bincount(np.ravel(sets)).tolist() == [2] * (2 * len(sets))
    for star in stars:
        assert all(len({*star} & {*links}) % 2 == 0 for links in plaquettes)


# ---- as a library ----

SMALL: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "transverse_field_ising": lambda: models.transverse_field_ising(4, CHAIN),
    "long_range_ising": lambda: models.long_range_ising(4, 3),
    "xxz": lambda: models.xxz(4, CHAIN),
    "heisenberg": lambda: models.heisenberg(4, CHAIN),
    "j1_j2": lambda: models.j1_j2(4, (CHAIN, [(0, 2)])),
    "kitaev_honeycomb": lambda: models.kitaev_honeycomb(4, ([(0, 1)], [(1, 2)], PATH)),
    "potts": lambda: models.potts(sym.fock(2, 4), CHAIN),
    "clock": lambda: models.clock(sym.fock(2, 4), CHAIN),
    "pxp": lambda: models.pxp(4, CHAIN),
    "rydberg": lambda: models.rydberg(3, [0.0, 1.0, 2.0]),
    "bose_hubbard": lambda: models.bose_hubbard(sym.fock(2, 4), CHAIN),
    "dicke": lambda: models.dicke(sym.fock(2, 1) * sym.spin(0.5, 2)),
    "fermi_hubbard": lambda: models.fermi_hubbard(4, CHAIN),
    "t_j": lambda: models.t_j(4, CHAIN),
    "syk": lambda: models.syk(4),
    "majorana_syk": lambda: models.majorana_syk(3),
    "spin_boson": lambda: models.spin_boson(sym.spin(0.5, 1) * sym.fock(2, 2)),
    "u1_gauge": lambda: models.u1_gauge(8, (2, 2)),
    "toric_code": lambda: models.toric_code(8, (2, 2)),
    "z2_gauge": lambda: models.z2_gauge(8, (2, 2)),
}


def test_every_model_is_listed() -> None:
    helpers = {"divergence", "plaquettes", "stars"}
    helpers |= {"syk_couplings", "majorana_syk_couplings"}
    assert set(models.__all__) == {*SMALL, *helpers}
    assert all(getattr(models, name).__doc__ for name in models.__all__)


@pytest.mark.parametrize("name", SMALL)
def test_models_are_few_terms(name: str) -> None:
    operator = SMALL[name]()
    ir = operator.to_ir()
    assert ir.term_count == len(operator.terms) <= 3
    assert sym.SymbolicOperatorIR.from_text(ir.text()) == ir


def glass(n: int, bonds: int) -> sym.SymbolicOperator:
    """Return a spin glass with a random coupling on each bond."""
    edges = [*combinations(range(n), 2)][:bonds]
    couplings = np.random.default_rng(1).normal(size=bonds)
    return models.transverse_field_ising(n, edges, couplings)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (lambda: glass(46, 1000), [1000, 46]),
        (lambda: models.fermi_hubbard(16, nk.graph.Square(4)), [128, 16]),
        (lambda: models.syk(12), [66**2, 12]),
        (lambda: models.majorana_syk(12), [comb(24, 4)]),
    ],
)
def test_large_models_are_few_terms(
    make: Callable[[], sym.SymbolicOperator], sizes: list[int]
) -> None:
    operator = make()
    assert [term.size for term in operator.terms] == sizes
    ir = operator.to_ir()
    assert ir.term_count == len(sizes) <= 2
    assert ir.max_conn_size == sum(sizes)
    assert len(ir.text(elide_rows_over=16).splitlines()) < 120


def test_a_parameter_is_bound_when_the_operator_runs() -> None:
    h = sym.symbol("h", default=1.0)
    compiled = models.transverse_field_ising(4, CHAIN, h=h).compile()
    changed = models.transverse_field_ising(4, CHAIN, h=0.25).compile()
    x = np.ones((1, 4), np.int8)
    _, expected = changed.get_conn_padded(x)
    _, mels = compiled.replace(h=0.25).get_conn_padded(x)
    np.testing.assert_array_equal(mels, expected)


def test_mistakes_are_blamed_on_the_user() -> None:
    for model in (models.pxp, models.fermi_hubbard, models.t_j):
        with pytest.raises(sym.DefinitionError, match="D003"):
            model(4, [(0, 1), (1, 4)])
    with pytest.raises(sym.DefinitionError, match="D003") as caught:
        models.heisenberg(4, [(0, 1), (1, 4)])
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


# ---- spaces, graphs and symbols ----


NETKETS: dict[str, tuple[Callable[[Any], sym.SymbolicOperator], Any, Any]] = {
    "heisenberg, fixed magnetisation": (
        lambda space: models.heisenberg(space, CHAIN),
        nk.hilbert.Spin(0.5, 4, total_sz=0),
        sym.spin(0.5, 4, 0),
    ),
    "bose_hubbard, fixed particles": (
        lambda space: models.bose_hubbard(space, CHAIN, V=0.3),
        nk.hilbert.Fock(3, 4, n_particles=4),
        sym.fock(3, 4, 4),
    ),
    "fermi_hubbard, fixed filling": (
        lambda space: models.fermi_hubbard(space, CHAIN, U=WEIGHTS),
        nk.hilbert.SpinOrbitalFermions(4, s=0.5, n_fermions_per_spin=(1, 2)),
        sym.fermions(4, spin=0.5, n_fermions_per_spin=(1, 2)),
    ),
    "syk": (
        models.syk,
        nk.hilbert.SpinOrbitalFermions(4, n_fermions=2),
        sym.fermions(4, 2),
    ),
    "potts": (
        lambda space: models.potts(space, CHAIN),
        nk.hilbert.Fock(2, 4),
        sym.fock(2, 4),
    ),
    "pxp": (lambda space: models.pxp(space, PATH), nk.hilbert.Qubit(4), sym.qubit(4)),
    "rydberg": (
        lambda space: models.rydberg(space, [0.0, 1.0, 2.5]),
        nk.hilbert.Qubit(3),
        sym.qubit(3),
    ),
    "dicke": (
        models.dicke,
        nk.hilbert.Fock(2) * nk.hilbert.Spin(0.5, 2),
        sym.fock(2, 1) * sym.spin(0.5, 2),
    ),
    "u1_gauge": (
        lambda space: models.u1_gauge(space, (2, 2)),
        nk.hilbert.Spin(0.5, 8, total_sz=0),
        sym.spin(0.5, 8, 0),
    ),
}


@pytest.mark.parametrize("name", NETKETS)
def test_spaces_of_netket_are_as_those_of_symir(name: str) -> None:
    model, theirs, ours = NETKETS[name]
    operator = model(theirs)
    assert operator.hilbert is theirs
    assert operator.to_ir() == model(ours).to_ir()


@pytest.mark.filterwarnings(r"ignore:\s*WARNING")  # NetKet knows a faster operator
def test_fermi_hubbard_numbers_spins_as_netket() -> None:
    """An asymmetric filling and one operator of each spin tell the two apart."""
    hilbert = nk.hilbert.SpinOrbitalFermions(3, s=0.5, n_fermions_per_spin=(1, 2))
    ring = nk.graph.Chain(3)
    expected: Any = operators.FermiHubbardJax(hilbert, ring, t=1.3, U=2.5)
    operator = models.fermi_hubbard(hilbert, ring, t=1.3, U=2.5)
    assert operator.terms[1].labels == ("down", "up")
    check(operator, of_netket(expected, operator.space))


@pytest.mark.parametrize(
    "call",
    [
        lambda: models.heisenberg(sym.qubit(4), CHAIN),
        lambda: models.transverse_field_ising(nk.hilbert.Spin(1, 4), CHAIN),
        lambda: models.pxp(sym.spin(0.5, 4), CHAIN),
        lambda: models.bose_hubbard(4, CHAIN),
        lambda: models.bose_hubbard(sym.fermions(4), CHAIN),
        lambda: models.potts(sym.fock(0, 4), CHAIN),
        lambda: models.clock(sym.space([[0, 1], [0, 1, 2]]), [(0, 1)]),
        lambda: models.fermi_hubbard(sym.fermions(4), CHAIN),
        lambda: models.fermi_hubbard(sym.qubit(5), [(0, 1)]),
        lambda: models.t_j(sym.spin(1, 4), CHAIN),
        lambda: models.syk(sym.spin(0.5, 4)),
        lambda: models.dicke(sym.spin(0.5, 2) * sym.fock(2, 1)),
        lambda: models.dicke(sym.fock(2, 1)),
        lambda: models.spin_boson(sym.spin(0.5, 1)),
        lambda: models.rydberg(4, [0.0, 1.0, 2.0]),
        lambda: models.toric_code(9, (2, 2)),
        lambda: models.u1_gauge(sym.space([-2, 0, 1], 8), (2, 2)),
    ],
)
def test_a_space_that_does_not_fit_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(sym.DefinitionError, match="S020") as caught:
        call()
    assert caught.value.operator is not None
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


@pytest.mark.parametrize("hilbert", [np.array([1, 2]), 4.0, True, "4"])
def test_what_is_no_space_is_refused(hilbert: Any) -> None:
    with pytest.raises(
        sym.DefinitionError, match="no discrete Hilbert space"
    ) as caught:
        models.heisenberg(hilbert, [(0, 1)])
    assert caught.value.code == "S011"
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


class Colored:
    """A graph as networkx has them; without colours, as nobody's."""

    def __init__(self, *bonds: tuple[object, Iterable[Any]]):
        self.bonds = bonds

    def edges(self, data: str | None = None) -> list[tuple[Any, ...]]:
        color = () if data is None else (data,)
        assert color in ((), ("color",))
        return [
            (*pair, name) if color else pair
            for name, some in self.bonds
            for pair in some
        ]


class Plain:
    def edges(self) -> list[tuple[int, int]]:
        return CHAIN


@pytest.mark.parametrize("color", [0, 1])
def test_j1_j2_on_a_coloured_graph(color: int) -> None:
    graph = nk.graph.Square(4, max_neighbor_order=2)
    near, far = (graph.edges(filter_color=color) for color in (0, 1))
    named = Colored((color, near), (color + 1, far))
    expected = models.j1_j2(16, (near, far)).to_ir()
    for edges in (graph, named, (Colored((None, near)), far)):
        assert models.j1_j2(16, edges).to_ir() == expected


def test_kitaev_honeycomb_on_a_coloured_graph() -> None:
    graph = nk.graph.KitaevHoneycomb([2, 2])
    bonds = [graph.edges(filter_color=color) for color in range(3)]
    J = (0.5, 1.5, -0.7)
    expected = models.kitaev_honeycomb(8, bonds, J).to_ir()
    named = Colored(*zip("xyz", bonds, strict=True))
    for edges in (graph, named):
        assert models.kitaev_honeycomb(8, edges, J).to_ir() == expected


@pytest.mark.parametrize(
    "call",
    [
        lambda: models.heisenberg(8, nk.graph.KitaevHoneycomb([2, 2])),
        lambda: models.pxp(9, nk.graph.Grid([3, 3], color_edges=True)),
        lambda: models.t_j(4, Colored((None, CHAIN), (1, [(0, 2)]))),
        lambda: models.j1_j2(4, Colored(("near", CHAIN), (1, [(0, 2)]))),
        lambda: models.j1_j2(4, nk.graph.Chain(4)),
        lambda: models.j1_j2(4, CHAIN),
        lambda: models.kitaev_honeycomb(4, nk.graph.Chain(4)),
        lambda: models.kitaev_honeycomb(4, (CHAIN, CHAIN)),
        lambda: models.heisenberg(8, nk.graph.Chain(4)),
        lambda: models.j1_j2(8, (nk.graph.Chain(4), [(0, 2)])),
        lambda: models.fermi_hubbard(8, nk.graph.Chain(4)),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(sym.DefinitionError, match="D037"):
        call()


def test_graphs_without_colours_are_pairs() -> None:
    for graph in (Plain(), Colored((None, CHAIN)), Colored(("red", CHAIN))):
        assert models.heisenberg(4, graph).terms[0].size == 2 * len(CHAIN)


SYMBOLS: dict[str, Callable[..., sym.SymbolicOperator]] = {
    "transverse_field_ising": lambda a, b: models.transverse_field_ising(
        4, CHAIN, a, b
    ),
    "long_range_ising": lambda a, b, c: models.long_range_ising(4, a, b, c),
    "xxz": lambda a, b, c: models.xxz(4, PATH, a, b, c),
    "heisenberg": lambda a: models.heisenberg(4, PATH, a),
    "j1_j2": lambda a, b: models.j1_j2(4, (CHAIN, [(0, 2)]), a, b),
    "kitaev_honeycomb": lambda a, b, c: models.kitaev_honeycomb(
        4, ([(0, 1)], [(1, 2)], PATH), (a, b, c)
    ),
    "potts": lambda a, b: models.potts(sym.fock(2, 3), PATH[:2], a, b),
    "clock": lambda a, b: models.clock(sym.fock(2, 3), PATH[:2], a, b),
    "pxp": lambda a: models.pxp(4, PATH, a),
    "rydberg": lambda a, b, c: models.rydberg(3, [0.0, 1.0, 2.5], a, b, c),
    "bose_hubbard": lambda a, b, c, d, e: models.bose_hubbard(
        sym.fock(2, 3), PATH[:2], a, b, c, d, e
    ),
    "dicke": lambda a, b, c: models.dicke(sym.fock(2, 1) * sym.spin(0.5, 2), a, b, c),
    "spin_boson": lambda a, b, c, d: models.spin_boson(
        sym.spin(0.5, 1) * sym.fock(2, 2), a, b, c, d
    ),
    "fermi_hubbard": lambda a, b: models.fermi_hubbard(3, PATH[:1], a, b),
    "t_j": lambda a, b: models.t_j(3, PATH[:1], a, b),
    "syk": lambda a, b: models.syk(3, a, b),
    "majorana_syk": lambda a: models.majorana_syk(2, a),
    "toric_code": lambda a, b: models.toric_code(8, (2, 2), a, b),
    "z2_gauge": lambda a, b: models.z2_gauge(8, (2, 2), a, b),
    "u1_gauge": lambda a: models.u1_gauge(8, (2, 2), a),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_coupling_may_be_a_symbol(name: str) -> None:
    """Only what says how large and of which kind the lattice is does not count."""
    model = SYMBOLS[name]
    count = model.__code__.co_argcount
    values = [0.7, 1.3, -0.4, 0.9, 0.3][:count]
    symbols = [sym.symbol(f"c{k}", default=v) for k, v in enumerate(values)]
    operator = model(*symbols)
    assert {symbol.name for symbol in operator.symbols} == {s.name for s in symbols}
    found, expected = (
        dense_matrix(one.to_ir().module) for one in (operator, model(*values))
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    lattice = {"hilbert", "edges", "shape", "positions"}
    arguments = set(inspect.signature(getattr(models, name)).parameters) - lattice
    assert len(arguments) == (1 if name == "kitaev_honeycomb" else count)
