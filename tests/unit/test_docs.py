"""The documentation is true: its Python and its commands run, its links lead somewhere.

What is not run is listed in `NOT_RUN`, with the reason.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dialects.text import print_module
from lowering.change import known_rules
from symir.compiler import lower_to_bt
from tests.forked import start

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"file=(\S+)")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
CODE_SPAN = re.compile(r"`((?:symir|make|python -m) [^`]+)`")

NOT_RUN = {
    "make": "sets up an environment, or runs this suite; its targets are looked up",
    "pip install": "needs a network",
    "python3 -m venv": "makes an environment, as `make` does",
    ". ~/symir-env": "activates it",
    ".venv/bin/python -m benchmarks": "takes minutes; its modules are looked up",
    ".venv/bin/python -m pytest": "runs these tests; its files are looked up",
    ".venv/bin/lit": "runs the other tests; its files are looked up",
    ".venv/bin/ruff": "is a part of `make lint`",
    "srun": "needs a cluster",
    "python program.py": "needs a port; test_sharding.py has programs of two processes",
}
"""The commands that pages show and the tests do not run, by how they begin."""

COMMAND = re.compile(
    r"^(?:\$ )?(?:symir|symir-opt|python|pip|make|srun) ", re.MULTILINE
)


def python_of(text: str) -> str:
    """Return what a page does, as Python, each block on the lines that the page has.

    Python is run, a block with `file=NAME` behind its language is added to that file,
    a block `sh run` is run by a shell, and the lines of one with `output` have to be
    among those that were printed before it.
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
        elif how.split() == ["output"]:
            block = [f"check_output({body!r})"]
        else:
            continue
        first = text[: match.start(3)].count("\n")
        lines[first : first + len(block)] = block
    return "\n".join(lines)


def add_to_file(name: str, text: str) -> None:
    with Path(name).open("a") as file:
        file.write(text + "\n\n")


@cache
def tools() -> Path:
    """A folder with the commands of symir."""
    return start()


def run_in_shell(commands: str) -> None:
    """Run commands with the tools of this environment; all of them have to succeed."""
    path = [str(tools()), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        check=True,
        env={**os.environ, "PATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    print(done.stdout)


def run_page(text: str, name: str = "page") -> None:
    """Do what a page does, from its first block to its last."""
    printed = io.StringIO()

    def check_output(expected: str) -> None:
        """Find lines in this order; `..` stands for anything in a line."""
        rest = iter(printed.getvalue().splitlines())
        for line in expected.splitlines():
            pattern = ".*".join(map(re.escape, line.strip().split("..")))
            assert any(re.fullmatch(pattern, one.strip()) for one in rest), (
                f"not printed: {line}\n\n{printed.getvalue()}"
            )

    namespace: dict[str, Any] = {
        "__name__": "__main__",
        "add_to_file": add_to_file,
        "check_output": check_output,
        "run_in_shell": run_in_shell,
    }
    with redirect_stdout(printed):
        exec(compile(python_of(text), name, "exec"), namespace)


def commands_not_run(text: str) -> Iterator[str]:
    """Yield the command lines of a page that no test runs, joined where they go on."""
    for language, how, body in FENCE.findall(text):
        if language == "sh" and how.split() != ["run"]:
            for line in body.replace("\\\n", "").splitlines():
                command = " ".join(shlex.split(line, comments=True))
                yield from filter(None, command.split(" && "))


def is_there(command: str) -> bool:
    """Whether what a command names exists: targets, modules, files, subcommands."""
    words = shlex.split(command)
    if words[0] == "make":
        targets = re.findall(
            r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE
        )
        return {word for word in words[1:] if "=" not in word} <= {*targets}
    if "-m" in words and (module := words[words.index("-m") + 1]) != "pytest":
        return find_spec(module) is not None
    paths = [word for word in words if word.startswith(("tests/", "examples/"))]
    return all((ROOT / path.partition(":")[0]).exists() for path in paths)


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
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # A rule that a page registers is not one of others
    monkeypatch.setattr(known_rules, "RULES", dict(known_rules.RULES))
    run_page(page.read_text(), str(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = links_of(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_a_page_are_run_or_listed(page: Path) -> None:
    text = page.read_text()
    hidden = [body for kind, _, body in FENCE.findall(text) if kind != "sh"]
    assert [body for body in hidden if COMMAND.search(body)] == []
    for command in commands_not_run(text):
        assert command.startswith(tuple(NOT_RUN)), command
        assert is_there(command), command
    for span in CODE_SPAN.findall(FENCE.sub("", text)):
        assert is_there(span), span


def test_ir_of_the_readme_is_that_of_its_operator() -> None:
    fences = FENCE.findall((ROOT / "README.md").read_text())
    shown = [body for language, _, body in fences if language == "mlir"]
    definition = next(body for language, _, body in fences if language == "python")
    namespace: dict[str, Any] = {}
    exec(definition.partition("compiled =")[0], namespace)
    module = namespace["op"].to_ir().module
    levels = _plain(print_module(module) + print_module(lower_to_bt(module)))
    ops = [op for block in shown for op in re.split(r"\n(?!\s*:)", block)]
    assert [op for op in ops if _plain(op) not in levels] == []
    assert len(ops) > 10


def _plain(text: str) -> str:
    """Return IR without white space, and without the numbers of its second term."""
    return re.sub(r"(%\w+?)_1\b", r"\1", "".join(text.split()))


def test_what_is_not_run_is_needed() -> None:
    met = [command for page in PAGES for command in commands_not_run(page.read_text())]
    unmet = [
        one for one in NOT_RUN if not any(command.startswith(one) for command in met)
    ]
    assert unmet == []


def test_commands_that_no_test_runs() -> None:
    run, text = "```sh run\nf\n```\n", "```text\ng\n```\n"
    page = "```sh\nmake a  # b\nc && d \\\n e\n```\n" + run + text
    assert [*commands_not_run(page)] == ["make a", "c", "d e"]


def test_what_commands_name_is_looked_up() -> None:
    there = ("make test N=1", "python -m tests.fuzz 3", "symir emit examples/vmc:a")
    missing = ("make tea", "python -m tests.tea", "symir emit examples/tea.py")
    assert [*map(is_there, (*there, *missing))] == [True] * 3 + [False] * 3


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
    run_page(page)
    assert (tmp_path / "out").read_text() == "1\n2\n"
    with pytest.raises(subprocess.CalledProcessError):
        run_page("```sh run\nfalse | true\ntrue\n```\n")


def test_output_of_a_page() -> None:
    page = "```python\nprint('a 1\\nb\\nc')\n```\n```sh run\necho d\n```\n"
    run_page(page + "```text output\na ..\nc\nd\n```\n")
    for wrong in ("c\na 1", "a 2", "b c", "e"):
        with pytest.raises(AssertionError, match="not printed"):
            run_page(f"{page}```text output\n{wrong}\n```\n")


def test_links_are_those_of_the_prose() -> None:
    page = "[a](b.md) [c](d.md#e) [f](https://g.h) [i](#j)\n```text\n[k](l.md)\n```\n"
    assert links_of(page) == ["b.md", "d.md"]
