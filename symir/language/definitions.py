"""Definitions collected by a builder: an operator as plain, frozen data.

Every part remembers where the user wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.tables import RowTable, SiteSets
from symir.errors import SourceLocation
from symir.language.expressions import Expr, Predicate, Symbol
from symir.language.updates import Update
from symir.operator.spaces import Space


@dataclass(frozen=True, eq=False)
class GuardDefinition:
    """A predicate of a term."""

    predicate: Predicate
    location: SourceLocation | None


@dataclass(frozen=True, eq=False)
class EmissionDefinition:
    """A branch that each row of a term contributes.

    `condition` is what it asks for beyond the guards of its term: its place in a chain
    of emit_if, emit_elseif and emit_else.
    """

    update: Update
    amplitude: Expr
    tag: str | None
    location: SourceLocation | None
    condition: Predicate | None = None


@dataclass(frozen=True, eq=False)
class TermDefinition:
    """A term: an iterator, the guards that all of its emissions share, the emissions.

    `columns` are the row data, float64 or complex128 arrays of shape (rows,); `sets`
    the site sets. `projections` are predicates that may read x'. `fanout` is how many
    branches are valid at most, as far as the user promises it.
    """

    name: str
    iterator: str
    labels: tuple[str, ...]
    rows: RowTable
    columns: Mapping[str, npt.NDArray[Any]]
    location: SourceLocation | None
    guards: tuple[GuardDefinition, ...] = ()
    emissions: tuple[EmissionDefinition, ...] = ()
    sets: Mapping[str, SiteSets] = field(default_factory=dict[str, SiteSets])
    projections: tuple[GuardDefinition, ...] = ()
    fanout: int | None = None

    def of_rows(self, kept: npt.NDArray[np.int64]) -> TermDefinition:
        """Return the term over some of its rows, given by their numbers."""
        if len(kept) == self.rows.rows:
            return self
        return replace(
            self,
            rows=self.rows.of_rows(kept),
            columns={name: data[kept] for name, data in self.columns.items()},
            sets={name: table.of_rows(kept) for name, table in self.sets.items()},
        )


@dataclass(frozen=True, eq=False)
class OperatorDefinition:
    """An operator: its terms in order, and the symbols in the order of first use.

    `is_projected` says that branches which leave the constraints of the space are
    dropped, on purpose.
    """

    name: str
    space: Space
    dtype: np.dtype[Any]
    declared_hermitian: bool | None
    terms: tuple[TermDefinition, ...]
    symbols: tuple[Symbol, ...]
    location: SourceLocation | None
    is_projected: bool = False
