"""Declared models in a wavefunction, which are found while it is traced.

They are all of it, or modules that it calls: what these return is marked, and the IR
says what becomes of it; see `apply-declared-deltas`.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import itertools
import re
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from lowering.energy.bt_local_energy import is_network
from symir.runtime.importing import Traced, static_of
from symir.runtime.local_energy.deltas import (
    Delta,
    delta_of,
    registered_classes,
    registered_for,
)
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
        found: by name, that of a class and where it is in a model, or a number.
    """

    def __init__(self) -> None:
        self.found: dict[str, Declaration] = {}
        self._all: Delta | None = None
        self._names: set[str] = set()

    @contextmanager
    def listening(self) -> Generator[None]:
        """Let what declared modules return be marked, within."""
        with ExitStack() as entered:
            if "flax.linen" in sys.modules:
                from flax import linen

                entered.enter_context(linen.intercept_methods(self._intercepted))
            if "flax.nnx" in sys.modules:
                from flax import nnx

                for kind in registered_classes(nnx.Module):
                    entered.enter_context(self._heard(kind))
            yield

    @contextmanager
    def _heard(self, kind: Any) -> Generator[None]:
        """Let calls of a class of `flax.nnx` be heard, which intercepts none."""
        call, thread = kind.__call__, threading.get_ident()

        def called(module: Any, *arguments: Any, **named: Any) -> Any:
            value = call(module, *arguments, **named)
            if type(module) is not kind or threading.get_ident() != thread:
                return value
            return self._of_nnx(module, arguments, named, value)

        kind.__call__ = called
        try:
            yield
        finally:
            kind.__call__ = call

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
        structure, avals = static_of(parameters)
        own = jax.ShapeDtypeStruct((jnp.size(x),), x.dtype)
        dtype = jnp.result_type(value)
        self.found[name] = Declaration(
            delta, first, structure, avals, own, dtype, values
        )
        return marked(value, [*jax.tree.leaves(parameters), x], name)

    def _named(self, model: Any, path: Sequence[str] = ()) -> str:
        name = getattr(model, "__name__", type(model).__name__)
        words = [re.sub(r"[^A-Za-z0-9_]", "_", one) for one in (name, *path)]
        if is_network(words[0]):
            words[0] += "_"  # that is log psi
        numbered = (".".join([*words, str(n)]) for n in itertools.count())
        names = itertools.chain([".".join(words)] if path else [], numbered)
        found = next(one for one in names if one not in self._names)
        self._names.add(found)
        return found

    def _intercepted(
        self, function: Callable[..., Any], arguments: Any, named: Any, context: Any
    ) -> Any:
        module: Any = context.module
        delta = registered_for(type(module))
        if delta is None or context.method_name != "__call__" or module.scope is None:
            return function(*arguments, **named)
        scope = module.scope
        is_all = delta is self._all and not scope.path
        if is_all or module.is_initializing():
            return function(*arguments, **named)
        name = self._named(type(module), scope.path)
        value = function(*arguments, **named)
        variables, (model, _) = module.variables, module.unbind()
        lost = ""
        if any(map(module.is_mutable_collection, variables)):
            lost = "its variables are mutable"
        elif scope.rngs:
            lost = "it may draw random numbers"
        call = _Call(name, delta, model, variables, model.apply, lost)
        return self._met(call, arguments, named, value)

    def _of_nnx(self, module: Any, arguments: Any, named: Any, value: Any) -> Any:
        from flax import nnx

        kind = type(module)
        delta = registered_for(kind)
        if delta is None:
            return value
        graph, state = nnx.split(module)
        structure = jax.tree.structure(state)
        model = nnx.merge(graph, jax.tree.map(jax.typeof, state))

        def apply(parameters: Any, x: Any) -> Any:
            leaves = jax.tree.leaves(parameters)
            return nnx.merge(graph, jax.tree.unflatten(structure, leaves))(x)

        own = nnx.to_pure_dict(state)
        call = _Call(self._named(kind), delta, model, own, apply, "")
        return self._met(call, arguments, named, value)

    def _met(
        self, call: _Call, arguments: Sequence[Any], named: Any, value: Any
    ) -> Any:
        """Return what a module returned, marked."""
        lost = call.lost or _lost(call, arguments, named, value)
        if lost:
            return jax.tree.map(lambda one: marked(one, (), call.name, lost), value)
        (x,) = arguments
        shape = jnp.shape(x)

        def values(parameters: Any, x: Any) -> Any:
            def of_one(one: Any) -> Any:
                return call.apply(parameters, one.reshape(shape)).reshape(())

            return jax.vmap(of_one)(x)

        own = call.delta, (call.model,), values, call.parameters
        return self._marked(call.name, *own, x, value)


@dataclass(frozen=True)
class _Call:
    """A call of a declared module: what is called, and why it may be lost."""

    name: str
    delta: Delta
    model: Any
    parameters: Any
    apply: Callable[..., Any]
    lost: str


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


def _lost(call: _Call, arguments: Sequence[Any], named: Any, value: Any) -> str:
    """Return why what a module returns has no declared changes."""
    if len(arguments) != 1 or named or not hasattr(arguments[0], "dtype"):
        return "it is called with more than a configuration"
    if not hasattr(value, "dtype") or jnp.size(value) != 1:
        shapes = [str(jnp.shape(one)) for one in jax.tree.leaves(value)]
        return f"it returns no number, but arrays of shape {', '.join(shapes)}"
    leaves = map(jnp.asarray, jax.tree.leaves(call.parameters))
    if any(jnp.issubdtype(one.dtype, jax.dtypes.prng_key) for one in leaves):
        return "a key of random numbers is among its variables"
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(vars(call.model))):
        return "it holds on to values that JAX is tracing"
    return ""
