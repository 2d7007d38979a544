"""Ranges of integers that values may be, whatever x is: a lattice for xDSL's solver.

What a function reads of x is between the bounds of `bt.assume`, where x is stored as
integers; from there the range of every sum, product and choice follows. A value has a
range if it is an integer for every x and exact in its type. Expects `bt-specialize`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from xdsl.analysis.dataflow import ChangeResult, DataFlowSolver, ProgramPoint
from xdsl.analysis.dead_code_analysis import Executable
from xdsl.analysis.sparse_analysis import (
    PropagatingLattice,
    SparseForwardDataFlowAnalysis,
)
from xdsl.context import Context
from xdsl.dialects.builtin import AnyFloat, ComplexType, IntegerType, TensorType, i1
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.reductions import ReductionKind
from dialects.stablehlo import constant_of, dtype_of, element_of, shape_of

WIDTHS = (8, 16, 32)


class IntegerRange(NamedTuple):
    """The integers that a value may be, whatever x is."""

    low: int
    high: int
    is_minus_zero: bool = False
    """Whether floating-point numbers might make it -0."""

    @property
    def size(self) -> int:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def has_zero(self) -> bool:
        """Whether 0 is among them."""
        return self.low <= 0 <= self.high

    @property
    def width(self) -> int | None:
        """The bits of the narrowest type that holds it, if any does."""
        for width in WIDTHS:
            # -128 is left out, so that signs can be turned
            if self.size < 2 ** (width - 1):
                return width
        return None


def hull(*ranges: IntegerRange) -> IntegerRange:
    """Return the least range that holds all of some."""
    return IntegerRange(
        min(one.low for one in ranges),
        max(one.high for one in ranges),
        any(one.is_minus_zero for one in ranges),
    )


ARITHMETIC = (
    hlo.AbsOp,
    hlo.AddOp,
    hlo.MaximumOp,
    hlo.MinimumOp,
    hlo.MultiplyOp,
    hlo.NegateOp,
    hlo.SelectOp,
    hlo.SubtractOp,
    bt.ReduceOp,
)
"""Ops that compute, and do in a narrower type as well."""

_SAME = (hlo.ConvertOp, hlo.FloorOp, hlo.CeilOp, bt.BroadcastOp)
"""Ops that leave an integer what it is."""


# region The lattice


class RangeLattice(PropagatingLattice):
    """The integers that a value may be: none yet, those of a range, or not known."""

    is_reached: bool = False
    found: IntegerRange | None = None

    def reach(self, found: IntegerRange | None) -> ChangeResult:
        """Add the integers of a range; with None nothing is known any more."""
        if self.is_reached:
            known = [one for one in (found, self.found) if one is not None]
            found = hull(*known) if len(known) == 2 else None
            if found == self.found:
                return ChangeResult.NO_CHANGE
        self.is_reached, self.found = True, found
        return ChangeResult.CHANGE

    def join(self, other: RangeLattice) -> ChangeResult:
        return self.reach(other.found) if other.is_reached else ChangeResult.NO_CHANGE

    def meet(self, other: RangeLattice) -> ChangeResult:
        raise NotImplementedError("ranges follow the flow of data only")

    def __str__(self) -> str:
        return str(self.found) if self.is_reached else "not reached"


class IntegerRangeAnalysis(SparseForwardDataFlowAnalysis[RangeLattice]):
    """The analysis of one function without control flow.

    Args:
        solver: the solver that it is loaded into.
        bounds: the range of what is read of x.
    """

    def __init__(self, solver: DataFlowSolver, bounds: IntegerRange):
        super().__init__(solver, RangeLattice)
        self.bounds = bounds

    def initialize(self, op: Operation) -> None:
        # Functions have one block, and are called
        for region in op.regions:
            for block in region.blocks:
                start = ProgramPoint.at_start_of_block(block)
                self.get_or_create_state(start, Executable).set_to_live()
        super().initialize(op)

    def set_to_entry_state(self, lattice: RangeLattice) -> None:
        self.propagate_if_changed(lattice, lattice.reach(None))

    def visit_operation_impl(
        self,
        op: Operation,
        operands: list[RangeLattice],
        results: list[RangeLattice],
    ) -> None:
        if not all(operand.is_reached for operand in operands):
            return
        found = self._range(op, [operand.found for operand in operands])
        if found is not None and not _is_held(found, element_of(op.results[0])):
            found = None
        for result in results:
            self.propagate_if_changed(result, result.reach(found))

    def _range(
        self, op: Operation, operands: list[IntegerRange | None]
    ) -> IntegerRange | None:
        """Return the range of the result of an op, None where it is not known."""
        value = op.results[0]
        if not isinstance(value.type, TensorType):
            return None
        array = constant_of(value)
        if array is not None:
            return _range_of(array)
        if not _is_number(element_of(value)):
            return None
        if isinstance(op, bt.GatherOp):
            return self.bounds
        if isinstance(op, hlo.ConvertOp) and element_of(op.operand) == i1:
            return IntegerRange(0, 1)
        if not isinstance(op, (*ARITHMETIC, *_SAME)):
            return None
        numbers = operands[1:] if isinstance(op, hlo.SelectOp) else operands
        known = [number for number in numbers if number is not None]
        return _combined(op, known) if len(known) == len(numbers) else None


def integer_ranges(
    function: FuncOp, bounds: IntegerRange
) -> dict[SSAValue, IntegerRange]:
    """Return the ranges of the results of ops that are integers for every x."""
    solver = DataFlowSolver(Context())
    analysis = solver.load(IntegerRangeAnalysis, bounds)
    solver.initialize_and_run(function)
    values = (value for op in function.body.block.ops for value in op.results)
    found = {value: analysis.get_lattice_element(value).found for value in values}
    return {value: one for value, one in found.items() if one is not None}


# endregion
# region What ops make of ranges


def _range_of(array: npt.NDArray[Any]) -> IntegerRange | None:
    if not array.size or array.dtype == np.bool_:
        return None
    if np.iscomplexobj(array):
        if np.imag(array).any():
            return None
        array = np.real(array)
    if not np.isfinite(array).all() or (array != np.round(array)).any():
        return None
    is_minus_zero = bool((np.signbit(array) & (array == 0)).any())
    return IntegerRange(int(array.min()), int(array.max()), is_minus_zero)


def _combined(op: Operation, known: list[IntegerRange]) -> IntegerRange | None:
    """Return the range of a result, given those of the operands."""
    one, other = known[0], known[-1]
    match op:
        case hlo.AddOp():
            minus_zero = one.is_minus_zero and other.is_minus_zero
            return IntegerRange(one.low + other.low, one.high + other.high, minus_zero)
        case hlo.SubtractOp():
            low, high = one.low - other.high, one.high - other.low
            return IntegerRange(low, high, one.is_minus_zero)
        case hlo.MultiplyOp():
            return _product(one, other)
        case hlo.NegateOp():
            return IntegerRange(-one.high, -one.low, one.has_zero)
        case hlo.MaximumOp():
            return IntegerRange(
                max(one.low, other.low), max(one.high, other.high), True
            )
        case hlo.MinimumOp():
            return IntegerRange(
                min(one.low, other.low), min(one.high, other.high), True
            )
        case hlo.AbsOp():
            return IntegerRange(0, one.size)
        case bt.ReduceOp():
            return _sum(op, one)
        case _:  # a choice, or a number that stays what it is
            return hull(*known)


def _product(one: IntegerRange, other: IntegerRange) -> IntegerRange:
    ends = [a * b for a in one[:2] for b in other[:2]]
    is_signed = any(k.low < 0 or k.is_minus_zero for k in (one, other))
    is_minus_zero = is_signed and (one.has_zero or other.has_zero)
    return IntegerRange(min(ends), max(ends), is_minus_zero)


def _sum(op: bt.ReduceOp, one: IntegerRange) -> IntegerRange | None:
    if op.kind.data is not ReductionKind.SUM:
        return None
    count = shape_of(op.operand)[-1]
    return IntegerRange(min(0, count * one.low), max(0, count * one.high))


def _is_held(found: IntegerRange, element: Attribute) -> bool:
    """Whether integers of i32 and an element type hold a range, exactly."""
    if found.width is None:
        return False
    dtype = dtype_of(element)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min <= found.low and found.high <= info.max
    return found.size < 2 ** np.finfo(dtype).nmant


def _is_number(element: Attribute) -> bool:
    return element != i1 and isinstance(element, AnyFloat | ComplexType | IntegerType)


# endregion
