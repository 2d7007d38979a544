"""What local energies are computed with, by itself."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symir.runtime.local_energy.live_lanes import (
    FLAGS,
    NUMBERS,
    Lanes,
    counted,
    over_pairs,
    over_states,
)
from symir.runtime.local_energy.parts import PHASES, log_of_product

WHOLE = 2 * FLAGS * NUMBERS
"""So many flags are counted in two steps, more of them in three."""

LENGTHS = [
    *(1, 2, FLAGS - 1, FLAGS, FLAGS + 1, 5 * FLAGS - 3, WHOLE, WHOLE + 1),
    *(WHOLE * NUMBERS + 5, 2 * WHOLE * NUMBERS - 3),
]


@given(
    st.sampled_from(LENGTHS),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_flags_are_counted(length: int, seed: int, share: float) -> None:
    flags = np.random.default_rng(seed).random(length) < share
    found = jax.jit(counted)(flags)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.cumsum(flags))


@pytest.mark.parametrize(
    "chunks", [(1,), (4,), (4, 1), (16, 4), (16, 5, 2), (40, 39), (1000,), (1000, 30)]
)
@pytest.mark.parametrize(("samples", "lanes"), [(1, 1), (5, 9)])
def test_all_live_lanes_are_in_some_chunk(
    samples: int, lanes: int, chunks: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(lanes + samples)
    x = rng.integers(1, 9, size=(samples, 10)).astype(np.float64)
    sites = np.arange(1, lanes + 1, dtype=np.int32)
    before = x[:, sites]
    weights = rng.normal(size=10)

    @jax.jit
    def run(after: Any) -> Any:
        writes = [[jnp.asarray(one)] for one in (sites, before, after)]
        some = Lanes("any", jnp.asarray(x), (writes[0], writes[1], writes[2]), lanes)
        packed, dtype = some.packed(), np.dtype(np.float64)

        def of_pairs(pairs: Any) -> Any:
            return pairs.connected(some.x) @ weights

        of_states = over_states(some, packed, lambda y: y @ weights, chunks, dtype)
        return *of_states, over_pairs(some, packed, of_pairs, chunks[0], dtype)

    for share in (0.0, 0.1, 0.3, 0.7, 1.0):
        after = np.where(rng.random(before.shape) < share, -before, before)
        connected = np.repeat(x[:, None], lanes, axis=1)
        connected[:, np.arange(lanes), sites] = after
        expected, live = connected @ weights, before != after
        own, others, of_pairs = map(np.asarray, run(after))
        np.testing.assert_allclose(own, x @ weights)
        np.testing.assert_allclose(others[live], expected[live])
        np.testing.assert_allclose(of_pairs[live], expected[live])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("count", [1, 7, 8, PHASES, PHASES + 1, 3 * PHASES + 5])
def test_logarithms_of_products(dtype: type, count: int) -> None:
    rng = np.random.default_rng(count)
    sizes = np.exp(rng.uniform(-20, 20, size=(50, count)))
    angles = rng.uniform(-np.pi, np.pi, size=sizes.shape)
    is_complex = np.issubdtype(dtype, np.complexfloating)
    values = (sizes * np.exp(1j * angles) if is_complex else sizes).astype(dtype)
    exact: Any = np.log(values.astype(np.clongdouble)).sum(axis=1)
    found: Any = np.asarray(jax.jit(log_of_product)(values))
    assert found.dtype == dtype
    eps = float(np.finfo(dtype).eps)
    bound = 4 * eps * (1 + np.abs(np.log(sizes)).sum(axis=1) + count)
    assert (np.abs(found.real - exact.real) <= bound).all()
    turn = np.abs(np.exp(1j * found.imag) - np.exp(1j * exact.imag.astype(float)))
    assert (turn <= bound).all()


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
def test_products_that_are_no_numbers_to_divide_by(dtype: type) -> None:
    values = np.ones((4, 3), dtype)
    values[1:, 1] = [0, np.inf, np.nan]
    logarithms: Any = np.asarray(jax.jit(log_of_product)(values))
    one, nothing, infinite, unknown = logarithms.real
    assert one == 0
    assert nothing == -np.inf
    assert infinite == np.inf
    assert np.isnan(unknown)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_sizes_next_to_the_ends_of_the_range(size: float) -> None:
    values = np.full((1, 300), size * (0.6 + 0.8j))
    (found,) = np.asarray(jax.jit(log_of_product)(values))
    np.testing.assert_allclose(found.real, 300 * np.log(size), rtol=1e-14)
    turn = np.exp(1j * (found.imag - 300 * np.angle(0.6 + 0.8j)))
    np.testing.assert_allclose(turn, 1, atol=1e-12)
