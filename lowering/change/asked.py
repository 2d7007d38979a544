"""What functions of networks are made of: values of x, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.stablehlo import element_of, tensor
from lowering.arrays import Array
from lowering.change.cone_analysis import Cones
from lowering.change.cones import (
    Node,
    Part,
    taken,
    taken_rows,
)
from lowering.order import operands_first
from lowering.rewriting import Inserter


class Asked(dict[Any, Array]):
    """Arrays that are not there yet: arguments of their types, once asked for."""

    def __init__(self, insert: Inserter, block: Block, kind: Callable[[Any], Any]):
        super().__init__()
        self._insert, self._block, self._kind = insert, block, kind

    def __missing__(self, key: Any) -> Array:
        argument = self._block.insert_arg(self._kind(key), len(self._block.args))
        self[key] = Array(argument, self._insert)
        return self[key]


class Values:
    """Values of a function of x, computed where they are asked for, each once.

    Attributes:
        insert: where to.
        known: those that are there.
    """

    def __init__(self, insert: Inserter, function: FuncOp, given: Sequence[Array]):
        """Take its arguments, or the first of them."""
        self.insert, self._function = insert, function
        own = (one.value for one in given)
        self.known: dict[SSAValue, SSAValue] = dict(
            zip(function.body.block.args, own, strict=False)
        )

    def with_known(self, known: Mapping[SSAValue, SSAValue]) -> Values:
        """Return values next to these, with others that are there."""
        found = Values(self.insert, self._function, [])
        own = self._function.body.block.args
        mine = {one: self.known[one] for one in own if one in self.known}
        found.known = {**mine, **known}
        return found

    def __call__(self, value: SSAValue) -> Array:
        for one in operands_first(value, known=self.known):
            if one not in self.known:  # another result of an op that is there
                assert isinstance(one.owner, Operation)
                self.insert.add_op(one.owner.clone(self.known))
        return Array(self.known[value], self.insert)


def whole_of(cones: Cones, node: Node, now: Values) -> Array:
    """Return a node (positions, channels), by values that are there."""
    if isinstance(node, Part) and node.places is None:
        return taken_rows(whole_of(cones, node.sources[0], now), node.own)
    places = node.places if isinstance(node, Part) else cones.views[node.value].places
    assert places is not None
    flat = taken(now(node.value).reshape(-1), places)
    return flat.reshape(node.positions, node.channels)


def kind_of(node: Node) -> Any:
    """Return the type of what is kept of a node."""
    return tensor(element_of(node.value), (node.positions, node.channels))
