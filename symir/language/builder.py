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

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from dialects.tables import RowTable
from symir.errors import DefinitionError, UnfinishedError, user_location
from symir.language import clauses, rows
from symir.language.codes import Mistake
from symir.language.definitions import (
    EmissionDefinition,
    GuardDefinition,
    OperatorDefinition,
    TermDefinition,
)
from symir.language.expressions import (
    Constant,
    ExprLike,
    Predicate,
    PredicateLike,
    Symbol,
    as_expr,
    as_predicate,
)
from symir.language.leaving import check_stays_inside
from symir.language.local_operators import times
from symir.language.matrix_elements import EmittedBranch, Expansion, cases_of, expand
from symir.language.operators import (
    LatticeSum,
    LatticeTerm,
    OperatorExpr,
    as_lattice_sum,
)
from symir.language.scalars import (
    as_dtype,
    as_name,
    as_number,
    is_bool,
    is_open,
    items_of,
    shortened,
)
from symir.language.scope import Scope, blamed_on, emission_label
from symir.language.translate import translate
from symir.language.updates import Update, as_update
from symir.operator.spaces import as_space
from symir.spans import span, spanned

if TYPE_CHECKING:
    from symir.operator.symbolic_operator import SymbolicOperator

_Chain = tuple[Predicate, ...]
"""The predicates of an open chain of emit_if and emit_elseif so far."""


class DOperator:
    """A declaration of an operator, built up call by call.

    Every method changes the builder and returns it. A call that raises leaves it as it
    was.

    Args:
        hilbert: a space of symir, or a discrete Hilbert space of NetKet.
        name: the name of the operator.
        dtype: that of the matrix elements: float32, float64, complex64 or complex128;
            or `float`, the default, and `complex`, which are float64 and complex128
            where JAX is set to 64 bits, and float32 and complex64 where it is not.
        hermitian: whether the operator equals its conjugate transpose, for all values
            of its parameters: the author's claim. By default that is proved where
            `is_hermitian` is asked for, and False where no cheap proof is found. A
            claim that some configurations refute is an error of `compile` (C028).
        projected: whether branches that leave the constraints of the space, such as a
            fixed number of particles, are dropped: the operator is P O P then. By
            default such a branch is a mistake, found by `build` or marked by a NaN.

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
        hermitian: bool | None = None,
        projected: bool = False,
    ):
        self._location = user_location()
        self._name = as_name(name, "the name of an operator")
        with blamed_on(self._name, location=self._location):
            self._hilbert = hilbert
            self._space = as_space(hilbert)
            self._dtype_is_default = is_open(dtype)
            self._dtype = as_dtype("float64" if dtype is None else dtype)
            self._hermitian = (
                None if hermitian is None else _as_flag(hermitian, "hermitian")
            )
            self._is_projected = _as_flag(projected, "projected")
        self._terms: list[TermDefinition] = []
        self._names: dict[str, int] = {}
        """The names that users gave, each with the number of its term."""
        self._symbols: dict[str, Symbol] = {}
        self._chain: _Chain | None = None
        self._is_closed = False

    # region Iterators

    def globally(self) -> DOperator:
        """Open a term that is visited once and binds no label."""
        return self._open("globally", ())

    def for_each_site(self, label: str = "i") -> DOperator:
        """Open a term over all sites: N rows."""
        return self._open("for_each_site", (label,))

    def for_each_pair(self, a: str = "i", b: str = "j") -> DOperator:
        """Open a term over all ordered pairs of sites, i == j included: N * N rows.

        The second label runs faster.
        """
        return self._open("for_each_pair", (a, b))

    def for_each_distinct_pair(self, a: str = "i", b: str = "j") -> DOperator:
        """Open a term over the ordered pairs of different sites: N * (N - 1) rows."""
        return self._open("for_each_distinct_pair", (a, b))

    def for_each_unordered_pair(self, a: str = "i", b: str = "j") -> DOperator:
        """Open a term over the pairs i < j: N * (N - 1) / 2 rows."""
        return self._open("for_each_unordered_pair", (a, b))

    def for_each_ktuple(
        self,
        labels: str | Iterable[str],
        *,
        distinct: bool = True,
        ordered: bool = False,
        data: Mapping[str, object] | None = None,
        sets: Mapping[str, object] | None = None,
    ) -> DOperator:
        """Open a term over the tuples of as many sites as there are labels.

        By default over the sets of k sites, each once with its sites ascending: the
        C(N, k) rows i < j < .. The rows are in lexicographic order.

        Args:
            labels: k labels.
            distinct: whether the sites of a row differ.
            ordered: whether every order of the same sites is a row of its own.
            data: as in `for_each`, and so are `sets`; in the order of the rows.

        Raises:
            DefinitionError: for flags that are none (D027); else as `for_each`.
        """

        def make_rows(bound: tuple[str, ...]) -> RowTable:
            return rows.tuples(
                self._space.size,
                len(bound),
                distinct=_as_flag(distinct, "distinct"),
                ordered=_as_flag(ordered, "ordered"),
            )

        return self._open("for_each_ktuple", labels, make_rows, data, sets)

    def for_each_triplet(
        self,
        a: str = "i",
        b: str = "j",
        c: str = "k",
        *,
        over: object,
        data: Mapping[str, object] | None = None,
        sets: Mapping[str, object] | None = None,
    ) -> DOperator:
        """Open a term over rows of three sites; see `for_each`."""
        return self._open(
            "for_each_triplet", (a, b, c), self._rows_of(over), data, sets
        )

    def for_each_plaquette(
        self,
        a: str = "i",
        b: str = "j",
        c: str = "k",
        d: str = "l",
        *,
        over: object = None,
        shape: tuple[int, int] | None = None,
        pbc: bool | tuple[bool, bool] = True,
        data: Mapping[str, object] | None = None,
        sets: Mapping[str, object] | None = None,
    ) -> DOperator:
        """Open a term over plaquettes: four sites in order around each.

        Args:
            a: the label of the corner (x, y).
            b: that of (x + 1, y).
            c: that of (x + 1, y + 1).
            d: that of (x, y + 1).
            over: the rows, in place of a shape.
            shape: the lengths (Lx, Ly) of a square lattice, whose site (x, y) has the
                number `x * Ly + y`.
            pbc: whether it is periodic, for both directions or each. A periodic
                direction of length 2 has two plaquettes over the same sites.
            data: as in `for_each`, and so are `sets`.

        Raises:
            DefinitionError: for a shape that is not the lattice's, and unless there is
                either a shape or rows (D038); else as `for_each`.
        """

        def make_rows(bound: tuple[str, ...]) -> RowTable:
            if (over is None) is (shape is None):
                raise Mistake.BAD_SHAPE.error(
                    "for_each_plaquette is given "
                    + ("neither rows nor a shape" if over is None else "both"),
                    expected="either shape=(Lx, Ly) or over=rows",
                )
            if over is None:
                return rows.plaquettes(shape, pbc, self._space.size)
            return self._rows_of(over)(bound)

        return self._open("for_each_plaquette", (a, b, c, d), make_rows, data, sets)

    def for_each_edge(
        self,
        graph: object,
        labels: str | Iterable[str] = ("i", "j"),
        *,
        color: object = None,
        data: Mapping[str, object] | None = None,
        sets: Mapping[str, object] | None = None,
    ) -> DOperator:
        """Open a term over the edges of a graph of NetKet or networkx.

        Args:
            graph: a graph whose nodes are the numbers of the sites.
            labels: two labels.
            color: only the edges of this colour; networkx keeps it in the attribute
                "color".
            data: as in `for_each`, and so are `sets`; in the order of the edges.

        Raises:
            DefinitionError: for what is no graph, or has no edge of the colour (D037);
                else as `for_each`.
        """
        return self._open(
            "for_each_edge",
            labels,
            lambda bound: self._rows_of(rows.edges_of(graph, color))(bound),
            data,
            sets,
        )

    def for_each(
        self,
        labels: str | Iterable[str],
        over: object,
        data: Mapping[str, object] | None = None,
        sets: Mapping[str, object] | None = None,
    ) -> DOperator:
        """Open a term over rows of sites.

        Args:
            labels: one label per column of the rows; a plain string is one label.
            over: the rows: a list, generator or array of one site number per label. For
                a single label a flat list of site numbers will do.
            data: one number per row for each name, read as `row(name)`.
            sets: one list of sites per row for each name, of any size, read by
                reductions and `flip_set(name)`.

        Raises:
            DefinitionError: for bad labels (D002, D019), rows (D003 to D006), data
                (D012, D013, D024) or site sets (D003, D006, D033).
        """
        return self._open("for_each", labels, self._rows_of(over), data, sets)

    def _rows_of(self, over: object) -> Callable[[tuple[str, ...]], RowTable]:
        return lambda bound: rows.as_rows(over, bound, self._space.size)

    def _open(
        self,
        iterator: str,
        labels: object,
        make_rows: Callable[[tuple[str, ...]], RowTable] | None = None,
        data: Mapping[str, object] | None = None,
        sets: Mapping[str, object] | None = None,
    ) -> DOperator:
        location = user_location()
        self._check_sealed()
        name = self._default_name
        with blamed_on(self._name, name, location=location):
            bound = _as_labels(labels, may_be_none=iterator == "globally")
            if make_rows is None:
                table = rows.ITERATORS[iterator].make(self._space.size)
            else:
                table = make_rows(bound)
            named_data = _by_name(data, "row data", Mistake.BAD_DATA, "one number")
            columns = {
                name: rows.as_column(name, values, table.rows, self._dtype)
                for name, values in named_data.items()
            }
            named_sets = _by_name(
                sets, "a site set", Mistake.BAD_SETS, "one list of sites"
            )
            site_sets = {
                name: rows.as_site_sets(name, values, table.rows, self._space.size)
                for name, values in named_sets.items()
            }
        self._chain, self._is_closed = None, False
        self._terms.append(
            TermDefinition(
                name, iterator, bound, table, columns, location, sets=site_sets
            )
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
        self._chain = None
        if self._names.get(term.name) == position:
            del self._names[term.name]
        self._names[checked] = position
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
        update: Update | OperatorExpr | None = None,
        *,
        amplitude: ExprLike = 1.0,
        tag: str | None = None,
    ) -> DOperator:
        """Let each row of the open term contribute a branch.

        Args:
            update: how x' arises from x, the identity by default; or an operator such
                as `cdag("i") * c("j")`, which contributes a branch for each product
                that is left after simplification.
            amplitude: the matrix element <x|O|x'>, a number or an expression; of an
                operator, what its matrix elements are multiplied by.
            tag: a name for the branch in messages, reports and the IR.

        Raises:
            DefinitionError: for anything but an update (D017) or an expression (D015),
                for one that is out of scope (D001, D014, D023) or of the wrong kind
                (D012, D013, D022), or without a term (D007).
        """
        return self._emit("emit", (), update, amplitude, tag)

    def emit_if(
        self,
        predicate: PredicateLike,
        update: Update | OperatorExpr | None = None,
        *,
        amplitude: ExprLike = 1.0,
        tag: str | None = None,
    ) -> DOperator:
        """Emit where a predicate holds, and open a chain.

        The emissions of a chain exclude each other: `emit_elseif` and `emit_else`
        contribute only where no predicate before them in the chain holds.

        Raises:
            DefinitionError: as `where` and `emit` do.
        """
        return self._emit("emit_if", (predicate,), update, amplitude, tag)

    def emit_elseif(
        self,
        predicate: PredicateLike,
        update: Update | OperatorExpr | None = None,
        *,
        amplitude: ExprLike = 1.0,
        tag: str | None = None,
    ) -> DOperator:
        """Emit where a predicate holds and none before it in the chain does.

        Raises:
            DefinitionError: where no chain is open (D032); else as `emit_if`.
        """
        return self._emit("emit_elseif", (predicate,), update, amplitude, tag)

    def emit_else(
        self,
        update: Update | OperatorExpr | None = None,
        *,
        amplitude: ExprLike = 1.0,
        tag: str | None = None,
    ) -> DOperator:
        """Emit where no predicate of the chain holds, and close it.

        Raises:
            DefinitionError: where no chain is open (D032); else as `emit`.
        """
        return self._emit("emit_else", (), update, amplitude, tag)

    def project(self, predicate: PredicateLike) -> DOperator:
        """Keep only the branches of the open term whose x' satisfies a predicate.

        It may read `emitted(..)`, holds for every emission of the term, those before it
        and those after it, and several are AND-ed.

        Raises:
            DefinitionError: as `where`; emitted reads are in scope.
        """
        location = user_location()
        term = self._open_term("project")
        scope = self._scope(term)
        with blamed_on(self._name, term.name, location=location):
            checked = as_predicate(predicate)
            scope.check_projection(checked)
        projection = GuardDefinition(checked, location)
        self._replace_term(
            replace(term, projections=(*term.projections, projection)), scope
        )
        return self

    def fanout(self, branches: int) -> DOperator:
        """Promise that no x has more than so many valid branches of the open term.

        The valid ones are then compacted into that many lanes. Where the promise is
        broken nothing is lost silently: the matrix elements of the term are NaN for
        that x, and `get_conn_padded(x, checked=True)` raises.

        Raises:
            DefinitionError: for anything but a positive integer (D049), or without a
                term (D007).
        """
        location = user_location()
        term = self._open_term("fanout")
        with blamed_on(self._name, term.name, location=location):
            count = _as_fanout(branches)
        self._terms[-1] = replace(term, fanout=count)
        return self

    def add(self, operator: object, *, tag: str | None = None) -> DOperator:
        """Add a sum over the lattice, an operator at given sites, or a number.

            .add(-t * sum_over(edges, lambda i, j: cdag(i) * c(j) + cdag(j) * c(i)))

        Each part of the sum is a term of its own; several, where sites coincide in some
        of its rows and not in others. Parts that are zero are left out. Its terms are
        closed: `where`, `project`, `fanout` and `named` wait for the next iterator.

        Args:
            operator: what `sum_over` returns, an operator expression, or a scalar,
                which is so many times the identity.
            tag: a name for the branches.

        Raises:
            DefinitionError: for anything else (D058), and as `for_each` and `emit` do.
        """
        location = user_location()
        self._check_sealed()
        before = list(self._terms), self._symbols, self._chain, self._is_closed
        try:
            with blamed_on(self._name, self._default_name, location=location):
                parts = as_lattice_sum(operator).parts
            for part in parts:
                self._add(part, tag)
            if len(self._terms) == len(before[0]):
                self.globally()._emit("add", (), OperatorExpr(), 1, tag)
        except DefinitionError:
            self._terms, self._symbols, self._chain, self._is_closed = before
            raise
        self._is_closed = True
        return self

    def _add(self, part: LatticeTerm, tag: str | None) -> None:
        if part.labels:
            over = self._rows_of(part.rows)
            self._open("sum_over", part.labels, over, part.data, part.sets)
        else:
            self.globally()
        term = self._terms.pop()
        with blamed_on(self._name, term.name, location=term.location):
            cases = cases_of(part.operator, self._scope(term))
        for kept in cases:
            named = replace(term.of_rows(kept), name=self._default_name)
            self._terms.append(named)
            self._emit("add", (), part.operator, 1, tag)

    def _emit(
        self,
        method: str,
        asked: tuple[PredicateLike, ...],
        update: object,
        amplitude: ExprLike,
        tag: str | None,
    ) -> DOperator:
        location = user_location()
        term = self._open_term(method)
        scope = self._scope(term)
        label = emission_label(len(term.emissions), tag)
        with blamed_on(self._name, term.name, label, location):
            before = self._earlier_in_chain(method)
            predicates = tuple(as_predicate(predicate) for predicate in asked)
            for predicate in predicates:
                scope.check_guard(predicate)
            checked_tag = None if tag is None else as_name(tag, "a tag")
            factor = as_expr(amplitude)
            expansion = _expansion(update, scope)
            term = _extended(term, expansion)
            scope = Scope(term, self._space, self._dtype, scope.symbols)
            emissions = list(term.emissions)
            for branch in expansion.branches:
                weight = times(factor, branch.amplitude)
                scope.check_update(branch.update)
                scope.check_amplitude(weight)
                asked_too = () if branch.condition is None else (branch.condition,)
                condition = _none_but(before, (*predicates, *asked_too))
                emissions.append(
                    EmissionDefinition(
                        branch.update, weight, checked_tag, location, condition
                    )
                )
        self._replace_term(replace(term, emissions=tuple(emissions)), scope)
        self._chain = (*before, *predicates) if predicates else None
        return self

    def _earlier_in_chain(self, method: str) -> _Chain:
        if method not in ("emit_elseif", "emit_else"):
            return ()
        if self._chain is not None:
            return self._chain
        raise Mistake.CHAIN_MISUSE.error(
            f"{method} continues a chain, and none is open",
            expected=f"emit_if or emit_elseif right before {method}",
            hint="emit, emit_else, named and every iterator end a chain",
        )

    def _open_term(self, method: str) -> TermDefinition:
        if self._is_closed:
            raise Mistake.NO_ITERATOR.error(
                f"{method} belongs to a term, and add has closed those that it made",
                operator=self._name,
                expected=f"an iterator between add and {method}",
                hint="for_each(.., over=rows).where(..).emit(operator) stays open",
            )
        if self._terms:
            return self._terms[-1]
        raise Mistake.NO_ITERATOR.error(
            f"{method} belongs to a term, and none is open",
            operator=self._name,
            expected=f"an iterator before {method}",
            hint="for_each_site, for_each, .. open a term; globally() visits it once",
        )

    def _scope(self, term: TermDefinition) -> Scope:
        return Scope(term, self._space, self._dtype, dict(self._symbols))

    def _replace_term(self, term: TermDefinition, scope: Scope) -> None:
        self._terms[-1] = term
        self._symbols = scope.symbols

    # endregion
    # region Names

    @property
    def _default_name(self) -> str:
        name = f"term{len(self._terms)}"
        while name in self._names:
            name += "_"
        return name

    def _with_own_names(self) -> Iterator[TermDefinition]:
        """Yield the terms; default names give way to those of users."""
        taken = set(self._names)
        for position, term in enumerate(self._terms):
            name = term.name
            if self._names.get(name) != position:
                while name in taken:
                    name += "_"
                taken.add(name)
            yield replace(term, name=name)

    def _check_free(self, name: str, position: int) -> None:
        other = self._names.get(name)
        if other is None or other == position:
            return
        raise Mistake.DUPLICATE_TERM.error(
            f"another term is named '{name}' already",
            expected="a name of its own for each term",
            found=f"terms {other} and {position} (from 0) named '{name}'",
            hint=f"the other one is at {self._terms[other].location}",
        )

    # endregion

    # region Custom clauses

    def __getattr__(self, name: str) -> Callable[..., DOperator]:
        """Return a custom clause as a method.

        Raises:
            UnfinishedError: for what operators have that are built, or compiled (D087).
        """
        # Operators import parts of this package, which is being imported with this file
        from symir.operator.symbolic_operator import OF_COMPILED, SymbolicOperator

        clause = clauses.registered(name)
        if clause is None and name in OF_COMPILED:
            raise UnfinishedError(f".{name}", "build().compile()", self)
        if clause is None and name in dir(SymbolicOperator) and name[0] != "_":
            raise UnfinishedError(f".{name}", "build()", self)
        if clause is None:
            raise AttributeError(_no_method(name), name=name, obj=self)
        return lambda *args, **kwargs: self._apply(name, clause(), args, kwargs)

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *clauses.available_clause_names()})

    def _apply(
        self,
        name: str,
        clause: clauses.Clause,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> DOperator:
        location = user_location()
        match clause:
            case clauses.AbstractIteratorClause():
                with blamed_on(self._name, self._default_name, location=location):
                    built = clause.build_iterator(self._hilbert, *args, **kwargs)
                    labels, over, others = clauses.as_iterator(name, built)
                return self._open(name, labels, self._rows_of(over), **others)
            case clauses.AbstractPredicateClause():
                term = self._open_term(name)
                with blamed_on(self._name, term.name, location=location):
                    predicate = clause.build_predicate(*args, **kwargs)
                return self.where(predicate)
            case clauses.AbstractEmissionClause():
                term = self._open_term(name)
                label = emission_label(len(term.emissions), None)
                with blamed_on(self._name, term.name, label, location):
                    built = clause.build_emission(*args, **kwargs)
                    update, amplitude, tag = clauses.as_emission(name, built)
                return self._emit(name, (), update, amplitude, tag)

    # endregion

    @spanned("build", "definition", operator="_name")
    def build(self) -> SymbolicOperator:
        """Return the operator; the builder can be used further.

        Raises:
            DefinitionError: when there is no term (D010), the last one emits nothing
                (D009), or a branch is seen to leave the constraints of the space
                (D048).
        """
        from symir.operator.symbolic_operator import (
            SymbolicOperator,
            SymbolicOperatorIR,
        )

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
            self._hermitian,
            tuple(self._with_own_names()),
            tuple(self._symbols.values()),
            self._location,
            self._is_projected,
        )
        check_stays_inside(definition)
        with span("translate", "definition", operator=self._name):
            ir = SymbolicOperatorIR.owning(translate(definition))
        return SymbolicOperator.of_ir(
            ir, self._hilbert, self._space, dtype_is_default=self._dtype_is_default
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
            f"hermitian={self._hermitian}, "
            f"terms={[term.name for term in self._with_own_names()]})"
        )


clauses.RESERVED.update(dir(DOperator))


def _no_method(name: str) -> str:
    public = [one for one in dir(DOperator) if one[0] != "_"]
    near = difflib.get_close_matches(
        name, public + clauses.available_clause_names(), n=1
    )
    hint = f"; did you mean {near[0]!r}?" if near and not name.startswith("_") else ""
    return (
        f"DOperator has no method {name!r}, and no custom clause is registered so{hint}"
    )


def _expansion(update: object, scope: Scope) -> Expansion:
    """Return what is emitted: an update, or what an operator expression stands for."""
    if isinstance(update, LatticeSum):
        raise Mistake.NOT_AN_OPERATOR.error(
            "a term has its own rows, so it emits no sum over the lattice",
            expected="an update, or an operator such as n('i')",
            found=shortened(update),
            hint="DOperator(..).add(sum_over(..)) opens terms for it",
        )
    if not isinstance(update, OperatorExpr):
        return Expansion((EmittedBranch(as_update(update), Constant(1)),), {}, {})
    expansion = expand(update, scope)
    # The zero operator is emitted too: a term without emissions is a mistake.
    zero = EmittedBranch(Update(), Constant(0))
    return replace(expansion, branches=expansion.branches or (zero,))


def _extended(term: TermDefinition, expansion: Expansion) -> TermDefinition:
    """Return a term with the row data and the labels that an expansion asks for."""
    sites = np.column_stack([term.rows.array, *expansion.labels.values()])
    return replace(
        term,
        labels=(*term.labels, *expansion.labels),
        rows=RowTable.from_rows(sites) if expansion.labels else term.rows,
        columns={**term.columns, **expansion.columns},
    )


def _none_but(before: _Chain, asked: _Chain) -> Predicate | None:
    """Return that none of the predicates before holds, and those asked for do."""
    predicates = [*(~predicate for predicate in before), *asked]
    return reduce(lambda a, b: a & b, predicates) if predicates else None


def _as_flag(value: object, name: str) -> bool:
    if is_bool(value):
        return bool(value)
    raise Mistake.NOT_A_FLAG.error(
        f"{name} is so or not",
        expected="True or False",
        found=shortened(value),
    )


def _as_fanout(branches: object) -> int:
    number = None if is_bool(branches) else as_number(branches)
    if isinstance(number, int) and number >= 1:
        return number
    raise Mistake.BAD_FANOUT.error(
        "fanout promises how many branches of a term are valid at most",
        expected="an integer >= 1",
        found=shortened(branches),
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


def _by_name(data: object, what: str, mistake: Mistake, each: str) -> dict[str, object]:
    """Return row data or site sets by their names."""
    if data is None:
        return {}
    if isinstance(data, Mapping):
        named = cast(Mapping[object, object], data).items()
        return {as_name(key, f"the name of {what}"): value for key, value in named}
    kind = "data" if mistake is Mistake.BAD_DATA else "site sets"
    raise mistake.error(
        f"the {kind} of a term are named",
        expected=f"a dictionary {{name: {each} per row}}",
        found=shortened(data),
    )


def _late_where(term: TermDefinition) -> Exception:
    return Mistake.LATE_WHERE.error(
        "where restricts a whole term, so it belongs before its first emit",
        expected=f"{term.iterator}(..).where(..).emit(..)",
        found=f"{len(term.emissions)} emit before this where",
        hint="move it up; or open a term of its own for what it restricts",
    )
