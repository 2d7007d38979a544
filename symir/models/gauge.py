"""Gauge theories on the links of a square lattice with periodic ends.

Link (x, y, 0) of a lattice of shape (Lx, Ly) joins the vertices (x, y) and (x + 1, y),
and link (x, y, 1) joins (x, y) and (x, y + 1). A link is site `2 (x Ly + y) + d` of the
space and holds a spin 1/2, -1 or +1.
"""

from __future__ import annotations

from symir.language.builder import DOperator
from symir.language.expressions import Expr, site
from symir.language.updates import Update, flip
from symir.models.common import Number
from symir.operator import SymbolicOperator
from symir.spaces import spin

__all__ = ["plaquettes", "stars", "toric_code", "z2_gauge"]

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


def _link(shape: tuple[int, int], x: int, y: int, direction: int) -> int:
    return 2 * (x % shape[0] * shape[1] + y % shape[1]) + direction


def _product() -> Expr:
    a, b, c, d = (site(label).value for label in LABELS)
    return a * b * c * d


def _flip_all() -> Update:
    return flip("a").flip("b").flip("c").flip("d")


def toric_code(
    shape: tuple[int, int], J_star: Number = 1.0, J_plaquette: Number = 1.0
) -> SymbolicOperator:
    """Return the toric code.

        H = -J_star sum_v prod_(l at v) X_l - J_plaquette sum_p prod_(l around p) Z_l

    A. Kitaev, Ann. Phys. 303, 2 (2003).

    Args:
        shape: the lengths (Lx, Ly) of the lattice, each at least 2.
        J_star: the coupling of the stars.
        J_plaquette: the coupling of the plaquettes.
    """
    return (
        DOperator(spin(0.5, 2 * shape[0] * shape[1]), "toric_code", hermitian=True)
        .for_each(LABELS, over=stars(shape))
        .named("stars")
        .emit(_flip_all(), amplitude=-J_star, tag="xxxx")
        .for_each(LABELS, over=plaquettes(shape))
        .named("plaquettes")
        .emit(amplitude=-J_plaquette * _product(), tag="zzzz")
        .build()
    )


def z2_gauge(
    shape: tuple[int, int], J: Number = 1.0, g: Number = 1.0
) -> SymbolicOperator:
    """Return the Z2 lattice gauge theory without matter.

        H = -J sum_p prod_(l around p) Z_l - g sum_l X_l

    It commutes with Gauss's law at each vertex, the product of X over its star. F. J.
    Wegner, J. Math. Phys. 12, 2259 (1971); J. B. Kogut, Rev. Mod. Phys. 51, 659 (1979).

    Args:
        shape: the lengths (Lx, Ly) of the lattice, each at least 2.
        J: the coupling of the plaquettes.
        g: the strength of the electric field.
    """
    return (
        DOperator(spin(0.5, 2 * shape[0] * shape[1]), "z2_gauge", hermitian=True)
        .for_each(LABELS, over=plaquettes(shape))
        .named("plaquettes")
        .emit(amplitude=-J * _product(), tag="zzzz")
        .for_each_site("l")
        .named("links")
        .emit(flip("l"), amplitude=-g, tag="x")
        .build()
    )
