"""Spaces: construction, enumeration, sampling, membership, NetKet's Hilbert spaces."""

from __future__ import annotations

import itertools
import math
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

import symir as sym
from dialects.tables import SiteSum
from symir.errors import DefinitionError, InputError
from symir.operator.spaces import (
    Space,
    Subsystem,
    as_space,
    fermions,
    fock,
    qubit,
    space,
    spin,
)

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


# ---- products ----


def test_a_product_has_the_sites_of_both() -> None:
    made = spin(0.5, 2, total_sz=0) * fock(2, 2, n_particles=3) * qubit(1)
    assert made.size == 5
    assert rows(made.all_states()) == [
        (*a, *b, c)
        for a in [(-1, 1), (1, -1)]
        for b in [(1, 2), (2, 1)]
        for c in (0, 1)
    ]
    assert made.subsystems == (
        Subsystem(0, 2, "spin"),
        Subsystem(2, 2, "boson"),
        Subsystem(4, 1, "qubit"),
    )
    assert made.name == (
        "spin(1/2, 2, total_sz=0) * fock(2, 2, n_particles=3) * qubit(1)"
    )


def test_equal_factors_are_uniform_again() -> None:
    assert qubit(2) * space([1, 0], 3) == qubit(5)
    with pytest.raises(TypeError, match="unsupported operand"):
        qubit(2) * 3  # pyright: ignore[reportUnusedExpression, reportOperatorIssue]


def test_fermions_stand_spin_by_spin() -> None:
    made = fermions(2, spin=0.5, n_fermions_per_spin=(1, None))
    assert made.size == 4
    assert rows(made.all_states()) == [
        (*down, *up)
        for down in [(0, 1), (1, 0)]
        for up in itertools.product((0, 1), repeat=2)
    ]
    (part,) = made.subsystems
    assert part == Subsystem(0, 4, "fermion", 0.5)
    assert (part.spin_states, part.orbitals) == (2, 2)


# ---- conserved sums ----


@st.composite
def constrained_spaces(draw: Any) -> tuple[Space, Space, list[SiteSum]]:
    """Draw a small space with sums that some configuration has, and one without."""
    free = draw(
        st.lists(
            st.lists(
                st.sampled_from([-2, -1, -0.5, 0, 0.25, 1, 2, 5]),
                min_size=1,
                max_size=3,
                unique=True,
            ),
            min_size=1,
            max_size=5,
        ).map(space)
    )
    witness = draw(st.sampled_from(free.all_states(np.float64).tolist()))
    weight = st.sampled_from([0, 1, 1, 1, -1, 2, 0.5, -1.5])
    every = st.lists(weight, min_size=free.size, max_size=free.size).filter(any)
    sums = [
        SiteSum(tuple(w), sum(a * b for a, b in zip(w, witness, strict=True)))
        for w in draw(st.lists(every, min_size=1, max_size=3))
    ]
    made = free
    for conserved in sums:
        made = made.where_sum(conserved.total, weights=conserved.weights)
    return free, made, sums


@given(constrained_spaces(), st.integers(0, 2**32))
def test_conserved_sums_select_from_all_configurations(
    drawn: tuple[Space, Space, list[SiteSum]], seed: int
) -> None:
    free, made, sums = drawn
    states = free.all_states(np.float64)
    kept = [
        all(
            sum(w * v for w, v in zip(s.weights, x, strict=True)) == s.total
            for s in sums
        )
        for x in states.tolist()
    ]
    assert made.n_states == sum(kept) > 0
    assert rows(made.all_states(np.float64)) == rows(states[kept])
    assert made.contains(states).tolist() == kept
    samples = made.random_states(8, seed, np.float64)
    assert samples.shape == (8, made.size)
    assert made.contains(samples).all()
    copy = pickle.loads(pickle.dumps(made))
    assert copy == made
    assert hash(copy) == hash(made)
    assert (made == free) <= (made.n_states == free.n_states)


def test_equal_constraints_are_equal() -> None:
    made = fock(2, 3).where_sum(4).where_sum(1, sites=[1])
    for same in [
        fock(2, 3).where_sum(1, sites=[1]).where_sum(4).where_sum(4),
        fock(2, 3).where_sum(-8, weights=[-2, -2, -2]).where_sum(1, sites=[1]),
        fock(2, 3).where_sum(2, weights=[0.5] * 3).where_sum(3, sites=[1], weights=[3]),
        fock(2, 3, n_particles=4).where_sum(1, sites=np.array([1])),
        Space(3, ((0.0, 1.0, 2.0),), sums=made.sums),
    ]:
        assert same == made
        assert hash(same) == hash(made)
    assert made != fock(2, 3, n_particles=4)
    assert made != fock(2, 3).where_sum(4).where_sum(2, sites=[1])
    assert made.unconstrained == fock(2, 3)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (spin(0.5, 4, total_sz=0), "spin(1/2, 4, total_sz=0)"),
        (spin(0.5, 3, total_sz=-0.5), "spin(1/2, 3, total_sz=-0.5)"),
        (fock(None, 3, n_particles=2), "fock(2, 3, n_particles=2)"),
        (fermions(3), "fermions(3)"),
        (fermions(3, 2), "fermions(3, n_fermions=2)"),
        (fermions(3, 2, spin=0.5), "fermions(3, spin=1/2, n_fermions=2)"),
        (
            fermions(2, spin=0.5, n_fermions_per_spin=[1, None]),
            "fermions(2, spin=1/2, n_fermions_per_spin=(1, None))",
        ),
        (fock(2, 3).where_sum(4), "fock(2, 3).where_sum(total=4)"),
        (
            fock(2, 3).where_sum(2, sites=[0, 2], weights=[1, -0.5]),
            "fock(2, 3).where_sum(total=2, sites=[0, 2], weights=[1, -0.5])",
        ),
        (
            (qubit(1) * qubit(1)).where_sum(1),
            "(qubit(1) * qubit(1)).where_sum(total=1)",
        ),
        (
            Space(2, ((0.0, 1.0),), sums=(SiteSum((1.0, 1.0), 1.0),)),
            "space([0, 1], 2).where_sum(total=1)",
        ),
    ],
)
def test_names_show_the_constraints(made: Space, name: str) -> None:
    assert repr(made) == name


def test_large_constrained_spaces_are_counted_exactly() -> None:
    assert spin(0.5, 300, total_sz=3).n_states == math.comb(300, 153)
    assert (
        fermions(120, spin=1.5, n_fermions_per_spin=(60, 1, 0, 120)).n_states
        == math.comb(120, 60) * 120
    )
    # Stars and bars.
    assert fock(None, 40, n_particles=30).n_states == math.comb(69, 30)


def test_large_constrained_spaces_are_drawn_from() -> None:
    made = spin(0.5, 200, total_sz=0)
    states = made.random_states(400, 0)
    assert made.contains(states).all()
    np.testing.assert_array_equal(states, made.random_states(400, 0))
    # The correlation of two sites is -1 / (N - 1), that of one with itself is 1.
    assert abs(states.mean(axis=0)).max() < 5 / np.sqrt(400)
    with pytest.raises(DefinitionError, match="too many configurations") as raised:
        made.all_states()
    assert raised.value.code == "S005"


def test_a_constrained_space_is_listed_where_the_free_one_is_too_large() -> None:
    made = fermions(30, spin=0.5, n_fermions_per_spin=(1, 2))
    states = made.all_states()
    assert states.dtype == np.int8
    assert states.shape == (30 * math.comb(30, 2), 60)
    assert made.contains(states).all()
    # Lexicographic, and each once: every row is above the one before.
    changed = (states[1:] != states[:-1]).argmax(axis=1)
    every = np.arange(len(changed))
    assert (states[1:][every, changed] > states[:-1][every, changed]).all()


@pytest.mark.parametrize(
    "made",
    [fock(2, 4, n_particles=3), qubit(5).where(sym.site(0).value < sym.site(4).value)],
    ids=repr,
)
def test_constrained_draws_are_uniform(made: Space) -> None:
    states = made.random_states(20_000, seed=0)
    found, counts = np.unique(states, axis=0, return_counts=True)
    assert rows(found) == rows(made.all_states())
    expected = 20_000 / made.n_states
    # Seven standard deviations; the seed is fixed anyway.
    np.testing.assert_allclose(counts, expected, atol=7 * np.sqrt(expected))


def test_contains_reads_rounded_local_states_exactly() -> None:
    # 1/3 is no binary fraction of few bits, but a site without a weight may hold it.
    made = space([[0, 1], [0, 1], [0, 1 / 3]]).where_sum(1, sites=[0, 1])
    states = np.array([[0, 1, 1 / 3], [1, 1, 1 / 3], [1, 0, 0]], np.float32)
    assert made.contains(states).tolist() == [True, False, True]
    with pytest.raises(DefinitionError, match="cannot hold") as raised:
        space([[1, 1 + 1e-9], [0, 1]]).where_sum(1, sites=[1]).contains(states[:, :2])
    assert raised.value.code == "S006"


@pytest.mark.parametrize(
    ("build", "code", "message"),
    [
        (lambda: spin(0.5, 3, total_sz=0), "S013", "spin(1/2, 3, total_sz=0)"),
        (lambda: spin(0.5, 3, total_sz=2.5), "S013", "total=5"),
        (lambda: spin(0.5, 3, total_sz=0.3), "S013", "total=0.6"),
        (lambda: spin(0.5, 3, total_sz=cast(Any, "up")), "S014", "magnetisation"),
        (lambda: fock(2, 3, n_particles=7), "S013", "total=7"),
        (lambda: fock(2, 3, n_particles=-1), "S014", "-1"),
        (lambda: fock(None, 3, n_particles=cast(Any, 1.5)), "S014", "1.5"),
        (lambda: fermions(3, 4), "S013", "fermions(3, n_fermions=4)"),
        (lambda: fermions(0), "S001", "integer >= 1"),
        (lambda: fermions(3, spin=0.3), "S009", "0.3"),
        (lambda: fermions(3, spin=-0.5), "S009", "-0.5"),
        (lambda: fermions(3, n_fermions_per_spin=(1, 2)), "S014", "1 numbers"),
        (
            lambda: fermions(3, spin=0.5, n_fermions_per_spin=cast(Any, 2)),
            "S014",
            "2 numbers",
        ),
        (
            lambda: fermions(3, 2, spin=0.5, n_fermions_per_spin=(1, 2)),
            "S013",
            "n_fermions=2",
        ),
        (lambda: qubit(3).where_sum(1).where_sum(2), "S013", "total=1 and total=2"),
        (lambda: qubit(3).where_sum(1, weights=[2, 4, 6]), "S013", "weights=[2, 4, 6]"),
        (lambda: qubit(3).where_sum(1, weights=[3, 3, 3]), "S013", "total=1"),
        (lambda: qubit(3).where_sum(1, sites=[0, 3]), "S004", "site 3"),
        (lambda: qubit(3).where_sum(1, sites=[-1]), "S004", "-1"),
        (lambda: qubit(3).where_sum(1, sites=[1, 1]), "S014", "each site once"),
        (lambda: qubit(3).where_sum(1, weights=[1, 2]), "S014", "2 weights"),
        (lambda: qubit(3).where_sum(1, weights=cast(Any, 2)), "S014", "a list"),
        (lambda: qubit(3).where_sum(1, sites=cast(Any, 2)), "S014", "list of sites"),
        (lambda: qubit(3).where_sum(1, weights=[1, cast(Any, "a"), 2]), "S014", "'a'"),
        (lambda: qubit(3).where_sum(cast(Any, None)), "S014", "None"),
        (lambda: qubit(3).where_sum(0, sites=[]), "S014", "no weight"),
        (lambda: qubit(3).where_sum(float("nan")), "S014", "not finite"),
        (lambda: qubit(3).where_sum(1, weights=[1, 1, 1e400]), "S014", "not finite"),
        (
            lambda: Space(3, ((0.0, 1.0),), sums=(SiteSum((1.0,), 1.0),)),
            "S014",
            "one weight per site",
        ),
        (lambda: space([0, 0.1], 3).where_sum(0.2), "S015", "without rounding"),
        (lambda: qubit(2).where_sum(1, weights=[1, 1e30]), "S015", "1e+30"),
        (
            lambda: fock(4095, 4).where_sum(2**47, weights=[4096**k for k in range(4)]),
            "S015",
            "partial sums",
        ),
    ],
)
def test_bad_constraints(build: Callable[[], object], code: str, message: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        build()
    assert raised.value.code == code
    assert message in str(raised.value)
    assert raised.value.location is not None
    assert raised.value.location.file == __file__


# ---- predicates ----


def first_sum(total: int) -> sym.Predicate:
    return sym.sum_(sym.here.value, over=sym.sites_range(0, 3)) == total


PREDICATES: dict[str, tuple[sym.Predicate, Callable[..., bool]]] = {
    "sum": (first_sum(2), lambda x: sum(x[:3]) == 2),
    "comparison": (sym.site(0).value < sym.site(3).value, lambda x: x[0] < x[3]),
    "logic": (
        (sym.site(0) == 0) | ~(sym.site(1) == sym.site(2)),
        lambda x: x[0] == 0 or x[1] != x[2],
    ),
    "table": (
        sym.table([1, 5, 0])[sym.site(1).value] > 0,
        lambda x: [1, 5, 0][int(x[1])] > 0,
    ),
    "off the lattice": (
        sym.site(sym.site(0).value + 2).value == 1,
        lambda x: x[0] + 2 < len(x) and x[int(x[0]) + 2] == 1,
    ),
    "blockade": (
        ~sym.any_(
            (sym.here.value > 0) & (sym.site(sym.here.index + 1).value > 0),
            over=sym.sites_range(0, 3),
        ),
        lambda x: all(a == 0 or b == 0 for a, b in itertools.pairwise(x)),
    ),
    "arithmetic": (
        sym.site(0).value * 2 - abs(sym.site(1).value) // 2 >= 1,
        lambda x: 2 * x[0] - abs(x[1]) // 2 >= 1,
    ),
}


@pytest.mark.parametrize("name", PREDICATES)
def test_predicates_select_from_all_configurations(name: str) -> None:
    predicate, holds = PREDICATES[name]
    for free in [fock(2, 4), fock(2, 4, n_particles=3)]:
        states = free.all_states()
        kept = [bool(holds(x)) for x in states.tolist()]
        made = free.where(predicate)
        assert made.n_states == sum(kept)
        assert rows(made.all_states()) == rows(states[kept])
        assert made.contains(states).tolist() == kept
        assert made.contains(states.astype(np.float32)).tolist() == kept
        assert made.contains(np.full((2, 1, 4), 3)).tolist() == [[False], [False]]
        assert made.contains(made.random_states(10, 0)).all()
        assert made.random_states(0, 0).shape == (0, 4)


def test_several_predicates_and_sums_all_hold() -> None:
    a, b = first_sum(1), sym.site(3).value != sym.site(4).value
    made = qubit(6).where(a).where_sum(3).where(b)
    assert rows(made.all_states()) == [
        x
        for x in itertools.product((0, 1), repeat=6)
        if sum(x[:3]) == 1 and x[3] != x[4] and sum(x) == 3
    ]
    # Predicates are compared by what they say.
    same = qubit(6).where_sum(3).where(sym.site(3).value != sym.site(4).value)
    assert made == same.where(first_sum(1))
    assert hash(made) == hash(same.where(first_sum(1)))
    assert made != same
    assert made != same.where(first_sum(2))
    copy = pickle.loads(pickle.dumps(made))
    assert copy == made
    assert copy.name == made.name
    assert made.unconstrained == qubit(6)


def test_names_show_the_predicates() -> None:
    made = qubit(2).where(sym.site(0).value > 0)
    assert repr(made) == "qubit(2).where((site(0).value > 0))"
    bare = Space(2, ((0.0, 1.0),), predicates=made.predicates)
    assert repr(bare) == "space([0, 1], 2).where((site(0).value > 0))"
    assert bare == made


def test_operators_on_a_space_with_predicates() -> None:
    made = qubit(3).where(sym.site(0).value == sym.site(1).value)
    op = sym.DOperator(made).for_each_site("i").emit(amplitude=sym.site("i")).build()
    assert op.space == made


def test_what_leaves_nothing_to_draw_is_refused() -> None:
    never = sym.sum_(sym.here.value, over=sym.all_sites()) > 40
    made = qubit(40).where(never)
    with pytest.raises(DefinitionError, match="too few configurations") as raised:
        made.random_states(3, 0)
    assert raised.value.code == "S019"
    for count in (lambda: made.n_states, made.all_states):
        with pytest.raises(DefinitionError, match="before its predicates") as raised:
            count()
        assert raised.value.code == "S005"


@pytest.mark.parametrize(
    ("build", "code", "message"),
    [
        (lambda: qubit(3).where(sym.site(0).value > 1), "S013", "site(0).value > 1"),
        (
            lambda: qubit(3).where_sum(0).where(sym.site(0).value > 0),
            "S013",
            "where_sum(total=0).where(",
        ),
        (lambda: qubit(3).where(sym.site(0).value), "D016", "no predicate"),  # pyright: ignore[reportArgumentType]
        (lambda: qubit(3).where(sym.site("i").value == 0), "D001", "'i'"),
        (lambda: qubit(3).where(sym.site(3).value == 0), "D036", "from 0 to 2"),
        (lambda: qubit(3).where(sym.row("J") == 0), "D023", "J"),
        (lambda: qubit(3).where(sym.emitted(0).value == 0), "D014", "emitted"),
        (lambda: qubit(3).where(sym.site(0) == sym.symbol("h")), "S017", "'h'"),
        (lambda: qubit(3).where(sym.site(0) == 1) * qubit(1), "S018", "product"),
        (lambda: qubit(1) * qubit(3).where(sym.site(0) == 1), "S018", "product"),
    ],
)
def test_bad_predicates(build: Callable[[], object], code: str, message: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        build()
    assert raised.value.code == code
    assert message in str(raised.value)
    assert raised.value.location is not None
    assert raised.value.location.file == __file__


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


CONSTRAINED = [
    nk.hilbert.Spin(0.5, 4, total_sz=-1, inverted_ordering=True),
    nk.hilbert.Spin(1.5, 3, total_sz=1.5),
    nk.hilbert.Fock(2, 3, n_particles=4),
    nk.hilbert.Spin(1, 3, constraint=nk.hilbert.constraint.SumConstraint(2)),
    nk.hilbert.SpinOrbitalFermions(2, s=1, n_fermions_per_spin=(1, 2, 0)),
    nk.hilbert.SpinOrbitalFermions(
        2,
        s=0.5,
        n_fermions=2,
        constraint=nk.hilbert.constraint.SumOnPartitionConstraint((1, 1), (2, 2)),
    ),
    nk.hilbert.Qubit(1)
    * nk.hilbert.Fock(n_particles=2, N=3)
    * nk.hilbert.Spin(0.5, 2, total_sz=0),
    nk.hilbert.DoubledHilbert(nk.hilbert.Spin(0.5, 3, total_sz=0.5)),
]


@pytest.mark.parametrize("hilbert", CONSTRAINED, ids=str)
def test_constraints_of_netket_are_taken_over(hilbert: Any) -> None:
    made = as_space(hilbert)
    assert made.name == repr(hilbert)
    assert made.n_states == hilbert.n_states
    assert rows(made.all_states()) == sorted_rows(hilbert.all_states())


@pytest.mark.parametrize(
    ("hilbert", "ours"),
    [
        (nk.hilbert.Spin(0.5, 5, total_sz=0.5), spin(0.5, 5, total_sz=0.5)),
        (nk.hilbert.Fock(n_particles=3, N=4), fock(None, 4, n_particles=3)),
        (nk.hilbert.Fock(2, 4, n_particles=3), fock(2, 4, n_particles=3)),
        (nk.hilbert.Qubit(2) * nk.hilbert.Fock(3, 1), qubit(2) * fock(3, 1)),
        (nk.hilbert.SpinOrbitalFermions(3, n_fermions=2), fermions(3, 2)),
        (nk.hilbert.SpinOrbitalFermions(3, s=0), fermions(3, spin=0)),
        (
            nk.hilbert.SpinOrbitalFermions(3, s=0.5, n_fermions=2),
            fermions(3, n_fermions=2, spin=0.5),
        ),
        (
            nk.hilbert.SpinOrbitalFermions(3, s=0.5, n_fermions_per_spin=(1, 2)),
            fermions(3, spin=0.5, n_fermions_per_spin=(1, 2)),
        ),
    ],
    ids=str,
)
def test_our_constraints_are_those_of_netket(hilbert: Any, ours: Space) -> None:
    made = as_space(hilbert)
    assert made == ours
    assert hash(made) == hash(ours)
    assert made.subsystems == ours.subsystems


class EvenSum(nk.hilbert.constraint.DiscreteHilbertConstraint):
    def __call__(self, x: Any) -> Any:
        return x.sum(axis=-1) % 2 == 0


@pytest.mark.parametrize(
    "hilbert",
    [
        nk.hilbert.Fock(2, 2, constraint=EvenSum()),
        nk.hilbert.SpinOrbitalFermions(2, n_fermions=2, constraint=EvenSum()),
        nk.hilbert.Qubit(1) * nk.hilbert.Fock(2, 2, constraint=EvenSum()),
        SimpleNamespace(size=3, local_states=[0, 1], constrained=True),
    ],
    ids=["bosons", "fermions", "a product", "another library"],
)
def test_other_constraints_of_netket_are_refused(hilbert: Any) -> None:
    with pytest.raises(DefinitionError, match="no sum of local values") as raised:
        as_space(hilbert)
    assert raised.value.code == "S016"


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
