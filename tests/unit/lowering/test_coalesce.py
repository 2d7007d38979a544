# pyright: basic
"""Summing lanes: against the reference, and where lanes are said to come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import dense_matrix
from symir.compiler.lowering import operator_pipeline
from symir.compiler.options import OPT_LEVELS

i, j = sym.site("i"), sym.site("j")
J = sym.symbol("J", 1.25)
BONDS = [(0, 1), (1, 2), (2, 3)]


@pytest.fixture(autouse=True)
def _x64() -> object:  # pyright: ignore[reportUnusedFunction]
    with jax.enable_x64(True):
        yield


def _tfim(**options: object) -> sym.SymbolicOperator:
    b = sym.DOperator(sym.spin(0.5, 4), "tfim", hermitian=True, **options)  # pyright: ignore[reportArgumentType]
    b = b.for_each(("i", "j"), over=BONDS).emit(amplitude=-J * i.value * j.value + 0.5)
    return b.for_each_site("i").emit(sym.write("i", -i.value), amplitude=-0.7).build()


def _bosons() -> sym.SymbolicOperator:
    b = sym.DOperator(sym.fock(2, 3), "bosons")
    b = b.for_each_site("i").emit(amplitude=0.75 * i.value * (i.value - 1) - J * i)
    b = b.for_each(("i", "j"), over=[(0, 1), (1, 2)]).where(i.value > 0)
    hop = sym.shift("i", -1).shift("j", +1)
    return b.emit(hop, amplitude=sym.sqrt(i * sym.emitted("j"))).build()


def _guarded() -> sym.SymbolicOperator:
    b = sym.DOperator(sym.fock(2, 3), "guarded").for_each_site("i").where(i.value > 1)
    b = b.emit(amplitude=2 * J).emit(sym.write("i", 0), amplitude=i.value, tag="w")
    b = b.globally().emit(amplitude=3.0)
    return (
        b.for_each("i", over=[0, 1], data={"h": [0.5, -1.5]})
        .emit(amplitude=sym.row("h") * i.value)
        .build()
    )


def _promised(fanout: int) -> sym.SymbolicOperator:
    b = sym.DOperator(sym.fock(2, 3), "promised")
    b = b.for_each_site("i").fanout(fanout).where(i.value > 0).emit(amplitude=J * i)
    b = b.for_each_site("i").fanout(4).where(i.value < 1)
    b = b.emit(amplitude=i).emit(sym.shift("i", 1))
    return b.for_each_site("i").emit(amplitude=1.0 + i.value).build()


def _halves() -> sym.SymbolicOperator:
    b = sym.DOperator(sym.space([[0.5, 1.5, 2]] * 3), "halves").for_each_site("i")
    return b.emit(amplitude=i.value * i.value).build()


OPERATORS: dict[str, Callable[[], sym.SymbolicOperator]] = {
    "tfim": _tfim,
    "complex": lambda: _tfim(dtype="complex128"),
    "single": lambda: _tfim(dtype="float32"),
    "bosons": _bosons,
    "guarded": _guarded,
    "promised": lambda: _promised(2),
    "halves": _halves,
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("opt_level", OPT_LEVELS)
def test_every_pass_keeps_its_word(name: str, opt_level: int) -> None:
    lowering = operator_pipeline("diagonal", opt_level)
    report = sym.check(OPERATORS[name](), lowering=lowering, executable=opt_level == 2)
    assert report.ok, str(report)
    assert "bt-narrow" in [stage.name for stage in report.stages]


@pytest.mark.parametrize("opt_level", OPT_LEVELS)
def test_without_coalescing_every_level_gives_the_same(opt_level: int) -> None:
    for make in OPERATORS.values():
        report = sym.check(
            make(), lowering=operator_pipeline("none", opt_level), executable=False
        )
        assert report.ok, str(report)


def _matrix(compiled: object, operator: sym.SymbolicOperator) -> np.ndarray:
    states = operator.space.all_states().astype(np.int8)
    xp, mels = compiled.get_conn_padded(states)  # pyright: ignore[reportAttributeAccessIssue]
    number = {tuple(state): k for k, state in enumerate(states.tolist())}
    matrix = np.zeros((len(states), len(states)), np.asarray(mels).dtype)
    for row, (targets, elements) in enumerate(
        zip(np.asarray(xp), np.asarray(mels), strict=True)
    ):
        for target, element in zip(targets.tolist(), elements, strict=True):
            matrix[row, number[tuple(target)]] += element
    return matrix


def test_the_matrix_is_that_of_the_reference() -> None:
    for operator in (_tfim(), _bosons(), _guarded()):
        compiled = operator.compile(coalesce="diagonal")
        expected = dense_matrix(operator.to_ir().module, {"J": 1.25})
        found = _matrix(compiled, operator)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_the_number_of_lanes_is_that_of_the_kernel() -> None:
    operator = _tfim()
    assert operator.max_conn_size == 7
    artifact = sym.SymbolicCompiler().compile(operator, {"coalesce": "diagonal"})
    compiled: Any = artifact.compiled_operator
    assert compiled.max_conn_size == artifact.lanes == 5
    assert artifact.metadata_map()["total_padded_size"] == 5
    manifest = artifact.manifest()
    assert manifest["total_padded_size"] == 5
    assert [one["shape"] for one in manifest["outputs"]] == [
        ["batch", 5, 4],
        ["batch", 5],
    ]
    x = operator.space.all_states().astype(np.int8)
    xp, mels = compiled.get_conn_padded(x, checked=True)
    assert xp.shape == (16, 5, 4)
    assert xp.dtype == np.int8
    assert (np.asarray(xp)[:, 0] == x).all()
    shapes = jax.eval_shape(compiled.get_conn_padded, x)
    assert [one.shape for one in shapes] == [xp.shape, mels.shape]


def test_the_layout_says_which_lanes_were_summed() -> None:
    artifact = sym.SymbolicCompiler().compile(_guarded(), {"coalesce": "diagonal"})
    names = [one.name for one in _guarded().to_ir().terms]
    layout = artifact.branch_layout()
    assert layout[0] == ("+".join(names), None, None, None)
    assert layout[1:] == [(names[0], row, 1, "w") for row in range(3)]
    sources = artifact.lane_sources()
    assert [one[:3] for one in sources[0]] == [
        *[(names[0], row, 0) for row in range(3)],
        (names[1], 0, 0),
        (names[2], 0, 0),
        (names[2], 1, 0),
    ]
    assert sources[1:] == [(origin,) for origin in layout[1:]]


def test_what_is_not_coalesced_has_the_layout_that_it_had() -> None:
    artifact = sym.SymbolicCompiler().compile(_guarded())
    assert artifact.lanes == _guarded().max_conn_size
    assert [(one,) for one in artifact.branch_layout()] == artifact.lane_sources()


def test_a_broken_promise_is_nan() -> None:
    x = np.array([[1, 1, 1], [1, 1, 0]], np.int8)
    compiled = _promised(2).compile(coalesce="diagonal")
    mels = np.asarray(compiled.get_conn_padded(x)[1])
    assert np.isnan(mels[0, 0])
    assert not np.isnan(mels[1]).any()
    with pytest.raises(sym.InputError, match="R008"):
        compiled.get_conn_padded(x, checked=True)


def test_of_no_valid_lane_the_sum_is_zero_whatever_the_parameter() -> None:
    operator = (
        sym.DOperator(sym.fock(2, 3), "guarded")
        .for_each_site("i")
        .where(i.value > 1)
        .emit(amplitude=J * i.value)
        .build()
    )
    compiled = operator.compile(coalesce="diagonal").replace(J=np.inf)
    x = np.array([[0, 1, 0], [0, 2, 0]], np.int8)
    assert np.asarray(compiled.get_conn_padded(x)[1]).tolist() == [[0.0], [np.inf]]


def test_a_saved_artifact_has_the_same_lanes(tmp_path: Path) -> None:
    artifact = sym.SymbolicCompiler().compile(_tfim(), {"coalesce": "diagonal"})
    artifact.save(tmp_path / "tfim")
    loaded = sym.load_artifact(tmp_path / "tfim")
    assert loaded.branch_layout() == artifact.branch_layout()
    assert loaded.compiled_operator.max_conn_size == 5
    x = _tfim().space.all_states().astype(np.int8)
    for ours, theirs in zip(
        loaded.compiled_operator.get_conn_padded(x),
        artifact.compiled_operator.get_conn_padded(x),
        strict=True,
    ):
        assert (np.asarray(ours) == np.asarray(theirs)).all()


def test_parameters_and_real_configurations_are_differentiated() -> None:
    operator = _tfim()
    x = operator.space.random_states(4, seed=1)

    def energy(compiled: object, x: object, value: object) -> object:
        bound = compiled.replace(J=value)  # pyright: ignore[reportAttributeAccessIssue]
        totals = bound.get_conn_padded(x)[1].sum(axis=1)
        return (totals**2).sum()

    for argument, at in ((1, x.astype(np.float64)), (2, x.astype(np.int8))):
        plain, summed = (
            jax.grad(energy, argument)(operator.compile(coalesce=which), at, 0.75)
            for which in ("none", "diagonal")
        )
        np.testing.assert_allclose(plain, summed, rtol=1e-13)
        assert np.abs(plain).max() > 0


def test_options_do_not_change_a_lowering_of_ones_own() -> None:
    pipeline = sym.default_symbolic_pass_pipeline("convert-sym-to-bt,cse")
    compiler = sym.SymbolicCompiler(pipeline=pipeline)
    with pytest.raises(sym.SymbolicCompilerError, match="C027"):
        compiler.compile(_tfim(), {"coalesce": "diagonal"})


def test_a_lowering_in_the_options_comes_first() -> None:
    options = {"coalesce": "diagonal", "lowering": operator_pipeline()}
    artifact = sym.SymbolicCompiler().compile(_tfim(), options)
    assert artifact.lanes == _tfim().max_conn_size


def test_the_options_are_part_of_the_key() -> None:
    compiler = sym.SymbolicCompiler()
    tokens = {
        compiler.compile(_tfim(), options).cache_token
        for options in (
            {},
            {"coalesce": "diagonal"},
            {"opt_level": 0},
            {"opt_level": 1},
        )
    }
    assert len(tokens) == 4
