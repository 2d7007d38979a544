"""A few random deep networks: ratios where changes reach them; see `make fuzz`."""

# pyright: basic

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from xdsl.utils.exceptions import PassFailedException

from lowering.energy.cone_part import Cone
from tests.fuzz import cones
from tests.fuzz.check import Mismatch
from tests.fuzz.cones import LAYERS, Deep, check_network, draw_network, main
from tests.fuzz.many import smallest
from tests.unit.lowering.change.laws import Made

SMALL = (7, 26, 46, 72)
"""Of seed 0: with most of `LAYERS`, and groups of rows, in few networks."""

MASKED = draw_network(0, 77)


@pytest.mark.parametrize("number", SMALL)
def test_ratios_of_random_networks(number: int) -> None:
    assert check_network(draw_network(0, number))["compared"]


def test_every_layer_is_drawn_often() -> None:
    drawn = [draw_network(0, number) for number in range(200)]
    counts = Counter(kind for network in drawn for kind in dict(network.parts))
    assert not [kind for kind in LAYERS if counts[kind] < 10]
    assert {len(network.parts) for network in drawn} == set(range(1, 7))


def test_a_network_is_that_of_its_seed_and_number() -> None:
    assert draw_network(0, 77) == MASKED
    assert draw_network(1, 77) != MASKED


def test_what_is_printed_is_what_is_checked() -> None:
    names: dict[str, Any] = {}
    exec(repr(MASKED), names)
    made = MASKED.made()
    x = np.array([names["x"]])
    theirs = names["logpsi"](names["w"], x)
    np.testing.assert_array_equal(theirs, made.network(made.leaves, x))
    np.testing.assert_array_equal(names["rows"], made.rows)


# ---- the check notices what it is for ----


def test_a_wrong_ratio_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Cone.ratio
    monkeypatch.setattr(Cone, "ratio", lambda *given: -right(*given))
    with pytest.raises(Mismatch, match="ratios differ"):
        check_network(MASKED)


def test_a_wrong_ratio_of_a_group_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Cone.ratios_of_groups
    monkeypatch.setattr(Cone, "ratios_of_groups", lambda own: right(own)[::-1])
    with pytest.raises(Mismatch, match="ratios differ"):
        check_network(MASKED)


def test_a_commit_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cone, "commit", lambda _, given: given.caches)
    with pytest.raises(Mismatch, match="ratios differ"):
        check_network(MASKED)


def test_what_raises_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: Any) -> Any:
        raise ValueError("as it should")

    monkeypatch.setattr(Cone, "tables", raises)
    with pytest.raises(Mismatch, match="raises ValueError: as it should"):
        check_network(MASKED)


def test_what_is_no_part_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Any) -> Any:
        raise PassFailedException("another rung")

    monkeypatch.setattr(Made, "cone", refused)
    told = check_network(MASKED)
    assert told == Counter({"declined": 1, "declined: another rung": 1})


# ---- what is reported ----


def test_layers_that_do_not_matter_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(network: Deep) -> Counter[str]:
        if "choice" in dict(network.parts):
            raise Mismatch("ratios differ")
        return Counter(network.features)

    network = draw_network(0, 66)
    assert len(network.parts) > 1
    found, _ = smallest(network, Mismatch("ratios differ"), fails)
    assert [kind for kind, _ in found.parts] == ["choice"]
    monkeypatch.setattr(cones, "check_network", fails)
    assert main(["--only=66"]) == 1
    assert "FAILED: --seed 0 --only 66" in capsys.readouterr().out
