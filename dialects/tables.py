"""Plain data behind the attributes of `sym`: local spaces and row tables.

Nothing here knows of xDSL; the attributes in `dialects.sym` wrap these values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

_SMALLEST, _LARGEST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


NO_SITE = -1
"""The number of a site that is none: where a set has no further element."""


def largest_place(dtype: np.dtype[Any]) -> float:
    """Return up to which place local values are counted, and shifted by.

    Quotients by their number are exact in that range, after rounding down.
    """
    return 2.0 ** (np.finfo(dtype).nmant - 8)


@dataclass(frozen=True)
class SiteSum:
    """A conserved quantity: sum_s weights[s] * x[s] equals `total`; a weight per site.

    Fixed particle numbers and magnetisations are of this kind.
    """

    weights: tuple[float, ...]
    total: float


@dataclass(frozen=True)
class LocalSpace:
    """The allowed local values of every site of a lattice, and what is conserved.

    `local_states` has one ascending tuple of values when all sites are alike, and one
    per site otherwise. A configuration has to satisfy each of `sums` as well.
    """

    sites: int
    local_states: tuple[tuple[float, ...], ...]
    sums: tuple[SiteSum, ...] = ()

    @property
    def is_uniform(self) -> bool:
        return len(self.local_states) == 1

    def at(self, site: int) -> tuple[float, ...]:
        """Return the allowed values of one site."""
        return self.local_states[0 if self.is_uniform else site]

    @cached_property
    def kinds(self) -> tuple[tuple[tuple[float, ...], ...], IntArray]:
        """The distinct local state tuples, and the number of each site's tuple."""
        distinct = tuple(dict.fromkeys(self.local_states))
        if self.is_uniform:
            return distinct, np.zeros(self.sites, np.int32)
        number = {states: k for k, states in enumerate(distinct)}
        return distinct, np.array([number[s] for s in self.local_states], np.int32)


@dataclass(frozen=True)
class RowTable:
    """An immutable table of `rows` x `labels` site numbers, kept as bytes.

    Tables of 10^6 rows are compared, hashed and passed on as fast as their bytes.
    """

    rows: int
    labels: int
    data: bytes

    @classmethod
    def from_rows(cls, rows: npt.ArrayLike, labels: int | None = None) -> RowTable:
        """Build a table from a (rows, labels) array of integers.

        `labels` says how many there are where no row does. Raises ValueError for
        anything but a rectangle of integers that fit into 32 bits.
        """
        array = np.asarray(rows)
        if array.ndim == 1 and array.size == 0:
            array = array.reshape(0, labels or 0)
        if array.ndim != 2 or labels not in (None, array.shape[1]):
            raise ValueError(
                f"expected an array of shape (rows, {labels or 'labels'}), "
                f"got shape {array.shape}"
            )
        if array.size and array.dtype.kind not in "iu":
            raise ValueError(f"expected integers of 32 bits, got {array.dtype}")
        # a silent wrap would turn a site outside of the lattice into one inside
        if array.size and (array.min() < _SMALLEST or array.max() > _LARGEST):
            raise ValueError("site numbers must fit into 32 bits")
        table = np.ascontiguousarray(array, dtype="<i4")
        return cls(table.shape[0], table.shape[1], table.tobytes())

    @cached_property
    def array(self) -> IntArray:
        """The table as a read-only (rows, labels) array."""
        return np.frombuffer(self.data, "<i4").reshape(self.rows, self.labels)

    def of_rows(self, kept: npt.NDArray[np.int64]) -> RowTable:
        """Return the table of some rows, given by their numbers."""
        return RowTable.from_rows(self.array[kept], self.labels)

    def column(self, label: int) -> IntArray:
        """Return the site numbers of one label, one per row."""
        return np.ascontiguousarray(self.array[:, label])

    def row(self, row: int) -> list[int]:
        """Return the sites of one row."""
        found: Any = self.array[row].tolist()
        return found

    def __iter__(self) -> Iterator[Sequence[int]]:
        rows: Any = self.array.tolist()
        return iter(rows)

    def __len__(self) -> int:
        return self.rows


@dataclass(frozen=True)
class SiteSets:
    """Sets of sites, one for each row, of varying size, kept as bytes.

    Shorter sets are padded with `NO_SITE` up to the largest size.
    """

    rows: int
    width: int
    data: bytes

    @classmethod
    def from_sets(cls, sets: Sequence[Sequence[int]]) -> SiteSets:
        """Build the table from one sequence of sites per row.

        Raises ValueError for anything but numbers of sites that fit into 32 bits.
        """
        lengths = np.fromiter(map(len, sets), np.int64, len(sets))
        members = list(chain.from_iterable(sets))
        array = np.asarray(members)
        # NumPy takes booleans among integers for 0 and 1
        bools = {bool, np.bool_}.intersection(map(type, members))
        found = "bool" if bools else str(array.dtype)
        if members and (bools or array.ndim != 1 or array.dtype.kind not in "iu"):
            raise ValueError(f"expected integers, got {found}")
        # -1 is no site: it pads the shorter sets
        if members and (array.min() < 0 or array.max() > _LARGEST):
            raise ValueError("site numbers must fit into 32 bits, from 0 on")
        width = int(lengths.max(initial=0))
        table = np.full((len(sets), width), NO_SITE, "<i4")
        table[np.arange(width) < lengths[:, None]] = array
        return cls(len(sets), width, table.tobytes())

    @cached_property
    def array(self) -> IntArray:
        """The table as a read-only (rows, width) array."""
        return np.frombuffer(self.data, "<i4").reshape(self.rows, self.width)

    def of_rows(self, kept: npt.NDArray[np.int64]) -> SiteSets:
        """Return the sets of some rows, given by their numbers."""
        array = np.ascontiguousarray(self.array[kept])
        return SiteSets(len(array), self.width, array.tobytes())

    def column(self, position: int) -> IntArray:
        """Return one site of each set; `NO_SITE` where a set is smaller."""
        if position >= self.width:
            return np.full(self.rows, NO_SITE, np.int32)
        return np.ascontiguousarray(self.array[:, position])

    def row(self, row: int) -> list[int]:
        """Return the sites of one row's set."""
        sites = self.array[row]
        found: Any = sites[sites != NO_SITE].tolist()
        return found

    def __iter__(self) -> Iterator[Sequence[int]]:
        return (self.row(row) for row in range(self.rows))
