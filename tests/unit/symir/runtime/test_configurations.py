"""Configurations that are none of the space's: an error where they have values."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import netket as nk
import numpy as np
import pytest

import symir as sym
from symir.compiler.checks import check_some_states
from symir.runtime import compiled_operator as operator_module

i = sym.site("i").value
SPINS, BOSONS, MIXED = (
    sym.spin(0.5, 4),
    sym.fock(2, 4, n_particles=4),
    sym.spin(0.5, 2) * sym.fock(2, 2),
)


def diagonal(space: Any) -> Any:
    builder = sym.DOperator(space, "sum").for_each_site("i").emit(amplitude=i)
    return builder.build().compile()


SUM_OF_SPINS = diagonal(SPINS)
WRONG: dict[str, tuple[sym.Space, Any, str]] = {
    "bits": (SPINS, [[1, 1, 1, 1], [0, 1, 0, 1]], "x[1] = [0, 1, 0, 1]"),
    "one of them": (SPINS, [1, 0, 1, 1], "x = [1, 0, 1, 1]"),
    "halves": (SPINS, [[0.5, -0.5, 0.5, 0.5]], "x[0] = [0.5,"),
    "no number": (SPINS, [1.0, np.nan, 1, 1], "x = [1, nan, 1, 1]"),
    "infinite": (SPINS, [1.0, 1.0, np.inf, 1], "x = [1, 1, inf, 1]"),
    "too many": (BOSONS, [[[1, 1, 1, 1]], [[0, 0, 0, 3]]], "x[1, 0] = [0, 0, 0, 3]"),
    "negative": (BOSONS, [[-1, 1, 2, 2]], "x[0] = [-1, 1, 2, 2]"),
    "of another site": (MIXED, [[1, -1, -1, 1]], "x[0] = [1, -1, -1, 1]"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("as_array", [np.asarray, jnp.asarray, list])
def test_values_that_a_site_cannot_have(name: str, as_array: Any) -> None:
    space, x, found = WRONG[name]
    with pytest.raises(sym.InputError, match="R007") as caught:
        diagonal(space).get_conn_padded(as_array(x))
    assert found in str(caught.value.found)
    assert caught.value.operator == "sum"


def test_it_says_what_the_site_can_have() -> None:
    with pytest.raises(sym.InputError) as caught:
        SUM_OF_SPINS.get_conn_padded(np.array([1, 1, 0, 1]))
    expected = "a configuration of spin(1/2, 4), with -1 or 1 at site 2"
    assert caught.value.expected == expected


def test_constraints_are_for_those_who_ask() -> None:
    operator, x = diagonal(BOSONS), np.array([2, 2, 2, 2])
    assert operator.get_conn_padded(x)[1].tolist() == [2, 2, 2, 2]
    with pytest.raises(sym.InputError, match="R007"):
        operator.get_conn_padded(x, checked=True)


def test_local_energies_and_their_reports_look_too() -> None:
    energy = sym.LocalEnergy(SUM_OF_SPINS, lambda w, x: w * x.sum(axis=-1))
    bits = np.array([[0, 1, 1, 0]])
    for call in (energy, energy.report):
        with pytest.raises(sym.InputError, match="R007"):
            call(1.0, bits)
    with pytest.raises(sym.InputError, match="R007"):
        sym.local_energy(SUM_OF_SPINS, energy.logpsi, 1.0, jnp.asarray(bits))


def test_operators_of_netket_and_the_interpreter_look_too() -> None:
    bits = np.array([[0, 1]])
    theirs = diagonal(nk.hilbert.Spin(0.5, 2))
    reference = sym.DOperator(sym.spin(0.5, 2), "op").globally().emit().build()
    reference = reference.compile(backend_preference="reference")
    for operator in (theirs, reference):
        with pytest.raises(sym.InputError, match="R007"):
            operator.get_conn_padded(bits)


@pytest.mark.parametrize("dtype", ["int8", "float16", "bfloat16", "float64"])
def test_every_dtype_of_the_space_passes(dtype: str) -> None:
    x = jnp.asarray(SPINS.all_states(), dtype)
    _, elements = SUM_OF_SPINS.get_conn_padded(x)
    np.testing.assert_array_equal(elements, SPINS.all_states())


def test_what_jax_traces_has_no_values() -> None:
    x = jnp.array([0.5, 0.25, 0.0, 2.0])
    _, elements = jax.jit(SUM_OF_SPINS.get_conn_padded)(x)
    np.testing.assert_array_equal(elements, x)
    jacobian = jax.jacobian(lambda x: SUM_OF_SPINS.get_conn_padded(x)[1])(x)
    np.testing.assert_array_equal(jacobian, np.eye(4))


def test_a_constant_of_a_traced_program_has_values() -> None:
    bits = np.array([0, 1, 1, 0])
    with pytest.raises(sym.InputError, match="R007"):
        jax.jit(lambda h: h * SUM_OF_SPINS.get_conn_padded(bits)[1])(1.0)


@pytest.mark.parametrize("shape", [(3000,), (50, 60), (1, 3000, 1)])
def test_first_and_last_of_many(shape: tuple[int, ...]) -> None:
    x = np.ones((3000, 4), np.int8)
    check_some_states(SUM_OF_SPINS, SPINS, x.reshape(*shape, 4))
    for row in (0, 2999):
        one = x.copy()
        one[row, 1] = 0
        place = [int(k) for k in np.unravel_index(row, shape)]
        with pytest.raises(sym.InputError) as caught:
            check_some_states(SUM_OF_SPINS, SPINS, one.reshape(*shape, 4))
        assert caught.value.found == f"x{place} = [1, 0, 1, 1]"


def test_so_much_is_read_and_no_more() -> None:
    class Counting:
        """A space that counts what it is asked."""

        size, seen = 4, 0

        def has_local_states(self, states: Any) -> Any:
            self.seen += states.size
            return SPINS.has_local_states(states)

    space: Any = Counting()
    check_some_states(SUM_OF_SPINS, space, np.ones((10**6, 4), np.int8))
    assert 1000 < space.seen < 10**4


def test_accelerators_are_read_from_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_module, "_HOST", "no such platform")
    builder = sym.DOperator(SPINS, "accelerated").for_each_site("i")
    operator = builder.emit(amplitude=2.5 * i).build().compile()
    bits, x = jnp.zeros((600, 4), jnp.int8), jnp.ones((600, 4), jnp.int8)
    with pytest.raises(sym.InputError, match="R007"):
        operator.get_conn_padded(bits)
    for one in (x, bits):  # what was wrong at first is mended by now
        assert operator.get_conn_padded(one)[1].shape == (600, 4)
