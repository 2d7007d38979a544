"""Lanes of which conserved sums allow few: the count is a bound, nothing is lost."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lowering.bt.bt_compact as bt_compact
import symir as sym
from dialects import bt
from lowering.bt.valid_lanes import BITS
from symir.compiler.lowering import operator_pipeline, run_passes

PASSES = operator_pipeline("static", 3, most_kept=0.99)


@pytest.fixture(autouse=True)
def any_number_of_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bt_compact, "FEWEST_LANES", 2)


def compacted(operator: sym.SymbolicOperator) -> list[tuple[int, int]]:
    """Return from how many lanes to how many each part was compacted."""
    module = run_passes(operator.to_ir().module, PASSES)
    return [
        (op.operand.type.lanes.data, op.result.type.lanes.data)  # pyright: ignore
        for op in module.walk()
        if isinstance(op, bt.CompactOp)
    ]


def excitations(n: int, pairs: bool) -> dict[tuple[tuple[int, int], ...], float]:
    """Return all hops, or all double excitations, with numbers of their own."""
    rng = np.random.default_rng(n)
    if not pairs:
        return {
            ((i, 1), (j, 0)): float(rng.normal())
            for i in range(n)
            for j in range(n)
            if i != j
        }
    return {
        ((i, 1), (j, 1), (k, 0), (l, 0)): float(rng.normal())
        for i, j in combinations(range(n), 2)
        for k, l in combinations(range(n), 2)  # noqa: E741
    }


@pytest.mark.parametrize("particles", range(6))
def test_hops_are_as_many_as_pairs_of_full_and_empty_orbitals(particles: int) -> None:
    space = sym.fermions(5, n_fermions=particles)
    operator = sym.from_fermions(excitations(5, pairs=False), hilbert=space)
    # Of no pair at all one lane is left: there is none without lanes
    bound = max(1, particles * (5 - particles))
    assert compacted(operator) == [(20, bound)]
    report = sym.check(
        operator, validate="exhaustive", lowering=PASSES, executable=particles == 2
    )
    report.raise_if_wrong()


def test_double_excitations_of_a_molecule() -> None:
    space = sym.fermions(3, spin=0.5, n_fermions_per_spin=(1, 2))
    terms = {
        product: weight
        for product, weight in excitations(6, pairs=True).items()
        if sum((1 if kind else -1) * (orbital < 3) for orbital, kind in product) == 0
    }
    operator = sym.from_fermions(terms, hilbert=space)
    parts = compacted(operator)
    assert parts
    assert all(after < before for before, after in parts)
    sym.check(operator, validate="exhaustive", lowering=PASSES).raise_if_wrong()


def test_a_site_has_only_so_many_bonds() -> None:
    ring = [(i, (i + 1) % 6) for i in range(6)]
    space = sym.fermions(6, spin=0.5, n_fermions_per_spin=(2, 3))
    hops = [
        pair
        for spin in (0, 6)
        for i, j in ring
        for pair in ((spin + i, spin + j), (spin + j, spin + i))
    ]
    terms = {((i, 1), (j, 0)): -1.0 for i, j in hops}
    on_ring = sym.from_fermions(terms, hilbert=space)
    # 2 bonds of each of the 2 up; of each of the 3 empty orbitals for spin down
    assert compacted(on_ring) == [(24, 4 + 6)]
    sym.check(on_ring, validate="exhaustive", lowering=PASSES).raise_if_wrong()


def test_without_conserved_sums_lanes_keep_their_places() -> None:
    operator = sym.from_fermions(excitations(4, pairs=False), n_orbitals=4)
    assert compacted(operator) == []


def test_bosons_may_be_on_one_site_all_together() -> None:
    space = sym.fock(3, 4, n_particles=3)
    hop = (
        sym.DOperator(space, "hop")
        .for_each_pair("i", "j")
        .emit(sym.shift("i", -1).shift("j", 1), amplitude=1.0)
        .build()
    )
    assert compacted(hop) == []


def test_another_number_of_particles_is_a_broken_promise() -> None:
    space = sym.fermions(5, n_fermions=1)
    operator = sym.from_fermions(excitations(5, pairs=False), hilbert=space)
    compiled = operator.compile(coalesce="static", cache_enabled=False)
    x = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], np.int8)
    mels = np.asarray(compiled.get_conn_padded(x)[1])
    assert np.isnan(mels[0]).any()
    assert not np.isnan(mels[1]).any()


def test_origins_of_compacted_lanes() -> None:
    space = sym.fermions(5, n_fermions=2)
    operator = sym.from_fermions(excitations(5, pairs=False), hilbert=space)
    artifact = sym.SymbolicCompiler().compile(operator, {"coalesce": "static"})
    sources = artifact.lane_sources()
    assert artifact.lanes == 6
    assert all(len(one) == 20 for one in sources)


@settings(max_examples=5, deadline=None)
@given(
    orbitals=st.integers(3, 6),
    filling=st.integers(0, 6),
    seed=st.integers(0, 2**16),
)
def test_random_products(orbitals: int, filling: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = sym.fermions(orbitals, n_fermions=min(filling, orbitals))
    terms: dict[tuple[tuple[int, int], ...], float] = {}
    for _ in range(6):
        length = int(rng.integers(1, 4))
        create = rng.choice(orbitals, min(length, orbitals), replace=False)
        destroy = rng.choice(orbitals, min(length, orbitals), replace=False)
        product = (*((int(i), 1) for i in create), *((int(i), 0) for i in destroy))
        terms[product] = float(rng.normal())
    operator = sym.from_fermions(terms, hilbert=space)
    report = sym.check(
        operator, validate="exhaustive", lowering=PASSES, executable=False
    )
    report.raise_if_wrong()


@pytest.mark.parametrize("lanes", [3, BITS, BITS + 1, 5 * BITS + 7])
@pytest.mark.parametrize("kept", [1, 2])
def test_fanouts_around_the_size_of_a_word(lanes: int, kept: int) -> None:
    """The k-th valid lane is found wherever it is: fanouts of one flip in a row."""
    rng = np.random.default_rng(lanes)
    sites = rng.integers(0, 6, lanes)
    targets = (sites + rng.integers(1, 6, lanes)) % 6
    # A row is valid where its first site is the one that holds the particle
    most = int(np.bincount(sites).max())
    operator = (
        sym.DOperator(sym.qubit(6).where_sum(1), "promised")
        .for_each(("i", "j"), over=np.stack([sites, targets], axis=1).tolist())
        .emit_if(
            sym.site("i").value == 1,
            sym.write("i", 0).write("j", 1),
            amplitude=2.0,
        )
        .fanout(min(most + kept - 1, lanes - 1))
        .build()
    )
    report = sym.check(operator, validate="exhaustive", executable=lanes == BITS + 1)
    report.raise_if_wrong()


def test_predicates_are_evaluated_as_the_numbers_that_they_are() -> None:
    """n / (n + n + 1) is a third for n = 1, and not the integer 0."""
    n, m = sym.site("i").value, sym.site("j").value
    space = sym.fock(1, 5, n_particles=2)
    for predicate in (n / (n + n + 1) > 0.3, n / (n + 1) > 0.3):
        operator = (
            sym.DOperator(space, "hop")
            .for_each_pair("i", "j")
            .where(predicate & (m < 1))
            .emit(sym.shift("i", -1).shift("j", 1), amplitude=1.0)
            .build()
        )
        report = sym.check(
            operator, validate="exhaustive", lowering=PASSES, executable=False
        )
        report.raise_if_wrong()


def test_sums_of_lanes_are_counted_as_their_alternatives() -> None:
    """Hops there and back write the same: a sum of both is valid where one is."""
    space = sym.fock(1, 8, n_particles=2)
    pairs = [(a, b) for a in range(8) for b in range(8) if a != b]
    operator = (
        sym.DOperator(space, "swap")
        .for_each(("i", "j"), over=pairs)
        .where((sym.site("i").value > 0) & (sym.site("j").value < 1))
        .emit(sym.swap("i", "j"), amplitude=1.0)
        .build()
    )
    assert operator.compile(coalesce="static").max_conn_size == 2 * 6
    sym.check(operator, validate="exhaustive", lowering=PASSES).raise_if_wrong()
