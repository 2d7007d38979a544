"""Masked layers and what autoregressive networks are made of else.

A dense layer is masked where it multiplies its weights by a constant with zeros: what
is said of a site depends on those before it, in an order. A change then reaches the
positions behind it, all of them, and each way of them has weights of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import DenseArrayBase, i1, i64
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import element_of, gather_rows, tensor
from lowering.arrays import Array, array, concatenated, iota
from lowering.change.cones import (
    NEVER,
    AtEach,
    Channels,
    Emission,
    Node,
    Weights,
    of_real,
    product,
    taken_rows,
)
from lowering.change.position_lists import NOWHERE, Block, Numbers, Trace, blocks_of

if TYPE_CHECKING:
    from lowering.change.completion import Completion

BLOCK = 1 << 13
"""A block more costs as much as so many multiplications: it reads its part anew."""

READ = {8: 120, 4: 140}
"""To read one number that is kept of a sample, and what is made of it, takes as long as
so many multiplications, by bytes of a real: on CPUs."""

Booleans = npt.NDArray[np.bool_]

FEW = 4
"""Products of rows with so many elements are written as sums."""


class Span(NamedTuple):
    """Weights from positions next to each other.

    Attributes:
        weights: to each position, (m, positions from first to last x C, C').
    """

    first: int
    last: int
    weights: Array


class Opened(NamedTuple):
    """What is kept of a layer for a group of steps."""

    node: Masked
    group: int


@dataclass(eq=False, repr=False)
class Masked(Node):
    """Sums over positions of products with weights, some of which are 0.

    Attributes:
        pairs: whether there is a weight (positions of the source, positions).
        weights: (positions of the source, channels of it, positions, channels).
    """

    pairs: Booleans
    weights: Weights

    @property
    def is_joint(self) -> bool:
        return True

    @property
    def size(self) -> int:
        """The number of weights, of which some are 0."""
        return self.pairs.size * self.sources[0].channels * self.channels

    def reached(self, lists: Sequence[Numbers]) -> Numbers:
        (own,) = lists
        nowhere = np.zeros((1, self.positions), np.bool_)
        ways = np.concatenate([self.pairs, nowhere])
        found: Booleans = np.any(ways[np.where(own < 0, len(self.pairs), own)], axis=1)
        return np.where(found, np.arange(self.positions), NOWHERE)

    def _blocks(self, trace: Trace) -> list[Block]:
        (source,) = self.sources
        rows, columns = trace.lists[source][0], trace.lists[self][0]
        ways: Booleans = self.pairs[rows[None, :], columns[:, None]]
        places: Numbers = np.where(ways, np.arange(len(rows)), NOWHERE)
        return blocks_of(places[None], BLOCK // (source.channels * self.channels))

    def work(self, trace: Trace) -> float:
        (source,) = self.sources
        own = trace.length(self) * self.channels
        read = trace.length(source) * source.channels if source.is_joint else own
        if source.is_joint:
            each = source.channels * self.channels
            found = each * sum(one.pairs for one in self._blocks(trace))
        else:
            found = trace.length(source) * source.channels * own
        return found + of_real(READ, self.value) * (own + read)

    def _columns(self, at: Emission) -> Array:
        """Return weights of positions that are reached, (S, C, m, C')."""
        weights = self.weights(at).transpose(2, 0, 1, 3)
        return taken_rows(weights, at.trace.lists[self][0]).transpose(1, 2, 0, 3)

    def _block(self, at: Emission, own: Block) -> Array:
        """Return a matrix (m * C, m' * C')."""
        (source,) = self.sources
        columns = self._columns(at).slice(own.start, own.stop, 2)
        rows = taken_rows(columns, at.trace.lists[source][0][own.first : own.last])
        return rows.reshape((own.last - own.first) * source.channels, -1)

    def computed(self, at: Emission) -> Array:
        (source,) = self.sources
        change = at.change(source).astype(element_of(self.value))
        count = at.trace.length(self)
        if not source.is_joint:
            columns = at.once_of_lists(self, "columns", self._columns)
            rows = columns.reshape(source.positions, -1)
            rows = rows.of(gather_rows(rows.value, at.list_of(source).value))
            own = change.reshape(-1, 1), rows.reshape(-1, count * self.channels)
            if own[0].shape[0] > FEW:
                total = product(own[0].transpose(1, 0), own[1])
            else:
                total = (own[0].broadcast(own[1].shape, [0, 1]) * own[1]).sum(0)
            return total.reshape(count, self.channels)
        found: list[Array] = []
        for number, one in enumerate(self._blocks(at.trace)):
            size = one.stop - one.start
            if not one.pairs:
                nothing = change.like(0)
                found.append(nothing.broadcast((size, self.channels), []))
                continue
            make = partial(self._block, own=one)
            matrix = at.once_of_lists(self, f"block {number}", make)
            row = change.slice(one.first, one.last).reshape(1, -1)
            found.append(product(row, matrix).reshape(size, self.channels))
        return found[0] if len(found) == 1 else concatenated(found, 0)

    def latest(self, number: int, of: npt.NDArray[Any]) -> npt.NDArray[Any]:
        nothing = np.full((1, of.shape[1]), NOWHERE if of.dtype != bool else False)
        found = [
            of[own].max(axis=0, keepdims=True) if own.any() else nothing
            for own in self.pairs.T
        ]
        return np.concatenate(found)

    def earliest(self, number: int, of: Numbers) -> Numbers:
        return np.where(self.pairs, of, NEVER).min(axis=1)

    def _completing(self, at: Completion, name: str, rows: Booleans) -> Span | None:
        """Return weights from some positions to those that are complete in a group."""
        own = np.unique(at.trace.lists[self])
        ways: Booleans = self.pairs[:, own] & rows[:, None]
        found = np.flatnonzero(ways.any(axis=1))
        if not len(found):
            return None
        first, last = int(found[0]), int(found[-1]) + 1

        def weights(at: Emission) -> Array:
            part = self.weights(at).slice(first, last).transpose(0, 2, 1, 3)
            part = part.reshape((last - first) * self.positions, -1)
            places = np.arange(last - first)[:, None] * self.positions + own
            part = taken_rows(part, places.reshape(-1)).reshape(*places.shape, -1)
            # What is not complete is no number to count with
            inside = array(at.insert, ways[first:last, :, None], i1)
            part = inside.broadcast(part.shape, range(3)).where(part, 0)
            part = part.reshape(*places.shape, -1, self.channels)
            return part.transpose(1, 0, 2, 3).reshape(len(own), -1, self.channels)

        return Span(first, last, at.once_of_lists(self, name, weights))

    def opened(self, at: Completion) -> Array:
        """Return its sums over what is complete before a group, (own, channels)."""
        (source,) = self.sources
        rows = at.of.steps[source] < at.first
        span = self._completing(at, "before", rows)
        assert span is not None
        whole = at.kept_of(source).slice(span.first, span.last)
        row = whole.astype(element_of(self.value)).reshape(1, -1)
        matrix = span.weights.transpose(1, 0, 2)
        return product(row, matrix.reshape(row.shape[1], -1)).reshape(-1, self.channels)

    def completed(self, at: Completion) -> Array:
        (source,) = self.sources
        lists = at.trace.lists[self]
        own, places = np.unique(lists, return_inverse=True)
        places = places.reshape(lists.shape)
        steps = at.of.steps[source]
        found: list[Array] = []
        span = self._completing(at, "inside", steps >= at.first)
        if span is not None:
            matrix = at.rows(span.weights, places).transpose(1, 0, 2)
            whole = at.all_of(source, self).slice(span.first, span.last)
            row = whole.astype(element_of(self.value)).reshape(1, -1)
            total = product(row, matrix.reshape(row.shape[1], -1))
            found.append(total.reshape(-1, self.channels))
        if (self.pairs[:, own] & (steps < at.first)[:, None]).any():
            found.append(at.rows(at.kept_of(Opened(self, at.number)), places))
        if not found:
            nothing = array(at.insert, 0, element_of(self.value))
            return nothing.broadcast((lists.shape[1], self.channels), [])
        return reduce(Array.__add__, found)


@dataclass(eq=False, repr=False)
class Reduced(AtEach):
    """A reduction over channels, such as their maximum.

    Attributes:
        op: which one, of one value.
    """

    op: hlo.ReduceOp

    @property
    def makes_changes(self) -> bool:
        return False

    def computed(self, at: Emission) -> Array:
        (source,) = self.sources
        initial = at.whole(self.op.operands[1])
        new = hlo.ReduceOp.create(
            operands=[at.value(source).value, initial.value],
            result_types=[tensor(element_of(self.value), (at.trace.length(self),))],
            properties={"dimensions": DenseArrayBase.from_list(i64, [1])},
            regions=[self.op.body.clone()],
        )
        at.insert.add_op(new)
        return Array(new.results[0], at.insert).reshape(-1, 1)

    def work(self, trace: Trace) -> float:
        (source,) = self.sources
        return trace.length(self) * source.channels


@dataclass(eq=False, repr=False)
class Chosen(AtEach):
    """One of the channels at each position, of a number that is at it as well.

    Attributes:
        chosen: which channel numbers from 0 on choose; others the first or the last.
        index: the node of these numbers.
    """

    chosen: Channels
    index: Node

    @property
    def makes_changes(self) -> bool:
        return False

    def computed(self, at: Emission) -> Array:
        table = self.chosen.of(at.value_at(self.chosen.node, self))
        own = at.value_at(self.index, self).maximum(0).minimum(table.shape[1] - 1)
        numbers = iota(at.insert, own.element, table.shape, 1)
        hot = numbers.compared("EQ", own.broadcast(table.shape, [0, 1]))
        return hot.where(table, 0).sum(1).reshape(-1, 1)

    def work(self, trace: Trace) -> float:
        return trace.length(self) * len(self.chosen.numbers)
