"""Expressions that are integers of 32 bits, whatever the configuration is.

Site numbers, ends of ranges and indices of tables that are such are computed exactly.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from symir.language.expressions import (
    Apply,
    Constant,
    Expr,
    Node,
    SiteNumber,
    postorder,
)

Bounds = tuple[int, int]

_LIMIT = 2**30
"""Half of what 32 bits hold, so that a step of a division does not overflow."""


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "neg": operator.neg,
    "abs": abs,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": np.floor_divide,
    "mod": operator.mod,
    "minimum": np.minimum,
    "maximum": np.maximum,
}
"""Functions that take whole numbers to whole numbers, be they in arrays."""


def bounds_of(root: Expr, sites: int) -> Bounds | None:
    """Return bounds of an expression that is an integer of 32 bits, else None."""
    bounds: dict[int, Bounds] = {}
    for node in postorder(root):
        found = _bounds(node, bounds, sites)
        if found is None or found[0] < -_LIMIT or found[1] > _LIMIT:
            return None
        bounds[id(node)] = found
    return bounds[id(root)]


def _bounds(node: Node, bounds: dict[int, Bounds], sites: int) -> Bounds | None:
    match node:
        case Constant(int(value)):
            return value, value
        case SiteNumber():
            return 0, sites - 1
        case Apply(function, arguments) if function in FUNCTIONS:
            return _of_function(function, [bounds[id(part)] for part in arguments])
        case _:
            return None


def _of_function(function: str, parts: list[Bounds]) -> Bounds | None:
    low, high = parts[-1]
    if function in ("floordiv", "mod") and low <= 0 <= high:
        return None
    if function == "mod":
        return (0, high - 1) if low > 0 else (low + 1, 0)
    # What is left is monotonic in each argument, or |a| and so on either side of 0
    corners = [int(FUNCTIONS[function](*corner)) for corner in product(*parts)]
    if function == "abs" and low <= 0 <= high:
        corners.append(0)
    return min(corners), max(corners)
