"""Constants as NumPy arrays, and constructors whose ops mean what NumPy says.

jaxlib has a parser and a verifier of StableHLO of its own, and XLA computes what they
accept: whatever we build must pass through all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.backend
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from jax.interpreters.mlir import make_ir_context
from jaxlib.mlir import ir
from jaxlib.xla_client import CompileOptions
from xdsl.context import Context
from xdsl.dialects.builtin import (
    BFloat16Type,
    ComplexType,
    DenseIntOrFPElementsAttr,
    Float16Type,
    IndexType,
    IntegerType,
    ModuleOp,
    Signedness,
    TensorType,
    f32,
    f64,
    i1,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.dialects.test import TestOp as AnyOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.transforms.common_subexpression_elimination import (
    CommonSubexpressionElimination,
)
from xdsl.transforms.dead_code_elimination import DeadCodeElimination

from dialects import stablehlo
from dialects.text import parse_module, print_module

Array = npt.NDArray[Any]

# region jaxlib and XLA


def evaluated(
    build: Callable[..., Operation], *inputs: tuple[npt.ArrayLike, Attribute]
) -> Array:
    """Build one op on arguments, let jaxlib verify it and XLA compute it."""
    arrays = [np.asarray(value, stablehlo.dtype_of(kind)) for value, kind in inputs]
    kinds = [kind for _, kind in inputs]
    types = [
        stablehlo.tensor(kind, array.shape)
        for kind, array in zip(kinds, arrays, strict=True)
    ]
    function = FuncOp("main", (types, []))
    op = build(*function.args)
    function.body.block.add_ops([op, ReturnOp(op.results[0])])
    function.update_function_type()
    module = ModuleOp([function])
    module.verify()
    text = print_module(module)
    assert print_module(parse_module(text)) == text
    with make_ir_context():
        ir.Module.parse(text).operation.verify()
    backend = jax.extend.backend.get_backend("cpu")
    device = backend.devices()[0]
    program = backend.compile_and_load(text, (device,), CompileOptions())
    with jax.enable_x64(True):
        (result,) = program.execute([jax.device_put(array, device) for array in arrays])
        return np.asarray(result)


def as_xla_reads(attribute: DenseIntOrFPElementsAttr) -> Array:
    """Return the value of a printed constant as XLA reads it."""
    return evaluated(lambda: stablehlo.ConstantOp(attribute))


# endregion
# region Types


def unsigned(width: int) -> IntegerType:
    return IntegerType(width, Signedness.UNSIGNED)


DTYPES: list[tuple[Attribute, npt.DTypeLike]] = [
    (i1, np.bool_),
    (i8, np.int8),
    (i16, np.int16),
    (i32, np.int32),
    (i64, np.int64),
    (unsigned(8), np.uint8),
    (unsigned(16), np.uint16),
    (unsigned(32), np.uint32),
    (unsigned(64), np.uint64),
    (Float16Type(), np.float16),
    (f32, np.float32),
    (f64, np.float64),
    (ComplexType(f32), np.complex64),
    (ComplexType(f64), np.complex128),
]
IDS = [str(element) for element, _ in DTYPES]
each_dtype = pytest.mark.parametrize(("element", "dtype"), DTYPES, ids=IDS)


@each_dtype
def test_the_dtype_of_an_element(element: Attribute, dtype: npt.DTypeLike) -> None:
    assert stablehlo.dtype_of(element) == dtype


def test_numpy_computes_with_bfloat16_as_float32() -> None:
    assert stablehlo.dtype_of(BFloat16Type()) == np.float32


@pytest.mark.parametrize(
    "element",
    [
        IntegerType(4),
        IntegerType(12),
        IntegerType(128),
        unsigned(1),
        IndexType(),
        ComplexType(Float16Type()),
        ComplexType(i32),
        TensorType(f64, []),
    ],
    ids=str,
)
def test_some_elements_have_no_dtype(element: Attribute) -> None:
    with pytest.raises(TypeError, match="NumPy has no dtype for"):
        stablehlo.dtype_of(element)


def test_tensor_and_shape_of() -> None:
    assert stablehlo.tensor(f64) == TensorType(f64, [])
    assert stablehlo.tensor(i8, (2, 3)) == TensorType(i8, [2, 3])
    value = stablehlo.constant(np.zeros((2, 0, 3)), f64).output
    assert stablehlo.shape_of(value) == (2, 0, 3)


# endregion
# region Constants

shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@each_dtype
@given(data=st.data())
def test_an_array_survives_as_a_constant(
    element: Attribute, dtype: npt.DTypeLike, data: st.DataObject
) -> None:
    array = data.draw(npst.arrays(dtype, shapes))
    attribute = stablehlo.dense(array, element)
    assert attribute.get_element_type() == element
    assert attribute.get_shape() == array.shape
    back = stablehlo.to_numpy(attribute)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


@each_dtype
@given(data=st.data())
def test_a_constant_survives_as_text(
    element: Attribute, dtype: npt.DTypeLike, data: st.DataObject
) -> None:
    kinds = np.dtype(dtype).kind in "fc"
    numbers = (
        # a NaN has more bits than its text; the sign of zero is lost in a splat
        npst.from_dtype(np.dtype(dtype), allow_nan=False).map(lambda x: x + 0)
        if kinds
        else npst.from_dtype(np.dtype(dtype))
    )
    array = data.draw(npst.arrays(dtype, shapes, elements=numbers))
    module = ModuleOp([stablehlo.constant(array, element)])
    again = parse_module(print_module(module))
    assert again.is_structurally_equivalent(module)


@each_dtype
def test_xla_reads_the_same_constant(element: Attribute, dtype: npt.DTypeLike) -> None:
    numbers = np.random.default_rng(0)
    # above a hundred elements the text is hexadecimal
    for shape in [(), (1,), (7,), (2, 3), (3, 50), (0, 2)]:
        array = numbers.integers(0, 100, shape).astype(dtype)
        if np.dtype(dtype).kind == "c":
            array = (array * (1 - 0.5j)).astype(dtype)
        read = as_xla_reads(stablehlo.dense(array, element))
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype


@pytest.mark.parametrize("element", [Float16Type(), f32, f64], ids=str)
def test_xla_reads_the_same_special_numbers(element: Attribute) -> None:
    dtype = stablehlo.dtype_of(element)
    smallest = np.finfo(dtype).smallest_subnormal
    array = np.array(
        [np.inf, -np.inf, np.nan, -0.0, smallest, np.finfo(dtype).max, 1 / 3, 65504],
        dtype,
    )
    read = as_xla_reads(stablehlo.dense(array, element))
    np.testing.assert_array_equal(read, array)
    np.testing.assert_array_equal(np.signbit(read), np.signbit(array))


@pytest.mark.parametrize("element", [f32, f64], ids=str)
def test_xla_reads_the_same_complex_special_numbers(element: Any) -> None:
    kind = ComplexType(element)
    parts = np.array([np.inf, -np.inf, 123456789.0, -0.5, 1 / 3])
    array = np.empty((5, 5), stablehlo.dtype_of(kind))
    array.real, array.imag = parts[:, None], parts[None, :]
    np.testing.assert_array_equal(as_xla_reads(stablehlo.dense(array, kind)), array)


def test_bfloat16_rounds_and_comes_back() -> None:
    element = BFloat16Type()
    array = np.array([[1.0, -2.5], [np.inf, 3.140625]], np.float32)
    attribute = stablehlo.dense(array, element)
    assert len(attribute.data.data) == 2 * array.size
    np.testing.assert_array_equal(stablehlo.to_numpy(attribute), array)
    module = ModuleOp([stablehlo.ConstantOp(attribute)])
    assert parse_module(print_module(module)).is_structurally_equivalent(module)
    # seven bits of mantissa
    rounded = stablehlo.to_numpy(stablehlo.dense(np.float32(1 / 3), element))
    np.testing.assert_allclose(rounded, 1 / 3, rtol=2**-8)
    np.testing.assert_array_equal(as_xla_reads(attribute), array)


def test_true_has_one_representation() -> None:
    """Else constants that print alike would differ, and CSE would keep them both."""
    built = stablehlo.dense(True, i1)
    text = "%0 = stablehlo.constant dense<true> : tensor<i1>"
    (op,) = parse_module(text).body.block.ops
    assert isinstance(op, stablehlo.ConstantOp)
    assert op.value == built
    many = stablehlo.to_numpy(stablehlo.dense([True, False, True], i1))
    np.testing.assert_array_equal(many.view(np.uint8), [1, 0, 1])


def test_a_splat_is_a_full_array() -> None:
    text = "%0 = stablehlo.constant dense<2.5> : tensor<2x3xf32>"
    (op,) = parse_module(text).body.block.ops
    array = stablehlo.constant_of(op.results[0])
    np.testing.assert_array_equal(array, np.full((2, 3), 2.5, np.float32))


@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda a: a[::-1], lambda a: a.T]
)
def test_the_layout_of_the_array_does_not_matter(
    layout: Callable[[Array], Array],
) -> None:
    array = layout(np.arange(6.0).reshape(2, 3))
    back = stablehlo.to_numpy(stablehlo.dense(array, f64))
    np.testing.assert_array_equal(back, array)


def test_numbers_are_converted_to_the_element() -> None:
    assert stablehlo.dense(1, f64) == stablehlo.dense(1.0, f64)
    assert stablehlo.dense([1, 2], i8) == stablehlo.dense(np.array([1, 2]), i8)
    assert stablehlo.dense(1.0, ComplexType(f64)) == stablehlo.dense(
        1 + 0j, ComplexType(f64)
    )


def test_constant_of() -> None:
    constant = stablehlo.constant([1.0, 2.0], f64)
    array = stablehlo.constant_of(constant.output)
    np.testing.assert_array_equal(array, [1.0, 2.0])
    negative = stablehlo.NegateOp(constant.output)
    assert stablehlo.constant_of(negative.result) is None
    function = FuncOp("f", ([TensorType(f64, [])], []))
    assert stablehlo.constant_of(function.args[0]) is None


# endregion
# region Constructors

NUMBERS = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("direction", "function"),
    [
        ("EQ", np.equal),
        ("NE", np.not_equal),
        ("LT", np.less),
        ("LE", np.less_equal),
        ("GT", np.greater),
        ("GE", np.greater_equal),
    ],
)
@pytest.mark.parametrize("element", [f64, i32, i8], ids=str)
def test_compare(direction: str, function: np.ufunc, element: Attribute) -> None:
    a, b = np.array([0, 1, 2]), np.array([1, 1, 1])
    result = evaluated(
        lambda x, y: stablehlo.compare(direction, x, y), (a, element), (b, element)
    )
    np.testing.assert_array_equal(result, function(a, b))
    assert result.dtype == np.bool_


def test_compare_has_six_directions() -> None:
    value = stablehlo.constant(1.0, f64).output
    with pytest.raises(ValueError, match="LESS"):
        stablehlo.compare("LESS", value, value)


def test_select() -> None:
    p = [True, False, True]
    result = evaluated(
        stablehlo.select, (p, i1), ([1.0, 2.0, 3.0], f64), ([4.0, 5.0, 6.0], f64)
    )
    np.testing.assert_array_equal(result, [1.0, 5.0, 3.0])


@pytest.mark.parametrize("element", [f32, i8, i64, ComplexType(f64), i1], ids=str)
def test_convert(element: Attribute) -> None:
    result = evaluated(lambda x: stablehlo.convert(x, element), (NUMBERS, f64))
    assert result.dtype == stablehlo.dtype_of(element)
    np.testing.assert_array_equal(result, NUMBERS.astype(result.dtype))


@pytest.mark.parametrize(
    ("shape", "dims", "expected"),
    [
        ((3, 4), [0, 1], NUMBERS),
        ((3, 2, 4), [0, 2], np.repeat(NUMBERS[:, None, :], 2, axis=1)),
        ((5, 3, 4), [1, 2], np.repeat(NUMBERS[None], 5, axis=0)),
    ],
)
def test_broadcast_in_dim(
    shape: Sequence[int], dims: Sequence[int], expected: Array
) -> None:
    result = evaluated(
        lambda x: stablehlo.broadcast_in_dim(x, shape, dims), (NUMBERS, f64)
    )
    np.testing.assert_array_equal(result, expected)


def test_broadcast_in_dim_of_a_scalar() -> None:
    result = evaluated(
        lambda x: stablehlo.broadcast_in_dim(x, (2, 3), []), (np.array(7), i32)
    )
    np.testing.assert_array_equal(result, np.full((2, 3), 7))


@pytest.mark.parametrize("shape", [(12,), (4, 3), (2, 1, 6)])
def test_reshape(shape: tuple[int, ...]) -> None:
    result = evaluated(lambda x: stablehlo.reshape(x, shape), (NUMBERS, f64))
    np.testing.assert_array_equal(result, NUMBERS.reshape(shape))


@pytest.mark.parametrize("axis", [0, 1])
def test_concatenate(axis: int) -> None:
    parts = [NUMBERS, NUMBERS + 20, NUMBERS[:2] if axis == 0 else NUMBERS[:, :1]]
    result = evaluated(
        lambda *values: stablehlo.concatenate(values, axis),
        *((part, f64) for part in parts),
    )
    np.testing.assert_array_equal(result, np.concatenate(parts, axis))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("element", [i32, i8, f32], ids=str)
def test_iota(element: Attribute, axis: int) -> None:
    result = evaluated(lambda: stablehlo.iota(element, (3, 4), axis))
    assert result.dtype == stablehlo.dtype_of(element)
    np.testing.assert_array_equal(result, np.indices((3, 4))[axis])


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (1, 3), (2, 2), (3, 4)])
def test_slice_columns(start: int, stop: int) -> None:
    result = evaluated(
        lambda x: stablehlo.slice_columns(x, start, stop), (NUMBERS, f64)
    )
    np.testing.assert_array_equal(result, NUMBERS[:, start:stop])


@settings(max_examples=30)  # each is compiled
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    npst.arrays(np.int32, st.integers(0, 5), elements=st.integers(0, 3)),
)
def test_gather_columns(batch: int, sites: int, columns: Array) -> None:
    columns = columns % sites
    x = np.arange(batch * sites).reshape(batch, sites)
    result = evaluated(stablehlo.gather_columns, (x, i8), (columns, i32))
    np.testing.assert_array_equal(result, x[:, columns])


@settings(max_examples=30)  # each is compiled
@given(
    st.integers(1, 4),
    npst.arrays(
        np.int32,
        npst.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.integers(0, 3),
    ),
)
def test_gather_columns_of_each_sample(sites: int, columns: Array) -> None:
    columns = columns % sites
    x = np.arange(len(columns) * sites).reshape(-1, sites)
    result = evaluated(stablehlo.gather_columns, (x, i8), (columns, i32))
    np.testing.assert_array_equal(result, np.take_along_axis(x, columns, axis=1))


def test_every_constructor_is_public() -> None:
    public = set(stablehlo.__all__)
    written = {
        name
        for name, value in vars(stablehlo).items()
        if getattr(value, "__module__", None) == stablehlo.__name__
        and not name.startswith("_")
        and callable(value)
    }
    assert written <= public


# endregion
# region Effects


def elementwise() -> list[Operation]:
    a = stablehlo.constant([1.0, 2.0], f64)
    b = stablehlo.constant([3.0, 4.0], f64)
    x, y = a.output, b.output
    p = stablehlo.compare("LT", x, y)
    q: SSAValue = p.result
    return [
        a,
        b,
        p,
        stablehlo.AddOp(x, y),
        stablehlo.SubtractOp(x, y),
        stablehlo.MultiplyOp(x, y),
        stablehlo.DivideOp(x, y),
        stablehlo.PowerOp(x, y),
        stablehlo.NegateOp(x),
        stablehlo.AbsOp(x),
        stablehlo.SqrtOp(x),
        stablehlo.AndOp(q, q),
        stablehlo.OrOp(q, q),
        stablehlo.XorOp(q, q),
        stablehlo.NotOp(q),
        stablehlo.select(q, x, y),
        stablehlo.convert(x, f32),
    ]


def test_dead_arithmetic_is_eliminated() -> None:
    module = ModuleOp(elementwise())
    module.verify()
    DeadCodeElimination().apply(Context(), module)
    assert list(module.body.block.ops) == []


def test_equal_arithmetic_is_merged() -> None:
    ops = [*elementwise(), *elementwise()]
    sink = AnyOp(operands=[value for op in ops for value in op.results])
    module = ModuleOp([*ops, sink])
    module.verify()
    CommonSubexpressionElimination().apply(Context(), module)
    module.verify()
    names = [op.name for op in module.body.block.ops]
    assert names == [op.name for op in elementwise()] + ["test.op"]


# endregion
