"""Compiled operators that NetKet takes for its own.

An operator on a Hilbert space of NetKet compiles to a `NetKetOperator`, which is a
`netket.operator.DiscreteJaxOperator`: samplers, expectation values, gradients, drivers
and full summation take it as they take one of NetKet's.
"""

# pyright: basic

from __future__ import annotations

import jax
from netket.operator import DiscreteJaxOperator

from symir.runtime.operator import CompiledOperator

__all__ = ["NetKetOperator"]


@jax.tree_util.register_pytree_node_class
class NetKetOperator(CompiledOperator, DiscreteJaxOperator):
    """A compiled operator on a Hilbert space of NetKet.

    Its leaves are the parameters, all arrays; it hashes and compares by identity, and
    does not change. `max_conn_size` is known while JAX is tracing, too.
    """

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return CompiledOperator.__repr__(self).replace(
            "CompiledOperator", "NetKetOperator"
        )
