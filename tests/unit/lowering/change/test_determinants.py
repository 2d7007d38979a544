"""Determinants of rows that occupied sites choose: ratios and commits are of values."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp

from dialects import bt
from dialects.interpreters.kernel import run_kernel
from dialects.stablehlo import element_of
from lowering.energy.cone_part import Cone
from lowering.energy.differences import Steps
from lowering.energy.extraction import returned
from lowering.energy.inline_calls import InlineCallsPass
from lowering.energy.part_functions import Setting
from symir.runtime.importing import import_function

SITES, FERMIONS = 6, 3
RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def nonzero(n: Any, count: int = FERMIONS) -> Any:
    return jax.vmap(lambda one: jnp.nonzero(one, size=count)[0])(n)


def logarithm(sign: Any, size: Any) -> Any:
    return size + jnp.log(sign + 0j)


def spins(n: Any) -> tuple[Any, Any]:
    return n[:, :SITES], n[:, SITES:]


def slater(w: Any, n: Any) -> Any:
    up, down = (jnp.linalg.slogdet(m[nonzero(one)]) for m, one in zip(w, spins(n)))
    return up[1] + down[1] + jnp.log(up[0] * down[0] + 0j)


def by_sorting(w: Any, n: Any) -> Any:
    """Both spins at once, with the same orbitals, as columns."""
    both = n.reshape(-1, 2, SITES)
    occupied = jnp.argsort(-both, axis=-1, stable=True)[..., :FERMIONS]
    matrices = jnp.swapaxes(w[0][occupied], -1, -2)
    sign, size = jnp.linalg.slogdet(matrices)
    return logarithm(sign.prod(-1), size.sum(-1))


def by_counting(w: Any, n: Any) -> Any:
    """Rows of their own for each spin, in one table."""
    both = n.reshape(-1, 2, SITES) > 0
    number = jnp.cumsum(both, axis=-1)
    places = jax.vmap(
        jax.vmap(partial(jnp.searchsorted, side="left"), (0, None)), (0, None)
    )
    occupied = places(number, jnp.arange(1, FERMIONS + 1))
    table = jnp.concatenate([w[0], w[1]])
    sign, size = jnp.linalg.slogdet(table[occupied + SITES * jnp.arange(2)[:, None]])
    return logarithm(sign.prod(-1), size.sum(-1))


def generalised(w: Any, n: Any) -> Any:
    """Orbitals of both spins, of which any may be occupied."""
    sign, size = jnp.linalg.slogdet(w[2][nonzero(n, 2 * FERMIONS)])
    return logarithm(sign, size)


def of_complex(w: Any, n: Any) -> Any:
    orbitals = w[2] + 1j * w[2][::-1] ** 2
    sign, size = jnp.linalg.slogdet(orbitals[nonzero(n, 2 * FERMIONS)])
    return size + jnp.log(sign)


def several(w: Any, n: Any) -> Any:
    """A sum of determinants, of any signs."""
    up, down = (
        jnp.linalg.slogdet(m[:, nonzero(one)].swapaxes(0, 1))
        for m, one in zip(w[3], spins(n), strict=True)
    )
    size = up[1] + down[1]
    most = size.max(-1, keepdims=True)
    total = (w[4] * up[0] * down[0] * jnp.exp(size - most)).sum(-1)
    return most[:, 0] + jnp.log(total + 0j)


def products(w: Any, n: Any) -> Any:
    """Determinants themselves, times a factor that is no number of them."""
    up, down = (jnp.linalg.det(m[nonzero(one)]) for m, one in zip(w, spins(n)))
    return jnp.log(up * down * (2 + jnp.sin(n @ w[5][0])) + 0j)


def backflow(w: Any, n: Any) -> Any:
    """Rows that depend on whether the next sites of a ring are occupied."""
    found = 0.0
    for m, change, one in zip(w, w[3][0], spins(n), strict=False):
        near = jnp.roll(one, 1, -1) + jnp.roll(one, -1, -1) * 0.5
        rows = m + jnp.tanh(near)[..., None] * change
        matrix = jnp.take_along_axis(rows, nonzero(one)[..., None], axis=1)
        found += logarithm(*jnp.linalg.slogdet(matrix))
    return found


def some_backflow(w: Any, n: Any) -> Any:
    """Several determinants of rows that depend on the other spin at the site."""
    up, down = spins(n)
    rows = w[3][0][None] + jnp.cos(down[:, None, :, None] * w[3][1][None])
    index = nonzero(up)[:, None, :, None]
    sign, size = jnp.linalg.slogdet(jnp.take_along_axis(rows, index, axis=2))
    return jnp.log((sign * jnp.exp(size)).sum(-1) + 0j)


NETWORKS = (
    *(slater, by_sorting, by_counting, generalised, of_complex, several, products),
    *(backflow, some_backflow),
)
LEAVES = (
    normal(SITES, FERMIONS),
    normal(SITES, FERMIONS),
    normal(2 * SITES, 2 * FERMIONS),
    normal(2, 4, SITES, FERMIONS),
    normal(4),
    normal(2 * SITES, 2 * SITES) / 5,
)


def hops(*pairs: tuple[int, int]) -> Any:
    row = np.zeros(2 * SITES)
    for source, target in pairs:
        row[source], row[target] = -1, 1
    return row


def moves(name: str) -> Any:
    """Hops of one fermion, of two, or from one spin to the other."""
    sites = [(i, j) for i in range(SITES) for j in range(i)]
    up = [hops(one) for one in sites]
    down = [hops((i + SITES, j + SITES)) for i, j in sites]
    match name:
        case "one":
            return np.array([*up, *down])
        case "two":
            both = [a + b for a in up[:6] for b in down[3:9]]
            same = [hops((0, 3), (1, 5)), hops((4, 2), (5, 0)), hops((2, 0), (1, 4))]
            return np.array([*both, *same, np.zeros(2 * SITES)])
        case _:
            return np.array([hops((i, j + SITES)) for i, j in sites])


def states(rng: Any, count: int) -> Any:
    x = np.zeros((count, 2, SITES), np.int8)
    x[..., :FERMIONS] = 1
    return rng.permuted(x, axis=-1).reshape(count, -1)


@dataclass(frozen=True)
class Made:
    """A network, its part, and what its functions are run by."""

    network: Callable[..., Any]
    rows: Any
    leaves: tuple[Any, ...] = field(default=LEAVES)
    dtype: Any = np.int8

    def main(self) -> FuncOp:
        kinds = tuple(jax.ShapeDtypeStruct(w.shape, w.dtype) for w in self.leaves)
        x = jax.ShapeDtypeStruct((1, 2 * SITES), self.dtype)
        module = import_function(self.network, kinds, x)
        InlineCallsPass().apply(Context(), module)
        (main,) = (op for op in module.ops if isinstance(op, FuncOp))
        return main

    def cone(self) -> Cone:
        main = self.main()
        steps = Steps(self.rows, (0.0, 1.0), None)
        own = Setting(steps, None, True, (1,), element_of(returned(main)))
        return Cone(bt.PartAttr.get(bt.Rung.CONE, "f"), [main], own)

    def check(self, seed: int, commits: int, tolerance: float) -> int:
        """Compare ratios with those of values; return how many, behind commits too."""
        functions = self.cone().written().all
        tables_of, _, cache_of, ratio_of, commit_of = map(by_interpreter, functions)
        tables = tables_of(*self.leaves)
        rng = np.random.default_rng(seed)
        x, count = states(rng, 1)[0].astype(self.dtype), 0
        caches = cache_of(*self.leaves, x[None])
        for _ in range(commits + 1):
            known = list(self._moves(x, rng))
            after = np.stack([x, *(other for other, _, _ in known)])
            with np.errstate(divide="ignore"):
                values = np.exp(np.asarray(jax.jit(self.network)(self.leaves, after)))
            for (_, row, sign), value in zip(known, values[1:], strict=True):
                change = np.int32(0), np.int32(row), np.bool_(sign)
                (found,) = ratio_of(*self.leaves, *tables, *caches, *change)
                error = abs(np.exp(found) * values[0] - value)
                assert error < tolerance * abs(values).max()
                count += 1
            x, row, sign = known[rng.integers(len(known))]
            change = np.int32(0), np.int32(row), np.bool_(sign)
            caches = commit_of(*self.leaves, *tables, *caches, *change)
        return count

    def _moves(self, x: Any, rng: Any) -> Any:
        for row in rng.permutation(len(self.rows)):
            for sign in (True, False):
                other = x + (self.rows[row] if sign else -self.rows[row])
                if ((other == 0) | (other == 1)).all():
                    yield other.astype(x.dtype), row, sign


def by_interpreter(function: FuncOp) -> Callable[..., Any]:
    function.verify()
    alone = function.clone()
    alone.sym_name = StringAttr("main")
    module = ModuleOp([alone])
    return lambda *given: run_kernel(module, [np.asarray(one) for one in given])


@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: one.__name__)
def test_changes_are_those_of_the_network(network: Any, name: str) -> None:
    assert Made(network, moves(name)).check(1, commits=2, tolerance=1e-10) > 3
