"""Kernels of IR that was edited by hand."""

# pyright: basic

from __future__ import annotations

import hashlib
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from dialects.text import parse_module, print_module
from symir.errors import StageError
from symir.operator.ir import SymbolicOperatorIR
from symir.runtime.compiled_operator import CompiledOperator, compiled_operator
from symir.runtime.kernel import Kernel

Fixed = tuple[int, str, ModuleOp]
"""A kernel for one batch size and state type."""


class EditedKernel(Kernel):
    """A kernel whose IR was edited: the operator that it was made of does not count.

    What goes by the `sym` level, such as algebra, derivatives and local energies, would
    be of another operator, and is an error.
    """

    def __init__(
        self, ir: SymbolicOperatorIR, branch_tensors: ModuleOp, fixed: Fixed | None
    ):
        super().__init__(ir, branch_tensors)
        self._before = ir
        self._fixed = fixed

    def _digest(self) -> str:
        text = "" if self._fixed is None else print_module(self._fixed[2])
        digest = hashlib.sha256(f"{super()._digest()}, edited: {text}".encode())
        return digest.hexdigest()

    @property
    def is_hermitian(self) -> bool:
        """False: what holds before an edit need not hold behind it."""
        return False

    @property
    def ir(self) -> SymbolicOperatorIR:
        raise StageError(
            "an operator that was compiled from its definition",
            "one whose IR was edited below the level sym",
            "make the change at the level sym: symir.lower(op).replace_ir('sym', text)",
            operator=self.name,
        )

    @ir.setter
    def ir(self, ir: SymbolicOperatorIR) -> None:
        """Leave it: that of the operator before the edit is of no use."""

    def _lowered(self, batch: int, state: str) -> ModuleOp:
        if self._fixed is None:
            return super()._lowered(batch, state)
        *known, module = self._fixed
        if [batch, state] == known:
            return module.clone()
        raise StageError(
            f"{known[0]} configurations of {known[1]} at once, as it was lowered for",
            f"{batch} of {state}",
            "symir.lower(op, batch=.., state=..) chooses others; what is edited at the "
            "level bt runs for all",
            operator=self.name,
        )

    def __reduce__(self) -> Any:
        fixed = self._fixed
        texts = None if fixed is None else (*fixed[:2], print_module(fixed[2]))
        text = print_module(self._branch_tensors)
        return (_from_texts, (self._before, text, texts))


def _from_texts(
    ir: SymbolicOperatorIR, branch_tensors: str, fixed: tuple[int, str, str] | None
) -> EditedKernel:
    parsed = None if fixed is None else (*fixed[:2], parse_module(fixed[2]))
    return EditedKernel(ir, parse_module(branch_tensors), parsed)


def edited_operator(
    ir: SymbolicOperatorIR, branch_tensors: ModuleOp, hilbert: Any, fixed: Fixed | None
) -> CompiledOperator:
    """Return the operator of IR that was edited.

    `ir` is the operator before that, of which only names, types and the space count.
    `fixed` is a kernel that was edited itself, which runs in place of all others.
    """
    kernel = EditedKernel(ir, branch_tensors, fixed)
    return compiled_operator(kernel, ir.defaults, hilbert)
