"""Kernels over NumPy: the ops of StableHLO that combine elements, and a whole function.

With the elementwise ops of `dialects.interpreters.stablehlo` these are all that
`convert-bt-to-stablehlo` makes: a kernel runs where JAX is not installed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    impl,
    register_impls,
)
from xdsl.utils.exceptions import InterpretationError
from xdsl_jax.dialects import stablehlo as hlo

from dialects.interpreters.numbers import (
    FLOATS,
    Numbers,
    as_array,
    interpret_with,
    numbers_of,
)
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.stablehlo import shape_of

Array = npt.NDArray[Any]


@register_impls
class KernelFunctions(InterpreterFunctions):
    """Meaning of `stablehlo.gather`, `reduce` and `dot_general`.

    A reduction combines its elements one after the other, the initial value first; the
    specification leaves the order open.
    """

    @impl(hlo.GatherOp)
    def run_gather(
        self, interpreter: Interpreter, op: hlo.GatherOp, args: PythonValues
    ) -> PythonValues:
        operand, starts = args
        index = _index(op, operand, starts, shape_of(op.result))
        found = numbers_of(interpreter).items(operand, index)
        return (np.broadcast_to(found, shape_of(op.result)),)

    @impl(hlo.ReduceOp)
    def run_reduce(
        self, interpreter: Interpreter, op: hlo.ReduceOp, args: PythonValues
    ) -> PythonValues:
        axes: Sequence[int] = op.dimensions.get_values()
        inputs, initial = args[: len(op.inputs)], args[len(op.inputs) :]
        columns = [_last_axes_joined(value, axes) for value in inputs]
        combined = tuple(
            np.broadcast_to(start, column.shape[:-1])
            for start, column in zip(initial, columns, strict=True)
        )
        # The ops of the body are elementwise, so they combine whole arrays.
        for place in range(columns[0].shape[-1]):
            elements = (column[..., place] for column in columns)
            combined = interpreter.run_ssacfg_region(op.body, (*combined, *elements))
        return tuple(map(as_array, combined))

    @impl(hlo.DotGeneralOp)
    def run_dot_general(
        self, interpreter: Interpreter, op: hlo.DotGeneralOp, args: PythonValues
    ) -> PythonValues:
        lhs, rhs = args
        numbers = op.dot_dimension_numbers
        axes = (
            _values(numbers.lhs_contracting_dimensions),
            _values(numbers.rhs_contracting_dimensions),
        )
        batching = (
            _values(numbers.lhs_batching_dimensions),
            _values(numbers.rhs_batching_dimensions),
        )
        with np.errstate(all="ignore"):
            if not any(batching):
                product = np.tensordot(lhs, rhs, axes)
            else:
                pairs = zip((lhs, rhs), batching, axes, strict=True)
                factors = [_in_matrices(*one) for one in pairs]
                product = np.matmul(factors[0], np.swapaxes(factors[1], -1, -2))
                product = product.reshape(shape_of(op.results[0]))
        return (product.astype(lhs.dtype, copy=False),)

    @impl(hlo.CaseOp)
    def run_case(
        self, interpreter: Interpreter, op: hlo.CaseOp, args: PythonValues
    ) -> PythonValues:
        (index,) = args
        if not isinstance(index, np.ndarray | np.generic):
            raise InterpretationError("stablehlo.case of a number that is not known")
        last = len(op.branches) - 1
        number = int(cast(Any, index))
        branch = op.branches[number if 0 <= number <= last else last]
        return interpreter.run_ssacfg_region(branch, ())


def _in_matrices(value: Array, batching: Sequence[int], axes: Sequence[int]) -> Array:
    """Return a factor of a product as matrices (.., rows, contracted), one for each."""
    moved = [*batching, *axes]
    kept = [axis for axis in range(value.ndim) if axis not in moved]
    whole = np.transpose(value, (*batching, *kept, *axes))
    lengths = [[value.shape[axis] for axis in some] for some in (batching, kept, axes)]
    return whole.reshape(*lengths[0], math.prod(lengths[1]), math.prod(lengths[2]))


def _last_axes_joined(value: Array, axes: Sequence[int]) -> Array:
    """Return an array with some axes moved to the end and made one."""
    kept = [axis for axis in range(value.ndim) if axis not in axes]
    moved = np.transpose(value, (*kept, *axes))
    length = int(np.prod([value.shape[axis] for axis in axes]))
    return moved.reshape(*(value.shape[axis] for axis in kept), length)


def _index(
    op: hlo.GatherOp, operand: Array, starts: Array, shape: Sequence[int]
) -> tuple[Array, ...]:
    """Return the one fancy index that is a `gather`, as its specification says."""
    numbers = op.dimension_numbers
    sizes: Sequence[int] = op.slice_sizes.get_values()
    vector_axis = numbers.index_vector_dim.value.data
    if vector_axis == starts.ndim:
        starts = starts[..., None]
    starts = np.moveaxis(starts, vector_axis, -1)
    offset_axes = _values(numbers.offset_dims)
    batch_axes = [axis for axis in range(len(shape)) if axis not in offset_axes]

    def along(values: Array, axes: Sequence[int]) -> Array:
        """Let the axes of an array be some axes of the result."""
        other = [axis for axis in range(len(shape)) if axis not in axes]
        return np.expand_dims(values, other)

    index = [np.zeros([1] * len(shape), np.int64) for _ in operand.shape]
    for place, axis in enumerate(_values(numbers.start_index_map)):
        last = operand.shape[axis] - sizes[axis]
        inside: Array = np.clip(starts[..., place], 0, last)
        index[axis] = along(inside, batch_axes)
    batching = _values(numbers.operand_batching_dims)
    for axis, own in zip(
        batching, _values(numbers.start_indices_batching_dims), strict=True
    ):
        # Axes of the start indices after the index vector have moved up by one.
        batch_axis = batch_axes[own - (own > vector_axis)]
        samples: int = operand.shape[axis]
        index[axis] = along(np.arange(samples), [batch_axis])
    dropped = {*_values(numbers.collapsed_slice_dims), *batching}
    offsets = [axis for axis in range(operand.ndim) if axis not in dropped]
    for axis, offset_axis in zip(offsets, offset_axes, strict=True):
        index[axis] = index[axis] + along(np.arange(sizes[axis]), [offset_axis])
    return tuple(index)


def _values(dims: Any) -> list[int]:
    return [dim.value.data for dim in dims]


def functions_of() -> list[InterpreterFunctions]:
    """Return what an interpreter needs to run a kernel."""
    # Loads the interpreters of all of xDSL's dialects: 0.3 of the 0.9 seconds that
    # importing symir took
    from xdsl.interpreters.func import FuncFunctions

    return [FuncFunctions(), StableHLOFunctions(), KernelFunctions()]


def run_kernel(
    module: ModuleOp,
    arguments: Sequence[Any],
    *,
    interpreter: Interpreter | None = None,
    numbers: Numbers = FLOATS,
) -> tuple[Any, ...]:
    """Run the only function of a module of StableHLO; return its results.

    With another kind of numbers the results are in arrays of it. An interpreter that is
    given has its implementations, and its kind of numbers, already: see
    `functions_of`.
    """
    (function,) = (op for op in module.ops if isinstance(op, FuncOp))
    if interpreter is None:
        interpreter = Interpreter(module)
        for functions in functions_of():
            interpreter.register_implementations(functions)
        interpret_with(interpreter, numbers)
    held = tuple(map(numbers_of(interpreter).given, arguments))
    return interpreter.call_op(function.sym_name.data, held)
