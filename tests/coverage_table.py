"""The table of `docs/coverage.md`: what is there for every op of every level.

`python -m tests.coverage_table` writes it; a test compares it, and fails on a hole. An
op is verified where a test has it refused, interpreted where an interpreter of its
level has it, and lowered where a pass names it.

Which ops of StableHLO there are: a term holds `dialects.stablehlo.ELEMENTWISE`, which
the verifier enforces, and the conversions make what their sources import, by class or
by a constructor of `dialects.stablehlo`. That nothing else is emitted is tested on all
constructs of the language.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from xdsl.ir import Dialect, Operation

from dialects import bt, stablehlo, sym
from dialects.interpreters.bt import BtFunctions
from dialects.interpreters.kernel import KernelFunctions
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.interpreters.sym import SymFunctions
from dialects.verification import fault_in
from lowering.registry import get_all_passes
from tests.unit.lowering.test_mutations import MUTATIONS, mutated

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "coverage.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"

_INTERPRETERS: dict[str, tuple[type[Any], ...]] = {
    "sym": (SymFunctions,),
    "bt": (BtFunctions,),
    "stablehlo": (StableHLOFunctions, KernelFunctions),
}
_CONVERSIONS = ("convert_sym_to_bt", "convert_bt_to_stablehlo")


class Row(NamedTuple):
    """What is there for an op: names of files and passes; nothing where a hole is."""

    op: str
    verified: tuple[str, ...]
    interpreted: tuple[str, ...]
    lowered: tuple[str, ...]

    @property
    def holes(self) -> tuple[str, ...]:
        """The columns that are empty."""
        return tuple(name for name in self._fields[1:] if not getattr(self, name))


# region Sources


@cache
def _nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def _attributes_in(path: Path) -> set[str]:
    """Return each `module.name` that a source uses."""
    return {
        f"{node.value.id}.{node.attr}"
        for node in _nodes_of(path)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def _imported_from_stablehlo(path: Path) -> set[str]:
    """Return the names that a source imports from StableHLO."""
    return {
        alias.name
        for node in _nodes_of(path)
        if isinstance(node, ast.ImportFrom)
        and node.module in ("dialects.stablehlo", "xdsl_jax.dialects.stablehlo")
        for alias in node.names
    }


def _passes_that_name(dialect: str, kind: type[Operation]) -> Iterator[str]:
    """Yield the passes whose files name an op, or an interface that it has."""
    names = {f"{dialect}.{one.__name__}" for one in kind.__mro__}
    for name in sorted(get_all_passes()):
        (path,) = (ROOT / "lowering").rglob(f"{name.replace('-', '_')}.py")
        if names & set(_attributes_in(path)):
            yield name


def _constructors() -> dict[str, str]:
    """Return the constructors of `dialects.stablehlo`, and what each builds."""
    found: dict[str, str] = {}
    for name, function in inspect.getmembers(stablehlo, inspect.isfunction):
        built = function.__annotations__.get("return", "")
        if isinstance(built, str) and built.endswith("Op"):
            found[name] = built
    return found


@cache
def emitted_by_lowerings() -> dict[str, tuple[str, ...]]:
    """Return the ops of StableHLO that each conversion makes, by its source."""
    classes = {kind.__name__: kind.name for kind in stablehlo.StableHLO.operations}
    found: dict[str, list[str]] = {}
    for conversion in _CONVERSIONS:
        (path,) = (ROOT / "lowering").rglob(f"{conversion}.py")
        names = _imported_from_stablehlo(path)
        built = {_constructors().get(name, name) for name in names}
        if "ReduceOp" in built:
            built.add("ReturnOp")
        for name in sorted(built & classes.keys()):
            found.setdefault(classes[name], []).append(conversion.replace("_", "-"))
    return {name: tuple(by) for name, by in found.items()}


@cache
def _refused() -> dict[str, frozenset[str]]:
    """Return the ops that each file of tests has verification refuse."""
    found: dict[str, frozenset[str]] = {}
    for path in sorted(ROOT.glob("tests/lit/dialects/*/invalid.mlir")):
        names = re.findall(r"\b[a-z]+\.\w+", path.read_text())
        found[f"{path.parent.name}/invalid.mlir"] = frozenset(names)
    faults = (fault_in(mutated(one)) for one in MUTATIONS if one.of_pass == "C001")
    blamed = frozenset(fault.op.name for fault in faults if fault is not None)
    return {**found, "test_mutations.py": blamed}


def _verified(name: str) -> Iterator[str]:
    return (file for file, names in _refused().items() if name in names)


def _interpreted(dialect: str, kind: type[Operation]) -> Iterator[str]:
    for functions in _INTERPRETERS[dialect]:
        known: set[type[Operation]] = set()
        for owner in functions.mro():
            for value in vars(owner).values():
                known.add(getattr(value, "__impl_op_type", None))  # pyright: ignore[reportArgumentType]
        if kind in known:
            yield functions.__module__.removeprefix("dialects.")


# endregion
# region The table


def _rows_of(dialect: Dialect) -> Iterator[Row]:
    for kind in dialect.operations:
        yield Row(
            kind.name,
            tuple(_verified(kind.name)),
            tuple(_interpreted(dialect.name, kind)),
            tuple(_passes_that_name(dialect.name, kind)),
        )


def _stablehlo_rows() -> Iterator[Row]:
    for kind in stablehlo.StableHLO.operations:
        made = emitted_by_lowerings().get(kind.name, ())
        if kind.name in stablehlo.ELEMENTWISE:
            lowered = ("as it is, by convert-sym-to-bt",)
        elif made:
            lowered = tuple(f"made by {name}" for name in made)
        else:
            continue
        yield Row(
            kind.name,
            tuple(_verified(kind.name)),
            tuple(_interpreted("stablehlo", kind)),
            lowered,
        )


@cache
def tables() -> dict[str, list[Row]]:
    """Return the rows of each level, in the order of the dialects."""
    return {
        "sym": list(_rows_of(sym.Sym)),
        "bt": list(_rows_of(bt.Bt)),
        "StableHLO": sorted(_stablehlo_rows()),
    }


def markdown() -> str:
    """Return the tables as they are between the markers of the page."""
    lines: list[str] = []
    for level, rows in tables().items():
        lines += [f"## {level}: {len(rows)} ops", ""]
        lines += ["| op | refused in | interpreter | lowering |", "|---|---|---|---|"]
        for row in rows:
            cells = (row.verified, row.interpreted, row.lowered)
            shown = " | ".join(", ".join(cell) or "**none**" for cell in cells)
            lines.append(f"| `{row.op}` | {shown} |")
        lines.append("")
    return "\n".join(lines)


def rendered(page: str) -> str:
    """Return the text of the page with the tables of now."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{markdown()}\n{END}{tail}"


# endregion

if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
