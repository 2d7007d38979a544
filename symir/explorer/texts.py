"""The text of every stage, line by line, with where each line comes from.

Lines and origins are numbered, and each is kept once: most passes leave most lines as
they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation

from dialects import sym
from dialects.text import Printer
from symir.errors import SourceLocation
from symir.plain_text import elided_constants
from symir.provenance import origins_in, term_around

ROWS_SHOWN = 16
"""Longer tables lose their middle."""

WIDTH = 1500
"""Longer lines are cut."""

Key = tuple[int, str, str, int]
"""The number of a term or -1, its emission, a file, and a line or 0."""


class _LinePrinter(Printer):
    """A printer that notes the lines of each op, outer ones first."""

    def __init__(self, stream: StringIO):
        super().__init__(stream, elide_rows_over=ROWS_SHOWN)
        self.spans: list[list[Any]] = []

    def print_op(self, op: Operation) -> None:
        span = [op, self._current_line, 0]
        self.spans.append(span)
        super().print_op(op)
        span[2] = self._current_line


def located_lines(module: ModuleOp) -> tuple[list[str], list[Operation | None]]:
    """Return the lines of a module, each with the innermost op that it belongs to."""
    stream = StringIO()
    printer = _LinePrinter(stream)
    printer.print_op(module)
    lines = [_cut(elided_constants(line)) for line in stream.getvalue().splitlines()]
    owners: list[Operation | None] = [None] * len(lines)
    for op, first, last in printer.spans:
        owners[first : last + 1] = [op] * (last + 1 - first)
    return lines, owners


def _at_first_lines(
    owners: Sequence[Operation | None], notes: Mapping[Operation, int]
) -> list[int]:
    """Return the note of each line: that of an op at its first line, or -1."""
    left = dict(notes)
    return [-1 if op is None else left.pop(op, -1) for op in owners]


def _cut(line: str) -> str:
    if len(line) <= WIDTH:
        return line
    return f"{line[:WIDTH]} ... {len(line) - WIDTH} more characters"


@dataclass
class Origins:
    """The places that ops come from, and sets of them, by number.

    Attributes:
        terms: the numbers of terms by their names.
    """

    terms: Mapping[str, int]
    _keys: dict[Key, int] = field(default_factory=dict[Key, int])
    _sets: dict[tuple[int, ...], int] = field(
        default_factory=dict[tuple[int, ...], int]
    )
    _known: dict[tuple[Attribute, str | None], int] = field(
        default_factory=dict[tuple[Attribute, str | None], int]
    )
    _term_at: dict[SourceLocation, str | None] = field(
        default_factory=dict[SourceLocation, str | None]
    )

    @classmethod
    def of(cls, operator: sym.OperatorOp) -> Origins:
        """Return the origins of an operator, none of them numbered yet."""
        found = cls({term.sym_name.data: k for k, term in enumerate(operator.terms)})
        # IR that was read from a file knows lines only, which tell the terms further on
        for term in operator.terms:
            name = term.sym_name.data
            for op in term.walk():
                for one in origins_in(op.location):
                    if one.location is not None and one.term is None:
                        others = found._term_at.setdefault(one.location, name)
                        if others != name:
                            found._term_at[one.location] = None
        return found

    def of_op(self, op: Operation) -> int:
        """Return the number of the set of origins of an op, -1 where none is known."""
        term = term_around(op)
        around = None if term is None else term.sym_name.data
        key = (op.location, around)
        if key not in self._known:
            self._known[key] = self._of_location(*key)
        return self._known[key]

    def _of_location(self, location: Attribute, around: str | None) -> int:
        numbers = set[int]()
        for one in origins_in(location):
            place = one.location
            name = one.term or around or (place and self._term_at.get(place))
            term = -1 if name is None else self.terms.get(name, -1)
            key = (
                term,
                one.clause or "",
                place.file if place else "",
                place.line if place else 0,
            )
            numbers.add(self._keys.setdefault(key, len(self._keys)))
        if not numbers:
            return -1
        return self._sets.setdefault(tuple(sorted(numbers)), len(self._sets))

    @property
    def files(self) -> list[str]:
        """The files that anything comes from, in order."""
        return list(dict.fromkeys(key[2] for key in self._keys if key[2]))

    def lines_of(self, file: str) -> list[int]:
        """Return the lines of a file that anything comes from, in order."""
        return sorted({key[3] for key in self._keys if key[2] == file})

    def as_dict(self) -> dict[str, Any]:
        """Return origins, and sets as [first, count, ..] of their numbers."""
        files = {file: k for k, file in enumerate(self.files)}
        return {
            "origins": [
                [term, clause, files.get(file, -1), line]
                for term, clause, file, line in self._keys
            ],
            "sets": [_runs(one) for one in self._sets],
        }


def _runs(numbers: Sequence[int]) -> list[int]:
    """Return sorted numbers as runs: the first and how many, again and again."""
    runs: list[int] = []
    for number in numbers:
        if runs and number == runs[-2] + runs[-1]:
            runs[-1] += 1
        else:
            runs += [number, 1]
    return runs


@dataclass
class Lines:
    """The lines of all stages; each is kept once.

    Attributes:
        limit: how many lines of a stage are kept: longer ones lose their middle.
    """

    origins: Origins
    limit: int
    _numbers: dict[str, int] = field(default_factory=dict[str, int])

    def of(
        self, module: ModuleOp, notes: Mapping[Operation, int] | None = None
    ) -> dict[str, Any]:
        """Return the lines of a module as plain data: numbers of texts and of sets.

        `left_out` says how many lines are missing behind the line `cut`. Numbers of
        `notes` on ops, if there are any, stand at their first lines, -1 elsewhere.
        """
        lines, owners = located_lines(module)
        beside = _at_first_lines(owners, notes or {})
        cut, left_out = len(lines), 0
        if len(lines) > self.limit:
            cut, left_out = 2 * self.limit // 3, len(lines) - self.limit
            lines[cut : cut + left_out] = []
            owners[cut : cut + left_out] = []
            beside[cut : cut + left_out] = []
        told = {} if notes is None else {"notes": beside}
        return {
            "lines": [
                self._numbers.setdefault(line, len(self._numbers)) for line in lines
            ],
            "sets": [-1 if op is None else self.origins.of_op(op) for op in owners],
            "cut": cut,
            "left_out": left_out,
            **told,
        }

    @property
    def texts(self) -> list[str]:
        """The text of each number."""
        return list(self._numbers)

    @property
    def size(self) -> int:
        """The number of characters of all texts."""
        return sum(map(len, self._numbers))
