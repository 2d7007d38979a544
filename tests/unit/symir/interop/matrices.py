"""Matrices of operators of NetKet's kind without its sparse arrays.

JAX makes an executable of each step that these take, for each operator and space.
"""

# pyright: basic

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from netket.operator import DiscreteJaxOperator


@cache
def states_of(hilbert: Any) -> npt.NDArray[Any]:
    """Return all states of a space of NetKet, in its order."""
    return np.asarray(hilbert.all_states())


def matrix_from(hilbert: Any, xp: Any, mels: Any) -> npt.NDArray[Any]:
    """Return a matrix of the branches of all states, which are in NetKet's order.

    Raises a KeyError where a branch leaves the space.
    """
    x, mels = states_of(hilbert), np.asarray(mels)
    numbers = {tuple(state): k for k, state in enumerate(x.tolist())}
    branches = np.asarray(xp).reshape(-1, x.shape[-1]).tolist()
    columns = np.array([numbers[tuple(branch)] for branch in branches], int)
    matrix = np.zeros((len(x), len(x)), mels.dtype)
    rows = np.repeat(np.arange(len(x)), mels.shape[-1])
    np.add.at(matrix, (rows, columns), mels.reshape(-1))
    return matrix


@jax.jit
def _branches(op: Any, x: Any) -> Any:
    """Compiled at once: op by op there is an executable of each."""
    return op.get_conn_padded(x)


def matrix_of_branches(op: Any) -> npt.NDArray[Any]:
    """Return the matrix of an operator, as its connected elements say."""
    x = states_of(op.hilbert)
    if isinstance(op, DiscreteJaxOperator):
        xp, mels = _branches(op, x)
    else:
        xp, mels = op.get_conn_padded(x)
    return matrix_from(op.hilbert, xp, mels)
