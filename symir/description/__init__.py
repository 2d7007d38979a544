"""Operators as people and other programs read them: formulas, and plain data."""

from symir.description.plain import as_plain
from symir.description.text import describe

__all__ = ["as_plain", "describe"]
