"""Batches spread over devices and processes: outputs stay where the samples are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

WORKER = Path(__file__).with_name("sharded_worker.py")
NETKET_WORKER = Path(__file__).with_name("sharded_netket_worker.py")
ROOT = Path(__file__).parents[4]


def start(
    *arguments: object, worker: Path = WORKER, **environment: str
) -> subprocess.Popen[str]:
    path = os.pathsep.join(sys.path)  # a script has its own folder in place of this one
    return subprocess.Popen(
        [sys.executable, str(worker), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return output


@cache
def on_eight_devices() -> tuple[int, str, str]:
    """Return the status, the output and the errors of one process for two tests."""
    off = {"SYMIR_FUSED_LOCAL_ENERGY": "0"}
    process = start(8, worker=NETKET_WORKER, **off)
    output, errors = process.communicate(timeout=600)
    return process.returncode, output, errors[-3000:]


def test_eight_devices():
    """What comes behind this in the process is the test below."""
    _, output, errors = on_eight_devices()
    assert "agrees 8 float64" in output, errors


def test_two_processes_of_two_devices():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [start(2, address, 2, number) for number in range(2)]
    for process in processes:
        assert "agrees 4 float64" in finish(process)


def test_variational_states_of_netket():
    """Their local energies are ours where the program says so, not the environment."""
    status, output, errors = on_eight_devices()
    assert status == 0, errors
    assert "states agree 8" in output
