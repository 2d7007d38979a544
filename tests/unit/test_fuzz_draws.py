"""A few random autoregressive networks, and their samples; see `make fuzz`."""

# pyright: basic

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from lowering.change.completion import Completion
from tests.fuzz.check import Mismatch
from tests.fuzz.draws import FIRST, LAYERS, check_network, draw_network

SMALL = (3, 6)


@pytest.mark.parametrize("number", SMALL)
def test_samples_of_random_networks(number: int) -> None:
    assert check_network(draw_network(0, number))["drawn"]


def test_every_layer_is_drawn_often() -> None:
    drawn = [draw_network(0, number) for number in range(200)]
    counts = Counter(word for network in drawn for word in network.features)
    assert not [kind for kind in (*LAYERS, *FIRST) if counts[kind] < 20]


def test_what_is_kept_and_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Completion.committed
    monkeypatch.setattr(
        Completion, "committed", lambda self, node: right(self, node) * 0.5
    )
    with pytest.raises(Mismatch):
        check_network(draw_network(0, SMALL[0]))


def test_what_is_printed_is_what_is_checked() -> None:
    network = draw_network(0, SMALL[0])
    names: dict[str, Any] = {}
    exec(repr(network), names)
    x = np.arange(3 * len(network.order)).reshape(3, -1) % network.values
    theirs = names["logpsi"](names["w"], x)
    np.testing.assert_array_equal(theirs, network.network(network.leaves, x))
