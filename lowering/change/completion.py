"""Autoregressive networks: which positions are complete when some sites are known.

log psi is a sum of terms, each of which needs one site more than those before it, in an
order. Sites are then drawn one after the other, and a position of a layer is computed
once: when the last site that it needs is there. What is at other positions by then is
of no account: behind a mask it is multiplied by 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import i1
from xdsl.ir import Operation

from dialects.stablehlo import element_of, gather_rows, shape_of
from lowering.arrays import Array, array, zeros
from lowering.change.asked import Values, whole_of
from lowering.change.cone_analysis import Cones
from lowering.change.cones import (
    NEVER,
    AtEach,
    Emission,
    Node,
    Part,
    Stencil,
    Total,
)
from lowering.change.known_zeros import is_zero
from lowering.change.masked import Masked
from lowering.change.position_lists import Listed, Numbers, Trace
from lowering.stablehlo.loops import updated

BEFORE = -1
"""The step of what needs no site."""

MAX_UPDATES = 8
"""Rows of more positions are not written one by one."""


@dataclass(frozen=True, eq=False)
class Conditionals:
    """When what a network computes is complete, if sites come in an order.

    Attributes:
        cones: how changes of x go through the network.
        order: the site of each step, (N,).
        terms: what log psi is made of by sums and affine functions.
        inside: nodes that the terms are computed from, and these, in order.
        behind: nodes behind the terms, in order.
        steps: of each node inside, the step that its positions are computed with,
            (positions,).
        offset: nodes that have sums with constants, beside those of their sources.
    """

    cones: Cones
    order: Numbers
    terms: list[Node]
    inside: list[Node]
    behind: list[Node]
    steps: dict[Node, Numbers]
    offset: set[Node]

    def trace(self, start: int, stop: int) -> CompletionTrace:
        """Return the positions that are complete with each of some steps."""
        return CompletionTrace(self, np.arange(start, stop))

    def constants(self, node: Node, at: Emission) -> Array:
        """Return a sum without what depends on x, where tables are made."""
        assert isinstance(at.fixed_of, Values)
        x = self.cones.function.body.block.args[-1]
        nothing = zeros(at.insert, element_of(x), shape_of(x))
        some = at.fixed_of.with_known({x: nothing.value})
        (source,) = node.sources
        view = self.cones.views[source.value]
        inside = array(at.insert, view.ids >= 0, i1)
        own = some(source.value)
        kept = inside.where(own.like(0).broadcast(own.shape, []), own)
        now = at.fixed_of.with_known({source.value: kept.value})
        return whole_of(self.cones, node, now)

    @property
    def beginning(self) -> CompletionTrace:
        """All positions of the terms, of which some need no site."""
        found = CompletionTrace(self, np.array([BEFORE]))
        for node in self.terms:
            found.lists[node] = np.arange(node.positions)[None]
            found.is_new[node] = self.steps[node][None] == BEFORE
        return found


class CompletionTrace(Trace):
    """The positions of nodes that are complete with each step.

    Lists of fewer positions go on with one that is complete since long, if there is
    one: to compute that again changes nothing.

    Attributes:
        is_new: of each node, whether a position of the list is complete with the step.
    """

    def __init__(self, of: Conditionals, steps: Numbers):
        self.lists: dict[Listed, Numbers] = {}
        self.is_new: dict[Listed, npt.NDArray[np.bool_]] = {}
        self.class_of = np.zeros(len(steps), np.int64)
        self.steps = steps
        for node in of.inside:
            known = of.steps[node]
            most = max(1, *(int((known == step).sum()) for step in steps))
            lists = np.zeros((len(steps), most), np.int64)
            is_new = np.zeros(lists.shape, bool)
            for row, step in enumerate(steps):
                own = np.flatnonzero(known == step)
                # Of no use before, whichever it is, where none is complete
                lists[row] = np.argmax(np.where(known <= step, known, BEFORE - 1))
                lists[row, : len(own)] = own
                is_new[row, : len(own)] = True
            self.lists[node], self.is_new[node] = lists, is_new
        for node in of.behind:
            self.lists[node] = np.zeros((len(steps), 1), np.int64)


def conditionals_of(
    cones: Cones, order: Sequence[int] | None = None
) -> Conditionals | str:
    """Return when what a network computes is complete, or why log psi is no such sum.

    Without an order there is one that the terms have, with the least sites first.
    """
    is_one = cones.nodes[0].positions == 1
    terms, behind = _terms_of(cones.result, is_one=is_one)
    if isinstance(behind, str):
        return behind
    inside = _needed_by(cones.nodes, terms)
    for node in inside:
        if not node.is_by_position:
            return f"{node} has no values at some of its positions"
    start = cones.nodes[0]
    reached = _propagated(inside, {start: np.eye(start.positions, dtype=bool)})
    needs = np.concatenate([reached[node] for node in terms])
    found = np.asarray(order, np.int64) if order is not None else None
    for node in terms if found is None else ():
        # Others, such as a phase, may have sites that are ready before they are drawn
        own = _order_of(reached[node], is_only=True)
        found = own if not isinstance(own, str) else found
    if found is None:
        found = _order_of(needs)
    if isinstance(found, str):
        return found
    rank = np.argsort(found)
    if (wrong := _not_in(needs, rank)) is not None:
        return wrong
    complete = _propagated(inside, {start: rank[:, None]})
    own = _late({node: one[:, 0] for node, one in complete.items()}, inside, terms)
    last = [node for node in cones.nodes if node in behind]
    offset = {node for node in inside if _has_constants(node, cones)}
    return Conditionals(cones, found, terms, inside, last, own, offset)


def _has_constants(node: Node, cones: Cones) -> bool:
    """Whether a sum has elements that are without x, next to others, and not 0."""
    op = node.value.owner
    if not isinstance(node, Stencil | Masked) or not isinstance(op, Operation):
        return False
    (source,) = node.sources
    if isinstance(source, Part) and source.places is not None:
        return False  # they are positions of it
    own = [value for value in op.operands if value in cones.views]
    outside = ((value, cones.views[value].ids < 0) for value in own)
    return any(
        bool(which.any()) and bool((which & ~is_zero(value)).any())
        for value, which in outside
    )


def _terms_of(result: Node, *, is_one: bool) -> tuple[list[Node], set[Node] | str]:
    """Return what a result is made of by sums, and nodes behind that, or why not.

    Of one site it is the only term itself.
    """
    terms: dict[Node, None] = {}
    behind: set[Node] = set()
    if is_one:
        return [result], behind
    waiting = [result]
    while waiting:
        node = waiting.pop()
        if node in behind:
            continue
        is_sum = isinstance(node, Total | AtEach) or (
            isinstance(node, Stencil) and node.stays
        )
        if not node.makes_changes or not is_sum:
            return [], f"{node} behind all sites is no sum of terms"
        behind.add(node)
        for one in node.sources:
            if one.positions > 1 and isinstance(node, Total):
                terms[one] = None
            elif one.positions > 1:
                return [], f"{node} is no sum over positions"
            else:
                waiting.append(one)
    return list(terms), behind


def _needed_by(nodes: Sequence[Node], last: Sequence[Node]) -> list[Node]:
    needed = set(last)
    for node in reversed(nodes):
        if node in needed:
            needed.update(node.sources)
    return [node for node in nodes if node in needed]


def _propagated(
    nodes: Sequence[Node], found: dict[Node, npt.NDArray[Any]]
) -> dict[Node, npt.NDArray[Any]]:
    """Return the most of what is at the first node, at all that needs it."""
    for node in nodes:
        if node not in found:
            every = [
                node.latest(number, found[one])
                for number, one in enumerate(node.sources)
            ]
            found[node] = np.maximum.reduce(every)
    return found


def _late(
    complete: dict[Node, Numbers], nodes: Sequence[Node], terms: Sequence[Node]
) -> dict[Node, Numbers]:
    """Return the step that each position is computed with: the last one that will do.

    Where several positions are complete with a step and none with others, one is
    computed with each. What has the value of a site is computed with that; before that
    what it is made of else, so that it is not computed for all values.
    """
    needed = {node: np.full(node.positions, NEVER) for node in nodes}
    found: dict[Node, Numbers] = {}
    for node in reversed(nodes):
        own = complete[node]
        at_once = node in terms or not node.sources
        late = own if at_once else np.maximum(needed[node], own)
        # What nothing needs is not computed
        found[node] = late = np.where(late == NEVER, BEFORE, late)
        before = np.where((own == late) & (late > BEFORE), late - 1, late)
        for number, source in enumerate(node.sources):
            least = node.earliest(number, before)
            needed[source] = np.minimum(needed[source], least)
    return found


def _order_of(needs: npt.NDArray[np.bool_], *, is_only: bool = False) -> Numbers | str:
    """Return sites, each with a term that needs no other one that is not before.

    It may be asked for the only such order.
    """
    missing = needs.sum(axis=1)
    order: list[int] = []
    while len(order) < needs.shape[1]:
        ready = needs[missing == 1]
        ready[:, order] = False
        if not ready.any():
            is_left = np.ones(needs.shape[1], bool)
            is_left[order] = False
            left = np.flatnonzero(is_left)
            return f"no term of log psi has one of the sites {_said(left)} alone"
        if is_only and ready.any(axis=0).sum() > 1:
            return "there are several orders"
        site = int(np.argmax(ready.any(axis=0)))
        missing = missing - needs[:, site]
        order.append(site)
    return np.array(order)


def _not_in(needs: npt.NDArray[np.bool_], rank: Numbers) -> str | None:
    """Return which site no term says more of, if there is one."""
    last = np.where(needs, rank, BEFORE).max(axis=1)
    left = np.flatnonzero(~np.isin(rank, last))
    if not len(left):
        return None
    return f"no term of log psi ends with one of the sites {_said(left)}"


def _said(sites: Numbers) -> str:
    shown = ", ".join(map(str, sites[:8]))
    return f"{shown}, .." if len(sites) > 8 else shown


@dataclass(eq=False)
class Completion(Emission):
    """Where positions are computed that are complete with the site of a step.

    Attributes:
        of: which positions these are.
        drawn: the value of the site.
    """

    of: Conditionals = field(kw_only=True)
    drawn: Array = field(kw_only=True)

    @property
    def _own(self) -> CompletionTrace:
        assert isinstance(self.trace, CompletionTrace)
        return self.trace

    @property
    def number(self) -> int:
        """The number of the group."""
        assert self.group is not None
        return self.group

    @property
    def first(self) -> int:
        """The first of the steps that are looked at."""
        return int(self._own.steps[0])

    def value(self, node: Node) -> Array:
        def made() -> Array:
            found = node.completed(self)
            if node not in self.of.offset:
                return found
            table = self.once(node, "offset", lambda at: self.of.constants(node, at))
            return found + self.rows_at(table, node)

        return self._once((node, "value"), made)

    def change(self, node: Node) -> Array:
        """Return what is added to what is affine behind terms, and by terms."""

        def made() -> Array:
            if node not in self.of.terms:
                return node.computed(self)
            is_new = self._own.is_new[node]
            value = self.value(node)
            if is_new.all():
                return value
            there = self.by_row(is_new).compared("NE", 0).reshape(-1, 1)
            return there.where(value, 0)

        return self._once((node, "change"), made)

    def change_at(self, node: Node, at: Node) -> Array:
        return self.change(node)

    def value_at(self, node: Node, at: Node) -> Array:
        if node.positions == 1:
            return self.value(node)
        return self.read(node, at, self.trace.lists[at])

    def read(self, node: Node, at: Node, wanted: Numbers) -> Array:
        """Return a node at some positions that another one needs for its list.

        Those are a row of positions for each step.
        """
        if np.array_equal(self.trace.lists[node], wanted):
            return self.value(node)
        return self.rows(self.all_of(node, at), wanted)

    def all_of(self, node: Node, at: Node) -> Array:
        """Return a node at all positions, as far as another one's list needs them."""
        number, steps = at.sources.index(node), self.of.steps
        needed = at.latest(number, steps[node][:, None])[:, 0]
        own = needed[self.trace.lists[at]] == self._own.steps[:, None]
        is_new = (own & self._own.is_new[at]).any()
        return self.committed(node) if is_new else self.kept_of(node)

    def committed(self, node: Node) -> Array:
        def made() -> Array:
            lists = self.trace.lists[node]
            count = lists.shape[1]
            if node.positions > 1 and count > MAX_UPDATES and not _in_a_row(lists):
                return Emission.committed(self, node)
            value, whole = self.value(node), self.kept_of(node)
            size = count if _in_a_row(lists) else 1
            for first in range(0, count, size):
                start = self.by_row(lists[:, first])
                whole = updated(whole, value.slice(first, first + size), start)
            return whole

        return self._once((node, "committed"), made)

    def rows(self, whole: Array, wanted: Numbers) -> Array:
        """Return some entries of an array, those of the row of the step."""
        if _in_a_row(wanted):
            return whole.part(self.by_row(wanted[:, 0]), wanted.shape[1])
        flat = whole.reshape(whole.shape[0], -1)
        found = flat.of(gather_rows(flat.value, self.by_row(wanted).value))
        return found.reshape(wanted.shape[1], *whole.shape[1:])

    def rows_at(self, whole: Array, node: Node) -> Array:
        return self.rows(whole, self.trace.lists[node])


def _in_a_row(lists: Numbers) -> bool:
    """Whether all positions of each list come one after the other."""
    return bool(np.all(np.diff(lists, axis=1) == 1))


@dataclass(eq=False)
class Beginning(Completion):
    """Where log psi is computed of those terms alone that need no site.

    Attributes:
        known: nodes at some x, all of them.
    """

    known: Callable[[Node], Array] = field(kw_only=True)

    def value(self, node: Node) -> Array:
        if node in self.of.terms:
            return self.known(node)
        if isinstance(node, Total):
            return self.change(node)
        return super().value(node)
