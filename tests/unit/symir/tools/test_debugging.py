"""`symir bisect`, `symir reduce` and what `symir-opt` prints between passes."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dialects.text import parse_module
from symir.operator.ir import SymbolicOperatorIR
from symir.tools.cli import main
from symir.tools.colours import coloured, coloured_diff, tokens
from symir.tools.load import load_operator
from symir.tools.opt import main as opt
from symir.tools.reduce import command
from symir.tools.show import Style, difference

ROOT = Path(__file__).parent.parent.parent.parent.parent
TFIM = str(ROOT / "examples" / "tfim_chain.py")
HUBBARD = str(ROOT / "examples" / "bose_hubbard_chain.py")

UNGUARDED = "sym-guard-undefined,sym-expand-updates,sym-forward-reads,convert-sym-to-bt"

_CODE = re.compile("\x1b\\[[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    main([*map(str, arguments), "--quiet"])
    return capsys.readouterr().out


# region Colours


def test_tokens_are_the_text() -> None:
    text = load_operator(TFIM).to_ir().text() + '\n  // a "comment" %x\n^bb0(%x_1#2'
    pieces = list(tokens(text))
    assert "".join(piece for _, piece in pieces) == text
    for kind, piece in (
        ("op", "sym.read"),
        ("value", "%x_i"),
        ("value", "%x_1#2"),
        ("value", "^bb0"),
        ("symbol", "@tfim"),
        ("type", "tensor"),
        ("type", "!sym.config"),
        ("type", "#sym.rows"),
        ("type", "f64"),
        ("string", '"h"'),
        ("number", "-1"),
        ("number", "1.000000e+00"),
        ("comment", '// a "comment" %x'),
    ):
        assert (kind, piece) in pieces, piece


def test_colours_change_nothing_else() -> None:
    text = load_operator(HUBBARD).to_ir().text()
    assert coloured(text) != text
    assert _CODE.sub("", coloured(text)) == text
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z\n\n"
    assert _CODE.sub("", coloured_diff(diff)) == diff
    assert coloured_diff(" z") == " z"


# endregion
# region symir-opt


def printed_by_opt(*arguments: str) -> None:
    opt([*arguments, "--print-between-passes"])


def shown_by_opt(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Return what is printed on a terminal."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal)
    printed_by_opt(*arguments)
    return terminal.getvalue()


@pytest.fixture
def tfim(tmp_path: Path) -> str:
    path = tmp_path / "tfim.mlir"
    path.write_text(load_operator(TFIM).to_ir().text())
    return str(path)


def test_passes_are_shown_in_colours_on_a_terminal(
    tfim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (tfim, "-p", "cse,sym-forward-reads,sym-expand-updates")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = shown_by_opt(monkeypatch, *arguments)
    bold = "\x1b[1m// pass 1 of 3: cse: 14 ops, nothing changed\x1b[0m\n"
    assert shown.startswith(bold)
    # The IR between passes and the result below them
    assert shown.count(coloured("builtin.module {\n")) == 2
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown_by_opt(monkeypatch, *arguments) == _CODE.sub("", shown)


def test_no_colours_in_pipes_and_files(
    tfim: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mlir"
    printed_by_opt(tfim, "-p", "sym-forward-reads,cse", "-o", str(out))
    between = capsys.readouterr().out
    assert "\x1b" not in between + out.read_text()
    assert between.startswith("// pass 1 of 2: sym-forward-reads: 14 -> 14 ops\n")
    parse_module(between)
    # The last pass changed nothing, and the result is in the file
    assert between.count("builtin.module") == 1
    parse_module(out.read_text())


def test_each_chunk_is_counted_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = load_operator(TFIM).to_ir().text()
    path = tmp_path / "two.mlir"
    path.write_text(f"{text}\n// -----\n{text}")
    printed_by_opt(str(path), "-p", "cse", "--split-input-file")
    headline = "// pass 1 of 1: cse: 14 ops, nothing changed\n"
    assert capsys.readouterr().out.count(headline) == 2


@pytest.mark.parametrize(
    ("text", "passes", "told"),
    [
        ("garbage", "cse", "garbage is not registered"),
        ("%a = stablehlo.negate %b : tensor<f64>", "cse", "%b"),
        ("builtin.module {}", "nothing", "Unrecognized passes: ['nothing']"),
        ("builtin.module {}", "cse{", "error: "),
        (None, "cse", "No such file"),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(
    text: str | None, passes: str, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "input.mlir"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as caught:
        opt([str(file), "-p", passes, "--print-between-passes"])
    assert str(caught.value.code).startswith("error: ")
    assert told in str(caught.value.code)


def test_a_pass_that_fails_is_told_without_a_traceback(tfim: str) -> None:
    with pytest.raises(SystemExit, match="error: bt-specialize: the batch size"):
        opt([tfim, "-p", "bt-specialize{batch=-1 state=i8}", "--print-between-passes"])


def test_without_passes_nothing_is_added(
    tfim: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed_by_opt(tfim)
    assert capsys.readouterr().out.startswith("builtin.module")


# endregion
# region bisect


def test_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "name the first pass that changes what an operator computes" in shown
    assert "make an operator that fails small, as a .mlir file" in shown


def test_bisect_exits_by_what_it_finds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bisect", TFIM, "-p", "sym-fuse-terms", "--quiet"]) == 0
    assert "none of 1 passes is to blame" in capsys.readouterr().out
    assert main(["bisect", HUBBARD, "-p", UNGUARDED, "--quiet"]) == 1
    shown = capsys.readouterr().out
    assert "pass 4, convert-sym-to-bt, is to blame" in shown
    assert f"at {HUBBARD}:" in shown
    assert "lines are left out here" in shown
    assert max(map(len, shown.splitlines())) < 200


def test_bisect_shows_everything_that_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    brief = output_of(capsys, "bisect", HUBBARD, "-p", UNGUARDED)
    full = output_of(capsys, "bisect", HUBBARD, "-p", UNGUARDED, "--full")
    assert len(full.splitlines()) > len(brief.splitlines())
    assert "left out" not in full


def test_bisect_takes_configurations_and_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(",".join(["0"] * 8))
    arguments = ("bisect", HUBBARD, "-p", UNGUARDED, "--input", path)
    assert "expected [0, 0, 0, 0, 0, 0, 0, 0]" not in output_of(capsys, *arguments)
    path.write_text(",".join(["3"] * 8))
    assert "x = [3.0, 3.0," in output_of(capsys, *arguments)
    assert main(["bisect", TFIM, "--param", "J=1", "--quiet"]) == 2
    assert "[R003]" in capsys.readouterr().err


def test_bisect_shows_what_a_failing_pass_was_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = output_of(capsys, "bisect", HUBBARD, "-p", "cse,convert-sym-to-bt")
    assert "[C002] the pass 'convert-sym-to-bt' failed" in shown
    assert "sym.shift" in shown
    assert sys.argv[0] not in shown


def test_differences_have_colours_on_terminals() -> None:
    assert difference("", Style()) == ""
    assert difference("-a\n+b", Style()) == "-a\n+b\n"
    assert "\x1b[31m-a\x1b[0m" in difference("-a\n+b", Style(colours=True))


# endregion
# region reduce


def test_reduce_prints_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["reduce", HUBBARD, "--check", "! grep -q stablehlo.sqrt"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    ir = SymbolicOperatorIR.from_text(printed.out)
    assert [op.name for op in ir.operator.walk()] == [
        *("sym.operator", "sym.term", "stablehlo.constant", "stablehlo.sqrt"),
        "sym.emit",
    ]
    assert "fails as before (exit code 1)" in printed.err


def test_reduce_writes_a_file_that_symir_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.mlir"
    shown = output_of(capsys, "reduce", HUBBARD, "-p", UNGUARDED, "--output", path)
    assert shown.endswith(f"written to {path}\n")
    assert main(["bisect", str(path), "-p", UNGUARDED, "--quiet"]) == 1


def test_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["reduce", HUBBARD, "--check", "! grep -q sqrt", "--limit", "2"]
    assert main(arguments) == 0
    assert "after 2 checks, which were too few to be done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--check", "compile", "-p", "cse"], "T019"),
        (["--check", "no_such_command_of_any_shell"], "T022"),
        (["--check", "true"], "C070"),
        (["--output", "small.txt"], "T015"),
        (["--output", "/no/such/folder/small.mlir"], "T015"),
        (["-p", "no-such-pass"], "C008"),
    ],
)
def test_bad_reductions(
    arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reduce", HUBBARD, "--quiet", *arguments]) == 2
    printed = capsys.readouterr()
    assert f"[{code}]" in printed.err
    assert printed.out == ""


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., object]:
    def run(text: str, timeout: float = 10) -> object:
        file = tmp_path / "with space.mlir"
        return command(text, file, timeout)(load_operator(TFIM))

    return run


def test_commands(check: Callable[..., object], tmp_path: Path) -> None:
    assert check("grep -q sym.operator") is None
    assert check("grep -q nothing_of_that_kind") == "exit code 1"
    assert check("grep -q sym.operator {} && exit 3") == "exit code 3"
    # What hangs does not fail, and nothing of it is left
    left = tmp_path / "left"
    assert check(f"(sleep 2; touch '{left}') & sleep 2; exit 3; true", 0.2) is None
    assert not left.exists()


# endregion
