"""The laws of parts of log psi: what their functions find is how their values change.

    ratio(cache(x), d) = f(x + d) - f(x)        ratio(cache(x), no change) = 0
    ratio(commit(cache(x), d), e) = ratio(cache(x + d), e)

up to rounding, and to 2 pi i. f is the part by the functions that it was made of, which
the passes that write those of ratios do not touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.interpreter import Interpreter

from dialects import bt
from dialects.interpreters.bt import functions_of, part_of
from dialects.interpreters.calls import Oracle
from lowering.bt.lanes import write_count
from lowering.energy.bt_local_energy_pack import local_values
from lowering.energy.extraction import energies_in, function_named
from lowering.energy.lower_local_energy import LARGEST_LOGARITHM
from lowering.energy.moves import Moves, SiteMoves
from lowering.energy.readings import Reading
from lowering.energy.write_parts import tabled
from symir.operator.spaces import Space
from symir.validation.comparison import LaneDifference, as_target, shown
from symir.validation.reports import Array

SAMPLES, CHANGES, COMMITTED = 2, 12, 4
"""Configurations, and changes of each and of an x' of it, that are looked at."""


Called: TypeAlias = Callable[..., tuple[Any, ...]]
"""Calls a function of the module by name."""


class Change(NamedTuple):
    """What x becomes, and the rows of tables and the sign that say so."""

    after: Array
    rows: list[Any]


@dataclass(frozen=True)
class Laws:
    """The parts of an energy, and what they are looked at on.

    Attributes:
        module: has one energy, with a plan.
        leaves: the parameters of the network.
        x: configurations (B, N).
        connected: what these are connected to, (B, K, N).
        space: says which values a site has.
        oracles: what the interpreters cannot say of the module.
        tolerance: the error that rounding may make, relative to log psi or to 1.
    """

    module: ModuleOp
    leaves: Sequence[Array]
    x: Array
    connected: Array
    space: Space
    oracles: Mapping[str, Oracle]
    tolerance: float

    def broken(self) -> tuple[Array, LaneDifference] | None:
        """Return the first x where a law does not hold, and how; None if all hold."""
        (energy,) = energies_in(self.module)
        with np.errstate(all="ignore"):
            found = (
                one
                for part in energy.parts
                if part.written.data
                for one in self._of_part(energy, part)
            )
            return next(found, None)

    def _of_part(
        self, energy: bt.LocalEnergyOp, part: bt.PartAttr
    ) -> Iterator[tuple[Array, LaneDifference]]:
        interpreter = Interpreter(self.module)
        for functions in functions_of(len(self.x), self.x.dtype, self.oracles):
            interpreter.register_implementations(functions)

        def called(name: str, *given: Any) -> tuple[Any, ...]:
            return interpreter.call_op(name, tuple(map(np.asarray, given)))

        def value(x: Array) -> Any:
            return part_of(interpreter, energy, part, self.leaves, x)

        found = self._declared if part.kind == bt.Rung.DECLARED else self._written
        for sample, x in enumerate(self.x[:SAMPLES]):
            for before, after, log_ratio in found(energy, part, sample, called):
                values = value(after), value(before)
                difference = self._compared(part, sample, after, values, log_ratio)
                if difference is not None:
                    yield x, difference

    def _written(
        self, energy: bt.LocalEnergyOp, part: bt.PartAttr, sample: int, called: Called
    ) -> Iterator[tuple[Array, Array, Any]]:
        """Yield some x and x', and the log ratios that written functions find.

        They are those of a sample, and of an x' of it behind a commit.
        """
        names = [one.string_value() for one in part.written]
        tables_of, bound, cache, ratio, commit, *of_groups = names
        assert energy.plan is not None
        groups = energy.plan.data.groups or ()
        tables = called(tables_of, *self.leaves)
        lengths = _safe(called(bound, *tables), tabled(energy))
        x = self.x[sample]
        caches = called(cache, *self.leaves, x[None])
        for most in (CHANGES, COMMITTED):
            changes = [*islice(self._changes(energy, x), most)]
            if not changes or not lengths:
                return
            fixed = [*self.leaves, *tables, *caches]
            for (after, rows), length in product(changes, lengths):
                own = [ratio]
                if of_groups:
                    own.append(of_groups[groups[int(rows[0])]])
                for name in own:
                    (found,) = called(name, *fixed, np.int32(length), *rows)
                    # In cones the network is asked where it is not known
                    if part.kind != bt.Rung.CONE or not np.isnan(found):
                        yield x, after, found
            x, rows = changes[-1]
            caches = called(commit, *fixed, np.int32(lengths[0]), *rows)

    def _declared(
        self, energy: bt.LocalEnergyOp, part: bt.PartAttr, sample: int, called: Called
    ) -> Iterator[tuple[Array, Array, Any]]:
        """Yield x and x' of lanes, and the log ratios that declared functions find."""
        inputs, x = function_named(self.module, part.functions[1]), self.x[sample]
        *own, _ = called(part.functions[1], *self.leaves, x[None])
        reading = Reading.of(inputs, local_values(energy))
        cache, ratio = (one.string_value() for one in part.written)
        writes, factor = write_count(energy.branches), part.coefficient
        for after in self.connected[sample, :CHANGES]:
            moved = np.flatnonzero(after != x)
            if not 0 < len(moved) <= writes:
                continue
            sites = np.zeros(writes, np.int32)
            sites[: len(moved)] = moved
            old, new = x[sites], x[sites]
            new[: len(moved)] = after[moved]
            (read,), change = reading.of_numbers(x[None], (sites, old, new))
            caches = called(cache, *own, read)
            (found,) = called(ratio, *own, *caches, *change)
            if not np.isnan(found):  # the network is asked there
                found = {"real": np.real, "imag": np.imag, None: np.asarray}[
                    part.applied
                ](found)
                yield x, after, (factor if factor.imag else factor.real) * found

    def _compared(
        self,
        part: bt.PartAttr,
        sample: int,
        target: Array,
        values: tuple[Any, Any],
        found: Any,
    ) -> LaneDifference | None:
        """Return how a log ratio is not f(x') - f(x), None where it is or psi is 0."""
        expected = values[0] - values[1]
        if not np.isfinite(expected):
            return None
        change = complex(found) - complex(expected)
        if np.iscomplexobj(found):
            change -= 2j * np.pi * round(change.imag / (2 * np.pi))
        scale = 1 + sum(map(abs, values))
        if abs(change) <= scale * self.tolerance:
            return None
        what = f"ratio of the {part.kind} part @{part.functions[0]}"
        pair = shown(expected), shown(found)
        return LaneDifference(what, sample, None, as_target(target), *pair)

    def _changes(self, energy: bt.LocalEnergyOp, x: Array) -> Iterator[Change]:
        rng = np.random.default_rng(0)
        moves = tabled(energy)
        if isinstance(moves, SiteMoves):
            return self._by_site(moves, x, rng)
        assert isinstance(moves, Moves)
        return self._by_lane(moves, x, rng)

    def _by_lane(
        self, moves: Moves, x: Array, rng: np.random.Generator
    ) -> Iterator[Change]:
        rows, writes = moves.differences(len(x))
        for number in rng.permutation(len(rows)).tolist():
            if writes is not None:
                sites, old, _ = (one[number] for one in writes)
                if (x[sites][sites >= 0] != old[sites >= 0]).any():
                    continue
            for sign in (True, False) if moves.signed else (True,):
                after = (x + (rows[number] if sign else -rows[number])).astype(x.dtype)
                if self.space.has_local_states(after[None])[0]:
                    yield Change(after, [np.int32(number), np.bool_(sign)])

    def _by_site(
        self, moves: SiteMoves, x: Array, rng: np.random.Generator
    ) -> Iterator[Change]:
        values = np.asarray(moves.values)
        count, own = len(values), np.abs(x[:, None] - values).argmin(axis=1)

        def row(site: int, new: int) -> np.int32:
            return np.int32((site * count + own[site]) * count + new)

        for turn in range(CHANGES):
            new = own.copy()
            # The first change is none
            sites = rng.permutation(len(x))[: min(turn, moves.at_once)]
            new[sites] = (own[sites] + rng.integers(1, count, len(sites))) % count
            rows = [row(site, new[site]) for site in sites]
            rows += [row(0, own[0])] * (moves.at_once - len(rows))
            after = values[new].astype(x.dtype)
            if self.space.has_local_states(after[None])[0]:
                yield Change(after, [*rows, np.bool_(True)])


def _safe(bounds: Sequence[Array], moves: Moves | SiteMoves | str) -> list[int]:
    """Return the numbers of the lengths of products that do not overflow."""
    assert not isinstance(moves, str)
    at_once = moves.at_once if isinstance(moves, SiteMoves) else 1
    return [
        number
        for number, bound in enumerate(bounds)
        if bound * at_once < LARGEST_LOGARITHM[np.asarray(bound).dtype.itemsize]
    ]
