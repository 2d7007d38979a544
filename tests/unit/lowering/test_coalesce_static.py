# pyright: basic
"""Summing the lanes that provably lead to one x': the same sums, in fewer lanes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symir as sym
from dialects.interpreters.bt import run_branches
from dialects.interpreters.sym import dense_matrix
from dialects.text import parse_module
from symir.compiler.lowering import operator_pipeline, run_passes
from symir.interop.from_netket import from_netket
from symir.interop.pauli import from_pauli_strings
from symir.operator.ir import SymbolicOperatorIR
from tests.unit.lowering.branch_programs import (
    checked,
    flips,
    lowered,
    ops_of,
    pauli_sums,
    remarks_of,
)

PASS = "bt-coalesce-static"

i, j = sym.site("i"), sym.site("j")
h = sym.symbol("h", 0.75)


@pytest.fixture(autouse=True)
def _x64() -> object:  # pyright: ignore[reportUnusedFunction]
    with jax.enable_x64(True):
        yield


def artifact_of(operator: Any, **options: Any) -> Any:
    return sym.SymbolicCompiler().compile(operator, {"coalesce": "static", **options})


def sums_of(xp: Any, mels: Any) -> list[dict[tuple[float, ...], complex]]:
    """Return the sum of the matrix elements of each x', for each sample; zeros go."""
    found = []
    for targets, elements in zip(np.asarray(xp), np.asarray(mels), strict=True):
        sums: dict[tuple[float, ...], complex] = {}
        for target, element in zip(targets.tolist(), elements.tolist(), strict=True):
            sums[tuple(target)] = sums.get(tuple(target), 0) + element
        found.append({key: total for key, total in sums.items() if total})
    return found


def assert_same_sums(operator: Any, x: Any, **parameters: Any) -> None:
    plain, summed = (
        operator.compile(coalesce=which).replace(**parameters).get_conn_padded(x)
        for which in ("none", "static")
    )
    for expected, found in zip(sums_of(*plain), sums_of(*summed), strict=True):
        assert expected.keys() == found.keys()
        for key, total in expected.items():
            assert found[key] == pytest.approx(total, rel=1e-13, abs=1e-13)


def assert_same_matrix(ours: Any, theirs: Any, x: Any) -> None:
    """Compare with an operator of NetKet, whose `to_dense` XLA compiles op by op."""
    found, expected = (sums_of(*one.get_conn_padded(x)) for one in (ours, theirs))
    for own, other in zip(found, expected, strict=True):
        for key in own.keys() | other.keys():
            assert own.get(key, 0) == pytest.approx(other.get(key, 0), abs=1e-12)


def term(builder: Any, rows: Any, update: Any, amplitude: Any, **options: Any) -> Any:
    builder = builder.for_each(("i", "j"), over=rows)
    if "where" in options:
        builder = builder.where(options["where"])
    return builder.emit(update, amplitude=amplitude)


BOTH = sym.flip("i").flip("j")
RING = [(0, 1), (1, 2), (2, 3), (3, 0)]


def ring(*terms: Any, space: Any = None, **options: Any) -> sym.SymbolicOperator:
    builder = sym.DOperator(space or sym.spin(0.5, 4), "ring", **options)
    for rows, update, amplitude, *rest in terms:
        builder = term(builder, rows, update, amplitude, **(rest[0] if rest else {}))
    return builder.build()


# region What is summed


def test_rows_of_a_term_and_of_others() -> None:
    operator = ring(
        (RING, BOTH, 1.0),
        # The other way round is the same x'
        ([(b, a) for a, b in RING], BOTH, h * i.value),
        ([(0, 1)] * 3, BOTH, j.value),
        ([(0, 2)], BOTH, 0.25),
    )
    artifact = artifact_of(operator)
    assert artifact.lanes == 5
    checked(operator, executable=True)
    sources = artifact.lane_sources()
    assert sorted(len(one) for one in sources) == [1, 2, 2, 2, 5]
    assert sum(len(one) for one in sources) == operator.max_conn_size


def test_strings_with_equal_flips_in_two_terms_of_other_numbers_of_writes() -> None:
    operator = (
        sym.DOperator(sym.spin(0.5, 3), "strings")
        .for_each(("i", "j"), over=[(0, 1), (1, 2)])
        .emit(BOTH, amplitude=0.5)
        .for_each(("i", "j", "k"), over=[(0, 1, 2), (1, 2, 0)])
        # Another order, and a site more that is written as it is
        .emit(sym.flip("j").write("k", sym.site("k")).flip("i"), amplitude=2.0)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=1.0)
        # Nothing at all
        .emit(sym.write("i", i.value), amplitude=4.0)
        .emit(amplitude=0.125 * i.value)
        .build()
    )
    artifact = artifact_of(operator)
    assert artifact.lanes == 1 + 2 + 3
    checked(operator)
    assert artifact.lane_sources()[0][0].emission is not None
    (diagonal,) = (one for one in artifact.lane_sources() if len(one) == 6)
    assert {origin.term for origin in diagonal} == {"term2"}


def test_rows_of_very_different_numbers() -> None:
    rows = [(0, 1)] * 17 + [(1, 2)] * 2 + [(2, 3)] + [(3, 0)] * 3
    data = [float(n) for n in range(len(rows))]
    operator = (
        sym.DOperator(sym.spin(0.5, 4), "uneven")
        .for_each(("i", "j"), over=rows, data={"w": data})
        .emit(BOTH, amplitude=sym.row("w") * i.value + h)
        .build()
    )
    assert artifact_of(operator).lanes == 4
    checked(operator)


def test_a_sum_is_valid_where_one_of_its_lanes_is() -> None:
    operator = ring(
        (RING, BOTH, 1.0, {"where": i.value > 0}),
        (RING, BOTH, h, {"where": j.value > 0}),
        ([(0, 1)] * 2 + [(1, 2)], BOTH, i.value, {"where": i.value == j.value}),
    )
    assert artifact_of(operator).lanes == 4
    checked(operator, executable=True)
    x = np.array([[-1, -1, -1, -1], [-1, 1, -1, -1]], np.int8)
    xp, mels = operator.compile(coalesce="static").get_conn_padded(x)
    # Lanes of no valid part have x' = x and 0
    alone = [(np.asarray(xp)[0, k] == x[0]).all() for k in range(4)]
    assert alone.count(True) == 2
    assert np.asarray(mels)[0][alone].tolist() == [0, 0]
    assert_same_sums(operator, x)


def test_one_part_that_is_always_valid_makes_the_sum_so() -> None:
    operator = ring(
        (RING, BOTH, 1.0, {"where": i.value > 0}),
        (RING, BOTH, h),
    )
    assert artifact_of(operator).lanes == 4
    checked(operator)


def test_an_infinite_amplitude_of_a_lane_that_is_not_valid_is_none() -> None:
    operator = ring(
        ([(0, 1)] * 3, BOTH, h / (i.value + 1), {"where": i.value > 0}),
        ([(0, 1)], BOTH, 2.0),
    )
    x = np.array([[-1, 1, 1, 1], [1, 1, 1, 1]], np.int8)
    mels = operator.compile(coalesce="static").get_conn_padded(x)[1]
    assert np.asarray(mels).tolist() == [[2.0], [2.0 + 3 * 0.375]]


def test_a_write_that_restores_x_shadows_what_was_before() -> None:
    """Branch tensors may hold such lanes, though the compiler makes none."""
    text = """
    func.func @restored(%x : tensor<?x2x!bt.state>)
        -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>) {
      %i = stablehlo.constant dense<[0, 0]> : tensor<2xi32>
      %k = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
      %t = stablehlo.constant dense<2.0> : tensor<f64>
      %n = bt.gather %x[%k] : (tensor<?x2x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
      %b = bt.branches[%i, %k] = [%t, %n] amplitude %t
        : [tensor<2xi32>, tensor<2xi32>] [tensor<f64>, tensor<?x2xf64>] tensor<f64>
        -> !bt.branches<2 x 2>
      %y, %z = bt.connections %x, %b : (tensor<?x2x!bt.state>, !bt.branches<2 x 2>)
        -> (tensor<?x2x2x!bt.state>, tensor<?x2xf64>)
      func.return %y, %z : tensor<?x2x2x!bt.state>, tensor<?x2xf64>
    }
    """
    module = parse_module(text)
    # Lane 0 leaves x as it is, lane 1 does not
    assert "tensor<?x2x2x" in str(run_passes(module, PASS))


def test_nothing_to_sum_is_said() -> None:
    operator = ring((RING, BOTH, 1.0))
    (remark,) = remarks_of(operator, PASS)
    assert not remark.done
    assert artifact_of(operator).lanes == 4


# endregion
# region What is not


def test_a_fanout_keeps_its_lanes() -> None:
    operator = (
        sym.DOperator(sym.spin(0.5, 3), "fanout")
        .for_each_site("i")
        .where(i.value > 0)
        .emit(sym.flip("i"), amplitude=1.0)
        .emit(sym.flip("i"), amplitude=2.0)
        .fanout(4)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=0.5)
        .emit(sym.flip("i"), amplitude=0.25)
        .build()
    )
    assert artifact_of(operator).lanes == 4 + 3
    x = np.array([[1, -1, 1], [-1, -1, -1]], np.int8)
    checked(operator, x=x)
    remarks = remarks_of(operator, PASS)
    assert any("fanout" in str(remark.hint) for remark in remarks)
    broken = operator.compile(coalesce="static").get_conn_padded(
        np.array([[1, 1, 1]], np.int8)
    )
    assert np.isnan(np.asarray(broken[1])).sum() == 4


def test_functions_that_differ_for_one_local_value_are_kept() -> None:
    # 2 - n and (n + 2) mod 4 agree for 0 and 2; 1 - n and 0 ** n for bits alone
    operator = ring(
        (RING, sym.write("i", sym.where(i.value > 0, 2 - i.value, 0)), 1.0),
        (RING, sym.write("i", sym.where(i.value == 1, 1, 0)), 2.0),
        (RING, sym.write("i", sym.where(i.value > 1, 1, 0)), 2.0),
        space=sym.fock(2, 4),
    )
    assert artifact_of(operator).lanes == 8
    checked(operator)


def test_writes_where_x_decides_are_kept() -> None:
    operator = ring(
        (RING, sym.write(sym.where(i.value > 0, i.index, j.index), -1), 1.0),
        (RING, sym.write(sym.where(i.value > 0, i.index, j.index), -1), 2.0),
    )
    assert artifact_of(operator).lanes == 8
    checked(operator)
    assert all(not remark.done for remark in remarks_of(operator, PASS))


def test_values_of_other_sites_are_told_apart() -> None:
    operator = ring(
        (RING, sym.write("i", j.value), 1.0),
        (RING, sym.write("i", j.value), h),
        ([(0, 2), (1, 3)], sym.write("i", j.value), 0.5),
        (RING, sym.swap("i", "j"), 2.0),
        ([(b, a) for a, b in RING], sym.swap("i", "j"), -1.0),
    )
    assert artifact_of(operator).lanes == 4 + 2 + 4
    checked(operator, executable=True)


# endregion
# region Rows that alias


def squared(operator: sym.SymbolicOperator) -> Any:
    return operator @ operator


def on_rows(space: Any, rows: Any, *updates: Any) -> sym.SymbolicOperator:
    builder = sym.DOperator(space, "rows").for_each(("i", "j"), over=rows)
    for update in updates:
        builder = builder.emit(update, amplitude=h)
    return builder.build()


def sum_of(space: Any, update: Any, amplitude: Any = 1.0) -> sym.SymbolicOperator:
    builder = sym.DOperator(space, "sum").for_each_site("i")
    return builder.emit(update, amplitude=amplitude).build()


def ising(sites: int, *, field_along_z: bool = False) -> sym.SymbolicOperator:
    builder = sym.DOperator(sym.spin(0.5, sites), "ising")
    if field_along_z:
        builder = builder.for_each_site("i").emit(amplitude=i.value)
    else:
        rows = [(k, (k + 1) % sites) for k in range(sites)]
        builder = builder.for_each(("i", "j"), over=rows)
        builder = builder.emit(amplitude=i.value * j.value)
    return builder.for_each_site("i").emit(sym.flip("i"), amplitude=h).build()


ALIASING = [(0, 0), (0, 1), (1, 0), (1, 1)]
TWICE = sym.shift_mod("i", 1).shift_mod("j", 1)
CONTROLLED = sym.write("j", sym.where(i.value > 0, 1 - j.value, j.value))
MIXED = sym.space([[-1, 1], [0, 1, 2], [-1, 1], [0, 1, 2]])

CASES = {
    "flips": (lambda: on_rows(sym.spin(0.5, 3), ALIASING[:3], BOTH), 2),
    "flips of one site": (lambda: on_rows(sym.spin(0.5, 3), ALIASING[::3], BOTH), 1),
    "X @ X, 3": (lambda: squared(sum_of(sym.spin(0.5, 3), sym.flip("i"))), 4),
    "X @ X, 4": (lambda: squared(sum_of(sym.spin(0.5, 4), sym.flip("i"))), 7),
    "X @ X, bits": (lambda: squared(sum_of(sym.qubit(3), sym.flip("i"))), 4),
    "(X + Z) @ (X + Z)": (lambda: squared(ising(3, field_along_z=True)), 7),
    "ising @ ising": (lambda: squared(ising(4)), 11),
    "turns of three": (
        lambda: squared(sum_of(sym.spin(1, 3), sym.shift_mod("i", 1))),
        6,
    ),
    "turns": (lambda: on_rows(sym.fock(2, 2), ALIASING, TWICE), 3),
    "turns of two": (lambda: on_rows(sym.qubit(2), ALIASING, TWICE), 2),
    "sites that differ": (
        lambda: on_rows(MIXED, [(0, 0), (1, 1), (2, 2), (3, 3), (0, 2), (2, 0)], TWICE),
        1 + 2 + 1,
    ),
    "swaps": (
        lambda: (
            sym.DOperator(sym.spin(0.5, 3), "swaps")
            .globally()
            .emit(sym.swap(0, 1).swap(0, 1))
            .emit(sym.swap(0, 1))
            .emit(sym.swap(1, 0).swap(1, 2).swap(2, 1))
            .emit(amplitude=2.0)
            .build()
        ),
        2,
    ),
    "constants": (
        lambda: on_rows(
            sym.qubit(2),
            ALIASING,
            sym.write("i", 1).write("j", 1),
            sym.write("i", i.value).write("j", 1),
        ),
        3,
    ),
    "where the row says": (
        lambda: on_rows(
            sym.qubit(3), RING[:2], sym.write(sym.where(i.index >= 0, 0, 1), 1)
        ),
        1,
    ),
    "of two sites": (
        lambda: on_rows(
            sym.qubit(3),
            [(0, 1), (2, 1)],
            CONTROLLED,
            sym.write("j", (i.value + j.value) % 2),
        ),
        2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_that_alias(name: str) -> None:
    build, lanes = CASES[name]
    operator = build()
    checked(operator, executable=name in ("ising @ ising", "sites that differ"))
    assert artifact_of(operator).lanes == lanes


def test_a_sum_that_leads_back_to_x_writes_nothing() -> None:
    operator = on_rows(sym.spin(0.5, 3), ALIASING[::3], BOTH)
    module = lowered(operator, "bt-compact")
    (branches,) = ops_of(module, "bt.branches")
    assert "!bt.branches<1 x 0>" in str(branches)


def test_what_is_not_known_of_x_is_not_used() -> None:
    operator = on_rows(sym.spin(0.5, 3), ALIASING[:3], BOTH)
    known = operator_pipeline("static")
    unknown = known.replace(" values=true", "")
    assert known != unknown
    lanes = [artifact_of(operator, lowering=one).lanes for one in (known, unknown)]
    assert lanes == [2, 3]


def test_lanes_are_compared_at_every_level_of_optimisation() -> None:
    operator = on_rows(sym.spin(0.5, 3), ALIASING[:3], BOTH)
    for level in (0, 1, 3):
        assert artifact_of(operator, opt_level=level).lanes == 2


@st.composite
def chains(draw: Any) -> sym.SymbolicOperator:
    """Draw chains of updates that stay in the space, on rows that alias."""
    values = draw(st.sampled_from([(0, 1), (-1, 1), (0, 1, 2)]))
    sizes = [list(values)] * 3
    if draw(st.booleans()):
        sizes[1] = [0, 1]
    site = st.integers(0, 2)
    rows = draw(st.lists(st.tuples(site, site), min_size=1, max_size=5))
    builder = sym.DOperator(sym.space(sizes), "chains").for_each(("i", "j"), over=rows)
    uniform = sizes[1] == sizes[0]
    for _ in range(draw(st.integers(1, 3))):
        update: Any = sym
        for label in draw(st.sampled_from(["i", "ij", "ji", "iij", "iji"])):
            steps: list[Any] = [("shift_mod", label, 1), ("shift_mod", label, -1)]
            if uniform:
                steps += [("swap", "i", "j"), ("write", label, values[0])]
                steps += [("write", label, i.value), ("write", label, j.value)]
                equal = sym.where(i.value == j.value, values[1], values[0])
                steps.append(("write", label, equal))
            name, *arguments = draw(st.sampled_from(steps))
            update = getattr(update, name)(*arguments)
        builder = builder.emit(update, amplitude=1.0)
    return builder.build()


@settings(max_examples=15)
@given(chains())
def test_lanes_are_summed_just_where_they_lead_to_one_configuration(
    operator: sym.SymbolicOperator,
) -> None:
    x = operator.space.all_states()
    before = lowered(operator, PASS)
    targets, _ = run_branches(before, x)
    found, _ = run_branches(run_passes(before, PASS), x)
    different = {lane.tobytes() for lane in np.moveaxis(np.asarray(targets), 1, 0)}
    kept = [lane.tobytes() for lane in np.moveaxis(np.asarray(found), 1, 0)]
    assert sorted(different) == sorted(kept)
    checked(operator)


# endregion
# region The same sums


@settings(max_examples=8)
@given(flips((1, 2, 4)))
def test_random_updates(operator: sym.SymbolicOperator) -> None:
    checked(operator)


@settings(max_examples=3)
@given(flips((34,)))
def test_random_updates_on_many_sites(operator: sym.SymbolicOperator) -> None:
    checked(operator, samples=6)


@settings(max_examples=8)
@given(pauli_sums())
def test_pauli_strings(drawn: tuple[list[str], list[complex]]) -> None:
    operator = from_pauli_strings(*drawn, dtype=np.complex128)
    checked(operator, samples=32)
    flipped = {tuple(letter in "XY" for letter in one) for one in drawn[0]}
    lanes = artifact_of(operator).lanes
    # Strings may cancel before, and their flips with them
    assert lanes <= len(flipped)


def test_pauli_strings_of_netket() -> None:
    rng = np.random.default_rng(0)
    strings = sorted({"".join(rng.choice(list("IXYZ"), 3)) for _ in range(12)})
    weights = rng.normal(size=len(strings)) + 1j * rng.normal(size=len(strings))
    kind: Any = nk.operator.PauliStringsJax
    theirs = kind(nk.hilbert.Spin(0.5, 3), strings, weights)
    operator = from_netket(theirs)
    ours = operator.to_netket(coalesce="static")
    assert_same_matrix(ours, theirs, operator.space.all_states())
    assert ours.max_conn_size == theirs.max_conn_size


def test_a_local_operator_of_netket() -> None:
    hilbert, pairs = nk.hilbert.Spin(0.5, 3), [(0, 1), (1, 2), (2, 0)]
    x, y, z = nk.operator.spin.sigmax, nk.operator.spin.sigmay, nk.operator.spin.sigmaz
    theirs: Any = sum(
        x(hilbert, a) @ x(hilbert, b) + 0.5 * y(hilbert, a) @ y(hilbert, b)
        for a, b in pairs
    )
    theirs += sum(0.25 * z(hilbert, a) for a in range(3))
    strings = ["XXI", "IXX", "XIX", "YYI", "IYY", "YIY", "ZII", "IZI", "IIZ"]
    weights = [1.0] * 3 + [0.5] * 3 + [0.25] * 3
    operator = from_pauli_strings(strings, weights, hilbert=hilbert)
    ours = operator.to_netket(coalesce="static")
    assert_same_matrix(ours, theirs, operator.space.all_states())
    assert ours.max_conn_size == 1 + 3


def test_three_words() -> None:
    n, rng = 70, np.random.default_rng(0)
    strings = ["".join(rng.choice(list("IXYZ"), n)) for _ in range(5)]
    # The same flips with other signs, at the ends of the words above all
    for site in (0, 31, 32, 63, 64, 69):
        turned = {"I": "Z", "Z": "I", "X": "Y", "Y": "X"}
        for one in strings[:2]:
            strings.append(one[:site] + turned[one[site]] + one[site + 1 :])
    operator = from_pauli_strings(
        strings, rng.normal(size=len(strings)), dtype=np.complex128
    )
    assert artifact_of(operator).lanes == 5
    x = rng.integers(0, 2, (3, n)).astype(np.int8)
    checked(operator, x=x)
    assert_same_sums(operator, x)


@pytest.mark.parametrize("dtype", ["int8", "float64", "bool", "uint8"])
def test_any_dtype_of_x(dtype: str) -> None:
    operator = ring(
        (RING, BOTH, 1.0, {"where": i.value > 0}),
        (RING, BOTH, h),
        (RING, sym.write("i", 1), 0.5),
        space=sym.qubit(4),
    )
    x = jnp.asarray(operator.space.all_states().astype(dtype))
    xp = operator.compile(coalesce="static").get_conn_padded(x)[0]
    assert xp.dtype == dtype
    assert xp.shape == (16, 8, 4)
    assert_same_sums(operator, x)


def test_the_matrix_is_that_of_the_reference() -> None:
    operator = ring(
        (RING, BOTH, h * i.value),
        (RING[::-1], BOTH, 1j * j.value + 0.5),
        dtype="complex128",
    )
    states = operator.space.all_states().astype(np.int8)
    number = {tuple(state): k for k, state in enumerate(states.tolist())}
    found = np.zeros((16, 16), np.complex128)
    compiled = operator.compile(coalesce="static")
    for row, sums in enumerate(sums_of(*compiled.get_conn_padded(states))):
        for target, element in sums.items():
            found[row, number[target]] = element
    expected = dense_matrix(operator.to_ir().module, {"h": 0.75})
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_a_parameter_is_mapped_over_and_differentiated() -> None:
    operator = ring(
        (RING, BOTH, h * i.value),
        (RING, BOTH, sym.sqrt(h), {"where": i.value > 0}),
        ([(0, 1)] * 3, BOTH, h * h),
    )
    x = operator.space.random_states(6, seed=0).astype(np.int8)
    kernels = [operator.compile(coalesce=which) for which in ("none", "static")]

    def total(compiled: Any, value: Any) -> Any:
        xp, mels = compiled.replace(h=value).get_conn_padded(x)
        weights = jnp.cos((xp * jnp.arange(1.0, 5.0)).sum(axis=-1))
        return (weights * mels).sum(axis=1)

    values = jnp.array([0.5, 2.0, 0.1])
    mapped = [jax.vmap(lambda v, c=c: total(c, v))(values) for c in kernels]
    np.testing.assert_allclose(*mapped, rtol=1e-12)
    tangents = [jax.jvp(lambda v, c=c: total(c, v), (0.7,), (1.5,))[1] for c in kernels]
    np.testing.assert_allclose(*tangents, rtol=1e-12)
    assert np.abs(tangents[0]).max() > 0
    gradients = [jax.grad(lambda v, c=c: total(c, v).sum())(0.7) for c in kernels]
    np.testing.assert_allclose(*gradients, rtol=1e-12)


def test_x_is_differentiated_as_the_sum_is() -> None:
    operator = ring(
        (RING, sym.write("i", -i.value), h * i.value),
        (RING, sym.write("i", -i.value), j.value * j.value),
    )
    x = operator.space.random_states(3, seed=0).astype(np.float64)
    tangent = np.random.default_rng(1).normal(size=x.shape)

    def total(compiled: Any, x: Any) -> Any:
        xp, mels = compiled.get_conn_padded(x)
        return (jnp.sin(xp).sum(axis=-1) * mels).sum(axis=1)

    found = [
        jax.jvp(lambda x, c=c: total(operator.compile(coalesce=c), x), (x,), (tangent,))
        for c in ("none", "static")
    ]
    for expected, value in zip(*found, strict=True):
        np.testing.assert_allclose(expected, value, rtol=1e-12)


def test_no_sample_and_no_rows() -> None:
    operator = ring((RING, BOTH, 1.0), (RING, BOTH, 2.0))
    xp, mels = operator.compile(coalesce="static").get_conn_padded(
        np.zeros((0, 4), np.int8)
    )
    assert xp.shape == (0, 4, 4)
    assert mels.shape == (0, 4)
    text = """
    sym.operator @none() space #sym.space<2 x [-1, 1]> element f64 {
      sym.term @empty over #sym.rows<0 x 1> {
      ^bb0(%x : !sym.config, %i : !sym.site):
        %n = sym.read %x[%i] : tensor<f64>
        %m = stablehlo.negate %n : tensor<f64>
        %y = sym.write %x[%i], %m : tensor<f64>
        sym.emit %y, %n : tensor<f64>
        sym.emit %y, %m : tensor<f64>
      }
      sym.term @some over #sym.rows<[0], [0]> {
      ^bb0(%x : !sym.config, %i : !sym.site):
        %n = sym.read %x[%i] : tensor<f64>
        %m = stablehlo.negate %n : tensor<f64>
        %y = sym.write %x[%i], %m : tensor<f64>
        sym.emit %y, %n : tensor<f64>
      }
    }
    """
    for without in (text, text[: text.index("sym.term @some")] + "}"):
        checked(SymbolicOperatorIR.from_text(without))  # pyright: ignore[reportArgumentType]


def test_a_single_site() -> None:
    operator = (
        sym.DOperator(sym.spin(0.5, 1), "one")
        .globally()
        .emit(sym.flip(0), amplitude=1.0)
        .emit(sym.flip(0), amplitude=h)
        .emit(amplitude=0.5)
        .build()
    )
    assert artifact_of(operator).lanes == 2
    checked(operator)


# endregion
# region Flips of two states


def test_a_flip_is_the_same_function_however_it_is_written() -> None:
    operator = ring(
        (RING, sym.flip("i"), 1.0),
        (RING, sym.write("i", -i.value), 2.0),
        (RING, sym.shift_mod("i", -3), 4.0),
    )
    assert artifact_of(operator).lanes == 4
    checked(operator)


@pytest.mark.parametrize(
    "values", [(0, 1), (-1, 1), (2, 5), (0.1, 0.7), (-0.5, 0.5), (1e16, 1e16 + 2)]
)
def test_two_states_of_any_values(values: tuple[float, float]) -> None:
    space = sym.space([list(values)] * 2)
    operator = (
        sym.DOperator(space, "two")
        .for_each_site("i")
        .emit(sym.shift_mod("i", 1), amplitude=1.0)
        .emit(sym.shift_mod("i", 4), amplitude=2.0)
        .emit(sym.shift_mod("i", i.value), amplitude=4.0)
        .build()
    )
    # Numbers that are rounded, or nearly equal, are what a compiler could mistake
    checked(operator, executable=values in ((0.1, 0.7), (1e16, 1e16 + 2)))


# endregion
