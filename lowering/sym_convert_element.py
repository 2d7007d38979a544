"""`sym-convert-element`: compute in another precision.

Real and complex stay what they are: `to=f32` makes f64 f32, complex<f64> complex<f32>.
Constants, data and parameter defaults are rounded to the new type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    ComplexType,
    DenseIntOrFPElementsAttr,
    Float32Type,
    Float64Type,
    ModuleOp,
    TensorType,
)
from xdsl.ir import Attribute, SSAValue, TypeAttribute
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import dense, dtype_of, tensor, to_numpy
from lowering.relations import Relation

_REAL = {"f32": Float32Type(), "f64": Float64Type()}


@dataclass(frozen=True)
class SymConvertElementPass(ModulePass):
    """Change the precision of the arithmetic of every operator."""

    name = "sym-convert-element"
    relation: ClassVar[Relation] = Relation.EQUAL

    to: Literal["f32", "f64"] = "f32"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for operator in op.walk():
            if isinstance(operator, sym.OperatorOp):
                self._convert(operator)

    def _element(self, element: Attribute) -> Attribute:
        if isinstance(element, ComplexType):
            return ComplexType(_REAL[self.to])
        if isinstance(element, Float32Type | Float64Type):
            return _REAL[self.to]
        return element

    def _dense(self, value: DenseIntOrFPElementsAttr) -> DenseIntOrFPElementsAttr:
        element = self._element(value.get_element_type())
        given = to_numpy(value)
        with np.errstate(over="ignore"):
            rounded = given.astype(dtype_of(element))
        lost = np.isfinite(given) & ~np.isfinite(rounded)
        if lost.any():
            raise PassFailedException(
                f"{self.name}: {given[lost].flat[0]} does not fit into {element}"
            )
        return dense(rounded, element)

    def _check_space(self, operator: sym.OperatorOp) -> None:
        real = dtype_of(_REAL[self.to])
        for states in operator.space.data.kinds[0]:
            with np.errstate(over="ignore"):
                rounded = np.array(states).astype(real)
            same = rounded[1:] == rounded[:-1]
            if same.any():
                first, second = states[int(same.argmax()) :][:2]
                raise PassFailedException(
                    f"{self.name}: the local values {first:.17g} and {second:.17g} of "
                    f"@{operator.sym_name.data} are the same number in {self.to}"
                )

    def _retype(self, value: SSAValue) -> None:
        if isinstance(value.type, TensorType):
            kind = cast(TensorType[Attribute], value.type)
            new = tensor(self._element(kind.element_type), kind.get_shape())
            Rewriter.replace_value_with_new_type(value, new)

    def _convert(self, operator: sym.OperatorOp) -> None:
        self._check_space(operator)
        operator.element = cast(TypeAttribute, self._element(operator.element))
        operator.defaults = ArrayAttr(
            self._dense(default)
            if isinstance(default, DenseIntOrFPElementsAttr)
            else default
            for default in operator.defaults
        )
        for parameter in list(operator.body.block.args):
            self._retype(parameter)
        for op in operator.walk():
            if isinstance(op, sym.TermOp):
                self._convert_term(op)
            if isinstance(op, hlo.ConstantOp):
                op.value = self._dense(op.value)
            if isinstance(op, sym.LookupOp):
                op.table = self._dense(op.table)
            for result in list(op.results):
                self._retype(result)

    def _convert_term(self, term: sym.TermOp) -> None:
        for argument in list(term.body.block.args):
            self._retype(argument)
        if term.columns is not None:
            term.columns = ArrayAttr(
                sym.ColumnAttr(column.label, self._dense(column.values))
                for column in term.columns
            )
