"""Changes of log psi at a few sites that its author declares.

What no compiler sees in a network, such as that a determinant with one other row takes
a product of vectors, its author can declare: see `register_delta`.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from symir import for_netket
from symir.errors import DefinitionError, SourceLocation, user_location
from symir.runtime.importing import unjitted

Function = Callable[..., Any]


@dataclass(frozen=True)
class Delta:
    """A registered delta: its functions, of the model too where it is a class."""

    init: Function
    delta: Function
    commit: Function | None = None
    location: SourceLocation | None = None


_REGISTERED: dict[Hashable, Delta] = {}
_REGISTRATIONS = [0]


def registrations() -> int:
    """Return how often something was registered: what is found may be another one."""
    return _REGISTRATIONS[0]


def register_delta(model_or_function: Any) -> Callable[..., None]:
    """Declare how log psi changes where a configuration changes at a few sites.

    ```python
    def logpsi(parameters, x):  # (B, N) -> (B,)
        return jnp.einsum("bi,ij,bj->b", x, parameters, x)

    def init(parameters, x):  # (N,) -> what changes are computed from
        return (parameters + parameters.T) @ x

    def delta(parameters, cache, sites, old, new):  # log psi(x') - log psi(x)
        change = new - old
        quadratic = change @ parameters[sites[:, None], sites] @ change
        return change @ cache[sites] + quadratic

    sym.register_delta(logpsi)(init, delta)
    ```

    `init(parameters, x)` makes a cache, any pytree of arrays, of one configuration x of
    shape (N,); `delta(parameters, cache, sites, old, new)` returns the scalar
    log psi(x') - log psi(x), where sites, old and new have shape (K,): x' has the value
    new[k] at sites[k] in place of old[k]. K is that of the operator, the same for all
    of its branches; entries without a change have old[k] == new[k], and any site. No
    two entries that change something have the same site. Both functions are vectorised
    with `jax.vmap`; derivatives of energies are those of the model.

    A delta may return NaN where it does not know, such as where psi(x) is 0: there
    the model is evaluated at x' itself. A ratio of 0 is -inf.

    `commit(parameters, cache, sites, old, new)` returns a cache of x', of the same
    types, for chains of such changes: it need not be what init makes of x', but all
    that is found from it has to be the same, within rounding.

    What is registered is a function `logpsi(parameters, x)`; or a class of models, such
    as a `flax.linen.Module`: then all functions take the instance first, whose
    hyperparameters they may need: `init(model, parameters, x)` and `delta(model,
    parameters, cache, sites, old, new)`. It is found where that function is given to
    `LocalEnergy`, or under `jax.jit`; or an instance of that very class (a subclass may
    be another model), its method `apply`, or what NetKet's `MCState` makes of it. A
    module of Flax is found inside of others too, with its own variables, where log psi
    is a sum with numbers as factors, and what it reads is x, or some of its sites. The
    last one to be registered counts.

    When an operator meets the model for the first time with parameters of some types,
    the delta is compared with the model: on the parameters that are given, unless JAX
    is tracing them, and on random ones of both signs and several sizes, with zeros,
    small integers and booleans; and on the branches of that operator at random
    configurations. Where nothing can be compared (log psi is no finite number there,
    the delta is always NaN) no energies come from it, which the report says.

    Raises:
        DefinitionError: for what is no function or class (R025); where it is used, for
            a delta that is no scalar, or complex where log psi is real (R026), or that
            is not the difference of log psi (R027), and a commit that does not lead
            there (R028).
    """
    if not callable(model_or_function):
        raise _no_function("model_or_function", "function or class", model_or_function)

    def register(
        init: Function, delta: Function, commit: Function | None = None
    ) -> None:
        given = {"init": init, "delta": delta}
        if commit is not None:
            given["commit"] = commit
        for name, function in given.items():
            if not callable(function):
                raise _no_function(name, "function", function)
        made = Delta(init, delta, commit, user_location())
        _REGISTERED[_unwrapped(model_or_function)] = made
        _REGISTRATIONS[0] += 1

    return register


def _no_function(name: str, expected: str, found: Any) -> DefinitionError:
    return DefinitionError(
        "R025",
        "a delta is registered for a function or a class, and is functions",
        expected=f"a {expected} as {name}",
        found=repr(found),
        hint="sym.register_delta(model_or_function)(init, delta, commit=None)",
    )


def delta_of(logpsi: Function) -> tuple[Delta, Any] | None:
    """Return what is registered for a function, and the model if it is of a class."""
    function = _unwrapped(logpsi)
    registered = registered_for(function)
    if registered is not None:
        return registered, None
    is_apply = getattr(function, "__name__", None) == "apply"
    model = getattr(function, "__self__", None) if is_apply else function
    registered = registered_for(type(model))
    return None if registered is None else (registered, model)


def registered_for(key: Any) -> Delta | None:
    """Return what is registered for a function or a class."""
    try:
        own = _REGISTERED.get(key)
    except TypeError:  # not hashable: it is not in there
        return None
    return own or _shipped().get(key)


def registered_classes(base: type) -> list[type]:
    """Return the subclasses of a class that something is registered for."""
    return [
        key for key in _REGISTERED if isinstance(key, type) and issubclass(key, base)
    ]


def _shipped() -> dict[Any, Delta]:
    """Return the deltas of NetKet's models; without it nobody has such a model."""
    if "netket" not in sys.modules:
        return {}
    return for_netket.deltas()


def _unwrapped(function: Any) -> Any:
    """Return the function, or the model, that is called by one of JAX or NetKet."""
    function = unjitted(function)
    if "netket" not in sys.modules:
        return function
    inner = for_netket.wrapped(function)
    return function if inner is None else _unwrapped(inner)
