"""The tables of `docs/language.md`: complete, and true on all configurations.

An example of a table becomes a term of an operator, which is compiled and compared with
the reference interpreter, and with the Python of the table's third column.
"""

from __future__ import annotations

import ast
import cmath
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt
import pytest

import symir as sym
from dialects.interpreters.sym import connections
from symir import language
from symir.language import DOperator, Expr, Predicate, Update
from symir.language.expressions import Site
from symir.operator import spaces
from tests.unit.test_docs import python_of

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
HEADER = "| construct | example | in Python | meaning |"
PARAMETERS = {"g": 0.25}
SWAPPED = "{i: x[j], j: x[i]}"
"""What x' has where an example says nothing of it."""

Changes = dict[int, Any]
Lane = tuple[Any, Changes] | None
"""A matrix element and the sites that x' changes; None where it is not valid."""


class Example(NamedTuple):
    """A row of a table."""

    chapter: str
    line: int
    construct: str
    code: str
    python: str

    @property
    def id(self) -> str:
        return f"{self.line}: {self.code}"


# region Reading the page


def examples_of(text: str) -> Iterator[Example]:
    """Return the rows of the tables of constructs, in order."""
    chapter, in_table = "", False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            chapter = line[3:]
        if line == HEADER:
            in_table = True
        elif not line.startswith("|"):
            in_table = False
        elif in_table and not line.startswith("|---"):
            construct, code, python, meaning = _cells(line)
            assert meaning
            yield Example(chapter, number, construct, code, python)


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [cell.strip().replace("\\|", "|").strip("`") for cell in cells]


EXAMPLES = list(examples_of(PAGE.read_text()))
SPACES = [e for e in EXAMPLES if e.chapter == "Spaces"]
CLAUSES = [e for e in EXAMPLES if e.chapter == "Custom clauses"]
OPERATORS = [e for e in EXAMPLES if e.chapter == "Operators as on paper"]
TERMS = [e for e in EXAMPLES if e not in [*SPACES, *CLAUSES, *OPERATORS]]


def chapter_of(name: str) -> list[Example]:
    return [example for example in TERMS if example.chapter == name]


@cache
def page() -> dict[str, Any]:
    """Return the names that the page defines."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(python_of(PAGE.read_text()), PAGE, "exec"), namespace)
    return namespace


def evaluate(code: str, **names: Any) -> Any:
    return eval(code, {**page(), **names})


def used(code: str, kind: type[ast.expr]) -> set[str]:
    """Return the names, or the attributes, that a line of Python uses."""
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, kind)]
    return {getattr(node, "id", "") or getattr(node, "attr", "") for node in nodes}


# endregion
# region Terms


def add_term(example: Example, builder: DOperator) -> str:
    """Open a term with an example and return what kind of thing it is."""
    names = used(example.code, ast.Name)
    if "builder" in names:
        evaluate(example.code, builder=builder)
        # The matrix element tells the sites of a row apart.
        row = evaluate(example.python, **PYTHON)[0]
        numbers = [sym.site(label).index for label in "ijkl"[: len(row)]]
        builder.emit(amplitude=_code_of(numbers))
        return "iterator"
    term = page()["open_term"](builder)
    written = evaluate(example.code, term=term)
    if "term" in names:
        return "emission"
    match written:
        case Update():
            term.emit(written)
            return "update"
        case Predicate():
            term.where(written).emit(sym.swap("i", "j"))
            return "predicate"
        case _:
            term.emit(sym.swap("i", "j"), amplitude=written)
            return "amplitude"


def _code_of(sites: Sequence[Any]) -> Any:
    code: Any = 1
    for place, site in enumerate(sites, 1):
        code = code + site * 10**place
    return code


PYTHON: dict[str, Any] = {
    "math": math,
    "cmath": cmath,
    "product": itertools.product,
    "permutations": itertools.permutations,
    "combinations": itertools.combinations,
    "combinations_with_replacement": itertools.combinations_with_replacement,
    **PARAMETERS,
}


class Row(NamedTuple):
    """What the standard term has in one row."""

    i: int
    j: int
    J: float
    star: list[int]
    far: list[int]


class Recorder:
    """Stands in for a builder, and keeps the rows that a term is opened over."""

    def for_each(
        self,
        labels: tuple[str, ...],
        over: list[tuple[int, int]],
        data: dict[str, list[float]],
        sets: dict[str, list[list[int]]],
    ) -> list[Row]:
        assert labels == ("i", "j")
        columns = zip(over, data["J"], sets["star"], sets["far"], strict=True)
        return [Row(*sites, J, star, far) for sites, J, star, far in columns]


def lanes_of(example: Example, kind: str, x: list[int]) -> list[Lane]:
    """Return what the third column says of x, lane by lane."""
    if kind == "iterator":
        return [(_code_of(row), {}) for row in evaluate(example.python, **PYTHON)]
    rows: list[Row] = page()["open_term"](Recorder())
    return [lane for row in rows for lane in lanes_of_row(example, kind, x, row)]


def lanes_of_row(example: Example, kind: str, x: list[int], row: Row) -> list[Lane]:
    names = {**PYTHON, **row._asdict(), "x": x}
    swapped = evaluate(SWAPPED, **names)
    y = changed(x, swapped)
    value = evaluate(example.python, **names, y=y)
    match kind:
        case "emission":
            return value
        case "predicate":
            return [(1, swapped) if value else None]
        case "update":
            return [None if value is None else (1, value)]
        case _:
            return [None if value is None else (value, swapped)]


def changed(x: list[int], changes: Changes) -> list[Any]:
    return [changes.get(site, value) for site, value in enumerate(x)]


def padded(lanes: list[Lane], x: list[int], count: int) -> list[tuple[list[Any], Any]]:
    """Return x' and the matrix element of each lane, in so many lanes."""
    values = page()["values"]
    result: list[tuple[list[Any], Any]] = []
    for lane in lanes:
        y = x if lane is None else changed(x, lane[1])
        inside = all(value in values[site] for site, value in enumerate(y))
        if lane is not None and inside:
            result.append((y, lane[0]))
        elif count == len(lanes):
            result.append((x, 0))
    return [*result, *[(x, 0)] * (count - len(result))]


class Evaluated(NamedTuple):
    """A chapter, compiled: x, x', matrix elements, and the lanes of each example."""

    kinds: list[str]
    x: npt.NDArray[Any]
    xp: npt.NDArray[Any]
    mels: npt.NDArray[Any]
    lanes: list[slice]


@cache
def evaluated(chapter: str) -> Evaluated:
    """Run the operator that has a term for each example of a chapter."""
    builder: DOperator = page()["new_builder"]()
    kinds: list[str] = []
    for example in chapter_of(chapter):
        try:
            kinds.append(add_term(example, builder))
        except Exception as error:
            error.add_note(f"{PAGE}:{example.line}")
            raise
    described = builder.build()
    assert len(described.terms) == len(kinds)
    with jax.enable_x64(True):
        artifact = sym.SymbolicCompiler().compile(described)
        x = described.space.all_states()
        compiled = artifact.compiled_operator
        compiled = compiled.replace(
            **{name: PARAMETERS[name] for name in _given(builder)}
        )
        xp, mels = map(np.asarray, compiled.get_conn_padded(x))
    origins = [origin.term for origin in artifact.branch_layout()]
    names = [term.name for term in described.terms]
    assert origins == sorted(origins, key=names.index)
    stops = np.cumsum([origins.count(name) for name in names]).tolist()
    lanes = [slice(a, b) for a, b in itertools.pairwise([0, *stops])]
    _compare_with_the_interpreter(described, x, xp, mels, _given(builder))
    return Evaluated(kinds, x, xp, mels, lanes)


def _given(builder: DOperator) -> dict[str, complex]:
    text = builder.build().to_ir().text()
    return {name: value for name, value in PARAMETERS.items() if f'"{name}"' in text}


def _compare_with_the_interpreter(
    described: sym.SymbolicOperator,
    x: npt.NDArray[Any],
    xp: npt.NDArray[Any],
    mels: npt.NDArray[Any],
    given: dict[str, complex],
) -> None:
    expected, elements = connections(described.to_ir().module, x, given)
    assert (xp.dtype, mels.dtype) == (x.dtype, described.dtype)
    np.testing.assert_array_equal(xp, expected)
    np.testing.assert_allclose(mels, elements, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("example", TERMS, ids=[example.id for example in TERMS])
def test_examples_do_what_the_page_says(example: Example) -> None:
    result = evaluated(example.chapter)
    position = chapter_of(example.chapter).index(example)
    kind, lanes = result.kinds[position], result.lanes[position]
    xp, mels = result.xp[:, lanes], result.mels[:, lanes]
    for x, found, elements in zip(result.x.tolist(), xp, mels, strict=True):
        meant = padded(lanes_of(example, kind, x), x, len(elements))
        assert found.tolist() == [y for y, _ in meant]
        expected = [element for _, element in meant]
        np.testing.assert_allclose(elements, expected, rtol=1e-12, atol=1e-12)


UPDATES = chapter_of("Updates")


@pytest.mark.parametrize("example", UPDATES, ids=[example.id for example in UPDATES])
def test_updates_are_steps_of_a_chain_too(example: Example) -> None:
    chained = evaluate(f"identity().{example.code}")
    assert repr(chained) == repr(evaluate(example.code))


# endregion
# region Spaces, operators and clauses


@pytest.mark.parametrize("example", SPACES, ids=[example.id for example in SPACES])
def test_spaces_have_the_configurations_that_the_page_says(example: Example) -> None:
    space: sym.Space = evaluate(example.code)
    meant = [list(state) for state in evaluate(example.python, **PYTHON)]
    states = space.all_states()
    assert states.tolist() == meant
    builder = DOperator(space, dtype="float64", projected=True).for_each_site("i")
    builder.emit(sym.shift_mod("i", 1), amplitude=sym.site("i") + 9)
    described = builder.build()
    with jax.enable_x64(True):
        xp, mels = map(np.asarray, described.compile().get_conn_padded(states))
    _compare_with_the_interpreter(described, states, xp, mels, {})
    for x, found, elements in zip(meant, xp.tolist(), mels.tolist(), strict=True):
        for site, (y, element) in enumerate(zip(found, elements, strict=True)):
            places = space.local_states_at(site)
            following = places[(places.index(x[site]) + 1) % len(places)]
            moved = changed(x, {site: following})
            assert (y, element) == ((moved, x[site] + 9) if moved in meant else (x, 0))


@pytest.mark.parametrize("example", OPERATORS, ids=[e.id for e in OPERATORS])
def test_operators_have_the_rows_that_the_page_says(example: Example) -> None:
    described: sym.SymbolicOperator = evaluate(example.code).build()
    states = described.space.all_states()
    with jax.enable_x64(True):
        xp, mels = map(np.asarray, described.compile().get_conn_padded(states))
    _compare_with_the_interpreter(described, states, xp, mels, {})
    for x, found, elements in zip(states.tolist(), xp.tolist(), mels, strict=True):
        row: dict[tuple[int, ...], Any] = {}
        for y, element in zip(found, elements.tolist(), strict=True):
            row[tuple(y)] = row.get(tuple(y), 0) + element
        meant = evaluate(example.python, **PYTHON, x=tuple(x))
        for y in {*row, *meant}:
            assert row.get(y, 0) == pytest.approx(meant.get(y, 0), abs=1e-12)


@pytest.mark.parametrize("example", CLAUSES, ids=[example.id for example in CLAUSES])
def test_clauses_are_registered_as_the_page_says(example: Example) -> None:
    with sym.clauses():
        evaluate(example.code)
        assert evaluate(example.python) is True
    assert sym.available_iterator_clause_names() == []


# endregion
# region Completeness

ALL_NAMES = {name for e in EXAMPLES for name in used(e.code, ast.Name)}
ALL_ATTRIBUTES = {name for e in EXAMPLES for name in used(e.code, ast.Attribute)}
PYTHON_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.MatMult: operator.matmul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}


def public(owner: type, kind: type) -> set[str]:
    """Return the public functions, or properties, that a class defines."""
    found = {name for name, value in vars(owner).items() if isinstance(value, kind)}
    return {name for name in found if not name.startswith("_")}


def functions_of(module: Any) -> set[str]:
    """Return the public names of a module that are no classes."""
    names: list[str] = module.__all__
    return {name for name in names if not isinstance(getattr(module, name), type)}


def test_every_function_has_an_example() -> None:
    assert functions_of(language) | functions_of(spaces) <= ALL_NAMES


def test_every_method_has_an_example() -> None:
    methods = public(DOperator, FunctionType) | public(Site, property)
    assert methods <= ALL_ATTRIBUTES
    chained = {name for e in UPDATES for name in used(e.code, ast.Name)}
    assert public(Update, FunctionType) <= chained


@pytest.mark.parametrize("kind", PYTHON_OPERATORS)
def test_every_operator_has_an_example(kind: type[ast.AST]) -> None:
    function = PYTHON_OPERATORS[kind]
    operands: tuple[Expr | Predicate, ...] = (sym.site("i"), sym.site("i") > 0)
    if any(_is_defined(function, operand) for operand in operands):
        trees = [ast.walk(ast.parse(example.code)) for example in EXAMPLES]
        assert any(isinstance(node, kind) for tree in trees for node in tree)


def _is_defined(function: Callable[..., Any], operand: Any) -> bool:
    for operands in ((operand,), (operand, operand)):
        try:
            function(*operands)
        except (TypeError, sym.DefinitionError):
            continue
        return True
    return False


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.id for example in EXAMPLES])
def test_the_example_is_one_of_the_construct(example: Example) -> None:
    named = re.match(r"(\w{2,})\(", example.construct)
    if named is None:
        return
    names = used(example.code, ast.Name) | used(example.code, ast.Attribute)
    assert named[1] in names


# endregion
