"""Bounds of matrix elements hold on every configuration."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl_jax.dialects import stablehlo as hlo

import symir as lang
from dialects import sym
from dialects.interpreters.exact import exact_connections
from dialects.interpreters.intervals import (
    Bounds,
    ComplexNumbers,
    amplitude_bounds,
)
from dialects.interpreters.sym import branches
from symir.errors import InputError
from symir.validation import amplitude_bounds as checked_bounds
from tests.unit.lowering.programs import Program, programs
from tests.unit.symir.constructs import CONSTRUCTS

Array = npt.NDArray[Any]

i, j = lang.site("i"), lang.site("j")
first, second = lang.site(0).value, lang.site(1).value


def operator_of(module: ModuleOp) -> sym.OperatorOp:
    (operator,) = module.ops
    assert isinstance(operator, sym.OperatorOp)
    return operator


def assert_sound(module: ModuleOp, found: dict[str, list[Bounds]]) -> None:
    """Compare bounds with the branches at every configuration of the space."""
    operator = operator_of(module)
    space = operator.space.data
    assert list(found) == [term.sym_name.data for term in operator.terms]
    for x in itertools.product(*[space.at(site) for site in range(space.sites)]):
        for branch in branches(operator, np.array(x)):
            bounds = found[branch.term][branch.emission]
            assert bounds.valid in (branch.valid, None)
            if branch.valid and not np.isnan(branch.amplitude):
                assert bounds.low <= branch.amplitude <= bounds.high


def of_amplitude(amplitude: Any, dtype: str = "float64", **parameters: Any) -> Bounds:
    operator = lang.DOperator(lang.fock(2, 2), "op", dtype=dtype)
    built = operator.globally().emit(amplitude=amplitude).build()
    found = amplitude_bounds(built.to_ir().module, parameters)
    return found["term0"][0]


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_bounds_hold_for_each_construct(name: str) -> None:
    module = CONSTRUCTS[name](3).to_ir().module
    try:
        found = amplitude_bounds(module)
    except ComplexNumbers:
        assert "complex" in str(operator_of(module).element)
        return
    assert_sound(module, found)


@settings(max_examples=50)
@given(programs(("f64", "f32")))
def test_bounds_hold_for_random_operators(program: Program) -> None:
    module = program.module()
    assert_sound(module, amplitude_bounds(module))


FUNCTIONS = (
    *(lang.exp, lang.log, lang.sin, lang.cos, lang.sqrt, abs, lang.sign),
    *(lambda e: e**3, lambda e: e**-2, lambda e: (e + 4) ** 0.3, lambda e: e // 0.3),
    *(lambda e: e % 0.7, lambda e: -e, lambda e: e * e, lambda e: e - e),
)
PAIRS = (
    *(lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b),
    *(lang.minimum, lang.maximum, lambda a, b: lang.where(a < b, a, b + 0.1)),
    *(lambda a, b: (a + 4) ** b, lambda a, b: a % b, lambda a, b: a // b),
)
LEAVES = (first, second, 0.1 * first, second / 3 - 0.3, lang.symbol("g", default=0.7))


@st.composite
def expressions(draw: Any) -> lang.Expr:
    """Draw an amplitude of rounded numbers."""
    value: Any = draw(st.sampled_from(LEAVES))
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            value = draw(st.sampled_from(FUNCTIONS))(value)
        else:
            value = draw(st.sampled_from(PAIRS))(value, draw(st.sampled_from(LEAVES)))
    return value


@settings(max_examples=100)
@given(expressions(), st.sampled_from(["float64", "float32"]))
def test_bounds_hold_for_rounded_amplitudes(amplitude: lang.Expr, dtype: str) -> None:
    operator = lang.DOperator(lang.fock(2, 2), "op", dtype=dtype)
    module = operator.globally().emit(amplitude=amplitude).build().to_ir().module
    assert_sound(module, amplitude_bounds(module))


# ---- how tight they are ----


def test_a_bosonic_hop() -> None:
    built = (
        lang.DOperator(lang.fock(2, 3), "hop")
        .for_each_distinct_pair("i", "j")
        .where(i > 0)
        .emit(lang.hop("i", "j"), amplitude=lang.sqrt(i * lang.emitted("j")))
        .build()
    )
    (bounds,) = amplitude_bounds(built.to_ir().module)["term0"]
    assert bounds.valid is None
    assert (bounds.low, bounds.high) == (1.0, 2.0)


def test_a_guard_keeps_zero_out() -> None:
    built = (
        lang.DOperator(lang.fock(3, 2), "op")
        .for_each_site("i")
        .where(i > 0)
        .emit(amplitude=2 / i)
        .emit_if(i > 5, amplitude=7)
        .emit(amplitude=3)
        .for_each_site("i")
        .emit(amplitude=i)
        .build()
    )
    found = amplitude_bounds(built.to_ir().module)
    inverse, never, three = found["term0"]
    assert inverse.low <= 2 / 3 <= inverse.low + 1e-15
    assert (inverse.high, inverse.valid) == (2.0, None)
    assert never == Bounds(0.0, 0.0, False)
    assert three == Bounds(3.0, 3.0, None)
    assert found["term1"] == [Bounds(0.0, 3.0, True)]


def test_data_and_rows_are_told_apart() -> None:
    built = (
        lang.DOperator(lang.spin(0.5, 3), "op")
        .for_each(("i", "j"), over=[(0, 1), (1, 2)], data={"J": [0.5, -4.0]})
        .emit(amplitude=lang.row("J") * i * j)
        .build()
    )
    assert amplitude_bounds(built.to_ir().module)["term0"] == [Bounds(-4.0, 4.0, True)]


def test_equal_operands_are_equal() -> None:
    spin = lang.DOperator(lang.spin(0.5, 2), "op").for_each_site("i")
    module = spin.emit(amplitude=i * i).build().to_ir().module
    assert amplitude_bounds(module)["term0"] == [Bounds(1.0, 1.0, True)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rounding_is_outwards(dtype: str) -> None:
    """Both the exact sum and the rounded one lie in the bounds, which are narrow."""
    g = lang.symbol("g", default=0.1)
    bounds = of_amplitude(g + 0.2, dtype)
    operator = lang.DOperator(lang.fock(2, 2), "op", dtype=dtype)
    module = operator.globally().emit(amplitude=g + 0.2).build().to_ir().module
    exact = exact_connections(module, [0, 0])[1].item()
    assert Fraction(bounds.low) < exact < Fraction(bounds.high)
    assert_sound(module, {"term0": [bounds]})
    assert bounds.high - bounds.low <= 4 * np.finfo(dtype).eps


def test_short_numbers_are_not_rounded() -> None:
    assert of_amplitude((first + 0.5) * second / 2 - 1)[:2] == (-1.0, 1.5)
    low, high, _ = of_amplitude(lang.sqrt(first * 2 * second))
    assert low == 0
    assert math.sqrt(8) < high < math.sqrt(8) + 1e-15


# ---- parameters ----


def test_parameters_are_numbers_intervals_or_anything() -> None:
    g, h = lang.symbol("g", default=0.5), lang.symbol("h")
    assert of_amplitude(g * first)[:2] == (0.0, 1.0)
    assert of_amplitude(g * first, g=2)[:2] == (0.0, 4.0)
    assert of_amplitude(g * first, g=(-1, 3))[:2] == (-2.0, 6.0)
    assert of_amplitude(h * first)[:2] == (-math.inf, math.inf)
    assert of_amplitude(lang.where(h * 0 == 0, 1, 2))[:2] == (1.0, 2.0)


def test_an_op_without_a_rule_is_anything() -> None:
    assert of_amplitude(1 / first)[:2] == (-math.inf, math.inf)
    text = lang.DOperator(lang.fock(2, 2), "op").globally().emit(amplitude=first)
    module = text.build().to_ir().module
    assert amplitude_bounds(module)["term0"] == [Bounds(0.0, 2.0, True)]

    (emit,) = (op for op in module.walk() if isinstance(op, sym.EmitOp))
    tangent = hlo.TanOp.create(
        operands=[emit.amplitude], result_types=[emit.amplitude.type]
    )
    assert emit.parent is not None
    emit.parent.insert_op_before(tangent, emit)
    emit.operands[1] = tangent.results[0]
    (bounds,) = amplitude_bounds(module)["term0"]
    assert bounds == Bounds(-math.inf, math.inf, True)


# ---- errors ----


def test_complex_numbers_have_no_bounds() -> None:
    operator = lang.DOperator(lang.fock(2, 2), "waves", dtype="complex128")
    with pytest.raises(InputError) as caught:
        checked_bounds(operator.globally().emit(amplitude=1j * first).build())
    assert (caught.value.code, caught.value.operator) == ("V008", "waves")


@pytest.mark.parametrize(
    "parameters", [{"h": 1.0}, {"g": (2, 1)}, {"g": math.nan}, {"g": (1, 2, 3)}]
)
def test_parameters_that_do_not_fit(parameters: Any) -> None:
    operator = lang.DOperator(lang.fock(2, 2), "op").globally()
    g = lang.symbol("g", default=1.0)
    with pytest.raises(InputError) as caught:
        checked_bounds(operator.emit(amplitude=g * first).build(), parameters)
    assert caught.value.code == "V003"


def test_no_operator() -> None:
    with pytest.raises(InputError) as caught:
        checked_bounds(ModuleOp([]))
    assert caught.value.code == "V001"
