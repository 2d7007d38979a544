"""Pipelines: their order, where passes can be put, and lowerings as texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

import symir as sym
from dialects import bt
from dialects.origins import LaneOrigins
from lowering.bt.lanes import rewrite_lanes
from symir.compiler import KERNEL_PIPELINE, OPERATOR_PIPELINE, LoweringPipeline
from symir.compiler.lowering import kernel_pipeline, lower_to_bt
from symir.compiler.trace import Trace
from tests.unit.symir.compiler.doubles import (
    DroppingPass,
    Early,
    Late,
    Noting,
    RaisingPass,
    field,
)


@dataclass(frozen=True)
class MyPass(ModulePass):
    """Does nothing."""

    name = "mine"
    width: int = 3

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class OtherOperatorPass(ModulePass):
    """Leaves the branch tensors of another operator, which are valid."""

    name = "other-operator"
    sites: int = 3
    dtype: str = "float64"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        other = sym.DOperator(sym.qubit(self.sites), "field", dtype=self.dtype)
        ir = other.for_each("i", over=[0, 1]).emit(sym.flip("i")).build().to_ir()
        block = lower_to_bt(ir.module).body.detach_block(0)
        op.body.detach_block(0)
        op.body.add_block(block)


class LosingLanes(RewritePattern):
    """Leaves out all lanes without a write; valid, and not what the operator says."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BranchesOp, rewriter: PatternRewriter) -> None:
        if not op.sites:
            rewriter.replace(op, bt.ConcatOp([]))


@dataclass(frozen=True)
class LosingPass(ModulePass):
    """Applies the pattern above."""

    name = "losing"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_lanes(op, LosingLanes())


class Nameless(sym.AbstractSymbolicPass):
    """Has no name."""

    def run(self, context: sym.SymbolicCompilationContext) -> None:
        """Do nothing."""


PRE = ("symbolic_validation", "symbolic_normalization", "symbolic_diagnostics")
POST = ("symbolic_fanout_analysis", "symbolic_fusion_planning")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"before": PRE[0]}, ("early", *PRE, *POST)),
        ({"after": PRE[0]}, (PRE[0], "early", *PRE[1:], *POST)),
        ({"after": PRE[2]}, (*PRE, "early", *POST)),
        ({"before": POST[0]}, (*PRE, "early", *POST)),
        ({"after": POST[1]}, (*PRE, *POST, "early")),
    ],
)
def test_a_symbolic_pass_is_inserted(where: Any, expected: tuple[str, ...]) -> None:
    pipeline = sym.default_symbolic_pass_pipeline()
    assert pipeline.insert(Early([]), **where) is pipeline
    assert pipeline.pass_names == expected
    is_early = next(iter(where.values())) in PRE
    assert ("early" in pipeline.pre_cache_names) is is_early
    assert ("early" in pipeline.post_cache_names) is not is_early


def test_pipelines_are_made_anew() -> None:
    sym.default_symbolic_pass_pipeline().insert(Early([]), after=PRE[0])
    assert sym.default_symbolic_pass_pipeline().pass_names == (*PRE, *POST)


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("cse,dce", {"after": "cse"}, "cse,mine{width=3},dce"),
        ("cse,dce", {"before": "cse"}, "mine{width=3},cse,dce"),
        ("cse,dce,cse", {"after": "cse"}, "cse,dce,cse,mine{width=3}"),
        ("dce,cse,dce,cse", {"before": "cse"}, "dce,mine{width=3},cse,dce,cse"),
    ],
)
def test_a_pass_over_ir_is_inserted(text: str, where: Any, expected: str) -> None:
    pipeline = sym.default_symbolic_pass_pipeline(text)
    assert pipeline.insert(MyPass(), **where) is pipeline
    assert ",".join(pipeline.lowering.names) == expected.replace("{width=3}", "")
    assert len(pipeline.lowering) == text.count(",") + 2
    assert [one for one in pipeline.lowering if isinstance(one, MyPass)] == [MyPass()]
    assert "mine" in str(pipeline.lowering)


@pytest.mark.parametrize(
    ("new", "where"),
    [
        (Early([]), {}),
        (Early([]), {"after": PRE[0], "before": PRE[1]}),
        (Early([]), {"after": "cse"}),
        (Early([]), {"after": "nothing"}),
        (MyPass(), {"after": PRE[0]}),
        (MyPass(), {"before": "nothing"}),
        (Nameless(), {"after": PRE[0]}),
        ("cse", {"after": "cse"}),
        (Early, {"after": PRE[0]}),
    ],
)
def test_what_cannot_be_inserted(new: Any, where: Any) -> None:
    pipeline = sym.default_symbolic_pass_pipeline()
    before = repr(pipeline)
    with pytest.raises(sym.SymbolicCompilerError) as error:
        pipeline.insert(new, **where)
    assert error.value.code == "C009"
    assert repr(pipeline) == before


def test_a_name_comes_once() -> None:
    pipeline = sym.default_symbolic_pass_pipeline().insert(Early([]), after=PRE[0])
    with pytest.raises(sym.SymbolicCompilerError, match="'early'") as error:
        pipeline.insert(Early([]), after=POST[0])
    assert error.value.code == "C009"
    assert pipeline.pass_names.count("early") == 1
    with pytest.raises(sym.SymbolicCompilerError, match="C009"):
        sym.SymbolicPassPipeline([Early([])], [Early([])])


def test_a_pipeline_needs_a_pass_before_the_cache() -> None:
    with pytest.raises(sym.SymbolicCompilerError, match="C009"):
        sym.SymbolicPassPipeline([], [Late([])])


def test_passes_run_in_their_stage() -> None:
    log: list[str] = []
    pipeline = sym.SymbolicPassPipeline([Early(log), Noting(log)], [Late(log)])
    operator = field()
    context = sym.SymbolicCompilationContext(
        operator,
        operator.to_ir(),
        sym.SymbolicCompilerOptions(),
        pipeline.lowering,
    )
    pipeline.run_pre_cache(context)
    assert log == ["early", "noting"]
    pipeline.run_post_cache(context)
    assert log == ["early", "noting", "late"]
    stages = [(r.pass_name, r.stage) for r in context.pass_reports]
    assert stages == [
        ("early", "pre-cache"),
        ("noting", "pre-cache"),
        ("late", "post-cache"),
    ]


@pytest.mark.parametrize(
    "text", [OPERATOR_PIPELINE, KERNEL_PIPELINE.format(batch=8, state="f64"), "cse", ""]
)
def test_a_lowering_prints_as_its_text(text: str) -> None:
    lowering = LoweringPipeline.parse(text)
    printed = str(lowering).replace('"', "")
    assert printed.replace(" ", "") == text.replace(" ", "")
    assert str(LoweringPipeline.parse(str(lowering))) == str(lowering)
    assert repr(lowering) == f"LoweringPipeline.parse({str(lowering)!r})"


@pytest.mark.parametrize("text", ["cse dce", "nothing", "bt-specialize{batch=}", ",,"])
def test_a_text_that_is_no_lowering(text: str) -> None:
    with pytest.raises(sym.SymbolicCompilerError) as error:
        LoweringPipeline.parse(text)
    assert error.value.code == "C008"
    assert repr(text) in str(error.value.found)


def test_a_lowering_leaves_its_input_alone() -> None:
    module = field().to_ir().module
    before = str(module)
    LoweringPipeline.parse(OPERATOR_PIPELINE).run(module)
    assert str(module) == before


@pytest.mark.parametrize("run", ["run", "run_and_verify"])
def test_a_broken_input_is_not_blamed_on_a_pass(run: str) -> None:
    module = field().to_ir().module
    next(op for op in module.walk() if op.name == "sym.read").detach()
    with pytest.raises(sym.SymbolicCompilerError, match="C001") as error:
        getattr(LoweringPipeline.parse("cse"), run)(module)
    assert error.value.pass_name is None


def test_an_input_whose_fault_is_lowered_away_is_found() -> None:
    lowered = lower_to_bt(field().to_ir().module)
    leaf = next(op for op in lowered.walk() if isinstance(op, bt.BranchesOp))
    leaf.origins = bt.LanesAttr(LaneOrigins.plain(range(99), 99))
    pipeline = kernel_pipeline(3, "i8", lowered)
    with pytest.raises(sym.SymbolicCompilerError, match="C001") as error:
        pipeline.run_and_verify(lowered)
    assert error.value.pass_name is None


def test_the_last_report_says_what_the_error_says() -> None:
    trace = Trace()
    pipeline = LoweringPipeline.parse(OPERATOR_PIPELINE).inserted(DroppingPass(), 0)
    with pytest.raises(sym.SymbolicCompilerError) as error:
        pipeline.run_and_verify(field().to_ir().module, trace=trace)
    assert trace.reports[-1].pass_name == "dropping"
    assert trace.reports[-1].error == error.value.found


@pytest.mark.parametrize("run", ["run", "run_and_verify"])
@pytest.mark.parametrize(
    ("wrong", "code"), [(DroppingPass(), "C001"), (RaisingPass(), "C002")], ids=str
)
@pytest.mark.parametrize("text", ["cse", OPERATOR_PIPELINE])
def test_the_pass_that_is_wrong_is_named(
    text: str, wrong: ModulePass, code: str, run: str
) -> None:
    pipeline = LoweringPipeline.parse(text).inserted(wrong, 0)
    with pytest.raises(sym.SymbolicCompilerError) as error:
        getattr(pipeline, run)(field().to_ir().module)
    assert (error.value.code, error.value.pass_name) == (code, wrong.name)


def test_what_is_verified_once_is_the_same() -> None:
    module = field().to_ir().module
    pipeline = LoweringPipeline.parse(OPERATOR_PIPELINE)
    assert str(pipeline.run_and_verify(module)) == str(pipeline.run(module))


@pytest.mark.parametrize(
    "other", [{}, {"sites": 4}, {"sites": 4, "dtype": "float32"}], ids=str
)
def test_a_lowering_to_another_operator_is_found(other: dict[str, Any]) -> None:
    compiler = sym.SymbolicCompiler()
    compiler.pipeline.insert(OtherOperatorPass(**other), after="convert-sym-to-bt")
    with pytest.raises(sym.SymbolicCompilerError, match="C001") as error:
        compiler.compile(field())
    assert error.value.operator == "field"
    assert "tensor<?x7x4x!bt.state>" in str(error.value.expected)
    assert "tensor<?x2x" in str(error.value.found)


def test_lost_branches_are_found() -> None:
    compiler = sym.SymbolicCompiler()
    compiler.pipeline.insert(LosingPass(), after="convert-sym-to-bt")
    with pytest.raises(sym.SymbolicCompilerError, match="C001") as error:
        compiler.compile(field())
    assert error.value.operator == "field"
    assert error.value.found == "3 branches of 'term0' in none"


def test_pruned_branches_are_not_lost() -> None:
    builder = (
        sym.DOperator(sym.qubit(4), "flips").for_each_site("i").emit(sym.flip("i"))
    )
    operator = builder.for_each_site("i").emit(amplitude=0.0).build()
    assert operator.compile(opt_level=3).max_conn_size == 4
