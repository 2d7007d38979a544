"""`symir`: look at operators, and run them on data, from the command line."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dialects.text import print_module
from lowering.bt.bt_specialize import STATE_DTYPES, state_type
from symir.catalogue import CODES
from symir.compiler import lower_to_bt, lower_to_stablehlo
from symir.errors import SymirError, user_location
from symir.files import write_file
from symir.inspection import LoweredOperator, lower
from symir.operator.symbolic_operator import SymbolicOperator
from symir.plain_text import elided_constants
from symir.tools.arguments import parser
from symir.tools.configurations import (
    Samples,
    as_state_dtype,
    random_samples,
    read_samples,
)
from symir.tools.faults import Fault
from symir.tools.load import UserCodeError, load_explored, load_operator
from symir.tools.progress import Progress
from symir.tools.show import Style

if TYPE_CHECKING:
    from symir.runtime.compiled_operator import CompiledOperator

_ROWS_SHOWN = 16


def main(argv: Sequence[str] | None = None) -> int:
    """Run `symir` and return its exit code.

    0 is success, 1 an exception in the user's own file or a check that finds something
    wrong, 2 bad input.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may be in any script
            stream.reconfigure(errors="backslashreplace")
    try:
        options = parser().parse_args(argv)
    except SystemExit as stop:  # help, version, and mistakes in the options
        return stop.code if isinstance(stop.code, int) else 2
    try:
        _COMMANDS[options.command](options)
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
    _compute_in_double_precision()
    operator, *arguments = load_explored(options.file)
    elide = sys.stdout.isatty() and not options.full
    if arguments:
        _emit_energy(options, lower(operator, *arguments, batch=options.batch or 1))
        return
    if level == "sym":
        print(operator.to_ir().text(elide_rows_over=_ROWS_SHOWN if elide else None))
        return
    module = lower_to_bt(operator.to_ir().module)
    if level == "stablehlo":
        state = _state(options.state, operator)
        module = lower_to_stablehlo(module, options.batch or 1, state)
    text = print_module(module)
    print(elided_constants(text) if elide else text)


def _emit_energy(options: argparse.Namespace, handle: LoweredOperator) -> None:
    """Print a local energy; what JAX calls has its own body as far as there is one."""
    level: str = options.level
    if options.state:
        raise Fault.MISPLACED_OPTION.error(
            "the kernel of a local energy has the type of its x",
            expected="--level and --batch",
            found=f"--state {options.state}",
        )
    if level == "stablehlo":
        handle = handle.with_network()
    elide = sys.stdout.isatty() and not options.full
    print(handle.inspect(level) if elide else handle.at(level).text)


def _state(name: str | None, operator: SymbolicOperator) -> str:
    if name is None:
        return state_type(operator.space.default_dtype())
    as_state_dtype(STATE_DTYPES[name], operator.space)
    return name


def _run(options: argparse.Namespace) -> None:
    from symir.tools import run

    operator, given, progress = _started(options)
    samples = _samples(options, operator, progress)
    artifact = run.compile_artifact(operator, progress)
    # It is compiled with the default options: for JAX.
    compiled = cast("CompiledOperator", artifact.compiled_operator)
    layout = artifact.branch_layout()
    outcome = run.run(
        compiled.replace(**run.parameter_values(operator, given)),
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

    operator, given, progress = _started(options)
    samples = _samples(options, operator, progress)
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


def _started(
    options: argparse.Namespace,
) -> tuple[SymbolicOperator, dict[str, complex], Progress]:
    """Return the operator of a command, the values of parameters, and the progress."""
    from symir.tools.run import parse_parameters

    given = parse_parameters(options.param)
    progress = _progress(options)
    with progress.stage(f"reading {options.file}"):
        return load_operator(options.file), given, progress


def _samples(
    options: argparse.Namespace, operator: SymbolicOperator, progress: Progress
) -> Samples:
    """Read or draw configurations."""
    if options.seed is not None and options.random is None:
        raise Fault.MISPLACED_OPTION.error(
            "--seed is for random configurations",
            expected="--random N --seed S",
            found="--seed without --random",
        )
    space = operator.space
    if options.input is None:
        return random_samples(options.random, options.seed, space, options.dtype)
    with progress.stage(f"reading {options.input}"):
        return read_samples(options.input, space, options.dtype)


def _subject(
    options: argparse.Namespace,
) -> tuple[tuple[Any, ...], dict[str, Any], Progress]:
    """Return what is checked, an operator or an energy, on what, and the progress."""
    from symir.tools.run import parameter_values, parse_parameters

    given = parse_parameters(options.param)
    progress = _progress(options)
    with progress.stage(f"reading {options.file}"):
        what, *arguments = load_explored(options.file)
    operator = _operator_of(what) if arguments else what
    space, x = operator.space, None
    values = parameter_values(operator, given) if given else None
    if options.input is not None:
        x = np.concatenate([*read_samples(options.input, space).blocks(1 << 16)])
    drawn = {"samples": options.samples, "seed": options.seed}
    if not arguments:
        drawn["x"], drawn["validate"] = x, options.validate
        drawn["parameters"] = values
        return (what,), drawn, progress
    network, own = arguments
    if options.validate == "exhaustive":
        x = space.all_states()
        drawn["samples"] = len(x)
    energy = what.replace(**values) if values else what
    return (energy, network, own if x is None else x), drawn, progress


def _operator_of(energy: Any) -> SymbolicOperator:
    compiled = energy.operator
    return SymbolicOperator.from_ir(compiled.kernel.ir, compiled.hilbert)


def _check(options: argparse.Namespace) -> None:
    from symir.validation.certificate import replay
    from symir.validation.check import check

    if (options.file is None) is (options.replay is None):
        raise Fault.MISPLACED_OPTION.error(
            "a check is of an operator, or of a certificate that is done again",
            expected="FILE[:NAME] or --replay CERTIFICATE.json",
            found="both" if options.file else "neither",
        )
    if options.replay is not None:
        progress = _progress(options)
        with progress.stage(f"doing {options.replay} again"):
            found = replay(options.replay)
        return _finish(found, found.ok)
    what, compared, progress = _subject(options)
    with progress.stage(f"checking {options.file}"):
        report = check(*what, **compared)
    told = str(report)
    if options.certificate is not None:
        report.save(options.certificate)
        told += f"\nwritten to {options.certificate}"
    _finish(told, report.ok)


def _bisect(options: argparse.Namespace) -> None:
    from symir.tools.show import difference
    from symir.validation import bisect

    what, compared, progress = _subject(options)
    with progress.stage(f"running the passes of {options.file}"):
        found = bisect(*what, pipeline=options.passes, **compared)
    if found.error is not None:
        _forget_script(found.error)
    told = str(found)
    if not found.ok:
        changes = found.diff() or found.before or ""
        told += "\n" + difference(changes, Style.of(sys.stdout), full=options.full)
    _finish(told.rstrip("\n"), found.ok)


def _reduce(options: argparse.Namespace) -> None:
    from symir.tools.reduce import reduce
    from symir.tools.run import parameter_values, parse_parameters

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
    progress = _progress(options)
    with progress.stage(f"reading {options.file}"):
        operator, *arguments = load_explored(options.file)
    energy = None
    if arguments:
        network, x = arguments
        energy, operator = (operator, network, x), _operator_of(operator)
    elif given:
        given = parameter_values(operator, given)
    with progress.stage(f"reducing {operator.name}"):
        found = reduce(
            operator,
            options.check,
            energy=energy,
            passes=options.passes,
            parameters=given or None,
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


def _finish(told: object, holds: bool) -> None:
    print(told)
    if not holds:
        raise _Failed


class _Failed(Exception):
    """Something that was to hold does not, and has been said."""


def _explore(options: argparse.Namespace) -> None:
    from symir.tools import explore

    progress = _progress(options)
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
        explore.serve(options.file, options.input, options.port or 0, progress)
        return
    written = explore.write(options.file, options.input, options.output, progress)
    print(f"written to {written}")


def _explain(options: argparse.Namespace) -> None:
    from symir.tools.explain import artifact_of, explanation, facts_of_artifact

    if options.file in CODES:
        print(f"[{options.file}] {CODES[options.file]}")
        return
    progress = _progress(options)
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

    demo.run_demo(sys.stdout, _progress(options))


def _progress(options: argparse.Namespace) -> Progress:
    """Return what tells of the stages of a command, which may start JAX.

    JAX computes in double precision then, unless the user has decided otherwise.
    """
    _compute_in_double_precision()
    return Progress(sys.stderr, quiet=options.quiet)


def _compute_in_double_precision() -> None:
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_ENABLE_X64", "1")


_COMMANDS = {
    "emit": _emit,
    "run": _run,
    "interpret": _interpret,
    "check": _check,
    "bisect": _bisect,
    "reduce": _reduce,
    "explain": _explain,
    "explore": _explore,
    "demo": _demo,
}

# endregion


if __name__ == "__main__":
    sys.exit(main())
