"""Compiled operators that NetKet takes for its own.

An operator on a Hilbert space of NetKet compiles to a `NetKetOperator`, which is a
`netket.operator.DiscreteJaxOperator`: samplers, expectation values, gradients, drivers
and full summation take it as they take one of NetKet's.
"""

# pyright: basic

from __future__ import annotations

from typing import Any

import jax
from netket.operator import AbstractOperator, DiscreteJaxOperator, SumOperator

from symir.runtime.operator import CompiledOperator

__all__ = ["NetKetOperator"]


@jax.tree_util.register_pytree_node_class
class NetKetOperator(CompiledOperator, DiscreteJaxOperator):
    """A compiled operator on a Hilbert space of NetKet.

    Its leaves are the parameters, all arrays; it hashes and compares by identity, and
    does not change. `max_conn_size` is known while JAX is tracing, too.
    """

    __hash__ = object.__hash__

    # With an operator of NetKet's own the sum is NetKet's. It is made here: not every
    # class of NetKet answers to an operator of another class.

    def __add__(self, other: Any) -> Any:
        return _sum(self, other, 1) if _is_theirs(other) else super().__add__(other)

    def __sub__(self, other: Any) -> Any:
        return _sum(self, other, -1) if _is_theirs(other) else super().__sub__(other)

    def __rsub__(self, other: Any) -> Any:
        return _sum(other, self, -1) if _is_theirs(other) else super().__rsub__(other)

    def __repr__(self) -> str:
        return CompiledOperator.__repr__(self).replace(
            "CompiledOperator", "NetKetOperator"
        )


def _sum(first: Any, second: Any, sign: int) -> Any:
    operators: Any = (first, second)
    return SumOperator(*operators, coefficients=[1.0, float(sign)])


def _is_theirs(value: Any) -> bool:
    return isinstance(value, AbstractOperator) and not isinstance(value, NetKetOperator)
