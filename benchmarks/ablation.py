# pyright: basic
"""What each optimiser pass is worth: kernels without it against one with all of them.

`python -m benchmarks.ablation` prints a table; `--models tfim_8x8,syk_12` chooses,
`--quick` is a glance, `--json FILE` writes all figures, `--write-docs` puts the table
into docs/benchmarks.md; `--report FILE ..` shows what was measured before. Before
anything is timed, the outputs are compared, as by benchmarks/get_conn.py.

docs/benchmarks.md says what the columns are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.get_conn import (
    compiled,
    models_of,
    parser_of_runs,
    prepare,
    rounds_of,
    say,
    time_together,
)
from benchmarks.harness import (
    environment,
    figures_of,
    load,
    markdown,
    medians_of,
    write_docs,
)
from benchmarks.models import MODELS
from symir.compiler.lowering import (
    LoweringPipeline,
    operator_pipeline,
    optional_passes,
)

ALL = "all passes"

TOGETHER = ("sym-gather-terms", "sym-fuse-terms")
"""The first sorts what the second fuses."""


def pipelines() -> dict[str, str]:
    """Return the pipelines to compare: all passes first, none of the optimiser's last.

    The optimiser's are those that are not in the pipeline of `opt_level` 1, and those
    of kernels that a compilation can be without.
    """
    whole = LoweringPipeline.parse(operator_pipeline("static", 3)).names
    plain = LoweringPipeline.parse(operator_pipeline("none", 1)).names
    passes = dict.fromkeys(name for name in whole if name not in plain)
    of_kernels = sorted(optional_passes().difference(whole))
    single = [(name,) for name in [*passes, *of_kernels] if name not in TOGETHER]
    left_out = {" + ".join(names): names for names in [TOGETHER, *single]}
    left_out["all of these"] = (*passes, *of_kernels)
    found = {
        name: operator_pipeline("static", 3, without=names)
        for name, names in left_out.items()
    }
    return {ALL: operator_pipeline("static", 3), **found}


def run(chosen: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure some models, and return all figures."""
    rounds = rounds_of(arguments)
    figures: dict[str, Any] = {
        "environment": environment(),
        "rounds": rounds,
        "pipelines": pipelines(),
        "models": {},
    }
    for name in chosen:
        before = load()
        say(f"{name}, load {before}")
        model = MODELS[name]()
        peers = {
            column: compiled(model, lowering=text)
            for column, text in pipelines().items()
        }
        found, rows = prepare(name, model, peers)
        time_together(found, rows, rounds, arguments.turn)
        figures["models"][name] = {"rows": rows, "load": before}
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """Return what was measured in one run, in Markdown."""
    columns = [column for column in figures["pipelines"] if column != ALL]
    header = ("model", "K", "StableHLO ops", "ms", *columns, "load")
    return f"{medians_of(figures)}.\n\n" + markdown(
        header,
        [_line(name, columns, one) for name, one in figures["models"].items()],
    )


def _line(name: str, columns: list[str], measured: Mapping[str, Any]) -> list[str]:
    rows = measured["rows"]
    whole = rows[ALL]
    shown = [str(whole["lanes"]), str(whole["stablehlo_ops"]), f"{whole['ms']:.3g}"]
    cells = [_cell(rows[column], whole) for column in columns]
    return [name, *shown, *cells, measured["load"]]


def _cell(row: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    if row.get("same_as") == ALL:
        return "same"
    about = [
        f"{symbol} {row[key]}"
        for symbol, key in (("K", "lanes"), ("ops", "stablehlo_ops"))
        if row[key] != whole[key]
    ]
    return f"{row['times_first']:.2f}" + (f" ({', '.join(about)})" if about else "")


def main() -> None:
    """Run the benchmark and print its table."""
    parser = parser_of_runs(__doc__)
    arguments = parser.parse_args()
    runs = figures_of(arguments, models_of(parser, arguments), run)
    text = "\n\n".join(map(report, runs))
    print(text)
    if arguments.write_docs:
        write_docs("ablation", text)


if __name__ == "__main__":
    main()
