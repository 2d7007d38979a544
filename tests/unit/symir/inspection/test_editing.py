"""IR that was written by hand: what it becomes, that it runs, and what it cannot be."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symir as sym
from dialects.text import print_module
from symir.compiler.lowering import lower_to_stablehlo
from symir.errors import SourceLocation
from tests.unit.symir.compiler.test_diagnostics import MODELS
from tests.unit.symir.inspection.handles import (
    energy,
    handle,
    ising,
    lowered_energy,
    lowered_ising,
)

X = np.array([[1, 1, 1, 1], [1, -1, -1, -1]], np.int8)

J = "constant dense<5.000000e-01>"
OTHER = "constant dense<2.000000e+00>"


@pytest.mark.parametrize("name", MODELS)
def test_a_text_that_was_not_changed_changes_nothing(name: str) -> None:
    lowered = handle(name)
    again = lowered.replace_ir("bt", lowered.at("bt").text)
    assert again.stage.text == lowered.stage.text
    kernel = again.compile().kernel
    module = lower_to_stablehlo(kernel.branch_tensors, 2, lowered.state)
    assert print_module(module) == lowered.stage.text


def test_stages_between_the_levels_are_edited() -> None:
    lowered = lowered_ising()
    for stage in lowered.stages[::2]:
        again = lowered.replace_ir(stage.number, stage.text)
        for own, other in zip(again.stages, lowered.stages, strict=True):
            assert (own.name, own.text) == (other.name, other.text)


@pytest.mark.parametrize(
    ("where", "coalesce"),
    [
        ("sym", "none"),
        ("sym-guard-space", "static"),
        ("bt", "none"),
        ("bt", "static"),
        ("stablehlo", "static"),
    ],
)
def test_an_edit_changes_the_result_as_edited(where: str, coalesce: str) -> None:
    lowered = sym.lower(ising(), coalesce=coalesce, batch=2)
    edited = lowered.replace_ir(where, lowered.at(where).text.replace(J, OTHER, 1))
    connected, elements = edited.compile().get_conn_padded(X)
    before, unedited = lowered.compile().get_conn_padded(X)
    np.testing.assert_array_equal(connected, before)
    is_diagonal = (np.asarray(before) == X[:, None, :]).all(-1)
    scale = np.where(is_diagonal, 4.0, 1.0)
    np.testing.assert_allclose(elements, np.asarray(unedited) * scale)
    assert np.asarray(unedited)[is_diagonal].any()


def test_stages_behind_an_edit_are_lowered_anew() -> None:
    lowered = lowered_ising()
    edited = lowered.replace_ir("bt", lowered.at("bt").text.replace(J, OTHER))
    number = lowered.at("bt").number
    assert [one.edited for one in edited.stages].index(True) == number
    assert edited.at("bt").report is None
    assert edited.stages[:number] == lowered.stages[:number]
    assert "edited by hand" in str(edited)
    for level in ("bt", "stablehlo"):
        (change,) = sym.diff(lowered, edited, level)
        assert change.details == ("value 0.5 -> 2.0",)
    twice = edited.replace_ir("stablehlo", edited.at("stablehlo").text)
    assert sum(one.edited for one in twice.stages) == 2


def test_lanes_may_change() -> None:
    text = """
    func.func @f(%x: tensor<?x4x!bt.state>, %h: tensor<f64>)
        -> (tensor<?x1x4x!bt.state>, tensor<?x1xf64>) {
      %b = bt.branches[] = [] amplitude %h : [] [] tensor<f64> -> !bt.branches<1 x 0>
      %c, %m = bt.connections %x, %b : (tensor<?x4x!bt.state>, !bt.branches<1 x 0>)
        -> (tensor<?x1x4x!bt.state>, tensor<?x1xf64>)
      func.return %c, %m : tensor<?x1x4x!bt.state>, tensor<?x1xf64>
    }
    """
    edited = lowered_ising().replace_ir("bt", text)
    compiled = edited.compile().replace(h=0.75)
    connected, elements = compiled.get_conn_padded(X)
    assert compiled.max_conn_size == 1
    np.testing.assert_array_equal(connected, X[:, None, :])
    np.testing.assert_array_equal(elements, np.full((2, 1), 0.75))
    # Nobody knows any more where they come from
    assert edited.lanes_of_terms("bt") is None
    assert edited.lanes_of_terms("sym") == {"bonds": 4, "field": 4}


def test_an_operator_that_was_edited_is_a_function_of_jax() -> None:
    edited = lowered_ising().replace_ir("bt", lowered_ising().at("bt").text)
    compiled = edited.compile()
    expected = np.asarray(ising().compile().get_conn_padded(X)[1])
    elements = jax.jit(lambda x: compiled.get_conn_padded(x)[1])(X)
    np.testing.assert_array_equal(elements, expected)
    scaled = jax.vmap(lambda h: compiled.replace(h=h).get_conn_padded(X)[1])
    assert scaled(np.array([0.25, 0.5])).shape == (2, *expected.shape)
    again = pickle.loads(pickle.dumps(compiled))
    assert again.kernel == compiled.kernel
    assert compiled.kernel != ising().compile().kernel
    np.testing.assert_array_equal(again.get_conn_padded(X)[1], expected)


@pytest.mark.parametrize(
    "use",
    [
        lambda op: op.H @ op,
        lambda op: -op,
        lambda op: op + 1,
        lambda op: op.get_conn_padded(X, checked=True),
        lambda op: sym.local_energy(op, lambda w, x: x @ w, np.ones(4), X),
        lambda op: jax.jacobian(lambda h: op.replace(h=h).get_conn_padded(X)[1])(0.5),
    ],
)
def test_what_goes_by_the_operator_does_not_go_by_the_one_before_the_edit(
    use: Callable[[Any], object],
) -> None:
    compiled = lowered_ising().replace_ir("bt", lowered_ising().at("bt").text).compile()
    with pytest.raises(sym.StageError, match="one whose IR was edited") as caught:
        use(compiled)
    assert "replace_ir('sym', text)" in (caught.value.hint or "")


def matrix_of(compiled: Any, states: np.ndarray) -> np.ndarray:
    """Return the dense matrix; the one of NetKet is compiled by XLA op by op."""
    connected, elements = map(np.asarray, compiled.get_conn_padded(states))
    same = (connected[:, :, None] == states).all(axis=-1)
    return (elements[:, :, None] * same).sum(axis=1)


def test_an_edit_is_not_hermitian_because_the_operator_was() -> None:
    text = lowered_ising().at("bt").text
    old = re.search(
        r"bt.branches\[%i\] = \[(%\w+)\] amplitude %\w+( origins \S+ of \d+>)"
        r" : (.*) tensor<f64>",
        text,
    )
    assert old is not None
    new = old[0].replace(
        old[0].split(" : ")[0],
        f"bt.branches[%i] = [{old[1]}] amplitude {old[1]}{old[2]}",
    )
    new = new.removesuffix("tensor<f64>") + "tensor<?x4xf64>"
    compiled = lowered_ising().replace_ir("bt", text.replace(old[0], new)).compile()
    assert ising().compile().is_hermitian
    matrix = matrix_of(compiled, ising().space.all_states())
    assert not np.allclose(matrix, matrix.T)
    assert not compiled.is_hermitian
    assert not compiled.to_netket().is_hermitian
    with pytest.raises(sym.StageError):
        _ = compiled.H


def test_a_kernel_that_was_edited_is_for_its_batch_and_state() -> None:
    lowered = sym.lower(ising(), batch=2)
    compiled = lowered.replace_ir("stablehlo", lowered.stage.text).compile()
    assert compiled.get_conn_padded(X)[1].shape == (2, 8)
    again = pickle.loads(pickle.dumps(compiled))
    assert again.get_conn_padded(X)[1].shape == (2, 8)
    for x in (X[:1], X.astype(np.int32)):
        with pytest.raises(sym.StageError) as caught:
            compiled.get_conn_padded(x)
        assert "2 configurations of i8" in (caught.value.expected or "")


def test_an_edit_of_the_beginning_is_another_operator() -> None:
    lowered = sym.lower(ising(), opt_level=3)
    text = lowered.at("sym").text.replace(J, OTHER, 1)
    edited = lowered.replace_ir(0, text)
    assert edited.options == {"opt_level": 3}
    assert not any(one.edited for one in edited.stages)
    compiled = edited.compile()
    # All that goes by the operator goes by the edited one
    assert (-compiled).get_conn_padded(X)[1].shape == (2, 8)
    wider = text.replace("4 x [-1, 1]", "4 x [-3, -1, 1]")
    # What leads from -3 has no way back
    wider = wider.replace(" hermitian", "")
    assert lowered.replace_ir("sym", wider).source.space.local_states[0] == (-3, -1, 1)


def test_texts_of_lower_levels_are_edited_too() -> None:
    text = lowered_ising().at("bt").text
    entered = sym.lower(text)
    edited = entered.replace_ir(0, text.replace(J, OTHER))
    (change,) = sym.diff(entered, edited, "stablehlo")
    assert change.details == ("value 0.5 -> 2.0",)
    with pytest.raises(sym.StageError, match="knows no local values"):
        edited.compile()


# region What cannot be


@pytest.mark.parametrize("where", ["sym", "sym-guard-space", "bt", "stablehlo"])
def test_a_broken_text_is_located(where: str) -> None:
    text = lowered_ising().at(where).text
    lines = text.splitlines()
    number = next(n for n, line in enumerate(lines) if "stablehlo.negate %h" in line)
    broken = text.replace("stablehlo.negate %h", "stablehlo.negate %g", 1)
    error = error_of(where, broken)
    assert "%g" in error.message
    assert error.location == SourceLocation("edited.mlir", number + 1)
    assert error.location is not None
    assert error.location.column == lines[number].index("%h") + 1
    broken = text.replace("stablehlo.negate %h", "stablehlo.negate (", 1)
    error = error_of(where, broken)
    assert "xpected" in error.message
    assert error.location == SourceLocation("edited.mlir", number + 1)
    assert str(error).count("edited.mlir:") == 1


def error_of(where: str, text: str) -> sym.DefinitionError:
    with pytest.raises(sym.DefinitionError) as caught:
        lowered_ising().replace_ir(where, text, file="edited.mlir")
    error = caught.value
    assert error.code == "D028"
    assert error.location is not None
    return error


@pytest.mark.parametrize("text", [None, 3, b"builtin.module {}"])
def test_what_is_no_text_is_refused(text: Any) -> None:
    for call in (sym.parse, lambda one: lowered_ising().replace_ir("bt", one)):
        with pytest.raises(sym.StageError) as caught:
            call(text)
        assert caught.value.expected == "the text of a level"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("= dense<2.5", "= dense<9.5", "[dense<9.5"),
        ("[-1, 1]", "[-2, -1, 1]", "#sym.space<4 x [-2, -1, 1]>"),
        ('"h"', '"g"', '["g"]'),
    ],
)
def test_an_operator_on_its_way_keeps_what_was_declared(
    old: str, new: str, found: str
) -> None:
    text = lowered_ising().at("sym-gather-terms").text
    assert old in text
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        lowered_ising().replace_ir("sym-gather-terms", text.replace(old, new))
    assert caught.value.code == "C061"
    assert (caught.value.found or "").startswith(found)
    assert "replace_ir('sym', text)" in (caught.value.hint or "")


def test_an_edit_is_not_lost() -> None:
    edited = lowered_ising().replace_ir("bt", lowered_ising().at("bt").text)
    with pytest.raises(sym.StageError, match="would be lost"):
        sym.lower(edited, batch=3)


def test_a_text_of_another_level_is_refused() -> None:
    lowered = lowered_ising()
    with pytest.raises(sym.StageError) as caught:
        lowered.replace_ir("bt", lowered.at("sym").text)
    assert caught.value.expected == "a text of the level bt"
    assert caught.value.got == "one of the level sym"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("%h: tensor<f64>)", "%h: tensor<f64>, %g: tensor<f64>)"),
        ("x4x!bt.state", "x5x!bt.state"),
        ("f64", "f32"),
        ("func.func @", "func.func private @other() -> ()\n  func.func @"),
    ],
)
def test_a_kernel_of_another_operator_is_refused(old: str, new: str) -> None:
    lowered = lowered_ising()
    text = lowered.at("bt").text
    assert old in text
    with pytest.raises(sym.SymirError) as caught:
        lowered.replace_ir("bt", text.replace(old, new))
    error = caught.value
    assert error.code == "C061"
    assert error.operator == lowered.name
    assert "one function of type" in (error.expected or "")


def test_a_kernel_with_other_lanes_than_its_branch_tensors_is_refused() -> None:
    text = sym.lower(ising(), coalesce="static").at("stablehlo").text
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        lowered_ising().replace_ir("stablehlo", text)
    assert caught.value.code == "C061"
    assert caught.value.found == "[8, 5] lanes"


def test_a_pass_that_cannot_take_an_edit_says_so() -> None:
    lowered = lowered_ising()
    text = lowered.at("sym-guard-space").text
    text = re.sub(r"sym\.write (%\w+\[%\w+\]),", r"sym.shift \1 by", text)
    assert "sym.shift" in text
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        lowered.replace_ir("sym-guard-space", text)
    assert caught.value.code == "C002"
    assert caught.value.pass_name == "convert-sym-to-bt"


# endregion
# region Local energies


STAGES = ("bt-local-energy", "bt", "lower-local-energy", "stablehlo")


def test_a_local_energy_runs_as_it_is_edited() -> None:
    lowered = lowered_energy()
    for where in STAGES:
        edited = lowered.replace_ir(where, lowered.at(where).text)
        assert edited.stage.text == lowered.stage.text
    fused, w, _ = energy()
    x = ising().space.all_states()
    expected = np.asarray(fused(w, x))
    # Couplings count by their own
    bonds = 1.5 * (x * np.roll(x, 1, axis=1)).sum(axis=1)
    before, edited = (
        lowered.replace_ir(where, lowered.at(where).text.replace(J, OTHER, 1))
        for where in STAGES[:2]
    )
    assert sym.diff(lowered, edited, "stablehlo")
    assert before.stage.text == edited.stage.text
    run = edited.compile()
    np.testing.assert_allclose(run(w, x) - expected, bonds, atol=1e-12)
    assert run.report(w, x, measure=False).parts
    derivative, own = (
        jax.grad(lambda w, one=one: (x[:, 0] * one(w, x)).sum())(w)
        for one in (run, fused)
    )
    np.testing.assert_allclose(derivative, own, rtol=1e-10)
    halved = run.replace(h=0.5)
    np.testing.assert_allclose(
        halved(w, x) - bonds, fused.replace(h=0.5)(w, x), atol=1e-12
    )


def test_a_kernel_of_a_local_energy_runs_as_it_is_edited() -> None:
    fused, w, _ = energy()
    lowered = sym.lower(fused, w, X, batch=len(X))
    text = lowered.at("stablehlo").text
    run = lowered.replace_ir("stablehlo", text.replace(J, OTHER, 1)).compile()
    bonds = 1.5 * (X * np.roll(X, 1, axis=1)).sum(axis=1)
    np.testing.assert_allclose(run(w, X) - fused(w, X), bonds, atol=1e-12)
    groups = jax.vmap(run, (None, 0))(w, np.stack([X, X]))
    np.testing.assert_array_equal(groups, np.stack([run(w, X)] * 2))
    for call in (
        lambda: run(w, X[:1]),
        lambda: run(w, X, chunk=1),
        lambda: run(w, X.astype(float)),
        lambda: run(w[:, :1], X),
        lambda: sym.lower(run, w, X),
    ):
        with pytest.raises(sym.StageError):
            call()
    with pytest.raises(sym.NotDifferentiable, match="has no derivatives"):
        jax.grad(lambda w: run(w, X).sum())(w)
    with pytest.raises(sym.InputError, match="V012"):
        sym.check(run, w, X)


def test_an_edited_kernel_of_an_energy_that_is_none() -> None:
    lowered = lowered_energy()
    text = lowered.at("stablehlo").text
    lines = text.splitlines()
    number = next(n for n, line in enumerate(lines) if "stablehlo.multiply" in line)
    lines[number] = lines[number].replace("multiply %", "multiply %missing, %", 1)
    with pytest.raises(sym.DefinitionError, match="D028") as caught:
        lowered.replace_ir("stablehlo", "\n".join(lines), file="edited.mlir")
    assert caught.value.location is not None
    assert caught.value.location.line == number + 1
    # One that parses, and does not verify
    line = next(one for one in lines if "dense<0> : tensor<i32>" in one)
    wrong = text.replace(line, line.replace("i32", "i64"), 1)
    with pytest.raises(sym.DefinitionError, match=r"edited.mlir:\d+"):
        lowered.replace_ir("stablehlo", wrong, file="edited.mlir")
    stranger = "func.func private @stranger(tensor<i32>) -> tensor<i32>\n}"
    with pytest.raises(sym.SymbolicCompilerError, match="no kernel of the local"):
        lowered.replace_ir("stablehlo", text.rstrip()[:-1] + stranger)


def test_the_text_of_a_network_that_is_called_is_no_edit() -> None:
    _, w, x = energy()
    plain = sym.LocalEnergy(ising(), lambda w, x: jnp.sin(0.75 * x @ w).sum(-1))
    lowered = sym.lower(plain, w, x)
    text = lowered.at("bt").text
    assert "7.500000e-01" in text
    with pytest.raises(sym.SymbolicCompilerError, match="does not count"):
        lowered.replace_ir("bt", text.replace("7.500000e-01", "5.000000e-01"))


def test_edited_parts_that_nothing_would_use_are_refused() -> None:
    fused, w, x = energy()
    lowered = sym.lower(fused, w, x, to="bt")
    text = re.sub(r" written \[[^\]]*\]", "", lowered.at("bt").text)
    assert text != lowered.at("bt").text
    with pytest.raises(sym.SymbolicCompilerError, match="no functions are written"):
        lowered.replace_ir("bt", text).compile()


def test_the_operator_of_a_local_energy_is_edited_on_its_own() -> None:
    lowered = lowered_energy()
    for where in ("sym", "bt-coalesce-static"):
        with pytest.raises(sym.StageError, match="has not met the wavefunction"):
            lowered.replace_ir(where, lowered.at(where).text)
    with pytest.raises(sym.SymbolicCompilerError, match="is no local energy"):
        lowered.replace_ir("bt", lowered_ising().at("bt").text)
    fused, w, x = energy()
    text = lowered_ising().at("sym").text.replace(J, OTHER, 1)
    other = lowered_ising().replace_ir("sym", text).compile()
    energies = sym.local_energy(other, fused.logpsi, w, x)
    # The bonds count four times, at an x where all of them are 1
    assert np.allclose(energies - fused(w, x), 1.5 * 4)


# endregion
