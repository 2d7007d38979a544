"""The reference formula of local energies, which derivatives are of."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def states_of(x: Any, sites: Sequence[Any], values: Sequence[Any]) -> tuple[Any, Any]:
    """Return x' of all lanes, (C, R, N), and where it is not x, (C, R).

    Sites are (R,) or (C, R), values (C, R), of each write.
    """
    numbers = np.arange(x.shape[1], dtype=np.int32)
    connected = x[:, None, :]
    live = jnp.zeros(values[0].shape if values else (x.shape[0], 0), bool)
    for site, value in zip(sites, values, strict=True):
        here = numbers == (site if site.ndim == 2 else site[None])[..., None]
        live = live | (here & (value[..., None] != x[:, None, :])).any(axis=-1)
        connected = jnp.where(here, value[..., None], connected)
    return connected, live


def difference(after: Any, before: Any) -> Any:
    """Return after - before; a node of psi at x' is a ratio of 0, whatever is at x."""
    change = after - before
    is_node = jnp.isneginf(after.real)
    return jnp.where(is_node, jnp.full_like(change, -jnp.inf), change)


@jax.custom_jvp
def contributions(elements: Any, log_ratios: Any) -> Any:
    """Return elements times ratios: no branch is no branch, however large its ratio."""
    ratios = jnp.exp(log_ratios)
    values = elements * ratios
    nothing = (elements == 0) & ~jnp.isfinite(ratios)
    return jnp.where(nothing, jnp.zeros_like(values), values)


@partial(contributions.defjvp, symbolic_zeros=True)
def _pushed(primals, tangents):
    # Not by the rule of products: 0 times infinity is not a number
    elements, log_ratios = primals
    values = contributions(elements, log_ratios)
    factors = (jnp.exp(log_ratios), values)
    changes = [
        (factor * tangent).astype(values.dtype)
        for factor, tangent in zip(factors, tangents, strict=True)
        if not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    ]
    return values, sum(changes, start=jnp.zeros_like(values))
