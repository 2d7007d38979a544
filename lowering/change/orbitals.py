"""Rows of a table that occupied sites choose: orbitals of fermions.

`jnp.nonzero(n, size=F)`, a sort, or a cumulative sum give the numbers of the sites that
are occupied, in order. Where a fermion hops a row is exchanged, and others move up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import FunctionType, ModuleOp, i1, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.utils.exceptions import InterpretationError

from dialects.interpreters.kernel import run_kernel
from dialects.stablehlo import element_of, shape_of, tensor
from lowering.arrays import Array
from lowering.change.by_values import Inner, source_of
from lowering.change.cones import (
    Emission,
    Node,
    Pointwise,
    View,
    Written,
    splat_of,
)
from lowering.change.linear_rows import LinearRows, linear_rows
from lowering.change.position_lists import Numbers, Trace, reading

EXAMPLES = 24
"""So many occupations are tried."""

MAX_TABLES = 5
"""Of more, rows at x' are multiplied: so many tables are kept of each x."""


class Lost(NamedTuple):
    """A value that depends on x, and of which no node is known.

    Attributes:
        reason: why.
        known: those of the function that are known.
        depends: which of its values depend on x.
        function: that it is a value of.
    """

    reason: str
    known: Mapping[SSAValue, View]
    depends: Callable[[SSAValue], bool]
    function: FuncOp


@dataclass(frozen=True, eq=False)
class Occupied:
    """Sites that are occupied: in each group of them as many.

    Attributes:
        mask: which they are.
        empty: what an empty one is in the mask.
        is_x: whether the mask is x itself, which has to be one of two numbers.
        number: what an occupied one is in it.
        positions: of the mask, each site of each group (G, S).
        count: the number of occupied sites of a group.
    """

    mask: Node
    is_x: bool
    empty: float
    number: float
    positions: Numbers
    count: int

    @property
    def groups(self) -> int:
        return self.positions.shape[0]

    @property
    def sites(self) -> int:
        """The number of sites of a group."""
        return self.positions.shape[1]

    @cached_property
    def is_at_each(self) -> bool:
        """Whether the mask asks of each site of x the same.

        As some sites are occupied and some are not, of two values one is occupied.
        """
        node = self.mask
        while isinstance(node, Pointwise) and len(node.sources) == 1:
            fixed = (one for one in node.operands if isinstance(one, SSAValue))
            if any(splat_of(one) is None for one in fixed):
                return False
            (node,) = node.sources
        return isinstance(node, Written)

    def is_known(self, values: Sequence[float]) -> bool:
        """Whether it is known which sites are occupied, for some local values."""
        return not self.is_x or {*values} == {self.empty, self.number}

    def of(self, mask: Array) -> Array:
        """Return which elements of a mask are occupied."""
        return mask.compared("EQ", self.number) if self.is_x else mask


class _Chosen(Node):
    """Rows that are chosen: what is computed is their determinants alone."""

    @property
    def is_computed(self) -> bool:
        return False

    def computed(self, at: Emission) -> Array:
        raise AssertionError("rows are read for determinants alone")


@dataclass(eq=False, repr=False)
class Slots(_Chosen):
    """The rows of a table, one for each site of each group.

    Its positions are these sites, and what changes of it are sites that become occupied
    or empty, and occupied or not those whose row is another one.

    Attributes:
        occupied: which of them are.
        table: where rows have no x: the value that they are elements of.
        elements: where rows have no x: their elements there (G * S, C).
        place: where rows depend on x: their positions in the second source (G * S,).
        order: where rows depend on x: their channels there (C,).
    """

    occupied: Occupied
    table: SSAValue | None
    elements: Numbers
    place: Numbers
    order: Numbers

    @cached_property
    def factor(self) -> LinearRows | None:
        """Fewer numbers that rows are linear in; None where there are none."""
        if self.table is not None:
            return None
        found = linear_rows(self.sources[1])
        most = min(MAX_TABLES, self.occupied.count)
        return found if 1 + found.numbers <= most else None

    def exchanged(self, trace: Trace, groups: Sequence[int]) -> int:
        """Return how many rows that are chosen change at most, of any of some groups.

        Of rows without x those of sites that are entered replace those that are left.
        """
        lists, occupied = trace.lists[self], self.occupied
        own = np.where(lists < 0, -1, lists // occupied.sites)
        most = 1
        for group in groups:
            listed = (own == group).sum(axis=1)
            if self.table is not None:
                most = max(most, int(listed.max()) // 2)
                continue
            if occupied.is_at_each and trace.values == 2:
                # Each site that is written becomes empty or occupied, and as many
                # are left as are entered: half of them are empty before
                written = trace.lists[occupied.mask]
                listed -= np.isin(written, occupied.positions[group]).sum(axis=1) // 2
            most = max(most, min(int(listed.max()), occupied.count))
        return most

    def _wanted(self) -> list[Numbers]:
        """Return the position of each slot in each source."""
        own = self.occupied.positions.reshape(-1)
        return [own] if self.table is not None else [own, self.place]

    def reached(self, lists: Sequence[Numbers]) -> Numbers:
        both = zip(self._wanted(), lists, strict=True)
        return np.concatenate([reading(*one) for one in both], axis=1)

    def needed(self, own: Numbers) -> list[Numbers]:
        return [wanted[own] for wanted in self._wanted()]


@dataclass(eq=False, repr=False)
class Rows(_Chosen):
    """The rows of occupied sites, in order: its positions are these fermions.

    Where they are is not known, so that ops other than those that move elements, and
    determinants, know nothing of them.

    Attributes:
        slots: the rows of all sites.
    """

    slots: Slots


def rows_of(op: Operation, table: View | Lost | None, indices: Lost) -> View | str:
    """Return what a gather reads, where that is rows that occupied sites choose."""
    if isinstance(table, Lost):
        return table.reason
    index = op.operands[1]
    found = _occupied(indices, index)
    if isinstance(found, str):
        return found
    occupied, places = found
    elements = _elements(op, occupied, places)
    if isinstance(elements, str):
        return elements
    each, first, stride = elements
    groups = each // occupied.count
    # Of each group columns of its own, which are as many
    columns = [np.unique(first[groups == g]) for g in range(occupied.groups)]
    if len({len(one) for one in columns}) > 1:
        return "groups of sites choose rows of different lengths"
    count = len(columns[0])
    own = np.zeros_like(first)
    for g, one in enumerate(columns):
        own = np.where(groups == g, np.searchsorted(one, first), own)
    sites = np.arange(occupied.sites) * stride
    codes = np.concatenate([sites[:, None] + one for one in columns])
    ids = (each * count + own).reshape(shape_of(op.results[0]))
    slots = _slots(op, occupied, codes, table)
    if isinstance(slots, str):
        return slots
    rows = Rows(op.results[0], int(each.max()) + 1, count, slots.sources, slots)
    return View(rows, ids)


def _slots(
    op: Operation, occupied: Occupied, codes: Numbers, table: View | None
) -> Slots | str:
    made = Slots(
        op.results[0],
        len(codes),
        codes.shape[1],
        (occupied.mask,),
        occupied,
        op.operands[0],
        codes,
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
    )
    if table is None:
        return made
    ids = table.ids.reshape(-1)[codes]
    node = table.node
    place, order = ids // node.channels, ids % node.channels
    is_known = (ids >= 0).all() and (place == place[:, :1]).all()
    if not is_known or (order != order[:1]).any():
        return "rows that are chosen are not those of positions"
    if node.positions == 1:
        return "all rows change"
    sources = (occupied.mask, node)
    return replace(made, sources=sources, table=None, place=place[:, 0], order=order[0])


def _is_mask(view: View | None, value: SSAValue) -> bool:
    """Whether a value is x itself, or a predicate of its sites."""
    if view is None or view.node.channels != 1 or not shape_of(value):
        return False
    flat = view.ids.reshape(-1)
    is_of_sites = isinstance(view.node, Written) or element_of(value) == i1
    return is_of_sites and bool((flat >= 0).all()) and len(set(flat)) == flat.size


_KINDS = ((1.0, 0.0), (1.0, -1.0), (-1.0, 1.0), (0.0, 1.0))
"""Numbers of occupied and of empty sites, where these are x."""


def is_of_rows(view: View) -> bool:
    """Whether a value is of rows that occupied sites choose."""
    return isinstance(view.node, Rows)


def settled(lost: Lost, value: SSAValue, rows: View) -> bool | None:
    """Return what a predicate always is where as many sites are occupied.

    None where it is not always the same, or of something else.
    """
    source, node = _mask_of(lost, value), rows.node
    assert isinstance(node, Rows)
    occupied = node.slots.occupied
    if source is None:
        return None
    mask = lost.known[source]
    # Of other sites another number may be occupied
    is_same = np.array_equal(mask.ids.reshape(-1), occupied.positions.reshape(-1))
    if mask.node is not occupied.mask or not is_same:
        return None
    masks = _examples(shape_of(source), occupied.count)
    examples = list(np.where(masks, occupied.number, occupied.empty))
    try:
        found = np.array(Inner(lost.function, source, value).of(examples))
    except InterpretationError:
        return None
    return bool(found.flat[0]) if (found == found.flat[0]).all() else None


def _mask_of(lost: Lost, value: SSAValue) -> SSAValue | None:
    """Return the mask that a value is a function of, and of nothing else of x."""
    return source_of(
        value, lost.depends, lambda one: _is_mask(lost.known.get(one), one)
    )


def _occupied(lost: Lost, index: SSAValue) -> tuple[Occupied, _Places] | str:
    """Return the sites that indices are the numbers of."""
    source = _mask_of(lost, index)
    if source is None:
        return lost.reason
    view, shape = lost.known[source], shape_of(source)
    is_x = element_of(source) != i1
    try:
        inner = Inner(lost.function, source, index)
        for count in sorted({*shape_of(index)[:-1]}, reverse=True):
            for number, empty in _KINDS if is_x else _KINDS[:1]:
                found = _places(inner, shape, count, number, empty)
                if found is not None:
                    positions = view.ids.reshape(-1, shape[-1])
                    own = view.node, is_x, empty, number, positions, count
                    return Occupied(*own), found
    except InterpretationError as error:
        return f"{lost.reason}: {error}"
    return f"{lost.reason}, and its places are not those of occupied sites"


def _examples(shape: Sequence[int], count: int) -> npt.NDArray[np.bool_]:
    """Return masks of which each row has so many sites."""
    groups, sites = int(np.prod(shape[:-1])), shape[-1]
    rng = np.random.default_rng(0)
    order = rng.permuted(
        np.broadcast_to(np.arange(sites), (EXAMPLES, groups, sites)), axis=-1
    )
    # The first ones, the last ones, and all of the first but one
    order[0], order[1] = np.arange(sites), np.arange(sites)[::-1]
    order[2] = np.roll(np.arange(sites), 1)
    return (order < count).reshape(EXAMPLES, *shape)


class _Places(NamedTuple):
    """Rows of indices, of which one component each is the number of an occupied site.

    Attributes:
        component: which (rows,).
        fermion: which site: so many of all groups are before it (rows,).
        offset: what is added to its number (rows,).
        others: the other components, and 0 (rows, components).
    """

    component: Numbers
    fermion: Numbers
    offset: Numbers
    others: Numbers

    def at(self, site: int) -> Numbers:
        """Return the indices where each site has the same number."""
        found = self.others.copy()
        found[np.arange(len(found)), self.component] = site + self.offset
        return found


def _places(
    inner: Inner, shape: Sequence[int], count: int, number: float, empty: float
) -> _Places | None:
    """Return what indices are of masks of which each row has so many sites."""
    sites = shape[-1]
    if not 0 < count < sites:
        return None
    masks = _examples(shape, count)
    found = np.array(inner.of(list(np.where(masks, number, empty))), np.int64)
    found = found.reshape(len(masks), -1, found.shape[-1])
    occupied = np.nonzero(masks)[-1].reshape(len(masks), -1)
    moving = (found != found[:1]).any(axis=0)
    if (moving.sum(axis=-1) != 1).any():
        return None
    component = moving.argmax(axis=-1)
    own = np.take_along_axis(found, component[None, :, None], axis=-1)[..., 0]
    apart = own[:, :, None] - occupied[:, None]
    is_one = (apart == apart[:1]).all(axis=0)
    if (is_one.sum(axis=-1) != 1).any():
        return None
    fermion = is_one.argmax(axis=-1)
    offset = apart[0, np.arange(len(fermion)), fermion]
    return _Places(component, fermion, offset, np.where(moving, 0, found[0]))


def _elements(
    op: Any, occupied: Occupied, places: _Places
) -> tuple[Numbers, Numbers, int] | str:
    """Return the fermion of each element that is read, and where it reads.

    That is: its element of the table where its site has number 0, and how many elements
    the next site is further.
    """
    table, index = op.operands
    shape = shape_of(index)
    if int(op.dimension_numbers.index_vector_dim.value.data) != len(shape) - 1:
        return "indices are not next to each other"
    numbers = np.arange(np.prod(shape_of(table))).reshape(shape_of(table))

    def read(site: int) -> Numbers:
        return gathered(op, numbers, places.at(site).reshape(shape)).reshape(-1)

    first, second, last = (read(site) for site in (0, 1, occupied.sites - 1))
    strides = np.unique(second - first)
    if len(strides) != 1 or strides[0] <= 0:
        return "sites choose elements at other places for each"
    (stride,) = strides
    if (last - first != stride * (occupied.sites - 1)).any():
        return "sites choose rows that there are not"
    each = gathered_rows(op, places.fermion.reshape(shape[:-1]))
    return each.reshape(-1), first, int(stride)


def moved_ids(op: Operation, ids: Numbers) -> Numbers | None:
    """Return what a gather at known places makes of an array; None of other places.

    These are constants, or computed from such.
    """
    function = op.parent_op()
    assert isinstance(function, FuncOp)
    x = function.body.block.args[-1]
    try:
        (places,) = Inner(function, x, op.operands[1]).of([np.zeros(shape_of(x))])
    except InterpretationError:
        return None
    return gathered(op, ids, places)


def gathered(op: Operation, table: Numbers, index: Numbers) -> Numbers:
    kinds: list[Attribute] = [
        tensor(i64, table.shape),
        tensor(element_of(op.operands[1]), index.shape),
    ]
    block = Block(arg_types=kinds)
    result = tensor(i64, shape_of(op.results[0]))
    new = type(op).create(
        operands=block.args, result_types=[result], properties=op.properties
    )
    block.add_ops([new, ReturnOp(*new.results)])
    function = FuncOp(
        "gathered", FunctionType.from_lists(kinds, [result]), Region(block)
    )
    return np.asarray(run_kernel(ModuleOp([function]), [table, index])[0])


def gathered_rows(op: Any, rows: Numbers) -> Numbers:
    """Return of which row of indices each element of the result is."""
    shape = shape_of(op.results[0])
    offsets = [int(one.value.data) for one in op.dimension_numbers.offset_dims]
    batch = [axis for axis in range(len(shape)) if axis not in offsets]
    lengths = [shape[axis] if axis in batch else 1 for axis in range(len(shape))]
    return np.broadcast_to(rows.reshape(lengths), shape)
