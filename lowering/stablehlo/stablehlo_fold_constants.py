"""`stablehlo-fold-constants`: evaluate what does not depend on the configuration.

Tables of sites and couplings are constants, so that row arithmetic, the masks of
aliasing labels and predicates on indices fold away. Every value keeps its bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DYNAMIC_INDEX, ModuleOp, TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import constant, constant_of, to_numpy
from lowering.bt.lanes import behind_broadcasts
from lowering.evaluate import evaluate
from lowering.relations import Relation
from lowering.rewriting import FirstPattern


def _replace_by_constant(
    op: Operation, rewriter: PatternRewriter, array: np.typing.NDArray[np.generic]
) -> None:
    element = cast(TensorType[Attribute], op.results[0].type).element_type
    folded = constant(array, element)
    folded.location = op.location
    rewriter.replace(op, folded)


class FoldElementwise(RewritePattern):
    """An elementwise op on constants is a constant."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        owners = [operand.owner for operand in op.operands]
        constants = [owner for owner in owners if isinstance(owner, hlo.ConstantOp)]
        if not owners or len(constants) < len(owners) or len(op.results) != 1:
            return
        if not op.name.startswith("stablehlo."):
            return
        result = evaluate(op, [to_numpy(one.value) for one in constants])
        if result is not None:
            _replace_by_constant(op, rewriter, result)


class FoldBroadcast(RewritePattern):
    """`bt.broadcast` of a constant to a static type is a constant."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BroadcastOp, rewriter: PatternRewriter) -> None:
        operand = constant_of(op.operand)
        shape = op.result.type.get_shape()
        if operand is None or DYNAMIC_INDEX in shape:
            return
        axes = op.dims.get_values()
        aligned = [n if axis in axes else 1 for axis, n in enumerate(shape)]
        result = np.broadcast_to(operand.reshape(aligned), shape)
        _replace_by_constant(op, rewriter, result)


def _uniform(value: SSAValue) -> bool | None:
    """Return the truth value that a predicate has in every lane, or None."""
    array = constant_of(behind_broadcasts(value))
    if array is None or array.dtype != np.bool_:
        return None
    if array.all():
        return True
    return None if array.any() else False


class FoldStablehloSelect(RewritePattern):
    """`select(true, a, b)` is `a`; `select(p, a, a)` is `a`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: hlo.SelectOp, rewriter: PatternRewriter) -> None:
        chosen = _uniform(op.pred)
        if op.on_true is op.on_false or chosen is True:
            rewriter.replace(op, (), (op.on_true,))
        elif chosen is False:
            rewriter.replace(op, (), (op.on_false,))


class FoldLogic(RewritePattern):
    """`and(p, true)` and `or(p, false)` are `p`, as are `and(p, p)` and `or(p, p)`.

    `and(p, false)` is `false`, and `or(p, true)` is `true`.
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: hlo.AndOp | hlo.OrOp, rewriter: PatternRewriter
    ) -> None:
        neutral = isinstance(op, hlo.AndOp)
        if op.lhs is op.rhs:
            rewriter.replace(op, (), (op.lhs,))
            return
        for value, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
            known = _uniform(value)
            if known is not None:
                rewriter.replace(op, (), (other if known is neutral else value,))
                return


class FoldMultiplyByOne(RewritePattern):
    """`multiply(a, 1)` is `a`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: hlo.MultiplyOp, rewriter: PatternRewriter) -> None:
        for value, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
            array = constant_of(behind_broadcasts(value))
            if array is not None and array.size and (array == 1).all():
                rewriter.replace(op, (), (other,))
                return


class FoldConvert(RewritePattern):
    """A conversion to the operand's own type is the operand."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: hlo.ConvertOp, rewriter: PatternRewriter) -> None:
        if op.operand.type == op.result.type:
            rewriter.replace(op, (), (op.operand,))


@dataclass(frozen=True)
class StablehloFoldConstantsPass(ModulePass):
    """Evaluate constant StableHLO and simplify logic, selects and broadcasts."""

    name = "stablehlo-fold-constants"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        first = FirstPattern(
            FoldStablehloSelect(),
            FoldLogic(),
            FoldMultiplyByOne(),
            FoldConvert(),
            FoldBroadcast(),
            FoldElementwise(),
        )
        PatternRewriteWalker(first).rewrite_module(op)
