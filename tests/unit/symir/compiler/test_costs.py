"""The cost model: numbers that were counted by hand, and what holds for all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

import pytest

import symir as sym
from dialects import sym as dialect
from dialects.text import parse_module
from symir import models
from symir.compiler import OPERATOR_PIPELINE
from symir.compiler.costs import CostRow, CostTable, cost_table, expression_work

i, j = sym.site("i"), sym.site("j")
CHAIN = [(k, (k + 1) % 4) for k in range(4)]
SUMMED = f"{OPERATOR_PIPELINE},bt-coalesce-diagonal,canonicalize,cse"
COUNTED = ("flops", "selects", "bytes_read", "bytes_written")


def tfim() -> sym.SymbolicOperator:
    return models.transverse_field_ising(4, CHAIN)


def bosons() -> sym.SymbolicOperator:
    return models.bose_hubbard(sym.fock(2, 3), [(0, 1), (1, 2)], U=1.5, V=0.3, mu=0.2)


def promised() -> sym.SymbolicOperator:
    builder = sym.DOperator(sym.qubit(4), "promised").for_each_site("i")
    builder = builder.where(i.value > 0).fanout(2)
    return builder.emit(sym.write("i", 0.0), amplitude=i.value).build()


def costs_of(operator: sym.SymbolicOperator, **options: str) -> CostTable:
    artifact = sym.SymbolicCompiler().compile(operator, options)
    assert artifact.branch_tensors is not None
    return cost_table(artifact.operator_ir.module, artifact.branch_tensors, 1)


def row(table: CostTable, name: str) -> CostRow:
    (found,) = (one for one in (*table.groups, *table.terms) if one.name == name)
    return found


def numbers(one: CostRow) -> tuple[float, ...]:
    return tuple(getattr(one, name) for name in COUNTED)


# ---- counted by hand ----


def test_a_transverse_field_ising_chain_of_four_sites() -> None:
    table = costs_of(tfim())
    # One product for each of 4 lanes, whose x' is 4 selects for the one write that the
    # others have. x_j is read, half of x_i, which both groups need, and x for x'.
    # Written are 4 bytes of x' and 8 of the matrix element for each lane.
    assert numbers(row(table, "bonds/zz")) == (4, 4 * 4, 4 + 4 / 2 + 4 * 4, 4 * 12)
    # One negation for each written value
    assert numbers(row(table, "field/x")) == (4, 4 * 4, 4 / 2 + 4 * 4, 4 * 12)
    assert (table.lanes_before, table.lanes_after, table.sites) == (8, 8, 4)
    assert (table.state_bytes, table.element_bytes) == (1, 8)


def test_its_diagonal_summed() -> None:
    table = costs_of(tfim(), lowering=SUMMED)
    bonds = row(table, "bonds/zz")
    # The sum combines 4 products, and there is one lane of x'
    assert numbers(bonds) == (4 + 4, 4, 4 + 4 / 2 + 4, 12)
    assert (bonds.lanes_before, bonds.lanes_after, bonds.writes) == (4, 1, 0)
    assert numbers(row(table, "field/x")) == (4, 4 * 4, 4 / 2 + 4 * 4, 4 * 12)
    assert (table.lanes_before, table.lanes_after) == (8, 5)


IMAGES = """
func.func @op(%x: tensor<?x4x!bt.state>, %p: tensor<?x4xi1>)
    -> (tensor<?x4x4x!bt.state>, tensor<?x4xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %v = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %n = stablehlo.negate %v : tensor<?x4xf64>
  %m = stablehlo.constant dense<true> : tensor<4x4xi1>
  %a = stablehlo.constant dense<1.0> : tensor<f64>
  %b = bt.images [%m] = [%n] amplitude %a valid %p : [tensor<4x4xi1>] [tensor<?x4xf64>]
    tensor<f64>, tensor<?x4xi1> -> !bt.branches<4 x 4>
  %xp, %mels = bt.connections %x, %b : (tensor<?x4x!bt.state>, !bt.branches<4 x 4>)
    -> (tensor<?x4x4x!bt.state>, tensor<?x4xf64>)
  func.return %xp, %mels : tensor<?x4x4x!bt.state>, tensor<?x4xf64>
}
"""


def test_images_are_selected_for_every_lane() -> None:
    builder = sym.DOperator(sym.spin(0.5, 4), "op").for_each_site("i")
    module = builder.emit(sym.write("i", -i.value)).build().to_ir().module
    (group,) = cost_table(module, parse_module(IMAGES), 1).groups
    # -x on 4 sites, and 0 for the elements of lanes that are not valid; the image and
    # the validity choose x'
    assert numbers(group) == (4 + 4, 4 * 4 * 2, 4 + 4 * 4, 4 * (4 + 8))
    assert (group.writes, group.name) == (1, "term0/emit0")


def test_bose_and_hubbard_on_three_sites() -> None:
    table = costs_of(bosons())
    # On 2 bonds: x_i - 1, x_j + 1, x_i * (x_j + 1), its root, times -J; three
    # comparisons of each written value, joined by two ors each, and an and: 16 ops.
    # Then whether the lane is valid chooses an element and two values.
    one_way = (2 * 16 + 2 * 3, 2 * 3 * 2, 2 * (2 / 3) + 2 * 2 + 2 * 3, 2 * (3 + 8))
    assert numbers(row(table, "bonds/i from j")) == pytest.approx(one_way)
    assert numbers(row(table, "bonds/j from i")) == pytest.approx(one_way)
    # V n n, with two writes that do nothing
    between = (2 * 2, 2 * 3 * 2, 2 * (2 / 3) + 2 * 3, 2 * (3 + 8))
    assert numbers(row(table, "bonds/nn")) == pytest.approx(between)
    # (U/2) n (n - 1) - mu n
    assert numbers(row(table, "sites/n")) == (3 * 5, 3 * 3 * 2, 3 + 3 * 3, 3 * (3 + 8))
    bonds = row(table, "bonds")
    assert numbers(bonds) == pytest.approx(
        [2 * a + b for a, b in zip(one_way, between, strict=True)]
    )
    assert (bonds.rows, bonds.emissions, bonds.lanes_before, bonds.writes) == (
        *(2, 3, 6),
        2,
    )
    seconds = {one.name: sum(numbers(one)) for one in table.terms}
    share = seconds["bonds"] / sum(seconds.values())
    assert bonds.share == pytest.approx(share)


def test_a_sum_of_two_terms_is_theirs_by_where_its_ops_come_from() -> None:
    table = costs_of(bosons(), lowering=SUMMED)
    both = row(table, "bonds+sites")
    assert both.terms == ("bonds", "sites")
    assert (both.lanes_before, both.lanes_after) == (2 + 3, 1)
    assert row(table, "sites").lanes_after == 1
    assert row(table, "bonds").lanes_after == 1 + 4
    # x' and the element of the lane are shared by 2 lanes of the one and 3 of the other
    assert row(table, "sites").bytes_written == pytest.approx(3 / 5 * (3 + 8))


def test_a_fanout_is_paid_for() -> None:
    table = costs_of(promised())
    (group,) = table.groups
    assert (group.name, group.rows, group.lanes_before, group.lanes_after) == (
        *("term0", 4),
        *(2, 2),
    )
    # A comparison on 4 lanes, and two choices by validity on the 2 that are kept; two
    # to pack each lane, and a step for the one word and five for its bits for each slot
    assert group.flops == 4 * 1 + 2 * 2 + 2 * 4 + 6 * 2 * (1 + 5)
    assert group.selects == 2 * 4
    # x_i, the source values, x for x'; a site, a value and an element of each slot, and
    # a word for each step
    assert group.bytes_read == 4 + 2 + 2 * 4 + 2 * (4 + 1 + 8 + 4 * (1 + 5))
    assert group.work == 4 * work_of(promised())[0]


def work_of(operator: sym.SymbolicOperator) -> list[int]:
    op = cast(dialect.OperatorOp, operator.to_ir().module.body.block.first_op)
    return [expression_work(one) for term in op.terms for one in term.emissions]


def test_the_work_of_an_expression_is_its_ops_at_the_sym_level() -> None:
    builder = sym.DOperator(sym.spin(0.5, 3), "op")
    builder = builder.for_each(("i", "j"), over=[(0, 1), (1, 2)])
    operator = (
        builder.emit(amplitude=2.0)
        .emit(amplitude=i.value * j.value)
        .emit(sym.write("i", -i.value), amplitude=i.value)
        .build()
    )
    # Nothing; two reads and a product; a read, a negation and a write
    assert work_of(operator) == [0, 3, 3]
    table = costs_of(operator)
    assert [one.work for one in table.groups] == [0, 2 * 3, 2 * 3]
    assert row(table, "term0").work == 2 * 6


def test_real_and_imaginary_parts_count() -> None:
    def flops(dtype: str) -> float:
        builder = sym.DOperator(sym.qubit(2), "op", dtype=dtype)
        amplitude = i.value * sym.symbol("g", dtype=complex if "c" in dtype else float)
        return costs_of(
            builder.for_each_site("i").emit(amplitude=amplitude).build()
        ).total("flops")

    # A product on 2 lanes; in complex numbers x_i is converted first
    assert (flops("float64"), flops("complex128")) == (2, 4 * (2 + 2))


# ---- what holds for all ----

OPERATORS: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "tfim": tfim,
    "bosons": bosons,
    "promised": promised,
    "heisenberg": lambda: models.heisenberg(4, CHAIN),
    "fermions": lambda: models.fermi_hubbard(4, CHAIN),
    "toric code": lambda: models.toric_code(8, (2, 2)),
    "pxp": lambda: models.pxp(4, CHAIN),
    "many": lambda: many_terms(),
    "nothing": lambda: sym.DOperator(sym.qubit(2), "nothing").globally().emit().build(),
}


def many_terms() -> sym.SymbolicOperator:
    builder = sym.DOperator(sym.qubit(3), "many")
    for k in range(3):
        builder = builder.for_each("i", over=[k]).emit(amplitude=i.value * (k + 0.5))
        builder = builder.for_each_site("i").emit(sym.flip("i"), amplitude=k + 1.0)
    return builder.build()


@pytest.mark.parametrize("coalesce", ["none", "diagonal"])
@pytest.mark.parametrize("name", OPERATORS)
def test_groups_and_terms_are_two_ways_to_count_the_same(
    name: str, coalesce: str
) -> None:
    operator = OPERATORS[name]()
    artifact = sym.SymbolicCompiler().compile(operator, {"coalesce": coalesce})
    assert artifact.branch_tensors is not None
    table = cost_table(artifact.operator_ir.module, artifact.branch_tensors, 1)
    for column in (*COUNTED, "share", "work", "lanes_before"):
        by_term = sum(getattr(one, column) for one in table.terms)
        assert table.total(column) == pytest.approx(by_term), column
    assert table.total("share") == pytest.approx(1)
    assert table.total("lanes_before") == table.lanes_before == operator.max_conn_size
    assert table.total("lanes_after") == table.lanes_after == artifact.lanes
    assert [one.name for one in table.terms] == [term.name for term in operator.terms]
    assert table.total("bytes_written") == artifact.lanes * (operator.space.size + 8)


def test_it_prints_and_is_plain_data() -> None:
    table = costs_of(tfim())
    plain = json.loads(json.dumps(table.as_dict()))
    assert [one["name"] for one in plain["groups"]] == ["bonds/zz", "field/x"]
    assert plain["terms"][0]["flops"] == 4
    lines = [line.split() for line in str(table).splitlines()]
    assert lines[0][:3] == ["lane", "group", "rows"]
    assert lines[1][:8] == ["bonds/zz", "4", "1", "4", "4", "0", "4", "16"]
    assert "8 lanes of the operator, 8 are returned" in str(table)


def test_the_text_of_many_terms_has_the_dear_ones() -> None:
    builder = sym.DOperator(sym.qubit(4), "op")
    for k in range(30):
        builder = builder.for_each("i", over=range(1 + (k == 29)))
        builder = builder.emit(amplitude=i.value * (k + 0.5))
    table = costs_of(builder.build())
    lines = str(table).splitlines()
    assert len(table.terms) == 30
    assert sum(line.startswith("term") for line in lines) == 1 + 1 + 24
    assert any(line.startswith("term29 ") for line in lines)
    assert "6 more, 19 % of the time" in lines


def test_a_matrix_product_is_paid_for() -> None:
    builder = sym.DOperator(sym.spin(0.5, 6), "all pairs")
    pairs = [(a, b) for a in range(6) for b in range(6)]
    operator = builder.for_each(("i", "j"), over=pairs, data={"J": range(36)}).emit(
        amplitude=sym.row("J") * i.value * j.value
    )
    (group,) = costs_of(operator.build(), coalesce="diagonal").groups
    # The product with the matrix, that with x, and the sum over the sites
    assert group.flops == 2 * 6 * 6 + 6 + 6
