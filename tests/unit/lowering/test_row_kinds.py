"""Kinds of rows: equal rows have the same number, and only these."""

from __future__ import annotations

import numpy as np

from lowering.analysis.row_kinds import kinds_of_rows


def test_kinds_of_rows() -> None:
    digits = np.random.default_rng(0).integers(0, 3, (200, 90))
    digits[100:, :89] = digits[:100, :89]
    kinds, first = kinds_of_rows(digits.T, len(digits))
    same = (digits[:, None] == digits[None]).all(axis=-1)
    assert ((kinds[:, None] == kinds[None]) == same).all()
    assert same.sum() > 200
    assert (first == same.argmax(axis=1)[first]).all()
    assert (kinds[first] == np.arange(len(first))).all()
