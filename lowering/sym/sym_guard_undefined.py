"""`sym-guard-undefined`: a branch that needs an undefined value is not valid.

Undefined are a computed site that the lattice does not have (`sym.site`), no
configuration at all (`sym.invalid`), the place of a value that is not allowed
(`sym.local_index`, `sym.shift_mod`), a place that is NaN or too far to be counted, or
a number of places that is no integer (`sym.local_value`, `sym.shift_mod`), and an entry
that a table does not have (`sym.lookup`). What a branch needs follows the choices made:

    select(p, a, b)   needs p, and the one that p chooses
    and(p, q)         needs p, and q where p holds
    or(p, q)          needs p, and q where p does not hold
    reduce(..)        needs its value at every site that it is over
    any other op      needs all of its operands

For each emission this pass adds to its predicate that everything needed is defined. It
runs first: others drop what is computed for nothing, and with it what is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType, i1, i32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.provenance import in_place_of
from dialects.stablehlo import (
    AbsOp,
    AndOp,
    NotOp,
    OrOp,
    compare,
    constant,
    dtype_of,
    select,
)
from dialects.tables import NO_SITE, largest_place
from lowering.analysis.magnitude import magnitude
from lowering.order import captured, operands_first
from lowering.relations import Relation
from lowering.rewriting import Inserter, rewrite_once

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
        for pending in operands_first(value, _needs, self.known):
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
            case sym.DefinedOp():
                return None
            case sym.InvalidOp():
                return self.at.add(constant(np.zeros((), np.bool_), i1))
            case sym.ReduceOp():
                return self.both(self._operands(op), self._everywhere(op))
            case Operation():
                return self.both(self._operands(op), self._own(op))
            case _:
                return None

    def _operands(self, op: Operation) -> Condition:
        needed: Condition = None
        for operand in op.operands:
            needed = self.both(needed, self.known[operand])
        return needed

    def _everywhere(self, op: sym.ReduceOp) -> Condition:
        """Return whether what a reduction combines is defined at all of its sites."""
        check = sym.ReduceOp(
            sym.ReductionKind.ALL,
            op.body.clone(),
            sym.PREDICATE,
            op.sites,
            op.start,
            op.stop,
        )
        self.at.add_op(check)
        last = check.body.block.last_op
        assert isinstance(last, sym.YieldOp)
        body = _Definedness(self.term, Inserter.before(last), dict(self.known))
        defined = body.of(last.value)
        if defined is None:
            check.detach()
            check.erase()
            return None
        last.operands[0] = defined
        return check.result

    def _own(self, op: Operation) -> Condition:
        """Return when an op whose operands are defined is defined."""
        match op:
            case sym.SiteOp():
                sites = sym.operator_of(op).space.data.sites
                return self._is_whole(op.number, sites)
            case sym.LookupOp():
                return self._is_whole(op.index, op.table.get_shape()[0])
            case sym.LocalIndexOp() if not self._is_read_of_source(op.value, op.site):
                return self.at.add(sym.AllowedOp(op.value, op.site))
            case sym.LocalValueOp():
                return self._unless_missing(op.site, self._is_countable(op.value))
            case sym.ShiftModOp():
                counted = self.both(
                    self._is_countable(op.amount), self._is_integer(op.amount)
                )
                counted = self._unless_missing(op.site, counted)
                if self._stays_allowed(op.config):
                    return counted
                value = self.at.add(sym.ReadOp(op.config, op.site, op.amount.type))
                return self.both(counted, self.at.add(sym.AllowedOp(value, op.site)))
            case _:
                return None

    def _is_whole(self, number: SSAValue, stop: int) -> Condition:
        """Whether a number is an integer from 0 up to, but not including, a stop."""
        element = cast(TensorType[Attribute], number.type).element_type
        low = self.at.add(constant(np.zeros(()), element))
        high = self.at.add(constant(np.array(stop - 1), element))
        inside = self.both(
            self.at.add(compare("GE", number, low)),
            self.at.add(compare("LE", number, high)),
        )
        if element == i32:
            return inside
        return self.both(inside, self._is_integer(number))

    def _is_integer(self, number: SSAValue) -> Condition:
        """Whether a real number is an integer; None where it is one for sure."""
        if magnitude(self.term, number).is_whole:
            return None
        floor = self.at.add(hlo.FloorOp(number))
        return self.at.add(compare("EQ", floor, number))

    def _unless_missing(self, site: SSAValue, condition: Condition) -> Condition:
        """Return a condition that has to hold where a site is one."""
        if condition is None or not sym.may_be_missing(site):
            return condition
        nowhere = self.at.add(constant(np.array(NO_SITE), i32))
        number = self.at.add(sym.IndexOp(site))
        missing = self.at.add(compare("EQ", number, nowhere))
        return self.at.add(OrOp(missing, condition))

    def _is_countable(self, place: SSAValue) -> Condition:
        """Whether local values can be counted up to a place: NaN is none."""
        element = cast(TensorType[Attribute], place.type).element_type
        limit = largest_place(dtype_of(element))
        bound = magnitude(self.term, place).largest
        if bound is not None and bound <= limit:
            return None
        size = self.at.add(AbsOp(place, place.type))
        most = self.at.add(constant(np.array(limit), element))
        return self.at.add(compare("LE", size, most))

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
                # what is moved from no site is 0
                sites = op.operands[1:]
                missing = any(sym.may_be_missing(site) for site in sites)
                return not missing and self._stays_allowed(op.config)
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


def _needs(op: Operation) -> list[SSAValue]:
    """Return the operands of an op, and what its regions use from around it."""
    if isinstance(op, sym.DefinedOp):
        return []
    return list(dict.fromkeys((*op.operands, *captured(op))))


class DecideDefined(RewritePattern):
    """The question whether a value is defined becomes the condition for it.

    %s = sym.site %n : tensor<i32>
    %v = sym.read %x[%s] : tensor<f64>
    %p = sym.defined %v : tensor<f64>
    becomes, on 8 sites,
    %s = sym.site %n : tensor<i32>
    %v = sym.read %x[%s] : tensor<f64>
    %a = stablehlo.compare GE, %n, %zero : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %b = stablehlo.compare LE, %n, %seven : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %p = stablehlo.and %a, %b : tensor<i1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.DefinedOp, rewriter: PatternRewriter) -> None:
        at = Inserter(rewriter, op.location)
        condition = _Definedness(sym.term_of(op), at).of(op.value)
        if condition is None:
            condition = at.add(constant(np.ones((), np.bool_), i1))
        rewriter.replace(op, (), (condition,))


class GuardEmission(RewritePattern):
    """An emission counts only where all that it needs is defined.

    %v = sym.lookup dense<[0.5, 1.0]> : tensor<2xf64> at %n : tensor<i32> -> tensor<f64>
    sym.emit %x, %v : tensor<f64>
    becomes
    %v = sym.lookup dense<[0.5, 1.0]> : tensor<2xf64> at %n : tensor<i32> -> tensor<f64>
    %a = stablehlo.compare GE, %n, %zero : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %b = stablehlo.compare LE, %n, %one : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %p = stablehlo.and %a, %b : tensor<i1>
    sym.emit %x, %v if %p : tensor<f64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.EmitOp, rewriter: PatternRewriter) -> None:
        definedness = _Definedness(sym.term_of(op), Inserter(rewriter, op.location))
        predicate = op.predicate
        condition = None if predicate is None else definedness.of(predicate)
        for needed in (op.config, op.amplitude):
            condition = definedness.both(condition, definedness.of(needed))
        if condition is None:
            return
        guarded = definedness.both(predicate, condition)
        emission = sym.EmitOp(op.config, op.amplitude, guarded, op.tag)
        rewriter.replace(op, in_place_of(op, emission))


@dataclass(frozen=True)
class SymGuardUndefinedPass(ModulePass):
    """Make every branch that needs an undefined value invalid."""

    name = "sym-guard-undefined"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, GuardEmission())
        # Emissions do not need an answer: what is asked about may be undefined
        rewrite_once(op, DecideDefined())
