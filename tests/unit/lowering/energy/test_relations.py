"""Each pass keeps the local energy of every configuration, whatever the wavefunction.

The interpreter computes it after each pass, op by op and with x' dense, and NetKet's
formula from the connected states of the interpreter of `sym`.
"""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import dense_matrix
from symir import models
from symir.compiler.local_energy import compile_energy
from symir.compiler.trace import Trace
from symir.runtime.importing import import_function
from tests.unit.lowering.energy.energies import interpreted

nk = pytest.importorskip("netket")

CHAIN = [(0, 1), (1, 2), (2, 0)]
OPERATORS: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "ising": lambda: models.transverse_field_ising(3, CHAIN, h=0.7),
    "heisenberg": lambda: models.heisenberg(3, CHAIN),
    "bosons": lambda: models.bose_hubbard(sym.fock(2, 3), CHAIN[:2]),
}
WAVEFUNCTIONS = {
    "rbm": lambda: nk.models.RBM(alpha=2, param_dtype=float),
    "complex rbm": lambda: nk.models.RBM(alpha=1, param_dtype=complex),
    "rbm mod phase": lambda: nk.models.RBMModPhase(alpha=1, param_dtype=float),
    "mlp": lambda: nk.models.MLP(
        hidden_dims=(6, 4), hidden_activations=jnp.tanh, param_dtype=float
    ),
}


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    with jax.enable_x64(True):
        yield


def model_of(name: str, sites: int) -> tuple[Callable[..., Any], Any]:
    """Return log psi of (parameters, x), and parameters of order 1."""
    rng = np.random.default_rng(3)
    x = np.ones((1, sites))
    if name == "linear":
        return lambda w, x: x @ w, rng.normal(size=sites)
    if name == "quadratic":
        return lambda w, x: ((x @ w) * x).sum(-1), rng.normal(size=(sites, sites))
    if name == "softplus":
        return (
            lambda p, x: (
                0.5 * jax.nn.softplus(x @ p["w"] + p["b"]).sum(-1) - (x @ p["a"])
            ),
            {
                "w": rng.normal(size=(sites, 5)),
                "b": rng.normal(size=5),
                "a": rng.normal(size=sites),
            },
        )
    model = WAVEFUNCTIONS[name]()
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)

    def drawn(leaf: Any) -> Any:
        values = rng.normal(size=leaf.shape)
        if leaf.dtype.kind == "c":
            values = values + 1j * rng.normal(size=leaf.shape)
        return (0.7 * values).astype(leaf.dtype)

    return model.apply, jax.tree.map(drawn, shapes)


@pytest.mark.parametrize("name", [*WAVEFUNCTIONS, "linear", "quadratic", "softplus"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_each_pass_keeps_the_energy(operator: str, name: str) -> None:
    symbolic = OPERATORS[operator]()
    space = symbolic.space
    states = np.asarray(space.all_states(), np.float64)
    logpsi, parameters = model_of(name, space.size)
    wavefunction = import_function(
        logpsi, parameters, jax.ShapeDtypeStruct((1, space.size), np.float64)
    )
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(parameters)]
    trace = Trace()
    compile_energy(symbolic.to_ir(), wavefunction, trace=trace)
    names = [stage.name for stage in trace.stages]
    found = {
        stage.name: interpreted(stage.module, states, leaves)
        for stage in trace.stages[names.index("bt-local-energy") :]
    }
    amplitudes = np.exp(np.asarray(jax.jit(logpsi)(parameters, states)))
    expected = dense_matrix(symbolic.to_ir().module) @ amplitudes / amplitudes
    assert {"bt-local-energy-coalesce", "apply-exponential-sums"} <= set(found)
    for pass_, energies in found.items():
        np.testing.assert_allclose(
            energies, expected, rtol=1e-10, atol=1e-10, err_msg=pass_
        )
