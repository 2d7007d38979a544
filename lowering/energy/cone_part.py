"""Parts of log psi whose changes are found at the positions that they reach: cones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.builder import Builder
from xdsl.dialects.builtin import i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue
from xdsl.rewriter import InsertPoint
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.stablehlo import dtype_of, element_of, shape_of, tensor
from lowering.arrays import Array, concatenated
from lowering.change.asked import Asked, Values, kind_of, whole_of
from lowering.change.cone_analysis import Cones, cones_of
from lowering.change.cones import Emission, Node
from lowering.change.determinants import DeterminantPart, Determinants
from lowering.change.orbitals import Slots
from lowering.change.position_lists import Trace, reached_by_any
from lowering.energy.extraction import is_coarse
from lowering.energy.part_functions import (
    Arrays,
    Draft,
    Given,
    Setting,
    largest_safe,
)
from lowering.linear_algebra import factorised
from lowering.rewriting import Inserter

Key = tuple[Any, str]

MAX_GROUPS = 4
"""Groups of rows: each has a loop of its own."""

MAX_GROUPED = 1 << 10
"""Of more rows it takes long to see what each reaches."""


@dataclass
class _Keys:
    """Keys of tables, and nodes that are kept, in the order that they are asked for."""

    tables: list[Key] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)


class Cone(Draft):
    """A network whose change is found at the positions that a change of x reaches."""

    def __init__(self, part: bt.PartAttr, functions: Sequence[FuncOp], own: Setting):
        super().__init__(part, functions, own)
        found = cones_of(functions[0])
        if isinstance(found, str):
            raise PassFailedException(found)
        if own.writes is not None:
            raise PassFailedException("rows of tables are of sites, not of lanes")
        trace = traced(found, own.steps.rows, own.steps.values)
        if isinstance(trace, str):
            raise PassFailedException(trace)
        self._cones: Cones = found
        self._trace: Trace = trace
        groups = np.array(own.groups, np.int64)
        self._traces = [
            in_group(found, own.steps.rows, own.steps.values, groups == number)
            for number in range(groups.max(initial=-1) + 1)
        ]

    @property
    def _determinants(self) -> list[DeterminantPart]:
        return [one for one in self._cones.nodes if isinstance(one, DeterminantPart)]

    # region What is made once, and of one x

    def _emission(self, insert: Inserter, leaves: Arrays) -> Emission:
        """Return where tables are made."""
        now = Values(insert, self.functions[0], leaves)
        rows = self.own.steps.rows
        return Emission(insert, self._trace, fixed_of=now, steps=rows)

    @cached_property
    def _keys(self) -> _Keys:
        """What ratios and commits need: they are written once to see."""
        kinds = self.functions[0].body.block.arg_types[:-1]
        blocks = Block(arg_types=kinds), Block(arg_types=[tensor(i32)])
        inserts = [
            Inserter(Builder(InsertPoint.at_end(block)), self.functions[0].location)
            for block in blocks
        ]
        leaves = [Array(one, inserts[0]) for one in blocks[0].args]
        once = self._emission(inserts[0], leaves)

        def table(key: Key) -> Any:
            return self._table(once, key).value.type

        def kept(key: Any) -> Any:
            if isinstance(key, Node):
                return kind_of(key)
            determinants, name = key
            return determinants.kind_of(name)

        at = Emission(
            inserts[1],
            self._trace,
            Array(blocks[1].args[0], inserts[1]),
            tables=Asked(inserts[1], blocks[1], table),
            kept=Asked(inserts[1], blocks[1], kept),
            wanted=once.wanted,
        )
        self._difference(at)
        for number in range(len(self._traces)):
            self._difference(self._in_group(at, number))
        found = list(at.needed)
        self._all_committed(at, found, leaves)
        self._wanted = once.wanted
        return _Keys(list(at.tables), list(at.needed))

    def _in_group(self, at: Emission, number: int) -> Emission:
        return replace(at, trace=self._traces[number], group=number, _made={})

    def _table(self, once: Emission, key: Key) -> Array:
        trace, make = once.wanted[key]
        return make(replace(once, trace=trace))

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        keys, once = self._keys, self._emission(insert, leaves)
        once = replace(once, wanted=self._wanted)
        return [self._table(once, key) for key in keys.tables]

    def bound(self, tables: Arrays) -> Arrays:
        """Return 0: nothing is multiplied."""
        return largest_safe(tables[0].insert, self.own)

    def cache(self, leaves: Arrays, x: Array) -> Arrays:
        """Return the nodes that are kept, (positions, channels) each."""
        now = Values(x.insert, self.functions[0], [*leaves, x])
        parts = self._determinants

        def whole(node: Node) -> Array:
            return whole_of(self._cones, node, now)

        made = _prepared(parts, whole, now)
        for part in parts:
            now.known[part.value] = made[part].reshape(*shape_of(part.value)).value
        return [
            whole(key) if isinstance(key, Node) else made[key]
            for key in self._keys.kept
        ]

    # endregion
    # region What is of a change

    def _at(self, given: Given) -> Emission:
        keys, insert = self._keys, given.length.insert
        return Emission(
            insert,
            self._trace,
            given.change.rows[0],
            given.change.signed,
            dict(zip(keys.tables, given.tables, strict=True)),
            dict(zip(keys.kept, given.caches, strict=True)),
        )

    def _difference(self, at: Emission) -> Array:
        node = self._cones.result
        before = at.before(node, node)
        at.follow(self._cones.nodes)
        if node.makes_changes:
            # Of a node of psi its changes do not say whether it stays one
            found = before.is_finite().where(at.change(node), np.nan)
        else:
            after = at.value(node)
            # A node of psi at x' is one, whatever is at x
            is_node = after.real.compared("EQ", -np.inf)
            found = is_node.where(after, after - before)
        for one in at.unknown:
            found = (~one).where(found, np.nan)
        return found.reshape()

    def ratio(self, given: Given) -> Array:
        return self._difference(self._at(given))

    def ratios_of_groups(self) -> Sequence[Callable[[Given], Array]]:
        def of(number: int) -> Callable[[Given], Array]:
            return lambda given: self._difference(
                self._in_group(self._at(given), number)
            )

        return [of(number) for number in range(len(self._traces))]

    def _all_committed(
        self, at: Emission, keys: Sequence[Any], leaves: Arrays
    ) -> Arrays:
        found = {key: at.committed(key) for key in keys if isinstance(key, Node)}
        own = [one.inside(at.insert) for one in leaves]
        now = Values(at.insert, self.functions[0], own)

        def whole(node: Node) -> Array:
            return found[node] if node in found else at.committed(node)

        anew = [one for one in self._determinants if not one.of.is_updated(at.trace)]
        found |= _prepared(anew, whole, now)

        def committed(key: Any) -> Array:
            if key in found:
                return found[key]
            determinants, name = key
            return determinants.committed(at, name)

        return [committed(key) for key in keys]

    def commit(self, given: Given) -> Arrays:
        at = self._at(given)
        at.follow(self._cones.nodes)
        return self._all_committed(at, self._keys.kept, given.leaves)

    # endregion


def traced(
    cones: Cones, rows: npt.NDArray[np.float64], values: Sequence[float]
) -> Trace | str:
    """Return the positions that rows of changes reach, or why no cone is written.

    `values` are the local ones of x.
    """
    kind = dtype_of(element_of(cones.nodes[0].value))
    if kind.kind not in "if":
        return f"changes of x are no numbers of {kind}"
    if kind.kind == "i" and abs(rows).max() > np.iinfo(kind).max:
        return f"changes of x are too large for {kind}"
    if any(is_coarse(node.value) for node in cones.nodes):
        return "of fewer than 32 bits the rounding is the model"
    for node in cones.nodes:
        if isinstance(node, Slots) and not node.occupied.is_known(values):
            return f"of sites with {len(values)} values it is not known which are empty"
    return Trace(cones.nodes, sites_of(rows), len({*values}))


def in_group(
    cones: Cones,
    rows: npt.NDArray[np.float64],
    values: Sequence[float],
    which: npt.NDArray[np.bool_],
) -> Trace:
    """Return the positions that some of the rows of changes reach.

    Those of other rows are of the first one of these.
    """
    sites = sites_of(rows)
    first = sites[int(np.argmax(which))]
    own = [one if is_own else first for one, is_own in zip(sites, which, strict=True)]
    return Trace(cones.nodes, own, len({*values}))


def groups_of(cones: Cones, rows: npt.NDArray[np.float64]) -> list[int]:
    """Return groups of rows that reach about as many positions, of each row its number.

    One group is none: where all rows have lists of their own, these say it.
    """
    joint = cones.joint
    if not joint or len(rows) > MAX_GROUPED:
        return []
    lengths: list[int] = []
    for sites in sites_of(rows):
        found = reached_by_any(cones.nodes, [sites])
        lengths.append(sum(len(found[node]) * node.channels for node in joint))
    # Ties stay together, as far as that is known
    order = np.argsort(np.argsort(-np.array(lengths), kind="stable"))
    return (order * min(MAX_GROUPS, len(rows)) // len(rows)).tolist()


def sites_of(rows: npt.NDArray[np.float64]) -> list[npt.NDArray[np.int64]]:
    """Return the sites that each of some changes writes; of none those of another."""
    found = [np.flatnonzero(row) for row in rows]
    some = next((sites for sites in found if len(sites)), np.zeros(1, np.int64))
    return [sites if len(sites) else some for sites in found]


def _prepared(
    parts: Sequence[DeterminantPart],
    whole: Callable[[Node], Array],
    fixed: Callable[[SSAValue], Array],
) -> dict[Any, Array]:
    """Return what is kept of determinants, and what parts of them are at x.

    Matrices of a size are factorised at once.
    """
    found: dict[Any, Array] = {}
    own = dict.fromkeys(part.of for part in parts)
    given = {one: one.read(whole, fixed) for one in own}
    kinds: dict[Any, list[Determinants]] = {}
    for one in own:
        kinds.setdefault((one.size, one.element), []).append(one)
    for several in kinds.values():
        matrices = [one.matrices(*given[one]) for one in several]
        stacked = matrices[0] if len(several) == 1 else concatenated(matrices, 0)
        inverses, signs, logs = factorised(stacked)
        start = 0
        for one in several:
            end = start + one.count
            values = (part.slice(start, end) for part in (inverses, signs, logs))
            inverse, sign, log = values
            start = end
            kept = one.prepared(*given[one], inverse, fixed)
            found |= {(one, name): value for name, value in kept.items()}
            for part in parts:
                if part.of is one:
                    found[part] = part.of_matrices(sign, log)
    return found
