"""What users do with the compiler, from end to end, and what each step promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Never

import jax
import netket as nk
import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import symir as sym
from dialects.interpreters.sym import branches
from lowering.sym.sym_expand_updates import SymExpandUpdatesPass
from symir.compiler import (
    OPERATOR_PIPELINE,
    AbstractSymbolicPass,
    JAXSymbolicLowerer,
    compile_operator,
    default_symbolic_compiler,
)
from symir.operator.ir import SymbolicOperatorIR
from tests.unit.symir.compiler.doubles import (
    DroppingPass,
    Noting,
    RaisingPass,
    demo,
    field,
    i,
    noting_compiler,
)

PRE_CACHE = [
    "symbolic_validation",
    "symbolic_normalization",
    "symbolic_diagnostics",
]
POST_CACHE = ["symbolic_fanout_analysis", "symbolic_fusion_planning"]
LOWERING = [part.partition("{")[0] for part in OPERATOR_PIPELINE.split(",")]

STATES = np.array([[0, 1, 2], [2, 2, 0]], np.int8)


@pytest.fixture(params=["symir", "netket"])
def hilbert(request: pytest.FixtureRequest) -> Any:
    return sym.fock(2, 3) if request.param == "symir" else nk.hilbert.Fock(2, 3)


def connections_of(compiled: Any, x: Any = STATES) -> tuple[Any, Any]:
    xp, mels = compiled.get_conn_padded(x)
    return np.asarray(xp), np.asarray(mels)


# region Entry points and inspection


def test_the_entry_points_run_the_same(hilbert: Any) -> None:
    sym_op = demo(hilbert)
    compiler = sym.SymbolicCompiler()
    compiled = [
        sym_op.compile(cache=True),
        sym_op.compile(cache=False),
        sym_op.compile(),
        compiler.compile_operator(sym_op),
        compiler.compile(sym_op).compiled_operator,
        compile_operator(sym_op, compiler=compiler),
    ]
    expected = sym_op.compile(backend_preference="reference").get_conn_padded(STATES)
    for one in compiled:
        assert one.hilbert is hilbert
        for ours, theirs in zip(connections_of(one), expected, strict=True):
            assert (ours == theirs).all()


def test_the_convenience_path_uses_the_compiler_of_the_process(hilbert: Any) -> None:
    sym_op = demo(hilbert, amplitude=17.25)
    default_symbolic_compiler().clear_cache()
    before = default_symbolic_compiler().cache_size
    sym_op.compile(cache=False)
    assert default_symbolic_compiler().cache_size == before
    sym_op.compile(cache=True)
    assert default_symbolic_compiler().cache_size == before + 1
    assert len(sym.default_symbolic_artifact_store()) == before + 1
    sym_op.compile()
    assert default_symbolic_compiler().cache_size == before + 1


def test_the_inspection_workflow(hilbert: Any) -> None:
    sym_op = demo(hilbert)
    ir = sym_op.to_ir()
    assert (ir.operator_name, ir.term_count) == ("demo", 1)
    assert len(ir.static_fingerprint()) == 64
    assert "sym.shift" in str(ir)

    artifact = sym.SymbolicCompiler().compile(sym_op)
    assert artifact.backend == "jax"
    assert artifact.lowerer_name == "jax_symbolic_v1"
    assert len(artifact.cache_token()) == 64
    names = [report.pass_name for report in artifact.pass_reports]
    assert names == PRE_CACHE + POST_CACHE + LOWERING
    assert artifact.operator_ir == ir
    assert artifact.operator_name == "demo"

    xp, mels = artifact.compiled_operator.get_conn_padded(STATES)
    assert xp.shape == (2, 3, 3)
    assert mels.shape == (2, 3)


def test_the_compiler_says_what_it_is_made_of() -> None:
    compiler = sym.SymbolicCompiler()
    assert compiler.pass_names == tuple(PRE_CACHE + POST_CACHE)
    assert compiler.lowerer_names == ("jax_symbolic_v1", "reference_v1")


# endregion
# region Stages


class Inspecting(AbstractSymbolicPass):
    """Keeps the context that it is given."""

    name = "inspecting"
    contexts: list[sym.SymbolicCompilationContext]

    def __init__(self) -> None:
        self.contexts = []

    def run(self, context: sym.SymbolicCompilationContext) -> None:
        self.contexts.append(context)


def test_the_context_has_all_that_passes_need(hilbert: Any) -> None:
    inspecting = Inspecting()
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(inspecting, after="symbolic_fusion_planning")
    compiler = sym.SymbolicCompiler(pipeline=pipeline)
    sym_op = demo(hilbert)
    compiler.compile(sym_op, {"cache_namespace": "mine"}, {"run": 7})
    compiler.compile(demo(hilbert, 2.0))
    context, other = inspecting.contexts
    assert context is not other
    assert context.operator is sym_op
    assert context.ir == sym_op.to_ir()
    assert context.options == sym.SymbolicCompilerOptions(cache_namespace="mine")
    assert context.metadata == {"run": 7}
    assert (context.selected_backend, context.selected_lowerer) == (
        "jax",
        "jax_symbolic_v1",
    )
    assert context.analyses == {
        "validation_summary": {
            "is_valid": True,
            "errors": (),
            "term_count": 1,
            "emission_count": 1,
            "free_symbols": (),
            "unbound_symbols": (),
        },
        "ir_fingerprint": sym_op.to_ir().static_fingerprint(),
        "resolved_backend": "jax",
        "term_order": ("term0",),
        "diagnostics": (),
        "term_fanouts": {"term0": 3},
        "total_fanout": 3,
        "fusion_groups": (("term0",),),
    }


def test_analyses_come_stage_by_stage() -> None:
    log: list[str] = []
    compiler = noting_compiler(log)
    early, late = Noting(log), Noting(log)
    early.__class__ = type("First", (Noting,), {"name": "first"})
    late.__class__ = type("Last", (Noting,), {"name": "last"})
    compiler.pipeline.insert(early, after="early").insert(
        late, after="symbolic_fusion_planning"
    )
    artifact = compiler.compile(field())
    known = ["validation_summary", "ir_fingerprint", "resolved_backend", "term_order"]
    assert list(early.seen) == [*known, "early"]
    derived = ["late", "term_fanouts", "total_fanout", "fusion_groups"]
    seen = [*known, "early", "first", "diagnostics", *derived]
    assert list(late.seen) == seen
    assert late.seen["term_order"] == ("term0", "term1")
    assert late.seen["term_fanouts"] == {"term0": 3, "term1": 4}
    assert late.seen["total_fanout"] == 7
    assert late.seen["fusion_groups"] == (("term0",), ("term1",))
    assert artifact.metadata["total_fanout"] == 7


class Delegating:
    """An operator that notes that its IR is asked for."""

    def __init__(self, operator: sym.SymbolicOperator, log: list[str]):
        self.operator = operator
        self.log = log

    def to_ir(self) -> SymbolicOperatorIR:
        self.log.append("to_ir")
        return self.operator.to_ir()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operator, name)


def test_the_call_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    compiler = noting_compiler(log)

    def note(owner: Any, name: str, text: str) -> None:
        original = getattr(owner, name)

        def noted(*args: Any, **options: Any) -> Any:
            log.append(text)
            return original(*args, **options)

        monkeypatch.setattr(owner, name, noted)

    note(compiler.pipeline, "run_pre_cache", "run_pre_cache")
    note(compiler.pipeline, "run_post_cache", "run_post_cache")
    note(compiler.lowerer_registry, "resolve", "resolve")
    note(sym.SymbolicCompilationSignature, "from_context", "from_context")
    build_cache_key = sym.SymbolicCompilationSignature.build_cache_key

    def noted_key(
        self: sym.SymbolicCompilationSignature, *, namespace: str
    ) -> sym.SymbolicCacheKey:
        log.append(f"build_cache_key({namespace})")
        return build_cache_key(self, namespace=namespace)

    monkeypatch.setattr(sym.SymbolicCompilationSignature, "build_cache_key", noted_key)

    operator: Any = Delegating(field(), log)
    always = ["to_ir", "run_pre_cache", "early", "from_context"]
    always += ["build_cache_key(symir)", "get"]
    on_misses = ["run_post_cache", "late", "resolve", "supports", "lower", "put"]
    missed = compiler.compile(operator)
    assert log == always + on_misses
    log.clear()
    assert compiler.compile(operator) is missed
    assert log == always
    log.clear()
    compiler.compile(operator, {"cache_enabled": False})
    assert log == always[:-1] + on_misses[:-1]


# endregion
# region The cache


def test_hits_and_misses(hilbert: Any) -> None:
    log: list[str] = []
    compiler = noting_compiler(log)
    first = compiler.compile(demo(hilbert))
    log.clear()
    second = compiler.compile(demo(hilbert))
    assert log == ["early", "get"]
    assert second.cache_token() == first.cache_token()
    assert second.pass_reports == first.pass_reports
    assert second.compiled_operator.hilbert is hilbert
    log.clear()
    compiler.compile(demo(hilbert, amplitude=2.0))
    assert log == ["early", "get", "late", "supports", "lower", "put"]


def test_manual_cache_control(hilbert: Any) -> None:
    compiler = sym.SymbolicCompiler()
    assert compiler.cache_size == 0
    first = compiler.compile(demo(hilbert))
    assert compiler.cache_size == 1
    compiler.compile(demo(hilbert))
    assert compiler.cache_size == 1
    compiler.compile(demo(hilbert, 2.0))
    assert compiler.cache_size == 2
    compiler.clear_cache()
    assert compiler.cache_size == 0
    again = compiler.compile(demo(hilbert))
    assert again is not first
    assert again.cache_key == first.cache_key


def test_without_a_cache_there_is_no_token(hilbert: Any) -> None:
    compiler = sym.SymbolicCompiler()
    artifact = compiler.compile(demo(hilbert), {"cache_enabled": False})
    assert artifact.cache_key is None
    assert compiler.cache_size == 0
    with pytest.raises(sym.SymbolicCompilerError, match="C011") as error:
        artifact.cache_token()
    assert error.value.operator_name == "demo"


def test_equal_operators_on_symir_and_netket_share_the_artifact() -> None:
    compiler = sym.SymbolicCompiler()
    ours, theirs = sym.fock(2, 3), nk.hilbert.Fock(2, 3)
    first = compiler.compile(demo(ours))
    second = compiler.compile(demo(theirs))
    assert compiler.cache_size == 1
    assert second.cache_key == first.cache_key
    assert first.compiled_operator.hilbert is ours
    assert second.compiled_operator.hilbert is theirs


# endregion
# region Options and observability


def test_options_of_a_compiler_hold_where_a_call_names_others() -> None:
    options = sym.SymbolicCompilerOptions(cache_namespace="mine", enable_fusion=False)
    compiler = sym.SymbolicCompiler(options=options)
    plain = compiler.compile(field())
    named = compiler.compile(field(), {"verify_passes": False})
    given = compiler.compile(field(), sym.SymbolicCompilerOptions())
    keys = [artifact.cache_key for artifact in (plain, named, given)]
    assert [key.namespace for key in keys if key] == ["mine", "mine", "symir"]
    assert len({artifact.cache_token() for artifact in (plain, named, given)}) == 3


def test_enable_fusion_decides_the_plan_and_not_the_numbers() -> None:
    b = sym.DOperator(sym.spin(0.5, 3), "two")
    for amplitude in (1.0, 2.0):
        b = b.for_each_site("i").emit(sym.flip("i"), amplitude=amplitude)
    operator, compiler = b.build(), sym.SymbolicCompiler()
    fused = compiler.compile(operator)
    apart = compiler.compile(operator, {"enable_fusion": False})
    assert fused.metadata["fusion_groups"] == (("term0", "term1"),)
    assert apart.metadata["fusion_groups"] == (("term0",), ("term1",))
    x = operator.space.all_states()
    for ours, theirs in zip(
        connections_of(fused.compiled_operator, x),
        connections_of(apart.compiled_operator, x),
        strict=True,
    ):
        assert (ours == theirs).all()


def test_the_observability_template(hilbert: Any) -> None:
    operator = demo(hilbert)
    artifact = sym.SymbolicCompiler().compile(operator, metadata={"seed": 3})
    assert artifact.cache_key is not None
    record = {
        "fingerprint": operator.to_ir().static_fingerprint(),
        "namespace": artifact.cache_key.namespace,
        "token": artifact.cache_token(),
        "options": sym.SymbolicCompilerOptions().as_dict(),
        "passes": [(r.pass_name, r.duration_ms) for r in artifact.pass_reports],
        "lowerer": artifact.lowerer_name,
        "lanes": artifact.metadata_map()["total_padded_size"],
    }
    assert json.loads(json.dumps(record))["lanes"] == 3 == operator.max_conn_size
    assert record["fingerprint"] == artifact.operator_ir.static_fingerprint()
    assert all(report.duration_ms >= 0 for report in artifact.pass_reports)
    assert artifact.metadata_map()["seed"] == 3


# endregion
# region Failure triage


def failure(
    compiler: sym.SymbolicCompiler, operator: Any, options: Any = None
) -> sym.SymbolicCompilerError:
    with pytest.raises(sym.SymbolicCompilerError) as error:
        compiler.compile(operator, options)
    assert error.value.hint
    assert compiler.cache_size == 0
    return error.value


def test_a_failing_extraction() -> None:
    class Broken:
        name = "broken"

        def to_ir(self) -> Never:
            raise KeyError("no IR")

    error = failure(sym.SymbolicCompiler(), Broken())
    assert (error.code, error.stage, error.pass_name) == ("C014", "extraction", None)
    assert error.operator_name == "broken"
    assert isinstance(error.__cause__, KeyError)
    assert "to_ir()" in str(error.hint)
    assert "KeyError: 'no IR'" in str(error)
    assert error.pass_reports == ()


def test_a_definition_error_of_an_extraction_keeps_what_it_knows() -> None:
    class Wrong:
        name = "wrong"

        def to_ir(self) -> Never:
            raise sym.DefinitionError(
                "D001", "no label", term="t", expected="'i'", hint="bind it"
            )

    error = failure(sym.SymbolicCompiler(), Wrong())
    assert (error.code, error.stage, error.term) == ("C014", "extraction", "t")
    assert (error.expected, error.found, error.hint) == (
        "'i'",
        "[D001] no label",
        "bind it",
    )
    assert error.location == error.__cause__.location  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


def test_what_is_no_operator_fails_the_extraction() -> None:
    error = failure(sym.SymbolicCompiler(), "tfim")
    assert (error.stage, error.operator_name) == ("extraction", "str")


@pytest.mark.parametrize(
    ("anchor", "stage", "ran", "hint"),
    [
        ("symbolic_validation", "pre-cache", PRE_CACHE[:1], "labels"),
        (
            "symbolic_fanout_analysis",
            "post-cache",
            PRE_CACHE + POST_CACHE[:1],
            "fusion",
        ),
    ],
)
@pytest.mark.parametrize(
    ("make", "code", "found"),
    [
        (lambda: ZeroDivisionError("boom"), "C010", "ZeroDivisionError: boom"),
        (lambda: sym.DefinitionError("D001", "no label"), "C010", "[D001] no label"),
        (lambda: sym.SymbolicCompilerError("C007", "-", found="x"), "C007", "x"),
    ],
)
def test_a_failing_symbolic_pass(
    anchor: str,
    stage: str,
    ran: list[str],
    hint: str,
    make: Callable[[], Exception],
    code: str,
    found: str,
) -> None:
    raised = make()
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(Noting([], raised), after=anchor)
    error = failure(sym.SymbolicCompiler(pipeline=pipeline), field())
    assert (error.code, error.stage, error.pass_name) == (code, stage, "noting")
    assert error.operator_name == "field"
    assert error is raised or error.__cause__ is raised
    assert hint in str(error.hint)
    assert error.found == found
    assert [report.pass_name for report in error.pass_reports] == [*ran, "noting"]
    assert [bool(report.error) for report in error.pass_reports] == [
        *[False] * len(ran),
        True,
    ]
    assert "pass 'noting'" in str(error)


def test_no_lowerer() -> None:
    compiler = sym.SymbolicCompiler(lowerer_registry=sym.SymbolicLowererRegistry())
    error = failure(compiler, field())
    assert (error.code, error.stage, error.pass_name) == ("C013", "lowering", None)
    assert error.operator_name == "field"
    assert "'jax'" in str(error.expected)
    assert [r.pass_name for r in error.pass_reports] == PRE_CACHE + POST_CACHE


class BrokenLowerer(JAXSymbolicLowerer):
    """Raises."""

    name = "broken"

    def lower(self, context: sym.SymbolicCompilationContext) -> Never:
        raise NotImplementedError("no such op")


class EmptyLowerer(JAXSymbolicLowerer):
    """Forgets to return an artifact."""

    name = "empty"

    def lower(self, context: sym.SymbolicCompilationContext) -> Any:
        return None


def test_a_failing_lowerer() -> None:
    compiler = sym.SymbolicCompiler()
    compiler.lowerer_registry.register_first(BrokenLowerer())
    error = failure(compiler, field())
    assert (error.code, error.stage, error.pass_name) == ("C014", "lowering", None)
    assert isinstance(error.__cause__, NotImplementedError)
    assert "backend" in str(error.hint)


def test_a_lowerer_that_returns_no_artifact() -> None:
    compiler = sym.SymbolicCompiler()
    compiler.lowerer_registry.register_first(EmptyLowerer())
    error = failure(compiler, field())
    assert (error.code, error.stage, error.found) == ("C014", "lowering", "None")
    assert "'empty'" in str(error)


@pytest.mark.parametrize(
    ("broken", "code"), [(RaisingPass(), "C002"), (DroppingPass(), "C001")]
)
def test_a_failing_pass_over_ir(broken: ModulePass, code: str) -> None:
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(broken, after="convert-sym-to-bt")
    error = failure(sym.SymbolicCompiler(pipeline=pipeline), field())
    assert (error.code, error.stage) == (code, "lowering")
    assert (error.pass_name, error.operator_name) == (broken.name, "field")
    assert error.__cause__ is not None
    last = error.pass_reports[-1]
    assert (last.pass_name, last.stage, last.error) == (
        broken.name,
        "lowering",
        error.found,
    )
    before = LOWERING[: LOWERING.index("convert-sym-to-bt") + 1]
    names = [r.pass_name for r in error.pass_reports if r.stage == "lowering"]
    assert names == [*before, broken.name]


def test_a_lowering_that_stops_too_early_is_found() -> None:
    error = failure(
        sym.SymbolicCompiler(), field(), {"lowering": "sym-expand-updates,cse"}
    )
    assert (error.code, error.stage) == ("C009", "lowering")
    assert error.found == "'sym.operator'"


def test_strict_validation_stops_and_its_absence_notes() -> None:
    inspecting, compiler = Inspecting(), sym.SymbolicCompiler()
    compiler.pipeline.insert(inspecting, after="symbolic_validation")
    operator = field(dtype="float64")
    with jax.enable_x64(False):
        error = failure(compiler, operator)
        assert (error.code, error.stage) == ("C004", "pre-cache")
        assert error.pass_name == "symbolic_validation"
        with pytest.warns(sym.PrecisionWarning):
            artifact = compiler.compile(operator, {"strict_validation": False})
        single = field(dtype="float32").compile()
        ours = connections_of(artifact.compiled_operator, np.ones(4, np.int8))
        theirs = connections_of(single, np.ones(4, np.int8))
    assert ours[1].dtype == np.float32
    assert (ours[1] == theirs[1]).all()
    summary = inspecting.contexts[-1].require_analysis("validation_summary")
    assert summary["is_valid"] is False
    assert summary["errors"] == (f"[C004] {error.message}",)
    assert summary == artifact.pass_reports[0].metadata["validation_summary"]


# endregion
# region What runs


def test_the_static_shape_contract(hilbert: Any) -> None:
    compiled = demo(hilbert).compile()
    space = sym.as_space(hilbert)
    shapes: set[Any] = set()
    for seed in range(4):
        xp, mels = connections_of(compiled, space.random_states(5, seed))
        shapes.add((xp.shape, mels.shape))
    assert shapes == {((5, 3, 3), (5, 3))}
    xp, mels = connections_of(compiled, np.zeros(3, np.int8))
    assert (xp == 0).all()
    assert (mels == 0).all()
    xp, mels = connections_of(compiled, np.zeros((2, 0, 3), np.int8))
    assert (xp.shape, mels.shape) == ((2, 0, 3, 3), (2, 0, 3))


def test_the_output_is_a_multiset(hilbert: Any) -> None:
    twice = (
        sym.DOperator(hilbert, "twice")
        .for_each("i", over=[1, 1])
        .emit(sym.shift("i", 1), amplitude=1.5)
        .emit(sym.shift("i", 1), amplitude=2.5)
        .build()
    )
    xp, mels = connections_of(twice.compile(), np.array([0, 1, 0], np.int8))
    assert xp.tolist() == [[0, 2, 0]] * 4
    assert mels.tolist() == [1.5, 2.5, 1.5, 2.5]


def test_the_one_sample_view_is_what_the_kernel_computes(hilbert: Any) -> None:
    operator = demo(hilbert, amplitude=sym.sqrt(i))
    module = operator.to_ir().module
    (source,) = module.ops
    xp, mels = connections_of(operator.compile())
    for x, found_states, found in zip(STATES, xp, mels, strict=True):
        expected = branches(source, x)  # pyright: ignore[reportArgumentType]
        valid = [branch.valid for branch in expected]
        assert (found != 0).tolist() == valid
        for k, branch in enumerate(expected):
            assert found_states[k].tolist() == (
                branch.config.tolist() if branch.valid else x.tolist()
            )
            assert found[k] == (branch.amplitude if branch.valid else 0)


# endregion
# region Extensions


class CountBranches(AbstractSymbolicPass):
    """A custom pass: an analysis for others."""

    name = "count_branches"

    def run(self, context: sym.SymbolicCompilationContext) -> Mapping[str, Any]:
        return {"branches": context.ir.metadata["branches"]}


class LoudLowerer(JAXSymbolicLowerer):
    """A custom lowerer that is for operators with an analysis of a custom pass."""

    name = "loud"

    def supports(self, context: sym.SymbolicCompilationContext) -> bool:
        total = context.require_analysis("total_fanout")
        return total == context.require_analysis("branches")


def test_a_custom_pass_and_a_custom_lowerer() -> None:
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(CountBranches(), after="symbolic_fanout_analysis")
    registry = sym.default_symbolic_lowerer_registry()
    registry.register_first(LoudLowerer())
    compiler = sym.SymbolicCompiler(pipeline=pipeline, lowerer_registry=registry)
    assert compiler.lowerer_names == ("loud", "jax_symbolic_v1", "reference_v1")
    artifact = compiler.compile(field())
    assert artifact.lowerer_name == "loud"
    assert artifact.pass_reports[4].pass_name == "count_branches"
    assert artifact.pass_reports[4].metadata == {"branches": 7}
    few = sym.DOperator(sym.qubit(3), "few").for_each_site("i").where(i > 0)
    few = few.emit(sym.flip("i")).fanout(2).build()
    assert compiler.compile(few).lowerer_name == "jax_symbolic_v1"


@dataclass(frozen=True)
class TagPass(ModulePass):
    """A custom pass over IR: it leaves a note on the module."""

    name = "tag"
    text: str = "here"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        from xdsl.dialects.builtin import StringAttr

        op.attributes["tag"] = StringAttr(self.text)


def test_a_pass_over_ir_is_inserted_by_name_and_position() -> None:
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(TagPass(), after="convert-sym-to-bt")
    position = LOWERING.index("convert-sym-to-bt") + 1
    expected = [*LOWERING[:position], "tag", *LOWERING[position:]]
    artifact = sym.SymbolicCompiler(pipeline=pipeline).compile(field())
    lowering = [r.pass_name for r in artifact.pass_reports if r.stage == "lowering"]
    assert lowering == expected
    assert 'tag = "here"' in artifact.ir("bt")


def test_the_lowering_is_a_text() -> None:
    assert str(sym.default_symbolic_pass_pipeline().lowering) == OPERATOR_PIPELINE
    text = (
        "sym-guard-undefined,sym-expand-updates,sym-forward-reads,"
        "sym-guard-space,convert-sym-to-bt"
    )
    pipeline = sym.default_symbolic_pass_pipeline(lowering=text)
    assert str(pipeline.lowering) == text
    by_pipeline = sym.SymbolicCompiler(pipeline=pipeline).compile(field())
    by_option = sym.SymbolicCompiler().compile(field(), {"lowering": text})
    by_method = field().compile(lowering=text)
    for artifact in (by_pipeline, by_option):
        names = [r.pass_name for r in artifact.pass_reports if r.stage == "lowering"]
        assert ",".join(names) == text
    assert by_pipeline.cache_token() != by_option.cache_token()
    x = sym.spin(0.5, 4).all_states()
    expected = connections_of(field().compile(), x)
    for compiled in (by_pipeline.compiled_operator, by_method):
        for ours, theirs in zip(connections_of(compiled, x), expected, strict=True):
            assert (ours == theirs).all()


def test_the_option_wins_over_the_pipeline() -> None:
    pipeline = sym.default_symbolic_pass_pipeline(lowering="cse")
    compiler = sym.SymbolicCompiler(pipeline=pipeline)
    inspecting = Inspecting()
    compiler.pipeline.insert(inspecting, after="symbolic_validation")
    compiler.compile(field(), {"lowering": OPERATOR_PIPELINE})
    assert str(inspecting.contexts[0].lowering) == OPERATOR_PIPELINE
    with pytest.raises(sym.SymbolicCompilerError, match="C009"):
        compiler.compile(field())


def test_an_expanding_pass_given_in_python() -> None:
    """A stock pass can be put in twice: it finds nothing to do the second time."""
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(SymExpandUpdatesPass(), after="sym-expand-updates")
    artifact = sym.SymbolicCompiler(pipeline=pipeline).compile(field())
    reports = [r for r in artifact.pass_reports if r.pass_name == "sym-expand-updates"]
    assert len(reports) == 2
    assert reports[1].ops_before == reports[1].ops_after


# endregion
