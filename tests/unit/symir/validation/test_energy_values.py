"""Values of local energies: what each function that is called computes."""

# pyright: basic

from __future__ import annotations

import numpy as np
import pytest

import symir as sym
from tests.unit.symir.inspection.handles import energy, ising, lowered_energy


def test_values_of_a_local_energy() -> None:
    fused, w, _ = energy()
    x = ising().space.random_states(3, 0)
    table = sym.denote(fused, w, x)
    assert (table.level, table.is_energy) == ("bt", True)
    np.testing.assert_allclose(table.results[1][:, 0], fused(w, x), rtol=1e-12)
    assert "energy : float64 (3,)" in str(table)
    chunk = "%transverse_field_ising.chunk/"
    own = [value for value in table if value.name.startswith(chunk)]
    # In a branch of a choice, which is a turn
    (cache,) = (value for value in own if value.op == "func.call")
    assert (cache.axes[0], cache.array.shape[:2]) == ("place", (1, len(x)))
    (sites,) = (value for value in own if value.name.endswith(".sites"))
    assert sites.array.shape == (3, 4, 1)
    (ratios,) = (value for value in own if value.op == "bt.map_states")
    assert np.isfinite(ratios.array).all()
    # Each state of the loop is a place
    turns = {value.array.shape[0] for value in own if value.axes[:1] == ("place",)}
    assert 3 * 4 in turns


def test_a_kernel_of_an_energy_has_the_same() -> None:
    fused, w, _ = energy()
    x = ising().space.random_states(1, 0)
    table = sym.denote(fused, w, x)
    lowered = lowered_energy()
    given = [0.25, w]
    kernel = sym.denote(lowered.with_network().at("stablehlo").module, x, given)
    assert kernel.level == "stablehlo"
    assert table.diff(kernel, rtol=1e-12) is None
    other = sym.denote(lowered.at("bt").module, x, [0.5, w])
    found = table.diff(other)
    assert found is not None
    with pytest.raises(sym.InputError, match="V003"):
        sym.denote(lowered.at("bt").module, x, [0.25, w[:, :2]])
    # Products are safe: nobody asks for the network
    sym.denote(lowered.at("stablehlo").module, x, given)


def test_local_energies_are_compared() -> None:
    fused, w, x = energy()
    plain = sym.LocalEnergy(
        fused.operator, fused.logpsi, without=("apply-exponential-sums",)
    )
    found = sym.diff((fused, w, x), (plain, w, x))
    assert "exponential" in str(found)
    assert not sym.diff((fused, w, x), lowered_energy())
    assert sym.diff((fused, w, x), (plain, w, x), "stablehlo")
    assert not sym.diff((fused, w, x), (plain, w, x), "sym")
