"""A small operator in place of a large one that fails: delta debugging on its IR.

What is tried is what an operator is made of: terms, rows, emissions, claims, local
values, and each value, which becomes one that it is computed from, or a constant. After
every step the text of the operator is read again and has to fail in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, TensorType
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.transforms.common_subexpression_elimination import cse
from xdsl.transforms.dead_code_elimination import dce

from dialects import sym
from dialects.stablehlo import constant, constant_of, element_of
from dialects.tables import NO_SITE, LocalSpace, RowTable
from symir.errors import InputError, SymirError
from symir.language.scalars import is_bool, is_count
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.symbolic_operator import SymbolicOperator
from symir.provenance import term_around
from symir.validation.bisection import bisect
from symir.validation.inputs import operator_of

if TYPE_CHECKING:
    from symir.runtime.compiled_operator import CompiledOperator
    from symir.runtime.local_energy import LocalEnergy

CHECKS = 1000
"""Operators that are tried by default."""

Failure = Hashable
Check = Callable[[SymbolicOperator], Failure | None]
Edit = Callable[[], object]
"""Changes an operator in place; it may leave invalid IR, which is not taken."""
Edits = Callable[[sym.OperatorOp], Iterator[Edit]]
"""Yields edits of an operator, of which one is made, while the iterator waits at it."""


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
    parameters: Mapping[str, complex] | None = None,
    energy: tuple[LocalEnergy, Any, Any] | None = None,
    **options: Any,
) -> Check:
    """Return the check by `bisect` with options: how is the pass, and what it does.

    `parameters` may be more than an operator has. `energy` is a local energy with
    parameters and x: what is bisected is that of the operator, for its wavefunction.
    """

    def check(operator: SymbolicOperator) -> Failure | None:
        if energy is not None:
            local, network, x = energy
            found = bisect(local.of(operator), network, x, **options)
        else:
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
    op: SymbolicOperator | CompiledOperator | SymbolicOperatorIR,
    check: Check,
    *,
    checks: int = CHECKS,
    progress: Callable[[int, Size], None] | None = None,
) -> Reduction:
    """Make an operator smaller as long as it fails in the same way.

    Args:
        op: the operator, such as that of a local energy; what is tried are operators
            made from its text, which knows no predicates of spaces and no lines of
            Python.
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

    def _copy(self) -> tuple[ModuleOp, sym.OperatorOp]:
        module = self._best.module
        return module, cast(sym.OperatorOp, module.body.block.first_op)

    def _keeps(self, module: ModuleOp) -> bool:
        """Keep an edited copy where it still fails as the operator did."""
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
        terms = self._best.operator.terms
        self._fewer(len(terms), lambda op, gone: _erase(op.terms, gone))
        terms = self._best.operator.terms
        for n, term in enumerate(terms):
            self._fewer(
                term.rows.data.rows,
                lambda op, gone, n=n: _without_rows(op.terms[n], gone),
            )
        for n, term in enumerate(terms):
            self._fewer(
                len(term.emissions),
                lambda op, gone, n=n: _erase(op.terms[n].emissions, gone),
            )
        for edits in (_claims, _values, _repetitions, _arguments, _spaces):
            self._each(edits)
        return self._best is not start

    def _fewer(
        self, count: int, leave_out: Callable[[sym.OperatorOp, Sequence[int]], None]
    ) -> None:
        """Keep as few of so many things as possible: the algorithm ddmin.

        See Zeller and Hildebrandt, IEEE Trans. Softw. Eng. 28 (2002) 183.
        """
        parts = 2
        while count > 1:
            bounds = np.linspace(0, count, parts + 1).astype(int).tolist()
            for first, last in pairwise(bounds):
                module, operator = self._copy()
                leave_out(operator, range(first, last))
                operator.origins = None
                if self._keeps(module):
                    count, parts = count - (last - first), max(parts - 1, 2)
                    break
            else:
                if parts == count:
                    return
                parts = min(2 * parts, count)

    def _each(self, edits: Edits) -> None:
        """Make those of some edits that can be made; what is next follows from them."""
        number = 0
        while True:
            module, operator = self._copy()
            edit = next(islice(edits(operator), number, None), None)
            if edit is None:
                return
            edit()
            number += not self._keeps(module)


# region Fewer things


def _erase(ops: Sequence[Operation], numbers: Sequence[int]) -> None:
    for number in numbers:
        ops[number].detach()
        ops[number].erase()


def _without_rows(term: sym.TermOp, gone: Sequence[int]) -> None:
    kept = np.delete(np.arange(term.rows.data.rows), gone)
    term.rows = sym.RowsAttr(term.rows.data.of_rows(kept))
    if term.columns is not None:
        term.columns = ArrayAttr(one.of_rows(kept) for one in term.data_columns)
    if term.sets is not None:
        sets = (sym.SetsAttr(one.data.of_rows(kept)) for one in term.site_sets)
        term.sets = ArrayAttr(sets)


# endregion
# region Claims


def _claims(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what takes back claims, promises, names of emissions and predicates."""
    for name in ("hermitian", "not_hermitian", "projected"):
        if name in operator.properties:
            yield partial(operator.properties.pop, name)
    for term in operator.terms:
        if term.fanout is not None:
            yield partial(term.properties.pop, "fanout")
        for emission in term.emissions:
            if emission.predicate is not None:
                yield partial(_drop_predicate, emission)
            if emission.tag is not None:
                yield partial(emission.properties.pop, "tag")


def _drop_predicate(op: sym.EmitOp) -> None:
    tag = None if op.tag is None else op.tag.data
    Rewriter.replace_op(op, sym.EmitOp(op.config, op.amplitude, tag=tag))


# endregion
# region Values


def _values(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what puts simpler values in the place of results, the last first."""
    for op in reversed(list(operator.walk())):
        if isinstance(op, sym.EmitOp):
            for scalar in _simpler(op.amplitude):
                yield partial(_set_to_constant, op.amplitude, scalar, op)
        if len(op.results) != 1:
            continue
        result = op.results[0]
        others = [operand for operand in op.operands if operand.type == result.type]
        if isinstance(result.type, sym.SiteType):
            others += sym.term_of(op).sites
        for other in others:
            yield partial(result.replace_all_uses_with, other)
        for scalar in _simpler(result):
            yield partial(_set_to_constant, result, scalar)


def _repetitions(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what makes one of ops that compute the same."""
    yield partial(cse, operator)


def _simpler(value: SSAValue) -> Sequence[int]:
    """Return what may take the place of a scalar: 1 and 0, unless it is one of them."""
    if not isinstance(value.type, TensorType):
        return ()
    found = constant_of(value)
    return (1, 0) if found is None or found.item() not in (0, 1) else ()


def _set_to_constant(
    value: SSAValue, scalar: int, user: sym.EmitOp | None = None
) -> None:
    """Make a constant of a value, or of the amplitude of one emission alone."""
    new = constant(np.asarray(scalar), element_of(value))
    op = user or value.owner
    assert isinstance(op, Operation)
    Rewriter.insert_op(new, InsertPoint.before(op))
    if user is not None:
        user.operands[1] = new.results[0]
        return
    value.replace_all_uses_with(new.results[0])
    new.results[0].name_hint = None  # a constant is not what it stands for


# endregion
# region Arguments


def _arguments(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what leaves out parameters, labels, data and sets, or makes them 1."""
    for argument in operator.body.block.args:
        if argument.uses.get_length():
            yield partial(_set_to_one, argument, operator.terms)
        else:
            named = ("parameter_names", "defaults")
            yield partial(_without_argument, operator, argument, named, argument.index)
    for term in operator.terms:
        labels, columns = len(term.sites), len(term.data_columns)
        for place, argument in enumerate(term.body.block.args[1:]):
            if argument.uses.get_length():
                if isinstance(argument.type, TensorType):
                    yield partial(_set_to_one, argument, [term])
            elif place < labels:
                yield partial(_without_label, term, argument)
            else:
                at, named = place - labels, ("columns",)
                if at >= columns:
                    at, named = at - columns, ("sets",)
                yield partial(_without_argument, term, argument, named, at)


def _set_to_one(argument: SSAValue, terms: Sequence[sym.TermOp]) -> None:
    """Make a constant of an argument, one for each of the terms that may use it."""
    for term in terms:
        new = constant(np.asarray(1), element_of(argument))
        Rewriter.insert_op(new, InsertPoint.at_start(term.body.block))
        for use in list(argument.uses):
            if term_around(use.operation) is term:
                use.operation.operands[use.index] = new.results[0]


def _without_argument(
    op: sym.OperatorOp | sym.TermOp,
    argument: BlockArgument,
    names: Sequence[str],
    place: int,
) -> None:
    """Leave out an argument with its entry in the properties of some names."""
    op.body.block.erase_arg(argument)
    for name in names:
        entries = list(cast(ArrayAttr[Any], op.properties.pop(name)))
        del entries[place]
        # A term without data or sets says nothing of them, an operator always
        if entries or isinstance(op, sym.OperatorOp):
            op.properties[name] = ArrayAttr(entries)


def _without_label(term: sym.TermOp, argument: BlockArgument) -> None:
    label = argument.index - 1
    term.body.block.erase_arg(argument)
    table = np.delete(term.rows.data.array, label, axis=1)
    term.rows = sym.RowsAttr(RowTable.from_rows(table))


# endregion
# region Space


def _spaces(operator: sym.OperatorOp) -> Iterator[Edit]:
    """Yield what leaves out conserved sums, sites of no row, and local values."""
    space = operator.space.data
    for number in range(len(space.sums)):
        fewer = (*space.sums[:number], *space.sums[number + 1 :])
        yield partial(_set_space, operator, replace(space, sums=fewer))
    if not space.sums:
        used = _sites_of(operator)
        unused = [site for site in range(space.sites) if site not in used]
        # All at once, or the last ones, which computed sites may depend on less
        for kept in (used, [*used, *unused[: len(unused) // 2]], [*used, *unused[:-1]]):
            if 0 < len(kept) < space.sites:
                yield partial(_keep_sites, operator, sorted(kept))
    for kind, states in enumerate(space.local_states):
        for dropped in reversed(states) if len(states) > 1 else ():
            others = list(space.local_states)
            others[kind] = tuple(value for value in states if value != dropped)
            yield partial(
                _set_space, operator, replace(space, local_states=tuple(others))
            )


def _set_space(operator: sym.OperatorOp, space: LocalSpace) -> None:
    operator.space = sym.SpaceAttr(space)


def _sites_of(operator: sym.OperatorOp) -> list[int]:
    """Return the sites of rows and sets, in order."""
    tables = [term.rows.data.array for term in operator.terms]
    tables += [sets.data.array for t in operator.terms for sets in t.site_sets]
    found = np.unique(np.concatenate([table.ravel() for table in tables]))
    return [site for site in found.tolist() if site != NO_SITE]


def _keep_sites(operator: sym.OperatorOp, kept: Sequence[int]) -> None:
    """Leave some sites, and number them anew."""
    space = operator.space.data
    numbers = np.full(space.sites + 1, NO_SITE, np.int32)  # the last is NO_SITE's
    numbers[list(kept)] = np.arange(len(kept))
    states = space.local_states
    if not space.is_uniform:
        states = tuple(states[site] for site in kept)
        states = states[:1] if len(set(states)) == 1 else states
    _set_space(operator, LocalSpace(len(kept), states))
    for term in operator.terms:
        rows = term.rows.data
        rows = RowTable.from_rows(numbers[rows.array], rows.labels)
        term.rows = sym.RowsAttr(rows)
        if term.sets is not None:
            found = (one.data for one in term.site_sets)
            term.sets = ArrayAttr(
                sym.SetsAttr(
                    replace(one, data=numbers[one.array].astype("<i4").tobytes())
                )
                for one in found
            )


# endregion
