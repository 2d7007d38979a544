"""Energies with derivatives: those of the network at every x'."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from symir.runtime.linear import linear_function
from symir.runtime.local_energy.program import (
    Arrays,
    EnergyProgram,
    chunk_size,
    over_chunks,
)
from symir.runtime.manual_axes import varying_like
from symir.runtime.steps import check_differentiable, moves_configurations

BACKWARD_CHUNKS = 2
"""So many chunks of a network are evaluated at once where derivatives are pulled back:
fewer and larger ones take less time, and are bounded in memory by the plan too."""


def differentiable_energies(
    program: EnergyProgram, chunk: int | None, operands: int, *flat
):
    """Return the energies of a batch, with derivatives of every order.

    Derivatives are those of the network at every x', by whatever rules it has. It is
    traced here, along with the energies: a value that it holds on to may be another one
    when derivatives are asked for, and they are of these energies.
    """
    arrays = Arrays.of(flat, operands)
    with program.traces():
        linked = program.linked(arrays, chunk)
        network = _network(program, chunk, arrays)
    return _energies(program, chunk, operands, linked, network, *flat)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2, 3, 4))
def _energies(program, chunk, operands, linked, network, *flat):
    (energies,) = linked(flat[-1], *flat[:-1])
    return energies


@partial(_energies.defjvp, symbolic_zeros=True)
def _pushed(program, chunk, operands, linked, network, flat, tangents):
    energies = _energies(program, chunk, operands, linked, network, *flat)
    active = tuple(map(_is_active, flat, tangents))
    chosen, merged = partial(_chosen, active), partial(_merged, active)
    if not any(active):
        return energies, jnp.zeros_like(energies)
    program.check_derivatives()
    x = flat[-1]
    by_operator = [active[-1], *active[:operands]]
    check_differentiable(program.kernel, 1, x.dtype, by_operator)

    def fused(*flat):
        return [program.by_elements(Arrays.of(flat, operands), chunk, linked)]

    def unfused(*flat):
        return [_unfused(program, chunk, network, Arrays.of(flat, operands))]

    def of_chosen(energies, residuals):
        def of(moving):
            return energies(*merged(residuals, moving))[0]

        return of

    def pushed_through(energies):
        def forward(residuals, changes):
            of = of_chosen(energies, residuals)
            return [jax.jvp(of, (chosen(residuals),), (list(changes),))[1]]

        return forward

    by_elements = _by_elements(program, x, active, operands)
    first_order = fused if by_elements else unfused

    def transpose(residuals, cotangents):
        _, pull = jax.vjp(of_chosen(first_order, residuals), chosen(residuals))
        return pull(cotangents[0])[0]

    (change,) = linear_function(
        pushed_through(first_order),
        transpose,
        list(flat),
        chosen(tangents),
        smooth=pushed_through(unfused),
        like=energies,
    )
    return energies, change


def _chosen(active: Sequence[bool], values: Sequence[Any]) -> list[Any]:
    return [v for v, is_active in zip(values, active, strict=True) if is_active]


def _merged(
    active: Sequence[bool], residuals: Sequence[Any], chosen: Sequence[Any]
) -> list[Any]:
    """Return all values, with those that are active anew."""
    given = iter(chosen)
    return [
        next(given) if is_active else residual
        for residual, is_active in zip(residuals, active, strict=True)
    ]


def _is_active(primal: Any, tangent: Any) -> bool:
    is_zero = isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    return not is_zero and jnp.issubdtype(primal.dtype, jnp.inexact)


def _by_elements(
    program: EnergyProgram, x: Any, active: Sequence[bool], operands: int
) -> bool:
    """Whether energies change by their matrix elements alone.

    These enter linearly, and ratios of psi do not depend on them.
    """
    return not any(active[operands:]) and not (
        jnp.issubdtype(x.dtype, jnp.inexact)
        and moves_configurations(program.kernel.ir, active[:operands])
    )


def _network(program: EnergyProgram, chunk: int | None, arrays: Arrays) -> Any:
    """Return log psi of leaves and of x and x' of a chunk, as it is traced now."""
    size = _chunk_size(program, chunk, arrays.x.shape[0]) * (1 + program.lanes)
    states = jnp.zeros((size, arrays.x.shape[1]), arrays.x.dtype)
    *leaves, states = (varying_like(a, arrays.flat) for a in (*arrays.leaves, states))
    return jaxpr_as_fun(jax.make_jaxpr(program.network)(leaves, states))


def _chunk_size(program: EnergyProgram, chunk: int | None, batch: int) -> int:
    """Return of how many samples all x' are evaluated at once."""
    lanes = max(1, program.lanes)
    planned = BACKWARD_CHUNKS * program.plan.network_pairs
    return chunk_size(batch, chunk and chunk // lanes, planned // lanes, divides=True)


def _unfused(
    program: EnergyProgram, chunk: int | None, network: Any, arrays: Arrays
) -> Any:
    """Return the energies with log psi at every x', some samples at once.

    They are computed again where derivatives are pulled back: of no x' a value is kept.
    """

    @jax.checkpoint
    def of_chunk(flat, x):
        return program.unfused(arrays.like([*flat, x]), network)

    own = [varying_like(one, arrays.flat) for one in arrays.flat]
    size = _chunk_size(program, chunk, own[-1].shape[0])
    return over_chunks(partial(of_chunk, own[:-1]), own[-1], size)
