"""Origins of lanes: runs, what becomes of them, and their text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import f64
from xdsl.ir import Block
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError, VerifyException

from dialects import bt
from dialects.origins import LaneOrigins
from dialects.stablehlo import constant, tensor

BRANCHES = 20
LANES = st.lists(st.lists(st.integers(0, BRANCHES - 1), max_size=3), max_size=9)
IN_ROWS = st.builds(
    lambda first, count, step: [[first + k * step] for k in range(count)],
    st.integers(0, 5),
    st.integers(0, 4),
    st.integers(1, 3),
)
SOME = st.one_of(LANES, st.builds(lambda a, b: a + b, IN_ROWS, IN_ROWS))


def origins(lanes: list[list[int]]) -> LaneOrigins:
    flat = [branch for lane in lanes for branch in lane]
    return LaneOrigins.of(flat, BRANCHES, [len(lane) for lane in lanes])


def listed(found: LaneOrigins) -> list[list[int]]:
    return [lane.tolist() for lane in found]


def parsed(text: str) -> LaneOrigins:
    context = Context()
    context.load_dialect(bt.Bt)
    found = Parser(context, text).parse_attribute()
    assert isinstance(found, bt.LanesAttr)
    return found.data


@given(SOME)
def test_origins_are_those_that_were_given(lanes: list[list[int]]) -> None:
    found = origins(lanes)
    assert listed(found) == lanes
    assert found.lanes == len(lanes)
    numbers, lengths = found.ragged
    assert numbers.tolist() == [branch for lane in lanes for branch in lane]
    assert lengths.tolist() == [len(lane) for lane in lanes]


@given(SOME)
def test_text_is_read_as_it_was_printed(lanes: list[list[int]]) -> None:
    attribute = bt.LanesAttr(origins(lanes))
    assert parsed(str(attribute)) == attribute.data


@given(SOME, st.data())
def test_picks_and_sums(lanes: list[list[int]], data: st.DataObject) -> None:
    found = origins(lanes)
    count = 6 if lanes else 0
    picks = data.draw(st.lists(st.integers(0, max(0, len(lanes) - 1)), max_size=count))
    assert listed(found.picked(picks)) == [lanes[k] for k in picks]
    sums = [data.draw(st.integers(-1, 2)) for _ in lanes]
    parts = [
        sorted({b for lane, s in zip(lanes, sums, strict=True) if s == k for b in lane})
        for k in range(3)
    ]
    assert listed(found.summed(sums, 3)) == parts
    whole = sorted({branch for lane in lanes for branch in lane})
    assert listed(found.in_one()) == ([whole] if lanes else [])
    assert listed(found.repeated(4)) == ([whole] * 4 if lanes else [])


def test_joins() -> None:
    one, other = origins([[0], [2], [4]]), origins([[1], [3], [5]])
    assert listed(LaneOrigins.joined([one, other])) == [[0], [2], [4], [1], [3], [5]]
    woven = LaneOrigins.interleaved([one, other])
    assert woven == LaneOrigins.plain(range(6), BRANCHES)
    assert LaneOrigins.joined([]).lanes == 0


def test_many_rows_are_one_run() -> None:
    many = LaneOrigins.plain(range(1, 200_000, 2), 200_000)
    assert (many.lanes, len(many.runs)) == (100_000, 1)
    assert str(many) == "1:200001:2 of 200000"
    assert str(many.in_one()) == "{1:200001:2} of 200000"
    assert str(many.repeated(7)) == "{1:200001:2} x 7 of 200000"
    pairs = many.summed(np.arange(100_000) % 50_000, 50_000)
    assert str(pairs) == "{1, 100001} x 50000 by 2 of 200000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0:8 of 7", "lanes hold branches 0 to 6 of 7"),
        ("{0, 5} x 3 by 1 of 7", "lanes hold branches 0 to 6 of 7"),
        ("3:3 of 7", "a range of no branch"),
        ("0:4:0 of 7", "expected a positive number"),
        ("{0} x 0 of 7", "expected a positive number"),
    ],
)
def test_origins_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parsed(f"#bt.lanes<{text}>")


def test_each_lane_has_an_origin() -> None:
    amplitude = constant(np.array(1.0), f64).results[0]
    known = LaneOrigins.plain(range(6), 6)
    bt.BranchesOp([], [], amplitude, None, 6, known).verify()
    with pytest.raises(VerifyException, match="has 7 lanes, but origins of 6"):
        bt.BranchesOp([], [], amplitude, None, 7, known).verify()


def test_lanes_are_those_of_one_operator() -> None:
    (x,) = Block(arg_types=[tensor(bt.StateType(), [bt.BATCH, 3])]).args
    amplitude = constant(np.array(1.0), f64).results[0]
    parts = [
        bt.BranchesOp([], [], amplitude, None, 2, LaneOrigins.plain(range(2), count))
        for count in (2, 5)
    ]
    joined = bt.ConcatOp([part.result for part in parts])
    assert bt.origins_of(parts[1].result) == LaneOrigins.plain(range(2), 5)
    with pytest.raises(VerifyException, match="of 2 branches and 5 branches"):
        bt.ConnectionsOp(x, joined.result, f64).verify()
