"""Loading operators from the files that users name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from symir.errors import DefinitionError, InputError, SymirError
from symir.tools.faults import Fault
from symir.tools.load import UserCodeError, load_operator, split_reference

OPERATOR = """
import symir as sym

def flips(n):
    return sym.DOperator(sym.spin(0.5, n), f"flips{n}").for_each_site("i").emit(
        sym.write("i", -sym.site("i").value), amplitude=1.0
    )

"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "my.operators.py"


def write(path: Path, text: str) -> str:
    path.write_text(OPERATOR + text)
    return str(path)


def fails(reference: str, fault: Fault, *parts: str) -> SymirError:
    with pytest.raises(InputError) as caught:
        load_operator(reference)
    assert caught.value.code == fault.code
    for part in parts:
        assert part in str(caught.value)
    return caught.value


def test_codes_are_distinct() -> None:
    codes = [fault.code for fault in Fault]
    retired = {"T017"}
    numbers = range(1, len(codes) + len(retired) + 1)
    assert codes == [code for n in numbers if (code := f"T{n:03}") not in retired]
    assert len({fault.summary for fault in Fault}) == len(codes)


# ---- references ----


@pytest.mark.parametrize(
    ("reference", "file", "name"),
    [
        ("a.py", "a.py", None),
        ("a.py:b", "a.py", "b"),
        ("a/b.mlir:c_1", "a/b.mlir", "c_1"),
        ("a.py:", "a.py:", None),
        ("a:b.py", "a:b.py", None),
        (r"C:\a.py", r"C:\a.py", None),
    ],
)
def test_split_reference(reference: str, file: str, name: str | None) -> None:
    assert split_reference(reference) == (Path(file), name)


def test_a_file_with_a_colon_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.py:b"
    path.touch()
    assert split_reference(str(path)) == (path, None)


# ---- Python ----


def test_the_only_operator(script: Path) -> None:
    operator = load_operator(write(script, "op = flips(3).build()\nsame = op\n_p = 1"))
    assert operator.name == "flips3"


def test_an_operator_by_name(script: Path) -> None:
    reference = write(script, "a = flips(3).build()\nb = flips(4).build()\n")
    assert load_operator(f"{reference}:b").name == "flips4"


def test_a_function_by_name(script: Path) -> None:
    reference = write(script, "def make(n=5):\n    return flips(n).build()\n")
    assert load_operator(f"{reference}:make").name == "flips5"


def test_private_operators_are_not_chosen(script: Path) -> None:
    reference = write(script, "_a = flips(3).build()\nb = flips(4).build()\n")
    assert load_operator(reference).name == "flips4"
    assert load_operator(f"{reference}:_a").name == "flips3"


def test_several_operators_are_listed(script: Path) -> None:
    reference = write(script, "a = flips(3).build()\nb = flips(4).build()\n")
    fails(reference, Fault.SEVERAL_OPERATORS, f"{reference}:a or {reference}:b", "2 op")


def test_no_operator(script: Path) -> None:
    fails(write(script, "x = 1\n"), Fault.NO_OPERATOR, "found:    sym, flips, x")


def test_no_operator_in_an_empty_file(script: Path) -> None:
    script.touch()
    fails(str(script), Fault.NO_OPERATOR, "found:    nothing")


def test_a_function_is_suggested(script: Path) -> None:
    reference = write(script, "def make():\n    return flips(3).build()\n")
    fails(reference, Fault.NO_OPERATOR, f"{reference}:make")


def test_a_compiled_operator_is_told_from_one(script: Path) -> None:
    reference = write(script, "a = flips(3).build().compile()\n")
    fails(reference, Fault.NO_OPERATOR, "a is compiled", "before .compile()")
    fails(f"{reference}:a", Fault.NOT_AN_OPERATOR, "a is compiled")


def test_an_unknown_name(script: Path) -> None:
    reference = write(script, "a = flips(3).build()\ndef f(): ...\n")
    fails(
        f"{reference}:b",
        Fault.UNKNOWN_OPERATOR,
        f"{reference}:a or {reference}:f",
        "found:    'b'",
    )


@pytest.mark.parametrize("chosen", ["", ":a"])
def test_a_builder_that_is_not_built(script: Path, chosen: str) -> None:
    reference = write(script, "a = flips(3)\n") + chosen
    fails(reference, Fault.NOT_BUILT, "a.build()")


def test_a_builder_beside_an_operator(script: Path) -> None:
    reference = write(script, "a = flips(3)\nb = a.build()\n")
    assert load_operator(reference).name == "flips3"


def test_a_function_that_returns_a_builder(script: Path) -> None:
    reference = write(script, "def make():\n    return flips(3)\n")
    fails(f"{reference}:make", Fault.NOT_BUILT, "make().build()")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", "a value of type int"),
        ("flips", "a function that needs arguments: flips(n)"),
        ("wrong", "a value of type NoneType"),
        ("sym", "a value of type module"),
    ],
)
def test_something_else(script: Path, name: str, found: str) -> None:
    reference = write(script, "x = 1\ndef wrong(): ...\n")
    fails(f"{reference}:{name}", Fault.NOT_AN_OPERATOR, found)


def test_a_definition_error_keeps_its_place(script: Path) -> None:
    reference = write(script, "op = flips(3).where(sym.site('j') > 0).build()\n")
    with pytest.raises(DefinitionError) as caught:
        load_operator(reference)
    assert caught.value.location is not None
    assert caught.value.location.file == str(script)
    assert caught.value.location.line == OPERATOR.count("\n") + 1


def test_the_file_is_no_main_program(script: Path) -> None:
    text = "op = flips(3).build()\nif __name__ == '__main__':\n    1 / 0\n"
    assert load_operator(write(script, text)).name == "flips3"


def test_prints_do_not_mix_with_output(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_operator(write(script, "print('hello')\nop = flips(3).build()\n"))
    assert capsys.readouterr() == ("", "hello\n")


def test_neighbours_can_be_imported(script: Path, tmp_path: Path) -> None:
    (tmp_path / "lattice_of_mine.py").write_text("SITES = 6\n")
    before = list(sys.path)
    text = "from lattice_of_mine import SITES\nop = flips(SITES).build()\n"
    try:
        assert load_operator(write(script, text)).name == "flips6"
    finally:
        sys.modules.pop("lattice_of_mine", None)
    assert sys.path == before


def test_dataclasses_work(script: Path) -> None:
    text = (
        "from __future__ import annotations\n"
        "import dataclasses\n"
        "@dataclasses.dataclass\n"
        "class Size:\n"
        "    n: int = 3\n"
        "import symir as sym\n"
        "op = sym.DOperator(sym.qubit(Size().n)).globally().emit().build()\n"
    )
    script.write_text(text)
    assert load_operator(str(script)).name == "operator"


# ---- exceptions in the user's file ----


def raises(reference: str) -> str:
    with pytest.raises(UserCodeError) as caught:
        load_operator(reference)
    assert __file__ not in caught.value.text
    assert "load.py" not in caught.value.text
    return caught.value.text


def test_an_exception_shows_the_users_lines(script: Path) -> None:
    text = raises(write(script, "def f():\n    return 1 / 0\nf()\n"))
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "    return 1 / 0" in text


def test_an_exception_of_a_function(script: Path) -> None:
    reference = write(script, "def make():\n    raise KeyError('k')\n")
    assert raises(f"{reference}:make").endswith("KeyError: 'k'")


def test_a_syntax_error(script: Path) -> None:
    text = raises(write(script, "op = = 1\n"))
    assert "SyntaxError" in text
    assert "op = = 1" in text


def test_a_file_that_is_no_text(script: Path) -> None:
    script.write_bytes(b"\xff\xfe\x00")
    assert "Error" in raises(str(script))


def test_an_exit(script: Path) -> None:
    assert "SystemExit: 3" in raises(write(script, "raise SystemExit(3)\n"))


def test_a_long_traceback_loses_its_middle(script: Path) -> None:
    calls = "".join(f"def f{n}(): f{n + 1}()\n" for n in range(20))
    text = raises(write(script, f"{calls}def f20(): 1 / 0\nf0()\n"))
    assert text.count("  File ") == 8
    assert "  ... 14 more ...\n" in text


# ---- MLIR and other files ----

MLIR = """sym.operator @flips() space #sym.space<2 x [-1, 1]> element f64 {
  sym.term @flip over #sym.rows<[0], [1]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    sym.emit %x, %one : tensor<f64>
  }
}
"""


def test_mlir(tmp_path: Path) -> None:
    path = tmp_path / "flips.mlir"
    path.write_text(MLIR)
    assert load_operator(str(path)).name == "flips"
    assert load_operator(f"{path}:flips").max_conn_size == 2
    fails(f"{path}:other", Fault.UNKNOWN_OPERATOR, f"{path}:flips")


def test_text_that_symir_printed(tmp_path: Path, script: Path) -> None:
    operator = load_operator(write(script, "op = flips(40).build()\n"))
    path = tmp_path / "printed.mlir"
    path.write_text(operator.to_ir().text())
    assert load_operator(str(path)).to_ir() == operator.to_ir()


def test_malformed_mlir(tmp_path: Path) -> None:
    path = tmp_path / "broken.mlir"
    path.write_text(MLIR.replace("sym.emit", "sym.emitt"))
    with pytest.raises(DefinitionError) as caught:
        load_operator(str(path))
    assert str(caught.value.location) == f"{path}:5:15"


def test_mlir_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.mlir"
    path.write_bytes(b"\xff\xfe\x00")
    fails(str(path), Fault.UNREADABLE, "is not text")


def test_a_missing_file(tmp_path: Path) -> None:
    fails(str(tmp_path / "none.py"), Fault.UNREADABLE, "No such file")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    fails(str(tmp_path / "folder.py"), Fault.UNREADABLE, "directory")


@pytest.mark.parametrize(
    ("name", "found"), [("a.txt", "'.txt'"), ("a", "no extension")]
)
def test_another_kind_of_file(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / name).touch()
    fails(str(tmp_path / name), Fault.NOT_A_DEFINITION, f"found:    {found}")
