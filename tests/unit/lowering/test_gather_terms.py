"""Terms of one structure that are apart: lanes move, and their origins say where."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest import mock

import jax
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import symir as sr
from dialects import bt
from dialects.interpreters.sym import connections
from dialects.origins import LaneOrigins
from dialects.stablehlo import constant
from lowering.bt.lanes import connections_in
from lowering.relations import Relation
from lowering.sym import sym_fuse_terms
from lowering.sym.sym_fuse_terms import fusible_groups
from symir.compiler.lowering import LoweringPipeline, lower_to_bt
from symir.validation.check import PIPELINE, check
from symir.validation.comparison import Connected, compare
from tests.unit.lowering.programs import Program, programs
from tests.unit.lowering.test_fuse_terms import (
    compile_planned,
    name_of,
    only_operator,
    variant,
)
from tests.unit.lowering.test_meaning import assert_same, run
from tests.unit.lowering.test_undefined_and_reductions import (
    programs as programs_with_sets,
)

GATHER = "sym-plan-fusion,sym-gather-terms"
FUSE = f"{GATHER},sym-fuse-terms"

Array = npt.NDArray[Any]
Draw = Any

i, j = sr.site("i").value, sr.site("j").value


MAX_GROUPS = 16


@pytest.fixture(autouse=True)
def a_small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small operators have many groups."""
    monkeypatch.setattr(sym_fuse_terms, "MAX_GROUPS", MAX_GROUPS)


@contextmanager
def always_gathered() -> Generator[None]:
    """Gather whatever saves a group."""
    with mock.patch.object(sym_fuse_terms, "MAX_GROUPS", 0):
        yield


def lane_of(before: LaneOrigins, after: LaneOrigins) -> list[int]:
    """Return for each lane that there was which one it is now.

    The promised lanes of a term cannot be told apart: they keep their order.
    """
    place: dict[bytes, list[int]] = {}
    for number, branches in enumerate(after):
        place.setdefault(branches.tobytes(), []).append(number)
    return [place[branches.tobytes()].pop(0) for branches in before]


def moved(lanes: tuple[Array, Array], places: list[int]) -> tuple[Array, Array]:
    """Return the lanes in the order that they had before they changed places."""
    return lanes[0][..., places, :], lanes[1][..., places]


@pytest.fixture(autouse=True)
def _x64() -> object:  # pyright: ignore[reportUnusedFunction]
    with jax.enable_x64(True):
        yield


# region Any operator


@st.composite
def mixed_terms(draw: Draw, source: st.SearchStrategy[Program]) -> Any:
    """Draw an operator whose terms of one structure are apart, and all its states."""
    program = draw(source)
    module = program.module()
    operator = only_operator(module)
    terms = operator.terms
    for turn in range(draw(st.integers(1, 2))):
        for term in terms:
            operator.body.block.add_op(variant(draw, term, f"{name_of(term)}_{turn}"))
    module.verify()
    return module, program.configurations


SOURCES = st.one_of(
    mixed_terms(programs(("f64", "f32", "complex<f64>"))),
    mixed_terms(programs_with_sets()),
)


@settings(max_examples=15)
@given(SOURCES)
def test_each_lane_is_where_its_origin_says(case: tuple[ModuleOp, Any]) -> None:
    module, states = case
    expected = connections(module, states)
    before = only_operator(module).lane_origins()
    with always_gathered():
        gathered, fused = run(module, GATHER), run(module, FUSE)
    for result in (gathered, fused):
        places = lane_of(before, only_operator(result).lane_origins())
        assert_same(expected, moved(connections(result, states), places))
    found = bt.origins_of(connections_in(lower_to_bt(fused))[0].branches)
    assert found is not None
    after = only_operator(fused).lane_origins()
    assert [*map(bytes, found)] == [*map(bytes, after)]


@settings(max_examples=8)
@given(SOURCES)
def test_what_was_gathered_is_not_gathered_again(case: tuple[ModuleOp, Any]) -> None:
    with always_gathered():
        once = run(case[0], FUSE)
        assert run(once, FUSE).is_structurally_equivalent(once)


# endregion
# region A Hamiltonian whose terms take turns


def in_turns(turns: int, *, fanouts: bool = True) -> sr.SymbolicOperator:
    """Return flips and couplings that take turns, with terms of a fanout in between."""
    builder = sr.DOperator(sr.spin(0.5, 4), "in_turns")
    for k in range(turns):
        pair = [(k % 4, (k + 1) % 4)]
        builder = (
            builder.for_each("i", over=[k % 4, (k + 2) % 4])
            .named(f"flip{k}")
            .emit(sr.flip("i"), amplitude=0.5 + k, tag="x")
            .for_each(("i", "j"), over=pair)
            .named(f"couple{k}")
            .emit(amplitude=(1 + k) * i * j)
            .emit(sr.swap("i", "j"), amplitude=0.25 * (k + 1))
        )
        if fanouts and k % 3 == 0:
            builder = (
                builder.for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3)])
                .named(f"promise{k}")
                .where(i != j)
                .emit(sr.swap("i", "j"), amplitude=float(k + 1))
                .fanout(3)
            )
    return builder.build()


def compiled(operator: sr.SymbolicOperator, **options: Any) -> Any:
    return sr.SymbolicCompiler().compile(operator, options)


def keeps_order(artifact: Any) -> bool:
    """Whether all lanes are in the order of the operator."""
    (end,) = connections_in(artifact.branch_tensors)
    origins = bt.origins_of(end.branches)
    assert origins is not None
    return origins.ragged[0].tolist() == [*range(origins.branches)]


def test_few_groups_keep_their_order() -> None:
    operator = in_turns(MAX_GROUPS // 2, fanouts=False)
    groups = fusible_groups(operator.to_ir().operator)
    assert [len(group) for group in groups] == [1] * MAX_GROUPS
    artifact = compiled(operator)
    assert keeps_order(artifact)
    assert [one.term for one in artifact.branch_layout()[:4]] == [
        *("flip0", "flip0"),
        *("couple0", "couple0"),
    ]


def test_many_groups_become_one_for_each_structure() -> None:
    operator = in_turns(20, fanouts=False)
    groups = fusible_groups(operator.to_ir().operator)
    assert [len(group) for group in groups] == [20, 20]
    assert groups[0] == tuple(f"flip{k}" for k in range(20))
    artifact = compiled(operator)
    assert artifact.ir("bt").count("= bt.branches") == 3  # the emissions of two terms
    assert not keeps_order(artifact)
    assert keeps_order(compiled(operator, enable_fusion=False))


def test_groups_stay_apart_where_gathering_saves_none() -> None:
    builder = sr.DOperator(sr.spin(0.5, 2), "chain")
    for power in range(MAX_GROUPS + 4):
        amplitude: Any = i
        for _ in range(power):
            amplitude = amplitude * i + 1
        builder = builder.for_each("i", over=[0]).emit(amplitude=amplitude)
    operator = builder.build()
    assert len(fusible_groups(operator.to_ir().operator)) == MAX_GROUPS + 4
    assert keeps_order(compiled(operator))


def test_a_plan_of_the_users_may_gather_terms() -> None:
    artifact = compile_planned(("term0", "term2"))
    assert [one.term for one in artifact.branch_layout()] == ["term0", "term2", "term1"]
    _, elements = artifact.compiled_operator.get_conn_padded(np.zeros(3, np.int8))
    assert np.asarray(elements).tolist() == [0, 2, 1]


def test_the_layout_names_the_origin_of_each_lane() -> None:
    operator = in_turns(10)
    x = operator.space.all_states()
    plain = compiled(operator, enable_fusion=False)
    artifact = compiled(operator)
    layout, before = artifact.branch_layout(), plain.branch_layout()
    assert layout != before
    assert sorted(map(str, layout)) == sorted(map(str, before))
    assert [one.term for one in layout[:20]] == [f"flip{k // 2}" for k in range(20)]
    assert {one.tag for one in layout[:20]} == {"x"}
    place: dict[Any, list[int]] = {}
    for number, origin in enumerate(layout):
        place.setdefault(origin, []).append(number)
    places = [place[origin].pop(0) for origin in before]
    xp, elements = map(np.asarray, artifact.compiled_operator.get_conn_padded(x))
    assert_same(connections(operator.to_ir().module, x), moved((xp, elements), places))


@pytest.mark.parametrize("fanouts", [False, True])
@pytest.mark.parametrize("options", [{}, {"coalesce": "diagonal"}, {"opt_level": 3}])
def test_the_branches_are_those_of_the_reference(
    fanouts: bool, options: dict[str, Any]
) -> None:
    operator = in_turns(9 if fanouts else 12, fanouts=fanouts)
    x = operator.space.all_states()
    expected = Connected(*connections(operator.to_ir().module, x))
    found = compiled(operator, **options).compiled_operator.get_conn_padded(x)
    relation = Relation.SUM_PER_TARGET if "coalesce" in options else Relation.MULTISET
    result = compare(relation, x, expected, Connected(*map(np.asarray, found)))
    assert result.difference is None


def test_the_diagonal_is_summed_over_gathered_terms() -> None:
    operator = in_turns(12, fanouts=False)
    artifact = compiled(operator, coalesce="diagonal")
    first, *others = artifact.lane_sources()
    assert [(one.term, one.emission) for one in first] == [
        (f"couple{k}", 0) for k in range(12)
    ]
    assert all(len(one) == 1 for one in others)
    rest = [(one.term, one.row, one.emission) for (one,) in others]
    assert rest == [
        *((f"flip{k}", row, 0) for k in range(12) for row in range(2)),
        *((f"couple{k}", 0, 1) for k in range(12)),
    ]


@pytest.mark.parametrize("coalesce", ["none", "diagonal"])
def test_every_pass_keeps_its_word(coalesce: str) -> None:
    operator = in_turns(9)
    artifact = compiled(operator, coalesce=coalesce, validate="exhaustive")
    summary = artifact.manifest()["metadata"]["validation"]
    assert summary["ok"]
    assert summary["mode"] == "exhaustive"
    assert summary["relations"]["sym-gather-terms"] == "multiset"
    assert summary["relations"]["sym-fuse-terms"] == "equal"


def test_what_was_gathered_can_be_an_operator_of_its_own() -> None:
    operator = in_turns(12)
    module = run(operator.to_ir().module, GATHER)
    again = sr.SymbolicOperator.from_ir(sr.SymbolicOperatorIR(module), operator.hilbert)
    artifact = compiled(again, enable_fusion=False)
    # It knows the order that it came from, so the layout is the same as at once
    assert artifact.branch_layout() == compiled(operator).branch_layout()


@dataclass(frozen=True)
class ScaleOneTerm(ModulePass):
    """A mistake: a term in the middle has another amplitude."""

    name = "scale-one-term"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        terms = only_operator(op).terms
        emission = terms[len(terms) // 2].emissions[-1]
        kind = cast(Any, emission.amplitude.type).element_type
        block = cast(Any, emission.parent_block())
        new = constant(np.array(777.0), kind)
        block.insert_op_before(new, emission)
        emission.operands[1] = new.results[0]


def test_a_mistake_behind_it_is_blamed_on_the_term_that_has_moved() -> None:
    operator = in_turns(12, fanouts=False)
    pipeline = LoweringPipeline.parse(PIPELINE)
    places = {name: number for number, name in reversed([*enumerate(pipeline.names)])}
    # In front of it, behind it, and at the end of the level
    for name, place in {
        "sym-gather-terms": ("flip6", 0),
        "sym-fuse-terms": ("couple0", 1),
        "sym-expand-updates": ("couple0", 1),
        "convert-sym-to-bt": ("couple0", 1),
    }.items():
        lowering = pipeline.inserted(ScaleOneTerm(), places[name])
        blamed = check(operator, lowering=lowering, executable=False).blamed
        assert blamed is not None
        assert blamed.name == "scale-one-term"
        assert blamed.origin is not None
        assert (blamed.origin.term, blamed.origin.emission) == place


# endregion
