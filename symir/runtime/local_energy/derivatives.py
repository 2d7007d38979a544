"""Energies with derivatives: forward through the kernel, backward beside it."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from symir.runtime.linear import linear_function
from symir.runtime.local_energy.lanes import over_chunks
from symir.runtime.local_energy.program import Arrays, EnergyProgram, at_most
from symir.runtime.manual_axes import varying_like

__all__ = ["differentiable_energies"]

BACKWARD_CHUNKS = 2
"""So many chunks of a network are evaluated at once where derivatives are pulled back:
fewer and larger ones take less time, and are bounded in memory by the plan too."""


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def differentiable_energies(
    program: EnergyProgram, chunk: int | None, operands: int, *flat
):
    arrays = Arrays(flat[:operands], flat[operands:-1], flat[-1])
    return program.energies(arrays, chunk)


@partial(differentiable_energies.defjvp, symbolic_zeros=True)
def _pushed(program, chunk, operands, flat, tangents):
    energies = differentiable_energies(program, chunk, operands, *flat)
    template = Arrays(flat[:operands], flat[operands:-1], flat[-1])
    active = tuple(
        not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
        and jnp.issubdtype(primal.dtype, jnp.inexact)
        for primal, tangent in zip(flat, tangents, strict=True)
    )
    if not any(active):
        return energies, jnp.zeros_like(energies)

    def merged(residuals, chosen):
        given = iter(chosen)
        return [
            next(given) if is_active else residual
            for residual, is_active in zip(residuals, active, strict=True)
        ]

    def chosen(values):
        return [v for v, is_active in zip(values, active, strict=True) if is_active]

    def energies_of(run):
        def of(residuals, moving):
            return run(template.like(merged(residuals, moving)))

        return of

    # How lanes move x is known while x stays: tables do not follow a change of it. And
    # rules of the user's own for derivatives are nowhere in the IR
    by_network = any(active[operands:-1])
    is_unfused = active[-1] or (by_network and not program.derives_alike)
    unfused = energies_of(partial(_unfused, program, chunk))
    fused = energies_of(lambda one: program.energies(one, chunk))
    fused = unfused if is_unfused else fused

    def pushed_through(energies):
        def forward(residuals, changes):
            moving = chosen(residuals)
            return [
                jax.jvp(partial(energies, residuals), (moving,), (list(changes),))[1]
            ]

        return forward

    def transpose(residuals, cotangents):
        _, pull = jax.vjp(partial(unfused, residuals), chosen(residuals))
        return pull(cotangents[0])[0]

    (change,) = linear_function(
        pushed_through(fused),
        transpose,
        list(flat),
        chosen(tangents),
        smooth=pushed_through(unfused),
    )
    return energies, change


def _unfused(program: EnergyProgram, chunk: int | None, arrays: Arrays) -> Any:
    """Return the energies with log psi at every x', some samples at once.

    They are computed again where derivatives are pulled back: of no x' a value is kept.
    """
    batch = arrays.x.shape[0]
    states = at_most(chunk, BACKWARD_CHUNKS * program.plan.network_pairs)
    size = max(1, min(batch, states // max(1, program.lanes)))

    @jax.checkpoint
    def of_chunk(flat, x):
        return program.unfused(arrays.like([*flat, x]))

    own = [varying_like(one, arrays.flat) for one in arrays.flat]
    return over_chunks(partial(of_chunk, own[:-1]), own[-1], size)
