"""The compiler: from a symbolic operator to a compiled one, through a cache."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from symir.compiler.artifact import SymbolicCompiledArtifact
from symir.compiler.pipeline import lower_to_bt, run_pipeline
from symir.errors import CompilationError
from symir.ir import SymbolicOperatorIR
from symir.spaces import Space

if TYPE_CHECKING:
    from symir.operator import SymbolicOperator
    from symir.runtime.operator import CompiledOperator


_ITEMSIZE = {"f": 4, "c": 8}
"""The bytes of a real and a complex number where JAX is set to 32 bits."""


class SymbolicCompiler:
    """Compiles operators, and remembers what it has compiled.

    Two operators with the same IR share one kernel. The cache lives as long as the
    compiler and is safe under threads.
    """

    def __init__(self) -> None:
        self._artifacts: dict[str, SymbolicCompiledArtifact] = {}
        self._lock = threading.Lock()

    @property
    def cache_size(self) -> int:
        """The number of compiled operators in the cache."""
        return len(self._artifacts)

    def clear_cache(self) -> None:
        """Forget everything that was compiled."""
        with self._lock:
            self._artifacts.clear()

    def compile(
        self, operator: SymbolicOperator, *, cache: bool = True
    ) -> SymbolicCompiledArtifact:
        """Compile an operator.

        Raises `CompilationError` where the operator's dtype needs 64 bits and JAX is
        set to 32, or where a pass fails.
        """
        with _blamed_on(operator):
            ir = _in_supported_precision(operator)
            if not cache:
                return _compile(operator, ir)
            key = ir.static_fingerprint()
            with self._lock:
                artifact = self._artifacts.get(key)
                if artifact is None:
                    artifact = self._artifacts[key] = _compile(operator, ir)
        if _is_same(artifact.compiled_operator.hilbert, operator.hilbert):
            return artifact
        # Equal IR on another Hilbert space object: the kernel is shared
        return _for_hilbert(artifact, operator)

    def compile_operator(
        self, operator: SymbolicOperator, *, cache: bool = True
    ) -> CompiledOperator:
        """Compile an operator and return what runs."""
        return self.compile(operator, cache=cache).compiled_operator


@contextmanager
def _blamed_on(operator: SymbolicOperator) -> Generator[None]:
    """Add the operator's name to errors of passes, which know the IR only."""
    try:
        yield
    except CompilationError as error:
        error.operator = error.operator or operator.name
        raise


def _is_same(hilbert: object, other: object) -> bool:
    """Whether two spaces are interchangeable; `==` of foreign ones may be anything."""
    if hilbert is other:
        return True
    return isinstance(hilbert, Space) and isinstance(other, Space) and hilbert == other


def _runtime(operator: SymbolicOperator) -> ModuleType:
    """Import what runs kernels; it needs JAX."""
    try:
        return import_module("symir.runtime")
    except ModuleNotFoundError as error:
        raise CompilationError(
            "C005",
            "compiling and running an operator needs JAX",
            operator=operator.name,
            found=str(error),
            hint="pip install jax; defining, printing, lowering and interpreting "
            "operators works without it",
        ) from error


def _in_supported_precision(operator: SymbolicOperator) -> SymbolicOperatorIR:
    """Return the IR of an operator in a precision that JAX is set up for.

    With 64-bit types switched off in JAX, an operator whose dtype was not stated
    becomes a 32-bit one, as every array of JAX does; one that asks for 64 bits is an
    error.
    """
    ir = operator.to_ir()
    x64_enabled = _runtime(operator).x64_enabled
    if x64_enabled() or operator.dtype.itemsize == _ITEMSIZE[operator.dtype.kind]:
        return ir
    if not operator.dtype_is_default:
        raise CompilationError(
            "C004",
            "the operator computes with 64 bits, but JAX is set to 32",
            operator=operator.name,
            expected="dtype float32 or complex64",
            found=str(operator.dtype),
            hint='set jax.config.update("jax_enable_x64", True) before anything else, '
            'or define the operator with dtype="float32"',
        )
    return SymbolicOperatorIR(run_pipeline(ir.module, "sym-convert-element{to=f32}"))


def _compile(
    operator: SymbolicOperator, ir: SymbolicOperatorIR
) -> SymbolicCompiledArtifact:
    from symir.runtime.kernel import Kernel
    from symir.runtime.operator import CompiledOperator

    branch_tensors = lower_to_bt(ir.module)
    kernel = Kernel(ir, branch_tensors)
    compiled = CompiledOperator(kernel, ir.defaults, operator.hilbert)
    return SymbolicCompiledArtifact(ir, branch_tensors, compiled)


def _for_hilbert(
    artifact: SymbolicCompiledArtifact, operator: SymbolicOperator
) -> SymbolicCompiledArtifact:
    from symir.runtime.operator import CompiledOperator

    compiled = artifact.compiled_operator
    return SymbolicCompiledArtifact(
        artifact.operator_ir,
        artifact.branch_tensors,
        CompiledOperator(compiled.kernel, compiled.parameters, operator.hilbert),
    )


_DEFAULT = SymbolicCompiler()


def default_symbolic_compiler() -> SymbolicCompiler:
    """Return the compiler that `operator.compile()` uses: one per process."""
    return _DEFAULT


def compile_operator(
    operator: SymbolicOperator,
    *,
    cache: bool = True,
    compiler: SymbolicCompiler | None = None,
) -> CompiledOperator:
    """Compile an operator with a compiler, by default the process-wide one."""
    return (compiler or _DEFAULT).compile_operator(operator, cache=cache)
