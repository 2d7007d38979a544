"""Everything but running works where JAX cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_compiling_without_jax_says_what_is_missing() -> None:
    program = """
import symir as sym
sym.DOperator(sym.qubit(2), "op").globally().emit().build().compile()
"""
    result = run(BLOCKED + program)
    assert result.returncode == 1
    assert "[C005]" in result.stderr
    assert "jax" in result.stderr
