# pyright: basic
"""How compiling grows with the number of rows and of terms.

`python -m benchmarks.scaling` prints a table; `--json FILE` writes all figures,
`--write-docs` puts the table into docs/benchmarks.md. Each line is that of a fresh
process with cold caches, imports excluded: from the definition to the first connected
states of one configuration.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np

import symir as sym
from benchmarks.compile_time import many_terms
from benchmarks.harness import (
    described,
    environment,
    in_fresh_process,
    load,
    markdown,
    write_docs,
)

SITES = 64
ROWS = (10**3, 10**4, 10**5, 10**6)
TERMS = (10, 100, 1000, 10**4)


def pairs(rows: int) -> Any:
    """Return random pairs of different sites, of shape (rows, 2)."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, SITES, rows)
    return np.stack([first, (first + rng.integers(1, SITES, rows)) % SITES], axis=1)


def couplings(rows: int) -> sym.SymbolicOperator:
    """sum_r J_r Z_i(r) Z_j(r): rows that all lead to x itself."""
    i, j = sym.site("i").value, sym.site("j").value
    data = {"J": np.random.default_rng(1).normal(size=rows)}
    return (
        sym.DOperator(sym.spin(0.5, SITES), "couplings")
        .for_each(("i", "j"), over=pairs(rows), data=data)
        .emit(amplitude=sym.row("J") * i * j)
        .build()
    )


def flips(rows: int) -> sym.SymbolicOperator:
    """sum_r J_r Z_i(r) X_j(r): rows that lead to another x'."""
    data = {"J": np.random.default_rng(1).normal(size=rows)}
    return (
        sym.DOperator(sym.spin(0.5, SITES), "flips")
        .for_each(("i", "j"), over=pairs(rows), data=data)
        .emit(sym.flip("j"), amplitude=sym.row("J") * sym.site("i").value)
        .build()
    )


KINDS: dict[str, tuple[Callable[[int], sym.SymbolicOperator], tuple[int, ...]]] = {
    "diagonal rows": (couplings, ROWS),
    "rows that flip": (flips, ROWS),
    "terms": (many_terms, TERMS),
}


def stages(kind: str, size: int) -> dict[str, float]:
    """Return the seconds of each stage up to the first result, in this process."""
    define, _ = KINDS[kind]
    start, busy = time.perf_counter(), time.process_time()
    operator = define(size)
    defined = time.perf_counter()
    compiled = operator.compile()
    lowered = time.perf_counter()
    x = operator.space.random_states(1, 0, dtype=np.int8)
    jax.block_until_ready(compiled.get_conn_padded(x))
    end = time.perf_counter()
    return {
        "definition": defined - start,
        "passes": lowered - defined,
        "first_call": end - lowered,
        "first_result": end - start,
        "cpu": time.process_time() - busy,
        "lanes": compiled.max_conn_size,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


_FRESH = """
import gc, json, jax
jax.config.update("jax_enable_x64", True)
from benchmarks import scaling
jax.block_until_ready(jax.numpy.zeros(1) + 1)
gc.collect()  # the garbage that importing left is not the operator's
print(json.dumps(scaling.stages({kind!r}, {size!r})))
"""


def measure(kind: str, size: int, repeats: int, limit: float) -> dict[str, Any]:
    """Return the medians over a few processes, or the limit where one takes longer."""
    program = _FRESH.format(kind=kind, size=size)
    row = {"kind": kind, "size": size, "limit": limit}
    try:
        runs = [json.loads(in_fresh_process(program, limit)) for _ in range(repeats)]
    except subprocess.TimeoutExpired:
        return row
    return row | {key: median(run[key] for run in runs) for key in runs[0]}


def _cells(row: dict[str, Any]) -> list[str]:
    name = [row["kind"], f"{row['size']:,}"]
    if "first_result" not in row:
        return [*name, "", "", "", "", f"> {row['limit']:.0f}", "", ""]
    keys = ("definition", "passes", "first_call", "first_result", "cpu")
    times = [f"{row[key]:.2f}" for key in keys]
    return [*name, f"{row['lanes']:,.0f}", *times, f"{row['peak_mib']:.0f}"]


HEADER = (
    "what grows",
    "number",
    "K",
    "definition s",
    "passes s",
    "first call s",
    "first result s",
    "CPU s",
    "peak MiB",
)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a process")
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)

    setting = environment()
    rows: list[dict[str, Any]] = []
    for kind, (_, sizes) in KINDS.items():
        for size in sizes[:2] if arguments.quick else sizes:
            print(f"{kind}: {size}, load {load()}", file=sys.stderr, flush=True)
            rows.append(measure(kind, size, arguments.repeats, arguments.limit))
            print(" | ".join(_cells(rows[-1])), file=sys.stderr, flush=True)
            if "first_result" not in rows[-1]:
                break  # more takes longer
    how = (
        f"Medians over processes ({arguments.repeats}), limit {arguments.limit:.0f} s."
    )
    about = f"{described(setting)}. {how}"
    text = f"{about}\n\n{markdown(HEADER, [_cells(row) for row in rows])}"
    print(text)
    if arguments.json:
        figures = {"environment": setting, "scaling": rows}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.write_docs:
        write_docs("scaling", text)


if __name__ == "__main__":
    main()
