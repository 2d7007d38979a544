"""Differences of an additive function of x: what changes of x add to its elements.

They are found once for all parameters, as rows of a table: of an affine function by its
linear part, applied to the change; of another by its values at each site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from xdsl.builder import Builder
from xdsl.dialects.builtin import AnyFloat, FunctionType, f64, i1, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.rewriter import InsertPoint

from dialects.stablehlo import dot, element_of, gather_rows, shape_of, tensor
from lowering.arrays import Array, array
from lowering.change.form_analysis import analyse, is_linear
from lowering.change.forms import Same
from lowering.change.known_rules import rule_of
from lowering.change.rules import Images
from lowering.energy.extraction import returned
from lowering.functions import applied, batched
from lowering.rewriting import Inserter


@dataclass(frozen=True, eq=False)
class Steps:
    """Changes of x that tables have a row of.

    Attributes:
        rows: x' - x, (rows, N).
        values: the V local values that a site can have.
        writes: sites, old and new values, each (rows, K), where they are known; -1 for
            no site.
    """

    rows: npt.NDArray[np.float64]
    values: tuple[float, ...]
    writes: tuple[npt.NDArray[np.int64], ...] | None = None


def changes(
    insert: Inserter, function: FuncOp, leaves: Sequence[Array], steps: Steps
) -> Array:
    """Return what steps add to the elements of a function, (rows, M)."""
    count = len(steps.rows)
    if is_linear(function):
        linear = linear_part(function)
        kind = element_of(linear.body.block.args[-1])
        lanes = array(insert, steps.rows[:, None, :], kind)
        found = applied(insert, batched(linear, count), [*leaves, lanes])
        return found.reshape(count, -1)
    table = by_value(insert, function, leaves, steps)
    values = np.asarray(steps.values)
    if steps.writes is None:
        # Of two values the step says which
        weights = array(insert, steps.rows / (values[1] - values[0]), table.element)
        sites, _, units = table.shape
        both = table.transpose(1, 0, 2)
        before, after = (both.slice(n, n + 1).reshape(sites, units) for n in (0, 1))
        raised = after - before
        return raised.of(dot(weights.value, raised.value))
    sites, old, new = steps.writes
    numbers = [np.abs(one[..., None] - values).argmin(axis=-1) for one in (old, new)]
    flat = table.reshape(-1, table.shape[2])
    index = insert_index(insert, sites, numbers, len(values))
    before, after = (flat.of(gather_rows(flat.value, one.value)) for one in index)
    inside = array(insert, (sites >= 0)[..., None], i1)
    change = after - before
    return inside.broadcast(change.shape, range(3)).where(change, 0).sum(1)


def insert_index(
    insert: Inserter,
    sites: npt.NDArray[np.int64],
    numbers: Sequence[npt.NDArray[np.int64]],
    count: int,
) -> list[Array]:
    """Return rows of a table by site and value, of writes: (rows, K) each."""
    here = np.maximum(sites, 0) * count
    return [array(insert, here + number, i32) for number in numbers]


def by_value(
    insert: Inserter, function: FuncOp, leaves: Sequence[Array], steps: Steps
) -> Array:
    """Return a function of x with each value at each site, (N, V, M).

    At all other sites is the first of the values.
    """
    x = function.body.block.args[-1]
    size, count = shape_of(x)[-1], len(steps.values)
    configurations = np.full((size, count, size), steps.values[0])
    here = np.arange(size)
    configurations[here, :, here] = steps.values
    flat = configurations.reshape(-1, *shape_of(x))
    given = array(insert, flat, element_of(x))
    found = applied(insert, batched(function, size * count), [*leaves, given])
    return found.reshape(size, count, -1)


# region The linear part


def linear_part(function: FuncOp) -> FuncOp:
    """Return A x of a function A x + b, of a real x; it is in no module.

    Differences of integers may be too large for their type: they are f64.
    """
    known = analyse(function)
    *leaves, x = function.body.block.args
    kind = element_of(x) if isinstance(element_of(x), AnyFloat) else f64
    block = Block(
        arg_types=[*(leaf.type for leaf in leaves), tensor(kind, shape_of(x))]
    )
    now: dict[SSAValue, SSAValue] = dict(zip((*leaves, x), block.args, strict=True))
    insert = Inserter(Builder(InsertPoint.at_end(block)), function.location)
    for op in function.body.block.ops:
        if isinstance(op, ReturnOp):
            continue
        if all(isinstance(known[one], Same) for one in op.results):
            insert.add_op(op.clone(now))
            continue
        fixed = [isinstance(known[one], Same) for one in op.operands]
        rule = rule_of(op)
        assert rule is not None
        now[op.results[0]] = rule.image(op, Images(insert, fixed, now))
    result = now[returned(function)]
    insert.add_op(ReturnOp(result))
    type_of = FunctionType.from_lists([a.type for a in block.args], [result.type])
    return FuncOp("linear_part", type_of, Region(block), visibility="private")


# endregion
