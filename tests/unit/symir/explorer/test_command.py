"""`symir explore`: a page of a file, and a served one that follows it."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symir.tools.cli import main

OPERATOR = """
import symir as sym
i = sym.site("i").value
flips = sym.DOperator(sym.spin(0.5, 3), "{name}").for_each_site("i").emit(
    sym.write("i", -i), amplitude=1.0).build()
"""


ENERGY = """
import jax.numpy as jnp
import numpy as np
def local_energy():
    energy = sym.LocalEnergy(flips, lambda w, x: jnp.log(jnp.cosh(x @ w)).sum(-1))
    return energy, 0.1 * np.ones((3, 2)), flips.space.random_states(2, 0)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flips.py"
    path.write_text(OPERATOR.format(name="first"))
    return path


def test_a_page_is_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", "flips.py", "--quiet"]) == 0
    assert capsys.readouterr().out == "written to flips.html\n"
    assert "<title>first - symir explorer</title>" in Path("flips.html").read_text()
    np.save("x.npy", np.array([[1, -1, -1]], np.int8))
    options = ["--input", "x.npy", "-o", "other.html", "--quiet"]
    assert main(["explore", "flips.py:flips", *options]) == 0
    assert '"x":[1,-1,-1]' in Path("other.html").read_text()


def test_a_function_may_return_a_local_energy(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(OPERATOR.format(name="first") + ENERGY)
    np.save("x.npy", np.array([[1, -1, -1]], np.int8))
    command = ["explore", "flips.py:local_energy", "--quiet"]
    assert main(command) == 0
    assert '"rung":"exponential"' in Path("flips.html").read_text()
    assert main([*command, "--input", "x.npy"]) == 0
    page = Path("flips.html").read_text()
    assert '"rung":"exponential"' in page
    assert '"x":[1,-1,-1]' in page
    assert main(["explain", "flips.py:local_energy", "--quiet"]) == 2
    assert "[T006]" in capsys.readouterr().err


def test_mistakes_have_their_codes(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, code in (
        (["flips.py", "--port", "1"], "T019"),
        (["flips.py", "--serve", "-o", "a.html"], "T019"),
        (["flips.py", "-o", "no/such/folder.html"], "C082"),
        (["missing.py"], "T001"),
        (["missing.py", "--serve"], "T001"),
        (["flips.py:other"], "T005"),
    ):
        assert main(["explore", *options, "--quiet"]) == 2
        assert f"[{code}]" in capsys.readouterr().err


def test_a_served_page_follows_the_file(file: Path, browser: Any) -> None:
    command = [sys.executable, "-m", "symir.tools.cli", "explore", "flips.py"]
    with subprocess.Popen(
        [*command, "--serve", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.match(r"(http://127\.0\.0\.1:\d+/) shows flips\.py", line)
            assert found is not None, line
            tab = browser.new_page()
            tab.goto(found[1])
            tab.get_by_role("heading", name="first", exact=True).wait_for()
            file.write_text(OPERATOR.format(name="second"))
            tab.get_by_role("heading", name="second", exact=True).wait_for()
            file.write_text("1 / 0")
            tab.get_by_text("ZeroDivisionError").first.wait_for()
            file.write_text(OPERATOR.format(name="third"))
            tab.get_by_role("heading", name="third", exact=True).wait_for()
            tab.close()
            with urllib.request.urlopen(f"{found[1]}token", timeout=10) as answer:
                assert len(answer.read()) == 16
        finally:
            process.terminate()


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--serve" in out
    assert "127.0.0.1" in out
