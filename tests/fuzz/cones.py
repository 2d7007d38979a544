"""Changes that reach parts of deep networks: `python -m tests.fuzz.cones 1000`.

Log ratios of changes of x that the functions of a part in cones return, those of groups
of rows as well and behind commits, are compared with those of the network at x'. What
fails is printed as source, with no layer that it does not need, and the others go on.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from xdsl.utils.exceptions import PassFailedException

from symir.runtime.functions import of_arrays
from tests.fuzz import many
from tests.fuzz.check import Mismatch
from tests.fuzz.networks import Space, Value, Writer, numbers, prelude
from tests.unit.lowering.change.laws import Made, by_interpreter

__all__ = ["LAYERS", "Deep", "check_network", "draw_network", "main"]

Shape = tuple[int, int, int]
"""Of a value y of one x: rows, columns, channels."""

COMMITS = 2

TOLERANCE = 1e-10
"""By what ratios may be off, in units of the largest log psi."""

COMPILED = 10
"""One in so many is compiled by JAX, the others are interpreted."""

ACTIVATIONS = ("softplus", "tanh", "relu", "smooth", "cut")
"""Continuous: on which side of a step a number is may be up to rounding."""

HELPERS = """\
def convolution(y, kernel, bias, padding, wraps=False, groups=1, **how):
    if wraps:
        y = jnp.pad(y, ((0, 0), *padding, (0, 0)), mode="wrap")
        padding = "VALID"
    z = jax.lax.conv_general_dilated(
        y, kernel, **{"padding": padding, "window_strides": (1, 1), **how},
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups,
    )
    return z + bias


def masked(y, weights, bias, order, strict):
    place = np.random.default_rng(order).permutation(y.shape[1] * y.shape[2])
    behind = place[:, None] + strict <= place
    shape = y.shape[3], weights.shape[1] // len(place)
    z = y.reshape(len(y), -1) @ (np.kron(behind, np.ones(shape)) * weights) + bias
    return z.reshape(*y.shape[:3], -1)


def choice(y, x):
    return jnp.take_along_axis(y, (x.reshape(*y.shape[:3], 1) > 0).astype(int), -1)
"""


# region Layers: source of what becomes of y, of a shape of rows, columns and channels


def _convolution(w: Writer, shape: Shape) -> str:
    *lengths, channels = shape
    keeps = w.chance(3)  # the shape, for sums with y
    kernel, dilation = w.rng.integers(1, (4, 3), size=(2, 2)).T
    reach = (kernel - 1) * dilation
    padding = np.stack([reach // 2, reach - reach // 2], 1)
    how = {"rhs_dilation": dilation}
    if not keeps:
        how["window_strides"] = w.rng.integers(1, 3, size=2)
        other = w.rng.integers(3, size=(2, 2))
        if w.chance(2) and (lengths + other.sum(1) > reach).all():
            padding = other
    wraps = w.chance(2) and bool((padding.max(1) <= lengths).all())
    if not keeps and not wraps and w.chance(6):
        how["lhs_dilation"] = w.rng.integers(1, 3, size=2)
    groups = channels if w.chance(8) else 1
    new = channels if keeps or groups > 1 else w.pick((1, 2, 3, 4))
    size = (*kernel.tolist(), channels // groups, new)
    weights = w.leaf(*size, scale=float(np.prod(size[:3])) ** -0.5)
    if w.chance(8):
        weights = f"({weights} * {w.constant_mask(size)})"
    flags = {"wraps": wraps and padding.any(), "groups of channels": groups > 1}
    flags |= {name: (sizes > 1).any() for name, sizes in how.items()}
    w.features |= {name for name, is_so in flags.items() if is_so}
    more = "".join(f", {name}={sizes.tolist()}" for name, sizes in how.items())
    most = f"{padding.tolist()}, {wraps}, {groups}{more}"
    return f"convolution(y, {weights}, {w.leaf(new)}, {most})"


def _dense(w: Writer, shape: Shape) -> str:
    return f"y @ {w.leaf(shape[2], w.pick((1, 2, 3, 4)), scale=shape[2] ** -0.5)}"


def _neighbours(w: Writer, shape: Shape) -> str:
    """Return a dense layer of channels at several places, which are features."""
    *lengths, channels = shape
    count, size, new = w.pick((2, 3)), int(np.prod(lengths)), w.pick((1, 2, 3))
    weights = w.leaf(count * channels, new, scale=(count * channels) ** -0.5)
    start, axis = w.leaf(channels), w.pick((1, 2))
    shifts = [int(w.rng.integers(-2, 3)) for _ in range(count)]
    rolled = ", ".join(f"jnp.roll(y, {one}, {axis})" for one in shifts)
    shared = f"jnp.tanh(jnp.stack([{rolled}], -1) + {w.leaf(count)})"
    table = w.rng.permuted(np.tile(np.arange(size), (count, 1)), axis=1).T.tolist()
    flat = f"y.reshape(len(y), {size}, {channels})[:, np.array({table})]"
    before = f"jnp.broadcast_to({start}, (len(y), 1, 1, {channels}))"
    end = f"jnp.broadcast_to({before}, (len(y), 1, *y.shape[2:]))"
    behind = f"jnp.concatenate([{end}, y[:, :-1]], 1)"
    features = w.pick(
        (
            f"{shared}.reshape(*y.shape[:-1], -1)",
            f"jnp.moveaxis({flat}, 2, 3).reshape(*y.shape[:-1], -1)",
            f"{flat}.reshape(*y.shape[:-1], -1)",
            f"jnp.concatenate([y, {behind}{', y**2' if count > 2 else ''}], -1)",
        )
    )
    return f"{features} @ {weights}"


def _masked(w: Writer, shape: Shape) -> str:
    """Return what depends on the sites before, in an order that others may have."""
    size = int(np.prod(shape))
    new = shape[0] * shape[1] * w.pick((1, 2, 3))
    weights, order = w.leaf(size, new, scale=size**-0.5), w.pick((0, 0, 1))
    return f"masked(y, {weights}, {w.leaf(new)}, {order}, {w.pick((0, 1))})"


def _choice(w: Writer, shape: Shape) -> str:
    if shape[0] * shape[1] != w.space.sites or shape[2] == 1:
        return "y"
    return w.pick(("choice(y, x)", "choice(jax.nn.log_softmax(y), x)"))


LAYERS: dict[str, tuple[Callable[[Writer, Shape], str], float]] = {
    "convolution": (_convolution, 6),
    "masked layer": (_masked, 3),
    "choice": (_choice, 2),
    "dense": (_dense, 1),
    "neighbours": (_neighbours, 2),
    "activation": (lambda w, _: "y", 1),
    "square": (lambda w, _: "y**2 / 4", 1),
    "affine": (lambda w, s: f"y * {w.leaf(s[2])} - {w.leaf(s[2])}", 1),
    "places": (lambda w, s: f"y * {w.leaf(*s)}", 1),
    "slice": (lambda w, s: f"y[..., {s[2] // 2} :]", 1),
    "maximum": (lambda w, _: "y.max(-1, keepdims=True)", 1),
    "norm": (lambda w, s: f"norm(y) * {w.leaf(s[2])}", 1),
    "roll": (lambda w, _: f"jnp.roll(y, 1, {w.pick((1, 2))}) - 0.5 * y", 1),
    "axes": (lambda w, _: "jnp.swapaxes(y, 1, 2)", 1),
    "lines": (lambda w, _: f"y.mean({w.pick((1, 2))}, keepdims=True)", 1),
    "order": (
        lambda w, s: f"y + y[:, :, np.array({w.rng.permutation(s[1]).tolist()})]",
        1,
    ),
}

X = "x.reshape(-1, {}, {}, 1)"

FIRST: dict[str, Callable[[Writer, str], str]] = {
    "numbers": lambda w, x: f"{x}.astype(float)",
    "several of a site": lambda w, x: f"{x} * {w.leaf(2)} + 0.1",
    "one-hot": lambda w, x: f"({x} == np.arange(-1, 3)).astype(float)",
    "dense one-hot": lambda w, x: f"1.0 * ({x} == np.arange(-1, 3)) @ {w.leaf(4, 3)}",
}

LAST: dict[str, Callable[[Writer, Shape], str]] = {
    "sum": lambda w, _: "y.sum((1, 2, 3))",
    "weighted sum": lambda w, s: f"(y * {w.leaf(*s)}).sum((1, 2, 3))",
    "dense of sums": lambda w, s: (
        f"jnp.tanh(jnp.tanh(y.mean((1, 2)) @ {w.leaf(s[2], 3)}) @ {w.leaf(3)})"
    ),
    "channels in another order": lambda w, s: (
        f"jnp.tanh(y.mean((1, 2))[:, np.array({w.rng.permutation(s[2]).tolist()})] * "
        f"{w.leaf(s[2])} + {w.leaf(s[2])}).sum(-1)"
    ),
    "dense of all": lambda w, s: (
        f"jnp.tanh(y.reshape(len(y), -1) @ {w.leaf(int(np.prod(s)), 3)}).sum(-1)"
    ),
    "logarithm of a sum": lambda w, _: "jnp.log(1 + jnp.exp(y).sum((1, 2, 3)))",
    "maximum of sums": lambda w, _: "y.sum((1, 2)).max(-1)",
    "sorted sums": lambda w, s: f"jnp.sort(y.mean((1, 2)), -1) @ {w.leaf(s[2])}",
}

AROUND = ("{}", "({} + y)", "(y * jax.nn.sigmoid({}))", "(y - 0.5 * {})")
"""Of what has the shape of y."""

# endregion


@dataclass(frozen=True)
class Deep:
    """A network of layers, and changes of x.

    Attributes:
        grid: of sites.
        values: of one site.
        parts: names of `LAYERS`, and the seed that each is drawn with.
        seed: of all else.
        is_compiled: whether functions are run by JAX.
    """

    grid: tuple[int, int]
    values: tuple[float, ...]
    parts: tuple[tuple[str, int], ...]
    seed: int
    is_compiled: bool

    def without(self, number: int) -> Deep:
        """Return the network without one of its layers; others then fit its shape."""
        kept = [part for k, part in enumerate(self.parts) if k != number]
        return replace(self, parts=tuple(kept))

    @cached_property
    def written(self) -> Writer:
        """Lines that compute y, then log psi, and what is of them."""
        space = Space(self.grid[0] * self.grid[1], "", len(self.values), ())
        w = Writer(np.random.default_rng(self.seed), space, "tuple", "float64")
        first, last = w.pick(list(FIRST)), w.pick(list(LAST))
        w.features |= {first, last, *dict(self.parts), f"depth {len(self.parts)}"}
        w.lines.append(f"y = {FIRST[first](w, X.format(*self.grid))}")
        for kind, seed in self.parts:
            w.rng = np.random.default_rng(seed)
            shape = _shape(w, "y")
            z = w.name(LAYERS[kind][0](w, shape))
            if not w.chance(4):
                z = w.activated(Value(z, 0, is_complex=False), ACTIVATIONS).text
            is_like_y = _shape(w, z) == shape
            w.lines.append(f"y = {w.pick(AROUND).format(z) if is_like_y else z}")
        w.lines.append(f"return {LAST[last](w, _shape(w, 'y'))}")
        return w

    @property
    def features(self) -> frozenset[str]:
        return frozenset(self.written.features)

    @property
    def source(self) -> str:
        return _source(self.written.lines)

    def __repr__(self) -> str:
        leaves = "".join(f"    {numbers(leaf)},\n" for leaf in self.written.leaves)
        rows, x = self.rows.astype(int).tolist(), self.x.tolist()
        return (
            f"from tests.fuzz.networks import Leaf\n{self.source}\n"
            f"w = (\n{leaves})\nrows = {rows}\nx = {x}"
        )

    @property
    def x(self) -> Any:
        rng = np.random.default_rng(self.seed)
        return rng.choice(self.values, self.grid[0] * self.grid[1]).astype(np.int8)

    @property
    def rows(self) -> Any:
        """Changes of one site, or of several each, (R, N): x allows the first."""
        rng, x = np.random.default_rng(self.seed + 1), self.x
        most, rows = rng.choice((1, 2, 4)), np.zeros((len(x), len(x)))
        for number, row in enumerate(rows):
            count = min(rng.integers(most) + 1, len(x))
            sites = rng.choice(len(x), count, replace=False) if most > 1 else [number]
            for site in sites:
                own = rng.choice(self.values) if number else x[site]
                row[site] = rng.choice([v for v in self.values if v != own]) - own
        return rows

    def made(self) -> Made:
        leaves = tuple(leaf.values() for leaf in self.written.leaves)
        factor = 0.5j if self.seed % 4 == 0 else 1.0
        return Made(_run(self.source), leaves, self.rows, factor, self.values)


def _source(lines: Sequence[str]) -> str:
    """Return the source of `logpsi`, with what it needs."""
    text = "\n    ".join(["def logpsi(w, x):", *lines])
    return f"{prelude(text)}\n\n{HELPERS}\n\n{text}\n"


def _run(source: str) -> Callable[..., Any]:
    names: dict[str, Any] = {"__name__": "network"}
    exec(compile(source, "network.py", "exec"), names)
    return names["logpsi"]


def _shape(w: Writer, text: str) -> Shape:
    """Return rows, columns and channels of something at one x."""
    kinds = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in w.leaves]
    x = jax.ShapeDtypeStruct((1, w.space.sites), np.int8)
    run = _run(_source([*w.lines, f"return {text}"]))
    return jax.eval_shape(run, tuple(kinds), x).shape[1:]


def draw_network(seed: int, number: int) -> Deep:
    """Draw a network: the same one for the same two numbers."""
    rng = np.random.default_rng([seed, number])
    long, short = int(rng.integers(3, 12)), rng.integers(2, 6, size=2).tolist()
    kinds, weights = zip(*((k, w) for k, (_, w) in LAYERS.items()), strict=True)
    drawn = rng.choice(kinds, rng.integers(1, 7), p=np.array(weights) / sum(weights))
    values = ((-1.0, 1.0), (0.0, 1.0), (0.0, 1.0, 2.0))
    return Deep(
        grid=(1, long) if rng.random() < 0.4 else (short[0], short[1]),
        values=values[rng.choice(3, p=(0.6, 0.2, 0.2))],
        parts=tuple((str(kind), int(rng.integers(2**31))) for kind in drawn),
        seed=int(rng.integers(2**31)),
        is_compiled=number % COMPILED == 0,
    )


@jax.enable_x64(True)
def check_network(network: Deep) -> Counter[str]:
    """Compare ratios with differences of log psi, in 64-bit mode.

    Returns:
        What there was in it, or why it is no part in cones.

    Raises:
        Mismatch: where a number differs, or something raises.
    """
    made, counts = network.made(), Counter[str](network.features)
    rng = np.random.default_rng(network.seed)
    run = of_arrays if network.is_compiled else by_interpreter
    try:
        found = list(made.found(run, network.x, rng, COMMITS))
    except PassFailedException as error:
        return Counter({"declined": 1, f"declined: {error}": 1})
    except Exception as error:
        raise Mismatch(f"raises {type(error).__name__}: {error}") from error
    largest = max(abs(one.after) for one in found)
    for one in found:
        expected = one.after - one.before
        if not abs(one.ratio - expected) <= TOLERANCE * (1 + largest):
            raise Mismatch(f"ratios differ\nfound    {one.ratio}\nexpected {expected}")
    counts["compared"] += 1
    counts["ratios"] += len(found)
    counts["groups of rows"] += any(one.is_of_group for one in found)
    counts["compiled"] += network.is_compiled
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Check as many networks as asked for; return the number of those that failed."""
    return many.main(
        "tests.fuzz.cones", __doc__, draw_network, check_network, arguments
    )


if __name__ == "__main__":
    sys.exit(bool(main()))
