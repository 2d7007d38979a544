"""How long compiling takes: the passes, the cache, and the first result.

`python -m benchmarks.compile_time` prints tables; `--json FILE` writes all figures.
Times are medians of repeated runs in one process, but for the first results, each of
which is that of a fresh process.
"""

# pyright: basic

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np

import symir as sym
from benchmarks.get_conn import first_result
from benchmarks.harness import described, environment
from benchmarks.models import MODELS
from symir.tools.show import table

MODEL = "tfim_16x16"
BATCH = 1024

TERMS = 100


def many_terms(terms: int) -> sym.SymbolicOperator:
    """Return a sum of flips of two structures that take turns."""
    builder = sym.DOperator(sym.qubit(16), "many_terms")
    for k in range(terms):
        builder = builder.for_each("i", over=[k % 16, (3 * k + 1) % 16])
        here = sym.site("i").value
        amplitude = here + k if k % 2 else sym.sqrt(here + k)
        builder = builder.emit(sym.flip("i"), amplitude=amplitude)
    return builder.build()


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Return the median over calls of the time that one takes."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return median(times)


# region What is measured


def to_stablehlo(operator: sym.SymbolicOperator) -> str:
    """Return the text of a kernel, from the IR down, through every pass."""
    artifact = sym.SymbolicCompiler().compile(operator, {"cache_enabled": False})
    return artifact.ir("stablehlo", batch=BATCH)


def pass_times(operator: sym.SymbolicOperator, repeats: int) -> list[dict[str, Any]]:
    """Return what each pass does to an operator, with the median of its times."""
    runs = [
        sym.SymbolicCompiler()
        .compile(operator, {"cache_enabled": False})
        .manifest()["passes"]
        for _ in range(repeats)
    ]
    return [
        {
            "pass": same[0]["pass_name"],
            "stage": same[0]["stage"],
            "milliseconds": median(one["duration_ms"] for one in same),
            "ops_before": same[0]["ops_before"],
            "ops_after": same[0]["ops_after"],
        }
        for same in zip(*runs, strict=True)
    ]


def cache_times(operator: sym.SymbolicOperator, repeats: int) -> dict[str, float]:
    """Return the seconds of a compilation that misses the cache, and of one that hits.

    The operator's IR is there already: a hit runs the passes before the cache only.
    """
    compiler = sym.SymbolicCompiler()

    def miss() -> None:
        compiler.clear_cache()
        compiler.compile(operator)

    missed = seconds(miss, 3)
    hit = seconds(lambda: compiler.compile(operator), repeats)
    # A new object for an equal operator: its IR is built and hashed, too.
    rebuilt = seconds(lambda: compiler.compile(many_terms(TERMS)), repeats)
    return {"miss": missed, "hit": hit, "build and hit": rebuilt}


def results(operator: sym.SymbolicOperator) -> dict[str, float]:
    """Return the seconds of the stages up to the first result, in this process."""
    x = operator.space.random_states(BATCH, 0, dtype=np.int8)
    operator.to_ir()
    compiler = sym.SymbolicCompiler()
    start = time.perf_counter()
    compiled: Any = compiler.compile_operator(operator)
    lowered = time.perf_counter()
    jax.block_until_ready(compiled.get_conn_padded(x))
    first = time.perf_counter()
    jax.block_until_ready(compiled.get_conn_padded(x))
    second = time.perf_counter()
    return {
        "passes": lowered - start,
        "first call (XLA compiles)": first - lowered,
        "second call": second - first,
    }


# endregion


def _in_milliseconds(times: dict[str, float]) -> str:
    rows = [(name, f"{1e3 * value:.2f}") for name, value in times.items()]
    return "\n".join(table(("", "ms"), rows, right=frozenset({1})))


def _passes_table(passes: list[dict[str, Any]]) -> str:
    rows = [
        (
            one["pass"],
            one["stage"],
            f"{one['milliseconds']:.2f}",
            "-" if one["ops_before"] is None else str(one["ops_before"]),
            "-" if one["ops_after"] is None else str(one["ops_after"]),
        )
        for one in passes
    ]
    header = ("pass", "stage", "ms", "ops before", "after")
    return "\n".join(table(header, rows, right=frozenset({2, 3, 4})))


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    repeats = arguments.repeats

    setting = environment()
    print(described(setting))
    operator = MODELS[MODEL]().define()
    text = to_stablehlo(operator)
    whole = {
        "IR to StableHLO text": seconds(lambda: to_stablehlo(operator), repeats),
        **results(operator),
    }
    print(f"\n{MODEL}, {BATCH} int8 samples, {len(text)} characters of StableHLO")
    print(_in_milliseconds(whole))

    passes = pass_times(operator, repeats)
    print(f"\n{MODEL}, each pass, median of {repeats}")
    print(_passes_table(passes))

    cache = cache_times(many_terms(TERMS), repeats)
    print(f"\nan operator of {TERMS} terms of two structures in turns")
    print(_in_milliseconds(cache))

    first = first_result(MODEL)
    print(f"\n{MODEL}, definition to first result, imports excluded, caches cold")
    print(_in_milliseconds({"fresh process": first}))
    if arguments.json:
        figures = {
            "environment": setting,
            "stages": whole,
            "passes": passes,
            "cache": cache,
            "first_result": first,
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
