"""Branch tensors over NumPy: each op by hand, and every construct of the language."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from xdsl.interpreter import Interpreter

import symir as sym
from dialects.interpreters.bt import Branches, functions_of, run_branches
from dialects.interpreters.kernel import run_kernel
from dialects.interpreters.sym import connections
from dialects.text import parse_module
from symir.compiler.lowering import run_passes
from tests.unit.symir.constructs import CONSTRUCTS, branch_tensors

Array = npt.NDArray[Any]

# ---- operators ----


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_every_construct_has_the_connections_of_the_reference(construct: str) -> None:
    operator = CONSTRUCTS[construct](3)
    states = operator.space.all_states()
    ir = operator.to_ir()
    parameters = [
        np.asarray(ir.defaults[name], dtype)
        for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    ]
    expected, elements = connections(ir.module, states)
    xp, mels = run_branches(branch_tensors(construct), states, parameters)
    assert (xp.dtype, mels.dtype) == (states.dtype, elements.dtype)
    np.testing.assert_array_equal(xp, expected)
    np.testing.assert_allclose(mels, elements, rtol=1e-12, atol=1e-12)


i = sym.site("i")


def _compacted(fanout: int) -> sym.SymbolicOperator:
    term = sym.DOperator(sym.fock(2, 3), "op").for_each_site("i").where(i > 0)
    lowered = term.emit(sym.shift("i", -1), amplitude=i * 1.5)
    return lowered.emit(amplitude=10 + i).fanout(fanout).build()


@pytest.mark.parametrize("fanout", [1, 3, 5])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32", "float64"])
def test_a_promise_that_is_broken_is_nan_as_in_the_reference(
    fanout: int, dtype: str
) -> None:
    operator = _compacted(fanout)
    states = operator.space.all_states().astype(dtype)
    module = operator.to_ir().module
    expected, elements = connections(module, states)
    xp, mels = run_branches(sym.lower_to_bt(module), states)
    assert np.isnan(mels).any()
    assert not np.isnan(mels).all()
    assert xp.dtype == dtype
    np.testing.assert_array_equal(xp, expected)
    np.testing.assert_array_equal(mels, elements)


@pytest.mark.parametrize(
    ("state", "dtype"), [("i8", "int8"), ("ui16", "uint16"), ("f32", "float32")]
)
def test_what_is_bound_runs_as_what_is_not(state: str, dtype: str) -> None:
    operator = CONSTRUCTS["emission: project"](3)
    states = operator.space.all_states().astype(dtype)
    module = sym.lower_to_bt(operator.to_ir().module)
    text = f"bt-specialize{{batch={len(states)} state={state}}}"
    bound = run_passes(module, text)
    for expected, found in zip(
        run_branches(module, states), run_branches(bound, states), strict=True
    ):
        assert expected.dtype == found.dtype
        np.testing.assert_array_equal(expected, found)
    kernel = sym.lower_to_stablehlo(module, len(states), state)
    xp, mels = run_branches(bound, states)
    np.testing.assert_array_equal(run_kernel(kernel, [states])[0], xp)
    np.testing.assert_array_equal(run_kernel(kernel, [states])[1], mels)


def test_no_sample_has_no_branches_but_their_shape() -> None:
    for name in ("emission: project", "reduction: nested", "update: computed site in"):
        full = next(known for known in CONSTRUCTS if known.startswith(name))
        operator = CONSTRUCTS[full](3)
        module = sym.lower_to_bt(operator.to_ir().module)
        xp, mels = run_branches(module, np.zeros((0, 3), np.int8))
        assert xp.shape == (0, operator.max_conn_size, 3)
        assert mels.shape == (0, operator.max_conn_size)
        assert (xp.dtype, mels.dtype) == (np.int8, operator.dtype)


# ---- the ops, by hand ----


def run_values(text: str, *arguments: Any) -> tuple[Any, ...]:
    """Run `@f` on arrays, the first of which are the configurations."""
    module = parse_module(text)
    interpreter = Interpreter(module)
    x = np.asarray(arguments[0])
    for functions in functions_of(len(x), x.dtype):
        interpreter.register_implementations(functions)
    return interpreter.call_op("f", tuple(np.asarray(value) for value in arguments))


X = np.array([[1, 2, 3], [4, 5, 6]], np.int8)


def test_gathers_convert_what_they_read() -> None:
    found, stored = run_values(
        """
func.func @f(%x: tensor<?x3x!bt.state>) -> (tensor<?x2x2xf32>, tensor<?x!bt.state>) {
  %i = stablehlo.constant dense<[[2, 0], [1, 1]]> : tensor<2x2xi32>
  %k = stablehlo.constant dense<2> : tensor<i32>
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2x2xi32>) -> tensor<?x2x2xf32>
  %s = bt.gather %x[%k] : (tensor<?x3x!bt.state>, tensor<i32>) -> tensor<?x!bt.state>
  func.return %v, %s : tensor<?x2x2xf32>, tensor<?x!bt.state>
}""",
        X,
    )
    assert (found.dtype, stored.dtype) == (np.float32, np.int8)
    assert found.tolist() == [[[3, 1], [2, 2]], [[6, 4], [5, 5]]]
    assert stored.tolist() == [3, 6]


def test_gathers_with_sites_of_each_sample_own_clamp_what_is_off_the_lattice() -> None:
    (found,) = run_values(
        """
func.func @f(%x: tensor<?x3x!bt.state>, %i: tensor<?x2xi32>) -> tensor<?x2xf64> {
  %v = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<?x2xi32>) -> tensor<?x2xf64>
  func.return %v : tensor<?x2xf64>
}""",
        X,
        np.array([[0, 2], [-1, 7]], np.int32),
    )
    assert found.tolist() == [[1, 3], [4, 6]]


def test_broadcasts_repeat_along_the_missing_axes() -> None:
    scalar, lanes, samples = run_values(
        """
func.func @f(%x: tensor<?x3x!bt.state>, %s: tensor<f64>, %l: tensor<2xf64>,
    %b: tensor<?xf64>) -> (tensor<?x2xf64>, tensor<?x2xf64>, tensor<?x2xf64>) {
  %0 = bt.broadcast %s dims = [] : tensor<f64> -> tensor<?x2xf64>
  %1 = bt.broadcast %l dims = [1] : tensor<2xf64> -> tensor<?x2xf64>
  %2 = bt.broadcast %b dims = [0] : tensor<?xf64> -> tensor<?x2xf64>
  func.return %0, %1, %2 : tensor<?x2xf64>, tensor<?x2xf64>, tensor<?x2xf64>
}""",
        X,
        7.0,
        [1.0, 2.0],
        [3.0, 4.0],
    )
    assert scalar.tolist() == [[7, 7], [7, 7]]
    assert lanes.tolist() == [[1, 2], [1, 2]]
    assert samples.tolist() == [[3, 3], [4, 4]]


@pytest.mark.parametrize(
    ("kind", "element", "values", "expected", "of_nothing"),
    [
        ("sum", "f64", [[1.0, 2, 3], [4, 5, 6]], [6, 15], 0),
        ("prod", "f64", [[1.0, 2, 3], [4, 5, 6]], [6, 120], 1),
        ("any", "i1", [[False] * 3, [False, True, True]], [False, True], False),
        ("all", "i1", [[True] * 3, [False, True, True]], [True, False], True),
        ("parity", "i1", [[True] * 3, [False, True, True]], [True, False], False),
    ],
)
def test_reductions_combine_the_last_axis(
    kind: str, element: str, values: Any, expected: Any, of_nothing: Any
) -> None:
    def run(width: int) -> Array:
        result = run_values(
            f"""
func.func @f(%x: tensor<?x{width}x{element}>) -> tensor<?x{element}> {{
  %r = bt.reduce {kind} %x : tensor<?x{width}x{element}> -> tensor<?x{element}>
  func.return %r : tensor<?x{element}>
}}""",
            np.array(values)[:, :width],
        )
        return result[0]

    assert run(3).tolist() == expected
    assert run(3).dtype == np.array(values).dtype
    assert run(0).tolist() == [of_nothing] * 2


BRANCHES = """
func.func @f(%x: tensor<?x3x!bt.state>, %p: tensor<?x2xi1>) -> ({kind}) {{
  %i = stablehlo.constant dense<[0, -1]> : tensor<2xi32>
  %j = stablehlo.constant dense<0> : tensor<i32>
  %v = stablehlo.constant dense<[8.0, 9.0]> : tensor<2xf64>
  %w = stablehlo.constant dense<7.9> : tensor<f64>
  %a = stablehlo.constant dense<[0.5, 1.5]> : tensor<2xf64>
  %b = bt.branches [%i, %j] = [%v, %w] amplitude %a valid %p
    : [tensor<2xi32>, tensor<i32>] [tensor<2xf64>, tensor<f64>]
      tensor<2xf64>, tensor<?x2xi1> -> !bt.branches<2 x 2>
  %c = bt.branches [] = [] amplitude %w
    : [] [] tensor<f64> -> !bt.branches<2 x 0>
  {rest}
}}
"""
P = np.array([[True, True], [False, True]])
CONNECTIONS = """
  %xp, %mels = bt.connections %x, {branches}
    : (tensor<?x3x!bt.state>, !bt.branches<{kind}>)
    -> (tensor<?x{lanes}x3x!bt.state>, tensor<?x{lanes}xf64>)
  func.return %xp, %mels : tensor<?x{lanes}x3x!bt.state>, tensor<?x{lanes}xf64>
"""


def run_dense(join: str, branches: str, lanes: int, writes: int) -> tuple[Any, ...]:
    kind = f"tensor<?x{lanes}x3x!bt.state>, tensor<?x{lanes}xf64>"
    rest = join + CONNECTIONS.format(
        branches=branches, lanes=lanes, kind=f"{lanes} x {writes}"
    )
    return run_values(BRANCHES.format(kind=kind, rest=rest), X, P)


def test_branches_are_a_value_of_sites_values_amplitudes_and_validity() -> None:
    text = BRANCHES.format(
        kind="!bt.branches<2 x 2>, !bt.branches<2 x 0>",
        rest="func.return %b, %c : !bt.branches<2 x 2>, !bt.branches<2 x 0>",
    )
    found, empty = run_values(text, X, P)
    assert isinstance(found, Branches)
    assert (found.lanes, found.writes) == (2, 2)
    assert found.sites.tolist() == [[[0, 0], [-1, 0]]] * 2
    # A write is in the state type: what is none of its numbers is truncated.
    assert found.values.tolist() == [[[8, 7], [9, 7]]] * 2
    assert found.values.dtype == X.dtype
    assert found.amplitude.tolist() == [[0.5, 1.5]] * 2
    assert found.valid.tolist() == P.tolist()
    assert (empty.lanes, empty.writes) == (2, 0)
    assert empty.valid.tolist() == [[True, True], [True, True]]


def test_a_later_write_wins_and_a_lane_that_is_not_valid_has_x_and_zero() -> None:
    xp, mels = run_dense("", "%b", 2, 2)
    assert xp.tolist() == [[[7, 2, 3], [7, 2, 3]], [[4, 5, 6], [7, 5, 6]]]
    assert mels.tolist() == [[0.5, 1.5], [0, 1.5]]
    assert xp.dtype == X.dtype


def test_concat_has_the_parts_one_after_the_other() -> None:
    join = """%d = bt.concat %c, %b
      : !bt.branches<2 x 0>, !bt.branches<2 x 2> -> !bt.branches<4 x 2>"""
    xp, mels = run_dense(join, "%d", 4, 2)
    assert mels.tolist() == [[7.9, 7.9, 0.5, 1.5], [7.9, 7.9, 0, 1.5]]
    assert xp[:, :2].tolist() == [[row.tolist()] * 2 for row in X]
    assert xp[1, 3].tolist() == [7, 5, 6]


def test_interleave_has_the_lanes_of_a_row_side_by_side() -> None:
    join = """%d = bt.interleave %b, %c
      : !bt.branches<2 x 2>, !bt.branches<2 x 0> -> !bt.branches<4 x 2>"""
    xp, mels = run_dense(join, "%d", 4, 2)
    assert mels.tolist() == [[0.5, 7.9, 1.5, 7.9], [0, 7.9, 1.5, 7.9]]
    assert xp[0].tolist() == [[7, 2, 3], [1, 2, 3], [7, 2, 3], [1, 2, 3]]


def test_compact_keeps_valid_lanes_in_order_or_breaks() -> None:
    join = """%d = bt.interleave %b, %c
      : !bt.branches<2 x 2>, !bt.branches<2 x 0> -> !bt.branches<4 x 2>
    %e = bt.compact %d : !bt.branches<4 x 2> -> !bt.branches<3 x 2>"""
    xp, mels = run_dense(join, "%e", 3, 2)
    np.testing.assert_array_equal(mels, [[np.nan] * 3, [7.9, 1.5, 7.9]])
    assert xp[1].tolist() == [[4, 5, 6], [7, 5, 6], [4, 5, 6]]


def test_compact_fills_up_with_x_and_zero() -> None:
    join = "%e = bt.compact %b : !bt.branches<2 x 2> -> !bt.branches<1 x 2>"
    module = BRANCHES.format(
        kind="tensor<?x1x3x!bt.state>, tensor<?x1xf64>",
        rest=join + CONNECTIONS.format(branches="%e", lanes=1, kind="1 x 2"),
    )
    xp, mels = run_values(module, X, [[False, True], [False, False]])
    assert mels.tolist() == [[1.5], [0]]
    assert xp.tolist() == [[[7, 2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize("join", ["concat", "interleave"])
def test_no_part_has_no_lane(join: str) -> None:
    xp, mels = run_dense(f"%e = bt.{join} : -> !bt.branches<0 x 0>", "%e", 0, 0)
    assert (xp.shape, mels.shape) == ((2, 0, 3), (2, 0))
    assert (xp.dtype, mels.dtype) == (X.dtype, np.float64)


def test_sites_of_each_sample_own_are_written_for_each() -> None:
    xp, _ = run_branches(
        parse_module("""
func.func @f(%x: tensor<?x3x!bt.state>) -> (tensor<?x1x3x!bt.state>, tensor<?x1xf64>) {
  %i = stablehlo.constant dense<[0]> : tensor<1xi32>
  %n = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<1xi32>) -> tensor<?x1xi32>
  %v = stablehlo.constant dense<9.0> : tensor<f64>
  %b = bt.branches [%n] = [%v] amplitude %v
    : [tensor<?x1xi32>] [tensor<f64>] tensor<f64> -> !bt.branches<1 x 1>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<1 x 1>)
    -> (tensor<?x1x3x!bt.state>, tensor<?x1xf64>)
  func.return %xp, %mels : tensor<?x1x3x!bt.state>, tensor<?x1xf64>
}"""),
        np.array([[1, 0, 0], [2, 0, 0], [3, 0, 0], [-2, 0, 0]], np.int8),
    )
    # A site off the lattice is written nowhere.
    assert xp.tolist() == [[[1, 9, 0]], [[2, 0, 9]], [[3, 0, 0]], [[-2, 0, 0]]]


# ---- what does not fit ----


def test_arguments_have_the_types_of_the_function() -> None:
    operator = CONSTRUCTS["amplitude: symbol"](3)
    module = sym.lower_to_bt(operator.to_ir().module)
    bound = run_passes(module, "bt-specialize{batch=2 state=i8}")
    x = np.zeros((2, 3), np.int8)
    g = np.float64(0.5)
    assert run_branches(bound, x, [g])[1].shape == (2, operator.max_conn_size)
    with pytest.raises(ValueError, match="takes 1 parameters, got 0"):
        run_branches(module, x)
    with pytest.raises(
        ValueError, match=r"argument 1 .* is float64 \(\), got float64 \(2,\)"
    ):
        run_branches(module, x, [np.zeros(2)])
    with pytest.raises(ValueError, match=r"argument 0 .*\(2, 3\), got int8 \(3, 3\)"):
        run_branches(bound, np.zeros((3, 3), np.int8), [g])
    with pytest.raises(ValueError, match=r"argument 0 .* int8 .*, got int16"):
        run_branches(bound, x.astype(np.int16), [g])
    with pytest.raises(ValueError, match="real numbers, got complex128"):
        run_branches(module, x.astype(complex), [g])
    with pytest.raises(ValueError, match=r"expected one function .* found none"):
        run_branches(operator.to_ir().module, x)
