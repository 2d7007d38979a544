"""Rules of ops that combine elements: products, sums, and what reads by numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import i1, i32
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import DotAttr

from dialects.stablehlo import (
    as_dims,
    combiner_of,
    dtype_of,
    element_of,
    gather_rows,
    shape_of,
    tensor,
    to_numpy,
)
from lowering.arrays import Array as Written
from lowering.arrays import array, concatenated
from lowering.change.cones import (
    Channels,
    Emission,
    Node,
    Stencil,
    Total,
    View,
    splat_of,
    taken_rows,
)
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
from lowering.change.known_zeros import Booleans, is_zero
from lowering.change.layout_rules import ints, inverse, padded
from lowering.change.masked import Chosen, Masked, Reduced
from lowering.change.orbitals import Lost, gathered, gathered_rows, moved_ids, rows_of
from lowering.change.position_lists import NOWHERE
from lowering.change.rules import (
    ChangeRule,
    Fixed,
    is_fixed,
    is_inexact,
    new,
)

SOME_POSITIONS = "a product over some of the positions"

MAY_WRAP = "sums of integers may wrap"


class CombiningRule(ChangeRule):
    """Sums of many elements, or elements from elsewhere: linear where not said else."""

    forms = ("added, affine",)

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

    names = ()

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        if not any(map(is_fixed, forms)):
            return new(op, "a product of two values that depend on x")
        return None if is_inexact(op.results[0]) else _wraps(op)

    def factors(self, op: Operation) -> Sequence[int]:
        return (0, 1)


class ConvolutionRule(BilinearRule):
    """A convolution of an image, or of the kernel."""

    names = ("stablehlo.convolution",)
    cost = "m * K * C * (D + g)"

    def cone(self, op: Any, views: Sequence[View | None]) -> View | str:
        view = views[0]
        if view is None or views[1] is not None:
            return "a convolution by what depends on x"
        if not _is_inexact_sum(op):
            return MAY_WRAP
        groups: int = op.feature_group_count.value.data
        if op.batch_group_count.value.data != 1:
            return "a convolution of groups of batches"
        axes: list[list[int]] = [list(op.dimension_numbers.axes(n)) for n in range(3)]
        image, kernel, result = axes
        batch, feature, *space = image
        positions = view.by_position(feature)
        if positions is None or view.ids.shape[batch] != 1:
            return "a convolution along channels"
        # Axes of the image without that of features, in order
        left = [axis for axis in range(view.ids.ndim) if axis != feature]
        own = positions.transpose([left.index(axis) for axis in (batch, *space)])[0]
        near = _near(op, own, [shape_of(op.rhs)[axis] for axis in kernel[2:]])
        # Of a mask some places of the window have no weight
        ways = ~is_zero(op.rhs).transpose(*kernel[2:], *kernel[:2])
        some = np.flatnonzero(ways.reshape(near.shape[1], -1).any(axis=1))
        if not len(some):
            return "a convolution by zeros"
        near = near[:, some]
        shape = shape_of(op.result)
        spread = [shape[axis] for axis in result[2:]]
        channels = shape[result[1]]
        ids = np.arange(prod(spread) * channels).reshape(1, *spread, channels)
        ids = np.moveaxis(ids, -1, 1).transpose(inverse(result))

        def weights(at: Emission) -> Written:
            out, into, *window = kernel
            moved = at.of_parameters(op.rhs).transpose(*window, into, out)
            moved = moved.astype(element_of(op.result))
            count = view.node.channels
            moved = moved.reshape(-1, 1, count // groups, channels)
            if len(some) < moved.shape[0]:
                moved = taken_rows(moved, some)
            if groups > 1:
                # Other groups have no weight
                ways = np.arange(groups)
                own = ways[:, None] == np.repeat(ways, channels // groups)
                wide = array(at.insert, own, i1).reshape(1, groups, 1, channels)
                shape = (moved.shape[0], groups, *moved.shape[2:])
                moved = wide.broadcast(shape).where(moved.broadcast(shape), 0)
            return moved.reshape(-1, count, channels)

        node = Stencil(op.result, prod(spread), channels, (view.node,), near, weights)
        return View(node, ids)


class DotRule(BilinearRule):
    """A product of matrices."""

    names = ("stablehlo.dot_general",)
    cost = "m * (K * C * (D + g) + r * (C + 2 * D))"

    def cone(self, op: Any, views: Sequence[View | None]) -> View | str:
        number = 0 if views[1] is None else 1
        view = views[number]
        if view is None or views[1 - number] is not None:
            return "a product of two values that depend on x"
        if not _is_inexact_sum(op):
            return MAY_WRAP
        batching, contracting, rest = _axes(op)
        if any(batching):
            return "products next to each other"
        node, shape = view.node, shape_of(op.results[0])
        other = op.operands[1 - number]
        own_rest, its_rest = rest[number], rest[1 - number]
        elements = view.ids.transpose(*own_rest, *contracting[number])
        count = prod(view.ids.shape[axis] for axis in own_rest)
        elements = elements.reshape(count, -1)
        channels = prod(shape_of(other)[axis] for axis in its_rest)

        axes = (*contracting[1 - number], *its_rest)

        def weights(at: Emission) -> Written:
            moved = at.of_parameters(other).transpose(*axes)
            return moved.reshape(-1, channels).astype(element_of(op.results[0]))

        size = count * channels
        ids = np.arange(size).reshape(count, channels)
        ids = (ids if number == 0 else ids.T).reshape(shape)
        value = op.results[0]
        found = _near_each(node, elements)
        if found is not None and (count != 1 or (found[0] >= 0).sum() == 1):
            near, order = found

            def of_each(at: Emission) -> Written:
                rows = _with_nothing(weights(at), order)
                return rows.reshape(-1, node.channels, channels)

            return View(Stencil(value, count, channels, (node,), near, of_each), ids)
        if count != 1:
            return SOME_POSITIONS
        nothing = is_zero(other).transpose(axes)
        return _over_all(value, node, elements[0], nothing, weights)

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        """Return the product with the other factor, over what that has alone.

        Axes of the product are those of batching, then what is left of the left factor,
        and of the right one.
        """
        shapes = [shape_of(v) for v in op.operands]
        batching, contracting, rest = _axes(op)
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


def _near_each(node: Node, elements: Array) -> tuple[Array, Array] | None:
    """Return of which positions sums over elements (results, E) are: (results, K).

    With them which element each channel of each of these is (K * channels,), `NOWHERE`
    for none. None where an element is another channel for another result.
    """
    inside = elements >= 0
    channel = np.where(inside, elements % node.channels, -1)
    of_each: Array = channel.max(axis=0)
    if (inside & (channel != of_each)).any() or not inside.any():
        return None
    positions = np.where(inside, elements // node.channels, NOWHERE)
    # Those without x are a column of their own: with them values are no sums of values
    some = np.flatnonzero(inside.any(axis=0))
    near, group = np.unique(positions[:, some], axis=1, return_inverse=True)
    places = group.reshape(-1) * node.channels + of_each[some]
    if len(np.unique(places)) < len(places):
        return None
    if len(some) < len(of_each):
        near = np.pad(near, [(0, 0), (0, 1)], constant_values=NOWHERE)
    order = np.full(near.shape[1] * node.channels, NOWHERE)
    order[places] = some
    return near, order


def _with_nothing(rows: Written, order: Array) -> Written:
    """Return some of the rows, in another order, and rows of 0."""
    if (order >= 0).all():
        return taken_rows(rows, order)
    none = rows.like(0).broadcast((1, rows.shape[1]), [])
    places = np.where(order < 0, rows.shape[0], order)
    return taken_rows(concatenated([rows, none], 0), places)


def _over_all(
    value: SSAValue,
    node: Node,
    elements: Array,
    nothing: Booleans,
    weights: Callable[[Emission], Written],
) -> View | str:
    """Return products with all elements of a node: see `_masked`."""
    shape = shape_of(value)
    found = _masked(value, node, elements, nothing, weights)
    if found is not None:
        return View(found[0], found[1].reshape(shape))
    if not View(node, elements).is_whole:
        return SOME_POSITIONS
    channels = prod(shape)

    def of_all(at: Emission) -> Written:
        order = array(at.insert, np.argsort(elements), i32)
        rows = weights(at)
        rows = rows.of(gather_rows(rows.value, order.value))
        return rows.reshape(node.positions, node.channels, channels)

    ids = np.arange(channels).reshape(shape)
    return View(Total(value, 1, channels, (node,), of_all, is_sum=False), ids)


def _masked(
    value: SSAValue,
    node: Node,
    elements: Array,
    nothing: Booleans,
    weights: Callable[[Emission], Written],
) -> tuple[Masked, Array] | None:
    """Return a layer whose weights are 0 for some positions, and ids of its results.

    Results that depend on the same positions are channels of one. None is where all do,
    or elements are there twice.

    Args:
        elements: which element of the node each row of weights is of, if it is.
        nothing: whether a weight is 0, whatever the parameters are.
    """
    inside = np.flatnonzero(elements >= 0)
    if not nothing.any() or len(np.unique(elements[inside])) < len(inside):
        return None
    count, channels = node.channels, nothing.size // len(elements)
    # Behind the rows there is one of zeros, for what is not there
    order = np.full(node.positions * count, NOWHERE)
    order[elements[inside]] = inside
    is_some = np.pad(~nothing.reshape(-1, channels), [(0, 1), (0, 0)])
    of_each = is_some[order].reshape(node.positions, count, channels)
    ways: Booleans = np.any(of_each, axis=1)
    # Positions in the order of the results
    number: dict[bytes, int] = {}
    each_way = (ways[:, n].tobytes() for n in range(channels))
    numbers = [number.setdefault(own, len(number)) for own in each_way]
    group: Array = np.array(numbers, np.int64)
    if len(number) == 1:
        return None
    size, left = divmod(channels, len(number))
    if left or (np.bincount(group) != size).any():
        group, size = np.arange(channels), 1
    places: Array = np.argsort(group, kind="stable")
    ids: Array = np.argsort(places)

    def of_pairs(at: Emission) -> Written:
        rows = _with_nothing(weights(at), order)
        own = taken_rows(rows.transpose(1, 0), places).transpose(1, 0)
        return own.reshape(node.positions, count, channels // size, size)

    pairs = ways[:, places[::size]]
    return Masked(value, channels // size, size, (node,), pairs, of_pairs), ids


class ReduceRule(CombiningRule):
    """A sum, or a reduction of elements of one site."""

    names = ("stablehlo.reduce",)
    forms = ("sites, affine", "added, affine")
    cost = "m * K * C * (D + g)"

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

    def cone(self, op: Any, views: Sequence[View | None]) -> View | str:
        view = views[0]
        if view is None or views[1:] != [None]:
            return "a reduction of many values"
        gone = ints(op.dimensions)
        rest = [axis for axis in range(view.ids.ndim) if axis not in gone]
        elements = view.ids.transpose(*rest, *gone)
        shape = shape_of(op.results[0])
        elements = elements.reshape(prod(shape), -1)
        node, value = view.node, op.results[0]
        if elements.shape[1] == 1 and _is_neutral(op):
            return View(node, elements.reshape(shape))
        own = np.arange(prod(shape)).reshape(shape)
        near = View(node, elements).by_position(1)
        if combiner_of(op) is not hlo.AddOp:
            if near is None or not np.array_equal(near, np.arange(node.positions)):
                return "a reduction over positions that is no sum"
            return View(Reduced(value, node.positions, 1, (node,), op), own)
        if not _is_inexact_sum(op):
            return MAY_WRAP
        if not _is_neutral(op):
            return "a sum that starts from another number than 0"
        return self._sum(op, node, elements, near)

    def _sum(
        self, op: Any, node: Node, elements: Array, near: Array | None
    ) -> View | str:
        """Return sums of elements of a node (results, K).

        They are all channels at `near`, if that is not None.
        """
        value, shape = op.results[0], shape_of(op.results[0])
        own = np.arange(prod(shape)).reshape(shape)
        if near is not None:

            def ones(at: Emission) -> Written:
                one = array(at.insert, 1, element_of(value))
                return one.broadcast((1, node.channels, 1), [])

            made = Stencil(value, prod(shape), 1, (node,), near[:, None], ones)
            return View(made, own)
        if not View(node, elements).is_whole:
            return _by_channels(op, node, elements)
        if prod(shape) == 1:
            return View(Total(value, 1, 1, (node,), None, is_sum=True), own)
        channels = elements[:, :1] % node.channels
        is_all = elements.shape[1] == node.positions
        if not is_all or (elements % node.channels != channels).any():
            return _by_channels(op, node, elements)
        ids = channels.reshape(shape)
        return View(Total(value, 1, node.channels, (node,), None, is_sum=False), ids)

    def cotangent(
        self, op: Any, number: int, cotangent: Written, fixed: Fixed
    ) -> Written:
        shape, gone = shape_of(op.operands[0]), ints(op.dimensions)
        kept = [axis for axis in range(len(shape)) if axis not in gone]
        return cotangent.broadcast(shape, kept)


NEUTRAL: dict[Any, Any] = {
    hlo.AddOp: 0,
    hlo.MultiplyOp: 1,
    hlo.AndOp: True,
    hlo.OrOp: False,
    hlo.MaximumOp: -np.inf,
    hlo.MinimumOp: np.inf,
}
"""What a reduction by an op starts from if that changes nothing."""


def _is_neutral(op: Any) -> bool:
    """Whether what a reduction starts from changes nothing."""
    kind, start = combiner_of(op), splat_of(op.operands[1])
    if kind is hlo.AndOp and element_of(op.operands[1]) != i1:
        return False
    return kind in NEUTRAL and start == NEUTRAL[kind]


class WindowRule(CombiningRule):
    """Sums of windows, as in pooling by averages."""

    names = ("stablehlo.reduce_window",)
    cost = "m * K * C * (D + g)"

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        if not _is_sum_of_windows(op) or not is_fixed(forms[1]):
            return new(op, "not a sum of windows")
        return None if is_inexact(op.results[0]) else _wraps(op)

    def cone(self, op: Any, views: Sequence[View | None]) -> View | str:
        view = views[0]
        if view is None or views[1] is not None or not _is_sum_of_windows(op):
            return "no sum of windows"
        if not _is_inexact_sum(op):
            return MAY_WRAP
        ids = np.pad(view.ids, to_numpy(op.padding).tolist(), constant_values=NOWHERE)
        lengths, strides, apart = (
            np.ones(ids.ndim, int) if one is None else np.array(ints(one))
            for one in (op.window_dimensions, op.window_strides, op.window_dilations)
        )
        windows = np.lib.stride_tricks.sliding_window_view(
            ids, tuple(apart * (lengths - 1) + 1)
        )
        each = [slice(None, None, step) for step in (*strides, *apart)]
        elements = windows[tuple(each)].reshape(prod(shape_of(op.results[0])), -1)
        return _by_channels(op, view.node, elements)


def _is_sum_of_windows(op: Any) -> bool:
    """Whether windows of elements next to each other are added, from 0 on."""
    dilations = op.base_dilations
    return (
        combiner_of(op) is hlo.AddOp
        and splat_of(op.operands[1]) == 0
        and (dilations is None or set(ints(dilations)) == {1})
    )


def _by_channels(op: Operation, node: Node, elements: Array) -> View | str:
    """Return sums of elements (results, K), of one channel or of all at some positions.

    Where a channel is summed by itself all others are, too.
    """
    value, ordered = op.results[0], np.sort(elements, axis=1)
    whole = _whole_positions(ordered, node.channels)
    if whole is not None:

        def all_ones(at: Emission) -> Written:
            one = array(at.insert, 1, element_of(value))
            return one.broadcast((whole.shape[1], node.channels, 1), [])

        made = Stencil(value, len(whole), 1, (node,), whole, all_ones)
        return View(made, np.arange(len(whole)).reshape(shape_of(value)))
    positions, channels = np.divmod(elements, node.channels)
    positions = np.where(elements < 0, NOWHERE, positions)
    own = np.where(elements < 0, -1, channels).max(axis=1)
    if ((channels != own[:, None]) & (elements >= 0)).any() or (own < 0).any():
        return "a sum of some of the elements"
    near, group = np.unique(positions, axis=0, return_inverse=True)
    ids = group.reshape(-1) * node.channels + own
    count = len(near) * node.channels
    if ids.size != count or len(np.unique(ids)) != count:
        return "a sum over some of the positions"

    def ones(at: Emission) -> Written:
        one = array(at.insert, np.eye(node.channels), element_of(value))
        shape = (near.shape[1], *one.shape)
        return one.reshape(1, *one.shape).broadcast(shape)

    made = Stencil(value, len(near), node.channels, (node,), near, ones)
    return View(made, ids.reshape(shape_of(value)))


def _whole_positions(ordered: Array, channels: int) -> Array | None:
    """Return positions of which all channels are there, None where some are not."""
    if channels == 1 or ordered.shape[1] % channels or (ordered < 0).any():
        return None
    each = ordered.reshape(len(ordered), -1, channels)
    first = each[..., :1]
    is_whole = (each == first + np.arange(channels)).all()
    is_whole &= not (first % channels).any()
    return first[..., 0] // channels if is_whole else None


class ReadRule(CombiningRule):
    """Elements at places without x, or rows of a table, each chosen by one site."""

    names = ("stablehlo.gather", "stablehlo.dynamic_slice")
    forms = ("sites", "added, affine")
    cost = "m * C"
    reads_lost = True

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        return None if all(map(is_fixed, forms[1:])) else _looked_up(op, forms)

    def cone(self, op: Operation, views: Sequence[Any]) -> View | str:
        lost = next((one for one in views if isinstance(one, Lost)), None)
        is_gather = isinstance(op, hlo.GatherOp)
        if lost is None and is_gather and None not in views:
            return _chosen(op, *views)
        if lost is None and is_gather and views[1] is None:
            ids = moved_ids(op, views[0].ids)
            return super().cone(op, views) if ids is None else View(views[0].node, ids)
        if lost is None or not is_gather:
            return super().cone(op, views) if lost is None else lost.reason
        table, indices = views
        if not isinstance(indices, Lost):
            return lost.reason
        return rows_of(op, table, indices)

    def factors(self, op: Operation) -> Sequence[int]:
        return range(1, len(op.operands))


class PadRule(CombiningRule):
    """Elements with a filling around them, which is without x."""

    names = ("stablehlo.pad",)
    cost = "0"

    def refused(self, op: Any, forms: Sequence[Form]) -> Form | None:
        return None if is_fixed(forms[1]) else new(op, "padded with what depends on x")

    def cone(self, op: Any, views: Sequence[View | None]) -> View | str:
        view = views[0]
        if view is None or views[1] is not None:
            return "padded with what depends on x"
        ends = (op.edge_padding_low, op.edge_padding_high, op.interior_padding)
        return View(view.node, padded(view.ids, *map(ints, ends)))


class TransformRule(CombiningRule):
    """A Fourier transform."""

    names = ("stablehlo.fft",)


RULES = (
    ConvolutionRule(),
    DotRule(),
    ReduceRule(),
    ReadRule(),
    WindowRule(),
    PadRule(),
    TransformRule(),
)


def _axes(op: Any) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Return the axes of batching, of contraction and others, of both factors."""
    numbers, shapes = op.dot_dimension_numbers, [shape_of(v) for v in op.operands]
    batching, contracting = (
        [
            [axis.value.data for axis in getattr(numbers, f"{side}_{kind}_dimensions")]
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
    return batching, contracting, rest


def _near(op: Any, positions: Array, window: Sequence[int]) -> Array:
    """Return the positions of an image that each of the result is made of, (O, K)."""
    rank = positions.ndim
    ends = np.zeros((rank, 2), int)
    if op.padding is not None:
        ends = np.array(list(op.padding.get_values())).reshape(-1, 2)
        ends = np.broadcast_to(ends, (rank, 2))

    def numbers(own: Any) -> list[int]:
        return [1] * rank if own is None else ints(own)

    between = [n - 1 for n in numbers(op.lhs_dilation)]
    wide = padded(positions, ends[:, 0].tolist(), ends[:, 1].tolist(), between)
    steps, dilated = numbers(op.window_strides), numbers(op.rhs_dilation)
    reversed_ = op.window_reversal
    turned = [False] * rank if reversed_ is None else list(reversed_.get_values())
    shape = [
        (length - (size - 1) * each - 1) // step + 1
        for length, size, each, step in zip(
            wide.shape, window, dilated, steps, strict=True
        )
    ]
    columns: list[Array] = []
    for place in np.ndindex(*window):
        own = (
            size - 1 - n if turn else n
            for n, size, turn in zip(place, window, turned, strict=True)
        )
        at = tuple(
            slice(n * each, n * each + (count - 1) * step + 1, step)
            for n, each, count, step in zip(own, dilated, shape, steps, strict=True)
        )
        columns.append(wide[at].reshape(-1))
    return np.stack(columns, axis=1)


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
    return new(op, MAY_WRAP)


def _is_inexact_sum(op: Operation) -> bool:
    """Whether an op adds floating-point numbers: differences of integers may wrap."""
    return is_inexact(op.results[0]) and all(map(is_inexact, op.operands))


def _of_same_sites(sites: Array, axes: Sequence[int]) -> Array | None:
    """Return the sites of reduced elements, where each reduces those of one site."""
    if not sites.size:
        return None
    first, last = sites.max(axis=tuple(axes)), sites.min(axis=tuple(axes))
    return first if np.array_equal(first, last) else None


def _chosen(op: Any, table: View, index: View) -> View | str:
    """Return channels of positions, each chosen by a number at the same position."""
    reason = "where it reads depends on x"
    numbers, node = op.dimension_numbers, index.node
    axes = [int(one.value.data) for one in numbers.start_index_map]
    shape = shape_of(op.operands[1])
    last = int(numbers.index_vector_dim.value.data)
    if len(axes) != 1 or (last < len(shape) and shape[last] != 1):
        return reason
    if node.channels != 1 or node.positions != table.node.positions:
        return reason
    size, result = table.ids.shape[axes[0]], shape_of(op.results[0])
    if size - 1 > np.iinfo(dtype_of(element_of(op.operands[1]))).max:
        return reason  # nothing chooses the last ones
    read = [gathered(op, table.ids, np.full(shape, n)) for n in range(size)]
    position, channel = np.divmod(np.stack(read).reshape(size, -1), table.node.channels)
    lengths = np.delete(shape, last) if last < len(shape) else shape
    own = gathered_rows(op, index.ids.reshape(lengths)).reshape(-1)
    if (
        (np.stack(read) < 0).any()
        or (position != own).any()
        or (channel != channel[:, :1]).any()
        or not np.array_equal(np.sort(own), np.arange(node.positions))
    ):
        return reason
    chosen = Channels(table.node, channel[:, 0])
    sources = tuple(dict.fromkeys((table.node, node)))
    made = Chosen(op.results[0], node.positions, 1, sources, chosen, node)
    return View(made, own.reshape(result))


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
