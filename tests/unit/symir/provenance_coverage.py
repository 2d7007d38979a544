"""How many ops of a module know where they come from."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp

from symir.provenance import place_of


@dataclass(frozen=True)
class Coverage:
    """Number of ops of a module that know where they come from.

    Attributes:
        traced: the number of ops with an origin that has a place in the user's code.
        total: the number of ops, but for the module and its function.
        missing: the names of the others, each as often as it occurs.
    """

    traced: int
    total: int
    missing: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """Fraction of the ops that is traced, from 0 to 1."""
        return self.traced / self.total if self.total else 1.0

    def __str__(self) -> str:
        shown = f"{self.traced} of {self.total} ops ({100 * self.fraction:g} %)"
        missing = ", ".join(sorted(set(self.missing)))
        return f"{shown}; not {missing}" if missing else shown


def coverage(module: ModuleOp) -> Coverage:
    """Return how many ops of a module at any level trace back to the user's code."""
    counted = [
        op for op in module.walk() if not isinstance(op, ModuleOp | FuncOp | ReturnOp)
    ]
    missing = [op.name for op in counted if place_of(op) is None]
    return Coverage(len(counted) - len(missing), len(counted), tuple(missing))
