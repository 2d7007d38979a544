"""Declared models as parts of log psi: what finds their changes is their author's."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, i32
from xdsl.dialects.func import FuncOp, ReturnOp

from dialects import bt
from dialects.stablehlo import element_of, element_of_dtype, tensor
from lowering.bt.lanes import write_count
from lowering.energy.bt_local_energy_pack import local_values
from lowering.energy.extraction import energies_in, function_named
from lowering.energy.readings import Reading
from symir.runtime.local_energy.declarations import Declaration
from symir.runtime.local_energy.delta_checks import (
    Changes,
    Check,
    Trial,
    Walk,
    written,
)

STEPS = 2
"""So many changes are committed before what a cache says is compared."""


class Declared:
    """A declared model, of its own parameters and its own configurations."""

    def __init__(self, declaration: Declaration):
        self.declaration = declaration
        delta = declaration.delta
        self._init = partial(delta.init, *declaration.first)
        self._delta = partial(delta.delta, *declaration.first)

    def _parameters(self, leaves: Sequence[Any]) -> Any:
        return jax.tree.unflatten(self.declaration.structure, leaves)

    @cached_property
    def _cache(self) -> tuple[list[Any], Any]:
        """The types of what changes are found from, and their structure."""
        parameters = self._parameters(self.declaration.avals)
        kept = jax.eval_shape(self._init, parameters, self.declaration.x)
        return jax.tree.flatten(kept)

    # region Functions of the IR

    def write(self, energy: bt.LocalEnergyOp, inputs: FuncOp, name: str) -> list[str]:
        """Declare its functions in the module of an energy; return their names.

        `inputs` returns what they are functions of.
        """
        module = energy.get_toplevel_object()
        assert isinstance(module, ModuleOp)
        end = inputs.body.block.last_op
        assert isinstance(end, ReturnOp)
        *parameters, config = end.arguments
        own = [one.type for one in parameters]
        element, size = element_of(config), self.declaration.x.size
        kept = [tensor(element_of_dtype(a.dtype), a.shape) for a in self._cache[0]]
        writes = write_count(energy.branches)
        change = [tensor(i32, (writes,)), *[tensor(element, (writes,))] * 2]
        log = tensor(element_of_dtype(self.declaration.dtype))
        types = {
            f"{name}.cache": ([*own, tensor(element, (size,))], kept),
            f"{name}.ratio": ([*own, *kept, *change], [log]),
        }
        for one, kinds in types.items():
            module.body.block.add_op(FuncOp.external(one, *kinds))
        return list(types)

    def named(self, name: str) -> tuple[Callable[..., Any], int]:
        """Return the function of JAX of a name, and of how many parameters it is."""
        count = self.declaration.structure.num_leaves

        def cache(*given: Any) -> Any:
            return jax.tree.leaves(self.caches(given[:count], given[count]))

        def ratio(*given: Any) -> Any:
            *kept, sites, old, new = given[count:]
            caches = jax.tree.unflatten(self._cache[1], kept)
            found = self.ratios(given[:count], caches, (sites, old, new))
            return [jnp.asarray(found).astype(self.declaration.dtype)]

        return (cache if name.rsplit(".", 2)[1] == "cache" else ratio), count

    # endregion

    def caches(self, leaves: Sequence[Any], x: Any) -> Any:
        """Return what changes of x, (C, n), are found from."""
        return jax.vmap(partial(self._init, self._parameters(leaves)))(x)

    def ratios(self, leaves: Sequence[Any], caches: Any, changes: Changes) -> Any:
        """Return log psi(x') - log psi(x), NaN where the delta does not know.

        Each cache has a change, (P, K), or one for each lane, (C, R, K), where sites
        may be the same for all, (R, K).
        """
        sites, old, _ = changes
        of_one = partial(self._delta, self._parameters(leaves))
        if old.ndim == 2:
            return jax.vmap(of_one)(caches, *changes)
        of_sample = jax.vmap(of_one, (None, 0, 0, 0))
        own_sites = None if sites.ndim == 2 else 0
        return jax.vmap(of_sample, (0, own_sites, 0, 0))(caches, *changes)

    def committed(self, leaves: Sequence[Any], caches: Any, changes: Changes) -> Any:
        """Return the caches of x', after one change of each sample, (C, K)."""
        commit = self.declaration.delta.commit
        assert commit is not None
        of_one = partial(commit, *self.declaration.first, self._parameters(leaves))
        return jax.tree.map(jnp.asarray, jax.vmap(of_one)(caches, *changes))

    def values(self, leaves: Sequence[Any], x: Any) -> Any:
        """Return log psi of x, (C, n), by the model, (C,)."""
        return self.declaration.values(self._parameters(leaves), x)

    def work(self, writes: int) -> float:
        """Return how many numbers a delta reads and makes for one pair.

        Infinity where some array has many more than K * K, as of all lanes that would
        take memory.
        """
        kept, structure = self._cache
        cache = jax.tree.unflatten(structure, kept)
        sites = jax.ShapeDtypeStruct((writes,), np.int32)
        values = jax.ShapeDtypeStruct((writes,), self.declaration.x.dtype)
        given = self._parameters(self.declaration.avals), cache, sites, values, values
        traced = jax.make_jaxpr(self._delta)(*given)
        # Of a matrix of K * K entries, indices are twice as many
        return _numbers_in(traced.jaxpr, 4 * writes**2)


_PARTS_READ = ("dynamic_slice", "gather", "slice")
"""Ops that read as much of their operands as they return."""


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


@dataclass(frozen=True)
class LanesOf:
    """Random configurations of an operator, and its lanes.

    Attributes:
        x: (C, N).
        at: the changes of the lanes at x, (C, R, K) each.
        kinds: the numbers of the lanes of each emission.
    """

    x: np.ndarray
    at: Callable[[np.ndarray], Changes]
    kinds: Sequence[np.ndarray]

    def one_each(self, x: np.ndarray) -> Changes:
        """Return the changes of one lane at each x, (C, K): a live one."""
        changes = self.at(x)
        _, old, new = changes
        live = (old != new).any(axis=-1)
        rng = np.random.default_rng(0)
        chosen = (live * (1 - rng.random(live.shape))).argmax(axis=1)
        sites, old, new = (one[np.arange(len(x)), chosen] for one in changes)
        return sites, old, new


class DeclaredParts:
    """The parts of an energy that are declared models."""

    def __init__(self, module: ModuleOp, declarations: Mapping[str, Declaration]):
        """Take a module with a plan, and declare what they are found by in it."""
        (energy,) = energies_in(module)
        declared = [one for one in energy.parts if one.kind == bt.Rung.DECLARED]
        self._are_all = len(declared) == len(energy.parts)
        self._inputs = {
            one.functions[0]: function_named(module, one.functions[1])
            for one in declared
        }
        self._models = {name: Declared(declarations[name]) for name in self._inputs}
        self._energy = energy
        self.write(module)

    def __len__(self) -> int:
        return len(self._models)

    def write(self, module: ModuleOp) -> None:
        """Declare what they are found by in a module of the same energy."""
        (energy,) = energies_in(module)
        names = {
            name: model.write(energy, self._inputs[name], name)
            for name, model in self._models.items()
        }
        energy.parts = ArrayAttr(
            one.by(names[one.functions[0]]) if one.functions[0] in names else one
            for one in energy.parts
        )

    def named(self, name: str) -> tuple[Callable[..., Any], int]:
        """Return the function of JAX of a name that was declared: see `Declared`."""
        return self._models[name.rsplit(".", 2)[0]].named(name)

    def are_simple(self, most: float) -> bool:
        """Whether there are no other parts, and little is read or made for a pair."""
        writes = write_count(self._energy.branches)
        works = [model.work(writes) for model in self._models.values()]
        return bool(works) and self._are_all and sum(works) <= most * writes

    def incomparable(self, lanes: LanesOf, values: Sequence[Any] | None) -> set[str]:
        """Return the names of those that nothing could be compared of with the model.

        On configurations and lanes, and for parameters where they are given.

        Raises:
            DefinitionError: see `Check.is_right`.
        """
        checks = {name: self._check(name, lanes, values) for name in self._models}
        return {name for name, one in checks.items() if not one.is_right()}

    def _check(self, name: str, lanes: LanesOf, values: Sequence[Any] | None) -> Check:
        model, inputs = self._models[name], self._inputs[name]
        reading = Reading.of(inputs, local_values(self._energy))
        dtype = model.declaration.x.dtype

        def of(x: np.ndarray, changes: Changes) -> tuple[np.ndarray, Changes]:
            read, (place, old, new) = reading.of_numbers(x, changes)
            return read.astype(dtype), (place, old.astype(dtype), new.astype(dtype))

        x, walk = lanes.x, None
        delta = model.declaration.delta
        # Those that are shipped are compared by our tests
        if delta.commit is not None and delta.location is not None:
            x, walk = _walked(lanes, of)
        trial = Trial(*of(x, lanes.at(x)), lanes.kinds, walk)
        return Check(model, trial, _own(inputs, values))


def _walked(lanes: LanesOf, of: Callable[..., Any]) -> tuple[np.ndarray, Walk]:
    """Return where lanes lead, one after another, and what a model reads of that."""
    x, steps = lanes.x, []
    start, _ = of(x, lanes.one_each(x))
    for _ in range(STEPS):
        step = lanes.one_each(x)
        steps.append(of(x, step)[1])
        x = written(x, step)
    return x, Walk(start, steps)


def _own(inputs: FuncOp, values: Sequence[Any] | None) -> list[Any] | None:
    """Return the parameters of a model if they are some of those that are known."""
    block = inputs.body.block
    known: dict[Any, Any] = dict(zip(block.args, values or (), strict=False))
    assert isinstance(block.last_op, ReturnOp)
    own = block.last_op.arguments[:-1]
    return [known[one] for one in own] if known.keys() >= {*own} else None
