"""What cannot be counted, such as NaN, makes a branch invalid: never another number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import connections


def _shifted(amount: sym.Expr) -> sym.SymbolicOperator:
    builder = sym.DOperator(sym.fock(3, 2), "op").for_each(("i", "j"), over=[(0, 1)])
    return builder.emit(sym.shift_mod("i", amount)).build()


@pytest.mark.parametrize(
    ("amount", "valid"),
    [
        (sym.site("j") / 2, lambda i, j: j % 2 == 0),
        (sym.log(sym.site("i") - 5), lambda i, j: False),
        (1 / (sym.site("i") - 1), lambda i, j: i in (0, 2)),
        (sym.site("j") * 1e300, lambda i, j: j == 0),
        (sym.site("j") + 1, lambda i, j: True),
    ],
    ids=["half", "nan", "infinite", "huge", "whole"],
)
def test_places_that_cannot_be_counted_make_no_branch(amount: sym.Expr, valid: Any):
    operator = _shifted(amount)
    x = operator.space.all_states()
    expected = connections(operator.to_ir().module, x)
    found = operator.compile().get_conn_padded(x)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    wanted = [float(valid(*state)) for state in x.tolist()]
    np.testing.assert_array_equal(np.asarray(found[1])[:, 0], wanted)


def test_nothing_is_written_for_a_value_that_does_not_wrap():
    i = sym.site("i")
    builder = sym.DOperator(sym.fock(3, 2), "op").for_each_site("i")
    operator = builder.emit(
        sym.write("i", sym.wrap_mod(sym.log(i - 2), "i")), amplitude=3.0
    ).build()
    x = operator.space.all_states()
    xp, mels = operator.compile().get_conn_padded(x)
    np.testing.assert_array_equal(np.asarray(mels), np.where(x == 3, 3.0, 0.0))
    np.testing.assert_array_equal(xp, connections(operator.to_ir().module, x)[0])


def test_a_range_without_an_end_makes_no_branch():
    i = sym.site("i")
    end = sym.log(i.value - 1.5)  # not a number for 0 and 1
    operator = (
        sym.DOperator(sym.fock(3, 2), "op")
        .for_each_site("i")
        .emit(amplitude=1 + sym.sum_(sym.here.value, over=sym.sites_range(end, 2)))
        .build()
    )
    x = operator.space.all_states()
    _, mels = operator.compile().get_conn_padded(x)
    np.testing.assert_array_equal(np.asarray(mels) != 0, x > 1)
    np.testing.assert_array_equal(mels, connections(operator.to_ir().module, x)[1])
