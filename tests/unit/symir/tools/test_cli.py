"""The command line: what each command prints and writes, and how it fails."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from dialects.interpreters.sym import connections
from dialects.text import parse_module
from symir.compiler.artifact import BranchOrigin
from symir.errors import InputError
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import Space
from symir.tools.cli import main
from symir.tools.configurations import Samples
from symir.tools.load import load_operator
from symir.tools.progress import Progress
from symir.tools.run import run as run_blocks

ROOT = Path(__file__).parent.parent.parent.parent.parent
TFIM = str(ROOT / "examples" / "tfim_chain.py")
HEISENBERG = str(ROOT / "examples" / "heisenberg_square.py")

FIELD = """
import symir as sym

field = (
    sym.DOperator(sym.spin(0.5, 2), "field", dtype="complex128")
    .for_each_site("i")
    .emit(amplitude=sym.symbol("h") * sym.site("i").value)
    .emit(amplitude=sym.symbol("g", default=1j, dtype=complex))
    .build()
)
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def field(tmp_path: Path) -> str:
    path = tmp_path / "field.py"
    path.write_text(FIELD)
    return str(path)


def succeed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run quietly and return what is printed."""
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def fail(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run with bad input and return the message."""
    assert main([*map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


# ---- emit ----


def test_emit_sym_parses_back(capsys: pytest.CaptureFixture[str]) -> None:
    text = succeed(capsys, "emit", HEISENBERG)
    assert SymbolicOperatorIR.from_text(text) == load_operator(HEISENBERG).to_ir()


@pytest.mark.parametrize("level", ["bt", "stablehlo"])
def test_emit_below_sym_parses_back(
    capsys: pytest.CaptureFixture[str], level: str
) -> None:
    text = succeed(capsys, "emit", HEISENBERG, "--level", level)
    parse_module(text)
    assert "func.func @heisenberg" in text


def test_emit_binds_batch_and_state(capsys: pytest.CaptureFixture[str]) -> None:
    text = succeed(
        capsys, "emit", TFIM, "--level=stablehlo", "--batch=32", "--state=f32"
    )
    assert "%x: tensor<32x8xf32>" in text


def test_emit_chooses_the_narrowest_state(capsys: pytest.CaptureFixture[str]) -> None:
    text = succeed(capsys, "emit", TFIM, "--level", "stablehlo")
    assert "%x: tensor<1x8xi8>" in text


@pytest.mark.parametrize(("full", "elided"), [([], True), (["--full"], False)])
def test_emit_elides_on_terminals(
    monkeypatch: pytest.MonkeyPatch, full: list[str], elided: bool
) -> None:
    for level, marker in [("sym", "28 more"), ("stablehlo", "1024 bytes>")]:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        assert main(["emit", HEISENBERG, "--level", level, *full]) == 0
        assert (marker in terminal.getvalue()) == elided


def test_emit_of_what_was_emitted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "tfim.mlir"
    path.write_text(succeed(capsys, "emit", TFIM))
    for level in ("sym", "bt", "stablehlo"):
        again = succeed(capsys, "emit", path, "--level", level)
        assert again == succeed(capsys, "emit", TFIM, "--level", level)


@pytest.mark.parametrize("option", [["--batch", "2"], ["--state", "i8"]])
def test_emit_has_no_kernel_above_stablehlo(
    capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert "[T019]" in fail(capsys, "emit", TFIM, "--level", "bt", *option)


def test_emit_refuses_a_state_that_cannot_hold_spins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ("emit", TFIM, "--level", "stablehlo", "--state", "ui8")
    assert "[T014]" in fail(capsys, *arguments)


# ---- run ----


def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: object
) -> dict[str, Any]:
    """Run and return the arrays that are written."""
    output = tmp_path / "out.npz"
    succeed(capsys, "run", *arguments, "--output", output, "--quiet")
    with np.load(output) as archive:
        return {name: archive[name] for name in archive.files}


def check(found: dict[str, Any], file: str, **parameters: complex) -> None:
    """Compare with the reference interpreter."""
    module = load_operator(file).to_ir().module
    xp, mels = connections(module, found["x"], parameters)
    np.testing.assert_array_equal(found["xp"], xp)
    np.testing.assert_allclose(found["mels"], mels, rtol=1e-6)
    assert found["xp"].dtype == found["x"].dtype


@pytest.mark.parametrize("shape", [(8,), (0, 8), (5, 8), (2, 3, 8), (2, 0, 8)])
def test_run_keeps_the_shape(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shape: tuple[int, ...]
) -> None:
    x = np.random.default_rng(1).choice(np.array([-1, 1], np.int16), shape)
    np.save(tmp_path / "x.npy", x)
    found = run(capsys, tmp_path, TFIM, "--input", tmp_path / "x.npy")
    np.testing.assert_array_equal(found["x"], x)
    assert found["x"].dtype == np.int16
    assert found["mels"].shape == (*shape[:-1], 16)
    check(found, TFIM)


@pytest.mark.parametrize("batch", [1, 3, 4, 7, 100])
def test_run_in_blocks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, batch: int
) -> None:
    arguments = (TFIM, "--random", 7, "--seed", 5)
    found = run(capsys, tmp_path, *arguments, "--batch", batch)
    np.testing.assert_array_equal(
        found["x"], load_operator(TFIM).space.random_states(7, 5)
    )
    check(found, TFIM)


def test_run_writes_where_lanes_come_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, field: str
) -> None:
    found = run(capsys, tmp_path, field, "--random", 1, "--param", "h=2")
    assert found["term"].tolist() == ["term0"] * 4
    assert found["row"].tolist() == [0, 0, 1, 1]
    assert found["emission"].tolist() == [0, 1, 0, 1]
    assert found["tag"].tolist() == [""] * 4
    tfim = run(capsys, tmp_path, TFIM, "--random", 1)
    assert tfim["term"].tolist() == ["bonds"] * 8 + ["field"] * 8
    assert tfim["tag"].tolist() == ["zz"] * 8 + ["flip"] * 8


def test_run_binds_parameters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, field: str
) -> None:
    parameters = ("--param", "h=0.5", "--param", "g=1-2j")
    found = run(capsys, tmp_path, field, "--random", 3, *parameters)
    check(found, field, h=0.5, g=1 - 2j)
    found = run(capsys, tmp_path, field, "--random", 3, "--param", "h=-1e-3")
    check(found, field, h=-1e-3)


def test_run_reads_csv(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("1,1,1,1,-1,-1,-1,-1\n-1,1,1,1,-1,-1,-1,-1\n")
    found = run(capsys, tmp_path, TFIM, "--input", path)
    assert found["x"].dtype == np.int8
    check(found, TFIM)
    found = run(capsys, tmp_path, TFIM, "--input", path, "--dtype", "float32")
    assert found["x"].dtype == np.float32
    check(found, TFIM)


def test_run_prints_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1] * 8, [-1] * 8, [1] * 8], np.int8))
    arguments = ("run", TFIM, "--input", tmp_path / "x.npy", "--param", "h=0.5")
    lines = succeed(capsys, *arguments, "--rows", 2, "--lanes", 4).splitlines()
    header, first, *_ = (
        "  lane  term   row  sites    emits  x'        changes     <x|O|x'>",
        "     0  bonds    0  i=0 j=1  zz     ++++++++  none               1",
        "     1  bonds    1  i=1 j=2  zz     ++++++++  none               1",
        "  ... 12 more ...",
        "    14  field    6  i=6      flip   ++++++-+  6: 1 -> -1      -0.5",
        "    15  field    7  i=7      flip   +++++++-  7: 1 -> -1      -0.5",
    )
    assert lines[0] == "tfim on spin(1/2, 8): 16 lanes (bonds 8, field 8)"
    assert lines[3] == "sample 0: x = ++++++++"
    assert lines[4:6] == [header, first]
    assert "sample 1: x = --------" in lines
    assert not any(line.startswith("sample 2") for line in lines)
    assert lines[-1] == ("in all: 3 x 16 = 48 lanes, 48 with a nonzero matrix element")


def test_run_shows_nothing_of_no_samples(capsys: pytest.CaptureFixture[str]) -> None:
    lines = succeed(capsys, "run", TFIM, "--random", 0).splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("in all: 0 x 16 = 0 lanes")


def test_run_says_what_is_not_finite(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "o.py"
    path.write_text(
        "import symir as sym\n"
        "o = (sym.DOperator(sym.spin(0.5, 2)).for_each_site('i')\n"
        "     .emit(amplitude=sym.sqrt(sym.site('i').value)).build())\n"
    )
    np.save(tmp_path / "x.npy", np.array([[1, -1]]))
    text = succeed(capsys, "run", path, "--input", tmp_path / "x.npy")
    assert "warning: 1 matrix elements not finite" in text


def test_run_tells_its_progress(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", TFIM, "--random", "40", "--batch", "1"]) == 0
    printed = capsys.readouterr()
    stages = ("reading", "starting JAX", "lowering tfim", "compiling", "running 40")
    for stage in stages:
        assert stage in printed.err
    assert "running 40 samples ... 20/40" in printed.err
    assert main(["run", TFIM, "--random", "40", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_run_of_an_operator_without_terms(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "nothing.mlir"
    path.write_text(
        "sym.operator @nothing() space #sym.space<2 x [0, 1]> element f64 {}"
    )
    found = run(capsys, tmp_path, path, "--random", 3)
    assert found["xp"].shape == (3, 0, 2)
    assert found["term"].shape == (0,)


def test_run_says_when_memory_is_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Space, "random_states", exhausted)
    assert "not enough memory" in fail(capsys, "run", TFIM, "--random", 3, "--quiet")


def test_run_accepts_mlir(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "tfim.mlir"
    path.write_text(succeed(capsys, "emit", TFIM).replace("f64", "f32"))
    check(run(capsys, tmp_path, path, "--random", 3), TFIM)


# ---- bad input ----


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--param", "k=1"], ["[R003]", "found:    k", "expected: h"]),
        (["--param", "h"], ["[T016]", "found:    'h'"]),
        (["--param", "=1"], ["[T016]"]),
        (["--param", "h=x"], ["[T016]"]),
        (["--param", "h=nan"], ["[T016]"]),
        (["--param", "h=1j"], ["[R005]", "fits float64"]),
        (["--param", "h=1", "--param", "h=2"], ["[T016]", "twice"]),
        (["--dtype", "uint8"], ["[T014]", "cannot hold -1"]),
        (["--output", "none/out.npz"], ["[T015]", "No such file"]),
        (["--output", "out.txt"], ["[T015]", "'.txt'"]),
    ],
    ids=" ".join,
)
def test_run_refuses(
    capsys: pytest.CaptureFixture[str], arguments: list[str], parts: list[str]
) -> None:
    message = fail(capsys, "run", TFIM, "--random", "3", "--quiet", *arguments)
    for part in parts:
        assert part in message
    # No place in our own code, nor in that of whoever calls main
    assert "  at: " not in message


def test_run_refuses_a_missing_value(
    capsys: pytest.CaptureFixture[str], field: str
) -> None:
    message = fail(capsys, "run", field, "--random", "3", "--quiet")
    assert "[T018]" in message
    assert "--param h=1.0" in message


def test_run_refuses_a_seed_without_random(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("run", TFIM, "--input", tmp_path / "x.npy", "--seed", "1")
    assert "[T019]" in fail(capsys, *arguments)


class Exhausted:
    """Stands for a compiled operator that runs out of memory at its third call."""

    def __init__(self) -> None:
        self.calls = 0

    def get_conn_padded(self, x: Any) -> tuple[Any, Any]:
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore")
        return np.repeat(x[:, None], 2, axis=1), np.ones((len(x), 2))


def test_a_run_that_fails_leaves_no_file(tmp_path: Path) -> None:
    layout = [BranchOrigin("t", row, 0, None) for row in range(2)]
    with pytest.raises(InputError) as caught:
        run_blocks(
            cast(Any, Exhausted()),
            Samples(np.ones((6, 3), np.int8), np.dtype(np.int8)),
            layout,
            block=2,
            show=1,
            output=tmp_path / "out.npz",
            progress=Progress(io.StringIO()),
        )
    assert caught.value.code == "T021"
    assert caught.value.found == "RESOURCE_EXHAUSTED: Out of memory"
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["run", TFIM],
        ["run", TFIM, "--random", "3", "--input", "x.npy"],
        ["run", TFIM, "--random", "-1"],
        ["run", TFIM, "--random", "99999999999999999999"],
        ["run", TFIM, "--random", "3", "--batch", "0"],
        ["run", TFIM, "--random", "3", "--dtype", "str"],
        ["emit", TFIM, "--level", "xla"],
        ["emit", TFIM, "--level", "stablehlo", "--state", "i7"],
        ["emit", TFIM, "--level", "stablehlo", "--batch", "many"],
    ],
    ids=" ".join,
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert fail(capsys, *arguments).startswith("usage: symir")


def test_bad_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "[T001]" in fail(capsys, "emit", tmp_path / "none.py")
    (tmp_path / "x.csv").write_text("1,,1\n")
    arguments = ("run", TFIM, "--input", tmp_path / "x.csv", "--quiet")
    message = fail(capsys, *arguments)
    assert "[T010]" in message
    assert f"at:       {tmp_path / 'x.csv'}:1" in message


def test_a_mistake_in_the_definition(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import symir as sym\n\nop = sym.DOperator(sym.spin(0.3, 2))\n")
    message = fail(capsys, "emit", path)
    assert "[S009]" in message
    assert f"{path}:3" in message


def test_an_exception_in_the_users_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "broken.py"
    path.write_text("def f():\n    return {}['k']\n\nop = f()\n")
    assert main(["emit", str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    # Python's versions underline different parts of a line
    assert [line for line in lines if line.strip(" ~^")] == [
        f"{path} could not be run",
        "Traceback (most recent call last):",
        f'  File "{path}", line 4, in <module>',
        "    op = f()",
        f'  File "{path}", line 2, in f',
        "    return {}['k']",
        "KeyError: 'k'",
    ]


# ---- help, version, demo ----


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert succeed(capsys, "--version").startswith("symir 0.")


@pytest.mark.parametrize("command", [[], ["emit"], ["run"], ["demo"]])
def test_help(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    text = succeed(capsys, *command, "--help")
    assert text.startswith("usage: symir")
    assert max(map(len, text.splitlines())) <= 90


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    text = succeed(capsys, "demo", "--quiet")
    assert text.isascii()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 110
    positions = [
        text.index(part)
        for part in (
            "1. The operator, in Python",
            'sym.DOperator(sym.spin(0.5, n), "tfim"',
            "2. Level sym",
            "sym.term @bonds",
            "3. Level bt",
            "bt.branches",
            "4. Level stablehlo",
            "stablehlo.select",
            "5. Connected states",
            "sample 0: x = ",
            "<x|O|x'>",
            "6. Your own",
        )
    ]
    assert positions == sorted(positions)


def test_demo_shows_python_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = succeed(capsys, "demo", "--quiet")
    start = text.index("  import symir")
    source = text[start : text.index("2. Level sym")]
    namespace: dict[str, Any] = {}
    exec("\n".join(line[2:] for line in source.splitlines()), namespace)
    assert str(namespace["operator"].to_ir().operator_name) == "tfim"


# ---- as a process ----


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


CALL = "import sys; from symir.tools.cli import main; sys.exit(main(sys.argv[1:]))"


def test_running_without_jax_is_explained() -> None:
    blocked = f"import sys; sys.modules.update(jax=None, jaxlib=None); {CALL}"
    done = python(blocked, "run", TFIM, "--random", "3", "--quiet")
    assert done.returncode == 2
    assert "[T020]" in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_in_double_precision(tmp_path: Path) -> None:
    output = tmp_path / "out.npz"
    arguments = ("run", TFIM, "--random", "3", "--output", str(output))
    for asked, dtype in [("", np.float64), ("0", np.float32)]:
        environment = {"JAX_ENABLE_X64": asked} if asked else {}
        done = python(CALL, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        with np.load(output) as archive:
            assert archive["mels"].dtype == dtype


def test_a_reader_that_stops_early(tmp_path: Path) -> None:
    path = tmp_path / "o.py"
    path.write_text(
        "import symir as sym\n"
        "o = sym.DOperator(sym.qubit(128)).for_each_pair().emit().build()\n"
    )
    # More than a pipe holds, so that the command is still writing when head stops
    command = f"{sys.executable} -c '{CALL}' emit {path} | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "s", "")


def test_names_in_any_script(tmp_path: Path) -> None:
    path = tmp_path / "o.py"
    path.write_text(
        "import symir as sym\n"
        "o = sym.DOperator(sym.qubit(2), '\u03c3').for_each_site().emit().build()\n",
        encoding="utf-8",
    )
    done = python(CALL, "emit", str(path), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
