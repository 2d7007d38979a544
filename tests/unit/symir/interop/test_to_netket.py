"""Spaces and operators as NetKet's: the same states, and the same matrix on them."""

# pyright: basic

from __future__ import annotations

from functools import cache
from typing import Any, cast

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import dense_matrix
from symir.interop.netket import NetKetOperator
from symir.interop.netket_hilberts import SpaceConstraint, SpaceHilbert
from symir.operator.spaces import Space, as_space
from tests.unit.symir.interop.matrices import matrix_of_branches, states_of

total = sym.sum_(sym.here.value)
MIXED = sym.spin(0.5, 2) * sym.fock(2, 2)

NATIVE = {
    "spins": (sym.spin(0.5, 3), nk.hilbert.Spin(0.5, 3)),
    "magnetisation": (
        sym.spin(1.5, 3, total_sz=0.5),
        nk.hilbert.Spin(1.5, 3, total_sz=0.5),
    ),
    "bosons": (sym.fock(3, 2), nk.hilbert.Fock(3, 2)),
    "particles": (
        sym.fock(2, 3, n_particles=3),
        nk.hilbert.Fock(2, 3, n_particles=3),
    ),
    "qubits": (sym.qubit(3), nk.hilbert.Qubit(3)),
    "fermions": (
        sym.fermions(4, n_fermions=2),
        nk.hilbert.SpinOrbitalFermions(4, n_fermions=2),
    ),
    "electrons": (
        sym.fermions(3, spin=0.5, n_fermions_per_spin=(2, 1)),
        nk.hilbert.SpinOrbitalFermions(3, s=0.5, n_fermions_per_spin=(2, 1)),
    ),
    "product": (
        sym.spin(0.5, 2, total_sz=0) * sym.fock(2, 2) * sym.qubit(1),
        nk.hilbert.Spin(0.5, 2, total_sz=0)
        * nk.hilbert.Fock(2, 2)
        * nk.hilbert.Qubit(1),
    ),
}
"""Spaces for which NetKet has classes of its own."""

CONSTRAINED = {
    "weighted": (sym.fock(2, 3).where_sum(4, weights=[1, 2, 1]), nk.hilbert.Fock),
    "excluded": (sym.spin(0.5, 3).where(total != -3), nk.hilbert.Spin),
    "some spins": (
        sym.fermions(2, spin=0.5, n_fermions_per_spin=(None, 1)),
        nk.hilbert.SpinOrbitalFermions,
    ),
    "both": (
        sym.fermions(2, 2, spin=0.5, n_fermions_per_spin=(1, 1)),
        nk.hilbert.SpinOrbitalFermions,
    ),
}
"""Spaces for which NetKet's classes have a constraint of ours."""

GENERAL = {
    "qubits with a sum": sym.qubit(4).where_sum(2),
    "sums of two kinds": MIXED.where_sum(1),
    "predicates and sums": MIXED.where_sum(1).where(sym.site(3) < 2),
    "fractions": sym.space([0, 0.5, 2], 3),
    "different sites": sym.space([[0, 1], [-1, 1, 2], [5]]),
}

SPACES = {
    **{name: space for name, (space, _) in NATIVE.items()},
    **{name: space for name, (space, _) in CONSTRAINED.items()},
    **GENERAL,
}

# One of each mechanism: NetKet compiles anew for each space
OURS = ["weighted", "excluded", "predicates and sums", "different sites"]
MATRICES = [*OURS, "magnetisation", "electrons", "product", "fractions", "both"]


@cache
def hilbert_of(name: str) -> Any:
    return sym.to_netket(SPACES[name])


def an_operator(hilbert: Any) -> sym.SymbolicOperator:
    """Return an operator that is not symmetric, with other weights on each site."""
    space, rng = as_space(hilbert), np.random.default_rng(0)
    values = [space.local_states_at(site) for site in range(space.size)]
    pairs = np.array(
        [
            (i, j)
            for i in range(space.size)
            for j in range(space.size)
            if i != j and values[i] == values[j]
        ]
    )
    i, j = sym.site("i"), sym.site("j")
    u = rng.normal(size=space.size)
    builder = sym.DOperator(hilbert, "op", projected=True)
    builder = builder.for_each("i", over=np.arange(space.size)[:, None], data={"u": u})
    builder = builder.emit(
        amplitude=sym.row("u") * i * i + sym.symbol("g", default=0.5)
    )
    if len(pairs):
        w = rng.normal(size=len(pairs))
        builder = builder.for_each(("i", "j"), over=pairs, data={"w": w})
        builder = builder.emit_if(
            i != j, sym.swap("i", "j"), amplitude=sym.row("w") * (i + 2)
        )
    return builder.build()


def ordered(space: Space, hilbert: Any) -> np.ndarray:
    """Return the places of our states, in our order, among those of NetKet."""
    theirs = states_of(hilbert).tolist()
    return np.array([theirs.index(state) for state in space.all_states().tolist()])


def in_space(space: Space, matrix: np.ndarray) -> np.ndarray:
    """Return a matrix, over all that has the sums of a space, on the space."""
    everything = Space(space.size, space.local_states, sums=space.sums)
    kept = space.contains(everything.all_states())
    return matrix[np.ix_(kept, kept)]


# region Spaces


@pytest.mark.parametrize("name", NATIVE)
def test_what_netket_has_is_its_own_class(name: str):
    space, expected = NATIVE[name]
    assert hilbert_of(name) == expected
    assert type(hilbert_of(name)) is type(expected)
    assert as_space(expected) == space


@pytest.mark.parametrize("name", CONSTRAINED)
def test_what_else_is_a_constraint_of_that(name: str):
    space, kind = CONSTRAINED[name]
    assert type(hilbert_of(name)) is kind
    assert hilbert_of(name).constraint == SpaceConstraint(space)
    assert hilbert_of(name) == sym.to_netket(space)
    assert hash(hilbert_of(name)) == hash(sym.to_netket(space))


@pytest.mark.parametrize("name", GENERAL)
def test_or_a_class_of_ours(name: str):
    hilbert = hilbert_of(name)
    assert type(hilbert) is SpaceHilbert
    assert hilbert == sym.to_netket(GENERAL[name])
    assert hilbert != hilbert_of("spins")
    assert hilbert.constrained == GENERAL[name].is_constrained
    assert (hilbert.constraint is not None) == hilbert.constrained
    sites = range(hilbert.size)
    assert list(hilbert.shape) == [hilbert.size_at_index(k) for k in sites]
    assert hilbert.is_finite
    assert hilbert.is_indexable
    assert repr(hilbert) == f"SpaceHilbert({GENERAL[name]!r})"


@pytest.mark.parametrize("name", MATRICES)
def test_the_sites_and_states_are_the_same(name: str):
    space, hilbert = SPACES[name], hilbert_of(name)
    back = as_space(hilbert)
    assert back == space
    assert [s.kind for s in back.subsystems] == [s.kind for s in space.subsystems]
    assert hilbert.size == space.size
    for site in range(space.size):
        assert sorted(hilbert.states_at_index(site)) == [*space.local_states_at(site)]
    assert hilbert.n_states == space.n_states
    assert sorted(ordered(space, hilbert)) == list(range(space.n_states))


@pytest.mark.parametrize("name", OURS)
def test_states_have_numbers(name: str):
    hilbert = hilbert_of(name)
    states = hilbert.all_states()
    numbers = np.arange(hilbert.n_states)
    assert (np.asarray(hilbert.states_to_numbers(states)) == numbers).all()
    assert (np.asarray(hilbert.numbers_to_states(numbers)) == states).all()
    indices = hilbert.states_to_local_indices(states)
    assert (np.asarray(hilbert.local_indices_to_states(indices)) == states).all()


@pytest.mark.parametrize("name", ["excluded", "different sites"])
def test_states_of_another_space_have_none(name: str):
    hilbert = hilbert_of(name)
    with pytest.raises(Exception, match=r"not in the Hilbert space|do not fulfill"):
        hilbert.states_to_numbers(-jnp.ones((1, 3)))


@pytest.mark.parametrize("name", OURS)
def test_random_states_are_of_the_space_and_uniform(name: str):
    hilbert, space, n = hilbert_of(name), SPACES[name], 4096
    drawn = np.asarray(hilbert.random_state(jax.random.key(0), n, dtype=np.float32))
    assert drawn.dtype == np.float32
    assert space.contains(drawn).all()
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == space.n_states
    expected = n / space.n_states
    assert (abs(counts - expected) < 6 * np.sqrt(expected)).all()


def test_many_states():
    space = sym.qubit(200).where_sum(77)
    hilbert: Any = sym.to_netket(space)
    assert not hilbert.is_indexable
    drawn = hilbert.random_state(jax.random.key(0), 8)
    assert space.contains(np.asarray(drawn)).all()
    assert hilbert.constraint(drawn).all()
    assert not hilbert.constraint(jnp.zeros((3, 200))).any()


def test_many_states_that_a_predicate_leaves():
    space = sym.spin(0.5, 20).where(sym.site(0) != sym.site(7))
    drawn = np.asarray(sym.to_netket(space).random_state(jax.random.key(0), 64))
    assert (drawn[:, 0] != drawn[:, 7]).all()


def test_hopeless_predicates():
    every = sym.all_of(*[sym.site(k) == 1 for k in range(20)])
    with pytest.raises(sym.DefinitionError, match="S019"):
        sym.to_netket(sym.spin(0.5, 20).where(every))


def test_flips_change_one_site():
    hilbert = hilbert_of("different sites")
    x = jnp.array([[0, 2, 5], [1, -1, 5]] * 32)
    sites = jnp.array([0, 1] * 32)
    flip = nk.hilbert.random.flip_state
    flipped, old = map(np.asarray, flip(hilbert, jax.random.key(0), x, sites))
    assert hilbert.space.contains(flipped).all()
    every = np.arange(64)
    assert (old == np.asarray(x)[every, sites]).all()
    assert ((flipped != x).sum(1) == 1).all()
    assert (flipped[every, sites] != old).all()
    stays, _ = flip(hilbert, jax.random.key(0), x, jnp.full(64, 2))
    assert (stays == x).all()


def test_a_constraint_is_that_of_its_own_sites_only():
    constraint = hilbert_of("weighted").constraint
    for other in (nk.hilbert.Fock(3, 3, constraint=constraint),):
        with pytest.raises(sym.DefinitionError, match="S016"):
            as_space(other)


# endregion
# region Operators


@pytest.mark.parametrize("name", MATRICES)
def test_operators_have_the_same_matrix(name: str):
    space, hilbert = SPACES[name], hilbert_of(name)
    op = an_operator(space)
    theirs = op.to_netket()
    assert type(theirs) is NetKetOperator
    assert theirs.hilbert == hilbert
    expected = in_space(space, dense_matrix(op.to_ir().module, {"g": 0.25}))
    place = ordered(space, hilbert)
    quarter: Any = theirs.replace(g=0.25)
    found = matrix_of_branches(quarter)[np.ix_(place, place)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_an_equal_space_of_another_kind_was_compiled_first():
    for name in ("fermions", "qubits with a sum"):
        assert an_operator(SPACES[name]).to_netket().hilbert == hilbert_of(name)


def test_expectation_values():
    space, hilbert = SPACES["predicates and sums"], hilbert_of("predicates and sums")
    op = an_operator(space)
    model = nk.models.Jastrow(param_dtype=float)
    state = nk.vqs.FullSumState(hilbert, model, seed=1)
    psi = np.asarray(state.to_array())
    matrix = in_space(space, dense_matrix(op.to_ir().module))
    value = state.expect(op.to_netket()).mean
    np.testing.assert_allclose(value, psi.conj() @ matrix @ psi, rtol=1e-10)


def test_sampling():
    hilbert = hilbert_of("different sites")
    sampler = nk.sampler.MetropolisLocal(hilbert, n_chains=8)
    drawn, _ = sampler.sample(lambda _, x: jnp.zeros(x.shape[:-1]), {}, chain_length=8)
    assert hilbert.space.contains(np.asarray(drawn).reshape(-1, 3)).all()
    assert len(np.unique(np.asarray(drawn).reshape(-1, 3), axis=0)) == 6


def test_compiled_operators_keep_their_kernel_and_parameters():
    compiled = an_operator(SPACES["weighted"]).compile().replace(g=3.0)
    theirs = compiled.to_netket()
    assert type(theirs) is NetKetOperator
    assert theirs.kernel is compiled.kernel
    assert theirs.parameters["g"] == 3.0
    # Algebra asks whether the space is that of the kernel
    assert (2 * theirs).hilbert is theirs.hilbert


def test_what_is_netkets_passes():
    hilbert = nk.hilbert.Spin(0.5, 3)
    operators: Any = nk.operator
    ising = operators.IsingJax(hilbert, nk.graph.Chain(3), h=1.0)
    ours = an_operator(hilbert).compile()
    for value in (hilbert, ising, ours):
        assert sym.to_netket(value) is value
    assert ours.to_netket() is ours
    assert sym.to_netket(an_operator(hilbert)).hilbert is hilbert


def test_options_are_those_of_the_compiler():
    op = an_operator(SPACES["spins"])
    first, second = (sym.to_netket(op, cache=False) for _ in range(2))
    assert first.kernel is not second.kernel
    with pytest.raises(sym.InputError, match=r"N014(.|\n)*found: +cache"):
        sym.to_netket(cast("Any", op.compile()), cache=False)


@pytest.mark.parametrize("value", [3, None, sym.DOperator(sym.qubit(2), "op")])
def test_what_is_neither(value: Any):
    with pytest.raises(sym.InputError, match="N013") as caught:
        sym.to_netket(value)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_without_netket(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(sym.InputError, match="N015"):
        sym.to_netket(sym.qubit(2))


# endregion
