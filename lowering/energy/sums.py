"""Sums in a wavefunction: the values that a value is the sum of, and their factors."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.ir import SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import combiner_of, dtype_of, element_of, shape_of
from lowering.change.form_analysis import Forms
from lowering.change.forms import Same
from lowering.energy.activations import known_number

Terms = list[tuple[SSAValue, complex]]


def terms_of(value: SSAValue, known: Forms) -> Terms | None:
    """Return the values, and their factors, that a value is the sum of.

    Element by element, in any order of the elements. None where it is no sum.
    """
    match value.owner:
        case hlo.AddOp() as op:
            return [(op.lhs, 1), (op.rhs, 1)]
        case hlo.SubtractOp() as op:
            return [(op.lhs, 1), (op.rhs, -1)]
        case hlo.NegateOp() as op:
            return [(op.operand, -1)]
        case hlo.ComplexOp() as op:
            return [(op.operands[0], 1), (op.operands[1], 1j)]
        case hlo.MultiplyOp() | hlo.DivideOp() as op:
            return _multiple(op, known)
        case hlo.ConvertOp() as op:
            return [(op.operand, 1)] if _widens(op) else None
        case hlo.ReshapeOp() | hlo.TransposeOp() | hlo.BroadcastInDimOp() as op:
            before = op.operands[0]
            return [(before, 1)] if size_of(before) == size_of(value) else None
        case _:
            return None


def is_sum(op: hlo.ReduceOp) -> bool:
    """Whether a reduction is a sum of elements, and of nothing else."""
    start = known_number(op.operands[1]) if len(op.operands) == 2 else None
    return start == 0 and combiner_of(op) is hlo.AddOp


def size_of(value: SSAValue) -> int:
    """Return how many elements a value has."""
    return prod(shape_of(value))


def _multiple(
    op: hlo.MultiplyOp | hlo.DivideOp, known: Forms
) -> list[tuple[SSAValue, complex]] | None:
    number = _number(op.rhs, known)
    if isinstance(op, hlo.DivideOp):
        return None if not number else [(op.lhs, 1 / number)]
    if number is not None:
        return [(op.lhs, number)]
    number = _number(op.lhs, known)
    return None if number is None else [(op.rhs, number)]


def _number(value: SSAValue, known: Forms) -> complex | None:
    if not isinstance(known[value], Same):
        return None
    number = known_number(value)
    return number if number is None or np.isfinite(number) else None


def _widens(op: hlo.ConvertOp) -> bool:
    """Whether a conversion only makes more room for the same number."""
    before, after = dtype_of(element_of(op.operand)), dtype_of(element_of(op.result))
    return bool(before.kind in "fc" and np.can_cast(before, after))
