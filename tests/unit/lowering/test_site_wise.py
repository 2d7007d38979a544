"""Functions of x at one site, and values in another layout, by what their values are.

All values of random operators are computed by the interpreter: each one that is said to
be an image at a table of sites is that, and each one that is laid out anew is what was
there, picked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.ir import SSAValue

import symir as sym
from dialects import bt
from dialects.interpreters.bt import Branches
from dialects.stablehlo import constant_of, shape_of
from dialects.text import parse_module
from lowering.analysis.site_wise import SiteWise, SiteWiseAnalysis
from lowering.bt.lane_layout import LaneLayout, can_be_laid_out
from lowering.rewriting import Inserter
from tests.unit.lowering.branch_programs import (
    arguments_for,
    flips,
    function_of,
    lowered,
    questions,
    values_of,
)

Array = npt.NDArray[Any]

some = settings(max_examples=25)


# region Site-wise values


def forms_of(module: Any) -> dict[SSAValue, SiteWise]:
    """Return the form of each value of a function that has one; images are inserted."""
    block = function_of(module).body.block
    results = [
        result
        for op in block.ops
        for result in op.results
        if "tensor" in str(op.results[0].type)
    ]
    end = block.last_op
    assert end is not None
    analysis = SiteWiseAnalysis(block.args[0], Inserter.before(end))
    found: dict[SSAValue, SiteWise] = {}
    for value in results:
        form = analysis.of(value)
        if form is not None:
            found[value] = form
    module.verify()
    return found


def composed(form: SiteWise, values: dict[SSAValue, Array], batch: int) -> Array:
    """Return what a form says that a value is, (batch, ..)."""
    shape = (batch, *form.table.shape)
    result: Any = None
    times = np.zeros(form.table.shape, int)
    for piece in form.pieces:
        times += piece.where
        array = values[piece.value]
        result = np.zeros(shape, array.dtype) if result is None else result
        if piece.is_image:
            # Where there is no image the table means nothing
            table = np.where(piece.where, form.table, 0)
            full = array[:, table]
        else:
            aligned = array.reshape((-1, *[1] * form.table.ndim))
            full = np.broadcast_to(aligned, shape)
        result[:, piece.where] = full[:, piece.where]
    assert (times == 1).all()
    return result


def assert_forms_hold(operator: sym.SymbolicOperator) -> int:
    module = lowered(operator, "bt-reduce-strategy")
    forms = forms_of(module)
    arguments = arguments_for(module, operator.space)
    values = values_of(module, arguments)
    batch = len(arguments[0])
    images = 0
    for value, form in forms.items():
        expected = values[value]
        if not form.table.size:
            continue
        if shape_of(value)[:1] != (bt.BATCH,):
            expected = np.broadcast_to(expected, (batch, *expected.shape))
        found = composed(form, values, batch)
        np.testing.assert_array_equal(found, expected, str(value.owner))
        images += any(piece.is_image for piece in form.pieces)
    return images


@some
@given(st.one_of(questions((1, 3, 33)), flips((1, 3))))
def test_a_value_is_what_its_images_are_at_its_sites(
    operator: sym.SymbolicOperator,
) -> None:
    assert_forms_hold(operator)


HEAD = """
func.func @f(%x : tensor<?x3x!bt.state>, %h : tensor<f64>) {
  %i = stablehlo.constant dense<[0, 2]> : tensor<2xi32>
  %j = stablehlo.constant dense<[1, 2]> : tensor<2xi32>
  %k = stablehlo.constant dense<[-1, 3]> : tensor<2xi32>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %b = bt.gather %x[%j] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %c = bt.gather %x[%k] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %d = stablehlo.constant dense<[0.5, -0.5]> : tensor<2xf64>
  %ds = bt.broadcast %d dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
  %hs = bt.broadcast %h dims = [] : tensor<f64> -> tensor<?x2xf64>
  %s = bt.reduce sum %a : tensor<?x2xf64> -> tensor<?xf64>
  %ss = bt.broadcast %s dims = [0] : tensor<?xf64> -> tensor<?x2xf64>
"""


def form_of(text: str) -> tuple[SiteWise | None, list[Array]]:
    """Return the form of the last value of a function, and what it says and is."""
    module = parse_module(f"{HEAD}{text}\nfunc.return\n}}\n")
    block = function_of(module).body.block
    end = block.last_op
    assert end is not None
    value = list(block.ops)[-2].results[0]
    form = SiteWiseAnalysis(block.args[0], Inserter.before(end)).of(value)
    if form is None:
        return None, []
    x = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    values = values_of(module, (x, np.array(0.25)))
    return form, [composed(form, values, 2), values[value]]


def found_in(text: str) -> SiteWise:
    form, (said, meant) = form_of(text)
    assert form is not None
    np.testing.assert_array_equal(said, np.broadcast_to(meant, said.shape))
    return form


SUM = ": tensor<?x2xf64>"


def test_numbers_may_differ_from_sample_to_sample() -> None:
    form = found_in(f"%v = stablehlo.multiply %a, %ss {SUM}")
    assert [piece.is_image for piece in form.pieces] == [True]
    form = found_in(f"%v = stablehlo.multiply %hs, %ss {SUM}")
    assert [piece.is_image for piece in form.pieces] == [False]


def test_numbers_that_differ_from_lane_to_lane_are_pieces() -> None:
    form = found_in(f"%v = stablehlo.multiply %a, %ds {SUM}")
    assert [piece.where.tolist() for piece in form.pieces] == [
        [True, False],
        [False, True],
    ]


def test_two_reads_are_one_function_only_of_one_site() -> None:
    assert form_of(f"%v = stablehlo.add %a, %b {SUM}")[0] is None
    assert form_of(f"%v = stablehlo.add %b, %a {SUM}")[0] is None
    form = found_in(f"%v = stablehlo.add %a, %a {SUM}")
    assert form.table.tolist() == [0, 2]


def test_what_is_read_off_the_lattice_is_at_its_end() -> None:
    form = found_in(f"%v = stablehlo.add %c, %c {SUM}")
    assert form.table.tolist() == [0, 2]
    # Sites 0 and 2, as those of %a; those of %b are others
    found_in(f"%v = stablehlo.add %c, %a {SUM}")
    assert form_of(f"%v = stablehlo.add %c, %b {SUM}")[0] is None
    assert form_of(f"%v = stablehlo.add %b, %c {SUM}")[0] is None


def test_a_constant_choice_takes_one_side() -> None:
    types = ": tensor<?x2xi1>, tensor<?x2xf64>"
    chosen = """
      %m = stablehlo.constant dense<[true, false]> : tensor<2xi1>
      %ms = bt.broadcast %m dims = [1] : tensor<2xi1> -> tensor<?x2xi1>
    """
    form = found_in(f"{chosen} %v = stablehlo.select %ms, %a, %b {types}")
    assert form.table.tolist() == [0, 2]
    form = found_in(f"{chosen} %v = stablehlo.select %ms, %b, %a {types}")
    assert form.table.tolist() == [1, 2]
    form = found_in(f"{chosen} %v = stablehlo.select %ms, %hs, %b {types}")
    assert {piece.is_image for piece in form.pieces} == {True, False}
    # A choice that x takes reads both
    asked = f"""
      %p = stablehlo.compare GT, %a, %hs : (tensor<?x2xf64>, tensor<?x2xf64>)
        -> tensor<?x2xi1>
      %v = stablehlo.select %p, %a, %b {types}
    """
    assert form_of(asked)[0] is None


def test_zeros_of_either_sign_are_two_numbers() -> None:
    form, (said, meant) = form_of(
        """
        %z = stablehlo.constant dense<[0.0, -0.0]> : tensor<2xf64>
        %v = bt.broadcast %z dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
        """
    )
    assert form is not None
    assert len(form.pieces) == 2
    assert (np.signbit(said) == np.signbit(meant)).all()


def test_many_numbers_are_no_function() -> None:
    table = ", ".join(f"{n}.0" for n in range(8))
    text = f"%v = stablehlo.constant dense<[{table}]> : tensor<8xf64>"
    assert form_of(text)[0] is None
    assert form_of("%v = stablehlo.constant dense<> : tensor<0xf64>")[0] is None


def test_what_is_reduced_or_read_elsewhere_for_each_sample_is_none() -> None:
    text = "%s2 = bt.broadcast %j dims = [1] : tensor<2xi32> -> tensor<?x2xi32>"
    text += """
      %v = bt.gather %x[%s2] : (tensor<?x3x!bt.state>, tensor<?x2xi32>)
        -> tensor<?x2xf64>
    """
    assert form_of(text)[0] is None
    text = """
      %w = bt.broadcast %a dims = [0, 1] : tensor<?x2xf64> -> tensor<?x2x4xf64>
      %v = bt.reduce sum %w : tensor<?x2x4xf64> -> tensor<?x2xf64>
    """
    assert form_of(text)[0] is None


def test_equal_images_are_one_value() -> None:
    text = f"""
      %u = stablehlo.negate %a {SUM}
      %w = stablehlo.negate %b {SUM}
      %v = stablehlo.add %u, %w {SUM}
    """
    module = parse_module(f"{HEAD}{text}\nfunc.return\n}}\n")
    block = function_of(module).body.block
    end = block.last_op
    assert end is not None
    analysis = SiteWiseAnalysis(block.args[0], Inserter.before(end))
    found = [op.results[0] for op in block.ops if op.name == "stablehlo.negate"]
    forms = [analysis.of(value) for value in found]
    values = {form.pieces[0].value for form in forms if form is not None}
    assert len(values) == 1
    assert not analysis.is_source(values.pop())


# endregion
# region Lanes in another layout


@some
@given(st.one_of(questions((1, 3, 5)), flips((1, 3))), st.data())
def test_a_value_in_another_layout_is_what_was_there(
    operator: sym.SymbolicOperator, data: Any
) -> None:
    module = lowered(operator, "bt-coalesce-diagonal")
    block = function_of(module).body.block
    end = block.last_op
    assert end is not None
    arguments = arguments_for(module, operator.space)
    before = values_of(module, arguments)
    checks: list[tuple[SSAValue, SSAValue, Array, int]] = []
    for value, array in before.items():
        shape = () if isinstance(array, Branches) else shape_of(value)
        for axis, size in enumerate(shape):
            # Not the batch, and not what is reduced: any other axis holds lanes
            if size < 1 or not can_be_laid_out(value, axis):
                continue
            number = st.integers(0, size - 1)
            lanes = np.array(data.draw(st.lists(number, min_size=6, max_size=6)))
            lanes = lanes.reshape(data.draw(st.sampled_from([(6,), (2, 3), (3, 1, 2)])))
            new = LaneLayout(lanes, Inserter.before(end)).of(value, axis)
            checks.append((value, new, lanes, axis))
    module.verify()
    after = values_of(module, arguments)
    for value, new, lanes, axis in checks:
        expected = np.take(after[value], lanes, axis=axis)
        np.testing.assert_array_equal(after[new], expected, str(value.owner))


def test_what_has_no_lanes_stays_as_it_is() -> None:
    module = parse_module(f"{HEAD}\nfunc.return\n}}\n")
    block = function_of(module).body.block
    end = block.last_op
    assert end is not None
    layout = LaneLayout(np.array([1]), Inserter.before(end))
    total = next(op for op in block.ops if op.name == "bt.reduce").results[0]
    assert layout.of(total, None) is total


def test_a_table_of_a_sample_that_is_computed_is_not_laid_out() -> None:
    module = parse_module(
        f"""{HEAD}
        %w = "stablehlo.slice"(%d) <{{start_indices = array<i64: 0>,
          limit_indices = array<i64: 2>, strides = array<i64: 1>}}>
          : (tensor<2xf64>) -> tensor<2xf64>
        %ws = bt.broadcast %w dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
        func.return
        }}
        """
    )
    block = function_of(module).body.block
    value = list(block.ops)[-2].results[0]
    assert not can_be_laid_out(value, 1)
    assert constant_of(value) is None


# endregion
