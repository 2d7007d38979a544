"""The documentation is true: its Python runs, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"file=(\S+)")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def python_of(text: str) -> str:
    """Return what a page does, as Python, each block on the lines that the page has.

    Python is run, a block with `file=NAME` behind its language is added to that file,
    and a block `sh run` is run by a shell.
    """
    lines = [""] * (text.count("\n") + 1)
    for match in FENCE.finditer(text):
        language, how, body = match.groups()
        if file := FILE.search(how):
            block = [f"add_to_file({file[1]!r}, {body!r})"]
        elif language == "python":
            block = body.splitlines()
        elif language == "sh" and how.split() == ["run"]:
            block = [f"run_in_shell({body!r})"]
        else:
            continue
        first = text[: match.start(3)].count("\n")
        lines[first : first + len(block)] = block
    return "\n".join(lines)


def add_to_file(name: str, text: str) -> None:
    with Path(name).open("a") as file:
        file.write(text + "\n\n")


def run_in_shell(commands: str) -> None:
    """Run commands with the tools of this environment; all of them have to succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        check=True,
        env={**os.environ, "PATH": path},
    )


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
    monkeypatch.syspath_prepend(tmp_path)
    namespace: dict[str, Any] = {
        "__name__": "__main__",
        "add_to_file": add_to_file,
        "run_in_shell": run_in_shell,
    }
    exec(compile(python_of(page.read_text()), page, "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = links_of(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_python_blocks_keep_their_lines() -> None:
    page = "text\n```python\na = 1\n```\n```text\nb\n```\n```python\nc = a\n```\n"
    assert python_of(page).splitlines() == ["", "", "a = 1", *[""] * 5, "c = a", ""]


def test_files_and_commands_of_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (
        "```python file=a.py\nprint(1)\n```\n```python file=a.py\nprint(2)\n```\n"
        "```sh\nfalse\n```\n```sh run\npython a.py > out\n```\n"
    )
    exec(python_of(page), globals())
    assert (tmp_path / "out").read_text() == "1\n2\n"
    with pytest.raises(subprocess.CalledProcessError):
        exec(python_of("```sh run\nfalse | true\ntrue\n```\n"), globals())


def test_links_are_those_of_the_prose() -> None:
    page = "[a](b.md) [c](d.md#e) [f](https://g.h) [i](#j)\n```text\n[k](l.md)\n```\n"
    assert links_of(page) == ["b.md", "d.md"]
