"""`sym-guard-space`: a branch whose final x' leaves the space does not count.

For each write that takes effect, range analysis tries to prove that the written value
is always an allowed one. Where it cannot, `sym.allowed` enters the predicate of the
emission; a value that may be rounded is replaced by the allowed one that it equals.
Intermediate values of an update may leave the space: only a write that no later one
overwrites counts. Expects normal form (`sym-forward-reads`).

The same for conserved sums: where x' may have another one than x, the matrix element
becomes NaN there, unless it is 0; or the branch becomes invalid, if the operator is to
be projected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.provenance import in_place_of
from dialects.stablehlo import (
    AddOp,
    AndOp,
    MultiplyOp,
    OrOp,
    SubtractOp,
    compare,
    constant,
    dtype_of,
    select,
)
from lowering.analysis.range_analysis import Verdict, always_holds, judge
from lowering.analysis.sites import (
    Alias,
    alias,
    column_of,
    normal_form_error,
    writes_of,
)
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter, rewrite_once


def _guard(term: sym.TermOp, emission: sym.EmitOp, rewriter: PatternRewriter) -> bool:
    """Guard an emission; return whether there is anything to be checked."""
    at = Inserter.before(emission)
    predicate = emission.predicate
    writes = writes_of(emission.config)
    guarded = predicate
    for k, write in enumerate(writes):
        later = [other.site for other in writes[k + 1 :]]
        shadowing = [s for s in later if alias(term, write.site, s) is not Alias.NEVER]
        verdict = judge(term, write, predicate, shadowing)
        if verdict is Verdict.ALLOWED:
            continue
        allowed = at.add(sym.AllowedOp(write.value, write.site))
        guarded = _conjunction(guarded, _check(write, allowed, shadowing, at), at)
        if verdict is Verdict.UNKNOWN:
            _snap(write, at)
    amplitude = emission.amplitude
    for conserved in sym.operator_of(term).space.data.sums:
        check = _Conservation(term, at, conserved.weights).check(writes)
        sites = [write.site for write in writes]
        if check is None or always_holds(term, check, predicate, sites):
            continue
        if sym.operator_of(term).projected is None:
            zero = _constant_like(amplitude, 0, at)
            matters = at.add(compare("NE", amplitude, zero))
            amplitude = at.add(
                select(check, amplitude, _constant_like(amplitude, np.nan, at))
            )
            check = at.add(OrOp(check, matters))
        guarded = _conjunction(guarded, check, at)
    if guarded is not predicate and guarded is not None:
        new = sym.EmitOp(emission.config, amplitude, guarded, emission.tag)
        rewriter.replace(emission, in_place_of(emission, new))
    return guarded is not predicate


def _remark_on_guards(term: sym.TermOp, guarded: int, emissions: int) -> None:
    if not guarded:
        return
    constrained = bool(sym.operator_of(term).space.data.sums)
    remark(
        f"{guarded} of {emissions} emissions of @{term.sym_name.data} may lead out of "
        "the space: that is checked for each x",
        done=False,
        hint="a predicate that compares local values, and rules that out, "
        + ("or updates that keep the conserved sums, make" if constrained else "makes")
        + " the check needless",
        at=term,
    )


def keeps_sum(
    term: sym.TermOp,
    emission: sym.EmitOp,
    weights: tuple[float, ...],
    modulus: float | None = None,
) -> bool:
    """Return whether a branch is known to keep a weighted sum of the local values.

    With a `modulus`, to change it by a multiple of that. The term is in normal form;
    the computation of the change is added to it.

    Raises `PassFailedException` where it cannot be told without rounding.
    """
    writes = writes_of(emission.config)
    at = Inserter.before(emission)
    check = _Conservation(term, at, weights, modulus).check(writes)
    sites = [write.site for write in writes]
    return check is None or always_holds(term, check, emission.predicate, sites)


@dataclass
class _Conservation:
    """Builds the check that a chain of writes keeps a weighted sum."""

    term: sym.TermOp
    at: Inserter
    weights: tuple[float, ...]
    modulus: float | None = None
    """A sum counts as kept where it changes by a multiple of this."""

    def check(self, writes: Sequence[sym.WriteOp]) -> SSAValue | None:
        """Return whether the sum stays what it is; None if that is plain.

        Raises `PassFailedException` where it cannot be told without rounding.
        """
        self._check_exact(writes)
        total: SSAValue | None = None
        for k, write in enumerate(writes):
            change = self._change(write, [later.site for later in writes[k + 1 :]])
            if change is not None:
                total = change if total is None else self.at.add(AddOp(total, change))
        if total is None:
            return None
        if self.modulus is not None:
            modulus = _constant_like(total, self.modulus, self.at)
            total = self.at.add(hlo.RemainderOp(total, modulus))
        return self.at.add(compare("EQ", total, _constant_like(total, 0, self.at)))

    def _check_exact(self, writes: Sequence[sym.WriteOp]) -> None:
        operator = sym.operator_of(self.term)
        states = operator.space.data.kinds[0]
        largest = max(abs(value) for values in states for value in values)
        weights = max(map(abs, self.weights), default=0.0)
        reach = 2 * largest * weights * len(writes)
        digits = np.finfo(dtype_of(sym.real_type(operator.element))).nmant
        if reach >= 2.0 ** (digits + 1):
            raise PassFailedException(
                f"sym-guard-space: the conserved sums of @{operator.sym_name.data} "
                f"reach {reach:g}, which {sym.real_type(operator.element)} cannot "
                "tell apart from its neighbours: use 64 bits"
            )

    def _change(self, write: sym.WriteOp, later: Sequence[SSAValue]) -> SSAValue | None:
        """Return what a write adds to the sum; None for a site of no weight."""
        weight = self._weight(write)
        if weight is None:
            return None
        source = sym.ReadOp(self.term.source, write.site, write.value.type)
        change = self.at.add(SubtractOp(write.value, self.at.add(source)))
        zero = _constant_like(change, 0, self.at)
        for site in later:
            if alias(self.term, write.site, site) is not Alias.NEVER:
                same = _same_site(write.site, site, self.at)
                change = self.at.add(select(same, zero, change))
        return self.at.add(MultiplyOp(weight, change))

    def _weight(self, write: sym.WriteOp) -> SSAValue | None:
        """Return the weight of the site that is written; None where it is 0."""
        column = column_of(self.term, write.site)
        weights = np.array(self.weights)
        if column is not None:
            here = np.unique(weights[column])
            if len(here) == 1:
                known = _constant_like(write.value, here[0], self.at)
                return known if here[0] else None
        # Piece by piece: the sites of a species of particles are neighbours.
        starts = np.flatnonzero(np.diff(weights)) + 1
        number = self.at.add(sym.IndexOp(write.site))
        weight = _constant_like(write.value, weights[0], self.at)
        for start in starts.tolist():
            from_here = compare("GE", number, _constant_like(number, start, self.at))
            following = _constant_like(write.value, weights[start], self.at)
            weight = self.at.add(select(self.at.add(from_here), following, weight))
        return weight


def _constant_like(value: SSAValue, number: float, at: Inserter) -> SSAValue:
    element = cast(TensorType[Attribute], value.type).element_type
    return at.add(constant(np.array(number), element))


def _same_site(a: SSAValue, b: SSAValue, at: Inserter) -> SSAValue:
    return at.add(compare("EQ", at.add(sym.IndexOp(a)), at.add(sym.IndexOp(b))))


def _check(
    write: sym.WriteOp, allowed: SSAValue, shadowing: list[SSAValue], at: Inserter
) -> SSAValue:
    """Compute whether a write stays in the space, is overwritten, or is nowhere."""
    check = allowed
    for site in shadowing:
        check = at.add(OrOp(check, _same_site(write.site, site, at)))
    if isinstance(write.site.owner, sym.SiteOp):
        # A branch may compute a site that the lattice does not have, in a choice that
        # it does not take: nothing is written then, and what is read there is anything.
        check = at.add(OrOp(check, _is_off_lattice(write.site.owner, at)))
    return check


def _is_off_lattice(site: sym.SiteOp, at: Inserter) -> SSAValue:
    sites = sym.operator_of(site).space.data.sites
    below = at.add(compare("LT", site.number, _constant_like(site.number, 0, at)))
    last = _constant_like(site.number, sites - 1, at)
    return at.add(OrOp(below, at.add(compare("GT", site.number, last))))


def _snap(write: sym.WriteOp, at: Inserter) -> None:
    """Store the allowed value itself where a value passes for it.

    A backend may compute a value once for the check and once for the write, and round
    the two differently.
    """
    value = write.value
    before = Inserter.before(write)
    before.location = at.location
    passes = before.add(sym.AllowedOp(value, write.site))
    place = before.add(sym.LocalIndexOp(value, write.site))
    exact = before.add(sym.LocalValueOp(place, write.site))
    write.operands[2] = before.add(select(passes, exact, value))


def _conjunction(predicate: SSAValue | None, check: SSAValue, at: Inserter) -> SSAValue:
    return check if predicate is None else at.add(AndOp(predicate, check))


class GuardEmissions(RewritePattern):
    """The emissions of a term count only where they stay in the space.

    sym.term @t over #sym.rows<[0]> {
    ^bb0(%x : !sym.config, %i : !sym.site):
      %y = sym.write %x[%i], %v : tensor<f64>
      sym.emit %y, %a : tensor<f64>
    }
    becomes, unless %v is known to be an allowed value,
    sym.term @t over #sym.rows<[0]> {
    ^bb0(%x : !sym.config, %i : !sym.site):
      %y = sym.write %x[%i], %v : tensor<f64>
      %p = sym.allowed %v at %i : tensor<f64>
      sym.emit %y, %a if %p : tensor<f64>
    }
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: sym.TermOp, rewriter: PatternRewriter) -> None:
        if error := normal_form_error(op):
            raise PassFailedException(
                f"sym-guard-space: {error}; run sym-expand-updates and "
                "sym-forward-reads first"
            )
        guarded = [_guard(op, emission, rewriter) for emission in op.emissions]
        _remark_on_guards(op, sum(guarded), len(guarded))


@dataclass(frozen=True)
class SymGuardSpacePass(ModulePass):
    """Make every branch that would leave the space invalid."""

    name = "sym-guard-space"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, GuardEmissions())
