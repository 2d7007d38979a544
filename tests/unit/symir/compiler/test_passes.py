"""Symbolic passes: what they write, and the reports that they leave."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

import symir as sym
from symir.compiler.passes import (
    SymbolicFanoutAnalysisPass,
    SymbolicFusionPlanningPass,
    SymbolicNormalizationPass,
    SymbolicValidationPass,
)
from tests.unit.symir.compiler.doubles import Noting, field, i


def context_of(
    operator: sym.SymbolicOperator, **options: Any
) -> sym.SymbolicCompilationContext:
    return sym.SymbolicCompilationContext(
        operator,
        operator.to_ir(),
        sym.SymbolicCompilerOptions(**options),
        sym.default_symbolic_pass_pipeline().lowering,
    )


def three_terms() -> sym.SymbolicOperator:
    b = sym.DOperator(sym.qubit(3), "three")
    b = b.for_each_site("i").emit(sym.flip("i"), amplitude=sym.symbol("g"))
    b = b.for_each_site("i").emit(sym.flip("i"), amplitude=sym.symbol("h", 1.0))
    b = b.for_each_site("i").where(i > 0).emit(sym.flip("i")).emit().fanout(2)
    return b.build()


def test_validation_counts() -> None:
    found = SymbolicValidationPass().run(context_of(three_terms()))
    assert found["validation_summary"] == {
        "is_valid": True,
        "errors": (),
        "term_count": 3,
        "emission_count": 4,
        "free_symbols": ("g", "h"),
        "unbound_symbols": ("g",),
    }


@pytest.mark.parametrize(
    ("preference", "backend"),
    [("auto", "jax"), ("jax", "jax"), ("reference", "reference")],
)
def test_normalization_decides_about_the_backend(preference: str, backend: str) -> None:
    context = context_of(three_terms(), backend_preference=preference)
    found = SymbolicNormalizationPass().run(context)
    assert context.selected_backend == found["resolved_backend"] == backend
    assert found["term_order"] == ("term0", "term1", "term2")
    assert found["ir_fingerprint"] == context.ir.static_fingerprint()


def test_fanouts_are_the_lanes() -> None:
    found = SymbolicFanoutAnalysisPass().run(context_of(three_terms()))
    assert found["term_fanouts"] == {"term0": 3, "term1": 3, "term2": 2}
    assert found["total_fanout"] == 8 == three_terms().max_conn_size


def test_neighbours_of_one_structure_are_fused() -> None:
    b = sym.DOperator(sym.qubit(3), "op")
    for amplitude in (1.0, 2.0, i, 3.0):
        b = b.for_each_site("i").emit(sym.flip("i"), amplitude=amplitude)
    operator, fusion = b.build(), SymbolicFusionPlanningPass()
    fused = (("term0", "term1"), ("term2",), ("term3",))
    apart = tuple((f"term{k}",) for k in range(4))
    assert fusion.run(context_of(operator)) == {"fusion_groups": fused}
    context = context_of(operator, enable_fusion=False)
    assert fusion.run(context) == {"fusion_groups": apart}


def test_a_report_says_what_was_written() -> None:
    context = context_of(field())
    Noting([]).execute(context, "pre-cache")
    (report,) = context.pass_reports
    assert (report.pass_name, report.stage, report.error) == (
        "noting",
        "pre-cache",
        None,
    )
    assert (report.ops_before, report.ops_after) == (None, None)
    assert report.metadata == {"noting": 1}
    assert report.duration_ms >= 0
    assert json.loads(json.dumps(report.as_dict()))["metadata"] == {"noting": 1}


def test_a_report_says_what_went_wrong() -> None:
    context = context_of(field())
    with pytest.raises(KeyError):
        Noting([], KeyError("x")).execute(context, "post-cache")
    with pytest.raises(sym.DefinitionError):
        Noting([], sym.DefinitionError("D001", "no")).execute(context, "post-cache")
    assert [report.error for report in context.pass_reports] == [
        "KeyError: 'x'",
        "[D001] no",
    ]
    assert context.analyses == {}


def test_reports_of_passes_over_ir_count_ops() -> None:
    artifact = sym.SymbolicCompiler().compile(field())
    reports = [r for r in artifact.pass_reports if r.stage == "lowering"]
    for earlier, later in pairwise(reports):
        assert earlier.ops_after == later.ops_before
    module = artifact.operator_ir.module
    assert reports[0].ops_before == sum(1 for _ in module.walk()) - 1
    assert artifact.branch_tensors is not None
    last = sum(1 for _ in artifact.branch_tensors.walk()) - 1
    assert reports[-1].ops_after == last
    assert all(r.duration_ms >= 0 and r.error is None for r in artifact.pass_reports)
    stages = [report.stage for report in artifact.pass_reports]
    order = ["pre-cache"] * 3 + ["post-cache"] * 2
    assert stages == order + ["lowering"] * len(reports)


def test_analyses_are_asked_for() -> None:
    context = context_of(field())
    context.set_analysis("mine", 3)
    assert context.analysis("mine") == context.require_analysis("mine") == 3
    assert context.analysis("yours") is None
    assert context.analysis("yours", 4) == 4
    with pytest.raises(sym.SymbolicCompilerError, match="'yours'") as error:
        context.require_analysis("yours")
    assert error.value.code == "C007"
    assert (error.value.operator_name, error.value.found) == ("field", "mine")
