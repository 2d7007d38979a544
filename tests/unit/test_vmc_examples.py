"""The examples that optimise: each of them arrives."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import jax
import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "vmc"
FEW = ("--steps=25", "--no-progress")
"""Enough of them: errors are a few 1e-4."""


class Runs(Protocol):
    def __call__(self, name: str, *arguments: str) -> str: ...


@pytest.fixture
def output_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runs]:
    """What an example prints, run as a program in this process, which has NetKet."""
    before = jax.config.read("jax_enable_x64")

    def run(name: str, *arguments: str) -> str:
        path = str(EXAMPLES / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *arguments])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out

    yield run
    jax.config.update("jax_enable_x64", before)


def test_the_heisenberg_ring(output_of: Runs):
    error = re.search(r"relative error (\S+)", output_of("heisenberg", *FEW))
    assert error is not None
    assert float(error[1]) < 1e-3


def test_the_ising_chain_on_eight_devices():
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "ising_on_devices.py"), *FEW],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    output = run.stdout
    assert "8 devices" in output
    errors = [float(found) for found in re.findall(r"error (\S+)", output)]
    assert len(errors) == 3
    assert max(errors) < 1e-3


def test_the_coupling_sweep_compiles_for_its_first_field_only(output_of: Runs):
    output = output_of("coupling_sweep", "--no-progress")
    lines = re.findall(r"error (\S+), \|m\| (\S+), exact (\S+), (\d+) programs", output)
    errors, orders, exact, (first, *later) = zip(
        *[map(float, line) for line in lines], strict=True
    )
    assert first > 0
    assert later == [0] * 4
    assert max(errors) < 1e-3
    for found, expected in zip(orders, exact, strict=True):
        assert abs(found - expected) < 0.01
    assert exact[0] < 0.4 < 0.9 < exact[-1]


def test_couplings_are_learnt(output_of: Runs):
    output = output_of("learn_couplings")
    found = dict(re.findall(r"(J|h) = (\S+?)(?:,|\n)", output))
    assert abs(float(found["J"]) - 1.3) < 1e-3
    assert abs(float(found["h"]) - 0.4) < 1e-3
