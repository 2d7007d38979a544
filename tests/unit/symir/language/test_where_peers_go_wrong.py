"""What other languages for operators are known to get wrong, and what is right.

Every test runs the compiled kernel; the reference interpreter agrees with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections

i, j = sym.site("i"), sym.site("j")

Branches = list[tuple[list[Any], Any]]


def branches(operator: sym.SymbolicOperator, x: list[Any], dtype: str) -> Branches:
    """Return x' and matrix element of every lane that is not zero."""
    sample = np.asarray(x, dtype)
    xp, mels = operator.compile().get_conn_padded(sample)
    expected = connections(operator.to_ir().module, sample)
    np.testing.assert_array_equal(xp, expected[0])
    np.testing.assert_allclose(mels, expected[1], rtol=1e-12)
    lanes = zip(np.asarray(xp).tolist(), np.asarray(mels).tolist(), strict=True)
    return [(config, element) for config, element in lanes if element != 0]


def of(
    update: sym.Update | None,
    x: list[Any],
    space: sym.Space | None = None,
    dtype: str = "int8",
    amplitude: Any = 1,
) -> Branches:
    """Return the branches of an update at sites i = 0 and j = 1."""
    term = sym.DOperator(space or sym.fock(3, len(x)), "op")
    term = term.for_each(("i", "j"), over=[(0, 1)])
    return branches(term.emit(update, amplitude=amplitude).build(), x, dtype)


# region Updates


def test_invalidate_inside_of_a_cond_gives_the_branch_up() -> None:
    update = sym.cond(i > 0, sym.shift("i", -1), sym.invalidate("empty"))
    assert of(update, [1, 0]) == [([0, 0], 1)]
    assert of(update, [0, 0]) == []


def test_invalidate_in_a_branch_not_taken_does_nothing() -> None:
    update = sym.cond(i > 0, sym.cond(j > 0, sym.invalidate()), sym.write("i", 3))
    assert of(update, [1, 0]) == [([1, 0], 1)]
    assert of(update, [1, 1]) == []
    assert of(update, [0, 1]) == [([3, 1], 1)]


def test_cond_keeps_the_steps_before_it() -> None:
    update = sym.shift("i", 1).cond(j > 0, sym.shift("j", -1), sym.shift("j", 1))
    assert of(update, [0, 1]) == [([1, 0], 1)]
    assert of(update, [0, 0]) == [([1, 1], 1)]


def test_invalidate_is_not_undone_by_later_steps() -> None:
    assert of(sym.invalidate().write("i", 0).swap("i", "j"), [1, 0]) == []


def test_steps_of_a_cond_start_from_the_configuration_so_far() -> None:
    update = sym.write("i", 2).cond(i == 0, sym.swap("i", "j"), sym.shift("i", 1))
    assert of(update, [0, 1]) == [([1, 2], 1)]
    assert of(update, [1, 1]) == [([3, 1], 1)]


def test_the_site_before_the_first_is_not_the_last() -> None:
    with pytest.raises(sym.DefinitionError, match="D036"):
        of(sym.write(-1, 0), [1, 1])
    assert of(sym.write(i.index - 1, 0), [1, 1]) == []
    assert of(sym.write(j.index - 1, 0), [1, 1]) == [([0, 1], 1)]


def test_the_site_after_the_last_is_not_the_last() -> None:
    with pytest.raises(sym.DefinitionError, match="D036"):
        of(sym.write(2, 0), [1, 1])
    assert of(sym.write(j.index + 1, 0), [1, 1]) == []
    assert of(sym.shift(j.index + 10**6, 1), [1, 1]) == []


def test_a_site_that_is_computed_from_a_site_says_whether_by_value_or_number() -> None:
    for number in (i + 1, 2 * (-i) % 2, sym.where(j.index > 0, i, 0), abs(sym.here)):
        for use in (sym.site, sym.emitted, sym.swap, sym.between):
            arguments = (number, 0) if use in (sym.swap, sym.between) else (number,)
            with pytest.raises(sym.DefinitionError, match=r"\.index is its number"):
                use(*arguments)
    assert of(sym.write(i.index + 1, 3), [1, 0]) == [([1, 3], 1)]
    assert of(sym.write(i.value - 1, 3), [1, 0]) == [([3, 0], 1)]
    number = sym.where(i > 0, j.index, i.value)
    assert of(sym.write(number, 3), [1, 0]) == [([1, 3], 1)]


def test_a_site_between_two_is_none() -> None:
    with pytest.raises(sym.DefinitionError, match="D036"):
        of(sym.write(0.5, 0), [1, 1])
    assert of(sym.write(j.index / 2, 0), [1, 1]) == []
    assert of(sym.write(j.index / 1, 0), [1, 1]) == [([1, 0], 1)]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_values_that_a_site_cannot_have_are_not_written(dtype: str) -> None:
    term = sym.DOperator(sym.fock(3, 2), "op").for_each_site("i")
    for value in (0.5, 1.7, -0.2, 4, -1, 300, 256):
        term = term.emit(sym.write("i", value)).emit(sym.shift("i", value - 1))
        term = term.emit(sym.affine("i", scale=value))
    assert branches(term.build(), [1, 1], dtype) == []


def test_an_update_that_leaves_the_space_for_a_while_is_fine() -> None:
    assert of(sym.shift("i", 100).shift("i", -100), [1, 2]) == [([1, 2], 1)]
    assert of(sym.shift("i", 1).affine("i", scale=2, bias=-5), [3, 0]) == [([3, 0], 1)]


def test_a_dense_matrix_has_no_branch_outside_of_the_space() -> None:
    from dialects.interpreters.sym import dense_matrix

    operator = (
        sym.DOperator(sym.fock(2, 1)).for_each_site("i").emit(sym.shift("i", 1)).build()
    )
    expected = np.eye(3, k=1)
    np.testing.assert_array_equal(dense_matrix(operator.to_ir().module), expected)


def test_shift_mod_knows_spins_and_sites_of_their_own() -> None:
    update = sym.shift_mod("i", 1).shift_mod("j", -1)
    assert of(update, [1, -1], sym.spin(0.5, 2)) == [([-1, 1], 1)]
    assert of(update, [-2, -2], sym.spin(1, 2)) == [([0, 2], 1)]
    assert of(update, [2, 0], sym.space([[0, 1, 2], [0, 5]])) == [([0, 5], 1)]


@pytest.mark.parametrize("amount", [-300, -7, -1, 0, 1, 4, 1000])
def test_shift_mod_wraps_far_amounts(amount: int) -> None:
    found = of(sym.shift_mod("i", amount), [2, 0])
    assert found == [([(2 + amount) % 4, 0], 1)]


def test_emitted_in_an_update_is_an_error_where_it_is_written() -> None:
    with pytest.raises(sym.DefinitionError, match="D014"):
        of(sym.write("i", sym.emitted("j").value), [1, 1])


def test_lanes_that_are_not_valid_hold_the_source() -> None:
    operator = (
        sym.DOperator(sym.spin(0.5, 2))
        .for_each_site("i")
        .where(i > 0)
        .emit(sym.write("i", 0))
        .emit(sym.invalidate())
        .build()
    )
    xp, mels = operator.compile().get_conn_padded(np.array([1, -1], np.int8))
    np.testing.assert_array_equal(xp, [[1, -1]] * 4)
    np.testing.assert_array_equal(mels, np.zeros(4))


# endregion
# region Predicates


def test_index_compared_with_index_is_a_predicate() -> None:
    operator = (
        sym.DOperator(sym.fock(2, 2))
        .for_each_pair("i", "j")
        .where(i.index != j.index)
        .emit(sym.hop("i", "j"), amplitude=sym.sqrt(i * sym.emitted("j")))
        .build()
    )
    assert branches(operator, [2, 1], "int8") == [([1, 2], 2.0)]
    assert branches(operator, [1, 1], "int8") == [
        ([0, 2], pytest.approx(2**0.5)),
        ([2, 0], pytest.approx(2**0.5)),
    ]


def test_index_equal_to_index_is_a_predicate() -> None:
    term = sym.DOperator(sym.fock(2, 2)).for_each_pair("i", "j")
    operator = term.where(i.index == j.index).emit(amplitude=i + 1).build()
    assert branches(operator, [0, 1], "int8") == [([0, 1], 1), ([0, 1], 2)]


def test_python_cannot_decide_a_predicate() -> None:
    with pytest.raises(sym.DefinitionError, match="D020"):
        _ = 1 < i < 3
    with pytest.raises(sym.DefinitionError, match="D020"):
        _ = i > 0 and j > 0
    with pytest.raises(sym.DefinitionError, match="D020"):
        _ = not i > 0  # pyright: ignore[reportGeneralTypeIssues]


def test_a_guarded_division_compiles_and_stays_finite() -> None:
    term = sym.DOperator(sym.fock(2, 2)).for_each_site("i")
    operator = term.emit_if(i != 0, amplitude=1 / i).emit_else(amplitude=7).build()
    assert branches(operator, [0, 2], "int8") == [([0, 2], 7), ([0, 2], 0.5)]


# endregion
# region Numbers


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float32"])
def test_amplitudes_are_not_computed_in_the_dtype_of_x(dtype: str) -> None:
    space = sym.fock(100, 2)
    x = [9, 100]
    for amplitude, expected in (
        (i**5, 9**5),
        (j + j, 200),
        (j * j, 10000),
        (-j, -100),
        (i / j, 0.09),
        (i**-1, 1 / 9),
        (sym.sqrt(j + 2), np.sqrt(102.0)),
    ):
        (branch,) = of(None, x, space, dtype, amplitude)
        assert branch == (x, pytest.approx(expected, rel=1e-15))


def test_a_complex_default_is_kept_or_refused() -> None:
    z = sym.symbol("z", default=2j)
    term = sym.DOperator(sym.fock(1, 1)).for_each_site("i")
    with pytest.raises(sym.DefinitionError, match="D012"):
        term.emit(amplitude=z)
    complex_term = sym.DOperator(sym.fock(1, 1), dtype="complex128").globally()
    operator = complex_term.emit(amplitude=z * (1 + 1j)).build()
    assert branches(operator, [0], "int8") == [([0], -2 + 2j)]


# endregion
# region Rows


def test_operators_over_different_edges_are_different() -> None:
    def over(edges: list[tuple[int, int]]) -> sym.SymbolicOperator:
        term = sym.DOperator(sym.fock(2, 3), "op").for_each(("i", "j"), over=edges)
        return term.emit(sym.swap("i", "j")).build()

    first, second = over([(0, 1)]), over([(1, 2)])
    assert str(first.to_ir()) != str(second.to_ir())
    assert branches(first, [0, 1, 2], "int8") == [([1, 0, 2], 1)]
    assert branches(second, [0, 1, 2], "int8") == [([0, 2, 1], 1)]


def test_site_sets_are_not_padded_with_sites() -> None:
    sets = {"star": [[0, 1, 2], [2], []]}
    operator = (
        sym.DOperator(sym.spin(0.5, 3))
        .for_each("i", over=[0, 1, 2], sets=sets)
        .emit(sym.flip_set("star"))
        .build()
    )
    x = [1, 1, 1]
    found = branches(operator, x, "int8")
    assert [config for config, _ in found] == [[-1, -1, -1], [1, 1, -1], [1, 1, 1]]


# endregion
