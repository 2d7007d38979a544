"""Local energies: values and all derivatives are those of plain JAX.

The oracle is written with `jax.numpy` alone, one configuration at a time.
"""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym

SITES = 3
EDGES = [(k, (k + 1) % SITES) for k in range(SITES)]
PARAMETERS = {"U": 1.3, "J": 0.0, "h": 0.7}
WEIGHTS = np.array([0.3, -1.1, 0.8])
i, j = sym.site("i"), sym.site("j")


@cache
def operator() -> Any:
    return (
        sym.DOperator(sym.spin(0.5, SITES), "model")
        .for_each(("i", "j"), over=EDGES)
        .emit(amplitude=-(i * j) * sym.symbol("U"))
        .emit(sym.swap("i", "j"), amplitude=sym.symbol("J") * (2 - i * j))
        .for_each_site("i")
        .emit(sym.write("i", -i), amplitude=-sym.symbol("h") * (1 + 0.3 * i))
        .build()
        .compile()
    )


X = np.array([[1, 1, -1], [-1, 1, 1], [-1, -1, 1]], np.int8)


def recognised(p: Any, x: Any) -> Any:
    return jnp.log(jnp.cosh(x @ p["W"] + p["b"])).sum(-1) + x @ p["a"]


def lifted(p: Any, x: Any) -> Any:
    return jnp.tanh(x @ p["W"] + p["b"]) @ p["c"]


def any_network(p: Any, x: Any) -> Any:
    return jnp.sin(jnp.sin(x @ p["W"] + p["b"]) @ p["c"])


NETWORKS = [recognised, lifted, any_network]
networks = pytest.mark.parametrize("logpsi", NETWORKS)


def network_parameters(*, is_complex: bool = False) -> dict[str, Any]:
    random = np.random.default_rng(3)
    shapes = {"W": (SITES, 3), "b": (3,), "a": (SITES,), "c": (3,)}
    real = {k: 0.4 * random.normal(size=shape) for k, shape in shapes.items()}
    if not is_complex:
        return real
    return {k: v + 0.2j * random.normal(size=v.shape) for k, v in real.items()}


Energies = Callable[[Any, Any, Any, Any], Any]


def ours(logpsi: Any, values: Any, p: Any, x: Any) -> Any:
    return sym.LocalEnergy(operator().replace(**values), logpsi)(p, x)


def plain(logpsi: Any, values: Any, p: Any, x: Any) -> Any:
    def one(x: Any) -> Any:
        pairs, amplitudes, total = [], [], 0.0
        for a, b in EDGES:
            pairs.append(x.at[a].set(x[b]).at[b].set(x[a]))
            amplitudes.append(values["J"] * (2 - x[a] * x[b]))
            total = total - values["U"] * x[a] * x[b]
        for a in range(SITES):
            pairs.append(x.at[a].set(-x[a]))
            amplitudes.append(-values["h"] * (1 + 0.3 * x[a]))
        before, after = logpsi(p, x), logpsi(p, jnp.stack(pairs))
        is_node = jnp.isneginf(jnp.real(after))
        ratios = jnp.exp(jnp.where(is_node, 0, after) - before)
        return total + jnp.stack(amplitudes) @ jnp.where(is_node, 0, ratios)

    return jax.vmap(one)(jnp.asarray(x, np.float64))


@cache
def expected_of_x(logpsi: Any) -> Any:
    """Return the energies of X."""
    return np.asarray(
        jax.jit(partial(plain, logpsi))(PARAMETERS, network_parameters(), X)
    )


def agree(transformed: Callable[[Energies], Any], expected: Any = None) -> None:
    if expected is None:
        expected = jax.jit(partial(transformed, plain))()
    found = jax.tree.leaves(jax.jit(partial(transformed, ours))())
    for a, b in zip(found, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def weighted(energies: Energies, logpsi: Any, x: Any = X) -> Callable[..., Any]:
    return lambda values, p: (energies(logpsi, values, p, x).real * WEIGHTS).sum()


@networks
@pytest.mark.parametrize("is_complex", [False, True])
def test_values_and_gradients(logpsi: Any, is_complex: bool):
    p = network_parameters(is_complex=is_complex)
    agree(
        lambda e: (
            e(logpsi, PARAMETERS, p, X),
            jax.grad(weighted(e, logpsi), (0, 1))(PARAMETERS, p),
        )
    )


@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev])
def test_holomorphic_jacobians(derivative: Any):
    p = network_parameters(is_complex=True)
    agree(
        lambda energies: derivative(
            lambda p: energies(recognised, PARAMETERS, p, X), holomorphic=True
        )(p)
    )


@networks
def test_forward_mode(logpsi: Any):
    p = network_parameters()
    agree(lambda e: jax.jacfwd(lambda v, p: e(logpsi, v, p, X), (0, 1))(PARAMETERS, p))


HESSIAN: list[Any] = []


def hessian_of_plain(find: Callable[[], Any]) -> Any:
    """Return the Hessian of the oracle, which is one whatever the way to it."""
    if not HESSIAN:
        HESSIAN.append(jax.jit(find)())
    return HESSIAN[0]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [(jax.jacfwd, jax.jacrev), (jax.jacrev, jax.jacfwd), (jax.jacrev, jax.jacrev)],
)
def test_second_derivatives(outer: Any, inner: Any):
    p = network_parameters()
    p = {name: p[name] for name in ("W", "a", "b")}

    def second(e: Energies, outer: Any = outer, inner: Any = inner) -> Any:
        return outer(inner(weighted(e, recognised), (0, 1)), (0, 1))(PARAMETERS, p)

    agree(second, hessian_of_plain(partial(second, plain, jax.jacfwd, jax.jacrev)))


@networks
def test_derivatives_by_configurations(logpsi: Any):
    # By x lanes move in another way: no table of differences is right
    p, x = network_parameters(), X.astype(float)
    agree(
        lambda e: (
            jax.jacfwd(lambda x: e(logpsi, PARAMETERS, p, x))(x),
            jax.grad(lambda x: weighted(e, logpsi, x)(PARAMETERS, p))(x),
        )
    )


def test_mixed_derivatives_by_configurations():
    # J is 0, and some swaps are of equal values
    p, x = network_parameters(), X.astype(float)

    def hessian(e: Energies) -> Any:
        def energy(x: Any, values: Any) -> Any:
            return weighted(e, any_network, x)(values, p)

        return jax.hessian(energy, (0, 1))(x, PARAMETERS)

    agree(hessian)


def test_many_parameters_at_once():
    p = network_parameters()
    many = jax.tree.map(lambda leaf: np.stack([leaf, 2 * leaf]), p)
    fields = np.arange(3.0)

    def of_field(e: Energies, h: Any, p: Any = p) -> Any:
        return weighted(e, recognised)({**PARAMETERS, "h": h}, p)

    agree(
        lambda e: (
            jax.vmap(lambda p: e(recognised, PARAMETERS, p, X))(many),
            jax.vmap(jax.grad(lambda p: of_field(e, 0.5, p)))(many),
            jax.vmap(jax.grad(lambda h: of_field(e, h)))(fields),
            jax.grad(lambda p: jax.vmap(lambda h: of_field(e, h, p))(fields).sum())(p),
        )
    )


def test_gradients_of_each_sample():
    p = network_parameters()
    found = jax.jit(
        jax.vmap(lambda x: jax.grad(lambda p: ours(recognised, PARAMETERS, p, x))(p))
    )(X)
    expected = jax.jit(jax.jacrev(lambda p: plain(recognised, PARAMETERS, p, X)))(p)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found, expected
    )


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3), (1, 1, 6)])
def test_batches(shape: tuple[int, ...]):
    p = network_parameters()
    x = np.resize(X, (*shape, SITES)).astype(np.float32)
    found = ours(recognised, PARAMETERS, p, x)
    assert found.shape == shape
    expected = np.resize(expected_of_x(recognised), shape)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_maps_over_nothing():
    p, x = network_parameters(), np.stack([X[:2]] * 3)[:0]
    found = jax.vmap(lambda one: ours(recognised, PARAMETERS, p, one))(x)
    assert found.shape == (0, 2)


def test_no_samples_have_no_gradient():
    p = network_parameters()
    found = jax.grad(lambda p: ours(recognised, PARAMETERS, p, X[:0]).sum())(p)
    assert all(not leaf.any() for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("logpsi", [recognised, any_network])
@pytest.mark.parametrize("chunk", [1, 5])
def test_chunks(logpsi: Any, chunk: int):
    p = network_parameters()
    energy = sym.LocalEnergy(operator().replace(**PARAMETERS), logpsi)
    np.testing.assert_allclose(energy(p, X, chunk), expected_of_x(logpsi), rtol=1e-12)


def test_a_chunk_is_what_the_network_sees_at_most():
    seen: list[int] = []

    def watched(p: Any, x: Any) -> Any:
        jax.debug.callback(partial(seen.append, x.shape[0]))
        return any_network(p, x)

    energy = sym.LocalEnergy(operator().replace(**PARAMETERS), watched)
    energy(network_parameters(), np.repeat(X, 8, axis=0), 5).block_until_ready()
    jax.effects_barrier()
    assert max(seen) == 5


@pytest.mark.parametrize("is_complex", [False, True])
def test_nodes_are_no_branches(is_complex: bool):
    def with_nodes(p: Any, x: Any) -> Any:
        return jnp.where(x.sum(-1) == 1, -jnp.inf, recognised(p, x))

    p = network_parameters(is_complex=is_complex)
    x = X[2:]
    values = {**PARAMETERS, "J": 0.4}

    def gradient(e: Energies) -> Any:
        return jax.grad(
            lambda values, p: e(with_nodes, values, p, x).real.sum(), (0, 1)
        )(values, p)

    agree(lambda e: (e(with_nodes, values, p, x), gradient(e)))


def test_a_zero_amplitude_is_zero_however_large_the_ratio():
    def steep(p: Any, x: Any) -> Any:
        return 800.0 * p * x.sum(-1)

    x = -np.ones((1, SITES), np.int8)
    values = {"U": 1.0, "J": 0.0, "h": 0.0}

    def energy(values: Any, p: Any) -> Any:
        return ours(steep, values, p, x)[0]

    assert energy(values, 1.0) == -SITES
    assert jax.grad(energy, 1)(values, 1.0) == 0
    # It is the derivative by the amplitude that is too large for a number
    assert jax.grad(energy)(values, 1.0)["h"] == -np.inf
    assert energy({**values, "h": 1.0}, 1.0) == -np.inf


def test_traced_values_that_a_function_holds_on_to():
    p = network_parameters()

    def energies(weights: Any, e: Energies) -> Any:
        def logpsi(rest: Any, x: Any) -> Any:
            return recognised({**rest, "W": weights}, x)

        rest = {name: leaf for name, leaf in p.items() if name != "W"}
        return e(logpsi, PARAMETERS, rest, X).sum()

    agree(
        lambda e: (
            energies(jnp.asarray(p["W"]), e),
            jax.grad(lambda w: energies(w, e))(p["W"]),
            jax.jvp(lambda w: energies(w, e), (p["W"],), (p["W"],)),
        )
    )


def test_inside_of_shard_map():
    mesh = jax.make_mesh((1,), ("S",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    p = network_parameters()

    def gradient(e: Energies) -> Any:
        of_device = jax.shard_map(
            lambda p, x: e(recognised, PARAMETERS, p, x),
            mesh=mesh,
            in_specs=(spec(), spec("S")),
            out_specs=spec("S"),
        )
        return jax.jit(jax.grad(lambda p: (of_device(p, X) * WEIGHTS).sum()))(p)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12),
        gradient(ours),
        jax.jit(jax.grad(lambda p: weighted(plain, recognised)(PARAMETERS, p)))(p),
    )


def test_a_delta_that_no_device_changes():
    """The same number everywhere, inside of `shard_map`."""
    mesh = jax.make_mesh((1,), ("S",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    op = (
        sym.DOperator(sym.spin(0.5, 4), "flips")
        .for_each_site("i")
        .emit(sym.write("i", -sym.site("i").value), amplitude=1.0)
        .build()
    )

    def logpsi(w: Any, x: Any) -> Any:
        return w * (x * x).sum(axis=-1)

    sym.register_delta(logpsi)(lambda w, x: (), lambda w, *changes: 0.0)
    energy = sym.LocalEnergy(op, logpsi)
    mapped = jax.shard_map(
        lambda w, x: energy(w, x),
        mesh=mesh,
        in_specs=(spec(), spec("S")),
        out_specs=spec("S"),
    )
    x = op.space.all_states()
    np.testing.assert_allclose(jax.jit(mapped)(0.3, x), 4.0)
