"""`symir check`: what it says, what it writes, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from symir.tools.cli import main

TFIM = str(Path(__file__).parents[4] / "examples" / "tfim_chain.py")


def test_a_check_with_samples_and_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tfim.json"
    options = ["--samples", "8", "--param", "h=0.3", "--certificate", str(path)]
    assert main(["check", TFIM, "--quiet", *options]) == 0
    out = capsys.readouterr().out
    assert "tfim: valid, sampled, 8 of 256 configurations, 1 set(s)" in out
    assert json.loads(path.read_text())["parameters"] == [{"h": [0.3, 0.0]}]


def test_a_check_of_configurations_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((3, 8), np.int8))
    assert main(["check", TFIM, "--quiet", "--input", str(path)]) == 0
    assert "given, 3 of 256 configurations" in capsys.readouterr().out


def test_a_certificate_that_does_not_hold_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tfim.json"
    assert main(["check", TFIM, "--quiet", "--certificate", str(path)]) == 0
    assert main(["check", "--replay", str(path), "--quiet"]) == 0
    data = json.loads(path.read_text())
    data["stages"][0]["after"] = "0" * 64
    path.write_text(json.dumps(data))
    capsys.readouterr()
    assert main(["check", "--replay", str(path), "--quiet"]) == 1
    assert "not as certified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "T019"),
        ([TFIM, "--replay", "x.json"], "T019"),
        (["--replay", "missing.json"], "V013"),
        ([TFIM, "--param", "g=1"], "R003"),
    ],
)
def test_bad_input(
    arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--quiet", *arguments]) == 2
    assert f"[{code}]" in capsys.readouterr().err
