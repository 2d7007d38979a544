"""Weights of an affine function of an array: what it multiplies each element by.

One cotangent goes backwards, op by op, as in reverse mode: that takes as long as the
function itself, whatever the number of elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from dialects.stablehlo import element_of, shape_of
from lowering.arrays import Array, array
from lowering.change.form_analysis import analyse, dependent
from lowering.change.forms import Same
from lowering.change.known_rules import rule_of
from lowering.energy.extraction import returned
from lowering.rewriting import Inserter


def has_weights(function: FuncOp) -> bool:
    """Whether weights are found of an affine function."""
    moving = dependent(function, analyse(function))
    ops = [cast(Operation, value.owner) for value in moving]
    rules = [rule_of(op) for op in ops]
    return all(
        rule is not None and rule.has_cotangent(op)
        for op, rule in zip(ops, rules, strict=True)
    )


def weights_of(insert: Inserter, function: FuncOp, leaves: Sequence[Array]) -> Array:
    """Return A of A t + b, one number, in the shape of t, the last argument."""
    known = analyse(function)
    *parameters, t = function.body.block.args
    values = [leaf.value for leaf in leaves]
    now: dict[SSAValue, SSAValue] = dict(zip(parameters, values, strict=True))
    moving: list[Operation] = []
    for op in function.body.block.ops:
        if isinstance(op, ReturnOp):
            continue
        if all(isinstance(known[one], Same) for one in op.results):
            insert.add_op(op.clone(now))
        else:
            moving.append(op)

    def fixed(value: SSAValue) -> Array:
        return Array(now[value], insert)

    result = returned(function)
    one = array(insert, 1, element_of(result)).reshape(*shape_of(result))
    found: dict[SSAValue, Array] = {result: one}
    for op in reversed(moving):
        if (cotangent := found.pop(op.results[0], None)) is None:
            continue
        rule = rule_of(op)
        assert rule is not None
        for number, value in enumerate(op.operands):
            if isinstance(known[value], Same):
                continue
            own = rule.cotangent(op, number, cotangent, fixed)
            found[value] = found[value] + own if value in found else own
    return found[t]
