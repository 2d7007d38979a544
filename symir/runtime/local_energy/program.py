"""The program of one operator, one wavefunction, and some types.

E(x) = sum over connected x' of <x|O|x'> psi(x') / psi(x). x' is never dense but where a
network has to see it.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import bt
from dialects.interpreters.bt import changes_of, run_lanes
from dialects.stablehlo import dtype_of, element_of
from lowering.bt.bt_specialize import state_type
from lowering.bt.lanes import parts_of, write_count
from lowering.energy.apply_declared_deltas import erase_declared
from lowering.energy.bt_local_energy import is_network
from lowering.energy.extraction import energies_in, returned
from lowering.energy.lower_local_energy import unfused
from lowering.energy.plan_distinct_states import has_distinct_states
from lowering.energy.write_parts import tabled
from symir.compiler.context import SymbolicPassReport
from symir.compiler.failures import tolerated
from symir.compiler.garbage_collection import collector_paused
from symir.compiler.local_energy import (
    compile_energy,
    energy_kernel_pipeline,
    lanes_of_energy,
)
from symir.compiler.lowering import LoweringPipeline, kernel_pipeline
from symir.compiler.trace import Trace
from symir.runtime.functions import Function, Linked, Source
from symir.runtime.importing import FreshTraces
from symir.runtime.kernel import Kernel
from symir.runtime.local_energy.declarations import TracedWavefunction
from symir.runtime.local_energy.declared_parts import DeclaredParts, LanesOf
from symir.runtime.local_energy.delta_checks import Changes, at_hand
from symir.runtime.local_energy.reference import contributions, difference, states_of
from symir.runtime.traceable import TraceableKernel
from symir.runtime.wavefunctions import WavefunctionProgram, floats_of
from symir.spans import spanned

TRIALS = (64, 2**16)
"""So many configurations at most, with so many lanes of all of them, are what a
declared delta is checked on."""

INCOMPARABLE = "a delta is declared for {}, and nothing to compare it with"

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
    """Options of an energy.

    Attributes:
        without: passes that are left out.
        budget: bytes for a chunk.
        passes: others over the IR.
        distinct: whether equal x' are evaluated once; None where samples say so.
    """

    without: tuple[str, ...] = ()
    budget: int | None = None
    passes: tuple[ModulePass, ...] = ()
    distinct: bool | None = None

    @property
    def of_passes(self) -> dict[str, Any]:
        """What the passes are told, by name."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return own | {"distinct": bool(self.distinct)}


class EnergyProgram(WavefunctionProgram):
    """The local energy of one operator and one wavefunction, for some types.

    Attributes:
        options: those of the energy.
        imported: the wavefunction, as a function of the IR.
        module: the IR that it was compiled to.
        lanes_module: the lanes alone, see `lanes_of_energy`.
        traces: where the network is traced, along with which its IR was found.
        declared: the parts of log psi whose differences are declared.
        reports: what the passes did, and what not and why.
        misses: why nothing better was possible, beside what the passes say.
        is_repeated: whether equal states are worth finding, by how many samples there
            are, as the first ones of that number said.
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
        traced: TracedWavefunction | None = None,
        *,
        values: Sequence[Any] | None = None,
    ):
        """Take the wavefunction as it was traced, too, if that was right now.

        And take its parameters, if deltas may be checked on them: they may be traced,
        and are not kept.

        Raises:
            DefinitionError: for a declared delta that is wrong: see `Check.is_right`.
        """
        self.kernel = kernel
        self._state = state_type(dtype)
        self.misses: list[str] = []
        self.is_repeated: dict[int, bool] = {}
        own = structure, avals, kernel.space.size, dtype
        super().__init__(kernel.name, logpsi, *own, traced)
        self._log_dtype = dtype_of(element_of(returned(self.imported)))
        self.options = options
        self._compile(self._last)
        if self.is_fused and self.declared:
            given = at_hand(values, avals) if values else None
            with self.traces():
                refused = self.declared.incomparable(self._lanes_of(), given)
            if refused:
                imported = self.imported.parent_op()
                assert isinstance(imported, ModuleOp)
                erase_declared(imported, refused)
                self._compile(self._last)
                self.misses += map(INCOMPARABLE.format, sorted(refused))

    def _choose(self) -> None:
        """Find whether parts of log psi are found each by its own method."""
        missed = unfused(self.energy, tabled(self.energy))
        if missed:
            self._missed(missed)
        self.is_fused = missed is None

    def again(self, traced: TracedWavefunction) -> EnergyProgram:
        own = self._structure, self._avals, self.dtype, self.options, traced
        return EnergyProgram(self.kernel, self._logpsi, *own)

    def _compile(self, traced: TracedWavefunction) -> None:
        self.reports: list[SymbolicPassReport] = []
        with collector_paused():
            self._take(self.planned(Trace(reports=self.reports, keeps_stages=False)))
        self.declared = DeclaredParts(self.module, traced.declarations)
        self._choose()

    def planned(self, trace: Trace, *, strict: bool = False) -> ModuleOp:
        """Run the passes to a plan; with `strict` none may fail."""
        return compile_energy(
            self.kernel.ir,
            cast("ModuleOp", self.imported.parent_op()),
            **self.options.of_passes,
            strict=strict,
            trace=trace,
        )

    def _take(self, module: ModuleOp) -> None:
        """Compute what a module with a plan says."""
        self.module = module
        (self.energy,) = energies_in(module)
        assert self.energy.plan is not None
        self.plan: Any = self.energy.plan.data
        self.element = dtype_of(element_of(self.energy.result))
        count = len(self.kernel.parameter_names)
        self.lanes_module = lanes_of_energy(self.module, count)
        self._lanes: dict[int, TraceableKernel] = {}
        self._functions: dict[Any, Function] = {}
        self._oracles: dict[str, Callable[..., Any]] = {}

    @property
    def lanes(self) -> int:
        """The number of lanes that lead elsewhere."""
        return self.energy.branches.type.lanes.data  # pyright: ignore

    # region Parts

    def _lanes_of(self) -> LanesOf:
        """Return random configurations, and what the lanes change there."""
        samples = max(1, min(TRIALS[0], TRIALS[1] // self.lanes))
        x = self.kernel.space.random_states(samples, seed=0, dtype=self.dtype)
        operands = [np.ones((), dtype) for dtype in self.kernel.parameter_dtypes]

        def at(x: Any) -> Changes:
            sites, values, _ = run_lanes(self.lanes_module, x, operands)
            return changes_of(x, sites, values)

        kinds = [lanes for _, lanes in parts_of(self.energy.branches)]
        return LanesOf(x, at, kinds)

    @cached_property
    def schedule(self) -> str:
        """Layout of pairs: "dense", all of them, "packed", live ones, or "distinct".

        Declared deltas may be so simple that they take less time than packing.
        """
        if has_distinct_states(self.energy):
            return "distinct"
        is_dense = self.is_fused and self.declared.are_simple(PACKING)
        return "dense" if is_dense else "packed"

    @property
    def rungs(self) -> list[str]:
        """Method that each part of log psi in the IR is found by in the end."""
        parts = self.energy.parts
        return [part.kind if self.is_fused else bt.Rung.NETWORK for part in parts]

    def _missed(self, message: str) -> None:
        self.misses.append(message)

    def network(self, leaves: Sequence[Any], x: Any) -> Any:
        """Return log psi of x (B, N), by the user's function."""
        parameters = jax.tree.unflatten(self._structure, leaves)
        found = floats_of(self._logpsi, parameters, x)
        if math.prod(found.shape) != x.shape[0]:
            raise self._no_number(x.shape, found.shape)
        return found.reshape(x.shape[0])

    def check_derivatives(self) -> None:
        """Raise where derivatives would be of something else than the energies."""

    # endregion
    # region Energies

    def linked(self, arrays: Arrays, chunk: int | None) -> Linked:
        """Return what finds the energies of a batch.

        Where parts of log psi fail it is the network, and a fault of ours.
        """
        source, batch = self.source(arrays, chunk), arrays.x.shape[0]
        if not self.is_fused or self.declared:
            return source.linked(batch)
        try:
            return source.linked(batch)
        except jax.errors.JAXTypeError:  # such as for a value that JAX was tracing
            raise
        except Exception as error:
            failed = error
        self.is_fused = False
        found = source.linked(batch)
        self._missed(tolerated(failed, "no part of log psi is fused").message)
        return found

    def source(self, arrays: Arrays, chunk: int | None) -> Source:
        """Return what finds the energies of any number of samples."""
        return Source(
            partial(self._function, chunk=chunk),
            partial(self._traced_there, self.traces),
            arrays.flat,
            lambda: self.is_of(self._traced()),
        )

    def _function(
        self, batch: int, chunk: int | None, *, ratios: bool = False
    ) -> Function:
        key = (batch, chunk, ratios, self.is_fused)
        if key not in self._functions:
            pipeline = self.kernel_pipeline(batch, chunk, ratios=ratios)
            dump = f"energy-{batch}x{self._state}"
            trace = Trace(dump=dump, keeps_stages=False)
            with collector_paused():
                own = self.module
                module = pipeline.run_and_verify(own, verified=True, trace=trace)
                self._functions[key] = Function(module)
        return self._functions[key]

    def kernel_pipeline(
        self,
        batch: int,
        chunk: int | None,
        *,
        samples: int | None = None,
        ratios: bool = False,
    ) -> LoweringPipeline:
        """Return the passes from the plan to a kernel of a batch.

        So many samples are taken at once, or else as many as is planned.
        """
        return energy_kernel_pipeline(
            self.module,
            batch,
            samples or chunk_size(batch, chunk, self.plan.samples),
            self._state,
            chunk=chunk,
            ratios=ratios,
            fused=self.is_fused,
            dense=self.schedule == "dense",
        )

    def _of_name(self, name: str) -> tuple[Callable[..., Any], int]:
        """Return the function of JAX of a name, and of how many parameters it is."""
        if is_network(name):
            return self._network, len(self._avals)
        return self.declared.named(name)

    def _traced_there(self, traces: FreshTraces, name: str) -> Callable[..., Any]:
        function, _ = self._of_name(name)

        def named(*given: Any) -> Any:
            with traces():
                return function(*given)

        return named

    def oracle(self, name: str) -> Callable[..., Any]:
        """Return the same as a function of arrays of NumPy, for interpreters.

        It may be of one sample, or one change, too.
        """
        if name in self._oracles:
            return self._oracles[name]
        is_one = name.rpartition(".")[2] in ("network", "cache", "ratio")
        function, count = self._of_name(f"{name}.1" if is_one else name)
        of_many = jax.jit(function)

        def of_arrays(*given: Any) -> list[np.ndarray]:
            parameters, rest = given[:count], given[count:]
            if is_one:
                rest = [np.asarray(one)[None] for one in rest]
            found = map(np.asarray, of_many(*parameters, *rest))
            return [one[0] if is_one else one for one in found]

        self._oracles[name] = of_arrays
        return of_arrays

    def _network(self, *given: Any) -> Any:
        found = self.network(given[:-1], given[-1])
        # In the IR bfloat16 is float32, and a number of Python has a type of its own
        return [found.astype(jnp.promote_types(found.dtype, self._log_dtype))]

    def _elements(self, operands: Sequence[Any], x: Any) -> tuple[Any, ...]:
        """Return what stays at x, (C,), matrix elements (C, R), and writes.

        That is: sites, values of x and of x' there, each of all writes.
        """
        samples = x.shape[0]
        if samples not in self._lanes:
            module = self.lanes_module
            pipeline = kernel_pipeline(samples, self._state, module)
            dump = f"kernel-{samples}x{self._state}"
            found = pipeline.run_and_verify(
                module, trace=Trace(dump=dump, keeps_stages=False)
            )
            self._lanes[samples] = TraceableKernel(found, self.kernel.name)
        results = list(self._lanes[samples](x, *operands))
        stays = jnp.zeros(samples, self.element)
        if self.energy.diagonal is not None:
            stays = stays + results.pop()
        if not self.lanes:
            return stays, jnp.zeros((samples, 0), self.element), []
        writes = write_count(self.energy.branches)
        sites, values = results[:writes], results[writes : 2 * writes]
        elements, *sources = results[2 * writes :]
        return stays, elements, list(zip(sites, sources, values, strict=True))

    def _summed(self, stays: Any, elements: Any, logarithms: Any) -> Any:
        others = contributions(elements, logarithms).sum(axis=1)
        return stays + others.astype(self.element)

    def by_elements(self, arrays: Arrays, chunk: int | None, linked: Linked) -> Any:
        """Return energies with derivatives by matrix elements alone.

        `linked` finds the energies, and calls what the log ratios are found by.
        """
        most = chunk, self.plan.samples
        samples = chunk_size(arrays.x.shape[0], *most, divides=True)
        of_batch = partial(self._function, chunk=chunk, ratios=True)
        ratios = linked.of(samples, of_batch)

        def of_chunk(x: Any) -> Any:
            stays, elements, _ = self._elements(arrays.operands, x)
            given = map(lax.stop_gradient, (x, *arrays.operands, *arrays.leaves))
            (found,) = ratios(*given) if self.lanes else (jnp.zeros_like(elements),)
            return self._summed(stays, elements, found)

        return over_chunks(of_chunk, arrays.x, samples)

    def unfused(self, arrays: Arrays, network: Callable[..., Any]) -> Any:
        """Return the energies with log psi at every x': what derivatives are of.

        `network(*leaves, x)` returns a list of it, of x and x' behind each other.
        """
        x = arrays.x
        stays, elements, writes = self._elements(arrays.operands, x)
        if not self.lanes:
            return stays
        connected, live = states_of(x, writes)
        states = jnp.concatenate([x[:, None], connected], axis=1)
        (psi,) = network(*arrays.leaves, states.reshape(-1, x.shape[1]))
        psi = psi.reshape(x.shape[0], -1)
        found = difference(psi[:, 1:], psi[:, :1])
        # A swap of equal values is a swap still where they change
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            found = jnp.where(live, found, jnp.zeros_like(found))
        return self._summed(stays, elements, found)

    # endregion


def chunk_size(batch: int, *most: int | None, divides: bool = False) -> int:
    """Return how many of a batch are taken at once; no chunk is nearly empty.

    It may be asked to divide the batch, as what `over_chunks` fills up does not stay
    where it is, on many devices: it does if that takes no more than twice the chunks.
    """
    limits = (one for one in most if one is not None)
    least = -(-batch // max(1, min(batch, *limits)))
    counts = range(least, 2 * least if divides else least)
    return -(-batch // next((n for n in counts if batch % n == 0), least))


def over_chunks(function: Callable[[Any], Any], x: Any, size: int) -> Any:
    """Return a function of rows of x, (B,), so many rows at once.

    These are from all of x: where it is spread over devices, each has some of them.
    """
    batch = x.shape[0]
    if batch <= size:
        return function(x)
    count = -(-batch // size)
    missing = count * size - batch
    if missing:
        x = jnp.concatenate([x, x[:missing]])
    chunks = x.reshape(size, count, x.shape[1]).swapaxes(0, 1)
    return lax.map(function, chunks).T.reshape(-1)[:batch]
