"""A foreign package `dialects` or `lowering` is named, not stumbled over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.symir.test_without_jax import run


@pytest.mark.parametrize("name", ["dialects", "lowering"])
@pytest.mark.parametrize("as_package", [True, False])
def test_a_foreign_package_is_named(
    name: str, as_package: bool, tmp_path: Path
) -> None:
    foreign = tmp_path / (f"{name}/__init__.py" if as_package else f"{name}.py")
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("answer = 42\n")
    result = run("import symir", tmp_path, cwd=tmp_path)
    assert result.returncode == 1
    assert "[P001]" in result.stderr
    assert str(foreign) in result.stderr
    assert f"symir's package '{name}'" in result.stderr


def test_a_foreign_package_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "dialects.py").write_text("import does_not_exist\n")
    result = run("import symir", tmp_path, cwd=tmp_path)
    assert result.returncode == 1
    assert "[P001]" in result.stderr
