"""Differences between two operators, texts or handles."""

from __future__ import annotations

from typing import Unpack

from symir.errors import StageError
from symir.inspection.difference import Difference
from symir.inspection.handle import LoweredOperator, difference
from symir.inspection.lowered import LowerOptions, lower, parse
from symir.operator import SymbolicOperator

Comparable = SymbolicOperator | LoweredOperator | str


def diff(
    first: Comparable,
    second: Comparable,
    level: str | int | None = None,
    **options: Unpack[LowerOptions],
) -> Difference:
    """Return what is different between two operators, texts of IR, or handles.

    Terms with other lanes come first: "J2 term added: +128 lanes". Then come ops that
    were added, removed or rewritten, each with the term and the line of yours that it
    is from. Names of values and the order of ops do not count.

    Args:
        first: an operator, the text of a level, or what `lower` or `parse` returned.
        second: likewise.
        level: where to look, as `LoweredOperator.at` has it; by default the level that
            the first one begins at. Operators and texts are lowered that far.
        options: those of `lower`, for operators and texts.

    Raises:
        StageError: for something else, and where one of them has no such stage (C060).
        DefinitionError: for a text that is no IR (D028, D029).
    """
    one = _begun(first)
    level = one.entered if level is None else level
    handles = [_reached(handle, level, options) for handle in (one, _begun(second))]
    before, after = ((handle, handle.at(level)) for handle in handles)
    return difference(before, after)


def _begun(what: Comparable) -> LoweredOperator:
    """Return a handle, of operators and texts with one stage."""
    match what:
        case LoweredOperator():
            return what
        case SymbolicOperator():
            return lower(what, to="sym")
        case str():
            return parse(what)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            raise StageError(
                "an operator, the text of a level, or a handle",
                f"{type(what).__name__}: {what!r}"[:200],
                "symir.diff(symir.lower(a), symir.lower(b))",
            )


def _reached(
    handle: LoweredOperator, level: str | int, options: LowerOptions
) -> LoweredOperator:
    """Return a handle that has a stage; one of a single stage is lowered to have it."""
    is_there = level in handle.levels or level == 0
    return handle if is_there or len(handle.stages) > 1 else lower(handle, **options)
