"""Row tables and row data: what iterators run over, checked entry by entry."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from dialects.tables import RowTable
from symir.errors import DefinitionError
from symir.language.codes import Mistake
from symir.language.scalars import as_number, is_bool, items_of, shortened

__all__ = [
    "all_pairs",
    "all_sites",
    "as_column",
    "as_rows",
    "distinct_pairs",
    "one_row",
    "unordered_pairs",
]

Array = npt.NDArray[Any]

# region Iterators without rows of their own


def one_row() -> RowTable:
    """Return the table of a term that is visited once and has no labels."""
    return RowTable(1, 0, b"")


def all_sites(sites: int) -> RowTable:
    """Return the rows 0, 1, .., N-1."""
    return RowTable.from_rows(np.arange(sites)[:, None], labels=1)


def all_pairs(sites: int) -> RowTable:
    """Return all ordered pairs, equal ones included, the second site running faster."""
    return RowTable.from_rows(_pairs(sites), labels=2)


def distinct_pairs(sites: int) -> RowTable:
    """Return the ordered pairs of two different sites."""
    pairs = _pairs(sites)
    return RowTable.from_rows(pairs[pairs[:, 0] != pairs[:, 1]], labels=2)


def unordered_pairs(sites: int) -> RowTable:
    """Return the pairs i < j."""
    return RowTable.from_rows(np.stack(np.triu_indices(sites, 1), axis=1), labels=2)


def _pairs(sites: int) -> Array:
    return np.indices((sites, sites), np.int32).reshape(2, -1).T


# endregion
# region Rows of users


def as_rows(over: object, labels: Sequence[str], sites: int) -> RowTable:
    """Return the rows that a user gave, one site per label, as a table.

    Lists, generators and arrays of NumPy or JAX will do; for a single label also a flat
    list of site numbers.

    Raises:
        DefinitionError: when there are no rows (D005), they form no table of as many
            columns as there are labels (D004), an entry is no exact integer (D006) or
            no site of the lattice (D003).
    """
    rows = _materialized(over)
    if not len(rows):
        raise Mistake.EMPTY_ROWS.error(
            "for_each is given no rows",
            expected="at least one row in over=",
            found=shortened(over),
            hint="leave the term out where there is nothing to iterate over",
        )
    if isinstance(rows, np.ndarray):
        table = _table_of_array(rows, labels)
    else:
        table = _table_of_list(rows, labels, sites)
    _check_range(table, sites)
    return RowTable.from_rows(table.astype(np.int32), labels=len(labels))


def _materialized(over: object) -> Array | list[Any]:
    array = _array_of(over)
    if array is not None and array.ndim and array.dtype.kind in "biuf":
        return array
    rows = items_of(over if array is None else array.tolist())
    if rows is None:
        raise Mistake.BAD_ROWS.error(
            "the rows of for_each are not a table",
            expected="a list, generator or array of rows in over=",
            found=shortened(over),
        )
    return list(rows)


def _array_of(value: object) -> Array | None:
    """Return an array of NumPy, JAX or alike as NumPy's, None for anything else."""
    if not hasattr(value, "__array__"):
        return None
    try:
        return np.asarray(value)
    except TypeError:  # JAX is tracing it
        return None


def _table_of_array(array: Array, labels: Sequence[str]) -> Array:
    table = array[:, None] if array.ndim == 1 and len(labels) == 1 else array
    if table.ndim != 2 or table.shape[1] != len(labels):
        raise Mistake.BAD_ROWS.error(
            f"the rows of for_each need {_columns(labels)}",
            expected=f"an array of shape (rows, {len(labels)})",
            found=f"an array of shape {array.shape}",
        )
    if table.dtype.kind == "b":
        raise _not_a_site_number(0, table[0].tolist())
    if table.dtype.kind == "f":
        # NaN differs from itself, and so does infinity from what remains of it.
        inexact = ~np.isfinite(table) | (table != np.rint(table))
        _check_all(~inexact, table)
    return table


def _check_all(good: Array, table: Array) -> None:
    if not good.all():
        number = int(np.argmin(good.all(axis=1)))
        raise _not_a_site_number(number, table[number].tolist())


def _table_of_list(rows: list[Any], labels: Sequence[str], sites: int) -> Array:
    width = len(labels)
    if width == 1:
        rows = [row if _is_row(row) else (row,) for row in rows]
    if _is_plain(rows, width):
        try:
            return np.array(rows, np.int64)
        except OverflowError:
            pass  # some entry is far outside of the lattice: find it below
    exact = [_exact_row(number, row, labels) for number, row in enumerate(rows)]
    for number, row in enumerate(exact):
        if min(row) < 0 or max(row) >= sites:
            raise _outside(number, row, sites)
    return np.array(exact, np.int64)


def _is_row(row: object) -> bool:
    return items_of(row) is not None


def _is_plain(rows: list[Any], width: int) -> bool:
    """Whether NumPy may convert the rows at once without hiding a mistake."""
    if all(isinstance(row, np.ndarray) for row in rows):
        return all(row.shape == (width,) and row.dtype.kind == "i" for row in rows)
    if not all(type(row) in (tuple, list) and len(row) == width for row in rows):
        return False
    kinds = set(map(type, chain.from_iterable(rows)))
    return all(kind is int or issubclass(kind, np.signedinteger) for kind in kinds)


def _exact_row(number: int, row: object, labels: Sequence[str]) -> list[int]:
    entries = list(cast(Iterable[object], row)) if _is_row(row) else []
    if len(entries) != len(labels):
        raise _bad_width(number, row, labels)
    exact = [_exact_integer(entry) for entry in entries]
    found = [entry for entry in exact if entry is not None]
    if len(found) < len(exact):
        raise _not_a_site_number(number, entries)
    return found


def _exact_integer(entry: object) -> int | None:
    if is_bool(entry):
        return None
    if isinstance(entry, SupportsIndex):
        return _index_of(entry)
    try:
        number = as_number(entry)
    except DefinitionError:  # it is not finite
        return None
    if number is None or isinstance(number, complex) or number != int(number):
        return None
    return int(number)


def _index_of(entry: SupportsIndex) -> int | None:
    try:
        return operator.index(entry)
    except TypeError:  # an array of floats, of several entries, or that JAX is tracing
        return None


def _check_range(table: Array, sites: int) -> None:
    outside = ((table < 0) | (table >= sites)).any(axis=1)
    if outside.any():
        number = int(np.argmax(outside))
        raise _outside(number, table[number].tolist(), sites)


def _columns(labels: Sequence[str]) -> str:
    count = "one column" if len(labels) == 1 else f"{len(labels)} columns"
    return f"{count} ({', '.join(labels)})"


def _bad_width(number: int, row: object, labels: Sequence[str]) -> Exception:
    return Mistake.BAD_ROWS.error(
        f"row {number} of for_each does not have one site for each of {list(labels)}",
        expected=f"{len(labels)} site numbers ({', '.join(labels)})",
        found=f"row {number}: {shortened(row)}",
    )


def _not_a_site_number(number: int, row: object) -> Exception:
    return Mistake.NOT_A_SITE_NUMBER.error(
        f"row {number} of for_each holds something that is no site number",
        expected="exact integers",
        found=f"row {number}: {shortened(row)}",
    )


def _outside(number: int, row: object, sites: int) -> Exception:
    return Mistake.SITE_OUTSIDE.error(
        f"row {number} of for_each holds a site that the lattice does not have",
        expected=f"sites from 0 to {sites - 1}",
        found=f"row {number}: {shortened(row)}",
    )


# endregion
# region Row data


def as_column(name: str, values: object, rows: int, dtype: np.dtype[Any]) -> Array:
    """Return row data as a read-only array, float64 or complex128, of shape (rows,).

    Raises:
        DefinitionError: when the data are not one number per row (D024), are complex in
            a real operator (D012), or not finite in the operator's dtype (D013).
    """
    array = _numbers(name, values)
    if array.shape != (rows,):
        found = f"an array of shape {array.shape}"
        raise _bad_data(name, f"one number for each of {rows} rows", found)
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise Mistake.COMPLEX_IN_REAL.error(
            f"the data '{name}' are complex and the operator is real",
            expected=f"real numbers for dtype {dtype}",
            found=f"data of dtype {array.dtype}",
            hint="DOperator(.., dtype='complex128'), or pass their real part",
        )
    with np.errstate(over="ignore"):  # long doubles; what overflows is found below
        exact = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    finite = np.isfinite(exact)
    if finite.all():
        largest = np.finfo(dtype).max
        finite = (np.abs(exact.real) <= largest) & (np.abs(exact.imag) <= largest)
    if not finite.all():
        number = int(np.argmin(finite))
        raise Mistake.NOT_FINITE.error(
            f"the data '{name}' are not finite in row {number}",
            expected=f"finite numbers in {dtype}",
            found=f"row {number}: {array[number]}",
        )
    exact.flags.writeable = False
    return exact


def _numbers(name: str, values: object) -> Array:
    expected = "a list or array of numbers, one per row"
    array = _array_of(values)
    if array is not None and array.dtype.kind in "iufc":
        return array
    items = items_of(values if array is None else array.tolist())
    if items is None:
        raise _bad_data(name, expected, shortened(values))
    numbers = [_entry(name, row, value) for row, value in enumerate(items)]
    return np.array(numbers, None if numbers else np.float64)


def _entry(name: str, row: int, value: object) -> float | complex:
    try:
        number = as_number(value)
    except DefinitionError as error:
        error.message = f"the data '{name}' are not finite in row {row}"
        raise
    if number is None:
        raise _bad_data(name, "numbers", f"row {row}: {shortened(value)}")
    return number if isinstance(number, complex) else float(number)


def _bad_data(name: str, expected: str, found: str) -> Exception:
    return Mistake.BAD_DATA.error(
        f"the data '{name}' are not one number per row",
        expected=expected,
        found=found,
    )


# endregion
