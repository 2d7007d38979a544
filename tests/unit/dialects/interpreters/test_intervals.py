"""Bounds of matrix elements hold on every configuration, at every level."""

# pyright: basic

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from xdsl.dialects.builtin import ModuleOp
from xdsl_jax.dialects import stablehlo as hlo

import symir as lang
from dialects import sym
from dialects.interpreters.bt import run_branches
from dialects.interpreters.exact import exact_connections
from dialects.interpreters.intervals import (
    INTERVALS,
    Bounds,
    ComplexNumbers,
    Intervals,
    amplitude_bounds,
    lifted,
)
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import (
    branches,
    connections,
    dense_matrix,
    interpreter_of,
)
from symir.errors import InputError
from symir.runtime.importing import import_function
from symir.validation import amplitude_bounds as checked_bounds
from tests.unit.lowering.programs import Program, programs
from tests.unit.symir.constructs import CONSTRUCTS, branch_tensors

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
    tangent = hlo.TanOp.create(  # pyright: ignore[reportPrivateImportUsage]
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


# ---- arrays, and the levels below ----


def contains(found: Any, values: Any) -> bool:
    """Whether numbers, NaN included, are among those that an array may hold."""
    if isinstance(found, np.ndarray):
        return np.array_equal(found, values, equal_nan=values.dtype.kind == "f")
    ends = np.asarray(values)[..., None]
    inside = ((found.low <= ends) & (ends <= found.high)).any(axis=-1)
    return bool(np.all(inside | (np.isnan(values) & found.nan)))


def is_complex(operator: sym.OperatorOp) -> bool:
    types = [value.type for op in operator.walk() for value in op.operands]
    return any("complex" in str(kind) for kind in (operator.element, *types))


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_every_level_contains_the_connections_of_the_reference(name: str) -> None:
    operator = CONSTRUCTS[name](3)
    ir = operator.to_ir()
    if is_complex(operator_of(ir.module)):
        return
    x = operator.space.all_states().astype(float)
    parameters = [
        np.asarray(ir.defaults[name], dtype)
        for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    ]
    lowered = branch_tensors(name)
    xp, mels = connections(ir.module, x)
    one_by_one: Any = x
    all_at_once: Any = Intervals.between(x.min(axis=0)[None], x.max(axis=0)[None])
    for batch in (one_by_one, all_at_once):
        kernel = lang.lower_to_stablehlo(lowered, len(batch), "f64")
        reference = interpreter_of(ir.module, numbers=INTERVALS)
        for found in (
            connections(ir.module, batch, interpreter=reference),
            run_branches(lowered, batch, parameters, numbers=INTERVALS),
            run_kernel(kernel, [batch, *parameters], numbers=INTERVALS),
        ):
            assert contains(found[0], xp)
            assert contains(found[1], mels)


def log_cosh(x: Any) -> Any:
    return jnp.abs(x) + jnp.log1p(jnp.exp(-2 * jnp.abs(x))) - math.log(2)


def network(x: Any, weights: Any, bias: Any) -> Any:
    hidden = jnp.tanh(x @ weights + bias)
    pooled = jnp.stack([hidden.max(axis=1), hidden.min(axis=1), hidden.sum(axis=1)])
    layer = jax.nn.softplus(pooled) + jax.nn.sigmoid(pooled) * jnp.exp(-(pooled**2))
    return jnp.where(pooled > 0, layer, log_cosh(pooled)).sum(axis=0)


@settings(max_examples=20, deadline=None)
@given(
    arrays(np.float64, (3, 4), elements=st.floats(-2, 2)),
    arrays(np.float64, (2, 4), elements=st.floats(-1.5, 1.5)),
    st.floats(0, 1),
    st.sampled_from([np.float64, np.float32]),
)
def test_a_network_stays_in_its_intervals(
    center: Array, weights: Array, radius: float, dtype: Any
) -> None:
    kind = np.dtype(dtype)
    weights = np.vstack([weights, weights[:1] - 0.3, weights[1:] * 0.7]).astype(kind)
    center, bias = center.astype(kind), np.array([0.1, -0.2, 0.3, 0.0], kind)
    with jax.enable_x64(True):
        module = import_function(network, center, weights, bias)
        wide = Intervals.between(center - radius, center + radius, kind)
        (found,) = run_kernel(module, [wide, weights, bias], numbers=INTERVALS)
        for part in np.linspace(-1, 1, 5):
            x = np.clip(
                (center + part * radius).astype(kind),
                wide.low[..., 0],
                wide.high[..., 0],
            ).astype(kind)
            assert contains(found, np.asarray(network(x, weights, bias)))
            (points,) = run_kernel(module, [x, weights, bias], numbers=INTERVALS)
            assert contains(points, np.asarray(network(x, weights, bias)))
            assert np.all(points.high - points.low < 1e3 * np.finfo(kind).eps)


def test_a_network_of_an_rbm_over_all_configurations() -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(4, 6))

    def log_psi(x: Any) -> Any:
        return (log_cosh(x @ weights) + math.log(2)).sum(axis=-1)

    with jax.enable_x64(True):
        states = np.array([*itertools.product([-1.0, 1.0], repeat=4)])
        every = Intervals.between(-np.ones((1, 4)), np.ones((1, 4)))
        module = import_function(log_psi, np.ones((1, 4)))
        (found,) = run_kernel(module, [every], numbers=INTERVALS)
        values = np.asarray(log_psi(states))
    assert contains(found, values)
    assert 6 * math.log(2) - 1e-9 <= values.min()
    # That |z| and exp(-2 |z|) are of one z is forgotten
    most = (np.abs(weights).sum(axis=0) + math.log(2)).sum()
    np.testing.assert_allclose(found.high.max(), most, rtol=1e-12)


def test_matrix_elements_of_a_batch_are_a_dense_matrix() -> None:
    hops = lang.DOperator(lang.fock(2, 3), "hop").for_each_distinct_pair("i", "j")
    amplitude = 0.1 * lang.sqrt(i * lang.emitted("j")) / 3
    operator = hops.where(i > 0).emit(lang.hop("i", "j"), amplitude=amplitude).build()
    module = operator.to_ir().module
    dense = dense_matrix(module)
    states = operator.space.all_states().astype(float)
    interpreter = interpreter_of(module, numbers=INTERVALS)
    found: Any = connections(module, states, interpreter=interpreter)
    low, high = np.zeros_like(dense), np.zeros_like(dense)
    place = {tuple(state): n for n, state in enumerate(states.tolist())}
    for row, lane in np.ndindex(found[1].shape):
        column = place[tuple(found[0].low[row, lane, :, 0].tolist())]
        low[row, column] += found[1].low[row, lane].min()
        high[row, column] += found[1].high[row, lane].max()
    slack = 1e-15 * np.abs(dense)
    assert np.all((low - slack <= dense) & (dense <= high + slack))
    assert np.abs(high - low).max() < 1e-14


def test_a_broken_promise_may_be_nan() -> None:
    term = lang.DOperator(lang.fock(2, 3), "op").for_each_site("i").where(i > 0)
    built = term.emit(lang.shift("i", -1), amplitude=i * 1.5).fanout(1).build()
    module = built.to_ir().module
    every: Any = Intervals.between(np.zeros((1, 3)), np.full((1, 3), 2.0))
    _, found = run_branches(lang.lower_to_bt(module), every, numbers=INTERVALS)
    states = built.space.all_states().astype(float)
    _, mels = run_branches(lang.lower_to_bt(module), states)
    assert np.isnan(mels).any()
    assert contains(found, mels)


def test_an_index_that_is_not_known_reads_and_writes_any() -> None:
    config: Any = Intervals.between([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]])
    site = Intervals.between([1], [2], np.int64)
    read = INTERVALS.items(config, (np.array([0]), site))
    assert [read.may_be(value).item() for value in (1, 2, 3)] == [False, True, True]
    INTERVALS.write(config, site, Intervals.between([7.0], [7.0]), np.array([True]))
    assert config.may_be(7.0).tolist() == [[False, True, True]]
    assert config.may_be(2.0).tolist() == [[False, True, False]]


def test_complex_networks_have_no_intervals() -> None:
    module = import_function(lambda x: jnp.exp(1j * x).real, np.ones(2, np.float32))
    with pytest.raises(ComplexNumbers):
        run_kernel(module, [np.ones(2, np.float32)], numbers=INTERVALS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 37])
def test_sums_of_products_contain_exact_and_rounded(dtype: Any, count: int) -> None:
    rng = np.random.default_rng(count)
    lhs, rhs = (
        rng.normal(size=shape).astype(dtype) for shape in ((3, count), (count,))
    )
    found = lifted(lhs) @ lifted(rhs)
    assert contains(found, lhs @ rhs)
    assert contains(found, np.cumsum(lhs * rhs, axis=1)[:, -1])
    for row, low, high in zip(lhs, found.low[:, 0], found.high[:, 0], strict=True):
        total = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, rhs))
        assert Fraction(low) <= total <= Fraction(high)
