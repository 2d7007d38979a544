"""Labels of a term that name the same site: in every row, in none, or in some."""

from __future__ import annotations

from enum import Enum

import numpy as np
from xdsl.ir import SSAValue

from dialects import sym
from dialects.tables import IntArray


class Alias(Enum):
    """Share of the rows in which two sites of a term are the same."""

    ALWAYS = "in every row"
    NEVER = "in no row"
    SOMETIMES = "in some rows, or unknown"


def column_of(term: sym.TermOp, site: SSAValue) -> IntArray | None:
    """Return the site numbers of a label, one per row; None for a computed site."""
    for label, argument in enumerate(term.sites):
        if argument is site:
            return term.rows.data.column(label)
    return None


def alias(term: sym.TermOp, a: SSAValue, b: SSAValue) -> Alias:
    """Return how often two sites of a term are the same one."""
    if a is b:
        return Alias.ALWAYS
    first, second = column_of(term, a), column_of(term, b)
    if first is None or second is None:
        return Alias.SOMETIMES
    same = np.equal(first, second)
    if not same.any():
        return Alias.NEVER
    return Alias.ALWAYS if same.all() else Alias.SOMETIMES


def writes_of(config: SSAValue) -> list[sym.WriteOp]:
    """Return the chain of writes that made a configuration, the first one first."""
    writes: list[sym.WriteOp] = []
    while isinstance(config.owner, sym.WriteOp):
        writes.append(config.owner)
        config = config.owner.config
    return writes[::-1]


def normal_form_error(term: sym.TermOp) -> str | None:
    """Say what keeps a term from normal form, or None.

    In normal form every read is of the source, and every configuration is a linear
    chain of writes on it.
    """
    name = term.sym_name.data
    for op in term.body.block.walk():
        if isinstance(op, sym.ReadOp) and op.config is not term.source:
            return f"term @{name} reads a configuration other than its source"
        makes = any(isinstance(one.type, sym.ConfigType) for one in op.results)
        if makes and not isinstance(op, sym.WriteOp):
            return f"term @{name} still holds '{op.name}'"
    return None
