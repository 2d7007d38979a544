"""`symir explain`: what it tells, of which files, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import symir as sym
from symir.tools.cli import main
from symir.tools.explain import explanation

FILE = """
import symir as sym

def flips(name):
    return (
        sym.DOperator(sym.spin(0.5, 2), name, dtype="complex128")
        .for_each("i", over=[0]).emit(sym.flip("i"), amplitude=2.0)
        .for_each("i", over=[1, 0]).emit(sym.flip("i"), amplitude=3.0)
        .globally().emit(amplitude=sym.symbol("g", default=1 - 2j, dtype=complex))
        .build()
    )

one, two = flips("one"), flips("two")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flips.py"
    path.write_text(FILE)
    return path


def succeed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["explain", "--quiet", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def untimed(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest without the times of its passes."""
    passes = [{**one, "duration_ms": 0} for one in manifest["passes"]]
    return {**manifest, "passes": passes}


def compiled(file: Path, **options: Any) -> sym.SymbolicCompiledArtifact:
    namespace: dict[str, Any] = {}
    exec(file.read_text(), namespace)
    return sym.SymbolicCompiler().compile(namespace["one"], options)


def test_it_tells_what_a_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert succeed(capsys, "D001").startswith("[D001] a label is used that the term's")


def test_it_tells_what_the_manifest_says(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    text = succeed(capsys, f"{file}:one")
    manifest = json.loads(succeed(capsys, f"{file}:one", "--json"))
    assert text.startswith("one: 2 sites, complex128\n")
    assert manifest["fingerprint"] in text
    assert manifest["cache_key"]["token"] in text
    words = [line.split() for line in text.splitlines()]
    for one in manifest["passes"]:
        row = [one["pass_name"], one["stage"], f"{one['duration_ms']:.2f}"]
        row += [
            "-" if n is None else str(n) for n in (one["ops_before"], one["ops_after"])
        ]
        # A second compilation in this process is a hit: the same reports.
        assert row in words
    assert ["term0", "1", "1", "-", "1", "0"] in words
    assert ["term1", "2", "1", "-", "2", "0"] in words
    assert ["term2", "1", "1", "-", "1", "-"] in words
    assert ["in", "g", "()", "complex128", "0", "1.0-2.0j"] in words
    assert f"jax {manifest['toolchain']['jax']}" in text


def test_it_ends_with_the_facts_of_the_operator(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    text = succeed(capsys, f"{file}:one")
    words = [line.split() for line in text.partition("\nfacts\n")[2].splitlines()]
    assert words[1][:2] == ["hermitian", "no"]
    assert ["parameters", "g", "=", "1-2j"] in words
    compiled(file).save(tmp_path / "one.symir")
    saved = succeed(capsys, tmp_path / "one.symir")
    assert saved.partition("\nfacts\n")[2] == text.partition("\nfacts\n")[2]


def test_the_optimisation_report(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    text = succeed(capsys, f"{file}:one", "--cost")
    plain = json.loads(succeed(capsys, f"{file}:one", "--cost", "--json"))
    artifact = compiled(file)
    report = artifact.optimisation_report()
    assert plain == report.as_dict()
    words = [line.split() for line in text.splitlines()]
    for one in plain["passes"]:
        changed = "yes" if one["changed"] else "no"
        ops = [str(one["ops_before"]), str(one["ops_after"])]
        row = [one["name"], one["pipeline"], one["relation"], changed, *ops, "4", "4"]
        assert row in words
    assert ["term2", "1", "1", "1", "1", "0"] in [line[:6] for line in words]
    assert "@term0, @term1 become one term" in text
    artifact.save(tmp_path / "one.symir")
    saved = json.loads(succeed(capsys, tmp_path / "one.symir", "--cost", "--json"))
    assert saved == plain


def test_the_reference_backend_has_no_optimisation_report(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "one.symir"
    compiled(file, backend_preference="reference").save(saved)
    assert main(["explain", "--quiet", "--cost", str(saved)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "[C026]" in printed.err


def test_options_other_than_the_default_ones(file: Path) -> None:
    artifact = compiled(file, enable_fusion=False, cache_enabled=False)
    lines = explanation(artifact.manifest())
    assert "  cache key:   none" in lines
    assert "  options:     cache_enabled False, enable_fusion False" in lines
    assert all(line.split()[-1] == "-" for line in lines if line.startswith("term0"))


def test_the_reference_backend(file: Path) -> None:
    lines = explanation(compiled(file, backend_preference="reference").manifest())
    assert "  backend:     reference, by reference_v1" in lines
    assert "  levels:      sym, interpreted" in lines


def test_what_a_lowerer_does_not_say_is_unknown(file: Path) -> None:
    own = compiled(file, backend_preference="reference")
    artifact = sym.SymbolicCompiledArtifact(
        own.operator_ir, None, own.compiled_operator, "mine", "mine_v1"
    )
    lines = explanation(artifact.manifest())
    assert "  options:     unknown" in lines
    assert "  levels:      unknown" in lines
    assert "0 passes, 0.00 ms" in lines


def test_an_artifact_that_was_saved(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    artifact = compiled(file, cache_namespace="saved")
    saved = tmp_path / "one.symir"
    artifact.save(saved)
    manifest = json.loads(succeed(capsys, saved, "--json"))
    assert untimed(manifest) == untimed(artifact.manifest())
    assert "saved/" in succeed(capsys, f"{saved}:one")
    assert main(["explain", f"{saved}:two", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "[T005]" in error
    assert f"{saved}:one" in error


@pytest.mark.parametrize(
    ("name", "code"),
    [("flips.py", "T004"), ("flips.py:none", "T005"), ("x.npz", "T002")],
)
def test_files_that_cannot_be_explained(
    capsys: pytest.CaptureFixture[str], file: Path, name: str, code: str
) -> None:
    assert main(["explain", "--quiet", str(file.parent / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"[{code}]" in printed.err
