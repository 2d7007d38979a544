"""Zeros of values without x, whatever the parameters are: those of masks."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import shape_of
from lowering.change.by_values import Inner
from lowering.change.layout_rules import RULES, ints, padded

Booleans = npt.NDArray[np.bool_]

LAYOUTS = {name: rule for rule in RULES for name in rule.names}

ZERO_AT_ZERO = tuple(
    f"stablehlo.{name}"
    for name in ("convert", "real", "imag", "negate", "abs", "tanh", "sine", "sqrt")
)
"""Functions of one number that are 0 of 0."""

MAX_WEIGHTS = 1 << 26
"""Of more weights none is known to be 0: that takes as many bytes."""


def is_zero(value: SSAValue) -> Booleans:
    """Return where a value without x is 0, whatever the parameters are."""
    if prod(shape_of(value)) > MAX_WEIGHTS:
        return np.broadcast_to(np.False_, shape_of(value))
    return _is_zero(value, {})


def _is_zero(value: SSAValue, known: dict[SSAValue, Booleans]) -> Booleans:
    if value not in known:
        known[value] = _found(value, known)
    return known[value]


def _found(value: SSAValue, known: dict[SSAValue, Booleans]) -> Booleans:
    op = value.owner
    if not isinstance(op, Operation):
        return np.zeros(shape_of(value), bool)
    layout = LAYOUTS.get(op.name)
    match op:
        case hlo.MultiplyOp():
            return _is_zero(op.lhs, known) | _is_zero(op.rhs, known)
        case hlo.PadOp():
            ends = op.edge_padding_low, op.edge_padding_high, op.interior_padding
            own = _is_zero(op.operand, known).astype(int)
            inside = padded(own, *map(ints, ends))
            return np.where(inside < 0, _is_zero(op.padding_value, known), inside > 0)
        case _ if op.name in ZERO_AT_ZERO:
            return _is_zero(op.operands[0], known)
        case hlo.SelectOp() if (first := _fixed(op.pred)) is not None:
            sides = (_is_zero(one, known) for one in (op.on_true, op.on_false))
            return np.where(first != 0, *sides)
        case _ if layout is not None:
            return layout.moved(op, *(_is_zero(one, known) for one in op.operands))
        case _:
            fixed = _fixed(value)
            return np.zeros(shape_of(value), bool) if fixed is None else fixed == 0


def _fixed(value: SSAValue) -> npt.NDArray[Any] | None:
    """Return a value that depends on no parameter."""
    block = value.owner.parent if isinstance(value.owner, Operation) else None
    function = None if block is None else block.parent_op()
    if not isinstance(function, FuncOp):
        return None
    x = function.body.block.args[-1]
    try:
        return Inner(function, x, value).of([np.zeros(shape_of(x))])[0]
    except InterpretationError:
        return None
