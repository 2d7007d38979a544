"""Parts of log psi as functions of the module: tables, cache, ratio, commit and bound.

They are written for one sample x and one change of it; `stablehlo-batch` makes them
functions of many. A change is a row of the tables, or one for each of its writes, and
a sign: of rows that are shared by a change and its opposite.

| function | arguments | results |
|---|---|---|
| tables | parameters | tables |
| bound | tables | for each length of a product, the largest logarithm |
| cache | parameters, x | caches |
| ratio | parameters, tables, caches, length, row, sign | log psi(x') - log psi(x) |
| commit | as ratio | caches of x' |
| ratio of a group | as ratio, of rows of that group | as ratio |

What commit returns need not be the cache of x', but all ratios are those of it, within
the rounding of each change that was committed. Of an energy nothing is committed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from xdsl.dialects.builtin import (
    ComplexType,
    Float32Type,
    Float64Type,
    i1,
    i32,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import (
    dot,
    dtype_of,
    element_of,
    reduce_each,
    shape_of,
    tensor,
)
from lowering.arrays import Array, array, chosen, concatenated
from lowering.energy.activations import ACTIVATIONS
from lowering.energy.differences import Steps, by_value, changes
from lowering.energy.transposition import weights_of
from lowering.functions import Arrays, applied, function_of
from lowering.rewriting import Inserter

VECTOR = 16
"""Sums that run next to each other, to be added in the end."""

PHASES = 64
"""Complex numbers between 1 and the root of 2 that are multiplied at once."""

SMALLEST = 8
"""Blocks of a product, at least: they are what is vectorised."""


@dataclass(frozen=True)
class PartFunctions:
    """The functions of a part, each of which is in no module yet."""

    tables: FuncOp
    bound: FuncOp
    cache: FuncOp
    ratio: FuncOp
    commit: FuncOp
    ratios: tuple[FuncOp, ...] = ()

    @property
    def all(self) -> tuple[FuncOp, ...]:
        own = self.tables, self.bound, self.cache, self.ratio, self.commit
        return *own, *self.ratios


@dataclass(frozen=True)
class Change:
    """A change of one x, as rows of tables.

    Attributes:
        rows: the number of its row, or of one for each of its writes.
        sign: a predicate: whether it is what the row says, or the opposite of that;
            None where it always is.
    """

    rows: Arrays
    sign: Array | None

    def added(self, table: Array) -> Array:
        """Return the row of a table of differences."""
        return reduce(Array.__add__, [table.at(row) for row in self.rows])

    def multiplied(self, table: Array) -> Array:
        """Return the row of a table of ratios."""
        return reduce(Array.__mul__, [table.at(row) for row in self.rows])

    def sides(self, both: Array) -> tuple[Array, Array]:
        """Return entry 0 of two and entry 1, exchanged for an opposite change."""
        if self.sign is None:
            return both.entry(0), both.entry(1)
        other = self.sign.astype(i32)
        return both.at(1 - other), both.at(other)

    def both(self, here: Array, there: Array) -> Array:
        """Return what has these sides."""
        one, other = (side.reshape(1, *side.shape) for side in (here, there))
        forth = concatenated([one, other], 0)
        if self.sign is None:
            return forth
        return self.sign.where(forth, concatenated([other, one], 0))

    def moved(self, both: Array, ratios: Array) -> Array:
        """Return the sigmoids of +-(z + d), by those of +-z and by exp(d)."""
        here, there = self.sides(both)
        here = here * ratios
        total = here + there
        return self.both(here / total, there / total)

    def signed(self, value: Array) -> Array:
        return value if self.sign is None else self.sign.where(value, -value)


@dataclass(frozen=True)
class Given:
    """What a ratio is found from: `length` is the number of a length of products."""

    leaves: Arrays
    tables: Arrays
    caches: Arrays
    length: Array
    change: Change


@dataclass(frozen=True)
class Setting:
    """What the functions of a part are written for.

    Attributes:
        steps: the changes that tables have rows of.
        writes: the number of rows of one change; None where it is one row.
        signed: whether a change may be the opposite of its row.
        lengths: lengths of the products that a logarithm is taken of, longest first.
        log: the element type of log psi.
        groups: the number of the group of each row, where they are in such.
    """

    steps: Steps
    writes: int | None
    signed: bool
    lengths: tuple[int, ...]
    log: Attribute
    groups: tuple[int, ...] = ()

    # region Products

    def split(self, values: Array, filling: float) -> Array:
        """Return (.., M) as (.., length, blocks), of the shortest length."""
        return _split(values, self.lengths[-1], filling)

    def joined(self, values: Array, number: int, filling: float) -> Array:
        """Return products of the shortest length, (.., M), as (.., factors, blocks)."""
        return _split(values, self.lengths[number] // self.lengths[-1], filling)

    def logarithm(self, factors: Array, length: Array) -> Array:
        """Return the logarithm of the product of all factors (length, blocks)."""
        short = factors.prod(0)
        ways = [self._of_length(short, n) for n in range(len(self.lengths))]
        return chosen(length, ways)

    def _of_length(self, short: Array, number: int) -> Callable[[Inserter], Array]:
        def logarithm(insert: Inserter) -> Array:
            inside = Array(short.value, insert)
            return log_of_product(self.joined(inside, number, 1).prod(0))

        return logarithm

    # endregion


class Draft(ABC):
    """The functions of a part of log psi, in terms of arrays.

    Attributes:
        part: its factor, activation and so on.
        functions: the functions that it is made of.
    """

    def __init__(self, part: bt.PartAttr, functions: Sequence[FuncOp], own: Setting):
        self.part = part
        self.functions = functions
        self.own = own

    @abstractmethod
    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        """Return what changes of x need, once for all x."""

    @abstractmethod
    def bound(self, tables: Arrays) -> Arrays:
        """Return the largest logarithm of a product, for each length."""

    @abstractmethod
    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        """Return what is kept of one x."""

    @abstractmethod
    def ratio(self, given: Given) -> Array:
        """Return log psi(x') - log psi(x) of this part, without its factor."""

    @abstractmethod
    def commit(self, given: Given) -> Arrays:
        """Return what is kept of x', of the same types as `cache` has."""

    def ratios_of_groups(self) -> Sequence[Callable[[Given], Array]]:
        """Return what does as `ratio`, and with less, for the rows of each group."""
        return []

    def log_ratio(self, given: Given) -> Array:
        """Return log psi(x') - log psi(x) of this part."""
        return self.scaled(self.ratio(given))

    def scaled(self, value: Array) -> Array:
        """Return a value times the factor, in the type of log psi if that is wider."""
        return scaled(value, self.part.coefficient, self.own.log)

    def written(self) -> PartFunctions:
        """Return the functions of the part."""
        *kinds, x = self.functions[0].body.block.arg_types
        tables = function_of("tables", kinds, self.tables)
        found = _results(tables)
        count = len(kinds)
        bound = function_of("bound", found, lambda _, own: self.bound(own))
        cache = function_of(
            "cache", [*kinds, x], lambda _, own: self.cache(own[:count], own[count])
        )
        kept = _results(cache)
        rows = self.own.writes or 1
        change = [tensor(i32)] * (1 + rows) + [tensor(i1)]

        def given(arguments: Arrays) -> Given:
            ends = np.cumsum([count, len(found), len(kept), 1, rows])
            leaves, own, caches, (length,), numbers, (sign,) = (
                list(part) for part in np.split(_objects(arguments), ends)
            )
            of = Change(numbers, sign if self.own.signed else None)
            return Given(leaves, own, caches, length, of)

        of_change = [*kinds, *found, *kept, *change]
        ratio = function_of(
            "ratio", of_change, lambda _, own: [self.log_ratio(given(own))]
        )
        commit = function_of(
            "commit", of_change, lambda _, own: self.commit(given(own))
        )

        def of_group(number: int, of: Callable[[Given], Array]) -> FuncOp:
            def found(_: Inserter, own: Arrays) -> Arrays:
                return [self.scaled(of(given(own)))]

            return function_of(f"ratio{number}", of_change, found)

        ratios = (of_group(*one) for one in enumerate(self.ratios_of_groups()))
        return PartFunctions(tables, bound, cache, ratio, commit, tuple(ratios))


def scaled(value: Array, coefficient: complex, log: Attribute) -> Array:
    """Return a multiple of a value, in the type of log psi if that is wider."""
    number = coefficient if coefficient.imag else coefficient.real
    dtype = np.promote_types(dtype_of(value.element), dtype_of(log))
    if coefficient.imag:
        dtype = np.promote_types(dtype, np.complex64)
    value = value.astype(ELEMENTS[dtype])
    return value if number == 1 else number * value


def _objects(values: Sequence[object]) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _results(function: FuncOp) -> list[Attribute]:
    return list(function.function_type.outputs)


# region Parts


class Linear(Draft):
    """The sum of all elements of an additive function."""

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        return [changes(insert, self.functions[0], leaves, self.own.steps).sum(1)]

    def bound(self, tables: Arrays) -> Arrays:
        return _same(_unless_infinite(tables[0]), self.own)

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        return []

    def ratio(self, given: Given) -> Array:
        return given.change.signed(given.change.added(given.tables[0]))

    def commit(self, given: Given) -> Arrays:
        return []


class Exponential(Draft):
    """A sum of logarithms of exponential sums over the elements of a function.

    With w = sigmoid(s z) and q = exp(s d), softplus(s (z + d)) - softplus(s z) is
    log(1 - w + w q): all terms are positive where they are real, so nothing cancels.
    Of -d it is log(w + (1 - w) q) - s d. Other activations are sums of such softplus,
    and a linear part: log cosh t = softplus(2 t) - t - log 2.
    """

    def __init__(self, part: bt.PartAttr, functions: Sequence[FuncOp], own: Setting):
        super().__init__(part, functions, own)
        activation = ACTIVATIONS[part.applied or ""]
        self._terms, self._linear = activation.terms, activation.linear

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        found = changes(insert, self.functions[0], leaves, self.own.steps)
        total = found.sum(1)
        forth = self._linear * total
        back = -sum(k * s for k, s in self._terms) * total - forth
        offsets = concatenated([back.reshape(1, -1), forth.reshape(1, -1)], 0)
        steepest = max(abs(s) for _, s in self._terms)
        sizes = self.own.split(steepest * found.real.abs(), 0).sum(1)
        ratios = [self.own.split((s * found).exp(), 1) for _, s in self._terms]
        return [offsets, sizes, *ratios]

    def bound(self, tables: Arrays) -> Arrays:
        sizes = tables[1]
        return [
            self.own.joined(sizes, n, 0).sum(1).max(1, 0).max(0, 0)
            for n in range(len(self.own.lengths))
        ]

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        z = applied(x.insert, self.functions[0], [*leaves, x]).reshape(1, -1)
        # Of the filling the factors are 1: one half of each side, and a ratio of 1
        sides = (concatenated(_sigmoids(s * z), 0) for _, s in self._terms)
        return [self.own.split(both, 0.5) for both in sides]

    def ratio(self, given: Given) -> Array:
        change, (offsets, _, *ratios) = given.change, given.tables
        if change.sign is None:
            total = change.added(offsets.slice(1, 2).reshape(-1))
        else:
            (row,) = change.rows
            total = offsets.at(change.sign.astype(i32)).at(row)
        for (k, _), sides, table in zip(self._terms, given.caches, ratios, strict=True):
            here, there = change.sides(sides)
            factors = there + here * change.multiplied(table)
            total = k * self.own.logarithm(factors, given.length) + total
        return total

    def commit(self, given: Given) -> Arrays:
        change, (_, _, *ratios) = given.change, given.tables
        return [
            change.moved(sides, change.multiplied(table))
            for sides, table in zip(given.caches, ratios, strict=True)
        ]


class Bilinear(Draft):
    """The sum of the products of two additive functions, element by element.

    (y + d) (z + e) - y z = y e + d z + d e, with the sums of d e for each difference.
    Of the difference -d and -e the first two change their sign.
    """

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        steps = self.own.steps
        both = [changes(insert, one, leaves, steps) for one in self.functions]
        largest = [self._largest(one, leaves, insert) for one in self.functions]
        sizes = [
            change.abs().max(1, 0).max(0, 0).maximum(bound)
            for change, bound in zip(both, largest, strict=True)
        ]
        product = (both[0] * both[1]).sum(1)
        return [*map(_vectors, both), product, *sizes]

    def _largest(self, function: FuncOp, leaves: Arrays, insert: Inserter) -> Array:
        """Return a bound on the size of all elements of an additive function."""
        table = by_value(insert, function, leaves, self.own.steps)
        _, values, units = table.shape
        lowest = table.slice(0, 1).reshape(values, units).slice(0, 1)
        farthest = (table - lowest.reshape(1, 1, units)).abs().max(1, 0).sum(0)
        return (lowest.reshape(units).abs() + farthest).max(0, 0)

    def bound(self, tables: Arrays) -> Arrays:
        """Return infinity where a product, or a sum of them, could overflow."""
        one, other = tables[3:]
        _, count, length = tables[0].shape
        # With room for the sums over units, and over the writes of a lane
        room = np.finfo(dtype_of(one.element)).max / (2**16 * count * length)
        # NaN compares false, hence counts as unsafe
        is_safe = (one.log() + other.log()).compared("LT", float(np.log(room)))
        is_safe = is_safe & (one + other).is_finite()
        zero = one.like(0)
        return _same(is_safe.where(zero, np.inf), self.own)

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        found = (applied(x.insert, one, [*leaves, x]) for one in self.functions)
        return [_vectors(one.reshape(1, -1)).entry(0) for one in found]

    def ratio(self, given: Given) -> Array:
        change, (own, other) = given.change, given.caches
        d, e = (change.added(table) for table in given.tables[:2])
        terms = [own * e, d * other]
        if len(change.rows) > 1:
            terms.append(d * e)
        one, other_one, *both = _sums(terms)
        product = both[0] if both else given.tables[2].at(change.rows[0])
        return change.signed(one + other_one) + product

    def commit(self, given: Given) -> Arrays:
        change = given.change
        return [
            value + change.signed(change.added(table))
            for value, table in zip(given.caches, given.tables[:2], strict=True)
        ]


class Rational(Draft):
    """A weighted sum of tanh of an additive function, which are never evaluated at x'.

    With u, v = sigmoid(+-2 t) and q = exp(2 d), tanh(t + d) - tanh(t) is
    2 u v (q - 1) / (u q + v). Of -d it is that of -t, with the other sign. A division
    takes as long as several products, so that two fractions are added by one.
    """

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        found = changes(insert, self.functions[0], leaves, self.own.steps)
        weights = self._weights(insert, leaves)
        # Two denominators of at most e^(2 |d|), and two numerators at most 2 w of these
        below = 4 * _largest(found)
        # Weights may be of a wider type, in which the denominators are not
        bound = below + weights.abs().max(0, 0).log1p().astype(below.element)
        return [*_halves((2 * found).exp(), 1), bound, *_halved(weights)]

    def _weights(self, insert: Inserter, leaves: Arrays) -> Array:
        """Return what the elements are multiplied by, (M,)."""
        return weights_of(insert, self.functions[1], leaves).reshape(-1)

    def bound(self, tables: Arrays) -> Arrays:
        return _same(tables[2], self.own)

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        z = applied(x.insert, self.functions[0], [*leaves, x]).reshape(1, -1)
        # Of the filling the sigmoids are halves, so that nothing is divided by 0
        sides = _halves(concatenated(_sigmoids(2 * z), 0), 0.5)
        return self._kept(sides, _halved(self._weights(x.insert, leaves)))

    def _kept(self, sides: Arrays, weights: Arrays) -> Arrays:
        """Return sigmoids, and the slopes of tanh times weights."""
        up_and_down = (map(both.entry, (0, 1)) for both in sides)
        slopes = [
            (2 * up * down).astype(one.element) * one
            for (up, down), one in zip(up_and_down, weights, strict=True)
        ]
        return [*sides, *slopes]

    def ratio(self, given: Given) -> Array:
        change, caches = given.change, given.caches
        fractions: list[tuple[Array, Array]] = []
        for table, sides, slopes in zip(
            given.tables[:2], caches[:2], caches[2:], strict=True
        ):
            ratios = change.multiplied(table)
            here, there = change.sides(sides)
            above = slopes * (ratios - 1).astype(slopes.element)
            below = (here * ratios + there).astype(slopes.element)
            fractions.append((above, below))
        (one, below), (other, other_below) = fractions
        inverse = 1 / (below * other_below)
        one, other = one * other_below * inverse, other * below * inverse
        if len(change.rows) > 1:
            # On CPUs a loop that adds is not vectorised where it reads so many arrays
            return _written_sum(one + other)
        return change.signed(reduce(Array.__add__, _sums([one, other])))

    def commit(self, given: Given) -> Arrays:
        change, caches = given.change, given.caches
        moved = [
            change.moved(sides, change.multiplied(table))
            for sides, table in zip(caches[:2], given.tables[:2], strict=True)
        ]
        return self._kept(moved, given.tables[3:])


class Lifted(Draft):
    """A network whose additive beginning, and a tanh of it, follow from those of x.

    tanh(t + d) = (u q - v) / (u q + v) with u, v = sigmoid(+-2 t), q = exp(2 d). Of -d
    it is that of -t, with the other sign.
    """

    @property
    def _is_tanh(self) -> bool:
        return self.part.applied == "tanh"

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        found = changes(insert, self.functions[0], leaves, self.own.steps)
        if not self._is_tanh:
            return [found, _unless_infinite(found.reshape(-1))]
        # Half of the range for what the activation at x has lost to rounding
        return [(2 * found).exp(), 4 * _largest(found)]

    def bound(self, tables: Arrays) -> Arrays:
        return _same(tables[1], self.own)

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        z = applied(x.insert, self.functions[0], [*leaves, x]).reshape(1, -1)
        before = self._rest(leaves, z.tanh() if self._is_tanh else z)
        if not self._is_tanh:
            return [before, z.entry(0)]
        return [before, concatenated(_sigmoids(2 * z), 0)]

    def _rest(self, leaves: Arrays, values: Array) -> Array:
        """Return what follows, one number with the factor, of the elements."""
        tail = self.functions[1]
        kind = tail.body.block.args[-1]
        given = values.astype(element_of(kind)).reshape(*shape_of(kind))
        return self.scaled(applied(values.insert, tail, [*leaves, given]).reshape())

    def ratio(self, given: Given) -> Array:
        """Return what the elements are at x'."""
        change, (table, _), (_, state) = given.change, given.tables, given.caches
        if not self._is_tanh:
            return state + change.signed(change.added(table))
        here, there = change.sides(state)
        up = here * change.multiplied(table)
        return change.signed((up - there) / (up + there))

    def log_ratio(self, given: Given) -> Array:
        after = self._rest(given.leaves, self.ratio(given))
        # A node of psi at x' is one, whatever is at x
        is_node = after.real.compared("EQ", -np.inf)
        return is_node.where(after.like(-np.inf), after - given.caches[0])

    def commit(self, given: Given) -> Arrays:
        values, change = self.ratio(given), given.change
        if self._is_tanh:
            (table, _), (_, both) = given.tables, given.caches
            state = change.moved(both, change.multiplied(table))
        else:
            state = values
        return [self._rest(given.leaves, values), state]


# endregion
# region Arrays


def _sums(terms: Sequence[Array]) -> Arrays:
    """Return the sums of all elements of some vectors, (rows, VECTOR) each.

    One loop adds all of them. `sum` of one array goes to a library, with what it is
    computed from written before, and takes up to 15 times as long.
    """
    first = terms[0]
    start = first.like(0).value
    op = reduce_each([one.value for one in terms], start, 0, hlo.AddOp)
    first.insert.add_op(op)
    return [_added_up(Array(one, first.insert)) for one in op.results]


def _added_up(values: Array) -> Array:
    """Return the sum of a few elements, one after the other."""
    ones = (values.slice(n, n + 1) for n in range(values.shape[0]))
    return reduce(Array.__add__, ones).reshape()


def _written_sum(values: Array) -> Array:
    """Return the sum of all elements, which are written before: a product with ones."""
    flat = values.reshape(1, -1)
    ones = flat.like(1).broadcast((flat.shape[1], 1))
    return flat.of(dot(flat.value, ones.value)).reshape()


def _same(bound: Array, own: Setting) -> Arrays:
    return [bound] * len(own.lengths)


def largest_safe(insert: Inserter, own: Setting) -> Arrays:
    """Return the bounds of a part without products."""
    real = np.finfo(dtype_of(own.log)).dtype
    return _same(array(insert, 0, ELEMENTS[real]), own)


def _split(values: Array, units: int, filling: float) -> Array:
    """Return (.., M) as (.., units, blocks), to be combined over the middle axis.

    The last axis is vectorised; a sum or a product over it would not be.
    """
    units = max(1, min(units, max(1, values.shape[-1]) // SMALLEST))
    return _in_rows(values, units, filling)


def _vectors(values: Array, filling: float = 0) -> Array:
    """Return (.., M) as (.., M / VECTOR, VECTOR), to be added over the middle axis."""
    return _in_rows(values, max(2, -(-values.shape[-1] // VECTOR)), filling)


def _halves(values: Array, filling: float) -> Arrays:
    """Return the first and the second half of (.., M), each as vectors."""
    middle = -(-values.shape[-1] // 2)
    padded = values.padded(2 * middle - values.shape[-1], filling)
    both = padded.slice(0, middle, -1), padded.slice(middle, 2 * middle, -1)
    return [_vectors(one, filling) for one in both]


def _halved(values: Array) -> Arrays:
    """Return the first and the second half of (M,), each as vectors."""
    return [one.entry(0) for one in _halves(values.reshape(1, -1), 0)]


def _largest(changes: Array) -> Array:
    """Return a bound on the sizes of changes, (rows, M)."""
    return changes.abs().reshape(-1).max(0, 0)


def _in_rows(values: Array, count: int, filling: float) -> Array:
    """Return (.., M) as so many rows of equal length, with a filling at the end."""
    length = -(-max(1, values.shape[-1]) // count)
    padded = values.padded(count * length - values.shape[-1], filling)
    return padded.reshape(*values.shape[:-1], count, length)


def log_of_product(values: Array) -> Array:
    """Return the logarithm of the product of (M,), up to 2 pi i, without it.

    Of complex numbers the sizes are taken apart, and the rest is multiplied: what
    takes long is an angle, and this leaves one for each row.
    """
    if not values.is_complex:
        return values.log().sum(0)
    size = values.real.abs().maximum(values.imag.abs())
    has_phase = size.compared("GT", 0) & size.compared("LT", np.inf)
    scale = has_phase.where(size, 1).astype(values.element)
    phases = has_phase.where(values / scale, 1)
    groups = max(1, -(-values.shape[0] // PHASES))
    length = -(-values.shape[0] // groups)
    padded = phases.padded(length * groups - values.shape[0], 1)
    turns = padded.reshape(length, groups).prod(0)
    return size.log().sum(0).astype(values.element) + turns.log().sum(0)


def _sigmoids(z: Array) -> tuple[Array, Array]:
    """Return 1 / (1 + e^-z) and 1 / (1 + e^z), without overflow."""
    if not z.is_complex:
        return z.logistic(), (-z).logistic()
    positive = z.real.compared("GT", 0)
    small = positive.where(-z, z).exp()
    larger, smaller = 1 / (1 + small), small / (1 + small)
    return positive.where(larger, smaller), positive.where(smaller, larger)


def _unless_infinite(table: Array) -> Array:
    """Return 0, or infinity where a table cannot be used: log psi is infinite at x'."""
    return table.is_finite().all(0).where(table.real.entry(0).like(0), np.inf)


ELEMENTS: dict[np.dtype, Attribute] = {
    np.dtype(np.float32): Float32Type(),
    np.dtype(np.float64): Float64Type(),
    np.dtype(np.complex64): ComplexType(Float32Type()),
    np.dtype(np.complex128): ComplexType(Float64Type()),
}
"""Element types of log psi by their dtype."""


# endregion
