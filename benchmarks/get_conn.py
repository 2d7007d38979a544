# pyright: basic
"""Connected states: symir against its peers, hand-written kernels and the memory.

`python -m benchmarks.get_conn` prints a table; `--models tfim_8x8,syk_12` chooses,
`--quick` is a glance, `--json FILE` writes all figures, `--write-docs` puts the tables
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
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    figures_of,
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

OURS, ROOFLINE, LOCAL = "symir", "write only", "LocalOperatorJax"

MIB = 2**20
LARGE = 32 * MIB
"""From this size on glibc takes blocks from the kernel, and gives them back."""

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"coalesce": "diagonal"},
    {"coalesce": "diagonal", "opt_level": 3},
    {"coalesce": "static"},
    *({"opt_level": level} for level in (0, 1, 3)),
)
"""What symir is measured with: its own options, and others that change the kernel."""

OWN = {
    " ".join([OURS, *(f"{name}={value}" for name, value in options.items())]): options
    for options in OPTIONS
}
"""The options by the name of the contender."""


# region Contenders


def compiled(model: Model, **options: Any) -> Peer:
    """Return what compiles symir's operator with some options."""
    return Peer(lambda: model.define().compile(**options))


def contenders(model: Model) -> dict[str, Peer]:
    """Return all that is measured of a model, symir's own kernel first."""
    ours = {name: compiled(model, **options) for name, options in OWN.items()}
    peers = {
        name: peer if isinstance(peer, Peer) else Peer(peer)
        for name, peer in model.peers.items()
    }
    return ours | peers


def write_only(lanes: int, state: Any, dtype: Any) -> Callable[[Any], Any]:
    """Return a function that fills outputs of a kernel's shape and does no more.

    Each x' is x plus the number of its lane, lest XLA should share their memory.
    """
    numbers = np.arange(lanes)

    def get_conn_padded(x: Any) -> Any:
        xp = x.astype(state)[:, None, :] + numbers.astype(state)[:, None]
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
        x: the configurations that it is called with.
        text: its StableHLO.
        temp: how many bytes XLA takes besides inputs and outputs.
    """

    call: Callable[[], Any]
    x: Any
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
    return Ready(lambda: function(*arguments), x, lowered.as_text(), temp)


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


def prepare(
    name: str, model: Model, peers: Mapping[str, Peer]
) -> tuple[dict[str, Ready], dict[str, dict[str, Any]]]:
    """Compare the outputs of contenders with those of the first.

    Returns those to be timed, and what is known of all: of several with one StableHLO
    the first is timed.
    """
    x = jnp.asarray(model.samples(model.batch))
    ours: Any = None
    found: dict[str, Ready] = {}
    rows: dict[str, dict[str, Any]] = {}
    for contender, peer in peers.items():
        say(f"  {contender}")
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
    return found, rows


def time_together(
    found: Mapping[str, Ready],
    rows: Mapping[str, dict[str, Any]],
    rounds: int,
    turn: float,
) -> None:
    """Let functions take turns, and add their times to their rows.

    Ratios are those to the first of them.
    """
    calls = {contender: one.call for contender, one in found.items()}
    seconds = interleave(calls, rounds=rounds, turn=turn)
    first = next(iter(found))
    for contender, times in seconds.items():
        row, ms = rows[contender], milliseconds(times)
        row |= {
            "ms": ms,
            "samples_per_second": row["samples"] / ms * 1e3,
            "times_first": ratio(seconds, contender, first),
            "all_ms": [1e3 * time for time in times],
        }
    for row in rows.values():
        if "same_as" in row:
            timed = rows[row["same_as"]]
            row |= {key: timed[key] for key in timed.keys() - row.keys()}


def measure(
    name: str, model: Model, peers: Mapping[str, Peer], rounds: int, turn: float
) -> list[dict[str, Any]]:
    """Compare contenders with each other and with the writing of their outputs."""
    found, rows = prepare(name, model, peers)
    for row in list(rows.values()):
        roofline = row["roofline"] = _roofline_of(row)
        if roofline not in found:
            kernel = write_only(row["lanes"], row["state_dtype"], row["dtype"])
            found[roofline] = ready(kernel, found[row["operator"]].x)
            rows[roofline] = _row(name, roofline, found[roofline])
    time_together(found, rows, rounds, turn)
    for row in rows.values():
        if "roofline" in row:
            row["times_roofline"] = times(row, rows[row["roofline"]])
    return list(rows.values())


def times(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> float:
    """Return how many times longer one row takes than another: see `ratio`."""
    return ratio({"slow": slow["all_ms"], "fast": fast["all_ms"]}, "slow", "fast")


def _row(model: str, contender: str, one: Ready) -> dict[str, Any]:
    xp, mels = one.call()
    return {
        "model": model,
        "operator": contender,
        "samples": xp.shape[0],
        "sites": xp.shape[-1],
        "lanes": xp.shape[1],
        "state_dtype": str(xp.dtype),
        "dtype": str(mels.dtype),
        "output_bytes": xp.nbytes + mels.nbytes,
        "large_output": max(xp.nbytes, mels.nbytes) >= LARGE,
        "temp_bytes": one.temp,
        "stablehlo_ops": len(re.findall(r'= "?(?:stablehlo|chlo)\.', one.text)),
    }


def _roofline_of(row: Mapping[str, Any]) -> str:
    """Return the name of what writes outputs of the shape and types of a row's."""
    states = f"{row['state_dtype']}[{row['lanes']},{row['sites']}]"
    return f"{ROOFLINE} {states} {row['dtype']}[{row['lanes']}]"


_FIRST_RESULT = """
import gc, time, jax
jax.config.update("jax_enable_x64", True)
from benchmarks import get_conn
import symir.runtime.compiled_operator, symir.runtime.primitive
from lowering.registry import get_all_passes
for load in get_all_passes().values():
    load()  # it is imported now, and not when it first runs
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
    "roofline",
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
    dtypes = {row["dtype"] for row in rows}
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
        return [*shape, f"as {row['same_as']}", "", "", "", *cost]
    time = [f"{row['ms']:.3g}", f"{row['samples_per_second']:.3g}"]
    ratios = [f"{row['times_first']:.2f}", _of_roofline(row)]
    return [*shape, *time, *ratios, *cost]


def _of_roofline(row: Mapping[str, Any]) -> str:
    # What writes, and does no more, is the roofline itself
    return f"{1 / row['times_roofline']:.2f}" if "roofline" in row else ""


SUMMARY = (
    "model",
    "fastest options",
    "K",
    "roofline",
    "NetKet's fastest",
    LOCAL,
    "nkDSL",
    "hand-written",
)


def summary(models: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Return how many times longer the peers take than symir at its best."""
    lines = [_summary_of(name, measured["rows"]) for name, measured in models]
    filled = [k for k in range(len(SUMMARY)) if any(line[k] for line in lines)]
    return markdown(
        [SUMMARY[k] for k in filled], [[line[k] for k in filled] for line in lines]
    )


def _summary_of(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    best = min((row for row in rows if row["operator"] in OWN), key=_ms)
    options = best["operator"].removeprefix(OURS).strip() or "its own"
    netket = [row for row in rows if row["operator"].startswith("netket ")]
    peers = [
        [row for row in netket if row["operator"].endswith(LOCAL)],
        [row for row in rows if row["operator"].startswith("nkDSL")],
        [row for row in rows if row["operator"] == "hand-written"],
    ]
    return [
        *(name, options, str(best["lanes"]), _of_roofline(best)),
        _against(netket, best, named=True),
        *(_against(some, best) for some in peers),
    ]


def _against(
    peers: Sequence[Mapping[str, Any]], ours: Mapping[str, Any], named: bool = False
) -> str:
    if not peers:
        return ""
    peer = min(peers, key=_ms)
    about = [peer["operator"].removeprefix("netket ")] if named else []
    about += [f"K {peer['lanes']}"]
    return f"{times(peer, ours):.2f} ({', '.join(about)})"


def _ms(row: Mapping[str, Any]) -> float:
    return row["ms"]


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw how long every contender takes, relative to symir."""
    try:
        from matplotlib import pyplot  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise SystemExit("--plot needs matplotlib") from None
    shown = [row for row in rows if "same_as" not in row and row["operator"] != OURS]
    labels = [f"{row['model']}: {row['operator']}" for row in shown]
    figure, axes = pyplot.subplots(figsize=(9, 0.22 * len(shown) + 1))
    axes.barh(labels, [row["times_first"] for row in shown])
    axes.axvline(1.0, color="black")
    axes.set(xscale="log", xlabel="time / symir's time")
    axes.invert_yaxis()
    figure.savefig(path, bbox_inches="tight")


def say(text: str) -> None:
    """Tell whoever waits how far a run is."""
    print(text, file=sys.stderr, flush=True)


def run(chosen: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure some models, and return all figures."""
    skipped = arguments.without.split(",") if arguments.without else []
    rounds = rounds_of(arguments)
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
        say(f"{name}, load {before}")
        model = MODELS[name]()
        peers = {k: v for k, v in contenders(model).items() if k not in skipped}
        rows = measure(name, model, peers, rounds, arguments.turn)
        for row in rows if repeats else ():
            if row["operator"] == OURS or row["operator"] in model.peers:
                say(f"  first result of {row['operator']}")
                seconds = first_result(name, row["operator"], repeats)
                row["first_result"] = seconds
        measured = {"rows": rows, "absent": model.absent, "load": before}
        figures["models"][name] = measured
        say(_of_model(name, measured))
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def parser_of_runs(description: str | None) -> argparse.ArgumentParser:
    """Return the arguments of every benchmark that measures models."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--models", help=f"some of {','.join(MODELS)}")
    parser.add_argument("--quick", action="store_true", help="few models, few rounds")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds of a turn")
    parser.add_argument("--report", type=Path, nargs="+", help="figures to show again")
    parser.add_argument("--json", type=Path, help="write all figures to a file")
    parser.add_argument("--write-docs", action="store_true")
    return parser


def models_of(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> list[str]:
    """Return the names of the models that are asked for."""
    chosen = list(QUICK if arguments.quick else MODELS)
    if arguments.models:
        chosen = arguments.models.split(",")
    if unknown := [name for name in chosen if name not in MODELS]:
        parser.error(f"there is no model {unknown[0]!r}, only {', '.join(MODELS)}")
    return chosen


def rounds_of(arguments: argparse.Namespace) -> int:
    """Return the number of rounds that is asked for."""
    return min(arguments.rounds, 3) if arguments.quick else arguments.rounds


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = parser_of_runs(__doc__)
    parser.add_argument("--without", help="contenders to skip: 'nkDSL,nkDSL raw'")
    parser.add_argument("--first-repeats", type=int, default=3, help="0 for none")
    parser.add_argument("--plot", type=Path, help="draw the ratios (matplotlib)")
    arguments = parser.parse_args()
    runs = figures_of(arguments, models_of(parser, arguments), run)
    models = [one for figures in runs for one in figures["models"].items()]
    short, text = summary(models), "\n\n".join(map(report, runs))
    print(f"{short}\n\n{text}")
    if arguments.plot:
        plot([row for _, one in models for row in one["rows"]], arguments.plot)
    if arguments.write_docs:
        write_docs("summary", short)
        write_docs("get_conn", text)


# endregion

if __name__ == "__main__":
    main()
