"""The parts of wavefunctions, and what is chosen for them: values and rungs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from dialects import bt
from lowering.energy import plan_local_energy
from lowering.energy.activations import ACTIVATIONS, Activation
from symir import models
from symir.errors import SymbolicCompilerError
from tests.unit.symir.runtime.energies import energies_of

SITES = 6
RING = [(site, (site + 1) % SITES) for site in range(SITES)]

_DEFINED: dict[str, Callable[[], Any]] = {
    "flips": lambda: models.transverse_field_ising(SITES, RING, h=0.7),
    "swaps": lambda: models.heisenberg(SITES, RING),
    "hops": lambda: models.bose_hubbard(sym.fock(2, SITES), RING, U=1.5),
    "fermions": lambda: models.fermi_hubbard(3, [(0, 1), (1, 2)], U=2.0),
    "clock": lambda: models.potts(sym.fock(2, SITES), RING),
    "cycles": lambda: (
        sym.DOperator(sym.spin(1, SITES), "cycles")
        .for_each(("i", "j", "k"), over=[(i, j, (j + 1) % SITES) for i, j in RING])
        .emit(sym.permute("i", "j", "k"), amplitude=0.7)
        .build()
    ),
}
OPERATORS = {name: cache(define) for name, define in _DEFINED.items()}


def log_cosh(z: Any) -> Any:
    return jnp.logaddexp(z, -z) - jnp.log(2.0)


def dense(w: Any, x: Any) -> Any:
    return x @ w["W"] + w["b"]


def rbm(w: Any, x: Any) -> Any:
    return log_cosh(dense(w, x)).sum(-1) + x @ w["a"]


def softplus(w: Any, x: Any) -> Any:
    return 0.5 * jax.nn.softplus(dense(w, x)).sum(-1)


def log_sigmoid(w: Any, x: Any) -> Any:
    return -jax.nn.log_sigmoid(2 * dense(w, x)).sum(-1)


def with_phase(w: Any, x: Any) -> Any:
    return log_cosh(dense(w, x)).sum(-1) + 1j * log_cosh(x @ w["V"]).sum(-1)


def complex_rbm(w: Any, x: Any) -> Any:
    z = (1 + 0.3j) * dense(w, x) + 0.2j
    return jnp.log(jnp.cosh(z)).sum(-1)


def shifted(w: Any, x: Any) -> Any:
    """A convolution on the ring, written as a sum over translations."""
    moved = jnp.stack([jnp.roll(x, shift, axis=-1) for shift in range(SITES)], axis=-2)
    return log_cosh(moved @ w["W"]).sum((-1, -2))


def one_hot(w: Any, x: Any) -> Any:
    code = (x[..., None] == w["values"]).reshape(*x.shape[:-1], -1)
    return log_cosh(code.astype(w["H"].dtype) @ w["H"]).sum(-1)


def quadratic(w: Any, x: Any) -> Any:
    """Correlations of all sites, and of neighbours; a square; and one-body factors."""
    weights = w["V"][:, :SITES]
    pairs = jnp.einsum("...i,ij,...j->...", x, weights, x)
    neighbours = (w["a"] * x * jnp.roll(x, 1, axis=-1)).sum(-1)
    return 0.3 * pairs + neighbours - 0.1 * jnp.square(x @ weights).sum(-1) + x @ w["a"]


def perceptron(w: Any, x: Any) -> Any:
    return jnp.tanh(dense(w, x)) @ w["v"]


def few_units(w: Any, x: Any) -> Any:
    """Fewer than vectors have, and what is behind them in several steps."""
    hidden = jnp.tanh(dense(w, x))[..., :3]
    return 0.5 * (hidden * w["v"][:3] + 0.1).sum(-1) - (2 * hidden @ w["v"][3:6])


def real_to_complex(w: Any, x: Any) -> Any:
    return jnp.tanh(dense(w, x)) @ ((1 - 0.5j) * w["v"])


def modulus_and_phase(w: Any, x: Any) -> Any:
    """Two networks, one of a multiple, with factors before their sums."""
    hidden = 0.3 * jnp.tanh(1.5 * (x @ w["V"])) - 0.1
    return perceptron(w, x) + 0.7j * (hidden @ w["v"])


def few_reordered(w: Any, x: Any) -> Any:
    hidden = jnp.tanh((x @ w["W"][:, :12]).reshape(*x.shape[:-1], 3, 4))
    hidden = jnp.swapaxes(hidden, -1, -2)
    return hidden.reshape(*x.shape[:-1], 12) @ w["v"][:12]


def reordered(w: Any, x: Any) -> Any:
    hidden = jnp.tanh(dense(w, x).reshape(*x.shape[:-1], 8, 16))
    return jnp.sin(jnp.swapaxes(hidden, -1, -2) @ w["v"][:8]).sum(-1)


def two_layers(w: Any, x: Any) -> Any:
    return jnp.tanh(jnp.tanh(dense(w, x)) @ w["V"].T).sum(-1)


def mixed(w: Any, x: Any) -> Any:
    return rbm(w, x) + jnp.sin(dense(w, x)).prod(-1)


WAVEFUNCTIONS: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "rbm": (rbm, ["exponential", "linear"]),
    "softplus": (softplus, ["exponential"]),
    "log_sigmoid": (log_sigmoid, ["exponential"]),
    "with_phase": (with_phase, ["exponential", "exponential"]),
    "complex_rbm": (complex_rbm, ["exponential"]),
    "shifted": (shifted, ["exponential"]),
    "one_hot": (one_hot, ["exponential"]),
    "quadratic": (quadratic, ["bilinear"] * 3 + ["linear"]),
    "perceptron": (perceptron, ["rational"]),
    "few_units": (few_units, ["rational"]),
    "real_to_complex": (real_to_complex, ["rational"]),
    "modulus_and_phase": (modulus_and_phase, ["rational", "rational"]),
    "few_reordered": (few_reordered, ["rational"]),
    "reordered": (reordered, ["lifted"]),
    "two_layers": (two_layers, ["lifted"]),
    "mixed": (mixed, ["exponential", "linear", "network"]),
}


def parameters(values: Any, scale: float = 0.4, dtype: Any = np.float64) -> Any:
    units = 128
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> Any:
        return np.asarray(scale * rng.normal(size=shape), dtype)

    return {
        "W": numbers(SITES, units),
        "V": numbers(SITES, units),
        "H": numbers(SITES * len(values), 16),
        "a": numbers(SITES),
        "b": numbers(units),
        "v": numbers(units),
        "values": np.asarray(values, np.int8),
    }


def samples(op: Any, count: int = 40) -> Any:
    space = op.to_ir().space
    rng = np.random.default_rng(1)
    return rng.choice(local_values(op), (count, space.size)).astype(np.int8)


TABLES = ("by lane", "by site")


def chosen(tables: str, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Have tables by site made for a budget that no other test has."""
    if tables == "by lane":
        return None
    monkeypatch.setattr(plan_local_energy, "_is_by_site", lambda *_: True)
    return 3 << 20


def local_values(op: Any) -> Any:
    return np.unique([v for site in op.to_ir().space.local_states for v in site])


# Each operator with one wavefunction of all rungs, by tables in turn, and each
# wavefunction by either table with an operator of its own
CASES = sorted(
    {
        *((name, "mixed", TABLES[k % 2]) for k, name in enumerate(OPERATORS)),
        *(
            (list(OPERATORS)[(number + shift) % len(OPERATORS)], wavefunction, tables)
            for number, wavefunction in enumerate(WAVEFUNCTIONS)
            for shift, tables in zip((0, 2), TABLES, strict=True)
        ),
    }
)


@cache
def expected_of(name: str, wavefunction: str) -> Any:
    op = OPERATORS[name]()
    w, x = parameters(local_values(op)), samples(op)
    if wavefunction != "one_hot":
        # Of the same shapes for each operator: the reference is compiled once
        w = {name: w[name] for name in "WVabv"}
    return energies_of(op, WAVEFUNCTIONS[wavefunction][0], w, x)


@pytest.mark.usefixtures("lifting")
@pytest.mark.parametrize(("name", "wavefunction", "tables"), CASES)
def test_energies_are_those_of_the_network(
    name: str, wavefunction: str, tables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    op, (logpsi, rungs) = OPERATORS[name](), WAVEFUNCTIONS[wavefunction]
    w, x = parameters(local_values(op)), samples(op)
    energy = sym.LocalEnergy(op, logpsi, budget=chosen(tables, monkeypatch))
    expected = expected_of(name, wavefunction)
    np.testing.assert_allclose(energy(w, x), expected, rtol=1e-9)
    found = [part.rung for part in energy.report(w, x, measure=False).parts]
    assert found == rungs


@pytest.mark.parametrize(
    ("name", "logpsi", "tables"),
    [
        ("flips", one_hot, "lanes"),
        ("clock", rbm, "lanes"),
        ("clock", one_hot, "values"),
        ("hops", perceptron, "lanes"),
        ("hops", quadratic, "values"),
        ("hops", one_hot, "values"),
        ("cycles", rbm, "lanes"),
        ("cycles", one_hot, "sites"),  # of 24 values before, and most rows are 16
    ],
)
def test_what_tables_have_rows_for(name: str, logpsi: Any, tables: str) -> None:
    """The difference of two of three values does not say which they are."""
    op = OPERATORS[name]()
    program = sym.LocalEnergy(op, logpsi).program(parameters(local_values(op)), np.int8)
    assert program.plan.tables == tables
    assert all(rung is not bt.Rung.NETWORK for rung in program.rungs)


SCALED = [rbm, perceptron, few_units, two_layers, with_phase]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("logpsi", SCALED)
def test_weights_of_any_size(
    dtype: Any, logpsi: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    op = OPERATORS["swaps"]()
    x = samples(op)
    cases = [
        (scale, w, energies_of(op, logpsi, w, x))
        for scale in (3.0, 1000.0)
        for w in [parameters([-1, 1], scale, dtype)]
    ]
    # Fewer digits have a smaller range: there both tables are tried
    in_double = TABLES[SCALED.index(logpsi) % 2]
    for tables in TABLES if dtype == np.float32 else [in_double]:
        energy = sym.LocalEnergy(op, logpsi, budget=chosen(tables, monkeypatch))
        for scale, w, expected in cases:
            found = np.asarray(energy(w, x))
            # Where the ratio is no number that the network can say, neither are these
            finite = np.isfinite(expected)
            np.testing.assert_array_equal(np.isfinite(found), finite)
            digits = 2e-2 if dtype == np.float32 else 1e-9
            np.testing.assert_allclose(
                found[finite], expected[finite], rtol=digits * scale / 30
            )


@pytest.mark.parametrize("wide", [np.float64, np.complex128])
def test_weights_of_a_wider_type_than_the_first_layer(wide: Any) -> None:
    op = OPERATORS["flips"]()
    w, x = parameters([-1, 1]), samples(op)
    w["v"] = 0.05 * w["v"].astype(wide)
    signs = np.sign(w["W"]).astype(np.float32)

    def logpsi(w: Any, x: Any) -> Any:
        return jnp.tanh(x @ w["W"]) @ w["v"]

    energy = sym.LocalEnergy(op, logpsi)
    for scale in (1.0, 15.0, 80.0):
        w["W"] = np.float32(scale) * signs
        expected = energies_of(op, logpsi, w, x)
        np.testing.assert_allclose(energy(w, x), expected, rtol=1e-4)


@pytest.mark.parametrize("tables", TABLES)
@pytest.mark.parametrize("name", ["flips", "clock"])
def test_an_activation_of_two_softplus(
    name: str, tables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own products, and the linear part is one for both."""
    two = Activation("two", ((1.0, 2.0), (0.5, -1.0)), -1.0)
    monkeypatch.setitem(ACTIVATIONS, "two", two)

    def logpsi(w: Any, x: Any) -> Any:
        z = dense(w, x)
        together = jnp.log(jnp.cosh(z) * jnp.sqrt(1 + jnp.exp(-z)))
        return 0.3 * together.sum(-1) + (softplus(w, x) + log_cosh(2 * z).sum(-1))

    op = OPERATORS[name]()
    x, budget = samples(op), chosen(tables, monkeypatch)
    for dtype, scale in ((np.float64, 0.4), (np.float32, 3.0)):
        w = parameters(local_values(op), scale, dtype)
        energy = sym.LocalEnergy(op, logpsi, budget=budget)
        report = energy.report(w, x, measure=False)
        assert [part.rung for part in report.parts] == ["exponential"] * 3
        of_each = [part.flops / part.units for part in report.parts]
        assert sorted(of_each) == [3, 3, 6]
        expected = energies_of(op, logpsi, w, x)
        digits = 1e-9 if dtype == np.float64 else 2e-3
        np.testing.assert_allclose(energy(w, x), expected, rtol=digits)


def test_passes_are_left_out_by_name() -> None:
    op, w = OPERATORS["flips"](), parameters([-1, 1])
    x = samples(op)
    expected = sym.local_energy(op, rbm, w, x)
    for name in ("apply-exponential-sums", "bt-local-energy-coalesce"):
        energy = sym.LocalEnergy(op, rbm, without=(name,))
        np.testing.assert_allclose(energy(w, x), expected, rtol=1e-12)
    with pytest.raises(SymbolicCompilerError, match="C006"):
        sym.LocalEnergy(op, rbm, without=("bt-local-energy-pack",))(w, x)


def test_chunks_of_any_size_give_the_same() -> None:
    op, w = OPERATORS["swaps"](), parameters([-1, 1])
    x = samples(op, 300)
    expected = energies_of(op, rbm, w, x)
    for chunk in (1, 7, 100_000):
        found = sym.local_energy(op, rbm, w, x, chunk=chunk)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    small = sym.LocalEnergy(op, rbm, budget=1)
    np.testing.assert_allclose(small(w, x), expected, rtol=1e-9)


def test_lanes_that_are_elsewhere_for_each_x_have_tables_by_site() -> None:
    i, j = sym.site("i"), sym.site("j")
    most = SITES**2 // 4
    op = (
        sym.DOperator(sym.spin(0.5, SITES), "swaps")
        .for_each_distinct_pair("i", "j")
        .where((i > 0) & (j < 0))
        .emit(sym.swap("i", "j"), amplitude=0.7 + i.index)
        .fanout(most)
        .build()
    )
    w, x = parameters([-1, 1]), samples(op)
    energy = sym.LocalEnergy(op, rbm)
    report = energy.report(w, x, measure=False)
    assert report.lanes == most
    assert [part.rung for part in report.parts] == ["exponential", "linear"]
    np.testing.assert_allclose(energy(w, x), energies_of(op, rbm, w, x), rtol=1e-9)


@pytest.mark.parametrize("tables", ["by lane", "by site"])
@pytest.mark.parametrize("start", [1.0, 2.0**24])
def test_values_that_single_precision_does_not_tell_apart(
    start: float, tables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 1e-8 if start == 1 else 1.0
    values = [start, start + step, start + 2 * step]
    i = sym.site("i").value
    op = (
        sym.DOperator(sym.space(values, 4), "close")
        .for_each_site("i")
        .emit(sym.write("i", sym.where(i > start, start, values[1])), amplitude=0.3)
        .build()
    )
    w = np.random.default_rng(0).normal(size=(4, 16))

    def logpsi(w: Any, x: Any) -> Any:
        return log_cosh((x - start) / step @ w).sum(-1)

    x = op.to_ir().space.random_states(20, seed=0, dtype=np.float64)
    budget = chosen(tables, monkeypatch)
    found = sym.LocalEnergy(op, logpsi, budget=budget)(w, x)
    np.testing.assert_allclose(found, energies_of(op, logpsi, w, x), rtol=1e-6)


def test_a_dtype_that_holds_no_configurations() -> None:
    energy = sym.LocalEnergy(OPERATORS["flips"](), rbm)
    for dtype in (np.complex128, ">i2", object):
        with pytest.raises(sym.InputError, match="R002"):
            energy.program(parameters([-1, 1]), dtype)


def test_half_precision_is_not_rewritten() -> None:
    op = OPERATORS["flips"]()
    w = parameters([-1, 1], dtype=jnp.bfloat16)
    cast = partial(jnp.asarray, dtype=jnp.bfloat16)

    def coarse(w: Any, x: Any) -> Any:
        return rbm(w, cast(x))

    report = sym.LocalEnergy(op, coarse).report(w, samples(op), measure=False)
    assert [part.rung for part in report.parts] == ["network"]
    missed = [m for one in report.passes for m, _ in one.missed]
    assert any("the rounding is the model" in message for message in missed)


def test_the_report_says_what_was_done_and_what_not() -> None:
    op, w = OPERATORS["swaps"](), parameters([-1, 1])
    report = sym.LocalEnergy(op, mixed).report(w, samples(op))
    assert report.lanes == len(RING)
    assert report.live == "some"
    assert report.evaluations_before == op.compile().max_conn_size + 1
    assert report.evaluations_after == len(RING) + 1
    assert report.measured_bytes is not None
    # Not more than planned, give or take what XLA lays out beside it
    assert report.measured_bytes < 4 * report.predicted_bytes + 1_000_000
    text = str(report)
    assert "log_cosh is recognised" in text
    assert "is no exponential sum" in text
    assert report.as_dict()["operator"] == "heisenberg"


def test_the_plan_knows_what_the_first_layer_is_found_from() -> None:
    """Where no product is safe it is evaluated at x', in the memory of all others."""
    op = models.transverse_field_ising(32, [(i, i + 1) for i in range(31)])
    w = np.random.default_rng(0).normal(size=(2 * 32, 128)) / 10

    def embedded(w: Any, x: Any) -> Any:
        rows = jnp.arange(32) * 2 + (x > 0)
        return log_cosh(w[rows].sum(axis=-2)).sum(-1)

    report = sym.LocalEnergy(op, embedded).report(w, samples(op))
    assert [part.rung for part in report.parts] == ["exponential"]
    assert report.measured_bytes is not None
    assert report.measured_bytes < report.predicted_bytes + 1_000_000


def few_logs(w: Any, x: Any) -> Any:
    return log_cosh(x @ w).sum(-1)


def few_tanh(w: Any, x: Any) -> Any:
    return jnp.tanh(x @ w) @ w[0]


@pytest.mark.parametrize("logpsi", [few_logs, few_tanh])
def test_an_operator_without_branches(logpsi: Any) -> None:
    op = (
        sym.DOperator(sym.spin(0.5, 4), "field", hermitian=True)
        .for_each_site("i")
        .emit(amplitude=sym.site("i").value)
        .build()
    )
    x = np.array([[1, 1, -1, 1], [-1, -1, -1, -1]], np.int8)
    found = sym.local_energy(op, logpsi, np.ones((4, 3)), x)
    np.testing.assert_array_equal(found, x.sum(axis=1))
