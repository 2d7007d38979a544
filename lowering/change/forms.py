"""Forms of the values of a wavefunction under a change of x: a lattice.

From below, where a form says most:

| form | a value |
|---|---|
| same | does not depend on x |
| sites | each element is a function of x at one site, such as a one-hot code |
| added | each element is a sum of functions of one site each, such as a dense layer |
| elementwise | one scalar function of the elements of an added value, its root |
| new | anything else, with the first op that made it so, and why |

Nothing is matched: a dense layer, a convolution, a symmetrised layer, a Fourier
transform and what is written by hand are all added, since they are linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt
from xdsl.ir import SSAValue

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Same:
    """A value without x.

    Attributes:
        is_splat: whether all of its elements are equal.
    """

    is_splat: bool = False

    def __str__(self) -> str:
        return "same"


@dataclass(frozen=True, eq=False)
class Sites:
    """A value of which each element is a function of x at one site.

    Attributes:
        sites: the site of each element, -1 where it is constant.
        affine: whether these functions are affine.
    """

    sites: Array
    affine: bool

    def __str__(self) -> str:
        return "sites" + ", affine" * self.affine


@dataclass(frozen=True)
class Added:
    """A value of which each element is a sum of functions of one site each.

    Attributes:
        root: the value that it is a scalar function of, mostly itself: that of -z is z.
        affine: whether these functions are affine.
    """

    root: SSAValue
    affine: bool

    def __str__(self) -> str:
        return "added" + ", affine" * self.affine


@dataclass(frozen=True)
class Elementwise:
    """A scalar function of the elements of a root.

    Its change is closed where that function has an addition theorem: see
    `ACTIVATIONS`.

    Attributes:
        root: an added value, or one of sites.
        affine: whether that is affine.
        order: how its elements have been reordered since, op by op.
    """

    root: SSAValue
    affine: bool
    order: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "elementwise"


@dataclass(frozen=True)
class New:
    """A value that is found anew: why, and the op that made it so."""

    reason: str
    op: str

    def __str__(self) -> str:
        return f"new: {self.reason}, at '{self.op}'"


Form: TypeAlias = Same | Sites | Added | Elementwise | New


def is_added(one: Form) -> bool:
    """Whether a value is a sum of functions of one site each, and depends on x."""
    return isinstance(one, Added | Sites)


def is_affine(one: Form) -> bool:
    """Whether a value is affine in x, or what it is a function of."""
    return isinstance(one, Same) or (not isinstance(one, New) and one.affine)


def root_of(value: SSAValue, one: Form) -> SSAValue | None:
    """Return the added value that a value is a scalar function of."""
    match one:
        case Added(root=root) | Elementwise(root=root):
            return root
        case Sites():
            return value
        case _:
            return None
