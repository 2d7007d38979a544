"""The builder: operators as physicists write them, term by term.

    DOperator(spin(0.5, 8), "tfim")
        .for_each_site("i")
        .where(site("i") > 0)
        .emit(write("i", -site("i").value), amplitude=-1.0)
        .build()

Each iterator opens a term; `where` and `emit` belong to the term that is open. Mistakes
are reported by the call that makes them, with the user's file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from dialects.tables import RowTable
from symir.errors import user_location
from symir.language import rows
from symir.language.codes import Mistake
from symir.language.definitions import (
    EmissionDefinition,
    GuardDefinition,
    OperatorDefinition,
    TermDefinition,
)
from symir.language.expressions import (
    ExprLike,
    PredicateLike,
    Symbol,
    as_expr,
    as_predicate,
)
from symir.language.scalars import as_dtype, as_name, is_bool, items_of, shortened
from symir.language.scope import Scope, blamed_on, emission_label
from symir.language.updates import Update, as_update
from symir.spaces import as_space

if TYPE_CHECKING:
    from symir.operator import SymbolicOperator

__all__ = ["DOperator"]

_NO_DATA: Mapping[str, Any] = {}


class DOperator:
    """A declaration of an operator, built up call by call.

    Every method changes the builder and returns it. A call that raises leaves it as it
    was.

    Args:
        hilbert: a space of symir, or a discrete Hilbert space of NetKet.
        name: the name of the operator.
        dtype: that of the matrix elements: float32, float64, complex64 or complex128.
            By default float64.
        hermitian: whether the operator equals its conjugate transpose. It is the
            author's claim.

    Raises:
        DefinitionError: for a bad name (D019), dtype (D025), flag (D027), or space
            (S011, S012).
    """

    def __init__(
        self,
        hilbert: object,
        name: str = "operator",
        *,
        dtype: npt.DTypeLike | None = None,
        hermitian: bool = False,
    ):
        self._location = user_location()
        self._name = as_name(name, "the name of an operator")
        with blamed_on(self._name, location=self._location):
            self._hilbert = hilbert
            self._space = as_space(hilbert)
            self._dtype_is_default = dtype is None
            self._dtype = as_dtype("float64" if dtype is None else dtype)
            self._is_hermitian = _as_flag(hermitian)
        self._terms: list[TermDefinition] = []
        self._named_by_user = set[int]()
        self._symbols: dict[str, Symbol] = {}

    # region Iterators

    def globally(self) -> DOperator:
        """Open a term that is visited once and binds no label."""
        return self._open("globally", (), lambda _: rows.one_row())

    def for_each_site(self, label: str = "i") -> DOperator:
        """Open a term over all sites: N rows."""
        return self._open(
            "for_each_site", (label,), lambda _: rows.all_sites(self._space.size)
        )

    def for_each_pair(self, a: str = "i", b: str = "j") -> DOperator:
        """Open a term over all ordered pairs of sites, i == j included: N * N rows.

        The second label runs faster.
        """
        return self._open(
            "for_each_pair", (a, b), lambda _: rows.all_pairs(self._space.size)
        )

    def for_each_distinct_pair(self, a: str = "i", b: str = "j") -> DOperator:
        """Open a term over the ordered pairs of different sites: N * (N - 1) rows."""
        return self._open(
            "for_each_distinct_pair",
            (a, b),
            lambda _: rows.distinct_pairs(self._space.size),
        )

    def for_each_unordered_pair(self, a: str = "i", b: str = "j") -> DOperator:
        """Open a term over the pairs i < j: N * (N - 1) / 2 rows."""
        return self._open(
            "for_each_unordered_pair",
            (a, b),
            lambda _: rows.unordered_pairs(self._space.size),
        )

    def for_each(
        self,
        labels: str | Iterable[str],
        over: object,
        data: Mapping[str, object] | None = None,
    ) -> DOperator:
        """Open a term over rows of sites.

        Args:
            labels: one label per column of the rows; a plain string is one label.
            over: the rows: a list, generator or array of one site number per label. For
                a single label a flat list of site numbers will do.
            data: one number per row for each name, read as `row(name)`.

        Raises:
            DefinitionError: for bad labels (D002, D019), rows (D003 to D006) or data
                (D012, D013, D024).
        """
        return self._open(
            "for_each",
            labels,
            lambda bound: rows.as_rows(over, bound, self._space.size),
            _NO_DATA if data is None else data,
        )

    def _open(
        self,
        iterator: str,
        labels: object,
        make_rows: Callable[[tuple[str, ...]], RowTable],
        data: Mapping[str, object] = _NO_DATA,
    ) -> DOperator:
        location = user_location()
        self._check_sealed()
        name = self._default_name()
        with blamed_on(self._name, name, location=location):
            bound = _as_labels(labels, may_be_none=iterator == "globally")
            table = make_rows(bound)
            columns = _as_columns(data, table.rows, self._dtype)
        self._terms.append(
            TermDefinition(name, iterator, bound, table, columns, location)
        )
        return self

    # endregion
    # region The open term

    def named(self, name: str) -> DOperator:
        """Name the open term.

        Raises:
            DefinitionError: for a bad name (D019), one that is taken (D011), or without
                a term (D007).
        """
        location = user_location()
        term = self._open_term("named")
        position = len(self._terms) - 1
        with blamed_on(self._name, term.name, location=location):
            checked = as_name(name, "the name of a term")
            self._check_free(checked, position)
        self._named_by_user.add(position)
        # A term that was given this name by default gives it up.
        for other, taken in enumerate(self._terms[:position]):
            if taken.name == checked:
                self._terms[other] = replace(taken, name=self._free(checked))
        self._terms[position] = replace(term, name=checked)
        return self

    def where(self, predicate: PredicateLike) -> DOperator:
        """Restrict the open term to where a predicate holds; several are AND-ed.

        Raises:
            DefinitionError: for anything but a predicate (D016), one that is out of
                scope (D001, D014, D023), after an emission of the term (D008), or
                without a term (D007).
        """
        location = user_location()
        term = self._open_term("where")
        scope = self._scope(term)
        with blamed_on(self._name, term.name, location=location):
            if term.emissions:
                raise _late_where(term)
            checked = as_predicate(predicate)
            scope.check_guard(checked)
        guard = GuardDefinition(checked, location)
        self._replace_term(replace(term, guards=(*term.guards, guard)), scope)
        return self

    def emit(
        self,
        update: Update | None = None,
        *,
        amplitude: ExprLike = 1.0,
        tag: str | None = None,
    ) -> DOperator:
        """Let each row of the open term contribute a branch.

        Args:
            update: how x' arises from x; the identity by default.
            amplitude: the matrix element <x|O|x'>, a number or an expression.
            tag: a name for the branch in messages, reports and the IR.

        Raises:
            DefinitionError: for anything but an update (D017) or an expression (D015),
                for one that is out of scope (D001, D014, D023) or of the wrong kind
                (D012, D013, D022), or without a term (D007).
        """
        location = user_location()
        term = self._open_term("emit")
        scope = self._scope(term)
        label = emission_label(len(term.emissions), tag)
        with blamed_on(self._name, term.name, label, location):
            checked_tag = None if tag is None else as_name(tag, "a tag")
            checked_update = as_update(update)
            checked_amplitude = as_expr(amplitude)
            scope.check_update(checked_update)
            scope.check_amplitude(checked_amplitude)
        emission = EmissionDefinition(
            checked_update, checked_amplitude, checked_tag, location
        )
        self._replace_term(replace(term, emissions=(*term.emissions, emission)), scope)
        return self

    def _open_term(self, method: str) -> TermDefinition:
        if self._terms:
            return self._terms[-1]
        raise Mistake.NO_ITERATOR.error(
            f"{method} belongs to a term, and none is open",
            operator=self._name,
            expected=f"an iterator before {method}",
            hint="for_each_site, for_each, .. open a term; globally() visits it once",
        )

    def _scope(self, term: TermDefinition) -> Scope:
        return Scope.of(term, self._dtype, self._symbols)

    def _replace_term(self, term: TermDefinition, scope: Scope) -> None:
        self._terms[-1] = term
        self._symbols = scope.symbols

    # endregion
    # region Names

    def _default_name(self) -> str:
        return self._free(f"term{len(self._terms)}")

    def _free(self, name: str) -> str:
        """Return a name that no term has: the one given, or one that starts so."""
        names = {term.name for term in self._terms}
        while name in names:
            name += "_"
        return name

    def _check_free(self, name: str, position: int) -> None:
        for other in self._named_by_user - {position}:
            if self._terms[other].name == name:
                raise Mistake.DUPLICATE_TERM.error(
                    f"another term is named '{name}' already",
                    expected="a name of its own for each term",
                    found=f"terms {other} and {position} (from 0) named '{name}'",
                    hint=f"the other one is at {self._terms[other].location}",
                )

    # endregion

    def build(self) -> SymbolicOperator:
        """Return the operator; the builder can be used further.

        Raises:
            DefinitionError: when there is no term (D010), or the last one emits nothing
                (D009).
        """
        from symir.operator import SymbolicOperator

        self._check_sealed()
        if not self._terms:
            raise Mistake.NO_TERMS.error(
                "the operator has no terms",
                operator=self._name,
                expected="an iterator and an emission at least",
                hint="for_each_site('i').emit(amplitude=..) is a term",
            )
        definition = OperatorDefinition(
            self._name,
            self._space,
            self._dtype,
            self._is_hermitian,
            tuple(self._terms),
            tuple(self._symbols.values()),
            self._location,
        )
        return SymbolicOperator.from_definition(
            definition, self._hilbert, dtype_is_default=self._dtype_is_default
        )

    def _check_sealed(self) -> None:
        """Raise where the last term has no emission."""
        if not self._terms or self._terms[-1].emissions:
            return
        term = self._terms[-1]
        raise Mistake.NO_EMISSION.error(
            f"the term opened by {term.iterator} emits nothing",
            operator=self._name,
            term=term.name,
            location=term.location,
            expected="an emit before the next iterator and before build",
        )

    def __repr__(self) -> str:
        return (
            f"DOperator({self._space!r}, {self._name!r}, dtype={self._dtype}, "
            f"hermitian={self._is_hermitian}, "
            f"terms={[term.name for term in self._terms]})"
        )


def _as_flag(value: object) -> bool:
    if is_bool(value):
        return bool(value)
    raise Mistake.NOT_A_FLAG.error(
        "hermitian is a claim: it is made or not",
        expected="True or False",
        found=shortened(value),
    )


def _as_labels(labels: object, *, may_be_none: bool) -> tuple[str, ...]:
    # A plain string is one label, not one per character.
    items = (labels,) if isinstance(labels, str) else items_of(labels)
    if items is None:
        raise _no_labels(labels)
    bound = tuple(as_name(item, "a label") for item in items)
    if not bound and not may_be_none:
        raise _no_labels(labels)
    for label in bound:
        if bound.count(label) > 1:
            raise Mistake.LABEL_BOUND_TWICE.error(
                f"the iterator binds label '{label}' twice",
                expected="a label of its own for each site of a row",
                found=f"labels {', '.join(map(repr, bound))}",
            )
    return bound


def _no_labels(labels: object) -> Exception:
    return Mistake.NOT_A_NAME.error(
        "for_each needs labels",
        expected="a label, or a tuple of labels",
        found=shortened(labels),
        hint="a term without labels is opened by globally()",
    )


def _as_columns(
    data: object, row_count: int, dtype: np.dtype[Any]
) -> dict[str, npt.NDArray[Any]]:
    if not isinstance(data, Mapping):
        raise Mistake.BAD_DATA.error(
            "the data of a term are named",
            expected="a dictionary {name: one number per row}",
            found=shortened(data),
        )
    columns: dict[str, npt.NDArray[Any]] = {}
    for key, values in cast(Mapping[object, object], data).items():
        name = as_name(key, "the name of row data")
        columns[name] = rows.as_column(name, values, row_count, dtype)
    return columns


def _late_where(term: TermDefinition) -> Exception:
    return Mistake.LATE_WHERE.error(
        "where restricts a whole term, so it belongs before its first emit",
        expected=f"{term.iterator}(..).where(..).emit(..)",
        found=f"{len(term.emissions)} emit before this where",
        hint="move it up; or open a term of its own for what it restricts",
    )
