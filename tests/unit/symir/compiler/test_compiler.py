"""The compiler as an object: threads, its parts, and what it shares."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import pytest

import symir as sym
from symir.compiler import compile_operator, default_symbolic_compiler
from tests.unit.symir.compiler.doubles import (
    NotingLowerer,
    NotingStore,
    field,
    noting_compiler,
)


def test_compilers_keep_their_artifacts_to_themselves() -> None:
    one, other = sym.SymbolicCompiler(), sym.SymbolicCompiler()
    one.compile(field())
    assert (one.cache_size, other.cache_size) == (1, 0)
    assert default_symbolic_compiler() is default_symbolic_compiler()


def test_an_empty_store_is_used() -> None:
    store = NotingStore([])
    sym.SymbolicCompiler(artifact_store=store).compile(field())
    assert len(store) == 1


def test_two_compilers_share_a_store() -> None:
    log: list[str] = []
    store = sym.InMemorySymbolicArtifactStore()
    compilers = [
        sym.SymbolicCompiler(
            artifact_store=store,
            lowerer_registry=sym.SymbolicLowererRegistry([NotingLowerer(log)]),
        )
        for _ in range(2)
    ]
    first, second = (compiler.compile(field()) for compiler in compilers)
    assert first.cache_key == second.cache_key
    assert log.count("lower") == 1


def test_threads_compile_an_operator_once() -> None:
    log: list[str] = []
    compiler, gate = noting_compiler(log), threading.Barrier(4)

    def compile_it(_: int) -> str:
        gate.wait()
        with jax.enable_x64(True):  # it belongs to each thread
            return compiler.compile(field()).cache_token()

    with ThreadPoolExecutor(4) as pool:
        tokens = set(pool.map(compile_it, range(4)))
    assert len(tokens) == 1
    assert log.count("lower") == 1
    assert len(compiler._turns) == 0


def test_a_failure_is_not_remembered() -> None:
    compiler = sym.SymbolicCompiler()
    with pytest.raises(sym.SymbolicCompilerError, match="C009"):
        compiler.compile(field(), {"lowering": "cse"})
    assert len(compiler._turns) == 0
    assert compiler.compile(field()).lowerer_name == "jax_symbolic_v1"


def test_metadata_of_the_caller_is_kept_with_a_miss() -> None:
    compiler = sym.SymbolicCompiler()
    assert compiler.compile(field(), metadata={"run": 1}).metadata["run"] == 1
    assert compiler.compile(field(), metadata={"run": 2}).metadata["run"] == 1


def test_options_by_keyword() -> None:
    compiler = sym.SymbolicCompiler()
    compile_operator(field(), compiler=compiler, cache=False)
    assert compiler.cache_size == 0
    compile_operator(field(), compiler=compiler, cache_namespace="mine")
    assert compiler.cache_size == 1
    stated = sym.SymbolicCompilerOptions(cache_namespace="mine", opt_level=1)
    compile_operator(field(), compiler=compiler, options=stated, opt_level=2)
    assert compiler.cache_size == 1
    compile_operator(field(), compiler=compiler, options=stated)
    assert compiler.cache_size == 2
    wrong: Any = {"enable_fusions": True}
    with pytest.raises(sym.SymbolicCompilerError, match="C006") as caught:
        field().compile(compiler=compiler, **wrong)
    assert caught.value.hint == "did you mean 'enable_fusion'?"
    wrong = {"options": {"opt_level": 2}}
    with pytest.raises(sym.SymbolicCompilerError, match="C006"):
        field().compile(**wrong)


def test_predicates_of_a_space_are_kept_with_the_operator() -> None:
    """They are no part of the IR, so the artifact is shared, and the space is not."""
    plain = sym.qubit(2)
    alike = sym.qubit(2).where(sym.site(0) == sym.site(1))
    compiler = sym.SymbolicCompiler()
    operators = [
        sym.DOperator(space, "op").globally().emit(amplitude=2.0).build()
        for space in (plain, alike)
    ]
    compiled = [compiler.compile_operator(operator) for operator in operators]
    assert [one.hilbert for one in compiled] == [plain, alike]


def test_in_single_precision_the_conversion_is_remembered() -> None:
    operator, compiler = field(), sym.SymbolicCompiler()
    with jax.enable_x64(False):
        with pytest.warns(sym.PrecisionWarning):
            first = compiler.compile(operator)
        second = compiler.compile(operator)
        with pytest.warns(sym.PrecisionWarning):
            fresh = compiler.compile(field())
    assert first is second
    assert first.operator_ir.dtype_str == "float32"
    assert fresh.operator_ir is first.operator_ir
    double = compiler.compile(operator)
    assert double.operator_ir.dtype_str == "float64"
    assert double.cache_key != first.cache_key


def test_the_backends_agree() -> None:
    compiler, x = sym.SymbolicCompiler(), sym.spin(0.5, 4).all_states()
    results: list[Any] = [
        compiler.compile_operator(field(), {"backend_preference": name})
        for name in ("auto", "jax", "reference")
    ]
    assert compiler.cache_size == 3
    expected = [np.asarray(part) for part in results[0].get_conn_padded(x)]
    for result in results[1:]:
        found = [np.asarray(part) for part in result.get_conn_padded(x)]
        assert all((a == b).all() for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        {"options": {"enable_fusion": False}},
        {"pipeline": ["cse"]},
        {"artifact_store": "folder"},
        {"lowerer_registry": []},
    ],
)
def test_a_compiler_is_made_of_what_it_can_use(arguments: dict[str, Any]) -> None:
    with pytest.raises(sym.SymbolicCompilerError) as caught:
        sym.SymbolicCompiler(**arguments)
    assert caught.value.code == "C006"
    assert next(iter(arguments)) in caught.value.message
    on_disk = "jax_compilation_cache_dir" in (caught.value.hint or "")
    assert on_disk is ("artifact_store" in arguments)


def test_options_of_a_compilation_are_options() -> None:
    builder = sym.DOperator(sym.qubit(2), "op").for_each_site("i")
    with pytest.raises(sym.SymbolicCompilerError, match="C006"):
        sym.SymbolicCompiler().compile(builder.emit().build(), "jax")  # pyright: ignore[reportArgumentType]
