"""Functions of many x: each result is that of the function of one x."""

# pyright: basic

from __future__ import annotations

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from lowering.stablehlo.stablehlo_batch import batch_function, unbatched_op
from symir.runtime.functions import Function
from symir.runtime.importing import import_function

SIZE = 3


def rows(a: Any, i: Any) -> Any:
    return jnp.asarray(a).at[i].get(mode="clip")


def rows_of_each(a: Any, i: Any) -> Any:
    return jax.vmap(rows)(a, i)


def windows(a: Any, kernel: Any) -> Any:
    return lax.conv_general_dilated(
        a, kernel, (1, 2), "SAME", dimension_numbers=("HWNC", "HWIO", "NHWC")
    )


FUNCTIONS = {
    "elements": (lambda a, b: a * b + jnp.exp(a), [(2, 3), (2, 3)]),
    "arguments that are not used": (lambda a, b: 2 * b, [(2,), (3,)]),
    "a choice by one": (lambda a, b: lax.select(b > 0, a, -a), [(2, 3), ()]),
    "bounds": (lambda a, b, c: lax.clamp(b, a, c + 1), [(4,), (), ()]),
    "a loop": (
        lambda a, b: lax.fori_loop(
            0, 3, lambda n, c: (c[0] @ b + n, c[1] + 1), (a, jnp.zeros(2))
        ),
        [(2, 3), (3, 3)],
    ),
    "axes": (lambda a: jnp.broadcast_to(a.T[:, None], (3, 4, 2))[..., None], [(2, 3)]),
    "sums": (lambda a: a.sum((0, 2)) + a.max(initial=0.5), [(2, 3, 4)]),
    "products": (lambda a, b: a @ b.T, [(2, 3), (4, 3)]),
    "products of each": (
        lambda a, b: lax.dot_general(a, b, (((2,), (0,)), ((1,), (1,)))),
        [(2, 5, 3), (3, 5, 4)],
    ),
    "pieces": (
        lambda a, b: jnp.concatenate([a, b], axis=1)[:, 1:4:2],
        [(2, 3), (2, 1)],
    ),
    "an edge": (lambda a: lax.pad(a, 0.5, [(1, 0, 1), (-1, 2, 0)]), [(2, 3)]),
    "a row": (
        lambda a, i: lax.dynamic_slice(a, (i, jnp.int32(0)), (1, 3)),
        [(5, 3), "i"],
    ),
    "a block": (
        lambda a, i, j: lax.dynamic_slice(a, (i, j), (2, 2)),
        [(5, 3), "i", "i"],
    ),
    "all of it": (lambda a, i: lax.dynamic_slice(a, (i,), (5,)), [(5,), "i"]),
    "rows": (rows, [(5, 3), "iiii"]),
    "rows of each": (rows_of_each, [(4, 5, 3), "iiii"]),
    "windows": (windows, [(4, 6, 1, 2), (3, 3, 2, 5)]),
    "windows of groups": (
        lambda a, kernel: lax.conv_general_dilated(
            a,
            kernel,
            (1,),
            "SAME",
            dimension_numbers=("NCH", "OIH", "HNC"),
            feature_group_count=2,
        ),
        [(2, 4, 5), (6, 2, 3)],
    ),
    "an edge by a number": (
        lambda a, b: lax.pad(a, b, [(1, 0, 1), (-1, 2, 0)]),
        [(2, 3), ()],
    ),
    "an order": (lambda a, b: lax.sort((a, b), num_keys=2), [(4, 3), (4, 3)]),
    "the largest": (lambda a: lax.top_k(a, 2), [(3, 4)]),
    "backwards": (lambda a: lax.rev(a, (1,)), [(2, 3)]),
    "fewer bits": (lambda a: lax.reduce_precision(a, 8, 7), [(3,)]),
    "running sums": (lambda a: lax.cumsum(a, axis=1), [(3, 4)]),
    "pools": (
        lambda a: lax.reduce_window(
            a, -jnp.inf, lax.max, (1, 2), (1, 2), [(0, 0), (1, 1)]
        ),
        [(3, 4)],
    ),
    "rows that are written": (
        lambda a, b, i: a.at[i].set(b, mode="drop"),
        [(5, 3), (3,), "i"],
    ),
    "columns that are added to": (
        lambda a, b, i: a.at[:, i].add(b, mode="clip"),
        [(2, 5), (2, 3), "iii"],
    ),
    "an update": (
        lambda a, b, i, j: lax.dynamic_update_slice(a, b, (i, j)),
        [(5, 3), (2, 2), "i", "i"],
    ),
    "frequencies": (lambda a: jnp.fft.fft(a).real, [(2, 4)]),
    "an error function": (lambda a: lax.erf(a), [(2, 3)]),
}
CASES = [
    pytest.param(name, which, id=f"{name}-{''.join('01'[own] for own in which)}")
    for name, (_, kinds) in FUNCTIONS.items()
    for which in product((False, True), repeat=len(kinds))
    if any(which)
]


def drawn(kind: Any, lead: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(len(lead))
    if isinstance(kind, str):
        shape = () if kind == "i" else (len(kind),)
        return rng.integers(-1, 6, (*lead, *shape), dtype=np.int32)
    return rng.normal(size=(*lead, *kind))


def imported(function: Any, arguments: list[Any]) -> FuncOp:
    avals = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in arguments]
    (main,) = import_function(function, *avals).ops
    assert isinstance(main, FuncOp)
    return main


@pytest.mark.parametrize(("name", "which"), CASES)
def test_results_are_those_of_each(name: str, which: tuple[bool, ...]) -> None:
    function, kinds = FUNCTIONS[name]
    main = imported(function, [drawn(kind, ()) for kind in kinds])
    batch_function(main, SIZE, [n for n, own in enumerate(which) if own])
    main.verify()
    values = [
        jnp.asarray(drawn(kind, (SIZE,) if own else ()))
        for kind, own in zip(kinds, which, strict=True)
    ]
    expected = jax.vmap(function, [0 if own else None for own in which])(*values)
    for one, other in zip(Function(main)(*values), jax.tree.leaves(expected)):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_a_choice_that_is_the_same_for_all() -> None:
    def function(n: Any, a: Any, b: Any) -> Any:
        return lax.switch(n, [lambda: a * b, lambda: b, lambda: b - a])

    given = [drawn("i", ()), drawn((2,), ()), drawn((2,), ())]
    main = imported(function, given)
    batch_function(main, SIZE, [1])
    main.verify()
    (choice,) = (op for op in main.walk() if op.name == "stablehlo.case")
    assert [str(result.type) for result in choice.results] == ["tensor<3x2xf64>"]


def test_a_choice_that_differs() -> None:
    def function(n: Any, a: Any, b: Any) -> Any:
        inner = lax.cond(a[0] > b[0], lambda: a, lambda: 2 * b)
        return lax.switch(n, [lambda: a * inner, lambda: b, lambda: b - a]) + b

    given = [drawn("i", ()), drawn((2,), ()), drawn((2,), ())]
    numbers = np.array([-1, 1, 7], np.int32)
    a, b = drawn((2,), (SIZE,)), drawn((2,), ())
    main = imported(function, given)
    batch_function(main, SIZE, [0, 1])
    main.verify()
    assert not any(op.name == "stablehlo.case" for op in main.walk())
    (found,) = Function(main)(numbers, a, b)
    expected = jax.vmap(function, (0, 0, None))(numbers, a, b)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_what_has_no_rule_is_named() -> None:
    main = imported(jnp.linalg.inv, [drawn((4, 4), ())])
    assert unbatched_op(main) == "stablehlo.custom_call"
    with pytest.raises(PassFailedException, match=r"custom_call' has no batching"):
        batch_function(main, SIZE, [0])


@pytest.mark.parametrize(
    "function",
    [
        lambda a: lax.while_loop(lambda b: b.sum() < 9, lambda b: b + abs(b) + 1, a),
        lambda a: lax.fori_loop(0, a[0].astype(int), lambda _, b: 2 * b, a),
    ],
)
def test_loops_of_other_turns_for_each_have_no_rule(function: Any) -> None:
    assert unbatched_op(imported(function, [drawn((4,), ())])) == "stablehlo.while"
