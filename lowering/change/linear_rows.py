"""Rows that are linear in fewer numbers at their positions: the last layer of backflow.

The orbitals R(x) of a position are often fixed ones, and multiples of others:

    R(x)[s, f] = R0[s, f] + sum over h of z(x)[s, h] * W[s, h, f]

so that what a matrix makes of their change is known by what it makes of W.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from xdsl.dialects.builtin import ComplexType
from xdsl.ir import SSAValue

from dialects.stablehlo import element_of
from lowering.arrays import Array, array
from lowering.change.cones import Emission, Node
from lowering.change.position_lists import Trace
from lowering.rewriting import Inserter


class LinearRows(NamedTuple):
    """A node whose changes are linear in those of another one at the same position.

    Attributes:
        chain: nodes, each linear in the one before: z, .., R.
    """

    chain: Sequence[Node]

    @property
    def source(self) -> Node:
        """The node z."""
        return self.chain[0]

    @property
    def numbers(self) -> int:
        """How many numbers z is at each position."""
        return self.source.channels

    def weights(self, insert: Inserter, fixed: Callable[[SSAValue], Array]) -> Array:
        """Return W (positions * numbers, channels), of values without x."""
        count = self.source.positions
        at = _OfUnits(insert, _Everywhere(self.chain, self.numbers), fixed_of=fixed)
        # Of each position as many rows as there are numbers
        units = np.repeat(np.eye(self.numbers)[None], count, axis=0)
        units = units.reshape(-1, self.numbers)
        at.units = array(insert, units, element_of(self.source.value))
        at.source = self.source
        return at.change(self.chain[-1])


def linear_rows(node: Node) -> LinearRows:
    """Return the fewest numbers that a node is linear in at each position."""
    chain = [node]
    while True:
        node = chain[0]
        if not node.is_linear or len(node.sources) != 1:
            break
        if _is_complex(node.sources[0]) and not _is_complex(node):
            break  # of a part of a number no multiple of that is known
        chain.insert(0, node.sources[0])
    least = min(range(len(chain)), key=lambda n: (chain[n].channels, -n))
    return LinearRows(tuple(chain[least:]))


def _is_complex(node: Node) -> bool:
    return isinstance(element_of(node.value), ComplexType)


class _Everywhere(Trace):
    """All positions, each as often as there are unit vectors."""

    def __init__(self, chain: Sequence[Node], count: int):
        positions = np.repeat(np.arange(chain[0].positions), count)
        same = np.arange(len(positions))[None]
        self.lists = {node: positions[None] for node in chain}
        self.places = {node: [same] for node in chain}
        self.class_of = np.zeros(1, np.int64)


class _OfUnits(Emission):
    """Where changes are computed of unit vectors at all positions of a node."""

    source: Node
    units: Array

    def change(self, node: Node) -> Array:
        return self.units if node is self.source else node.of_changes(self)
