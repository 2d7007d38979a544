"""Kernels over NumPy: the ops of StableHLO that combine elements, and a whole function.

With the elementwise ops of `dialects.interpreters.stablehlo` these are all that
`convert-bt-to-stablehlo` makes: a kernel runs where JAX is not installed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    impl,
    register_impls,
)
from xdsl.ir import Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects.interpreters.calls import CallFunctions, Oracle
from dialects.interpreters.networks import NetworkFunctions, combination
from dialects.interpreters.numbers import (
    FLOATS,
    Numbers,
    as_array,
    interpret_with,
    known,
    numbers_of,
)
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.stablehlo import dtype_of, element_of, shape_of
from dialects.stablehlo_ops import CustomCallOp

Array = npt.NDArray[Any]


@register_impls
class KernelFunctions(InterpreterFunctions):
    """Meaning of ops that combine elements, and of those that have regions.

    A reduction combines its elements one after the other, the initial value first, and
    a scatter in the order of its updates; the specification leaves the order open.
    """

    @impl(hlo.GatherOp)
    def run_gather(
        self, interpreter: Interpreter, op: hlo.GatherOp, args: PythonValues
    ) -> PythonValues:
        operand, starts = args
        shape = shape_of(op.result)
        windows = _Windows.of_gather(op)
        # A start that reaches too far is moved back
        inside = [
            (axis, np.clip(start, 0, windows.last(operand.shape, axis)))
            for axis, start in windows.starts(starts)
        ]
        key = windows.key(operand.shape, inside, len(shape))
        found = numbers_of(interpreter).items(operand, tuple(key))
        return (np.broadcast_to(found, shape),)

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
        combine = combination(interpreter, op.body)
        for place in range(columns[0].shape[-1]):
            combined = combine((*combined, *(one[..., place] for one in columns)))
        return tuple(map(as_array, combined))

    @impl(hlo.DotGeneralOp)
    def run_dot_general(
        self, interpreter: Interpreter, op: hlo.DotGeneralOp, args: PythonValues
    ) -> PythonValues:
        lhs, rhs = args
        numbers = op.dot_dimension_numbers
        dtype = numbers_of(interpreter).dtype(dtype_of(element_of(op.results[0])))
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
        return (product.astype(dtype, copy=False),)

    @impl(hlo.ScatterOp)
    def run_scatter(
        self, interpreter: Interpreter, op: hlo.ScatterOp, args: PythonValues
    ) -> PythonValues:
        count = len(op.inputs)
        inputs, starts, updates = args[:count], args[count], args[count + 1 :]
        operand = inputs[0].shape
        places, inside = _scattered(op, operand, known(op, starts), updates[0].shape)
        turns = _turns(places)
        numbers = numbers_of(interpreter)
        columns = [update[inside] for update in updates]
        flat = [value.reshape(-1) for value in inputs]
        # Ops of the body are elementwise: updates of different places combine at once
        for turn in range(turns.max(initial=-1) + 1):
            now = turns == turn
            key = (places[now],)
            old = (numbers.items(value, key) for value in flat)
            new = (column[now] for column in columns)
            combined = interpreter.run_ssacfg_region(
                op.update_computation, (*old, *new)
            )
            pairs = zip(flat, combined, strict=True)
            flat = [numbers.replaced(value, key, one) for value, one in pairs]
        return tuple(np.reshape(value, operand) for value in flat)

    @impl(hlo.WhileOp)
    def run_while(
        self, interpreter: Interpreter, op: hlo.WhileOp, args: PythonValues
    ) -> PythonValues:
        while known(op, *interpreter.run_ssacfg_region(op.cond, args)):
            args = interpreter.run_ssacfg_region(op.body, args)
        return args

    @impl(hlo.CaseOp)
    def run_case(
        self, interpreter: Interpreter, op: hlo.CaseOp, args: PythonValues
    ) -> PythonValues:
        number, last = int(known(op, *args)), len(op.branches) - 1
        branch = op.branches[number if 0 <= number <= last else last]
        return interpreter.run_ssacfg_region(branch, ())

    @impl(hlo.IfOp)
    def run_if(
        self, interpreter: Interpreter, op: hlo.IfOp, args: PythonValues
    ) -> PythonValues:
        branch = op.true_branch if known(op, *args) else op.false_branch
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


class _Windows(NamedTuple):
    """Windows of an operand, in the shape of what is gathered, or of updates.

    Attributes:
        axes: axes of windows in that shape; the others are those of start indices.
        sizes: lengths of a window along each axis of the operand.
        dropped: axes of the operand that windows do not have, those of batches too.
        batching: axes of the operand, and of the start indices, that go together.
        start_map: the axis of the operand for each number of an index vector.
        vector_axis: the axis of the start indices that is an index vector.
    """

    axes: list[int]
    sizes: Sequence[int]
    dropped: list[int]
    batching: list[tuple[int, int]]
    start_map: list[int]
    vector_axis: int

    @classmethod
    def of_gather(cls, op: hlo.GatherOp) -> _Windows:
        numbers = op.dimension_numbers
        own = _values(numbers.operand_batching_dims)
        return cls(
            _values(numbers.offset_dims),
            op.slice_sizes.get_values(),
            [*_values(numbers.collapsed_slice_dims), *own],
            [*zip(own, _values(numbers.start_indices_batching_dims), strict=True)],
            _values(numbers.start_index_map),
            numbers.index_vector_dim.value.data,
        )

    @classmethod
    def of_scatter(
        cls, op: hlo.ScatterOp, rank: int, updates: Sequence[int]
    ) -> _Windows:
        numbers = op.scatter_dimension_numbers
        own = _values(numbers.input_batching_dims)
        axes = _values(numbers.update_window_dims)
        dropped = [*_values(numbers.inserted_window_dims), *own]
        lengths = iter(updates[axis] for axis in axes)
        return cls(
            axes,
            [1 if axis in dropped else next(lengths) for axis in range(rank)],
            dropped,
            [*zip(own, _values(numbers.scatter_indices_batching_dims), strict=True)],
            _values(numbers.scatter_dims_to_operand_dims),
            numbers.index_vector_dim.value.data,
        )

    def starts(self, starts: Array) -> list[tuple[int, Array]]:
        """Return where windows start, along each axis that index vectors have."""
        whole = starts[..., None] if self.vector_axis == starts.ndim else starts
        vectors = np.moveaxis(whole, self.vector_axis, -1)
        return [(axis, vectors[..., k]) for k, axis in enumerate(self.start_map)]

    def last(self, operand: Sequence[int], axis: int) -> int:
        """Return where the last window along an axis of the operand starts."""
        return operand[axis] - self.sizes[axis]

    def key(
        self, operand: Sequence[int], starts: Sequence[tuple[int, Array]], rank: int
    ) -> list[Array]:
        """Return the place in the operand, by axis, of each element of all windows."""
        batch_axes = [axis for axis in range(rank) if axis not in self.axes]

        def along(values: Array, axes: Sequence[int]) -> Array:
            """Let the axes of an array be some axes of all windows."""
            other = [axis for axis in range(rank) if axis not in axes]
            return np.expand_dims(values, other)

        key = [np.zeros([1] * rank, np.int64) for _ in operand]
        for axis, start in starts:
            key[axis] = along(start, batch_axes)
        for axis, own in self.batching:
            # Axes of the start indices after the index vector have moved up by one
            batch_axis = batch_axes[own - (own > self.vector_axis)]
            key[axis] = along(np.arange(operand[axis]), [batch_axis])
        kept = [axis for axis in range(len(operand)) if axis not in self.dropped]
        for axis, own in zip(kept, self.axes, strict=True):
            key[axis] = key[axis] + along(np.arange(self.sizes[axis]), [own])
        return key


def _scattered(
    op: hlo.ScatterOp, operand: Sequence[int], starts: Array, shape: Sequence[int]
) -> tuple[Array, Array]:
    """Return the place of each update in the order of memory, and which count.

    As XLA does, all of a window is left out where a part of it is outside.
    """
    windows = _Windows.of_scatter(op, len(operand), shape)
    # Unsigned places, and sums of them, do not wrap
    first = [(axis, start.astype(np.int64)) for axis, start in windows.starts(starts)]
    inside = np.array(True)
    for axis, start in first:
        inside = inside & (0 <= start) & (start <= windows.last(operand, axis))
    inside = np.broadcast_to(np.expand_dims(inside, windows.axes), shape)
    key = windows.key(operand, first, len(shape))
    places = np.zeros(shape, np.int64)
    for place, length in zip(key, operand, strict=True):
        places = places * length + place
    return places[inside], inside


def _turns(places: Array) -> Array:
    """Return how many of the places before each are the same."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    turns = np.empty(len(places), np.int64)
    turns[order] = np.arange(len(places)) - np.searchsorted(ordered, ordered)
    return turns


def _values(dims: Any) -> list[int]:
    return [dim.value.data for dim in dims]


def functions_of(
    oracles: Mapping[str, Oracle] | None = None,
) -> list[InterpreterFunctions]:
    """Return what an interpreter needs to run a kernel."""
    return [
        CallFunctions(oracles),
        StableHLOFunctions(),
        KernelFunctions(),
        NetworkFunctions(),
    ]


def unknown_op(
    op: Operation, functions: Sequence[InterpreterFunctions]
) -> Operation | None:
    """Return an op inside of an op that has no meaning for an interpreter, if any.

    What only an oracle can say, such as that of a custom call, is none either.
    """
    known = {kind for one in functions for kind, _ in one._impls()}  # pyright: ignore[reportPrivateUsage]
    known -= {CustomCallOp}
    inner = (one for one in op.walk() if one is not op)
    return next((one for one in inner if type(one) not in known), None)


def run_kernel(
    module: ModuleOp,
    arguments: Sequence[Any],
    *,
    interpreter: Interpreter | None = None,
    numbers: Numbers = FLOATS,
    oracles: Mapping[str, Oracle] | None = None,
) -> tuple[Any, ...]:
    """Run the function of a module of StableHLO; return its results.

    It is the only one, or the only one that is not private. What it calls and the
    module does not have are `oracles`: see `dialects.interpreters.calls`. With another
    kind of numbers the results are in arrays of it. An interpreter that is given has
    its implementations, with the oracles, and its kind of numbers, already: see
    `functions_of`.

    Raises:
        MissingOracle: where a function is called that nobody gave.
    """
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    private = StringAttr("private")
    public = [one for one in functions if one.sym_visibility != private]
    (function,) = functions if len(functions) == 1 else public
    if interpreter is None:
        interpreter = Interpreter(module)
        for functions in functions_of(oracles):
            interpreter.register_implementations(functions)
        interpret_with(interpreter, numbers)
    held = tuple(map(numbers_of(interpreter).given, arguments))
    return interpreter.call_op(function.sym_name.data, held)
