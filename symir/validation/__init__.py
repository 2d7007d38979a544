"""Whether what is computed is what was meant, value by value and pass by pass."""

from symir.validation.check import StageReport, ValidationReport, check
from symir.validation.comparison import Comparison, LaneDifference, compare
from symir.validation.numbers import amplitude_bounds, exact_connections
from symir.validation.table import Difference, Value, ValueTable
from symir.validation.values import denote

__all__ = [
    "Comparison",
    "Difference",
    "LaneDifference",
    "StageReport",
    "ValidationReport",
    "Value",
    "ValueTable",
    "amplitude_bounds",
    "check",
    "compare",
    "denote",
    "exact_connections",
]
