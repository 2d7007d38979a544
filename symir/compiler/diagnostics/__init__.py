"""Diagnostics: what is questionable about an operator that compiles.

Each has a code (see `docs/diagnostics.md`), names the operator, term and emission, and
the user's file and line. An "error" makes wrong numbers for some x; a "warning" is for
what does nothing, or hardly what was meant; a "note" is true and may be of use. None of
them stops a compilation, but for a wrong claim to be Hermitian (C028).

The cheap ones look at the IR alone: at what is used, at the joint local values of a few
sites, and at matrix elements of a few configurations where they are declared Hermitian.
The thorough ones evaluate the branches of configurations, too: of all in a
small space, else of a sample.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from dialects import sym
from symir.compiler.diagnostics.diagnostic import Diagnostic, Severity
from symir.compiler.diagnostics.ranges import range_diagnostics
from symir.compiler.diagnostics.sampling import refuted_claim, sampled_diagnostics
from symir.compiler.diagnostics.usage import usage_diagnostics

if TYPE_CHECKING:
    from symir.operator.ir import SymbolicOperatorIR
    from symir.operator.symbolic_operator import SymbolicOperator

__all__ = ["Diagnostic", "Severity", "diagnose"]

_FOUND: WeakKeyDictionary[SymbolicOperator, dict[bool, tuple[Diagnostic, ...]]] = (
    WeakKeyDictionary()
)
"""Findings so far: compiling an operator again must not look for them again.

By the operator itself, since equal operators may stand on other lines.
"""


def diagnose(
    operator: SymbolicOperator,
    *,
    thorough: bool = False,
    ir: SymbolicOperatorIR | None = None,
) -> tuple[Diagnostic, ...]:
    """Return what is questionable about an operator, errors first, each of them once.

    The order is that of the terms otherwise. `ir` is the operator's own IR, where it is
    at hand.
    """
    found = _FOUND.setdefault(operator, {})
    if thorough not in found:
        found[thorough] = _diagnose(operator, ir or operator.to_ir(), thorough)
    return found[thorough]


def _diagnose(
    operator: SymbolicOperator, ir: SymbolicOperatorIR, thorough: bool
) -> tuple[Diagnostic, ...]:
    op = ir.operator
    is_constrained = operator.space.is_constrained
    if not thorough:
        origin = _origin_of(op)
        found = _cheap(_Source(ir.static_fingerprint(), origin, is_constrained, op))
        claim = refuted_claim(operator)
        return found if claim is None else _sorted([claim, *found])
    ranges = range_diagnostics(op, is_constrained=is_constrained, thorough=True)
    sampled = sampled_diagnostics(operator, op)
    return _sorted([*usage_diagnostics(op), *ranges, *sampled])


@dataclass(frozen=True)
class _Source:
    """An operator, equal to others of the same text on the same lines."""

    fingerprint: str
    origin: tuple[Hashable, ...]
    is_constrained: bool
    op: sym.OperatorOp = field(compare=False)


def _origin_of(op: sym.OperatorOp) -> tuple[Hashable, ...]:
    """Return what messages say of ops beyond what they do: places and labels."""
    labels = (one.name_hint for term in op.terms for one in term.body.block.args)
    return (*(inner.location for inner in op.walk()), *labels)


@lru_cache(maxsize=16)
def _cheap(source: _Source) -> tuple[Diagnostic, ...]:
    # An operator that is built anew in a loop is looked at once
    op, is_constrained = source.op, source.is_constrained
    ranges = range_diagnostics(op, is_constrained=is_constrained, thorough=False)
    return _sorted([*usage_diagnostics(op), *ranges])


def _sorted(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    order = ("error", "warning", "note")
    distinct = dict.fromkeys(found)
    return tuple(sorted(distinct, key=lambda one: order.index(one.severity)))
