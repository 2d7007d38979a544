"""The report of a local energy: its parts, passes and plan."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import dtype_of, element_of, shape_of
from dialects.stablehlo_ops import ConvolutionOp
from lowering.energy.activations import ACTIVATIONS
from lowering.energy.extraction import function_named, returned
from symir.compiler.context import SymbolicPassReport
from symir.plain_text import Reading

if TYPE_CHECKING:
    from symir.runtime.local_energy.repeats import Repeats


@dataclass(frozen=True)
class PartReport(Reading):
    """A part of log psi.

    Attributes:
        name: its function in the IR.
        rung: how its ratio is found: declared, exponential, linear, bilinear, rational,
            lifted or network.
        activation: what was recognised, if anything.
        units: how many elements the activation is taken of, 1 for a number.
        flops: operations for one branch, products and sums; of a declared part those of
            the function that is not evaluated.
        bytes: what is read for one branch, without what a network makes on its way.
    """

    name: str
    rung: str
    activation: str | None
    units: int
    flops: int
    bytes: int


@dataclass(frozen=True)
class PassNotes(Reading):
    """Remarks of a pass, done and missed: (message, hint) each."""

    name: str
    done: tuple[tuple[str, str | None], ...]
    missed: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class EnergyReport(Reading):
    """The report of a local energy; `str` for people, `as_dict` for programs.

    Attributes:
        operator: the operator's name.
        lanes: branches that lead elsewhere, for every x.
        live: "all" where they always do, else "some".
        schedule: "packed" where live pairs of x and a branch are taken in chunks,
            "dense" where all pairs are, as a declared delta is simple, "distinct" where
            equal x' are evaluated once.
        evaluations_before: network evaluations for one x by padded connections.
        evaluations_after: network evaluations for one x now, at most.
        parts: those of log psi.
        passes: what passes did, and what not.
        misses: why nothing better was possible.
        plan: sizes of chunks.
        predicted_bytes: memory beside arguments and results, as planned.
        measured_bytes: the same by XLA, for the x that was given; None without.
        repeats: how many x' of the samples that were given are the same; None where
            that is of no use.
    """

    operator: str
    lanes: int
    live: str
    schedule: str
    evaluations_before: int
    evaluations_after: int
    parts: tuple[PartReport, ...]
    passes: tuple[PassNotes, ...]
    misses: tuple[str, ...]
    plan: dict[str, Any] = field(default_factory=dict)
    predicted_bytes: int = 0
    measured_bytes: int | None = None
    repeats: Repeats | None = None

    def __str__(self) -> str:
        lines = [
            f"local energy of '{self.operator}': {self.lanes} branches, "
            f"{self.live} live, {self.schedule}",
            f"  network evaluations per sample: {self.evaluations_before} -> "
            f"{self.evaluations_after}",
        ]
        for part in self.parts:
            what = f" {part.activation} of {part.units}" if part.activation else ""
            lines.append(
                f"  @{part.name}: {part.rung}{what}, {part.flops} flops and "
                f"{part.bytes} bytes per branch"
            )
        lines += [f"  not better: {miss}" for miss in self.misses]
        if self.repeats is not None:
            lines.append(f"  {self.repeats.said(self.schedule)}")
        for one in self.passes:
            for sign, notes in (("+", one.done), ("-", one.missed)):
                for message, hint in notes:
                    more = f" ({hint})" if hint else ""
                    lines.append(f"  {sign} {one.name}: {message}{more}")
        sizes = ", ".join(f"{value} {name}" for name, value in self.plan.items())
        lines.append(f"  at once: {sizes}")
        measured = self.measured_bytes
        known = "" if measured is None else f", {measured / 1e6:.1f} MB measured"
        lines.append(f"  memory: {self.predicted_bytes / 1e6:.1f} MB predicted{known}")
        return "\n".join(lines)


def energy_report(
    program: Any,
    operator: str,
    measured_bytes: int | None = None,
    repeats: Repeats | None = None,
) -> EnergyReport:
    """Return the report of an `EnergyProgram`."""
    lanes = program.lanes
    rungs = program.rungs
    evaluated = any(rung in (bt.Rung.NETWORK, bt.Rung.LIFTED) for rung in rungs)
    plan, schedule = program.plan, program.schedule
    at_once = {"samples": plan.samples}
    if schedule == "packed":
        at_once["pairs"] = plan.pairs
    at_once["network evaluations"] = plan.network_pairs
    return EnergyReport(
        operator=operator,
        lanes=lanes,
        live=plan.live,
        schedule=schedule,
        evaluations_before=program.kernel.lanes + 1,
        evaluations_after=lanes + 1 if evaluated else 1,
        parts=parts_of(program),
        passes=tuple(_notes(program.reports)),
        misses=tuple(program.misses),
        plan=at_once,
        predicted_bytes=plan.peak_bytes,
        measured_bytes=measured_bytes,
        repeats=repeats,
    )


def parts_of(program: Any) -> tuple[PartReport, ...]:
    """Return the parts of log psi of an `EnergyProgram`."""
    pairs = zip(program.energy.parts, program.rungs, strict=True)
    return tuple(_part(one, rung, program.module) for one, rung in pairs)


def _notes(reports: Sequence[SymbolicPassReport]):
    for report in reports:
        done = tuple((r.message, r.hint) for r in report.remarks if r.done)
        missed = tuple((r.message, r.hint) for r in report.remarks if not r.done)
        own = ("bt-local", "apply-", "lift-", "plan-", "propagate-", "write-")
        is_own = report.pass_name.startswith(own)
        if (is_own or report.error) and (done or missed):
            yield PassNotes(report.pass_name, done, missed)


def _part(part: bt.PartAttr, rung: str, module: Any) -> PartReport:
    function = function_named(module, part.functions[0])
    result = returned(function)
    units = prod(shape_of(result))
    size = dtype_of(element_of(result)).itemsize
    if rung == bt.Rung.EXPONENTIAL:
        count = units * len(ACTIVATIONS[part.applied or ""].terms)
        flops, read = 3 * count, 3 * count * size
    elif rung == bt.Rung.BILINEAR:
        flops, read = 4 * units, 4 * units * size
    elif rung == bt.Rung.RATIONAL:
        flops, read = 8 * units, 4 * units * size
    elif rung == bt.Rung.LINEAR:
        flops, read = 1, size
    elif rung == bt.Rung.LIFTED:
        tail = function_named(module, part.functions[1])
        flops, read = 4 * units + operations(tail), 2 * units * size
    elif rung == bt.Rung.CONE:
        # Those of groups of rows, which are as large as each other, where there are
        ratios = [function_named(module, name) for name in part.ratios]
        flops = sum(map(operations, ratios)) // len(ratios)
        read = sum(map(_gathered, ratios)) // len(ratios)
    else:
        flops, read = operations(function), prod(shape_of(function.body.block.args[-1]))
    return PartReport(part.functions[0], str(rung), part.applied, units, flops, read)


def _gathered(function: FuncOp) -> int:
    """Return the bytes that a function reads where numbers say."""
    found = (op.results[0] for op in function.walk() if isinstance(op, hlo.GatherOp))
    return sum(prod(shape_of(v)) * dtype_of(element_of(v)).itemsize for v in found)


def operations(function: FuncOp) -> int:
    """Return the operations of a function of one x: one for each element at least."""
    return sum(_operations_of(op) for op in function.body.block.ops if op.results)


def _operations_of(op: Operation) -> int:
    kind = op.results[0].type
    if not isinstance(kind, TensorType) or isinstance(op, hlo.ConstantOp):
        return 0
    size = prod(shape_of(op.results[0]))
    if isinstance(op, hlo.DotGeneralOp):
        axes = op.dot_dimension_numbers.lhs_contracting_dimensions
        lengths = shape_of(op.lhs)
        return 2 * size * prod(lengths[axis.value.data] for axis in axes)
    if isinstance(op, ConvolutionOp):
        features = shape_of(op.result)[op.dimension_numbers.axes(2)[1]]
        return 2 * size * prod(shape_of(op.rhs)) // max(1, features)
    return size
