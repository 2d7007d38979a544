"""Products, powers and commutators of operators, against those of dense matrices."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest
from xdsl.dialects.builtin import FileLineColLoc, NameLoc

import symir as sym
from dialects import sym as ir
from dialects.interpreters.sym import branches, connections, dense_matrix
from symir import DefinitionError, SymbolicOperator, SymbolicOperatorIR
from symir.operator import algebra
from symir.operator.products import MAX_BRANCHES
from tests.unit.symir.constructs import CONSTRUCTS

i, j, h = sym.site("i"), sym.site("j"), sym.symbol("h", 0.75)
SPINS = sym.spin(0.5, 3)


def dense(operator: SymbolicOperator, **parameters: complex) -> Any:
    with np.errstate(all="ignore"):
        return dense_matrix(operator.to_ir().module, parameters)


def on_site(
    space: Any, update: sym.Update, name: str = "op", **options: Any
) -> SymbolicOperator:
    builder = sym.DOperator(space, name, dtype="float64").for_each_site("i")
    return builder.emit(update, **options).build()


def summed(space: Any, summand: Any, dtype: str = "complex128") -> SymbolicOperator:
    """Return the sum of an operator expression over all sites."""
    builder = sym.DOperator(space, "sum", dtype=dtype)
    return builder.for_each_site("i").emit(summand("i")).build()


def at(space: Any, expression: sym.OperatorExpr) -> SymbolicOperator:
    """Return an operator expression at fixed sites."""
    builder = sym.DOperator(space, "at", dtype="complex128").globally()
    return builder.emit(expression).build()


def other_on(space: object) -> SymbolicOperator:
    builder = sym.DOperator(space, "other", dtype="float64")
    builder.for_each(("i", "j"), over=[(0, 1), (1, 1), (1, 0)]).where(i >= j)
    builder.emit(sym.swap("i", "j"), amplitude=i + 0.5).named("swaps")
    builder.for_each("i", over=[1]).emit(
        sym.shift("i", 1), amplitude=i + sym.emitted("i")
    )
    return builder.build()


def assert_compiles_to_itself(operator: SymbolicOperator) -> None:
    """Compare the kernel with the interpreter, lane by lane."""
    x = operator.space.all_states().astype(np.float64)
    expected_xp, expected = connections(operator.to_ir().module, x)
    xp, elements = operator.compile().get_conn_padded(x)
    np.testing.assert_allclose(elements, expected, rtol=1e-5, atol=1e-6)
    kept = expected != 0
    np.testing.assert_array_equal(np.asarray(xp)[kept], expected_xp[kept])


# region Matrices

SAMPLE = [
    "iterator: for_each with duplicate and aliasing rows",
    "update: later updates see earlier ones",
    "update: several emissions",
    "update: spaces that differ from site to site",
    "update: cond after a step",
    "update: computed site in a cond",
    "emission: project",
    "emission: emit_if, emit_elseif, emit_else",
    "reduction: over a site set",
    "reduction: table with missing entries in a reduction",
]


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("is_first", [True, False])
def test_any_construct_can_be_multiplied(name: str, is_first: bool) -> None:
    a = CONSTRUCTS[name](3)
    b = other_on(a.hilbert)
    a, b = (a, b) if is_first else (b, a)
    own = {symbol.name: 0.5 for symbol in (*a.symbols, *b.symbols)}
    product = a @ b
    matrices = [dense(x, **{s.name: own[s.name] for s in x.symbols}) for x in (a, b)]
    np.testing.assert_allclose(
        dense(product, **own), matrices[0] @ matrices[1], rtol=1e-12, atol=1e-12
    )
    text = product.to_ir().text()
    assert SymbolicOperatorIR.from_text(text).text() == text
    assert product.max_conn_size == a.max_conn_size * b.max_conn_size


@pytest.mark.parametrize(
    "operator",
    [
        lambda: CONSTRUCTS["update: several emissions"](2) @ other_on(sym.fock(2, 2)),
        lambda: other_on(sym.fock(2, 2)) @ CONSTRUCTS["iterator: several terms"](2),
        lambda: summed(sym.fermions(3), sym.c) @ summed(sym.fermions(3), sym.cdag),
    ],
)
def test_kernels_of_products_are_as_the_interpreter(
    operator: Callable[[], SymbolicOperator],
) -> None:
    assert_compiles_to_itself(operator())


def test_a_branch_of_the_first_counts_in_the_space_only() -> None:
    space = sym.fock(2, 2)
    up, down = (on_site(space, sym.shift("i", d)) for d in (2, -2))
    # from (1, 1) no shift by 2 stays inside, though both together would
    np.testing.assert_array_equal(dense(up @ down), dense(up) @ dense(down))
    assert dense(up @ down)[4].tolist() == [0] * 9
    assert_compiles_to_itself(up @ down)


def test_what_the_first_needs_to_be_defined_is_needed() -> None:
    space = sym.fock(2, 3)
    builder = sym.DOperator(space, "a", dtype="float64").for_each_site("i")
    # there is no site 3: a branch with an amplitude that the second never reads
    a = builder.emit(sym.write("i", 0), amplitude=sym.site(i.index + 1) + 1).build()
    b = on_site(space, sym.write("i", 1))
    matrix = dense(a)
    assert matrix.any()
    np.testing.assert_array_equal(dense(a @ b), matrix @ dense(b))
    writes = sym.DOperator(space, "w", dtype="float64").for_each_site("i")
    shadowed = writes.emit(sym.write(i.index + 1, 2).write("i", 0)).build()
    np.testing.assert_array_equal(dense(shadowed @ b), dense(shadowed) @ dense(b))


def test_powers() -> None:
    a = other_on(sym.fock(2, 2))
    matrix = dense(a)
    for n in range(4):
        np.testing.assert_allclose(dense(a**n), np.linalg.matrix_power(matrix, n))
    assert (a**0).max_conn_size == 1
    assert (a**3).max_conn_size == a.max_conn_size**3
    assert (a**1).dtype == a.dtype


def test_the_algebra_of_spins() -> None:
    x, y, z = (summed(SPINS, s) for s in (sym.Sx, sym.Sy, sym.Sz))
    np.testing.assert_allclose(dense(sym.commutator(x, y)), 1j * dense(z), atol=1e-12)
    squared = dense(x @ x + y**2 + z @ z)
    assert set(np.round(np.linalg.eigvalsh(squared), 9)) == {0.75, 3.75}


def test_the_algebra_of_fermions_and_bosons() -> None:
    space = sym.fermions(3)
    identity = np.eye(8)
    for a in range(3):
        for b in range(3):
            both = at(space, sym.c(a)), at(space, sym.cdag(b))
            found = dense(sym.anticommutator(*both))
            np.testing.assert_allclose(found, identity * (a == b), atol=1e-12)
    bosons = sym.fock(3, 2)
    found = dense(sym.commutator(at(bosons, sym.a(0)), at(bosons, sym.adag(0))))
    # all but the largest occupation, where there is no room
    np.testing.assert_allclose(found, np.diag(np.repeat([1, 1, 1, -3], 4)), atol=1e-12)


def test_commutators_on_paper_stay_what_they_are() -> None:
    expression = sym.commutator(sym.c("i"), sym.cdag("i"))
    assert isinstance(expression, sym.OperatorExpr)


def test_a_product_in_parameters_follows_them() -> None:
    a = on_site(SPINS, sym.flip("i"), amplitude=h)
    b = on_site(SPINS, sym.identity(), amplitude=h + i * sym.symbol("t", 2.0))
    product = (2 * a - 1) @ b
    assert [symbol.name for symbol in product.symbols] == ["h", "t"]
    expected = (2 * dense(a, h=3) - np.eye(8)) @ dense(b, h=3, t=-1)
    np.testing.assert_allclose(dense(product, h=3, t=-1), expected)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("complex64", "float64", "complex128"),
        ("float32", "complex64", "complex64"),
    ],
)
def test_the_dtype_is_the_common_one(left: str, right: str, expected: str) -> None:
    a, b = (
        sym.DOperator(SPINS, dtype=dtype)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=(1j if "complex" in dtype else 1) * (i + 2))
        .build()
        for dtype in (left, right)
    )
    product = a @ b
    assert product.dtype == product.to_ir().dtype_str == expected
    assert not product.dtype_is_default
    np.testing.assert_allclose(dense(product), dense(a) @ dense(b))


# endregion
# region What a product is


def test_lanes_are_those_of_the_left_operand_major() -> None:
    a, b = on_site(SPINS, sym.flip("i"), tag="a"), other_on(SPINS)
    lanes = branches((a @ b).to_ir().module, np.array([1.0, -1, 1]))
    assert [term.name for term in (a @ b).terms] == ["term0.swaps", "term0.term1"]
    assert [lane.row for lane in lanes] == [*range(9), *range(3)]
    rows = (a @ b).terms[0].rows
    assert (a @ b).terms[0].labels == ("i", "i_1", "j")
    assert list(rows)[:4] == [[0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 0, 1]]


def test_emissions_are_those_of_each_row() -> None:
    builder = sym.DOperator(SPINS, "a").for_each_site("i")
    a = builder.emit(sym.flip("i"), tag="x").emit(amplitude=i).build()
    product = a @ a
    assert product.terms[0].tags == ("x.x", "x", "x", None)
    assert product.max_conn_size == 36


def test_data_and_sets_of_both_operands_are_kept() -> None:
    builder = sym.DOperator(SPINS, "a", dtype="float64")
    data, sets = {"J": [1.0, 2.0]}, {"near": [[0, 1], [2]]}
    builder.for_each("i", over=[0, 2], data=data, sets=sets)
    number = sym.sum_(sym.here.value, over=sym.set_("near"))
    a = builder.emit(sym.flip("i"), amplitude=sym.row("J") + number).build()
    np.testing.assert_allclose(dense(a @ a), dense(a) @ dense(a))
    assert_compiles_to_itself(a @ a)


def test_names_can_be_read() -> None:
    a, b = (on_site(SPINS, sym.flip("i"), name) for name in "ab")
    assert (a @ b).name == (a @ b).to_ir().operator_name == "a @ b"
    assert ((a + b) @ (a @ b)).name == "(a + b) @ (a @ b)"
    assert (a**2).name == "a**2"
    assert ((2 * a) ** 0).name == "(2*a)**0"
    assert sym.commutator(a, b).name == "[a, b]"
    assert sym.anticommutator(a, b).name == "{a, b}"


def test_what_is_known_to_be_hermitian() -> None:
    a, b = (
        sym.DOperator(SPINS, name, hermitian=True)
        .for_each_site("i")
        .emit(update)
        .build()
        for name, update in (("a", sym.flip("i")), ("b", sym.identity()))
    )
    assert (a @ a).is_hermitian
    assert (a**3).is_hermitian
    assert sym.anticommutator(a, b).is_hermitian
    assert (a @ b).declared_hermitian is None
    assert sym.commutator(a, b).declared_hermitian is None
    assert sym.anticommutator(a, b).to_ir().is_hermitian


def test_promised_fanouts_are_multiplied() -> None:
    builder = sym.DOperator(SPINS, "a", dtype="float64").for_each_site("i")
    a = builder.where(i.index == 1).fanout(1).emit(sym.flip("i"), amplitude=i).build()
    b = on_site(SPINS, sym.flip("i"), amplitude=i + 2)
    assert [(a @ b).max_conn_size, (b @ a).max_conn_size] == [3, 3]
    assert (a @ a).terms[0].fanout == 1
    assert (b @ b).terms[0].fanout is None
    for product, factors in ((a @ b, (a, b)), (b @ a, (b, a))):
        expected = dense(factors[0]) @ dense(factors[1])
        np.testing.assert_allclose(dense(product), expected)
        assert_compiles_to_itself(product)


def test_products_in_a_constrained_space() -> None:
    chain = sym.fock(2, 3, n_particles=3)
    builder = sym.DOperator(chain, "hop", dtype="float64").for_each_pair("i", "j")
    update = sym.shift("i", -1).shift("j", 1)
    hop = builder.emit(update, amplitude=sym.sqrt(i * sym.emitted("j"))).build()
    np.testing.assert_allclose(dense(hop @ hop), dense(hop) @ dense(hop))
    assert_compiles_to_itself(hop @ hop)


def test_a_mistake_of_the_first_stays_one() -> None:
    free = on_site(sym.qubit(3), sym.flip("i"), amplitude=1 + i)
    space = "#sym.space<3 x [0, 1], sum = 1>"
    source = free.to_ir().text().replace("#sym.space<3 x [0, 1]>", space)
    a = SymbolicOperator.from_ir(SymbolicOperatorIR.from_text(source))
    # the second flip leads back into the space
    _, elements = connections((a @ a).to_ir().module, np.array([1, 0, 0]))
    assert np.isnan(elements).all()


def test_products_of_projected_operators_are_projected() -> None:
    chain = sym.fock(2, 3, n_particles=3)
    builder = sym.DOperator(chain, "op", projected=True, dtype="float64")
    builder.for_each_pair("i", "j").emit(sym.shift("i", 1).shift("j", -1), amplitude=i)
    a = builder.for_each_site("i").emit(sym.shift("i", 1), amplitude=i + 1).build()
    assert (a @ a).is_projected
    np.testing.assert_allclose(dense(a @ a), dense(a) @ dense(a))
    assert_compiles_to_itself(a @ a)


def test_products_on_a_space_with_predicates() -> None:
    space = sym.qubit(3).where(sym.site(0) + sym.site(1) < 2)
    builder = sym.DOperator(space, "op", projected=True, dtype="float64")
    a = builder.for_each_site("i").emit(sym.flip("i"), amplitude=i + 1).build()
    x = space.all_states()
    number = {tuple(state): k for k, state in enumerate(x.tolist())}

    def matrix(operator: SymbolicOperator) -> Any:
        xp, elements = connections(operator.to_ir().module, x)
        found = np.zeros((len(x), len(x)))
        for row, lane in np.argwhere(elements != 0):
            found[row, number[tuple(xp[row, lane].tolist())]] += elements[row, lane]
        return found

    np.testing.assert_allclose(matrix(a @ a), matrix(a) @ matrix(a))


def test_products_survive_pickling() -> None:
    product = other_on(SPINS) @ other_on(SPINS)
    copy = pickle.loads(pickle.dumps(product))
    assert copy.to_ir() == product.to_ir()
    assert copy.terms == product.terms


def test_ops_keep_the_place_that_they_come_from() -> None:
    product = on_site(SPINS, sym.shift("i", 1), amplitude=i * h) ** 2
    operator = algebra.operator_in(product.to_ir().module)
    for op in operator.walk():
        assert isinstance(op.location, NameLoc)
        assert isinstance(op.location.location, FileLineColLoc)
        assert op.location.location.filename.data == __file__
    assert isinstance(operator.terms[0].emissions[0], ir.EmitOp)


# endregion
# region Mistakes


def _huge() -> SymbolicOperator:
    return on_site(sym.qubit(4000), sym.flip("i"))


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("D080", lambda a: _huge() @ _huge()),
        ("D081", lambda a: a**-1),
        ("D081", lambda a: a**0.5),
        ("D081", lambda a: a**17),
        ("D031", lambda a: a @ on_site(sym.qubit(3), sym.flip("i"))),
        ("D026", lambda a: a @ on_site(SPINS, sym.flip("i"), amplitude=_g(2.0))),
        ("D052", lambda a: a @ _projected()),
    ],
)
def test_mistakes_are_reported_where_they_are_made(
    code: str, mistake: Callable[[Any], Any]
) -> None:
    with pytest.raises(DefinitionError) as caught:
        mistake(on_site(SPINS, sym.flip("i"), "tfim", amplitude=sym.symbol("g", 1.0)))
    assert caught.value.code == code
    assert caught.value.operator is not None
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def _g(value: float) -> sym.Expr:
    return sym.symbol("g", value)


def _projected() -> SymbolicOperator:
    builder = sym.DOperator(SPINS, "p", projected=True).for_each_site("i")
    return builder.emit(sym.flip("i")).build()


def test_the_sizes_of_a_product_that_is_too_large_are_named() -> None:
    with pytest.raises(DefinitionError, match="D080") as caught:
        _ = _huge() @ _huge()
    assert caught.value.found == "4000 of 'op' times 4000 of 'op'"
    assert str(MAX_BRANCHES) in str(caught.value.expected)


# endregion
# region Compiled operators

HILBERT = nk.hilbert.Spin(0.5, 2)


def matrix_of(operator: Any) -> Any:
    """Return the matrix of a compiled operator, whoever compiled it."""
    x = HILBERT.all_states()
    xp, elements = operator.get_conn_padded(x)
    found = np.zeros((4, 4), np.complex128)
    columns = HILBERT.states_to_numbers(np.asarray(xp))
    np.add.at(found, (np.arange(4)[:, None], columns), np.asarray(elements))
    return found


@cache
def _compiled(hilbert: Any = HILBERT) -> tuple[Any, Any]:
    a = sym.DOperator(hilbert, "a").for_each_site("i")
    a = a.emit(sym.flip("i"), amplitude=h * (i + 2)).build()
    b = sym.DOperator(hilbert, "b", hermitian=True).for_each_site("i")
    b = b.emit(amplitude=i * (1 + i.index)).build()
    return a.compile().replace(h=0.25), b.compile()


FORMULAS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a - b": lambda a, b, one: a - b,
    "2 * a": lambda a, b, one: 2 * a,
    "a * 1j": lambda a, b, one: a * 1j,
    "a / 2": lambda a, b, one: a / 2,
    "-a": lambda a, b, one: -a,
    "a @ b": lambda a, b, one: a @ b,
    "a + 1.5": lambda a, b, one: a + 1.5 * one,
    "1 - a": lambda a, b, one: 1 * one - a,
    "np.float64(2) * a": lambda a, b, one: np.float64(2) * a,
    "a * jnp.asarray(2.0)": lambda a, b, one: a * jnp.asarray(2.0),
    "sum": lambda a, b, one: a + b + a,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_compiled_operators_have_the_algebra_of_their_matrices(name: str) -> None:
    a, b = _compiled()
    matrices = [matrix_of(operator) for operator in (a, b)]
    operator = FORMULAS[name](a, b, 1)
    expected = FORMULAS[name](matrices[0], matrices[1], np.eye(4))
    assert type(operator) is type(a)
    np.testing.assert_allclose(matrix_of(operator), expected, rtol=1e-6)
    assert operator.parameters == {"h": 0.25}
    assert operator.hilbert is HILBERT


def test_the_builtin_sum_of_compiled_operators() -> None:
    a, b = _compiled()
    total: Any = sum([a, b])
    assert total.name == "a + b"
    np.testing.assert_allclose(matrix_of(total), matrix_of(a) + matrix_of(b))


def test_powers_adjoints_and_commutators_of_compiled_operators() -> None:
    a, b = _compiled()
    x, y = (matrix_of(operator) for operator in (a, b))
    pairs = [
        (a**2, x @ x),
        (a**0, np.eye(4)),
        (a.H, x.T),
        (a.adjoint(), x.T),
        (a.T, x.T),
        ((1j * a).conjugate(), -1j * x),
        ((1j * a).H, -1j * x.T),
        (sym.commutator(a, b), x @ y - y @ x),
        (sym.anticommutator(a, b), x @ y + y @ x),
    ]
    for operator, expected in pairs:
        np.testing.assert_allclose(matrix_of(operator), expected, rtol=1e-6, atol=1e-6)
    assert b.H is b


def test_compiled_operators_on_a_space_of_symir() -> None:
    a, b = _compiled(SPINS)
    operator = a @ b + 1
    x = SPINS.all_states()
    _, elements = operator.get_conn_padded(x)
    _, expected = connections(operator.kernel.ir.module, x, {"h": 0.25})
    np.testing.assert_allclose(elements, expected, rtol=1e-6)
    with pytest.raises(TypeError):
        _ = a @ np.ones(8)
    with pytest.raises(TypeError):
        _ = a + "b"
    with pytest.raises(TypeError):
        _ = a * b


def test_parameters_without_a_value_stay_without() -> None:
    builder = sym.DOperator(SPINS, "a").for_each_site("i")
    a = builder.emit(sym.flip("i"), amplitude=sym.symbol("g")).build().compile()
    assert (a @ a).parameters == {}
    assert (2 * a).replace(g=3.0).parameters == {"g": 3.0}
    assert (a + a.replace(g=2.0)).parameters == {"g": 2.0}


def test_one_parameter_has_one_value() -> None:
    a, _ = _compiled()
    assert (a + a.replace(h=0.25)).parameters == {"h": 0.25}
    with pytest.raises(DefinitionError, match="D083") as caught:
        _ = a @ a.replace(h=0.5)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_operators_of_netket_and_ours() -> None:
    a, _ = _compiled()
    make: Any = nk.operator.IsingJax
    ising = make(HILBERT, nk.graph.Graph([(0, 1)]), h=1.0)
    x, y = (matrix_of(operator) for operator in (a, ising))
    pairs = [
        (a + ising, x + y),
        (ising + a, x + y),
        (a - ising, x - y),
        (ising - a, y - x),
        (a @ ising, x @ y),
        (ising @ a, y @ x),
    ]
    for operator, expected in pairs:
        np.testing.assert_allclose(matrix_of(operator), expected, rtol=1e-6, atol=1e-6)
    vector = np.arange(4.0)
    for found in (a @ vector, a @ jnp.asarray(vector), a(vector)):
        np.testing.assert_allclose(found, x @ vector, rtol=1e-6)


def test_under_jit() -> None:
    a, b = _compiled()
    x = jnp.asarray(HILBERT.all_states())

    @jax.jit
    def elements(a: Any, b: Any, t: Any) -> Any:
        product, scaled = a @ b, t * a
        return product.get_conn_padded(x)[1], scaled.get_conn_padded(x)[1]

    found = elements(a, b, 2.0)
    np.testing.assert_allclose(found[0], (a @ b).get_conn_padded(x)[1], rtol=1e-6)
    np.testing.assert_allclose(found[1], 2 * a.get_conn_padded(x)[1], rtol=1e-6)


# endregion
