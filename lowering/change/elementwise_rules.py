"""Rules of ops that do the same at each element."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import chlo
from dialects.stablehlo import ELEMENTWISE, constant_of, dtype_of, element_of, shape_of
from lowering.arrays import Array as Written
from lowering.change.cones import Channels, Pointwise, View, splat_of
from lowering.change.forms import (
    Added,
    Array,
    Elementwise,
    Form,
    Same,
    Sites,
    is_affine,
    root_of,
)
from lowering.change.orbitals import Lost, is_of_rows, settled
from lowering.change.position_lists import NOWHERE
from lowering.change.rules import (
    ChangeRule,
    Fixed,
    Images,
    is_fixed,
    is_inexact,
    new,
)
from lowering.energy.extraction import is_coarse
from lowering.rewriting import Inserter, op_name


class ElementwiseRule(ChangeRule):
    """A scalar function: elementwise, of one site as well, or affine."""

    names = (
        *sorted(ELEMENTWISE - {"stablehlo.constant"}),
        "stablehlo.bitcast_convert",
        *(f"chlo.{name}" for name in chlo.NAMES),
    )
    forms = ("sites", "elementwise")
    cost = "m * D * f"

    def is_kept_affine(self, op: Operation, forms: Sequence[Form]) -> bool:
        """Whether the op on affine operands is affine."""
        return False

    def form(self, op: Operation, forms: Sequence[Form]) -> Form:
        if not is_elementwise(op):
            return new(op, "splits elements")
        kinds = {type(one) for one in forms} - {Same}
        kept = self.is_kept_affine(op, forms)
        if kinds == {Sites}:
            joined = _joined_sites(op, forms)
            if joined is not None:
                return Sites(joined, kept and all(map(is_affine, forms)))
        if Elementwise in kinds or not kept:
            return _of_one_root(op, forms)
        roots = {
            one.root if isinstance(one, Added) else value
            for value, one in zip(op.operands, forms, strict=True)
            if not isinstance(one, Same)
        }
        uniform = all(one.is_splat for one in forms if isinstance(one, Same))
        is_one = len(roots) == 1 and uniform and Sites not in kinds
        root = roots.pop() if is_one else op.results[0]
        return Added(root, all(map(is_affine, forms)))

    def cone(self, op: Operation, views: Sequence[View | None]) -> View | str:
        if not is_elementwise(op):
            return super().cone(op, views)
        known = [one for one in views if one is not None]
        positions, shape = known[0].node.positions, shape_of(op.results[0])
        if any(one.node.positions != positions for one in known):
            return f"'{op.name}' of values of different positions"
        if any(one.ids.shape != shape for one in known):
            return f"'{op.name}' of one number that depends on x, and of many"
        is_uniform = all(
            one is not None or splat_of(value) is not None or shape_of(value) == ()
            for value, one in zip(op.operands, views, strict=True)
        )
        found = _arranged(known, is_uniform=is_uniform)
        if found is None:
            return f"'{op.name}' of some of the elements, or of different orders"
        ids, channels, own = found
        operands = iter(own)
        forms: list[Form] = [
            Same() if one is None else Added(value, affine=True)
            for value, one in zip(op.operands, views, strict=True)
        ]

        def image(op: Operation, insert: Inserter, fixed: Sequence[bool]) -> SSAValue:
            now = {value: value for value in op.operands}
            return self.image(op, Images(insert, fixed, now))

        made = Pointwise(
            op.results[0],
            positions,
            channels,
            tuple(dict.fromkeys(one.node for one in known)),
            op,
            tuple(
                value if one is None else next(operands)
                for value, one in zip(op.operands, views, strict=True)
            ),
            image if self.is_kept_affine(op, forms) else None,
            ids,
        )
        return View(made, ids)


class SumRule(ElementwiseRule):
    """A sum, or a part of one number."""

    names = (
        *("stablehlo.add", "stablehlo.subtract", "stablehlo.negate"),
        *("stablehlo.real", "stablehlo.imag", "stablehlo.complex"),
    )
    forms = ChangeRule.forms
    cost = "m * D"

    def is_kept_affine(self, op: Operation, forms: Sequence[Form]) -> bool:
        return is_inexact(op.results[0]) and not any(map(_is_huge, op.operands))

    def image(self, op: Operation, images: Images) -> SSAValue:
        if not isinstance(op, hlo.AddOp | hlo.SubtractOp) or not any(images.fixed):
            return super().image(op, images)
        moving = images.array(op.operands[images.fixed.index(False)])
        minus = isinstance(op, hlo.SubtractOp) and images.fixed[0]
        return (-moving if minus else moving).value

    def has_cotangent(self, op: Operation) -> bool:
        return isinstance(op, hlo.AddOp | hlo.SubtractOp | hlo.NegateOp)

    def cotangent(
        self, op: Operation, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        is_minus = isinstance(op, hlo.NegateOp)
        is_minus |= isinstance(op, hlo.SubtractOp) and number == 1
        return -cotangent if is_minus else cotangent


class ProductRule(ElementwiseRule):
    """A multiple, of a factor without x."""

    names = ("stablehlo.multiply",)
    forms = ChangeRule.forms
    cost = "m * D"

    def is_kept_affine(self, op: Operation, forms: Sequence[Form]) -> bool:
        return is_inexact(op.results[0]) and any(map(is_fixed, forms))

    def factors(self, op: Operation) -> Sequence[int]:
        return (0, 1)

    def cotangent(
        self, op: Operation, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        return cotangent * fixed(op.operands[1 - number])


class QuotientRule(ElementwiseRule):
    """A fraction, of a denominator without x."""

    names = ("stablehlo.divide",)
    forms = ChangeRule.forms

    def is_kept_affine(self, op: Operation, forms: Sequence[Form]) -> bool:
        return is_inexact(op.results[0]) and is_fixed(forms[1])

    def factors(self, op: Operation) -> Sequence[int]:
        return (1,)

    def cotangent(
        self, op: Operation, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        return cotangent / fixed(op.operands[1])


class SelectRule(ElementwiseRule):
    """A choice, affine where the predicate is without x."""

    names = ("stablehlo.select",)
    forms = ChangeRule.forms
    cost = "m * D"
    reads_lost = True

    def cone(self, op: Operation, views: Sequence[Any]) -> View | str:
        predicate, *sides = views
        lost = next((one for one in views if isinstance(one, Lost)), None)
        rows = next((v for v in views if isinstance(v, View) and is_of_rows(v)), None)
        if rows is None:
            return super().cone(op, views) if lost is None else lost.reason
        if not isinstance(predicate, Lost):
            return f"'{op.name}' of rows that are exchanged"
        # Such as whether indices are in range
        is_first = settled(predicate, op.operands[0], rows)
        if is_first is None or sides[1 - is_first] is not rows:
            return predicate.reason
        return rows

    def is_kept_affine(self, op: Operation, forms: Sequence[Form]) -> bool:
        return is_inexact(op.results[0]) and is_fixed(forms[0])

    def factors(self, op: Operation) -> Sequence[int]:
        return (0,)

    def cotangent(
        self, op: Operation, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        is_first, none = fixed(op.operands[0]), cotangent.like(0)
        sides = (cotangent, none) if number == 1 else (none, cotangent)
        return is_first.where(*sides)


class ConvertRule(ElementwiseRule):
    """A conversion, affine where it is that of a real number, up to rounding."""

    names = ("stablehlo.convert",)
    forms = ChangeRule.forms
    cost = "m * D"

    def is_kept_affine(self, op: Operation, forms: Sequence[Form]) -> bool:
        if is_coarse(op.operands[0]) or is_coarse(op.results[0]):
            return False  # there the rounding is the model
        before, after = (_dtype(one) for one in (op.operands[0], op.results[0]))
        # Integers on the way have no derivative: differences are taken of values
        return after.kind in "fc" and (before.kind != "c" or after.kind == "c")


RULES = (
    *(ElementwiseRule(), SumRule(), ProductRule(), QuotientRule(), SelectRule()),
    ConvertRule(),
)


def is_elementwise(op: Operation) -> bool:
    """Whether an op does the same at each element; a bitcast may split elements."""
    if op_name(op) not in ElementwiseRule.names:
        return False
    shape = shape_of(op.results[0])
    return all(shape_of(value) in ((), shape) for value in op.operands)


def _arranged(
    views: Sequence[View], *, is_uniform: bool
) -> tuple[Array, int, list[Channels]] | None:
    """Return elements of a new node, its channels, and those that are read of each.

    The view of most channels says how they are arranged: equal elements are one where
    what else there is does not differ between them, or else each is a channel: by axes
    that positions are once in each entry of, or else in their order.
    """
    first = max(views, key=lambda one: one.node.channels)
    flat = first.ids.reshape(-1)
    inside = np.flatnonzero(flat >= 0)
    position, channel = np.divmod(flat[inside], first.node.channels)
    present = np.bincount(channel, minlength=first.node.channels) > 0
    counts = np.bincount(position, minlength=first.node.positions)
    starts, order = np.cumsum(counts) - counts, np.argsort(position, kind="stable")
    each = np.empty_like(order)
    each[order] = np.arange(len(order)) - starts[position[order]]
    most = int(counts.max())
    ways = [numbers[inside] for numbers in _along(first.ids.shape, most)]
    for numbers, channels in (
        ((np.cumsum(present) - 1)[channel], int(present.sum())),
        *((one, most) for one in ways),
        (each, most),
    ):
        found, size = position * channels + numbers, len(counts) * channels
        is_all = bool(size) and bool(np.bincount(found, minlength=size).all())
        if not is_all or not (is_uniform or len(found) == size):
            continue
        ids = np.full(flat.shape, NOWHERE)
        ids[inside] = found
        ids = ids.reshape(first.ids.shape)
        own = [_channels_of(one, ids, channels) for one in views]
        if all(one is not None for one in own):
            return ids, channels, [one for one in own if one is not None]
    return None


def _along(shape: Sequence[int], count: int) -> list[Array]:
    """Return the number of each element along axes next to each other, of so many."""
    found: list[Array] = []
    axes = range(len(shape))
    for stop in reversed(axes) if count > 1 else ():
        for start in reversed(range(stop + 1)):
            own = shape[start : stop + 1]
            if prod(own) == count and 1 not in (own[0], own[-1]):
                numbers = np.arange(count).reshape(*own, *[1] * (len(shape) - stop - 1))
                found.append(np.broadcast_to(numbers, shape).reshape(-1))
    return found


def _channels_of(view: View, ids: Array, count: int) -> Channels | None:
    """Return the channel of a node that each channel of another one is made of."""
    inside = ids >= 0
    if not np.array_equal(inside, view.ids >= 0):
        return None
    position, channel = np.divmod(ids[inside], count)
    numbers = np.zeros(count, int)
    numbers[channel] = view.ids[inside] % view.node.channels
    own = position * view.node.channels + numbers[channel]
    return Channels(view.node, numbers) if (own == view.ids[inside]).all() else None


def _dtype(value: SSAValue) -> np.dtype[Any]:
    return dtype_of(element_of(value))


def _is_huge(value: SSAValue) -> bool:
    """Whether a value is a constant next to which what is added to it is rounded off.

    As in (z + c) - c, which is z rounded to what c leaves of the mantissa.
    """
    while isinstance(value.owner, hlo.BroadcastInDimOp | hlo.ReshapeOp | hlo.ConvertOp):
        value = value.owner.operands[0]
    found = constant_of(value)
    if found is None or not found.size or found.dtype.kind not in "fc":
        return False
    return bool(np.max(np.abs(found)) > np.finfo(found.dtype).eps ** -0.5)


def _joined_sites(op: Operation, forms: Sequence[Form]) -> Array | None:
    """Return the site that each element depends on; None where that is two."""
    shape = shape_of(op.results[0])
    joined = np.full(shape, -1)
    for one in forms:
        if not isinstance(one, Sites):
            continue
        sites = np.broadcast_to(one.sites, shape)
        if ((joined >= 0) & (sites >= 0) & (joined != sites)).any():
            return None
        joined = np.where(joined >= 0, joined, sites)
    return joined


def _of_one_root(op: Operation, forms: Sequence[Form]) -> Form:
    roots: set[SSAValue] = set()
    orders: set[tuple[str, ...]] = set()
    for value, one in zip(op.operands, forms, strict=True):
        if isinstance(one, Same):
            if not one.is_splat:
                return new(op, "a function that is another one for each element")
            continue
        root = root_of(value, one)
        if root is None:
            return new(op, "not a function of one value")
        roots.add(root)
        orders.add(one.order if isinstance(one, Elementwise) else ())
    if len(roots) > 1:
        return new(op, "combines two values that depend on x")
    if len(orders) > 1:
        return new(op, "combines elements in two orders")
    return Elementwise(roots.pop(), all(map(is_affine, forms)), orders.pop())
