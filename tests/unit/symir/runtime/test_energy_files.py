"""Local energies as files and as data: exported ones run where symir is not."""

# pyright: basic

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from symir import models
from symir.compiler.lowering import LoweringPipeline

RING = [(site, (site + 1) % 4) for site in range(4)]
W = {"W": np.linspace(-0.5, 0.6, 12).reshape(4, 3), "deep": [np.full(3, 0.3)]}


def logpsi(w: Any, x: Any) -> Any:
    hidden = jnp.log(jnp.cosh(x @ w["W"] + w["deep"][0])).sum(-1)
    return hidden + jnp.sin(jnp.tanh(x @ w["W"]) @ w["deep"][0])


@cache
def energy() -> sym.LocalEnergy:
    h = sym.symbol("h", default=0.5)
    return sym.LocalEnergy(models.transverse_field_ising(4, RING, h=h), logpsi)


X = np.random.default_rng(0).choice([-1, 1], (5, 4)).astype(np.int8)

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

OURS = ("symir", "dialects", "lowering", "xdsl", "xdsl_jax")

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OURS:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())

import jax
import jax.export
import numpy as np

jax.config.update("jax_enable_x64", True)
folder = Path(sys.argv[1])
given = np.load(folder / "given.npz")
energies = jax.export.deserialize(bytearray((folder / "energy").read_bytes()))
w = {"W": given["W"], "deep": [given["deep"]]}
for samples in (2, 5):
    found = jax.jit(energies.call)(w, given["x"][:samples], {"h": 0.25})
    np.testing.assert_allclose(found, given["energies"][:samples], rtol=1e-13)
assert not [name for name in sys.modules if name.partition(".")[0] in OURS]
"""


def test_a_process_without_symir_runs_it(tmp_path: Path) -> None:
    energy().export(tmp_path / "energy", W, X, chunk=2)
    exported = jax.export.deserialize(bytearray((tmp_path / "energy").read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert [str(one) for one in exported.in_avals][2] == "int8[b,4]"
    np.savez(
        tmp_path / "given.npz",
        W=W["W"],
        deep=W["deep"][0],
        x=X,
        energies=energy().replace(h=0.25)(W, X),
    )
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], check=True)


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    path = tmp_path / "energy"

    def asks(w: Any, x: Any) -> Any:
        kind = jax.ShapeDtypeStruct((x.shape[0],), np.float64)
        return jax.pure_callback(lambda x: x.sum(-1) * 0.1, kind, x)

    cases: list[tuple[Any, dict[str, Any], str]] = [
        (energy(), {"batch": 0}, "C025"),
        (energy(), {"platforms": "cpu"}, "C025"),
        (sym.LocalEnergy(energy().operator, asks), {"batch": 2}, "C024"),
    ]
    for one, options, code in cases:
        with pytest.raises(sym.SymbolicCompilerError, match=code):
            one.export(path, W, X, **options)
    assert not path.exists()


def test_the_manifest_has_the_leaves() -> None:
    found = json.loads(json.dumps(energy().manifest(W, X)))
    leaves = [
        {"name": "W", "shape": [4, 3], "dtype": "float64", "bytes_per_sample": 0},
        {"name": "deep.0", "shape": [3], "dtype": "float64", "bytes_per_sample": 0},
    ]
    assert found["leaves"] == leaves
    assert [one["name"] for one in found["inputs"]] == ["x", "h", "W", "deep.0"]
    assert found["inputs"][0]["shape"] == ["batch", 4]
    assert found["outputs"][0]["dtype"] == "float64"
    assert found["parameters"] == [{"name": "h", "dtype": "float64", "default": 0.5}]
    assert {part["rung"] for part in found["parts"]} == {"exponential", "network"}
    assert found["plan"]["samples"] > 0
    # The lowering is what ran
    names = list(LoweringPipeline.parse(found["lowering"]).names)
    assert names == [one["pass_name"] for one in found["passes"]]
