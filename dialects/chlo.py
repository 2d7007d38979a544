"""CHLO, the ops of JAX that XLA makes StableHLO of: those that wavefunctions have.

Their text is what jaxlib reads and writes. Written so that it could go upstream.
"""

from __future__ import annotations

from typing import cast

from xdsl.dialects.builtin import AnyTensorType, IntegerAttr
from xdsl.ir import Dialect, Operation
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure

NAMES = (
    *("acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "digamma", "erf"),
    *("erf_inv", "erfc", "lgamma", "sinh", "square", "tan"),
)
"""Functions of each element alone."""


class _Elementwise(IRDLOperation):
    """A function of each element: `chlo.erf %x : tensor<3xf64> -> tensor<3xf64>`."""

    operand = operand_def(AnyTensorType)
    result = result_def(AnyTensorType)

    traits = traits_def(Pure())

    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"


def _elementwise(name: str) -> type[Operation]:
    described = {"name": f"chlo.{name}", "__doc__": _Elementwise.__doc__}
    kind = type(f"{name.title()}Op", (_Elementwise,), described)
    return irdl_op_definition(cast(type[IRDLOperation], kind))


ELEMENTWISE = {name: _elementwise(name) for name in NAMES}


@irdl_op_definition
class TopKOp(IRDLOperation):
    """The largest elements along the last axis, and where they are.

    ```mlir
    %largest, %places = "chlo.top_k"(%x) <{k = 2 : i64}>
      : (tensor<3x5xf64>) -> (tensor<3x2xf64>, tensor<3x2xi32>)
    ```
    """

    name = "chlo.top_k"

    operand = operand_def(AnyTensorType)
    k = prop_def(IntegerAttr)
    values = result_def(AnyTensorType)
    indices = result_def(AnyTensorType)

    traits = traits_def(Pure())


Chlo = Dialect("chlo", [*ELEMENTWISE.values(), TopKOp])
