"""A small operator in place of a large one that fails: delta debugging on its IR.

What is tried is what an operator is made of: terms, rows, emissions, claims, local
values, and each value, which becomes one that it is computed from, or a constant. After
every step the text of the operator is read again and has to fail in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import (
    ArrayAttr,
    TensorType,
)
from xdsl.ir import Operation, SSAValue
from xdsl.transforms.common_subexpression_elimination import cse
from xdsl.transforms.dead_code_elimination import dce

from dialects import sym
from dialects.stablehlo import constant, constant_of, element_of
from dialects.tables import NO_SITE, LocalSpace, RowTable, SiteSets
from symir.errors import InputError, SymirError
from symir.ir import SymbolicOperatorIR
from symir.language.scalars import is_bool, is_count
from symir.operator import SymbolicOperator
from symir.validation.bisection import bisect
from symir.validation.check import operator_of

__all__ = ["CHECKS", "Reduction", "Size", "blamed_pass", "error_code", "reduced"]

CHECKS = 1000
"""Operators that are tried by default."""

Failure = Hashable
Check = Callable[[SymbolicOperator], Failure | None]
Edit = Callable[[sym.OperatorOp], None]
"""Changes an operator in place; it may leave invalid IR, which is not taken."""


# region Results


@dataclass(frozen=True)
class Size:
    """Size of an operator, which is to become small."""

    terms: int
    rows: int
    emissions: int
    ops: int
    sites: int

    @classmethod
    def of(cls, ir: SymbolicOperatorIR) -> Size:
        """Return the size of an operator."""
        terms = ir.operator.terms
        return cls(
            terms=len(terms),
            rows=sum(term.rows.data.rows for term in terms),
            emissions=sum(len(term.emissions) for term in terms),
            ops=sum(1 for _ in ir.operator.walk()) - 1 - len(terms),
            sites=ir.hilbert_size,
        )

    def __str__(self) -> str:
        return (
            f"{self.terms} term(s), {self.rows} row(s), {self.emissions} emission(s), "
            f"{self.ops} op(s), {self.sites} site(s)"
        )


@dataclass(frozen=True)
class Reduction:
    """A small operator that fails as the one that it was made of.

    Attributes:
        ir: the operator.
        failure: how it fails, as the check says.
        checks: how many operators were tried.
        before: the size of the operator that it was made of.
        is_minimal: whether no single step makes it smaller; else there were too few
            checks.
    """

    ir: SymbolicOperatorIR
    failure: Failure
    checks: int
    before: Size
    is_minimal: bool

    @property
    def after(self) -> Size:
        """The size of the small operator."""
        return Size.of(self.ir)

    @property
    def text(self) -> str:
        """The text of the small operator: what a .mlir file holds."""
        return self.ir.text() + "\n"

    def __str__(self) -> str:
        end = "" if self.is_minimal else ", which were too few to be done"
        return (
            f"{self.ir.operator_name}: {self.before}\n  -> {self.after}\n"
            f"  fails as before ({self.failure}), after {self.checks} checks{end}"
        )


# endregion
# region How operators fail


def error_code(run: Callable[[SymbolicOperator], object]) -> Check:
    """Return the check whether something raises: how is the code, or the exception."""

    def check(operator: SymbolicOperator) -> Failure | None:
        try:
            run(operator)
        except SymirError as error:
            pass_name = getattr(error, "pass_name", None)
            return f"{error.code} in {pass_name}" if pass_name else error.code
        except Exception as error:
            return type(error).__name__
        return None

    return check


def blamed_pass(
    parameters: Mapping[str, complex] | None = None, **options: Any
) -> Check:
    """Return the check by `bisect` with options: how is the pass, and what it does.

    `parameters` may be more than an operator has.
    """

    def check(operator: SymbolicOperator) -> Failure | None:
        names = {symbol.name for symbol in operator.symbols}
        given = parameters and {k: v for k, v in parameters.items() if k in names}
        found = bisect(operator, parameters=given, **options)
        if found.error is not None:
            return f"{found.error.code} in {found.pass_name}"
        if found.stage is None or found.stage.difference is None:
            return None
        return f"another {found.stage.difference.what} after {found.pass_name}"

    return check


# endregion


def reduced(
    op: SymbolicOperator | SymbolicOperatorIR,
    check: Check,
    *,
    checks: int = CHECKS,
    progress: Callable[[int, Size], None] | None = None,
) -> Reduction:
    """Make an operator smaller as long as it fails in the same way.

    Args:
        op: the operator; what is tried are operators made from its text, which knows no
            predicates of spaces and no lines of Python.
        check: says how an operator fails: equal values for equal failures, None or
            False where it does not. Where it raises for a smaller operator, that is
            another failure. See `error_code` and `blamed_pass`.
        checks: how often it is asked at most.
        progress: gets the number of checks so far and the size after each step.

    Raises:
        InputError: where the operator does not fail to begin with (C070), and for
            checks that are no positive number (C071).
    """
    if not is_count(checks, 1):
        raise InputError(
            "C071",
            "an operator cannot be reduced with so many checks",
            expected="a positive integer",
            found=repr(checks),
        )
    ir, *_ = operator_of(op)
    search = _Search(ir, check, checks, progress)
    try:
        while search.round():
            pass
    except _OutOfChecks:
        return search.result(is_minimal=False)
    return search.result(is_minimal=True)


class _OutOfChecks(Exception):
    """The check was asked as often as it may be."""


class _Search:
    """The smallest operator so far, and what it is tried to become."""

    def __init__(
        self,
        ir: SymbolicOperatorIR,
        check: Check,
        checks: int,
        progress: Callable[[int, Size], None] | None,
    ):
        self._check = check
        self._limit = checks
        self._progress = progress
        self._done = 0
        self._before = Size.of(ir)
        self._best = ir
        self._seen = {ir.static_fingerprint()}
        failure = self._failure_of(ir.text())
        if failure is None:
            raise InputError(
                "C070",
                "the operator does not fail, so there is nothing to reduce",
                operator=ir.operator_name,
                expected="an operator whose text fails the check",
                found="it does not",
                hint="the text of an operator knows neither predicates of its space "
                "nor how its parameters are bound",
            )
        self._failure = failure

    @property
    def operator(self) -> sym.OperatorOp:
        return self._best.operator

    def result(self, *, is_minimal: bool) -> Reduction:
        return Reduction(
            self._best, self._failure, self._done, self._before, is_minimal
        )

    def _failure_of(self, text: str) -> Failure | None:
        if self._done >= self._limit:
            raise _OutOfChecks
        self._done += 1
        # What is checked is what will be written
        ir = SymbolicOperatorIR.from_text(text)
        failure = self._check(SymbolicOperator.from_ir(ir))
        return None if is_bool(failure) and not failure else failure

    def attempt(self, edit: Edit) -> bool:
        """Make an edit, and keep it where the operator still fails as it did."""
        module = self._best.module
        operator = cast(sym.OperatorOp, module.body.block.first_op)
        edit(operator)
        try:
            dce(module)
            ir = SymbolicOperatorIR.owning(module)
            mark = ir.static_fingerprint()
        except (SymirError, ValueError, AttributeError):
            return False
        if mark in self._seen:
            return False
        self._seen.add(mark)
        try:
            failure = self._failure_of(ir.text())
        except _OutOfChecks:
            raise
        except Exception:
            return False
        if failure != self._failure:
            return False
        self._best = ir
        if self._progress is not None:
            self._progress(self._done, Size.of(ir))
        return True

    def round(self) -> bool:
        """Try everything once; return whether anything became smaller."""
        start = self._best
        self._fewer(len(self.operator.terms), _keeping_terms)
        for term in range(len(self.operator.terms)):
            rows = self.operator.terms[term].rows.data.rows
            self._fewer(rows, lambda kept, term=term: _keeping_rows(term, kept))
        for term in range(len(self.operator.terms)):
            emissions = len(self.operator.terms[term].emissions)
            self._fewer(
                emissions, lambda kept, term=term: _keeping_emissions(term, kept)
            )
        for edits in (_claims, _values, _repetitions, _arguments, _spaces):
            self._each(edits)
        return self._best is not start

    def _fewer(self, count: int, keeping: Callable[[Sequence[int]], Edit]) -> None:
        """Keep as few of so many things as possible: the algorithm ddmin.

        See Zeller and Hildebrandt, IEEE Trans. Softw. Eng. 28 (2002) 183.
        """
        parts = 2
        while count > 1:
            bounds = np.linspace(0, count, parts + 1).astype(int).tolist()
            for first, last in pairwise(bounds):
                kept = [*range(first), *range(last, count)]
                if self.attempt(keeping(kept)):
                    count, parts = len(kept), max(parts - 1, 2)
                    break
            else:
                if parts == count:
                    return
                parts = min(2 * parts, count)

    def _each(self, edits: Callable[[sym.OperatorOp], Iterator[Edit]]) -> None:
        """Make those of some edits that can be made; what is next follows from them."""
        number = 0
        while True:
            following = list(edits(self.operator))[number:]
            if not following:
                return
            for edit in following:
                if self.attempt(edit):
                    break
                number += 1


# region Fewer things


def _keeping_terms(kept: Sequence[int]) -> Edit:
    def edit(operator: sym.OperatorOp) -> None:
        terms = operator.terms
        for number in set(range(len(terms))) - set(kept):
            _erase(terms[number])
        _forget_lanes(operator)

    return edit


def _keeping_rows(term: int, kept: Sequence[int]) -> Edit:
    numbers = np.asarray(kept, np.int64)

    def edit(operator: sym.OperatorOp) -> None:
        one = operator.terms[term]
        one.properties["rows"] = sym.RowsAttr(one.rows.data.of_rows(numbers))
        if one.columns is not None:
            one.properties["columns"] = ArrayAttr(
                column.of_rows(numbers) for column in one.data_columns
            )
        if one.sets is not None:
            one.properties["sets"] = ArrayAttr(
                sym.SetsAttr(sets.data.of_rows(numbers)) for sets in one.site_sets
            )
        _forget_lanes(operator)

    return edit


def _keeping_emissions(term: int, kept: Sequence[int]) -> Edit:
    def edit(operator: sym.OperatorOp) -> None:
        emissions = operator.terms[term].emissions
        for number in set(range(len(emissions))) - set(kept):
            _erase(emissions[number])
        _forget_lanes(operator)

    return edit


def _forget_lanes(operator: sym.OperatorOp) -> None:
    operator.origins = None


def _erase(op: Operation) -> None:
    op.detach()
    op.erase()


# endregion
# region Claims


def _claims(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what takes back claims, promises, names of emissions and predicates."""
    for name in ("hermitian", "not_hermitian", "projected"):
        if name in operator.properties:
            yield lambda op, name=name: _without(op, name)
    for number, term in enumerate(operator.terms):
        if term.fanout is not None:
            yield lambda op, number=number: _without(op.terms[number], "fanout")
        for place, emission in enumerate(term.emissions):
            if emission.predicate is not None:
                yield lambda op, number=number, place=place: _always(
                    op.terms[number].emissions[place]
                )
            if emission.tag is not None:
                yield lambda op, number=number, place=place: _without(
                    op.terms[number].emissions[place], "tag"
                )


def _without(op: Operation, name: str) -> None:
    del op.properties[name]


def _always(op: sym.EmitOp) -> None:
    block = op.parent_block()
    assert block is not None
    tag = None if op.tag is None else op.tag.data
    new = sym.EmitOp(op.config, op.amplitude, tag=tag)
    block.insert_op_before(new, op)
    _erase(op)


# endregion
# region Values


def _values(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what puts simpler values in the place of results, the last first."""
    ops = list(operator.walk())
    for number in reversed(range(len(ops))):
        op = ops[number]
        if isinstance(op, sym.EmitOp):
            yield from _constants_of(number, op.amplitude, operand=1)
        if len(op.results) != 1:
            continue
        result = op.results[0]
        for place, operand in enumerate(op.operands):
            if operand.type == result.type:
                yield lambda o, n=number, k=place: _bypass(o, n, k)
        if isinstance(result.type, sym.SiteType):
            term = _term_of(op)
            for place in range(len(term.sites)):
                yield lambda o, n=number, k=place: _be_label(o, n, k)
        yield from _constants_of(number, result)


def _repetitions(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what makes one of ops that compute the same."""
    yield cse


def _constants_of(
    number: int, value: SSAValue, operand: int | None = None
) -> Iterator[Edit]:
    """Yield what makes a constant of a scalar: 1 or 0, also of an operand alone."""
    if not isinstance(value.type, TensorType):
        return
    found = constant_of(value)
    if found is not None and found.item() in (0, 1):
        return
    for scalar in (1, 0):
        yield lambda o, n=number, s=scalar: _be_constant(o, n, s, operand)


def _at(operator: sym.OperatorOp, number: int) -> Operation:
    return list(operator.walk())[number]


def _term_of(op: Operation) -> sym.TermOp:
    while not isinstance(op, sym.TermOp):
        parent = op.parent_op()
        assert parent is not None
        op = parent
    return op


def _bypass(operator: sym.OperatorOp, number: int, operand: int) -> None:
    op = _at(operator, number)
    op.results[0].replace_all_uses_with(op.operands[operand])


def _be_label(operator: sym.OperatorOp, number: int, label: int) -> None:
    op = _at(operator, number)
    op.results[0].replace_all_uses_with(_term_of(op).sites[label])


def _be_constant(
    operator: sym.OperatorOp, number: int, scalar: int, operand: int | None
) -> None:
    op = _at(operator, number)
    value = op.results[0] if operand is None else op.operands[operand]
    new = constant(np.asarray(scalar), element_of(value))
    block = op.parent_block()
    assert block is not None
    block.insert_op_before(new, op)
    if operand is None:
        value.replace_all_uses_with(new.results[0])
        new.results[0].name_hint = None  # a constant is not what it stands for
    else:
        op.operands[operand] = new.results[0]


# endregion
# region Arguments


def _arguments(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what leaves out parameters, labels, data and sets, or makes them 1."""
    for number, argument in enumerate(operator.body.block.args):
        if argument.uses.get_length():
            yield lambda op, n=number: _be_one(op.body.block.args[n], op.terms)
        else:
            yield lambda op, n=number: _without_parameter(op, n)
    for place, term in enumerate(operator.terms):
        labels, columns = len(term.sites), len(term.data_columns)
        for number, argument in enumerate(term.body.block.args):
            if number == 0:
                continue
            if argument.uses.get_length():
                if isinstance(argument.type, TensorType):
                    yield lambda op, p=place, n=number: _be_one(
                        op.terms[p].body.block.args[n], [op.terms[p]]
                    )
            elif number <= labels:
                yield lambda op, p=place, n=number: _without_label(op.terms[p], n - 1)
            elif number <= labels + columns:
                yield lambda op, p=place, n=number, k=labels: _without_entry(
                    op.terms[p], "columns", n, n - 1 - k
                )
            else:
                yield lambda op, p=place, n=number, k=labels + columns: _without_entry(
                    op.terms[p], "sets", n, n - 1 - k
                )


def _be_one(argument: SSAValue, terms: Sequence[sym.TermOp]) -> None:
    """Make a constant of an argument, one for each of the terms that may use it."""
    for term in terms:
        new = constant(np.asarray(1), element_of(argument))
        first = term.body.block.first_op
        assert first is not None
        term.body.block.insert_op_before(new, first)
        for use in list(argument.uses):
            if _term_of(use.operation) is term:
                use.operation.operands[use.index] = new.results[0]


def _without_parameter(operator: sym.OperatorOp, number: int) -> None:
    block = operator.body.block
    block.erase_arg(block.args[number])
    for name in ("parameter_names", "defaults"):
        entries = list(cast(ArrayAttr[Any], operator.properties[name]))
        del entries[number]
        operator.properties[name] = ArrayAttr(entries)


def _without_label(term: sym.TermOp, label: int) -> None:
    block = term.body.block
    block.erase_arg(block.args[1 + label])
    table = np.delete(term.rows.data.array, label, axis=1)
    term.properties["rows"] = sym.RowsAttr(RowTable.from_rows(table))


def _without_entry(term: sym.TermOp, name: str, argument: int, entry: int) -> None:
    block = term.body.block
    block.erase_arg(block.args[argument])
    entries = list(cast(ArrayAttr[Any], term.properties[name]))
    del entries[entry]
    if entries:
        term.properties[name] = ArrayAttr(entries)
    else:
        del term.properties[name]


# endregion
# region Space


def _spaces(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what leaves out conserved sums, sites of no row, and local values."""
    space = operator.space.data
    for number in range(len(space.sums)):
        fewer = (*space.sums[:number], *space.sums[number + 1 :])
        yield _in_space(replace(space, sums=fewer))
    if not space.sums:
        used = _sites_of(operator)
        unused = [site for site in range(space.sites) if site not in used]
        # All at once, or the last ones, which computed sites may depend on less
        for kept in (used, [*used, *unused[: len(unused) // 2]], [*used, *unused[:-1]]):
            if 0 < len(kept) < space.sites:
                yield _on_sites(sorted(kept))
    for kind, states in enumerate(space.local_states):
        for dropped in reversed(states) if len(states) > 1 else ():
            left = tuple(value for value in states if value != dropped)
            others = list(space.local_states)
            others[kind] = left
            yield _in_space(replace(space, local_states=tuple(others)))


def _in_space(space: LocalSpace) -> Edit:
    def edit(operator: sym.OperatorOp) -> None:
        operator.properties["space"] = sym.SpaceAttr(space)

    return edit


def _sites_of(operator: sym.OperatorOp) -> list[int]:
    """Return the sites of rows and sets, in order."""
    tables = [term.rows.data.array for term in operator.terms]
    tables += [sets.data.array for t in operator.terms for sets in t.site_sets]
    found = np.unique(np.concatenate([table.ravel() for table in tables]))
    return [site for site in found.tolist() if site != NO_SITE]


def _on_sites(kept: Sequence[int]) -> Edit:
    """Return what leaves some sites, and numbers them anew."""

    def edit(operator: sym.OperatorOp) -> None:
        space = operator.space.data
        numbers = np.full(space.sites + 1, NO_SITE, np.int32)  # the last is NO_SITE's
        numbers[list(kept)] = np.arange(len(kept))
        states = space.local_states
        if not space.is_uniform:
            states = tuple(states[site] for site in kept)
            states = states[:1] if len(set(states)) == 1 else states
        operator.properties["space"] = sym.SpaceAttr(LocalSpace(len(kept), states))
        for term in operator.terms:
            rows = RowTable.from_rows(
                numbers[term.rows.data.array], term.rows.data.labels
            )
            term.properties["rows"] = sym.RowsAttr(rows)
            if term.sets is not None:
                term.properties["sets"] = ArrayAttr(
                    sym.SetsAttr(_renumbered(sets.data, numbers))
                    for sets in term.site_sets
                )

    return edit


def _renumbered(sets: SiteSets, numbers: Any) -> SiteSets:
    return SiteSets(sets.rows, sets.width, numbers[sets.array].astype("<i4").tobytes())


# endregion
