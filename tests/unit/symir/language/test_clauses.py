"""Custom clauses: registered, scoped, and used as methods of the builder."""

from __future__ import annotations

import linecache
from collections.abc import Generator
from typing import Any

import pytest
from xdsl.dialects.builtin import FileLineColLoc, NameLoc

from dialects.interpreters.sym import branches
from symir import clauses
from symir.errors import DefinitionError
from symir.language import (
    AbstractEmissionClause,
    AbstractIteratorClause,
    AbstractPredicateClause,
    DOperator,
    Predicate,
    Update,
    available_emission_clause_names,
    available_iterator_clause_names,
    available_predicate_clause_names,
    here,
    register,
    register_emission_clause,
    register_iterator_clause,
    register_predicate_clause,
    row,
    shift,
    site,
)
from symir.language.reductions import set_, sum_
from symir.operator.spaces import Space, fock


class ForEachLink(AbstractIteratorClause):
    """Neighbours on an open chain."""

    clause_name = "for_each_link"

    def build_iterator(
        self, hilbert: Space, /, a: str = "i", b: str = "j", *, step: int = 1
    ) -> tuple[Any, Any]:
        return (a, b), [(k, k + step) for k in range(hilbert.size - step)]


class ForEachStar(AbstractIteratorClause):
    """Every site with its neighbours on a ring, and what else the caller says."""

    clause_name = "for_each_star"

    def build_iterator(self, hilbert: Space, /, **changed: Any) -> Any:
        n = hilbert.size
        J = [0.5 * k for k in range(n)]
        stars = [[(k - 1) % n, (k + 1) % n] for k in range(n)]
        others = {"data": {"J": J}, "sets": {"star": stars}, **changed}
        return "i", range(n), others


class Occupied(AbstractPredicateClause):
    """A site that is not empty."""

    clause_name = "occupied"

    def build_predicate(self, label: str) -> Predicate:
        return site(label) > 0


class Raise(AbstractEmissionClause):
    """One more on a site."""

    clause_name = "emit_raise"

    def build_emission(
        self, label: str, by: int = 1
    ) -> tuple[Update, float, str | None]:
        return shift(label, by), 2.0, "raise"


@pytest.fixture(autouse=True)
def scope() -> Generator[None]:
    with clauses():
        yield


def test_clauses_are_methods():
    register(ForEachLink)
    register(Occupied)
    register(Raise)
    builder = DOperator(fock(2, 3), "custom").for_each_link("a", "b")
    operator = builder.occupied("a").emit_raise("b", by=1).build()
    (term,) = operator.terms
    assert term.labels == ("a", "b")
    assert [list(row) for row in term.rows] == [[0, 1], [1, 2]]
    assert term.tags == ("raise",)
    found = branches(operator.to_ir().module, [1, 0, 0])
    assert [branch.valid for branch in found] == [True, False]
    assert found[0].config.tolist() == [1, 1, 0]
    assert found[0].amplitude == 2


def test_an_iterator_brings_data_and_sets():
    register(ForEachStar)
    amplitude = row("J") * sum_(here.value, over=set_("star"))
    operator = DOperator(fock(4, 3)).for_each_star().emit(amplitude=amplitude).build()
    found = branches(operator.to_ir().module, [1, 2, 4])
    assert [branch.amplitude for branch in found] == [0, 2.5, 3]


@pytest.mark.parametrize("left_out", ["data", "sets"])
def test_an_iterator_brings_data_or_sets(left_out: str):
    class ForEachPart(ForEachStar):
        """One of the two alone."""

        clause_name = "for_each_part"

        def build_iterator(self, hilbert: Space, /, **_: Any) -> Any:
            labels, over, others = super().build_iterator(hilbert)
            return labels, over, {k: v for k, v in others.items() if k != left_out}

    register(ForEachPart)
    builder = DOperator(fock(4, 3)).for_each_part()
    reads = {"data": row("J"), "sets": sum_(here.value, over=set_("star"))}
    with pytest.raises(DefinitionError):
        builder.emit(amplitude=reads.pop(left_out))
    (there,) = reads.values()
    assert builder.emit(amplitude=there).build().max_conn_size == 3


def test_clauses_mix_with_everything_else():
    register(Occupied)
    operator = (
        DOperator(fock(2, 2))
        .for_each_site("i")
        .where(site("i") < 2)
        .occupied("i")
        .emit()
        .build()
    )
    found = branches(operator.to_ir().module, [1, 2])
    assert [branch.valid for branch in found] == [True, False]


def test_what_they_build_is_known_by_the_users_line():
    register(ForEachLink)
    builder = DOperator(fock(2, 3))
    operator = builder.for_each_link().emit().build()
    (term,) = (op for op in operator.to_ir().module.walk() if op.name == "sym.term")
    assert isinstance(term.location, NameLoc)
    place = term.location.location
    assert isinstance(place, FileLineColLoc)
    line = linecache.getline(place.filename.data, place.line.data)
    assert "builder.for_each_link()" in line


def test_names_are_listed():
    register_iterator_clause(ForEachLink)
    register_predicate_clause(Occupied)
    register_emission_clause(Raise)
    assert available_iterator_clause_names() == ["for_each_link"]
    assert available_predicate_clause_names() == ["occupied"]
    assert available_emission_clause_names() == ["emit_raise"]
    listed = dir(DOperator(fock(1, 1)))
    assert {"for_each_link", "occupied", "emit_raise", "where", "emit"} <= set(listed)
    assert listed == sorted(listed)


def test_registrations_are_scoped():
    with clauses():
        assert register(Occupied) is Occupied
        assert available_predicate_clause_names() == ["occupied"]
        with clauses():
            register(replace=True)(type("Other", (Occupied,), {}))
        assert DOperator(fock(1, 1)).for_each_site("i").occupied("i") is not None
    assert available_predicate_clause_names() == []
    with pytest.raises(AttributeError):
        DOperator(fock(1, 1)).occupied("i")


def test_scopes_end_where_something_is_raised():
    def failing() -> None:
        with clauses():
            register(Occupied)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert available_predicate_clause_names() == []


def test_a_clause_is_replaced_on_request():
    register(Occupied)

    @register(replace=True)
    class Empty(AbstractPredicateClause):
        clause_name = "occupied"

        def build_predicate(self, label: str) -> Predicate:
            return site(label) == 0

    term = DOperator(fock(1, 1)).for_each_site("i").occupied("i").emit().build()
    assert branches(term.to_ir().module, [0])[0].valid
    assert issubclass(Empty, AbstractPredicateClause)
    with pytest.raises(DefinitionError) as caught:
        register_predicate_clause(Occupied)
    assert caught.value.code == "D041"
    register_predicate_clause(Occupied, replace=True)


def test_a_clause_is_registered_once():
    register(Occupied)
    with pytest.raises(DefinitionError, match="D041"):
        register(Occupied)
    register(replace=True)(Occupied)
    assert available_predicate_clause_names() == ["occupied"]


def _clause(name: Any) -> Any:
    return type("Named", (Occupied,), {"clause_name": name})


class Nameless(AbstractPredicateClause):
    """A clause without a name."""

    def build_predicate(self) -> bool:
        return True


class Unfinished(AbstractPredicateClause):
    """A clause without its method."""

    clause_name = "unfinished"


class Both(Occupied, Raise):
    """A clause of two kinds."""


@pytest.mark.parametrize(
    "cls",
    [
        3,
        Occupied(),
        int,
        Nameless,
        Unfinished,
        Both,
        AbstractPredicateClause,
        _clause(""),
        _clause("two words"),
        _clause("where"),
        _clause("for_each"),
        _clause("_hidden"),
        _clause("__len__"),
        _clause("lambda"),
        _clause(3),
    ],
)
def test_bad_clauses(cls: Any):
    with pytest.raises(DefinitionError) as caught:
        register(cls)
    assert caught.value.code == "D040"
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    assert available_predicate_clause_names() == []


def test_clauses_of_another_kind():
    for function, cls in (
        (register_iterator_clause, Occupied),
        (register_predicate_clause, Raise),
        (register_emission_clause, ForEachLink),
    ):
        register_any: Any = function
        with pytest.raises(DefinitionError) as caught:
            register_any(cls)
        assert caught.value.code == "D040"


def test_mistakes_in_what_a_clause_returns():
    class Odd(AbstractEmissionClause):
        clause_name = "emit_odd"

        def build_emission(self, built: Any) -> Any:
            return built

    register(Odd)
    register(ForEachLink)
    builder = DOperator(fock(2, 2), "op").for_each_site("i")
    for built, code in (
        (shift("i", 1), "D040"),
        ((shift("i", 1), 1.0), "D040"),
        ((1.0, 1.0, None), "D017"),
        ((shift("k", 1), 1.0, None), "D001"),
    ):
        with pytest.raises(DefinitionError) as caught:
            builder.emit_odd(built)
        assert caught.value.code == code
        assert (caught.value.operator, caught.value.term) == ("op", "term0")
        assert caught.value.emission == "emit0"
    with pytest.raises(DefinitionError) as caught:
        builder.emit().for_each_link(step=-1)
    assert caught.value.code == "D003"
    assert caught.value.term == "term1"


class ForEachOdd(AbstractIteratorClause):
    """What is not an iterator at all, as a rule."""

    clause_name = "for_each_odd"

    def build_iterator(self, hilbert: Any, /, built: Any) -> Any:
        return built


@pytest.mark.parametrize(
    ("built", "code"),
    [
        (None, "D040"),
        ("ij", "D040"),
        (["i", [0]], "D040"),
        (("i",), "D040"),
        (("i", [0], None), "D040"),
        (("i", [0], [1.0]), "D040"),
        (("i", [0], {"J": [1.0]}), "D040"),
        (("i", [0], {"data": {}, 3: {}}), "D040"),
        (("i", [0], {}, {}), "D040"),
        (("i", [0], {"data": [1.0]}), "D024"),
        (("i", [0], {"data": {"J": [1.0, 2.0]}}), "D024"),
        (("i", [0], {"sets": {"s": [[0, 0]]}}), "D033"),
        (("i", [0], {"sets": {"s": [[2]]}}), "D003"),
    ],
)
def test_mistakes_in_what_an_iterator_returns(built: Any, code: str):
    register(ForEachOdd)
    with pytest.raises(DefinitionError) as caught:
        DOperator(fock(2, 2), "op").for_each_odd(built)
    assert caught.value.code == code
    assert (caught.value.operator, caught.value.term) == ("op", "term0")
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_an_iterator_without_data_and_sets_may_say_so():
    register(ForEachOdd)
    operator = DOperator(fock(2, 2)).for_each_odd(("i", [1], {})).emit().build()
    assert operator.max_conn_size == 1


def test_mistakes_inside_of_a_clause_are_blamed_on_the_term():
    register(Occupied)
    with pytest.raises(DefinitionError) as caught:
        DOperator(fock(2, 2), "op").for_each_site("i").occupied("")
    assert caught.value.code == "D019"
    assert (caught.value.operator, caught.value.term) == ("op", "term0")


def test_clauses_that_need_a_term():
    register(Occupied)
    register(Raise)
    for name in ("occupied", "emit_raise"):
        with pytest.raises(DefinitionError) as caught:
            getattr(DOperator(fock(2, 2)), name)("i")
        assert caught.value.code == "D007"


def test_attributes_that_do_not_exist():
    builder = DOperator(fock(2, 2))
    with pytest.raises(AttributeError, match="did you mean 'for_each_site'"):
        builder.for_each_sites("i")
    with pytest.raises(AttributeError, match="no custom clause"):
        builder.zzz()
    with pytest.raises(AttributeError, match=r"registered so$"):
        builder.scope()  # nor is a private name suggested
    assert not hasattr(builder, "__wrapped__")
