"""Ops of networks over NumPy: windows, sorted elements and transforms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import DenseArrayBase, DenseIntOrFPElementsAttr
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    impl,
    register_impls,
)
from xdsl.ir import Region
from xdsl.utils.exceptions import InterpretationError
from xdsl_jax.dialects import stablehlo as hlo

from dialects.chlo import TopKOp
from dialects.interpreters.numbers import FLOATS, Numbers, as_array, known, numbers_of
from dialects.interpreters.stablehlo import total_order
from dialects.stablehlo import dtype_of, element_of, shape_of, to_numpy
from dialects.stablehlo_ops import (
    ConvolutionOp,
    FftOp,
    FftType,
    PadOp,
    ReduceWindowOp,
    SortOp,
)

Array = npt.NDArray[Any]

MAX_COMPARED = 1 << 22
"""Pairs of elements that a sort compares at once."""


def combination(
    interpreter: Interpreter, body: Region
) -> Callable[[PythonValues], PythonValues]:
    """Return what a body does: where that is one op, such as a sum, without a scope."""
    block = body.block
    op, last = block.first_op, block.last_op
    if (
        op is not None
        and op.next_op is last
        and isinstance(last, hlo.ReturnOp)
        and (*op.operands,) == (*block.args,)
        and (*last.operands,) == (*op.results,)
    ):
        return partial(interpreter.run_op, op)
    return partial(interpreter.run_ssacfg_region, body)


@register_impls
class NetworkFunctions(InterpreterFunctions):
    """Meaning of what wavefunctions have beside kernels.

    Windows are combined element by element, from the first on; a sort is stable, also
    where it does not need to be.
    """

    @impl(PadOp)
    def run_pad(
        self, interpreter: Interpreter, op: PadOp, args: PythonValues
    ) -> PythonValues:
        value, filler = args
        return (_padded(numbers_of(interpreter), value, filler, op.sides),)

    @impl(ReduceWindowOp)
    def run_reduce_window(
        self, interpreter: Interpreter, op: ReduceWindowOp, args: PythonValues
    ) -> PythonValues:
        count, numbers = len(op.inputs), numbers_of(interpreter)
        sizes, rank = op.window_dimensions.get_values(), len(shape_of(op.inputs[0]))
        dilated, sides = _numbers(op.base_dilations, rank), _padding(op.padding, rank)
        sides = [(*ends, n - 1) for ends, n in zip(sides, dilated, strict=True)]
        initial = args[count:]
        wide = [_padded(numbers, *pair, sides) for pair in zip(args, initial)]
        shape = shape_of(op.result[0])
        windows = _windows(
            sizes,
            shape,
            _numbers(op.window_strides, rank),
            _numbers(op.window_dilations, rank),
        )
        combined = tuple(np.broadcast_to(one, shape) for one in initial)
        # The ops of the body are elementwise, so they combine whole arrays
        combine = combination(interpreter, op.body)
        for key in windows:
            combined = combine((*combined, *(value[key] for value in wide)))
        return tuple(map(as_array, combined))

    @impl(ConvolutionOp)
    def run_convolution(
        self, interpreter: Interpreter, op: ConvolutionOp, args: PythonValues
    ) -> PythonValues:
        images, kernels = (
            np.transpose(value, op.dimension_numbers.axes(side))
            for side, value in enumerate(args)
        )
        order = op.dimension_numbers.axes(2)
        shape, rank = shape_of(op.result), images.ndim - 2
        if op.window_reversal is not None:
            kernels = _reversed(
                kernels, [False, False, *op.window_reversal.get_values()]
            )
        dilated, sides = _numbers(op.lhs_dilation, rank), _padding(op.padding, rank)
        sides = [(*ends, n - 1) for ends, n in zip(sides, dilated, strict=True)]
        zero = numbers_of(interpreter).given(np.zeros((), dtype_of(element_of(op.lhs))))
        wide = _padded(numbers_of(interpreter), images, zero, [(0, 0, 0)] * 2 + sides)
        windows = _windows(
            kernels.shape[2:],
            [shape[axis] for axis in order[2:]],
            _numbers(op.window_strides, rank),
            _numbers(op.rhs_dilation, rank),
        )
        # (batch, features, places of a window, ..)
        parts = np.stack([wide[:, :, *key] for key in windows], axis=2)
        flat = kernels.reshape(*kernels.shape[:2], parts.shape[2])
        results = [
            np.moveaxis(np.tensordot(part, kernel, ((1, 2), (1, 2))), -1, 1)
            for part, kernel in _grouped(op, parts, flat)
        ]
        dtype = numbers_of(interpreter).dtype(dtype_of(element_of(op.result)))
        result = np.concatenate(results, axis=1).astype(dtype, copy=False)
        return (np.transpose(result, np.argsort(order)),)

    @impl(SortOp)
    def run_sort(
        self, interpreter: Interpreter, op: SortOp, args: PythonValues
    ) -> PythonValues:
        axis = op.dimension.value.data
        moved = [np.moveaxis(value, axis, -1) for value in args]

        def is_before(first: Any, second: Any) -> Array:
            """Compare the elements of two places, or of many of them."""
            pairs = ((value[first], value[second]) for value in moved)
            given = tuple(one for pair in pairs for one in pair)
            (answer,) = interpreter.run_ssacfg_region(op.comparator, given)
            return known(op, answer)

        order = _order(moved[0].shape, is_before)
        return tuple(
            np.moveaxis(np.take_along_axis(value, order, axis=-1), -1, axis)
            for value in moved
        )

    @impl(TopKOp)
    def run_top_k(
        self, interpreter: Interpreter, op: TopKOp, args: PythonValues
    ) -> PythonValues:
        (value,) = args
        floats = value.dtype.kind == "f" and numbers_of(interpreter) is FLOATS
        keys: Any = total_order(value) if floats else value

        def is_larger(first: Any, second: Any) -> Array:
            return known(op, keys[first] > keys[second]).astype(bool)

        order = _order(value.shape, is_larger)[..., : op.k.value.data]
        found = np.take_along_axis(value, order, axis=-1)
        return found, order.astype(dtype_of(element_of(op.indices)))

    @impl(FftOp)
    def run_fft(
        self, interpreter: Interpreter, op: FftOp, args: PythonValues
    ) -> PythonValues:
        value, lengths = known(op, *args), op.fft_length.get_values()
        if value.dtype == object:
            raise InterpretationError(f"{op.name} has no exact answer")
        axes = range(value.ndim - len(lengths), value.ndim)
        found = _TRANSFORMS[op.fft_type.data](value, lengths, axes)
        return (found.astype(dtype_of(element_of(op.result)), copy=False),)


_TRANSFORMS: dict[FftType, Callable[..., Array]] = {
    FftType.FFT: np.fft.fftn,
    FftType.IFFT: np.fft.ifftn,
    FftType.RFFT: np.fft.rfftn,
    FftType.IRFFT: np.fft.irfftn,
}


def _numbers(given: DenseArrayBase[Any] | None, rank: int) -> list[int]:
    """Return one number for each axis; 1 where there are none."""
    return [1] * rank if given is None else [*given.get_values()]


def _padding(
    given: DenseIntOrFPElementsAttr[Any] | None, rank: int
) -> list[tuple[int, ...]]:
    """Return what is before and after each axis."""
    if given is None:
        return [(0, 0)] * rank
    return [tuple(ends) for ends in to_numpy(given).reshape(rank, 2).tolist()]


def _padded(
    numbers: Numbers, value: Any, filler: Any, sides: Sequence[tuple[int, ...]]
) -> Any:
    """Return an array with a value before, after and between elements, by axis."""
    shape: list[int] = []
    sources: list[Array] = []
    places: list[Array] = []
    lengths: Sequence[int] = value.shape
    for length, (low, high, inner) in zip(lengths, sides, strict=True):
        shape.append(low + length + max(length - 1, 0) * inner + high)
        place = low + np.arange(length) * (inner + 1)
        inside = (place >= 0) & (place < shape[-1])
        sources.append(np.flatnonzero(inside))
        places.append(place[inside])
    whole = np.broadcast_to(filler, shape)
    return numbers.replaced(whole, np.ix_(*places), value[np.ix_(*sources)])


def _windows(
    sizes: Sequence[int],
    shape: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Iterator[tuple[slice, ...]]:
    """Yield the elements at each place of windows, one of each window of a shape."""
    for place in product(*map(range, sizes)):
        columns = zip(place, shape, strides, dilations, strict=True)
        yield tuple(
            slice(k * step, k * step + (length - 1) * stride + 1, stride)
            if length
            else slice(0, 0)
            for k, length, stride, step in columns
        )


def _reversed(value: Any, axes: Sequence[int]) -> Any:
    """Return an array with the elements along some axes in the other order."""
    return value[tuple(slice(None, None, -1 if one else 1) for one in axes)]


def _grouped(op: ConvolutionOp, parts: Any, kernels: Any) -> list[tuple[Any, Any]]:
    """Return parts of images and kernels that go together.

    Groups of features, or of the batch, each have their kernels.
    """
    for axis, attribute in ((1, op.feature_group_count), (0, op.batch_group_count)):
        count = attribute.value.data
        if count > 1:
            pieces = _split(parts, count, axis), _split(kernels, count, 0)
            return [*zip(*pieces, strict=True)]
    return [(parts, kernels)]


def _split(value: Any, count: int, axis: int) -> list[Any]:
    size = value.shape[axis] // count
    before = (slice(None),) * axis
    return [value[*before, slice(k * size, (k + 1) * size)] for k in range(count)]


def _order(shape: Sequence[int], is_before: Callable[[Any, Any], Array]) -> Array:
    """Return the places of elements along the last axis, in the order of elements."""
    length = shape[-1]
    ranks = np.zeros(shape, np.int64)
    step = max(1, MAX_COMPARED // max(1, math.prod(shape)))
    for start in range(0, length, step):
        own = np.arange(start, min(start + step, length))
        first, second = (..., slice(None), None), (..., None, own)
        before, after = is_before(first, second), is_before(second, first)
        # Of equal ones, or such that are in no order, the first comes first
        earlier = np.arange(length)[:, None] < own
        comes_first = np.where(before == after, earlier, before)
        wide = np.broadcast_to(comes_first, (*shape, len(own)))
        ranks[..., own] = wide.sum(axis=-2)
    return np.argsort(ranks, axis=-1, kind="stable")
