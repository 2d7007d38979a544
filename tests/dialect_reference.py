"""The pages `docs/reference/*.md`: every op, type, attribute and pass, from its source.

`python -m tests.dialect_reference` writes them; a test compares them, and fails where
something is not documented. Texts and examples are the docstrings of `dialects/`, types
and syntax are what xDSL builds parsers and verifiers of, and what is refused are the
messages that the verifiers can raise, read off their sources.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields
from functools import cache, singledispatch
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from xdsl.dialects import builtin
from xdsl.dialects.utils import EnumAttribute
from xdsl.ir import Attribute, Operation, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import (
    AnyOf,
    BaseAttr,
    EqAttrConstraint,
    IRDLOperation,
    MessageConstraint,
    OpDef,
    ParamAttrConstraint,
    RangeLengthConstraint,
    RangeOf,
    VarConstraint,
)
from xdsl.irdl.operations import OptionalDef, VariadicDef
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import RewritePattern
from xdsl.traits import HasParent, OpTrait

from dialects import bt, stablehlo, sym
from dialects.stablehlo import ELEMENTWISE, StableHLO
from lowering.change.analyse_change import WORDS
from lowering.change.cones import PATCH
from lowering.change.determinants import DeterminantPart
from lowering.change.known_rules import RULES
from lowering.change.masked import READ
from lowering.change.rules import ChangeRule
from lowering.energy.propagate_change import FUNCTION
from lowering.registry import get_all_passes
from lowering.relations import Relation
from tests.coverage_table import Row, tables

FOLDER = Path(__file__).parent.parent / "docs" / "reference"

_WRITTEN_BY = "*Generated from the definitions by `python -m tests.dialect_reference`.*"

_SAID_ONCE = ("operator_of",)
"""What so many verifiers ask for that it is said at the beginning of a page."""

_OF_DIALECTS = {
    "sym": "What depends on the space or the element type is refused outside of a "
    "`sym.operator`.",
    "bt": "",
}

_RELATIONS = "../semantics.md#relations-of-passes"

_PASSES = """\
Each pass of `symir-opt`, with its options and its patterns, and what it preserves.
[The levels](../levels.md) say in which order a compilation runs them;
`artifact.optimisation_report()` says what each of them did.
"""

_STABLEHLO = """\
Scalar mathematics is StableHLO at every level, and the last level is StableHLO alone.
The ops come from xdsl-jax, and what each of them computes is said by the
[specification](https://github.com/openxla/stablehlo/blob/main/docs/spec.md). symir adds
checks and no ops: xdsl-jax leaves out that element types agree, and the shapes that
joining, slicing and gathering give, and `dialects.stablehlo.type_error` refuses IR in
which they do not.

These are all the ops that there can be. An *elementwise* one may stand in a term of
`sym` and is the same op at every level; the others are made by the conversions named.
The interpreters are modules of `dialects/interpreters`.
"""

# region Types


@singledispatch
def _type_name(constraint: object) -> str:
    """Say in the syntax of IR, or in words, what a constraint admits."""
    raise NotImplementedError(f"no words for {constraint}")


@_type_name.register
def _(constraint: RangeLengthConstraint) -> str:
    return _type_name(constraint.constraint)


@_type_name.register
def _(constraint: RangeOf) -> str:
    return _type_name(constraint.constr)


@_type_name.register
def _(constraint: EqAttrConstraint) -> str:
    return f"`{constraint.attr}`"


@_type_name.register
def _(constraint: MessageConstraint) -> str:
    return constraint.message.removeprefix("expected ").partition(",")[0]


@_type_name.register
def _(constraint: VarConstraint) -> str:
    return f"{_type_name(constraint.constraint)}; one type `{constraint.name}`"


@_type_name.register
def _(constraint: BaseAttr) -> str:
    return _attribute_name(constraint.attr)


@_type_name.register
def _(constraint: AnyOf) -> str:
    return " or ".join(map(_type_name, constraint.attr_constrs))


@_type_name.register
def _(constraint: builtin.ArrayOfConstraint) -> str:
    return f"list of {_type_name(constraint.elem_range_constraint)}"


@_type_name.register
def _(constraint: builtin.SymbolNameConstraint) -> str:
    return "name, `@name`"


@_type_name.register(ParamAttrConstraint)
def _(constraint: ParamAttrConstraint[Any]) -> str:
    parts = [
        f"`{part.attr}`"
        for part in constraint.param_constrs
        if isinstance(part, EqAttrConstraint)
    ]
    return " of ".join([_attribute_name(constraint.base_attr), *parts])


_WORDS: dict[type[Attribute], str] = {
    builtin.DenseArrayBase: "`array`",
    builtin.DenseIntOrFPElementsAttr: "`dense` numbers",
    builtin.DictionaryAttr: "dictionary",
    builtin.IntegerAttr: "integer",
    builtin.NoneAttr: "nothing",
    builtin.StringAttr: "string",
    builtin.SymbolRefAttr: "name, `@name`",
    builtin.TensorType: "tensor",
    builtin.UnitAttr: "flag",
    TypeAttribute: "type",
}


def _attribute_name(kind: type[Attribute]) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    mark = "!" if issubclass(kind, TypeAttribute) else "#"
    return f"`{mark}{kind.name}`"


def _how_many(definition: object) -> str:
    if isinstance(definition, OptionalDef):
        return "optional"
    return "any number" if isinstance(definition, VariadicDef) else ""


def _members(definition: OpDef) -> Iterator[tuple[str, str, str, str]]:
    """Yield what an op has: role, name, what it may be, and how many."""
    for role, members in (
        ("operand", definition.operands),
        ("result", definition.results),
    ):
        for name, member in members:
            yield role, name, _type_name(member.constr), _how_many(member)
    for name, member in definition.properties.items():
        if not name.endswith("SegmentSizes"):
            yield "property", name, _type_name(member.constr), _how_many(member)
    for name, member in definition.regions:
        yield "region", name, "one block", _how_many(member)


def _trait(trait: OpTrait) -> str | None:
    """Say a trait; None for those that are no promise to users of the op."""
    if isinstance(trait, HasParent):
        parents = ", ".join(f"`{parent.name}`" for parent in trait.op_types)
        return f"stands in {parents}"
    return _TRAITS.get(type(trait).__name__)


_TRAITS = {
    "IsTerminator": "ends its block",
    "IsolatedFromAbove": "sees no values from outside",
    "NoTerminator": "its block needs no terminator",
    "Pure": "pure: it has no effect but its results",
    "SymbolOpInterface": "has a name",
}

# endregion
# region What is refused


def messages_of(kind: type[Any], method: str) -> list[str]:
    """Return what a verifier can complain of; `..` is what differs between cases."""
    verify = getattr(kind, method)
    # xDSL wraps what a class defines
    own = inspect.getclosurevars(verify).nonlocals.get("custom_verify", verify)
    functions: dict[str, Callable[..., Any]] = {}
    if issubclass(kind, IRDLOperation):
        for trait in kind.get_irdl_definition().traits.traits:
            _add_callees(trait.verify, kind, functions)
    _add_callees(own, kind, functions)
    found = [
        _text_of(message, kind, function)
        for function in functions.values()
        for message in _messages_in(function)
    ]
    return list(dict.fromkeys(filter(None, found)))


def _add_callees(
    function: Callable[..., Any], kind: type[Any], found: dict[str, Callable[..., Any]]
) -> None:
    """Add a function of the dialect, and those of its own that it calls."""
    name = function.__qualname__
    if name in found or name in _SAID_ONCE or function.__module__ != kind.__module__:
        return
    found[name] = function
    module = inspect.getmodule(kind)
    for node in ast.walk(_tree_of(function)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("self"), attr=name)):
                callee = getattr(kind, name, None)
            case ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name("super")), attr=name)
            ):
                owner = function.__qualname__.rpartition(".")[0]
                above = [one for one in kind.mro() if owner == one.__qualname__]
                callee = getattr(super(above[0], kind), name, None) if above else None
            case ast.Call(func=ast.Name(name)):
                callee = getattr(module, name, None)
            case _:
                continue
        if inspect.isroutine(callee):
            _add_callees(callee, kind, found)


def _messages_in(function: Callable[..., Any]) -> Iterator[ast.expr]:
    """Yield what a verifier raises, or what is made for one to raise."""
    for node in ast.walk(_tree_of(function)):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name("VerifyException"), args=[text])):
                yield text
            case ast.Return(value=ast.Constant() | ast.JoinedStr() as text):
                if function.__name__.endswith("_error"):
                    yield text
            case _:
                pass


def _tree_of(function: Callable[..., Any]) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _text_of(node: ast.expr, kind: type[Any], function: Callable[..., Any]) -> str:
    """Return the text of an f-string, in which the name of the op is known."""
    own = {"self", "op"} & {*inspect.signature(function).parameters}
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add()):
            return f"{_text_of(left, kind, function)}.."
        case ast.JoinedStr(values=parts):
            text = "".join(_text_of(part, kind, function) for part in parts)
            return re.sub(r"\.{3,}", "..", text)
        case ast.FormattedValue(value=ast.Attribute(value=ast.Name(name), attr="name")):
            return kind.name if name in own else ".."
        case ast.FormattedValue():
            return ".."
        case _:
            return ""


# endregion
# region Entries


def _prose(documented: type[Any] | ModuleType) -> list[str]:
    return [inspect.cleandoc(documented.__doc__ or ""), ""]


def _syntax_of(definition: OpDef) -> list[str]:
    if definition.assembly_format is None:
        return ["Its syntax is its own: see the example.", ""]
    return ["```text", *_wrapped(definition), "```", ""]


def _wrapped(definition: OpDef) -> list[str]:
    text = f"{definition.name} {definition.assembly_format}"
    return textwrap.wrap(
        text, 88, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _table(members: Iterable[tuple[str, str, str, str]]) -> list[str]:
    rows = [
        f"| {role} | `{name}` | {what}{', ' if many else ''}{many} |"
        for role, name, what, many in members
    ]
    return ["| | | |", "|---|---|---|", *rows, ""] if rows else []


def _refused(messages: Iterable[str]) -> list[str]:
    lines = [f"- `{message.replace('`', '')}`" for message in messages]
    return ["Refused, besides other types than these:", "", *lines, ""] if lines else []


def _entry_of_op(kind: type[Operation], row: Row) -> str:
    definition = cast(type[IRDLOperation], kind).get_irdl_definition()
    traits = sorted(filter(None, map(_trait, definition.traits.traits)))
    lines = [f"### `{kind.name}`", "", *_prose(kind), *_syntax_of(definition)]
    lines += _table(_members(definition))
    if traits:
        lines += [f"Traits: {'; '.join(traits)}.", ""]
    lines += _refused(messages_of(kind, "verify_"))
    patterns = _patterns(kind)
    if patterns:
        lines += [f"Canonicalization: {', '.join(f'`{one}`' for one in patterns)}.", ""]
    lines += [
        f"Interpreter: {', '.join(f'`dialects.{one}`' for one in row.interpreted)}. "
        f"Passes: {', '.join(f'`{one}`' for one in row.lowered)}.",
        "",
    ]
    return "\n".join(lines)


def _patterns(kind: type[Operation]) -> list[str]:
    patterns = getattr(kind, "get_canonicalization_patterns", None)
    return [] if patterns is None else [type(one).__name__ for one in patterns()]


def _entry_of_attribute(kind: type[Attribute]) -> str:
    lines = [f"### {_title(kind)}", "", *_prose(kind)]
    if issubclass(kind, ParametrizedAttribute):
        parameters = kind.get_irdl_definition().parameters
        members = (
            ("parameter", name, _type_name(one.constr), "") for name, one in parameters
        )
        lines += _table(members)
    elif issubclass(kind, EnumAttribute):
        cases = ", ".join(f"`{case.value}`" for case in kind.enum_type)
        lines += [f"One of {cases}.", ""]
    if kind.verify is not Attribute.verify:
        lines += _refused(messages_of(kind, "verify"))
    return "\n".join(lines)


# endregion
# region Pages


def _page_of_dialect(module: ModuleType, title: str) -> str:
    dialect = next(d for d in (sym.Sym, bt.Bt) if d.name == title)
    rows = {row.op: row for row in tables()[title]}
    ops = list(dialect.operations)
    attributes = list(dialect.attributes)
    entries = [_entry_of_op(kind, rows[kind.name]) for kind in ops]
    parts = [
        f"# The `{title}` dialect",
        _WRITTEN_BY,
        inspect.cleandoc(module.__doc__ or "").partition("\n\n")[2],
        f"Ops: {', '.join(_link(f'`{kind.name}`') for kind in ops)}.",
        f"Types and attributes: {', '.join(map(_link, map(_title, attributes)))}.",
        "[How they are used](../levels.md), and [what covers them](../coverage.md). "
        + _OF_DIALECTS[title],
        "## Ops",
        *entries,
        "## Types and attributes",
        *map(_entry_of_attribute, attributes),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _title(kind: type[Attribute]) -> str:
    """Return a heading that no op has: some types are named like one."""
    what = "type" if issubclass(kind, TypeAttribute) else "attribute"
    return f"{what} {_attribute_name(kind)}"


def _link(title: str) -> str:
    """Return a link to the heading of a title."""
    anchor = re.sub(r"[^\w -]", "", title).replace(" ", "-")
    return f"[{title}](#{anchor})"


def _page_of_stablehlo() -> str:
    kinds = {kind.name: kind for kind in StableHLO.operations}
    lines = ["| op | signature | where | interpreter |", "|---|---|---|---|"]
    for row in tables()["StableHLO"]:
        kind = kinds[row.op]
        where = "elementwise" if row.op in ELEMENTWISE else ", ".join(row.lowered)
        interpreters = ", ".join(row.interpreted).replace("interpreters.", "")
        lines.append(f"| `{row.op}` | {_signature(kind)} | {where} | {interpreters} |")
    checks = _messages_of_checks()
    parts = [
        "# StableHLO in symir",
        _WRITTEN_BY,
        _STABLEHLO,
        "## Ops",
        "\n".join(lines),
        "## What is refused besides",
        "\n".join(f"- `{message}`" for message in checks),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _signature(kind: type[Operation]) -> str:
    definition = cast(type[IRDLOperation], kind).get_irdl_definition()
    operands = ", ".join(name for name, _ in definition.operands)
    results = ", ".join(name for name, _ in definition.results) or "()"
    properties = [name for name in definition.properties if "Segment" not in name]
    shown = f"`({operands}) -> {results}`"
    return shown + (f" with `{', '.join(properties)}`" if properties else "")


def _messages_of_checks() -> list[str]:
    """Return what the checks of symir refuse in StableHLO."""
    functions = [
        function
        for name, function in vars(stablehlo).items()
        if re.fullmatch(r"_(\w+_error|mixed|not_of_type)", name)
    ]
    found = [
        _text_of(message, _AnyOp, function)
        for function in functions
        for message in ast.walk(_tree_of(function))
        if isinstance(message, ast.JoinedStr)
    ]
    return list(dict.fromkeys(text for text in found if text.startswith("'")))


class _AnyOp:
    name = ".."


def _page_of_passes() -> str:
    passes = {name: load() for name, load in sorted(get_all_passes().items())}
    parts = [
        "# The passes",
        _WRITTEN_BY,
        _PASSES,
        f"{', '.join(_link(f'`{name}`') for name in passes)}.",
        *map(_entry_of_pass, passes.values()),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _entry_of_pass(kind: type[ModulePass]) -> str:
    module = inspect.getmodule(kind)
    assert module is not None
    options = [_option(field) for field in fields(cast(Any, kind))]
    patterns = [
        f"- `{name}`: {inspect.cleandoc(one.__doc__).splitlines()[0]}"
        for name, one in vars(module).items()
        if inspect.isclass(one)
        and issubclass(one, RewritePattern)
        and not name.startswith("_")
        and one.__module__ == module.__name__
        and one.__doc__
    ]
    relation = getattr(kind, "relation", Relation.EQUAL)
    lines = [f"## `{kind.name}`", "", *_prose(module)]
    if options:
        lines += ["| option | type | default |", "|---|---|---|", *options, ""]
    if patterns:
        lines += [*patterns, ""]
    lines += [f"Preserves: [`{relation}`]({_RELATIONS})."]
    return "\n".join(lines)


def _option(field: Field[Any]) -> str:
    default = "" if field.default is MISSING else f"`{field.default}`"
    kind = str(field.type).replace("|", "\\|")
    return f"| `{field.name}` | `{kind}` | {default} |"


_RULES = f"""
Each op of a network has one rule, which says what a change of x makes of its result:
see [Change rules](../change_rules.md). A rule is for ops that do alike.

- *forms*: those that a result can have, if it is not new; affine where operands are.
- *cost*: multiplications of one change in a cone, at most. Of `m` positions that
  change, `K` that are combined for each, and `C` channels before and `D` behind the op;
  in double precision a scalar function takes `f` = {FUNCTION[8]} of them, and to gather
  a number `g` = {PATCH[8]}, to read one that is kept of x behind a mask `r` = {READ[8]}
  (0 elsewhere, where lists are short). An op that moves elements costs nothing: the
  next one reads them where they are. Without a cost there is no cone: a network is
  evaluated whole.
- *weights*: whether it has a cotangent, so that weights of a last layer are found.
"""

_BY_VALUES = """
Rows of a table that occupied sites choose, and what is of their determinants, are known
by their values, whatever ops they are written in: see
[Determinants](../change_rules.md#determinants). Of `B` matrices of `F` rows a change
exchanges `k` each. Rows cost nothing by themselves.
"""


def _page_of_rules() -> str:
    rules = dict.fromkeys(rule for _, rule in sorted(RULES.items()))
    lines = ["| rule | ops | forms | cost | weights |", "|---|---|---|---|---|"]
    for rule in sorted(rules, key=lambda one: type(one).__name__):
        kind = type(rule)
        names = ", ".join(f"`{name}`" for name, own in RULES.items() if own is rule)
        forms, cost = "; ".join(kind.forms), f"`{kind.cost}`" if kind.cost else ""
        weights = "yes" if kind.cotangent is not ChangeRule.cotangent else ""
        cells = [_summary(kind), names, forms, cost, weights]
        lines.append(f"| {' | '.join(cells)} |")
    forms, cost = "; ".join(WORDS.values()), f"`{DeterminantPart.cost}`"
    parts = [
        "# Rules of change",
        _WRITTEN_BY,
        _RULES,
        "\n".join(lines),
        "## Determinants",
        _BY_VALUES,
        "| value | forms | cost |\n|---|---|---|\n"
        f"| {_summary(DeterminantPart)} | {forms} | {cost} |",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _summary(kind: type) -> str:
    """Return the name of a class, and what it is."""
    return f"`{kind.__name__}`: {inspect.cleandoc(kind.__doc__ or '').splitlines()[0]}"


@cache
def pages() -> dict[str, str]:
    """Return the text of each page, by the name of its file."""
    return {
        "sym.md": _page_of_dialect(sym, "sym"),
        "bt.md": _page_of_dialect(bt, "bt"),
        "stablehlo.md": _page_of_stablehlo(),
        "passes.md": _page_of_passes(),
        "change.md": _page_of_rules(),
    }


# endregion

if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
