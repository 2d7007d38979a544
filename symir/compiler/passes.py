"""Symbolic passes: what is found out about an operator before it is lowered.

A symbolic pass looks at the IR and writes analyses into the context. It comes before
the cache, and runs on every compilation, or after it, and runs on misses only. Passes
that rewrite IR are xDSL's, in `lowering/`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from lowering.sym.sym_fuse_terms import fusible_groups
from symir.compiler.context import SymbolicCompilationContext, SymbolicPassReport
from symir.compiler.diagnostics import diagnose
from symir.compiler.diagnostics.sampling import refuted_claim
from symir.compiler.failures import summary
from symir.compiler.precision import in_single_precision, in_supported_precision
from symir.compiler.signature import extension_token
from symir.errors import SymbolicCompilerError, SymirError
from symir.operator.ir import SymbolicOperatorIR
from symir.spans import span


class AbstractSymbolicPass(ABC):
    """A pass over a compilation context.

    Subclasses have a `name` and a `run`, which writes analyses, by
    `context.set_analysis` or by returning them.
    """

    name: ClassVar[str]

    @abstractmethod
    def run(self, context: SymbolicCompilationContext) -> Mapping[str, Any] | None:
        """Look at the context; return analyses to be written into it, by key."""

    def signature(self) -> str:
        """Return a text that is part of the cache key.

        It has to differ where the pass may lead to another artifact. By default it does
        with the source files of its class and of the classes that it derives from, and
        with the fields of a frozen dataclass. Of what other modules hold and of other
        attributes it knows nothing: a pass that depends on them adds that here.
        """
        return extension_token(self)

    def execute(self, context: SymbolicCompilationContext, stage: str) -> None:
        """Run the pass, time it, and leave a report; errors are reported, too."""
        start = time.perf_counter()
        written: Mapping[str, Any] = {}
        error: str | None = None
        try:
            with span(self.name, "symbolic pass", stage=stage):
                written = self.run(context) or {}
            context.analyses.update(written)
        except Exception as exception:
            error = summary(exception)
            raise
        finally:
            elapsed = 1000 * (time.perf_counter() - start)
            context.pass_reports.append(
                SymbolicPassReport(
                    self.name, stage, elapsed, metadata=dict(written), error=error
                )
            )


class SymbolicValidationPass(AbstractSymbolicPass):
    """Whether the operator can be compiled as things stand.

    Writes `validation_summary`: how many terms, emissions and free symbols there are,
    and the errors, none under strict validation. Without it an operator of 64 bits is
    compiled with 32 where JAX is set to them, and a claim to be Hermitian is believed.
    """

    name = "symbolic_validation"

    def run(self, context: SymbolicCompilationContext) -> Mapping[str, Any]:
        errors: list[str] = []
        for checked in (_with_claim, in_supported_precision):
            try:
                context.ir = checked(context)
            except SymirError as error:
                if context.options.strict_validation:
                    raise
                errors.append(summary(error))
                if error.code == "C004":
                    context.ir = in_single_precision(context)
        ir = context.ir
        found = {
            "is_valid": not errors,
            "errors": tuple(errors),
            "term_count": ir.term_count,
            "emission_count": sum(len(term.tags) for term in ir.terms),
            "free_symbols": ir.free_symbols,
            "unbound_symbols": tuple(
                name for name in ir.free_symbols if name not in ir.defaults
            ),
        }
        return {"validation_summary": found}


def _with_claim(context: SymbolicCompilationContext) -> SymbolicOperatorIR:
    """Return the IR, if no matrix elements show that it claims wrongly to be Hermitian.

    Raises:
        SymbolicCompilerError: where some do (C028).
    """
    wrong = refuted_claim(context.operator)
    if wrong is None:
        return context.ir
    raise SymbolicCompilerError(
        "C028",
        wrong.message,
        operator=wrong.operator,
        term=wrong.term,
        emission=wrong.emission,
        location=wrong.location,
        expected="<x'|O|x> = conj(<x|O|x'>) for all x and x'",
        found=wrong.found,
        hint=wrong.hint,
    )


class SymbolicNormalizationPass(AbstractSymbolicPass):
    """Identity of the operator, and target of the compilation.

    Writes `ir_fingerprint`, `resolved_backend` and `term_order`, the names of the terms
    in the order of their lanes.
    """

    name = "symbolic_normalization"

    def run(self, context: SymbolicCompilationContext) -> Mapping[str, Any]:
        preference = context.options.backend_preference
        backend = "jax" if preference == "auto" else preference
        context.selected_backend = backend
        return {
            "ir_fingerprint": context.ir.static_fingerprint(),
            "resolved_backend": backend,
            "term_order": tuple(term.name for term in context.ir.terms),
        }


class SymbolicDiagnosticsPass(AbstractSymbolicPass):
    """Diagnostics: questionable parts of an operator that compiles all the same.

    Writes `diagnostics`, a tuple of `Diagnostic`; with the option `diagnostics` "off"
    an empty one. They are looked for once for each operator object; of W020 nothing is
    said where the compilation sums such lanes, or has no passes that could.
    """

    name = "symbolic_diagnostics"

    def run(self, context: SymbolicCompilationContext) -> Mapping[str, Any]:
        level = context.options.diagnostics
        if level == "off":
            return {"diagnostics": ()}
        operator = context.operator
        # The precision of JAX may have made another one, without the user's lines
        ir = context.ir if context.ir.dtype_str == operator.dtype.name else None
        found = diagnose(operator, thorough=level == "thorough", ir=ir)
        if _coalesces(context):
            found = tuple(one for one in found if one.code != "W020")
        return {"diagnostics": found}


def _coalesces(context: SymbolicCompilationContext) -> bool:
    """Whether lanes are summed, or cannot be: the reference backend has no passes."""
    names = context.lowering.names
    is_reference = context.options.backend_preference == "reference"
    return is_reference or any(name.startswith("bt-coalesce") for name in names)


class SymbolicFanoutAnalysisPass(AbstractSymbolicPass):
    """Number of lanes.

    Writes `term_fanouts`, by the name of the term, and `total_fanout`.
    """

    name = "symbolic_fanout_analysis"

    def run(self, context: SymbolicCompilationContext) -> Mapping[str, Any]:
        fanouts = {term.name: term.size for term in context.ir.terms}
        return {"term_fanouts": fanouts, "total_fanout": sum(fanouts.values())}


class SymbolicFusionPlanningPass(AbstractSymbolicPass):
    """Groups of terms that become one part of the kernel.

    Writes `fusion_groups`: tuples of names of terms, each of which is lowered as a
    whole. They are neighbours, unless those make many groups, and terms from all over
    the operator fewer: then lanes change places. With `enable_fusion` off, or an
    `opt_level` below 2, every term is a group of its own.
    """

    name = "symbolic_fusion_planning"

    def run(self, context: SymbolicCompilationContext) -> Mapping[str, Any]:
        if context.options.enable_fusion and context.options.opt_level > 1:
            return {"fusion_groups": fusible_groups(context.ir.operator)}
        return {"fusion_groups": tuple((term.name,) for term in context.ir.terms)}
