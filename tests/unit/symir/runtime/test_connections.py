"""Every construct, run through JAX, is what the reference interpreter says."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import connections
from tests.unit.symir.constructs import UPDATES, in_one_space

DTYPES = ["int8", "int32", "int64", "float32", "float64"]


def assert_like_the_reference(
    operator: sym.SymbolicOperator, x: npt.NDArray[Any], tolerance: float = 1e-12
) -> None:
    compiled = operator.compile()
    xp, mels = compiled.get_conn_padded(x)
    expected, elements = connections(operator.to_ir().module, x)
    assert xp.dtype == x.dtype
    assert mels.dtype == operator.dtype == compiled.dtype
    assert xp.shape == (*x.shape[:-1], compiled.max_conn_size, x.shape[-1])
    assert mels.shape == xp.shape[:-1]
    np.testing.assert_array_equal(xp, expected)
    np.testing.assert_allclose(mels, elements, rtol=tolerance, atol=tolerance)


SMALL = in_one_space(3)


@pytest.mark.parametrize("space", SMALL)
def test_all_configurations_of_a_small_space(space: str) -> None:
    """All constructs of a space are terms of one operator: one compilation.

    At the default level terms of one structure are gathered, which moves their lanes:
    the layout says where those of each row of each construct are.
    """
    total = reduce(add, SMALL[space].values())
    x = total.space.all_states()
    compiled = total.compile()
    xp, mels = map(np.asarray, compiled.get_conn_padded(x))
    assert xp.dtype == x.dtype
    assert mels.dtype == total.dtype == compiled.dtype
    assert xp.shape == (len(x), compiled.max_conn_size, x.shape[-1])
    names = [term.name for term in total.terms]
    layout = sym.SymbolicCompiler().compile(total).branch_layout()
    places = [(names.index(one.term), one.row, one.emission) for one in layout]
    order = sorted(range(len(places)), key=places.__getitem__)
    assert len(set(places)) == len(places)
    states, elements = connections(total.to_ir().module, x)
    np.testing.assert_array_equal(xp[:, order], states)
    np.testing.assert_allclose(mels[:, order], elements, rtol=1e-12, atol=1e-12)


LARGE = in_one_space(11)


@pytest.mark.parametrize("space", LARGE)
def test_random_batch_of_a_large_space(space: str) -> None:
    """Lane by lane of each construct: at level 1 nothing is gathered."""
    constructs = LARGE[space]
    total = reduce(add, constructs.values())
    x = total.space.random_states(3, 0)
    compiled = total.compile(opt_level=1)
    xp, mels = map(np.asarray, compiled.get_conn_padded(x))
    start = 0
    for name, operator in constructs.items():
        expected, elements = connections(operator.to_ir().module, x)
        own = slice(start, start + elements.shape[1])
        assert mels.dtype == operator.dtype
        np.testing.assert_array_equal(xp[:, own], expected, err_msg=name)
        np.testing.assert_allclose(
            mels[:, own], elements, rtol=1e-12, atol=1e-12, err_msg=name
        )
        start = own.stop
    assert start == compiled.max_conn_size


SHAPES = [(), (0,), (5,), (2, 3), (2, 0, 3), (1, 2, 1)]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        *((shape, "int8") for shape in SHAPES),
        *((shape, dtype) for shape in ((0,), (2, 3)) for dtype in DTYPES[1:]),
    ],
)
def test_shapes_and_dtypes(shape: tuple[int, ...], dtype: str) -> None:
    operator = UPDATES["several emissions"](4)
    count = int(np.prod(shape))
    x = operator.space.random_states(count, 0).reshape(*shape, 4).astype(dtype)
    assert_like_the_reference(operator, x)


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
def test_without_64_bits(dtype: str) -> None:
    operator = UPDATES["several emissions"](4)
    x = operator.space.random_states(5, 0).astype(dtype)
    with jax.enable_x64(False):
        with pytest.warns(sym.PrecisionWarning, match="C030"):
            compiled = operator.compile()
        assert compiled.dtype == np.float32
        xp, mels = compiled.get_conn_padded(x)
    assert (xp.dtype, mels.dtype) == (dtype, np.float32)
    expected, elements = connections(operator.to_ir().module, x)
    np.testing.assert_array_equal(xp, expected)
    np.testing.assert_allclose(mels, elements, rtol=1e-6)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint16", "uint32", "float16", "bfloat16"]
)
def test_further_dtypes(dtype: str) -> None:
    operator = (
        sym.DOperator(sym.qubit(4), "op", dtype="float32")
        .for_each_site("i")
        .emit(sym.write("i", 1 - sym.site("i").value), amplitude=sym.site("i") + 2)
        .build()
    )
    x = operator.space.all_states()
    xp, mels = operator.compile().get_conn_padded(jnp.asarray(x).astype(dtype))
    expected, elements = connections(operator.to_ir().module, x)
    assert xp.dtype == jnp.dtype(dtype)
    np.testing.assert_array_equal(xp.astype("int8"), expected)
    np.testing.assert_array_equal(mels, elements)


def test_an_operator_that_asks_for_64_bits_is_not_computed_in_32() -> None:
    operator = (
        sym.DOperator(sym.qubit(2), "wide", dtype="float64").globally().emit().build()
    )
    with (
        jax.enable_x64(False),
        pytest.raises(sym.SymbolicCompilerError, match="C004") as error,
    ):
        operator.compile()
    assert "jax_enable_x64" in str(error.value)
    assert "wide" in str(error.value)


def test_lanes_that_are_not_valid_are_the_source() -> None:
    operator = UPDATES["shift"](2)
    x = np.array([2, 0], np.int8)
    xp, mels = operator.compile().get_conn_padded(x)
    np.testing.assert_array_equal(xp, [[2, 0], [2, 1]])
    np.testing.assert_array_equal(mels, [0, 1])


def test_no_rows_no_lanes() -> None:
    operator = (
        sym.DOperator(sym.qubit(1), "op")
        .for_each_distinct_pair("i", "j")
        .emit()
        .build()
    )
    xp, mels = operator.compile().get_conn_padded(np.zeros((5, 1), np.int8))
    assert (xp.shape, mels.shape) == ((5, 0, 1), (5, 0))


def test_a_guard_keeps_excluded_lanes_finite() -> None:
    i = sym.site("i")
    operator = (
        sym.DOperator(sym.fock(2, 3), "op")
        .for_each_site("i")
        .where(i != 0)
        .emit(amplitude=1 / i)
        .build()
    )
    x = operator.space.all_states()
    _, mels = operator.compile().get_conn_padded(x)
    assert np.isfinite(mels).all()
    np.testing.assert_allclose(mels, np.where(x != 0, 1 / np.maximum(x, 1), 0), 1e-6)


def test_a_rounded_product_proves_nothing() -> None:
    # XLA fuses 0.1 i + 0.3 j with one rounding where NumPy has two
    i, j = sym.site("i"), sym.site("j")
    operator = (
        sym.DOperator(sym.fock(3, 2), "op")
        .for_each(("i", "j"), over=[(0, 1)])
        .where(0.1 * i + 0.3 * j < 0.1 * 3 + 0.3 * 1)
        .where(j == 1)
        .emit(sym.shift("i", 1))
        .build()
    )
    xp, _ = operator.compile().get_conn_padded(operator.space.all_states())
    assert operator.space.contains(np.asarray(xp)).all()


def test_local_values_are_one_number_for_x_and_the_operator() -> None:
    thirds = sym.space([0, 1 / 3, 2 / 3, 1], 3)
    operator = (
        sym.DOperator(thirds, "op", dtype="float32")
        .for_each_distinct_pair("i", "j")
        .emit(sym.swap("i", "j"))
        .build()
    )
    x = thirds.random_states(4, 0)
    with pytest.raises(sym.InputError, match="R002"):
        operator.compile().get_conn_padded(x)
    assert_like_the_reference(operator, x.astype(np.float32))


def test_fractions_without_64_bits() -> None:
    tenths = sym.space([0.1, 0.2, 0.3], 2)
    operator = (
        sym.DOperator(tenths, "op")
        .for_each_distinct_pair("i", "j")
        .emit(sym.swap("i", "j"))
        .build()
    )
    x = tenths.all_states().astype(np.float32)
    with jax.enable_x64(False), pytest.warns(sym.PrecisionWarning, match="C030"):
        xp, mels = operator.compile().get_conn_padded(x)
    np.testing.assert_array_equal(xp[:, 0], x[:, ::-1])
    np.testing.assert_array_equal(mels, 1)


def test_local_values_that_the_dtype_cannot_tell_apart_are_refused() -> None:
    builder = sym.DOperator(sym.space([2**24, 2**24 + 1], 2), "op", dtype="float32")
    with pytest.raises(sym.DefinitionError, match="tell apart") as error:
        builder.for_each_site("i").emit().build()
    assert error.value.code == "D029"


@pytest.mark.parametrize("shape", [(0, 3), (4, 3), (3,)])
def test_sites_that_differ_from_sample_to_sample(shape: tuple[int, ...]) -> None:
    own = sym.site("i").value
    operator = (
        sym.DOperator(sym.qubit(3), "op")
        .for_each_site("i")
        .emit(sym.write(own, 1), amplitude=sym.site(own + 1).value)
        .build()
    )
    x = operator.space.random_states(12, 0)[: int(np.prod(shape)) // 3]
    assert_like_the_reference(operator, x.reshape(shape))
