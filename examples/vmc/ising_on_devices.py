"""A transverse-field Ising chain on eight devices, and its couplings swept over.

    python examples/vmc/ising_on_devices.py

NetKet spreads its samples over all devices; here eight are made of the host. The
operator compiles once: each h is another value of a parameter.
"""

# pyright: basic

import argparse

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 8)

import netket as nk  # noqa: E402
from netket.graph import Chain  # noqa: E402

import symir as sym  # noqa: E402

N = 10


def ising_chain(hilbert, graph):
    """H = -sum_<ij> Z Z - h sum_i X."""
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(hilbert, "ising", hermitian=True)
        .for_each_edge(graph)
        .emit(amplitude=-(i * j))
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-sym.symbol("h", default=1.0))
        .build()
    )


def main(steps=60, show_progress=True):
    graph = Chain(N)
    hilbert = nk.hilbert.Spin(0.5, N)
    compiled = ising_chain(hilbert, graph).compile()
    print(f"{jax.device_count()} devices")
    for h in (0.5, 1.0, 2.0):
        hamiltonian = compiled.replace(h=h)
        exact = float(nk.exact.lanczos_ed(hamiltonian)[0])
        sampler = nk.sampler.MetropolisLocal(hilbert, n_chains=32)
        model = nk.models.RBM(alpha=1, param_dtype=float)
        state = nk.vqs.MCState(sampler, model, n_samples=512, seed=3, sampler_seed=4)
        driver = nk.driver.VMC_SR(
            hamiltonian,
            nk.optimizer.Sgd(learning_rate=0.05),
            diag_shift=0.01,
            variational_state=state,
        )
        driver.run(steps, show_progress=show_progress)
        summed = nk.vqs.FullSumState(hilbert, state.model, variables=state.variables)
        found = float(summed.expect(hamiltonian).mean.real)
        error = abs(found - exact) / abs(exact)
        print(f"h = {h}: energy {found:.5f}, exact {exact:.5f}, error {error:.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=60, help="for each field")
    parser.add_argument("--no-progress", action="store_true", help="show no bars")
    arguments = parser.parse_args()
    main(arguments.steps, not arguments.no_progress)
