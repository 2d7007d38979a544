"""What is shown: configurations, numbers, tables, and texts that are cut to fit."""

from __future__ import annotations

import io

import numpy as np
import pytest

import symir as sym
from symir.compiler.artifact import BranchOrigin
from symir.plain_text import (
    configuration,
    elided_constants,
    elided_middle,
    number,
    shortened_lines,
)
from symir.tools.progress import Progress
from symir.tools.show import BranchNames, Style, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# ---- values ----


@pytest.mark.parametrize(
    ("space", "values", "text"),
    [
        (sym.spin(0.5, 3), [1, -1, 1], "+-+"),
        (sym.spin(1, 3), [2, 0, -2], "2 0 -2"),
        (sym.spin(1, 2), [-2, 2], "-2 2"),
        (sym.qubit(3), [0, 1, 1], "011"),
        (sym.fock(9, 3), [0, 9, 1], "091"),
        (sym.fock(10, 3), [0, 9, 1], "0 9 1"),
        (sym.space([0.5, 1.5], 2), [0.5, 1.5], "0.5 1.5"),
        (sym.qubit(40), [1] * 40, "1" * 40),
        (sym.qubit(41), [1] * 41, "1" * 19 + ".." + "1" * 19),
    ],
)
def test_configuration(space: sym.Space, values: list[float], text: str) -> None:
    for dtype in (np.int8, np.float64):
        if np.array_equal(np.array(values, dtype), values):
            assert configuration(np.array(values, dtype), space) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (2**0.5, "1.41421"),
        (1e-20, "1e-20"),
        (float("nan"), "nan"),
        (1 + 2j, "1+2j"),
        (complex(-1.5, -0.25), "-1.5-0.25j"),
    ],
)
def test_number(value: complex, text: str) -> None:
    assert number(value) == text


# ---- tables ----


def test_table() -> None:
    lines = table(("a", "bb"), [("xyz", "1"), ("", "22")], right=frozenset({1}))
    assert lines == ["a    bb", "xyz   1", "     22"]


def hops() -> BranchNames:
    operator = (
        sym.DOperator(sym.fock(2, 3), "hops")
        .for_each(("i", "j"), over=[(0, 1), (1, 2)])
        .named("hop")
        .emit(sym.shift("i", -1).shift("j", 1), amplitude=1.0, tag="right")
        .emit(amplitude=1.0)
        .globally()
        .named("all")
        .emit(amplitude=1.0)
        .build()
    )
    layout = [
        BranchOrigin("hop", 0, 0, "right"),
        BranchOrigin("hop", 0, 1, None),
        BranchOrigin("hop", 1, 0, "right"),
        BranchOrigin("hop", 1, 1, None),
        BranchOrigin("all", 0, 0, None),
    ]
    return BranchNames(operator, layout)


X = np.array([1, 1, 0], np.int8)
CONNECTED = np.array([[0, 2, 0], X, [1, 0, 1], X, X], np.int8)


def test_branches() -> None:
    elements = np.array([1.5, 0, -2, 0, 3])
    assert hops().lines(X, CONNECTED, elements, limit=9) == [
        "lane  term  row  sites    emits       x'   changes               <x|O|x'>",
        "   0  hop     0  i=0 j=1  right       020  0: 1 -> 0, 1: 1 -> 2       1.5",
        "   2  hop     1  i=1 j=2  right       101  1: 1 -> 0, 2: 0 -> 1        -2",
        "   4  all     0  -        emission 0  110  none                         3",
        "2 of 5 lanes have matrix element 0",
    ]


@pytest.mark.parametrize(
    ("limit", "lanes"),
    [
        (5, ["0", "1", "2", "3", "4"]),
        (4, ["0", "1", "...", "3", "4"]),
        (3, ["0", "1", "...", "4"]),
        (1, ["0", "..."]),
        (0, ["..."]),
    ],
)
def test_branches_in_the_middle_are_left_out(limit: int, lanes: list[str]) -> None:
    lines = hops().lines(X, CONNECTED, np.ones(5), limit=limit)
    shown = [line.split()[0] for line in lines]
    assert [lane for lane in shown if lane != "lane"] == lanes
    left_out = 5 - limit
    assert ("... " + f"{left_out} more ..." in lines) == (left_out > 0)


def test_no_branches() -> None:
    expected = ["5 of 5 lanes have matrix element 0"]
    assert hops().lines(X, CONNECTED, np.zeros(5), limit=9) == expected


def test_many_changes_are_counted() -> None:
    operator = sym.DOperator(sym.qubit(5), "o").globally().emit().build()
    branches = BranchNames(operator, [BranchOrigin("term0", 0, 0, None)])
    x = np.zeros(5, np.int8)
    line = branches.lines(x, x[None] + 1, np.ones(1), limit=1)[1]
    assert "0: 0 -> 1, 1: 0 -> 1, 2: 0 -> 1, and 2 more" in line


# ---- texts ----


def test_elided_middle() -> None:
    text = "\n".join(map(str, range(50)))
    lines = elided_middle(text, 10).splitlines()
    assert lines[:6] == [*"012345"]
    assert lines[6] == "  ... 41 lines are left out here ..."
    assert lines[7:] == ["47", "48", "49"]
    assert elided_middle(text, 50) == text


def test_elided_constants() -> None:
    text = 'a dense<"0x0123456789ABCDEF' + "00" * 56 + '"> b dense<"0x0123"> c'
    assert elided_constants(text) == (
        'a dense<0x0123456789ABCDEF.. 64 bytes> b dense<"0x0123"> c'
    )


def test_shortened_lines() -> None:
    assert shortened_lines("abcdef\nabcdefg", 6) == "abcdef\nabc..."


# ---- colours ----


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Style.of(Terminal()).strong("a") == "\x1b[1ma\x1b[0m"
    assert Style.of(io.StringIO()).strong("a") == "a"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Style.of(Terminal()).strong("a") == "a"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert Style.of(Terminal()).strong("a") == "a"


# ---- progress ----


def test_progress_in_a_file() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.stage("counting"):
        for done in range(1, 101):
            progress.count(done, 100)
    *counts, last = stream.getvalue().splitlines()
    assert counts == [f"counting ... {tens}/100" for tens in range(10, 100, 10)]
    assert last.startswith("counting ... ")
    assert last.endswith(" s")


def test_progress_on_a_terminal() -> None:
    stream = Terminal()
    progress = Progress(stream)
    with progress.stage("counting"):
        progress.count(1, 2)
    assert stream.getvalue().startswith("counting ...\rcounting ... 1/2\rcounting ... ")
    assert stream.getvalue().count("\n") == 1


def test_progress_of_a_failure() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), Progress(stream).stage("trying"):
        raise KeyError
    assert stream.getvalue() == "trying ... failed\n"


def test_progress_can_be_quiet() -> None:
    stream = Terminal()
    progress = Progress(stream, quiet=True)
    with progress.stage("counting"):
        progress.count(1, 2)
    assert stream.getvalue() == ""
