"""Rules of ops that move elements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import Operation

from dialects.stablehlo import shape_of
from lowering.arrays import Array as Written
from lowering.arrays import concatenated
from lowering.change.cones import Joined, View
from lowering.change.forms import (
    Added,
    Array,
    Elementwise,
    Form,
    Same,
    Sites,
    is_affine,
)
from lowering.change.position_lists import NOWHERE
from lowering.change.rules import ChangeRule, Fixed, new

MAX_ELEMENTS = 1 << 22
"""Values of more elements are not followed element by element."""


class LayoutRule(ChangeRule):
    """Elements of the operands at other places."""

    cost = "0"

    @abstractmethod
    def moved(self, op: Any, *values: Array) -> Array:
        """Return what the op makes of arrays."""

    def is_reordered(self, op: Any) -> bool:
        """Whether elements that all are there once change their order."""
        return False

    def form(self, op: Operation, forms: Sequence[Form]) -> Form:
        result = op.results[0]
        small = prod(shape_of(result)) <= MAX_ELEMENTS
        if small and all(isinstance(one, Sites | Same) for one in forms):
            sites = [
                one.sites if isinstance(one, Sites) else np.full(shape_of(value), -1)
                for value, one in zip(op.operands, forms, strict=True)
            ]
            return Sites(self.moved(op, *sites), all(map(is_affine, forms)))
        if not any(isinstance(one, Elementwise) for one in forms):
            return Added(result, all(map(is_affine, forms)))
        only = forms[0]
        sizes = {prod(shape_of(value)) for value in (result, *op.operands)}
        if len(forms) > 1 or len(sizes) > 1 or not isinstance(only, Elementwise):
            return new(op, "joins or repeats functions of elements")
        if not self.is_reordered(op):
            return only
        step = f"{op.name}{shape_of(result)}{op.properties}"
        return replace(only, order=(*only.order, step))

    def cone(self, op: Operation, views: Sequence[View | None]) -> View | str:
        known = [one for one in views if one is not None]
        node = known[0].node
        if any(one.node is not node for one in known):
            return f"'{op.name}' of two values that depend on x"
        ids = [
            np.full(shape_of(value), NOWHERE) if one is None else one.ids
            for value, one in zip(op.operands, views, strict=True)
        ]
        return View(node, self.moved(op, *ids))


class BroadcastRule(LayoutRule):
    """Copies along new axes, and of axes of one element."""

    names = ("stablehlo.broadcast_in_dim",)

    def moved(self, op: Any, *values: Array) -> Array:
        (value,) = values
        shape, dims = shape_of(op.result), ints(op.broadcast_dimensions)
        axes = [1] * len(shape)
        for axis, length in zip(dims, value.shape, strict=True):
            axes[axis] = length
        ordered = value.transpose(np.argsort(dims)) if dims else value
        return np.broadcast_to(ordered.reshape(axes), shape)

    def is_reordered(self, op: Any) -> bool:
        dims = ints(op.broadcast_dimensions)
        return dims != sorted(dims) or not _keeps_lengths(op)

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        """Return the sums over what was repeated."""
        shape, dims = shape_of(op.operand), ints(op.broadcast_dimensions)
        kept = [dim for dim, length in zip(dims, shape, strict=True) if length > 1]
        for axis in reversed(range(len(cotangent.shape))):
            if axis not in kept:
                cotangent = cotangent.sum(axis)
        order = [sorted(kept).index(dim) for dim in kept]
        return cotangent.transpose(*order).reshape(*shape)


class ConcatenateRule(LayoutRule):
    """Values next to each other."""

    names = ("stablehlo.concatenate",)
    forms = ("sites, affine", "added, affine")
    cost = "m * D"

    def moved(self, op: Any, *values: Array) -> Array:
        return np.concatenate(values, int(op.dimension.value.data))

    def cone(self, op: Any, views: Sequence[View | None]) -> View | str:
        found = super().cone(op, views)
        if isinstance(found, View):
            return found
        axis = int(op.dimension.value.data)
        known = [one for one in views if one is not None]
        own = [one.by_position(axis) for one in known]
        nodes = tuple(one.node for one in known)
        is_each = np.arange(nodes[0].positions)
        if len(known) < len(views) or any(
            one is None or not np.array_equal(np.sort(one, axis=None), is_each)
            for one in own
        ):
            return found
        first = own[0]
        assert first is not None
        channels = sum(node.channels for node in nodes)
        # Elements of one position are of one everywhere, and each node is there once
        is_same = all(one is not None and np.array_equal(one, first) for one in own)
        if not is_same or len(set(nodes)) < len(nodes):
            return found
        ids = np.moveaxis(first[..., None] * channels + np.arange(channels), -1, axis)
        made = Joined(op.results[0], nodes[0].positions, channels, nodes)
        return View(made, ids)

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        axis: int = op.dimension.value.data
        lengths = [shape_of(value)[axis] for value in op.operands]
        start = sum(lengths[:number])
        return cotangent.slice(start, start + lengths[number], axis)


class ReshapeRule(LayoutRule):
    """The same elements with other axes."""

    names = ("stablehlo.reshape",)

    def moved(self, op: Any, *values: Array) -> Array:
        return values[0].reshape(shape_of(op.result))

    def is_reordered(self, op: Any) -> bool:
        return not _keeps_lengths(op)

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        return cotangent.reshape(*shape_of(op.operands[0]))


class SliceRule(LayoutRule):
    """Some elements."""

    names = ("stablehlo.slice",)

    def moved(self, op: Any, *values: Array) -> Array:
        bounds = (op.start_indices, op.limit_indices, op.strides)
        return values[0][
            tuple(slice(*one) for one in zip(*map(ints, bounds), strict=True))
        ]

    def has_cotangent(self, op: Any) -> bool:
        return set(ints(op.strides)) <= {1}

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        """Return it with zeros where nothing was read."""
        bounds = zip(ints(op.start_indices), ints(op.limit_indices), strict=True)
        for axis, (start, stop) in enumerate(bounds):
            length = shape_of(op.operand)[axis]
            for missing, is_before in ((start, True), (length - stop, False)):
                if missing:
                    shape = list(cotangent.shape)
                    shape[axis] = missing
                    zeros = cotangent.like(0).broadcast(shape, [])
                    sides = [zeros, cotangent] if is_before else [cotangent, zeros]
                    cotangent = concatenated(sides, axis)
        return cotangent


class TransposeRule(LayoutRule):
    """The same elements with axes in another order."""

    names = ("stablehlo.transpose",)

    def moved(self, op: Any, *values: Array) -> Array:
        return np.transpose(values[0], ints(op.permutation))

    def is_reordered(self, op: Any) -> bool:
        return True

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        return cotangent.transpose(*inverse(ints(op.permutation)))


RULES = (
    *(BroadcastRule(), ConcatenateRule(), ReshapeRule(), SliceRule(), TransposeRule()),
)


def padded(
    ids: Array, low: Sequence[int], high: Sequence[int], interior: Sequence[int]
) -> Array:
    """Return numbers with `NOWHERE` around and between; fewer of them if negative."""
    for axis, (before, after, between) in enumerate(
        zip(low, high, interior, strict=True)
    ):
        moved = np.moveaxis(ids, axis, 0)
        length = len(moved) + max(len(moved) - 1, 0) * between
        wide = np.full((length, *moved.shape[1:]), NOWHERE)
        wide[:: between + 1] = moved
        wide = wide[max(-before, 0) : length - max(-after, 0)]
        sides = [(max(before, 0), max(after, 0)), *[(0, 0)] * (wide.ndim - 1)]
        wide = np.pad(wide, sides, constant_values=NOWHERE)
        ids = np.moveaxis(wide, 0, axis)
    return ids


def ints(values: Any) -> list[int]:
    """Return the numbers of an attribute."""
    return [int(value) for value in values.get_values()]


def inverse(order: Sequence[int]) -> list[int]:
    """Return the inverse of a permutation."""
    return sorted(range(len(order)), key=order.__getitem__)


def _keeps_lengths(op: Operation) -> bool:
    """Whether the axes of more than one element stay what they are."""
    before, after = shape_of(op.operands[0]), shape_of(op.results[0])
    return [n for n in before if n != 1] == [n for n in after if n != 1]
