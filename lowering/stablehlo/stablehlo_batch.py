"""`stablehlo-batch{function=f size=16}`: a function of one x is one of many."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from xdsl.context import Context
from xdsl.dialects.builtin import (
    I64,
    ArrayAttr,
    DenseArrayBase,
    FunctionType,
    IntegerAttr,
    ModuleOp,
    TensorType,
    UnrealizedConversionCastOp,
    UnregisteredOp,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import DotAttr

from dialects.stablehlo import (
    ELEMENTWISE,
    broadcast_in_dim,
    compare,
    concatenate,
    constant,
    element_of,
    reshape,
    select,
    shape_of,
    tensor,
)
from lowering.relations import Relation
from lowering.rewriting import Inserter

Values = list[SSAValue]
Rule = Callable[[Inserter, Operation, int, Values, list[bool]], Values]
"""Batched results of an op, of its operands, each batched or as it was."""


def batch_function(function: FuncOp, size: int, arguments: Sequence[int]) -> None:
    """Give some arguments of a function, and its results, a leading axis.

    The function of arguments (size, ..) returns (size, ..): what it returned of each.

    Raises:
        PassFailedException: for an op that has no batching rule.
    """
    block = function.body.block
    while (choice := _choice_of_elements(function, arguments)) is not None:
        _choose_elements(choice)
    first = InsertPoint.at_start(block)
    for argument in [block.args[number] for number in arguments]:
        old = cast(TensorType[Attribute], argument.type)
        wide = Rewriter.replace_value_with_new_type(argument, _batched(old, size))
        one = UnrealizedConversionCastOp.get([wide], [old])
        wide.replace_all_uses_with(one.results[0])
        one.operands[0] = wide
        Rewriter.insert_op(one, first)
    patterns = [_BatchReturn(size), _BatchBranches(size), _BatchOp(size)]
    PatternRewriteWalker(
        GreedyRewritePatternApplier(cast(Any, patterns), dce_enabled=False),
        apply_recursively=False,
    ).rewrite_region(function.body)
    end = block.last_op
    assert isinstance(end, ReturnOp)
    _return_batches(end, size)
    _erase_casts(function)
    assert block.last_op is not None
    function.function_type = FunctionType.from_lists(
        [argument.type for argument in block.args],
        [value.type for value in block.last_op.operands],
    )


def _return_batches(end: Operation, size: int) -> None:
    """Return batches, also of what does not depend on what was batched."""
    insert = Inserter.before(end)
    values = [
        _wide(insert, value, is_batched, size)
        for value, is_batched in zip(*_inputs(end.operands), strict=True)
    ]
    Rewriter.replace_op(end, type(end).create(operands=values))


def _erase_casts(function: FuncOp) -> None:
    """Erase the casts of a function, whose results nothing uses any more."""
    casts = [op for op in function.walk() if isinstance(op, UnrealizedConversionCastOp)]
    for op in reversed(casts):
        user = next((use.operation for use in op.results[0].uses), None)
        if user is not None:
            name = (
                user.op_name.data if isinstance(user, UnregisteredOp) else (user.name)
            )
            raise PassFailedException(f"'{name}' has no batching rule")
        Rewriter.erase_op(op)


def _batched(kind: TensorType[Attribute], size: int) -> TensorType[Attribute]:
    return tensor(kind.element_type, (size, *kind.get_shape()))


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
            insert.add(UnrealizedConversionCastOp.get([new], [old.type]))
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
            UnrealizedConversionCastOp.get([value], [kind])
            for value, kind in zip(new.results, kinds, strict=True)
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
    function: FuncOp, arguments: Sequence[int]
) -> hlo.CaseOp | hlo.IfOp | None:
    """Return a choice that differs within the batch, None where there is none."""
    args = function.body.block.args
    varied: set[SSAValue] = {args[number] for number in arguments}
    for op in function.body.walk():
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
    kept = {**op.properties, **properties}
    kind = tensor(element_of(op.results[0]), shape)
    return type(op).create(
        operands=operands,
        result_types=[kind],
        properties=kept,
        attributes=op.attributes,
        regions=[region.clone() for region in op.regions],
    )


def _numbers(values: Any) -> list[int]:
    return list(values.get_values())


def _dims(attribute: Any) -> list[int]:
    return [dim.value.data for dim in attribute]


def _as_dims(values: Sequence[int]) -> ArrayAttr[IntegerAttr[I64]]:
    return ArrayAttr([IntegerAttr(value, i64) for value in values])


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
    wide = [
        _wide(insert, value, own, size)
        for value, own in zip(values[:count], batched[:count], strict=True)
    ]
    axes = [axis + 1 for axis in _numbers(op.dimensions)]
    new = hlo.ReduceOp.create(
        operands=[*wide, *values[count:]],
        result_types=[
            tensor(element_of(one), (size, *shape_of(one))) for one in op.results
        ],
        properties={**op.properties, "dimensions": _array(axes)},
        attributes=op.attributes,
        regions=[op.body.clone()],
    )
    insert.add_op(new)
    return list(new.results)


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
        place = len(sides[0]) + len(shape_of(values[0])) - len(sides[0]) - len(sides[2])
    shape.insert(place, size)
    kept = DotAttr(*map(_as_dims, sides))
    found = insert.add(_again(op, values, shape, dot_dimension_numbers=kept))
    if place == 0:
        return [found]
    order = [place, *(axis for axis in range(len(shape)) if axis != place)]
    return [insert.add(transposed(found, order))]


def _concatenate(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    assert isinstance(op, hlo.ConcatenateOp)
    wide = [
        _wide(insert, value, own, size)
        for value, own in zip(values, batched, strict=True)
    ]
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
    if batched[1]:
        raise PassFailedException("'stablehlo.pad' by values that differ")
    names = ("edge_padding_low", "edge_padding_high", "interior_padding")
    sides = {name: _array([0, *_numbers(op.properties[name])]) for name in names}
    return [insert.add(_again(op, values, (size, *shape_of(op.results[0])), **sides))]


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
        _as_dims(range(1, len(sizes) + 1)),
        _as_dims([]),
        _as_dims([0] if own else []),
        _as_dims([0] if own else []),
        _as_dims([axis + own for axis in moving]),
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
        _as_dims(offsets),
        _as_dims([dim + own for dim in _dims(numbers.collapsed_slice_dims)]),
        _as_dims(operand_batching),
        _as_dims(starts_batching),
        _as_dims([dim + own for dim in _dims(numbers.start_index_map)]),
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
    """The images of all x are one batch of images."""
    image, kernel = values
    grouped = cast(Any, op.properties["batch_group_count"]).value.data > 1
    if batched[1] or grouped:
        raise PassFailedException("'stablehlo.convolution' with kernels that differ")
    text = str(op.properties["dimension_numbers"])
    sides = [
        [one.strip() for one in side.split(",")]
        for side in re.findall(r"\[(.*?)\]", text)
    ]
    own, result = sides[0].index("b"), sides[-1].index("b")
    shape = list(shape_of(image))[1:]
    order = [*(axis + 1 for axis in range(own)), 0, *range(own + 1, len(shape) + 1)]
    shape[own] *= size
    joined = insert.add(reshape(insert.add(transposed(image, order)), shape))
    expected = list(shape_of(op.results[0]))
    apart = [*expected[:result], size, *expected[result:]]
    expected[result] *= size
    found = insert.add(_again(op, [joined, kernel], expected))
    found = insert.add(reshape(found, apart))
    order = [result, *(axis for axis in range(len(apart)) if axis != result)]
    return [insert.add(transposed(found, order))]


def _in_front(
    insert: Inserter, op: Operation, size: int, values: Values, batched: list[bool]
) -> Values:
    """Batch an op that works on the last axes of its operand alone."""
    return [insert.add(_again(op, values, (size, *shape_of(op.results[0]))))]


RULES: dict[str, Rule] = {
    **dict.fromkeys((*ELEMENTWISE, "stablehlo.popcnt"), _elementwise),
    **{
        f"chlo.{name}": _elementwise
        for name in (
            *("acos", "acosh", "asinh", "atanh", "cosh", "erf", "erfc"),
            *("lgamma", "sinh", "square"),
        )
    },
    "stablehlo.bitcast_convert": _elementwise,
    "stablehlo.optimization_barrier": _elementwise,
    "stablehlo.broadcast_in_dim": _broadcast,
    "stablehlo.concatenate": _concatenate,
    "stablehlo.convolution": _convolution,
    "stablehlo.dot_general": _dot,
    "stablehlo.dynamic_slice": _dynamic_slice,
    "stablehlo.fft": _in_front,
    "stablehlo.gather": _gather,
    "stablehlo.pad": _pad,
    "stablehlo.reduce": _reduce,
    "stablehlo.reshape": _reshape,
    "stablehlo.slice": _slice,
    "stablehlo.transpose": _transpose,
}
"""Batching rules by the name of an op; constants and the like have no operands."""


def _rule_of(op: Operation) -> Rule | None:
    name = op.op_name.data if isinstance(op, UnregisteredOp) else op.name
    return RULES.get(name)


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
