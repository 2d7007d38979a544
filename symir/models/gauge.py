"""Gauge theories on the links of a square lattice with periodic ends.

Link (x, y, 0) of a lattice of shape (Lx, Ly) joins the vertices (x, y) and (x + 1, y),
and link (x, y, 1) joins (x, y) and (x, y + 1). A link is site `2 (x Ly + y) + d` of the
space and holds a spin: 1/2, that is -1 or +1, unless said otherwise. Another space
raises S020.
"""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
import numpy.typing as npt

from symir.language.builder import DOperator
from symir.language.expressions import Expr, emitted, site, sqrt
from symir.language.updates import Update, flip, shift
from symir.models.common import SPINS, Kind, Number, fitting
from symir.operator.spaces import Space, as_space, spin
from symir.operator.symbolic_operator import SymbolicOperator


def _are_spins(space: Space) -> bool:
    """Whether all sites hold -2s, -2s + 2, .., 2s."""
    values = [*space.local_states[0]]
    top = len(values) - 1
    return space.is_uniform and top > 0 and values == [*range(-top, top + 1, 2)]


ALIKE_SPINS = Kind("spins of one size s: spin(s, n)", _are_spins, partial(spin, 0.5))

LABELS = ("a", "b", "c", "d")

Links = list[tuple[int, int, int, int]]


def stars(shape: tuple[int, int]) -> Links:
    """Return the four links that meet at each vertex."""
    return [
        (
            _link(shape, x, y, 0),
            _link(shape, x, y, 1),
            _link(shape, x - 1, y, 0),
            _link(shape, x, y - 1, 1),
        )
        for x in range(shape[0])
        for y in range(shape[1])
    ]


def plaquettes(shape: tuple[int, int]) -> Links:
    """Return the four links around each plaquette, in order."""
    return [
        (
            _link(shape, x, y, 0),
            _link(shape, x + 1, y, 1),
            _link(shape, x, y + 1, 0),
            _link(shape, x, y, 1),
        )
        for x in range(shape[0])
        for y in range(shape[1])
    ]


def divergence(shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Return what flows out of each vertex, as a (vertices, links) matrix of -1, 0, 1.

    Gauss's law of a U(1) theory: `E @ divergence(shape).T` are the charges of the
    vertices for electric fields E of shape (.., links).
    """
    matrix = np.zeros((shape[0] * shape[1], 2 * shape[0] * shape[1]), np.int64)
    for vertex, (right, up, left, down) in enumerate(stars(shape)):
        matrix[vertex, [right, up]] = 1
        matrix[vertex, [left, down]] = -1
    return matrix


def _link(shape: tuple[int, int], x: int, y: int, direction: int) -> int:
    return 2 * (x % shape[0] * shape[1] + y % shape[1]) + direction


def _product() -> Expr:
    a, b, c, d = (site(label).value for label in LABELS)
    return a * b * c * d


def _flip_all() -> Update:
    return flip("a").flip("b").flip("c").flip("d")


def toric_code(
    hilbert: object,
    shape: tuple[int, int],
    J_star: Number = 1.0,
    J_plaquette: Number = 1.0,
) -> SymbolicOperator:
    """Return the toric code.

        H = -J_star sum_v prod_(l at v) X_l - J_plaquette sum_p prod_(l around p) Z_l

    A. Kitaev, Ann. Phys. 303, 2 (2003).

    Args:
        hilbert: the number of links, 2 Lx Ly, or their space.
        shape: the lengths (Lx, Ly) of the lattice, each at least 2.
        J_star: the coupling of the stars.
        J_plaquette: the coupling of the plaquettes.
    """
    space, _ = fitting("toric_code", hilbert, SPINS, sites=2 * shape[0] * shape[1])
    return (
        DOperator(space, "toric_code", hermitian=True)
        .for_each(LABELS, over=stars(shape))
        .named("stars")
        .emit(_flip_all(), amplitude=-J_star, tag="xxxx")
        .for_each(LABELS, over=plaquettes(shape))
        .named("plaquettes")
        .emit(amplitude=-J_plaquette * _product(), tag="zzzz")
        .build()
    )


def z2_gauge(
    hilbert: object, shape: tuple[int, int], J: Number = 1.0, g: Number = 1.0
) -> SymbolicOperator:
    """Return the Z2 lattice gauge theory without matter.

        H = -J sum_p prod_(l around p) Z_l - g sum_l X_l

    It commutes with Gauss's law at each vertex, the product of X over its star. F. J.
    Wegner, J. Math. Phys. 12, 2259 (1971); J. B. Kogut, Rev. Mod. Phys. 51, 659 (1979).

    Args:
        hilbert: the number of links, 2 Lx Ly, or their space.
        shape: the lengths (Lx, Ly) of the lattice, each at least 2.
        J: the coupling of the plaquettes.
        g: the strength of the electric field.
    """
    space, _ = fitting("z2_gauge", hilbert, SPINS, sites=2 * shape[0] * shape[1])
    return (
        DOperator(space, "z2_gauge", hermitian=True)
        .for_each(LABELS, over=plaquettes(shape))
        .named("plaquettes")
        .emit(amplitude=-J * _product(), tag="zzzz")
        .for_each_site("l")
        .named("links")
        .emit(flip("l"), amplitude=-g, tag="x")
        .build()
    )


def u1_gauge(
    hilbert: object, shape: tuple[int, int], g: Number = 1.0
) -> SymbolicOperator:
    """Return the quantum link model of the U(1) gauge theory without matter.

        H = g^2 / 2 sum_l E_l^2 - 1 / (2 g^2) sum_p (U_a U_b U_c^+ U_d^+ + h.c.)

    A link holds a spin s, E = S^z is its electric field and U = S^+ raises it; a, b, c
    and d are the links around a plaquette, the last two against their direction. An
    element of U between the fields E and E' is sqrt(s (s + 1) - E E'). H commutes with
    Gauss's law at each vertex, see `divergence`. D. Horn, Phys. Lett. B 100, 149
    (1981); S. Chandrasekharan and U.-J. Wiese, Nucl. Phys. B 492, 455 (1997).

    Args:
        hilbert: the space of the links, spins that hold 2 E: `spin(s, 2 * Lx * Ly)`; or
            the number of links, of spins 1/2.
        shape: the lengths (Lx, Ly) of the lattice, each at least 2.
        g: the gauge coupling.
    """
    space, _ = fitting("u1_gauge", hilbert, ALIKE_SPINS, sites=2 * shape[0] * shape[1])
    s = as_space(space).local_states_at(0)[-1] / 2
    squares = [
        s * (s + 1) - site(link).value * emitted(link).value / 4 for link in LABELS
    ]
    element = -1 / (2 * g**2) * sqrt(prod(squares))
    raising = shift("a", -2).shift("b", -2).shift("c", +2).shift("d", +2)
    lowering = shift("a", +2).shift("b", +2).shift("c", -2).shift("d", -2)
    return (
        DOperator(space, "u1_gauge", hermitian=True)
        .for_each_site("l")
        .named("links")
        .emit(amplitude=g**2 / 2 * (site("l").value / 2) ** 2, tag="ee")
        .for_each(LABELS, over=plaquettes(shape))
        .named("plaquettes")
        .emit(raising, amplitude=element, tag="uuu+u+")
        .emit(lowering, amplitude=element, tag="u+u+uu")
        .build()
    )
