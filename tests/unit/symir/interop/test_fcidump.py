"""Molecules from FCIDUMP files against matrices put together by loops."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import dense_matrix
from tests.unit.symir.interop.test_fermions import annihilator

HEADER = " &FCI NORB={n},NELEC={electrons},MS2={ms2},\n  ORBSYM={orbsym}\n  ISYM=1,\n"


def random_integrals(n: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return h and (ij|kl) with all their symmetries."""
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(n, n)), rng.normal(size=(n, n, n, n))
    two = two + two.transpose(1, 0, 2, 3)
    two = two + two.transpose(0, 1, 3, 2)
    return one + one.T, two + two.transpose(2, 3, 0, 1)


def text_of(
    one: npt.NDArray[Any], two: npt.NDArray[Any], *, electrons: int, ms2: int
) -> str:
    n = len(one)
    lines = [
        HEADER.format(n=n, electrons=electrons, ms2=ms2, orbsym="1," * n) + " &END"
    ]
    pairs = [(i, j) for i in range(n) for j in range(i + 1)]
    for a, b in itertools.combinations_with_replacement(pairs, 2):
        i, j, k, l = *b, *a  # noqa: E741
        lines.append(f"{two[i, j, k, l]:.17e} {i + 1} {j + 1} {k + 1} {l + 1}")
    lines += [
        f" {one[i, j]:.17E} {i + 1} {j + 1} 0 0".replace("E", "D") for i, j in pairs
    ]
    lines += [" -1.5 1 0 0 0", " 0.75 0 0 0 0", ""]
    return "\n".join(lines)


def hamiltonian(one: npt.NDArray[Any], two: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the matrix, all orbitals with spin down first."""
    n = len(one)
    c = [annihilator(site, 2 * n) for site in range(2 * n)]
    total = 0.75 * np.eye(4**n)
    for s in (0, n):
        for i, j in itertools.product(range(n), repeat=2):
            total += one[i, j] * c[i + s].T @ c[j + s]
            for t in (0, n):
                for k, l in itertools.product(range(n), repeat=2):  # noqa: E741
                    ladder = c[i + s].T @ c[k + t].T @ c[l + t] @ c[j + s]
                    total += 0.5 * two[i, j, k, l] * ladder
    return total


@pytest.mark.parametrize(("n", "electrons", "ms2"), [(1, 1, -1), (2, 2, 0), (3, 3, 1)])
def test_the_hamiltonian(tmp_path: Path, n: int, electrons: int, ms2: int) -> None:
    one, two = random_integrals(n, seed=n)
    path = tmp_path / "FCIDUMP"
    path.write_text(text_of(one, two, electrons=electrons, ms2=ms2))
    op = sym.from_fcidump(path)
    down, up = (electrons - ms2) // 2, (electrons + ms2) // 2
    assert op.space == sym.fermions(n, spin=0.5, n_fermions_per_spin=(down, up))
    assert op.is_hermitian
    assert op.dtype == np.float64
    states = sym.qubit(2 * n).all_states()
    kept = np.flatnonzero(
        (states[:, :n].sum(axis=1) == down) & (states[:, n:].sum(axis=1) == up)
    )
    expected = hamiltonian(one, two)
    sector = expected[np.ix_(kept, kept)]
    found = dense_matrix(op.to_ir().module)
    assert np.allclose(found, sector, rtol=0, atol=1e-12)
    free = sym.from_fcidump(str(path), hilbert=sym.qubit(2 * n))
    found = dense_matrix(free.to_ir().module)
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


GOOD = "&FCI NORB=2,NELEC=2 /\n0.5 1 1 0 0\n0.25 2 1 1 1\n"


def test_a_short_file(tmp_path: Path) -> None:
    path = tmp_path / "FCIDUMP"
    path.write_text(GOOD + "0.25 1 1 2 1\n")  # equal by symmetry
    op = sym.from_fcidump(path)
    assert op.space == sym.fermions(2, spin=0.5, n_fermions_per_spin=(1, 1))


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "N008", 1),
        ("0.5 1 1 0 0\n", "N008", 1),
        ("&FCI NORB=2,NELEC=2\n0.5 1 1 0 0\n", "N008", 3),
        ("&FCI NELEC=2 /\n", "N008", 1),
        ("&FCI NORB=x,NELEC=2 /\n", "N008", 1),
        ("&FCI NORB=2,NELEC=9 /\n", "N008", 1),
        ("&FCI NORB=2,NELEC=2,MS2=1 /\n", "N008", 1),
        ("&FCI NORB=2,NELEC=2,IUHF=1 /\n", "N008", 1),
        (GOOD + "0.5 1 1 0\n", "N009", 4),
        (GOOD + "half 1 1 0 0\n", "N009", 4),
        (GOOD + "nan 1 1 0 0\n", "N009", 4),
        (GOOD + "(0.5,0.1) 1 1 0 0\n", "N009", 4),
        (GOOD + "\n0.5 3 1 0 0\n", "N009", 5),
        (GOOD + "0.5 1 1 -1 0\n", "N009", 4),
        (GOOD + "0.5 0 1 0 0\n", "N009", 4),
        (GOOD + "0.75 1 1 1 2\n", "N010", 4),
        ("&FCI NORB=" + 5000 * "1" + ",NELEC=2 /\n", "N008", 1),
        ("&FCI NORB=2,NELEC=0_2 /\n", "N008", 1),
        (GOOD + "0_7 1 1 0 0\n", "N009", 4),
        (GOOD + "0.7 0_1 1 0 0\n", "N009", 4),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, code: str, line: int) -> None:
    path = tmp_path / "FCIDUMP"
    path.write_text(text)
    with pytest.raises(sym.DefinitionError) as caught:
        sym.from_fcidump(path)
    assert caught.value.code == code
    assert f"{path}:{line}:" in (caught.value.found or "")


def test_integrals_that_no_memory_holds(tmp_path: Path) -> None:
    path = tmp_path / "FCIDUMP"
    path.write_text("&FCI NORB=1000,NELEC=2 /\n0.5 1 1 0 0\n")
    with pytest.raises(sym.DefinitionError, match="N008") as caught:
        sym.from_fcidump(path)
    assert "7.45e+03 GiB" in caught.value.message


def test_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(sym.DefinitionError, match="N007"):
        sym.from_fcidump(tmp_path / "missing")
