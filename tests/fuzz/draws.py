"""Samples of autoregressive networks: `python -m tests.fuzz.draws 1000`.

Samples that kernels draw, one site after the other with what is known, are compared
with those that the reference interpreter draws from sums over all configurations, and
their log psi with the network. What fails is printed as source, with no layer that it
does not need, and the others go on.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

import symir as sym
from dialects.interpreters.bt import run_function
from symir.runtime.autoregressive import Autoregressive
from tests.fuzz import many
from tests.fuzz.check import Mismatch

__all__ = ["LAYERS", "Ordered", "check_network", "draw_network", "main"]

SAMPLES = 40

TOLERANCE = 1e-9

MOST = 3**5
"""So many configurations, at most."""

HELPERS = """\
import jax
import jax.numpy as jnp
import numpy as np


def dense(y, w, strict=0):
    mask = jnp.triu(jnp.ones((y.shape[1],) * 2), strict)
    return jnp.einsum("bnc,ncmd->bmd", y, w * mask[:, None, :, None])


def convolution(y, w, apart=1):
    y = jnp.pad(y, ((0, 0), ((len(w) - 1) * apart, 0), (0, 0)))
    dims = ("NHC", "HIO", "NHC")
    how = {"rhs_dilation": (apart,), "dimension_numbers": dims}
    return jax.lax.conv_general_dilated(y, w, (1,), "VALID", **how)


def behind(y, first):
    first = jnp.broadcast_to(first, (len(y), 1, y.shape[2]))
    return jnp.concatenate([first, y[:, :-1]], 1)


def normalised(y):
    mean, variance = y.mean(-1, keepdims=True), y.var(-1, keepdims=True)
    return (y - mean) / jnp.sqrt(variance + 0.1)


def chosen(y, x):
    return jnp.take_along_axis(y, x.astype(int)[..., None], -1)[..., 0].sum(-1)
"""


class Lines:
    """The source of a network, line by line.

    Attributes:
        leaves: shapes of its parameters.
        channels: of y.
    """

    def __init__(self, sites: int, channels: int):
        self.sites, self.channels = sites, channels
        self.leaves: list[tuple[int, ...]] = []
        self.text: list[str] = []

    def leaf(self, *shape: int) -> str:
        self.leaves.append(shape)
        return f"w[{len(self.leaves) - 1}]"

    def weights(self, channels: int) -> str:
        own = self.channels
        return self.leaf(self.sites, own, self.sites, channels)


Layer = Callable[[Lines, np.random.Generator], str]


def _dense(own: Lines, rng: np.random.Generator) -> str:
    channels = int(rng.integers(1, 4))
    weights, own.channels = own.weights(channels), channels
    return f"dense(y, {weights})"


def _convolution(own: Lines, rng: np.random.Generator) -> str:
    channels, size = (int(one) for one in rng.integers(1, 4, 2))
    kernel, own.channels = own.leaf(size, own.channels, channels), channels
    return f"convolution(y, {kernel}, apart={rng.integers(1, 3)})"


def _function(own: Lines, rng: np.random.Generator) -> str:
    return rng.choice(["jnp.tanh(y)", "jax.nn.gelu(y)", "jnp.sin(y)", "jax.nn.relu(y)"])


def _choice(own: Lines, rng: np.random.Generator) -> str:
    return f"jnp.where({own.leaf(own.sites, own.channels)} > 0, y, -jnp.sin(y))"


LAYERS: dict[str, Layer] = {
    "dense": _dense,
    "convolution": _convolution,
    "function": _function,
    "residual": lambda own, rng: f"y + jnp.tanh(dense(y, {own.weights(own.channels)}))",
    "norm": lambda own, rng: "normalised(y)",
    "choice": _choice,
    "bias": lambda own, rng: f"y + {own.leaf(own.sites, own.channels)}",
}
"""What a layer makes of y, of sites and channels."""

FIRST: dict[str, Layer] = {
    "strict": lambda own, rng: f"dense(y, {own.weights(own.channels)}, strict=1)",
    "zeros": lambda own, rng: "behind(y, 0)",
    "token": lambda own, rng: f"behind(y, {own.leaf(own.channels)})",
}
"""How what is said of a site is kept from its value."""


@dataclass(frozen=True)
class Ordered:
    """An autoregressive network.

    Attributes:
        order: of the sites in it.
        values: how many a site has.
        parts: names of `LAYERS`, and the seed that each is drawn with.
        seed: of all else.
    """

    order: tuple[int, ...]
    values: int
    parts: tuple[tuple[str, int], ...]
    seed: int

    def without(self, number: int) -> Ordered:
        """Return the network without one of its layers."""
        kept = [part for k, part in enumerate(self.parts) if k != number]
        return replace(self, parts=tuple(kept))

    @cached_property
    def _written(self) -> tuple[Lines, frozenset[str]]:
        rng = np.random.default_rng(self.seed)
        is_hot, is_complex = rng.random(2) < (0.5, 0.3)
        own = Lines(len(self.order), self.values if is_hot else 1)
        hot = f"jax.nn.one_hot(x.astype(int), {self.values})"
        own.text.append(f"x = x[:, np.array({list(self.order)})]")
        own.text.append(f"y = {hot if is_hot else 'x[..., None].astype(float)'}")
        first = str(rng.choice(list(FIRST)))
        own.text.append(f"y = {FIRST[first](own, rng)}")
        for kind, seed in self.parts:
            own.text.append(f"y = {LAYERS[kind](own, np.random.default_rng(seed))}")
        last, bias = own.leaf(own.channels, self.values), own.leaf(self.values)
        own.text.append(f"z = jax.nn.log_softmax(y @ {last} + {bias}) / 2")
        if is_complex:
            own.text.append(f"z = z + 1j * (y @ {own.leaf(own.channels, self.values)})")
        own.text.append("return chosen(z, x)")
        words = {first, *dict(self.parts), f"depth {len(self.parts)}"}
        words |= {"complex"} if is_complex else set()
        return own, frozenset(words)

    @property
    def features(self) -> frozenset[str]:
        return self._written[1]

    @property
    def leaves(self) -> list[Any]:
        rng = np.random.default_rng(self.seed)
        return [0.7 * rng.normal(size=shape) for shape in self._written[0].leaves]

    @property
    def source(self) -> str:
        text = "\n    ".join(["def logpsi(w, x):", *self._written[0].text])
        return f"{HELPERS}\n\n{text}\n"

    def __repr__(self) -> str:
        leaves = [leaf.tolist() for leaf in self.leaves]
        return f"{self.source}\nw = [np.array(one) for one in {leaves}]"

    @property
    def network(self) -> Callable[..., Any]:
        names: dict[str, Any] = {"__name__": "network"}
        exec(compile(self.source, "network.py", "exec"), names)
        return names["logpsi"]


def draw_network(seed: int, number: int) -> Ordered:
    """Draw a network: the same one for the same two numbers."""
    rng = np.random.default_rng([seed, number])
    values = int(rng.integers(2, 4))
    sites = int(rng.integers(1, 8 if values == 2 else 6))
    order = rng.permutation(sites) if rng.random() < 0.5 else np.arange(sites)
    kinds = rng.choice(list(LAYERS), rng.integers(0, 6))
    return Ordered(
        order=tuple(order.tolist()),
        values=values,
        parts=tuple((str(kind), int(rng.integers(2**31))) for kind in kinds),
        seed=int(rng.integers(2**31)),
    )


@jax.enable_x64(True)
def check_network(network: Ordered) -> Counter[str]:
    """Compare samples of a network; return what it has, and whether it is drawn.

    Raises:
        Mismatch: where samples are others than those of the reference.
    """
    logpsi, w, sites = network.network, network.leaves, len(network.order)
    space = sym.fock(network.values - 1, sites)
    assert space.n_states <= MOST
    own, key = Autoregressive(logpsi, space), jax.random.key(network.seed)
    try:
        x, log_psi = own.sample(w, key, SAMPLES)
    except sym.InputError as error:
        if error.code != "C033":
            raise Mismatch(f"raises {error}") from error
        return Counter({"declined": 1, f"declined: {error.found}": 1})
    keys = (jax.random.fold_in(key, number) for number in range(SAMPLES))
    noise = np.stack([jax.random.uniform(one, (sites,), float) for one in keys])
    expected, _ = run_function(own.module(w), [noise, *w])
    if not np.array_equal(x, expected):
        raise Mismatch("samples differ from those of the reference")
    if not np.allclose(log_psi, logpsi(w, x), rtol=TOLERANCE, atol=TOLERANCE):
        raise Mismatch("log psi differs from the network")
    return Counter({"drawn": 1, **dict.fromkeys(network.features, 1)})


def main(arguments: list[str] | None = None) -> int:
    """Check as many networks as asked for; return the number of those that failed."""
    return many.main(
        "tests.fuzz.draws", __doc__, draw_network, check_network, arguments
    )


if __name__ == "__main__":
    sys.exit(bool(main()))
