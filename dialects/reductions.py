"""The ways to combine values over sites, which `sym` and `bt` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation
from xdsl.utils.str_enum import StrEnum

from dialects.stablehlo import AddOp, AndOp, MultiplyOp, OrOp, XorOp

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Combination:
    """The table of a reduction.

    Attributes:
        neutral: the value over no site at all.
        combine: how it takes one more value, in NumPy.
        op: the same as an op.
        combines_numbers: whether it is of numbers; the others are of predicates.
    """

    neutral: float
    combine: Callable[[Array, Array], Array]
    op: Callable[..., Operation]
    combines_numbers: bool = False


class ReductionKind(StrEnum):
    """Kind of a reduction, by which values over sites are combined."""

    SUM = "sum"
    PROD = "prod"
    ANY = "any"
    ALL = "all"
    PARITY = "parity"

    @property
    def combination(self) -> Combination:
        """Row of the table of combinations."""
        return _COMBINATIONS[self]

    @property
    def combines_numbers(self) -> bool:
        """Whether it is of numbers; the others are of predicates."""
        return self.combination.combines_numbers


_COMBINATIONS = {
    ReductionKind.SUM: Combination(0, np.add, AddOp, combines_numbers=True),
    ReductionKind.PROD: Combination(1, np.multiply, MultiplyOp, combines_numbers=True),
    ReductionKind.ANY: Combination(False, np.logical_or, OrOp),
    ReductionKind.ALL: Combination(True, np.logical_and, AndOp),
    ReductionKind.PARITY: Combination(False, np.logical_xor, XorOp),
}
