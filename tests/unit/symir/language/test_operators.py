"""Operators as on paper are the matrices that Kronecker products make of them."""

from __future__ import annotations

import itertools
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symir as sym
from dialects.interpreters.sym import dense_matrix
from symir import a, adag, c, cdag, dagger, n, sum_over
from symir.errors import DefinitionError
from symir.operator.spaces import Space, Subsystem
from tests.unit.symir.interop.matrices import matrix_of_branches, states_of

Matrix = Any

i, j = sym.site("i"), sym.site("j")


def _fermions(size: int, spin: float | None = None) -> Space:
    return Space(size, ((0.0, 1.0),), "f", (Subsystem(0, size, "fermion", spin),))


MIXED = Space(
    5,
    ((0.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (0.0, 1.0, 2.0), (0.0, 1.0)),
    "mixed",
    (
        Subsystem(0, 2, "fermion"),
        Subsystem(2, 1, "spin"),
        Subsystem(3, 1, "boson"),
        Subsystem(4, 1, "fermion"),
    ),
)

# region The reference


def _local(kind: str, values: tuple[float, ...], site_kind: str) -> Matrix:
    """Return an elementary matrix between the ascending values of one site."""
    d = len(values)
    lower = np.diag(np.sqrt(np.arange(1, d)), 1)
    number = np.diag(np.arange(d))
    s = (d - 1) / 2
    m = np.arange(d) - s
    plus = np.diag(np.sqrt(s * (s + 1) - m[:-1] * (m[:-1] + 1)), -1)
    pauli = {
        "X": np.array([[0, 1], [1, 0]]),
        "Y": np.array([[0, -1j], [1j, 0]]),
        "Z": np.diag([1, -1]),
    }
    if kind in pauli:
        # |0> is the upper value of a spin, and the lower one elsewhere
        matrix = pauli[kind]
        return matrix[::-1, ::-1] if site_kind == "spin" else matrix
    return {
        "c": lower,
        "cdag": lower.T,
        "a": lower,
        "adag": lower.T,
        "n": number,
        "Sp": plus,
        "Sm": plus.T,
        "Sx": (plus + plus.T) / 2,
        "Sy": (plus - plus.T) / 2j,
        "Sz": np.diag(m),
    }[kind]


def _embedded(space: Space, kind: str, where: int) -> Matrix:
    """Return an elementary matrix on the whole space, with the string before it."""
    (subsystem,) = (
        part
        for part in space.subsystems
        if part.start <= where < part.start + part.size
    )
    factors: list[Matrix] = []
    for number in range(space.size):
        values = space.local_states_at(number)
        if number == where:
            factors.append(_local(kind, values, subsystem.kind))
        elif kind in ("c", "cdag") and subsystem.start <= number < where:
            factors.append(np.diag([1, -1]))
        else:
            factors.append(np.eye(len(values)))
    return reduce(np.kron, factors)


def _dense(space: Space, products: Any) -> Matrix:
    """Return the matrix of a sum of (scale, [(kind, site), ..])."""
    size = space.n_states
    return sum(
        (
            scale
            * reduce(
                np.matmul,
                (_embedded(space, *factor) for factor in factors),
                np.eye(size),
            )
            for scale, factors in products
        ),
        np.zeros((size, size)),
    )


def _operator(factors: list[tuple[str, Any]]) -> Any:
    return reduce(
        lambda left, right: left * right,
        (getattr(sym, kind)(place) for kind, place in factors),
    )


def _matrix(operator: Any, space: Any, dtype: Any = np.float64) -> Matrix:
    """Return the matrix of what is added to a builder."""
    op = sym.DOperator(space, dtype=dtype).add(operator).build()
    return dense_matrix(op.to_ir().module)


# endregion

ALPHABETS = {
    "fermions": (_fermions(4), ("c", "cdag", "n", "X", "Y", "Z")),
    "bosons": (sym.fock(2, 3), ("a", "adag", "n")),
    "hard-core bosons": (sym.fock(1, 3), ("a", "adag", "n", "X", "Z")),
    "spins 1/2": (sym.spin(0.5, 3), ("Sx", "Sy", "Sz", "Sp", "Sm", "X", "Y", "Z")),
    "spins 1": (sym.spin(1, 3), ("Sx", "Sy", "Sz", "Sp", "Sm")),
    "spins 3/2": (sym.spin(1.5, 2), ("Sx", "Sz", "Sp", "Sm")),
    "qubits": (sym.qubit(3), ("X", "Y", "Z", "n")),
}


@st.composite
def _sums(draw: st.DrawFn) -> tuple[Space, list[tuple[complex, Any]]]:
    space, alphabet = ALPHABETS[draw(st.sampled_from(sorted(ALPHABETS)))]
    factor = st.tuples(st.sampled_from(alphabet), st.integers(0, space.size - 1))
    scale = st.sampled_from([1, -1, 0.5, 2, 1j, 0.5 - 2j])
    products = st.tuples(scale, st.lists(factor, min_size=1, max_size=4))
    return space, draw(st.lists(products, min_size=1, max_size=3))


@given(_sums())
@settings(max_examples=40)
def test_sums_of_products_at_given_sites(drawn: Any) -> None:
    space, products = drawn
    operator = sum(scale * _operator(factors) for scale, factors in products)
    op = sym.DOperator(space, dtype="complex128").add(operator).build()
    expected = _dense(space, products)
    np.testing.assert_allclose(dense_matrix(op.to_ir().module), expected, atol=1e-12)
    adjoint = sym.DOperator(space, dtype="complex128").add(dagger(operator)).build()
    np.testing.assert_allclose(
        dense_matrix(adjoint.to_ir().module), expected.conj().T, atol=1e-12
    )


@st.composite
def _labelled(draw: st.DrawFn) -> tuple[Space, list[str], list[Any], Any]:
    name = draw(st.sampled_from(sorted(ALPHABETS)))
    space, alphabet = ALPHABETS[name]
    labels = ["i", "j", "k"][: draw(st.integers(1, 3))]
    site_number = st.integers(0, space.size - 1)
    rows = draw(
        st.lists(st.tuples(*[site_number] * len(labels)), min_size=1, max_size=5)
    )
    factor = st.tuples(st.sampled_from(alphabet), st.sampled_from(labels))
    scale = st.sampled_from([1, -1, 0.5, 1j])
    products = st.tuples(scale, st.lists(factor, min_size=1, max_size=4))
    return space, labels, rows, draw(st.lists(products, min_size=1, max_size=2))


@given(_labelled())
@settings(max_examples=40)
def test_sums_over_rows_with_coinciding_labels(drawn: Any) -> None:
    space, labels, rows, products = drawn
    operator: Any = sum(scale * _operator(factors) for scale, factors in products)
    expected = sum(
        _dense(
            space,
            [
                (scale, [(kind, row[labels.index(at)]) for kind, at in factors])
                for scale, factors in products
            ],
        )
        for row in rows
    )
    in_a_term = (
        sym.DOperator(space, dtype="complex128")
        .for_each(labels, over=rows)
        .emit(operator)
        .build()
    )
    in_a_sum = (
        sym.DOperator(space, dtype="complex128")
        .add(sum_over(rows, lambda *_: operator, labels=labels))
        .build()
    )
    for op in (in_a_term, in_a_sum):
        found = dense_matrix(op.to_ir().module)
        np.testing.assert_allclose(found, expected, atol=1e-12)


MIXED_FACTORS = st.sampled_from(
    [
        *[(kind, s) for kind in ("c", "cdag", "n", "X") for s in (0, 1, 4)],
        *[(kind, 2) for kind in ("Sp", "Sm", "Sz", "Y")],
        *[(kind, 3) for kind in ("a", "adag", "n")],
    ]
)


@given(st.lists(MIXED_FACTORS, min_size=1, max_size=5))
@settings(max_examples=40)
def test_kinds_of_sites_beside_each_other(factors: list[tuple[str, int]]) -> None:
    found = _matrix(_operator(factors), MIXED, complex)
    np.testing.assert_allclose(found, _dense(MIXED, [(1, factors)]), atol=1e-12)


def test_one_label_on_sites_of_different_kinds() -> None:
    space = Space(
        3,
        ((0.0, 1.0, 2.0), (0.0, 1.0), (0.0, 1.0, 2.0, 3.0)),
        "bosons",
        (Subsystem(0, 3, "boson"),),
    )
    rows = [(0, 1), (1, 2), (2, 2), (0, 2)]
    op = (
        sym.DOperator(space)
        .for_each(("i", "j"), over=rows)
        .emit(a("i") * adag("j") * a("j"))
        .build()
    )
    expected = _dense(space, [(1, [("a", p), ("adag", q), ("a", q)]) for p, q in rows])
    np.testing.assert_allclose(dense_matrix(op.to_ir().module), expected, atol=1e-12)


# region Models


@pytest.mark.filterwarnings(r"ignore:\s*WARNING:UserWarning")
@pytest.mark.parametrize("spin", ["numbers", "names"])
def test_hubbard_is_netkets(spin: str) -> None:
    nk = pytest.importorskip("netket")
    size, edges = 3, [(0, 1), (1, 2), (2, 0)]
    space = _fermions(2 * size, 0.5)
    up, down = ("up", "down") if spin == "names" else (0.5, -0.5)
    hops = sum_over(
        edges,
        lambda i, j: sum(
            cdag(i, s) * c(j, s) + cdag(j, s) * c(i, s) for s in (up, down)
        ),
    )
    hubbard = -0.5 * hops + 3 * sum_over(range(size), lambda i: n(i, up) * n(i, down))
    op = sym.DOperator(space, hermitian=True).add(hubbard).build()
    assert [len(term.tags) for term in op.terms] == [2, 1]

    hilbert = nk.hilbert.SpinOrbitalFermions(size, s=1 / 2)
    create, destroy, number = (
        getattr(nk.operator.fermion, name) for name in ("create", "destroy", "number")
    )
    expected: Any = 0
    for s in (1, -1):
        for p, q in edges:
            for one, two in ((p, q), (q, p)):
                expected += -0.5 * create(hilbert, one, s) @ destroy(hilbert, two, s)
    for k in range(size):
        expected += 3 * number(hilbert, k, 1) @ number(hilbert, k, -1)
    order = np.lexsort(states_of(hilbert).T[::-1])
    dense = matrix_of_branches(expected)[np.ix_(order, order)]
    np.testing.assert_allclose(dense_matrix(op.to_ir().module), dense, atol=1e-6)


@pytest.mark.parametrize("name", ["sigmax", "sigmay", "sigmaz", "sigmap", "sigmam"])
def test_spins_are_netkets(name: str) -> None:
    nk = pytest.importorskip("netket")
    hilbert = nk.hilbert.Spin(0.5, 2)
    ours = {
        "sigmax": sym.X,
        "sigmay": sym.Y,
        "sigmaz": sym.Z,
        "sigmap": sym.Sp,
        "sigmam": sym.Sm,
    }[name]
    dense = matrix_of_branches(getattr(nk.operator.spin, name)(hilbert, 1))
    order = np.lexsort(states_of(hilbert).T[::-1])
    found = _matrix(ours(1), sym.spin(0.5, 2), complex)
    np.testing.assert_allclose(found, dense[np.ix_(order, order)], atol=1e-12)


def test_two_body_terms_in_one_term_have_one_branch_per_row() -> None:
    space, labels = _fermions(4), ("i", "j", "k", "l")
    rows = [
        (p, q, r, s)
        for p, q in itertools.combinations(range(4), 2)
        for r, s in itertools.combinations(range(4), 2)
    ]
    couplings = np.linspace(-1, 1, len(rows))
    two_body = cdag("i") * cdag("j") * c("l") * c("k")
    op = (
        sym.DOperator(space)
        .for_each(labels, over=rows, data={"J": couplings})
        .emit(sym.row("J") * two_body)
        .build()
    )
    assert op.max_conn_size == len(rows)
    expected = _dense(
        space,
        [
            (J, [("cdag", p), ("cdag", q), ("c", s), ("c", r)])
            for J, (p, q, r, s) in zip(couplings, rows, strict=True)
        ],
    )
    np.testing.assert_allclose(dense_matrix(op.to_ir().module), expected, atol=1e-12)
    states = space.all_states()
    xp, mels = op.compile().get_conn_padded(states)
    found = np.zeros_like(expected)
    place = 2 ** np.arange(4)[::-1]
    for x, row_xp, row_mels in zip(
        states, np.asarray(xp), np.asarray(mels), strict=True
    ):
        np.add.at(found[x @ place], row_xp @ place, row_mels)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_exchange_is_one_branch() -> None:
    op = (
        sym.DOperator(sym.spin(0.5, 3))
        .for_each(("i", "j"), over=[(0, 1), (1, 2)])
        .emit(sym.X("i") * sym.X("j") + sym.Y("i") * sym.Y("j"))
        .build()
    )
    assert op.max_conn_size == 2
    (x,) = [np.array([1, -1, -1], np.int8)]
    xp, mels = op.compile().get_conn_padded(x)
    assert np.asarray(mels).tolist() == [2, 0]
    assert np.asarray(xp).tolist() == [[-1, 1, -1], [1, -1, -1]]


@pytest.mark.parametrize("space", [sym.spin(1, 2), sym.spin(0.5, 2)])
def test_spins_have_their_algebra(space: Space) -> None:
    commutator = sym.commutator(sym.Sx(0), sym.Sy(0)) - 1j * sym.Sz(0)
    np.testing.assert_allclose(_matrix(commutator, space, complex), 0, atol=1e-12)
    total = sum((S(0) + S(1)) ** 2 for S in (sym.Sx, sym.Sy, sym.Sz))
    found = np.linalg.eigvalsh(_matrix(total, space))
    top = int(space.local_states[0][-1])
    expected = [k * (k + 1) for k in range(top + 1) for _ in range(2 * k + 1)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


# endregion
# region Scalars, and use in a builder


def test_coefficients_and_amplitudes() -> None:
    t, signs = sym.symbol("t", default=2.0), sym.table([1, -1])
    space = _fermions(3)
    op = (
        sym.DOperator(space)
        .for_each(("i", "j"), over=[(0, 1), (1, 2)], data={"J": [3, 5]})
        .emit(
            t * signs[i.index % 2] * (cdag("i") * c("j") / 2 - n("j")),
            amplitude=sym.row("J"),
        )
        .build()
    )
    expected = _dense(
        space,
        [
            (3, [("cdag", 0), ("c", 1)]),
            (-6, [("n", 1)]),
            (-5, [("cdag", 1), ("c", 2)]),
            (10, [("n", 2)]),
        ],
    )
    np.testing.assert_allclose(dense_matrix(op.to_ir().module), expected)


def test_scalars_that_differ_between_directions() -> None:
    t, space = sym.symbol("t", default=1 + 2j), _fermions(3)
    hop = t * cdag(2) * c(0)
    expected = _dense(space, [(1 + 2j, [("cdag", 2), ("c", 0)])])
    found = _matrix(hop + dagger(hop), space, complex)
    np.testing.assert_allclose(found, expected + expected.conj().T)
    assert (
        sym.DOperator(space, dtype=complex).add(hop + hop.H).build().max_conn_size == 1
    )


def test_sums_over_the_lattice_are_added_and_scaled() -> None:
    space, edges = sym.qubit(3), [(0, 1), (1, 2)]
    zz = sum_over(edges, lambda i, j: sym.Z(i) * sym.Z(j))
    x = sum_over(range(3), lambda i: sym.row("h") * sym.X(i), data={"h": [1, 2, 3]})
    y = sum_over(edges, lambda i, _: 1j * sym.Y(i))
    total = 3 - zz / 2 + 2 * x - sym.n(0) + dagger(y) * 1j
    expected = _dense(
        space,
        [
            (3, []),
            *[(-0.5, [("Z", p), ("Z", q)]) for p, q in edges],
            *[(2 * h, [("X", k)]) for k, h in enumerate([1, 2, 3])],
            (-1, [("n", 0)]),
            *[(1, [("Y", p)]) for p, _ in edges],
        ],
    )
    np.testing.assert_allclose(_matrix(total, space, complex), expected)


def test_a_graph_is_its_edges() -> None:
    nk = pytest.importorskip("netket")
    graph = nk.graph.Chain(4)
    found = _matrix(sum_over(graph, lambda i, j: sym.Z(i) * sym.Z(j)), sym.spin(0.5, 4))
    x = sym.spin(0.5, 4).all_states().astype(float)
    np.testing.assert_allclose(np.diag(found), (x * np.roll(x, 1, axis=1)).sum(axis=1))


def test_zero_is_an_operator() -> None:
    assert not _matrix(c(0) * c(0), _fermions(2)).any()
    parts = sum_over([(0, 0), (1, 1)], lambda i, j: c(i) * c(j)) + n(0)
    op = sym.DOperator(_fermions(2)).add(parts).build()
    assert op.max_conn_size == 1


def test_chains_of_operators() -> None:
    op = (
        sym.DOperator(sym.fock(2, 2))
        .for_each_site("i")
        .emit_if(i == 0, a("i"))
        .emit_else(adag("i"), amplitude=10)
        .build()
    )
    (matrix,) = [dense_matrix(op.to_ir().module)]
    expected = np.zeros((3, 3))
    expected[0, 1], expected[1, 0], expected[2, 1] = 1, 10, 10 * np.sqrt(2)
    np.testing.assert_allclose(
        matrix, np.kron(expected, np.eye(3)) + np.kron(np.eye(3), expected)
    )


def test_products_that_are_real_need_no_complex_dtype() -> None:
    found = _matrix(sym.Y(0) * sym.Y(1) + (1j * n(0)) * 1j, sym.qubit(2))
    expected = _dense(sym.qubit(2), [(1, [("Y", 0), ("Y", 1)]), (-1, [("n", 0)])])
    np.testing.assert_allclose(found, expected)


def test_an_error_leaves_the_builder_as_it_was() -> None:
    builder = sym.DOperator(_fermions(2)).add(n(0))
    with pytest.raises(DefinitionError):
        builder.add(sum_over([0, 1], lambda i: n(i)) + sym.Sz(0))
    assert len(builder.build().terms) == 1


# endregion

FERMIONS, SPINS = _fermions(4), sym.spin(0.5, 4)
HALF = _fermions(4, 0.5)
ANYTHING: Any = n(0)


@pytest.mark.parametrize(
    ("code", "said", "space", "make"),
    [
        ("D055", "c acts on fermions; site 3 is a spin", SPINS, lambda: c(3)),
        ("D055", "a acts on bosons", FERMIONS, lambda: a(0)),
        ("D055", "Sz acts on spins", sym.fock(2, 2), lambda: sym.Sz(1)),
        ("D055", "3 values", sym.spin(1, 2), lambda: sym.X(0)),
        ("D055", "no known kind", sym.space([0, 1], 2), lambda: n(0)),
        ("D056", "no fermions with spin", FERMIONS, lambda: c(0, spin=0.5)),
        ("D056", "no spin state", HALF, lambda: c(0, spin=1.5)),
        ("D056", "spin that is none", HALF, lambda: c(0, spin="left")),
        ("D057", "reads local values", FERMIONS, lambda: i.value * c(0)),
        ("D057", "reads local values", FERMIONS, lambda: c(0) * sym.sum_(sym.here)),
        ("D012", "complex number", SPINS, lambda: sym.Y(0)),
        ("D012", "complex number", SPINS, lambda: 1j * sym.X(0)),
        ("D001", "'i'", SPINS, lambda: sym.X("i")),
        ("D059", "site 4 in row 0", FERMIONS, lambda: n(4)),
        ("D059", "orbital 2 in row 0", HALF, lambda: n(2, "up")),
        ("D036", "not the number of one", FERMIONS, lambda: n(i + 1)),
        ("D059", "depends on the configuration", FERMIONS, lambda: n(2 * i.value)),
        ("D058", "no operator", FERMIONS, lambda: "n"),
        ("D058", "whole powers", FERMIONS, lambda: n(0) ** -1),
        ("D058", "not written out", FERMIONS, lambda: n(0) * sum_over([0], n)),
        ("D058", "divided by zero", FERMIONS, lambda: n(0) / 0),
        ("D058", "divided by scalars", FERMIONS, lambda: n(0) / ANYTHING),
        ("D058", "has no adjoint", FERMIONS, lambda: dagger(2)),
        ("D058", "no operator", FERMIONS, lambda: sum_over([0], lambda _: "n")),
        ("D060", "function of sites", FERMIONS, lambda: sum_over([0], ANYTHING)),
        ("D060", "function of sites", FERMIONS, lambda: sum_over([0], lambda *_: 1)),
        ("D015", "no number", FERMIONS, lambda: n(0) + "n"),
    ],
)
def test_mistakes(code: str, said: str, space: Space, make: Any) -> None:
    with pytest.raises(DefinitionError, match=code) as error:
        sym.DOperator(space, "op").add(make())
    assert said in str(error.value)
    assert error.value.location is not None
    assert error.value.location.file == __file__


def test_mistakes_in_a_term_name_it() -> None:
    builder = sym.DOperator(FERMIONS, "op").for_each_site("i")
    with pytest.raises(DefinitionError, match=r"operator 'op', term 'term0'.*emit0"):
        builder.emit(sym.Sz("i"))
    with pytest.raises(DefinitionError, match="D058"):
        builder.emit(sum_over([0], n))  # pyright: ignore[reportArgumentType]
    with pytest.raises(DefinitionError, match="operators come first"):
        builder.emit(amplitude=n("i"))  # pyright: ignore[reportArgumentType]
