"""Views of notebooks: a few escaped lines without a script, in any colour scheme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.inspection import LoweredOperator
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.operator.terms import Term

TERMS_SHOWN = 8
NAME_SHOWN = 60

_BOX = (
    "border-left:3px solid #3b6fd4;padding:2px 0 2px 14px;max-width:760px;"
    "font-size:13px;line-height:1.5"
)
_SOFT = "opacity:.7"
_CELL = "text-align:left;padding:1px 18px 1px 0;background:none;border:0"
_TABLE = "border:0;margin:6px 0 2px;color:inherit;font:inherit"
_BAR = "display:inline-block;height:7px;border-radius:3px;background:#3b6fd4"


def operator_html(operator: SymbolicOperator) -> str:
    """Return an operator: its space, and the lanes of each term."""
    claim = ", Hermitian" if operator.declared_hermitian else ""
    about = (
        f"{operator.space}: {operator.max_conn_size} branches of each x, "
        f"{operator.dtype}{claim}"
    )
    return _box(operator.name, about, _terms(operator.terms))


def artifact_html(artifact: SymbolicCompiledArtifact) -> str:
    """Return a compiled operator: what it was, and what it was compiled to."""
    ir: SymbolicOperatorIR = artifact.operator_ir
    about = (
        f"compiled for {artifact.backend} by {artifact.lowerer_name}: "
        f"{ir.max_conn_size} branches, {artifact.lanes} lanes, {ir.dtype_str}"
    )
    return _box(artifact.operator_name, about, _terms(ir.terms))


def lowered_html(handle: LoweredOperator) -> str:
    """Return a handle: the passes that changed something, with their numbers of ops."""
    rows: list[Sequence[str]] = []
    for stage in handle.stages:
        report = stage.report
        if report is None:
            rows.append((stage.level, "as it was entered", ""))
        elif report.ops_before != report.ops_after:
            rows.append(
                (stage.level, stage.name, f"{report.ops_before} → {report.ops_after}")
            )
    about = f"{' → '.join(handle.levels)} in {len(handle.stages) - 1} passes"
    return _box(handle.name, about, _table(("level", "pass", "ops"), rows))


def _box(name: str, about: str, body: str) -> str:
    return (
        f'<div style="{_BOX}"><strong>{escape(_short(name))}</strong> '
        f'<span style="{_SOFT}">{escape(about)}</span>{body}</div>'
    )


def _terms(terms: Sequence[Term]) -> str:
    most = max((term.size for term in terms), default=1)
    rows = [
        (
            _short(term.name),
            f"{term.rows.rows} of ({', '.join(term.labels)})",
            ", ".join(tag or f"emission {k}" for k, tag in enumerate(term.tags)),
            str(term.size),
        )
        for term in terms[:TERMS_SHOWN]
    ]
    bars = [max(2, round(90 * term.size / most)) for term in terms[:TERMS_SHOWN]]
    more = len(terms) - len(rows)
    rest = f'<div style="{_SOFT}">and {more} more terms</div>' if more > 0 else ""
    return _table(("term", "rows", "emits", "branches"), rows, bars) + rest


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], bars: Sequence[int] = ()
) -> str:
    """Return a table; `bars` are widths in pixels at the end of the rows."""
    head = "".join(
        f'<th style="{_CELL};font-weight:400;{_SOFT}">{escape(cell)}</th>'
        for cell in header
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}">{escape(_short(cell))}</td>' for cell in row)
        + "".join(
            f'<td style="{_CELL}"><i style="{_BAR};width:{width}px"></i></td>'
            for width in bars[number : number + 1]
        )
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<table style="{_TABLE}"><tr>{head}</tr>{body}</table>'


def _short(text: str) -> str:
    return text if len(text) <= NAME_SHOWN else f"{text[: NAME_SHOWN - 1]}…"
