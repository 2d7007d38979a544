"""What can go wrong when a tool is used, each with its code."""

from __future__ import annotations

from enum import Enum
from typing import Any

from symir.errors import InputError

__all__ = ["Fault"]


class Fault(Enum):
    """A kind of bad input to a tool: its code, and what it says in general."""

    UNREADABLE = ("T001", "a file cannot be read")
    NOT_A_DEFINITION = ("T002", "operators are defined in .py and .mlir files")
    NO_OPERATOR = ("T003", "a file defines no operator")
    SEVERAL_OPERATORS = ("T004", "a file defines several operators, and none is chosen")
    UNKNOWN_OPERATOR = ("T005", "a file has no operator of the name that is asked for")
    NOT_AN_OPERATOR = ("T006", "what a name stands for is no operator")
    NOT_BUILT = ("T007", "an operator is declared, but its builder is not built")
    NOT_CONFIGURATIONS = ("T008", "configurations are read from .npy and .csv files")
    NOT_NUMBERS = ("T009", "a .npy file does not hold an array of real numbers")
    BAD_CELL = ("T010", "a cell of a .csv file holds no number")
    BAD_WIDTH = ("T011", "configurations do not have one value per site")
    NO_SAMPLES = ("T012", "a file holds no configurations")
    NOT_ALLOWED = ("T013", "a configuration holds a value that its site cannot have")
    BAD_DTYPE = ("T014", "a dtype cannot hold the local values")
    NOT_WRITABLE = ("T015", "a file cannot be written")
    BAD_PARAMETER = ("T016", "a parameter is not given as name=number, once")
    UNKNOWN_PARAMETER = ("T017", "the operator has no parameter of the name given")
    UNBOUND_PARAMETER = ("T018", "a parameter has neither a value nor a default")
    MISPLACED_OPTION = ("T019", "an option is given where it means nothing")
    NO_JAX = ("T020", "running an operator needs JAX")
    XLA_FAILED = ("T021", "XLA could not run the kernel")
    NOT_RUNNABLE = ("T022", "a command cannot be run")

    @property
    def code(self) -> str:
        """The code that messages show, such as T001."""
        return self.value[0]

    @property
    def summary(self) -> str:
        """What went wrong, without the particulars."""
        return self.value[1]

    def error(self, message: str | None = None, **details: Any) -> InputError:
        """Return the error; `details` are those of `SymirError`.

        It has a location only if it is given one: that of a command is of no use.
        """
        error = InputError(self.code, message or self.summary, **details)
        error.location = details.get("location")
        return error
