"""The IR of an operator as a value: text, identity, and texts that are wrong."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import FileLineColLoc, ModuleOp

from dialects import sym
from symir.errors import DefinitionError, SourceLocation
from symir.ir import SymbolicOperatorIR
from symir.language import DOperator, row, shift, site, symbol, write
from symir.spaces import fock, qubit, space

Edges = list[tuple[int, int]]

CHAIN: Edges = [(0, 1), (1, 2)]


def _builder(
    edges: Edges = CHAIN,
    *,
    name: str = "op",
    label: str = "i",
    dtype: str = "float64",
    hermitian: bool = False,
    levels: int = 2,
    coupling: float = 0.5,
    default: float = 1.0,
) -> DOperator:
    return (
        DOperator(fock(levels, 3), name, dtype=dtype, hermitian=hermitian)
        .for_each((label, "j"), over=edges, data={"J": [coupling] * len(edges)})
        .where(site(label) > 0)
        .emit(shift(label, -1), amplitude=row("J") * symbol("h", default))
        .emit(shift(label, 1), amplitude=symbol("g"))
    )


def _ir(edges: Edges = CHAIN, **options: object) -> SymbolicOperatorIR:
    return _builder(edges, **options).build().to_ir()  # pyright: ignore[reportArgumentType]


TEXT = _ir().text()

# region What it says


def test_what_it_says():
    ir = _ir(name="hop", dtype="complex64", hermitian=True)
    assert ir.operator_name == "hop"
    assert ir.hilbert_size == 3
    assert ir.space == fock(2, 3)
    assert ir.dtype_str == "complex64"
    assert ir.is_hermitian
    assert not _ir().is_hermitian
    assert ir.term_count == 1
    assert ir.max_conn_size == 4
    assert ir.free_symbols == ("h", "g")
    assert ir.defaults == {"h": 1.0}
    assert ir.parameter_dtypes == (np.float32, np.float32)
    assert repr(ir) == "SymbolicOperatorIR('hop', 3 sites, complex64, 1 terms)"


def test_defaults_are_python_numbers():
    amplitude = symbol("a", 0.1) + symbol("b", 1) + symbol("c", 2j)
    builder = DOperator(qubit(1), dtype=complex).globally().emit(amplitude=amplitude)
    ir = builder.build().to_ir()
    assert ir.defaults == {"a": 0.1, "b": 1.0, "c": 2j}
    assert [type(value) for value in ir.defaults.values()] == [float, float, complex]
    dtypes = [np.float64, np.float64, np.complex128]
    assert list(ir.parameter_dtypes) == dtypes


def test_spaces_that_differ_from_site_to_site():
    local = space([[0, 1], [-0.5, 0.5], [0, 1, 2]])
    ir = DOperator(local).globally().emit().build().to_ir()
    assert ir.space == local


def test_the_module_is_a_copy():
    ir = _ir()
    module = ir.module
    next(iter(module.ops)).detach()
    assert ir.text() == TEXT
    assert ir.module is not ir.module


def test_what_it_is_made_of_may_change_later():
    module = _ir().module
    ir = SymbolicOperatorIR(module)
    next(iter(module.ops)).detach()
    assert ir.text() == TEXT


# endregion
# region Text


def test_text_parses_back():
    parsed = SymbolicOperatorIR.from_text(TEXT)
    assert parsed.text() == TEXT
    assert parsed == _ir()


def test_a_text_may_be_a_module():
    inner = TEXT.replace("\n", "\n  ")
    for text in (f"builtin.module {{\n  {inner}\n}}", f"// a comment\n{TEXT}\n"):
        assert SymbolicOperatorIR.from_text(text) == _ir()


def test_long_tables_lose_their_middle_when_printed():
    many = [(k % 3, (k + 1) % 3) for k in range(17)]
    assert str(_ir(many[:16])) == _ir(many[:16]).text()
    shown = str(_ir(many))
    assert "#sym.rows<[0, 1], [1, 2], [2, 0], ... 13 more ..., [1, 2]>" in shown
    assert "more" not in _ir(many).text()
    assert "... 2 more ..." in _ir(many[:6]).text(elide_rows_over=5)
    with pytest.raises(DefinitionError, match="elided rows cannot be parsed"):
        SymbolicOperatorIR.from_text(shown)


def test_parsed_ops_know_their_lines():
    module = SymbolicOperatorIR.from_text(TEXT, "file.mlir").module
    lines = TEXT.splitlines()
    checked = 0
    for op in module.walk():
        if isinstance(op, ModuleOp):
            continue
        assert isinstance(op.location, FileLineColLoc)
        assert op.location.filename.data == "file.mlir"
        assert op.name in lines[op.location.line.data - 1]
        checked += 1
    assert checked > 5


def test_pickling():
    ir = _ir()
    assert pickle.loads(pickle.dumps(ir)) == ir


# endregion
# region Identity


def test_equal_operators_are_equal():
    assert _ir() == _ir()
    assert hash(_ir()) == hash(_ir())
    assert len(_ir().static_fingerprint()) == 64
    assert _ir() != TEXT


def test_labels_and_places_do_not_count():
    assert _ir(label="site") == _ir()
    assert _ir(label="site").text() != TEXT


@pytest.mark.parametrize(
    "other",
    [
        lambda: _ir([(0, 1), (1, 0)]),
        lambda: _ir([(1, 2), (0, 1)]),
        lambda: _ir([(0, 1), (1, 2), (1, 2)]),
        lambda: _ir(name="other"),
        lambda: _ir(dtype="float32"),
        lambda: _ir(dtype="complex128"),
        lambda: _ir(hermitian=True),
        lambda: _ir(levels=3),
        lambda: _ir(coupling=0.5000001),
        lambda: _ir(default=2.0),
        lambda: _builder().named("bulk").build().to_ir(),
        lambda: _builder().emit(tag="a").build().to_ir(),
        lambda: _builder().emit(tag="b").build().to_ir(),
        lambda: _builder().emit(write("i", 1)).build().to_ir(),
        lambda: _builder().emit(write("j", 1)).build().to_ir(),
    ],
)
def test_everything_else_counts(other: Callable[[], SymbolicOperatorIR]):
    assert other() != _ir()
    assert other().static_fingerprint() != _ir().static_fingerprint()


def test_the_middle_of_a_long_table_counts():
    edges = [(0, 1)] * 40
    changed = [*edges[:20], (1, 0), *edges[21:]]
    assert str(_ir(edges)) == str(_ir(changed))
    assert _ir(edges) != _ir(changed)


# endregion
# region Wrong texts


def _error(text: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        SymbolicOperatorIR.from_text(text, "file.mlir")
    assert caught.value.location is not None
    assert caught.value.location.file == "file.mlir"
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sym.shift", "sym.shove", "sym.shove"),
        ("!sym.site", "!sym.sight", "sym.sight"),
        ("%x[%i]", "%x[%i", "]"),
        ("[1, 2]>", "[1, 2, 0]>", "rows of unequal length"),
        ("[1, 2]>", "[1, 2.5]>", "Expected"),
        ("3 x [0, 1, 2]", "0 x [0, 1, 2]", "at least one site"),
        ("3 x [0, 1, 2]", "3 x [0, 2, 1]", "must ascend"),
        ('"g"', '"g', "closing string literal"),
        ("@op", "op", "symbol name"),
        ("tensor<f64>", "tensor<f65>", ""),
        ("tensor<f64> = dense<1.000000e+00>", "f64 = dense<1.0>", "f64"),
    ],
)
def test_texts_that_do_not_parse(old: str, new: str, message: str):
    assert old in TEXT
    start = TEXT.index(old)
    error = _error(TEXT.replace(old, new, 1))
    assert error.code == "D028"
    assert message in error.message
    assert error.location is not None
    # A parser may notice only at the next token.
    line = TEXT[:start].count("\n") + 1
    assert error.location.line in (line, line + 1)
    assert error.found


def test_a_value_without_a_definition():
    error = _error(TEXT.replace("%x[%i]", "%x[%nowhere]", 1))
    assert error.code == "D028"
    assert "%nowhere" in error.message


def test_the_line_is_shown():
    error = _error("sym.operator @op()\n  place")
    assert error.location == SourceLocation("file.mlir", 2)
    assert error.found == "place"
    assert "file.mlir:2" in str(error)


@pytest.mark.parametrize(
    ("old", "new", "message", "term"),
    [
        (
            "    sym.emit %y, ",
            "    %q = sym.read %x[%i] : tensor<f32>\n    sym.emit %y, ",
            "'sym.read' takes local values as tensor<f64>",
            "term0",
        ),
        ("[1, 2]>", "[1, 3]>", "row 1 of term @term0 is [1, 3]", "term0"),
        ("[1, 2]>", "[1, 2], [0, 0]>", "one value for each of 3 rows", "term0"),
        ('%g "g"', '%g "h"', "two parameters share a name", None),
    ],
)
def test_texts_that_do_not_verify(old: str, new: str, message: str, term: str | None):
    assert old in TEXT
    error = _error(TEXT.replace(old, new, 1))
    assert error.code == "D029"
    assert message in error.message
    assert error.operator == "op"
    assert error.term == term
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    assert error.location == SourceLocation("file.mlir", line)


@pytest.mark.parametrize(
    ("text", "found", "line"),
    [
        ("builtin.module {}", "an empty module", 1),
        (
            f"{TEXT}\n{TEXT.replace('@op', '@other')}",
            "sym.operator, sym.operator",
            TEXT.count("\n") + 2,
        ),
        (
            f"{TEXT}\nfunc.func private @f()",
            "sym.operator, func.func",
            TEXT.count("\n") + 2,
        ),
        ("\nfunc.func private @f()", "func.func", 2),
    ],
)
def test_texts_of_other_things(text: str, found: str, line: int):
    error = _error(text)
    assert error.code == "D030"
    assert error.found == found
    assert error.location == SourceLocation("file.mlir", line)


@pytest.mark.parametrize("text", ["", "   \n", "// nothing"])
def test_empty_texts(text: str):
    assert _error(text).code in ("D028", "D030")


def test_a_quote_that_is_not_closed_is_found_at_once():
    # xDSL's own pattern for strings would take longer than the universe is old.
    error = _error(f'sym.operator @op(%h "{"h" * 200}')
    assert error.code == "D028"
    assert "closing string literal" in error.message


def test_bytes_that_are_no_text_are_errors():
    assert _error(TEXT.replace('"h"', r'"\FF"')).code == "D028"


@given(st.data())
def test_a_damaged_text_parses_or_is_our_error(data: st.DataObject):
    start = data.draw(st.integers(0, len(TEXT)))
    stop = data.draw(st.integers(start, min(len(TEXT), start + 12)))
    patch = data.draw(
        st.sampled_from(["", '"', "<", "0", "-1", "99999999999", "nan", "x", "é", "{"])
        | st.text(max_size=3)
    )
    damaged = TEXT[:start] + patch + TEXT[stop:]
    try:
        ir = SymbolicOperatorIR.from_text(damaged)
    except DefinitionError:
        return
    assert SymbolicOperatorIR.from_text(ir.text()) == ir


def test_modules_are_checked_too():
    with pytest.raises(DefinitionError, match="D030"):
        SymbolicOperatorIR(ModuleOp([]))
    module = _ir().module
    for op in module.walk():
        if isinstance(op, sym.EmitOp):
            op.detach()
            op.erase(safe_erase=False)
    with pytest.raises(DefinitionError, match="emits nothing") as caught:
        SymbolicOperatorIR(module)
    assert (caught.value.code, caught.value.term) == ("D029", "term0")


# endregion
