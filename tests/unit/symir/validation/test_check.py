"""`symir.check`: the models, certificates, and validation in a compilation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from xdsl.ir import Operation

import symir as sym
from dialects.text import parse_module
from lowering.registry import get_all_passes
from lowering.relations import Relation, relation_of
from symir import models
from symir.compiler.trace import Trace
from symir.errors import InputError, SymbolicCompilerError
from symir.operator.ir import fingerprint
from symir.provenance import origins
from symir.validation import stages
from symir.validation.certificate import replay
from symir.validation.check import check
from symir.validation.comparison import Connected, compare
from symir.validation.reports import ValidationReport
from tests.unit.symir.traced import untraced

RING = [(k, (k + 1) % 8) for k in range(8)]
LADDER = [(k, k + 2) for k in range(6)] + [(k, k + 1) for k in range(0, 8, 2)]

LARGE = {
    "transverse_field_ising": lambda: models.transverse_field_ising(
        10, [(k, (k + 1) % 10) for k in range(10)], h=sym.symbol("h", default=0.7)
    ),
    "heisenberg": lambda: models.heisenberg(10, [(k, (k + 1) % 10) for k in range(10)]),
    "bose_hubbard": lambda: models.bose_hubbard(sym.fock(3, 5), RING[:4], U=2.0),
    "fermi_hubbard": lambda: models.fermi_hubbard(5, RING[:4], U=2.0),
    "t_j": lambda: models.t_j(6, RING[:5]),
    "pxp": lambda: models.pxp(10, [(k, k + 1) for k in range(9)]),
    "potts": lambda: models.potts(sym.fock(2, 6), RING[:5]),
    "toric_code": lambda: models.toric_code(8, (2, 2)),
}
"""The models that are looked at everywhere, on spaces of 243 to 1024 configurations."""


def assert_valid(report: ValidationReport) -> None:
    assert report.ok, str(report)
    assert report.worst_error <= 1e-12
    names = [stage.name for stage in report.stages]
    assert names[:2] == ["sym-plan-fusion", "sym-gather-terms"]
    assert names[-1] == "executable"
    assert not [stage.skipped for stage in report.stages if stage.skipped]


@pytest.mark.parametrize("name", LARGE)
def test_models_on_all_configurations(name: str) -> None:
    operator = LARGE[name]()
    report = check(operator, validate="exhaustive")
    assert_valid(report)
    assert report.mode == "exhaustive"
    assert report.samples == report.n_states == operator.space.n_states


def test_a_space_of_the_largest_size() -> None:
    builder = sym.DOperator(sym.qubit(16), "flips").for_each("i", over=[0, 15])
    operator = builder.emit(sym.flip("i"), amplitude=sym.site("i") + 2.0).build()
    assert operator.space.n_states == 2**16
    report = check(operator, validate="exhaustive")
    assert_valid(report)
    assert report.samples == 2**16


def test_large_spaces_are_sampled() -> None:
    operator = models.heisenberg(64, [(k, (k + 1) % 64) for k in range(64)])
    report = check(operator, samples=8)
    assert_valid(report)
    assert (report.mode, report.samples) == ("sampled", 8)
    with pytest.raises(InputError) as caught:
        check(operator, validate="exhaustive")
    assert caught.value.code == "V011"


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64])
def test_configurations_of_ones_own(dtype: Any) -> None:
    operator = models.heisenberg(8, RING)
    x = operator.space.random_states(6, seed=3).reshape(2, 3, 8).astype(dtype)
    report = check(operator, x)
    assert_valid(report)
    assert (report.mode, report.samples) == ("given", 6)


def test_compiled_operators_and_ir_are_taken() -> None:
    operator = models.transverse_field_ising(4, RING[:3], h=sym.symbol("h"))
    assert check(operator.to_ir(), executable=False).ok
    report = check(operator.compile().replace(h=0.25), executable=False)
    assert report.ok
    assert report.parameters[0] == {"h": 0.25}


def test_terms_are_fused_as_in_a_compilation() -> None:
    i = sym.site("i")
    builder = sym.DOperator(sym.fock(2, 4), "pairs")
    for pair, factor in {(0, 1): 0.5, (1, 2): 2.0}.items():
        builder = builder.for_each(("i", "j"), over=[pair]).emit(amplitude=factor * i)
    report = check(builder.build(), validate="exhaustive")
    assert_valid(report)
    fusion = report.stages[2]
    assert fusion.before != fusion.after


def test_modules_are_printed_where_a_report_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed: list[Operation] = []

    def counted(op: Operation) -> str:
        printed.append(op)
        return fingerprint(op)

    monkeypatch.setattr(stages, "fingerprint", counted)
    reports = check(LARGE["pxp"]()).stages
    assert not printed
    marks = [reports[0].before, *(report.after for report in reports)]
    assert len(printed) == len({*marks} - {None})
    assert [report.before for report in reports] == marks[:-1]


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtypes(dtype: str) -> None:
    i = sym.site("i")
    operator = (
        sym.DOperator(sym.fock(2, 3), "op", dtype=dtype)
        .for_each_site("i")
        .where(i > 0)
        .emit(sym.shift("i", -1), amplitude=sym.sqrt(i) * sym.symbol("g", default=0.3))
        .build()
    )
    report = check(operator)
    assert report.ok, str(report)
    assert len(report.parameters) == 2
    assert report.parameters[0] == pytest.approx({"g": 0.3})


def test_constraints_fanouts_and_projections() -> None:
    i, j = sym.site("i"), sym.site("j")
    space = sym.fock(2, 4, n_particles=3)
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    hop = (
        sym.DOperator(space, "hop")
        .for_each(("i", "j"), over=pairs)
        .where((i > 0) & (j < 2))
        .emit(sym.hop("i", "j"), amplitude=sym.sqrt(i * (j + 1)))
        .fanout(5)
        .build()
    )
    pair = sym.DOperator(space, "pair", projected=True).for_each_site("i")
    pair = pair.emit(sym.shift("i", 1), amplitude=2.0).build()
    for operator in (hop, pair):
        assert_valid(check(operator, validate="exhaustive"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"validate": "all"}, "V012"),
        ({"trace": Trace(keeps_stages=False)}, "V012"),
        ({"x": np.zeros(3)}, "S007"),
        ({"x": np.zeros((2, 8), complex)}, "S008"),
        ({"x": np.zeros((0, 8))}, "S007"),
        ({"x": np.full((1, 8), 3)}, "R007"),
        ({"x": np.full((1, 8), np.nan)}, "R007"),
        ({"x": np.ones((1, 8), np.longdouble)}, "V012"),
        ({"x": [[1.0], [1.0, 1.0]]}, "S007"),
        ({"parameters": {"g": 1.0}}, "R003"),
        ({"parameters": {"h": "a"}}, "R005"),
        ({"parameters": {"h": 1j}}, "R005"),
        ({"parameters": {"h": 10**400}}, "R005"),
        ({"parameters": 3}, "R005"),
        ({"parameters": [3]}, "R005"),
        ({"parameters": []}, "V012"),
        ({"samples": 0}, "V012"),
        ({"samples": "a"}, "V012"),
        ({"seed": -1}, "V012"),
        ({"lowering": 3}, "V012"),
    ],
)
def test_what_cannot_be_checked(arguments: dict[str, Any], code: str) -> None:
    operator = models.transverse_field_ising(8, RING, h=sym.symbol("h"))
    with pytest.raises(InputError) as caught:
        check(operator, **arguments)
    assert caught.value.code == code


@pytest.mark.parametrize("lowering", ["", "canonicalize", "sym-expand-updates"])
def test_a_lowering_goes_down_to_branch_tensors(lowering: str) -> None:
    with pytest.raises(SymbolicCompilerError) as caught:
        check(models.heisenberg(4, RING[:3]), lowering=lowering)
    assert caught.value.code == "C009"


def test_an_operator_is_needed() -> None:
    something: Any = 3
    with pytest.raises(InputError, match="cannot be checked"):
        check(something)


# region Relations


def lanes(*branches: tuple[list[int], float]) -> Connected:
    states = np.array([[state for state, _ in branches]])
    return Connected(states, np.array([[element for _, element in branches]]))


X = np.array([[0, 0]])
BEFORE = lanes(([0, 0], 1.0), ([0, 1], 2.0), ([0, 1], 3.0), ([0, 0], 0.0))


@pytest.mark.parametrize(
    ("after", "strongest"),
    [
        (BEFORE, "equal"),
        (lanes(([0, 1], 3.0), ([0, 0], 1.0), ([0, 1], 2.0)), "multiset"),
        (lanes(([0, 0], 1.0), ([0, 1], 5.0)), "sum_per_target"),
        (lanes(([0, 1], 5.0), ([0, 0], 2.0)), None),
        (lanes(([0, 0], 1.0), ([0, 1], 2.0)), None),
        (lanes(([0, 0], 1.0), ([0, 1], 5.0 + 1e-9)), None),
        (lanes(([0, 0], 1.0), ([1, 0], 5.0)), None),
        (lanes(([0, 0], 1.0), ([0, 1], np.nan)), None),
    ],
)
def test_relations_imply_the_weaker_ones(
    after: Connected, strongest: str | None
) -> None:
    found = [
        relation
        for relation in Relation
        if compare(relation, X, BEFORE, after)[0] is None
    ]
    every = list(Relation)
    expected = [] if strongest is None else every[every.index(Relation(strongest)) :]
    assert found == expected


@pytest.mark.parametrize(
    ("after", "lane", "before"),
    [
        (lanes(([0, 1], 3.0), ([0, 0], 1.0)), 1, True),
        (lanes(([0, 1], 3.0), ([0, 1], 2.0)), 0, True),
        (lanes(([0, 0], 0.0), *[([0, 1], 2.0), ([0, 0], 1.0)] * 2), 4, False),
        (lanes(([0, 1], 3.0), ([1, 1], 2.0), ([0, 0], 1.0)), 1, True),
        (lanes(([0, 1], 3.0), ([0, 1], 2.5), ([0, 0], 1.0)), 1, False),
    ],
)
def test_a_multiset_names_the_lane_without_a_partner(
    after: Connected, lane: int, before: bool
) -> None:
    found = compare(Relation.MULTISET, X, BEFORE, after).difference
    assert found is not None
    assert (found.lane, found.before) == (lane, before)


def test_nan_is_equal_to_nan_only() -> None:
    one, other = lanes(([0, 1], np.nan)), lanes(([0, 1], 0.0))
    for relation in Relation:
        assert compare(relation, X, one, one).difference is None
        assert compare(relation, X, one, other).difference is not None


def test_every_pass_declares_what_it_preserves() -> None:
    for load in get_all_passes().values():
        assert "relation" in vars(load())
        assert relation_of(load()) in Relation  # pyright: ignore[reportArgumentType]


# endregion
# region In a compilation, and certificates


def test_a_compilation_can_validate() -> None:
    operator = models.heisenberg(4, RING[:3])
    artifact = sym.SymbolicCompiler().compile(operator, {"validate": "exhaustive"})
    found = artifact.metadata["validation"]
    assert found["ok"]
    assert found["samples"] == 16
    with pytest.raises(SymbolicCompilerError) as caught:
        sym.SymbolicCompilerOptions(validate="perhaps")
    assert caught.value.code == "C006"
    large = models.heisenberg(64, [(k, k + 1) for k in range(63)])
    with pytest.raises(SymbolicCompilerError) as caught:
        sym.SymbolicCompiler().compile(large, {"validate": "exhaustive"})
    assert caught.value.code == "V011"


def test_certificates_are_done_again(tmp_path: Path) -> None:
    path = tmp_path / "tfim.json"
    report = check(LARGE["transverse_field_ising"](), samples=16)
    report.save(path)
    data = json.loads(path.read_text())
    coverage = {"samples": 16, "n_states": 1024, "predicates": False}
    assert data["coverage"] == coverage
    assert {"symir", "xdsl", "jax", "numpy"} <= data["versions"].keys()
    relations = {stage["name"]: stage["relation"] for stage in data["stages"]}
    assert relations.pop("sym-gather-terms") == "multiset"
    assert set(relations.values()) == {"equal"}
    again = replay(path)
    assert again.ok
    assert again.report.stages == report.stages


FORGERIES: dict[str, Any] = {
    "ok": lambda data: data.update(ok=False),
    "operator": lambda data: data.update(operator="another"),
    "text": lambda data: data.update(text=data["text"].replace("1.0", "3.0")),
    "before": lambda data: [one.update(before="0") for one in data["stages"]],
    "stage": lambda data: data["stages"][3].update(ok=False),
    "level": lambda data: data["stages"][3].update(level="bt"),
    "samples": lambda data: data["coverage"].update(samples=1024),
    "n_states": lambda data: data["coverage"].update(n_states=16),
    "mode": lambda data: data.update(mode="exhaustive"),
    "worst_error": lambda data: data.update(worst_error=-1.0),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_certificates_do_not_hold(forgery: str, tmp_path: Path) -> None:
    path = tmp_path / "tfim.json"
    check(LARGE["transverse_field_ising"](), samples=8, executable=False).save(path)
    assert replay(path).ok
    data = json.loads(path.read_text())
    FORGERIES[forgery](data)
    path.write_text(json.dumps(data))
    again = replay(path)
    assert again.report.ok
    assert not again.ok
    assert "not as certified" in str(again)


def test_a_certificate_of_other_modules_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "op.json"
    check(models.heisenberg(4, RING[:3]), executable=False).save(path)
    data = json.loads(path.read_text())
    data["stages"][9]["after"] = "0" * 64
    path.write_text(json.dumps(data))
    again = replay(path)
    assert again.report.ok
    assert not again.ok
    assert "convert-sym-to-bt" in str(again)


@pytest.mark.parametrize("change", ["format", "text", "x", "stages", "truncated"])
def test_files_that_are_no_certificates(tmp_path: Path, change: str) -> None:
    path = tmp_path / "op.json"
    check(models.heisenberg(4, RING[:3]), executable=False).save(path)
    data = json.loads(path.read_text())
    data[change] = {"format": 0, "text": "nonsense", "x": {}, "stages": []}.get(change)
    text = json.dumps(data)
    path.write_text(text[:99] if change == "truncated" else text)
    with pytest.raises(InputError) as caught:
        replay(path)
    assert caught.value.code == "V013"


def test_a_certificate_runs_no_program(tmp_path: Path) -> None:
    """xDSL has a pass that runs what its option `executable` names."""
    path, program, proof = (tmp_path / name for name in ("op.json", "run", "proof"))
    check(models.heisenberg(4, RING[:3]), executable=False).save(path)
    data = json.loads(path.read_text())
    data["lowering"] = f'mlir-opt{{executable="{program}"}},{data["lowering"]}'
    path.write_text(json.dumps(data))
    program.write_text(f"#!/bin/sh\ntouch {proof}\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match="mlir-opt") as caught:
        replay(path)
    assert caught.value.code == "V013"
    assert not proof.exists()


# endregion
# region Provenance


@pytest.mark.parametrize("name", LARGE)
def test_every_op_of_every_level_is_traced_to_the_user(name: str) -> None:
    operator = LARGE[name]()
    module = operator.to_ir().module
    levels = [module, sym_to_bt(module), kernel(module)]
    for level in levels:
        assert untraced(level) == []


def sym_to_bt(module: Any) -> Any:
    from symir.compiler import lower_to_bt

    return lower_to_bt(module)


def kernel(module: Any) -> Any:
    from symir.compiler import lower_to_stablehlo

    return lower_to_stablehlo(sym_to_bt(module), 4, "i8")


def test_fused_lanes_have_all_their_origins() -> None:
    i = sym.site("i")
    builder = sym.DOperator(sym.spin(0.5, 4), "op")
    for number in range(3):
        builder = builder.for_each("i", over=[number]).named(f"t{number}")
        builder = builder.emit(sym.flip("i"), amplitude=(0.5 + number) * i)
    module = sym.SymbolicCompiler().compile(builder.build()).branch_tensors
    assert module is not None
    (branches,) = (op for op in module.walk() if op.name == "bt.branches")
    assert [origin.term for origin in origins(branches)] == ["t0", "t1", "t2"]
    lines = [origin.location.line for origin in origins(branches) if origin.location]
    assert len(set(lines)) == 1


def test_ops_without_a_place_are_named() -> None:
    module = parse_module("%0 = stablehlo.constant dense<1.0> : tensor<f64>")
    assert untraced(module) == ["stablehlo.constant"]


def test_profiles_show_terms() -> None:
    operator = LARGE["pxp"]()
    compiled, x = operator.compile(), operator.space.random_states(4, seed=0)
    text = str(jax.jit(compiled.get_conn_padded).lower(x).compile().as_text())
    names = [term.name for term in operator.to_ir().terms]
    assert names
    assert all(f"{operator.name}/{name}" in text for name in names)


# endregion
