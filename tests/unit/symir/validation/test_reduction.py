"""`reduced` makes operators small that fail, and small ones still fail so."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, cast

import numpy as np
import pytest

import symir as sym
from dialects.text import parse_module
from symir.compiler.lowering import KERNEL_PIPELINE, LoweringPipeline
from symir.errors import DefinitionError, InputError, SymbolicCompilerError
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.validation import blamed_pass, error_code, reduced
from symir.validation.check import PIPELINE
from symir.validation.reduction import Size
from tests.unit.symir.compiler.test_diagnostics import MODELS
from tests.unit.symir.validation.test_planted_bugs import (
    BUGS,
    Bug,
    Planted,
    choosy,
    hopping,
    looking_up,
)

Check = Callable[[SymbolicOperator], Hashable | None]


def text_of(operator: SymbolicOperator) -> str:
    return operator.to_ir().text()


def having(*parts: str) -> Check:
    """Return the check whether a text has all of some parts."""
    return lambda one: "has it" if all(p in text_of(one) for p in parts) else None


def body(text: str) -> list[str]:
    """Return the lines inside of the only term."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines[3:] if line != "}"]


# region What is left out


def test_terms_rows_emissions_sites_values_and_claims() -> None:
    found = reduced(hopping(), having("stablehlo.sqrt"))
    assert found.text == (
        "sym.operator @hopping() space #sym.space<1 x [0]> element f64 {\n"
        "  sym.term @bonds over #sym.rows<[]> {\n"
        "  ^bb0(%x: !sym.config):\n"
        "    %0 = stablehlo.constant dense<1.000000e+00> : tensor<f64>\n"
        "    %1 = stablehlo.sqrt %0 : tensor<f64>\n"
        "    sym.emit %x, %1 : tensor<f64>\n"
        "  }\n"
        "}\n"
    )
    assert found.before == Size(terms=2, rows=8, emissions=3, ops=22, sites=4)
    assert found.after == Size(terms=1, rows=1, emissions=1, ops=3, sites=1)
    assert found.is_minimal
    assert str(found) == (
        "hopping: 2 term(s), 8 row(s), 3 emission(s), 22 op(s), 4 site(s)\n"
        "  -> 1 term(s), 1 row(s), 1 emission(s), 3 op(s), 1 site(s)\n"
        f"  fails as before (has it), after {found.checks} checks"
    )


@pytest.mark.parametrize("name", MODELS)
def test_models_become_small(name: str) -> None:
    check = having("sym.read" if "sym.read" in text_of(MODELS[name]()) else "sym.emit")
    found = reduced(MODELS[name](), check)
    assert found.is_minimal
    assert check(SymbolicOperator.from_ir(found.ir)) == found.failure
    assert (found.after.terms, found.after.rows) == (1, 1)
    assert found.after.ops < found.before.ops


def test_what_fails_needs_is_kept() -> None:
    found = reduced(choosy(), having("sym.swap", "compare", " if "))
    ops = [line.partition(" = ")[2].split()[0] for line in body(found.text)[:-1]]
    needed = ["stablehlo.compare", "stablehlo.constant", "sym.swap"]
    assert sorted(ops) == needed, found.text


def test_rows_are_found_among_many() -> None:
    rows = [(a, b) for a in range(30) for b in range(30) if a != b]
    operator = (
        sym.DOperator(sym.fock(1, 30), "many")
        .for_each(("i", "j"), over=rows, data={"w": [float(k) for k in range(870)]})
        .emit(sym.swap("i", "j"), amplitude=sym.row("w"))
        .build()
    )

    def check(one: SymbolicOperator) -> str | None:
        """Fail where two of the rows are there, by their data."""
        columns = one.to_ir().operator.terms[0].data_columns
        held = {*columns[0].values.get_values()} if columns else set[Any]()
        return "both" if {77.0, 801.0} <= held else None

    found = reduced(operator, check)
    assert found.after.rows == 2
    assert "dense<[7.700000e+01, 8.010000e+02]>" in found.text
    assert found.checks < 120
    assert found.is_minimal


def everything() -> SymbolicOperator:
    """Parameters, data, sets, promises, claims, sums and complex numbers."""
    return (
        sym.DOperator(
            sym.fock(2, 4).where_sum(3), "everything", dtype=complex, projected=True
        )
        .for_each(
            ("i", "j"),
            over=[(0, 1), (1, 2), (2, 3)],
            data={"w": [1.0, 2.0, 3.0]},
            sets={"s": [[0], [1, 2], [3]]},
        )
        .where(sym.site("i") > 0)
        .emit(
            sym.hop("i", "j"),
            amplitude=sym.row("w") * sym.symbol("t", default=2.0),
            tag="hop",
        )
        .emit(amplitude=1j * sym.sum_(sym.here, over=sym.set_("s")), tag="count")
        .fanout(3)
        .build()
    )


@pytest.mark.parametrize(
    "part",
    [
        *("projected", "sum = 3", "fanout 3", 'tag "hop"', " if %", "sym.shift"),
        *("sym.reduce", "#sym.sets", "#sym.column", '"t"', "[0, 1, 2]", "<4 x"),
    ],
)
def test_of_everything_only_that_is_kept(part: str) -> None:
    others = [
        "projected",
        "sum =",
        "fanout",
        " tag ",
        " if ",
        "sym.reduce",
        '"w"',
        '"t"',
    ]
    found = reduced(everything(), having(part))
    assert part in found.text
    assert len(found.text) < 0.5 * len(text_of(everything()))
    # A claim or a promise on its own needs nothing else of them
    for other in others:
        if other.strip() not in part and part not in ("#sym.column", "#sym.sets"):
            assert other not in found.text, found.text


def test_sites_of_several_kinds() -> None:
    space = sym.fock(1, 2) * sym.fock(2, 2)
    operator = (
        sym.DOperator(space, "mixed")
        .for_each(("i",), over=[(0,), (3,)])
        .emit(sym.shift("i", 1), amplitude=1.0)
        .build()
    )
    found = reduced(operator, having("sym.shift", "[0, 1, 2]"))
    assert "#sym.space<1 x [0, 1, 2]>" in found.text


# endregion
# region How it is looked for


def test_every_step_is_checked_on_the_text_that_would_be_written() -> None:
    texts: list[str] = []
    failing = having("sym.shift")

    def check(one: SymbolicOperator) -> Hashable | None:
        texts.append(text_of(one))
        return failing(one)

    found = reduced(hopping(), check)
    assert found.checks == len(texts)
    assert (
        found.text
        == next(text for text in reversed(texts) if "sym.shift" in text) + "\n"
    )
    for text in texts:
        SymbolicOperatorIR.from_text(text)
    # Nothing is asked for twice
    assert len({*texts}) == len(texts)


def test_it_is_deterministic() -> None:
    first, second = (reduced(hopping(), having("sym.shift")) for _ in range(2))
    assert (first.text, first.checks) == (second.text, second.checks)


def test_no_single_step_makes_it_smaller() -> None:
    found = reduced(hopping(), having("stablehlo.sqrt", "stablehlo.compare"))
    again = reduced(found.ir, having("stablehlo.sqrt", "stablehlo.compare"))
    assert again.text == found.text


def test_the_failure_stays_the_same() -> None:
    """An operator that fails in another way is not the one that is looked for."""

    def check(one: SymbolicOperator) -> str | None:
        return "many" if len(one.terms) == 2 else "few"

    found = reduced(hopping(), check)
    assert found.failure == "many"
    assert found.after.terms == 2


def test_a_check_may_answer_by_true_and_false() -> None:
    for no in (False, np.False_):
        with pytest.raises(InputError, match="C070"):
            reduced(hopping(), lambda _, no=no: no)
    found = reduced(hopping(), lambda one: "sym.shift" in text_of(one))
    assert found.failure is True
    assert "sym.shift" in found.text
    assert found.text == reduced(hopping(), having("sym.shift")).text


def test_a_check_that_raises_on_the_way_has_found_another_failure() -> None:
    def check(one: SymbolicOperator) -> str:
        if len(one.terms) < 2:
            raise ZeroDivisionError
        return "two"

    assert reduced(hopping(), check).after.terms == 2
    with pytest.raises(ZeroDivisionError):
        reduced(hopping(), lambda _: 1 // 0)


def test_checks_are_bounded() -> None:
    steps: list[tuple[int, Size]] = []
    found = reduced(
        hopping(),
        having("stablehlo.sqrt"),
        checks=3,
        progress=lambda done, size: steps.append((done, size)),
    )
    assert found.checks == 3
    assert not found.is_minimal
    assert "too few" in str(found)
    assert "stablehlo.sqrt" in found.text
    assert steps == [(3, found.after)]


def test_bad_arguments() -> None:
    with pytest.raises(InputError) as nothing:
        reduced(hopping(), having("sym.reduce"))
    assert nothing.value.code == "C070"
    assert nothing.value.operator == "hopping"
    for checks in (0, -1, True, 1.5, None):
        with pytest.raises(InputError) as caught:
            reduced(hopping(), having("sym.emit"), checks=cast("Any", checks))
        assert caught.value.code == "C071"


# endregion
# region Failures


def pipeline_with(bug: Bug) -> LoweringPipeline:
    """Return the passes down to one with a bug in it."""
    kernel = KERNEL_PIPELINE.format(batch=16, state="i8")
    passes = list(LoweringPipeline.parse(f"{PIPELINE},{kernel}"))
    places = [n for n, one in enumerate(passes) if one.name == bug.pass_name]
    place = places[bug.occurrence]
    passes[place] = Planted(passes[place], bug.plant)
    return LoweringPipeline(passes[: place + 1])


@pytest.mark.parametrize(
    ("name", "rows", "most_ops"),
    [
        ("fusion loses the order of rows", 2, 4),
        ("undefined values are not guarded", 1, 5),
        ("the guard of the space is forgotten", 1, 7),
    ],
)
def test_bugs_of_passes(name: str, rows: int, most_ops: int) -> None:
    bug = BUGS[name]
    check = blamed_pass(pipeline=pipeline_with(bug), samples=16)
    found = reduced(bug.operator(), check)
    assert found.failure == f"another {bug.what} after {bug.pass_name}"
    assert check(SymbolicOperator.from_ir(found.ir)) == found.failure
    assert (found.after.terms, found.after.rows, found.after.emissions) == (1, rows, 1)
    assert found.after.ops <= most_ops, found.text
    assert found.is_minimal


def test_a_pass_that_fails() -> None:
    check = blamed_pass(pipeline="convert-sym-to-bt")
    found = reduced(hopping(), check)
    assert found.failure == "C002 in convert-sym-to-bt"
    assert found.after == Size(terms=1, rows=1, emissions=1, ops=3, sites=1)
    assert "sym.shift" in found.text


def test_parameters_that_are_left_out() -> None:
    """The values of parameters are given by name, also those that are gone."""
    check = blamed_pass(parameters={"V": 0.5}, pipeline="convert-sym-to-bt")
    found = reduced(hopping(), check)
    assert '"V"' not in found.text


def test_errors_of_any_function() -> None:
    def run(one: SymbolicOperator) -> None:
        if "sym.shift" in text_of(one):
            raise SymbolicCompilerError("C002", "no shifts", pass_name="own")
        if len(one.terms) == 1:
            raise ZeroDivisionError

    assert error_code(run)(hopping()) == "C002 in own"
    assert error_code(run)(looking_up()) == "ZeroDivisionError"
    assert error_code(lambda one: None)(hopping()) is None
    found = reduced(hopping(), error_code(run))
    assert found.failure == "C002 in own"
    parse_module(found.text)


def test_an_invalid_text_is_not_even_tried() -> None:
    with pytest.raises(DefinitionError):
        reduced(SymbolicOperatorIR.from_text("sym.operator"), having(""))


# endregion
