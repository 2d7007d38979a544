"""Reading and writing the text of every level: one parser, one printer for all tools.

xDSL 0.73 reads a hexadecimal float inside of `dense<..>` as an integer, and JAX writes
the -inf of a max-reduction that way: `Parser` here reads it as the bits that it is. Its
lexer mends two defects of string literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from math import prod
from typing import Any, cast

from xdsl.context import Context
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AnyDenseElement,
    AnyFloat,
    Builtin,
    ComplexType,
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerType,
    ModuleOp,
    RankedStructure,
    TensorType,
    UnregisteredOp,
)
from xdsl.dialects.func import Func
from xdsl.ir import Attribute, Operation, Region
from xdsl.irdl import AttrConstraint, base
from xdsl.parser import AttrParser, ParserState
from xdsl.parser import Parser as XdslParser
from xdsl.printer import Printer as XdslPrinter
from xdsl.utils.lexer import Input, Span, Token
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRTokenKind, StringLiteral
from xdsl_jax.dialects.stablehlo import ConstantOp, WhileOp


def _float_from_bits(parser: AttrParser, bits: int, kind: AnyFloat, at: Span) -> float:
    try:
        data = bits.to_bytes(kind.compile_time_size, "little")
    except OverflowError:
        parser.raise_error(
            f"a hexadecimal {kind} has at most {8 * kind.compile_time_size} bits and "
            "no sign",
            at,
        )
    return kind.unpack(data, 1)[0]


class _TensorLiteralElement(AttrParser._TensorLiteralElement):  # pyright: ignore[reportPrivateUsage]
    """A tensor element that reads a hexadecimal integer as the bits of a float."""

    def to_type(
        self, parser: AttrParser, type: AnyFloat | IntegerType | IndexType | ComplexType
    ) -> Any:
        value: Any = self.value
        if isinstance(type, ComplexType):
            if not isinstance(value, tuple):
                parser.raise_error("Expected a complex value", self.span)
            # each part is an element of its own, see Parser
            real, imaginary = cast(tuple[_TensorLiteralElement, ...], value)
            kind = type.element_type
            return real.to_type(parser, kind), imaginary.to_type(parser, kind)
        text = self.span.text.lower()
        if isinstance(type, AnyFloat) and "0x" in text and isinstance(value, int):
            return _float_from_bits(parser, value, type, self.span)
        return super().to_type(parser, type)


_OFTEN = re.compile(
    r"(?>(?:\s+|//[^\n]*\n?)*)"
    r"(?:([A-Za-z_][\w$.]*)|(%(?:\d+|[A-Za-z$._-][\w$.-]*))|([:,()}\[\]<>=*]))",
    re.ASCII,
)
"""White space and comments, and one of the tokens that nearly all of a text are."""

_PUNCTUATION = {
    sign: MLIRTokenKind(sign)
    for sign in (":", ",", "(", ")", "}", "[", "]", "<", ">", "=", "*")
}


class _Lexer(MLIRLexer):
    """xDSL's lexer with two defects of string literals mended.

    One that is not closed fails at once; xDSL's pattern takes exponential time to find
    out. One that is not ASCII is a string like any other, where xDSL makes it bytes.
    """

    # A run of characters is one step, and none is given back: tables of weights are
    # long, and 40 MB took 6 s one by one
    _unescaped_characters_regex = re.compile(
        r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"'
    )

    def lex(self) -> Token[MLIRTokenKind]:
        # xDSL looks at one character after the other: a tenth of the time of a parser
        found = _OFTEN.match(self.input.content, self.pos)
        if found is None:
            return super().lex()
        number = cast(int, found.lastindex)
        start, end = found.span(number)
        self.pos = end
        if number == 3:
            kind = _PUNCTUATION[found[3]]
        elif number == 2:
            kind = MLIRTokenKind.PERCENT_IDENT
        else:
            kind = MLIRTokenKind.BARE_IDENT
        return Token(kind, Span(start, end, self.input))

    def _lex_string_literal(self, start_pos: int) -> Token[MLIRTokenKind]:
        token = super()._lex_string_literal(start_pos)
        if token.kind is not MLIRTokenKind.BYTES_LIT:
            return token
        try:
            cast(StringLiteral, token.span).bytes_contents.decode()
        except UnicodeDecodeError:
            return token
        return Token(MLIRTokenKind.STRING_LIT, token.span)


@cache
def _dense_types() -> AttrConstraint[RankedStructure[AnyDenseElement]]:
    """Return what the type of a dense literal has to be."""
    return base(RankedStructure[AnyDenseElement])


_TENSOR = re.compile(r"tensor<(?:(?:\d+|\?)x)*(?:[a-z]+\d+|complex<f\d+>)>")
"""Types that say all by their text."""


_CLOSED = ("builtin", "func", "sym", "bt")
"""Dialects that have no other ops than those that are known."""


class Parser(XdslParser):
    """xDSL's parser with hexadecimal floats, string literals and reductions mended.

    Where a context allows unregistered ops, they are those of other dialects alone.
    """

    _TensorLiteralElement = _TensorLiteralElement

    def __init__(self, ctx: Context, input: str, name: str = "<unknown>"):
        # An empty text first: the mended lexer must be the one that sees the input
        super().__init__(ctx, "", name)
        self._parser_state = ParserState(_Lexer(Input(input, name)))
        self._tensors: dict[str, Any] = {}
        self._of_reducer = False

    def parse_optional_type(self) -> Any:
        # Most of a text are types, and few are not there already
        found = _TENSOR.match(self.lexer.input.content, self.pos)
        if found is None:
            return super().parse_optional_type()
        text = found.group()
        if text not in self._tensors:
            self._tensors[text] = super().parse_optional_type()
        else:
            self._resume_from(found.end())
        return self._tensors[text]

    def parse_argument(self, *, expect_type: bool = True) -> Any:
        # Locations are printed with the arguments of every region, and xDSL reads them
        # with those of functions and blocks alone
        argument = super().parse_argument(expect_type=expect_type)
        if isinstance(argument, self.Argument):
            argument.location = self.parse_optional_location()
        return argument

    def parse_keyword(self, keyword: str, context_msg: str = "") -> str:
        self._of_reducer = keyword == "reducer"
        return super().parse_keyword(keyword, context_msg)

    def parse_region(self, arguments: Iterable[Any] | None = None) -> Region:
        # The text of a reduction pairs the arguments of its region, which xdsl-jax then
        # has in the order of the text
        if arguments is not None and self._of_reducer:
            given, self._of_reducer = list(arguments), False
            arguments = [*given[::2], *given[1::2]]
        return super().parse_region(arguments)

    def _get_op_by_name(self, name: str) -> type[Operation]:
        found = super()._get_op_by_name(name)
        dialect, is_of_one, _ = name.partition(".")
        if issubclass(found, UnregisteredOp) and (not is_of_one or dialect in _CLOSED):
            self.raise_error(f"Operation {name} is not registered")
        return found

    def parse_operation(self) -> Operation:
        try:
            return super().parse_operation()
        except (AssertionError, AttributeError, TypeError, ValueError) as error:
            # xDSL and xdsl-jax take some parts of an op for granted
            self.raise_error(f"this is not what the op expects: {error}")

    def _parse_dialect_type_or_attribute_body(
        self, attr_name: str, *arguments: Any, **options: Any
    ) -> Any:
        start = self.pos
        try:
            return super()._parse_dialect_type_or_attribute_body(
                attr_name, *arguments, **options
            )
        except ValueError:
            # xDSL counts the parameters of an attribute by a strict zip
            self.raise_error(f"not the parameters of {attr_name}", start, self.pos)

    def _parse_dense_literal_type(self) -> Any:
        # xDSL makes the constraint anew for each literal, which takes longer than it
        type = self.expect(self.parse_optional_type, "Dense attribute must be typed!")
        if not _dense_types().verifies(type):
            self.raise_error(
                "Expected memref, vector or tensor type of "
                "integer, index, float, or complex type"
            )
        if DYNAMIC_INDEX in type.get_shape():
            self.raise_error("Dense literal attribute should have a static shape.")
        return type

    def parse_dense_int_or_fp_elements_attr(
        self, type: Any
    ) -> DenseIntOrFPElementsAttr[Any]:
        start = self.pos
        try:
            attribute = super().parse_dense_int_or_fp_elements_attr(type)
        except (NotImplementedError, OverflowError, ValueError) as error:
            self.raise_error(str(error), start, self.pos)
        size = attribute.get_element_type().compile_time_size
        if len(attribute.data.data) != size * prod(attribute.get_shape()):
            self.raise_error(
                f"{len(attribute.data.data)} bytes are no {attribute.get_type()}",
                start,
                self.pos,
            )
        return attribute

    def _parse_optional_complex(self) -> Any:
        # xDSL forgets how the parts were written, and takes `(0x7FC00000, 1.0)` for an
        # integer and a float
        start = self.pos
        if self.parse_optional_punctuation("(") is None:
            return None
        real = self._parse_real()
        self.parse_punctuation(",")
        imaginary = self._parse_real()
        self.parse_punctuation(")")
        return (real, imaginary), Span(start, self.pos, self.lexer.input)

    def _parse_real(self) -> _TensorLiteralElement:
        value, span = self._parse_bool_int_or_float()
        return _TensorLiteralElement(value < 0, value, span)


@dataclass(eq=False, repr=False)
class Printer(XdslPrinter):
    """xDSL's printer; tables longer than `elide_rows_over` lose their middle.

    Tables are rows, sets of sites, and lists of numbers. Elided text is for reading
    only: it does not parse.
    """

    elide_rows_over: int | None = field(default=None)
    _types: dict[TensorType[Attribute], str] = field(init=False, default_factory=dict)
    """Texts of types: a kernel has a few, each of which stands in many places."""

    def print_string(self, text: str, *, indent: int | None = None) -> None:
        # Nearly all of a text is written so, a few characters at a time: a tenth of the
        # time of a printer
        if self.stream is None or "\n" in text:
            super().print_string(text, indent=indent)
            return
        self._current_column += len(text)
        self.stream.write(text)

    def print_attribute(self, attribute: Attribute) -> None:
        if isinstance(attribute, TensorType):
            kind = cast(TensorType[Attribute], attribute)
            if kind not in self._types:
                self._types[kind] = str(kind)
            self.print_string(self._types[kind])
            return
        numbers = _as_list(attribute)
        if numbers is not None and self._is_elided(numbers):
            self._print_ends(numbers)
        else:
            super().print_attribute(attribute)

    def print_op(self, op: Operation) -> None:
        if not isinstance(op, ConstantOp) or op.attributes or self.print_generic_format:
            super().print_op(op)
            return
        numbers, data = op.value, op.value.data.data
        kind = numbers.get_element_type()
        is_long = isinstance(kind, IntegerType) and len(numbers) > _MOST_LISTED
        if not is_long or data == data[: kind.compile_time_size] * len(numbers):
            super().print_op(op)
            return
        # xDSL unpacks all numbers, twice, to write none of them: that takes a tenth of
        # the time from an operator to its kernel
        self._print_results(op)
        self.print_string(f'{op.name} dense<"0x{data.hex().upper()}"> : ')
        self.print_attribute(numbers.type)
        if self.print_debuginfo:
            self.print_string(" ")
            self.print_attribute(op.location)

    def print_region(
        self,
        region: Region,
        print_entry_block_args: bool = True,
        *options: Any,
        **by_name: Any,
    ) -> None:
        parent = region.parent_op()
        if isinstance(parent, WhileOp) and not print_entry_block_args:
            # The text names the arguments once, for both regions of a loop
            for own, shared in zip(region.block.args, parent.body.block.args):
                self._ssa_values[own] = self._ssa_values[shared]
        super().print_region(region, print_entry_block_args, *options, **by_name)

    def print_bytes_literal(self, bytestring: bytes) -> None:
        # xDSL prints byte by byte, and each op's location has the path of a file
        if _PLAIN.fullmatch(bytestring):
            self.print_string(f'"{bytestring.decode()}"')
        else:
            super().print_bytes_literal(bytestring)

    def _is_elided(self, numbers: DenseIntOrFPElementsAttr[Any]) -> bool:
        over = self.elide_rows_over
        is_long = over is not None and numbers.get_shape()[0] > max(over, 4)
        return is_long and not numbers.is_splat()

    def _print_ends(self, numbers: DenseIntOrFPElementsAttr[Any]) -> None:
        """Print four entries of a list, as many as of a table of rows."""
        kind: Any = numbers.get_element_type()
        data, size = numbers.data.data, kind.compile_time_size
        *first, last = kind.unpack(data[: 3 * size] + data[-size:], 4)
        self.print_string("dense<[")
        for value in first:
            self._print_number(value, kind)
            self.print_string(", ")
        self.print_string(f"... {numbers.get_shape()[0] - 4} more ..., ")
        self._print_number(last, kind)
        self.print_string("]> : ")
        self.print_attribute(numbers.get_type())

    def _print_number(self, value: Any, kind: Any) -> None:
        if isinstance(value, int):
            self.print_int(value, kind)
        elif isinstance(value, tuple):
            self.print_complex(cast(tuple[float, float], value), kind)
        else:
            self.print_float(value, kind)


_MOST_LISTED = 100
"""Constants of more numbers than this are written as bytes, by xDSL as well."""

_PLAIN = re.compile(rb"[ !#-\[\]-~]*")
"""Characters that a string literal holds without escapes."""


def _as_list(attribute: Attribute) -> DenseIntOrFPElementsAttr[Any] | None:
    if not isinstance(attribute, DenseIntOrFPElementsAttr):
        return None
    numbers = cast(DenseIntOrFPElementsAttr[Any], attribute)
    return numbers if len(numbers.get_shape()) == 1 else None


def context() -> Context:
    """Return a context that knows every dialect of the three levels, loaded lazily."""
    from dialects.registry import get_all_dialects

    ctx = Context()
    ctx.load_dialect(Builtin)
    ctx.load_dialect(Func)
    for name, factory in get_all_dialects().items():
        ctx.register_dialect(name, factory)
    return ctx


def parse_module(text: str, file: str = "<string>") -> ModuleOp:
    """Parse and verify a module; raises xDSL's ParseError or VerifyException."""
    module = Parser(context(), text, file).parse_module()
    module.verify()
    return module


def print_module(
    op: Operation, *, elide_rows_over: int | None = None, locations: bool = False
) -> str:
    """Print an op, eliding tables longer than `elide_rows_over` if it is given.

    With `locations` each op says where it comes from.
    """
    stream = StringIO()
    Printer(
        stream, elide_rows_over=elide_rows_over, print_debuginfo=locations
    ).print_op(op)
    return stream.getvalue()
