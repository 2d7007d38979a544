"""Extensions: functions of expressions, and updates, that users register.

    softplus = register_function("softplus", jax.nn.softplus)
    DOperator(..).for_each_site("i").emit(amplitude=softplus(site("i").value))

A function is traced by JAX, and its StableHLO becomes part of the term that uses it; or
it is a macro, which makes an expression of expressions and needs no JAX. An update is a
macro that makes an `Update`. Iterators are clauses, see `symir.language.clauses`.

What is registered inside of `with extensions():` is forgotten after it.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar, cast, overload

import numpy as np
from xdsl.dialects.builtin import i1, i32
from xdsl.ir import Attribute

from dialects.stablehlo import dtype_of
from dialects.sym import real_type
from symir.errors import SourceLocation, user_location
from symir.language import clauses
from symir.language.codes import Mistake
from symir.language.expressions import Expr, ExprLike, Node, as_expr
from symir.language.inlining import ScalarFunction, inlined
from symir.language.scalars import is_bool, shortened
from symir.language.updates import REGISTERED, SiteLike, Update
from symir.late import late

ResultKind: TypeAlias = Literal["same", "real", "complex"]
"""Kind of the result of a function: like its arguments, or always the same."""

_RESULTS = ("same", "real", "complex")

# region Functions


Tracer: TypeAlias = Callable[
    [Callable[..., Any], int, np.dtype[Any]], tuple[str, str | None]
]
"""From a function of so many scalars of a dtype to `runtime.tracing.stablehlo_of`."""


@late
def tracer() -> Tracer:
    """Import what traces functions, which needs JAX."""
    ...


@dataclass(frozen=True, eq=False, repr=False)
class Function:
    """A function of expressions that users registered; to be called with them.

    Attributes:
        name: its name.
        body: what computes it: of 0-d arrays of JAX, or of expressions if it is a
            macro.
        arity: the number of its arguments.
        result: what kind of number it returns. Of a macro the expression says so.
        reference: what it computes, in NumPy; for `check_extension`.
        is_macro: whether it makes an expression of expressions.
    """

    name: str
    body: Callable[..., Any]
    arity: int = 1
    result: ResultKind = "same"
    reference: Callable[..., Any] | None = None
    is_macro: bool = False
    _scalar: dict[tuple[Attribute, Attribute], ScalarFunction] = field(
        default_factory=dict[tuple[Attribute, Attribute], ScalarFunction], init=False
    )

    def __call__(self, *arguments: ExprLike) -> Expr:
        """Return the function of expressions as an expression.

        Raises:
            DefinitionError: for another number of arguments, or where a macro returns
                no expression (D073); for an argument that is no expression (D015).
        """
        if len(arguments) != self.arity:
            raise Mistake.BAD_CALL.error(
                f"the function {self.name} is called with {len(arguments)} arguments",
                expected=f"{self.arity} of them",
                found=f"{self.name}({', '.join(map(shortened, arguments))})",
            )
        parts = tuple(as_expr(argument) for argument in arguments)
        if not self.is_macro:
            return Call(self, parts, user_location())
        made = self.body(*parts)
        if isinstance(made, Expr | int | float | complex | np.number):
            return as_expr(cast(ExprLike, made))
        raise Mistake.BAD_CALL.error(
            f"the macro {self.name} makes no expression",
            expected="an expression of its arguments, or a number",
            found=shortened(made),
        )

    def scalar(
        self, argument: Attribute, result: Attribute, element: Attribute
    ) -> ScalarFunction:
        """Return the function as StableHLO, in an operator of an element type.

        `argument` and `result` are the element types of all arguments and of the
        result.

        Raises:
            DefinitionError: where there is no JAX (D074), it cannot trace the function
                (D075), what it makes of it is not elementwise (D076), or the result has
                another element type than the one that is meant (D077).
        """
        key = argument, element
        if key not in self._scalar:
            kinds = dict.fromkeys((i1, i32, real_type(element), element))
            text, rule = self._traced(argument)
            made = inlined(self.name, text, self.arity, [*kinds])
            self._scalar[key] = made if rule is None else made.with_rule(self.name)
        found = self._scalar[key]
        if found.result_element == result:
            return found
        raise Mistake.WRONG_RESULT.error(
            f"the function {self.name} returns another kind of number than it states",
            expected=f"{result} of {argument}, as result={self.result!r} says",
            found=str(found.result_element),
            hint="register_function(.., result='same', 'real' or 'complex'); truth "
            "values and integers become numbers by jnp.where(p, 1.0, 0.0) and .astype",
        )

    def _traced(self, argument: Attribute) -> tuple[str, str | None]:
        try:
            stablehlo_of = tracer()
        except ModuleNotFoundError as error:
            raise Mistake.NEEDS_JAX.error(
                f"the function {self.name} is traced by JAX, which is not there",
                expected="JAX, where a traced function is translated",
                found=str(error),
                hint="pip install jax; a function of expressions needs none: "
                "register_function(.., macro=True)",
            ) from error
        dtype = dtype_of(argument)
        try:
            return stablehlo_of(self.body, self.arity, dtype)
        # What a function does while it is traced is its own business
        except Exception as error:
            what = str(error).strip().partition("\n")[0]
            raise Mistake.NOT_TRACED.error(
                f"JAX cannot trace the function {self.name} at {dtype}",
                expected="a function of scalars that jax.jit can take",
                found=f"{type(error).__name__}: {what}",
            ) from error

    def __repr__(self) -> str:
        kind = "macro" if self.is_macro else "traced"
        return f"Function({self.name!r}, {kind}, arity={self.arity})"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Call(Expr):
    """A registered function of expressions, traced by JAX when it is translated."""

    function: Function
    arguments: tuple[Expr, ...]
    location: SourceLocation | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return self.arguments

    def is_complex(self, of_complex: bool) -> bool:
        """Whether it is complex, given whether an argument is."""
        match self.function.result:
            case "same":
                return of_complex
            case kind:
                return kind == "complex"

    def shown(self, show: Callable[[Node], str]) -> str:
        return f"{self.function.name}({', '.join(map(show, self.arguments))})"


# endregion
# region Updates


@dataclass(frozen=True, eq=False, repr=False)
class UpdateMacro:
    """An update that users registered; to be called with sites and values.

    Attributes:
        name: its name, and that of the method of `Update`.
        macro: what makes an `Update` of the sites and then the values.
        sites: the number of sites that it takes.
        values: the number of values that it takes.
        reference: `reference(x, sites, values)` returns x' of an (N,) array x, whose
            copy it may change, or None where there is no branch; for `check_extension`.
    """

    name: str
    macro: Callable[..., Any]
    sites: int = 1
    values: int = 0
    reference: Callable[..., Any] | None = None

    def __call__(self, *arguments: SiteLike | ExprLike) -> Update:
        """Return the update of sites and values.

        Raises:
            DefinitionError: for another number of them, or where the macro returns no
                update (D073).
        """
        if len(arguments) != self.sites + self.values:
            raise Mistake.BAD_CALL.error(
                f"the update {self.name} is called with {len(arguments)} arguments",
                expected=f"{self.sites} sites and {self.values} values",
                found=f"{self.name}({', '.join(map(shortened, arguments))})",
            )
        made: object = self.macro(*arguments)
        if isinstance(made, Update):
            return made
        raise Mistake.BAD_CALL.error(
            f"the macro {self.name} makes no update",
            expected="write(..), swap(..), .. or a chain of them",
            found=shortened(made),
        )

    def __repr__(self) -> str:
        return f"UpdateMacro({self.name!r}, sites={self.sites}, values={self.values})"


# endregion
# region The registries

RESERVED = set[str]()
"""The names that no function can have: those of the language."""

_functions: dict[str, Function] = {}
_updates = cast("dict[str, UpdateMacro]", REGISTERED)
_T = TypeVar("_T", Function, UpdateMacro)


@overload
def register_function(
    name: str,
    fn: Callable[..., Any],
    /,
    *,
    reference: Callable[..., Any] | None = ...,
    arity: int = ...,
    result: ResultKind = ...,
    macro: bool = ...,
    replace: bool = ...,
) -> Function: ...
@overload
def register_function(
    name: str,
    /,
    *,
    reference: Callable[..., Any] | None = ...,
    arity: int = ...,
    result: ResultKind = ...,
    macro: bool = ...,
    replace: bool = ...,
) -> Callable[[Callable[..., Any]], Function]: ...
def register_function(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    reference: Callable[..., Any] | None = None,
    arity: int = 1,
    result: ResultKind = "same",
    macro: bool = False,
    replace: bool = False,
) -> Any:
    """Register a function of expressions; without `fn` it is a decorator.

    Args:
        name: its name in messages, and for `function(name)`.
        fn: a function of scalars that JAX can trace, and whose StableHLO is elementwise
            on 0-d tensors. It is traced for the dtype of each operator that uses it:
            at the real type, or at the complex one where an argument is complex.
        reference: the same in NumPy, of scalars; for `check_extension`.
        arity: the number of arguments.
        result: "same" for a number that is complex where an argument is, "real" for one
            that never is, "complex" for one that always is.
        macro: whether `fn` is a function of expressions instead, which needs no JAX.
        replace: whether a function of the same name gives way.

    Returns:
        What is called with expressions: `register_function(..)(site("i").value)`.

    Raises:
        DefinitionError: for a bad name, function, arity or result (D070), or a name
            that is taken (D071).
    """
    if fn is None:
        return partial(
            register_function,
            name,
            reference=reference,
            arity=arity,
            result=result,
            macro=macro,
            replace=replace,
        )
    _check_name("function", name, RESERVED)
    _check_callable("function", name, fn, reference)
    _check_count("function", name, "arity", arity, 1)
    if result not in _RESULTS:
        raise _bad_extension(
            "function", name, "result=", "'same', 'real' or 'complex'", result
        )
    made = Function(name, fn, arity, result, reference, macro)
    return _registered(_functions, "function", made, replace)


@overload
def register_update(
    name: str,
    macro: Callable[..., Update],
    /,
    *,
    reference: Callable[..., Any] | None = ...,
    sites: int = ...,
    values: int = ...,
    replace: bool = ...,
) -> UpdateMacro: ...
@overload
def register_update(
    name: str,
    /,
    *,
    reference: Callable[..., Any] | None = ...,
    sites: int = ...,
    values: int = ...,
    replace: bool = ...,
) -> Callable[[Callable[..., Update]], UpdateMacro]: ...
def register_update(
    name: str,
    macro: Callable[..., Update] | None = None,
    /,
    *,
    reference: Callable[..., Any] | None = None,
    sites: int = 1,
    values: int = 0,
    replace: bool = False,
) -> Any:
    """Register an update; without `macro` it is a decorator.

    It is made by `update(name, ..)`, and by the method of that name of every `Update`,
    which appends it to a chain.

    Args:
        name: its name.
        macro: `macro(*sites, *values)` makes an `Update` of existing ones.
        reference: `reference(x, sites, values)` returns x' in NumPy, or None where
            there is no branch; for `check_extension`.
        sites: the number of sites that it takes.
        values: the number of values that it takes after the sites.
        replace: whether an update of the same name gives way.

    Raises:
        DefinitionError: for a bad name, macro or number (D070), or a name that is taken
            (D071).
    """
    if macro is None:
        return partial(
            register_update,
            name,
            reference=reference,
            sites=sites,
            values=values,
            replace=replace,
        )
    _check_name("update", name, dir(Update))
    _check_callable("update", name, macro, reference)
    _check_count("update", name, "sites", sites, 0)
    _check_count("update", name, "values", values, 0)
    made = UpdateMacro(name, macro, sites, values, reference)
    return _registered(_updates, "update", made, replace)


def _registered(registry: dict[str, _T], kind: str, made: _T, replace: bool) -> _T:
    if made.name in registry and not replace:
        raise Mistake.EXTENSION_TAKEN.error(
            f"the {kind} '{made.name}' is registered already",
            expected=f"a name of its own for each {kind}",
            found=repr(registry[made.name]),
            hint=f"register_{kind}(.., replace=True), or register inside of "
            "`with extensions():`",
        )
    registry[made.name] = made
    return made


def _check_name(kind: str, name: object, taken: Iterable[str]) -> None:
    """Check that a name is an identifier that the language does not have."""
    expected = "an identifier without a leading _"
    if isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name):
        if not name.startswith("_") and name not in taken:
            return
        expected += " that the language does not have"
    raise _bad_extension(kind, name, "its name", expected, name)


def _check_callable(kind: str, name: str, body: object, reference: object) -> None:
    if not callable(body):
        raise _bad_extension(kind, name, "what computes it", "a function", body)
    if reference is not None and not callable(reference):
        raise _bad_extension(kind, name, "reference=", "a function, or none", reference)


def _check_count(kind: str, name: str, what: str, count: object, least: int) -> None:
    if isinstance(count, int) and not is_bool(count) and count >= least:
        return
    raise _bad_extension(kind, name, f"{what}=", f"an integer >= {least}", count)


def _bad_extension(
    kind: str, name: object, what: str, expected: str, found: object
) -> Exception:
    return Mistake.BAD_EXTENSION.error(
        f"the {kind} {shortened(name)} cannot be registered because of {what}",
        expected=expected,
        found=shortened(found),
    )


def function(name: str) -> Function:
    """Return a registered function.

    Raises:
        DefinitionError: where there is none of that name (D072).
    """
    found = _functions.get(name)
    if found is None:
        raise _unknown("function", name, available_function_names())
    return found


def update(name: str, *arguments: SiteLike | ExprLike) -> Update:
    """Return a registered update of sites and values.

    Raises:
        DefinitionError: where there is none of that name (D072), and for other
            arguments than it takes (D073).
    """
    found = _updates.get(name)
    if found is None:
        raise _unknown("update", name, available_update_names())
    return found(*arguments)


def _unknown(kind: str, name: object, names: list[str]) -> Exception:
    return Mistake.UNKNOWN_EXTENSION.error(
        f"no {kind} is registered as {shortened(name)}",
        expected=" or ".join(map(repr, names)) or f"no {kind}: none is registered",
        found=shortened(name),
        hint=f"register_{kind}(name, ..) registers one",
    )


def registered(name: str) -> list[Function | UpdateMacro]:
    """Return what is registered under a name: a function, an update, or both."""
    return [one[name] for one in (_functions, _updates) if name in one]


def available_function_names() -> list[str]:
    """Return the names of the registered functions, sorted."""
    return sorted(_functions)


def available_update_names() -> list[str]:
    """Return the names of the registered updates, sorted."""
    return sorted(_updates)


@contextmanager
def extensions() -> Generator[None]:
    """Forget at the end what is registered inside: functions, updates and clauses."""
    before = dict(_functions), dict(_updates)
    try:
        with clauses.clauses():
            yield
    finally:
        for registry, kept in zip((_functions, _updates), before, strict=True):
            registry.clear()
            registry.update(kept)  # pyright: ignore[reportArgumentType, reportCallIssue]


# endregion
