"""The reference interpreter of `sym` against cases computed by hand."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.interpreter import Interpreter, OpCounter, impl, register_impls

from dialects import sym
from dialects.interpreters.sym import (
    Branch,
    SymFunctions,
    branches,
    connections,
    dense_matrix,
    interpreter_of,
)
from dialects.text import parse_module

Array = npt.NDArray[Any]


def operator(
    terms: str,
    space: str = "4 x [0, 1, 2]",
    parameters: str = "",
    element: str = "f64",
) -> ModuleOp:
    head = f"sym.operator @o({parameters}) space #sym.space<{space}> element {element}"
    return parse_module(f"{head} {{ {terms} }}")


def term(rows: str, body: str, labels: str = "i j", name: str = "t") -> str:
    """Write a term; the body may use %x, its labels and the constants %zero, %one."""
    sites = "".join(f", %{label} : !sym.site" for label in labels.split())
    return f"""
      sym.term @{name} over #sym.rows<{rows}> {{
      ^bb0(%x : !sym.config{sites}):
        %zero = stablehlo.constant dense<0.0> : tensor<f64>
        %one = stablehlo.constant dense<1.0> : tensor<f64>
        %minus = stablehlo.constant dense<-1.0> : tensor<f64>
        {body}
      }}"""


def compare(direction: str, lhs: str, rhs: str) -> str:
    types = "(tensor<f64>, tensor<f64>) -> tensor<i1>"
    return f"stablehlo.compare {direction}, {lhs}, {rhs} : {types}"


HOP = """
    %ni = sym.read %x[%i] : tensor<f64>
    %ok = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %y0 = sym.shift %x[%i] by %minus : tensor<f64>
    %y = sym.shift %y0[%j] by %one : tensor<f64>
    %nj = sym.read %y[%j] : tensor<f64>
    %p = stablehlo.multiply %ni, %nj : tensor<f64>
    %s = stablehlo.sqrt %p : tensor<f64>
    %a = stablehlo.multiply %t, %s : tensor<f64>
    sym.emit %y, %a if %ok tag "hop" : tensor<f64>
"""


RAISE = """
    %y = sym.shift %x[%i] by %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
"""


def hop(rows: str, space: str = "4 x [0, 1, 2]") -> ModuleOp:
    return operator(term(rows, HOP), space, '%t "t" : tensor<f64> = dense<1.0>')


def configs(found: list[Branch]) -> list[list[float]]:
    return [branch.config.tolist() for branch in found]


def amplitudes(found: list[Branch]) -> list[complex]:
    return [branch.amplitude.item() for branch in found]


def valid(found: list[Branch]) -> list[bool]:
    return [branch.valid for branch in found]


# region One sample


def test_hop() -> None:
    x = [1, 2, 0, 1]
    found = branches(hop("[0, 0], [0, 1], [1, 2], [2, 3], [3, 2]"), x)
    assert configs(found) == [x, x, [1, 1, 1, 1], x, [1, 2, 1, 0]]
    # There and back; too many on site 1; moved; nothing on site 2; moved.
    assert valid(found) == [True, False, True, False, True]
    assert amplitudes(found) == [1, 0, np.sqrt(2.0), 0, 1]
    assert [tuple(branch[2:5]) for branch in found] == [("t", r, 0) for r in range(5)]


@pytest.mark.parametrize(("x", "mel"), [(2, 2.0), (1, 1.0)])
def test_hop_may_leave_the_space_on_its_way(x: float, mel: float) -> None:
    # From 2 to 1 and back, and with the labels' other order from 2 to 3 and back.
    down_up = branches(hop("[0, 0]", "1 x [0, 1, 2]"), [x])
    up_down = operator(
        term(
            "[0]",
            """
            %up = sym.shift %x[%i] by %one : tensor<f64>
            %y = sym.shift %up[%i] by %minus : tensor<f64>
            %a = sym.read %y[%i] : tensor<f64>
            sym.emit %y, %a : tensor<f64>
            """,
            "i",
        ),
        "1 x [0, 1, 2]",
    )
    for found in (down_up, branches(up_down, [x])):
        assert configs(found) == [[x]]
        assert amplitudes(found) == [mel]
        assert valid(found) == [True]


def test_every_branch_is_typed_and_immutable() -> None:
    x = np.array([1, 2, 0, 1], np.int8)
    for branch in branches(hop("[0, 1], [1, 2]"), x):
        assert isinstance(branch.config, np.ndarray)
        assert branch.config.dtype == np.float64
        assert not branch.config.flags.writeable
        assert isinstance(branch.amplitude, np.ndarray)
        assert branch.amplitude.dtype == np.float64
        assert branch.amplitude.shape == ()
        assert type(branch.valid) is bool
    assert x.tolist() == [1, 2, 0, 1]
    assert x.flags.writeable


def test_swap() -> None:
    swap = operator(
        term(
            "[0, 1], [1, 1], [3, 0]",
            """
            %y = sym.swap %x[%i, %j]
            %z = sym.swap %y[%j, %i]
            %a = sym.read %y[%i] : tensor<f64>
            %b = sym.read %z[%i] : tensor<f64>
            sym.emit %y, %a : tensor<f64>
            sym.emit %z, %b : tensor<f64>
            """,
        )
    )
    x = [0, 1, 2, 2]
    found = branches(swap, x)
    assert configs(found) == [[1, 0, 2, 2], x, x, x, [2, 1, 2, 0], x]
    assert amplitudes(found) == [1, 0, 1, 1, 0, 2]
    assert [branch[3:5] for branch in found] == [
        *((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1))
    ]


def test_a_later_write_wins() -> None:
    write = operator(
        term(
            "[0, 1], [1, 1]",
            """
            %y = sym.write %x[%i], %zero : tensor<f64>
            %z = sym.write %y[%j], %one : tensor<f64>
            %s = sym.read %x[%i] : tensor<f64>
            sym.emit %z, %s : tensor<f64>
            """,
        )
    )
    found = branches(write, [2, 2, 2, 2])
    assert configs(found) == [[0, 1, 2, 2], [2, 1, 2, 2]]
    # The source is still what it was.
    assert amplitudes(found) == [2, 2]


def test_select() -> None:
    select = operator(
        term(
            "[0], [1]",
            f"""
            %n = sym.read %x[%i] : tensor<f64>
            %empty = {compare("EQ", "%n", "%zero")}
            %up = sym.shift %x[%i] by %one : tensor<f64>
            %down = sym.shift %x[%i] by %minus : tensor<f64>
            %y = sym.select %empty, %up, %down
            sym.emit %y, %one : tensor<f64>
            """,
            "i",
        )
    )
    assert configs(branches(select, [0, 2, 0, 0])) == [[1, 2, 0, 0], [0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("first", "last", "stays"),
    [(7.0, 2.0, True), (2.0, 7.0, False), (7.0, 7.0, False), (1.0, 0.5, False)],
)
def test_only_the_final_value_has_to_be_allowed(
    first: float, last: float, stays: bool
) -> None:
    chain = operator(
        term(
            "[2]",
            f"""
            %first = stablehlo.constant dense<{first}> : tensor<f64>
            %last = stablehlo.constant dense<{last}> : tensor<f64>
            %y = sym.write %x[%i], %first : tensor<f64>
            %z = sym.write %y[%i], %last : tensor<f64>
            sym.emit %z, %last : tensor<f64>
            """,
            "i",
        )
    )
    (branch,) = branches(chain, [0, 1, 0, 1])
    assert branch.valid is stays
    assert branch.config.tolist() == [0, 1, last if stays else 0, 1]
    assert branch.amplitude == (last if stays else 0)


@pytest.mark.parametrize("function", ["log", "rsqrt"])
def test_a_final_value_that_is_not_finite_leaves_the_space(function: str) -> None:
    module = operator(
        term(
            "[0], [1]",
            f"""
            %n = sym.read %x[%i] : tensor<f64>
            %infinite = stablehlo.{function} %zero : tensor<f64>
            %nan = stablehlo.multiply %infinite, %zero : tensor<f64>
            %y = sym.write %x[%i], %infinite : tensor<f64>
            %z = sym.write %x[%i], %nan : tensor<f64>
            sym.emit %y, %one : tensor<f64>
            sym.emit %z, %one : tensor<f64>
            """,
            "i",
        )
    )
    assert valid(branches(module, [0, 1, 0, 0])) == [False] * 4


def test_sites_that_do_not_change_are_not_checked() -> None:
    flip = operator(
        term(
            "[0]",
            "%y = sym.write %x[%i], %one : tensor<f64> sym.emit %y, %one : tensor<f64>",
            "i",
        )
    )
    (branch,) = branches(flip, [0, 9, 0, 0])
    assert branch.valid
    assert branch.config.tolist() == [1, 9, 0, 0]


def test_an_excluded_lane_neither_poisons_nor_warns() -> None:
    inverse = operator(
        term(
            "[0], [1]",
            f"""
            %n = sym.read %x[%i] : tensor<f64>
            %ok = {compare("NE", "%n", "%zero")}
            %a = stablehlo.divide %one, %n : tensor<f64>
            sym.emit %x, %a if %ok : tensor<f64>
            """,
            "i",
        )
    )
    found = branches(inverse, [0, 2, 0, 0])
    assert amplitudes(found) == [0, 0.5]
    assert valid(found) == [False, True]


def test_terms_then_rows_then_emissions() -> None:
    both = """
        %a = sym.read %x[%i] : tensor<f64>
        %y = sym.write %x[%i], %zero : tensor<f64>
        sym.emit %y, %a : tensor<f64>
        sym.emit %x, %one : tensor<f64>
    """
    alone = "sym.emit %x, %minus : tensor<f64>"
    ordered = operator(
        term("[1], [0]", both, "i", "two") + term("[]", alone, "", "global")
    )
    found = branches(ordered, [1, 2, 0, 0])
    assert [branch[2:5] for branch in found] == [
        *(("two", 0, 0), ("two", 0, 1), ("two", 1, 0), ("two", 1, 1)),
        ("global", 0, 0),
    ]
    assert amplitudes(found) == [2, 1, 1, 1, -1]
    assert configs(found)[0] == [1, 0, 0, 0]
    assert configs(found)[2] == [0, 2, 0, 0]


def test_index_allowed_and_data() -> None:
    text = operator(
        """
        sym.term @t over #sym.rows<[3, 0], [1, 2]>
            data [#sym.column<"J", dense<[0.5, -2.0]> : tensor<2xf64>>,
                  #sym.column<"n", dense<[7, 9]> : tensor<2xi32>>] {
        ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site,
             %J : tensor<f64>, %n : tensor<i32>):
          %s = sym.index %i
          %m = stablehlo.add %s, %n : tensor<i32>
          %f = stablehlo.convert %m : (tensor<i32>) -> tensor<f64>
          %a = stablehlo.multiply %f, %J : tensor<f64>
          %v = sym.read %x[%i] : tensor<f64>
          %ok = sym.allowed %J at %j : tensor<f64>
          sym.emit %x, %a : tensor<f64>
          sym.emit %x, %v if %ok : tensor<f64>
        }
        """,
        "4 x [0, 1], [-2, 1], [-2, 1], [0, 1]",
    )
    found = branches(text, [0, 1, 1, 1])
    assert amplitudes(found) == [5, 0, -20, 1]
    assert valid(found) == [True, False, True, True]


def test_sites_may_have_spaces_of_their_own() -> None:
    raise_all = operator(
        term(
            "[0], [1], [2]",
            RAISE,
            "i",
        ),
        "3 x [0, 1], [0, 1, 2], [1, 3]",
    )
    found = branches(raise_all, [1, 1, 1])
    assert valid(found) == [False, True, False]
    assert configs(found) == [[1, 1, 1], [1, 2, 1], [1, 1, 1]]
    assert valid(branches(raise_all, [0, 2, 3])) == [True, False, False]


def test_float32_values_are_compared_as_float32() -> None:
    flip = parse_module("""
        sym.operator @o() space #sym.space<2 x [0.1, 0.7]> element f32 {
          sym.term @t over #sym.rows<[0], [1]> {
          ^bb0(%x : !sym.config, %i : !sym.site):
            %sum = stablehlo.constant dense<0.8> : tensor<f32>
            %v = sym.read %x[%i] : tensor<f32>
            %w = stablehlo.constant dense<0.7> : tensor<f32>
            %y = sym.write %x[%i], %w : tensor<f32>
            %ok = sym.allowed %v at %i : tensor<f32>
            sym.emit %y, %v if %ok : tensor<f32>
          }
        }""")
    found = branches(flip, [0.1, 0.1])
    assert valid(found) == [True, True]
    assert all(branch.config.dtype == np.float32 for branch in found)
    assert all(branch.amplitude.dtype == np.float32 for branch in found)
    # In x's own dtype a site that is not written is what it was, to the last bit.
    x = np.array([0.1, 0.1])
    xp, mels = connections(flip, x)
    assert xp.dtype == np.float64
    assert mels.dtype == np.float32
    assert xp[0, 1] == xp[1, 0] == 0.1
    assert xp[0, 0] == np.float32(0.7)


# endregion
# region Parameters


def weighted(element: str = "f64", parameters: str | None = None) -> ModuleOp:
    text = term(
        "[]",
        "%s = stablehlo.add %a, %b : tensor<f64> sym.emit %x, %s : tensor<f64>",
        "",
    )
    default = '%a "a" : tensor<f64>, %b "b" : tensor<f64> = dense<2.0>'
    text = text.replace("f64", element)
    return operator(
        text, "1 x [0, 1]", (parameters or default).replace("f64", element), element
    )


def test_parameters() -> None:
    assert amplitudes(branches(weighted(), [0], {"a": 1})) == [3]
    assert amplitudes(branches(weighted(), [0], {"b": 1, "a": 0.5})) == [1.5]
    given: dict[str, Any] = {"a": np.float32(0.5), "b": np.asarray(1)}
    assert amplitudes(branches(weighted(), [0], given)) == [1.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"missing \['a'\]; it has \['a', 'b'\]"),
        (None, r"operator @o: missing \['a'\]"),
        ({"c": 1, "b": 1}, r"missing \['a'\], unknown \['c'\]"),
        ({"a": 1, "c": 1}, r"@o: unknown \['c'\]; it has"),
        ({"a": 1j}, '"a" is a scalar of float64, got 1j'),
        ({"a": np.complex64(1)}, '"a" is a scalar of float64'),
        ({"a": [1.0]}, '"a" is a scalar'),
        ({"a": "1"}, '"a" is a scalar'),
        ({"a": None}, '"a" is a scalar'),
    ],
)
def test_parameters_that_do_not_fit(given: Any, message: str) -> None:
    for evaluate in (branches, connections):
        with pytest.raises(ValueError, match=message):
            evaluate(weighted(), [0], given)
    with pytest.raises(ValueError, match=message):
        dense_matrix(weighted(), given)


def test_parameters_of_float32() -> None:
    (branch,) = branches(weighted("f32"), [0], {"a": 0.1})
    assert branch.amplitude == np.float32(0.1) + np.float32(2)
    with pytest.raises(ValueError, match='"a" does not fit into float32: 1e\\+300'):
        branches(weighted("f32"), [0], {"a": 1e300})


@pytest.mark.parametrize("real", ["f32", "f64"])
def test_complex_elements(real: str) -> None:
    text = f"""
      sym.operator @o(%c "c" : tensor<complex<{real}>> = dense<(0.0, 2.0)>,
                      %r "r" : tensor<{real}> = dense<0.5>)
          space #sym.space<2 x [-1, 1]> element complex<{real}> {{
        sym.term @y over #sym.rows<[0], [1]> {{
        ^bb0(%x : !sym.config, %i : !sym.site):
          %v = sym.read %x[%i] : tensor<{real}>
          %m = stablehlo.negate %v : tensor<{real}>
          %y = sym.write %x[%i], %m : tensor<{real}>
          %z = stablehlo.complex %v, %r : tensor<complex<{real}>>
          %a = stablehlo.multiply %z, %c : tensor<complex<{real}>>
          sym.emit %y, %a : tensor<complex<{real}>>
        }}
      }}"""
    module = parse_module(text)
    xp, mels = connections(module, np.array([1, -1], np.int8))
    assert mels.dtype == (np.complex64 if real == "f32" else np.complex128)
    assert mels.tolist() == [(1 + 0.5j) * 2j, (-1 + 0.5j) * 2j]
    assert xp.dtype == np.int8
    assert xp.tolist() == [[-1, -1], [1, 1]]
    assert branches(module, [1, -1])[0].config.dtype == np.dtype(f"float{real[1:]}")
    _, real_weights = connections(module, [1, -1], {"c": 2, "r": 0})
    assert real_weights.tolist() == [2, -2]


# endregion
# region Batches


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int32, np.int64, np.uint8, np.float16, np.float32, np.float64]
)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 0, 3)])
def test_connections(dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
    module = hop("[0, 1], [1, 2], [3, 3]")
    x = np.random.default_rng(1).integers(0, 3, (*shape, 4)).astype(dtype)
    before = x.copy()
    xp, mels = connections(module, x, {"t": -1})
    assert xp.shape == (*shape, 3, 4)
    assert xp.dtype == dtype
    assert mels.shape == (*shape, 3)
    assert mels.dtype == np.float64
    for index in np.ndindex(shape):
        found = branches(module, x[index], {"t": -1})
        assert xp[index].tolist() == configs(found)
        assert mels[index].tolist() == amplitudes(found)
    np.testing.assert_array_equal(x, before)
    assert x.flags.writeable


def test_boolean_configurations() -> None:
    flip = """
        %v = sym.read %x[%i] : tensor<f64>
        %w = stablehlo.subtract %one, %v : tensor<f64>
        %y = sym.write %x[%i], %w : tensor<f64>
        sym.emit %y, %v : tensor<f64>
    """
    module = operator(term("[0], [1]", flip, "i"), "2 x [0, 1]")
    xp, mels = connections(module, np.array([[True, False]]))
    assert xp.dtype == np.bool_
    assert xp.tolist() == [[[False, False], [True, True]]]
    assert mels.tolist() == [[1, 0]]


def test_no_lanes() -> None:
    empty = operator(term("0 x 2", "sym.emit %x, %one : tensor<f64>"))
    assert branches(empty, [0, 0, 0, 0]) == []
    for module in (empty, operator("")):
        xp, mels = connections(module, np.zeros((3, 4), np.int8))
        assert xp.shape == (3, 0, 4)
        assert xp.dtype == np.int8
        assert mels.shape == (3, 0)
        assert not dense_matrix(module).any()


@pytest.mark.parametrize("shape", [(), (3,), (5,), (2, 3)])
def test_x_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    for evaluate in (branches, connections):
        with pytest.raises(
            ValueError, match=r"@o acts on 4 sites: expected x of shape"
        ):
            evaluate(hop("[0, 1]"), np.zeros(shape))


def test_branches_takes_one_sample() -> None:
    with pytest.raises(ValueError, match=r"expected x of shape \(4,\), got \(1, 4\)"):
        branches(hop("[0, 1]"), np.zeros((1, 4)))


@pytest.mark.parametrize("x", [[1j, 0, 0, 0], ["0", "1", "0", "1"], [None] * 4])
def test_x_of_the_wrong_dtype(x: Any) -> None:
    with pytest.raises(ValueError, match="configurations of real numbers, got dtype"):
        connections(hop("[0, 1]"), x)


def test_a_module_must_hold_one_operator() -> None:
    with pytest.raises(ValueError, match=r"one sym\.operator, found none"):
        branches(parse_module("builtin.module {}"), [0])
    alone = "sym.operator @{}() space #sym.space<1 x [0]> element f64 {{}}"
    two = parse_module(alone.format("a") + alone.format("b"))
    with pytest.raises(ValueError, match="found @a, @b"):
        connections(two, [0])
    first, _ = two.body.block.ops
    assert isinstance(first, sym.OperatorOp)
    assert branches(first, [0]) == []


# endregion
# region Matrices


def embed(factors: dict[int, Array], sites: int) -> Array:
    """Return the tensor product over sites of local matrices, identities elsewhere."""
    dim = len(next(iter(factors.values())))
    return reduce(np.kron, [factors.get(i, np.eye(dim)) for i in range(sites)])


# In the order of the local values: the first is -1.
PAULI_X = np.array([[0.0, 1.0], [1.0, 0.0]])
PAULI_Y = np.array([[0.0, 1.0j], [-1.0j, 0.0]])
PAULI_Z = np.diag([-1.0, 1.0])
RING = [(0, 1), (1, 2), (2, 3), (3, 0)]
ROWS = ", ".join(str(list(bond)) for bond in RING)
SPINS = "4 x [-1, 1]"

ZZ = """
    %si = sym.read %x[%i] : tensor<f64>
    %sj = sym.read %x[%j] : tensor<f64>
    %zz = stablehlo.multiply %si, %sj : tensor<f64>
    sym.emit %x, %zz : tensor<f64>
"""


def test_transverse_field_ising() -> None:
    flip = """
        %s = sym.read %x[%i] : tensor<f64>
        %m = stablehlo.negate %s : tensor<f64>
        %y = sym.write %x[%i], %m : tensor<f64>
        %a = stablehlo.negate %h : tensor<f64>
        sym.emit %y, %a : tensor<f64>
    """
    module = operator(
        term(ROWS, ZZ, name="zz") + term("[0], [1], [2], [3]", flip, "i", "x"),
        SPINS,
        '%h "h" : tensor<f64> = dense<1.0>',
    )
    zz = sum(embed({i: PAULI_Z, j: PAULI_Z}, 4) for i, j in RING)
    x = sum(embed({i: PAULI_X}, 4) for i in range(4))
    np.testing.assert_allclose(dense_matrix(module), zz - x, atol=1e-14)
    np.testing.assert_allclose(
        dense_matrix(module, {"h": 0.3}), zz - 0.3 * x, atol=1e-14
    )


def test_heisenberg() -> None:
    exchange = f"""
        {ZZ}
        %differ = {compare("NE", "%si", "%sj")}
        %two = stablehlo.constant dense<2.0> : tensor<f64>
        %y = sym.swap %x[%i, %j]
        sym.emit %y, %two if %differ : tensor<f64>
    """
    module = operator(term(ROWS, exchange), SPINS)
    expected = sum(
        embed({i: pauli, j: pauli}, 4)
        for i, j in RING
        for pauli in (PAULI_X, PAULI_Y, PAULI_Z)
    )
    np.testing.assert_allclose(dense_matrix(module), expected, atol=1e-14)


@pytest.mark.parametrize(
    "pairs", [[(0, 1)], [(2, 0)], [(1, 1)], [(0, 1), (1, 0), (1, 2), (2, 1), (2, 2)]]
)
@pytest.mark.parametrize("n_max", [1, 3])
def test_hopping_bosons(pairs: list[tuple[int, int]], n_max: int) -> None:
    rows = ", ".join(str(list(pair)) for pair in pairs)
    module = hop(rows, f"3 x {list(range(n_max + 1))}")
    a = np.diag(np.sqrt(np.arange(1.0, n_max + 1)), 1)
    lower = [embed({i: a}, 3) for i in range(3)]
    # One row takes a particle from i in x, which is <x| a_i^+ a_j |x'>.
    expected = sum(lower[i].T @ lower[j] for i, j in pairs)
    np.testing.assert_allclose(
        dense_matrix(module, {"t": -0.5}), -0.5 * expected, atol=1e-14
    )


def test_the_last_site_is_the_fastest() -> None:
    module = operator(
        term(
            "[1]",
            "%v = sym.read %x[%i] : tensor<f64> sym.emit %x, %v : tensor<f64>",
            "i",
        ),
        "2 x [0, 1, 2], [5, 7]",
    )
    assert np.diag(dense_matrix(module)).tolist() == [5, 7] * 3


def test_a_matrix_adds_what_reaches_the_same_configuration() -> None:
    twice = "sym.emit %x, %one : tensor<f64> sym.emit %x, %minus : tensor<f64>"
    module = operator(
        term("[0], [0], [0]", twice + " sym.emit %x, %one : tensor<f64>", "i"),
        "1 x [0, 1]",
    )
    assert dense_matrix(module).tolist() == [[3, 0], [0, 3]]


def test_a_matrix_has_to_be_small() -> None:
    with pytest.raises(ValueError, match="has 16384 configurations"):
        dense_matrix(operator("", "14 x [0, 1]"))


# endregion
# region Random chains of updates


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], list[int], list[int]]:
    """Draw updates of labels %i, %j, %k, their row, and a configuration."""
    label, value = st.integers(0, 2), st.integers(-2, 3)
    update = st.one_of(
        st.tuples(st.just("write"), label, value),
        st.tuples(st.just("shift"), label, value),
        st.tuples(st.just("swap"), label, label),
        st.tuples(st.just("undo if"), label, value),
    )
    sites = st.integers(0, 3)
    row = draw(st.lists(sites, min_size=3, max_size=3))
    x = draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))
    return draw(st.lists(update, max_size=6)), row, x


def chain_text(updates: list[tuple[Any, ...]]) -> str:
    lines = [
        f"%c{value} = stablehlo.constant dense<{value}.0> : tensor<f64>".replace(
            "%c-", "%m"
        )
        for value in range(-2, 4)
    ]
    config = "%x"
    for n, (kind, first, second) in enumerate(updates):
        site, value = f"%{'ijk'[first]}", f"%c{second}".replace("%c-", "%m")
        if kind == "write":
            lines.append(f"%y{n} = sym.write {config}[{site}], {value} : tensor<f64>")
        elif kind == "shift":
            lines.append(f"%y{n} = sym.shift {config}[{site}] by {value} : tensor<f64>")
        elif kind == "swap":
            lines.append(f"%y{n} = sym.swap {config}[{site}, %{'ijk'[second]}]")
        else:
            lines.append(f"%v{n} = sym.read {config}[{site}] : tensor<f64>")
            lines.append(f"%p{n} = {compare('LT', f'%v{n}', value)}")
            lines.append(f"%y{n} = sym.select %p{n}, %x, {config}")
        config = f"%y{n}"
    return "\n".join([*lines, f"sym.emit {config}, %one : tensor<f64>"])


def chain_model(
    updates: list[tuple[Any, ...]], row: list[int], x: list[int]
) -> list[int]:
    config = list(x)
    for kind, first, second in updates:
        site = row[first]
        if kind == "write":
            config[site] = second
        elif kind == "shift":
            config[site] += second
        elif kind == "swap":
            other = row[second]
            config[site], config[other] = config[other], config[site]
        elif config[site] < second:
            config = list(x)
    return config


@settings(max_examples=60)
@given(chains())
def test_chains_of_updates(
    chain: tuple[list[tuple[Any, ...]], list[int], list[int]],
) -> None:
    updates, row, x = chain
    (branch,) = branches(operator(term(str(row), chain_text(updates), "i j k")), x)
    final = chain_model(updates, row, x)
    assert branch.valid == all(value in (0, 1, 2) for value in final)
    assert branch.config.tolist() == (final if branch.valid else x)
    assert branch.amplitude == branch.valid


# endregion
# region Other meanings, and watching


@register_impls
class SaturatingShift(SymFunctions):
    """Shifts that stay between 0 and 2."""

    @impl(sym.ShiftOp)
    def run_shift(
        self, interpreter: Interpreter, op: sym.ShiftOp, args: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        config, site, amount = args
        shifted, points = config.copy(), np.arange(len(config))
        shifted[points, site] = np.clip(config[points, site] + amount, 0, 2)
        return (shifted,)


def test_the_meaning_of_an_op_can_be_overridden() -> None:
    module = hop("[0, 1]")
    assert valid(branches(module, [1, 2, 0, 0])) == [False]
    interpreter = interpreter_of(module)
    interpreter.register_implementations(SaturatingShift(), override=True)
    found = branches(module, [1, 2, 0, 0], interpreter=interpreter)
    assert configs(found) == [[0, 2, 0, 0]]
    xp, _ = connections(module, [1, 2, 0, 0], interpreter=interpreter)
    assert xp.tolist() == [[0, 2, 0, 0]]
    assert (
        dense_matrix(module, interpreter=interpreter).sum() > dense_matrix(module).sum()
    )


def test_listeners_see_every_op() -> None:
    module = hop("[0, 1], [1, 2], [2, 3]")
    counter = OpCounter()
    branches(module, [1, 1, 1, 1], interpreter=interpreter_of(module, counter))
    assert counter.ops["sym.operator"] == counter.ops["sym.term"] == 1
    # once for all rows
    assert counter.ops["sym.emit"] == 1
    assert counter.ops["sym.shift"] == 2


def test_an_interpreter_alone_has_no_sample() -> None:
    module = hop("[0, 1]")
    with pytest.raises(ValueError, match="start an operator with"):
        interpreter_of(module).run_op("o")


# endregion
