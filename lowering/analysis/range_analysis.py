"""Can an update leave the space? Decided by evaluating it at every reachable point.

The value that a write stores depends on the local values of a few sites. All their
joint values, in every kind of row that the table has (which labels alias, which local
spaces the sites have, what follows from the numbers of sites), are enumerated, those
that the predicate excludes are left out, and the value is computed at the rest. Where
the enumeration would be too large, or the value depends on a run-time parameter or on
an op that may be rounded differently elsewhere, the answer is "cannot prove it".
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.ir import Block, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import constant_of, dtype_of, to_numpy
from lowering.analysis.row_kinds import bits_of, kinds_of_rows
from lowering.analysis.sites import column_of
from lowering.evaluate import evaluate
from lowering.order import conjuncts, operands_first

Array = npt.NDArray[Any]

MAX_POINTS = 1 << 18
"""The largest number of (row kind, joint local values) points to evaluate."""


@dataclass
class _Slice:
    """Inputs that a set of values depends on."""

    reads: list[SSAValue] = field(default_factory=list[SSAValue])
    """The sites that are read."""
    indices: list[SSAValue] = field(default_factory=list[SSAValue])
    """The sites whose number matters beyond whether two of them are equal."""
    compared: list[SSAValue] = field(default_factory=list[SSAValue])
    """The sites whose numbers are compared for equality."""
    columns: list[SSAValue] = field(default_factory=list[SSAValue])
    """The data columns."""
    known: bool = True
    """Whether everything in the slice can be evaluated."""


def _backward_slice(
    term: sym.TermOp, values: Iterable[SSAValue], known: Container[SSAValue] = ()
) -> _Slice:
    """Return what values depend on, besides those that are known."""
    result = _Slice()
    columns = term.body.block.args[1 + term.rows.data.labels :]
    seen = set[SSAValue]()
    pending = list(values)
    while pending:
        value = pending.pop()
        if value in seen or value in known:
            continue
        seen.add(value)
        owner = value.owner
        if value in columns:
            result.columns.append(value)
        elif not isinstance(owner, Operation):
            result.known = False
        elif isinstance(owner, sym.ReadOp):
            result.known &= owner.config is term.source
            result.reads.append(owner.site)
        elif isinstance(owner, sym.IndexOp):
            result.indices.append(owner.site)
        elif _compares_indices(owner):
            result.compared.extend(_site_of(operand) for operand in owner.operands)
        elif not isinstance(owner, hlo.ConstantOp):
            result.known &= is_scalar_op(owner)
            pending.extend(owner.operands)
    return result


def is_scalar_op(op: Operation) -> bool:
    """Whether an op computes a number of numbers alone, as all of StableHLO do."""
    return op.name.startswith("stablehlo.") or isinstance(op, sym.OwnRuleOp)


def _site_of(index: SSAValue) -> SSAValue:
    assert isinstance(index.owner, sym.IndexOp)
    return index.owner.site


def _compares_indices(op: Operation) -> bool:
    """Whether an op asks if two sites are the same one."""
    if not isinstance(op, hlo.CompareOp):
        return False
    if op.comparison_direction.data.value not in ("EQ", "NE"):
        return False
    return all(isinstance(operand.owner, sym.IndexOp) for operand in op.operands)


@dataclass
class Points:
    """Where the values of a term are evaluated: (row kinds, joint local values).

    With `exact`, what a backend may round differently counts as unknown.
    """

    term: sym.TermOp
    columns: dict[SSAValue, Array]
    """Per row kind the number of each site, the value of each data column, and what
    follows from the numbers of sites."""
    local_values: dict[SSAValue, Array]
    """The local value of each site that is read, per point."""
    reachable: Array
    values: dict[SSAValue, Array | None] = field(
        default_factory=dict[SSAValue, "Array | None"]
    )
    exact: bool = True

    def rounded(self) -> Points:
        """Return the same points for values that may be rounded."""
        return replace(self, exact=False, values={})

    def evaluate(self, value: SSAValue) -> Array | None:
        """Return a value at every point, or None where it cannot be computed."""
        if value not in self.values:
            self.values[value] = self._compute(value)
        return self.values[value]

    def _compute(self, value: SSAValue) -> Array | None:
        owner = value.owner
        if value in self.columns:
            return self.columns[value]
        if isinstance(owner, sym.ReadOp):
            is_source = owner.config is self.term.source
            return self.local_values.get(owner.site) if is_source else None
        if isinstance(owner, sym.IndexOp):
            return self.columns.get(owner.site)
        if (array := constant_of(value)) is not None:
            return array
        if not isinstance(owner, Operation):
            return None
        operands = [self.evaluate(operand) for operand in owner.operands]
        known = [operand for operand in operands if operand is not None]
        if len(known) < len(operands):
            return None
        return evaluate(owner, known, exact=self.exact)


class Verdict(Enum):
    """Knowledge of the value that a write stores."""

    ALLOWED = "it is an allowed value wherever the write takes effect"
    EXACT = "it is computed without rounding, but may not be allowed"
    UNKNOWN = "it may be rounded, and may not be allowed"


def judge(
    term: sym.TermOp,
    write: sym.WriteOp,
    predicate: SSAValue | None,
    shadowing: Sequence[SSAValue],
) -> Verdict:
    """Return what is known of the value that a write stores where it takes effect.

    It takes effect where the predicate holds and none of the `shadowing` sites, which
    later writes overwrite, is the written site.
    """
    maker = write.value.owner
    if isinstance(maker, sym.LocalValueOp) and maker.site is write.site:
        return Verdict.ALLOWED
    column = column_of(term, write.site)
    wanted = _backward_slice(term, [write.value])
    if column is None or not wanted.known:
        return Verdict.UNKNOWN
    guards = [p for p in conjuncts(predicate) if _backward_slice(term, [p]).known]
    points = enumerate_points(term, [write.value, *guards], [write.site, *shadowing])
    if points is None:
        return Verdict.UNKNOWN
    value = points.evaluate(write.value)
    if value is None:
        return Verdict.UNKNOWN
    exempt = _exempt(points, guards)
    for site in shadowing:
        exempt = exempt | (points.columns[site] == points.columns[write.site])
    allowed = is_allowed(term, write.site, value, points)
    return Verdict.ALLOWED if np.all(allowed | exempt) else Verdict.EXACT


def always_holds(
    term: sym.TermOp,
    claim: SSAValue,
    predicate: SSAValue | None,
    sites: Sequence[SSAValue],
) -> bool:
    """Return whether a predicate is known to hold wherever another one does.

    The rows are told apart by which of the `sites`, labels of the term, alias.
    """
    if not sites or not _backward_slice(term, [claim]).known:
        return False
    guards = [p for p in conjuncts(predicate) if _backward_slice(term, [p]).known]
    points = enumerate_points(term, [claim, *guards], sites)
    holds = None if points is None else points.evaluate(claim)
    if points is None or holds is None:
        return False
    return bool(np.all(holds | _exempt(points, guards)))


def _exempt(points: Points, guards: Iterable[SSAValue]) -> Array:
    """Return the points that do not count: no x is there, or a guard excludes them."""
    exempt = ~points.reachable
    for guard in guards:
        holds = points.evaluate(guard)
        if holds is not None:
            exempt = exempt | ~holds
    return exempt


def is_allowed(term: sym.TermOp, site: SSAValue, value: Array, points: Points) -> Array:
    """Return whether a value is allowed at a site, at every point."""
    space = sym.operator_of(term).space.data
    kinds, number = space.kinds
    of_row = number[points.columns[site]]
    result = np.zeros(np.broadcast_shapes(value.shape, of_row.shape), np.bool_)
    for kind, states in enumerate(kinds):
        allowed = np.isin(value, np.array(states, value.dtype))
        result |= (of_row == kind) & allowed
    return result


def enumerate_points(
    term: sym.TermOp,
    values: Sequence[SSAValue],
    sites: Sequence[SSAValue],
    limit: int | None = None,
) -> Points | None:
    """Build the points that values depend on, or None where there are too many.

    The rows are told apart by which of the `sites`, labels of the term, alias, too.
    """
    by_row = _of_rows(term, values)
    needed = _backward_slice(term, values, known=by_row)
    labels = list(dict.fromkeys([*needed.reads, *needed.compared, *sites]))
    exact = list(dict.fromkeys(needed.indices))
    found = {site: column_of(term, site) for site in [*labels, *exact]}
    columns = {site: column for site, column in found.items() if column is not None}
    if len(columns) < len(found):
        return None
    space = sym.operator_of(term).space.data
    kinds, number = space.kinds

    given = {value: term.data_of(value) for value in needed.columns}
    data = {value: to_numpy(own) for value, own in given.items() if own is not None}
    data.update(by_row)
    rows = _row_kinds(
        [columns[site] for site in labels],
        [number[columns[site]] for site in labels],
        [columns[site] for site in exact],
        list(data.values()),
    )
    reads = list(dict.fromkeys(needed.reads))
    width = max(len(states) for states in kinds)
    if len(rows) * width ** len(reads) > (limit or MAX_POINTS):
        return None

    per_row: dict[SSAValue, Array] = {
        value: column[rows][:, None] for value, column in {**columns, **data}.items()
    }
    real = dtype_of(sym.real_type(sym.operator_of(term).element))
    table = np.full((len(kinds), width), np.nan, real)
    for kind, states in enumerate(kinds):
        table[kind, : len(states)] = states
    shape = (width,) * len(reads)
    grid = np.indices(shape).reshape(len(reads), width ** len(reads))
    local = {
        site: table[number[per_row[site]], grid[k]] for k, site in enumerate(reads)
    }
    reachable = np.ones((len(rows), grid.shape[1]), np.bool_)
    for k, site in enumerate(reads):
        reachable &= ~np.isnan(local[site])
        for other in reads[:k]:
            same = per_row[site] == per_row[other]
            reachable &= ~same | (local[site] == local[other])
    return Points(term, per_row, local, reachable)


def _of_rows(term: sym.TermOp, values: Sequence[SSAValue]) -> dict[SSAValue, Array]:
    """Return what follows from the numbers of sites and is used: (rows,) each.

    A weight that is computed from the number of a site takes few values where there are
    many sites.
    """
    if any(isinstance(value.owner, sym.IndexOp) for value in values):
        return {}  # the numbers are asked for themselves
    order: dict[SSAValue, None] = {}
    for value in values:
        order.update(dict.fromkeys(operands_first(value, known=order)))
    columns = {site: column_of(term, site) for site in term.sites}
    sites = {site: own[:, None] for site, own in columns.items() if own is not None}
    rows = Points(term, sites, {}, np.ones((1, 1), np.bool_))
    found: dict[SSAValue, Array] = {}
    used = set(values)
    for value in order:
        op = value.owner
        if isinstance(op, sym.IndexOp) or _is_computed(op, found):
            own = rows.evaluate(value)
            if own is not None:
                found[value] = own[:, 0]
                continue
        if isinstance(op, Operation):
            used.update(op.operands)
    return {
        value: own
        for value, own in found.items()
        if value in used and not isinstance(value.owner, sym.IndexOp)
    }


def _is_computed(op: Operation | Block, known: Container[SSAValue]) -> bool:
    """Whether an op of StableHLO computes something of what is known and constants."""
    return (
        isinstance(op, Operation)
        and is_scalar_op(op)
        and any(v in known for v in op.operands)
        and all(v in known or constant_of(v) is not None for v in op.operands)
    )


def _row_kinds(
    labels: Sequence[Array],
    spaces: Sequence[Array],
    indices: Sequence[Array],
    data: Sequence[Array],
) -> npt.NDArray[np.int64]:
    """Return one row of each kind: rows of a kind cannot be told apart by the values.

    Which labels alias, which local spaces their sites have, and the exact numbers and
    data that enter the computation make up a kind.
    """
    aliases = [
        (a == b).astype(np.int64) for k, a in enumerate(labels) for b in labels[:k]
    ]
    bits = [part for column in data for part in bits_of(column)]
    rows = len(labels[0]) if labels else 0
    return kinds_of_rows([*aliases, *spaces, *indices, *bits], rows)[1]
