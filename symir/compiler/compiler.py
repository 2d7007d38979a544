"""The compiler: it wires passes, cache and lowerers.

operator.to_ir()
-> SymbolicCompilationContext(..)
-> pipeline.run_pre_cache(context)
-> SymbolicCompilationSignature.from_context(context)
-> signature.build_cache_key(namespace=..)
-> artifact_store.get(key)
hit:  the artifact
miss: pipeline.run_post_cache(context)
      lowerer_registry.resolve(context).lower(context)
      artifact_store.put(key, artifact)
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack, cast
from weakref import WeakValueDictionary

from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.context import SymbolicCompilationContext
from symir.compiler.failures import blamed_on
from symir.compiler.garbage_collection import collector_paused
from symir.compiler.lowerers import (
    SymbolicLowererRegistry,
    default_symbolic_lowerer_registry,
)
from symir.compiler.lowering import OPERATOR_PIPELINE, LoweringPipeline
from symir.compiler.options import OptionsByName, SymbolicCompilerOptions
from symir.compiler.pipeline import SymbolicPassPipeline, default_symbolic_pass_pipeline
from symir.compiler.signature import SymbolicCacheKey, SymbolicCompilationSignature
from symir.compiler.store import (
    AbstractSymbolicArtifactStore,
    InMemorySymbolicArtifactStore,
    default_symbolic_artifact_store,
)
from symir.errors import SymbolicCompilerError
from symir.operator.spaces import Space
from symir.spans import span

if TYPE_CHECKING:
    from symir.compiler.reference import ReferenceOperator
    from symir.operator.symbolic_operator import SymbolicOperator
    from symir.runtime.compiled_operator import CompiledOperator


class SymbolicCompiler:
    """Compiles operators, and remembers what it has compiled.

    It is safe under threads; concurrent compilations of one operator compile once.

    Args:
        pipeline: the passes; by default those that symir comes with.
        lowerer_registry: the backends.
        artifact_store: where artifacts are kept: by default in memory, as long as the
            compiler lives.
        options: the options of compilations that state none.
    """

    def __init__(
        self,
        *,
        pipeline: SymbolicPassPipeline | None = None,
        lowerer_registry: SymbolicLowererRegistry | None = None,
        artifact_store: AbstractSymbolicArtifactStore | None = None,
        options: SymbolicCompilerOptions | None = None,
    ) -> None:
        _check_kinds(
            pipeline=(pipeline, SymbolicPassPipeline),
            lowerer_registry=(lowerer_registry, SymbolicLowererRegistry),
            artifact_store=(artifact_store, AbstractSymbolicArtifactStore),
            options=(options, SymbolicCompilerOptions),
        )
        self.pipeline = pipeline or default_symbolic_pass_pipeline()
        self.lowerer_registry = lowerer_registry or default_symbolic_lowerer_registry()
        # An empty store is false.
        has_store = artifact_store is not None
        self.artifact_store = (
            artifact_store if has_store else InMemorySymbolicArtifactStore()
        )
        self.options = options or SymbolicCompilerOptions()
        self._lock = threading.Lock()
        self._turns = WeakValueDictionary[SymbolicCacheKey, Any]()

    # region What it is made of

    @property
    def pass_names(self) -> tuple[str, ...]:
        """The names of the symbolic passes, in order."""
        return self.pipeline.pass_names

    @property
    def lowerer_names(self) -> tuple[str, ...]:
        """The names of the lowerers, in order of preference."""
        return self.lowerer_registry.names

    @property
    def cache_size(self) -> int:
        """The number of artifacts in the store."""
        return len(self.artifact_store)

    def clear_cache(self) -> None:
        """Forget everything that was compiled."""
        self.artifact_store.clear()

    # endregion
    # region Compiling

    def compile(
        self,
        operator: SymbolicOperator,
        options: SymbolicCompilerOptions | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> SymbolicCompiledArtifact:
        """Compile an operator, or find what was compiled before.

        Options given by name are those of the compiler otherwise. `metadata` is kept
        with a newly compiled artifact.

        Raises:
            SymbolicCompilerError: where a stage fails; it says which, and names the
                pass.
        """
        with collector_paused(), span("compile", "compiler", operator=_name(operator)):
            return self._compiled(operator, options, metadata or {})

    def _compiled(
        self,
        operator: SymbolicOperator,
        options: SymbolicCompilerOptions | Mapping[str, Any] | None,
        metadata: Mapping[str, Any],
    ) -> SymbolicCompiledArtifact:
        context = self._context(operator, options, metadata)
        with _stage(context, "pre-cache"):
            self.pipeline.run_pre_cache(context)
            key = self._key(context)
        if not context.options.cache_enabled:
            return self._compile(context)
        with self._turn_of(key):
            with span("look up", "cache") as probe:
                artifact = self.artifact_store.get(key)
            probe.set(hit=artifact is not None)
            if artifact is None:
                artifact = replace(self._compile(context), cache_key=key)
                self.artifact_store.put(key, artifact)
        if _is_same(artifact.compiled_operator.hilbert, operator.hilbert):
            return artifact
        # Equal IR on another Hilbert space object: the kernel is shared.
        return artifact.for_hilbert(operator.hilbert)

    def compile_operator(
        self,
        operator: SymbolicOperator,
        options: SymbolicCompilerOptions | Mapping[str, Any] | None = None,
    ) -> CompiledOperator | ReferenceOperator:
        """Compile an operator and return what runs.

        Raises:
            SymbolicCompilerError: as `compile`.
        """
        return self.compile(operator, options).compiled_operator

    def analysed(
        self,
        operator: SymbolicOperator,
        options: SymbolicCompilerOptions | Mapping[str, Any] | None = None,
    ) -> SymbolicCompilationContext:
        """Return what a compilation knows of an operator when it begins to lower it.

        Raises:
            SymbolicCompilerError: as `compile`.
        """
        context = self._context(operator, options, {})
        with _stage(context, "pre-cache"):
            self.pipeline.run_pre_cache(context)
        with _stage(context, "post-cache"):
            self.pipeline.run_post_cache(context)
        return context

    def _context(
        self,
        operator: SymbolicOperator,
        options: SymbolicCompilerOptions | Mapping[str, Any] | None,
        metadata: Mapping[str, Any],
    ) -> SymbolicCompilationContext:
        if isinstance(options, Mapping):
            options = {**self.options.as_dict(), **options}
            options = SymbolicCompilerOptions.from_mapping(options)
        _check_kinds(options=(options, SymbolicCompilerOptions))
        effective = options or self.options
        lowering = self._lowering(_name(operator), effective)
        with blamed_on(_name(operator), "extraction"):
            ir = operator.to_ir()
        return SymbolicCompilationContext(operator, ir, effective, lowering, metadata)

    def _lowering(
        self, operator: str, options: SymbolicCompilerOptions
    ) -> LoweringPipeline:
        """Return the passes from `sym` to `bt`.

        Raises:
            SymbolicCompilerError: for options that ask for others, where the pipeline
                has passes of its own (C027).
        """
        asked = options.operator_pipeline()
        if options.lowering is not None:
            return LoweringPipeline.parse(asked)
        if asked == OPERATOR_PIPELINE:
            return self.pipeline.lowering
        if self.pipeline.has_own_lowering:
            raise SymbolicCompilerError(
                "C027",
                "the pipeline of the compiler has a lowering of its own",
                operator=operator,
                expected="the options coalesce, opt_level and without by default",
                found=f"coalesce={options.coalesce!r}, opt_level={options.opt_level}, "
                f"without={options.without!r}",
                hint="put the passes into the pipeline's lowering, or into the option "
                "lowering",
            )
        return LoweringPipeline.parse(asked)

    def _key(self, context: SymbolicCompilationContext) -> SymbolicCacheKey:
        parts = (self.pipeline, context.lowering, self.lowerer_registry)
        extensions = "\n".join(part.signature() for part in parts)
        signature = SymbolicCompilationSignature.from_context(context, extensions)
        return signature.build_cache_key(namespace=context.options.cache_namespace)

    def _compile(self, context: SymbolicCompilationContext) -> SymbolicCompiledArtifact:
        with _stage(context, "post-cache"):
            self.pipeline.run_post_cache(context)
        with _stage(context, "lowering"):
            lowerer = self.lowerer_registry.resolve(context)
            context.selected_lowerer = lowerer.name
            artifact = _as_artifact(lowerer.lower(context), lowerer.name)
        return replace(artifact, pass_reports=tuple(context.pass_reports))

    def _turn_of(self, key: SymbolicCacheKey) -> AbstractContextManager[object]:
        """Return what lets one thread at a time look up and compile a key.

        It is forgotten with the last thread that waits for it, and reentrant: a pass
        that compiles its own operator fails, and does not hang.
        """
        with self._lock:
            return self._turns.setdefault(key, threading.RLock())

    # endregion


@contextmanager
def _stage(context: SymbolicCompilationContext, stage: str) -> Generator[None]:
    name = _name(context.operator)
    with span(stage, "stage"), blamed_on(name, stage, reports=context.pass_reports):
        yield


def _name(operator: object) -> str:
    """Return the name of an operator, or of the type of what is none."""
    return str(getattr(operator, "name", type(operator).__name__))


def _as_artifact(value: object, lowerer: str) -> SymbolicCompiledArtifact:
    if isinstance(value, SymbolicCompiledArtifact):
        return value
    raise SymbolicCompilerError(
        "C014",
        f"the lowerer '{lowerer}' made no artifact",
        expected="a SymbolicCompiledArtifact",
        found=repr(value),
    )


def _is_same(hilbert: object, other: object) -> bool:
    """Whether two spaces are interchangeable; `==` of foreign ones may be anything."""
    if hilbert is other:
        return True
    if not (isinstance(hilbert, Space) and isinstance(other, Space)):
        return False
    # Equal spaces hold the same configurations, maybe of sites of another kind
    return hilbert == other and hilbert.subsystems == other.subsystems


_HINTS = {
    "artifact_store": 'jax.config.update("jax_compilation_cache_dir", folder) keeps on '
    "disk what XLA compiles, which takes longest"
}


def _check_kinds(**arguments: tuple[object, type]) -> None:
    """Raise for an argument that is neither None nor of its kind (C006)."""
    for name, (value, kind) in arguments.items():
        if value is None or isinstance(value, kind):
            continue
        raise SymbolicCompilerError(
            "C006",
            f"{name} is not what a compiler can use",
            expected=f"an instance of {kind.__name__}, or None",
            found=repr(value),
            hint=_HINTS.get(name),
        )


_DEFAULT = SymbolicCompiler(artifact_store=default_symbolic_artifact_store())


def default_symbolic_compiler() -> SymbolicCompiler:
    """Return the compiler that `operator.compile()` uses: one per process."""
    return _DEFAULT


class CompileOptions(OptionsByName, total=False):
    """The keyword arguments of `SymbolicOperator.compile`."""

    cache: bool
    compiler: SymbolicCompiler | None
    options: SymbolicCompilerOptions | None


def compile_operator(
    operator: SymbolicOperator,
    *,
    cache: bool = True,
    compiler: SymbolicCompiler | None = None,
    options: SymbolicCompilerOptions | None = None,
    **given: Unpack[OptionsByName],
) -> CompiledOperator:
    """Compile an operator: see `SymbolicOperator.compile`."""
    _check_kinds(options=(options, SymbolicCompilerOptions))
    chosen = {**(options.as_dict() if options else {}), **given}
    if not cache:
        chosen["cache_enabled"] = False
    found = (compiler or _DEFAULT).compile_operator(operator, chosen)
    return cast("CompiledOperator", found)  # but for the backend "reference"
