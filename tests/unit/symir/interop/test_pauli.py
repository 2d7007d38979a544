"""Sums of Pauli strings against Kronecker products of the matrices."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import dense_matrix

MATRICES = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}

# Qubits: the first state is the lower value. Spins: it is the upper one.
SPACES = {"qubits": sym.qubit(4), "spins": sym.spin(0.5, 4), "no space": None}


def kronecker(strings: list[str], weights: Any) -> npt.NDArray[Any]:
    terms = [functools.reduce(np.kron, [MATRICES[a] for a in s]) for s in strings]
    return np.einsum("s,sij->ij", weights, terms)


def random_strings(rng: np.random.Generator, count: int, sites: int) -> list[str]:
    return ["".join(rng.choice(list("IXYZ"), sites)) for _ in range(count)]


def dense(op: sym.SymbolicOperator) -> npt.NDArray[Any]:
    return dense_matrix(op.to_ir().module)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("seed", range(6))
def test_sums_are_those_of_kronecker_products(seed: int, space: str) -> None:
    rng = np.random.default_rng(seed)
    strings = random_strings(rng, int(rng.integers(1, 12)), 4)
    weights: Any = rng.normal(size=len(strings))
    if seed % 2:
        weights = weights + 1j * rng.normal(size=len(strings))
    op = sym.from_pauli_strings(strings, weights, hilbert=SPACES[space])
    expected = kronecker(strings, weights)
    if space == "spins":  # in ascending order of the values
        expected = expected[::-1, ::-1]
    assert np.allclose(dense(op), expected, rtol=0, atol=1e-14)
    assert op.is_hermitian == (seed % 2 == 0)
    assert op.dtype == (np.float64 if not np.imag(expected).any() else np.complex128)


def test_compiled_operators_are_the_same() -> None:
    rng = np.random.default_rng(7)
    strings = random_strings(rng, 40, 6)
    op = sym.from_pauli_strings(strings, rng.normal(size=40))
    x = op.space.all_states()
    xp, mels = op.compile().get_conn_padded(x)
    matrix = np.zeros((64, 64), np.complex128)
    numbers = np.asarray(xp) @ (2 ** np.arange(6)[::-1])
    np.add.at(matrix, (np.arange(64)[:, None], numbers), np.asarray(mels))
    assert np.allclose(matrix, dense(op))
    assert len(op.terms) <= 5


def test_sites_of_several_kinds() -> None:
    space = sym.qubit(2) * sym.spin(0.5, 1) * sym.fock(2, 1)
    op = sym.from_pauli_strings(
        ["XYYI", "ZZZI", "XIII"], [1.0, 2.0, 3.0], hilbert=space
    )
    pauli = kronecker(["XYY", "ZZZ", "XII"], [1.0, 2.0, 3.0])
    order = [1, 0, 3, 2, 5, 4, 7, 6]  # the spin is the last of the three
    expected = np.kron(pauli[np.ix_(order, order)], np.eye(3))
    assert np.allclose(dense(op), expected)


def test_equal_strings_are_one_and_those_of_weight_0_none() -> None:
    op = sym.from_pauli_strings(["XX", "ZI", "XX", "YZ"], [1, 2, 3, 0])
    assert op.max_conn_size == 2
    assert np.allclose(dense(op), kronecker(["XX", "ZI"], [4, 2]))


def test_real_matrix_elements_of_complex_weights_are_real() -> None:
    op = sym.from_pauli_strings(["IY"], [1j])
    assert op.dtype == np.float64
    assert not op.is_hermitian


def test_nothing_is_left() -> None:
    op = sym.from_pauli_strings(["XY", "XY"], [1, -1])
    assert not dense(op).any()


@pytest.mark.parametrize(
    ("strings", "weights", "hilbert", "code"),
    [
        (["XA"], None, None, "N001"),
        (["XX", "XXX"], None, None, "N001"),
        ([], None, None, "N001"),
        ([3], None, None, "N001"),
        (3, None, None, "N001"),
        ([""], None, None, "N001"),
        (["XX", "ZZ"], [1.0], None, "N002"),
        (["XX"], ["a"], None, "N002"),
        (["XX"], [float("nan")], None, "N002"),
        (["XX"], None, sym.qubit(3), "N003"),
        (["IX"], None, sym.qubit(1) * sym.fock(2, 1), "N003"),
    ],
)
def test_mistakes(strings: Any, weights: Any, hilbert: Any, code: str) -> None:
    with pytest.raises(sym.DefinitionError) as caught:
        sym.from_pauli_strings(strings, weights, hilbert=hilbert)
    assert caught.value.code == code
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_a_real_dtype_holds_no_complex_matrix_elements() -> None:
    with pytest.raises(sym.DefinitionError) as caught:
        sym.from_pauli_strings(["Y"], dtype="float64")
    assert caught.value.code == "D012"
