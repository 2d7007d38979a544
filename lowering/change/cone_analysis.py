"""Nodes of a network: how a change of x goes through it, op by op."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from dialects.stablehlo import shape_of
from lowering.change.cones import Node, Part, View, Whole, Written
from lowering.change.determinants import (
    DeterminantPart,
    Determinants,
    determinants_of,
)
from lowering.change.known_rules import rule_of
from lowering.change.layout_rules import MAX_ELEMENTS, LayoutRule
from lowering.change.orbitals import Lost, Rows
from lowering.energy.extraction import returned
from lowering.order import captured
from lowering.rewriting import op_name

MAX_REPEATED = 4
"""Positions are read so many times at most, where each is a position of its own."""


@dataclass(frozen=True, eq=False)
class Cones:
    """How changes of x go through a function.

    Attributes:
        function: of parameters and one x.
        views: of each value that depends on x, as far as that is known.
        nodes: what they are elements of, in order.
    """

    function: FuncOp
    views: dict[SSAValue, View]
    nodes: list[Node]

    @property
    def result(self) -> Node:
        return self.views[returned(self.function)].node

    @property
    def joint(self) -> list[Node]:
        """The nodes of which all rows have one list: those behind masked layers."""
        return [node for node in self.nodes if node.is_joint]


class _Known(NamedTuple):
    """A function as it was when it was analysed, and what was found.

    Attributes:
        ops: its own, in order.
        copy: a function that is equal to it.
    """

    ops: tuple[Operation, ...]
    copy: FuncOp
    found: Cones | str


_LAST: dict[FuncOp, _Known] = {}
_LOCK = threading.Lock()

KEPT = 8
"""So many functions are remembered. Passes one after the other ask for the same ones,
and to find determinants by their values takes a tenth of a second."""


def cones_of(function: FuncOp) -> Cones | str:
    """Return how changes go through a function of x, or why that is not known.

    Of the nodes there are those that the result needs.
    """
    ops = tuple(function.body.block.ops)
    with _LOCK:
        known = _LAST.pop(function, None)
    if (
        known is None
        or known.ops != ops
        or not known.copy.is_structurally_equivalent(function)
    ):
        known = _Known(ops, function.clone(), _found(function))
    with _LOCK:
        _LAST[function] = known
        if len(_LAST) > KEPT:
            del _LAST[next(iter(_LAST))]
    return known.found


def _found(function: FuncOp) -> Cones | str:
    found, lost = cones_until(function)
    if returned(function) in lost:
        return lost[returned(function)]
    if returned(function) not in found.views:
        return "it does not depend on x"
    if isinstance(found.result, Rows):
        return "rows that are exchanged are no determinant"
    return replace(found, nodes=_needed(found.nodes, found.result))


def cones_until(function: FuncOp) -> tuple[Cones, dict[SSAValue, str]]:
    """Return how changes go through a function, and why not to each other value."""
    found = _Analysis(function)
    for op in function.body.block.ops:
        if not isinstance(op, ReturnOp):
            found.visit(op)
    return Cones(function, found.views, found.nodes), found.lost


class _Analysis:
    """What is known of the values of a function, op by op.

    Attributes:
        views: of each value that is known.
        lost: why it is not of each other value that depends on x.
        nodes: what values are elements of, in order.
    """

    def __init__(self, function: FuncOp):
        self._function = function
        x = function.body.block.args[-1]
        count = prod(shape_of(x))
        start = Written(x, count, 1, ())
        ids = np.arange(count).reshape(shape_of(x))
        self.views: dict[SSAValue, View] = {x: View(start, ids)}
        self.lost: dict[SSAValue, str] = {}
        self.nodes: list[Node] = [start]
        self._parts: dict[tuple[Node, SSAValue, bytes], Part] = {}
        self._determinants: dict[SSAValue, Determinants] = {}

    def _depends(self, value: SSAValue) -> bool:
        return value in self.views or value in self.lost

    def visit(self, op: Operation) -> None:
        """Find what is known of the results of an op."""
        of_regions = any(map(self._depends, captured(op)))
        if not of_regions and not any(map(self._depends, op.operands)):
            return
        if of_regions:
            made = f"'{op_name(op)}' has a region that depends on x"
        else:
            made = self._made(op)
        if isinstance(made, str):
            for result in op.results:
                self.lost[result] = made
                self._look_at(result)
            return
        self.views[op.results[0]] = made
        self._add(made.node)

    def _add(self, node: Node) -> None:
        if node in self.nodes:
            return
        for source in node.sources:
            self._add(source)
        self.nodes.append(node)

    def _made(self, op: Operation) -> View | str:
        rule = rule_of(op)
        own = [self._known(value) for value in op.operands]
        lost = next((one for one in own if isinstance(one, Lost)), None)
        if lost is not None and (rule is None or not rule.reads_lost):
            return lost.reason
        of_rows = any(isinstance(o, View) and isinstance(o.node, Rows) for o in own)
        if of_rows and not (rule and (rule.reads_lost or isinstance(rule, LayoutRule))):
            return f"'{op_name(op)}' of rows that are exchanged"
        if len(op.results) != 1 or not isinstance(op.results[0].type, TensorType):
            return f"'{op_name(op)}' has many results"
        if prod(shape_of(op.results[0])) > MAX_ELEMENTS:
            return f"'{op_name(op)}' has too many elements"
        if rule is None:
            return self._anew(op, own, f"'{op_name(op)}' has no rule")
        views: list[Any] = own
        found = rule.cone(op, views)
        for with_constants in (True, False):
            if isinstance(found, str):
                parts = self._in_parts(op, with_constants=with_constants)
                found = found if parts is None else rule.cone(op, parts)
        return self._anew(op, own, found) if isinstance(found, str) else found

    def _known(self, value: SSAValue) -> View | Lost | None:
        reason = self.lost.get(value)
        if reason is None:
            return self.views.get(value)
        return Lost(reason, self.views, self._depends, self._function)

    def _in_parts(self, op: Operation, *, with_constants: bool) -> list[Any] | None:
        """Return views of an op's operands, each with its own positions alone.

        Of all of them, or of those with constants; what is lost stays so. None where
        there are no fewer.
        """
        own = [self._known(value) for value in op.operands]
        found = [
            self._in_part(one, value)
            if isinstance(one, View) and not (with_constants and (one.ids >= 0).all())
            else one
            for one, value in zip(own, op.operands, strict=True)
        ]
        if not any(
            isinstance(one, View) and one is not other
            for one, other in zip(found, own, strict=True)
        ):
            return None
        for one in found:
            if isinstance(one, View):
                self._add(one.node)
        return found

    def _in_part(self, view: View, value: SSAValue) -> View:
        """Return a view of a value of which each element is there once, in order."""
        node, ids = view
        if isinstance(node, Rows) or not (ids >= 0).any() or _is_sorted(view):
            return view
        axes = range(ids.ndim) if node.channels > 1 else ()
        axis = next((n for n in axes if view.by_position(n) is not None), None)
        if axis is None and node.channels > 1:
            return view
        own = ids if axis is None else view.by_position(axis)
        assert own is not None
        positions = own.reshape(-1)
        if len(positions) > MAX_REPEATED * node.positions:
            return view
        numbers = np.arange(ids.size).reshape(*own.shape, node.channels)
        if axis is None:
            numbers = numbers.reshape(ids.shape)
        else:
            numbers = np.moveaxis(numbers, -1, axis)
        places = None
        if (positions < 0).any():
            places = np.argsort(numbers, axis=None)
        else:
            value = node.value
        key = node, value, positions.tobytes()
        if key not in self._parts:
            size = len(positions), node.channels
            self._parts[key] = Part(value, *size, (node,), positions, places)
        return View(self._parts[key], numbers)

    def _anew(
        self, op: Operation, own: Sequence[View | Lost | None], reason: str
    ) -> View | str:
        """Return an op of values at one position, evaluated at x'."""
        known = [one for one in own if isinstance(one, View)]
        for one in own:
            if isinstance(one, Lost) or (
                one is not None and not (_is_sorted(one) and one.node.positions == 1)
            ):
                return reason
        size = prod(shape_of(op.results[0]))
        operands = tuple(
            one if isinstance(one, View) else value
            for value, one in zip(op.operands, own, strict=True)
        )
        sources = tuple(dict.fromkeys(one.node for one in known))
        node = Whole(op.results[0], 1, size, sources, op, operands)
        return View(node, np.arange(size).reshape(shape_of(op.results[0])))

    def _look_at(self, value: SSAValue) -> None:
        """Know a value that is lost by what it is: something of determinants."""
        if not any(isinstance(one.node, Rows) for one in self.views.values()):
            return
        lost = self._known(value)
        assert isinstance(lost, Lost)
        found = determinants_of(lost, value)
        if found is None:
            return
        source, own, kind = found
        own = self._determinants.setdefault(source, own)
        node = DeterminantPart(value, 1, own.count, (own.slots,), own, kind)
        del self.lost[value]
        self.views[value] = View(node, np.arange(own.count).reshape(shape_of(value)))
        self._add(node)


def _is_sorted(view: View) -> bool:
    count = view.node.positions * view.node.channels
    flat = view.ids.reshape(-1)
    return flat.size == count and bool((flat == np.arange(count)).all())


def _needed(nodes: Sequence[Node], result: Node) -> list[Node]:
    needed = {result}
    for node in reversed(nodes):
        if node in needed:
            needed.update(node.sources)
    return [node for node in nodes if node in needed]
