"""The mistakes that a definition can contain, each with its code."""

from __future__ import annotations

from enum import Enum
from typing import Any

from symir.catalogue import CODES
from symir.errors import DefinitionError

__all__ = ["Mistake"]


class Mistake(Enum):
    """A kind of mistake: its code, and what it says in general."""

    UNKNOWN_LABEL = "D001"
    LABEL_BOUND_TWICE = "D002"
    SITE_OUTSIDE = "D003"
    BAD_ROWS = "D004"
    EMPTY_ROWS = "D005"
    NOT_A_SITE_NUMBER = "D006"
    NO_ITERATOR = "D007"
    LATE_WHERE = "D008"
    NO_EMISSION = "D009"
    NO_TERMS = "D010"
    DUPLICATE_TERM = "D011"
    COMPLEX_IN_REAL = "D012"
    NOT_FINITE = "D013"
    MISPLACED_EMITTED = "D014"
    NOT_AN_EXPRESSION = "D015"
    NOT_A_PREDICATE = "D016"
    NOT_AN_UPDATE = "D017"
    NOT_A_SITE = "D018"
    NOT_A_NAME = "D019"
    TRUTH_VALUE = "D020"
    COMPLEX_ORDERING = "D021"
    COMPLEX_LOCAL_VALUE = "D022"
    UNKNOWN_DATA = "D023"
    BAD_DATA = "D024"
    UNKNOWN_DTYPE = "D025"
    SYMBOL_CONFLICT = "D026"
    NOT_A_FLAG = "D027"
    MALFORMED_TEXT = "D028"
    INVALID_IR = "D029"
    NOT_ONE_OPERATOR = "D030"
    SPACE_MISMATCH = "D031"
    CHAIN_MISUSE = "D032"
    BAD_SETS = "D033"
    UNKNOWN_SET = "D034"
    NOT_TWO_VALUED = "D035"
    BAD_SITE = "D036"
    BAD_GRAPH = "D037"
    BAD_SHAPE = "D038"
    BAD_COUNT = "D039"
    BAD_CLAUSE = "D040"
    CLAUSE_TAKEN = "D041"
    HERE_OUTSIDE = "D042"
    BAD_TABLE = "D043"
    OUTSIDE_TABLE = "D044"
    NOT_WRAPPABLE = "D045"
    BAD_REGION = "D046"
    REAL_ONLY = "D047"
    LEAVES_SPACE = "D048"
    BAD_FANOUT = "D049"
    NOT_A_FACTOR = "D050"
    DIVIDED_BY_ZERO = "D051"
    PROJECTED_IN_PART = "D052"
    WRONG_KIND = "D055"
    BAD_SPIN = "D056"
    LOCAL_COEFFICIENT = "D057"
    NOT_AN_OPERATOR = "D058"
    BAD_PLACE = "D059"
    BAD_SUMMAND = "D060"
    BAD_PLACES = "D066"
    BAD_EXTENSION = "D070"
    EXTENSION_TAKEN = "D071"
    UNKNOWN_EXTENSION = "D072"
    BAD_CALL = "D073"
    NEEDS_JAX = "D074"
    NOT_TRACED = "D075"
    NOT_SCALAR = "D076"
    WRONG_RESULT = "D077"
    TOO_MANY_BRANCHES = "D080"
    BAD_POWER = "D081"
    NO_ADJOINT = "D082"
    TWO_VALUES = "D083"
    NOT_A_NUMBER = "D088"

    @property
    def code(self) -> str:
        """The code that messages show, such as D001."""
        return self.value

    @property
    def summary(self) -> str:
        """Summary of the mistake, without the particulars."""
        return CODES[self.value]

    def error(self, message: str, **details: Any) -> DefinitionError:
        """Return the error; `details` are those of `SymirError`."""
        return DefinitionError(self.code, message, **details)
