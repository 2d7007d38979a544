# pyright: basic
"""What each pass of a local energy is worth: energies without it against all passes.

`python -m benchmarks.energy_ablation` prints a table; `--only`, `--models` and
`--dtypes` choose as in benchmarks/local_energy.py, `--json FILE` writes all figures,
`--write-docs` puts the table into docs/benchmarks.md; `--report FILE ..` shows what was
measured before. Before anything is timed, the energies are compared.

docs/benchmarks.md says what the columns are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

import symir as sym
from benchmarks.harness import (
    environment,
    figures_of,
    interleave,
    load,
    markdown,
    medians_of,
    milliseconds,
    ratio,
    write_docs,
)
from benchmarks.local_energy import COMPARED, OURS, Pair, compare, pairs_of, ready, say
from dialects.text import print_module
from symir.compiler.local_energy import DECLARED

ALL = "all passes"

DISTINCT = "plan-distinct-states"

WITHOUT: dict[str, tuple[str, ...]] = {
    ALL: (),
    "bt-local-energy-coalesce": ("bt-local-energy-coalesce",),
    "apply-exponential-sums": ("apply-exponential-sums",),
    "propagate-change": ("propagate-change",),
    "lift-sparse-delta": ("lift-sparse-delta",),
    DISTINCT: (DISTINCT,),
    "all of these": (
        "bt-local-energy-coalesce",
        "apply-exponential-sums",
        "propagate-change",
        "lift-sparse-delta",
        DISTINCT,
    ),
}
"""By column: the passes that are left out."""

SYSTEMS = (
    *("tfim_8x8", "deep_tfim_8x8", "heisenberg_8x8"),
    *("bose_hubbard_32", "molecule_10_peaked"),
)
WAVEFUNCTIONS = (
    *("rbm", "rbm_complex", "rbm_modphase", "mlp1", "mlp2", "cnn"),
    *("deep_cnn", "backflow"),
)


def measure(pair: Pair, rounds: int, turn: float) -> dict[str, Any]:
    """Return figures of the energies of a pair without each of the passes.

    Raises:
        ValueError: where the energies are not the same.
    """
    variables, x = pair.variables, pair.x
    op = sym.from_netket(pair.operators.script)
    found, texts = {}, {}
    # Where JAX is tracing, as below, samples do not decide
    untold = sym.LocalEnergy(op, pair.module.apply, without=(DECLARED,))
    repeats = untold.program(variables, x.dtype, x).options.distinct
    for column, names in WITHOUT.items():
        # Deltas that are declared would leave nothing to the other passes
        passes = (DECLARED, *(name for name in names if name != DISTINCT))
        distinct = bool(repeats) and DISTINCT not in names
        energy = sym.LocalEnergy(
            op, pair.module.apply, without=passes, distinct=distinct
        )
        texts[column] = print_module(energy.program(variables, x.dtype).module)
        if column == ALL or texts[column] != texts[ALL]:
            found[column] = ready(energy, variables, x)
    some = slice(0, COMPARED)
    for one in found.values():
        compare(pair, {OURS: one.call()[some]}, x[some])
    calls = {column: one.call for column, one in found.items()}
    seconds = interleave(calls, rounds=rounds, turn=turn)
    return {
        column: {
            "ms": milliseconds(times),
            "times_all": ratio(seconds, column, ALL),
            "temp_bytes": found[column].temp,
        }
        for column, times in seconds.items()
    }


def run(pairs: list[Pair], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure pairs, and return all figures."""
    figures: dict[str, Any] = {
        "environment": environment(),
        "rounds": arguments.rounds,
        "pairs": [],
    }
    for pair in pairs:
        names = {
            "name": pair.name,
            "wavefunction": pair.wavefunction,
            "dtype": pair.dtype,
        }
        before = load()
        rows = measure(pair, arguments.rounds, arguments.turn)
        figures["pairs"].append({**names, "load": before, "rows": rows})
        say(" | ".join(_line(figures["pairs"][-1])))
        jax.clear_caches()
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """Return what was measured in one run, in Markdown."""
    columns = [column for column in WITHOUT if column != ALL]
    header = ("operator", "wavefunction", "type", "ms", *columns, "load")
    return f"{medians_of(figures)}.\n\n" + markdown(
        header, [_line(one) for one in figures["pairs"]]
    )


def _line(one: Mapping[str, Any]) -> list[str]:
    rows = one["rows"]
    cells = [_cell(rows.get(c), rows[ALL]) for c in WITHOUT if c != ALL]
    names = [one["name"], one["wavefunction"], one["dtype"]]
    return [*names, f"{rows[ALL]['ms']:.3g}", *cells, one["load"]]


def _cell(row: Mapping[str, Any] | None, whole: Mapping[str, Any]) -> str:
    if row is None:
        return "same"
    memory = (f"{one['temp_bytes'] / 2**20:.1f}" for one in (whole, row))
    return f"{row['times_all']:.2f} ({' to '.join(memory)} MiB)"


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SYSTEMS))
    parser.add_argument("--models", default=",".join(WAVEFUNCTIONS))
    parser.add_argument("--dtypes", default="f32")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds of a turn")
    parser.add_argument("--report", type=Path, nargs="+", help="figures to show again")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    given = (arguments.only, arguments.models, arguments.dtypes)
    systems, wavefunctions, dtypes = (tuple(text.split(",")) for text in given)
    pairs = pairs_of(systems, wavefunctions, dtypes)
    if not pairs:
        parser.error("there is no such pair")
    runs = figures_of(arguments, pairs, run)
    text = "\n\n".join(map(report, runs))
    print(text)
    if arguments.write_docs:
        write_docs("energy_ablation", text)


if __name__ == "__main__":
    main()
