"""A function of one's own, written in JAX: a coupling that falls off with distance.

    H = J sum_(i<j) g(j - i) Z_i Z_j - h sum_i X_i,    g(r) = exp(-(r / 2)**2)

JAX traces the function, and its StableHLO becomes part of the operator's IR. Any
function of scalars will do that is mathematics without loops, such as
`jax.scipy.special.erf`.

Run it with

    python examples/extensions/gaussian_coupling.py
"""

import jax
import jax.numpy as jnp
import numpy as np

import symir as sym


def in_numpy(r: np.float64) -> np.float64:
    """Return the coupling; `check_extension` compares it with what JAX makes of it."""
    return np.exp(-((r / 2) ** 2))


@sym.register_function("gaussian", reference=in_numpy, replace=True)
def gaussian(r: jax.Array) -> jax.Array:
    """Return the coupling at a distance."""
    return jnp.exp(-jnp.square(r / 2))


def gaussian_chain(n: int = 6, J: float = 1.0, h: float = 1.0) -> sym.SymbolicOperator:
    """Return the operator on an open chain of `n` sites."""
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, n), "gaussian_chain", hermitian=True)
        .for_each_unordered_pair("i", "j")
        .emit(amplitude=J * gaussian(j.index - i.index) * i.value * j.value)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-h)
        .build()
    )


if __name__ == "__main__":
    print(sym.check_extension("gaussian"))
    print(gaussian_chain().to_ir())
