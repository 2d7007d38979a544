"""Bounds of real numbers of the `sym` level, and proofs that they are integers.

Both are answered from the form of the expression alone: None and False where that does
not say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import constant_of, to_numpy
from dialects.tables import LocalSpace
from lowering.order import operands_first

__all__ = ["is_whole", "largest"]

_SUMS = (hlo.AddOp, hlo.SubtractOp)
_CHOICES = (hlo.MaximumOp, hlo.MinimumOp, hlo.SelectOp)
_KEEP_SIZE = (hlo.NegateOp, hlo.AbsOp, hlo.ConvertOp, sym.OwnRuleOp)
_ROUND = (hlo.FloorOp, hlo.CeilOp)
_BOUNDED = (*_SUMS, *_CHOICES, *_KEEP_SIZE, *_ROUND, hlo.MultiplyOp)

_KEEP_INTEGERS = (
    hlo.AddOp,
    hlo.SubtractOp,
    hlo.MultiplyOp,
    hlo.MaximumOp,
    hlo.MinimumOp,
    hlo.NegateOp,
    hlo.AbsOp,
    hlo.ConvertOp,
    sym.OwnRuleOp,
)


def largest(term: sym.TermOp, value: SSAValue) -> float | None:
    """Return a bound on the absolute value of a number, which then is not NaN."""
    space = sym.operator_of(term).space.data
    known: dict[SSAValue, float | None] = {}
    for pending in operands_first(value):
        known[pending] = _bound(term, space, pending, known)
    return known[value]


def is_whole(term: sym.TermOp, value: SSAValue) -> bool:
    """Whether a number is an integer, whatever x is."""
    known: dict[SSAValue, bool] = {}
    for pending in operands_first(value):
        known[pending] = _is_whole(term, pending, known)
    return known[value]


def _bound(
    term: sym.TermOp,
    space: LocalSpace,
    value: SSAValue,
    known: Mapping[SSAValue, float | None],
) -> float | None:
    op = value.owner
    if (array := _known_numbers(term, value)) is not None:
        size = float(np.abs(array).max(initial=0))
        return size if np.isfinite(size) else None
    if isinstance(op, sym.ReadOp):
        is_source = op.config is term.source
        values = [abs(v) for states in space.kinds[0] for v in states]
        return max(values) if is_source else None
    if isinstance(op, sym.IndexOp):
        return float(space.sites)
    if isinstance(op, sym.LocalIndexOp):
        return float(max(map(len, space.kinds[0])))
    if isinstance(op, hlo.DivideOp):
        divisor, dividend = constant_of(op.rhs), known[op.lhs]
        if divisor is None or dividend is None or not divisor.all():
            return None
        return dividend / float(np.abs(divisor).min())
    if not isinstance(op, _BOUNDED):
        return None
    numbers = op.operands[1:] if isinstance(op, hlo.SelectOp) else op.operands
    found = [known[number] for number in numbers]
    bounds = [bound for bound in found if bound is not None]
    return _combined(op, bounds) if len(bounds) == len(found) else None


def _combined(op: Operation, bounds: Sequence[float]) -> float:
    """Return a bound on a result, given one on each operand."""
    if isinstance(op, _SUMS):
        return sum(bounds)
    if isinstance(op, hlo.MultiplyOp):
        return math.prod(bounds)
    return max(bounds) + isinstance(op, _ROUND)


def _is_whole(
    term: sym.TermOp, value: SSAValue, known: Mapping[SSAValue, bool]
) -> bool:
    op = value.owner
    if (array := _known_numbers(term, value)) is not None:
        return bool(np.isfinite(array).all() and (array == np.floor(array)).all())
    if isinstance(op, sym.ReadOp):
        return op.config is term.source and _holds_integers(term)
    if isinstance(op, sym.IndexOp | sym.LocalIndexOp):
        return True
    if isinstance(op, hlo.SelectOp):
        return known[op.on_true] and known[op.on_false]
    if isinstance(op, _KEEP_INTEGERS):
        return all(known[operand] for operand in op.operands)
    return False


def _known_numbers(term: sym.TermOp, value: SSAValue) -> npt.NDArray[Any] | None:
    """Return the values of a constant or of a data column, else None."""
    data = term.data_of(value)
    return constant_of(value) if data is None else to_numpy(data)


def _holds_integers(term: sym.TermOp) -> bool:
    space: LocalSpace = sym.operator_of(term).space.data
    return all(value.is_integer() for states in space.kinds[0] for value in states)
