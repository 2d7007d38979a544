"""Weights of an affine function of an array: what it multiplies each element by.

One cotangent goes backwards, op by op, as in reverse mode: that takes as long as the
function itself, whatever the number of elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import DotAttr

from dialects.stablehlo import (
    as_dims,
    combiner_of,
    element_of,
    shape_of,
    tensor,
)
from lowering.arrays import Array, array, concatenated
from lowering.energy.extraction import returned
from lowering.energy.site_affine import ConstantValue, analyse, dependent
from lowering.rewriting import Inserter

Fixed: TypeAlias = Callable[[SSAValue], Array]
"""Where an op reads what is constant."""


def has_weights(function: FuncOp) -> bool:
    """Whether weights are found of an affine function."""
    moving = dependent(function, analyse(function))
    return all(_is_known(cast(Operation, value.owner)) for value in moving)


def weights_of(insert: Inserter, function: FuncOp, leaves: Sequence[Array]) -> Array:
    """Return A of A t + b, one number, in the shape of t, the last argument."""
    known = analyse(function)
    *parameters, t = function.body.block.args
    values = [leaf.value for leaf in leaves]
    now: dict[SSAValue, SSAValue] = dict(zip(parameters, values, strict=True))
    moving: list[Operation] = []
    for op in function.body.block.ops:
        if isinstance(op, ReturnOp):
            continue
        if all(isinstance(known[one], ConstantValue) for one in op.results):
            insert.add_op(op.clone(now))
        else:
            moving.append(op)

    def fixed(value: SSAValue) -> Array:
        return Array(now[value], insert)

    result = returned(function)
    one = array(insert, 1, element_of(result)).reshape(*shape_of(result))
    found: dict[SSAValue, Array] = {result: one}
    for op in reversed(moving):
        if (cotangent := found.pop(op.results[0], None)) is None:
            continue
        for number, value in enumerate(op.operands):
            if isinstance(known[value], ConstantValue):
                continue
            own = _RULES[type(op)](op, number, cotangent, fixed)
            found[value] = found[value] + own if value in found else own
    return found[t]


# region Rules


def _is_known(op: Operation) -> bool:
    match op:
        case hlo.ReduceOp():
            return combiner_of(op) is hlo.AddOp
        case hlo.SliceOp():
            return set(_ints(op.strides)) <= {1}
        case _:
            return type(op) in _RULES


def _ints(values: Any) -> list[int]:
    return list(values.get_values())


def _factor(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    return cotangent * fixed(op.operands[1 - number])


def _subtracted(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    return -cotangent if number else cotangent


def _selected(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    is_first, none = fixed(op.operands[0]), cotangent.like(0)
    sides = (cotangent, none) if number == 1 else (none, cotangent)
    return is_first.where(*sides)


def _reshaped(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    return cotangent.reshape(*shape_of(op.operands[0]))


def _transposed(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    return cotangent.transpose(*_inverse(_ints(op.permutation)))


def _inverse(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def _broadcast(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    """Sums over what was repeated."""
    shape, dims = shape_of(op.operand), _ints(op.broadcast_dimensions)
    kept = [dim for dim, length in zip(dims, shape, strict=True) if length > 1]
    for axis in reversed(range(len(cotangent.shape))):
        if axis not in kept:
            cotangent = cotangent.sum(axis)
    order = [sorted(kept).index(dim) for dim in kept]
    return cotangent.transpose(*order).reshape(*shape)


def _summed(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    shape, gone = shape_of(op.operands[0]), _ints(op.dimensions)
    kept = [axis for axis in range(len(shape)) if axis not in gone]
    return cotangent.broadcast(shape, kept)


def _sliced(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    """Zeros where nothing was read."""
    bounds = zip(_ints(op.start_indices), _ints(op.limit_indices), strict=True)
    for axis, (start, stop) in enumerate(bounds):
        length = shape_of(op.operand)[axis]
        for missing, is_before in ((start, True), (length - stop, False)):
            if missing:
                shape = list(cotangent.shape)
                shape[axis] = missing
                zeros = cotangent.like(0).broadcast(shape, [])
                sides = [zeros, cotangent] if is_before else [cotangent, zeros]
                cotangent = concatenated(sides, axis)
    return cotangent


def _piece(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    axis: int = op.dimension.value.data
    lengths = [shape_of(value)[axis] for value in op.operands]
    start = sum(lengths[:number])
    return cotangent.slice(start, start + lengths[number], axis)


def _product(op: Any, number: int, cotangent: Array, fixed: Fixed) -> Array:
    """The product with the other factor, over what that has alone.

    Axes of the product are those of batching, then what is left of the left factor, and
    of the right one.
    """
    numbers, shapes = op.dot_dimension_numbers, [shape_of(v) for v in op.operands]
    batching, contracting = (
        [
            [axis.value.data for axis in getattr(numbers, f"{side}_{kind}_dimensions")]
            for side in ("lhs", "rhs")
        ]
        for kind in ("batching", "contracting")
    )
    rest = [
        [
            axis
            for axis in range(len(shape))
            if axis not in batching[side] and axis not in contracting[side]
        ]
        for side, shape in enumerate(shapes)
    ]
    other, count = 1 - number, len(batching[0])
    first = count + (0 if number else len(rest[0]))
    over = range(first, first + len(rest[other]))
    factor = fixed(op.operands[other])
    # Of the factor that is left are axes that were contracted, in their order there
    left = sorted(contracting[other])
    pairs = dict(zip(contracting[other], contracting[number], strict=True))
    own = [*batching[number], *rest[number], *(pairs[axis] for axis in left)]
    dims = (range(count), batching[other], over, rest[other])
    product = hlo.DotGeneralOp.create(
        operands=[cotangent.value, factor.value],
        result_types=[
            tensor(cotangent.element, [shapes[number][axis] for axis in own])
        ],
        properties={
            **op.properties,
            "dot_dimension_numbers": DotAttr(*map(as_dims, dims)),
        },
    )
    return cotangent.of(product).transpose(*_inverse(own))


_RULES: dict[type[Operation], Callable[[Any, int, Array, Fixed], Array]] = {
    hlo.AddOp: lambda op, number, cotangent, fixed: cotangent,
    hlo.BroadcastInDimOp: _broadcast,
    hlo.ConcatenateOp: _piece,
    hlo.DivideOp: lambda op, number, cotangent, fixed: cotangent / fixed(op.rhs),
    hlo.DotGeneralOp: _product,
    hlo.MultiplyOp: _factor,
    hlo.NegateOp: lambda op, number, cotangent, fixed: -cotangent,
    hlo.ReduceOp: _summed,
    hlo.ReshapeOp: _reshaped,
    hlo.SelectOp: _selected,
    hlo.SliceOp: _sliced,
    hlo.SubtractOp: _subtracted,
    hlo.TransposeOp: _transposed,
}
"""Cotangents of an operand that is not constant, by that of the result."""

# endregion
