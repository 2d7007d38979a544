"""Bodies of functions that lower layers declare: see `symir.late`.

What is not needed to define and print operators is imported when it is called, JAX and
NetKet above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Unpack

from xdsl.dialects.builtin import ModuleOp

from symir import for_netket, ir, operator, predicates, spaces
from symir.compiler import artifact, compile_operator, lowerers, optimisation, precision
from symir.compiler.archive import save_artifact
from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.context import SymbolicCompilationContext
from symir.compiler.diagnostics import diagnose
from symir.files import StrPath
from symir.inspection import LoweredOperator, handle
from symir.interop.to_netket import to_netket
from symir.ir import SymbolicOperatorIR
from symir.language import extensions
from symir.late import body_of
from symir.operator import SymbolicOperator
from symir.validation import ValidationReport
from symir.validation.check import check_lowering

if TYPE_CHECKING:
    from symir.compiler.compiler import CompileOptions
    from symir.facts import OperatorFacts
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.kernel import Kernel
    from symir.runtime.local_energy.deltas import Delta

# region Methods of operators, artifacts and handles


@body_of(SymbolicOperator.compile)
def _compile(
    self: SymbolicOperator, **options: Unpack[CompileOptions]
) -> CompiledOperator:
    return compile_operator(self, **options)


@body_of(SymbolicOperator.diagnostics)
def _diagnostics(self: SymbolicOperator, *, thorough: bool = False) -> Any:
    return diagnose(self, thorough=thorough)


@body_of(SymbolicOperator.facts)
def _facts(self: SymbolicOperator, *arguments: Any, **settings: Any) -> OperatorFacts:
    from symir.facts import facts_of

    return facts_of(self, *arguments, **settings)


@body_of(ir.is_proved_hermitian)
def _is_proved_hermitian(ir: SymbolicOperatorIR) -> bool:
    from symir.facts.hermiticity import is_proved_hermitian

    return is_proved_hermitian(ir)


@body_of(SymbolicCompiledArtifact.save)
def _save_artifact(self: SymbolicCompiledArtifact, path: StrPath) -> None:
    save_artifact(self, path)


body_of(artifact.optimisation_report)(optimisation.optimisation_report)


@body_of(LoweredOperator.replace_ir)
def _replace_ir(
    self: LoweredOperator, level: str | int, text: str, *, file: str = "<string>"
) -> LoweredOperator:
    from symir.inspection.editing import replaced

    return replaced(self, level, text, file)


@body_of(LoweredOperator.compile)
def _compile_handle(self: LoweredOperator) -> Any:
    from symir.inspection.editing import compiled

    return compiled(self)


@body_of(ValidationReport.save)
def _save_report(self: ValidationReport, path: StrPath) -> None:
    from symir.validation.certificate import save_certificate

    save_certificate(self, path)


# endregion
# region Notebooks


@body_of(operator.operator_html)
def _operator_html(operator: SymbolicOperator) -> str:
    from symir.explorer.notebook import operator_html

    return operator_html(operator)


@body_of(artifact.artifact_html)
def _artifact_html(artifact: SymbolicCompiledArtifact) -> str:
    from symir.explorer.notebook import artifact_html

    return artifact_html(artifact)


@body_of(handle.lowered_html)
def _lowered_html(handle: LoweredOperator) -> str:
    from symir.explorer.notebook import lowered_html

    return lowered_html(handle)


# endregion
# region Predicates of spaces

body_of(spaces.checked_predicate)(predicates.checked_predicate)
body_of(spaces.indicator)(predicates.indicator)

# endregion
# region Compilations


@body_of(lowerers.executable)
def _executable(
    ir: SymbolicOperatorIR, branch_tensors: ModuleOp, hilbert: Any
) -> CompiledOperator:
    from symir.runtime.compiled_operator import compiled_operator
    from symir.runtime.kernel import Kernel

    return compiled_operator(Kernel(ir, branch_tensors), ir.defaults, hilbert)


@body_of(lowerers.validated)
def _validated(context: SymbolicCompilationContext, module: ModuleOp) -> dict[str, Any]:
    report = check_lowering(context, module)
    report.raise_if_wrong()
    return report.summary()


@body_of(artifact.exported_bytes)
def _exported_bytes(operator: CompiledOperator, **settings: Any) -> bytearray:
    from symir.runtime.export import exported_bytes

    return exported_bytes(operator, **settings)


@body_of(precision.runtime)
def _runtime() -> ModuleType:
    import symir.runtime

    return symir.runtime


@body_of(extensions.tracer)
def _tracer() -> extensions.Tracer:
    from symir.runtime.tracing import stablehlo_of

    return stablehlo_of


# endregion
# region NetKet

body_of(for_netket.as_netket)(to_netket)


@body_of(for_netket.guard)
def _guard() -> None:
    from symir.interop import netket_guards as netket_guards


@body_of(for_netket.netket_operator)
def _netket_operator(
    kernel: Kernel, parameters: Mapping[str, Any], hilbert: Any
) -> CompiledOperator:
    from symir.interop.netket import NetKetOperator

    return NetKetOperator(kernel, parameters, hilbert)


@body_of(for_netket.deltas)
def _deltas() -> dict[Any, Delta]:
    from symir.interop.netket_deltas import DELTAS

    return DELTAS


@body_of(for_netket.wrapped)
def _wrapped(function: Any) -> Any:
    from symir.interop.netket_deltas import wrapped

    return wrapped(function)


# endregion
