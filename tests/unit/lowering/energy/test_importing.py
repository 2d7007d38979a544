"""Functions of JAX as IR: the same numbers, whatever they are written with."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from xdsl.dialects.builtin import UnregisteredOp
from xdsl.dialects.func import CallOp, FuncOp

from dialects.stablehlo import element_of
from symir.runtime.functions import Function
from symir.runtime.importing import import_function
from symir.runtime.ops import jax_dtype_of

nk = pytest.importorskip("netket")


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    with jax.enable_x64(True):
        yield


def main_of(function: Callable[..., Any], *arguments: Any) -> FuncOp:
    (main,) = import_function(function, *arguments).ops
    assert isinstance(main, FuncOp)
    return main


def evaluated(main: FuncOp, arguments: Sequence[Any]) -> Any:
    """Return the result of what was imported, by its text."""
    kinds = [jax_dtype_of(element_of(one)) for one in main.body.block.args]
    given = (np.asarray(a, kind) for a, kind in zip(arguments, kinds, strict=True))
    return Function(main)(*given)[0]


def aval(array: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(array), jnp.result_type(array))


def test_pytrees_are_their_leaves_in_order() -> None:
    def function(tree: Any, x: Any) -> Any:
        return tree["b"][0] - 2 * tree["b"][1] + tree["a"] * x

    arguments = (
        {"b": (jnp.asarray(5.0), jnp.asarray(1.5)), "a": jnp.asarray(3.0)},
        7.0,
    )
    main = main_of(function, *jax.tree.map(aval, arguments))
    assert len(main.body.block.args) == 4
    found = evaluated(main, jax.tree.leaves(arguments))
    assert found == function(*arguments) == 23.0


def test_arguments_that_are_not_used_stay() -> None:
    main = main_of(lambda a, b, x: x, 1.0, 2.0, 3.0)
    assert len(main.body.block.args) == 3


def test_shapes_are_enough() -> None:
    given = jax.ShapeDtypeStruct((3,), np.float32)
    assert len(main_of(lambda x: x.sum(), given).body.block.args) == 1


@pytest.mark.parametrize(
    "number",
    [np.nan, np.inf, -np.inf, 5e-324, -0.0, 0.1, 1 / 3],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, jnp.bfloat16])
def test_constants_keep_their_bits(number: float, dtype: Any) -> None:
    value = np.asarray(number).astype(dtype)
    whole = np.asarray([number, 2.0, -number]).astype(dtype)
    for array in (value, whole):
        found = evaluated(main_of(lambda x, a=array: jnp.asarray(a), 1.0), [1.0])
        expected = jnp.asarray(array)
        assert found.dtype == expected.dtype
        assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


def test_large_constants() -> None:
    table = np.random.default_rng(0).normal(size=(17, 33))
    found = evaluated(main_of(lambda x: x @ table, aval(table.T)), [table.T])
    np.testing.assert_allclose(found, table.T @ table, rtol=1e-14)


def test_calls_are_inlined_one_copy_for_each() -> None:
    @jax.jit
    def inner(x: Any) -> Any:
        return jnp.tanh(x)

    main = main_of(lambda x: inner(x) + inner(inner(2 * x)), 0.5)
    names = [op.name for op in main.walk()]
    assert names.count("stablehlo.tanh") == 3
    assert not any(isinstance(op, CallOp) for op in main.walk())
    expected = np.tanh(0.5) + np.tanh(np.tanh(1.0))
    np.testing.assert_allclose(evaluated(main, [0.5]), expected, rtol=1e-15)


def test_unknown_ops_stay_as_they_are() -> None:
    main = main_of(jax.scipy.special.i1e, jnp.ones(3))
    (unknown,) = (op for op in main.walk() if isinstance(op, UnregisteredOp))
    assert unknown.op_name.data == "chlo.bessel_i1e"
    main.verify()


def test_what_cannot_be_traced_is_an_error_of_jax() -> None:
    def branching(x: Any) -> Any:
        return x if x > 0 else -x

    with pytest.raises(jax.errors.TracerBoolConversionError):
        import_function(branching, 1.0)


REDUCTIONS: list[Any] = [
    lambda x: jax.lax.reduce(x, 3.0, jax.lax.add, (0,)),
    lambda x: jax.lax.reduce(x, 2.0, jax.lax.mul, (0,)),
    lambda x: jax.lax.reduce(x, 5.0, jax.lax.max, (0,)),
    lambda x: jax.lax.reduce(x, -5.0, jax.lax.min, (0,)),
    lambda x: jax.lax.reduce(x > 0, True, jax.lax.bitwise_or, (0,)),
    lambda x: jax.lax.reduce(x > 0, False, jax.lax.bitwise_and, (0,)),
    lambda x: jax.lax.reduce(x > 0, True, jax.lax.bitwise_xor, (0,)),
    lambda x: jax.lax.reduce(x.astype(np.int32), np.int32(8), jax.lax.bitwise_or, (0,)),
    lambda x: jax.lax.reduce(
        x.astype(np.int32), np.int32(6), jax.lax.bitwise_and, (0,)
    ),
]


@pytest.mark.parametrize("number", range(len(REDUCTIONS)))
def test_reductions_start_somewhere(number: int) -> None:
    x = jnp.asarray([1.5, -2.0, 6.0])
    main = main_of(REDUCTIONS[number], aval(x))
    np.testing.assert_array_equal(evaluated(main, [x]), REDUCTIONS[number](x))


OPS: list[Any] = [
    jnp.fft.fft,
    lambda x: jnp.fft.rfft(x),
    lambda x: x[jnp.asarray([2, 0])],
    lambda x: jnp.pad(x, (1, 2), constant_values=4),
    lambda x: jax.lax.dynamic_slice(x, (x[0].astype(int),), (2,)),
    lambda x: jnp.floor(x) + jnp.sign(x) + jnp.cbrt(x) + jnp.expm1(x),
    lambda x: jnp.clip(x, -1, 1) + jnp.logaddexp(x, 2 * x) + jax.nn.gelu(x),
    lambda x: jnp.where(jnp.isfinite(1 / x), x, 0),
    lambda x: jnp.sinh(x) / jnp.cosh(x) + jnp.square(x),
]


@pytest.mark.parametrize("number", range(len(OPS)))
def test_ops(number: int) -> None:
    x = jnp.asarray([1.2, -0.7, 2.5, 0.0, 3.25])
    main = main_of(OPS[number], aval(x))
    found = evaluated(main, [x])
    np.testing.assert_allclose(found, OPS[number](x), rtol=1e-12, atol=1e-12)


MODELS: dict[str, Callable[[], Any]] = {
    "rbm": lambda: nk.models.RBM(alpha=2, param_dtype=float),
    "rbm f32": lambda: nk.models.RBM(alpha=1, param_dtype=np.float32),
    "complex rbm": lambda: nk.models.RBM(alpha=1, param_dtype=complex),
    "rbm mod phase": lambda: nk.models.RBMModPhase(param_dtype=float),
    "symmetric rbm": lambda: nk.models.RBMSymm(
        symmetries=nk.graph.Chain(4).translation_group(), param_dtype=float
    ),
    "mlp": lambda: nk.models.MLP(hidden_dims=(5, 3), param_dtype=float),
    "gcnn": lambda: nk.models.GCNN(
        symmetries=nk.graph.Chain(4), layers=2, features=2, param_dtype=float
    ),
    "arnn": lambda: nk.models.ARNNDense(
        hilbert=nk.hilbert.Spin(0.5, 4), layers=2, features=3, param_dtype=float
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_netket(name: str) -> None:
    model = MODELS[name]()
    x = nk.hilbert.Spin(0.5, 4).all_states()[3:7].astype(float)
    shapes = jax.eval_shape(model.init, jax.random.key(1), x)
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes
    )
    main = main_of(model.apply, shapes, aval(x))
    found = evaluated(main, [*jax.tree.leaves(parameters), x])
    expected = jax.jit(model.apply)(parameters, x)
    assert found.dtype == expected.dtype
    rtol = 1e-5 if found.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


def test_rounding_to_sixteen_bits_is_kept() -> None:
    def function(x: Any) -> Any:
        low = x.astype(jnp.bfloat16) * jnp.asarray(1.7, jnp.bfloat16)
        return (low + jnp.tanh(low)).astype(float).sum()

    x = jnp.asarray([0.1, -0.37, 1.3])
    # Compiled, XLA may keep more bits between two ops
    with jax.disable_jit():
        expected = function(x)
    np.testing.assert_array_equal(evaluated(main_of(function, aval(x)), [x]), expected)
