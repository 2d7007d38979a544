"""Weights of affine functions: those of reverse mode."""

# pyright: basic

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from xdsl.dialects.func import FuncOp

from lowering.energy.transposition import has_weights, weights_of
from lowering.functions import function_of
from symir.runtime.functions import Function
from symir.runtime.importing import import_function

W = np.random.default_rng(0).normal(size=(4, 6))

AFFINE: list[Any] = [
    lambda w, t: 0.3 + (t @ w.T)[0, 1],
    lambda w, t: (w @ t[0] - w[:, 0])[2] - t.sum(),
    lambda w, t: w[0, 0] - (2 * t / w[1:2] - w[3:]).sum(),
    lambda w, t: lax.dot_general(
        t.reshape(2, 3, 1), w.reshape(2, 4, 3), (((1,), (2,)), ((0,), (0,)))
    ).sum(),
    lambda w, t: lax.dot_general(
        w.reshape(4, 3, 2), t.reshape(2, 3), (((2, 1), (0, 1)), ((), ()))
    )[1],
    lambda w, t: (jnp.swapaxes(t.reshape(3, 2), 0, 1) * w[:2, :3]).sum(),
    lambda w, t: (lax.broadcast_in_dim(t, (3, 6, 4), (0, 1)) * w.T).sum(),
    lambda w, t: (lax.broadcast_in_dim(t[0], (6, 2), (0,)) * w[:2].T).sum(),
    lambda w, t: (t[:, 1:4] * w[0, :3] + t[:, 3:]).sum(),
    lambda w, t: (jnp.concatenate([t, -t, t[:, :2]], axis=1)[0, 1:13] * w[0, 0]).sum(),
    lambda w, t: jnp.where(w[:1] > 0, t, w[1:2]).sum() + jnp.where(w > 0, 1, t).sum(),
]
UNKNOWN: list[Any] = [
    lambda w, t: t[0, np.array([2, 5, 1])].sum(),
    lambda w, t: t[:, ::2].sum(),
    lambda w, t: jnp.fft.fft(t).real.sum(),
]


def imported(function: Any, dtype: Any = np.float64) -> FuncOp:
    w, t = (jax.ShapeDtypeStruct(shape, dtype) for shape in ((4, 6), (1, 6)))
    (main,) = import_function(function, w, t).ops
    assert isinstance(main, FuncOp)
    return main


@pytest.mark.parametrize("number", range(len(AFFINE)))
def test_weights_are_those_of_reverse_mode(number: int) -> None:
    function, main = AFFINE[number], imported(AFFINE[number])
    assert has_weights(main)
    kinds = main.body.block.arg_types[:1]
    written = function_of("w", kinds, lambda at, own: [weights_of(at, main, own)])
    written.verify()
    (found,) = Function(written)(W)
    expected = jax.grad(function, 1)(jnp.asarray(W), jnp.zeros((1, 6)))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_weights_of_complex_numbers_are_not_conjugated() -> None:
    main = imported(lambda w, t: (t @ w.T).sum(), np.complex128)
    kinds = main.body.block.arg_types[:1]
    written = function_of("w", kinds, lambda at, own: [weights_of(at, main, own)])
    (found,) = Function(written)(1j * W)
    np.testing.assert_allclose(found[0], 1j * W.sum(0), rtol=1e-14)


@pytest.mark.parametrize("number", range(len(UNKNOWN)))
def test_ops_without_a_rule_have_no_weights(number: int) -> None:
    assert not has_weights(imported(UNKNOWN[number]))
