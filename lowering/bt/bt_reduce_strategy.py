"""`bt-reduce-strategy`: parities, any and all over sites by the bits of integers.

Where each lane asks the same yes-or-no question of x at sites of its own,

    gather (batch, lanes, sites), compare, reduce

the answers at all sites of the lattice are packed into integers of 32 bits, once for
each sample; a lane is left with its mask:

    (word & mask), xor over the words, population count

That is exact, of any size, and on every device. It is done where it costs less: the
lanes read all words of a sample, however few sites they ask for.

So are several conditions on single sites that a lane has to meet.

Sums over lanes of products of two functions of x are matrix products where that costs
less: see `lowering.bt.bilinear_sums`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i1, i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl_jax.dialects.stablehlo import PopcntOp, ShiftLeftOp

from dialects import bt
from dialects.reductions import ReductionKind
from dialects.stablehlo import (
    AndOp,
    NotOp,
    OrOp,
    XorOp,
    compare,
    constant,
    constant_of,
    convert,
    element_of,
    select,
    shape_of,
    tensor,
)
from lowering.analysis.site_wise import Piece, SiteWise, SiteWiseAnalysis
from lowering.bt.bilinear_sums import as_bilinear
from lowering.order import conjuncts
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter, rewrite_once

BITS = 32

FEWEST_CONDITIONS = 4
"""Fewest conditions on single sites: comparing less one by one costs as little."""

_KINDS = {ReductionKind.PARITY, ReductionKind.ANY, ReductionKind.ALL}

Array = npt.NDArray[Any]


def _questions(op: bt.ReduceOp, form: SiteWise) -> list[Piece] | None:
    """Return the images whose answers are combined; None where that is not all."""
    neutral = op.kind.data is ReductionKind.ALL
    found: list[Piece] = []
    for piece in form.pieces:
        number = constant_of(piece.value)
        if number is not None and number.size == 1 and bool(number) is neutral:
            continue
        if not piece.is_image:
            return None
        found.append(piece)
    return found


def _asked(kind: ReductionKind, form: SiteWise, piece: Piece, sites: int) -> Array:
    """Return which sites each lane asks, (.., sites): for a parity an odd times."""
    times = np.zeros((*form.table.shape[:-1], sites), np.int64)
    *lanes, _ = places = np.nonzero(piece.where)
    np.add.at(times, (*lanes, form.table[places]), 1)
    return times % 2 == 1 if kind is ReductionKind.PARITY else times > 0


def _words(asked: Array) -> list[Array]:
    """Return masks of 32 sites each, of int32 and the shape of the lanes."""
    *lanes, sites = asked.shape
    padded = np.zeros((*lanes, -(-sites // BITS) * BITS), bool)
    padded[..., :sites] = asked
    packed = np.packbits(padded, axis=-1, bitorder="little").view("<i4")
    return list(np.ascontiguousarray(np.moveaxis(packed, -1, 0)))


@dataclass
class _Packing:
    """Builds one reduction.

    Attributes:
        kind: parity, any or all.
        shape: that of the result, batch first.
        at: where it is built.
    """

    kind: ReductionKind
    shape: tuple[int, ...]
    at: Inserter

    def run(self, questions: Sequence[tuple[SSAValue, list[Array]]]) -> SSAValue:
        """Return what the reduction is, given images and the masks of their words."""
        kind = self.kind
        found: list[SSAValue] = []
        for image, masks in questions:
            answers = self.at.add(NotOp(image)) if kind is ReductionKind.ALL else image
            for number, mask in enumerate(masks):
                if mask.any():
                    word = self._word(answers, number)
                    found.append(self.at.add(AndOp(word, self._lanes(mask))))
        if not found:
            return self._repeated(constant(np.array(kind is ReductionKind.ALL), i1))
        join = XorOp if kind is ReductionKind.PARITY else OrOp
        bits = reduce(lambda a, b: self.at.add(join(a, b)), found)
        if kind is ReductionKind.PARITY:
            count = self.at.add(
                PopcntOp.create(operands=[bits], result_types=[bits.type])
            )
            bits = self.at.add(AndOp(count, self._repeated(constant(np.array(1), i32))))
        direction = "EQ" if kind is ReductionKind.ALL else "NE"
        zero = self._repeated(constant(np.array(0), i32))
        return self.at.add(compare(direction, bits, zero))

    def _word(self, answers: SSAValue, number: int) -> SSAValue:
        """Return 32 answers of each sample, one bit each, for all lanes."""
        sites = shape_of(answers)[1]
        place = np.arange(sites) - BITS * number
        inside = (place >= 0) & (place < BITS)
        bits = np.where(inside, place, 0)
        shape = shape_of(answers)
        wide = tensor(i32, shape)
        ones = self.at.add(convert(answers, i32))
        shifts = self.at.add(
            bt.BroadcastOp(self.at.add(constant(bits, i32)), [1], wide)
        )
        shifted = self.at.add(
            ShiftLeftOp.create(operands=[ones, shifts], result_types=[wide])
        )
        if not inside.all():
            meant = self.at.add(constant(inside, i1))
            meant = self.at.add(bt.BroadcastOp(meant, [1], tensor(i1, shape)))
            zero = self.at.add(constant(np.array(0), i32))
            zeros = self.at.add(bt.BroadcastOp(zero, [], wide))
            shifted = self.at.add(select(meant, shifted, zeros))
        # One bit each: the sum of them is their union
        word = self.at.add(bt.ReduceOp(ReductionKind.SUM, shifted))
        return self.at.add(bt.BroadcastOp(word, [0], tensor(i32, self.shape)))

    def _lanes(self, mask: Array) -> SSAValue:
        dims = list(range(1, len(self.shape)))
        value = self.at.add(constant(mask, i32))
        return self.at.add(bt.BroadcastOp(value, dims, tensor(i32, self.shape)))

    def _repeated(self, scalar: Operation) -> SSAValue:
        value = self.at.add(scalar)
        kind = tensor(element_of(value), self.shape)
        return self.at.add(bt.BroadcastOp(value, [], kind))


def _is_cheaper(op: bt.ReduceOp, words: int, sites: int) -> bool:
    """Whether bits cost less, counted in elements that are gone through."""
    _, *axes, asked = shape_of(op.operand)
    lanes = prod(axes)
    return 2 * lanes * asked > words * (sites + 3 * lanes)


@dataclass
class _OfSites(RewritePattern):
    """Base of the patterns: each looks for what is a function of x at single sites."""

    analyses: dict[SSAValue, SiteWiseAnalysis] = field(
        default_factory=dict[SSAValue, SiteWiseAnalysis]
    )
    """Analyses of each x, so that rewritten values share their images."""

    def analysis(
        self, op: Operation, rewriter: PatternRewriter
    ) -> SiteWiseAnalysis | None:
        """Return the analysis of x that inserts before an op; None once it is bound."""
        function = op.parent_op()
        if not isinstance(function, FuncOp) or not function.body.block.args:
            return None
        (config, *_) = function.body.block.args
        if shape_of(config)[:1] != (bt.BATCH,):
            return None
        at = Inserter(rewriter, op.location)
        found = self.analyses.setdefault(config, SiteWiseAnalysis(config, at))
        found.at = at
        return found


class MultiplyByMatrix(_OfSites):
    """A sum of products of functions of x at two sites is one with a matrix.

    %a = bt.gather %x[%i] : .. -> tensor<?x99xf64>
    %b = bt.gather %x[%j] : .. -> tensor<?x99xf64>
    %p = stablehlo.multiply %a, %b : tensor<?x99xf64>
    %s = bt.reduce sum %p : tensor<?x99xf64> -> tensor<?xf64>
    becomes
    %v = bt.gather %x[%all] : .. -> tensor<?x8xf64>
    %y = bt.dot %v, %matrix : .. -> tensor<?x8xf64>
    %p = stablehlo.multiply %v, %y : tensor<?x8xf64>
    %s = bt.reduce sum %p : tensor<?x8xf64> -> tensor<?xf64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.ReduceOp, rewriter: PatternRewriter) -> None:
        analysis = self.analysis(op, rewriter)
        total = None if analysis is None else as_bilinear(op, analysis)
        if total is None:
            return
        lanes = shape_of(op.operand)[1]
        remark(f"a sum of {lanes} products is one with a matrix of the lattice", at=op)
        rewriter.replace(op, (), (total,))


class PackAnswers(_OfSites):
    """A parity, any or all over sites is counted in the bits of words.

    %v = bt.gather %x[%i] : .. -> tensor<?x64x9xf64>
    %q = stablehlo.compare EQ, %v, %ones : .. -> tensor<?x64x9xi1>
    %p = bt.reduce parity %q : tensor<?x64x9xi1> -> tensor<?x64xi1>
    becomes, with a word of one bit for each site of x
    %w = bt.broadcast %word dims = [0] : tensor<?xi32> -> tensor<?x64xi32>
    %b = stablehlo.and %w, %masks : tensor<?x64xi32>
    %n = stablehlo.popcnt %b : tensor<?x64xi32>
    %r = stablehlo.and %n, %ones : tensor<?x64xi32>
    %p = stablehlo.compare NE, %r, %zeros : .. -> tensor<?x64xi1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.ReduceOp, rewriter: PatternRewriter) -> None:
        analysis, shape = self.analysis(op, rewriter), shape_of(op.operand)
        if op.kind.data not in _KINDS or shape[0] != bt.BATCH or len(shape) < 3:
            return
        lanes = prod(shape[1:-1])
        if analysis is None or not lanes:
            return
        sites = analysis.sites
        words = -(-sites // BITS)
        if not _is_cheaper(op, words, sites):
            return
        form = analysis.of(op.operand)
        pieces = None if form is None else _questions(op, form)
        if form is None or pieces is None:
            remark(
                f"'{op.kind.data.value}' over sites is reduced lane by lane",
                done=False,
                hint="what is asked at the sites should depend on x at that site, and "
                "on numbers that are the same for all lanes",
                at=op,
            )
            return
        questions = [
            (piece.value, _words(_asked(op.kind.data, form, piece, sites)))
            for piece in pieces
        ]
        packing = _Packing(op.kind.data, shape_of(op.result), analysis.at)
        remark(
            f"'{op.kind.data.value}' over sites is counted in words of {BITS} bits: "
            f"{words} for each of {lanes} lanes",
            at=op,
        )
        rewriter.replace(op, (), (packing.run(questions),))


def _asked_of(
    value: SSAValue, analysis: SiteWiseAnalysis
) -> tuple[SSAValue, Array] | None:
    """Return the image of a condition on one site of each lane, and where it is asked.

    The latter is (lanes, sites). None where a condition is another one.
    """
    form = analysis.of(value)
    if form is None or len(form.pieces) != 1 or not form.pieces[0].is_image:
        return None
    table = np.broadcast_to(form.table, shape_of(value)[-1:])
    if ((table < 0) | (table >= analysis.sites)).any():
        return None
    asked = np.zeros((len(table), analysis.sites), bool)
    asked[np.arange(len(table)), table] = True
    return form.pieces[0].value, asked


class PackConditions(_OfSites):
    """Conditions of a predicate on single sites are asked at once.

    %p = stablehlo.and %q, %r : tensor<?x64xi1>
    %b = bt.branches .. valid %p : .. -> !bt.branches<64 x 1>
    becomes, where %q and %r are many conditions, each on one site of a lane
    %m = stablehlo.and %words, %masks : tensor<?x64xi32>
    %p = stablehlo.compare EQ, %m, %zeros : .. -> tensor<?x64xi1>
    %b = bt.branches .. valid %p : .. -> !bt.branches<64 x 1>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.BranchesOp, rewriter: PatternRewriter) -> None:
        if op.valid is None or shape_of(op.valid)[:1] != (bt.BATCH,):
            return
        analysis, conditions = self.analysis(op, rewriter), conjuncts(op.valid)
        if analysis is None or len(conditions) < FEWEST_CONDITIONS:
            return
        others: list[SSAValue] = []
        asked: dict[SSAValue, Array] = {}
        for value in conditions:
            found = _asked_of(value, analysis)
            if found is None:
                others.append(value)
                continue
            image, where = found
            asked[image] = asked[image] | where if image in asked else where
        count, shape = len(conditions) - len(others), shape_of(op.valid)
        words = len(asked) * -(-analysis.sites // BITS)
        if count < FEWEST_CONDITIONS or count < 2 * words:
            return
        questions = [(image, _words(where)) for image, where in asked.items()]
        valid = _Packing(ReductionKind.ALL, shape, analysis.at).run(questions)
        for value in others:
            valid = analysis.at.add(AndOp(valid, value))
        op.operands[len(op.operands) - 1] = valid
        rewriter.notify_op_modified(op)
        remark(
            f"{count} conditions of {shape[1]} lanes are asked in {words} words", at=op
        )


@dataclass(frozen=True)
class BtReduceStrategyPass(ModulePass):
    """Pack answers at sites into bits where that is cheaper. Before `bt-specialize`."""

    name = "bt-reduce-strategy"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        matrices = MultiplyByMatrix()
        shared = matrices.analyses
        rewrite_once(op, matrices, PackAnswers(shared), PackConditions(shared))
