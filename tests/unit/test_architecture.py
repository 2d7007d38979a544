"""Who imports whom: no circles, and layers that import only what is below them.

Imports count wherever they stand, in functions too; those for type checkers do not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from symir.late import without_body

ROOT = Path(__file__).parents[2]
PATHS = [path for name in ("dialects", "lowering", "symir") for path in ROOT.glob(name)]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): (
        path
    )
    for package in PATHS
    for path in package.rglob("*.py")
}
HOOKS = ("get_canonicalization_patterns",)
"""xDSL asks ops for their patterns, which are rewrites of these ops."""

LAYERS = """
dialects
lowering
catalogue errors late files spans provenance plain_text for_netket
    operator language description models compiler.context compiler.dump
    compiler.failures compiler.lowering compiler.signature compiler.trace
compiler facts
runtime
inspection validation explorer interop
_bodies _shadowing netket __init__
tools
"""
"""From below, the parts of `symir` without its name; an indented line goes on."""


def imports_in(node: ast.AST) -> Iterator[str]:
    """Yield the names of files that a part of a file imports."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name("TYPE_CHECKING"), orelse=orelse):
                for other in orelse:
                    yield from imports_in(other)
            case ast.FunctionDef(name=name) if name in HOOKS:
                pass
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in FILES)
            case ast.ImportFrom(module=str(module), names=names):
                deeper = [f"{module}.{alias.name}" for alias in names]
                named = {name if name in FILES else module for name in deeper}
                yield from named & FILES.keys()
            case _:
                yield from imports_in(child)


@cache
def imports() -> dict[str, set[str]]:
    """Return the names of files that each file imports."""
    return {
        name: set(imports_in(ast.parse(path.read_text()))) - {name}
        for name, path in FILES.items()
    }


def layer_of(file: str) -> int:
    """Return the number of a layer: that of the longest prefix which is listed."""
    lines = LAYERS.replace("\n    ", " ").split("\n")
    layers = {part: n for n, line in enumerate(lines) for part in line.split()}
    own = "__init__" if file == "symir" else file.removeprefix("symir.")
    while own not in layers:
        assert own, f"{file} belongs to no layer"
        own = own.rpartition(".")[0]
    return layers[own]


def test_no_file_imports_itself_through_others() -> None:
    assert sum(map(len, imports().values())) > 500
    TopologicalSorter(imports()).prepare()  # raises a CycleError that names the files


def test_layers_import_only_what_is_below_them() -> None:
    upward = [
        f"{name} -> {other}"
        for name, others in imports().items()
        for other in others
        if layer_of(other) > layer_of(name)
    ]
    assert upward == []


def test_the_page_shows_the_layers() -> None:
    page = (ROOT / "docs" / "contributing" / "architecture.md").read_text()
    block = page.partition("```text\n")[2].partition("\n```")[0]
    shown = [re.split(r" {2,}", line)[0].split() for line in block.split("\n")]
    layers = [{layer_of(f"symir.{part}") for part in parts} for parts in shown]
    highest, lowest = layer_of("symir.tools"), layer_of("symir.operator.spaces")
    assert layers == [{n} for n in range(highest, lowest - 1, -1)]


def test_places_of_the_table_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    rows = "\n".join(line for line in page.splitlines() if line.startswith("|"))
    places = re.findall(r"`((?:dialects|lowering|symir|docs)/[\w/.]*)`", rows)
    assert len(places) > 30
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_imports_are_found_wherever_they_stand() -> None:
    # In a method
    assert "symir.operator.symbolic_operator" in imports()["symir.language.builder"]
    assert "symir.runtime.kernel" not in imports()["symir.compiler.artifact"]
    assert "symir.explorer.notebook" in imports()["symir._bodies"]


def test_every_late_function_has_a_body() -> None:
    assert without_body() == []
