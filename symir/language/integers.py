"""Expressions that are integers of 32 bits, whatever the configuration is.

Site numbers, ends of ranges and indices of tables that are such are computed exactly.
"""

from __future__ import annotations

from collections.abc import Callable

from symir.language.expressions import (
    Apply,
    Constant,
    Expr,
    Node,
    SiteNumber,
    postorder,
)

__all__ = ["bounds_of"]

Bounds = tuple[int, int]

_LIMIT = 2**30
"""Half of what 32 bits hold, so that a step of a division does not overflow."""


def _negative(a: Bounds) -> Bounds:
    return -a[1], -a[0]


def _absolute(a: Bounds) -> Bounds:
    low, high = sorted((abs(a[0]), abs(a[1])))
    return (0 if a[0] <= 0 <= a[1] else low), high


def _sum(a: Bounds, b: Bounds) -> Bounds:
    return a[0] + b[0], a[1] + b[1]


def _difference(a: Bounds, b: Bounds) -> Bounds:
    return _sum(a, _negative(b))


def _product(a: Bounds, b: Bounds) -> Bounds:
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def _quotient(a: Bounds, b: Bounds) -> Bounds | None:
    if b[0] <= 0 <= b[1]:
        return None
    corners = [x // y for x in a for y in b]
    return min(corners), max(corners)


def _rest(_: Bounds, b: Bounds) -> Bounds | None:
    if b[0] <= 0 <= b[1]:
        return None
    return (0, b[1] - 1) if b[0] > 0 else (b[0] + 1, 0)


def _minimum(a: Bounds, b: Bounds) -> Bounds:
    return min(a[0], b[0]), min(a[1], b[1])


def _maximum(a: Bounds, b: Bounds) -> Bounds:
    return max(a[0], b[0]), max(a[1], b[1])


_FUNCTIONS: dict[str, Callable[..., Bounds | None]] = {
    "neg": _negative,
    "abs": _absolute,
    "add": _sum,
    "sub": _difference,
    "mul": _product,
    "floordiv": _quotient,
    "mod": _rest,
    "minimum": _minimum,
    "maximum": _maximum,
}


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
        case Apply(function, arguments) if function in _FUNCTIONS:
            return _FUNCTIONS[function](*[bounds[id(part)] for part in arguments])
        case _:
            return None
