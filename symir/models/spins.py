"""Models of spins, of q-valued spins, and of atoms with two levels.

Spins 1/2 hold -1 and +1, X, Y and Z are Pauli's matrices. A pair of sites in `edges` is
a bond, given once. A coupling is a number or a symbol, or one number per bond (or site)
where that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np
import numpy.typing as npt

from symir.language.builder import DOperator
from symir.language.expressions import here, row, site
from symir.language.functions import cos, where
from symir.language.reductions import all_, set_
from symir.language.updates import flip, shift_mod, swap
from symir.models.common import (
    Coupling,
    Edges,
    Number,
    as_bonds,
    coupling,
    lattice,
    neighbours,
    pairs_of,
)
from symir.operator import SymbolicOperator
from symir.spaces import as_space, fock, qubit, spin

__all__ = [
    "clock",
    "heisenberg",
    "j1_j2",
    "kitaev_honeycomb",
    "long_range_ising",
    "potts",
    "pxp",
    "rydberg",
    "transverse_field_ising",
    "xxz",
]

i, j = site("i"), site("j")


def transverse_field_ising(
    hilbert: object, edges: Edges, J: Coupling = 1.0, h: Coupling = 1.0
) -> SymbolicOperator:
    """Return the Ising model in a transverse field.

        H = sum_<ij> J_ij Z_i Z_j - sum_i h_i X_i

    With random J it is a quantum spin glass. P. Pfeuty, Ann. Phys. 57, 79 (1970); the
    operator of `netket.operator.Ising`.

    Args:
        hilbert: the number of spins 1/2, or their space.
        edges: the bonds.
        J: the coupling, or one per bond.
        h: the field, or one per site.
    """
    space = lattice(hilbert, lambda n: spin(0.5, n))
    J_ij, bond_data = coupling("J", J)
    h_i, site_data = coupling("h", h)
    return (
        DOperator(space, "transverse_field_ising", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges), data=bond_data)
        .named("bonds")
        .emit(amplitude=J_ij * i.value * j.value, tag="zz")
        .for_each("i", over=range(as_space(space).size), data=site_data)
        .named("field")
        .emit(flip("i"), amplitude=-h_i, tag="x")
        .build()
    )


def long_range_ising(
    n: int, alpha: float, J: float = 1.0, h: Coupling = 1.0
) -> SymbolicOperator:
    """Return the Ising chain whose coupling decays with a power of the distance.

        H = sum_(i<j) J / |i - j|^alpha Z_i Z_j - sum_i h_i X_i

    The chain is open. P. Hauke and L. Tagliacozzo, Phys. Rev. Lett. 111, 207202 (2013).

    Args:
        n: the number of spins 1/2.
        alpha: the power.
        J: the coupling at distance 1.
        h: the field, or one per site.
    """
    bonds = pairs_of(range(n))
    couplings = [J / (b - a) ** alpha for a, b in bonds]
    return transverse_field_ising(n, bonds, couplings, h)


def xxz(
    hilbert: object,
    edges: Edges,
    J: Coupling = 1.0,
    delta: Number = 1.0,
    h: Coupling = 0.0,
) -> SymbolicOperator:
    """Return the XXZ model.

        H = sum_<ij> J_ij (X_i X_j + Y_i Y_j + delta Z_i Z_j) + sum_i h_i Z_i

    On a bond X X + Y Y exchanges two opposite spins with matrix element 2, and gives 0
    on equal ones. R. Orbach, Phys. Rev. 112, 309 (1958).

    Args:
        hilbert: the number of spins 1/2, or their space.
        edges: the bonds.
        J: the coupling, or one per bond.
        delta: the anisotropy.
        h: the field along Z, or one per site.
    """
    space = lattice(hilbert, lambda n: spin(0.5, n))
    J_ij, bond_data = coupling("J", J)
    h_i, site_data = coupling("h", h)
    return (
        DOperator(space, "xxz", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges), data=bond_data)
        .named("bonds")
        .emit(amplitude=J_ij * delta * i.value * j.value, tag="zz")
        .emit_if(i != j, swap("i", "j"), amplitude=2 * J_ij, tag="xx+yy")
        .for_each("i", over=range(as_space(space).size), data=site_data)
        .named("field")
        .emit(amplitude=h_i * i.value, tag="z")
        .build()
    )


def heisenberg(hilbert: object, edges: Edges, J: Coupling = 1.0) -> SymbolicOperator:
    """Return the Heisenberg model.

        H = sum_<ij> J_ij (X_i X_j + Y_i Y_j + Z_i Z_j)

    W. Heisenberg, Z. Phys. 49, 619 (1928); the operator of
    `netket.operator.Heisenberg(.., sign_rule=False)`.

    Args:
        hilbert: the number of spins 1/2, or their space.
        edges: the bonds.
        J: the coupling, or one per bond.
    """
    space = lattice(hilbert, lambda n: spin(0.5, n))
    J_ij, data = coupling("J", J)
    return (
        DOperator(space, "heisenberg", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges), data=data)
        .named("bonds")
        .emit(amplitude=J_ij * i.value * j.value, tag="zz")
        .emit_if(i != j, swap("i", "j"), amplitude=2 * J_ij, tag="xx+yy")
        .build()
    )


def j1_j2(
    hilbert: object, near: Edges, far: Edges, J1: float = 1.0, J2: float = 0.5
) -> SymbolicOperator:
    """Return the J1-J2 model.

        H = J1 sum_<ij> S_i S_j + J2 sum_<<ij>> S_i S_j,  S_i S_j = X X + Y Y + Z Z

    C. K. Majumdar and D. K. Ghosh, J. Math. Phys. 10, 1388 (1969).

    Args:
        hilbert: the number of spins 1/2, or their space.
        near: the bonds of the coupling J1.
        far: the bonds of the coupling J2.
        J1: the first coupling.
        J2: the second coupling.
    """
    first, second = as_bonds(near), as_bonds(far)
    couplings = [J1] * len(first) + [J2] * len(second)
    return heisenberg(hilbert, [*first, *second], couplings)


def kitaev_honeycomb(
    hilbert: object,
    x_edges: Edges,
    y_edges: Edges,
    z_edges: Edges,
    J: tuple[Number, Number, Number] = (1.0, 1.0, 1.0),
) -> SymbolicOperator:
    """Return Kitaev's model: each bond couples one component of its two spins.

        H = -Jx sum_(x bonds) X_i X_j - Jy sum_(y bonds) Y_i Y_j
            - Jz sum_(z bonds) Z_i Z_j

    A. Kitaev, Ann. Phys. 321, 2 (2006).

    Args:
        hilbert: the number of spins 1/2, or their space.
        x_edges: the bonds that couple X.
        y_edges: the bonds that couple Y.
        z_edges: the bonds that couple Z.
        J: the three couplings.
    """
    Jx, Jy, Jz = J
    space = lattice(hilbert, lambda n: spin(0.5, n))
    both = flip("i").flip("j")
    return (
        DOperator(space, "kitaev_honeycomb", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(x_edges))
        .named("x_bonds")
        .emit(both, amplitude=-Jx, tag="xx")
        .for_each(("i", "j"), over=as_bonds(y_edges))
        .named("y_bonds")
        .emit(both, amplitude=Jy * i.value * j.value, tag="yy")
        .for_each(("i", "j"), over=as_bonds(z_edges))
        .named("z_bonds")
        .emit(amplitude=-Jz * i.value * j.value, tag="zz")
        .build()
    )


def potts(
    n: int, q: int, edges: Edges, J: Coupling = 1.0, h: Number = 1.0
) -> SymbolicOperator:
    """Return the quantum Potts model of `q` states.

        H = -sum_<ij> J_ij delta(s_i, s_j) - h sum_i sum_(k=1..q-1) X_i^k

    X |s> = |s + 1 mod q>, so the field connects all states of a site. R. B. Potts,
    Proc. Camb. Phil. Soc. 48, 106 (1952); J. Solyom and P. Pfeuty, Phys. Rev. B 24, 218
    (1981).

    Args:
        n: the number of sites, each of which holds 0, 1, .., q-1.
        q: the number of states of a site, at least 2.
        edges: the bonds.
        J: the coupling, or one per bond.
        h: the field.
    """
    J_ij, data = coupling("J", J)
    builder = (
        DOperator(fock(q - 1, n), "potts", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges), data=data)
        .named("bonds")
        .emit(amplitude=where(i == j, -J_ij, 0), tag="equal")
        .for_each_site("i")
        .named("field")
    )
    for k in range(1, q):
        builder = builder.emit(shift_mod("i", k), amplitude=-h, tag=f"x{k}")
    return builder.build()


def clock(
    n: int, q: int, edges: Edges, J: Coupling = 1.0, h: Number = 1.0
) -> SymbolicOperator:
    """Return the quantum clock model of `q` states.

        H = -sum_<ij> J_ij (Z_i^+ Z_j + Z_j^+ Z_i) - h sum_i (X_i + X_i^+)

    Z |s> = exp(2 pi i s / q) |s> and X |s> = |s + 1 mod q>. S. Elitzur, R. B. Pearson
    and J. Shigemitsu, Phys. Rev. D 19, 3698 (1979).

    Args:
        n: the number of sites, each of which holds 0, 1, .., q-1.
        q: the number of states of a site, at least 2.
        edges: the bonds.
        J: the coupling, or one per bond.
        h: the field.
    """
    J_ij, data = coupling("J", J)
    return (
        DOperator(fock(q - 1, n), "clock", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges), data=data)
        .named("bonds")
        .emit(amplitude=-2 * J_ij * cos(2 * pi / q * (i.value - j.value)), tag="zz")
        .for_each_site("i")
        .named("field")
        .emit(shift_mod("i", +1), amplitude=-h, tag="x")
        .emit(shift_mod("i", -1), amplitude=-h, tag="x+")
        .build()
    )


def pxp(n: int, edges: Edges, omega: Coupling = 1.0) -> SymbolicOperator:
    """Return the PXP model: an atom flips where all its neighbours are down.

        H = sum_i omega_i X_i prod_(j next to i) (1 - n_j)

    I. Lesanovsky and H. Katsura, Phys. Rev. A 86, 041601(R) (2012).

    Args:
        n: the number of atoms, each of which is down (0) or up (1).
        edges: the bonds across which two atoms block each other.
        omega: the Rabi frequency, or one per atom.
    """
    omega_i, data = coupling("omega", omega)
    blockers = {"neighbours": neighbours(edges, n)}
    return (
        DOperator(qubit(n), "pxp", hermitian=True)
        .for_each("i", over=range(n), data=data, sets=blockers)
        .where(all_(here == 0, over=set_("neighbours")))
        .emit(flip("i"), amplitude=omega_i, tag="x")
        .build()
    )


def rydberg(
    positions: Sequence[float] | Sequence[Sequence[float]] | npt.NDArray[np.floating],
    omega: Coupling = 1.0,
    detuning: Coupling = 0.0,
    C6: float = 1.0,
) -> SymbolicOperator:
    """Return an array of Rydberg atoms.

        H = sum_i omega_i / 2 X_i - sum_i detuning_i n_i
            + sum_(i<j) C6 / |r_i - r_j|^6 n_i n_j

    H. Bernien et al., Nature 551, 579 (2017).

    Args:
        positions: where the atoms are: numbers on a line, or one vector per atom.
        omega: the Rabi frequency, or one per atom.
        detuning: the detuning, or one per atom.
        C6: the van der Waals coefficient.
    """
    places = np.asarray(positions, np.float64)
    places = places.reshape(len(places), -1)
    n = len(places)
    a, b = np.triu_indices(n, 1)
    pairs = np.stack([a, b], axis=1)
    V = C6 / np.linalg.norm(places[a] - places[b], axis=1) ** 6
    omega_i, omega_data = coupling("omega", omega)
    detuning_i, detuning_data = coupling("detuning", detuning)
    return (
        DOperator(qubit(n), "rydberg", hermitian=True)
        .for_each("i", over=range(n), data={**omega_data, **detuning_data})
        .named("atoms")
        .emit(flip("i"), amplitude=omega_i / 2, tag="x")
        .emit(amplitude=-detuning_i * i.value, tag="n")
        .for_each(("i", "j"), over=pairs, data={"V": V})
        .named("pairs")
        .emit(amplitude=row("V") * i.value * j.value, tag="nn")
        .build()
    )
