"""Commands that are forked run wherever temporary folders are, and as others do."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.forked import start


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An address in it is too long for a socket
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    path = os.pathsep.join([str(start()), os.environ["PATH"]])

    def run(*command: str, **other: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": path, **other}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )

    done = run("symir", "explain", "D001")
    assert done.returncode == 0
    assert done.stdout.startswith("[D001]")
    assert not done.stderr
    assert run("symir", "explain", "two words").returncode == 2
    # What Python reads when it starts is read: that call is a process of its own
    (tmp_path / "sitecustomize.py").write_text("print('started')")
    done = run("symir", "explain", "D001", PYTHONPATH=str(tmp_path))
    assert done.stdout.startswith("started\n[D001]")
