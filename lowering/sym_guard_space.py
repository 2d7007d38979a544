"""`sym-guard-space`: a branch whose final x' leaves the space is not valid.

For each write that takes effect, range analysis tries to prove that the written value
is always an allowed one. Where it cannot, `sym.allowed` enters the predicate of the
emission; a value that may be rounded is replaced by the allowed one that it equals.
Intermediate values of an update may leave the space: only a write that no later one
overwrites counts. Expects normal form (`sym-forward-reads`).
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from dialects import sym
from dialects.stablehlo import AndOp, OrOp, compare, select
from lowering.range_analysis import Verdict, judge
from lowering.rewriting import Inserter
from lowering.sites import Alias, alias, normal_form_error, writes_of


def _guard(term: sym.TermOp, emission: sym.EmitOp) -> None:
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
    if guarded is not predicate and guarded is not None:
        tag = None if emission.tag is None else emission.tag.data
        at.add_op(sym.EmitOp(emission.config, emission.amplitude, guarded, tag))
        emission.detach()
        emission.erase()


def _check(
    write: sym.WriteOp, allowed: SSAValue, shadowing: list[SSAValue], at: Inserter
) -> SSAValue:
    """Compute whether a write stays in the space, or is overwritten."""
    check = allowed
    for site in shadowing:
        first, second = at.add(sym.IndexOp(write.site)), at.add(sym.IndexOp(site))
        check = at.add(OrOp(check, at.add(compare("EQ", first, second))))
    return check


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


@dataclass(frozen=True)
class SymGuardSpacePass(ModulePass):
    """Make every branch that would leave the space invalid."""

    name = "sym-guard-space"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for term in list(op.walk()):
            if not isinstance(term, sym.TermOp):
                continue
            if error := normal_form_error(term):
                raise PassFailedException(
                    f"{self.name}: {error}; run sym-expand-updates and "
                    "sym-forward-reads first"
                )
            for emission in term.emissions:
                _guard(term, emission)
