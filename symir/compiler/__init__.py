"""From the IR of an operator to a compiled one."""

from symir.compiler.artifact import BranchOrigin, SymbolicCompiledArtifact
from symir.compiler.compiler import (
    SymbolicCompiler,
    compile_operator,
    default_symbolic_compiler,
)
from symir.compiler.pipeline import (
    KERNEL_PIPELINE,
    OPERATOR_PIPELINE,
    lower_to_bt,
    lower_to_stablehlo,
)

__all__ = [
    "KERNEL_PIPELINE",
    "OPERATOR_PIPELINE",
    "BranchOrigin",
    "SymbolicCompiledArtifact",
    "SymbolicCompiler",
    "compile_operator",
    "default_symbolic_compiler",
    "lower_to_bt",
    "lower_to_stablehlo",
]
