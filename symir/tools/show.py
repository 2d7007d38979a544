"""Showing things as plain text: tables of connected states, and IR that fits a screen.

Everything is ASCII. Colours are for terminals, and for those who have not set NO_COLOR.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from symir.compiler.artifact import BranchOrigin
from symir.operator.symbolic_operator import SymbolicOperator
from symir.plain_text import (
    columns,
    configuration,
    elided,
    elided_constants,
    elided_middle,
    number,
    shortened_lines,
)
from symir.tools.colours import coloured_diff

Array = npt.NDArray[Any]

_DIFFERENCE_LINES = 60
_DIFFERENCE_WIDTH = 160
_CHANGES_SHOWN = 3
_ROW_WIDTH = 24


@dataclass(frozen=True)
class Style:
    """Emphasis of text; does nothing where `colours` is off."""

    colours: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """Return the style that suits a stream and the environment."""
        refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return cls(stream.isatty() and not refused)

    def strong(self, text: str) -> str:
        """Return a text that stands out."""
        return f"\x1b[1m{text}\x1b[0m" if self.colours and text else text


# region IR


def difference(diff: str, style: Style, *, full: bool = False) -> str:
    """Return a unified diff of IR to be printed; it loses its middle unless `full`."""
    if not diff:
        return ""
    if not full:
        short = elided_constants(elided_middle(diff, _DIFFERENCE_LINES))
        diff = shortened_lines(short, _DIFFERENCE_WIDTH)
    return (coloured_diff(diff) if style.colours else diff) + "\n"


# endregion
# region Values


def _changes(x: Array, connected: Array) -> str:
    """Return the sites where x' differs from x, with the values before and after."""
    sites = np.flatnonzero(x != connected)
    shown = [f"{s}: {x[s]:g} -> {connected[s]:g}" for s in sites[:_CHANGES_SHOWN]]
    if len(sites) > len(shown):
        shown.append(f"and {len(sites) - len(shown)} more")
    return ", ".join(shown) or "none"


# endregion
# region Tables


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[int] = (),
    style: Style | None = None,
) -> list[str]:
    """Return the lines of a table; columns in `right` are flush right."""
    first, *lines = columns(header, rows, right)
    return [(style or Style()).strong(first), *lines]


class BranchNames:
    """The branches of an operator, by lane: for tables."""

    def __init__(self, operator: SymbolicOperator, layout: Sequence[BranchOrigin]):
        self._space = operator.space
        self._terms = {term.name: term for term in operator.terms}
        self._layout = layout

    def lines(
        self,
        x: Array,
        connected: Array,
        elements: Array,
        *,
        limit: int,
        style: Style | None = None,
    ) -> list[str]:
        """Return the lines that show the branches of one sample.

        Shows the first and last of the branches whose matrix element is not 0, `limit`
        in all, and says how many are left out. `x` is (N,), `connected` (K, N),
        `elements` (K,).
        """
        present = np.flatnonzero(elements != 0)
        head = min(len(present), limit - limit // 2)
        tail = max(head, len(present) - limit // 2)
        rows = [
            (
                lane,
                *self._origin(self._layout[lane]),
                configuration(connected[lane], self._space),
                _changes(x, connected[lane]),
                number(elements[lane].item()),
            )
            for lane in map(int, [*present[:head], *present[tail:]])
        ]
        header = ("lane", "term", "row", "sites", "emits", "x'", "changes", "<x|O|x'>")
        lines = table(header, rows, right=(0, 2, 7), style=style)
        if tail > head:
            lines.insert(1 + head, f"... {tail - head} more ...")
        absent = len(elements) - len(present)
        if absent:
            lines.append(f"{absent} of {len(elements)} lanes have matrix element 0")
        return lines if rows else lines[1:]

    def _origin(self, origin: BranchOrigin) -> tuple[object, ...]:
        if origin.row is None:
            return (origin.term, None, None, None)
        term = self._terms[origin.term]
        sites = term.rows.array[origin.row].tolist()
        named = [f"{a}={site}" for a, site in zip(term.labels, sites, strict=True)]
        return (
            origin.term,
            origin.row,
            elided(" ".join(named), _ROW_WIDTH) or "-",
            origin.tag or f"emission {origin.emission}",
        )


# endregion
