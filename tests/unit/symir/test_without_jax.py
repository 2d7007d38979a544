"""Everything but running works where JAX cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import symir as sym

ROOT = Path(__file__).parents[3]

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jax", "jaxlib", "netket", "flax"):
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
"""

PROGRAM = """
from functools import reduce
from operator import add
import symir as sym
from dialects.interpreters.sym import connections, dense_matrix
from dialects.text import parse_module, print_module
from lowering.registry import get_all_passes
from tests.unit.symir.constructs import in_one_space

for load in get_all_passes().values():
    load()
# All constructs of a space are terms of one operator, each structure once
for constructs in in_one_space(3).values():
    operator = reduce(add, constructs.values())
    ir = operator.to_ir()
    assert sym.SymbolicOperatorIR.from_text(ir.text()) == ir
    # With every pass verified, once: constructs can differ in what they import
    bt = sym.lower_to_bt(ir.module)
    kernel = sym.lower_to_stablehlo(bt, 2, "i8")
    for module in (ir.module, bt, kernel):
        assert print_module(parse_module(print_module(module)))
    xp, mels = connections(ir.module, operator.space.random_states(2, 0))
    assert mels.shape == (2, operator.max_conn_size)
handle = sym.lower(operator, state="i8", batch=2, opt_level=1)
assert sym.parse(handle.at("bt").text).level == "bt"
assert sym.qubit(4).where(sym.site(0) == sym.site(3)).n_states == 8
assert not [name for name in sys.modules if name.startswith("jax")]
print("done")
"""


def run(
    program: str, *path: Path, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": ":".join(map(str, [*path, ROOT])), "PATH": ""},
        check=False,
    )


def test_definition_lowering_and_interpretation_need_no_jax() -> None:
    result = run(BLOCKED + PROGRAM)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("done")


def network(w: Any, x: Any) -> Any:
    x = x.astype(float)
    images = lax.conv_general_dilated(x[:, None], w["kernels"], (1,), "SAME")
    matrices = jnp.tanh(x[:, :, None] * w["orbitals"]) + jnp.eye(4)
    turned = lax.while_loop(lambda y: y[0, 0] > 0, lambda y: y - jnp.sort(x), x)
    return jnp.linalg.slogdet(matrices)[1] + (images.sum(1) + turned).sum(1)


def test_energies_and_their_networks_are_read_without_jax(tmp_path: Path) -> None:
    operator = sym.DOperator(sym.qubit(4), "op").for_each_site("i")
    operator = operator.emit(sym.shift_mod("i", 1)).build()
    w = {"kernels": np.ones((2, 1, 3)), "orbitals": np.eye(4)}
    with jax.enable_x64(True):
        energy = sym.LocalEnergy(operator, network)
        text = sym.lower(energy, w, np.zeros((2, 4), np.int8)).at("bt").text
    for op in ("bt.local_energy", "stablehlo.convolution", "stablehlo.sort"):
        assert op in text
    for op in ("stablehlo.while", "custom_call @lapack_dgetrf", "#sdy.op_sharding"):
        assert op in text
    path = tmp_path / "energy.mlir"
    path.write_text(text)
    program = f"from symir.tools.opt import main; main([{str(path)!r}])"
    result = run(BLOCKED + program)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == text.strip()


def test_compiling_without_jax_says_what_is_missing() -> None:
    program = """
import symir as sym
sym.DOperator(sym.qubit(2), "op").globally().emit().build().compile()
"""
    result = run(BLOCKED + program)
    assert result.returncode == 1
    assert "[C005]" in result.stderr
    assert "jax" in result.stderr
