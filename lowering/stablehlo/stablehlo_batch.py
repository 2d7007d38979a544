"""`stablehlo-batch{function=f size=16}`: a function of one x is one of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    DenseArrayBase,
    IntegerAttr,
    ModuleOp,
    TensorType,
    UnrealizedConversionCastOp,
    UnregisteredOp,
    i64,
)
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import DotAttr

from dialects import chlo
from dialects.stablehlo import (
    ELEMENTWISE,
    as_dims,
    broadcast_in_dim,
    compare,
    concatenate,
    constant,
    dense,
    element_of,
    reshape,
    select,
    shape_of,
    tensor,
    to_numpy,
)
from dialects.stablehlo_ops import ConvolutionOp
from lowering.relations import Relation
from lowering.rewriting import FirstPattern, Inserter

Values = list[SSAValue]
Rule = Callable[[Inserter, Operation, int, Values, list[bool]], Values]
"""Batched results of an op, of its operands, each batched or as it was."""


def batch_function(function: FuncOp, size: int, arguments: Sequence[int]) -> None:
    """Give some arguments of a function, and its results, a leading axis.

    The function of arguments (size, ..) returns (size, ..): what it returned of each.

    Raises:
        PassFailedException: for an op that has no batching rule.
    """
    batch_region(function.body, size, arguments)
    function.update_function_type()


def batch_region(
    region: Region,
    size: int,
    arguments: Sequence[int],
    results: Sequence[int] | None = None,
) -> None:
    """Give some arguments of a region, and what it returns, a leading axis.

    All that it returns, or some results, if others are the same for all.

    Raises:
        PassFailedException: for an op that has no batching rule.
    """
    block = region.block
    while (choice := _choice_of_elements(region, arguments)) is not None:
        _choose_elements(choice)
    start = InsertPoint.at_start(block)
    for argument in [block.args[number] for number in arguments]:
        old = cast(TensorType[Attribute], argument.type)
        wide = Rewriter.replace_value_with_new_type(argument, _batched(old, size))
        one = _cast(wide, old)
        wide.replace_all_uses_with(one.results[0])
        one.operands[0] = wide
        Rewriter.insert_op(one, start)
    patterns = _BatchReturn(size), _BatchBranches(size), _BatchOp(size)
    first = FirstPattern(*patterns, dce=False)
    PatternRewriteWalker(first, apply_recursively=False).rewrite_region(region)
    end = block.last_op
    assert end is not None
    _return_batches(end, size, results)
    _erase_casts(region)


def _return_batches(
    end: Operation, size: int, results: Sequence[int] | None = None
) -> None:
    """Return batches, also of what does not depend on what was batched."""
    insert = Inserter.before(end)
    both = enumerate(zip(*_inputs(end.operands), strict=True))
    values = [
        _wide(insert, value, is_batched, size)
        if results is None or number in results
        else value
        for number, (value, is_batched) in both
    ]
    Rewriter.replace_op(end, type(end).create(operands=values))


def _erase_casts(region: Region) -> None:
    """Erase the casts of a region, whose results nothing uses any more."""
    casts = [op for op in region.walk() if isinstance(op, UnrealizedConversionCastOp)]
    for op in reversed(casts):
        user = next((use.operation for use in op.results[0].uses), None)
        if user is not None:
            raise PassFailedException(f"'{_name_of(user)}' has no batching rule")
        Rewriter.erase_op(op)


def _batched(kind: TensorType[Attribute], size: int) -> TensorType[Attribute]:
    return tensor(kind.element_type, (size, *kind.get_shape()))


def _cast(value: SSAValue, kind: Attribute) -> Operation:
    # By `get`, which looks at what it is given, batching takes a fifth longer
    return UnrealizedConversionCastOp.create(operands=[value], result_types=[kind])


def _origin(value: SSAValue) -> SSAValue | None:
    """Return the batched value that one of a single x is cast from, or None."""
    owner = value.owner
    is_cast = isinstance(owner, UnrealizedConversionCastOp)
    return owner.operands[0] if is_cast else None


def _inputs(operands: Sequence[SSAValue]) -> tuple[Values, list[bool]]:
    origins = [_origin(value) for value in operands]
    values = [
        value if origin is None else origin
        for value, origin in zip(operands, origins, strict=True)
    ]
    return values, [origin is not None for origin in origins]


def _wide(insert: Inserter, value: SSAValue, is_batched: bool, size: int) -> SSAValue:
    """Return a value with a leading axis, the same for all of the batch if need be."""
    if is_batched:
        return value
    shape = shape_of(value)
    dims = range(1, len(shape) + 1)
    return insert.add(broadcast_in_dim(value, (size, *shape), list(dims)))


@dataclass
class _BatchOp(RewritePattern):
    """Compute an op for all of the batch.

    ```mlir
    %y = builtin.unrealized_conversion_cast %ys : tensor<4x3xf64> to tensor<3xf64>
    %z = stablehlo.negate %y : tensor<3xf64>
    ```
    becomes
    ```mlir
    %zs = stablehlo.negate %ys : tensor<4x3xf64>
    %z = builtin.unrealized_conversion_cast %zs : tensor<4x3xf64> to tensor<3xf64>
    ```
    """

    size: int

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        rule = _rule_of(op)
        if rule is None or not any(map(_origin, op.operands)):
            return
        values, batched = _inputs(op.operands)
        insert = Inserter(rewriter, op.location)
        results = rule(insert, op, self.size, values, batched)
        for new, old in zip(results, op.results, strict=True):
            new.name_hint = old.name_hint
        casts = [
            insert.add(_cast(new, old.type))
            for new, old in zip(results, op.results, strict=True)
        ]
        rewriter.replace(op, [], casts)


@dataclass
class _BatchBranches(RewritePattern):
    """Let the branches of a choice that is the same for all return batches.

    ```mlir
    %z = "stablehlo.case"(%n) ({ stablehlo.return %y : tensor<3xf64> }, ..)
    ```
    becomes, where `%y` is a cast of a batch,
    ```mlir
    %zs = "stablehlo.case"(%n) ({ stablehlo.return %ys : tensor<4x3xf64> }, ..)
    %z = builtin.unrealized_conversion_cast %zs : tensor<4x3xf64> to tensor<3xf64>
    ```
    """

    size: int

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if not isinstance(op, hlo.CaseOp | hlo.IfOp) or _origin(op.operands[0]):
            return
        inner = (one for region in op.regions for one in region.walk())
        if not any(_origin(value) for one in inner for value in one.operands):
            return
        kinds = [cast(TensorType[Attribute], one.type) for one in op.results]
        regions = [op.detach_region(region) for region in list(op.regions)]
        new = type(op).create(
            operands=list(op.operands),
            result_types=[_batched(kind, self.size) for kind in kinds],
            properties=op.properties,
            attributes=op.attributes,
            regions=regions,
        )
        casts = [
            _cast(value, kind) for value, kind in zip(new.results, kinds, strict=True)
        ]
        rewriter.replace(op, [new, *casts], [one.results[0] for one in casts])


@dataclass
class _BatchReturn(RewritePattern):
    """Return batches from the branches of a choice that returns batches.

    ```mlir
    %y = builtin.unrealized_conversion_cast %ys : tensor<4x3xf64> to tensor<3xf64>
    stablehlo.return %y : tensor<3xf64>
    ```
    becomes
    ```mlir
    stablehlo.return %ys : tensor<4x3xf64>
    ```
    """

    size: int

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: hlo.ReturnOp, rewriter: PatternRewriter) -> None:
        parent = op.parent_op()
        if not isinstance(parent, hlo.CaseOp | hlo.IfOp):
            return
        if [value.type for value in op.operands] != list(parent.result_types):
            rewriter.has_done_action = True
            _return_batches(op, self.size)


def _choice_of_elements(
    region: Region, arguments: Sequence[int]
) -> hlo.CaseOp | hlo.IfOp | None:
    """Return a choice that differs within the batch, None where there is none."""
    args = region.block.args
    varied: set[SSAValue] = {args[number] for number in arguments}
    for op in region.walk():
        if isinstance(op, hlo.CaseOp | hlo.IfOp) and op.operands[0] in varied:
            return op
        if any(value in varied for one in op.walk() for value in one.operands):
            varied.update(op.results)
    return None


def _choose_elements(op: hlo.CaseOp | hlo.IfOp) -> None:
    """Compute all branches of a choice, and choose among their results.

    ```mlir
    %z = "stablehlo.case"(%n) ({ stablehlo.return %a : tensor<3xf64> },
                               { stablehlo.return %b : tensor<3xf64> })
    ```
    becomes
    ```mlir
    %first = stablehlo.compare EQ, %n, %zero : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %z = stablehlo.select %first, %a, %b : tensor<i1>, tensor<3xf64>
    ```
    """
    number = op.operands[0]
    found: list[Values] = []
    for region in op.regions:
        end = region.block.last_op
        assert end is not None
        found.append(list(end.operands))
        Rewriter.erase_op(end)
        Rewriter.inline_block(region.block, InsertPoint.before(op))
    insert = Inserter.before(op)
    *others, results = found
    for place, values in reversed(list(enumerate(others))):
        chosen = number
        if isinstance(op, hlo.CaseOp):
            own = insert.add(constant(place, element_of(number)))
            chosen = insert.add(compare("EQ", number, own))
        pairs = zip(values, results, strict=True)
        results = [insert.add(select(chosen, *pair)) for pair in pairs]
    Rewriter.replace_op(op, [], results)


# region Rules


def _again(op: Operation, operands: Values, shape: Sequence[int], **properties: Any):
    """Return an op with other operands, a result of a shape, and some properties."""
    return _copied(op, operands, [tensor(element_of(op.results[0]), shape)], properties)


def _each(
    insert: Inserter, op: Operation, operands: Values, size: int, **properties: Any
) -> Values:
    """Insert an op with other operands and properties, whose results are batches."""
    kinds = [
        _batched(cast(TensorType[Attribute], one.type), size) for one in op.results
    ]
    new = _copied(op, operands, kinds, properties)
    insert.add_op(new)
    return list(new.results)


def _copied(
    op: Operation,
    operands: Values,
    kinds: Sequence[Attribute],
    properties: dict[str, Any],
) -> Operation:
    return type(op).create(
        operands=operands,
        result_types=kinds,
        properties={**op.properties, **properties},
        attributes=op.attributes,
        regions=[region.clone() for region in op.regions],
    )


def _all_wide(
    insert: Inserter, values: Values, batched: list[bool], size: int
) -> Values:
    pairs = zip(values, batched, strict=True)
    return [_wide(insert, value, own, size) for value, own in pairs]


def _numbers(values: Any) -> list[int]:
    return list(values.get_values())


def _dims(attribute: Any) -> list[int]:
    return [dim.value.data for dim in attribute]


def _array(values: Sequence[int]) -> DenseArrayBase:
    return DenseArrayBase.from_list(i64, list(values))


def _elementwise(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    shape = shape_of(op.results[0])
    wide: Values = []
    for value, own in zip(values, batched, strict=True):
        rank = len(shape_of(value)) - own
        if rank == len(shape):
            wide.append(_wide(insert, value, own, size))
        else:  # the predicate of a choice, the bounds of a clamp
            dims = [0] if own else []
            wide.append(insert.add(broadcast_in_dim(value, (size, *shape), dims)))
    return [insert.add(_again(op, wide, (size, *shape)))]


def _broadcast(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    assert isinstance(op, hlo.BroadcastInDimOp)
    dims = [0, *(dim + 1 for dim in _numbers(op.broadcast_dimensions))]
    shape = (size, *shape_of(op.result))
    return [insert.add(broadcast_in_dim(values[0], shape, dims))]


def _reshape(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    return [insert.add(reshape(values[0], (size, *shape_of(op.results[0]))))]


def _transpose(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    assert isinstance(op, hlo.TransposeOp)
    order = [0, *(axis + 1 for axis in _numbers(op.permutation))]
    return [insert.add(transposed(values[0], order))]


def transposed(value: SSAValue, order: Sequence[int]) -> hlo.TransposeOp:
    """Build a transpose: axis k of the result is axis `order[k]` of the value."""
    shape = shape_of(value)
    return hlo.TransposeOp.create(
        operands=[value],
        result_types=[tensor(element_of(value), [shape[axis] for axis in order])],
        properties={"permutation": _array(order)},
    )


def _reduce(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    assert isinstance(op, hlo.ReduceOp)
    count = len(op.inputs)
    if any(batched[count:]):
        raise PassFailedException("'stablehlo.reduce' from values that differ")
    wide = _all_wide(insert, values[:count], batched[:count], size)
    axes = _array([axis + 1 for axis in _numbers(op.dimensions)])
    return _each(insert, op, [*wide, *values[count:]], size, dimensions=axes)


def _dot(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """The axis is one of batching, or of one factor and then moved to the front."""
    assert isinstance(op, hlo.DotGeneralOp)
    numbers = op.dot_dimension_numbers
    left, right = batched
    sides = [
        [axis + own for axis in _dims(axes)]
        for axes, own in (
            (numbers.lhs_batching_dimensions, left),
            (numbers.rhs_batching_dimensions, right),
            (numbers.lhs_contracting_dimensions, left),
            (numbers.rhs_contracting_dimensions, right),
        )
    ]
    shape = list(shape_of(op.results[0]))
    place = 0
    if left and right:
        sides[0].insert(0, 0)
        sides[1].insert(0, 0)
    elif left:
        place = len(sides[0])
    else:
        place = len(shape_of(values[0])) - len(sides[2])
    shape.insert(place, size)
    kept = DotAttr(*map(as_dims, sides))
    found = insert.add(_again(op, values, shape, dot_dimension_numbers=kept))
    if place == 0:
        return [found]
    order = [place, *(axis for axis in range(len(shape)) if axis != place)]
    return [insert.add(transposed(found, order))]


def _concatenate(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    assert isinstance(op, hlo.ConcatenateOp)
    wide = _all_wide(insert, values, batched, size)
    return [insert.add(concatenate(wide, op.dimension.value.data + 1))]


def _slice(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    assert isinstance(op, hlo.SliceOp)
    bounds = {
        "start_indices": _array([0, *_numbers(op.start_indices)]),
        "limit_indices": _array([size, *_numbers(op.limit_indices)]),
        "strides": _array([1, *_numbers(op.strides)]),
    }
    shape = (size, *shape_of(op.results[0]))
    return [insert.add(_again(op, values, shape, **bounds))]


def _pad(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """Where paddings differ they are chosen where one of ones is not 1."""
    names = ("edge_padding_low", "edge_padding_high", "interior_padding")
    sides = {name: _array([0, *_numbers(op.properties[name])]) for name in names}
    value, padding = values
    value = _wide(insert, value, batched[0], size)
    shape = (size, *shape_of(op.results[0]))
    if not batched[1]:
        return [insert.add(_again(op, [value, padding], shape, **sides))]
    element = element_of(value)
    zero, one = insert.add(constant(0, element)), insert.add(constant(1, element))
    padded = insert.add(_again(op, [value, zero], shape, **sides))
    ones = insert.add(broadcast_in_dim(one, shape_of(value), []))
    inside = insert.add(_again(op, [ones, zero], shape, **sides))
    one = insert.add(broadcast_in_dim(one, shape, []))
    inside = insert.add(compare("EQ", inside, one))
    padding = insert.add(broadcast_in_dim(padding, shape, [0]))
    return [insert.add(select(inside, padded, padding))]


def _dynamic_slice(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """A slice at one place is one of all; at places that differ it is a gather."""
    assert isinstance(op, hlo.DynamicSliceOp)
    sizes = _numbers(op.slice_sizes)
    if not any(batched[1:]):
        zero = insert.add(_zero(element_of(values[1])))
        operands = [values[0], zero, *values[1:]]
        kept = _array([size, *sizes])
        return [insert.add(_again(op, operands, (size, *sizes), slice_sizes=kept))]
    own = batched[0]
    shape = shape_of(values[0])[own:]
    # A slice of a whole axis starts at its beginning, wherever it is said to
    moving = [axis for axis, length in enumerate(sizes) if length < shape[axis]]
    columns = [
        insert.add(
            reshape(_wide(insert, values[1 + axis], batched[1 + axis], size), (size, 1))
        )
        for axis in moving
    ]
    if not columns:
        return [_wide(insert, values[0], own, size)]
    starts = columns[0] if len(columns) == 1 else insert.add(concatenate(columns, 1))
    numbers = hlo.GatherDimensionNumbers(
        as_dims(range(1, len(sizes) + 1)),
        as_dims([]),
        as_dims([0] if own else []),
        as_dims([0] if own else []),
        as_dims([axis + own for axis in moving]),
        IntegerAttr(1, i64),
    )
    gathered = hlo.GatherOp.create(
        operands=[values[0], starts],
        result_types=[tensor(element_of(values[0]), (size, *sizes))],
        properties={
            "dimension_numbers": numbers,
            "slice_sizes": _array([*([1] if own else []), *sizes]),
        },
    )
    return [insert.add(gathered)]


def _zero(element: Attribute) -> Operation:
    """Build the number 0."""
    return constant(0, element)


def _gather(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    assert isinstance(op, hlo.GatherOp)
    numbers = op.dimension_numbers
    own, moving = batched
    offsets = [dim + 1 for dim in _dims(numbers.offset_dims)]
    pairs = (
        _dims(numbers.operand_batching_dims),
        _dims(numbers.start_indices_batching_dims),
    )
    operand_batching = [dim + own for dim in pairs[0]]
    starts_batching = [dim + moving for dim in pairs[1]]
    sizes = _numbers(op.slice_sizes)
    if own and moving:
        operand_batching.insert(0, 0)
        starts_batching.insert(0, 0)
        sizes.insert(0, 1)
    elif own:
        offsets.insert(0, 0)
        sizes.insert(0, size)
    new = hlo.GatherDimensionNumbers(
        as_dims(offsets),
        as_dims([dim + own for dim in _dims(numbers.collapsed_slice_dims)]),
        as_dims(operand_batching),
        as_dims(starts_batching),
        as_dims([dim + own for dim in _dims(numbers.start_index_map)]),
        IntegerAttr(numbers.index_vector_dim.value.data + moving, i64),
    )
    return [
        insert.add(
            _again(
                op,
                values,
                (size, *shape_of(op.results[0])),
                dimension_numbers=new,
                slice_sizes=_array(sizes),
            )
        )
    ]


def _convolution(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """The images of all x are one batch of images; of each kernel they are a group."""
    assert isinstance(op, ConvolutionOp)
    if op.batch_group_count.value.data > 1:
        raise PassFailedException("'stablehlo.convolution' of groups of images")
    image, kernel, result = op.dimension_numbers.labels
    if not batched[1]:
        joined = _join(insert, values[0], image.index("b"))
        return [_apart(insert, op, [joined, values[1]], result.index("b"), size)]
    groups = op.feature_group_count
    many = IntegerAttr(groups.value.data * size, groups.type)
    wide = _wide(insert, values[0], batched[0], size)
    operands = [
        _join(insert, wide, image.index("f")),
        _join(insert, values[1], kernel.index("o")),
    ]
    place = result.index("f")
    return [_apart(insert, op, operands, place, size, feature_group_count=many)]


def _join(insert: Inserter, value: SSAValue, axis: int) -> SSAValue:
    """Join the leading axis with another one of what is behind it."""
    size, *shape = shape_of(value)
    order = [*(one + 1 for one in range(axis)), 0, *range(axis + 1, len(shape) + 1)]
    shape[axis] *= size
    return insert.add(reshape(insert.add(transposed(value, order)), shape))


def _apart(
    insert: Inserter,
    op: Operation,
    operands: Values,
    axis: int,
    size: int,
    **properties: Any,
) -> SSAValue:
    """Insert an op whose result has the batch in one of its axes; take it apart."""
    shape = list(shape_of(op.results[0]))
    apart = [*shape[:axis], size, *shape[axis:]]
    shape[axis] *= size
    found = insert.add(_again(op, operands, shape, **properties))
    found = insert.add(reshape(found, apart))
    order = [axis, *(one for one in range(len(apart)) if one != axis)]
    return insert.add(transposed(found, order))


def _in_front(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """Batch an op that works on the last axes of its operand alone."""
    return _each(insert, op, values, size)


def _reverse(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    axes = [axis + 1 for axis in _numbers(op.properties["dimensions"])]
    return _each(insert, op, values, size, dimensions=_array(axes))


def _sort(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    axis = cast(Any, op.properties["dimension"])
    moved = IntegerAttr(axis.value.data + 1, axis.type)
    wide = _all_wide(insert, values, batched, size)
    return _each(insert, op, wide, size, dimension=moved)


def _reduce_window(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    count = len(values) // 2
    if any(batched[count:]):
        raise PassFailedException("'stablehlo.reduce_window' from values that differ")
    names = ("window_dimensions", "window_strides", "base_dilations")
    lengths = {
        name: _array([1, *_numbers(op.properties[name])])
        for name in (*names, "window_dilations")
    }
    padding = to_numpy(cast(Any, op.properties["padding"]))
    sides = dense(np.concatenate([np.zeros((1, 2), np.int64), padding]), i64)
    wide = _all_wide(insert, values[:count], batched[:count], size)
    return _each(insert, op, [*wide, *values[count:]], size, **lengths, padding=sides)


def _scatter(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    numbers = cast(Any, op.properties["scatter_dimension_numbers"])

    def moved(name: str, *first: int) -> Any:
        return as_dims([*first, *(dim + 1 for dim in _dims(getattr(numbers, name)))])

    new = hlo.ScatterDimensionNumbers(
        moved("update_window_dims"),
        moved("inserted_window_dims"),
        moved("input_batching_dims", 0),
        moved("scatter_indices_batching_dims", 0),
        moved("scatter_dims_to_operand_dims"),
        IntegerAttr(numbers.index_vector_dim.value.data + 1, i64),
    )
    wide = _all_wide(insert, values, batched, size)
    return _each(insert, op, wide, size, scatter_dimension_numbers=new)


def _dynamic_update_slice(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """An update at one place is one of all; at places that differ it is a scatter."""
    value, update, *starts = values
    wide = _all_wide(insert, [value, update], batched[:2], size)
    if not any(batched[2:]):
        zero = insert.add(_zero(element_of(starts[0])))
        return _each(insert, op, [*wide, zero, *starts], size)
    room = np.subtract(shape_of(wide[0]), shape_of(wide[1]))[1:]
    columns = [
        insert.add(reshape(_wide(insert, start, own, size), (size, 1)))
        for start, own in zip(starts, batched[2:], strict=True)
    ]
    index, kind = insert.add(concatenate(columns, 1)), element_of(starts[0])
    for bound, within in ((room * 0, hlo.MaximumOp), (room, hlo.MinimumOp)):
        bounds = insert.add(constant(bound, kind))
        bounds = insert.add(broadcast_in_dim(bounds, (size, len(room)), [1]))
        index = insert.add(within(index, bounds))
    axes = range(1, len(room) + 1)
    numbers = hlo.ScatterDimensionNumbers(
        as_dims(axes),
        as_dims([]),
        as_dims([0]),
        as_dims([0]),
        as_dims(axes),
        IntegerAttr(1, i64),
    )
    block = Block(arg_types=[tensor(element_of(value))] * 2)
    block.add_op(hlo.ReturnOp([block.args[1]]))
    scattered = hlo.ScatterOp.create(
        operands=[wide[0], index, wide[1]],
        result_types=[wide[0].type],
        properties={"scatter_dimension_numbers": numbers},
        regions=[Region(block)],
    )
    return [insert.add(scattered)]


def _while(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """Batch what a loop carries, all but how many turns it takes."""
    condition, body = (region.clone() for region in op.regions)
    varied = {number for number, one in enumerate(batched) if one}
    while more := _following(body, varied):
        varied |= more
    assert not any(condition.block.args[number].uses for number in varied)
    batch_region(body, size, sorted(varied), sorted(varied))
    for number in varied:
        argument = condition.block.args[number]
        kind = _batched(cast(TensorType[Attribute], argument.type), size)
        Rewriter.replace_value_with_new_type(argument, kind)
    wide = [
        _wide(insert, value, is_batched, size) if number in varied else value
        for number, (value, is_batched) in enumerate(zip(values, batched, strict=True))
    ]
    new = type(op).create(
        operands=wide,
        result_types=[one.type for one in wide],
        attributes=op.attributes,
        regions=[condition, body],
    )
    insert.add_op(new)
    return [
        value if number in varied else _wide(insert, value, False, size)
        for number, value in enumerate(new.results)
    ]


def _is_counted(op: Operation) -> bool:
    """Whether how many turns a loop takes is said by constants alone."""
    condition, body = op.regions
    counted = [number for number, one in enumerate(condition.block.args) if one.uses]
    end = body.block.last_op
    assert end is not None
    known = {body.block.args[number] for number in counted}
    known |= {one for one in op.operands if isinstance(one.owner, hlo.ConstantOp)}
    for inner in body.block.ops:
        if not inner.regions and all(value in known for value in inner.operands):
            known.update(inner.results)
    outside = [one for of in condition.walk() for one in of.operands]
    outside = [one for one in outside if not _is_inside(one, condition)]
    return all(isinstance(one.owner, hlo.ConstantOp) for one in outside) and all(
        op.operands[number] in known and end.operands[number] in known
        for number in counted
    )


def _is_inside(value: SSAValue, region: Region) -> bool:
    block = value.owner if isinstance(value.owner, Block) else value.owner.parent
    return block is region.block


def _following(body: Region, varied: set[int]) -> set[int]:
    """Return what else a body returns batches of, given some of its arguments."""
    found: set[SSAValue] = {body.block.args[number] for number in varied}
    for op in body.walk():
        if any(value in found or _origin(value) for value in op.operands):
            found.update(op.results)
    end = body.block.last_op
    assert end is not None
    return {n for n, value in enumerate(end.operands) if value in found} - varied


def _call(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """Call the function of so many: of `@f` that is `@f.64`, which has to be there."""
    assert isinstance(op, CallOp)
    kinds = [tensor(element_of(one), (size, *shape_of(one))) for one in op.results]
    call = CallOp(f"{op.callee.string_value()}.{size}", values, kinds)
    insert.add_op(call)
    return list(call.results)


RULES: dict[str, Rule] = {
    "func.call": _call,
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **{f"chlo.{name}": _elementwise for name in chlo.NAMES},
    **{
        f"stablehlo.{name}": _elementwise
        for name in (
            *("bitcast_convert", "optimization_barrier", "popcnt"),
            "reduce_precision",
        )
    },
    "chlo.top_k": _in_front,
    "stablehlo.broadcast_in_dim": _broadcast,
    "stablehlo.concatenate": _concatenate,
    "stablehlo.convolution": _convolution,
    "stablehlo.dot_general": _dot,
    "stablehlo.dynamic_slice": _dynamic_slice,
    "stablehlo.dynamic_update_slice": _dynamic_update_slice,
    "stablehlo.fft": _in_front,
    "stablehlo.gather": _gather,
    "stablehlo.pad": _pad,
    "stablehlo.reduce": _reduce,
    "stablehlo.reduce_window": _reduce_window,
    "stablehlo.reshape": _reshape,
    "stablehlo.reverse": _reverse,
    "stablehlo.scatter": _scatter,
    "stablehlo.slice": _slice,
    "stablehlo.sort": _sort,
    "stablehlo.transpose": _transpose,
    "stablehlo.while": _while,
}
"""Batching rules by the name of an op; constants and the like have no operands."""


def _rule_of(op: Operation) -> Rule | None:
    return RULES.get(_name_of(op))


def _name_of(op: Operation) -> str:
    return op.op_name.data if isinstance(op, UnregisteredOp) else op.name


_WITHOUT_RULE = (hlo.CaseOp, hlo.ConstantOp, hlo.IfOp, hlo.IotaOp, hlo.ReturnOp)
"""Ops that patterns batch, or that are the same for all."""


def unbatched_op(function: FuncOp) -> str | None:
    """Return the name of an op that has no batching rule, None where all have one.

    It may be one that is the same for all x: over parameters it may differ, and it may
    be a call of what only JAX links.
    """
    for op in function.body.walk():
        known = isinstance(op, (ReturnOp, *_WITHOUT_RULE))
        is_varied = isinstance(op, hlo.WhileOp) and not _is_counted(op)
        if is_varied or (not known and _rule_of(op) is None):
            return _name_of(op)
    return None


# endregion


@dataclass(frozen=True)
class StablehloBatchPass(ModulePass):
    """Give arguments and results of functions a leading axis.

    Attributes:
        function: the name of the function.
        size: the length of the axis.
        arguments: the numbers of the arguments that have it; the last one by default.
    """

    name = "stablehlo-batch"
    relation: ClassVar[Relation] = Relation.EQUAL

    function: str
    size: int
    arguments: tuple[int, ...] = ()

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in op.walk():
            named = isinstance(function, FuncOp)
            if named and function.sym_name.data == self.function:
                last = len(function.body.block.args) - 1
                batch_function(function, self.size, self.arguments or (last,))
