"""Where the sites of an operator are drawn: a lattice found from its rows.

Rows say which sites act together, and that is all that is known of a lattice. Rings,
chains, square lattices and layers of these are recognised by the numbers of the sites;
any other graph of few bonds is drawn by forces between its sites (after Fruchterman and
Reingold, "Graph drawing by force-directed placement", Softw. Pract. Exp. 21, 1129
(1991)), and what is left stands on a circle. Neighbours are about 1 apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dialects import sym
from dialects.tables import NO_SITE

Array = npt.NDArray[Any]

Numbering: TypeAlias = Callable[[Array], tuple[Array, Array]]
"""From the numbers of sites to those of their copies, and to the numbers in these."""

_LARGEST_DRAWN_BY_FORCES = 256
_MEAN_DEGREE = 8
_STRAIGHT = 16
"""Open chains of more sites are bent to an arc."""
_STEPS = 240
_NEAREST = 0.75
"""No two sites of a graph are closer."""


@dataclass(frozen=True)
class Layout:
    """Places of sites.

    Attributes:
        kind: what was recognised: "ring", "chain", "square", "layers", "graph",
            "circle".
        positions: (N, 2), x to the right and y down.
        periodic: whether bonds may lead around the lattice, and are cut for drawing.
    copies: how many copies of one lattice there are, side by side: bonds between them
        are not drawn.
    """

    kind: str
    positions: Array
    periodic: bool = False
    copies: int = 1


def bonds_of(operator: sym.OperatorOp) -> Array:
    """Return the distinct pairs of sites (M, 2) that rows bring together, i < j.

    Of a row of many sites, and of a set of sites, only those that follow one another.
    """
    found = [np.zeros((0, 2), np.int64)]
    for term in operator.terms:
        for pairs in _pairs_of(term.rows.data.array):
            found.append(pairs)
        for sites in term.site_sets:
            found.extend(_pairs_of(sites.data.array))
    pairs = np.sort(np.concatenate(found), axis=1)
    pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & (pairs[:, 0] > NO_SITE)]
    return np.unique(pairs, axis=0)


_SMALL_ROW = 3


def _pairs_of(table: Array) -> Iterator[Array]:
    """Yield pairs of columns of a table of sites."""
    width = table.shape[1]
    columns = combinations(range(width), 2)
    if width > _SMALL_ROW:
        columns = ((k, (k + 1) % width) for k in range(width))
    for a, b in columns:
        yield table[:, [a, b]].astype(np.int64)


def layout_of(sites: int, bonds: Array) -> Layout:
    """Return where to draw so many sites with these bonds."""
    for layout in (_in_a_row, _square, _layers, _graph) if len(bonds) else ():
        found = layout(sites, bonds)
        if found is not None:
            return found
    return Layout("circle", _circle(np.arange(sites), sites))


# region Regular lattices

_REACH = 3
"""Bonds of a ring or chain lead so many sites on, at most."""

_PRESENT = 0.7
"""Least fraction of a lattice's bonds to nearest neighbours that is there."""


def _in_a_row(sites: int, bonds: Array) -> Layout | None:
    """Return a ring or chain of sites in the order of their numbers."""
    steps = bonds[:, 1] - bonds[:, 0]
    around = np.minimum(steps, sites - steps)
    links = np.unique(bonds[around == 1], axis=0)
    if len(links) < sites - 1 or around.max() > _REACH or 2 * around.max() >= sites + 1:
        return None
    if steps.max() <= _REACH < sites - 1 or (steps.max() == 1 and sites > 1):
        return Layout("chain", _line(sites))
    return Layout("ring", _circle(np.arange(sites), sites))


def _square(sites: int, bonds: Array) -> Layout | None:
    """Return the square lattice, numbered row by row, of which bonds are shortest."""
    best: tuple[tuple[float, int], Layout] | None = None
    for height in range(2, sites // 2 + 1):
        width, rest = divmod(sites, height)
        if rest:
            continue
        steps = _steps(bonds, width, height)
        lengths = steps.sum(axis=1)
        nearest = np.count_nonzero(lengths == 1)
        whole = height * (width - 1) + width * (height - 1)
        if lengths.max() > 2 or nearest < _PRESENT * whole:
            continue
        straight = np.abs(np.diff(np.stack(np.divmod(bonds, width)), axis=2))
        row, column = np.divmod(np.arange(sites), width)
        layout = Layout(
            "square",
            np.stack([column, row], axis=1).astype(float),
            straight.max() > 2,
        )
        score = (float(lengths.mean()), abs(width - height))
        if best is None or score < best[0]:
            best = score, layout
    return None if best is None else best[1]


def _steps(bonds: Array, width: int, height: int) -> Array:
    """Return (M, 2): how far bonds lead along both axes of a torus."""
    row, column = np.divmod(bonds, width)
    along = np.abs(np.diff(column, axis=1))
    down = np.abs(np.diff(row, axis=1))
    return np.concatenate(
        [np.minimum(along, width - along), np.minimum(down, height - down)], axis=1
    )


def _layers(sites: int, bonds: Array) -> Layout | None:
    """Return copies of one lattice, such as the orbitals of two spins."""
    for count in (2, 3, 4):
        size, rest = divmod(sites, count)
        if rest or size < 2:
            continue
        numberings: tuple[Numbering, ...] = (
            lambda site, size=size: (site // size, site % size),
            lambda site, count=count: (site % count, site // count),
        )
        for numbering in numberings:
            found = _layers_of(sites, bonds, size, numbering)
            if found is not None:
                return found
    return None


def _layers_of(
    sites: int, bonds: Array, size: int, numbering: Numbering
) -> Layout | None:
    layer, site = numbering(bonds)
    across = layer[:, 0] != layer[:, 1]
    if (site[across, 0] != site[across, 1]).any() or across.all():
        return None
    within = np.unique(np.sort(site[~across], axis=1), axis=0)
    base = _in_a_row(size, within) or _square(size, within)
    if base is None:
        return None
    own_layer, own_site = numbering(np.arange(sites))
    places = base.positions[own_site]
    number = own_layer[:, None]
    if base.kind == "square":
        width = np.ptp(base.positions[:, 0]) + 2
        apart = places + number * np.array([width, 0.0])
        return Layout("square", apart, base.periodic, int(own_layer.max()) + 1)
    if base.kind == "chain" and size <= _STRAIGHT:
        return Layout("layers", places + number * np.array([0.0, 1.2]))
    radius = np.linalg.norm(base.positions, axis=1).mean()
    return Layout(base.kind, places * (1 + number / radius), base.periodic)


# endregion
# region Any graph


def _line(sites: int) -> Array:
    numbers = np.arange(sites)
    if sites <= _STRAIGHT:
        return np.stack([numbers, np.zeros(sites)], axis=1).astype(float)
    return _circle(numbers, sites + max(2, sites // 12))


def _circle(numbers: Array, count: int) -> Array:
    """Return places on a circle, 1 apart, the first one at its top."""
    angle = 2 * np.pi * numbers / max(1, count)
    radius = max(0.5, count / (2 * np.pi))
    return radius * np.stack([np.sin(angle), -np.cos(angle)], axis=1)


def _graph(sites: int, bonds: Array) -> Layout | None:
    most = min(_MEAN_DEGREE, (sites - 1) / 2)
    if sites > _LARGEST_DRAWN_BY_FORCES or 2 * len(bonds) > most * sites:
        return None
    places = _circle(np.arange(sites), sites)
    linked = np.zeros((sites, sites))
    linked[bonds[:, 0], bonds[:, 1]] = linked[bonds[:, 1], bonds[:, 0]] = 1.0
    for step in range(_STEPS):
        apart = places[:, None] - places[None]
        distance = np.maximum(np.linalg.norm(apart, axis=2), 0.01)
        # Both forces are 1 where neighbours are 1 apart
        pull = (1 / distance**2 - linked * distance)[:, :, None] * apart
        force = pull.sum(axis=1)
        length = np.maximum(np.linalg.norm(force, axis=1, keepdims=True), 1e-9)
        limit = 0.5 * (1 - step / _STEPS) + 0.01
        places = places + force / length * np.minimum(length, limit)
    first, second = places[bonds[:, 0]], places[bonds[:, 1]]
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest = float((apart + 1e9 * np.eye(sites)).min())
    usual = float(np.median(np.linalg.norm(first - second, axis=1)))
    scale = min(usual, nearest / _NEAREST)
    return Layout("graph", places / max(scale, 1e-9))


# endregion
