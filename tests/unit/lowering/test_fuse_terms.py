"""Fusing terms keeps every branch in its lane; terms that differ are left alone."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FusedLoc, ModuleOp, StringAttr
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo

import symir as sr
from dialects import sym
from dialects.interpreters.sym import connections
from dialects.stablehlo import dense, to_numpy
from dialects.tables import RowTable, SiteSets
from dialects.text import parse_module
from lowering.sym.sym_fuse_terms import fusible_groups, mark_groups
from tests.unit.lowering.programs import NUMBERS, Program, programs
from tests.unit.lowering.test_kernels import assert_compiled_is_interpreted
from tests.unit.lowering.test_meaning import assert_same, run
from tests.unit.lowering.test_undefined_and_reductions import (
    programs as programs_with_sets,
)
from tests.unit.symir.constructs import CONSTRUCTS

FUSE = "sym-plan-fusion,sym-fuse-terms"
Draw = Any


def only_operator(module: ModuleOp) -> sym.OperatorOp:
    operator = module.body.block.first_op
    assert isinstance(operator, sym.OperatorOp)
    return operator


def terms_of(module: ModuleOp) -> tuple[sym.TermOp, ...]:
    return only_operator(module).terms


def name_of(term: sym.TermOp) -> str:
    return term.sym_name.data


# region Random operators


def variant(draw: Draw, term: sym.TermOp, name: str) -> sym.TermOp:
    """Return a term of the same structure, with other rows and constants."""
    rows = term.rows.data
    places = st.integers(0, max(rows.rows - 1, 0))
    kept = np.array(draw(st.lists(places, max_size=3 if rows.rows else 0)), np.int64)
    columns = [
        sym.ColumnAttr(
            column.label,
            dense(to_numpy(column.values)[kept], column.values.get_element_type()),
        )
        for column in term.data_columns
    ]
    sets = [
        sym.SetsAttr(SiteSets.from_sets([one.data.row(k) for k in kept.tolist()]))
        for one in term.site_sets
    ]
    body = term.body.clone()
    for op in body.walk():
        if isinstance(op, hlo.ConstantOp) and draw(st.booleans()):
            kind = op.value.get_element_type()
            value = draw(st.sampled_from(NUMBERS))
            op.value = dense(np.array(value).astype(to_numpy(op.value).dtype), kind)
    table = RowTable(len(kept), rows.labels, rows.array[kept].tobytes())
    return sym.TermOp(name, sym.RowsAttr(table), body, columns, sets)


@st.composite
def several_terms(draw: Draw, source: st.SearchStrategy[Program]) -> Any:
    """Draw an operator with runs of terms of one structure, and all its states."""
    program = draw(source)
    module = program.module()
    for term in terms_of(module):
        for k in range(draw(st.integers(0, 3))):
            block = term.parent
            assert block is not None
            block.insert_op_after(variant(draw, term, f"{name_of(term)}_{k}"), term)
    module.verify()
    return module, program.configurations


SOURCES = st.one_of(
    several_terms(programs(("f64", "f32", "complex<f64>"))),
    several_terms(programs_with_sets()),
)


@settings(max_examples=50)
@given(SOURCES)
def test_fusion_keeps_every_branch_in_its_lane(case: tuple[ModuleOp, Any]) -> None:
    module, states = case
    fused = run(module, FUSE)
    assert len(terms_of(fused)) <= len(terms_of(module))
    assert all(term.group is None for term in terms_of(fused))
    assert_same(connections(module, states), connections(fused, states))


@settings(max_examples=10)
@given(SOURCES)
def test_fused_kernels_connect_what_the_operator_says(
    case: tuple[ModuleOp, Any],
) -> None:
    module, states = case
    # The marks mean nothing to the interpreter, and fuse in the compiler.
    assert_compiled_is_interpreted(run(module, "sym-plan-fusion"), states)


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_every_construct_is_fused_with_its_like(name: str) -> None:
    once = CONSTRUCTS[name](3)
    module = (once + once).to_ir().module
    result = run(module, FUSE)
    before, after = len(terms_of(module)), len(terms_of(result))
    if before == 2 and terms_of(module)[0].fanout is None:
        assert after == 1
    states = once.space.random_states(4, 0)
    parameters = dict.fromkeys(once.to_ir().free_symbols, 0.75)
    assert_same(
        connections(module, states, parameters),
        connections(result, states, parameters),
    )


@settings(max_examples=20)
@given(SOURCES)
def test_what_was_fused_is_not_fused_again(case: tuple[ModuleOp, Any]) -> None:
    fused = run(case[0], FUSE)
    alone = tuple((name_of(term),) for term in terms_of(fused))
    assert fusible_groups(fused) == alone


# endregion
# region What is fused

ONE = "%c = stablehlo.constant dense<1.0> : tensor<f64>"
TWO = "%c = stablehlo.constant dense<2.0> : tensor<f64>"
EMIT = "sym.emit %x, %c : tensor<f64>"


def operator(*terms: str, element: str = "f64", parameters: str = "") -> ModuleOp:
    """Parse an operator on three sites with the terms @a, @b, .. in order."""
    text = "\n".join(
        f"sym.term @{chr(97 + k)} {term}\n}}" for k, term in enumerate(terms)
    )
    return parse_module(
        f"sym.operator @o({parameters}) space #sym.space<3 x [0, 1]> "
        f"element {element} {{\n{text}\n}}"
    )


def term(
    *lines: str,
    rows: str = "[0], [1]",
    more: str = "",
    arguments: str = "%i : !sym.site",
) -> str:
    first = f"^bb0(%x : !sym.config, {arguments}):"
    return "\n".join([f"over #sym.rows<{rows}> {more} {{", first, *lines])


def fused(module: ModuleOp) -> list[str]:
    """Fuse what can be, check the branches, and return the names of the terms."""
    result = run(module, FUSE)
    states = np.array([[0, 1, 1], [1, 0, 1]], np.int8)
    assert_same(connections(module, states), connections(result, states))
    return [name_of(one) for one in terms_of(result)]


def test_constants_that_differ_become_data() -> None:
    result = run(operator(term(ONE, EMIT), term(TWO, EMIT, rows="[2]")), FUSE)
    (one,) = terms_of(result)
    assert list(one.rows.data) == [[0], [1], [2]]
    (column,) = one.data_columns
    assert to_numpy(column.values).tolist() == [1, 1, 2]


def test_constants_that_agree_stay() -> None:
    (one,) = terms_of(run(operator(term(ONE, EMIT), term(ONE, EMIT)), FUSE))
    assert one.data_columns == ()


def test_constants_of_one_value_share_a_column() -> None:
    def twice(value: str) -> str:
        other = value.replace("%c", "%d")
        product = "%e = stablehlo.multiply %c, %d : tensor<f64>"
        return term(value, other, product, "sym.emit %x, %e : tensor<f64>")

    module = operator(twice(ONE), twice(TWO))
    assert fused(module) == ["a+b"]
    assert len(terms_of(run(module, FUSE))[0].data_columns) == 1


def test_negative_zero_and_zero_are_two_constants() -> None:
    zero, minus = ("%c = stablehlo.constant dense<{}> : tensor<f64>",) * 2
    inverse = "%d = stablehlo.divide %one, %c : tensor<f64>"
    one = ONE.replace("%c", "%one")
    emit = "sym.emit %x, %d : tensor<f64>"
    module = operator(
        term(one, zero.format("0.0"), inverse, emit),
        term(one, minus.format("-0.0"), inverse, emit),
    )
    _, elements = connections(run(module, FUSE), np.zeros(3, np.int8))
    assert elements.tolist() == [np.inf, np.inf, -np.inf, -np.inf]


def test_complex_constants_become_complex_data() -> None:
    def own(value: str) -> str:
        constant = f"%c = stablehlo.constant dense<{value}> : tensor<complex<f64>>"
        return term(constant, "sym.emit %x, %c : tensor<complex<f64>>")

    module = operator(own("(1.0, 2.0)"), own("(1.0, -2.0)"), element="complex<f64>")
    (one,) = terms_of(run(module, FUSE))
    values = to_numpy(one.data_columns[0].values)
    assert values.tolist() == [1 + 2j, 1 + 2j, 1 - 2j, 1 - 2j]
    assert fused(module) == ["a+b"]


REDUCE = """%s = sym.reduce sum over %set : tensor<f64> {{
^bb1(%here : !sym.site):
  %k = stablehlo.constant dense<{}> : tensor<f64>
  %n = sym.read %x[%here] : tensor<f64>
  %m = stablehlo.add %n, %k : tensor<f64>
  sym.yield %m : tensor<f64>
}}
sym.emit %x, %s : tensor<f64>"""


def test_sets_of_different_width_and_constants_in_reductions() -> None:
    arguments = "%i : !sym.site, %set : !sym.sites"
    module = operator(
        term(
            REDUCE.format("1.0"),
            more="sets [#sym.sets<[0, 1, 2], []>]",
            arguments=arguments,
        ),
        term(
            REDUCE.format("0.5"),
            more="sets [#sym.sets<[], [2]>]",
            arguments=arguments,
        ),
    )
    assert fused(module) == ["a+b"]
    (one,) = terms_of(run(module, FUSE))
    assert [*one.site_sets[0].data] == [[0, 1, 2], [], [], [2]]
    states = np.array([[0, 1, 1], [1, 1, 1], [0, 0, 0]], np.int8)
    assert_compiled_is_interpreted(run(module, "sym-plan-fusion"), states)


def test_bounds_of_ranges_become_data() -> None:
    def own(stop: int) -> str:
        return term(
            "%from = stablehlo.constant dense<0> : tensor<i32>",
            f"%to = stablehlo.constant dense<{stop}> : tensor<i32>",
            REDUCE.format("1.0").replace("over %set", "from %from to %to"),
        )

    module = operator(own(1), own(3), own(0))
    assert fused(module) == ["a+b+c"]
    states = np.array([[0, 1, 1], [1, 1, 1]], np.int8)
    assert_compiled_is_interpreted(run(module, "sym-plan-fusion"), states)


def test_sites_that_are_constants_become_data() -> None:
    def own(site: int) -> str:
        return term(
            ONE,
            f"%n = stablehlo.constant dense<{site}> : tensor<i32>",
            "%s = sym.site %n : tensor<i32>",
            "%v = sym.read %x[%s] : tensor<f64>",
            "%w = stablehlo.subtract %c, %v : tensor<f64>",
            "%y = sym.write %x[%s], %w : tensor<f64>",
            "sym.emit %y, %c : tensor<f64>",
            rows="[0]",
        )

    # The lattice has no site 7: that branch is not valid.
    module = operator(own(2), own(7), own(0))
    assert fused(module) == ["a+b+c"]
    states = np.array([[0, 1, 1], [1, 1, 1]], np.int8)
    assert_compiled_is_interpreted(run(module, "sym-plan-fusion"), states)


def test_columns_are_joined_whatever_their_names() -> None:
    def own(label: str, values: str, constant: str) -> str:
        product = "%e = stablehlo.multiply %c, %J : tensor<f64>"
        return term(
            constant,
            product,
            "sym.emit %x, %e : tensor<f64>",
            more=f'data [#sym.column<"{label}", dense<{values}> : tensor<2xf64>>]',
            arguments="%i : !sym.site, %J : tensor<f64>",
        )

    module = operator(own("constant0", "[1.0, 2.0]", ONE), own("J", "[3.0, 4.0]", TWO))
    assert fused(module) == ["a+b"]
    (one,) = terms_of(run(module, FUSE))
    columns = {c.label.data: to_numpy(c.values).tolist() for c in one.data_columns}
    assert columns == {"constant0": [1, 2, 3, 4], "constant0_1": [1, 1, 2, 2]}


def test_tags_that_differ_are_dropped() -> None:
    def own(first: str, second: str) -> str:
        emit = 'sym.emit %x, %c tag "{}" : tensor<f64>'
        return term(ONE, emit.format(first), emit.format(second))

    (one,) = terms_of(run(operator(own("same", "one"), own("same", "two")), FUSE))
    tags = [None if e.tag is None else e.tag.data for e in one.emissions]
    assert tags == ["same", None]


def test_terms_without_rows() -> None:
    own = term(ONE, EMIT, rows="0 x 1")
    module = operator(own, term(TWO, EMIT), own)
    assert fused(module) == ["a+b+c"]
    assert fused(operator(own, own)) == ["a+b"]


def test_fused_ops_know_all_their_origins() -> None:
    text = operator(term(ONE, EMIT), term(TWO, EMIT))
    ir = sr.SymbolicOperatorIR.from_text(str(text), file="two.mlir")
    (one,) = terms_of(run(ir.module, FUSE))
    for op in (one, one.emissions[0]):
        assert isinstance(op.location, FusedLoc)
        assert len(cast(Any, op.location.locations).data) == 2


def test_names_stay_unique() -> None:
    module = operator(term(ONE, EMIT), term(TWO, EMIT), term(ONE, EMIT, EMIT))
    terms_of(module)[2].sym_name = StringAttr("a+b")
    assert fused(module) == ["a+b_1", "a+b"]


def test_a_thousand_terms_become_one() -> None:
    module = operator(term(ONE, EMIT, rows="[0]"))
    block = only_operator(module).body.block
    (first,) = terms_of(module)
    for k in range(1, 1000):
        other = first.clone()
        other.sym_name = StringAttr(f"a{k}")
        for op in other.walk():
            if isinstance(op, hlo.ConstantOp):
                op.value = dense(np.array(float(k)), op.value.get_element_type())
        block.add_op(other)
    result = run(module, FUSE)
    # One term with one emission; the constants are data.
    assert [op.name for op in result.walk()][1:] == [
        "sym.operator",
        "sym.term",
        "sym.emit",
    ]
    (one,) = terms_of(result)
    assert name_of(one) == "a+..+a999"
    assert to_numpy(one.data_columns[0].values).tolist() == [1, *range(1, 1000)]


# endregion
# region What is not

READ = "%v = sym.read %x[%i] : tensor<f64>"
H = '%h "h" : tensor<f64>, %g "g" : tensor<f64>'
SHIFT = "%y = sym.shift %x[{}] by %c : tensor<f64>"
TWO_SITES: dict[str, str] = {
    "rows": "[0, 1]",
    "arguments": "%i : !sym.site, %j : !sym.site",
}

COMPARE = "%p = stablehlo.compare {}, %c, %c : (tensor<f64>, tensor<f64>) -> tensor<i1>"
OVER_ALL = f"{ONE}\n{REDUCE.format('1.0').replace('over %set', '')}"
NEGATED = "%q = stablehlo.negate %c : tensor<f64>\n"


def at_site(number: str, kind: str) -> tuple[str, str]:
    constant = f"%n = stablehlo.constant dense<{number}> : tensor<{kind}>"
    return constant, f"%s = sym.site %n : tensor<{kind}>"


DIFFERENT = {
    "another op": (
        term(ONE, READ, "%e = stablehlo.add %c, %v : tensor<f64>", EMIT),
        term(ONE, READ, "%e = stablehlo.multiply %c, %v : tensor<f64>", EMIT),
    ),
    "operands in another order": (
        term(ONE, READ, "%e = stablehlo.subtract %c, %v : tensor<f64>", EMIT),
        term(ONE, READ, "%e = stablehlo.subtract %v, %c : tensor<f64>", EMIT),
    ),
    "another value": (
        term(ONE, SHIFT.format("%i"), EMIT, **TWO_SITES),
        term(ONE, SHIFT.format("%j"), EMIT, **TWO_SITES),
    ),
    "another property": (
        term(
            ONE,
            COMPARE.format("LT"),
            EMIT,
        ),
        term(
            ONE,
            COMPARE.format("GT"),
            EMIT,
        ),
    ),
    "an attribute": (
        term(ONE, READ, EMIT),
        term(ONE, READ.replace("[%i]", "[%i] {note}"), EMIT),
    ),
    "an attribute of the term": (
        term(ONE, EMIT),
        term(ONE, EMIT, more="attributes {note}"),
    ),
    "another reason": (
        term(ONE, '%y = sym.invalid "one"', "sym.emit %y, %c : tensor<f64>"),
        term(ONE, '%y = sym.invalid "two"', "sym.emit %y, %c : tensor<f64>"),
    ),
    "another parameter": (
        term("sym.emit %x, %h : tensor<f64>"),
        term("sym.emit %x, %g : tensor<f64>"),
    ),
    "a parameter and a constant": (
        term("sym.emit %x, %h : tensor<f64>"),
        term(ONE, EMIT),
    ),
    "a predicate": (
        term("%p = stablehlo.constant dense<true> : tensor<i1>", ONE, EMIT),
        term(
            "%p = stablehlo.constant dense<true> : tensor<i1>",
            ONE,
            "sym.emit %x, %c if %p : tensor<f64>",
        ),
    ),
    "another emission": (term(ONE, EMIT), term(ONE, EMIT, EMIT)),
    "another number of labels": (term(ONE, EMIT), term(ONE, EMIT, **TWO_SITES)),
    "constants of another type": (
        term(*at_site("1", "i32"), ONE, EMIT),
        term(*at_site("1.0", "f64"), ONE, EMIT),
    ),
    "a fanout": (term(ONE, EMIT, more="fanout 2"), term(ONE, EMIT)),
    "two fanouts": (
        term(ONE, EMIT, more="fanout 2"),
        term(ONE, EMIT, more="fanout 2"),
    ),
    "an op inside of a reduction or after it": (
        term(OVER_ALL.replace("sym.yield", f"{NEGATED}sym.yield"), EMIT),
        term(OVER_ALL.replace("sym.emit", f"{NEGATED}sym.emit"), EMIT),
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_terms_that_differ_are_left_alone(what: str) -> None:
    module = operator(*DIFFERENT[what], parameters=H)
    assert fusible_groups(module) == (("a",), ("b",))
    assert run(module, FUSE).is_structurally_equivalent(module)


def test_terms_that_are_no_neighbours_are_left_alone() -> None:
    module = operator(term(ONE, EMIT), term(ONE, EMIT, EMIT), term(TWO, EMIT))
    assert fusible_groups(module) == (("a",), ("b",), ("c",))
    assert run(module, FUSE).is_structurally_equivalent(module)


def test_terms_without_a_mark_are_left_alone() -> None:
    module = operator(term(ONE, EMIT), term(ONE, EMIT))
    assert run(module, "sym-fuse-terms").is_structurally_equivalent(module)


def test_a_plan_is_of_its_operator() -> None:
    first = operator(term(ONE, EMIT), term(TWO, EMIT))
    second = operator(term(ONE, EMIT), term(ONE, EMIT, EMIT))
    only_operator(second).sym_name = StringAttr("other")
    both = ModuleOp([only_operator(one).clone() for one in (first, second)])
    result = run(both, FUSE)
    found = [op.sym_name.data for op in result.walk() if isinstance(op, sym.TermOp)]
    assert found == ["a+b", "a", "b"]


# endregion
# region Plans


def three() -> ModuleOp:
    return operator(term(ONE, EMIT), term(TWO, EMIT), term(ONE, EMIT))


def test_a_plan_replaces_the_marks_that_are_there() -> None:
    module = three()
    mark_groups(module, [("a", "b", "c")])
    mark_groups(module, [("a",), ("b", "c")])
    names = [name_of(one) for one in terms_of(run(module, "sym-fuse-terms"))]
    assert names == ["a", "b+c"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([("b", "a")], "not in the order of the operator"),
        ([("a", "c", "b")], "not in the order of the operator"),
        ([("a", "none")], "no such term: it has @a, @b, @c"),
        ([("a", "b"), ("b", "c")], "the term @b twice"),
        ([("a", "a")], "the term @a twice"),
    ],
)
def test_plans_that_cannot_be_carried_out(
    groups: list[tuple[str, ...]], message: str
) -> None:
    with pytest.raises(PassFailedException, match=message):
        mark_groups(three(), groups)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("another op", "@a and @b differ in more than rows"),
        ("a fanout", "@a has a fanout"),
    ],
)
def test_groups_that_cannot_be_fused(what: str, message: str) -> None:
    with pytest.raises(PassFailedException, match=message):
        mark_groups(operator(*DIFFERENT[what], parameters=H), [("a", "b")])


@pytest.mark.parametrize(
    ("marks", "message"),
    [((0, None, 0), "not neighbours"), ((0, 1, 0), "@a, @c of @o")],
)
def test_marks_that_cannot_be_fused(
    marks: tuple[int | None, ...], message: str
) -> None:
    own = (
        term(ONE, EMIT, more="" if mark is None else f"group {mark}") for mark in marks
    )
    with pytest.raises(PassFailedException, match=message):
        run(operator(*own), "sym-fuse-terms")


class Planned(sr.AbstractSymbolicPass):
    """A plan of the user's, in place of the one that was found."""

    name = "planned"

    def __init__(self, *groups: tuple[str, ...]):
        self.groups = groups

    def run(self, context: sr.SymbolicCompilationContext) -> dict[str, Any]:
        return {"fusion_groups": self.groups}

    def signature(self) -> str:
        return f"{super().signature()}:{self.groups}"


def compile_planned(*groups: tuple[str, ...]) -> sr.SymbolicCompiledArtifact:
    builder = sr.DOperator(sr.fock(1, 3), "planned")
    for k in range(3):
        builder = builder.for_each("i", over=[k]).emit(sr.flip("i"), amplitude=k)
    pipeline = sr.default_symbolic_pass_pipeline()
    pipeline.insert(Planned(*groups), after="symbolic_fusion_planning")
    return sr.SymbolicCompiler(pipeline=pipeline).compile(builder.build())


@pytest.mark.parametrize(
    ("groups", "parts"),
    [
        ([], 3),
        ([("term0", "term1")], 2),
        ([("term0",), ("term1", "term2")], 2),
        ([("term0", "term1", "term2")], 1),
    ],
)
def test_a_plan_of_the_users_drives_the_compiler(
    groups: list[tuple[str, ...]], parts: int
) -> None:
    artifact = compile_planned(*groups)
    assert artifact.metadata_map()["fusion_groups"] == tuple(groups)
    assert artifact.ir("bt").count("bt.branches") == parts + artifact.ir("bt").count(
        "!bt.branches"
    )
    xp, mels = artifact.compiled_operator.get_conn_padded(np.zeros(3, np.int8))
    assert np.asarray(xp).tolist() == np.eye(3).tolist()
    assert np.asarray(mels).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "groups", [[("term2", "term0")], [("term0", "term7")], [("term1", "term1")]]
)
def test_a_plan_that_cannot_be_carried_out_is_an_error(
    groups: list[tuple[str, ...]],
) -> None:
    with pytest.raises(sr.SymbolicCompilerError) as caught:
        compile_planned(*groups)
    error = caught.value
    assert error.code == "C023"
    assert error.operator == "planned"
    assert error.stage == "lowering"
    assert groups[0][1] in (error.found or "")
    assert "terms of one structure" in (error.expected or "")
    assert "enable_fusion" in (error.hint or "")


# endregion
