# pyright: basic
"""Variational Monte Carlo: iterations per second with the operator as the only change.

`python -m benchmarks.vmc` runs `netket.driver.VMC_SR` on the Heisenberg model on 8x8
sites, with a restricted Boltzmann machine of density 4, once with NetKet's operator and
once with `sym.from_netket` of it. Iterations take turns; the states are seeded alike.
"""

from __future__ import annotations

import argparse
from statistics import median

import jax
import netket as nk

import symir as sym
from benchmarks.harness import environment, interleave

SIDE = 8
SAMPLES = 1024


def driver(operator, hilbert, chunk_size: int | None):
    """Return a driver of a fresh state for an operator."""
    sampler = nk.sampler.MetropolisExchange(
        hilbert, graph=nk.graph.Square(SIDE), n_chains=64
    )
    vstate = nk.vqs.MCState(
        sampler,
        nk.models.RBM(alpha=4, param_dtype=float),
        n_samples=SAMPLES,
        chunk_size=chunk_size,
        seed=0,
        sampler_seed=1,
    )
    return nk.driver.VMC_SR(
        operator, nk.optimizer.Sgd(0.01), diag_shift=0.01, variational_state=vstate
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    hilbert = nk.hilbert.Spin(0.5, SIDE * SIDE, total_sz=0)
    theirs = nk.operator.Heisenberg(hilbert, nk.graph.Square(SIDE)).to_jax_operator()
    ours = sym.from_netket(theirs).compile()
    drivers = {
        "symir": driver(ours, hilbert, None),
        "NetKet": driver(theirs, hilbert, None),
        "NetKet, chunk_size=1024": driver(theirs, hilbert, 1024),
    }

    def iteration(one):
        one.run(1, out=nk.logging.RuntimeLog(), show_progress=False)
        return jax.tree.leaves(one.state.parameters)

    functions = {name: lambda one=one: iteration(one) for name, one in drivers.items()}
    seconds = interleave(functions, rounds=rounds, turn=1.0)
    print(environment())
    own = median(seconds["symir"])
    for name, values in seconds.items():
        taken = median(values)
        print(f"{name:24s} {1 / taken:6.2f} iterations/s, x{taken / own:.2f}")


if __name__ == "__main__":
    main()
