"""Many random networks in several processes, and the smallest of those that fail."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

import jax

from tests.fuzz.check import Mismatch

__all__ = ["Drawn", "main", "smallest"]

AT_ONCE = 10
"""Networks that one process checks before it forgets what was compiled."""

SLICES_OF_A_PROCESS = 10
"""After about so many a process makes room for another, which bounds their memory."""


class Drawn(Protocol):
    """A random network that prints as its source."""

    @property
    def features(self) -> frozenset[str]:
        """What there is in it, in words."""
        ...

    @property
    def parts(self) -> Sequence[Any]:
        """What it is made of."""
        ...

    def without(self, number: int) -> Self:
        """Return the network without one of its parts."""
        ...


@dataclass
class Outcome:
    """How one network went.

    Attributes:
        counts: what was compared, with what rungs.
        failure: what differs, and the source of the smallest network that shows it.
    """

    counts: Counter[str] = field(default_factory=Counter[str])
    failure: str | None = None


Check = Callable[[Any], Counter[str]]
"""Says what there was in a network; raises Mismatch where something differs."""


Network = TypeVar("Network", bound=Drawn)


def smallest(
    network: Network, error: Exception, check: Check
) -> tuple[Network, Exception]:
    """Return a network without the parts that a failure does not need, and its failure.

    What fails otherwise is another failure.
    """
    kind = str(error).splitlines()[0][:30]
    number = 0
    while number < len(network.parts) and len(network.parts) > 1:
        fewer = network.without(number)
        try:
            check(fewer)
        except Mismatch as other:
            if str(other).startswith(kind):
                network, error = fewer, other
                continue
        except Exception:
            pass
        number += 1
    return network, error


@dataclass(frozen=True)
class Many:
    """Networks of a seed.

    Attributes:
        draw: returns the network of two numbers.
    """

    seed: int
    draw: Callable[[int, int], Any]
    check: Check

    def outcome(self, number: int) -> Outcome:
        network = self.draw(self.seed, number)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                return Outcome(self.check(network))
        except Exception as error:
            found = error
        network, found = smallest(network, found, self.check)
        what = f"{type(found).__name__}: {found}"
        head = f"FAILED: --seed {self.seed} --only {number}: {what}"
        return Outcome(Counter(network.features), f"{head}\n{network!r}")

    def outcomes(self, numbers: range) -> tuple[Counter[str], list[str]]:
        """Check some networks; forget what was compiled for them."""
        counts, failures = Counter[str](), list[str]()
        for number in numbers:
            outcome = self.outcome(number)
            counts["networks"] += 1
            counts += outcome.counts
            if outcome.failure is not None:
                failures.append(outcome.failure)
        jax.clear_caches()
        return counts, failures

    def of_all(
        self, slices: Sequence[range], processes: int
    ) -> Iterator[tuple[Counter[str], list[str]]]:
        """Yield what was found in each slice, in order, by so many processes."""
        if processes == 1:
            yield from map(self.outcomes, slices)
            return
        # Set before JAX starts in them: each has a core of its own
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        spawn = multiprocessing.get_context("spawn")
        # Not `max_tasks_per_child`: with it an executor of Python 3.11 may wait forever
        at_once = processes * SLICES_OF_A_PROCESS
        for first in range(0, len(slices), at_once):
            with ProcessPoolExecutor(processes, spawn) as pool:
                some = slices[first : first + at_once]
                yield from pool.map(self.outcomes, some)


def main(
    module: str,
    description: str | None,
    draw: Callable[[int, int], Any],
    check: Check,
    arguments: list[str] | None,
) -> int:
    """Check as many networks as asked for; return the number of those that failed."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description
    )
    parser.add_argument("networks", type=int, nargs="?", default=1, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of all of them")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", type=int, help="check this one in this process")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="one for each core"
    )
    options = parser.parse_args(arguments)
    many = Many(options.seed, draw, check)
    if options.only is not None:
        print(repr(draw(options.seed, options.only)))
        outcome = many.outcome(options.only)
        print(outcome.failure or dict(outcome.counts))
        return outcome.failure is not None

    start, last = time.perf_counter(), options.first + options.networks
    slices = [
        range(first, min(first + AT_ONCE, last))
        for first in range(options.first, last, AT_ONCE)
    ]
    counts, failures = Counter[str](), 0
    for found, failed in many.of_all(slices, options.processes):
        counts += found
        failures += len(failed)
        rate = counts["networks"] / (time.perf_counter() - start)
        done = f"{counts['networks']} networks, {failures} failed, {rate:.2f} a second"
        print("\n".join([*failed, done]), flush=True)
    print(_table(counts))
    print(f"{counts['networks']} networks checked, {failures} failed")
    return failures


def _table(counts: Counter[str]) -> str:
    """Return how many networks, or parts, had what."""
    width = max(map(len, counts))
    return "\n".join(f"{name:{width}} {counts[name]:6}" for name in sorted(counts))
