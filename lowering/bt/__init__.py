"""Passes on `bt`: from operators to lanes, and what makes lanes fewer and cheaper."""
