"""Two compilations share an executable where they compute the same, and only there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl_jax.dialects import stablehlo as hlo

import symir as sym
from dialects.stablehlo import constant_of, dense
from symir.compiler.lowerers import JAXSymbolicLowerer

X = np.zeros((1, 3), np.int8)


def operator() -> sym.SymbolicOperator:
    builder = sym.DOperator(sym.qubit(3), "op").for_each_site("i")
    return builder.emit(amplitude=3.0 * (sym.site("i").index + 1)).build()


def scale(module: ModuleOp, factor: float) -> None:
    """Multiply every constant 3 of a module."""
    for op in module.walk():
        if not isinstance(op, hlo.ConstantOp):
            continue
        values = constant_of(op.output)
        if values is not None and values.dtype.kind == "f" and (values == 3).all():
            op.value = dense(values * factor, op.value.get_element_type())


@dataclass(frozen=True)
class Scale(ModulePass):
    """Multiplies by what it is made with, whatever that is."""

    name = "scale"

    factor: Any = field(default=1.0, repr=False)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        factor = self.factor
        if callable(factor):
            factor = factor()
        numbers: Any = factor
        scale(op, float(np.max(numbers)))


class Scaling(JAXSymbolicLowerer):
    """A lowerer that says nothing of its factor in its signature."""

    name = "scaling"

    def __init__(self, factor: float):
        self.factor = factor

    def lower(self, context: Any) -> Any:
        context.ir = sym.SymbolicOperatorIR(_scaled(context.ir.module, self.factor))
        return super().lower(context)


def _scaled(module: ModuleOp, factor: float) -> ModuleOp:
    scale(module, factor)
    return module


def elements(artifact: sym.SymbolicCompiledArtifact) -> list[float]:
    return np.asarray(artifact.compiled_operator.get_conn_padded(X)[1])[0].tolist()


def with_pass(one: ModulePass, store: Any = None) -> list[float]:
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(one, before="sym-guard-undefined")
    compiler = sym.SymbolicCompiler(pipeline=pipeline, artifact_store=store)
    return elements(compiler.compile(operator()))


def test_uncached_compilations_do_not_share_what_differs():
    registry = sym.SymbolicLowererRegistry
    found = [
        elements(
            sym.SymbolicCompiler(lowerer_registry=registry([Scaling(factor)])).compile(
                operator(), {"cache_enabled": False}
            )
        )
        for factor in (2.0, 5.0)
    ]
    assert found == [[6.0, 12.0, 18.0], [15.0, 30.0, 45.0]]
    assert elements(sym.SymbolicCompiler().compile(operator())) == [3.0, 6.0, 9.0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (2.0, 5.0),
        (np.r_[np.ones(3000), 2.0], np.r_[np.ones(3000), 5.0]),
        ((1.0, 2.0), (1.0, 5.0)),
    ],
    ids=["numbers", "arrays", "tuples"],
)
def test_settings_are_part_of_the_key(first: Any, second: Any):
    store = sym.InMemorySymbolicArtifactStore()
    assert with_pass(Scale(first), store) == [6.0, 12.0, 18.0]
    assert with_pass(Scale(second), store) == [15.0, 30.0, 45.0]
    assert with_pass(Scale(first), store) == [6.0, 12.0, 18.0]


def test_functions_are_equal_to_themselves_only():
    store = sym.InMemorySymbolicArtifactStore()
    for factor in range(2, 12):
        found = with_pass(Scale(lambda factor=factor: float(factor)), store)
        assert found == [3.0 * factor, 6.0 * factor, 9.0 * factor]


def test_a_pass_over_ir_may_have_a_signature():
    class Signed(Scale):
        def signature(self) -> str:
            return f"signed {self.factor}"

    store = sym.InMemorySymbolicArtifactStore()
    assert with_pass(Signed(2.0), store) == [6.0, 12.0, 18.0]
    assert with_pass(Signed(5.0), store) == [15.0, 30.0, 45.0]


def test_what_users_do_to_a_module_does_not_reach_the_kernel():
    compiler = sym.SymbolicCompiler()
    artifact = compiler.compile(operator())
    assert artifact.branch_tensors is not None
    scale(artifact.branch_tensors, 100.0)
    again = compiler.compile(operator()).compiled_operator
    two = np.zeros((2, 3), np.int8)
    assert np.asarray(again.get_conn_padded(two)[1])[1].tolist() == [3.0, 6.0, 9.0]


def test_facts_are_not_the_callers_to_change():
    artifact = sym.SymbolicCompiler().compile(
        operator(), metadata={"fusion_groups": 1, "run": 7}
    )
    assert artifact.metadata["fusion_groups"] == (("term0",),)
    assert artifact.metadata["run"] == 7


def test_runs_without_jit():
    with jax.disable_jit():
        _, mels = operator().compile().get_conn_padded(X)
    assert np.asarray(mels)[0].tolist() == [3.0, 6.0, 9.0]
