"""Scope of a term, and the check that its expressions and updates respect it."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from dialects.tables import NO_SITE, SiteSets
from symir.errors import DefinitionError, SourceLocation
from symir.language.codes import Mistake
from symir.language.definitions import TermDefinition
from symir.language.expressions import (
    HERE,
    Apply,
    AtSite,
    Compare,
    Constant,
    Expr,
    Node,
    Predicate,
    RowData,
    SiteNumber,
    Symbol,
    postorder,
)
from symir.language.extensions import Call
from symir.language.functions import Lookup, WrapMod
from symir.language.reductions import (
    Between,
    Range,
    ReducedNumber,
    ReducedPredicate,
    Region,
    SiteSet,
)
from symir.language.scalars import Number, fits, shortened
from symir.language.updates import Step, Update
from symir.operator.spaces import Space

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
        term: the term, with its labels, row data and site sets.
        space: the space of the operator.
        dtype: the dtype of the operator.
        symbols: the symbols met so far, by name; checking adds to them.
    """

    term: TermDefinition
    space: Space
    dtype: np.dtype[Any]
    symbols: dict[str, Symbol] = field(default_factory=dict[str, Symbol])

    def check_amplitude(self, amplitude: Expr) -> bool:
        """Check a matrix element, which may read x'; return whether it is complex."""
        return self._check(amplitude, "the amplitude", reads_emitted=True)

    def check_guard(self, predicate: Predicate) -> None:
        """Check a predicate."""
        self._check(predicate, "a predicate")

    def check_projection(self, predicate: Predicate) -> None:
        """Check a predicate that may read x'."""
        self._check(predicate, "a projection", reads_emitted=True)

    # region Updates

    def check_update(self, update: Update) -> None:
        """Check the sites, values and predicates of an update."""
        for step in update.steps:
            for site in step.sites:
                self._check_site(site, step.kind)
            for value in step.values:
                self._check_local_value(value, step.kind)
            if step.predicate is not None:
                self._check(step.predicate, f"the update {step.kind}(..)")
            for choice in step.choices:
                self.check_update(choice)
            if step.kind in ("flip", "flip_set"):
                self._check_flip(step)

    def _check_site(self, site: Expr, kind: str) -> None:
        if isinstance(site, Constant):
            self.check_constant_site(site.value, kind)
        elif self._check(site, f"a site of the update {kind}(..)"):
            raise _bad_site(kind, "a real number or expression", repr(site))

    def _check_flip(self, step: Step) -> None:
        flipped = self._flipped(step)
        if self.space.is_uniform:
            flipped = flipped[:1]
        for site in np.unique(flipped).tolist():
            values = self.space.local_states_at(site)
            if len(values) != 2:
                raise _not_two_valued(step.kind, site, values, self.space)

    def _flipped(self, step: Step) -> npt.NDArray[np.int32]:
        """Return every site that a flip may reach, in any order."""
        if step.text is not None:
            sites = self.site_set(step.text).array
            return sites[sites != NO_SITE]
        match step.sites[0]:
            case SiteNumber(label, number=None):
                return self.term.rows.column(self.term.labels.index(label))
            case Constant(number):
                return np.array([int(cast(int, number))], np.int32)
            case _:
                return np.arange(self.space.size, dtype=np.int32)

    def site_set(self, name: str) -> SiteSets:
        """Return a site set of the term.

        Raises:
            DefinitionError: when the term has none of that name (D034).
        """
        sets = self.term.sets
        if name in sets:
            return sets[name]
        raise Mistake.UNKNOWN_SET.error(
            f"the term has no site set '{name}'",
            expected=_one_of(sets, "no set: for_each(.., sets={..})"),
            found=repr(name),
        )

    # endregion

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
        return _Check(self, where, reads_emitted).of(root)

    def check_constant_site(self, number: Number, kind: str) -> None:
        """Check a site number that is known."""
        sites = self.space.size
        if isinstance(number, complex) or number not in range(sites):
            raise _bad_site(kind, f"a site from 0 to {sites - 1}", repr(number))

    def check_constant(self, value: Any, where: str) -> None:
        """Check a constant: whether it fits the operator."""
        if isinstance(value, complex):
            self.require_complex(where, repr(value))
        if not fits(value, self.dtype):
            raise Mistake.NOT_FINITE.error(
                f"a constant is too large for {self.dtype}",
                expected=f"at most {np.finfo(self.dtype).max:.3g}",
                found=repr(value),
            )

    def check_symbol(self, symbol: Symbol, where: str) -> None:
        """Check a symbol against the others of its name, and remember it."""
        known = self.symbols.setdefault(symbol.name, symbol)
        check_agreement(known, symbol)
        if symbol.is_complex:
            self.require_complex(where, _declaration(symbol))
        if symbol.default is not None:
            self.check_constant(symbol.default, f"symbol '{symbol.name}'")

    def require_complex(self, where: str, found: str) -> None:
        """Check that the operator is complex where a complex number enters it."""
        if self.dtype.kind == "c":
            return
        raise Mistake.COMPLEX_IN_REAL.error(
            f"{where} holds a complex number and the operator is real",
            expected=f"real numbers for dtype {self.dtype}",
            found=found,
            hint="DOperator(.., dtype='complex128') makes a complex operator",
        )


def check_agreement(known: Symbol, symbol: Symbol) -> None:
    """Check that two symbols of one name declare the same parameter."""
    if known.agrees_with(symbol):
        return
    raise Mistake.SYMBOL_CONFLICT.error(
        f"symbol '{symbol.name}' is declared in two ways",
        expected=_declaration(known),
        found=_declaration(symbol),
        hint="declare it once, keep it in a variable and use that",
    )


_REAL_RESULT = ("abs", "real", "imag", "norm2")
_REAL_ONLY = ("floordiv", "mod", "rem", "sign", "minimum", "maximum")


@dataclass
class _Check:
    """The check of one expression or predicate, down to its reductions."""

    scope: Scope
    where: str
    reads_emitted: bool
    in_reduction: bool = False

    def of(self, root: Node) -> bool:
        """Check every node; return whether the root is complex."""
        complex_nodes = set[int]()
        for node in postorder(root):
            operands = [child for child in node.children if id(child) in complex_nodes]
            if self._node(node, operands):
                complex_nodes.add(id(node))
        return id(root) in complex_nodes

    def _node(self, node: Node, complex_operands: list[Node]) -> bool:
        """Check a node; return whether it is complex."""
        match node:
            case Compare():
                _check_ordering(node, complex_operands)
                return False
            case Apply(function):
                if function in _REAL_ONLY and complex_operands:
                    raise _real_only(_name_of(function), complex_operands[0])
                return bool(complex_operands) and function not in _REAL_RESULT
            case WrapMod():
                self._wrap_mod(node, complex_operands)
                return False
            case Call():
                if node.function.result == "complex":
                    self.scope.require_complex(self.where, repr(node))
                return node.is_complex(bool(complex_operands))
            case _ if node.children:
                return bool(complex_operands)
            case _:
                return self._leaf(node)

    def _leaf(self, node: Node) -> bool:
        """Check a node without children; return whether it is complex."""
        match node:
            case AtSite():
                self._at_site(node)
                return False
            case Constant(value):
                self.scope.check_constant(value, self.where)
                return isinstance(value, complex)
            case Symbol():
                self.scope.check_symbol(node, self.where)
                return node.is_complex
            case RowData(name):
                return self._row_data(node, name)
            case Lookup():
                return self._lookup(node)
            case ReducedNumber() | ReducedPredicate():
                return self._reduction(node)
            case _:
                return False

    def _at_site(self, node: AtSite) -> None:
        if node.is_emitted and not self.reads_emitted:
            raise _misplaced_emitted(node, self.where)
        if isinstance(node.number, Constant):
            self.scope.check_constant_site(node.number.value, "site")
        elif node.number is not None:
            self._real("the number of a site", node.number)
        elif node.label == HERE:
            self._here(node)
        elif node.label not in self.scope.term.labels:
            raise Mistake.UNKNOWN_LABEL.error(
                f"label '{node.label}' is not bound by the term's iterator",
                expected=_one_of(
                    self.scope.term.labels, "no label: the term is visited once"
                ),
                found=repr(node.label),
            )

    def _here(self, node: AtSite) -> None:
        if self.in_reduction:
            return
        raise Mistake.HERE_OUTSIDE.error(
            f"{self.where} uses here, and no site is visited",
            expected="here in what a reduction reduces only",
            found=repr(node),
            hint="sum_(here.value, over=between('i', 'j'))",
        )

    def _real(self, what: str, value: Expr) -> None:
        """Check an expression of its own that is to be real."""
        if self.of(value):
            raise _real_only(what, value)

    def _row_data(self, node: Node, name: str) -> bool:
        columns = self.scope.term.columns
        if name in columns:
            return columns[name].dtype.kind == "c"
        raise Mistake.UNKNOWN_DATA.error(
            f"the term has no data '{name}'",
            expected=_one_of(columns, "no data: for_each(.., data={..})"),
            found=repr(node),
        )

    def _wrap_mod(self, node: WrapMod, complex_operands: list[Node]) -> None:
        self._at_site(node.site)
        if complex_operands:
            raise _real_only("wrap_mod", complex_operands[0])
        for values in dict.fromkeys(self.scope.space.local_states):
            if not np.allclose(np.diff(values, 2), 0):
                raise Mistake.NOT_WRAPPABLE.error(
                    "local values that are not equally spaced do not wrap around",
                    expected="equally spaced local values",
                    found=shortened(values),
                    hint="shift_mod(site, k) goes k places on among any local values",
                )

    def _lookup(self, node: Lookup) -> bool:
        self._real("the index of a table", node.index)
        for value in node.values:
            self.scope.check_constant(value, "a table")
        return any(isinstance(value, complex) for value in node.values)

    def _reduction(self, node: ReducedNumber | ReducedPredicate) -> bool:
        self._region(node.over)
        return replace(self, in_reduction=True).of(node.body)

    def _region(self, region: Region) -> None:
        # What a reduction runs over is known before it visits a site.
        outside = replace(self, in_reduction=False)
        what = "an end of a range of sites"
        match region:
            case SiteSet(name):
                self.scope.site_set(name)
            case Between(a, b) | Range(a, b):
                outside._real(what, a)
                outside._real(what, b)
            case _:
                pass


def _name_of(function: str) -> str:
    return {"floordiv": "//", "mod": "%", "rem": "parity"}.get(function, function)


def _real_only(what: str, found: Node) -> DefinitionError:
    return Mistake.REAL_ONLY.error(
        f"{what} is for real numbers",
        expected="a real number or expression",
        found=repr(found),
        hint="real(z), imag(z), abs(z) and norm2(z) are real",
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


def _bad_site(kind: str, expected: str, found: str) -> DefinitionError:
    return Mistake.BAD_SITE.error(
        f"{kind}(..) is given a site that the lattice cannot have",
        expected=expected,
        found=found,
        hint="sites are counted from 0; a neighbour is (site('i').index + 1) % N",
    )


def _not_two_valued(
    kind: str, site: int, values: tuple[float, ...], space: Space
) -> DefinitionError:
    where = "every site" if space.is_uniform else f"site {site}"
    return Mistake.NOT_TWO_VALUED.error(
        f"{kind}(..) exchanges two local values, and {where} has {len(values)}",
        expected="two local values",
        found=shortened(values),
        hint="shift_mod(site, 1) goes around among any number of them",
    )


def _misplaced_emitted(node: AtSite, where: str) -> DefinitionError:
    return Mistake.MISPLACED_EMITTED.error(
        f"{where} comes before x', so it cannot read emitted(..)",
        expected="emitted(..) in amplitudes and in project(..) only",
        found=repr(node),
        hint="site(..) reads the source x",
    )


def _one_of(names: Collection[str], none: str) -> str:
    return " or ".join(map(repr, names)) if names else none


def _declaration(symbol: Symbol) -> str:
    kind = "complex" if symbol.is_complex else "real"
    default = "no default" if symbol.default is None else f"default {symbol.default}"
    return f"symbol({symbol.name!r}), {kind}, {default}"
