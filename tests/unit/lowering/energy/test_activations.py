"""Activations are found however they are written, and nothing else is."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from xdsl.dialects.func import FuncOp
from xdsl_jax.dialects import stablehlo as hlo

from lowering.change.form_analysis import analyse
from lowering.energy.activations import Fit, fit_of
from lowering.energy.extraction import returned
from symir.runtime.importing import import_function

nk = pytest.importorskip("netket")

log_cosh = nk.nn.activation.log_cosh
LOG2 = np.log(2.0)


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    with jax.enable_x64(True):
        yield


def fit(function: Callable[..., Any], dtype: Any = np.float64, *more: Any) -> Fit | str:
    """Return what is found out about a function of the outcome of a dense layer."""

    def network(w: Any, *rest: Any) -> Any:
        *parameters, x = rest
        return function(x.astype(w.dtype) @ w, *parameters)

    w = jax.ShapeDtypeStruct((4, 3), dtype)
    x = jax.ShapeDtypeStruct((1, 4), np.float64)
    (main,) = import_function(network, w, *more, x).ops
    assert isinstance(main, FuncOp)
    return fit_of(returned(main), analyse(main))


def named(found: Fit | str) -> str:
    return found if isinstance(found, str) else found.activation.name


def softplus(z: Any) -> Any:
    return jax.nn.softplus(z)


REAL = {
    "log_cosh": [
        log_cosh,
        lambda z: jnp.logaddexp(z, -z) - LOG2,
        lambda z: jnp.logaddexp(z, -z),
        lambda z: jnp.log(jnp.cosh(z)),
        lambda z: jnp.log(2 * jnp.cosh(z)),
        lambda z: jnp.log(jnp.exp(z) + jnp.exp(-z)),
        lambda z: jnp.abs(z) + jnp.log1p(jnp.exp(-2 * jnp.abs(z))),
        lambda z: jnp.maximum(z, -z) + jnp.log(1 + jnp.exp(-2 * jnp.abs(z))) - 7,
        lambda z: jnp.where(z > 0, z, -z) + softplus(-2 * jnp.abs(z)),
        lambda z: softplus(2 * z) - z,
        lambda z: -jax.nn.log_sigmoid(2 * z) + z,
        lambda z: -2.5 * log_cosh(z),
        lambda z: 0.5 * jnp.log(jnp.cosh(z) ** 2),
        lambda z: jnp.log(jnp.sqrt(1 + jnp.sinh(z) ** 2)),
        lambda z: 0.5 * jnp.log(2 * jnp.cosh(2 * z) + 2),
    ],
    "softplus": [
        softplus,
        lambda z: jnp.logaddexp(z, 0),
        lambda z: jnp.log1p(jnp.exp(z)),
        lambda z: jnp.log(1 + jnp.exp(z)),
        lambda z: jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z))),
        lambda z: -jax.nn.log_sigmoid(-z),
        lambda z: 3 * softplus(z) + 1,
    ],
    "log_sigmoid": [
        jax.nn.log_sigmoid,
        lambda z: z - softplus(z),
        lambda z: -softplus(-z),
        lambda z: -jnp.log1p(jnp.exp(-z)),
    ],
    "tanh": [
        jnp.tanh,
        lambda z: 2 * jax.nn.sigmoid(2 * z) - 1,
        lambda z: 1 - 2 / (jnp.exp(2 * z) + 1),
        lambda z: -0.5 * jnp.tanh(z) + 2,
    ],
}

COMPLEX = {
    "log_cosh": [
        log_cosh,
        lambda z: jnp.log(jnp.cosh(z)),
        lambda z: jnp.log(jnp.exp(z) + jnp.exp(-z)),
        lambda z: -3 * log_cosh(z),
        lambda z: jnp.where(z == 0, 0, log_cosh(z)),
        lambda z: log_cosh(jnp.where(z > 0.8, lax.stop_gradient(z), z)),
    ],
    "softplus": [lambda z: jnp.log(1 + jnp.exp(z)), lambda z: jnp.log1p(jnp.exp(z))],
    "log_sigmoid": [lambda z: -jnp.log(1 + jnp.exp(-z))],
    "tanh": [jnp.tanh],
}


def spelled(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, function, id=f"{name}-{number}")
        for name, functions in table.items()
        for number, function in enumerate(functions)
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "function"), spelled(REAL))
def test_spellings_are_recognised(name: str, function: Any, dtype: Any) -> None:
    assert named(fit(function, dtype)) == name


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("name", "function"), spelled(COMPLEX))
def test_complex_spellings_are_recognised(name: str, function: Any, dtype: Any) -> None:
    assert named(fit(function, dtype)) == name


@pytest.mark.parametrize("function", [log_cosh, lambda z: jnp.log(jnp.cosh(z))])
def test_half_precision_is_recognised(function: Any) -> None:
    assert named(fit(function, jnp.bfloat16)) == "log_cosh"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factors(dtype: Any) -> None:
    found = fit(lambda z: -2.5 * log_cosh(z) + 3, dtype)
    assert isinstance(found, Fit)
    assert found.factor == -2.5
    assert not found.is_plain
    plain = fit(jnp.tanh, dtype)
    assert isinstance(plain, Fit)
    assert plain.is_plain


# region What only looks like one


def beyond(threshold: float) -> list[Callable[[Any], Any]]:
    """Return functions that are another one beyond a threshold."""
    return [
        lambda z: jnp.where(z > threshold, 0, log_cosh(z)),
        lambda z: jnp.where(z < -threshold, 1.5 * z, log_cosh(z)),
        lambda z: jnp.where(jnp.abs(z) > threshold, threshold - LOG2, log_cosh(z)),
        lambda z: log_cosh(jnp.clip(z, -threshold, threshold)),
        lambda z: jnp.minimum(log_cosh(z), threshold),
        lambda z: log_cosh(jnp.minimum(z, threshold)),
        lambda z: log_cosh(z) + jnp.maximum(z - threshold, 0),
        lambda z: log_cosh(z) + 0.1 * jax.nn.relu(-z - threshold),
        lambda z: lax.clamp(
            z.dtype.type(-threshold), softplus(z), z.dtype.type(threshold)
        ),
        lambda z: jnp.where(z > threshold, jnp.inf, softplus(z)),
        lambda z: jnp.where(z < -threshold, -jnp.inf, softplus(z)),
        lambda z: jnp.where(z > threshold, jnp.nan, softplus(z)),
    ]


@pytest.mark.parametrize(
    ("threshold", "dtype"),
    [
        *((threshold, np.float64) for threshold in (3, 15, 40, 200, 1e4, 1e30)),
        *((threshold, np.float32) for threshold in (0.01, 15, 200, 1e12)),
    ],
)
@pytest.mark.parametrize("number", range(12))
def test_another_function_beyond_a_threshold(
    number: int, threshold: float, dtype: Any
) -> None:
    assert isinstance(fit(beyond(threshold)[number], dtype), str)


def window(z: Any, low: float, high: float) -> Any:
    return jnp.where((z > low) & (z < high), 1.0, 0.0).astype(z.dtype)


NARROW: list[Callable[[Any], Any]] = [
    lambda z: log_cosh(z) + window(z, 5.1, 5.1001),
    lambda z: log_cosh(z) + window(z, 1e-20, 1e-19),
    lambda z: log_cosh(z) + window(z, -71.234, -71.233),
    lambda z: jnp.where(z == 0, 7, log_cosh(z)),
    lambda z: jnp.where(z == 3.14159, 7, log_cosh(z)),
    lambda z: jnp.where(z != 2.7, log_cosh(z), 0),
    lambda z: jnp.where((z - 5.1) * (z - 5.1) < 1e-6, 0, log_cosh(z)),
    lambda z: jnp.where(jnp.abs(jnp.abs(z) - 5.1) < 1e-4, 0, log_cosh(z)),
    lambda z: jnp.where(jnp.exp(z) > 20, 0, log_cosh(z)),
    lambda z: jnp.where(jnp.exp(-z) > 1e9, 0, log_cosh(z)),
    lambda z: jnp.where(z * z * z - 2 * z > 5, 0, log_cosh(z)),
    lambda z: jnp.where(z * z * z - 2 * z > 1e5, 0, log_cosh(z)),
    lambda z: jnp.where((z * z * z - 2 * z > 1.088) & (z < 0), 0, log_cosh(z)),
    lambda z: jnp.where(jnp.tanh(z) > 0.9999, 0, log_cosh(z)),
    lambda z: jnp.where(jnp.tanh(z) >= 1, 0, log_cosh(z)),
    lambda z: jnp.where(log_cosh(z) > 33, 33, log_cosh(z)),
    lambda z: jnp.where(1 / z > 1e6, 1, log_cosh(z)),
    lambda z: jnp.where(jnp.log(z) > 3.3, 0, log_cosh(z)),
    lambda z: jnp.where(jnp.isfinite(jnp.exp(z)), log_cosh(z), 0),
    lambda z: jnp.where(jnp.sqrt(z - 50) >= 0, 0, log_cosh(z)),
    lambda z: log_cosh(z) + jnp.exp(-((1000 * (z - 5.1)) ** 2)),
    lambda z: log_cosh(z) + jnp.exp(-((1e5 * (z + 31.7)) ** 2)),
    lambda z: log_cosh(z) + 1 / (1 + (1000 * (z - 5.1)) ** 2),
    lambda z: log_cosh(z) + jnp.tanh(1e4 * (z - 5.1)) - jnp.tanh(1e4 * (z - 5.11)),
    lambda z: log_cosh(z) + jax.nn.sigmoid(30 * (z - 60)),
    lambda z: log_cosh(z) + jnp.log1p(jnp.exp(z - 70)),
    lambda z: jnp.logaddexp(log_cosh(z), 2 * z - 55),
    lambda z: jnp.log(jnp.exp(z) + jnp.exp(-z) + 1e-3),
    lambda z: jnp.sign(z - 77.7) * 0.5 + log_cosh(z),
    lambda z: log_cosh(z) + (z > 33.3).astype(z.dtype),
    lambda z: log_cosh(z) + (z > 33.3) * (z < 33.4) * z,
    lambda z: jnp.maximum(log_cosh(z), jnp.minimum(2 * z - 60, 100)),
    lambda z: jnp.maximum(log_cosh(z), 300 - 100 * jnp.abs(z - 4.217)),
    lambda z: log_cosh(z) + jnp.cosh(z) ** jnp.inf,
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", range(len(NARROW)))
def test_another_function_in_a_window(number: int, dtype: Any) -> None:
    assert isinstance(fit(NARROW[number], dtype), str)


SIMILAR: list[Callable[[Any], Any]] = [
    lambda z: jnp.log(jnp.exp(z) + 1.00001 * jnp.exp(-z)),
    lambda z: jnp.log(jnp.cosh(z) + 1e-4),
    lambda z: softplus(2.0001 * z) - z,
    lambda z: log_cosh(z) + 1e-4 * z,
    lambda z: log_cosh(z) + 0.01 * z,
    lambda z: jnp.where(z > 0, log_cosh(z), 0.99 * log_cosh(z)),
    lambda z: jnp.where(z > 0, jnp.tanh(z), 0.01 * z),
    lambda z: jnp.sqrt(z * z + 1) - 1,
    jax.nn.gelu,
    jax.nn.elu,
    jax.nn.silu,
    jax.nn.relu,
    jax.nn.hard_tanh,
    jax.nn.soft_sign,
    jax.nn.leaky_relu,
    lambda z: log_cosh(z) + 1e-3 * jnp.sin(1000 * z),
    lambda z: log_cosh(z) + 1e-3 * jnp.cos(8 * np.pi * z),
    lambda z: (
        log_cosh(z)
        + 1e-3 * jnp.real(jnp.exp(lax.complex(jnp.zeros_like(z), 16 * np.pi * z)))
    ),
    lambda z: log_cosh(jnp.floor(16 * z) / 16),
    lambda z: log_cosh(jnp.round(z, 2)),
    lambda z: log_cosh((z * 1024).astype(np.int32).astype(z.dtype) / 1024),
    lambda z: log_cosh(z % 1e5),
    lambda z: log_cosh(z) + jnp.abs(z + 12345.678) - z - 12345.678,
    lambda z: (
        log_cosh(z)
        + 1e3 * (z - z.astype(np.float16).astype(z.dtype)) * (jnp.abs(z) < 1e3)
    ),
    lambda z: log_cosh(z.astype(jnp.bfloat16).astype(z.dtype)),
    lambda z: log_cosh(
        lax.bitcast_convert_type(
            lax.bitcast_convert_type(z, f"i{z.dtype.itemsize}") & ~0xFFF, z.dtype
        )
    ),
    lambda z: log_cosh(lax.reduce_precision(z, 8, 10)),
    lambda z: log_cosh(jnp.flip(z, -1)) + jnp.tanh(z),
    lambda z: log_cosh(z) * jnp.arange(3),
    lambda z: log_cosh(z) + log_cosh(z.reshape(3, 1)).reshape(1, 3)[:, ::-1],
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", range(len(SIMILAR)))
def test_a_similar_function(number: int, dtype: Any) -> None:
    assert isinstance(fit(SIMILAR[number], dtype), str)


@pytest.mark.parametrize(("step", "place"), [(5, 1e13), (0.005, 1e10), (0.3, 3e13)])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_a_step_where_values_are_large(step: float, place: float, dtype: Any) -> None:
    def stepped(z: Any) -> Any:
        return log_cosh(z) + jnp.where(z.real > place, step, 0)

    assert isinstance(fit(stepped, dtype), str)


@pytest.mark.parametrize("factor", [0.3, -1 / 3, 0.1257302210933933, 7.77])
@pytest.mark.parametrize("function", [log_cosh, softplus])
def test_factors_that_are_not_round(function: Any, factor: float) -> None:
    assert isinstance(fit(lambda z: factor * function(z)), Fit)


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_functions_of_whole_numbers_are_none(dtype: Any) -> None:
    def network(x: Any) -> Any:
        return abs(x.sum(-1) - 2) * 0.3

    (main,) = import_function(network, jax.ShapeDtypeStruct((1, 4), dtype)).ops
    assert isinstance(main, FuncOp)
    assert fit_of(returned(main), analyse(main)) == "it is a function of whole numbers"


def test_rounding_in_the_middle_of_double_precision() -> None:
    def rounded(z: Any) -> Any:
        return log_cosh(z) + 1e3 * (z - z.astype(np.float32).astype(np.float64))

    assert isinstance(fit(rounded), str)
    assert isinstance(fit(lambda z: log_cosh((z + 2.0**40) - 2.0**40)), str)


def test_single_precision_inside_double_precision() -> None:
    """What computes with 32 bits is one of 32 bits, whatever is around it."""
    found = fit(lambda z: log_cosh(z.astype(np.float32)).astype(np.float64))
    assert isinstance(found, Fit)
    assert "f32" in str(found.root.type)


def test_parameters_inside_are_not_known() -> None:
    scalar = jax.ShapeDtypeStruct((), np.float64)
    row = jax.ShapeDtypeStruct((3,), np.float64)
    for given in (scalar, row):
        assert isinstance(
            fit(lambda z, a: jnp.log(jnp.cosh(z) + a), np.float64, given), str
        )
        assert isinstance(fit(lambda z, a: a * log_cosh(z), np.float64, given), str)
        assert isinstance(
            fit(lambda z, a: jnp.maximum(log_cosh(z), a), np.float64, given), str
        )
    # An offset and a slope belong to the layer
    for given in (scalar, row):
        assert (
            named(fit(lambda z, a: log_cosh(a * z + a), np.float64, given))
            == "log_cosh"
        )


ANALYTIC_ONLY_ON_THE_AXIS: list[Callable[[Any], Any]] = [
    lambda z: log_cosh(z.real) + 0j * z,
    lambda z: log_cosh(z) + log_cosh(jnp.conj(z)),
    lambda z: log_cosh(z) + z.imag,
    lambda z: log_cosh(z) + 1e-3 * (z - jnp.conj(z)),
    lambda z: jnp.log(jnp.cosh(z.real)) + 1j * z.imag,
    lambda z: log_cosh(z) + jnp.abs(z) - jnp.sqrt(z.real**2),
    lambda z: jnp.where(z.imag > 2, 0, log_cosh(z)),
    lambda z: jnp.where(z.imag > 41, 0, log_cosh(z)),
    lambda z: jnp.where(z.imag < -1e4, 0, log_cosh(z)),
    lambda z: jnp.where(jnp.abs(z) > 200, 0, log_cosh(z)),
    lambda z: jnp.where((z.imag > 5.1) & (z.imag < 5.1001), 0, log_cosh(z)),
    lambda z: jnp.where(
        (z.real > 5.1) & (z.real < 5.101) & (z.imag > 2.3) & (z.imag < 2.301),
        0,
        log_cosh(z),
    ),
    lambda z: jnp.where(jnp.abs(z.imag) == 0, log_cosh(z), 0),
    lambda z: jnp.where(z == 1.5 + 0.5j, 0, log_cosh(z)),
    lambda z: jnp.where(z == 0, 1, log_cosh(z)),
    lambda z: log_cosh(z) + jnp.exp(-((100 * (z - 5.1 - 0.3j)) ** 2)),
    lambda z: -log_cosh(z) + jnp.maximum(z.real - 5, 0),
    lambda z: log_cosh(z) - 10 + 0.1 * z.imag,
    lambda z: jnp.where(z.imag > 3, log_cosh(z) + 1j, log_cosh(z)),
    lambda z: jnp.where(z.imag > 3, 2 * log_cosh(z) + 2j * np.pi, 2 * log_cosh(z)),
    lambda z: log_cosh(z) + 1e-3 * jnp.exp(1j * 30 * z),
    lambda z: jnp.where(z.real > 400, jnp.inf, log_cosh(z)),
]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("number", range(len(ANALYTIC_ONLY_ON_THE_AXIS)))
def test_complex_functions_that_agree_on_a_part_of_the_plane(
    number: int, dtype: Any
) -> None:
    assert isinstance(fit(ANALYTIC_ONLY_ON_THE_AXIS[number], dtype), str)


def test_a_conjugate_is_a_layer_of_its_own() -> None:
    """For a real x, the conjugate of a linear function is one, too."""
    found = fit(lambda z: log_cosh(jnp.conj(z)), np.complex128)
    assert isinstance(found, Fit)
    assert isinstance(found.root.owner, hlo.ComplexOp)


def test_turns_of_a_phase_count_for_real_arguments() -> None:
    def turned(z: Any) -> Any:
        return jnp.where(z > 3, log_cosh(z) + 2j * np.pi, log_cosh(z))

    assert isinstance(fit(turned), str)


ALIKE = [
    (lambda z: jnp.where(z > jnp.inf, -log_cosh(z), log_cosh(z)), 1),
    (lambda z: jnp.where(z < jnp.inf, -log_cosh(z), log_cosh(z)), -1),
    (lambda z: jnp.where(jnp.greater(jnp.inf, z), -log_cosh(z), log_cosh(z)), -1),
    (lambda z: jnp.where(z > 3, -log_cosh(z), log_cosh(z)), None),
    (lambda z: jnp.where(z > 3, log_cosh(z), log_cosh(z)), 1),
    (lambda z: jnp.where(z > 3, log_cosh(-z), log_cosh(z)), 1),
]
"""And their factors. A direction, an order or a constant may be all that differs."""


@pytest.mark.parametrize(("function", "factor"), ALIKE)
def test_functions_that_are_written_alike(function: Any, factor: int | None) -> None:
    found = fit(function)
    assert (found.factor if isinstance(found, Fit) else None) == factor


def test_equal_functions_of_two_layers_have_their_own_roots() -> None:
    w, x = (jax.ShapeDtypeStruct(shape, np.float64) for shape in ((4, 3), (1, 4)))
    for factor in (2, 3):
        layer = import_function(lambda w, x, f=factor: log_cosh(x @ (f * w)), w, x)
        (main,) = layer.ops
        assert isinstance(main, FuncOp)
        found = fit_of(returned(main), analyse(main))
        assert isinstance(found, Fit)
        assert found.root.owner.parent is main.body.block


# endregion
