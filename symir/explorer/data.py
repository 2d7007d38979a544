"""Everything that the compiler explorer shows, as plain data fit for JSON."""

from __future__ import annotations

import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from dialects import sym
from lowering.change.analyse_change import FORM, KINDS, form_on, is_lost_at, kind_of
from lowering.energy.extraction import wavefunctions_in
from lowering.relations import relation_of
from lowering.remarks import Remark
from symir.compiler.checks import as_configurations
from symir.compiler.costs import cost_table
from symir.compiler.lowering import LoweringPipeline
from symir.compiler.trace import op_count
from symir.errors import SymirError
from symir.explorer.connections import Connected, connected
from symir.explorer.lattice import bonds_of, layout_of
from symir.explorer.texts import Lines, Origins
from symir.inspection import LoweredOperator, Stage
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.operator.terms import term_of
from symir.plain_text import as_json, is_signs, number
from symir.provenance import place_in

Array = npt.NDArray[Any]

TEXT_BYTES = 2_000_000
"""All texts of all stages have about so many characters, at most."""

LINES = (4000, 1000, 250, 60)
"""Numbers of lines of a stage that may be kept; the most that fit are."""

SAMPLES = 4
VALUES_SHOWN = 200_000
"""The lanes of all samples, times their number: of more there are fewer samples."""

LANES = 40_000
"""Most lanes of a sample that are shown."""

TERMS_IN_WORDS = 400
"""Most terms of an operator with formulas."""

TERMS_PRICED = 2000
"""The cost of operators with more terms is left out."""

TERMS_ANALYSED = 300
"""Facts of operators with more terms take long, and are left out."""

SOURCES = (".py", ".mlir")
"""Files whose text is shown."""

SOURCE_LINES = 1500
"""Most lines of a file that are shown: the ones around the operator's own."""


def page_data(
    handle: LoweredOperator,
    *,
    x: npt.ArrayLike | None = None,
    report: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a page says of an operator on its way to a kernel.

    Args:
        handle: all stages of the operator, or of a local energy.
        x: the configurations to show (.., N); by default some are drawn.
        report: that of the local energy, as plain data.

    What cannot be found out, such as the facts of an operator without defaults, is said
    to be unknown, with the reason.
    """
    operator = _operator_of(handle)
    found: dict[str, Any] = {
        "name": handle.name,
        "headline": f"{len(handle.stages)} stages, entered at {handle.entered}",
        "terms": [],
        "samples": None,
        "cost": None,
        "facts": None,
        "diagnostics": [],
        "energy": report,
        "levels": dict(handle.last_of),
        "notes": [],
    }
    origins = Origins({})
    if operator is not None:
        ir = operator.to_ir()
        origins = Origins.of(ir.operator)
        found |= _of_operator(operator, ir, handle, origins, found["notes"])
        found["samples"] = _samples(operator, x, found["notes"])
    found |= _stages(handle, origins, found["notes"])
    found["sources"] = _sources(origins, found["diagnostics"])
    found |= origins.as_dict()
    return as_json(found)


def _operator_of(handle: LoweredOperator) -> SymbolicOperator | None:
    source = handle.source
    if isinstance(source, SymbolicOperator):
        return source
    first = handle.stages[0]
    if first.level != "sym":
        return None
    ir = SymbolicOperatorIR(first.module)
    hilbert = getattr(getattr(source, "operator", None), "hilbert", None)
    return SymbolicOperator.from_ir(ir, hilbert)


# region The operator


def _of_operator(
    operator: SymbolicOperator,
    ir: SymbolicOperatorIR,
    handle: LoweredOperator,
    origins: Origins,
    notes: list[str],
) -> dict[str, Any]:
    own = ir.operator
    words = ir.describe().splitlines() if ir.term_count <= TERMS_IN_WORDS else []
    if not words:
        notes.append(f"formulas are left out: the operator has {ir.term_count} terms")
    return {
        "headline": words[0].partition(" on ")[2] if words else str(operator.space),
        "sites": ir.hilbert_size,
        "lanes": ir.max_conn_size,
        "dtype": ir.dtype_str,
        "hermitian": ir.declared_hermitian,
        "parameters": {name: ir.defaults.get(name) for name in ir.free_symbols},
        "signs": is_signs(operator.space),
        "local_values": np.unique(np.concatenate(operator.space.local_states)).tolist(),
        "terms": _terms(own, _words_of_terms(words), origins),
        "cost": _cost(ir, handle, notes),
        "facts": _facts(operator, notes),
        "diagnostics": [
            one.as_dict()
            for one in operator.diagnostics(thorough=ir.term_count <= TERMS_ANALYSED)
        ],
    }


def _words_of_terms(lines: Sequence[str]) -> list[list[str]]:
    """Return the lines of each term of a description, without its first word."""
    words: list[list[str]] = []
    for line in lines[1:]:
        if line.startswith("term "):
            words.append([line.partition(": ")[2]])
        elif words:
            words[-1].append(line.removeprefix("  "))
    return words


def _terms(
    operator: sym.OperatorOp, words: Sequence[list[str]], origins: Origins
) -> list[dict[str, Any]]:
    return [
        {
            "name": summary.name,
            "labels": list(summary.labels),
            "rows": summary.rows.array.tolist(),
            "tags": list(summary.tags),
            "fanout": summary.fanout,
            "lanes": summary.size,
            "words": words[k] if k < len(words) else [],
            "origins": origins.of_op(term),
            "emission_origins": [origins.of_op(one) for one in term.emissions],
        }
        for k, term in enumerate(operator.terms)
        for summary in [term_of(term)]
    ]


_COSTS = ("share", "lanes_before", "lanes_after", "writes", "work")
_PARTS = ("flops", "selects", "bytes_read", "bytes_written")


def _cost(
    ir: SymbolicOperatorIR, handle: LoweredOperator, notes: list[str]
) -> dict[str, Any] | None:
    """Return what each term costs, as lists in the order of the columns."""
    lowered = _branch_tensors(handle)
    if lowered is None or ir.term_count > TERMS_PRICED:
        if lowered is not None:
            notes.append("costs are left out: there are too many terms")
        return None
    state_bytes = ir.space.default_dtype().itemsize
    table = cost_table(handle.stages[0].module, lowered, state_bytes)
    columns = (*_COSTS, *_PARTS)
    return {
        "columns": list(columns),
        "rows": [
            [round(float(getattr(row, name)), 6) for name in columns]
            for row in table.terms
        ],
        "lanes_before": table.lanes_before,
        "lanes_after": table.lanes_after,
        "totals": {name: table.total(name) for name in _PARTS},
    }


def _branch_tensors(handle: LoweredOperator) -> ModuleOp | None:
    """Return the branch tensors of an operator, as kernels are made of them."""
    whole = [
        stage.module
        for stage in handle.stages
        if stage.level == "bt"
        and any(op.name == "bt.connections" for op in stage.module.walk())
        and not any(
            one.name == "bt-specialize" for one in handle.stages[: stage.number + 1]
        )
    ]
    return whole[-1] if whole else None


def _facts(operator: SymbolicOperator, notes: list[str]) -> dict[str, Any] | None:
    ir = operator.to_ir()
    if ir.term_count > TERMS_ANALYSED:
        notes.append("facts are left out: operator.facts() finds them, and takes long")
        return None
    missing = [name for name in ir.free_symbols if name not in ir.defaults]
    try:
        found = operator.facts(dict.fromkeys(missing, 1.0))
    except SymirError as error:
        notes.append(f"facts are unknown: {error.message}")
        return None
    return {
        "facts": [
            {
                "name": name,
                "value": fact.value,
                "reason": fact.reason,
                "example": None
                if fact.counterexample is None
                else str(fact.counterexample),
            }
            for name, fact in found.facts.items()
        ],
        "numbers": dict(found.numbers),
    }


# endregion
# region Samples


def _samples(
    operator: SymbolicOperator, given: npt.ArrayLike | None, notes: list[str]
) -> dict[str, Any] | None:
    """Return configurations, their branches, and the lattice that they are drawn on."""
    ir, space = operator.to_ir(), operator.space
    if given is not None:
        given = as_configurations(operator.name, space, given)
    missing = [name for name in ir.free_symbols if name not in ir.defaults]
    if missing:
        notes.append(f"without a default, and 1 here: {', '.join(missing)}")
    count = max(1, min(SAMPLES, VALUES_SHOWN // max(1, ir.max_conn_size)))
    try:
        x = space.random_states(count, 0) if given is None else given[:count]
        found = connected(ir, x.astype(space.default_dtype()), ir.bind(otherwise=1.0))
    except SymirError as error:
        notes.append(f"no configuration is shown: {error.message}")
        return None
    bonds = bonds_of(ir.operator)
    layout = layout_of(space.size, bonds)
    terms = {term.name: k for k, term in enumerate(ir.terms)}
    shown = min(len(found.origins), LANES)
    if shown < len(found.origins):
        notes.append(f"branches are those of the first {shown} lanes")
    numbers: dict[str, int] = {}
    samples = [_sample(found, k, shown, numbers) for k in range(len(x))]
    origins = found.origins[:shown]
    return {
        "layout": layout.kind,
        "periodic": layout.periodic,
        "copies": layout.copies,
        "positions": np.round(layout.positions, 3).tolist(),
        "bonds": bonds.tolist(),
        "lane_terms": [terms.get(one.term, -1) for one in origins],
        "lane_rows": [-1 if one.row is None else one.row for one in origins],
        "lane_emissions": [
            -1 if one.emission is None else one.emission for one in origins
        ],
        "samples": samples,
        "numbers": list(numbers),
    }


def _sample(
    found: Connected, sample: int, lanes: int, numbers: dict[str, int]
) -> dict[str, Any]:
    """Return x, the number of the text of each element, and changes by lane."""
    elements = [
        numbers.setdefault(number(one.item()), len(numbers))
        for one in found.elements[sample, :lanes]
    ]
    absent = np.flatnonzero(found.elements[sample, :lanes] == 0)
    changed = {
        lane: [entry for pair in changes.items() for entry in pair]
        for lane in range(lanes)
        if (changes := found.changes(sample, lane))
    }
    return {
        "x": found.x[sample].tolist(),
        "elements": elements,
        "absent": len(absent),
        "changes": changed,
    }


# endregion
# region Stages


def _stages(
    handle: LoweredOperator, origins: Origins, notes: list[str]
) -> dict[str, Any]:
    """Return all stages, with as many lines of each as there is room for.

    So are the wavefunctions that local energies go through, with their forms.
    """
    stages: list[dict[str, Any]] = []
    network, forms = _network(handle, notes), None
    lines = Lines(origins, 0)
    for limit in LINES:
        lines = Lines(origins, limit)
        stages = [_stage(stage, lines) for stage in handle.stages]
        if network is not None:
            forms = network.as_dict(lines)
        if lines.size <= TEXT_BYTES:
            break
    for before, after in pairwise(stages):
        after["changed"] = before["lines"] != after["lines"]
    return {"stages": stages, "forms": forms, "texts": lines.texts}


@dataclass(frozen=True, eq=False)
class _Network:
    """Wavefunctions, before they are taken apart, and the forms of their values.

    Attributes:
        module: the functions alone.
        said: of each form its kind, what is said of it, and whether it is lost here.
        notes: which of these an op has.
    """

    module: ModuleOp
    said: list[tuple[str, str, bool]]
    notes: dict[Operation, int]

    def as_dict(self, lines: Lines) -> dict[str, Any]:
        """Return it as plain data: `notes` are numbers of `said`, line by line."""
        told = lines.of(self.module, self.notes)
        return {"kinds": dict(KINDS), "said": [list(one) for one in self.said], **told}


def _network(handle: LoweredOperator, notes: list[str]) -> _Network | None:
    """Return what local energies go through, if there are any."""
    on_bt = [stage.module for stage in handle.stages if stage.level == "bt"]
    whole = next((one for one in on_bt if wavefunctions_in(one)), None)
    if whole is None:
        return None
    try:
        module = LoweringPipeline.parse("analyse-change").run(whole)
    except SymirError as error:  # rules of change may be the user's own
        notes.append(f"forms are unknown: {error.found or error.message}")
        return None
    kept = wavefunctions_in(module)
    for other in [op for op in module.ops if op not in kept]:
        other.detach()
        other.erase(safe_erase=False)
    said: dict[tuple[str, str, bool], int] = {}
    of_ops: dict[Operation, int] = {}
    for op in module.walk():
        text = form_on(op)
        if text is not None:
            key = kind_of(text), text, is_lost_at(op)
            of_ops[op] = said.setdefault(key, len(said))
    for op in of_ops:  # which stand beside the lines
        del op.attributes[FORM]
    return _Network(module, list(said), of_ops)


def _stage(stage: Stage, lines: Lines) -> dict[str, Any]:
    report = stage.report
    return {
        "name": stage.name,
        "level": stage.level,
        "relation": None if stage.applied is None else relation_of(stage.applied).value,
        "ms": None if report is None else round(report.duration_ms, 3),
        "ops_before": report and report.ops_before,
        "ops": op_count(stage.module),
        "lanes": stage.lanes,
        "remarks": [_remark(one) for one in report.remarks[:40]] if report else [],
        "changed": True,
        **lines.of(stage.module),
    }


def _remark(one: Remark) -> dict[str, Any]:
    place = place_in(one.location)
    return {**one.as_dict(), "place": place and [place.file, place.line]}


# endregion
# region The user's files


def _sources(
    origins: Origins, diagnostics: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the text of each file that anything comes from, as far as it is known."""
    places = [one["location"] for one in diagnostics if one["location"]]
    found = list(origins.files)
    found += [file for file, _ in places if file not in found]
    return [
        _source(file, [*origins.lines_of(file), *(n for f, n in places if f == file)])
        for file in found
    ]


def _source(file: str, wanted: Sequence[int]) -> dict[str, Any]:
    lines = _lines_of(file)
    first = 0
    if len(lines) > SOURCE_LINES:
        first = max(0, min(wanted, default=1) - 20)
    kept = [line[:400] for line in lines[first : first + SOURCE_LINES]]
    return {"file": file, "first": first + 1, "lines": kept}


def _lines_of(file: str) -> list[str]:
    """Return the lines of a Python or MLIR file, or of a cell of a notebook.

    Of other files nothing: IR that somebody else has written may say that it comes from
    any file of the user's, and pages are sent around.
    """
    if Path(file).suffix not in SOURCES and file not in linecache.cache:
        return []
    linecache.checkcache(file)  # it may have changed since it was last looked at
    return [line.rstrip("\n") for line in linecache.getlines(file)]


# endregion
