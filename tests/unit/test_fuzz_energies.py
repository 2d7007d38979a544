"""A few random networks: their energies and derivatives; see `make fuzz`."""

# pyright: basic

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import stop_gradient

import symir as sym
from lowering.energy.lower_local_energy import Written
from tests.fuzz import energies, networks
from tests.fuzz.check import Mismatch
from tests.fuzz.energies import Case, check_network, main
from tests.fuzz.many import smallest
from tests.fuzz.networks import FEATURES, Leaf, Network, Part, draw_network

SMALL = (594, 1097, 454, 478, 997, 1393, 791, 955, 967, 1)
"""Of seed 0: with every one of `FEATURES`, in few networks."""


@cache
def drawn() -> list[Network]:
    return [draw_network(0, number) for number in range(400)]


@pytest.mark.parametrize("number", SMALL)
def test_energies_of_random_networks(number: int) -> None:
    check_network(draw_network(0, number))


def test_every_feature_is_in_few_networks() -> None:
    found = set().union(*(draw_network(0, number).features for number in SMALL))
    assert not set(FEATURES) - found


def test_every_feature_is_drawn_often() -> None:
    counts = Counter(name for network in drawn() for name in network.features)
    assert not [name for name in FEATURES if counts[name] < 5]
    source = "\n".join(network.body() for network in drawn())
    assert not [name for name in networks.HELPERS if f"def {name}(" not in source]


def test_a_network_is_that_of_its_seed_and_number() -> None:
    assert draw_network(0, 7) == drawn()[7]
    assert draw_network(1, 7) != drawn()[7]


def test_what_is_printed_is_what_is_checked() -> None:
    for network in drawn()[:25]:
        names: dict[str, Any] = {}
        exec(repr(network), names)
        w = network.parameters([leaf.values() for leaf in network.leaves])
        jax.tree.map(np.testing.assert_array_equal, names["w"], w)
        x = jax.ShapeDtypeStruct((3, networks.SPACES[network.operator].sites), np.int8)
        theirs = jax.eval_shape(names["logpsi"], w, x)
        assert theirs.shape == (3,)
        assert theirs == jax.eval_shape(network.build(), w, x)


# ---- the checks notice what they are for ----


def network_of(*texts: str) -> Network:
    """Return a network of the ring of spins, and of one vector."""
    return Network(
        operator="ising",
        x_dtype="int8",
        container="dict",
        leaves=(Leaf("a", (6,), "real", "float64", 0.3, 5),),
        parts=tuple(Part((), text, frozenset()) for text in texts),
        combine="{}",
        chunk=None,
        budget=None,
        is_captured=False,
        is_eager=False,
        seed=3,
    )


BIAS = network_of('(x @ w["a"])')
RULED = network_of('other_vjp(x @ w["a"])')
NODE = network_of('(x @ w["a"])', "jnp.where(x[:, 0] > 0, 0, -jnp.inf)")

Faulty = Callable[[Case, Any, Any, Any], Any]


def of_log_psi(change: Callable[[Any, Any, Any], Any]) -> Faulty:
    """Return energies of a function of (log psi, w, x) in place of log psi."""

    def ours(case: Case, floats: Any, h: Any, x: Any) -> Any:
        energy = sym.LocalEnergy(
            case.space.operator.replace(h=h), partial(change, case.logpsi)
        )
        return energy(case.parameters(floats), x), ()

    return ours


def without_parameter(case: Case, floats: Any, h: Any, x: Any) -> Any:
    return RIGHT(case, floats, stop_gradient(h), x)


def finite_at_nodes(case: Case, floats: Any, h: Any, x: Any) -> Any:
    return jnp.nan_to_num(RIGHT(case, floats, h, x)[0]), ()


def pulled_back_twice(case: Case, floats: Any, h: Any, x: Any) -> Any:
    def energies(floats: Any, h: Any) -> Any:
        return OF_BIAS(case, floats, h, x)[0]

    def back(pull: Any, change: Any) -> Any:
        return jax.tree.map(lambda one: 2 * one, pull(change))

    ruled = jax.custom_vjp(energies)
    ruled.defvjp(lambda *given: jax.vjp(energies, *given), back)
    return ruled(floats, h), ()


def that_raise(case: Case, floats: Any, h: Any, x: Any) -> Any:
    raise ValueError("as it should")


RIGHT = of_log_psi(lambda logpsi, w, x: logpsi(w, x))
OF_BIAS = of_log_psi(lambda logpsi, w, x: x @ w["a"])
TOO_LARGE = of_log_psi(lambda logpsi, w, x: 1.000001 * logpsi(w, x))
STOPPED = of_log_psi(lambda logpsi, w, x: logpsi(stop_gradient(w), x))


@pytest.mark.parametrize(
    ("network", "ours", "message"),
    [
        (BIAS, TOO_LARGE, "energies differ"),
        (BIAS, STOPPED, "forward derivative by the network"),
        (BIAS, without_parameter, "forward derivative by the operator"),
        (RULED, pulled_back_twice, "reverse derivative by a"),
        (RULED, OF_BIAS, "no error of the forward derivative"),
        (NODE, finite_at_nodes, "energies at a node are finite"),
        (BIAS, that_raise, "raises ValueError: as it should"),
    ],
)
def test_a_fault_is_noticed(
    network: Network, ours: Faulty, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Case, "ours", ours)
    with pytest.raises(Mismatch, match=message):
        check_network(network)


def test_a_rung_with_another_sign_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Written.ratio
    monkeypatch.setattr(Written, "ratio", lambda *a, **k: -right(*a, **k))
    with pytest.raises(Mismatch, match="energies differ"):
        check_network(BIAS)


# ---- what is reported ----


def failing_on(*texts: str) -> Callable[[Network], Counter[str]]:
    def check(network: Network) -> Counter[str]:
        values = [part.value for part in network.parts]
        if all(any(text in value for value in values) for text in texts):
            raise Mismatch(f"energies differ\n{len(values)} parts")
        return Counter(network.features)

    return check


def test_parts_that_do_not_matter_are_left_out() -> None:
    check = failing_on("two", "four")
    network = network_of("one", "two", "three", "four", "five")
    found, error = smallest(network, Mismatch("energies differ\n5 parts"), check)
    assert [part.value for part in found.parts] == ["two", "four"]
    assert str(error) == "energies differ\n2 parts"
    other = Mismatch("raises")
    assert smallest(network, other, check) == (network, other)


def test_failures_are_printed_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(energies, "check_network", failing_on())
    # Other tests of this process use what is compiled
    monkeypatch.setattr(jax, "clear_caches", lambda: None)
    assert main(["12", "--processes=1", "--seed=3"]) == 12
    printed = capsys.readouterr().out
    assert "FAILED: --seed 3 --only 11: Mismatch: energies differ" in printed
    assert draw_network(3, 0).operator in printed
    assert "12 networks checked, 12 failed" in printed
    assert main(["--seed=3", "--only=11"]) == 1
    monkeypatch.setattr(energies, "check_network", failing_on("nowhere"))
    assert main(["2", "--processes=1"]) == 0
    assert "2 networks checked, 0 failed" in capsys.readouterr().out
