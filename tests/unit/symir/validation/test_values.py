"""Value tables: what each value is, whence it comes, and where two of them differ."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from xdsl.dialects.builtin import ModuleOp

import symir as sym
from dialects.interpreters.sym import branches, connections
from dialects.text import parse_module
from symir.compiler.lowering import run_passes
from symir.validation import ValueDifference, ValueTable, denote
from tests.unit.symir.constructs import CONSTRUCTS

Array = npt.NDArray[Any]

i, j = sym.site("i"), sym.site("j")
LINE = (inspect.currentframe().f_lineno or 0) + 5  # pyright: ignore[reportOptionalMemberAccess]
HOP = (
    sym.DOperator(sym.fock(2, 3), "op")
    .for_each(("i", "j"), over=[(0, 1), (1, 2)])
    .where(i > 0)
    .emit(sym.shift("i", -1).shift("j", 1), amplitude=sym.sqrt(i) * sym.symbol("g"))
    .emit(sym.write(i.index + 1, 0), amplitude=2.5, tag="clear")
    .for_each_site("i")
    .emit(amplitude=sym.symbol("e", default=0.5) * i)
    .build()
)
X = np.array([[1, 2, 0], [0, 1, 2], [0, 0, 1], [2, 2, 2]], np.int8)
GIVEN = {"g": 2.0}


def levels(
    operator: sym.SymbolicOperator, x: Array, state: str = "i8", **parameters: complex
) -> list[ValueTable]:
    """Return the tables of an operator at all levels."""
    ir = operator.to_ir()
    bound = {**ir.defaults, **parameters}
    ordered = [bound[name] for name in ir.free_symbols]
    bt = sym.lower_to_bt(ir.module)
    kernel = sym.lower_to_stablehlo(bt, len(x.reshape(-1, x.shape[-1])), state)
    return [
        denote(operator, x, parameters),
        denote(bt, x, ordered),
        denote(kernel, x, ordered),
    ]


# ---- what a table holds ----


def test_values_of_an_operator_are_by_sample_and_row() -> None:
    table = sym.denote(HOP, X, GIVEN)
    assert isinstance(table, sym.ValueTable)
    assert (table.level, table.operator) == ("sym", "op")
    read = table["%x_i"]
    assert (read.op, read.term, read.axes) == ("sym.read", "term0", ("sample", "row"))
    assert read.array.tolist() == X[:, [0, 1]].tolist()
    assert read.array.dtype == np.float64
    assert table["x_i_1"].array.tolist() == X.tolist()
    sites = table["i"]
    assert (sites.op, sites.array.dtype) == ("argument", np.int32)
    assert sites.array.tolist() == [[0, 1]] * 4
    shifted = next(value for value in table if value.op == "sym.shift")
    assert shifted.axes == ("sample", "row", "site")
    assert shifted.array[3].tolist() == [[1, 2, 2], [2, 1, 2]]
    assert table["%g"].array.tolist() == [2.0] * 4
    assert table["e"].array.tolist() == [0.5] * 4


def test_values_know_the_line_that_they_come_from() -> None:
    for table in levels(HOP, X, g=2.0):
        places = {value.location for value in table}
        lines = {place.line for place in places if place is not None}
        assert {place.file for place in places if place is not None} == {__file__}
        assert LINE in lines
        roots = [value for value in table if value.op == "stablehlo.sqrt"]
        assert [(root.term, root.location.line) for root in roots if root.location] == [
            ("term0", LINE)
        ]


def test_a_value_that_is_undefined_is_masked() -> None:
    operator = (
        sym.DOperator(sym.fock(2, 3), "op")
        .for_each_pair("i", "j")
        .emit(sym.swap(i.value, "j"), amplitude=sym.table([1.0, 2.0])[i])
        .build()
    )
    table = denote(operator, X)
    looked = next(value for value in table if value.op == "sym.lookup").array
    source = np.repeat(X, 3, axis=1)
    assert np.ma.getmaskarray(looked).tolist() == (source == 2).tolist()
    assert looked[0, 0] == 2.0
    assert looked[0, 3] is np.ma.masked
    # The sample goes on where a value is excluded: results are those of the oracle.
    expected, elements = connections(operator.to_ir().module, X)
    np.testing.assert_array_equal(table.results[0], expected)
    np.testing.assert_array_equal(table.results[1], elements)
    assert "--" in str(table)


def test_nothing_is_computed_where_nothing_is_defined() -> None:
    operator = CONSTRUCTS["update: invalidate"](3)
    table = denote(operator, X)
    invalid = next(value for value in table if value.op == "sym.invalid")
    assert np.ma.getmaskarray(invalid.array).all()
    assert invalid.array.shape == (4, 9, 3)


REDUCTION = """
sym.operator @op() space #sym.space<3 x [0, 1, 2]> element f64 {
  sym.term @t over #sym.rows<[0], [2]> sets [#sym.sets<[0, 1], [2]>] {
  ^bb0(%x: !sym.config, %i: !sym.site, %s: !sym.sites):
    %v = sym.read %x[%i] : tensor<f64>
    %sum = sym.reduce sum : tensor<f64> {
    ^bb0(%k: !sym.site):
      %n = sym.read %x[%k] : tensor<f64>
      %p = stablehlo.multiply %n, %v : tensor<f64>
      sym.yield %p : tensor<f64>
    }
    %few = sym.reduce sum over %s : tensor<f64> {
    ^bb0(%l: !sym.site):
      %m = sym.read %x[%l] : tensor<f64>
      sym.yield %m : tensor<f64>
    }
    sym.emit %x, %sum : tensor<f64>
    sym.emit %x, %few : tensor<f64>
  }
}
"""


def test_values_in_a_reduction_are_by_place() -> None:
    table = denote(parse_module(REDUCTION), X)
    assert table["s"].axes == ("sample", "row", "member")
    assert table["s"].array[0].tolist() == [[0, 1], [2, -1]]
    product = table["p"]
    assert product.axes == ("sample", "row", "place")
    expected = X[:, [0, 2], None].astype(float) * X[:, None]
    np.testing.assert_array_equal(product.array, expected)
    np.testing.assert_array_equal(table["sum"].array, expected.sum(axis=-1))
    assert table["m"].array.shape == (4, 2, 2)
    assert table["m"].array[:, 0].tolist() == X[:, :2].tolist()


def test_branches_are_their_parts() -> None:
    _, table, _ = levels(HOP, X, g=2.0)
    part = next(value for value in table if value.name.endswith(".sites"))
    name = part.name.removesuffix(".sites")
    assert part.axes == ("sample", "lane", "write")
    valid = table[f"{name}.valid"].array
    assert valid.shape == table[f"{name}.amplitude"].array.shape == (4, 2)
    assert valid.dtype == np.bool_
    assert table[f"{name}.values"].array.dtype == np.int8
    assert name not in table


@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 2, 3), (2, 0, 3)])
def test_results_have_the_leading_axes_of_x(shape: tuple[int, ...]) -> None:
    x = X.reshape(-1)[: int(np.prod(shape))].reshape(shape)
    expected, elements = connections(HOP.to_ir().module, x, GIVEN)
    for table in levels(HOP, x, g=2.0):
        xp, mels = table.results
        assert (xp.shape, mels.shape) == (expected.shape, elements.shape)
        assert (xp.dtype, mels.dtype) == (expected.dtype, elements.dtype)
        np.testing.assert_array_equal(xp, expected)
        np.testing.assert_array_equal(mels, elements)
        count = int(np.prod(shape[:-1]))
        assert table.samples.shape == (count, 3)
        assert all(
            size == count
            for value in table
            for axis, size in zip(value.axes, value.array.shape, strict=True)
            if axis == "sample"
        )


@pytest.mark.parametrize("name", [*CONSTRUCTS][::6])
def test_every_level_has_values_and_the_same_results(name: str) -> None:
    operator = CONSTRUCTS[name](3)
    tables = levels(operator, operator.space.random_states(3, 0))
    assert [table.level for table in tables] == ["sym", "bt", "stablehlo"]
    for table in tables:
        assert len(set(table.names)) == len(table) > 0
        assert all(table[value.name] is value for value in table)
        assert all(len(value.axes) == value.array.ndim for value in table)
        assert tables[0].diff(table, rtol=1e-12, atol=1e-12) is None
        assert str(table).startswith(f"op at {table.level}: 3 samples")


def test_what_is_bound_to_a_batch_is_interpreted_too() -> None:
    module = sym.lower_to_bt(HOP.to_ir().module)
    bound = run_passes(module, "bt-specialize{batch=4 state=i8}")
    table = denote(bound, X, {"g": 2.0, "e": 0.5})
    assert table.level == "bt"
    assert table.diff(denote(HOP, X, GIVEN)) is None
    assert table["%x_i"].axes == ("sample", "lane")


def test_what_is_undefined_is_no_number_in_long_arrays_either() -> None:
    operator = CONSTRUCTS["expression: table with missing entries"](3)
    table = denote(operator, np.full((100, 3), 2, np.int8))
    looked = next(value for value in table if value.op == "sym.lookup")
    assert np.ma.getmaskarray(looked.array).all()
    numbers = str(looked).partition("\n")[2]
    assert "--" in numbers
    assert "..." in numbers
    assert not any(letter.isdigit() for letter in numbers)


def test_long_arrays_are_printed_without_their_middle() -> None:
    x = np.tile(X, (50, 1))
    lines = str(denote(HOP, x, GIVEN)).splitlines()
    assert "%x_i = sym.read : float64 (sample=200, row=2)" in "\n".join(lines)
    assert any("..." in line for line in lines)
    assert len(lines) < 400


# ---- differences ----


def test_a_table_does_not_differ_from_itself() -> None:
    for table in levels(HOP, X, g=2.0):
        assert table.diff(table) is None
        assert table.unmatched(table) == ((), ())


def test_the_first_value_that_differs_is_named() -> None:
    other = HOP.to_ir().text().replace("2.5", "3.5")
    changed = sym.SymbolicOperatorIR.from_text(other)
    found = denote(HOP, X, GIVEN).diff(denote(changed, X, GIVEN))
    assert isinstance(found, ValueDifference)
    assert (found.op, found.term) == ("stablehlo.constant", "term0")
    assert (found.left, found.right) == (2.5, 3.5)
    assert (found.sample, found.row, found.lane) == (0, 0, None)
    assert found.location is not None
    assert (found.location.file, found.location.line) == (__file__, LINE + 1)
    assert "2.5 and 3.5" in str(found)
    assert f"{__file__}:{LINE + 1}" in str(found)


def test_a_result_that_differs_has_its_lane_and_the_line_of_its_emission() -> None:
    module = sym.lower_to_bt(HOP.to_ir().module)
    found = denote(HOP, X, GIVEN).diff(denote(module, X, {"g": 3.0, "e": 0.5}))
    assert found is not None
    assert (found.name, found.op) == ("<x|O|x'>", None)
    assert (found.sample, found.lane) == (0, 2)
    assert (found.term, found.row, found.emission) == ("term0", 1, 0)
    assert (found.left, found.right) == (2 * np.sqrt(2), 3 * np.sqrt(2))
    assert found.location is not None
    assert found.location.line == LINE
    # The layout is known whichever side it is on.
    mirrored = denote(module, X, {"g": 3.0, "e": 0.5}).diff(denote(HOP, X, GIVEN))
    assert mirrored is not None
    assert (mirrored.term, mirrored.row) == ("term0", 1)
    assert mirrored.left == found.right
    branch = branches(HOP.to_ir().module, X[0], GIVEN)[2]
    assert (branch.term, branch.row, branch.emission) == ("term0", 1, 0)


def test_another_configuration_is_a_difference_at_its_site() -> None:
    text = HOP.to_ir().text()
    assert "dense<0.0> : tensor<f64>" in text or "dense<0.000000e+00>" in text
    kernel = denote(sym.lower_to_bt(HOP.to_ir().module), X, [2.0, 0.5])
    xp, mels = kernel.results
    changed = xp.copy()
    changed[3, 1, 2] = 1
    forged = ValueTable("other", "op", kernel.samples, (), (changed, mels))
    found = kernel.diff(forged)
    assert found is not None
    assert (found.name, found.index) == ("x'", (3, 1, 2))
    assert found.axes == ("sample", "lane", "site")


def test_tolerances_are_for_numbers_that_are_rounded() -> None:
    table = denote(HOP, X, GIVEN)
    near = denote(HOP, X, {"g": 2.0 * (1 + 1e-9)})
    assert table.diff(near) is not None
    assert table.diff(near, rtol=1e-8) is None
    assert table.diff(near, atol=1e-8) is None


def test_nan_is_equal_to_nan_and_not_to_a_number() -> None:
    def divided(by: float) -> ValueTable:
        operator = (
            sym.DOperator(sym.fock(2, 3), "op")
            .for_each_site("i")
            .emit(amplitude=i * sym.symbol("s") / sym.symbol("d"))
            .build()
        )
        return denote(operator, X * 0, {"s": 1.0, "d": by})

    assert divided(0.0).diff(divided(0.0)) is None
    found = divided(0.0).diff(denote_bt_like(divided(1.0)))
    assert found is not None
    assert np.isnan(complex(found.left or 0))


def denote_bt_like(table: ValueTable) -> ValueTable:
    """Return a table of which only the results can be compared with another one."""
    return ValueTable("other", table.operator, table.samples, (), table.results)


def test_undefined_differs_from_any_number() -> None:
    text = CONSTRUCTS["expression: table with missing entries"](3).to_ir().text()
    x = np.full((1, 3), 2, np.int8)
    table = denote(sym.SymbolicOperatorIR.from_text(text), x)
    longer = text.replace(
        "dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf64>",
        "dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf64>",
    )
    assert longer != text
    found = table.diff(denote(sym.SymbolicOperatorIR.from_text(longer), x))
    assert found is not None
    assert found.op == "sym.lookup"
    assert found.left is None
    assert found.right is not None
    assert "undefined and" in str(found)


def test_values_that_only_one_table_has_are_listed() -> None:
    before = HOP.to_ir().module
    after = run_passes(before, "sym-expand-updates")
    table, other = denote(before, X, GIVEN), denote(after, X, GIVEN)
    left, right = table.unmatched(other)
    assert left
    assert right
    assert set(left) <= set(table.names)
    found = table.diff(denote(after, X, {"g": 3.0}))
    assert found is not None
    assert found.name == "%g"
    assert (found.only_left, found.only_right) == (left, right)
    assert f"only in the first: {left[0]}" in str(found)


# ---- mistakes ----


def assert_code(code: str, *arguments: Any) -> sym.InputError:
    with pytest.raises(sym.InputError) as caught:
        denote(*arguments)
    assert caught.value.code == code
    return caught.value


def test_only_one_operator_has_values() -> None:
    error = assert_code("V001", sym.DOperator(sym.qubit(2), "op"), X)
    assert error.hint is not None
    assert_code("V001", ModuleOp([]), X)
    assert_code("V001", parse_module("func.func @f(%x: f64) { func.return }"), X)
    assert_code("V001", "op", X)


def test_configurations_fit() -> None:
    module = sym.lower_to_bt(HOP.to_ir().module)
    kernel = sym.lower_to_stablehlo(module, 4, "i8")
    for operator in (HOP, module, kernel):
        assert_code("V002", operator, X[:, :2], [2.0, 0.5])
        assert_code("V002", operator, X.astype(complex), [2.0, 0.5])
        assert_code("V002", operator, 3, [2.0, 0.5])
    error = assert_code("V002", kernel, X.astype(np.int16), [2.0, 0.5])
    assert (error.expected, error.found) == ("int8 (4, 3)", "int16 (4, 3)")
    assert_code("V002", kernel, X[:3], [2.0, 0.5])


@pytest.mark.parametrize("parameters", [[2.0], {"h": 1.0}, {"g": 1j, "e": 1.0}, None])
def test_parameters_fit(parameters: Any) -> None:
    module = sym.lower_to_bt(HOP.to_ir().module)
    for operator in (HOP, module, sym.lower_to_stablehlo(module, 4, "i8")):
        assert_code("V003", operator, X, parameters)


def test_an_op_that_is_not_known_is_named() -> None:
    text = """
func.func @f(%x: tensor<?x3x!bt.state>) -> (tensor<?x0x3x!bt.state>, tensor<?x0xf64>) {
  %b = bt.concat : -> !bt.branches<0 x 0>
  %n = arith.constant 1 : i32
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<0 x 0>)
    -> (tensor<?x0x3x!bt.state>, tensor<?x0xf64>)
  func.return %xp, %mels : tensor<?x0x3x!bt.state>, tensor<?x0xf64>
}"""
    known = parse_module(text.replace("  %n = arith.constant 1 : i32\n", ""))
    assert denote(known, X).results[1].shape == (4, 0)
    function = next(iter(known.ops))
    foreign = ModuleOp([])
    function.regions[0].block.insert_op_before(
        foreign, next(iter(function.regions[0].block.ops))
    )
    error = assert_code("V004", known, X)
    assert "builtin.module" in (error.found or "")


def test_what_a_kernel_does_not_have_is_an_oracle() -> None:
    text = """
module {
  func.func private @there(%x: tensor<2x1xf64>) -> tensor<2x1xf64> {
    func.return %x : tensor<2x1xf64>
  }
  func.func private @elsewhere(tensor<2x3xi8>) -> tensor<2x1xf64>
  func.func @f(%x: tensor<2x3xi8>) -> (tensor<2x1x3xi8>, tensor<2x1xf64>) {
    %xp = stablehlo.reshape %x : (tensor<2x3xi8>) -> tensor<2x1x3xi8>
    %y = func.call @elsewhere(%x) : (tensor<2x3xi8>) -> tensor<2x1xf64>
    %z = func.call @there(%y) : (tensor<2x1xf64>) -> tensor<2x1xf64>
    func.return %xp, %z : tensor<2x1x3xi8>, tensor<2x1xf64>
  }
}"""
    module, x = parse_module(text), np.arange(6, dtype=np.int8).reshape(2, 3)
    error = assert_code("V014", module, x)
    assert "oracles={'elsewhere': function}" in (error.expected or "")

    def elsewhere(x: Any) -> Any:
        return x.sum(1, keepdims=True, dtype=float)

    table = denote(module, x, oracles={"elsewhere": elsewhere})
    assert table.results[1].tolist() == [[3.0], [12.0]]


def test_names_that_are_not_there() -> None:
    table = denote(HOP, X, GIVEN)
    with pytest.raises(sym.InputError) as caught:
        table["%x_k"]
    assert caught.value.code == "V005"
    assert "%x_i" in (caught.value.expected or "")
    assert "%x_k" not in table


def test_tables_of_other_samples_or_lanes_are_not_compared() -> None:
    table = denote(HOP, X, GIVEN)
    other: Any
    for other in (
        denote(HOP, X[:3], GIVEN),
        denote(HOP, X[::-1], GIVEN),
        denote(CONSTRUCTS["update: write"](3), X),
        np.zeros(3),
    ):
        with pytest.raises(sym.InputError) as caught:
            table.diff(other)
        assert caught.value.code == "V006"
