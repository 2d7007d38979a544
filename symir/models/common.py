"""What the models share: their lattice, their bonds and their couplings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from symir.language.expressions import Expr, as_expr, row
from symir.language.rows import as_rows, edges_of
from symir.language.scalars import items_of

__all__ = [
    "Coupling",
    "Edges",
    "Number",
    "as_bonds",
    "both_ways",
    "coupling",
    "lattice",
    "neighbours",
    "pairs_of",
]

Edges: TypeAlias = Any
"""Pairs of sites, or a graph of NetKet or networkx whose nodes are the sites."""

Number: TypeAlias = Expr | float
"""A real number, or a symbol that is bound when the operator runs."""

Coupling: TypeAlias = Number | Sequence[float] | npt.NDArray[Any]
"""A number or a symbol, the same everywhere; or one number per row."""

Pairs: TypeAlias = list[tuple[int, int]]


def as_bonds(edges: Edges) -> Any:
    """Return the pairs of a list, an array, a generator or a graph."""
    if callable(getattr(edges, "edges", None)):
        return edges_of(edges)
    items = items_of(edges)
    return edges if items is None else list(items)


def both_ways(edges: Edges, n: int) -> Pairs:
    """Return each pair of `n` sites, followed by its reverse.

    Raises:
        DefinitionError: for what are no pairs of sites (D003 to D006).
    """
    table = as_rows(as_bonds(edges), ("i", "j"), n).array.tolist()
    return [pair for i, j in table for pair in ((i, j), (j, i))]


def neighbours(edges: Edges, n: int) -> list[list[int]]:
    """Return the sites that each of `n` sites shares a bond with, ascending."""
    found: list[set[int]] = [set() for _ in range(n)]
    for i, j in both_ways(edges, n):
        found[i].add(j)
    return [sorted(sites) for sites in found]


def coupling(name: str, value: Coupling) -> tuple[Expr, dict[str, object]]:
    """Return a coupling as an expression, and the row data that it reads, if any."""
    if isinstance(value, Expr) or np.ndim(value) == 0:  # pyright: ignore[reportArgumentType]
        return as_expr(value), {}
    return row(name), {name: value}


def lattice(hilbert: object, make: Callable[[int], object]) -> object:
    """Return a Hilbert space as it is, and one of `make(n)` for a number of sites."""
    return make(hilbert) if isinstance(hilbert, int) else hilbert


def pairs_of(items: Iterable[int]) -> Pairs:
    """Return the pairs a < b of some numbers."""
    numbers = sorted(items)
    return [(a, b) for k, a in enumerate(numbers) for b in numbers[k + 1 :]]
