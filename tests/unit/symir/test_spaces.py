"""Spaces: construction, enumeration, sampling, membership, NetKet's Hilbert spaces."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import netket as nk
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symir.errors import DefinitionError, InputError
from symir.spaces import Space, as_space, fock, qubit, space, spin

local_values = st.lists(
    st.one_of(
        st.integers(-200, 200).map(float),
        st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda value: round(value, 3)),
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
small_spaces = st.one_of(
    st.builds(space, local_values, st.integers(1, 5)),
    st.lists(local_values, min_size=1, max_size=5).map(space),
)


def rows(states: npt.NDArray[Any]) -> list[tuple[float, ...]]:
    return [tuple(row) for row in states.tolist()]


# ---- constructors ----


@pytest.mark.parametrize(
    ("made", "local_states", "name"),
    [
        (spin(0.5, 8), (-1, 1), "spin(1/2, 8)"),
        (spin(1, 8), (-2, 0, 2), "spin(1, 8)"),
        (spin(1.5, 8), (-3, -1, 1, 3), "spin(3/2, 8)"),
        (spin(cast(Any, Fraction(1, 2)), 8), (-1, 1), "spin(1/2, 8)"),
        (spin(cast(Any, np.float32(0.5)), 8), (-1, 1), "spin(1/2, 8)"),
        (fock(3, 8), (0, 1, 2, 3), "fock(3, 8)"),
        (fock(0, 8), (0,), "fock(0, 8)"),
        (qubit(8), (0, 1), "qubit(8)"),
        (space([2, -1, 0], 8), (-1, 0, 2), "space([-1, 0, 2], 8)"),
        (space((0.5, -0.0), 8), (0, 0.5), "space([0, 0.5], 8)"),
        (space(np.array([1, 0], np.int8), 8), (0, 1), "space([0, 1], 8)"),
        (space({1, 0}, 8), (0, 1), "space([0, 1], 8)"),
        (space(range(20), 8), tuple(range(20)), "space([0, 1, 2, 3, .., 18, 19], 8)"),
        (space((v for v in (1, 0)), 8), (0, 1), "space([0, 1], 8)"),
    ],
)
def test_uniform_constructors(
    made: Space, local_states: tuple[float, ...], name: str
) -> None:
    assert made.size == 8
    assert made.is_uniform
    assert made.local_states == (local_states,)
    assert all(type(value) is float for value in made.local_states[0])
    assert [made.local_states_at(site) for site in range(8)] == [local_states] * 8
    assert made.n_states == len(local_states) ** 8
    assert repr(made) == str(made) == made.name == name


def test_zero_has_no_sign() -> None:
    assert str(space([-0.0, 1], 2).local_states) == "((0.0, 1.0),)"


def test_sites_may_differ() -> None:
    mixed = space([[1, 0], [0, 1, 2], (5,)])
    assert mixed.size == 3
    assert not mixed.is_uniform
    assert mixed.local_states == ((0, 1), (0, 1, 2), (5,))
    assert mixed.local_states_at(1) == (0, 1, 2)
    assert mixed.n_states == 6
    assert mixed.name == "space([[0, 1], [0, 1, 2], [5]])"
    assert mixed == space([[0, 1], [0, 1, 2], [5]], 3)


def test_a_long_list_of_sites_prints_short() -> None:
    assert repr(space([[0, 1]] * 9 + [[0, 2]])) == "space([[0, 1], .., [0, 2]], 10)"


def test_equal_sites_are_uniform() -> None:
    assert space([[0, 1], [1, 0]]) == space(np.array([[0, 1], [0, 1]])) == qubit(2)


def test_equality_is_about_configurations() -> None:
    assert space([-1, 1], 4) == spin(0.5, 4)
    assert hash(space([-1, 1], 4)) == hash(spin(0.5, 4))
    assert spin(0.5, 4) != spin(0.5, 5)
    assert spin(0.5, 4) != qubit(4)


def test_spaces_pickle() -> None:
    made = space([[0, 1], [0, 1, 2]])
    copy = pickle.loads(pickle.dumps(made))
    assert copy == made
    assert copy.name == made.name


def test_integers_of_numpy_are_integers() -> None:
    made = fock(np.int64(2), np.int32(3))  # pyright: ignore[reportArgumentType]
    assert made == fock(2, 3)
    assert type(made.size) is int


def test_n_states_is_exact() -> None:
    assert spin(1, 5000).n_states == 3**5000


# ---- bad arguments ----


@pytest.mark.parametrize(
    ("build", "code", "message"),
    [
        (lambda: qubit(0), "S001", "integer >= 1"),
        (lambda: qubit(-3), "S001", "-3"),
        (lambda: qubit(True), "S001", "True"),
        (lambda: qubit(4.0), "S001", "4.0"),  # pyright: ignore[reportArgumentType]
        (lambda: qubit("4"), "S001", "'4'"),  # pyright: ignore[reportArgumentType]
        (lambda: spin(0.5, np.ones(2, int)), "S001", "array"),  # pyright: ignore[reportArgumentType]
        (lambda: space([0, 1]), "S001", "missing"),
        (lambda: space([], 2), "S002", "at least one"),
        (lambda: space([[0, 1], []]), "S002", "at least one"),
        (lambda: space([0, 1, 1.0], 2), "S002", "twice"),
        (lambda: space([0.0, -0.0], 2), "S002", "twice"),
        (lambda: space([0, float("nan")], 2), "S002", "not finite"),
        (lambda: space([0, float("inf")], 2), "S002", "not finite"),
        (lambda: space([0, 10**400], 2), "S002", "no real number"),
        (lambda: space([0, 1j], 2), "S002", "no real number"),  # pyright: ignore[reportArgumentType]
        (lambda: space([False, True], 2), "S002", "no real number"),
        (lambda: space(np.array([False, True]), 2), "S002", "no real number"),
        (lambda: space([None, 1], 2), "S002", "no real number"),  # pyright: ignore[reportArgumentType]
        (lambda: space("01", 2), "S002", "as a list"),  # pyright: ignore[reportArgumentType]
        (lambda: space(["0", "1"], 2), "S002", "as a list"),  # pyright: ignore[reportArgumentType]
        (lambda: space(3, 2), "S002", "as a list"),  # pyright: ignore[reportArgumentType]
        (lambda: space(np.array(3), 2), "S002", "as a list"),  # pyright: ignore[reportArgumentType]
        (lambda: space([0, [0, 1]], 2), "S002", "not both"),  # pyright: ignore[reportArgumentType]
        (lambda: space([[[0]]], 1), "S002", "no real number"),  # pyright: ignore[reportArgumentType]
        (lambda: space(range(2**16 + 1), 2), "S002", "too many"),
        (lambda: space([[0, 1], [0, 1]], 3), "S003", "3 lists"),
        (lambda: Space(3, ()), "S003", "0 lists"),
        (lambda: Space(3, ((0.0,), (1.0,))), "S003", "2 lists"),
        (lambda: Space(3, ((1.0, 0.0),)), "S002", "ascend"),
        (lambda: Space(3, (0.0, 1.0)), "S002", "as a list"),  # pyright: ignore[reportArgumentType]
        (lambda: qubit(3).local_states_at(3), "S004", "site 3"),
        (lambda: qubit(3).local_states_at(-1), "S004", "site -1"),
        (lambda: spin(0.3, 2), "S009", "0.3"),
        (lambda: spin(0, 2), "S009", "half"),
        (lambda: spin(-0.5, 2), "S009", "half"),
        (lambda: spin(float("nan"), 2), "S009", "half"),
        (lambda: spin(float("inf"), 2), "S009", "half"),
        (lambda: spin("1/2", 2), "S009", "no real number"),  # pyright: ignore[reportArgumentType]
        (lambda: spin(1e6, 2), "S002", "too many"),
        (lambda: fock(-1, 2), "S010", "-1"),
        (lambda: fock(2.0, 2), "S010", "2.0"),  # pyright: ignore[reportArgumentType]
        (lambda: fock(10**9, 2), "S002", "too many"),
        (lambda: fock(None, 2), "S012", "no bound"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_bad_arguments(build: Callable[[], object], code: str, message: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        build()
    assert raised.value.code == code
    assert message in str(raised.value)
    assert raised.value.location is not None
    assert raised.value.location.file == __file__


# ---- enumeration ----


def test_all_states_counts_with_the_last_site_fastest() -> None:
    assert rows(spin(0.5, 2).all_states()) == [(-1, -1), (-1, 1), (1, -1), (1, 1)]


@given(small_spaces)
def test_all_states_is_the_ordered_product(made: Space) -> None:
    sites = [made.local_states_at(site) for site in range(made.size)]
    states = made.all_states(np.float64)
    assert states.shape == (made.n_states, made.size)
    assert rows(states) == list(itertools.product(*sites))
    assert made.contains(states).all()


def test_all_states_refuses_large_spaces() -> None:
    # A single local state leaves one configuration, however many sites there are.
    assert space([3], 10**5).all_states().shape == (1, 10**5)
    with pytest.raises(DefinitionError, match="33554432 configurations") as raised:
        spin(0.5, 25).all_states()
    assert raised.value.code == "S005"
    with pytest.raises(DefinitionError, match=r"about 10\^9542 configurations"):
        fock(8, 10_000).all_states()


# ---- dtypes ----


@pytest.mark.parametrize(
    ("local_states", "dtype"),
    [
        ([-128, 127], "int8"),
        ([0, 128], "int16"),
        ([-129, 0], "int16"),
        ([-(2**15), 2**15 - 1], "int16"),
        ([0, 2**15], "int32"),
        ([-(2**31), 2**31 - 1], "int32"),
        ([0, 2**31], "float64"),
        ([0, 0.5], "float64"),
        ([[0, 1], [0, 300]], "int16"),
    ],
)
def test_default_dtype(local_states: list[Any], dtype: str) -> None:
    made = space(local_states, 2)
    assert made.default_dtype() == np.dtype(dtype)
    assert made.all_states().dtype == np.dtype(dtype)
    assert made.random_states(3, 0).dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float16", "float32"])
def test_any_dtype_that_holds_the_values_will_do(dtype: str) -> None:
    states = fock(2, 2).all_states(dtype)
    assert states.dtype == np.dtype(dtype)
    assert rows(states) == rows(fock(2, 2).all_states())
    assert fock(2, 2).random_states(5, 1, dtype).dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("local_states", "dtype"),
    [
        ([-1, 1], "uint8"),
        ([0, 128], "int8"),
        ([0, 0.5], "int32"),
        ([0, 1], "bool"),
        ([0, 1], "complex128"),
        ([0, 1e6], "float16"),
        ([1, 1 + 1e-9], "float32"),
    ],
)
def test_dtypes_that_change_the_values_are_refused(
    local_states: list[float], dtype: str
) -> None:
    made = space(local_states, 2)
    with pytest.raises(DefinitionError, match=f"dtype {dtype} cannot hold") as raised:
        made.all_states(dtype)
    assert raised.value.code == "S006"
    with pytest.raises(DefinitionError, match=f"dtype {dtype} cannot hold"):
        made.random_states(1, 0, dtype)


# ---- sampling ----


@given(small_spaces, st.integers(0, 20), st.integers(0, 2**32))
def test_random_states_lie_in_the_space(made: Space, n: int, seed: int) -> None:
    states = made.random_states(n, seed)
    assert states.shape == (n, made.size)
    assert made.contains(states).all()
    np.testing.assert_array_equal(states, made.random_states(n, seed))


def test_a_generator_advances() -> None:
    rng = np.random.default_rng(7)
    first, second = (spin(0.5, 40).random_states(3, rng) for _ in range(2))
    np.testing.assert_array_equal(first, spin(0.5, 40).random_states(3, 7))
    assert (first != second).any()


@pytest.mark.parametrize("made", [fock(2, 3), space([[0, 1, 2], [5, 6], [7, 8, 9]])])
def test_random_states_reach_every_value_equally(made: Space) -> None:
    states = made.random_states(30_000, seed=0)
    for site in range(made.size):
        values, counts = np.unique(states[:, site], return_counts=True)
        assert tuple(values) == made.local_states_at(site)
        # Seven standard deviations of a fair draw; the seed is fixed anyway.
        np.testing.assert_allclose(counts, 30_000 / len(values), atol=600)


@pytest.mark.parametrize("n", [-1, 2.0, True])
def test_the_number_of_draws_is_checked(n: Any) -> None:
    with pytest.raises(DefinitionError, match="number of configurations") as raised:
        qubit(2).random_states(n)
    assert raised.value.code == "S001"


# ---- membership ----


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32", "float64"])
def test_contains_keeps_the_leading_shape(dtype: str) -> None:
    states = np.array([[[0, 1], [2, 2]], [[3, 0], [0, -1]]], dtype)
    inside = fock(2, 2).contains(states)
    assert inside.dtype == np.bool_
    assert inside.tolist() == [[True, True], [False, False]]
    assert fock(2, 2).contains(states[0, 0]).shape == ()
    assert fock(2, 2).contains(states[:0]).shape == (0, 2)


def test_contains_looks_at_each_site() -> None:
    made = space([[0, 1], [0, 1, 2], [0, 1]])
    assert made.contains([[1, 2, 1], [2, 1, 1], [1, 1, 2]]).tolist() == [
        True,
        False,
        False,
    ]


def test_contains_neither_rounds_integers_nor_accepts_nan() -> None:
    assert space([0, 0.5], 1).contains([[0], [1]]).tolist() == [True, False]
    assert qubit(1).contains([[0.5], [np.nan], [np.inf]]).tolist() == [False] * 3


def test_contains_sees_local_states_as_the_dtype_rounds_them() -> None:
    made = space([0.1, 1e6], 1)
    assert made.contains(np.array([[0.1], [1e6], [0.2]], np.float32)).tolist() == [
        True,
        True,
        False,
    ]
    # 1e6 is infinite in half precision.
    assert made.contains(np.array([[0.1], [np.inf]], np.float16)).tolist() == [
        True,
        False,
    ]


@given(small_spaces, st.data())
def test_contains_is_membership_in_the_enumeration(made: Space, data: Any) -> None:
    anything = st.one_of(
        st.sampled_from([value for site in made.local_states for value in site]),
        st.integers(-3, 3).map(float),
    )
    x = data.draw(st.lists(anything, min_size=made.size, max_size=made.size))
    expected = tuple(x) in set(rows(made.all_states(np.float64)))
    assert bool(made.contains(np.array(x))) == expected


@pytest.mark.parametrize(
    ("states", "code", "message"),
    [
        (np.zeros((2, 3)), "S007", r"shape (2, 3)"),
        (np.float64(1), "S007", r"shape ()"),
        (np.zeros((2, 4), bool), "S008", "dtype bool"),
        (np.zeros((2, 4), complex), "S008", "dtype complex128"),
        ([["a", "b", "c", "d"]], "S008", "dtype <U1"),
    ],
)
def test_contains_refuses_what_is_no_configuration(
    states: Any, code: str, message: str
) -> None:
    with pytest.raises(InputError) as raised:
        qubit(4).contains(states)
    assert raised.value.code == code
    assert message in str(raised.value)


# ---- NetKet ----


def sorted_rows(states: Any) -> list[tuple[float, ...]]:
    return sorted(rows(np.asarray(states)))


@pytest.mark.parametrize(
    ("hilbert", "ours"),
    [
        (nk.hilbert.Spin(0.5, 3), spin(0.5, 3)),
        (nk.hilbert.Spin(1, 3), spin(1, 3)),
        (nk.hilbert.Spin(1.5, 2), spin(1.5, 2)),
        (nk.hilbert.Spin(0.5, 3, inverted_ordering=True), spin(0.5, 3)),
        (nk.hilbert.Fock(3, 2), fock(3, 2)),
        (nk.hilbert.Qubit(4), qubit(4)),
        (
            nk.hilbert.Spin(0.5, 2) * nk.hilbert.Fock(2, 1),
            space([[-1, 1], [-1, 1], [0, 1, 2]]),
        ),
        (nk.hilbert.SpinOrbitalFermions(3), qubit(3)),
        (nk.hilbert.DoubledHilbert(nk.hilbert.Qubit(2)), qubit(4)),
    ],
    ids=str,
)
def test_hilbert_spaces_of_netket(hilbert: Any, ours: Space) -> None:
    made = as_space(hilbert)
    assert made == ours
    assert made.name == repr(hilbert)
    assert made.size == hilbert.size
    assert made.n_states == hilbert.n_states
    assert rows(made.all_states()) == sorted_rows(hilbert.all_states())


@given(st.integers(1, 4), st.integers(1, 4))
def test_our_constructors_agree_with_netket(k: int, n: int) -> None:
    pairs = [
        (spin(k / 2, n), nk.hilbert.Spin(k / 2, n)),
        (fock(k, n), nk.hilbert.Fock(k, n)),
        (qubit(n), nk.hilbert.Qubit(n)),
    ]
    for ours, theirs in pairs:
        assert ours == as_space(theirs)
        assert rows(ours.all_states()) == sorted_rows(theirs.all_states())


def test_a_constraint_of_netket_is_dropped() -> None:
    assert as_space(nk.hilbert.Spin(0.5, 4, total_sz=0)) == spin(0.5, 4)
    assert as_space(nk.hilbert.Fock(n_particles=2, N=3)) == fock(2, 3)


@pytest.mark.parametrize(
    "hilbert", [nk.hilbert.Fock(None, 2), nk.hilbert.Fock() * nk.hilbert.Qubit(1)]
)
def test_an_unbounded_space_of_netket_is_refused(hilbert: Any) -> None:
    with pytest.raises(DefinitionError, match="no bound on its values") as raised:
        as_space(hilbert)
    assert raised.value.code == "S012"


def test_a_space_is_a_space() -> None:
    made = spin(0.5, 2)
    assert as_space(made) is made


def test_anything_that_looks_like_a_hilbert_space_will_do() -> None:
    uniform = SimpleNamespace(size=3, local_states=[1, 0])
    assert as_space(uniform) == qubit(3)
    mixed = SimpleNamespace(
        size=2, local_states=None, states_at_index=[[0], [2]].__getitem__
    )
    assert as_space(mixed) == space([[0], [2]])


@pytest.mark.parametrize(
    "value",
    [
        None,
        4,
        "spin",
        np.zeros(3),
        SimpleNamespace(size=3),
        SimpleNamespace(size=True, local_states=[0, 1]),
        SimpleNamespace(size=2.0, local_states=[0, 1]),
        SimpleNamespace(local_states=[0, 1]),
    ],
)
def test_what_is_no_hilbert_space_is_refused(value: object) -> None:
    with pytest.raises(DefinitionError, match="no discrete Hilbert space") as raised:
        as_space(value)
    assert raised.value.code == "S011"
