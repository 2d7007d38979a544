"""The local energies of an operator and a wavefunction, as users call them."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.core import trace_state_clean
from xdsl.passes import ModulePass

from symir.compiler.failures import tolerated
from symir.errors import InputError
from symir.files import write_file
from symir.language.scalars import shortened
from symir.operator.symbolic_operator import SymbolicOperator
from symir.runtime.compiled_operator import CompiledOperator
from symir.runtime.export import exported_energy
from symir.runtime.importing import static_of
from symir.runtime.jax_spans import run_spans
from symir.runtime.kernel import Kernel
from symir.runtime.local_energy.captured import WithCaptured, without_captured
from symir.runtime.local_energy.declarations import TracedWavefunction
from symir.runtime.local_energy.derivatives import differentiable_energies
from symir.runtime.local_energy.energy_report import EnergyReport, energy_report
from symir.runtime.local_energy.keys import with_keys_as_numbers
from symir.runtime.local_energy.manifest import energy_manifest
from symir.runtime.local_energy.program import EnergyProgram, Options
from symir.runtime.local_energy.repeats import Repeats, repeats_of
from symir.runtime.manual_axes import in_auto_axes
from symir.runtime.wavefunctions import Programs, wavefunction

_PROGRAMS = Programs[EnergyProgram]()


def _program(
    kernel: Kernel,
    logpsi: Callable[..., Any],
    parameters: Any,
    dtype: Any,
    options: Options,
    traced: TracedWavefunction | None = None,
) -> EnergyProgram:
    """Return a program, which is kept."""

    def made(structure: Any, avals: Sequence[jax.ShapeDtypeStruct]) -> EnergyProgram:
        own = kernel, logpsi, structure, avals, np.dtype(dtype), options
        if isinstance(logpsi, WithCaptured):  # it was traced before it was that
            return EnergyProgram(*own)
        return EnergyProgram(*own, traced, values=jax.tree.leaves(parameters))

    key = kernel, np.dtype(dtype), options
    return _PROGRAMS.get(key, logpsi, parameters, made)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _run(program: EnergyProgram, chunk: int | None, operands: int, *flat):
    return differentiable_energies(_PROGRAMS.current(program), chunk, operands, *flat)


class LocalEnergy:
    """The local energy of an operator for a wavefunction, compiled together.

    `logpsi(parameters, x)` returns log psi of x of shape (B, N), as (B,): any function
    that JAX can trace, real or complex, such as the `apply` of a model of Flax.

    It is a function (parameters, x) -> energies for `jax.jit`, `jax.vmap`, and
    derivatives by the parameters of the network and those of the operator.

    `without` names passes that are left out, such as "apply-exponential-sums"; `budget`
    is what memory in bytes a chunk of samples may take, by default 2 MB, and up to four
    times as much where a network, or a declared delta, is evaluated for each x', or
    eight times where equal x' are evaluated once.
    `passes` are passes of your own over the IR, before log psi is taken apart.
    `distinct` says whether equal x' of a chunk are evaluated once, which molecules,
    small systems and peaked states have many of; by default the first samples that it
    is called with decide, where JAX is not tracing: `report` says how many are equal.

    Samples are configurations of the operator's space: local values that it does not
    have are an error where JAX is not tracing (R007), of which a sample is looked at;
    where it has a fixed number of particles, the energy of another configuration may be
    NaN.

    Raises `InputError` for what is no operator, or no function of this kind (C032).

    Attributes:
        operator: the operator, compiled.
        logpsi: the function log psi.
        options: passes that are left out and added, memory, and equal x'.
        is_edited: whether its IR was edited by hand: `LoweredOperator.replace_ir`.
    """

    is_edited = False

    def __init__(
        self,
        op: SymbolicOperator | CompiledOperator,
        logpsi: Callable[..., Any],
        *,
        without: Collection[str] = (),
        budget: int | None = None,
        passes: Sequence[ModulePass] = (),
        distinct: bool | None = None,
    ):
        operator = op.compile() if isinstance(op, SymbolicOperator) else op
        _check_kinds(operator, logpsi)
        self.operator: CompiledOperator = operator
        self.logpsi = logpsi
        self.options = Options(tuple(without), budget, tuple(passes), distinct)

    @run_spans("local energy", operator="operator.name")
    def __call__(self, parameters: Any, x: Any, chunk: int | None = None) -> jax.Array:
        """Return the local energies of x (..., N), of shape (...).

        `chunk` is how many configurations the network sees at once, at most; by default
        it is planned. For derivatives by its parameters it sees all x' of one at least.
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
        logpsi, traced = self.logpsi, None
        parameters = with_keys_as_numbers(parameters)
        if not trace_state_clean():
            traced = wavefunction(logpsi, *static_of(parameters), sites, array.dtype)
            logpsi, parameters = without_captured(logpsi, parameters, traced)
        operands, leaves = operator._bound(), self.leaves(parameters)
        program = self._program(logpsi, parameters, array.dtype, traced)
        if not array.size:
            return jnp.zeros(lead, _PROGRAMS.current(program).element)
        flat = array.reshape(-1, sites)
        if traced is None:
            program = self._chosen(program, parameters, flat)
        run = differentiable_energies if isinstance(logpsi, WithCaptured) else _run
        arrays = *operands, *leaves, flat
        run = in_auto_axes(partial(run, program, chunk, len(operands)), arrays)
        return run(*arrays).reshape(lead)

    def report(self, parameters: Any, x: Any, *, measure: bool = True) -> EnergyReport:
        """Return what became of the operator and the wavefunction, for such arguments.

        It is compiled for x, to see what memory XLA takes; not with `measure=False`.
        """
        operator = self.operator
        array = operator._checked(x)
        parameters = with_keys_as_numbers(parameters)
        packed = self.program(parameters, array.dtype)
        flat = array.reshape(-1, array.shape[-1])
        program = self.program(parameters, array.dtype, flat)
        measured = None
        if measure:
            operands, leaves = operator._bound(), self.leaves(parameters)
            arrays = [*operands, *leaves, flat]
            lowered = _run.lower(program, None, len(operands), *arrays)
            analysis: Any = lowered.compile().memory_analysis()
            measured = int(analysis.temp_size_in_bytes)
        repeats = self._repeats(packed, flat) if _is_at_hand(flat) else None
        return energy_report(program, operator.name, measured, repeats)

    def _chosen(self, program: EnergyProgram, parameters: Any, x: Any) -> EnergyProgram:
        """Return a program, or one that finds equal states where that pays.

        What the first samples of a number say is for all of that number: others would
        be compiled anew.
        """
        if self.is_edited or self.options.distinct is not None or not _is_at_hand(x):
            return program
        known, batch = program.is_repeated, x.shape[0]
        if batch not in known:
            repeats = self._repeats(program, x)
            known[batch] = repeats is not None and repeats.pays
        if not known[batch]:
            return program
        options = replace(self.options, distinct=True)
        kernel, logpsi = self.operator.kernel, self.logpsi
        return _program(kernel, logpsi, parameters, x.dtype, options)

    def replace(self, **parameters: Any) -> LocalEnergy:
        """Return the same with other values of parameters of the operator.

        Raises as `CompiledOperator.replace`.
        """
        return self.of(self.operator.replace(**parameters))

    def of(self, op: SymbolicOperator | CompiledOperator) -> LocalEnergy:
        """Return the local energy of another operator for the same wavefunction.

        Parameters of one that was not compiled have the values that they have here.
        """
        other = copy(self)
        if isinstance(op, SymbolicOperator):
            names, known = {one.name for one in op.symbols}, self.operator.parameters
            op = op.compile().replace(**{n: known[n] for n in names & known.keys()})
        other.operator = op
        return other

    def manifest(self, parameters: Any, x: Any) -> dict[str, Any]:
        """Return all that explains and reproduces the compilation, as JSON data.

        Beside the name and fingerprint of the operator there are the options, the
        passes with their times and numbers of ops, and as a pipeline string of xDSL,
        the parts of log psi, the plan, the parameters of the operator with their
        values, the leaves of those of the network with names, shapes and dtypes, what
        goes into a kernel and what comes out ("batch" standing for the number of
        samples), and the versions.
        """
        array = self.operator._checked(x)
        flat = array.reshape(-1, array.shape[-1])
        program = self.program(parameters, array.dtype, flat)
        own = {n: np.asarray(v).item() for n, v in self.operator.parameters.items()}
        return energy_manifest(program, with_keys_as_numbers(parameters), own)

    def export(
        self,
        path: str | os.PathLike[str],
        parameters: Any,
        x: Any,
        batch: str | int = "b",
        *,
        chunk: int = 256,
        platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    ) -> None:
        """Write the energy to a file that runs with JAX, without symir.

        The file holds what `jax.export` serialises of a function of the parameters of
        the network, x (batch, N) and a dictionary of those of the operator, which
        returns the energies (batch,):

            energies = jax.export.deserialize(bytearray(file.read_bytes()))
            energies.call(parameters, x, {"h": 0.5})

        It is for parameters and x of the types that are given here; values do not
        count, except for those that log psi holds on to. All parameters of the operator
        have to be given. What the file holds has no derivatives.

        Args:
            path: the file; one that exists is replaced.
            parameters: those of the network.
            x: configurations (.., N), of which only the dtype counts.
            batch: the number of samples, or a name for any number but 0: then samples
                run in chunks, which takes about as long as a whole last chunk.
            chunk: how many samples run at once where `batch` is a name.
            platforms: what the file is to run on; of "cpu", "cuda", "rocm" and "tpu".

        Raises:
            SymbolicCompilerError: where JAX cannot export the network, or the package
                flatbuffers is missing (C024); for an argument that cannot be (C025);
                where the file cannot be written (C015).
        """
        dtype = np.dtype(self.operator._checked(x).dtype)
        data = exported_energy(
            self,
            parameters,
            batch=batch,
            dtype=dtype,
            chunk=chunk,
            platforms=platforms,
        )
        write_file(path, bytes(data), self.operator.name)

    def leaves(self, parameters: Any) -> list[jax.Array]:
        """Return the parameters of the network as arrays, in order."""
        numbers = with_keys_as_numbers(parameters)
        return [jnp.asarray(leaf) for leaf in jax.tree.leaves(numbers)]

    def _repeats(self, program: EnergyProgram, x: Any) -> Repeats | None:
        try:
            return repeats_of(program, self.operator._bound(), x)
        except Exception as error:  # to count them is to save time, and no more
            message = tolerated(error, "equal states are not counted").message
        if message not in program.misses:
            program.misses.append(message)
        return None

    def program(
        self, parameters: Any, dtype: Any = np.int8, x: Any = None
    ) -> EnergyProgram:
        """Return what is compiled for parameters, and configurations of a dtype.

        Or for samples x (B, N), which may say that equal states are found.
        """
        self.operator.check_dtype(np.dtype(dtype))
        parameters = with_keys_as_numbers(parameters)
        program = self._program(self.logpsi, parameters, np.dtype(dtype), None)
        return _PROGRAMS.current(
            program if x is None else self._chosen(program, parameters, x)
        )

    def _program(
        self, logpsi: Any, parameters: Any, dtype: np.dtype, traced: Any
    ) -> EnergyProgram:
        kernel = self.operator.kernel
        return _program(kernel, logpsi, parameters, dtype, self.options, traced)


def _is_at_hand(x: Any) -> bool:
    """Whether samples are numbers, which this process has, and at least one."""
    return bool(x.size) and trace_state_clean() and x.is_fully_addressable


def _check_kinds(op: Any, logpsi: Any) -> None:
    is_module = hasattr(logpsi, "apply") and hasattr(logpsi, "init")
    if not isinstance(op, CompiledOperator):
        wrong, expected, hint = op, "an operator that is built, or compiled", None
        if hasattr(op, "build"):
            hint = "DOperator(..).build() makes one"
        elif hasattr(op, "hilbert"):
            hint = "from_netket(..) makes one of an operator of NetKet"
    elif is_module or not callable(logpsi):
        wrong, expected = logpsi, "a function logpsi(parameters, x)"
        hint = "the apply of the model: LocalEnergy(op, model.apply)"
    else:
        return
    raise InputError(
        "C032",
        "a local energy is of an operator and a function log psi",
        expected=expected,
        found=f"{type(wrong).__name__}: {shortened(wrong)}",
        hint=hint,
    )


def local_energy(
    op: SymbolicOperator | CompiledOperator,
    logpsi: Callable[..., Any],
    parameters: Any,
    x: Any,
    chunk: int | None = None,
) -> jax.Array:
    """Return the local energies of x: see `LocalEnergy`."""
    return LocalEnergy(op, logpsi)(parameters, x, chunk)
