"""The `sym` level of an operator as an immutable value: print, parse, compare."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    FileLineColLoc,
    IntAttr,
    ModuleOp,
    StringAttr,
    TensorType,
    UnknownLoc,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.exceptions import ParseError
from xdsl.utils.lexer import Location

from dialects import stablehlo, sym, text
from dialects.verification import fault_in
from symir.description import as_plain, describe
from symir.errors import DefinitionError, InputError, SourceLocation
from symir.language.codes import Mistake
from symir.language.scalars import shortened
from symir.late import late
from symir.operator.spaces import Space
from symir.operator.terms import Term, term_of
from symir.provenance import place_of, whereabouts

_ROWS_SHOWN = 16
_LINE_SHOWN = 100


@late
def is_proved_hermitian(ir: SymbolicOperatorIR) -> bool:
    """Whether a proof is found that an operator is Hermitian."""
    ...


class SymbolicOperatorIR:
    """An operator at the `sym` level: a module with one `sym.operator` in it.

    It never changes: `module` is a copy, to be transformed at will. Two of them are
    equal when their texts are, up to the names of SSA values.

    Raises:
        DefinitionError: when a module does not verify (D029), or holds anything beside
            one `sym.operator` (D030).
    """

    def __init__(self, module: ModuleOp):
        self._hold(module.clone())

    def _hold(self, module: ModuleOp) -> None:
        check_valid(module)
        self._module = module
        self._operator = _only_operator(module)

    @classmethod
    def owning(cls, module: ModuleOp) -> SymbolicOperatorIR:
        """Return the operator in a module that nobody else holds: it is not copied.

        Raises:
            DefinitionError: as the class itself.
        """
        ir = cls.__new__(cls)
        ir._hold(module)
        return ir

    @classmethod
    def from_text(cls, source: str, file: str = "<string>") -> SymbolicOperatorIR:
        """Parse the text of an operator; `file` is what messages call it.

        Raises:
            DefinitionError: when it cannot be parsed (D028), does not verify (D029), or
                is not one `sym.operator` (D030).
        """
        return cls.owning(parsed(source, file))

    # region What it says

    @property
    def module(self) -> ModuleOp:
        """A copy of the module."""
        return self._module.clone()

    @property
    def operator(self) -> sym.OperatorOp:
        """The operator itself: to be looked at, and not to be changed."""
        return self._operator

    @property
    def operator_name(self) -> str:
        """The name of the operator."""
        return self._operator.sym_name.data

    @property
    def hilbert_size(self) -> int:
        """The number of sites."""
        return self._operator.space.data.sites

    @property
    def space(self) -> Space:
        """The space that the operator acts on, but for predicates: they are no data."""
        local = self._operator.space.data
        return Space(local.sites, local.local_states, sums=local.sums)

    @property
    def dtype_str(self) -> str:
        """The name of the dtype of the matrix elements."""
        return stablehlo.dtype_of(self._operator.element).name

    @property
    def declared_hermitian(self) -> bool | None:
        """Whether the author claims that the operator is Hermitian, or that it is not.

        None where nothing is said.
        """
        return self._operator.declared_hermitian

    @property
    def is_hermitian(self) -> bool:
        """Whether the operator is Hermitian: what is declared, or else what is proved.

        The proof holds for all values of the parameters. It is looked for at the first
        use, with the bounds of `symir.facts.hermiticity`; without one it is False.
        """
        declared = self.declared_hermitian
        if declared is not None:
            return declared
        return is_proved_hermitian(self)

    @property
    def is_projected(self) -> bool:
        """Whether branches that leave the constraints of the space are dropped."""
        return self._operator.projected is not None

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """A summary of each term."""
        return tuple(term_of(term) for term in self._operator.terms)

    @property
    def term_count(self) -> int:
        """The number of terms."""
        return len(self._operator.terms)

    @property
    def free_symbols(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(name.data for name in self._operator.parameter_names)

    @property
    def defaults(self) -> dict[str, float | complex]:
        """The defaults of the parameters that have one."""
        values = zip(self.free_symbols, self._operator.defaults, strict=True)
        return {
            name: stablehlo.to_numpy(default).item()
            for name, default in values
            if isinstance(default, DenseIntOrFPElementsAttr)
        }

    @property
    def parameter_dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtypes of the parameters, in order: real or complex."""
        types = [argument.type for argument in self._operator.body.block.args]
        return tuple(
            stablehlo.dtype_of(cast(TensorType[Attribute], kind).element_type)
            for kind in types
        )

    def check_parameters(self, names: Iterable[object]) -> None:
        """Raise where there is no parameter of a name.

        Raises:
            InputError: with the names that are unknown (R003).
        """
        known = self.free_symbols
        unknown = [str(name) for name in names if name not in known]
        if unknown:
            raise InputError(
                "R003",
                "the operator has no such parameter",
                operator=self.operator_name,
                expected=", ".join(known) or "no parameter",
                found=", ".join(sorted(unknown)),
                hint="parameters are what the operator was written with: "
                f"symbol({unknown[0]!r}, default=..)",
            )

    def bind(
        self, given: object = None, *, otherwise: complex | None = None
    ) -> dict[str, complex]:
        """Return the value of each parameter by name: that given, or its default.

        What has neither has the value `otherwise`, or is left out where that is None.

        Raises:
            InputError: for a name that no parameter has (R003), and for a value that is
                not one number of its kind (R005).
        """
        if given is not None and not isinstance(given, Mapping):
            raise self._not_a_value("parameters are values by name", "a dict", given)
        own = cast(Mapping[str, object], given or {})
        self.check_parameters(own)
        values: dict[str, complex] = {}
        defaults = self.defaults
        for name, dtype in zip(self.free_symbols, self.parameter_dtypes, strict=True):
            value = own.get(name, defaults.get(name, otherwise))
            if name not in own and value is None:
                continue
            number = as_parameter(value, dtype)
            if number is None:
                expected = f"one number that fits {dtype}"
                message = f"parameter '{name}' cannot have this value"
                raise self._not_a_value(message, expected, value)
            values[name] = number
        return values

    def _not_a_value(self, message: str, expected: str, value: object) -> InputError:
        return InputError(
            "R005",
            message,
            operator=self.operator_name,
            expected=expected,
            found=shortened(value),
            hint="give each parameter one number: {'h': 0.5}",
        )

    @property
    def max_conn_size(self) -> int:
        """The number of lanes of each configuration.

        That is the sum over the terms of rows * emissions, or of the smaller fanout.
        """
        return sum(term.lanes for term in self._operator.terms)

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """Counts and names that take no computing; they cannot be changed.

        `iterators` has, for each term, the simplest iterator of the language with its
        rows: "for_each" where only a table has them. `branches` counts valid ones and
        others; `max_conn_size` is what is left of them by promised fanouts.
        """
        terms, sites = self.terms, self.hilbert_size
        facts = {
            "symir_version": _version(),
            "operator": self.operator_name,
            "sites": sites,
            "dtype": self.dtype_str,
            "terms": len(terms),
            "rows": sum(term.rows.rows for term in terms),
            "emissions": sum(term.emissions for term in terms),
            "branches": sum(term.rows.rows * term.emissions for term in terms),
            "max_conn_size": self.max_conn_size,
            "iterators": MappingProxyType(
                {term.name: term.iterator(sites) for term in terms}
            ),
        }
        return MappingProxyType(facts)

    def describe(self) -> str:
        """Return what the operator does in words and formulas, for reading only.

        Long tables lose their middle. `symir.description.text` tells how it reads.
        """
        return describe(self._operator)

    def as_dict(self, *, tables: bool = False, text: bool = False) -> dict[str, Any]:
        """Return everything that the operator says as plain data, fit for JSON.

        Tables of rows, sites and data are given by their number of rows and a SHA-256
        of their bytes (little endian, row by row; sets are padded with -1), and in full
        only with `tables`; `text` adds the text of the IR. Complex numbers are
        `{"real": .., "imag": ..}`; what is not finite is a string such as "inf".
        """
        return {
            "symir_version": _version(),
            **as_plain(self._operator, tables=tables),
            "max_conn_size": self.max_conn_size,
            "fingerprint": self._fingerprint,
            **({"text": self.text()} if text else {}),
        }

    # endregion
    # region Text and identity

    def text(self, elide_rows_over: int | None = None) -> str:
        """Return the text; it parses back unless longer row tables are elided."""
        return text.print_module(self._operator, elide_rows_over=elide_rows_over)

    def __str__(self) -> str:
        return self.text(elide_rows_over=_ROWS_SHOWN)

    def __repr__(self) -> str:
        return (
            f"SymbolicOperatorIR({self.operator_name!r}, {self.hilbert_size} sites, "
            f"{self.dtype_str}, {self.term_count} terms)"
        )

    def static_fingerprint(self) -> str:
        """Return the SHA-256, in hex, of all that the operator says.

        Names of SSA values and places in the user's code do not count; all rows, the
        space, the dtype, and the names of operator, terms and parameters do.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._operator)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SymbolicOperatorIR):
            return NotImplemented
        return self._fingerprint == other._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __reduce__(self) -> tuple[Any, ...]:
        return (SymbolicOperatorIR.from_text, (self.text(),))

    # endregion


def as_parameter(value: Any, dtype: np.dtype[Any]) -> complex | None:
    """Return a value as a number of Python; None for what does not fit the dtype."""
    if isinstance(value, str | bytes) or getattr(value, "shape", ()):
        return None
    try:
        number = complex(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if dtype.kind != "c":
        if number.imag:
            return None
        number = number.real
    with np.errstate(all="ignore"):
        fits = np.isfinite(np.asarray(number, dtype)) or not np.isfinite(number)
    return number if fits else None


def fingerprint(op: Operation) -> str:
    """Return the SHA-256, in hex, of all that an op says, at any level.

    Names of SSA values and places in the user's code do not count.
    """
    stream = StringIO()
    _HashingPrinter(stream).print_op(op)
    return hashlib.sha256(stream.getvalue().encode()).hexdigest()


class _HashingPrinter(text.Printer):
    """A printer that numbers all values, and shows the hash of a table.

    To print a table would take a second.
    """

    def print_ssa_value(self, value: SSAValue) -> str:
        if value not in self._ssa_values:
            self._ssa_values[value] = self._get_new_valid_name_id()
        return super().print_ssa_value(value)

    def print_attribute(self, attribute: Attribute) -> None:
        match attribute:
            case sym.RowsAttr() | sym.SetsAttr():
                shape, data = attribute.data.array.shape, attribute.data.data
            case DenseIntOrFPElementsAttr():
                shape, data = attribute.type, attribute.data.data
            case _:
                super().print_attribute(attribute)
                return
        digest = hashlib.sha256(data).hexdigest()
        self.print_string(f"{attribute.name}<{shape}, {digest}>")


# region Parsing


class _LocatingParser(text.Parser):
    """A parser that notes in every op the line it was read from."""

    def parse_operation(self) -> Operation:
        place = self.place
        op = super().parse_operation()
        if isinstance(op.location, UnknownLoc):
            op.location = FileLineColLoc(
                StringAttr(place.file), IntAttr(place.line), IntAttr(place.col)
            )
        return op

    @property
    def place(self) -> Location:
        """The place of the next token."""
        return self._current_token.span.get_location()


def parsed(source: str, file: str, *, foreign: bool = False) -> ModuleOp:
    """Return the module of a text of any level, whose ops know their lines.

    With `foreign` it may have ops of other dialects, as wavefunctions do.

    Raises:
        DefinitionError: when it cannot be parsed (D028). It is not verified.
    """
    ctx = text.context()
    ctx.allow_unregistered = foreign
    try:
        parser = _LocatingParser(ctx, source, file)
    except ParseError as error:
        raise _malformed(error.msg, source, error.span.get_location()) from error
    try:
        return parser.parse_module()
    except ParseError as error:
        raise _malformed(error.msg, source, error.span.get_location()) from error
    except Exception as error:
        # An attribute that does not verify, or something that the parser of some op or
        # attribute does not expect.
        raise _malformed(str(error), source, parser.place) from error


_UNDEFINED = re.compile(r"values used but not defined: \[(%[^\s,\]]+)")


def _malformed(message: str, source: str, place: Location) -> DefinitionError:
    line, column = place.line, place.col
    if undefined := _UNDEFINED.search(message):
        # xDSL knows that where the block ends
        line, column = _first_use(undefined[1], source)
    lines = source.splitlines()[line - 1 : line]
    shown = lines[0].strip() if lines else ""
    return Mistake.MALFORMED_TEXT.error(
        message.strip(),
        location=SourceLocation(place.file, line, column),
        found=shown[:_LINE_SHOWN] or "the end of the text",
    )


def _first_use(value: str, source: str) -> tuple[int, int]:
    """Return the line and column of a value in a text, from 1."""
    use = re.search(rf"{re.escape(value)}(?![\w.$-])", source)
    before = source[: use.start() if use else 0]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _version() -> str:
    try:
        return version("symir")
    except PackageNotFoundError:
        return "unknown"


def check_valid(module: ModuleOp) -> None:
    """Raise where a module of any level does not verify.

    Raises:
        DefinitionError: with the op that is to blame (D029).
    """
    fault = fault_in(module)
    if fault is None:
        return
    where = whereabouts(fault.op)
    place = fault.op.location
    if isinstance(place, FileLineColLoc):
        # Of an op that was read from a text one knows the column as well
        file, line = place.filename.data, place.line.data
        where["location"] = SourceLocation(file, line, place.column.data or None)
    raise Mistake.INVALID_IR.error(
        str(fault.error), found=f"'{fault.op.name}'", **where
    ) from fault.error


def _only_operator(module: ModuleOp) -> sym.OperatorOp:
    ops = list(module.ops)
    if len(ops) == 1 and isinstance(ops[0], sym.OperatorOp):
        return ops[0]
    others = [op for op in ops if not isinstance(op, sym.OperatorOp)]
    blamed = (*others, *ops[1:], module)[0]
    raise Mistake.NOT_ONE_OPERATOR.error(
        "an operator is one sym.operator and nothing beside it",
        location=place_of(blamed),
        expected="one sym.operator",
        found=", ".join(op.name for op in ops[:8]) or "an empty module",
    )


# endregion
