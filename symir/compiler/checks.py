"""Checks of configurations against the space, and of matrix elements for NaN.

Some configurations are always looked at; `get_conn_padded(x, checked=True)` looks at
all, and at the matrix elements. The kernel marks what it cannot answer for by NaN. Why
a sample has one is found out by the reference interpreter, which names the term and the
values.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from dialects import sym
from dialects.interpreters.sym import Branch, branches
from symir.errors import InputError, SymirError
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import Space, as_space

Array = npt.NDArray[Any]


class Checked(Protocol):
    """An operator of any backend."""

    @property
    def name(self) -> str: ...

    @property
    def hilbert(self) -> Any: ...


_VALUES = 2048
"""Local values of a batch that are looked at each time; it takes about 10 us."""


def check_some_states(
    operator: Checked,
    space: Space,
    x: Array,
    dtype: npt.DTypeLike | None = None,
    *,
    is_part: bool = False,
) -> None:
    """Raise where one of some configurations has a value that its site cannot have.

    x has shape (..., N) and any real dtype that holds the local values. They are
    evenly spaced from the first to the last one. Constraints of the space are not
    looked at. `dtype` is that of what is computed with, where it is another one than
    that of x. With `is_part` x is a part of what the user gave, at an unknown place.

    `space` is that of the operator, or one that differs in its constraints only.

    Raises:
        InputError: with the first such configuration (R007).
    """
    if not x.size:
        return
    batch = x[None] if x.ndim == 1 else x
    rows = _some_rows(batch.shape[:-1], max(2, _VALUES // space.size))
    sample = on_host(batch[rows])
    if dtype is not None and sample.dtype != dtype:
        sample = on_host(sample.astype(dtype))
    inside = space.has_local_states(sample)
    if inside.all():
        return
    first = int(np.argmin(inside))
    is_named = not is_part and x.ndim > 1
    index = tuple(int(axis[first]) for axis in rows) if is_named else ()
    known = as_space(operator.hilbert)
    raise _outside(operator.name, known, index, sample[first])


@lru_cache(maxsize=64)
def _some_rows(shape: tuple[int, ...], count: int) -> tuple[Array, ...]:
    """Return the places of evenly spaced entries, first and last among them."""
    last = math.prod(shape) - 1
    chosen = np.linspace(0, last, min(count, last + 1)).astype(np.int64)
    return np.unravel_index(chosen, shape)


def on_host(x: npt.ArrayLike) -> Array:
    """Return configurations as an array that NumPy can compute with."""
    states = np.asarray(x)
    return states if states.dtype.kind in "iuf" else states.astype(np.float64)


def as_configurations(operator: str, space: Space, x: npt.ArrayLike) -> Array:
    """Return configurations x (.., N) of a space as an array (B, N), B > 0.

    Raises:
        InputError: for an x of another shape (S007) or dtype (S008), and for the first
            configuration that the space does not have (R007).
    """
    try:
        array = np.asarray(x)
        if array.size:
            check_states(operator, space, array)
            return array.reshape(-1, space.size)
        found = f"shape {array.shape}"
    except SymirError as error:
        error.operator = operator
        raise
    except ValueError as error:
        found = str(error)
    raise InputError(
        "S007",
        "x is no array of configurations",
        operator=operator,
        expected=f"shape (.., {space.size}), with at least one configuration",
        found=found,
    )


def check_states(operator: str, space: Space, x: Array) -> None:
    """Raise where a configuration is none of the space of the operator.

    x has shape (..., N).

    Raises:
        InputError: with the first such configuration (R007).
    """
    inside = space.contains(x)
    if inside.all():
        return
    index = tuple(np.argwhere(~inside)[0].tolist())
    raise _outside(operator, space, index, x[index])


def _outside(
    operator: str, space: Space, index: tuple[int, ...], configuration: Array
) -> InputError:
    site, where = wrong_site(space, configuration), ""
    if site is not None:
        where = f", with {_choice(space.local_states_at(site))} at site {site}"
    return InputError(
        "R007",
        "x holds a configuration that the space does not have",
        operator=operator,
        expected=f"a configuration of {space!r}{where}",
        found=f"x{_at(index)} = {_listed(configuration)}",
    )


def check_elements(
    ir: SymbolicOperatorIR,
    space: Space,
    x: Array,
    elements: Array,
    parameters: Mapping[str, complex],
) -> None:
    """Raise where a matrix element is NaN, and say why.

    x has shape (..., N) and `elements`, as the kernel returned them, (..., K).

    Raises:
        InputError: where a term has more valid branches than its fanout promises
            (R008), a branch leaves the constraints of the space (R010), or an amplitude
            is NaN (R009).
    """
    has_nan = np.isnan(elements).any(axis=-1)
    if not has_nan.any():
        return
    index = tuple(np.argwhere(has_nan)[0].tolist())
    module = ir.module
    operator = cast(sym.OperatorOp, module.body.block.first_op)
    promised = {term.sym_name.data: term.lanes for term in operator.terms}
    for term in operator.terms:
        term.fanout = None
    found = [b for b in branches(operator, x[index], parameters) if b.valid]
    _check_fanouts(ir, x, index, found, promised)
    _check_inside(ir, space, x, index, found)
    lane = next((b for b in found if np.isnan(b.amplitude)), None)
    raise InputError(
        "R009",
        "a matrix element is not a number",
        operator=ir.operator_name,
        term=None if lane is None else lane.term,
        emission=None if lane is None else f"emit{lane.emission}",
        found=f"NaN at x{_at(index)} = {_listed(x[index])}",
    )


def _check_fanouts(
    ir: SymbolicOperatorIR,
    x: Array,
    index: tuple[int, ...],
    found: list[Branch],
    promised: Mapping[str, int],
) -> None:
    for term, count in Counter(branch.term for branch in found).items():
        if count <= promised[term]:
            continue
        raise InputError(
            "R008",
            f"the term has more valid branches than fanout({promised[term]}) promises",
            operator=ir.operator_name,
            term=term,
            expected=f"at most {promised[term]} valid branches",
            found=f"{count} at x{_at(index)} = {_listed(x[index])}",
            hint=f"fanout({count}) at least, or no fanout at all",
        )


def _check_inside(
    ir: SymbolicOperatorIR,
    space: Space,
    x: Array,
    index: tuple[int, ...],
    found: list[Branch],
) -> None:
    for branch in found:
        if space.contains(branch.config):
            continue
        raise InputError(
            "R010",
            "a branch leaves the constraints of the space",
            operator=ir.operator_name,
            term=branch.term,
            emission=f"emit{branch.emission}",
            expected=f"a configuration of {space!r}",
            found=f"x{_at(index)} = {_listed(x[index])}, "
            f"x' = {_listed(branch.config)} from row {branch.row}",
            hint="DOperator(.., projected=True) drops such branches",
        )


def wrong_site(space: Space, x: Array) -> int | None:
    """Return the first site of a configuration with a value that it cannot have."""
    # Floats are what their dtype makes of a local value, as in `Space.contains`
    exact = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    known = (np.array(space.local_states_at(site), exact) for site in range(len(x)))
    wrong = (k for k, states in enumerate(known) if x[k] not in states)
    return next(wrong, None)


def _choice(states: tuple[float, ...]) -> str:
    shown = [f"{value:g}" for value in states[:8]]
    return " or ".join(shown) + (" or .." if len(states) > 8 else "")


def _at(index: tuple[int, ...]) -> str:
    return str(list(index)) if index else ""


def _listed(x: Array) -> str:
    values = [f"{value:g}" for value in x[:64].tolist()]
    return f"[{', '.join(values)}{', ..' if len(x) > 64 else ''}]"
