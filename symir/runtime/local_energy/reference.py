"""The reference formula of local energies, which derivatives are of."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def states_of(x: Any, writes: Sequence[tuple[Any, Any, Any]]) -> tuple[Any, Any]:
    """Return x' of all lanes, (C, R, N), and where it is not x, (C, R).

    Of each write are given its sites, (R,) or (C, R), and the values of x and of x'
    there, (C, R).
    """
    numbers = np.arange(x.shape[1], dtype=np.int32)
    connected, live = x[:, None, :], jnp.zeros((), bool)
    for site, source, value in writes:
        wide = site if site.ndim == 2 else site[None]
        inside = (wide >= 0) & (wide < x.shape[1])
        live = live | (inside & (value != source))
        connected = jnp.where(numbers == wide[..., None], value[..., None], connected)
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
