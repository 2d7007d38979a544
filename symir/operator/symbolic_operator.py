"""Symbolic operators: what `DOperator.build` returns and the compiler takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Unpack, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr, UnitAttr

from symir import for_netket
from symir.errors import UnfinishedError, user_location
from symir.language.codes import Mistake
from symir.language.expressions import Constant, Expr, ExprLike, Symbol
from symir.language.scalars import Number, as_name, items_of, shortened
from symir.language.scope import blamed_on
from symir.language.translate import translate
from symir.late import late
from symir.operator import adjoints, algebra, products
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import Space, as_space, is_of_netket
from symir.operator.terms import Term
from symir.spans import span

if TYPE_CHECKING:
    from symir.compiler.compiler import CompileOptions
    from symir.compiler.diagnostics import Diagnostic
    from symir.facts import OperatorFacts
    from symir.interop.netket import NetKetOperator
    from symir.runtime.compiled_operator import CompiledOperator

OF_COMPILED = frozenset(
    {
        *("get_conn", "get_conn_flattened", "get_conn_padded", "n_conn"),
        *("collect", "kernel", "parameters", "replace", "to_dense", "to_sparse"),
    }
)
"""Methods of compiled operators alone, some of them on spaces of NetKet."""


@dataclass(frozen=True, eq=False, repr=False)
class SymbolicOperator:
    """An operator in symbolic form: immutable, and not tied to any backend.

    Made by `DOperator.build` or `from_ir`, and from others by `+ - * /`: with other
    operators on the space; with numbers and expressions of numbers and symbols, which
    scale an operator, or are added as multiples of the identity. Terms follow each
    other, those of the left operand first, and none are merged. Products are `A @ B`
    and `A ** n`, adjoints `A.H`.

    The dtype of a combination is the common one of its operands; it is complex where a
    factor is, and the precision of factors does not count. Claims to be Hermitian, or
    not, are kept where they imply one.

    Attributes:
        hilbert: the space that the user gave, of symir or of NetKet.
        space: the same as a space of symir.
        name: the name of the operator.
        dtype: the dtype of the matrix elements.
        dtype_is_default: whether the user left the precision open; where JAX is set to
            32 bits the operator is then compiled to float32 or complex64.
        declared_hermitian: whether the author claims that it is Hermitian, or that it
            is not; None where nothing is said.
    """

    hilbert: Any
    space: Space
    name: str
    dtype: np.dtype[Any]
    dtype_is_default: bool
    declared_hermitian: bool | None
    _source: SymbolicOperatorIR | algebra.LinearCombination

    @classmethod
    def of_ir(
        cls,
        ir: SymbolicOperatorIR,
        hilbert: object,
        space: Space,
        *,
        dtype_is_default: bool = False,
    ) -> SymbolicOperator:
        """Return the operator of IR on the space that the user gave, which is its."""
        if is_of_netket(hilbert):
            for_netket.guard()
        return SymbolicOperator(
            hilbert,
            space,
            ir.operator_name,
            np.dtype(ir.dtype_str),
            dtype_is_default,
            ir.declared_hermitian,
            ir,
        )

    @classmethod
    def from_ir(
        cls, ir: SymbolicOperatorIR, hilbert: object = None
    ) -> SymbolicOperator:
        """Return an operator from its IR, such as a parsed text.

        `hilbert` is the space to give it, by default that of the IR.

        Raises:
            DefinitionError: when `hilbert` holds other configurations than the space of
                the IR (D031).
        """
        space = ir.space if hilbert is None else as_space(hilbert)
        if replace(space, predicates=()) != ir.space:
            raise Mistake.SPACE_MISMATCH.error(
                "the operator acts on another space",
                operator=ir.operator_name,
                expected=repr(ir.space),
                found=repr(hilbert),
            )
        return cls.of_ir(ir, space if hilbert is None else hilbert, space)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """A summary of each term."""
        return self._source.terms

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """The parameters, in the order of first use."""
        if not isinstance(self._source, SymbolicOperatorIR):
            return self._source.symbols
        ir, defaults = self._source, self._source.defaults
        return tuple(
            Symbol(name, defaults.get(name), dtype.kind == "c")
            for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
        )

    @property
    def is_hermitian(self) -> bool:
        """Whether the operator is Hermitian: what is declared, or else what is proved.

        See `SymbolicOperatorIR.is_hermitian`.
        """
        declared = self.declared_hermitian
        return self.to_ir().is_hermitian if declared is None else declared

    @property
    def is_projected(self) -> bool:
        """Whether branches that leave the constraints of the space are dropped."""
        return self._source.is_projected

    @property
    def max_conn_size(self) -> int:
        """The number of branches of each configuration: the sum of rows * emissions."""
        return sum(term.size for term in self.terms)

    def to_ir(self) -> SymbolicOperatorIR:
        """Return the `sym` level; it is translated once."""
        source = self._source
        return source if isinstance(source, SymbolicOperatorIR) else self._joined

    @cached_property
    def _joined(self) -> SymbolicOperatorIR:
        with span("translate", "definition", operator=self.name):
            return SymbolicOperatorIR.owning(self.combination.translated(self))

    @late
    def compile(self, **options: Unpack[CompileOptions]) -> CompiledOperator:
        """Compile the operator: to a `NetKetOperator` on a Hilbert space of NetKet.

        Args:
            options: fields of `SymbolicCompilerOptions` by name, such as `opt_level`,
                over those in `options`, a `SymbolicCompilerOptions`, or by default over
                the compiler's own; `compiler`, by default the process-wide one; and
                `cache=False` for `cache_enabled=False`. With
                `backend_preference="reference"` it is a `ReferenceOperator` that is
                returned, which needs no JAX.

        Raises:
            SymbolicCompilerError: for an unknown option, with the one that is near, or
                a bad value (C006); else as `SymbolicCompiler.compile`.
        """
        ...

    def to_netket(self, **options: Unpack[CompileOptions]) -> NetKetOperator:
        """Compile the operator to one of NetKet's: see `symir.to_netket`."""
        return for_netket.as_netket(self, **options)

    @late
    def facts(
        self,
        parameters: Mapping[str, complex] | None = None,
        *,
        max_states: int = 2**12,
        samples: int = 16,
        seed: int = 0,
    ) -> OperatorFacts:
        """Return what holds for the operator, and why: Hermitian, real, conserved, ..

        See `symir.facts.facts_of` for the arguments and errors.
        """
        ...

    if not TYPE_CHECKING:  # types know what an operator has not

        def __getattr__(self, name: str) -> Any:
            """Say where what is asked for can be found.

            Raises:
                UnfinishedError: for what compiled operators have (D087).
            """
            if name in OF_COMPILED:
                raise UnfinishedError(f".{name}", "compile()", self)
            kind = type(self).__name__
            raise AttributeError(
                f"'{kind}' object has no attribute '{name}'", name=name, obj=self
            )

    @late
    def diagnostics(self, *, thorough: bool = False) -> tuple[Diagnostic, ...]:
        """Return what is questionable about the operator, without compiling it.

        Errors come first, then warnings and notes; all of them compile. `thorough`
        also evaluates branches of configurations, which takes longer.
        """
        ...

    def named(self, name: str) -> Self:
        """Return the same operator under another name.

        Raises:
            DefinitionError: for a bad name (D019).
        """
        checked, source = as_name(name, "the name of an operator"), self._source
        if isinstance(source, SymbolicOperatorIR):
            source = _named(source.module, checked)
        return self._with(name=checked, _source=source)

    def _with(self, **changes: Any) -> Self:
        """Return the operator with other values of some fields."""
        other = object.__new__(type(self))
        for field in fields(self):
            value = changes.get(field.name, getattr(self, field.name))
            object.__setattr__(other, field.name, value)
        return other

    # region Algebra

    # NumPy's scalars and arrays leave sums and products with an operator to it.
    __array_ufunc__ = None

    @property
    def combination(self) -> algebra.LinearCombination:
        """The linear combination that the operator is: of itself, if of no others."""
        if isinstance(self._source, algebra.LinearCombination):
            return self._source
        summands = (algebra.Summand(self),)
        return algebra.LinearCombination(
            summands, self.symbols, None, self.is_projected
        )

    def __add__(self, other: OperatorLike) -> SymbolicOperator:
        return _sum(self, "+", other)

    def __radd__(self, other: ExprLike) -> SymbolicOperator:
        return _sum(other, "+", self)

    def __sub__(self, other: OperatorLike) -> SymbolicOperator:
        return _sum(self, "-", other)

    def __rsub__(self, other: ExprLike) -> SymbolicOperator:
        return _sum(other, "-", self)

    def __mul__(self, factor: ExprLike) -> Self:
        checked = _as_factor(factor, self)
        if checked is None:
            return NotImplemented
        name = f"{algebra.factor_text(checked)}*{self._in_product}"
        return self._times(checked, name)

    __rmul__ = __mul__

    def __truediv__(self, divisor: ExprLike) -> Self:
        checked = _as_factor(divisor, self)
        if checked is None:
            return NotImplemented
        name = f"{self._in_product}/{algebra.factor_text(checked)}"
        with blamed_on(self.name):
            factor = algebra.reciprocal(checked)
        return self._times(factor, name)

    def __neg__(self) -> Self:
        return self._times(Constant(-1), f"-{self._in_product}")

    def __pos__(self) -> Self:
        return self

    def __matmul__(self, other: object) -> SymbolicOperator:
        """Return the product: <x|A B|x'> = sum_y <x|A|y> <y|B|x'>.

        See `symir.operator.products.product` for its terms and for what is refused.
        """
        if not isinstance(other, SymbolicOperator):
            return NotImplemented
        name = f"{self._in_product} @ {other._in_product}"
        is_square = self is other and self.declared_hermitian
        return self._product(other, name, declared_hermitian=is_square or None)

    def __pow__(self, exponent: int) -> SymbolicOperator:
        """Return a power; the 0th is the identity.

        Raises:
            DefinitionError: for anything but a small integer (D081), and as `@`.
        """
        times = products.checked_power(exponent, self.name)
        name = f"{algebra.as_base(self.name)}**{times}"
        if not times:
            return _identity(self).named(name)
        power: SymbolicOperator = self
        for _ in range(times - 1):
            claim = self.declared_hermitian or None
            power = power._product(self, name, declared_hermitian=claim)
        return power

    def commutator(self, other: SymbolicOperator) -> SymbolicOperator:
        """Return A B - B A."""
        return (self @ other - other @ self).named(_bracket("[{}, {}]", self, other))

    def anticommutator(self, other: SymbolicOperator) -> SymbolicOperator:
        """Return A B + B A, which is Hermitian where both operators are."""
        total = (self @ other + other @ self).named(_bracket("{{{}, {}}}", self, other))
        claim = self.declared_hermitian and other.declared_hermitian
        return total.claimed_hermitian() if claim else total

    def claimed_hermitian(self) -> Self:
        """Return the same operator, declared to be Hermitian."""
        source = self._source
        if isinstance(source, SymbolicOperatorIR):
            module = source.module
            operator = algebra.operator_in(module)
            operator.hermitian, operator.not_hermitian = UnitAttr(), None
            source = _named(module, self.name)
        return self._with(declared_hermitian=True, _source=source)

    @property
    def H(self) -> SymbolicOperator:
        """The adjoint: the operator itself where it is Hermitian.

        Raises:
            DefinitionError: where an update has too many inverse images (D082).
        """
        if self.is_hermitian:
            return self
        return self._rewritten(
            adjoints.adjoint(self), f"{algebra.as_base(self.name)}.H"
        )

    def adjoint(self) -> SymbolicOperator:
        """Return the adjoint: `H`."""
        return self.H

    def conjugate(self) -> SymbolicOperator:
        """Return the operator whose matrix elements are the complex conjugates."""
        if self.dtype.kind != "c":
            return self
        return self._rewritten(adjoints.conjugate(self), f"conj({self.name})")

    def transpose(self) -> SymbolicOperator:
        """Return the operator with <x|B|x'> = <x'|A|x>.

        Raises:
            DefinitionError: as for `H`.
        """
        if self.is_hermitian:
            return self.conjugate()
        return self._rewritten(
            adjoints.transpose(self), f"{algebra.as_base(self.name)}.T"
        )

    @property
    def T(self) -> SymbolicOperator:
        """The transpose."""
        return self.transpose()

    def _rewritten(self, module: ModuleOp, name: str) -> SymbolicOperator:
        """Return another operator on the same space, in a module that is its own."""
        ir, is_default = (
            _named(module, algebra.shortened_name(name)),
            self.dtype_is_default,
        )
        return self.of_ir(ir, self.hilbert, self.space, dtype_is_default=is_default)

    def _product(
        self, other: SymbolicOperator, name: str, *, declared_hermitian: bool | None
    ) -> SymbolicOperator:
        name = algebra.shortened_name(name)
        product = products.product(
            self, other, name, declared_hermitian=declared_hermitian
        )
        is_default = self.dtype_is_default and other.dtype_is_default
        return self._rewritten(product, name)._with(dtype_is_default=is_default)

    @property
    def _in_product(self) -> str:
        return algebra.in_parentheses(self.name)

    def _times(self, factor: Expr, name: str) -> Self:
        """Return a multiple of the operator under a name."""
        source = self.combination.times(factor, self)
        is_complex = algebra.check_factor(factor, self)
        return self._with(
            name=algebra.shortened_name(name),
            dtype=algebra.dtype_with(self.dtype, factor),
            declared_hermitian=None if is_complex else self.declared_hermitian,
            _source=source,
        )

    # endregion

    @late
    def _repr_html_(self) -> str:
        """Return what notebooks show."""
        ...

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, {self.space!r}, dtype={self.dtype}, "
            f"hermitian={self.declared_hermitian}, terms={len(self.terms)}, "
            f"max_conn_size={self.max_conn_size})"
        )


@dataclass(frozen=True, eq=False, repr=False, init=False)
class SymbolicOperatorSum(SymbolicOperator):
    """A sum of operators, each times a coefficient: what `A + 2 * B` makes.

    It is an operator like any other. Sums of sums and multiples of sums are sums of
    the same operators.

    Args:
        hilbert: the space of all operators.
        operators: one or more.
        name: the name of the sum, by default the names of the operators with `+`.

    Raises:
        DefinitionError: for what is no operator, or none at all (D058), a bad name
            (D019), operators on different spaces (D031), that declare a symbol in two
            ways (D026), or of which some are projected (D052).
    """

    def __init__(
        self,
        hilbert: object,
        operators: Iterable[SymbolicOperator],
        *,
        name: str | None = None,
    ):
        summed = _as_operators(operators)
        first = summed[0]
        if hilbert is not first.hilbert and as_space(hilbert) != first.space:
            raise Mistake.SPACE_MISMATCH.error(
                "the operators of a sum act on another space",
                operator=first.name,
                expected=repr(first.space),
                found=repr(hilbert),
            )
        joined = " + ".join(operator.name for operator in summed)
        super().__init__(
            hilbert,
            first.space,
            algebra.shortened_name(joined)
            if name is None
            else as_name(name, "the name of an operator"),
            np.result_type(*(operator.dtype for operator in summed)),
            all(operator.dtype_is_default for operator in summed),
            _claim_of_sum(summed),
            algebra.joined(summed),
        )

    @property
    def operators(self) -> tuple[SymbolicOperator, ...]:
        """The operators in order; none is a sum or a multiple of another one."""
        return tuple(part.operator for part in self.combination.summands)

    @property
    def coefficients(self) -> tuple[Number | Expr, ...]:
        """The factor of each operator: a number, or an expression of symbols."""
        factors = (part.coefficient for part in self.combination.summands)
        return tuple(
            factor.value if isinstance(factor, Constant) else factor
            for factor in factors
        )


def _named(module: ModuleOp, name: str) -> SymbolicOperatorIR:
    """Return the operator in a module, which nobody else holds, under a name."""
    algebra.operator_in(module).sym_name = StringAttr(name)
    return SymbolicOperatorIR.owning(module)


OperatorLike: TypeAlias = SymbolicOperator | ExprLike
"""Types of summands of an operator."""


def _as_factor(value: object, operator: SymbolicOperator) -> Expr | None:
    if isinstance(value, SymbolicOperator):
        raise _no_product()
    with blamed_on(operator.name):
        return algebra.as_factor(value)


def _no_product() -> TypeError:
    return TypeError("the product of operators is written A @ B, with scalars 2 * A")


def _bracket(form: str, a: SymbolicOperator, b: SymbolicOperator) -> str:
    return algebra.shortened_name(form.format(a.name, b.name))


def _sum(lhs: object, sign: str, rhs: object) -> SymbolicOperator:
    """Return lhs + rhs or lhs - rhs, of which one is an operator at least."""
    like = lhs if isinstance(lhs, SymbolicOperator) else rhs
    assert isinstance(like, SymbolicOperator)
    first, second = _as_operator(lhs, like), _as_operator(rhs, like)
    if first is None or second is None:
        return NotImplemented
    shown = algebra.in_parentheses(second.name) if sign == "-" else second.name
    name = algebra.shortened_name(f"{first.name} {sign} {shown}")
    second = -second if sign == "-" else second
    # The builtin `sum` starts from the integer 0
    if _is_zero(lhs):
        return second
    if _is_zero(rhs):
        return first
    return SymbolicOperatorSum(first.hilbert, (first, second), name=name)


def _as_operators(values: object) -> tuple[SymbolicOperator, ...]:
    """Return the operators to be summed, one at least."""
    items = None if isinstance(values, SymbolicOperator) else items_of(values)
    summed = [] if items is None else list(items)
    others = [value for value in summed if not isinstance(value, SymbolicOperator)]
    if summed and not others:
        return tuple(cast(list[SymbolicOperator], summed))
    raise Mistake.NOT_AN_OPERATOR.error(
        "a sum is of operators",
        expected="a list of one operator or more, such as DOperator(..).build()",
        found=shortened(others[0] if others else values),
        hint="numbers are added by +: 0.5 + operator",
    )


def _claim_of_sum(summed: Sequence[SymbolicOperator]) -> bool | None:
    """Return what claims say of the sum; of two that are not Hermitian, nothing."""
    claims = [operator.declared_hermitian for operator in summed]
    if None in claims or claims.count(False) > 1:
        return None
    return all(claims)


def _is_zero(value: object) -> bool:
    return isinstance(value, int) and value == 0


def _as_operator(value: object, like: SymbolicOperator) -> SymbolicOperator | None:
    """Return an operator, or a scalar as a multiple of the identity like another."""
    if isinstance(value, SymbolicOperator):
        return value
    factor = _as_factor(value, like)
    if factor is None:
        return None
    return (_identity(like) * factor).named(algebra.factor_text(factor))


def _identity(like: SymbolicOperator) -> SymbolicOperator:
    """Return the identity on the space of another operator, of its dtype."""
    definition = algebra.identity_definition(
        Constant(1), like.space, like.dtype, user_location()
    )
    definition = replace(definition, is_projected=like.is_projected)
    return SymbolicOperator.of_ir(
        SymbolicOperatorIR.owning(translate(definition)),
        like.hilbert,
        like.space,
        dtype_is_default=like.dtype_is_default,
    )
