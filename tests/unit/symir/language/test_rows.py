"""Row tables and row data of iterators."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.tables import RowTable
from symir.errors import DefinitionError
from symir.language import rows

SITES = 5
F64 = np.dtype("float64")


def _listed(table: RowTable) -> list[list[int]]:
    return [list(row) for row in table]


@pytest.mark.parametrize("sites", [1, 2, 4])
def test_iterators_without_rows_of_their_own(sites: int):
    lattice = range(sites)
    pairs = list(itertools.product(lattice, lattice))
    assert _listed(rows.one_row()) == [[]]
    assert _listed(rows.all_sites(sites)) == [[site] for site in lattice]
    assert _listed(rows.all_pairs(sites)) == [list(pair) for pair in pairs]
    distinct = [[a, b] for a, b in pairs if a != b]
    assert _listed(rows.distinct_pairs(sites)) == distinct
    assert rows.distinct_pairs(sites).labels == 2
    unordered = [[a, b] for a, b in pairs if a < b]
    assert _listed(rows.unordered_pairs(sites)) == unordered
    assert rows.unordered_pairs(sites).labels == 2


def _table(over: Any, labels: str = "ij") -> list[list[int]]:
    return _listed(rows.as_rows(over, list(labels), SITES))


@pytest.mark.parametrize(
    "over",
    [
        [(0, 1), (4, 4)],
        ((0, 1), [4, 4]),
        [[0.0, 1.0], (4, 4)],
        [np.array([0, 1]), np.array([4, 4])],
        [np.array([0.0, 1.0]), np.array([4.0, 4.0])],
        [(np.int64(0), np.uint8(1)), (4, np.float32(4))],
        [(0, Fraction(1)), (jnp.asarray(4), np.array(4))],
        np.array([[0, 1], [4, 4]]),
        np.array([[0, 1], [4, 4]], np.uint64),
        np.array([[0, 1], [4, 4]], np.float32),
        np.array([[0, 1], [4, 4]], object),
        jnp.array([[0, 1], [4, 4]]),
        [jnp.array([0, 1]), jnp.array([4, 4])],
        dict.fromkeys([(0, 1), (4, 4)]).keys(),
    ],
)
def test_rows_come_in_many_forms(over: Any):
    assert _table(over) == [[0, 1], [4, 4]]
    assert _table(iter(over)) == [[0, 1], [4, 4]]


@pytest.mark.parametrize(
    "over",
    [
        [0, 3, 3],
        [(0,), (3,), [3]],
        [0, (3,), np.int8(3)],
        np.array([0, 3, 3]),
        np.array([[0], [3], [3]]),
        jnp.array([0, 3, 3]),
        (k for k in (0, 3, 3)),
    ],
)
def test_one_label_takes_flat_rows_too(over: Any):
    assert _table(over, "i") == [[0], [3], [3]]


@given(st.lists(st.lists(st.integers(0, SITES - 1), min_size=3, max_size=3)))
def test_lists_and_arrays_agree(table: list[list[int]]):
    if not table:
        return
    assert _table(table, "ijk") == table
    assert _table(np.array(table), "ijk") == table
    assert _table([tuple(map(float, row)) for row in table], "ijk") == table


BAD_ROWS: list[tuple[Any, str, str, str]] = [
    ([], "ij", "D005", "[]"),
    (np.zeros((0, 2), int), "ij", "D005", "[]"),
    (iter(()), "ij", "D005", "iterator"),
    ([(0, 1), (0, 9)], "ij", "D003", "row 1: [0, 9]"),
    ([(0, -1)], "ij", "D003", "row 0: [0, -1]"),
    ([(0, 10**30)], "ij", "D003", "row 0: [0, 1000000"),
    ([(0, 2**32)], "ij", "D003", "row 0: [0, 4294967296]"),
    (np.array([[0, 1], [2, 5]]), "ij", "D003", "row 1: [2, 5]"),
    (np.array([[0, 2**63]], np.uint64), "ij", "D003", "row 0: [0, 92"),
    (np.array([[0, 1e30]]), "ij", "D003", "row 0: [0.0, 1e+30]"),
    ([0, 5], "i", "D003", "row 1: [5]"),
    ([(0, 1), (2,)], "ij", "D004", "row 1: (2,)"),
    ([(0, 1, 2)], "ij", "D004", "row 0: (0, 1, 2)"),
    ([0, 1], "ij", "D004", "row 0: 0"),
    ([(0, 1), "23"], "ij", "D004", "row 1: '23'"),
    ([[]], "i", "D004", "row 0: []"),
    ([(0, 1)], "i", "D004", "row 0: (0, 1)"),
    (np.array([0, 1]), "ij", "D004", "shape (2,)"),
    (np.zeros((2, 3), int), "ij", "D004", "shape (2, 3)"),
    (np.zeros((2, 2, 2), int), "ij", "D004", "shape (2, 2, 2)"),
    (np.array(3), "i", "D004", "3"),
    (3, "i", "D004", "3"),
    (None, "i", "D004", "None"),
    ("01", "i", "D004", "'01'"),
    ({(0, 1): 1.0}, "ij", "D004", "{(0, 1): 1.0}"),
    ([(0, 1), (0, 0.5)], "ij", "D006", "row 1: [0, 0.5]"),
    ([(0, True)], "ij", "D006", "row 0: [0, True]"),
    ([(0, np.True_)], "ij", "D006", "True"),
    ([(0, "1")], "ij", "D006", "row 0: [0, '1']"),
    ([(0, None)], "ij", "D006", "None"),
    ([(0, 1j)], "ij", "D006", "1j"),
    ([(0, float("nan"))], "ij", "D006", "nan"),
    ([(0, np.array([1]))], "ij", "D006", "row 0: [0, array([1])]"),
    ([True, False], "i", "D006", "row 0: [True]"),
    (["a"], "i", "D006", "row 0: ['a']"),
    (np.array([[0, 1], [0, 1.5]]), "ij", "D006", "row 1: [0.0, 1.5]"),
    (np.array([[0, np.inf]]), "ij", "D006", "row 0: [0.0, inf]"),
    (np.array([[0, np.nan]]), "ij", "D006", "row 0: [0.0, nan]"),
    (np.array([[True, False]]), "ij", "D006", "row 0: [True, False]"),
    (np.array([["0", "1"]]), "ij", "D006", "row 0: ['0', '1']"),
]


@pytest.mark.parametrize(("over", "labels", "code", "found"), BAD_ROWS)
def test_bad_rows_are_shown(over: Any, labels: str, code: str, found: str):
    with pytest.raises(DefinitionError) as caught:
        rows.as_rows(over, list(labels), SITES)
    assert caught.value.code == code
    assert caught.value.found is not None
    assert found in caught.value.found


def test_rows_that_jax_traces_are_errors():
    import jax

    def traced(table: Any) -> Any:
        for labels, over in (("ij", table), ("ij", list(table)), ("i", table[0])):
            with pytest.raises(DefinitionError):
                rows.as_rows(over, list(labels), SITES)
        return table

    jax.jit(traced)(jnp.zeros((2, 2), jnp.int32))


@pytest.mark.parametrize(
    "values",
    [
        [1, 2.5],
        (1, Fraction(5, 2)),
        np.array([1, 2.5], np.float32),
        np.array([1, 2.5], object),
        jnp.array([1, 2.5]),
        [np.float64(1), jnp.float32(2.5)],
        (value for value in (1, 2.5)),
    ],
)
def test_data_come_in_many_forms(values: Any):
    column = rows.as_column("J", values, 2, F64)
    assert column.tolist() == [1.0, 2.5]
    assert column.dtype == F64
    assert not column.flags.writeable


def test_integers_become_real_and_complex_data_stay_complex():
    assert rows.as_column("J", [2**62], 1, F64).tolist() == [2.0**62]
    column = rows.as_column("J", [1, 1j], 2, np.dtype("complex64"))
    assert column.tolist() == [1, 1j]
    assert column.dtype == np.complex128


def test_data_do_not_share_memory_with_what_was_given():
    given_data = np.ones(2)
    column = rows.as_column("J", given_data, 2, F64)
    given_data[0] = 7
    assert column.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("values", "dtype", "code", "found"),
    [
        ([1], "float64", "D024", "shape (1,)"),
        ([1, 2, 3], "float64", "D024", "shape (3,)"),
        ([], "float64", "D024", "shape (0,)"),
        (np.ones((2, 1)), "float64", "D024", "shape (2, 1)"),
        (np.array(1.0), "float64", "D024", "shape ()"),
        (1.0, "float64", "D024", "1.0"),
        (None, "float64", "D024", "None"),
        ("12", "float64", "D024", "'12'"),
        ({0: 1.0, 1: 2.0}, "float64", "D024", "{0: 1.0, 1: 2.0}"),
        ([1, "2"], "float64", "D024", "row 1: '2'"),
        ([True, 1.0], "float64", "D024", "row 0: True"),
        (np.array([True, False]), "float64", "D024", "row 0: True"),
        ([[1], [2]], "float64", "D024", "row 0: [1]"),
        ([1, 1j], "float64", "D012", "complex128"),
        (np.array([1, 1j], np.complex64), "float32", "D012", "complex64"),
        ([1, float("inf")], "float64", "D013", "inf"),
        ([1, 10**400], "float64", "D013", "1000"),
        (np.array([np.nan, 1]), "float64", "D013", "row 0: nan"),
        (np.array([1, 1e39]), "float32", "D013", "row 1: 1e+39"),
        (np.array([1, 1e39j]), "complex64", "D013", "row 1: 1e+39j"),
    ],
)
def test_bad_data_are_shown(values: Any, dtype: str, code: str, found: str):
    with pytest.raises(DefinitionError) as caught:
        rows.as_column("J", values, 2, np.dtype(dtype))
    assert caught.value.code == code
    assert "'J'" in caught.value.message
    assert caught.value.found is not None
    assert found in caught.value.found


@pytest.mark.parametrize("bad", [float("nan"), 10**400, "1", True, None, [1]])
def test_a_bad_number_is_found_among_plain_ones(bad: Any):
    for entries in ([1.5, bad, 2, 3j], [1, bad]):
        with pytest.raises(DefinitionError, match="row 1"):
            rows.as_column("J", entries, len(entries), np.dtype("complex128"))


def test_the_row_of_an_infinite_number_in_a_list_is_named():
    with pytest.raises(DefinitionError, match="not finite in row 1"):
        rows.as_column("J", [1, float("inf")], 2, F64)


# region Tuples, plaquettes and graphs


@pytest.mark.parametrize("sites", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_tuples_are_those_of_the_lattice_in_order(sites: int, k: int):
    everything = list(itertools.product(range(sites), repeat=k))
    for distinct, ordered in itertools.product([True, False], repeat=2):
        expected = [
            list(sites_of_row)
            for sites_of_row in everything
            if (not distinct or len(set(sites_of_row)) == k)
            and (ordered or list(sites_of_row) == sorted(sites_of_row))
        ]
        table = rows.tuples(sites, k, distinct=distinct, ordered=ordered)
        assert _listed(table) == expected
        assert table.labels == k


def test_plaquettes_of_an_open_lattice():
    # 0 1 2
    # 3 4 5
    table = rows.plaquettes((2, 3), False, 6)
    assert _listed(table) == [[0, 3, 4, 1], [1, 4, 5, 2]]


def test_plaquettes_of_a_periodic_lattice():
    table = rows.plaquettes([3, np.int64(3)], True, 9)
    assert len(table) == 9
    assert table.row(0) == [0, 3, 4, 1]
    assert table.row(8) == [8, 2, 0, 6]
    assert np.bincount(table.array.ravel()).tolist() == [4] * 9


def test_plaquettes_that_are_periodic_in_one_direction():
    cylinder = rows.plaquettes((2, 3), (False, True), 6)
    assert _listed(cylinder) == [[0, 3, 4, 1], [1, 4, 5, 2], [2, 5, 3, 0]]
    cylinder = rows.plaquettes((3, 2), (np.True_, False), 6)
    assert _listed(cylinder) == [[0, 2, 3, 1], [2, 4, 5, 3], [4, 0, 1, 5]]


@given(
    shape=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    pbc=st.tuples(st.booleans(), st.booleans()),
)
def test_neighbours_around_a_plaquette_are_next_to_each_other(
    shape: tuple[int, int], pbc: tuple[bool, bool]
):
    table = rows.plaquettes(shape, pbc, shape[0] * shape[1])
    lengths = [size - (not wraps) for size, wraps in zip(shape, pbc, strict=True)]
    assert len(table) == lengths[0] * lengths[1]
    for corners in table:
        places = [divmod(site, shape[1]) for site in corners]
        for a, b in zip(places, [*places[1:], places[0]], strict=True):
            steps = [(q - p) % length for p, q, length in zip(a, b, shape, strict=True)]
            assert sorted(
                min(step, length - step)
                for step, length in zip(steps, shape, strict=True)
            ) == [0, 1]


@pytest.mark.parametrize(
    ("shape", "pbc"),
    [
        ((2, 2), True),
        ((1, 6), True),
        ((6,), True),
        ((2, 3, 1), True),
        ((-2, -3), True),
        ((2, 3.5), True),
        (6, True),
        (None, True),
        ((2, 3), 1),
        ((2, 3), None),
        ((2, 3), (True,)),
        ((2, 3), (True, 1)),
    ],
)
def test_bad_shapes(shape: Any, pbc: Any):
    with pytest.raises(DefinitionError) as caught:
        rows.plaquettes(shape, pbc, 6)
    assert caught.value.code == "D038"


class LikeNetworkx:
    """A graph as networkx has them: `edges` is callable, colours are attributes."""

    def __init__(self, colored: bool = True):
        self.colored = colored

    def edges(self, data: str | None = None) -> list[Any]:
        pairs = [(0, 1), (1, 2), (0, 2)]
        if data is None:
            return pairs
        assert data == "color"
        colors = ["red", "blue", "red"] if self.colored else [None] * 3
        return [(*pair, color) for pair, color in zip(pairs, colors, strict=True)]


def test_edges_of_networkx():
    assert rows.edges_of(LikeNetworkx()) == [(0, 1), (1, 2), (0, 2)]
    assert rows.edges_of(LikeNetworkx(), "red") == [(0, 1), (0, 2)]


def test_edges_of_netket():
    netket = pytest.importorskip("netket")
    graph = netket.graph.Graph(edges=[(0, 1, 0), (1, 2, 1), (2, 3, 0)])
    assert rows.edges_of(graph) == [(0, 1), (1, 2), (2, 3)]
    assert rows.edges_of(graph, 0) == [(0, 1), (2, 3)]
    chain = netket.graph.Chain(5)
    assert sorted(rows.edges_of(chain)) == sorted(chain.edges())


@pytest.mark.parametrize(
    ("graph", "color", "message"),
    [
        (None, None, "found:    None"),
        ([(0, 1)], None, "over=pairs"),
        (LikeNetworkx(), "green", "one of the colours"),
        (LikeNetworkx(colored=False), "red", "a graph without colours"),
    ],
)
def test_bad_graphs(graph: Any, color: Any, message: str):
    with pytest.raises(DefinitionError) as caught:
        rows.edges_of(graph, color)
    assert caught.value.code == "D037"
    assert message in str(caught.value)


# endregion
# region Site sets


@pytest.mark.parametrize(
    "sets",
    [
        [[0, 1], [], [4]],
        ((0, 1), (), (4,)),
        ({0: "a", 1: "b"}.keys(), iter(()), np.array([4.0])),
        ([np.int8(0), Fraction(1)], jnp.zeros(0), [4.0]),
        (entry for entry in ([0, 1], [], [4])),
    ],
)
def test_site_sets(sets: Any):
    table = rows.as_site_sets("star", sets, 3, SITES)
    assert _listed(table) == [[0, 1], [], [4]]  # pyright: ignore[reportArgumentType]
    assert table.width == 2


@given(
    st.lists(
        st.lists(st.integers(-1, SITES), max_size=3).map(tuple), min_size=1, max_size=4
    )
)
def test_sets_of_whole_floats_are_those_of_integers(sets: list[tuple[int, ...]]):
    """Floats are looked at one by one, integers all at once."""

    def outcome(entries: list[Any]) -> Any:
        try:
            return list(rows.as_site_sets("star", entries, len(sets), SITES))
        except DefinitionError as error:
            return error.code, error.message, error.found

    expected = outcome([[float(site) for site in entry] for entry in sets])
    for kind in (tuple, list, np.array):
        assert outcome([kind(entry) for entry in sets]) == expected


def test_the_row_of_a_bad_site_set_is_named():
    for bad in ([1, 1], [True], [-1], [SITES], [None], [2**63], None):
        with pytest.raises(DefinitionError, match=r"row 1\b"):
            rows.as_site_sets("star", [[0], bad, [9]], 3, SITES)


def test_site_sets_of_an_array():
    for array in (np.array([[0, 1], [4, 2]]), jnp.array([[0, 1], [4, 2]])):
        table = rows.as_site_sets("star", array, 2, SITES)
        assert list(table) == [[0, 1], [4, 2]]


@pytest.mark.parametrize(
    ("sets", "code"),
    [
        ([[0]], "D033"),
        ([[0], [1], [2]], "D033"),
        ([0, 1], "D033"),
        ("ab", "D033"),
        (None, "D033"),
        ([[0], [1, 1]], "D033"),
        ([[0], [1, 1.0]], "D033"),
        ([[0], [True]], "D006"),
        ([[0], [0.5]], "D006"),
        ([[0], ["1"]], "D006"),
        ([[0], [float("nan")]], "D006"),
        ([[0], [SITES]], "D003"),
        ([[0], [-1]], "D003"),
        ([[0], [10**30]], "D003"),
    ],
)
def test_bad_site_sets(sets: Any, code: str):
    with pytest.raises(DefinitionError) as caught:
        rows.as_site_sets("star", sets, 2, SITES)
    assert caught.value.code == code
    assert "star" in str(caught.value)


# endregion
