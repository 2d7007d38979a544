"""Every pass on `sym` keeps what an operator means.

Random small operators are interpreted on all of their configurations, before and after
each pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import example, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, StringAttr
from xdsl.passes import PassPipeline
from xdsl.transforms import get_all_passes as get_all_xdsl_passes

from dialects import sym
from dialects.interpreters.sym import (
    Guards,
    connections,
)
from dialects.text import context, parse_module, print_module
from lowering.analysis.sites import normal_form_error
from lowering.registry import get_all_passes
from tests.unit.lowering.programs import HOP, Program, programs

Array = npt.NDArray[Any]

NORMAL_FORM = "sym-expand-updates,sym-forward-reads"
BEFORE_GUARD = (
    "sym-guard-undefined",
    "sym-expand-updates",
    "sym-forward-reads",
    "stablehlo-fold-constants",
    "canonicalize",
    "cse",
)

some = settings(max_examples=60)

ELEMENTS = ("f64", "f32", "complex<f64>", "complex<f32>")


def run(module: ModuleOp, pipeline: str) -> ModuleOp:
    """Apply passes to a copy, and verify what comes out."""
    result = module.clone()
    available = {**get_all_xdsl_passes(), **get_all_passes()}
    PassPipeline.parse_spec(available, pipeline).apply(context(), result)
    result.verify()
    return result


def assert_same(expected: tuple[Array, Array], found: tuple[Array, Array]) -> None:
    """Compare states and matrix elements to the last bit (but for the sign of zero)."""
    for ours, theirs in zip(expected, found, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


# ---- each pass, alone and after the others ----


@some
@given(programs(ELEMENTS))
@example(HOP)
def test_the_passes_keep_every_branch_and_the_guard_excludes_no_other(
    program: Program,
) -> None:
    module = program.module()
    expected = connections(module, program.configurations)
    for name in BEFORE_GUARD:
        module = run(module, name)
        assert_same(expected, connections(module, program.configurations))
    # Of floats: an integer hides that a value left the space
    x = program.configurations.astype(np.float64)
    found = unchecked_connections(run(module, "sym-guard-space"), x)
    assert_same(connections(program.module(), x), found)


@some
@given(programs(ELEMENTS), st.permutations(BEFORE_GUARD))
def test_passes_keep_every_branch_in_any_order(
    program: Program, order: list[str]
) -> None:
    # The normal form needs expanded updates; all the others take what comes.
    order = [name for name in order if name != "sym-expand-updates"]
    order.insert(order.index("sym-forward-reads"), "sym-expand-updates")
    module = program.module()
    expected = connections(module, program.configurations)
    for name in order:
        module = run(module, name)
    assert_same(expected, connections(module, program.configurations))


@some
@given(programs(ELEMENTS))
def test_normal_form_is_reached_and_stays_and_is_all_that_the_guard_needs(
    program: Program,
) -> None:
    module = run(program.module(), NORMAL_FORM)
    again = run(module, NORMAL_FORM)
    for form in (module, again, run(module, "canonicalize,cse")):
        for term in form.walk():
            if isinstance(term, sym.TermOp):
                assert normal_form_error(term) is None
    # What the greedy driver leaves behind is dead, and more of it goes each time
    assert print_module(run(again, "dce")) == print_module(run(module, "dce"))
    x = program.configurations.astype(np.float64)
    found = unchecked_connections(run(module, "sym-guard-space"), x)
    assert_same(connections(program.module(), x), found)


def test_equal_emissions_are_two_branches() -> None:
    module = parse_module("""
sym.operator @o() space #sym.space<1 x [0, 1]> element f64 {
  sym.term @t over #sym.rows<[0], [0]> {
  ^bb0(%x: !sym.config, %i: !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.write %x[%i], %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}
""")
    states = np.array([[0]], np.int8)
    _, elements = connections(run(module, ",".join(BEFORE_GUARD)), states)
    assert elements.tolist() == [[1.0] * 4]


@some
@given(programs(ELEMENTS))
def test_every_op_keeps_a_place_in_the_source(program: Program) -> None:
    module = program.module()
    place = FileLineColLoc(StringAttr("operator.py"), IntAttr(7), IntAttr(3))
    for op in module.walk():
        op.location = place
    ours = [name for name in BEFORE_GUARD if name in get_all_passes()]
    pipeline = ",".join([*ours, "sym-guard-space", "convert-sym-to-bt"])
    for op in run(module, pipeline).walk():
        # A return has no counterpart, and shows nothing that could go wrong
        assert op.location == place or op.name == "func.return"


# ---- the guard; x is of floats: an integer hides that a value left the space ----


def unchecked_connections(module: ModuleOp, x: Array) -> tuple[Array, Array]:
    """`sym` without a look at the space: only the predicate makes a branch valid."""
    return connections(module, x, guards=Guards.UNDEFINED)


@some
@given(programs(with_parameters=False))
@example(HOP)
def test_the_guard_checks_no_operator_that_stays_in_the_space(
    program: Program,
) -> None:
    normal = run(program.module(), NORMAL_FORM)
    x = program.configurations.astype(np.float64)
    staying, _ = connections(normal, x)
    leaving, _ = unchecked_connections(normal, x)
    leaves = (staying != leaving).any()
    checks = print_module(run(normal, "sym-guard-space")).count("sym.allowed")
    assert (checks > 0) == leaves


def test_the_unchecked_interpreter_lets_branches_leave() -> None:
    text = """
sym.operator @o() space #sym.space<1 x [0, 1]> element f64 {
  sym.term @up over #sym.rows<[0]> {
  ^bb0(%x: !sym.config, %i: !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %y = sym.shift %x[%i] by %one : tensor<f64>
    sym.emit %y, %one : tensor<f64>
  }
}
"""
    states = np.array([[0], [1]], np.int8)
    checked, _ = connections(parse_module(text), states)
    unchecked, elements = unchecked_connections(parse_module(text), states)
    assert checked[:, 0, 0].tolist() == [1, 1]
    assert unchecked[:, 0, 0].tolist() == [1, 2]
    assert elements[:, 0].tolist() == [1, 1]


# ---- precision ----


@settings(max_examples=90)
@given(programs(ELEMENTS), st.sampled_from(["f32", "f64"]))
def test_another_precision_connects_the_same_states(program: Program, to: str) -> None:
    states, mels = connections(program.module(), program.configurations)
    converted = run(program.module(), f"sym-convert-element{{to={to}}}")
    found, found_mels = connections(converted, program.configurations)
    np.testing.assert_array_equal(found, states)
    real = np.finfo(mels.dtype).dtype
    assert found_mels.dtype.kind == mels.dtype.kind
    assert np.finfo(found_mels.dtype).bits == int(to[1:])
    single = real == np.float32 or to == "f32"
    np.testing.assert_allclose(found_mels, mels, rtol=1e-6 if single else 0)
