"""Rewriting: ops get the location of what they stand for, and patterns one walk."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.builder import Builder
from xdsl.dialects.builtin import LocationAttr, ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriteWalker,
    RewritePattern,
)
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


def rewrite_once(
    module: ModuleOp, *patterns: RewritePattern, backwards: bool = False
) -> None:
    """Offer each op of a module to patterns, in order; the first that applies does.

    What patterns insert is not offered again, and ops without uses stay.
    """
    first = GreedyRewritePatternApplier(list(patterns), dce_enabled=False)
    walker = PatternRewriteWalker(
        first, apply_recursively=False, walk_reverse=backwards
    )
    walker.rewrite_module(module)
