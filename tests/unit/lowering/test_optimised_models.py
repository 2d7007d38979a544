"""Every model of the library through every pass of the optimiser."""

from __future__ import annotations

import pytest

import symir as sym
from symir.compiler.lowering import operator_pipeline
from tests.unit.symir.compiler.test_diagnostics import MODELS

PASSES = f"sym-plan-fusion,{operator_pipeline('static', 3)}"


@pytest.mark.parametrize("name", MODELS)
def test_each_pass_keeps_its_promise(name: str) -> None:
    report = sym.check(MODELS[name](), lowering=PASSES, samples=16, executable=False)
    report.raise_if_wrong()
    assert {"bt-coalesce-static", "bt-materialize-strategy"} <= {
        stage.name for stage in report.stages
    }
