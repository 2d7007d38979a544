"""Sums of Pauli strings, as a few terms over rows of sites.

A string such as "XXIZ" is a product of one Pauli matrix per site. As Y = -i Z X, it
flips the sites with X or Y, and

    <x| P |x'> = (-i)^(number of Y) * prod over the sites with Y or Z of z(x)

where z is +1 for the first local state of a site and -1 for the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.errors import DefinitionError
from symir.interop.weights import Weights, as_weights, dtype_of, is_real
from symir.language.builder import DOperator
from symir.language.expressions import Expr, as_expr, here, row, site
from symir.language.functions import where
from symir.language.reductions import ReducedPredicate, set_
from symir.language.scalars import items_of, shortened
from symir.language.updates import Update
from symir.operator.spaces import Space, as_space, qubit
from symir.operator.symbolic_operator import SymbolicOperator

Bytes = npt.NDArray[np.uint8]
Sites = npt.NDArray[np.bool_]

_PHASES = np.array([1, -1j, -1, 1j])
"""The powers of -i."""

_I, _X, _Y, _Z = b"IXYZ"


def from_pauli_strings(
    strings: str | Iterable[str],
    weights: object = None,
    *,
    hilbert: object = None,
    name: str = "pauli_strings",
    dtype: npt.DTypeLike | None = None,
) -> SymbolicOperator:
    """Return a weighted sum of Pauli strings.

        from_pauli_strings(["XXI", "IZZ"], [0.5, -1.0])

    Equal strings are one, with the sum of their weights. There is a branch for each
    string, and a term for all strings that flip about as many sites.

    Args:
        strings: one letter of I, X, Y and Z for each site, as in NetKet.
        weights: a real or complex number for each string, or one for all; 1 by default.
        hilbert: a space of symir or of NetKet with two local states on each site that a
            string acts on; qubits by default. Z is +1 on the first local state: 0 of a
            qubit, up of a spin; of NetKet's spaces, that which NetKet lists first.
        name: the name of the operator.
        dtype: that of the matrix elements. By default they are real if all are, which
            strings with an odd number of Y and real weights are not.

    Raises:
        DefinitionError: for what are no Pauli strings of one length (N001) or no
            weights (N002), for a space on which they do not act (N003), and for a real
            dtype of complex matrix elements (D012).
    """
    texts = _texts(strings)
    merged: dict[str, complex] = {}
    for text, weight in zip(
        texts, as_weights(weights, len(texts), "Pauli strings").tolist(), strict=True
    ):
        merged[text] = merged.get(text, 0) + weight
    kept = {text: weight for text, weight in merged.items() if weight}
    given = qubit(len(texts[0])) if hilbert is None else hilbert
    space = as_space(given)
    read = _bytes(texts[:1] if not kept else list(kept))
    summed = np.array([*kept.values()] or [0], np.complex128)
    _check_acts(read, space)
    mels = summed * _PHASES[(read == _Y).sum(axis=1) % 4]
    builder = DOperator(
        given, name, dtype=dtype_of(mels, dtype), hermitian=is_real(summed) or None
    )
    flips, signs = (read == _X) | (read == _Y), (read == _Y) | (read == _Z)
    letters = _Letters(flips, signs, _states(given, space))
    for rows in _alike(flips):
        _emit(builder, letters[rows], mels[rows])
    return builder.build()


def _texts(strings: object) -> list[str]:
    """Return the strings, all of one length and made of the letters."""
    items = [strings] if isinstance(strings, str) else items_of(strings)
    texts: list[Any] = [] if items is None else list(items)
    if not texts:
        raise _no_strings(shortened(strings))
    for position, text in enumerate(texts):
        if not isinstance(text, str) or not text or not set(text) <= set("IXYZ"):
            raise _no_strings(f"string {position}: {shortened(text)}")
        if len(text) != len(texts[0]):
            raise _no_strings(
                f"string {position} of {len(text)} letters, and string 0 of "
                f"{len(texts[0])}"
            )
    return [str(text) for text in texts]


def _no_strings(found: str) -> DefinitionError:
    return DefinitionError(
        "N001",
        "these are no Pauli strings",
        expected="strings of the letters I, X, Y, Z, one letter for each site",
        found=found,
    )


def _bytes(texts: list[str]) -> Bytes:
    flat = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
    return flat.reshape(len(texts), -1)


def _check_acts(letters: Bytes, space: Space) -> None:
    if letters.shape[1] != space.size:
        raise _wrong_space(
            f"a space of {letters.shape[1]} sites", f"{space!r} of {space.size} sites"
        )
    for place in np.flatnonzero((letters != _I).any(axis=0)).tolist():
        values = space.local_states_at(place)
        if len(values) != 2:
            raise _wrong_space(
                "two local states on each site that a string acts on",
                f"{len(values)} local states on site {place} of {space!r}",
            )


def _wrong_space(expected: str, found: str) -> DefinitionError:
    return DefinitionError(
        "N003",
        "Pauli strings do not act on this space",
        expected=expected,
        found=found,
    )


@dataclass(frozen=True)
class _Letters:
    """Strings on a space.

    Attributes:
        flips: where there is an X or a Y; booleans of shape (strings, sites), as signs.
        signs: where there is a Y or a Z.
        states: the two local states of each site, (sites, 2): Z is +1 on the first and
            -1 on the second. NaN where a site has another number of them.
    """

    flips: Sites
    signs: Sites
    states: npt.NDArray[np.float64]

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> _Letters:
        return _Letters(self.flips[rows], self.signs[rows], self.states)


def _states(hilbert: object, space: Space) -> npt.NDArray[np.float64]:
    pairs = [_pair(hilbert, space, site) for site in range(space.size)]
    return np.array(pairs, np.float64)


def _pair(hilbert: object, space: Space, site: int) -> Sequence[float]:
    values = space.local_states_at(site)
    if len(values) != 2:
        return (math.nan, math.nan)
    listed: Any = getattr(hilbert, "states_at_index", None)
    if callable(listed):
        return [float(value) for value in items_of(listed(site)) or ()]
    parts = space.subsystems
    (kind,) = (p.kind for p in parts if p.start <= site < p.start + p.size)
    is_spin = kind == "spin" or values == (-1, 1)
    return values[::-1] if is_spin else values


def _alike(flips: Sites) -> Iterable[npt.NDArray[np.intp]]:
    """Return the rows that flip 0, 1, 2, 3 to 4, and more sites.

    All rows of a term make as many writes as the one with the most; but more terms are
    more code, and the widest one is what the kernel pays for.
    """
    bounds = np.searchsorted([0, 1, 2, 4], flips.sum(axis=1))
    return [np.flatnonzero(bounds == bound) for bound in np.unique(bounds)]


def _emit(builder: DOperator, letters: _Letters, mels: Weights) -> None:
    """Add a term with a row for each string."""
    counts = letters.flips.sum(axis=1)
    width = int(counts.max())
    # The flipped sites come first, and then others: no site is there twice. A string
    # that flips none has a site, too, which nothing reads.
    order = np.argsort(~letters.flips, axis=1, kind="stable")
    over = order[:, : max(width, 1)]
    data: dict[str, object] = {"w": mels.real if is_real(mels) else mels}
    if counts.min() < width:
        data["flips"] = counts
    update = Update()
    for k in range(width):
        x = site(f"s{k}").value
        flipped = _total(letters.states[over[:, k]].sum(axis=1), f"total{k}", data) - x
        stays = k >= counts.min()
        update = update.write(
            f"s{k}", where(row("flips") > k, flipped, x) if stays else flipped
        )
    sign, sets = _sign(letters)
    labels = [f"s{k}" for k in range(over.shape[1])]
    builder.for_each(labels, over=over, data=data, sets=sets)
    builder.emit(update, amplitude=row("w") if sign is None else row("w") * sign)


def _total(totals: npt.NDArray[np.float64], name: str, data: dict[str, object]) -> Expr:
    """Return the sum of both local states, row data where it is not the same for all.

    It is not a number on a site that is never flipped.
    """
    known = totals[~np.isnan(totals)]
    if (known == known[0]).all():
        return as_expr(float(known[0]))
    data[name] = np.nan_to_num(totals)
    return row(name)


def _sign(letters: _Letters) -> tuple[Expr | None, dict[str, object]]:
    """Return the sign, if any, and the site sets that it reads."""
    sign: Expr | None = None
    sets: dict[str, object] = {}
    second = letters.states[:, 1]
    for number, value in enumerate(np.unique(second[~np.isnan(second)]).tolist()):
        members = letters.signs & (second == value)
        if not members.any():
            continue
        name = f"signs{number}"
        sets[name] = _sets(members)
        is_odd = ReducedPredicate("parity", here == value, set_(name))
        factor = where(is_odd, -1, 1)
        sign = factor if sign is None else sign * factor
    return sign, sets


def _sets(members: Sites) -> list[npt.NDArray[np.intp]]:
    sites = np.nonzero(members)[1]
    return np.split(sites, np.cumsum(members.sum(axis=1))[:-1])
