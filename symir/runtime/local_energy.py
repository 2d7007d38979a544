"""Local energies: an operator and a wavefunction as one kernel.

E(x) = sum over connected x' of <x|O|x'> psi(x') / psi(x). The compiler has both sides
as IR and decides how each part of log psi changes (`lowering/local_energy`); here that
is carried out with JAX. x' is never dense but where a network has to see it.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects.func import FuncOp

from dialects import bt
from dialects.stablehlo import dtype_of, element_of
from lowering.local_energy.bt_local_energy_pack import local_values
from lowering.local_energy.extraction import energies_in, function_named
from lowering.local_energy.moves import Moves, moves_of
from symir.compiler.context import SymbolicPassReport
from symir.compiler.local_energy import compile_energy, lanes_of_energy
from symir.compiler.lowering import lower_to_stablehlo
from symir.errors import InputError
from symir.operator import SymbolicOperator
from symir.runtime import x64_enabled
from symir.runtime.captured import WithCaptured, without_captured
from symir.runtime.deltas import Declared, delta_of, executed, is_right
from symir.runtime.energy_report import EnergyReport, energy_report
from symir.runtime.importing import import_function
from symir.runtime.kernel import Kernel, state_type
from symir.runtime.linear import linear_function
from symir.runtime.manual_axes import varying_like
from symir.runtime.operator import CompiledOperator
from symir.runtime.parts import (
    Exponential,
    Lifted,
    Linear,
    Network,
    Pairs,
    Part,
    Steps,
    evaluated,
    is_linear,
    of_samples,
    unknown_op,
)
from symir.runtime.traceable import TraceableKernel

__all__ = ["LocalEnergy", "local_energy"]

LARGEST_LOGARITHM = {4: 80.0, 8: 690.0}
"""By the bytes of a real number: products whose logarithm stays below are finite."""

TRIALS = (16, 2**16, 256)
"""So many configurations at most, with so many pairs, and so many of these pairs are
what a declared delta is checked on."""

BACKWARD_STATES = 2048
"""So many x' are evaluated at once where derivatives are pulled back."""


# region What is compiled


def _static_of(tree: Any) -> tuple[Hashable, list[jax.ShapeDtypeStruct]]:
    leaves, structure = jax.tree.flatten(tree)
    avals = [
        jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves
    ]
    return structure, avals


@dataclass(frozen=True)
class Options:
    """How an energy is compiled: passes that are left out, and bytes for a chunk."""

    without: tuple[str, ...] = ()
    budget: int | None = None


@dataclass(frozen=True)
class Plan:
    """What `plan-local-energy` has chosen; see there."""

    samples: int
    pairs: int
    network_pairs: int
    units: tuple[int, ...]
    peak_bytes: int

    @classmethod
    def of(cls, energy: bt.LocalEnergyOp) -> Plan:
        """Return the plan of an op that has one."""
        assert energy.plan is not None
        entries: Any = energy.plan.data
        return cls(
            **{
                name: entries[name].value.data
                for name in ("samples", "pairs", "network_pairs", "peak_bytes")
            },
            units=tuple(entries["units"].get_values()),
        )


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
        options: Options,
    ):
        self.kernel = kernel
        self._structure = structure
        self._logpsi = logpsi
        self._dtype = np.dtype(dtype)
        self._state = state_type(dtype)
        self.reports: list[SymbolicPassReport] = []
        self.misses: list[str] = []
        x = jax.ShapeDtypeStruct((1, kernel.space.size), self._dtype)
        parameters = jax.tree.unflatten(structure, avals)
        imported = import_function(logpsi, parameters, x)
        self._avals = tuple(avals)
        self._imported = next(f for f in imported.ops if isinstance(f, FuncOp))
        self.module = compile_energy(
            kernel.ir,
            imported,
            without=options.without,
            budget=options.budget,
            report=self.reports.append,
        )
        (self.energy,) = energies_in(self.module)
        self.plan = Plan.of(self.energy)
        self.element = dtype_of(element_of(self.energy.result))
        self._values = tuple(local_values(self.energy) or ())
        self._moves = moves_of(
            self.energy.branches, self._values, size=kernel.space.size
        )
        count = len(kernel.parameter_names)
        self._lanes_module = lanes_of_energy(self.module, count)
        self._kernels: dict[int, TraceableKernel] = {}
        self.parts = self._chosen(avals)

    @property
    def lanes(self) -> int:
        """The number of lanes that lead elsewhere."""
        return self.energy.branches.type.lanes.data  # pyright: ignore

    def _kernel_of(self, samples: int) -> TraceableKernel:
        if samples not in self._kernels:
            module = lower_to_stablehlo(self._lanes_module, samples, self._state or "")
            self._kernels[samples] = TraceableKernel(module, self.kernel.name)
        return self._kernels[samples]

    # endregion
    # region Parts

    def _chosen(self, avals: Sequence[jax.ShapeDtypeStruct]) -> list[Part] | None:
        """Return the parts of log psi; None for the network as it is."""
        declared = self._declared(avals)
        if declared is not None:
            return [declared]
        moves, parts = self._moves, list(self.energy.parts)
        if not self.lanes or all(part.kind is bt.Rung.NETWORK for part in parts):
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
        if len(self._values) > 2 and not all(map(self._is_linear, parts)):
            # The difference of two values does not say which values they are
            branches = self.energy.branches
            size = self.kernel.space.size
            moves = moves_of(branches, self._values, size=size, by_values=True)
            if isinstance(moves, str):
                return self._missed(f"no tables of values: {moves}")
            self._moves = moves
        return [self._part(part) for part in parts]

    def _is_linear(self, part: bt.PartAttr) -> bool:
        if part.kind is bt.Rung.NETWORK:
            return True  # it has no table
        return is_linear(function_named(self.module, part.functions[0]))

    def _declared(self, avals: Sequence[jax.ShapeDtypeStruct]) -> Declared | None:
        """Return log psi with the changes that its author declared, once checked."""
        found = delta_of(self._logpsi)
        if found is None or not self.lanes:
            return None
        network = Network(1.0, self.network)
        part = Declared(*found, self._structure, network)
        if is_right(found[0], part, network, avals, *self._trial()):
            return part
        return self._missed("a delta is declared, and nothing to compare it with")

    def _trial(self) -> tuple[np.ndarray, Pairs]:
        """Return random configurations, (C, N), and pairs of those that are live."""
        samples = max(1, min(TRIALS[0], TRIALS[1] // self.lanes))
        x = self.kernel.space.random_states(samples, seed=0, dtype=self._dtype)
        operands = [np.ones((), dtype) for dtype in self.kernel.parameter_dtypes]
        numbers = np.arange(samples * self.lanes, dtype=np.int32)

        def all_pairs(x: Any, *operands: Any) -> Any:
            _, _, lanes = self._evaluated(operands, x)
            assert lanes is not None
            live = jnp.ones(lanes.shape, bool) if lanes.live is None else lanes.live
            return live, lanes.connected(numbers), lanes.pairs(numbers).changes()

        live, connected, changes = executed(all_pairs, x, *operands)
        chosen = np.random.default_rng(0).permutation(np.flatnonzero(live))
        chosen = chosen[: TRIALS[2]]
        connected, changes = connected[chosen], tuple(one[chosen] for one in changes)
        sample = chosen // self.lanes
        return x, Pairs(sample, chosen, None, lambda x: connected, lambda: changes)

    @property
    def rungs(self) -> list[bt.Rung]:
        """How each part of log psi in the IR is found in the end."""
        kinds = [part.kind for part in self.energy.parts]
        if self.parts is None:
            return [bt.Rung.NETWORK] * len(kinds)
        if any(isinstance(part, Declared) for part in self.parts):
            return [bt.Rung.DECLARED] * len(kinds)
        return kinds

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
        found = self._logpsi(jax.tree.unflatten(self._structure, leaves), x)
        if math.prod(found.shape) != x.shape[0]:
            raise InputError(
                "R021",
                "logpsi does not return one number for each configuration",
                operator=self.kernel.name,
                expected=f"shape ({x.shape[0]},) for x of shape {x.shape}",
                found=f"shape {found.shape}",
                hint="sums over sites or units are along the last axis: axis=-1",
            )
        return found.reshape(x.shape[0])

    @cached_property
    def derives_alike(self) -> bool:
        """Whether derivatives of the IR are those of the network.

        They are not where the user stops gradients, or has rules of his own: that is
        not said in the IR. Looked at for random parameters.
        """
        if self.parts is None or any(isinstance(p, Declared) for p in self.parts):
            return True
        if unknown_op(self._imported) is not None:
            return False
        rng = np.random.default_rng(0)

        def numbers(aval: jax.ShapeDtypeStruct) -> Any:
            return rng.normal(size=aval.shape, scale=0.5).astype(aval.dtype)

        leaves = [numbers(aval) for aval in self._avals]
        moving = [jnp.issubdtype(aval.dtype, jnp.inexact) for aval in self._avals]
        x = self.kernel.space.random_states(1, seed=0, dtype=self._dtype)

        def jvp(function: Callable[..., Any]) -> Any:
            def of(*chosen: Any) -> Any:
                given = iter(chosen)
                pairs = zip(leaves, moving, strict=True)
                return function([next(given) if m else leaf for leaf, m in pairs])

            chosen = [leaf for leaf, m in zip(leaves, moving, strict=True) if m]
            return jax.jvp(of, chosen, directions)[1]

        directions = [
            numbers(aval) for aval, m in zip(self._avals, moving, strict=True) if m
        ]
        if not directions:
            return True
        with jax.ensure_compile_time_eval():
            theirs = np.asarray(jvp(lambda given: self.network(given, jnp.asarray(x))))
            ours = np.asarray(jvp(lambda given: evaluated(self._imported, (*given, x))))
        rtol = 1e-3 if jnp.finfo(theirs.dtype).bits < 64 else 1e-8
        return bool(np.allclose(ours.reshape(-1), theirs, rtol=rtol, atol=rtol))

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
        flat = steps.reshape(lanes * rows, -1)
        if moves.olds is None:
            return Steps(flat, self._values, self._dtype)
        places = np.repeat(moves.sites[:, None, :], rows, axis=1)
        written = (places, moves.olds, moves.olds + moves.deltas)
        sites, old, new = (one.reshape(lanes * rows, writes) for one in written)
        return Steps(flat, self._values, self._dtype, (sites, old, new))

    # endregion
    # region Energies

    def energies(self, arrays: _Arrays, chunk: int | None) -> Any:
        """Return the energies of a batch, by the fastest schedule that is safe."""
        arrays = arrays.like([varying_like(one, arrays.flat) for one in arrays.flat])
        whole = [Network(1.0, self.network)]
        samples = _at_most(chunk, self.plan.samples)

        def packed():
            size = _at_most(chunk, self.plan.network_pairs)
            return self._chunked(whole, [None], 1, arrays, samples, size)

        if self.parts is None or not self.lanes:
            return packed()
        parts = self.parts
        if isinstance(parts[0], Declared):
            size = _at_most(chunk, self.plan.pairs)
            return self._chunked(parts, [None], 1, arrays, samples, size)
        tables = [part.table(arrays.leaves, self.steps) for part in parts]
        choice: Any = len(self.plan.units)
        for number, units in reversed(list(enumerate(self.plan.units))):
            bounds = [p.bound(t, units) for p, t in zip(parts, tables, strict=True)]
            # What is not a number is not safe either
            safe = jnp.stack([bound < _largest(bound) for bound in bounds]).all()
            choice = jnp.where(safe, number, choice)

        size = self.plan.pairs
        if any(part.kind is bt.Rung.LIFTED for part in self.energy.parts):
            size = self.plan.network_pairs
        size = _at_most(chunk, size)

        def fused(units: int):
            laid_out = [
                p.laid_out(t, units) for p, t in zip(parts, tables, strict=True)
            ]
            return self._chunked(parts, laid_out, units, arrays, samples, size)

        return lax.switch(
            choice, [*(partial(fused, units) for units in self.plan.units), packed]
        )

    def _chunked(
        self,
        parts: Sequence[Part],
        tables: Sequence[Any],
        units: int,
        arrays: _Arrays,
        samples: int,
        size: int,
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
                return lanes.only_live(_over_pairs(lanes, log_ratio, size))

            return self._summed(arrays.operands, x, logarithms)

        if arrays.x.shape[0] <= samples:
            return one(arrays.x)
        return _over_chunks(one, arrays.x, samples)

    def _evaluated(
        self, operands: Sequence[Any], x: Any
    ) -> tuple[Any, Any, _Lanes | None]:
        """Return what stays at x, (C,), matrix elements (C, R), and where they lead."""
        samples = x.shape[0]
        results = list(self._kernel_of(samples)(x, *operands))
        stays = jnp.zeros(samples, self.element)
        if self.energy.diagonal is not None:
            stays = stays + results.pop()
        if not self.lanes:
            return stays, None, None
        elements = results.pop()
        writes = len(results) // 2
        sites, values = results[:writes], results[writes:]
        lanes = _Lanes(self._moves, x, sites, values, self.lanes)
        return stays, elements, lanes

    def _summed(
        self, operands: Sequence[Any], x: Any, logarithms: Callable[[_Lanes], Any]
    ) -> Any:
        """Return the energies of x, (C,), with the log ratios of lanes, (C, R)."""
        energies, elements, lanes = self._evaluated(operands, x)
        if lanes is None:
            return energies
        others = _contributions(elements, logarithms(lanes)).sum(axis=1)
        return energies + others.astype(self.element)

    def unfused(self, arrays: _Arrays) -> Any:
        """Return the energies with log psi at every x': what derivatives are of."""
        leaves, x = arrays.leaves, arrays.x

        def logarithms(lanes: _Lanes):
            shape = lanes.shape
            connected = lanes.connected(jnp.arange(shape[0] * shape[1]))
            after = self.network(leaves, connected).reshape(shape)
            difference = after - self.network(leaves, x)[:, None]
            is_node = jnp.isneginf(after.real)
            difference = jnp.where(is_node, -jnp.inf, difference)
            # A swap of equal values is a swap still where they change
            is_fixed = not jnp.issubdtype(x.dtype, jnp.inexact)
            return lanes.only_live(difference) if is_fixed else difference

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


def _largest(bound: Any) -> float:
    """Return below what logarithms of the precision of a number do not overflow."""
    return LARGEST_LOGARITHM[jnp.finfo(bound.dtype).bits // 8]


class _Lanes:
    """The lanes of a chunk of samples: C samples of R lanes of K writes.

    Attributes:
        x: (C, N).
        shape: (C, R).
        live: where x' is another configuration, (C, R); None where it always is.
    """

    def __init__(
        self,
        moves: Moves | str,
        x: Any,
        sites: Sequence[Any],
        values: Sequence[Any],
        lanes: int,
    ):
        self._moves = moves
        self.x = x
        self._sites = sites
        self._values = values
        self.shape = (x.shape[0], lanes)
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
        if not self._values:
            return jnp.zeros(self.shape, bool)
        changes = [
            (value != source) & (site >= 0)
            for value, source, site in zip(
                self._values, self._sources, self._sites, strict=True
            )
        ]
        return reduce(jnp.logical_or, changes)

    def only_live(self, log_ratios: Any) -> Any:
        """Return log ratios (C, R) with 0 where x' is x."""
        if self.live is None:
            return log_ratios
        return jnp.where(self.live, log_ratios, jnp.zeros_like(log_ratios))

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
        inside = (sites >= 0) & (sites < self.x.shape[1])
        sites = jnp.where(inside, sites, 0)
        old = jnp.where(inside, old, self.x[flat // self.shape[1], :1])
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
        if moves.olds is not None:
            return lane * moves.rows + self._of_values(flat, lane, changes), None
        if moves.rows == 1:
            return lane, overlaps[:, 0] > 0
        distances = [
            jnp.abs(changes[:, None, :] - sign * deltas[lane]).sum(axis=-1)
            for sign in (1, -1)
        ]
        nearest = jnp.minimum(*distances).argmin(axis=1)
        overlap = jnp.take_along_axis(overlaps, nearest[:, None], axis=1)[:, 0]
        return lane * moves.rows + nearest, overlap > 0 if moves.signed else None

    def _of_values(self, flat: Any, lane: Any, changes: Any) -> Any:
        """Return which differences pairs have, told apart by the values before."""
        moves = self._moves
        assert isinstance(moves, Moves)
        assert moves.olds is not None
        sources = [source.reshape(-1)[flat] for source in self._sources]
        old = jnp.stack(sources, axis=-1).astype(np.float32)
        old = jnp.where(jnp.asarray(moves.sites >= 0)[lane], old, 0)
        distances = [
            jnp.abs(one[:, None, :] - jnp.asarray(known, np.float32)[lane]).sum(axis=-1)
            for one, known in ((changes, moves.deltas), (old, moves.olds))
        ]
        return sum(distances[1:], start=distances[0]).argmin(axis=1)

    def connected(self, flat: Any) -> Any:
        """Return x' of pairs, (P, N)."""
        lanes = self.shape[1]
        connected = self.x[flat // lanes]
        numbers = np.arange(self.x.shape[1], dtype=np.int32)
        for site, value in zip(self._sites, self._values, strict=True):
            at = site[flat % lanes] if site.ndim == 1 else site.reshape(-1)[flat]
            written = value.reshape(-1)[flat][:, None]
            connected = jnp.where(numbers == at[:, None], written, connected)
        return connected


def _at_most(chunk: int | None, planned: int) -> int:
    return planned if chunk is None else min(chunk, planned)


def _over_pairs(lanes: _Lanes, log_ratio: Callable[[Pairs], Any], chunk: int) -> Any:
    """Return the log ratios of all live lanes, (C, R), so many pairs at once."""
    total = lanes.shape[0] * lanes.shape[1]
    chunk = min(chunk, total)
    trips = -(-total // chunk)
    dtype = jax.eval_shape(lambda: log_ratio(lanes.pairs(jnp.zeros(1, np.int32)))).dtype
    found = varying_like(jnp.zeros(trips * chunk, dtype), [lanes.x])
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
    size = -(-batch // count)  # none of them is nearly empty
    missing = count * size - batch
    if missing:
        x = jnp.concatenate([x, x[:missing]])
    return lax.map(function, x.reshape(count, size, x.shape[1])).reshape(-1)[:batch]


# region Derivatives


@jax.custom_jvp
def _contributions(elements: Any, log_ratios: Any) -> Any:
    """Return elements times ratios: no branch is no branch, however large its ratio."""
    ratios = jnp.exp(log_ratios)
    values = elements * ratios
    nothing = (elements == 0) & ~jnp.isfinite(ratios)
    return jnp.where(nothing, jnp.zeros_like(values), values)


@partial(_contributions.defjvp, symbolic_zeros=True)
def _contributions_pushed(primals, tangents):
    # Not by the rule of products: 0 times infinity is not a number
    elements, log_ratios = primals
    values = _contributions(elements, log_ratios)
    factors = (jnp.exp(log_ratios), values)
    changes = [
        (factor * tangent).astype(values.dtype)
        for factor, tangent in zip(factors, tangents, strict=True)
        if not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    ]
    return values, sum(changes, start=jnp.zeros_like(values))


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

    def energies_of(run):
        def of(residuals, moving):
            return run(template.like(merged(residuals, moving)))

        return of

    # How lanes move x is known while x stays: tables do not follow a change of it. And
    # rules of the user's own for derivatives are nowhere in the IR
    by_network = any(active[operands:-1])
    is_unfused = active[-1] or (by_network and not program.derives_alike)
    unfused = energies_of(partial(_unfused, program, chunk))
    fused = energies_of(lambda one: program.energies(one, chunk))
    fused = unfused if is_unfused else fused

    def pushed_through(energies):
        def forward(residuals, changes):
            moving = chosen(residuals)
            return [
                jax.jvp(partial(energies, residuals), (moving,), (list(changes),))[1]
            ]

        return forward

    def transpose(residuals, cotangents):
        _, pull = jax.vjp(partial(unfused, residuals), chosen(residuals))
        return pull(cotangents[0])[0]

    (change,) = linear_function(
        pushed_through(fused),
        transpose,
        list(flat),
        chosen(tangents),
        smooth=pushed_through(unfused),
    )
    return energies, change


def _unfused(program: EnergyProgram, chunk: int | None, arrays: _Arrays) -> Any:
    """Return the energies with log psi at every x', some samples at once.

    They are computed again where derivatives are pulled back: of no x' a value is kept.
    """
    batch = arrays.x.shape[0]
    states = _at_most(chunk, BACKWARD_STATES)
    size = max(1, min(batch, states // max(1, program.lanes)))

    @jax.checkpoint
    def of_chunk(flat, x):
        return program.unfused(arrays.like([*flat, x]))

    own = [varying_like(one, arrays.flat) for one in arrays.flat]
    return _over_chunks(partial(of_chunk, own[:-1]), own[-1], size)


# endregion
# region What users call

_PROGRAMS: OrderedDict[Hashable, EnergyProgram] = OrderedDict()
_PROGRAMS_KEPT = 64
_LOCK = threading.Lock()


def _program(
    kernel: Kernel,
    logpsi: Callable[..., Any],
    parameters: Any,
    dtype: Any,
    options: Options,
) -> EnergyProgram:
    structure, avals = _static_of(parameters)
    types = tuple((aval.shape, np.dtype(aval.dtype)) for aval in avals)
    declared = delta_of(logpsi)
    delta = declared and declared[0]
    dtype = np.dtype(dtype)
    key = (kernel, logpsi, delta, structure, types, dtype, options, x64_enabled())
    if isinstance(logpsi, WithCaptured) or not _is_hashable(key):
        return EnergyProgram(kernel, logpsi, structure, avals, dtype, options)
    with _LOCK:
        if key in _PROGRAMS:
            _PROGRAMS.move_to_end(key)
            return _PROGRAMS[key]
    made = EnergyProgram(kernel, logpsi, structure, avals, dtype, options)
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

    `without` names passes that are left out, such as "apply-exponential-sums"; `budget`
    is what memory in bytes a chunk of samples may take, by default 2 MB.
    """

    def __init__(
        self,
        op: Any,
        logpsi: Callable[..., Any],
        *,
        without: Collection[str] = (),
        budget: int | None = None,
    ):
        self.operator: CompiledOperator = (
            op.compile() if isinstance(op, SymbolicOperator) else op
        )
        self.logpsi = logpsi
        self.options = Options(tuple(without), budget)

    def __call__(self, parameters: Any, x: Any, chunk: int | None = None) -> jax.Array:
        """Return the local energies of x (..., N), of shape (...).

        `chunk` is how many configurations the network sees at once, at most; by default
        it is planned. Where derivatives are pulled back it sees all x' of one at least.
        """
        operator = self.operator
        if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
            raise InputError(
                "R020",
                "chunk cannot have this value",
                operator=operator.name,
                expected="a positive integer, or None",
                found=repr(chunk),
            )
        array = operator._checked(x)
        lead, sites = array.shape[:-1], array.shape[-1]
        one = jax.ShapeDtypeStruct((1, sites), array.dtype)
        logpsi, parameters = without_captured(self.logpsi, parameters, one)
        program = _program(
            operator.kernel, logpsi, parameters, array.dtype, self.options
        )
        operands = operator._bound()
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(parameters)]
        if not array.size:
            return jnp.zeros(lead, program.element)
        flat = array.reshape(-1, sites)
        run = _energies if isinstance(logpsi, WithCaptured) else _run
        energies = run(program, chunk, len(operands), *operands, *leaves, flat)
        return energies.reshape(lead)

    def report(self, parameters: Any, x: Any, *, measure: bool = True) -> EnergyReport:
        """Return what became of the operator and the wavefunction, for such arguments.

        It is compiled for x, to see what memory XLA takes; not with `measure=False`.
        """
        operator = self.operator
        array = operator._checked(x)
        program = self.program(parameters, array.dtype)
        measured = None
        if measure:
            operands = operator._bound()
            leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(parameters)]
            flat = array.reshape(-1, array.shape[-1])
            arrays = [*operands, *leaves, flat]
            lowered = _run.lower(program, None, len(operands), *arrays)
            analysis: Any = lowered.compile().memory_analysis()
            measured = int(analysis.temp_size_in_bytes)
        return energy_report(program, operator.name, measured)

    def program(self, parameters: Any, dtype: Any = np.int8) -> EnergyProgram:
        """Return what is compiled for parameters, and configurations of a dtype."""
        return _program(
            self.operator.kernel, self.logpsi, parameters, dtype, self.options
        )


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
