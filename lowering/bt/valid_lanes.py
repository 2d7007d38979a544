"""Valid lanes in order: the k-th one of each sample.

The validities of 32 lanes are the bits of a word. The words are counted, the k-th lane
is looked for among the counts by bisection, and then among the bits of its word: that
goes through a word for 32 lanes, and through a lane once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import i1, i32
from xdsl.ir import Attribute, SSAValue
from xdsl_jax.dialects.stablehlo import (
    MinimumOp,
    PopcntOp,
    ShiftLeftOp,
    ShiftRightLogicalOp,
)

from dialects.stablehlo import (
    AddOp,
    AndOp,
    MultiplyOp,
    SubtractOp,
    broadcast_in_dim,
    compare,
    concatenate,
    constant,
    convert,
    gather_columns,
    iota,
    reduce,
    reshape,
    select,
    shape_of,
    slice_columns,
)
from lowering.rewriting import Inserter

BITS = 32


@dataclass
class ValidLanes:
    """Finds the lanes that are valid, after `bt-specialize`.

    Attributes:
        at: where the search is built.
    """

    at: Inserter

    def first(self, valid: SSAValue, slots: int) -> tuple[SSAValue, SSAValue, SSAValue]:
        """Return the first valid lanes, which slots have one, and how many there are.

        `valid` is (batch, lanes). The lanes are (batch, slots) of i32, any lane where
        there is none; whether there is one is (batch, slots), their number (batch, 1).
        """
        batch, lanes = shape_of(valid)
        words = self._words(valid)
        counts = self._running(self._popcnt(words))
        last = shape_of(words)[1]
        total = self.at.add(slice_columns(counts, last - 1, last))
        slot = self.at.add(iota(i32, (batch, slots), 1))
        wide = self.at.add(broadcast_in_dim(total, (batch, slots), [0, 1]))
        filled = self.at.add(compare("LT", slot, wide))
        word = self._word_of(counts, slot)
        bits = self.at.add(gather_columns(words, word))
        # How many are valid in the words before
        own = self._popcnt(bits)
        before = self._subtract(self.at.add(gather_columns(counts, word)), own)
        place = self._bit_of(bits, self._subtract(slot, before))
        size = self._full(BITS, word)
        lane = self._add(self.at.add(MultiplyOp(word, size)), place)
        return self._minimum(lane, self._full(lanes - 1, lane)), filled, total

    def _words(self, valid: SSAValue) -> SSAValue:
        """Return the validities as bits, (batch, words) of i32."""
        batch, lanes = shape_of(valid)
        words = -(-lanes // BITS)
        padding = words * BITS - lanes
        if padding:
            never = self.at.add(constant(np.array(False), i1))
            never = self.at.add(broadcast_in_dim(never, (batch, padding), []))
            valid = self.at.add(concatenate([valid, never], 1))
        shape = (batch, words, BITS)
        bits = self.at.add(convert(self.at.add(reshape(valid, shape)), i32))
        places = self.at.add(iota(i32, shape, 2))
        shifted = self._binary(ShiftLeftOp, bits, places)
        zero = self.at.add(constant(np.array(0), i32))
        # One bit each: their sum is their union
        return self.at.add(reduce(shifted, zero, 2, AddOp))

    def _running(self, count: SSAValue) -> SSAValue:
        """Return sums of counts up to each one, itself included."""
        batch, words = shape_of(count)
        distance = 1
        while distance < words:
            kept = self.at.add(slice_columns(count, 0, words - distance))
            start = self._filled(0, i32, (batch, distance))
            count = self._add(count, self.at.add(concatenate([start, kept], 1)))
            distance *= 2
        return count

    def _word_of(self, counts: SSAValue, slot: SSAValue) -> SSAValue:
        """Return the word of the k-th valid lane; any word where there is none."""
        last = shape_of(counts)[1] - 1
        found = self._full(0, slot)
        step = 1 << last.bit_length()
        while step:
            # All words before `ahead` are too early where the one just before it is.
            ahead = self._add(found, self._full(step, slot))
            before = self._add(ahead, self._full(-1, slot))
            inside = self._minimum(before, self._full(last, slot))
            counted = self.at.add(gather_columns(counts, inside))
            exists = self.at.add(compare("LE", before, self._full(last, slot)))
            early = self.at.add(compare("LE", counted, slot))
            early = self.at.add(AndOp(exists, early))
            found = self.at.add(select(early, ahead, found))
            step >>= 1
        return self._minimum(found, self._full(last, slot))

    def _bit_of(self, bits: SSAValue, number: SSAValue) -> SSAValue:
        """Return the place of the k-th bit that is set, k = `number` from 0."""
        place = self._full(0, bits)
        width = BITS // 2
        while width:
            low = self.at.add(AndOp(bits, self._full((1 << width) - 1, bits)))
            count = self._popcnt(low)
            is_above = self.at.add(compare("GE", number, count))
            zero = self._full(0, bits)
            rest = self._subtract(number, count)
            number = self.at.add(select(is_above, rest, number))
            shift = self.at.add(select(is_above, self._full(width, bits), zero))
            place = self._add(place, shift)
            bits = self._binary(ShiftRightLogicalOp, bits, shift)
            width //= 2
        return place

    # region Values

    def _popcnt(self, value: SSAValue) -> SSAValue:
        return self.at.add(PopcntOp.create(operands=[value], result_types=[value.type]))

    def _binary(
        self,
        kind: type[ShiftLeftOp | ShiftRightLogicalOp | MinimumOp],
        lhs: SSAValue,
        rhs: SSAValue,
    ) -> SSAValue:
        return self.at.add(kind.create(operands=[lhs, rhs], result_types=[lhs.type]))

    def _minimum(self, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return self._binary(MinimumOp, lhs, rhs)

    def _add(self, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return self.at.add(AddOp(lhs, rhs))

    def _subtract(self, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return self.at.add(SubtractOp(lhs, rhs))

    def _full(self, value: int, like: SSAValue) -> SSAValue:
        return self._filled(value, i32, shape_of(like))

    def _filled(self, value: int, element: Attribute, shape: Sequence[int]) -> SSAValue:
        scalar = self.at.add(constant(np.array(value), element))
        return self.at.add(broadcast_in_dim(scalar, shape, []))

    # endregion
