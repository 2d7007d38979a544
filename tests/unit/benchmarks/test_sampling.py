# pyright: basic
"""The benchmark of samples, on a small system."""

import argparse

import jax
import netket as nk
import pytest

from benchmarks import sampling


@pytest.mark.parametrize("name", ["dense 2 x 4", "conv2d 3 x 16"])
def test_contenders_draw_from_one_model(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for own, value in (("SITES", 4), ("SAMPLES", 8)):
        monkeypatch.setattr(sampling, own, value)
    monkeypatch.setattr(sampling, "HILBERT", nk.hilbert.Spin(0.5, 4))
    arguments = argparse.Namespace(rounds=1, json=None)
    with jax.enable_x64(True):
        figures = sampling.run([(name, "f64")], arguments)
    (one,) = figures["models"]
    assert [*one["seconds"]] == [sampling.OURS, sampling.WHOLE, sampling.FAST]
    assert f"| {name} | f64 |" in sampling.report(figures)
