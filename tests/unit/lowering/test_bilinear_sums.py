"""Sums over pairs of sites as matrix products, against the reference interpreter."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symir as sym
from symir.compiler.lowering import operator_pipeline, run_passes

PASSES = operator_pipeline("diagonal", 3)
SPACES = [sym.spin(0.5, 6), sym.fock(2, 5), sym.spin(1, 5), sym.qubit(6)]


def pairs_of(space: sym.Space, seed: int, count: int) -> dict[str, Any]:
    """Return rows of two sites each, which may be one site, and numbers for them."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, space.size, (count, 2)).tolist()
    return {"over": rows, "data": {"w": rng.normal(size=count).tolist()}}


def names(operator: sym.SymbolicOperator, passes: str = PASSES) -> list[str]:
    module = run_passes(operator.to_ir().module, passes)
    return [op.name for op in module.walk()]


def interaction(space: sym.Space, seed: int = 0, dtype: str = "float32") -> Any:
    i, j = sym.site("i").value, sym.site("j").value
    return (
        sym.DOperator(space, "pairs", dtype=dtype)
        .for_each(("i", "j"), **pairs_of(space, seed, 60))
        .emit(amplitude=sym.symbol("g", default=0.5) * sym.row("w") * i * (1 - 2 * j))
        .build()
    )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_weighted_pairs(space: sym.Space, dtype: str) -> None:
    operator = interaction(space, dtype=dtype)
    assert "bt.dot" in names(operator)
    # XLA has no more to do with the spaces than with the numbers that are drawn below
    report = sym.check(operator, lowering=PASSES, executable=space is SPACES[0])
    report.raise_if_wrong()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**16), space=st.sampled_from(SPACES))
def test_any_pairs(seed: int, space: sym.Space) -> None:
    operator = interaction(space, seed)
    report = sym.check(operator, lowering=PASSES, executable=False)
    report.raise_if_wrong()


def test_a_sum_of_one_function_is_no_matrix_product() -> None:
    space = sym.fock(3, 4)
    n = sym.site("i").value
    operator = (
        sym.DOperator(space, "field", dtype="float32")
        .for_each(("i",), over=[[k % 4] for k in range(40)])
        .emit(amplitude=n * 0.25)
        .build()
    )
    assert "bt.dot" not in names(operator)
    sym.check(operator, validate="exhaustive", lowering=PASSES).raise_if_wrong()


def test_few_pairs_are_gathered() -> None:
    ring = [(k, (k + 1) % 60) for k in range(60)]
    i, j = sym.site("i").value, sym.site("j").value
    operator = (
        sym.DOperator(sym.spin(0.5, 60), "ring", dtype="float32")
        .for_each(("i", "j"), over=ring)
        .emit(amplitude=i * j)
        .build()
    )
    assert "bt.dot" not in names(operator)


def test_complex_weights_are_summed_lane_by_lane() -> None:
    space = sym.spin(0.5, 4)
    i, j = sym.site("i").value, sym.site("j").value
    operator = (
        sym.DOperator(space, "complex", dtype="complex64")
        .for_each(("i", "j"), over=[(a, b) for a in range(4) for b in range(4)])
        .emit(amplitude=i * j * (0.5 + 0.25j))
        .build()
    )
    sym.check(operator, validate="exhaustive", lowering=PASSES).raise_if_wrong()


def test_derivatives_through_the_product() -> None:
    operator = interaction(sym.spin(0.5, 6))
    compiled = operator.compile(coalesce="diagonal")
    plain = operator.compile(opt_level=0)
    x = sym.spin(0.5, 6).random_states(5, 0).astype(np.float32)

    def total(op: Any, g: Any, x: Any) -> Any:
        return op.replace(g=g).get_conn_padded(x)[1].sum()

    for argument in (1, 2):
        found, expected = (
            jax.grad(total, argument)(op, 0.5, x) for op in (compiled, plain)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_complex_functions_of_x_keep_their_imaginary_parts() -> None:
    pairs = [(a, b) for a in range(4) for b in range(4)]
    i, j = sym.site("i").value, sym.site("j").value
    for amplitude in (sym.exp(1j * i) * j, (i + 1j) * (j + 0.5)):
        operator = (
            sym.DOperator(sym.spin(0.5, 4), "complex", dtype="complex64")
            .for_each(("i", "j"), over=pairs)
            .emit(amplitude=amplitude)
            .build()
        )
        assert "bt.dot" not in names(operator)
        sym.check(operator, validate="exhaustive", lowering=PASSES).raise_if_wrong()


@pytest.mark.parametrize("function", [lambda v: 1 / v, sym.log, sym.sqrt])
def test_nothing_infinite_comes_from_sites_that_no_pair_has(function: Any) -> None:
    # Only the sites of the pairs are never 0
    space = sym.space([[1, 2]] * 3 + [[0, 1]] * 2)
    pairs = [(a, b) for a in range(3) for b in range(3)] * 3
    operator = (
        sym.DOperator(space, "inverse", dtype="float32")
        .for_each(("i", "j"), over=pairs)
        .emit(amplitude=function(sym.site("i").value) * sym.site("j").value)
        .build()
    )
    sym.check(operator, validate="exhaustive", lowering=PASSES).raise_if_wrong()
    x = space.all_states().astype(np.float32)
    compiled = operator.compile(coalesce="static", opt_level=3)
    plain = operator.compile(opt_level=0)
    found, expected = (
        jax.grad(lambda x, op=op: op.get_conn_padded(x)[1].sum())(x)
        for op in (compiled, plain)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_derivatives_of_writes_stay_finite_at_other_sites() -> None:
    space = sym.space([[1, 2]] * 3 + [[0, 1]] * 2)
    operator = (
        sym.DOperator(space, "swap values", dtype="float32")
        .for_each("i", over=[0, 1, 2])
        .emit(sym.write("i", 2 / sym.site("i").value), amplitude=sym.site("i").value)
        .build()
    )
    x = space.all_states().astype(np.float32)

    def total(x: Any, op: Any) -> Any:
        xp, mels = op.get_conn_padded(x)
        return (xp.sum(-1) * mels).sum()

    found, expected = (
        jax.grad(total)(x, operator.compile(opt_level=level)) for level in (3, 0)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
