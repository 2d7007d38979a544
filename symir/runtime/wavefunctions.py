"""Wavefunctions as they are traced, and programs that are compiled from that."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects.func import FuncOp

from symir.errors import InputError
from symir.runtime import x64_enabled
from symir.runtime.importing import module_of, static_of, unjitted
from symir.runtime.local_energy.captured import WithCaptured
from symir.runtime.local_energy.declarations import TracedWavefunction
from symir.runtime.local_energy.deltas import registrations


def wavefunction(
    logpsi: Callable[..., Any],
    structure: Any,
    avals: Sequence[jax.ShapeDtypeStruct],
    sites: int,
    dtype: Any,
) -> TracedWavefunction:
    """Return log psi of one configuration, as it is by now."""
    parameters = jax.tree.unflatten(structure, avals)
    x = jax.ShapeDtypeStruct((1, sites), dtype)
    function = partial(floats_of, unjitted(logpsi))
    return TracedWavefunction(logpsi, function, parameters, x)


def floats_of(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns; whole numbers as floats, as `jnp.exp` does."""
    return jax.tree.map(
        lambda one: (
            one
            if jnp.issubdtype(jnp.result_type(one), jnp.inexact)
            else jnp.asarray(one, jnp.result_type(one, float))
        ),
        function(*arguments),
    )


class WavefunctionProgram(ABC):
    """What is compiled from a wavefunction, for parameters and x of some types.

    Attributes:
        name: of what it is for, in errors.
        imported: the wavefunction, as a function of the IR.
        traces: where the network is traced, along with which its IR was found.
        dtype: that of x.
    """

    def __init__(
        self,
        name: str,
        logpsi: Callable[..., Any],
        structure: Any,
        avals: Sequence[jax.ShapeDtypeStruct],
        sites: int,
        dtype: Any,
        traced: TracedWavefunction | None,
    ):
        """Take the wavefunction as it was traced, too, if that was right now."""
        self.name, self._sites, self.dtype = name, sites, np.dtype(dtype)
        self._structure, self._avals = structure, tuple(avals)
        self._logpsi = unjitted(logpsi)
        self._last = traced or self._traced()
        self._text, self.traces, self._is_new = self._last.text, self._last.traces, True
        self.imported = next(
            op for op in module_of(self._text).ops if isinstance(op, FuncOp)
        )
        results = self.imported.function_type.outputs
        shapes = [kind.get_shape() for kind in results]  # pyright: ignore
        if shapes not in ([()], [(1,)]):
            raise self._no_number((1, sites), *shapes)

    @abstractmethod
    def again(self, traced: TracedWavefunction) -> Any:
        """Return the same of a wavefunction that computes something else now."""

    def _traced(self) -> TracedWavefunction:
        own = self._logpsi, self._structure, self._avals
        return wavefunction(*own, self._sites, self.dtype)

    @property
    def current(self) -> Any:
        """This one, or another one where the wavefunction computes something else now.

        JAX traces a function again for another shape, and sees the values then that it
        holds on to: what is compiled from its IR has to be of the same values. The
        first time is right after it was imported.
        """
        is_new, self._is_new = self._is_new, False
        if is_new:
            return self
        traced = self._traced()
        if not self.is_of(traced):
            return self.again(traced)
        self.traces = traced.traces
        return self

    def is_of(self, traced: TracedWavefunction) -> bool:
        """Whether a wavefunction is this one; where JAX has its values may differ."""
        own, other = self._text, traced.text
        return own == other or module_of(own).is_structurally_equivalent(
            module_of(other)
        )

    def is_for(self, structure: Any, avals: Sequence[Any], dtype: np.dtype) -> bool:
        """Whether it is for parameters and configurations of some types."""
        types = [[(one.shape, one.dtype) for one in of] for of in (avals, self._avals)]
        return (structure, dtype, types[0]) == (self._structure, self.dtype, types[1])

    def _no_number(self, x: tuple[int, ...], *found: tuple[int, ...]) -> InputError:
        return InputError(
            "R021",
            "logpsi does not return one number for each configuration",
            operator=self.name,
            expected=f"shape ({x[0]},) for x of shape {x}",
            found=f"shape {' and '.join(map(str, found)) or 'of nothing'}",
            hint="sums over sites or units are along the last axis: axis=-1",
        )


Program = TypeVar("Program", bound=WavefunctionProgram)

PROGRAMS = 64
"""So many programs are kept."""


class Programs(Generic[Program]):
    """Programs that are kept by what they are of: the last ones that were asked for."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Program] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self,
        key: Sequence[Any],
        logpsi: Callable[..., Any],
        parameters: Any,
        make: Callable[[Any, Sequence[jax.ShapeDtypeStruct]], Program],
    ) -> Program:
        """Return the program of a key, a wavefunction and types of its parameters.

        It is made of the structure of the parameters and the types of their leaves.
        """
        structure, avals = static_of(parameters)
        types = tuple((aval.shape, np.dtype(aval.dtype)) for aval in avals)
        modes = x64_enabled(), jax.config.jax_default_matmul_precision  # pyright: ignore
        whole = (*key, logpsi, registrations(), structure, types, modes)
        if isinstance(logpsi, WithCaptured) or not _is_hashable(whole):
            return make(structure, avals)
        with self._lock:
            found = self._kept.get(whole)
            if found is not None:
                self._kept.move_to_end(whole)
        if found is not None:
            return found
        made = make(structure, avals)
        with self._lock:
            self._kept[whole] = made
            if len(self._kept) > PROGRAMS:
                self._kept.popitem(last=False)
        return made

    def current(self, program: Program) -> Program:
        """Return a program of what the wavefunction computes by now, and keep that."""
        current = program.current
        if current is not program:
            with self._lock:
                for key in [key for key, one in self._kept.items() if one is program]:
                    self._kept[key] = current
        return current


def _is_hashable(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
