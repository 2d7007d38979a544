"""Lowerers: from an analysed operator to an artifact, for one backend each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects import bt, sym
from dialects.origins import LaneOrigins
from dialects.stablehlo import tensor
from lowering.bt.lanes import connections_in, lanes_of_function
from lowering.sym.sym_fuse_terms import mark_groups
from symir.compiler.artifact import SymbolicCompiledArtifact, branch_names
from symir.compiler.context import SymbolicCompilationContext
from symir.compiler.precision import runtime_of
from symir.compiler.reference import ReferenceOperator
from symir.compiler.signature import extension_token
from symir.compiler.trace import Trace
from symir.errors import SymbolicCompilerError
from symir.late import late

if TYPE_CHECKING:
    from symir.operator.ir import SymbolicOperatorIR
    from symir.runtime.compiled_operator import CompiledOperator

_ANALYSES_KEPT = ("term_fanouts", "total_fanout", "fusion_groups")


@late
def executable(
    ir: SymbolicOperatorIR, branch_tensors: ModuleOp, hilbert: Any
) -> CompiledOperator:
    """Return what runs branch tensors over JAX, with the defaults of parameters."""
    ...


@late
def validated(context: SymbolicCompilationContext, module: ModuleOp) -> dict[str, Any]:
    """Check the passes of a lowering as `symir.check` does, and return a summary.

    Raises:
        SymbolicCompilerError: where a pass does not keep its word (V010).
    """
    ...


class AbstractSymbolicLowerer(ABC):
    """A backend: it makes an artifact of what the passes have found out."""

    name: ClassVar[str]

    @abstractmethod
    def supports(self, context: SymbolicCompilationContext) -> bool:
        """Whether this lowerer is for such a compilation.

        It is asked when all passes have run, and may look at their analyses.
        """

    @abstractmethod
    def lower(self, context: SymbolicCompilationContext) -> SymbolicCompiledArtifact:
        """Return the artifact.

        The compiler adds the cache key and the reports. What it holds as
        `compiled_operator` has `get_conn_padded`, `hilbert` and `for_hilbert`.
        """

    def signature(self) -> str:
        """Return a text that is part of the cache key; see that of passes."""
        return extension_token(self)


class JAXSymbolicLowerer(AbstractSymbolicLowerer):
    """Kernels for JAX, through branch tensors and StableHLO."""

    name = "jax_symbolic_v1"

    def supports(self, context: SymbolicCompilationContext) -> bool:
        return context.selected_backend == "jax"

    def lower(self, context: SymbolicCompilationContext) -> SymbolicCompiledArtifact:
        runtime_of(context.operator)
        groups = context.analysis("fusion_groups", ())
        planned = planned_module(context.ir, groups)
        _validate(context, planned)
        branch_tensors = context.lowering.run(
            planned,
            in_place=True,
            verify=context.options.verify_passes,
            # An operator's IR was verified when it was made, and marks change nothing
            verified=True,
            trace=Trace([], context.pass_reports, "operator", keeps_stages=False),
        )
        check_lowered(branch_tensors)
        _check_kernel(branch_tensors, context.ir.operator)
        compiled = executable(context.ir, branch_tensors, context.operator.hilbert)
        return _artifact(context, branch_tensors, compiled)


class ReferenceSymbolicLowerer(AbstractSymbolicLowerer):
    """The interpreter of the `sym` level, over NumPy: slow, and needs no JAX."""

    name = "reference_v1"

    def supports(self, context: SymbolicCompilationContext) -> bool:
        return context.selected_backend == "reference"

    def lower(self, context: SymbolicCompilationContext) -> SymbolicCompiledArtifact:
        ir = context.ir
        compiled = ReferenceOperator(ir, ir.defaults, context.operator.hilbert)
        return _artifact(context, None, compiled)


def planned_module(ir: SymbolicOperatorIR, groups: Iterable[Sequence[str]]) -> ModuleOp:
    """Return the `sym` level with the fusion plan marked in it: what is lowered.

    Raises:
        SymbolicCompilerError: for a plan that cannot be carried out (C023).
    """
    module = ir.module
    try:
        mark_groups(module, groups)
    except PassFailedException as error:
        raise SymbolicCompilerError(
            "C023",
            "the fusion plan cannot be carried out",
            operator=ir.operator_name,
            expected="groups of terms of one structure and without fanout, in the "
            "order of the operator, each term in one group at most",
            found=str(error),
            hint="correct the pass that writes the analysis 'fusion_groups', or "
            "compile with enable_fusion=False and without that pass",
        ) from error
    return module


def _validate(context: SymbolicCompilationContext, module: ModuleOp) -> None:
    """Raise where a pass does not keep its word (V010), if that is to be looked at."""
    if context.options.validate == "off":
        return
    context.metadata = {**context.metadata, "validation": validated(context, module)}


def check_lowered(module: ModuleOp) -> None:
    """Raise where a lowering leaves something of the `sym` level (C009)."""
    left = next((op.name for op in module.walk() if op.name.startswith("sym.")), None)
    if left is None:
        return
    raise SymbolicCompilerError(
        "C009",
        "the lowering stops before branch tensors",
        expected="a lowering with convert-sym-to-bt",
        found=f"'{left}'",
    )


def _check_kernel(module: ModuleOp, operator: sym.OperatorOp) -> None:
    """Raise unless a lowering left one function, from x to all lanes of the operator.

    With other lanes or other types it would be valid IR, and another operator. Where
    the origins of all lanes say which branches they hold, there may be other lanes, of
    all of its branches.
    """
    functions = [op.function_type for op in module.ops if isinstance(op, FuncOp)]
    sites, lanes = operator.space.data.sites, sum(t.lanes for t in operator.terms)
    branches = sum(term.branches for term in operator.terms)
    origins = [bt.origins_of(op.branches) for op in connections_in(module)]
    known = [one for one in origins if one is not None]
    is_known = bool(known) and known == origins
    known += [op.origins.data for op in module.walk() if isinstance(op, bt.PrunedOp)]
    if is_known and all(one.branches in (0, branches) for one in known):
        lanes = lanes_of_function(module) or 0
        _check_branches(operator, LaneOrigins.joined(known))
    state, parameters = bt.StateType(), operator.body.block.arg_types
    expected = FunctionType.from_lists(
        [tensor(state, [bt.BATCH, sites]), *parameters],
        [
            tensor(state, [bt.BATCH, lanes, sites]),
            tensor(operator.element, [bt.BATCH, lanes]),
        ],
    )
    if functions == [expected]:
        return
    raise SymbolicCompilerError(
        "C001",
        "the lowering left no kernel of the operator",
        expected=f"one function of type {expected}",
        found=", ".join(map(str, functions)) or "no function",
    )


def _check_branches(operator: sym.OperatorOp, found: LaneOrigins) -> None:
    """Raise where a branch of the operator is in no lane, and not pruned either."""
    lost = np.ones(sum(term.branches for term in operator.terms), bool)
    lost[found.ragged[0]] = False
    if not lost.any():
        return
    named = branch_names(operator)
    terms = dict.fromkeys(named[n].term for n in np.flatnonzero(lost).tolist())
    raise SymbolicCompilerError(
        "C001",
        "the lowering lost branches of the operator",
        expected="every branch in a lane, or in a 'bt.pruned'",
        found=f"{int(lost.sum())} branches of {', '.join(map(repr, terms))} in none",
        hint="a pass that leaves out lanes whose elements are 0 for every x inserts "
        "'bt.pruned' with their origins",
    )


def _artifact(
    context: SymbolicCompilationContext, branch_tensors: ModuleOp | None, compiled: Any
) -> SymbolicCompiledArtifact:
    kept = {
        key: context.analyses[key] for key in _ANALYSES_KEPT if key in context.analyses
    }
    return SymbolicCompiledArtifact(
        context.ir,
        branch_tensors,
        compiled,
        context.selected_backend or "",
        context.selected_lowerer or "",
        metadata={**context.metadata, **kept},
        options=context.options,
        lowering=None if branch_tensors is None else str(context.lowering),
    )


class SymbolicLowererRegistry:
    """The lowerers of a compiler, in order: the first that fits is used."""

    def __init__(self, lowerers: Iterable[AbstractSymbolicLowerer] = ()):
        self._lowerers: list[AbstractSymbolicLowerer] = []
        for lowerer in lowerers:
            self.register(lowerer)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the lowerers, in order."""
        return tuple(lowerer.name for lowerer in self._lowerers)

    def signature(self) -> str:
        """Return a text that differs where the lowerers do: a part of cache keys."""
        return "|".join(lowerer.signature() for lowerer in self._lowerers)

    def register(self, lowerer: AbstractSymbolicLowerer) -> None:
        """Add a lowerer behind the others.

        Raises:
            SymbolicCompilerError: for what is no lowerer, or a name that is taken
                (C012).
        """
        self._lowerers.append(self._checked(lowerer))

    def register_first(self, lowerer: AbstractSymbolicLowerer) -> None:
        """Add a lowerer in front of the others.

        Raises:
            SymbolicCompilerError: as `register`.
        """
        self._lowerers.insert(0, self._checked(lowerer))

    def resolve(self, context: SymbolicCompilationContext) -> AbstractSymbolicLowerer:
        """Return the first lowerer that supports a compilation.

        Raises:
            SymbolicCompilerError: where none does (C013).
        """
        for lowerer in self._lowerers:
            if lowerer.supports(context):
                return lowerer
        raise SymbolicCompilerError(
            "C013",
            "no lowerer supports this compilation",
            operator=context.operator.name,
            expected="a lowerer for the backend "
            f"'{context.selected_backend or context.options.backend_preference}'",
            found=", ".join(self.names) or "no lowerer",
        )

    def _checked(self, lowerer: object) -> AbstractSymbolicLowerer:
        is_one = isinstance(lowerer, AbstractSymbolicLowerer)
        if is_one and lowerer.name not in self.names:
            return lowerer
        raise SymbolicCompilerError(
            "C012",
            f"a lowerer named '{lowerer.name}' is registered already"
            if is_one
            else "this is no lowerer",
            expected="an instance of a subclass of AbstractSymbolicLowerer, with a "
            "name of its own",
            found=repr(lowerer),
        )


def default_symbolic_lowerer_registry() -> SymbolicLowererRegistry:
    """Return a new registry with the lowerers that symir comes with."""
    return SymbolicLowererRegistry([JAXSymbolicLowerer(), ReferenceSymbolicLowerer()])
