"""The `sym` dialect from Python: constructors, views, effects and text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ComplexType,
    ModuleOp,
    StringAttr,
    TensorType,
    UnitAttr,
    f32,
    f64,
    i1,
    i32,
)
from xdsl.dialects.test import TestOp as SinkOp
from xdsl.interfaces import HasCanonicalizationPatternsInterface
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.pattern_rewriter import RewritePattern
from xdsl.traits import Pure, SymbolOpInterface, is_side_effect_free
from xdsl.transforms.common_subexpression_elimination import (
    CommonSubexpressionElimination,
)
from xdsl.transforms.dead_code_elimination import DeadCodeElimination
from xdsl.utils.exceptions import ParseError, VerifyException

from dialects import stablehlo, sym
from dialects.canonicalization import sym as patterns
from dialects.tables import NO_SITE, LocalSpace, RowTable, SiteSets
from dialects.text import Parser, context, parse_module, print_module

CONFIG, SITE, SITES = sym.ConfigType(), sym.SiteType(), sym.SitesType()
INDEX = TensorType(i32, [])
SCALAR = TensorType(f64, [])
BIT = TensorType(i1, [])
SPACE = sym.SpaceAttr(LocalSpace(3, ((0.0, 1.0),)))


def rows(*table: Sequence[int]) -> sym.RowsAttr:
    return sym.RowsAttr(RowTable.from_rows(table, labels=len(table[0])))


def column(label: str, values: Sequence[float]) -> sym.ColumnAttr:
    return sym.ColumnAttr(StringAttr(label), stablehlo.dense(values, f64))


def term_of(
    fill: Callable[[Block], Sequence[Operation]],
    *,
    name: str = "t",
    table: sym.RowsAttr | None = None,
    columns: Sequence[sym.ColumnAttr] = (),
) -> sym.TermOp:
    """Build a term over pairs of sites; `fill` builds the ops of its block."""
    table = rows([0, 1], [1, 2]) if table is None else table
    sites = [SITE] * table.data.labels
    block = Block(arg_types=[CONFIG, *sites, *[SCALAR] * len(columns)])
    block.add_ops(fill(block))
    return sym.TermOp(name, table, block, columns)


def diagonal(block: Block) -> list[Operation]:
    one = stablehlo.constant(1.0, f64)
    return [one, sym.EmitOp(block.args[0], one.output)]


def operator_of(*terms: sym.TermOp, element: Any = f64) -> sym.OperatorOp:
    return sym.OperatorOp("o", SPACE, element, Block(terms))


def verified(fill: Callable[[Block], Sequence[Operation]]) -> str:
    """Verify the ops that `fill` builds inside of an operator, and print it all."""
    operator = operator_of(
        term_of(lambda block: [*fill(block), *diagonal(block)]),
    )
    operator.verify()
    return print_module(operator)


# region Structure


def test_an_operator_has_its_parts() -> None:
    block = Block(arg_types=[SCALAR, SCALAR])
    term = term_of(diagonal)
    block.add_op(term)
    default = stablehlo.dense(0.5, f64)
    operator = sym.OperatorOp(
        "o",
        SPACE,
        f64,
        block,
        hermitian=True,
        parameter_names=["g", "h"],
        defaults=[default, None],
    )
    operator.verify()
    assert operator.sym_name.data == "o"
    assert operator.space is SPACE
    assert operator.element == f64
    assert operator.hermitian == UnitAttr()
    assert [name.data for name in operator.parameter_names] == ["g", "h"]
    assert list(operator.defaults) == [default, UnitAttr()]
    assert operator.terms == (term,)
    assert operator.body.block is block


def test_an_operator_needs_no_more_than_a_space_and_an_element() -> None:
    operator = sym.OperatorOp("o", SPACE, ComplexType(f32), Block())
    operator.verify()
    assert operator.hermitian is None
    assert operator.terms == ()
    assert list(operator.parameter_names) == list(operator.defaults) == []


def test_an_operator_takes_a_region_as_well() -> None:
    region = Region(Block())
    assert sym.OperatorOp("o", SPACE, f64, region).body is region


def test_a_term_has_its_parts() -> None:
    table, data = rows([0, 1], [1, 2]), [column("J", [1.0, 2.0])]
    term = term_of(diagonal, name="bonds", table=table, columns=data)
    operator_of(term).verify()
    assert term.sym_name.data == "bonds"
    assert term.rows is table
    assert term.data_columns == tuple(data)
    source, *sites, coupling = term.body.block.args
    assert term.source is source
    assert term.sites == tuple(sites)
    assert coupling.type == SCALAR
    assert [emit.config for emit in term.emissions] == [source]


def test_a_term_needs_no_data_and_no_labels() -> None:
    term = term_of(diagonal, table=rows([]))
    operator_of(term).verify()
    assert term.columns is None
    assert term.data_columns == ()
    assert term.sites == ()


def test_emissions_are_in_order_and_updates_are_none() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, j = block.args
        one = stablehlo.constant(1.0, f64)
        y = sym.SwapOp(x, i, j)
        return [
            one,
            sym.EmitOp(x, one.output, tag="first"),
            y,
            sym.EmitOp(y.result, one.output, tag="second"),
        ]

    term = term_of(fill)
    assert [emit.tag for emit in term.emissions] == [
        StringAttr("first"),
        StringAttr("second"),
    ]


def test_the_operator_of_an_op() -> None:
    term = term_of(diagonal)
    operator = operator_of(term)
    assert sym.operator_of(term) is operator
    assert sym.operator_of(term.emissions[0]) is operator
    with pytest.raises(VerifyException, match=r"'sym\.term' must be inside of a"):
        sym.operator_of(term_of(diagonal))


@pytest.mark.parametrize(
    ("element", "real"),
    [(f32, f32), (f64, f64), (ComplexType(f32), f32), (ComplexType(f64), f64)],
)
def test_the_real_type_of_an_element(element: Attribute, real: Attribute) -> None:
    assert sym.real_type(element) == real


# endregion
# region Constructors


def test_emit() -> None:
    def fill(block: Block) -> list[Operation]:
        x = block.args[0]
        one = stablehlo.constant(1.0, f64)
        p = stablehlo.constant(True, i1)
        full = sym.EmitOp(x, one.output, p.output, tag="a")
        bare = sym.EmitOp(x, one.output)
        assert (full.config, full.amplitude, full.predicate) == (
            x,
            one.output,
            p.output,
        )
        assert full.tag == StringAttr("a")
        assert bare.predicate is None
        assert bare.tag is None
        return [one, p, full, bare]

    text = verified(fill)
    assert 'sym.emit %0, %3 if %4 tag "a" : tensor<f64>' in text
    assert "sym.emit %0, %3 : tensor<f64>" in text


def test_read() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, _ = block.args
        op = sym.ReadOp(x, i, SCALAR)
        assert (op.config, op.site, op.result.type) == (x, i, SCALAR)
        return [op]

    assert "%3 = sym.read %0[%1] : tensor<f64>" in verified(fill)


def test_index() -> None:
    def fill(block: Block) -> list[Operation]:
        op = sym.IndexOp(block.args[2])
        assert (op.site, op.result.type) == (block.args[2], TensorType(i32, []))
        return [op]

    assert "%3 = sym.index %2" in verified(fill)


def test_allowed() -> None:
    def fill(block: Block) -> list[Operation]:
        value = stablehlo.constant(1.0, f64)
        op = sym.AllowedOp(value.output, block.args[1])
        assert (op.value, op.site) == (value.output, block.args[1])
        assert op.result.type == BIT
        return [value, op]

    assert "%4 = sym.allowed %3 at %1 : tensor<f64>" in verified(fill)


def test_write() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, _ = block.args
        value = stablehlo.constant(1.0, f64)
        op = sym.WriteOp(x, i, value.output)
        assert (op.config, op.site, op.value) == (x, i, value.output)
        assert op.result.type == CONFIG
        return [value, op]

    assert "%4 = sym.write %0[%1], %3 : tensor<f64>" in verified(fill)


def test_shift() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, _ = block.args
        value = stablehlo.constant(1.0, f64)
        op = sym.ShiftOp(x, i, value.output)
        assert (op.config, op.site, op.amount) == (x, i, value.output)
        assert op.result.type == CONFIG
        return [value, op]

    assert "%4 = sym.shift %0[%1] by %3 : tensor<f64>" in verified(fill)


def test_swap() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, j = block.args
        op = sym.SwapOp(x, i, j)
        assert (op.config, op.first, op.second) == (x, i, j)
        assert op.result.type == CONFIG
        return [op]

    assert "%3 = sym.swap %0[%1, %2]" in verified(fill)


def test_select() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, j = block.args
        p = stablehlo.constant(True, i1)
        y = sym.SwapOp(x, i, j)
        op = sym.SelectOp(p.output, y.result, x)
        assert (op.predicate, op.on_true, op.on_false) == (p.output, y.result, x)
        assert op.result.type == CONFIG
        return [p, y, op]

    assert "%5 = sym.select %3, %4, %0" in verified(fill)


def test_shift_mod() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, _ = block.args
        value = stablehlo.constant(1.0, f64)
        op = sym.ShiftModOp(x, i, value.output)
        assert (op.config, op.site, op.amount) == (x, i, value.output)
        assert op.result.type == CONFIG
        return [value, op]

    assert "%4 = sym.shift_mod %0[%1] by %3 : tensor<f64>" in verified(fill)


def test_affine() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, _ = block.args
        a, b = stablehlo.constant(1.0, f64), stablehlo.constant(2.0, f64)
        op = sym.AffineOp(x, i, a.output, b.output)
        assert (op.config, op.site, op.scale, op.bias) == (x, i, a.output, b.output)
        assert op.result.type == CONFIG
        return [a, b, op]

    assert "%5 = sym.affine %0[%1] scale %3 bias %4 : tensor<f64>" in verified(fill)


def test_permute() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, j = block.args
        op = sym.PermuteOp(x, [j, i, j])
        assert (op.config, *op.sites) == (x, j, i, j)
        assert op.result.type == CONFIG
        return [op]

    assert "%3 = sym.permute %0[%2, %1, %2]" in verified(fill)


def test_invalid() -> None:
    def fill(block: Block) -> list[Operation]:
        said, bare = sym.InvalidOp("a reason"), sym.InvalidOp()
        assert said.reason == StringAttr("a reason")
        assert bare.reason is None
        assert said.result.type == bare.result.type == CONFIG
        return [said, bare]

    text = verified(fill)
    assert '%3 = sym.invalid "a reason"\n' in text
    assert "%4 = sym.invalid\n" in text


@pytest.mark.parametrize(("element", "number"), [(i32, 1), (f64, 1.0)])
def test_site(element: Any, number: float) -> None:
    def fill(block: Block) -> list[Operation]:
        value = stablehlo.constant(number, element)
        op = sym.SiteOp(value.output)
        assert (op.number, op.result.type) == (value.output, SITE)
        return [value, op]

    assert f"%4 = sym.site %3 : tensor<{element}>" in verified(fill)


SETS = sym.SetsAttr(SiteSets.from_sets([[0, 1, 2], [2]]))


def with_sets(fill: Callable[[Block], Sequence[Operation]]) -> str:
    """Verify ops that may use the sets of a term, its last argument, and print all."""
    block = Block(arg_types=[CONFIG, SITE, SITE, SCALAR, SITES])
    block.add_ops([*fill(block), *diagonal(block)])
    table = rows([0, 1], [1, 2])
    term = sym.TermOp("t", table, block, [column("J", [1, 2])], [SETS])
    operator = operator_of(term)
    operator.verify()
    assert term.site_sets == (SETS,)
    assert term.set_of(block.args[4]) == SETS.data
    assert term.set_of(block.args[3]) is None
    return print_module(operator)


def test_element() -> None:
    ops: list[sym.ElementOp] = []

    def fill(block: Block) -> list[Operation]:
        ops.extend(sym.ElementOp(block.args[4], k) for k in (0, 1, 7))
        assert [op.position.value.data for op in ops] == [0, 1, 7]
        assert all(op.sites is block.args[4] for op in ops)
        assert all(op.result.type == SITE for op in ops)
        # not in a term: nothing is known
        assert ops[0].numbers is None
        assert sym.may_be_missing(ops[0].result)
        return list(ops)

    assert "%6 = sym.element %4[1]" in with_sets(fill)
    numbers = [op.numbers for op in ops]
    assert [None if n is None else n.tolist() for n in numbers] == [
        [0, 2],
        [1, NO_SITE],
        [NO_SITE, NO_SITE],
    ]
    assert [sym.may_be_missing(op.result) for op in ops] == [False, True, True]


def test_local_index() -> None:
    def fill(block: Block) -> list[Operation]:
        value = stablehlo.constant(1.0, f64)
        op = sym.LocalIndexOp(value.output, block.args[1])
        assert (op.value, op.site) == (value.output, block.args[1])
        assert op.result.type == SCALAR
        return [value, op]

    assert "%4 = sym.local_index %3 at %1 : tensor<f64>" in verified(fill)


def test_local_value() -> None:
    def fill(block: Block) -> list[Operation]:
        value = stablehlo.constant(1.0, f64)
        op = sym.LocalValueOp(value.output, block.args[1])
        assert (op.value, op.site) == (value.output, block.args[1])
        assert op.result.type == SCALAR
        return [value, op]

    assert "%4 = sym.local_value %3 at %1 : tensor<f64>" in verified(fill)


@pytest.mark.parametrize("kind", [i32, f64])
def test_lookup(kind: Any) -> None:
    def fill(block: Block) -> list[Operation]:
        index = stablehlo.constant(1, kind)
        table = stablehlo.dense([0.5, 1.0], f64)
        op = sym.LookupOp(table, index.output)
        assert (op.table, op.index, op.result.type) == (table, index.output, SCALAR)
        return [index, op]

    assert f"]> : tensor<2xf64> at %3 : tensor<{kind}> -> tensor<f64>" in verified(fill)


def test_own_rule() -> None:
    def fill(block: Block) -> list[Operation]:
        value = stablehlo.constant(1, f64)
        op = sym.OwnRuleOp(value.output, "f")
        assert (op.value, op.result.type) == (value.output, SCALAR)
        return [value, op]

    assert 'sym.own_rule %3 of "f" : tensor<f64>' in verified(fill)


def test_defined() -> None:
    def fill(block: Block) -> list[Operation]:
        value = stablehlo.constant(1, f64)
        op = sym.DefinedOp(value.output)
        assert (op.value, op.result.type) == (value.output, sym.PREDICATE)
        return [value, op]

    assert "sym.defined %3 : tensor<f64>" in verified(fill)


def body_of(value: SSAValue | None) -> Block:
    """The body of a reduction: of a value, or of the number of the site."""
    block = Block(arg_types=[SITE])
    if value is None:
        index = sym.IndexOp(block.args[0])
        block.add_op(index)
        value = index.result
    block.add_op(sym.YieldOp(value))
    return block


def test_reduce() -> None:
    def fill(block: Block) -> list[Operation]:
        a, b = stablehlo.constant(0, i32), stablehlo.constant(2, i32)
        p = stablehlo.constant(True, i1)
        kinds = sym.ReductionKind
        over = sym.ReduceOp(kinds.SUM, body_of(None), INDEX, sites=block.args[4])
        assert (over.sites, over.start, over.stop) == (block.args[4], None, None)
        between = sym.ReduceOp(
            kinds.ANY, Region(body_of(p.output)), BIT, start=a.output, stop=b.output
        )
        assert (between.start, between.stop) == (a.output, b.output)
        everywhere = sym.ReduceOp(kinds.PARITY, body_of(p.output), BIT)
        assert everywhere.kind.data is kinds.PARITY
        assert everywhere.sites is everywhere.start is everywhere.stop is None
        return [a, b, p, over, between, everywhere]

    text = with_sets(fill)
    assert "%8 = sym.reduce sum over %4 : tensor<i32> {" in text
    assert "%11 = sym.reduce any from %5 to %6 : tensor<i1> {" in text
    assert "%13 = sym.reduce parity : tensor<i1> {" in text


def test_yield() -> None:
    value = stablehlo.constant(1.0, f64)
    op = sym.YieldOp(value.output)
    assert op.value is value.output


def test_which_reductions_combine_numbers() -> None:
    numbers = {kind.value for kind in sym.ReductionKind if kind.combines_numbers}
    assert numbers == {"sum", "prod"}
    assert {kind.value for kind in sym.ReductionKind} == {
        *numbers,
        "any",
        "all",
        "parity",
    }


def test_every_op_has_a_test_of_its_constructor() -> None:
    tested = {name.removeprefix("test_") for name in globals()}
    names = {op.name.removeprefix("sym.") for op in sym.Sym.operations}
    assert names - tested == {"operator", "term"}  # above, in parts


# endregion
# region Attributes from Python


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (LocalSpace(0, ((0.0,),)), "at least one site"),
        (LocalSpace(3, ((0.0,), (1.0,))), "one per site: 3 sites, 2 lists"),
        (LocalSpace(2, ()), "one per site: 2 sites, 0 lists"),
        (LocalSpace(1, ((),)), "at least one local value"),
        (LocalSpace(1, ((0.0, np.nan),)), "must be finite"),
        (LocalSpace(1, ((1.0, 0.0),)), "must ascend and differ"),
    ],
)
def test_what_is_no_space(space: LocalSpace, message: str) -> None:
    with pytest.raises(VerifyException, match=message):
        sym.SpaceAttr(space)


def test_a_table_has_the_bytes_of_its_rows() -> None:
    with pytest.raises(VerifyException, match="2 rows and 3 labels cannot have 0"):
        sym.RowsAttr(RowTable(2, 3, b""))


local_states = st.lists(
    st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5
).map(lambda values: tuple(sorted(set(values))))


@given(
    st.one_of(
        st.builds(LocalSpace, st.integers(1, 1000), st.tuples(local_states)),
        st.lists(local_states, min_size=1, max_size=4).map(
            lambda lists: LocalSpace(len(lists), tuple(lists))
        ),
    )
)
def test_every_space_is_read_as_it_was_printed(space: LocalSpace) -> None:
    attribute = sym.SpaceAttr(space)
    assert Parser(context(), str(attribute)).parse_attribute() == attribute


@given(
    st.integers(0, 4).flatmap(
        lambda labels: st.builds(
            lambda table: RowTable.from_rows(table, labels=labels),
            st.lists(
                st.lists(
                    st.integers(-(2**31), 2**31 - 1), min_size=labels, max_size=labels
                ),
                max_size=6,
            ),
        )
    )
)
def test_every_table_is_read_as_it_was_printed(table: RowTable) -> None:
    attribute = sym.RowsAttr(table)
    assert Parser(context(), str(attribute)).parse_attribute() == attribute


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=4), max_size=5))
def test_every_site_set_is_read_as_it_was_printed(sets: list[list[int]]) -> None:
    attribute = sym.SetsAttr(SiteSets.from_sets(sets))
    assert Parser(context(), str(attribute)).parse_attribute() == attribute


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (SiteSets(2, 1, b"\0" * 4), "2 sets of up to 1 sites cannot have 4 bytes"),
        (
            SiteSets(1, 2, np.array([-1, 0], "<i4").tobytes()),
            "sets of sites are padded at their ends only",
        ),
    ],
)
def test_what_are_no_site_sets(sets: SiteSets, message: str) -> None:
    with pytest.raises(VerifyException, match=message):
        sym.SetsAttr(sets)


@pytest.mark.parametrize(
    "text",
    [
        "#sym.rows<[0,1],[1,2]>",
        "#sym.rows< [ 0 , 1 ] , [ 1 , 2 ] >",
        "#sym.rows<\n  [0, 1],\n  [1, 2]\n>",
        "#sym.rows<[0, 1], // the first\n [1, 2]>",
        "#sym.rows<[0x0, 0x1], [1, 2]>",
        "#sym.rows<[00, 01], [1, 2]>",
    ],
)
def test_a_table_may_be_laid_out_freely(text: str) -> None:
    assert Parser(context(), text).parse_attribute() == rows([0, 1], [1, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#sym.rows<[0, 1],>", r"'\[' expected"),
        ("#sym.rows<[0, 1] [1, 2]>", "'>' expected"),
        ("#sym.rows<[0 1]>", "']' expected"),
        ("#sym.rows<[0, 1,]>", "Expected integer literal"),
        ("#sym.rows<[0], [1, 2]>", "rows of unequal length"),
        ("#sym.rows<[99999999999999999999]>", "expected integers of 32 bits"),
        ("#sym.rows<[2147483648]>", "site numbers must fit into 32 bits"),
        ("#sym.rows<" + " ".join(["[0]"] * 60) + " x>", "'>' expected"),
    ],
)
def test_what_is_no_table_of_rows(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        Parser(context(), text).parse_attribute()


# endregion
# region Effects


def test_everything_but_structure_and_emission_is_pure() -> None:
    pure = {op.name for op in sym.Sym.operations if op.has_trait(Pure)}
    names = {op.name for op in sym.Sym.operations}
    assert names - pure == {"sym.operator", "sym.term", "sym.emit"}


def test_what_has_a_name_is_a_symbol() -> None:
    assert sym.OperatorOp.has_trait(SymbolOpInterface)
    assert sym.TermOp.has_trait(SymbolOpInterface)


def test_an_emission_has_an_effect() -> None:
    term = term_of(diagonal)
    assert not is_side_effect_free(term.emissions[0])
    assert not is_side_effect_free(term)


def constant_body() -> Block:
    """The body of a reduction that has an op of its own."""
    block = Block(arg_types=[SITE])
    number = stablehlo.constant(3.0, f64)
    block.add_ops([number, sym.YieldOp(number.output)])
    return block


def pure_ops(block: Block) -> list[Operation]:
    """One of each pure op of `sym`, none of them used by an emission."""
    x, i, j, sites = block.args
    p = stablehlo.constant(True, i1)
    value = sym.ReadOp(x, i, SCALAR)
    return [
        p,
        value,
        sym.IndexOp(i),
        sym.AllowedOp(value.result, j),
        sym.WriteOp(x, j, value.result),
        sym.ShiftOp(x, j, value.result),
        sym.SwapOp(x, i, j),
        sym.SelectOp(p.output, x, x),
        sym.ShiftModOp(x, j, value.result),
        sym.AffineOp(x, j, value.result, value.result),
        sym.PermuteOp(x, [i, j]),
        sym.InvalidOp("a reason"),
        sym.SiteOp(value.result),
        sym.ElementOp(sites, 1),
        sym.LocalIndexOp(value.result, j),
        sym.LocalValueOp(value.result, j),
        sym.LookupOp(stablehlo.dense([0.5, 1.0], f64), value.result),
        sym.OwnRuleOp(value.result, "f"),
        sym.DefinedOp(value.result),
        sym.ReduceOp(sym.ReductionKind.SUM, constant_body(), SCALAR, sites),
    ]


def term_with_sets(fill: Callable[[Block], Sequence[Operation]]) -> sym.TermOp:
    block = Block(arg_types=[CONFIG, SITE, SITE, SITES])
    block.add_ops(fill(block))
    return sym.TermOp("t", rows([0, 1], [1, 2]), block, sets=[SETS])


def names_in(module: ModuleOp) -> list[str]:
    structure = ("builtin.module", "sym.operator", "sym.term")
    return [op.name for op in module.walk() if op.name not in structure]


def test_dead_code_elimination_leaves_the_emissions() -> None:
    term = term_with_sets(lambda block: [*pure_ops(block), *diagonal(block)])
    module = ModuleOp([operator_of(term)])
    assert {name for name in names_in(module) if name.startswith("sym.")} == {
        op.name for op in sym.Sym.operations
    } - {"sym.operator", "sym.term"}
    DeadCodeElimination().apply(Context(), module)
    module.verify()
    assert names_in(module) == ["stablehlo.constant", "sym.emit"]


def test_common_subexpressions_are_merged() -> None:
    def fill(block: Block) -> list[Operation]:
        twice = [*pure_ops(block), *pure_ops(block)]
        sink = SinkOp(operands=[value for op in twice for value in op.results])
        return [*twice, sink, *diagonal(block), *diagonal(block)]

    module = ModuleOp([operator_of(term_with_sets(fill))])
    before = names_in(module)
    CommonSubexpressionElimination().apply(Context(), module)
    after = names_in(module)
    sink = next(op for op in module.walk() if isinstance(op, SinkOp))
    sink.detach()
    sink.erase()
    module.verify()
    for name in {op.name for op in sym.Sym.operations if op.has_trait(Pure)}:
        assert (before.count(name), after.count(name)) == (2, 1), name
    assert before.count("sym.emit") == after.count("sym.emit") == 2


def test_equal_emissions_are_two_branches() -> None:
    def fill(block: Block) -> list[Operation]:
        one = stablehlo.constant(1.0, f64)
        x = block.args[0]
        return [one, sym.EmitOp(x, one.output), sym.EmitOp(x, one.output)]

    module = ModuleOp([operator_of(term_of(fill))])
    CommonSubexpressionElimination().apply(Context(), module)
    DeadCodeElimination().apply(Context(), module)
    assert names_in(module).count("sym.emit") == 2


def test_reads_of_two_configurations_are_two_reads() -> None:
    def fill(block: Block) -> list[Operation]:
        x, i, j = block.args
        y = sym.SwapOp(x, i, j)
        a, b = sym.ReadOp(x, i, SCALAR), sym.ReadOp(y.result, i, SCALAR)
        total = stablehlo.AddOp(a.result, b.result)
        return [y, a, b, total, sym.EmitOp(y.result, total.result)]

    module = ModuleOp([operator_of(term_of(fill))])
    CommonSubexpressionElimination().apply(Context(), module)
    assert names_in(module).count("sym.read") == 2


def test_two_terms_share_nothing() -> None:
    module = ModuleOp(
        [operator_of(term_of(diagonal, name="a"), term_of(diagonal, name="b"))]
    )
    CommonSubexpressionElimination().apply(Context(), module)
    module.verify()
    assert names_in(module).count("stablehlo.constant") == 2


def test_every_canonicalization_pattern_is_offered_by_an_op() -> None:
    offered = {
        type(pattern)
        for op in sym.Sym.operations
        if issubclass(op, HasCanonicalizationPatternsInterface)
        for pattern in op.get_canonicalization_patterns()
    }
    written = {
        value
        for value in vars(patterns).values()
        if isinstance(value, type)
        and issubclass(value, RewritePattern)
        and value.__module__ == patterns.__name__
    }
    assert offered == written


# endregion
# region Text


@st.composite
def operators(draw: st.DrawFn) -> sym.OperatorOp:
    """Draw an operator: any element, parameters, tables, data, ops in random order."""
    real = draw(st.sampled_from([f32, f64]))
    element = draw(st.sampled_from([real, ComplexType(real)]))
    scalars = draw(st.lists(st.sampled_from([real, element]), max_size=3))
    number = st.floats(allow_nan=False, width=32)
    block = Block(arg_types=[TensorType(scalar, []) for scalar in scalars])
    amplitude = block.args[scalars.index(element)] if element in scalars else None
    for n in range(draw(st.integers(0, 3))):
        block.add_op(draw(_terms(f"t{n}", real, element, amplitude, number)))
    return sym.OperatorOp(
        draw(st.sampled_from(["o", "a b", "ψ"])),
        draw(
            st.sampled_from([SPACE, sym.SpaceAttr(LocalSpace(3, ((0.25, 1.0),) * 3))])
        ),
        element,
        block,
        hermitian=draw(st.booleans()),
        parameter_names=[f"p{n}" for n in range(len(scalars))],
        defaults=[
            stablehlo.dense(draw(number), scalar) if draw(st.booleans()) else None
            for scalar in scalars
        ],
    )


@st.composite
def _terms(
    draw: st.DrawFn,
    name: str,
    real: Any,
    element: Any,
    amplitude: SSAValue | None,
    number: st.SearchStrategy[float],
) -> sym.TermOp:
    labels = draw(st.integers(0, 3))
    site_rows = st.lists(st.integers(0, 2), min_size=labels, max_size=labels)
    table = RowTable.from_rows(draw(st.lists(site_rows, max_size=4)), labels=labels)
    columns = [
        sym.ColumnAttr(
            StringAttr(f"c{n}"),
            stablehlo.dense(np.linspace(0, 1, table.rows), real),
        )
        for n in range(draw(st.integers(0, 2)))
    ]
    scalar = TensorType(real, [])
    block = Block(arg_types=[CONFIG, *[SITE] * labels, *[scalar] * len(columns)])
    constant = stablehlo.constant(draw(number), real)
    block.add_op(constant)
    configs: list[SSAValue] = [block.args[0]]
    values: list[SSAValue] = [constant.output, *block.args[1 + labels :]]
    for _ in range(draw(st.integers(0, 6)) if labels else 0):
        config, value = draw(st.sampled_from(configs)), draw(st.sampled_from(values))
        i, j = (draw(st.sampled_from(block.args[1 : 1 + labels])) for _ in range(2))
        op = draw(
            st.sampled_from(
                [
                    lambda: sym.ReadOp(config, i, scalar),
                    lambda: sym.WriteOp(config, i, value),
                    lambda: sym.ShiftOp(config, j, value),
                    lambda: sym.SwapOp(config, i, j),
                ]
            )
        )()
        block.add_op(op)
        (configs if op.result.type == CONFIG else values).append(op.result)
    if amplitude is None:
        unit = stablehlo.constant(1.0, element)
        block.add_op(unit)
        amplitude = unit.output
    block.add_op(sym.EmitOp(draw(st.sampled_from(configs)), amplitude, tag=name))
    return sym.TermOp(name, sym.RowsAttr(table), block, columns)


@given(operators())
def test_an_operator_is_read_as_it_was_printed(operator: sym.OperatorOp) -> None:
    module = ModuleOp([operator])
    module.verify()
    text = print_module(module)
    again = parse_module(text)
    assert again.is_structurally_equivalent(module)
    assert print_module(again) == text


# endregion
