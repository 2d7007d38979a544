"""`lower-draws`: configurations are drawn by loops over sites, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from math import prod
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType, i1, i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.stablehlo import (
    dot,
    dtype_of,
    element_of,
    gather_rows,
    shape_of,
    tensor,
)
from lowering.arrays import Array, array, concatenated, iota, zeros
from lowering.energy.extraction import erase_unreachable, function_named, module_of
from lowering.functions import Arrays, batched, called, function_of, inlined
from lowering.relations import Relation
from lowering.rewriting import Inserter, rewrite_once
from lowering.stablehlo.loops import updated, while_loop

BUDGET, FEWEST = 1 << 21, 64
"""Bytes of what is kept of samples that are drawn at once, and how many at least. On
two cores 128 samples of 18 KB took 0.7 times as long as 1024, and as 32."""

FEW = 16
"""So many probabilities are added up one by one."""


@dataclass(frozen=True)
class _Chunk:
    """How a chunk of samples is drawn.

    Attributes:
        op: what is drawn.
        groups: functions of all samples of each group of steps: what opens it, what a
            site adds to log psi, of all its values, and the caches with the site.
        tables: how many tables there are.
    """

    op: bt.DrawOp
    groups: Sequence[Sequence[FuncOp]]
    tables: int

    def __call__(self, insert: Inserter, arguments: Arrays) -> Arrays:
        """Insert what draws samples (S, N), of their noise, tables and the start."""
        noise, *rest = arguments
        tables, (start, *caches) = rest[: self.tables], rest[self.tables :]
        samples, sites = noise.shape
        order = array(insert, self.op.sites, i32)
        by_step = noise.transpose(1, 0)
        noise = by_step.of(gather_rows(by_step.value, order.value))
        start = self._is_near_one(self._weights(start.real)).where(start, np.nan)
        wide = [one.broadcast((samples, *one.shape), None) for one in (start, *caches)]
        state = element_of(self.op.config)
        carried = [array(insert, 0, i32), zeros(insert, state, (sites, samples)), *wide]
        assert self.op.bounds is not None
        stops = map(int, self.op.bounds.get_values()[1:])
        for stop, (open_, *rest) in zip(stops, self.groups, strict=True):
            opened = inlined(insert, open_, [*tables, *carried[3:]])
            carried = while_loop(
                carried,
                lambda carried, stop=stop: carried[0].compared("LT", stop),
                partial(self._turn, tables, opened, noise, *rest),
            )
        _, drawn, log, *_ = carried
        inverse = array(insert, np.argsort(self.op.sites), i32)
        x = drawn.of(gather_rows(drawn.value, inverse.value)).transpose(1, 0)
        return [x, log]

    def _turn(
        self,
        tables: Arrays,
        opened: Arrays,
        noise: Array,
        term: FuncOp,
        commit: FuncOp,
        carried: Arrays,
    ) -> Arrays:
        """Insert a step: a site of all samples is drawn."""
        step, drawn, log, *caches = carried
        insert = step.insert
        own = [one.inside(insert) for one in (*tables, *caches, *opened)]
        values, is_value = self._values(step)
        (terms,) = inlined(insert, term, [*own, step, values])
        weights = is_value.where(self._weights(terms.real), 0)
        sums = _sums_up_to(weights)
        total = sums.slice(sums.shape[1] - 1, sums.shape[1], 1).reshape(-1)
        mark = noise.inside(insert).at(step).astype(total.element) * total
        before = sums.compared("LE", mark.reshape(-1, 1).broadcast(sums.shape))
        number = before.astype(i32).sum(1).reshape(-1, 1)
        numbers = iota(insert, i32, sums.shape, 1)
        is_drawn = numbers.compared("EQ", number)
        wide = values.broadcast(sums.shape)
        value = is_drawn.where(wide, 0).sum(1)
        added = is_drawn.where(terms, 0).sum(1)
        log = self._is_near_one(total).where(log + added, np.nan)
        drawn = updated(drawn, value.reshape(1, -1).astype(drawn.element), step)
        caches = inlined(insert, commit, [*own, step, value])
        return [step + 1, drawn, log, *caches]

    def _weights(self, logarithms: Array) -> Array:
        return (logarithms * float(self.op.power.value.data)).exp()

    def _is_near_one(self, total: Array) -> Array:
        return (total - 1).abs().compared("LE", bt.NORMALISED)

    def _values(self, step: Array) -> tuple[Array, Array]:
        """Return the values of the site of a step, (V,), and which are some."""
        own = [self.op.local_values[site] for site in self.op.sites]
        most = max(map(len, own))
        # The first one again where a site has fewer
        table = np.array([[*one, *[one[0]] * (most - len(one))] for one in own])
        inside = np.array([np.arange(most) < len(one) for one in own])
        values = array(step.insert, table, element_of(self.op.config)).at(step)
        if inside.all():
            return values, array(step.insert, inside[:1], i1)
        return values, array(step.insert, inside, i1).at(step).reshape(1, most)


def _sums_up_to(numbers: Array) -> Array:
    """Return the sums of numbers (S, V) up to each, itself included."""
    count = numbers.shape[1]
    if count > FEW:
        before = numbers.like(np.triu(np.ones((count, count))))
        return numbers.of(dot(numbers.value, before.value))
    columns = [numbers.slice(n, n + 1, 1) for n in range(count)]
    return concatenated(list(accumulate(columns, Array.__add__)), 1)


@dataclass
class LowerDraws(RewritePattern):
    """Sites are drawn in a loop for each group of steps, of a chunk of samples at once.

    %x, %log = bt.draw %u from @logpsi(%w) order [..] written [@draw0.tables, ..] ..
    becomes
    %t = func.call @draw0.tables(%w) : ..
    %start, %caches = func.call @draw0.start(%w) : ..
    %x, %log = bt.map_samples @draw0.chunk(%u, %t, %start, %caches) : ..
    """

    options: LowerDrawsPass

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.DrawOp, rewriter: PatternRewriter) -> None:
        if op.written is None:
            raise PassFailedException(f"{self.options.name}: sites are not drawn alone")
        module, insert = module_of(op), Inserter(rewriter, op.location)
        batch, sites = shape_of(op.noise)
        size = min(batch, self.options.samples or samples_at_once(op))
        names = [one.string_value() for one in op.written]
        tables, start, *rest = (function_named(module, name) for name in names)
        leaves = [Array(value, insert) for value in op.parameters]
        made = called(insert, tables, leaves)
        given = [*made, *called(insert, start, leaves)]
        most = max(map(len, op.local_values))
        caches = list(range(len(made), len(given) - 1))
        groups: list[list[FuncOp]] = []
        for open_, term, commit in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            *own, _, last = range(len(made), len(term.body.block.args))
            groups.append(
                [
                    batched(open_, size, caches),
                    batched(batched(term, most, [last]), size, own),
                    batched(commit, size, [*own, last]),
                ]
            )
        kinds = [
            tensor(element_of(op.noise), (size, sites)),
            *(one.value.type for one in given),
        ]
        name = names[0].removesuffix("tables") + "chunk"
        chunk = function_of(name, kinds, _Chunk(op, groups, len(made)))
        module.body.block.add_op(chunk)
        drawn = bt.MapSamplesOp(chunk, op.noise, [one.value for one in given])
        rewriter.replace(op, drawn)


def bytes_of_sample(op: bt.DrawOp) -> int:
    """Return how much is kept of a sample while it is drawn: caches, and noise."""
    names = [one.string_value() for one in op.written or ()]
    kinds = [op.noise.type]
    for name in names[1:2] + names[2::3]:
        kinds += function_named(module_of(op), name).function_type.outputs
    return sum(map(_bytes, kinds))


def _bytes(kind: Attribute) -> int:
    own = cast("TensorType[Attribute]", kind)
    known = [one for one in own.get_shape() if one != bt.BATCH]
    return prod(known) * dtype_of(own.element_type).itemsize


def samples_at_once(op: bt.DrawOp) -> int:
    """Return how many samples are drawn at once: what is kept of them is at hand."""
    return max(FEWEST, BUDGET // max(1, bytes_of_sample(op)))


@dataclass(frozen=True)
class LowerDrawsPass(ModulePass):
    """Draw configurations by loops over sites. Expects `bt-specialize`.

    Attributes:
        samples: how many are drawn at once; by default what fits into 2 MB.
    """

    name = "lower-draws"
    relation: ClassVar[Relation] = Relation.EQUAL

    samples: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, LowerDraws(self))
        erase_unreachable(op)
