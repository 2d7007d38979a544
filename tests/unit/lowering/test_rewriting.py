"""Patterns are offered the ops that they are for, in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl_jax.dialects import stablehlo as hlo

from dialects.text import parse_module, print_module
from lowering.rewriting import FirstPattern

TEXT = """
func.func @main(%a : tensor<f64>) -> tensor<f64> {
  %dead = stablehlo.negate %a : tensor<f64>
  %b = stablehlo.add %a, %a : tensor<f64>
  %c = stablehlo.multiply %b, %a : tensor<f64>
  %d = stablehlo.subtract %c, %b : tensor<f64>
  func.return %d : tensor<f64>
}
"""


class Recorded(RewritePattern):
    """A pattern that says what it was offered."""

    def __init__(self, seen: list[str]):
        self.seen = seen

    def note(self, op: Operation) -> None:
        self.seen.append(f"{type(self).__name__} {op.name}")


class OfSums(Recorded):
    """Sums are products."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: hlo.AddOp, rewriter: PatternRewriter) -> None:
        self.note(op)
        rewriter.replace(op, hlo.MultiplyOp(op.lhs, op.rhs))


class OfTwo(Recorded):
    """A pattern for ops of two types, which does nothing."""

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: hlo.MultiplyOp | hlo.SubtractOp, rewriter: PatternRewriter
    ) -> None:
        self.note(op)


class OfAll(Recorded):
    """A pattern that decides for itself."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if op.name.startswith("stablehlo."):
            self.note(op)


class OfTwoAgain(OfTwo):
    """A pattern whose method is that of another one."""


Applier = Callable[[list[RewritePattern], bool], RewritePattern]


def rewritten(applier: Applier, dce: bool) -> tuple[str, list[str]]:
    seen: list[str] = []
    module: ModuleOp = parse_module(TEXT)
    patterns: list[RewritePattern] = [
        kind(seen) for kind in (OfTwo, OfSums, OfTwoAgain, OfAll)
    ]
    PatternRewriteWalker(applier(patterns, dce)).rewrite_module(module)
    return print_module(module), seen


@pytest.mark.parametrize("dce", [True, False])
def test_patterns_are_offered_what_those_of_xdsl_are(dce: bool) -> None:
    found = rewritten(lambda some, dce: FirstPattern(*some, dce=dce), dce)
    expected = rewritten(
        lambda some, dce: GreedyRewritePatternApplier(some, dce_enabled=dce), dce
    )
    assert found == expected
    text, seen = found
    assert ("stablehlo.negate" in text) is not dce
    assert "stablehlo.add" not in text
    assert {"OfSums stablehlo.add", "OfTwo stablehlo.subtract"} < {*seen}
    assert {"OfTwoAgain stablehlo.multiply", "OfAll stablehlo.multiply"} < {*seen}
