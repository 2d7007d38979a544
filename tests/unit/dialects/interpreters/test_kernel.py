"""Kernels over NumPy: gathers and reductions as XLA has them, and whole operators."""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.backend
import numpy as np
import numpy.typing as npt
import pytest
from jaxlib.xla_client import CompileOptions
from xdsl.utils.exceptions import InterpretationError

import symir as sym
from dialects.interpreters.calls import MissingOracle
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import connections
from dialects.text import parse_module, print_module
from tests.unit.symir.constructs import CONSTRUCTS

GATHERS = {
    "columns": ((4, 6), (5,), [0], [1], [], [], [1], 1, (4, 1), (4, 5)),
    "columns per sample": ((4, 6), (4, 3), [], [1], [0], [0], [1], 2, (1, 1), (4, 3)),
    "slices": ((4, 6, 3), (5, 2), [0, 2], [1], [], [], [0, 1], 1, (2, 1, 3), (2, 5, 3)),
    "slices in a batch": (
        (2, 3, 4, 2),
        (2, 2, 3, 2),
        [3, 4],
        [1],
        [0],
        [1],
        [2, 1],
        3,
        (1, 1, 2, 2),
        (2, 2, 3, 2, 2),
    ),
    "index vectors first": (
        (6, 4),
        (2, 5),
        [],
        [0, 1],
        [],
        [],
        [1, 0],
        0,
        (1, 1),
        (5,),
    ),
}


def run_by_xla(text: str, inputs: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    backend = jax.extend.backend.get_backend("cpu")
    device = backend.devices()[0]
    executable = backend.compile_and_load(text, (device,), CompileOptions())
    (result,) = executable.execute([jax.device_put(value, device) for value in inputs])
    return np.asarray(result)


def kind(shape: tuple[int, ...], element: str) -> str:
    return f"tensor<{'x'.join(map(str, (*shape, element)))}>"


@pytest.mark.parametrize("name", GATHERS)
def test_gathers_are_those_of_xla(name: str) -> None:
    operand, starts, offset, collapsed, own, batch, start_map, vector, sizes, result = (
        GATHERS[name]
    )
    kinds = kind(operand, "f32"), kind(starts, "i32")
    text = f"""
module {{ func.func public @main(%a: {kinds[0]}, %b: {kinds[1]})
    -> {kind(result, "f32")} {{
  %r = "stablehlo.gather"(%a, %b) <{{dimension_numbers = #stablehlo.gather<
      offset_dims = {offset}, collapsed_slice_dims = {collapsed},
      operand_batching_dims = {own}, start_indices_batching_dims = {batch},
      start_index_map = {start_map}, index_vector_dim = {vector}>,
    slice_sizes = array<i64: {", ".join(map(str, sizes))}>,
    indices_are_sorted = false}}> : ({", ".join(kinds)}) -> {kind(result, "f32")}
  func.return %r : {kind(result, "f32")}
}} }}"""
    rng = np.random.default_rng(0)
    values = rng.normal(size=operand).astype(np.float32)
    # Some of them beyond the ends, where they are clamped.
    numbers = rng.integers(-2, 8, starts).astype(np.int32)
    (found,) = run_kernel(parse_module(text), [values, numbers])
    np.testing.assert_array_equal(found, run_by_xla(text, [values, numbers]))


@pytest.mark.parametrize("axes", [[0], [1], [2], [0, 2], [2, 1], [0, 1, 2]])
@pytest.mark.parametrize("combine", ["add", "multiply", "maximum"])
def test_reductions_are_those_of_xla(axes: list[int], combine: str) -> None:
    shape = (2, 3, 4)
    result = kind(tuple(shape[k] for k in range(3) if k not in axes), "f32")
    text = f"""
module {{ func.func public @main(%a: tensor<2x3x4xf32>, %b: tensor<f32>) -> {result} {{
  %r = "stablehlo.reduce"(%a, %b) <{{dimensions = array<i64: {str(axes)[1:-1]}>}}> ({{
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %z = stablehlo.{combine} %x, %y : tensor<f32>
    "stablehlo.return"(%z) : (tensor<f32>) -> ()
  }}) : (tensor<2x3x4xf32>, tensor<f32>) -> {result}
  func.return %r : {result}
}} }}"""
    values = np.random.default_rng(0).integers(-3, 4, shape).astype(np.float32)
    inputs: list[npt.NDArray[Any]] = [values, np.array(2, np.float32)]
    (found,) = run_kernel(parse_module(text), inputs)
    np.testing.assert_array_equal(found, run_by_xla(text, inputs))


SCATTERS: dict[str, tuple[Any, ...]] = {
    "rows": ((5, 3), (4, 1), (4, 3), [1], [0], [], [], [0], 1),
    "elements": ((4, 6), (7, 2), (7,), [], [0, 1], [], [], [1, 0], 1),
    "windows": ((6, 5, 2), (3, 2), (2, 3, 2), [0, 2], [1], [], [], [0, 1], 1),
    "columns per sample": ((3, 6), (3, 4), (3, 4), [], [1], [0], [0], [1], 2),
}


@pytest.mark.parametrize("combine", ["add", "maximum", "a", "b"])
@pytest.mark.parametrize("name", SCATTERS)
def test_scatters_are_those_of_xla(name: str, combine: str) -> None:
    operand, starts, updates, window, inserted, own, batch, axes, vector = SCATTERS[
        name
    ]
    kinds = kind(operand, "f32"), kind(starts, "i32"), kind(updates, "f32")
    body = "%c = stablehlo.add %a, %b : tensor<f32>"
    if combine in ("add", "maximum"):
        body = f"%c = stablehlo.{combine} %a, %b : tensor<f32>"
    result = "%c" if combine in ("add", "maximum") else f"%{combine}"
    text = f"""
module {{ func.func public @main(%x: {kinds[0]}, %i: {kinds[1]}, %u: {kinds[2]})
    -> {kinds[0]} {{
  %r = "stablehlo.scatter"(%x, %i, %u) <{{scatter_dimension_numbers =
      #stablehlo.scatter<update_window_dims = {window},
      inserted_window_dims = {inserted}, input_batching_dims = {own},
      scatter_indices_batching_dims = {batch}, scatter_dims_to_operand_dims = {axes},
      index_vector_dim = {vector}>, indices_are_sorted = false,
    unique_indices = false}}> ({{
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    {body}
    "stablehlo.return"({result}) : (tensor<f32>) -> ()
  }}) : ({", ".join(kinds)}) -> {kinds[0]}
  func.return %r : {kinds[0]}
}} }}"""
    rng = np.random.default_rng(0)
    values, new = (
        rng.integers(-9, 9, shape).astype(np.float32) for shape in (operand, updates)
    )
    # Some of them outside, where an update is left out, and some of them equal
    numbers = rng.integers(-1, 6, starts).astype(np.int32)
    inputs = [values, numbers, new]
    (found,) = run_kernel(parse_module(text), inputs)
    np.testing.assert_array_equal(found, run_by_xla(text, inputs))
    assert not np.array_equal(found, values) or combine == "a"


LOOP = """
module {
  func.func private @network(tensor<2xf64>) -> (tensor<f64>, tensor<i32>)
  func.func private @twice(%x: tensor<2x3xf64>, %n: tensor<i32>) -> tensor<2x3xf64> {
    %two = stablehlo.constant dense<2.0> : tensor<2x3xf64>
    %y = stablehlo.multiply %x, %two : tensor<2x3xf64>
    func.return %y : tensor<2x3xf64>
  }
  func.func public @main(%x: tensor<2x3xf64>, %trips: tensor<i32>)
      -> (tensor<i32>, tensor<2x3xf64>) {
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %one = stablehlo.constant dense<1> : tensor<i32>
    %n, %r = stablehlo.while(%i = %zero, %y = %x) : tensor<i32>, tensor<2x3xf64>
    cond {
      %go = stablehlo.compare LT, %i, %trips : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %go : tensor<i1>
    } do {
      %part = stablehlo.dynamic_slice %y, %zero, %i, sizes = [2, 1]
        : (tensor<2x3xf64>, tensor<i32>, tensor<i32>) -> tensor<2x1xf64>
      %flat = stablehlo.reshape %part : (tensor<2x1xf64>) -> tensor<2xf64>
      %value, %which = func.call @network(%flat)
        : (tensor<2xf64>) -> (tensor<f64>, tensor<i32>)
      %new = "stablehlo.case"(%which) ({
        %all = stablehlo.broadcast_in_dim %value, dims = []
          : (tensor<f64>) -> tensor<1x1xf64>
        %set = stablehlo.dynamic_update_slice %y, %all, %one, %i
          : (tensor<2x3xf64>, tensor<1x1xf64>, tensor<i32>, tensor<i32>)
          -> tensor<2x3xf64>
        "stablehlo.return"(%set) : (tensor<2x3xf64>) -> ()
      }, {
        %more = func.call @twice(%y, %i)
          : (tensor<2x3xf64>, tensor<i32>) -> tensor<2x3xf64>
        "stablehlo.return"(%more) : (tensor<2x3xf64>) -> ()
      }) : (tensor<i32>) -> tensor<2x3xf64>
      %next = stablehlo.add %i, %one : tensor<i32>
      stablehlo.return %next, %new : tensor<i32>, tensor<2x3xf64>
    }
    func.return %n, %r : tensor<i32>, tensor<2x3xf64>
  }
}"""


@pytest.mark.parametrize("trips", [0, 2, 4])
def test_loops_call_functions_and_oracles(trips: int) -> None:
    def network(x: Any) -> tuple[Any, Any]:
        return x.sum(), np.int32(x[0] > 4)

    x = np.arange(6.0).reshape(2, 3)
    expected = x.copy()
    for i in range(trips):
        value, which = network(expected[:, min(i, 2)])
        if which == 0:
            expected[1, min(i, 2)] = value
        else:
            expected = 2 * expected
    module = parse_module(LOOP)
    module = parse_module(print_module(module))
    given = [x, np.array(trips, np.int32)]
    count, found = run_kernel(module, given, oracles={"network": network})
    assert count == trips
    np.testing.assert_array_equal(found, expected)


def test_oracles_that_are_missing_or_wrong_are_named() -> None:
    module = parse_module(LOOP)
    given = [np.zeros((2, 3)), np.array(1, np.int32)]
    with pytest.raises(MissingOracle, match=r"oracles=\{'network': function\}.*2xf64"):
        run_kernel(module, given)
    for wrong in (lambda x: x.sum(), lambda x: (x, np.int32(0)), lambda x: (0.0, 0)):
        with pytest.raises(
            InterpretationError, match=r"the oracle of @network returns"
        ):
            run_kernel(module, given, oracles={"network": wrong})


def test_custom_calls_are_oracles_with_options() -> None:
    text = """
module { func.func public @main(%x: tensor<3xf64>) -> tensor<3xf64> {
  %y = stablehlo.custom_call @scaled(%x) {
    mhlo.backend_config = {by = 3 : ui8, names = ["a", 2.5]}}
    : (tensor<3xf64>) -> tensor<3xf64>
  func.return %y : tensor<3xf64>
} }"""

    def scaled(x: Any, by: int, names: list[Any]) -> Any:
        assert names == ["a", 2.5]
        return by * x

    x = np.arange(3.0)
    (found,) = run_kernel(parse_module(text), [x], oracles={"scaled": scaled})
    np.testing.assert_array_equal(found, 3 * x)
    with pytest.raises(MissingOracle, match=r"'scaled'.* and by name by"):
        run_kernel(parse_module(text), [x])


@pytest.mark.parametrize("name", [n for n in CONSTRUCTS if n.startswith("reduction")])
def test_kernels_have_the_connections_of_the_reference(name: str) -> None:
    operator = CONSTRUCTS[name](3)
    states = operator.space.all_states()
    module = operator.to_ir().module
    kernel = sym.lower_to_stablehlo(sym.lower_to_bt(module), len(states), "i8")
    xp, mels = run_kernel(kernel, [states])
    expected, elements = connections(module, states)
    np.testing.assert_array_equal(xp, expected)
    np.testing.assert_allclose(mels, elements, rtol=1e-12, atol=1e-12)
