# pyright: basic
"""The energies of some pairs of the benchmark, on small systems.

NetKet's default kernel is the oracle, as it is when the benchmark runs, for each pair
of an operator and a wavefunction that is measured: a pair whose energies are wrong has
no speed.
"""

import jax
import numpy as np
import pytest

from benchmarks.local_energy import (
    BARS,
    DEEP,
    HEAVY,
    OURS,
    SYSTEMS,
    compare,
    pairs_of,
    report,
)

SAMPLES = 16


def _of_each(pairs):
    """Return pairs in which both the system and the wavefunction are new.

    The benchmark compares the energies of each pair before it measures them.
    """
    kept = []
    for pair in pairs:
        systems = {one.name for one in kept}
        wavefunctions = {one.wavefunction for one in kept}
        if pair.name not in systems and pair.wavefunction not in wavefunctions:
            kept.append(pair)
    return kept


DOUBLE = _of_each(pairs_of(dtypes=("f64",), is_small=True))
SINGLE = [
    pair
    for pair in pairs_of(("heisenberg",), dtypes=("f32",), is_small=True)
    if pair.wavefunction not in HEAVY
][:3]
"""Of the others symir sees no more than in f64: they stay a network."""

PAIRS = pytest.mark.parametrize(
    "pair",
    DOUBLE + SINGLE,
    ids=lambda pair: f"{pair.name}-{pair.wavefunction}-{pair.dtype}",
)

SETTINGS = {"jax_enable_x64": True, "jax_disable_most_optimizations": True}
"""XLA would compile for longer than it takes to compute so few energies."""


@pytest.fixture(scope="module", autouse=True)
def settings():
    before = {name: jax.config.read(name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@PAIRS
def test_energies_are_those_of_netket(pair):
    x = pair.x[:SAMPLES]
    compare(pair, {OURS: jax.jit(pair.energy())(pair.variables, x)}, x)


def test_wrong_energies_are_noticed():
    pair = DOUBLE[0]
    x = pair.x[:SAMPLES]
    energies = np.array(pair.energy()(pair.variables, x))
    errors = compare(pair, {OURS: energies}, x)
    assert set(errors) == {OURS}
    energies[3] += 1e-6
    with pytest.raises(ValueError, match=r"errors above 1\.0e-10: symir"):
        compare(pair, {OURS: energies}, x)
    energies[3] = np.nan
    with pytest.raises(ValueError, match="symir nan"):
        compare(pair, {OURS: energies}, x)


def test_each_bar_is_that_of_a_pair():
    known = {(pair.name, pair.wavefunction) for pair in pairs_of(tuple(SYSTEMS | DEEP))}
    assert set(BARS) <= known


@pytest.mark.parametrize(
    ("times", "bar", "shown"),
    [(3.0, None, "3.00"), (3.0, 2, "3.00 (bar 2)"), (3.0, 4, "3.00 (bar 4: missed)")],
)
def test_bars_that_are_missed_are_said(times, bar, shown):
    row = {"ms": 1.0, "times_symir": times, "temp_bytes": 0, "error": 0.0}
    rows = {name: row for name in (OURS, "default", "chunk 1024")}
    named = {"name": "a", "wavefunction": "b", "dtype": "f64", "parts": ["cone"]}
    pair = {**named, "rows": rows, "padded": 2, "live": 1.0, "bar": bar}
    where = {"threads": 2, "load": "-"}
    figures = {"environment": where, "rounds": 1, "first_repeats": 0, "pairs": [pair]}
    assert f"| {shown} |" in report(figures)
