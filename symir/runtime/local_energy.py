"""Local energies: an operator and a wavefunction as one kernel.

E(x) = sum over connected x' of <x|O|x'> psi(x') / psi(x). The compiler has both sides
as IR and decides how each part of log psi changes (`lowering/local_energy`); here that
is carried out with JAX. x' is never dense but where a network has to see it.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects.builtin import FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from dialects import bt
from dialects.stablehlo import dtype_of, element_of
from lowering.local_energy.extraction import energies_in, function_named
from lowering.local_energy.moves import Moves, moves_of
from symir.compiler.context import SymbolicPassReport
from symir.compiler.lowering import (
    LoweringPipeline,
    lower_to_stablehlo,
    operator_pipeline,
)
from symir.operator import SymbolicOperator
from symir.runtime import x64_enabled
from symir.runtime.captured import WithCaptured, without_captured
from symir.runtime.importing import import_function
from symir.runtime.kernel import Kernel, state_type
from symir.runtime.linear import linear_function
from symir.runtime.operator import CompiledOperator
from symir.runtime.parts import (
    Exponential,
    Lifted,
    Linear,
    Network,
    Pairs,
    Part,
    Steps,
    of_samples,
    unknown_op,
)
from symir.runtime.traceable import TraceableKernel

__all__ = ["LocalEnergy", "local_energy"]

WAVEFUNCTION = "logpsi"

OPERATOR_PIPELINE = operator_pipeline(
    "static",
    3,
    without=("bt-compact", "bt-join-diagonal", "bt-materialize-strategy"),
)
"""From an operator to branch tensors: lanes with one target are one, writes stay."""

ENERGY_PIPELINE = (
    "bt-local-energy,bt-local-energy-coalesce,apply-exponential-sums,lift-sparse-delta"
)
"""From branch tensors and a wavefunction to the parts that energies are made of."""

SAMPLES = 256
PAIRS = 1024
UNITS = (32, 8)
LARGEST_LOGARITHM = {4: 80.0, 8: 690.0}
"""By the bytes of a real number: products whose logarithm stays below are finite."""

BACKWARD_STATES = 2048
"""So many x' are evaluated at once where derivatives are pulled back."""


# region What is compiled


def _static_of(tree: Any) -> tuple[Hashable, list[jax.ShapeDtypeStruct]]:
    leaves, structure = jax.tree.flatten(tree)
    avals = [
        jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves
    ]
    return structure, avals


class EnergyProgram:
    """The local energy of one operator and one wavefunction, for some types.

    Attributes:
        module: the IR that it was compiled to.
        reports: what the passes did, and what not and why.
    """

    def __init__(
        self,
        kernel: Kernel,
        logpsi: Callable[..., Any],
        structure: Any,
        avals: Sequence[jax.ShapeDtypeStruct],
        dtype: np.dtype,
    ):
        self.kernel = kernel
        self._structure = structure
        self._logpsi = logpsi
        self._dtype = np.dtype(dtype)
        self._state = state_type(dtype)
        self.reports: list[SymbolicPassReport] = []
        self.misses: list[str] = []
        values = np.unique([v for site in kernel.space.local_states for v in site])
        self._values = tuple(float(value) for value in values)
        self.module = self._compiled(avals)
        (self._energy,) = energies_in(self.module)
        self.element = dtype_of(element_of(self._energy.result))
        self._moves = moves_of(self._energy.branches, self._values)
        self._lanes_module = self._lanes()
        self._kernels: dict[int, TraceableKernel] = {}
        self.parts = self._chosen()

    @property
    def lanes(self) -> int:
        """The number of lanes that lead elsewhere."""
        return self._energy.branches.type.lanes.data  # pyright: ignore

    def _compiled(self, avals: Sequence[jax.ShapeDtypeStruct]) -> ModuleOp:
        sites = self.kernel.space.size
        x = jax.ShapeDtypeStruct((1, sites), self._dtype)
        parameters = jax.tree.unflatten(self._structure, avals)
        imported = import_function(self._logpsi, parameters, x)
        (function,) = imported.ops
        assert isinstance(function, FuncOp)
        function.detach()
        function.sym_name = StringAttr(WAVEFUNCTION)
        function.sym_visibility = StringAttr("private")
        operator = self.kernel.ir.module
        branches = LoweringPipeline.parse(OPERATOR_PIPELINE).run(
            operator, verified=True, report=self.reports.append
        )
        branches.body.block.add_op(function)
        return LoweringPipeline.parse(ENERGY_PIPELINE).run(
            branches, report=self.reports.append
        )

    def _lanes(self) -> ModuleOp:
        """Return a module with the sites, values and elements of lanes only."""
        module = self.module.clone()
        (energy,) = energies_in(module)
        function = energy.parent_op()
        assert isinstance(function, FuncOp)
        block = function.body.block
        leaf = next(bt.leaves_of(energy.branches), None)
        element = element_of(energy.result if leaf is None else leaf.amplitude)
        lanes = bt.LanesOp(energy.config, energy.branches, element)
        Rewriter.insert_op(lanes, InsertPoint.before(energy))
        results: list[SSAValue] = [*lanes.results]
        if energy.diagonal is not None:
            results.append(energy.diagonal)
        end = block.last_op
        assert isinstance(end, ReturnOp)
        Rewriter.replace_op(end, ReturnOp(*results))
        energy.detach()
        energy.erase()
        for argument in reversed(block.args[1 + len(self.kernel.parameter_names) :]):
            block.erase_arg(argument)
        function.function_type = FunctionType.from_lists(
            [argument.type for argument in block.args],
            [result.type for result in results],
        )
        for other in list(module.ops):
            if other is not function:
                other.detach()
                other.erase(safe_erase=False)
        return module

    def _kernel_of(self, samples: int) -> TraceableKernel:
        if samples not in self._kernels:
            module = lower_to_stablehlo(self._lanes_module, samples, self._state or "")
            self._kernels[samples] = TraceableKernel(module, self.kernel.name)
        return self._kernels[samples]

    # endregion
    # region Parts

    def _chosen(self) -> list[Part] | None:
        """Return the parts of log psi; None for the network as it is."""
        moves, parts = self._moves, list(self._energy.parts)
        if all(part.kind is bt.Rung.NETWORK for part in parts):
            return None
        if isinstance(moves, str):
            return self._missed(f"no tables of differences: {moves}")
        for part in parts:
            for name in part.functions:
                function = function_named(self.module, name)
                unknown = unknown_op(function)
                if unknown is not None:
                    return self._missed(
                        f"'{unknown}' in @{name} is not evaluated alone"
                    )
                additive = (
                    part.kind is not bt.Rung.NETWORK and name == part.functions[0]
                )
                if additive and not self.steps.can_change(function):
                    return self._missed(f"@{name} is not linear in x")
        return [self._part(part) for part in parts]

    def _missed(self, message: str) -> None:
        self.misses.append(message)

    def _part(self, part: bt.PartAttr) -> Part:
        function = function_named(self.module, part.functions[0])
        match part.kind:
            case bt.Rung.LINEAR:
                return Linear(part, function)
            case bt.Rung.EXPONENTIAL:
                return Exponential(part, function)
            case bt.Rung.LIFTED:
                tail = function_named(self.module, part.functions[1])
                return Lifted(part, function, tail)
            case _:
                return Network(
                    part.coefficient,
                    lambda leaves, x: of_samples(function, leaves, x)[:, 0],
                )

    def network(self, leaves: Sequence[Any], x: Any) -> Any:
        """Return log psi of x (B, N), by the user's function."""
        return self._logpsi(jax.tree.unflatten(self._structure, leaves), x)

    @cached_property
    def steps(self) -> Steps:
        """The differences that lanes make, one row for each lane and difference."""
        moves = self._moves
        assert isinstance(moves, Moves)
        lanes, rows, writes = moves.deltas.shape
        steps = np.zeros((lanes, rows, self.kernel.space.size))
        for write in range(writes):
            sites = moves.sites[:, write]
            known = np.nonzero(sites >= 0)[0]
            for row in range(rows):
                # No two writes of a lane change one site: shadowed ones change nothing
                steps[known, row, sites[known]] += moves.deltas[known, row, write]
        return Steps(steps.reshape(lanes * rows, -1), self._values, self._dtype)

    # endregion
    # region Energies

    def energies(self, arrays: _Arrays, chunk: int | None) -> Any:
        """Return the energies of a batch, by the fastest schedule that is safe."""
        whole = [Network(1.0, self.network)]

        def packed():
            return self._chunked(whole, [None], 1, arrays, chunk)

        if self.parts is None or not self.lanes:
            return packed()
        parts = self.parts
        tables = [part.table(arrays.leaves, self.steps) for part in parts]
        limit = LARGEST_LOGARITHM[jnp.finfo(self.element).bits // 8]
        choice: Any = len(UNITS)
        for number, units in reversed(list(enumerate(UNITS))):
            bounds = [p.bound(t, units) for p, t in zip(parts, tables, strict=True)]
            # What is not a number is not safe either
            safe = jnp.stack([bound < limit for bound in bounds]).all()
            choice = jnp.where(safe, number, choice)

        def fused(units: int):
            laid_out = [
                p.laid_out(t, units) for p, t in zip(parts, tables, strict=True)
            ]
            return self._chunked(parts, laid_out, units, arrays, chunk)

        return lax.switch(choice, [*(partial(fused, units) for units in UNITS), packed])

    def _chunked(
        self,
        parts: Sequence[Part],
        tables: Sequence[Any],
        units: int,
        arrays: _Arrays,
        chunk: int | None,
    ) -> Any:
        def one(x):
            bases = [part.base(arrays.leaves, x, units) for part in parts]

            def log_ratio(pairs: Pairs):
                found = [
                    part.log_ratio(base, table, pairs, x)
                    for part, base, table in zip(parts, bases, tables, strict=True)
                ]
                return sum(found[1:], start=found[0])

            def logarithms(lanes: _Lanes):
                return _over_pairs(lanes, log_ratio, chunk or PAIRS)

            return self._summed(arrays.operands, x, logarithms)

        batch = arrays.x.shape[0]
        samples = min(SAMPLES, batch)
        if batch <= samples:
            return one(arrays.x)
        return _over_chunks(one, arrays.x, samples)

    def _summed(
        self, operands: Sequence[Any], x: Any, logarithms: Callable[[_Lanes], Any]
    ) -> Any:
        """Return the energies of x, (C,), with the log ratios of lanes, (C, R)."""
        samples = x.shape[0]
        results = list(self._kernel_of(samples)(x, *operands))
        energies = jnp.zeros(samples, self.element)
        if self._energy.diagonal is not None:
            energies = energies + results.pop()
        if not self.lanes:
            return energies
        elements = results.pop()
        writes = len(results) // 2
        lanes = _Lanes(self._moves, x, results[:writes], results[writes:])
        found = logarithms(lanes)
        if lanes.live is None:
            ratios = jnp.exp(found)
        else:
            # Where x' is x, nothing was computed
            safe = jnp.where(lanes.live, found, jnp.zeros_like(found))
            ratios = jnp.exp(safe)
        # No branch is no branch, however large the ratio is
        nothing = (elements == 0) & ~jnp.isfinite(ratios)
        ratios = jnp.where(nothing, jnp.zeros_like(ratios), ratios)
        return energies + (elements * ratios).sum(axis=1).astype(self.element)

    def unfused(self, arrays: _Arrays) -> Any:
        """Return the energies with log psi at every x': what derivatives are of."""
        leaves, x = arrays.leaves, arrays.x

        def logarithms(lanes: _Lanes):
            shape = lanes.shape
            connected = lanes.connected(jnp.arange(shape[0] * shape[1]))
            after = self.network(leaves, connected).reshape(shape)
            difference = after - self.network(leaves, x)[:, None]
            is_node = jnp.isneginf(after.real)
            return jnp.where(is_node, jnp.full_like(difference, -jnp.inf), difference)

        return self._summed(arrays.operands, x, logarithms)

    # endregion


@dataclass(frozen=True)
class _Arrays:
    """What an energy is computed from: parameters of operator and network, and x."""

    operands: Sequence[Any]
    leaves: Sequence[Any]
    x: Any

    @property
    def flat(self) -> list[Any]:
        return [*self.operands, *self.leaves, self.x]

    def like(self, flat: Sequence[Any]) -> _Arrays:
        count = len(self.operands)
        return _Arrays(flat[:count], flat[count:-1], flat[-1])


class _Lanes:
    """The lanes of a chunk of samples: C samples of R lanes of K writes.

    Attributes:
        shape: (C, R).
        live: where x' is another configuration, (C, R); None where it always is.
    """

    def __init__(
        self, moves: Moves | str, x: Any, sites: Sequence[Any], values: Sequence[Any]
    ):
        self._moves = moves
        self._x = x
        self._sites = sites
        self._values = values
        self.shape = (x.shape[0], values[0].shape[1])
        rows = np.arange(x.shape[0])[:, None]
        inside = [jnp.clip(site, 0, x.shape[1] - 1) for site in sites]
        self._sources = [
            x[:, site] if site.ndim == 1 else x[rows, site] for site in inside
        ]
        self.live = self._live()

    def _live(self) -> Any:
        """Return where x' is another configuration; None where it always is."""
        if isinstance(self._moves, Moves) and self._moves.always:
            return None
        changes = [
            (value != source) & (site >= 0)
            for value, source, site in zip(
                self._values, self._sources, self._sites, strict=True
            )
        ]
        return reduce(jnp.logical_or, changes)

    def pairs(self, flat: Any) -> Pairs:
        """Return pairs by their numbers in (C, R), row by row."""
        sample, lane = flat // self.shape[1], flat % self.shape[1]
        row, positive = lane, None
        if isinstance(self._moves, Moves):
            row, positive = self._directions(flat, lane, self._moves)
        return Pairs(
            sample,
            row,
            positive,
            lambda x: self.connected(flat),
            lambda: self._changes(flat, lane),
        )

    def _changes(self, flat: Any, lane: Any) -> tuple[Any, Any, Any]:
        """Return sites, old and new values of pairs, each (P, K)."""

        def of_pairs(column: Any) -> Any:
            return column[lane] if column.ndim == 1 else column.reshape(-1)[flat]

        sites = jnp.stack([of_pairs(site) for site in self._sites], axis=-1)
        old = jnp.stack([of_pairs(source) for source in self._sources], axis=-1)
        new = jnp.stack([of_pairs(value) for value in self._values], axis=-1)
        inside = (sites >= 0) & (sites < self._x.shape[1])
        sites = jnp.where(inside, sites, 0)
        old = jnp.where(inside, old, self._x[flat // self.shape[1], :1])
        return sites, old, jnp.where(inside, new, old)

    def _directions(self, flat: Any, lane: Any, moves: Moves) -> tuple[Any, Any]:
        """Return the rows of pairs in tables of differences, and their signs."""
        if moves.rows == 1 and not moves.signed:
            return lane, None
        deltas = jnp.asarray(moves.deltas, np.float32)
        changes = jnp.stack(
            [
                value.reshape(-1)[flat].astype(np.float32)
                - source.reshape(-1)[flat].astype(np.float32)
                for value, source in zip(self._values, self._sources, strict=True)
            ],
            axis=-1,
        )
        # Without a site nothing changes, whatever is written
        changes = jnp.where(jnp.asarray(moves.sites >= 0)[lane], changes, 0)
        overlaps = jnp.einsum("puk,pk->pu", deltas[lane], changes, precision="highest")
        if moves.rows == 1:
            return lane, overlaps[:, 0] > 0
        distances = [
            jnp.abs(changes[:, None, :] - sign * deltas[lane]).sum(axis=-1)
            for sign in (1, -1)
        ]
        nearest = jnp.minimum(*distances).argmin(axis=1)
        overlap = jnp.take_along_axis(overlaps, nearest[:, None], axis=1)[:, 0]
        return lane * moves.rows + nearest, overlap > 0 if moves.signed else None

    def connected(self, flat: Any) -> Any:
        """Return x' of pairs, (P, N)."""
        lanes = self.shape[1]
        connected = self._x[flat // lanes]
        numbers = np.arange(self._x.shape[1], dtype=np.int32)
        for site, value in zip(self._sites, self._values, strict=True):
            at = site[flat % lanes] if site.ndim == 1 else site.reshape(-1)[flat]
            written = value.reshape(-1)[flat][:, None]
            connected = jnp.where(numbers == at[:, None], written, connected)
        return connected


def _over_pairs(lanes: _Lanes, log_ratio: Callable[[Pairs], Any], chunk: int) -> Any:
    """Return the log ratios of all live lanes, (C, R), so many pairs at once."""
    total = lanes.shape[0] * lanes.shape[1]
    chunk = min(chunk, total)
    trips = -(-total // chunk)
    dtype = jax.eval_shape(lambda: log_ratio(lanes.pairs(jnp.zeros(1, np.int32)))).dtype
    found = jnp.zeros(trips * chunk, dtype)
    if lanes.live is None:
        order = None
        count = trips
    else:
        live = lanes.live.reshape(-1)
        places = jnp.cumsum(live, dtype=np.int32) - 1
        end = trips * chunk
        order = jnp.zeros(end, np.int32)
        order = order.at[jnp.where(live, places, end)].set(
            np.arange(total, dtype=np.int32), mode="drop", unique_indices=True
        )
        count = (places[-1] + chunk) // chunk

    def body(trip, found):
        start = trip * chunk
        if order is None:
            numbers = start + np.arange(chunk, dtype=np.int32)
            flat = jnp.minimum(numbers, total - 1)
        else:
            flat = lax.dynamic_slice(order, (start,), (chunk,))
        return lax.dynamic_update_slice(found, log_ratio(lanes.pairs(flat)), (start,))

    found = lax.fori_loop(0, count, body, found)
    if order is None:
        return found[:total].reshape(lanes.shape)
    return found[jnp.maximum(places, 0)].reshape(lanes.shape)


def _over_chunks(function: Callable[[Any], Any], x: Any, size: int) -> Any:
    """Return a function of rows of x, (B,), so many rows at once."""
    batch = x.shape[0]
    count = -(-batch // size)
    missing = count * size - batch
    if missing:
        x = jnp.concatenate([x, x[:missing]])
    return lax.map(function, x.reshape(count, size, x.shape[1])).reshape(-1)[:batch]


# region Derivatives


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _energies(program: EnergyProgram, chunk: int | None, operands: int, *flat):
    arrays = _Arrays(flat[:operands], flat[operands:-1], flat[-1])
    return program.energies(arrays, chunk)


@partial(_energies.defjvp, symbolic_zeros=True)
def _pushed(program, chunk, operands, flat, tangents):
    energies = _energies(program, chunk, operands, *flat)
    template = _Arrays(flat[:operands], flat[operands:-1], flat[-1])
    active = tuple(
        not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
        and jnp.issubdtype(primal.dtype, jnp.inexact)
        for primal, tangent in zip(flat, tangents, strict=True)
    )
    if not any(active):
        return energies, jnp.zeros_like(energies)

    def merged(residuals, chosen):
        given = iter(chosen)
        return [
            next(given) if is_active else residual
            for residual, is_active in zip(residuals, active, strict=True)
        ]

    def chosen(values):
        return [v for v, is_active in zip(values, active, strict=True) if is_active]

    def forward(residuals, changes):
        def of(*moving):
            arrays = template.like(merged(residuals, moving))
            return program.energies(arrays, chunk)

        return [jax.jvp(of, chosen(residuals), list(changes))[1]]

    def transpose(residuals, cotangents):
        (cotangent,) = cotangents
        return _pulled(program, template, residuals, merged, chosen, active, cotangent)

    (change,) = linear_function(forward, transpose, list(flat), chosen(tangents))
    return energies, change


def _pulled(program, template, residuals, merged, chosen, active, cotangent):
    """Pull a cotangent (B,) back, in chunks, through energies that are not fused."""
    x = residuals[-1]
    batch = x.shape[0]
    size = max(1, min(batch, BACKWARD_STATES // max(1, program.lanes)))
    count = -(-batch // size)
    missing = count * size - batch
    padded = jnp.concatenate([x, x[:1].repeat(missing, axis=0)]) if missing else x
    cotangent = jnp.pad(cotangent, (0, missing))
    by_x = active[-1]

    def of_chunk(sums, chunk):
        rows, given = chunk

        def energies(*moving):
            return program.unfused(
                template.like(merged([*residuals[:-1], rows], moving))
            )

        _, pull = jax.vjp(energies, *chosen([*residuals[:-1], rows]))
        pulled = list(pull(given))
        own = pulled.pop() if by_x else ()
        return [s + p for s, p in zip(sums, pulled, strict=True)], own

    start = [jnp.zeros_like(one) for one in chosen(residuals)]
    if by_x:
        start.pop()
    chunks = (
        padded.reshape(count, size, x.shape[1]),
        cotangent.reshape(count, size),
    )
    sums, own = lax.scan(of_chunk, start, chunks)
    if not by_x:
        return sums
    return [*sums, jnp.asarray(own).reshape(-1, x.shape[1])[:batch]]


# endregion
# region What users call

_PROGRAMS: OrderedDict[Hashable, EnergyProgram] = OrderedDict()
_PROGRAMS_KEPT = 64
_LOCK = threading.Lock()


def _program(
    kernel: Kernel, logpsi: Callable[..., Any], parameters: Any, dtype
) -> EnergyProgram:
    structure, avals = _static_of(parameters)
    types = tuple((aval.shape, np.dtype(aval.dtype)) for aval in avals)
    key = (kernel, logpsi, structure, types, np.dtype(dtype), x64_enabled())
    if isinstance(logpsi, WithCaptured) or not _is_hashable(key):
        return EnergyProgram(kernel, logpsi, structure, avals, dtype)
    with _LOCK:
        if key in _PROGRAMS:
            _PROGRAMS.move_to_end(key)
            return _PROGRAMS[key]
    made = EnergyProgram(kernel, logpsi, structure, avals, dtype)
    with _LOCK:
        _PROGRAMS[key] = made
        if len(_PROGRAMS) > _PROGRAMS_KEPT:
            _PROGRAMS.popitem(last=False)
    return made


def _is_hashable(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


@partial(jax.jit, static_argnums=(0, 1, 2))
def _run(program: EnergyProgram, chunk: int | None, operands: int, *flat):
    return _energies(program, chunk, operands, *flat)


class LocalEnergy:
    """The local energy of an operator for a wavefunction, compiled together.

    `logpsi(parameters, x)` returns log psi of x of shape (B, N), as (B,): any function
    that JAX can trace, real or complex, such as the `apply` of a model of Flax.

    It is a function (parameters, x) -> energies for `jax.jit`, `jax.vmap`, and
    derivatives by the parameters of the network and those of the operator.
    """

    def __init__(self, op: Any, logpsi: Callable[..., Any]):
        self.operator: CompiledOperator = (
            op.compile() if isinstance(op, SymbolicOperator) else op
        )
        self.logpsi = logpsi

    def __call__(self, parameters: Any, x: Any, chunk: int | None = None) -> jax.Array:
        """Return the local energies of x (..., N), of shape (...).

        `chunk` is how many pairs of samples and lanes are computed at once; by default
        it is planned.
        """
        operator = self.operator
        array = operator._checked(x)
        lead, sites = array.shape[:-1], array.shape[-1]
        one = jax.ShapeDtypeStruct((1, sites), array.dtype)
        logpsi, parameters = without_captured(self.logpsi, parameters, one)
        program = _program(operator.kernel, logpsi, parameters, array.dtype)
        operands = operator._bound()
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(parameters)]
        if not array.size:
            return jnp.zeros(lead, program.element)
        flat = array.reshape(-1, sites)
        run = _energies if isinstance(logpsi, WithCaptured) else _run
        energies = run(program, chunk, len(operands), *operands, *leaves, flat)
        return energies.reshape(lead)

    def program(self, parameters: Any, dtype: Any = np.int8) -> EnergyProgram:
        """Return what is compiled for parameters, and configurations of a dtype."""
        return _program(self.operator.kernel, self.logpsi, parameters, dtype)


def local_energy(
    op: Any,
    logpsi: Callable[..., Any],
    parameters: Any,
    x: Any,
    chunk: int | None = None,
) -> jax.Array:
    """Return the local energies of x: see `LocalEnergy`."""
    return LocalEnergy(op, logpsi)(parameters, x, chunk)


# endregion
