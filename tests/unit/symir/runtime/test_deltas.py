"""Declared deltas: the energies of the plain model, and errors where they differ."""

# pyright: basic, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.bt import changes_of
from dialects.text import print_module
from symir import models
from symir.runtime.local_energy import delta_checks, deltas, program
from symir.runtime.local_energy.delta_checks import Trial
from symir.runtime.local_energy.deltas import delta_of
from tests.unit.symir.runtime.energies import energies_of

CHAIN = nk.graph.Chain(6)
SPINS = nk.hilbert.Spin(0.5, 6)


def check(
    op: Any,
    logpsi: Any,
    parameters: Any,
    x: Any,
    tolerance: float,
    plain: Any = None,
) -> Any:
    """Compare all energies, and that they are found by a declared delta.

    `plain` is the same function for many tests: JAX compiles the reference once.
    """
    energy = sym.LocalEnergy(op, logpsi)
    assert energy.program(parameters, x.dtype).rungs == ["declared"]
    found = np.asarray(energy(parameters, x))
    expected = np.asarray(energies_of(op, plain or logpsi, parameters, x))
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < tolerance
    assert np.abs(expected).max() > 0
    return energy


def states_of(op: Any) -> Any:
    """Return all states, which NetKet would find op by op of XLA."""
    return op.to_ir().space.all_states().astype(np.int8)


def parameters_of(model: Any, x: Any, scale: float = 1.0) -> Any:
    """Draw parameters by NumPy: XLA would compile JAX's op by op."""
    rng = np.random.default_rng(0)

    def drawn(leaf: Any) -> Any:
        numbers = rng.normal(size=leaf.shape)
        if jnp.iscomplexobj(leaf):
            numbers = numbers + 1j * rng.normal(size=leaf.shape)
        return np.asarray((scale / 100 * numbers).astype(leaf.dtype))

    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.tree.map(drawn, jax.eval_shape(model.init, key, x[:1]))


# region Jastrow


@cache
def ising() -> tuple[Any, Any]:
    op = sym.from_netket(nk.operator.IsingJax(SPINS, CHAIN, h=0.8))
    return op.compile(), states_of(op)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(jnp.float64, 1e-13), (jnp.complex128, 1e-13), (jnp.float32, 1e-5)],
)
def test_jastrow_factors(dtype: Any, tolerance: float) -> None:
    op, x = ising()
    model = nk.models.Jastrow(param_dtype=dtype)
    check(op, model.apply, parameters_of(model, x, 30), x, tolerance)


def test_jastrow_factors_of_more_values_and_four_sites() -> None:
    space = sym.fock(3, 4)
    op = (
        sym.DOperator(space, "pairs")
        .for_each_site("i")
        .emit(sym.write("i", (sym.site("i").value + 1) % 4), amplitude=0.3)
        .for_each_plaquette("i", "j", "k", "l", over=[(0, 1, 2, 3)])
        .emit(sym.permute("i", "j", "k", "l"), amplitude=0.7)
        .build()
        .compile()
    )
    x = space.all_states()
    model = nk.models.Jastrow()
    check(op, model.apply, parameters_of(model, x, 5), x, 1e-12)


# endregion
# region Determinants


@cache
def hubbard(per_spin: tuple[int, int], sites: int = 4) -> tuple[Any, Any, Any]:
    hilbert = nk.hilbert.SpinOrbitalFermions(sites, s=0.5, n_fermions_per_spin=per_spin)
    graph = nk.graph.Chain(sites)
    op = sym.from_netket(
        nk.operator.FermiHubbardJax(hilbert, t=1.0, U=4.0, graph=graph)
    )
    return hilbert, op.compile(), states_of(op)


RESTRICTED = {"restricted": True}
UNRESTRICTED = {"restricted": False}
GENERALISED = {"restricted": False, "generalized": True}


@pytest.mark.parametrize(
    ("per_spin", "options"),
    [
        ((2, 2), RESTRICTED | {"param_dtype": complex}),
        ((1, 2), UNRESTRICTED),
        ((1, 2), GENERALISED),
    ],
)
def test_determinants(per_spin: tuple[int, int], options: dict[str, Any]) -> None:
    hilbert, op, x = hubbard(per_spin)
    model = nk.models.Slater2nd(hilbert, **options)
    check(op, model.apply, parameters_of(model, x), x, 1e-10)


@pytest.mark.parametrize("options", [RESTRICTED])
def test_sums_of_determinants(options: dict[str, Any]) -> None:
    hilbert, op, x = hubbard((2, 2))
    model = nk.models.MultiSlater2nd(hilbert, n_determinants=3, **options)
    check(op, model.apply, parameters_of(model, x), x, 1e-10)


@pytest.mark.parametrize("moved", [2])
def test_several_fermions_move(moved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All signs of sorting the rows, in the matrix determinant lemma of K rows."""
    hilbert = nk.hilbert.SpinOrbitalFermions(6, n_fermions=3)
    rng = np.random.default_rng(0)
    tuples = list(itertools.permutations(range(6), 2 * moved))
    chosen = [tuples[n] for n in rng.permutation(len(tuples))[:40]]
    products = [
        tuple((site, int(n < moved)) for n, site in enumerate(sites))
        for sites in chosen
    ]
    weights = rng.normal(size=len(products))
    op = sym.from_fermions(products, weights, hilbert=hilbert)
    x = states_of(op)
    model = nk.models.Slater2nd(hilbert, generalized=True)
    checked_commit(model, monkeypatch)
    check(op, model.apply, parameters_of(model, x), x, 1e-10)


def checked_commit(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit be checked that is shipped: users do not wait for that."""
    found = delta_of(model.apply)
    assert found is not None
    monkeypatch.setitem(deltas._REGISTERED, type(model), found[0])
    functions = found[0].init, found[0].delta, found[0].commit
    sym.register_delta(type(model))(*functions)


@pytest.mark.parametrize(
    "define",
    [
        lambda h: nk.models.Slater2nd(h, restricted=False, param_dtype=complex),
        lambda h: nk.models.MultiSlater2nd(h, generalized=True, n_determinants=3),
        lambda h: nk.models.Jastrow(),
    ],
)
def test_commits(define: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hilbert, op, x = hubbard((2, 2))
    model = define(hilbert)
    checked_commit(model, monkeypatch)
    program = sym.LocalEnergy(op, model.apply).program(parameters_of(model, x), x.dtype)
    assert program.rungs == ["declared"]


def test_nodes_are_those_of_the_model() -> None:
    """x is a node: infinite or NaN as the model has it; x' is one: a ratio of 0."""
    hilbert, op, x = hubbard((2, 2))
    model = nk.models.Slater2nd(hilbert)
    parameters = parameters_of(model, x)
    # No orbital has the mode 1: occupied it is a node
    parameters["params"]["M"][1] = 0
    amplitudes = np.real(np.asarray(jax.jit(model.apply)(parameters, x)))
    node = np.isneginf(amplitudes)
    assert 0 < node.sum() < len(x)
    found = np.asarray(sym.LocalEnergy(op, model.apply)(parameters, x))
    expected = np.asarray(energies_of(op, model.apply, parameters, x))
    finite = np.isfinite(expected)
    assert finite[~node].all()
    assert not finite[node].all()
    np.testing.assert_array_equal(np.isfinite(found), finite)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-10)


def test_of_a_nearly_singular_matrix_the_model_is_asked() -> None:
    hilbert, op, x = hubbard((2, 2))
    model = nk.models.Slater2nd(hilbert)
    # The determinant of the first rows is a difference without rounding: how XLA
    # contracts a multiplication and an addition is not seen
    close = 2.0**-46
    rows = [[1, 0.3], [1, 0.3 + close], [0.7, 1.3], [-0.4, 0.9]]
    parameters = {"params": {"M": np.asarray(rows)}}
    found = np.asarray(sym.LocalEnergy(op, model.apply)(parameters, x))
    expected = np.asarray(energies_of(op, model.apply, parameters, x))
    assert np.abs(expected).max() > 1e10
    # Ratios by the inverse are wrong by 5e-14
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_numbers_that_are_not_conserved() -> None:
    """NetKet's model makes numbers of those, too: they are its own."""
    hilbert = nk.hilbert.SpinOrbitalFermions(4, n_fermions=2)
    space = sym.fermions(4)
    op = (
        sym.DOperator(space, "leaving")
        .for_each_site("i")
        .emit(sym.write("i", 1 - sym.site("i").value), amplitude=0.5)
        .for_each_distinct_pair("i", "j")
        .where((sym.site("i") == 1) & (sym.site("j") == 0))
        .emit(sym.hop("i", "j"), amplitude=1.0)
        .build()
        .compile()
    )
    x = space.all_states()
    model = nk.models.Slater2nd(hilbert, generalized=True)
    parameters = parameters_of(model, x)
    energy = sym.LocalEnergy(op, model.apply)
    assert energy.program(parameters, x.dtype).rungs == ["declared"]
    known = np.isfinite(np.asarray(jax.jit(model.apply)(parameters, x)))
    found = np.asarray(energy(parameters, x))
    expected = energies_of(op, model.apply, parameters, x)
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-10)
    assert (x.sum(axis=1)[known] == 2).any()


# endregion
# region A function of one's own


@cache
def heisenberg() -> tuple[Any, Any]:
    space = sym.spin(0.5, 6)
    edges = [(i, (i + 1) % 6) for i in range(6)]
    return models.heisenberg(space, edges).compile(), space.all_states()


WEIGHTS = np.random.default_rng(0).normal(size=(6, 6))


def of_pairs(w: Any, x: Any) -> Any:
    return jnp.einsum("bi,ij,bj->b", x, w, x) / 2


def quadratic() -> Callable[[Any, Any], Any]:
    """Return a new function, that nothing is known of: it is `of_pairs`."""

    def logpsi(w: Any, x: Any) -> Any:
        return of_pairs(w, x)

    return logpsi


def fields(w: Any, x: Any) -> Any:
    return (w + w.T) @ x


def right(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
    change = new - old
    return (change @ cache[sites] + change @ w[sites[:, None], sites] @ change) / 2


def test_a_function() -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, right)
    check(op, logpsi, WEIGHTS, x, 1e-13, of_pairs)
    check(op, jax.jit(logpsi), WEIGHTS, x, 1e-13, of_pairs)
    check(op, logpsi, WEIGHTS.astype(np.float32), x, 1e-5, of_pairs)


def test_derivatives() -> None:
    op, x = heisenberg()
    x = x[:8]
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, right)
    energy = sym.LocalEnergy(op, logpsi)

    def expected(w: Any) -> Any:
        return energies_of(op, logpsi, w, x)

    @jax.jit
    def of_reference(w: Any, direction: Any) -> Any:
        pushed = jax.jvp(expected, (w,), (direction,))[1]
        return pushed, jax.grad(lambda w: expected(w).sum())(w)

    direction = np.cos(np.arange(36.0)).reshape(6, 6)
    pushed, other = of_reference(WEIGHTS, direction)
    found = jax.jvp(lambda w: energy(w, x), (WEIGHTS,), (direction,))
    np.testing.assert_allclose(found[1], pushed, rtol=1e-11)
    gradient = jax.grad(lambda w: energy(w, x).sum())(WEIGHTS)
    # Those by the diagonal are sums of hundreds that cancel
    np.testing.assert_allclose(gradient, other, rtol=1e-11, atol=1e-11)


def test_derivatives_of_determinants() -> None:
    hilbert, op, x = hubbard((2, 2))
    model = nk.models.Slater2nd(hilbert)
    parameters = parameters_of(model, x)
    tangents = jax.tree.map(np.cos, parameters)
    energy = sym.LocalEnergy(op, model.apply)

    def unfused(parameters: Any) -> Any:
        return energies_of(op, model.apply, parameters, x)

    @jax.jit
    def both(parameters: Any, tangents: Any) -> Any:
        given = (parameters,), (tangents,)
        of_ours = jax.jvp(lambda p: energy(p, x), *given)[1]
        return of_ours, jax.jvp(unfused, *given)[1]

    found, expected = both(parameters, tangents)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_under_jit_and_vmap_it_is_checked_and_right() -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, right)

    @jax.jit
    def energies(w: Any) -> Any:
        return sym.local_energy(op, logpsi, w, x)

    expected = energies_of(op, of_pairs, WEIGHTS, x)
    np.testing.assert_allclose(energies(WEIGHTS), expected, rtol=1e-12)
    many = jax.vmap(energies)(np.stack([WEIGHTS, -WEIGHTS]))
    np.testing.assert_allclose(many[0], expected, rtol=1e-12)
    sym.register_delta(logpsi)(fields, lambda w, *changes: 0.0)
    with pytest.raises(sym.DefinitionError, match="R027"):
        jax.jit(lambda w: sym.local_energy(op, logpsi, w, x))(WEIGHTS)


def test_a_delta_that_does_not_know() -> None:
    op, x = heisenberg()
    logpsi = quadratic()

    def knows_some(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
        return jnp.where(sites.sum() > 4, right(w, cache, sites, old, new), jnp.nan)

    sym.register_delta(logpsi)(fields, knows_some)
    check(op, logpsi, WEIGHTS, x, 1e-13, of_pairs)


def operators() -> dict[str, sym.SymbolicOperator]:
    """Operators whose lanes write at one or two sites, the same for each x or not."""
    i, j = sym.site("i"), sym.site("j")
    space = sym.fock(2, 4)
    hops = (
        sym.DOperator(space, "hops")
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 2))
        .emit(sym.hop("i", "j"), amplitude=i + 10 * j + 0.1 * i.index)
        .for_each_site("i")
        .emit(sym.shift_mod("i", 1))
    )
    few = (
        sym.DOperator(space, "few")
        .for_each_distinct_pair("i", "j")
        .where((i == 0) & (j == 1))
        .emit(sym.hop("j", "i"), amplitude=0.3 + i.index)
        .fanout(4)
    )
    conserving = (
        sym.DOperator(sym.fermions(10, 2), "conserving")
        .for_each_distinct_pair("i", "j")
        .where((i == 1) & (j == 0))
        .emit(sym.hop("i", "j"), amplitude=0.1 + i.index)
    )
    built = [one.build() for one in (hops, few, conserving)]
    return {op.name: op for op in built}


@pytest.mark.parametrize("name", ["hops", "few", "conserving"])
@pytest.mark.parametrize("schedule", ["dense", "packed"])
def test_schedules(name: str, schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "PACKING", {"dense": 10**6, "packed": 0}[schedule])
    op = operators()[name]
    logpsi, x = quadratic(), op.space.all_states()
    weights = np.random.default_rng(1).normal(size=(x.shape[1], x.shape[1])) / 2

    def delta(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
        found = right(w, cache, sites, old, new)
        return jnp.where((sites * old).sum() > 2, found, jnp.nan)

    sym.register_delta(logpsi)(fields, delta)
    energy = check(op.compile(), logpsi, weights, x, 1e-12, of_pairs)
    assert energy.program(weights, x.dtype).schedule == schedule
    assert f", {schedule}" in str(energy.report(weights, x, measure=False))

    # They are found from the network, whatever energies are: each operator once
    if (schedule == "packed") != (name == "few"):
        return

    @jax.jit
    def both_ways(w: Any, direction: Any) -> Any:
        _, pushed = jax.jvp(lambda w: energy(w, x).sum(), (w,), (direction,))
        return pushed, jax.grad(lambda w: energy(w, x).sum())(w)

    direction = np.random.default_rng(2).normal(size=weights.shape)
    pushed, pulled = both_ways(weights, direction)
    np.testing.assert_allclose(pushed, (pulled * direction).sum(), rtol=1e-9)


def test_deltas_of_any_kind_of_number() -> None:
    """Integers, x itself as the cache, and what is the same for all samples."""
    op = operators()["few"]
    x = op.space.all_states()

    def logpsi(w: Any, x: Any) -> Any:
        return w * x.sum(axis=-1)

    sym.register_delta(logpsi)(lambda w, x: x, lambda w, *changes: 0)
    check(op.compile(), logpsi, 0.7, x, 1e-13)
    derivative = jax.grad(lambda w: sym.local_energy(op, logpsi, w, x).sum())(0.7)
    np.testing.assert_allclose(derivative, 0, atol=1e-12)


def test_no_writes() -> None:
    op = (
        sym.DOperator(sym.spin(0.5, 3), "diagonal")
        .for_each_site("i")
        .emit(sym.identity(), amplitude=sym.site("i").value * 1.0)
        .build()
    )
    logpsi, x = quadratic(), op.space.all_states()
    sym.register_delta(logpsi)(fields, right)
    energy = sym.LocalEnergy(op, logpsi, without=("bt-local-energy-coalesce",))
    np.testing.assert_allclose(energy(WEIGHTS[:3, :3], x), x.sum(axis=1), rtol=1e-13)


def test_loops_are_packed() -> None:
    op, x = heisenberg()
    logpsi = quadratic()

    def slow(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
        def add(k: Any, found: Any) -> Any:
            return found + (new - old)[k] * cache[sites[k]]

        first = jax.lax.fori_loop(0, sites.shape[0], add, jnp.zeros((), w.dtype))
        change = new - old
        return (first + change @ w[sites[:, None], sites] @ change) / 2

    sym.register_delta(logpsi)(fields, slow)
    energy = check(op, logpsi, WEIGHTS, x, 1e-13, of_pairs)
    assert energy.program(WEIGHTS, x.dtype).schedule == "packed"


def test_a_delta_may_print(capfd: pytest.CaptureFixture[str]) -> None:
    """What has effects is run for live branches only: it is packed."""
    op, x = heisenberg()
    logpsi = quadratic()

    def delta(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
        jax.debug.print("at {}", sites)
        return right(w, cache, sites, old, new)

    sym.register_delta(logpsi)(fields, delta)
    assert sym.LocalEnergy(op, logpsi).program(WEIGHTS, x.dtype).schedule == "packed"
    jax.effects_barrier()
    capfd.readouterr()  # what its check printed
    check(op, logpsi, WEIGHTS, x, 1e-13, of_pairs)
    jax.effects_barrier()
    assert "at [" in capfd.readouterr().out


def test_what_is_declared_is_in_the_ir() -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, right)
    energy = sym.LocalEnergy(op, logpsi)
    own = energy.program(WEIGHTS, x.dtype)
    assert [str(part) for part in own.energy.parts] == [
        "#bt.part<declared @logpsi.0 of @logpsi.0.inputs "
        "written [@logpsi.0.cache, @logpsi.0.ratio]>"
    ]
    # Networks take more samples at once, of which nothing is kept
    assert own.plan.samples == 256
    lowered = sym.lower(energy, WEIGHTS, x)
    assert lowered.at("bt").text == print_module(own.module)
    report = energy.report(WEIGHTS, x)
    assert {part.rung for part in report.parts} == {"declared"}
    assert ("pairs" in report.plan) is (report.schedule == "packed")


def test_options_of_xla_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its check is compiled with is no reason for it to fail."""
    monkeypatch.setattr(delta_checks, "QUICKLY", {"xla_no_such_option": True})
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, right)
    check(op, logpsi, WEIGHTS, x, 1e-13, of_pairs)


@pytest.mark.parametrize("lanes", [20, 300])
def test_pairs_that_are_compared(lanes: int) -> None:
    rng = np.random.default_rng(3)
    samples, size = 4, 6
    x = rng.integers(0, 2, (samples, size)).astype(np.int8)
    # -1 and 6 are no sites; a lane writes to each at most once
    order = rng.random((samples, lanes, size + 2)).argsort(axis=-1)
    sites = (order[..., :3] - 1).astype(np.int32)
    values = rng.integers(0, 2, sites.shape).astype(np.int8)
    kinds = [np.arange(lanes - 2), np.array([lanes - 2]), np.array([lanes - 1])]
    trial = Trial(x, changes_of(x, sites, values), kinds)
    expected = {}
    for sample, lane in np.ndindex(samples, lanes):
        connected = x[sample].copy()
        pairs = zip(sites[sample, lane], values[sample, lane], strict=True)
        for site, value in pairs:
            if 0 <= site < size:
                connected[site] = value
        if (connected != x[sample]).any():
            after = expected.setdefault((lane, x[sample].tobytes()), [])
            after.append(connected.tobytes())
    waiting = trial.live.any(axis=0)
    seen = set()
    while waiting.any():
        chosen, compared = trial.chosen(waiting)
        # One of each kind is among the first
        assert seen or {lanes - 2, lanes - 1} <= set(chosen.tolist())
        # All that are new are of lanes that wait, as far as there are so many
        assert len(set(chosen)) >= min(waiting.sum(), len(chosen))
        waiting[chosen] = False
        seen.update(chosen.tolist())
        before = compared.x[compared.sample]
        for lane, own, after in zip(chosen, before, compared.connected, strict=True):
            assert after.tobytes() in expected[lane, own.tobytes()]
        places, old, new = compared.changes
        assert ((0 <= places) & (places < size)).all()
        np.testing.assert_array_equal(old, np.take_along_axis(before, places, axis=1))
        changed = before.copy()
        for write in range(3):
            rows = np.flatnonzero(old[:, write] != new[:, write])
            changed[rows, places[rows, write]] = new[rows, write]
        np.testing.assert_array_equal(changed, compared.connected)
    assert seen == {lane for lane, _ in expected}


def test_what_cannot_be_compared_is_not_used() -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, lambda w, *changes: jnp.nan)
    energy = sym.LocalEnergy(op, logpsi)
    program = energy.program(WEIGHTS, x.dtype)
    assert program.rungs == ["bilinear"]
    assert "declared" not in str(program.module)
    assert any("nothing to compare it with" in miss for miss in program.misses)
    expected = energies_of(op, of_pairs, WEIGHTS, x)
    np.testing.assert_allclose(energy(WEIGHTS, x), expected, rtol=1e-12)


@pytest.mark.parametrize("is_jitted", [False, True])
def test_nothing_is_returned_before_the_comparison(is_jitted: bool) -> None:
    op, x = heisenberg()
    unknown, wrong = quadratic(), quadratic()
    sym.register_delta(unknown)(fields, lambda w, *changes: jnp.nan)
    sym.register_delta(wrong)(fields, without_second_order)
    energies = [partial(sym.local_energy, op, logpsi) for logpsi in (unknown, wrong)]
    of_unknown, of_wrong = map(jax.jit, energies) if is_jitted else energies
    expected = energies_of(op, of_pairs, WEIGHTS, x)
    for _ in range(2):
        np.testing.assert_allclose(of_unknown(WEIGHTS, x), expected, rtol=1e-12)
        with pytest.raises(sym.DefinitionError, match="R027"):
            of_wrong(WEIGHTS, x)


@pytest.fixture
def single_precision() -> Iterator[None]:
    """What JAX has by default: in every thread, unlike `jax.enable_x64(False)`."""
    jax.config.update("jax_enable_x64", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", True)


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize("is_double", [False, True])
def test_precision_of_the_comparison_is_that_of_the_caller(is_double: bool) -> None:
    own, wrong = quadratic(), quadratic()
    sym.register_delta(own)(fields, right)
    sym.register_delta(wrong)(fields, without_second_order)
    dtype = np.float64 if is_double else np.float32
    weights = WEIGHTS.astype(dtype)
    warned = nullcontext() if is_double else pytest.warns(sym.PrecisionWarning)
    with jax.enable_x64(is_double):
        with warned:
            op, x = heisenberg.__wrapped__()
        found = sym.local_energy(op, own, weights, x)
        assert found.dtype == dtype
        with pytest.raises(sym.DefinitionError, match="R027"):
            sym.local_energy(op, wrong, weights, x)
        expected = energies_of(op, of_pairs, weights, x)
    np.testing.assert_allclose(found, expected, rtol=1e-12 if is_double else 1e-4)


def test_parameters_that_have_to_be_positive() -> None:
    op, x = heisenberg()

    def logpsi(w: Any, x: Any) -> Any:
        return jnp.einsum("bi,ij,bj->b", x, jnp.log(w), x) / 2

    def delta(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
        return right(jnp.log(w), cache, sites, old, new)

    sym.register_delta(logpsi)(lambda w, x: fields(jnp.log(w), x), delta)
    check(op, logpsi, np.abs(WEIGHTS), x, 1e-12)


# endregion
# region What is wrong


def without_second_order(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
    return (new - old) @ cache[sites] / 2


def without_derivative(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
    return jax.lax.stop_gradient(right(w, cache, sites, old, new))


def of_the_first_site(w: Any, cache: Any, sites: Any, old: Any, new: Any) -> Any:
    return right(w, cache, sites[:1], old[:1], new[:1])


@pytest.mark.parametrize("delta", [without_second_order, of_the_first_site])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_wrong_deltas_are_refused(delta: Any, dtype: Any) -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, delta)
    with pytest.raises(sym.DefinitionError) as caught:
        sym.local_energy(op, logpsi, WEIGHTS.astype(dtype), x)
    assert caught.value.code == "R027"
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    assert "at sites" in (caught.value.found or "")


@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev])
def test_a_delta_is_never_differentiated(derivative: Any) -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, without_derivative)
    found, expected = jax.jit(
        lambda w: tuple(
            derivative(lambda w, f=f, psi=psi: f(op, psi, w, x[:2]))(w)
            for f, psi in ((sym.local_energy, logpsi), (energies_of, of_pairs))
        )
    )(WEIGHTS)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_a_wrong_sign_is_refused() -> None:
    hilbert, op, x = hubbard((2, 2))
    model = nk.models.Slater2nd(hilbert)
    found = delta_of(model.apply)
    assert found is not None
    delta, model = found

    def logpsi(parameters: Any, x: Any) -> Any:
        return model.apply(parameters, x)

    def unsigned(*arguments: Any) -> Any:
        return delta.delta(model, *arguments).real + 0j

    sym.register_delta(logpsi)(
        lambda *arguments: delta.init(model, *arguments), unsigned
    )
    with pytest.raises(sym.DefinitionError, match="R027"):
        sym.local_energy(op, logpsi, parameters_of(model, x), x)


@pytest.mark.parametrize(
    ("delta", "found"),
    [
        (lambda w, cache, sites, old, new: (new - old) * cache[sites], "(2,)"),
        (lambda w, cache, sites, old, new: 0j, "complex"),
        (lambda w, cache, sites, old, new: (0.0, 1.0), "(), ()"),
    ],
)
def test_no_difference_of_log_psi(delta: Any, found: str) -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, delta)
    with pytest.raises(sym.DefinitionError) as caught:
        sym.local_energy(op, logpsi, WEIGHTS, x)
    assert caught.value.code == "R026"
    assert found in (caught.value.found or "")


def test_what_is_no_function() -> None:
    with pytest.raises(sym.DefinitionError, match="R025"):
        sym.register_delta(3)
    nothing: Any = None
    with pytest.raises(sym.DefinitionError, match="R025"):
        sym.register_delta(quadratic())(fields, nothing)


def test_the_last_one_counts() -> None:
    op, x = heisenberg()
    logpsi = quadratic()
    sym.register_delta(logpsi)(fields, right)
    check(op, logpsi, WEIGHTS, x, 1e-13, of_pairs)
    sym.register_delta(logpsi)(fields, without_second_order)
    with pytest.raises(sym.DefinitionError, match="R027"):
        sym.local_energy(op, logpsi, WEIGHTS, x)


# endregion
# region Models


class Scaled(nn.Module):
    """A field on each site, with a hyperparameter."""

    scale: float = 1.0

    @nn.compact
    def __call__(self, x: Any) -> Any:
        weights = self.param("w", nn.initializers.normal(), (x.shape[-1],), float)
        return self.scale * (x @ weights)


class Louder(Scaled):
    """Another model: what is declared for `Scaled` may be wrong for it."""

    def __call__(self, x: Any) -> Any:
        return 2 * super().__call__(x)


def scaled_delta(
    model: Scaled, parameters: Any, cache: Any, sites: Any, old: Any, new: Any
) -> Any:
    return model.scale * ((new - old) @ parameters["params"]["w"][sites])


def test_a_class_of_models() -> None:
    op, x = heisenberg()
    sym.register_delta(Scaled)(lambda model, parameters, x: (), scaled_delta)
    for scale in (1.0, 3.0):
        model = Scaled(scale)
        parameters = parameters_of(model, x)
        check(op, model.apply, parameters, x, 1e-13)
    assert delta_of(Louder().apply) is None
    assert delta_of(Scaled().init) is None


def test_states_of_netket() -> None:
    model = nk.models.Jastrow()
    sampler = nk.sampler.MetropolisLocal(SPINS)
    op, x = ising()
    own = {"n_samples": 16, "variables": parameters_of(model, x)}
    state = nk.vqs.MCState(sampler, model, **own)
    of_function = nk.vqs.MCState(sampler, apply_fun=model.apply, **own)
    for one in (state, of_function):
        check(op, one._apply_fun, one.variables, x, 1e-13)
    doubled = nk.jax.HashablePartial(lambda model, *args: 2 * model.apply(*args), model)
    assert delta_of(doubled) is None


# endregion
