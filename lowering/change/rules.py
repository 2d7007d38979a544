"""Rules of change: what an op makes of changes of its operands, one class per op."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from xdsl.ir import Operation, SSAValue

from dialects.stablehlo import dtype_of, element_of, shape_of
from lowering.arrays import Array, array
from lowering.change.cones import View
from lowering.change.forms import Form, New, Same
from lowering.rewriting import Inserter, op_name

Fixed: TypeAlias = Callable[[SSAValue], Array]
"""Where an op reads a value without x."""


@dataclass(frozen=True)
class Images:
    """Changes of the operands of an op.

    Attributes:
        insert: where to.
        fixed: whether each operand is without x.
        now: the changes of values, and values without x.
    """

    insert: Inserter
    fixed: Sequence[bool]
    now: dict[SSAValue, SSAValue]

    def array(self, value: SSAValue) -> Array:
        return Array(self.now[value], self.insert)


class ChangeRule(ABC):
    """What an op makes of changes of its operands.

    Attributes:
        names: of the ops that it is the rule of.
        forms: that its results have, if they are not new; affine where operands are.
        cost: multiplications of a change in its cone, at most: of m positions that
            change, K that are combined, C channels before and D behind. f is a scalar
            function, g to gather a number, r to read one of x behind a mask. Empty
            without a cone.
        reads_lost: whether `cone` takes values of which no node is known.
    """

    names: ClassVar[Sequence[str]]
    forms: ClassVar[Sequence[str]] = ("sites, affine", "added, affine", "elementwise")
    cost: ClassVar[str] = ""
    reads_lost: ClassVar[bool] = False

    @abstractmethod
    def form(self, op: Operation, forms: Sequence[Form]) -> Form:
        """Return the form of the results, of which one operand at least is not same.

        None of the operands is new: what follows from these is new.
        """

    def cone(self, op: Operation, views: Sequence[Any]) -> View | str:
        """Return the result as elements of a node, given operands that depend on x.

        Each is a `View`, None without x, or `Lost` to rules that read such ones. A text
        says why there is no cone.
        """
        return f"'{op_name(op)}' has no cone"

    def factors(self, op: Operation) -> Sequence[int]:
        """Return the numbers of operands that the op multiplies by, or selects by.

        All others without x are added by an affine op.
        """
        return ()

    def image(self, op: Operation, images: Images) -> SSAValue:
        """Return what an affine op makes of changes: without what it adds."""
        factors = self.factors(op)
        operands = [
            _zeros(images.insert, value)
            if is_fixed and number not in factors
            else images.now[value]
            for number, (value, is_fixed) in enumerate(
                zip(op.operands, images.fixed, strict=True)
            )
        ]
        mapped = dict(zip(op.operands, operands, strict=True))
        new = op.clone({**images.now, **mapped})
        images.insert.add_op(new)
        return new.results[0]

    def has_cotangent(self, op: Operation) -> bool:
        """Whether `cotangent` is there for the op."""
        return type(self).cotangent is not ChangeRule.cotangent

    def cotangent(
        self, op: Operation, number: int, cotangent: Array, fixed: Fixed
    ) -> Array:
        """Return the cotangent of an operand of an affine op, by that of the result.

        Nothing asks for it where `has_cotangent` says no.
        """
        raise NotImplementedError(f"'{op_name(op)}' has no cotangent")


def _zeros(insert: Inserter, value: SSAValue) -> SSAValue:
    return array(insert, np.zeros(shape_of(value)), element_of(value)).value


def new(op: Operation, reason: str) -> New:
    """Return the form of what an op makes anew."""
    return New(reason, op_name(op))


def is_fixed(one: Form) -> bool:
    """Whether a value does not depend on x."""
    return isinstance(one, Same)


def is_inexact(value: SSAValue) -> bool:
    """Whether a value is of floating-point numbers: integers wrap."""
    return dtype_of(element_of(value)).kind in "fc"
