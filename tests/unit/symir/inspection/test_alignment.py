"""Alignments are sound on anything, and find what was inserted, removed or changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from symir.inspection.alignment import Gap, align

ITEMS = st.lists(st.integers(0, 5), max_size=12)


def matches(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    everything = Gap(range(len(first)), range(len(second)))
    pairs, gaps = align([everything], [(first, second)])
    left = [(i, None) for gap in gaps for i in gap.first]
    assert sorted([*(i for i, _ in pairs), *(i for i, _ in left)]) == [
        *range(len(first))
    ]
    others = [*(j for _, j in pairs), *(j for gap in gaps for j in gap.second)]
    assert sorted(others) == [*range(len(second))]
    return sorted(pairs)


@given(ITEMS, ITEMS)
def test_matches_are_equal_and_ascend(first: list[int], second: list[int]) -> None:
    found = matches(first, second)
    assert all(first[i] == second[j] for i, j in found)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(found))


@given(ITEMS, ITEMS)
def test_nothing_more_matches_between_two_matches(
    first: list[int], second: list[int]
) -> None:
    edges = [(-1, -1), *matches(first, second), (len(first), len(second))]
    for (a, b), (c, d) in pairwise(edges):
        assert not set(first[a + 1 : c]) & set(second[b + 1 : d])


@given(ITEMS)
def test_all_of_a_sequence_matches_itself(items: list[int]) -> None:
    assert matches(items, items) == [(n, n) for n in range(len(items))]


@given(ITEMS, st.data())
def test_one_item_that_is_new_is_found(items: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(items)))
    longer = [*items[:place], 9, *items[place:]]
    found = matches(items, longer)
    assert found == [(n, n + (n >= place)) for n in range(len(items))]


def test_looser_keys_fill_what_stricter_ones_leave() -> None:
    strict = ("abcd", "axyd")
    loose = ("1122", "1132")
    pairs, gaps = align([Gap(range(4), range(4))], [strict, loose])
    assert sorted(pairs) == [(0, 0), (1, 1), (3, 3)]
    assert [(list(gap.first), list(gap.second)) for gap in gaps] == [([2], [2])]


def test_many_items_are_matched_in_good_time() -> None:
    # Quadratic time would be minutes
    count = 50_000
    first = [n % 1000 for n in range(count)]
    second = [*first[: count // 2], -1, *first[count // 2 :]]
    assert len(matches(first, second)) == count
    assert len(matches([*range(count)], [*range(count, 0, -1)])) == 1
