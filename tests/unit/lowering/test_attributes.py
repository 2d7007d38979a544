"""Discardable attributes say nothing that a pass needs."""

from __future__ import annotations

import pytest

from dialects.text import print_module
from symir.compiler.lowering import KERNEL_PIPELINE, LoweringPipeline, operator_pipeline
from tests.unit.symir.compiler.test_diagnostics import MODELS

PIPELINES = {
    name: LoweringPipeline.parse(
        f"sym-plan-fusion,{operator_pipeline(*asked)},"
        + KERNEL_PIPELINE.format(batch=3, state="i8")
    )
    for name, asked in {"fast": ("static", 3), "plain": ("none", 0)}.items()
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_kernels_are_the_same_without_them(
    name: str, pipeline: LoweringPipeline
) -> None:
    module = erased = MODELS[name]().to_ir().module
    for one in pipeline:
        erased = LoweringPipeline([one]).run(erased, verify=False)
        for op in erased.walk():
            op.attributes.clear()
    kernel = pipeline.run(module, verify=False)
    assert print_module(erased) == print_module(kernel)
