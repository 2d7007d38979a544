# pyright: basic
"""Connected states: symir against its peers, hand-written kernels and the memory.

`python -m benchmarks.get_conn` prints a table; `--models tfim_8x8,syk_12` chooses,
`--quick` is a glance, `--json FILE` writes all figures, `--write-docs` puts the table
into docs/benchmarks.md; `--report FILE ..` shows what was measured before. Before
anything is timed, the outputs are compared: for each sample the matrix elements that
lead to one x' are added up, and the sums must agree.

docs/benchmarks.md says what the columns are.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import (
    check_equal,
    described,
    environment,
    in_fresh_process,
    interleave,
    load,
    markdown,
    milliseconds,
    ratio,
    write_docs,
)
from benchmarks.models import MODELS, Model, Peer

QUICK = ("tfim_8x8", "heisenberg_8x8", "bose_hubbard_32")

OURS, ROOFLINE = "symir", "write only"

MIB = 2**20
LARGE = 32 * MIB
"""From this size on glibc takes blocks from the kernel, and gives them back."""

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"coalesce": "diagonal"},
    {"coalesce": "diagonal", "opt_level": 3},
    *({"opt_level": level} for level in (0, 1, 3)),
)
"""What symir is measured with: its own options, and others that change the kernel."""


# region Contenders


def contenders(model: Model) -> dict[str, Peer]:
    """Return all that is measured of a model, symir's own kernel first."""
    ours = {
        " ".join([OURS, *(f"{name}={value}" for name, value in options.items())]): Peer(
            lambda options=options: model.define().compile(**options)
        )
        for options in OPTIONS
    }
    peers = {
        name: peer if isinstance(peer, Peer) else Peer(peer)
        for name, peer in model.peers.items()
    }
    return ours | peers


def write_only(lanes: int, dtype: Any) -> Callable[[Any], Any]:
    """Return a function that fills outputs of a kernel's shape and does no more.

    Each x' is x plus the number of its lane, lest XLA should share their memory.
    """
    numbers = np.arange(lanes)

    def get_conn_padded(x: Any) -> Any:
        xp = x[:, None, :] + numbers.astype(x.dtype)[:, None]
        mels = x[:, :1].astype(dtype) + numbers.astype(dtype)
        return xp, mels

    return get_conn_padded


@jax.jit
def _traced(operator: Any, x: Any) -> Any:
    return operator.get_conn_padded(x)


@dataclass(frozen=True)
class Ready:
    """A function to be timed, and what is known before.

    Attributes:
        call: returns x' and matrix elements.
        text: its StableHLO.
        temp: how many bytes XLA takes besides inputs and outputs.
    """

    call: Callable[[], Any]
    text: str
    temp: int


def ready(operator: Any, x: Any) -> Ready:
    """Return an operator, which is an argument as in NetKet, or a function, jitted."""
    if hasattr(operator, "get_conn_padded"):
        function, arguments = _traced, (operator, x)
    else:
        function, arguments = jax.jit(operator), (x,)
    lowered = function.lower(*arguments)
    memory = lowered.compile().memory_analysis()
    temp = 0 if memory is None else memory.temp_size_in_bytes
    return Ready(lambda: function(*arguments), lowered.as_text(), temp)


# endregion
# region Measuring


def checked(name: str, peer: Peer, operator: Any, x: Any, ours: Any) -> Any:
    """Return x as the peer takes it, once its output has been compared with ours."""
    theirs, xp, mels = x, *map(np.asarray, ours)
    if peer.translate is not None:
        theirs, sign = peer.translate(np.asarray(x))
        xp, signs = peer.translate(xp)
        mels, theirs = mels * signs * sign[:, None], jnp.asarray(theirs)
    some = slice(0, 16)
    call = getattr(operator, "get_conn_padded", operator)
    check_equal(name, (xp[some], mels[some]), call(theirs[some]), 16)
    return theirs


def measure(
    name: str, model: Model, skipped: Collection[str], rounds: int, turn: float
) -> list[dict[str, Any]]:
    """Compare one model with each of its peers, but for those that are skipped."""
    x = jnp.asarray(model.samples(model.batch))
    ours: Any = None
    found: dict[str, Ready] = {}
    rows: dict[str, dict[str, Any]] = {}
    for contender, peer in contenders(model).items():
        if contender in skipped:
            continue
        _say(f"  {contender}")
        operator = peer.make()
        if ours is None:
            ours = _traced(operator, x)
        theirs = checked(f"{name}, {contender}", peer, operator, x, ours)
        one = ready(operator, theirs)
        row = _row(name, contender, one)
        rows[contender] = row
        same = next((k for k, v in found.items() if v.text == one.text), None)
        if same is not None:
            row["same_as"] = same
            continue
        found[contender] = one
    kernel = write_only(ours[0].shape[1], ours[1].dtype)
    found[ROOFLINE] = ready(kernel, x)
    rows[ROOFLINE] = _row(name, ROOFLINE, found[ROOFLINE])

    calls = {contender: one.call for contender, one in found.items()}
    seconds = interleave(calls, rounds=rounds, turn=turn)
    for contender, times in seconds.items():
        ms = milliseconds(times)
        rows[contender] |= {
            "ms": ms,
            "samples_per_second": model.batch / ms * 1e3,
            "times_symir": ratio(seconds, contender, OURS),
            "all_ms": [1e3 * time for time in times],
        }
    return list(rows.values())


def _row(model: str, contender: str, one: Ready) -> dict[str, Any]:
    xp, mels = one.call()
    return {
        "model": model,
        "operator": contender,
        "samples": xp.shape[0],
        "sites": xp.shape[-1],
        "lanes": xp.shape[1],
        "dtype": str(mels.dtype),
        "output_bytes": xp.nbytes + mels.nbytes,
        "large_output": max(xp.nbytes, mels.nbytes) >= LARGE,
        "temp_bytes": one.temp,
        "stablehlo_ops": len(re.findall(r'= "?(?:stablehlo|chlo)\.', one.text)),
    }


_FIRST_RESULT = """
import gc, time, jax
jax.config.update("jax_enable_x64", True)
from benchmarks import get_conn
model = get_conn.MODELS[{model!r}]()
peer = get_conn.contenders(model)[{contender!r}]
x = model.samples(model.batch)
if peer.translate is not None:
    x, _ = peer.translate(x)
x = jax.block_until_ready(jax.numpy.asarray(x) + 0)
gc.collect()  # the garbage that importing left is not the operator's
start = time.perf_counter()
operator = peer.make()
call = get_conn._traced if hasattr(operator, "get_conn_padded") else jax.jit(operator)
arguments = (operator, x) if hasattr(operator, "get_conn_padded") else (x,)
jax.block_until_ready(call(*arguments))
print(time.perf_counter() - start)
"""


def first_result(model: str, contender: str = OURS, repeats: int = 3) -> float:
    """Return the seconds from definition to first result in a fresh process.

    Imports are excluded, caches are cold; the median of a few processes.
    """
    program = _FIRST_RESULT.format(model=model, contender=contender)
    return median(float(in_fresh_process(program).split()[-1]) for _ in range(repeats))


# endregion
# region Reporting

HEADER = (
    "operator",
    "K",
    "output MiB",
    "ms",
    "samples/s",
    "time / symir's",
    "temp MiB",
    "first result s",
    "StableHLO ops",
)


def report(figures: Mapping[str, Any]) -> str:
    """Return what was measured in one run, in Markdown."""
    setting = dict(figures["environment"])
    skipped = figures["without"]
    about = (
        f"{described(setting)}. Medians of {figures['rounds']} rounds; first results "
        f"are medians over processes ({figures['first_repeats']})"
        + (f"; without {', '.join(skipped)}." if skipped else ".")
    )
    models = figures["models"].items()
    return "\n\n".join([about, *(_of_model(name, one) for name, one in models)])


def _of_model(name: str, measured: Mapping[str, Any]) -> str:
    rows = measured["rows"]
    dtypes = {row["dtype"] for row in rows if row["operator"] != ROOFLINE}
    lines = [
        f"**{name}**: {rows[0]['samples']} samples of {rows[0]['sites']} sites, "
        f"matrix elements {' or '.join(sorted(dtypes))}, load {measured['load']}",
        "",
        markdown(HEADER, [_cells(row) for row in rows]),
    ]
    if reasons := [f"{peer} {why}" for peer, why in measured["absent"].items()]:
        lines += ["", f"Not there: {'; '.join(reasons)}."]
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> list[str]:
    size = f"{row['output_bytes'] / MIB:.1f}" + ("*" if row["large_output"] else "")
    shape = [row["operator"], str(row["lanes"]), size]
    cost = [f"{row['temp_bytes'] / MIB:.1f}"]
    cost += [f"{row['first_result']:.2f}" if "first_result" in row else "-"]
    cost += [str(row["stablehlo_ops"])]
    if "same_as" in row:
        return [*shape, f"as {row['same_as']}", "", "", *cost]
    times = [f"{row['ms']:.3g}", f"{row['samples_per_second']:.3g}"]
    return [*shape, *times, f"{row['times_symir']:.2f}", *cost]


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw how long every contender takes, relative to symir."""
    try:
        from matplotlib import pyplot  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise SystemExit("--plot needs matplotlib") from None
    shown = [row for row in rows if "ms" in row and row["operator"] != OURS]
    labels = [f"{row['model']}: {row['operator']}" for row in shown]
    figure, axes = pyplot.subplots(figsize=(9, 0.22 * len(shown) + 1))
    axes.barh(labels, [row["times_symir"] for row in shown])
    axes.axvline(1.0, color="black")
    axes.set(xscale="log", xlabel="time / symir's time")
    axes.invert_yaxis()
    figure.savefig(path, bbox_inches="tight")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(chosen: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure some models, and return all figures."""
    skipped = arguments.without.split(",") if arguments.without else []
    rounds = min(arguments.rounds, 3) if arguments.quick else arguments.rounds
    repeats = 0 if arguments.quick else arguments.first_repeats
    figures: dict[str, Any] = {
        "environment": environment(),
        "rounds": rounds,
        "first_repeats": repeats,
        "without": skipped,
        "models": {},
    }
    for name in chosen:
        before = load()
        _say(f"{name}, load {before}")
        model = MODELS[name]()
        rows = measure(name, model, skipped, rounds, arguments.turn)
        for row in rows if repeats else ():
            if row["operator"] == OURS or row["operator"] in model.peers:
                _say(f"  first result of {row['operator']}")
                seconds = first_result(name, row["operator"], repeats)
                row["first_result"] = seconds
        measured = {"rows": rows, "absent": model.absent, "load": before}
        figures["models"][name] = measured
        _say(_of_model(name, measured))
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", help=f"some of {','.join(MODELS)}")
    parser.add_argument("--without", help="contenders to skip: 'nkDSL,nkDSL raw'")
    parser.add_argument("--quick", action="store_true", help="few models, few rounds")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds of a turn")
    parser.add_argument("--first-repeats", type=int, default=3, help="0 for none")
    parser.add_argument("--report", type=Path, nargs="+", help="figures to show again")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    parser.add_argument("--plot", type=Path, help="draw the ratios (matplotlib)")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    chosen = list(QUICK if arguments.quick else MODELS)
    if arguments.models:
        chosen = arguments.models.split(",")
    if unknown := [name for name in chosen if name not in MODELS]:
        parser.error(f"there is no model {unknown[0]!r}, only {', '.join(MODELS)}")
    jax.config.update("jax_enable_x64", True)

    if arguments.report:
        runs = [json.loads(path.read_text()) for path in arguments.report]
    else:
        runs = [run(chosen, arguments)]
    text = "\n\n".join(map(report, runs))
    print(text)
    if arguments.plot:
        models = [one for figures in runs for one in figures["models"].values()]
        plot([row for one in models for row in one["rows"]], arguments.plot)
    if arguments.write_docs:
        write_docs("get_conn", text)


# endregion

if __name__ == "__main__":
    main()
