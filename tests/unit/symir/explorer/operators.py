"""Operators that the explorer is looked at with."""

from __future__ import annotations

from typing import Any

import numpy as np

import symir as sym
from symir import models

NASTY = "</script><img src=x onerror=alert(1)><!--"


def ring(n: int) -> list[tuple[int, int]]:
    return [(k, (k + 1) % n) for k in range(n)]


def square(length: int) -> list[tuple[int, int]]:
    along = [
        (k, (k // length) * length + (k + 1) % length) for k in range(length * length)
    ]
    return along + [(k, (k + length) % length**2) for k in range(length * length)]


def tfim(n: int = 8) -> sym.SymbolicOperator:
    i, j = sym.site("i").value, sym.site("j").value
    return (
        sym.DOperator(sym.spin(0.5, n), "tfim", hermitian=True)
        .for_each(("i", "j"), over=ring(n))
        .named("bonds")
        .emit(amplitude=i * j, tag="zz")
        .for_each_site("i")
        .named("field")
        .emit(sym.write("i", -i), amplitude=-sym.symbol("h", default=1.0), tag="flip")
        .build()
    )


def fermi_hubbard() -> sym.SymbolicOperator:
    return models.fermi_hubbard(16, square(4))


def flux_ring(n: int = 8, phi: float = 0.3) -> sym.SymbolicOperator:
    """Return hard-core bosons on a ring with a flux: its elements are complex."""
    i, j = sym.site("i"), sym.site("j")
    builder = sym.DOperator(sym.fock(1, n), "flux_ring", dtype="complex128")
    for source, target, sign in (("i", "j", 1), ("j", "i", -1)):
        occupied = (i == 1) & (j == 0) if sign > 0 else (j == 1) & (i == 0)
        builder = builder.for_each(("i", "j"), over=ring(n)).where(occupied)
        amplitude = -sym.exp(sign * 1j * sym.symbol("phi", default=phi))
        builder = builder.emit(sym.hop(source, target), amplitude=amplitude)
    return builder.build()


def nasty() -> sym.SymbolicOperator:
    """Return an operator whose names try to leave their places."""
    i = sym.site("i").value
    return (
        sym.DOperator(sym.spin(0.5, 4), NASTY)
        .for_each_site("i")
        .named(f"{NASTY} {{{{script}}}}")
        .emit(sym.write("i", -i), amplitude=2.0, tag=f"{NASTY} & '\"")
        .build()
    )


def one_by_one(count: int) -> sym.SymbolicOperator:
    """Return an operator with so many terms, of one row each."""
    i = sym.site("i").value
    builder = sym.DOperator(sym.spin(0.5, count), "one_by_one")
    for site in range(count):
        builder = builder.for_each("i", over=[site]).emit(amplitude=(1.0 + site) * i)
    return builder.build()


def energy() -> tuple[Any, dict[str, Any], Any]:
    """Return a local energy, parameters of its wavefunction, and configurations.

    One part of the network is a sum of log cosh, the other a perceptron of two layers.
    """
    import jax.numpy as jnp

    def logpsi(w: Any, x: Any) -> Any:
        hidden = jnp.tanh(jnp.tanh(x @ w["W"]) @ w["U"]) @ w["V"]
        return jnp.log(jnp.cosh(x @ w["R"])).sum(axis=-1) + hidden

    rng = np.random.default_rng(0)
    w = {
        "W": 0.1 * rng.normal(size=(8, 256)),
        "U": 0.1 * rng.normal(size=(256, 256)),
        "V": 0.1 * rng.normal(size=256),
        "R": 0.1 * rng.normal(size=(8, 16)),
    }
    op = tfim()
    return sym.LocalEnergy(op, logpsi), w, op.space.random_states(2, 0)
