"""`analyse-site-affine`: each value of a wavefunction says how it depends on x.

Ops of the functions that local energies go through get an attribute, `bt.depends`:

- `"constant"`: there is no x in the value;
- `"site"`: each element is an affine function of x at one site, `"site-wise"`: any;
- `"affine"`: each element is an affine function of x, `"additive"`: a sum of functions
  of one site each;
- `"elementwise"`: one scalar function of the elements of an additive value;
- `"opaque: .."`: none of these, with the reason and the op that made it so.

Nothing reads the attributes: passes that rewrite look at the values themselves, which
other passes may have changed since. They are for readers and for tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from lowering.energy.extraction import module_of, wavefunctions_in
from lowering.energy.site_affine import (
    Additive,
    ConstantValue,
    Dependence,
    Elementwise,
    Opaque,
    SiteFunction,
    analyse,
)
from lowering.relations import Relation
from lowering.rewriting import rewrite_once

DEPENDS = "bt.depends"


class NameDependences(RewritePattern):
    """Each op of a wavefunction says how its value depends on x.

    %z = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] ..
    %a = stablehlo.tanh %z : tensor<1x8xf64>
    becomes, in a function that a local energy goes through,
    %z = stablehlo.dot_general %x, %w, .. {bt.depends = "affine"} ..
    %a = stablehlo.tanh %z {bt.depends = "elementwise"} : tensor<1x8xf64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: FuncOp, rewriter: PatternRewriter) -> None:
        if op not in wavefunctions_in(module_of(op)):
            return
        known = analyse(op)
        for one in op.body.block.ops:
            if one.results and not isinstance(one, ReturnOp):
                one.attributes[DEPENDS] = StringAttr(_described(known[one.results[0]]))
        rewriter.notify_op_modified(op)


@dataclass(frozen=True)
class AnalyseSiteAffinePass(ModulePass):
    """Write down how the values of wavefunctions depend on x."""

    name = "analyse-site-affine"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, NameDependences())


def _described(one: Dependence) -> str:
    match one:
        case ConstantValue():
            return "constant"
        case SiteFunction():
            return "site" if one.linear else "site-wise"
        case Additive():
            return "affine" if one.linear else "additive"
        case Elementwise():
            return "elementwise"
        case Opaque():
            return f"opaque: {one.reason}, at '{one.op}'"
