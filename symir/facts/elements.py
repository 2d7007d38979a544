"""Matrix elements of an operator at many configurations, read off its `sym` level.

Nothing is lowered, and no JAX is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.interpreters.sym import connections
from lowering.analysis.row_kinds import kinds_of_rows
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import Space

Array = npt.NDArray[Any]

CHUNK = 2**21
"""Numbers that are computed at once, about: samples * lanes * sites."""

ROUNDING = 2**8
"""Numbers that differ by so many units in the last place count as equal."""


@dataclass(frozen=True)
class Selected:
    """Selection of the lanes that count for a sample: those of the same group.

    A sample or lane of group -1 counts for none. Without groups all lanes count.
    """

    samples: Array
    lanes: Array


@dataclass(frozen=True)
class Elements:
    """Matrix elements <x|O|x'>, branches with equal x' summed.

    Attributes:
        x: the samples, (n, N).
        group: a number for each sample; elements of different groups are unrelated.
        source: for each of m elements the number of its x.
        target: its x', (m, N).
        value: the element.
        scale: the sum of the absolute values of its branches.
        eps: the precision of the matrix elements.
        busy: for each sample, the number of its branches other than 0.
    """

    x: Array
    group: Array
    source: Array
    target: Array
    value: Array
    scale: Array
    eps: float
    busy: Array

    @cached_property
    def moves(self) -> npt.NDArray[np.bool_]:
        """Whether x' is not x."""
        return (self.target != self.x[self.source]).any(axis=1)

    @cached_property
    def tolerance(self) -> Array:
        """Rounding error of each element, at most about, relative to its branches."""
        scale = np.where(np.isfinite(self.scale), self.scale, 0.0)
        return self.eps * ROUNDING * scale

    @cached_property
    def matters(self) -> npt.NDArray[np.bool_]:
        """Whether an element is another number than 0; NaN is."""
        return ~(np.abs(self.value) <= self.tolerance)

    @property
    def imaginary(self) -> npt.NDArray[np.bool_]:
        """Whether an element is no real number; NaN without imaginary part is one."""
        return ~(np.abs(np.imag(self.value)) <= self.tolerance)

    def differ_from(self, other: Array, scale: Array) -> npt.NDArray[np.bool_]:
        """Return whether elements differ from numbers with scales of their own.

        NaN is equal to NaN.
        """
        with np.errstate(invalid="ignore"):
            distance = np.abs(self.value - other)
        tolerance = self.tolerance + self.eps * ROUNDING * scale
        same = (self.value == other) | (np.isnan(self.value) & np.isnan(other))
        # An infinite element has no tolerance: infinities of two signs differ.
        near = np.isfinite(distance) & (distance <= tolerance)
        return ~(same | near)

    def reversed(self, distinct: Array) -> tuple[Array, Array]:
        """Return <x'|O|x> for each element, and its scale, where x' is a sample too.

        They are 0 where x' is none. `distinct` holds the local values, ascending.
        """
        count = len(self.x)
        both = np.searchsorted(distinct, np.concatenate([self.x, self.target]))
        groups = np.concatenate([self.group, self.group[self.source]])
        place, _ = kinds_of_rows([groups, *both.T], len(both))
        of_x, of_target = place[:count], place[count:]
        base = int(place.max(initial=0)) + 1
        forward = of_x[self.source] * base + of_target
        backward = of_target * base + of_x[self.source]
        order = np.argsort(forward)
        found = np.searchsorted(forward, backward, sorter=order)
        found = order[np.minimum(found, len(order) - 1)] if len(order) else found
        exists = forward[found] == backward
        return (
            np.where(exists, self.value[found], 0),
            np.where(exists, self.scale[found], 0),
        )


class Evaluator:
    """Computes branches of an operator at configurations, some of them at once."""

    def __init__(
        self, ir: SymbolicOperatorIR, space: Space, parameters: Mapping[str, complex]
    ):
        self.space = space
        self.dtype = np.dtype(ir.dtype_str)
        self.lanes = ir.max_conn_size
        self.state = space.default_dtype()
        self._op, self._parameters = ir.operator, parameters

    @property
    def cost(self) -> int:
        """Count of numbers in the branches of one sample."""
        return max(1, self.lanes * self.space.size)

    def chunks(self, x: Array) -> Iterator[tuple[int, Array, Array]]:
        """Yield (first sample, x' of shape (b, K, N), elements (b, K)) for (n, N) x."""
        step = max(1, CHUNK // self.cost)
        for start in range(0, len(x), step):
            part = np.asarray(x[start : start + step], self.state)
            with np.errstate(all="ignore"):
                xp, mels = connections(self._op, part, self._parameters)
            if self.state.kind == "f":
                # An operator of single precision rounds the fractions that it writes.
                xp = self.distinct[self.digits(xp)]
            yield start, xp, mels

    def elements(self, x: Array, selected: Selected | None = None) -> Elements:
        """Return the matrix elements at (n, N) samples."""
        sources: list[Array] = []
        targets: list[Array] = []
        values: list[Array] = []
        for start, xp, mels in self.chunks(x):
            counts = mels != 0
            if selected is not None:
                groups = selected.samples[start : start + len(mels), None]
                counts = counts & (groups == selected.lanes)
            sample, lane = np.nonzero(counts)
            sources.append(start + sample)
            targets.append(xp[sample, lane])
            values.append(mels[sample, lane])
        source = np.concatenate([np.empty(0, np.int64), *sources])
        target = np.concatenate([np.empty((0, self.space.size), self.state), *targets])
        value = np.concatenate([np.empty(0, self.dtype), *values])
        group = np.zeros(len(x), np.int64) if selected is None else selected.samples
        return self._summed(x, group, source, target, value)

    def _summed(
        self, x: Array, group: Array, source: Array, target: Array, value: Array
    ) -> Elements:
        columns = [source, *self.digits(target).T]
        inverse, first = kinds_of_rows(columns, len(source))
        count = len(first)
        total = np.zeros(count, np.result_type(self.dtype, np.complex64))
        scale = np.zeros(count)
        with np.errstate(all="ignore"):
            np.add.at(total, inverse, value)
            np.add.at(scale, inverse, np.abs(value))
        return Elements(
            x,
            group,
            source[first],
            target[first],
            total,
            scale,
            float(np.finfo(self.dtype).eps),
            np.bincount(source, minlength=len(x)),
        )

    @cached_property
    def distinct(self) -> Array:
        """The local values of all sites, ascending, as the kernel stores them."""
        return np.unique(np.concatenate(self.space.local_states)).astype(self.state)

    def digits(self, states: Array) -> Array:
        """Return the place of each local value among the distinct ones."""
        between = (self.distinct[:-1] + 0.5 * np.diff(self.distinct)).astype(float)
        return np.searchsorted(between, states)

    def element(self, x: Array, target: Array) -> tuple[Array, Array]:
        """Return <x|O|x'> and its scale, for (n, N) configurations x and x' each."""
        value = np.zeros(len(x), np.result_type(self.dtype, np.complex64))
        scale = np.zeros(len(x))
        for start, xp, mels in self.chunks(x):
            part = slice(start, start + len(mels))
            leads = (xp == target[part, None]).all(axis=-1)
            with np.errstate(all="ignore"):
                value[part] = np.where(leads, mels, 0).sum(axis=1)
                scale[part] = np.where(leads, np.abs(mels), 0).sum(axis=1)
        return value, scale
