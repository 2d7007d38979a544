"""How many of the states that an energy evaluates are the same, and what that is worth.

Samples are looked at where they are numbers, by the interpreter of `bt` and NumPy, and
not all of them: it is asked before anything is compiled for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dialects.interpreters.bt import changes_of, run_lanes
from lowering.energy.plan_distinct_states import (
    DEFAULT_BUDGET,
    not_distinct,
    samples_at_once,
)
from symir.plain_text import Reading
from symir.runtime.local_energy.energy_report import operations, parts_of

Array = npt.NDArray[Any]

if TYPE_CHECKING:
    from symir.runtime.local_energy.program import EnergyProgram

ROWS, SAMPLES, LANES = 4096, 256, 2**19
"""So many samples are looked at, of these so many distinct ones, of so many lanes, at
most: 50 ms."""

FINDING, KEPT = 2000, 0.8
"""To find equal states takes as long as so many operations of a network, for each (30
to 50 ns on a core); and it is worth it where no more than this is left of all
operations.

Measured on two cores, Heisenberg 8x8, CPU time of all states over that of distinct
ones, where 100, 50 and 10 % of 256 samples are distinct: a network of 64 and 64 tanh
0.95, 1.7, 4.2 in f64, 0.89, 1.4, 2.4 in f32; of 256 and 256, with its first layer
lifted before, 0.8, 1.6, 6.4 and 0.8, 1.5, 4.7; of 8 and 8, which are 1281 operations,
0.8, 1.1, 1.8 and 0.7, 0.9, 1.2."""


@dataclass(frozen=True)
class Repeats(Reading):
    """How many states of samples there are: the samples, and their live lanes.

    Attributes:
        samples: how many samples were looked at, equal ones included.
        states: how many states they have.
        distinct: how many of these are distinct.
        pays: whether evaluating distinct ones alone would take less time.
    """

    samples: int
    states: int
    distinct: int
    pays: bool

    def said(self, schedule: str) -> str:
        """Return that for people, with what is done about it."""
        done = "all are evaluated"
        if schedule == "distinct":
            done = "each is evaluated once"
        elif self.pays:
            done = "LocalEnergy(.., distinct=True) would evaluate each once"
        return (
            f"{self.distinct} of {self.states} states of {self.samples} samples are "
            f"distinct: {done}"
        )


def repeats_of(
    program: EnergyProgram, operands: Sequence[Any], x: Any
) -> Repeats | None:
    """Return how many states of samples (B, N) are the same; None where it is no use.

    Where there are more than are looked at, distinct ones that come first are.
    """
    now = sum(part.flops for part in parts_of(program))
    if not_distinct(program.energy) is not None or FINDING > KEPT * now:
        return None
    rows = np.asarray(x)[:ROWS]  # by JAX a slice would be compiled
    _, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    seen = np.sort(first)[: max(1, min(SAMPLES, LANES // program.kernel.lanes))]
    counts = np.bincount(number.reshape(-1))[number.reshape(-1)[seen]]
    live, keys = _states(program, operands, rows[seen])
    samples, states = int(counts.sum()), int(counts @ (1 + live.sum(axis=1)))
    distinct = len(np.unique(keys))
    left = min(distinct / states, _share_of_all(program, len(x), states / samples))
    work = left * operations(program.imported) + FINDING
    return Repeats(samples, states, distinct, bool(work <= KEPT * now))


def _share_of_all(program: EnergyProgram, batch: int, each: float) -> float:
    """Return all configurations that there are, by states of the samples of a chunk.

    Infinity where they would have to be counted.
    """
    space, budget = program.kernel.space, program.options.budget
    if space.predicates:
        return np.inf
    chunk = samples_at_once(program.energy, budget or DEFAULT_BUDGET)
    return min(space.n_states, 2**62) / (min(batch, chunk) * each)


def _states(
    program: EnergyProgram, operands: Sequence[Any], x: Array
) -> tuple[Array, Array]:
    """Return which lanes are live, (C, R), and hashes of x and x', (C, 1 + R)."""
    sites, values, _ = run_lanes(program.lanes_module, x, operands)
    sites, _, new = changes_of(x, sites, values)
    _, digits = np.unique(np.append(x, new), return_inverse=True)
    own, new = digits[: x.size].reshape(x.shape), digits[x.size :].reshape(new.shape)
    changes = new - own[np.arange(len(x))[:, None, None], sites]
    weights = np.random.default_rng(0).integers(2**62, size=x.shape[1])
    key = (own @ weights)[:, None]
    connected = key + (changes * weights[sites]).sum(axis=2)
    return (changes != 0).any(axis=2), np.concatenate([key, connected], axis=1)
