"""Cones: changes of the values of a deep network, at the positions that they reach.

A value is a matrix, of positions and of channels: the sites of x, the pixels behind a
convolution, one position behind a sum over all of them. A change of x reaches some
positions of it, a list for each row of changes; what is computed is of these alone.
Linear ops make changes of changes. Other ones make of values at x' their value at x',
and whichever is there gives the other by the value at x, which is kept of each x:

    change = value at x' - value at x
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import i1, i32
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import (
    constant_of,
    dot,
    dtype_of,
    element_of,
    gather_rows,
    shape_of,
    tensor,
)
from lowering.arrays import Array, array, concatenated, iota
from lowering.change.position_lists import NOWHERE, Block, Numbers, Trace, reading
from lowering.rewriting import Inserter, op_name

if TYPE_CHECKING:
    from lowering.change.completion import Completion

Weights = Callable[["Emission"], Array]

_Made = TypeVar("_Made")

PATCH = {8: 60, 4: 300}
"""To gather one number of a patch takes as long as so many multiplications, by bytes of
a real: on CPUs."""

POLES = {
    *(f"stablehlo.{name}" for name in ("log", "log_plus_one", "divide", "power")),
    *("stablehlo.rsqrt", "stablehlo.tan", "chlo.atanh", "chlo.lgamma", "chlo.digamma"),
}
"""Ops that are infinite at ordinary numbers. A change of infinity is not a number."""

HIDING = ("stablehlo.compare", "stablehlo.is_finite", "stablehlo.convert")
"""Ops that make of what is not a number something that is one."""

NEVER = np.iinfo(np.int64).max
"""The step of what nothing needs."""

MAX_RUNS = 4
"""Positions of more runs are gathered."""

LARGEST_MATRIX = 1 << 20
"""Elements of a matrix from list to list: it is read for each chunk of pairs."""


@dataclass(eq=False, repr=False)
class Node(ABC):
    """A value, of so many positions and channels.

    Attributes:
        value: whose change it is.
        positions: the number of its positions.
        channels: the number of its elements at each.
        sources: the nodes that it is computed from.
    """

    value: SSAValue
    positions: int
    channels: int
    sources: tuple[Node, ...]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.positions} x {self.channels}"

    def __str__(self) -> str:
        """Say which op makes it, for whoever wrote the network."""
        op = self.value.owner
        name = f"'{op_name(op)}'" if isinstance(op, Operation) else "x"
        return f"{name} of {self.positions} x {self.channels} elements"

    def __post_init__(self) -> None:
        # Of each node once: to ask back from the last of many would take forever
        self._is_joint = any(one.is_joint for one in self.sources)
        op = self.value.owner
        has_pole = isinstance(op, Operation) and op.name in POLES
        self._may_be_infinite = has_pole or any(
            one.may_be_infinite for one in self.sources
        )

    @property
    def may_be_infinite(self) -> bool:
        """Whether it is computed from what has poles."""
        return self._may_be_infinite

    @property
    def is_joint(self) -> bool:
        """Whether all rows have one list of it: the positions that any of them reaches.

        It is then a constant, and so is what is read at its positions.
        """
        return self._is_joint

    @property
    def makes_changes(self) -> bool:
        """Whether it is computed as a change, not as a value at x'."""
        return True

    def of_values(self, at: Emission) -> Array | None:
        """Return a node that makes changes at x', of values that are there anyway."""
        return None

    @property
    def is_linear(self) -> bool:
        """Whether its changes at each position are linear in those of its sources.

        Over real numbers: parts of complex ones are, too.
        """
        return type(self).of_changes is not Node.of_changes

    def of_changes(self, at: Emission) -> Array:
        """Return the change of a node that is linear, of changes."""
        raise AssertionError(f"{self} of changes")

    @property
    def is_computed(self) -> bool:
        """Whether it is computed by itself, not by the nodes that it is a source of."""
        return True

    @property
    def stays(self) -> bool:
        """Whether the positions that change are those of its sources."""
        return False

    def reached(self, lists: Sequence[Numbers]) -> Numbers:
        """Return the positions that change where lists of its sources do, (R, ..).

        One position may be there several times.
        """
        return np.zeros((len(lists[0]), 1), np.int64)

    def needed(self, own: Numbers) -> list[Numbers]:
        """Return what positions of its own need of its sources, (R, m, ..) each."""
        return []

    @abstractmethod
    def computed(self, at: Emission) -> Array:
        """Return it at the positions that change, (listed, channels)."""

    @property
    def is_by_position(self) -> bool:
        """Whether it is known at positions whose sources are, by their values."""
        return type(self).completed is not Node.completed

    def completed(self, at: Completion) -> Array:
        """Return it at positions whose sources are complete, (listed, channels).

        Where it is not `is_by_position` that is not asked for.
        """
        raise AssertionError(f"{self} at some of its positions")

    def latest(self, number: int, of: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the most of what a source has at what each position needs of it.

        That is (positions of the source, F), and the result (positions, F).
        """
        needed = self.needed(np.arange(self.positions)[None])
        if not needed:
            return np.broadcast_to(of.max(axis=0), (self.positions, of.shape[1]))
        (own,) = needed[number]
        nothing = np.full((1, of.shape[1]), NOWHERE if of.dtype != bool else False)
        found = np.concatenate([of, nothing])[np.where(own < 0, len(of), own)]
        return found if own.ndim == 1 else found.max(axis=1)

    def earliest(self, number: int, of: Numbers) -> Numbers:
        """Return the least of what positions have that need each one of a source."""
        source = self.sources[number]
        found = np.full(source.positions + 1, NEVER)
        needed = self.needed(np.arange(self.positions)[None])
        if not needed:
            return np.full(source.positions, of.min())
        own = needed[number][0].reshape(self.positions, -1)
        np.minimum.at(found, own, of[:, None])
        return found[:-1]

    def work(self, trace: Trace) -> float:
        """Return multiplications for one change."""
        return 0


class View(NamedTuple):
    """A value as elements of a node.

    Attributes:
        ids: of each element of the value, its number in (positions, channels) of the
            node; `NOWHERE` where it is constant.
    """

    node: Node
    ids: Numbers

    @property
    def is_whole(self) -> bool:
        """Whether the value has each element of the node once."""
        count = self.node.positions * self.node.channels
        return self.ids.size == count and bool(
            (np.sort(self.ids, axis=None) == np.arange(count)).all()
        )

    @property
    def places(self) -> Numbers | None:
        """Where each element of the node is first; None where one is not."""
        flat = self.ids.reshape(-1)
        found, first = np.unique(flat, return_index=True)
        count = self.node.positions * self.node.channels
        first = first[found >= 0]
        return first if len(first) == count else None

    def by_position(self, axis: int) -> Numbers | None:
        """Return positions, where an axis has all channels of one, in their order."""
        moved = np.moveaxis(self.ids, axis, -1)
        channels = self.node.channels
        if moved.shape[-1] != channels:
            return None
        first = moved[..., :1]
        inside = first >= 0
        expected = np.where(inside, first + np.arange(channels), NOWHERE)
        starts = np.where(inside, first % channels, 0)
        if (moved != expected).any() or starts.any():
            return None
        return np.where(inside, first // channels, NOWHERE)[..., 0]


def of_real(numbers: Mapping[int, float], value: SSAValue) -> float:
    """Return a number by the bytes of the reals of a value; integers are as double."""
    dtype = dtype_of(element_of(value))
    return numbers[np.finfo(dtype).bits // 8 if dtype.kind in "fc" else 8]


# region Nodes


class Written(Node):
    """x at the sites that are written."""

    def computed(self, at: Emission) -> Array:
        return at.step(self)

    def completed(self, at: Completion) -> Array:
        return at.drawn.reshape(1, 1)


class Channels(NamedTuple):
    """Channels of a node, at each of its positions.

    Attributes:
        numbers: which ones, in order.
    """

    node: Node
    numbers: Numbers

    def of(self, matrix: Array) -> Array:
        """Return them, (m, channels), or (m, 1) where all are the only one."""
        count = self.node.channels
        if count == 1 or np.array_equal(self.numbers, np.arange(count)):
            return matrix
        return taken(matrix.transpose(1, 0), self.numbers).transpose(1, 0)


@dataclass(eq=False, repr=False)
class Part(Node):
    """Some of the positions of a value, or all in another order, or constants as well.

    Attributes:
        own: which (positions,), `NOWHERE` for what is without x.
        places: where elements are in the value, (positions x channels,), if some are
            without x.
    """

    own: Numbers
    places: Numbers | None = None

    def reached(self, lists: Sequence[Numbers]) -> Numbers:
        inside = np.flatnonzero(self.own >= 0)
        found = reading(self.own[inside], lists[0])
        return np.where(found < 0, NOWHERE, inside[found])

    def needed(self, own: Numbers) -> list[Numbers]:
        return [self.own[own]]

    @property
    def makes_changes(self) -> bool:
        """Whether it is of changes: of predicates are none, those of integers wrap."""
        return self.sources[0].makes_changes

    def computed(self, at: Emission) -> Array:
        (source,) = self.sources
        if self.makes_changes:
            return at.aligned(at.change(source), source, self)
        return at.exchanged(source, self, lambda: at.before(self, self))

    def completed(self, at: Completion) -> Array:
        lists = at.trace.lists[self]
        own = self.own[lists]
        found = at.read(self.sources[0], self, np.maximum(own, 0))
        if (own >= 0).all():
            return found
        there = at.by_row(own >= 0).compared("NE", 0).reshape(-1, 1)
        return there.where(found, at.rows(at.kept_of(self), lists))


class AtEach(Node):
    """What is computed of all channels of each position, and of no other."""

    @property
    def stays(self) -> bool:
        return True

    def reached(self, lists: Sequence[Numbers]) -> Numbers:
        return np.concatenate(lists, axis=1)

    def needed(self, own: Numbers) -> list[Numbers]:
        return [own] * len(self.sources)

    @property
    def is_by_position(self) -> bool:
        return not self.makes_changes

    def completed(self, at: Completion) -> Array:
        return self.computed(at)


@dataclass(eq=False, repr=False)
class Pointwise(AtEach):
    """An op that does the same at each position.

    Attributes:
        op: which one.
        operands: for each operand its channels, or the value where that is without x.
        image: what it makes of changes, where it is affine.
        ids: the number of each element of the value, as that of a view.
    """

    op: Operation
    operands: tuple[Channels | SSAValue, ...]
    image: Callable[[Operation, Inserter, Sequence[bool]], SSAValue] | None
    ids: Numbers

    @cached_property
    def order(self) -> Numbers:
        """Where elements are first in values without x, (positions, channels)."""
        places = View(self, self.ids).places
        assert places is not None
        return places

    def __post_init__(self) -> None:
        super().__post_init__()
        self._makes_changes: bool = self.image is not None and all(
            one.makes_changes for one in self.sources
        )

    @property
    def makes_changes(self) -> bool:
        return self._makes_changes

    def of_values(self, at: Emission) -> Array | None:
        (source, *others) = self.sources
        # What is first made of changes is kept: a bias is added to it once
        is_there = isinstance(source, Pointwise | Written)
        if others or not is_there:
            return None
        if at.trace.lists[source] is not at.trace.lists[self]:
            return None
        return self._applied(at, to_changes=False)

    @property
    def is_linear(self) -> bool:
        return self.image is not None

    def of_changes(self, at: Emission) -> Array:
        return self._applied(at, to_changes=True)

    def computed(self, at: Emission) -> Array:
        return self._applied(at, to_changes=self.makes_changes)

    @property
    def is_by_position(self) -> bool:
        return True

    def completed(self, at: Completion) -> Array:
        return self._applied(at, to_changes=False)

    def _see_unknown(self, at: Emission, arrays: Sequence[Array]) -> None:
        """Say that it is not known if the op would hide that an operand is not."""
        if self.op.name not in HIDING or not any(
            one.may_be_infinite for one in self.sources
        ):
            return
        result = dtype_of(element_of(self.value))
        if result.kind in "fc" or len({one.value for one in arrays}) < len(arrays):
            return  # a conversion that keeps it, or the question whether it is one
        for one in arrays:
            if dtype_of(one.element).kind in "fc":
                at.unknown.append(one.is_nan().reshape(-1).any(0))

    def _applied(self, at: Emission, *, to_changes: bool) -> Array:
        count = at.trace.length(self)
        arrays: list[Array] = []
        for one in self.operands:
            if not isinstance(one, Channels):
                arrays.append(at.fixed(self, one))
                continue
            found = at.change_at if to_changes else at.value_at
            arrays.append(one.of(found(one.node, self)))
        shape = (count, self.channels)
        new = type(self.op).create(
            operands=[one.broadcast(shape, range(2)).value for one in arrays],
            result_types=[tensor(element_of(self.value), shape)],
            properties=self.op.properties,
            attributes=self.op.attributes,
        )
        self._see_unknown(at, arrays)
        if to_changes:
            assert self.image is not None
            fixed = [not isinstance(one, Channels) for one in self.operands]
            return Array(self.image(new, at.insert, fixed), at.insert)
        at.insert.add_op(new)
        return Array(new.results[0], at.insert)


class Joined(AtEach):
    """Channels of several nodes, next to each other at each position."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._makes_changes = all(one.makes_changes for one in self.sources)

    @property
    def makes_changes(self) -> bool:
        return self._makes_changes

    def _joined(self, of: Callable[[Node, Node], Array]) -> Array:
        return concatenated([of(one, self) for one in self.sources], 1)

    def computed(self, at: Emission) -> Array:
        return self._joined(at.change_at if self.makes_changes else at.value_at)

    @property
    def is_by_position(self) -> bool:
        return True

    def completed(self, at: Completion) -> Array:
        return self._joined(at.value_at)

    def work(self, trace: Trace) -> float:
        return trace.length(self) * self.channels


@dataclass(eq=False, repr=False)
class Stencil(Node):
    """Sums over positions nearby of products with weights.

    Attributes:
        near: (positions, K), of its source, `NOWHERE` for none.
        weights: (K, channels of the source, channels), of the parameters.
    """

    near: Numbers
    weights: Weights

    def __post_init__(self) -> None:
        super().__post_init__()
        (source,) = self.sources
        own = np.arange(source.positions)
        self._is_at_each = np.array_equal(self.near, own[:, None])

    @property
    def makes_changes(self) -> bool:
        """Whether it is of changes: a sum over channels is of what its source is."""
        return not self._is_at_each or self.sources[0].makes_changes

    @property
    def stays(self) -> bool:
        return self._is_at_each

    @property
    def is_linear(self) -> bool:
        return self._is_at_each

    def of_changes(self, at: Emission) -> Array:
        change = at.change(self.sources[0]).astype(element_of(self.value))
        return self._product(change, at.once(self, "weights", self.weights))

    @cached_property
    def _reverse(self) -> Numbers:
        """What each position of the source reaches, in the order of K."""
        own, column = np.nonzero(self.near >= 0)
        source = self.near[own, column]
        order = np.lexsort((own, column, source))
        source, own = source[order], own[order]
        counts = np.bincount(source, minlength=self.sources[0].positions)
        found = np.full((len(counts), max(counts.max(), 1)), NOWHERE)
        starts = np.cumsum(counts) - counts
        found[source, np.arange(len(source)) - starts[source]] = own
        return found

    def reached(self, lists: Sequence[Numbers]) -> Numbers:
        return self._reverse[lists[0]].reshape(len(lists[0]), -1)

    def needed(self, own: Numbers) -> list[Numbers]:
        return [self.near[own]]

    def _size(self, trace: Trace) -> int:
        """Return how many elements the map from list to list has, for all classes."""
        pairs = sum(one.pairs for one in trace.blocks(self))
        return trace.classes * pairs * self.sources[0].channels * self.channels

    def _patches(self, trace: Trace) -> float:
        """Return multiplications where what each position is made of is gathered."""
        (source,) = self.sources
        each = source.channels * (self.channels + of_real(PATCH, self.value))
        return trace.length(self) * self.near.shape[1] * each

    def _has_blocks(self, trace: Trace) -> bool:
        size = self._size(trace)
        return size <= LARGEST_MATRIX and size <= self._patches(trace)

    def is_one_to_one(self, trace: Trace) -> bool:
        """Whether each position is made of the same one of its source."""
        if self._is_at_each:
            return True
        places = trace.places[self][0]
        if trace.length(self) != trace.length(self.sources[0]) or places.shape[2] > 1:
            return False
        return not np.any(places[..., 0] - np.arange(int(places.shape[1])))

    def work(self, trace: Trace) -> float:
        (source,) = self.sources
        if self.is_one_to_one(trace):
            return trace.length(self) * source.channels * self.channels
        if self._has_blocks(trace):
            return self._size(trace)
        return self._patches(trace)

    def _block(self, at: Emission, own: Block) -> Array:
        """Return a block of the maps from list to list, (classes * m * C, m' * C')."""
        weights = self.weights(at)
        count, before, after = weights.shape
        nothing = weights.like(0).broadcast((1, before * after), [])
        table = concatenated([weights.reshape(count, -1), nothing], 0)
        blocks: list[Array] = []
        for layers in self._layers(at.trace, at.trace.length(self.sources[0])):
            cut = [one[own.first : own.last, own.start : own.stop] for one in layers]
            parts = [
                table.of(gather_rows(table.value, array(at.insert, one, i32).value))
                for one in cut
            ]
            total = reduce(Array.__add__, parts)
            block = total.reshape(*cut[0].shape, before, after).transpose(0, 2, 1, 3)
            blocks.append(block.reshape(cut[0].shape[0] * before, -1))
        return blocks[0] if len(blocks) == 1 else concatenated(blocks, 0)

    def _by_blocks(self, at: Emission, change: Array) -> Array:
        found: list[Array] = []
        for number, one in enumerate(at.trace.blocks(self)):
            count = one.stop - one.start
            if not one.pairs:
                nothing = change.like(0)
                found.append(nothing.broadcast((count, self.channels), []))
                continue
            make = partial(self._block, own=one)
            matrix = at.once_of_lists(self, f"block {number}", make)
            row = at.of_class(change.slice(one.first, one.last)).reshape(1, -1)
            found.append(product(row, matrix).reshape(count, self.channels))
        return found[0] if len(found) == 1 else concatenated(found, 0)

    def _layers(self, trace: Trace, length: int) -> list[list[Numbers]]:
        """Return which weight there is from position to position, of each class.

        Of a small ring a position may be reached twice from one: these are layers.
        """
        found: list[list[Numbers]] = []
        for places in trace.places[self][0]:
            own, column = np.nonzero(places >= 0)
            pairs = places[own, column] * len(places) + own
            order = np.argsort(pairs, kind="stable")
            pairs, own, column = pairs[order], own[order], column[order]
            _, first, counts = np.unique(pairs, return_index=True, return_counts=True)
            again = np.arange(len(pairs)) - np.repeat(first, counts)
            shape = (counts.max(initial=1), length, len(places))
            layers = np.full(shape, self.near.shape[1])
            layers[again, pairs // len(places), own] = column
            found.append(list(layers))
        return found

    def computed(self, at: Emission) -> Array:
        (source,) = self.sources
        length, element = at.trace.length(self), element_of(self.value)
        if not self.makes_changes:
            change = at.value(source)
        else:
            change = at.change(source)
        if self.is_one_to_one(at.trace):
            weights = at.once(self, "weights", self.weights)
            return self._product(change.astype(element), weights)
        if self._has_blocks(at.trace):
            return self._by_blocks(at, change.astype(element))
        weights = at.once(self, "weights", self.weights)
        patches = at.gathered(self, 0, change.astype(element))
        return self._product(patches.reshape(length, -1), weights)

    def _product(self, patches: Array, weights: Array) -> Array:
        return product(patches, weights.reshape(patches.shape[1], self.channels))

    def completed(self, at: Completion) -> Array:
        (source,) = self.sources
        weights = at.once(self, "weights", self.weights)
        own = at.trace.lists[self]
        if self._is_at_each:
            value = at.read(source, self, own)
            return self._product(value.astype(element_of(self.value)), weights)
        near = self.near[own].reshape(len(own), -1)
        runs = _runs(near, source.positions) if own.shape[1] == 1 else []
        size = self.channels * source.channels * sum(one.length for one in runs)
        if runs and len(runs) <= MAX_RUNS and len(own) * size <= LARGEST_MATRIX:
            return self._of_runs(at, near, runs)
        rows = at.read(source, self, np.maximum(near, 0))
        if (near < 0).any():
            there = at.by_row(near >= 0).compared("NE", 0).reshape(-1, 1)
            rows = there.where(rows, 0)
        patches = rows.astype(element_of(self.value)).reshape(own.shape[1], -1)
        return self._product(patches, weights)

    def _of_runs(self, at: Completion, near: Numbers, runs: Sequence[Run]) -> Array:
        """Return sums over successive positions, with weights of each step."""
        (source,) = self.sources
        places = [one.places(near) for one in runs]

        def table(at: Emission) -> Array:
            weights = self.weights(at)
            nothing = weights.like(0).broadcast((1, *weights.shape[1:]), [])
            own = concatenated([weights, nothing], 0).reshape(weights.shape[0] + 1, -1)
            joined = np.concatenate(places, axis=1)
            own = taken_rows(own, joined.reshape(-1))
            return own.reshape(len(near), -1, self.channels)

        whole = at.all_of(source, self)
        rows = [at.rows(whole, one.positions) for one in runs]
        row = concatenated(rows, 0).astype(element_of(self.value)).reshape(1, -1)
        weights = at.once_of_lists(self, "of runs", table)
        assert at.row is not None
        return product(row, weights.at(at.row))


class Run(NamedTuple):
    """Positions one after the other, at each of some steps.

    Attributes:
        first: the number of the first column that has them.
        length: how many there are.
        start: the first position that the first column stands for, (steps,).
        whole: how many positions the source has.
    """

    first: int
    length: int
    start: Numbers
    whole: int

    @property
    def positions(self) -> Numbers:
        """Those that are read: all of them are there."""
        start = np.clip(self.start, 0, self.whole - self.length)
        return start[:, None] + np.arange(self.length)

    def places(self, near: Numbers) -> Numbers:
        """Return the column that stands for each position, or one behind the last."""
        steps, columns = near.shape
        own = self.positions - self.start[:, None]
        inside = (own >= 0) & (own < self.length)
        column = self.first + np.where(inside, own, 0)
        meant = near[np.arange(steps)[:, None], column] == self.positions
        return np.where(inside & meant, column, columns)


def _runs(near: Numbers, count: int) -> list[Run]:
    """Return the fewest runs of columns that stand for positions next to each other."""
    found: list[Run] = []
    steps, columns = near.shape
    first = 0
    start = np.full(steps, NOWHERE - columns)
    for column in range(columns + 1):
        is_some = column < columns and near[:, column] >= 0
        if column < columns:
            own = near[:, column] - (column - first)
            is_known = start > NOWHERE - columns
            if not (is_some & is_known & (own != start)).any():
                start = np.where(is_some & ~is_known, own, start)
                continue
        found.append(Run(first, column - first, start, count))
        first = column
        if column < columns:
            start = np.where(is_some, near[:, column], NOWHERE - columns)
    return found if all(one.length <= count for one in found) else []


@dataclass(eq=False, repr=False)
class Total(Node):
    """Sums over all positions, with weights or without.

    Attributes:
        weights: (positions, channels of the source, channels); None for 1.
        is_sum: whether channels are summed, too.
    """

    weights: Weights | None
    is_sum: bool

    def computed(self, at: Emission) -> Array:
        (source,) = self.sources
        change = at.change(source).astype(element_of(self.value))
        if self.weights is None:
            total = change.sum(0)
            return (total.sum(0) if self.is_sum else total).reshape(1, self.channels)
        weights = at.once(self, "weights", self.weights)
        rows = weights.reshape(source.positions, -1)
        if source.positions > 1:
            places = at.list_of(source)
            rows = rows.of(gather_rows(rows.value, places.value))
        flat = rows.reshape(-1, self.channels)
        return product(change.reshape(1, -1), flat)

    def work(self, trace: Trace) -> float:
        (source,) = self.sources
        each = source.channels * (self.channels if self.weights is not None else 1)
        return trace.length(source) * each


@dataclass(eq=False, repr=False)
class Whole(Node):
    """An op of values that have one position, evaluated anew.

    Attributes:
        op: which one.
        operands: for each operand its view, or the value where that is without x.
    """

    op: Operation
    operands: tuple[View | SSAValue, ...]

    @property
    def makes_changes(self) -> bool:
        return False

    def computed(self, at: Emission) -> Array:
        mapped: dict[SSAValue, SSAValue] = {}
        for value, one in zip(self.op.operands, self.operands, strict=True):
            if isinstance(one, View):
                mapped[value] = at.value(one.node).reshape(*shape_of(value)).value
            else:
                mapped[value] = at.whole(value).value
        new = self.op.clone(mapped)
        at.insert.add_op(new)
        return Array(new.results[0], at.insert).reshape(1, self.channels)

    def completed(self, at: Completion) -> Array:
        return self.computed(at)


# endregion
# region What is written


@dataclass(eq=False)
class Emission:
    """Where changes are computed of one x and one row.

    Attributes:
        insert: where to.
        trace: the lists.
        row: the number of the row; None where tables are made.
        sign: of the change, if it may be the opposite of its row.
        tables: what is made once of the parameters, by node and name.
        kept: of each node that is kept, its value at x, (positions, channels), and
            what else is kept of x.
        fixed_of: makes a value without x, where tables are made.
        steps: the changes of x of all rows (R, N), where tables are made.
        unknown: predicates, of which none may hold for the result to be known.
        group: which rows are looked at, where it is not all of them.
    """

    insert: Inserter
    trace: Trace
    row: Array | None = None
    sign: Callable[[Array], Array] = lambda value: value
    tables: Mapping[tuple[Any, str], Array] = field(
        default_factory=dict[tuple[Any, str], Array]
    )
    kept: Mapping[Any, Array] = field(default_factory=dict[Any, Array])
    fixed_of: Callable[[SSAValue], Array] | None = None
    steps: npt.NDArray[np.float64] | None = None
    group: int | None = None
    wanted: dict[tuple[Any, str], tuple[Trace, Callable[[Emission], Array]]] = field(
        default_factory=dict[tuple[Any, str], tuple[Trace, Callable[..., Array]]]
    )
    needed: dict[Any, None] = field(default_factory=dict)
    unknown: list[Array] = field(default_factory=list[Array])
    _made: dict[Any, Any] = field(default_factory=dict)

    def _once(self, key: Any, make: Callable[[], _Made]) -> _Made:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def once(self, node: Any, name: str, make: Callable[[Emission], Array]) -> Array:
        """Return what is made once of the parameters: at once where tables are made."""
        if self.fixed_of is not None:
            return self._once((node, name, "table"), lambda: make(self))
        self.wanted.setdefault((node, name), (self.trace, make))
        return self.tables[node, name]

    def once_of_lists(
        self, node: Node, name: str, make: Callable[[Emission], Array]
    ) -> Array:
        """Return what is made once of the parameters, and of the lists."""
        group = "" if self.group is None else f" of group {self.group}"
        return self.once(node, f"{name}{group}", make)

    def by_row(self, table: npt.NDArray[Any]) -> Array:
        """Return the row of a table of integers."""
        if (table == table[:1]).all():
            return array(self.insert, table[0], i32)
        assert self.row is not None
        return self._entry(table, self.row)

    def by_class(self, table: npt.NDArray[Any]) -> Array:
        """Return the entry of a table of integers of the class of the row."""
        if len(table) == 1:
            return array(self.insert, table[0], i32)
        return self._entry(table, self.by_row(self.trace.class_of))

    def _entry(self, table: npt.NDArray[Any], number: Array) -> Array:
        key = (table.shape, table.tobytes())
        whole = self.once(key, "table", lambda at: array(at.insert, table, i32))
        return self._once((*key, number.value), lambda: whole.at(number))

    def of_class(self, change: Array) -> Array:
        """Return a change in the place of its class, and 0 in those of others."""
        count = self.trace.classes
        if count == 1:
            return change
        numbers = iota(self.insert, i32, (count, 1, 1), 0)
        own = self.by_row(self.trace.class_of).reshape(1, 1, 1)
        hot = numbers.compared("EQ", own.broadcast(numbers.shape, range(3)))
        shape = (count, *change.shape)
        wide = change.reshape(1, *change.shape).broadcast(shape, range(3))
        return hot.broadcast(shape, range(3)).where(wide, 0)

    def list_of(self, node: Node) -> Array:
        """Return the positions of a node that change, (m,)."""
        lists = self.trace.lists[node]
        make = partial(self.by_row, np.maximum(lists, 0))
        return self._once(("list", id(lists)), make)

    def step(self, node: Node) -> Array:
        """Return the change of x at the sites of a row, (m, 1)."""
        assert self.row is not None
        table = self.once_of_lists(node, "step", lambda at: at.steps_of(node))
        return self.sign(table.at(self.row)).reshape(-1, 1)

    def steps_of(self, node: Node) -> Array:
        """Return the changes of x at the sites of all rows, (R, m)."""
        assert self.steps is not None
        lists = self.trace.lists[node]
        own = np.take_along_axis(self.steps, np.maximum(lists, 0), axis=1)
        return array(self.insert, np.where(lists < 0, 0, own), element_of(node.value))

    def kept_of(self, key: Any) -> Array:
        """Return what is kept of x: all of a node, or what a node asks for."""
        self.needed.setdefault(key)
        return self.kept[key]

    def shared(self, key: Any, make: Callable[[], _Made]) -> _Made:
        """Return what several nodes are made of."""
        return self._once((key, "shared"), make)

    def before(self, node: Node, at: Node) -> Array:
        """Return a node at x, at the positions of another one that change."""
        whole = self.kept_of(node)
        if node.positions == 1:
            return whole

        def read() -> Array:
            return self.rows_at(whole, at)

        return self._once((node, id(self.trace.lists[at]), "before"), read)

    def rows_at(self, whole: Array, node: Node) -> Array:
        """Return the rows of a matrix at the positions of a node that change."""
        lists = self.trace.lists[node]
        first, last = int(lists[0, 0]), int(lists[0, -1])
        if node.is_joint and last - first + 1 == lists.shape[1]:
            return whole.slice(first, last + 1)
        places = self.list_of(node)
        return whole.of(gather_rows(whole.value, places.value))

    def follow(self, nodes: Sequence[Node]) -> None:
        """Compute nodes in order: asked for from the last one they call each other."""
        for node in nodes:
            if node.is_computed:
                found = self.change if node.makes_changes else self.value
                found(node)

    def change(self, node: Node) -> Array:
        """Return the change of a node, (m, channels)."""

        def made() -> Array:
            if node.makes_changes:
                return node.computed(self)
            return self.value(node) - self.before(node, node)

        return self._once((node, "change"), made)

    def value(self, node: Node) -> Array:
        """Return a node at x', at its positions that change, (m, channels)."""

        def made() -> Array:
            if not node.makes_changes:
                return node.computed(self)
            found = node.of_values(self)
            if found is not None:
                return found
            change = self.change(node)
            return self.before(node, node) + change.astype(element_of(node.value))

        return self._once((node, "value"), made)

    def change_at(self, node: Node, at: Node) -> Array:
        """Return the change of a node, at the positions of a result that change."""
        return self.aligned(self.change(node), node, at)

    def value_at(self, node: Node, at: Node) -> Array:
        """Return a node at x', at the positions of a result that change."""
        own, lists = self.trace.lists[node], self.trace.lists[at]
        if own is lists or np.array_equal(own, lists):
            return self.value(node)
        if not node.makes_changes:
            return self.exchanged(node, at, lambda: self.before(node, at))
        change = self.change_at(node, at).astype(element_of(node.value))
        return self.before(node, at) + change

    def exchanged(self, node: Node, at: Node, before: Callable[[], Array]) -> Array:
        """Return a source of a node at x', at the positions of the latter that change.

        Where the source stays it is `before`. No differences are taken: predicates have
        none, those of infinities are NaN.
        """
        value, number = self.value(node), at.sources.index(node)
        if at.is_joint and not node.is_joint:
            ones = array(self.insert, np.ones((value.shape[0], 1)), i1)
            there = self._spread(ones, node, at)
            return there.where(self._spread(value, node, at), before())
        places = self.trace.places[at][number]
        if (places >= 0).all():
            return self.aligned(value, node, at)
        there = self.by_class(places >= 0).compared("NE", 0).reshape(-1, 1)
        return there.where(self.gathered(at, number, value), before())

    def _is_aligned(self, node: Node, at: Node) -> bool:
        trace = self.trace
        places = trace.places[at][at.sources.index(node)][trace.class_of]
        if places.shape[1] != trace.length(node):
            return False
        own = places == np.arange(trace.length(node))
        # Behind the end of a list nothing changes
        return bool((own | ((places < 0) & (trace.lists[node] < 0))).all())

    def aligned(self, change: Array, node: Node, at: Node) -> Array:
        """Return a change of a node at the positions of another one that change."""
        if at.is_joint and not node.is_joint:
            return self._spread(change, node, at)
        if self._is_aligned(node, at):
            return change
        return self.gathered(at, at.sources.index(node), change)

    def _spread(self, change: Array, node: Node, at: Node) -> Array:
        """Return a change at positions of a list of its own, 0 at the others."""
        (wanted,) = at.needed(self.trace.lists[at][:1])[at.sources.index(node)]
        wide = array(self.insert, wanted, i32)
        shape = (wide.shape[0], *change.shape)
        # The end of a list is nowhere
        places = self.by_row(self.trace.lists[node]).broadcast(shape, [1])
        hot = wide.broadcast(shape, [0]).compared("EQ", places)
        return hot.where(change.broadcast(shape, [1, 2]), 0).sum(1)

    def committed(self, node: Node) -> Array:
        """Return a node at x', all of it."""
        value, whole = self.value(node), self.kept_of(node)
        if node.positions == 1:
            return value
        shape = node.positions, value.shape[0]
        own, number = (iota(self.insert, i32, shape, axis) for axis in (0, 1))
        places = self.by_row(self.trace.lists[node]).broadcast(shape, [1])
        # Rows of what changes, and behind them those of all positions
        hot, behind = own.compared("EQ", places), own + shape[1]
        rows = hot.where(number, behind).reduce(hlo.MinimumOp, sum(shape), 1)
        wide = concatenated([value, whole], 0)
        return wide.of(gather_rows(wide.value, rows.value))

    def gathered(self, node: Node, number: int, change: Array) -> Array:
        """Return what a node needs of the change of a source, 0 where it has none."""
        places = self.trace.places[node][number]
        length = change.shape[0]
        rows = np.where(places < 0, length, places)
        index = self.by_class(rows)
        nothing = change.like(0).broadcast((1, change.shape[1]), [])
        wide = concatenated([change, nothing], 0)
        return wide.of(gather_rows(wide.value, index.value))

    def whole(self, value: SSAValue) -> Array:
        """Return a value without x."""
        return self.once(value, "whole", lambda at: at.of_parameters(value))

    def of_parameters(self, value: SSAValue) -> Array:
        """Return a value without x, where tables are made."""
        assert self.fixed_of is not None
        return self.fixed_of(value)

    def fixed(self, node: Pointwise, value: SSAValue) -> Array:
        """Return a value without x at the positions of a node that change."""
        number = splat_of(value)
        if number is not None:
            return array(self.insert, number, element_of(value)).reshape(1, 1)
        if shape_of(value) == ():
            return self.whole(value).reshape(1, 1)

        def table(at: Emission) -> Array:
            flat = taken(at.of_parameters(value).reshape(-1), node.order)
            return flat.reshape(node.positions, node.channels)

        def row(at: Emission) -> Array:
            return table(at).entry(0).reshape(1, node.channels)

        order = node.positions, node.order.tobytes()
        if is_repeated(value, node):
            return self.once((value, *order), "row", row)
        whole = self.once((value, *order), "table", table)
        return whole if node.positions == 1 else self.rows_at(whole, node)


def is_repeated(value: SSAValue, node: Pointwise) -> bool:
    """Whether the op that made a value without x repeats it at each position."""
    op = value.owner
    if not isinstance(op, hlo.BroadcastInDimOp):
        return False
    dims = [int(one) for one in op.broadcast_dimensions.get_values()]
    source, shape = shape_of(op.operand), shape_of(value)
    lengths = [1] * len(shape)
    for dim, length in zip(dims, source, strict=True):
        lengths[dim] = length
    ids = np.broadcast_to(np.arange(int(np.prod(lengths))).reshape(lengths), shape)
    matrix = ids.reshape(-1)[node.order].reshape(node.positions, node.channels)
    return bool((matrix == matrix[:1]).all())


def splat_of(value: SSAValue) -> Any:
    """Return the number that all elements of a constant are; None if they differ."""
    while isinstance(value.owner, hlo.BroadcastInDimOp | hlo.ReshapeOp):
        value = value.owner.operands[0]
    found = constant_of(value)
    return found.item() if found is not None and found.size == 1 else None


def taken(flat: Array, places: Numbers) -> Array:
    """Return the elements of a vector at some places."""
    if np.array_equal(places, np.arange(flat.shape[0])):
        return flat
    rows = array(flat.insert, places, i32)
    return flat.of(gather_rows(flat.value, rows.value))


def taken_rows(rows: Array, places: Numbers) -> Array:
    """Return the rows of a matrix at some places."""
    first, count = int(places[0]), len(places)
    if np.array_equal(places, first + np.arange(count)):
        return rows if count == rows.shape[0] else rows.slice(first, first + count)
    index = array(rows.insert, places, i32)
    return rows.of(gather_rows(rows.value, index.value))


def product(lhs: Array, rhs: Array) -> Array:
    """Return the product of two matrices."""
    return lhs.of(dot(lhs.value, rhs.value))


# endregion
