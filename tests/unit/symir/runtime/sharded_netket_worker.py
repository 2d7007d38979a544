"""Run by test_sharding.py: operators, and a variational state of NetKet, on devices.

    SYMIR_FUSED_LOCAL_ENERGY=0 python sharded_netket_worker.py DEVICES

Prints "agrees", as sharded_worker.py does, then "states agree" where they do.
"""

# pyright: basic

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

# It sets JAX up, and checks what needs no NetKet: a process takes seconds to start
import sharded_worker

assert sharded_worker.DEVICES > 1

import jax  # noqa: E402
import netket as nk  # noqa: E402
import numpy as np  # noqa: E402
from netket.vqs.mc import get_local_kernel as _get_local_kernel  # noqa: E402
from netket.vqs.mc import kernels  # noqa: E402

import symir as sym  # noqa: E402
from symir.interop.netket import local_energy_kernel  # noqa: E402

get_local_kernel: Any = _get_local_kernel
i, j = sym.site("i"), sym.site("j")


def spins() -> tuple[sym.SymbolicOperator, Any, Any]:
    """Matrix elements that are the same for every x beside those that are not."""
    hilbert, graph = nk.hilbert.Spin(0.5, 6), nk.graph.Chain(6)
    ising: Any = nk.operator.IsingJax
    ours = (
        sym.DOperator(hilbert, "ising", hermitian=True)
        .for_each_edge(graph)
        .emit(amplitude=i * j)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-sym.symbol("h", default=0.8))
        .build()
    )
    rule = nk.sampler.rules.LocalRule()
    return ours, ising(hilbert, graph, h=0.8, J=1.0), rule


def bosons() -> tuple[sym.SymbolicOperator, Any, Any]:
    """On a constrained space, with a fanout."""
    hilbert, graph = nk.hilbert.Fock(3, 4, n_particles=4), nk.graph.Chain(4)
    bose_hubbard: Any = nk.operator.BoseHubbardJax
    ours = (
        sym.DOperator(hilbert, "bosons", hermitian=True)
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 3) & ((i.index - j.index) % 2 == 1))
        .emit(sym.hop("i", "j"), amplitude=-sym.sqrt(i * (j + 1)))
        .fanout(8)
        .for_each_site("i")
        .emit(amplitude=1.0 * i * (i - 1))
        .build()
    )
    rule = nk.sampler.rules.ExchangeRule(graph=graph)
    return ours, bose_hubbard(hilbert, graph, U=2.0, J=1.0), rule


def close(ours, theirs) -> None:
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def check_kernel(state, op, x) -> None:
    """Local energies stay where their samples are, and no device asks another."""
    kernel = partial(local_energy_kernel, state._apply_fun, chunk_size=state.chunk_size)
    compiled = jax.jit(kernel).lower(state.variables, x, op).compile()
    text = compiled.as_text() or ""
    assert "ENTRY" in text
    assert not [name for name in sharded_worker.COLLECTIVES if name in text]
    assert compiled(state.variables, x, op).sharding.spec[0] == "S"


def networks() -> tuple[Any, Any]:
    """One whose ratios are products, and one whose differences are sums."""
    layers = {"hidden_dims": (20,), "hidden_activations": jax.numpy.tanh}
    return (
        nk.models.RBM(alpha=1, param_dtype=float),
        nk.models.MLP(**layers, param_dtype=float),
    )


def check(chunk_sizes, model, ours, theirs, rule) -> None:
    compiled, hilbert = ours.compile(), ours.hilbert
    sampler = nk.sampler.MetropolisSampler(hilbert, rule, n_chains=16, sweep_size=4)
    state = nk.vqs.MCState(
        sampler, model, n_samples=64, n_discard_per_chain=1, seed=1, sampler_seed=2
    )
    assert len(state.samples.sharding.device_set) == jax.device_count()
    x = state.samples.reshape(-1, hilbert.size)
    for found in jax.jit(lambda op, x: op.get_conn_padded(x))(compiled, x):
        assert len(found.sharding.device_set) == jax.device_count()
        assert found.sharding.spec[0] == "S", found.sharding
    expected, slope = state.expect_and_grad(theirs)
    for chunk_size in chunk_sizes:
        state.chunk_size = chunk_size
        check_kernel(state, compiled, x)
        energy, gradient = state.expect_and_grad(compiled)
        close((energy.mean, gradient), (expected.mean, slope))
        close(energy.variance, expected.variance)


class Refused(logging.Handler):
    """What falls back to NetKet's kernel is an error here."""

    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


def check_environment(model, ours, theirs, rule) -> None:
    """There local energies are said to be NetKet's, other than in a `with` block."""
    state = nk.vqs.MCState(nk.sampler.MetropolisSampler(ours.hilbert, rule), model)
    compiled = ours.compile()
    assert get_local_kernel(state, compiled) is kernels.local_value_kernel_jax
    with sym.fused_local_energy(True):
        assert get_local_kernel(state, compiled) is local_energy_kernel


logging.getLogger("symir.interop.netket").addHandler(Refused())
products, sums = networks()
assert os.environ["SYMIR_FUSED_LOCAL_ENERGY"] == "0"
check_environment(products, *spins())
with sym.fused_local_energy(True):
    check((None, 4), products, *spins())
    check((4,), sums, *bosons())
print("states agree", jax.device_count())
