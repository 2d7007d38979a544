"""The trace of a lowering: its stages and reports, kept or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import symir as sym
from symir.compiler.failures import STRICT
from symir.compiler.lowering import OPERATOR_PIPELINE, LoweringPipeline, run_passes
from symir.compiler.trace import Stage, Trace
from symir.operator.ir import fingerprint
from tests.unit.symir.compiler.doubles import DroppingPass, field


@dataclass(frozen=True)
class FailingPass(ModulePass):
    """A pass that only makes something faster, and fails."""

    name = "failing"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        raise ValueError("not today")


def test_each_pass_leaves_a_stage_and_a_report() -> None:
    module = field().to_ir().module
    trace = Trace([Stage(0, "sym", module)])
    pipeline = LoweringPipeline.parse(OPERATOR_PIPELINE)
    left = pipeline.run(module, trace=trace)
    first, *others = trace.stages
    assert [stage.name for stage in others] == [*pipeline.names]
    assert [stage.report for stage in others] == trace.reports
    assert [stage.number for stage in trace.stages] == [*range(len(trace.stages))]
    assert (first.level, first.lanes, others[-1].level) == ("sym", 7, "bt")
    assert fingerprint(others[-1].module) == fingerprint(left)
    # Stages are copies: what the next pass does is not seen in them
    for k, stage in enumerate(others, start=1):
        again = run_passes(module, ",".join(str(pipeline).split(",")[:k]))
        assert fingerprint(stage.module) == fingerprint(again)


@dataclass(frozen=True)
class NamingPass(ModulePass):
    """A pass that gives another name to a value, and nothing else."""

    name = "naming"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        value = next(result for inner in op.walk() for result in inner.results)
        value.name_hint = "named"


def test_a_pass_that_changes_nothing_has_the_stage_before() -> None:
    module = field().to_ir().module
    trace = Trace([Stage(0, "sym", module)])
    pipeline = LoweringPipeline.parse("cse,dce,cse").inserted(NamingPass(), 3)
    pipeline.run(module, in_place=True, trace=trace)
    start, first, second, third, named = (one.module for one in trace.stages)
    assert first is second is third
    assert start is module is not first
    assert third is not named
    assert "%named" in trace.stages[-1].text
    assert "%named" not in trace.stages[-2].text


def test_a_pass_that_fails_has_a_report_and_no_stage() -> None:
    trace = Trace()
    pipeline = LoweringPipeline.parse("cse").inserted(DroppingPass(), 1)
    with pytest.raises(sym.SymbolicCompilerError):
        pipeline.run(field().to_ir().module, trace=trace)
    assert [stage.name for stage in trace.stages] == ["cse"]
    assert [one.pass_name for one in trace.reports] == ["cse", "dropping"]


def test_stages_of_an_attempt_that_failed_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(STRICT, "0")
    trace = Trace()
    pipeline = LoweringPipeline.parse("cse,dce").inserted(FailingPass(), 1)
    pipeline.run_what_works(field().to_ir().module, {"failing"}, trace=trace)
    assert [stage.name for stage in trace.stages] == ["cse", "dce"]
    (said,) = [one.remarks for one in trace.reports if one.remarks]
    assert "not today" in said[0].message


def test_reports_alone_are_kept_where_that_is_asked_for() -> None:
    trace = Trace(keeps_stages=False)
    LoweringPipeline.parse("cse,dce").run(field().to_ir().module, trace=trace)
    assert (len(trace.stages), len(trace.reports)) == (0, 2)


# region Parameters


def operator(dtype: str = "complex128") -> sym.SymbolicOperator:
    """Return an operator with a real and a complex parameter, one without default."""
    amplitude = sym.symbol("h", default=0.5) + sym.symbol("g", dtype=complex)
    built = sym.DOperator(sym.qubit(2), "two", dtype=dtype).for_each_site("i")
    return built.emit(amplitude=amplitude).build()


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        (None, {"h": 0.5}),
        ({"g": 2}, {"h": 0.5, "g": 2}),
        ({"h": np.float32(2)}, {"h": 2}),
        ({"h": 1 + 0j, "g": 1j}, {"h": 1, "g": 1j}),
        ({"h": Fraction(1, 4)}, {"h": 0.25}),
    ],
)
def test_parameters_are_bound(given: Any, bound: Mapping[str, complex]) -> None:
    found = operator().to_ir().bind(given)
    assert found == bound
    assert isinstance(found["h"], float)
    filled = operator().to_ir().bind(given, otherwise=3.0)
    assert filled == {"g": 3, **bound}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"J": 1}, "R003"),
        ({"h": 1j}, "R005"),
        ({"h": None}, "R005"),
        ({"h": [1.0]}, "R005"),
        ({"h": "1"}, "R005"),
        ([0.5], "R005"),
    ],
)
def test_parameters_that_do_not_fit(given: Any, code: str) -> None:
    with pytest.raises(sym.InputError, match=code) as error:
        operator().to_ir().bind(given)
    assert error.value.operator == "two"


# endregion
