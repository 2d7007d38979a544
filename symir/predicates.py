"""Predicates of spaces: which of many configurations satisfy them.

A predicate means what it means as the guard of a term. So an operator is made of it,
whose only branch is there where the predicate holds, and its kernel is run over NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dialects.interpreters.kernel import run_kernel
from symir.compiler.lowering import lower_to_bt, lower_to_stablehlo
from symir.errors import DefinitionError
from symir.language.builder import DOperator
from symir.language.expressions import Predicate, PredicateLike, as_predicate

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from symir.operator import SymbolicOperator
    from symir.spaces import Space

BATCH = 2**14
"""Most configurations that are tested at once."""


def checked_predicate(space: Space, predicate: PredicateLike) -> Predicate:
    """Return a predicate that makes sense for a space.

    Raises:
        DefinitionError: for what is no predicate (D016), reads what only a term has
            (D001, D014, D023, ..), or depends on a parameter (S017).
    """
    checked = as_predicate(predicate)
    symbols = indicator(space, [checked]).to_ir().free_symbols
    if not symbols:
        return checked
    raise DefinitionError(
        "S017",
        "the predicate of a space depends on a parameter",
        expected="a predicate of the local values alone",
        found=", ".join(f"symbol({name!r})" for name in symbols),
        hint="a space is fixed: write the number itself",
    )


def indicator(
    space: Space, predicates: Sequence[Predicate], dtype: npt.DTypeLike | None = None
) -> SymbolicOperator:
    """Return the operator that is 1 where all predicates hold, on the diagonal."""
    # On all configurations: the space itself would ask for its predicates again.
    builder = DOperator(space.unconstrained, "predicate", dtype=dtype).globally()
    for predicate in predicates:
        builder.where(predicate)
    return builder.emit().build()


class PredicateTest:
    """The predicates of a space, all of them, as a test of configurations."""

    def __init__(self, space: Space, predicates: Sequence[Predicate]):
        self._size = space.size
        self._operator = indicator(space, predicates)
        self._kernels: dict[int, ModuleOp] = {}

    @cached_property
    def _lowered(self) -> ModuleOp:
        return lower_to_bt(self._operator.to_ir().module)

    def __call__(self, states: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which of (n, N) configurations satisfy the predicates: (n,)."""
        batch = min(BATCH, 1 << (len(states) - 1).bit_length()) if len(states) else 1
        parts = [
            self._of_batch(states[start : start + batch], batch)
            for start in range(0, len(states), batch)
        ]
        return np.concatenate([np.empty(0, np.bool_), *parts])

    def _of_batch(self, states: npt.NDArray[Any], batch: int) -> npt.NDArray[np.bool_]:
        if batch not in self._kernels:
            kernel = lower_to_stablehlo(self._lowered, batch, "f64")
            self._kernels[batch] = kernel
        full = np.empty((batch, self._size), np.float64)
        full[: len(states)] = states
        full[len(states) :] = states[0]
        _, amplitudes = run_kernel(self._kernels[batch], [full])
        return amplitudes[: len(states), 0] == 1
