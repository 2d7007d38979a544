"""Dependence of the values of a wavefunction on x, site by site.

Forward, each value of a function of one configuration x is one of these:

- `Constant`: there is no x in it;
- `SiteWise`: each element is a function of x at one site, such as a one-hot code;
- `Additive`: each element is a sum of functions of one site each; affine in x where it
  is `linear`, as the outcome of a dense layer or a convolution;
- `Elementwise`: one scalar function of the elements of an additive value, its root;
- `Opaque`: none of these, with the first op that made it so.

Nothing is matched: a dense layer, a convolution, a symmetrised layer, a Fourier
transform and what is written by hand are all additive, since they are linear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import TensorType, UnregisteredOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt, chlo
from dialects.stablehlo import (
    ELEMENTWISE,
    combiner_of,
    constant_of,
    dtype_of,
    element_of,
    shape_of,
)
from lowering.energy.extraction import is_coarse, returned
from lowering.order import captured

Array = npt.NDArray[Any]

MAX_ELEMENTS = 1 << 22
"""Values of more elements are not followed element by element."""


@dataclass(frozen=True)
class ConstantValue:
    """A value without x; `is_splat` where all of its elements are equal."""

    is_splat: bool = False


@dataclass(frozen=True, eq=False)
class SiteFunction:
    """Each element is a function of x at one site.

    Attributes:
        sites: the site of each element, -1 where it is constant.
        linear: whether these functions are affine.
    """

    sites: Array
    linear: bool


@dataclass(frozen=True)
class Additive:
    """Each element is a sum of functions of one site each.

    Attributes:
        root: the value that it is a scalar function of, mostly itself: that of -z is z.
        linear: whether these functions are affine.
    """

    root: SSAValue
    linear: bool


@dataclass(frozen=True)
class Elementwise:
    """Scalar function of the elements of a root.

    Attributes:
        root: an additive value.
        linear: whether that is affine.
        order: how its elements have been reordered since, op by op.
    """

    root: SSAValue
    linear: bool
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opaque:
    """Anything else: why, and the op that made it so."""

    reason: str
    op: str


Dependence: TypeAlias = ConstantValue | SiteFunction | Additive | Elementwise | Opaque


def analyse(function: FuncOp) -> dict[SSAValue, Any]:
    """Return the dependence of each value of a function on x, its last argument.

    Without calls: see `inline-calls`.
    """
    block = function.body.block
    x = block.args[-1]
    found: dict[SSAValue, Dependence] = {}
    for argument in block.args:
        found[argument] = ConstantValue(is_splat=shape_of(argument) == ())
    shape = shape_of(x)
    sites = np.arange(int(np.prod(shape))).reshape(shape)
    found[x] = SiteFunction(sites, linear=True)
    for op in block.ops:
        if isinstance(op, ReturnOp):
            continue
        if isinstance(op, bt.DeclaredOp):
            found[op.result] = found[op.value]
            continue
        made = _dependence(op, [found[value] for value in op.operands])
        if any(not isinstance(found[value], ConstantValue) for value in captured(op)):
            made = _opaque(op, "has a region that depends on x")
        for result in op.results:
            found[result] = made if len(op.results) == 1 else _of_many(op, made)
    return found


def is_additive(one: Dependence) -> bool:
    """Whether a value is a sum of functions of one site each, and not constant."""
    return isinstance(one, Additive | SiteFunction)


def is_linear(function: FuncOp) -> bool:
    """Whether what a function returns is additive and affine, also by its types."""
    known = analyse(function)
    one = known[returned(function)]
    kinds = {dtype_of(element_of(v)).kind for v in dependent(function, known)}
    return isinstance(one, Additive | SiteFunction) and one.linear and "i" not in kinds


def dependent(function: FuncOp, known: dict[SSAValue, Dependence]) -> list[SSAValue]:
    """Return the values of a function that are computed from x."""
    ops = [op for op in function.body.block.ops if not isinstance(op, ReturnOp)]
    values = [op.results[0] for op in ops]
    return [value for value in values if not isinstance(known[value], ConstantValue)]


def root_of(value: SSAValue, one: Dependence) -> SSAValue | None:
    """Return the additive value that a value is a scalar function of."""
    match one:
        case Additive(root=root) | Elementwise(root=root):
            return root
        case SiteFunction():
            return value
        case _:
            return None


def op_name(op: Operation) -> str:
    """Return the name of an op, whether or not a dialect knows it."""
    return op.op_name.data if isinstance(op, UnregisteredOp) else op.name


def _of_many(op: Operation, made: Dependence) -> Dependence:
    if isinstance(made, ConstantValue):
        return ConstantValue()
    return made if isinstance(made, Opaque) else _opaque(op, "many results")


def _opaque(op: Operation, reason: str) -> Opaque:
    return Opaque(reason, op_name(op))


# region One op


_LINEAR = (hlo.AddOp, hlo.SubtractOp, hlo.NegateOp)
_PARTS = (hlo.RealOp, hlo.ImagOp, hlo.ComplexOp)
_SCALED = (hlo.MultiplyOp, hlo.DivideOp)

_ELEMENTWISE = {
    *(ELEMENTWISE - {"stablehlo.constant"}),
    "stablehlo.bitcast_convert",
    *(f"chlo.{name}" for name in chlo.NAMES),
}
"""Ops that do the same at each element."""


def _dependence(op: Operation, operands: Sequence[Dependence]) -> Dependence:
    for one in operands:
        if isinstance(one, Opaque):
            return one
    if all(isinstance(one, ConstantValue) for one in operands):
        return _constant(op, cast("Sequence[ConstantValue]", operands))
    if _is_elementwise(op):
        return _elementwise(op, operands)
    if type(op) in _MOVES:
        return _moved(op, operands)
    return _combined(op, operands)


def _constant(op: Operation, operands: Sequence[ConstantValue]) -> ConstantValue:
    if not op.results or not isinstance(op.results[0].type, TensorType):
        return ConstantValue()
    if int(np.prod(shape_of(op.results[0]))) == 1:
        return ConstantValue(is_splat=True)
    if isinstance(op, hlo.ConstantOp):
        array = constant_of(op.results[0])
        return ConstantValue(array is not None and _is_splat(array))
    moves = _is_elementwise(op) or isinstance(
        op, hlo.BroadcastInDimOp | hlo.ReshapeOp | hlo.TransposeOp
    )
    return ConstantValue(moves and all(one.is_splat for one in operands))


def _is_splat(array: Array) -> bool:
    if not array.size:
        return False
    # -0 is not 0: what is divided by it is another infinity
    signs = np.signbit(np.real(array)).reshape(-1)
    return bool((array == array.reshape(-1)[0]).all() and (signs == signs[0]).all())


def _is_elementwise(op: Operation) -> bool:
    """Whether an op does the same at each element; a bitcast may split elements."""
    if op_name(op) not in _ELEMENTWISE:
        return False
    shape = shape_of(op.results[0])
    return all(shape_of(value) in ((), shape) for value in op.operands)


def _dtype(value: SSAValue) -> np.dtype[Any]:
    return dtype_of(cast("TensorType[Attribute]", value.type).element_type)


def _is_inexact(value: SSAValue) -> bool:
    return _dtype(value).kind in "fc"


def _elementwise(op: Operation, operands: Sequence[Dependence]) -> Dependence:
    result = op.results[0]
    kinds = {type(one) for one in operands} - {ConstantValue}
    if kinds == {SiteFunction}:
        joined = _joined_sites(op, operands)
        if joined is not None:
            linear = _keeps_linear(op, operands)
            return SiteFunction(joined, linear and all(map(_is_linear, operands)))
    if Elementwise in kinds:
        return _of_one_root(op, operands)
    if not _keeps_linear(op, operands):
        return _of_one_root(op, operands)
    linear = all(map(_is_linear, operands))
    roots = {
        one.root if isinstance(one, Additive) else value
        for value, one in zip(op.operands, operands, strict=True)
        if not isinstance(one, ConstantValue)
    }
    uniform = all(one.is_splat for one in operands if isinstance(one, ConstantValue))
    is_one = len(roots) == 1 and uniform and SiteFunction not in kinds
    return Additive(roots.pop() if is_one else result, linear)


def _is_linear(one: Dependence) -> bool:
    return isinstance(one, ConstantValue) or cast("Any", one).linear


def _keeps_linear(op: Operation, operands: Sequence[Dependence]) -> bool:
    """Whether an elementwise op on affine operands is affine."""
    if isinstance(op, hlo.ConvertOp):
        return _is_exact_conversion(op)
    if not _is_inexact(op.results[0]):
        return False  # integers wrap
    if isinstance(op, _LINEAR + _PARTS):
        return not any(map(_is_huge, op.operands))
    if not isinstance(op, _SCALED):
        return False
    if isinstance(op, hlo.DivideOp):
        return isinstance(operands[1], ConstantValue)
    return any(isinstance(one, ConstantValue) for one in operands)


def _is_huge(value: SSAValue) -> bool:
    """Whether a value is a constant next to which what is added to it is rounded off.

    As in (z + c) - c, which is z rounded to what c leaves of the mantissa.
    """
    while isinstance(value.owner, hlo.BroadcastInDimOp | hlo.ReshapeOp | hlo.ConvertOp):
        value = value.owner.operands[0]
    array = constant_of(value)
    if array is None or not array.size or array.dtype.kind not in "fc":
        return False
    return bool(np.max(np.abs(array)) > np.finfo(array.dtype).eps ** -0.5)


def _is_exact_conversion(op: hlo.ConvertOp) -> bool:
    """Whether a conversion is that of a real number, up to rounding."""
    if is_coarse(op.operand) or is_coarse(op.result):
        return False  # there the rounding is the model
    before, after = _dtype(op.operand), _dtype(op.result)
    # What is an integer on its way has no derivative: differences are taken of values
    return after.kind in "fc" and (before.kind != "c" or after.kind == "c")


def _joined_sites(op: Operation, operands: Sequence[Dependence]) -> Array | None:
    """Return the site that each element depends on; None where that is two."""
    shape = shape_of(op.results[0])
    joined = np.full(shape, -1)
    for one in operands:
        if not isinstance(one, SiteFunction):
            continue
        sites = np.broadcast_to(one.sites, shape)
        if ((joined >= 0) & (sites >= 0) & (joined != sites)).any():
            return None
        joined = np.where(joined >= 0, joined, sites)
    return joined


def _of_one_root(op: Operation, operands: Sequence[Dependence]) -> Dependence:
    roots: set[SSAValue] = set()
    orders: set[tuple[str, ...]] = set()
    linear = True
    for value, one in zip(op.operands, operands, strict=True):
        if isinstance(one, ConstantValue):
            if not one.is_splat:
                return _opaque(op, "a function that is another one for each element")
            continue
        root = root_of(value, one)
        if root is None:
            return _opaque(op, "not a function of one value")
        roots.add(root)
        orders.add(one.order if isinstance(one, Elementwise) else ())
        linear = linear and _is_linear(one)
    if len(roots) > 1:
        return _opaque(op, "combines two values that depend on x")
    if len(orders) > 1:
        return _opaque(op, "combines elements in two orders")
    return Elementwise(roots.pop(), linear, orders.pop())


# endregion
# region Ops that move elements


def _ints(values: Any) -> list[int]:
    return [int(value) for value in values.get_values()]


def _broadcast(op: Any, value: Array) -> Array:
    shape, dims = shape_of(op.result), _ints(op.broadcast_dimensions)
    axes = [1] * len(shape)
    for axis, length in zip(dims, value.shape, strict=True):
        axes[axis] = length
    ordered = value.transpose(np.argsort(dims)) if dims else value
    return np.broadcast_to(ordered.reshape(axes), shape)


def _slice(op: Any, value: Array) -> Array:
    bounds = (op.start_indices, op.limit_indices, op.strides)
    return value[tuple(slice(*one) for one in zip(*map(_ints, bounds), strict=True))]


def _reshape(op: Any, value: Array) -> Array:
    return value.reshape(shape_of(op.result))


def _transpose(op: Any, value: Array) -> Array:
    return np.transpose(value, _ints(op.permutation))


def _concatenate(op: Any, *values: Array) -> Array:
    return np.concatenate(values, int(op.dimension.value.data))


_MOVES: dict[type[Operation], Callable[..., Array]] = {
    hlo.BroadcastInDimOp: _broadcast,
    hlo.ConcatenateOp: _concatenate,
    hlo.ReshapeOp: _reshape,
    hlo.SliceOp: _slice,
    hlo.TransposeOp: _transpose,
}

_REORDERS = (hlo.ReshapeOp, hlo.TransposeOp, hlo.BroadcastInDimOp)


def _moved(op: Operation, operands: Sequence[Dependence]) -> Dependence:
    result = op.results[0]
    small = int(np.prod(shape_of(result))) <= MAX_ELEMENTS
    if small and all(isinstance(one, SiteFunction | ConstantValue) for one in operands):
        sites = [
            one.sites if isinstance(one, SiteFunction) else np.full(shape_of(value), -1)
            for value, one in zip(op.operands, operands, strict=True)
        ]
        linear = all(map(_is_linear, operands))
        return SiteFunction(_MOVES[type(op)](op, *sites), linear)
    if not any(isinstance(one, Elementwise) for one in operands):
        return Additive(result, all(map(_is_linear, operands)))
    only = operands[0]
    sizes = {int(np.prod(shape_of(value))) for value in (result, *op.operands)}
    if len(operands) > 1 or len(sizes) > 1 or not isinstance(only, Elementwise):
        return _opaque(op, "joins or repeats functions of elements")
    kept = _without_ones(shape_of(op.operands[0])) == _without_ones(shape_of(result))
    is_same = kept and (
        isinstance(op, hlo.ReshapeOp)
        or (isinstance(op, hlo.BroadcastInDimOp) and _is_sorted(op))
    )
    if is_same or not isinstance(op, _REORDERS):
        return only
    return replace(
        only, order=(*only.order, f"{op.name}{shape_of(result)}{op.properties}")
    )


def _is_sorted(op: hlo.BroadcastInDimOp) -> bool:
    dims = _ints(op.broadcast_dimensions)
    return dims == sorted(dims)


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [length for length in shape if length != 1]


# endregion
# region Ops that combine elements


def _combined(op: Operation, operands: Sequence[Dependence]) -> Dependence:
    if any(isinstance(one, Elementwise) for one in operands):
        return _opaque(op, "combines functions of elements")
    rule = _COMBINED.get(op_name(op))
    if rule is None:
        return _opaque(op, "not linear")
    found = rule(op, operands)
    return found or Additive(op.results[0], all(map(_is_linear, operands)))


def _product(op: Operation, operands: Sequence[Dependence]) -> Dependence | None:
    if not any(isinstance(one, ConstantValue) for one in operands):
        return _opaque(op, "a product of two values that depend on x")
    return None if _is_inexact(op.results[0]) else _wraps(op)


def _reduction(op: Operation, operands: Sequence[Dependence]) -> Dependence | None:
    if len(op.operands) != 2 or not isinstance(operands[1], ConstantValue):
        return _opaque(op, "not a reduction of one value")
    only, is_sum = operands[0], _sums(op)
    if isinstance(only, SiteFunction):
        axes = _ints(cast("hlo.ReduceOp", op).dimensions)
        sites = _of_same_sites(only.sites, axes)
        if sites is not None:
            return SiteFunction(
                sites, only.linear and is_sum and _is_inexact(op.results[0])
            )
    if not is_sum:
        return _opaque(op, "not a sum")
    if _is_inexact(op.results[0]):
        return None
    # Differences of what is an integer on its way are taken of values, not by rules
    return Additive(op.results[0], linear=False) if _has_room(op) else _wraps(op)


def _has_room(op: Operation) -> bool:
    """Whether a sum of integers that were converted from narrow ones cannot wrap."""
    before = op.operands[0].owner
    if not isinstance(before, hlo.ConvertOp):
        return False
    narrow, wide = _dtype(before.operand), _dtype(before.result)
    count = int(np.prod(shape_of(op.operands[0])))
    if narrow.kind not in "iu" or wide.kind != "i":
        return False
    return count * 2 ** (8 * narrow.itemsize) < np.iinfo(wide).max


def _read(op: Operation, operands: Sequence[Dependence]) -> Dependence | None:
    if all(isinstance(one, ConstantValue) for one in operands[1:]):
        return None
    return _looked_up(op, operands)


def _padded(op: Operation, operands: Sequence[Dependence]) -> Dependence | None:
    if isinstance(operands[1], ConstantValue):
        return None
    return _opaque(op, "padded with what depends on x")


def _wraps(op: Operation) -> Opaque:
    return _opaque(op, "sums of integers may wrap")


_COMBINED: dict[str, Callable[[Operation, Sequence[Dependence]], Dependence | None]] = {
    "stablehlo.convolution": _product,
    "stablehlo.dot_general": _product,
    "stablehlo.dynamic_slice": _read,
    "stablehlo.fft": lambda op, operands: None,
    "stablehlo.gather": _read,
    "stablehlo.pad": _padded,
    "stablehlo.reduce": _reduction,
}
"""Rules of ops that combine elements; None for a linear function."""


def _of_same_sites(sites: Array, axes: Sequence[int]) -> Array | None:
    """Return the sites of reduced elements, where each reduces those of one site."""
    if not sites.size:
        return None
    first, last = sites.max(axis=tuple(axes)), sites.min(axis=tuple(axes))
    return first if np.array_equal(first, last) else None


def _sums(op: Operation) -> bool:
    return isinstance(op, hlo.ReduceOp) and combiner_of(op) is hlo.AddOp


def _looked_up(op: Operation, operands: Sequence[Dependence]) -> Dependence:
    """Return the dependence of rows of a constant table, each chosen by one site."""
    table, starts = operands[0], operands[1]
    if (
        not isinstance(op, hlo.GatherOp)
        or not isinstance(table, ConstantValue)
        or not isinstance(starts, SiteFunction)
    ):
        return _opaque(op, "where it reads depends on x")
    numbers = op.dimension_numbers
    axis = int(numbers.index_vector_dim.value.data)
    offsets = [int(one.value.data) for one in numbers.offset_dims]
    if axis < starts.sites.ndim:
        if starts.sites.shape[axis] != 1:
            return _opaque(op, "where it reads depends on two sites")
        sites = np.squeeze(starts.sites, axis)
    else:
        sites = starts.sites
    shape = shape_of(op.results[0])
    for one in offsets:
        sites = np.expand_dims(sites, one)
    return SiteFunction(np.broadcast_to(sites, shape), linear=False)


# endregion
