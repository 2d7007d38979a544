# pyright: basic
"""x' put together of images: the same x' in the same lanes, whatever dtype x has."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import symir as sym
from dialects import bt
from dialects.interpreters.sym import connections
from lowering.bt import bt_materialize_strategy
from symir.compiler.lowering import operator_pipeline, run_passes
from tests.unit.lowering.branch_programs import (
    checked,
    flips,
    lowered,
    ops_of,
    remarks_of,
)

PASS = "bt-materialize-strategy"
PLAIN = operator_pipeline("none", 3)

i, j = sym.site("i"), sym.site("j")


@pytest.fixture(autouse=True)
def _x64() -> object:  # pyright: ignore[reportUnusedFunction]
    with jax.enable_x64(True):
        yield


def pairs(
    update: Any, space: Any = None, rows: Any = None, predicate: Any = None
) -> sym.SymbolicOperator:
    """Return an operator that makes an update at pairs of sites."""
    space = sym.spin(0.5, 4) if space is None else space
    n = space.size
    builder = sym.DOperator(space, "pairs").for_each(
        ("i", "j"), over=rows or [(a, (a + 1) % n) for a in range(n)]
    )
    if predicate is not None:
        builder = builder.where(predicate)
    return builder.emit(update, amplitude=1.5 + i.value).build()


def images_of(operator: sym.SymbolicOperator) -> list[bt.ImagesOp]:
    """Return the branches that are put together of images."""
    module = run_passes(operator.to_ir().module, PLAIN)
    assert all(isinstance(op, bt.ImagesOp) for op in ops_of(module, "bt.images"))
    return ops_of(module, "bt.images")  # pyright: ignore[reportReturnType]


# region Where it is done


@pytest.mark.parametrize(
    ("update", "space", "images"),
    [
        (sym.flip("i").flip("j"), None, 1),
        (sym.write("i", -i.value), None, 1),
        (sym.write("i", 1), sym.qubit(4), 1),
        (sym.write("i", 1).write("j", 0), sym.qubit(4), 2),
        (sym.flip("i").write("j", 0), sym.qubit(4), 2),
        (sym.shift_mod("i", 1), sym.fock(2, 4), 1),
        (sym.write("i", 3 - i.value), sym.space([[0, 1, 2, 3]] * 4), 1),
        (sym.write("i", 0.1), sym.space([[0.1, 0.7]] * 4), 1),
        (sym.write("i", sym.where(i.value > 0, 0, 2)), sym.fock(2, 4), 1),
        # Labels may be the same site, and the later write wins
        (sym.write("i", 0).write("j", 1), sym.qubit(2), 2),
    ],
)
def test_functions_of_single_sites_are_images(
    update: Any, space: Any, images: int
) -> None:
    operator = pairs(update, space)
    (op,) = images_of(operator)
    assert len(op.images) == images
    checked(operator, lowering=PLAIN)


def test_lanes_that_may_be_the_same_site() -> None:
    rows = [(0, 0), (0, 1), (1, 0), (2, 2)]
    operator = pairs(sym.write("i", 1).flip("j"), sym.qubit(3), rows)
    assert images_of(operator)
    checked(operator, lowering=PLAIN, executable=True)


def test_validity_is_of_the_lane() -> None:
    predicate = i.value == j.value
    operator = pairs(sym.flip("i").flip("j"), predicate=predicate)
    (op,) = images_of(operator)
    assert op.valid is not None
    checked(operator, lowering=PLAIN, executable=True)


def test_emissions_that_are_interleaved_share_images() -> None:
    operator = (
        sym.DOperator(sym.spin(0.5, 3), "many")
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 0)])
        .emit(sym.flip("i").flip("j"), amplitude=0.5)
        .emit(amplitude=i.value * j.value)
        .emit(sym.flip("i"), amplitude=j.value)
        .emit(sym.swap("i", "j"), amplitude=0.25)
        .for_each_site("i")
        .emit_if(i.value > 0, sym.flip("i"), amplitude=2.0)
        .build()
    )
    first, second = images_of(operator)
    assert first.images[0] is second.images[0]
    checked(operator, lowering=PLAIN, executable=True)


def test_what_is_equal_in_a_term_with_a_fanout_keeps_its_writes() -> None:
    def hops(builder: Any) -> Any:
        return (
            builder.for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 0)])
            .where(i.value > 0)
            .emit(sym.write("i", -i.value).write("j", -j.value), amplitude=1.5)
        )

    builder = hops(sym.DOperator(sym.spin(0.5, 3), "twice"))
    operator = hops(builder).fanout(3 - 1).build()
    x = np.array([[1, -1, 1], [-1, -1, -1]])
    checked(operator, x=x, lowering=PLAIN)
    (images,) = images_of(operator)
    assert images.origins is not None
    assert images.origins.data.ragged[0].tolist() == [0, 1, 2]


# endregion
# region Where it is not


@pytest.mark.parametrize(
    ("update", "space", "reason"),
    [
        (sym.swap("i", "j"), sym.fock(2, 4), "no function of x at the same site"),
        (sym.write("i", j.value), None, "no function of x at the same site"),
        (sym.write("i", sym.where(j.value > 0, -1, 1)), None, "no function"),
        (sym.shift("i", 1), sym.fock(2, 4), "may not be valid"),
    ],
)
def test_what_is_no_function_of_the_same_site_is_left(
    update: Any, space: Any, reason: str
) -> None:
    operator = pairs(update, space)
    assert not images_of(operator)
    checked(operator, lowering=PLAIN)
    (remark,) = remarks_of(operator, PASS, PLAIN)
    assert not remark.done
    assert reason in remark.message


def test_many_images_are_left() -> None:
    values = list(range(5))
    rows = [(a, 0) for a in range(5)]
    table = sym.table(values)
    operator = pairs(sym.write("i", table[i.index]), sym.space([values] * 5), rows)
    assert not images_of(operator)
    checked(operator, lowering=PLAIN, samples=16)


def test_large_masks_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = pairs(sym.flip("i"))
    assert images_of(operator)
    monkeypatch.setattr(bt_materialize_strategy, "MAX_MASK_ELEMENTS", 15)
    assert not images_of(operator)
    (remark,) = remarks_of(operator, PASS, PLAIN)
    assert "too long" in str(remark.hint)


def test_a_fanout_is_left() -> None:
    operator = (
        sym.DOperator(sym.spin(0.5, 4), "fanout")
        .for_each_site("i")
        .where(i.value > 0)
        .emit(sym.flip("i"), amplitude=1.0)
        .fanout(3)
        .build()
    )
    assert not images_of(operator)


def test_sites_that_x_decides_are_left() -> None:
    target = sym.sum_(sym.here)
    operator = (
        sym.DOperator(sym.qubit(4), "moving")
        .globally()
        .emit(sym.write(target, 1), amplitude=1.0)
        .build()
    )
    assert not images_of(operator)
    checked(operator, lowering=PLAIN)


# endregion
# region The same x'


@settings(max_examples=8)
@given(flips((1, 2, 4)))
def test_random_functions_of_sites(operator: sym.SymbolicOperator) -> None:
    checked(operator, lowering=PLAIN)


def test_random_functions_where_it_never_costs_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Images of any number, valid or not, on lattices of any size."""
    monkeypatch.setattr(bt_materialize_strategy, "MAX_IMAGES", 9)
    monkeypatch.setattr(bt_materialize_strategy, "MAX_SITES_OF_VALID", 99)

    @settings(max_examples=8)
    @given(flips((1, 3, 34)))
    def every(operator: sym.SymbolicOperator) -> None:
        checked(operator, lowering=PLAIN, samples=8)

    every()


@pytest.mark.parametrize("dtype", ["int8", "float64", "bool", "uint8", "float16"])
def test_any_dtype_of_x(dtype: str) -> None:
    operator = pairs(
        sym.flip("i").write("j", 1), sym.qubit(3), predicate=i.value == j.value
    )
    assert images_of(operator)
    states = operator.space.all_states()
    x = jnp.asarray(states.astype(dtype))
    xp, mels = operator.compile(opt_level=3).get_conn_padded(x)
    expected = connections(operator.to_ir().module, states)
    assert xp.dtype == dtype
    np.testing.assert_array_equal(np.asarray(xp).astype(float), expected[0])
    np.testing.assert_array_equal(mels, expected[1])


def test_x_is_differentiated_as_before() -> None:
    operator = pairs(
        sym.write("i", -i.value).write("j", -j.value), predicate=i.value == j.value
    )
    (op,) = images_of(operator)
    assert op.valid is not None
    x = operator.space.random_states(5, seed=3).astype(np.float64)
    tangent = np.random.default_rng(0).normal(size=x.shape)
    outputs = [
        jax.jvp(operator.compile(opt_level=level).get_conn_padded, (x,), (tangent,))
        for level in (2, 3)
    ]
    plain, images = jax.tree.leaves(outputs[0]), jax.tree.leaves(outputs[1])
    for expected, found in zip(plain, images, strict=True):
        np.testing.assert_array_equal(expected, found)
    assert (np.asarray(outputs[1][1][0]) != 0).any()

    def weighed(x: Any, level: int) -> Any:
        xp, mels = operator.compile(opt_level=level).get_conn_padded(x)
        return (jnp.sin(xp).sum(axis=-1) * mels).sum()

    np.testing.assert_allclose(
        jax.grad(weighed)(x, 2), jax.grad(weighed)(x, 3), rtol=1e-12
    )


def test_no_sample_has_no_images() -> None:
    operator = pairs(sym.flip("i").flip("j"))
    compiled = operator.compile(opt_level=3)
    xp, mels = compiled.get_conn_padded(np.zeros((0, 4), np.int8))
    assert xp.shape == (0, 4, 4)
    assert mels.shape == (0, 4)


def test_samples_may_be_mapped_over() -> None:
    operator = pairs(sym.flip("i").flip("j"), predicate=i.value == j.value)
    compiled = operator.compile(opt_level=3)
    x = operator.space.all_states().astype(np.int8)
    xp, mels = compiled.get_conn_padded(x)
    xps, elements = jax.vmap(compiled.get_conn_padded)(x)
    np.testing.assert_array_equal(xp, xps)
    np.testing.assert_array_equal(mels, elements)


def test_it_is_left_alone_where_the_batch_is_bound() -> None:
    module = lowered(pairs(sym.flip("i")), PASS)
    bound = run_passes(module, "bt-specialize{batch=2 state=i8}")
    assert str(run_passes(bound, PASS)) == str(bound)


# endregion
