"""Spaces, bonds and couplings, as all models take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from symir.errors import DefinitionError
from symir.language.codes import Mistake
from symir.language.expressions import Expr, as_expr, row
from symir.language.rows import as_rows, colored_edges, edges_of
from symir.language.scalars import is_count, items_of, shortened
from symir.operator.spaces import Space, as_space, qubit, spin

Edges: TypeAlias = Any
"""Pairs of sites; or a graph of NetKet or networkx, with edges of one colour."""

Number: TypeAlias = Expr | float
"""A real number, or a symbol that is bound when the operator runs."""

Coupling: TypeAlias = Number | Sequence[float] | npt.NDArray[Any]
"""A number or a symbol, the same everywhere; or one number per row."""

Pairs: TypeAlias = list[tuple[int, int]]

# region Spaces


@dataclass(frozen=True)
class Kind:
    """A kind of spaces, which a model is defined on.

    Attributes:
        needed: the spaces in words, and how to make one.
        fits: whether a space is one of them.
        make: the one of so many sites, where their number says enough.
    """

    needed: str
    fits: Callable[[Space], bool]
    make: Callable[[int], Space] | None = None


SPINS = Kind(
    "spins 1/2 of -1 or +1: spin(0.5, n)",
    lambda space: space.local_states == ((-1, 1),),
    partial(spin, 0.5),
)

TWO_LEVELS = Kind(
    "sites of 0 or 1: qubit(n)", lambda space: space.local_states == ((0, 1),), qubit
)


def are_occupations(sites: Sequence[Sequence[float]]) -> bool:
    """Whether the local values of sites are 0, 1, .., up to at least 1."""
    return all(
        len(values) > 1 and [*values] == [*range(len(values))] for values in sites
    )


def fitting(
    model: str, hilbert: object, kind: Kind, sites: int | None = None
) -> tuple[Any, int]:
    """Return the Hilbert space of a model, and its number of sites.

    The space, of symir or of NetKet and constrained or not, is returned as it is;
    `kind` may make one of a number. `sites` is the number of sites that the other
    arguments of the model call for, if they do.

    Raises:
        DefinitionError: for a space that does not fit (S020), and as `as_space`.
    """
    given = hilbert
    if is_count(hilbert):
        given = None if kind.make is None else kind.make(int(cast(int, hilbert)))
    space = None if given is None else as_space(given)
    if space is not None and kind.fits(space) and sites in (None, space.size):
        return given, space.size
    raise DefinitionError(
        "S020",
        "the space does not fit the model",
        operator=model,
        expected=kind.needed + ("" if sites is None else f", with n = {sites}"),
        found=shortened(hilbert if given is None else given),
    )


# endregion
# region Bonds


def as_bonds(edges: Edges, n: int) -> Any:
    """Return the pairs of a list, an array, a generator or a graph, on `n` sites.

    Raises:
        DefinitionError: for a graph of NetKet with other nodes than there are sites, or
            a graph with edges of several colours: to the model they would all be the
            same (D037).
    """
    if not callable(getattr(edges, "edges", None)):
        items = items_of(edges)
        return edges if items is None else list(items)
    _check_nodes(edges, n)
    colors = list(_by_color(edges))
    if len(colors) > 1:
        raise Mistake.BAD_GRAPH.error(
            "this model has one kind of bonds",
            expected="a graph with edges of one colour, or pairs of sites",
            found=f"edges of the colours {shortened(colors)}",
            hint="edges=list(graph.edges()) takes all of them for the same; a "
            "coupling may be one number per edge",
        )
    return edges_of(edges)


def _check_nodes(graph: Any, n: int) -> None:
    # networkx may leave out sites without an edge
    nodes = getattr(graph, "n_nodes", n)
    if nodes != n:
        raise Mistake.BAD_GRAPH.error(
            "the nodes of the graph are not the sites of the lattice",
            expected=f"a graph of {n} nodes",
            found=f"{nodes} nodes",
        )


def bonds_by_color(edges: object, names: Sequence[str], n: int) -> list[Pairs]:
    """Return the bonds of each kind, of a model that has several of them.

    Args:
        edges: pairs of sites, or a graph, for each kind; or one graph that colours its
            edges by the names, or by integers that ascend from 0 or 1.
        names: the kinds of bonds.
        n: the number of sites.

    Raises:
        DefinitionError: for other colours, another number of kinds, and as `as_bonds`
            (D037); for what are no pairs of sites (D003 to D006).
    """
    if callable(getattr(edges, "edges", None)):
        _check_nodes(edges, n)
        by_color, count = _by_color(edges), len(names)
        for colors in (range(count), range(1, count + 1), names):
            if {*by_color} == {*colors}:
                return [by_color[color] for color in colors]
        found = f"edges of the colours {shortened([*by_color])}"
    else:
        items = items_of(edges)
        parts = [] if items is None else list(items)
        if len(parts) == len(names):
            return [_pairs(part, n) for part in parts]
        found = shortened(edges)
    kinds = ", ".join(names)
    raise Mistake.BAD_GRAPH.error(
        "this model has several kinds of bonds",
        expected=f"edges=({kinds}), each a list of pairs or a graph; or a graph with "
        f"edges of {len(names)} colours, 0 to {len(names) - 1}",
        found=found,
    )


def _by_color(graph: object) -> Mapping[Any, Pairs]:
    found: dict[Any, Pairs] = {}
    for a, b, color in colored_edges(graph):
        found.setdefault(color, []).append((a, b))
    return found


def _pairs(edges: Edges, n: int) -> Pairs:
    table = as_rows(as_bonds(edges, n), ("i", "j"), n).array.tolist()
    return [(i, j) for i, j in table]


def both_ways(edges: Edges, n: int) -> Pairs:
    """Return each pair of `n` sites, followed by its reverse.

    Raises:
        DefinitionError: for what are no pairs of sites (D003 to D006).
    """
    return [pair for i, j in _pairs(edges, n) for pair in ((i, j), (j, i))]


def neighbours(edges: Edges, n: int) -> list[list[int]]:
    """Return the sites that each of `n` sites shares a bond with, ascending."""
    found: list[set[int]] = [set() for _ in range(n)]
    for i, j in both_ways(edges, n):
        found[i].add(j)
    return [sorted(sites) for sites in found]


def pairs_of(items: Iterable[int]) -> Pairs:
    """Return the pairs a < b of some numbers."""
    numbers = sorted(items)
    return [(a, b) for k, a in enumerate(numbers) for b in numbers[k + 1 :]]


# endregion
# region Couplings


def coupling(name: str, value: Coupling) -> tuple[Expr, dict[str, object]]:
    """Return a coupling as an expression, and the row data that it reads, if any."""
    if isinstance(value, Expr) or np.ndim(value) == 0:  # pyright: ignore[reportArgumentType]
        return as_expr(value), {}
    return row(name), {name: value}


def quotients(
    name: str, value: Number, divisors: npt.NDArray[np.floating]
) -> tuple[Expr, dict[str, object]]:
    """Return a coupling that decays, as `coupling` does: divided for each row.

    Numbers are divided here; symbols are multiplied when the operator runs.
    """
    if isinstance(value, Expr):
        return value * row(name), {name: 1 / divisors}
    return row(name), {name: value / divisors}


# endregion
