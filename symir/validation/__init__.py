"""Validation of compilations, value by value and pass by pass."""

from symir.validation.bisection import Bisection, bisect
from symir.validation.check import check
from symir.validation.comparison import Comparison, LaneDifference, compare
from symir.validation.numbers import amplitude_bounds, exact_connections
from symir.validation.reduction import Reduction, blamed_pass, error_code, reduced
from symir.validation.reports import StageReport, ValidationReport
from symir.validation.table import Value, ValueDifference, ValueTable
from symir.validation.values import denote

__all__ = [
    "Bisection",
    "Comparison",
    "LaneDifference",
    "Reduction",
    "StageReport",
    "ValidationReport",
    "Value",
    "ValueDifference",
    "ValueTable",
    "amplitude_bounds",
    "bisect",
    "blamed_pass",
    "check",
    "compare",
    "denote",
    "error_code",
    "exact_connections",
    "reduced",
]
