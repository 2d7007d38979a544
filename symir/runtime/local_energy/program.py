"""The program of one operator, one wavefunction, and some types.

E(x) = sum over connected x' of <x|O|x'> psi(x') / psi(x). x' is never dense but where a
network has to see it.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from dialects import bt
from dialects.interpreters.bt import run_lanes
from dialects.stablehlo import dtype_of, element_of
from lowering.bt.bt_specialize import state_type
from lowering.bt.lanes import parts_of, write_count
from lowering.energy.bt_local_energy_pack import local_values
from lowering.energy.extraction import (
    energies_in,
    function_named,
    returned,
)
from lowering.energy.moves import moves_of
from lowering.energy.write_parts import tabled
from symir.compiler.context import SymbolicPassReport
from symir.compiler.failures import tolerated
from symir.compiler.local_energy import compile_energy, lanes_of_energy
from symir.compiler.lowering import kernel_pipeline
from symir.compiler.trace import Trace
from symir.errors import InputError
from symir.runtime.importing import Traced, module_of, unjitted
from symir.runtime.kernel import Kernel
from symir.runtime.local_energy.deltas import (
    Check,
    Declared,
    Delta,
    Trial,
    at_hand,
    completed,
    delta_of,
)
from symir.runtime.local_energy.live_lanes import (
    Lanes,
    Packed,
    contributions,
    over_chunks,
    over_pairs,
    over_states,
)
from symir.runtime.local_energy.parts import (
    Lifted,
    Network,
    Pairs,
    Part,
    ProductLengths,
    Rational,
    Steps,
    Written,
    added,
    difference,
    of_samples,
    unknown_op,
)
from symir.runtime.manual_axes import varying_like
from symir.runtime.traceable import TraceableKernel
from symir.spans import spanned

LARGEST_LOGARITHM = {4: 80.0, 8: 690.0}
"""Bounds on the logarithm of a product that keep it finite, by bytes of a real."""

TRIALS = (64, 2**16)
"""So many configurations at most, with so many lanes of all of them, are what a
declared delta is checked on."""

WRITTEN = (bt.Rung.LINEAR, bt.Rung.EXPONENTIAL, bt.Rung.BILINEAR)
"""Methods that are functions of the IR, and nowhere else."""

INCOMPARABLE = "a delta is declared, and nothing to compare it with"

REST = 4
"""Ratio of chunk sizes of a network: a rest that fills no chunk takes smaller ones."""

PACKING = 260
"""Cost of packing a lane: as of reading and making so many numbers a write."""


@dataclass(frozen=True)
class Arrays:
    """Inputs of an energy: parameters of operator and network, and x."""

    operands: Sequence[Any]
    leaves: Sequence[Any]
    x: Any

    @property
    def flat(self) -> list[Any]:
        return [*self.operands, *self.leaves, self.x]

    @classmethod
    def of(cls, flat: Sequence[Any], operands: int) -> Arrays:
        """Return flat arrays apart, of which so many are parameters of the operator."""
        return cls(flat[:operands], flat[operands:-1], flat[-1])

    def like(self, flat: Sequence[Any]) -> Arrays:
        return self.of(flat, len(self.operands))


@dataclass(frozen=True)
class Options:
    """Options of an energy: passes that are left out, and bytes for a chunk."""

    without: tuple[str, ...] = ()
    budget: int | None = None


@dataclass(frozen=True)
class Plan:
    """Choices of `plan-local-energy`; see there."""

    samples: int
    pairs: int
    network_pairs: int
    units: tuple[int, ...]
    peak_bytes: int
    tables: str

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
            tables=entries["tables"].data,
        )


Way = Callable[[Lanes, Packed | None], Any]
"""A way to find log psi(x') - log psi(x) of lanes, (C, R), where they are live.

It is given which they are, too: outside of branches that is found only once."""


class EnergyProgram:
    """The local energy of one operator and one wavefunction, for some types.

    Attributes:
        module: the IR that it was compiled to.
        traces: where the network is traced, along with which its IR was found.
        is_declared: whether differences of log psi are those that were declared.
        reports: what the passes did, and what not and why.
        misses: why nothing better was possible, beside what the passes say.
    """

    @spanned("compile", "local energy")
    def __init__(
        self,
        kernel: Kernel,
        logpsi: Callable[..., Any],
        structure: Any,
        avals: Sequence[jax.ShapeDtypeStruct],
        dtype: np.dtype,
        options: Options,
        traced: Traced | None = None,
        *,
        values: Sequence[Any] | None = None,
        may_declare: bool = True,
    ):
        """Take the wavefunction as it was traced, too, if that was right now.

        And take its parameters, if a delta may be checked on them: they may be traced,
        and are not kept for longer than that takes.
        """
        self.kernel = kernel
        self._structure = structure
        self._logpsi = unjitted(logpsi)
        self._dtype = np.dtype(dtype)
        self._state = state_type(dtype)
        self.misses: list[str] = []
        self._avals = tuple(avals)
        traced = traced or self._traced()
        self._text, self.traces, self._is_new = traced.text, traced.traces, True
        imported = module_of(self._text)
        self._imported = next(f for f in imported.ops if isinstance(f, FuncOp))
        results = self._imported.function_type.outputs
        shapes = [kind.get_shape() for kind in results]  # pyright: ignore
        if shapes not in ([()], [(1,)]):
            raise self._no_number((1, kernel.space.size), *shapes)
        self._log_dtype = dtype_of(element_of(returned(self._imported)))
        self._options = options
        self._is_right: Callable[[], bool] | None = None
        found, part = delta_of(logpsi) if may_declare else None, None
        if found is not None:
            self._compile(is_declared=True)
            part = self._declared(*found, at_hand(values, avals) if values else None)
        if part is None:
            self._compile(is_declared=False)
        self.parts = self._chosen() if part is None else [part]

    @cached_property
    def settled(self) -> EnergyProgram:
        """This one, or one without the declared delta where nothing was to compare.

        The comparison of a declared delta with its model is compiled while what uses it
        is traced, and outside of `jax.jit` compiled: this waits for the outcome.

        Raises:
            DefinitionError: for a delta that differs (R027).
        """
        if self._is_right is None or self._is_right():
            return self
        other = self._anew(may_declare=False)
        other._missed(INCOMPARABLE)
        return other

    def _anew(
        self, traced: Traced | None = None, *, may_declare: bool = True
    ) -> EnergyProgram:
        own = self._structure, self._avals, self._dtype, self._options, traced
        return EnergyProgram(self.kernel, self._logpsi, *own, may_declare=may_declare)

    def _traced(self) -> Traced:
        sites = self.kernel.space.size
        own = self._logpsi, self._structure, self._avals
        return wavefunction(*own, sites, self._dtype)

    @property
    def current(self) -> EnergyProgram:
        """This one, or another one where the wavefunction computes something else now.

        JAX traces a function again for another shape, and sees the values then that it
        holds on to: what is compiled from its IR has to be of the same values. The
        first time is right after it was imported.
        """
        is_new, self._is_new = self._is_new, False
        if is_new:
            return self
        traced = self._traced()
        if traced.text != self._text:
            return self._anew(traced).settled
        self.traces = traced.traces
        return self

    def _compile(self, *, is_declared: bool) -> None:
        options, kernel = self._options, self.kernel
        imported = self._imported.parent_op()
        assert isinstance(imported, ModuleOp)
        self.is_declared = is_declared
        self.reports: list[SymbolicPassReport] = []
        self.module = compile_energy(
            kernel.ir,
            imported,
            without=options.without,
            budget=options.budget,
            declared=is_declared,
            trace=Trace(reports=self.reports, keeps_stages=False),
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

    @property
    def lanes(self) -> int:
        """The number of lanes that lead elsewhere."""
        return self.energy.branches.type.lanes.data  # pyright: ignore

    def _kernel_of(self, samples: int) -> TraceableKernel:
        if samples not in self._kernels:
            lanes = self._lanes_module
            module = kernel_pipeline(samples, self._state, lanes).run_and_verify(
                lanes,
                trace=Trace(dump=f"kernel-{samples}x{self._state}", keeps_stages=False),
            )
            self._kernels[samples] = TraceableKernel(module, self.kernel.name)
        return self._kernels[samples]

    # region Parts

    @spanned("choose parts", "local energy")
    def _chosen(self) -> list[Part] | None:
        """Return the parts of log psi in the IR; None for the network as it is."""
        parts = list(self.energy.parts)
        if not self.lanes or all(part.kind is bt.Rung.NETWORK for part in parts):
            return None
        for part in (one for one in parts if not one.written.data):
            if part.kind in WRITTEN:
                return self._missed(f"no functions are written of {part}")
            for name in part.functions:
                function = function_named(self.module, name)
                unknown = unknown_op(function)
                if unknown is not None:
                    return self._missed(
                        f"'{unknown}' in @{name} is not evaluated alone"
                    )
        moves = tabled(self.energy)
        if isinstance(moves, str):
            return self._missed(f"no tables of differences: {moves}")
        self._moves = moves
        return [self._part(part) for part in parts]

    def _declared(
        self, delta: Delta, model: Any, values: Sequence[Any] | None
    ) -> Declared | None:
        """Return log psi with the changes that its author declared; see `settled`."""
        if not self.lanes or not write_count(self.energy.branches):
            return None
        if not self._trial.live.size:
            return self._missed(INCOMPARABLE)
        network = Network(1.0, self.network, self._log_dtype)
        part = Declared(delta, model, self._structure, network)
        with self.traces():
            self._is_right = Check(part, self._avals, self._trial, values).is_right
        return part

    @cached_property
    def _trial(self) -> Trial:
        """Random configurations, and what the lanes change there."""
        samples = max(1, min(TRIALS[0], TRIALS[1] // self.lanes))
        x = self.kernel.space.random_states(samples, seed=0, dtype=self._dtype)
        operands = [np.ones((), dtype) for dtype in self.kernel.parameter_dtypes]
        sites, values, _ = run_lanes(self._lanes_module, x, operands)
        kinds = [lanes for _, lanes in parts_of(self.energy.branches)]
        return Trial(x, sites, values, kinds)

    @cached_property
    def schedule(self) -> str:
        """Layout of pairs: all of them, "dense", or live ones that are "packed".

        A declared delta may be so simple that it takes less time than packing.
        """
        part = None if self.parts is None else self.parts[0]
        if not isinstance(part, Declared):
            return "packed"
        x = jax.ShapeDtypeStruct((self.kernel.space.size,), self._dtype)
        writes = write_count(self.energy.branches)
        work = part.work(self._avals, x, writes)
        return "dense" if work <= PACKING * writes else "packed"

    @property
    def rungs(self) -> list[bt.Rung]:
        """Method that each part of log psi in the IR is found by in the end."""
        parts = self.energy.parts
        is_whole = self.parts is None
        return [bt.Rung.NETWORK if is_whole else part.kind for part in parts]

    def _missed(self, message: str) -> None:
        self.misses.append(message)

    def _part(self, part: bt.PartAttr) -> Part:
        dtype = self._log_dtype
        if part.written.data:
            return Written(part, self.module, dtype)
        function = function_named(self.module, part.functions[0])
        match part.kind:
            case bt.Rung.LIFTED:
                tail = function_named(self.module, part.functions[1])
                return Lifted(part, function, tail, dtype)
            case bt.Rung.RATIONAL:
                tail = function_named(self.module, part.functions[1])
                return Rational(part, function, tail, dtype)
            case _:
                return Network(
                    part.coefficient,
                    lambda leaves, x: of_samples(function, leaves, x)[:, 0],
                    dtype,
                )

    def network(self, leaves: Sequence[Any], x: Any) -> Any:
        """Return log psi of x (B, N), by the user's function."""
        parameters = jax.tree.unflatten(self._structure, leaves)
        found = _floats_of(self._logpsi, parameters, x)
        if math.prod(found.shape) != x.shape[0]:
            raise self._no_number(x.shape, found.shape)
        return found.reshape(x.shape[0])

    def _no_number(self, x: tuple[int, ...], *found: tuple[int, ...]) -> InputError:
        return InputError(
            "R021",
            "logpsi does not return one number for each configuration",
            operator=self.kernel.name,
            expected=f"shape ({x[0]},) for x of shape {x}",
            found=f"shape {' and '.join(map(str, found)) or 'of nothing'}",
            hint="sums over sites or units are along the last axis: axis=-1",
        )

    @cached_property
    def steps(self) -> Steps:
        """The differences that tables have rows of."""
        assert not isinstance(self._moves, str)
        rows, writes = self._moves.differences(self.kernel.space.size)
        return Steps(rows, self._values, self._dtype, writes)

    # endregion
    # region Energies

    def energies(self, arrays: Arrays, chunk: int | None) -> Any:
        """Return the energies of a batch, by the fastest schedule that is safe.

        Where that is not even traced it is a fault of the parts, if the network is.
        """
        parts = self.parts
        try:
            return self._scheduled(parts, arrays, chunk)
        except jax.errors.JAXTypeError:  # such as for a value that JAX was tracing
            raise
        except Exception as error:
            if parts is None or isinstance(parts[0], Declared):
                raise
            failed = error
        found = self._scheduled(None, arrays, chunk)
        self._missed(tolerated(failed, "no part of log psi is fused").message)
        self.parts = None
        return found

    def _scheduled(
        self, parts: Sequence[Part] | None, arrays: Arrays, chunk: int | None
    ) -> Any:
        arrays = arrays.like([varying_like(one, arrays.flat) for one in arrays.flat])
        samples = at_most(chunk, self.plan.samples)
        whole = self._by_network(arrays.leaves, chunk, is_rare=parts is not None)
        if parts is None or not self.lanes:
            return self._packed([whole], 0, arrays, samples)
        if isinstance(parts[0], Declared):
            if self.schedule == "dense":
                return self._dense(parts[0], whole, arrays, samples)
            size = at_most(chunk, self.plan.pairs)
            way = self._by_parts(
                arrays.leaves, [(parts[0], None)], size, ProductLengths()
            )
            return self._packed([way], 0, arrays, samples)
        tabled = [(part, part.table(arrays.leaves, self.steps)) for part in parts]
        lengths = self.plan.units
        safe = jnp.stack([self._is_safe(tabled, n) for n in range(len(lengths))])
        products = ProductLengths(lengths, safe.argmax())
        size = self.plan.pairs
        if {bt.Rung.LIFTED, bt.Rung.NETWORK} & {p.kind for p in self.energy.parts}:
            size = self.plan.network_pairs
        size = at_most(chunk, size)
        way = self._by_parts(arrays.leaves, tabled, size, products)
        choice = jnp.where(safe.any(), 0, 1)
        return self._packed([way, whole], choice, arrays, samples)

    def _is_safe(self, tabled: Sequence[tuple[Part, Any]], number: int) -> Any:
        """Return whether no product of the length of that number overflows."""
        assert not isinstance(self._moves, str)
        products = ProductLengths(self.plan.units)
        bounds = [
            self._moves.at_once * part.bound(table, products, number)
            for part, table in tabled
        ]
        # What is not a number is not safe either
        return jnp.stack([bound < _largest(bound) for bound in bounds]).all()

    def _by_network(
        self, leaves: Sequence[Any], chunk: int | None, *, is_rare: bool
    ) -> Way:
        """Return the way by log psi at x and at x'; what is rare is compiled once."""
        size = at_most(chunk, self.plan.network_pairs)
        sizes = (size,) if is_rare else (size, -(-size // REST))
        logpsi = partial(self.network, leaves)

        def log_ratios(lanes: Lanes, packed: Packed | None) -> Any:
            before, after = over_states(lanes, packed, logpsi, sizes, self._log_dtype)
            return difference(after, before[:, None])

        return log_ratios

    def _by_parts(
        self,
        leaves: Sequence[Any],
        tabled: Sequence[tuple[Part, Any]],
        size: int,
        products: ProductLengths,
    ) -> Way:
        """Return the way by the parts of log psi, with a table each."""
        # Only what is evaluated at x can be infinite there
        has_nodes = any(isinstance(part, Network | Lifted) for part, _ in tabled)
        is_sum = len(tabled) < 2 or not has_nodes
        total = partial(reduce, jnp.add) if is_sum else added

        def log_ratios(lanes: Lanes, packed: Packed | None) -> Any:
            terms = [
                partial(
                    part.log_ratio,
                    part.base(leaves, lanes.x, products),
                    part.laid_out(table, products),
                    x=lanes.x,
                )
                for part, table in tabled
            ]

            def of_pairs(pairs: Pairs) -> Any:
                return total([term(pairs) for term in terms])

            return over_pairs(lanes, packed, of_pairs, size, self._log_dtype)

        return log_ratios

    def _packed(
        self, ways: Sequence[Way], choice: Any, arrays: Arrays, samples: int
    ) -> Any:
        """Return energies by the way of that number, for so many samples at once."""

        def one(x):
            def logarithms(lanes: Lanes):
                packed = lanes.packed()
                found = [partial(way, lanes, packed) for way in ways]
                return lanes.only_live(lax.switch(choice, found))

            return self._summed(arrays.operands, x, logarithms)

        return over_chunks(one, arrays.x, samples)

    def _dense(self, part: Declared, whole: Way, arrays: Arrays, samples: int) -> Any:
        """Return energies by a delta that is found for all lanes, live or not.

        `whole` is the way where it does not know.
        """

        def one(x):
            base = part.base(arrays.leaves, x, ProductLengths())

            def logarithms(lanes: Lanes):
                def by_network():
                    return whole(lanes, lanes.packed())

                found = part.everywhere(base, *lanes.changes()).astype(self._log_dtype)
                found = lanes.only_live(varying_like(found, [*arrays.leaves, x]))
                return completed(found, by_network)

            return self._summed(arrays.operands, x, logarithms)

        return over_chunks(one, arrays.x, samples)

    def _evaluated(
        self, operands: Sequence[Any], x: Any
    ) -> tuple[Any, Any, Lanes | None]:
        """Return what stays at x, (C,), matrix elements (C, R), and where they lead."""
        samples = x.shape[0]
        results = list(self._kernel_of(samples)(x, *operands))
        stays = jnp.zeros(samples, self.element)
        if self.energy.diagonal is not None:
            stays = stays + results.pop()
        if not self.lanes:
            return stays, None, None
        writes = write_count(self.energy.branches)
        sites, values = results[:writes], results[writes : 2 * writes]
        elements, *sources = results[2 * writes :]
        lanes = Lanes(self._moves, x, (sites, sources, values), self.lanes)
        return stays, elements, lanes

    def _summed(
        self, operands: Sequence[Any], x: Any, logarithms: Callable[[Lanes], Any]
    ) -> Any:
        """Return the energies of x, (C,), with the log ratios of lanes, (C, R)."""
        energies, elements, lanes = self._evaluated(operands, x)
        if lanes is None:
            return energies
        others = contributions(elements, logarithms(lanes)).sum(axis=1)
        return energies + others.astype(self.element)

    def unfused(self, arrays: Arrays, network: Callable[..., Any]) -> Any:
        """Return the energies with log psi at every x': what derivatives are of.

        `network(*leaves, x)` returns a list of it, of x and x' behind each other.
        """
        x = arrays.x

        def logarithms(lanes: Lanes):
            shape = lanes.shape
            connected = lanes.connected(jnp.arange(shape[0] * shape[1]))
            (psi,) = network(*arrays.leaves, jnp.concatenate([x, connected]))
            before, after = psi[: shape[0]], psi[shape[0] :].reshape(shape)
            found = difference(after, before[:, None])
            # A swap of equal values is a swap still where they change
            is_fixed = not jnp.issubdtype(x.dtype, jnp.inexact)
            return lanes.only_live(found) if is_fixed else found

        return self._summed(arrays.operands, x, logarithms)

    # endregion


def wavefunction(
    logpsi: Callable[..., Any],
    structure: Any,
    avals: Sequence[jax.ShapeDtypeStruct],
    sites: int,
    dtype: Any,
) -> Traced:
    """Return log psi of one configuration, as it is by now."""
    parameters = jax.tree.unflatten(structure, avals)
    x = jax.ShapeDtypeStruct((1, sites), dtype)
    return Traced(partial(_floats_of, unjitted(logpsi)), parameters, x)


def _floats_of(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns; whole numbers as floats, as `jnp.exp` does."""
    return jax.tree.map(
        lambda one: (
            one
            if jnp.issubdtype(jnp.result_type(one), jnp.inexact)
            else jnp.asarray(one, jnp.result_type(one, float))
        ),
        function(*arguments),
    )


def _largest(bound: Any) -> float:
    """Return below what logarithms of the precision of a number do not overflow."""
    return LARGEST_LOGARITHM[jnp.finfo(bound.dtype).bits // 8]


def at_most(chunk: int | None, planned: int) -> int:
    return planned if chunk is None else min(chunk, planned)
