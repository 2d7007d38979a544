"""From the IR of an operator to a compiled one, through passes, a cache and a backend.

The call graph is that of `symir.compiler.compiler`; `docs/compiler.md` explains it.
"""

from symir.compiler.archive import load_artifact
from symir.compiler.artifact import BranchOrigin, SymbolicCompiledArtifact
from symir.compiler.compiler import (
    SymbolicCompiler,
    compile_operator,
    default_symbolic_compiler,
)
from symir.compiler.context import SymbolicCompilationContext, SymbolicPassReport
from symir.compiler.lowerers import (
    AbstractSymbolicLowerer,
    JAXSymbolicLowerer,
    ReferenceSymbolicLowerer,
    SymbolicLowererRegistry,
    default_symbolic_lowerer_registry,
)
from symir.compiler.lowering import (
    KERNEL_PIPELINE,
    OPERATOR_PIPELINE,
    LoweringPipeline,
    lower_to_bt,
    lower_to_stablehlo,
)
from symir.compiler.optimisation import OptimisationReport
from symir.compiler.options import SymbolicCompilerOptions
from symir.compiler.passes import AbstractSymbolicPass
from symir.compiler.pipeline import SymbolicPassPipeline, default_symbolic_pass_pipeline
from symir.compiler.signature import SymbolicCacheKey, SymbolicCompilationSignature
from symir.compiler.store import (
    AbstractSymbolicArtifactStore,
    InMemorySymbolicArtifactStore,
    default_symbolic_artifact_store,
)

__all__ = [
    "KERNEL_PIPELINE",
    "OPERATOR_PIPELINE",
    "AbstractSymbolicArtifactStore",
    "AbstractSymbolicLowerer",
    "AbstractSymbolicPass",
    "BranchOrigin",
    "InMemorySymbolicArtifactStore",
    "JAXSymbolicLowerer",
    "LoweringPipeline",
    "OptimisationReport",
    "ReferenceSymbolicLowerer",
    "SymbolicCacheKey",
    "SymbolicCompilationContext",
    "SymbolicCompilationSignature",
    "SymbolicCompiledArtifact",
    "SymbolicCompiler",
    "SymbolicCompilerOptions",
    "SymbolicLowererRegistry",
    "SymbolicPassPipeline",
    "SymbolicPassReport",
    "compile_operator",
    "default_symbolic_artifact_store",
    "default_symbolic_compiler",
    "default_symbolic_lowerer_registry",
    "default_symbolic_pass_pipeline",
    "load_artifact",
    "lower_to_bt",
    "lower_to_stablehlo",
]
