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
from xdsl.dialects.func import ReturnOp
from xdsl.passes import ModulePass

from lowering.local_energy.extraction import wavefunctions_in
from lowering.local_energy.site_affine import (
    Additive,
    Constant,
    Dependence,
    Elementwise,
    Opaque,
    SiteWise,
    analyse,
)
from lowering.relations import Relation

__all__ = ["AnalyseSiteAffinePass"]

DEPENDS = "bt.depends"


@dataclass(frozen=True)
class AnalyseSiteAffinePass(ModulePass):
    """Write down how the values of wavefunctions depend on x."""

    name = "analyse-site-affine"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in wavefunctions_in(op):
            known = analyse(function)
            for one in function.body.block.ops:
                if one.results and not isinstance(one, ReturnOp):
                    text = _described(known[one.results[0]])
                    one.attributes[DEPENDS] = StringAttr(text)


def _described(one: Dependence) -> str:
    match one:
        case Constant():
            return "constant"
        case SiteWise():
            return "site" if one.linear else "site-wise"
        case Additive():
            return "affine" if one.linear else "additive"
        case Elementwise():
            return "elementwise"
        case Opaque():
            return f"opaque: {one.reason}, at '{one.op}'"
