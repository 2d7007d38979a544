"""Differences between two modules: ops that were added, removed or rewritten.

Ops are compared by what they are, and not by place or by the names of values: one that
only moved is the same. An op whose operand is another value is rewritten; one whose
operand was rewritten is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from io import StringIO
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    ModuleOp,
    StringAttr,
    TensorType,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from dialects import sym
from dialects.stablehlo import to_numpy
from dialects.text import Printer, print_module
from symir.language.scalars import shortened
from symir.plain_text import Reading
from symir.provenance import Origin, origins, whereabouts

_CHANGES_SHOWN = 40
"""Most changes that are shown; the others are counted."""

_VALUES_SHOWN = 4
"""Most differing values of a table that are shown; the others are counted."""

_WIDTH = 160

_TERMS_SHOWN = 3

_SIGNS = {"added": "+", "removed": "-", "rewritten": "~"}


@dataclass(frozen=True, eq=False)
class Change:
    """An op that is not on both sides as it is.

    Attributes:
        kind: "added", "removed" or "rewritten".
        first: the op before; None where it was added.
        second: the op after; None where it was removed.
        details: of a rewritten op, what is different.
    """

    kind: str
    first: Operation | None
    second: Operation | None
    details: tuple[str, ...] = ()

    @property
    def op(self) -> Operation:
        """The op after, or before where there is none after."""
        op = self.second or self.first
        assert op is not None
        return op

    @property
    def before(self) -> str | None:
        """The op before, in one line."""
        return None if self.first is None else line_of(self.first)

    @property
    def after(self) -> str | None:
        """The op after, in one line."""
        return None if self.second is None else line_of(self.second)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where the op comes from."""
        return origins(self.op)

    def as_dict(self) -> dict[str, Any]:
        """Return the change as plain data."""
        where = whereabouts(self.op)
        place = where["location"]
        return {
            "kind": self.kind,
            "op": self.op.name,
            "before": self.before,
            "after": self.after,
            "details": list(self.details),
            "terms": list(terms_of(self.op)),
            "location": None if place is None else [place.file, place.line],
        }

    def __str__(self) -> str:
        if self.kind == "rewritten":
            what = f"{self.op.name}: {'; '.join(self.details)}"
        else:
            what = line_of(self.op)
        return f"{_SIGNS[self.kind]} {what}{_origin_of(self.op)}"


@dataclass(frozen=True)
class LaneChange(Reading):
    """Number of lanes with branches of a term; None where there is no such term."""

    term: str
    before: int | None
    after: int | None

    def __str__(self) -> str:
        match self.before, self.after:
            case None, int() as after:
                return f"{self.term} term added: +{after} lanes"
            case int() as before, None:
                return f"{self.term} term removed: -{before} lanes"
            case before, after:
                change = (after or 0) - (before or 0)
                return f"{self.term} term: {before} -> {after} lanes ({change:+})"


@dataclass(frozen=True, eq=False)
class Difference(Reading):
    """Differences between two stages or operators.

    It is true where anything is.

    Attributes:
        first: what the first one is called.
        second: what the second one is called.
        changes: the ops that differ, in the order of the second one; removed ops are
            where they were.
        lanes: the terms whose lanes are not the same in number.
        moved: how many ops are the same in another order.
    """

    first: str
    second: str
    changes: tuple[Change, ...] = field(repr=False)
    lanes: tuple[LaneChange, ...] = ()
    moved: int = 0

    def _of(self, kind: str) -> tuple[Change, ...]:
        return tuple(one for one in self.changes if one.kind == kind)

    @cached_property
    def added(self) -> tuple[Change, ...]:
        """The ops that are new."""
        return self._of("added")

    @cached_property
    def removed(self) -> tuple[Change, ...]:
        """The ops that are gone."""
        return self._of("removed")

    @cached_property
    def rewritten(self) -> tuple[Change, ...]:
        """The ops that have other attributes, types or operands."""
        return self._of("rewritten")

    def __bool__(self) -> bool:
        return bool(self.changes or self.lanes)

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        counts = ", ".join(
            f"{len(found)} {kind}"
            for kind, found in (
                ("added", self.added),
                ("removed", self.removed),
                ("rewritten", self.rewritten),
            )
            if found
        )
        counts = counts or "no op is different"
        moved = f", {self.moved} in another order" if self.moved else ""
        more = len(self.changes) - _CHANGES_SHOWN
        return "\n".join(
            [
                f"{self.first} -> {self.second}: {counts}{moved}",
                *(f"  {one}" for one in self.lanes),
                *(f"  {one}" for one in self.changes[:_CHANGES_SHOWN]),
                *([f"  ... {more} more"] if more > 0 else []),
            ]
        )


# region Comparing


class _Listing:
    """The ops of a module, each as a line of numbers that it can be compared by.

    Equal things have equal numbers: `numbers` is shared by both modules.

    Attributes:
        ops: the ops in order, what is inside of an op behind it.
        lines: for each op, by name
            around: what it is inside of, by the names of terms and functions,
            own: its name and attributes,
            kind: its name, that of a term, and the element types of its results,
            types: the types of its results,
            operands: its operands, by what they are,
            whole: `around`, `own`, `types`, and `whole` of what makes its operands.
        values: for each value what it is, by `whole` of the op that makes it.

    `earlier` is what terms are called on the other side, where they were renamed.
    """

    def __init__(
        self,
        module: ModuleOp,
        numbers: dict[Hashable, int],
        earlier: Mapping[str, str] | None = None,
    ):
        self._numbers = numbers
        self._earlier = earlier or {}
        self.ops: list[Operation] = []
        self.lines: list[dict[str, int]] = []
        self.values: dict[SSAValue, int] = {}
        self._blocks: dict[Block, int] = {}
        for op in module.walk():
            if op is not module:
                self._add(op)
            self._enter(op)

    def number(self, *parts: Hashable) -> int:
        """Return the number of a thing, a new one where it is new."""
        return self._numbers.setdefault(parts, len(self._numbers))

    def _add(self, op: Operation) -> None:
        around = self._blocks[op.parent] if op.parent is not None else 0
        own = self.number("own", op.name, *sorted(_attributes(op).items()))
        types = self.number("types", *op.result_types)
        made_of = [self.values.get(operand, 0) for operand in op.operands]
        whole = self.number("whole", around, own, types, *made_of)
        for place, result in enumerate(op.results):
            self.values[result] = self.number("result", whole, place)
        self.ops.append(op)
        elements = map(_element, op.result_types)
        self.lines.append(
            {
                "around": around,
                "own": own,
                "kind": self.number("kind", *self._name(op), *elements),
                "types": types,
                # What has no result takes the place of nothing else
                "operands": self.number(*(made_of if op.results else [op])),
                "whole": whole,
            }
        )

    def _enter(self, op: Operation) -> None:
        """Number the blocks inside of an op, and their arguments."""
        outer = 0 if op.parent is None else self._blocks[op.parent]
        for place, region in enumerate(op.regions):
            for other, block in enumerate(region.blocks):
                name = self.number("in", outer, *self._name(op), place, other)
                self._blocks[block] = name
                for argument in block.args:
                    parts = (name, argument.index, argument.type)
                    self.values[argument] = self.number("argument", *parts)

    def _name(self, op: Operation) -> tuple[str, ...]:
        """Return what ops inside of an op know it by: of an operator no name."""
        match op:
            case sym.TermOp():
                name = op.sym_name.data
                return (op.name, self._earlier.get(name, name))
            case FuncOp() if op.sym_visibility is not None:
                return (op.name, op.sym_name.data)
            case _:
                return (op.name,)


def _attributes(op: Operation) -> dict[str, Attribute]:
    return {**op.attributes, **op.properties}


def _element(kind: Attribute) -> Attribute:
    if not isinstance(kind, TensorType):
        return StringAttr(kind.name)
    return cast("TensorType[Attribute]", kind).get_element_type()


def changes_between(
    first: ModuleOp, second: ModuleOp
) -> tuple[tuple[Change, ...], int]:
    """Return the ops that differ, and how many are the same in another order."""
    numbers: dict[Hashable, int] = {}
    earlier = _earlier_names(first, second)
    matching = _Matching(_Listing(first, numbers), _Listing(second, numbers, earlier))
    matching.align("whole")
    moved = matching.match_moved()
    for names in _ALIKE:
        matching.align(*names)
    return matching.changes(), moved


def _earlier_names(first: ModuleOp, second: ModuleOp) -> dict[str, str]:
    """Return what terms of the second module were called, where that is another name.

    A term with a new name is one that is gone, where it has its rows and kinds of ops.
    """
    before, after = (
        {op.sym_name.data: op for op in module.walk() if isinstance(op, sym.TermOp)}
        for module in (first, second)
    )
    gone = defaultdict[Hashable, list[str]](list)
    for name in reversed([name for name in before if name not in after]):
        gone[_form_of(before[name])].append(name)
    return {
        name: gone[form].pop()
        for name, term in after.items()
        if name not in before and gone[form := _form_of(term)]
    }


def _form_of(term: sym.TermOp) -> Hashable:
    return (term.rows, *(op.name for op in term.walk()))


_ALIKE = (
    ("around", "own", "types"),
    ("around", "kind"),
    ("around", "types", "operands"),
)
"""Features that are common to ops of which one may be a rewrite of the other."""


class _Matching:
    """Pairs of ops of two modules, of which the second is what became of the first."""

    def __init__(self, one: _Listing, other: _Listing):
        self._one, self._other = one, other
        self._pairs: dict[int, int] = {}

    def _left(self) -> tuple[list[int], list[int]]:
        """Return the numbers of the ops on both sides that are in no pair."""
        taken = set(self._pairs.values())
        return (
            [i for i in range(len(self._one.ops)) if i not in self._pairs],
            [j for j in range(len(self._other.ops)) if j not in taken],
        )

    def align(self, *names: str) -> None:
        """Pair ops whose lines have equal numbers of some names, in both orders."""
        first, second = self._left()
        before = [tuple(self._one.lines[i][name] for name in names) for i in first]
        after = [tuple(self._other.lines[j][name] for name in names) for j in second]
        matcher = SequenceMatcher(None, before, after, autojunk=False)
        for i, j, size in matcher.get_matching_blocks():
            pairs = zip(first[i : i + size], second[j : j + size], strict=True)
            self._pairs.update(pairs)

    def match_moved(self) -> int:
        """Pair what is the same in another place, and return how many ops that are."""
        first, second = self._left()
        places = defaultdict[int, list[int]](list)
        for j in reversed(second):
            places[self._other.lines[j]["whole"]].append(j)
        wholes = ((i, self._one.lines[i]["whole"]) for i in first)
        found = {i: places[whole].pop() for i, whole in wholes if places[whole]}
        self._pairs.update(found)
        return len(found)

    def changes(self) -> tuple[Change, ...]:
        """Return what is not the same, given which op became which."""
        one, other = self._one.ops, self._other.ops
        values = self._values()
        _, second = self._left()
        found: list[tuple[float, Change]] = []
        last = -1
        for i, op in enumerate(one):
            # What is gone is told where it was
            last = self._pairs.get(i, last)
            if i not in self._pairs:
                found.append((last + 0.5, Change("removed", op, None)))
        found += [(j, Change("added", None, other[j])) for j in second]
        for i, j in self._pairs.items():
            if details := self._details(one[i], other[j], values):
                found.append((j, Change("rewritten", one[i], other[j], details)))
        return tuple(change for _, change in sorted(found, key=lambda item: item[0]))

    def _values(self) -> dict[SSAValue, SSAValue]:
        """Return what became of results, and of arguments of blocks."""
        values: dict[SSAValue, SSAValue] = {}
        for i, j in self._pairs.items():
            before, after = self._one.ops[i], self._other.ops[j]
            values.update(zip(before.results, after.results, strict=False))
            for inner, outer in zip(before.regions, after.regions, strict=False):
                for block, twin in zip(inner.blocks, outer.blocks, strict=False):
                    values.update(zip(block.args, twin.args, strict=False))
        return values

    def _details(
        self,
        before: Operation,
        after: Operation,
        values: Mapping[SSAValue, SSAValue],
    ) -> tuple[str, ...]:
        """Return what is different between two ops, but for what is in them."""
        found: list[str] = []
        if before.name != after.name:
            found.append(f"it was {before.name}")
        old, new = _attributes(before), _attributes(after)
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                found.append(f"{name} {_change(old.get(name), new.get(name))}")
        types = list(before.result_types), list(after.result_types)
        if types[0] != types[1]:
            found.append(f"type {_listed(types[0])} -> {_listed(types[1])}")
        if len(before.operands) != len(after.operands):
            counts = len(before.operands), len(after.operands)
            found.append(f"{counts[0]} operands -> {counts[1]}")
            return tuple(found)
        for place, (x, y) in enumerate(
            zip(before.operands, after.operands, strict=True)
        ):
            is_same = self._one.values[x] == self._other.values[y]
            if not is_same and values.get(x) is not y:
                found.append(f"operand {place} {_value(x)} -> {_value(y)}")
        return tuple(found)


# endregion
# region Text


def terms_of(op: Operation) -> tuple[str, ...]:
    """Return the names of the terms that an op comes from."""
    found = [one.term for one in origins(op) if one.term is not None]
    around: str | None = whereabouts(op)["term"]
    return tuple(dict.fromkeys(found or ([] if around is None else [around])))


def _origin_of(op: Operation) -> str:
    terms, place = terms_of(op), whereabouts(op)["location"]
    more = [".."] if len(terms) > _TERMS_SHOWN else []
    named = ", ".join([*terms[:_TERMS_SHOWN], *more])
    parts = [f"term {named}" if named else "", f"at {place}" if place else ""]
    told = ", ".join(part for part in parts if part)
    return f"  ({told})" if told else ""


def line_of(op: Operation) -> str:
    """Return an op in one line, without what is in it, for reading."""
    if op.regions:
        named = op.properties.get("sym_name", op.attributes.get("sym_name"))
        name = f" @{named.data}" if isinstance(named, StringAttr) else ""
        return f"{op.name}{name}"
    return _shortened(print_module(op, elide_rows_over=8))


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."


def _attribute(attribute: Attribute | None) -> str:
    if attribute is None:
        return "none"
    stream = StringIO()
    Printer(stream, elide_rows_over=8).print_attribute(attribute)
    return _shortened(stream.getvalue())


def _listed(types: Sequence[Attribute]) -> str:
    return ", ".join(map(_attribute, types)) or "none"


def _value(value: SSAValue) -> str:
    """Return what a value is called, and which op makes it."""
    maker = value.owner
    if not isinstance(maker, Operation):
        return f"%{value.name_hint}" if value.name_hint else "an argument"
    return f"%{value.name_hint} ({maker.name})" if value.name_hint else maker.name


def _change(before: Attribute | None, after: Attribute | None) -> str:
    tables = _table(before), _table(after)
    if tables[0] is not None and tables[1] is not None:
        return _change_of_table(tables[0], tables[1])
    match before, after:
        case ArrayAttr(), ArrayAttr() if len(before) == len(after):
            return ", ".join(
                f"[{place}] {_change(x, y)}"
                for place, (x, y) in enumerate(zip(before, after, strict=True))
                if x != y
            )
        case sym.ColumnAttr(), sym.ColumnAttr() if before.label == after.label:
            return f"{before.label} {_change(before.values, after.values)}"
        case _:
            pass
    old, new = _attribute(before), _attribute(after)
    # Types of functions have an arrow of their own
    return f"{old} {'=>' if '->' in old + new else '->'} {new}"


def _table(attribute: Attribute | None) -> np.ndarray[Any, Any] | None:
    match attribute:
        case DenseIntOrFPElementsAttr():
            return to_numpy(attribute)
        case sym.RowsAttr() | sym.SetsAttr():
            return attribute.data.array
        case _:
            return None


def _change_of_table(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> str:
    """Return which entries of a table are different; of rows, which rows."""
    if before.shape != after.shape or before.dtype != after.dtype:
        return f"{_kind(before)} -> {_kind(after)}{_other_entries(before, after)}"
    if not before.shape:
        return f"{before[()]} -> {after[()]}"
    # By their bits: NaN is like itself, and 0.0 is not -0.0
    bits = [
        np.ascontiguousarray(one)[..., None].view(np.uint8) for one in (before, after)
    ]
    places = np.argwhere((bits[0] != bits[1]).any(axis=-1))
    shown = [
        f"[{', '.join(map(str, place))}] {before[tuple(place)]} -> "
        f"{after[tuple(place)]}"
        for place in places[:_VALUES_SHOWN].tolist()
    ]
    return f"of {_kind(before)}: {_some(shown, len(places))}"


def _other_entries(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> str:
    """Return which entries, or rows, a table has lost and gained; none if all."""
    kinds = [(one.dtype, one.ndim, one.shape[1:]) for one in (before, after)]
    if kinds[0] != kinds[1]:
        return ""
    own, other = ([row.tobytes() for row in one] for one in (before, after))
    blocks = SequenceMatcher(None, own, other, autojunk=False).get_matching_blocks()
    kept = [i + k for i, _, size in blocks for k in range(size)]
    if not kept:
        return ""
    gone = sorted({*range(len(own))}.difference(kept))
    kept = [j + k for _, j, size in blocks for k in range(size)]
    new = sorted({*range(len(other))}.difference(kept))
    lost = [("-", i, before[i]) for i in gone[:_VALUES_SHOWN]]
    gained = [("+", j, after[j]) for j in new[:_VALUES_SHOWN]]
    shown = [
        f"{sign}[{place}] {shortened(entry.tolist())}"
        for sign, place, entry in [*lost, *gained][:_VALUES_SHOWN]
    ]
    return f": {_some(shown, len(gone) + len(new))}"


def _some(shown: Sequence[str], total: int) -> str:
    more = total - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])


def _kind(table: np.ndarray[Any, Any]) -> str:
    return f"{' x '.join(map(str, table.shape)) or 'one'} {table.dtype}"


# endregion
