"""Ranges of integers: what they are, and that no value is outside of its own."""

from __future__ import annotations

import numpy as np
import pytest

from dialects import bt
from dialects.text import parse_module
from lowering.analysis.integer_ranges import IntegerRange, integer_ranges
from symir.compiler.lowering import LoweringPipeline, operator_pipeline
from tests.unit.lowering.branch_programs import arguments_for, function_of, values_of
from tests.unit.symir.compiler.test_diagnostics import MODELS

TEXT = """
func.func @f(%x : tensor<2x3xi8>, %h : tensor<f64>) -> tensor<2xf64> {
  %i = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<2x3xi8>, tensor<2xi32>) -> tensor<2x2xf64>
  %n = stablehlo.negate %a : tensor<2x2xf64>
  %p = stablehlo.multiply %a, %n : tensor<2x2xf64>
  %s = bt.reduce sum %p : tensor<2x2xf64> -> tensor<2xf64>
  %half = stablehlo.constant dense<[0.5, 1.0]> : tensor<2xf64>
  %m = stablehlo.multiply %s, %half : tensor<2xf64>
  %g = bt.broadcast %h dims = [] : tensor<f64> -> tensor<2xf64>
  %r = stablehlo.add %m, %g : tensor<2xf64>
  func.return %r : tensor<2xf64>
}
"""


def test_what_follows_from_the_bounds() -> None:
    function = function_of(parse_module(TEXT))
    ranges = integer_ranges(function, IntegerRange(-1, 2))
    assert {value.name_hint: one for value, one in ranges.items()} == {
        "i": IntegerRange(0, 2),
        "a": IntegerRange(-1, 2),
        "n": IntegerRange(-2, 1, is_minus_zero=True),
        "p": IntegerRange(-4, 2, is_minus_zero=True),
        "s": IntegerRange(-8, 4),
    }


@pytest.mark.parametrize("name", [name for name in MODELS if "long" not in name])
def test_no_value_is_outside(name: str) -> None:
    operator = MODELS[name]()
    lowering = f"{operator_pipeline('static', 3)},bt-specialize{{batch=5 state=i8}}"
    module = LoweringPipeline.parse(lowering).run(operator.to_ir().module)
    known = bt.assumptions(next(iter(function_of(module).body.block.ops)))
    assert known is not None
    assert known.bounds is not None
    low, high = known.bounds.get_values()
    ranges = integer_ranges(function_of(module), IntegerRange(low, high))
    assert any(isinstance(value.owner, bt.GatherOp) for value in ranges)
    x, *parameters = arguments_for(module, operator.space)
    values = values_of(module, (x.astype(np.int8), *parameters))
    for value, one in ranges.items():
        array = values[value]
        assert np.array_equal(array, np.round(np.real(array)))
        assert ((one.low <= array) & (array <= one.high)).all()
