"""Models of fermions, in Jordan-Wigner order: a site is empty (0) or occupied (1).

Sites are numbered as in NetKet: all orbitals with spin down, then all with spin up.
Another space raises S020.

<x| c_i^+ c_j |x'> is -1 to the number of fermions strictly between sites i and j, where
x' has a fermion at j that x has at i.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt

from symir.language.builder import DOperator
from symir.language.expressions import emitted, here, row, site
from symir.language.reductions import between, jordan_wigner, parity, set_
from symir.language.updates import flip, hop, swap
from symir.models.common import (
    Coupling,
    Edges,
    Kind,
    Number,
    as_bonds,
    both_ways,
    coupling,
    fitting,
    pairs_of,
)
from symir.operator.spaces import Space, fermions, space
from symir.operator.symbolic_operator import SymbolicOperator


def _have_spin(space: Space) -> bool:
    """Whether a space is of fermions of spin 1/2, or of twice as many plain sites."""
    parts = space.subsystems
    is_fermionic = any(part.kind == "fermion" for part in parts)
    fits = not is_fermionic or [part.spin_states for part in parts] == [2]
    return space.local_states == ((0, 1),) and space.size % 2 == 0 and fits


WITH_SPIN = Kind(
    "fermions of spin 1/2: fermions(n, spin=0.5)",
    _have_spin,
    partial(fermions, spin=0.5),
)

SPINLESS = Kind(
    "sites of 0 or 1 fermions: fermions(n)",
    lambda space: space.local_states == ((0, 1),),
    fermions,
)

NEVER_TWO = Kind(
    "sites of -1, 0 or 1: space([-1, 0, 1], n)",
    lambda space: space.local_states == ((-1, 0, 1),),
    partial(space, [-1, 0, 1]),
)


def fermi_hubbard(
    hilbert: object,
    edges: Edges,
    t: Number = 1.0,
    U: Coupling = 1.0,
) -> SymbolicOperator:
    """Return the Fermi-Hubbard model of fermions with spin 1/2.

        H = -t sum_<ij> sum_s (c_is^+ c_js + c_js^+ c_is) + sum_i U_i n_i,up n_i,down

    Site i of the lattice is site i of the space for spin down, and site n + i for spin
    up. J. Hubbard, Proc. R. Soc. A 276, 238 (1963).

    Args:
        hilbert: the space: `fermions(n, spin=0.5)`, or of a fixed filling; or the
            number n of sites of the lattice.
        edges: the bonds of the lattice.
        t: the hopping amplitude.
        U: the interaction on a site, or one per site.
    """
    space, sites = fitting("fermi_hubbard", hilbert, WITH_SPIN)
    n = sites // 2
    down, up = site("down").value, site("up").value
    hops = both_ways(edges, n)
    U_i, data = coupling("U", U)
    return (
        DOperator(space, "fermi_hubbard", hermitian=True)
        .for_each(("i", "j"), over=_for_both_spins(hops, n))
        .named("hopping")
        .where(site("i") == 1)
        .emit(hop("i", "j"), amplitude=-t * jordan_wigner("i", "j"), tag="c+c")
        .for_each(("down", "up"), over=[(i, n + i) for i in range(n)], data=data)
        .named("interaction")
        .emit(amplitude=U_i * down * up, tag="nn")
        .build()
    )


def _for_both_spins(pairs: list[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    return [(i + spin, j + spin) for spin in (0, n) for i, j in pairs]


def t_j(
    hilbert: object, edges: Edges, t: Number = 1.0, J: Coupling = 1.0
) -> SymbolicOperator:
    """Return the t-J model: fermions with spin 1/2, never two of them on a site.

        H = -t sum_<ij> sum_s P (c_is^+ c_js + c_js^+ c_is) P
            + sum_<ij> J_ij (S_i S_j - n_i n_j / 4)

    P excludes two fermions on a site: a site is empty (0), or holds spin down (-1) or
    up (+1). On a bond, S S - n n / 4 is (swap - 1) / 2 for opposite spins, 0 otherwise.
    K. A. Chao, J. Spalek and A. M. Oles, J. Phys. C 10, L271 (1977).

    Args:
        hilbert: the number of sites, or their space: `space([-1, 0, 1], n)`.
        edges: the bonds.
        t: the hopping amplitude.
        J: the exchange coupling, or one per bond.
    """
    space, n = fitting("t_j", hilbert, NEVER_TWO)
    bonds = as_bonds(edges, n)
    i, j = site("i").value, site("j").value
    sign = 1 - 2 * parity(abs(here.value), over=between("i", "j"))
    J_ij, data = coupling("J", J)
    return (
        DOperator(space, "t_j", hermitian=True)
        .for_each(("i", "j"), over=both_ways(bonds, n))
        .named("hopping")
        .where((i != 0) & (j == 0))
        .emit(swap("i", "j"), amplitude=-t * sign, tag="c+c")
        .for_each(("i", "j"), over=bonds, data=data)
        .named("exchange")
        .where(i * j == -1)
        .emit(amplitude=-J_ij / 2, tag="diagonal")
        .emit(swap("i", "j"), amplitude=J_ij / 2, tag="swap")
        .build()
    )


def syk_couplings(
    n: int, J: float = 1.0, seed: int | np.random.Generator | None = 0
) -> npt.NDArray[np.complex128]:
    """Return random couplings of the SYK model: a Hermitian matrix over pairs.

    Its entries off the diagonal have the mean square J^2.

    Args:
        n: the number of sites; row and column number k is the k-th pair i < j.
        J: the strength.
        seed: a seed, or a generator, which then advances.
    """
    rng = np.random.default_rng(seed)
    pairs = n * (n - 1) // 2
    real, imag = rng.normal(size=(2, pairs, pairs))
    matrix = real + 1j * imag
    return J / 2 * (matrix + matrix.conj().T)


def syk(
    hilbert: object,
    couplings: Coupling | None = None,
    mu: Number = 0.0,
) -> SymbolicOperator:
    """Return the Sachdev-Ye-Kitaev model of complex fermions.

        H = 1 / (2n)^(3/2) sum_(i<j) sum_(k<l) J_ij,kl c_i^+ c_j^+ c_l c_k
            - mu sum_i n_i

    <x| c_i^+ c_j^+ c_l c_k |x'> is -1 to the number of fermions of x between i and j
    and of x' between k and l. S. Sachdev and J. Ye, Phys. Rev. Lett. 70, 3339 (1993);
    S. Sachdev, Phys. Rev. X 5, 041025 (2015).

    Args:
        hilbert: the number n of sites, at least 2, or their space: `fermions(n)`.
        couplings: a Hermitian matrix over the pairs i < j in lexicographic order, or
            one real number; `syk_couplings(n)` by default.
        mu: the chemical potential.
    """
    space, n = fitting("syk", hilbert, SPINLESS)
    J, data = coupling("J", syk_couplings(n) if couplings is None else couplings)
    rows = {name: np.asarray(matrix).reshape(-1) for name, matrix in data.items()}
    pairs = pairs_of(range(n))
    quartets = [(*ij, *kl) for ij in pairs for kl in pairs]
    sign_after = 1 - 2 * parity(emitted(here.index).value, over=between("k", "l"))
    return (
        DOperator(space, "syk", dtype=complex, hermitian=True)
        .for_each(("i", "j", "k", "l"), over=quartets, data=rows)
        .named("quartets")
        .where((site("i") == 1) & (site("j") == 1))
        .emit(
            hop("i", "k").hop("j", "l"),
            amplitude=J * (2 * n) ** -1.5 * jordan_wigner("i", "j") * sign_after,
            tag="c+c+cc",
        )
        .for_each_site("i")
        .named("potential")
        .emit(amplitude=-mu * site("i").value, tag="n")
        .build()
    )


def majorana_syk_couplings(
    n: int, J: float = 1.0, seed: int | np.random.Generator | None = 0
) -> npt.NDArray[np.float64]:
    """Return random couplings of `majorana_syk`, of mean square 3! J^2 / (2n)^3.

    Args:
        n: the number of sites; there is one coupling for each a < b < c < d of the 2n
            Majorana fermions, in lexicographic order.
        J: the strength.
        seed: a seed, or a generator, which then advances.
    """
    rng = np.random.default_rng(seed)
    quartets = len([*combinations(range(2 * n), 4)])
    return J * (6 / (2 * n) ** 3) ** 0.5 * rng.normal(size=quartets)


def majorana_syk(
    hilbert: object, couplings: Coupling | None = None
) -> SymbolicOperator:
    """Return the Sachdev-Ye-Kitaev model of 2n Majorana fermions, two on each site.

        H = sum_(a<b<c<d) J_abcd chi_a chi_b chi_c chi_d,  {chi_a, chi_b} = delta_ab

    chi_2k = (c_k^+ + c_k) / sqrt(2) and chi_(2k+1) = i (c_k^+ - c_k) / sqrt(2). A
    product of them flips the sites of its factors, with a sign for the fermions on a
    string of sites. A. Kitaev, talks at KITP (2015); J. Maldacena and D. Stanford,
    Phys. Rev. D 94, 106002 (2016).

    Args:
        hilbert: the number n of sites, at least 2, or their space: `fermions(n)`.
        couplings: one number, or one for each a < b < c < d in lexicographic order;
            `majorana_syk_couplings(n)` by default.
    """
    space, n = fitting("majorana_syk", hilbert, SPINLESS)
    J, data = coupling(
        "J", majorana_syk_couplings(n) if couplings is None else couplings
    )
    quartets = [*combinations(range(2 * n), 4)]
    factors, strings = zip(*map(_majorana_product, quartets), strict=True)
    sign = 1 - 2 * parity(here.value, over=set_("string"))
    return (
        DOperator(space, "majorana_syk", dtype=complex, hermitian=True)
        .for_each(
            ("i", "j", "k", "l"),
            over=np.array(quartets) // 2,
            data={**data, "factor": factors},
            sets={"string": strings},
        )
        .named("quartets")
        .emit(
            flip("i").flip("j").flip("k").flip("l"),
            amplitude=J * row("factor") * sign,
            tag="chi^4",
        )
        .build()
    )


def _majorana_product(majoranas: tuple[int, ...]) -> tuple[complex, list[int]]:
    """Return the factor and the string of a product of Majorana fermions.

    <x| chi_a chi_b .. |x'> is the factor, times -1 to the number of fermions of x on
    the string. The product so far is factor X^flipped Z^string: X flips a site, Z is -1
    on a fermion. The next one is Z on all sites before its own, X or Y = i X Z there.
    """
    factor: complex = 1
    flipped, string = set[int](), set[int]()
    for majorana in majoranas:
        site, is_second = divmod(majorana, 2)
        factor *= (1j if is_second else 1) * (-1 if site in string else 1)
        flipped ^= {site}
        string ^= {*range(site + is_second)}
    # Z acts first, on x'
    sign = (-1) ** len(flipped & string)
    return sign * factor / 2 ** (len(majoranas) / 2), sorted(string)
