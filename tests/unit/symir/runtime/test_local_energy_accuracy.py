# pyright: basic
"""How accurate energies of large weights are, against an extended precision.

The ratio of two products of cosh can be computed in ways that are equal on paper.
`cosh(d) + tanh(t) sinh(d)` for cosh(t + d) / cosh(t) cancels where t and d are large
and of opposite sign; what is compiled must not.
"""

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from symir.models import heisenberg

LENGTH, ALPHA, SAMPLES, LARGEST = 4, 4, 32, 2.0
SITES = LENGTH**2

TOLERANCE = {np.float64: 1e-12, np.float32: 5e-5}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))


def bonds():
    graph = nk.graph.Square(LENGTH)
    return np.array(graph.edges())


def configurations():
    rng = np.random.default_rng(3)
    half = np.repeat(np.array([-1, 1], np.int8), SITES // 2)
    return rng.permuted(np.tile(half, (SAMPLES, 1)), axis=1)


def parameters(dtype):
    """Return a kernel, hidden and visible biases of an RBM, all |W| <= 2."""
    rng = np.random.default_rng(4)
    shapes = ((SITES, ALPHA * SITES), (ALPHA * SITES,), (SITES,))
    return tuple(
        rng.uniform(-LARGEST, LARGEST, shape).astype(dtype) for shape in shapes
    )


def energies_by(log_ratio, x):
    """Return the energies of sum_<ij> sigma_i . sigma_j, given log psi(x') / psi(x).

    Opposite spins of a bond are exchanged with an amplitude of 2.
    """
    found = []
    for one in x.astype(int):
        i, j = bonds().T
        diagonal = (one[i] * one[j]).sum()
        exchanged = []
        for a, b in bonds():
            if one[a] != one[b]:
                other = one.copy()
                other[[a, b]] = one[[b, a]]
                exchanged.append(other)
        logs = log_ratio(one, np.array(exchanged))
        found.append(diagonal + 2 * np.exp(logs).sum())
    return np.array(found)


def exact_energies(dtype, x):
    """Return energies in extended precision, of parameters as a dtype has them."""
    kernel, hidden, visible = (one.astype(np.longdouble) for one in parameters(dtype))

    def log_psi(x):
        theta = x.astype(np.longdouble) @ kernel + hidden
        log_cosh = np.logaddexp(theta, -theta) - np.log(np.longdouble(2))
        return log_cosh.sum(axis=-1) + x @ visible

    return energies_by(lambda one, others: log_psi(others) - log_psi(one), x)


def energies_by_tanh(dtype, x):
    """Return energies by products of cosh(d) + tanh(t) sinh(d), all in a dtype."""
    kernel, hidden, visible = parameters(dtype)

    def log_ratio(one, others):
        theta = one.astype(dtype) @ kernel + hidden
        step = (others - one).astype(dtype)
        change = step @ kernel
        factors = np.cosh(change) + np.tanh(theta) * np.sinh(change)
        return np.log(np.abs(factors)).sum(axis=-1) + step @ visible

    return energies_by(log_ratio, x)


def relative_error(energies, exact):
    return np.max(np.abs((energies - exact) / exact))


@pytest.fixture(scope="module", autouse=True)
def in_double_precision():
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@DTYPES
def test_energies_of_large_weights_are_accurate(dtype):
    kernel, hidden, visible = parameters(dtype)
    variables = {
        "params": {
            "Dense": {"kernel": kernel, "bias": hidden},
            "visible_bias": visible,
        }
    }
    module = nk.models.RBM(alpha=ALPHA, param_dtype=dtype)
    energy = sym.LocalEnergy(heisenberg(SITES, bonds()), module.apply)
    x = configurations()
    found = np.asarray(energy(variables, jnp.asarray(x)))
    exact = exact_energies(dtype, x)
    assert relative_error(found, exact) <= TOLERANCE[dtype]


@DTYPES
def test_the_form_with_tanh_is_not_accurate(dtype):
    x = configurations()
    exact = exact_energies(dtype, x)
    assert not relative_error(energies_by_tanh(dtype, x), exact) <= TOLERANCE[dtype]
