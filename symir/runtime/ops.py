"""The ops of StableHLO as functions of JAX: one way to evaluate a function op by op."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects.builtin import bf16
from xdsl.ir import Attribute, Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import (
    combiner_of,
    constant_of,
    dtype_of,
    element_of,
    shape_of,
    to_numpy,
)
from symir.errors import NotDifferentiable
from symir.provenance import place_of

UNARY: dict[type[Operation], Callable[..., Any]] = {
    hlo.AbsOp: lax.abs,
    hlo.CeilOp: lax.ceil,
    hlo.CosineOp: lax.cos,
    hlo.ExponentialOp: lax.exp,
    hlo.ExponentialMinusOneOp: lax.expm1,
    hlo.FloorOp: lax.floor,
    hlo.ImagOp: lax.imag,
    hlo.LogOp: lax.log,
    hlo.LogPlusOneOp: lax.log1p,
    hlo.LogisticOp: lax.logistic,
    hlo.NegateOp: lax.neg,
    hlo.NotOp: lax.bitwise_not,
    hlo.PopcntOp: lax.population_count,
    hlo.RealOp: lax.real,
    hlo.RoundNearestAfzOp: lax.round,
    hlo.RoundNearestEvenOp: jnp.round,
    hlo.RsqrtOp: lax.rsqrt,
    hlo.SignOp: lax.sign,
    hlo.SineOp: lax.sin,
    hlo.SqrtOp: lax.sqrt,
    hlo.CbrtOp: lax.cbrt,
    hlo.TanOp: lax.tan,
    hlo.TanhOp: lax.tanh,
}
BINARY: dict[type[Operation], Callable[..., Any]] = {
    hlo.AddOp: lax.add,
    hlo.AndOp: lax.bitwise_and,
    hlo.Atan2Op: lax.atan2,
    hlo.ComplexOp: lax.complex,
    hlo.DivideOp: lax.div,
    hlo.MaximumOp: lax.max,
    hlo.MinimumOp: lax.min,
    hlo.MultiplyOp: lax.mul,
    hlo.OrOp: lax.bitwise_or,
    hlo.PowerOp: lax.pow,
    hlo.RemainderOp: lax.rem,
    hlo.ShiftLeftOp: lax.shift_left,
    hlo.ShiftRightArithmeticOp: lax.shift_right_arithmetic,
    hlo.ShiftRightLogicalOp: lax.shift_right_logical,
    hlo.SubtractOp: lax.sub,
    hlo.XorOp: lax.bitwise_xor,
}
_COMPARE: dict[str, Callable[..., Any]] = {
    "EQ": lax.eq,
    "NE": lax.ne,
    "LT": lax.lt,
    "LE": lax.le,
    "GT": lax.gt,
    "GE": lax.ge,
}


def _unknown(op: Operation) -> NotDifferentiable:
    """Return the error for an op that only a lowering of the user's own leaves."""
    return NotDifferentiable(
        "R011",
        f"the kernel cannot be followed through '{op.name}'",
        location=place_of(op),
        expected="ops that the lowerings of symir leave",
        hint="derivatives and vmap over parameters evaluate a kernel op by op",
    )


def apply(op: Operation, operands: Sequence[Any]) -> Any:
    """Return the result of an op.

    Raises:
        NotDifferentiable: for an op that is not known here (R011).
    """
    kind = type(op)
    function = UNARY.get(kind) or BINARY.get(kind)
    if function is not None:
        return function(*operands)
    if kind in _SHAPED:
        return _SHAPED[kind](op, *operands)
    raise _unknown(op)


def _constant(op: hlo.ConstantOp) -> Any:
    return jnp.asarray(to_numpy(op.value), _dtype(op))


def _compare(op: hlo.CompareOp, lhs: Any, rhs: Any) -> Any:
    return _COMPARE[op.comparison_direction.data.value](lhs, rhs)


def _select(op: hlo.SelectOp, predicate: Any, on_true: Any, on_false: Any) -> Any:
    return lax.select(jnp.broadcast_to(predicate, on_true.shape), on_true, on_false)


def _convert(op: hlo.ConvertOp, value: Any) -> Any:
    dtype = _dtype(op)
    if jnp.iscomplexobj(value) and not jnp.issubdtype(dtype, jnp.complexfloating):
        value = lax.real(value)
    return lax.convert_element_type(value, dtype)


def _broadcast(op: hlo.BroadcastInDimOp, value: Any) -> Any:
    dims = op.broadcast_dimensions.get_values()
    return lax.broadcast_in_dim(value, shape_of(op.result), dims)


def _reshape(op: hlo.ReshapeOp, value: Any) -> Any:
    return lax.reshape(value, shape_of(op.result))


def _concatenate(op: hlo.ConcatenateOp, *values: Any) -> Any:
    return lax.concatenate(values, op.dimension.value.data)


def _iota(op: hlo.IotaOp) -> Any:
    axis = op.iota_dimension.value.data
    return lax.broadcasted_iota(_dtype(op), shape_of(op.output), axis)


def _slice(op: hlo.SliceOp, value: Any) -> Any:
    bounds = (op.start_indices, op.limit_indices, op.strides)
    return lax.slice(value, *(list(bound.get_values()) for bound in bounds))


def jax_dtype_of(element: Attribute) -> np.dtype:
    """Return the dtype of an element type as JAX has it."""
    # NumPy computes with more bits in its place
    return jnp.dtype(jnp.bfloat16) if element == bf16 else dtype_of(element)


def _dtype(op: Operation) -> np.dtype:
    return jax_dtype_of(element_of(op.results[0]))


def _values(dims: Any) -> tuple[int, ...]:
    return tuple(dim.value.data for dim in dims)


def _gather(op: hlo.GatherOp, operand: Any, starts: Any) -> Any:
    numbers = op.dimension_numbers
    axis = numbers.index_vector_dim.value.data
    if axis == starts.ndim:
        starts = starts[..., None]
    else:
        starts = jnp.moveaxis(starts, axis, -1)
    dims = lax.GatherDimensionNumbers(
        offset_dims=_values(numbers.offset_dims),
        collapsed_slice_dims=_values(numbers.collapsed_slice_dims),
        start_index_map=_values(numbers.start_index_map),
        operand_batching_dims=_values(numbers.operand_batching_dims),
        start_indices_batching_dims=_values(numbers.start_indices_batching_dims),
    )
    sizes = tuple(op.slice_sizes.get_values())
    return lax.gather(operand, starts, dims, sizes, mode="clip")


def _dot(op: hlo.DotGeneralOp, lhs: Any, rhs: Any) -> Any:
    numbers = op.dot_dimension_numbers
    contracted = (
        _values(numbers.lhs_contracting_dimensions),
        _values(numbers.rhs_contracting_dimensions),
    )
    batched = (
        _values(numbers.lhs_batching_dimensions),
        _values(numbers.rhs_batching_dimensions),
    )
    return lax.dot_general(
        lhs,
        rhs,
        (contracted, batched),
        precision=_precision(op),
        preferred_element_type=_dtype(op),
    )


def _precision(op: Operation) -> Any:
    config: Any = op.properties.get("precision_config")
    if config is None:
        return None
    return tuple(lax.Precision[one.data.value] for one in config)


def _reduce(op: hlo.ReduceOp, operand: Any, initial: Any) -> Any:
    axes = tuple(op.dimensions.get_values())
    combine = combiner_of(op)
    start = constant_of(op.operands[1])
    if combine not in _REDUCTIONS:
        raise _unknown(op)
    if combine in _BITWISE and operand.dtype != np.bool_:
        return lax.reduce(operand, initial, BINARY[combine], axes)
    match op.body.block.first_op:
        case hlo.AddOp():
            total = jnp.sum(operand, axis=axes, dtype=operand.dtype)
            return total if start is not None and not start.any() else total + initial
        case hlo.MultiplyOp():
            total = jnp.prod(operand, axis=axes, dtype=operand.dtype)
            return total if start is not None and start == 1 else total * initial
        case hlo.MaximumOp():
            return lax.max(jnp.max(operand, axis=axes), initial)
        case hlo.MinimumOp():
            return lax.min(jnp.min(operand, axis=axes), initial)
        case hlo.OrOp():
            return jnp.any(operand, axis=axes) | initial
        case hlo.AndOp():
            return jnp.all(operand, axis=axes) & initial
        case hlo.XorOp():
            odd = jnp.sum(operand, axis=axes, dtype=jnp.int32) & 1
            return odd.astype(jnp.bool_) ^ initial
        case _:
            raise _unknown(op)


_BITWISE = (hlo.AndOp, hlo.OrOp, hlo.XorOp)

_REDUCTIONS = (
    hlo.AddOp,
    hlo.AndOp,
    hlo.MaximumOp,
    hlo.MinimumOp,
    hlo.MultiplyOp,
    hlo.OrOp,
    hlo.XorOp,
)


def _transpose(op: hlo.TransposeOp, value: Any) -> Any:
    return lax.transpose(value, list(op.permutation.get_values()))


def _clamp(op: hlo.ClampOp, low: Any, value: Any, high: Any) -> Any:
    return lax.clamp(low, value, high)


def _is_finite(op: hlo.IsFiniteOp, value: Any) -> Any:
    return lax.is_finite(value)


_SHAPED: dict[type[Operation], Callable[..., Any]] = {
    hlo.BroadcastInDimOp: _broadcast,
    hlo.ClampOp: _clamp,
    hlo.CompareOp: _compare,
    hlo.ConcatenateOp: _concatenate,
    hlo.ConstantOp: _constant,
    hlo.ConvertOp: _convert,
    hlo.GatherOp: _gather,
    hlo.IotaOp: _iota,
    hlo.IsFiniteOp: _is_finite,
    hlo.DotGeneralOp: _dot,
    hlo.ReduceOp: _reduce,
    hlo.ReshapeOp: _reshape,
    hlo.SelectOp: _select,
    hlo.SliceOp: _slice,
    hlo.TransposeOp: _transpose,
}
"""Ops that do more than to combine elements, or need their attributes."""
