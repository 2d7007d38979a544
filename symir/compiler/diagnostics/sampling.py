"""Thorough diagnostics: what the branches of configurations show.

Of all configurations where the space is small, else of a sample that is always the
same. Parameters have their defaults; where one has none, nothing is looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import UnitAttr

from dialects import sym
from dialects.interpreters.sym import branches, interpreter_of
from symir.compiler.diagnostics.diagnostic import Diagnostic, diagnostic_of
from symir.errors import SymirError

if TYPE_CHECKING:
    from symir.facts import Counterexample
    from symir.operator.symbolic_operator import SymbolicOperator

Array = npt.NDArray[Any]

MAX_BRANCHES = 1 << 14
"""The largest number of branches to evaluate."""


def sampled_diagnostics(
    operator: SymbolicOperator, op: sym.OperatorOp
) -> Iterator[Diagnostic]:
    """Find elements that are not Hermitian, and fanouts that are broken or generous."""
    if any(isinstance(default, UnitAttr) for default in op.defaults):
        return
    if operator.declared_hermitian:
        # It looks at matrices, and uses the passes of the compiler
        from symir.facts import facts_of

        yield from _not_hermitian(op, facts_of(operator).hermitian.counterexample)
    promised = [term for term in op.terms if term.lanes < term.branches]
    if promised:
        yield from _wrong_fanouts(operator, op, promised)


def refuted_claim(operator: SymbolicOperator) -> Diagnostic | None:
    """Return what a few configurations say against a claim to be Hermitian."""
    if not operator.declared_hermitian:
        return None
    from symir.facts.hermiticity import counterexample, values_to_try

    ir = operator.to_ir()
    found = counterexample(ir, operator.space)
    return next(_not_hermitian(ir.operator, found, values_to_try(ir)), None)


def _not_hermitian(
    op: sym.OperatorOp,
    found: Counterexample | None,
    values: Mapping[str, complex] | None = None,
) -> Iterator[Diagnostic]:
    """Yield what a counterexample says of an operator that is declared Hermitian."""
    if found is None:
        return
    x, other = np.array(found.x), np.array(found.xp)
    yield diagnostic_of(
        _emission_between(op, x, other, values)
        or _emission_between(op, other, x, values)
        or op,
        "W017",
        "the operator is declared to be Hermitian, and is not",
        found=str(found),
        hint="add the branch that leads back, or leave out hermitian=True",
    )


def _emission_between(
    op: sym.OperatorOp, x: Array, other: Array, values: Mapping[str, complex] | None
) -> sym.EmitOp | None:
    """Return an emission with a branch from one configuration to another one."""
    plain = _without_fanouts(op)
    terms = {term.sym_name.data: term for term in op.terms}
    for branch in branches(plain, x, values):
        if branch.valid and branch.amplitude != 0 and (branch.config == other).all():
            return terms[branch.term].emissions[branch.emission]
    return None


def _wrong_fanouts(
    operator: SymbolicOperator, op: sym.OperatorOp, promised: list[sym.TermOp]
) -> Iterator[Diagnostic]:
    plain = _without_fanouts(op)
    states, is_all = _states(operator, sum(term.branches for term in op.terms))
    interpreter = interpreter_of(plain)
    most = Counter[str]()
    witness: dict[str, Array] = {}
    for x in states:
        found = branches(plain, x, interpreter=interpreter)
        counts = Counter(branch.term for branch in found if branch.valid)
        for name, count in counts.items():
            if count > most[name]:
                most[name], witness[name] = count, x
    for term in promised:
        name, lanes = term.sym_name.data, term.lanes
        if most[name] > lanes:
            yield diagnostic_of(
                term,
                "W018",
                "the fanout promises fewer branches than are valid for some x",
                found=f"fanout {lanes}, {most[name]} valid branches for x = "
                f"{_shown(witness[name])}",
                hint="the matrix elements of the term are NaN there: promise more",
            )
        elif is_all and most[name] < lanes:
            yield diagnostic_of(
                term,
                "W019",
                "the fanout promises more branches than are valid for any x",
                found=f"fanout {lanes}, at most {most[name]} valid branches",
                hint=f"fanout({max(1, most[name])}) makes a smaller kernel",
            )


def _without_fanouts(op: sym.OperatorOp) -> sym.OperatorOp:
    """Return a copy in which every branch has a lane of its own."""
    copy = op.clone()
    for term in copy.terms:
        term.fanout = None
    return copy


def _states(operator: SymbolicOperator, lanes: int) -> tuple[Array, bool]:
    """Return configurations (n, N), and whether they are all there are."""
    space, most = operator.space, max(1, MAX_BRANCHES // lanes)
    try:
        if space.n_states <= most:
            return space.all_states(np.float64), True
        return space.random_states(most, 0, np.float64), False
    except SymirError:
        # Too many to be listed, or too few to be drawn
        return np.zeros((0, space.size)), False


def _shown(x: Array) -> str:
    return f"[{', '.join(f'{value:g}' for value in x.tolist())}]"
