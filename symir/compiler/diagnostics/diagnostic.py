"""Diagnostics, and their construction for an op of the IR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Operation, SSAValue

from dialects import sym
from symir.errors import SourceLocation, error_text
from symir.language.scope import emission_label
from symir.plain_text import Reading
from symir.provenance import place_in

Severity: TypeAlias = Literal["error", "warning", "note"]

_SEVERITIES: dict[str, Severity] = {
    **dict.fromkeys(("W017", "W018"), "error"),
    **dict.fromkeys(("W001", "W005", "W011", "W012", "W013"), "warning"),
}
"""Of the others most are notes; a few say what they are where they are found."""


@dataclass(frozen=True)
class Diagnostic(Reading):
    """Something questionable about an operator.

    Attributes:
        code: what it is, "W001" for example.
        severity: "error", "warning" or "note".
        message: one sentence.
        operator: the name of the operator.
        term: the name of the term, None where it is about no single one.
        emission: what messages call the emission, None likewise.
        location: the user's file and line, as far as they are known.
        found: what shows it, such as local values or a matrix element.
        hint: what to do about it.
    """

    code: str
    severity: Severity
    message: str
    operator: str
    term: str | None = None
    emission: str | None = None
    location: SourceLocation | None = None
    found: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        headline = f"[{self.code}] {self.severity}: {self.message}"
        names = ("operator", "term", "emission")
        details = {"at": self.location, "found": self.found, "hint": self.hint}
        return error_text(headline, {one: getattr(self, one) for one in names}, details)


def diagnostic_of(
    op: Operation,
    code: str,
    message: str,
    *,
    severity: Severity | None = None,
    at: LocationAttr | None = None,
    found: str | None = None,
    hint: str | None = None,
) -> Diagnostic:
    """Return a diagnostic about an op: an operator, a term or an emission of one.

    `at` is where to point, by default to the op, and `severity` is that of the code.
    """
    term = op if isinstance(op, sym.TermOp) else op.parent_op()
    emission = None
    if isinstance(op, sym.EmitOp):
        assert isinstance(term, sym.TermOp)
        tag = None if op.tag is None else op.tag.data
        emission = emission_label(term.emissions.index(op), tag)
    return Diagnostic(
        code,
        severity or _SEVERITIES.get(code, "note"),
        message,
        _operator_of(op).sym_name.data,
        term.sym_name.data if isinstance(term, sym.TermOp) else None,
        emission,
        place_in(at or op.location) or place_in(op.location),
        found,
        hint,
    )


def _operator_of(op: Operation) -> sym.OperatorOp:
    return op if isinstance(op, sym.OperatorOp) else sym.operator_of(op)


def label_of(term: sym.TermOp, argument: SSAValue) -> str:
    """Return what the user calls an argument of a term."""
    arguments: Sequence[SSAValue] = term.body.block.args
    return argument.name_hint or f"argument {arguments.index(argument)}"
