"""Many threads on one compiler."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import pytest

import symir as sym
from symir.compiler import JAXSymbolicLowerer
from tests.unit.symir.compiler.doubles import field


class CountingLowerer(JAXSymbolicLowerer):
    """Counts what it lowers, and how many threads are at one operator at a time."""

    name = "counting_lowerer"

    def __init__(self, failures: int = 0):
        self.lowered: Counter[str] = Counter()
        self.most_at_once = 0
        self._failures = failures
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    def lower(
        self, context: sym.SymbolicCompilationContext
    ) -> sym.SymbolicCompiledArtifact:
        name = context.operator.name
        with self._lock:
            self.lowered[name] += 1
            self._inside[name] += 1
            self.most_at_once = max(self.most_at_once, self._inside[name])
            fails = self.lowered[name] <= self._failures
        try:
            time.sleep(0.01)
            if fails:
                raise RuntimeError("not yet")
            return super().lower(context)
        finally:
            with self._lock:
                self._inside[name] -= 1


def compiler_with(lowerer: JAXSymbolicLowerer) -> sym.SymbolicCompiler:
    registry = sym.SymbolicLowererRegistry([lowerer])
    return sym.SymbolicCompiler(lowerer_registry=registry)


def in_threads(count: int, work: Any) -> list[Any]:
    """Call `work(k)` in so many threads that all start at once."""
    start = threading.Barrier(count)

    def run(k: int) -> Any:
        # Whether 64 bits are allowed belongs to each thread.
        with jax.enable_x64(True):
            start.wait()
            return work(k)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_threads_compile_every_operator_once() -> None:
    lowerer = CountingLowerer()
    compiler = compiler_with(lowerer)
    names = [f"op{k}" for k in range(10)]
    # Every thread has operators of its own: nothing is translated yet.

    def work(thread: int) -> list[sym.SymbolicCompiledArtifact]:
        operators = [field().named(name) for name in names]
        return [compiler.compile(operators[(thread + k) % 10]) for k in range(50)]

    per_thread = in_threads(16, work)
    assert lowerer.lowered == Counter(names)
    assert compiler.cache_size == 10
    kernels = {
        (artifact.operator_name, id(artifact.compiled_operator))
        for artifacts in per_thread
        for artifact in artifacts
    }
    assert len(kernels) == 10
    assert len(compiler._turns) == 0


def test_an_error_reaches_every_thread_and_poisons_nothing() -> None:
    lowerer = CountingLowerer(failures=5)
    compiler = compiler_with(lowerer)

    def work(thread: int) -> str | None:
        try:
            return compiler.compile(field()).operator_name
        except sym.SymbolicCompilerError as error:
            return error.found

    outcomes = in_threads(16, work)
    assert outcomes.count("RuntimeError: not yet") == 5
    assert outcomes.count("field") == 11
    # Five that fail, one that does not, and never two of them at once.
    assert lowerer.lowered == {"field": 6}
    assert lowerer.most_at_once == 1
    assert len(compiler._turns) == 0


class Recursive(sym.AbstractSymbolicPass):
    """A pass that compiles the operator that is compiled."""

    name = "recursive"

    def __init__(self) -> None:
        self.compiler: sym.SymbolicCompiler | None = None

    def run(self, context: sym.SymbolicCompilationContext) -> None:
        assert self.compiler is not None
        self.compiler.compile(context.operator)


def test_a_pass_that_compiles_its_own_operator_fails() -> None:
    one = Recursive()
    pipeline = sym.default_symbolic_pass_pipeline()
    pipeline.insert(one, before="symbolic_fanout_analysis")
    one.compiler = sym.SymbolicCompiler(pipeline=pipeline)
    with pytest.raises(sym.SymbolicCompilerError, match="recursive"):
        one.compiler.compile(field())
    assert len(one.compiler._turns) == 0
