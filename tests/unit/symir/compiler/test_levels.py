"""Every level of every construct prints, parses back, verifies; JAX takes the last."""

from __future__ import annotations

import pytest
from jax.interpreters.mlir import ir, make_ir_context

import symir as sym
from dialects import stablehlo
from dialects.text import parse_module, print_module
from tests.coverage_table import emitted_by_lowerings
from tests.unit.symir.constructs import CONSTRUCTS, check_together, in_one_space

SPACES = in_one_space(3)
KNOWN = {*stablehlo.ELEMENTWISE, *emitted_by_lowerings()}


@pytest.mark.parametrize("space", SPACES)
def test_levels_round_trip_and_emit_what_is_in_the_tables(space: str) -> None:
    """All constructs of a space are terms of one operator."""
    constructs, emitted = SPACES[space], set[str]()
    check_together(constructs, lambda total: emitted.update(emitted_by(total)))
    if len(constructs) > 50:
        # So that the tables have something to be compared with
        assert {"stablehlo.gather", "stablehlo.reduce", "stablehlo.select"} <= emitted


def emitted_by(operator: sym.SymbolicOperator) -> set[str]:
    """Check the texts of an operator; return the ops of StableHLO that are in them."""
    artifact = sym.SymbolicCompiler().compile(operator)
    text = artifact.ir("sym")
    assert sym.SymbolicOperatorIR.from_text(text).text() == text
    met: set[str] = set()
    for level in ("bt", "stablehlo"):
        text = artifact.ir(level, batch=4)
        again = parse_module(text)
        assert print_module(again) == text
        met.update(op.name for op in again.walk())
    for kernel in (text, artifact.ir("stablehlo", batch=2, state="f64")):
        with make_ir_context():
            assert ir.Module.parse(kernel).operation.verify()
    emitted = {name for name in met if name.startswith("stablehlo.")}
    assert emitted <= KNOWN
    return emitted


def test_branch_layout_names_the_origin_of_each_lane() -> None:
    operator = (
        sym.DOperator(sym.fock(1, 2), "op")
        .for_each_site("i")
        .named("ladder")
        .emit(sym.shift("i", 1), tag="up")
        .emit(sym.shift("i", -1))
        .globally()
        .emit(amplitude=2.0)
        .build()
    )
    layout = sym.SymbolicCompiler().compile(operator).branch_layout()
    assert layout == [
        ("ladder", 0, 0, "up"),
        ("ladder", 0, 1, None),
        ("ladder", 1, 0, "up"),
        ("ladder", 1, 1, None),
        ("term1", 0, 0, None),
    ]
    assert len(layout) == operator.compile().max_conn_size


def test_an_unknown_level_is_named() -> None:
    artifact = sym.SymbolicCompiler().compile(CONSTRUCTS["iterator: globally"](2))
    with pytest.raises(sym.SymbolicCompilerError, match="C003"):
        artifact.ir("llvm")
