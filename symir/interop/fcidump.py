"""Molecules from FCIDUMP files: the integrals of quantum chemistry programs as text.

The format is that of P. J. Knowles and N. C. Handy, Comput. Phys. Commun. 54, 75
(1989): a Fortran namelist, then one integral in a line, in chemists' notation with
indices from 1:

    value i j k l    (ij|kl), one of eight equal ones
    value i j 0 0    h_ij = h_ji
    value i 0 0 0    the energy of an orbital, which the Hamiltonian does not need
    value 0 0 0 0    the core energy

With these, over spins s and t,

    H = core + sum h_ij c^+_is c_js + 1/2 sum (ij|kl) c^+_is c^+_kt c_lt c_js
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.errors import DefinitionError
from symir.interop.fermions import OperatorProducts, operator_of
from symir.language.scalars import shortened
from symir.operator.spaces import fermions
from symir.operator.symbolic_operator import SymbolicOperator

Floats = npt.NDArray[np.float64]


def from_fcidump(
    path: str | os.PathLike[str],
    *,
    hilbert: object = None,
    name: str = "molecule",
    dtype: npt.DTypeLike | None = None,
) -> SymbolicOperator:
    """Return the Hamiltonian of a molecule from the integrals of an FCIDUMP file.

    The space is `fermions(NORB, spin=0.5, n_fermions_per_spin=..)` with as many of each
    spin as NELEC and MS2, twice the spin, say. All orbitals with spin down stand first,
    then all with spin up.

    Args:
        path: the file: real integrals over spatial orbitals that both spins share.
        hilbert: a space of 2 * NORB sites that hold 0 or 1, to take instead.
        name: the name of the operator.
        dtype: that of the matrix elements, float64 by default.

    Raises:
        DefinitionError: for a file that cannot be read (N007), a header that is
            malformed or asks for what is not supported (N008), a line that holds no
            integral (N009), or two values for one integral (N010); for another space
            than the Hamiltonian's (N005).
    """
    lines = _Lines.of(Path(path))
    header, first = _header(lines)
    integrals = _Integrals.of(lines, first, header.orbitals)
    if hilbert is None:
        hilbert = fermions(
            header.orbitals, spin=0.5, n_fermions_per_spin=(header.down, header.up)
        )
    return operator_of(_products(integrals), hilbert, name, dtype)


@dataclass(frozen=True)
class _Lines:
    """A file, line by line."""

    path: Path
    texts: list[str]

    @classmethod
    def of(cls, path: Path) -> _Lines:
        try:
            return cls(path, path.read_text(encoding="ascii").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise DefinitionError(
                "N007",
                "the FCIDUMP file cannot be read",
                expected="a text file",
                found=f"{path}: {error}",
            ) from error

    def error(
        self, code: str, message: str, line: int, expected: str
    ) -> DefinitionError:
        text = self.texts[line] if line < len(self.texts) else "the end of the file"
        return DefinitionError(
            code,
            message,
            expected=expected,
            found=f"{self.path}:{line + 1}: {shortened(text.strip())}",
        )


# region Header


@dataclass(frozen=True)
class _Header:
    """Number of orbitals, and of electrons of each spin."""

    orbitals: int
    down: int
    up: int


def _header(lines: _Lines) -> tuple[_Header, int]:
    """Return the header, and the number of the first line after it."""
    start = next((k for k, text in enumerate(lines.texts) if text.strip()), 0)
    opening = lines.texts[start].strip() if lines.texts else ""
    if not re.match(r"[&$]FCI\b", opening, re.IGNORECASE):
        raise lines.error("N008", "an FCIDUMP file starts with &FCI", start, "&FCI")
    ending = re.compile(r"(?:[&$]END\b|/).*", re.IGNORECASE)
    body: list[str] = []
    for number in range(start, len(lines.texts)):
        text = lines.texts[number].strip()
        text = text[4:] if number == start else text
        body.append(ending.sub("", text))
        if ending.search(text):
            fields = _fields(" ".join(body))
            return _checked(lines, start, fields), number + 1
    raise lines.error(
        "N008", "the header does not end", len(lines.texts), "&END or / after it"
    )


def _fields(body: str) -> dict[str, str]:
    """Return the assignments of a namelist."""
    parts = re.split(r"([A-Za-z]\w*)\s*=", body)
    names, values = parts[1::2], parts[2::2]
    return {
        name.upper(): value.strip(" ,\t")
        for name, value in zip(names, values, strict=True)
    }


def _checked(lines: _Lines, start: int, fields: dict[str, str]) -> _Header:
    def integer(name: str, default: str | None = None) -> int:
        text = fields.get(name, default)
        if text is None or not re.fullmatch(r"[+-]?\d{1,18}", text):
            found = "is missing" if text is None else f"is {shortened(text)}"
            raise lines.error(
                "N008", f"{name} {found} in the header", start, f"{name}=an integer"
            )
        return int(text)

    if fields.get("IUHF", "0") not in ("0", ".FALSE."):
        raise lines.error(
            "N008",
            "the spins have integrals of their own (IUHF)",
            start,
            "integrals over orbitals that both spins share",
        )
    orbitals, electrons, ms2 = integer("NORB"), integer("NELEC"), integer("MS2", "0")
    down, rest = divmod(electrons - ms2, 2)
    up = down + ms2
    if rest or orbitals < 1 or not (0 <= down <= orbitals and 0 <= up <= orbitals):
        raise lines.error(
            "N008",
            f"NORB={orbitals}, NELEC={electrons} and MS2={ms2} do not fit together",
            start,
            "0 to NORB electrons of each spin, (NELEC - MS2) / 2 and (NELEC + MS2) / 2",
        )
    size = 8 * orbitals**4
    if size > _MOST_BYTES:
        raise lines.error(
            "N008",
            f"the integrals over NORB={orbitals} orbitals take {size / 2**30:.3g} GiB",
            start,
            f"at most {_MOST_BYTES / 2**30:g} GiB: 8 NORB**4 bytes",
        )
    return _Header(orbitals, down, up)


_MOST_BYTES = 2**33
"""Most bytes of the table of (ij|kl)."""

# endregion
# region Integrals


@dataclass(frozen=True)
class _Integrals:
    """The core energy, h of shape (n, n), and (ij|kl) of shape (n, n, n, n)."""

    core: float
    one: Floats
    two: Floats

    @classmethod
    def of(cls, lines: _Lines, first: int, n: int) -> _Integrals:
        found: dict[tuple[int, ...], float] = {}
        for number in range(first, len(lines.texts)):
            words = lines.texts[number].split()
            if words:
                value, indices = _integral(lines, number, words, n)
                _record(lines, number, found, _lowest(indices), value)
        one, two = np.zeros((n, n)), np.zeros((n, n, n, n))
        for (i, j, k, l), value in found.items():  # noqa: E741
            if k:
                two[_all_equal(i - 1, j - 1, k - 1, l - 1)] = value
            elif j:
                one[[i - 1, j - 1], [j - 1, i - 1]] = value
        return cls(found.get((0, 0, 0, 0), 0.0), one, two)


def _integral(
    lines: _Lines, number: int, words: list[str], n: int
) -> tuple[float, tuple[int, ...]]:
    try:
        value = float(words[0].replace("D", "E").replace("d", "e"))
        indices = tuple(map(int, words[1:]))
    except ValueError:
        value, indices = float("nan"), ()
    zeros = tuple(index == 0 for index in indices)
    is_one_of = zeros in _PATTERNS and all(0 <= index <= n for index in indices)
    # Python alone reads 0_7 as a number
    if np.isfinite(value) and is_one_of and "_" not in lines.texts[number]:
        return value, indices
    raise lines.error(
        "N009",
        "this line holds no integral",
        number,
        f"a real number and four indices from 1 to {n}, the last of them 0 in h_ij",
    )


_PATTERNS = {
    (False, False, False, False),
    (False, False, True, True),
    (False, True, True, True),
    (True, True, True, True),
}
"""Patterns of the indices of an integral that are 0."""


def _lowest(indices: tuple[int, ...]) -> tuple[int, ...]:
    """Return one name for all integrals that are equal by symmetry."""
    i, j, k, l = indices  # noqa: E741
    first, second = (max(i, j), min(i, j)), (max(k, l), min(k, l))
    return (*max(first, second), *min(first, second))


def _record(
    lines: _Lines,
    number: int,
    found: dict[tuple[int, ...], float],
    indices: tuple[int, ...],
    value: float,
) -> None:
    known = found.setdefault(indices, value)
    # Programs that list equal integrals round each of them
    if abs(known - value) > 1e-10 + 1e-8 * abs(known):
        raise lines.error(
            "N010",
            f"the integral {indices} was {known} in an earlier line",
            number,
            "one value for each integral, and for all that equal it by symmetry",
        )


def _all_equal(i: int, j: int, k: int, l: int) -> tuple[list[int], ...]:  # noqa: E741
    """Return the indices of the integrals that equal (ij|kl), as columns."""
    pairs = [(i, j), (j, i)], [(k, l), (l, k)]
    rows = [(*a, *b) for a, b in product(*pairs)] + [
        (*b, *a) for a, b in product(*pairs)
    ]
    first, second, third, fourth = zip(*rows, strict=True)
    return list(first), list(second), list(third), list(fourth)


def _products(integrals: _Integrals) -> Iterable[OperatorProducts]:
    """Yield the products of the Hamiltonian, site i + n s for orbital i and spin s."""
    n = len(integrals.one)
    nothing = np.zeros((1, 0), np.int64)
    yield OperatorProducts(nothing, nothing, np.array([integrals.core], np.complex128))
    yield from _of_spins(integrals.one, (1, 0), [(0, 0), (n, n)])
    i, j, k, l = range(4)  # noqa: E741
    # c^+_i c^+_k c_l c_j
    exchanged = integrals.two.transpose(i, k, l, j) / 2
    spins = [(s, t, t, s) for s, t in product((0, n), repeat=2)]
    yield from _of_spins(exchanged, (1, 1, 0, 0), spins)


def _of_spins(
    weights: npt.NDArray[Any], creates: tuple[int, ...], spins: list[tuple[int, ...]]
) -> Iterator[OperatorProducts]:
    orbitals = np.argwhere(weights)
    values = weights[tuple(orbitals.T)].astype(np.complex128)
    for offsets in spins:
        flags = np.broadcast_to(np.array(creates), orbitals.shape)
        yield OperatorProducts(orbitals + np.array(offsets), flags, values)


# endregion
