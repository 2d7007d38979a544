"""Sums and multiples of operators: linear combinations, joined at the `sym` level.

Products are in `symir.operator.products`, adjoints in `symir.operator.adjoints`.

Nothing is merged or dropped: the terms of the operands follow each other, and a
coefficient multiplies the amplitude of every emission. The IR is joined once, when it
is asked for, so that a sum of many operators costs what its operands cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Attribute, SSAValue

from dialects import stablehlo, sym
from lowering.rewriting import Inserter
from lowering.sym.sym_convert_element import SymConvertElementPass
from symir.errors import DefinitionError, SourceLocation, user_location
from symir.language import rows
from symir.language.codes import Mistake
from symir.language.definitions import (
    EmissionDefinition,
    OperatorDefinition,
    TermDefinition,
)
from symir.language.expressions import (
    Apply,
    Compare,
    Constant,
    Expr,
    Logical,
    Symbol,
    Truth,
    as_expr,
    postorder,
)
from symir.language.functions import Where
from symir.language.scalars import as_number
from symir.language.scope import Scope, blamed_on, check_agreement
from symir.language.translate import element_type, translate, without_terms
from symir.language.updates import Update
from symir.operator.spaces import Space
from symir.operator.terms import Term, names_of

if TYPE_CHECKING:
    from symir.operator.symbolic_operator import SymbolicOperator

_SCALAR = (Constant, Symbol, Apply, Where, Compare, Logical, Truth)
"""The nodes of an expression that is the same for all rows and configurations."""

_ONE = Constant(1)
_LONGEST_NAME = 60

# region Factors


def as_factor(value: object) -> Expr | None:
    """Return a scalar: a number, or an expression of numbers and symbols.

    None is for what is neither a number nor an expression.

    Raises:
        DefinitionError: for a number that is not finite (D013), and an expression that
            reads sites or row data (D050).
    """
    if not isinstance(value, Expr):
        number = as_number(value)
        return None if number is None else Constant(number)
    read = [node for node in postorder(value) if not isinstance(node, _SCALAR)]
    if not read:
        return value
    raise Mistake.NOT_A_FACTOR.error(
        "what an operator is scaled or shifted by is the same everywhere",
        expected="a number, or an expression of numbers and symbols",
        found=repr(read[0]),
        hint="what an amplitude reads belongs into emit(.., amplitude=..)",
    )


def reciprocal(divisor: Expr) -> Expr:
    """Return one over a factor.

    Raises:
        DefinitionError: where it is zero (D051), or so small that one over it is not
            finite (D013).
    """
    if not isinstance(divisor, Constant):
        return 1 / divisor
    if divisor.value == 0:
        raise Mistake.DIVIDED_BY_ZERO.error(
            "an operator is divided by zero",
            expected="a number other than 0",
            found=repr(divisor),
        )
    return as_expr(1 / divisor.value)


def _times(coefficient: Expr, factor: Expr) -> Expr:
    """Return a product; one of numbers is a number (D013 where it is not finite)."""
    if isinstance(coefficient, Constant) and isinstance(factor, Constant):
        return as_expr(coefficient.value * factor.value)
    return factor if _is_one(coefficient) else coefficient * factor


def _is_one(coefficient: Expr) -> bool:
    return isinstance(coefficient, Constant) and coefficient.value == 1


def dtype_with(dtype: np.dtype[Any], factor: Expr) -> np.dtype[Any]:
    """Return the dtype of an operator times a factor.

    It is complex where a complex number takes part in the factor; the precision stays
    that of the operator.
    """
    is_complex = any(
        node.is_complex if isinstance(node, Symbol) else _is_complex_number(node)
        for node in postorder(factor)
    )
    return np.result_type(dtype, np.complex64) if is_complex else dtype


def _is_complex_number(node: object) -> bool:
    return isinstance(node, Constant) and isinstance(node.value, complex)


def check_factor(factor: Expr, operator: SymbolicOperator) -> bool:
    """Check a factor of an operator; return whether it is complex.

    Raises:
        DefinitionError: for a number that is too large for the dtype (D013), and for
            complex numbers where only real ones make sense (D021, D047).
    """
    dtype = dtype_with(operator.dtype, factor)
    term = identity_definition(factor, operator.space, dtype, None).terms[0]
    return Scope(term, operator.space, dtype).check_amplitude(factor)


def _symbols_of(factor: Expr) -> tuple[Symbol, ...]:
    found = (node for node in postorder(factor) if isinstance(node, Symbol))
    return tuple({symbol.name: symbol for symbol in found}.values())


def identity_definition(
    amplitude: Expr,
    space: Space,
    dtype: np.dtype[Any],
    location: SourceLocation | None,
) -> OperatorDefinition:
    """Return the identity times an amplitude: one term, which is visited once."""
    emission = EmissionDefinition(Update(), amplitude, None, location)
    term = TermDefinition(
        "identity", "globally", (), rows.one_row(), {}, location, emissions=(emission,)
    )
    return OperatorDefinition(
        "identity", space, dtype, True, (term,), _symbols_of(amplitude), location
    )


# endregion
# region Names


def factor_text(factor: Expr) -> str:
    """Return a factor as it stands in the name of an operator."""
    match factor:
        case Symbol(name):
            return in_parentheses(name)
        case Constant(Fraction() as value):
            return f"({value})"
        case _:
            return repr(factor)


def in_parentheses(name: str) -> str:
    """Return a name as it stands in a product, or behind a minus."""
    return f"({name})" if " " in name else name


def as_base(name: str) -> str:
    """Return a name as it stands before `**`, `.H` and `.T`."""
    is_plain = name.replace("_", "").replace(".", "").isalnum()
    return name if is_plain or name.startswith("[") else f"({name})"


def shortened_name(name: str) -> str:
    """Return the name of a combination, cut where it is long."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


# endregion
# region Combinations


@dataclass(frozen=True, eq=False)
class Summand:
    """An operator that is no combination, times a coefficient."""

    operator: SymbolicOperator
    coefficient: Expr = _ONE
    location: SourceLocation | None = None


@dataclass(frozen=True, eq=False)
class LinearCombination:
    """A linear combination of operators on one space.

    Attributes:
        summands: the operators in order, each with its coefficient.
        symbols: the parameters of all of them, in the order of first use.
        location: where the user wrote it.
        is_projected: whether branches that leave the constraints of the space are
            dropped; it is so for all operators or for none.
    """

    summands: tuple[Summand, ...]
    symbols: tuple[Symbol, ...]
    location: SourceLocation | None
    is_projected: bool

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the operators, in order and under names of their own."""
        terms = [term for part in self.summands for term in part.operator.terms]
        names = names_of([term.name for term in terms])
        return tuple(
            replace(term, name=name) for term, name in zip(terms, names, strict=True)
        )

    def times(self, factor: Expr, operator: SymbolicOperator) -> LinearCombination:
        """Return the multiple; `operator` is the one that this combination is.

        Raises:
            DefinitionError: for a symbol that is declared in two ways (D026), or a
                coefficient that the operators cannot hold (D013).
        """
        location = user_location()
        dtype = operator.dtype
        with blamed_on(operator.name, location=location):
            symbols = _united(self.symbols, dtype, _symbols_of(factor), dtype)
            summands = tuple(
                Summand(part.operator, _times(part.coefficient, factor), location)
                for part in self.summands
            )
            for summand in summands:
                check_factor(summand.coefficient, summand.operator)
        return LinearCombination(summands, symbols, location, self.is_projected)

    def translated(self, operator: SymbolicOperator) -> ModuleOp:
        """Return the `sym` level of the operator that this combination is."""
        definition = OperatorDefinition(
            operator.name,
            operator.space,
            operator.dtype,
            operator.declared_hermitian,
            (),
            self.symbols,
            self.location,
            is_projected=self.is_projected,
        )
        module, owner, parameters = without_terms(definition)
        terms = [
            term
            for summand in self.summands
            for term in _terms_of(summand, operator.dtype, parameters)
        ]
        add_terms(owner, terms)
        return module


def operator_in(module: ModuleOp) -> sym.OperatorOp:
    """Return the operator that a module holds."""
    return cast(sym.OperatorOp, module.body.block.first_op)


def add_terms(operator: sym.OperatorOp, terms: list[sym.TermOp]) -> None:
    """Add terms to an operator, in order and under names of their own."""
    names = names_of([term.sym_name.data for term in terms])
    for term, name in zip(terms, names, strict=True):
        term.sym_name = StringAttr(name)
        operator.body.block.add_op(term)


def joined(operators: Sequence[SymbolicOperator]) -> LinearCombination:
    """Return the combination of all summands of operators.

    Raises:
        DefinitionError: when they act on different spaces (D031), declare a symbol in
            two ways (D026), or some of them are projected (D052).
    """
    symbols = common_symbols(operators, "sum")
    summands = tuple(part for one in operators for part in one.combination.summands)
    return LinearCombination(
        summands, symbols, user_location(), operators[0].is_projected
    )


def common_symbols(
    operators: Sequence[SymbolicOperator], what: str
) -> tuple[Symbol, ...]:
    """Return the symbols of operators that have a sum, or a product: `what`.

    Raises:
        DefinitionError: when they act on different spaces (D031), declare a symbol in
            two ways (D026), or some of them are projected (D052).
    """
    first, *others = operators
    symbols, dtype = first.symbols, first.dtype
    for other in others:
        if first.space != other.space:
            raise Mistake.SPACE_MISMATCH.error(
                f"operators on different spaces have no {what}",
                operator=first.name,
                expected=repr(first.space),
                found=f"{other.space!r}, of operator '{other.name}'",
            )
        if first.is_projected != other.is_projected:
            raise _projected_in_part(first, other)
        with blamed_on(other.name, location=user_location()):
            symbols = _united(symbols, dtype, other.symbols, other.dtype)
        dtype = np.result_type(dtype, other.dtype)
    return symbols


def _projected_in_part(
    first: SymbolicOperator, second: SymbolicOperator
) -> DefinitionError:
    """Return the error for operands that mean different things off the space."""
    projected, other = (first, second) if first.is_projected else (second, first)
    return Mistake.PROJECTED_IN_PART.error(
        "one operand drops branches that leave the space; in the other they are "
        "mistakes",
        operator=first.name,
        expected="projected=True in both operands, or in none",
        found=f"'{projected.name}' is projected and '{other.name}' is not",
    )


def _united(
    first: tuple[Symbol, ...],
    first_dtype: np.dtype[Any],
    second: tuple[Symbol, ...],
    second_dtype: np.dtype[Any],
) -> tuple[Symbol, ...]:
    """Return the symbols of both, those of one name once.

    Defaults agree when they are the same number in the coarser of the two dtypes; the
    one of the finer is kept.
    """
    is_finer = _precision(second_dtype) > _precision(first_dtype)
    coarser = first_dtype if is_finer else second_dtype
    ours = {symbol.name: symbol for symbol in first}
    theirs = {symbol.name: symbol for symbol in second}
    for name in theirs.keys() & ours.keys():
        check_agreement(_rounded(ours[name], coarser), _rounded(theirs[name], coarser))
    both = ours | theirs if is_finer else ours | theirs | ours
    return tuple(both.values())


def _precision(dtype: np.dtype[Any]) -> int:
    return np.finfo(dtype).bits


def _rounded(symbol: Symbol, dtype: np.dtype[Any]) -> Symbol:
    if symbol.default is None:
        return symbol
    with np.errstate(over="ignore"):
        default = np.asarray(symbol.default, np.result_type(dtype, np.complex64)).item()
    return replace(symbol, default=default if symbol.is_complex else default.real)


# endregion
# region IR


def _terms_of(
    summand: Summand, dtype: np.dtype[Any], parameters: Mapping[str, SSAValue]
) -> list[sym.TermOp]:
    """Return the terms of a summand, for an operator of a dtype to be added to."""
    element = element_type(dtype)
    module = in_precision(summand.operator.to_ir().module, element)
    terms = taken(module, parameters)
    if not _is_one(summand.coefficient):
        _scale(terms, summand, element, parameters)
    for term in terms:
        convert_amplitudes(term, element)
    return terms


def in_precision(module: ModuleOp, element: Attribute) -> ModuleOp:
    """Return a module that computes in the precision of an element type: this one."""
    if sym.real_type(operator_in(module).element) != sym.real_type(element):
        # Of the precisions of all operands the finest is chosen: nothing is rounded.
        SymConvertElementPass(to="f64").apply(Context(), module)
    return module


def taken(module: ModuleOp, parameters: Mapping[str, SSAValue]) -> list[sym.TermOp]:
    """Return the terms of a module, for another operator with these parameters.

    They are taken out of it.
    """
    operator = operator_in(module)
    for name, argument in zip(
        operator.parameter_names, operator.body.block.args, strict=True
    ):
        argument.replace_all_uses_with(parameters[name.data])
    terms = list(operator.terms)
    for term in terms:
        term.detach()
    return terms


def _scale(
    terms: Iterable[sym.TermOp],
    summand: Summand,
    element: Attribute,
    parameters: Mapping[str, SSAValue],
) -> None:
    """Multiply every amplitude by the coefficient, in real numbers where they do."""
    operator = summand.operator
    if dtype_with(operator.dtype, summand.coefficient).kind != "c":
        element = sym.real_type(element)
    definition = identity_definition(
        summand.coefficient,
        operator.space,
        stablehlo.dtype_of(element),
        summand.location,
    )
    (factor,) = taken(in_precision(translate(definition), element), parameters)
    for term in terms:
        convert_amplitudes(term, element)
        by = _inserted(factor, term)
        for emission in term.emissions:
            before = Inserter.before(emission)
            product = stablehlo.MultiplyOp(emission.amplitude, by)
            emission.operands[1] = before.add(product)


def _inserted(factor: sym.TermOp, term: sym.TermOp) -> SSAValue:
    """Compute a factor, the amplitude of a term of its own, before a term emits."""
    *ops, emission = factor.body.block.ops
    amplitude = cast(sym.EmitOp, emission).amplitude
    copies: dict[SSAValue, SSAValue] = {}
    for op in ops:
        term.body.block.insert_op_before(op.clone(copies), term.emissions[0])
    return copies.get(amplitude, amplitude)


def convert_amplitudes(term: sym.TermOp, element: Attribute) -> None:
    """Give the amplitudes of a term an element type: complex, where they are real."""
    kind = stablehlo.tensor(element)
    for emission in term.emissions:
        if emission.amplitude.type != kind:
            before = Inserter.before(emission)
            converted = stablehlo.convert(emission.amplitude, element)
            emission.operands[1] = before.add(converted)


# endregion
