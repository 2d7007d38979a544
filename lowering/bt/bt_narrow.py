"""`bt-narrow`: compute with small integers where all numbers are small integers.

Configurations of integers hold few and small ones, which `bt.assume` says, and
`integer_ranges` follows them through a function. What is an integer whatever x is, and
was exact, is computed in the narrowest of i8, i16 and i32 that holds it, and converted
once, at the end:

    f64 gather, f64 gather, f64 multiply, f64 reduce
    i8 gather, i8 gather, i8 multiply, i16 reduce, one conversion

Runs after `bt-specialize`, for configurations of integers only: real ones may be
differentiated. The sign of zero is lost; where a function could see it, by a division
for example, nothing that may be -0 is touched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    AnyFloat,
    ComplexType,
    IntegerType,
    ModuleOp,
    TensorType,
    i1,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue, Use
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import (
    constant,
    constant_of,
    convert,
    element_of,
    shape_of,
    tensor,
)
from lowering.analysis.integer_ranges import (
    ARITHMETIC,
    IntegerRange,
    hull,
    integer_ranges,
)
from lowering.bt.lanes import behind_broadcasts
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter, rewrite_once


@dataclass
class _Integers:
    """Knowledge of the values of one function, before anything of it is rewritten.

    Attributes:
        ranges: of the values that are integers whatever x is, and exact.
        needed: values that something computes with that is not narrow.
        narrowed: values in the narrowest type, where that was asked for.
        compared: the number of comparisons that compare narrow integers now.
    """

    function: FuncOp
    bounds: IntegerRange
    needed: set[SSAValue] = field(default_factory=set[SSAValue])
    narrowed: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    compared: int = 0

    def __post_init__(self) -> None:
        ops = [op for op in self.function.body.block.ops if op.results]
        self.ranges = integer_ranges(self.function, self.bounds)
        self.sees_sign = any(map(_sees_sign_of_zero, ops))
        for op in reversed(ops):
            value = op.results[0]
            if any(self.needs_real(use) for use in value.uses):
                self.needed.add(value)

    def remark(self) -> None:
        """Say how much is narrow now, and what keeps its type."""
        widths = Counter(
            _width(new)
            for old, new in self.narrowed.items()
            if isinstance(old.owner, ARITHMETIC)
        )
        kinds = [f"{count} as i{width}" for width, count in sorted(widths.items())]
        compared = [f"{self.compared} comparisons"] if self.compared else []
        if kinds or compared:
            done = ", ".join([*kinds, *compared])
            remark(f"small integers are computed in narrow types: {done}")
            return
        remark(
            "nothing that is computed is known to be small integers",
            done=False,
            hint="only what follows from local values and constants that are integers, "
            "without parameters, is",
            at=self.function,
        )

    # region Uses

    def needs_real(self, use: Use) -> bool:
        """Whether a use of a value is not one by narrow arithmetic."""
        user = use.operation
        match user:
            case hlo.CompareOp():
                return not self.compares_integers(user)
            case bt.BranchesOp() | bt.ImagesOp():
                return use.index not in _places_of_values(user)
            case _ if not user.results or user.results[0] not in self.ranges:
                return True
            case _ if isinstance(user, ARITHMETIC):
                return False
            case _:
                return user.results[0] in self.needed

    def compares_integers(self, op: hlo.CompareOp) -> bool:
        """Whether a comparison is one of integers, not all of which are narrow yet."""
        if not all(operand in self.ranges for operand in op.operands):
            return False
        return not all(map(_is_integer, op.operands))

    # endregion
    # region Narrow values

    def narrow(self, value: SSAValue) -> SSAValue:
        """Return an integer as one of the narrowest type."""
        stack = [value]
        while stack:
            current = stack[-1]
            if current in self.narrowed:
                stack.pop()
                continue
            op = cast(Operation, current.owner)
            needed = [n for n in _numbers(op) if n not in self.narrowed]
            if needed:
                stack.extend(needed)
                continue
            self.narrowed[current] = self._rebuilt(op)
            stack.pop()
        return self.narrowed[value]

    def _rebuilt(self, op: Operation) -> SSAValue:
        value = op.results[0]
        at = Inserter.before(op)
        width = cast(int, self.ranges[value].width)
        own = IntegerType(width)
        array = constant_of(value)
        if array is not None:
            return at.add(constant(np.real(array), own))
        if isinstance(op, bt.GatherOp):
            gathered = bt.GatherOp(
                op.config, op.sites, own, per_sample=op.is_per_sample
            )
            return at.add(gathered)
        operands = [self.narrowed[number] for number in _numbers(op)]
        if isinstance(op, hlo.ConvertOp | hlo.FloorOp | hlo.CeilOp):
            (operand,) = operands or [op.operands[0]]
            return _as_integer(operand, width, at)
        # What it is computed from has to fit in as well
        widest = max([width, *[_width(operand) for operand in operands]])
        operands = [_as_integer(operand, widest, at) for operand in operands]
        if isinstance(op, bt.BroadcastOp):
            wide = tensor(IntegerType(widest), shape_of(value))
            result = at.add(bt.BroadcastOp(operands[0], op.dims.get_values(), wide))
        elif isinstance(op, bt.ReduceOp):
            result = at.add(bt.ReduceOp(op.kind.data, operands[0]))
        else:
            predicate = [op.pred] if isinstance(op, hlo.SelectOp) else []
            result = at.add(
                type(op).create(
                    operands=[*predicate, *operands],
                    result_types=[tensor(IntegerType(widest), shape_of(value))],
                    properties=op.properties.copy(),
                )
            )
        return _as_integer(result, width, at)

    # endregion


@dataclass
class _OfIntegers(RewritePattern):
    """Base of the patterns: each asks what is known of the values of a function."""

    known: _Integers


class CompareIntegers(_OfIntegers):
    """Integers are compared in one narrow type.

    %p = stablehlo.compare GT, %a, %b : (tensor<4x7xf64>, tensor<4x7xf64>) -> ..
    becomes, with %a and %b computed as %c and %d
    %p = stablehlo.compare GT, %c, %d : (tensor<4x7xi8>, tensor<4x7xi8>) -> ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: hlo.CompareOp, rewriter: PatternRewriter) -> None:
        known = self.known
        if not known.compares_integers(op):
            return
        ranges = [known.ranges[value] for value in op.operands]
        width = cast(int, hull(*ranges).width)
        at = Inserter(rewriter, op.location)
        for place, value in enumerate(op.operands):
            op.operands[place] = _as_integer(known.narrow(value), width, at)
        known.compared += 1
        rewriter.notify_op_modified(op)


class WriteIntegers(_OfIntegers):
    """Integers of x' are written as integers: converting from reals is dear.

    %b = bt.branches [%i] = [%v] .. : [tensor<7xi32>] [tensor<4x7xf64>] ..
    becomes, with %v computed as %w
    %b = bt.branches [%i] = [%w] .. : [tensor<7xi32>] [tensor<4x7xi8>] ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.LeafOp, rewriter: PatternRewriter) -> None:
        for place in _places_of_values(op):
            value = op.operands[place]
            if value in self.known.ranges and not _is_integer(value):
                op.operands[place] = self.known.narrow(value)
                rewriter.notify_op_modified(op)


class ConvertAtTheEnd(_OfIntegers):
    """A small integer that something else needs is converted, once.

    %a = bt.gather %x[%i] : .. -> tensor<4x7xf64>
    %b = stablehlo.multiply %a, %a : tensor<4x7xf64>
    %c = bt.reduce sum %b : tensor<4x7xf64> -> tensor<4xf64>
    becomes, if x is -1 or 1
    %a = bt.gather %x[%i] : .. -> tensor<4x7xi8>
    %b = stablehlo.multiply %a, %a : tensor<4x7xi8>
    %s = bt.reduce sum %b : tensor<4x7xi8> -> tensor<4xi8>
    %c = stablehlo.convert %s : (tensor<4xi8>) -> tensor<4xf64>
    """

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        known = self.known
        if not isinstance(op, ARITHMETIC) or not self._is_root(op.results[0]):
            return
        value = op.results[0]
        narrow = known.narrow(value)
        new = _as_number(narrow, element_of(value), Inserter(rewriter, op.location))
        known.narrowed[new] = narrow  # for users that become narrow nevertheless
        for use in [use for use in value.uses if known.needs_real(use)]:
            use.operation.operands[use.index] = new
            rewriter.notify_op_modified(use.operation)

    def _is_root(self, value: SSAValue) -> bool:
        """Whether a result is best converted here: something else needs it."""
        known, found = self.known, self.known.ranges.get(value)
        if found is None or _is_integer(value) or value not in known.needed:
            return False
        return not (known.sees_sign and found.is_minus_zero)


def _sees_sign_of_zero(op: Operation) -> bool:
    """Whether an op has another result for -0 than for 0, which is not -0 again."""
    if isinstance(op, hlo.DivideOp):
        divisor = constant_of(behind_broadcasts(op.rhs))
        return divisor is None or not divisor.all()
    if not isinstance(op.results[0].type, TensorType):
        return False
    if isinstance(element_of(op.results[0]), ComplexType):
        return isinstance(op, hlo.SqrtOp | hlo.LogOp | hlo.PowerOp)
    return isinstance(op, hlo.PowerOp | hlo.Atan2Op | hlo.RsqrtOp | hlo.ComplexOp)


def _places_of_values(op: bt.LeafOp) -> range:
    return range(len(op.written), 2 * len(op.written))


def _numbers(op: Operation) -> list[SSAValue]:
    """Return the operands of an op that are narrowed with it."""
    if isinstance(op, bt.GatherOp) or not op.operands:
        return []
    if isinstance(op, hlo.ConvertOp) and element_of(op.operand) == i1:
        return []
    return list(op.operands[1:] if isinstance(op, hlo.SelectOp) else op.operands)


def _is_integer(value: SSAValue) -> bool:
    return isinstance(element_of(value), IntegerType)


def _width(value: SSAValue) -> int:
    return cast(IntegerType, element_of(value)).width.data


def _as_integer(value: SSAValue, width: int, at: Inserter) -> SSAValue:
    if element_of(value) == IntegerType(width):
        return value
    return at.add(convert(value, IntegerType(width)))


def _as_number(value: SSAValue, element: Attribute, at: Inserter) -> SSAValue:
    """Return integers as real or complex numbers."""
    if isinstance(element, ComplexType):
        real = cast(ComplexType[AnyFloat], element).element_type
        value = at.add(convert(value, real))
    return at.add(convert(value, cast(Attribute, element)))


def _bounds_of(function: FuncOp) -> IntegerRange | None:
    """Return the range of local values, where they are stored as small integers."""
    known = bt.assumptions(function)
    bounds = None if known is None else known.bounds
    if known is None or bounds is None:
        remark(
            "the bounds of the local values are not known here",
            done=False,
            hint="compile with opt_level=3, or any coalesce: it helps where the local "
            "values are integers",
            at=function,
        )
        return None
    if not _is_integer(known.config):
        remark(
            "x holds real numbers, which may be differentiated",
            done=False,
            hint="give x a dtype of integers, such as int8",
            at=function,
        )
        return None
    low, high = bounds.get_values()
    found = IntegerRange(low, high)
    if found.width is None:
        remark("local values do not fit into 32 bits", done=False, at=function)
        return None
    return found


@dataclass(frozen=True)
class BtNarrowPass(ModulePass):
    """Compute integers as integers of few bits. Expects `bt-specialize`."""

    name = "bt-narrow"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in op.walk():
            if not isinstance(function, FuncOp) or not function.body.blocks:
                continue
            bounds = _bounds_of(function)
            if bounds is None:
                continue
            known = _Integers(function, bounds)
            rewrite_once(
                function.body,
                CompareIntegers(known),
                WriteIntegers(known),
                ConvertAtTheEnd(known),
            )
            known.remark()
