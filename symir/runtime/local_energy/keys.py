"""Typed keys of `jax.random` among parameters, as the numbers that they are made of.

What is compiled has arrays of numbers for arguments. A key is a node of the pytree of
parameters here, with these numbers as its leaf, and a key again where that pytree is
put together for the network.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp


def with_keys_as_numbers(parameters: Any) -> Any:
    """Return parameters whose leaves are no typed keys, that unflatten to such."""
    if not any(map(_is_key, jax.tree.leaves(parameters))):
        return parameters
    return jax.tree.map(lambda one: _Key(one) if _is_key(one) else one, parameters)


def _is_key(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


@jax.tree_util.register_pytree_node_class
class _Key:
    """A key, or the shape of one."""

    def __init__(self, key: Any):
        self._key = key

    def tree_flatten(self) -> tuple[tuple[Any], Any]:
        return (_mapped(jax.random.key_data, self._key),), _kind(self._key)

    @classmethod
    def tree_unflatten(cls, kind: Any, numbers: tuple[Any]) -> Any:
        return _mapped(partial(jax.random.wrap_key_data, impl=kind), *numbers)


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    is_shape = isinstance(value, jax.ShapeDtypeStruct)
    return jax.eval_shape(function, value) if is_shape else function(value)


def _kind(key: Any) -> Any:
    found: list[Any] = []
    jax.eval_shape(lambda one: found.append(jax.random.key_impl(one)), key)
    return found[0]
