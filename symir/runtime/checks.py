"""What `get_conn_padded(x, checked=True)` looks at: slow, on the host, and exact.

The kernel marks what it cannot answer for by NaN. Why a sample has one is found out by
the reference interpreter, which names the term and the values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from dialects import sym
from dialects.interpreters.sym import Branch, branches
from symir.errors import InputError
from symir.ir import SymbolicOperatorIR
from symir.spaces import Space

Array = npt.NDArray[Any]


def check_states(ir: SymbolicOperatorIR, space: Space, x: Array) -> None:
    """Raise where a configuration is none of the space of the operator.

    x has shape (..., N).

    Raises:
        InputError: with the first such configuration (R007).
    """
    inside = space.contains(x)
    if inside.all():
        return
    index = tuple(np.argwhere(~inside)[0].tolist())
    raise InputError(
        "R007",
        "x holds a configuration that the space does not have",
        operator=ir.operator_name,
        expected=f"a configuration of {space!r}",
        found=f"x{_at(index)} = {_listed(x[index])}",
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


def _at(index: tuple[int, ...]) -> str:
    return str(list(index)) if index else ""


def _listed(x: Array) -> str:
    values = [f"{value:g}" for value in x[:64].tolist()]
    return f"[{', '.join(values)}{', ..' if len(x) > 64 else ''}]"
