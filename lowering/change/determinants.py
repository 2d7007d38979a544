"""Determinants whose rows occupied sites choose: by the matrix determinant lemma.

Of A with rows R[occupied] some rows change. Those of k sites that are left become those
of k sites that are entered, in place:

    det A' / det A = +- det Q,  Q[b, c] = sum over f of R'[entered b, f] A^-1[f, left c]

Rows come in the order of sites, so that the sign is that of the permutation that sorts
them. Of rows that depend on x themselves all that change are left and entered: a few
near the fermion that hops (backflow). Where R does not depend on x, R A^-1 is kept;
where it is linear in few numbers z at each site,

    R' A^-1 = R A^-1 + sum over h of (z' - z)[h] * W[h] A^-1

and W[h] A^-1 are kept, too: no row is multiplied by a matrix. What is kept of x' is
found from Q by the formula of Woodbury (W. W. Hager, Updating the Inverse of a Matrix,
SIAM Review 31, 221, 1989), with the rows entered R'_e and the columns E of 1 of k rows:

    A'^-1 = A^-1 - A^-1 E Q^-1 (R'_e A^-1 - E^T)

and its columns are put in the order of sites.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod
from typing import Any, ClassVar

import numpy as np
from xdsl.dialects.builtin import i32
from xdsl.ir import Attribute, SSAValue
from xdsl.utils.exceptions import InterpretationError

from dialects.stablehlo import (
    dot,
    dtype_of,
    element_of,
    gather_rows,
    shape_of,
    tensor,
)
from lowering.arrays import Array, concatenated, iota
from lowering.change.by_values import Inner, source_of
from lowering.change.cones import Emission, Node, View, taken, taken_rows
from lowering.change.linear_rows import LinearRows
from lowering.change.orbitals import Lost, Rows, Slots
from lowering.change.position_lists import Numbers, Trace
from lowering.linear_algebra import CONDITION, determinant, solved

SITES = "sites"
"""Key of what is kept of the sites of determinants."""

FACTORISATION = 2500, 12
"""A factorisation takes as long as so many multiplications, and as so many times those
that it has: 0.3 us of 3 rows, 13 us of 32, by XLA and LAPACK on a core."""


@dataclass(frozen=True, eq=False)
class Group:
    """Matrices whose rows the sites of one group choose.

    Attributes:
        number: of the group.
        matrices: their numbers.
        columns: of each its columns in the table (matrices, F).
    """

    number: int
    matrices: Numbers
    columns: Numbers


@dataclass(eq=False)
class Determinants:
    """Some matrices (B, F, F) of rows that occupied sites choose.

    Attributes:
        slots: the rows of all sites.
        groups: of which group of sites they are.
        signs: of the permutations that sort their rows (B,).
        element: the type of their elements.
    """

    slots: Slots
    groups: list[Group]
    signs: Numbers
    element: Attribute

    @property
    def size(self) -> int:
        return self.slots.occupied.count

    @property
    def count(self) -> int:
        return len(self.signs)

    @property
    def is_fixed(self) -> bool:
        """Whether the rows do not depend on x."""
        return self.slots.table is not None

    @property
    def tables(self) -> int:
        """How many tables are kept of each matrix; 0 where it is its inverse."""
        factor = self.slots.factor
        return int(self.is_fixed) if factor is None else 1 + factor.numbers

    def exchanged(self, trace: Trace) -> int:
        """Return how many rows of a matrix change at most."""
        return self.slots.exchanged(trace, [group.number for group in self.groups])

    def is_updated(self, trace: Trace) -> bool:
        """Whether what is kept of x' is made of what is kept of x.

        Where more than half of the rows are exchanged it takes as long to factorise.
        """
        return 2 * self.exchanged(trace) <= self.size

    def work(self, trace: Trace) -> float:
        """Return multiplications of one change."""
        k = self.exchanged(trace)
        each = k**3 / 3 + k * k * (self.tables or self.size)
        return self.count * each

    @property
    def whole_work(self) -> float:
        """Return multiplications of a factorisation."""
        start, each = FACTORISATION
        return self.count * (start + each * self.size**3 / 3)

    # region What is kept of one x

    def kind_of(self, name: object) -> Attribute:
        """Return the type of what is kept: of `SITES`, or of a number of a group.

        Of all sites whether they are occupied, and how many before them are; of groups
        tables of rows times inverses (F * S, M * tables), or inverses (F, M, F).
        """
        own = self.slots.occupied
        if name == SITES:
            return tensor(i32, (own.groups * own.sites, 2))
        assert isinstance(name, int)
        count = len(self.groups[name].matrices)
        if self.tables:
            shape = own.sites * self.size, count * self.tables
        else:
            shape = self.size, count, self.size
        return tensor(self.element, shape)

    def read(
        self, whole: Callable[[Node], Array], fixed: Callable[[SSAValue], Array]
    ) -> tuple[Array, Array]:
        """Return which sites are occupied (G, S), and the rows of all (G * S, C).

        From nodes of x, (positions, channels), and from values without x.
        """
        slots = self.slots
        mask = slots.occupied.of(whole(slots.sources[0])).reshape(-1)
        positions = slots.occupied.positions
        occupied = taken(mask, positions.reshape(-1)).reshape(*positions.shape)
        if slots.table is not None:
            flat = taken(fixed(slots.table).reshape(-1), slots.elements.reshape(-1))
            return occupied, flat.reshape(*slots.elements.shape)
        rows = taken_rows(whole(slots.sources[1]), slots.place)
        return occupied, _columns(rows, slots.order)

    def matrices(self, occupied: Array, rows: Array) -> Array:
        """Return the matrices (B, F, F), in the order of sites.

        `occupied` says which sites are (G, S), `rows` are those of all (G * S, C). NaN
        where of a group other than F are: it is not known what the network chooses.
        """
        insert, sites = occupied.insert, self.slots.occupied.sites
        found: list[Array] = []
        for group in self.groups:
            own = occupied.entry(group.number)
            before = _before(own)
            kinds = self.size, sites
            hot = iota(insert, i32, kinds, 0).compared(
                "EQ", before.broadcast(kinds, [1])
            )
            hot = hot & own.broadcast(kinds, [1])
            number = hot.where(iota(insert, i32, kinds, 1), 0).sum(1)
            start = group.number * sites
            chosen = rows.slice(start, start + sites)
            chosen = chosen.of(gather_rows(chosen.value, number.value))
            is_known = own.astype(i32).sum(0).compared("EQ", self.size)
            chosen = is_known.where(chosen, np.nan)
            for columns in group.columns:
                found.append(_columns(chosen, columns).reshape(1, *[self.size] * 2))
        order = np.concatenate([group.matrices for group in self.groups])
        stacked = found[0] if len(found) == 1 else concatenated(found, 0)
        return taken(stacked, np.argsort(order))

    def prepared(
        self,
        occupied: Array,
        rows: Array,
        inverses: Array,
        fixed: Callable[[SSAValue], Array],
    ) -> dict[object, Array]:
        """Return what is kept, from the inverses of the matrices."""
        numbers = [occupied.astype(i32), _each_before(occupied)]
        flat = [one.reshape(prod(one.shape), 1) for one in numbers]
        found: dict[object, Array] = {SITES: concatenated(flat, 1)}
        sites, tables = self.slots.occupied.sites, [rows]
        if self.slots.factor is not None:
            tables += self._weights(self.slots.factor, rows, fixed)
        for n, group in enumerate(self.groups):
            start = group.number * sites
            own: list[Array] = []
            for number, columns in zip(group.matrices, group.columns, strict=True):
                inverse = inverses.entry(int(number))
                if self.tables:
                    for one in tables:
                        table = _columns(one.slice(start, start + sites), columns)
                        both = [of.transpose(1, 0) for of in (inverse, table)]
                        each = table.of(dot(*(of.value for of in both)))
                        own.append(each.reshape(self.size * sites, 1))
                else:
                    own.append(inverse.transpose(1, 0).reshape(self.size, 1, -1))
            found[n] = own[0] if len(own) == 1 else concatenated(own, 1)
        return found

    def _weights(
        self, factor: LinearRows, rows: Array, fixed: Callable[[SSAValue], Array]
    ) -> list[Array]:
        """Return W of each number (G * S, C)."""
        slots = self.slots
        weights = factor.weights(rows.insert, fixed).astype(rows.element)
        weights = weights.reshape(-1, factor.numbers, weights.shape[1])
        flat = (
            weights.slice(n, n + 1, axis=1).reshape(-1, weights.shape[2])
            for n in range(factor.numbers)
        )
        return [_columns(taken_rows(one, slots.place), slots.order) for one in flat]

    # endregion
    # region What is of a change

    def ratios(self, at: Emission) -> Array:
        """Return det A' / det A of each matrix (B,), NaN where it is not known."""
        found: list[Array] = []
        for n, move in enumerate(self._moves(at)):
            ratios = determinant(self._block(at, n))
            one = ratios.like(1)
            sign = move.is_odd.where(-one, one)
            found.append(move.is_known.where(ratios * sign, np.nan))
        order = np.concatenate([group.matrices for group in self.groups])
        joined = found[0] if len(found) == 1 else concatenated(found, 0)
        return taken(joined, np.argsort(order))

    def committed(self, at: Emission, name: object) -> Array:
        """Return what is kept of x', of the kind that `prepared` returns.

        NaN where the ratio is not known, or more than half of the digits would be lost.
        Rounding adds up from one commit to the next, until what is kept is made of x'
        itself: of 32 rows, in a walk by |psi|^2, to 1e-13 of the largest number of a
        table in 1,000 commits, and 5e-5 in single precision.
        """
        if name == SITES:
            return self._sites_after(at)
        assert isinstance(name, int)
        move, flat, size = self._moves(at)[name], at.kept_of((self, name)), self.size
        count, sites = len(self.groups[name].matrices), self.slots.occupied.sites
        each = (sites, count, self.tables) if self.tables else (1, count, size)
        kept = flat.reshape(size, *each)
        left = kept.of(gather_rows(kept.value, move.columns.value))
        # What each column has of those that are left, in the new order
        order = move.order(size)
        by = self._columns_left(at, name).transpose(1, 0, 2)
        by, kept = (one.of(gather_rows(one.value, order.value)) for one in (by, kept))
        if self.slots.factor is not None:
            own = self._weighted_rows(at, name, [order, move.columns])
            by, left = self._moved(move, by, left, *own)
        if count == 1:
            both = by.reshape(size, -1), left.reshape(left.shape[0], -1)
            moved = by.of(dot(*(one.value for one in both)))
            return (kept - moved.reshape(*kept.shape)).reshape(*flat.shape)
        for number in range(left.shape[0]):
            own = by.slice(number, number + 1, axis=1).reshape(size, count)
            wide = left.entry(number).broadcast(kept.shape, [1, 2, 3])
            kept = kept - own.broadcast(kept.shape, [0, 2]) * wide
        return kept.reshape(*flat.shape)

    def _columns_left(self, at: Emission, n: int) -> Array:
        """Return Q^-1 (R' A^-1 - E^T) of the matrices of a group (k, F, M)."""
        move, block = self._moves(at)[n], self._block(at, n)
        columns = iota(at.insert, i32, (self.size,), 0)
        given = self._entered(at, n, columns)
        shape = given.shape
        hot = move.columns.broadcast(shape, [0]).compared(
            "EQ", columns.broadcast(shape, [1])
        )
        given = given - hot.astype(given.element)
        found = solved(block, move.is_there.broadcast(shape, [0]).where(given, 0))
        # Rounding grows by as much, and again where a later change undoes this one
        size = found.abs()
        limit = CONDITION / np.finfo(dtype_of(size.element)).eps
        is_known = (size * size).sum(1).sum(0).compared("LT", limit) & move.is_known
        return is_known.broadcast(shape, [2]).where(found, np.nan)

    def _weighted_rows(
        self, at: Emission, n: int, columns: Sequence[Array]
    ) -> list[Array]:
        """Return changes of listed rows times some columns of inverses (m, c, M)."""
        move, change = self._moves(at)[n], self._change_of(at)
        return [
            self._weighted(change, self._elements(at, n, move.sites, one))
            for one in columns
        ]

    def _moved(
        self, move: _Move, by: Array, left: Array, own: Array, other: Array
    ) -> tuple[Array, Array]:
        """Return columns that are left, and rows that change as further ones.

        Of each how much every column has (F, k + m, M), and what it is (k + m, S, M,
        tables), by that of the former, and by what inverses at x make of the changes of
        rows: all columns in their new order (m, F, M), and those left (m, k, M).
        """
        shape = *own.shape[:2], move.most, own.shape[2]
        both = by.broadcast(shape, [1, 2, 3]), other.broadcast(shape, [0, 2, 3])
        own = own - (both[0] * both[1]).sum(2)
        shape = own.shape[0], *left.shape[1:]
        is_site = iota(by.insert, i32, shape, 1).compared(
            "EQ", move.sites.broadcast(shape, [0])
        )
        is_rows = iota(by.insert, i32, shape, 3).compared("EQ", 0)
        less = -(is_site & is_rows).astype(left.element)
        by = concatenated([by, own.transpose(1, 0, 2)], 1)
        return by, concatenated([left, less], 0)

    def _sites_after(self, at: Emission) -> Array:
        """Return what is kept of the sites at x'."""
        listed, sites = self._listed(at), self.slots.occupied.sites
        kept = at.kept_of((self, SITES))
        shape = kept.shape[0], listed.sites.shape[0]
        own, other = iota(at.insert, i32, shape, 0), listed.sites.broadcast(shape, [1])
        is_before = other.compared("LT", own) & (other // sites).compared(
            "EQ", own // sites
        )
        entered = (listed.entered - listed.left).broadcast(shape, [1])
        found = [
            one.where(entered, 0).sum(1).reshape(-1, 1)
            for one in (other.compared("EQ", own), is_before)
        ]
        return kept + concatenated(found, 1)

    def _listed(self, at: Emission) -> _Move:
        """Return which sites of a list are left and entered, of all groups."""

        def made() -> _Move:
            slots = self.slots
            own, mask = slots.occupied, slots.sources[0]
            flip = own.of(at.value(mask)).compared("NE", own.of(at.before(mask, mask)))
            changed = at.aligned(flip.astype(i32), mask, slots).reshape(-1)
            sites = at.kept_of((self, SITES))
            # Behind the end of a list there is no site
            number = at.by_row(at.trace.lists[slots])
            is_site = number.compared("GE", 0).astype(i32)
            listed = sites.of(gather_rows(sites.value, number.maximum(0).value))
            here, before = (listed.columns(n, n + 1).reshape(-1) for n in (0, 1))
            here, changed = here * is_site, changed * is_site
            there = here + changed - here * changed * 2
            if self.is_fixed:
                here, there = here * changed, there * changed
            return _Move(here, there, number, before, self.exchanged(at.trace))

        return at.shared((self, "listed"), made)

    def _moves(self, at: Emission) -> list[_Move]:
        """Return which sites of a list are left and entered, of each group."""

        def made() -> list[_Move]:
            listed, sites = self._listed(at), self.slots.occupied.sites
            of_group = listed.sites // sites
            found: list[_Move] = []
            for group in self.groups:
                is_own = of_group.compared("EQ", group.number).astype(i32)
                both = listed.left * is_own, listed.entered * is_own
                places = listed.sites - group.number * sites
                found.append(_Move(*both, places, listed.before, listed.most))
            return found

        return at.shared((self, "moves"), made)

    def _rows_after(self, at: Emission) -> Array:
        """Return the rows of the sites of a list at x' (m, C)."""

        def made() -> Array:
            slots = self.slots
            node = slots.sources[1]
            places = at.by_row(slots.place[np.maximum(at.trace.lists[slots], 0)])
            whole = at.kept_of(node)
            before = whole.of(gather_rows(whole.value, places.value))
            change = at.aligned(at.change(node), node, slots)
            return _columns(before + change.astype(before.element), slots.order)

        return at.shared((self, "rows"), made)

    def _block(self, at: Emission, n: int) -> Array:
        """Return Q of the matrices of a group (k, k, M)."""

        def made() -> Array:
            move = self._moves(at)[n]
            block = self._entered(at, n, move.columns)
            # Where fewer are exchanged, the rest is the identity
            shape = block.shape
            inside = move.is_there.broadcast(shape, [0])
            if move.most == 1:
                return inside.where(block, 1)
            inside = inside & move.is_there.broadcast(shape, [1])
            both = [iota(at.insert, i32, shape, axis) for axis in (0, 1)]
            one = both[0].compared("EQ", both[1]).astype(block.element)
            return inside.where(block, one)

        return at.shared((self, n, "block"), made)

    def _entered(self, at: Emission, n: int, columns: Array) -> Array:
        """Return rows entered times some columns (c,) of inverses (k, c, M)."""
        slots, table = self.slots, at.kept_of((self, n))
        move, group = self._moves(at)[n], self.groups[n]
        k = move.most
        if self.tables:
            found = self._elements(at, n, move.entered_of(move.sites), columns)
            if slots.factor is None:
                return found
            change = self._change_of(at)
            numbers = move.entered_of(iota(at.insert, i32, move.sites.shape, 0))
            change = change.of(gather_rows(change.value, numbers.value))
            shape = *found.shape[:2], len(group.matrices), self.tables
            rows = found.reshape(*shape).slice(0, 1, axis=3).reshape(*shape[:3])
            return rows + self._weighted(change, found)
        after, numbers = self._rows_after(at), iota(at.insert, i32, move.sites.shape, 0)
        rows = after.of(gather_rows(after.value, move.entered_of(numbers).value))
        # (k, matrices, F) each
        own = [_columns(rows, one).reshape(k, 1, -1) for one in group.columns]
        new = own[0] if len(own) == 1 else concatenated(own, 1)
        old = table.of(gather_rows(table.value, columns.value))
        return _products(new, old)

    def _change_of(self, at: Emission) -> Array:
        """Return the changes of the numbers that rows are linear in (m, numbers)."""
        slots = self.slots
        assert slots.factor is not None
        # The lists of what is linear in it are its own
        change = at.aligned(at.change(slots.factor.source), slots.sources[1], slots)
        return change.astype(self.element)

    def _elements(self, at: Emission, n: int, sites: Array, columns: Array) -> Array:
        """Return elements of tables of some sites (s,), (s, c, M * tables)."""
        table, shape = at.kept_of((self, n)), (sites.shape[0], columns.shape[0])
        index = columns.broadcast(shape, [1]) * self.slots.occupied.sites
        index = index + sites.broadcast(shape, [0])
        return table.of(gather_rows(table.value, index.value))

    def _weighted(self, change: Array, tables: Array) -> Array:
        """Return what changes (s, numbers) make of tables (s, c, M * tables)."""
        shape = tables.shape[:2]
        tables = tables.reshape(*shape, -1, self.tables)
        found: list[Array] = []
        for n in range(self.tables - 1):
            own = tables.slice(n + 1, n + 2, axis=3).reshape(*shape, -1)
            by = change.slice(n, n + 1, axis=1).reshape(-1)
            found.append(own * by.broadcast(own.shape, [0]))
        return reduce(Array.__add__, found)

    # endregion


@dataclass(eq=False)
class _Move:
    """Sites of a group that are left and entered, of a list of sites.

    Attributes:
        left: which are, 0 or 1 (m,).
        entered: as `left`.
        sites: their numbers in the group (m,).
        before: how many occupied sites there are before each (m,).
        most: how many of each there are at most.
    """

    left: Array
    entered: Array
    sites: Array
    before: Array
    most: int

    def _sum_below(self, given: Array, below: Array) -> Array:
        """Return, for each site, the sum over some others (m, m) of numbers (m,)."""
        return (given.broadcast(below.shape, [1]) * below.astype(i32)).sum(1)

    @cached_property
    def _earlier(self) -> Array:
        """Whether [j, i] i is in the list before j."""
        shape = (self.left.shape[0],) * 2
        insert = self.left.insert
        one, other = (iota(insert, i32, shape, axis) for axis in (0, 1))
        return other.compared("LT", one)

    @cached_property
    def _lower(self) -> Array:
        """Whether [j, i] the number of site i is less than that of j."""
        shape = (self.left.shape[0],) * 2
        return self.sites.broadcast(shape, [1]).compared(
            "LT", self.sites.broadcast(shape, [0])
        )

    @cached_property
    def count(self) -> Array:
        """How many are left."""
        return self.left.sum(0)

    @cached_property
    def is_known(self) -> Array:
        """Whether as many are left as are entered, and no more than there may be."""
        is_same = self.count.compared("EQ", self.entered.sum(0))
        return is_same & self.count.compared("LE", self.most)

    @cached_property
    def is_there(self) -> Array:
        """Of the most that may be left which ones there are (k,)."""
        slots = iota(self.left.insert, i32, (self.most,), 0)
        return slots.compared("LT", self.count.broadcast((self.most,), []))

    @cached_property
    def left_of(self) -> Callable[[Array], Array]:
        """What returns of a list the elements of the sites left (k,)."""
        return self._chosen(self.left)

    @cached_property
    def entered_of(self) -> Callable[[Array], Array]:
        """What returns of a list the elements of the sites entered (k,)."""
        return self._chosen(self.entered)

    @cached_property
    def columns(self) -> Array:
        """Which columns of inverses those are that are left (k,)."""
        return self.left_of(self.before)

    def _chosen(self, which: Array) -> Callable[[Array], Array]:
        if self.most == 1:
            return lambda given: (which * given).sum(0).reshape(1)
        shape = (self.most, which.shape[0])
        rank = self._sum_below(which, self._earlier)
        slots = iota(which.insert, i32, shape, 0)
        hot = slots.compared("EQ", rank.broadcast(shape, [1])).astype(i32)
        hot = hot * which.broadcast(shape, [1])
        return lambda given: (hot * given.broadcast(shape, [1])).sum(1)

    def order(self, size: int) -> Array:
        """Return which column at x that of each occupied site at x' is (F,).

        Those that are entered have the columns of those that are left.
        """
        after = self.before + self._sum_below(self.entered - self.left, self._lower)
        shape = self.most, size
        old, new = (
            self.is_there.where(of(after), size).broadcast(shape, [0])
            for of in (self.left_of, self.entered_of)
        )
        number = iota(self.left.insert, i32, shape, 1)
        hot = new.compared("EQ", number)
        # One is further where one before it is left, as is one before those entered
        passed = old.compared("LE", number).astype(i32)
        passed = passed - new.compared("LT", number).astype(i32)
        stays = iota(self.left.insert, i32, (size,), 0) + passed.sum(0)
        columns = hot.where(self.columns.broadcast(shape, [0]), 0).sum(0)
        return hot.any(0).where(columns, stays)

    @property
    def is_odd(self) -> Array:
        """Whether an odd permutation sorts the rows after those of some are replaced.

        It takes a row past all others between its site before and after.
        """
        others = self.before - self._sum_below(self.left, self._lower)
        crossed = ((self.entered - self.left) * others).sum(0)
        if self.most > 1:
            above = ~self._lower & self._earlier
            for which in (self.left, self.entered):
                crossed = crossed + (which * self._sum_below(which, above)).sum(0)
        return (crossed & crossed.like(1)).compared("NE", 0)


@dataclass(eq=False, repr=False)
class DeterminantPart(Node):
    """What is known of determinants: their signs, or logarithms, or they themselves.

    Attributes:
        of: these.
        kind: "sign", "log", the logarithm of the absolute value, or "det".
        cost: multiplications of a change, at most: of B matrices of F rows, of which k
            are exchanged in each.
    """

    cost: ClassVar[str] = "B * (k**3 / 3 + k**2 * F)"

    of: Determinants
    kind: str

    @property
    def makes_changes(self) -> bool:
        return self.kind == "log"

    def computed(self, at: Emission) -> Array:
        ratios = at.shared(self.of, lambda: self.of.ratios(at))
        element = element_of(self.value)
        if self.kind == "log":
            return ratios.abs().log().astype(element).reshape(1, -1)
        before = at.before(self, self)
        if self.kind == "sign":
            size = ratios.abs()
            is_none = size.compared("EQ", 0)
            size = size.astype(ratios.element) if ratios.is_complex else size
            ratios = is_none.where(ratios.like(0), ratios / size)
        return before * ratios.astype(element).reshape(1, -1)

    def work(self, trace: Trace) -> float:
        return self.of.work(trace)

    def of_matrices(self, signs: Array, logs: Array) -> Array:
        """Return it (1, B), by the signs and logarithms."""
        if self.kind != "log":
            by = self.of.signs.astype(dtype_of(self.of.element))
            signs = signs * signs.like(by)
        if self.kind == "det":
            size = logs.exp()
            signs = signs * (size.astype(signs.element) if signs.is_complex else size)
        found = logs if self.kind == "log" else signs
        return found.astype(element_of(self.value)).reshape(1, -1)


def determinants_of(
    lost: Lost, value: SSAValue
) -> tuple[SSAValue, Determinants, str] | None:
    """Return the matrices that a value is of the determinants of, and what of these.

    None where it is nothing of them.
    """
    if dtype_of(element_of(value)).kind not in "fc":
        return None

    def matrices(one: SSAValue) -> Determinants | None:
        view = lost.known.get(one)
        return None if view is None else _determinants(view, one)

    source = source_of(value, lost.depends, lambda one: matrices(one) is not None)
    found = None if source is None else matrices(source)
    if source is None or found is None or prod(shape_of(value)) != found.count:
        return None
    kind = _kind(lost, source, value)
    return None if kind is None else (source, found, kind)


def _determinants(view: View, source: SSAValue) -> Determinants | None:
    """Return matrices of rows, as a view is of them; None where it is of no such."""
    rows = view.node
    if not isinstance(rows, Rows) or (view.ids < 0).any():
        return None
    count = rows.slots.occupied.count
    if shape_of(source)[-2:] != (count, count):
        return None
    matrices = view.ids.reshape(-1, count, count)
    groups: dict[int, list[tuple[int, Numbers]]] = {}
    signs: list[int] = []
    for number, ids in enumerate(matrices):
        if (ids[0] // rows.channels != ids[0, 0] // rows.channels).any():
            ids = ids.T
        fermions, columns = np.divmod(ids, rows.channels)
        group, order = fermions[0, 0] // count, fermions[:, 0] % count
        if (
            (fermions != fermions[:, :1]).any()
            or (fermions // count != group).any()
            or (columns != columns[:1]).any()
            or len(set(order)) < count
            or len(set(columns[0])) < count
        ):
            return None
        groups.setdefault(int(group), []).append((number, columns[0]))
        signs.append(_sign(order))
    own = [
        Group(g, *(np.array(one) for one in zip(*found, strict=True)))
        for g, found in groups.items()
    ]
    return Determinants(rows.slots, own, np.array(signs), element_of(source))


def _sign(order: Numbers) -> int:
    return 1 - 2 * (
        int((order[:, None] > order)[np.triu_indices(len(order))].sum()) % 2
    )


def _kind(lost: Lost, source: SSAValue, value: SSAValue) -> str | None:
    """Return what of determinants a value is: "sign", "log", "det", or nothing."""
    shape, dtype = shape_of(source), dtype_of(element_of(source))
    real = np.finfo(dtype)
    rng = np.random.default_rng(0)
    examples = [rng.normal(size=shape) for _ in range(4)]
    if dtype.kind == "c":
        examples = [one + 1j * rng.normal(size=shape) for one in examples]
    # What is added to a determinant shows where that is small
    small = float(real.tiny) ** (0.25 / shape[-1])
    examples += [small * examples[0], examples[1] / small]
    examples[0][..., 0, :] *= -1
    try:
        found = Inner(lost.function, source, value).of(examples)
    except InterpretationError:
        return None
    expected = [np.linalg.slogdet(one.astype(dtype)) for one in examples]
    tolerance = 1e4 * shape[-1] * float(real.eps)

    def are(of: Callable[[Any, Any], Any]) -> bool:
        pairs = zip(found, expected, strict=True)
        with np.errstate(all="ignore"):
            return all(
                np.allclose(
                    one.reshape(-1), np.ravel(of(*of_one)), rtol=tolerance, atol=0
                )
                for one, of_one in pairs
            )

    kinds: dict[str, Callable[[Any, Any], Any]] = {
        "log": lambda sign, log: log,
        "sign": lambda sign, log: sign,
        "det": lambda sign, log: sign * np.exp(log),
    }
    return next((kind for kind, of in kinds.items() if are(of)), None)


# region Arrays


def _before(occupied: Array) -> Array:
    """Return how many sites before each are occupied (S,), of which are (S,)."""
    shape = (occupied.shape[0],) * 2
    one, other = (iota(occupied.insert, i32, shape, axis) for axis in (0, 1))
    earlier = other.compared("LT", one) & occupied.broadcast(shape, [1])
    return earlier.astype(i32).sum(1)


def _each_before(occupied: Array) -> Array:
    """Return how many sites of its group before each are occupied (G, S)."""
    found = [
        _before(occupied.entry(g)).reshape(1, -1) for g in range(occupied.shape[0])
    ]
    return found[0] if len(found) == 1 else concatenated(found, 0)


def _columns(rows: Array, columns: Numbers) -> Array:
    """Return some columns of a matrix."""
    if np.array_equal(columns, np.arange(rows.shape[1])):
        return rows
    start = int(columns[0])
    if np.array_equal(columns, np.arange(start, start + len(columns))):
        return rows.columns(start, start + len(columns))
    return taken(rows.transpose(1, 0), columns).transpose(1, 0)


def _products(new: Array, old: Array) -> Array:
    """Return products over the last axis of (k, M, F) and (c, M, F): (k, c, M)."""
    shape = new.shape[0], *old.shape
    if new.shape[1] == 1:
        flat = [one.reshape(one.shape[0], -1) for one in (new, old)]
        found = new.of(dot(flat[0].value, flat[1].transpose(1, 0).value))
        return found.reshape(*shape[:3])
    wide = [
        one.broadcast(shape, axes) for one, axes in ((new, [0, 2, 3]), (old, [1, 2, 3]))
    ]
    return (wide[0] * wide[1]).sum(3)


# endregion
