"""The working state of one compilation, shared by its passes and its lowerer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lowering.remarks import Remark
from symir.errors import SymbolicCompilerError
from symir.operator.ir import SymbolicOperatorIR
from symir.plain_text import Reading

if TYPE_CHECKING:
    from symir.compiler.lowering import LoweringPipeline
    from symir.compiler.options import SymbolicCompilerOptions
    from symir.operator.symbolic_operator import SymbolicOperator


@dataclass(frozen=True)
class SymbolicPassReport(Reading):
    """Report of a pass.

    Attributes:
        pass_name: the name of the pass.
        stage: "pre-cache", "post-cache", or "lowering" for a pass over IR.
        duration_ms: its wall time in milliseconds, without the verification after it.
        ops_before: the number of ops before it; None for a pass that does not see IR.
        ops_after: the number of ops after it.
        metadata: what it reports: for a symbolic pass the analyses that it wrote.
        error: what went wrong, None where nothing did.
        remarks: what a pass over IR did, and what it did not do and why.
    """

    pass_name: str
    stage: str
    duration_ms: float
    ops_before: int | None = None
    ops_after: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None
    remarks: tuple[Remark, ...] = ()


@dataclass
class SymbolicCompilationContext:
    """State that passes read and write.

    Attributes:
        operator: the operator that is compiled.
        ir: its IR. It is never changed; a pass that wants another one replaces it.
        options: the options in effect.
        lowering: the passes from `sym` to `bt` in effect, for the lowerer.
        metadata: what the caller of the compiler wants to be kept with the artifact.
        analyses: what passes have found out, by key.
        pass_reports: the reports of the passes so far.
        selected_backend: "jax" or "reference", once it is decided.
        selected_lowerer: the name of the lowerer, once it is chosen.
    """

    operator: SymbolicOperator
    ir: SymbolicOperatorIR
    options: SymbolicCompilerOptions
    lowering: LoweringPipeline
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    analyses: dict[str, Any] = field(default_factory=dict[str, Any])
    pass_reports: list[SymbolicPassReport] = field(
        default_factory=list[SymbolicPassReport]
    )
    selected_backend: str | None = None
    selected_lowerer: str | None = None

    def analysis(self, key: str, default: Any = None) -> Any:
        """Return an analysis, or the default where no pass has written it."""
        return self.analyses.get(key, default)

    def require_analysis(self, key: str) -> Any:
        """Return an analysis.

        Raises:
            SymbolicCompilerError: where no pass has written it (C007).
        """
        if key in self.analyses:
            return self.analyses[key]
        raise SymbolicCompilerError(
            "C007",
            f"no pass has written the analysis '{key}'",
            operator=self.operator.name,
            expected=f"a pass before this one that writes '{key}'",
            found=", ".join(self.analyses) or "no analysis",
        )

    def set_analysis(self, key: str, value: Any) -> None:
        """Write an analysis."""
        self.analyses[key] = value
