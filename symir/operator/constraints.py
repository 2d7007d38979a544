"""Conserved sums: their normal form, and the configurations that satisfy them.

Everything is exact. A sum is brought to coprime integer weights; then local values,
which are binary fractions, become integers in units of a power of two, small enough for
double precision to add them up in any order without rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.tables import LocalSpace, SiteSum
from symir.errors import DefinitionError

MAX_EXACT = 2**53
"""Double precision adds integers up to this one without rounding."""

MAX_PARTIAL_SUMS = 2**24
"""Most pairs of a partial sum and a local value that are kept."""

IntArray = npt.NDArray[np.int64]

# region Normal form


def normal_sums(space: LocalSpace) -> tuple[SiteSum, ...]:
    """Return the sums of a space in normal form, sorted and each only once.

    The weights are coprime integers, the first one that is not 0 positive.

    Raises:
        DefinitionError: for a sum without one finite weight per site, a weight other
            than 0, and a finite total (S014), numbers too fine or too large to be added
            up exactly (S015), or a total that no configuration has (S013).
    """
    normal = {_normal(conserved, space) for conserved in space.sums}
    return tuple(sorted(normal, key=lambda sum_: (sum_.weights, sum_.total)))


def _normal(conserved: SiteSum, space: LocalSpace) -> SiteSum:
    _check_form(conserved, space.sites)
    weights = [Fraction(weight) for weight in conserved.weights]
    common = math.lcm(*(weight.denominator for weight in weights))
    divisor = math.gcd(*(int(weight * common) for weight in weights))
    leading = next(weight for weight in weights if weight)
    scale = Fraction(common, divisor) * (1 if leading > 0 else -1)
    total = Fraction(conserved.total) * scale
    integers = [int(weight * scale) for weight in weights]
    unit = _unit(space, integers)
    largest = (max(map(abs, space.at(site))) for site in range(space.sites))
    reach = sum(
        abs(w) * Fraction(v) for w, v in zip(integers, largest, strict=True) if w
    )
    if max(reach * unit, *map(abs, integers)) > MAX_EXACT:
        raise DefinitionError(
            "S015",
            "a conserved sum cannot be added up without rounding",
            expected="weights and local values that are integers, or halves, ..",
            found=shown_sum(conserved),
            hint="give the sites integer values, such as 1 in place of 0.1",
        )
    if (total * unit).denominator != 1 or abs(total) > reach:
        raise infeasible((conserved,))
    return SiteSum(tuple(map(float, integers)), float(total))


def _check_form(conserved: SiteSum, sites: int) -> None:
    numbers = (*conserved.weights, conserved.total)
    problem = None
    if len(conserved.weights) != sites:
        problem = "does not have one weight per site"
    elif not all(math.isfinite(number) for number in numbers):
        problem = "holds a number that is not finite"
    elif not any(conserved.weights):
        problem = "has no weight other than 0"
    if problem is not None:
        raise DefinitionError(
            "S014",
            f"a conserved sum {problem}",
            expected=f"{sites} finite weights and a finite total",
            found=shown_sum(conserved),
        )


def _unit(space: LocalSpace, weights: Sequence[float]) -> int:
    """Return the smallest power of two that makes all local values integers.

    Those of sites without a weight do not count.
    """
    counted = {space.at(site) for site, weight in enumerate(weights) if weight}
    return max(value.as_integer_ratio()[1] for values in counted for value in values)


def infeasible(sums: Sequence[SiteSum]) -> DefinitionError:
    """Return the error for sums that no configuration has."""
    return DefinitionError(
        "S013",
        "no configuration satisfies the constraints of the space",
        expected="conserved sums that some configuration of the local states has",
        found=" and ".join(map(shown_sum, sums)),
    )


def shown_sum(conserved: SiteSum) -> str:
    """Return a sum as the arguments of `Space.where_sum`."""
    sites = [site for site, weight in enumerate(conserved.weights) if weight]
    weights = [conserved.weights[site] for site in sites]
    total = shown_number(conserved.total)
    where = (
        "" if len(sites) == len(conserved.weights) else f", sites={shown_values(sites)}"
    )
    if set(weights) <= {1}:
        return f"total={total}{where}"
    return f"total={total}{where}, weights={shown_values(weights)}"


def shown_values(values: Sequence[object]) -> str:
    """Return a list of numbers; a long one loses its middle."""
    numbers = list(map(shown_number, values))
    if len(numbers) > 8:
        numbers[4:-2] = [".."]
    return f"[{', '.join(numbers)}]"


def shown_number(value: object) -> str:
    """Return a number, a whole one without a point."""
    return repr(value).removesuffix(".0")


# endregion
# region Partial sums


@dataclass(frozen=True, eq=False)
class PartialSums:
    """Sums that the first sites of a lattice can have, and their completions.

    A node of layer s stands for the values of all sums over the sites before s, for
    those values that some configuration can complete.

    Attributes:
        edges: for each site s an int32 array of shape (nodes of layer s, local states):
            the node of layer s + 1 that a local state leads to, -1 where no
            configuration goes on from there. Layer 0 has one node.
    """

    edges: tuple[npt.NDArray[np.int32], ...]

    @cached_property
    def completions(self) -> list[npt.NDArray[Any]]:
        """For each layer, in how many ways each node is completed; then a 0."""
        # The 0 is that of "no node", whose number is -1.
        layers = [np.array([1, 0], object)]
        for edges in reversed(self.edges):
            ways = layers[-1][edges].sum(axis=1)
            layers.append(np.append(ways, [0]))
        layers.reverse()
        if int(layers[0][0]) < 2**63:
            return [ways.astype(np.int64) for ways in layers]
        return layers

    @property
    def count(self) -> int:
        """The number of configurations, exact however large."""
        return int(self.completions[0][0])

    def local_indices(self, ranks: npt.NDArray[Any]) -> IntArray:
        """Return the configurations of some places in lexicographic order.

        `ranks` are (n,) integers from 0 to count - 1, of dtype object where they are
        large. The answer has shape (n, N) and holds the place of each site's value
        among its local states.
        """
        rest = ranks
        node = np.zeros(len(ranks), np.int32)
        chosen = np.empty((len(ranks), len(self.edges)), np.int64)
        every = np.arange(len(ranks))
        following = self.completions[1:]
        for site, (edges, ways) in enumerate(zip(self.edges, following, strict=True)):
            # Up to each local state, itself included, so many configurations come.
            upto = np.cumsum(ways[edges[node]], axis=1)
            state = (rest[:, None] >= upto).sum(axis=1).astype(np.int64)
            rest = rest - np.where(state > 0, upto[every, state - 1], 0)
            chosen[:, site] = state
            node = edges[node, state]
        return chosen

    def random_ranks(self, n: int, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Draw `n` places uniformly, exact however many there are."""
        if self.count < 2**63:
            return rng.integers(0, self.count, n)
        return np.array([_below(self.count, rng) for _ in range(n)], object)

    def chunks(self, size: int) -> Iterator[IntArray]:
        """Yield all configurations in order, `size` at a time."""
        for start in range(0, self.count, size):
            yield self.local_indices(np.arange(start, min(start + size, self.count)))


@lru_cache(maxsize=4)
def partial_sums(space: LocalSpace) -> PartialSums:
    """Return the partial sums of a space whose sums are in normal form.

    Raises:
        DefinitionError: when no configuration has all sums (S013), or there are too
            many partial sums to keep (S015).
    """
    steps = _steps(space)
    totals = np.array(
        [int(sum_.total * _unit(space, sum_.weights)) for sum_ in space.sums], np.int64
    )
    least = _suffix_sums([step.min(axis=0) for step in steps])
    most = _suffix_sums([step.max(axis=0) for step in steps])
    reached = np.zeros((1, len(totals)), np.int64)
    layers: list[npt.NDArray[np.int32]] = []
    room = MAX_PARTIAL_SUMS
    for site, step in enumerate(steps):
        room -= len(reached) * len(step)
        if room < 0:
            raise _too_many(space)
        sums = reached[:, None, :] + step[None, :, :]
        missing = totals - sums
        can = (least[site + 1] <= missing) & (missing <= most[site + 1])
        useful = can.all(axis=-1)
        edges = np.full(useful.shape, -1, np.int32)
        reached, edges[useful] = _distinct(sums[useful])
        layers.append(edges)
    edges = _without_dead_ends(layers, len(reached))
    if (edges[0] < 0).all():
        raise infeasible(space.sums)
    return PartialSums(tuple(edges))


def _steps(space: LocalSpace) -> list[IntArray]:
    """Return what each local state adds to each sum: (states, sums) for each site."""
    units = [_unit(space, sum_.weights) for sum_ in space.sums]

    @cache
    def step(values: tuple[float, ...], weights: tuple[float, ...]) -> IntArray:
        factors = [int(w) * unit for w, unit in zip(weights, units, strict=True)]
        # A value that no sum counts need not be an integer in their units.
        rows = [[int(f * Fraction(v)) if f else 0 for f in factors] for v in values]
        return np.array(rows, np.int64)

    return [
        step(space.at(site), tuple(sum_.weights[site] for sum_ in space.sums))
        for site in range(space.sites)
    ]


def _suffix_sums(values: list[IntArray]) -> IntArray:
    """Return the sums of all values from each place on, and a last row of zeros."""
    rows = np.array([*values, np.zeros_like(values[0])])
    return np.cumsum(rows[::-1], axis=0)[::-1]


def _distinct(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return the distinct rows, and which of them each row is."""
    if not len(rows):
        return rows, np.empty(0, np.int64)
    least = rows.min(axis=0)
    spans: list[int] = (rows.max(axis=0) - least + 1).tolist()
    if math.prod(spans) < 2**62:
        # One integer per row sorts an order of magnitude faster than rows do.
        keys = np.zeros(len(rows), np.int64)
        for column, span in enumerate(spans):
            keys = keys * span + (rows[:, column] - least[column])
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        return rows[first], place
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    return distinct, place.reshape(-1)


def _without_dead_ends(
    layers: list[npt.NDArray[np.int32]], last: int
) -> list[npt.NDArray[np.int32]]:
    """Cut the edges to nodes that nothing completes; the `last` layer is complete."""
    alive = np.append(np.ones(last, np.bool_), False)
    kept: list[npt.NDArray[np.int32]] = []
    for edges in reversed(layers):
        edges = np.where(alive[edges], edges, np.int32(-1))
        alive = np.append((edges >= 0).any(axis=1), False)
        kept.append(edges)
    return kept[::-1]


def _too_many(space: LocalSpace) -> DefinitionError:
    return DefinitionError(
        "S015",
        "the conserved sums have too many partial sums to keep",
        expected=f"at most {MAX_PARTIAL_SUMS} of them, over all sites",
        found=" and ".join(map(shown_sum, space.sums)),
        hint="take fewer sums or smaller weights, or a predicate: space.where(..)",
    )


def _below(bound: int, rng: np.random.Generator) -> int:
    """Draw an integer from 0 to bound - 1 uniformly."""
    bits = (bound - 1).bit_length()
    surplus = -bits % 8
    while True:
        drawn = int.from_bytes(rng.bytes((bits + surplus) // 8), "little") >> surplus
        if drawn < bound:
            return drawn


# endregion
