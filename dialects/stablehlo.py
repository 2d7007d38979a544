"""StableHLO, the scalar mathematics of every level.

The ops come from xdsl-jax, and those that it lacks from `dialects.stablehlo_ops`. Here
are constants as NumPy arrays, and short constructors for the ops that have none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import (
    I64,
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
from xdsl.ir import (
    Attribute,
    Block,
    Dialect,
    Operation,
    Region,
    SSAValue,
    TypeAttribute,
)
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
    DotGeneralOp,
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
from xdsl_jax.dialects.stablehlo.attributes import (
    ComparisonDirection,
    DotAttr,
    Precision,
    PrecisionAttr,
)

from dialects import stablehlo_ops as _own

_upstream_ops = {op.name: op for op in _upstream.StableHLO.operations}
StableHLO = Dialect(
    _upstream.StableHLO.name,
    [*(_upstream_ops | {op.name: op for op in _own.OPS}).values()],
    [*_upstream.StableHLO.attributes, *_own.ATTRIBUTES],
)

__all__ = [
    "ELEMENTWISE",
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
    "as_dims",
    "broadcast_in_dim",
    "combiner_of",
    "compare",
    "concatenate",
    "constant",
    "constant_of",
    "convert",
    "dense",
    "dot",
    "dtype_of",
    "element_of",
    "element_of_dtype",
    "gather_columns",
    "gather_rows",
    "iota",
    "reduce",
    "reduce_each",
    "reshape",
    "select",
    "shape_of",
    "slice_columns",
    "tensor",
    "to_numpy",
    "type_error",
]

ELEMENTWISE = frozenset(
    f"stablehlo.{name}"
    for name in (
        *("abs", "add", "and", "atan2", "cbrt", "ceil", "clamp", "compare", "complex"),
        *("constant", "convert", "cosine", "divide", "exponential"),
        *("exponential_minus_one", "floor", "imag", "is_finite", "log", "log_plus_one"),
        *("logistic", "maximum", "minimum", "multiply", "negate", "not", "or", "power"),
        *("real", "remainder", "round_nearest_afz", "round_nearest_even", "rsqrt"),
        *("select", "shift_left", "shift_right_arithmetic", "shift_right_logical"),
        *("sign", "sine", "sqrt", "subtract", "tan", "tanh", "xor"),
    )
)
"""What a term may compute. Ops on the bits of floats are not among them: their result
depends on the precision, which the compiler may change."""

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


def element_of_dtype(dtype: npt.DTypeLike) -> Attribute:
    """Return the element type of arrays of a dtype."""
    own = np.dtype(dtype)
    names = {"bfloat16": BFloat16Type(), "float16": Float16Type()}
    found = names.get(own.name) or next(
        (
            kind
            for kind, one in _DTYPES.items()
            if np.dtype(one) == own and kind not in names.values()
        ),
        None,
    )
    if found is None:
        raise TypeError(f"no tensors are of {own}")
    return found


def tensor(element: Attribute, shape: Sequence[int] = ()) -> TensorType[Attribute]:
    """Return the tensor type of an element type and a shape (0-d by default)."""
    return _tensor(element, tuple(map(int, shape)))


@lru_cache(1 << 12)
def _tensor(element: Attribute, shape: tuple[int, ...]) -> TensorType[Attribute]:
    return TensorType(cast(TypeAttribute, element), shape)


def element_of(value: SSAValue) -> Attribute:
    """Return the element type of a tensor."""
    return cast(TensorType[Attribute], value.type).element_type


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


def dot(lhs: SSAValue, rhs: SSAValue) -> Operation:
    """Return the product of two matrices, in the full precision of their type.

    Axes before the last two are those of many of them. By default accelerators round
    the factors of f32 to fewer bits.
    """
    full = PrecisionAttr(Precision.HIGHEST)
    shape = *shape_of(lhs)[:-1], shape_of(rhs)[-1]
    many, last = range(len(shape) - 2), len(shape) - 1
    axes = many, many, [last], [last - 1]
    return DotGeneralOp.create(
        operands=[lhs, rhs],
        result_types=[tensor(element_of(lhs), shape)],
        properties={
            "dot_dimension_numbers": DotAttr(*map(as_dims, axes)),
            "precision_config": ArrayAttr([full, full]),
        },
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
    return reduce_each([value], initial, axis, combine)


def reduce_each(
    values: Sequence[SSAValue],
    initial: SSAValue,
    axis: int,
    combine: Callable[[SSAValue, SSAValue], Operation],
) -> ReduceOp:
    """Build one reduction of some values of one type, each combined by itself."""
    shape = shape_of(values[0])
    element = cast(TensorType[Attribute], values[0].type).element_type
    count = len(values)
    block = Block(arg_types=[tensor(element)] * (2 * count))
    pairs = zip(block.args[:count], block.args[count:], strict=True)
    combined = [combine(*pair) for pair in pairs]
    block.add_ops([*combined, ReturnOp([one.results[0] for one in combined])])
    kind = tensor(element, (*shape[:axis], *shape[axis + 1 :]))
    return ReduceOp.create(
        operands=[*values, *(initial for _ in values)],
        result_types=[kind] * count,
        properties={"dimensions": DenseArrayBase.from_list(i64, [axis])},
        regions=[Region(block)],
    )


def combiner_of(op: ReduceOp) -> type[Operation] | None:
    """Return the op that a reduction combines two values with; None if it does more."""
    block = op.body.block
    ops = list(block.ops)
    if len(op.operands) != 2 or len(ops) != 2:
        return None
    first, last = ops
    if not first.results or list(last.operands) != [first.results[0]]:
        return None
    # Reductions may combine in any order: which is first does not matter
    same = len(first.operands) == 2 and set(first.operands) == set(block.args)
    return type(first) if same else None


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
        as_dims([] if per_sample else [0]),
        as_dims([1]),
        as_dims([0] if per_sample else []),
        as_dims([0] if per_sample else []),
        as_dims([1]),
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


def gather_rows(table: SSAValue, rows: SSAValue) -> GatherOp:
    """Build `table[rows]`: with the axes of the rows in place of the first."""
    shape, own = shape_of(table), shape_of(rows)
    rest = list(range(len(own), len(own) + len(shape) - 1))
    numbers = GatherDimensionNumbers(
        as_dims(rest),
        as_dims([0]),
        as_dims([]),
        as_dims([]),
        as_dims([0]),
        IntegerAttr(len(own), i64),
    )
    return GatherOp.create(
        operands=[table, rows],
        result_types=[tensor(element_of(table), (*own, *shape[1:]))],
        properties={
            "dimension_numbers": numbers,
            "slice_sizes": DenseArrayBase.from_list(i64, [1, *shape[1:]]),
        },
    )


def as_dims(values: Sequence[int]) -> ArrayAttr[IntegerAttr[I64]]:
    """Build the numbers of some axes."""
    return ArrayAttr([IntegerAttr(value, i64) for value in values])


# endregion
# region What xdsl-jax does not verify


def type_error(op: Operation) -> str | None:
    """Say what is wrong with the types of an op that xdsl-jax verifies, or None.

    It leaves out that element types agree, and the shapes that joining, slicing and
    gathering give. Ops that are not known here are right.
    """
    check = _CHECKS.get(type(op))
    return None if check is None else check(op)


def _kind(value: SSAValue) -> TensorType[Attribute]:
    return cast(TensorType[Attribute], value.type)


def _mixed(op: Operation) -> str:
    return f"'{op.name}' mixes {', '.join(str(value.type) for value in op.operands)}"


def _not_of_type(op: Operation, expected: object) -> str:
    return f"'{op.name}' has type {expected}, declared {op.results[0].type}"


def _one_type_error(op: Operation) -> str | None:
    first = op.operands[0].type
    if any(operand.type != first for operand in op.operands):
        return _mixed(op)
    return None if op.results[0].type == first else _not_of_type(op, first)


def _compare_error(op: CompareOp) -> str | None:
    return None if op.lhs.type == op.rhs.type else _mixed(op)


def _real_error(op: Operation) -> str | None:
    """Check what has the real type of its operand, complex or not."""
    real = _kind(op.operands[0]).element_type
    if isinstance(real, ComplexType):
        real = cast(Attribute, real.element_type)
    expected = tensor(real, shape_of(op.operands[0]))
    return None if op.results[0].type == expected else _not_of_type(op, expected)


def _clamp_error(op: Operation) -> str | None:
    element = _kind(op.operands[1]).element_type
    if any(_kind(operand).element_type != element for operand in op.operands):
        return _mixed(op)
    expected = op.operands[1].type
    return None if op.results[0].type == expected else _not_of_type(op, expected)


def _constant_error(op: ConstantOp) -> str | None:
    if op.output.type != op.value.type:
        return _not_of_type(op, op.value.type)
    size = op.value.get_element_type().compile_time_size
    found = len(op.value.data.data)
    if found == size * prod(op.value.get_shape()):
        return None
    return f"'{op.name}' of {op.value.type} holds {found} bytes"


def _shape_error(op: Operation, expected: tuple[int, ...]) -> str | None:
    found = shape_of(op.results[0])
    if found == expected:
        return None
    return f"'{op.name}' has shape {list(expected)}, declared {list(found)}"


def _concatenate_error(op: ConcatenateOp) -> str | None:
    axis, shapes = op.dimension.value.data, [shape_of(value) for value in op.inputs]
    if not shapes or axis >= len(shapes[0]):
        return f"'{op.name}' of {len(shapes)} operands cannot join their axis {axis}"
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rests) > 1 or len({len(shape) for shape in shapes}) > 1:
        return f"{_mixed(op)}: they differ in more than axis {axis}"
    joined = sum(shape[axis] for shape in shapes)
    return _shape_error(op, (*shapes[0][:axis], joined, *shapes[0][axis + 1 :]))


def _slice_error(op: SliceOp) -> str | None:
    shape = shape_of(op.operand)
    starts, stops = op.start_indices.get_values(), op.limit_indices.get_values()
    strides = op.strides.get_values()
    if not len(shape) == len(starts) == len(stops) == len(strides):
        return f"'{op.name}' of {op.operand.type} has {len(starts)} ranges"
    ranges = list(zip(starts, stops, strides, shape, strict=True))
    if not all(0 <= a <= b <= size and step > 0 for a, b, step, size in ranges):
        shown = ", ".join(f"{a}:{b}:{step}" for a, b, step, _ in ranges)
        return f"'{op.name}' of {op.operand.type} cannot be [{shown}]"
    return _shape_error(op, tuple(-((a - b) // step) for a, b, step, _ in ranges))


def _gather_error(op: GatherOp) -> str | None:
    """Check the rules of the specification that are about shapes."""
    numbers = op.dimension_numbers
    shape, starts = shape_of(op.operand), list(shape_of(op.start_indices))
    sizes = list(op.slice_sizes.get_values())
    offsets, collapsed, batching, starts_batching, index_map = (
        [dim.value.data for dim in dims]
        for dims in (
            numbers.offset_dims,
            numbers.collapsed_slice_dims,
            numbers.operand_batching_dims,
            numbers.start_indices_batching_dims,
            numbers.start_index_map,
        )
    )
    vector = numbers.index_vector_dim.value.data
    dropped = [*collapsed, *batching]
    if (
        len(sizes) != len(shape)
        or not 0 <= vector <= len(starts)
        or not _are_axes([*index_map, *batching], len(shape))
        or not _are_axes(dropped, len(shape))
        or not _are_axes([*starts_batching, vector], len(starts) + 1)
        or len(starts_batching) != len(batching)
        or len(index_map)
        != ([*starts, 1][vector] if vector == len(starts) else starts[vector])
        or any(not 0 <= size <= n for size, n in zip(sizes, shape, strict=True))
        or any(sizes[axis] > 1 for axis in dropped)
    ):
        return f"'{op.name}' cannot gather from {op.operand.type} by {numbers}"
    paired = zip(batching, starts_batching, strict=True)
    if any(shape[own] != starts[other] for own, other in paired):
        return f"{_mixed(op)}: their batches differ"
    rows = [n for axis, n in enumerate(starts) if axis != vector]
    slices = [n for axis, n in enumerate(sizes) if axis not in dropped]
    rank = len(rows) + len(slices)
    if len(offsets) != len(slices) or not _are_axes(offsets, rank):
        return f"'{op.name}' cannot gather from {op.operand.type} by {numbers}"
    expected = [
        slices.pop(0) if axis in offsets else rows.pop(0) for axis in range(rank)
    ]
    return _shape_error(op, tuple(expected))


def _are_axes(axes: Sequence[int], rank: int) -> bool:
    return len(set(axes)) == len(axes) and all(0 <= axis < rank for axis in axes)


_OF_OTHER_TYPES: dict[str, Callable[[Any], str | None] | None] = {
    "stablehlo.abs": _real_error,
    "stablehlo.clamp": _clamp_error,
    "stablehlo.compare": _compare_error,
    "stablehlo.concatenate": _concatenate_error,
    "stablehlo.constant": _constant_error,
    "stablehlo.gather": _gather_error,
    "stablehlo.imag": _real_error,
    "stablehlo.real": _real_error,
    "stablehlo.slice": _slice_error,
    # xdsl-jax verifies these
    "stablehlo.complex": None,
    "stablehlo.convert": None,
    "stablehlo.is_finite": None,
    "stablehlo.select": None,
}
"""Ops that are not elementwise on operands and a result of one type."""

_CHECKS: dict[type[Operation], Callable[[Any], str | None] | None] = {
    kind: _OF_OTHER_TYPES.get(kind.name, _one_type_error)
    for kind in StableHLO.operations
    if kind.name in ELEMENTWISE or kind.name in _OF_OTHER_TYPES
}

# endregion
