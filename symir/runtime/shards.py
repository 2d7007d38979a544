"""Functions of samples on many devices: each device computes those that it has.

To XLA a loop over the live lanes of all samples is one for all devices: it gathers the
samples, and every device computes all. Where it says which device has which samples,
it can be told what that device computes.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, permutations
from math import prod
from typing import Any

import jax
from jax._src import dispatch
from jax._src.sharding_impls import ShardingContext
from jax.experimental.custom_partitioning import (
    ArrayMapping,
    SdyShardingRule,
    custom_partitioning,
)
from jax.extend.core import ClosedJaxpr, Primitive
from jax.interpreters.mlir import ModuleContext
from jax.sharding import Mesh, NamedSharding, PartitionSpec

ON_MESHES = ("sharding_constraint", "reshard", "mesh_cast", "shard_map")
"""Primitives that say what is where, for all devices together."""

Run = Callable[..., Sequence[Any]]


def knows_devices(primitive: Primitive) -> None:
    """Have JAX say for which devices a primitive is lowered."""
    dispatch.prim_requires_devices_during_lowering.add(primitive)


def is_spread(module: ModuleContext) -> bool:
    """Whether a module is for devices among which XLA shares the work."""
    axes = module.axis_context
    return (
        isinstance(axes, ShardingContext)
        and axes.num_devices > 1
        and axes.device_assignment is not None
        and axes.abstract_mesh is not None
        and not module.lowering_parameters.for_export  # which JAX does not do
    )


def is_of_meshes(traced: ClosedJaxpr) -> bool:
    """Whether no device can compute a function for itself."""
    return any(dispatch.jaxpr_has_primitive(traced.jaxpr, name) for name in ON_MESHES)


def over_shards(run: Run, of_batch: Callable[[int], Run | None]) -> Run:
    """Return a function of (x, *others) of which each device computes its samples.

    All results have the leading axis of x. `of_batch` returns what `run` is for so many
    samples; None if it cannot, and then each device runs all.
    """

    def partition(mesh: Mesh, given: Sequence[Any], found: Sequence[Any]) -> Any:
        x, *others = given
        axes = _axes_of_samples(mesh, x, found)
        own = of_batch(x.shape[0] // _size(mesh, axes))
        if own is None:
            axes, own = (), run
        spread = NamedSharding(mesh, PartitionSpec(axes))
        everywhere = NamedSharding(mesh, PartitionSpec())
        where = spread, *(everywhere for _ in others)
        return mesh, own, [spread for _ in found], where

    def spread(*given: Any) -> Sequence[Any]:
        one = custom_partitioning(lambda *arrays: run(*arrays))
        rule = _rule(given, jax.eval_shape(run, *given))
        one.def_partition(partition, sharding_rule=rule, decode_shardings=False)
        return one(*given)

    return spread


def _axes_of_samples(mesh: Mesh, x: Any, found: Sequence[Any]) -> tuple[str, ...]:
    """Return over which axes of a mesh the samples are to be spread, evenly.

    They are where x is, or else where the results are to be. Of what is over a part of
    an axis there is none.
    """
    for one in (x, *found):
        for axes in _choices(mesh):
            to = NamedSharding(mesh, PartitionSpec(axes))
            is_even = x.shape[0] % _size(mesh, axes) == 0
            if is_even and one.sharding.is_equivalent_to(to, len(one.shape)):
                return axes
    return ()


def _choices(mesh: Mesh) -> Iterator[tuple[str, ...]]:
    for length in range(1, 1 + len(mesh.axis_names)):
        yield from permutations(mesh.axis_names, length)


def _size(mesh: Mesh, axes: Sequence[str]) -> int:
    return prod(mesh.shape[axis] for axis in axes)


def _rule(given: Sequence[Any], found: Sequence[Any]) -> SdyShardingRule:
    """Return that samples are spread alike, and everything else is everywhere."""
    numbers = count()

    def mapping(array: Any, *, has_samples: bool) -> ArrayMapping:
        axes = [f"i{next(numbers)}" for _ in array.shape]
        return ArrayMapping(*(["samples", *axes[1:]] if has_samples else axes))

    operands = [mapping(one, has_samples=n == 0) for n, one in enumerate(given)]
    results = [mapping(one, has_samples=True) for one in found]
    # In the order that they are there: "i10" is behind "i9"
    every = dict.fromkeys(axis for one in (*operands, *results) for axis in one)
    factors = tuple(axis for axis in every if axis != "samples")
    return SdyShardingRule(
        tuple(operands),
        tuple(results),
        need_replication_factors=factors,  # pyright: ignore
    )
