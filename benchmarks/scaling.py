# pyright: basic
"""How compiling grows with the number of rows, of sites and of terms.

`python -m benchmarks.scaling` prints a table; `--json FILE` writes all figures,
`--plot FILE` draws them, `--write-docs` puts table and drawing into docs. Each line is
that of a fresh process with cold caches, imports excluded: from the definition to the
first connected states of one configuration.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
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
CHAINS = (64, 256, 1024, 4096)
LATTICES = (64, 128, 256, 512)
"""Of so many sites all pairs are rows: 261,632 at the last."""

PLOT = Path(__file__).parent.parent / "docs" / "images" / "scaling.svg"


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


def chain(sites: int) -> sym.SymbolicOperator:
    """The Ising chain in a transverse field, of so many sites."""
    i, j = sym.site("i").value, sym.site("j").value
    left = np.arange(sites)
    return (
        sym.DOperator(sym.spin(0.5, sites), "chain")
        .for_each(("i", "j"), over=np.stack([left, (left + 1) % sites], axis=1))
        .emit(amplitude=-i * j)
        .for_each_site("i")
        .emit(sym.flip("i"), amplitude=-0.5)
        .build()
    )


def long_range(sites: int) -> sym.SymbolicOperator:
    """sum_ij J_ij Z_i X_j over all ordered pairs of so many sites, as arrays."""
    i, j = np.nonzero(~np.eye(sites, dtype=bool))
    return (
        sym.DOperator(sym.spin(0.5, sites), "long_range")
        .for_each(
            ("i", "j"), over=np.stack([i, j], axis=1), data={"J": 1 / np.abs(i - j)}
        )
        .emit(sym.flip("j"), amplitude=sym.row("J") * sym.site("i").value)
        .build()
    )


KINDS: dict[str, tuple[Callable[[int], sym.SymbolicOperator], tuple[int, ...]]] = {
    "diagonal rows": (couplings, ROWS),
    "rows that flip": (flips, ROWS),
    "sites of a chain": (chain, CHAINS),
    "sites, all pairs": (long_range, LATTICES),
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


def per_doubling(rows: list[dict[str, Any]]) -> list[float | None]:
    """Return the growth of the CPU time for twice the number, since the row before.

    It is 2 where the time is linear; None for the first row of a kind, and where there
    is no time.
    """
    found: list[float | None] = [None]
    for before, row in pairwise(rows):
        if before["kind"] != row["kind"] or "cpu" not in row:
            found.append(None)
            continue
        doublings = math.log2(row["size"] / before["size"])
        found.append((row["cpu"] / before["cpu"]) ** (1 / doublings))
    return found


def draw(rows: list[dict[str, Any]]) -> bytes:
    """Return a drawing of CPU seconds over the number that grows, as SVG."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "symir"  # the same figures, the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind and "cpu" in row]
        sizes, times = [row["size"] for row in own], [row["cpu"] for row in own]
        axes.loglog(sizes, times, marker="o", label=kind)
    axes.set(xlabel="number", ylabel="CPU s to the first result")
    axes.grid(alpha=0.3)
    axes.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _cells(row: dict[str, Any], growth: float | None = None) -> list[str]:
    name = [row["kind"], f"{row['size']:,}"]
    if "first_result" not in row:
        return [*name, "", "", "", "", f"> {row['limit']:.0f}", "", "", ""]
    keys = ("definition", "passes", "first_call", "first_result", "cpu")
    times = [f"{row[key]:.2f}" for key in keys]
    ratio = "" if growth is None else f"{growth:.2f}"
    return [*name, f"{row['lanes']:,.0f}", *times, ratio, f"{row['peak_mib']:.0f}"]


HEADER = (
    "what grows",
    "number",
    "K",
    "definition s",
    "passes s",
    "first call s",
    "first result s",
    "CPU s",
    "x for twice",
    "peak MiB",
)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a process")
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    parser.add_argument("--plot", type=Path, help="draw the CPU times to an SVG file")
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
        f"Medians over processes ({arguments.repeats}), limit {arguments.limit:.0f} s, "
        f"load {load()} at the end."
    )
    about = f"{described(setting)}. {how}"
    cells = [_cells(*pair) for pair in zip(rows, per_doubling(rows), strict=True)]
    text = f"{about}\n\n{markdown(HEADER, cells)}"
    print(text)
    if arguments.json:
        figures = {"environment": setting, "scaling": rows}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.write_docs:
        PLOT.parent.mkdir(exist_ok=True)
        PLOT.write_bytes(draw(rows))
        link = f"![CPU time over the number that grows](images/{PLOT.name})"
        write_docs("scaling", f"{text}\n\n{link}")
    if arguments.plot:
        arguments.plot.write_bytes(draw(rows))


if __name__ == "__main__":
    main()
