"""Nodes of a network: how a change of x goes through it, op by op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from dialects.stablehlo import shape_of
from lowering.change.cones import Node, View, Whole, Written
from lowering.change.known_rules import rule_of
from lowering.change.layout_rules import MAX_ELEMENTS
from lowering.change.rules import op_name
from lowering.energy.extraction import returned
from lowering.order import captured


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


def cones_of(function: FuncOp) -> Cones | str:
    """Return how changes go through a function of x, or why that is not known.

    Of the nodes there are those that the result needs.
    """
    found, lost = cones_until(function)
    if lost is not None:
        return lost
    if returned(function) not in found.views:
        return "it does not depend on x"
    return Cones(function, found.views, _needed(found.nodes, found.result))


def cones_until(function: FuncOp) -> tuple[Cones, str | None]:
    """Return how changes go through a function, and why it is not known how further."""
    x = function.body.block.args[-1]
    count = prod(shape_of(x))
    start = Written(x, count, 1, ())
    views: dict[SSAValue, View] = {
        x: View(start, np.arange(count).reshape(shape_of(x)))
    }
    nodes: list[Node] = [start]
    found = Cones(function, views, nodes)
    for op in function.body.block.ops:
        if isinstance(op, ReturnOp):
            continue
        own = [views.get(value) for value in op.operands]
        if any(value in views for value in captured(op)):
            return found, f"'{op_name(op)}' has a region that depends on x"
        if not any(own):
            continue
        if len(op.results) != 1 or not isinstance(op.results[0].type, TensorType):
            return found, f"'{op_name(op)}' has many results"
        if prod(shape_of(op.results[0])) > MAX_ELEMENTS:
            return found, f"'{op_name(op)}' has too many elements"
        made = _cone(op, own)
        if isinstance(made, str):
            return found, made
        views[op.results[0]] = made
        if made.node.value is op.results[0]:
            nodes.append(made.node)
    return found, None


def _cone(op: Operation, views: Sequence[View | None]) -> View | str:
    rule = rule_of(op)
    found = "no rule" if rule is None else rule.cone(op, views)
    if not isinstance(found, str):
        return found
    for one in views:
        if one is not None and not (_is_sorted(one) and one.node.positions == 1):
            return found
    size = prod(shape_of(op.results[0]))
    operands = tuple(
        value if one is None else one
        for value, one in zip(op.operands, views, strict=True)
    )
    sources = tuple(dict.fromkeys(one.node for one in views if one is not None))
    node = Whole(op.results[0], 1, size, sources, op, operands)
    return View(node, np.arange(size).reshape(shape_of(op.results[0])))


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
