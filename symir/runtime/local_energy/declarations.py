"""Declared models in a wavefunction, which are found while it is traced.

They are all of it, or modules that it calls: what these return is marked, and the IR
says what becomes of it; see `apply-declared-deltas`.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from symir.runtime.importing import Traced
from symir.runtime.local_energy.deltas import Delta, delta_of, registered_for
from symir.runtime.marks import marked


@dataclass(frozen=True, eq=False)
class Declaration:
    """A declared model at a place where a wavefunction calls it.

    Attributes:
        delta: what is declared.
        first: what its functions take first: the instance of a class.
        structure: that of its parameters.
        avals: their types.
        x: the type of its configurations, (n,).
        dtype: that of its log psi.
        values: its log psi, (parameters, x) -> (C,), of its own configurations (C, n).
    """

    delta: Delta
    first: tuple[Any, ...]
    structure: Any
    avals: Sequence[jax.ShapeDtypeStruct]
    x: jax.ShapeDtypeStruct
    dtype: Any
    values: Callable[[Any, Any], Any]


class Declarations:
    """The declared models that are met while a wavefunction is traced.

    Attributes:
        found: by name, that of a class and a number.
    """

    def __init__(self) -> None:
        self.found: dict[str, Declaration] = {}
        self._all: Delta | None = None
        self._names = 0

    def listening(self) -> AbstractContextManager[None]:
        """Return a context in which what declared modules return is marked."""
        if "flax.linen" not in sys.modules:
            return nullcontext()
        from flax import linen

        return linen.intercept_methods(self._intercepted)

    def of_all(
        self, logpsi: Callable[..., Any], function: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Return a function (parameters, x) that is marked if log psi is declared."""
        declared = delta_of(logpsi)
        if declared is None:
            return function
        delta, model = declared

        def values(parameters: Any, x: Any) -> Any:
            return function(parameters, x).reshape(x.shape[0])

        def whole(parameters: Any, x: Any) -> Any:
            self._all = delta
            value = function(parameters, x)
            if jnp.size(value) != 1:
                return value
            name = self._named(logpsi if model is None else type(model))
            first = () if model is None else (model,)
            return self._marked(name, delta, first, values, parameters, x, value)

        return whole

    def _marked(
        self,
        name: str,
        delta: Delta,
        first: tuple[Any, ...],
        values: Callable[[Any, Any], Any],
        parameters: Any,
        x: Any,
        value: Any,
    ) -> Any:
        leaves, structure = jax.tree.flatten(parameters)
        avals = [
            jax.ShapeDtypeStruct(one.shape, one.dtype)
            for one in map(jnp.asarray, leaves)
        ]
        own = jax.ShapeDtypeStruct((jnp.size(x),), x.dtype)
        dtype = jnp.result_type(value)
        self.found[name] = Declaration(
            delta, first, structure, avals, own, dtype, values
        )
        return marked(value, [*leaves, x], name)

    def _named(self, model: Any) -> str:
        name = getattr(model, "__name__", type(model).__name__)
        self._names += 1
        return f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}.{self._names - 1}"

    def _intercepted(
        self, function: Callable[..., Any], arguments: Any, named: Any, context: Any
    ) -> Any:
        module = context.module
        delta = registered_for(type(module))
        is_call = context.method_name == "__call__" and not module.is_initializing()
        is_all = delta is self._all and not module.scope.path
        if delta is None or not is_call or is_all:
            return function(*arguments, **named)
        name = self._named(type(module))
        value = function(*arguments, **named)
        variables = module.variables
        lost = _lost(module, variables, arguments, named, value)
        if lost:
            return jax.tree.map(lambda one: marked(one, (), name, lost), value)
        model, _ = module.unbind()
        (x,) = arguments
        shape = jnp.shape(x)

        def values(parameters: Any, x: Any) -> Any:
            def of_one(one: Any) -> Any:
                return model.apply(parameters, one.reshape(shape)).reshape(())

            return jax.vmap(of_one)(x)

        return self._marked(name, delta, (model,), values, variables, x, value)


class TracedWavefunction(Traced):
    """A wavefunction as it is by now, (parameters, x) -> log psi.

    `logpsi` is what the user gave, and the function what it computes.

    Attributes:
        declarations: the declared models in it, by the names that the IR has.
    """

    def __init__(
        self,
        logpsi: Callable[..., Any],
        function: Callable[..., Any],
        parameters: Any,
        x: Any,
    ):
        met = Declarations()
        with met.listening():
            super().__init__(met.of_all(logpsi, function), parameters, x)
        self.declarations = met.found


def _lost(
    module: Any, variables: Any, arguments: Sequence[Any], named: Any, value: Any
) -> str:
    """Return why what a module returns has no declared changes."""
    if len(arguments) != 1 or named or not hasattr(arguments[0], "dtype"):
        return "it is called with more than a configuration"
    if not hasattr(value, "dtype") or jnp.size(value) != 1:
        shapes = [str(jnp.shape(one)) for one in jax.tree.leaves(value)]
        return f"it returns no number, but arrays of shape {', '.join(shapes)}"
    if any(map(module.is_mutable_collection, variables)):
        return "its variables are mutable"
    leaves = map(jnp.asarray, jax.tree.leaves(variables))
    if module.scope.rngs:
        return "it may draw random numbers"
    if any(jnp.issubdtype(one.dtype, jax.dtypes.prng_key) for one in leaves):
        return "a key of random numbers is among its variables"
    held = [getattr(module, one.name, None) for one in dataclasses.fields(module)]
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(held)):
        return "it holds on to values that JAX is tracing"
    return ""
