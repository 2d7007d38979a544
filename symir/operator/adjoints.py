"""Adjoints, transposes and conjugates of operators, at the `sym` level.

<x|A^H|x'> = conj(<x'|A|x>): a branch of A from y to u(y) is, of the adjoint, one from
x to the y with u(y) = x. What A computes is computed at that y. There are two ways to
find y:

- the updates are undone, the last one first, where what they depend on is not changed
  by them: shifts, exchanges, and writes such as -x or 1 - x;
- else all local values of the changed sites are tried, each of them a branch of its
  own, valid where the update leads from there to x. What can be seen to lead elsewhere
  is left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from xdsl.builder import Builder
from xdsl.dialects.builtin import (
    ComplexType,
    ModuleOp,
    UnitAttr,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl_jax.dialects import stablehlo as hlo

from dialects import stablehlo, sym
from dialects.stablehlo import element_of
from dialects.tables import LocalSpace
from lowering.analysis.sites import Alias, alias, column_of
from lowering.rewriting import Inserter
from symir.compiler.lowering import run_passes
from symir.errors import DefinitionError
from symir.language.codes import Mistake
from symir.language.expressions import Predicate
from symir.language.scope import emission_label
from symir.operator import algebra
from symir.operator.products import NORMAL_FORM, Copies, copy_body, defined
from symir.operator.spaces import indicator
from symir.provenance import place_of

if TYPE_CHECKING:
    from symir.operator.symbolic_operator import SymbolicOperator

MAX_TRIED = 256
"""An update that cannot be undone is tried from so many local values at most."""

_EXACT_UNIT, _EXACT_SIZE = 2**8, 2**12
"""Sums of local values of this precision and size are exact in every dtype."""

# region Operators


def adjoint(operator: SymbolicOperator) -> ModuleOp:
    """Return the adjoint of an operator; a fanout is not kept.

    Raises:
        DefinitionError: for an update that is not undone, and changes too many sites to
            be tried, or sites that depend on the configuration (D082).
    """
    return _reversed(operator, conjugates=True)


def transpose(operator: SymbolicOperator) -> ModuleOp:
    """Return the transpose of an operator; raises as `adjoint`."""
    return _reversed(operator, conjugates=False)


def conjugate(operator: SymbolicOperator) -> ModuleOp:
    """Return the operator of the conjugate matrix elements."""
    module = operator.to_ir().module
    for term in algebra.operator_in(module).terms:
        for emission in term.emissions:
            at = Inserter.before(emission)
            emission.operands[1] = _conjugate(emission.amplitude, at)
    return module


def _conjugate(value: SSAValue, at: Inserter) -> SSAValue:
    element = element_of(value)
    if not isinstance(element, ComplexType):
        return value
    real = stablehlo.tensor(cast(Attribute, element.element_type))
    part = at.add(hlo.RealOp(value, real))
    negated = at.add(stablehlo.NegateOp(at.add(hlo.ImagOp(value, real))))
    return at.add(hlo.ComplexOp(part, negated, value.type))


def _reversed(operator: SymbolicOperator, *, conjugates: bool) -> ModuleOp:
    module = defined(operator.to_ir().module)
    inside = _inside(operator)
    for term in algebra.operator_in(module).terms:
        reversal = _Reversal(operator.name, term, inside, conjugates=conjugates)
        Rewriter.replace_op(term, reversal.run(), [])
    module = _within_sums(run_passes(module, NORMAL_FORM))
    _drop_impossible(algebra.operator_in(module))
    return run_passes(module, "canonicalize")


def _within_sums(module: ModuleOp) -> ModuleOp:
    """Let branches to a y of other conserved sums not count.

    The operator has no matrix elements there: they are no mistake of the adjoint.
    """
    owner = algebra.operator_in(module)
    if not owner.space.data.sums or owner.projected is not None:
        return module
    owner.projected = UnitAttr()
    guarded = run_passes(module, "sym-guard-space")
    algebra.operator_in(guarded).projected = None
    return guarded


def _drop_impossible(operator: sym.OperatorOp) -> None:
    """Erase the branches that are never valid; some term stays."""
    dead = [
        emission
        for term in operator.terms
        for emission in term.emissions
        if emission.predicate is not None and _is_false(emission.predicate)
    ]
    if len(dead) == sum(len(term.emissions) for term in operator.terms):
        return
    for emission in dead:
        Rewriter.erase_op(emission)
    for term in operator.terms:
        if not term.emissions:
            Rewriter.erase_op(term)


def _is_false(predicate: SSAValue) -> bool:
    known = stablehlo.constant_of(predicate)
    return known is not None and not known.any()


def _inside(operator: SymbolicOperator) -> sym.TermOp | None:
    """Return a term whose branch is valid where the predicates of the space hold."""
    predicates = cast("tuple[Predicate, ...]", operator.space.predicates)
    if not predicates:
        return None
    inside = indicator(operator.space, predicates, operator.dtype)
    return algebra.operator_in(defined(inside.to_ir().module)).terms[0]


# endregion
# region Terms


class _Reversal:
    """Builds the term of the adjoint for one of an operator.

    Attributes:
        term: the term of the operator, guarded against undefined values.
        block: the body of the new term; its source is x.
        arguments: the block arguments of the new term for those of the old one.
        at_x: what the body of the old term computes at x.
        touched: the sites that the emission at hand may change.
    """

    def __init__(
        self,
        operator: str,
        term: sym.TermOp,
        inside: sym.TermOp | None,
        *,
        conjugates: bool,
    ):
        owner = sym.operator_of(term)
        self.operator, self.term, self.inside = operator, term, inside
        self.conjugates = conjugates
        self.space: LocalSpace = owner.space.data
        self.real = sym.real_type(owner.element)
        self.block = Block(arg_types=[value.type for value in term.body.block.args])
        pairs = list(zip(term.body.block.args, self.block.args, strict=True))
        for old, new in pairs:
            new.name_hint = old.name_hint
        self.arguments: Copies = dict(pairs)
        self.at_x: Copies = dict(pairs)
        copy_body(term, self.at_x, self.block)
        self.touched: tuple[SSAValue, ...] = ()
        self.at = Inserter(Builder(InsertPoint.at_end(self.block)), term.location)

    def run(self) -> sym.TermOp:
        """Return the new term.

        Raises:
            DefinitionError: for an update that is neither undone nor tried (D082).
        """
        for position, emission in enumerate(self.term.emissions):
            self.at.location = emission.location
            self.touched = self._sites_changed(emission.config)
            y = self._undone_all(emission.config, self.x)
            if y is not None:
                self._emit(emission, y, [])
                continue
            self._check_tries(position, emission)
            sites = [self.copy(site) for site in self.touched]
            for y, checks in self._tries(sites):
                self._emit(emission, y, checks, sites)
        columns, sets = self.term.data_columns, self.term.site_sets
        name = self.term.sym_name.data
        new = sym.TermOp(name, self.term.rows, self.block, columns, sets)
        new.location = self.term.location
        return new

    def add(self, op: Operation) -> SSAValue:
        """Add an op to the new term; return its result."""
        return self.at.add(op)

    @property
    def x(self) -> SSAValue:
        """The source of the new term."""
        return self.block.args[0]

    def _emit(
        self,
        emission: sym.EmitOp,
        y: SSAValue,
        checks: list[SSAValue],
        compared: Iterable[SSAValue] = (),
    ) -> None:
        """Add the branch to y, valid where checks hold and it leads to x at sites."""
        at_y = self.arguments | {self.term.source: y}
        copy_body(self.term, at_y, self.block)
        config, amplitude, *predicate = (at_y.get(v, v) for v in emission.operands)
        checks = [*predicate, *checks]
        for site in compared:
            new, old = self.read(config, site), self.read(self.x, site)
            checks.append(self.add(stablehlo.compare("EQ", new, old)))
        if self.inside is not None and y is not self.x:
            checks += self._inside_at(self.inside, y)
        valid = checks[0] if checks else None
        for check in checks[1:]:
            valid = self.add(stablehlo.AndOp(cast(SSAValue, valid), check))
        if self.conjugates:
            amplitude = _conjugate(amplitude, self.at)
        tag = None if emission.tag is None else emission.tag.data
        self.at.add_op(sym.EmitOp(y, amplitude, valid, tag))

    def _inside_at(self, inside: sym.TermOp, y: SSAValue) -> list[SSAValue]:
        """Return that y satisfies the predicates of the space."""
        copies: Copies = {inside.source: y}
        copy_body(inside, copies, self.block)
        predicate = inside.emissions[0].predicate
        return [] if predicate is None else [copies.get(predicate, predicate)]

    def read(self, config: SSAValue, site: SSAValue) -> SSAValue:
        """Return what a configuration has at a site of the new term."""
        kind = stablehlo.tensor(self.real)
        return self.add(sym.ReadOp(config, site, kind))

    def copy(self, value: SSAValue) -> SSAValue:
        """Return what a value of the old term is at x."""
        return self.at_x.get(value, value)

    def _constant(self, value: float) -> SSAValue:
        return self.add(stablehlo.constant(np.array(value), self.real))

    # region What an update depends on

    def _sites_changed(self, config: SSAValue) -> tuple[SSAValue, ...]:
        """Return the sites that the updates up to a configuration may change."""
        found: dict[SSAValue, None] = {}
        pending, seen = [config], set[SSAValue]()
        while pending:
            value = pending.pop()
            if value in seen or not isinstance(value.owner, Operation):
                continue
            seen.add(value)
            for operand in value.owner.operands:
                if isinstance(operand.type, sym.ConfigType):
                    pending.append(operand)
                elif isinstance(operand.type, sym.SiteType):
                    found[operand] = None
        return tuple(found)

    def is_fixed(self, value: SSAValue) -> bool:
        """Whether a value is the same for all values of the sites that are touched."""
        pending, seen = [value], set[SSAValue]()
        while pending:
            current = pending.pop()
            op = current.owner
            if current in seen or not isinstance(op, Operation):
                continue
            seen.add(current)
            if isinstance(op, sym.ReadOp):
                if not self._are_apart(op.site, self.touched):
                    return False
                pending.append(op.site)
                continue
            for inner in op.walk():
                # A reduction may read at any site
                if isinstance(inner, sym.ReadOp):
                    return False
                pending.extend(inner.operands)
        return True

    def is_apart(self, a: SSAValue, b: SSAValue) -> bool:
        """Whether two sites of the old term differ in every row."""
        return alias(self.term, a, b) is Alias.NEVER

    def _are_apart(self, site: SSAValue, others: Iterable[SSAValue]) -> bool:
        return all(self.is_apart(site, other) for other in others)

    @property
    def is_exact(self) -> bool:
        """Whether local values are added and subtracted without rounding."""
        values = [v for states in self.space.kinds[0] for v in states]
        return all(
            (v * _EXACT_UNIT).is_integer() and abs(v) <= _EXACT_SIZE for v in values
        )

    # endregion
    # region Undoing updates

    def _undone_all(self, config: SSAValue, z: SSAValue) -> SSAValue | None:
        """Return the y from which the updates up to `config` lead to z, or None."""
        while config is not self.term.source:
            op = config.owner
            if isinstance(op, sym.InvalidOp):
                return z
            if isinstance(op, sym.SelectOp):
                if not self.is_fixed(op.predicate):
                    return None
                then = self._undone_all(op.on_true, z)
                otherwise = self._undone_all(op.on_false, z)
                if then is None or otherwise is None:
                    return None
                chosen = self.copy(op.predicate)
                return self.add(sym.SelectOp(chosen, then, otherwise))
            if not isinstance(op, sym.UpdateInterface):
                return None
            before = self._undone(op, z)
            if before is None:
                return None
            z, config = before, op.before
        return z

    def _undone(self, op: sym.UpdateInterface, z: SSAValue) -> SSAValue | None:
        """Return the configuration that an update leads to z from, or None."""
        if not all(map(self.is_fixed, op.changed)):
            return None
        sites = [self.copy(site) for site in op.changed]
        return op.inverse(z, sites, self)

    def _minus(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.add(stablehlo.SubtractOp(a, b))

    def solved(self, write: sym.WriteOp, written: SSAValue) -> SSAValue | None:
        """Return the old value of the site for which an op writes another one.

        That has to be plus or minus the old one, plus what is fixed.
        """
        return self._solved(write, write.value, written)

    def _solved(
        self, write: sym.WriteOp, value: SSAValue, written: SSAValue
    ) -> SSAValue | None:
        op = value.owner
        match op:
            case sym.ReadOp() if self._is_own(write, op):
                return written
            case hlo.NegateOp():
                negated = self.add(stablehlo.NegateOp(written))
                return self._solved(write, op.operand, negated)
            case hlo.AddOp():
                for own, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
                    if self.is_fixed(other):
                        rest = self._minus(written, self.copy(other))
                        return self._solved(write, own, rest)
                return None
            case hlo.SubtractOp() if self.is_fixed(op.rhs):
                rest = self.add(stablehlo.AddOp(written, self.copy(op.rhs)))
                return self._solved(write, op.lhs, rest)
            case hlo.SubtractOp() if self.is_fixed(op.lhs):
                rest = self._minus(self.copy(op.lhs), written)
                return self._solved(write, op.rhs, rest)
            case hlo.SelectOp() if self.is_fixed(op.pred):
                then = self._solved(write, op.on_true, written)
                otherwise = self._solved(write, op.on_false, written)
                if then is None or otherwise is None:
                    return None
                chosen = self.copy(op.pred)
                return self.add(stablehlo.select(chosen, then, otherwise))
            case _:
                return None

    def _is_own(self, write: sym.WriteOp, read: sym.ReadOp) -> bool:
        """Whether what is read is the value that a write replaces."""
        if read.site is not write.site:
            return False
        if read.config is write.config:
            return True
        is_source = read.config is self.term.source
        return is_source and self._are_apart(
            write.site, self._sites_changed(write.config)
        )

    # endregion
    # region Trying all values

    def _states(self, site: SSAValue) -> tuple[tuple[float, ...], ...]:
        """Return the distinct lists of local values that a site has in some row."""
        column = column_of(self.term, site)
        lists, numbers = self.space.kinds
        if column is None:
            return lists
        found: list[int] = np.unique(numbers[column]).tolist()
        return tuple(lists[k] for k in found)

    @property
    def _sizes(self) -> list[int]:
        return [max(map(len, self._states(site))) for site in self.touched]

    def _check_tries(self, position: int, emission: sym.EmitOp) -> None:
        expected = found = None
        if any(map(sym.may_be_missing, self.touched)):
            expected, found = "sites that all rows have", "sets of different sizes"
        elif not all(map(self.is_fixed, self.touched)):
            expected = "sites that do not depend on what is changed"
            found = "a site whose number is computed from a local value"
        elif math.prod(self._sizes) > MAX_TRIED:
            expected = f"at most {MAX_TRIED} values of the changed sites together"
            found = f"{math.prod(self._sizes)} for {len(self.touched)} sites"
        if expected is None:
            return
        raise _no_adjoint(self.operator, self.term, position, emission, expected, found)

    def _tries(
        self, sites: Sequence[SSAValue]
    ) -> Iterator[tuple[SSAValue, list[SSAValue]]]:
        """Yield each y that differs from x at the touched sites, and when it counts.

        So that none comes twice, the values have to exist, and to agree where two
        sites are the same one. `sites` are those of the new term.
        """
        for places in itertools.product(*map(range, self._sizes)):
            y, checks = self.x, list[SSAValue]()
            values: list[SSAValue] = []
            for old, site, place in zip(self.touched, sites, places, strict=True):
                value, exists = self._local_value(self._states(old), site, place)
                y = self.add(sym.WriteOp(y, site, value))
                checks += exists
                values.append(value)
            for k, site in enumerate(sites):
                if not self._are_apart(self.touched[k], self.touched[k + 1 :]):
                    kept = self.read(y, site)
                    checks.append(self.add(stablehlo.compare("EQ", kept, values[k])))
            yield y, checks

    def _local_value(
        self, lists: Sequence[Sequence[float]], site: SSAValue, place: int
    ) -> tuple[SSAValue, list[SSAValue]]:
        """Return the local value at a place, and that there is one.

        `lists` are the lists of local values that the site has in some row.
        """
        if len(lists) == 1:
            return self._constant(lists[0][place]), []
        wanted = self._constant(place)
        value = self.add(sym.LocalValueOp(wanted, site))
        found = self.add(sym.LocalIndexOp(value, site))
        return value, [self.add(stablehlo.compare("EQ", found, wanted))]

    # endregion


def _no_adjoint(
    operator: str,
    term: sym.TermOp,
    position: int,
    emission: sym.EmitOp,
    expected: str,
    found: str | None,
) -> DefinitionError:
    tag = None if emission.tag is None else emission.tag.data
    return Mistake.NO_ADJOINT.error(
        "an update cannot be undone, nor tried from all local values",
        operator=operator,
        term=term.sym_name.data,
        emission=emission_label(position, tag),
        location=place_of(emission),
        expected=expected,
        found=found,
        hint="use shift, swap, permute, or a write of -x or 1 - x, that do not depend "
        "on the sites that they change; or define the adjoint with DOperator",
    )


# endregion
