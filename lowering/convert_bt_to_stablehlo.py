"""`convert-bt-to-stablehlo`: one static kernel of StableHLO.

`bt.connections` joins all lanes in one table of writes and folds its columns over a
single (batch, lanes, sites) tensor: one fused loop in XLA. A missing write has site -1,
which no site is equal to. The validity of a lane is decided on the lanes, before
anything is dense: an invalid lane writes back the source value, with matrix element 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import IntegerType, ModuleOp, TensorType, i1, i32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.provenance import in_place_of
from dialects.reductions import Reduction
from dialects.stablehlo import (
    AddOp,
    AndOp,
    MultiplyOp,
    OrOp,
    SubtractOp,
    XorOp,
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
from lowering.lane_layout import LanePicks, can_be_laid_out, lane_axis
from lowering.relations import Relation
from lowering.rewriting import Inserter
from lowering.valid_lanes import ValidLanes

MAX_MASK_ELEMENTS = 256 * 1024
"""Above this many lanes x sites a mask is computed, below it is a constant: a constant
mask is faster, but its text grows with it."""

NO_SITE = -1

_Join = Callable[[Sequence[SSAValue]], SSAValue]


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


def _lane_count(branches: SSAValue) -> int:
    return cast(bt.BranchesType, branches.type).lanes.data


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
        combine, neutral = _COMBINE[op.kind.data]
        initial = at.add(constant(np.array(neutral), element_of(op.operand)))
        axis = len(shape_of(op.result))
        combined = reduce(op.operand, initial, axis, combine)
        rewriter.replace(op, in_place_of(op, combined))


class LowerDot(RewritePattern):
    """`bt.dot` is `stablehlo.dot_general` in full precision."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.DotOp, rewriter: PatternRewriter) -> None:
        rewriter.replace(op, in_place_of(op, dot(op.operand, op.matrix)))


_COMBINE: dict[Reduction, tuple[Callable[[SSAValue, SSAValue], Operation], float]] = {
    Reduction.SUM: (AddOp, 0),
    Reduction.PROD: (MultiplyOp, 1),
    Reduction.ANY: (OrOp, False),
    Reduction.ALL: (AndOp, True),
    Reduction.PARITY: (XorOp, False),
}
"""The op that combines two values, and what it starts from."""


_Image = tuple[npt.NDArray[np.bool_], SSAValue]
"""Where an image is put, (lanes, sites), and the image, (batch, sites) or a scalar."""


@dataclass(frozen=True)
class _Lanes:
    """Branches as tensors: a site and a value per write, and the matrix elements."""

    sites: tuple[SSAValue, ...]
    """Each (lanes,) or (batch, lanes) of i32."""
    values: tuple[SSAValue, ...]
    """Each (batch, lanes) of the state type; the source value where not valid."""
    matrix_elements: SSAValue
    """(batch, lanes); 0 where not valid."""
    images: tuple[_Image, ...] = ()
    """What x' is before the writes, no two at one site; of the state type."""
    valid: SSAValue | None = None
    """Where images are put, (batch, lanes); None for everywhere."""


def _filled(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a table of sites with that of the next lane where there is none.

    What is read there is not written anywhere; so it may be what others read anyway.
    """
    lanes = np.where(table == NO_SITE, len(table), np.arange(len(table)))
    following = np.minimum.accumulate(lanes[::-1])[::-1]
    return np.where(following < len(table), np.append(table, 0)[following], 0)


@dataclass
class _ConnectionsLowering:
    """Lowers one `bt.connections` or `bt.lanes`."""

    op: bt.ConnectionsOp | bt.LanesOp
    at: Inserter
    _stored: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    """Images in the state type: what parts share stays one select."""

    @property
    def batch(self) -> int:
        return shape_of(self.op.config)[0]

    @property
    def state(self) -> Attribute:
        return element_of(self.op.config)

    def run(self) -> tuple[SSAValue, SSAValue]:
        """Return x' and the matrix elements."""
        lanes = self._lanes(self.op.branches)
        return self._connected(lanes), self._of_batch(lanes.matrix_elements)

    def run_lanes(self) -> list[SSAValue]:
        """Return sites, values and the matrix elements; of `bt.lanes`."""
        op = cast(bt.LanesOp, self.op)
        lanes = self._lanes(op.branches)
        if lanes.images:
            raise PassFailedException(
                "convert-bt-to-stablehlo: bt.lanes of bt.images has no writes; leave "
                "bt-materialize-strategy out"
            )
        sites = [
            _to_batch(site, shape_of(result), self.at)
            for site, result in zip(lanes.sites, op.sites, strict=True)
        ]
        return [*sites, *lanes.values, self._of_batch(lanes.matrix_elements)]

    def _of_batch(self, elements: SSAValue) -> SSAValue:
        """Let matrix elements that are the same for every x depend on x nevertheless.

        Where the batch is spread over devices they would be on all of them otherwise.
        """
        if not shape_of(elements)[1] or _follows_batch(elements):
            return elements
        shape = shape_of(elements)
        first = self.at.add(slice_columns(self.op.config, 0, 1))
        column = self.at.add(reshape(first, shape[:1]))
        if isinstance(self.state, IntegerType):
            itself = self.at.add(compare("EQ", column, column))
            always = self.at.add(broadcast_in_dim(itself, shape, [0]))
            zeros = self._zeros(element_of(elements), shape)
            return self.at.add(select(always, elements, zeros))
        # NaN in, NaN out
        nothing = self.at.add(SubtractOp(column, column))
        if element_of(nothing) != element_of(elements):
            nothing = self.at.add(convert(nothing, element_of(elements)))
        wide = self.at.add(broadcast_in_dim(nothing, shape, [0]))
        return self.at.add(AddOp(elements, wide))

    def _zeros(self, element: Attribute, shape: Sequence[int]) -> SSAValue:
        return self._full(0, element, shape)

    # region Lanes

    def _lanes(self, branches: SSAValue) -> _Lanes:
        match branches.owner:
            case bt.BranchesOp() as op:
                return self._leaf(op)
            case bt.ImagesOp() as op:
                return self._images(op)
            case bt.ConcatOp() as op:
                return self._join(op, self._concatenate)
            case bt.InterleaveOp() as op:
                return self._join(op, self._interleave)
            case bt.CompactOp() as op:
                return self._compact(op)
            case _:
                raise PassFailedException(
                    "convert-bt-to-stablehlo: branches must come from bt.branches, "
                    "bt.concat, bt.interleave or bt.compact in the same function"
                )

    def _leaf(self, op: bt.BranchesOp) -> _Lanes:
        self.at.location = op.location
        lanes = op.result.type.lanes.data
        shape = (self.batch, lanes)
        sites = tuple(_to_batch(site, (lanes,), self.at) for site in op.sites)
        valid = None if op.valid is None else _to_batch(op.valid, shape, self.at)
        values = tuple(
            self._written(site, value, valid, shape)
            for site, value in zip(sites, op.values, strict=True)
        )
        return _Lanes(sites, values, self._elements(op, valid, shape))

    def _elements(
        self, op: bt.LeafOp, valid: SSAValue | None, shape: tuple[int, int]
    ) -> SSAValue:
        amplitude = _to_batch(op.amplitude, shape, self.at)
        if valid is None:
            return amplitude
        zeros = self._zeros(element_of(amplitude), shape)
        return self.at.add(select(valid, amplitude, zeros))

    def _images(self, op: bt.ImagesOp) -> _Lanes:
        self.at.location = op.location
        shape = (self.batch, op.result.type.lanes.data)
        valid = None if op.valid is None else _to_batch(op.valid, shape, self.at)
        images: list[_Image] = []
        for mask, image in zip(op.masks, op.images, strict=True):
            table = constant_of(mask)
            if table is None:
                raise PassFailedException(
                    "convert-bt-to-stablehlo: the masks of bt.images are constants"
                )
            images = [(earlier & ~table, before) for earlier, before in images]
            images.append((table, self._image(image)))
        elements = self._elements(op, valid, shape)
        return _Lanes((), (), elements, tuple(images), valid)

    def _image(self, image: SSAValue) -> SSAValue:
        if element_of(image) == self.state:
            return image
        if image not in self._stored:
            self._stored[image] = self.at.add(convert(image, self.state))
        return self._stored[image]

    def _written(
        self,
        site: SSAValue,
        value: SSAValue,
        valid: SSAValue | None,
        shape: tuple[int, int],
    ) -> SSAValue:
        if element_of(value) != self.state:
            value = self.at.add(convert(value, self.state))
        value = _to_batch(value, shape, self.at)
        if valid is None:
            return value
        per_sample = len(shape_of(site)) == 2
        table = None if per_sample else constant_of(site)
        if table is not None and (table == NO_SITE).any():
            site = self.at.add(constant(_filled(table), i32))
        source = _columns(self.op.config, site, self.at, per_sample=per_sample)
        return self.at.add(select(valid, value, source))

    def _join(self, op: bt.ConcatOp | bt.InterleaveOp, join: _Join) -> _Lanes:
        parts = [self._lanes(part) for part in op.parts]
        self.at.location = op.location
        kind = op.result.type
        if not parts or not kind.lanes.data:
            elements = self._zeros(
                element_of(self.op.matrix_elements), (self.batch, kind.lanes.data)
            )
            return _Lanes((), (), elements)
        writes = range(max(len(part.sites) for part in parts))
        padded = [self._pad(part, len(writes)) for part in parts]
        return _Lanes(
            tuple(join([part.sites[k] for part in padded]) for k in writes),
            tuple(join([part.values[k] for part in padded]) for k in writes),
            join([part.matrix_elements for part in padded]),
            self._joined_images(op, parts),
            self._joined_valid(parts, join),
        )

    def _joined_images(
        self, op: bt.ConcatOp | bt.InterleaveOp, parts: Sequence[_Lanes]
    ) -> tuple[_Image, ...]:
        """Return the images of all parts, each of all lanes."""
        found: dict[SSAValue, npt.NDArray[np.bool_]] = {}
        lanes, sites = op.result.type.lanes.data, shape_of(self.op.config)[1]
        numbers = np.arange(lanes)
        if isinstance(op, bt.InterleaveOp):
            places = list(numbers.reshape(-1, len(parts)).T)
        else:
            counts = [shape_of(part.matrix_elements)[1] for part in parts]
            places = np.split(numbers, np.cumsum(counts)[:-1])
        for own, part in zip(places, parts, strict=True):
            for mask, image in part.images:
                found.setdefault(image, np.zeros((lanes, sites), bool))[own] |= mask
        return tuple((mask, image) for image, mask in found.items())

    def _joined_valid(self, parts: Sequence[_Lanes], join: _Join) -> SSAValue | None:
        if all(part.valid is None for part in parts):
            return None
        return join([self._valid_of(part) for part in parts])

    def _valid_of(self, part: _Lanes) -> SSAValue:
        if part.valid is not None:
            return part.valid
        return self._full(1, i1, shape_of(part.matrix_elements))

    def _pad(self, part: _Lanes, writes: int) -> _Lanes:
        """Add writes that do nothing."""
        missing = writes - len(part.sites)
        if not missing:
            return part
        shape = shape_of(part.matrix_elements)
        nowhere = self.at.add(constant(np.full(shape[1], NO_SITE), i32))
        nothing = self._zeros(self.state, shape)
        return _Lanes(
            (*part.sites, *[nowhere] * missing),
            (*part.values, *[nothing] * missing),
            part.matrix_elements,
        )

    def _same_rank(self, values: Sequence[SSAValue]) -> list[SSAValue]:
        shape = max((shape_of(value) for value in values), key=len)
        return [
            _to_batch(value, (*shape[:-1], shape_of(value)[-1]), self.at)
            for value in values
        ]

    def _concatenate(self, values: Sequence[SSAValue]) -> SSAValue:
        """Join values along their lanes; tables of sites are joined here and now."""
        tables = [constant_of(value) for value in values]
        known = [table for table in tables if table is not None]
        if len(known) == len(values) and all(table.ndim == 1 for table in known):
            joined = np.concatenate(known)
            return self.at.add(constant(joined, element_of(values[0])))
        values = self._same_rank(values)
        return self.at.add(concatenate(values, len(shape_of(values[0])) - 1))

    def _interleave(self, values: Sequence[SSAValue]) -> SSAValue:
        """Join values so that the lanes of one row are neighbours."""
        tables = [constant_of(value) for value in values]
        known = [table for table in tables if table is not None]
        if len(known) == len(values) and all(table.ndim == 1 for table in known):
            joined = np.stack(known, axis=1).reshape(-1)
            return self.at.add(constant(joined, element_of(values[0])))
        values = self._same_rank(values)
        shape = shape_of(values[0])
        columns = [self.at.add(reshape(value, (*shape, 1))) for value in values]
        joined = self.at.add(concatenate(columns, len(shape)))
        total = shape[-1] * len(values)
        return self.at.add(reshape(joined, (*shape[:-1], total)))

    # endregion
    # region Compaction

    def _compact(self, op: bt.CompactOp) -> _Lanes:
        """Take the valid lanes, in order; later ones are not there."""
        slots = _lane_count(op.result)
        valid = self._valid(op.operand)
        self.at.location = op.location
        chosen, filled, total = ValidLanes(self.at).first(valid, slots)
        part = self._picked(op, chosen) or self._gathered(op, chosen)
        self.at.location = op.location

        def where_filled(value: SSAValue, otherwise: float) -> SSAValue:
            rest = self._full(otherwise, element_of(value), (self.batch, slots))
            return self.at.add(select(filled, value, rest))

        elements = where_filled(part.matrix_elements, 0)
        promised = self._full(slots, i32, (self.batch, 1))
        is_broken = self.at.add(compare("GT", total, promised))
        shape = (self.batch, slots)
        is_broken = self.at.add(broadcast_in_dim(is_broken, shape, [0, 1]))
        broken = self._full(np.nan, element_of(elements), shape)
        return _Lanes(
            tuple(where_filled(site, NO_SITE) for site in part.sites),
            part.values,
            self.at.add(select(is_broken, broken, elements)),
        )

    def _picked(self, op: bt.CompactOp, chosen: SSAValue) -> _Lanes | None:
        """Compute what is chosen alone; None where that is not possible."""
        branches = op.operand.owner
        if not isinstance(branches, bt.BranchesOp):
            return None
        axes = {v: lane_axis(v) for v in branches.operands}
        if not all(can_be_laid_out(v, axis) for v, axis in axes.items()):
            return None
        picks = LanePicks(chosen, self.at)
        shape = shape_of(chosen)

        def picked(value: SSAValue, element: Attribute) -> SSAValue:
            value = picks.of(value, axes[value])
            self.at.location = branches.location
            if element_of(value) != element:
                value = self.at.add(convert(value, element))
            return _to_batch(value, shape, self.at)

        amplitude = branches.amplitude
        return _Lanes(
            tuple(picked(site, i32) for site in branches.sites),
            tuple(picked(value, self.state) for value in branches.values),
            picked(amplitude, element_of(amplitude)),
        )

    def _gathered(self, op: bt.CompactOp, chosen: SSAValue) -> _Lanes:
        """Compute all lanes, and take what is chosen."""
        part = self._lanes(op.operand)
        if part.images:
            raise PassFailedException(
                "convert-bt-to-stablehlo: bt.compact takes no bt.images"
            )
        self.at.location = op.location
        lanes = _lane_count(op.operand)

        def taken(value: SSAValue) -> SSAValue:
            value = _to_batch(value, (self.batch, lanes), self.at)
            return self.at.add(gather_columns(value, chosen))

        return _Lanes(
            tuple(taken(site) for site in part.sites),
            tuple(taken(value) for value in part.values),
            taken(part.matrix_elements),
        )

    def _valid(self, branches: SSAValue) -> SSAValue:
        """Return which lanes are valid, (batch, lanes)."""
        op = branches.owner
        shape = (self.batch, _lane_count(branches))
        match op:
            case bt.ConcatOp() | bt.InterleaveOp():
                interleaves = isinstance(op, bt.InterleaveOp)
                join = self._interleave if interleaves else self._concatenate
                valid = join([self._valid(part) for part in op.parts])
            case bt.BranchesOp() | bt.ImagesOp() if op.valid is not None:
                valid = op.valid
            case bt.BranchesOp() | bt.ImagesOp():
                valid = self.at.add(constant(np.array(True), i1))
            case _:
                raise PassFailedException(
                    "convert-bt-to-stablehlo: bt.compact takes bt.branches, bt.concat "
                    "or bt.interleave"
                )
        return _to_batch(valid, shape, self.at)

    def _full(self, value: float, element: Attribute, shape: Sequence[int]) -> SSAValue:
        scalar = self.at.add(constant(np.array(value), element))
        return self.at.add(broadcast_in_dim(scalar, shape, []))

    # endregion
    # region Dense x'

    def _connected(self, lanes: _Lanes) -> SSAValue:
        self.at.location = self.op.location
        batch, sites = shape_of(self.op.config)
        shape = (batch, shape_of(lanes.matrix_elements)[1], sites)
        source = self.at.add(broadcast_in_dim(self.op.config, shape, [0, 2]))
        dense = self._with_images(source, lanes, shape)
        for site, value in zip(lanes.sites, lanes.values, strict=True):
            mask = self._mask(site, shape)
            if mask is None:
                continue
            written = self.at.add(broadcast_in_dim(value, shape, [0, 1]))
            dense = self.at.add(select(mask, written, dense))
        return dense

    def _with_images(
        self, source: SSAValue, lanes: _Lanes, shape: Sequence[int]
    ) -> SSAValue:
        """Return x' of valid lanes with their images, else x."""
        dense = source
        for table, image in lanes.images:
            mask = self.at.add(constant(table, i1))
            mask = self.at.add(broadcast_in_dim(mask, shape, [1, 2]))
            dims = [0, 2] if shape_of(image) else []
            wide = self.at.add(broadcast_in_dim(image, shape, dims))
            dense = self.at.add(select(mask, wide, dense))
        if lanes.valid is None or dense is source:
            return dense
        valid = self.at.add(broadcast_in_dim(lanes.valid, shape, [0, 1]))
        return self.at.add(select(valid, dense, source))

    def _mask(self, site: SSAValue, shape: Sequence[int]) -> SSAValue | None:
        """Return where x' is written, of the shape of x'; None if nowhere."""
        _, lanes, sites = shape
        table = constant_of(site)
        if table is not None and (table == NO_SITE).all():
            return None
        if table is not None and table.ndim == 1 and lanes * sites <= MAX_MASK_ELEMENTS:
            mask = table[:, None] == np.arange(sites)
            return self.at.add(
                broadcast_in_dim(self.at.add(constant(mask, i1)), shape, [1, 2])
            )
        per_sample = len(shape_of(site)) == 2
        axes = list(shape) if per_sample else [lanes, sites]
        numbers = self.at.add(iota(i32, axes, len(axes) - 1))
        spread = self.at.add(broadcast_in_dim(site, axes, list(range(len(axes) - 1))))
        mask = self.at.add(compare("EQ", numbers, spread))
        if per_sample:
            return mask
        return self.at.add(broadcast_in_dim(mask, shape, [1, 2]))

    # endregion


class LowerConnections(RewritePattern):
    """`bt.connections` becomes selects over one dense broadcast of x."""

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.ConnectionsOp, rewriter: PatternRewriter
    ) -> None:
        results = _ConnectionsLowering(op, Inserter.before(op)).run()
        rewriter.replace(op, (), results)


class LowerLanes(RewritePattern):
    """`bt.lanes` is what `bt.connections` starts from, nothing dense."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.LanesOp, rewriter: PatternRewriter) -> None:
        results = _ConnectionsLowering(op, Inserter.before(op)).run_lanes()
        rewriter.replace(op, (), results)


class EraseBranches(RewritePattern):
    """Branches are part of the connections that they were used in."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        match op:
            case bt.PrunedOp():
                rewriter.erase(op)
            case (
                bt.BranchesOp()
                | bt.ImagesOp()
                | bt.ConcatOp()
                | bt.InterleaveOp()
                | bt.CompactOp()
            ) if not op.result.uses:
                rewriter.erase(op)
            case _:
                return


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
        for pattern in (
            GreedyRewritePatternApplier([LowerConnections(), LowerLanes()]),
            GreedyRewritePatternApplier(
                [LowerGather(), LowerBroadcast(), LowerReduce(), LowerDot()]
            ),
            EraseBranches(),
        ):
            PatternRewriteWalker(
                pattern, walk_reverse=isinstance(pattern, EraseBranches)
            ).rewrite_module(op)
        for function in op.walk():
            for promise in (bt.BOUNDS, bt.SUMS, bt.LOCAL_VALUES):
                function.attributes.pop(promise, None)
        left = sorted({inner.name for inner in op.walk() if inner.name[:3] == "bt."})
        if left:
            raise PassFailedException(f"{self.name}: cannot lower {', '.join(left)}")
