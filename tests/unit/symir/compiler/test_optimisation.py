"""The optimisation report: what passes did, did not do and why, and what is absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import symir as sym
from symir import models
from symir.compiler import KERNEL_PIPELINE, OPERATOR_PIPELINE, LoweringPipeline
from symir.compiler.optimisation import OptimisationReport, PassOutcome

i, j = sym.site("i"), sym.site("j")
CHAIN = [(k, (k + 1) % 4) for k in range(4)]
MODELS: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "tfim": lambda: models.transverse_field_ising(4, CHAIN),
    "xxz": lambda: models.xxz(4, CHAIN),
    "bosons": lambda: models.bose_hubbard(sym.fock(2, 3), [(0, 1), (1, 2)]),
    "fermions": lambda: models.fermi_hubbard(4, CHAIN),
    "toric code": lambda: models.toric_code(8, (2, 2)),
    "clock": lambda: models.clock(sym.fock(2, 4), CHAIN),
}


def compiled(
    operator: sym.SymbolicOperator, **options: Any
) -> sym.SymbolicCompiledArtifact:
    return sym.SymbolicCompiler().compile(operator, options)


def tfim(**options: Any) -> OptimisationReport:
    return compiled(MODELS["tfim"](), **options).optimisation_report()


def last(report: OptimisationReport, name: str) -> PassOutcome:
    return [one for one in report.passes if one.name == name][-1]


def said(outcome: PassOutcome) -> list[tuple[bool, str]]:
    return [(one.done, one.message) for one in outcome.remarks]


# ---- passes ----


@pytest.mark.parametrize("coalesce", ["none", "diagonal"])
@pytest.mark.parametrize("name", MODELS)
def test_it_lists_the_passes_that_ran(name: str, coalesce: str) -> None:
    artifact = compiled(MODELS[name](), coalesce=coalesce)
    report = artifact.optimisation_report(batch=16)
    kernel = LoweringPipeline.parse(KERNEL_PIPELINE.format(batch=16, state="i8"))
    assert artifact.lowering is not None
    operator = LoweringPipeline.parse(artifact.lowering)
    assert [(one.name, one.pipeline) for one in report.passes] == [
        *((name, "operator") for name in operator.names),
        *((name, "kernel") for name in kernel.names),
    ]
    reported = [one for one in artifact.pass_reports if one.stage == "lowering"]
    for one, outcome in zip(reported, report.passes, strict=False):
        assert (one.ops_before, one.ops_after) == (
            outcome.ops_before,
            outcome.ops_after,
        )
        assert one.remarks == outcome.remarks
    for one, other in zip(report.passes, report.passes[1:], strict=False):
        assert (one.ops_after, one.lanes_after) == (
            other.ops_before,
            other.lanes_before,
        )
        if not one.changed:
            assert one.ops_before == one.ops_after
    assert report.passes[0].lanes_before == artifact.operator_ir.max_conn_size
    assert report.passes[-1].lanes_after == artifact.lanes == report.cost.lanes_after
    plain = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert len(plain["passes"]) == len(report.passes)
    assert plain["cost"]["lanes_after"] == artifact.lanes


def test_what_a_pass_did_is_said_with_its_relation() -> None:
    coalesced = last(tfim(coalesce="diagonal"), "bt-coalesce-diagonal")
    assert (coalesced.lanes_before, coalesced.lanes_after) == (8, 5)
    assert coalesced.changed
    assert coalesced.relation == "sum_per_target"
    assert said(coalesced) == [(True, "4 lanes of 1 lane group are summed into one")]
    assert not last(tfim(), "sym-fuse-terms").changed


def test_it_is_that_of_a_batch_and_a_dtype() -> None:
    artifact = compiled(MODELS["tfim"](), opt_level=3)
    ints = artifact.optimisation_report(batch=7, dtype="int16")
    assert (ints.batch, ints.dtype, ints.cost.state_bytes) == (7, "int16", 2)
    assert any(done for done, _ in said(last(ints, "bt-narrow")))
    reals = artifact.optimisation_report(dtype="float32")
    assert said(last(reals, "bt-narrow")) == [
        (False, "x holds real numbers, which may be differentiated")
    ]
    assert reals.cost.state_bytes == 4


def test_an_artifact_from_a_file_has_the_same_report(tmp_path: Path) -> None:
    artifact = compiled(MODELS["bosons"](), coalesce="diagonal")
    artifact.save(tmp_path / "bosons.symir")
    loaded = sym.load_artifact(tmp_path / "bosons.symir")
    plain = artifact.optimisation_report().as_dict()
    assert loaded.optimisation_report().as_dict() == plain
    assert any(one["remarks"] for one in plain["passes"])
    # And so are the remarks of the compilation itself
    assert any(one.remarks for one in loaded.pass_reports)
    for one, other in zip(loaded.pass_reports, artifact.pass_reports, strict=True):
        assert (one.pass_name, one.remarks) == (other.pass_name, other.remarks)


# ---- passes that are absent ----


def absent(report: OptimisationReport) -> dict[str, tuple[str, str]]:
    return {one.name: (one.reason, one.hint) for one in report.absent}


def test_passes_that_were_not_asked_for_have_a_reason() -> None:
    missing = absent(tfim())
    assert missing["bt-coalesce-diagonal"] == (
        "coalesce is 'none'",
        "compile with coalesce='diagonal'",
    )
    assert "cse" not in missing
    assert "bt-coalesce-diagonal" not in absent(tfim(coalesce="diagonal"))


def test_passes_of_a_higher_level() -> None:
    missing = absent(tfim(opt_level=0))
    assert missing["canonicalize"] == ("opt_level is 0", "compile with opt_level=1")
    assert missing["sym-fuse-terms"] == ("opt_level is 0", "compile with opt_level=2")


def test_a_lowering_of_ones_own() -> None:
    pipeline = sym.default_symbolic_pass_pipeline(
        "sym-expand-updates,sym-forward-reads,sym-guard-space,convert-sym-to-bt"
    )
    own = sym.SymbolicCompiler(pipeline=pipeline).compile(MODELS["tfim"]())
    for artifact in (own, compiled(MODELS["tfim"](), lowering=own.lowering)):
        missing = absent(artifact.optimisation_report())
        assert missing["sym-fuse-terms"] == (
            "the lowering is one of your own",
            "put it there",
        )


# ---- where there is none ----


@dataclass(frozen=True)
class Nameless(ModulePass):
    """A pass that symir-opt does not know."""

    name = "nameless"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Leave everything what it is."""


def refused(artifact: sym.SymbolicCompiledArtifact, **options: Any) -> str:
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        artifact.optimisation_report(**options)
    assert caught.value.operator == artifact.operator_name
    return f"{caught.value.code}: {caught.value.found}"


def test_the_reference_backend_has_no_passes() -> None:
    artifact = compiled(MODELS["tfim"](), backend_preference="reference")
    assert refused(artifact) == "C026: the backend 'reference', without a lowering"


def test_a_pass_without_a_name_cannot_run_again() -> None:
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(Nameless(), before="convert-sym-to-bt")
    compiler = sym.SymbolicCompiler(pipeline=pipeline)
    assert "nameless" in refused(compiler.compile(MODELS["tfim"]()))


def test_passes_that_would_do_something_else_are_not_reported() -> None:
    artifact = compiled(MODELS["tfim"]())
    other = replace(artifact, lowering=f"{OPERATOR_PIPELINE},bt-coalesce-diagonal")
    assert refused(other).startswith("C026: they lead to other branch tensors")


@pytest.mark.parametrize("options", [{"batch": 0}, {"dtype": "complex64"}])
def test_there_is_no_such_kernel(options: dict[str, Any]) -> None:
    assert refused(compiled(MODELS["tfim"]()), **options).startswith("C025")


# ---- remarks of passes ----


def remarks(operator: sym.SymbolicOperator, name: str, **options: Any) -> list[str]:
    report = compiled(operator, **options).optimisation_report()
    found = [one for one in report.passes if one.name == name]
    return [
        f"{'+' if remark.done else '-'} {remark.message}"
        for one in found
        for remark in one.remarks
    ]


def terms(*bodies: str, fanout: int | None = None) -> sym.SymbolicOperator:
    """Return an operator of a term for each name: "d.." is diagonal, "f.." flips."""
    builder = sym.DOperator(sym.qubit(4), "op")
    for number, name in enumerate(bodies):
        builder = builder.for_each("i", over=range(4)).named(name)
        if fanout is not None and number == 0:
            builder = builder.where(i.value > 0).fanout(fanout)
        updates = [] if name[0] == "d" else [sym.flip("i")]
        builder = builder.emit(*updates, amplitude=(number + 1.5) * i.value)
    return builder.build()


def test_terms_that_are_fused() -> None:
    assert remarks(terms("d0", "d1", "f2"), "sym-fuse-terms") == [
        "+ @d0, @d1 become one term"
    ]


def test_terms_that_are_alike_and_stay_apart() -> None:
    apart = remarks(terms("d0", "f1", "d2"), "sym-fuse-terms")
    assert apart == [
        "- @d0, @d2 have one structure and stay apart: they are not neighbours, and "
        "lanes keep their places"
    ]
    unmarked = remarks(terms("d0", "d1"), "sym-fuse-terms", enable_fusion=False)
    assert unmarked == [
        "- @d0, @d1 have one structure and stay apart: they are not marked as a group"
    ]
    builder = sym.DOperator(sym.qubit(4), "op")
    for _ in range(2):
        builder = builder.for_each_site("i").where(i.value > 0).fanout(3)
        builder = builder.emit(amplitude=i.value)
    (promised,) = remarks(builder.build(), "sym-fuse-terms")
    assert promised.startswith(
        "- @term0, @term1 have one structure and stay apart: @term0 has a fanout"
    )


def test_terms_without_their_like_are_not_spoken_of() -> None:
    assert remarks(terms("d0", "f1"), "sym-fuse-terms") == []


def test_a_guard_that_stays() -> None:
    builder = sym.DOperator(sym.fock(2, 3), "op").for_each_site("i")
    up = sym.shift("i", 1)
    guarded = builder.emit(up).emit(amplitude=i.value).build()
    assert remarks(guarded, "sym-guard-space") == [
        "- 1 of 2 emissions of @term0 may lead out of the space: that is checked for "
        "each x"
    ]
    builder = sym.DOperator(sym.fock(2, 3), "op").for_each_site("i")
    assert remarks(builder.where(i.value < 2).emit(up).build(), "sym-guard-space") == []


def test_lanes_that_cannot_be_summed() -> None:
    assert remarks(terms("f0"), "bt-coalesce-diagonal", coalesce="diagonal") == [
        "- fewer than two lanes are without writes"
    ]
    builder = sym.DOperator(sym.qubit(4), "op").for_each_site("i").where(i.value > 0)
    builder = builder.fanout(7).emit(amplitude=i.value).emit(sym.flip("i"))
    operator = builder.for_each_site("i").emit(amplitude=2 * i.value).build()
    assert remarks(operator, "bt-coalesce-diagonal", coalesce="diagonal") == [
        "- 4 lanes without writes are not summed: they share a fanout with lanes that "
        "write",
        "+ 4 lanes of 1 lane group are summed into one",
    ]


def test_numbers_that_stay_what_they_are() -> None:
    assert remarks(MODELS["tfim"](), "bt-narrow") == [
        "- the bounds of the local values are not known here"
    ]
    done = remarks(MODELS["xxz"](), "bt-narrow", opt_level=3)
    assert [one[:2] for one in done] == ["+ "]
    builder = sym.DOperator(sym.spin(0.5, 3), "op").for_each_site("i")
    real = builder.emit(amplitude=i.value * sym.symbol("g", 0.3)).build()
    assert remarks(real, "bt-narrow", opt_level=3) == [
        "- nothing that is computed is known to be small integers"
    ]


def test_the_text_has_every_part_and_counts_remarks_that_it_leaves_out() -> None:
    text = str(compiled(terms("d0", "f1", "d2")).optimisation_report())
    assert text.startswith("optimisation of op: batch 1024, x of int8\n\npass ")
    line = f"{Path(__file__).name}:"
    assert "sym-fuse-terms: not done: @d0, @d2 have one structure" in text
    assert line in text
    assert "\n    hint: define them one after the other\n" in text
    assert "bt-coalesce-diagonal: coalesce is 'none'; compile with" in text
    assert "\npredicted cost per sample\nlane group " in text
    builder = sym.DOperator(sym.fock(2, 2), "op")
    for k in range(10):
        up = sym.shift("i", 1)
        builder = builder.for_each("i", over=[k % 2]).emit(up, amplitude=i.value**k)
    many = str(compiled(builder.build()).optimisation_report())
    assert many.count("may lead out of the space") == 8
    assert "  sym-guard-space: 2 more remarks" in many
