"""Random wavefunctions as runnable source: log psi of parameters w and x.

A network is a sum of parts, each drawn on its own: what a compiler may know of it, what
it may not, and what looks like the one and is the other. All that there is to it is its
source, so that one that fails is printed and pasted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

__all__ = [
    "FEATURES",
    "SPACES",
    "Leaf",
    "Network",
    "Part",
    "Space",
    "Value",
    "Writer",
    "draw_network",
    "numbers",
    "prelude",
]

Rng = np.random.Generator


# region What is drawn


@dataclass(frozen=True)
class Space:
    """What a network has to know of a space: sites, values of one, and what it writes.

    Attributes:
        sites: how many.
        index: source of the number of each site's value, (B, N), from 0.
        values: how many a site has.
        sums: what x.sum(-1) may be, to compare it with.
    """

    sites: int
    index: str
    values: int
    sums: tuple[int, ...]


SPIN = Space(6, "(x > 0).astype(np.int32)", 2, (-2, 0, 2, 4))

SPACES = {
    "ising": SPIN,
    "heisenberg": SPIN,
    "bosons": Space(4, "x.astype(np.int32)", 4, (2, 4, 5, 6)),
    "three spins": Space(5, "(x > 0).astype(np.int32)", 2, (-3, -1, 1, 3)),
    "diagonal": Space(5, "(x > 0).astype(np.int32)", 2, (-3, -1, 1, 3)),
    "one way": Space(4, "x.astype(np.int32)", 4, (2, 4, 5, 6)),
    "complex": Space(5, "(x > 0).astype(np.int32)", 2, (-3, -1, 1, 3)),
}
"""Of each operator of `tests.fuzz.energies`."""


@dataclass(frozen=True)
class Leaf:
    """A parameter: its numbers follow from its seed.

    `kind` is "real", "complex", "integer", "boolean", or "key", for a PRNG key of JAX.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    dtype: str
    scale: float
    seed: int

    def values(self) -> Any:
        """Return the numbers, or the key."""
        if self.kind == "key":
            import jax

            return jax.random.key(self.seed)
        rng = np.random.default_rng(self.seed)
        match self.kind:
            case "boolean":
                found: Any = rng.random(self.shape) < 0.6
            case "integer":
                found = rng.integers(0, 4, self.shape)
            case "complex":
                parts = rng.normal(size=(2, *self.shape))
                found = self.scale * (parts[0] + 0.5j * parts[1])
            case _:
                found = self.scale * rng.normal(size=self.shape)
        return np.asarray(found).astype(self.dtype)


@dataclass(frozen=True)
class Part:
    """One summand: statements, and its value of shape (B,)."""

    lines: tuple[str, ...]
    value: str
    features: frozenset[str]


@dataclass(frozen=True)
class Network:
    """A network, and how its energy is asked for.

    Attributes:
        operator: a name in `SPACES`.
        x_dtype: that of configurations.
        container: of what `w` is made: "dict", "tuple" or "nested".
        leaves: all parameters; those that no part reads any more stay.
        parts: what is summed.
        combine: source with `{}` for the parts with " + " between them.
        chunk: argument of `LocalEnergy`.
        budget: argument of `LocalEnergy`.
        is_captured: whether log psi closes over w while JAX is tracing it.
        is_eager: whether energies are asked for outside of `jax.jit` as well.
        seed: of configurations and directions.
    """

    operator: str
    x_dtype: str
    container: str
    leaves: tuple[Leaf, ...]
    parts: tuple[Part, ...]
    combine: str
    chunk: int | None
    budget: int | None
    is_captured: bool
    is_eager: bool
    seed: int

    @property
    def features(self) -> frozenset[str]:
        """What there is in it, in words."""
        own = {f"operator: {self.operator}", f"x: {self.x_dtype}", self.container}
        own |= {f"leaf: {leaf.dtype}" for leaf in self.leaves}
        flags = {
            "chunk": self.chunk is not None,
            "small budget": self.budget is not None,
            "captured": self.is_captured,
            "eager": self.is_eager,
            "not a sum": self.combine != "{}",
        }
        own |= {name for name, is_so in flags.items() if is_so}
        return frozenset(own).union(*(part.features for part in self.parts))

    @property
    def is_single(self) -> bool:
        """Whether x or some parameter has no more than single precision.

        What is computed from x and whole numbers alone is as precise as x.
        """
        dtypes = (self.x_dtype, *(leaf.dtype for leaf in self.leaves))
        return any(dtype in ("float32", "complex64") for dtype in dtypes)

    def body(self) -> str:
        """Return the source of `logpsi`, with what it needs."""
        lines = [line for part in self.parts for line in part.lines]
        total = self.combine.format(" + ".join(part.value for part in self.parts))
        text = "\n    ".join(["def logpsi(w, x):", *lines, f"return {total}"])
        return f"{prelude(text)}\n{text}\n"

    def to_source(self) -> str:
        """Return runnable source: of `logpsi`, and of its parameters `w`."""
        values = self._filled([numbers(leaf) for leaf in self.leaves])
        imports = "from tests.fuzz.networks import Leaf\n" if "Leaf(" in values else ""
        return f"{imports}{self.body()}\nw = {values}\n"

    def __repr__(self) -> str:
        asked = f"chunk={self.chunk}, budget={self.budget}"
        asked += ", closes over w" if self.is_captured else ""
        return f"# {self.operator}, x of {self.x_dtype}, {asked}\n{self.to_source()}"

    def build(self) -> Callable[[Any, Any], Any]:
        """Return log psi, a new function each time."""
        names: dict[str, Any] = {"__name__": "network"}
        exec(compile(self.body(), "network.py", "exec"), names)
        return names["logpsi"]

    def parameters(self, leaves: Sequence[Any]) -> Any:
        """Return `w` of such leaves."""
        if self.container == "tuple":
            return tuple(leaves)
        if self.container == "nested":
            return {"p": list(leaves)}
        return {leaf.name: a for leaf, a in zip(self.leaves, leaves, strict=True)}

    def without(self, number: int) -> Network:
        """Return the network without one of its parts."""
        kept = [part for k, part in enumerate(self.parts) if k != number]
        return replace(self, parts=tuple(kept))

    def _filled(self, texts: Sequence[str]) -> str:
        if self.container == "dict":
            names = [leaf.name for leaf in self.leaves]
            pairs = [f'"{k}": {v}' for k, v in zip(names, texts, strict=True)]
            return "{" + ", ".join(pairs) + "}"
        inner = "".join(f"{text}, " for text in texts)
        return f'{{"p": [{inner}]}}' if self.container == "nested" else f"({inner})"


def numbers(leaf: Leaf) -> str:
    """Return source of a leaf's numbers: of a few as they are, else by their seed."""
    if leaf.kind == "key":
        return f"jax.random.key({leaf.seed})"
    values = leaf.values()
    if values.size <= 8:
        return f"np.array({values.tolist()}, np.{_type_name(leaf)})"
    return f"{leaf!r}.values()"


def _type_name(leaf: Leaf) -> str:
    return "bool_" if leaf.dtype == "bool" else leaf.dtype


# endregion
# region Names that networks use

IMPORTS = """\
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, logsumexp
from jax.lax import stop_gradient
"""

HELPERS = {
    "log_cosh": """\
def log_cosh(z):
    return jnp.log(jnp.cosh(z))
""",
    "right_jvp": """\
@jax.custom_jvp
def right_jvp(z):
    return jnp.log(jnp.cosh(z))


right_jvp.defjvps(lambda dz, out, z: jnp.tanh(z) * dz)
""",
    "other_jvp": """\
@jax.custom_jvp
def other_jvp(z):
    return jnp.tanh(z)


other_jvp.defjvps(lambda dz, out, z: 7 * dz)
""",
    "late_jvp": """\
@jax.custom_jvp
def late_jvp(z):
    return jnp.log(jnp.cosh(z))


late_jvp.defjvps(lambda dz, out, z: jnp.where(jnp.abs(z) > 3, 0.5, jnp.tanh(z)) * dz)
""",
    "root": """\
@jax.custom_jvp
def root(z):
    return jnp.sqrt(jnp.abs(z))


root.defjvps(lambda dz, out, z: jnp.sign(z) / (2 * out + (out == 0)) * dz)
""",
    "right_vjp": """\
@jax.custom_vjp
def right_vjp(z):
    return jnp.log(jnp.cosh(z))


right_vjp.defvjp(
    lambda z: (jnp.log(jnp.cosh(z)), z), lambda z, ct: (jnp.tanh(z) * ct,)
)
""",
    "other_vjp": """\
@jax.custom_vjp
def other_vjp(z):
    return 1.0 * z


other_vjp.defvjp(lambda z: (1.0 * z, None), lambda _, ct: (3 * ct,))
""",
    "straight": """\
def straight(z):
    return z + stop_gradient(jnp.round(z) - z)
""",
    "conv": """\
def conv(x, kernel):
    x = jnp.concatenate([x, x[:, : len(kernel) - 1]], 1)[:, None].astype(kernel.dtype)
    return jax.lax.conv(x, kernel.T[:, None], (1,), "VALID").reshape(len(x), -1)
""",
    "norm": """\
def norm(h):
    h = h - h.mean(-1, keepdims=True)
    return h / jnp.sqrt((h**2).mean(-1, keepdims=True) + 0.5)
""",
}


def prelude(text: str) -> str:
    """Return the imports and the helpers that are named."""
    words = set(re.findall(r"\w+", text))
    named = [source for name, source in HELPERS.items() if name in words]
    return "\n\n".join([IMPORTS, *named])


# endregion
# region Scalar functions

ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "log cosh": (
        "log_cosh({z})",
        "jnp.log(2 * jnp.cosh({z}))",
        "(jnp.logaddexp({z}, -{z}) - np.log(2))",
        "(jnp.abs({z}) + jnp.log1p(jnp.exp(-2 * jnp.abs({z}))))",
        "(jax.nn.softplus(2 * {z}) - {z})",
        "jnp.log(jnp.exp({z}) + jnp.exp(-{z}))",
        "(0.5 * jnp.log(jnp.cosh({z}) ** 2))",
        "logsumexp(jnp.stack([{z}, -{z}]), axis=0)",
    ),
    "softplus": (
        "jax.nn.softplus({z})",
        "jnp.logaddexp({z}, 0.0)",
        "jnp.log1p(jnp.exp({z}))",
        "jnp.log(1 + jnp.exp({z}))",
        "(-jax.nn.log_sigmoid(-{z}))",
        "jax.nn.log_sigmoid({z})",
        "jnp.log(jax.nn.sigmoid({z}))",
    ),
    "nearly log cosh": (
        "jnp.log(jnp.cosh({z}) + 0.3)",
        "jnp.log(2 + jnp.cos({z}))",
        "logsumexp(jnp.stack([{z}, -{z}, 0 * {z}]), axis=0)",
        "(log_cosh({z}) + 0.01 * ({z} > 2.5))",
        "(log_cosh({z}) + 0.02 * jnp.exp(-100 * ({z} - 1) ** 2))",
        "jnp.sqrt(1 + {z} ** 2)",
        "(jnp.logaddexp({z}, -{z}) * 0.9 + 0.1 * jnp.abs({z}))",
    ),
    "tanh": (
        "jnp.tanh({z})",
        "(2 * jax.nn.sigmoid(2 * {z}) - 1)",
        "((jnp.exp(2 * {z}) - 1) / (jnp.exp(2 * {z}) + 1))",
        "(jnp.sinh({z}) / jnp.cosh({z}))",
        "jax.nn.sigmoid({z})",
        "(1 / (1 + jnp.exp(-{z})))",
    ),
    "relu": (
        "jax.nn.relu({z})",
        "jnp.maximum({z}, 0)",
        "jnp.where({z} > 0, {z}, 0)",
        "(({z} + jnp.abs({z})) / 2)",
        "jax.nn.leaky_relu({z})",
        "jax.nn.relu6({z})",
        "jax.nn.elu({z})",
        "jax.nn.celu({z})",
        "jax.nn.selu({z})",
        "jnp.abs({z})",
    ),
    "smooth": (
        "jax.nn.gelu({z})",
        "jax.nn.gelu({z}, approximate=False)",
        "jax.nn.silu({z})",
        "jax.nn.mish({z})",
        "jax.nn.soft_sign({z})",
        "jax.nn.squareplus({z})",
        "jnp.sin({z})",
        "jnp.cos({z})",
        "jnp.sinc({z})",
        "jnp.arctan({z})",
        "jnp.arcsinh({z})",
        "erf({z})",
        "jnp.log(1 + {z} ** 2)",
        "jnp.exp(-({z} ** 2))",
        "jnp.exp(0.2 * {z})",
    ),
    "polynomial": (
        "({z} ** 2)",
        "(0.1 * {z} ** 3 - {z})",
        "({z} * ({z} + 1) * 0.3)",
        "(0.05 * {z} ** 4)",
        "jnp.polyval(np.array([0.1, -0.2, 0.5, 0.0]), {z})",
    ),
    "cut": (
        "jnp.minimum(log_cosh({z}), 0.8)",
        "log_cosh(jnp.clip({z}, -1, 1))",
        "jnp.clip({z}, -0.5, 0.7)",
        "jnp.maximum({z}, -0.4)",
        "jnp.minimum(jnp.maximum({z}, -1), log_cosh({z}))",
        "log_cosh(jnp.maximum({z}, 0.3))",
        "jax.nn.hard_tanh({z})",
        "jnp.where(jnp.abs({z}) > 1, jnp.abs({z}) - 0.5, 0.5 * {z} ** 2)",
        "jnp.where({z} > 0.5, log_cosh({z}), jax.nn.softplus({z}))",
        "jnp.where({z} == 0, 0.0, log_cosh({z}))",
    ),
    "step": (
        "(log_cosh({z}) + 0.1 * jnp.sign({z}))",
        "(0.3 * jnp.floor({z}))",
        "({z} * ({z} > 0.2))",
        "jnp.heaviside({z}, 0.5)",
        "(jnp.round(2 * {z}) / 2)",
    ),
    "own jvp": (
        "right_jvp({z})",
        "other_jvp({z})",
        "late_jvp({z})",
        "root({z})",
        "straight({z})",
        "log_cosh(other_jvp({z}))",
    ),
    "own vjp": (
        "right_vjp({z})",
        "log_cosh(other_vjp({z}))",
        "jnp.sin(right_vjp({z}))",
    ),
    "stop in activation": (
        "log_cosh(stop_gradient({z}))",
        "stop_gradient(log_cosh({z}))",
        "(log_cosh({z}) - stop_gradient(0.5 * log_cosh({z})))",
        "log_cosh(jnp.where({z} > 0.8, stop_gradient({z}), {z}))",
        "jnp.where({z} > 3, stop_gradient(jnp.tanh({z})), jnp.tanh({z}))",
        "({z} * stop_gradient(jnp.tanh({z})))",
    ),
}

ENTIRE = {
    "log cosh": (0, 1, 5, 6),
    "softplus": (2, 3),
    "tanh": (0, 2, 3),
    "smooth": (6, 7, 14),
    "polynomial": (0, 1, 2),
    "own jvp": (0, 1),
    "stop in activation": (0, 1, 2, 5),
}
"""Which of these are for complex numbers, too."""

# endregion
# region Drawing


@dataclass(frozen=True)
class Value:
    """Source of an array (B, units), and whether its numbers are complex."""

    text: str
    units: int
    is_complex: bool


@dataclass
class Writer:
    """A network as it is drawn."""

    rng: Rng
    space: Space
    container: str
    dtype: str
    leaves: list[Leaf] = field(default_factory=list[Leaf])
    lines: list[str] = field(default_factory=list[str])
    features: set[str] = field(default_factory=set[str])
    variables: int = 0
    keeps_simple: bool = False
    """Whether nothing but plain layers is drawn, of which much is known."""

    def chance(self, one_in: float) -> bool:
        return bool(self.rng.random() < 1 / one_in)

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def weighted(self, choices: Mapping[Any, float]) -> Any:
        weights = np.array(list(choices.values()))
        found = self.rng.choice(len(weights), p=weights / weights.sum())
        return list(choices)[int(found)]

    def tag(self, feature: str) -> None:
        self.features.add(feature)

    def name(self, value: str) -> str:
        """Give a value a name."""
        self.variables += 1
        self.lines.append(f"h{self.variables} = {value}")
        return f"h{self.variables}"

    # ---- parameters ----

    def leaf(self, *shape: int, kind: str = "real", scale: float | None = None) -> str:
        """Return a parameter, a new one or one that is there."""
        same = [
            k
            for k, leaf in enumerate(self.leaves)
            if leaf.shape == shape and leaf.kind == kind
        ]
        if same and self.chance(6 if shape else 3):
            self.tag("shared leaf" if shape else "shared scalar")
            return self.at(self.pick(same))
        dtypes = {
            "key": "key",
            "boolean": "bool",
            "integer": self.pick(("int32", "int64", "int8")),
        }
        dtype = dtypes.get(kind, self.dtype)
        if kind == "real" and dtype.startswith("complex"):
            dtype = {"complex64": "float32", "complex128": "float64"}[dtype]
        if kind == "complex" and dtype.startswith("float"):
            dtype = {"float32": "complex64", "float64": "complex128"}[dtype]
        size: float = self.pick((0.1, 0.3, 0.3, 0.6, 1.0)) if scale is None else scale
        name = "abcdefghijklmnopqrstuvwxyz"[len(self.leaves) % 26]
        name += str(len(self.leaves) // 26 or "")
        seed = int(self.rng.integers(2**31))
        self.leaves.append(Leaf(name, shape, kind, dtype, size, seed))
        return self.at(len(self.leaves) - 1)

    def at(self, number: int) -> str:
        if self.container == "tuple":
            return f"w[{number}]"
        if self.container == "nested":
            return f'w["p"][{number}]'
        return f'w["{self.leaves[number].name}"]'

    def weights(self, *shape: int, is_complex: bool = False) -> str:
        """Return source of weights, now and then something made of a parameter."""
        if is_complex:
            leaf = self.leaf(*shape, kind="complex")
        else:
            leaf = self.leaf(*shape)
        if self.keeps_simple or not self.chance(3.5):
            return leaf
        real = f"{leaf}.real" if is_complex else leaf
        makers: dict[str, Callable[[], str]] = {
            "stopped leaf": lambda: f"stop_gradient({leaf})",
            "leaf stopped somewhere": lambda: (
                f"jnp.where({real} > {self.pick((0.2, 0.8, 3))}, "
                f"stop_gradient({leaf}), {leaf})"
            ),
            "leaf of a mask": lambda: f"({leaf} * {self.constant_mask(shape)})",
            "leaf of a boolean leaf": lambda: (
                f"jnp.where({self.leaf(*shape, kind='boolean')}, {leaf}, 0)"
            ),
            "function of a leaf": lambda: self.pick(
                ("jnp.tanh({})", "(0.3 * {} ** 2)", "jnp.exp(0.3 * {})", "({} / 3)")
            ).format(leaf),
            "cut leaf": lambda: f"jnp.clip({real}, -0.4, 0.6)",
            "leaf with a rule": lambda: self.pick(
                ("other_jvp({})", "straight({})", "jax.nn.relu({})", "late_jvp(8 * {})")
            ).format(real),
            "leaf with a vjp": lambda: f"other_vjp({real})",
            "leaf stopped by an integer": lambda: (
                f"jnp.where({self.leaf(kind='integer')} > 1, "
                f"stop_gradient({leaf}), {leaf})"
            ),
        }
        if not is_complex:
            makers["random numbers of a key"] = lambda: (
                f"(0.3 * jax.random.normal({self.leaf(kind='key')}, {shape}))"
            )
        rare = {"leaf with a vjp": 0.3, "random numbers of a key": 0.3}
        feature = self.weighted({name: rare.get(name, 1.0) for name in makers})
        self.tag(feature)
        return makers[feature]()

    def scalar(self) -> str:
        return self.leaf(scale=0.5)

    def constant_mask(self, shape: tuple[int, ...]) -> str:
        """Return a constant array of zeros and ones."""
        ones = (self.rng.random(shape) < 0.7).astype(int)
        return f"np.array({ones.tolist()})"

    # ---- layers ----

    def units(self) -> int:
        return self.pick((1, 3, 4, 5, 8))

    def preactivation(self, units: int | None = None, *, real: bool = False) -> Value:
        """Return what is linear in x, mostly."""
        is_complex = not real and self.dtype.startswith("complex") and self.chance(1.4)
        weights = partial(self.weights, is_complex=is_complex)
        layers = LAYERS if units is None else LAYERS_OF_ANY_WIDTH
        kind = self.weighted({name: weight for name, (_, weight) in layers.items()})
        self.tag(kind)
        text, m = layers[kind][0](self, weights, units or self.units())
        if self.chance(2):
            text = f"({text} + {weights(m)})"
        if not self.keeps_simple:
            text = self._around(text)
        if self.chance(12):
            is_complex = False
            text = f"jnp.real({text})"
        return Value(self.name(text), m, is_complex)

    def _around(self, text: str) -> str:
        """Return a preactivation with something more around it, now and then."""
        if not self.chance(6):
            return text
        around = {
            "stopped preactivation": "stop_gradient({})",
            "scaled": "({} * 0.3)",
            "times a scalar": f"({{}} * {self.scalar()})",
            "divided": "({} / 3 - 0.2)",
            "jit inside": "jax.jit(lambda z: z * 0.5)({})",
            "negated": "(-{})",
        }
        feature = self.pick(list(around))
        self.tag(feature)
        return around[feature].format(text)

    def activated(self, value: Value, only: Sequence[str] = ()) -> Value:
        """Return a scalar function of a value."""
        kinds = dict.fromkeys(ACTIVATIONS, 1.0)
        kinds |= {"log cosh": 3.0, "softplus": 1.5, "tanh": 2.0, "own vjp": 0.3}
        if only:
            kinds = {kind: kinds[kind] for kind in only}
        elif self.keeps_simple:
            kinds = {"log cosh": 2.0, "softplus": 1.0}
        if value.is_complex and self.chance(6):
            self.tag("real part")
            value = Value(f"{value.text}.real", value.units, is_complex=False)
        if value.is_complex:
            kinds = {kind: weight for kind, weight in kinds.items() if kind in ENTIRE}
        kind = self.weighted(kinds)
        spellings = ACTIVATIONS[kind]
        if value.is_complex:
            spellings = [spellings[k] for k in ENTIRE[kind]]
        self.tag(kind)
        return replace(value, text=self.pick(spellings).format(z=value.text))

    def summed(self, value: Value) -> str:
        """Return a sum of the units of a value."""
        forms = {"{}.sum(-1)": 3, "{}.mean(-1)": 0.5, "({} @ %s)": 2}
        if self.keeps_simple:
            forms = {"{}.sum(-1)": 1}
        form = self.weighted(forms)
        if "%s" in form:
            form = form.replace("%s", self.weights(value.units))
        return form.format(value.text)

    def condition(self) -> str:
        """Return something that x fulfils or does not, (B,)."""
        n, total = self.space.sites, self.pick(self.space.sums)
        i, j = self.rng.permutation(n)[:2].tolist()
        kinds = {
            "sector": f"(x.sum(-1) == {total})",
            "two sites": f"(x[:, {i}] == x[:, {j}])",
            "half of the sites": f"(x[:, : {n // 2}].sum(-1) >= 1)",
            "neighbours": "((x * jnp.roll(x, 1, -1)).sum(-1) > 0)",
            "one value": f"(x[:, {i}] > 0)",
        }
        kind = self.pick(list(kinds))
        self.tag(f"where: {kind}")
        return kinds[kind]


# ---- layers: source of (B, units), and how many units ----

Weights = Callable[..., str]
Layer = Callable[[Writer, Weights, int], tuple[str, int]]


def _dense(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    return f"(x @ {weights(w.space.sites, m)})", m


def _einsum(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    return f'jnp.einsum("bi,ij->bj", x, {weights(w.space.sites, m)})', m


def _one_hot(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    hot = f"jax.nn.one_hot({w.space.index}, {w.space.values})"
    matrix = weights(w.space.sites * w.space.values, m)
    return f"({hot}.reshape(len(x), -1) @ {matrix})", m


def _subset(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    n = w.space.sites
    count = int(w.rng.integers(1, n))
    kept = sorted(w.rng.permutation(n)[:count].tolist())
    return f"(x[:, np.array({kept})] @ {weights(count, m)})", m


def _sliced(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    n = w.space.sites
    one, count = w.pick(((":, ::2", -(-n // 2)), (":, 1:", n - 1), (":, ::-1", n)))
    return f"(x[{one}] @ {weights(count, m)})", m


def _masked(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    n = w.space.sites
    return f"((x * {w.constant_mask((n,))}) @ {weights(n, m)})", m


def _masked_by_leaf(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    n = w.space.sites
    mask = w.leaf(n, kind="boolean")
    return f"(jnp.where({mask}, x, 0) @ {weights(n, m)})", m


def _summed_embedding(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    return f"{weights(w.space.values, m)}[{w.space.index}].sum(1)", m


def _conv(w: Writer, weights: Weights, _: int) -> tuple[str, int]:
    channels = w.pick((1, 2))
    return f"conv(x, {weights(3, channels)})", channels * w.space.sites


def _near(w: Writer, weights: Weights, _: int) -> tuple[str, int]:
    n = w.space.sites
    near = [[i, (i + 1) % n, (i + 2) % n] for i in range(n)]
    return f"(x[:, np.array({near})] @ {weights(3)})", n


def _permuted(w: Writer, weights: Weights, _: int) -> tuple[str, int]:
    n = w.space.sites
    rows = [w.rng.permutation(n).tolist() for _ in range(3)]
    return f"(x[:, np.array({rows})] @ {weights(n)})", 3


def _embedding(w: Writer, weights: Weights, _: int) -> tuple[str, int]:
    n = w.space.sites
    return f"({weights(w.space.values, n)}[{w.space.index}, np.arange({n})])", n


def _chosen_by_x(w: Writer, weights: Weights, _: int) -> tuple[str, int]:
    n = w.space.sites
    return f"(jnp.where(x > 0, {weights(n)}, {weights(n)}) * 1.0)", n


def _one_site(w: Writer, weights: Weights, m: int) -> tuple[str, int]:
    site = w.pick(range(w.space.sites))
    return f"((x[:, {site}] * 2) * {weights(m)}[:, None]).T", m


def _differences(w: Writer, weights: Weights, _: int) -> tuple[str, int]:
    n = w.space.sites
    return f"((x - jnp.roll(x, 1, -1)) * {weights(n)})", n


LAYERS_OF_ANY_WIDTH: dict[str, tuple[Layer, float]] = {
    "dense": (_dense, 5),
    "einsum": (_einsum, 1),
    "one hot": (_one_hot, 1),
    "sites": (_subset, 1),
    "sliced": (_sliced, 1),
    "mask on x": (_masked, 0.7),
    "boolean mask": (_masked_by_leaf, 0.7),
    "summed embedding": (_summed_embedding, 1),
}

LAYERS: dict[str, tuple[Layer, float]] = {
    **LAYERS_OF_ANY_WIDTH,
    "conv": (_conv, 1),
    "ring": (_near, 1),
    "permuted": (_permuted, 1),
    "embedding": (_embedding, 1),
    "where on x": (_chosen_by_x, 0.7),
    "one site": (_one_site, 0.5),
    "differences": (_differences, 0.7),
}


# ---- parts ----


def _exponential(w: Writer) -> str:
    return w.summed(w.activated(w.preactivation()))


def _simple(w: Writer) -> str:
    """Draw what is known to the last bit: an RBM, a bias, a Jastrow factor."""
    w.keeps_simple = True
    found = w.pick((_exponential, _linear, _bilinear, _tanh_layer))(w)
    w.keeps_simple = False
    return found


def _tanh_layer(w: Writer) -> str:
    hidden = w.activated(w.preactivation(), ["tanh"])
    return f"({hidden.text} @ {w.weights(hidden.units)})"


def _wide(w: Writer) -> str:
    """Draw a network with a first layer that is worth a table."""
    w.tag("wide")
    units = w.pick((128, 144))
    first = w.leaf(w.space.sites, units, scale=0.3)
    hidden = w.name(f"jnp.tanh(x @ {first} + {w.leaf(units)})")
    second = w.leaf(units, 128, scale=0.05)
    again = w.activated(Value(w.name(f"({hidden} @ {second})"), 128, is_complex=False))
    return f"({again.text} @ {w.leaf(128, scale=0.1)})"


def _deep(w: Writer) -> str:
    value = w.preactivation(real=True)
    for _ in range(w.pick((1, 1, 2))):
        hidden = w.name(w.activated(value).text)
        units = w.pick((3, 4))
        text = f"({hidden} @ {w.weights(value.units, units)})"
        if w.chance(3):
            w.tag("residual")
            text, units = f"({hidden} + 0.5 * jnp.sin({hidden}))", value.units
        if w.chance(4):
            w.tag("layer norm")
            text = f"norm({text})"
        value = Value(w.name(text), units, is_complex=False)
    z = value.text
    ends = {
        "sum at the end": w.summed(w.activated(value)),
        "logsumexp": f"logsumexp({z}, axis=-1)",
        "product": f"jnp.tanh({z}).prod(-1)",
        "maximum": f"{z}.max(-1)",
        "softmax": f"(jax.nn.softmax({z}) * {z}).sum(-1)",
        "norm": f"jnp.sqrt(1 + ({z} ** 2).sum(-1))",
    }
    end = w.weighted(dict.fromkeys(ends, 1.0) | {"sum at the end": 3.0})
    w.tag(end)
    return ends[end]


def _linear(w: Writer) -> str:
    n, space = w.space.sites, w.space
    forms = {
        "visible bias": lambda: f"(x @ {w.weights(n)})",
        "sum of a layer": lambda: f"{w.preactivation().text}.sum(-1)",
        "weighted layer": lambda: _weighted(w),
        "table of sites": lambda: (
            f"{w.weights(space.values, n)}[{space.index}, np.arange({n})].sum(-1)"
        ),
        "times a scalar": lambda: f"({w.scalar()} * x.sum(-1))",
    }
    form = w.pick(list(forms))
    w.tag(form)
    return forms[form]()


def _weighted(w: Writer) -> str:
    value = w.preactivation()
    return f"({value.text} @ {w.weights(value.units)})"


def _bilinear(w: Writer) -> str:
    n = w.space.sites
    forms = {
        "einsum": lambda: f'jnp.einsum("bi,ij,bj->b", x, {w.weights(n, n)}, x)',
        "Jastrow": lambda: f"((x @ {w.weights(n, n)}) * x).sum(-1)",
        "product of layers": lambda: _products(w),
        "neighbours": lambda: f"((x * jnp.roll(x, 1, -1)) @ {w.weights(n)})",
        "neighbours by one scalar": lambda: (
            f"({w.scalar()} * (x * jnp.roll(x, 2, -1)).sum(-1))"
        ),
        "squares": lambda: f"(0.3 * {w.preactivation().text} ** 2).sum(-1)",
        "upper triangle": lambda: f"((x @ jnp.triu({w.weights(n, n)}, 1)) * x).sum(-1)",
    }
    form = w.pick(list(forms))
    w.tag(form)
    return forms[form]()


def _products(w: Writer) -> str:
    first = w.preactivation(3)
    return f"({first.text} * {w.preactivation(3).text}).sum(-1)"


def _three_body(w: Writer) -> str:
    n = w.space.sites
    return f'jnp.einsum("bi,bj,bk,ijk->b", x, x, x, 0.3 * {w.weights(n, n, n)})'


def _integer(w: Writer) -> str:
    n = w.space.sites
    s = w.name(
        w.pick(
            (
                "x.sum(-1)",
                "(x * jnp.roll(x, 1, -1)).sum(-1)",
                "(x > 0).sum(-1)",
                "x[:, ::2].sum(-1)",
                f"(x @ np.array({w.rng.integers(-1, 3, n).tolist()}))",
                "x.astype(np.int32).sum(-1)",
            )
        )
    )
    sums = w.pick(w.space.sums)
    forms = {
        "square": lambda: f"(0.1 * {s} ** 2)",
        "square by a scalar": lambda: f"({w.scalar()} * {s} ** 2)",
        "absolute": lambda: f"(jnp.abs({s}) * {w.scalar()})",
        "integer": lambda: f"({s})",
        "table": lambda: f"{w.weights(12)}[jnp.abs({s}).astype(np.int32) % 12]",
        "sector": lambda: f"jnp.where({s} == {sums}, {_exponential(w)}, {_linear(w)})",
        "power": lambda: (
            f"(0.1 * {w.preactivation(3, real=True).text} "
            f"** {w.leaf(kind='integer')}).sum(-1)"
        ),
        "times an integer leaf": lambda: (
            f"((x.astype(np.int32) @ {w.leaf(n, kind='integer')}) * 0.1)"
        ),
        "times a layer": lambda: f"(0.2 * {s} * {_exponential(w)})",
        "activation": lambda: f"log_cosh({s} * {w.scalar()})",
        "activation of sites": lambda: (
            f"log_cosh((x[:, {w.pick(range(n))}] * 2) * {w.weights(4)}[:, None]).sum(0)"
        ),
        "remainder": lambda: f"({w.scalar()} * ({s} % 3))",
        "running sums": lambda: f"(jnp.cumsum(x, -1) ** 2 @ {w.weights(n)})",
    }
    form = w.pick(list(forms))
    w.tag(f"integer: {form}")
    return forms[form]()


def _stopped(w: Writer) -> str:
    part = w.name(w.pick((_exponential, _linear, _bilinear, _tanh_layer))(w))
    forms = {
        "all": lambda: f"stop_gradient({part})",
        "in a sector": lambda: (
            f"jnp.where({w.condition()}, stop_gradient({part}), {part})"
        ),
        "by an integer leaf": lambda: (
            f"jnp.where({w.leaf(kind='integer')} > 1, stop_gradient({part}), {part})"
        ),
        "by a value": lambda: (
            f"jnp.where(jnp.real({part}) > 2, stop_gradient({part}), {part})"
        ),
        "by a boolean leaf": lambda: (
            f"jnp.where({w.leaf(kind='boolean')}, {part}, stop_gradient({part}))"
        ),
        "value alone": lambda: f"({part} - stop_gradient(0.5 * {part}))",
        "nothing of value": lambda: f"({part} + {part} - stop_gradient({part}))",
    }
    form = w.pick(list(forms))
    w.tag(f"stop: {form}")
    return forms[form]()


def _node(w: Writer) -> str:
    n = w.space.sites
    i = w.pick(range(n))
    forms = {
        "where": lambda: f"jnp.where({w.condition()}, 0, -jnp.inf)",
        "where with a part": lambda: (
            f"jnp.where({w.condition()}, {_linear(w)}, -jnp.inf)"
        ),
        "unless": lambda: f"jnp.where({w.condition()}, -jnp.inf, 0.0)",
        "logarithm of zero": lambda: f"jnp.log(1.0 * {w.condition()})",
        "logarithm of a sum": lambda: f"jnp.log(jnp.abs(1.0 * x[:, {i}:].sum(-1)))",
        "table": lambda: (
            f"jnp.array([[0.0, -np.inf] + [0.5] * {w.space.values - 2}])"
            f"[0, ({w.space.index})[:, {i}]]"
        ),
        "by weights": lambda: (
            f"jnp.where({w.preactivation(1, real=True).text}[:, 0] > -0.3, 0, -jnp.inf)"
        ),
    }
    form = w.pick(list(forms))
    w.tag(f"node: {form}")
    return forms[form]()


def _control(w: Writer) -> str:
    n = w.space.sites
    forms = {
        "vmap": lambda: f"jax.vmap(lambda r: jnp.sin(r @ {w.weights(n)}))(x)",
        "scan": lambda: (
            f"jax.lax.scan(lambda c, a: (jnp.tanh(c + x @ a), c.sum()), "
            f"0.0 * (x @ {w.leaf(n)}), {w.leaf(3, n)})[0]"
        ),
        "loop": lambda: (
            f"jax.lax.fori_loop(0, 3, lambda k, c: jnp.sin(c + 0.3), x @ {w.leaf(n)})"
        ),
        "checkpoint": lambda: (
            f"jax.checkpoint(lambda a: log_cosh(x @ a))({w.leaf(n, 4)}).sum(-1)"
        ),
        "cond": lambda: (
            f"jax.lax.cond({w.leaf(kind='integer')} > 1, log_cosh, jnp.sin, "
            f"x @ {w.leaf(n)})"
        ),
        "sorted": lambda: f"(jnp.sort(x @ {w.leaf(n, 4)}) @ {w.leaf(4)})",
        "both signs": lambda: _both_signs(w),
        "Fourier": lambda: (
            f"(jnp.abs(jnp.fft.fft(x * {w.leaf(n)})) ** 2).sum(-1) / {n}"
        ),
        "cond by x": lambda: (
            f"jax.vmap(lambda r: jax.lax.cond(r.sum() > 0, log_cosh, jnp.sin, "
            f"r @ {w.leaf(n)}))(x)"
        ),
    }
    form = w.pick(list(forms))
    w.tag(f"control: {form}")
    return forms[form]()


def _both_signs(w: Writer) -> str:
    leaf = w.leaf(w.space.sites, 4)
    w.lines.append(f"even = lambda x: log_cosh(x @ {leaf} + 0.3).sum(-1)")
    return "jnp.logaddexp(even(x), even(-x))"


PARTS: dict[str, tuple[Callable[[Writer], str], float]] = {
    "simple": (_simple, 3),
    "sum of activations": (_exponential, 5),
    "tanh layer": (_tanh_layer, 1.5),
    "wide layers": (_wide, 1.2),
    "deep": (_deep, 1.5),
    "linear": (_linear, 2),
    "bilinear": (_bilinear, 1.7),
    "three body": (_three_body, 0.4),
    "integer part": (_integer, 1.7),
    "stopped part": (_stopped, 1.5),
    "node": (_node, 1.0),
    "control flow": (_control, 1.2),
}

FACTORS = {
    "as it is": ("{}", 6.0),
    "constant factor": ("({} * 0.5)", 1.0),
    "negative factor": ("(-0.7 * {})", 1.0),
    "divided part": ("({} / 4)", 0.5),
    "constant added": ("({} + 0.7)", 0.5),
    "phase": ("(1j * {})", 0.6),
    "complex factor": ("((0.3 - 0.5j) * {})", 0.4),
    "scalar factor": ("({s} * {})", 0.8),
    "stopped factor": ("(stop_gradient({s}) * {})", 0.3),
    "absolute value": ("jnp.abs({})", 0.2),
    "real part": ("jnp.real({})", 0.2),
    "clipped part": ("jnp.minimum(jnp.real({}), 2.5)", 0.2),
}

COMBINED = {
    "{}": 12.0,
    "(0.5 * ({}))": 1.0,
    "jnp.logaddexp(jnp.real({0}), 0.1)": 0.3,
    "jnp.clip(jnp.real({}), -8, 8)": 0.3,
    "jnp.tanh(0.3 * ({}))": 0.2,
}

FEATURES = (
    *PARTS,
    *(name for name in FACTORS if name != "as it is"),
    *ACTIVATIONS,
    *(f"operator: {name}" for name in SPACES),
    "random numbers of a key",
    "leaf stopped somewhere",
    "leaf with a vjp",
    "not a sum",
    "chunk",
    "small budget",
    "captured",
    "eager",
)
"""What has to be drawn often: see `tests/unit/test_fuzz.py`."""


def draw_network(seed: int, number: int) -> Network:
    """Draw a network: the same one for the same two numbers, whatever else is drawn."""
    rng = np.random.default_rng([seed, number])
    operator = str(rng.choice(list(SPACES), p=OPERATOR_WEIGHTS))
    container = str(rng.choice(["dict", "tuple", "nested"]))
    dtype = str(rng.choice(list(DTYPES), p=list(DTYPES.values())))
    w = Writer(rng, SPACES[operator], container, dtype)
    count = w.weighted({1: 3.0, 2: 4.0, 3: 2.0, 4: 1.0})
    # A first layer is lifted of a network that has no other
    is_wide = w.chance(7)
    parts = [_part(w, "wide layers")] if is_wide else [_part(w) for _ in range(count)]
    combine = w.weighted(COMBINED)
    if combine.startswith("jnp.") and any("node" in part.features for part in parts):
        combine = "{}"  # would not be one any more
    if w.dtype == "float64" and w.chance(10) and w.leaves:
        w.leaves[0] = _single(w.leaves[0])
    return Network(
        operator=operator,
        x_dtype=w.weighted({"int8": 5.0, "int32": 2.0, "float64": 2.0, "float32": 1.0}),
        container=container,
        leaves=tuple(w.leaves),
        parts=tuple(parts),
        combine=combine,
        chunk=w.weighted({None: 8.0, 1: 1.0, 5: 1.0}),
        budget=w.weighted({None: 9.0, 100: 1.0}),
        is_captured=w.chance(12),
        is_eager=w.chance(10),
        seed=int(rng.integers(2**31)),
    )


OPERATOR_WEIGHTS = (0.25, 0.18, 0.15, 0.12, 0.04, 0.13, 0.13)

DTYPES = {"float64": 0.62, "float32": 0.18, "complex128": 0.14, "complex64": 0.06}


def _single(leaf: Leaf) -> Leaf:
    dtype = {"float64": "float32", "complex128": "complex64"}.get(leaf.dtype)
    return leaf if dtype is None else replace(leaf, dtype=dtype)


def _part(w: Writer, only: str = "") -> Part:
    w.lines, w.features = [], set()
    kinds = {name: weight for name, (_, weight) in PARTS.items()}
    kind: str = only or w.weighted(kinds)
    w.tag(kind)
    value = PARTS[kind][0](w)
    if kind != "node":
        factor = w.weighted({name: weight for name, (_, weight) in FACTORS.items()})
        form = FACTORS[factor][0]
        if factor != "as it is":
            w.tag(factor)
        scalar = w.scalar() if "{s}" in form else ""
        value = form.replace("{s}", scalar).format(value)
    return Part(tuple(w.lines), value, frozenset(w.features))


# endregion
