# pyright: basic, reportCallIssue=false, reportArgumentType=false
"""The wavefunctions of the benchmarks: NetKet's models, and some of Flax.

`WAVEFUNCTIONS[name](setting)` is a module of Flax whose `apply(variables, x)` is
log psi of x of shape (B, N), as (B,).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
from flax import linen as nn

__all__ = ["WAVEFUNCTIONS", "Setting", "initial"]

TOKENS, WIDTH, BLOCKS = 16, 32, 2
"""Those of the vision transformer."""

NOISE = 0.05
"""What is added to initial parameters: those of NetKet are nearly 0."""


@dataclass(frozen=True)
class Setting:
    """What a wavefunction has to know.

    Attributes:
        hilbert: NetKet's space.
        shape: that of the lattice; its sites are in the order of x.
        dtype: of real parameters.
    """

    hilbert: Any
    shape: tuple[int, ...]
    dtype: Any

    @property
    def complex_dtype(self) -> Any:
        return np.result_type(self.dtype, np.complex64)

    @property
    def translations(self) -> Any:
        return nk.graph.Grid(self.shape, pbc=True).translation_group()


Define: TypeAlias = Callable[[Setting], Any]


def initial(module: Any, sites: int) -> Any:
    """Return variables of a module: its own initial ones, and some noise.

    With parameters next to 0 every ratio of amplitudes would be next to 1.
    """
    x = jnp.zeros((1, sites), np.int8)
    variables = jax.jit(module.init)(jax.random.key(0), x)
    leaves, structure = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [
        leaf + NOISE * jax.random.normal(key, leaf.shape, leaf.dtype)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noisy)


# region Modules


def _log_cosh(x: Any) -> Any:
    return nk.nn.activation.log_cosh(x)


def _on_lattice(x: Any, shape: tuple[int, ...]) -> Any:
    return x.reshape(*x.shape[:-1], *shape, 1)


class Convolution(nn.Module):
    """The sum of log cosh of one convolution."""

    shape: tuple[int, ...]
    features: int
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        window = (3,) * len(self.shape)
        convolve = nn.Conv(
            self.features, window, padding="CIRCULAR", param_dtype=self.param_dtype
        )
        z = _log_cosh(convolve(_on_lattice(x, self.shape)))
        return z.reshape(*x.shape[:-1], -1).sum(axis=-1)


class DeepConvolution(nn.Module):
    """The sum of all elements behind layers of a convolution and a gelu."""

    shape: tuple[int, ...]
    features: int
    layers: int
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        window, z = (3,) * len(self.shape), _on_lattice(x, self.shape)
        for _ in range(self.layers):
            convolve = nn.Conv(
                self.features, window, padding="CIRCULAR", param_dtype=self.param_dtype
            )
            z = nn.gelu(convolve(z))
        return z.reshape(*x.shape[:-1], -1).sum(axis=-1)


class ResNet(nn.Module):
    """A convolution, and blocks of two each that are added to what they are given."""

    shape: tuple[int, ...]
    features: int
    blocks: int
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        window = (3,) * len(self.shape)

        def convolve(z: Any) -> Any:
            return nn.Conv(
                self.features, window, padding="CIRCULAR", param_dtype=self.param_dtype
            )(z)

        z = convolve(_on_lattice(x, self.shape))
        for _ in range(self.blocks):
            z = z + convolve(nn.gelu(convolve(nn.gelu(z))))
        return z.reshape(*x.shape[:-1], -1).sum(axis=-1)


class VisionTransformer(nn.Module):
    """Patches of sites as tokens, attention among them, and log cosh of their mean."""

    tokens: int
    width: int
    blocks: int
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        dtype = self.param_dtype
        tokens = x.reshape(*x.shape[:-1], self.tokens, -1).astype(dtype)
        z = nn.Dense(self.width, param_dtype=dtype)(tokens)
        positions = self.param(
            "positions", nn.initializers.normal(0.1), z.shape[-2:], dtype
        )
        z = z + positions
        for _ in range(self.blocks):
            y = nn.LayerNorm(param_dtype=dtype)(z)
            z = z + nn.MultiHeadDotProductAttention(4, param_dtype=dtype)(y, y)
            y = nn.LayerNorm(param_dtype=dtype)(z)
            y = nn.gelu(nn.Dense(2 * self.width, param_dtype=dtype)(y))
            z = z + nn.Dense(self.width, param_dtype=dtype)(y)
        z = nn.LayerNorm(param_dtype=dtype)(z).mean(axis=-2)
        return _log_cosh(nn.Dense(self.width, param_dtype=dtype)(z)).sum(axis=-1)


class Embedding(nn.Module):
    """A vector for each site and number of bosons, and log cosh of their sums."""

    values: int
    features: int
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        sites = x.shape[-1]
        number = x.astype(np.int32) + self.values * np.arange(sites)
        embed = nn.Embed(
            sites * self.values, self.features, param_dtype=self.param_dtype
        )
        return _log_cosh(embed(number).sum(axis=-2)).sum(axis=-1)


class Backflow(nn.Module):
    """A determinant whose orbitals depend on where the other fermions are."""

    fermions: int
    hidden: int
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        modes, dtype = x.shape[-1], self.param_dtype
        orbitals = self.param(
            "orbitals", nn.initializers.normal(0.5), (modes, self.fermions), dtype
        )
        z = nn.tanh(nn.Dense(self.hidden, param_dtype=dtype)(x))
        change = nn.Dense(modes * self.fermions, param_dtype=dtype)(z)
        moved = orbitals + change.reshape(*x.shape[:-1], modes, self.fermions)
        occupied = jnp.argsort(-x, axis=-1, stable=True)[..., : self.fermions]
        matrix = jnp.take_along_axis(moved, occupied[..., None], axis=-2)
        sign, size = jnp.linalg.slogdet(matrix)
        return size + jnp.log(sign.astype(np.result_type(dtype, np.complex64)))


class Slater(nn.Module):
    """Determinants of both spins as they are written by hand, on a square lattice.

    Attributes:
        count: how many products of them are added.
        has_factor: whether there is a Jastrow factor, too.
        has_backflow: whether orbitals depend on which sites next to them are occupied.
    """

    shape: tuple[int, ...]
    fermions: int
    param_dtype: Any
    count: int = 1
    has_factor: bool = False
    has_backflow: bool = False

    @nn.compact
    def __call__(self, x: Any) -> Any:
        sites, dtype = math.prod(self.shape), self.param_dtype
        size = 2, sites, self.count * self.fermions

        def occupied_of(n: Any) -> Any:
            return jnp.nonzero(n, size=self.fermions)[0]

        n = x.reshape(*x.shape[:-1], 2, sites)
        occupied = jnp.vectorize(occupied_of, signature="(s)->(f)")(n)
        orbitals = self.param("orbitals", nn.initializers.normal(0.5), size, dtype)
        if self.has_backflow:
            change = self.param("change", nn.initializers.normal(0.2), size, dtype)
            lattice = n.reshape(*n.shape[:-1], *self.shape).astype(dtype)
            near = sum(jnp.roll(lattice, by, ax) for by in (1, -1) for ax in (-1, -2))
            rows = orbitals + near.reshape(*n.shape, 1) * change
            chosen = jnp.take_along_axis(rows, occupied[..., None], axis=-2)
        else:
            # Of both spins at once: two calls of LAPACK at a time can wait for ever
            chosen = orbitals[np.arange(2)[:, None], occupied]
        matrices = chosen.reshape(*chosen.shape[:-1], self.count, self.fermions)
        sign, log = jnp.linalg.slogdet(jnp.swapaxes(matrices, -2, -3))
        sign, log = sign.prod(axis=-2), log.sum(axis=-2)
        largest = log.max(axis=-1, keepdims=True)
        total = (sign * jnp.exp(log - largest)).sum(axis=-1)
        found = largest[..., 0] + jnp.log(total.astype(np.result_type(dtype, "c8")))
        if self.has_factor:
            weights = self.param(
                "factor", nn.initializers.normal(0.02), (2 * sites, 2 * sites), dtype
            )
            real = x.astype(dtype)
            found = found + ((real @ weights) * real).sum(axis=-1)
        return found


class SlaterJastrow(nn.Module):
    """A determinant of NetKet times its Jastrow factor, in one module."""

    hilbert: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        determinant = nk.models.Slater2nd(self.hilbert, param_dtype=self.param_dtype)
        factor = nk.models.Jastrow(param_dtype=self.param_dtype)
        return determinant(x) + factor(x)


# endregion


def _mlp(*hidden: int) -> Define:
    return lambda s: nk.models.MLP(
        hidden_dims=hidden,
        hidden_activations=jnp.tanh,
        param_dtype=s.dtype,
    )


def _slater(**options: Any) -> Define:
    return lambda s: Slater(s.shape, s.hilbert.n_fermions // 2, s.dtype, **options)


def _gcnn(s: Setting) -> Any:
    group = s.translations
    return nk.models.GCNN(
        symmetries=np.asarray(group),
        product_table=np.asarray(group.product_table),
        shape=s.shape,
        mode="fft",
        layers=2,
        features=4,
        param_dtype=s.dtype,
    )


WAVEFUNCTIONS: dict[str, Define] = {
    "rbm": lambda s: nk.models.RBM(alpha=4, param_dtype=s.dtype),
    "rbm_complex": lambda s: nk.models.RBM(alpha=4, param_dtype=s.complex_dtype),
    "rbm_modphase": lambda s: nk.models.RBMModPhase(alpha=4, param_dtype=s.dtype),
    "rbm_symm": lambda s: nk.models.RBMSymm(
        s.translations, alpha=4, param_dtype=s.dtype
    ),
    "rbm_one_hot": lambda s: nk.models.RBMMultiVal(
        s.hilbert.local_size, alpha=1, param_dtype=s.dtype
    ),
    "embedding": lambda s: Embedding(s.hilbert.local_size, 128, s.dtype),
    "jastrow": lambda s: nk.models.Jastrow(param_dtype=s.dtype),
    "mlp1": _mlp(256),
    "mlp2": _mlp(256, 256),
    "cnn": lambda s: Convolution(s.shape, 8, s.dtype),
    "deep_cnn": lambda s: DeepConvolution(s.shape, 16, 3, s.dtype),
    "deep_resnet": lambda s: ResNet(s.shape, 16, 2, s.dtype),
    "resnet": lambda s: ResNet(s.shape, 8, 1, s.dtype),
    "gcnn": _gcnn,
    "arnn": lambda s: nk.models.ARNNDense(
        s.hilbert, layers=2, features=4, param_dtype=s.dtype
    ),
    "deep_arnn": lambda s: nk.models.ARNNDense(
        s.hilbert, layers=3, features=16, param_dtype=s.dtype
    ),
    "vit": lambda s: VisionTransformer(TOKENS, WIDTH, BLOCKS, s.dtype),
    "slater": lambda s: nk.models.Slater2nd(s.hilbert, param_dtype=s.dtype),
    "slater_jastrow": lambda s: SlaterJastrow(s.hilbert, s.dtype),
    "backflow": lambda s: Backflow(s.hilbert.n_fermions, 64, s.dtype),
    "slogdet": _slater(),
    "slogdet_jastrow": _slater(has_factor=True),
    "slogdet_sum": _slater(count=4),
    "slogdet_backflow": _slater(has_backflow=True),
}
"""The wavefunctions by name."""
