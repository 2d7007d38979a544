"""The lit tests are tests: each RUN line feeds filecheck, each file checks something.

`--verify-diagnostics` exits with 0 whatever happens, and filecheck ignores a directive
that it cannot read. Such a file passes without testing anything; none may exist.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

LIT_ROOT = Path(__file__).parent.parent / "lit"
SUFFIXES = (".mlir", ".test")

DIRECTIVE = re.compile(
    r"(?://|#)[ \t]*([A-Z][A-Z0-9_-]*)(\{LITERAL\})?:(.*)$", re.MULTILINE
)
POSITIVE_SUFFIX = r"(-(LABEL|NEXT|SAME|DAG|EMPTY|COUNT-\d+))?"
NOTES = ("COM", "NOTE", "TODO")


def lit_files() -> list[Path]:
    return sorted(path for path in LIT_ROOT.rglob("*") if path.suffix in SUFFIXES)


def run_lines(text: str) -> list[str]:
    """Return the commands of a file, continued lines joined."""
    lines = [body.strip() for name, _, body in DIRECTIVE.findall(text) if name == "RUN"]
    joined = "\n".join(lines).replace("\\\n", " ")
    return list[str](joined.splitlines())


def prefixes_of(run: str) -> list[str] | None:
    """Return the prefixes that the last command of a RUN line checks.

    None when that command is not `filecheck` on the file itself.
    """
    last = shlex.split(re.split(r"\|\||&&|[|;]", run)[-1])
    if not last or last[0] != "filecheck" or "%s" not in last:
        return None
    found = re.findall(r"-check-prefix(?:es)?[= ](\S+)", " ".join(last))
    return [name for names in found for name in names.split(",")] or ["CHECK"]


def problems(text: str) -> list[str]:
    """Return what makes a lit file less of a test than it looks."""
    runs = run_lines(text)
    if not runs:
        return ["has no RUN line"]
    found: list[str] = []
    used: set[str] = set()
    for run in runs:
        prefixes = prefixes_of(run)
        if prefixes is None:
            found.append(f"does not end in 'filecheck %s': {run}")
        used.update(prefixes or [])
    names = [name for name, _, _ in DIRECTIVE.findall(text)]
    for prefix in sorted(used):
        pattern = re.compile(re.escape(prefix) + POSITIVE_SUFFIX)
        if not any(pattern.fullmatch(name) for name in names):
            found.append(f"has nothing that {prefix} must find")
    either = "|".join(map(re.escape, used)) or "CHECK"
    known = re.compile(rf"({either})({POSITIVE_SUFFIX}|-NOT)|RUN|{'|'.join(NOTES)}")
    found += [
        f"has a directive that nothing reads: {name}"
        for name in names
        if not known.fullmatch(name)
    ]
    return found


def test_there_are_lit_files() -> None:
    assert lit_files()


def test_every_lit_file_checks_something() -> None:
    bad = {
        str(path.relative_to(LIT_ROOT)): found
        for path in lit_files()
        if (found := problems(path.read_text()))
    }
    assert bad == {}


def test_lit_collects_every_file() -> None:
    others = [
        str(path.relative_to(LIT_ROOT))
        for path in LIT_ROOT.rglob("*")
        if path.is_file()
        and path.suffix not in (*SUFFIXES, ".pyc")
        and path.name != "lit.cfg.py"
        and "Inputs" not in path.parts
    ]
    assert others == []


@pytest.mark.parametrize(
    "text",
    [
        "// RUN: symir-opt %s | filecheck %s\n// CHECK: sym.read",
        "// RUN: symir-opt %s \\\n// RUN:   -p a,b | filecheck %s\n// CHECK-NEXT: x",
        "# RUN: symir run x 2>&1 | filecheck %s\n# CHECK-COUNT-3: x\n# CHECK-NOT: y",
        "// RUN: t %s | filecheck %s --check-prefix=ABC\n// ABC{LITERAL}: [[x]]",
        "// RUN: t %s | filecheck %s --check-prefix A\n// COM: see below\n  x // A: x",
        "// RUN: t | filecheck %s --check-prefixes=A,B-C\n// A-SAME: x\n// B-C: y",
    ],
)
def test_a_good_file_has_no_problems(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no RUN line"),
        ("// CHECK: x", "has no RUN line"),
        ("// RUN: symir-opt %s\n// CHECK: x", "does not end in"),
        ("// RUN: t | filecheck %s || true\n// CHECK: x", "does not end in"),
        ("// RUN: t | filecheck %s ; true\n// CHECK: x", "does not end in"),
        ("// RUN: t | filecheck %s | cat\n// CHECK: x", "does not end in"),
        ("// RUN: t | filecheck other\n// CHECK: x", "does not end in"),
        ("// RUN: t > %t\n// RUN: t | filecheck %s\n// CHECK: x", "does not end in"),
        ("// RUN: t | filecheck %s", "nothing that CHECK must find"),
        ("// RUN: t | filecheck %s\n// CHECK-NOT: x", "nothing that CHECK must find"),
        ("// RUN: t | filecheck %s --check-prefix=A\n// CHECK: x", "nothing that A"),
        ("// RUN: t | filecheck %s\n// CHECK: x\n// CHECK-NXT: y", "reads: CHECK-NXT"),
        ("// RUN: t | filecheck %s\n// CHECK: x\n// CHCK: y", "reads: CHCK"),
        ("// RUN: t | filecheck %s\n// CHECK: x\n// XFAIL: *", "reads: XFAIL"),
    ],
)
def test_a_bad_file_is_found_out(text: str, problem: str) -> None:
    assert any(problem in found for found in problems(text))
