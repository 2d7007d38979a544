"""`sym-convert-element`: compute in another precision.

Real and complex stay what they are: `to=f32` makes f64 f32, complex<f64> complex<f32>.
Constants, data and parameter defaults are rounded to the new type.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    ComplexType,
    DenseIntOrFPElementsAttr,
    ModuleOp,
    TensorType,
)
from xdsl.ir import Attribute, Operation, TypeAttribute
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import dense, dtype_of, tensor, to_numpy
from lowering.relations import Relation
from lowering.rewriting import RetypeValues, rewrite_once

_NAME = "sym-convert-element"
_REAL = {str(one): one for one in sym.REAL_TYPES}


@dataclass(frozen=True)
class _Precision:
    """A precision, and the types and constants that have it."""

    to: Literal["f32", "f64"]

    def element(self, element: Attribute) -> Attribute:
        if isinstance(element, ComplexType):
            return ComplexType(_REAL[self.to])
        if element in sym.REAL_TYPES:
            return _REAL[self.to]
        return element

    def dense(self, value: DenseIntOrFPElementsAttr) -> DenseIntOrFPElementsAttr:
        element = self.element(value.get_element_type())
        given = to_numpy(value)
        with np.errstate(over="ignore"):
            rounded = given.astype(dtype_of(element))
        lost = np.isfinite(given) & ~np.isfinite(rounded)
        if lost.any():
            raise PassFailedException(
                f"{_NAME}: {given[lost].flat[0]} does not fit into {element}"
            )
        return dense(rounded, element)

    def check_space(self, operator: sym.OperatorOp) -> None:
        real = dtype_of(_REAL[self.to])
        for states in operator.space.data.kinds[0]:
            with np.errstate(over="ignore"):
                rounded = np.array(states).astype(real)
            same = rounded[1:] == rounded[:-1]
            if same.any():
                first, second = states[int(same.argmax()) :][:2]
                raise PassFailedException(
                    f"{_NAME}: the local values {first:.17g} and {second:.17g} of "
                    f"@{operator.sym_name.data} are the same number in {self.to}"
                )


@dataclass(frozen=True)
class _OfPrecision(RewritePattern, ABC):
    """Base of patterns that bring something to a precision."""

    precision: _Precision


class RoundDefaults(_OfPrecision):
    """`sym.operator @h(%a "a" : .. = dense<0.1>) .. element f64` is of `element f32`.

    The defaults of its parameters are rounded.
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.OperatorOp, rewriter: PatternRewriter) -> None:
        self.precision.check_space(op)
        op.element = cast(TypeAttribute, self.precision.element(op.element))
        op.defaults = ArrayAttr(
            self.precision.dense(default)
            if isinstance(default, DenseIntOrFPElementsAttr)
            else default
            for default in op.defaults
        )
        rewriter.notify_op_modified(op)


class RoundColumns(_OfPrecision):
    """`#sym.column<"J", dense<0.1> : tensor<2xf64>>` of a term is a `tensor<2xf32>`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.TermOp, rewriter: PatternRewriter) -> None:
        if op.columns is None:
            return
        op.columns = ArrayAttr(
            sym.ColumnAttr(column.label, self.precision.dense(column.values))
            for column in op.columns
        )
        rewriter.notify_op_modified(op)


class RoundConstant(_OfPrecision):
    """`stablehlo.constant dense<0.1> : tensor<f64>` becomes one of `tensor<f32>`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: hlo.ConstantOp, rewriter: PatternRewriter) -> None:
        if _is_in_operator(op):
            op.value = self.precision.dense(op.value)
            rewriter.notify_op_modified(op)


class RoundTable(_OfPrecision):
    """`sym.lookup dense<0.1> : tensor<2xf64> at %k` looks up in a `tensor<2xf32>`."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.LookupOp, rewriter: PatternRewriter) -> None:
        op.table = self.precision.dense(op.table)
        rewriter.notify_op_modified(op)


class RoundValues(_OfPrecision, RetypeValues):
    """Results and arguments of blocks change type: `tensor<f64>` to `tensor<f32>`."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if _is_in_operator(op):
            super().match_and_rewrite(op, rewriter)

    def converted(self, kind: TensorType[Attribute]) -> Attribute:
        return tensor(self.precision.element(kind.element_type), kind.get_shape())


def _is_in_operator(op: Operation | None) -> bool:
    while op is not None and not isinstance(op, sym.OperatorOp):
        op = op.parent_op()
    return op is not None


@dataclass(frozen=True)
class SymConvertElementPass(ModulePass):
    """Change the precision of the arithmetic of every operator."""

    name = _NAME
    relation: ClassVar[Relation] = Relation.EQUAL

    to: Literal["f32", "f64"] = "f32"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        patterns = (RoundDefaults, RoundColumns, RoundConstant, RoundTable)
        precision = _Precision(self.to)
        rewrite_once(op, *(pattern(precision) for pattern in patterns))
        rewrite_once(op, RoundValues(precision))
