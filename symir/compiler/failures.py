"""Errors of a stage, with the place where they came up.

Whatever goes wrong in a compilation is a `SymbolicCompilerError` that names the stage,
the pass if there was one, and the operator, keeps what raised it as its cause, and has
the reports of the passes so far.

What only makes something faster may fail: the result is the same without it, and
`tolerated` says what happened. A fault of symir it is all the same: `SYMIR_STRICT=1` in
the environment makes an error of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from lowering.remarks import Remark
from symir.compiler.context import SymbolicPassReport
from symir.errors import PrecisionWarning, SymbolicCompilerError, SymirError

STRICT = "SYMIR_STRICT"
"""The environment variable with which what could be left out has to succeed."""

OUR_FAULT = (
    "this is a fault of symir and not yours; results are right, and take longer: "
    "please report it with op.to_ir(), the network, and the traceback that there is "
    f"with {STRICT}=1 in the environment"
)
"""Message of a failure that nobody has foreseen."""

_LOG = logging.getLogger("symir")

_HINTS = {
    "extraction": "look at how the operator is built: op.to_ir() fails as well",
    "pre-cache": "check the scope of labels and the parameters of updates: "
    "print(op.to_ir()) shows what the operator says",
    "post-cache": "check fanouts, and what fusion assumes: "
    "SymbolicCompilerOptions(enable_fusion=False) compiles without it",
    "lowering": "look at what the backend can do, and at the IR in front of the pass: "
    "print(op.to_ir())",
}


def summary(error: BaseException) -> str:
    """Return an error in one line: its code or type, and what it says."""
    if isinstance(error, SymirError):
        return f"[{error.code}] {error.message}"
    return f"{type(error).__name__}: {error}"


def tolerated(error: Exception, what: str) -> Remark:
    """Return a remark on a failure that only makes something slower, and log it.

    `what` says what failed, or what is done instead.

    Raises the error where the environment says so.
    """
    if os.environ.get(STRICT, "0") not in ("", "0", "false"):
        raise error
    message = f"{what}: {summary(error.__cause__ or error)}".partition("\n")[0]
    hint = OUR_FAULT if _is_ours(error) else None
    _LOG.warning("%s", f"{message}. {hint}" if hint else message)
    return Remark(False, message, hint)


def _is_ours(error: Exception) -> bool:
    """Whether nobody has foreseen an error: those that have a code say what to do."""
    if isinstance(error, SymbolicCompilerError):
        cause = error.__cause__
        return cause is not None and not isinstance(cause, SymirError)
    return not isinstance(error, SymirError)


@contextmanager
def blamed_on(
    operator: str,
    stage: str,
    pass_name: str | None = None,
    reports: Sequence[SymbolicPassReport] = (),
) -> Generator[None]:
    """Complete the errors of a stage, or of a pass in it.

    Raises:
        SymbolicCompilerError: for every exception: the compiler's own as they are, with
            what they do not know yet; others as the failure of a pass (C010) or stage
            (C014), with what a `SymirError` knows kept. A warning that the user has
            made an error stays what it is.
    """
    try:
        yield
    except PrecisionWarning:
        raise
    except SymbolicCompilerError as error:
        error.blame(stage=stage, pass_name=pass_name, operator=operator)
        error.hint = error.hint or _HINTS[stage]
        error.pass_reports = tuple(reports)
        raise
    except Exception as error:
        failure = _failure(error, operator, stage, pass_name)
        failure.pass_reports = tuple(reports)
        raise failure from error


def _failure(
    error: Exception, operator: str, stage: str, pass_name: str | None
) -> SymbolicCompilerError:
    ours = error if isinstance(error, SymirError) else None
    return SymbolicCompilerError(
        "C010" if pass_name else "C014",
        f"the pass '{pass_name}' failed" if pass_name else f"the {stage} stage failed",
        stage=stage,
        pass_name=pass_name,
        operator=operator,
        term=ours and ours.term,
        emission=ours and ours.emission,
        location=ours and ours.location,
        expected=ours and ours.expected,
        found=summary(error),
        hint=(ours and ours.hint) or _HINTS[stage],
    )
