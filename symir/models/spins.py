"""Models of spins, of q-valued spins, and of atoms with two levels.

Spins 1/2 hold -1 and +1, X, Y and Z are Pauli's matrices. A pair of sites in `edges` is
a bond, given once. A coupling is a number or a symbol, or one number per bond (or site)
where that is said. Another space raises S020, and a graph of other colours D037.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi
from typing import Any

import numpy as np
import numpy.typing as npt

from symir.language.builder import DOperator
from symir.language.expressions import Expr, here, row, site
from symir.language.functions import cos, exp, where
from symir.language.reductions import all_, set_
from symir.language.updates import flip, shift_mod, swap
from symir.models.common import (
    SPINS,
    TWO_LEVELS,
    Coupling,
    Edges,
    Kind,
    Number,
    are_occupations,
    as_bonds,
    bonds_by_color,
    coupling,
    fitting,
    neighbours,
    pairs_of,
    quotients,
)
from symir.operator.spaces import as_space
from symir.operator.symbolic_operator import SymbolicOperator

i, j = site("i"), site("j")

Q_VALUED = Kind(
    "sites of 0, 1, .., q-1, all alike: fock(q - 1, n)",
    lambda space: space.is_uniform and are_occupations(space.local_states),
)


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
    space, n = fitting("transverse_field_ising", hilbert, SPINS)
    return _ising(space, as_bonds(edges, n), coupling("J", J), h)


def _ising(
    space: Any, bonds: Any, J: tuple[Expr, Mapping[str, object]], h: Coupling
) -> SymbolicOperator:
    J_ij, bond_data = J
    h_i, site_data = coupling("h", h)
    return (
        DOperator(space, "transverse_field_ising", hermitian=True)
        .for_each(("i", "j"), over=bonds, data=bond_data)
        .named("bonds")
        .emit(amplitude=J_ij * i.value * j.value, tag="zz")
        .for_each("i", over=range(as_space(space).size), data=site_data)
        .named("field")
        .emit(flip("i"), amplitude=-h_i, tag="x")
        .build()
    )


def long_range_ising(
    hilbert: object, alpha: Number, J: Number = 1.0, h: Coupling = 1.0
) -> SymbolicOperator:
    """Return the Ising chain whose coupling decays with a power of the distance.

        H = sum_(i<j) J / |i - j|^alpha Z_i Z_j - sum_i h_i X_i

    The chain is open. P. Hauke and L. Tagliacozzo, Phys. Rev. Lett. 111, 207202 (2013).

    Args:
        hilbert: the number of spins 1/2, or their space.
        alpha: the power.
        J: the coupling at distance 1.
        h: the field, or one per site.
    """
    space, n = fitting("long_range_ising", hilbert, SPINS)
    bonds = pairs_of(range(n))
    distances = np.array([b - a for a, b in bonds], np.float64)
    if isinstance(alpha, Expr):
        decay = exp(-alpha * row("log_distance"))
        return _ising(space, bonds, (J * decay, {"log_distance": np.log(distances)}), h)
    return _ising(space, bonds, quotients("J", J, distances**alpha), h)


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
    space, n = fitting("xxz", hilbert, SPINS)
    J_ij, bond_data = coupling("J", J)
    h_i, site_data = coupling("h", h)
    return (
        DOperator(space, "xxz", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges, n), data=bond_data)
        .named("bonds")
        .emit(amplitude=J_ij * delta * i.value * j.value, tag="zz")
        .emit_if(i != j, swap("i", "j"), amplitude=2 * J_ij, tag="xx+yy")
        .for_each("i", over=range(n), data=site_data)
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
    space, n = fitting("heisenberg", hilbert, SPINS)
    return _heisenberg(space, as_bonds(edges, n), *coupling("J", J))


def _heisenberg(
    space: Any, bonds: Any, J_ij: Expr, data: Mapping[str, object]
) -> SymbolicOperator:
    return (
        DOperator(space, "heisenberg", hermitian=True)
        .for_each(("i", "j"), over=bonds, data=data)
        .named("bonds")
        .emit(amplitude=J_ij * i.value * j.value, tag="zz")
        .emit_if(i != j, swap("i", "j"), amplitude=2 * J_ij, tag="xx+yy")
        .build()
    )


def j1_j2(
    hilbert: object, edges: object, J1: Number = 1.0, J2: Number = 0.5
) -> SymbolicOperator:
    """Return the J1-J2 model.

        H = J1 sum_<ij> S_i S_j + J2 sum_<<ij>> S_i S_j,  S_i S_j = X X + Y Y + Z Z

    C. K. Majumdar and D. K. Ghosh, J. Math. Phys. 10, 1388 (1969).

    Args:
        hilbert: the number of spins 1/2, or their space.
        edges: the bonds of J1 and those of J2; or a graph with edges of two colours,
            such as `netket.graph.Square(4, max_neighbor_order=2)`.
        J1: the first coupling.
        J2: the second coupling.
    """
    space, n = fitting("j1_j2", hilbert, SPINS)
    near, far = bonds_by_color(edges, ("near", "far"), n)
    is_near = np.repeat([1.0, 0.0], [len(near), len(far)])
    if isinstance(J1, Expr) or isinstance(J2, Expr):
        J_ij = J1 * row("near") + J2 * row("far")
        data = {"near": is_near, "far": 1 - is_near}
    else:
        J_ij, data = row("J"), {"J": J1 * is_near + J2 * (1 - is_near)}
    return _heisenberg(space, [*near, *far], J_ij, data)


def kitaev_honeycomb(
    hilbert: object,
    edges: object,
    J: tuple[Number, Number, Number] = (1.0, 1.0, 1.0),
) -> SymbolicOperator:
    """Return Kitaev's model: each bond couples one component of its two spins.

        H = -Jx sum_(x bonds) X_i X_j - Jy sum_(y bonds) Y_i Y_j
            - Jz sum_(z bonds) Z_i Z_j

    A. Kitaev, Ann. Phys. 321, 2 (2006).

    Args:
        hilbert: the number of spins 1/2, or their space.
        edges: the bonds that couple X, those of Y and those of Z; or a graph with edges
            of three colours, such as `netket.graph.KitaevHoneycomb([3, 3])`.
        J: the three couplings.
    """
    Jx, Jy, Jz = J
    space, n = fitting("kitaev_honeycomb", hilbert, SPINS)
    x, y, z = bonds_by_color(edges, ("x", "y", "z"), n)
    both = flip("i").flip("j")
    return (
        DOperator(space, "kitaev_honeycomb", hermitian=True)
        .for_each(("i", "j"), over=x)
        .named("x_bonds")
        .emit(both, amplitude=-Jx, tag="xx")
        .for_each(("i", "j"), over=y)
        .named("y_bonds")
        .emit(both, amplitude=Jy * i.value * j.value, tag="yy")
        .for_each(("i", "j"), over=z)
        .named("z_bonds")
        .emit(amplitude=-Jz * i.value * j.value, tag="zz")
        .build()
    )


def potts(
    hilbert: object, edges: Edges, J: Coupling = 1.0, h: Number = 1.0
) -> SymbolicOperator:
    """Return the quantum Potts model of `q` states.

        H = -sum_<ij> J_ij delta(s_i, s_j) - h sum_i sum_(k=1..q-1) X_i^k

    X |s> = |s + 1 mod q>, so the field connects all states of a site. R. B. Potts,
    Proc. Camb. Phil. Soc. 48, 106 (1952); J. Solyom and P. Pfeuty, Phys. Rev. B 24, 218
    (1981).

    Args:
        hilbert: the space, each site of which holds 0, 1, .., q-1: `fock(q - 1, n)`.
        edges: the bonds.
        J: the coupling, or one per bond.
        h: the field.
    """
    space, n = fitting("potts", hilbert, Q_VALUED)
    q = len(as_space(space).local_states_at(0))
    J_ij, data = coupling("J", J)
    builder = (
        DOperator(space, "potts", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges, n), data=data)
        .named("bonds")
        .emit(amplitude=where(i == j, -J_ij, 0), tag="equal")
        .for_each_site("i")
        .named("field")
    )
    for k in range(1, q):
        builder = builder.emit(shift_mod("i", k), amplitude=-h, tag=f"x{k}")
    return builder.build()


def clock(
    hilbert: object, edges: Edges, J: Coupling = 1.0, h: Number = 1.0
) -> SymbolicOperator:
    """Return the quantum clock model of `q` states.

        H = -sum_<ij> J_ij (Z_i^+ Z_j + Z_j^+ Z_i) - h sum_i (X_i + X_i^+)

    Z |s> = exp(2 pi i s / q) |s> and X |s> = |s + 1 mod q>. S. Elitzur, R. B. Pearson
    and J. Shigemitsu, Phys. Rev. D 19, 3698 (1979).

    Args:
        hilbert: the space, each site of which holds 0, 1, .., q-1: `fock(q - 1, n)`.
        edges: the bonds.
        J: the coupling, or one per bond.
        h: the field.
    """
    space, n = fitting("clock", hilbert, Q_VALUED)
    q = len(as_space(space).local_states_at(0))
    J_ij, data = coupling("J", J)
    return (
        DOperator(space, "clock", hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges, n), data=data)
        .named("bonds")
        .emit(amplitude=-2 * J_ij * cos(2 * pi / q * (i.value - j.value)), tag="zz")
        .for_each_site("i")
        .named("field")
        .emit(shift_mod("i", +1), amplitude=-h, tag="x")
        .emit(shift_mod("i", -1), amplitude=-h, tag="x+")
        .build()
    )


def pxp(hilbert: object, edges: Edges, omega: Coupling = 1.0) -> SymbolicOperator:
    """Return the PXP model: an atom flips where all its neighbours are down.

        H = sum_i omega_i X_i prod_(j next to i) (1 - n_j)

    I. Lesanovsky and H. Katsura, Phys. Rev. A 86, 041601(R) (2012).

    Args:
        hilbert: the number of atoms, each of which is down (0) or up (1), or their
            space.
        edges: the bonds across which two atoms block each other.
        omega: the Rabi frequency, or one per atom.
    """
    space, n = fitting("pxp", hilbert, TWO_LEVELS)
    omega_i, data = coupling("omega", omega)
    blockers = {"neighbours": neighbours(edges, n)}
    return (
        DOperator(space, "pxp", hermitian=True)
        .for_each("i", over=range(n), data=data, sets=blockers)
        .where(all_(here == 0, over=set_("neighbours")))
        .emit(flip("i"), amplitude=omega_i, tag="x")
        .build()
    )


def rydberg(
    hilbert: object,
    positions: Sequence[float] | Sequence[Sequence[float]] | npt.NDArray[np.floating],
    omega: Coupling = 1.0,
    detuning: Coupling = 0.0,
    C6: Number = 1.0,
) -> SymbolicOperator:
    """Return an array of Rydberg atoms.

        H = sum_i omega_i / 2 X_i - sum_i detuning_i n_i
            + sum_(i<j) C6 / |r_i - r_j|^6 n_i n_j

    H. Bernien et al., Nature 551, 579 (2017).

    Args:
        hilbert: the number of atoms, each of which is down (0) or up (1), or their
            space.
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
    space, _ = fitting("rydberg", hilbert, TWO_LEVELS, sites=n)
    distances = np.linalg.norm(places[a] - places[b], axis=1)
    V, pair_data = quotients("V", C6, distances**6)
    omega_i, omega_data = coupling("omega", omega)
    detuning_i, detuning_data = coupling("detuning", detuning)
    return (
        DOperator(space, "rydberg", hermitian=True)
        .for_each("i", over=range(n), data={**omega_data, **detuning_data})
        .named("atoms")
        .emit(flip("i"), amplitude=omega_i / 2, tag="x")
        .emit(amplitude=-detuning_i * i.value, tag="n")
        .for_each(("i", "j"), over=pairs, data=pair_data)
        .named("pairs")
        .emit(amplitude=V * i.value * j.value, tag="nn")
        .build()
    )
