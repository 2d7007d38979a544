"""The commands of `symir` and their options, as argparse reads them."""

from __future__ import annotations

import argparse
import textwrap
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from lowering.bt_specialize import STATE_DTYPES

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]

__all__ = ["parser"]

LEVELS = ("sym", "bt", "stablehlo")

_FILE = "where the operator is defined"

_LANES_SHOWN = 24

_LARGEST = 2**40
"""No number of samples is larger: it would only run out of memory later."""

_DESCRIPTION = """\
Look at the operators in a file at every level of the compiler, and compute their
connected states on your data. FILE is a Python file that defines operators with symir,
or a .mlir file that holds a sym.operator; FILE:NAME chooses one of several, or a
function without arguments that returns one.
"""

_EXAMPLES = """\
examples:
  symir demo
  symir emit examples/tfim_chain.py
  symir emit examples/tfim_chain.py --level stablehlo --batch 1024 --state i8
  symir run examples/tfim_chain.py --random 4 --seed 0
  symir run examples/tfim_chain.py:tfim --input configs.npy --output out.npz
  symir explain examples/tfim_chain.py
  symir explore examples/tfim_chain.py
  symir bisect examples/tfim_chain.py
"""

_EMIT_EXAMPLES = """\
The text goes to symir-opt, or to any tool that reads MLIR. On a terminal, long tables
and constants lose their middle unless --full is given; in a file or pipe they never do.

examples:
  symir emit examples/tfim_chain.py
  symir emit examples/tfim_chain.py > tfim.mlir
  symir emit tfim.mlir --level bt
  symir emit tfim.mlir --level stablehlo --batch 1024 --state i8
"""

_RUN_EXAMPLES = """\
Configurations are rows of local values: an array of shape (.., N) that np.save wrote,
or lines of N comma-separated values, # starting a comment. The output holds x (.., N),
xp (.., K, N) and mels (.., K), where lane k is emission[k] of row row[k] of term
term[k]; a lane that contributes nothing has xp = x and mels = 0.

examples:
  symir run examples/tfim_chain.py --random 4 --seed 0
  symir run examples/tfim_chain.py --input configs.npy --output out.npz
  symir run examples/tfim_chain.py --input configs.csv --param h=0.7 --samples 1
"""

_INTERPRET_EXAMPLES = """\
A value of the operator is an array over samples and rows, of branch tensors one over
samples and lanes. Each is shown with its term and with your line that it comes from.

examples:
  symir interpret examples/tfim_chain.py --random 2 --seed 0
  symir interpret examples/tfim_chain.py --level bt --input configs.npy --values
"""

_CHECK_EXAMPLES = """\
The exit code is 0 where every pass kept its word, and 1 where one did not.

examples:
  symir check examples/tfim_chain.py
  symir check examples/tfim_chain.py --validate exhaustive --certificate tfim.json
  symir check --replay tfim.json
"""

_BISECT_EXAMPLES = """\
The exit code is 0 where no pass is to blame, and 1 where one is.

examples:
  symir bisect examples/tfim_chain.py --validate exhaustive
  symir bisect examples/tfim_chain.py -p sym-fuse-terms,sym-guard-space
"""

_REDUCE_EXAMPLES = """\
What fails is said by --check:
  bisect   a pass is to blame, and it has to be the same one (default)
  compile  compiling raises, and it has to be the same error
  COMMAND  a command of the shell ends with an exit code other than 0, and it has to be
           the same one; {} stands for the .mlir file that the operator is written to

examples:
  symir reduce model.py:hopping -p sym-gather-terms,sym-fuse-terms
  symir reduce model.py:hopping --check compile --output small.mlir
  symir reduce model.py:hopping --check 'symir run {} --random 4 --quiet'
"""

_EXPLORE_EXAMPLES = """\
The page needs no network, and holds all that it shows, FILE too: it can be sent to
others. With --serve it is made again whenever FILE changes, for this machine alone.
Of a local energy NAME is a function that returns (LocalEnergy, parameters, x).

examples:
  symir explore examples/tfim_chain.py
  symir explore examples/tfim_chain.py -o tfim.html --input configs.npy
  symir explore examples/tfim_chain.py --serve
  symir explore energy.py:local_energy
"""

_EXPLAIN_EXAMPLES = """\
examples:
  symir explain examples/tfim_chain.py
  symir explain examples/tfim_chain.py --json > manifest.json
  symir explain examples/tfim_chain.py --cost
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Fills what is one long line, and leaves what has lines of its own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return textwrap.fill(text, width)
        return super()._fill_text(text, width, indent)


def parser() -> argparse.ArgumentParser:
    """Return what reads a command, as `command`, and its options."""
    made = argparse.ArgumentParser(
        prog="symir",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=_Help,
    )
    made.add_argument("--version", action="version", version=f"symir {_version()}")
    commands = made.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    _add_emit(commands)
    _add_run(commands)
    _add_interpret(commands)
    _add_check(commands)
    _add_bisect(commands)
    _add_reduce(commands)
    _add_explain(commands)
    _add_explore(commands)
    _command(
        commands,
        "demo",
        help="show one operator at every level, and its connected states",
        description="Follow a transverse-field Ising chain through the compiler.",
        file=None,
    )
    return made


def _command(
    commands: Commands,
    name: str,
    *,
    help: str,
    description: str,
    epilog: str | None = None,
    file: str | None = _FILE,
    file_count: str | None = None,
    is_slow: bool = True,
) -> argparse.ArgumentParser:
    """Add a command, given a file or nothing, and return what reads its options."""
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=_Help,
    )
    if file is not None:
        command.add_argument("file", nargs=file_count, metavar="FILE[:NAME]", help=file)
    if is_slow:
        command.add_argument("--quiet", action="store_true", help="show no progress")
    return command


def _add_emit(commands: Commands) -> None:
    emit = _command(
        commands,
        "emit",
        help="print an operator at a level of the compiler, as MLIR",
        description="Print an operator at a level of the compiler; needs no JAX.",
        epilog=_EMIT_EXAMPLES,
        is_slow=False,
    )
    emit.add_argument(
        "--level",
        choices=LEVELS,
        default="sym",
        help="sym: the physics; bt: the same, vectorised over rows; "
        "stablehlo: a kernel for one batch size (default: sym)",
    )
    emit.add_argument(
        "--batch",
        type=_positive,
        metavar="B",
        help="samples of the kernel (default: 1)",
    )
    emit.add_argument(
        "--state",
        choices=[*STATE_DTYPES],
        metavar="TYPE",
        help="type of the local values of the kernel, such as i8, i32 or f64 "
        "(default: the narrowest integer that holds them)",
    )
    emit.add_argument(
        "--full", action="store_true", help="leave nothing out on a terminal"
    )


def _add_run(commands: Commands) -> None:
    run = _command(
        commands,
        "run",
        help="compute connected states and matrix elements",
        description="Compute connected states and matrix elements.",
        epilog=_RUN_EXAMPLES,
    )
    _add_configurations(run)
    run.add_argument(
        "--output", type=Path, metavar="OUT.npz", help="where to write all results"
    )
    run.add_argument(
        "--batch",
        type=_positive,
        metavar="B",
        help="samples per call of the kernel (default: what fits into 64 MiB)",
    )


def _add_interpret(commands: Commands) -> None:
    interpret = _command(
        commands,
        "interpret",
        help="compute by a reference interpreter, and show every value",
        description="Interpret an operator at a level of the compiler on your "
        "configurations, over NumPy; needs no JAX. Slow, and exact: for looking.",
        epilog=_INTERPRET_EXAMPLES,
    )
    interpret.add_argument(
        "--level",
        choices=LEVELS,
        default="sym",
        help="what is interpreted: the operator as it is defined, its branch tensors "
        "or its kernel (default: sym)",
    )
    interpret.add_argument(
        "--values",
        action="store_true",
        help="show every value too: long arrays lose their middle",
    )
    _add_configurations(interpret)


def _add_configurations(parser: argparse.ArgumentParser) -> None:
    """Add what to compute on, and how much of it to show."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input", type=Path, metavar="CONFIGS", help="a .npy or .csv file"
    )
    source.add_argument(
        "--random", type=_count, metavar="N", help="draw N configurations instead"
    )
    parser.add_argument("--seed", type=_count, metavar="S", help="of what is drawn")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="the value of a parameter of the operator; may be repeated",
    )
    parser.add_argument(
        "--dtype",
        type=_state_dtype,
        metavar="DTYPE",
        help="dtype of the configurations, such as int8 or float64 (default: that of a "
        ".npy file, else the narrowest integer that holds the local values)",
    )
    parser.add_argument(
        "--samples",
        "--rows",
        type=_count,
        default=2,
        metavar="K",
        help="how many samples to show (default: 2)",
    )
    parser.add_argument(
        "--lanes",
        type=_count,
        default=_LANES_SHOWN,
        metavar="L",
        help=f"how many branches of each to show (default: {_LANES_SHOWN})",
    )


def _add_check(commands: Commands) -> None:
    check = _command(
        commands,
        "check",
        help="compare what an operator computes before and after every pass",
        description="Execute an operator by the reference interpreter of its level "
        "after every pass, and compare it with what was before, under the relation "
        "that the pass declares; at last compare the compiled kernel.",
        epilog=_CHECK_EXAMPLES,
        file_count="?",
    )
    _add_compared(check)
    check.add_argument(
        "--certificate",
        type=Path,
        metavar="OUT.json",
        help="where to write what was found, to be checked again",
    )
    check.add_argument(
        "--replay", type=Path, metavar="CERTIFICATE", help="do a certificate again"
    )


def _add_compared(parser: argparse.ArgumentParser) -> None:
    """Add what passes are compared on."""
    parser.add_argument(
        "--validate",
        choices=("sampled", "exhaustive"),
        default="sampled",
        help="look at random configurations, or at all (default: sampled)",
    )
    _add_drawn(parser, samples=64)
    parser.add_argument(
        "--input", type=Path, metavar="CONFIGS", help="a .npy or .csv file instead"
    )


def _add_drawn(parser: argparse.ArgumentParser, samples: int) -> None:
    """Add how many configurations are drawn, and what parameters are."""
    parser.add_argument(
        "--samples",
        type=_positive,
        default=samples,
        metavar="N",
        help=f"how many random configurations (default: {samples})",
    )
    parser.add_argument(
        "--seed", type=_count, default=0, metavar="S", help="of what is drawn"
    )
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="the value of a parameter (default: its default, and a drawn one)",
    )


def _add_bisect(commands: Commands) -> None:
    bisect = _command(
        commands,
        "bisect",
        help="name the first pass that changes what an operator computes",
        description="Name the first pass that fails, or that breaks the relation which "
        "it declares between the lanes before it and those after it; with the "
        "configuration that shows it, the term, your line, and what it did to the IR.",
        epilog=_BISECT_EXAMPLES,
    )
    _add_passes(bisect)
    _add_compared(bisect)
    bisect.add_argument(
        "--full", action="store_true", help="show all of what the pass did"
    )


def _add_reduce(commands: Commands) -> None:
    reduce = _command(
        commands,
        "reduce",
        help="make an operator that fails small, as a .mlir file",
        description="Leave out terms, rows, emissions, sites and all else of an "
        "operator as long as it fails in the same way, and print what is left.",
        epilog=_REDUCE_EXAMPLES,
    )
    reduce.add_argument(
        "--check",
        default="bisect",
        metavar="WHAT",
        help="bisect, compile or a command, see below (default: bisect)",
    )
    _add_passes(reduce)
    reduce.add_argument(
        "--output", type=Path, metavar="OUT.mlir", help="where to write the operator"
    )
    reduce.add_argument(
        "--limit",
        type=_positive,
        default=1000,
        metavar="N",
        help="how many operators are tried at most (default: 1000)",
    )
    reduce.add_argument(
        "--timeout",
        type=_positive,
        default=60,
        metavar="S",
        help="what takes longer than S seconds does not fail (default: 60)",
    )
    _add_drawn(reduce, samples=16)


def _add_passes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p",
        "--passes",
        metavar="PIPELINE",
        help="passes from the operator on, as for symir-opt; they may end at any level "
        "(default: those of a compilation)",
    )


def _add_explore(commands: Commands) -> None:
    explore = _command(
        commands,
        "explore",
        help="write a page that shows an operator at every level",
        description="Write one HTML page with an operator at every level side by side, "
        "what each pass changed, its branches on a lattice, its cost, facts and "
        "diagnostics.",
        epilog=_EXPLORE_EXAMPLES,
    )
    explore.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT.html",
        help="where to write the page (default: the name of FILE with .html)",
    )
    explore.add_argument(
        "--input",
        type=Path,
        metavar="CONFIGS",
        help="a .npy or .csv file of configurations to show, instead of random ones",
    )
    explore.add_argument(
        "--serve",
        action="store_true",
        help="serve the page on 127.0.0.1, always that of FILE as it is",
    )
    explore.add_argument(
        "--port", type=_count, metavar="P", help="of --serve (default: any)"
    )


def _add_explain(commands: Commands) -> None:
    explain = _command(
        commands,
        "explain",
        help="tell what the compilation of an operator did",
        description="Compile an operator and tell what that did: the passes with their "
        "times and numbers of ops, the lanes of each term and what was fused, the "
        "arrays of the kernel, the cache key and the versions; and which facts hold "
        "for the operator.",
        epilog=_EXPLAIN_EXAMPLES,
        file=f"{_FILE}, or an artifact that was saved",
    )
    explain.add_argument(
        "--cost",
        action="store_true",
        help="print instead what each pass did, or did not do and why, and what each "
        "term is predicted to cost",
    )
    explain.add_argument(
        "--json",
        action="store_true",
        help="print the manifest of the artifact, or with --cost the report, as JSON",
    )


def _positive(text: str) -> int:
    return _integer(text, 1)


def _count(text: str) -> int:
    return _integer(text, 0)


def _integer(text: str, at_least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = at_least - 1
    if number < at_least:
        raise argparse.ArgumentTypeError(f"'{text}' is no integer >= {at_least}")
    if number > _LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is too large")
    return number


def _state_dtype(text: str) -> np.dtype[np.generic]:
    names = {str(dtype): dtype for dtype in STATE_DTYPES.values()}
    if text not in names:
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(names)}")
    return names[text]


def _version() -> str:
    try:
        return version("symir")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "of unknown version"
