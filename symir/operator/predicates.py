"""Predicates of spaces, as operators.

A predicate means what it means as the guard of a term: the only branch of its operator
is there where it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy.typing as npt

from symir.errors import DefinitionError
from symir.language.builder import DOperator
from symir.language.expressions import Predicate, PredicateLike, as_predicate

if TYPE_CHECKING:
    from symir.operator.spaces import Space
    from symir.operator.symbolic_operator import SymbolicOperator


def checked_predicate(space: Space, predicate: PredicateLike) -> Predicate:
    """Return a predicate that makes sense for a space.

    Raises:
        DefinitionError: for what is no predicate (D016), reads what only a term has
            (D001, D014, D023, ..), or depends on a parameter (S017).
    """
    checked = as_predicate(predicate)
    symbols = indicator(space, [checked]).to_ir().free_symbols
    if not symbols:
        return checked
    raise DefinitionError(
        "S017",
        "the predicate of a space depends on a parameter",
        expected="a predicate of the local values alone",
        found=", ".join(f"symbol({name!r})" for name in symbols),
        hint="a space is fixed: write the number itself",
    )


def indicator(
    space: Space, predicates: Sequence[Predicate], dtype: npt.DTypeLike | None = None
) -> SymbolicOperator:
    """Return the operator that is 1 where all predicates hold, on the diagonal."""
    # On all configurations: the space itself would ask for its predicates again.
    builder = DOperator(space.unconstrained, "predicate", dtype=dtype).globally()
    for predicate in predicates:
        builder.where(predicate)
    return builder.emit().build()
