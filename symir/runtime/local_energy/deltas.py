"""How log psi changes at a few sites, where its author says so.

What no compiler sees in a network, such as that a determinant with one other row takes
a product of vectors, its author can declare: see `register_delta`.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import jaxprs_in_params

from symir.errors import DefinitionError, SourceLocation, user_location
from symir.runtime import x64_enabled
from symir.runtime.importing import unjitted
from symir.runtime.local_energy.parts import (
    Network,
    Pairs,
    Products,
    Tableless,
    difference,
)
from symir.runtime.manual_axes import varying_like

__all__ = ["Declared", "Delta", "completed", "delta_of", "register_delta"]

Function = Callable[..., Any]


@dataclass(frozen=True)
class Delta:
    """What was registered: two functions, of the model too where it is a class."""

    init: Function
    delta: Function
    location: SourceLocation | None = None


# region The registry

_REGISTERED: dict[Hashable, Delta] = {}


def register_delta(model_or_function: Any) -> Callable[[Function, Function], None]:
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

    What is registered is a function `logpsi(parameters, x)`; or a class of models, such
    as a `flax.linen.Module`: then both functions take the instance first, whose
    hyperparameters they may need: `init(model, parameters, x)` and `delta(model,
    parameters, cache, sites, old, new)`. It is found where that function is given to
    `LocalEnergy`, or under `jax.jit`; or an instance of that very class (a subclass may
    be another model), its method `apply`, or what NetKet's `MCState` makes of it. The
    last one to be registered counts.

    When an operator meets the model for the first time with parameters of some types,
    the delta is compared with the model, on random parameters of these types, and on
    random configurations and branches of that operator. Where nothing can be compared
    (log psi is no finite number there, the delta is always NaN) no energies come from
    it, which the report says.

    Raises:
        DefinitionError: for what is no function or class (R025); where it is used, for
            a delta that is no scalar, or complex where log psi is real (R026), or that
            is not the difference of log psi (R027).
    """
    if not callable(model_or_function):
        raise _no_function("model_or_function", "function or class", model_or_function)

    def register(init: Function, delta: Function) -> None:
        for name, given in (("init", init), ("delta", delta)):
            if not callable(given):
                raise _no_function(name, "function", given)
        _REGISTERED[_unwrapped(model_or_function)] = Delta(init, delta, user_location())

    return register


def _no_function(name: str, expected: str, found: Any) -> DefinitionError:
    return DefinitionError(
        "R025",
        "a delta is registered for a function or a class, and is two functions",
        expected=f"a {expected} as {name}",
        found=repr(found),
        hint="sym.register_delta(model_or_function)(init, delta)",
    )


def delta_of(logpsi: Function) -> tuple[Delta, Any] | None:
    """Return what is registered for a function, and the model if it is of a class."""
    function = _unwrapped(logpsi)
    registered = _registered(function)
    if registered is not None:
        return registered, None
    is_apply = getattr(function, "__name__", None) == "apply"
    model = getattr(function, "__self__", None) if is_apply else function
    registered = _registered(type(model))
    return None if registered is None else (registered, model)


def _registered(key: Any) -> Delta | None:
    try:
        own = _REGISTERED.get(key)
    except TypeError:  # not hashable: it is not in there
        return None
    return own or _shipped().get(key)


def _shipped() -> dict[Any, Delta]:
    """Return the deltas of NetKet's models; without it nobody has such a model."""
    if "netket" not in sys.modules:
        return {}
    from symir.interop.netket_deltas import DELTAS

    return DELTAS


def _unwrapped(function: Any) -> Any:
    """Return the function, or the model, that is called by one of JAX or NetKet."""
    function = unjitted(function)
    if "netket" not in sys.modules:
        return function
    from symir.interop.netket_deltas import wrapped

    inner = wrapped(function)
    return function if inner is None else _unwrapped(inner)


# endregion
# region Its part of an energy


class Declared(Tableless):
    """All of log psi, by what its author declared."""

    def __init__(self, delta: Delta, model: Any, structure: Any, network: Network):
        self.declared = delta
        self.network = network
        first = () if model is None else (model,)
        self._init = partial(delta.init, *first)
        self._delta = partial(delta.delta, *first)
        self._structure = structure

    def base(self, leaves: Sequence[Any], x: Any, products: Products) -> Any:
        parameters = jax.tree.unflatten(self._structure, leaves)
        return leaves, jax.vmap(partial(self._init, parameters))(x)

    def known(self, base: Any, pairs: Pairs) -> Any:
        """Return log psi(x') - log psi(x), (P,), NaN where the delta does not know."""
        leaves, caches = base
        parameters = jax.tree.unflatten(self._structure, leaves)

        def of_pair(sample, sites, old, new):
            cache = jax.tree.map(lambda values: values[sample], caches)
            return self._delta(parameters, cache, sites, old, new)

        return jax.vmap(of_pair)(pairs.sample, *pairs.changes())

    def everywhere(self, base: Any, sites: Any, old: Any, new: Any) -> Any:
        """Return log psi(x') - log psi(x) of all lanes, (C, R), NaN where not known.

        Sites are (R, K) where they are the same for every x, else (C, R, K) as values.
        """
        leaves, caches = base
        parameters = jax.tree.unflatten(self._structure, leaves)
        of_sample = jax.vmap(self._delta, (None, None, 0, 0, 0))
        own_sites = None if sites.ndim == 2 else 0
        of_all = jax.vmap(of_sample, (None, 0, own_sites, 0, 0))
        return jnp.asarray(of_all(parameters, caches, sites, old, new))

    def work(self, leaves: Sequence[Any], x: Any, writes: int) -> float:
        """Return how many numbers a delta reads and makes for one pair.

        Infinity where some array has many more than K * K, as of all lanes that would
        take memory. The leaves and x, (N,), are shapes and dtypes.
        """
        parameters = jax.tree.unflatten(self._structure, leaves)
        cache = jax.eval_shape(self._init, parameters, x)
        sites = jax.ShapeDtypeStruct((writes,), np.int32)
        values = jax.ShapeDtypeStruct((writes,), x.dtype)
        traced = jax.make_jaxpr(self._delta)(parameters, cache, sites, values, values)
        # Of a matrix of K * K entries, indices are twice as many
        return _numbers_in(traced.jaxpr, 4 * writes**2)

    def modelled(self, leaves: Sequence[Any], x: Any, pairs: Pairs) -> Any:
        """Return log psi(x') - log psi(x) by the model, (P,)."""
        # It is called once: what it is made of compiles slowly
        everywhere = jnp.concatenate([x, pairs.connected(x)])
        _, psi = self.network.base(leaves, everywhere, Products())
        before, after = psi[: len(x)], psi[len(x) :]
        return difference(after, before[pairs.sample])

    def log_ratio(self, base: Any, table: Any, pairs: Pairs, x: Any) -> Any:
        leaves, _ = base
        found = jnp.asarray(self.known(base, pairs)).astype(self.network.dtype)
        found = varying_like(found, [*leaves, x])
        return completed(found, lambda: self.modelled(leaves, x, pairs))


def completed(found: Any, by_network: Callable[[], Any]) -> Any:
    """Return what was found, and where that is NaN what the network says."""
    unknown = jnp.isnan(found)

    def both() -> Any:
        return jnp.where(unknown, by_network(), found)

    return lax.cond(unknown.any(), both, lambda: found)


_PARTS_READ = ("dynamic_slice", "gather", "slice")
"""Of what these are given they read as much as they return."""


def _numbers_in(jaxpr: Any, longest: int) -> float:
    """Return how many numbers are read and made.

    Infinity for loops and choices, what is no function of its operands, such as a
    print, and for values longer than the longest.
    """
    count = 0.0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        inner = list(jaxprs_in_params(equation.params))
        if name in ("while", "scan", "cond") or equation.effects:
            return math.inf
        if inner:
            count += sum(_numbers_in(one, longest) for one in inner)
            continue
        made = [math.prod(v.aval.shape) for v in equation.outvars]
        read = [math.prod(v.aval.shape) for v in equation.invars]
        if max(made, default=0) > longest:
            return math.inf
        count += sum(made) + sum(made if name in _PARTS_READ else read)
    return count


# endregion
# region Its check

QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""Options of XLA for what runs once: to make it fast would take longer than that."""


def executing(
    function: Function, *arguments: Any, check: Function | None = None
) -> Callable[[], Any]:
    """Return what returns a function of arrays, whatever JAX is tracing meanwhile.

    XLA compiles it in a thread until then. Results are of NumPy; `check` is called with
    their shapes and dtypes before.
    """
    traced = jax.jit(function).trace(*arguments)
    if check is not None:
        check(traced.out_info)
    lowered = traced.lower()
    thread = ThreadPoolExecutor(1, "symir-delta")
    options = QUICKLY if jax.default_backend() == "cpu" else None
    waiting = thread.submit(lowered.compile, options)
    thread.shutdown(wait=False)

    def results() -> Any:
        try:
            compiled = waiting.result()
        except jax.errors.JaxRuntimeError:  # such as for options that are no more
            compiled = lowered.compile()
        # Not in the thread: it has other settings of JAX, and XLA hangs on CPUs where
        # two threads factorise matrices
        return jax.tree.map(np.asarray, compiled(*arguments))

    return results


def live_pairs(x: np.ndarray, sites: Any, values: Any, most: int) -> Pairs:
    """Return pairs, so many at most, of configurations (C, N) and what changes them.

    Sites and values are those of all lanes, (C, R, K), as `bt.lanes` has them.
    """
    lanes, writes = sites.shape[1:]
    inside = (sites >= 0) & (sites < x.shape[1])
    sites = np.where(inside, sites, 0)
    old = x[np.arange(len(x))[:, None, None], sites]
    new = np.where(inside, values, old)
    live = np.flatnonzero((old != new).any(axis=-1))
    chosen = np.random.default_rng(0).permutation(live)[:most]
    sample, lane = np.divmod(chosen, lanes)
    inside, sites, old, new = (one[sample, lane] for one in (inside, sites, old, new))
    connected = x[sample]
    for write in range(writes):
        (row,) = inside[:, write].nonzero()
        connected[row, sites[row, write]] = new[row, write]
    return Pairs(sample, chosen, None, lambda x: connected, lambda: (sites, old, new))


def checking(
    part: Declared,
    avals: Sequence[jax.ShapeDtypeStruct],
    x: Any,
    pairs: Pairs,
    *,
    derivatives: bool = False,
) -> Callable[[], bool]:
    """Return what waits for a check that a delta agrees with its model.

    Log ratios are compared, and their derivatives by the parameters where asked for.
    It returns False where nothing is compared.

    Raises:
        DefinitionError: for a delta of another shape or kind of number (R026), and,
            where it is waited for, of one that differs (R027).
    """

    def started(leaves: Sequence[Any]) -> Callable[[], tuple[int, str]]:
        return _comparing(part, leaves, x, pairs, derivatives)

    begun = started(_drawn(avals))

    def is_right() -> bool:
        for positive in (False, True):
            leaves = _drawn(avals, positive)
            compared, wrong = (started(leaves) if positive else begun)()
            if wrong and _is_single(avals):
                # Whether that is rounding is seen with more digits
                with jax.enable_x64(True):
                    compared, wrong = started([_as_double(one) for one in leaves])()
            if wrong:
                raise _wrong(part.declared, wrong)
            if compared:
                return True
        return False

    return is_right


def _check_type(declared: Delta, compared: tuple[Any, Any]) -> None:
    """Check the shapes and dtypes of what a delta returns for pairs, and of log psi."""
    found, psi = compared
    expected = "a scalar" + ("" if _is_complex(psi) else ", real as log psi is")
    if getattr(found, "shape", None) != psi.shape:
        shown = [str(leaf.shape[1:]) for leaf in jax.tree.leaves(found)]
        raise _of_type(declared, expected, f"arrays of shape {', '.join(shown)}")
    if _is_complex(found) and not _is_complex(psi):
        raise _of_type(declared, expected, f"dtype {found.dtype}")


def _is_complex(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, jnp.complexfloating)


def _inexact(found: Any) -> Any:
    """Return what a delta returned, with a derivative if it is an integer."""
    found = jnp.asarray(found)
    return found if _is_inexact(found) else found.astype(jnp.result_type(float))


def _is_inexact(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, jnp.inexact)


def _of_type(delta: Delta, expected: str, found: str) -> DefinitionError:
    return DefinitionError(
        "R026",
        "a delta returns what is no difference of log psi",
        location=delta.location,
        expected=expected,
        found=found,
        hint="delta is called for one configuration, and is vectorised by symir",
    )


def _wrong(delta: Delta, found: str) -> DefinitionError:
    return DefinitionError(
        "R027",
        "a delta is not how log psi changes",
        location=delta.location,
        expected="log psi(x') - log psi(x) of the model, on random parameters",
        found=found,
        hint="compare delta(parameters, init(parameters, x), sites, old, new) with the "
        "model at x and x'",
    )


def _drawn(avals: Sequence[Any], positive: bool = False, seed: int = 0) -> list[Any]:
    """Return random numbers of some shapes and dtypes; integers are 0."""
    rng = np.random.default_rng(seed)

    def of(aval: Any) -> np.ndarray:
        if not _is_inexact(aval):
            return np.zeros(aval.shape, aval.dtype)
        real, imaginary = rng.normal(scale=0.5, size=(2, *aval.shape))
        if positive:
            real = np.abs(real) + 0.1
        drawn = real + 1j * imaginary if _is_complex(aval) else real
        return drawn.astype(aval.dtype)

    return [of(aval) for aval in avals]


def _is_single(avals: Sequence[Any]) -> bool:
    inexact = [aval.dtype for aval in avals if _is_inexact(aval)]
    return not x64_enabled() or any(jnp.finfo(dtype).bits < 64 for dtype in inexact)


def _as_double(leaf: np.ndarray) -> np.ndarray:
    if not _is_inexact(leaf):
        return leaf
    return leaf.astype(np.complex128 if _is_complex(leaf) else np.float64)


def _comparing(
    part: Declared, leaves: Sequence[Any], x: Any, pairs: Pairs, derivatives: bool
) -> Callable[[], tuple[int, str]]:
    """Return what waits for a comparison of differences of log psi.

    It returns how many were compared, and what is wrong.
    """
    moving = [number for number, leaf in enumerate(leaves) if _is_inexact(leaf)]

    def both(*values: Any) -> Any:
        given = list(leaves)
        for number, value in zip(moving, values, strict=True):
            given[number] = value
        # What is returned unchanged is to be an array of JAX too
        own = jnp.asarray(x)
        found = part.known(part.base(given, own, Products()), pairs)
        return jax.tree.map(_inexact, found), part.modelled(given, own, pairs)

    def with_derivatives(values: Any, tangents: Any) -> Any:
        return jax.jvp(both, tuple(values), tuple(tangents))

    values = [leaves[number] for number in moving]
    if values and derivatives:
        waiting = executing(with_derivatives, values, _drawn(values, seed=1))
        return lambda: _compared(pairs, *waiting())
    waiting = executing(both, *values, check=partial(_check_type, part.declared))
    return lambda: _compared(pairs, waiting())


def _compared(pairs: Pairs, values: Any, changes: Any = None) -> tuple[int, str]:
    """Return how many were compared, and what is wrong.

    Log ratios of pairs are given, found and expected, and their derivatives.
    """
    found, expected = values
    real = jnp.finfo(expected.dtype)
    tolerance = 1e-3 if real.bits < 64 else 1e-6
    comparable = ~np.isnan(found) & (np.isfinite(expected) | np.isneginf(expected.real))
    # No more is known of a number close to 0 than that it is
    limit = math.log(real.eps)
    vanishing = (found.real < limit) & (expected.real < limit)
    with np.errstate(invalid="ignore"):
        close = _is_close(found, expected, tolerance)
        wrong = comparable & ~vanishing & ~close
        if wrong.any():
            return 1, _shown("log ratio", found, expected, wrong, pairs)
        if changes is None:
            return int(comparable.sum()), ""
        found, expected = changes
        known = comparable = comparable & ~vanishing & np.isfinite(expected)
        close = np.abs(found - expected) <= tolerance * (1 + np.abs(expected))
    wrong = known & ~close
    if wrong.any():
        return 1, _shown("derivative", found, expected, wrong, pairs)
    return int(comparable.sum()), ""


def _is_close(found: Any, expected: Any, tolerance: float) -> Any:
    """Return whether logarithms are: their imaginary parts are angles."""
    size = np.abs(found.real - expected.real)
    angle = np.abs(np.exp(1j * found.imag) - np.exp(1j * expected.imag))
    return (size <= tolerance * (1 + np.abs(expected.real))) & (angle <= tolerance)


def _shown(what: str, found: Any, expected: Any, wrong: Any, pairs: Pairs) -> str:
    first = int(np.argmax(wrong))
    sites, old, new = (one[first].tolist() for one in pairs.changes())
    return (
        f"a {what} of {found[first]:.6g} for {expected[first]:.6g}, at sites {sites} "
        f"from {old} to {new}; {int(wrong.sum())} of {len(wrong)} differ"
    )


# endregion
