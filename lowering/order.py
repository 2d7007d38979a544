"""What values are computed from: in the order that they can be computed in."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects.stablehlo import AndOp


def conjuncts(predicate: SSAValue | None) -> list[SSAValue]:
    """Return what all has to hold for a predicate to hold, in order, each once."""
    found: dict[SSAValue, None] = {}
    stack = [] if predicate is None else [predicate]
    while stack:
        current = stack.pop()
        if isinstance(current.owner, AndOp):
            stack += [current.owner.rhs, current.owner.lhs]
        else:
            found[current] = None
    return list(found)


def captured(op: Operation) -> list[SSAValue]:
    """Return the values from outside that the regions of an op use."""
    if not op.regions:
        return []
    inner = [one for region in op.regions for one in region.walk()]
    own = {result for one in inner for result in one.results}
    own |= {
        argument
        for holder in (op, *inner)
        for region in holder.regions
        for block in region.blocks
        for argument in block.args
    }
    used = dict.fromkeys(value for one in inner for value in one.operands)
    return [value for value in used if value not in own]


def _operands(op: Operation) -> Iterable[SSAValue]:
    return [*op.operands, *captured(op)] if op.regions else op.operands


def operands_first(
    root: SSAValue,
    needs: Callable[[Operation], Iterable[SSAValue]] = _operands,
    known: Container[SSAValue] = (),
) -> list[SSAValue]:
    """Return what a value is computed from, operands first, and the value itself.

    What the regions of an op use from outside of them is needed like an operand.

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
