"""Our operators in NetKet's hands: each result that of NetKet's own operator."""

# pyright: basic

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections
from symir.interop.netket import HonestSum, NetKetOperator
from symir.language import c, cdag, n, sum_over
from tests.unit.symir.interop.matrices import matrix_from, states_of
from tests.unit.symir.interop.matrices import matrix_of_branches as dense

# NetKet would rather have another class of its own
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*WARNING. Initializing")

operators: Any = nk.operator
models: Any = nk.models
i, j = sym.site("i"), sym.site("j")
CHAIN = nk.graph.Chain(6)
RING = nk.graph.Chain(4)


def ising() -> tuple[sym.SymbolicOperator, Any]:
    hilbert = nk.hilbert.Spin(0.5, 6)
    ours = (
        sym.DOperator(hilbert, "ising", hermitian=True)
        .for_each_edge(CHAIN)
        .emit(amplitude=i * j)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-sym.symbol("h", default=0.8))
        .build()
    )
    return ours, operators.Ising(hilbert, CHAIN, h=0.8, J=1.0).to_jax_operator()


def heisenberg() -> tuple[sym.SymbolicOperator, Any]:
    hilbert = nk.hilbert.Spin(0.5, 6, total_sz=0)
    ours = (
        sym.DOperator(hilbert, "heisenberg", hermitian=True)
        .for_each_edge(CHAIN)
        .emit(amplitude=i * j)
        .emit_if(i != j, sym.swap("i", "j"), amplitude=2.0)
        .build()
    )
    theirs = operators.Heisenberg(hilbert, CHAIN, sign_rule=False)
    return ours, theirs.to_jax_operator()


def bose_hubbard() -> tuple[sym.SymbolicOperator, Any]:
    hilbert = nk.hilbert.Fock(3, 4, n_particles=4)
    hops = [pair for a, b, *_ in RING.edges() for pair in ((a, b), (b, a))]
    ours = (
        sym.DOperator(hilbert, "bose_hubbard", hermitian=True)
        .for_each(("i", "j"), over=hops)
        .where((i > 0) & (j < 3))
        .emit(sym.hop("i", "j"), amplitude=-sym.sqrt(i * (j + 1)))
        .for_each_site("i")
        .emit(amplitude=1.0 * i * (i - 1))
        .build()
    )
    return ours, operators.BoseHubbardJax(hilbert, RING, U=2.0, J=1.0)


def fermi_hubbard() -> tuple[sym.SymbolicOperator, Any]:
    hilbert = nk.hilbert.SpinOrbitalFermions(4, s=0.5, n_fermions_per_spin=(2, 1))
    up, down = 0.5, -0.5

    def hop(a: Any, b: Any) -> Any:
        spins = (cdag(a, s) * c(b, s) + cdag(b, s) * c(a, s) for s in (up, down))
        return -1.3 * sum(spins, start=0 * n(a, up))

    lattice = sum_over(RING, hop) + sum_over(
        range(4), lambda i: 2.1 * n(i, up) * n(i, down)
    )
    ours = sym.DOperator(hilbert, "fermi_hubbard", hermitian=True).add(lattice).build()
    create, destroy, number = (
        getattr(operators.fermion, name) for name in ("create", "destroy", "number")
    )
    theirs: Any = 0.0
    for s in (1, -1):
        for a, b, *_ in RING.edges():
            there = create(hilbert, a, s) @ destroy(hilbert, b, s)
            back = create(hilbert, b, s) @ destroy(hilbert, a, s)
            theirs = theirs - 1.3 * (there + back)
    for site in range(4):
        theirs += 2.1 * number(hilbert, site, 1) @ number(hilbert, site, -1)
    return ours, theirs.to_jax_operator()


MODELS = {
    model.__name__: cache(model)
    for model in (ising, heisenberg, bose_hubbard, fermi_hubbard)
}
every_model = pytest.mark.parametrize("name", MODELS)
# NetKet asks for connected states alone: what it does with them is tried on the models
# with the least and the most of what it has to respect
two_models = pytest.mark.parametrize("name", ["ising", "bose_hubbard"])
DTYPES = (jnp.int8, jnp.float32, jnp.float64)

Both = tuple[Any, Any]


@cache
def both(name: str) -> Both:
    """Return our operator, compiled, and NetKet's."""
    ours, theirs = MODELS[name]()
    return ours.compile(), theirs


@cache
def matrix(name: str) -> Any:
    """Return the matrix of NetKet's operator."""
    return dense(both(name)[1])


def drawn_states(hilbert: Any, count: int) -> np.ndarray:
    """Draw states by NumPy: NetKet compiles a function for each space."""
    places = np.random.default_rng(1).integers(hilbert.n_states, size=count)
    return states_of(hilbert)[places]


def mc_state(hilbert: Any, dtype: Any = jnp.int8, **options: Any) -> Any:
    rule = nk.sampler.rules.LocalRule()
    if hilbert.constraint is not None:
        graph = nk.graph.Chain(hilbert.size)
        if isinstance(hilbert, nk.hilbert.SpinOrbitalFermions):
            # Each spin keeps its particles
            pairs = [(a + o, b + o) for a, b, *_ in RING.edges() for o in (0, 4)]
            graph = nk.graph.Graph(pairs)
        rule = nk.sampler.rules.ExchangeRule(graph=graph)
    sampler = nk.sampler.MetropolisSampler(
        hilbert, rule, n_chains=8, sweep_size=4, dtype=dtype
    )
    model = models.RBM(alpha=1, param_dtype=float)
    state = nk.vqs.MCState(
        sampler,
        model,
        n_samples=32,
        n_discard_per_chain=1,
        seed=1,
        sampler_seed=2,
        **options,
    )
    # Given: to draw samples, NetKet compiles a kernel for each space
    x = states_of(hilbert)[np.random.default_rng(3).integers(hilbert.n_states, size=32)]
    state._samples = jnp.asarray(x.reshape(8, 4, -1), dtype)
    return state


def close(ours: Any, theirs: Any) -> None:
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@every_model
def test_the_contract(name: str):
    ours, theirs = both(name)
    assert isinstance(ours, operators.DiscreteJaxOperator)
    assert ours.hilbert is theirs.hilbert
    assert ours.dtype == theirs.dtype
    assert isinstance(ours.max_conn_size, int)
    assert ours.is_hermitian is True
    assert ours.H is ours
    assert ours.to_jax_operator() is ours
    assert hash(ours) == hash(ours)
    close(dense(ours), matrix(name))
    leaves, structure = jax.tree.flatten(ours)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert (structure == jax.tree.structure(ours)) is True
    seen = []
    jax.jit(lambda op: seen.append(op.max_conn_size) or 0)(ours)
    assert seen == [ours.max_conn_size]


def test_it_is_a_matrix():
    ours, _ = both("bose_hubbard")
    expected = matrix("bose_hubbard")
    close(ours.to_dense(), expected)
    vector = np.linspace(-1, 1, ours.hilbert.n_states)
    close(ours @ vector, expected @ vector)


@pytest.mark.parametrize(
    ("name", "dtype", "lead"),
    [
        *(("bose_hubbard", dtype, (2, 1)) for dtype in DTYPES),
        ("heisenberg", jnp.float32, (2, 1)),
        ("fermi_hubbard", jnp.float64, (2, 1)),
        *(("ising", jnp.int8, lead) for lead in [(), (3,), (2, 1), (2, 1, 1)]),
    ],
)
def test_connections(name: str, dtype: Any, lead: tuple[int, ...]):
    ours, _ = both(name)
    x = drawn_states(ours.hilbert, math.prod(lead)).reshape(*lead, -1).astype(dtype)
    xp, mels = ours.get_conn_padded(x)
    k = ours.max_conn_size
    assert (xp.shape, mels.shape) == ((*x.shape[:-1], k, x.shape[-1]), (*lead, k))
    assert (xp.dtype, mels.dtype) == (x.dtype, ours.dtype)
    np.testing.assert_array_equal(ours.n_conn(x), (mels != 0).sum(axis=-1))
    xp, mels = map(np.asarray, (xp, mels))
    for row in np.argwhere(mels == 0)[:50].tolist():
        np.testing.assert_array_equal(xp[tuple(row)], x[tuple(row[:-1])])
    branches = np.asarray(xp).reshape(-1, x.shape[-1]).tolist()
    known = set(map(tuple, states_of(ours.hilbert).tolist()))
    assert set(map(tuple, branches)) <= known


@two_models
def test_flat_connections(name: str):
    ours, theirs = both(name)
    x = drawn_states(ours.hilbert, 3)
    states, elements = ours.get_conn(x[0])
    numbers = {tuple(one): k for k, one in enumerate(states_of(ours.hilbert).tolist())}
    row = matrix(name)[numbers[tuple(x[0].tolist())]]
    found = np.zeros_like(row)
    columns = [numbers[tuple(one)] for one in np.asarray(states).tolist()]
    np.add.at(found, columns, elements)
    np.testing.assert_allclose(found, row, atol=1e-12)
    for op in (ours, theirs):
        with pytest.raises(nk.errors.JaxOperatorGetConnInJitError):
            jax.jit(lambda op, x: op.get_conn_flattened(x, np.zeros(3)))(op, x)


@every_model
def test_numbers_of_connections(name: str):
    """Ours are the elements that are not 0: NetKet merges the diagonal, we do not."""
    ours, theirs = both(name)
    x = states_of(ours.hilbert)
    mels = np.asarray(ours.get_conn_padded(x)[1])
    found, merged = np.asarray(ours.n_conn(x)), np.asarray(theirs.n_conn(x))
    np.testing.assert_array_equal(found, (mels != 0).sum(axis=-1))
    off_diagonal = matrix(name) - np.diag(np.diag(matrix(name)))
    moving = (abs(off_diagonal) > 1e-12).sum(axis=-1)
    assert ((moving <= merged) & (merged <= moving + 1)).all()
    assert (found >= moving).all()
    # Of three fermions at most one site has two: one diagonal element at most
    assert (found > merged).any() == (name != "fermi_hubbard")


@every_model
def test_numbers_of_connections_with_a_summed_diagonal(name: str):
    """They are NetKet's; of fermions it counts a diagonal element that is 0, too."""
    ours, theirs = MODELS[name]()
    x = states_of(ours.hilbert)
    found = np.asarray(ours.to_netket(coalesce="diagonal").n_conn(x))
    counted = (np.diag(matrix(name)) == 0) & (name == "fermi_hubbard")
    np.testing.assert_array_equal(found + counted, theirs.n_conn(x))


@pytest.mark.parametrize(
    ("name", "dtype", "chunk_size"),
    [
        ("ising", jnp.int8, None),
        ("heisenberg", jnp.float32, 8),
        ("bose_hubbard", jnp.float64, 512),
        ("fermi_hubbard", jnp.int8, None),
    ],
)
def test_expectation_values_and_gradients(
    name: str, dtype: Any, chunk_size: int | None
):
    ours, theirs = both(name)
    state = mc_state(ours.hilbert, dtype, chunk_size=chunk_size)
    assert state.samples.dtype == dtype
    expected, slope = state.expect_and_grad(theirs)
    energy, gradient = state.expect_and_grad(ours)
    close(gradient, slope)
    # Without chunks it is compared where the sampler follows the operator
    for found in (energy, *([state.expect(ours)] if chunk_size else [])):
        close((found.mean, found.variance), (expected.mean, expected.variance))
    x = states_of(ours.hilbert)
    psi = np.exp(np.asarray(state.log_value(x)))
    of_state = dict(zip(map(tuple, x), matrix(name) @ psi / psi, strict=True))
    samples = np.asarray(state.samples)
    energies = np.apply_along_axis(lambda one: of_state[tuple(one)], -1, samples)
    close(state.local_estimators(ours).data, energies)


@two_models
def test_full_summation(name: str):
    ours, theirs = both(name)
    model = models.RBM(alpha=1, param_dtype=float)
    state = nk.vqs.FullSumState(ours.hilbert, model, seed=3)
    expected, slope = state.expect_and_grad(theirs)
    energy, gradient = state.expect_and_grad(ours)
    close((energy.mean, gradient), (expected.mean, slope))
    close(state.expect(ours).mean, expected.mean)


@two_models
def test_squares(name: str):
    ours, theirs = both(name)
    state = mc_state(ours.hilbert)
    squared: Callable[[Any], Any] = operators.Squared
    close(state.expect(squared(ours)).mean, state.expect(squared(theirs)).mean)


@two_models
def test_the_sampler_that_follows_the_operator(name: str):
    """Branches of one x' are proposed more often; it samples the same distribution."""
    ours, theirs = both(name)
    hilbert = ours.hilbert
    sampler = nk.sampler.MetropolisHamiltonian(
        hilbert, ours, n_chains=64, sweep_size=8, dtype=jnp.float32
    )
    model = models.RBM(alpha=1, param_dtype=float)
    state = nk.vqs.MCState(
        sampler, model, n_samples=4096, seed=1, n_discard_per_chain=8
    )
    assert state.samples.dtype == jnp.float32
    samples = np.asarray(state.samples).reshape(-1, hilbert.size)
    numbers = hilbert.states_to_numbers(samples)  # raises for what is no state
    counted = np.bincount(numbers, minlength=hilbert.n_states) / len(numbers)
    expected = np.abs(state.to_array()) ** 2
    # Half the sum of differences: about sqrt(states / samples) where all is well
    assert np.abs(counted - expected).sum() / 2 < 0.15
    close(state.expect(ours).mean, state.expect(theirs).mean)


@every_model
def test_sums_with_operators_of_netket(name: str):
    ours, theirs = both(name)
    for mixed, factor in ((2.0 * theirs + ours, 3.0), (ours - 3.0 * theirs, -2.0)):
        close(dense(mixed), factor * matrix(name))


def test_a_sum_with_an_operator_of_netket_has_expectation_values():
    ours, theirs = both("ising")
    state = mc_state(ours.hilbert)
    energy, gradient = state.expect_and_grad(ours + 0.5 * theirs)
    expected, slope = state.expect_and_grad(1.5 * theirs)
    close((energy.mean, gradient), (expected.mean, slope))


@two_models
def test_applied_to_a_state(name: str):
    ours, theirs = both(name)
    state = nk.vqs.FullSumState(ours.hilbert, models.RBM(alpha=1), seed=3)
    found = [nk.vqs.apply_operator(op, state).to_array() for op in (ours, theirs)]
    close(*found)


@pytest.mark.parametrize(
    ("name", "kind"), [("ising", "VMC"), ("bose_hubbard", "VMC_SR")]
)
def test_the_drivers_take_it(name: str, kind: str):
    of_kind = {"VMC": {}, "VMC_SR": {"diag_shift": 0.1, "mode": "real"}}
    options: dict[str, Any] = of_kind[kind]
    results = []
    for operator in both(name):
        state = mc_state(operator.hilbert)
        driver = getattr(nk.driver, kind)(
            operator, nk.optimizer.Sgd(0.02), variational_state=state, **options
        )
        log = nk.logging.RuntimeLog()
        driver.run(3, out=log, show_progress=False)
        results.append((np.asarray(log.data["Energy"]["Mean"]), state.parameters))
    close(*results)


def test_a_coupling_is_a_leaf():
    """The gradient of an energy by a coupling, through NetKet's local estimators."""
    ours, _ = both("ising")
    state = nk.vqs.FullSumState(ours.hilbert, models.RBM(alpha=1), seed=3)
    psi = state.to_array()
    states = ours.hilbert.all_states()

    def energy(h: Any) -> Any:
        xp, mels = ours.replace(h=h).get_conn_padded(states)
        amplitudes = psi[ours.hilbert.states_to_numbers(xp)]
        return (psi.conj() @ (mels * amplitudes).sum(axis=-1)).real

    step = 1e-6
    expected = (energy(0.8 + step) - energy(0.8 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(energy)(0.8), expected, rtol=1e-6)


def test_dtypes_of_the_operator():
    hilbert = nk.hilbert.Spin(0.5, 4)
    for dtype in ("float32", "float64", "complex64", "complex128"):
        builder = sym.DOperator(hilbert, "op", dtype=dtype).for_each_site("i")
        compiled = builder.emit(sym.flip("i"), amplitude=0.1).build().compile()
        x = hilbert.random_state(jax.random.key(1), 3)
        assert compiled.get_conn_padded(x)[1].dtype == compiled.dtype == dtype


# region Algebra of compiled operators


@cache
def ladder() -> Any:
    """Return an operator that is neither Hermitian nor real, and its matrix."""
    hilbert = nk.hilbert.Spin(0.5, 3)
    op = (
        sym.DOperator(hilbert, "ladder", dtype="complex128")
        .for_each_site("i")
        .where(i > 0)
        .emit(sym.flip("i"), amplitude=(1 + 2j) * (i.index + 1))
        .for_each(("i", "j"), over=[(0, 1), (1, 2)])
        .emit(amplitude=1j * i * j + 0.5)
        .build()
        .compile()
    )
    x = np.asarray(hilbert.all_states())
    expected = np.zeros((8, 8), complex)
    for row, state in enumerate(x):
        expected[row, row] = sum(1j * state[k] * state[k + 1] + 0.5 for k in range(2))
        for k in np.flatnonzero(state > 0):
            other = state.copy()
            other[k] = -other[k]
            column = int(hilbert.states_to_numbers(other))
            expected[row, column] = (1 + 2j) * (k + 1)
    return op, expected


@cache
def magnet(h: float) -> Any:
    """Return a Hermitian operator on the same space, compiled, and its matrix."""
    hilbert = ladder()[0].hilbert
    builder = sym.DOperator(hilbert, "magnet", hermitian=True).for_each_site("i")
    field = sym.symbol(f"h{int(10 * h)}", default=h)
    op = builder.emit(sym.flip("i"), amplitude=field).emit(amplitude=1.0 * i).build()
    flip, up = np.array([[0, 1], [1, 0]]), np.diag([1, -1])

    def at(site: int, local: Any) -> Any:
        return np.kron(np.kron(np.eye(2**site), local), np.eye(2 ** (2 - site)))

    # NetKet lists 1 before -1
    assert (hilbert.all_states()[0] == 1).all()
    return op.compile(), sum(at(site, h * flip + up) for site in range(3))


ALGEBRA = {
    "adjoint": (lambda a, b: a.H, lambda a, b: a.conj().T, False),
    "conjugate": (lambda a, b: a.conjugate(), lambda a, b: a.conj(), False),
    "transpose": (lambda a, b: a.transpose(), lambda a, b: a.T, False),
    "adjoint twice": (lambda a, b: a.H.H, lambda a, b: a, False),
    "A + B": (lambda a, b: a + b, lambda a, b: a + b, False),
    "A @ B": (lambda a, b: a @ b, lambda a, b: a @ b, False),
    "B + B'": (lambda a, b: b + magnet(0.2)[0], lambda a, b: b + magnet(0.2)[1], True),
    "B @ B'": (lambda a, b: b @ magnet(0.2)[0], lambda a, b: b @ magnet(0.2)[1], False),
    "B @ B": (lambda a, b: b @ b, lambda a, b: b @ b, None),
    "B ** 2": (lambda a, b: b**2, lambda a, b: b @ b, True),
    "a real multiple": (lambda a, b: 2.5 * b, lambda a, b: 2.5 * b, True),
    "a complex multiple": (lambda a, b: (1 + 2j) * b, lambda a, b: (1 + 2j) * b, False),
    "a quotient": (lambda a, b: (b - a) / 2j, lambda a, b: (b - a) / 2j, False),
    "commutator": (
        lambda a, b: b.commutator(magnet(0.2)[0]),
        lambda a, b: b @ magnet(0.2)[1] - magnet(0.2)[1] @ b,
        False,
    ),
    "anticommutator": (
        lambda a, b: b.anticommutator(magnet(0.2)[0]),
        lambda a, b: b @ magnet(0.2)[1] + magnet(0.2)[1] @ b,
        True,
    ),
    "A commutator B": (lambda a, b: a.commutator(b), lambda a, b: a @ b - b @ a, False),
}


@pytest.mark.parametrize("name", ALGEBRA)
def test_algebra(name: str):
    """Operators of NetKet again, whose claim to be Hermitian is true."""
    ours, expected, is_hermitian = ALGEBRA[name]
    (a, a_matrix), (b, b_matrix) = ladder(), magnet(0.7)
    found, expected = ours(a, b), expected(a_matrix, b_matrix)
    assert isinstance(found, operators.DiscreteJaxOperator)
    assert found.hilbert is a.hilbert
    close(dense(found), expected)
    if is_hermitian is not None:
        assert found.is_hermitian is is_hermitian
    assert not found.is_hermitian or np.allclose(expected, expected.conj().T)


@cache
def with_theirs() -> tuple[Any, dict[str, Any]]:
    """Return an operator of ours, and NetKet's own of all kinds on the same space."""
    hilbert = nk.hilbert.SpinOrbitalFermions(2)
    builder = sym.DOperator(hilbert, "ours").for_each_site("i")
    ours = builder.emit(sym.swap("i", 1), amplitude=i + 0.5).build().compile()
    site = nk.graph.Chain(2, pbc=False)
    local = operators.LocalOperatorJax(hilbert, np.array([[0, 2.0], [1, 3]]), [0])
    strings = operators.PauliStringsJax(hilbert, ["XY"], [0.3j])
    theirs = {
        "fermions": operators.FermionOperator2ndJax(hilbert, ["0^ 1"], [1.5]),
        "local": local,
        "strings": strings,
        "ising": operators.IsingJax(hilbert, site, h=0.7),
        "sum": local + strings,
        "product": local @ strings,
    }
    return ours, theirs


def interpreted(op: NetKetOperator) -> Any:
    """Return the matrix of an operator of ours, by the reference interpreter."""
    x = states_of(op.hilbert)
    numbers = {key: value.item() for key, value in op.parameters.items()}
    xp, mels = connections(op.kernel.ir.module, x, numbers)
    return matrix_from(op.hilbert, xp, mels)


@pytest.mark.parametrize(
    "name", ["fermions", "local", "strings", "ising", "sum", "product"]
)
def test_algebra_with_an_operator_of_netkets(name: str):
    """Sums are ours, in either order, but that of a sum of NetKet's and ours.

    A difference and a product of each kind are compiled, too, where they are ours.
    """
    ours, theirs = with_theirs()[0], with_theirs()[1][name]
    a, b = dense(ours), dense(theirs)
    for found, expected in (
        (ours + theirs, a + b),
        (theirs + ours, a + b),
        (ours - theirs, a - b),
        (theirs - ours, b - a),
    ):
        is_ours = isinstance(found, NetKetOperator)
        assert is_ours or (name == "sum" and isinstance(found, operators.SumOperator))
        assert isinstance(found, operators.DiscreteJaxOperator)
        close(interpreted(found) if is_ours else dense(found), expected)
    close(dense(ours - theirs), a - b)
    for found, expected in ((ours @ theirs, a @ b), (theirs @ ours, b @ a)):
        assert isinstance(found, operators.DiscreteJaxOperator)
        close(dense(found), expected)


# endregion


def test_what_is_not_compiled_has_no_expectation_value():
    hilbert = nk.hilbert.Spin(0.5, 8)
    builder = sym.DOperator(hilbert).for_each_site("i").emit(sym.flip("i"))
    state = mc_state(hilbert)
    operator: Any = builder.build()
    for expect in (state.expect, state.expect_and_grad):
        with pytest.raises(sym.DefinitionError, match="D087"):
            expect(operator)
    with pytest.raises(sym.DefinitionError, match=r"comes after \.build\(\)\.compile"):
        state.expect(builder)
    with pytest.raises(sym.DefinitionError, match="D087"):
        nk.driver.VMC(operator, nk.optimizer.Sgd(0.1), variational_state=state)


def test_operators_of_ours_are_no_part_of_an_open_system():
    theirs = with_theirs()[1]["local"]
    for parts in ((with_theirs()[0], []), (theirs, [with_theirs()[0]])):
        with pytest.raises(sym.InputError, match="N019"):
            operators.LocalLiouvillian(*parts)


# region Claims to be Hermitian


@cache
def projected() -> tuple[Any, Any, Any]:
    """Return an operator that NetKet's cannot be imported to, and two of NetKet's."""
    hilbert = nk.hilbert.Spin(0.5, 2, total_sz=0)
    builder = sym.DOperator(hilbert, "xx", projected=True).globally()
    ours = builder.emit(sym.flip(0).flip(1)).build().compile()
    z = operators.spin.sigmaz(hilbert, 0)
    return ours, z, 1j * z


def test_a_sum_claims_no_more_than_its_operators():
    hilbert, graph = nk.hilbert.Spin(0.5, 3), nk.graph.Chain(3)
    theirs = operators.IsingJax(hilbert, graph, h=1.0)
    ours, up = sym.from_netket(theirs).compile(), operators.spin.sigmap(hilbert, 0)
    for found in (ours + up, up + ours, ours - up, up - ours):
        assert isinstance(found, NetKetOperator)
        assert found.is_hermitian is False
    for found in (ours + theirs, theirs - ours, ours + up + up.H):
        assert isinstance(found, NetKetOperator)
        assert found.is_hermitian is True


def test_a_sum_with_what_is_not_imported_claims_no_more():
    ours, z, iz = projected()
    for found, expected in (
        (ours + z, True),
        (z - ours, True),
        (ours + iz, False),
        (ours - iz, False),
        (2 * (ours + z), True),
        (2j * (ours + z), False),
        (-(ours + z) + iz, False),
        (iz + (ours + z), False),
        ((ours + z) @ (ours + z), False),
        (ours @ (ours + z), False),
        (ours * jnp.asarray(2j), False),
    ):
        assert isinstance(found, operators.DiscreteJaxOperator)
        assert found.is_hermitian is expected
        if expected:
            matrix = dense(found)
            np.testing.assert_allclose(matrix, matrix.conj().T)
    total = ours + z
    assert isinstance(total, HonestSum)
    leaves, structure = jax.tree.flatten(total)
    assert jax.tree.unflatten(structure, leaves).is_hermitian
    seen = []
    jax.jit(lambda op: seen.append(op.is_hermitian) or 0)(total)
    assert seen == [False]
    a, b = dense(ours), dense(z.to_jax_operator())
    close(dense(total), a + b)
    close(dense(-total + iz), (1j - 1) * b - a)
    close(dense(total @ total), (a + b) @ (a + b))


def test_gradients_need_the_flag():
    ours, z, iz = projected()
    sampler = nk.sampler.ExactSampler(ours.hilbert)
    model = nk.models.RBM(param_dtype=complex)
    sampled = nk.vqs.MCState(sampler, model, n_samples=32, seed=1, sampler_seed=2)
    sampled._samples = jnp.tile(states_of(ours.hilbert), (1, 16, 1)).astype(jnp.int8)
    exact = nk.vqs.FullSumState(ours.hilbert, model, seed=1)
    assert ours.is_hermitian
    strings = operators.PauliStringsJax(ours.hilbert, ["ZZ"])
    refused = (
        (iz + ours, "xx"),
        ((z + strings) + 1j * ours, "xx"),
        (1j * ours, "1j*xx"),
    )
    for vstate in (sampled, exact):
        expected, gradient = vstate.expect_and_grad(ours, use_covariance=True)
        found, same = vstate.expect_and_grad(ours)
        close((found.mean, same), (expected.mean, gradient))
        for op, names in refused:
            with pytest.raises(sym.SymirError, match="N017") as caught:
                vstate.expect_and_grad(op)
            assert names in str(caught.value)
            assert caught.value.location is not None
            assert caught.value.location.file == __file__
    sampled.chunk_size = 16
    close(sampled.expect_and_grad(ours)[1], sampled.expect_and_grad(ours + 0 * z)[1])
    with pytest.raises(sym.SymirError, match="N017"):
        sampled.expect_and_grad(1j * ours)


# endregion
