"""Rules of ops that combine elements: products, sums, and what reads by numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import Operation
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import DotAttr

from dialects.stablehlo import (
    as_dims,
    combiner_of,
    dtype_of,
    element_of,
    shape_of,
    tensor,
)
from lowering.arrays import Array as Written
from lowering.change.forms import (
    Added,
    Array,
    Elementwise,
    Form,
    New,
    Same,
    Sites,
    is_affine,
)
from lowering.change.layout_rules import ints, inverse
from lowering.change.rules import (
    ChangeRule,
    Fixed,
    is_fixed,
    is_inexact,
    new,
)


class CombiningRule(ChangeRule):
    """Sums of many elements, or elements from elsewhere: linear where not said else."""

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        """Return another form than that of a linear function of the operands."""
        return None

    def form(self, op: Operation, forms: Sequence[Form]) -> Form:
        if any(isinstance(one, Elementwise) for one in forms):
            return new(op, "combines functions of elements")
        refused = self.refused(op, forms)
        return refused or Added(op.results[0], all(map(is_affine, forms)))


class BilinearRule(CombiningRule):
    """A product, of one factor without x."""

    names = ("stablehlo.convolution", "stablehlo.dot_general")

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        if not any(map(is_fixed, forms)):
            return new(op, "a product of two values that depend on x")
        return None if is_inexact(op.results[0]) else _wraps(op)

    def factors(self, op: Operation) -> Sequence[int]:
        return (0, 1)

    def has_cotangent(self, op: Operation) -> bool:
        return isinstance(op, hlo.DotGeneralOp)

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        """Return the product with the other factor, over what that has alone.

        Axes of the product are those of batching, then what is left of the left factor,
        and of the right one.
        """
        numbers, shapes = op.dot_dimension_numbers, [shape_of(v) for v in op.operands]
        batching, contracting = (
            [
                [
                    axis.value.data
                    for axis in getattr(numbers, f"{side}_{kind}_dimensions")
                ]
                for side in ("lhs", "rhs")
            ]
            for kind in ("batching", "contracting")
        )
        rest = [
            [
                axis
                for axis in range(len(shape))
                if axis not in batching[side] and axis not in contracting[side]
            ]
            for side, shape in enumerate(shapes)
        ]
        other, count = 1 - number, len(batching[0])
        first = count + (0 if number else len(rest[0]))
        over = range(first, first + len(rest[other]))
        factor = fixed(op.operands[other])
        # Of the factor that is left are axes that were contracted, in their order there
        left = sorted(contracting[other])
        pairs = dict(zip(contracting[other], contracting[number], strict=True))
        own = [*batching[number], *rest[number], *(pairs[axis] for axis in left)]
        dims = (range(count), batching[other], over, rest[other])
        product = hlo.DotGeneralOp.create(
            operands=[cotangent.value, factor.value],
            result_types=[
                tensor(cotangent.element, [shapes[number][axis] for axis in own])
            ],
            properties={
                **op.properties,
                "dot_dimension_numbers": DotAttr(*map(as_dims, dims)),
            },
        )
        return cotangent.of(product).transpose(*inverse(own))


class ReduceRule(CombiningRule):
    """A sum, or a reduction of elements of one site."""

    names = ("stablehlo.reduce",)

    def form(self, op: Operation, forms: Sequence[Form]) -> Form:
        if isinstance(forms[0], Elementwise):
            return new(op, "combines functions of elements")
        return super().form(op, forms)

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        if len(op.operands) != 2 or not is_fixed(forms[1]):
            return new(op, "not a reduction of one value")
        only, adds = forms[0], combiner_of(op) is hlo.AddOp
        if isinstance(only, Sites):
            sites = _of_same_sites(only.sites, ints(op.dimensions))
            if sites is not None:
                return Sites(sites, only.affine and adds and is_inexact(op.results[0]))
        if not adds:
            return new(op, "not a sum")
        if is_inexact(op.results[0]):
            return None
        # Differences of integers on the way are taken of values, not by rules
        return Added(op.results[0], affine=False) if _has_room(op) else _wraps(op)

    def has_cotangent(self, op: Any) -> bool:
        return combiner_of(op) is hlo.AddOp

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        shape, gone = shape_of(op.operands[0]), ints(op.dimensions)
        kept = [axis for axis in range(len(shape)) if axis not in gone]
        return cotangent.broadcast(shape, kept)


class ReadRule(CombiningRule):
    """Elements at places without x, or rows of a table, each chosen by one site."""

    names = ("stablehlo.gather", "stablehlo.dynamic_slice")

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        return None if all(map(is_fixed, forms[1:])) else _looked_up(op, forms)

    def factors(self, op: Operation) -> Sequence[int]:
        return range(1, len(op.operands))


class PadRule(CombiningRule):
    """Elements with a filling around them, which is without x."""

    names = ("stablehlo.pad",)

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        return None if is_fixed(forms[1]) else new(op, "padded with what depends on x")


class TransformRule(CombiningRule):
    """A Fourier transform."""

    names = ("stablehlo.fft",)


RULES = (
    BilinearRule(),
    ReduceRule(),
    ReadRule(),
    PadRule(),
    TransformRule(),
)


def _has_room(op: Operation) -> bool:
    """Whether a sum of integers that were converted from narrow ones cannot wrap."""
    before = op.operands[0].owner
    if not isinstance(before, hlo.ConvertOp):
        return False
    narrow, wide = (dtype_of(element_of(v)) for v in (before.operand, before.result))
    count = prod(shape_of(op.operands[0]))
    if narrow.kind not in "iu" or wide.kind != "i":
        return False
    return count * 2 ** (8 * narrow.itemsize) < np.iinfo(wide).max


def _wraps(op: Operation) -> New:
    return new(op, "sums of integers may wrap")


def _of_same_sites(sites: Array, axes: Sequence[int]) -> Array | None:
    """Return the sites of reduced elements, where each reduces those of one site."""
    if not sites.size:
        return None
    first, last = sites.max(axis=tuple(axes)), sites.min(axis=tuple(axes))
    return first if np.array_equal(first, last) else None


def _looked_up(op: Operation, forms: Sequence[Form]) -> Form:
    """Return the form of rows of a table without x, each chosen by one site."""
    table, starts = forms[0], forms[1]
    if (
        not isinstance(op, hlo.GatherOp)
        or not isinstance(table, Same)
        or not isinstance(starts, Sites)
    ):
        return new(op, "where it reads depends on x")
    numbers = op.dimension_numbers
    axis = int(numbers.index_vector_dim.value.data)
    offsets = [int(one.value.data) for one in numbers.offset_dims]
    if axis < starts.sites.ndim:
        if starts.sites.shape[axis] != 1:
            return new(op, "where it reads depends on two sites")
        sites = np.squeeze(starts.sites, axis)
    else:
        sites = starts.sites
    for one in offsets:
        sites = np.expand_dims(sites, one)
    return Sites(np.broadcast_to(sites, shape_of(op.results[0])), affine=False)
