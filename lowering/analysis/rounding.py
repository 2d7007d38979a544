"""Tests that floating-point arithmetic was exact: then all backends compute the same.

Compilers rearrange what is rounded. XLA fuses a product and a sum into one operation
with one rounding, adds (or multiplies) constants with each other before it does so with
anything else, turns quotients into products, and takes subnormal numbers for zero. None
of it changes numbers that were never rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation
from xdsl_jax.dialects import stablehlo as hlo

Array = npt.NDArray[Any]

_ROUNDING = hlo.AddOp | hlo.DivideOp | hlo.MultiplyOp | hlo.SubtractOp


def is_exact(op: Operation, operands: Sequence[Array], result: Array) -> bool:
    """Whether an op rounded none of its results.

    Complex arithmetic counts as rounded. What is no number, or made of infinite ones,
    is nothing that could be rounded.
    """
    if not isinstance(op, _ROUNDING) or result.dtype.kind not in "fc":
        return True
    if result.dtype.kind == "c":
        return False
    lhs, rhs = operands
    exact = _has_no_error(op, lhs, rhs, result) & ~_is_subnormal(result)
    settled = np.isnan(result) | np.isinf(lhs) | np.isinf(rhs)
    return bool(np.all(exact | settled))


def _has_no_error(op: Operation, lhs: Array, rhs: Array, result: Array) -> Array:
    match op:
        case hlo.AddOp():
            return _sum_error(lhs, rhs, result) == 0
        case hlo.SubtractOp():
            return _sum_error(lhs, -rhs, result) == 0
        case hlo.MultiplyOp():
            underflows = (result == 0) & (lhs != 0) & (rhs != 0)
            return (_product_error(lhs, rhs, result) == 0) & ~underflows
        case _:
            # The inverse of any other number is rounded itself
            power_of_two = np.abs(np.frexp(rhs)[0]) == 0.5
            halved = power_of_two & ((result != 0) | (lhs == 0))
            return halved | (rhs == 0) | (lhs == 0)


def _sum_error(lhs: Array, rhs: Array, result: Array) -> Array:
    """Return lhs + rhs - result (Knuth, The Art of Computer Programming, 4.2.2)."""
    part = result - lhs
    return (lhs - (result - part)) + (rhs - part)


def _product_error(lhs: Array, rhs: Array, result: Array) -> Array:
    """Return lhs * rhs - result (Dekker, Numerische Mathematik 18, 1971)."""
    if result.dtype != np.float64:
        # Products of the narrower types are exact in float64
        return lhs.astype(np.float64) * rhs - result
    splitter = 2.0**27 + 1
    high, other = ((splitter * v) - ((splitter * v) - v) for v in (lhs, rhs))
    low, rest = lhs - high, rhs - other
    return ((high * other - result) + high * rest + low * other) + low * rest


def _is_subnormal(value: Array) -> Array:
    return (value != 0) & (np.abs(value) < np.finfo(value.dtype).tiny)
