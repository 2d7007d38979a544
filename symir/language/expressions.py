"""Expressions and predicates: what amplitudes, guards and updates compute with.

An expression is a frozen tree (a directed graph, where parts are shared) of a few kinds
of nodes; it belongs to no operator and can be used in many. Building one runs eagerly
and checks what can be checked without knowing the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from symir.language.codes import Mistake
from symir.language.scalars import (
    Number,
    NumberLike,
    as_dtype,
    as_name,
    as_number,
    is_bool,
    shortened,
)

HERE = "\0here"
"""The label of the site that a reduction visits; no user can write it."""

_REPR_DEPTH = 6
_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "EQ": "==",
    "NE": "!=",
    "LT": "<",
    "LE": "<=",
    "GT": ">",
    "GE": ">=",
    "and": "&",
    "or": "|",
}
_PREFIX = {"neg": "-", "not": "~"}
_REFLECTED = {
    "add": "__radd__",
    "subtract": "__rsub__",
    "multiply": "__rmul__",
    "divide": "__rtruediv__",
    "floor_divide": "__rfloordiv__",
    "remainder": "__rmod__",
    "power": "__rpow__",
    "equal": "__eq__",
    "not_equal": "__ne__",
    "less": "__gt__",
    "less_equal": "__ge__",
    "greater": "__lt__",
    "greater_equal": "__le__",
    "bitwise_and": "__rand__",
    "bitwise_or": "__ror__",
    "bitwise_xor": "__rxor__",
}
"""Reflected methods of Python, by the function of NumPy for the left operand."""

# region Nodes


class Node:
    """A part of an expression or predicate.

    Nodes are told apart by identity: `==` builds a predicate, so it cannot compare
    them, and they hash by identity.
    """

    __slots__ = ()

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: object, **_: object
    ) -> Any:
        """Let operators with NumPy's scalars and arrays on the left be the node's."""
        reflected = _REFLECTED.get(ufunc.__name__)
        if reflected is None or method != "__call__" or inputs[-1] is not self:
            self._no_number()
        return getattr(self, reflected)(inputs[0])

    def _no_number(self) -> NoReturn:
        raise Mistake.NOT_A_NUMBER.error(
            f"{self!r} is no number while the operator is written down",
            expected="a number; an expression has another for each configuration",
            found=repr(self),
            hint="sym.sqrt, sym.exp and their like take expressions, register_function "
            "makes more; table(J)[..] looks up in a list, row('J') reads data",
        )

    if not TYPE_CHECKING:  # types say so before
        __float__ = __int__ = __index__ = _no_number

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes that this one is computed from, left to right."""
        return ()

    @property
    def parts(self) -> tuple[Node, ...]:
        """The children, and what is computed in a way of its own, such as sites."""
        return self.children

    def shown(self, show: Callable[[Node], str]) -> str:
        """Return the node as text; `show` does the same for what it is made of."""
        return object.__repr__(self)

    def __repr__(self) -> str:
        return _text(self, _REPR_DEPTH)


def _operator(function: str) -> Callable[[Any, ExprLike], Expr]:
    """Return the method of an operator of two numbers.

    Sums and products with operators on a space are left to these, as by NumPy's
    scalars.
    """

    def method(self: Expr, other: ExprLike) -> Expr:
        if function in ("add", "sub", "mul") and _is_algebraic(other):
            return NotImplemented
        return apply(function, self, other)

    return method


def _reflected(function: str) -> Callable[[Any, ExprLike], Expr]:
    """Return the method of an operator whose first number is none of ours."""

    def method(self: Expr, other: ExprLike) -> Expr:
        return apply(function, other, self)

    return method


def _comparison(direction: str) -> Callable[[Any, ExprLike], Predicate]:
    """Return the method of a comparison of two numbers."""

    def method(self: Expr, other: ExprLike) -> Predicate:
        return Compare(direction, self, as_expr(other))

    return method


class Expr(Node):
    """A number that a lane of the operator computes, real or complex."""

    __slots__ = ()
    __hash__ = object.__hash__

    __add__, __radd__ = _operator("add"), _reflected("add")
    __sub__, __rsub__ = _operator("sub"), _reflected("sub")
    __mul__, __rmul__ = _operator("mul"), _reflected("mul")
    __truediv__, __rtruediv__ = _operator("div"), _reflected("div")
    __floordiv__, __rfloordiv__ = _operator("floordiv"), _reflected("floordiv")
    __mod__, __rmod__ = _operator("mod"), _reflected("mod")
    __pow__, __rpow__ = _operator("pow"), _reflected("pow")
    __lt__, __le__ = _comparison("LT"), _comparison("LE")
    __gt__, __ge__ = _comparison("GT"), _comparison("GE")

    def __eq__(self, other: ExprLike) -> Predicate:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Compare("EQ", self, as_expr(other))

    def __ne__(self, other: ExprLike) -> Predicate:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Compare("NE", self, as_expr(other))

    def __neg__(self) -> Expr:
        return apply("neg", self)

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return apply("abs", self)

    def __bool__(self) -> NoReturn:
        raise Mistake.TRUTH_VALUE.error(
            f"the value of {self!r} is not known while the operator is written down",
            expected="a number or a truth value that is known now",
            found=repr(self),
            hint="compare it, as in site('i') != 0, and pass the predicate to where",
        )

    def _no_logic(self, *_: object) -> NoReturn:
        raise Mistake.NOT_A_PREDICATE.error(
            f"& | ^ ~ combine predicates, and {self!r} is a number",
            expected="a comparison on each side",
            hint="comparisons bind weaker than &: write (a > 0) & (b > 0)",
        )

    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _no_logic
    __invert__ = _no_logic


class Predicate(Node):
    """A condition that holds or does not, for each lane."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __and__(self, other: PredicateLike) -> Predicate:
        return _combine("and", self, other)

    def __rand__(self, other: PredicateLike) -> Predicate:
        return _combine("and", other, self)

    def __or__(self, other: PredicateLike) -> Predicate:
        return _combine("or", self, other)

    def __ror__(self, other: PredicateLike) -> Predicate:
        return _combine("or", other, self)

    def __invert__(self) -> Predicate:
        return Logical("not", (self,))

    def __bool__(self) -> NoReturn:
        raise Mistake.TRUTH_VALUE.error(
            f"whether {self!r} holds is not known while the operator is written down",
            expected="a truth value that is known now",
            found=repr(self),
            hint=(
                "use & | ~ instead of and, or, not; write (1 < x) & (x < 3) instead "
                "of 1 < x < 3; pass predicates to where instead of if"
            ),
        )

    def __eq__(self, other: object) -> NoReturn:
        self._no_comparison()

    def __ne__(self, other: object) -> NoReturn:
        self._no_comparison()

    def _no_comparison(self, *_: object) -> NoReturn:
        raise Mistake.NOT_AN_EXPRESSION.error(
            f"predicates are not compared: {self!r} is no number",
            hint="p and q agree where (p & q) | (~p & ~q)",
        )

    __lt__ = __le__ = __gt__ = __ge__ = _no_comparison
    __xor__ = __rxor__ = _no_comparison

    def _no_arithmetic(self, *_: object) -> NoReturn:
        raise Mistake.NOT_AN_EXPRESSION.error(
            f"predicates are not computed with: {self!r} is no number",
            hint="pass it to where, in a term of its own if need be",
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _no_arithmetic
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = _no_arithmetic
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _no_arithmetic
    __neg__ = __pos__ = __abs__ = _no_arithmetic


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Constant(Expr):
    """A number that is known now."""

    value: Number


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class AtSite(Expr):
    """Quantity of a site: that of a label, or one whose number is computed.

    A number is no child: it is computed in its own way, as an integer. The label is
    empty where there is one, and `HERE` for the site that a reduction visits.
    """

    label: str
    is_emitted: bool = False
    number: Expr | None = None

    @property
    def parts(self) -> tuple[Node, ...]:
        return () if self.number is None else (self.number,)

    def shown(self, show: Callable[[Node], str]) -> str:
        if self.label == HERE:
            return "emitted(here.index)" if self.is_emitted else "here"
        place = repr(self.label) if self.number is None else show(self.number)
        return f"{'emitted' if self.is_emitted else 'site'}({place})"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class LocalValue(AtSite):
    """The local value of x at a site, or of x' where `is_emitted`."""

    def shown(self, show: Callable[[Node], str]) -> str:
        return f"{AtSite.shown(self, show)}.value"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class SiteNumber(AtSite):
    """The number of a site."""

    def shown(self, show: Callable[[Node], str]) -> str:
        return f"{AtSite.shown(self, show)}.index"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Site(LocalValue):
    """A site: as an expression, the local value there."""

    @property
    def value(self) -> LocalValue:
        """The local value at the site."""
        return LocalValue(self.label, self.is_emitted, self.number)

    @property
    def index(self) -> SiteNumber:
        """The number of the site, from 0."""
        return SiteNumber(self.label, self.is_emitted, self.number)

    def shown(self, show: Callable[[Node], str]) -> str:
        return AtSite.shown(self, show)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Symbol(Expr):
    """A parameter of the operator, bound when it runs.

    `default` is None where there is none. Only the kind of the `dtype` that users state
    is kept: the precision is the operator's.
    """

    name: str
    default: float | complex | None = None
    is_complex: bool = False
    doc: str = ""

    def agrees_with(self, other: Symbol) -> bool:
        """Whether two symbols of one name declare the same parameter."""
        if self.is_complex != other.is_complex:
            return False
        return self.default == other.default


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class RowData(Expr):
    """The entry of a term's data for the row at hand."""

    name: str


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Apply(Expr):
    """A function of expressions, such as add, neg or sqrt."""

    function: str
    arguments: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.arguments


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Compare(Predicate):
    """A comparison of two expressions: EQ, NE, LT, LE, GT or GE."""

    direction: str
    lhs: Expr
    rhs: Expr

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.lhs, self.rhs)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Logical(Predicate):
    """A combination of predicates: and, or, not."""

    function: str
    arguments: tuple[Predicate, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.arguments


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Truth(Predicate):
    """A predicate that always holds, or never."""

    value: bool


ExprLike: TypeAlias = Expr | NumberLike
PredicateLike: TypeAlias = Predicate | bool | np.bool_

true = Truth(True)
"""The predicate that always holds."""

false = Truth(False)
"""The predicate that never holds."""

# endregion
# region What users write


def site(place: str | ExprLike) -> Site:
    """Return a site: of a label of the term's iterator, or of a number.

    `site("i").value` is the local value of the source configuration x there, and so is
    `site("i")` itself; `site("i").index` is the number of the site. Numbers are
    constants or computed, as in `site((site("i").index + 1) % 8)`; a branch that needs
    a site that the lattice does not have is not valid.

    Raises:
        DefinitionError: for a bad label (D019), or what is no whole number (D015,
            D036).
    """
    return _site(place, is_emitted=False)


def emitted(place: str | ExprLike) -> Site:
    """Return a site like `site`, read from the connected configuration x'.

    Only amplitudes and `project` may read it: other predicates and updates come before
    x'.
    """
    return _site(place, is_emitted=True)


def _site(place: object, *, is_emitted: bool) -> Site:
    if isinstance(place, str):
        return Site(as_name(place, "a label"), is_emitted)
    number = as_site_number(place)
    if isinstance(number, SiteNumber) and not number.is_emitted:
        return Site(number.label, is_emitted, number.number)
    return Site("", is_emitted, number)


def as_site_number(value: object) -> Expr:
    """Return an expression for the number of a site; constants are whole.

    Raises:
        DefinitionError: for a site and what is computed from one, whose value or number
            may be meant (D036), and for what is no whole number (D015, D036).
    """
    number = as_expr(value)
    if not isinstance(number, Constant):
        return check_site_number(number)
    constant = whole(number.value)
    if constant is not None:
        return Constant(constant)
    raise Mistake.BAD_SITE.error(
        "the number of a site is whole",
        expected="a whole number",
        found=repr(number.value),
    )


def check_site_number(number: Expr) -> Expr:
    """Return an expression for the number of a site, if it says what it reads.

    A site in arithmetic is its local value; here that is more often a slip for its
    number, so that one of the two is asked for. Conditions may compare sites.

    Raises:
        DefinitionError: where a site is computed with (D036).
    """
    parts: list[Node] = [number]
    seen = set[int]()
    while parts:
        part = parts.pop()
        if isinstance(part, Site):
            raise Mistake.BAD_SITE.error(
                f"{part!r} is a site, and not the number of one",
                expected="a whole number",
                found=repr(number),
                hint=f"{part!r}.index is its number, {part!r}.value the local value",
            )
        if id(part) not in seen:
            seen.add(id(part))
            parts += [child for child in part.children if isinstance(child, Expr)]
    return number


def whole(number: Number) -> int | None:
    """Return a number that is whole as an integer, else None."""
    if isinstance(number, complex) or number != int(number):
        return None
    return int(number)


def source_index(site_number: ExprLike) -> LocalValue:
    """Return the local value of the source x at the site of a number."""
    return site(site_number).value


def target_index(site_number: ExprLike) -> LocalValue:
    """Return the local value of the connected x' at the site of a number.

    Only amplitudes and `project` may read it.
    """
    return emitted(site_number).value


def symbol(
    name: str,
    default: NumberLike | None = None,
    dtype: npt.DTypeLike | None = None,
    doc: str = "",
) -> Symbol:
    """Return a parameter of the operator, bound by its name when the operator runs.

    It is real unless `default` or `dtype` is complex. The precision is that of the
    operator whatever `dtype` says.

    Raises:
        DefinitionError: for a bad name (D019), a default that is no finite number
            (D013, D015), a complex default of a real dtype (D012), a bad dtype
            (D025).
    """
    checked = as_name(name, "the name of a symbol")
    value = None if default is None else _default(checked, default)
    is_complex = isinstance(value, complex)
    if dtype is not None:
        stated = as_dtype(dtype).kind == "c"
        if is_complex and not stated:
            raise Mistake.COMPLEX_IN_REAL.error(
                f"symbol '{checked}' has a complex default and a real dtype",
                expected="a real default",
                found=repr(value),
                hint="leave the dtype out, or give the real part",
            )
        is_complex = stated
    return Symbol(checked, value, is_complex, doc)


def _default(name: str, default: object) -> float | complex:
    number = as_number(default)
    if number is None:
        raise Mistake.NOT_AN_EXPRESSION.error(
            f"the default of symbol '{name}' is no number",
            expected="a number",
            found=shortened(default),
        )
    return number if isinstance(number, complex) else float(number)


def row(name: str) -> RowData:
    """Return the entry of the term's data of that name for the row at hand.

    The data are those of `for_each(labels, over=rows, data={name: values})`.
    """
    return RowData(as_name(name, "the name of row data"))


def sqrt(value: ExprLike) -> Expr:
    """Return the square root; NaN where a real value is negative."""
    return apply("sqrt", value)


def abs_(value: ExprLike) -> Expr:
    """Return the absolute value, which is real; the builtin `abs` does the same."""
    return apply("abs", value)


here = Site(HERE)
"""The site that a reduction visits: `here.value`, or `here` itself, and `here.index`.

Only what is reduced may use it, as in `sum_(here.value, over=all_sites())`.
"""

# endregion
# region Coercion


def as_expr(value: object) -> Expr:
    """Return a number or an expression as an expression.

    Raises:
        DefinitionError: for anything else (D015), or a number that is not finite
            (D013).
    """
    if isinstance(value, Expr):
        return value
    number = as_number(value)
    if number is not None:
        return Constant(number)
    raise Mistake.NOT_AN_EXPRESSION.error(
        f"{_a_kind(value)} is no number and no expression",
        expected="a number, or an expression such as 2 * site('i')",
        found=shortened(value),
        hint=_expression_hint(value),
    )


def as_predicate(value: object) -> Predicate:
    """Return a predicate or boolean as a predicate.

    Raises:
        DefinitionError: for anything else (D016).
    """
    if isinstance(value, Predicate):
        return value
    if is_bool(value):
        return true if value else false
    raise Mistake.NOT_A_PREDICATE.error(
        f"{_a_kind(value)} is no predicate",
        expected="a comparison such as site('i') > 0, or several joined by & | ~",
        found=shortened(value),
        hint="compare it with something" if isinstance(value, Expr) else None,
    )


def _a_kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _expression_hint(value: object) -> str | None:
    if _is_algebraic(value):
        return "operators come first, and scalars multiply them: emit(2 * n('i'))"
    if isinstance(value, str):
        return f"site({value!r}), symbol({value!r}) or row({value!r})?"
    if is_bool(value) or isinstance(value, Predicate):
        return "conditions go into where; write 1 or 0 for a number"
    if callable(value):
        return "pass the expression itself, not a function that returns it"
    if "Tracer" in type(value).__name__:
        return "what JAX is tracing is no constant: make it a parameter, symbol(..)"
    if getattr(value, "ndim", 0):
        return "values that differ from row to row are data: for_each(.., data={..})"
    return None


def apply(function: str, *arguments: object) -> Expr:
    return Apply(function, tuple(as_expr(argument) for argument in arguments))


def _is_algebraic(value: object) -> bool:
    """Whether a value is an operator, or part of one."""
    leaves_none_to_numpy = getattr(value, "__array_ufunc__", ...) is None
    return leaves_none_to_numpy and not isinstance(value, Node)


def _combine(function: str, lhs: object, rhs: object) -> Predicate:
    return Logical(function, (as_predicate(lhs), as_predicate(rhs)))


# endregion
# region Walking and printing


def postorder(root: Node) -> list[Node]:
    """Return every node below and including `root` once, children before parents.

    Shared parts are visited once, so the walk is linear in the number of nodes, and it
    does not recurse, so that sums of many thousand terms are fine.
    """
    order: list[Node] = []
    done = set[int]()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, children_done = stack.pop()
        if id(node) in done:
            continue
        if children_done or not node.children:
            done.add(id(node))
            order.append(node)
            continue
        stack.append((node, True))
        stack += [(child, False) for child in reversed(node.children)]
    return order


def walk(root: Node) -> Iterator[Node]:
    """Yield `root` and all that it is made of, each node once, in any order."""
    pending, seen = [root], set[int]()
    while pending:
        node = pending.pop()
        if id(node) not in seen:
            seen.add(id(node))
            pending += node.parts
            yield node


def _text(node: Node, depth: int) -> str:
    match node:
        case Constant(value):
            return str(value) if isinstance(value, Fraction) else repr(value)
        case AtSite(number=None):
            return node.shown(repr)
        case Symbol(name) | RowData(name):
            return f"{'row' if isinstance(node, RowData) else 'symbol'}({name!r})"
        case Truth(value):
            return str(value).lower()
        case _ if depth == 0:
            # Expressions share parts: in full, a text could be exponentially long.
            return "..."
        case Compare(direction):
            return _applied(direction, node.children, depth)
        case Apply(function) | Logical(function):
            return _applied(function, node.children, depth)
        case _:
            return node.shown(lambda part: _text(part, depth - 1))


def _applied(function: str, arguments: Iterable[Node], depth: int) -> str:
    texts = [_text(argument, depth - 1) for argument in arguments]
    if function in _PREFIX:
        return f"{_PREFIX[function]}{texts[0]}"
    if function in _INFIX:
        return f"({texts[0]} {_INFIX[function]} {texts[1]})"
    return f"{function}({', '.join(texts)})"


# endregion
