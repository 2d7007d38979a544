"""Linear algebra of matrices next to each other, written in StableHLO.

It calls no library: libraries share their calls among threads, and on few cores two of
these can wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import dot, dtype_of, gather_rows
from lowering.arrays import Array, array, concatenated, dynamic_slice, iota
from lowering.stablehlo.loops import while_loop

CONDITION = 1 / 8
"""The largest condition number, times the machine's epsilon: behind it no digit of a
ratio is right, nor are any that a factorisation of the other matrix finds."""

WRITTEN_OUT = 3
"""Determinants of so many rows are written out; larger ones are eliminated."""


PANEL = 8
"""Rows that are eliminated at once: the others follow by a product of matrices."""


def determinant(block: Array) -> Array:
    """Return the determinants (M,) of matrices (k, k, M)."""
    k = block.shape[0]
    if k <= WRITTEN_OUT:
        return _expanded(
            [[block.entry(i).entry(j) for j in range(k)] for i in range(k)]
        )
    return _eliminated(block)


def solved(block: Array, given: Array) -> Array:
    """Return inverses of matrices (k, k, M) times others (k, c, M), as those are.

    Of few rows by Cramer's rule: not finite where a determinant is 0.
    """
    k, columns, count = given.shape
    if k > WRITTEN_OUT:
        inverses, _, _ = factorised(block.transpose(2, 0, 1))
        found = dot(inverses.value, given.transpose(2, 0, 1).value)
        return given.of(found).transpose(1, 2, 0)
    rows = [[block.entry(i).entry(j) for j in range(k)] for i in range(k)]
    whole, parts = _expanded(rows), list[Array]()
    for n in range(k):
        own = [[*row[:n], given.entry(i), *row[n + 1 :]] for i, row in enumerate(rows)]
        parts.append((_expanded(own) / whole).reshape(1, columns, count))
    return parts[0] if k == 1 else concatenated(parts, 0)


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
        # What is not known has no pivot, and stays in its column until that is first
        unknown = (largest - largest).astype(head.element)
        factors.append(pivot.compared("GT", 0).where(-head, head) + unknown)
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
    last = block.reshape(-1)
    return reduce(Array.__mul__, [*factors, last + (last - last)])


def factorised(matrices: Array) -> tuple[Array, Array, Array]:
    """Return inverses (B, F, F), and signs and logarithms of determinants (B,).

    By Gauss and Jordan, a few rows at a time, with the largest element of a row as the
    pivot, and columns that stay where they are. What a few rows make of the others is a
    product of matrices. An inverse is NaN where few of its digits would be right.
    """
    insert = matrices.insert
    count, size, _ = matrices.shape
    panels = -(-size // PANEL)
    width = -(-size // panels)
    whole = _with_identity(matrices, panels * width)
    order = whole.shape[1]
    turns = array(insert, order, i32).broadcast((count, order), [])
    pivots = matrices.like(1).broadcast((count, order), [])
    initial = [array(insert, 0, i32), whole, turns, pivots]

    def after_panel(carried: Sequence[Array]) -> list[Array]:
        start, *rest = carried
        return [start + width, *_after_panel(start, width, *rest)]

    _, found, turns, pivots = while_loop(
        initial, lambda carried: carried[0].compared("LT", order), after_panel
    )
    found, turns = found.slice(0, size, axis=1), turns.slice(0, size, axis=1)
    pivots = pivots.slice(0, size, axis=1)
    absolute = pivots.abs()
    log = absolute.log().sum(1)
    is_none = absolute.compared("EQ", 0)
    signs = is_none.where(pivots.like(0), pivots / absolute.astype(pivots.element))
    sign = signs.prod(1) * _signs(turns).astype(signs.element)
    # What is not finite has no pivot
    unknown = (matrices * 0).sum(2).sum(1)
    log, sign = log + unknown.real, sign + unknown
    squares = [(one.abs() * one.abs()).sum(2).sum(1) for one in (matrices, found)]
    limit = (CONDITION / np.finfo(dtype_of(log.element)).eps) ** 2
    is_known = (squares[0] * squares[1]).compared("LT", limit)
    is_known = is_known & log.compared("GT", -np.inf)
    # Rows are where columns were: A^-1[k, column of turn j] = found[turn of k, j]
    shape = count, size, size
    first = iota(insert, i32, (count, size), 0) * size
    rows = found.reshape(count * size, order)
    rows = rows.of(gather_rows(rows.value, (turns + first).value))
    hot = turns.broadcast(shape, [0, 1]).compared("EQ", iota(insert, i32, shape, 2))
    column = hot.where(iota(insert, i32, shape, 1), 0).sum(1)
    columns = rows.transpose(0, 2, 1).reshape(count * order, size)
    first = iota(insert, i32, (count, size), 0) * order
    columns = columns.of(gather_rows(columns.value, (column + first).value))
    inverse = columns.transpose(0, 2, 1)
    return is_known.broadcast(shape, [0]).where(inverse, np.nan), sign, log


def _with_identity(matrices: Array, order: int) -> Array:
    """Return matrices with those of 1 behind them on the diagonal."""
    count, size, _ = matrices.shape
    missing = order - size
    if not missing:
        return matrices
    below = matrices.like(np.eye(missing, order, size))
    below = below.broadcast((count, missing, order), [1, 2])
    return concatenated([matrices.padded(missing, 0), below], 1)


def _after_panel(
    start: Array, width: int, matrices: Array, turns: Array, pivots: Array
) -> list[Array]:
    """Return matrices after some of their rows were eliminated, from one on.

    `turns` are the numbers of the rows that columns are eliminated by.
    """
    insert, (count, order, _) = start.insert, matrices.shape
    zero = start.like(0)
    sizes = count, width, order
    panel = matrices.of(
        dynamic_slice(matrices.value, [one.value for one in (zero, start, zero)], sizes)
    )
    initial = [zero, panel, turns, pivots]

    def after_row(carried: Sequence[Array]) -> list[Array]:
        turn, *rest = carried
        return [turn + 1, *_after_row(turn, start.inside(turn.insert), *rest)]

    _, panel, turns, pivots = while_loop(
        initial, lambda carried: carried[0].compared("LT", width), after_row
    )
    flat = count, order, width
    numbers = iota(insert, i32, flat, 2) + start
    hot = turns.broadcast(flat, [0, 1]).compared("EQ", numbers)
    is_row = iota(insert, i32, flat, 1).compared("EQ", numbers)
    # Where there is no pivot it is not known what is read
    column = hot.where(iota(insert, i32, flat, 1), 0).sum(1).broadcast(flat, [0, 2])
    first = iota(insert, i32, flat, 0) * order + iota(insert, i32, flat, 1)
    elements = matrices.reshape(-1)
    by = elements.of(gather_rows(elements.value, (column + first * order).value))
    places = iota(insert, i32, matrices.shape, 1)
    is_own = _is_between(places, start, width)
    by = is_own.slice(0, width, axis=2).where(is_row.astype(by.element), -by)
    is_used = _is_between(turns, start, width).broadcast(matrices.shape, [0, 2])
    rest = (is_own | is_used).where(matrices.like(0), matrices)
    return [rest + rest.of(dot(by.value, panel.value)), turns, pivots]


def _is_between(numbers: Array, start: Array, length: int) -> Array:
    return numbers.compared("GE", start) & numbers.compared("LT", start + length)


def _after_row(
    turn: Array, start: Array, panel: Array, turns: Array, pivots: Array
) -> list[Array]:
    """Return some rows (B, W, F) after one of them was eliminated, in place."""
    insert, shape = turn.insert, panel.shape
    count, width, order = shape
    flat = count, order
    numbers = iota(insert, i32, flat, 1)
    own = panel.at(turn, axis=1)
    sizes = turns.compared("EQ", order).where(own.abs(), -1.0)
    largest = sizes.reduce(hlo.MaximumOp, -1.0, 1).broadcast(flat, [0])
    place = sizes.compared("EQ", largest).where(numbers, order)
    place = place.reduce(hlo.MinimumOp, order, 1)
    # What is not known has no pivot
    is_pivot = numbers.compared("EQ", place.broadcast(flat, [0]))
    index = place.minimum(order - 1).broadcast((count, width), [0])
    index = (
        index
        + (
            iota(insert, i32, (count, width), 0) * width
            + iota(insert, i32, (count, width), 1)
        )
        * order
    )
    elements = panel.reshape(-1)
    column = elements.of(gather_rows(elements.value, index.value))
    pivot = column.at(turn, axis=1)
    divisor = pivot.compared("EQ", 0).where(pivot.like(1), pivot)
    row = is_pivot.where(own.like(1), own) / divisor.broadcast(flat, [0])
    is_turn = iota(insert, i32, (count, width), 1).compared("EQ", turn)
    column = is_turn.where(column.like(-1), column)
    is_new = is_pivot.broadcast(shape, [0, 2]) | is_turn.broadcast(shape, [0, 1])
    rest = is_new.where(panel.like(0), panel)
    panel = rest - column.broadcast(shape, [0, 1]) * row.broadcast(shape, [0, 2])
    number = start + turn
    pivots = numbers.compared("EQ", number).where(pivot.broadcast(flat, [0]), pivots)
    return [panel, is_pivot.where(number.broadcast(flat), turns), pivots]


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
