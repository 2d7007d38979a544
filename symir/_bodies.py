"""Bodies of functions that lower layers declare: see `symir.late`.

What is not needed to define and print operators is imported when it is called, JAX and
NetKet above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import ModuleOp

from symir import for_netket
from symir.compiler import artifact, compile_operator, lowerers, optimisation, precision
from symir.compiler.archive import save_artifact
from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.context import SymbolicCompilationContext
from symir.compiler.diagnostics import diagnose
from symir.explorer import notebook
from symir.inspection import LoweredOperator, editing
from symir.interop.to_netket import to_netket
from symir.language import extensions
from symir.late import body_of
from symir.operator import ir, predicates, spaces
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.validation import ValidationReport
from symir.validation.certificate import save_certificate
from symir.validation.check import check_lowering

if TYPE_CHECKING:
    from symir.facts import OperatorFacts
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.kernel import Kernel
    from symir.runtime.local_energy.deltas import Delta

# region Methods of operators, artifacts and handles

body_of(SymbolicOperator.compile)(compile_operator)
body_of(SymbolicOperator.diagnostics)(diagnose)
body_of(SymbolicCompiledArtifact.save)(save_artifact)
body_of(SymbolicCompiledArtifact.optimisation_report)(optimisation.optimisation_report)
body_of(LoweredOperator.replace_ir)(editing.replaced)
body_of(LoweredOperator.with_network)(editing.networked)
body_of(LoweredOperator.compile)(editing.compiled)
body_of(ValidationReport.save)(save_certificate)


@body_of(SymbolicOperator.facts)
def _facts(self: SymbolicOperator, *arguments: Any, **settings: Any) -> OperatorFacts:
    from symir.facts import facts_of

    return facts_of(self, *arguments, **settings)


@body_of(ir.is_proved_hermitian)
def _is_proved_hermitian(ir: SymbolicOperatorIR) -> bool:
    from symir.facts.hermiticity import is_proved_hermitian

    return is_proved_hermitian(ir)


# endregion
# region Notebooks

# Jupyter's name for it has an underscore
body_of(SymbolicOperator._repr_html_)(notebook.operator_html)  # pyright: ignore[reportPrivateUsage]
body_of(SymbolicCompiledArtifact._repr_html_)(notebook.artifact_html)  # pyright: ignore[reportPrivateUsage]
body_of(LoweredOperator._repr_html_)(notebook.lowered_html)  # pyright: ignore[reportPrivateUsage]

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
