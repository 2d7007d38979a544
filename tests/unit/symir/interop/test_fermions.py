"""Sums of products of fermion operators against Jordan-Wigner matrices."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import dense_matrix

Term = tuple[tuple[int, int], ...]


@functools.cache
def annihilator(orbital: int, n: int) -> npt.NDArray[Any]:
    """Return c of an orbital: a Z for each orbital before it."""
    lower, z = np.array([[0, 1], [0, 0]]), np.diag([1, -1])
    factors = [z] * orbital + [lower] + [np.eye(2)] * (n - orbital - 1)
    return functools.reduce(np.kron, factors)


def matrix_of(terms: list[tuple[Term, complex]], n: int) -> npt.NDArray[Any]:
    total = np.zeros((2**n, 2**n), np.complex128)
    for term, weight in terms:
        factors = [annihilator(i, n) for i, _ in term]
        ladder = [m.T if d else m for m, (_, d) in zip(factors, term, strict=True)]
        total += weight * functools.reduce(np.matmul, ladder, np.eye(2**n))
    return total


def random_terms(
    rng: np.random.Generator, n: int, count: int, longest: int
) -> list[tuple[Term, complex]]:
    terms: list[tuple[Term, complex]] = []
    for _ in range(count):
        length = int(rng.integers(0, longest + 1))
        sites, flags = rng.integers(0, n, length), rng.integers(0, 2, length)
        term = tuple(zip(sites.tolist(), flags.tolist(), strict=True))
        terms.append((term, complex(rng.normal(), rng.normal())))
    return terms


def dense(op: sym.SymbolicOperator) -> npt.NDArray[Any]:
    return dense_matrix(op.to_ir().module)


@pytest.mark.parametrize("seed", range(30))
def test_random_products(seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = random_terms(rng, 5, 15, 6)
    op = sym.from_fermions(terms, n_orbitals=5)
    assert np.allclose(dense(op), matrix_of(terms, 5), rtol=0, atol=1e-13)


@pytest.mark.parametrize("seed", range(2))
def test_compiled_operators_are_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = random_terms(rng, 6, 60, 5)
    op = sym.from_fermions(terms, n_orbitals=6)
    x = op.space.all_states()
    xp, mels = op.compile().get_conn_padded(x)
    matrix = np.zeros((64, 64), np.complex128)
    numbers = np.asarray(xp) @ (2 ** np.arange(6)[::-1])
    np.add.at(matrix, (np.arange(64)[:, None], numbers), np.asarray(mels))
    assert np.allclose(matrix, matrix_of(terms, 6), rtol=0, atol=1e-13)


@pytest.mark.parametrize("seed", range(6))
def test_hermitian_operators_are_recognised(seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = random_terms(rng, 4, 8, 4)
    adjoint = [
        (tuple((i, 1 - d) for i, d in reversed(term)), weight.conjugate())
        for term, weight in terms
    ]
    assert sym.from_fermions(terms + adjoint, n_orbitals=4).is_hermitian
    assert not sym.from_fermions(terms, n_orbitals=4).is_hermitian


def test_all_forms_of_terms_say_the_same() -> None:
    terms: dict[Any, Any] = {((0, 1), (2, 0)): 0.5, ((2, 1), (0, 0)): 0.5, (): 1.0}
    expected = matrix_of([*terms.items()], 3)
    forms = [
        (terms, None),
        ([*terms.items()], None),
        (SimpleNamespace(terms=terms), None),
        ([*terms], [*terms.values()]),
        ([[[0, 1], [2, 0]], [[2, True], [0, False]], []], [0.5, 0.5, 1]),
        (["0^ 2", "2^ 0", ""], [0.5, 0.5, 1.0]),
        ({"0^ 2": 0.5, "2^ 0": 0.5, "": 1.0}, None),
    ]
    for form, weights in forms:
        op = sym.from_fermions(form, weights)
        assert np.array_equal(dense(op), expected)
        assert op.dtype == np.float64
        assert op.space == sym.fermions(3)


def test_products_that_come_down_to_the_same_are_one_branch() -> None:
    # c_0^+ c_1 twice, once behind c_2 c_2^+ c_2 c_2^+; c_1 c_0^+ = -c_0^+ c_1
    op = sym.from_fermions(["0^ 1", "1 0^", "0 0", "1^ 1^"], [2, 3, 1, 1])
    assert op.max_conn_size == 1
    assert np.allclose(dense(op), matrix_of([(((0, 1), (1, 0)), -1)], 2))


def test_a_constant_is_added() -> None:
    op = sym.from_fermions([], n_orbitals=2, constant=2.5)
    assert np.array_equal(dense(op), 2.5 * np.eye(4))
    assert not dense(sym.from_fermions({"0^ 0^": 1})).any()


def test_many_orbitals() -> None:
    # The sites of a row do not fit into one number
    n = 60
    long = tuple((i, 1) for i in range(0, n, 5)) + tuple((i, 0) for i in range(1, n, 5))
    adjoint = tuple((i, 1 - d) for i, d in reversed(long))
    op = sym.from_fermions({long: 1.0, adjoint: 1.0}, n_orbitals=n)
    assert op.max_conn_size == 2
    assert op.is_hermitian


def test_a_fixed_number_of_particles() -> None:
    hilbert = sym.fermions(4, 2)
    op = sym.from_fermions({"0^ 3": 1.0, "3^ 0": 1.0, "2^ 2": 0.5}, hilbert=hilbert)
    kept = np.flatnonzero(sym.qubit(4).all_states().sum(axis=1) == 2)
    full = dense(sym.from_fermions({"0^ 3": 1.0, "3^ 0": 1.0, "2^ 2": 0.5}))
    assert np.array_equal(dense(op), full[np.ix_(kept, kept)])
    with pytest.raises(sym.DefinitionError, match="D048"):
        sym.from_fermions({"0^": 1.0}, hilbert=hilbert)


@pytest.mark.parametrize(
    ("terms", "options", "code"),
    [
        (3, {}, "N004"),
        ([((0, 1),)], {}, "N004"),
        ({((0, 2),): 1}, {}, "N004"),
        ({((-1, 1),): 1}, {}, "N004"),
        ({((0.5, 1),): 1}, {}, "N004"),
        ({(0, 1): 1}, {}, "N004"),
        ({"0^ x": 1}, {}, "N004"),
        ({5: 1}, {}, "N004"),
        ({"0^ 1": "a"}, {}, "N002"),
        (["0", "1"], {"weights": [1]}, "N002"),
        ({"0^ 5": 1}, {"n_orbitals": 5}, "N005"),
        ({"0^ 1": 1}, {"hilbert": sym.spin(0.5, 4)}, "N005"),
        ({"": 1}, {}, "N006"),
        ({"0^ 1": 1j}, {"dtype": "float64"}, "D012"),
    ],
)
def test_mistakes(terms: Any, options: dict[str, Any], code: str) -> None:
    with pytest.raises(sym.DefinitionError) as caught:
        sym.from_fermions(terms, **options)
    assert caught.value.code == code
