"""Whether what is searched for along a line is found, wherever it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowering.local_energy.breakpoints import Quantity, base_line, refined

ULPS = 5
"""So many floats from an extremum are close: the last search has sections of that."""


def numbers_of(values: Any) -> Any:
    """Return which floats they are, counted from 0."""
    return values.view(f"i{values.itemsize}").astype(np.int64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [1, 40])
def test_extrema_are_found(dtype: Any, sign: int, count: int) -> None:
    """Kinks at one float, with one quantity each: few intervals, and many."""
    rng = np.random.default_rng(0)
    kinks = np.sort(rng.uniform(0.5, 8, count)).astype(dtype)

    def trace(places: Any) -> Any:
        own = numbers_of(np.abs(places)) + np.where(places < 0, 1 << 62, 0)
        return {
            kink: sign * np.abs(own - numbers_of(kink)).astype(float) for kink in kinks
        }

    def at(kink: Any) -> Quantity:
        return Quantity(lambda values: values[kink], has_extrema=True)

    _, places = refined(base_line(np.dtype(dtype)), trace, [at(kink) for kink in kinks])
    found = numbers_of(places[places > 0])
    for kink in kinks:
        assert np.abs(found - numbers_of(kink)).min() <= ULPS
