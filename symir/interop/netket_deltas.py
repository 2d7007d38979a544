"""Changes of log psi of NetKet's models at a few sites."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import netket.jax as nkjax
import numpy as np
from jax.scipy.linalg import block_diag
from netket.models import Jastrow, MultiSlater2nd, Slater2nd

from symir.runtime.local_energy.deltas import Delta

_WRAPPERS = ("netket.utils.jax", "netket.vqs.mc.mc_state.state")
"""Where NetKet wraps models and functions in others that return the same."""


def wrapped(function: Any) -> Any:
    """Return the model or function that a state of NetKet wraps, None elsewhere."""
    if not isinstance(function, nkjax.HashablePartial) or function.keywords:
        return None
    if function.func.__module__ not in _WRAPPERS or len(function.args) != 1:
        return None
    return function.args[0]


# region Jastrow: sum_(i > j) x_i W_ij x_j


def _jastrow_init(model: Any, parameters: Any, x: Any) -> Any:
    """Return (W + W^T) x, (N,)."""
    kernel, sites = parameters["params"]["kernel"], np.arange(x.shape[0])
    dtype = jnp.promote_types(kernel.dtype, x.dtype)
    weights = kernel[_entry(sites[:, None], sites)]
    matrix = jnp.where(np.eye(len(sites), dtype=bool), 0, weights)
    return matrix.astype(dtype) @ x.astype(dtype)


def _jastrow_delta(
    model: Any, parameters: Any, cache: Any, sites: Any, old: Any, new: Any
) -> Any:
    """Return d^T (W + W^T) x + d^T W d."""
    kernel = parameters["params"]["kernel"].astype(cache.dtype)
    change = new.astype(cache.dtype) - old.astype(cache.dtype)
    found = jnp.zeros((), cache.dtype)
    # Write by write: a product of two so short vectors is not fused with anything
    for second in range(sites.shape[0]):
        found += change[second] * cache[sites[second]]
        for first in range(second):
            # Of one site this is no entry of W; then one of the two does not change
            weight = kernel[_entry(sites[first], sites[second])]
            found += change[first] * change[second] * weight
    return found


def _jastrow_commit(
    model: Any, parameters: Any, cache: Any, sites: Any, old: Any, new: Any
) -> Any:
    """Return (W + W^T) x'."""
    kernel, every = parameters["params"]["kernel"], np.arange(cache.shape[0])
    weights = kernel[_entry(every[:, None], sites)].astype(cache.dtype)
    # Of one site there is no entry of W
    weights = jnp.where(every[:, None] == sites, 0, weights)
    return cache + weights @ (new.astype(cache.dtype) - old.astype(cache.dtype))


def _entry(first: Any, second: Any) -> Any:
    """Return where the kernel, W row by row, has the weight of two sites."""
    are_known = isinstance(first, np.ndarray) and isinstance(second, np.ndarray)
    xp = np if are_known else jnp
    row, column = xp.maximum(first, second), xp.minimum(first, second)
    return row * (row - 1) // 2 + column


# endregion
# region Determinants


class _Determinants(NamedTuple):
    """Data that ratios of determinants of one configuration are made of.

    A row of a matrix is the orbitals (F,) of an occupied mode, in the order of modes.

    Attributes:
        ratios: (D, N, F), M A^-1: by how much determinant d changes where the row f
            becomes that of mode n. NaN where there is no inverse, or none to trust.
        weights: (D,), what part of psi a determinant is.
        before: (N,), how many modes before one are occupied.
    """

    ratios: Any
    weights: Any
    before: Any


def _determinants(
    orbitals: Any, sectors: Sequence[int], x: Any, logarithms: bool
) -> _Determinants:
    """Return the determinants of x (N,) with orbitals (D, N, F).

    `sectors` are the numbers of fermions in parts of the modes, each as long as others.
    """
    occupied = jnp.isclose(x, 1)
    (rows,) = occupied.nonzero(size=sum(sectors))
    blocks = _blocks(orbitals, sectors)
    parts, modes, fermions = blocks.shape[1:]
    first = np.arange(parts)[:, None]
    matrices = blocks[:, first, rows.reshape(parts, fermions) - first * modes]
    inverses = jnp.linalg.inv(matrices)
    norms = jnp.linalg.norm(matrices, axis=(2, 3))
    condition = (norms * jnp.linalg.norm(inverses, axis=(2, 3))).max(axis=1)
    # Of a matrix this close to a singular one little is known: the model has to say
    limit = jnp.finfo(orbitals.dtype).eps ** -0.75
    counts = occupied.reshape(len(sectors), -1).sum(axis=1)
    known = (condition < limit) & (counts == np.array(sectors)).all()
    each = jnp.where(known[:, None, None, None], blocks @ inverses, jnp.nan)
    is_own = np.eye(parts, dtype=bool)[:, None, :, None]
    ratios = jnp.where(is_own, each[:, :, :, None], 0).reshape(orbitals.shape)
    weights = jnp.ones(1, orbitals.dtype)
    if logarithms:
        found = nkjax.logdet_cmplx(matrices).sum(axis=1)
        weights = jnp.exp(found - nkjax.logsumexp_cplx(found, axis=0))
    before = jnp.cumsum(occupied, dtype=np.int32) - occupied
    return _Determinants(ratios, weights, before)


def _blocks(orbitals: Any, sectors: Sequence[int]) -> Any:
    """Return the orbitals of each part of the modes, (D, S, N / S, F / S).

    Where parts have as many fermions their matrices are factorised apart, but at once:
    that is half of the time. Others are one.
    """
    parts = len(sectors) if len(set(sectors)) == 1 else 1
    count, modes, fermions = orbitals.shape
    apart = orbitals.reshape(count, parts, modes // parts, parts, fermions // parts)
    return apart[:, np.arange(parts), :, np.arange(parts)].swapaxes(0, 1)


class _Moves(NamedTuple):
    """Fermions that leave modes, and others that enter as many.

    Attributes:
        removed: the modes that are left, (K,), and those that are entered: added.
        used: which of these there are.
        rows: the rows of matrices that were of the modes that are left, (K,).
        block: (D, K, K), by the matrix determinant lemma a matrix whose determinant is
            by how much one changes.
        is_known: whether each part of the modes has as many as before.
    """

    removed: Any
    added: Any
    used: Any
    rows: Any
    block: Any
    is_known: Any


def _moves(
    cache: _Determinants, sectors: int, sites: Any, old: Any, new: Any
) -> _Moves:
    was, is_now = jnp.isclose(old, 1), jnp.isclose(new, 1)
    left, entered = was & ~is_now, is_now & ~was
    slots = sites.shape[0] // 2
    removed, added = _slots(left, sites, slots), _slots(entered, sites, slots)
    used = np.arange(slots) < left.sum()
    rows = cache.before[removed]
    block = cache.ratios[:, added[:, None], rows[None, :]]
    both = used[:, None] & used[None, :]
    block = jnp.where(both, block, np.eye(slots, dtype=block.dtype))
    moved = entered.astype(np.int32) - left.astype(np.int32)
    sector = sites // (cache.before.shape[0] // sectors)
    change = jnp.where(sector == np.arange(sectors)[:, None], moved, 0).sum(axis=1)
    return _Moves(removed, added, used, rows, block, (change == 0).all())


def _log_ratio(
    cache: _Determinants, sectors: int, sites: Any, old: Any, new: Any
) -> Any:
    """Return the logarithm of the sum of ratios of determinants.

    By the matrix determinant lemma that of one where the rows p become those of modes a
    is the determinant of (M A^-1)[a, p]. Rows come in the order of modes, so it has the
    sign of the permutation that sorts them again.
    """
    moves = _moves(cache, sectors, sites, old, new)
    ratio = (cache.weights * _determinant(moves.block)).sum()
    is_odd = _is_odd(cache.before, moves.removed, moves.added, moves.used)
    ratio = jnp.where(is_odd, -ratio, ratio)
    ratio = jnp.where(moves.is_known, ratio, jnp.nan)
    return jnp.log(ratio.astype(nkjax.dtype_complex(ratio.dtype)))


def _committed(
    cache: _Determinants, sectors: int, sites: Any, old: Any, new: Any
) -> _Determinants:
    """Return the determinants of x'.

    By the formula of Sherman, Morrison and Woodbury M A^-1 is then
    R - R[:, p] B^-1 (R[a] - 1[p]) with R = M A^-1 and B = R[a, p].
    """
    moves = _moves(cache, sectors, sites, old, new)
    ratios, used = cache.ratios, moves.used
    fermions = ratios.shape[-1]
    inverse = jnp.linalg.inv(moves.block)
    limit = jnp.finfo(ratios.dtype).eps ** -0.75
    size = jnp.linalg.norm(moves.block, axis=(1, 2))
    is_trusted = size * jnp.linalg.norm(inverse, axis=(1, 2)) < limit
    of_rows = moves.rows[:, None] == np.arange(fermions)
    entering = jnp.where(used[:, None], ratios[:, moves.added] - of_rows, 0)
    leaving = jnp.where(used, ratios[:, :, moves.rows], 0)
    ratios = ratios - leaving @ (inverse @ entering)
    is_known = is_trusted & moves.is_known
    ratios = jnp.where(is_known[:, None, None], ratios, jnp.nan)
    weights = cache.weights * _determinant(moves.block)
    occupied = jnp.diff(cache.before, append=fermions)
    (modes,) = occupied.nonzero(size=fermions)
    # Rows are sorted by their modes again
    row = jnp.where(used, moves.rows, fermions)
    modes = modes.at[row].set(moves.added, mode="drop")
    order = modes.argsort()
    before = jnp.searchsorted(modes[order], np.arange(cache.before.shape[0]))
    return _Determinants(
        ratios[:, :, order], weights / weights.sum(), before.astype(np.int32)
    )


def _slots(chosen: Any, sites: Any, slots: int) -> Any:
    """Return the first so many of the chosen sites, 0 after the last: (slots,)."""
    place = jnp.cumsum(chosen) - 1
    here = chosen & (place == np.arange(slots)[:, None])
    return jnp.where(here, sites, 0).sum(axis=1)


def _determinant(block: Any) -> Any:
    """Return the determinants of (.., K, K), for the few K of an operator."""
    match block.shape[-1]:
        case 0:
            return jnp.ones(block.shape[:-2], block.dtype)
        case 1:
            return block[..., 0, 0]
        case 2:
            straight = block[..., 0, 0] * block[..., 1, 1]
            return straight - block[..., 0, 1] * block[..., 1, 0]
        case _:
            return jnp.linalg.det(block)


def _is_odd(before: Any, removed: Any, added: Any, used: Any) -> Any:
    """Return whether an odd permutation sorts the modes, the moves made in turn."""
    crossed = jnp.zeros((), np.int32)
    for move in range(removed.shape[0]):
        low = jnp.minimum(removed[move], added[move])
        high = jnp.maximum(removed[move], added[move])
        between = before[high] - before[low] - (low == removed[move])
        for earlier in range(move):
            between -= (low < removed[earlier]) & (removed[earlier] < high)
            between += (low < added[earlier]) & (added[earlier] < high)
        crossed += jnp.where(used[move], between, 0)
    return crossed % 2 == 1


def _sectors(model: Any) -> tuple[int, ...]:
    hilbert = model.hilbert
    if model.generalized:
        return (hilbert.n_fermions,)
    return tuple(hilbert.n_fermions_per_spin)


def _orbitals(model: Any, parameters: Any) -> Any:
    """Return the orbitals of all modes, (N, F): 0 in the sectors of others."""
    if model.generalized:
        return parameters["M"]
    sectors = _sectors(model)
    if model.restricted:
        return block_diag(*[parameters["M"]] * len(sectors))
    return block_diag(*(parameters[f"M_{i}"] for i in range(len(sectors))))


def _slater_init(model: Any, parameters: Any, x: Any) -> _Determinants:
    orbitals = _orbitals(model, parameters["params"])[None]
    return _determinants(orbitals, _sectors(model), x, logarithms=False)


def _multi_slater_init(model: Any, parameters: Any, x: Any) -> _Determinants:
    (each,) = parameters["params"].values()
    orbitals = jax.vmap(partial(_orbitals, model))(each)
    return _determinants(orbitals, _sectors(model), x, logarithms=True)


def _slater_delta(
    model: Any, parameters: Any, cache: _Determinants, sites: Any, old: Any, new: Any
) -> Any:
    return _log_ratio(cache, len(_sectors(model)), sites, old, new)


def _slater_commit(
    model: Any, parameters: Any, cache: _Determinants, sites: Any, old: Any, new: Any
) -> _Determinants:
    return _committed(cache, len(_sectors(model)), sites, old, new)


# endregion

_Function = Callable[..., Any]
_FUNCTIONS: dict[Any, tuple[_Function, _Function, _Function]] = {
    Jastrow: (_jastrow_init, _jastrow_delta, _jastrow_commit),
    Slater2nd: (_slater_init, _slater_delta, _slater_commit),
    MultiSlater2nd: (_multi_slater_init, _slater_delta, _slater_commit),
}
DELTAS = {model: Delta(*functions) for model, functions in _FUNCTIONS.items()}
"""Deltas by the class of a model. NetKet has no model with a Pfaffian."""
