"""The IR of an operator as a value: text, identity, and texts that are wrong."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from io import StringIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import FileLineColLoc, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.printer import Printer

from dialects import sym
from dialects.tables import LocalSpace, SiteSum
from symir.errors import DefinitionError, SourceLocation
from symir.language import DOperator, here, row, shift, site, symbol, table, write
from symir.language.reductions import set_, sum_
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import fock, qubit, space

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
# region Summaries


def _long(count: int = 40, **changed: Any) -> SymbolicOperatorIR:
    """Return an operator with tables of every kind, one entry of them changed."""
    tables: dict[str, list[Any]] = {
        "rows": [(k % 3, (k + 1) % 3) for k in range(count)],
        "J": [0.5 * k for k in range(count)],
        "sets": [[k % 3] for k in range(count)],
        "table": [float(k) for k in range(count)],
    }
    for name, entry in changed.items():
        tables[name][count // 2] = entry
    columns, sets = {"J": tables["J"]}, {"e": tables["sets"]}
    builder = DOperator(fock(2, 3), "long").for_each(
        ("i", "j"), over=tables["rows"], data=columns, sets=sets
    )
    entry = table(tables["table"])[site("i").index]
    amplitude = row("J") * entry * sum_(here, over=set_("e"))
    return builder.emit(shift("i", 1), amplitude=amplitude, tag="up").build().to_ir()


def test_terms():
    ir = _builder().fanout(3).build().to_ir()
    (term,) = ir.terms
    assert (term.name, term.labels, term.tags) == ("term0", ("i", "j"), (None, None))
    assert (term.emissions, term.fanout, term.size) == (2, 3, 3)
    assert list(term.rows) == [[0, 1], [1, 2]]
    assert ir.terms is ir.terms
    assert _ir().terms == SymbolicOperatorIR.from_text(TEXT).terms


def test_labels_that_differ_in_their_number_only_stay_distinct():
    builder = DOperator(qubit(2)).for_each(("s_1", "s_2"), over=[(0, 1)]).emit()
    (term,) = builder.build().to_ir().terms
    assert term.labels == ("s", "s_1")


@pytest.mark.parametrize(
    ("build", "iterator"),
    [
        (lambda b: b.globally(), "globally"),
        (lambda b: b.for_each_site("i"), "for_each_site"),
        (lambda b: b.for_each("i", over=[0, 1, 2]), "for_each_site"),
        (lambda b: b.for_each("i", over=[0, 2, 1]), "for_each"),
        (lambda b: b.for_each_pair("i", "j"), "for_each_pair"),
        (lambda b: b.for_each_distinct_pair("i", "j"), "for_each_distinct_pair"),
        (lambda b: b.for_each_unordered_pair("i", "j"), "for_each_unordered_pair"),
        (lambda b: b.for_each(("i", "j"), over=CHAIN), "for_each"),
    ],
)
def test_iterators(build: Callable[[DOperator], DOperator], iterator: str):
    ir = build(DOperator(qubit(3))).emit().build().to_ir()
    assert ir.metadata["iterators"] == {"term0": iterator}


def test_metadata():
    metadata: Any = _builder().fanout(3).build().to_ir().metadata
    assert metadata["symir_version"]
    counted = ("terms", "rows", "emissions", "branches", "max_conn_size")
    assert [metadata[name] for name in counted] == [1, 2, 2, 4, 3]
    with pytest.raises(TypeError):
        metadata["terms"] = 2
    with pytest.raises(TypeError):
        metadata["iterators"]["term0"] = "globally"


def test_plain_data():
    ir = _ir(name="hop", dtype="complex64", hermitian=True)
    plain = json.loads(json.dumps(ir.as_dict(text=True), allow_nan=False))
    assert plain["name"] == "hop"
    assert (plain["sites"], plain["local_states"]) == (3, [[0, 1, 2]])
    assert (plain["dtype"], plain["hermitian"]) == ("complex64", True)
    assert plain["sums"] == []
    assert plain["parameters"] == [
        {"name": "h", "dtype": "float32", "default": 1.0},
        {"name": "g", "dtype": "float32", "default": None},
    ]
    assert plain["max_conn_size"] == 4
    assert plain["fingerprint"] == ir.static_fingerprint()
    assert SymbolicOperatorIR.from_text(plain["text"]) == ir
    assert "text" not in ir.as_dict()
    (term,) = plain["terms"]
    assert (term["name"], term["labels"], term["fanout"]) == ("term0", ["i", "j"], None)
    assert term["emissions"] == [{"tag": None}, {"tag": None}]
    assert term["rows"]["count"] == 2
    rows = np.array(CHAIN, "<i4")
    assert term["rows"]["sha256"] == hashlib.sha256(rows.tobytes()).hexdigest()


def test_plain_data_with_tables():
    ir = _long(8)
    (short,), (full,) = (ir.as_dict(tables=t)["terms"] for t in (False, True))
    assert json.loads(json.dumps(full)) == full
    assert full["rows"].pop("values")[:2] == [[0, 1], [1, 2]]
    assert full["columns"][0].pop("values") == [0.5 * k for k in range(8)]
    assert full["sets"][0].pop("values")[:2] == [[0], [1]]
    assert full == short
    assert [full[key][0]["name"] for key in ("columns", "sets")] == ["J", "e"]
    assert full["emissions"] == [{"tag": "up"}]


def test_plain_numbers_that_json_lacks():
    default = symbol("c", default=1 + 2j)
    builder = DOperator(qubit(1), dtype=complex).globally().emit(amplitude=default)
    text = builder.build().to_ir().text()
    infinite = text.replace("(1.000000e+00,", "(0x7FF0000000000000,")
    assert infinite != text
    (parameter,) = SymbolicOperatorIR.from_text(infinite).as_dict()["parameters"]
    assert parameter["default"] == {"real": "inf", "imag": 2.0}


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


def test_tables_of_every_kind_lose_their_middle():
    shown = str(_long())
    assert shown.count("... 36 more ...") == 4
    assert "dense<[0.000000e+00, 5.000000e-01, 1.000000e+00, ... 36 more" in shown
    assert ", 1.950000e+01]> : tensor<40xf64>" in shown
    assert "more" not in _long().text()
    assert SymbolicOperatorIR.from_text(_long().text()) == _long()


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


@pytest.mark.parametrize(
    "changed",
    [{"rows": (2, 2)}, {"J": 0.1}, {"sets": [0, 1]}, {"table": -1.0}],
    ids=lambda changed: next(iter(changed)),
)
def test_the_middle_of_every_table_counts(changed: dict[str, Any]):
    assert _long() == _long()
    assert str(_long(**changed)) == str(_long())
    assert _long(**changed) != _long()


@pytest.mark.parametrize(
    "sums",
    [
        (SiteSum((1.0, 1.0, 1.0), 2.0),),
        (SiteSum((1.0, 1.0, 1.0), 3.0),),
        (SiteSum((1.0, 1.0, 0.0), 2.0),),
    ],
)
def test_conserved_sums_count(sums: tuple[SiteSum, ...]):
    changed = _with_sums(sums)
    assert changed.as_dict()["sums"] == [
        {"weights": list(sums[0].weights), "total": sums[0].total}
    ]
    others = [_ir(), _with_sums((SiteSum((1.0, 1.0, 1.0), 1.0),))]
    assert changed not in others
    assert changed == _with_sums(sums)


def _with_sums(sums: tuple[SiteSum, ...]) -> SymbolicOperatorIR:
    module = _ir().module
    operator = module.body.block.first_op
    assert isinstance(operator, sym.OperatorOp)
    local = operator.space.data
    space = LocalSpace(local.sites, local.local_states, sums)
    operator.properties["space"] = sym.SpaceAttr(space)
    return SymbolicOperatorIR(module)


def test_fanouts_count():
    found = [
        builder.build().to_ir().static_fingerprint()
        for builder in (_builder(), _builder().fanout(2), _builder().fanout(3))
    ]
    assert len(set(found)) == 3


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
    ("name", "operator"),
    [("sym.operator", None), ("sym.term", "op"), ("func.func", None)],
)
def test_ops_without_a_name(name: str, operator: str | None):
    module = _ir().module
    module.body.block.add_op(FuncOp.external("f", [], []))
    for op in module.walk():
        if op.name == name:
            del op.properties["sym_name"]
    stream = StringIO()
    Printer(stream, print_generic_format=True).print_op(module)
    error = _error(stream.getvalue())
    assert error.code == "D029"
    assert "'sym_name' expected" in error.message
    assert (error.operator, error.found) == (operator, f"'{name}'")


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
