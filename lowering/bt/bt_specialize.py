"""`bt-specialize{batch=1024 state=i8}`: bind the batch size and the state type.

Everything before this pass runs once per operator, everything after it once per shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    FunctionType,
    IntegerType,
    ModuleOp,
    Signedness,
    TensorType,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.stablehlo import tensor
from lowering.relations import Relation
from lowering.rewriting import RetypeValues, rewrite_once

_WIDTHS = (8, 16, 32, 64)

STATE_TYPES: dict[str, Attribute] = {
    "i1": IntegerType(1),
    **{f"i{width}": IntegerType(width) for width in _WIDTHS},
    **{f"ui{width}": IntegerType(width, Signedness.UNSIGNED) for width in _WIDTHS},
    "f16": Float16Type(),
    "bf16": BFloat16Type(),
    "f32": Float32Type(),
    "f64": Float64Type(),
}
"""The element types that configurations may be stored in."""

_NAMES = {
    "bool": "i1",
    **{f"int{width}": f"i{width}" for width in _WIDTHS},
    **{f"uint{width}": f"ui{width}" for width in _WIDTHS},
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
}

STATE_DTYPES: dict[str, np.dtype[Any]] = {
    state: np.dtype(name) for name, state in _NAMES.items() if name != "bfloat16"
}
"""The dtype of configurations for each state type that NumPy has one for."""


def state_type(dtype: npt.DTypeLike) -> str:
    """Return the state type that stores a dtype; TypeError where there is none."""
    own = np.dtype(dtype)
    if own.name not in _NAMES or not own.isnative:
        raise TypeError(f"no configurations are stored as {own}")
    return _NAMES[own.name]


@dataclass
class BindBatchAndState(RetypeValues):
    """Tensors get a static batch dimension, and the type that x is stored in.

    %v = bt.gather %x[%i]
      : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
    becomes, for a batch of 4 and i8
    %v = bt.gather %x[%i] : (tensor<4x3xi8>, tensor<2xi32>) -> tensor<4x2xf64>
    """

    batch: int
    state: Attribute

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        super().match_and_rewrite(op, rewriter)
        if isinstance(op, FuncOp):
            kind = op.function_type
            op.function_type = FunctionType.from_lists(
                list(map(self._bound, kind.inputs)),
                list(map(self._bound, kind.outputs)),
            )

    def converted(self, kind: TensorType[Attribute]) -> Attribute:
        is_state = isinstance(kind.element_type, bt.StateType)
        shape = [self.batch if n == bt.BATCH else n for n in kind.get_shape()]
        return tensor(self.state if is_state else kind.element_type, shape)

    def _bound(self, kind: Attribute) -> Attribute:
        if not isinstance(kind, TensorType):
            return kind
        return self.converted(cast(TensorType[Attribute], kind))


@dataclass(frozen=True)
class BtSpecializePass(ModulePass):
    """Replace the dynamic batch dimension and `!bt.state` by concrete ones."""

    name = "bt-specialize"
    relation: ClassVar[Relation] = Relation.EQUAL

    batch: int
    state: str = "i8"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.state not in STATE_TYPES:
            raise PassFailedException(
                f"{self.name}: unknown state type '{self.state}', expected one of "
                + ", ".join(STATE_TYPES)
            )
        if self.batch < 0:
            raise PassFailedException(
                f"{self.name}: the batch size must not be negative, got {self.batch}"
            )
        pattern = BindBatchAndState(self.batch, STATE_TYPES[self.state])
        rewrite_once(op, pattern)
