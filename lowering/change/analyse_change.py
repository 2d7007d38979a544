"""`analyse-change`: each value of a wavefunction says what a change of x makes of it.

Ops of the functions that local energies go through get an attribute, `bt.form`:

- `"same"`: there is no x in the value;
- `"sites"`: each element is a function of x at one site;
- `"added"`: each element is a sum of functions of one site each;
- `"elementwise"`: one scalar function of the elements of an added value;
- `"cone"`: anything else, at the positions that a change reaches;
- `"rows: .."`: rows that occupied sites choose, of which a change at one site exchanges
  so many;
- `"determinant: .."`: determinants of these, their signs, or their logarithms;
- `"new: .."`: none of these, with the reason and the op that made it so.

Affine ones say so, and of how many positions a change at one site reaches few. What is
in no cone says why. Nothing
reads the attributes: passes that rewrite look at the values themselves, which other
passes may have changed since. They are for readers and tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from lowering.change.cone_analysis import cones_until
from lowering.change.cones import Node, View
from lowering.change.determinants import DeterminantPart
from lowering.change.form_analysis import analyse
from lowering.change.forms import Form, New, Sites
from lowering.change.orbitals import Rows, Slots
from lowering.change.position_lists import Trace
from lowering.energy.extraction import module_of, wavefunctions_in
from lowering.relations import Relation
from lowering.rewriting import rewrite_once

FORM = "bt.form"

KINDS = {
    "same": "no x in it",
    "sites": "each element a function of x at one site",
    "added": "sums of functions of one site each",
    "elementwise": "one function of each element of a sum",
    "cone": "at the positions that a change reaches",
    "rows": "rows that occupied sites choose",
    "determinant": "determinants of such rows",
    "new": "none of these, with the reason",
}
"""What is said of a form begins with its kind; these are in words for readers."""

_FROM_NEW = ("cone", "rows", "determinant", "new")
"""Kinds of values that the lattice of forms knows as new ones only."""

_NO_CONE = "; in no cone: "


def kind_of(text: str) -> str:
    """Return the kind of a form, one of `KINDS`, by what `bt.form` says of a value."""
    head, *_ = re.split("[,:;]", text, maxsplit=1)
    return head.split()[-1]


def form_on(op: Operation) -> str | None:
    """Return what is written on an op of its form, if anything is."""
    found = op.attributes.get(FORM)
    return found.data if isinstance(found, StringAttr) else None


def is_lost_at(op: Operation) -> bool:
    """Whether a form ends at an op: those of its operands were known, or in a cone."""
    own = form_on(op)
    if own is None:
        return False
    owners = [one.owner for one in op.operands if isinstance(one.owner, Operation)]
    before = [text for text in map(form_on, owners) if text is not None]
    ends = kind_of(own) == "new" and all(kind_of(t) not in _FROM_NEW for t in before)
    return ends or (_NO_CONE in own and all(_NO_CONE not in t for t in before))


class NameForms(RewritePattern):
    """Each op of a wavefunction says what a change of x makes of its value.

    %z = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] ..
    %a = stablehlo.tanh %z : tensor<1x8xf64>
    becomes, in a function that a local energy goes through,
    %z = stablehlo.dot_general %x, %w, .. {bt.form = "added, affine"} ..
    %a = stablehlo.tanh %z {bt.form = "elementwise"} : tensor<1x8xf64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: FuncOp, rewriter: PatternRewriter) -> None:
        if op not in wavefunctions_in(module_of(op)):
            return
        known, (cones, lost) = analyse(op), cones_until(op)
        sites = [np.array([site]) for site in range(cones.nodes[0].positions)]
        trace = Trace(cones.nodes, sites)
        for one in op.body.block.ops:
            if one.results and not isinstance(one, ReturnOp):
                (value, *_) = one.results
                if value in lost:
                    text = f"{known[value]}{_NO_CONE}{lost[value]}"
                else:
                    text = _described(known[value], cones.views.get(value), trace)
                one.attributes[FORM] = StringAttr(text)
        rewriter.notify_op_modified(op)


def _described(form: Form, view: View | None, trace: Trace) -> str:
    match None if view is None else view.node:
        case Rows(slots=slots):
            return f"rows: {_exchanged(slots, trace)}"
        case DeterminantPart(of=of, kind=kind):
            return f"{WORDS[kind]}: {_exchanged(of.slots, trace)}"
        case None | Node(positions=1):
            return str(form)
        case Node() as node if not isinstance(form, Sites):
            count, size = trace.length(node), node.positions
            kind = "cone" if isinstance(form, New) else str(form)
            return f"{kind}: {count} of {size} positions" if count < size else kind
        case _:
            return str(form)


WORDS = {
    "log": "log determinant",
    "sign": "sign of a determinant",
    "det": "determinant",
}


def _exchanged(slots: Slots, trace: Trace) -> str:
    occupied = slots.occupied
    most = slots.exchanged(trace, range(occupied.groups))
    return f"at most {most} of {occupied.count}"


@dataclass(frozen=True)
class AnalyseChangePass(ModulePass):
    """Write down what a change of x makes of the values of wavefunctions."""

    name = "analyse-change"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, NameForms())
