"""Values inside of `jax.shard_map`: over which axes of the mesh they vary.

What a loop starts from has to be of the type of what it ends with, and what is made
from nothing, such as zeros, is the same on all devices.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax import lax


def axes_of(value: Any) -> frozenset[str]:
    """Return the axes of the mesh over which a value varies; none outside of it."""
    axes: Any = getattr(jax.typeof(value), "manual_axis_type", None)
    return frozenset() if axes is None else frozenset(axes.varying)


def varying_like(value: Any, others: Sequence[Any]) -> Any:
    """Return a value as one that varies over all axes that others vary over."""
    axes = frozenset[str]().union(*map(axes_of, others)) - axes_of(value)
    return lax.pcast(value, tuple(sorted(axes)), to="varying") if axes else value
