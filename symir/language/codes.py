"""The mistakes that a definition can contain, each with its code.

`docs/errors.md` is generated from this table.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from symir.errors import DefinitionError

__all__ = ["Mistake"]


class Mistake(Enum):
    """A kind of mistake: its code, and what it says in general."""

    UNKNOWN_LABEL = ("D001", "a label is used that the term's iterator does not bind")
    LABEL_BOUND_TWICE = ("D002", "an iterator binds the same label twice")
    SITE_OUTSIDE = ("D003", "a row holds a site that the lattice does not have")
    BAD_ROWS = ("D004", "rows do not form a table with one column per label")
    EMPTY_ROWS = ("D005", "for_each is given no rows")
    NOT_A_SITE_NUMBER = ("D006", "a row holds something that is not an exact integer")
    NO_ITERATOR = ("D007", "where, emit or named is called before any iterator")
    LATE_WHERE = ("D008", "where is called after an emission of its term")
    NO_EMISSION = ("D009", "a term has an iterator and no emission")
    NO_TERMS = ("D010", "an operator is built without a term")
    DUPLICATE_TERM = ("D011", "two terms are given the same name")
    COMPLEX_IN_REAL = ("D012", "a complex number enters an operator with a real dtype")
    NOT_FINITE = ("D013", "a constant is infinite, NaN, or too large for the dtype")
    MISPLACED_EMITTED = ("D014", "emitted(..) is read where x' does not exist yet")
    NOT_AN_EXPRESSION = ("D015", "something is no number and no expression")
    NOT_A_PREDICATE = ("D016", "something is no predicate")
    NOT_AN_UPDATE = ("D017", "something is no update")
    NOT_A_SITE = ("D018", "an update is given something that is no site")
    NOT_A_NAME = ("D019", "a name or label is no printable, non-empty string")
    TRUTH_VALUE = ("D020", "Python is made to decide a predicate or an expression")
    COMPLEX_ORDERING = ("D021", "complex numbers are compared by size")
    COMPLEX_LOCAL_VALUE = ("D022", "an update writes or adds a complex number")
    UNKNOWN_DATA = ("D023", "row(..) names data that the term does not have")
    BAD_DATA = ("D024", "row data are not one number per row")
    UNKNOWN_DTYPE = ("D025", "a dtype is none of the four that operators may have")
    SYMBOL_CONFLICT = ("D026", "one symbol is declared in two ways")
    NOT_A_FLAG = ("D027", "a flag is neither True nor False")
    MALFORMED_TEXT = ("D028", "the text of an operator cannot be parsed")
    INVALID_IR = ("D029", "the text of an operator parses but does not verify")
    NOT_ONE_OPERATOR = ("D030", "a module does not hold exactly one sym.operator")
    SPACE_MISMATCH = ("D031", "an operator is given a space other than its own")
    CHAIN_MISUSE = ("D032", "emit_elseif or emit_else does not follow an emit_if")
    BAD_SETS = ("D033", "site sets are not one list of distinct sites per row")
    UNKNOWN_SET = ("D034", "a site set is named that the term does not have")
    NOT_TWO_VALUED = ("D035", "a site is flipped that does not have two local values")
    BAD_SITE = ("D036", "the number of a site cannot be that of a site of the lattice")
    BAD_GRAPH = ("D037", "for_each_edge is given no graph, or one without colours")
    BAD_SHAPE = ("D038", "an iterator is given a shape that the lattice does not have")
    BAD_COUNT = ("D039", "an update is given the wrong number of sites or values")
    BAD_CLAUSE = ("D040", "a class is no custom clause, or does not return one's parts")
    CLAUSE_TAKEN = ("D041", "two custom clauses are registered under one name")
    HERE_OUTSIDE = ("D042", "here is used outside of what a reduction reduces")
    BAD_TABLE = ("D043", "a lookup table is empty, too long, or not made of numbers")
    OUTSIDE_TABLE = ("D044", "a table is looked up at an index that it does not have")
    NOT_WRAPPABLE = ("D045", "wrap_mod meets local values that are not equally spaced")
    BAD_REGION = ("D046", "a reduction is over something that is no set of sites")
    REAL_ONLY = ("D047", "a complex number is where only a real one makes sense")
    LEAVES_SPACE = ("D048", "a branch leaves the constraints of the space")
    BAD_FANOUT = ("D049", "a fanout is no positive number of branches")
    NOT_A_FACTOR = ("D050", "an operator is scaled or shifted by what is no scalar")
    DIVIDED_BY_ZERO = ("D051", "an operator is divided by zero")
    PROJECTED_IN_PART = ("D052", "only one operand of a sum or product is projected")
    WRONG_KIND = ("D055", "an operator acts on a site of a kind that it is not for")
    BAD_SPIN = ("D056", "a fermion is given a spin that its sites do not have")
    LOCAL_COEFFICIENT = ("D057", "a coefficient of an operator reads local values")
    NOT_AN_OPERATOR = ("D058", "something is no operator, or is no power or sum of one")
    BAD_PLACE = ("D059", "an operator acts on a site that no row can name")
    BAD_SUMMAND = ("D060", "sum_over is given something that is no function of sites")
    BAD_PLACES = ("D066", "shift_mod is given places that are no whole number")
    BAD_EXTENSION = ("D070", "a function or update cannot be registered as given")
    EXTENSION_TAKEN = ("D071", "two functions, or updates, are registered by one name")
    UNKNOWN_EXTENSION = ("D072", "a function or update is not registered")
    BAD_CALL = ("D073", "a registered function or update is not used as it is meant")
    NEEDS_JAX = ("D074", "a traced function is translated where JAX is not installed")
    NOT_TRACED = ("D075", "JAX cannot trace a registered function")
    NOT_SCALAR = ("D076", "a registered function is not elementwise on scalars")
    WRONG_RESULT = ("D077", "a registered function returns another kind of number")
    TOO_MANY_BRANCHES = ("D080", "a product of operators has too many branches")
    BAD_POWER = ("D081", "an operator is raised to something that is no small integer")
    NO_ADJOINT = ("D082", "the adjoint of a branch is not known")
    TWO_VALUES = ("D083", "a parameter has different values in two operators")
    NOT_A_NUMBER = ("D088", "Python or NumPy takes an expression for a number")

    @property
    def code(self) -> str:
        """The code that messages show, such as D001."""
        return self.value[0]

    @property
    def summary(self) -> str:
        """What went wrong, without the particulars."""
        return self.value[1]

    def error(self, message: str, **details: Any) -> DefinitionError:
        """Return the error; `details` are those of `SymirError`."""
        return DefinitionError(self.code, message, **details)
