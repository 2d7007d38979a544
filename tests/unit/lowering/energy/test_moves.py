"""The differences that lanes make, against all configurations of small spaces."""

# pyright: basic

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import symir as sym
from dialects.interpreters.bt import run_branches
from dialects.text import Parser, context
from lowering.bt.lanes import connections_in
from lowering.energy.extraction import energies_in
from lowering.energy.moves import Moves, moves_of
from symir.compiler.lowering import run_passes
from tests.unit.lowering.energy.energies import (
    connections_of,
    with_wavefunction,
)
from tests.unit.symir.compiler.test_diagnostics import MODELS

SMALL = [name for name in MODELS if MODELS[name]().space.size <= 9]


def lanes_of(operator: sym.SymbolicOperator) -> ModuleOp:
    """Return the energy of an operator without its diagonal."""
    with jax.enable_x64(True):
        module = with_wavefunction(operator, lambda _, x: x.sum(axis=1), ())
    return run_passes(module, "bt-local-energy,bt-local-energy-coalesce")


def found_in(operator: sym.SymbolicOperator) -> tuple[ModuleOp, Moves | str]:
    module = lanes_of(operator)
    (energy,) = energies_in(module)
    values = np.unique([v for site in operator.space.local_states for v in site])
    return module, moves_of(energy.branches, [float(one) for one in values])


def steps_of(module: ModuleOp, operator: sym.SymbolicOperator) -> np.ndarray:
    """Return x' - x of every configuration and lane, (B, R, N)."""
    x = np.asarray(operator.space.all_states(), np.float64)
    connected, _ = run_branches(connections_of(module), x)
    return connected - x[:, None, :]


def verify(found: Moves, steps: np.ndarray) -> None:
    """Check that steps are those of the tables: all of them, and whether always."""
    _, lanes, sites = steps.shape
    assert found.deltas.shape[0] == lanes
    tables = np.zeros((lanes, found.rows, sites))
    for lane in range(lanes):
        for place, site in enumerate(found.sites[lane]):
            if site >= 0:
                tables[lane, :, site] += found.deltas[lane, :, place]
    moving = (steps != 0).any(axis=2)
    known = ~moving
    for sign in (1, -1) if found.signed else (1,):
        for row in range(found.rows):
            known |= np.isclose(steps, sign * tables[:, row]).all(axis=2)
    assert known.all()
    assert not found.always or moving.all()


def verified(operator: sym.SymbolicOperator) -> Moves:
    module, found = found_in(operator)
    assert isinstance(found, Moves)
    verify(found, steps_of(module, operator))
    return found


ALWAYS = {"tfim", "toric_code", "z2_gauge", "potts", "clock"}
"""Models whose every lane leads elsewhere, for every x."""

SIGNED = {
    *("tfim", "xxz", "heisenberg", "heisenberg, fixed", "j1_j2", "t_j", "pxp"),
    *("toric_code", "z2_gauge"),
}
"""Those with a lane that makes a difference with both signs."""


@pytest.mark.parametrize("name", SMALL)
def test_models(name: str) -> None:
    found = verified(MODELS[name]())
    assert found.always == (name in ALWAYS)
    assert found.signed == (name in SIGNED)


def test_a_table_has_no_difference_that_does_not_occur() -> None:
    operator = MODELS["fermi_hubbard"]()
    found = verified(operator)
    assert found.rows == 1
    assert sorted(np.unique(found.deltas)) == [-1, 1]


SPACES = [sym.spin(0.5, 4), sym.spin(1, 4), sym.fock(2, 4), sym.qubit(5)]
TWO_VALUED = [sym.spin(0.5, 4), sym.qubit(5)]
PAIRS: Any = [[0, 1], [1, 3], [3, 2]]


def swaps(space: sym.Space, pairs: Any) -> sym.SymbolicOperator:
    term = sym.DOperator(space, "pairs").for_each(("i", "j"), over=pairs)
    return term.emit(sym.swap("i", "j"), amplitude=0.5).build()


@pytest.mark.parametrize("space", SPACES)
def test_swaps_change_nothing_where_both_are_equal(space: sym.Space) -> None:
    assert not verified(swaps(space, PAIRS)).always


def test_a_swap_of_a_site_with_itself_has_no_table() -> None:
    _, found = found_in(swaps(SPACES[0], [[0, 1], [2, 2]]))
    assert isinstance(found, str)


@pytest.mark.parametrize("space", [sym.fock(2, 4), sym.fock(3, 3)])
def test_hops_of_bosons(space: sym.Space) -> None:
    term = sym.DOperator(space, "hops").for_each(("i", "j"), over=[[0, 1], [2, 1]])
    found = verified(term.emit(sym.hop("i", "j"), amplitude=1.5).build())
    assert not found.always
    assert not found.signed


@pytest.mark.parametrize("space", TWO_VALUED)
def test_flips(space: sym.Space) -> None:
    term = sym.DOperator(space, "flips").for_each_site("i").emit(sym.flip("i"))
    found = verified(term.build())
    assert found.signed
    assert found.always


@pytest.mark.parametrize("space", TWO_VALUED)
def test_flips_that_ask_the_neighbours(space: sym.Space) -> None:
    term = sym.DOperator(space, "flips").for_each(("i", "j"), over=PAIRS)
    low = space.local_states[0][0]
    term = term.where(sym.site("j").value == low).emit(sym.flip("i"))
    assert not verified(term.build()).always


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("by", [1, -1])
def test_cyclic_shifts(space: sym.Space, by: int) -> None:
    term = sym.DOperator(space, "shifts").for_each_site("i")
    found = verified(term.emit(sym.shift_mod("i", by)).build())
    assert found.always
    assert found.rows == (1 if len(space.local_states[0]) == 2 else 2)


@pytest.mark.parametrize("space", SPACES)
def test_values_that_are_written(space: sym.Space) -> None:
    low, *_, high = space.local_states[0]
    term = sym.DOperator(space, "writes").for_each(("i", "j"), over=PAIRS)
    term = term.emit(sym.write("i", high)).emit(sym.write("i", low).write("j", high))
    module, found = found_in(term.build())
    if isinstance(found, Moves):
        verify(found, steps_of(module, term.build()))
        assert not found.always


# region Lanes by hand


BY_HAND = """
func.func @f(%x : tensor<?x3x!bt.state>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>) {{
  %i = stablehlo.constant dense<[0, 1]> : tensor<2xi32>
  %j = stablehlo.constant dense<{second}> : tensor<2xi32>
  %h = stablehlo.constant dense<0.5> : tensor<f64>
  %a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2xf64>
  %n = stablehlo.negate %a : tensor<?x2xf64>
  %b = bt.branches [%i, %j] = [%n, %a] amplitude %h : [tensor<2xi32>, tensor<2xi32>] [tensor<?x2xf64>, tensor<?x2xf64>] tensor<f64> -> !bt.branches<2 x 2>
  %xp, %mels = bt.connections %x, %b : (tensor<?x3x!bt.state>, !bt.branches<2 x 2>) -> (tensor<?x2x3x!bt.state>, tensor<?x2xf64>)
  func.return %xp, %mels : tensor<?x2x3x!bt.state>, tensor<?x2xf64>
}}
"""  # noqa: E501


def by_hand(second: str) -> tuple[ModuleOp, Moves | str]:
    module = Parser(context(), BY_HAND.format(second=second)).parse_module()
    (connections,) = connections_in(module)
    return module, moves_of(connections.branches, [-1.0, 1.0])


def test_a_write_elsewhere() -> None:
    module, found = by_hand("[2, -1]")
    assert isinstance(found, Moves)
    x = sym.spin(0.5, 3).all_states().astype(np.float64)
    connected, _ = run_branches(module, x)
    verify(found, connected - x[:, None, :])
    assert found.always


def test_values_in_the_type_of_x() -> None:
    text = BY_HAND.format(second="[2, -1]")
    text = text.replace(
        "%a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2x"
        "f64>",
        "%a = bt.gather %x[%i] : (tensor<?x3x!bt.state>, tensor<2xi32>) -> tensor<?x2x"
        "!bt.state>",
    ).replace(
        "%n = stablehlo.negate %a : tensor<?x2xf64>",
        "%n = stablehlo.constant dense<1.0> : tensor<2xf64>",
    )
    text = text.replace(
        "[tensor<?x2xf64>, tensor<?x2xf64>]",
        "[tensor<2xf64>, tensor<?x2x!bt.state>]",
    )
    module = Parser(context(), text).parse_module()
    (connections,) = connections_in(module)
    found = moves_of(connections.branches, [-1.0, 1.0])
    assert isinstance(found, Moves)
    x = sym.spin(0.5, 3).all_states().astype(np.float64)
    connected, _ = run_branches(module, x)
    verify(found, connected - x[:, None, :])
    assert not found.always


def test_two_writes_to_one_site_have_no_table() -> None:
    """The later one wins: what it undoes is no difference."""
    module, found = by_hand("[0, 1]")
    assert isinstance(found, str)
    assert "twice" in found
    x = sym.spin(0.5, 3).all_states().astype(np.float64)
    connected, _ = run_branches(module, x)
    np.testing.assert_array_equal(connected, np.repeat(x[:, None], 2, axis=1))


# endregion
