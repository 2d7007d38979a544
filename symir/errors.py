"""Errors that users meet.

Every error has a code of `symir.catalogue`, names the operator, term and emission it
belongs to as far as they are known, the user's file and line, what was expected, what
was found, and what to do about it.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from symir.catalogue import CODES

_NOT_THE_USERS = {
    *("symir", "dialects", "lowering", "xdsl", "xdsl_jax"),
    *("flax", "jax", "netket", "numpy", "plum"),
    *sys.stdlib_module_names,
}
"""Packages that stand between the user's code and an error."""


@dataclass(frozen=True)
class SourceLocation:
    """A place in the user's code, or in a text of IR, where the column is known too."""

    file: str
    line: int
    column: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        column = "" if self.column is None else f":{self.column}"
        return f"{self.file}:{self.line}{column}"


def _is_the_users(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] not in _NOT_THE_USERS


def user_location() -> SourceLocation | None:
    """Return the innermost stack frame that is the user's code."""
    frame = inspect.currentframe()
    while frame is not None and not _is_the_users(frame):
        frame = frame.f_back
    if frame is None:
        return None
    return SourceLocation(frame.f_code.co_filename, frame.f_lineno)


def error_text(
    headline: str, blamed: Mapping[str, str | None], details: Mapping[str, object]
) -> str:
    """Return the text of an error: what, in which part, and a line for each detail.

    Parts and details that are unknown are left out.
    """
    named = ", ".join(f"{kind} '{name}'" for kind, name in blamed.items() if name)
    known = {"in": named, **details}
    lines = (f"  {key + ':':<9} {value}" for key, value in known.items() if value)
    return "\n".join([headline, *lines])


class SymirError(Exception):
    """Base class of every error that symir raises on purpose.

    The attributes hold what the message says, for tools that want to show it their own
    way; each is None where it is unknown.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        operator: str | None = None,
        term: str | None = None,
        emission: str | None = None,
        location: SourceLocation | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ):
        self.code = code
        self.message = message
        self.operator = operator
        self.term = term
        self.emission = emission
        self.location = location if location is not None else user_location()
        self.expected = expected
        self.found = found
        self.hint = hint
        super().__init__(message)

    @property
    def summary(self) -> str | None:
        """Summary of the code; None for a code that is not symir's."""
        return CODES.get(self.code)

    def _blamed(self) -> dict[str, str | None]:
        return {"operator": self.operator, "term": self.term, "emission": self.emission}

    def __str__(self) -> str:
        details = {
            "at": self.location,
            "expected": self.expected,
            "found": self.found,
            "hint": self.hint,
        }
        return error_text(f"[{self.code}] {self.message}", self._blamed(), details)


class DefinitionError(SymirError, ValueError):
    """An operator, a space or an expression was written in a way that means nothing."""


class UnfinishedError(DefinitionError, AttributeError):
    """Error for methods that an operator has only when built, or compiled: D087."""

    def __init__(self, what: str, call: str, operator: Any):
        super().__init__(
            "D087",
            f"{what} comes after .{call}",
            expected=f"what .{call} returns",
            found=f"{operator!r}",
        )


class SymbolicCompilerError(SymirError, ValueError):
    """A well-formed operator cannot be compiled as it was asked for.

    Attributes:
        stage: the stage of the compilation: "extraction", "pre-cache", "post-cache",
            "lowering"; None outside of one.
        pass_name: the pass that failed, if any.
        pass_reports: the reports of the passes up to there, in order.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        stage: str | None = None,
        pass_name: str | None = None,
        **details: Any,
    ):
        super().__init__(code, message, **details)
        self.stage = stage
        self.pass_name = pass_name
        self.pass_reports: tuple[Any, ...] = ()

    @property
    def operator_name(self) -> str | None:
        """The name of the operator."""
        return self.operator

    def _blamed(self) -> dict[str, str | None]:
        return {**super()._blamed(), "pass": self.pass_name}

    def blame(
        self,
        *,
        stage: str | None = None,
        pass_name: str | None = None,
        operator: str | None = None,
    ) -> None:
        """Say where the error came up, as far as it does not know yet."""
        self.stage = self.stage or stage
        self.pass_name = self.pass_name or pass_name
        self.operator = self.operator or operator


class StageError(SymirError, ValueError):
    """A call does not fit the stage that IR is at: C060.

    Attributes:
        got: what was found, as `found`.
    """

    def __init__(
        self, expected: str, got: str, hint: str | None = None, **details: Any
    ):
        message = "this call does not fit the stage that the IR is at"
        super().__init__(
            "C060", message, expected=expected, found=got, hint=hint, **details
        )

    @property
    def got(self) -> str | None:
        """The same as `found`."""
        return self.found


class NotDifferentiable(SymirError, TypeError):
    """A derivative is asked for that does not exist: never a silent zero."""


class InputError(SymirError, ValueError):
    """Data given to a compiled operator or to a tool does not fit it."""


class PrecisionWarning(UserWarning):
    """An operator that says 64 bits is computed in 32, since JAX is set to them: C030.

    It is said once for each operator.
    """


_WARNED: dict[str | tuple[str, type[Warning], int], int] = {}
"""Registry of `warnings`, which warns once for each line."""


def warn(category: type[Warning], code: str, message: str, **details: Any) -> None:
    """Warn of something in the user's code, in the words of a `SymirError`."""
    place = user_location()
    file, line = ("symir", 1) if place is None else (place.file, place.line)
    error = SymirError(code, message, **details)
    error.location = None  # Python says it
    warnings.warn_explicit(str(error), category, file, line, registry=_WARNED)
