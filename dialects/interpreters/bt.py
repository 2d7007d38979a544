"""The `bt` level over NumPy: branch tensors, literally.

What the ops of `bt` say in their descriptions, in loops over lanes and writes, and
nothing of the passes. x' is dense nowhere but in the result of `bt.connections`: until
then branches are a value of their own, `Branches`.

A function has one batch: `?` is the number of samples of the run, and `!bt.state` the
dtype of x. A function that `bt-specialize` has bound runs as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    ReturnedValues,
    impl,
    impl_terminator,
    register_impls,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.traits import SymbolTable
from xdsl.utils.exceptions import InterpretationError

from dialects import bt
from dialects.interpreters import kernel
from dialects.interpreters.calls import Oracle
from dialects.interpreters.numbers import (
    FLOATS,
    Numbers,
    as_array,
    interpret_with,
    numbers_of,
)
from dialects.stablehlo import dtype_of, shape_of
from dialects.tables import NO_SITE

Array = npt.NDArray[Any]

MAX_CONFIGURATIONS = 1 << 14
"""Of more configurations nothing is drawn."""


@dataclass(frozen=True)
class Branches:
    """R lanes of K writes each, for every sample of a batch of B.

    Attributes:
        sites: int32 (B, R, K), where a lane writes; off the lattice, as -1 is, it
            writes nothing.
        values: (B, R, K) of the dtype of x, what it writes there, in order.
        amplitude: (B, R), the matrix element of a valid lane.
        valid: bool (B, R).
    """

    sites: Array
    values: Array
    amplitude: Array
    valid: Array

    @property
    def lanes(self) -> int:
        """The number R of lanes."""
        return self.valid.shape[1]

    @property
    def writes(self) -> int:
        """The number K of writes of each lane."""
        return self.sites.shape[2]

    def padded(self, writes: int) -> Branches:
        """Return the same branches with more writes, which do nothing."""
        more = (*self.valid.shape, writes - self.writes)
        none = np.full(more, NO_SITE, self.sites.dtype)
        return Branches(
            np.concatenate([self.sites, none], axis=2),
            np.concatenate([self.values, np.zeros(more, self.values.dtype)], axis=2),
            self.amplitude,
            self.valid,
        )

    def taken(self, lanes: Array) -> Branches:
        """Return the lanes of the given numbers, (B, R'), of each sample."""
        number = lanes[..., None]
        return Branches(
            np.take_along_axis(self.sites, number, axis=1),
            np.take_along_axis(self.values, number, axis=1),
            np.take_along_axis(self.amplitude, lanes, axis=1),
            np.take_along_axis(self.valid, lanes, axis=1),
        )


@register_impls
class BtFunctions(InterpreterFunctions):
    """Meaning of the ops of `bt` for a batch.

    `batch` is the number of samples that `?` stands for, `state` the dtype that
    `!bt.state` does. The ops of StableHLO between them need neither: those that have a
    `?` in their types take the shapes of their operands.
    """

    def __init__(self, batch: int, state: npt.DTypeLike):
        super().__init__()
        self.batch = batch
        self.state: np.dtype[Any] = np.dtype(state)

    def shape(self, value: SSAValue) -> tuple[int, ...]:
        """Return the shape of a value in this run."""
        return tuple(self.batch if n == bt.BATCH else n for n in shape_of(value))

    def dtype(self, value: SSAValue) -> np.dtype[Any]:
        """Return the dtype of a value in this run."""
        element = cast(TensorType[Attribute], value.type).element_type
        return self.state if isinstance(element, bt.StateType) else dtype_of(element)

    # region Values

    @impl(bt.GatherOp)
    def run_gather(
        self, interpreter: Interpreter, op: bt.GatherOp, args: PythonValues
    ) -> PythonValues:
        config, sites = args
        # What is off the lattice is clamped to it, as StableHLO gathers: no site, which
        # is there where nothing is read, and sites that a predicate excludes.
        inside = np.clip(sites, 0, config.shape[1] - 1)
        if op.is_per_sample:
            flat = inside.reshape(len(config), -1)
            values = np.take_along_axis(config, flat, axis=1).reshape(inside.shape)
        else:
            values = config[:, inside]
        dtype = self.dtype(op.result)
        return (numbers_of(interpreter).taken(values, dtype),)

    @impl(bt.BroadcastOp)
    def run_broadcast(
        self, interpreter: Interpreter, op: bt.BroadcastOp, args: PythonValues
    ) -> PythonValues:
        shape = self.shape(op.result)
        aligned = [1] * len(shape)
        for size, axis in zip(args[0].shape, op.dims.get_values(), strict=True):
            aligned[axis] = size
        return (np.broadcast_to(args[0].reshape(aligned), shape),)

    @impl(bt.ReduceOp)
    def run_reduce(
        self, interpreter: Interpreter, op: bt.ReduceOp, args: PythonValues
    ) -> PythonValues:
        (values,) = args
        combination = op.kind.data.combination
        total = np.full(values.shape[:-1], combination.neutral, values.dtype)
        with np.errstate(all="ignore"):
            for place in range(values.shape[-1]):
                total = combination.combine(total, values[..., place])
        return (total.astype(values.dtype, copy=False),)

    @impl(bt.DotOp)
    def run_dot(
        self, interpreter: Interpreter, op: bt.DotOp, args: PythonValues
    ) -> PythonValues:
        value, matrix = args
        with np.errstate(all="ignore"):
            return ((value @ matrix).astype(value.dtype, copy=False),)

    # endregion
    # region Branches

    @impl(bt.BranchesOp)
    def run_branches(
        self, interpreter: Interpreter, op: bt.BranchesOp, args: PythonValues
    ) -> PythonValues:
        shape = (self.batch, op.result.type.lanes.data)
        writes = len(op.sites)
        sites, values = args[:writes], args[writes : 2 * writes]
        amplitude, *valid = args[2 * writes :]
        numbers = numbers_of(interpreter)
        stored = [numbers.taken(value, self.state) for value in values]
        branches = Branches(
            _stacked(sites, shape, np.dtype(np.int32)),
            _stacked(stored, shape, numbers.dtype(self.state)),
            np.broadcast_to(amplitude, shape),
            np.broadcast_to(valid[0] if valid else np.asarray(True), shape),
        )
        return (branches,)

    @impl(bt.ImagesOp)
    def run_images(
        self, interpreter: Interpreter, op: bt.ImagesOp, args: PythonValues
    ) -> PythonValues:
        kind, count = op.result.type, len(op.masks)
        shape = (self.batch, kind.lanes.data)
        masks, images = args[:count], args[count : 2 * count]
        amplitude, *valid = args[2 * count :]
        sites = np.full((*shape, kind.writes.data), NO_SITE, np.int32)
        values = np.zeros(sites.shape, numbers_of(interpreter).dtype(self.state))
        lattice = np.arange(sites.shape[2], dtype=np.int32)
        for mask, image in zip(masks, images, strict=True):
            wide = numbers_of(interpreter).taken(image, self.state)
            wide = wide[:, None, :] if wide.ndim else wide
            values = np.where(mask, wide, values)
            sites = np.where(mask, lattice, sites)
        branches = Branches(
            sites,
            values,
            np.broadcast_to(amplitude, shape),
            np.broadcast_to(valid[0] if valid else np.asarray(True), shape),
        )
        return (branches,)

    @impl(bt.PrunedOp)
    def run_pruned(
        self, interpreter: Interpreter, op: bt.PrunedOp, args: PythonValues
    ) -> PythonValues:
        return ()

    @impl(bt.AssumeOp)
    def run_assume(
        self, interpreter: Interpreter, op: bt.AssumeOp, args: PythonValues
    ) -> PythonValues:
        return ()

    @impl(bt.UnarrangedOp)
    def run_unarranged(
        self, interpreter: Interpreter, op: bt.UnarrangedOp, args: PythonValues
    ) -> PythonValues:
        return ()

    @impl(bt.ConcatOp)
    def run_concat(
        self, interpreter: Interpreter, op: bt.ConcatOp, args: PythonValues
    ) -> PythonValues:
        return (self._joined(op, args, numbers_of(interpreter)),)

    @impl(bt.InterleaveOp)
    def run_interleave(
        self, interpreter: Interpreter, op: bt.InterleaveOp, args: PythonValues
    ) -> PythonValues:
        joined = self._joined(op, args, numbers_of(interpreter))
        # Lane `row` of part `emission` comes to row * len(parts) + emission.
        order = np.arange(joined.lanes).reshape(len(args) or 1, -1).T.reshape(-1)
        numbers = np.broadcast_to(order, (self.batch, joined.lanes))
        return (joined.taken(numbers),)

    def _joined(
        self,
        op: bt.JoinOp,
        parts: Sequence[Branches],
        numbers: Numbers,
    ) -> Branches:
        """Return the lanes of all parts, one part after the other."""
        writes = op.result.type.writes.data
        # Of no part at all is everything but the dtypes known: there is no lane.
        nothing = Branches(
            np.zeros((self.batch, 0, writes), np.int32),
            np.zeros((self.batch, 0, writes), numbers.dtype(self.state)),
            np.zeros((self.batch, 0), parts[0].amplitude.dtype if parts else np.bool_),
            np.zeros((self.batch, 0), np.bool_),
        )
        padded = [nothing, *[part.padded(writes) for part in parts]]
        return Branches(
            np.concatenate([part.sites for part in padded], axis=1),
            np.concatenate([part.values for part in padded], axis=1),
            np.concatenate([part.amplitude for part in padded], axis=1),
            np.concatenate([part.valid for part in padded], axis=1),
        )

    @impl(bt.CompactOp)
    def run_compact(
        self, interpreter: Interpreter, op: bt.CompactOp, args: PythonValues
    ) -> PythonValues:
        (branches,) = args
        lanes = op.result.type.lanes.data
        parts = branches.sites, branches.values, branches.amplitude
        valid, kept, broken = numbers_of(interpreter).compacted(
            branches.valid, lanes, parts
        )
        sites, values, amplitude = kept
        nan = np.asarray(np.nan, amplitude.dtype)
        amplitude = np.where(broken[:, None], nan, amplitude)
        return (Branches(sites, values, amplitude, valid),)

    @impl(bt.ConnectionsOp)
    def run_connections(
        self, interpreter: Interpreter, op: bt.ConnectionsOp, args: PythonValues
    ) -> PythonValues:
        config, branches = args
        connected = np.repeat(config[:, None, :], branches.lanes, axis=1)
        for write in range(branches.writes):
            sites = branches.sites[:, :, write]
            meant = branches.valid & (sites >= 0) & (sites < config.shape[1])
            values = branches.values[:, :, write]
            numbers_of(interpreter).write(connected, sites, values, meant)
        return connected, self._elements(interpreter, op.matrix_elements, branches)

    def _elements(
        self, interpreter: Interpreter, result: SSAValue, branches: Branches
    ) -> Array:
        dtype = numbers_of(interpreter).dtype(self.dtype(result))
        return np.where(branches.valid, branches.amplitude, 0).astype(dtype)

    @impl(bt.LanesOp)
    def run_lanes(
        self, interpreter: Interpreter, op: bt.LanesOp, args: PythonValues
    ) -> PythonValues:
        config, branches = args
        batch = np.arange(len(config))[:, None]
        results: list[Any] = []
        for write, result in enumerate(op.sites):
            sites = branches.sites[:, :, write].astype(np.int32)
            own = sites if len(shape_of(result)) == 2 else sites[0]
            results.append(own)
        for write in range(branches.writes):
            sites = branches.sites[:, :, write]
            source = config[batch, np.clip(sites, 0, config.shape[1] - 1)]
            meant = branches.valid & (sites >= 0) & (sites < config.shape[1])
            results.append(np.where(meant, branches.values[:, :, write], source))
        return (*results, self._elements(interpreter, op.matrix_elements, branches))

    @impl(bt.DeclaredOp)
    def run_declared(
        self, interpreter: Interpreter, op: bt.DeclaredOp, args: PythonValues
    ) -> PythonValues:
        return (args[0],)

    @impl(bt.LocalEnergyOp)
    def run_local_energy(
        self, interpreter: Interpreter, op: bt.LocalEnergyOp, args: PythonValues
    ) -> PythonValues:
        """Sum over all lanes, x' dense, with log psi of one configuration at a time."""
        config, branches, *rest = args
        dtype = self.dtype(op.result)
        energies = np.zeros(len(config), dtype)
        if op.diagonal is not None:
            energies = energies + rest.pop(0)
        known: dict[bytes, Any] = {}

        def log_psi(x: Array) -> Any:
            key = x.tobytes()
            if key not in known:
                known[key] = self._log_psi(interpreter, op, rest, x)
            return known[key]

        for sample, x in enumerate(config):
            before = log_psi(x)
            for lane in range(branches.lanes):
                if not branches.valid[sample, lane]:
                    continue
                connected = x.copy()
                for write in range(branches.writes):
                    site = branches.sites[sample, lane, write]
                    if 0 <= site < len(x):
                        connected[site] = branches.values[sample, lane, write]
                after = log_psi(connected)
                ratio = np.exp(after - before) if after.real > -np.inf else 0
                energies[sample] += branches.amplitude[sample, lane] * ratio
        return (energies.astype(dtype),)

    def _log_psi(
        self,
        interpreter: Interpreter,
        op: bt.LocalEnergyOp,
        parameters: Sequence[Array],
        x: Array,
    ) -> Any:
        values = (part_of(interpreter, op, one, parameters, x) for one in op.parts)
        return sum(values, start=0.0)

    @impl(bt.DrawOp)
    def run_draw(
        self, interpreter: Interpreter, op: bt.DrawOp, args: PythonValues
    ) -> PythonValues:
        """Draw of sums over all configurations, of which there are a few."""
        noise, *parameters = args
        values, name = op.local_values, op.callee.string_value()
        count = prod(map(len, values))
        if count > MAX_CONFIGURATIONS:
            raise InterpretationError(
                f"'bt.draw' of {count} configurations: {MAX_CONFIGURATIONS} at most"
            )
        function = SymbolTable.lookup_symbol(op, name)
        assert isinstance(function, FuncOp)
        kind = function.body.block.args[-1]
        every = np.array(list(product(*values)), self.dtype(kind))
        called = (
            interpreter.call_op(name, (*parameters, one.reshape(shape_of(kind))))
            for one in every
        )
        log: Array = np.array([np.reshape(one, ()) for (one,) in called])
        psi = np.exp(op.power.value.data * np.real(log).astype(float))
        is_known = abs(psi.sum() - 1) <= bt.NORMALISED
        found: list[int] = []
        for own in noise:
            left = np.arange(count)
            for site in op.sites:
                parts = [left[every[left, site] == one] for one in values[site]]
                sums = np.cumsum([psi[part].sum() for part in parts])
                left = parts[int((sums <= own[site] * sums[-1]).sum())]
            found.append(int(left[0]))
        dtype = self.dtype(op.logarithm)
        logarithm = np.where(is_known, log[found], np.nan).astype(dtype)
        return every[found].astype(self.dtype(op.config)), logarithm

    # endregion
    # region Loops

    @impl(bt.MapSamplesOp)
    def run_map_samples(
        self, interpreter: Interpreter, op: bt.MapSamplesOp, args: PythonValues
    ) -> PythonValues:
        x, *shared = args
        count = len(x) if op.count is None else int(shared.pop())
        name = op.callee.string_value()
        size = shape_of(op.function.body.block.args[0])[0]
        whole, found = self.batch, list[tuple[Array, ...]]()
        starts = [min(start, len(x) - size) for start in range(0, count, size)]
        self.batch = size
        try:
            for start in starts:
                chunk = x[start : start + size]
                found.append(interpreter.call_op(name, (chunk, *shared)))
        finally:
            self.batch = whole
        results = [np.zeros(shape_of(one), self.dtype(one)) for one in op.outputs]
        for start, some in zip(starts, found, strict=True):
            for result, one in zip(results, some, strict=True):
                result[start : start + size] = one
        return tuple(results)

    @impl(bt.PackOp)
    def run_pack(
        self, interpreter: Interpreter, op: bt.PackOp, args: PythonValues
    ) -> PythonValues:
        (live,) = args
        samples, flat = len(live), live.reshape(-1)
        states = np.zeros(samples + flat.size, np.int32)
        states[:samples] = np.arange(samples)
        lanes = samples + np.flatnonzero(flat)
        states[samples : samples + len(lanes)] = lanes
        return states, flat.cumsum(dtype=np.int32), np.int32(samples + len(lanes))

    @impl(bt.DistinctOp)
    def run_distinct(
        self, interpreter: Interpreter, op: bt.DistinctOp, args: PythonValues
    ) -> PythonValues:
        (keys,) = args
        known: dict[bytes, int] = {}
        places = [known.setdefault(key.tobytes(), len(known)) for key in keys]
        _, first = np.unique(places, return_index=True)
        states = np.zeros(len(keys), np.int32)
        states[: len(first)] = first
        return states, np.asarray(places, np.int32), np.int32(len(first))

    @impl(bt.MapStatesOp)
    def run_map_states(
        self, interpreter: Interpreter, op: bt.MapStatesOp, args: PythonValues
    ) -> PythonValues:
        """Compute one state after the other; 0 is at places that are not said."""
        result = np.zeros(shape_of(op.result), self.dtype(op.result))
        states, count = args or (np.arange(len(result), dtype=np.int32), len(result))
        for place in range(op.first.value.data, int(count)):
            state = np.asarray(states[place])
            (result[place],) = interpreter.run_ssacfg_region(op.body, (state,))
        return (result,)

    @impl(bt.UnpackOp)
    def run_unpack(
        self, interpreter: Interpreter, op: bt.UnpackOp, args: PythonValues
    ) -> PythonValues:
        found, places, live = args
        own = found[np.maximum(places, 1) + len(live) - 1].reshape(live.shape)
        return (np.where(live, own, np.zeros((), found.dtype)),)

    @impl_terminator(bt.YieldOp)
    def run_yield(
        self, interpreter: Interpreter, op: bt.YieldOp, args: PythonValues
    ) -> tuple[ReturnedValues, PythonValues]:
        return ReturnedValues(args), ()

    # endregion


def part_of(
    interpreter: Interpreter,
    op: bt.LocalEnergyOp,
    part: bt.PartAttr,
    parameters: Sequence[Array],
    x: Array,
) -> Any:
    """Return a part of log psi at one x (N,), by the functions that it is made of."""

    def applied(name: str, values: Array) -> Any:
        function = SymbolTable.lookup_symbol(op, name)
        assert isinstance(function, FuncOp)
        last = cast("TensorType[Attribute]", function.function_type.inputs.data[-1])
        kind = dtype_of(last.element_type)
        (found,) = interpreter.call_op(name, (*parameters, values.astype(kind)))
        return found

    first, last = part.functions[0], part.functions[-1]
    values: Any = applied(first, x[None])
    if part.kind == bt.Rung.BILINEAR:
        values = values.reshape(-1) * applied(last, x[None]).reshape(-1)
    else:
        values = _ACTIVATIONS[part.applied](values)
    if part.kind in (bt.Rung.LIFTED, bt.Rung.RATIONAL):
        values = applied(last, values)
    coefficient = part.coefficient
    return (coefficient if coefficient.imag else coefficient.real) * np.sum(values)


def _log_cosh(values: Array) -> Array:
    return (
        np.logaddexp(values, -values) - np.log(2)
        if values.dtype.kind == "f"
        else (np.log(np.cosh(values)))
    )


def _softplus(values: Array) -> Array:
    if values.dtype.kind == "f":
        return np.logaddexp(np.zeros((), values.dtype), values)
    return np.log1p(np.exp(values))


_ACTIVATIONS: dict[str | None, Callable[[Array], Array]] = {
    None: np.asarray,
    "log_cosh": _log_cosh,
    "softplus": _softplus,
    "log_sigmoid": lambda values: -_softplus(-values),
    "tanh": np.tanh,
    "real": np.real,
    "imag": np.imag,
}
"""Functions that parts of a wavefunction apply to the elements of a function."""


def _stacked(
    columns: Sequence[Array], shape: tuple[int, int], dtype: np.dtype[Any]
) -> Array:
    """Return the writes of all lanes as one array (B, R, K)."""
    if not columns:
        return np.empty((*shape, 0), dtype)
    wide = [np.broadcast_to(column, shape) for column in columns]
    return np.stack(wide, axis=-1).astype(dtype, copy=False)


# region A whole function


def functions_of(
    batch: int, state: npt.DTypeLike, oracles: Mapping[str, Oracle] | None = None
) -> list[InterpreterFunctions]:
    """Return what an interpreter needs to run a function on branch tensors."""
    return [*kernel.functions_of(oracles), BtFunctions(batch, state)]


def run_function(
    module: ModuleOp,
    arguments: Sequence[npt.ArrayLike],
    oracles: Mapping[str, Oracle] | None = None,
) -> tuple[Any, ...]:
    """Run the public function of a module, such as of energies; return its results.

    The batch and the state type are those of the first argument. Oracles are functions
    that the module declares alone: see `dialects.interpreters.calls`.

    Raises:
        MissingOracle: where a function is called that nobody gave.
    """
    held = tuple(map(as_array, arguments))
    interpreter = Interpreter(module)
    for functions in functions_of(len(held[0]), held[0].dtype, oracles):
        interpreter.register_implementations(functions)
    interpret_with(interpreter, FLOATS)
    return kernel.run_kernel(module, held, interpreter=interpreter)


def run_branches(
    module: ModuleOp,
    x: npt.ArrayLike,
    parameters: Sequence[npt.ArrayLike] = (),
    *,
    interpreter: Interpreter | None = None,
    numbers: Numbers = FLOATS,
) -> tuple[Array, Array]:
    """Run the only function of a module on configurations and parameters.

    `x` has shape (B, N) and any real dtype; where `bt-specialize` has bound the batch
    and the state type they must be those. `parameters` are the arguments after x, in
    order. Returns x' of shape (B, K, N) with the dtype of x, and the matrix elements of
    shape (B, K) with the operator's dtype; a lane that is not valid has x and 0.

    With another kind of numbers x and the matrix elements are in arrays of it. An
    interpreter that is given has its implementations, and its kind of numbers,
    already: see `functions_of`.

    Raises:
        ValueError: for a module that does not have one function of configurations, and
            for arguments that do not have the types of that function's.
    """
    function = _the_function(module)
    config = as_array(x)
    if config.ndim != 2 or config.dtype.kind not in "biuf":
        raise ValueError(
            f"function @{function.sym_name.data} takes configurations of shape "
            f"(batch, sites) and real numbers, got {config.dtype} {config.shape}"
        )
    own = BtFunctions(len(config), config.dtype)
    arguments = function.body.block.args
    if len(parameters) != len(arguments) - 1:
        raise ValueError(
            f"function @{function.sym_name.data} takes {len(arguments) - 1} "
            f"parameters, got {len(parameters)}"
        )
    values = (config, *map(as_array, parameters))
    for number, (value, argument) in enumerate(zip(values, arguments, strict=True)):
        shape, dtype = own.shape(argument), own.dtype(argument)
        if value.shape != shape or value.dtype != dtype:
            raise ValueError(
                f"argument {number} of function @{function.sym_name.data} is "
                f"{dtype} {shape}, got {value.dtype} {value.shape}"
            )
    if interpreter is None:
        interpreter = _interpreter(module, config)
        interpret_with(interpreter, numbers)
    held = tuple(map(numbers_of(interpreter).given, values))
    connected, elements = interpreter.call_op(function.sym_name.data, held)
    return connected, elements


def run_lanes(
    module: ModuleOp, x: npt.ArrayLike, parameters: Sequence[npt.ArrayLike] = ()
) -> tuple[Array, Array, Array]:
    """Run the only function of a module, which returns what its `bt.lanes` does first.

    Arguments are those of `run_branches`, and are not checked. Returns for R lanes of K
    writes their sites, int32 (B, R, K), the values there, (B, R, K) with the dtype of
    x, and the matrix elements, (B, R).

    Raises:
        ValueError: for a module that does not have one function of configurations.
    """
    function = _the_function(module)
    (lanes,) = (op for op in function.walk() if isinstance(op, bt.LanesOp))
    config, writes = np.asarray(x), len(lanes.sites)
    arguments = (config, *map(np.asarray, parameters))
    with np.errstate(all="ignore"):
        interpreter = _interpreter(module, config)
        found = interpreter.call_op(function.sym_name.data, arguments)
    elements = found[2 * writes]
    sites = np.zeros((*elements.shape, writes), np.int32)
    values = np.zeros(sites.shape, config.dtype)
    for k in range(writes):
        sites[..., k], values[..., k] = found[k], found[writes + k]
    return sites, values, elements


def changes_of(x: Array, sites: Array, values: Array) -> tuple[Array, Array, Array]:
    """Return sites, old and new values of lanes, (B, R, K): none where no site is."""
    inside = (sites >= 0) & (sites < x.shape[1])
    sites = np.where(inside, sites, 0).astype(np.int32)
    old = x[np.arange(len(x))[:, None, None], sites]
    return sites, old, np.where(inside, values, old)


def _interpreter(module: ModuleOp, config: Array) -> Interpreter:
    interpreter = Interpreter(module)
    for functions in functions_of(len(config), config.dtype):
        interpreter.register_implementations(functions)
    return interpreter


def _the_function(module: ModuleOp) -> FuncOp:
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    if len(functions) == 1 and functions[0].body.blocks:
        (function,) = functions
        arguments = function.body.block.args
        if arguments and len(shape_of(arguments[0])) == 2:
            return function
    names = ", ".join(f"@{one.sym_name.data}" for one in functions) or "none"
    raise ValueError(f"expected one function of configurations, found {names}")


# endregion
