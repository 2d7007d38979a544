"""Loops over samples and states as `stablehlo.while`: patterns of the conversion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.builder import Builder
from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    IntegerAttr,
    ModuleOp,
    i1,
    i32,
    i64,
)
from xdsl.dialects.func import CallOp, FuncOp
from xdsl.ir import Block, Operation, Region
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint
from xdsl.traits import SymbolTable
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import (
    element_of,
    gather_rows,
    shape_of,
    tensor,
)
from dialects.stablehlo_ops import DynamicUpdateSliceOp
from lowering.arrays import Array, array, iota, zeros
from lowering.rewriting import Inserter
from lowering.stablehlo.stablehlo_batch import batch_region

FLAGS, NUMBERS = 8, 32
"""Sizes of the blocks that are counted, or added, by themselves."""

FIRST, OTHER = 0x9E3779B1, 0x2C9277B5
"""Odd numbers of 32 bits, of which products hash keys."""

Carried = list[Array]


def while_loop(
    initial: Sequence[Array],
    condition: Callable[[Carried], Array],
    body: Callable[[Carried], Sequence[Array]],
) -> Carried:
    """Insert a loop that carries arrays; its regions take what is outside as it is."""
    insert = initial[0].insert
    kinds = [one.value.type for one in initial]

    def region(of: Callable[[Carried], Sequence[Array]]) -> Region:
        block = Block(arg_types=kinds)
        inside = Inserter(Builder(InsertPoint.at_end(block)), insert.location)
        found = of([Array(argument, inside) for argument in block.args])
        inside.add_op(hlo.ReturnOp.create(operands=[one.value for one in found]))
        return Region(block)

    loop = hlo.WhileOp.create(
        operands=[one.value for one in initial],
        result_types=kinds,
        regions=[region(lambda carried: [condition(carried)]), region(body)],
    )
    insert.add_op(loop)
    return [Array(result, insert) for result in loop.results]


def updated(whole: Array, part: Array, start: Array) -> Array:
    """Return an array with another one in place of its entries from a number on."""
    starts = [start.value, *(start.like(0).value for _ in whole.shape[1:])]
    op = DynamicUpdateSliceOp.create(
        operands=[whole.value, part.value, *starts], result_types=[whole.value.type]
    )
    return whole.of(op)


@dataclass
class LowerMapSamples(RewritePattern):
    """Samples are taken one chunk after the other; the last one has some again.

    %e = bt.map_samples @chunk(%x, %w) : (tensor<9x8xi8>, tensor<f64>) -> tensor<9xf64>
    becomes, for chunks of 4,
    %n, %e = stablehlo.while(%i = %zero, %all = %nothing) : tensor<i32>, tensor<9xf64>
    cond { %i < 9 } do {
      %from = stablehlo.minimum %i, %five : tensor<i32>
      %part = stablehlo.dynamic_slice %x, %from, %zero, sizes = [4, 8]
      %found = func.call @chunk(%part, %w) : .. -> tensor<4xf64>
      %more = stablehlo.dynamic_update_slice %all, %found, %from : ..
      stablehlo.return %i + 4, %more
    }
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.MapSamplesOp, rewriter: PatternRewriter) -> None:
        insert = Inserter(rewriter, op.location)
        kinds = list(op.function.function_type.outputs)
        name = op.callee.string_value()
        batch = shape_of(op.config)[0]
        size = cast(Any, op.function.function_type.inputs.data[0]).get_shape()[0]
        if size == batch:
            given = [op.config, *op.shared]
            rewriter.replace(op, CallOp(name, given, kinds))
            return

        def body(carried: Carried) -> Carried:
            start, *found = carried
            begin = start.minimum(batch - size)
            part = Array(op.config, start.insert).part(begin, size)
            call = CallOp(name, [part.value, *op.shared], kinds)
            start.insert.add_op(call)
            new = [Array(one, start.insert) for one in call.results]
            return [
                start + size,
                *(updated(a, b, begin) for a, b in zip(found, new, strict=True)),
            ]

        first = array(insert, 0, i32)
        end = first.like(batch) if op.count is None else Array(op.count, insert)
        empty = [zeros(insert, element_of(v), shape_of(v)) for v in op.outputs]
        _, *results = while_loop(
            [first, *empty], lambda carried: carried[0].compared("LT", end), body
        )
        rewriter.replace(op, (), [one.value for one in results])


class LowerMapStates(RewritePattern):
    """Numbers of states are computed some at once, in a loop for each size.

    %r = bt.map_states over %states to %count from 4 sizes [8] { .. } : tensor<16xf64>
    becomes
    %s, %r = stablehlo.while(%i = %four, %all = %nothing) : tensor<i32>, tensor<16xf64>
    cond { %i < %end } do {
      %numbers = stablehlo.dynamic_slice %states, %i, sizes = [8]
      %found = what is yielded, of all of them : tensor<8xf64>
      ..
    }
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.MapStatesOp, rewriter: PatternRewriter) -> None:
        insert = Inserter(rewriter, op.location)
        (total,) = shape_of(op.result)
        first = op.first.value.data
        found = zeros(insert, element_of(op.result), (total,))
        start = array(insert, first, i32)
        for size, count in _counts(op, insert, first, total):
            region = op.body.clone()
            batch_region(region, size, [0])
            _declare(op, region)
            body = _Chunk(op, region, size, total)
            turn, begin = start.like(0), start.minimum(total - size)
            _, _, found = while_loop(
                [turn, begin, found],
                lambda carried, count=count: carried[0].compared("LT", count),
                body,
            )
            start = start + count * size
        rewriter.replace(op, (), [found.value])


def _declare(op: Operation, region: Region) -> None:
    """Declare functions of many that a region calls, and that are not there."""
    module = op.get_toplevel_object()
    assert isinstance(module, ModuleOp)
    for call in (one for one in region.walk() if isinstance(one, CallOp)):
        if SymbolTable.lookup_symbol(op, call.callee) is None:
            kinds = [[v.type for v in of] for of in (call.arguments, call.results)]
            function = FuncOp.external(call.callee.string_value(), *kinds)
            module.body.block.add_op(function)


@dataclass
class _Chunk:
    """The body of a loop over states: so many of them, and where they come."""

    op: bt.MapStatesOp
    region: Region
    size: int
    total: int

    def __call__(self, carried: Carried) -> Carried:
        turn, start, found = carried
        insert = start.insert
        if self.op.states is None:
            numbers = start + iota(insert, i32, (self.size,), 0)
        else:
            numbers = Array(self.op.states, insert).part(start, self.size)
        values = self._values(numbers)
        # The last ones have some of those before again, so that nothing is padded
        following = (start + self.size).minimum(self.total - self.size)
        return [turn + 1, following, updated(found, values, start)]

    def _values(self, numbers: Array) -> Array:
        block = self.region.block
        end = block.last_op
        assert isinstance(end, bt.YieldOp)
        block.args[0].replace_all_uses_with(numbers.value)
        value = end.value
        for op in list(block.ops):
            op.detach()
            if op is not end:
                numbers.insert.builder.insert(op)
        end.drop_all_references()
        return Array(value, numbers.insert)


def _counts(
    op: bt.MapStatesOp, insert: Inserter, first: int, total: int
) -> list[tuple[int, Array]]:
    """Return sizes of chunks from a place to the last in use, and how many of each."""
    left = total - first
    given = [*cast(Any, op.sizes).get_values()]
    sizes = list(dict.fromkeys(min(size, left) for size in given))
    if not left:
        return []
    if op.count is None:
        count = -(-left // sizes[0])
        return [(-(-left // count), array(insert, count, i32))]
    rest = Array(op.count, insert) - first
    counts: list[tuple[int, Array]] = []
    # One more where the smaller ones would be as many as fill it
    for size, smaller in zip(sizes, (*sizes[1:], sizes[-1]), strict=True):
        count = (rest + (smaller - 1)) // size
        counts.append((size, count))
        rest = rest - count * size
    return counts


class LowerPack(RewritePattern):
    """Live lanes are counted, and their numbers written where they come.

    %states, %places, %count = bt.pack %live : tensor<4x3xi1> -> ..
    becomes
    %places = sums over blocks of flags, and of what is before them
    %states = "stablehlo.scatter"(%samples, %places + 3, %numbers) ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.PackOp, rewriter: PatternRewriter) -> None:
        insert = Inserter(rewriter, op.location)
        samples, lanes = shape_of(op.live)
        total = samples * lanes
        live = Array(op.live, insert).reshape(total)
        places = _counted(live)
        numbers = iota(insert, i32, (samples + total,), 0)
        own = numbers.compared("LT", samples).where(numbers, 0)
        # Places outside are dropped
        target = live.where(places + (samples - 1), samples + total)
        states = _scattered(own, target, iota(insert, i32, (total,), 0) + samples)
        if total:
            count = places.slice(total - 1, total).reshape() + samples
        else:
            count = array(insert, samples, i32)
        rewriter.replace(op, (), [one.value for one in (states, places, count)])


class LowerDistinct(RewritePattern):
    """States are entered into a table at a hash of their keys, the first one stays.

    Those that find their own key there are done, the others try again with another
    hash: each round is done with one key at least, mostly with nearly all. Whole keys
    are compared, so that hashes decide nothing but how many rounds there are. On CPUs
    that takes 10 to 30 ns a state; to sort keys with the numbers of states takes 150 to
    300 ns.

    %states, %places, %count = bt.distinct %keys : tensor<16x2xi32> -> ..
    becomes
    %m, %first, %open = stablehlo.while(..) cond { is any open } do {
      %hash = (sum of %keys * %m) >> 28
      %table = "stablehlo.scatter"(%none, %hash of the open, %numbers) by minimum
      %same = %keys of %table[%hash] are %keys
      stablehlo.return %m * %other, select(%same, %table[%hash], %first), ..
    }
    %counts = how many are %first of themselves, up to each
    %states = "stablehlo.scatter"(%zeros, %counts - 1 of these, %numbers)
    %places = %counts[%first] - 1
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.DistinctOp, rewriter: PatternRewriter) -> None:
        insert = Inserter(rewriter, op.location)
        first = _first_of_key(Array(op.keys, insert))
        (total,) = first.shape
        numbers = iota(insert, i32, (total,), 0)
        is_first = first.compared("EQ", numbers)
        counts = _counted(is_first)
        # Places outside are dropped
        target = is_first.where(counts - 1, total)
        states = _scattered(zeros(insert, i32, (total,)), target, numbers)
        places = counts.of(gather_rows(counts.value, first.value)) - 1
        count = counts.slice(total - 1, total).reshape()
        rewriter.replace(op, (), [one.value for one in (states, places, count)])


def _first_of_key(keys: Array) -> Array:
    """Return the number of the first state with the key of each, (T,)."""
    total, words = keys.shape
    bits = max(1, (total - 1).bit_length())
    numbers = iota(keys.insert, i32, (total,), 0)

    def body(carried: Carried) -> Carried:
        multipliers, first, is_open = carried
        own, number = keys.inside(first.insert), numbers.inside(first.insert)
        cells = (own * multipliers).sum(1).shifted_right(32 - bits)
        target = is_open.where(cells, 1 << bits)
        none = number.like(total - 1).broadcast((1 << bits,), [])
        table = _scattered(none, target, number, hlo.MinimumOp)
        found = table.of(gather_rows(table.value, cells.value))
        same = own.of(gather_rows(own.value, found.value)).compared("EQ", own)
        is_done = same.all(1) & is_open
        return [multipliers * OTHER, is_done.where(found, first), is_open & ~is_done]

    # Odd numbers: all words that differ have products that do
    odd = (np.arange(words) * OTHER * 2 + FIRST).astype(np.uint32).view(np.int32)
    start = array(keys.insert, odd, i32)
    is_open = array(keys.insert, True, i1).broadcast((total,), [])
    _, first, _ = while_loop(
        [start, numbers, is_open], lambda carried: carried[2].any(0), body
    )
    return first


class LowerUnpack(RewritePattern):
    """What was found of live lanes is gathered back, one number for each lane.

    %r = bt.unpack %found, %places where %live : .. -> tensor<4x3xf64>
    becomes
    %all = "stablehlo.gather"(%found, %places + 3) : .. -> tensor<12xf64>
    %r = stablehlo.select %live, %all, %zero : tensor<4x3xi1>, tensor<4x3xf64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.UnpackOp, rewriter: PatternRewriter) -> None:
        insert = Inserter(rewriter, op.location)
        live = Array(op.live, insert)
        places = Array(op.places, insert).maximum(1) + (live.shape[0] - 1)
        found = live.of(gather_rows(op.found, places.value)).reshape(*live.shape)
        rewriter.replace(op, (), [live.where(found, 0).value])


PATTERNS: tuple[type[RewritePattern], ...] = (
    LowerMapSamples,
    LowerMapStates,
    LowerPack,
    LowerDistinct,
    LowerUnpack,
)


# region Counts


def _counted(flags: Array) -> Array:
    """Return how many flags (L,) are set up to each, itself included, as i32.

    By sums over short blocks: on CPUs one sum up to each of all takes longer, and it is
    more to compile.
    """
    (length,) = flags.shape
    if not length:
        return flags.astype(i32)
    blocks = _blocks(flags, FLAGS)
    count = blocks.shape[0]
    so_far = flags.constant(np.tri(FLAGS, dtype=bool), i1)
    both = blocks.reshape(count, 1, FLAGS) & so_far.reshape(1, FLAGS, FLAGS)
    inside = both.astype(i32).sum(2)
    last = inside.columns(FLAGS - 1, FLAGS).reshape(count)
    before = _sums_before(last).reshape(count, 1)
    return (inside + before).reshape(-1).slice(0, length)


def _sums_before(numbers: Array) -> Array:
    """Return the sum of all numbers (L,) before each."""
    (length,) = numbers.shape
    whole = length <= 2 * NUMBERS
    blocks = numbers.reshape(1, length) if whole else _blocks(numbers, NUMBERS)
    count, size = blocks.shape
    earlier = numbers.constant(np.tri(size, k=-1, dtype=bool), i1)
    mask = earlier.reshape(1, size, size).broadcast((count, size, size))
    spread = blocks.reshape(count, 1, size).broadcast((count, size, size))
    inside = mask.where(spread, 0).sum(2)
    if whole:
        return inside.reshape(length)
    before = _sums_before(blocks.sum(1)).reshape(count, 1)
    return (inside + before).reshape(-1).slice(0, length)


def _blocks(values: Array, size: int) -> Array:
    """Return values (L,) in blocks of a size, with zeros at the end."""
    count = -(-values.shape[0] // size)
    return values.padded(count * size - values.shape[0], 0).reshape(count, size)


def _scattered(
    whole: Array,
    places: Array,
    values: Array,
    combine: type[Operation] | None = None,
) -> Array:
    """Return an array with values at places, where it has some.

    No two of these are the same, where nothing is said to combine values.
    """
    kind = tensor(whole.element)
    block = Block(arg_types=[kind, kind])
    inside = Inserter(Builder(InsertPoint.at_end(block)), whole.insert.location)
    new = block.args[1]
    if combine is not None:
        new = inside.add(combine.create(operands=block.args, result_types=[kind]))
    inside.add_op(hlo.ReturnOp.create(operands=[new]))

    def dims(*numbers: int) -> ArrayAttr[Any]:
        return ArrayAttr([IntegerAttr(number, i64) for number in numbers])

    op = hlo.ScatterOp.create(
        operands=[whole.value, places.reshape(-1, 1).value, values.value],
        result_types=[whole.value.type],
        properties={
            "scatter_dimension_numbers": hlo.ScatterDimensionNumbers(
                dims(), dims(0), dims(), dims(), dims(0), IntegerAttr(1, i64)
            ),
            "indices_are_sorted": BoolAttr.from_bool(False),
            "unique_indices": BoolAttr.from_bool(combine is None),
        },
        regions=[Region(block)],
    )
    return whole.of(op)


# endregion
