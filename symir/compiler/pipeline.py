"""The pipelines: `sym` to `bt` once per operator, `bt` to StableHLO once per shape.

Both are xDSL pass-pipeline strings: `symir-opt -p` takes the same text. Nothing here
needs JAX.
"""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, PassPipeline
from xdsl.transforms import get_all_passes as get_all_xdsl_passes
from xdsl.utils.exceptions import PassFailedException, VerifyException

from dialects.text import context
from lowering.registry import get_all_passes
from symir.errors import CompilationError

OPERATOR_PIPELINE = (
    "sym-guard-undefined,sym-expand-updates,sym-forward-reads,stablehlo-fold-constants,canonicalize,cse,"
    "sym-guard-space,convert-sym-to-bt,stablehlo-fold-constants,canonicalize,cse"
)
"""From a `sym.operator` to a function on branch tensors."""

KERNEL_PIPELINE = (
    "bt-specialize{{batch={batch} state={state}}},convert-bt-to-stablehlo,"
    "stablehlo-fold-constants,cse,dce"
)
"""From branch tensors to a kernel for one batch size and state type."""


def _verify(
    previous: ModulePass | None, module: ModuleOp, following: ModulePass | None
) -> None:
    """Verify the module after each pass, and blame that pass."""
    try:
        module.verify()
    except VerifyException as error:
        name = "the input" if previous is None else f"the pass '{previous.name}'"
        raise CompilationError(
            "C001", f"{name} left invalid IR", found=str(error).strip()
        ) from error


def run_pipeline(module: ModuleOp, pipeline: str) -> ModuleOp:
    """Apply a pass pipeline to a copy of a module, verifying after every pass.

    Raises `CompilationError` where a pass fails or leaves invalid IR.
    """
    result = module.clone()
    passes = PassPipeline.parse_spec(
        {**get_all_xdsl_passes(), **get_all_passes()}, pipeline, _verify
    )
    try:
        passes.apply(context(), result)
    except PassFailedException as error:
        raise CompilationError("C002", "a pass failed", found=str(error)) from error
    return result


def lower_to_bt(module: ModuleOp) -> ModuleOp:
    """Lower the operators of a module to branch tensors."""
    return run_pipeline(module, OPERATOR_PIPELINE)


def lower_to_stablehlo(module: ModuleOp, batch: int, state: str) -> ModuleOp:
    """Lower branch tensors to a kernel for one batch size and state type (`i8`, ..)."""
    return run_pipeline(module, KERNEL_PIPELINE.format(batch=batch, state=state))
