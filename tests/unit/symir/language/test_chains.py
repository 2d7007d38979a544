"""Chains of emissions, projections and the further iterators of the builder."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest
from xdsl.dialects.builtin import FileLineColLoc, NameLoc
from xdsl.ir import Operation

from dialects import sym
from dialects.interpreters.sym import branches
from symir.language import (
    DOperator,
    emitted,
    flip_set,
    hop,
    invalidate,
    row,
    shift,
    site,
    write,
)
from symir.operator.spaces import fock, qubit, spin
from symir.operator.symbolic_operator import SymbolicOperator

i, j = site("i"), site("j")


def _valid(operator: SymbolicOperator, x: list[int]) -> list[tuple[list[float], Any]]:
    """Return x' and matrix element of each valid branch."""
    found = branches(operator.to_ir().module, x)
    return [
        (branch.config.tolist(), branch.amplitude.item())
        for branch in found
        if branch.valid
    ]


def _line_of(op: Operation) -> str:
    location = cast(NameLoc, op.location).location
    assert isinstance(location, FileLineColLoc)
    return linecache.getline(location.filename.data, location.line.data).strip()


class Ring:
    """A graph as networkx has them."""

    def edges(self) -> Iterator[tuple[int, int]]:
        return iter([(0, 1), (1, 2), (2, 3), (0, 3)])


@pytest.mark.parametrize(
    ("opened", "labels", "rows"),
    [
        (
            lambda b: b.for_each_triplet(over=[(0, 1, 2)]),
            ("i", "j", "k"),
            [[0, 1, 2]],
        ),
        (
            lambda b: b.for_each_plaquette(shape=(2, 2), pbc=False),
            ("i", "j", "k", "l"),
            [[0, 2, 3, 1]],
        ),
        (
            lambda b: b.for_each_plaquette("a", "b", "c", "d", over=[(0, 1, 2, 3)]),
            ("a", "b", "c", "d"),
            [[0, 1, 2, 3]],
        ),
        (
            lambda b: b.for_each_edge(Ring(), ("a", "b")),
            ("a", "b"),
            [[0, 1], [1, 2], [2, 3], [0, 3]],
        ),
        (
            lambda b: b.for_each_ktuple(("a", "b", "c")),
            ("a", "b", "c"),
            [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]],
        ),
        (
            lambda b: b.for_each_ktuple("a", ordered=True, distinct=False),
            ("a",),
            [[0], [1], [2], [3]],
        ),
    ],
)
def test_iterators(
    opened: Callable[[DOperator], DOperator], labels: tuple[str, ...], rows: list[Any]
):
    operator = opened(DOperator(qubit(4))).emit().build()
    (term,) = operator.terms
    assert term.labels == labels
    assert [list(sites) for sites in term.rows] == rows


@pytest.mark.parametrize(
    "opened",
    [
        lambda b, more: b.for_each_triplet(over=[(0, 1, 2), (1, 2, 3)], **more),
        lambda b, more: b.for_each_plaquette(over=[(0, 1, 2, 3)] * 2, **more),
        lambda b, more: b.for_each_plaquette(shape=(2, 2), pbc=(True, False), **more),
        lambda b, more: b.for_each(("i", "j"), over=[(0, 1), (1, 2)], **more),
    ],
)
def test_iterators_over_rows_take_data_and_sets(opened: Callable[..., DOperator]):
    more = {"data": {"J": [2.0, 3.0]}, "sets": {"star": [[0], [1, 3]]}}
    term = opened(DOperator(qubit(4)), more)
    operator = term.emit(flip_set("star"), amplitude=row("J")).build()
    assert _valid(operator, [0, 0, 0, 0]) == [([1, 0, 0, 0], 2), ([0, 1, 0, 1], 3)]


def test_ktuples_take_data_and_sets():
    pairs = [(0, 1), (0, 2), (1, 2)]
    third = [[2], [1], [0]]
    term = DOperator(qubit(3)).for_each_ktuple(
        ("i", "j"), data={"J": [2.0, 3.0, 5.0]}, sets={"third": third}
    )
    operator = term.emit(flip_set("third"), amplitude=row("J")).build()
    assert [tuple(sites) for sites in operator.terms[0].rows] == pairs
    assert _valid(operator, [0, 0, 0]) == [
        ([0, 0, 1], 2),
        ([0, 1, 0], 3),
        ([1, 0, 0], 5),
    ]


def test_sets_may_be_given_no_name_or_several():
    sets = {"a": [[0, 1]], "b": [[1, 2]]}
    term = DOperator(spin(0.5, 3)).for_each("i", over=[0], sets=sets)
    operator = term.emit(flip_set("b").flip_set("a")).build()
    assert _valid(operator, [1, 1, 1]) == [([-1, 1, -1], 1)]


@pytest.mark.parametrize(
    ("x", "tags"), [([2, 1], "first"), ([1, 1], "second"), ([0, 1], "third")]
)
def test_exactly_one_of_a_chain_holds(x: list[int], tags: str):
    operator = (
        DOperator(fock(2, 2))
        .for_each("i", over=[0])
        .emit_if(i > 1, amplitude=1, tag="first")
        .emit_elseif(i > 0, amplitude=2, tag="second")
        .emit_else(amplitude=3, tag="third")
        .build()
    )
    (_, amplitude), *others = _valid(operator, x)
    assert ["first", "second", "third"][int(amplitude) - 1] == tags
    assert not others


def test_a_chain_respects_the_guards_of_its_term():
    operator = (
        DOperator(fock(2, 2))
        .for_each_site("i")
        .where(i > 0)
        .emit_if(i == 1, amplitude=1)
        .emit_else(amplitude=2)
        .build()
    )
    assert [amplitude for _, amplitude in _valid(operator, [0, 1])] == [1]
    assert [amplitude for _, amplitude in _valid(operator, [2, 0])] == [2]


def test_an_emit_if_opens_a_chain_of_its_own():
    operator = (
        DOperator(fock(2, 1))
        .for_each_site("i")
        .emit_if(i == 1, amplitude=1)
        .emit_if(i >= 1, amplitude=2)
        .emit_else(amplitude=3)
        .build()
    )
    found = [[mel for _, mel in _valid(operator, [x])] for x in range(3)]
    assert found == [[3], [1, 2], [2]]


def test_a_call_that_raises_leaves_the_chain_open():
    term = DOperator(fock(2, 1)).for_each_site("i").emit_if(i == 1, amplitude=1)
    wrong: Any = "wrong"
    with pytest.raises(ValueError, match="D017"):
        term.emit_elseif(i == 2, wrong)
    operator = term.emit_else(amplitude=2).build()
    found = [[mel for _, mel in _valid(operator, [x])] for x in range(3)]
    assert found == [[2], [1], [2]]


def test_project_reads_what_each_emission_makes():
    operator = (
        DOperator(fock(2, 2))
        .for_each_pair("i", "j")
        .where(i.index != j.index)
        .emit(hop("i", "j"), amplitude=1)
        .project(emitted("i") < emitted("j"))
        .emit(hop("j", "i"), amplitude=2)
        .build()
    )
    assert _valid(operator, [1, 1]) == [
        ([0, 2], 1),
        ([2, 0], 1),
    ]
    # [1, 1], which both would make of these, has no lesser site
    assert _valid(operator, [0, 2]) == []
    assert _valid(operator, [2, 0]) == []


def test_several_projections_are_joined():
    operator = (
        DOperator(fock(3, 1))
        .for_each_site("i")
        .project(emitted("i") > 1)
        .project(emitted("i") < 3)
        .emit(shift("i", 1))
        .build()
    )
    assert [_valid(operator, [x]) for x in range(4)] == [[], [([2.0], 1.0)], [], []]


def test_a_projection_belongs_to_its_term():
    operator = (
        DOperator(fock(1, 1))
        .for_each_site("i")
        .project(False)
        .emit(amplitude=1)
        .for_each_site("i")
        .emit(amplitude=2)
        .build()
    )
    assert _valid(operator, [0]) == [([0], 2)]


def test_parts_of_a_chain_know_their_lines():
    update = write("i", 0)
    update = update.cond(i > 0, invalidate())
    operator = DOperator(qubit(2)).for_each_site("i").emit_if(True, update).build()
    ops = list(operator.to_ir().module.walk())
    lines = {type(op): _line_of(op) for op in ops if "sym." in op.name}
    assert lines[sym.WriteOp] == 'update = write("i", 0)'
    assert lines[sym.SelectOp] == "update = update.cond(i > 0, invalidate())"
    assert lines[sym.InvalidOp] == "update = update.cond(i > 0, invalidate())"
    assert "emit_if" in lines[sym.EmitOp]


def test_rows_of_a_constant_site():
    operator = DOperator(qubit(3)).globally().emit(write(np.int8(2), 1)).build()
    assert _valid(operator, [0, 0, 0]) == [([0, 0, 1], 1)]


def test_cond_continues_from_the_steps_before():
    update = shift("i", 1).cond(i == 0, shift("i", 1), shift("i", -1)).shift("j", 1)
    term = DOperator(fock(3, 2)).for_each(("i", "j"), over=[(0, 1)])
    operator = term.emit(update).build()
    assert _valid(operator, [0, 0]) == [([2, 1], 1)]
    assert _valid(operator, [1, 0]) == [([1, 1], 1)]
