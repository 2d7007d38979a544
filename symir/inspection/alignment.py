"""Aligning two sequences by keys, the strictest first: what a diff is made of.

Common ends are matched first, then what occurs once on either side and keeps its order
(as in a patience diff), then what occurs more often, each occurrence with its like.
What is left between two matches is tried again with the next kind of key. It takes
about n log n steps for n items.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Gap", "Keys", "align"]

Pair = tuple[int, int]

Keys = tuple[Sequence[Hashable], Sequence[Hashable]]
"""A key for each item of the first sequence, and of the second."""


@dataclass(frozen=True)
class Gap:
    """Places of both sequences that have no match, between two matches."""

    first: Sequence[int]
    second: Sequence[int]


def align(gaps: Sequence[Gap], kinds: Sequence[Keys]) -> tuple[list[Pair], list[Gap]]:
    """Match the items of gaps by one kind of key after the other.

    Returns the matches, each kept in order within its gap, and the gaps that are left.
    """
    pairs: list[Pair] = []
    for keys in kinds:
        pending, left = list(reversed(gaps)), list[Gap]()
        while pending:
            found, rest = _matched(pending.pop(), keys)
            pairs += found
            if found:
                pending.extend(reversed(rest))
            else:
                left.extend(rest)
        gaps = left
    return pairs, list(gaps)


def _matched(gap: Gap, keys: Keys) -> tuple[list[Pair], list[Gap]]:
    """Return matches of a gap, and the gaps between them."""
    first, second = gap.first, gap.second
    ends = _common(first, second, keys)
    if ends != (0, 0):
        start, end = ends
        stop, other = len(first) - end, len(second) - end
        pairs = [
            *zip(first[:start], second[:start], strict=True),
            *zip(first[stop:], second[other:], strict=True),
        ]
        return pairs, _nonempty([Gap(first[start:stop], second[start:other])])
    if not first or not second:
        return [], [gap]
    anchors = _anchors(first, second, keys)
    pairs = [(first[i], second[j]) for i, j in anchors]
    edges = [(-1, -1), *anchors, (len(first), len(second))]
    gaps = [
        Gap(first[i + 1 : k], second[j + 1 : m]) for (i, j), (k, m) in pairwise(edges)
    ]
    return pairs, _nonempty(gaps)


def _nonempty(gaps: Sequence[Gap]) -> list[Gap]:
    return [gap for gap in gaps if gap.first or gap.second]


def _common(first: Sequence[int], second: Sequence[int], keys: Keys) -> tuple[int, int]:
    """Return how many items at the beginning, and at the end, have equal keys."""
    own, other = keys
    size = min(len(first), len(second))
    start = 0
    while start < size and own[first[start]] == other[second[start]]:
        start += 1
    end = 0
    while end < size - start and own[first[-1 - end]] == other[second[-1 - end]]:
        end += 1
    return start, end


def _anchors(first: Sequence[int], second: Sequence[int], keys: Keys) -> list[Pair]:
    """Return places with equal keys that ascend on both sides."""
    own, other = [keys[0][i] for i in first], [keys[1][j] for j in second]
    counts, others = Counter(own), Counter(other)
    once = {key for key, n in counts.items() if n == 1 and others.get(key) == 1}
    candidates = once or (counts.keys() & others.keys())
    places = defaultdict[Hashable, list[int]](list)
    for j in reversed(range(len(other))):
        places[other[j]].append(j)
    pairs = [
        (i, places[key].pop())
        for i, key in enumerate(own)
        if key in candidates and places[key]
    ]
    return _ascending(pairs)


def _ascending(pairs: Sequence[Pair]) -> list[Pair]:
    """Return a longest part of pairs, ascending in the first, that ascends in both."""
    tops, numbers = list[int](), list[int]()
    before: list[int] = []
    for number, (_, j) in enumerate(pairs):
        place = bisect_left(tops, j)
        before.append(numbers[place - 1] if place else -1)
        if place == len(tops):
            tops.append(j)
            numbers.append(number)
        else:
            tops[place], numbers[place] = j, number
    chain = list[Pair]()
    number = numbers[-1] if numbers else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]
