"""Row tables and local spaces: plain data with value semantics."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dialects.tables import NO_SITE, LocalSpace, RowTable, SiteSets

INT32 = np.iinfo(np.int32)

# region RowTable

tables = npst.arrays(
    np.int32, npst.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6)
)


@given(tables)
def test_a_table_keeps_its_array(array: npt.NDArray[np.int32]) -> None:
    table = RowTable.from_rows(array)
    assert (table.rows, table.labels) == array.shape
    assert len(table) == len(array)
    np.testing.assert_array_equal(table.array, array)
    assert table.array.dtype == np.int32
    assert list(table) == array.tolist()


@given(tables)
def test_columns_are_those_of_the_array(array: npt.NDArray[np.int32]) -> None:
    table = RowTable.from_rows(array)
    for label in range(table.labels):
        column = table.column(label)
        np.testing.assert_array_equal(column, array[:, label])
        assert column.flags.c_contiguous


@given(tables, tables)
def test_equal_arrays_make_equal_tables(
    a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]
) -> None:
    first, second = RowTable.from_rows(a), RowTable.from_rows(b)
    assert RowTable.from_rows(a.copy()) == first
    assert hash(RowTable.from_rows(a.copy())) == hash(first)
    assert (first == second) == (a.shape == b.shape and bool((a == b).all()))


@given(tables, st.sampled_from([np.int8, np.uint8, np.int64, np.uint64, ">i4"]))
def test_the_dtype_of_the_input_does_not_matter(
    array: npt.NDArray[np.int32], dtype: npt.DTypeLike
) -> None:
    small = array % 100
    assert RowTable.from_rows(small.astype(dtype)) == RowTable.from_rows(small)


@given(tables)
def test_nor_does_its_layout(array: npt.NDArray[np.int32]) -> None:
    assert RowTable.from_rows(np.asfortranarray(array)) == RowTable.from_rows(array)
    assert RowTable.from_rows(np.repeat(array, 2, axis=0)[::2]) == RowTable.from_rows(
        array
    )


def test_lists_and_tuples_are_rows_too() -> None:
    table = RowTable.from_rows([[0, 1], [1, 2]])
    assert table == RowTable.from_rows(((0, 1), (1, 2)))
    assert table == RowTable.from_rows(np.array([[0, 1], [1, 2]]))


def test_a_table_without_rows_keeps_its_labels() -> None:
    assert RowTable.from_rows([], labels=3) == RowTable(0, 3, b"")
    assert RowTable.from_rows([]) == RowTable(0, 0, b"")
    assert RowTable.from_rows(np.zeros((0, 3))) == RowTable(0, 3, b"")
    assert RowTable.from_rows(np.zeros((0, 3)), labels=3).array.shape == (0, 3)


def test_a_table_without_labels_keeps_its_rows() -> None:
    table = RowTable.from_rows([[], []], labels=0)
    assert table == RowTable(2, 0, b"")
    assert list(table) == [[], []]
    assert table.array.shape == (2, 0)


def test_the_array_cannot_be_changed() -> None:
    table = RowTable.from_rows([[0, 1]])
    with pytest.raises(ValueError, match="read-only"):
        table.array[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(table, "rows", 2)


def test_the_array_is_made_once() -> None:
    table = RowTable.from_rows([[0, 1]])
    assert table.array is table.array


def test_the_largest_numbers_fit() -> None:
    table = RowTable.from_rows([[INT32.min, INT32.max]])
    assert list(table) == [[INT32.min, INT32.max]]


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([[INT32.max + 1]], None, "fit into 32 bits"),
        ([[INT32.min - 1]], None, "fit into 32 bits"),
        ([[2**63]], None, "fit into 32 bits"),
        (np.array([[2**64 - 1]], np.uint64), None, "fit into 32 bits"),
        ([[2**70]], None, "expected integers of 32 bits, got object"),
        ([[0.0]], None, "expected integers of 32 bits, got float64"),
        ([[True]], None, "expected integers of 32 bits, got bool"),
        ([["0"]], None, "expected integers of 32 bits, got <U1"),
        ([0, 1], None, r"shape \(rows, labels\), got shape \(2,\)"),
        (3, None, r"shape \(rows, labels\), got shape \(\)"),
        ([[[0]]], None, r"got shape \(1, 1, 1\)"),
        ([[0, 1]], 3, r"shape \(rows, 3\), got shape \(1, 2\)"),
        (np.zeros((0, 2), int), 3, r"got shape \(0, 2\)"),
        ([[0], [1, 2]], None, "inhomogeneous"),
    ],
)
def test_what_is_no_table(rows: Any, labels: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RowTable.from_rows(rows, labels)


# endregion
# region SiteSets

site_sets = st.lists(st.lists(st.integers(0, INT32.max), max_size=5), max_size=5)


@given(site_sets)
def test_sets_keep_their_sites(sets: list[list[int]]) -> None:
    table = SiteSets.from_sets(sets)
    assert (table.rows, table.width) == (len(sets), max(map(len, sets), default=0))
    assert list(table) == sets
    assert [table.row(row) for row in range(table.rows)] == sets
    assert table.array.shape == (table.rows, table.width)
    assert table.array.dtype == np.int32
    assert (table.array == NO_SITE).sum() == table.array.size - sum(map(len, sets))


@given(site_sets, st.integers(0, 6))
def test_an_element_that_a_set_does_not_have_is_no_site(
    sets: list[list[int]], position: int
) -> None:
    column = SiteSets.from_sets(sets).column(position)
    expected = [own[position] if position < len(own) else NO_SITE for own in sets]
    assert column.tolist() == expected
    assert column.dtype == np.int32


@given(site_sets)
def test_sets_are_values(sets: list[list[int]]) -> None:
    one, other = SiteSets.from_sets(sets), SiteSets.from_sets([*sets, [1]])
    assert one == SiteSets.from_sets(sets)
    assert hash(one) == hash(SiteSets.from_sets(sets))
    assert one != other
    with pytest.raises(ValueError, match="read-only"):
        other.array[0, 0] = 3


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([[0], [NO_SITE]], "from 0 on"),
        ([[INT32.max + 1]], "fit into 32 bits"),
        ([[2**70]], "expected integers, got object"),
        ([[0.5]], "expected integers, got float64"),
        ([[True]], "expected integers, got bool"),
        ([[0], [1, np.True_]], "expected integers, got bool"),
        ([[[0, 1]], [[2, 3]]], "expected integers, got"),
    ],
)
def test_what_is_no_set(sets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SiteSets.from_sets(sets)


# endregion
# region LocalSpace

states = st.lists(st.integers(-3, 3), min_size=1, max_size=4, unique=True).map(
    lambda values: tuple(float(value) for value in sorted(values))
)
spaces = st.one_of(
    st.builds(LocalSpace, st.integers(1, 6), st.tuples(states)),
    st.lists(states, min_size=1, max_size=6).map(
        lambda lists: LocalSpace(len(lists), tuple(lists))
    ),
)


@given(spaces)
def test_every_site_has_its_local_states(space: LocalSpace) -> None:
    expected = space.local_states
    if len(expected) == 1:
        expected = expected * space.sites
    assert tuple(space.at(site) for site in range(space.sites)) == expected
    assert space.is_uniform == (len(space.local_states) == 1)


@given(spaces)
def test_kinds_number_the_distinct_local_states(space: LocalSpace) -> None:
    distinct, number = space.kinds
    assert len(set(distinct)) == len(distinct)
    assert number.shape == (space.sites,)
    assert number.dtype == np.int32
    assert set(number.tolist()) == set(range(len(distinct)))
    for site in range(space.sites):
        assert distinct[number[site]] == space.at(site)


def test_a_space_is_a_value() -> None:
    one = LocalSpace(4, ((0.0, 1.0),))
    assert one == LocalSpace(4, ((0.0, 1.0),))
    assert hash(one) == hash(LocalSpace(4, ((0.0, 1.0),)))
    assert one != LocalSpace(5, ((0.0, 1.0),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, "sites", 2)


# endregion
