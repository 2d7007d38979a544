"""Products of operators, at the `sym` level.

<x|A B|x'> = sum_y <x|A|y> <y|B|x'>: for each row and emission of A, with x' = y, every
row and emission of B with y for its source. Configurations are immutable values, so
the body of B is copied with another source, and nothing else changes.

A branch of A only counts where y is in the space. So A is guarded first, by the passes
that guard every operator: its predicates then say all that the final x' is asked for,
and its amplitudes are NaN where y has other conserved sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from xdsl.builder import Builder
from xdsl.dialects.builtin import ModuleOp, StringAttr, TensorType, i32
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.rewriter import InsertPoint
from xdsl_jax.dialects import stablehlo as hlo

from dialects import stablehlo, sym
from dialects.tables import RowTable
from lowering.rewriting import Inserter
from symir.compiler.lowering import run_passes
from symir.errors import user_location
from symir.language.codes import Mistake
from symir.language.definitions import OperatorDefinition
from symir.language.translate import element_type, without_terms
from symir.operator import algebra
from symir.operator.terms import Term, names_of

if TYPE_CHECKING:
    from symir.operator.symbolic_operator import SymbolicOperator

MAX_BRANCHES = 10**7
"""A product may have so many rows times emissions: tables are as long as that."""

MAX_POWER = 16
"""A power is written out, as a product of so many operators at most."""

_WRITES_ONLY = (
    "sym-expand-updates,sym-forward-reads,stablehlo-fold-constants,canonicalize,cse"
)
NORMAL_FORM = f"sym-guard-undefined,{_WRITES_ONLY}"
"""Passes that make terms read x, and write it, while nothing is undefined."""

GUARD_SPACE = f"{_WRITES_ONLY},sym-guard-space"
"""Passes that make the checks of a space explicit, in a fully defined operator."""

Copies = dict[SSAValue, SSAValue]
"""Value in a copy for each value of the original."""


def checked_power(exponent: object, operator: str) -> int:
    """Return the exponent of an operator.

    Raises:
        DefinitionError: for anything but an integer from 0 to MAX_POWER (D081).
    """
    if type(exponent) is int and 0 <= exponent <= MAX_POWER:
        return exponent
    raise Mistake.BAD_POWER.error(
        "operators have whole powers",
        operator=operator,
        expected=f"an integer from 0 to {MAX_POWER}",
        found=repr(exponent),
    )


def product(
    first: SymbolicOperator,
    second: SymbolicOperator,
    name: str,
    *,
    declared_hermitian: bool | None = None,
) -> ModuleOp:
    """Return the product of two operators under a name.

    Each pair of terms is a term. Its rows are all pairs of rows, those of the first
    operand major; so are its emissions in each row. A promised fanout stays: there are
    no more valid branches than the product of both numbers of lanes.

    Raises:
        DefinitionError: when the operands act on different spaces (D031), declare a
            symbol in two ways (D026), one of them is projected (D052), or there are
            more than MAX_BRANCHES branches (D080).
    """
    _check_size(first, second)
    symbols = algebra.common_symbols((first, second), "product")
    dtype = np.result_type(first.dtype, second.dtype)
    definition = OperatorDefinition(
        name,
        first.space,
        dtype,
        declared_hermitian,
        (),
        symbols,
        user_location(),
        is_projected=first.is_projected,
    )
    element = element_type(dtype)
    module, owner, parameters = without_terms(definition)
    left = algebra.in_precision(first.to_ir().module, element)
    left = run_passes(defined(left), GUARD_SPACE)
    left_terms = algebra.taken(left, parameters)
    right = algebra.in_precision(second.to_ir().module, element)
    right_terms = algebra.taken(right, parameters)
    algebra.add_terms(
        owner, [_product(a, b, element) for a in left_terms for b in right_terms]
    )
    return module


def _check_size(first: SymbolicOperator, second: SymbolicOperator) -> None:
    sizes = [sum(map(_branches, operator.terms)) for operator in (first, second)]
    if sizes[0] * sizes[1] <= MAX_BRANCHES:
        return
    raise Mistake.TOO_MANY_BRANCHES.error(
        "the product has too many branches",
        operator=first.name,
        expected=f"at most {MAX_BRANCHES} pairs of branches",
        found=f"{sizes[0]} of '{first.name}' times {sizes[1]} of '{second.name}'",
        hint="apply one operator after the other, or write the product as terms of "
        "its own",
    )


def _branches(term: Term) -> int:
    return term.rows.rows * term.emissions


# region Undefined values


def defined(module: ModuleOp) -> ModuleOp:
    """Return an operator in which nothing that a valid branch needs is undefined.

    Where a computed site does not exist it is replaced by one that does: passes that
    merge the two sides of a choice compare the sites of both.
    """
    guarded = run_passes(module, "sym-guard-undefined")
    for op in list(guarded.walk()):
        if isinstance(op, sym.SiteOp):
            _replace_missing(op)
    return guarded


def _replace_missing(site: sym.SiteOp) -> None:
    """Take site 0 where the lattice has no site of a number."""
    at, number = Inserter.before(site), site.number
    last = sym.operator_of(site).space.data.sites - 1
    element = cast("TensorType[Attribute]", number.type).element_type
    known = stablehlo.constant_of(number)
    if known is not None and known in range(last + 1):
        return
    ends = [at.add(stablehlo.constant(np.array(end), element)) for end in (0, last)]
    exists = at.add(
        stablehlo.AndOp(
            at.add(stablehlo.compare("GE", number, ends[0])),
            at.add(stablehlo.compare("LE", number, ends[1])),
        )
    )
    if element != i32:
        floor = at.add(hlo.FloorOp(number))
        is_whole = at.add(stablehlo.compare("EQ", floor, number))
        exists = at.add(stablehlo.AndOp(exists, is_whole))
    site.operands[0] = at.add(stablehlo.select(exists, number, ends[0]))


# endregion
# region Terms


class _Branch(NamedTuple):
    """Operands of an emission, in a copy."""

    config: SSAValue
    amplitude: SSAValue
    predicate: SSAValue | None


def _product(a: sym.TermOp, b: sym.TermOp, element: Attribute) -> sym.TermOp:
    """Return the product of two terms; both stay as they are."""
    term, (of_a, of_b) = _without_body(a, b)
    copy_body(a, of_a, term.body.block)
    for outer in a.emissions:
        middle = _branch(outer, of_a)
        from_there = of_b | {b.source: middle.config}
        copy_body(b, from_there, term.body.block)
        for inner in b.emissions:
            tags = [e.tag.data for e in (outer, inner) if e.tag is not None]
            emission = _emission(
                middle,
                _branch(inner, from_there),
                element,
                Inserter(Builder(InsertPoint.at_end(term.body.block)), inner.location),
            )
            emission.tag = StringAttr(".".join(tags)) if tags else None
    return term


def copy_body(term: sym.TermOp, copies: Copies, block: Block) -> None:
    """Copy what a term computes, but for its emissions, to the end of a block."""
    for op in term.body.block.ops:
        if not isinstance(op, sym.EmitOp):
            block.add_op(op.clone(copies))


def _branch(emission: sym.EmitOp, copies: Copies) -> _Branch:
    config, amplitude, *predicate = (copies.get(v, v) for v in emission.operands)
    return _Branch(config, amplitude, predicate[0] if predicate else None)


def _emission(
    outer: _Branch, inner: _Branch, element: Attribute, at: Inserter
) -> sym.EmitOp:
    """Insert the emission of one branch after the other, without a tag."""
    amplitudes = [
        value
        if value.type == stablehlo.tensor(element)
        else at.add(stablehlo.convert(value, element))
        for value in (outer.amplitude, inner.amplitude)
    ]
    amplitude = at.add(stablehlo.MultiplyOp(amplitudes[0], amplitudes[1]))
    predicate = inner.predicate if outer.predicate is None else outer.predicate
    if outer.predicate is not None and inner.predicate is not None:
        predicate = at.add(stablehlo.AndOp(outer.predicate, inner.predicate))
    emission = sym.EmitOp(inner.config, amplitude, predicate)
    at.add_op(emission)
    return emission


def _without_body(
    a: sym.TermOp, b: sym.TermOp
) -> tuple[sym.TermOp, tuple[Copies, Copies]]:
    """Return a term with all pairs of rows; and its arguments for those of both.

    The source of the second term is left open.
    """
    rows = a.rows.data.rows, b.rows.data.rows
    kept = (
        np.repeat(np.arange(rows[0]), rows[1]),
        np.tile(np.arange(rows[1]), rows[0]),
    )
    table = np.hstack([t.rows.data.array[k] for t, k in zip((a, b), kept, strict=True)])
    labels = table.shape[1]
    columns = [
        column.of_rows(k)
        for term, k in zip((a, b), kept, strict=True)
        for column in term.data_columns
    ]
    names = names_of([column.label.data for column in columns])
    columns = [
        sym.ColumnAttr(StringAttr(name), column.values)
        for name, column in zip(names, columns, strict=True)
    ]
    sets = [
        sym.SetsAttr(own.data.of_rows(k))
        for term, k in zip((a, b), kept, strict=True)
        for own in term.site_sets
    ]
    parts = [_arguments(term) for term in (a, b)]
    ordered = [*chain(*(chain(*pair) for pair in zip(*parts, strict=True)))]
    block = Block(arg_types=[a.source.type, *(value.type for value in ordered)])
    _name(block, [a.source, *ordered])
    new: Copies = dict(zip(ordered, block.args[1:], strict=True))
    copies: list[Copies] = [{v: new[v] for v in chain(*part)} for part in parts]
    lanes, branches = a.lanes * b.lanes, a.branches * b.branches
    term = sym.TermOp(
        f"{a.sym_name.data}.{b.sym_name.data}",
        sym.RowsAttr(RowTable.from_rows(table.astype(np.int32), labels)),
        block,
        columns,
        sets,
        lanes if lanes < branches else None,
    )
    term.location = a.location
    return term, (copies[0] | {a.source: block.args[0]}, copies[1])


def _arguments(term: sym.TermOp) -> tuple[Sequence[SSAValue], ...]:
    """Return the block arguments after the source: sites, columns, and sets."""
    first = 1 + len(term.sites)
    second = first + len(term.data_columns)
    arguments = term.body.block.args
    return arguments[1:first], arguments[first:second], arguments[second:]


def _name(block: Block, originals: Sequence[SSAValue]) -> None:
    """Give block arguments the names of others, each only once."""
    hints = [value.name_hint or "v" for value in originals]
    for argument, hint in zip(block.args, names_of(hints), strict=True):
        argument.name_hint = hint


# endregion
