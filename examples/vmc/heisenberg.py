"""The ground state of a Heisenberg ring by variational Monte Carlo with NetKet.

    python examples/vmc/heisenberg.py

Ten spins 1/2 in the sector of no magnetisation, a restricted Boltzmann machine and
stochastic reconfiguration. The last line compares with the exact energy.
"""

# pyright: basic

import argparse

import jax
import netket as nk
from netket.graph import Chain

import symir as sym

N = 10


def heisenberg_ring(hilbert, graph):
    """H = sum_<ij> Z Z - (X X + Y Y): rotated on every other site, so that psi > 0."""
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(hilbert, "heisenberg", hermitian=True)
        .for_each_edge(graph)
        .emit(amplitude=i * j)
        .emit_if(i != j, sym.swap("i", "j"), amplitude=-2.0)
        .build()
    )


def optimise(hamiltonian, graph, steps=40, show_progress=True):
    """Return the state after some steps of stochastic reconfiguration."""
    sampler = nk.sampler.MetropolisExchange(
        hamiltonian.hilbert, graph=graph, n_chains=16
    )
    model = nk.models.RBM(alpha=2, param_dtype=float)
    state = nk.vqs.MCState(sampler, model, n_samples=512, seed=1, sampler_seed=2)
    driver = nk.driver.VMC_SR(
        hamiltonian,
        nk.optimizer.Sgd(learning_rate=0.05),
        diag_shift=0.01,
        variational_state=state,
    )
    driver.run(steps, show_progress=show_progress)
    return state


def main(steps=40, show_progress=True):
    jax.config.update("jax_enable_x64", True)
    graph = Chain(N)
    hilbert = nk.hilbert.Spin(0.5, N, total_sz=0)
    hamiltonian = heisenberg_ring(hilbert, graph).compile()
    exact = float(nk.exact.lanczos_ed(hamiltonian)[0])
    state = optimise(hamiltonian, graph, steps, show_progress)
    summed = nk.vqs.FullSumState(hilbert, state.model, variables=state.variables)
    found = float(summed.expect(hamiltonian).mean.real)
    print(f"energy {found:.5f}, exact {exact:.5f}")
    print(f"relative error {abs(found - exact) / abs(exact):.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=40, help="of the driver")
    parser.add_argument("--no-progress", action="store_true", help="show no bars")
    arguments = parser.parse_args()
    main(arguments.steps, not arguments.no_progress)
