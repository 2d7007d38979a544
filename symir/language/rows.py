"""Row tables and row data: what iterators run over, checked entry by entry."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from dialects.tables import NO_SITE, RowTable, SiteSets
from symir.errors import DefinitionError
from symir.language.codes import Mistake
from symir.language.scalars import (
    as_number,
    is_bool,
    items_of,
    plain_numbers,
    shortened,
)

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


@dataclass(frozen=True)
class AllRows:
    """An iterator whose rows are known from the number of sites alone."""

    labels: int
    size: Callable[[int], int]
    make: Callable[[int], RowTable]


ITERATORS = {
    "globally": AllRows(0, lambda sites: 1, lambda sites: one_row()),
    "for_each_site": AllRows(1, lambda n: n, all_sites),
    "for_each_pair": AllRows(2, lambda n: n * n, all_pairs),
    "for_each_distinct_pair": AllRows(2, lambda n: n * (n - 1), distinct_pairs),
    "for_each_unordered_pair": AllRows(2, lambda n: n * (n - 1) // 2, unordered_pairs),
}
"""Iterators of the language that take no rows, the simplest first."""

_TUPLES: dict[tuple[bool, bool], Callable[[range, int], Iterable[tuple[int, ...]]]] = {
    (True, True): itertools.permutations,
    (True, False): itertools.combinations,
    (False, True): lambda sites, k: itertools.product(sites, repeat=k),
    (False, False): itertools.combinations_with_replacement,
}


def tuples(sites: int, k: int, *, distinct: bool, ordered: bool) -> RowTable:
    """Return the tuples of k sites in lexicographic order.

    `distinct` ones hold no site twice; of the tuples that differ in their order alone
    only the ascending one is there, unless they are `ordered`.
    """
    found = _TUPLES[distinct, ordered](range(sites), k)
    flat = np.fromiter(chain.from_iterable(found), np.int32)
    return RowTable.from_rows(flat.reshape(-1, k), labels=k)


def plaquettes(shape: object, pbc: object, sites: int) -> RowTable:
    """Return the corners of the plaquettes of a square lattice, in order around them.

    Site (x, y) of a lattice of shape (Lx, Ly) has the number `x * Ly + y`, and the
    plaquette there has the corners (x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1).

    Raises:
        DefinitionError: for a shape that is not that of the lattice, or not two
            lengths of at least 2 (D038).
    """
    lengths = _lengths(shape, sites)
    periodic = _both_directions(pbc)
    x, y = (
        np.arange(length if wraps else length - 1)
        for length, wraps in zip(lengths, periodic, strict=True)
    )
    x, y = (corner.reshape(-1) for corner in np.meshgrid(x, y, indexing="ij"))
    steps = ((0, 0), (1, 0), (1, 1), (0, 1))
    corners = [
        (x + dx) % lengths[0] * lengths[1] + (y + dy) % lengths[1] for dx, dy in steps
    ]
    return RowTable.from_rows(np.stack(corners, axis=1), labels=4)


def _lengths(shape: object, sites: int) -> tuple[int, int]:
    items = items_of(shape)
    entries = [] if items is None else [_exact_integer(item) for item in items]
    lengths = [entry for entry in entries if entry is not None and entry >= 2]
    if len(entries) == 2 and len(lengths) == 2 and lengths[0] * lengths[1] == sites:
        return lengths[0], lengths[1]
    raise Mistake.BAD_SHAPE.error(
        "the plaquettes of a square lattice need its shape",
        expected=f"shape=(Lx, Ly), each at least 2, with Lx * Ly == {sites}",
        found=f"shape={shortened(shape)}",
        hint="the plaquettes of another lattice are given as over=rows",
    )


def _both_directions(pbc: object) -> tuple[bool, bool]:
    flags = [pbc, pbc] if is_bool(pbc) else list(items_of(pbc) or ())
    if len(flags) == 2 and all(is_bool(flag) for flag in flags):
        return bool(flags[0]), bool(flags[1])
    raise Mistake.BAD_SHAPE.error(
        "a lattice is periodic in a direction or not",
        expected="pbc=True or False, or one of them for each direction",
        found=f"pbc={shortened(pbc)}",
    )


# endregion
# region Graphs


def edges_of(graph: object, color: object = None) -> list[tuple[Any, Any]]:
    """Return the edges of a graph of NetKet, networkx or alike: pairs of sites.

    With a colour only those that have it: NetKet colours edges by integers, networkx
    by the attribute "color".

    Raises:
        DefinitionError: for what has no edges (D037), or none of that colour (D037).
    """
    method: object = getattr(graph, "edges", None)
    if not callable(method):
        raise Mistake.BAD_GRAPH.error(
            "for_each_edge runs over the edges of a graph",
            expected="a graph of NetKet or networkx",
            found=shortened(graph),
            hint="for_each(('i', 'j'), over=pairs) takes a list of edges",
        )
    if color is None:
        return list(cast(Iterable[tuple[Any, Any]], method()))
    colored = colored_edges(graph)
    edges = [(a, b) for a, b, found in colored if found == color]
    if edges:
        return edges
    colors = list(dict.fromkeys(found for *_, found in colored if found is not None))
    raise Mistake.BAD_GRAPH.error(
        f"the graph has no edge of colour {shortened(color)}",
        expected=f"one of the colours {shortened(colors)}" if colors else None,
        found="a graph without colours" if not colors else None,
    )


def colored_edges(graph: Any) -> list[tuple[Any, Any, Any]]:
    """Return the edges of a graph, each with its colour: None where it has none."""
    if hasattr(graph, "n_nodes"):  # a graph of NetKet
        return list(graph.edges(return_color=True))
    try:
        return list(graph.edges(data="color"))
    except TypeError:  # neither NetKet's nor networkx's
        return [(a, b, None) for a, b in graph.edges()]


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
    if type(entry) is int:  # by far the most frequent, and the tests below are slow
        return entry
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
    # An expression, or an array of floats, of several entries, or that JAX is tracing
    except (DefinitionError, TypeError):
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
# region Site sets


def as_site_sets(name: str, sets: object, rows: int, sites: int) -> SiteSets:
    """Return one set of sites per row as a table.

    Raises:
        DefinitionError: when there is not one list per row, or one holds a site twice
            (D033); for an entry that is no exact integer (D006) or no site (D003).
    """
    array = _array_of(sets)
    items = items_of(sets if array is None else array.tolist())
    if items is None:
        raise _bad_sets(name, f"a list of {rows} lists of sites", shortened(sets))
    entries = list(items)
    if len(entries) != rows:
        found = f"{len(entries)} sets for {rows} rows"
        raise _bad_sets(name, "one list of sites for each row", found)
    table = _plain_sets(entries)
    if table is not None and _are_sets(table.array, sites):
        return table
    # One by one is slow; it takes numbers of every kind, and names the row to blame.
    return SiteSets.from_sets(
        [_site_set(name, row, entry, sites) for row, entry in enumerate(entries)]
    )


def _plain_sets(entries: list[Any]) -> SiteSets | None:
    """Return sets that NumPy may convert at once without hiding a mistake."""
    if not {list, tuple, set, range, np.ndarray}.issuperset(map(type, entries)):
        return None
    try:
        return SiteSets.from_sets(entries)
    except (TypeError, ValueError):
        return None


def _are_sets(table: Array, sites: int) -> bool:
    """Whether all sites are on the lattice, and none is twice in its row."""
    ascending = np.sort(table, axis=1)
    twice = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] != NO_SITE)
    return not twice.any() and table.max(initial=NO_SITE) < sites


def _site_set(name: str, row: int, entry: object, sites: int) -> list[int]:
    items = items_of(entry)
    if items is None:
        raise _bad_sets(name, "a list of sites", f"row {row}: {shortened(entry)}")
    members = list(items)
    numbers = [_exact_integer(member) for member in members]
    found = [number for number in numbers if number is not None]
    if len(found) < len(numbers):
        raise Mistake.NOT_A_SITE_NUMBER.error(
            f"row {row} of the site set '{name}' holds something that is no site",
            expected="exact integers",
            found=f"row {row}: {shortened(members)}",
        )
    if found and not (min(found) >= 0 and max(found) < sites):
        raise Mistake.SITE_OUTSIDE.error(
            f"row {row} of the site set '{name}' holds a site that the lattice does "
            "not have",
            expected=f"sites from 0 to {sites - 1}",
            found=f"row {row}: {shortened(found)}",
        )
    if len(set(found)) < len(found):
        raise _bad_sets(name, "every site once", f"row {row}: {shortened(found)}")
    return found


def _bad_sets(name: str, expected: str, found: str) -> Exception:
    return Mistake.BAD_SETS.error(
        f"the site set '{name}' is not one set of sites per row",
        expected=expected,
        found=found,
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
    entries = list(items)
    plain = plain_numbers(entries)
    if plain is not None:
        return plain
    numbers = [_entry(name, row, value) for row, value in enumerate(entries)]
    return np.array(numbers)


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
