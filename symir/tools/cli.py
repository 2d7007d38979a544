"""`symir`: look at operators, and run them on data, from the command line."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from dialects.text import print_module
from symir.compiler import lower_to_bt, lower_to_stablehlo
from symir.errors import SymirError, user_location
from symir.operator import SymbolicOperator
from symir.tools.codes import Fault
from symir.tools.load import UserCodeError, load_operator
from symir.tools.progress import Progress
from symir.tools.samples import (
    STATE_DTYPES,
    Samples,
    as_state_dtype,
    random_samples,
    read_samples,
    state_name,
)
from symir.tools.show import Style, elided_constants

if TYPE_CHECKING:
    from symir.runtime.operator import CompiledOperator

__all__ = ["main"]

LEVELS = ("sym", "bt", "stablehlo")

_ROWS_SHOWN = 16
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run `symir` and return its exit code.

    0 is success, 1 an exception in the user's own file or a check that finds something
    wrong, 2 bad input.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may be in any script
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # help, version, and mistakes in the options
        return stop.code if isinstance(stop.code, int) else 2
    try:
        options.command(options)
        sys.stdout.flush()
    except SymirError as error:
        return _report(error)
    except UserCodeError as error:
        print(f"{error}\n{error.text}", file=sys.stderr)
        return 1
    except _Failed:
        return 1
    except BrokenPipeError:
        # The reader has seen enough; keep Python from flushing into the pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print("error: there is not enough memory for this", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _report(error: SymirError) -> int:
    _forget_script(error)
    print(f"error: {error}", file=sys.stderr)
    return 2


def _forget_script(error: SymirError) -> None:
    # Where no code of the user's is involved, that is the script which called us
    if error.location == user_location():
        error.location = None


# region Commands


def _emit(options: argparse.Namespace) -> None:
    level: str = options.level
    if level != "stablehlo" and (options.batch or options.state):
        raise Fault.MISPLACED_OPTION.error(
            f"--batch and --state choose a kernel, and level {level} has none",
            expected="--level stablehlo",
            found=f"--level {level}",
        )
    operator = load_operator(options.file)
    elide = sys.stdout.isatty() and not options.full
    if level == "sym":
        print(operator.to_ir().text(elide_rows_over=_ROWS_SHOWN if elide else None))
        return
    module = lower_to_bt(operator.to_ir().module)
    if level == "stablehlo":
        state = _state(options.state, operator)
        module = lower_to_stablehlo(module, options.batch or 1, state)
    text = print_module(module)
    print(elided_constants(text) if elide else text)


def _state(name: str | None, operator: SymbolicOperator) -> str:
    if name is None:
        return state_name(operator.space.default_dtype())
    as_state_dtype(STATE_DTYPES[name], operator.space)
    return name


def _run(options: argparse.Namespace) -> None:
    from symir.tools import run

    _prefer_double_precision()
    given = run.parse_parameters(options.param)
    progress = Progress(sys.stderr, quiet=options.quiet)
    operator, samples = _operator_and_samples(options, progress)
    artifact = run.compile_artifact(operator, progress)
    # It is compiled with the default options: for JAX.
    own = cast("CompiledOperator", artifact.compiled_operator)
    compiled = run.bind_parameters(operator, own, given)
    layout = artifact.branch_layout()
    outcome = run.run(
        compiled,
        samples,
        layout,
        block=run.block_size(operator, samples, options.batch),
        show=options.samples,
        output=options.output,
        progress=progress,
    )
    run.show_outcome(outcome, operator, layout, sys.stdout, lanes=options.lanes)
    if options.output is not None:
        print(f"written to {options.output}: x, xp, mels; term, row, emission, tag")


def _interpret(options: argparse.Namespace) -> None:
    from symir.tools.interpret import interpret, show
    from symir.tools.run import parse_parameters

    given = parse_parameters(options.param)
    progress = Progress(sys.stderr, quiet=options.quiet)
    operator, samples = _operator_and_samples(options, progress)
    with progress.stage(f"interpreting {operator.name} at {options.level}"):
        table = interpret(operator, options.level, samples, given)
    show(
        table,
        operator,
        sys.stdout,
        values=options.values,
        samples=options.samples,
        lanes=options.lanes,
    )


def _operator_and_samples(
    options: argparse.Namespace, progress: Progress
) -> tuple[SymbolicOperator, Samples]:
    """Read the operator, and read or draw the configurations for it."""
    if options.seed is not None and options.random is None:
        raise Fault.MISPLACED_OPTION.error(
            "--seed is for random configurations",
            expected="--random N --seed S",
            found="--seed without --random",
        )
    with progress.stage(f"reading {options.file}"):
        operator = load_operator(options.file)
    space = operator.space
    if options.input is None:
        return operator, random_samples(
            options.random, options.seed, space, options.dtype
        )
    with progress.stage(f"reading {options.input}"):
        return operator, read_samples(options.input, space, options.dtype)


def _check(options: argparse.Namespace) -> None:
    from symir.tools.check import checked, replayed
    from symir.tools.run import parse_parameters

    _prefer_double_precision()
    if (options.file is None) is (options.replay is None):
        raise Fault.MISPLACED_OPTION.error(
            "a check is of an operator, or of a certificate that is done again",
            expected="FILE[:NAME] or --replay CERTIFICATE.json",
            found="both" if options.file else "neither",
        )
    progress = Progress(sys.stderr, quiet=options.quiet)
    if options.replay is not None:
        with progress.stage(f"doing {options.replay} again"):
            text, holds = replayed(options.replay)
        print(text)
        if not holds:
            raise _Failed
        return
    given = parse_parameters(options.param)
    with progress.stage(f"reading {options.file}"):
        operator = load_operator(options.file)
    with progress.stage(f"checking {operator.name}"):
        report = checked(
            operator,
            given,
            inputs=options.input,
            validate=options.validate,
            samples=options.samples,
            seed=options.seed,
        )
    print(report)
    if options.certificate is not None:
        report.save(options.certificate)
        print(f"written to {options.certificate}")
    if not report.ok:
        raise _Failed


def _bisect(options: argparse.Namespace) -> None:
    from symir.tools.check import looked_at
    from symir.tools.run import parse_parameters
    from symir.tools.show import difference
    from symir.validation import bisect

    _prefer_double_precision()
    given = parse_parameters(options.param)
    progress = Progress(sys.stderr, quiet=options.quiet)
    with progress.stage(f"reading {options.file}"):
        operator = load_operator(options.file)
    with progress.stage(f"running the passes of {operator.name}"):
        found = bisect(
            operator,
            **looked_at(operator, given, options.input),
            validate=options.validate,
            samples=options.samples,
            seed=options.seed,
            pipeline=options.passes,
        )
    if found.error is not None:
        _forget_script(found.error)
    print(found)
    if found.ok:
        return
    changes = found.diff() or found.before or ""
    print(difference(changes, Style.of(sys.stdout), full=options.full), end="")
    raise _Failed


def _reduce(options: argparse.Namespace) -> None:
    from symir.compiler.archive import write_file
    from symir.tools.reduce import reduce
    from symir.tools.run import parameter_values, parse_parameters

    _prefer_double_precision()
    output: Path | None = options.output
    if output is not None and (output.suffix != ".mlir" or not output.parent.is_dir()):
        raise Fault.NOT_WRITABLE.error(
            f"'{output}' is no name for an operator",
            expected="a file in a folder that exists, whose name ends in .mlir",
            found=str(output),
        )
    if options.passes is not None and options.check != "bisect":
        raise Fault.MISPLACED_OPTION.error(
            "--passes is what a bisection runs",
            expected="--check bisect",
            found=f"--check {options.check}",
        )
    given = parse_parameters(options.param)
    progress = Progress(sys.stderr, quiet=options.quiet)
    with progress.stage(f"reading {options.file}"):
        operator = load_operator(options.file)
    with progress.stage(f"reducing {operator.name}"):
        found = reduce(
            operator,
            options.check,
            passes=options.passes,
            parameters=parameter_values(operator, given) if given else None,
            seed=options.seed,
            samples=options.samples,
            timeout=options.timeout,
            limit=options.limit,
            progress=progress,
        )
    if output is None:
        print(found.text, end="")
        if not options.quiet:
            print(found, file=sys.stderr)
        return
    write_file(output, found.text.encode(), operator.name)
    print(f"{found}\nwritten to {output}")


class _Failed(Exception):
    """Something that was to hold does not, and has been said."""


def _explore(options: argparse.Namespace) -> None:
    from symir.explorer import command

    _prefer_double_precision()
    progress = Progress(sys.stderr, quiet=options.quiet)
    if options.serve and options.output is not None:
        raise Fault.MISPLACED_OPTION.error(
            "a page is written or served",
            expected="--output or --serve",
            found="both",
        )
    if options.port is not None and not options.serve:
        raise Fault.MISPLACED_OPTION.error(
            "--port is where a page is served",
            expected="--serve --port P",
            found="--port without --serve",
        )
    if options.serve:
        command.serve(options.file, options.input, options.port or 0, progress)
        return
    written = command.write(options.file, options.input, options.output, progress)
    print(f"written to {written}")


def _explain(options: argparse.Namespace) -> None:
    from symir.tools.explain import artifact_of, explanation, facts_of_artifact

    _prefer_double_precision()
    progress = Progress(sys.stderr, quiet=options.quiet)
    artifact = artifact_of(options.file, progress)
    if options.cost:
        with progress.stage(f"running the passes of {artifact.operator_name} again"):
            report = artifact.optimisation_report()
        print(json.dumps(report.as_dict(), indent=2) if options.json else report)
        return
    manifest = artifact.manifest()
    if options.json:
        print(json.dumps(manifest, indent=2))
        return
    with progress.stage(f"finding facts of {artifact.operator_name}"):
        facts = facts_of_artifact(artifact)
    print("\n".join(explanation(manifest, Style.of(sys.stdout), facts)))


def _demo(options: argparse.Namespace) -> None:
    from symir.tools import demo

    _prefer_double_precision()
    demo.run_demo(sys.stdout, Progress(sys.stderr, quiet=options.quiet))


def _prefer_double_precision() -> None:
    """Have JAX compute in double precision, unless the user has decided otherwise."""
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_ENABLE_X64", "1")


# endregion
# region Options


class _Help(argparse.RawDescriptionHelpFormatter):
    """Fills what is one long line, and leaves what has lines of its own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return textwrap.fill(text, width)
        return super()._fill_text(text, width, indent)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="symir",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"symir {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_emit(commands)
    _add_run(commands)
    _add_interpret(commands)
    _add_check(commands)
    _add_bisect(commands)
    _add_reduce(commands)
    _add_explain(commands)
    _add_explore(commands)
    demo = commands.add_parser(
        "demo",
        help="show one operator at every level, and its connected states",
        description="Follow a transverse-field Ising chain through the compiler.",
    )
    demo.add_argument("--quiet", action="store_true", help="show no progress")
    demo.set_defaults(command=_demo)
    return parser


def _add_emit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    emit = commands.add_parser(
        "emit",
        help="print an operator at a level of the compiler, as MLIR",
        description="Print an operator at a level of the compiler; needs no JAX.",
        epilog=_EMIT_EXAMPLES,
        formatter_class=_Help,
    )
    emit.add_argument(
        "file", metavar="FILE[:NAME]", help="where the operator is defined"
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
    emit.set_defaults(command=_emit)


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    run = commands.add_parser(
        "run",
        help="compute connected states and matrix elements",
        description="Compute connected states and matrix elements.",
        epilog=_RUN_EXAMPLES,
        formatter_class=_Help,
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
    run.set_defaults(command=_run)


def _add_interpret(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    interpret = commands.add_parser(
        "interpret",
        help="compute by a reference interpreter, and show every value",
        description="Interpret an operator at a level of the compiler on your "
        "configurations, over NumPy; needs no JAX. Slow, and exact: for looking.",
        epilog=_INTERPRET_EXAMPLES,
        formatter_class=_Help,
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
    interpret.set_defaults(command=_interpret)


def _add_configurations(parser: argparse.ArgumentParser) -> None:
    """Add what to compute on, and how much of it to show."""
    parser.add_argument(
        "file", metavar="FILE[:NAME]", help="where the operator is defined"
    )
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
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_check(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    check = commands.add_parser(
        "check",
        help="compare what an operator computes before and after every pass",
        description="Execute an operator by the reference interpreter of its level "
        "after every pass, and compare it with what was before, under the relation "
        "that the pass declares; at last compare the compiled kernel.",
        epilog=_CHECK_EXAMPLES,
        formatter_class=_Help,
    )
    check.add_argument(
        "file", nargs="?", metavar="FILE[:NAME]", help="where the operator is defined"
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
    check.add_argument("--quiet", action="store_true", help="show no progress")
    check.set_defaults(command=_check)


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


def _add_bisect(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    bisect = commands.add_parser(
        "bisect",
        help="name the first pass that changes what an operator computes",
        description="Name the first pass that fails, or that breaks the relation which "
        "it declares between the lanes before it and those after it; with the "
        "configuration that shows it, the term, your line, and what it did to the IR.",
        epilog=_BISECT_EXAMPLES,
        formatter_class=_Help,
    )
    bisect.add_argument(
        "file", metavar="FILE[:NAME]", help="where the operator is defined"
    )
    _add_passes(bisect)
    _add_compared(bisect)
    bisect.add_argument(
        "--full", action="store_true", help="show all of what the pass did"
    )
    bisect.add_argument("--quiet", action="store_true", help="show no progress")
    bisect.set_defaults(command=_bisect)


def _add_reduce(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    reduce = commands.add_parser(
        "reduce",
        help="make an operator that fails small, as a .mlir file",
        description="Leave out terms, rows, emissions, sites and all else of an "
        "operator as long as it fails in the same way, and print what is left.",
        epilog=_REDUCE_EXAMPLES,
        formatter_class=_Help,
    )
    reduce.add_argument(
        "file", metavar="FILE[:NAME]", help="where the operator is defined"
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
    reduce.add_argument("--quiet", action="store_true", help="show no progress")
    reduce.set_defaults(command=_reduce)


def _add_passes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p",
        "--passes",
        metavar="PIPELINE",
        help="passes from the operator on, as for symir-opt; they may end at any level "
        "(default: those of a compilation)",
    )


def _add_explore(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    explore = commands.add_parser(
        "explore",
        help="write a page that shows an operator at every level",
        description="Write one HTML page with an operator at every level side by side, "
        "what each pass changed, its branches on a lattice, its cost, facts and "
        "diagnostics.",
        epilog=_EXPLORE_EXAMPLES,
        formatter_class=_Help,
    )
    explore.add_argument(
        "file", metavar="FILE[:NAME]", help="where the operator is defined"
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
    explore.add_argument("--quiet", action="store_true", help="show no progress")
    explore.set_defaults(command=_explore)


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    explain = commands.add_parser(
        "explain",
        help="tell what the compilation of an operator did",
        description="Compile an operator and tell what that did: the passes with their "
        "times and numbers of ops, the lanes of each term and what was fused, the "
        "arrays of the kernel, the cache key and the versions; and which facts hold "
        "for the operator.",
        epilog=_EXPLAIN_EXAMPLES,
        formatter_class=_Help,
    )
    explain.add_argument(
        "file",
        metavar="FILE[:NAME]",
        help="where the operator is defined, or an artifact that was saved",
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
    explain.add_argument("--quiet", action="store_true", help="show no progress")
    explain.set_defaults(command=_explain)


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


# endregion


if __name__ == "__main__":
    sys.exit(main())
