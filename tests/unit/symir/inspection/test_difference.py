"""Structural differences: between stages, texts and operators."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest

import symir as sym
from symir import models
from symir.operator.ir import fingerprint
from tests.unit.symir.compiler.test_diagnostics import CHAIN, MODELS
from tests.unit.symir.inspection.handles import handle, ising, operator

LEVELS = ("sym", "bt", "stablehlo")

_CONSTANT = re.compile(r"constant dense<(-?\d\.\d+e[+-]\d+)> : tensor<f")


def with_another_constant(text: str) -> tuple[str, int] | None:
    """Return a text with its first number changed, and the line of that."""
    found = _CONSTANT.search(text)
    if found is None:
        return None
    changed = f"{text[: found.start(1)]}4.375000e+00{text[found.end(1) :]}"
    return changed, text.count("\n", 0, found.start()) + 1


@pytest.mark.parametrize("name", MODELS)
def test_texts_that_differ_by_one_constant_differ_by_it_alone(name: str) -> None:
    tried = 0
    for level in LEVELS:
        text = handle(name).at(level).text
        changed = with_another_constant(text)
        if changed is None:
            continue
        # As texts alone; with the stage itself, which need not be parsed again, below
        before = text if level == "sym" else handle(name)
        found = sym.diff(before, changed[0], level)
        (change,) = found
        assert (change.kind, change.op.name) == ("rewritten", "stablehlo.constant")
        assert len(change.details) == 1
        assert change.details[0].endswith("-> 4.375")
        assert found.lanes == ()
        (origin,) = [one for one in change.origins if one.location is not None]
        assert origin.location is not None
        assert origin.location.line == changed[1]
        assert len(str(found).splitlines()) == 2
        tried += 1
    assert tried


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_different_from_itself(name: str) -> None:
    lowered = handle(name)
    for level in LEVELS:
        found = lowered.diff(level, level)
        assert not found
        assert (len(found), found.moved) == (0, 0)
        assert "no op is different" in str(found)
    assert not sym.diff(lowered.at("bt").text, lowered, "bt")
    assert not sym.diff(operator(name), operator(name).to_ir().text())


@pytest.mark.parametrize("name", MODELS)
def test_what_every_pass_did(name: str) -> None:
    lowered = handle(name)
    marks = [fingerprint(one.module) for one in lowered.stages]
    for before, after in pairwise(lowered.stages):
        found = lowered.diff(before.number, after.number)
        is_same = marks[before.number] == marks[after.number]
        assert is_same == (not found and not found.moved)
        assert len(found.added) - len(found.removed) == (
            sum(1 for _ in after.module.walk()) - sum(1 for _ in before.module.walk())
        )
        json.dumps(found.as_dict())


def test_a_pass_is_seen_with_the_lines_that_it_was_for() -> None:
    lowered = sym.lower(ising(), coalesce="static")
    found = lowered.diff("bt", "bt-coalesce-static")
    assert found.first == "bt"
    assert re.fullmatch(r"bt-coalesce-static \(\d+\)", found.second)
    summed = lowered.diff("bt-prune", "bt-coalesce-diagonal")
    assert [str(one) for one in summed.lanes] == ["bonds term: 4 -> 1 lanes (-3)"]
    (reduce,) = [one for one in summed.added if one.op.name == "bt.reduce"]
    assert reduce.as_dict()["terms"] == ["bonds"]
    file, line = reduce.as_dict()["location"]
    assert file.endswith("handles.py")
    assert f"(term bonds, at {file}:{line})" in str(reduce)
    assert all(one.op.name != "bt.gather" for one in summed.added)


def test_a_term_that_was_added_is_named_with_its_lanes() -> None:
    def j1(*others: tuple[int, int]) -> sym.SymbolicOperator:
        z = sym.site("i").value * sym.site("j").value
        built = (
            sym.DOperator(sym.spin(0.5, 128), "chain")
            .for_each(("i", "j"), over=[(n, (n + 1) % 128) for n in range(128)])
            .named("J1")
            .emit(amplitude=z)
        )
        if others:
            built = built.for_each(("i", "j"), over=others).named("J2")
            built = built.emit(amplitude=0.5 * z)
        return built.build()

    both = j1(*((n, (n + 2) % 128) for n in range(128)))
    for level in LEVELS:
        found = sym.diff(j1(), both, level)
        assert [str(one) for one in found.lanes] == ["J2 term added: +128 lanes"]
        back = sym.diff(both, j1(), level)
        assert [str(one) for one in back.lanes] == ["J2 term removed: -128 lanes"]
    found = sym.diff(j1(), both)
    assert "J2 term added: +128 lanes" in str(found)
    assert (len(found.removed), len(found.rewritten)) == (0, 0)
    assert {one.as_dict()["terms"][0] for one in found.added} == {"J2"}
    assert "sym.term @J2" in {one.after for one in found.added}


def test_operators_are_compared_at_any_level() -> None:
    other = models.transverse_field_ising(4, CHAIN, J=0.75, h=sym.symbol("h", 0.25))
    for level in (*LEVELS, "convert-sym-to-bt", 3):
        found = sym.diff(ising(), other, level, coalesce="static")
        values = [one for one in found if one.op.name == "stablehlo.constant"]
        assert found.changes == tuple(values)
        assert [one.details for one in values] == [("value 0.5 -> 0.75",)]
        assert [one.as_dict()["terms"] for one in values] == [["bonds"]]


TEXT = """
func.func @f(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32> {
  %c = stablehlo.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %d = stablehlo.subtract %a, %b : tensor<f32>
  %e = stablehlo.multiply %a, %b : tensor<f32>
  %g = stablehlo.add %d, %e : tensor<f32>
  func.return %g : tensor<f32>
}
"""


def changes(old: str, new: str) -> list[str]:
    assert old in TEXT
    found = sym.diff(TEXT, TEXT.replace(old, new))
    return [str(one).partition("  (")[0] for one in found]


def test_names_and_places_of_ops_do_not_count() -> None:
    assert changes("%d", "%difference") == []
    first, second = TEXT.splitlines()[3:5]
    moved = sym.diff(TEXT, TEXT.replace(f"{first}\n{second}", f"{second}\n{first}"))
    assert not moved
    assert moved.moved == 1
    assert str(moved).endswith("no op is different, 1 in another order")


def test_operands_attributes_names_and_types() -> None:
    assert changes("subtract %a, %b", "subtract %b, %a") == [
        "~ stablehlo.subtract: operand 0 %a -> %b; operand 1 %b -> %a"
    ]
    assert changes("[1.0, 2.0, 3.0]", "[1.0, 2.5, 3.0]") == [
        "~ stablehlo.constant: value of 3 float32: [1] 2.0 -> 2.5"
    ]
    assert changes("[1.0, 2.0, 3.0]> : tensor<3xf32>", "[1.0]> : tensor<1xf32>") == [
        "~ stablehlo.constant: value 3 float32 -> 1 float32: -[1] 2.0, -[2] 3.0; "
        "type tensor<3xf32> -> tensor<1xf32>"
    ]
    assert changes("stablehlo.multiply", "stablehlo.divide") == [
        "~ stablehlo.divide: it was stablehlo.multiply"
    ]
    assert changes("add %d, %e", "add %d, %d") == [
        "~ stablehlo.add: operand 1 %e (stablehlo.multiply) -> %d (stablehlo.subtract)"
    ]
    assert changes("  %g =", "  %n = stablehlo.negate %d : tensor<f32>\n  %g =") == [
        "+ %n = stablehlo.negate %d : tensor<f32>"
    ]


def test_zero_has_a_sign_and_nan_is_like_itself() -> None:
    assert changes("[1.0, 2.0, 3.0]", "[-0.0, 2.0, 3.0]") != []
    nan = TEXT.replace("[1.0,", "[0x7FC00000,")
    assert not sym.diff(nan, nan)
    assert sym.diff(TEXT.replace("[1.0,", "[0.0,"), TEXT.replace("[1.0,", "[-0.0,"))


def test_rows_that_differ_are_shown() -> None:
    def pairs(*rows: tuple[int, int]) -> sym.SymbolicOperator:
        built = sym.DOperator(sym.qubit(5), "pairs").for_each(("i", "j"), over=rows)
        return built.emit(sym.swap("i", "j")).build()

    (change,) = sym.diff(pairs((0, 1), (1, 2)), pairs((0, 1), (1, 4)))
    assert change.details == ("rows of 2 x 2 int32: [1, 1] 2 -> 4",)


RING = [(n, (n + 1) % 20) for n in range(20)]


def ring(
    rows: Sequence[tuple[int, int]] = RING,
    name: str = "J1",
    data: dict[int, float] | None = None,
    factor: float = 0.25,
) -> sym.SymbolicOperator:
    """An operator with data in a column, 1 but for some rows."""
    column = [(data or {}).get(n, 1.0) for n in range(len(rows))]
    z = sym.site("i").value * sym.site("j").value
    return (
        sym.DOperator(sym.spin(0.5, 20), "ring")
        .for_each(("i", "j"), over=rows, data={"J": column})
        .named(name)
        .emit(amplitude=factor * sym.row("J") * z)
        .build()
    )


def test_a_row_in_the_middle_is_the_only_one() -> None:
    more = [*RING[:7], (3, 9), *RING[7:]]
    (change,) = sym.diff(ring(), ring(more))
    assert change.details[0] == "rows 20 x 2 int32 -> 21 x 2 int32: +[7] [3, 9]"
    (change,) = sym.diff(ring(more), ring())
    assert change.details[0] == "rows 21 x 2 int32 -> 20 x 2 int32: -[7] [3, 9]"
    tables = [one.details[0] for one in sym.diff(ring(), ring(more), "bt").rewritten]
    assert "value 20 int32 -> 21 int32: +[7] 3" in tables
    assert "value 20 int32 -> 21 int32: +[7] 9" in tables


def test_many_rows_are_counted() -> None:
    (change,) = sym.diff(ring(RING[:10]), ring())
    assert change.details[0].endswith("+[13] [13, 14], and 6 more")


def test_tables_in_lists_are_compared() -> None:
    (change,) = sym.diff(ring(), ring(data={13: 2.5}))
    assert change.details == ('columns [0] "J" of 20 float64: [13] 1.0 -> 2.5',)
    text = ising().to_ir().text()
    (change,) = sym.diff(text, text.replace("dense<2.5", "dense<3.5"))
    assert change.details == ("defaults [0] 0.25 -> 0.35",)


def test_a_term_that_was_renamed_is_the_same_term() -> None:
    (change,) = sym.diff(ring(), ring(name="K"))
    assert change.details == ('sym_name "J1" -> "K"',)
    renamed = sym.diff(ring(), ring(name="K", factor=0.5))
    assert [one.details for one in renamed] == [
        ('sym_name "J1" -> "K"',),
        ("value 0.25 -> 0.5",),
    ]


def test_a_term_with_other_rows_and_another_name_is_another_term() -> None:
    other = sym.diff(ring(), ring(RING[:4], name="K"))
    assert not other.rewritten
    assert len(other.added) == len(other.removed)


def test_a_long_difference_is_cut() -> None:
    found = sym.diff(handle("u1_gauge"), handle("tfim"), "stablehlo")
    assert len(found) > 50
    assert str(found).endswith(f"... {len(found) - 40} more")
    assert len(found.as_dict()["changes"]) == len(found)


def test_many_terms_are_compared() -> None:
    def many(changed: int | None = None) -> sym.SymbolicOperator:
        built = sym.DOperator(sym.spin(0.5, 4), "many")
        for n in range(300):
            factor = 9.0 if n == changed else 1.0 + n % 5
            built = built.for_each("i", over=[(n % 4,)]).emit(
                amplitude=factor * sym.site("i").value
            )
        return built.build()

    (change,) = sym.diff(many(), many(177))
    assert change.details == ("value 3.0 -> 9.0",)
    assert change.as_dict()["terms"] == ["term177"]
