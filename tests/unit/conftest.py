"""Settings that all unit tests share."""

import gc
import os
from collections.abc import Generator
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from lowering.energy import lift_sparse_delta

ROOT = Path(__file__).parents[2]

# Most of the time of the suite is XLA's, which compiles: what took long is kept for the
# next run, and for processes that tests start. JAX reads this when it is imported.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")

# What is left out where it fails, to make something slower, has to succeed here
os.environ.setdefault("SYMIR_STRICT", "1")

# A kernel runs once or twice here: LLVM would take four times as long to make it fast,
# and half as long again to compile it in parts, for many cores. What XLA does on HLO
# stays. At flags that it does not know it aborts, hence other versions of jaxlib
# compile as they do.
if version("jaxlib").startswith("0.10."):
    quickly = (
        "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
        "--xla_cpu_parallel_codegen_split_count=1"
    )
    os.environ.setdefault("XLA_FLAGS", quickly)

# Numba would compile NetKet's operators for spaces on which Python is done sooner
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

# No deadline: a slow machine is no failure, and speed is measured in benchmarks/.
# Where CI is set the examples are the same in every run: a build that fails can be
# repeated, and new examples are tried wherever else the tests run.
settings.register_profile(
    "symir", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("symir")


MODULES_OF_CONTEXT = 100
"""Modules that share an MLIR context: it keeps their types and constants."""


# Garbage is looked for seldom: modules, tests and traces live long, and are many. That
# was 11 % of the suite's time, and before the first test a third of each worker's.
gc.set_threshold(100_000, 20, 50)


def pytest_collection_finish() -> None:
    """Never look at modules and tests again."""
    gc.collect()
    gc.freeze()


MAPPINGS = 30_000
"""Mappings of memory that kernels may have: Linux allows a process 65,530, a kernel has
four, and the process crashes where there is none left."""

TESTS = count(1)


def pytest_runtest_teardown() -> None:
    """Let go of kernels where those of tests that are done fill the map of memory."""
    own = Path("/proc/self/maps")
    if next(TESTS) % 50 or not own.exists():
        return
    if own.read_bytes().count(b"\n") > MAPPINGS:
        import jax

        jax.clear_caches()
        gc.collect()


def pytest_sessionfinish() -> None:
    """Look for garbage once: pytest does it five times more, 6 s in all."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _contexts() -> Generator[None]:
    """Let modules that JAX lowers share MLIR contexts.

    A context of its own, with all dialects loaded, takes 2.5 ms: three quarters of the
    lowering of a small function, and the suite lowers some 7,000.
    """
    from jax._src.interpreters import mlir

    made: list[mlir.ir.Context] = []
    number = count()

    def shared() -> mlir.ir.Context:
        current: Any = mlir.ir.Context.current
        if current is not None:
            return make()  # while a module of it is being made, as for a constant
        if next(number) % MODULES_OF_CONTEXT == 0:
            made[:] = [make()]
        return made[0]

    make = mlir.make_ir_context
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlir, "make_ir_context", shared)
        yield


@pytest.fixture
def lifting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lift first layers of few sites, too: it has to be right, if no faster."""
    monkeypatch.setattr(lift_sparse_delta, "SITES", {32: 0, 64: 0})


@pytest.fixture(autouse=True)
def x64() -> Generator[None]:
    """Allow 64-bit types, as NetKet does: whether it is imported must not matter.

    Tests that want 32 bits say so themselves.
    """
    import jax

    with jax.enable_x64(True):
        yield
