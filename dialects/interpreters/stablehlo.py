"""StableHLO over NumPy: what the elementwise ops and the shape ops compute.

Follows the StableHLO specification; where that leaves the answer to the implementation
(division by zero, conversions out of range) it answers as XLA does. Every value is an
array of any shape with the dtype of its type, also where a dimension is dynamic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    ReturnedValues,
    TerminatorValue,
    impl,
    impl_terminator,
    register_impls,
)
from xdsl.ir import Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects.chlo import ELEMENTWISE as CHLO
from dialects.interpreters.numbers import converted, known, numbers_of
from dialects.stablehlo import dtype_of, element_of, shape_of, to_numpy
from dialects.stablehlo_ops import DynamicUpdateSliceOp, ReverseOp

Array = npt.NDArray[Any]

# region Integers


def _unsigned(value: Array) -> Array:
    """Reinterpret the bits of integers as unsigned integers."""
    return value.view(f"u{value.dtype.itemsize}")


def _width(value: Array) -> int:
    return 8 * value.dtype.itemsize


def _divide_integers(lhs: Array, rhs: Array) -> Array:
    """Divide towards zero; all bits are set where the divisor is zero."""
    minus_one = (rhs == -1) & (lhs.dtype.kind == "i")
    divisor = np.where((rhs == 0) | minus_one, 1, rhs).astype(rhs.dtype)
    floor = np.floor_divide(lhs, divisor)
    inexact = np.multiply(floor, divisor) != lhs
    quotient = floor + (inexact & ((lhs < 0) != (divisor < 0)))
    # The smallest integer divided by -1 is itself again.
    quotient = np.where(minus_one, np.negative(lhs), quotient)
    return np.where(rhs == 0, np.invert(np.zeros_like(lhs)), quotient)


def _remainder_of_integers(lhs: Array, rhs: Array) -> Array:
    """Return the remainder with the dividend's sign; the dividend where rhs is zero."""
    divisor = np.where(rhs == 0, 1, rhs).astype(rhs.dtype)
    return np.where(rhs == 0, lhs, np.fmod(lhs, divisor))


def _power_of_integers(base: Array, exponent: Array) -> Array:
    """Multiply with wrapping; a negative power is zero unless the base is 1 or -1."""
    negative = exponent < 0
    power = np.power(base, np.where(negative, 0, exponent).astype(exponent.dtype))
    is_odd = (exponent & 1) == 1
    inverse = np.where(base == 1, 1, 0)
    inverse = np.where(base == -1, np.where(is_odd, -1, 1), inverse)
    return np.where(negative, inverse.astype(base.dtype), power)


def _popcnt(value: Array) -> Array:
    return np.bitwise_count(_unsigned(value))


def _count_leading_zeros(value: Array) -> Array:
    bits = _unsigned(value)
    distance = 1
    while distance < _width(value):
        # Afterwards every bit below the highest one is set.
        bits = bits | (bits >> distance)
        distance *= 2
    return _width(value) - np.bitwise_count(bits).astype(value.dtype)


def _shift(value: Array, amount: Array) -> tuple[Array, Array]:
    """Return where a shift reaches past the width, and amounts that NumPy can shift by.

    A negative amount is a huge unsigned one.
    """
    past = _unsigned(amount) >= _width(value)
    return past, np.where(past, 0, amount).astype(amount.dtype)


def _shift_left(value: Array, amount: Array) -> Array:
    past, within = _shift(value, amount)
    return np.where(past, 0, np.left_shift(value, within))


def _shift_right_logical(value: Array, amount: Array) -> Array:
    past, within = _shift(value, amount)
    shifted = np.asarray(np.right_shift(_unsigned(value), _unsigned(within)))
    return np.where(past, 0, shifted.view(value.dtype))


def _shift_right_arithmetic(value: Array, amount: Array) -> Array:
    past, within = _shift(value, amount)
    signed = value.view(f"i{value.dtype.itemsize}")
    shifted = np.right_shift(signed, within.view(signed.dtype))
    filled = np.where(past, np.where(signed < 0, -1, 0), shifted)
    return filled.astype(signed.dtype).view(value.dtype)


# endregion
# region Real and complex numbers


def _sign(value: Array) -> Array:
    """Return -1, 0 or 1 (z / |z| of a complex z); zeros keep their sign, NaN stays."""
    if value.dtype.kind == "i":
        return np.sign(value)
    magnitude = np.abs(value)
    if value.dtype.kind == "f":
        return np.where(magnitude > 0, np.copysign(1, value), value)
    unit = value / np.where(magnitude > 0, magnitude, 1)
    return np.where(magnitude == 0, 0, np.where(np.isnan(magnitude), np.nan, unit))


def _cbrt(value: Array) -> Array:
    if value.dtype.kind == "c":
        return np.power(value, 1 / 3)
    return np.cbrt(value)


def _log_plus_one(value: Array) -> Array:
    if value.dtype.kind != "c":
        return np.log1p(value)
    real, imag = np.real(value), np.imag(value)
    # log |1 + z| without the rounding of 1 + z
    modulus = np.log1p(real * (2 + real) + imag * imag) / 2
    return _complex(modulus, np.arctan2(imag, 1 + real))


def logistic(value: Array) -> Array:
    """Return 1 / (1 + exp(-value))."""
    return 1 / (1 + np.exp(-value))


def _rsqrt(value: Array) -> Array:
    return 1 / np.sqrt(value)


def round_half_away(value: Array) -> Array:
    """Round to integers, halves away from zero."""
    truncated = np.trunc(value)
    away = np.abs(value - truncated) >= 0.5
    return np.copysign(np.abs(truncated) + away, value)


def _atan2(lhs: Array, rhs: Array) -> Array:
    if lhs.dtype.kind != "c":
        return np.arctan2(lhs, rhs)
    return -1j * np.log((rhs + 1j * lhs) / np.sqrt(lhs * lhs + rhs * rhs))


def _complex(real: Array, imag: Array) -> Array:
    # real + 1j * imag would turn infinities into NaN
    result = np.empty(np.shape(real), np.result_type(real, np.complex64))
    result.real, result.imag = real, imag
    return result


def _reduce_precision(value: Array, exponent_bits: int, mantissa_bits: int) -> Array:
    """Round floats to a format with fewer bits, and return them in their own format."""
    layout = np.finfo(value.dtype)
    reduced = _round_mantissa(value, layout.nmant - mantissa_bits)
    if exponent_bits < layout.nexp:
        largest = 2 ** (exponent_bits - 1) - 1
        exponent = np.frexp(reduced)[1] - 1
        reduced = np.where(exponent > largest, np.copysign(np.inf, value), reduced)
        reduced = np.where(exponent < 1 - largest, np.copysign(0, value), reduced)
    # NaN and infinities have no exponent; zeros have one that is no power of two.
    is_special = ~np.isfinite(value) | (value == 0)
    return np.where(is_special, value, reduced)


def _round_mantissa(value: Array, dropped: int) -> Array:
    """Drop the lowest bits of the mantissa, rounding to even."""
    if dropped <= 0:
        return value
    bits = _unsigned(value)
    one = bits.dtype.type(1)
    last_kept = (bits >> dropped) & one
    half = (one << (dropped - 1)) - one + last_kept
    # A carry out of the mantissa increments the exponent, as it should.
    rounded = np.asarray((bits + half) >> dropped << dropped)
    return rounded.view(value.dtype)


def _of_each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    """Return a function of Python's floats as one of arrays."""
    vectorised = np.vectorize(function, otypes=[np.float64])
    return lambda value: vectorised(value.astype(np.float64))


erf = _of_each(math.erf)


def _lgamma(value: float) -> float:
    """Return log |gamma|; infinite at its poles."""
    is_pole = value <= 0 and value % 1 == 0
    return math.inf if is_pole else math.lgamma(value)


# endregion
# region Any numbers


def _divide(lhs: Array, rhs: Array) -> Array:
    return _divide_integers(lhs, rhs) if lhs.dtype.kind in "iu" else lhs / rhs


def _remainder(lhs: Array, rhs: Array) -> Array:
    if lhs.dtype.kind in "iu":
        return _remainder_of_integers(lhs, rhs)
    return np.fmod(lhs, rhs)


def _power(base: Array, exponent: Array) -> Array:
    if base.dtype.kind in "iu":
        return _power_of_integers(base, exponent)
    return np.power(base, exponent)


def _maximum(lhs: Array, rhs: Array) -> Array:
    """Return the larger value (of complex numbers lexicographically); NaN wins."""
    larger = np.maximum(lhs, rhs)
    if lhs.dtype.kind != "f":
        return larger
    # 0 is larger than -0, which NumPy leaves open
    return np.where((lhs == 0) & (rhs == 0), lhs + rhs, larger)


def _minimum(lhs: Array, rhs: Array) -> Array:
    """Return the smaller value (of complex numbers lexicographically); NaN wins."""
    smaller = np.minimum(lhs, rhs)
    if lhs.dtype.kind != "f":
        return smaller
    return np.where((lhs == 0) & (rhs == 0), -(-lhs - rhs), smaller)


def _clamp(lower: Array, value: Array, upper: Array) -> Array:
    """Return min(max(value, lower), upper); the bounds may be scalars."""
    lower = np.broadcast_to(lower, value.shape)
    upper = np.broadcast_to(upper, value.shape)
    return _minimum(np.asarray(_maximum(value, lower)), upper)


def _bitcast_convert(value: Array, dtype: np.dtype[Any]) -> Array:
    """Reinterpret bits; a narrower type adds a last axis, a wider one uses it up."""
    kinds = {value.dtype.kind, dtype.kind}
    if len(kinds) == 2 and kinds & {"b", "c"}:
        raise TypeError(f"no bitcast from {value.dtype} to {dtype}")
    source = np.ascontiguousarray(value).reshape(value.shape)
    if source.dtype.itemsize == dtype.itemsize:
        return source.view(dtype)
    if source.dtype.itemsize > dtype.itemsize:
        return source.reshape(*source.shape, 1).view(dtype)
    return source.view(dtype).reshape(source.shape[:-1])


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "EQ": np.equal,
    "NE": np.not_equal,
    "LT": np.less,
    "LE": np.less_equal,
    "GT": np.greater,
    "GE": np.greater_equal,
}


def total_order(value: Array) -> Array:
    """Map floats to integers in the order -NaN, -inf, .., -0, 0, .., inf, NaN."""
    bits = value.view(f"i{value.dtype.itemsize}")
    return np.where(bits < 0, np.bitwise_xor(bits, np.iinfo(bits.dtype).max), bits)


# endregion
# region Shapes


def _broadcast_in_dim(value: Array, shape: Sequence[int], dims: Sequence[int]) -> Array:
    # The operand's axes, in the order in which they stand in the result.
    order = np.argsort(dims) if len(dims) else ()
    aligned = [1] * len(shape)
    for size, axis in zip(value.shape, dims, strict=True):
        aligned[axis] = size
    return np.broadcast_to(np.transpose(value, order).reshape(aligned), shape)


def _iota(shape: Sequence[int], axis: int, dtype: np.dtype[Any]) -> Array:
    aligned = [1] * len(shape)
    aligned[axis] = shape[axis]
    # Counting in the type itself: NumPy's arange refuses what does not fit.
    count = np.arange(shape[axis]).astype(dtype)
    return np.broadcast_to(count.reshape(aligned), shape)


def _slices(
    op: Operation, value: Any, starts: Sequence[Any], sizes: Sequence[int]
) -> tuple[slice, ...]:
    """Return a slice of some sizes; a start that reaches too far is moved back."""
    found: list[slice] = []
    for start, size, length in zip(starts, sizes, value.shape, strict=True):
        first = min(max(int(known(op, start)), 0), length - size)
        found.append(slice(first, first + size))
    return tuple(found)


# endregion
# region Implementations


def _elementwise(op_type: type[Operation], function: Callable[..., Any]) -> Any:
    """Implement an op whose result has the dtype of its operands."""

    def reference(op: Operation, *args: Array) -> Array:
        return np.asarray(function(*args), args[0].dtype)

    return _computed(op_type, reference)


def _arithmetic(op_type: type[Operation], function: Callable[..., Any]) -> Any:
    """Implement an elementwise op that StableHLO does not have for i1."""

    def checked(*args: Array) -> Any:
        if args[0].dtype.kind == "b":
            raise TypeError(f"{op_type.name} is not defined on i1")
        return function(*args)

    return _elementwise(op_type, checked)


def _retyping(op_type: type[Operation], function: Callable[..., Any]) -> Any:
    """Implement an elementwise op whose function returns a dtype of its own."""

    def reference(op: Operation, *args: Array) -> Array:
        return np.asarray(function(*args))

    return _computed(op_type, reference)


def _computed(op_type: type[Operation], reference: Callable[..., Any]) -> Any:
    """Implement an op by a function of itself and floats, or as other numbers do."""

    @impl(op_type)
    def run(
        functions: InterpreterFunctions,
        interpreter: Interpreter,
        op: Operation,
        args: PythonValues,
    ) -> PythonValues:
        with np.errstate(all="ignore"):
            return (numbers_of(interpreter).computed(reference, op, args),)

    return run


def _convert(op: hlo.ConvertOp, value: Array) -> Array:
    return np.asarray(converted(value, dtype_of(element_of(op.result))))


def _bitcast(op: hlo.BitcastConvertOp, value: Array) -> Array:
    return _bitcast_convert(value, dtype_of(element_of(op.result)))


def _compare(op: hlo.CompareOp, lhs: Array, rhs: Array) -> Array:
    kind = op.comparison_type
    if kind is not None and kind.data == "TOTALORDER":
        lhs, rhs = total_order(lhs), total_order(rhs)
    return np.asarray(COMPARISONS[op.comparison_direction.data](lhs, rhs))


def _reduced(op: hlo.ReducePrecisionOp, value: Array) -> Array:
    bits = op.exponent_bits.value.data, op.mantissa_bits.value.data
    return np.asarray(_reduce_precision(value, *bits), value.dtype)


@register_impls
class StableHLOFunctions(InterpreterFunctions):
    """The elementwise ops of StableHLO, and those that make and reshape arrays."""

    # unary
    run_abs = _retyping(hlo.AbsOp, np.abs)
    run_cbrt = _elementwise(hlo.CbrtOp, _cbrt)
    run_ceil = _elementwise(hlo.CeilOp, np.ceil)
    run_cosine = _elementwise(hlo.CosineOp, np.cos)
    run_count_leading_zeros = _arithmetic(hlo.CountLeadingZerosOp, _count_leading_zeros)
    run_exponential = _elementwise(hlo.ExponentialOp, np.exp)
    run_exponential_minus_one = _elementwise(hlo.ExponentialMinusOneOp, np.expm1)
    run_floor = _elementwise(hlo.FloorOp, np.floor)
    run_imag = _retyping(hlo.ImagOp, np.imag)
    run_is_finite = _retyping(hlo.IsFiniteOp, np.isfinite)
    run_log = _elementwise(hlo.LogOp, np.log)
    run_log_plus_one = _elementwise(hlo.LogPlusOneOp, _log_plus_one)
    run_logistic = _elementwise(hlo.LogisticOp, logistic)
    run_negate = _arithmetic(hlo.NegateOp, np.negative)
    run_not = _elementwise(hlo.NotOp, np.invert)
    run_popcnt = _arithmetic(hlo.PopcntOp, _popcnt)
    run_real = _retyping(hlo.RealOp, np.real)
    run_round_nearest_afz = _elementwise(hlo.RoundNearestAfzOp, round_half_away)
    run_round_nearest_even = _elementwise(hlo.RoundNearestEvenOp, np.rint)
    run_rsqrt = _elementwise(hlo.RsqrtOp, _rsqrt)
    run_sign = _arithmetic(hlo.SignOp, _sign)
    run_sine = _elementwise(hlo.SineOp, np.sin)
    run_sqrt = _elementwise(hlo.SqrtOp, np.sqrt)
    run_tan = _elementwise(hlo.TanOp, np.tan)
    run_tanh = _elementwise(hlo.TanhOp, np.tanh)

    # binary; NumPy adds booleans with or, and multiplies them with and
    run_add = _elementwise(hlo.AddOp, np.add)
    run_and = _elementwise(hlo.AndOp, np.bitwise_and)
    run_atan2 = _elementwise(hlo.Atan2Op, _atan2)
    run_complex = _retyping(hlo.ComplexOp, _complex)
    run_divide = _arithmetic(hlo.DivideOp, _divide)
    run_maximum = _elementwise(hlo.MaximumOp, _maximum)
    run_minimum = _elementwise(hlo.MinimumOp, _minimum)
    run_multiply = _elementwise(hlo.MultiplyOp, np.multiply)
    run_or = _elementwise(hlo.OrOp, np.bitwise_or)
    run_power = _arithmetic(hlo.PowerOp, _power)
    run_remainder = _arithmetic(hlo.RemainderOp, _remainder)
    run_shift_left = _arithmetic(hlo.ShiftLeftOp, _shift_left)
    run_shift_right_arithmetic = _arithmetic(
        hlo.ShiftRightArithmeticOp, _shift_right_arithmetic
    )
    run_shift_right_logical = _arithmetic(hlo.ShiftRightLogicalOp, _shift_right_logical)
    run_subtract = _arithmetic(hlo.SubtractOp, np.subtract)
    run_xor = _elementwise(hlo.XorOp, np.bitwise_xor)

    # of CHLO
    run_acos = _elementwise(CHLO["acos"], np.arccos)
    run_acosh = _elementwise(CHLO["acosh"], np.arccosh)
    run_asin = _elementwise(CHLO["asin"], np.arcsin)
    run_asinh = _elementwise(CHLO["asinh"], np.arcsinh)
    run_atan = _elementwise(CHLO["atan"], np.arctan)
    run_atanh = _elementwise(CHLO["atanh"], np.arctanh)
    run_chlo_tan = _elementwise(CHLO["tan"], np.tan)
    run_cosh = _elementwise(CHLO["cosh"], np.cosh)
    run_erf = _elementwise(CHLO["erf"], erf)
    run_erfc = _elementwise(CHLO["erfc"], _of_each(math.erfc))
    run_lgamma = _elementwise(CHLO["lgamma"], _of_each(_lgamma))
    run_sinh = _elementwise(CHLO["sinh"], np.sinh)
    run_square = _elementwise(CHLO["square"], np.square)

    # other
    run_clamp = _elementwise(hlo.ClampOp, _clamp)
    run_select = _retyping(hlo.SelectOp, np.where)
    run_convert = _computed(hlo.ConvertOp, _convert)
    run_bitcast_convert = _computed(hlo.BitcastConvertOp, _bitcast)
    run_compare = _computed(hlo.CompareOp, _compare)
    run_reduce_precision = _computed(hlo.ReducePrecisionOp, _reduced)

    @impl(hlo.MapOp)
    def run_map(
        self, interpreter: Interpreter, op: hlo.MapOp, args: PythonValues
    ) -> PythonValues:
        # The ops of a map are elementwise: the arrays can be mapped as wholes.
        (computation,) = op.computation
        (result,) = interpreter.run_ssacfg_region(computation, args)
        return (np.broadcast_to(result, args[0].shape),)

    @impl_terminator(hlo.ReturnOp)
    def run_return(
        self, interpreter: Interpreter, op: hlo.ReturnOp, args: PythonValues
    ) -> tuple[TerminatorValue, PythonValues]:
        return ReturnedValues(args), ()

    # arrays and their shapes
    @impl(hlo.ConstantOp)
    def run_constant(
        self, interpreter: Interpreter, op: hlo.ConstantOp, args: PythonValues
    ) -> PythonValues:
        return (numbers_of(interpreter).given(to_numpy(op.value), op),)

    @impl(hlo.IotaOp)
    def run_iota(
        self, interpreter: Interpreter, op: hlo.IotaOp, args: PythonValues
    ) -> PythonValues:
        dtype = dtype_of(element_of(op.output))
        count = _iota(shape_of(op.output), op.iota_dimension.value.data, dtype)
        return (numbers_of(interpreter).given(count, op),)

    @impl(hlo.BroadcastInDimOp)
    def run_broadcast_in_dim(
        self, interpreter: Interpreter, op: hlo.BroadcastInDimOp, args: PythonValues
    ) -> PythonValues:
        dims = op.broadcast_dimensions.get_values()
        return (_broadcast_in_dim(args[0], shape_of(op.result), dims),)

    @impl(hlo.OptimizationBarrierOp)
    def run_optimization_barrier(
        self,
        interpreter: Interpreter,
        op: hlo.OptimizationBarrierOp,
        args: PythonValues,
    ) -> PythonValues:
        return args

    @impl(ReverseOp)
    def run_reverse(
        self, interpreter: Interpreter, op: ReverseOp, args: PythonValues
    ) -> PythonValues:
        (value,) = args
        axes = op.dimensions.get_values()
        steps = (-1 if axis in axes else 1 for axis in range(value.ndim))
        return (value[tuple(slice(None, None, step) for step in steps)],)

    @impl(hlo.ReshapeOp)
    def run_reshape(
        self, interpreter: Interpreter, op: hlo.ReshapeOp, args: PythonValues
    ) -> PythonValues:
        return (np.reshape(args[0], shape_of(op.result)),)

    @impl(hlo.TransposeOp)
    def run_transpose(
        self, interpreter: Interpreter, op: hlo.TransposeOp, args: PythonValues
    ) -> PythonValues:
        return (np.transpose(args[0], op.get_permutation()),)

    @impl(hlo.ConcatenateOp)
    def run_concatenate(
        self, interpreter: Interpreter, op: hlo.ConcatenateOp, args: PythonValues
    ) -> PythonValues:
        return (np.concatenate(args, axis=op.dimension.value.data),)

    @impl(hlo.SliceOp)
    def run_slice(
        self, interpreter: Interpreter, op: hlo.SliceOp, args: PythonValues
    ) -> PythonValues:
        ranges = zip(
            op.start_indices.get_values(),
            op.limit_indices.get_values(),
            op.strides.get_values(),
            strict=True,
        )
        return (args[0][tuple(slice(*bounds) for bounds in ranges)],)

    @impl(hlo.DynamicSliceOp)
    def run_dynamic_slice(
        self, interpreter: Interpreter, op: hlo.DynamicSliceOp, args: PythonValues
    ) -> PythonValues:
        value, *starts = args
        return (value[_slices(op, value, starts, shape_of(op.results[0]))],)

    @impl(DynamicUpdateSliceOp)
    def run_dynamic_update_slice(
        self, interpreter: Interpreter, op: DynamicUpdateSliceOp, args: PythonValues
    ) -> PythonValues:
        value, update, *starts = args
        key = _slices(op, value, starts, update.shape)
        return (numbers_of(interpreter).replaced(value, key, update),)


# endregion
