"""Sums over lanes of a product of functions of x at two sites, as a matrix product.

    sum_l w_l f(x[s_l]) g(x[t_l])   is   sum_n f(x[n]) y[n],   y = g(x) W,

where W[m, n] is the sum of all w_l with s_l = n and t_l = m: two gathers per lane
become one product with a matrix of the lattice. With one function there is no matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import AnyFloat, ComplexType
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import bt
from dialects.reductions import ReductionKind
from dialects.stablehlo import (
    ConvertOp,
    MultiplyOp,
    NegateOp,
    constant,
    constant_of,
    convert,
    dtype_of,
    element_of,
    shape_of,
    tensor,
)
from lowering.analysis.site_wise import SiteWiseAnalysis, is_regular

# Nanoseconds on a CPU; their ratios decide, and are much the same elsewhere
_LANE, _WEIGHTED_LANE, _PRODUCT = 1.5, 7.5, 0.2

Array = npt.NDArray[Any]


@dataclass
class _Factors:
    """Factors of the summand of a lane."""

    weights: Array
    images: list[tuple[SSAValue, Array]] = field(
        default_factory=list[tuple[SSAValue, Array]]
    )
    """Each image with the site of each lane."""
    is_weighted: bool = False


def _factors(value: SSAValue, analysis: SiteWiseAnalysis) -> _Factors | None:
    """Take a value of all lanes apart; None where a factor is something else."""
    lanes = shape_of(value)[1]
    dtype = dtype_of(element_of(value))
    found = _Factors(np.ones(lanes, dtype))
    stack = [value]
    while stack:
        current = stack.pop()
        op = current.owner
        match op:
            case MultiplyOp():
                stack += [op.rhs, op.lhs]
            case NegateOp():
                found.weights = -found.weights
                stack.append(op.operand)
            case ConvertOp() if dtype_of(element_of(op.operand)).kind == "f":
                stack.append(op.operand)
            case _:
                if not _is_factor(current, found, analysis):
                    return None
    return found


def _is_factor(value: SSAValue, found: _Factors, analysis: SiteWiseAnalysis) -> bool:
    """Add a factor to those that were found; returns whether that is possible."""
    lanes = found.weights.shape
    weights = _constant_lanes(value)
    if weights is not None:
        found.weights = found.weights * weights
        found.is_weighted = found.is_weighted or bool(
            (weights != weights.flat[0]).any()
        )
        return bool(np.isfinite(weights).all())
    form = analysis.of(value)
    if form is None or len(form.pieces) != 1 or not form.pieces[0].is_image:
        return False
    if not is_regular(form.pieces[0].value):
        return False
    table = np.broadcast_to(form.table, lanes)
    inside = bool(((table >= 0) & (table < analysis.sites)).all())
    found.images.append((form.pieces[0].value, table))
    return inside and len(found.images) <= 2


def _constant_lanes(value: SSAValue) -> Array | None:
    """Return a constant, or one that is repeated for all samples."""
    op = value.owner
    if isinstance(op, bt.BroadcastOp):
        last = len(shape_of(value)) - 1
        if list(op.dims.get_values()) in ([], [last]):
            return constant_of(op.operand)
    return constant_of(value)


def _is_cheaper(found: _Factors, sites: int) -> bool:
    lanes = len(found.weights) * (_WEIGHTED_LANE if found.is_weighted else _LANE)
    products = sites * sites if len(found.images) == 2 else sites
    return _PRODUCT * products < lanes


def as_bilinear(op: bt.ReduceOp, analysis: SiteWiseAnalysis) -> SSAValue | None:
    """Return a sum over lanes as a form of images; None where that is not cheaper.

    What is needed is inserted where the analysis inserts. Sums are of floating-point or
    complex numbers; in another order they are rounded differently.
    """
    shape, element = shape_of(op.operand), element_of(op.operand)
    if (
        op.kind.data is not ReductionKind.SUM
        or shape[:1] != (bt.BATCH,)
        or len(shape) != 2
    ):
        return None
    if dtype_of(element).kind not in "fc" or not shape[1]:
        return None
    found = _factors(op.operand, analysis)
    if found is None or not found.images or not _is_cheaper(found, analysis.sites):
        return None
    if np.iscomplexobj(found.weights) and np.imag(found.weights).any():
        return None
    real = _real(element)
    return _Building(analysis, real, element).run(found)


def _real(element: Attribute) -> Attribute:
    if not isinstance(element, ComplexType):
        return element
    return cast(ComplexType[AnyFloat], element).element_type


@dataclass
class _Building:
    """Inserts a bilinear form."""

    analysis: SiteWiseAnalysis
    real: Attribute
    element: Attribute

    def run(self, found: _Factors) -> SSAValue:
        """Return the sum, (batch)."""
        sites, weights = self.analysis.sites, np.real(found.weights)
        factors = [self._as_real(image) for image, _ in found.images]
        if len(factors) == 1:
            column = np.zeros(sites)
            np.add.at(column, found.images[0][1], weights)
            factors.append(self._repeated(column))
        else:
            matrix = np.zeros((sites, sites))
            (_, first), (_, second) = found.images
            np.add.at(matrix, (second, first), weights)
            factors[1] = self._add(bt.DotOp(factors[1], self._constant(matrix)))
        product = reduce(lambda a, b: self._add(MultiplyOp(a, b)), factors)
        total = self._add(bt.ReduceOp(ReductionKind.SUM, product))
        if self.element == self.real:
            return total
        return self._add(convert(total, self.element))

    def _as_real(self, value: SSAValue) -> SSAValue:
        if element_of(value) == self.real:
            return value
        return self._add(convert(value, self.real))

    def _constant(self, array: Array) -> SSAValue:
        return self._add(constant(array, self.real))

    def _repeated(self, column: Array) -> SSAValue:
        wide = tensor(self.real, (bt.BATCH, len(column)))
        return self._add(bt.BroadcastOp(self._constant(column), [1], wide))

    def _add(self, op: Operation) -> SSAValue:
        return self.analysis.at.add(op)
