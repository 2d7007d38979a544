"""Samples of autoregressive wavefunctions, drawn site after site with what is known."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax._src.core import trace_state_clean
from jax.core import Tracer

from dialects import bt
from dialects.stablehlo import dtype_of, element_of
from lowering.bt.bt_specialize import state_type
from lowering.sampling.lower_draws import bytes_of_sample, samples_at_once
from symir.compiler.context import SymbolicPassReport
from symir.compiler.sampling import (
    compile_draws,
    conditionals,
    draws,
    draws_pipeline,
)
from symir.compiler.trace import Trace
from symir.errors import InputError
from symir.language.scalars import shortened
from symir.operator.spaces import Space, as_space
from symir.plain_text import Reading
from symir.runtime.functions import Function, Source
from symir.runtime.importing import static_of
from symir.runtime.local_energy.captured import WithCaptured, without_captured
from symir.runtime.local_energy.declarations import TracedWavefunction
from symir.runtime.local_energy.keys import with_keys_as_numbers
from symir.runtime.local_energy.program import chunk_size
from symir.runtime.manual_axes import in_auto_axes, spread
from symir.runtime.wavefunctions import Programs, WavefunctionProgram, wavefunction


class DrawsProgram(WavefunctionProgram):
    """What draws configurations of one wavefunction, for some types.

    Attributes:
        space: that of the configurations.
        power: of |psi|.
        module: the IR: a function (noise, parameters) -> (x, log psi).
        reports: what the passes did.
        order: the site of each step.
    """

    def __init__(
        self,
        logpsi: Callable[..., Any],
        structure: Any,
        avals: Sequence[jax.ShapeDtypeStruct],
        space: Space,
        dtype: Any,
        power: float,
        traced: TracedWavefunction | None = None,
    ):
        """Compile it.

        Raises:
            InputError: where sites cannot be drawn one after the other (C033).
        """
        name = getattr(logpsi, "__qualname__", type(logpsi).__name__)
        own = structure, avals, space.size, dtype, traced
        super().__init__(name, logpsi, *own)
        self.space, self.power = space, power
        found = conditionals(self.imported)
        if isinstance(found, str):
            raise self._not_autoregressive(found)
        self.order = tuple(int(site) for site in found.order)
        self.reports: list[SymbolicPassReport] = []
        values = [space.local_states_at(site) for site in range(space.size)]
        module = draws(self.imported, self.order, values, power)
        trace = Trace(dump="draws", reports=self.reports, keeps_stages=False)
        self.module = compile_draws(module, trace)
        if self.op.written is None:
            raise self._not_autoregressive(self._missed)
        self._functions: dict[tuple[int, int], Function] = {}

    def again(self, traced: TracedWavefunction) -> DrawsProgram:
        own = self._structure, self._avals, self.space, self.dtype, self.power
        return DrawsProgram(self._logpsi, *own, traced)

    @cached_property
    def op(self) -> bt.DrawOp:
        """What the module draws."""
        return next(op for op in self.module.walk() if isinstance(op, bt.DrawOp))

    @property
    def _missed(self) -> str:
        notes = [note for one in self.reports for note in one.remarks]
        return "; ".join(note.message for note in notes)

    def _not_autoregressive(self, found: str) -> InputError:
        return InputError(
            "C033",
            "the sites of this wavefunction cannot be drawn one after the other",
            operator=self.name,
            expected="a sum of terms, each of one site more than those before",
            found=found,
            hint="draw from other wavefunctions with a Markov chain",
        )

    def source(self, arrays: Sequence[Any], chunk: int | None) -> Source:
        """Return what draws any number of samples, of noise and parameters."""
        return Source(
            partial(self._function, chunk=chunk),
            {}.__getitem__,  # it calls no function of JAX
            arrays,
            lambda: self.is_of(self._traced()),
        )

    def _function(self, batch: int, chunk: int | None) -> Function:
        size = chunk_size(batch, chunk, samples_at_once(self.op))
        if (batch, size) not in self._functions:
            state = state_type(self.dtype)
            pipeline = draws_pipeline(self.module, batch, state, size)
            trace = Trace(dump=f"draws-{batch}x{state}", keeps_stages=False)
            module = pipeline.run_and_verify(self.module, verified=True, trace=trace)
            self._functions[batch, size] = Function(module)
        return self._functions[batch, size]


_PROGRAMS = Programs[DrawsProgram]()


@partial(jax.jit, static_argnums=(0, 1))
def _drawn(program: DrawsProgram, chunk: int | None, *arrays: Any):
    return _linked(_PROGRAMS.current(program), chunk, *arrays)


def _linked(program: DrawsProgram, chunk: int | None, *arrays: Any):
    *leaves, noise = arrays
    source = program.source(arrays, chunk)
    return source.linked(noise.shape[0])(noise, *leaves)


@dataclass(frozen=True)
class DrawReport(Reading):
    """How configurations are drawn.

    Attributes:
        order: the site of each step.
        groups: how many loops there are, each over some of the steps.
        bytes: what is kept of each sample while it is drawn.
        samples: how many are drawn at once by default.
    """

    order: tuple[int, ...]
    groups: int
    bytes: int
    samples: int

    def __str__(self) -> str:
        return (
            f"{len(self.order)} sites are drawn in {self.groups} "
            f"loop{'s' if self.groups > 1 else ''}, "
            f"{self.samples} samples at once by default, of which "
            f"{self.bytes} bytes are kept each"
        )


class Autoregressive:
    """Independent samples of an autoregressive wavefunction, drawn site after site.

    `logpsi(parameters, x)` returns log psi of x of shape (B, N), as (B,): any function
    that JAX can trace whose sites have an order such that log psi is a sum of terms,
    each of one site more than those before, and |psi| ** power adds up to 1 over the
    values of each: networks with masked dense layers or masked convolutions, such as
    `netket.models.ARNNDense`, or your own, in any order of sites. That is found in what
    the function computes: nothing has to be declared. What a layer computes for a site
    is computed once, when the last site is drawn that it needs, and kept.

    Args:
        logpsi: the function log psi.
        space: a `Space`, or a Hilbert space of NetKet: the values of each site.
        power: samples are drawn of |psi| ** power.

    Raises:
        InputError: for what is no function, or a power that is not positive (C034).
        DefinitionError: for what is no space: see `as_space`.

    Attributes:
        logpsi: the function log psi.
        space: the space of the configurations.
        power: of |psi|.
    """

    def __init__(self, logpsi: Callable[..., Any], space: Any, *, power: float = 2.0):
        if not callable(logpsi):
            raise _no_sampler("a function log psi of (parameters, x)", logpsi)
        is_number = isinstance(power, Real) and not isinstance(power, bool)
        if not is_number or not 0 < power < np.inf:
            raise _no_sampler("a positive number as the power", power)
        self.logpsi, self.power = logpsi, float(power)
        self.space = as_space(space)

    def sample(
        self,
        parameters: Any,
        key: Any,
        samples: int,
        *,
        dtype: Any = None,
        chunk: int | None = None,
        sharding: Any = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Return samples x (samples, N), and log psi of each, (samples,).

        It is a function for `jax.jit` and `jax.vmap`. Sample c depends on the key, the
        parameters and c alone, whatever the chunks and devices are. Derivatives do not
        go through it: differentiate `logpsi` at the samples.

        Args:
            parameters: those of log psi, a pytree.
            key: a key of JAX.
            samples: how many.
            dtype: that of x; by default the smallest integers that hold all local
                values, or float64, float32 without 64 bits, where these are not whole.
            chunk: how many are drawn at once, at most; by default what 2 MB hold.
            sharding: how samples are spread over devices, a `jax.sharding.Sharding`.

        Raises:
            InputError: where the sites cannot be drawn one after the other (C033), for
                a number or chunk that cannot be (R020), a dtype that cannot hold the
                local values (R002), and, where JAX is not tracing, for probabilities
                that do not add up to 1 (R022), or samples outside of the space (R007).
                While it is tracing, log psi is NaN where they do not add up to 1, and
                nobody looks whether samples are in the space.
        """
        for what, number, least in (("samples", samples, 0), ("chunk", chunk, 1)):
            whole = isinstance(number, int | np.integer) and number >= least
            whole = whole and not isinstance(number, bool)
            if not whole and not (what == "chunk" and chunk is None):
                raise InputError(
                    "R020",
                    f"{what} cannot have this value",
                    operator="Autoregressive",
                    expected=f"an integer of {least} or more",
                    found=repr(number),
                )
        parameters = with_keys_as_numbers(parameters)
        logpsi, parameters, program = self._program(parameters, self._dtype(dtype))
        leaves = [
            lax.stop_gradient(jnp.asarray(leaf)) for leaf in jax.tree.leaves(parameters)
        ]
        noise = self._noise(program, key, int(samples))
        if sharding is not None:
            noise = spread(noise, sharding)
        if not samples:
            program = _PROGRAMS.current(program)
            log = dtype_of(element_of(program.op.logarithm))
            return jnp.zeros((0, self.space.size), program.dtype), jnp.zeros(0, log)
        run = _linked if isinstance(logpsi, WithCaptured) else _drawn
        arrays = *leaves, noise
        x, log_psi = in_auto_axes(partial(run, program, chunk), arrays)(*arrays)
        if not isinstance(x, Tracer):
            self._check(program, x, log_psi)
        return x, log_psi

    def report(self, parameters: Any, *, dtype: Any = None) -> DrawReport:
        """Return how configurations are drawn.

        Raises:
            InputError: where the sites cannot be drawn one after the other (C033).
        """
        program = self._current(parameters, dtype)
        assert program.op.bounds is not None
        return DrawReport(
            program.order,
            len(program.op.bounds.get_values()) - 1,
            bytes_of_sample(program.op),
            samples_at_once(program.op),
        )

    def module(self, parameters: Any, *, dtype: Any = None) -> Any:
        """Return the IR: what is drawn, by which functions."""
        return self._current(parameters, dtype).module

    def _current(self, parameters: Any, dtype: Any) -> DrawsProgram:
        """Return the program of log psi as it is by now."""
        parameters = with_keys_as_numbers(parameters)
        return _PROGRAMS.current(self._program(parameters, self._dtype(dtype))[2])

    def _program(
        self, parameters: Any, dtype: np.dtype
    ) -> tuple[Callable[..., Any], Any, DrawsProgram]:
        """Return log psi, its parameters, and the program of these."""
        logpsi, traced, space = self.logpsi, None, self.space
        if not trace_state_clean():
            traced = wavefunction(logpsi, *static_of(parameters), space.size, dtype)
            logpsi, parameters = without_captured(logpsi, parameters, traced)
            traced = None if isinstance(logpsi, WithCaptured) else traced

        def made(structure: Any, avals: Sequence[Any]) -> DrawsProgram:
            own = logpsi, structure, avals, space, dtype, self.power
            return DrawsProgram(*own, traced)

        key = space, dtype, self.power
        return logpsi, parameters, _PROGRAMS.get(key, logpsi, parameters, made)

    def _noise(self, program: DrawsProgram, key: Any, samples: int) -> jax.Array:
        """Return numbers from 0 to below 1 for the sites of each sample."""
        dtype = dtype_of(element_of(program.op.noise))

        def of(number: Any) -> jax.Array:
            own = jax.random.fold_in(key, number)
            return jax.random.uniform(own, (self.space.size,), dtype)

        return jax.vmap(of)(jnp.arange(samples))

    def _dtype(self, dtype: Any) -> np.dtype:
        """Return the dtype of x; raise if it cannot hold the local values."""
        own = self.space.default_dtype() if dtype is None else np.dtype(dtype)
        own = np.dtype(jax.dtypes.canonicalize_dtype(own))
        values = np.unique(np.concatenate(self.space.local_states))
        if own.kind == "c" or (values.astype(own).astype(values.dtype) != values).any():
            raise InputError(
                "R002",
                f"configurations of {own} cannot hold the local values",
                operator="Autoregressive",
                expected=f"a real dtype with {', '.join(f'{v:g}' for v in values[:8])}",
                found=str(own),
            )
        return own

    def _check(self, program: DrawsProgram, x: Any, log_psi: Any) -> None:
        if bool(jnp.isnan(log_psi).any()):
            raise InputError(
                "R022",
                "the probabilities of the values of a site do not add up to 1",
                operator=program.name,
                expected=f"|psi| ** {self.power:g} that adds up to 1 for each site, "
                f"within {bt.NORMALISED:g}",
                found=f"NaN for {int(jnp.isnan(log_psi).sum())} of {len(x)} samples",
                hint="normalise what log psi adds for each site, such as with "
                "jax.nn.log_softmax, or say the power that it is normalised for",
            )
        if not self.space.is_constrained:
            return
        outside = ~self.space.contains(np.asarray(x))
        if outside.any():
            raise InputError(
                "R007",
                "samples are not in the space: log psi is not -inf outside of it",
                operator=program.name,
                expected=f"configurations of {self.space}",
                found=f"{np.asarray(x)[outside][0].tolist()}, and "
                f"{int(outside.sum()) - 1} more of {len(outside)}",
            )


def _no_sampler(expected: str, found: Any) -> InputError:
    return InputError(
        "C034",
        "samples are drawn of a function log psi, with a positive power",
        expected=expected,
        found=f"{type(found).__name__}: {shortened(found)}",
    )
