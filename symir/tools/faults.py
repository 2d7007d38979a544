"""Faults in the use of a tool, each with its code."""

from __future__ import annotations

from typing import Any

from symir.catalogue import Coded
from symir.errors import InputError


class Fault(Coded):
    """A kind of bad input to a tool: its code, and what it says in general."""

    UNREADABLE = "T001"
    NOT_A_DEFINITION = "T002"
    NO_OPERATOR = "T003"
    SEVERAL_OPERATORS = "T004"
    UNKNOWN_OPERATOR = "T005"
    NOT_AN_OPERATOR = "T006"
    NOT_BUILT = "T007"
    NOT_CONFIGURATIONS = "T008"
    NOT_NUMBERS = "T009"
    BAD_CELL = "T010"
    BAD_WIDTH = "T011"
    NO_SAMPLES = "T012"
    NOT_ALLOWED = "T013"
    BAD_DTYPE = "T014"
    NOT_WRITABLE = "T015"
    BAD_PARAMETER = "T016"
    UNBOUND_PARAMETER = "T018"
    MISPLACED_OPTION = "T019"
    NO_JAX = "T020"
    XLA_FAILED = "T021"
    NOT_RUNNABLE = "T022"

    def error(self, message: str | None = None, **details: Any) -> InputError:
        """Return the error; `details` are those of `SymirError`.

        It has a location only if it is given one: that of a command is of no use.
        """
        error = InputError(self.code, message or self.summary, **details)
        error.location = details.get("location")
        return error
