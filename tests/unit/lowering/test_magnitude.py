"""Bounds hold, and integers are integers, at every configuration."""

from __future__ import annotations

from itertools import product
from typing import cast

import numpy as np
import pytest

import symir as sym
from dialects import sym as dialect
from dialects.interpreters.sym import branches
from lowering.analysis.magnitude import Magnitude, magnitude

i, j = sym.site("i"), sym.site("j")
h = sym.symbol("h", default=1.0)
VALUES = [-1.0, 0.0, 2.0]


def amplitude_of(
    expression: sym.Expr, values: list[float]
) -> tuple[dialect.TermOp, dialect.EmitOp]:
    builder = sym.DOperator(sym.space(values, 2), "op")
    term = builder.for_each(("i", "j"), over=[(0, 1)], data={"w": [-3.0]})
    module = term.emit(amplitude=expression).build().to_ir().module
    (op,) = cast(dialect.OperatorOp, module.body.block.first_op).terms
    return op, op.emissions[0]


@pytest.mark.parametrize(
    ("expression", "bound", "whole"),
    [
        (i + j, 4.0, True),
        (i * j - 3, 7.0, True),
        (-abs(i * sym.row("w")), 6.0, True),
        (i / 4, 0.5, False),
        (sym.minimum(i, 0.5) + j.index, 4.0, False),
        (sym.where(i > 0, i, -j), 2.0, True),
        (i.index * i, 4.0, True),
        (i * h, None, False),
        (i / j, None, False),
        (sym.exp(i), None, False),
        (sym.sqrt(i + 1), None, False),
    ],
    ids=str,
)
def test_bounds(expression: sym.Expr, bound: float | None, whole: bool):
    term, emission = amplitude_of(expression, VALUES)
    assert magnitude(term, emission.amplitude) == Magnitude(bound, whole)
    if bound is None:
        return
    operator = dialect.operator_of(term)
    found = [
        branch.amplitude
        for x in product(VALUES, repeat=2)
        for branch in branches(operator, np.array(x))
    ]
    assert max(map(abs, found)) <= bound
    assert not whole or all(value == np.floor(value) for value in found)


def test_local_values_that_are_fractions_are_no_integers():
    term, emission = amplitude_of(2 * i, [0.0, 0.5])
    assert not magnitude(term, emission.amplitude).is_whole
    assert magnitude(term, emission.amplitude).largest == 1.0


def test_shared_parts_are_looked_at_once():
    """Two to the power of sixty paths lead through this expression."""
    expression: sym.Expr = i
    for _ in range(60):
        expression = expression + expression
    term, emission = amplitude_of(expression, VALUES)
    assert magnitude(term, emission.amplitude) == (2.0 * 2**60, True)
