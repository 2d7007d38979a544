"""`symir reduce`: how an operator fails, by a check that is built in or a command."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from symir.operator.symbolic_operator import SymbolicOperator
from symir.tools.faults import Fault
from symir.tools.progress import Progress
from symir.validation import blamed_pass, error_code
from symir.validation.reduction import Reduction, Size, reduced

if TYPE_CHECKING:
    from symir.runtime.local_energy import LocalEnergy

BUILT_IN = ("bisect", "compile")
"""Kinds of checks, beside commands."""

_NO_COMMAND = (126, 127)
"""Exit codes of a shell that found nothing to run."""

SAMPLES = 16
"""Configurations that are looked at by default."""

Check = Callable[[SymbolicOperator], Any]


def reduce(
    operator: SymbolicOperator,
    check: str,
    *,
    energy: tuple[LocalEnergy, Any, Any] | None,
    passes: str | None,
    parameters: Mapping[str, complex] | None,
    seed: int,
    samples: int | None,
    timeout: float,
    limit: int,
    progress: Progress,
) -> Reduction:
    """Make an operator smaller as long as it fails in the same way.

    Or its local energy does, with parameters of the network and x.

    Raises:
        InputError: where it does not fail (C070), for a command that cannot be run
            (T022), and for arguments that do not fit.
        SymbolicCompilerError: for a text that is no pass pipeline (C008).
    """

    def show(done: int, _: Size) -> None:
        progress.count(done, limit)

    with TemporaryDirectory(prefix="symir-reduce-") as folder:
        if check == "compile":
            fails = error_code(partial(_compile, energy))
        elif check == "bisect":
            options: dict[str, Any] = {"seed": seed, "samples": samples or SAMPLES}
            own = {"pipeline": passes, "parameters": parameters}
            if energy is None:
                options |= own
            elif any(own.values()):
                raise Fault.MISPLACED_OPTION.error(
                    "a local energy knows its passes, and values of its parameters",
                    expected="neither --passes nor --param",
                    found="one of them",
                )
            # What a pass did shows without JAX, which takes longest
            fails = blamed_pass(energy=energy, executable=False, **options)
            if fails(operator) is None:
                fails = blamed_pass(energy=energy, **options)
        else:
            fails = command(check, Path(folder) / "operator.mlir", timeout)
        return reduced(operator, fails, checks=limit, progress=show)


def _compile(
    energy: tuple[LocalEnergy, Any, Any] | None, operator: SymbolicOperator
) -> None:
    compiled = operator.compile(cache=False)
    if energy is not None:
        local, *arguments = energy
        local.of(compiled)(*arguments)


def command(text: str, file: Path, timeout: float) -> Check:
    """Return the check whether a command of the shell fails: how is its exit code.

    The command gets `file`, where the operator is written to, in the place of `{}`, or
    at its end. What takes longer than so many seconds does not fail.
    """
    name = shlex.quote(str(file))
    line = text.replace("{}", name) if "{}" in text else f"{text} {name}"

    def check(operator: SymbolicOperator) -> str | None:
        file.write_text(operator.to_ir().text() + "\n")
        code = _exit_code(line, timeout)
        if code in _NO_COMMAND:
            raise Fault.NOT_RUNNABLE.error(
                "the command of --check cannot be run",
                expected=f"{' or '.join(BUILT_IN)}, or a command of the shell",
                found=f"{text!r}, which ends with exit code {code}",
            )
        return f"exit code {code}" if code else None

    return check


def _exit_code(line: str, timeout: float) -> int | None:
    """Run a command, and return its exit code, None where it is not done in time."""
    with subprocess.Popen(
        line,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            return None
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a shell with everything that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
