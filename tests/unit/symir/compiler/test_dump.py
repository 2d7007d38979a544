"""SYMIR_IR_DUMP: the stages of everything that is compiled, as files."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.text import parse_module, print_module
from symir import models
from symir.compiler.dump import VARIABLE, dumping
from symir.compiler.lowering import run_passes
from tests.unit.symir.compiler.test_diagnostics import CHAIN, MODELS


def ising() -> sym.SymbolicOperator:
    return models.transverse_field_ising(4, CHAIN)


def elements_of_ising() -> np.ndarray:
    compiled = ising().compile(cache=False)
    return compiled.get_conn_padded(np.ones((1, 4), np.int8))[1]


def index_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "index.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_every_stage_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "new" / "dump"
    monkeypatch.setenv(VARIABLE, str(folder))
    compiled = ising().compile(cache=False, coalesce="static")
    compiled.get_conn_padded(np.ones((3, 4), np.int8))
    monkeypatch.delenv(VARIABLE)
    lowered = sym.lower(ising(), coalesce="static", batch=3)
    entries = index_of(folder)
    assert [one["what"] for one in entries if one["number"] == 0] == [
        "operator",
        "kernel-3xi8",
    ]
    names = [one["pass"] for one in entries if one["number"]]
    assert names == [stage.name for stage in lowered.stages[1:]]
    files = sorted(path for path in folder.rglob("*.mlir"))
    assert [str(path.relative_to(folder)) for path in files] == [
        one["file"] for one in entries
    ]
    assert files[1].name == "01-sym-gather-terms.mlir"
    assert files[1].parent.name == "0001-transverse_field_ising-operator"
    for path, entry in zip(files, entries, strict=True):
        module = parse_module(path.read_text())
        assert sum(1 for _ in module.walk()) - 1 == entry["ops"]
    # One file more than there are passes: the beginning of the kernel is the bt level
    texts = [path.read_text().strip() for path in files]
    number = lowered.at("bt").number
    assert texts[number] == texts[number + 1] == lowered.at("bt").text
    assert texts[-1] == lowered.stage.text


def test_every_model_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    passes: list[str] = []
    for build in MODELS.values():
        artifact = sym.SymbolicCompiler().compile(build(), {"diagnostics": "off"})
        lowering = [one for one in artifact.pass_reports if one.stage == "lowering"]
        passes += ["beginning", *(one.pass_name for one in lowering)]
    assert [one["pass"] for one in index_of(tmp_path)] == passes
    assert len(list(tmp_path.rglob("*.mlir"))) == len(passes)


def test_every_run_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "0007-mine").mkdir()
    odd = sym.DOperator(sym.qubit(2), "a/b ../c").for_each_site("i").emit().build()
    for _ in range(2):
        odd.compile(cache=False)
    # A compilation that the cache answers compiles nothing
    compiler = sym.SymbolicCompiler()
    for _ in range(2):
        compiler.compile(odd)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0007-mine",
        "0008-a_b_.._c-operator",
        "0009-a_b_.._c-operator",
        "0010-a_b_.._c-operator",
        "index.jsonl",
    ]


def test_a_local_energy_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    energy = sym.LocalEnergy(ising().compile(), lambda w, x: x @ w)
    energy(np.ones(4), np.ones((2, 4), np.int8))
    entries = index_of(tmp_path)
    written = {one["what"] for one in entries}
    assert {"energy-operator", "energy", "energy-2xi8"} <= written
    assert "plan-local-energy" in [one["pass"] for one in entries]
    # What is written goes on from there
    (kernel,) = (one for one in entries if one["pass"] == "bt-narrow")
    text = (tmp_path / kernel["file"]).read_text()
    assert "stablehlo.while" not in text
    passes = "lower-local-energy{batch=2},convert-bt-to-stablehlo"
    assert "stablehlo.while" in print_module(run_passes(parse_module(text), passes))


def test_what_a_failing_pass_was_given_is_written_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(sym.SymbolicCompilerError, match="C002"):
        ising().compile(cache=False, lowering="cse,convert-sym-to-bt")
    *_, last = index_of(tmp_path)
    assert last["pass"] == "cse"


def test_a_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    monkeypatch.setenv(VARIABLE, str(taken))
    with pytest.warns(RuntimeWarning, match=r"\[C062\] SYMIR_IR_DUMP") as seen:
        elements = elements_of_ising()
    assert elements.shape == (1, 8)
    for one in seen:
        assert "a folder that can be written" in str(one.message)
        assert Path(one.filename) == Path(__file__)
    assert taken.read_text() == "mine"


def test_a_full_disk_in_the_middle_is_a_warning_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    write, module = Path.write_text, ising().to_ir().module

    def full(path: Path, text: str, **options: Any) -> int:
        if path.name.startswith("01"):
            raise OSError(28, "No space left on device")
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.warns(RuntimeWarning, match="No space left") as seen:
        ising().compile(cache=False)
    assert len(seen) == 1
    assert [one["number"] for one in index_of(tmp_path)] == [0]
    assert print_module(module)


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_written_unless_asked_for(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dumping("operator", ising().to_ir().module) is None
        ising().compile(cache=False)
    assert os.listdir(tmp_path) == []
