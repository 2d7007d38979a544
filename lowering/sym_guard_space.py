"""`sym-guard-space`: a branch whose final x' leaves the space is not valid.

For each write that takes effect, range analysis tries to prove that the written value
is always an allowed one. Where it cannot, `sym.allowed` enters the predicate of the
emission. Intermediate values of an update may leave the space: only a write that no
later one overwrites counts. Expects normal form (`sym-forward-reads`).
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from dialects import sym
from dialects.stablehlo import AndOp, OrOp, compare
from lowering.range_analysis import always_allowed
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
        if always_allowed(term, write, predicate, shadowing):
            continue
        guarded = _conjunction(guarded, _check(write, shadowing, at), at)
    if guarded is not predicate and guarded is not None:
        tag = None if emission.tag is None else emission.tag.data
        at.add_op(sym.EmitOp(emission.config, emission.amplitude, guarded, tag))
        emission.detach()
        emission.erase()


def _check(write: sym.WriteOp, shadowing: list[SSAValue], at: Inserter) -> SSAValue:
    """Compute whether a write stays in the space, or is overwritten."""
    check = at.add(sym.AllowedOp(write.value, write.site))
    for site in shadowing:
        first, second = at.add(sym.IndexOp(write.site)), at.add(sym.IndexOp(site))
        check = at.add(OrOp(check, at.add(compare("EQ", first, second))))
    return check


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
