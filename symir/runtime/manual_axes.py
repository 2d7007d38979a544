"""Values on axes of a mesh that are not JAX's to choose: Manual and Explicit ones.

Inside of `jax.shard_map` values vary over axes. What a loop starts from has to be of
the type of what it ends with, and what is made from nothing, such as zeros, is the same
on all devices.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def axes_of(value: Any) -> frozenset[str]:
    """Return the axes of the mesh over which a value varies; none outside of it."""
    axes: Any = getattr(jax.typeof(value), "manual_axis_type", None)
    return frozenset() if axes is None else frozenset(axes.varying)


def varying_like(value: Any, others: Sequence[Any]) -> Any:
    """Return a value as one that varies over all axes that others vary over."""
    axes = frozenset[str]().union(*map(axes_of, others)) - axes_of(value)
    return lax.pcast(value, tuple(sorted(axes)), to="varying") if axes else value


def in_auto_axes(run: Callable[..., Any], arrays: Sequence[Any]) -> Callable[..., Any]:
    """Return what runs where arrays are on a mesh of Explicit axes.

    Inside JAX is to choose where intermediate results are; results, of samples along
    the first axis, are where the last array is.
    """
    shardings = [jax.typeof(array).sharding for array in arrays]
    meshes = [one.mesh for one in shardings if AxisType.Explicit in one.mesh.axis_types]
    if not meshes:
        return run
    to = NamedSharding(meshes[0], PartitionSpec(shardings[-1].spec[0]))
    return jax.sharding.auto_axes(run, out_sharding=to)


def spread(value: Any, sharding: Any) -> Any:
    """Return a value on the devices that a sharding says, whichever axes it has."""
    mesh = getattr(sharding, "mesh", None)
    if mesh is None or AxisType.Explicit not in mesh.axis_types:
        return lax.with_sharding_constraint(value, sharding)
    kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))

    def of(kind: AxisType) -> NamedSharding:
        spec = [
            tuple(name for name in _names(one) if kinds[name] is kind)
            for one in sharding.spec
        ]
        return NamedSharding(mesh, PartitionSpec(*(one or None for one in spec)))

    value = jax.sharding.reshard(value, of(AxisType.Explicit))
    if any(
        kinds[name] is AxisType.Auto for one in sharding.spec for name in _names(one)
    ):
        value = lax.with_sharding_constraint(value, of(AxisType.Auto))
    return value


def _names(axes: Any) -> tuple[str, ...]:
    """Return the axes of a mesh that an axis is spread over."""
    if axes is None:
        return ()
    return (axes,) if isinstance(axes, str) else tuple(axes)
