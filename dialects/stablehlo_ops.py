"""Ops of StableHLO that xdsl-jax lacks, or does not have as StableHLO does.

Their text is what JAX and jaxlib read and write. Written so that it could go upstream.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import cast

from xdsl.dialects.builtin import (
    AnyTensorType,
    ArrayAttr,
    BoolAttr,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i32,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import EffectInstance, MemoryEffect, Pure
from xdsl.utils.exceptions import VerifyException
from xdsl_jax.dialects.stablehlo.custom_directives import CustomCallTarget
from xdsl_jax.dialects.stablehlo.types import ScalarIntTensorType


@irdl_op_definition
class DynamicUpdateSliceOp(IRDLOperation):
    """A tensor with another one in place of a slice of it, from places that are values.

    A start that reaches too far is moved back.

    ```mlir
    %r = stablehlo.dynamic_update_slice %x, %update, %i, %j
      : (tensor<4x3xf64>, tensor<1x3xf64>, tensor<i32>, tensor<i32>) -> tensor<4x3xf64>
    ```
    """

    name = "stablehlo.dynamic_update_slice"

    operand = operand_def(AnyTensorType)
    update = operand_def(AnyTensorType)
    start_indices = var_operand_def(ScalarIntTensorType)
    result = result_def(AnyTensorType)

    traits = traits_def(Pure())

    assembly_format = "operands attr-dict `:` functional-type(operands, results)"

    def verify_(self) -> None:
        whole, part = _kind(self.operand), _kind(self.update)
        sizes, shape = part.get_shape(), whole.get_shape()
        if (
            part.element_type != whole.element_type
            or len(sizes) != len(shape)
            or any(size > length for size, length in zip(sizes, shape, strict=True))
        ):
            raise VerifyException(f"'{self.name}' has no slice {part} of {whole}")
        if len(self.start_indices) != len(shape):
            raise VerifyException(
                f"'{self.name}' of {whole} has {len(self.start_indices)} starts"
            )
        if self.result.type != whole:
            raise VerifyException(
                f"'{self.name}' has type {whole}, declared {self.result.type}"
            )


class _CallEffect(MemoryEffect):
    """Any effect where a call says that it has one, none where not."""

    @classmethod
    def get_effects(cls, op: Operation) -> AbstractSet[EffectInstance] | None:
        assert isinstance(op, CustomCallOp)
        return None if op.has_side_effect.value.data else set()


@irdl_op_definition
class CustomCallOp(IRDLOperation):
    """A call of what only a backend has.

    xdsl-jax raises where it is asked for the effects of its own.

    ```mlir
    %y = stablehlo.custom_call @name(%x) {backend_config = {side = 76 : ui8},
      api_version = 4 : i32} : (tensor<3xf64>) -> tensor<3xf64>
    ```
    """

    name = "stablehlo.custom_call"

    inputs = var_operand_def(AnyAttr())
    call_target_name = prop_def(StringAttr)
    has_side_effect = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    backend_config = opt_prop_def(DictionaryAttr | StringAttr)
    api_version = prop_def(IntegerAttr, default_value=IntegerAttr(1, i32))
    called_computations = opt_prop_def(ArrayAttr, default_value=ArrayAttr([]))
    operand_layouts = opt_prop_def(ArrayAttr)
    result_layouts = opt_prop_def(ArrayAttr)
    output_operand_aliases = prop_def(ArrayAttr, default_value=ArrayAttr([]))
    result = var_result_def(AnyAttr())

    traits = traits_def(_CallEffect())

    irdl_options = (ParsePropInAttrDict(),)

    assembly_format = (
        "custom<CustomCallTarget>($call_target_name) `(` $inputs `)` "
        "attr-dict `:` functional-type(operands, results)"
    )

    custom_directives = (CustomCallTarget,)


def _kind(value: SSAValue) -> TensorType[Attribute]:
    return cast(TensorType[Attribute], value.type)


OPS: tuple[type[Operation], ...] = (CustomCallOp, DynamicUpdateSliceOp)
"""All of them."""
