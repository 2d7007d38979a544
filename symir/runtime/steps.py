"""Steps in which an operator depends on an input, and which its kernel hides.

An entry of a table, and the place of a local value, become comparisons and choices: of
these alone nobody can tell whether the steps are meant, as in a predicate, or not.
"""

# pyright: basic

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from dialects import sym
from symir.errors import NotDifferentiable
from symir.operator.algebra import operator_in
from symir.operator.ir import SymbolicOperatorIR
from symir.provenance import place_of
from symir.runtime.kernel import Kernel

_STEPS = (sym.LookupOp, sym.LocalIndexOp, sym.LocalValueOp, sym.ShiftModOp)


def check_differentiable(
    kernel: Kernel, batch: int, dtype: Any, active: Sequence[bool]
) -> None:
    """Raise where x' or an element depends on an active input in steps.

    `active` has a flag for x, of shape (batch, N) and a dtype, and one for each
    parameter.

    Raises:
        NotDifferentiable: naming the op and the user's line (R011).
    """
    if any(active):
        _check_no_steps(kernel.ir, active)
        kernel.traceable(batch, np.dtype(dtype)).check_differentiable(active)


def moves_configurations(ir: SymbolicOperatorIR, active: Sequence[bool]) -> bool:
    """Whether some x' depends on an active parameter, other than by predicates."""
    return any(
        emit.config in inputs
        for term, inputs in _perturbed(ir, [False, *active])
        for emit in term.emissions
    )


def _check_no_steps(ir: SymbolicOperatorIR, active: Sequence[bool]) -> None:
    for term, inputs in _perturbed(ir, active):
        reached = _reaching_branches(term)
        for op in term.body.walk():
            if not inputs.isdisjoint(_needed(op)) and not reached.isdisjoint(
                op.results
            ):
                _check_smooth(ir, term, op)


def _perturbed(
    ir: SymbolicOperatorIR, active: Sequence[bool]
) -> Iterator[tuple[sym.TermOp, set[SSAValue]]]:
    """Yield each term, and the values in it that depend on what is active."""
    by_x, *by_parameter = active
    operator = operator_in(ir.module)
    arguments = zip(operator.body.block.args, by_parameter, strict=True)
    perturbed: set[SSAValue] = {argument for argument, flag in arguments if flag}
    for term in operator.terms:
        inputs = {*perturbed, term.source} if by_x else set(perturbed)
        for op in term.body.walk():
            if not inputs.isdisjoint(_needed(op)):
                inputs.update(result for result in op.results if _is_smooth(result))
        yield term, inputs


def _needed(op: Operation) -> set[SSAValue]:
    """Return the operands of an op, and what its regions end with."""
    needed = set(op.operands)
    for region in op.regions:
        last = region.block.last_op
        if last is not None:
            needed.update(last.operands)
    return needed


def _is_smooth(value: SSAValue) -> bool:
    """Whether a value may have a derivative: predicates and sites have none."""
    return value.type not in (sym.PREDICATE, sym.SiteType())


def _reaching_branches(term: sym.TermOp) -> set[SSAValue]:
    """Return what amplitudes and x' are made of, other than by predicates."""
    reached: set[SSAValue] = set()
    pending = [v for emit in term.emissions for v in (emit.amplitude, emit.config)]
    while pending:
        value = pending.pop()
        if value in reached or not _is_smooth(value):
            continue
        reached.add(value)
        if isinstance(value.owner, Operation):
            pending.extend(_needed(value.owner))
    return reached


def _check_smooth(ir: SymbolicOperatorIR, term: sym.TermOp, op: Operation) -> None:
    """Raise for an op whose derivative is 0, or not that of the ops of its kernel."""
    if isinstance(op, sym.OwnRuleOp):
        name = f"the function {op.function}"
        found = "it stops gradients, or has a derivative of its own"
        hint = (
            "write it with functions of expressions, or register_function(.., "
            "macro=True): their derivatives are those of what they compute"
        )
    elif isinstance(op, _STEPS):
        name, found = f"'{op.name}'", f"'{op.name}' is constant between its steps"
        hint = "jax.lax.stop_gradient on the input, if the steps are meant"
    else:
        return
    raise NotDifferentiable(
        "R011",
        f"the operator has no derivative through {name}",
        operator=ir.operator_name,
        term=term.sym_name.data,
        location=place_of(op),
        expected="an amplitude that is smooth in what it is differentiated by",
        found=found,
        hint=hint,
    )
