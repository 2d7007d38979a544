"""The frame of the repository: its layout, its registries, who imports whom."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from xdsl.pattern_rewriter import RewritePattern
from xdsl.universe import Universe

from lowering.registry import get_all_passes

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("dialects", "lowering", "symir")
FORBIDDEN = {
    "dialects": {"jax", "jaxlib", "netket", "lowering", "symir"},
    "lowering": {"jax", "jaxlib", "netket", "symir"},
}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def imported_packages(source: str) -> set[str]:
    """Return the top-level packages that a module imports anywhere in its text."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


# ---- layout ----


def test_top_level_layout() -> None:
    expected = {
        *PACKAGES,
        *("benchmarks", "docs", "examples", "tests"),
        *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"),
        *("Makefile", "pyproject.toml", ".ci", ".gitignore"),
    }
    assert expected - {path.name for path in ROOT.iterdir()} == set()


def test_the_distribution_is_the_three_packages() -> None:
    wheel = project()["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert sorted(wheel["packages"]) == sorted(PACKAGES)
    for package in PACKAGES:
        assert (ROOT / package / "__init__.py").is_file()
        assert (ROOT / package / "py.typed").is_file()


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") :]
    lines = block[: block.index("\n]")].splitlines()[2:]
    assert len(lines) == 2 * len(project()["project"]["dependencies"])
    for reason, dependency in zip(lines[::2], lines[1::2], strict=True):
        assert re.fullmatch(r"    # .+\.", reason)
        assert re.fullmatch(r'    ".+",', dependency)


def test_unit_tests_mirror_the_packages() -> None:
    here = Path(__file__).parent
    folders = {p.name for p in here.iterdir() if p.is_dir() and p.name[0] not in "._"}
    assert folders <= {*PACKAGES, "benchmarks"}


# ---- imports ----


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_point_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := imported_packages(path.read_text()) & FORBIDDEN[package])
    }
    assert wrong == {}


def test_only_the_runtime_and_interop_import_jax() -> None:
    homes = {"runtime", "interop"}
    files = [
        path
        for path in sorted((ROOT / "symir").rglob("*.py"))
        if path.relative_to(ROOT / "symir").parts[0] not in homes
    ]
    assert files
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := imported_packages(path.read_text()) & {"jax", "jaxlib", "netket"})
    }
    assert wrong == {}


def test_imported_packages_looks_everywhere() -> None:
    source = """
import os.path as p, jax.numpy as jnp
from netket.graph import Chain
from . import jaxlib
def f():
    if p:
        from symir.errors import SymirError
"""
    assert imported_packages(source) == {"os", "jax", "netket", "symir"}


# ---- registries ----


def camel_case(pass_name: str) -> str:
    return "".join(word.capitalize() for word in pass_name.split("-"))


def test_passes_are_registered_under_their_names() -> None:
    passes = {key: load() for key, load in get_all_passes().items()}
    assert passes
    for key, pass_type in passes.items():
        assert pass_type.name == key


def test_a_pass_lives_in_the_file_of_its_name() -> None:
    for key, load in get_all_passes().items():
        pass_type = load()
        name = key.replace("-", "_")
        package, _, file = pass_type.__module__.rpartition(".")
        assert package.startswith("lowering.")
        assert file == name
        assert pass_type.__name__ == camel_case(key) + "Pass"


def test_every_pass_is_registered() -> None:
    defined: set[str] = set()
    for path in (ROOT / "lowering").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            if any(ast.unparse(base) == "ModulePass" for base in node.bases):
                defined.add(node.name)
    assert defined == {load().__name__ for load in get_all_passes().values()}


WHOLE = {
    *("convert-sym-to-bt", "stablehlo-arrange-gathers"),
    *("sym-fuse-terms", "sym-gather-terms", "sym-plan-fusion"),
}
"""Passes that look at all terms, gathers or operators at once; others are patterns."""


def test_passes_are_patterns() -> None:
    for key, load in get_all_passes().items():
        module = sys.modules[load().__module__]
        kinds = [one for one in vars(module).values() if isinstance(one, type)]
        own = [
            one
            for one in kinds
            if issubclass(one, RewritePattern) and one.__module__ == module.__name__
        ]
        assert bool(own) == (key not in WHOLE), key
        for name in ("parts_of", "connections_in"):
            assert not hasattr(module, name) or key == "bt-coalesce-diagonal", key


def test_xdsl_finds_our_universe() -> None:
    (ours,) = (e for e in entry_points(group="xdsl.universe") if e.name == "symir")
    universe = ours.load()
    assert isinstance(universe, Universe)
    assert set(universe.all_passes) == set(get_all_passes())
    assert {"sym", "bt"} <= set(universe.all_dialects)
    # Refuses names that another universe has taken.
    assert set(get_all_passes()) <= set(Universe.get_multiverse().all_passes)


@pytest.mark.parametrize("script", ["symir", "symir-opt"])
def test_console_scripts_can_be_loaded(script: str) -> None:
    (ours,) = entry_points(group="console_scripts", name=script)
    assert callable(ours.load())
