"""Custom clauses: new methods of the builder, written by users.

    @register
    class ForEachChain(AbstractIteratorClause):
        clause_name = "for_each_link"

        def build_iterator(self, hilbert, label="i"):
            return (label, "next"), [(k, k + 1) for k in range(hilbert.size - 1)]

    DOperator(..).for_each_link("i").emit(..)

A clause is registered until it is replaced; one that is registered inside of
`with clauses():` is gone after it.
"""

from __future__ import annotations

import keyword
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, TypeAlias, TypeVar, cast, overload

from symir.language.codes import Mistake
from symir.language.expressions import ExprLike, PredicateLike
from symir.language.scalars import shortened
from symir.language.updates import Update

# region What users derive from


class AbstractIteratorClause(ABC):
    """A method of the builder that opens a term."""

    clause_name: ClassVar[str]
    """The name of the method."""

    @abstractmethod
    def build_iterator(
        self, hilbert: Any, /, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any] | tuple[Any, Any, Mapping[str, Any]]:
        """Return labels and rows, as `for_each` takes them, and what goes with them.

        The third part, if there is one, is a dictionary of the other arguments of
        `for_each`: `{"data": {name: numbers}, "sets": {name: lists of sites}}`, either
        of them or both. `hilbert` is the space that the builder was given; the
        arguments are those of the call.
        """

    def reference_rows(self, hilbert: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Return what the rows are to be, found in another way; None if there is none.

        A list of tuples of sites, in order, for `check_extension`; the arguments are
        those of `build_iterator`.
        """
        return None


class AbstractPredicateClause(ABC):
    """A method of the builder that restricts the open term."""

    clause_name: ClassVar[str]
    """The name of the method."""

    @abstractmethod
    def build_predicate(self, *args: Any, **kwargs: Any) -> PredicateLike:
        """Return the predicate, as `where` takes it."""


class AbstractEmissionClause(ABC):
    """A method of the builder that emits."""

    clause_name: ClassVar[str]
    """The name of the method."""

    @abstractmethod
    def build_emission(
        self, *args: Any, **kwargs: Any
    ) -> tuple[Update | None, ExprLike, str | None]:
        """Return the update, the amplitude and the tag, as `emit` takes them."""


Clause: TypeAlias = (
    AbstractIteratorClause | AbstractPredicateClause | AbstractEmissionClause
)

_KINDS = (AbstractIteratorClause, AbstractPredicateClause, AbstractEmissionClause)
_T = TypeVar("_T", bound=type[Clause])

# endregion
# region The registry

RESERVED = set[str]()
"""The names that no clause can have: those of the builder's own attributes."""

_registry: dict[str, type[Clause]] = {}


@overload
def register(cls: _T, /, *, replace: bool = ...) -> _T: ...
@overload
def register(*, replace: bool = ...) -> Callable[[_T], _T]: ...
def register(cls: Any = None, /, *, replace: bool = False) -> Any:
    """Make a clause a method of the builder; `@register` or `@register(replace=True)`.

    Raises:
        DefinitionError: for a class that is no clause, or whose name can be no method
            (D040); for a name that is taken, unless it is to be replaced (D041).
    """
    if cls is None:
        return partial(_register, kinds=_KINDS, replace=replace)
    return _register(cls, _KINDS, replace)


def register_iterator_clause(
    cls: type[AbstractIteratorClause], replace: bool = False
) -> None:
    """Register a clause that opens terms; raises as `register` does."""
    _register(cls, (AbstractIteratorClause,), replace)


def register_predicate_clause(
    cls: type[AbstractPredicateClause], replace: bool = False
) -> None:
    """Register a clause that restricts terms; raises as `register` does."""
    _register(cls, (AbstractPredicateClause,), replace)


def register_emission_clause(
    cls: type[AbstractEmissionClause], replace: bool = False
) -> None:
    """Register a clause that emits; raises as `register` does."""
    _register(cls, (AbstractEmissionClause,), replace)


def _register(cls: object, kinds: tuple[type, ...], replace: bool) -> object:
    name = _checked_name(_checked_class(cls, kinds))
    if name in _registry and not replace:
        raise Mistake.CLAUSE_TAKEN.error(
            f"a clause is registered as '{name}' already",
            expected="a name of its own for each clause",
            found=f"{shortened(_registry[name])} and {shortened(cls)}",
            hint="register(replace=True), or register inside of `with clauses():`",
        )
    _registry[name] = cast(type[Clause], cls)
    return cls


def _checked_class(cls: object, kinds: tuple[type, ...]) -> type:
    missing: frozenset[str] = getattr(cls, "__abstractmethods__", frozenset())
    derived = [isinstance(cls, type) and issubclass(cls, kind) for kind in kinds]
    if isinstance(cls, type) and sum(derived) == 1 and not missing:
        return cls
    expected = " or ".join(kind.__name__ for kind in kinds)
    raise Mistake.BAD_CLAUSE.error(
        f"{shortened(cls)} is no clause that can be registered here",
        expected=f"a class derived from one of {expected}"
        if len(kinds) > 1
        else expected,
        found=f"a class without {', '.join(sorted(missing))}" if missing else None,
    )


def _checked_name(cls: type) -> str:
    name: object = getattr(cls, "clause_name", None)
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise Mistake.BAD_CLAUSE.error(
            f"the clause {cls.__name__} has no name that a method can have",
            expected="clause_name, an identifier",
            found=shortened(name),
        )
    if name.startswith("_") or name in RESERVED:
        raise Mistake.BAD_CLAUSE.error(
            f"the clause {cls.__name__} cannot be named '{name}'",
            expected="a name that no method of the builder has, without a leading _",
            found=repr(name),
        )
    return name


def registered(name: str) -> type[Clause] | None:
    """Return the clause of a name, None where there is none."""
    return _registry.get(name)


@contextmanager
def clauses() -> Generator[None]:
    """Forget at the end what is registered, replaced or not, inside."""
    before = dict(_registry)
    try:
        yield
    finally:
        _registry.clear()
        _registry.update(before)


def available_iterator_clause_names() -> list[str]:
    """Return the names of the registered clauses that open terms, sorted."""
    return _names(AbstractIteratorClause)


def available_predicate_clause_names() -> list[str]:
    """Return the names of the registered clauses that restrict terms, sorted."""
    return _names(AbstractPredicateClause)


def available_emission_clause_names() -> list[str]:
    """Return the names of the registered clauses that emit, sorted."""
    return _names(AbstractEmissionClause)


def available_clause_names() -> list[str]:
    """Return the names of all registered clauses, sorted."""
    return sorted(_registry)


def _names(kind: type) -> list[str]:
    return sorted(name for name, cls in _registry.items() if issubclass(cls, kind))


# endregion
# region What clauses return


_ROW_ARGUMENTS = {"data", "sets"}


def as_iterator(name: str, built: object) -> tuple[Any, Any, dict[str, Any]]:
    """Return labels, rows, and the data and sets of the rows, if any.

    Raises:
        DefinitionError: for anything but a pair, or a triple that ends in a dictionary
            of data and sets (D040).
    """
    if _is_tuple_of(2, built):
        return (*cast(tuple[Any, Any], built), {})
    if _is_tuple_of(3, built):
        labels, over, others = cast(tuple[Any, Any, object], built)
        if isinstance(others, Mapping):
            named = dict(cast(Mapping[Any, Any], others))
            if _ROW_ARGUMENTS.issuperset(named):
                return labels, over, named
    expected = "(labels, rows), or (labels, rows, {'data': {..}, 'sets': {..}})"
    raise _bad_return(name, "build_iterator", expected, built)


def as_emission(name: str, built: object) -> tuple[Any, Any, Any]:
    """Return update, amplitude and tag.

    Raises:
        DefinitionError: for anything but a triple (D040).
    """
    if _is_tuple_of(3, built):
        return cast(tuple[Any, Any, Any], built)
    raise _bad_return(name, "build_emission", "(update, amplitude, tag)", built)


def _is_tuple_of(count: int, value: object) -> bool:
    return isinstance(value, tuple) and len(cast(tuple[Any, ...], value)) == count


def _bad_return(name: str, method: str, expected: str, found: object) -> Exception:
    return Mistake.BAD_CLAUSE.error(
        f"{method} of the clause '{name}' does not return what it has to",
        expected=expected,
        found=shortened(found),
    )


# endregion
