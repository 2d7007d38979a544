"""Commands of symir without their start, which takes a second for each of some 250.

A process imports what commands import and forks for each call: a call has its own
arguments, environment, folder and streams as any process has. What a command does when
it starts is tested elsewhere, with processes of their own.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

COMMANDS = {
    "symir": "symir.tools.cli",
    "symir-opt": "symir.tools.opt",
    "xdsl-opt": "xdsl.tools.xdsl_opt",
    "filecheck": "filecheck.main",
}
AT_IMPORT = ("JAX_", "XLA_", "SYMIR_", "PYTHON")
"""Settings that are read at imports begin so: calls with others start a process."""

LONGEST_ADDRESS = 100
"""Most bytes of the address of a socket, which Linux cuts off behind 108."""

CALL = """\
#!/bin/sh
'''exec' "{python}" -ISE "$0" "$@"
'''
import json, os, socket, sys
call = json.dumps([{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(call).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(call)
    status = server.recv(1)
sys.exit(status[0] if status else "the command ended without a status")
"""


def start(environment: Mapping[str, str] | None = None) -> Path:
    """Start the process; return a folder with commands, for the front of `PATH`.

    It ends with the process that called this. Calls have the same environment, or start
    a process of their own. On macOS commands start as ever: its frameworks do not
    outlive a fork.
    """
    if sys.platform == "darwin":
        return Path(sys.executable).parent
    folder = Path(tempfile.mkdtemp(prefix="symir-commands-"))
    if len(os.fsencode(folder / "socket")) > LONGEST_ADDRESS:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="symir-commands-", dir="/tmp"))
    address = str(folder / "socket")
    for name in COMMANDS:
        path = folder / name
        path.write_text(CALL.format(python=sys.executable, name=name, address=address))
        path.chmod(0o755)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    root = Path(__file__).parent.parent
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", str(listening.fileno())],
        stdin=subprocess.PIPE,
        pass_fds=[listening.fileno()],
        cwd=root,
        env={"PYTHONPATH": str(root), **(environment or os.environ)},
    )
    listening.close()

    @atexit.register
    def end() -> None:
        if os.getpid() == owner:  # and not a worker that was forked
            server.kill()
            server.communicate()
            shutil.rmtree(folder, ignore_errors=True)

    owner = os.getpid()
    return folder


def settings(environment: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if k.startswith(AT_IMPORT)}


def run(name: str, arguments: list[str], environment: dict[str, str]) -> int:
    """Run a command in this process, which was forked for it; return its status."""
    environment.setdefault("PYTHONPATH", os.environ["PYTHONPATH"])
    if settings(environment) != settings(dict(os.environ)):
        real = Path(sys.executable).parent / name
        os.execve(real, [name, *arguments], environment)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [name, *arguments]
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)
    try:
        status = import_module(COMMANDS[name]).main()
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        print(status, file=sys.stderr)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return int(status or 0)


def answer(connection: socket.socket) -> None:
    """Do what one call asks for, and say how it ended."""
    size, streams, *_ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as file:
        name, arguments, folder, environment = json.loads(
            file.read(int.from_bytes(size, "big"))
        )
    child = os.fork()
    if child == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os._exit(run(name, arguments, environment) % 256)
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(bytes([status % 256]))


def serve(listening: socket.socket) -> None:
    """Answer calls, each in a process of its own, until standard input ends."""
    for module in COMMANDS.values():  # and not JAX, which commands configure before
        import_module(module)
    # From 3.12 on Python warns of forks beside threads: those of BLAS, which are idle
    warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
    gc.freeze()
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            if any(key.fd == 0 for key, _ in selector.select()):
                shutil.rmtree(Path(listening.getsockname()).parent, ignore_errors=True)
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                selector.close()
                listening.close()
                answer(connection)
                os._exit(0)
            connection.close()
            with suppress(ChildProcessError):  # there is none that has not ended
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
