"""Relations between the meanings of an operator before and after a pass.

The meaning of a module at any level is what it computes for a configuration x: lanes,
each with a connected configuration x' and a matrix element. A pass declares in its
class attribute `relation` how the lanes after it are related to those before it.
"""

from __future__ import annotations

from xdsl.passes import ModulePass
from xdsl.utils.str_enum import StrEnum


class Relation(StrEnum):
    """Relation of the lanes after a pass to those before it; the strongest first.

    Each implies those after it.
    """

    EQUAL = "equal"
    """The same lanes in the same order, padding included."""

    MULTISET = "multiset"
    """The same lanes but for their order and for padding, which has x' = x and 0."""

    SUM_PER_TARGET = "sum_per_target"
    """The same sum of matrix elements for each x'."""

    EXPECTATION = "expectation"
    """The same sum of matrix elements times psi(x'), for every psi."""


def relation_of(one: ModulePass) -> Relation:
    """Return what a pass declares; one that declares nothing is held to equality.

    Raises:
        ValueError: for a declaration that is no relation.
    """
    return Relation(getattr(one, "relation", Relation.EQUAL))
