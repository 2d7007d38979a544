"""What the explorer says is true: lines, origins, branches, lattices, sizes."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections
from lowering.change.analyse_change import form_on
from lowering.change.known_rules import RULES
from symir.compiler.lowering import LoweringPipeline, run_passes
from symir.explorer.connections import connected
from symir.explorer.data import page_data
from symir.explorer.lattice import bonds_of, layout_of
from symir.explorer.texts import Lines, Origins, located_lines
from symir.explorer.writing import explored
from symir.plain_text import elided_constants
from tests.unit.symir.compiler.test_diagnostics import MODELS
from tests.unit.symir.explorer import operators

each_model = pytest.mark.parametrize("name", MODELS)


@cache
def lowered(name: str) -> tuple[sym.SymbolicOperator, Any, dict[str, Any]]:
    """Return a model, its handle, and what is told of it."""
    operator = MODELS[name]()
    handle = sym.lower(operator)
    return operator, handle, page_data(handle)


def members(data: dict[str, Any], number: int) -> list[Any]:
    """Return the origins in a set."""
    runs = data["sets"][number]
    pairs = zip(runs[::2], runs[1::2], strict=True)
    return [data["origins"][k] for first, n in pairs for k in range(first, first + n)]


# ---- lines and where they come from ----


@each_model
def test_every_stage_is_told_line_by_line(name: str) -> None:
    _, handle, data = lowered(name)
    assert data["notes"] == []
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    for stage, told in zip(handle.stages, data["stages"], strict=True):
        texts = [data["texts"][number] for number in told["lines"]]
        plain = [op.name for op in stage.module.walk()][1:]
        assert told["ops"] == len(plain)
        shown = "\n".join(texts)
        assert all(op in shown for op in plain)
        assert len(told["sets"]) == len(texts)
    for before, after in pairwise(data["stages"]):
        assert after["changed"] is (before["lines"] != after["lines"])


@each_model
def test_lines_of_emissions_lead_to_their_terms_at_all_levels(name: str) -> None:
    _, _, data = lowered(name)
    for number, term in enumerate(data["terms"]):
        (own,) = {one[0] for one in members(data, term["origins"])}
        assert own == number
        for stage in (data["stages"][k] for k in data["levels"].values()):
            known = {
                one[0]
                for line in set(stage["sets"]) - {-1}
                for one in members(data, line)
            }
            assert number in known, stage["name"]


def test_a_line_belongs_to_its_op() -> None:
    module = operators.tfim().to_ir().module
    lines, owners = located_lines(module)
    assert "\n".join(lines) == elided_constants(str(module))
    for line, op in zip(lines, owners, strict=True):
        assert op is not None
        if line.strip(" }") and "^bb" not in line:
            assert op.name in line


def test_operators_from_a_file_have_terms_too() -> None:
    text = operators.tfim().to_ir().text()
    data = page_data(sym.parse(text, file="tfim.mlir"))
    whole = page_data(sym.lower(text))
    for term in data["terms"]:
        assert members(data, term["origins"])
    lowered = whole["stages"][whole["levels"]["bt"]]
    terms = {one[0] for k in set(lowered["sets"]) - {-1} for one in members(whole, k)}
    assert {0, 1} <= terms


def test_long_stages_lose_their_middle() -> None:
    module = operators.one_by_one(40).to_ir().module
    operator: Any = module.body.block.first_op
    lines = Lines(Origins.of(operator), 30)
    told = lines.of(module)
    whole, _ = located_lines(module)
    texts = [lines.texts[k] for k in told["lines"]]
    assert len(texts) == len(told["sets"]) == 30
    assert "notes" not in told
    terms = {op: k for k, op in enumerate(operator.terms)}
    beside = lines.of(module, terms)["notes"]
    noted = {k: text for k, text in zip(beside, texts, strict=True) if k >= 0}
    assert len(noted) < len(terms)
    for k, text in noted.items():
        assert f"@{operator.terms[k].sym_name.data} " in text
    assert texts[: told["cut"]] == whole[: told["cut"]]
    assert texts[told["cut"] :] == whole[told["cut"] + told["left_out"] :]


# ---- branches ----


@each_model
def test_branches_are_those_of_the_reference(name: str) -> None:
    operator, *_ = lowered(name)
    ir, x = operator.to_ir(), operator.space.random_states(3, 1)
    x = x.astype(operator.space.default_dtype())
    values = ir.bind(otherwise=1.0)
    found = connected(ir, x, values)
    xp, elements = connections(ir.module, x, values)
    # Of models with many terms lanes may have changed places
    places = {term.name: k for k, term in enumerate(operator.terms)}
    order = sorted(
        range(len(found.origins)),
        key=lambda k: (
            places[found.origins[k].term],
            found.origins[k].row,
            found.origins[k].emission,
        ),
    )
    for sample in range(len(x)):
        for lane, own in enumerate(order):
            dense = x[sample].astype(float)
            for site, value in found.changes(sample, own).items():
                assert dense[site] != value
                dense[site] = value
            np.testing.assert_array_equal(dense, xp[sample, lane])
            assert found.elements[sample, own] == pytest.approx(elements[sample, lane])


def test_samples_tell_changes_and_elements() -> None:
    data = page_data(sym.lower(operators.tfim()), x=[[1, 1, 1, 1, -1, 1, 1, 1]])
    (sample,) = data["samples"]["samples"]
    numbers = [data["samples"]["numbers"][k] for k in sample["elements"]]
    assert numbers == ["1", "1", "1", "-1", "-1", "1", "1", "1", *["-1"] * 8]
    assert sample["changes"]["12"] == [4, 1]
    assert sample["changes"]["8"] == [0, -1]
    assert data["samples"]["lane_terms"] == [0] * 8 + [1] * 8


def test_what_is_left_open_is_said() -> None:
    op = (
        sym.DOperator(sym.spin(0.5, 4), "open")
        .for_each_site("i")
        .emit(amplitude=sym.symbol("g"))
        .build()
    )
    data = page_data(sym.lower(op))
    assert data["notes"] == ["without a default, and 1 here: g"]
    assert data["samples"]["numbers"] == ["1"]


def test_many_rows_and_terms_are_small() -> None:
    def size(operator: sym.SymbolicOperator) -> int:
        data = explored(operator)
        assert len(data["samples"]["lane_terms"]) == operator.max_conn_size
        return len(json.dumps(data))

    assert size(operators.tfim(10_000)) < 2_500_000
    assert size(operators.one_by_one(100)) < 250_000


def test_a_wrong_configuration_has_its_error(tmp_path: Path) -> None:
    operator, path = operators.tfim(), tmp_path / "page.html"
    for wrong, code in (
        ([1, 1], "S007"),
        ([0] * 8, "R007"),
        (["a"] * 8, "S008"),
        ([], "S007"),
        (1.0, "S007"),
        ([[]], "S007"),
    ):
        with pytest.raises(sym.InputError, match="tfim") as info:
            sym.explore(operator, path, x=wrong)
        assert info.value.code == code
        assert info.value.location is not None
        assert info.value.location.file == __file__
    assert not path.exists()


# ---- lattices ----


def grid(width: int, height: int) -> list[tuple[int, int]]:
    along = [(k, k + 1) for k in range(width * height) if (k + 1) % width]
    return along + [(k, k + width) for k in range(width * (height - 1))]


LATTICES = {
    "ring": (8, operators.ring(8), "ring"),
    "ring with second neighbours": (
        *(9, operators.ring(9) + [(k, (k + 2) % 9) for k in range(9)]),
        "ring",
    ),
    "chain": (6, [(k, k + 1) for k in range(5)], "chain"),
    "long chain": (40, [(k, k + 1) for k in range(39)], "chain"),
    "torus": (16, operators.square(4), "square"),
    "grid": (15, grid(5, 3), "square"),
    "grid with diagonals": (
        *(15, grid(5, 3) + [(k, k + 6) for k in (0, 1, 2, 3, 5, 6, 7, 8)]),
        "square",
    ),
    "star": (6, [(0, k) for k in range(1, 6)], "graph"),
    "all pairs": (40, [(a, b) for b in range(40) for a in range(b)], "circle"),
    "all pairs of few": (8, [(a, b) for b in range(8) for a in range(b)], "circle"),
    "no bonds": (5, [], "circle"),
    "one site": (1, [], "circle"),
    "two sites": (2, [(0, 1)], "chain"),
}


@pytest.mark.parametrize("name", LATTICES)
def test_lattices_are_recognised(name: str) -> None:
    sites, bonds, kind = LATTICES[name]
    pairs = np.unique(np.sort(np.reshape(bonds, (-1, 2)), axis=1), axis=0).astype(int)
    layout = layout_of(sites, pairs)
    assert layout.kind == kind
    assert layout.positions.shape == (sites, 2)
    apart = layout.positions[:, None] - layout.positions[None]
    distances = np.linalg.norm(apart, axis=2) + 9 * np.eye(sites)
    assert distances.min() > 0.7
    np.testing.assert_array_equal(layout_of(sites, pairs).positions, layout.positions)


def test_neighbours_are_one_apart() -> None:
    for name in ("ring", "chain", "torus", "grid"):
        sites, bonds, _ = LATTICES[name]
        positions = layout_of(sites, np.array(bonds)).positions
        near = np.linalg.norm(positions[0] - positions[1])
        assert near == pytest.approx(1, abs=0.03), name


def test_spins_of_fermions_are_copies_of_one_lattice() -> None:
    operator = operators.fermi_hubbard()
    bonds = bonds_of(operator.to_ir().operator)
    layout = layout_of(32, bonds)
    assert (layout.kind, layout.copies, layout.periodic) == ("square", 2, True)
    up, down = layout.positions[:16], layout.positions[16:]
    np.testing.assert_array_equal(down - up, np.tile([5.0, 0.0], (16, 1)))


@each_model
def test_models_have_a_lattice(name: str) -> None:
    operator, *_ = lowered(name)
    layout = layout_of(operator.space.size, bonds_of(operator.to_ir().operator))
    assert np.isfinite(layout.positions).all()
    if "chain" not in name and operator.space.size in (4, 12) and "gauge" not in name:
        assert layout.kind in ("ring", "square", "graph", "layers", "chain")


# ---- reports ----


def test_passes_are_told_as_they_ran() -> None:
    handle = sym.lower(operators.tfim(), coalesce="static", opt_level=3)
    data = page_data(handle)
    told = {stage["name"]: stage for stage in data["stages"]}
    assert told["bt-coalesce-static"]["relation"] == "sum_per_target"
    assert told["convert-sym-to-bt"]["relation"] == "equal"
    assert any(stage["remarks"] for stage in data["stages"])
    lanes = [stage["lanes"] for stage in data["stages"]]
    assert lanes[0] == 16
    assert lanes[-1] == 9
    shares = [row[0] for row in data["cost"]["rows"]]
    assert sum(shares) == pytest.approx(1)
    assert data["cost"]["lanes_after"] == 9


@pytest.mark.usefixtures("lifting")
def test_the_report_of_a_local_energy_is_there() -> None:
    energy, w, x = operators.energy()
    data = explored(energy, w, x)
    assert [part["rung"] for part in data["energy"]["parts"]] == [
        "exponential",
        "lifted",
    ]
    assert data["levels"].keys() == {"sym", "bt", "stablehlo"}
    kernel = data["stages"][data["levels"]["stablehlo"]]
    lines = [data["texts"][number] for number in kernel["lines"]]
    assert any("stablehlo.while" in line for line in lines)
    assert any("func.func private @network." in line for line in lines)
    assert len(data["samples"]["samples"]) == len(x)
    assert data["samples"]["samples"][0]["x"] == x[0].tolist()


# ---- forms ----

NETWORKS = Path(__file__).parents[3] / "lit/lowering/change/analyse-change.mlir"
"""Energies with networks, one after another."""


def forms_of(data: dict[str, Any]) -> dict[str, tuple[str, str, bool]]:
    """Return the kind, the words and whether a form is lost, by the values of lines."""
    own = data["forms"]
    return {
        data["texts"][line].strip().partition(" = ")[0]: tuple(own["said"][note])
        for line, note in zip(own["lines"], own["notes"], strict=True)
        if note >= 0
    }


def texts_with_networks() -> list[str]:
    return [t for t in NETWORKS.read_text().split("// -----") if "local_energy" in t]


@pytest.mark.parametrize("text", texts_with_networks())
def test_forms_are_those_of_the_pass(text: str) -> None:
    data = page_data(sym.parse(text))
    told = [words for _, words, _ in forms_of(data).values()]
    module = LoweringPipeline.parse("analyse-change").run(sym.parse(text).stage.module)
    assert told == [found for op in module.walk() if (found := form_on(op))]
    assert len(told) > 5
    lines = [data["texts"][line] for line in data["forms"]["lines"]]
    assert not any("bt.form" in line or "bt.local_energy" in line for line in lines)
    assert {kind for kind, _, _ in data["forms"]["said"]} <= {*data["forms"]["kinds"]}


def test_a_network_is_shown_before_it_is_taken_apart() -> None:
    data = explored(*operators.energy())
    forms = forms_of(data)
    assert [kind for kind, _, _ in forms.values()] == [
        *("sites", "same", "added", "elementwise", "new", "new", "new"),
        *("sites", "same", "added", "elementwise", "elementwise", "same", "new", "new"),
    ]
    lost = [words for _, words, is_lost in forms.values() if is_lost]
    why = "new: combines functions of elements, at"
    assert lost == [f"{why} 'stablehlo.dot_general'", f"{why} 'stablehlo.reduce'"]


def test_a_form_is_lost_where_its_operands_still_had_one() -> None:
    combined, deep, determinant = map(
        forms_of, map(page_data, map(sym.parse, texts_with_networks()))
    )
    assert [name for name, one in combined.items() if one[2]] == ["%v"]
    # What a cone ends in is found at the one position that there is
    assert [one[2] for one in deep.values()] == [False] * len(deep)
    assert deep["%c2"] == ("cone", "cone: 5 of 16 positions", False)
    assert deep["%s"][0] == "new"
    lost = [name for name, one in determinant.items() if one[2]]
    assert lost == ["%keys, %sites", "%p", "%q"]
    assert determinant["%rows"][0] == "rows"
    assert determinant["%det"][0] == "determinant"


def test_operators_have_no_forms() -> None:
    assert page_data(sym.lower(operators.tfim()))["forms"] is None


def test_rules_that_fail_leave_a_page_without_forms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no such axis")

    monkeypatch.setattr(type(RULES["stablehlo.tanh"]), "form", fails)
    data = page_data(sym.parse(texts_with_networks()[0]))
    assert data["forms"] is None
    (note,) = data["notes"]
    assert note.startswith("forms are unknown: ")
    assert "no such axis" in note


def test_sources_are_the_user_s_lines() -> None:
    data = page_data(sym.lower(operators.tfim()))
    (source,) = data["sources"]
    assert source["file"] == operators.__file__
    lines = Path(operators.__file__).read_text().splitlines()
    assert source["lines"] == lines
    places = {one[3] for one in data["origins"]}
    assert any(".emit(sym.write" in lines[line - 1] for line in places)


def test_files_that_are_no_source_are_not_read(tmp_path: Path) -> None:
    """A text from elsewhere names any file, and its page may be sent on."""
    secret, own = tmp_path / "id_rsa", tmp_path / "flips.py"
    secret.write_text("the key\n")
    own.write_text("the flips\n")
    text = operators.tfim().to_ir().text()
    read = "%x_i = sym.read %x[%i] : tensor<f64>"
    assert read in text
    for file, lines in ((secret, []), (own, ["the flips"])):
        data = page_data(sym.lower(text.replace(read, f'{read} loc("{file}":1:1)')))
        sources = {one["file"]: one["lines"] for one in data["sources"]}
        assert sources[str(file)] == lines


def test_a_fused_operator_keeps_all_its_terms() -> None:
    module = operators.one_by_one(20).to_ir().module
    fused = run_passes(module, "sym-plan-fusion,sym-fuse-terms")
    operator: Any = module.body.block.first_op
    origins = Origins.of(operator)
    term = next(op for op in fused.walk() if op.name == "sym.emit")
    number = origins.of_op(term)
    assert origins.as_dict()["sets"][number] == [0, 20]
    assert {one[0] for one in origins.as_dict()["origins"]} == set(range(20))
