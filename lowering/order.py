"""The order in which values can be computed: operands first."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from xdsl.ir import Operation, SSAValue


def _operands(op: Operation) -> Iterable[SSAValue]:
    return op.operands


def operands_first(
    root: SSAValue,
    needs: Callable[[Operation], Iterable[SSAValue]] = _operands,
    known: Container[SSAValue] = (),
) -> list[SSAValue]:
    """Return what a value is computed from, operands first, and the value itself.

    `needs` says what an op is computed from; values that are `known` are left out, and
    what only they need. There is no recursion: expressions may be deep.
    """
    order: dict[SSAValue, None] = {}
    stack = [(root, False)]
    while stack:
        value, expanded = stack.pop()
        if value in order or value in known:
            continue
        if expanded:
            order[value] = None
            continue
        stack.append((value, True))
        if isinstance(value.owner, Operation):
            stack.extend((operand, False) for operand in needs(value.owner))
    return list(order)
