"""Arguments that are entries of arrays, which are read where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.builder import Builder
from xdsl.dialects.builtin import TensorType, i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import gather_rows, shape_of, tensor
from lowering.arrays import Array, array
from lowering.rewriting import Inserter


def index_arguments(function: FuncOp, size: int, numbers: Sequence[int]) -> None:
    """Let arguments be (size, ..) and a last argument say which entry is meant."""
    block = function.body.block
    entry = block.insert_arg(tensor(i32), len(block.args))
    insert = Inserter(Builder(InsertPoint.at_start(block)), function.location)
    for argument in [block.args[number] for number in numbers]:
        old = cast(TensorType[Attribute], argument.type)
        shape = old.get_shape()
        whole = Rewriter.replace_value_with_new_type(
            argument, tensor(old.element_type, (size, *shape))
        )
        uses = list(whole.uses)
        one = Array(whole, insert).at(Array(entry, insert))
        for use in uses:
            use.operation.operands[use.index] = one.value
    PatternRewriteWalker(_ReadRows(), apply_recursively=False).rewrite_region(
        function.body
    )
    function.update_function_type()


class _ReadRows(RewritePattern):
    """Read a row of an entry from the rows of all entries: one read in place of two.

    XLA's gathers take longer the more numbers say where, hence rows are numbered
    through.

    %0 = stablehlo.dynamic_slice %all, %n, %zero, %zero, sizes = [1, 2, 4]
    %1 = stablehlo.reshape %0 : (tensor<1x2x4xf64>) -> tensor<2x4xf64>
    %2 = stablehlo.dynamic_slice %1, %k, %zero, sizes = [1, 4]
    becomes
    %3 = stablehlo.reshape %all : (tensor<9x2x4xf64>) -> tensor<18x4xf64>
    %4 = stablehlo.multiply %n, %two : tensor<i32>
    %5 = stablehlo.add %4, %k : tensor<i32>
    %2 = stablehlo.dynamic_slice %3, %5, %zero, sizes = [1, 4]
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self,
        op: hlo.DynamicSliceOp | hlo.SliceOp | hlo.GatherOp,
        rewriter: PatternRewriter,
    ) -> None:
        entry = op.operands[0].owner
        if not isinstance(entry, hlo.ReshapeOp):
            return
        read = entry.operand.owner
        if not isinstance(read, hlo.DynamicSliceOp):
            return
        whole, number, *_ = read.operands
        if isinstance(op, hlo.GatherOp):
            self._gathered(op, whole, number, rewriter)
            return
        (count, *rows), (length, *rest) = shape_of(whole), shape_of(op.results[0])
        if rows != list(shape_of(entry.result)) or length != 1 or rest != rows[1:]:
            return
        insert = Inserter(rewriter, op.location)
        if isinstance(op, hlo.SliceOp):
            start = cast(Any, op.start_indices.get_values())[0]
            row = array(insert, start, i32)
        else:
            row = Array(op.operands[1], insert)
        place = Array(number, insert) * rows[0] + row
        flat = Array(whole, insert).reshape(count * rows[0], *rest)
        rewriter.replace(op, [], [flat.part(place, 1).value])

    def _gathered(
        self,
        op: hlo.GatherOp,
        whole: SSAValue,
        number: SSAValue,
        rewriter: PatternRewriter,
    ) -> None:
        (count, *rows), places = shape_of(whole), op.start_indices
        alike = gather_rows(op.operand, places)
        if rows != list(shape_of(op.operand)) or alike.properties != op.properties:
            return
        insert = Inserter(rewriter, op.location)
        first = Array(number, insert) * rows[0]
        at = Array(places, insert) + first.broadcast(shape_of(places), [])
        flat = Array(whole, insert).reshape(count * rows[0], *rows[1:])
        rewriter.replace(op, gather_rows(flat.value, at.value))
