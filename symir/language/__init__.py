"""The language: expressions, updates and the builder, and their translation to IR.

Importing it needs no JAX.
"""

from symir.language.builder import DOperator
from symir.language.codes import Mistake
from symir.language.expressions import (
    Expr,
    Predicate,
    abs_,
    emitted,
    false,
    row,
    site,
    sqrt,
    symbol,
    true,
)
from symir.language.updates import Update, identity, shift, swap, write

__all__ = [
    "DOperator",
    "Expr",
    "Mistake",
    "Predicate",
    "Update",
    "abs_",
    "emitted",
    "false",
    "identity",
    "row",
    "shift",
    "site",
    "sqrt",
    "swap",
    "symbol",
    "true",
    "write",
]
