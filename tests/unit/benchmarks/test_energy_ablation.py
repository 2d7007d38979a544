# pyright: basic
"""The ablation of local energies, on a small system."""

import argparse

import jax

from benchmarks.energy_ablation import report, run
from benchmarks.local_energy import pairs_of


def test_a_pass_that_changes_nothing_is_told_from_one_that_does() -> None:
    pairs = pairs_of(("tfim",), ("rbm",), ("f64",), is_small=True)[:1]
    with jax.enable_x64(True):
        figures = run(pairs, argparse.Namespace(rounds=1, turn=0.0, json=None))
    (rows,) = [one["rows"] for one in figures["pairs"]]
    assert "apply-exponential-sums" in rows
    without = {"propagate-change", "lift-sparse-delta", "plan-distinct-states"}
    assert not without & {*rows}
    assert rows["all passes"]["times_all"] == 1
    assert report(figures).count(" same ") == 3
