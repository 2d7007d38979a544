"""Looking at what becomes of an operator: every stage, what it holds, what changed."""

from symir.compiler.trace import Stage
from symir.inspection.difference import Change, Difference, LaneChange
from symir.inspection.handle import LoweredOperator
from symir.inspection.lowered import diff, lower, parse
from symir.inspection.specs import Spec, Specs

__all__ = [
    "Change",
    "Difference",
    "LaneChange",
    "LoweredOperator",
    "Spec",
    "Specs",
    "Stage",
    "diff",
    "lower",
    "parse",
]
