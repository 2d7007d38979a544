"""Operator expressions as branches: the matrix elements <x|O|x'> of their products.

The rows of a term are sorted into *cases*: in which of them places coincide, and what
kinds of sites they are. In one case a product is a product of local operators on
*slots*, different sites, times the signs of Jordan and Wigner. Products that move the
same slots in the same way become one branch, and cases become one branch where they
have to.

Signs. The operator c_s has the sign (-1)^(number of particles before s), in the
configuration that the factors to its left have made of x. That is the same number in x
itself, and 1 for each of these factors that changes an occupation before s; the latter
is known for each row. For a pair of sites the former is the number strictly between
them, and the occupation of the lower one, which c and c^+ fix.
P. Jordan and E. Wigner, Z. Phys. 47, 631 (1928).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from symir.language.codes import Mistake
from symir.language.definitions import TermDefinition
from symir.language.expressions import (
    Apply,
    Constant,
    Expr,
    LocalValue,
    Node,
    Predicate,
    RowData,
    SiteNumber,
    here,
    postorder,
    site,
    true,
)
from symir.language.functions import Lookup, all_of, any_of, where
from symir.language.integers import FUNCTIONS
from symir.language.local_operators import (
    Amplitude,
    LocalOperator,
    constant,
    elementary,
    exact_product,
    mentioned,
    times,
    times_known,
)
from symir.language.operators import Factor, OperatorExpr, Product, exact
from symir.language.reductions import (
    ReducedPredicate,
    Region,
    between,
    sites_range,
)
from symir.language.scalars import Number
from symir.language.scope import Scope
from symir.language.updates import Update
from symir.operator.spaces import Subsystem

MAX_FLIPS = 6
"""Branches that flip up to so many sites are simplified over all their values."""

Ints: TypeAlias = npt.NDArray[np.int64]
Slot: TypeAlias = int
Point: TypeAlias = tuple[int, ...]
"""A place among the local values for each of several slots."""


@dataclass(frozen=True, eq=False)
class EmittedBranch:
    """Emission of an operator expression."""

    update: Update
    amplitude: Expr
    condition: Predicate | None = None


@dataclass(frozen=True, eq=False)
class Expansion:
    """An operator expression as emissions, and what they need from the term's rows.

    `columns` are row data, `labels` the sites of places that are no labels, such as
    constant ones: the passes know more of labels than of sites that are computed.
    """

    branches: tuple[EmittedBranch, ...]
    columns: Mapping[str, npt.NDArray[np.float64]]
    labels: Mapping[str, Ints]


def expand(operator: OperatorExpr, scope: Scope) -> Expansion:
    """Return the branches of an operator expression in a term.

    An operator that is zero in every row has no branch.

    Raises:
        DefinitionError: for a site of the wrong kind (D055), a bad spin (D056), or a
            place that is not on the lattice (D059).
    """
    table = _Table(operator, scope)
    cases = [_Case(table, rows).branches() for rows in table.cases()]
    return Expansion(tuple(_joined(table, cases)), table.columns, table.labels)


def cases_of(operator: OperatorExpr, scope: Scope) -> list[Ints]:
    """Return the rows of each case in which an operator expression is not zero."""
    table = _Table(operator, scope)
    return [rows for rows in table.cases() if _Case(table, rows).branches()]


# region Rows


class _Table:
    """The sites of every place that an operator expression mentions, for all rows.

    Attributes:
        places: the expression of each place's site number.
        sites: the number itself, of shape (rows, places).
        kinds: the kinds of sites that the space has, and `kind_at` which one each has.
        columns: row data beyond those of the term, and `labels` beyond its labels.
    """

    def __init__(self, operator: OperatorExpr, scope: Scope):
        self.scope, self.term = scope, scope.term
        self.key = _Keys()
        self.places = list[Expr]()
        self.sites: Ints = np.empty((self.term.rows.rows, 0), np.int64)
        self.columns = dict[str, npt.NDArray[np.float64]]()
        self.labels = dict[str, Ints]()
        self._place_of = dict[int, int]()
        self.products = [
            (product, [self._place(factor) for factor in product.factors])
            for product in operator.products
        ]
        self.kinds = list[tuple[Subsystem, tuple[float, ...]]]()
        self.kind_at = np.zeros(scope.space.size, np.int64)
        for subsystem in scope.space.subsystems:
            for number in range(subsystem.start, subsystem.start + subsystem.size):
                kind = (subsystem, scope.space.local_states_at(number))
                if kind not in self.kinds:
                    self.kinds.append(kind)
                self.kind_at[number] = self.kinds.index(kind)

    def x(self, place: int) -> LocalValue:
        """Return the local value at a place."""
        return site(self.places[place]).value

    def cases(self) -> list[Ints]:
        """Return the rows of each case, cases in the order of their first rows."""
        rows, places = self.sites.shape
        if not places:
            return [np.arange(rows)]
        first = [
            (self.sites[:, : place + 1] == self.sites[:, place : place + 1]).argmax(1)
            for place in range(places)
        ]
        signature = np.column_stack([*first, self.kind_at[self.sites]])
        _, start, case = np.unique(
            signature, axis=0, return_index=True, return_inverse=True
        )
        return [np.flatnonzero(case.reshape(-1) == k) for k in np.argsort(start)]

    def column(self, base: str, values: npt.NDArray[np.float64]) -> Expr:
        """Return row data of some values, one per row; the same ones only once."""
        for name, known in self.columns.items():
            if np.array_equal(known, values):
                return RowData(name)
        name = self._free(base)
        values.flags.writeable = False
        self.columns[name] = values
        return RowData(name)

    def _free(self, base: str) -> str:
        """Return a name that nothing in the term has, such as the one given."""
        taken = {*self.term.columns, *self.columns, *self.term.labels, *self.labels}
        names = (f"{base}{k or ''}" for k in itertools.count())
        return next(name for name in names if name not in taken)

    def _label(self, factor: Factor, number: Expr, sites: Ints) -> Expr:
        """Return the number of a place as that of a label, of a new one if need be."""
        if isinstance(number, SiteNumber) and number.number is None:
            return number
        known = {
            label: self.term.rows.array[:, k]
            for k, label in enumerate(self.term.labels)
        }
        for label, column in {**known, **self.labels}.items():
            if np.array_equal(column, sites):
                return SiteNumber(label)
        base = f"s{number.value}" if isinstance(number, Constant) else "s"
        if factor.spin is not None and isinstance(factor.place, SiteNumber):
            spin = _SPIN_NAMES.get(factor.spin, f"{factor.spin:+g}")
            base = f"{factor.place.label or base}_{spin}"
        name = self._free(base)
        self.labels[name] = sites
        return SiteNumber(name)

    def _place(self, factor: Factor) -> int:
        """Return the number of a factor's place, a new one for a new place."""
        number, lowest, size = factor.place, 0, self.scope.space.size
        if factor.spin is not None:
            first, size = self._orbitals(factor)
            number = number + first if first else number
            lowest = first
        key = self.key(number)
        if key not in self._place_of:
            self.scope.check_amplitude(number)
            sites = _numbers(number, self.term)
            self._check_sites(factor, sites, lowest, size)
            self.sites = np.column_stack([self.sites, sites])
            self.places.append(self._label(factor, number, sites))
            self._place_of[key] = len(self.places) - 1
        return self._place_of[key]

    def _orbitals(self, factor: Factor) -> tuple[int, int]:
        """Return the first site of a spin state, and the number of its orbitals."""
        with_spin = [
            subsystem
            for subsystem in self.scope.space.subsystems
            if subsystem.kind == "fermion" and subsystem.spin is not None
        ]
        if len(with_spin) != 1:
            raise Mistake.BAD_SPIN.error(
                f"{factor!r} names a spin state, and the space has "
                + ("no fermions with spin" if not with_spin else "several that have"),
                expected="one subsystem of fermions with spin",
                found=repr(self.scope.space),
                hint="leave the spin out: the place is then the number of a site",
            )
        (subsystem,) = with_spin
        spin = cast(float, subsystem.spin)
        states = [state - spin for state in range(subsystem.spin_states)]
        if factor.spin not in states:
            raise Mistake.BAD_SPIN.error(
                f"fermions of spin {spin:g} have no spin state {factor.spin:+g}",
                expected=" or ".join(f"{state:+g}" for state in states),
                found=repr(factor),
            )
        state = states.index(factor.spin)
        return subsystem.start + state * subsystem.orbitals, subsystem.orbitals

    def _check_sites(self, factor: Factor, sites: Ints, lowest: int, size: int) -> None:
        outside = (sites < lowest) | (sites >= lowest + size)
        if not outside.any():
            return
        row = int(np.argmax(outside))
        what = "site" if factor.spin is None else "orbital"
        raise Mistake.BAD_PLACE.error(
            f"{factor!r} acts on {what} {sites[row] - lowest} in row {row}",
            expected=f"{what}s from 0 to {size - 1}",
            found=f"row {row}: {self.term.rows.row(row)}",
            hint="leave the row out, or wrap around: (i.index + 1) % N",
        )


_SPIN_NAMES = {0.5: "up", -0.5: "down"}


def _numbers(number: Expr, term: TermDefinition) -> Ints:
    """Return the site number that an expression is in each row."""
    found: dict[int, Any] = {}
    for node in postorder(number):
        found[id(node)] = _number(node, found, term)
    return np.broadcast_to(found[id(number)], (term.rows.rows,)).astype(np.int64)


def _number(node: Node, found: Mapping[int, Any], term: TermDefinition) -> Any:
    match node:
        case Constant(int(value)):
            return value
        case SiteNumber(label, number=None):
            return term.rows.column(term.labels.index(label)).astype(np.int64)
        case SiteNumber(number=Expr() as number):
            return _numbers(number, term)
        case Lookup(values, index):
            places = cast("list[int]", _numbers(index, term).tolist())
            if all(0 <= place < len(values) for place in places):
                chosen = [values[place] for place in places]
                if all(isinstance(value, int) for value in chosen):
                    return np.array(chosen, np.int64)
        case Apply(function, arguments) if function in FUNCTIONS:
            parts = [found[id(part)] for part in arguments]
            is_division = function in ("mod", "floordiv")
            if not is_division or np.all(parts[1]):
                return FUNCTIONS[function](*parts)
        case _:
            pass
    raise Mistake.BAD_PLACE.error(
        "the site that an operator acts on is not plain from the row",
        expected="a label, or whole numbers and labels with + - * // % abs and tables",
        found=repr(node),
    )


class _Keys:
    """Numbers for expressions: the same one where they are built in the same way."""

    def __init__(self) -> None:
        self.numbers = dict[Any, int]()

    def __call__(self, node: Node) -> int:
        return cast(int, self._of(node))

    def _of(self, value: object) -> Any:
        if isinstance(value, tuple):
            return tuple(self._of(part) for part in cast(tuple[object, ...], value))
        if not isinstance(value, Node):
            return (type(value), value)
        parts = tuple(self._of(getattr(value, part.name)) for part in fields(value))  # pyright: ignore[reportArgumentType]
        return self.numbers.setdefault((type(value), parts), len(self.numbers))


# endregion
# region One case

CANCELLED = 16 * np.finfo(np.float64).eps
"""Sums this small, relative to what was added, are those of numbers that cancel."""


@dataclass(frozen=True, eq=False)
class _Term:
    """A product in one case; `sign` is -1 or 1 for each row, or None for 1 in all.

    `strings` are the pairs of slots between which particles are counted, and single
    slots before which they are.
    """

    scale: Number
    scalars: tuple[Expr, ...]
    scalar_keys: tuple[int, ...]
    strings: frozenset[tuple[Slot, ...]]
    sign: bytes | None
    locals: Mapping[Slot, LocalOperator]

    @property
    def moves(self) -> tuple[tuple[Slot, int], ...]:
        return tuple(
            sorted((s, local.move) for s, local in self.locals.items() if local.move)
        )

    @property
    def outer(self) -> tuple[Any, ...]:
        """Key that is equal for amplitudes that several terms can share."""
        return self.scalar_keys, self.strings, self.sign


@dataclass(eq=False)
class _Entry:
    """Terms that differ in what they do to flipped slots only.

    `table` is the sum of their elements for each point of the flipped slots.
    """

    term: _Term
    rest: dict[Slot, LocalOperator]
    table: dict[Point, Number]


@dataclass(frozen=True, eq=False)
class _CaseBranch:
    """A branch of one case: the new value of each slot that is moved."""

    values: Mapping[Slot, Expr]
    amplitude: Expr
    condition: Predicate | None


class _Case:
    """An operator expression in the rows of one case."""

    def __init__(self, table: _Table, rows: Ints):
        self.table = table
        self.rows = rows
        self.sites = table.sites[rows]
        first = self.sites[0].tolist()
        self.slots: list[Slot] = [first.index(number) for number in first]
        self.kinds = [table.kinds[table.kind_at[number]] for number in first]

    def branches(self) -> list[_CaseBranch]:
        """Return the branches, in the order of the products that they come from."""
        merged: dict[Any, _Term] = {}
        sizes: dict[Any, float] = {}
        for product, places in self.table.products:
            for term in self._terms(product, [self.slots[place] for place in places]):
                key = (*term.outer, frozenset(term.locals.items()))
                known = merged.get(key)
                sizes[key] = sizes.get(key, 0.0) + abs(term.scale)
                scale = term.scale if known is None else term.scale + known.scale
                scale = cancelled(scale, sizes[key])
                merged[key] = replace(known or term, scale=scale)
        by_moves: dict[Any, list[_Term]] = {}
        for term in merged.values():
            if term.scale != 0:
                by_moves.setdefault(term.moves, []).append(term)
        found = [self._branch(terms) for terms in by_moves.values()]
        return [branch for branch in found if branch is not None]

    # region Products

    def _terms(self, product: Product, slots: Sequence[Slot]) -> Iterable[_Term]:
        """Return a product as terms: it is several where Sx or Sy are two operators."""
        keys = self.table.key
        scalars = sorted(product.scalars, key=keys)
        choices = [
            self._elementary(factor, slot)
            for factor, slot in zip(product.factors, slots, strict=True)
        ]
        for chosen in itertools.product(*choices):
            locals_: dict[Slot, LocalOperator] = {}
            scale = product.scale
            for slot, (number, local) in zip(slots, chosen, strict=True):
                locals_[slot] = locals_[slot] @ local if slot in locals_ else local
                scale = exact(scale * number)
            if not all(local.live for local in locals_.values()):
                continue
            moves = [local.move for _, local in chosen]
            strings, sign = self._signs(product.factors, slots, moves, locals_)
            yield _Term(
                scale * (1 if sign is None else int(sign[0])),
                tuple(scalars),
                tuple(map(keys, scalars)),
                strings,
                None
                if sign is None or (sign == sign[0]).all()
                else (sign * sign[0]).tobytes(),
                {
                    slot: local
                    for slot, local in locals_.items()
                    if not local.is_identity
                },
            )

    def _elementary(
        self, factor: Factor, slot: Slot
    ) -> tuple[tuple[Number, LocalOperator], ...]:
        subsystem, values = self.kinds[slot]
        found = elementary(factor.kind, subsystem, values)
        if found is not None:
            return found
        number = int(self.sites[0, slot])
        what = (
            f"a {subsystem.kind}" if subsystem.kind != "other" else "of no known kind"
        )
        if mentioned(factor.kind) == "sites with two values":
            what = f"one with {len(values)} values"
        raise Mistake.WRONG_KIND.error(
            f"{factor.kind} acts on {mentioned(factor.kind)}; site {number} is {what}",
            expected=mentioned(factor.kind),
            found=f"{factor!r} on {self.table.scope.space!r}",
            hint=_hint(factor.kind, subsystem, values),
        )

    def _signs(
        self,
        factors: Sequence[Factor],
        slots: Sequence[Slot],
        moves: Sequence[int],
        locals_: Mapping[Slot, LocalOperator],
    ) -> tuple[frozenset[tuple[Slot, ...]], npt.NDArray[np.int8] | None]:
        """Return where particles of x are counted, and the sign of each row beyond."""
        places = [k for k, f in enumerate(factors) if f.kind in ("c", "cdag")]
        if not places:
            return frozenset(), None
        odd = np.zeros(len(self.rows), np.int64)
        for place in places:
            mine = slots[place]
            for earlier in range(place):
                other = slots[earlier]
                if moves[earlier] and self.kinds[other][0] == self.kinds[mine][0]:
                    odd += self.sites[:, other] < self.sites[:, mine]
        strings = set[tuple[Slot, ...]]()
        for subsystem in dict.fromkeys(self.kinds[slots[k]][0] for k in places):
            counted = [slots[k] for k in places if self.kinds[slots[k]][0] == subsystem]
            left = [s for s in dict.fromkeys(counted) if counted.count(s) % 2]
            if len(left) % 2:
                alone = left.pop()
                if (self.sites[:, alone] > subsystem.start).any():
                    strings.add((alone,))
            for a, b in zip(left[::2], left[1::2], strict=True):
                a, b = min(a, b), max(a, b)
                is_lower = self.sites[:, a] < self.sites[:, b]
                # a slot with an odd number of c and c^+ has one value x that is live
                (x_a,), (x_b,) = locals_[a].live, locals_[b].live
                odd += np.where(is_lower, x_a, x_b)
                if (np.abs(self.sites[:, a] - self.sites[:, b]) > 1).any():
                    strings.add((a, b))
        return frozenset(strings), (1 - 2 * (odd % 2)).astype(np.int8)

    # endregion
    # region Branches

    def _branch(self, terms: list[_Term]) -> _CaseBranch | None:
        """Return the branch of terms that move the same slots in the same way."""
        moved = [slot for slot, _ in terms[0].moves]
        flips = [slot for slot in moved if len(self.kinds[slot][1]) == 2]
        flips = flips if len(flips) <= MAX_FLIPS else []
        others = [slot for slot in moved if slot not in flips]
        entries = _entries(terms, flips)
        if not entries:
            return None
        support = sorted({point for entry in entries for point in entry.table})
        lives = [tuple(entry.rest[s].live for s in others) for entry in entries]
        inner: list[tuple[Number, Expr | None]] = [
            self._inner(entry, flips, support, frozenset(others)) for entry in entries
        ]
        if len(set(lives)) == 1:
            condition = all_of_known(
                self._condition(entries[0], others), self._holds(flips, support)
            )
        else:
            conditions = [
                _or_true(
                    all_of_known(
                        self._condition(entry, others), self._holds(flips, support)
                    )
                )
                for entry in entries
            ]
            condition = any_of(*conditions)
            inner = [
                (1, where(p, times(constant(number), _or_one(value)), 0))
                for p, (number, value) in zip(conditions, inner, strict=True)
            ]
        live = {
            slot: sorted(
                {place for entry in entries for place in entry.rest[slot].live}
            )
            for slot in others
        }
        for k, slot in enumerate(flips):
            live[slot] = sorted({point[k] for point in support})
        values = {
            slot: terms[0].locals[slot].moved(self.table.x(slot), live[slot])
            for slot in moved
        }
        if self._is_exchange(flips, support):
            one, two = flips
            values[one], values[two] = self.table.x(two), self.table.x(one)
        return _CaseBranch(values, self._sum(entries, inner), condition)

    def _is_exchange(self, flips: Sequence[Slot], support: list[Point]) -> bool:
        if support != [(0, 1), (1, 0)]:
            return False
        return self.kinds[flips[0]][1] == self.kinds[flips[1]][1]

    def _condition(self, entry: _Entry, slots: Sequence[Slot]) -> Predicate | None:
        return all_of_known(
            *[
                entry.rest[slot].holds(self.table.x(slot), entry.rest[slot].live)
                for slot in slots
            ]
        )

    def _holds(self, slots: Sequence[Slot], support: list[Point]) -> Predicate | None:
        """Return that the values of slots with two values are at one of some points."""
        if len(support) == 2 ** len(slots):
            return None
        if self._is_exchange(slots, support):
            return self.table.x(slots[0]) != self.table.x(slots[1])
        each = [sorted({point[k] for point in support}) for k in range(len(slots))]
        if len(support) == np.prod([len(places) for places in each]):
            points = [tuple(places[0] for places in each)]
            kept = [k for k, places in enumerate(each) if len(places) == 1]
        else:
            points, kept = support, list(range(len(slots)))
        return any_of(
            *[
                all_of(*[self._is_at(slots[k], point[k]) for k in kept])
                for point in points
            ]
        )

    def _is_at(self, slot: Slot, place: int) -> Predicate:
        return self.table.x(slot) == constant(self.kinds[slot][1][place])

    def _inner(
        self,
        entry: _Entry,
        flips: Sequence[Slot],
        support: list[Point],
        moved: frozenset[Slot],
    ) -> tuple[Number, Expr | None]:
        """Return the local part of an entry's amplitude, where its branch is valid."""
        number, value = self._tabulated(flips, entry.table, support)
        result = Amplitude(number, value=value)
        for slot, local in entry.rest.items():
            places = local.live if slot in moved else range(len(local.values))
            result = result * local.amplitude(self.table.x(slot), places)
        return result.parts

    def _tabulated(
        self, slots: Sequence[Slot], table: Mapping[Point, Number], support: list[Point]
    ) -> tuple[Number, Expr | None]:
        """Return a function of slots with two values that is right on the support."""
        values = [table.get(point, 0) for point in support]
        if all(value == values[0] for value in values):
            return values[0], None
        for k, slot in enumerate(slots):
            sides = [
                {v for p, v in zip(support, values, strict=True) if p[k] == side}
                for side in (0, 1)
            ]
            if all(len(side) == 1 for side in sides):
                (low,), (high,) = sides
                if high == -low:
                    return high, self._z(slot)
                return 1, where(self._is_at(slot, 1), constant(high), constant(low))
        return 1, self._walsh(slots, table)

    def _walsh(self, slots: Sequence[Slot], table: Mapping[Point, Number]) -> Expr:
        """Return sum_U w_U prod_(s in U) z_s, where z is -1 and 1: any function."""
        total: Expr | None = None
        for chosen in itertools.product((0, 1), repeat=len(slots)):
            weight: Any = 0
            for point, value in table.items():
                odd = sum(c and not p for c, p in zip(chosen, point, strict=True))
                weight = weight + (-value if odd % 2 else value)
            weight = exact_product(weight, Fraction(1, 2 ** len(slots)))
            if weight == 0:
                continue
            factors = [self._z(s) for s, c in zip(slots, chosen, strict=True) if c]
            product = reduce(times_known, factors, cast("Expr | None", None))
            total = _plus(total, times(constant(_number_of(weight)), _or_one(product)))
        return _or_one(total) if total is not None else Constant(0)

    def _z(self, slot: Slot) -> Expr:
        """Return -1 and 1 for the lower and the upper one of two values."""
        low, high = self.kinds[slot][1]
        if (low, high) == (-1, 1):
            return self.table.x(slot)
        if (low, high) == (0, 1):
            return 2 * self.table.x(slot) - 1
        return where(self._is_at(slot, 1), 1, -1)

    def _sum(
        self, entries: list[_Entry], inner: list[tuple[Number, Expr | None]]
    ) -> Expr:
        """Return the amplitude: what entries have in common stands outside of sums."""
        groups: dict[Any, list[int]] = {}
        for k, entry in enumerate(entries):
            groups.setdefault(entry.term.outer, []).append(k)
        total: Expr | None = None
        for members in groups.values():
            term = entries[members[0]].term
            outer = self._outer(term)
            if len(members) == 1:
                number, value = inner[members[0]]
                product = self._signed(
                    term, _number_of(number), times_known(outer, value)
                )
            else:
                parts = [
                    times(constant(_number_of(number)), _or_one(value))
                    for number, value in (inner[k] for k in members)
                ]
                summed = reduce(lambda a, b: a + b, parts)
                product = self._signed(term, 1, times_known(outer, summed))
            total = _plus(total, product)
        assert total is not None
        return total

    def _outer(self, term: _Term) -> Expr | None:
        result = reduce(times_known, term.scalars, cast("Expr | None", None))
        if term.sign is None:
            return result
        signs = np.ones(len(self.table.sites))
        signs[self.rows] = np.frombuffer(term.sign, np.int8)
        return times_known(result, self.table.column("sign", signs))

    def _signed(self, term: _Term, number: Number, value: Expr | None) -> Expr:
        """Return a number times a value, with the signs of the strings."""
        result = value
        for k, string in enumerate(sorted(term.strings)):
            size = number if k == 0 else 1
            # whether an odd number of these sites is occupied
            is_odd = ReducedPredicate("parity", here.value != 0, self._region(string))
            sign = where(is_odd, constant(-size), constant(size))
            result = times_known(result, sign)
        if term.strings:
            return _or_one(result)
        return times(constant(number), _or_one(value))

    def _region(self, string: tuple[Slot, ...]) -> Region:
        numbers = [self.table.places[slot] for slot in string]
        if len(numbers) == 2:
            return between(*numbers)
        return sites_range(self.kinds[string[0]][0].start, numbers[0])

    # endregion


def _entries(terms: Iterable[_Term], flips: Sequence[Slot]) -> list[_Entry]:
    """Return terms with those together that differ in flipped slots only."""
    entries: dict[Any, _Entry] = {}
    sizes: dict[Any, float] = {}
    for term in terms:
        rest = {s: local for s, local in term.locals.items() if s not in flips}
        key = (*term.outer, frozenset(rest.items()))
        entry = entries.setdefault(key, _Entry(term, rest, {}))
        for point in itertools.product(*[term.locals[slot].live for slot in flips]):
            element = Fraction(1)
            for slot, place in zip(flips, point, strict=True):
                element *= term.locals[slot].element(place)
            value = exact_product(term.scale, element)
            sizes[key, point] = sizes.get((key, point), 0.0) + abs(value)
            summed = entry.table.get(point, 0) + value
            entry.table[point] = cancelled(summed, sizes[key, point])
    for entry in entries.values():
        entry.table = {p: value for p, value in entry.table.items() if value != 0}
    return [entry for entry in entries.values() if entry.table]


def cancelled(total: Number, size: float) -> Number:
    """Return a sum, 0 where it is no more than the rounding of what was added.

    `size` is the sum of the absolute values: 0.1 * 3 - 0.3 is not 0 in floating point,
    and would be a branch where there is none.
    """
    if abs(total) <= CANCELLED * size:
        return 0
    return exact(total)


def _hint(kind: str, subsystem: Subsystem, values: tuple[float, ...]) -> str | None:
    if subsystem.kind == "other":
        return "spin(..), fock(..), qubit(..) and fermions(..) say what their sites are"
    if subsystem.kind == "spin":
        return "Sx, Sy, Sz, Sp and Sm act on spins"
    if subsystem.kind == "boson":
        return "a, adag and n act on bosons"
    return "c, cdag and n act on fermions" if subsystem.kind == "fermion" else None


# endregion
# region Numbers and expressions


def _number_of(value: Number) -> Number:
    """Return a rational number as an integer or a float where it is exactly one."""
    if not isinstance(value, Fraction):
        return value
    if value.denominator == 1:
        return value.numerator
    return float(value)


def _plus(left: Expr | None, right: Expr) -> Expr:
    return right if left is None else left + right


def _or_one(value: Expr | None) -> Expr:
    return Constant(1) if value is None else value


def _or_true(predicate: Predicate | None) -> Predicate:
    return true if predicate is None else predicate


def all_of_known(*predicates: Predicate | None) -> Predicate | None:
    """Return the predicate that all hold, None where all are None."""
    known = [predicate for predicate in predicates if predicate is not None]
    return all_of(*known) if known else None


# endregion
# region Several cases


def _joined(table: _Table, cases: list[list[_CaseBranch]]) -> Iterable[EmittedBranch]:
    """Return the branches of all cases: the k-th ones of each are one branch."""
    if len(cases) == 1:
        for branch in cases[0]:
            update = Update()
            for slot, value in branch.values.items():
                update = update.write(table.places[slot], value)
            yield EmittedBranch(update, branch.amplitude, branch.condition)
        return
    numbers = np.zeros(len(table.sites))
    slots = list[list[Slot]]()
    for number, rows in enumerate(table.cases()):
        numbers[rows] = number
        slots.append(_Case(table, rows).slots)
    for k in range(max(map(len, cases))):
        branches = [case[k] if k < len(case) else None for case in cases]
        yield _join(table, branches, slots, table.column("case", numbers))


def _join(
    table: _Table,
    branches: list[_CaseBranch | None],
    slots: list[list[Slot]],
    case: Expr,
) -> EmittedBranch:
    """Return one branch that is another one in each case, and in some is not valid."""
    update = Update()
    for place, number in enumerate(table.places):
        x = table.x(place)
        values = [
            None if branch is None else branch.values.get(slots[k][place], x)
            for k, branch in enumerate(branches)
        ]
        if any(value is not None and value is not x for value in values):
            update = update.write(number, _chosen(table, case, values))
    amplitude = _chosen(
        table,
        case,
        [None if branch is None else branch.amplitude for branch in branches],
    )
    by_condition: dict[int, list[int]] = {}
    for k, branch in enumerate(branches):
        if branch is not None:
            key = table.key(_or_true(branch.condition))
            by_condition.setdefault(key, []).append(k)
    parts = list[Predicate]()
    for members in by_condition.values():
        branch = cast(_CaseBranch, branches[members[0]])
        is_case = (
            None
            if len(members) == len(branches)
            else any_of(*[case == member for member in members])
        )
        parts.append(_or_true(all_of_known(is_case, branch.condition)))
    condition = any_of(*parts) if not (len(parts) == 1 and parts[0] is true) else None
    return EmittedBranch(update, amplitude, condition)


def _chosen(table: _Table, case: Expr, values: list[Expr | None]) -> Expr:
    """Return the value of the case at hand; None where it does not matter."""
    members: dict[int, list[int]] = {}
    for k, value in enumerate(values):
        if value is not None:
            members.setdefault(table.key(value), []).append(k)
    ordered = sorted(members.values(), key=len)
    result = cast(Expr, values[ordered[-1][0]])
    for chosen in ordered[:-1]:
        is_case = any_of(*[case == member for member in chosen])
        result = where(is_case, cast(Expr, values[chosen[0]]), result)
    return result


# endregion
