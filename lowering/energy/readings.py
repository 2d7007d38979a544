"""What declared models read: values whose elements are functions of one site of x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.utils.exceptions import InterpretationError

from dialects.stablehlo import element_of, gather_rows, shape_of
from lowering.arrays import Array
from lowering.change.by_values import Inner
from lowering.change.form_analysis import analyse
from lowering.change.forms import Form, Sites
from lowering.energy.lane_rows import between, digits_of
from lowering.order import operands_first
from lowering.stablehlo.stablehlo_batch import unbatched_op

Numbers = npt.NDArray[Any]

Changes = tuple[Array, Array, Array]
"""Sites, old and new local values, each (K,), or (R, K) or (C, R, K) of all lanes."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a function reads of x: n elements, each of a site of its own.

    Attributes:
        sites: those of the elements, (n,).
        size: how many sites x has.
        values: the local values of x.
        table: what an element is for each local value, (n, V).
        element: the type of the elements.
    """

    sites: Numbers
    size: int
    values: Sequence[float]
    table: Numbers
    element: Attribute

    @classmethod
    def of(cls, inputs: FuncOp, values: Sequence[float]) -> Reading:
        """Return what the last result of a function reads, for some local values."""
        end, x = inputs.body.block.last_op, inputs.body.block.args[-1]
        assert end is not None
        config, known = end.operands[-1], analyse(inputs)
        assert fault_of(inputs, config, known) is None
        sites = _sites(config, known)
        table = _table(Inner(inputs, x, config), shape_of(x), values)
        size = shape_of(x)[-1]
        return cls(sites, size, values, table, element_of(config))

    @cached_property
    def place(self) -> Numbers:
        """The element that reads each site, (N,), -1 where none does."""
        place = np.full(self.size, -1, np.int32)
        place[self.sites] = np.arange(self.sites.size)
        return place

    @cached_property
    def _is_same(self) -> bool:
        return bool((self.table == np.asarray(self.values)).all())

    def of_changes(self, changes: Changes) -> Changes:
        """Return changes of x as those of what is read: none where nothing is read."""
        sites, old, new = changes
        if np.array_equal(self.place, np.arange(self.size)):
            return sites, self._read(sites, old), self._read(sites, new)
        place = _entries(sites.constant(self.place, i32), sites)
        is_read = place.compared("GE", 0)
        place = place.maximum(0)
        old, new = self._read(place, old), self._read(place, new)
        return place, old, is_read.broadcast(new.shape).where(new, old)

    def _read(self, place: Array, local: Array) -> Array:
        if self._is_same:
            return local.astype(self.element)
        first = (place * len(self.values)).broadcast(local.shape)
        number = first + digits_of(local, self.values)
        return _entries(local.constant(self.table.reshape(-1), self.element), number)

    def of_numbers(
        self, x: Numbers, changes: tuple[Numbers, Numbers, Numbers]
    ) -> tuple[Numbers, tuple[Numbers, Numbers, Numbers]]:
        """Return what is read of x (C, N), and changes as `of_changes` does."""

        def read(place: Numbers, local: Numbers) -> Numbers:
            return self.table[place, np.searchsorted(between(self.values), local)]

        sites, old, new = changes
        place = self.place[sites]
        is_read, place = place >= 0, np.maximum(place, 0)
        old, new = read(place, old), read(place, new)
        own = read(np.arange(self.sites.size)[None], x[:, self.sites])
        return own, (place, old, np.where(is_read, new, old))


def fault_of(
    function: FuncOp, config: SSAValue, known: dict[SSAValue, Form]
) -> str | None:
    """Return why a value is no reading of x, None where it is one."""
    sites = _sites(config, known)
    if (sites < 0).any() or len(set(sites.tolist())) < sites.size or not sites.size:
        return "its configuration is not made of x site by site"
    x = function.body.block.args[-1]
    arguments = {v for v in operands_first(config) if isinstance(v.owner, Block)}
    if arguments != {x}:
        return "its configuration is computed with parameters"
    inner = Inner(function, x, config)
    unknown = unbatched_op(inner.function)
    if unknown is not None:
        return f"its configuration is computed by '{unknown}'"
    try:
        _table(inner, shape_of(x), [0.0])
    except InterpretationError as error:
        return f"its configuration is not known: {error}"
    return None


def _sites(config: SSAValue, known: dict[SSAValue, Form]) -> Numbers:
    """Return the site of each element; -1 for another one than a function of one."""
    read = known[config]
    return read.sites.reshape(-1) if isinstance(read, Sites) else np.array([-1])


def _table(inner: Inner, shape: Sequence[int], values: Sequence[float]) -> Numbers:
    found = inner.of([np.full(shape, value) for value in values])
    return np.stack([one.reshape(-1) for one in found], axis=1)


def _entries(table: Array, numbers: Array) -> Array:
    """Return table[numbers], where they are in range, in the shape of the numbers."""
    insert = numbers.insert
    return Array(insert.add(gather_rows(table.value, numbers.value)), insert)
