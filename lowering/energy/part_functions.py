"""Parts of log psi as functions of the module: tables, cache, ratio and bound.

They are written for one sample x and one change of it; `stablehlo-batch` makes them
functions of many. A change is a row of the tables, or one for each of its writes, and
a sign: of rows that are shared by a change and its opposite.

| function | arguments | results |
|---|---|---|
| tables | parameters | tables |
| bound | tables | for each length of a product, the largest logarithm |
| cache | parameters, x | caches |
| ratio | parameters, tables, caches, length, row, sign | log psi(x') - log psi(x) |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from xdsl.builder import Builder
from xdsl.dialects.builtin import (
    ComplexType,
    Float32Type,
    Float64Type,
    FunctionType,
    i1,
    i32,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region
from xdsl.rewriter import InsertPoint
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import dtype_of, tensor
from lowering.arrays import Array, concatenated
from lowering.energy.activations import ACTIVATIONS
from lowering.energy.differences import Steps, applied, by_value, changes
from lowering.rewriting import Inserter

Arrays = list[Array]

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

    @property
    def all(self) -> tuple[FuncOp, ...]:
        return self.tables, self.bound, self.cache, self.ratio


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
            return (
                both.slice(0, 1).reshape(*both.shape[1:]),
                both.slice(1, 2).reshape(*both.shape[1:]),
            )
        other = self.sign.astype(i32)
        return both.at(1 - other), both.at(other)

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
    """

    steps: Steps
    writes: int | None
    signed: bool
    lengths: tuple[int, ...]
    log: Attribute

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
        return _chosen(length, ways)

    def _of_length(self, short: Array, number: int) -> Callable[[Inserter], Array]:
        def logarithm(insert: Inserter) -> Array:
            inside = Array(short.value, insert)
            return _log_of_product(self.joined(inside, number, 1).prod(0))

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
    def tables(self, leaves: Arrays) -> Arrays:
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

    def written(self) -> PartFunctions:
        """Return the functions of the part."""
        *kinds, x = self.functions[0].body.block.arg_types
        tables = _function("tables", kinds, self.tables)
        found = _results(tables)
        count = len(kinds)
        bound = _function("bound", found, self.bound)
        cache = _function(
            "cache", [*kinds, x], lambda a: self.cache(a[:count], a[count])
        )
        kept = _results(cache)
        rows = self.own.writes or 1
        change = [tensor(i32)] * (1 + rows) + [tensor(i1)]

        def ratio(arguments: Arrays) -> Arrays:
            ends = np.cumsum([count, len(found), len(kept), 1, rows])
            leaves, own, caches, (length,), numbers, (sign,) = (
                list(part) for part in np.split(_objects(arguments), ends)
            )
            of = Change(numbers, sign if self.own.signed else None)
            total = self.ratio(Given(leaves, own, caches, length, of))
            return [_scaled(total, self.part.coefficient, self.own.log)]

        return PartFunctions(
            tables,
            bound,
            cache,
            _function("ratio", [*kinds, *found, *kept, *change], ratio),
        )


def _objects(values: Sequence[object]) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _function(
    name: str, kinds: Sequence[Attribute], of: Callable[[Arrays], Arrays]
) -> FuncOp:
    """Return a function of tensors that is written with arrays."""
    block = Block(arg_types=kinds)
    region = Region(block)
    function = FuncOp(name, FunctionType.from_lists(kinds, []), region, "private")
    insert = Inserter(Builder(InsertPoint.at_end(block)), function.location)
    results = [one.value for one in of([Array(a, insert) for a in block.args])]
    insert.add_op(ReturnOp(*results))
    function.function_type = FunctionType.from_lists(kinds, [v.type for v in results])
    return function


def _results(function: FuncOp) -> list[Attribute]:
    return list(function.function_type.outputs)


def draft_of(
    part: bt.PartAttr, functions: Sequence[FuncOp], own: Setting
) -> Draft | None:
    """Return the draft of a part, None where there is none of its kind."""
    kind = _DRAFTS.get(part.kind)
    return None if kind is None else kind(part, functions, own)


# region Parts


class Linear(Draft):
    """The sum of all elements of an additive function."""

    def tables(self, leaves: Arrays) -> Arrays:
        insert = leaves[0].insert
        return [changes(insert, self.functions[0], leaves, self.own.steps).sum(1)]

    def bound(self, tables: Arrays) -> Arrays:
        return _same(_unless_infinite(tables[0]), self.own)

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        return []

    def ratio(self, given: Given) -> Array:
        return given.change.signed(given.change.added(given.tables[0]))


class Exponential(Draft):
    """A sum of logarithms of exponential sums over the elements of a function.

    With w = sigmoid(s z) and q = exp(s d), softplus(s (z + d)) - softplus(s z) is
    log(1 - w + w q): all terms are positive where they are real, so nothing cancels.
    Of -d it is log(w + (1 - w) q) - s d. Other activations are softplus of a multiple,
    and a linear part: log cosh t = softplus(2 t) - t - log 2.
    """

    def __init__(self, part: bt.PartAttr, functions: Sequence[FuncOp], own: Setting):
        super().__init__(part, functions, own)
        activation = ACTIVATIONS[part.applied or ""]
        ((self._times, self._scale),) = activation.terms
        self._linear = activation.linear

    def tables(self, leaves: Arrays) -> Arrays:
        insert = leaves[0].insert
        found = changes(insert, self.functions[0], leaves, self.own.steps)
        total = found.sum(1)
        forth = self._linear * total
        back = -self._times * self._scale * total - forth
        found = self._scale * found
        offsets = concatenated([back.reshape(1, -1), forth.reshape(1, -1)], 0)
        sizes = self.own.split(found.real.abs(), 0).sum(1)
        return [self.own.split(found.exp(), 1), offsets, sizes]

    def bound(self, tables: Arrays) -> Arrays:
        sizes = tables[2]
        return [
            self.own.joined(sizes, n, 0).sum(1).max(1, 0).max(0, 0)
            for n in range(len(self.own.lengths))
        ]

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        z = applied(x.insert, self.functions[0], [*leaves, x]).reshape(1, -1)
        # Pad with 0.5: of padded units the factors are 1, for a ratio of 1
        up, down = _sigmoids(self._scale * z)
        return [self.own.split(concatenated([up, down], 0), 0.5)]

    def ratio(self, given: Given) -> Array:
        change, (ratios, offsets, _) = given.change, given.tables
        here, there = change.sides(given.caches[0])
        if change.sign is None:
            offset = change.added(offsets.slice(1, 2).reshape(-1))
        else:
            (row,) = change.rows
            offset = offsets.at(change.sign.astype(i32)).at(row)
        factors = there + here * change.multiplied(ratios)
        return self._times * self.own.logarithm(factors, given.length) + offset


class Bilinear(Draft):
    """The sum of the products of two additive functions, element by element.

    (y + d) (z + e) - y z = y e + d z + d e, with the sums of d e for each difference.
    Of the difference -d and -e the first two change their sign.
    """

    def tables(self, leaves: Arrays) -> Arrays:
        insert, steps = leaves[0].insert, self.own.steps
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
        return [_vectors(one.reshape(1, -1)).at_first() for one in found]

    def ratio(self, given: Given) -> Array:
        change, (own, other) = given.change, given.caches
        d, e = (change.added(table) for table in given.tables[:2])
        terms = own * e + d * other
        linear = change.signed(_total(terms))
        if len(change.rows) > 1:
            return linear + _total(d * e)
        return linear + given.tables[2].at(change.rows[0])


_DRAFTS: dict[bt.Rung, type[Draft]] = {
    bt.Rung.LINEAR: Linear,
    bt.Rung.EXPONENTIAL: Exponential,
    bt.Rung.BILINEAR: Bilinear,
}

# endregion
# region Arrays


def _total(values: Array) -> Array:
    """Return the sum of vectors, (rows, VECTOR): of rows first, which is one loop."""
    return values.sum(0).sum(0)


def _same(bound: Array, own: Setting) -> Arrays:
    return [bound] * len(own.lengths)


def _split(values: Array, units: int, filling: float) -> Array:
    """Return (.., M) as (.., units, blocks), to be combined over the middle axis.

    The last axis is vectorised; a sum or a product over it would not be.
    """
    units = max(1, min(units, max(1, values.shape[-1]) // SMALLEST))
    return _in_rows(values, units, filling)


def _vectors(values: Array) -> Array:
    """Return (.., M) as (.., M / VECTOR, VECTOR), to be added over the middle axis."""
    return _in_rows(values, max(2, -(-values.shape[-1] // VECTOR)), 0)


def _in_rows(values: Array, count: int, filling: float) -> Array:
    """Return (.., M) as so many rows of equal length, with a filling at the end."""
    length = -(-max(1, values.shape[-1]) // count)
    padded = values.padded(count * length - values.shape[-1], filling)
    return padded.reshape(*values.shape[:-1], count, length)


def _log_of_product(values: Array) -> Array:
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
    is_finite = table.real.is_finite()
    if table.is_complex:
        is_finite = is_finite & table.imag.is_finite()
    return is_finite.all(0).where(table.real.at_first().like(0), np.inf)


def _scaled(value: Array, coefficient: complex, log: Attribute) -> Array:
    """Return a multiple of a value in the type of log psi, which may be wider."""
    number = coefficient if coefficient.imag else coefficient.real
    dtype = np.promote_types(dtype_of(value.element), dtype_of(log))
    if coefficient.imag:
        dtype = np.promote_types(dtype, np.complex64)
    return number * value.astype(_ELEMENTS[dtype])


_ELEMENTS: dict[np.dtype, Attribute] = {
    np.dtype(np.float32): Float32Type(),
    np.dtype(np.float64): Float64Type(),
    np.dtype(np.complex64): ComplexType(Float32Type()),
    np.dtype(np.complex128): ComplexType(Float64Type()),
}


def _chosen(number: Array, ways: Sequence[Callable[[Inserter], Array]]) -> Array:
    """Return the result of the way of a number."""
    if len(ways) == 1:
        return ways[0](number.insert)
    regions: list[Region] = []
    kinds: list[Attribute] = []
    for way in ways:
        block = Block()
        insert = Inserter(Builder(InsertPoint.at_end(block)), number.insert.location)
        found = way(insert)
        insert.add_op(hlo.ReturnOp([found.value]))
        kinds.append(found.value.type)
        regions.append(Region(block))
    op: Operation = hlo.CaseOp.create(
        operands=[number.value], result_types=[kinds[0]], regions=regions
    )
    return number.of(op)


# endregion
