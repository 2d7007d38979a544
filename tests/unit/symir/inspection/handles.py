"""The model library, lowered once for all tests of inspection."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np

import symir as sym
from symir import models
from tests.unit.symir.compiler.test_diagnostics import CHAIN, MODELS

OPTIONS = {"coalesce": "static", "opt_level": 3}


@cache
def operator(name: str) -> sym.SymbolicOperator:
    return MODELS[name]()


@cache
def handle(name: str) -> sym.LoweredOperator:
    return sym.lower(operator(name), coalesce="static", opt_level=3, batch=2)


@cache
def ising() -> sym.SymbolicOperator:
    """An operator with a parameter, and one constant of its own."""
    h = sym.symbol("h", default=0.25)
    return models.transverse_field_ising(4, CHAIN, J=0.5, h=h)


@cache
def lowered_ising() -> sym.LoweredOperator:
    return sym.lower(ising())


@cache
def energy() -> tuple[sym.LocalEnergy, np.ndarray, np.ndarray]:
    """A local energy, with parameters of its network and configurations."""

    def logpsi(w: Any, x: Any) -> Any:
        return jnp.log(jnp.cosh(x @ w)).sum(-1)

    w = np.linspace(-0.3, 0.4, 12).reshape(4, 3)
    return sym.LocalEnergy(ising(), logpsi), w, np.ones((2, 4), np.int8)


@cache
def lowered_energy() -> sym.LoweredOperator:
    return sym.lower(*energy())
