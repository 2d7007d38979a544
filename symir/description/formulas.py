"""Formulas of scalars and sites of `sym`."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from xdsl.ir import Operation, SSAValue

from dialects import stablehlo, sym
from symir.description.notation import (
    Formula,
    Level,
    OpNotation,
    as_it_is,
    call,
    numbers,
    reading_of,
)


def is_reduction(value: SSAValue) -> bool:
    op = value.owner
    if isinstance(op, stablehlo.SelectOp):
        return _sign_of(op) is not None
    return isinstance(op, sym.ReduceOp)


def reading(value: SSAValue, visited: str) -> OpNotation:
    """Return how a scalar or a site is read; configurations are parts by their name.

    `visited` is what the site of a reduction is called.
    """
    op = value.owner
    if not isinstance(op, Operation):
        return OpNotation((), lambda: Formula(visited))
    match op:
        case sym.ReadOp():
            return OpNotation((op.config, op.site), _entry)
        case sym.IndexOp() | sym.SiteOp() | sym.OwnRuleOp():
            return OpNotation(tuple(op.operands), as_it_is)
        case sym.ElementOp():
            place = Formula(str(op.position.value.data))
            return OpNotation((op.sites,), partial(_entry, place=place))
        case sym.AllowedOp() | sym.DefinedOp():
            return OpNotation(tuple(op.operands), call(op.name.removeprefix("sym.")))
        case sym.LookupOp():
            table = Formula(numbers(stablehlo.to_numpy(op.table)))
            return OpNotation((op.index,), partial(_entry, table))
        case sym.ReduceOp():
            return _reduction(op, visited)
        case stablehlo.SelectOp() if reduced := _sign_of(op):
            counted = _reduction(reduced, visited, "count")
            return OpNotation(
                counted.parts, lambda *parts: _sign(counted.build(*parts))
            )
        case _:
            reading = reading_of(op)
            if len(op.results) == 1:
                return reading
            k = Formula(str(op.results.index(cast(Any, value))))
            return OpNotation(
                reading.parts, lambda *parts: _entry(reading.build(*parts), k)
            )


def _sign_of(op: stablehlo.SelectOp) -> sym.ReduceOp | None:
    """Return the parity that a select makes a sign of: -1 where it is odd, else 1."""
    predicate, on_true, on_false = op.operands
    reduced = predicate.owner
    if not isinstance(reduced, sym.ReduceOp):
        return None
    if reduced.kind.data is not sym.ReductionKind.PARITY:
        return None
    signs = stablehlo.constant_of(on_true), stablehlo.constant_of(on_false)
    if signs[0] is None or signs[1] is None:
        return None
    return reduced if signs[0] == -1 and signs[1] == 1 else None


def _sign(exponent: Formula) -> Formula:
    return Formula(f"(-1)**{exponent.text}", Level.POWER)


def _entry(table: Formula, place: Formula) -> Formula:
    return Formula(f"{table.text}[{place.text}]")


def _reduction(op: sym.ReduceOp, s: str, name: str | None = None) -> OpNotation:
    """Return how a reduction is read: `sum(x[s] for i < s < j)`."""
    function = name or op.kind.data.value
    body = cast(sym.YieldOp, op.body.block.last_op).value

    def over_set(value: Formula, sites: Formula) -> Formula:
        return Formula(f"{function}({value.text} for {s} in {sites.text})")

    def over_all(value: Formula) -> Formula:
        return Formula(f"{function}({value.text} for all {s})")

    if op.sites is not None:
        return OpNotation((body, op.sites), over_set)
    if op.start is None or op.stop is None:
        return OpNotation((body,), over_all)
    before = _one_before(op.start)
    sign = "<=" if before is None else "<"

    def over_range(value: Formula, start: Formula, stop: Formula) -> Formula:
        ends = start.at(Level.ADD), stop.at(Level.ADD)
        return Formula(f"{function}({value.text} for {ends[0]} {sign} {s} < {ends[1]})")

    return OpNotation((body, before or op.start, op.stop), over_range)


def _one_before(value: SSAValue) -> SSAValue | None:
    """Return a where a value is a + 1."""
    op = value.owner
    if not isinstance(op, stablehlo.AddOp):
        return None
    one = stablehlo.constant_of(op.operands[1])
    return op.operands[0] if one is not None and one == 1 else None


def conjuncts(predicate: SSAValue | None) -> list[SSAValue]:
    """Return the predicates that hold where this one does, each of them once."""
    found: list[SSAValue] = []
    seen = set[SSAValue]()
    stack = [] if predicate is None else [predicate]
    while stack:
        value = stack.pop()
        if value in seen:
            continue
        seen.add(value)
        if isinstance(value.owner, stablehlo.AndOp):
            stack += reversed(value.owner.operands)
            continue
        constant = stablehlo.constant_of(value)
        if constant is None or not constant:
            found.append(value)
    return found
