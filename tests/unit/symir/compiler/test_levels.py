"""Every level of every construct prints, parses back, verifies; JAX takes the last."""

from __future__ import annotations

import pytest
from jax.interpreters.mlir import ir, make_ir_context

import symir as sym
from dialects.text import parse_module, print_module
from tests.unit.symir.constructs import CONSTRUCTS


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_levels_round_trip(name: str) -> None:
    artifact = sym.SymbolicCompiler().compile(CONSTRUCTS[name](3))
    text = artifact.ir("sym")
    assert sym.SymbolicOperatorIR.from_text(text).text() == text
    for level in ("bt", "stablehlo"):
        text = artifact.ir(level, batch=4)
        assert print_module(parse_module(text)) == text
    for kernel in (text, artifact.ir("stablehlo", batch=2, state="f64")):
        with make_ir_context():
            assert ir.Module.parse(kernel).operation.verify()


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
