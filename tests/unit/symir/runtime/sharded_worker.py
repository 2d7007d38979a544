"""Run by test_sharding.py on several devices, in one process or in several.

    python sharded_worker.py DEVICES                       one process
    python sharded_worker.py DEVICES ADDRESS COUNT NUMBER  one of several

Prints "agrees" where everything holds.
"""

# pyright: basic

from __future__ import annotations

import sys
from typing import Any

import jax

DEVICES = int(sys.argv[1])
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", DEVICES)
if len(sys.argv) > 2:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import AxisType, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

import symir as sym  # noqa: E402

COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective",
    "reduce-scatter",
)
i, j = sym.site("i"), sym.site("j")
h = sym.symbol("h", default=0.7)
BOSONS, SPINS = sym.fock(3, 4), sym.spin(0.5, 4)
CONSERVED = sym.fock(3, 4, n_particles=5)


def hops(space: sym.Space = BOSONS) -> sym.DOperator:
    return (
        sym.DOperator(space, "op")
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 3))
        .emit(sym.hop("i", "j"), amplitude=h * sym.sqrt(i * (j + 1)))
    )


OPERATORS = {
    "branches": hops().build(),
    "fanout": hops().fanout(12).build(),
    "constraints": hops(CONSERVED).build(),
    "the same for every x": (
        sym.DOperator(SPINS, "op").for_each_site("i").emit(sym.flip("i"), amplitude=-1)
    ).build(),
    "reductions": (
        sym.DOperator(BOSONS, "op")
        .for_each_site("i")
        .emit(amplitude=h * sym.sum_(sym.here.value, over=sym.between("i", 3)))
        .build()
    ),
    "computed sites": (
        sym.DOperator(BOSONS, "op")
        .for_each_site("i")
        .emit(sym.swap("i", (i.index + i.value) % 4), amplitude=h + i)
        .build()
    ),
}


def spread(x: np.ndarray, mesh: jax.sharding.Mesh) -> jax.Array:
    """Return an array that is spread over the devices of all processes."""
    sharding = NamedSharding(mesh, P("S"))
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])


def agrees(found: jax.Array, expected: np.ndarray) -> bool:
    """Compare the parts that this process has."""
    return all(
        np.array_equal(np.asarray(part.data), expected[part.index])
        for part in found.addressable_shards
    )


def quietly(function: Any, *arguments: Any) -> Any:
    """Compile a function, once, in which no device asks another, and run it."""
    executable = jax.jit(function).lower(*arguments).compile()
    text = executable.as_text() or ""
    assert "ENTRY" in text
    assert not [one for one in COLLECTIVES if one in text], function
    return executable(*arguments)


def check(name: str, x: np.ndarray, kind: AxisType) -> None:
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(kind,))
    compiled = OPERATORS[name].compile()
    with jax.default_device(jax.local_devices()[0]):
        expected = [np.asarray(part) for part in compiled.get_conn_padded(x)]
    with jax.set_mesh(mesh):
        xs = spread(x, mesh)
        found = quietly(lambda op, x: op.get_conn_padded(x), compiled, xs)
        inside = jax.shard_map(
            lambda op, x: op.get_conn_padded(x),
            in_specs=(P(), P("S")),
            out_specs=P("S"),
            mesh=mesh,
        )
        mapped = quietly(inside, compiled, xs)
        unchecked = jax.jit(
            jax.shard_map(
                lambda op, x: jax.vmap(op.get_conn_padded)(x),
                in_specs=(P(), P("S")),
                out_specs=P("S"),
                mesh=mesh,
                check_vma=False,
            )
        )(compiled, xs)
    for results in (found, mapped, unchecked):
        for ours, theirs in zip(results, expected, strict=True):
            assert ours.sharding.spec[0] == "S", (name, kind, ours.sharding)
            assert agrees(ours, theirs), (name, kind)


def check_values() -> None:
    """One process sees what is outside of the space; of many none has all of x."""
    x = np.full((8 * jax.device_count(), 4), 9, np.int8)
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Auto,))
    is_found = False
    try:
        OPERATORS["branches"].compile().get_conn_padded(spread(x, mesh))
    except sym.InputError as error:
        is_found = error.code == "R007"
    assert is_found == (jax.process_count() == 1)


def check_gradient(x: np.ndarray) -> None:
    """The energy of all samples, differentiated by a coupling, on every device."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Auto,))
    compiled = OPERATORS["branches"].compile()

    def energy(op, x) -> jax.Array:
        return op.get_conn_padded(x)[1].sum()

    with jax.default_device(jax.local_devices()[0]):
        expected = jax.jit(jax.grad(energy))(compiled, x).parameters["h"]
        expected = np.asarray(expected)
    with jax.set_mesh(mesh):
        found = jax.jit(jax.grad(energy))(compiled, spread(x, mesh)).parameters["h"]
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12)


def check_tangents(x: np.ndarray) -> None:
    """Pushed forward by a coupling, and over many couplings: nobody has to talk."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Auto,))
    compiled = OPERATORS["fanout"].compile()

    def mels(value, x) -> jax.Array:
        return compiled.replace(h=value).get_conn_padded(x)[1]

    def pushed(value, x):
        return jax.jvp(lambda v: mels(v, x), (value,), (jnp.ones_like(value),))

    def swept(value, x):
        return jax.vmap(mels, (0, None), 1)(jnp.stack([value, 2 * value]), x)

    for function in (pushed, swept):
        with jax.default_device(jax.local_devices()[0]):
            expected = jax.jit(function)(jnp.float64(0.7), x)
            expected = jax.tree.map(np.asarray, expected)
        with jax.set_mesh(mesh):
            found = quietly(function, jnp.float64(0.7), spread(x, mesh))
        for ours, theirs in zip(
            jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
        ):
            assert ours.sharding.spec[0] == "S", ours.sharding
            for part in ours.addressable_shards:
                np.testing.assert_allclose(part.data, theirs[part.index], rtol=1e-12)


def check_energies() -> None:
    """Of axes that are Explicit, with derivatives: energies are where samples are."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Explicit,))
    x = SPINS.random_states(8 * jax.device_count(), seed=4)
    operator = OPERATORS["the same for every x"].compile()
    energy = sym.LocalEnergy(operator, lambda w, x: jnp.log(jnp.cosh(x @ w)).sum(-1))
    w = np.linspace(-0.5, 0.5, 12).reshape(4, 3)

    def total(w, x) -> jax.Array:
        return energy(w, x).sum()

    with jax.default_device(jax.local_devices()[0]):
        expected = np.asarray(energy(w, x))
        gradient = np.asarray(jax.jit(jax.grad(total))(w, x))
    with jax.set_mesh(mesh):
        found = energy(w, spread(x, mesh))
        assert found.sharding.spec[0] == "S", found.sharding
        rungs = [one.rung for one in energy.report(w, x, measure=False).parts]
        assert rungs == ["exponential"], rungs
        moved = jax.jit(jax.grad(total))(w, spread(x, mesh))
    for part in found.addressable_shards:
        np.testing.assert_allclose(part.data, expected[part.index], rtol=1e-12)
    np.testing.assert_allclose(np.asarray(moved), gradient, rtol=1e-12)


def main() -> None:
    # Neither kind of axes asks for the dtype of samples
    kinds = [(np.int8, AxisType.Auto), (np.float64, AxisType.Explicit)]
    for number, (name, operator) in enumerate(OPERATORS.items()):
        # One process compiles what each of several does, so these take turns
        for dtype, kind in [kinds[number % 2]] if jax.process_count() > 1 else kinds:
            x = operator.space.random_states(
                8 * jax.device_count(), seed=3, dtype=dtype
            )
            check(name, x, kind)
    x = BOSONS.random_states(8 * jax.device_count(), seed=4)
    check_gradient(x)
    if jax.process_count() == 1:
        # Each of several compiles the same
        check_tangents(x)
    check_values()
    check_energies()
    print("agrees", jax.device_count(), jnp.zeros(()).dtype, flush=True)


main()
