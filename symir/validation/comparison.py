"""Comparison of two results by the relation of a pass, and the first difference."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lowering.relations import Relation

Array = npt.NDArray[Any]


class Connected(NamedTuple):
    """Results of a module for a batch: x' (batch, K, N) and elements (batch, K)."""

    connected: Array
    elements: Array


class Energies(NamedTuple):
    """Local energies of a batch (batch,).

    Attributes:
        energies: the energies.
        scale: how large what they are sums of is.
        tolerance: the error that rounding may make, relative to that.
    """

    energies: Array
    scale: Array
    tolerance: float


@dataclass(frozen=True)
class LaneDifference:
    """The first place where two results are not related as they should be.

    Attributes:
        what: "lanes" where their numbers differ, "x'" or "matrix element"; of a local
            energy "local energy", or the ratio of a part of log psi.
        sample: the number of the sample; None where all of them differ.
        lane: the number of the lane; None where no single lane is to blame.
        before: whether that is a lane from before the pass: its branch is not there
            any more.
        target: the x' that the number belongs to, as a list, if any.
        expected: what was there before.
        found: what is there after.
    """

    what: str
    sample: int | None
    lane: int | None
    target: tuple[float, ...] | None
    expected: str
    found: str
    before: bool = field(default=False, kw_only=True)

    def __str__(self) -> str:
        place = [
            f"{name} {value}"
            for name, value in (("sample", self.sample), ("lane", self.lane))
            if value is not None
        ]
        where = f" at {', '.join(place)}" if place else ""
        return f"{self.what}{where}: expected {self.expected}, found {self.found}"


class Comparison(NamedTuple):
    """The first difference, or None, and the largest error of a matrix element.

    Errors are relative to the largest matrix element of the batch, or to 1.
    """

    difference: LaneDifference | None
    worst_error: float


def compare(
    relation: Relation,
    x: Array,
    before: Connected | Energies,
    after: Connected | Energies,
) -> Comparison:
    """Compare what a batch x (batch, N) is connected to before and after a pass.

    Configurations have to be equal as numbers, matrix elements up to rounding: 1e-12,
    or 1e-5 in 32 bits, relative to the largest one of the batch or to 1. NaN equals NaN
    alone. Energies are compared likewise, each relative to its scale.
    """
    if isinstance(before, Energies) or isinstance(after, Energies):
        return _same_energies(before, after)
    return _COMPARISONS[relation](x, before, after)


TOLERANCES = {64: 1e-12, 32: 1e-5, 16: 1e-2}
"""Relative errors that rounding may make, by the bits of a real number."""


def _tolerance(before: Connected, after: Connected) -> float:
    return TOLERANCES[min(np.finfo(one.elements.dtype).bits for one in (before, after))]


def _scale(elements: Array) -> float:
    finite = np.abs(elements[np.isfinite(elements)])
    return max(1.0, float(finite.max(initial=0.0)))


def _errors(expected: Array, found: Array, scale: float | Array) -> Array:
    """Return relative errors; infinite where only one is NaN, or they are infinite."""
    with np.errstate(all="ignore"):
        errors = np.abs(found - expected) / scale
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    return np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors))


def _same_energies(
    before: Connected | Energies, after: Connected | Energies
) -> Comparison:
    assert isinstance(before, Energies)
    assert isinstance(after, Energies)
    expected, found = before.energies, after.energies
    errors = _errors(expected, found, before.scale)
    worst = float(errors.max(initial=0.0))
    if worst <= before.tolerance:
        return Comparison(None, worst)
    sample = int(np.argmax(errors > before.tolerance))
    pair = shown(expected[sample]), shown(found[sample])
    return Comparison(LaneDifference("local energy", sample, None, None, *pair), worst)


def _equal(x: Array, before: Connected, after: Connected) -> Comparison:
    counts = before.elements.shape[1], after.elements.shape[1]
    if counts[0] != counts[1]:
        lanes = LaneDifference("lanes", None, None, None, *map(str, counts))
        return Comparison(lanes, np.inf)
    moved = (before.connected != after.connected).any(axis=-1)
    errors = _errors(before.elements, after.elements, _scale(before.elements))
    worst = float(errors.max(initial=0.0))
    wrong = errors > _tolerance(before, after)
    if not (moved | wrong).any():
        return Comparison(None, worst)
    sample, lane = np.argwhere(moved | wrong)[0].tolist()
    if moved[sample, lane]:
        pair = [_listed(one.connected[sample, lane]) for one in (before, after)]
        return Comparison(LaneDifference("x'", sample, lane, None, *pair), worst)
    pair = [shown(one.elements[sample, lane]) for one in (before, after)]
    target = as_target(after.connected[sample, lane])
    element = LaneDifference("matrix element", sample, lane, target, *pair)
    return Comparison(element, worst)


def _multiset(x: Array, before: Connected, after: Connected) -> Comparison:
    scale, worst = _scale(before.elements), 0.0
    for sample in _reordered(before, after).tolist():
        expected, found = (_sorted(x[sample], one, sample) for one in (before, after))
        if len(expected.numbers) != len(found.numbers):
            counts = [f"{len(one.numbers)} branches" for one in (expected, found)]
            lane, lost = _without_partner(expected, found)
            what = LaneDifference("lanes", sample, lane, None, *counts, before=lost)
            return Comparison(what, np.inf)
        moved = (expected.connected != found.connected).any(axis=-1)
        if moved.any():
            first = int(moved.argmax())
            pair = [_listed(one.connected[first]) for one in (expected, found)]
            lane, lost = _without_partner(expected, found)
            what = LaneDifference("x'", sample, lane, None, *pair, before=lost)
            return Comparison(what, np.inf)
        errors = _errors(expected.elements, found.elements, scale)
        worst = max(worst, float(errors.max(initial=0.0)))
        if worst > _tolerance(before, after):
            first = int(errors.argmax())
            pair = [shown(one.elements[first]) for one in (expected, found)]
            target, lane = as_target(found.connected[first]), int(found.numbers[first])
            element = LaneDifference("matrix element", sample, lane, target, *pair)
            return Comparison(element, worst)
    return Comparison(None, worst)


def _reordered(before: Connected, after: Connected) -> Array:
    """Return the numbers of the samples that differ if lanes are taken as they are."""
    if before.connected.shape != after.connected.shape:
        return np.arange(len(before.connected))
    moved = (before.connected != after.connected).any(axis=(1, 2))
    return np.flatnonzero(moved | (before.elements != after.elements).any(axis=1))


class _Branches(NamedTuple):
    """The branches of one sample without padding, and the numbers of their lanes."""

    connected: Array
    elements: Array
    numbers: Array


def _sorted(x: Array, lanes: Connected, sample: int) -> _Branches:
    """Return branches by x', then by matrix element up to rounding."""
    connected: Array = lanes.connected[sample]
    elements: Array = lanes.elements[sample]
    kept = np.flatnonzero((elements != 0) | (connected != x).any(axis=-1))
    rounded = np.round(elements, 9)[kept]
    columns = np.moveaxis(connected[kept], -1, 0)[::-1]
    order = kept[np.lexsort((np.imag(rounded), np.real(rounded), *columns))]
    return _Branches(connected[order], elements[order], order)


def _without_partner(expected: _Branches, found: _Branches) -> tuple[int, bool]:
    """Return the lane of a branch to an x' that the other has fewer branches to.

    And whether it is one of those that are expected.
    """
    for one, other in ((expected, found), (found, expected)):
        more = Counter(map(as_target, one.connected))
        more.subtract(map(as_target, other.connected))
        spare = Counter(_keys(other))
        for key, lane in zip(_keys(one), one.numbers.tolist(), strict=True):
            spare[key] -= 1
            if more[key[0]] > 0 and spare[key] < 0:
                return lane, one is expected
    raise AssertionError("both lead to the same configurations")


def _keys(branches: _Branches) -> list[tuple[tuple[float, ...], complex]]:
    elements: list[complex] = np.round(branches.elements, 9).tolist()
    return [*zip(map(as_target, branches.connected), elements, strict=True)]


class _Sums(NamedTuple):
    """Sums of matrix elements over the lanes of a sample with one x'.

    There is one for each pair of a sample and an x' in either of two results.
    """

    samples: Array
    targets: Array
    expected: Array
    found: Array


def _sums(before: Connected, after: Connected) -> _Sums:
    rows: list[Array] = []
    for one in (before, after):
        samples, lanes, size = one.connected.shape
        targets = one.connected.reshape(-1, size).astype(np.float64) + 0.0  # -0 is 0
        numbers = np.repeat(np.arange(samples, dtype=np.float64), lanes)
        rows.append(np.concatenate([numbers[:, None], targets], axis=1))
    joined = np.concatenate(rows)
    keys = joined.view(np.dtype((np.void, joined.itemsize * joined.shape[1])))
    _, firsts, places = np.unique(keys[:, 0], return_index=True, return_inverse=True)
    totals: list[Array] = []
    split = np.split(places, [len(rows[0])])
    for one, own in zip((before, after), split, strict=True):
        totals.append(np.zeros(len(firsts), one.elements.dtype))
        with np.errstate(all="ignore"):
            np.add.at(totals[-1], own, one.elements.reshape(-1))
    # In the order of the samples, and of the lanes of the first result
    order = np.lexsort((firsts, joined[firsts, 0]))
    pairs = joined[firsts][order]
    return _Sums(pairs[:, 0].astype(int), pairs[:, 1:], *(t[order] for t in totals))


def _sum_per_target(x: Array, before: Connected, after: Connected) -> Comparison:
    sums = _sums(before, after)
    errors = _errors(sums.expected, sums.found, _scale(before.elements))
    worst = float(errors.max(initial=0.0))
    if worst <= _tolerance(before, after):
        return Comparison(None, worst)
    first = int(np.argmax(errors > _tolerance(before, after)))
    pair = [shown(one[first]) for one in (sums.expected, sums.found)]
    sample, target = int(sums.samples[first]), as_target(sums.targets[first])
    element = LaneDifference("matrix element", sample, None, target, *pair)
    return Comparison(element, worst)


def _expectation(x: Array, before: Connected, after: Connected) -> Comparison:
    """Compare sum_k mel_k psi(x'_k), with a psi between -1 and 1 by the hash of x'."""
    sums = _sums(before, after)
    digests = (hashlib.sha256(one.tobytes()).digest() for one in sums.targets)
    psi = np.array([int.from_bytes(one[:4]) / 2**31 - 1 for one in digests])
    totals: list[Array] = []
    for one in (sums.expected, sums.found):
        totals.append(np.zeros(len(before.elements), one.dtype))
        with np.errstate(all="ignore"):
            np.add.at(totals[-1], sums.samples, (one * psi).astype(one.dtype))
    errors = _errors(totals[0], totals[1], _scale(before.elements))
    worst = float(errors.max(initial=0.0))
    if worst <= _tolerance(before, after):
        return Comparison(None, worst)
    sample = int(np.argmax(errors > _tolerance(before, after)))
    pair = [shown(one[sample]) for one in totals]
    return Comparison(LaneDifference("expectation", sample, None, None, *pair), worst)


_COMPARISONS: dict[Relation, Callable[[Array, Connected, Connected], Comparison]] = {
    Relation.EQUAL: _equal,
    Relation.MULTISET: _multiset,
    Relation.SUM_PER_TARGET: _sum_per_target,
    Relation.EXPECTATION: _expectation,
}


def as_target(config: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in config.tolist())


def _listed(config: Array) -> str:
    values = [f"{value:g}" for value in config.tolist()]
    return f"[{', '.join(values[:64])}{', ..' if len(values) > 64 else ''}]"


def shown(value: Any) -> str:
    return f"{np.asarray(value).item()!r}"
