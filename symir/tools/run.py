"""`symir run`: the connected states of many configurations, in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

from symir.compiler import SymbolicCompiledArtifact, default_symbolic_compiler
from symir.compiler.artifact import BranchOrigin
from symir.operator.symbolic_operator import SymbolicOperator
from symir.plain_text import configuration, is_signs
from symir.tools.configurations import Samples
from symir.tools.faults import Fault
from symir.tools.npz import Archive, archive
from symir.tools.progress import Progress
from symir.tools.show import BranchNames, Style

if TYPE_CHECKING:
    from symir.runtime.compiled_operator import CompiledOperator

Array = npt.NDArray[Any]

_BYTES_PER_BLOCK = 1 << 26
"""About as much as the results of one call of a kernel may take."""


@dataclass
class Outcome:
    """Summary of a run: the first samples, and the number of branches in all.

    `shown` holds (x, x', matrix elements) of shapes (N,), (K, N), (K,).
    """

    samples: int = 0
    branches: int = 0
    not_finite: int = 0
    shown: list[tuple[Array, Array, Array]] = field(
        default_factory=list[tuple[Array, Array, Array]]
    )

    def add(self, x: Array, connected: Array, elements: Array, show: int) -> None:
        """Take the results of a block of samples."""
        self.samples += len(x)
        self.branches += int(np.count_nonzero(elements))
        self.not_finite += int(np.count_nonzero(~np.isfinite(elements)))
        wanted = max(0, show - len(self.shown))
        # Copies: a view would keep the whole block
        for triple in zip(x[:wanted], connected, elements, strict=False):
            one, its_connected, its_elements = (part.copy() for part in triple)
            self.shown.append((one, its_connected, its_elements))


# region Parameters


def parse_parameters(texts: Sequence[str]) -> dict[str, complex]:
    """Return the values in texts such as `h=0.7` or `t=1+2j`.

    Raises:
        InputError: for anything else, and for a name that comes twice (T016).
    """
    values: dict[str, complex] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        parsed = _complex(value)
        if not (equals and name) or parsed is None or not np.isfinite(parsed):
            raise Fault.BAD_PARAMETER.error(
                "a parameter is a name and a finite number",
                expected="--param NAME=NUMBER, such as --param h=0.7",
                found=f"'{text}'",
            )
        if name in values:
            raise Fault.BAD_PARAMETER.error(
                f"parameter '{name}' is given twice",
                expected="one value",
                found=f"{values[name].real:g} and {value.strip()}",
            )
        values[name] = parsed
    return values


def _complex(text: str) -> complex | None:
    try:
        return complex(text.strip())
    except ValueError:
        return None


def parameter_values(
    operator: SymbolicOperator, given: Mapping[str, complex]
) -> dict[str, complex | float]:
    """Return the given values of parameters, real ones as real numbers.

    Raises:
        InputError: for an unknown name (R003), a complex value of a real parameter
            (R005), and a parameter that is left without a value (T018).
    """
    ir = operator.to_ir()
    values = ir.bind(given)
    for name in ir.free_symbols:
        if name not in values:
            raise Fault.UNBOUND_PARAMETER.error(
                f"parameter '{name}' has no default",
                operator=operator.name,
                hint=f"give it a value: --param {name}=1.0",
            )
    return {name: values[name] for name in given}


# endregion
# region Running


def compile_artifact(
    operator: SymbolicOperator, progress: Progress
) -> SymbolicCompiledArtifact:
    """Compile an operator; starts JAX.

    Raises:
        InputError: where JAX cannot be imported (T020).
        SymbolicCompilerError: when the operator cannot be compiled.
    """
    with progress.stage("starting JAX"):
        try:
            import symir.runtime.compiled_operator  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError as error:
            raise Fault.NO_JAX.error(
                "JAX cannot be imported",
                expected="jax and jaxlib beside symir",
                found=str(error),
                hint="symir emit works without it",
            ) from error
    with progress.stage(f"lowering {operator.name}"):
        return default_symbolic_compiler().compile(operator)


def block_size(
    operator: SymbolicOperator, samples: Samples, asked: int | None = None
) -> int:
    """Return how many samples a kernel takes at once: `asked`, or what fits."""
    lanes, sites = operator.max_conn_size, operator.space.size
    each = lanes * (sites * samples.dtype.itemsize + operator.dtype.itemsize)
    fitting = asked or _BYTES_PER_BLOCK // max(1, each)
    return max(1, min(samples.count, fitting))


def run(
    compiled: CompiledOperator,
    samples: Samples,
    layout: Sequence[BranchOrigin],
    *,
    block: int,
    show: int,
    output: Path | None,
    progress: Progress,
) -> Outcome:
    """Compute the connected states of all samples, in blocks of one size.

    Writes x (.., N), xp (.., K, N), mels (.., K) and the lane table term, row,
    emission, tag (K,) to `output`, if there is one; keeps the first `show` samples.

    Raises:
        InputError: when the output cannot be written (T015), or XLA fails (T021).
    """
    outcome = Outcome()
    with contextlib.ExitStack() as stack:
        # Before anything takes long: a folder may be missing
        made = None if output is None else stack.enter_context(archive(output))
        if made is not None:
            _write_lanes(made, layout)
        compiling = progress.stage(f"compiling with XLA for blocks of {block}")
        with compiling, _blamed_on_xla():
            _connections(compiled, next(samples.blocks(block)), block)
        with progress.stage(f"running {samples.count} samples"):
            for piece in samples.blocks(block):
                with _blamed_on_xla():
                    results = _connections(compiled, piece, block)
                outcome.add(*results, show)
                if made is not None:
                    for name, part in zip(("x", "xp", "mels"), results, strict=True):
                        shape = (*samples.shape[:-1], *part.shape[1:])
                        made.add(name, part, shape)
                progress.count(outcome.samples, samples.count)
    return outcome


def _connections(
    compiled: CompiledOperator, x: Array, block: int
) -> tuple[Array, Array, Array]:
    """Run one block; a shorter one is filled up, so that one kernel serves all."""
    count = len(x)
    padding = np.repeat(x[-1:], block - count, axis=0) if count else x
    connected, elements = compiled.get_conn_padded(np.concatenate([x, padding]))
    return x, np.asarray(connected)[:count], np.asarray(elements)[:count]


@contextlib.contextmanager
def _blamed_on_xla() -> Generator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise Fault.XLA_FAILED.error(
            "XLA could not run the kernel",
            found=str(error).partition("\n")[0][:200] or type(error).__name__,
            hint="if memory is short, take smaller blocks: --batch 1",
        ) from error


def _write_lanes(archive: Archive, layout: Sequence[BranchOrigin]) -> None:
    archive.add("term", np.array([origin.term for origin in layout], np.str_))
    rows = [-1 if origin.row is None else origin.row for origin in layout]
    emissions = [-1 if lane.emission is None else lane.emission for lane in layout]
    archive.add("row", np.array(rows, np.int64))
    archive.add("emission", np.array(emissions, np.int64))
    archive.add("tag", np.array([origin.tag or "" for origin in layout], np.str_))


# endregion
# region Showing


def show_outcome(
    outcome: Outcome,
    operator: SymbolicOperator,
    layout: Sequence[BranchOrigin],
    stream: TextIO,
    *,
    lanes: int,
) -> None:
    """Print the first samples with their branches, and the totals."""
    style = Style.of(stream)
    terms = ", ".join(f"{term.name} {term.size}" for term in operator.terms)
    heading = style.strong(f"{operator.name} on {operator.space}")
    print(f"{heading}: {operator.max_conn_size} lanes ({terms})", file=stream)
    if outcome.shown and is_signs(operator.space):
        print("+ is 1, - is -1", file=stream)
    branches = BranchNames(operator, layout)
    for number, (x, connected, elements) in enumerate(outcome.shown):
        shown = configuration(x, operator.space)
        print(f"\n{style.strong(f'sample {number}')}: x = {shown}", file=stream)
        lines = branches.lines(x, connected, elements, limit=lanes, style=style)
        for line in lines:
            print(f"  {line}", file=stream)
    lane_count = outcome.samples * operator.max_conn_size
    print(
        f"\nin all: {outcome.samples} x {operator.max_conn_size} = {lane_count} lanes, "
        f"{outcome.branches} with a nonzero matrix element",
        file=stream,
    )
    if outcome.not_finite:
        print(f"warning: {outcome.not_finite} matrix elements not finite", file=stream)


# endregion
