"""What the functions of a part in cones have to fulfil: ratios are those of values."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp

from dialects import bt
from dialects.interpreters.kernel import run_kernel
from dialects.stablehlo import element_of
from lowering.change.cone_analysis import Cones, cones_of
from lowering.energy.cone_part import Cone, groups_of
from lowering.energy.differences import Steps
from lowering.energy.extraction import returned
from lowering.energy.inline_calls import InlineCallsPass
from lowering.energy.part_functions import Setting
from symir.runtime.importing import import_function

DRAWN = 4
"""So many rows of changes are drawn for each x."""


class Found(NamedTuple):
    """A log ratio, log psi of x and of x', and whether the ratio is of a group."""

    ratio: Any
    before: Any
    after: Any
    is_of_group: bool


@dataclass(frozen=True)
class Made:
    """A network, its part, and what its functions are run by.

    Attributes:
        rows: of changes (R, N).
        values: the local ones.
    """

    network: Callable[..., Any]
    leaves: tuple[Any, ...]
    rows: Any
    coefficient: complex = 1.0
    values: tuple[float, ...] = (-1.0, 1.0)

    def main(self) -> FuncOp:
        kinds = tuple(jax.ShapeDtypeStruct(w.shape, w.dtype) for w in self.leaves)
        return imported(self.network, kinds, self.rows.shape[1])

    def analysed(self) -> Cones | str:
        return cones_of(self.main())

    def cone(self) -> Cone:
        main = self.main()
        part = bt.PartAttr.get(bt.Rung.CONE, "f", coefficient=self.coefficient)
        steps = Steps(self.rows, self.values, None)
        cones = self.analysed()
        groups = () if isinstance(cones, str) else groups_of(cones, self.rows)
        log = element_of(returned(main))
        own = Setting(steps, None, True, (1,), log, tuple(groups))
        return Cone(part, [main], own)

    def found(
        self, run: Callable[[FuncOp], Any], x: Any, rng: Any, commits: int
    ) -> Iterator[Found]:
        """Return log ratios of changes of x, and of x' behind commits, with values."""
        cone = self.cone()
        written = cone.written()
        for function in written.all:
            function.verify()
        tables_of, bound_of, cache_of, ratio_of, commit_of, *of_groups = map(
            run, written.all
        )
        tables = tables_of(*self.leaves)
        assert not np.asarray(bound_of(*tables)).any()
        caches = cache_of(*self.leaves, x[None])
        for _ in range(commits + 1):
            moves = list(self._moves(x, rng))
            if not moves:
                break
            after = np.stack([x, *(other for other, _, _ in moves)])
            values = self.coefficient * np.asarray(
                values_of(self.network)(self.leaves, after)
            )
            for (other, row, sign), value in zip(moves, values[1:], strict=True):
                change = np.int32(0), np.int32(row), np.bool_(sign)
                own = [ratio_of]
                if of_groups:
                    own.append(of_groups[cone.own.groups[row]])
                for number, of in enumerate(own):
                    (ratio,) = of(*self.leaves, *tables, *caches, *change)
                    yield Found(np.asarray(ratio), values[0], value, number > 0)
            x, row, sign = moves[rng.integers(len(moves))]
            change = np.int32(0), np.int32(row), np.bool_(sign)
            caches = commit_of(*self.leaves, *tables, *caches, *change)

    def _moves(self, x: Any, rng: Any) -> Iterator[tuple[Any, int, bool]]:
        count = 0
        for row in rng.permutation(len(self.rows)):
            known = False
            for sign in (True, False):
                other = x + (self.rows[row] if sign else -self.rows[row])
                if np.isin(other, self.values).all():
                    known = True
                    yield other.astype(x.dtype), row, sign
            count += known
            if count == DRAWN:
                return


@lru_cache(64)
def imported(network: Any, kinds: tuple[Any, ...], sites: int) -> FuncOp:
    """Return the function of a network of int8."""
    x = jax.ShapeDtypeStruct((1, sites), np.int8)
    module = import_function(network, kinds, x)
    InlineCallsPass().apply(Context(), module)
    (main,) = (op for op in module.ops if isinstance(op, FuncOp))
    return main


@lru_cache(64)
def values_of(network: Any) -> Any:
    return jax.jit(network)


def by_interpreter(function: FuncOp) -> Callable[..., Any]:
    alone = function.clone()
    alone.sym_name = StringAttr("main")
    module = ModuleOp([alone])
    return lambda *given: run_kernel(module, [np.asarray(one) for one in given])
