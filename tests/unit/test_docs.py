"""The documentation is true: its Python runs, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def python_of(text: str) -> str:
    """Return the Python blocks of a page, each on the lines where the page has it."""
    lines = [""] * (text.count("\n") + 1)
    for match in FENCE.finditer(text):
        if match[1] != "python":
            continue
        first = text[: match.start(2)].count("\n")
        block = match[2].splitlines()
        lines[first : first + len(block)] = block
    return "\n".join(lines)


def links_of(text: str) -> list[str]:
    """Return where a page links to inside of the repository."""
    prose = FENCE.sub("", text)
    return [link for link in LINK.findall(prose) if "://" not in link]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(python_of(page.read_text()), page, "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = links_of(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_python_blocks_keep_their_lines() -> None:
    page = "text\n```python\na = 1\n```\n```text\nb\n```\n```python\nc = a\n```\n"
    assert python_of(page).splitlines() == ["", "", "a = 1", *[""] * 5, "c = a", ""]


def test_links_are_those_of_the_prose() -> None:
    page = "[a](b.md) [c](d.md#e) [f](https://g.h) [i](#j)\n```text\n[k](l.md)\n```\n"
    assert links_of(page) == ["b.md", "d.md"]
