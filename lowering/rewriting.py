"""Rewriting: ops get the location of what they stand for, and patterns one walk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, cast

from xdsl.builder import Builder
from xdsl.dialects.builtin import LocationAttr, ModuleOp, TensorType, UnregisteredOp
from xdsl.ir import Attribute, Operation, Region, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint
from xdsl.transforms.dead_code_elimination import is_trivially_dead

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


class RetypeValues(RewritePattern, ABC):
    """Results of ops and arguments of blocks change type.

    In place: xDSL's `TypeConversionPattern` builds each op anew, without its location.
    """

    @abstractmethod
    def converted(self, kind: TensorType[Attribute]) -> Attribute:
        """Return the type of values that were of another one."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        blocks = (block for region in op.regions for block in region.blocks)
        arguments = [argument for block in blocks for argument in block.args]
        for value in (*arguments, *op.results):
            if not isinstance(value.type, TensorType):
                continue
            kind = cast(TensorType[Attribute], value.type)
            new = self.converted(kind)
            if new != kind:
                rewriter.replace_value_with_new_type(value, new)


class FirstPattern(RewritePattern):
    """Offer an op to patterns, in order, until one applies; erase it if it is dead.

    As xDSL's `GreedyRewritePatternApplier`, which asks each pattern about each op, and
    most patterns are for ops of one type.
    """

    def __init__(self, *patterns: RewritePattern, dce: bool = True):
        self.patterns = patterns
        self.dce = dce
        self._of_type: dict[type[Operation], list[RewritePattern]] = {}

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if self.dce and is_trivially_dead(op):
            rewriter.erase(op)
            return
        kind = type(op)
        if kind not in self._of_type:
            self._of_type[kind] = [p for p in self.patterns if _is_for(p, kind)]
        for pattern in self._of_type[kind]:
            pattern.match_and_rewrite(op, rewriter)
            if rewriter.has_done_action:
                return


def _is_for(pattern: RewritePattern, kind: type[Operation]) -> bool:
    """Whether a pattern looks at ops of a type at all."""
    # What `op_type_rewrite_pattern` compares with is nowhere but in its closure
    function: Any = type(pattern).match_and_rewrite
    if getattr(function, "__module__", None) != op_type_rewrite_pattern.__module__:
        return True
    names = function.__code__.co_freevars
    if "expected_type" not in names:
        return True
    expected = function.__closure__[names.index("expected_type")].cell_contents
    return issubclass(kind, expected)


def rewrite_once(
    ops: ModuleOp | Region, *patterns: RewritePattern, backwards: bool = False
) -> None:
    """Offer each op to patterns, in order; the first that applies does.

    What patterns insert is not offered again, and ops without uses stay.
    """
    first = FirstPattern(*patterns, dce=False)
    walker = PatternRewriteWalker(
        first, apply_recursively=False, walk_reverse=backwards
    )
    walker.rewrite_region(ops if isinstance(ops, Region) else ops.body)


def op_name(op: Operation) -> str:
    """Return the name of an op, whether or not a dialect knows it."""
    return op.op_name.data if isinstance(op, UnregisteredOp) else op.name
