"""The commands for local energies: emit, check, bisect and reduce."""

# pyright: basic

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jax._src.interpreters import mlir
from jaxlib.mlir import ir

from lowering.energy.part_functions import Linear
from symir.tools.cli import main

SOURCE = """
import jax.numpy as jnp
import numpy as np
import symir as sym
from symir import models

ising = models.transverse_field_ising(3, [(0, 1), (1, 2)], h=sym.symbol("h"))

def logpsi(w, x):
    return jnp.log(jnp.cosh(x @ w)).sum(-1) + x @ w[:, 0]

def local_energy():
    energy = sym.LocalEnergy(ising.compile().replace(h=0.5), logpsi)
    w = np.linspace(-0.3, 0.4, 12).reshape(3, 4)
    return energy, w, ising.space.random_states(6, 0)
"""
NAME = "energy.py:local_energy"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("energy.py").write_text(SOURCE)


def test_it_is_emitted_at_every_level(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for level in ("sym", "bt", "stablehlo"):
        assert main(["emit", NAME, "--level", level]) == 0
        shown[level] = capsys.readouterr().out
    assert "sym.operator" in shown["sym"]
    assert "#bt.part<exponential" in shown["bt"]
    kernel = ir.Module.parse(shown["stablehlo"], context=mlir.make_ir_context())
    assert kernel.operation.verify()
    operations: list[Any] = list(kernel.body.operations)
    functions = [one for one in operations if hasattr(one, "is_external")]
    assert any(one.name.value.startswith("network.") for one in functions)
    # The network too has its body
    assert not any(one.is_external for one in functions)
    assert main(["emit", NAME, "--level", "stablehlo", "--state", "i8"]) == 2


def test_it_is_checked_and_a_bug_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["check", NAME, "--quiet", "--samples", "2", "--param", "h=0.25"]) == 0
    shown = capsys.readouterr().out
    assert "valid, given, 2 of 8 configurations" in shown
    assert "executable" in shown
    ratio = Linear.ratio
    monkeypatch.setattr(Linear, "ratio", lambda self, given: -ratio(self, given))
    assert main(["bisect", NAME, "--quiet", "--samples", "1"]) == 1
    assert "write-parts, is to blame" in capsys.readouterr().out
    assert main(["bisect", NAME, "--quiet", "--passes", "cse"]) == 2
    assert main(["reduce", NAME, "--quiet", "--samples", "1", "--limit", "3"]) == 0
    small = capsys.readouterr().out
    assert "sym.operator @transverse_field_ising" in small
    assert small.count("sym.term") == 1
