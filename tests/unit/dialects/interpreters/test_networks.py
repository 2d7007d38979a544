"""Wavefunctions over NumPy: what JAX makes of them, imported, has the values of JAX."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from jax._src.interpreters.mlir import make_ir_context
from jaxlib.mlir import ir
from xdsl.utils.exceptions import InterpretationError

from dialects.interpreters.exact import Fractions
from dialects.interpreters.intervals import INTERVALS
from dialects.interpreters.kernel import run_kernel
from dialects.text import print_module
from symir.operator.ir import parsed
from symir.runtime.importing import import_function

nk = pytest.importorskip("netket")

SPINS = nk.hilbert.Spin(0.5, 4)
FERMIONS = nk.hilbert.SpinOrbitalFermions(4, s=1 / 2, n_fermions_per_spin=(3, 3))


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    with jax.enable_x64(True):
        yield


def run(function: Callable[..., Any], *arguments: Any, **oracles: Any) -> list[Any]:
    """Interpret a function of JAX, after its text went to jaxlib and came back."""
    module = import_function(function, *arguments)
    text = print_module(module)
    with make_ir_context():
        ir.Module.parse(text)
    given = [np.asarray(one) for one in jax.tree.leaves(arguments)]
    again = parsed(text, "network.mlir", foreign=True)
    again.verify()
    assert print_module(again) == text
    return list(run_kernel(again, given, oracles=oracles))


def assert_same(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    for ours, theirs in zip(found, jax.tree.leaves(expected), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


# region Ops


def getrf(matrices: Any) -> tuple[Any, Any, Any]:
    """LU decompositions with pivots, as LAPACK's `getrf` has them."""
    lu = np.array(matrices)
    size = lu.shape[-1]
    pivots = np.zeros(lu.shape[:-1], np.int32)
    for one, pivot in zip(lu.reshape(-1, size, size), pivots.reshape(-1, size)):
        for k in range(size):
            row = k + np.argmax(np.abs(one[k:, k]))
            one[[k, row]] = one[[row, k]]
            pivot[k] = row + 1
            one[k + 1 :, k] /= one[k, k]
            one[k + 1 :, k + 1 :] -= np.outer(one[k + 1 :, k], one[k, k + 1 :])
    return lu, pivots, np.zeros(lu.shape[:-2], np.int32)


WIDE = np.random.default_rng(0).normal(size=(2, 4, 5, 6))
SMALL = np.random.default_rng(1).normal(size=(4, 2, 3, 2))
EDGES = np.array([-2.5, -0.0, 0.0, np.nan, 3.0, -np.inf, 3.0, np.inf, -1.0])
MIDDLE = np.linspace(-0.95, 0.95, 9)


def convolution(strides: Any, padding: Any, **options: Any) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        kernels = jnp.asarray(SMALL)
        if "batch_group_count" in options:
            kernels = jnp.tile(kernels, (1, 2, 1, 1))
        elif "feature_group_count" not in options:
            kernels = jnp.tile(kernels, (1, 2, 1, 1))
        return lax.conv_general_dilated(x, kernels, strides, padding, **options)

    return function


OPS: dict[str, tuple[Callable[..., Any], Any]] = {
    "convolution": (convolution((1, 1), "VALID"), WIDE),
    "strides": (convolution((2, 3), [(1, 2), (0, 4)]), WIDE),
    "less than all": (convolution((1, 1), [(-1, 0), (2, -2)]), WIDE),
    "dilated": (
        convolution((1, 2), [(0, 1), (2, 2)], lhs_dilation=(2, 1), rhs_dilation=(1, 2)),
        WIDE,
    ),
    "groups of features": (
        convolution((1, 1), "SAME", feature_group_count=2),
        WIDE,
    ),
    "groups of batches": (
        convolution((1, 1), "VALID", batch_group_count=2),
        WIDE,
    ),
    "channels last": (
        convolution((1, 1), "SAME", dimension_numbers=("NHCW", "OIHW", "HNWC")),
        np.swapaxes(WIDE, 1, 2),
    ),
    "pad": (
        lambda x: lax.pad(x, 7.0, [(0, 0, 1), (-1, 2, 0), (3, -2, 2), (-2, -1, 0)]),
        WIDE,
    ),
    "pad of scalars": (lambda x: lax.pad(x[0, 0, 0, 0], 7.0, []), WIDE),
    "reverse": (lambda x: lax.rev(x, (0, 3)), WIDE),
    "barrier": (lambda x: lax.optimization_barrier((x, 2 * x)), WIDE),
    "sums of windows": (
        lambda x: lax.reduce_window(
            x,
            0.0,
            lax.add,
            (1, 2, 2, 3),
            (1, 1, 2, 1),
            [(0, 0), (1, 1), (0, 2), (0, 0)],
        ),
        WIDE,
    ),
    "dilated windows": (
        lambda x: lax.reduce_window(
            x,
            (-jnp.inf),
            lax.max,
            (1, 1, 2, 2),
            (1, 1, 1, 2),
            "VALID",
            base_dilation=(1, 1, 2, 1),
            window_dilation=(1, 1, 1, 3),
        ),
        WIDE,
    ),
    "cumulative sums": (lambda x: jnp.cumsum(x, 2) + lax.cumprod(x, 3), WIDE),
    "sort": (lambda x: lax.sort((x, jnp.arange(9), -x), num_keys=1), EDGES),
    "sort by two": (
        lambda x: lax.sort((jnp.sign(x), -x, x), dimension=2, num_keys=2),
        WIDE,
    ),
    "argsort": (lambda x: jnp.argsort(x, axis=1, descending=True), WIDE),
    "largest": (lambda x: lax.top_k(x, 3), EDGES),
    "largest integers": (lambda x: lax.top_k((4 * x).astype(np.int8), 2), WIDE),
    "unique": (lambda x: jnp.unique(jnp.round(x), size=4, fill_value=0), WIDE),
    "where": (lambda x: jnp.where(x > 1, size=5, fill_value=-1), WIDE),
    "argmax": (lambda x: (jnp.argmax(x, 2), jnp.nanargmin(x, 1)), WIDE),
    "averages": (
        lambda x: lax.reduce(x, 1.0, lambda a, b: (a + b) / 2, (1, 3)),
        WIDE,
    ),
    "rows": (lambda x: x[jnp.asarray([1, 0, 7])][:, :, jnp.asarray([[2, 2]])], WIDE),
    "slices": (
        lambda x: lax.dynamic_slice(
            x, (x[0, 0, 0, 0].astype(int), 9, 1, 0), (1, 2, 3, 4)
        ),
        WIDE,
    ),
    "scans": (lambda x: lax.scan(lambda a, b: (a + b, jnp.sin(a) * b), x[0], x), WIDE),
    "loops": (
        lambda x: lax.while_loop(
            lambda c: c[0] > 0.1,
            lambda c: (c[0] / 2, c[1] @ c[1]),
            (x[0], jnp.eye(3) * 0.9),
        ),
        EDGES[4:5],
    ),
    "conditions": (
        lambda x: lax.switch(
            jnp.int32(x[0] + 3), [jnp.sin, jnp.cos, lambda y: x * y], 2 * x
        ),
        EDGES,
    ),
    "updates": (
        lambda x: lax.dynamic_update_slice(
            x, x[:1, :2], (1, x[0, 0, 0, 0].astype(int) + 3, 0, 0)
        ),
        WIDE,
    ),
    "scatters": (
        lambda x: (
            x.at[:, jnp.asarray([1, 1, -1])].multiply(x[:, :3])[..., 0]
            + x.at[0, [[1], [9]], 2:4].set(5.0, mode="drop")[..., 1]
        ),
        WIDE,
    ),
    "segments": (lambda x: jax.ops.segment_sum(x, jnp.asarray([1, 1]), 3), WIDE),
    "transforms": (lambda x: jnp.fft.ifft2(jnp.fft.fft(x, axis=2)), WIDE),
    "real transforms": (lambda x: jnp.fft.irfftn(jnp.fft.rfftn(x) ** 2), WIDE),
    "slogdet": (lambda x: jnp.linalg.slogdet(x[..., :4, :4]), WIDE),
    "of CHLO": (
        lambda x: [
            f(x)
            for f in (
                *(lax.acos, lax.asin, lax.asinh, lax.atan, lax.atanh, lax.cosh),
                *(lax.erf, lax.erfc, lax.sinh, lax.square, lax.tan, lax.lgamma),
            )
        ],
        MIDDLE,
    ),
    "of CHLO at edges": (
        lambda x: [lax.erf(x), lax.erfc(x), lax.lgamma(jnp.trunc(x)), lax.acosh(x)],
        EDGES,
    ),
    "of complex numbers": (
        lambda x: [f(x + 1j) for f in (lax.square, lax.cosh, lax.acos, lax.atanh)],
        MIDDLE,
    ),
    "bits": (
        lambda x: lax.population_count(lax.bitcast_convert_type(x, np.int64)),
        EDGES,
    ),
}


@pytest.mark.parametrize("name", OPS)
def test_ops_are_those_of_jax(name: str) -> None:
    function, x = OPS[name]
    expected = jax.jit(function)(x)
    assert_same(run(function, x, lapack_dgetrf_ffi=getrf), expected)


MOVES = ("pad", "reverse", "sort by two", "slices", "updates", "rows")
SUMS = ("convolution", "dilated", "groups of features", "sums of windows", "scatters")


@pytest.mark.parametrize("name", [*MOVES, *SUMS, "loops", "segments"])
def test_ops_of_other_numbers(name: str) -> None:
    function, x = OPS[name]
    module = import_function(function, x)
    floats = run_kernel(module, [x])
    for exact, rounded in zip(
        run_kernel(module, [x], numbers=Fractions()), floats, strict=True
    ):
        assert all(isinstance(one, Fraction | int) for one in exact.flat)
        rtol = 0 if name in MOVES else 1e-13
        np.testing.assert_allclose(exact.astype(float), rounded, rtol=rtol, atol=rtol)
    if name == "sort by two":
        with pytest.raises(InterpretationError, match="sort by a value that is not"):
            run_kernel(module, [x], numbers=INTERVALS)
        return
    for limits, rounded in zip(
        run_kernel(module, [x], numbers=INTERVALS), floats, strict=True
    ):
        low, high = limits.low.min(-1), limits.high.max(-1)
        assert np.all((low <= rounded) & (rounded <= high))
        assert np.all(high - low <= (0 if name in MOVES else 1e-11))


# endregion
# region Networks


class Convolutions(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = x.reshape(-1, 2, 2, 1)
        x = nn.Conv(4, (3, 2), padding="CIRCULAR", param_dtype=float)(x)
        x = nn.Conv(4, (2, 2), feature_group_count=2, param_dtype=float)(nn.gelu(x))
        x = nn.ConvTranspose(3, (2, 2), strides=(2, 1), param_dtype=float)(nn.silu(x))
        x = nn.max_pool(nn.avg_pool(x, (2, 2)), (2, 1), padding="SAME")
        return x.sum((1, 2, 3))


class Residuals(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = x[..., None]
        for _ in range(2):
            y = nn.LayerNorm(param_dtype=float)(x)
            y = nn.Conv(3, (3,), padding="CIRCULAR", param_dtype=float)(y)
            x = x + nk.nn.activation.log_cosh(y)
        return x.sum((-1, -2))


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Dense(4, param_dtype=float)(x.reshape(len(x), -1, 2))
        y = nn.LayerNorm(param_dtype=float)(x)
        x = x + nn.MultiHeadDotProductAttention(2, param_dtype=float)(y)
        y = nn.gelu(nn.Dense(8, param_dtype=float)(x), approximate=False)
        return jax.nn.logsumexp(x + nn.Dense(4, param_dtype=float)(y), axis=(1, 2))


class Backflow(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        orbitals = nn.Dense(8 * 6, param_dtype=float)(jnp.tanh(x)).reshape(-1, 8, 6)
        occupied = jnp.argsort(-x, axis=-1)[:, :6]
        matrices = jnp.take_along_axis(orbitals, occupied[..., None], axis=1)
        sign, value = jnp.linalg.slogdet(matrices)
        return value + jnp.log(sign + 0j)


MODELS: dict[str, Callable[[], Any]] = {
    "rbm": lambda: nk.models.RBM(alpha=2, param_dtype=float),
    "rbm f32": lambda: nk.models.RBM(alpha=1, param_dtype=np.float32),
    "complex rbm": lambda: nk.models.RBM(alpha=1, param_dtype=complex),
    "rbm mod phase": lambda: nk.models.RBMModPhase(param_dtype=float),
    "symmetric rbm": lambda: nk.models.RBMSymm(
        symmetries=nk.graph.Chain(4).translation_group(), param_dtype=float
    ),
    "jastrow": lambda: nk.models.Jastrow(param_dtype=float),
    "mlp": lambda: nk.models.MLP(hidden_dims=(5, 3), param_dtype=float),
    "gcnn": lambda: nk.models.GCNN(
        symmetries=nk.graph.Chain(4), layers=2, features=2, param_dtype=float
    ),
    "gcnn by transforms": lambda: nk.models.GCNN(
        symmetries=nk.graph.Chain(4),
        layers=2,
        features=2,
        param_dtype=float,
        mode="fft",
        shape=(4,),
    ),
    "arnn": lambda: nk.models.ARNNDense(
        hilbert=SPINS, layers=2, features=3, param_dtype=float
    ),
    "arnn of convolutions": lambda: nk.models.ARNNConv1D(
        hilbert=SPINS, layers=2, features=3, kernel_size=2, param_dtype=float
    ),
    "slater": lambda: nk.models.Slater2nd(FERMIONS, param_dtype=float),
    "slaters": lambda: nk.models.MultiSlater2nd(
        FERMIONS, n_determinants=2, generalized=True, param_dtype=float
    ),
    "convolutions": Convolutions,
    "residuals": Residuals,
    "attention": Attention,
    "backflow": Backflow,
}


@pytest.mark.parametrize("name", MODELS)
def test_networks_are_those_of_jax(name: str) -> None:
    model = MODELS[name]()
    of_fermions = name in ("slater", "slaters", "backflow")
    space = FERMIONS if of_fermions else SPINS
    x = space.all_states()[3:7].astype(float)
    shapes = jax.eval_shape(model.init, jax.random.key(1), x)
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes
    )
    expected = jax.jit(model.apply)(parameters, x)
    found = run(model.apply, parameters, x, lapack_dgetrf_ffi=getrf)
    assert_same(found, expected, 1e-5 if name == "rbm f32" else 1e-12)


# endregion
