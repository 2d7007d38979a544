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
from symir.language import c, cdag, n, sum_over

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
every_dtype = pytest.mark.parametrize("dtype", [jnp.int8, jnp.float32, jnp.float64])

Both = tuple[Any, Any]


@cache
def both(name: str) -> Both:
    """Return our operator, compiled, and NetKet's."""
    ours, theirs = MODELS[name]()
    return ours.compile(), theirs


def mc_state(hilbert: Any, **options: Any) -> Any:
    rule = nk.sampler.rules.LocalRule()
    if hilbert.constraint is not None:
        graph = nk.graph.Chain(hilbert.size)
        rule = nk.sampler.rules.ExchangeRule(graph=graph)
    sampler = nk.sampler.MetropolisSampler(hilbert, rule, n_chains=8, sweep_size=4)
    model = models.RBM(alpha=1, param_dtype=float)
    return nk.vqs.MCState(
        sampler,
        model,
        n_samples=32,
        n_discard_per_chain=1,
        seed=1,
        sampler_seed=2,
        **options,
    )


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
    close(ours.to_dense(), theirs.to_dense())
    close(ours.to_sparse().todense(), theirs.to_dense())
    vector = np.linspace(-1, 1, ours.hilbert.n_states)
    close(ours @ vector, theirs @ vector)
    leaves, structure = jax.tree.flatten(ours)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert (structure == jax.tree.structure(ours)) is True
    seen = []
    jax.jit(lambda op: seen.append(op.max_conn_size) or 0)(ours)
    assert seen == [ours.max_conn_size]


@every_model
@every_dtype
@pytest.mark.parametrize("lead", [(), (3,), (2, 1), (2, 1, 1)])
def test_connections(name: str, dtype: Any, lead: tuple[int, ...]):
    ours, _ = both(name)
    states = ours.hilbert.random_state(jax.random.key(1), math.prod(lead))
    x = states.reshape(*lead, -1).astype(dtype)
    xp, mels = ours.get_conn_padded(x)
    k = ours.max_conn_size
    assert (xp.shape, mels.shape) == ((*x.shape[:-1], k, x.shape[-1]), (*lead, k))
    assert (xp.dtype, mels.dtype) == (x.dtype, ours.dtype)
    np.testing.assert_array_equal(ours.n_conn(x), (mels != 0).sum(axis=-1))
    padded = np.asarray(mels) == 0
    for row in np.argwhere(padded)[:50].tolist():
        np.testing.assert_array_equal(xp[tuple(row)], x[tuple(row[:-1])])
    ours.hilbert.states_to_numbers(np.asarray(xp).reshape(-1, x.shape[-1]))


@every_model
def test_flat_connections(name: str):
    ours, theirs = both(name)
    x = ours.hilbert.random_state(jax.random.key(2), (3,))
    states, elements = ours.get_conn(x[0])
    row = theirs.to_dense()[int(ours.hilbert.states_to_numbers(np.asarray(x[0])))]
    found = np.zeros_like(row)
    np.add.at(found, ours.hilbert.states_to_numbers(np.asarray(states)), elements)
    np.testing.assert_allclose(found, row, atol=1e-12)
    with pytest.raises(Exception, match=r"[Jj]it"):
        jax.jit(lambda op, x: op.get_conn_flattened(x, np.zeros(3)))(ours, x)


@every_model
@pytest.mark.parametrize("chunk_size", [None, 8, 512])
def test_expectation_values_and_gradients(name: str, chunk_size: int | None):
    ours, theirs = both(name)
    state = mc_state(ours.hilbert, chunk_size=chunk_size)
    close(state.expect(ours).mean, state.expect(theirs).mean)
    close(state.expect(ours).variance, state.expect(theirs).variance)
    close(state.expect_and_grad(ours)[1], state.expect_and_grad(theirs)[1])
    close(state.local_estimators(ours), state.local_estimators(theirs))


@every_model
def test_full_summation(name: str):
    ours, theirs = both(name)
    model = models.RBM(alpha=1, param_dtype=float)
    state = nk.vqs.FullSumState(ours.hilbert, model, seed=3)
    close(state.expect(ours).mean, state.expect(theirs).mean)
    close(state.expect_and_grad(ours)[1], state.expect_and_grad(theirs)[1])


@every_model
def test_squares(name: str):
    ours, theirs = both(name)
    state = mc_state(ours.hilbert)
    squared: Callable[[Any], Any] = operators.Squared
    close(state.expect(squared(ours)).mean, state.expect(squared(theirs)).mean)


@every_model
def test_the_sampler_that_follows_the_operator(name: str):
    ours, theirs = both(name)
    hilbert = ours.hilbert
    rule = nk.sampler.rules.HamiltonianRule(ours)
    sampler = nk.sampler.MetropolisSampler(hilbert, rule, n_chains=4, sweep_size=4)
    state = nk.vqs.MCState(sampler, models.RBM(), n_samples=16, seed=1)
    samples = np.asarray(state.samples).reshape(-1, hilbert.size)
    hilbert.states_to_numbers(samples)  # raises for what is no state
    close(state.expect(ours).mean, state.expect(theirs).mean)


@every_model
def test_sums_with_operators_of_netket(name: str):
    ours, theirs = both(name)
    mixed = 2.0 * theirs + ours
    close(mixed.to_dense(), 3.0 * theirs.to_dense())


@every_model
def test_applied_to_a_state(name: str):
    ours, theirs = both(name)
    state = nk.vqs.FullSumState(ours.hilbert, models.RBM(alpha=1), seed=3)
    found = [nk.vqs.apply_operator(op, state).to_array() for op in (ours, theirs)]
    close(*found)


def test_the_drivers_take_it():
    ours, theirs = both("ising")
    energies = []
    for operator in (ours, theirs):
        state = mc_state(operator.hilbert)
        driver = nk.driver.VMC(
            operator, nk.optimizer.Sgd(0.05), variational_state=state
        )
        driver.run(5, show_progress=False)
        energies.append(state.expect(operator).mean)
    close(*energies)


def test_the_minimal_norm_driver_takes_it():
    ours, theirs = both("ising")
    energies = []
    for operator in (ours, theirs):
        state = mc_state(operator.hilbert)
        driver = nk.driver.VMC_SR(
            operator, nk.optimizer.Sgd(0.05), diag_shift=0.1, variational_state=state
        )
        driver.run(3, show_progress=False)
        energies.append(state.expect(operator).mean)
    close(*energies)


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
