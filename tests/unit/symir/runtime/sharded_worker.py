"""Run by test_sharding.py on several devices, in one process or in several.

    python sharded_worker.py DEVICES                       one process
    python sharded_worker.py DEVICES ADDRESS COUNT NUMBER  one of several

Prints "agrees" where everything holds.
"""

# pyright: basic

from __future__ import annotations

import re
import sys
import tempfile
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
from jax.experimental.compilation_cache import compilation_cache  # noqa: E402
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


def products(w, x):
    """Log psi of which ratios are products."""
    return jnp.log(jnp.cosh(x @ w)).sum(-1)


def called(w, x):
    """Log psi that is called for every x', and loops from a constant on."""

    def layer(h, _):
        return jax.nn.gelu(jnp.square(h) + x @ w), None

    start = jnp.zeros((*x.shape[:-1], w.shape[1]))
    return jax.lax.scan(layer, start, length=3)[0].sum(-1)


def constrained(w, x):
    """Log psi that says where its values are, which no device can by itself."""
    return products(w, jax.lax.with_sharding_constraint(x, P(None, None)))


FLIPS = (
    sym.DOperator(SPINS, "flips")
    .for_each_site("i")
    .emit(sym.flip("i"), amplitude=-h)
    .for_each_site("i")
    .emit(amplitude=i * sym.site("i"))
    .build()
)
WEIGHTS = np.linspace(-0.5, 0.5, 12).reshape(4, 3)
SHARE = 64
"""Samples of each device: eight chunks, by the least budget."""


def energies(network: Any) -> Any:
    energy = sym.LocalEnergy(FLIPS, network, budget=1)
    return lambda w, x: energy(w, x)


def alone(function: Any, *arguments: Any) -> Any:
    """Return what one device finds."""
    with jax.default_device(jax.local_devices()[0]):
        return jax.tree.map(np.asarray, jax.jit(function)(*arguments))


def check_near(found: jax.Array, expected: np.ndarray) -> None:
    for part in found.addressable_shards:
        np.testing.assert_allclose(part.data, expected[part.index], rtol=1e-12)


def check_energies(network: Any, kind: AxisType) -> None:
    """Each device has its samples, chunks and live lanes, and asks no other."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(kind,))
    x = SPINS.random_states(SHARE * jax.device_count(), seed=4)
    function = energies(network)
    expected = alone(function, WEIGHTS, x)
    with jax.set_mesh(mesh):
        executable = jax.jit(function).lower(WEIGHTS, spread(x, mesh)).compile()
        found = executable(WEIGHTS, spread(x, mesh))
    text = executable.as_text() or ""
    assert not [one for one in COLLECTIVES if one in text], (network, kind)
    assert f"[{len(x)}," not in text
    assert f"[{SHARE},4]" in text
    turns = re.findall(r'"known_trip_count":{"n":"(\d+)"}', text)
    assert "8" in turns, turns
    assert str(len(x) // 8) not in turns, turns
    assert found.sharding.spec[0] == "S", found.sharding
    check_near(found, expected)


def check_derivatives() -> None:
    """A sum over samples is the only thing that devices need each other for."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Explicit,))
    x = SPINS.random_states(SHARE * jax.device_count(), seed=4)

    def total(value, w, x):
        operator = FLIPS.compile().replace(h=value)
        return sym.LocalEnergy(operator, products)(w, x, 4 * SHARE).sum()

    function = jax.grad(total, (0, 1))
    given = jnp.float64(0.7), WEIGHTS
    expected = alone(function, *given, x)
    with jax.set_mesh(mesh):
        executable = jax.jit(function).lower(*given, spread(x, mesh)).compile()
        found = executable(*given, spread(x, mesh))
    text = executable.as_text() or ""
    others = [one for one in COLLECTIVES if one in text and one != "all-reduce"]
    assert not others, others
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-11)


def check_where_it_is_for_all() -> None:
    """Energies of what no device can compute by itself, and of odd shares."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Auto,))
    x = SPINS.random_states(8 * jax.device_count(), seed=4)
    expected = energies(products)(WEIGHTS, x)[:-3]

    def of_some(w, x):
        return energies(constrained)(w, x)[:-3], energies(products)(w, x[:-3])

    with jax.set_mesh(mesh):
        for found in jax.jit(of_some)(WEIGHTS, spread(x, mesh)):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def check_old_values() -> None:
    """A network is of the values that it was traced with, on each device, too."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Auto,))
    x = SPINS.random_states(8 * jax.device_count(), seed=4)
    scale = [1.0]
    # Of all samples at once: each device calls it for another shape
    energy = sym.LocalEnergy(FLIPS, lambda w, x: scale[0] * called(w, x))
    expected = np.asarray(energy(WEIGHTS, x))
    function = jax.jit(lambda w, x: energy(w, x))
    traced = function.trace(WEIGHTS, spread(x, mesh))
    scale[0] = 0.5
    found = traced.lower().compile()(WEIGHTS, spread(x, mesh))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def check_cache() -> None:
    """Programs on disk are found again, and are of the function that is asked for."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(AxisType.Auto,))
    x = spread(SPINS.random_states(SHARE * jax.device_count(), seed=4), mesh)
    events: list[str] = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
    jax.config.update("jax_remove_custom_partitioning_ptr_from_cache_key", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()
        found = {}
        for name, scale in [("new", 1.0), ("again", 1.0), ("other", 0.5)]:
            function = energies(lambda w, x, scale=scale: scale * products(w, x))
            lowered = jax.jit(function).lower(WEIGHTS, x)
            events.clear()
            found[name] = np.asarray(lowered.compile()(WEIGHTS, x))
            is_hit = any(one.endswith("cache_hits") for one in events)
            assert is_hit == (name == "again"), name
        jax.config.update("jax_compilation_cache_dir", None)
    np.testing.assert_array_equal(found["new"], found["again"])
    assert np.abs(found["new"] - found["other"]).max() > 0.1


def masked(w: Any, x: Any) -> Any:
    """log psi of spins, each of which is drawn by those before."""
    h = x.astype(w.dtype) @ jnp.triu(w.T @ w, 1)
    return jax.nn.log_sigmoid(2 * x * h).sum(axis=-1) / 2


def check_samples(kind: AxisType) -> None:
    """Samples are those of one device, whatever the axes are."""
    mesh = jax.make_mesh((jax.device_count(),), ("S",), axis_types=(kind,))
    own = sym.Autoregressive(masked, sym.spin(0.5, 3))
    count, key = SHARE * jax.device_count(), jax.random.key(3)
    expected = own.sample(WEIGHTS, key, count)
    sharding = NamedSharding(mesh, P("S"))
    found = own.sample(WEIGHTS, key, count, chunk=8, sharding=sharding)
    lengths, both = (2, jax.device_count() // 2), (kind, AxisType.Auto)
    wide = jax.make_mesh(lengths, ("R", "T"), axis_types=both)
    other, _ = own.sample(WEIGHTS, key, count, sharding=NamedSharding(wide, P("T")))
    np.testing.assert_array_equal(np.asarray(other), np.asarray(expected[0]))
    for ours, theirs in zip(found, expected, strict=True):
        where: Any = ours.sharding
        assert where.spec[0] == "S", where
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-12)


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
    check_energies(called, AxisType.Auto)
    if jax.process_count() == 1:
        check_energies(products, AxisType.Explicit)
        for kind in (AxisType.Auto, AxisType.Explicit):
            check_samples(kind)
        check_derivatives()
        check_where_it_is_for_all()
        check_old_values()
        check_cache()
    print("agrees", jax.device_count(), jnp.zeros(()).dtype, flush=True)


main()
