"""Reading and writing: what is printed is read, and what is not IR is refused."""

from __future__ import annotations

import struct
from io import StringIO
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import (
    BFloat16Type,
    ComplexType,
    DenseIntOrFPElementsAttr,
    Float16Type,
    ModuleOp,
    StringAttr,
    f32,
    f64,
    i1,
    i32,
)
from xdsl.ir import Attribute
from xdsl.parser import Parser as XdslParser
from xdsl.printer import Printer as XdslPrinter
from xdsl.utils.exceptions import ParseError, VerifyException
from xdsl.utils.lexer import Input
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRTokenKind

from dialects import sym
from dialects.registry import get_all_dialects
from dialects.stablehlo import constant
from dialects.tables import RowTable
from dialects.text import Parser, Printer, context, parse_module, print_module

TOKENS = (
    *("tensor", "_a.b$1", "%0", "%x-y", "%.", "%é", "é", "0x1F", "1.5e3", "@f", "%"),
    *("->", "-", "...", "{-#", "#-}", "{", "}", "//", "/", "\n", " ", "\t", "*", "+"),
    *("?", "|", "(", ")", "[", "]", "<", ">", "=", ":", ",", "#a", "!b", "^c", '"s"'),
)


def tokens_of(lexer: MLIRLexer) -> list[tuple[MLIRTokenKind, int, int]] | str:
    """Return kinds and places of all tokens, or what is wrong."""
    found: list[tuple[MLIRTokenKind, int, int]] = []
    while not found or found[-1][0] is not MLIRTokenKind.EOF:
        try:
            token = lexer.lex()
        except ParseError as error:
            return str(error)
        found.append((token.kind, token.span.start, token.span.end))
    return found


@given(st.lists(st.sampled_from(TOKENS) | st.characters(exclude_characters='"')))
@example(["a", "//", " ", "%", "x", "\n", "%", "x"])
@example(["//", '"s"', "\n", "//", "é"])
def test_tokens_are_those_of_xdsl(parts: list[str]) -> None:
    text = "".join(parts)
    own, other = (
        cast(MLIRLexer, type(parser(context(), "").lexer)(Input(text, "<unknown>")))
        for parser in (Parser, XdslParser)
    )
    assert tokens_of(own) == tokens_of(other)


HOP = """\
builtin.module {
  sym.operator @hop(%t "t" : tensor<f64> = dense<1.000000e+00>) space \
#sym.space<4 x [0, 1, 2]> element f64 hermitian {
    sym.term @bulk over #sym.rows<[0, 1], [1, 2], [2, 3]> data \
[#sym.column<"J", dense<[1.000000e+00, 5.000000e-01, 0xfff0000000000000]> : \
tensor<3xf64>>] {
    ^bb0(%x: !sym.config, %i: !sym.site, %j: !sym.site, %J: tensor<f64>):
      %ni = sym.read %x[%i] : tensor<f64>
      %zero = stablehlo.constant dense<0.000000e+00> : tensor<f64>
      %ok = stablehlo.compare GT, %ni, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
      %m = stablehlo.constant dense<-1.000000e+00> : tensor<f64>
      %y0 = sym.shift %x[%i] by %m : tensor<f64>
      %y = sym.swap %y0[%i, %j]
      %z = sym.select %ok, %y, %x
      %a = stablehlo.multiply %t, %J : tensor<f64>
      sym.emit %z, %a if %ok tag "hop" : tensor<f64>
    }
  }
}"""

LANES = """\
builtin.module {
  func.func @lanes(%x: tensor<?x8x!bt.state>, %t: tensor<f64>) -> tensor<?x14xf64> {
    %i = stablehlo.constant dense<[0, 1, 2, 3, 4, 5, -1]> : tensor<7xi32>
    %v = bt.gather %x[%i] : (tensor<?x8x!bt.state>, tensor<7xi32>) -> tensor<?x7xf64>
    %a = bt.broadcast %t dims = [] : tensor<f64> -> tensor<7xf64>
    %b = bt.branches[%i] = [%v] amplitude %a : [tensor<7xi32>] [tensor<?x7xf64>] \
tensor<7xf64> -> !bt.branches<7 x 1>
    %c = bt.interleave %b, %b : !bt.branches<7 x 1>, !bt.branches<7 x 1> -> \
!bt.branches<14 x 1>
    %d = bt.concat %c : !bt.branches<14 x 1> -> !bt.branches<14 x 1>
    %xp, %mels = bt.connections %x, %d : (tensor<?x8x!bt.state>, \
!bt.branches<14 x 1>) -> (tensor<?x14x8x!bt.state>, tensor<?x14xf64>)
    func.return %mels : tensor<?x14xf64>
  }
}"""

# region What is printed is read


@pytest.mark.parametrize("text", [HOP, LANES], ids=["sym", "bt"])
def test_a_text_is_printed_as_it_was_read(text: str) -> None:
    assert print_module(parse_module(text)) == text


@pytest.mark.parametrize("text", [HOP, LANES], ids=["sym", "bt"])
def test_the_generic_form_says_the_same(text: str) -> None:
    module = parse_module(text)
    stream = StringIO()
    Printer(stream, print_generic_format=True).print_op(module)
    generic = stream.getvalue()
    assert '"builtin.module"() ({' in generic
    assert print_module(parse_module(generic)) == text


def test_any_op_is_printed() -> None:
    operator = parse_module(HOP).body.block.first_op
    assert operator is not None
    lines = [line.removeprefix("  ") for line in HOP.splitlines()[1:-1]]
    assert print_module(operator) == "\n".join(lines)


def test_a_context_knows_the_dialects_of_all_levels() -> None:
    names = {"builtin", "func", *get_all_dialects()}
    assert set(context().registered_dialect_names) == names
    # those that nothing has asked for are not imported
    assert {dialect.name for dialect in context().loaded_dialects} == {
        "builtin",
        "func",
    }


# endregion
# region Elision


def table_of(rows: int) -> sym.RowsAttr:
    return sym.RowsAttr(RowTable.from_rows(np.arange(2 * rows).reshape(rows, 2)))


def printed(attribute: Attribute, elide_rows_over: int | None) -> str:
    stream = StringIO()
    Printer(stream, elide_rows_over=elide_rows_over).print_attribute(attribute)
    return stream.getvalue()


def test_the_middle_of_a_long_table_is_left_out() -> None:
    assert printed(table_of(12), 8) == (
        "#sym.rows<[0, 1], [2, 3], [4, 5], ... 8 more ..., [22, 23]>"
    )
    assert printed(sym.RowsAttr(RowTable.from_rows([[]] * 12)), 8) == (
        "#sym.rows<[], [], [], ... 8 more ..., []>"
    )


@given(st.integers(0, 30), st.integers(0, 30))
@example(4, 0)
@example(5, 0)
def test_the_left_out_rows_are_counted(rows: int, elide_over: int) -> None:
    text, full = printed(table_of(rows), elide_over), printed(table_of(rows), None)
    # eliding fewer rows than the four that are shown saves nothing
    if rows <= max(elide_over, 4):
        assert text == full
        return
    assert f"... {rows - 4} more ..." in text
    assert text.count("[") == 4
    assert text.endswith(f"[{2 * rows - 2}, {2 * rows - 1}]>")


def test_a_printer_elides_only_when_asked() -> None:
    table = table_of(1000)
    assert "more" not in printed(table, None)
    assert "more" not in str(table)
    assert Parser(context(), str(table)).parse_attribute() == table


def test_print_module_elides() -> None:
    rows = ", ".join("[0, 1]" for _ in range(10))
    text = HOP.replace("[0, 1], [1, 2], [2, 3]", rows)
    text = text.replace("[1.000000e+00, 5.000000e-01, 0xfff0000000000000]", "0.5")
    module = parse_module(text.replace("tensor<3x", "tensor<10x"))
    assert "... 6 more ..." in print_module(module, elide_rows_over=9)
    assert "... 6 more ..." not in print_module(module, elide_rows_over=10)
    assert "... 6 more ..." not in print_module(module)


def test_elided_text_cannot_be_mistaken_for_a_table() -> None:
    with pytest.raises(ParseError, match="elided rows cannot be parsed"):
        Parser(context(), printed(table_of(12), 8)).parse_attribute()


# endregion
# region Floats written in hexadecimal

FORMATS: list[tuple[Any, str, str]] = [
    (Float16Type(), "<H", "<e"),
    (f32, "<I", "<f"),
    (f64, "<Q", "<d"),
]


def element_of(literal: str, kind: Attribute) -> Any:
    attribute = Parser(context(), f"dense<{literal}> : tensor<{kind}>")
    dense = attribute.parse_attribute()
    assert isinstance(dense, DenseIntOrFPElementsAttr)
    (value,) = dense.get_values()
    return value


@pytest.mark.parametrize(("kind", "integer", "floating"), FORMATS, ids=str)
@given(data=st.data())
def test_hexadecimal_floats_are_bits(
    kind: Any, integer: str, floating: str, data: st.DataObject
) -> None:
    bits = data.draw(st.integers(0, 2 ** (8 * struct.calcsize(integer)) - 1))
    (expected,) = struct.unpack(floating, struct.pack(integer, bits))
    for literal in (hex(bits), f"0x{bits:X}"):
        np.testing.assert_equal(element_of(literal, kind), expected)


@given(st.integers(0, 2**16 - 1))
def test_bfloat16_is_the_upper_half_of_float32(bits: int) -> None:
    (expected,) = struct.unpack("<f", struct.pack("<I", bits << 16))
    np.testing.assert_equal(element_of(hex(bits), BFloat16Type()), expected)


@given(st.floats(), st.floats())
def test_the_parts_of_complex_numbers_too(real: float, imaginary: float) -> None:
    (a,), (b,) = (struct.unpack("<Q", struct.pack("<d", x)) for x in (real, imaginary))
    kind = ComplexType(f64)
    both = (real, imaginary)
    np.testing.assert_equal(element_of(f"({a:#x}, {b:#x})", kind), both)
    if np.isfinite(imaginary):
        # one part in hexadecimal, the other with a point
        point = f"{imaginary:.17e}"
        np.testing.assert_equal(element_of(f"({a:#x}, {point})", kind), both)


def test_the_start_of_a_max_reduction_by_jax() -> None:
    assert element_of("0xFF800000", f32) == -np.inf
    # what xDSL makes of it
    attribute = XdslParser(context(), "dense<0xFF800000> : tensor<f32>")
    dense = attribute.parse_attribute()
    assert isinstance(dense, DenseIntOrFPElementsAttr)
    assert dense.get_values() == (4286578688.0,)


def test_decimal_literals_are_numbers() -> None:
    assert element_of("-1.5", f32) == -1.5
    assert element_of("3", f32) == 3.0
    assert element_of("(1, -2)", ComplexType(f32)) == (1.0, -2.0)


# endregion
# region What is not IR is refused


def test_an_error_names_the_file() -> None:
    with pytest.raises(ParseError, match=r"ops/hop\.mlir:1:9"):
        parse_module("nonsense", "ops/hop.mlir")


def test_an_invalid_module_is_refused() -> None:
    with pytest.raises(VerifyException, match="emits nothing"):
        parse_module(HOP.replace('sym.emit %z, %a if %ok tag "hop" : tensor<f64>', ""))
    with pytest.raises(ParseError, match=r"Operation foo\.bar is not registered"):
        parse_module('"foo.bar"() : () -> ()')


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("dense<1> : f64", "Expected memref, vector or tensor type"),
        ("dense<1> : tensor<1x!bt.state>", "Expected memref, vector or tensor type"),
        ("dense<1> : tensor<?xi32>", "should have a static shape"),
        ("!sym.config<1>", r"not the parameters of sym\.config"),
        ('#sym.column<"J">', r"not the parameters of sym\.column"),
        ('#sym.column<"J", dense<1.0> : tensor<1xf64>, 2>', "not the parameters of"),
        ("!bt.state<i8>", r"not the parameters of bt\.state"),
        ("!bt.nothing", r"'bt\.nothing' is not registered"),
    ],
)
def test_an_attribute_has_its_parameters(attribute: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        Parser(context(), attribute).parse_attribute()


@pytest.mark.parametrize(
    "text",
    [
        "%c = stablehlo.constant unit",
        "func.func @f() {\n^0bb0:\n}",
    ],
)
def test_what_an_op_takes_for_granted_is_checked(text: str) -> None:
    with pytest.raises(ParseError, match="this is not what the op expects"):
        parse_module(text)


def test_a_string_that_is_not_closed_is_found_at_once() -> None:
    """The pattern of xDSL would not come to an end here."""
    text = HOP.replace('%t "t"', '%t "t').replace('"J"', "")
    assert len(text.partition('"t')[2].partition("\n")[0]) > 60
    with pytest.raises(ParseError, match="before closing string literal"):
        parse_module(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example('a "b" \\ c')
@example("\n\t\0")
@example("ψ(x)")
def test_every_string_is_read_as_it_was_printed(label: str) -> None:
    attribute = StringAttr(label)
    assert Parser(context(), str(attribute)).parse_attribute() == attribute


@settings(max_examples=300)
@given(st.data())
def test_damaged_text_gives_an_error_or_a_module(data: st.DataObject) -> None:
    """Cut, doubled and swapped pieces never end in another exception."""
    text = data.draw(st.sampled_from([HOP, LANES]))
    position = st.integers(0, len(text))
    start, stop = sorted((data.draw(position), data.draw(position)))
    stop = min(stop, start + data.draw(st.integers(0, 12)))
    piece = data.draw(
        st.sampled_from(
            ["", "0", "-1", "[", ">", "x", "%x", '"', "f32", "0x10", " ", "unit"]
        )
    )
    damaged = text[:start] + piece + text[stop:]
    try:
        module = parse_module(damaged)
    except (ParseError, VerifyException):
        return
    assert isinstance(module, ModuleOp)
    again = print_module(module)
    assert print_module(parse_module(again)) == again


# endregion


def test_our_printer_is_xdsl_s_but_for_elision() -> None:
    module = parse_module(HOP)
    stream = StringIO()
    XdslPrinter(stream).print_op(module)
    assert stream.getvalue() == print_module(module)


def test_numbers_of_a_width_that_nothing_stores() -> None:
    text = '"test.op"() {v = dense<[1, 2]> : tensor<2xi302>} : () -> ()'
    with pytest.raises(ParseError, match="i302"):
        parse_module(text)


def test_locations_of_the_arguments_of_a_region_are_read() -> None:
    text = """\
builtin.module {
  func.func @sums(%x: tensor<3xf32> loc("a":1:1), %z: tensor<f32>) -> tensor<f32> {
    %s = stablehlo.reduce(%x init: %z) across dimensions = [0] : \
(tensor<3xf32>, tensor<f32>) -> tensor<f32>
    reducer(%a: tensor<f32> loc("b":2:3), %b: tensor<f32> loc("b":2:4)) {
      %c = stablehlo.add %a, %b : tensor<f32>
      stablehlo.return %c : tensor<f32>
    }
    func.return %s : tensor<f32>
  }
}"""
    module = parse_module(text)
    printed = print_module(module, locations=True)
    assert '%a: tensor<f32> loc("b":2:3), %b: tensor<f32> loc("b":2:4)' in printed
    assert '%x: tensor<3xf32> loc("a":1:1)' in printed
    assert print_module(parse_module(printed), locations=True) == printed


@pytest.mark.parametrize("kind", [i1, i32, f64])
@pytest.mark.parametrize("count", [100, 101])
@pytest.mark.parametrize("step", [0, 1])
def test_long_constants_are_written_as_xdsl_writes_them(
    kind: Attribute, count: int, step: int
) -> None:
    module = ModuleOp([constant(step * np.arange(count) % 2, kind)])
    theirs = StringIO()
    XdslPrinter(theirs).print_op(module)
    assert print_module(module) == theirs.getvalue()
