"""What errors say: every code with what was expected and what was found.

`test_mistakes.py` has every way to a code; here are the words of one for each, the
places where a name can hide, and what is only seen when an operator runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections
from symir.errors import DefinitionError, InputError, SymirError
from symir.language.codes import Mistake
from tests.unit.symir.language.test_mistakes import CASES

i, j = sym.site("i"), sym.site("j")
stray = sym.site("k")

SAID: dict[str, tuple[Mistake, str | None, str | None]] = {
    "unknown_label_in_an_amplitude": (Mistake.UNKNOWN_LABEL, "'i'", "'j'"),
    "label_bound_twice": (
        Mistake.LABEL_BOUND_TWICE,
        "a label of its own for each site of a row",
        "labels 'i', 'j', 'i'",
    ),
    "row_outside_of_the_lattice": (
        Mistake.SITE_OUTSIDE,
        "sites from 0 to 3",
        "row 1: [3, 4]",
    ),
    "rows_of_unequal_length": (
        Mistake.BAD_ROWS,
        "2 site numbers (i, j)",
        "row 1: (2,)",
    ),
    "no_rows": (Mistake.EMPTY_ROWS, "at least one row in over=", "[]"),
    "fractional_row": (Mistake.NOT_A_SITE_NUMBER, "exact integers", "row 1: [1.5]"),
    "emit_before_an_iterator": (Mistake.NO_ITERATOR, "an iterator before emit", None),
    "where_after_an_emission": (
        Mistake.LATE_WHERE,
        "for_each_site(..).where(..).emit(..)",
        "1 emit before this where",
    ),
    "term_without_emission_before_the_next": (
        Mistake.NO_EMISSION,
        "an emit before the next iterator and before build",
        None,
    ),
    "no_terms": (Mistake.NO_TERMS, "an iterator and an emission at least", None),
    "two_terms_of_one_name": (
        Mistake.DUPLICATE_TERM,
        "a name of its own for each term",
        "terms 0 and 1 (from 0) named 'bulk'",
    ),
    "complex_data_in_a_real_operator": (
        Mistake.COMPLEX_IN_REAL,
        "real numbers for dtype float64",
        "data of dtype complex128",
    ),
    "infinite_data": (Mistake.NOT_FINITE, "finite numbers in float64", "row 0: inf"),
    "emitted_in_a_predicate": (
        Mistake.MISPLACED_EMITTED,
        "emitted(..) in amplitudes and in project(..) only",
        "emitted('i')",
    ),
    "text_as_an_amplitude": (
        Mistake.NOT_AN_EXPRESSION,
        "a number, or an expression such as 2 * site('i')",
        "'h'",
    ),
    "expression_as_a_predicate": (
        Mistake.NOT_A_PREDICATE,
        "a comparison such as site('i') > 0, or several joined by & | ~",
        "site('i')",
    ),
    "amplitude_as_an_update": (
        Mistake.NOT_AN_UPDATE,
        "identity(), write(..), shift(..), swap(..), or a chain of them",
        "(2 * site('i'))",
    ),
    "nothing_as_a_site": (
        Mistake.NOT_A_SITE,
        "a label such as 'i', site('i'), a site number or an expression",
        "a value of type NoneType",
    ),
    "label_that_is_no_string": (
        Mistake.NOT_A_NAME,
        "a printable, non-empty string",
        "0",
    ),
    "chained_comparison": (
        Mistake.TRUTH_VALUE,
        "a truth value that is known now",
        "(site('i') > 0)",
    ),
    "complex_numbers_by_size": (
        Mistake.COMPLEX_ORDERING,
        "real operands of < <= > >=",
        "(1j * site('i'))",
    ),
    "complex_local_value": (
        Mistake.COMPLEX_LOCAL_VALUE,
        "a real number or expression",
        "symbol('z')",
    ),
    "unknown_data": (Mistake.UNKNOWN_DATA, "'J'", "row('K')"),
    "too_few_data": (
        Mistake.BAD_DATA,
        "one number for each of 2 rows",
        "an array of shape (1,)",
    ),
    "integer_dtype": (
        Mistake.UNKNOWN_DTYPE,
        "float32, float64, complex64 or complex128",
        "'int32'",
    ),
    "symbol_with_two_defaults": (
        Mistake.SYMBOL_CONFLICT,
        "symbol('h'), real, default 1.0",
        "symbol('h'), real, default 2.0",
    ),
    "hermitian_that_is_a_word": (Mistake.NOT_A_FLAG, "True or False", "'yes'"),
    "elseif_without_an_if": (
        Mistake.CHAIN_MISUSE,
        "emit_if or emit_elseif right before emit_elseif",
        None,
    ),
    "too_few_sets": (
        Mistake.BAD_SETS,
        "one list of sites for each row",
        "1 sets for 2 rows",
    ),
    "set_that_the_term_does_not_have": (Mistake.UNKNOWN_SET, "'star'", "'stars'"),
    "flip_among_three": (Mistake.NOT_TWO_VALUED, "two local values", "(0.0, 1.0, 2.0)"),
    "site_before_the_first": (Mistake.BAD_SITE, "a site from 0 to 3", "-1"),
    "edges_of_a_list": (Mistake.BAD_GRAPH, "a graph of NetKet or networkx", "[(0, 1)]"),
    "shape_of_another_lattice": (
        Mistake.BAD_SHAPE,
        "shape=(Lx, Ly), each at least 2, with Lx * Ly == 4",
        "shape=(2, 3)",
    ),
    "permutation_of_one": (
        Mistake.BAD_COUNT,
        "two sites at least",
        "1 of them: ('i',)",
    ),
    "clause_that_returns_too_little": (
        Mistake.BAD_CLAUSE,
        "(labels, rows), or (labels, rows, {'data': {..}, 'sets': {..}})",
        "'i'",
    ),
    "here_outside_of_a_reduction": (
        Mistake.HERE_OUTSIDE,
        "here in what a reduction reduces only",
        "here",
    ),
    "table_without_entries": (Mistake.BAD_TABLE, "1 to 64 entries", "0 entries"),
    "entry_that_a_table_lacks": (
        Mistake.OUTSIDE_TABLE,
        "a whole number from 0 to 1",
        "2",
    ),
    "wrapping_unequal_steps": (
        Mistake.NOT_WRAPPABLE,
        "equally spaced local values",
        "(0.0, 1.0, 5.0)",
    ),
    "reduction_over_a_list": (
        Mistake.BAD_REGION,
        "all_sites(), between(a, b), sites_range(a, b) or set_(name)",
        "[0, 1]",
    ),
    "remainder_of_a_complex_number": (
        Mistake.REAL_ONLY,
        "a real number or expression",
        "(1j * site('i'))",
    ),
    "fraction_of_a_place": (Mistake.BAD_PLACES, "a whole number of places", "0.5"),
    "multiple_by_a_local_value": (
        Mistake.NOT_A_FACTOR,
        "a number, or an expression of numbers and symbols",
        "site('i')",
    ),
    "operator_over_zero": (
        Mistake.DIVIDED_BY_ZERO,
        "a number other than 0",
        "0",
    ),
    "clause_registered_twice": (
        Mistake.CLAUSE_TAKEN,
        "a name of its own for each clause",
        "clause_registered_twice.<loca",
    ),
}
"""Of a case of test_mistakes.py for each code: what is expected, and part of found."""


def test_every_code_of_the_language_is_here() -> None:
    said = {mistake for mistake, *_ in SAID.values()}
    assert said >= {case.values[0] for case in CASES if case.values[0].code <= "D047"}


@pytest.mark.parametrize("case", SAID)
def test_what_was_expected_and_found(case: str) -> None:
    mistake, expected, found = SAID[case]
    (action,) = [known.values[3] for known in CASES if known.id == case]
    with pytest.raises(DefinitionError) as caught:
        action()
    error = caught.value
    assert (error.code, error.expected) == (mistake.code, expected)
    assert (error.found is None) is (found is None)
    assert (found or "") in (error.found or "")


# region Spaces

SPACES: dict[str, tuple[Callable[[], object], str | None, str]] = {
    "S001": (lambda: sym.qubit(0), "an integer >= 1", "0"),
    "S002": (lambda: sym.space([0, 1, 1], 2), None, "[0, 1, 1]"),
    "S003": (lambda: sym.space([[0, 1], [0, 1]], 3), "3 lists", "2 lists"),
    "S004": (
        lambda: sym.qubit(3).local_states_at(-1),
        "0 <= site < 3",
        "site -1",
    ),
    "S005": (
        lambda: sym.qubit(30).all_states(),
        "at most 16777216 configurations",
        "1073741824 configurations",
    ),
    "S006": (
        lambda: sym.fock(300, 2).all_states(np.int8),
        "a dtype that can, such as int16",
        "dtype int8",
    ),
    "S007": (
        lambda: sym.qubit(2).contains(np.zeros((2, 3))),
        "shape (..., 2)",
        "shape (2, 3)",
    ),
    "S008": (
        lambda: sym.qubit(2).contains(np.zeros(2, bool)),
        "an integer or floating dtype",
        "dtype bool",
    ),
    "S009": (lambda: sym.spin(0.3, 2), "one of 0.5, 1, 1.5, ..", "0.3"),
    "S010": (lambda: sym.fock(-1, 2), "an integer >= 0", "-1"),
    "S011": (
        lambda: sym.as_space("qubits"),
        "spin(..), fock(..), qubit(..), space(..) or one of NetKet's",
        "'qubits' of type str",
    ),
    "S012": (
        lambda: sym.fock(None, 2),  # pyright: ignore[reportArgumentType]
        "at most 65536 local states",
        "n_max is None",
    ),
}


@pytest.mark.parametrize("code", SPACES)
def test_spaces_say_what_is_wrong_with_them(code: str) -> None:
    action, expected, found = SPACES[code]
    with pytest.raises(SymirError) as caught:
        action()
    error = caught.value
    assert (error.code, error.expected, error.found) == (code, expected, found)
    assert error.location is not None
    assert error.location.file == __file__
    first = action.__code__.co_firstlineno
    assert error.location.line in range(first, first + 2)


def test_an_operator_names_itself_in_the_errors_of_its_space() -> None:
    with pytest.raises(DefinitionError) as caught:
        sym.DOperator(range(4), "chain")
    assert (caught.value.code, caught.value.operator) == ("S011", "chain")


# endregion
# region Places

Place = Callable[[Any, sym.DOperator], sym.DOperator]
"""Puts an expression into a term."""

PLACES: dict[str, tuple[str | None, Place]] = {
    "an amplitude": ("emit0", lambda e, t: t.emit(amplitude=e)),
    "an exponent": ("emit0", lambda e, t: t.emit(amplitude=(i + 2) ** e)),
    "a choice": ("emit0", lambda e, t: t.emit(amplitude=sym.where(i > 0, e, 1))),
    "the condition of a choice in a choice": (
        "emit0",
        lambda e, t: t.emit(
            amplitude=sym.where(i >= 0, sym.where(e > 0, 1, 2), sym.where(j > 0, 3, 4))
        ),
    ),
    "an index of a table": (
        "emit0",
        lambda e, t: t.emit(amplitude=sym.table([1, 2])[e]),
    ),
    "the site of a read": ("emit0", lambda e, t: t.emit(amplitude=1 + sym.site(e))),
    "the body of a reduction": (
        "emit0",
        lambda e, t: t.emit(amplitude=sym.sum_(1 + sym.here * e)),
    ),
    "a reduction in a reduction": (
        "emit0",
        lambda e, t: t.emit(
            amplitude=sym.sum_(sym.where(sym.any_(sym.here >= 2 * e), 1, 0))
        ),
    ),
    "an end of a range": (
        "emit0",
        lambda e, t: t.emit(amplitude=sym.sum_(1, over=sym.sites_range(e, 3))),
    ),
    "a wrapped value": (
        "emit0",
        lambda e, t: t.emit(amplitude=1 + sym.wrap_mod(e + i, "i")),
    ),
    "a guard": (None, lambda e, t: t.where((i >= 0) & ~(e > 0)).emit()),
    "emit_if": ("emit0", lambda e, t: t.emit_if(e > 0)),
    "emit_elseif": ("emit1", lambda e, t: t.emit_if(i > 1).emit_elseif(e > 0)),
    "project": (None, lambda e, t: t.emit().project(sym.emitted("i") >= 2 * e)),
    "what is written": ("emit0", lambda e, t: t.emit(sym.write("i", e))),
    "a site that is written": ("emit0", lambda e, t: t.emit(sym.write(e, 2))),
    "a cond in a cond in a cond": (
        "emit0",
        lambda e, t: t.emit(
            sym.cond(i >= 0, sym.cond(j >= 0, sym.cond(e > 0, sym.write("i", 1))))
        ),
    ),
    "a choice in a cond in a cond": (
        "emit0",
        lambda e, t: t.emit(
            sym.cond(
                i < 0,
                None,
                sym.cond(j >= 0, sym.write("i", sym.where(i >= 0, e, 0))),
            )
        ),
    ),
    "a reduction in a cond in a chain": (
        "emit0",
        lambda e, t: t.emit(
            sym.shift("i", 0).cond(
                sym.all_(sym.here >= 2 * e), sym.invalidate(), sym.write("j", 1)
            )
        ),
    ),
}


def term(name: str = "op") -> sym.DOperator:
    builder = sym.DOperator(sym.fock(2, 3), name)
    return builder.for_each(("i", "j"), over=[(0, 1), (2, 0)])


def blamed(place: str, expression: Any) -> DefinitionError:
    """Return the error of a term with an expression at a place."""
    emission, put = PLACES[place]
    with pytest.raises(DefinitionError) as caught:
        put(expression, term())
    error = caught.value
    assert (error.operator, error.term, error.emission) == ("op", "term0", emission)
    assert error.location is not None
    assert error.location.file == __file__
    first = put.__code__.co_firstlineno
    assert error.location.line in range(first, first + 8)
    assert f"{__file__}:{error.location.line}" in str(error)
    return error


@pytest.mark.parametrize("place", PLACES)
def test_a_label_out_of_scope_is_seen_everywhere(place: str) -> None:
    error = blamed(place, stray.value)
    assert (error.code, error.expected, error.found) == ("D001", "'i' or 'j'", "'k'")


@pytest.mark.parametrize("place", PLACES)
def test_data_that_a_term_lacks_are_seen_everywhere(place: str) -> None:
    error = blamed(place, sym.row("J"))
    assert (error.code, error.found) == ("D023", "row('J')")


@pytest.mark.parametrize("place", PLACES)
def test_complex_numbers_are_seen_everywhere(place: str) -> None:
    error = blamed(place, sym.symbol("z", 1j))
    assert error.code == "D012"
    assert error.found == "symbol('z'), complex, default 1j"


BEFORE_THE_TARGET = [
    "a guard",
    "emit_if",
    "emit_elseif",
    "what is written",
    "a site that is written",
    "a cond in a cond in a cond",
    "a choice in a cond in a cond",
    "a reduction in a cond in a chain",
]


@pytest.mark.parametrize("place", BEFORE_THE_TARGET)
def test_emitted_is_seen_where_the_target_is_not_there_yet(place: str) -> None:
    error = blamed(place, sym.emitted("i").value)
    assert (error.code, error.found) == ("D014", "emitted('i').value")
    assert error.expected == "emitted(..) in amplitudes and in project(..) only"


@pytest.mark.parametrize("place", sorted(set(PLACES) - set(BEFORE_THE_TARGET)))
def test_emitted_is_in_scope_elsewhere(place: str) -> None:
    PLACES[place][1](sym.emitted("i").value, term()).build()


def test_a_symbol_can_be_bound_wherever_it_stands() -> None:
    builder = sym.DOperator(sym.fock(2, 3), "op")
    for _, put in PLACES.values():
        put(sym.symbol("g"), builder.for_each(("i", "j"), over=[(0, 1), (2, 0)]))
    operator = builder.build()
    compiled = operator.compile()
    x = operator.space.all_states()
    with pytest.raises(InputError) as caught:
        compiled.get_conn_padded(x)
    error = caught.value
    assert (error.code, error.operator, error.found) == ("R004", "op", "g")
    assert error.location is not None
    assert error.location.file == __file__
    results = [
        _like_the_reference(operator, compiled.replace(g=g), x, {"g": g})
        for g in (0.0, 1.0)
    ]
    starts = np.cumsum([0, *[one.size for one in operator.terms]])
    for place, first, stop in zip(PLACES, starts, starts[1:], strict=False):
        differs = [
            not np.array_equal(a[:, first:stop], b[:, first:stop])
            for a, b in zip(*results, strict=True)
        ]
        assert any(differs), place


def _like_the_reference(
    operator: sym.SymbolicOperator, compiled: Any, x: Any, parameters: Any
) -> tuple[Any, Any]:
    xp, mels = map(np.asarray, compiled.get_conn_padded(x))
    expected, elements = connections(operator.to_ir().module, x, parameters)
    np.testing.assert_array_equal(xp, expected)
    np.testing.assert_allclose(mels, elements, rtol=1e-12)
    return xp, mels


# endregion
# region Python decides nothing


@pytest.mark.parametrize(
    "decide",
    [
        lambda: bool(i > 0),
        lambda: 1 if i > 0 else 2,  # pyright: ignore[reportGeneralTypeIssues]
        lambda: not i > 0,  # pyright: ignore[reportGeneralTypeIssues]
        lambda: i > 0 and j > 0,
        lambda: i > 0 or j > 0,
        lambda: 1 < i < 3,
        lambda: i == j == 1,
        lambda: bool(sym.any_(sym.here > 0)),
        lambda: bool(i + 1),
        lambda: max(i, j),
        lambda: i in [j],
        lambda: sorted([i, j]),
        lambda: assert_(i > 0),
    ],
)
def test_python_is_not_asked(decide: Callable[[], object]) -> None:
    with pytest.raises(DefinitionError) as caught:
        decide()
    error = caught.value
    assert error.code == "D020"
    assert error.expected
    assert error.hint
    assert error.found
    assert error.found in error.message
    assert error.location is not None
    assert error.location.file == __file__


def assert_(condition: Any) -> None:
    assert condition


# endregion
# region What is only seen when an operator runs


def elements(amplitude: Any, x: list[int]) -> list[float]:
    """Return the matrix elements of the lanes of rows (0, 1) and (2, 0)."""
    operator = term().emit(amplitude=amplitude).build()
    compiled = operator.compile()
    xp, mels = _like_the_reference(operator, compiled, np.array(x, np.int8), None)
    np.testing.assert_array_equal(xp, [x, x])
    return mels.tolist()


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (i - 1, [0, 7]),
        (i + 1, [7, 0]),
        (i / 4, [5, 0]),
        (i + 2**40, [0, 0]),
        (i.index * 2**33, [5, 0]),
        (sym.log(i - 3), [0, 0]),
        (1 / (i - i), [0, 0]),
    ],
)
def test_a_table_has_no_entries_but_its_own(index: Any, expected: list[float]) -> None:
    assert elements(sym.table([5, 7])[index], [0, 0, 2]) == expected


@pytest.mark.parametrize("index", [-1, 2, 0.5, 2**40])
def test_a_table_has_no_constant_entries_but_its_own(index: float) -> None:
    with pytest.raises(DefinitionError) as caught:
        sym.table([5, 7])[index]
    error = caught.value
    assert (error.code, error.expected, error.found) == (
        "D044",
        "a whole number from 0 to 1",
        repr(index),
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (i.index - 1, [0, 1]),
        (i.index + 1, [1, 0]),
        (i.index / 4, [1, 0]),
        (i.index * 2**33, [1, 0]),
        (i.value + 0.5, [0, 0]),
        (sym.log(i.value - 3), [0, 0]),
        (i.value * 1e30, [1, 0]),
    ],
)
def test_a_lattice_has_no_sites_but_its_own(
    number: sym.Expr, expected: list[float]
) -> None:
    amplitude = sym.where(sym.site(number) >= 0, 1, 0)
    assert elements(amplitude, [0, 0, 2]) == expected


# endregion
