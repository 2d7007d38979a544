"""Reading and writing the text of every level: one parser and one printer for all tools.

xDSL 0.73 reads a hexadecimal float inside of `dense<..>` as an integer, and JAX writes
the -inf of a max-reduction that way: `Parser` here reads it as the bits that it is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import (
    AnyFloat,
    BFloat16Type,
    Builtin,
    ComplexType,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
    ModuleOp,
)
from xdsl.dialects.func import Func
from xdsl.ir import Operation
from xdsl.parser import AttrParser
from xdsl.parser import Parser as XdslParser
from xdsl.printer import Printer as XdslPrinter

_FLOAT_BITS: dict[type, tuple[str, str]] = {
    Float16Type: ("<H", "<e"),
    Float32Type: ("<I", "<f"),
    Float64Type: ("<Q", "<d"),
}


def _float_from_bits(bits: int, kind: AnyFloat) -> float:
    if isinstance(kind, BFloat16Type):
        bits, kind = bits << 16, Float32Type()
    integer, floating = _FLOAT_BITS[type(kind)]
    return struct.unpack(floating, struct.pack(integer, bits))[0]


class _TensorLiteralElement(AttrParser._TensorLiteralElement):  # pyright: ignore[reportPrivateUsage]
    """A tensor element that reads a hexadecimal integer as the bits of a float."""

    def to_type(
        self, parser: AttrParser, type: AnyFloat | IntegerType | IndexType | ComplexType
    ) -> Any:
        text = self.span.text.lower()
        if isinstance(type, AnyFloat) and "0x" in text and isinstance(self.value, int):
            return _float_from_bits(self.value, type)
        return super().to_type(parser, type)


class Parser(XdslParser):
    """xDSL's parser with hexadecimal floats read as bit patterns."""

    _TensorLiteralElement = _TensorLiteralElement


@dataclass(eq=False, repr=False)
class Printer(XdslPrinter):
    """xDSL's printer; row tables longer than `elide_rows_over` lose their middle.

    Elided text is for reading only: it does not parse.
    """

    elide_rows_over: int | None = field(default=None)


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


def print_module(op: Operation, *, elide_rows_over: int | None = None) -> str:
    """Print an op, eliding row tables longer than `elide_rows_over` if it is given."""
    stream = StringIO()
    Printer(stream, elide_rows_over=elide_rows_over).print_op(op)
    return stream.getvalue()
