"""The registry of dialects, and what importing them needs: neither JAX nor NetKet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from xdsl.ir import Dialect

from dialects.registry import get_all_dialects, get_own_dialects

ROOT = Path(__file__).parents[3]
factories = pytest.mark.parametrize(
    ("name", "factory"), get_all_dialects().items(), ids=list(get_all_dialects())
)


@factories
def test_a_key_is_the_name_of_its_dialect(
    name: str, factory: Callable[[], Dialect]
) -> None:
    assert factory().name == name
    assert factory() is factory()


def test_all_dialects_are_ours_and_those_of_jax() -> None:
    assert set(get_own_dialects()) == {"sym", "bt"}
    assert set(get_all_dialects()) == {"sym", "bt", "chlo", "stablehlo"}


@factories
def test_the_names_in_a_dialect_begin_with_its_own(
    name: str, factory: Callable[[], Dialect]
) -> None:
    dialect = factory()
    names = [op.name for op in dialect.operations]
    names += [attribute.name for attribute in dialect.attributes]
    assert names
    assert [name_ for name_ in names if not name_.startswith(f"{name}.")] == []


@pytest.mark.parametrize("name", get_own_dialects())
def test_every_op_and_attribute_is_documented(name: str) -> None:
    dialect = get_own_dialects()[name]()
    for definition in (*dialect.operations, *dialect.attributes):
        assert definition.__doc__, definition.name
    for op in dialect.operations:
        # by an example that names it
        assert "```mlir" in (op.__doc__ or ""), op.name
        assert op.name in (op.__doc__ or ""), op.name


def run_blocked(blocked: tuple[str, ...], code: str) -> str:
    """Run code in a Python that cannot import some packages; return what it prints."""
    prelude = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocked())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", prelude + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FOREIGN = ("jax", "jaxlib", "netket", "lowering", "symir")

TEXT = """
builtin.module {
  sym.operator @flip(%h "h" : tensor<f64> = dense<1.0>)
      space #sym.space<3 x [-1, 1]> element f64 {
    sym.term @x over #sym.rows<[0], [1], [2]> {
    ^bb0(%x : !sym.config, %i : !sym.site):
      %v = sym.read %x[%i] : tensor<f64>
      %m = stablehlo.negate %v : tensor<f64>
      %y = sym.write %x[%i], %m : tensor<f64>
      sym.emit %y, %h : tensor<f64>
    }
  }
  func.func @lanes(%b : !bt.branches<3 x 1>) -> !bt.branches<3 x 1> {
    %c = bt.concat %b : !bt.branches<3 x 1> -> !bt.branches<3 x 1>
    func.return %c : !bt.branches<3 x 1>
  }
}
"""


def test_the_block_blocks() -> None:
    code = """
for name in ("jax", "jaxlib.mlir.ir", "netket"):
    try:
        __import__(name)
    except ImportError as error:
        print(error)
"""
    assert run_blocked(FOREIGN, code).splitlines() == [
        "jax is blocked",
        "jaxlib is blocked",
        "netket is blocked",
    ]


def test_dialects_work_without_jax_and_what_builds_on_them() -> None:
    """Every module is imported; parsing, verifying, rewriting and printing work."""
    code = f"""
import importlib, pkgutil
import dialects

for module in pkgutil.walk_packages(dialects.__path__, "dialects."):
    importlib.import_module(module.name)

from xdsl.transforms.canonicalize import CanonicalizePass
from dialects import stablehlo
from dialects.text import context, parse_module, print_module
from xdsl.dialects.builtin import f64

module = parse_module({TEXT!r})
CanonicalizePass().apply(context(), module)
module.verify()
print(print_module(module))
print(print_module(stablehlo.constant([1.0, 2.0], f64)))
print(sorted(set({FOREIGN!r}) & sys.modules.keys()))
"""
    printed = run_blocked(FOREIGN, code)
    assert "sym.operator @flip" in printed
    assert "bt.concat" not in printed
    assert "dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf64>" in printed
    assert printed.splitlines()[-1] == "[]"


def test_the_registry_imports_no_dialect_before_it_is_needed() -> None:
    code = """
from dialects.registry import get_all_dialects

factories = get_all_dialects()
print([name for name in sys.modules if name.startswith("dialects.")])
factories["bt"]()
print("dialects.bt" in sys.modules, "dialects.sym" in sys.modules)
"""
    assert run_blocked((), code).splitlines() == [
        "['dialects.registry']",
        "True False",
    ]
