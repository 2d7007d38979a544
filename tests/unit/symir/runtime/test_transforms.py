"""Derivatives and vectorisation: a compiled operator is any other function of JAX."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import symir as sym
from dialects.interpreters.sym import connections
from symir.errors import NotDifferentiable

i, j = sym.site("i"), sym.site("j")
h = sym.symbol("h", default=0.7)
t = sym.symbol("t", default=0.3)
SPACE = sym.fock(3, 4)
X = SPACE.random_states(6, seed=1)


def smooth(**options: Any) -> sym.SymbolicOperator:
    """Depends on h and t, with guards that hide singularities."""
    return (
        sym.DOperator(SPACE, "smooth", **options)
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 3))
        .emit(sym.hop("i", "j"), amplitude=t * sym.sqrt(h * i * (j + 1)))
        .for_each_site("i")
        .where(i != 0)
        .emit(amplitude=sym.exp(h) / i + t**2 / (i * h))
        .for_each_site("i")
        .emit(amplitude=sym.where(i > 0, sym.log(h * i), 0.0))
        .build()
    )


@cache
def compiled() -> Any:
    """Return it compiled: once JAX is set to 64 bits, and not before."""
    return smooth().compile()


WEIGHTS = np.cos(np.arange(X.shape[0] * smooth().max_conn_size)).reshape(X.shape[0], -1)


def total(parameters: dict[str, Any], x: Any = X) -> jax.Array:
    """Return a number that every matrix element has a say in."""
    _, mels = compiled().replace(**parameters).get_conn_padded(x)
    return (mels * WEIGHTS).sum()


POINT = {"h": np.float64(0.7), "t": np.float64(0.3)}


def difference(function: Any, at: dict[str, Any], name: str, step: float) -> Any:
    up, down = dict(at), dict(at)
    up[name], down[name] = at[name] + step, at[name] - step
    return (function(up) - function(down)) / (2 * step)


def executables(function: Any) -> int:
    """Return how many times a function of `jax.jit` has been compiled."""
    return function._cache_size()


# region First derivatives


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd, jax.jacrev])
def test_first_derivatives(derivative: Any):
    found = derivative(total)(POINT)
    for name in POINT:
        expected = difference(total, POINT, name, 1e-6)
        assert np.isfinite(found[name])
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


@cache
def hessian() -> Any:
    return jax.jit(jax.hessian(total))(POINT)


def test_second_derivatives():
    gradient = jax.jit(jax.grad(total))
    for first, second in product(POINT, repeat=2):
        found = hessian()[first][second]
        expected = difference(
            lambda p, first=first: gradient(p)[first], POINT, second, 1e-6
        )
        assert np.isfinite(found)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: jax.jacfwd(jax.jacrev(f)),
        lambda f: jax.jacrev(jax.jacrev(f)),
        lambda f: jax.jacrev(jax.jacfwd(f)),
    ],
    ids=["forward over reverse", "reverse over reverse", "reverse over forward"],
)
def test_second_derivatives_do_not_depend_on_the_way(derivative: Any):
    found = jax.jit(derivative(total))(POINT)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12), found, hessian()
    )


def test_forward_and_reverse_agree():
    tangent = {"h": np.float64(0.4), "t": np.float64(-1.3)}
    _, pushed = jax.jvp(total, (POINT,), (tangent,))
    pulled = jax.grad(total)(POINT)
    np.testing.assert_allclose(
        pushed, sum(pulled[name] * tangent[name] for name in tangent), rtol=1e-12
    )


def test_the_derivative_of_a_compiled_operator_is_one():
    gradient = jax.grad(lambda op: (op.get_conn_padded(X)[1] * WEIGHTS).sum())(
        compiled()
    )
    assert isinstance(gradient, type(compiled()))
    for name, value in jax.grad(total)(POINT).items():
        np.testing.assert_allclose(gradient.parameters[name], value, rtol=1e-12)


def test_derivatives_by_x():
    """In x of a floating dtype; guarded singularities stay finite."""
    x = X.astype(np.float64)
    found = jax.grad(partial(total, POINT))(x)
    assert np.isfinite(found).all()
    for sample, site in [(0, 0), (3, 2), (5, 1)]:
        if x[sample, site] == 0:  # at the edge of a guard
            continue
        step = np.zeros_like(x)
        step[sample, site] = 1e-7
        # Off the lattice of local values branches would leave the space.
        mels = [_amplitudes(x + sign * step) for sign in (1, -1)]
        expected = ((mels[0] - mels[1]) * WEIGHTS).sum() / 2e-7
        np.testing.assert_allclose(found[sample, site], expected, rtol=1e-5)


def _amplitudes(x: np.ndarray) -> np.ndarray:
    """The matrix elements of `smooth` written out, without the space."""
    n = x.shape[-1]
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    hv, tv = POINT["h"], POINT["t"]
    columns = [
        np.where(
            (X[:, a] > 0) & (X[:, b] < 3),
            tv * np.sqrt(hv * np.where(X[:, a] > 0, x[:, a], 1) * (x[:, b] + 1)),
            0,
        )
        for a, b in pairs
    ]
    safe = np.where(X != 0, x, 1)
    diagonal = np.where(X != 0, np.exp(hv) / safe + tv**2 / (safe * hv), 0)
    logs = np.where(X > 0, np.log(hv * safe), 0)
    return np.concatenate([np.stack(columns, -1), diagonal, logs], axis=-1)


def test_x_prime_follows_x():
    operator = (
        sym.DOperator(sym.spin(0.5, 3), "op")
        .for_each_site("i")
        .emit(sym.write("i", -i))
    ).build()
    jacobian = jax.jacfwd(lambda x: operator.compile().get_conn_padded(x)[0])(
        np.ones(3)
    )
    expected = np.stack([np.diag(1.0 - 2.0 * np.eye(3)[k]) for k in range(3)])
    np.testing.assert_array_equal(jacobian, expected)


def test_integers_have_no_tangents():
    (_, mels), (states, tangent) = jax.jvp(
        lambda op: op.get_conn_padded(X), (compiled(),), (compiled(),)
    )
    assert states.dtype == jax.dtypes.float0
    assert tangent.shape == mels.shape


def test_complex_parameters():
    z = sym.symbol("z", default=0.3 + 0.4j)
    operator = (
        sym.DOperator(SPACE, "op", dtype="complex128")
        .for_each_site("i")
        .emit(amplitude=z**2 * i + sym.conj(z))
        .build()
    ).compile()

    def energy(value: Any) -> Any:
        return (jnp.abs(operator.replace(z=value).get_conn_padded(X)[1]) ** 2).sum()

    def by_hand(value: Any) -> Any:
        return (jnp.abs(value**2 * X + jnp.conj(value)) ** 2).sum()

    at = np.complex128(0.2 - 0.7j)
    found, expected = jax.jit(lambda z: (jax.grad(energy)(z), jax.grad(by_hand)(z)))(at)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# endregion
# region What has no derivative


@pytest.mark.parametrize(
    "amplitude",
    [h // 1 + i, (h + i) % 2, sym.sign(h) * i, h * i + sym.sign(h)],
    ids=["floor", "remainder", "sign", "beside a smooth path"],
)
@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd, jax.hessian])
def test_steps_have_no_derivative(amplitude: sym.Expr, derivative: Any):
    operator = sym.DOperator(SPACE, "steps").for_each_site("i")
    steps = operator.emit(amplitude=amplitude).build().compile()
    with pytest.raises(NotDifferentiable) as caught:
        derivative(lambda v: steps.replace(h=v).get_conn_padded(X)[1].sum())(0.5)
    assert caught.value.code == "R011"
    assert caught.value.operator == "steps"
    assert "steps/term0/emit0" in str(caught.value)


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
@pytest.mark.parametrize(
    ("update", "amplitude"),
    [
        (sym.Update(), h * (i // 2)),
        (sym.Update(), h * i + i % 2),
        (sym.Update(), sym.site(i.value).value),
        (sym.shift_mod("i", 1), h * i),
    ],
    ids=["floor", "beside a smooth path", "a computed site", "x'"],
)
def test_steps_in_x_have_no_derivative(derivative: Any, update: Any, amplitude: Any):
    op = sym.DOperator(SPACE, "op").for_each_site("i")
    steps = op.emit(update, amplitude=amplitude).build().compile()

    def total(x: Any) -> jax.Array:
        connected, mels = steps.get_conn_padded(x)
        return connected.sum() + mels.sum()

    with pytest.raises(NotDifferentiable, match="R011"):
        derivative(total)(X.astype(np.float64))


def test_rounding_to_a_site_has_no_derivative():
    """Which site is read changes in steps: 0 would hide that."""
    operator = sym.DOperator(SPACE, "op").globally()
    chosen = operator.emit(amplitude=h * sym.site(2 * h).value).build().compile()
    with pytest.raises(NotDifferentiable, match="convert"):
        jax.grad(lambda v: chosen.replace(h=v).get_conn_padded(X)[1].sum())(0.5)


def test_sixty_four_bits_are_not_run_in_thirty_two():
    operator = compiled()
    with jax.enable_x64(False), pytest.raises(sym.InputError, match="R012"):
        operator.get_conn_padded(X)


def test_steps_that_decide_are_no_obstacle():
    """A predicate has no derivative, and needs none."""
    operator = (
        sym.DOperator(SPACE, "op")
        .for_each_site("i")
        .where(h // 1 == 0)
        .emit(amplitude=h * h * i)
        .build()
    ).compile()
    found = jax.grad(lambda v: operator.replace(h=v).get_conn_padded(X)[1].sum())(0.5)
    np.testing.assert_allclose(found, float(X.sum()))


def test_steps_elsewhere_are_no_obstacle():
    """Of x alone: h is what is differentiated by."""
    operator = (
        sym.DOperator(SPACE, "op").for_each_site("i").emit(amplitude=h * (i // 2))
    ).build()
    found = jax.grad(
        lambda v: operator.compile().replace(h=v).get_conn_padded(X)[1].sum()
    )(0.5)
    np.testing.assert_allclose(found, float((X // 2).sum()))


# endregion
# region Other transformations


def test_vmap_over_parameters():
    values = np.linspace(0.1, 2.0, 7)
    found = jax.vmap(lambda v: compiled().replace(h=v).get_conn_padded(X))(values)
    for k, value in enumerate(values):
        expected = compiled().replace(h=value).get_conn_padded(X)
        np.testing.assert_array_equal(found[0][k], expected[0])
        np.testing.assert_allclose(found[1][k], expected[1], rtol=1e-12)


def test_vmap_over_the_last_axis_of_x():
    found = jax.vmap(lambda x: compiled().get_conn_padded(x)[1], in_axes=1)(X.T)
    np.testing.assert_array_equal(found, compiled().get_conn_padded(X)[1])


def test_vmap_of_a_gradient():
    values = np.linspace(0.1, 2.0, 5)
    gradient = jax.grad(lambda v: total({"h": v, "t": POINT["t"]}))
    found = jax.vmap(gradient)(values)
    jitted = jax.jit(gradient)
    expected = [jitted(value) for value in values]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_thousand_couplings_are_one_compilation():
    traces = 0

    @jax.jit
    def sweep(values: jax.Array) -> jax.Array:
        nonlocal traces
        traces += 1
        return jax.vmap(lambda v: total({"h": v, "t": POINT["t"]}))(values)

    found = sweep(np.linspace(0.1, 2.0, 1000))
    sweep(np.linspace(0.2, 3.0, 1000))
    assert found.shape == (1000,)
    assert traces == executables(sweep) == 1
    np.testing.assert_allclose(found[0], total({"h": 0.1, "t": POINT["t"]}), rtol=1e-10)


def test_a_hundred_values_are_one_trace():
    traces = 0

    @jax.jit
    def energy(operator: Any) -> jax.Array:
        nonlocal traces
        traces += 1
        return operator.get_conn_padded(X)[1].sum()

    for value in np.linspace(0.1, 2.0, 100):
        energy(compiled().replace(h=value))
    energy(smooth().compile(cache=False))
    assert traces == executables(energy) == 1


def test_shapes_without_values():
    states, mels = jax.eval_shape(lambda op, x: op.get_conn_padded(x), compiled(), X)
    assert states.shape == (6, compiled().max_conn_size, 4)
    assert (states.dtype, mels.dtype) == (X.dtype, np.float64)


def test_compiled_ahead_of_time():
    ahead = jax.jit(lambda op, x: op.get_conn_padded(x)).lower(compiled(), X).compile()
    for ours, theirs in zip(
        ahead(compiled(), X), compiled().get_conn_padded(X), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    text = ahead.as_text()
    assert text is not None
    assert "custom-call" not in text


def test_a_gradient_holds_no_custom_call():
    text = jax.jit(jax.grad(total)).lower(POINT).compile().as_text()
    assert text is not None
    assert "custom-call" not in text


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_copies_have_the_same_derivatives(again: Any):
    twin = again(compiled().replace(h=0.2))
    found = jax.grad(lambda op: op.get_conn_padded(X)[1].sum())(twin)
    expected = jax.grad(lambda op: op.get_conn_padded(X)[1].sum())(
        compiled().replace(h=0.2)
    )
    np.testing.assert_allclose(found.parameters["h"], expected.parameters["h"])


def test_the_leaves_are_arrays_and_floats():
    leaves = jax.tree.leaves(compiled())
    assert len(leaves) == 2
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves)


def test_empty_batches_have_derivatives():
    empty = X[:0]
    found = jax.grad(lambda op: op.get_conn_padded(empty)[1].sum())(compiled())
    assert float(found.parameters["h"]) == 0.0


def test_fanouts_have_derivatives():
    builder = sym.DOperator(SPACE, "op").for_each_site("i").where(i > 1)
    narrow = builder.emit(amplitude=h**2 * i).fanout(3).build().compile()
    x = X[(X > 1).sum(-1) <= 3]
    found = jax.grad(lambda v: narrow.replace(h=v).get_conn_padded(x)[1].sum())(0.5)
    np.testing.assert_allclose(found, float(np.where(x > 1, x, 0).sum()))


# endregion
# region Operators of many kinds, against loops and differences


@dataclass(frozen=True)
class Case:
    """An operator, its parameters' values and a batch of six configurations."""

    build: Callable[[], sym.SymbolicOperator]
    point: dict[str, float]

    @cached_property
    def op(self) -> Any:
        return self.build().compile()

    @cached_property
    def x(self) -> Any:
        return self.op.hilbert.random_states(6, seed=5)

    def mels(self, parameters: dict[str, Any], x: Any) -> jax.Array:
        """Return the matrix elements as real numbers."""
        found = self.op.replace(**parameters).get_conn_padded(x)[1]
        if not jnp.iscomplexobj(found):
            return found
        return jnp.concatenate([found.real, found.imag], axis=-1)

    def total(self, parameters: dict[str, Any], x: Any = None) -> jax.Array:
        """Return a number that every matrix element has a say in, not linearly."""
        found = self.mels(parameters, self.x if x is None else x)
        return (jnp.sin(found) * np.cos(np.arange(found.shape[-1]))).sum()

    def number(self, parameters: dict[str, Any]) -> Any:
        """Return `total`, by NumPy: op by op JAX has an executable of each."""
        found = np.asarray(self.mels(parameters, self.x))
        return (np.sin(found) * np.cos(np.arange(found.shape[-1]))).sum()


def spins() -> sym.SymbolicOperator:
    return (
        sym.DOperator(sym.spin(0.5, 4), "spins", hermitian=True)
        .for_each(("i", "j"), over=[(k, (k + 1) % 4) for k in range(4)])
        .emit(amplitude=t * t * i * j)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-h * (1 + t))
        .build()
    )


def narrow() -> sym.SymbolicOperator:
    return (
        sym.DOperator(SPACE, "narrow")
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j == 0))
        .emit(sym.hop("i", "j"), amplitude=h * sym.sqrt(t * i))
        .fanout(6)
        .build()
    )


def constrained() -> sym.SymbolicOperator:
    return (
        sym.DOperator(sym.fock(3, 4, n_particles=5), "constrained")
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 3))
        .emit(sym.hop("i", "j"), amplitude=h * sym.sqrt(t * i * (j + 1)))
        .build()
    )


def complex_valued() -> sym.SymbolicOperator:
    phase = sym.exp(1j * t * (i - j))
    return (
        sym.DOperator(SPACE, "complex_valued", dtype="complex128")
        .for_each_distinct_pair("i", "j")
        .where(i != j)
        .emit(sym.swap("i", "j"), amplitude=h * phase / (i - j))
        .build()
    )


def tables() -> sym.SymbolicOperator:
    coupling, weight = sym.row("J"), sym.table([0.3, 1.0, -2.0, 0.5])
    data = {"J": [0.5, 1.5, -1.0]}
    between = sym.sum_(sym.here.value, over=sym.set_("far"))
    return (
        sym.DOperator(SPACE, "tables")
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3)], data=data)
        .emit(sym.swap("i", "j"), amplitude=sym.exp(h * coupling) * weight[i])
        .for_each("i", over=[0, 3], sets={"far": [[1, 2], [1]]})
        .emit(amplitude=t * between / h + sym.prod(t + sym.here.value))
        .build()
    )


CASES = {
    build.__name__: Case(build, dict(h=0.7, t=0.3))
    for build in (spins, smooth, narrow, constrained, complex_valued, tables)
}
every_case = pytest.mark.parametrize("name", CASES)
close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10)


def near(found: Any, expected: Any) -> None:
    """Equal up to what differences are good for, relative to the largest element."""
    scale = max(float(np.abs(expected).max()), 1.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * scale)


@cache
def looped(name: str, h: float = 0.7, t: float = 0.3) -> tuple[Any, Any]:
    """Return x' and matrix elements, one configuration at a time, not in jit."""
    case = CASES[name]
    op = case.op.replace(h=h, t=t)
    found = [op.get_conn_padded(x) for x in case.x]
    return np.stack([xp for xp, _ in found]), np.stack([mels for _, mels in found])


def both_close(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    close(found[1], expected[1])


def run(op: Any, x: Any) -> Any:
    return op.get_conn_padded(x)


@every_case
def test_the_loop_is_the_reference_interpreter(name: str):
    case = CASES[name]
    both_close(looped(name), connections(case.build().to_ir().module, case.x))


@every_case
def test_jit_and_ahead_of_time(name: str):
    case, traced = CASES[name], jax.jit(run)
    lowered = traced.lower(case.op, case.x)
    assert "custom_call" not in lowered.as_text()
    both_close(lowered.compile()(case.op, case.x), looped(name))
    shapes = jax.eval_shape(run, case.op, case.x)
    assert [(s.shape, s.dtype) for s in shapes] == [
        (part.shape, part.dtype) for part in looped(name)
    ]


FIELDS = np.array([0.7, 0.2, 0.5, 1.1, 0.3, 0.9])


@every_case
def test_vmap_over_each_and_all(name: str):
    case = CASES[name]

    def one(h: Any, x: Any) -> Any:
        return case.op.replace(h=h).get_conn_padded(x)

    @jax.jit
    def mapped(h: Any, x: Any) -> Any:
        over_x = jax.vmap(partial(one, h[0]))
        # jit inside of vmap inside of jit
        over_h = jax.vmap(jax.jit(one), in_axes=(0, None))
        nested = jax.vmap(lambda v: jax.vmap(partial(one, v))(x))
        return over_x(x), over_h(h, x), jax.vmap(one)(h, x), nested(h[:2])

    over_x, over_h, paired, nested = mapped(FIELDS, case.x)
    loops = [looped(name, float(h)) for h in FIELDS]
    swept = [np.stack(part) for part in zip(*loops, strict=True)]
    both_close(over_x, loops[0])
    both_close(over_h, swept)
    both_close(paired, [np.stack([p[k, k] for k in range(6)]) for p in swept])
    both_close(nested, [part[:2] for part in swept])


@every_case
def test_vmap_inside_of_shard_map(name: str):
    case = CASES[name]
    mesh = jax.make_mesh((1,), ("S",), axis_types=(jax.sharding.AxisType.Auto,))

    def inside(fields: Any, x: Any) -> Any:
        return jax.vmap(lambda h: case.op.replace(h=h).get_conn_padded(x))(fields)

    specs: Any = dict(mesh=mesh, in_specs=(P(), P("S")), out_specs=P(None, "S"))
    mapped = [
        jax.shard_map(inside, check_vma=check, **specs) for check in (True, False)
    ]
    expected = [looped(name, float(h)) for h in FIELDS[:2]]
    for found in jax.jit(lambda *a: [f(*a) for f in mapped])(FIELDS[:2], case.x):
        for k in range(2):
            both_close([part[k] for part in found], expected[k])


@every_case
def test_derivatives(name: str):
    """Gradients, Jacobians, their transposes and Hessians, against differences."""
    case = CASES[name]

    def mels(parameters: Any) -> Any:
        return case.mels(parameters, case.x)

    def numbers(parameters: Any) -> Any:
        return np.asarray(mels(parameters))

    weights = np.cos(np.arange(mels(case.point).size)).reshape(6, -1)

    @jax.jit
    def derivatives(p: dict[str, Any]) -> dict[str, Any]:
        pushed = jax.linearize(mels, p)[1]
        return {
            "gradient": jax.grad(case.total)(p),
            "forward": jax.jacfwd(mels)(p),
            "reverse": jax.jacrev(mels)(p),
            "hessian": jax.hessian(case.total)(p),
            "transposed": jax.linear_transpose(pushed, p)(weights)[0],
        }

    assert "custom_call" not in derivatives.lower(case.point).as_text()
    found = jax.tree.map(np.asarray, derivatives(case.point))
    for n in case.point:
        forward = found["forward"][n]
        near(found["gradient"][n], difference(case.number, case.point, n, 1e-5))
        near(forward, difference(numbers, case.point, n, 1e-5))
        close(found["reverse"][n], forward)
        close(found["transposed"][n], (forward * weights).sum())
        up, down = (
            derivatives({**case.point, n: case.point[n] + step})["gradient"]
            for step in (1e-5, -1e-5)
        )
        for other in case.point:
            change = np.asarray(up[other]) - np.asarray(down[other])
            near(found["hessian"][other][n], change / 2e-5)


@every_case
def test_control_flow(name: str):
    """Scan, cond and remat: values and derivatives as without them."""
    case = CASES[name]
    fields = np.array([0.2, 0.7])

    def at(h: Any) -> Any:
        return case.total({"h": h, "t": case.point["t"]})

    def scanned(fields: Any) -> Any:
        return jax.lax.scan(lambda s, v: (s + at(v), None), 0.0, fields)[0]

    def chosen(h: Any) -> Any:
        return jax.lax.cond(h > 0.5, at, lambda h: 2 * at(h), h)

    @jax.jit
    def slopes(fields: Any) -> Any:
        remat = jax.checkpoint(at)  # pyright: ignore[reportPrivateImportUsage]
        return {
            "plain": jax.vmap(jax.value_and_grad(at))(fields),
            "scan": jax.value_and_grad(scanned)(fields),
            "cond": jax.value_and_grad(chosen)(fields[0]),
            "remat": jax.value_and_grad(remat)(fields[1]),
        }

    found = jax.tree.map(np.asarray, slopes(fields))
    values, gradients = found["plain"]
    close(values, [case.number({**case.point, "h": h}) for h in fields])
    close(found["scan"][0], values.sum())
    close(found["scan"][1], gradients)
    close(found["cond"], [2 * values[0], 2 * gradients[0]])
    close(found["remat"], [values[1], gradients[1]])


@every_case
def test_equal_compilations_are_one_pytree_without_integers(name: str):
    case = CASES[name]
    twin = case.build().compile(cache=False)
    energy = jax.jit(lambda op: op.get_conn_padded(case.x)[1].sum())
    expected = energy(case.op)
    assert energy(twin) == energy(copy.deepcopy(twin)) == expected
    assert executables(energy) == 1
    # JAX does not pickle where an array is, so this one may be traced again
    for op in (twin, copy.deepcopy(twin), pickle.loads(pickle.dumps(twin))):
        assert jax.tree.structure(op) == jax.tree.structure(case.op)
        leaves = jax.tree.leaves(op)
        assert [leaf.dtype for leaf in leaves] == [np.float64] * len(case.point)
        assert energy(op) == expected


def test_amplitudes_by_x():
    """Of bosons, whose amplitudes are roots: the Jacobian written out."""
    op = (
        sym.DOperator(SPACE, "hops")
        .for_each(("i", "j"), over=[(0, 1), (2, 3)])
        .where((i > 0) & (j < 3))
        .emit(sym.hop("i", "j"), amplitude=h * sym.sqrt(i * sym.emitted("j").value))
        .build()
    ).compile()
    x = np.array([1.0, 2.0, 0.0, 1.0])
    root = np.sqrt(3.0)
    expected = np.zeros((2, 4))  # the second branch is not valid
    expected[0, :2] = 0.7 * root / 2, 0.7 / (2 * root)
    moved = np.stack([np.eye(4), np.eye(4)])
    for derivative in (jax.jacfwd, jax.jacrev):
        connected, mels = derivative(op.get_conn_padded)(x)
        close(mels, expected)
        np.testing.assert_array_equal(connected, moved)


# endregion
# region Singularities that guards exclude

coupling = sym.row("J")
field = sym.sum_(sym.here.value)


def on_rows() -> sym.DOperator:
    data = {"J": [0.0, 2.0]}
    return sym.DOperator(SPACE, "op").for_each("i", over=[0, 1], data=data)


def on_sites() -> sym.DOperator:
    return sym.DOperator(SPACE, "op").for_each_site("i")


GUARDED = {
    "an amplitude of parameters alone": (
        lambda: on_sites().where(h > 0).emit(amplitude=sym.sqrt(h) * i),
        0.0,
    ),
    "one emission of several": (
        lambda: on_sites().emit(amplitude=i).emit_if(h > 0, amplitude=sym.log(h) * i),
        0.0,
    ),
    "a choice": (
        lambda: on_sites().emit(amplitude=sym.where(h > 0, sym.sqrt(h), 0) * i),
        0.0,
    ),
    "several guards": (
        lambda: (
            on_sites()
            .where(i > 0)
            .where(h > 0)
            .emit(amplitude=sym.sqrt(h * i) + sym.log(h) / i)
        ),
        0.0,
    ),
    "neither of two": (
        lambda: (
            on_sites()
            .where(~((i == 0) | (h <= 0)))
            .emit(amplitude=sym.sqrt(h) * sym.log(i))
        ),
        0.0,
    ),
    "data of rows": (
        lambda: on_rows().where(coupling != 0).emit(amplitude=h / coupling),
        0.7,
    ),
    "data of rows and x": (
        lambda: (
            on_rows()
            .where((coupling != 0) & (i > 0))
            .emit(amplitude=sym.sqrt(h * coupling) / i)
        ),
        0.7,
    ),
    "a constant that is infinite": (
        lambda: on_rows().where(coupling != 0).emit(amplitude=h * (1 / coupling) * i),
        0.7,
    ),
    "the number of a site": (
        lambda: on_sites().where(i.index != 0).emit(amplitude=h * i * (1 / i.index)),
        0.7,
    ),
    "a sum over all sites": (
        lambda: (
            sym.DOperator(SPACE, "op")
            .globally()
            .where(field > 0)
            .emit(amplitude=sym.sqrt(h * field))
        ),
        0.7,
    ),
    "inside of a sum": (
        lambda: (
            on_sites()
            .where(i > 0)
            .emit(amplitude=sym.sum_(sym.sqrt(h * i * (sym.here.value + 1))))
        ),
        0.7,
    ),
    "with a fanout": (
        lambda: on_sites().where(i > 0).emit(amplitude=sym.sqrt(h * i) / i).fanout(4),
        0.7,
    ),
    "a difference": (
        lambda: (
            sym.DOperator(SPACE, "op", dtype="complex128")
            .for_each_distinct_pair("i", "j")
            .where(i != j)
            .emit(sym.swap("i", "j"), amplitude=1j * sym.sqrt(abs(i - j)) * h / (i - j))
        ),
        0.7,
    ),
}


@pytest.mark.parametrize(
    ("name", "batch"),
    [
        *((name, 7) for name in GUARDED),
        ("data of rows and x", 1),
        ("inside of a sum", 1),
    ],
)
def test_a_guard_keeps_values_and_derivatives_finite(name: str, batch: int):
    build, at = GUARDED[name]
    op = build().build().compile()
    x = SPACE.random_states(batch, 2).astype(np.float64)
    x[0] = 0, 2, 0, 1

    def mels(value: Any, x: Any) -> Any:
        return op.replace(h=value).get_conn_padded(x)[1].real

    @jax.jit
    def found(value: Any, x: Any) -> Any:
        backward = jax.grad(lambda *a: mels(*a).sum(), argnums=(0, 1))(value, x)
        pushed = jax.jvp(mels, (value, x), (1.0, jnp.ones_like(x)))
        return backward, pushed, jax.vmap(mels, (0, None))(value[None], x)

    (by_h, by_x), (values, tangents), mapped = jax.tree.map(
        np.asarray, found(np.float64(at), x)
    )
    for part in (by_h, by_x, values, tangents):
        assert np.isfinite(part).all()
    close(values, mels(at, x))
    close(mapped[0], values)
    close(by_h + by_x.sum(), tangents.sum())
    if at:
        up, down = (np.asarray(mels(at + step, x)) for step in (1e-6, -1e-6))
        near(by_h, (up - down).sum() / 2e-6)


# endregion


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
def test_entries_of_tables_have_no_derivative(derivative: Any) -> None:
    i = sym.site("i")
    entries = sym.table([0.5, 1.5, 4.0])
    by_parameter = sym.DOperator(sym.fock(2, 2), "by_h").for_each_site("i")
    by_parameter = by_parameter.emit(amplitude=entries[sym.symbol("h", default=1.0)])
    by_x = sym.DOperator(sym.fock(2, 2), "by_x").for_each_site("i")
    by_x = by_x.emit(amplitude=entries[i] * sym.symbol("h", default=1.0))
    x = np.array([1.0, 2.0])

    def of_h(operator: Any, h: Any) -> Any:
        return operator.replace(h=h).get_conn_padded(x)[1].sum()

    compiled = by_parameter.build().compile()
    with pytest.raises(NotDifferentiable) as caught:
        derivative(lambda h: of_h(compiled, h))(1.0)
    assert caught.value.code == "R011"
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    compiled = by_x.build().compile()
    assert derivative(lambda h: of_h(compiled, h))(1.0) == 1.5 + 4.0
    with pytest.raises(NotDifferentiable):
        derivative(lambda x: compiled.get_conn_padded(x)[1].sum())(x)


def test_entries_that_decide_are_no_obstacle() -> None:
    i, h = sym.site("i"), sym.symbol("h", default=0.3)
    chosen = sym.table([0.0, 1.0, 2.0])[i] > 0.5
    builder = sym.DOperator(sym.fock(2, 2), "op").for_each_site("i").where(chosen)
    compiled = builder.emit(amplitude=h * i).build().compile()
    x = np.array([1.0, 2.0])
    found = jax.grad(lambda x: compiled.get_conn_padded(x)[1].sum())(x)
    np.testing.assert_allclose(found, [0.3, 0.3])
