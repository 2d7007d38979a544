"""Diagnostics: each fires where it should, on the user's line, and nowhere else."""

from __future__ import annotations

import functools
import importlib.util
import json
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import branches
from symir import models
from symir.compiler import OPERATOR_PIPELINE
from symir.compiler.diagnostics import Diagnostic
from symir.errors import SourceLocation
from symir.tools.explain import explanation

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "diagnostics.md"
CASES = re.findall(
    r"^### (W\d+).*?\((.*?)\)$.*?^```python\n(.*?)^```$",
    PAGE.read_text(),
    re.MULTILINE | re.DOTALL,
)

i, j = sym.site("i"), sym.site("j")


def run(source: str) -> sym.SymbolicOperator:
    namespace: dict[str, Any] = {"__name__": "__main__", "sym": sym, "i": i, "j": j}
    exec(compile(source, "reproducer.py", "exec"), namespace)
    return namespace["op"]


def findings(operator: sym.SymbolicOperator, **options: bool) -> list[Diagnostic]:
    """Return what is found but for W020: most operators here are diagonal."""
    return [one for one in operator.diagnostics(**options) if one.code != "W020"]


def codes(operator: sym.SymbolicOperator, **options: bool) -> set[str]:
    return {one.code for one in findings(operator, **options)}


def on(space: sym.Space) -> sym.DOperator:
    return sym.DOperator(space, "op").for_each_site("i")


# ---- what fires ----


@pytest.mark.parametrize(
    ("code", "severity", "source"), CASES, ids=[code for code, _, _ in CASES]
)
def test_a_code_has_a_reproducer(code: str, severity: str, source: str) -> None:
    operator = run(source)
    found = [d for d in operator.diagnostics() if d.code == code]
    lines = enumerate(source.splitlines(), 1)
    (line,) = (number for number, text in lines if f"# {code}" in text)
    assert {d.location for d in found} == {SourceLocation("reproducer.py", line)}
    assert found[0].severity in severity
    assert found[0].operator == operator.name
    assert str(found[0]).startswith(f"[{code}] {found[0].severity}: ")
    assert f"at:       reproducer.py:{line}" in str(found[0])
    assert json.loads(json.dumps(found[0].as_dict()))["location"][1] == line
    # Nothing else is wrong with it, and it compiles, if a claim is believed
    serious = {d.code for d in operator.diagnostics() if d.severity != "note"}
    assert serious <= {code}
    options = {"backend_preference": "reference", "strict_validation": code != "W017"}
    sym.SymbolicCompiler().compile(operator, options)


def test_every_code_has_one() -> None:
    listed = re.findall(r"^\| (W\d+) \|", (ROOT / "docs/errors.md").read_text(), re.M)
    assert [code for code, _, _ in CASES] == listed
    assert len(listed) == 20


NEGATED: dict[str, Callable[[], sym.DOperator]] = {
    "a guard excludes it": lambda: (
        on(sym.fock(2, 3))
        .where(i.value > 0)
        .emit(amplitude=1 / i.value + sym.log(i.value) + sym.sqrt(i.value - 1))
    ),
    "a choice excludes it": lambda: on(sym.fock(2, 3)).emit(
        amplitude=sym.where(i.value > 0, 1 / i.value, 0.0)
    ),
    "x' leaves the space there": lambda: on(sym.fock(2, 3)).emit(
        sym.shift("i", 1), amplitude=1 / (2 - i.value)
    ),
    "a parameter decides": lambda: on(sym.fock(2, 3)).emit(
        amplitude=1 / (i.value - sym.symbol("h", 1.0))
    ),
    "another parameter decides": lambda: (
        on(sym.fock(2, 3))
        .where(i.value > sym.symbol("h", 1.0))
        .emit(amplitude=1 / i.value)
    ),
    "rows without such a site": lambda: (
        sym.DOperator(sym.space([(0.0, 1.0), (1.0, 2.0)]), "op")
        .for_each("i", over=[1])
        .emit(amplitude=1 / i.value)
    ),
}


@pytest.mark.parametrize("name", NEGATED)
def test_what_cannot_happen_is_not_reported(name: str) -> None:
    assert codes(NEGATED[name]().build()) <= {"W004"}


def test_undefined_numbers_are_those_of_the_interpreter() -> None:
    operator = on(sym.fock(3, 1)).emit(amplitude=1 / (i.value - 2)).build()
    (found,) = findings(operator)
    assert (found.code, found.found) == ("W007", "for x_i = 2 at i = 0")
    (branch,) = branches(operator.to_ir().module, np.array([2]))
    assert not np.isfinite(branch.amplitude)


def test_a_divisor_that_vanishes_whatever_the_parameter_is() -> None:
    amplitude = 1 / (sym.symbol("h", 1.0) * i.value)
    assert codes(on(sym.fock(2, 2)).emit(amplitude=amplitude).build()) == {"W007"}


def test_in_a_constrained_space_it_is_a_note() -> None:
    space = sym.fock(2, 2, n_particles=4)
    operator = on(space).emit(amplitude=1 / i.value).build()
    assert [(d.code, d.severity) for d in findings(operator)] == [("W007", "note")]


def test_a_guard_that_stays_shows_the_offending_values() -> None:
    operator = on(sym.fock(2, 2)).emit(sym.shift("i", 1)).build()
    (found,) = operator.diagnostics()
    assert found.found == "writes 3 to i for x_i = 2 at i = 0"
    inside = on(sym.fock(2, 2)).where(i.value < 2).emit(sym.shift("i", 1)).build()
    assert inside.diagnostics() == ()


def test_the_part_of_the_predicate_that_excludes_the_rest() -> None:
    builder = on(sym.fock(2, 2)).where(i.value > 0)
    builder.where(i.value > 1).where(i.value < 2)
    operator = builder.emit(amplitude=i.value).build()
    here = [d.location.line for d in findings(operator) if d.location]
    lines = Path(__file__).read_text().splitlines()
    assert ["where(i.value < 2)" in lines[line - 1] for line in here] == [True]


def test_a_fanout_that_some_x_breaks_is_found_thoroughly() -> None:
    def promising(lanes: int) -> sym.SymbolicOperator:
        builder = on(sym.qubit(4)).where(i.value > 0).fanout(lanes)
        return builder.emit(sym.flip("i")).build()

    assert codes(promising(3)) == set()
    (found,) = promising(3).diagnostics(thorough=True)
    assert (found.code, found.severity) == ("W018", "error")
    assert "4 valid branches for x = [1, 1, 1, 1]" in str(found.found)
    fixed = sym.fock(1, 4, n_particles=1)
    one = on(fixed).where(i.value > 0).fanout(2).emit(amplitude=i.value).build()
    assert codes(one, thorough=True) == {"W019"}


def test_different_terms_and_emissions_are_not_the_same() -> None:
    builder = on(sym.qubit(3)).emit(amplitude=i.value).for_each("i", over=[0, 2, 1])
    builder.emit(amplitude=i.value).for_each_site("i").emit(amplitude=2 * i.value)
    builder.emit(sym.flip("i")).for_each_site("i").where(i.value > 0).emit()
    assert codes(builder.build()) == set()


def separate_diagonal(diagonal: int, others: int, **fanout: int) -> list[str]:
    """Return what W020 finds of an operator with so many lanes of each kind."""
    sites = range(max(diagonal, others, 1))
    builder = sym.DOperator(sym.qubit(len(sites)), "op")
    if diagonal:
        builder = builder.for_each("i", over=sites[:diagonal])
        if fanout:
            builder = builder.fanout(fanout["fanout"])
        builder = builder.emit(amplitude=i.value)
    if others:
        builder = builder.for_each("i", over=sites[:others]).emit(sym.flip("i"))
    found = builder.build().diagnostics()
    return [str(one.found) for one in found if one.code == "W020"]


def test_lanes_that_could_be_one_are_a_fifth_of_all_at_least() -> None:
    assert separate_diagonal(2, 3) == ["2 of 5 lanes have x' = x: 4 would be left"]
    assert separate_diagonal(2, 4) == []
    assert separate_diagonal(1, 0) == []
    assert separate_diagonal(1, 1) == []
    assert separate_diagonal(0, 4) == []
    assert separate_diagonal(4, 0) == ["4 of 4 lanes have x' = x: 1 would be left"]
    assert separate_diagonal(4, 1, fanout=1) == []
    assert separate_diagonal(4, 1, fanout=3) == [
        "3 of 4 lanes have x' = x: 2 would be left"
    ]


def test_lanes_of_a_fanout_with_updates_are_not_known_to_be_diagonal() -> None:
    builder = on(sym.qubit(4)).where(i.value > 0).fanout(4)
    operator = builder.emit(amplitude=i.value).emit(sym.flip("i")).build()
    assert operator.diagnostics() == ()


# ---- compiling ----


@pytest.mark.parametrize(
    ("options", "is_said"),
    [
        ({}, True),
        ({"coalesce": "diagonal"}, False),
        ({"backend_preference": "reference"}, False),
        ({"lowering": f"{OPERATOR_PIPELINE},bt-coalesce-diagonal"}, False),
    ],
)
def test_lanes_that_are_summed_are_not_reported(
    options: dict[str, str], is_said: bool
) -> None:
    operator = models.transverse_field_ising(4, CHAIN)
    assert [one.code for one in operator.diagnostics()] == ["W020"]
    artifact = sym.SymbolicCompiler().compile(operator, options)
    found = artifact.pass_reports[2].metadata["diagnostics"]
    assert [one.code for one in found] == ["W020"] * is_said


def test_a_compilation_reports_them() -> None:
    operator = run(CASES[0][2])
    compiler = sym.SymbolicCompiler()
    artifact = compiler.compile(operator, {"backend_preference": "reference"})
    (report,) = (
        one for one in artifact.pass_reports if one.pass_name == "symbolic_diagnostics"
    )
    assert report.metadata["diagnostics"] == tuple(findings(operator))
    manifest = json.loads(json.dumps(artifact.manifest()))
    shown = [line for line in explanation(manifest) if "W001" in line]
    assert len(shown) == 1
    assert shown[0].startswith("  reproducer.py:4: warning W001: term0/emit0: ")


def test_levels() -> None:
    corner = functools.reduce(operator.and_, [sym.site(s) == 1 for s in range(12)])
    rare = sym.DOperator(sym.qubit(12), "rare", hermitian=True).globally()
    rare = rare.where(corner).emit(sym.write(0, 0)).build()

    def reported(level: str) -> set[str]:
        options = {"diagnostics": level, "backend_preference": "reference"}
        artifact = sym.SymbolicCompiler().compile(rare, options)
        return {one.code for one in artifact.pass_reports[2].metadata["diagnostics"]}

    assert reported("off") == set()
    assert reported("cheap") == set()
    assert reported("thorough") == {"W017"}


def test_they_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = run(CASES[0][2])
    found = operator.diagnostics()
    monkeypatch.setattr("symir.compiler.diagnostics._diagnose", None)
    assert operator.diagnostics() is found


def test_equal_operators_keep_their_own_lines() -> None:
    source = CASES[0][2]
    first, second = run(source), run("\n" + source)
    assert first.to_ir() == second.to_ir()
    places = [one.diagnostics()[0].location for one in (first, second)]
    assert [place.line for place in places if place] == [4, 5]


# ---- nothing serious on what is right ----

CHAIN = [(k, (k + 1) % 4) for k in range(4)]
LONG = [(k, (k + 1) % 12) for k in range(12)]
MODELS: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "tfim": lambda: models.transverse_field_ising(4, CHAIN),
    "tfim, long": lambda: models.transverse_field_ising(12, LONG),
    "xxz": lambda: models.xxz(4, CHAIN),
    "heisenberg": lambda: models.heisenberg(4, CHAIN),
    "heisenberg, long": lambda: models.heisenberg(12, LONG),
    "heisenberg, fixed": lambda: models.heisenberg(sym.spin(0.5, 4, 0), CHAIN),
    "j1_j2": lambda: models.j1_j2(4, (CHAIN, [(0, 2), (1, 3)])),
    "bose_hubbard": lambda: models.bose_hubbard(sym.fock(3, 4), CHAIN),
    "bose_hubbard, hard core": lambda: models.bose_hubbard(sym.fock(1, 4), CHAIN),
    "fermi_hubbard": lambda: models.fermi_hubbard(4, CHAIN),
    "t_j": lambda: models.t_j(4, CHAIN),
    "pxp": lambda: models.pxp(4, CHAIN),
    "toric_code": lambda: models.toric_code(8, (2, 2)),
    "z2_gauge": lambda: models.z2_gauge(8, (2, 2)),
    "u1_gauge": lambda: models.u1_gauge(8, (2, 2)),
    "potts": lambda: models.potts(sym.fock(2, 4), CHAIN),
    "clock": lambda: models.clock(sym.fock(3, 4), CHAIN),
}


def serious(operator: sym.SymbolicOperator, **options: bool) -> list[str]:
    found: tuple[Diagnostic, ...] = operator.diagnostics(**options)
    return [str(one) for one in found if one.severity != "note"]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_wrong_with_the_models(name: str) -> None:
    operator = MODELS[name]()
    assert serious(operator) == []
    if operator.space.size <= 4:
        assert serious(operator, thorough=True) == []


EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_is_wrong_with_the_examples(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    operators = [
        value
        for value in vars(module).values()
        if isinstance(value, sym.SymbolicOperator)
    ]
    assert operators
    assert [serious(one) for one in operators] == [[]] * len(operators)
