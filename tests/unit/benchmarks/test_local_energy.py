# pyright: basic
"""The energies of all pairs of the benchmark, on small systems.

NetKet's default kernel is the oracle, for each pair of an operator and a wavefunction
that is measured: a pair whose energies are wrong has no speed.
"""

from dataclasses import replace

import jax
import numpy as np
import pytest

from benchmarks.local_energy import OURS, compare, pairs_of

SAMPLES = 16

DOUBLE = pairs_of(dtypes=("f64",), is_small=True)
SINGLE = pairs_of(("heisenberg", "bose"), dtypes=("f32",), is_small=True)
"""Bosons have more than two local values: together they take every path."""

PAIRS = pytest.mark.parametrize(
    "pair",
    DOUBLE + SINGLE,
    ids=lambda pair: f"{pair.name}-{pair.wavefunction}-{pair.dtype}",
)

UNOPTIMISED = {"xla_backend_optimization_level": 0}
"""XLA compiles for longer than it takes to compute so few energies."""


@pytest.fixture(scope="module", autouse=True)
def in_double_precision():
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@PAIRS
def test_energies_are_those_of_netket(pair):
    x = pair.x[:SAMPLES]
    # No wrapper of the object itself: a jitted function would be cached with it
    energy = jax.jit(lambda variables, x: pair.energy()(variables, x))
    compiled = energy.lower(pair.variables, x).compile(UNOPTIMISED)
    compare(pair, {OURS: compiled(pair.variables, x)}, x)


def test_wrong_energies_are_noticed():
    pair = replace(DOUBLE[0])
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
