"""StableHLO, the scalar mathematics of every level.

The ops come from xdsl-jax; what it lacks is here: constants as NumPy arrays, and short
constructors for the ops that have none. Written so that it could go upstream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import (
    ArrayAttr,
    BFloat16Type,
    BytesAttr,
    ComplexType,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    Float16Type,
    Float32Type,
    Float64Type,
    IntegerAttr,
    IntegerType,
    Signedness,
    TensorType,
    i1,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue, TypeAttribute
from xdsl_jax.dialects import stablehlo as _upstream
from xdsl_jax.dialects.stablehlo import (
    AbsOp,
    AddOp,
    AndOp,
    BroadcastInDimOp,
    CompareOp,
    ComparisonDirectionAttr,
    ConcatenateOp,
    ConstantOp,
    ConvertOp,
    DivideOp,
    GatherDimensionNumbers,
    GatherOp,
    IotaOp,
    MultiplyOp,
    NegateOp,
    NotOp,
    OrOp,
    PowerOp,
    ReduceOp,
    ReshapeOp,
    ReturnOp,
    SelectOp,
    SliceOp,
    SqrtOp,
    SubtractOp,
    XorOp,
)
from xdsl_jax.dialects.stablehlo.attributes import ComparisonDirection

StableHLO = _upstream.StableHLO

__all__ = [
    "AbsOp",
    "AddOp",
    "AndOp",
    "BroadcastInDimOp",
    "CompareOp",
    "ConcatenateOp",
    "ConstantOp",
    "ConvertOp",
    "DivideOp",
    "GatherOp",
    "IotaOp",
    "MultiplyOp",
    "NegateOp",
    "NotOp",
    "OrOp",
    "PowerOp",
    "ReshapeOp",
    "SelectOp",
    "SliceOp",
    "SqrtOp",
    "StableHLO",
    "SubtractOp",
    "XorOp",
    "broadcast_in_dim",
    "compare",
    "concatenate",
    "constant",
    "constant_of",
    "convert",
    "dense",
    "dtype_of",
    "gather_columns",
    "iota",
    "reduce",
    "reshape",
    "select",
    "shape_of",
    "slice_columns",
    "tensor",
    "to_numpy",
]

# region Types and NumPy

_DTYPES: dict[Attribute, npt.DTypeLike] = {
    i1: np.bool_,
    **{IntegerType(8 * size): f"i{size}" for size in (1, 2, 4, 8)},
    **{IntegerType(8 * size, Signedness.UNSIGNED): f"u{size}" for size in (1, 2, 4, 8)},
    BFloat16Type(): np.float32,
    Float16Type(): np.float16,
    Float32Type(): np.float32,
    Float64Type(): np.float64,
    ComplexType(Float32Type()): np.complex64,
    ComplexType(Float64Type()): np.complex128,
}


def dtype_of(element: Attribute) -> np.dtype[Any]:
    """Return the NumPy dtype that computes with an element type.

    It is float32 for bf16, which NumPy lacks; TypeError where there is none.
    """
    if element not in _DTYPES:
        raise TypeError(f"NumPy has no dtype for {element}")
    return np.dtype(_DTYPES[element])


def tensor(element: Attribute, shape: Sequence[int] = ()) -> TensorType[Attribute]:
    """Return the tensor type of an element type and a shape (0-d by default)."""
    return TensorType(cast(TypeAttribute, element), shape)


def shape_of(value: SSAValue) -> tuple[int, ...]:
    """Return the shape of a tensor value."""
    return cast(TensorType[Attribute], value.type).get_shape()


def dense(array: npt.ArrayLike, element: Attribute) -> DenseIntOrFPElementsAttr:
    """Return a dense attribute with the values of an array."""
    values = np.asarray(array, dtype_of(element))
    kind = tensor(element, values.shape)
    if values.dtype == np.bool_:
        # like xDSL's parser, for which the one bit of `true` is a sign
        values = -values.view(np.int8)
    if isinstance(element, BFloat16Type):
        data = element.pack(cast(Any, values.ravel().tolist()))
        return DenseIntOrFPElementsAttr(cast(Any, kind), BytesAttr(data))
    return DenseIntOrFPElementsAttr(cast(Any, kind), BytesAttr(values.tobytes()))


def to_numpy(attribute: DenseIntOrFPElementsAttr) -> npt.NDArray[Any]:
    """Return the values of a dense attribute."""
    element = attribute.get_element_type()
    dtype = dtype_of(element)
    if dtype == np.bool_:
        # `true` is any byte but 0, and only 1 is a boolean of NumPy
        values = np.frombuffer(attribute.data.data, np.int8) != 0
    elif isinstance(element, BFloat16Type):
        values = np.array(attribute.get_values(), dtype)
    else:
        values = np.frombuffer(attribute.data.data, dtype)
    return values.reshape(attribute.get_shape())


def constant_of(value: SSAValue) -> npt.NDArray[Any] | None:
    """Return the array that a value is a constant of, or None."""
    owner = value.owner
    if not isinstance(owner, ConstantOp):
        return None
    return to_numpy(owner.value)


# endregion
# region Constructors


def constant(array: npt.ArrayLike, element: Attribute) -> ConstantOp:
    """Build a constant with the values of an array."""
    return ConstantOp(dense(array, element))


def compare(direction: str, lhs: SSAValue, rhs: SSAValue) -> CompareOp:
    """Build an elementwise comparison: EQ, NE, LT, LE, GT or GE."""
    return CompareOp.create(
        operands=[lhs, rhs],
        result_types=[tensor(i1, shape_of(lhs))],
        properties={
            "comparison_direction": ComparisonDirectionAttr(
                ComparisonDirection(direction)
            )
        },
    )


def select(predicate: SSAValue, on_true: SSAValue, on_false: SSAValue) -> SelectOp:
    """Build an elementwise choice."""
    return SelectOp.create(
        operands=[predicate, on_true, on_false], result_types=[on_true.type]
    )


def convert(value: SSAValue, element: Attribute) -> ConvertOp:
    """Build an elementwise conversion."""
    return ConvertOp(value, tensor(element, shape_of(value)))


def broadcast_in_dim(
    value: SSAValue, shape: Sequence[int], dims: Sequence[int]
) -> BroadcastInDimOp:
    """Build a broadcast; `dims` are the axes that the operand's become."""
    element = cast(TensorType[Attribute], value.type).element_type
    return BroadcastInDimOp.create(
        operands=[value],
        result_types=[tensor(element, shape)],
        properties={"broadcast_dimensions": DenseArrayBase.from_list(i64, dims)},
    )


def reshape(value: SSAValue, shape: Sequence[int]) -> ReshapeOp:
    """Build a reshape."""
    element = cast(TensorType[Attribute], value.type).element_type
    return ReshapeOp.create(operands=[value], result_types=[tensor(element, shape)])


def concatenate(values: Sequence[SSAValue], axis: int) -> ConcatenateOp:
    """Build a concatenation along an axis."""
    shape = list(shape_of(values[0]))
    shape[axis] = sum(shape_of(value)[axis] for value in values)
    element = cast(TensorType[Attribute], values[0].type).element_type
    return ConcatenateOp.create(
        operands=values,
        result_types=[tensor(element, shape)],
        properties={"dimension": IntegerAttr(axis, i64)},
    )


def iota(element: Attribute, shape: Sequence[int], axis: int) -> IotaOp:
    """Build a tensor that counts along an axis."""
    return IotaOp.create(
        result_types=[tensor(element, shape)],
        properties={"iota_dimension": IntegerAttr(axis, i64)},
    )


def reduce(
    value: SSAValue,
    initial: SSAValue,
    axis: int,
    combine: Callable[[SSAValue, SSAValue], Operation],
) -> ReduceOp:
    """Build a reduction along one axis with a binary op, from an initial scalar."""
    shape = shape_of(value)
    element = cast(TensorType[Attribute], value.type).element_type
    block = Block(arg_types=[tensor(element), tensor(element)])
    combined = combine(*block.args)
    block.add_ops([combined, ReturnOp([combined.results[0]])])
    return ReduceOp.create(
        operands=[value, initial],
        result_types=[tensor(element, (*shape[:axis], *shape[axis + 1 :]))],
        properties={"dimensions": DenseArrayBase.from_list(i64, [axis])},
        regions=[Region(block)],
    )


def slice_columns(value: SSAValue, start: int, stop: int) -> SliceOp:
    """Build `value[:, start:stop]` of a (B, N) tensor."""
    batch = shape_of(value)[0]
    element = cast(TensorType[Attribute], value.type).element_type
    return SliceOp.create(
        operands=[value],
        result_types=[tensor(element, (batch, stop - start))],
        properties={
            "start_indices": DenseArrayBase.from_list(i64, [0, start]),
            "limit_indices": DenseArrayBase.from_list(i64, [batch, stop]),
            "strides": DenseArrayBase.from_list(i64, [1, 1]),
        },
    )


def gather_columns(value: SSAValue, columns: SSAValue) -> GatherOp:
    """Build `value[:, columns]` of a (B, N) tensor.

    The columns are (R), the same for each row of the batch, or (B, R), one set each.
    """
    batch = shape_of(value)[0]
    per_sample = len(shape_of(columns)) == 2
    lanes = shape_of(columns)[-1]
    element = cast(TensorType[Attribute], value.type).element_type
    numbers = GatherDimensionNumbers(
        _dims([] if per_sample else [0]),
        _dims([1]),
        _dims([0] if per_sample else []),
        _dims([0] if per_sample else []),
        _dims([1]),
        IntegerAttr(len(shape_of(columns)), i64),
    )
    return GatherOp.create(
        operands=[value, columns],
        result_types=[tensor(element, (batch, lanes))],
        properties={
            "dimension_numbers": numbers,
            "slice_sizes": DenseArrayBase.from_list(
                i64, [min(batch, 1) if per_sample else batch, 1]
            ),
        },
    )


def _dims(values: Sequence[int]) -> Any:
    return ArrayAttr([IntegerAttr(value, i64) for value in values])


# endregion
