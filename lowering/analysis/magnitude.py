"""Bounds of real numbers of the `sym` level, and proofs that they are integers.

Both are answered from the form of the expression alone: None and False where that does
not say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import constant_of, to_numpy
from lowering.order import operands_first

_SUMS = (hlo.AddOp, hlo.SubtractOp)
_KEEP_INTEGERS = (
    *_SUMS,
    hlo.MultiplyOp,
    hlo.MaximumOp,
    hlo.MinimumOp,
    hlo.SelectOp,
    hlo.NegateOp,
    hlo.AbsOp,
    hlo.ConvertOp,
    sym.OwnRuleOp,
)
_ROUND = (hlo.FloorOp, hlo.CeilOp)


class Magnitude(NamedTuple):
    """What is known of a number, whatever x is.

    Attributes:
        largest: a bound on its absolute value: then it is not NaN; None where it has
            none that is known.
        is_whole: whether it is an integer.
    """

    largest: float | None = None
    is_whole: bool = False


def magnitude(term: sym.TermOp, value: SSAValue) -> Magnitude:
    """Return how large a number of a term can be, and whether it is an integer."""
    known: dict[SSAValue, Magnitude] = {}
    for pending in operands_first(value):
        known[pending] = _found(term, pending, known)
    return known[value]


def _found(
    term: sym.TermOp, value: SSAValue, known: dict[SSAValue, Magnitude]
) -> Magnitude:
    op, space = value.owner, sym.operator_of(term).space.data
    data = term.data_of(value)
    array = constant_of(value) if data is None else to_numpy(data)
    if array is not None:
        return _of_numbers(array)
    if isinstance(op, sym.ReadOp) and op.config is term.source:
        values = [v for states in space.kinds[0] for v in states]
        return _of_numbers(np.array(values))
    if isinstance(op, sym.IndexOp):
        return Magnitude(float(space.sites), is_whole=True)
    if isinstance(op, sym.LocalIndexOp):
        return Magnitude(float(max(map(len, space.kinds[0]))), is_whole=True)
    if isinstance(op, hlo.DivideOp):
        divisor, dividend = constant_of(op.rhs), known[op.lhs].largest
        if divisor is None or dividend is None or not divisor.all():
            return Magnitude()
        return Magnitude(dividend / float(np.abs(divisor).min()))
    if not isinstance(op, (*_KEEP_INTEGERS, *_ROUND)):
        return Magnitude()
    numbers = op.operands[1:] if isinstance(op, hlo.SelectOp) else op.operands
    found = [known[number] for number in numbers]
    bounds = [one.largest for one in found if one.largest is not None]
    largest = _combined(op, bounds) if len(bounds) == len(found) else None
    is_whole = not isinstance(op, _ROUND) and all(one.is_whole for one in found)
    return Magnitude(largest, is_whole)


def _of_numbers(array: npt.NDArray[Any]) -> Magnitude:
    """Return the magnitude of what is one of some numbers."""
    if not np.isfinite(array).all():
        return Magnitude()
    is_whole = array.dtype.kind != "c" and bool((array == np.floor(array)).all())
    return Magnitude(float(np.abs(array).max(initial=0)), is_whole)


def _combined(op: Operation, bounds: Sequence[float]) -> float:
    """Return a bound on a result, given one on each operand."""
    if isinstance(op, _SUMS):
        return sum(bounds)
    if isinstance(op, hlo.MultiplyOp):
        return math.prod(bounds)
    return max(bounds) + isinstance(op, _ROUND)
