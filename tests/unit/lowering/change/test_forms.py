"""What is said of the values of a function of x is so, on random configurations."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from xdsl.dialects.builtin import FunctionType, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import Rewriter
from xdsl_jax.dialects import stablehlo as hlo

from dialects.text import Parser, context
from lowering.change import known_rules
from lowering.change.combining_rules import CombiningRule
from lowering.change.form_analysis import analyse
from lowering.change.forms import Added, Elementwise, New, Same, Sites
from lowering.change.rules import op_name
from lowering.energy.differences import linear_part
from lowering.energy.extraction import returned
from symir.runtime.functions import Function
from symir.runtime.importing import import_function

SITES = 4
W = np.array([[1, -2, 0], [0.5, 1, 3], [0, 2, -1], [1.5, 0.25, 1]], np.float64)
ROW = np.array([2.0, -1.0, 0.5, 3.0])
TABLE = np.array([[1.0, -1.0], [0.25, 4.0], [2.0, 0.5], [-3.0, 1.5]])


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    with jax.enable_x64(True):
        yield


def imported(function: Callable[..., Any], *parameters: Any, dtype: Any = float) -> Any:
    x = jax.ShapeDtypeStruct((1, SITES), dtype)
    (main,) = import_function(function, *parameters, x).ops
    return main


def form(function: Callable[..., Any], *parameters: Any, dtype: Any = float) -> Any:
    """Return what is said of the result of a function of x."""
    main = imported(function, *parameters, dtype=dtype)
    return analyse(main)[returned(main)]


def scalar(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, np.float64)


# region Rules


LINEAR: list[Callable[[Any], Any]] = [
    lambda x: x @ W,
    lambda x: x @ W + 3,
    lambda x: -2 * (x @ W) - x @ (W * W) / 7,
    lambda x: (x @ W).sum(),
    lambda x: jnp.fft.fft(x).real + x[:, ::2].sum(),
    lambda x: (x @ W)[0, jnp.array([2, 0, 0, 1])],
    lambda x: jnp.concatenate([x @ W, x, jnp.ones((1, 2))], axis=1),
    lambda x: jnp.pad(x @ W, ((0, 0), (1, 2)), constant_values=4),
    lambda x: (x @ W).astype(np.float32).astype(complex) * 1j,
    lambda x: jnp.einsum("bi,ij,j->b", x, W, ROW[:3]),
    lambda x: lax.conv_general_dilated(x[:, None], jnp.ones((2, 1, 2)), (1,), "SAME"),
    lambda x: lax.dynamic_slice(x @ W, (0, 1), (1, 2)),
    lambda x: lax.reduce(x, 2.0, lax.add, (1,)),
    lambda x: jnp.where(
        np.array([[True], [False]]),
        lax.reduce_window(x @ W, 0.0, lax.add, (1, 2), (1, 1), "VALID").T,
        7.0,
    )[1:],
]


@pytest.mark.parametrize("function", LINEAR)
def test_linear(function: Any) -> None:
    found = form(function)
    assert isinstance(found, Added)
    assert found.affine


SITE_WISE: list[Callable[[Any], Any]] = [
    lambda x: jnp.exp(x) * ROW,
    lambda x: (x[..., None] == np.array([-1.0, 1.0])).astype(float),
    lambda x: jnp.asarray(TABLE)[((x + 1) // 2).astype(int)],
    lambda x: (3 * x.astype(np.int8) + 1) % 5,
    lambda x: 1 / (x + 3),
    lambda x: jnp.where(x > 0, x * x, -x).reshape(2, 2).T,
    lambda x: (x[..., None] * np.ones(3)).max(axis=-1),
    lambda x: jnp.where(np.array([True, False, True, False]), x, 7.0),
    lambda x: jnp.stack([x, 2 * x], -1).sum(axis=-1)[:, ::2] / 3 - 1,
]


@pytest.mark.parametrize("function", SITE_WISE)
def test_site_wise(function: Any) -> None:
    found = form(function)
    assert isinstance(found, Sites)
    assert found.affine == (function in SITE_WISE[-2:])


def test_sums_of_functions_of_sites_are_additive_and_not_linear() -> None:
    for function in SITE_WISE[:3]:
        found = form(lambda x, f=function: f(x).reshape(1, -1).sum() + x[0, 1])
        assert isinstance(found, Added)
        assert not found.affine


ELEMENTWISE: list[Callable[[Any], Any]] = [
    lambda x: jnp.tanh(x @ W),
    lambda x: jnp.maximum(x @ W, 3.0),
    lambda x: jnp.where((z := x @ W) > 0, z, 3.0),
    lambda x: jnp.exp(2 * (x @ W) + 1).reshape(3, 1),
    lambda x: lax.complex(jnp.cos(x @ W), jnp.ones((1, 3))),
    lambda x: (x @ W).astype(np.int32),
    lambda x: 1 / (x @ W),
    lambda x: (x @ W).astype(jnp.bfloat16),
    lambda x: lax.slice(2 - jnp.tanh(x @ W)[None].T, (0, 0, 0), (3, 1, 1)) * 3,
]


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_elementwise(function: Any) -> None:
    assert isinstance(form(function), Elementwise)


OPAQUE: list[Callable[[Any], Any]] = [
    lambda x: (x @ W) * (x @ (2 * W[:, ::-1])),
    lambda x: x @ x.T,
    lambda x: x[:, :2] * x[:, 2:],
    lambda x: jnp.tanh(x @ W).sum(),
    lambda x: jnp.tanh(x @ W) * ROW[:3],
    lambda x: jnp.tanh(x @ W)[:, :2],
    lambda x: jnp.tanh(x @ W) + jnp.tanh(x @ W)[:, ::-1],
    lambda x: x.astype(np.int8).sum(dtype=np.int8),
    lambda x: x.astype(np.int32) @ np.ones((4, 2), np.int32),
    lambda x: x.max(),
    lambda x: x.prod(),
    lambda x: jnp.sort(x),
    lambda x: jnp.cumprod(x, axis=1),
    lambda x: lax.dynamic_slice(jnp.asarray(ROW), (x[0, 0].astype(int),), (2,)),
    lambda x: lax.dynamic_slice(x, (0, x[0, 0].astype(int)), (1, 2)),
    lambda x: x[0, x.astype(int)],
    lambda x: jnp.asarray(TABLE)[x[0, 0].astype(int), x[0, 1].astype(int)],
    lambda x: 1 / (x @ W) + x[:, :3],
    lambda x: lax.reduce(x, 0.0, lambda a, b: (a + b) * 2, (1,)),
    lambda x: lax.reduce(x, 0.0, lambda a, b: a + 2 * b, (1,)),
    lambda x: jnp.argmax(x @ W),
    lambda x: lax.fori_loop(0, 3, lambda i, a: a + x.sum(), 0.0),
    lambda x: jnp.pad(jnp.ones(3), (1, 1), constant_values=x[0, 0] * x[0, 1]),
]


@pytest.mark.parametrize("function", OPAQUE)
def test_opaque(function: Any) -> None:
    found = form(function)
    assert isinstance(found, New)
    assert found.reason
    assert found.op


def test_branches_that_use_x_depend_on_x() -> None:
    """The regions of a branch see x without an operand."""

    def chosen(a: Any, x: Any) -> Any:
        return lax.cond(a > 0, lambda: jnp.sum(x * x), lambda: jnp.sum(x))

    found = form(chosen, scalar())
    assert isinstance(found, New)
    assert "region" in found.reason
    free = form(lambda a, x: lax.cond(a > 0, lambda: a, lambda: 2 * a), scalar())
    assert isinstance(free, Same)


def test_parameters_are_constant() -> None:
    assert form(lambda a, x: a * 2, scalar()) == Same(is_splat=True)
    assert form(lambda a, x: a * 2, scalar(3)) == Same(is_splat=False)
    assert form(lambda x: jnp.zeros(3)) == Same(is_splat=True)
    assert form(lambda x: jnp.arange(3)) == Same(is_splat=False)
    bits = form(lambda x: lax.bitcast_convert_type(jnp.full(3, 0.1), np.int32))
    assert bits == Same(is_splat=False)


def test_zeros_of_two_signs_are_not_equal() -> None:
    assert form(lambda x: jnp.asarray([0.0, -0.0])) == Same(is_splat=False)


def test_an_unknown_function_of_each_element_is_one_function() -> None:
    def network(a: Any, x: Any) -> Any:
        return jnp.tanh(a * (x @ W))

    assert isinstance(form(network, scalar()), Elementwise)
    # With another slope for each element, the slope belongs to the layer
    one = form(network, scalar(3))
    assert isinstance(one, Elementwise)
    assert isinstance(one.root.owner, hlo.MultiplyOp)


def test_bits_of_a_wide_number_are_not_elements() -> None:
    found = form(lambda x: lax.bitcast_convert_type(x, np.int32))
    assert isinstance(found, New)


def test_numbers_that_round_others_off_are_not_linear() -> None:
    big = 1.5 * 2**52
    found = form(lambda x: (x @ W + big) - big)
    assert not isinstance(found, Added)


UNSORTED = """
func.func public @main(%x : tensor<1x4xf64>) -> tensor<2x2xf64> {
  %a = stablehlo.reshape %x : (tensor<1x4xf64>) -> tensor<2x2xf64>
  %b = stablehlo.broadcast_in_dim %a, dims = [1, 0] : (tensor<2x2xf64>) -> tensor<2x2xf64>
  func.return %b : tensor<2x2xf64>
}
"""  # noqa: E501


def test_a_broadcast_may_transpose() -> None:
    (main,) = Parser(context(), UNSORTED).parse_module().ops
    assert isinstance(main, FuncOp)
    found = analyse(main)[returned(main)]
    assert isinstance(found, Sites)
    np.testing.assert_array_equal(found.sites, [[0, 2], [1, 3]])


# endregion
# region Random programs


Step = Callable[[list[Any], int, int], Any]


def _flat(value: Any) -> Any:
    return value.reshape(-1)


def _dense(value: Any) -> Any:
    matrix = np.random.default_rng(value.size).integers(-2, 3, (value.size, 4))
    return _flat(value) @ jnp.asarray(matrix, value.dtype)


def _one_hot(value: Any) -> Any:
    return (value[..., None] == jnp.asarray([-1, 0, 1, 2], value.dtype)).astype(float)


def _embedded(value: Any) -> Any:
    return jnp.asarray(TABLE)[jnp.abs(jnp.real(value)).astype(int) % 4]


UNARY: list[Callable[[Any], Any]] = [
    _dense,
    _dense,
    _one_hot,
    _embedded,
    jnp.tanh,
    jnp.abs,
    jnp.exp,
    jnp.negative,
    lambda v: v + 2,
    lambda v: v / 4,
    lambda v: 1 / (v + 10),
    lambda v: v * v,
    lambda v: jnp.maximum(jnp.real(v), 0.5),
    lambda v: v * jnp.arange(1.0, v.shape[-1] + 1),
    lambda v: v + jnp.arange(v.shape[-1] * 1.0),
    _flat,
    lambda v: v[None],
    lambda v: v.reshape(-1, 2) if v.size % 2 == 0 else v,
    lambda v: v.T,
    lambda v: _flat(v)[::-1],
    lambda v: _flat(v)[:-1] if v.size > 1 else v,
    lambda v: jnp.roll(_flat(v), 1),
    lambda v: _flat(v)[jnp.asarray([0, 0, -1])],
    lambda v: v.sum(axis=-1, keepdims=True),
    lambda v: v.sum(),
    lambda v: jnp.real(v).max(axis=-1, keepdims=True),
    lambda v: jnp.cumsum(_flat(v)),
    lambda v: jnp.where(jnp.arange(v.shape[-1]) % 2 == 0, v, 0),
    lambda v: jnp.where(jnp.real(v) > 0.5, v, 2.0),
    lambda v: jnp.real(v).astype(np.int8).astype(float),
    lambda v: (jnp.real(v).astype(np.int8) * np.int8(100)).astype(float),
    lambda v: jnp.real(v).astype(np.int8).sum(dtype=np.int8, keepdims=True) * 1.0,
    lambda v: jnp.real(v).astype(np.float32).astype(float),
    lambda v: (v * (1 + 2j)).imag,
    lambda v: v * 1j,
    lambda v: jnp.sign(jnp.real(v)),
    lambda v: lax.reduce(_flat(jnp.real(v)), 3.0, lax.add, (0,))[None],
    lambda v: lax.reduce(_flat(jnp.real(v)), 0.0, lambda a, b: (a + b) / 2, (0,)),
    lambda v: lax.dynamic_slice(_flat(v), (jnp.real(_flat(v)[0]).astype(int),), (1,)),
    lambda v: jnp.broadcast_to(v[..., None], (*v.shape, 2)),
]

BINARY: list[Callable[[Any, Any], Any]] = [
    jnp.add,
    jnp.subtract,
    jnp.multiply,
    lambda a, b: jnp.concatenate([_flat(a), _flat(b)]),
    lambda a, b: jnp.where(jnp.real(a) > 0, a, b),
    lambda a, b: _flat(a)[:, None] * _flat(b)[None],
    lambda a, b: jnp.maximum(jnp.real(a), jnp.real(b)),
]


def program(steps: list[tuple[int, int, int]]) -> Callable[[Any], Any]:
    """Return a function that applies steps to x, and to what comes of it."""

    def run(x: Any) -> Any:
        values = [x]
        for which, first, second in steps:
            one = values[-1 - first % min(len(values), 2)]
            other = values[second % len(values)]
            if which < len(UNARY):
                made = UNARY[which](one)
            elif one.shape == other.shape or which == len(UNARY) + 3:
                made = BINARY[which - len(UNARY)](one, other)
            else:
                made = one + other.sum()
            values.append(jnp.atleast_1d(made) if made.size <= 64 else made.sum()[None])
        return values[-1]

    return run


class Program:
    """A function, and all of its values that no loop computes, and that are arrays."""

    def __init__(self, main: FuncOp):
        self.main = main
        every = main.clone()
        known = set[SSAValue](every.body.block.args)
        unknown: list[Operation] = []
        self._named: list[SSAValue] = []
        values: list[SSAValue] = []
        for op, copy in zip(main.body.block.ops, every.body.block.ops, strict=True):
            is_out = isinstance(op, hlo.WhileOp | ReturnOp)
            if is_out or not known.issuperset(copy.operands):
                unknown.append(copy)
                continue
            known |= set(copy.results)
            if isinstance(op.results[0].type, TensorType):
                self._named.append(op.results[0])
                values.append(copy.results[0])
        for op in reversed(unknown):
            Rewriter.erase_op(op)
        every.body.block.add_op(ReturnOp(*values))
        kinds = [value.type for value in values]
        every.function_type = FunctionType.from_lists(
            list(main.function_type.inputs), kinds
        )
        self._values = Function(every)

    def at(self, x: np.ndarray) -> dict[SSAValue, Any]:
        """Return the values at a configuration."""
        found = map(np.asarray, self._values(jnp.asarray(x[None])))
        named = dict(zip(self._named, found, strict=True))
        return {self.main.body.block.args[0]: x[None], **named}


def close(left: Any, right: Any) -> bool:
    if np.asarray(left).dtype.kind not in "fc":
        return bool(np.array_equal(left, right))
    return bool(np.allclose(left, right, rtol=1e-6, atol=1e-6, equal_nan=True))


class Claims:
    """What is said of the values of a function, and checks of it."""

    def __init__(self, program: Program, seed: int):
        rng = np.random.default_rng(seed)
        self.known = analyse(program.main)
        x, y = rng.integers(-2, 3, (2, SITES)).astype(float)
        mask = rng.integers(0, 2, SITES).astype(bool)
        self.at = {
            "x": x,
            "y": y,
            "one": np.where(mask, x, y),
            "other": np.where(mask, y, x),
            "middle": (x + 3 * y) / 4,
            **{str(s): np.where(np.arange(SITES) == s, x, y) for s in range(SITES)},
        }
        self.values = {name: program.at(one) for name, one in self.at.items()}

    def verify(self) -> int:
        """Check all values; return of how many anything is said."""
        count = 0
        for value, said in self.known.items():
            if value not in self.values["x"]:
                continue
            found = {name: values[value] for name, values in self.values.items()}
            if not all(np.isfinite(one).all() for one in found.values()):
                continue
            count += not isinstance(said, New)
            match said:
                case Same(is_splat):
                    assert close(found["x"], found["y"])
                    assert not is_splat or np.unique(found["x"]).size == 1
                case Sites(sites, linear):
                    self._site_wise(found, sites)
                    self._additive(found, linear)
                case Added(root, linear):
                    self._additive(found, linear)
                    self._of_root(root, value)
                case Elementwise(root, _, order):
                    if not order:
                        self._of_root(root, value)
                case _:
                    pass
        return count

    @staticmethod
    def _site_wise(found: dict[str, Any], sites: Any) -> None:
        for site in range(SITES):
            own = sites == site
            assert close(found[str(site)][own], found["x"][own])
        assert close(found["x"][sites < 0], found["y"][sites < 0])

    @staticmethod
    def _additive(found: dict[str, Any], linear: bool) -> None:
        if found["x"].dtype.kind in "fc":
            assert close(found["one"] + found["other"], found["x"] + found["y"])
        if linear and found["x"].dtype.kind in "fc":
            assert close(found["middle"], (found["x"] + 3 * found["y"]) / 4)

    def _of_root(self, root: SSAValue, value: SSAValue) -> None:
        """Check that equal elements of the root are equal elements of the value."""
        keys = np.concatenate([v[root].reshape(-1) for v in self.values.values()])
        found = np.concatenate([v[value].reshape(-1) for v in self.values.values()])
        assert keys.shape == found.shape
        for key in np.unique(keys):
            same = found[keys == key]
            assert close(same, np.broadcast_to(same[0], same.shape))


STEPS = st.lists(
    st.tuples(
        st.integers(0, len(UNARY) + len(BINARY) - 1),
        st.integers(0, 3),
        st.integers(0, 7),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=30)
@given(steps=STEPS, seed=st.integers(0, 2**16))
def test_claims_hold_of_random_programs(
    steps: list[tuple[int, int, int]], seed: int
) -> None:
    with jax.enable_x64(True):
        assert Claims(Program(imported(program(steps))), seed).verify() > 0


@pytest.mark.parametrize("function", [*LINEAR, *SITE_WISE, *ELEMENTWISE, *OPAQUE])
def test_claims_hold_of_the_examples(function: Any) -> None:
    one = Program(imported(function))
    for seed in range(3):
        assert Claims(one, seed).verify() > 0


# endregion

# region Rules of one's own


class DoubledRule(CombiningRule):
    names = ("test.doubled",)


def test_an_op_of_ones_own_has_a_rule_once_that_is_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = """
    func.func @main(%w : tensor<4x2xf64>, %x : tensor<1x4xf64>) -> tensor<1x2xf64> {
      %y = "test.doubled"(%x) : (tensor<1x4xf64>) -> tensor<1x4xf64>
      %z = stablehlo.dot_general %y, %w, contracting_dims = [1] x [0]
        : (tensor<1x4xf64>, tensor<4x2xf64>) -> tensor<1x2xf64>
      func.return %z : tensor<1x2xf64>
    }
    """
    monkeypatch.setattr(known_rules, "RULES", dict(known_rules.RULES))
    own = context()
    own.allow_unregistered = True
    (main,) = Parser(own, text).parse_module().ops
    assert isinstance(main, FuncOp)
    unknown = New("not linear", "test.doubled")
    assert analyse(main)[returned(main)] == unknown
    known_rules.register(DoubledRule())
    assert isinstance(analyse(main)[returned(main)], Added)
    # It is cloned as it is, between layers whose weights stay
    image = [op_name(op) for op in linear_part(main).body.block.ops]
    assert image == ["test.doubled", "stablehlo.dot_general", "func.return"]


def test_a_choice_by_what_is_without_x_is_affine() -> None:
    mask = np.array([True, False, True])
    found = form(lambda x: jnp.where(mask, x @ W, 7.0))
    assert isinstance(found, Added)
    assert found.affine
    main = imported(lambda w, x: jnp.where(mask, x @ w, 7.0), W)
    (image,) = Function(linear_part(main))(W, np.ones((1, SITES)))
    np.testing.assert_allclose(image, np.where(mask, W.sum(0), 0)[None], rtol=1e-14)


# endregion
