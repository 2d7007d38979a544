"""Symbolic operators: what `DOperator.build` returns and the compiler takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dialects import sym
from dialects.tables import RowTable
from symir.ir import SymbolicOperatorIR
from symir.language.codes import Mistake
from symir.language.definitions import OperatorDefinition
from symir.language.translate import translate
from symir.spaces import Space, as_space

__all__ = ["SymbolicOperator", "Term"]


@dataclass(frozen=True)
class Term:
    """A summary of a term.

    Attributes:
        name: the name of the term.
        labels: the labels that its iterator binds.
        rows: the rows that it iterates over, one site per label.
        tags: the tag of each emission, None where it has none.
    """

    name: str
    labels: tuple[str, ...]
    rows: RowTable
    tags: tuple[str | None, ...]

    @property
    def size(self) -> int:
        """The number of branches: rows times emissions."""
        return self.rows.rows * len(self.tags)


@dataclass(frozen=True, eq=False, repr=False)
class SymbolicOperator:
    """An operator in symbolic form: immutable, and not tied to any backend.

    Made by `DOperator.build` or `from_ir`.

    Attributes:
        hilbert: the space that the user gave, of symir or of NetKet.
        space: the same as a space of symir.
        name: the name of the operator.
        dtype: the dtype of the matrix elements.
        dtype_is_default: whether the user left the dtype open; a compiler may then
            choose single precision.
        is_hermitian: whether the author claims that it is Hermitian.
        terms: a summary of each term.
    """

    hilbert: Any
    space: Space
    name: str
    dtype: np.dtype[Any]
    dtype_is_default: bool
    is_hermitian: bool
    terms: tuple[Term, ...]
    _source: OperatorDefinition | SymbolicOperatorIR

    @classmethod
    def from_definition(
        cls,
        definition: OperatorDefinition,
        hilbert: object,
        *,
        dtype_is_default: bool = False,
    ) -> SymbolicOperator:
        """Return the operator of a definition on the space that the user gave."""
        terms = tuple(
            Term(
                term.name,
                term.labels,
                term.rows,
                tuple(emission.tag for emission in term.emissions),
            )
            for term in definition.terms
        )
        return cls(
            hilbert,
            definition.space,
            definition.name,
            definition.dtype,
            dtype_is_default,
            definition.is_hermitian,
            terms,
            definition,
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
        space = ir.space
        if hilbert is not None and as_space(hilbert) != space:
            raise Mistake.SPACE_MISMATCH.error(
                "the operator acts on another space",
                operator=ir.operator_name,
                expected=repr(space),
                found=repr(hilbert),
            )
        (operator,) = ir.module.ops
        assert isinstance(operator, sym.OperatorOp)
        return cls(
            space if hilbert is None else hilbert,
            space,
            ir.operator_name,
            np.dtype(ir.dtype_str),
            False,
            ir.is_hermitian,
            tuple(_summary(term) for term in operator.terms),
            ir,
        )

    @property
    def max_conn_size(self) -> int:
        """The number of branches of each configuration: the sum of rows * emissions."""
        return sum(term.size for term in self.terms)

    def to_ir(self) -> SymbolicOperatorIR:
        """Return the `sym` level; it is translated once."""
        if isinstance(self._source, SymbolicOperatorIR):
            return self._source
        cached: SymbolicOperatorIR | None = self.__dict__.get("_ir")
        if cached is None:
            cached = SymbolicOperatorIR(translate(self._source))
            object.__setattr__(self, "_ir", cached)
        return cached

    def compile(self, **options: Any) -> Any:
        """Compile the operator; the options are those of the compiler."""
        from symir.compiler import compile_operator

        return compile_operator(self, **options)

    def __repr__(self) -> str:
        return (
            f"SymbolicOperator({self.name!r}, {self.space!r}, dtype={self.dtype}, "
            f"hermitian={self.is_hermitian}, terms={len(self.terms)}, "
            f"max_conn_size={self.max_conn_size})"
        )


def _summary(term: sym.TermOp) -> Term:
    labels = tuple(site.name_hint or f"s{k}" for k, site in enumerate(term.sites))
    tags = tuple(
        None if emission.tag is None else emission.tag.data
        for emission in term.emissions
    )
    return Term(term.sym_name.data, labels, term.rows.data, tags)
