"""Changes of the parts of log psi between x and x', as functions of JAX."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue

from dialects import bt
from dialects.stablehlo import dtype_of, element_of, shape_of
from lowering.energy.extraction import function_named
from lowering.energy.site_affine import is_linear, op_name
from symir.runtime.functions import Function
from symir.runtime.manual_axes import varying_like
from symir.runtime.ops import apply, is_known

# region Functions of the IR and of arrays


def taken(values: Any, *numbers: Any) -> Any:
    """Return values[numbers], where no number is negative or too large.

    That is not looked at: it would take ops. What is read elsewhere is undefined.
    """
    return (
        jnp.asarray(values)
        .at[numbers]
        .get(mode="promise_in_bounds", wrap_negative_indices=False)
    )


def evaluated(function: FuncOp, arguments: Sequence[Any]) -> Any:
    """Return the result of a function of the IR, op by op."""
    block = function.body.block
    values: dict[SSAValue, Any] = dict(zip(block.args, arguments, strict=True))
    for op in block.ops:
        if isinstance(op, ReturnOp):
            return values[op.arguments[0]]
        values[op.results[0]] = apply(op, [values[one] for one in op.operands])
    raise AssertionError("a function without an end")


def unknown_op(function: FuncOp) -> str | None:
    """Return an op that cannot be evaluated, None where all can."""
    for op in function.body.block.ops:
        if not isinstance(op, ReturnOp) and not is_known(op):
            return op_name(op)
    return None


def of_samples(function: FuncOp, leaves: Sequence[Any], x: Any) -> Any:
    """Return the elements of a function of one x, flat, for many x: (C, M)."""

    def of_one(one):
        return evaluated(function, (*leaves, one[None])).reshape(-1)

    return jax.vmap(of_one)(x)


# endregion
# region Parts of log psi

VECTOR = 16
"""Sums that run next to each other, to be added in the end."""

PHASES = 64
"""Complex numbers between 1 and the root of 2 that are multiplied at once."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a sample and a lane, all (P,).

    Attributes:
        sample: the number of the sample in its chunk.
        row: that of its difference in tables; or those of its writes, (P, K), in
            tables of what differs at one site.
        positive: whether it is the difference of the table, or minus that; None where
            it always is.
        connected: x' of the pairs, (P, N), from x of the chunk.
        changes: sites, old and new local values of the pairs, each (P, K): where
            nothing is written, old and new are the same.
    """

    sample: Any
    row: Any
    positive: Any
    connected: Callable[[Any], Any]
    changes: Callable[[], tuple[Any, Any, Any]]

    def added(self, table: Any) -> Any:
        """Return the rows of pairs in a table of differences, (P, ..)."""
        return reduce(jnp.add, self._rows(table))

    def multiplied(self, table: Any) -> Any:
        """Return the rows of pairs in a table of ratios, (P, ..)."""
        return reduce(jnp.multiply, self._rows(table))

    def _rows(self, table: Any) -> list[Any]:
        columns = [self.row] if self.row.ndim == 1 else self.row.T
        return [taken(table, column) for column in columns]

    def sides(self, samples: int) -> tuple[Any, Any]:
        """Return rows of tables of 2 C: those of x, and of its other sign behind these.

        Where the difference is minus that of the table, the two are exchanged.
        """
        here, there = self.sample, self.sample + samples
        if self.positive is None:
            return here, there
        return (
            jnp.where(self.positive, here, there),
            jnp.where(self.positive, there, here),
        )

    def signed(self, value: Any) -> Any:
        return (
            value if self.positive is None else jnp.where(self.positive, value, -value)
        )


@dataclass(frozen=True, eq=False)
class ProductLengths:
    """Lengths of the products that a logarithm is taken of.

    It takes as long as many factors, and long products may overflow. What is laid out
    in memory is for the shortest; products of others are products of these.

    Attributes:
        lengths: the longest first, each a multiple of the last.
        chosen: the number of that which is taken; it may be traced.
    """

    lengths: Sequence[int] = (1,)
    chosen: Any = 0

    def split(self, values: Any, filling: float = 0) -> Any:
        """Return (.., M) as (.., length, blocks): those of the shortest length."""
        return _split(values, self.lengths[-1], filling)

    def joined(self, values: Any, number: int, filling: float = 0) -> Any:
        """Return what is of the shortest length, (.., M), as (.., factors, blocks)."""
        return _split(values, self.lengths[number] // self.lengths[-1], filling)

    def logarithm(self, factors: Any) -> Any:
        """Return the logarithms of the products of all factors (P, length, blocks)."""

        def of_number(number: int) -> Callable[[Any], Any]:
            def logarithm(short: Any) -> Any:
                return log_of_product(self.joined(short, number, 1).prod(axis=1))

            return logarithm

        ways = [of_number(number) for number in range(len(self.lengths))]
        return lax.switch(self.chosen, ways, factors.prod(axis=1))


class Part(Protocol):
    """A part of log psi.

    `table` is computed once per call, from the parameters and the differences of x that
    lanes make, (rows, N); `laid_out`, and `base`, once for each chunk x of shape (C,
    N); and `log_ratio` for pairs of samples and lanes: log psi(x') - log psi(x), (P,).
    `bound` is how large the logarithm of a product of the length of that number can
    become before it is taken.
    """

    def table(self, leaves: Sequence[Any], steps: Steps) -> Any: ...
    def bound(self, table: Any, products: ProductLengths, number: int) -> Any: ...
    def laid_out(self, table: Any, products: ProductLengths) -> Any: ...
    def base(self, leaves: Sequence[Any], x: Any, products: ProductLengths) -> Any: ...
    def log_ratio(self, base: Any, table: Any, pairs: Pairs, x: Any) -> Any: ...


class Written:
    """A part whose functions the compiler has written, for one x and one change."""

    def __init__(self, part: bt.PartAttr, module: ModuleOp, dtype: np.dtype):
        functions = [function_named(module, one.string_value()) for one in part.written]
        self._tables, self._bound, self._cache, self._ratio = map(Function, functions)
        self._dtype = dtype

    def table(self, leaves: Sequence[Any], steps: Steps) -> Any:
        return self._tables(*leaves)

    def bound(self, table: Any, products: ProductLengths, number: int) -> Any:
        return self._bound(*table)[number]

    def laid_out(self, table: Any, products: ProductLengths) -> Any:
        return table, jnp.asarray(products.chosen, np.int32)

    def base(self, leaves: Sequence[Any], x: Any, products: ProductLengths) -> Any:
        cache = self._cache.of_many(x.shape[0], [len(leaves)])
        return leaves, cache(*leaves, x[:, None])

    def log_ratio(self, base: Any, table: Any, pairs: Pairs, x: Any) -> Any:
        (leaves, caches), (tables, length) = base, table
        rows = [pairs.row] if pairs.row.ndim == 1 else list(pairs.row.T)
        fixed = [*leaves, *tables]
        change = [*(row.astype(np.int32) for row in rows)]
        signed = pairs.positive is not None
        change.append(pairs.positive if signed else np.ones((), bool))
        first = len(fixed) + len(caches) + 1
        which = range(first, first + len(rows) + signed)
        entries = x.shape[0], range(len(fixed), first - 1)
        ratio = self._ratio.of_many(pairs.sample.shape[0], which, entries)
        sample = [pairs.sample.astype(np.int32)] if caches else []
        (found,) = ratio(*fixed, *caches, length, *change, *sample)
        return found.astype(jnp.promote_types(found.dtype, self._dtype))


class Lifted:
    """A network whose additive beginning, and a tanh of it, follow from those of x.

    tanh(t + d) = (u q - v) / (u q + v) with u, v = sigmoid(+-2 t), q = exp(2 d).
    """

    def __init__(
        self, part: bt.PartAttr, function: FuncOp, tail: FuncOp, dtype: np.dtype
    ):
        self._scaled = _scaling(part.coefficient, dtype)
        self._function = function
        self._tail = tail
        self._is_tanh = part.applied == "tanh"
        self._shape = shape_of(tail.body.block.args[-1])

    def table(self, leaves: Sequence[Any], steps: Steps) -> Any:
        changes = steps.changes(self._function, leaves)
        return changes, jnp.exp(2 * changes) if self._is_tanh else changes

    def bound(self, table: Any, products: ProductLengths, number: int) -> Any:
        changes, _ = table
        if not self._is_tanh:
            return _unless_infinite(changes)
        # Half of the range for what the activation at x has lost to rounding
        return 4 * jnp.abs(changes).max(initial=0)

    def laid_out(self, table: Any, products: ProductLengths) -> Any:
        return table[1]

    def base(self, leaves: Sequence[Any], x: Any, products: ProductLengths) -> Any:
        z = of_samples(self._function, leaves, x)
        before = self._rest(leaves, jnp.tanh(z) if self._is_tanh else z)
        if not self._is_tanh:
            return leaves, before, z
        return leaves, before, jnp.concatenate(_sigmoids(2 * z))

    def _rest(self, leaves: Sequence[Any], values: Any) -> Any:
        def of_one(one):
            return evaluated(self._tail, (*leaves, one.reshape(self._shape))).reshape(
                ()
            )

        return jax.vmap(of_one)(values)

    def log_ratio(self, base: Any, table: Any, pairs: Pairs, x: Any) -> Any:
        leaves, before, state = base
        change = (pairs.multiplied if self._is_tanh else pairs.added)(table)
        if self._is_tanh:
            values = self._tanh(state, change, pairs)
        elif pairs.positive is None:
            values = taken(state, pairs.sample) + change
        else:
            sign = jnp.where(pairs.positive, 1, -1).astype(change.real.dtype)
            values = taken(state, pairs.sample) + sign[:, None] * change
        after = self._scaled(self._rest(leaves, values))
        return difference(after, self._scaled(taken(before, pairs.sample)))

    def _tanh(self, state: Any, ratio: Any, pairs: Pairs) -> Any:
        samples = state.shape[0] // 2
        here, there = pairs.sides(samples)
        up, down = taken(state, here) * ratio, taken(state, there)
        if pairs.positive is None:
            return (up - down) / (up + down)
        # Of -d it is that of -t, with the other sign
        sign = jnp.where(pairs.positive, 1, -1).astype(ratio.real.dtype)
        return sign[:, None] * (up - down) / (up + down)


class Rational:
    """A weighted sum of tanh of an additive function, which are never evaluated at x'.

    With u, v = sigmoid(+-2 t) and q = exp(2 d), tanh(t + d) - tanh(t) is
    2 u v (q - 1) / (u q + v). Of -d it is that of -t, with the other sign. A division
    takes as long as several products, so that two fractions are added by one.
    """

    def __init__(
        self, part: bt.PartAttr, function: FuncOp, tail: FuncOp, dtype: np.dtype
    ):
        self._scaled = _scaling(part.coefficient, dtype)
        self._function = function
        self._tail = tail

    def table(self, leaves: Sequence[Any], steps: Steps) -> Any:
        changes = steps.changes(self._function, leaves)
        return changes, jnp.exp(2 * changes), self._weights(leaves)

    def _weights(self, leaves: Sequence[Any]) -> Any:
        """Return what the elements are multiplied by, (M,)."""
        values = self._tail.body.block.args[-1]
        dtype = dtype_of(element_of(values))

        def tail(values):
            return evaluated(self._tail, (*leaves, values)).reshape(())

        # Both vary over the axes that parameters do: nothing is summed over devices
        zeros = varying_like(jnp.zeros(shape_of(values), dtype), leaves)
        constant, transposed = jax.vjp(tail, zeros)
        one = varying_like(jnp.ones((), dtype), [constant])
        return transposed(one)[0].reshape(-1)

    def bound(self, table: Any, products: ProductLengths, number: int) -> Any:
        changes, _, weights = table
        # Two denominators of at most e^(2 |d|), and two numerators at most 2 w of these
        below = 4 * jnp.abs(changes).max(initial=0)
        above = jnp.log1p(jnp.abs(weights).max(initial=0))
        # Weights may be of a wider type, in which the denominators are not
        return below + above.astype(below.dtype)

    def laid_out(self, table: Any, products: ProductLengths) -> Any:
        return _halves(table[1], 1)

    def base(self, leaves: Sequence[Any], x: Any, products: ProductLengths) -> Any:
        z = of_samples(self._function, leaves, x)
        up, down = _sigmoids(2 * z)
        slopes = 2 * up * down * self._weights(leaves)[None]
        # Of the filling the sigmoids are halves, so that nothing is divided by 0
        sides = _halves(jnp.concatenate([up, down]), 0.5)
        return sides, _halves(slopes)

    def log_ratio(self, base: Any, table: Any, pairs: Pairs, x: Any) -> Any:
        sides, slopes = base
        samples = slopes[0].shape[0]
        up, down = pairs.sides(samples)
        fractions = []
        for side, slope, ratios in zip(sides, slopes, table, strict=True):
            ratio = pairs.multiplied(ratios)
            above = taken(slope, pairs.sample) * (ratio - 1)
            fractions.append((above, taken(side, up) * ratio + taken(side, down)))
        (one, below), (other, other_below) = fractions
        inverse = 1 / (below * other_below)
        terms = [one * other_below * inverse, other * below * inverse]
        # On CPUs a loop that adds is not vectorised where it reads so many arrays
        sums = _sums(terms) if pairs.row.ndim == 1 else [_written_sum(sum(terms))]
        return self._scaled(pairs.signed(sum(sums)))


class Tableless:
    """A part that is found without a table, and is always safe."""

    def table(self, leaves: Sequence[Any], steps: Any) -> Any:
        return None

    def bound(self, table: Any, products: ProductLengths, number: int) -> Any:
        return jnp.zeros(())

    def laid_out(self, table: Any, products: ProductLengths) -> Any:
        return table


class Network(Tableless):
    """Log psi, or a part of it, evaluated at x'."""

    def __init__(
        self,
        coefficient: complex,
        of: Callable[[Sequence[Any], Any], Any],
        dtype: np.dtype,
    ):
        self.dtype = dtype
        self._scaled = _scaling(coefficient, dtype)
        self._of = of

    def base(self, leaves: Sequence[Any], x: Any, products: ProductLengths) -> Any:
        return leaves, self._of(leaves, x)

    def log_ratio(self, base: Any, table: Any, pairs: Pairs, x: Any) -> Any:
        leaves, before = base
        after = self._scaled(self._of(leaves, pairs.connected(x)))
        return difference(after, self._scaled(taken(before, pairs.sample)))


def _split(values: Any, units: int, filling: float = 0) -> Any:
    """Return (.., M) as (.., units, blocks), to be combined over the middle axis.

    The last axis is vectorised; a sum or a product over it would not be.
    """
    units = max(1, min(units, max(1, values.shape[-1]) // 8))
    return _rows(values, units, filling)


def _vectors(values: Any, filling: float = 0) -> Any:
    """Return (.., M) as (.., M / VECTOR, VECTOR), to be added over the middle axis.

    That has two rows at least: otherwise there is no loop, see `_sums`.
    """
    return _rows(values, max(2, -(-values.shape[-1] // VECTOR)), filling)


def _rows(values: Any, count: int, filling: float) -> Any:
    """Return (.., M) as so many rows of equal length, with a filling at the end."""
    length = -(-max(1, values.shape[-1]) // count)
    missing = count * length - values.shape[-1]
    padded = jnp.pad(values, ((0, 0), (0, missing)), constant_values=filling)
    return padded.reshape(-1, count, length)


def _halves(values: Any, filling: float = 0) -> tuple[Any, Any]:
    """Return the first and the second half of (.., M), each as vectors."""
    middle = -(-values.shape[-1] // 2)
    missing = 2 * middle - values.shape[-1]
    padded = jnp.pad(values, ((0, 0), (0, missing)), constant_values=filling)
    return _vectors(padded[:, :middle], filling), _vectors(padded[:, middle:], filling)


def _sums(terms: Sequence[Any]) -> list[Any]:
    """Return the sum of all elements of each row of some arrays, (P, ..) of vectors.

    One loop adds all of them. `sum` of one array goes to a library, with what it is
    computed from written before, and takes six times as long.
    """
    zeros = tuple(jnp.zeros((), term.dtype) for term in terms)

    def added(some, others):
        return tuple(map(jnp.add, some, others))

    sums = lax.reduce(tuple(terms), zeros, added, (1,))
    return [reduce(jnp.add, list(one.T)) for one in sums]


def _written_sum(values: Any) -> Any:
    """Return the sum of all elements of each row (P, ..), which is written before."""
    flat = values.reshape(values.shape[0], -1)
    ones = jnp.ones(flat.shape[1], flat.dtype)
    return jnp.matmul(flat, ones, precision="highest")


def log_of_product(values: Any) -> Any:
    """Return the logarithm of the products of rows (P, M), up to 2 pi i, without them.

    Of complex numbers the sizes are taken apart, and the rest is multiplied: what
    takes long is an angle, and this leaves one for each row.
    """
    if not jnp.iscomplexobj(values):
        return jnp.log(values).sum(axis=1)
    size = jnp.maximum(jnp.abs(values.real), jnp.abs(values.imag))
    has_phase = (size > 0) & (size < jnp.inf)
    phases = jnp.where(has_phase, values / jnp.where(has_phase, size, 1), 1)
    groups = max(1, -(-values.shape[1] // PHASES))
    length = -(-values.shape[1] // groups)
    missing = groups * length - values.shape[1]
    phases = jnp.pad(phases, ((0, 0), (0, missing)), constant_values=1)
    turns = phases.reshape(-1, length, groups).prod(axis=1)
    return jnp.log(size).sum(axis=1) + jnp.log(turns).sum(axis=1)


def _unless_infinite(table: Any) -> Any:
    """Return 0, or infinity where a table cannot be used: log psi is infinite at x'."""
    return jnp.where(jnp.isfinite(table).all(), 0.0, jnp.inf)


def difference(after: Any, before: Any) -> Any:
    """Return after - before; a node of psi at x' is a ratio of 0, whatever is at x."""
    return _or_node(after - before, _is_node(after))


def added(terms: Sequence[Any]) -> Any:
    """Return the sum of some log ratios; a node of any at x' is one, whatever is at x.

    Infinities of two signs are those of one part at x, and of another one at x'.
    """
    is_node = reduce(jnp.logical_or, map(_is_node, terms))
    return _or_node(reduce(jnp.add, terms), is_node)


def _is_node(logarithm: Any) -> Any:
    return jnp.isneginf(logarithm.real)


def _or_node(log_ratio: Any, is_node: Any) -> Any:
    return jnp.where(is_node, jnp.full_like(log_ratio, -jnp.inf), log_ratio)


def _scaling(coefficient: complex, dtype: np.dtype) -> Callable[[Any], Any]:
    """Return what multiplies by a number in the type of log psi, which may be wider."""
    number = coefficient if coefficient.imag else coefficient.real

    def scaled(value: Any) -> Any:
        return number * value.astype(jnp.promote_types(value.dtype, dtype))

    return scaled


def _sigmoids(z: Any) -> tuple[Any, Any]:
    """Return 1 / (1 + e^-z) and 1 / (1 + e^z), without overflow."""
    if not jnp.iscomplexobj(z):
        return jax.nn.sigmoid(z), jax.nn.sigmoid(-z)
    positive = z.real > 0
    small = jnp.exp(jnp.where(positive, -z, z))
    larger, smaller = 1 / (1 + small), small / (1 + small)
    up = jnp.where(positive, larger, smaller)
    return up, jnp.where(positive, smaller, larger)


@dataclass(frozen=True, eq=False)
class Steps:
    """The differences of x that lanes make, and what a function makes of them.

    Attributes:
        rows: (rows, N), x' - x.
        values: the local values that a site can have.
        dtype: that of x.
        writes: sites, old and new values, each (rows, K), where they are known; -1 for
            no site.
    """

    rows: np.ndarray
    values: tuple[float, ...]
    dtype: np.dtype
    writes: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def changes(self, function: FuncOp, leaves: Sequence[Any]) -> Any:
        """Return how an additive function changes, (rows, M)."""
        if is_linear(function):

            def of_one(x):
                return evaluated(function, (*leaves, x[None])).reshape(-1)

            def of_step(step):
                return jax.jvp(of_one, (jnp.zeros_like(step),), (step,))[1]

            dtype = self.dtype if self.dtype.kind == "f" else None
            return jax.vmap(of_step)(jnp.asarray(self.rows, dtype))
        table, values = self._by_value(function, leaves), np.asarray(self.values)
        if self.writes is None:
            # Of two values the step says which
            weights = self.rows / (values[1] - values[0])
            raised = table[:, 1] - table[:, 0]
            weights = jnp.asarray(weights).astype(raised.dtype)
            return jnp.matmul(weights, raised, precision="highest")
        sites, old, new = self.writes
        before, after = (
            np.abs(one[..., None] - values).argmin(axis=-1) for one in (old, new)
        )
        changes = table[sites, after] - table[sites, before]
        return jnp.where((sites >= 0)[..., None], changes, 0).sum(axis=1)

    def largest(self, function: FuncOp, leaves: Sequence[Any]) -> Any:
        """Return a bound on the size of all elements of an additive function."""
        table = self._by_value(function, leaves)
        lowest = table[:1, :1]
        farthest = jnp.abs(table - lowest).max(axis=1, initial=0).sum(axis=0)
        return (jnp.abs(lowest[0, 0]) + farthest).max(initial=0)

    def _by_value(self, function: FuncOp, leaves: Sequence[Any]) -> Any:
        """Return a function of x with each value at each site, (N, V, M).

        At all other sites is the first of the values.
        """
        size = self.rows.shape[1]
        configurations = np.full((size, len(self.values), size), self.values[0])
        here = np.arange(size)
        configurations[here, :, here] = self.values
        flat = configurations.reshape(-1, size).astype(self.dtype)
        return of_samples(function, leaves, flat).reshape(size, len(self.values), -1)


# endregion
