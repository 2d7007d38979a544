"""Connected states: symir against NetKet's own operators.

`python -m benchmarks.get_conn` prints a table of ratios; `--json FILE` writes all
figures. Before anything is timed, the outputs are compared: for each sample the matrix
elements that lead to one x' are added up, and the sums must agree.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import netket as nk
import numpy as np

import symir as sym
from benchmarks.harness import (
    environment,
    in_fresh_process,
    interleave,
    milliseconds,
    ratio,
)

BATCH = 1024


def square_lattice(length: int) -> list[tuple[int, int]]:
    """Return the bonds of a periodic square lattice, each once."""
    sites = np.arange(length * length).reshape(length, length)
    right, down = np.roll(sites, -1, axis=1), np.roll(sites, -1, axis=0)
    pairs = np.concatenate(
        [
            np.stack([sites.ravel(), right.ravel()], axis=1),
            np.stack([sites.ravel(), down.ravel()], axis=1),
        ]
    )
    return [(int(i), int(j)) for i, j in pairs]


# region Models


def tfim(length: int) -> sym.SymbolicOperator:
    """sum_<ij> sz_i sz_j - h sum_i sx_i."""
    return (
        sym.DOperator(sym.spin(0.5, length**2), "tfim", hermitian=True)
        .for_each(("i", "j"), over=square_lattice(length))
        .emit(amplitude=sym.site("i").value * sym.site("j").value)
        .for_each_site("i")
        .emit(sym.write("i", -sym.site("i").value), amplitude=-0.7)
        .build()
    )


def heisenberg(length: int) -> sym.SymbolicOperator:
    """sum_<ij> sigma_i . sigma_j."""
    i, j = sym.site("i"), sym.site("j")
    return (
        sym.DOperator(sym.spin(0.5, length**2), "heisenberg", hermitian=True)
        .for_each(("i", "j"), over=square_lattice(length))
        .emit(amplitude=i.value * j.value)
        .for_each(("i", "j"), over=square_lattice(length))
        .where(i != j)
        .emit(sym.swap("i", "j"), amplitude=2.0)
        .build()
    )


def bose_hubbard(length: int) -> sym.SymbolicOperator:
    """-sum_<ij> (b_i^dag b_j + h.c.) + U/2 sum_i n_i (n_i - 1)."""
    bonds = square_lattice(length)
    hops = [*bonds, *[(j, i) for i, j in bonds]]
    n = sym.site("i").value
    return (
        sym.DOperator(sym.fock(4, length**2), "bose_hubbard", hermitian=True)
        .for_each_site("i")
        .emit(amplitude=0.5 * 4.0 * n * (n - 1))
        .for_each(("i", "j"), over=hops)
        .where((n > 0) & (sym.site("j") < 4))
        .emit(
            sym.shift("i", -1).shift("j", +1),
            amplitude=-sym.sqrt(n * sym.emitted("j").value),
        )
        .build()
    )


@dataclass(frozen=True)
class Model:
    """A model in symir's language and as NetKet's best operators."""

    name: str
    define: Callable[[], sym.SymbolicOperator]
    peers: dict[str, Callable[[], Any]]


def models(length: int) -> list[Model]:
    """Return the models on a periodic square lattice."""
    graph = nk.graph.Grid([length, length], pbc=True)
    spins = nk.hilbert.Spin(0.5, length**2)
    bosons = nk.hilbert.Fock(4, length**2)
    size = f"{length}x{length}"
    return [
        Model(
            f"TFIM {size}",
            lambda: tfim(length),
            {"netket IsingJax": lambda: nk.operator.IsingJax(spins, graph, h=0.7, J=1)},
        ),
        Model(
            f"Heisenberg {size}",
            lambda: heisenberg(length),
            {
                "netket LocalOperatorJax": lambda: nk.operator.Heisenberg(
                    spins, graph, sign_rule=False
                ).to_jax_operator(),
            },
        ),
        Model(
            f"Bose-Hubbard {size}",
            lambda: bose_hubbard(length),
            {
                "netket BoseHubbardJax": lambda: nk.operator.BoseHubbardJax(
                    bosons, graph, U=4.0, J=1.0
                )
            },
        ),
    ]


# endregion
# region Measuring


def branch_sums(xp: Any, mels: Any) -> dict[bytes, complex]:
    """Add up the matrix elements of one sample that lead to the same x'."""
    sums: dict[bytes, complex] = defaultdict(complex)
    for config, element in zip(np.asarray(xp), np.asarray(mels), strict=True):
        sums[config.tobytes()] += complex(element)
    return {config: total for config, total in sums.items() if abs(total) > 1e-13}


def check_equal(name: str, ours: Any, theirs: Any, samples: int = 32) -> None:
    """Raise where the outputs of two operators are not the same operator's."""
    for k in range(samples):
        a = branch_sums(ours[0][k], ours[1][k])
        b = branch_sums(theirs[0][k], theirs[1][k])
        if a.keys() != b.keys() or any(
            abs(a[config] - b[config]) > 1e-10 * max(1, abs(b[config])) for config in a
        ):
            raise SystemExit(f"{name}: the outputs differ at sample {k}")


def measure(model: Model, rounds: int, inner: int) -> list[dict[str, Any]]:
    """Compare one model with each of its peers."""
    operator = model.define()
    compiled = operator.compile()
    x = operator.space.random_states(BATCH, 0, dtype=np.int8)
    x = jax.numpy.asarray(x)
    ours = jax.jit(compiled.get_conn_padded)
    functions: dict[str, Callable[[], Any]] = {"symir": lambda: ours(x)}
    lanes = {"symir": compiled.max_conn_size}
    for name, build in model.peers.items():
        peer = build()
        theirs = jax.jit(peer.get_conn_padded)
        check_equal(f"{model.name}, {name}", ours(x), theirs(x))
        functions[name] = lambda theirs=theirs: theirs(x)
        lanes[name] = peer.max_conn_size
    seconds = interleave(functions, rounds=rounds, inner=inner)
    rows = []
    for name in model.peers:
        whole = ratio(seconds, name, "symir")
        rows.append(
            {
                "model": model.name,
                "peer": name,
                "symir_ms": milliseconds(seconds["symir"]),
                "peer_ms": milliseconds(seconds[name]),
                "symir_lanes": lanes["symir"],
                "peer_lanes": lanes[name],
                "speedup": whole,
                "speedup_per_lane": whole * lanes["symir"] / lanes[name],
            }
        )
    return rows


_FIRST_RESULT = """
import gc, time, numpy as np, jax
jax.config.update("jax_enable_x64", True)
from benchmarks import get_conn
jax.block_until_ready(jax.numpy.zeros(1) + 1)
gc.collect()  # the garbage that importing left is not the operator's
start = time.perf_counter()
operator = get_conn.{model}({length})
x = operator.space.random_states({batch}, 0, dtype=np.int8)
jax.block_until_ready(operator.compile().get_conn_padded(x))
print(time.perf_counter() - start)
"""


def first_result(model: str, length: int, repeats: int = 3) -> float:
    """Return the seconds from definition to first result in a fresh process.

    Imports are excluded, caches are cold; the median of a few processes.
    """
    program = _FIRST_RESULT.format(model=model, length=length, batch=BATCH)
    return median(float(in_fresh_process(program)) for _ in range(repeats))


# endregion


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| model | peer | symir ms | peer ms | lanes | faster | faster per lane |",
        "|---|---|---|---|---|---|---|",
    ]
    line = (
        "| {model} | {peer} | {symir_ms:.3f} | {peer_ms:.3f} | "
        "{symir_lanes} / {peer_lanes} | {speedup:.2f}x | {speedup_per_lane:.2f}x |"
    )
    lines += [line.format(**row) for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=8, help="side of the lattice")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--inner", type=int, default=20)
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)

    setting = environment()
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    rounds = arguments.rounds
    print(f"\nget_conn_padded, {BATCH} int8 samples, median of {rounds} rounds")
    rows = []
    for model in models(arguments.length):
        print(f"measuring {model.name} ...", file=sys.stderr)
        rows += measure(model, arguments.rounds, arguments.inner)
    print(_table(rows))

    print("\nDefinition to first result, imports excluded, caches cold, seconds")
    first = {
        name: first_result(name, arguments.length)
        for name in ("tfim", "heisenberg", "bose_hubbard")
    }
    for name, seconds in first.items():
        print(f"{name}: {seconds:.3f}")
    if arguments.json:
        figures = {"environment": setting, "get_conn": rows, "first_result": first}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
