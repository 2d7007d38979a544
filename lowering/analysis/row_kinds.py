"""Kinds of rows: those that agree in all columns, numbered in linear time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]


def kinds_of_rows(columns: Iterable[Array], rows: int) -> tuple[Numbers, Numbers]:
    """Return the number of the kind of each row, and the first row of each kind.

    Rows are of one kind where they agree in all columns, which hold integers.
    """
    kind = np.zeros(rows, np.int64)
    if not rows:
        return kind, kind
    # One column after the other: sorting rows as wholes takes ten times as long.
    for column in columns:
        values = _numbered(column)
        if largest := int(values.max()):
            kind = _numbered(kind * (largest + 1) + values)
    # The first row of each kind: the last one that is written, backwards
    first = np.empty(int(kind.max()) + 1, np.int64)
    first[kind[::-1]] = np.arange(rows - 1, -1, -1)
    return kind, first


def bits_of(column: Array) -> list[Numbers]:
    """Return integers that are equal where the numbers of a column are, to the bit.

    0 and -0 are not the same number; complex ones have a real and an imaginary part.
    """
    if column.dtype.kind in "biu":
        return [column.astype(np.int64)]
    parts = (np.real(column), np.imag(column)) if column.dtype.kind == "c" else [column]
    return [np.ascontiguousarray(one, np.float64).view(np.int64) for one in parts]


def _numbered(column: Array) -> Numbers:
    """Return integers 0, 1, .. that are equal where, and ascend as, those given do."""
    low, high = int(column.min()), int(column.max())
    if high - low > 4 * len(column) + 64:
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    shifted = column.astype(np.int64) - low
    present = np.zeros(high - low + 1, np.int64)
    present[shifted] = 1
    return (np.cumsum(present) - 1)[shifted]
