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
from xdsl_jax.dialects.stablehlo.attributes import ComparisonType

from dialects import sym
from dialects.stablehlo import dtype_of
from lowering.analysis.rounding import is_exact

Array = npt.NDArray[Any]


def _is_integer(value: Array) -> bool:
    return value.dtype.kind in "iu"


def _divide(lhs: Array, rhs: Array) -> Array:
    if not _is_integer(lhs):
        return lhs / rhs
    # Towards zero; by zero, all bits are set
    safe = np.where(rhs == 0, 1, rhs)
    quotient = (lhs - np.fmod(lhs, safe)) // safe
    return np.where(rhs == 0, np.invert(np.zeros_like(lhs)), quotient)


def _remainder(lhs: Array, rhs: Array) -> Array:
    if not _is_integer(lhs):
        return np.fmod(lhs, rhs)
    return np.where(rhs == 0, lhs, np.fmod(lhs, np.where(rhs == 0, 1, rhs)))


def _sign(operand: Array) -> Array:
    # zeros keep their sign
    return np.where(operand == 0, operand, np.sign(operand))


def _maximum(lhs: Array, rhs: Array) -> Array:
    # 0 is larger than -0, which NumPy leaves open
    return np.where((lhs == 0) & (rhs == 0), lhs + rhs, np.maximum(lhs, rhs))


def _minimum(lhs: Array, rhs: Array) -> Array:
    smaller = np.minimum(lhs, rhs)
    if lhs.dtype.kind != "f":
        return smaller
    return np.where((lhs == 0) & (rhs == 0), -(-lhs - rhs), smaller)


def _complex(real: Array, imag: Array) -> Array:
    # real + 1j * imag would turn infinities into NaN
    real, imag = np.broadcast_arrays(real, imag)
    result = np.empty(real.shape, np.result_type(real, np.complex64))
    result.real, result.imag = real, imag
    return result


def _power(lhs: Array, rhs: Array) -> Array:
    if not _is_integer(lhs):
        return np.power(lhs, rhs)
    # One over an integer is an integer for 1 and -1 only
    inverse = np.where(np.abs(lhs) == 1, np.power(lhs, rhs & 1), 0)
    return np.where(rhs < 0, inverse, np.power(lhs, np.maximum(rhs, 0)))


def _logistic(operand: Array) -> Array:
    return 1 / (1 + np.exp(-operand))


def _rsqrt(operand: Array) -> Array:
    return 1 / np.sqrt(operand)


def _convert(operand: Array, dtype: np.dtype[Any]) -> Array:
    """Convert as XLA does: floats are truncated and saturate, NaN is the integer 0."""
    if operand.dtype.kind == "c" and dtype.kind != "c":
        operand = np.real(operand)
    if operand.dtype.kind != "f" or dtype.kind not in "iu":
        return operand.astype(dtype)
    largest, smallest = np.iinfo(dtype).max, np.iinfo(dtype).min
    above, below = operand >= largest, operand <= smallest
    inside = np.where(above | below | np.isnan(operand), 0, operand).astype(dtype)
    # assigned, so that the limits of 64 bits never pass through a float
    inside[above], inside[below] = largest, smallest
    return inside


_EXACT: dict[type[Operation], Callable[..., Any]] = {
    hlo.AbsOp: np.abs,
    hlo.AddOp: np.add,
    hlo.AndOp: np.bitwise_and,
    hlo.CeilOp: np.ceil,
    hlo.DivideOp: _divide,
    hlo.FloorOp: np.floor,
    hlo.ImagOp: np.imag,
    hlo.MaximumOp: _maximum,
    hlo.MinimumOp: _minimum,
    hlo.MultiplyOp: np.multiply,
    hlo.NegateOp: np.negative,
    hlo.NotOp: np.invert,
    hlo.OrOp: np.bitwise_or,
    hlo.RealOp: np.real,
    hlo.RemainderOp: _remainder,
    hlo.SelectOp: np.where,
    hlo.SignOp: _sign,
    hlo.SubtractOp: np.subtract,
    hlo.XorOp: np.bitwise_xor,
}
"""Ops whose results IEEE 754 or integer arithmetic fixes to the last bit.

For sums, products and quotients only while they are not rounded: see `rounding`.
"""

_ROUNDED: dict[type[Operation], Callable[..., Any]] = {
    hlo.ComplexOp: _complex,
    hlo.CosineOp: np.cos,
    hlo.ExponentialMinusOneOp: np.expm1,
    hlo.ExponentialOp: np.exp,
    hlo.LogOp: np.log,
    hlo.LogPlusOneOp: np.log1p,
    hlo.LogisticOp: _logistic,
    hlo.PowerOp: _power,
    hlo.RsqrtOp: _rsqrt,
    hlo.SineOp: np.sin,
    hlo.SqrtOp: np.sqrt,
    hlo.TanhOp: np.tanh,
}
"""Ops that libraries may round differently."""

_NUMBERS_ONLY = (
    hlo.DivideOp,
    hlo.NegateOp,
    hlo.PowerOp,
    hlo.RemainderOp,
    hlo.SignOp,
    hlo.SubtractOp,
)
"""Ops that StableHLO does not have for booleans, and NumPy mostly neither."""

_DIRECTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "EQ": np.equal,
    "NE": np.not_equal,
    "LT": np.less,
    "LE": np.less_equal,
    "GT": np.greater,
    "GE": np.greater_equal,
}


def evaluate(
    op: Operation,
    operands: Sequence[Array],
    *,
    exact: bool = False,
) -> Array | None:
    """Return what an elementwise op computes, or None for an op that is not known here.

    The operands broadcast against each other, so that an op on scalars can be evaluated
    at many points at once. With `exact`, results that a backend may round differently
    count as unknown: roots, those of transcendental functions, and all that is rounded.
    """
    function = _function(op, exact)
    if function is None:
        return None
    with np.errstate(all="ignore"):
        result = np.asarray(function(*operands))
        if exact and not is_exact(op, operands, result):
            return None
        return _convert(result, _result_dtype(op))


def _result_dtype(op: Operation) -> np.dtype[Any]:
    return dtype_of(cast(TensorType[Attribute], op.results[0].type).element_type)


def _function(op: Operation, exact: bool) -> Callable[..., Any] | None:
    if isinstance(op, hlo.CompareOp):
        return _comparison(op)
    if isinstance(op, hlo.ConvertOp | sym.OwnRuleOp):
        return np.asarray
    if isinstance(op, _NUMBERS_ONLY) and _result_dtype(op) == np.bool_:
        return None
    known = _EXACT.get(type(op))
    return known if known is not None or exact else _ROUNDED.get(type(op))


def _comparison(op: hlo.CompareOp) -> Callable[..., Any] | None:
    kind = op.comparison_type
    if kind is not None and kind.data == ComparisonType.TOTALORDER:
        return None
    return _DIRECTIONS[op.comparison_direction.data.value]
