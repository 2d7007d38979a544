"""Summaries of terms: what a user may ask of a term without reading its IR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from dialects import sym
from dialects.stablehlo import constant_of
from dialects.tables import NO_SITE, IntArray, RowTable
from lowering.analysis.sites import column_of
from symir.language import rows


@dataclass(frozen=True)
class Term:
    """A summary of a term.

    Attributes:
        name: the name of the term.
        labels: the labels that its iterator binds.
        rows: the rows that it iterates over, one site per label.
        tags: the tag of each emission, None where it has none.
        fanout: how many branches are valid at most, where that is promised.
    """

    name: str
    labels: tuple[str, ...]
    rows: RowTable
    tags: tuple[str | None, ...]
    fanout: int | None = None

    @property
    def emissions(self) -> int:
        """The number of emissions of each row."""
        return len(self.tags)

    @property
    def size(self) -> int:
        """The number of lanes: rows times emissions, or the smaller fanout."""
        branches = self.rows.rows * self.emissions
        return branches if self.fanout is None else min(branches, self.fanout)

    def iterator(self, sites: int) -> str:
        """Return the simplest iterator of the language with these very rows.

        It is "for_each" where none of those without a table has them. How the user
        wrote it is not known: `for_each` may say the same.
        """
        table = self.rows
        for name, one in rows.ITERATORS.items():
            is_candidate = (table.labels, table.rows) == (one.labels, one.size(sites))
            if is_candidate and one.make(sites) == table:
                return name
        return "for_each"


def term_of(op: sym.TermOp) -> Term:
    """Return the summary of a term."""
    tags = tuple(None if e.tag is None else e.tag.data for e in op.emissions)
    fanout = None if op.fanout is None else op.fanout.value.data
    return Term(op.sym_name.data, labels_of(op), op.rows.data, tags, fanout)


def labels_of(op: sym.TermOp) -> tuple[str, ...]:
    """Return the labels of a term: the names of its sites, which are then distinct."""
    return names_of([site.name_hint or f"s{k}" for k, site in enumerate(op.sites)])


def names_of(wanted: list[str], taken: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return names, those that are taken or repeat with a number at their end."""
    used = set(taken)
    names: list[str] = []
    repeated: dict[str, int] = {}
    for name in wanted:
        free = name
        while free in used:
            repeated[name] = repeated.get(name, 0) + 1
            free = f"{name}_{repeated[name]}"
        used.add(free)
        names.append(free)
    return tuple(names)


def site_numbers(term: sym.TermOp, site: SSAValue) -> IntArray | None:
    """Return the number of a site in each row, `NO_SITE` where there is none.

    None where it depends on x.
    """
    owner = site.owner
    if isinstance(owner, sym.ElementOp):
        return owner.numbers
    if not isinstance(owner, sym.SiteOp):
        return column_of(term, site)
    number = constant_of(owner.number)
    if number is None:
        return None
    inside = number in range(sym.operator_of(term).space.data.sites)
    return np.full(term.rows.data.rows, int(number) if inside else NO_SITE, np.int32)
