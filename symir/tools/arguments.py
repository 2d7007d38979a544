"""The commands of `symir` and their options, as argparse reads them."""

from __future__ import annotations

import argparse
import textwrap
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lowering.bt.bt_specialize import STATE_DTYPES

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]

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
Of a local energy NAME is a function that returns (LocalEnergy, parameters, x).

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
The exit code is 0 where every pass kept its word, and 1 where one did not. Of a local
energy NAME is a function that returns (LocalEnergy, parameters, x).

examples:
  symir check examples/tfim_chain.py
  symir check examples/tfim_chain.py --validate exhaustive --certificate tfim.json
  symir check --replay tfim.json
"""

_BISECT_EXAMPLES = """\
The exit code is 0 where no pass is to blame, and 1 where one is. Of a local energy NAME
is a function that returns (LocalEnergy, parameters, x).

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
  symir explain D001
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
    shown = "show one operator at every level, and its connected states"
    followed = "Follow a transverse-field Ising chain through the compiler."
    _command(commands, "demo", shown, followed, file=None)
    return made


def _command(
    commands: Commands,
    name: str,
    help: str,
    description: str,
    epilog: str | None = None,
    *,
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
        _option(command, "--quiet", "show no progress")
    return command


def _option(
    parser: argparse._ActionsContainer,  # pyright: ignore[reportPrivateUsage]
    flags: str,
    help: str,
    **details: Any,
) -> None:
    """Add an option such as "-o --output FILE"; one without a value is a switch."""
    names = [word for word in flags.split() if word.startswith("-")]
    metavar = " ".join(flags.split()[len(names) :])
    if metavar:
        details["metavar"] = metavar
    elif "choices" not in details:
        details["action"] = "store_true"
    parser.add_argument(*names, help=help, **details)


def _add_emit(commands: Commands) -> None:
    emit = _command(
        commands,
        "emit",
        "print an operator at a level of the compiler, as MLIR",
        "Print an operator at a level of the compiler; needs no JAX, but for a local "
        "energy.",
        _EMIT_EXAMPLES,
        is_slow=False,
    )
    levels = "sym: the physics; bt: the same, vectorised over rows; "
    levels += "stablehlo: a kernel for one batch size (default: sym)"
    _option(emit, "--level", levels, choices=LEVELS, default="sym")
    samples = "samples of the kernel (default: 1)"
    _option(emit, "--batch B", samples, type=_positive)
    types = "type of the local values of the kernel, such as i8, i32 or f64 "
    types += "(default: the narrowest integer that holds them)"
    _option(emit, "--state TYPE", types, choices=[*STATE_DTYPES])
    _option(emit, "--full", "leave nothing out on a terminal")


def _add_run(commands: Commands) -> None:
    what = "ompute connected states and matrix elements"
    run = _command(commands, "run", f"c{what}", f"C{what}.", _RUN_EXAMPLES)
    _add_configurations(run)
    _option(run, "--output OUT.npz", "where to write all results", type=Path)
    samples = "samples per call of the kernel (default: what fits into 64 MiB)"
    _option(run, "--batch B", samples, type=_positive)


def _add_interpret(commands: Commands) -> None:
    interpret = _command(
        commands,
        "interpret",
        "compute by a reference interpreter, and show every value",
        "Interpret an operator at a level of the compiler on your "
        "configurations, over NumPy; needs no JAX. Slow, and exact: for looking.",
        _INTERPRET_EXAMPLES,
    )
    levels = "what is interpreted: the operator as it is defined, its branch tensors "
    levels += "or its kernel (default: sym)"
    _option(interpret, "--level", levels, choices=LEVELS, default="sym")
    _option(
        interpret, "--values", "show every value too: long arrays lose their middle"
    )
    _add_configurations(interpret)


def _add_configurations(parser: argparse.ArgumentParser) -> None:
    """Add what to compute on, and how much of it to show."""
    source = parser.add_mutually_exclusive_group(required=True)
    _option(source, "--input CONFIGS", "a .npy or .csv file", type=Path)
    _option(source, "--random N", "draw N configurations instead", type=_count)
    _option(parser, "--seed S", "of what is drawn", type=_count)
    value = "the value of a parameter of the operator; may be repeated"
    _option(parser, "--param NAME=NUMBER", value, action="append", default=[])
    dtypes = "dtype of the configurations, such as int8 or float64 (default: that of a "
    dtypes += ".npy file, else the narrowest integer that holds the local values)"
    _option(parser, "--dtype DTYPE", dtypes, type=_state_dtype)
    samples = "how many samples to show (default: 2)"
    _option(parser, "--samples --rows K", samples, type=_count, default=2)
    lanes = f"how many branches of each to show (default: {_LANES_SHOWN})"
    _option(parser, "--lanes L", lanes, type=_count, default=_LANES_SHOWN)


def _add_check(commands: Commands) -> None:
    check = _command(
        commands,
        "check",
        "compare what an operator computes before and after every pass",
        "Execute an operator by the reference interpreter of its level "
        "after every pass, and compare it with what was before, under the relation "
        "that the pass declares; at last compare the compiled kernel.",
        _CHECK_EXAMPLES,
        file_count="?",
    )
    _add_compared(check)
    written = "where to write what was found, to be checked again"
    _option(check, "--certificate OUT.json", written, type=Path)
    _option(check, "--replay CERTIFICATE", "do a certificate again", type=Path)


def _add_compared(parser: argparse.ArgumentParser) -> None:
    """Add what passes are compared on."""
    modes = ("sampled", "exhaustive")
    which = "look at random configurations, or at all (default: sampled)"
    _option(parser, "--validate", which, choices=modes, default="sampled")
    _add_drawn(parser, samples="64; of a local energy at most 8 of its x")
    _option(parser, "--input CONFIGS", "a .npy or .csv file instead", type=Path)


def _add_drawn(parser: argparse.ArgumentParser, samples: str) -> None:
    """Add how many configurations are drawn, and what parameters are."""
    count = f"how many random configurations (default: {samples})"
    _option(parser, "--samples N", count, type=_positive)
    _option(parser, "--seed S", "of what is drawn", type=_count, default=0)
    value = "the value of a parameter (default: its default, and a drawn one)"
    _option(parser, "--param NAME=NUMBER", value, action="append", default=[])


def _add_bisect(commands: Commands) -> None:
    bisect = _command(
        commands,
        "bisect",
        "name the first pass that changes what an operator computes",
        "Name the first pass that fails, or that breaks the relation which "
        "it declares between the lanes before it and those after it; with the "
        "configuration that shows it, the term, your line, and what it did to the IR.",
        _BISECT_EXAMPLES,
    )
    _add_passes(bisect)
    _add_compared(bisect)
    _option(bisect, "--full", "show all of what the pass did")


def _add_reduce(commands: Commands) -> None:
    reduce = _command(
        commands,
        "reduce",
        "make an operator that fails small, as a .mlir file",
        "Leave out terms, rows, emissions, sites and all else of an "
        "operator as long as it fails in the same way, and print what is left.",
        _REDUCE_EXAMPLES,
    )
    check = "bisect, compile or a command, see below (default: bisect)"
    _option(reduce, "--check WHAT", check, default="bisect")
    _add_passes(reduce)
    _option(reduce, "--output OUT.mlir", "where to write the operator", type=Path)
    limit = "how many operators are tried at most (default: 1000)"
    _option(reduce, "--limit N", limit, type=_positive, default=1000)
    timeout = "what takes longer than S seconds does not fail (default: 60)"
    _option(reduce, "--timeout S", timeout, type=_positive, default=60)
    _add_drawn(reduce, samples="16")


def _add_passes(parser: argparse.ArgumentParser) -> None:
    passes = "passes from the operator on, as for symir-opt; they may end at any level "
    passes += "(default: those of a compilation)"
    _option(parser, "-p --passes PIPELINE", passes)


def _add_explore(commands: Commands) -> None:
    explore = _command(
        commands,
        "explore",
        "write a page that shows an operator at every level",
        "Write one HTML page with an operator at every level side by side, "
        "what each pass changed, its branches on a lattice, its cost, facts and "
        "diagnostics.",
        _EXPLORE_EXAMPLES,
    )
    output = "where to write the page (default: the name of FILE with .html)"
    _option(explore, "-o --output OUT.html", output, type=Path)
    inputs = "a .npy or .csv file of configurations to show, instead of random ones"
    _option(explore, "--input CONFIGS", inputs, type=Path)
    serve = "serve the page on 127.0.0.1, always that of FILE as it is"
    _option(explore, "--serve", serve)
    _option(explore, "--port P", "of --serve (default: any)", type=_count)


def _add_explain(commands: Commands) -> None:
    explain = _command(
        commands,
        "explain",
        "tell what the compilation of an operator did",
        "Compile an operator and tell what that did: the passes with their "
        "times and numbers of ops, the lanes of each term and what was fused, the "
        "arrays of the kernel, the cache key and the versions; and which facts hold "
        "for the operator.",
        _EXPLAIN_EXAMPLES,
        file=f"{_FILE}, an artifact that was saved, or the code of an error",
    )
    cost = "print instead what each pass did, or did not do and why, and what each "
    _option(explain, "--cost", f"{cost}term is predicted to cost")
    manifest = "print the manifest of the artifact, or with --cost the report, as JSON"
    _option(explain, "--json", manifest)


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
