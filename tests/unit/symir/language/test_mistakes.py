"""Every mistake in a definition: its code, the names it gives, the line it points at.

Each case is a function with a comment that starts with `mistake` on the line to blame.
"""

from __future__ import annotations

import inspect
import linecache
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from symir.errors import DefinitionError
from symir.language import (
    AbstractIteratorClause,
    AbstractPredicateClause,
    DOperator,
    cond,
    emitted,
    flip,
    flip_set,
    here,
    identity,
    permute,
    register,
    register_predicate_clause,
    row,
    scatter,
    shift,
    shift_mod,
    site,
    sqrt,
    swap,
    symbol,
    table,
    wrap_mod,
    write,
)
from symir.language.clauses import clauses
from symir.language.codes import Mistake
from symir.language.reductions import sum_
from symir.operator.spaces import fock, qubit, space

Case = Callable[[], Any]
CASES: list[Any] = []
ELSEWHERE = {
    Mistake.MALFORMED_TEXT,
    Mistake.INVALID_IR,
    Mistake.NOT_ONE_OPERATOR,
    Mistake.SPACE_MISMATCH,
    Mistake.LEAVES_SPACE,
    Mistake.BAD_FANOUT,
    Mistake.WRONG_KIND,
    Mistake.BAD_SPIN,
    Mistake.LOCAL_COEFFICIENT,
    Mistake.NOT_AN_OPERATOR,
    Mistake.BAD_PLACE,
    Mistake.BAD_SUMMAND,
    Mistake.BAD_EXTENSION,
    Mistake.EXTENSION_TAKEN,
    Mistake.UNKNOWN_EXTENSION,
    Mistake.BAD_CALL,
    Mistake.NEEDS_JAX,
    Mistake.NOT_TRACED,
    Mistake.NOT_SCALAR,
    Mistake.WRONG_RESULT,
    Mistake.TOO_MANY_BRANCHES,
    Mistake.BAD_POWER,
    Mistake.NO_ADJOINT,
    Mistake.TWO_VALUES,
}
"""Other tests are about these: test_ir.py, test_operator.py, test_constraints.py,
test_fanout.py, test_operators.py and test_extensions.py."""


def case(
    mistake: Mistake, term: str | None = None, emission: str | None = None
) -> Callable[[Case], Case]:
    """Register a function that makes a mistake in a term and emission."""

    def register(function: Case) -> Case:
        marks = pytest.param(mistake, term, emission, function, id=function.__name__)
        CASES.append(marks)
        return function

    return register


unknown: Any = site("i")
"""An expression whose type is not checked."""


def broken(**options: Any) -> Any:
    """Return a builder on four sites whose types are not checked."""
    return DOperator(qubit(4), "broken", **options)


# region Labels


@case(Mistake.UNKNOWN_LABEL, "term0", "emit0")
def unknown_label_in_an_amplitude():
    term = broken().for_each_site("i")
    term.emit(amplitude=site("j"))  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0", "hop")
def unknown_label_in_an_update():
    term = broken().for_each(("i", "j"), over=[(0, 1)])
    term.emit(shift("i", -1).shift("k", 1), tag="hop")  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0", "emit0")
def unknown_label_in_the_value_of_an_update():
    term = broken().for_each_site("i")
    term.emit(write("i", 1 - site("j")))  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0")
def unknown_label_in_a_predicate():
    term = broken().for_each_site("i")
    term.where((site("i") > 0) & ~(site("j").index == 3))  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0", "emit0")
def label_of_another_term():
    builder = broken().for_each_site("i").named("term").emit()
    builder.for_each_site("j").named("term0")
    builder.emit(amplitude=site("i"))  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0", "emit0")
def label_in_a_term_without_labels():
    broken().globally().emit(amplitude=emitted("i"))  # mistake


@case(Mistake.LABEL_BOUND_TWICE, "term0")
def label_bound_twice():
    broken().for_each(("i", "j", "i"), over=[(0, 1, 2)])  # mistake


@case(Mistake.LABEL_BOUND_TWICE, "term1")
def label_bound_twice_by_a_pair():
    builder = broken().globally().emit()
    builder.for_each_pair("k", "k")  # mistake


@case(Mistake.NOT_A_NAME, "term0")
def label_that_is_no_string():
    broken().for_each_site(0)  # mistake


@case(Mistake.NOT_A_NAME, "term0")
def labels_that_are_missing():
    broken().for_each((), over=[()])  # mistake


@case(Mistake.NOT_A_NAME, "term0")
def labels_that_are_no_list():
    broken().for_each(2, over=[(0, 1)])  # mistake


# endregion
# region Rows and data


@case(Mistake.SITE_OUTSIDE, "term0")
def row_outside_of_the_lattice():
    broken().for_each(("i", "j"), over=[(0, 1), (3, 4)])  # mistake


@case(Mistake.SITE_OUTSIDE, "term0")
def negative_row():
    broken().for_each("i", over=np.array([0, -1]))  # mistake


@case(Mistake.BAD_ROWS, "term0")
def rows_of_unequal_length():
    broken().for_each(("i", "j"), over=[(0, 1), (2,)])  # mistake


@case(Mistake.BAD_ROWS, "term0")
def one_label_for_pairs():
    broken().for_each("ij", over=[(0, 1)])  # mistake


@case(Mistake.EMPTY_ROWS, "term0")
def no_rows():
    broken().for_each(("i", "j"), over=[])  # mistake


@case(Mistake.NOT_A_SITE_NUMBER, "term0")
def fractional_row():
    broken().for_each("i", over=[0, 1.5])  # mistake


@case(Mistake.NOT_A_SITE_NUMBER, "term0")
def boolean_row():
    broken().for_each("i", over=[True])  # mistake


@case(Mistake.BAD_DATA, "term0")
def too_few_data():
    broken().for_each("i", over=[0, 1], data={"J": [1.0]})  # mistake


@case(Mistake.BAD_DATA, "term0")
def data_without_names():
    broken().for_each("i", over=[0, 1], data=[1.0, 2.0])  # mistake


@case(Mistake.NOT_A_NAME, "term0")
def data_with_a_name_that_is_no_string():
    broken().for_each("i", over=[0], data={0: [1.0]})  # mistake


@case(Mistake.COMPLEX_IN_REAL, "term0")
def complex_data_in_a_real_operator():
    broken().for_each("i", over=[0], data={"J": [1j]})  # mistake


@case(Mistake.NOT_FINITE, "term0")
def infinite_data():
    broken().for_each("i", over=[0], data={"J": jnp.array([jnp.inf])})  # mistake


@case(Mistake.UNKNOWN_DATA, "term0", "emit0")
def unknown_data():
    term = broken().for_each("i", over=[0], data={"J": [1.0]})
    term.emit(amplitude=row("K"))  # mistake


@case(Mistake.UNKNOWN_DATA, "term0")
def data_in_a_term_without_any():
    broken().for_each_site("i").where(row("J") > 0)  # mistake


# endregion
# region Order of calls


@case(Mistake.NO_ITERATOR)
def emit_before_an_iterator():
    broken().emit()  # mistake


@case(Mistake.NO_ITERATOR)
def where_before_an_iterator():
    broken().where(site("i") > 0)  # mistake


@case(Mistake.NO_ITERATOR)
def named_before_an_iterator():
    broken().named("bulk")  # mistake


@case(Mistake.LATE_WHERE, "term0")
def where_after_an_emission():
    term = broken().for_each_site("i").emit()
    term.where(site("i") > 0)  # mistake


@case(Mistake.NO_EMISSION, "bulk")
def term_without_emission_before_the_next():
    builder = broken()
    builder.for_each_site("i")  # mistake
    builder.named("bulk").where(site("i") > 0)
    builder.globally()


@case(Mistake.NO_EMISSION, "term1")
def last_term_without_emission():
    builder = broken().globally().emit()
    builder.for_each_site("i")  # mistake
    builder.build()


@case(Mistake.NO_TERMS)
def no_terms():
    broken().build()  # mistake


@case(Mistake.DUPLICATE_TERM, "term1")
def two_terms_of_one_name():
    builder = broken().globally().named("bulk").emit().globally()
    builder.named("bulk")  # mistake


# endregion
# region Values


@case(Mistake.COMPLEX_IN_REAL, "term0", "emit0")
def complex_amplitude_in_a_real_operator():
    broken().globally().emit(amplitude=1j)  # mistake


@case(Mistake.COMPLEX_IN_REAL, "term0", "emit0")
def complex_number_inside_of_an_amplitude():
    term = broken(dtype="float32").for_each_site("i")
    term.emit(amplitude=abs(site("i") * 2j))  # mistake


@case(Mistake.COMPLEX_IN_REAL, "term0")
def complex_number_in_a_predicate():
    broken().for_each_site("i").where(site("i") == 1j)  # mistake


@case(Mistake.COMPLEX_IN_REAL, "term0", "emit0")
def complex_symbol_in_a_real_operator():
    broken().globally().emit(amplitude=symbol("z", default=1j))  # mistake


@case(Mistake.COMPLEX_ORDERING, "term0")
def complex_numbers_by_size():
    term = broken(dtype=complex).for_each_site("i")
    term.where(1j * site("i") < 2)  # mistake


@case(Mistake.COMPLEX_ORDERING, "term0")
def complex_data_by_size():
    term = broken(dtype=complex).for_each("i", over=[0], data={"J": [1j]})
    term.where(1 <= row("J"))  # mistake


@case(Mistake.COMPLEX_LOCAL_VALUE, "term0", "emit0")
def complex_local_value():
    term = broken(dtype=complex).for_each_site("i")
    term.emit(write("i", symbol("z", dtype=complex)))  # mistake


@case(Mistake.NOT_FINITE, "term0", "emit0")
def infinite_amplitude():
    broken().globally().emit(amplitude=float("inf"))  # mistake


@case(Mistake.NOT_FINITE, "term0", "emit0")
def amplitude_too_large_for_its_dtype():
    broken(dtype="float32").globally().emit(amplitude=1e300)  # mistake


@case(Mistake.NOT_FINITE, "term0", "emit0")
def default_too_large_for_its_dtype():
    term = broken(dtype="complex64").globally()
    term.emit(amplitude=symbol("z", default=1e300j))  # mistake


@case(Mistake.MISPLACED_EMITTED, "term0")
def emitted_in_a_predicate():
    broken().for_each_site("i").where(emitted("i") > 0)  # mistake


@case(Mistake.MISPLACED_EMITTED, "term0", "emit0")
def emitted_in_an_update():
    term = broken().for_each_site("i")
    term.emit(write("i", 1 - emitted("i").value))  # mistake


@case(Mistake.MISPLACED_EMITTED)
def emitted_as_a_site():
    shift(emitted("i"), 1)  # mistake


@case(Mistake.SYMBOL_CONFLICT, "term1", "emit0")
def symbol_with_two_defaults():
    builder = broken().globally().emit(amplitude=symbol("h", default=1.0))
    builder.globally()
    builder.emit(amplitude=symbol("h", default=2.0))  # mistake


@case(Mistake.SYMBOL_CONFLICT, "term0", "emit0")
def symbol_of_two_kinds():
    term = broken(dtype=complex).globally()
    term.emit(amplitude=symbol("h") + symbol("h", dtype=complex))  # mistake


# endregion
# region Wrong types


@case(Mistake.NOT_AN_EXPRESSION, "term0", "emit0")
def text_as_an_amplitude():
    broken().globally().emit(amplitude="h")  # mistake


@case(Mistake.NOT_AN_EXPRESSION, "term0", "emit0")
def predicate_as_an_amplitude():
    broken().for_each_site("i").emit(amplitude=site("i") > 0)  # mistake


@case(Mistake.NOT_AN_EXPRESSION, "term0", "emit0")
def boolean_as_an_amplitude():
    broken().globally().emit(amplitude=True)  # mistake


@case(Mistake.NOT_AN_EXPRESSION, "term0", "emit0")
def function_as_an_amplitude():
    broken().globally().emit(amplitude=sqrt)  # mistake


@case(Mistake.NOT_AN_EXPRESSION, "term0", "emit0")
def nothing_as_an_amplitude():
    broken().globally().emit(amplitude=None)  # mistake


@case(Mistake.NOT_AN_EXPRESSION, "term0", "emit0")
def update_as_an_amplitude():
    broken().globally().emit(amplitude=identity())  # mistake


@case(Mistake.NOT_A_PREDICATE, "term0")
def expression_as_a_predicate():
    broken().for_each_site("i").where(site("i"))  # mistake


@case(Mistake.NOT_A_PREDICATE, "term0")
def number_as_a_predicate():
    broken().for_each_site("i").where(1)  # mistake


@case(Mistake.NOT_A_NUMBER)
def expression_in_a_function_of_math():
    math.sqrt(unknown)  # mistake


@case(Mistake.NOT_A_NUMBER)
def expression_in_a_function_of_numpy():
    np.sqrt(unknown)  # mistake


@case(Mistake.NOT_A_NUMBER)
def expression_that_numpy_sums():
    np.sum(unknown)  # mistake


@case(Mistake.NOT_A_NUMBER)
def predicate_in_a_function_of_numpy():
    np.logical_and(unknown > 0, True)  # mistake


@case(Mistake.NOT_A_NUMBER)
def entry_of_a_list():
    _ = [0.5, 1.0][unknown]  # mistake


@case(Mistake.NOT_A_SITE_NUMBER, "term0")
def expression_in_a_row():
    broken().for_each("i", over=[site("j")])  # mistake


@case(Mistake.NOT_AN_UPDATE, "term0", "emit0")
def amplitude_as_an_update():
    broken().for_each_site("i").emit(2 * site("i"))  # mistake


@case(Mistake.NOT_A_SITE)
def nothing_as_a_site():
    swap("i", None)  # mistake  # pyright: ignore[reportArgumentType]


@case(Mistake.NOT_A_NAME, "term0", "emit0")
def tag_that_is_no_string():
    broken().globally().emit(tag=3)  # mistake


@case(Mistake.NOT_A_NAME, "term0")
def term_name_that_is_empty():
    broken().globally().named("")  # mistake


@case(Mistake.NOT_A_NAME)
def operator_name_that_is_no_string():
    DOperator(qubit(2), None)  # mistake  # pyright: ignore[reportArgumentType]


@case(Mistake.UNKNOWN_DTYPE)
def integer_dtype():
    broken(dtype="int32")  # via


@case(Mistake.NOT_A_FLAG)
def hermitian_that_is_a_word():
    broken(hermitian="yes")  # via


@case(Mistake.TRUTH_VALUE)
def chained_comparison():
    broken().for_each_site("i").where(0 < site("i") < 2)  # mistake


@case(Mistake.TRUTH_VALUE)
def predicates_joined_by_and():
    i = site("i")
    broken().for_each_site("i").where(i > 0 and i < 2)  # mistake


@case(Mistake.NOT_A_FLAG, "term0")
def tuples_that_are_distinct_in_words():
    broken().for_each_ktuple(("i", "j"), distinct="yes")  # mistake


# endregion
# region Chains of emissions and updates


@case(Mistake.CHAIN_MISUSE, "term0", "emit0")
def elseif_without_an_if():
    broken().globally().emit_elseif(True)  # mistake


@case(Mistake.CHAIN_MISUSE, "term0", "emit2")
def elseif_after_an_emit():
    chain = broken().globally().emit_if(True).emit()
    chain.emit_elseif(True)  # mistake


@case(Mistake.CHAIN_MISUSE, "term0", "last")
def second_else():
    chain = broken().for_each_site("i").emit_if(site("i") > 0).emit_else()
    chain.emit_else(tag="last")  # mistake


@case(Mistake.CHAIN_MISUSE, "term1", "emit0")
def else_of_another_term():
    chain = broken().globally().emit_if(True).globally()
    chain.emit_else()  # mistake


@case(Mistake.CHAIN_MISUSE, "chain", "emit1")
def else_after_naming():
    chain = broken().globally().emit_if(True).named("chain")
    chain.emit_else()  # mistake


@case(Mistake.MISPLACED_EMITTED, "term0", "emit0")
def emitted_in_the_predicate_of_an_emission():
    broken().for_each_site("i").emit_if(emitted("i") > 0)  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0", "emit0")
def unknown_label_in_a_nested_cond():
    inner = cond(site("j") > 0, write("i", 1))
    broken().for_each_site("i").emit(cond(site("i") > 0, inner))  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0", "emit0")
def unknown_label_in_an_update_of_a_cond():
    update = cond(site("i") > 0, None, cond(True, write("j", 1)))
    broken().for_each_site("i").emit(update)  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0", "emit0")
def unknown_label_in_a_computed_site():
    broken().for_each_site("i").emit(write(site("j").index + 1, 1))  # mistake


@case(Mistake.UNKNOWN_LABEL, "term0")
def unknown_label_in_a_projection():
    broken().for_each_site("i").project(emitted("j") > 0)  # mistake


@case(Mistake.MISPLACED_EMITTED, "term0", "emit0")
def emitted_in_a_cond():
    broken().for_each_site("i").emit(cond(emitted("i") > 0, None))  # mistake


@case(Mistake.MISPLACED_EMITTED, "term0", "emit0")
def emitted_in_a_computed_site():
    broken().for_each_site("i").emit(write(emitted("i").index + 1, 0))  # mistake


@case(Mistake.BAD_SITE, "term0", "emit0")
def site_before_the_first():
    broken().for_each_site("i").emit(write(-1, 0))  # mistake


@case(Mistake.BAD_SITE, "term0", "emit0")
def site_after_the_last():
    broken().for_each_site("i").emit(cond(True, write(4, 0)))  # mistake


@case(Mistake.BAD_SITE, "term0", "emit0")
def site_between_two():
    broken().for_each_site("i").emit(write(0.5, 0))  # mistake


@case(Mistake.BAD_SITE)
def site_computed_from_a_site():
    broken().for_each_site("i").emit(write(site("i") + 1, 0))  # mistake


@case(Mistake.BAD_SITE, "term0", "emit0")
def complex_site():
    term = broken(dtype="complex64").for_each_site("i")
    term.emit(write(site("i").index * 1j, 0))  # mistake


@case(Mistake.BAD_SITE, "term0", "emit0")
def complex_constant_site():
    broken(dtype="complex64").globally().emit(write(1j, 0))  # mistake


@case(Mistake.NOT_TWO_VALUED, "term0", "emit0")
def flip_among_three():
    term = DOperator(fock(2, 3), "broken").for_each_site("i")
    term.emit(flip("i"))  # mistake


@case(Mistake.NOT_TWO_VALUED, "term0", "emit0")
def flip_of_a_label_that_may_stand_for_three():
    term = DOperator(space([[0, 1], [0, 1, 2]]), "broken").for_each_site("i")
    term.emit(flip("i"))  # mistake


@case(Mistake.NOT_TWO_VALUED, "term0", "emit0")
def flip_of_a_computed_site_that_may_have_three():
    term = DOperator(space([[0, 1], [0, 1, 2]]), "broken").for_each("i", over=[0])
    term.emit(flip(site("i").index + 0))  # mistake


@case(Mistake.NOT_TWO_VALUED, "term0", "emit0")
def flip_of_a_set_with_three():
    term = DOperator(space([[0, 1], [0, 1, 2]]), "broken")
    term = term.for_each("i", over=[0], sets={"s": [[0, 1]]})
    term.emit(flip_set("s"))  # mistake


@case(Mistake.UNKNOWN_SET, "term0", "emit0")
def set_that_the_term_does_not_have():
    term = broken().for_each("i", over=[0], sets={"star": [[0]]})
    term.emit(flip_set("stars"))  # mistake


@case(Mistake.BAD_PLACES)
def fraction_of_a_place():
    shift_mod("i", 0.5)  # mistake


@case(Mistake.BAD_COUNT)
def permutation_of_one():
    permute("i")  # mistake


@case(Mistake.BAD_COUNT)
def scatter_of_too_few():
    scatter(["i", "j"], [1])  # mistake


# endregion
# region Site sets, graphs and lattices


@case(Mistake.BAD_SETS, "term0")
def too_few_sets():
    broken().for_each("i", over=[0, 1], sets={"star": [[0]]})  # mistake


@case(Mistake.BAD_SETS, "term0")
def set_with_a_site_twice():
    broken().for_each("i", over=[0], sets={"star": [[0, 1, 0]]})  # mistake


@case(Mistake.BAD_SETS, "term0")
def sets_without_a_name():
    broken().for_each("i", over=[0], sets=[[0]])  # mistake


@case(Mistake.BAD_SETS, "term0")
def set_that_is_a_number():
    broken().for_each("i", over=[0], sets={"star": [0]})  # mistake


@case(Mistake.BAD_SETS, "term0")
def sets_that_are_no_list():
    broken().for_each("i", over=[0], sets={"star": 0})  # mistake


@case(Mistake.SITE_OUTSIDE, "term0")
def set_with_a_site_outside():
    broken().for_each("i", over=[0], sets={"star": [[-1]]})  # mistake


@case(Mistake.NOT_A_SITE_NUMBER, "term0")
def set_with_a_fraction():
    broken().for_each("i", over=[0], sets={"star": [[0.5]]})  # mistake


@case(Mistake.BAD_GRAPH, "term0")
def edges_of_a_list():
    broken().for_each_edge([(0, 1)])  # mistake


@case(Mistake.BAD_SHAPE, "term0")
def shape_of_another_lattice():
    broken().for_each_plaquette(shape=(2, 3))  # mistake


@case(Mistake.BAD_SHAPE, "term0")
def shape_of_a_chain():
    broken().for_each_plaquette(shape=(1, 4))  # mistake


@case(Mistake.BAD_SHAPE, "term0")
def plaquettes_without_a_shape():
    broken().for_each_plaquette()  # mistake


@case(Mistake.BAD_SHAPE, "term0")
def boundaries_in_three_directions():
    term = broken()
    term.for_each_plaquette(shape=(2, 2), pbc=(True,) * 3)  # mistake


@case(Mistake.BAD_ROWS, "term0")
def triplets_of_two():
    broken().for_each_triplet(over=[(0, 1)])  # mistake


# endregion
# region Custom clauses


@case(Mistake.BAD_CLAUSE)
def clause_that_is_no_class():
    register(3)  # mistake  # pyright: ignore


@case(Mistake.BAD_CLAUSE, "term0")
def clause_that_returns_too_little():
    class Nothing(AbstractIteratorClause):
        clause_name = "for_each_nothing"

        def build_iterator(self, hilbert: Any, /) -> Any:
            return "i"

    with clauses():
        register(Nothing)
        broken().for_each_nothing()  # mistake


@case(Mistake.CLAUSE_TAKEN)
def clause_registered_twice():
    class Always(AbstractPredicateClause):
        clause_name = "always"

        def build_predicate(self) -> bool:
            return True

    with clauses():
        register(Always)
        register_predicate_clause(Always)  # mistake


# endregion
# region Functions and reductions


@case(Mistake.HERE_OUTSIDE, "term0", "emit0")
def here_outside_of_a_reduction():
    broken().for_each_site("i").emit(amplitude=here)  # mistake


@case(Mistake.BAD_TABLE)
def table_without_entries():
    table([])  # mistake


@case(Mistake.OUTSIDE_TABLE)
def entry_that_a_table_lacks():
    table([1, 2])[2]  # mistake


@case(Mistake.NOT_WRAPPABLE, "term0", "emit0")
def wrapping_unequal_steps():
    term = DOperator(space([0, 1, 5], 2), "broken").for_each_site("i")
    term.emit(amplitude=wrap_mod(site("i"), "i"))  # mistake


@case(Mistake.BAD_REGION)
def reduction_over_a_list():
    wrong: Any = [0, 1]
    sum_(here, over=wrong)  # mistake


@case(Mistake.REAL_ONLY, "term0", "emit0")
def remainder_of_a_complex_number():
    term = broken(dtype=complex).for_each_site("i")
    term.emit(amplitude=1j * site("i") % 2)  # mistake


# endregion
# region Algebra


@case(Mistake.NOT_A_FACTOR)
def multiple_by_a_local_value():
    operator = broken().for_each_site("i").emit().build()
    _ = operator * site("i")  # mistake


@case(Mistake.DIVIDED_BY_ZERO)
def operator_over_zero():
    operator = broken().for_each_site("i").emit().build()
    _ = operator / 0  # mistake


@case(Mistake.PROJECTED_IN_PART)
def sum_that_is_projected_in_part():
    operator = broken().for_each_site("i").emit().build()
    other = broken(projected=True).for_each_site("i").emit().build()
    _ = operator + other  # mistake


# endregion


@pytest.mark.parametrize(("mistake", "term", "emission", "action"), CASES)
def test_mistakes_are_reported_where_they_are_made(
    mistake: Mistake, term: str | None, emission: str | None, action: Case
):
    with pytest.raises(DefinitionError) as caught:
        action()
    error, message = caught.value, str(caught.value)
    assert f"[{mistake.code}]" in message
    assert (error.term, error.emission) == (term, emission)
    if term is not None or error.operator is not None:
        assert error.operator == "broken"
        assert "operator 'broken'" in message
    for name in (term, emission):
        assert name is None or f"'{name}'" in message
    location = error.location
    assert location is not None
    assert f"{__file__}:{location.line}" in message
    _check_line(action, location.line)
    assert error.expected


def _check_line(action: Case, line: int) -> None:
    """Check that a line is the one marked, in the case or in what it calls."""
    source, first = inspect.getsourcelines(action)
    if "# via" in "".join(source):
        source, first = inspect.getsourcelines(broken)
        assert first < line < first + len(source)
        return
    assert first < line < first + len(source)
    assert "# mistake" in linecache.getline(__file__, line)


def test_every_mistake_has_a_case():
    covered = {parameters.values[0] for parameters in CASES}
    assert covered | ELSEWHERE == set(Mistake)
    assert not covered & ELSEWHERE


def test_codes_are_distinct_and_said_in_words():
    assert len({mistake.code for mistake in Mistake}) == len(Mistake)
    assert all(mistake.summary for mistake in Mistake)


@pytest.mark.parametrize("operator_of_call", ["where", "emit", "for_each", "named"])
def test_a_call_that_raises_leaves_the_builder_as_it_was(operator_of_call: str):
    builder = broken().for_each_site("i").emit().for_each_site("i")
    before = repr(builder)
    calls: dict[str, Callable[[], Any]] = {
        "where": lambda: builder.where(symbol("h", 1.0) + site("j") > 0),
        "emit": lambda: builder.emit(amplitude=symbol("h", 1.0) + site("j")),
        "for_each": lambda: builder.emit().for_each("i", over=[9]),
        "named": lambda: builder.named(""),
    }
    with pytest.raises(DefinitionError):
        calls[operator_of_call]()
    assert repr(builder) == before
    # A symbol of a call that failed may be declared otherwise.
    builder.emit(amplitude=symbol("h", 2.0)).build()


def test_messages_say_what_is_bound():
    builder = broken().for_each(("a", "b"), over=[(0, 1)], data={"J": [1.0]})
    with pytest.raises(DefinitionError, match="expected: 'a' or 'b'"):
        builder.emit(amplitude=site("c"))
    with pytest.raises(DefinitionError, match="expected: 'J'"):
        builder.emit(amplitude=row("K"))


def test_spaces_are_checked_with_the_operator():
    with pytest.raises(DefinitionError, match=r"operator 'o'") as caught:
        DOperator(object(), "o")
    assert caught.value.code.startswith("S")
