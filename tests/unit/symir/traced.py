"""Ops that do not know where in the user's code they come from."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp

from symir.provenance import place_of


def untraced(module: ModuleOp) -> list[str]:
    """Return the names of ops without a place, but for the module and its function."""
    counted = [
        op for op in module.walk() if not isinstance(op, ModuleOp | FuncOp | ReturnOp)
    ]
    assert counted
    return [op.name for op in counted if place_of(op) is None]
