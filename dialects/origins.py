"""Origins of lanes: the branches of an operator that each lane holds.

Branches are numbered as an operator has them: terms in order, rows major, emissions
minor. A lane holds one, or several where lanes were summed; behind `bt.compact` it
depends on x which of several it holds. Origins are kept as runs of lanes whose branches
follow each other, so that a term of 10^5 rows takes one.

The attributes `#sym.lanes` and `#bt.lanes` wrap these values. Their text lists runs,
and how many branches the operator has:

- `0:14:2 of 14`: one branch for each of 7 lanes, every other one;
- `{0:7, 9} of 14`: one lane that holds eight branches;
- `{0, 7} x 7 by 1 of 14`: {0, 7}, then {1, 8}, and so on;
- `{0:14} x 4 of 14`: 4 lanes, each of which holds any of the 14.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from xdsl.ir import Data
from xdsl.parser import AttrParser
from xdsl.printer import Printer

Array = npt.NDArray[Any]

_FEWEST_IN_A_RUN = 3
"""Two numbers always follow each other in some step: that says nothing."""


class Run(NamedTuple):
    """Lanes in a row that hold branches in equal steps.

    Lane k holds the branches n + k * step, for each n in `ranges`.
    """

    ranges: tuple[range, ...]
    lanes: int = 1
    step: int = 1

    @property
    def branches(self) -> Array:
        """The branches of the first lane."""
        return np.array([*chain(*self.ranges)], np.int64)

    def __str__(self) -> str:
        if self.is_plain:
            return _range_text(range(self.ranges[0][0], self._end, self.step))
        ranges = ", ".join(map(_range_text, self.ranges))
        times = f" x {self.lanes}" if self.lanes > 1 else ""
        by = f" by {self.step}" if self.lanes > 1 and self.step else ""
        return f"{{{ranges}}}{times}{by}"

    @property
    def is_plain(self) -> bool:
        """Whether each lane holds one branch, which no other one of the run holds."""
        return [len(one) for one in self.ranges] == [1] and self.step > 0

    @property
    def _end(self) -> int:
        return self.ranges[0][0] + self.lanes * self.step


def _range_text(numbers: range) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    end = numbers.start + len(numbers) * numbers.step
    step = f":{numbers.step}" if numbers.step > 1 else ""
    return f"{numbers.start}:{end}{step}"


@dataclass(frozen=True)
class LaneOrigins:
    """The branches that each of some lanes holds.

    Attributes:
        runs: the lanes in order.
        branches: the number of branches of the operator, in its lanes or not.
    """

    runs: tuple[Run, ...]
    branches: int

    @classmethod
    def plain(cls, numbers: range, branches: int) -> LaneOrigins:
        """Return the origins of lanes that hold one branch each, in steps."""
        if not len(numbers):
            return cls((), branches)
        step = numbers.step if len(numbers) > 1 else 1
        first = range(numbers[0], numbers[0] + 1)
        return cls((Run((first,), len(numbers), step),), branches)

    @classmethod
    def of(
        cls, numbers: npt.ArrayLike, branches: int, lengths: npt.ArrayLike | None = None
    ) -> LaneOrigins:
        """Return origins given the branches of all lanes, one lane after the other.

        `lengths` says how many branches each lane holds: one each without it.
        """
        flat = np.asarray(numbers, np.int64)
        if lengths is None:
            return cls(tuple(_runs(flat[:, None])), branches)
        sizes = np.asarray(lengths, np.int64)
        cuts = np.flatnonzero(np.diff(sizes)) + 1
        groups = np.split(sizes, cuts) if len(sizes) else []
        found: list[Run] = []
        start = 0
        for group in groups:
            width, lanes = int(group[0]), len(group)
            end = start + width * lanes
            found += _runs(flat[start:end].reshape(lanes, width))
            start = end
        return cls(tuple(found), branches)

    @classmethod
    def joined(cls, parts: Sequence[LaneOrigins]) -> LaneOrigins:
        """Return the origins of the lanes of the first part, then the second, .."""
        runs = tuple(chain.from_iterable(part.runs for part in parts))
        return cls(runs, max((part.branches for part in parts), default=0))

    @classmethod
    def interleaved(cls, parts: Sequence[LaneOrigins]) -> LaneOrigins:
        """Return the origins of the first lane of each part, then the second, .."""
        if len(parts) == 1:
            return parts[0]
        whole = cls.joined(parts)
        order = np.arange(whole.lanes).reshape(max(1, len(parts)), -1).T
        return whole.picked(order.reshape(-1))

    @cached_property
    def lanes(self) -> int:
        """The number of lanes."""
        return sum(run.lanes for run in self.runs)

    @property
    def is_known(self) -> bool:
        """Whether all are branches that the operator has."""
        ends = (
            (one[0], one[-1] + run.step * (run.lanes - 1))
            for run in self.runs
            for one in run.ranges
            if one
        )
        return all(low >= 0 and high < self.branches for low, high in ends)

    def __iter__(self) -> Iterator[Array]:
        """Yield the branches of each lane, the same array for equal neighbours."""
        for run in self.runs:
            first = run.branches
            for lane in range(run.lanes):
                yield first + lane * run.step if run.step else first

    @cached_property
    def ragged(self) -> tuple[Array, Array]:
        """The branches of all lanes in a row, and how many each lane holds."""
        tables = [
            run.branches + run.step * np.arange(run.lanes)[:, None] for run in self.runs
        ]
        if not tables:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        lengths = [np.full(len(table), table.shape[1]) for table in tables]
        return np.concatenate([t.reshape(-1) for t in tables]), np.concatenate(lengths)

    @cached_property
    def _starts(self) -> Array:
        lengths = self.ragged[1]
        return np.cumsum(lengths) - lengths

    def picked(self, lanes: npt.ArrayLike) -> LaneOrigins:
        """Return the origins of some lanes, given by their numbers, in this order."""
        numbers, lengths = self.ragged
        chosen = np.asarray(lanes, np.int64)
        sizes = lengths[chosen]
        starts = self._starts[chosen]
        places = np.arange(int(sizes.sum())) + np.repeat(
            starts - (np.cumsum(sizes) - sizes), sizes
        )
        return self.of(numbers[places], self.branches, sizes)

    def summed(self, sum_of: npt.ArrayLike, sums: int) -> LaneOrigins:
        """Return the origins of sums, given which sum each lane is a part of.

        -1 stands for none.
        """
        numbers, lengths = self.ragged
        target = np.repeat(np.asarray(sum_of, np.int64), lengths)
        pairs = np.unique(target * max(1, self.branches) + numbers)
        pairs = pairs[pairs >= 0]
        target, numbers = np.divmod(pairs, max(1, self.branches))
        return self.of(numbers, self.branches, np.bincount(target, minlength=sums))

    def in_one(self) -> LaneOrigins:
        """Return the origins of a lane that holds what all of these hold."""
        if not self.lanes:
            return self
        distinct = np.unique(self.ragged[0])
        return self.of(distinct, self.branches, [len(distinct)])

    def repeated(self, lanes: int) -> LaneOrigins:
        """Return the origins of some lanes, each of which holds any of these."""
        if not self.lanes:
            return self
        (run,) = self.in_one().runs
        return LaneOrigins(
            (Run(run.ranges, lanes, 0 if lanes > 1 else 1),), self.branches
        )

    def __str__(self) -> str:
        runs = ", ".join(map(str, self.runs))
        return f"{runs} of {self.branches}".lstrip()


def _runs(table: Array) -> Iterable[Run]:
    """Yield the runs of lanes that hold as many branches each, (lanes, branches)."""
    lanes, width = table.shape
    fewest = _FEWEST_IN_A_RUN if width == 1 else 2
    steps = np.diff(table, axis=0)
    step = steps[:, 0] if width else np.zeros(len(steps), np.int64)
    follows = (steps == step[:, None]).all(axis=1) & (step >= 0)
    # Lanes from one change to the next have one step
    changes = np.flatnonzero((np.diff(step) != 0) | (np.diff(follows) != 0)) + 1
    start = 0
    for end in [*changes.tolist(), len(steps)]:
        if end < len(steps) + 1 and end > start and follows[end - 1]:
            count = end - start + 1
            if count >= fewest:
                yield Run(_ranges(table[start]), count, int(step[end - 1]))
                start = end + 1
                continue
        for lane in range(start, end):
            yield Run(_ranges(table[lane]))
        start = max(start, end)
    for lane in range(start, lanes):
        yield Run(_ranges(table[lane]))


def _ranges(numbers: Array) -> tuple[range, ...]:
    """Return the branches of one lane as ranges."""
    if len(numbers) == 1:
        return (range(int(numbers[0]), int(numbers[0]) + 1),)
    found: list[range] = []
    for run in _runs(numbers[:, None]):
        first = run.ranges[0][0]
        if run.step:
            found.append(range(first, first + run.lanes * run.step, run.step))
        else:
            found += [range(first, first + 1)] * run.lanes
    return tuple(found)


# region Text


class OriginsData(Data[LaneOrigins]):
    """Base of the attributes that wrap origins, of one text at all levels."""

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> LaneOrigins:
        with parser.in_angle_brackets():
            return _parse_origins(parser)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(str(self.data))


def _parse_origins(parser: AttrParser) -> LaneOrigins:
    """Parse what `str` of origins gives."""
    start = parser.pos
    runs: list[Run] = []
    while parser.parse_optional_keyword("of") is None:
        if runs:
            parser.parse_punctuation(",")
        runs.append(_parse_run(parser))
    branches = parser.parse_integer(allow_boolean=False, allow_negative=False)
    origins = LaneOrigins(tuple(runs), branches)
    if not origins.is_known:
        parser.raise_error(
            f"lanes hold branches 0 to {branches - 1} of {branches}", start, parser.pos
        )
    return origins


def _parse_run(parser: AttrParser) -> Run:
    ranges = parser.parse_optional_comma_separated_list(
        parser.Delimiter.BRACES, lambda: _parse_range(parser)
    )
    if ranges is None:
        numbers = _parse_range(parser)
        step = numbers.step if len(numbers) > 1 else 1
        return Run((range(numbers[0], numbers[0] + 1),), len(numbers), step)
    lanes, step = 1, 1
    if parser.parse_optional_keyword("x"):
        lanes, step = _parse_positive(parser), 0
        if parser.parse_optional_keyword("by"):
            step = _parse_positive(parser)
    return Run(tuple(ranges), lanes, step)


def _parse_range(parser: AttrParser) -> range:
    position = parser.pos
    first = parser.parse_integer(allow_boolean=False, allow_negative=False)
    if parser.parse_optional_punctuation(":") is None:
        return range(first, first + 1)
    end = parser.parse_integer(allow_boolean=False, allow_negative=False)
    step = 1
    if parser.parse_optional_punctuation(":") is not None:
        step = _parse_positive(parser)
    numbers = range(first, end, step)
    if not numbers:
        parser.raise_error("a range of no branch", position, parser.pos)
    return numbers


def _parse_positive(parser: AttrParser) -> int:
    position = parser.pos
    number = parser.parse_integer(allow_boolean=False, allow_negative=False)
    if number < 1:
        parser.raise_error("expected a positive number", position, parser.pos)
    return number


# endregion
