"""An inverse problem: find the couplings of a Hamiltonian from its energies.

    python examples/vmc/learn_couplings.py

The energies of random product states are known for a transverse-field Ising chain with
unknown J and h. Gradients by the couplings of the compiled operator find both.
"""

# pyright: basic

import jax
import jax.numpy as jnp
import numpy as np

import symir as sym

N = 8
TRUTH = {"J": 1.3, "h": 0.4}


def chain():
    """H = -J sum Z Z - h sum X on a ring."""
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, N), "chain", hermitian=True)
        .for_each(("i", "j"), over=[(k, (k + 1) % N) for k in range(N)])
        .emit(amplitude=-sym.symbol("J", default=1.0) * i * j)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-sym.symbol("h", default=1.0))
        .build()
    )


def log_psi(angles, x):
    """A product state: cos of an angle for a spin up, sin for one down."""
    up, down = jnp.log(jnp.cos(angles)), jnp.log(jnp.sin(angles))
    return jnp.where(x > 0, up, down).sum(axis=-1)


def energy(operator, angles, states):
    """<O> in a product state, summed over all configurations."""
    xp, mels = operator.get_conn_padded(states)
    ratio = jnp.exp(log_psi(angles, xp) - log_psi(angles, states)[:, None])
    weight = jnp.exp(2 * log_psi(angles, states))
    return (weight * (mels * ratio).sum(axis=-1)).sum()


def main(steps=300):
    jax.config.update("jax_enable_x64", True)
    compiled = chain().compile()
    states = jnp.asarray(chain().space.all_states())
    angles = jnp.asarray(np.random.default_rng(0).uniform(0.2, 1.3, (16, N)))
    energies = jax.vmap(energy, (None, 0, None))
    measured = energies(compiled.replace(**TRUTH), angles, states)

    @jax.jit
    def step(operator):
        def loss(operator):
            found = energies(operator, angles, states)
            return ((found - measured) ** 2).mean()

        value, gradient = jax.value_and_grad(loss)(operator)
        better = jax.tree.map(lambda p, g: p - 0.02 * g, operator, gradient)
        return value, better

    for _ in range(steps):
        value, compiled = step(compiled)
    found = {name: float(p) for name, p in compiled.parameters.items()}
    print(f"loss {float(value):.1e}, couplings", end=" ")
    print(", ".join(f"{name} = {p:.4f}" for name, p in found.items()))
    print("errors", {name: f"{abs(found[name] - TRUTH[name]):.0e}" for name in TRUTH})


if __name__ == "__main__":
    main()
