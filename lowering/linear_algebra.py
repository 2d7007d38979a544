"""Linear algebra of matrices next to each other, written in StableHLO.

It calls no library: libraries share their calls among threads, and on few cores two of
these can wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from xdsl.dialects.builtin import i1, i32
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import dtype_of, gather_rows
from lowering.arrays import Array, array, iota, zeros
from lowering.stablehlo.loops import while_loop

CONDITION = 1 / 8
"""The largest condition number, times the machine's epsilon: behind it no digit of a
ratio is right, nor are any that a factorisation of the other matrix finds."""

WRITTEN_OUT = 3
"""Determinants of so many rows are written out; larger ones are eliminated."""


def determinant(block: Array) -> Array:
    """Return the determinants (M,) of matrices (k, k, M)."""
    k = block.shape[0]
    if k <= WRITTEN_OUT:
        return _expanded(
            [[block.entry(i).entry(j) for j in range(k)] for i in range(k)]
        )
    return _eliminated(block)


def _expanded(rows: list[list[Array]]) -> Array:
    first, *rest = rows
    if not rest:
        return first[0]
    found: Array | None = None
    for column, one in enumerate(first):
        minor = [row[:column] + row[column + 1 :] for row in rest]
        term = one * _expanded(minor)
        if found is None:
            found = term
        else:
            found = found - term if column % 2 else found + term
    assert found is not None
    return found


def _eliminated(block: Array) -> Array:
    """Return determinants by Gauss's elimination, pivots first."""
    factors: list[Array] = []
    unknown = (block * 0).sum(0).sum(0)
    while block.shape[0] > 1:
        k, _, count = block.shape
        insert = block.insert
        first = block.slice(0, 1, axis=1).reshape(k, count)
        size = first.abs()
        largest = size.max(0, 0.0)
        numbers = iota(insert, i32, (k, count), 0)
        is_largest = size.compared("EQ", largest.broadcast((k, count), [1]))
        pivot = is_largest.where(numbers, k).reduce(hlo.MinimumOp, k, 0)
        hot = numbers.compared("EQ", pivot.broadcast((k, count), [1]))
        wide = hot.broadcast(block.shape, [0, 2])
        row = wide.where(block, 0).sum(0)
        head = row.entry(0)
        factors.append(pivot.compared("GT", 0).where(-head, head))
        # The first row goes where the pivot was
        top = block.entry(0)
        block = wide.where(top.broadcast(block.shape, [1, 2]), block)
        rest = block.slice(1, k).slice(1, k, axis=1)
        shape = rest.shape
        safe = head.compared("EQ", 0).where(head.like(1), head)
        by = block.slice(1, k).slice(0, 1, axis=1).reshape(k - 1, count)
        by = by / safe.broadcast((k - 1, count), [1])
        tail = row.slice(1, k)
        tail = tail.broadcast(shape, [1, 2])
        block = rest - by.broadcast(shape, [0, 2]) * tail
    factors.append(block.reshape(-1))
    # What is not known has no pivot
    return reduce(Array.__mul__, factors) + unknown


def factorised(matrices: Array) -> tuple[Array, Array, Array]:
    """Return inverses (B, F, F), and signs and logarithms of determinants (B,).

    By Gauss and Jordan, with the largest element of a column as the pivot, and rows
    that stay where they are; an inverse is NaN where few of its digits would be right.
    """
    insert, shape = matrices.insert, matrices.shape
    count, size, _ = shape
    one = matrices.like(1).broadcast((count,))
    places = zeros(insert, i32, (count, size))
    used = zeros(insert, i1, (count, size))
    initial = [
        array(insert, 0, i32),
        *(matrices, used, places, one, one.abs().like(0).broadcast((count,))),
    ]
    _, found, _, places, sign, log = while_loop(
        initial, lambda carried: carried[0].compared("LT", size), _turned
    )
    # Columns are eliminated by rows of their own: A^-1[k, p_j] = found[p_k, j]
    first = iota(insert, i32, (count, size), 0) * size
    rows = found.reshape(count * size, size)
    rows = rows.of(gather_rows(rows.value, (places + first).value))
    hot = places.broadcast(shape, [0, 1]).compared("EQ", iota(insert, i32, shape, 2))
    column = hot.where(iota(insert, i32, shape, 1), 0).sum(1) + first
    columns = rows.transpose(0, 2, 1).reshape(count * size, size)
    columns = columns.of(gather_rows(columns.value, column.value))
    inverse = columns.transpose(0, 2, 1)
    squares = [(one.abs() * one.abs()).sum(2).sum(1) for one in (matrices, inverse)]
    limit = (CONDITION / np.finfo(dtype_of(log.element)).eps) ** 2
    is_known = (squares[0] * squares[1]).compared("LT", limit)
    is_known = is_known & log.compared("GT", -np.inf)
    inverse = is_known.broadcast(shape, [0]).where(inverse, np.nan)
    # What is not finite has no pivot
    unknown = (matrices * 0).sum(2).sum(1)
    log = log + (unknown.real if unknown.is_complex else unknown)
    sign = sign * _signs(places).astype(sign.element) + unknown
    return inverse, sign, log


def _signs(places: Array) -> Array:
    """Return the signs of permutations (B, F)."""
    count, size = places.shape
    shape = (count, size, size)
    above = places.broadcast(shape, [0, 1]).compared(
        "GT", places.broadcast(shape, [0, 2])
    )
    numbers = [iota(places.insert, i32, shape, axis) for axis in (1, 2)]
    crossed = (above & numbers[0].compared("LT", numbers[1])).astype(i32)
    return 1 - (crossed.sum(2).sum(1) & places.like(1)) * 2


def _turned(carried: Sequence[Array]) -> list[Array]:
    """Return matrices after one more of their columns was eliminated, in place."""
    turn, matrices, used, places, sign, log = carried
    insert, shape = turn.insert, matrices.shape
    count, size, _ = shape
    flat = (count, size)
    numbers = iota(insert, i32, flat, 1)
    is_turn = numbers.compared("EQ", turn)
    column = matrices.at(turn, axis=2)
    sizes = (~used).where(column.abs(), -1.0)
    largest = sizes.reduce(hlo.MaximumOp, -1.0, 1).broadcast(flat, [0])
    place = sizes.compared("EQ", largest).where(numbers, size)
    place = place.reduce(hlo.MinimumOp, size, 1)
    # What is not known has no pivot
    is_pivot = numbers.compared("EQ", place.broadcast(flat, [0]))
    index = place.minimum(size - 1) + iota(insert, i32, (count,), 0) * size
    rows = matrices.reshape(count * size, size)
    row = rows.of(gather_rows(rows.value, index.value))
    pivot = row.at(turn, axis=1)
    absolute = pivot.abs()
    is_none = absolute.compared("EQ", 0)
    divisor = is_none.where(pivot.like(1), pivot)
    row = is_turn.where(row.like(1), row) / divisor.broadcast(flat, [0])
    wide = row.broadcast(shape, [0, 2])
    rest = is_turn.broadcast(shape, [0, 2]).where(matrices.like(0), matrices)
    rest = rest - column.broadcast(shape, [0, 1]) * wide
    found = is_pivot.broadcast(shape, [0, 1]).where(wide, rest)
    turned = pivot / absolute.astype(pivot.element)
    turned = is_none.where(turned.like(0), turned)
    places = is_turn.where(place.broadcast(flat, [0]), places)
    used = used | is_pivot
    return [turn + 1, found, used, places, sign * turned, log + absolute.log()]
