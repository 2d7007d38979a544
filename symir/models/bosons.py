"""Models of bosons, alone and with spins 1/2. Another space raises S020."""

from __future__ import annotations

from math import sqrt as square_root

import numpy as np

from symir.language.builder import DOperator
from symir.language.expressions import emitted, site, sqrt
from symir.language.functions import exp
from symir.language.updates import flip, hop, shift
from symir.models.common import (
    Coupling,
    Edges,
    Kind,
    Number,
    are_occupations,
    as_bonds,
    coupling,
    fitting,
)
from symir.operator.spaces import Space
from symir.operator.symbolic_operator import SymbolicOperator


def _values(space: Space) -> list[tuple[float, ...]]:
    return [space.local_states_at(site) for site in range(space.size)]


def _are_bosons(space: Space) -> bool:
    is_fermionic = any(part.kind == "fermion" for part in space.subsystems)
    return are_occupations(space.local_states) and not is_fermionic


def _are_mode_and_spins(space: Space) -> bool:
    mode, *spins = _values(space)
    return are_occupations([mode]) and {*spins} == {(-1, 1)}


def _are_spin_and_modes(space: Space) -> bool:
    spin, *modes = _values(space)
    return spin == (-1, 1) and bool(modes) and are_occupations(modes)


BOSONS = Kind("sites of 0, 1, .., n_max bosons: fock(n_max, n)", _are_bosons)

MODE_AND_SPINS = Kind(
    "a mode, then spins 1/2: fock(n_max, 1) * spin(0.5, n)", _are_mode_and_spins
)

SPIN_AND_MODES = Kind(
    "a spin 1/2, then modes: spin(0.5, 1) * fock(n_max, n)", _are_spin_and_modes
)


def bose_hubbard(
    hilbert: object,
    edges: Edges,
    J: Number = 1.0,
    U: Number = 1.0,
    mu: Coupling = 0.0,
    V: Number = 0.0,
    phases: Coupling | None = None,
) -> SymbolicOperator:
    """Return the extended Bose-Hubbard model, with hopping phases if there are any.

        H = -J sum_<ij> (exp(i phi_ij) a_i^+ a_j + exp(-i phi_ij) a_j^+ a_i)
            + V sum_<ij> n_i n_j + U/2 sum_i n_i (n_i - 1) - sum_i mu_i n_i

    <x| a_i^+ a_j |x'> is sqrt(n_i n'_j), where x' has one boson less on site i than x
    and one more on site j. M. P. A. Fisher et al., Phys. Rev. B 40, 546 (1989); with
    phases, the Hofstadter model of bosons, D. Jaksch and P. Zoller, New J. Phys. 5, 56
    (2003). Without V and phases it is `netket.operator.BoseHubbard`.

    Args:
        hilbert: the space: `fock(n_max, n)`, or with `n_particles` fixed.
        edges: the bonds.
        J: the hopping amplitude.
        U: the interaction of two bosons on a site.
        mu: the chemical potential, or one per site.
        V: the interaction of two bosons on neighbouring sites.
        phases: a phase phi, or one per bond, for hopping from j to i; by default there
            is none, and the operator is real.
    """
    space, n = fitting("bose_hubbard", hilbert, BOSONS)
    n_i, n_j = site("i").value, site("j").value
    phi, bond_data = coupling("phi", 0.0 if phases is None else phases)
    right, left = (1, 1) if phases is None else (exp(1j * phi), exp(-1j * phi))
    mu_i, site_data = coupling("mu", mu)
    dtype = None if phases is None else complex
    return (
        DOperator(space, "bose_hubbard", dtype=dtype, hermitian=True)
        .for_each(("i", "j"), over=as_bonds(edges, n), data=bond_data)
        .named("bonds")
        .emit(
            hop("i", "j"),
            amplitude=-J * right * sqrt(n_i * emitted("j").value),
            tag="i from j",
        )
        .emit(
            hop("j", "i"),
            amplitude=-J * left * sqrt(n_j * emitted("i").value),
            tag="j from i",
        )
        .emit(amplitude=V * n_i * n_j, tag="nn")
        .for_each("i", over=range(n), data=site_data)
        .named("sites")
        .emit(amplitude=U / 2 * n_i * (n_i - 1) - mu_i * n_i, tag="n")
        .build()
    )


def dicke(
    hilbert: object,
    omega: Number = 1.0,
    omega_z: Coupling = 1.0,
    g: Number = 1.0,
) -> SymbolicOperator:
    """Return the Dicke model: spins 1/2 in one mode of light.

        H = omega a^+ a + sum_i omega_z,i / 2 Z_i + g / sqrt(n) sum_i (a + a^+) X_i

    Site 0 is the mode; sites 1 .. n are the spins. R. H. Dicke, Phys. Rev. 93, 99
    (1954); K. Hepp and E. H. Lieb, Ann. Phys. 76, 360 (1973).

    Args:
        hilbert: the space of at most n_max photons and n spins:
            `fock(n_max, 1) * spin(0.5, n)`.
        omega: the frequency of the mode.
        omega_z: the splitting of the spins, or one per spin.
        g: the collective coupling.
    """
    space, sites = fitting("dicke", hilbert, MODE_AND_SPINS)
    spins = np.arange(1, sites)
    splitting, data = coupling("omega_z", omega_z)
    photons, photons_after = site("mode").value, emitted("mode").value
    strength = g * (1 / square_root(len(spins)))
    return (
        DOperator(space, "dicke", hermitian=True)
        .for_each("mode", over=[0])
        .named("light")
        .emit(amplitude=omega * photons, tag="n")
        .for_each("i", over=spins, data=data)
        .named("spins")
        .emit(amplitude=splitting / 2 * site("i").value, tag="z")
        .for_each(("mode", "i"), over=[(0, spin) for spin in spins])
        .named("exchange")
        .emit(
            shift("mode", +1).flip("i"),
            amplitude=strength * sqrt(photons_after),
            tag="ax",
        )
        .emit(
            flip("i").shift("mode", -1),
            amplitude=strength * sqrt(photons),
            tag="a+x",
        )
        .build()
    )


def spin_boson(
    hilbert: object,
    omega: Coupling = 1.0,
    g: Coupling = 1.0,
    epsilon: Number = 0.0,
    delta: Number = 1.0,
) -> SymbolicOperator:
    """Return the spin-boson model: a spin 1/2 that is coupled to modes of bosons.

        H = epsilon / 2 Z - delta / 2 X
            + sum_k omega_k a_k^+ a_k + Z / 2 sum_k g_k (a_k + a_k^+)

    Site 0 is the spin; sites 1 .. n are the modes. A. J. Leggett et al., Rev. Mod.
    Phys. 59, 1 (1987).

    Args:
        hilbert: the space of a spin and n modes of at most n_max bosons each:
            `spin(0.5, 1) * fock(n_max, n)`.
        omega: the frequency of the modes, or one per mode.
        g: the coupling to the modes, or one per mode.
        epsilon: the bias of the spin.
        delta: the tunnelling of the spin.
    """
    z, bosons = site("spin").value, site("k").value
    omega_k, frequencies = coupling("omega", omega)
    g_k, couplings = coupling("g", g)
    space, n = fitting("spin_boson", hilbert, SPIN_AND_MODES)
    return (
        DOperator(space, "spin_boson", hermitian=True)
        .for_each("spin", over=[0])
        .named("spin")
        .emit(amplitude=epsilon / 2 * z, tag="z")
        .emit(flip("spin"), amplitude=-delta / 2, tag="x")
        .for_each(
            ("spin", "k"),
            over=[(0, k) for k in range(1, n)],
            data={**frequencies, **couplings},
        )
        .named("modes")
        .emit(amplitude=omega_k * bosons, tag="n")
        .emit(
            shift("k", +1),
            amplitude=z / 2 * g_k * sqrt(emitted("k").value),
            tag="a",
        )
        .emit(shift("k", -1), amplitude=z / 2 * g_k * sqrt(bosons), tag="a+")
        .build()
    )
