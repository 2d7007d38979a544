"""Kernels over NumPy: gathers and reductions as XLA has them, and whole operators."""

from __future__ import annotations

from typing import Any

import jax
import jax.extend.backend
import numpy as np
import numpy.typing as npt
import pytest
from jaxlib.xla_client import CompileOptions

import symir as sym
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import connections
from dialects.text import parse_module
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
