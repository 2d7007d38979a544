"""What is in scope in a term, and whether its expressions and updates respect it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symir.errors import DefinitionError, SourceLocation
from symir.language.codes import Mistake
from symir.language.definitions import TermDefinition
from symir.language.expressions import (
    Apply,
    Compare,
    Constant,
    Expr,
    LocalValue,
    Node,
    Predicate,
    RowData,
    SiteNumber,
    Symbol,
    postorder,
)
from symir.language.scalars import fits
from symir.language.updates import Update

__all__ = ["Scope", "blamed_on", "emission_label"]

_EQUALITY = ("EQ", "NE")


def emission_label(position: int, tag: object) -> str:
    """Return what messages call an emission: its tag, else its place in the term."""
    return tag if isinstance(tag, str) and tag else f"emit{position}"


@contextmanager
def blamed_on(
    operator: str,
    term: str | None = None,
    emission: str | None = None,
    location: SourceLocation | None = None,
) -> Generator[None]:
    """Complete the errors raised inside: what they belong to, and where it stands."""
    try:
        yield
    except DefinitionError as error:
        error.operator = error.operator or operator
        error.term = error.term or term
        error.emission = error.emission or emission
        error.location = location or error.location
        raise


@dataclass
class Scope:
    """The names that a term can use.

    Attributes:
        labels: the labels that the term's iterator binds.
        columns: its row data, each with whether they are complex.
        dtype: the dtype of the operator.
        symbols: the symbols met so far, by name; checking adds to them.
    """

    labels: tuple[str, ...]
    columns: Mapping[str, bool]
    dtype: np.dtype[Any]
    symbols: dict[str, Symbol] = field(default_factory=dict[str, Symbol])

    @classmethod
    def of(
        cls, term: TermDefinition, dtype: np.dtype[Any], symbols: Mapping[str, Symbol]
    ) -> Scope:
        """Return the scope of a term."""
        columns = {name: data.dtype.kind == "c" for name, data in term.columns.items()}
        return cls(term.labels, columns, dtype, dict(symbols))

    def check_amplitude(self, amplitude: Expr) -> None:
        """Check a matrix element; it may read x'."""
        self._check(amplitude, "the amplitude", reads_emitted=True)

    def check_guard(self, predicate: Predicate) -> None:
        """Check a predicate."""
        self._check(predicate, "a predicate")

    def check_update(self, update: Update) -> None:
        """Check the sites and values of an update."""
        for step in update.steps:
            for site in step.sites:
                self._check_label(site)
            for value in step.values:
                self._check_local_value(value, step.kind)

    def _check_local_value(self, value: Expr, kind: str) -> None:
        if not self._check(value, f"the update {kind}(..)"):
            return
        raise Mistake.COMPLEX_LOCAL_VALUE.error(
            f"{kind}(..) makes a local value of a complex number",
            expected="a real number or expression",
            found=repr(value),
        )

    def _check(self, root: Node, where: str, *, reads_emitted: bool = False) -> bool:
        """Check every node; return whether the root is complex."""
        complex_nodes = set[int]()
        for node in postorder(root):
            self._check_leaf(node, where, reads_emitted)
            operands = [child for child in node.children if id(child) in complex_nodes]
            if isinstance(node, Compare):
                _check_ordering(node, operands)
            elif self._is_complex(node, bool(operands)):
                complex_nodes.add(id(node))
        return id(root) in complex_nodes

    def _is_complex(self, node: Node, has_complex_operand: bool) -> bool:
        match node:
            case Constant(value):
                return isinstance(value, complex)
            case Symbol():
                return node.is_complex
            case RowData(name):
                return self.columns[name]
            case Apply(function):
                return has_complex_operand and function != "abs"
            case _:
                return False

    def _check_leaf(self, node: Node, where: str, reads_emitted: bool) -> None:
        match node:
            case LocalValue() | SiteNumber():
                self._check_label(node)
                if node.is_emitted and not reads_emitted:
                    raise _misplaced_emitted(node, where)
            case Constant(value):
                self._check_constant(value, where)
            case Symbol():
                self._check_symbol(node, where)
            case RowData(name) if name not in self.columns:
                raise Mistake.UNKNOWN_DATA.error(
                    f"the term has no data '{name}'",
                    expected=_one_of(self.columns, "no data: for_each(.., data={..})"),
                    found=repr(node),
                )
            case _:
                pass

    def _check_label(self, node: LocalValue | SiteNumber) -> None:
        if node.label in self.labels:
            return
        raise Mistake.UNKNOWN_LABEL.error(
            f"label '{node.label}' is not bound by the term's iterator",
            expected=_one_of(self.labels, "no label: the term is visited once"),
            found=repr(node.label),
        )

    def _check_constant(self, value: Any, where: str) -> None:
        if isinstance(value, complex):
            self._require_complex(where, repr(value))
        if not fits(value, self.dtype):
            raise Mistake.NOT_FINITE.error(
                f"a constant is too large for {self.dtype}",
                expected=f"at most {np.finfo(self.dtype).max:.3g}",
                found=repr(value),
            )

    def _check_symbol(self, symbol: Symbol, where: str) -> None:
        known = self.symbols.setdefault(symbol.name, symbol)
        if not known.agrees_with(symbol):
            raise Mistake.SYMBOL_CONFLICT.error(
                f"symbol '{symbol.name}' is declared in two ways",
                expected=_declaration(known),
                found=_declaration(symbol),
                hint="declare it once, keep it in a variable and use that",
            )
        if symbol.is_complex:
            self._require_complex(where, _declaration(symbol))
        if symbol.default is not None:
            self._check_constant(symbol.default, f"symbol '{symbol.name}'")

    def _require_complex(self, where: str, found: str) -> None:
        if self.dtype.kind == "c":
            return
        raise Mistake.COMPLEX_IN_REAL.error(
            f"{where} holds a complex number and the operator is real",
            expected=f"real numbers for dtype {self.dtype}",
            found=found,
            hint="DOperator(.., dtype='complex128') makes a complex operator",
        )


def _check_ordering(node: Compare, complex_operands: list[Node]) -> None:
    if not complex_operands or node.direction in _EQUALITY:
        return
    raise Mistake.COMPLEX_ORDERING.error(
        "complex numbers have no order",
        expected="real operands of < <= > >=",
        found=repr(complex_operands[0]),
        hint="compare absolute values: abs(z) < 1",
    )


def _misplaced_emitted(node: LocalValue | SiteNumber, where: str) -> DefinitionError:
    return Mistake.MISPLACED_EMITTED.error(
        f"{where} comes before x', so it cannot read emitted(..)",
        expected="emitted(..) in amplitudes only",
        found=repr(node),
        hint=f"site({node.label!r}) reads the source x",
    )


def _one_of(names: Mapping[str, bool] | tuple[str, ...], none: str) -> str:
    return " or ".join(map(repr, names)) if names else none


def _declaration(symbol: Symbol) -> str:
    kind = "complex" if symbol.is_complex else "real"
    default = "no default" if symbol.default is None else f"default {symbol.default}"
    return f"symbol({symbol.name!r}), {kind}, {default}"
