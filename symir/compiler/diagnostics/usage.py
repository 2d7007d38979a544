"""Diagnostics that need no numbers: what is not used, and what is there twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from xdsl.ir import SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from lowering.sym.sym_fuse_terms import structure
from symir.compiler.diagnostics.diagnostic import Diagnostic, diagnostic_of, label_of


def usage_diagnostics(operator: sym.OperatorOp) -> Iterator[Diagnostic]:
    """Find what no emission needs, and branches and terms that are there twice."""
    used = set[SSAValue]()
    for term in operator.terms:
        needed = _needed(term)
        used |= needed
        yield from _unused(term, needed)
        yield from _repeated_emissions(term)
        yield from _idle_fanout(term)
    yield from _unused_parameters(operator, used)
    yield from _repeated_terms(operator)
    yield from _separate_diagonal(operator)


# region What is not used


def _needed(term: sym.TermOp) -> set[SSAValue]:
    """Return the values that the emissions of a term need."""
    needed = set[SSAValue]()
    for op in reversed(list(term.body.block.ops)):
        if isinstance(op, sym.EmitOp) or not needed.isdisjoint(op.results):
            needed.update(*(inner.operands for inner in op.walk()))
    return needed


def _unused(term: sym.TermOp, needed: set[SSAValue]) -> Iterator[Diagnostic]:
    labels, columns = len(term.sites), len(term.data_columns)
    for place, argument in enumerate(term.body.block.args[1:]):
        if argument in needed:
            continue
        name = label_of(term, argument)
        if place < labels:
            yield diagnostic_of(
                term,
                "W010",
                f"no emission of the term uses the label '{name}'",
                hint="the same branches are emitted for each of its sites",
            )
        elif place < labels + columns:
            column = term.data_columns[place - labels].label.data
            yield diagnostic_of(
                term,
                "W011",
                f"no emission of the term uses the data '{column}'",
                hint=f"read it as row('{column}'), or leave it out",
            )
        else:
            yield diagnostic_of(
                term,
                "W012",
                f"no emission of the term uses the site set '{name}'",
                hint="use it in a reduction or in flip_set, or leave it out",
            )


def _unused_parameters(
    operator: sym.OperatorOp, used: set[SSAValue]
) -> Iterator[Diagnostic]:
    names = (name.data for name in operator.parameter_names)
    for name, argument in zip(names, operator.body.block.args, strict=True):
        if argument not in used:
            yield diagnostic_of(
                operator,
                "W013",
                f"no emission depends on the parameter '{name}'",
                hint="its value changes nothing: leave it out, or use it",
            )


def _idle_fanout(term: sym.TermOp) -> Iterator[Diagnostic]:
    if term.fanout is None or term.fanout.value.data < term.branches:
        return
    yield diagnostic_of(
        term,
        "W019",
        "the fanout promises no less than the term has branches",
        found=f"fanout {term.fanout.value.data} of {term.branches} branches",
        hint="it saves nothing, and keeps the term from being fused: leave it out",
    )


def _separate_diagonal(operator: sym.OperatorOp) -> Iterator[Diagnostic]:
    """Find lanes that all lead back to x, and could be one."""
    lanes = sum(term.lanes for term in operator.terms)
    diagonal = sum(map(_diagonal_lanes, operator.terms))
    if diagonal < 2 or 5 * (diagonal - 1) < lanes:
        return
    yield diagnostic_of(
        operator,
        "W020",
        "a fifth of the lanes or more would be one: their emissions write nothing",
        found=f"{diagonal} of {lanes} lanes have x' = x: {lanes - diagonal + 1} would "
        "be left",
        hint='compile(coalesce="diagonal") sums them, and the matrix stays the same',
    )


def _diagonal_lanes(term: sym.TermOp) -> int:
    """Return how many lanes of a term are known to hold no write."""
    found = [emission.config is term.source for emission in term.emissions]
    if term.lanes < term.branches:
        # Which branches its lanes hold depends on x
        return term.lanes if all(found) else 0
    return sum(found) * term.rows.data.rows


# endregion
# region What is there twice


def _repeated_emissions(term: sym.TermOp) -> Iterator[Diagnostic]:
    # Equal parts of a term are one SSA value
    first_of: dict[Hashable, sym.EmitOp] = {}
    for second in term.emissions:
        first = first_of.setdefault((second.config, second.predicate), second)
        if first is second:
            continue
        is_same = first.amplitude is second.amplitude
        other = diagnostic_of(first, "", "").emission
        yield diagnostic_of(
            second,
            "W014",
            f"the emission makes the same branch as '{other}'"
            + (", with the same amplitude" if is_same else ""),
            severity="warning" if is_same else "note",
            hint="both count: was this meant to be another branch?"
            if is_same
            else "one emission with the sum of the amplitudes is half the lanes",
        )


def _repeated_terms(operator: sym.OperatorOp) -> Iterator[Diagnostic]:
    first_of: dict[Hashable, sym.TermOp] = {}
    for term in operator.terms:
        first = first_of.setdefault(_key_of(term), term)
        if first is not term:
            yield diagnostic_of(
                term,
                "W015",
                f"the term is the same as '{first.sym_name.data}'",
                hint="both count: multiply the amplitude by 2 if that is meant",
            )


def _key_of(term: sym.TermOp) -> Hashable:
    """Return what two terms share where they compute the same in the same way."""
    # The structure has places for constants, in whose order they are used
    constants = [
        operand.owner.properties["value"]
        for op in term.body.walk()
        for operand in op.operands
        if isinstance(operand.owner, hlo.ConstantOp)
    ]
    tables = (term.rows, term.columns, term.sets, term.fanout)
    tags = (emission.tag for emission in term.emissions)
    return (*tables, structure(term), *constants, *tags)


# endregion
