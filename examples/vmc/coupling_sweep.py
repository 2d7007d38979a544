"""An Ising ring through its transition: a sweep of the field under one compilation.

    python examples/vmc/coupling_sweep.py

The operator compiles once, and each h is another value of its parameter. The state of
one field is where the next one starts. All that JAX compiles, NetKet's part included,
it compiles for the first field.
"""

# pyright: basic

import argparse

import jax
import netket as nk
from netket.graph import Chain

import symir as sym
from symir.models import transverse_field_ising

N = 10
FIELDS = (2.0, 1.5, 1.0, 0.5, 0.2)


class Compilations:
    """Counts the programs that JAX compiles: a jitted function, once for each trace."""

    def __init__(self):
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event, duration, **_):
        self.count += event == "/jax/core/compile/backend_compile_duration"


def ising_ring(hilbert, graph):
    """H = -sum_<ij> Z Z - h sum_i X."""
    h = sym.symbol("h", default=1.0)
    return transverse_field_ising(hilbert, graph, J=-1.0, h=h)


def magnetisation(hilbert):
    """|sum_i Z_i| / N: no side of the ring's symmetry is preferred."""
    m = sym.sum_(sym.here.value) / hilbert.size
    return (
        sym.DOperator(hilbert, "magnetisation", hermitian=True)
        .globally()
        .emit(amplitude=abs(m))
        .build()
    )


def optimise(hamiltonian, state, optimizer, steps, show_progress):
    """Move a state towards the ground state of a Hamiltonian."""
    driver = nk.driver.VMC_SR(
        hamiltonian, optimizer, diag_shift=0.01, variational_state=state
    )
    driver.run(steps, show_progress=show_progress)


def exact(hamiltonian, observable):
    """Return the lowest energy and a mean value, from diagonalisation."""
    energies, vectors = nk.exact.lanczos_ed(hamiltonian, compute_eigenvectors=True)
    psi = vectors[:, 0]
    return energies[0], (psi.conj() @ (observable.to_sparse() @ psi)).real


def main(steps=40, show_progress=True):
    jax.config.update("jax_enable_x64", True)
    graph, hilbert = Chain(N), nk.hilbert.Spin(0.5, N)
    ising, m = ising_ring(hilbert, graph).compile(), magnetisation(hilbert).compile()
    sampler = nk.sampler.MetropolisLocal(hilbert, n_chains=16)
    model = nk.models.RBM(alpha=1, param_dtype=float)
    state = nk.vqs.MCState(sampler, model, n_samples=512, seed=3, sampler_seed=4)
    summed = nk.vqs.FullSumState(hilbert, model, variables=state.variables)
    optimizer = nk.optimizer.Sgd(learning_rate=0.05)
    compilations = Compilations()
    for h in FIELDS:
        before = compilations.count
        hamiltonian = ising.replace(h=h)
        optimise(hamiltonian, state, optimizer, steps, show_progress)
        summed.variables = state.variables
        energy, order = (float(summed.expect(o).mean.real) for o in (hamiltonian, m))
        compiled = compilations.count - before
        lowest, expected = exact(hamiltonian, m)
        error = abs(energy / lowest - 1)
        print(
            f"h = {h}: energy {energy:.5f}, error {error:.1e}, |m| {order:.4f}, "
            f"exact {expected:.4f}, {compiled} programs compiled"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=40, help="for each field")
    parser.add_argument("--no-progress", action="store_true", help="show no bars")
    arguments = parser.parse_args()
    main(arguments.steps, not arguments.no_progress)
