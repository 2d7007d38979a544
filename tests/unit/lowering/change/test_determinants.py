"""Determinants of rows that occupied sites choose: ratios and commits are of values."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ComplexType, f64

from dialects.stablehlo import dtype_of, element_of, tensor
from lowering.change.cone_analysis import Cones
from lowering.change.determinants import DeterminantPart, Determinants
from lowering.change.position_lists import Trace
from lowering.energy.cone_part import traced
from lowering.energy.extraction import returned
from lowering.functions import function_of
from lowering.linear_algebra import determinant, factorised, solved
from symir.runtime.functions import Function
from tests.unit.lowering.change.laws import Found, Made, by_interpreter

SITES, FERMIONS = 6, 3
RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def nonzero(n: Any, count: int = FERMIONS) -> Any:
    return jax.vmap(lambda one: jnp.nonzero(one, size=count)[0])(n)


def logarithm(sign: Any, size: Any) -> Any:
    return size + jnp.log(sign + 0j)


def spins(n: Any) -> tuple[Any, Any]:
    return n[:, :SITES], n[:, SITES:]


def slater(w: Any, n: Any) -> Any:
    up, down = (jnp.linalg.slogdet(m[nonzero(one)]) for m, one in zip(w, spins(n)))
    return up[1] + down[1] + jnp.log(up[0] * down[0] + 0j)


def by_sorting(w: Any, n: Any) -> Any:
    """Both spins at once, with the same orbitals, as columns."""
    both = n.reshape(-1, 2, SITES)
    occupied = jnp.argsort(-both, axis=-1, stable=True)[..., :FERMIONS]
    matrices = jnp.swapaxes(w[0][occupied], -1, -2)
    sign, size = jnp.linalg.slogdet(matrices)
    return logarithm(sign.prod(-1), size.sum(-1))


def by_counting(w: Any, n: Any) -> Any:
    """Rows of their own for each spin, in one table."""
    both = n.reshape(-1, 2, SITES) > 0
    number = jnp.cumsum(both, axis=-1)
    places = jax.vmap(
        jax.vmap(partial(jnp.searchsorted, side="left"), (0, None)), (0, None)
    )
    occupied = places(number, jnp.arange(1, FERMIONS + 1))
    table = jnp.concatenate([w[0], w[1]])
    sign, size = jnp.linalg.slogdet(table[occupied + SITES * jnp.arange(2)[:, None]])
    return logarithm(sign.prod(-1), size.sum(-1))


def generalised(w: Any, n: Any) -> Any:
    """Orbitals of both spins, of which any may be occupied."""
    sign, size = jnp.linalg.slogdet(w[2][nonzero(n, 2 * FERMIONS)])
    return logarithm(sign, size)


def of_complex(w: Any, n: Any) -> Any:
    orbitals = w[2] + 1j * w[2][::-1] ** 2
    sign, size = jnp.linalg.slogdet(orbitals[nonzero(n, 2 * FERMIONS)])
    return size + jnp.log(sign)


def several(w: Any, n: Any) -> Any:
    """A sum of determinants, of any signs."""
    up, down = (
        jnp.linalg.slogdet(m[:, nonzero(one)].swapaxes(0, 1))
        for m, one in zip(w[3], spins(n), strict=True)
    )
    size = up[1] + down[1]
    most = size.max(-1, keepdims=True)
    total = (w[4] * up[0] * down[0] * jnp.exp(size - most)).sum(-1)
    return most[:, 0] + jnp.log(total + 0j)


def products(w: Any, n: Any) -> Any:
    """Determinants themselves, times a factor that is no number of them."""
    up, down = (jnp.linalg.det(m[nonzero(one)]) for m, one in zip(w, spins(n)))
    return jnp.log(up * down * (2 + jnp.sin(n @ w[5][0])) + 0j)


def backflow(w: Any, n: Any) -> Any:
    """Rows that depend on whether the next sites of a ring are occupied."""
    found = 0.0
    for m, change, one in zip(w, w[3][0], spins(n), strict=False):
        near = jnp.roll(one, 1, -1) + jnp.roll(one, -1, -1) * 0.5
        rows = m + jnp.tanh(near)[..., None] * change
        matrix = jnp.take_along_axis(rows, nonzero(one)[..., None], axis=1)
        found += logarithm(*jnp.linalg.slogdet(matrix))
    return found


def layered_backflow(w: Any, n: Any) -> Any:
    """Rows that are linear in two numbers of each site of both spins."""
    wide = n.reshape(-1, 2, SITES)
    near = (jnp.roll(wide, 1, -1) * 2.0 - jnp.roll(wide, -2, -1))[..., None]
    z = jnp.tanh(near * w[3][0, 0, 0, :2] + w[3][0, 1, 0, :2])
    moved = -(z @ w[3][1, 0, :2] + w[2][0, :FERMIONS]) / 2 * w[3][1, 1]
    rows = moved.reshape(-1, 2 * SITES, FERMIONS) + jnp.concatenate(w[:2])
    found = 0.0
    for one, first in zip(spins(n), (0, SITES), strict=True):
        index = (nonzero(one) + first)[..., None]
        matrix = jnp.take_along_axis(rows, index, axis=1)
        found += logarithm(*jnp.linalg.slogdet(matrix))
    return found


def of_phases(w: Any, n: Any) -> Any:
    """Rows that are real parts of complex numbers times others."""
    near = jnp.exp(1j * jnp.roll(n, 1, -1))[..., None]
    rows = w[2] + jnp.real(near * (w[2][::-1] / 2 + 1j * w[2] ** 2))
    index = nonzero(n, 2 * FERMIONS)[..., None]
    return logarithm(*jnp.linalg.slogdet(jnp.take_along_axis(rows, index, axis=1)))


def masked_backflow(w: Any, n: Any) -> Any:
    """Rows that depend on all sites before, and spins in the other order."""
    mask = np.kron(np.triu(np.ones((2 * SITES,) * 2), 1), np.ones(FERMIONS))
    wide = jnp.tile(w[5], (1, FERMIONS)) * mask
    rows = jnp.sin(n.astype(float) @ wide).reshape(-1, 2 * SITES, FERMIONS)
    rows = rows + jnp.concatenate(w[:2])
    found = 0.0
    for one in spins(np.arange(2 * SITES)[None])[::-1]:
        index = nonzero((n > 0)[:, one[0]])[..., None]
        matrix = jnp.take_along_axis(rows[:, one[0]], index, axis=1)
        found += logarithm(*jnp.linalg.slogdet(matrix))
    return found


def some_backflow(w: Any, n: Any) -> Any:
    """Several determinants of rows that depend on the other spin at the site."""
    up, down = spins(n)
    rows = w[3][0][None] + jnp.cos(down[:, None, :, None] * w[3][1][None])
    index = nonzero(up)[:, None, :, None]
    sign, size = jnp.linalg.slogdet(jnp.take_along_axis(rows, index, axis=2))
    return jnp.log((sign * jnp.exp(size)).sum(-1) + 0j)


def regularised(w: Any, n: Any) -> Any:
    """A function of a determinant that is no number of it."""
    found = jnp.linalg.det(w[2][nonzero(n, 2 * FERMIONS)])
    return jnp.log(jnp.abs(found) + 1e-12)


NETWORKS = (
    *(slater, by_sorting, by_counting, generalised, of_complex, several, products),
    *(backflow, layered_backflow, some_backflow, masked_backflow, of_phases),
    regularised,
)
LEAVES = (
    normal(SITES, FERMIONS),
    normal(SITES, FERMIONS),
    normal(2 * SITES, 2 * FERMIONS),
    normal(2, 4, SITES, FERMIONS),
    normal(4),
    normal(2 * SITES, 2 * SITES) / 5,
)

FIRST = np.array(([1] * FERMIONS + [0] * FERMIONS) * 2, np.int8)


def hops(*pairs: tuple[int, int]) -> Any:
    row = np.zeros(2 * SITES)
    for source, target in pairs:
        row[source], row[target] = -1, 1
    return row


def moves(name: str) -> Any:
    """Hops of one fermion, of two, or from one spin to the other."""
    sites = [(i, j) for i in range(SITES) for j in range(i)]
    up = [hops(one) for one in sites]
    down = [hops((i + SITES, j + SITES)) for i, j in sites]
    match name:
        case "one":
            return np.array([*up, *down])
        case "two":
            both = [a + b for a in up[:6] for b in down[3:9]]
            same = [hops((0, 3), (1, 5)), hops((4, 2), (5, 0)), hops((2, 0), (1, 4))]
            return np.array([*both, *same, np.zeros(2 * SITES)])
        case _:
            return np.array([hops((i, j + SITES)) for i, j in sites])


def states(rng: Any, count: int) -> Any:
    x = np.zeros((count, 2, SITES), np.int8)
    x[..., :FERMIONS] = 1
    return rng.permuted(x, axis=-1).reshape(count, -1)


def check(own: Made, seed: int, commits: int, tolerance: float, x: Any = None) -> None:
    """Compare ratios with those of values, behind commits too."""
    rng = np.random.default_rng(seed)
    x = states(rng, 1)[0] if x is None else x
    found = list(own.found(by_interpreter, x, rng, commits))
    assert len(found) > commits
    largest = max(one.after.real for one in found)
    for one in found:
        error = abs(np.expm1(one.ratio - (one.after - one.before)))
        assert error * np.exp(one.after.real - largest) < tolerance


def made(network: Any, rows: Any, leaves: Any = LEAVES) -> Made:
    return Made(network, leaves, rows, values=(0.0, 1.0))


@pytest.mark.parametrize(
    ("network", "name"),
    [
        *((network, "two") for network in NETWORKS),
        *((network, "one") for network in (slater, several, products)),
        *((network, "one") for network in (backflow, layered_backflow)),
        *((network, "one") for network in (some_backflow, masked_backflow)),
        *((network, "spin") for network in (generalised, of_complex)),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_changes_are_those_of_the_network(
    network: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind commits, too, of however many of the rows."""
    monkeypatch.setattr(Determinants, "is_updated", lambda *_: True)
    check(made(network, moves(name)), 1, commits=4, tolerance=1e-10)


@pytest.mark.parametrize(
    ("network", "is_updated"),
    [(generalised, True), (backflow, False), (by_sorting, False)],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_where_most_rows_are_exchanged_commits_factorise(
    network: Any, is_updated: bool
) -> None:
    own = made(network, moves("two"))
    found, trace = determinants_in(own)
    assert found.is_updated(trace) == is_updated
    check(own, 3, commits=2, tolerance=1e-10)


def determinants_in(own: Made) -> tuple[Determinants, Trace]:
    cones = own.analysed()
    assert isinstance(cones, Cones)
    trace = traced(cones, own.rows, own.values)
    assert not isinstance(trace, str)
    parts = (n for n in cones.nodes if isinstance(n, DeterminantPart))
    return next(parts).of, trace


@pytest.mark.parametrize(
    ("network", "tables", "exchanged"),
    [(slater, 1, 1), (backflow, 2, 3), (layered_backflow, 3, 3), (some_backflow, 0, 2)],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_rows_that_are_linear_in_few_numbers_are_not_multiplied(
    network: Any, tables: int, exchanged: int
) -> None:
    """Of a hop one site at least is empty before it, and one after it."""
    found, trace = determinants_in(made(network, moves("one")[:1]))
    assert (found.tables, found.exchanged(trace)) == (tables, exchanged)


def test_sites_that_are_written_and_stay_occupied() -> None:
    """Of three values two may be occupied: all rows of a list may change then."""

    def network(w: Any, n: Any) -> Any:
        near = jnp.roll(n, 1, -1) + 2.0 * n
        rows = w[0] + jnp.tanh(near)[..., None] * w[1]
        index = nonzero(n > 0)[..., None]
        return logarithm(*jnp.linalg.slogdet(jnp.take_along_axis(rows, index, 1)))

    rows = np.zeros((2, SITES))
    rows[0, :2], rows[1, 1:3] = (1, -1), (-1, 1)
    own = Made(network, LEAVES, rows, values=(0.0, 1.0, 2.0))
    cones = own.analysed()
    assert isinstance(cones, Cones)
    x = np.array([1, 2, 1, 0, 0, 0], np.int8)
    for one in ratios_of(own, x):
        assert abs(np.expm1(one.ratio - (one.after - one.before))) < 1e-10


def of_single_precision() -> tuple[Any, ...]:
    return tuple(np.asarray(one, np.float32) for one in LEAVES)


def single(w: Any, n: Any) -> Any:
    """No spelling of it leads to double precision."""
    sign, size = jnp.linalg.slogdet(w[2][nonzero(n, 2 * FERMIONS)])
    return size + jnp.log(sign.astype(np.complex64))


def test_single_precision() -> None:
    own = made(single, moves("two"), of_single_precision())
    assert dtype_of(element_of(returned(own.main()))) == np.complex64
    check(own, 2, commits=5, tolerance=1e-4)


def ratios_of(own: Made, x: Any) -> list[Found]:
    """Return the ratios of changes of x, of which there are some."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rng = np.random.default_rng(0)
        found = list(own.found(by_interpreter, x, rng, commits=0))
    assert found
    return found


def test_other_numbers_of_a_spin_are_asked_of_the_network() -> None:
    """What is chosen then is padded, or cut: no determinant of these rows."""
    x = states(np.random.default_rng(0), 1)[0]
    found = ratios_of(made(by_counting, moves("spin")), x)
    assert all(np.isnan(one.ratio) for one in found)


@pytest.mark.parametrize(
    ("network", "filled"), [(slater, 1), (generalised, 0)], ids=["more", "fewer"]
)
def test_samples_of_other_numbers_are_asked_of_the_network(
    network: Any, filled: int
) -> None:
    x = FIRST.copy()
    x[4] = x[1] = filled
    found = ratios_of(made(network, moves("one")[::9]), x)
    assert all(np.isnan(one.ratio) for one in found)


def with_rows(rows: dict[int, Any]) -> Any:
    """Return parameters with some orbitals of both spins."""
    table = LEAVES[2].copy()
    for site, row in rows.items():
        table[site] = row
    return (*LEAVES[:2], table, *LEAVES[3:])


@pytest.mark.parametrize(
    "network", [generalised, regularised], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("nearly", [0.0, 1e-14], ids=["singular", "nearly"])
def test_of_singular_matrices_nothing_is_known(network: Any, nearly: float) -> None:
    """Of psi(x) = 0, or of few digits, ratios are those of the network."""
    leaves = with_rows({0: LEAVES[2][1] * (1 + nearly * LEAVES[2][3])})
    found = ratios_of(made(network, moves("one"), leaves), FIRST)
    assert all(np.isnan(one.ratio) for one in found)


@pytest.mark.parametrize("network", [generalised, products], ids=lambda f: f.__name__)
def test_nodes_at_other_configurations_are_found(network: Any) -> None:
    """A fermion hops to where all orbitals are 0."""
    leaves = with_rows({3: 0, 7: 0})
    x = FIRST.copy()
    if network is products:
        leaves = (LEAVES[0] * (np.arange(SITES) != 3)[:, None], *leaves[1:])
    else:
        x[7], x[9] = 0, 1
    own = made(network, np.array([hops((0, 3)), hops((1, 4)), hops((2, 3))]), leaves)
    found = ratios_of(own, x)
    nodes = [one for one in found if np.isneginf(one.after.real)]
    assert (len(nodes), len(found)) == (2, 3)
    assert all(np.isneginf(one.ratio.real) for one in nodes)


@pytest.mark.parametrize(
    ("network", "move", "nearly"),
    [
        (by_counting, (0, 9), 0),
        (generalised, (0, 3), 0),
        (generalised, (0, 3), 1e-9),
    ],
    ids=["of another number", "to a node", "close to one"],
)
def test_behind_what_is_not_known_nothing_is(
    network: Any, move: tuple[int, int], nearly: float
) -> None:
    """Where there are other rows in x', or few digits of them are left."""
    leaves = with_rows({3: LEAVES[2][1] + nearly * LEAVES[2][5]})
    own = made(network, np.array([hops(move)]), leaves)
    with np.errstate(divide="ignore", invalid="ignore"):
        rng = np.random.default_rng(0)
        found = list(own.found(by_interpreter, FIRST, rng, commits=1))
    assert len(found) == 2
    assert np.isnan(found[1].ratio)


def test_close_to_a_node_half_of_the_digits_are_right() -> None:
    leaves = with_rows({3: LEAVES[2][1] + 1e-5 * LEAVES[2][5]})
    own = made(generalised, np.array([hops((0, 3))]), leaves)
    found = own.found(by_interpreter, FIRST, np.random.default_rng(0), commits=4)
    errors = [abs(np.expm1(one.ratio - (one.after - one.before))) for one in found]
    assert len(errors) == 5
    assert max(errors) < 1e-8


@pytest.mark.parametrize(
    ("dtype", "limit"), [(np.float64, 5e-13), (np.float32, 2e-4)], ids=["f64", "f32"]
)
def test_rounding_of_a_thousand_commits_is_small(dtype: Any, limit: float) -> None:
    """Tables of 32 rows of 64 behind a walk by |psi|^2 are those of NumPy's inverse."""
    rng = np.random.default_rng(0)
    orbitals = rng.normal(size=(64, 32)).astype(dtype)
    moved = np.eye(64)
    rows = np.concatenate([np.roll(moved, n, axis=1) - moved for n in (1, 2, 7)])

    def network(w: Any, n: Any) -> Any:
        return jnp.linalg.slogdet(w[0][nonzero(n, 32)])[1]

    own = made(network, rows, (orbitals,))
    written = own.cone().written()
    tables = Function(written.tables)(orbitals)
    cache, ratio, commit = (
        jax.jit(Function(one)) for one in (written.cache, written.ratio, written.commit)
    )
    x = rng.permutation(np.tile(np.array([0, 1], np.int8), 32))
    kept, commits = cache(orbitals, x[None]), 0
    while commits < 1000:
        row, sign = rng.integers(len(rows)), bool(rng.integers(2))
        other = x + (rows[row] if sign else -rows[row])
        if not np.isin(other, (0, 1)).all():
            continue
        change = orbitals, *tables, *kept, np.int32(0), np.int32(row), np.bool_(sign)
        if rng.random() < np.exp(2 * ratio(*change)[0]):
            x, kept = other.astype(np.int8), commit(*change)
            commits += 1
    (found,) = (np.asarray(one) for one in kept if one.shape == (32 * 64, 1))
    wide = orbitals.astype(float)
    expected = wide @ np.linalg.inv(wide[x == 1])
    error = abs(found.reshape(32, 64).T - expected).max()
    assert error < limit * abs(expected).max()


def by_key(w: Any, n: Any) -> Any:
    """Sorted by other numbers than those of sites."""
    keys = 1 + jnp.arange(2 * SITES) * 5 % (2 * SITES)
    occupied = jax.lax.top_k(n * keys, 2 * FERMIONS)[1]
    return jnp.linalg.slogdet(w[2][occupied])[1]


def next_sites(w: Any, n: Any) -> Any:
    occupied = (nonzero(n, 2 * FERMIONS) + 1) % (2 * SITES)
    return jnp.linalg.slogdet(w[2][occupied])[1]


def regular_pivots(w: Any, n: Any) -> Any:
    lu, *_ = jax.lax.linalg.lu(w[2][nonzero(n, 2 * FERMIONS)])
    pivots = jnp.diagonal(lu, axis1=-2, axis2=-1)
    return jnp.log(jnp.abs(pivots) + 1e-12).sum(-1)


def product_of_sums(w: Any, n: Any) -> Any:
    return jnp.log(w[2][nonzero(n, 2 * FERMIONS)].sum(-1).prod(-1) + 0j)


def squares(w: Any, n: Any) -> Any:
    """Of a permanent of few rows, as of its bounds."""
    return jnp.linalg.slogdet(w[2][nonzero(n, 2 * FERMIONS)] ** 2)[1]


def scaled(w: Any, n: Any) -> Any:
    rows = w[2][nonzero(n, 2 * FERMIONS)]
    return jnp.linalg.slogdet(rows * jnp.cos(n @ w[5][0])[:, None, None])[1]


PLACES = ", and its places are not those of occupied sites"


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (by_key, PLACES),
        (next_sites, PLACES),
        (regular_pivots, "'stablehlo.custom_call' of rows that are exchanged"),
        (product_of_sums, "'stablehlo.reduce' of rows that are exchanged"),
        (squares, "'stablehlo.multiply' of rows that are exchanged"),
        (scaled, "'stablehlo.multiply' of rows that are exchanged"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_is_no_determinant_says_why(network: Any, reason: str) -> None:
    found = made(network, moves("one")).analysed()
    assert isinstance(found, str)
    assert found.endswith(reason)


# Shrinking would take minutes: determinants are small
@settings(max_examples=2, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example(1, 3, 1, 1, "sites", 0)
@example(4, 5, 1, 4, "sites", 1)
@given(
    st.integers(1, 4),  # fermions
    st.integers(1, 4),  # empty sites
    st.integers(1, 3),  # determinants
    st.integers(1, 4),  # fermions that move
    st.sampled_from(["sites", "spins"]),
    st.integers(0, 2**16),
)
def test_changes_of_random_determinants(
    count: int, empty: int, many: int, moved: int, kind: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sites, values = count + empty, (0, 1) if kind == "sites" else (-1, 1)
    leaves = rng.normal(size=(many, sites, count)), rng.normal(size=many)

    def network(w: Any, x: Any) -> Any:
        rows = w[0][:, nonzero(x > 0, count)].swapaxes(0, 1)
        return jnp.log((w[1] * jnp.linalg.det(rows)).sum(-1) + 0j)

    rows = np.zeros((6, sites))
    for row in rows:
        number = min(moved, count, empty)
        places = rng.permutation(sites)[: 2 * number]
        row[places] = np.repeat([1, -1], number) * (values[1] - values[0])
    x = np.full(sites, values[0], np.int8)
    x[rng.permutation(sites)[:count]] = values[1]
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Determinants, "is_updated", lambda *_: True)
        own = Made(network, leaves, np.array([*rows, 0 * rows[0]]), values=values)
        check(own, seed, 1, 1e-8, x)


def matrices_of(kind: str, size: int) -> Any:
    """Return matrices (6, F, F): of zero pivots, singular, 0, and with NaN or inf."""
    found = RNG.normal(size=(6, size, size))
    if kind == "complex":
        found = found + 1j * RNG.normal(size=found.shape)
    found[1, 0, 0] = 0
    found[2, :, -1] = found[2, :, 0] if size > 1 else 0
    found[3] = 0
    found[4, -1, 0] = np.nan
    found[5, 0, -1] = np.inf
    return found


def run(function: Callable[..., Any], given: Any) -> Any:
    """Run a function of arrays on one array."""
    kind = {"f": f64, "c": ComplexType(f64)}[given.dtype.kind]

    def written(insert: Any, arrays: Any) -> Any:
        return function(arrays[0])

    made = function_of("made", [tensor(kind, given.shape)], written)
    with np.errstate(all="ignore"):
        return by_interpreter(made)(given)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_determinants_of_few_rows(kind: str, size: int) -> None:
    matrices = matrices_of(kind, size)
    (found,) = run(lambda one: [determinant(one)], np.moveaxis(matrices, 0, -1))
    with np.errstate(invalid="ignore"):
        expected = np.linalg.det(matrices[:4])
    np.testing.assert_allclose(found[:4], expected, rtol=1e-12, atol=1e-13)
    assert not np.isfinite(found[4:]).any()


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_equations_of_few_rows(kind: str, size: int) -> None:
    matrices = matrices_of(kind, size)[: 2 if size > 1 else 1]
    given = RNG.normal(size=(len(matrices), size, 5)) + 0 * matrices[:, :, :1]
    both = np.concatenate([matrices, given], axis=2)

    def of_both(one: Any) -> Any:
        return [solved(one.slice(0, size, axis=1), one.slice(size, size + 5, axis=1))]

    (found,) = run(of_both, np.moveaxis(both, 0, -1))
    expected = np.linalg.solve(matrices, given)
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), expected, rtol=1e-11)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_factorised_are_those_of_numpy(kind: str, size: int) -> None:
    matrices = matrices_of(kind, size)
    inverse, sign, log = run(lambda one: list(factorised(one)), matrices)
    expected = np.linalg.inv(matrices[:2] if size > 1 else matrices[:1])
    known = len(expected)
    np.testing.assert_allclose(inverse[:known], expected, rtol=1e-12)
    assert np.isnan(inverse[known:]).all()
    for one, other in zip((sign, log), np.linalg.slogdet(matrices[:4]), strict=True):
        np.testing.assert_allclose(one[:known], other[:known], rtol=1e-12)
    assert (sign[3], log[3]) == (0, -np.inf)
    assert np.isnan(sign[4:]).all()
    assert np.isnan(log[4:]).all()


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("size", [8, 9, 23])
def test_many_rows_are_factorised_some_at_a_time(kind: str, size: int) -> None:
    rng = np.random.default_rng(size)
    found = rng.normal(size=(3, size, size)) + 0j
    found += 1j * rng.normal(size=found.shape) * (kind == "complex")
    matrices = np.linalg.qr(found if kind == "complex" else found.real).Q
    matrices[1] = np.roll(np.eye(size), 3, axis=1) * 2
    # Behind the first rows nothing is left of the last ones
    matrices[2, -1] = matrices[2, -2] = 0
    inverse, sign, log = run(lambda one: list(factorised(one)), matrices)
    expected = np.linalg.slogdet(matrices)
    one = np.broadcast_to(np.eye(size), (2, size, size))
    np.testing.assert_allclose(inverse[:2] @ matrices[:2], one, atol=1e-13)
    assert np.isnan(inverse[2]).all()
    np.testing.assert_allclose(sign, expected.sign, atol=1e-13)
    np.testing.assert_allclose(log, expected.logabsdet, atol=1e-12)


def test_inverses_of_few_right_digits_are_not_known() -> None:
    by = [np.diag([1.0, scale]) for scale in (1e-14, 1e-16)]
    inverse, _, log = run(lambda one: list(factorised(one)), np.array(by))
    np.testing.assert_allclose(inverse[0], np.diag([1, 1e14]))
    assert np.isnan(inverse[1]).all()
    np.testing.assert_allclose(log, np.log([1e-14, 1e-16]))
