"""`sym-guard-undefined`: a branch that needs an undefined value is not valid.

Undefined are a computed site that the lattice does not have (`sym.site`), no
configuration at all (`sym.invalid`), and the place of a value that is not allowed
(`sym.local_index`, `sym.shift_mod`). What a branch needs follows the choices made:

    select(p, a, b)   needs p, and the one that p chooses
    and(p, q)         needs p, and q where p holds
    or(p, q)          needs p, and q where p does not hold
    any other op      needs all of its operands

For each emission this pass adds to its predicate that everything needed is defined.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i1, i32
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import (
    AndOp,
    NotOp,
    OrOp,
    compare,
    constant,
    select,
)
from lowering.rewriting import Inserter

Condition = SSAValue | None
"""A predicate; None where it always holds."""


@dataclass
class _Definedness:
    """Builds, in front of an emission, when the values that it needs are defined."""

    term: sym.TermOp
    at: Inserter
    known: dict[SSAValue, Condition] = field(
        default_factory=dict[SSAValue, "Condition"]
    )

    def of(self, value: SSAValue) -> Condition:
        """Return when a value is defined."""
        for pending in _postorder(value, self.known):
            self.known[pending] = self._compute(pending)
        return self.known[value]

    def _compute(self, value: SSAValue) -> Condition:
        op = value.owner
        match op:
            case hlo.SelectOp():
                return self._choice(op.pred, op.on_true, op.on_false)
            case sym.SelectOp():
                return self._choice(op.predicate, op.on_true, op.on_false)
            case hlo.AndOp() if value.type == sym.PREDICATE:
                return self._short_circuit(op.lhs, op.rhs, decides=False)
            case hlo.OrOp() if value.type == sym.PREDICATE:
                return self._short_circuit(op.lhs, op.rhs, decides=True)
            case sym.InvalidOp():
                return self.at.add(constant(np.zeros((), np.bool_), i1))
            case Operation():
                needed: Condition = None
                for operand in op.operands:
                    needed = self.both(needed, self.known[operand])
                return self.both(needed, self._own(op))
            case _:
                return None

    def _own(self, op: Operation) -> Condition:
        """Return when an op whose operands are defined is defined."""
        match op:
            case sym.SiteOp():
                return self._on_lattice(op)
            case sym.LocalIndexOp() if not self._is_read_of_source(op.value, op.site):
                return self.at.add(sym.AllowedOp(op.value, op.site))
            case sym.ShiftModOp() if not self._stays_allowed(op.config):
                value = self.at.add(sym.ReadOp(op.config, op.site, op.amount.type))
                return self.at.add(sym.AllowedOp(value, op.site))
            case _:
                return None

    def _on_lattice(self, op: sym.SiteOp) -> Condition:
        """Whether the number of a site is one: whole, and of the lattice."""
        element = op.number.type.element_type
        sites = sym.operator_of(op).space.data.sites
        low = self.at.add(constant(np.zeros(()), element))
        high = self.at.add(constant(np.array(sites - 1), element))
        inside = self.both(
            self.at.add(compare("GE", op.number, low)),
            self.at.add(compare("LE", op.number, high)),
        )
        if element == i32:
            return inside
        floor = self.at.add(hlo.FloorOp(op.number))
        return self.both(inside, self.at.add(compare("EQ", floor, op.number)))

    def _is_read_of_source(self, value: SSAValue, site: SSAValue) -> bool:
        read = value.owner
        return (
            isinstance(read, sym.ReadOp)
            and read.config is self.term.source
            and read.site is site
        )

    def _stays_allowed(self, config: SSAValue) -> bool:
        """Whether a configuration has allowed values only, given that x has."""
        uniform = sym.operator_of(self.term).space.data.is_uniform
        op = config.owner
        match op:
            case sym.ShiftModOp():
                return self._stays_allowed(op.config)
            case sym.SwapOp() | sym.PermuteOp() if uniform:
                return self._stays_allowed(op.config)
            case sym.SelectOp():
                return self._stays_allowed(op.on_true) and self._stays_allowed(
                    op.on_false
                )
            case _:
                return config is self.term.source

    def both(self, a: Condition, b: Condition) -> Condition:
        """Return the conjunction of two conditions."""
        if a is None or b is None or a is b:
            return b if a is None else a
        return self.at.add(AndOp(a, b))

    def _or_true(self, condition: Condition) -> SSAValue:
        if condition is not None:
            return condition
        return self.at.add(constant(np.ones((), np.bool_), i1))

    def _choice(self, predicate: SSAValue, a: SSAValue, b: SSAValue) -> Condition:
        on_true, on_false = self.known[a], self.known[b]
        if on_true is None and on_false is None:
            return self.known[predicate]
        chosen = select(predicate, self._or_true(on_true), self._or_true(on_false))
        return self.both(self.known[predicate], self.at.add(chosen))

    def _short_circuit(
        self, lhs: SSAValue, rhs: SSAValue, *, decides: bool
    ) -> Condition:
        """Combine two predicates of which the first may make the second unneeded."""
        first, second = self.known[lhs], self.known[rhs]
        if second is None:
            return first
        skipped = lhs if decides else self.at.add(NotOp(lhs))
        return self.both(first, self.at.add(OrOp(skipped, second)))


def _postorder(root: SSAValue, known: dict[SSAValue, Condition]) -> list[SSAValue]:
    """Return what a value is computed from, operands first, without the known ones."""
    order: list[SSAValue] = []
    seen = set(known)
    stack = [(root, False)]
    while stack:
        value, expanded = stack.pop()
        if expanded:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            if isinstance(value.owner, Operation):
                stack.extend((operand, False) for operand in value.owner.operands)
    return order


def _guard(term: sym.TermOp, emission: sym.EmitOp) -> None:
    at = Inserter.before(emission)
    definedness = _Definedness(term, at)
    predicate = emission.predicate
    condition = None if predicate is None else definedness.of(predicate)
    for needed in (emission.config, emission.amplitude):
        condition = definedness.both(condition, definedness.of(needed))
    if condition is None:
        return
    guarded = definedness.both(predicate, condition)
    tag = None if emission.tag is None else emission.tag.data
    at.add_op(sym.EmitOp(emission.config, emission.amplitude, guarded, tag))
    emission.detach()
    emission.erase()


@dataclass(frozen=True)
class SymGuardUndefinedPass(ModulePass):
    """Make every branch that needs an undefined value invalid."""

    name = "sym-guard-undefined"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for term in list(op.walk()):
            if isinstance(term, sym.TermOp):
                for emission in term.emissions:
                    _guard(term, emission)
