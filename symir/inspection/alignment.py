"""Aligning two sequences by keys, the strictest first, with `difflib`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

__all__ = ["Gap", "Keys", "align"]

Keys = tuple[Sequence[Hashable], Sequence[Hashable]]
"""A key for each item of the first sequence, and of the second."""


@dataclass(frozen=True)
class Gap:
    """Places of both sequences that have no match, between two matches."""

    first: Sequence[int]
    second: Sequence[int]


def align(
    gaps: Sequence[Gap], kinds: Sequence[Keys]
) -> tuple[list[tuple[int, int]], list[Gap]]:
    """Match the items of gaps by one kind of key after the other.

    Returns the matches, each kept in order within its gap, and the gaps that are left.
    """
    pairs: list[tuple[int, int]] = []
    for own, other in kinds:
        left = list[Gap]()
        for gap in gaps:
            keys = [own[i] for i in gap.first], [other[j] for j in gap.second]
            start = (0, 0)
            matcher = SequenceMatcher(None, *keys, autojunk=False)
            for i, j, size in matcher.get_matching_blocks():
                left.append(Gap(gap.first[start[0] : i], gap.second[start[1] : j]))
                start = i + size, j + size
                pairs += zip(gap.first[i : start[0]], gap.second[j : start[1]])
        gaps = [gap for gap in left if gap.first or gap.second]
    return pairs, list(gaps)
