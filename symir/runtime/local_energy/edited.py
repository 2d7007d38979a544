"""Local energies of IR that was edited by hand."""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from symir.errors import NotDifferentiable, StageError, SymbolicCompilerError
from symir.operator.symbolic_operator import SymbolicOperator
from symir.runtime.compiled_operator import CompiledOperator
from symir.runtime.functions import Function, Linked
from symir.runtime.importing import static_of
from symir.runtime.local_energy.energy import LocalEnergy
from symir.runtime.local_energy.program import Arrays, EnergyProgram

Fixed = tuple[int, ModuleOp]
"""A kernel for one batch size."""


class EditedProgram(EnergyProgram):
    """A program whose plan, or whose kernel for one batch size, was edited.

    The network is called, and differentiated, as the user gave it.
    """

    def __init__(self, program: EnergyProgram, module: ModuleOp, fixed: Fixed | None):
        found = {
            name: value for name, value in vars(program).items() if name != "schedule"
        }
        vars(self).update(found, misses=[])
        self._fixed = fixed
        self._take(module.clone())
        self._choose()
        if program.is_fused and not self.is_fused:
            raise SymbolicCompilerError(
                "C061",
                "the edited parts of log psi are not used",
                operator=self.kernel.name,
                expected="parts that are found each by its own method, as before",
                found=self.misses[-1] if self.misses else "the network alone",
                hint="edit the functions of parts, or the kernel at stablehlo",
            )

    @property
    def current(self) -> EnergyProgram:
        """This one: what was edited stays as it is."""
        return self

    def check_derivatives(self) -> None:
        """Raise where nobody knows what a kernel that was edited is a derivative of.

        Raises:
            NotDifferentiable: for one that was edited behind the level bt (C060).
        """
        if self._fixed is not None:
            raise NotDifferentiable(
                "C060",
                "a kernel that was edited has no derivatives",
                operator=self.kernel.name,
                expected="a local energy whose IR was edited up to the level bt",
                found="one that was edited behind it",
                hint="symir.lower(energy, w, x).replace_ir('bt', text)",
            )

    def linked(self, arrays: Arrays, chunk: int | None) -> Linked:
        """Return what finds the energies; of no other batch where it is for one."""
        # What fails is not to be found in another way than was written
        found = self.source(arrays, chunk).linked(arrays.x.shape[0])
        return found if self._fixed is None else Linked(found.function, found.links)

    def _function(
        self, batch: int, chunk: int | None, *, ratios: bool = False
    ) -> Function:
        if self._fixed is None:
            return super()._function(batch, chunk, ratios=ratios)
        size, module = self._fixed
        if (batch, chunk) == (size, None):
            return self._functions.setdefault(size, Function(module))
        raise StageError(
            f"{size} configurations at once, as it was lowered for",
            f"{batch}" if chunk is None else f"chunk={chunk}",
            "symir.lower(energy, w, x, batch=..) chooses others; what is edited at the "
            "level bt runs for all",
            operator=self.kernel.name,
        )


class EditedEnergy(LocalEnergy):
    """A local energy whose IR was edited, for parameters and x of the same types."""

    is_edited = True

    def __init__(self, energy: LocalEnergy, program: EditedProgram):
        vars(self).update(vars(energy))
        self._edited = program

    def of(self, op: SymbolicOperator | CompiledOperator) -> LocalEnergy:
        """Return it with other values of parameters, and not of another operator.

        Raises:
            StageError: for another operator (C060).
        """
        if getattr(op, "kernel", None) == self.operator.kernel:
            return super().of(op)
        raise StageError(
            "the operator of the IR that was edited",
            f"{op.name}",
            "LocalEnergy(op, logpsi) is that of another operator",
            operator=self.operator.name,
        )

    def _program(
        self, logpsi: Any, parameters: Any, dtype: np.dtype, traced: Any
    ) -> EnergyProgram:
        given = (*static_of(parameters), np.dtype(dtype))
        if self._edited.is_for(*given):
            return self._edited
        raise StageError(
            "parameters and x of the types that it was lowered for",
            "others, or a log psi that holds on to what JAX is tracing",
            "lower the energy with these, and edit that",
            operator=self.operator.name,
        )


def edited_energy(
    energy: LocalEnergy, program: EnergyProgram, module: ModuleOp, fixed: Fixed | None
) -> LocalEnergy:
    """Return the energy of a plan that was edited, or of a kernel if there is one.

    `program` is what the energy was compiled to before.
    """
    return EditedEnergy(energy, EditedProgram(program, module, fixed))
