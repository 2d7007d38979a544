"""`sym-gather-terms`: terms that are marked as one group become neighbours.

`sym-fuse-terms` fuses neighbours only. Here the terms of each group move behind the
first of them, in order; groups, and terms that are in none, keep the order of their
first terms. The lanes of the operator move with the terms, and where they do, the
`origins` of the operator say for each branch which one it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute
from xdsl.passes import ModulePass

from dialects import sym
from lowering.relations import Relation
from lowering.sym.sym_fuse_terms import operators_of


def _gathered(terms: tuple[sym.TermOp, ...]) -> list[sym.TermOp]:
    """Return the terms in an order in which those of each group are neighbours."""
    groups: dict[Attribute | sym.TermOp, list[sym.TermOp]] = {}
    for term in terms:
        group = term if term.group is None else term.group
        groups.setdefault(group, []).append(term)
    return list(chain.from_iterable(groups.values()))


def _gather(operator: sym.OperatorOp) -> None:
    before = operator.terms
    after = _gathered(before)
    if after == list(before):
        return
    count = sum(term.branches for term in before)
    places = np.split(np.arange(count), np.cumsum([t.branches for t in before])[:-1])
    place = dict(zip(before, places, strict=True))
    moved = np.concatenate([place[term] for term in after])
    origins = operator.branch_origins().picked(moved)
    block = operator.body.block
    for term in after:
        term.detach()
        block.add_op(term)
    operator.origins = sym.LanesAttr(origins)


@dataclass(frozen=True)
class SymGatherTermsPass(ModulePass):
    """Let the terms of each group follow one another."""

    name = "sym-gather-terms"
    relation: ClassVar[Relation] = Relation.MULTISET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for operator in operators_of(op):
            _gather(operator)
