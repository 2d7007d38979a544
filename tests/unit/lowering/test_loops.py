"""Loops over samples and states: as they are said, and as StableHLO."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.interpreters.bt import run_function
from dialects.interpreters.kernel import run_kernel
from dialects.text import parse_module
from lowering.stablehlo.loops import FLAGS, NUMBERS
from symir.compiler.lowering import run_passes
from symir.runtime.functions import Function

PACKED = """
func.func @main(%live : tensor<{c}x{r}xi1>, %w : tensor<{t}xf64>)
    -> (tensor<{c}x{r}xf64>, tensor<{t}xi32>, tensor<{l}xi32>, tensor<i32>) {{
  %states, %places, %count = bt.pack %live : tensor<{c}x{r}xi1>
    -> tensor<{t}xi32>, tensor<{l}xi32>, tensor<i32>
  %all = bt.map_states over %states to %count from {first} sizes [{sizes}] {{
  ^bb0(%state : tensor<i32>):
    %v = stablehlo.dynamic_slice %w, %state, sizes = [1]
      : (tensor<{t}xf64>, tensor<i32>) -> tensor<1xf64>
    %n = stablehlo.reshape %v : (tensor<1xf64>) -> tensor<f64>
    bt.yield %n : tensor<f64>
  }} : tensor<{t}xf64>
  %lanes = bt.unpack %all, %places where %live
    : (tensor<{t}xf64>, tensor<{l}xi32>, tensor<{c}x{r}xi1>) -> tensor<{c}x{r}xf64>
  func.return %lanes, %states, %places, %count
    : tensor<{c}x{r}xf64>, tensor<{t}xi32>, tensor<{l}xi32>, tensor<i32>
}}
"""

UNPACKED = """
func.func @main(%w : tensor<{t}xf64>) -> tensor<{t}xf64> {{
  %all = bt.map_states from {first} sizes [{sizes}] {{
  ^bb0(%state : tensor<i32>):
    %v = stablehlo.dynamic_slice %w, %state, sizes = [1]
      : (tensor<{t}xf64>, tensor<i32>) -> tensor<1xf64>
    %n = stablehlo.reshape %v : (tensor<1xf64>) -> tensor<f64>
    bt.yield %n : tensor<f64>
  }} : tensor<{t}xf64>
  func.return %all : tensor<{t}xf64>
}}
"""

SAMPLES = """
func.func @main(%x : tensor<{b}x3xf64>, %w : tensor<3xf64>, %n : tensor<i32>)
    -> (tensor<{b}xf64>, tensor<{b}x3xf64>) {{
  %e:2 = bt.map_samples {to}@chunk(%x, %w)
    : (tensor<{b}x3xf64>, tensor<3xf64>) -> tensor<{b}xf64>, tensor<{b}x3xf64>
  func.return %e#0, %e#1 : tensor<{b}xf64>, tensor<{b}x3xf64>
}}
func.func private @chunk(%x : tensor<{s}x3xf64>, %w : tensor<3xf64>)
    -> (tensor<{s}xf64>, tensor<{s}x3xf64>) {{
  %v = stablehlo.broadcast_in_dim %w, dims = [1] : (tensor<3xf64>) -> tensor<{s}x3xf64>
  %y = stablehlo.add %x, %v : tensor<{s}x3xf64>
  %z = bt.reduce sum %y : tensor<{s}x3xf64> -> tensor<{s}xf64>
  func.return %z, %y : tensor<{s}xf64>, tensor<{s}x3xf64>
}}
"""

EACH = ["bt", "stablehlo", "xla"]


def run(text: str, level: str, *arguments: Any) -> list[Any]:
    """Return what a module computes, at a level or by XLA."""
    module = parse_module(text)
    if level == "bt":
        return list(run_function(module, arguments))
    lowered = run_passes(module, "convert-bt-to-stablehlo")
    if level == "stablehlo":
        return list(run_kernel(lowered, arguments))
    with jax.enable_x64(True):
        return list(map(np.asarray, Function(lowered)(*arguments)))


@pytest.mark.parametrize("level", EACH)
@pytest.mark.parametrize(
    "sizes", [(1,), (4,), (4, 1), (16, 4), (16, 5, 2), (40, 39), (1000, 30)]
)
@pytest.mark.parametrize(("samples", "lanes"), [(1, 1), (5, 9)])
def test_all_live_lanes_are_in_some_chunk(
    samples: int, lanes: int, sizes: tuple[int, ...], level: str
) -> None:
    rng = np.random.default_rng(lanes)
    total = samples * (1 + lanes)
    weights = rng.normal(size=total)
    for share in (0.0, 0.3, 1.0):
        live = rng.random((samples, lanes)) < share
        for first in (0, samples):
            text = PACKED.format(
                c=samples,
                r=lanes,
                t=total,
                l=samples * lanes,
                first=first,
                sizes=", ".join(map(str, sizes)),
            )
            found, states, places, count = run(text, level, live, weights)
            expected = np.where(live, weights[samples:].reshape(live.shape), 0)
            np.testing.assert_array_equal(found, expected)
            own = samples + np.flatnonzero(live)
            assert count == samples + len(own)
            np.testing.assert_array_equal(states[:samples], np.arange(samples))
            np.testing.assert_array_equal(states[samples : int(count)], own)
            np.testing.assert_array_equal(places, np.cumsum(live))


@pytest.mark.parametrize("level", EACH)
@pytest.mark.parametrize(
    ("total", "first", "sizes"),
    [(7, 0, "3"), (7, 2, "3"), (8, 0, "4, 1"), (5, 1, "100"), (6, 6, "2")],
)
def test_states_without_gaps(total: int, first: int, sizes: str, level: str) -> None:
    weights = np.arange(1.0, total + 1)
    text = UNPACKED.format(t=total, first=first, sizes=sizes)
    (found,) = run(text, level, weights)
    np.testing.assert_array_equal(found[first:], weights[first:])


@pytest.mark.parametrize("level", EACH)
@pytest.mark.parametrize(
    ("batch", "size", "count"),
    [(4, 4, 2), (8, 4, None), (9, 4, None), (9, 4, 5), (9, 4, 0), (5, 3, None)],
)
def test_samples_are_in_some_chunk(
    batch: int, size: int, count: int | None, level: str
) -> None:
    x = np.random.default_rng(0).normal(size=(batch, 3))
    w = np.asarray([1.0, 2.0, 3.0])
    to = "" if count is None else "to %n "
    text = SAMPLES.format(b=batch, s=size, to=to)
    sums, whole = run(text, level, x, w, np.int32(count or 0))
    np.testing.assert_allclose(sums[:count], (x + w).sum(axis=1)[:count])
    np.testing.assert_array_equal(whole[:count], (x + w)[:count])
    if count is not None and size < batch:
        assert not whole[-(-count // size) * size :].any()  # nothing is computed there


WHOLE = 2 * FLAGS * NUMBERS
"""So many flags are counted in two steps, more of them in three."""

LENGTHS = [
    *(1, 2, FLAGS - 1, FLAGS, FLAGS + 1, 5 * FLAGS - 3, WHOLE, WHOLE + 1),
    *(WHOLE * NUMBERS + 5, 2 * WHOLE * NUMBERS - 3),
]

COUNTED = """
func.func @main(%live : tensor<1x{l}xi1>) -> tensor<{l}xi32> {{
  %states, %places, %count = bt.pack %live : tensor<1x{l}xi1>
    -> tensor<{t}xi32>, tensor<{l}xi32>, tensor<i32>
  func.return %places : tensor<{l}xi32>
}}
"""


@given(
    st.sampled_from(LENGTHS),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_flags_are_counted(length: int, seed: int, share: float) -> None:
    flags = np.random.default_rng(seed).random((1, length)) < share
    text = COUNTED.format(l=length, t=length + 1)
    (found,) = run(text, "xla", flags)
    np.testing.assert_array_equal(found, np.cumsum(flags))


DISTINCT = """
func.func @main(%keys : tensor<{t}x{w}xi32>)
    -> (tensor<{t}xi32>, tensor<{t}xi32>, tensor<i32>) {{
  %states, %places, %count = bt.distinct %keys : tensor<{t}x{w}xi32>
    -> tensor<{t}xi32>, tensor<{t}xi32>, tensor<i32>
  func.return %states, %places, %count
    : tensor<{t}xi32>, tensor<{t}xi32>, tensor<i32>
}}
"""


@pytest.mark.parametrize("level", EACH)
@pytest.mark.parametrize(("total", "words"), [(1, 1), (2, 3), (130, 1), (130, 3)])
def test_of_equal_keys_there_is_one(total: int, words: int, level: str) -> None:
    rng = np.random.default_rng(total)
    text = DISTINCT.format(t=total, w=words)
    for many in (1, 1 + total // 8, 4 * total):
        drawn = rng.integers(-(2**31), 2**31, (many, words)).astype(np.int32)
        drawn[:, 1:2] = 7  # a word alone does not tell them apart
        keys = drawn[rng.integers(many, size=total)]
        states, places, count = run(text, level, keys)
        _, first = np.unique(keys, axis=0, return_index=True)
        np.testing.assert_array_equal(states[: int(count)], np.sort(first))
        np.testing.assert_array_equal(keys[states[places]], keys)
