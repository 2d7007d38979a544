"""Inserting ops one after the other, with the location of what they come from."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.builder import Builder
from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint

from dialects.provenance import located


@dataclass
class Inserter:
    """Inserts ops at a point; each gets the location of the op that it stands for."""

    builder: Builder
    location: LocationAttr

    @classmethod
    def before(cls, op: Operation) -> Inserter:
        """Insert before an op, in its name."""
        return cls(Builder(InsertPoint.before(op)), op.location)

    def add(self, op: Operation) -> SSAValue:
        """Insert an op and return its first result."""
        self.add_op(op)
        return op.results[0]

    def add_op(self, op: Operation) -> None:
        """Insert an op."""
        self.builder.insert(located(op, self.location))
