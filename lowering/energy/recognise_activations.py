"""`recognise-activations`: scalar functions of additive values say which ones they are.

In the functions that local energies go through, the last op of each region that is one
scalar function of the elements of an additive value gets an attribute, `bt.activation`:
`"log_cosh"`, or `"log_cosh times (0.5, 0.0)"`, where a region is that up to a constant.
Functions that are not in the library get none, and a remark says why.

The function is found however it is written (`activations`). Nothing reads the
attributes: passes that rewrite look at the values themselves, which other passes may
have changed since. They are for readers and for tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import OpResult, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from lowering.change.form_analysis import analyse
from lowering.change.forms import Elementwise, Form
from lowering.energy.activations import Fit, fit_of
from lowering.energy.extraction import module_of, wavefunctions_in
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import op_name, rewrite_once

ACTIVATION = "bt.activation"


class NameActivations(RewritePattern):
    """The last op of an activation says which one it is.

    %a = stablehlo.cosh %z : tensor<1x8xf64>
    %b = stablehlo.log %a : tensor<1x8xf64>
    becomes, in a function that a local energy goes through, with an additive %z,
    %a = stablehlo.cosh %z : tensor<1x8xf64>
    %b = stablehlo.log %a {bt.activation = "log_cosh"} : tensor<1x8xf64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: FuncOp, rewriter: PatternRewriter) -> None:
        if op not in wavefunctions_in(module_of(op)):
            return
        known = analyse(op)
        for value in _outermost(op, known):
            _say(value, fit_of(value, known))
        rewriter.notify_op_modified(op)


@dataclass(frozen=True)
class RecogniseActivationsPass(ModulePass):
    """Write down which activations wavefunctions are made of."""

    name = "recognise-activations"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, NameActivations())


def _say(value: OpResult, fitted: Fit | str) -> None:
    if isinstance(fitted, str):
        remark(f"no activation ends at '{op_name(value.op)}': {fitted}", done=False)
        return
    factor = complex(fitted.factor)
    times = "" if factor == 1 else f" times ({factor.real:g}, {factor.imag:g})"
    value.op.attributes[ACTIVATION] = StringAttr(f"{fitted.activation.name}{times}")
    remark(f"{fitted.activation.name} is recognised")


def _outermost(function: FuncOp, known: dict[SSAValue, Form]) -> Iterator[OpResult]:
    """Yield the scalar functions that no other one of the same root is made of."""
    for op in function.body.block.ops:
        for value in op.results:
            one = known[value]
            if not isinstance(one, Elementwise):
                continue
            users = [result for use in value.uses for result in use.operation.results]
            if not any(_of_root(known.get(user), one.root) for user in users):
                yield value


def _of_root(one: Form | None, root: SSAValue) -> bool:
    return isinstance(one, Elementwise) and one.root is root
