"""What the models conserve, on lattices far beyond dense matrices.

Each of at least 20,000 branches that change the configuration, from random ones through
the compiled kernel, is looked at. A charge is a number of the configuration that no
branch changes. A symmetry maps branches to branches, with the same matrix elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from symir import models

Array = npt.NDArray[Any]

BRANCHES = 2 * 10**4
"""So many branches are looked at, at least."""

LANES = 2**15
"""So many lanes are computed at once, at most."""


def square(length: int, dx: int = 1, dy: int = 0) -> list[tuple[int, int]]:
    """Return the bonds of a periodic square lattice: (dx, dy) and rotated by 90."""
    return [
        (x * length + y, (x + ax) % length * length + (y + ay) % length)
        for x, y in np.ndindex(length, length)
        for ax, ay in ((dx, dy), (-dy, dx))
    ]


def ring(n: int) -> list[tuple[int, int]]:
    return [(k, (k + 1) % n) for k in range(n)]


Draw = Callable[[sym.SymbolicOperator, int, np.random.Generator], Array]


def anywhere(
    operator: sym.SymbolicOperator, count: int, rng: np.random.Generator
) -> Array:
    return operator.space.random_states(count, rng)


def apart(
    operator: sym.SymbolicOperator, count: int, rng: np.random.Generator
) -> Array:
    """Draw configurations on a ring without two neighbours up."""
    x = anywhere(operator, count, rng)
    return x * (1 - np.roll(x, 1, axis=1))


def batches(
    operator: sym.SymbolicOperator, draw: Draw
) -> Iterator[tuple[Array, Array, Array, Callable[[Array], Any]]]:
    """Yield x, x', matrix elements and the kernel, until there are enough branches."""
    compiled = operator.compile()
    rng = np.random.default_rng(7)
    found = 0
    count = LANES // operator.max_conn_size
    for _ in range(100):
        x = draw(operator, count, rng)
        xp, mels = map(np.asarray, compiled.get_conn_padded(x))
        yield x, xp, mels, compiled.get_conn_padded
        found += int(changed(x, xp, mels).sum())
        if found >= BRANCHES:
            break
    assert found >= BRANCHES


def changed(x: Array, xp: Array, mels: Array) -> Array:
    """Return which lanes are branches to another configuration, of shape (B, K)."""
    return (mels != 0) & (xp != x[:, None]).any(axis=-1)


# ---- charges ----


def total(x: Array) -> Array:
    return x.sum(axis=-1, dtype=int)


def of_each_spin(x: Array) -> Array:
    """Count fermions whose spin up comes in the first half of the sites."""
    return x.reshape(*x.shape[:-1], 2, -1).sum(axis=-1, dtype=int)


def of_each_sign(x: Array) -> Array:
    return np.stack([(x == 1).sum(axis=-1), (x == -1).sum(axis=-1)], axis=-1)


def parity(x: Array) -> Array:
    return total(x) % 2


def excitations(x: Array) -> Array:
    """Return whether the photons and the spins up together are odd in number."""
    return (x[..., 0] + (x[..., 1:] == 1).sum(axis=-1)) % 2


def neighbours_up(x: Array) -> Array:
    return (x * np.roll(x, 1, axis=-1)).sum(axis=-1)


def gauss(x: Array) -> Array:
    return x.astype(int) @ models.divergence((4, 4)).T


def plaquette_signs(x: Array) -> Array:
    return x[..., models.plaquettes((6, 6))].prod(axis=-1)


CHARGES: dict[str, tuple[Callable[[], Any], Callable[[Array], Array], Draw]] = {
    "xxz": (
        lambda: models.xxz(36, square(6), delta=0.5, h=np.linspace(-1, 1, 36)),
        total,
        anywhere,
    ),
    "heisenberg": (lambda: models.heisenberg(36, square(6)), total, anywhere),
    "j1_j2": (lambda: models.j1_j2(36, (square(6), square(6, 1, 1))), total, anywhere),
    "bose_hubbard": (
        lambda: models.bose_hubbard(
            sym.fock(4, 16), square(4), V=0.5, phases=np.arange(32)
        ),
        total,
        anywhere,
    ),
    "fermi_hubbard": (
        lambda: models.fermi_hubbard(16, square(4)),
        of_each_spin,
        anywhere,
    ),
    "t_j": (lambda: models.t_j(16, square(4)), of_each_sign, anywhere),
    "syk": (lambda: models.syk(12, mu=0.3), total, anywhere),
    "majorana_syk": (lambda: models.majorana_syk(12), parity, anywhere),
    "dicke": (
        lambda: models.dicke(sym.fock(6, 1) * sym.spin(0.5, 20)),
        excitations,
        anywhere,
    ),
    "pxp": (lambda: models.pxp(30, ring(30)), neighbours_up, apart),
    "toric_code": (lambda: models.toric_code(72, (6, 6)), plaquette_signs, anywhere),
    "u1_gauge, s=1/2": (lambda: models.u1_gauge(32, (4, 4)), gauss, anywhere),
    "u1_gauge, s=3/2": (
        lambda: models.u1_gauge(sym.spin(1.5, 32), (4, 4)),
        gauss,
        anywhere,
    ),
}


@pytest.mark.parametrize("name", CHARGES)
def test_charges_stay(name: str) -> None:
    make, charge, draw = CHARGES[name]
    for x, xp, mels, _ in batches(make(), draw):
        sample, lane = np.nonzero(changed(x, xp, mels))
        np.testing.assert_array_equal(charge(xp[sample, lane]), charge(x)[sample])


@pytest.mark.parametrize("name", CHARGES)
def test_charges_are_not_the_same_everywhere(name: str) -> None:
    """A charge that all configurations share would be conserved by anything."""
    make, charge, _ = CHARGES[name]
    states = anywhere(make(), 100, np.random.default_rng(0))
    assert len(np.unique(charge(states), axis=0)) > 1


# ---- symmetries ----


def flipped(sites: Any, n: int) -> Callable[[Array], Array]:
    """Return the map that flips spins."""
    signs = np.ones(n, np.int8)
    signs[sites] = -1
    return lambda x: x * signs


def raised(q: int) -> Callable[[Array], Array]:
    return lambda x: ((x + 1) % q).astype(x.dtype)


def no_sign(x: Array) -> Array:
    return np.ones(x.shape[:-1])


def honeycomb(length: int) -> list[list[tuple[int, int]]]:
    """Return the bonds of a periodic honeycomb lattice, in directions x, y and z."""

    def site(x: int, y: int, k: int) -> int:
        return 2 * (x % length * length + y % length) + k

    cells = [*np.ndindex(length, length)]
    return [
        [(site(x, y, 0), site(x - dx, y - dy, 1)) for x, y in cells]
        for dx, dy in ((1, 0), (0, 1), (0, 0))
    ]


def flux(length: int) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return Kitaev's W_p of one hexagon, as a map of spins and its sign.

    W_p has at each corner the component of the bond that leads out of the hexagon:
    X at 0 and 3, Y at 1 and 4, Z at 2 and 5. Y is i z times a flip.
    """
    x_bonds, y_bonds, z_bonds = (dict(bonds) for bonds in honeycomb(length))
    back = {b: a for a, b in x_bonds.items()}
    corners = [0, z_bonds[0]]
    corners.append(back[corners[-1]])
    corners.append(y_bonds[corners[-1]])
    corners.append({b: a for a, b in z_bonds.items()}[corners[-1]])
    corners.append(x_bonds[corners[-1]])
    assert y_bonds[0] == corners[5]
    flips = [corners[k] for k in (0, 1, 3, 4)]
    signs = [corners[k] for k in (1, 2, 4, 5)]
    n = 2 * length**2
    return flipped(flips, n), lambda x: -x[..., signs].prod(axis=-1)


SYMMETRIES: dict[
    str,
    tuple[Callable[[], Any], Callable[[Array], Array], Callable[[Array], Array]],
] = {
    "transverse_field_ising": (
        lambda: models.transverse_field_ising(36, square(6), h=0.7),
        flipped(slice(None), 36),
        no_sign,
    ),
    "long_range_ising": (
        lambda: models.long_range_ising(24, 1.5),
        flipped(slice(None), 24),
        no_sign,
    ),
    "potts": (lambda: models.potts(sym.fock(2, 36), square(6)), raised(3), no_sign),
    "clock": (lambda: models.clock(sym.fock(4, 36), square(6)), raised(5), no_sign),
    "kitaev_honeycomb": (
        lambda: models.kitaev_honeycomb(32, honeycomb(4), J=(0.5, 0.9, -1.3)),
        *flux(4),
    ),
    **{
        f"{model.__name__}, vertex {vertex}": (
            lambda model=model: model(72, (6, 6), 1.3, 0.7),
            flipped([*models.stars((6, 6))[vertex]], 72),
            no_sign,
        )
        for model in (models.toric_code, models.z2_gauge)
        for vertex in (0, 20)
    },
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_symmetries_map_branches_to_branches(name: str) -> None:
    """<x| H |x'> = sign(x) sign(x') <Sx| H |Sx'>, where S |x> = sign(x) |Sx>."""
    make, image, sign = SYMMETRIES[name]
    for x, xp, mels, connected in batches(make(), anywhere):
        other_xp, other_mels = map(np.asarray, connected(image(x)))
        np.testing.assert_array_equal(other_xp, image(xp))
        expected = sign(x)[:, None] * sign(xp) * other_mels
        np.testing.assert_allclose(mels, expected, rtol=0, atol=1e-12)


def test_what_is_not_conserved_is_noticed() -> None:
    """The transverse field flips one spin."""
    operator = models.transverse_field_ising(8, ring(8))
    for x, xp, mels, _ in batches(operator, anywhere):
        sample, lane = np.nonzero(changed(x, xp, mels))
        assert (total(xp[sample, lane]) != total(x)[sample]).all()
