"""`convert-bt-to-stablehlo`: one static kernel of StableHLO.

There is one pattern for each op. Branches are tensors in a bundle, `bt.bundle`, which
each op takes apart and puts together again, until `bt.connections` folds the columns of
one table of writes over a single (batch, lanes, sites) tensor: one fused loop in XLA. A
missing write has site -1, which no site is equal to. The validity of a lane is decided
on the lanes, before anything is dense: an invalid lane writes back the source value,
with matrix element 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import IntegerType, ModuleOp, TensorType, i1, i32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint
from xdsl.traits import Pure
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import (
    AddOp,
    ConvertOp,
    SubtractOp,
    broadcast_in_dim,
    compare,
    concatenate,
    constant,
    constant_of,
    convert,
    dot,
    element_of,
    gather_columns,
    iota,
    reduce,
    reshape,
    select,
    shape_of,
    slice_columns,
)
from dialects.tables import NO_SITE
from lowering.bt.lane_layout import LanePicks, can_be_laid_out, lane_axis
from lowering.bt.lanes import lane_count
from lowering.bt.valid_lanes import ValidLanes
from lowering.energy.extraction import erase_unreachable
from lowering.relations import Relation
from lowering.rewriting import FirstPattern, Inserter, rewrite_once
from lowering.stablehlo.loops import PATTERNS

MAX_MASK_ELEMENTS = 256 * 1024
"""Above this many lanes x sites a mask is computed, below it is a constant: a constant
mask is faster, but its text grows with it."""


def _follows_batch(value: SSAValue) -> bool:
    """Whether a value is computed from something that each sample has its own of."""
    seen, pending = {value}, [value]
    while pending:
        current = pending.pop()
        if isinstance(current.owner, Operation):
            fresh = [v for v in current.owner.operands if v not in seen]
            seen.update(fresh)
            pending.extend(fresh)
        elif len(shape_of(current)) > 1:
            return True
    return False


def _columns(
    config: SSAValue, sites: SSAValue, at: Inserter, *, per_sample: bool = False
) -> SSAValue:
    """Return config[:, sites], as a slice or as the whole where that is the same."""
    table = constant_of(sites)
    if table is not None and table.ndim == 1 and table.size and not per_sample:
        first, last = int(table[0]), int(table[0]) + len(table)
        inside = first >= 0 and last <= shape_of(config)[1]
        if inside and np.array_equal(table, np.arange(first, last)):
            if len(table) == shape_of(config)[1]:
                return config
            return at.add(slice_columns(config, first, last))
    axes, batch = shape_of(sites), shape_of(config)[0]
    own = axes[1:] if per_sample else axes
    flat = (math.prod(own),)
    wanted = (batch, *flat) if per_sample else flat
    if axes != wanted:
        sites = at.add(reshape(sites, wanted))
    columns = at.add(gather_columns(config, sites))
    return columns if own == flat else at.add(reshape(columns, (batch, *own)))


def _to_batch(value: SSAValue, shape: Sequence[int], at: Inserter) -> SSAValue:
    """Broadcast a scalar or lane value to (batch, lanes), or a scalar to (lanes,).

    A batch value stays what it is.
    """
    own = shape_of(value)
    if len(own) >= len(shape):
        return value
    dims = list(range(len(shape) - len(own), len(shape)))
    return at.add(broadcast_in_dim(value, shape, dims))


class LowerGather(RewritePattern):
    """`bt.gather` gathers columns in the state type, and converts what was gathered.

    In this order: XLA's CPU back end gathers along the batch with strided access, which
    costs in proportion to the bytes of an element.
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.GatherOp, rewriter: PatternRewriter) -> None:
        at = Inserter.before(op)
        columns = _columns(op.config, op.sites, at, per_sample=op.is_per_sample)
        element = element_of(op.result)
        if element_of(columns) != element:
            columns = at.add(convert(columns, element))
        rewriter.replace(op, (), (columns,))


class LowerBroadcast(RewritePattern):
    """`bt.broadcast` is `stablehlo.broadcast_in_dim` once its result is static."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BroadcastOp, rewriter: PatternRewriter) -> None:
        shape = shape_of(op.result)
        dims = op.dims.get_values()
        rewriter.replace(op, in_place_of(op, broadcast_in_dim(op.operand, shape, dims)))


class LowerReduce(RewritePattern):
    """`bt.reduce` is `stablehlo.reduce` along the last axis."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.ReduceOp, rewriter: PatternRewriter) -> None:
        at = Inserter.before(op)
        how = op.kind.data.combination
        initial = at.add(constant(np.array(how.neutral), element_of(op.operand)))
        axis = len(shape_of(op.result))
        combined = reduce(op.operand, initial, axis, how.op)
        rewriter.replace(op, in_place_of(op, combined))


class LowerDot(RewritePattern):
    """`bt.dot` is `stablehlo.dot_general` in full precision."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.DotOp, rewriter: PatternRewriter) -> None:
        rewriter.replace(op, in_place_of(op, dot(op.operand, op.matrix)))


_Mask = npt.NDArray[np.bool_]


@irdl_op_definition
class BundleOp(IRDLOperation):
    """Branches as tensors, between the patterns of this pass; nothing else has it.

    A site and a value for each write, and the matrix elements; x' is made of images
    before the writes, no two of which are at one site.

    Attributes:
        elements: (batch, lanes); 0 where not valid.
        sites: each (lanes,) or (batch, lanes) of i32.
        values: each (batch, lanes) of the state type; the source value where not valid.
        masks: where images are put, each a constant (lanes, sites).
        images: each (batch, sites) or a scalar, of the state type.
        valid: (batch, lanes); None for everywhere.
        placed: where images are put, (batch, lanes); None for everywhere.
    """

    name = "bt.bundle"

    elements = operand_def()
    sites = var_operand_def()
    values = var_operand_def()
    masks = var_operand_def()
    images = var_operand_def()
    valid = opt_operand_def()
    placed = opt_operand_def()
    result = result_def(bt.BranchesType)

    traits = traits_def(Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        like: Operation,
        elements: SSAValue,
        writes: Sequence[tuple[SSAValue, SSAValue]],
        images: Sequence[tuple[SSAValue, SSAValue]] = (),
        valid: SSAValue | None = None,
        placed: SSAValue | None = None,
    ):
        super().__init__(
            operands=[
                elements,
                [site for site, _ in writes],
                [value for _, value in writes],
                [mask for mask, _ in images],
                [image for _, image in images],
                valid,
                placed,
            ],
            result_types=[like.results[0].type],
        )


def _bundle(branches: SSAValue) -> BundleOp:
    """Return the tensors of branches."""
    if isinstance(branches.owner, BundleOp):
        return branches.owner
    raise PassFailedException(
        "convert-bt-to-stablehlo: branches must come from bt.branches, bt.concat, "
        "bt.interleave or bt.compact in the same function"
    )


_Sink = bt.ConnectionsOp | bt.LanesOp


def _sinks_of(branches: SSAValue) -> Iterator[_Sink]:
    for user in {use.operation: None for use in branches.uses}:
        if isinstance(user, _Sink):
            yield user
        elif isinstance(user, bt.JoinOp | bt.CompactOp):
            yield from _sinks_of(user.result)


def _sink_of(branches: SSAValue) -> _Sink | None:
    """Return what branches end in, of one x; None for other ops."""
    sinks = list(_sinks_of(branches))
    if len({sink.config for sink in sinks}) > 1:
        raise PassFailedException(
            "convert-bt-to-stablehlo: branches are of one x, these end in connections "
            "of several"
        )
    return sinks[0] if sinks else None


def _filled(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a table of sites with that of the next lane where there is none.

    What is read there is not written anywhere; so it may be what others read anyway.
    """
    lanes = np.where(table == NO_SITE, len(table), np.arange(len(table)))
    following = np.minimum.accumulate(lanes[::-1])[::-1]
    return np.where(following < len(table), np.append(table, 0)[following], 0)


@dataclass
class _Tensors:
    """Builds tensors of lanes at one place, for the x that lanes are of."""

    sink: _Sink
    at: Inserter

    @classmethod
    def before(cls, op: Operation, rewriter: PatternRewriter) -> _Tensors | None:
        """Build before an op; None for branches that are of no x."""
        sink = op if isinstance(op, _Sink) else _sink_of(op.results[0])
        return None if sink is None else cls(sink, Inserter(rewriter, op.location))

    @property
    def config(self) -> SSAValue:
        return self.sink.config

    @property
    def batch(self) -> int:
        return shape_of(self.config)[0]

    @property
    def state(self) -> Attribute:
        return element_of(self.config)

    def stored(self, value: SSAValue) -> SSAValue:
        """Return a value in the state type."""
        if element_of(value) == self.state:
            return value
        return self.at.add(convert(value, self.state))

    def to_batch(self, value: SSAValue, lanes: int) -> SSAValue:
        return _to_batch(value, (self.batch, lanes), self.at)

    def elements(self, op: bt.LeafOp, valid: SSAValue | None) -> SSAValue:
        """Return the matrix elements of lanes: 0 where not valid."""
        amplitude = self.to_batch(op.amplitude, lane_count(op.result))
        if valid is None:
            return amplitude
        zeros = self.full(0, element_of(amplitude), shape_of(valid))
        return self.at.add(select(valid, amplitude, zeros))

    def full(self, value: float, element: Attribute, shape: Sequence[int]) -> SSAValue:
        scalar = self.at.add(constant(np.array(value), element))
        return self.at.add(broadcast_in_dim(scalar, shape, []))

    def same_rank(self, values: Sequence[SSAValue]) -> list[SSAValue]:
        shape = max((shape_of(value) for value in values), key=len)
        return [
            _to_batch(value, (*shape[:-1], shape_of(value)[-1]), self.at)
            for value in values
        ]

    def concatenate(self, values: Sequence[SSAValue]) -> SSAValue:
        """Join values along their lanes; tables of sites are joined here and now."""
        tables = [constant_of(value) for value in values]
        known = [table for table in tables if table is not None]
        if len(known) == len(values) and all(table.ndim == 1 for table in known):
            joined = np.concatenate(known)
            return self.at.add(constant(joined, element_of(values[0])))
        values = self.same_rank(values)
        return self.at.add(concatenate(values, len(shape_of(values[0])) - 1))

    def interleave(self, values: Sequence[SSAValue]) -> SSAValue:
        """Join values so that the lanes of one row are neighbours."""
        tables = [constant_of(value) for value in values]
        known = [table for table in tables if table is not None]
        if len(known) == len(values) and all(table.ndim == 1 for table in known):
            joined = np.stack(known, axis=1).reshape(-1)
            return self.at.add(constant(joined, element_of(values[0])))
        values = self.same_rank(values)
        shape = shape_of(values[0])
        columns = [self.at.add(reshape(value, (*shape, 1))) for value in values]
        joined = self.at.add(concatenate(columns, len(shape)))
        total = shape[-1] * len(values)
        return self.at.add(reshape(joined, (*shape[:-1], total)))


class LowerBranches(RewritePattern):
    """`bt.branches` has values of x, and the source values where it is not valid.

    %b = bt.branches [%i] = [%v] amplitude %a valid %p : .. -> !bt.branches<7 x 1>
    becomes
    %s = stablehlo.gather %x, %i : .. -> tensor<4x7xi8>
    %w = stablehlo.select %p, %v, %s : tensor<4x7xi1>, tensor<4x7xi8>
    %e = stablehlo.select %p, %a, %zeros : tensor<4x7xi1>, tensor<4x7xf64>
    %b = "bt.bundle"(%e, %i, %w, %p) : .. -> !bt.branches<7 x 1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BranchesOp, rewriter: PatternRewriter) -> None:
        here = _Tensors.before(op, rewriter)
        if here is None:
            return
        lanes = lane_count(op.result)
        sites = [_to_batch(site, (lanes,), here.at) for site in op.sites]
        valid = None if op.valid is None else here.to_batch(op.valid, lanes)
        writes = [
            (
                site,
                _written(here, site, here.to_batch(here.stored(value), lanes), valid),
            )
            for site, value in zip(sites, op.values, strict=True)
        ]
        elements = here.elements(op, valid)
        rewriter.replace(op, BundleOp(op, elements, writes, valid=valid))


def _written(
    here: _Tensors, site: SSAValue, value: SSAValue, valid: SSAValue | None
) -> SSAValue:
    """Return what is written: the source value where a lane is not valid."""
    if valid is None:
        return value
    per_sample = len(shape_of(site)) == 2
    table = None if per_sample else constant_of(site)
    if table is not None and (table == NO_SITE).any():
        site = here.at.add(constant(_filled(table), i32))
    source = _columns(here.config, site, here.at, per_sample=per_sample)
    return here.at.add(select(valid, value, source))


class LowerImages(RewritePattern):
    """`bt.images` has images in the state type, and masks that do not overlap.

    %b = bt.images [%m, %n] = [%u, %v] amplitude %a : .. -> !bt.branches<7 x 8>
    becomes, with the sites of %m that are none of %n as %k
    %s = stablehlo.convert %u : (tensor<4x8xf64>) -> tensor<4x8xi8>
    %t = stablehlo.convert %v : (tensor<4x8xf64>) -> tensor<4x8xi8>
    %b = "bt.bundle"(%e, %k, %n, %s, %t) : .. -> !bt.branches<7 x 8>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.ImagesOp, rewriter: PatternRewriter) -> None:
        here = _Tensors.before(op, rewriter)
        if here is None:
            return
        valid = None
        if op.valid is not None:
            valid = here.to_batch(op.valid, lane_count(op.result))
        found: list[tuple[_Mask, SSAValue]] = []
        for mask, image in zip(op.masks, op.images, strict=True):
            table = constant_of(mask)
            if table is None:
                raise PassFailedException(
                    "convert-bt-to-stablehlo: the masks of bt.images are constants"
                )
            found = [(earlier & ~table, before) for earlier, before in found]
            found.append((table, here.stored(image)))
        elements = here.elements(op, valid)
        images = [(here.at.add(constant(table, i1)), image) for table, image in found]
        rewriter.replace(op, BundleOp(op, elements, (), images, valid, valid))


class LowerJoin(RewritePattern):
    """`bt.concat` and `bt.interleave` join each tensor along the lanes.

    A part with fewer writes gets more, which are nowhere.

    %a = "bt.bundle"(%e, %i, %v) : .. -> !bt.branches<7 x 1>
    %b = "bt.bundle"(%f) : .. -> !bt.branches<3 x 0>
    %c = bt.concat %a, %b : .. -> !bt.branches<10 x 1>
    becomes
    %j = stablehlo.constant dense<[0, 1, 2, 3, 4, 5, 6, -1, -1, -1]> : tensor<10xi32>
    %w = stablehlo.concatenate %v, %zeros, dim = 1 : .. -> tensor<4x10xi8>
    %g = stablehlo.concatenate %e, %f, dim = 1 : .. -> tensor<4x10xf64>
    %c = "bt.bundle"(%g, %j, %w) : .. -> !bt.branches<10 x 1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.JoinOp, rewriter: PatternRewriter) -> None:
        here = _Tensors.before(op, rewriter)
        if here is None:
            return
        lanes = lane_count(op.result)
        parts = [_bundle(part) for part in op.parts]
        if not parts or not lanes:
            element = element_of(here.sink.matrix_elements)
            zeros = here.full(0, element, (here.batch, lanes))
            rewriter.replace(op, BundleOp(op, zeros, ()))
            return
        join = here.interleave if isinstance(op, bt.InterleaveOp) else here.concatenate
        count = max(len(part.sites) for part in parts)
        padded = [_padded(here, part, count) for part in parts]
        sites = [join([one[k][0] for one in padded]) for k in range(count)]
        values = [join([one[k][1] for one in padded]) for k in range(count)]
        bundle = BundleOp(
            op,
            join([part.elements for part in parts]),
            list(zip(sites, values, strict=True)),
            _joined_images(here, op, parts),
            _joined_valid(here, [(part, part.valid) for part in parts], join),
            _joined_valid(here, [(part, part.placed) for part in parts], join),
        )
        rewriter.replace(op, bundle)


def _padded(
    here: _Tensors, part: BundleOp, count: int
) -> list[tuple[SSAValue, SSAValue]]:
    """Return writes, the last ones of which do nothing."""
    writes = list(zip(part.sites, part.values, strict=True))
    missing = count - len(writes)
    if not missing:
        return writes
    shape = shape_of(part.elements)
    nowhere = here.at.add(constant(np.full(shape[1], NO_SITE), i32))
    return writes + [(nowhere, here.full(0, here.state, shape))] * missing


def _joined_images(
    here: _Tensors, op: bt.JoinOp, parts: Sequence[BundleOp]
) -> list[tuple[SSAValue, SSAValue]]:
    """Return the images of all parts, each of all lanes: one select for each."""
    found: dict[SSAValue, tuple[_Mask, SSAValue]] = {}
    lanes, sites = lane_count(op.result), shape_of(here.config)[1]
    numbers = np.arange(lanes)
    if isinstance(op, bt.InterleaveOp):
        places = list(numbers.reshape(-1, len(parts)).T)
    else:
        counts = [shape_of(part.elements)[1] for part in parts]
        places = np.split(numbers, np.cumsum(counts)[:-1])
    for own, part in zip(places, parts, strict=True):
        for mask, image in zip(part.masks, part.images, strict=True):
            table = np.zeros((lanes, sites), bool)
            # Parts convert what they share, each for itself
            key = image.owner.operand if isinstance(image.owner, ConvertOp) else image
            joined, _ = found.setdefault(key, (table, image))
            joined[own] |= cast(_Mask, constant_of(mask))
    return [(here.at.add(constant(mask, i1)), image) for mask, image in found.values()]


def _joined_valid(
    here: _Tensors,
    parts: Sequence[tuple[BundleOp, SSAValue | None]],
    join: Callable[[Sequence[SSAValue]], SSAValue],
) -> SSAValue | None:
    if all(valid is None for _, valid in parts):
        return None
    always = [
        here.full(1, i1, shape_of(part.elements)) if valid is None else valid
        for part, valid in parts
    ]
    return join(always)


class PickLanes(RewritePattern):
    """`bt.compact` of `bt.branches` computes the lanes that are valid alone.

    %b = bt.branches [%i] = [%v] amplitude %a valid %p : .. -> !bt.branches<132 x 1>
    %c = bt.compact %b : !bt.branches<132 x 1> -> !bt.branches<36 x 1>
    becomes, with the numbers of the valid lanes as %n : tensor<4x36xi32>
    %j = stablehlo.gather %i, %n : .. -> tensor<4x36xi32>
    %c = "bt.bundle"(..) : .. -> !bt.branches<36 x 1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.CompactOp, rewriter: PatternRewriter) -> None:
        branches, here = op.operand.owner, _Tensors.before(op, rewriter)
        if here is None or not isinstance(branches, bt.BranchesOp):
            return
        axes = {v: lane_axis(v) for v in branches.operands}
        if not all(can_be_laid_out(v, axis) for v, axis in axes.items()):
            return
        valid = branches.valid
        if valid is None:
            valid = here.at.add(constant(np.array(True), i1))
        slots = _Slots(op, here, here.to_batch(valid, lane_count(op.operand)))
        picks = LanePicks(slots.chosen, here.at)

        def picked(value: SSAValue, element: Attribute) -> SSAValue:
            value = picks.of(value, axes[value])
            here.at.location = branches.location
            if element_of(value) != element:
                value = here.at.add(convert(value, element))
            return here.to_batch(value, slots.count)

        sites = [picked(site, i32) for site in branches.sites]
        values = [picked(value, here.state) for value in branches.values]
        amplitude = picked(branches.amplitude, element_of(branches.amplitude))
        rewriter.replace(op, slots.filled(sites, values, amplitude))


class LowerCompact(RewritePattern):
    """`bt.compact` of other branches takes the lanes that are valid.

    %b = "bt.bundle"(%e, %i, %v, %p) : .. -> !bt.branches<132 x 1>
    %c = bt.compact %b : !bt.branches<132 x 1> -> !bt.branches<36 x 1>
    becomes, with the numbers of the valid lanes as %n : tensor<4x36xi32>
    %j = stablehlo.gather %i, %n : .. -> tensor<4x36xi32>
    %w = stablehlo.gather %v, %n : .. -> tensor<4x36xi8>
    %f = stablehlo.gather %e, %n : .. -> tensor<4x36xf64>
    %c = "bt.bundle"(%f, %j, %w) : .. -> !bt.branches<36 x 1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.CompactOp, rewriter: PatternRewriter) -> None:
        part, here = _bundle(op.operand), _Tensors.before(op, rewriter)
        if here is None:
            return
        if part.images:
            raise PassFailedException(
                "convert-bt-to-stablehlo: bt.compact takes no bt.images"
            )
        lanes = lane_count(op.operand)
        valid = part.valid
        if valid is None:
            valid = here.full(1, i1, (here.batch, lanes))
        slots = _Slots(op, here, valid)

        def taken(value: SSAValue) -> SSAValue:
            return here.at.add(
                gather_columns(here.to_batch(value, lanes), slots.chosen)
            )

        sites = [taken(site) for site in part.sites]
        values = [taken(value) for value in part.values]
        rewriter.replace(op, slots.filled(sites, values, taken(part.elements)))


class _Slots:
    """The valid lanes in order: which they are, and what is where there are fewer."""

    def __init__(self, op: bt.CompactOp, here: _Tensors, valid: SSAValue):
        self.op = op
        self.here = here
        self.count = lane_count(op.result)
        found = ValidLanes(here.at).first(valid, self.count)
        self.chosen, self._is_filled, self._total = found

    def filled(
        self, sites: Sequence[SSAValue], values: Sequence[SSAValue], elements: SSAValue
    ) -> BundleOp:
        """Return branches of the lanes that are filled; NaN if these are not all."""
        op, here, at = self.op, self.here, self.here.at
        at.location = op.location
        shape = (here.batch, self.count)
        elements = self._or(elements, 0)
        promised = here.full(self.count, i32, (here.batch, 1))
        is_broken = at.add(compare("GT", self._total, promised))
        is_broken = at.add(broadcast_in_dim(is_broken, shape, [0, 1]))
        broken = here.full(np.nan, element_of(elements), shape)
        sites = [self._or(site, NO_SITE) for site in sites]
        elements = at.add(select(is_broken, broken, elements))
        writes = list(zip(sites, values, strict=True))
        return BundleOp(op, elements, writes, valid=self._is_filled)

    def _or(self, value: SSAValue, otherwise: float) -> SSAValue:
        rest = self.here.full(otherwise, element_of(value), shape_of(self.chosen))
        return self.here.at.add(select(self._is_filled, value, rest))


class LowerConnections(RewritePattern):
    """`bt.connections` becomes selects over one dense broadcast of x.

    %b = "bt.bundle"(%e, %i, %v) : .. -> !bt.branches<7 x 1>
    %y, %m = bt.connections %x, %b : .. -> (tensor<4x7x8xi8>, tensor<4x7xf64>)
    becomes
    %s = stablehlo.broadcast_in_dim %x, dims = [0, 2] : .. -> tensor<4x7x8xi8>
    %w = stablehlo.broadcast_in_dim %v, dims = [0, 1] : .. -> tensor<4x7x8xi8>
    %y = stablehlo.select %mask, %w, %s : tensor<4x7x8xi1>, tensor<4x7x8xi8>
    and %e
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.ConnectionsOp, rewriter: PatternRewriter
    ) -> None:
        here, lanes = (
            _Tensors(op, Inserter(rewriter, op.location)),
            _bundle(op.branches),
        )
        connected = _connected(here, lanes)
        rewriter.replace(op, (), (connected, _of_batch(here, lanes.elements)))


class LowerLanes(RewritePattern):
    """`bt.lanes` is what `bt.connections` starts from, nothing dense.

    %b = "bt.bundle"(%e, %i, %v) : .. -> !bt.branches<7 x 1>
    %s, %w, %m = bt.lanes %x, %b : ..
    becomes %i, %v and %e
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.LanesOp, rewriter: PatternRewriter) -> None:
        here, lanes = (
            _Tensors(op, Inserter(rewriter, op.location)),
            _bundle(op.branches),
        )
        if lanes.images:
            raise PassFailedException(
                "convert-bt-to-stablehlo: bt.lanes of bt.images has no writes; leave "
                "bt-materialize-strategy out"
            )
        sites = [
            _to_batch(site, shape_of(result), here.at)
            for site, result in zip(lanes.sites, op.sites, strict=True)
        ]
        elements = _of_batch(here, lanes.elements)
        rewriter.replace(op, (), [*sites, *lanes.values, elements])


def _of_batch(here: _Tensors, elements: SSAValue) -> SSAValue:
    """Let matrix elements that are the same for every x depend on x nevertheless.

    Where the batch is spread over devices they would be on all of them otherwise.
    """
    if not shape_of(elements)[1] or _follows_batch(elements):
        return elements
    shape = shape_of(elements)
    first = here.at.add(slice_columns(here.config, 0, 1))
    column = here.at.add(reshape(first, shape[:1]))
    if isinstance(here.state, IntegerType):
        itself = here.at.add(compare("EQ", column, column))
        always = here.at.add(broadcast_in_dim(itself, shape, [0]))
        zeros = here.full(0, element_of(elements), shape)
        return here.at.add(select(always, elements, zeros))
    # NaN in, NaN out
    nothing = here.at.add(SubtractOp(column, column))
    if element_of(nothing) != element_of(elements):
        nothing = here.at.add(convert(nothing, element_of(elements)))
    wide = here.at.add(broadcast_in_dim(nothing, shape, [0]))
    return here.at.add(AddOp(elements, wide))


def _connected(here: _Tensors, lanes: BundleOp) -> SSAValue:
    batch, sites = shape_of(here.config)
    shape = (batch, shape_of(lanes.elements)[1], sites)
    source = here.at.add(broadcast_in_dim(here.config, shape, [0, 2]))
    dense = _with_images(here, source, lanes, shape)
    for site, value in zip(lanes.sites, lanes.values, strict=True):
        mask = _mask(here, site, shape)
        if mask is None:
            continue
        written = here.at.add(broadcast_in_dim(value, shape, [0, 1]))
        dense = here.at.add(select(mask, written, dense))
    return dense


def _with_images(
    here: _Tensors, source: SSAValue, lanes: BundleOp, shape: Sequence[int]
) -> SSAValue:
    """Return x' of valid lanes with their images, else x."""
    dense = source
    for mask, image in zip(lanes.masks, lanes.images, strict=True):
        mask = here.at.add(cast(Operation, mask.owner).clone())  # where it is used
        mask = here.at.add(broadcast_in_dim(mask, shape, [1, 2]))
        dims = [0, 2] if shape_of(image) else []
        wide = here.at.add(broadcast_in_dim(image, shape, dims))
        dense = here.at.add(select(mask, wide, dense))
    if lanes.placed is None or dense is source:
        return dense
    valid = here.at.add(broadcast_in_dim(lanes.placed, shape, [0, 1]))
    return here.at.add(select(valid, dense, source))


def _mask(here: _Tensors, site: SSAValue, shape: Sequence[int]) -> SSAValue | None:
    """Return where x' is written, of the shape of x'; None if nowhere."""
    _, lanes, sites = shape
    table = constant_of(site)
    if table is not None and (table == NO_SITE).all():
        return None
    if table is not None and table.ndim == 1 and lanes * sites <= MAX_MASK_ELEMENTS:
        mask = table[:, None] == np.arange(sites)
        return here.at.add(
            broadcast_in_dim(here.at.add(constant(mask, i1)), shape, [1, 2])
        )
    per_sample = len(shape_of(site)) == 2
    axes = list(shape) if per_sample else [lanes, sites]
    numbers = here.at.add(iota(i32, axes, len(axes) - 1))
    spread = here.at.add(broadcast_in_dim(site, axes, list(range(len(axes) - 1))))
    mask = here.at.add(compare("EQ", numbers, spread))
    if per_sample:
        return mask
    return here.at.add(broadcast_in_dim(mask, shape, [1, 2]))


class StandTogether(RewritePattern):
    """Ops that make branches come right before the op that takes them.

    So that all lanes are computed in one place, whatever else is computed between.

    %b = bt.branches ..
    %y = stablehlo.add ..
    %c = bt.concat %a, %b : ..
    becomes
    %y = stablehlo.add ..
    %b = bt.branches ..
    %c = bt.concat %a, %b : ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self,
        op: bt.JoinOp | bt.CompactOp | bt.ConnectionsOp | bt.LanesOp,
        rewriter: PatternRewriter,
    ) -> None:
        for operand in op.operands:
            maker = operand.owner
            if not isinstance(operand.type, bt.BranchesType):
                continue
            if isinstance(maker, Operation) and operand.has_one_use():
                maker.detach()
                rewriter.insert(maker, InsertPoint.before(op))


class EraseNote(RewritePattern):
    """A kernel says neither what x is like nor which lanes are not there."""

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.PrunedOp | bt.AssumeOp | bt.UnarrangedOp, rewriter: PatternRewriter
    ) -> None:
        rewriter.erase(op)


def _values(op: Operation) -> Iterator[SSAValue]:
    for inner in op.walk():
        yield from inner.results
        for region in inner.regions:
            for block in region.blocks:
                yield from block.args


@dataclass(frozen=True)
class ConvertBtToStablehloPass(ModulePass):
    """Leave only `func` and StableHLO. Expects `bt-specialize`."""

    name = "convert-bt-to-stablehlo"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for value in _values(op):
            if not isinstance(value.type, TensorType):
                continue
            if bt.BATCH in shape_of(value) or isinstance(
                element_of(value), bt.StateType
            ):
                raise PassFailedException(
                    f"{self.name}: the batch size or the state type is not bound; "
                    "run bt-specialize first"
                )
        rewrite_once(op, StandTogether(), backwards=True)
        rewrite_once(op, PickLanes())
        first = FirstPattern(
            LowerGather(),
            LowerBroadcast(),
            LowerReduce(),
            LowerDot(),
            LowerBranches(),
            LowerImages(),
            LowerJoin(),
            LowerCompact(),
            LowerConnections(),
            LowerLanes(),
            *(pattern() for pattern in PATTERNS),
            EraseNote(),
        )
        PatternRewriteWalker(first).rewrite_module(op)
        erase_unreachable(op)
        left = sorted({inner.name for inner in op.walk() if inner.name[:3] == "bt."})
        if left:
            raise PassFailedException(f"{self.name}: cannot lower {', '.join(left)}")
