"""Elementwise StableHLO ops on NumPy arrays, for constant folding and range analysis.

The reference interpreters share no code with this module, on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import dtype_of

Array = npt.NDArray[Any]


def _divide(lhs: Array, rhs: Array) -> Array:
    if not np.issubdtype(lhs.dtype, np.integer):
        return lhs / rhs
    safe = np.where(rhs == 0, 1, rhs)
    quotient = np.abs(lhs) // np.abs(safe) * np.sign(lhs) * np.sign(safe)
    return np.where(rhs == 0, -1, quotient)


def _complex(real: Array, imag: Array) -> Array:
    return real + 1j * imag


def _power(lhs: Array, rhs: Array) -> Array:
    if np.issubdtype(lhs.dtype, np.integer):
        return np.power(lhs, np.maximum(rhs, 0))
    return np.power(lhs, rhs)


_EXACT: dict[type[Operation], Callable[..., Any]] = {
    hlo.AbsOp: np.abs,
    hlo.AddOp: np.add,
    hlo.AndOp: np.bitwise_and,
    hlo.CeilOp: np.ceil,
    hlo.DivideOp: _divide,
    hlo.FloorOp: np.floor,
    hlo.ImagOp: np.imag,
    hlo.MaximumOp: np.maximum,
    hlo.MinimumOp: np.minimum,
    hlo.MultiplyOp: np.multiply,
    hlo.NegateOp: np.negative,
    hlo.NotOp: np.invert,
    hlo.OrOp: np.bitwise_or,
    hlo.RealOp: np.real,
    hlo.RemainderOp: np.fmod,
    hlo.SelectOp: np.where,
    hlo.SignOp: np.sign,
    hlo.SqrtOp: np.sqrt,
    hlo.SubtractOp: np.subtract,
    hlo.XorOp: np.bitwise_xor,
}
"""Ops whose results IEEE 754 or integer arithmetic fixes to the last bit."""

_ROUNDED: dict[type[Operation], Callable[..., Any]] = {
    hlo.ComplexOp: _complex,
    hlo.CosineOp: np.cos,
    hlo.ExponentialOp: np.exp,
    hlo.LogOp: np.log,
    hlo.PowerOp: _power,
    hlo.SineOp: np.sin,
    hlo.TanhOp: np.tanh,
}
"""Ops that libraries may round differently."""

_DIRECTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "EQ": np.equal,
    "NE": np.not_equal,
    "LT": np.less,
    "LE": np.less_equal,
    "GT": np.greater,
    "GE": np.greater_equal,
}


def evaluate(
    op: Operation, operands: Sequence[Array], *, exact: bool = False
) -> Array | None:
    """Return what an elementwise op computes, or None for an op that is not known here.

    The operands broadcast against each other, so that an op on scalars can be evaluated
    at many points at once. With `exact`, ops that may be rounded differently elsewhere
    count as unknown.
    """
    function = _function(op, exact)
    if function is None:
        return None
    element = cast(TensorType[Attribute], op.results[0].type).element_type
    with np.errstate(all="ignore"):
        return np.asarray(function(*operands)).astype(dtype_of(element))


def _function(op: Operation, exact: bool) -> Callable[..., Any] | None:
    if isinstance(op, hlo.CompareOp):
        return _DIRECTIONS[op.comparison_direction.data.value]
    if isinstance(op, hlo.ConvertOp):
        return np.asarray
    known = _EXACT.get(type(op))
    return known if known is not None or exact else _ROUNDED.get(type(op))
