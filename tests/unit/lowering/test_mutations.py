# ruff: noqa: E501
"""Valid IR of every level, corrupted in one place: verification sees each corruption.

A mutation replaces a piece of text, or edits the parsed module where no text can say
what is wrong. At `sym` it is met as an operator that a user hands over; at every level
as what a pass leaves behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, cast

import pytest
from xdsl.context import Context
from xdsl.dialects import arith, test
from xdsl.dialects.builtin import (
    ArrayAttr,
    BytesAttr,
    DenseIntOrFPElementsAttr,
    FileLineColLoc,
    IntAttr,
    ModuleOp,
    NameLoc,
    StringAttr,
    UnitAttr,
    f32,
    f64,
    i1,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.irdl import IRDLOperation
from xdsl.passes import ModulePass

from dialects import bt, stablehlo, sym
from dialects.tables import LocalSpace, RowTable, SiteSets, SiteSum
from dialects.text import Parser, context
from symir.compiler.lowering import OPERATOR_PIPELINE, LoweringPipeline
from symir.errors import DefinitionError, SymbolicCompilerError
from symir.operator.ir import SymbolicOperatorIR

FILE = "model.py"

SYM = """
sym.operator @hop(%t "t" : tensor<f64> = dense<1.0>, %u "u" : tensor<f64>)
    space #sym.space<4 x [0, 1, 2], sum = 3> element f64 {
  sym.term @bulk over #sym.rows<[0, 1], [1, 2], [2, 3]>
      data [#sym.column<"J", dense<[1.0, 2.0, 3.0]> : tensor<3xf64>>]
      sets [#sym.sets<[0, 1], [2], [3]>] fanout 5 {
  ^bb0(%x : !sym.config, %i : !sym.site, %j : !sym.site, %J : tensor<f64>,
       %s : !sym.sites):
    %zero = stablehlo.constant dense<0.0> : tensor<f64>
    %one = stablehlo.constant dense<1.0> : tensor<f64>
    %a = stablehlo.constant dense<1> : tensor<i32>
    %n = sym.read %x[%i] : tensor<f64>
    %p = stablehlo.compare GT, %n, %zero : (tensor<f64>, tensor<f64>) -> tensor<i1>
    %y = sym.write %x[%i], %one : tensor<f64>
    %z = sym.shift %y[%j] by %one : tensor<f64>
    %w = sym.permute %z[%i, %j]
    %c = sym.select %p, %w, %z
    %q = sym.lookup dense<[0.5, 1.0]> : tensor<2xf64> at %a : tensor<i32> -> tensor<f64>
    %r = sym.reduce sum from %a to %a : tensor<f64> {
    ^bb1(%h : !sym.site):
      %v = sym.read %x[%h] : tensor<f64>
      sym.yield %v : tensor<f64>
    }
    %b = stablehlo.multiply %J, %r : tensor<f64>
    sym.emit %c, %b if %p : tensor<f64>
    sym.emit %x, %t : tensor<f64>
  }
  sym.term @field over #sym.rows<[0], [3]> {
  ^bb0(%x : !sym.config, %i : !sym.site):
    sym.emit %x, %u : tensor<f64>
  }
}
"""

BT = """
func.func @hop(%x : tensor<?x4x!bt.state>, %t : tensor<f64>)
    -> (tensor<?x7x4x!bt.state>, tensor<?x7xf64>) {
  %i = stablehlo.constant dense<[0, 1, 2]> : tensor<3xi32>
  %j = stablehlo.constant dense<[1, 2, 3]> : tensor<3xi32>
  %J = stablehlo.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf64>
  %h = stablehlo.constant dense<[[0, 1], [2, -1], [3, -1]]> : tensor<3x2xi32>
  %n = bt.gather %x[%i] : (tensor<?x4x!bt.state>, tensor<3xi32>) -> tensor<?x3xf64>
  %m = bt.gather %x[%h] : (tensor<?x4x!bt.state>, tensor<3x2xi32>) -> tensor<?x3x2xf64>
  %r = bt.reduce sum %m : tensor<?x3x2xf64> -> tensor<?x3xf64>
  %l = bt.broadcast %J dims = [1] : tensor<3xf64> -> tensor<?x3xf64>
  %a = stablehlo.multiply %l, %r : tensor<?x3xf64>
  %p = stablehlo.compare GT, %n, %l : (tensor<?x3xf64>, tensor<?x3xf64>) -> tensor<?x3xi1>
  %b = bt.branches[%i, %j] = [%t, %n] amplitude %a valid %p : [tensor<3xi32>, tensor<3xi32>] [tensor<f64>, tensor<?x3xf64>] tensor<?x3xf64>, tensor<?x3xi1> -> !bt.branches<3 x 2>
  %d = bt.branches[] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<3 x 0>
  %e = bt.interleave %b, %d : !bt.branches<3 x 2>, !bt.branches<3 x 0> -> !bt.branches<6 x 2>
  %f = bt.compact %e : !bt.branches<6 x 2> -> !bt.branches<5 x 2>
  %g = bt.branches[] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<2 x 0>
  %k = bt.concat %f, %g : !bt.branches<5 x 2>, !bt.branches<2 x 0> -> !bt.branches<7 x 2>
  %y, %z = bt.connections %x, %k : (tensor<?x4x!bt.state>, !bt.branches<7 x 2>) -> (tensor<?x7x4x!bt.state>, tensor<?x7xf64>)
  func.return %y, %z : tensor<?x7x4x!bt.state>, tensor<?x7xf64>
}
"""

IMAGES = """
func.func @hop(%x : tensor<?x4x!bt.state>, %t : tensor<f64>)
    -> (tensor<?x3x4x!bt.state>, tensor<?x3xf64>) {
  %s = stablehlo.constant dense<[0, 1, 2, 3]> : tensor<4xi32>
  %m = stablehlo.constant dense<[[true, false, false, true], [false, true, false, false]]> : tensor<2x4xi1>
  %J = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf64>
  %q = stablehlo.constant dense<[true, false]> : tensor<2xi1>
  %n = bt.gather %x[%s] : (tensor<?x4x!bt.state>, tensor<4xi32>) -> tensor<?x4xf64>
  %v = stablehlo.negate %n : tensor<?x4xf64>
  %b = bt.images[%m, %m] = [%t, %v] amplitude %J valid %q : [tensor<2x4xi1>, tensor<2x4xi1>] [tensor<f64>, tensor<?x4xf64>] tensor<2xf64>, tensor<2xi1> -> !bt.branches<2 x 4>
  %d = bt.branches[] = [] amplitude %t : [] [] tensor<f64> -> !bt.branches<1 x 0>
  %k = bt.concat %d, %b : !bt.branches<1 x 0>, !bt.branches<2 x 4> -> !bt.branches<3 x 4>
  %y, %z = bt.connections %x, %k : (tensor<?x4x!bt.state>, !bt.branches<3 x 4>) -> (tensor<?x3x4x!bt.state>, tensor<?x3xf64>)
  func.return %y, %z : tensor<?x3x4x!bt.state>, tensor<?x3xf64>
}
"""

KERNEL = """
func.func @hop(%x : tensor<2x4xi8>, %t : tensor<f64>)
    -> (tensor<2x3x4xi8>, tensor<2x3xf64>) {
  %i = stablehlo.constant dense<[0, 2, 3]> : tensor<3xi32>
  %zero = stablehlo.constant dense<0.0> : tensor<f64>
  %s = stablehlo.slice %x [0:2, 0:3] : (tensor<2x4xi8>) -> tensor<2x3xi8>
  %g = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>}> : (tensor<2x4xi8>, tensor<3xi32>) -> tensor<2x3xi8>
  %own = stablehlo.broadcast_in_dim %i, dims = [1] : (tensor<3xi32>) -> tensor<2x3xi32>
  %each = "stablehlo.gather"(%x, %own) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2>, slice_sizes = array<i64: 1, 1>}> : (tensor<2x4xi8>, tensor<2x3xi32>) -> tensor<2x3xi8>
  %n = stablehlo.convert %g : (tensor<2x3xi8>) -> tensor<2x3xf64>
  %o = stablehlo.broadcast_in_dim %t, dims = [] : (tensor<f64>) -> tensor<2x3xf64>
  %p = stablehlo.compare GT, %n, %o : (tensor<2x3xf64>, tensor<2x3xf64>) -> tensor<2x3xi1>
  %a = stablehlo.multiply %n, %o : tensor<2x3xf64>
  %b = stablehlo.abs %a : tensor<2x3xf64>
  %r = stablehlo.reshape %b : (tensor<2x3xf64>) -> tensor<2x3x1xf64>
  %c = stablehlo.concatenate %r, %r, dim = 2 : (tensor<2x3x1xf64>, tensor<2x3x1xf64>) -> tensor<2x3x2xf64>
  %d = stablehlo.reduce(%c init: %zero) across dimensions = [2] : (tensor<2x3x2xf64>, tensor<f64>) -> tensor<2x3xf64>
  reducer(%k : tensor<f64>, %l : tensor<f64>) {
    %m = stablehlo.add %k, %l : tensor<f64>
    stablehlo.return %m : tensor<f64>
  }
  %e = stablehlo.select %p, %d, %o : tensor<2x3xi1>, tensor<2x3xf64>
  %f = stablehlo.iota dim = 2 : tensor<2x3x4xi32>
  %h = stablehlo.broadcast_in_dim %i, dims = [1] : (tensor<3xi32>) -> tensor<2x3x4xi32>
  %q = stablehlo.compare EQ, %f, %h : (tensor<2x3x4xi32>, tensor<2x3x4xi32>) -> tensor<2x3x4xi1>
  %u = stablehlo.broadcast_in_dim %s, dims = [0, 1] : (tensor<2x3xi8>) -> tensor<2x3x4xi8>
  %v = stablehlo.broadcast_in_dim %each, dims = [0, 1] : (tensor<2x3xi8>) -> tensor<2x3x4xi8>
  %w = stablehlo.clamp %u, %v, %u : tensor<2x3x4xi8>
  %y = stablehlo.select %q, %u, %w : tensor<2x3x4xi1>, tensor<2x3x4xi8>
  func.return %y, %e : tensor<2x3x4xi8>, tensor<2x3xf64>
}
"""

BASES = {"sym": SYM, "bt": BT, "images": IMAGES, "stablehlo": KERNEL}

Edit = Callable[[ModuleOp], None]


class Mutation(NamedTuple):
    """A corruption of the valid IR of a level.

    Attributes:
        name: what is corrupted.
        level: the level whose base it corrupts.
        edit: a text and what replaces it, or what edits the parsed module.
        fragment: what the error says of it.
        code: the code at `sym`, where it is handed over as an operator; None where
            such an operator cannot even be made.
        of_pass: the code where a pass leaves it behind, or fails to; None for a text
            that has no IR.
    """

    name: str
    level: str
    edit: tuple[str, str] | Edit
    fragment: str
    code: str | None = "D029"
    of_pass: str | None = "C001"


# region Editing modules


def find(module: ModuleOp, name: str, number: int = 0) -> Operation:
    return [op for op in module.walk() if op.name == name][number]


def retype(name: str, kind: Any, number: int = 0, *, result: int = 0) -> Edit:
    """Give a result of an op another type."""

    def edit(module: ModuleOp) -> None:
        value = find(module, name, number).results[result]
        value._type = kind  # pyright: ignore[reportPrivateUsage]

    return edit


def fed(name: str, operand: int, by: str, which: int = 0, *, number: int = 0) -> Edit:
    """Let an operand of an op be the result of another op."""

    def edit(module: ModuleOp) -> None:
        value = find(module, by, which).results[0]
        find(module, name, number).operands[operand] = value

    return edit


def reproperty(name: str, key: str, value: Any, number: int = 0) -> Edit:
    """Give an op another property; None takes it away."""

    def edit(module: ModuleOp) -> None:
        properties = find(module, name, number).properties
        if value is None:
            del properties[key]
        else:
            properties[key] = value

    return edit


def space(*arguments: Any) -> Edit:
    """Give the operator another space; one that is none cannot be made."""
    return lambda module: reproperty(
        "sym.operator", "space", sym.SpaceAttr(LocalSpace(*arguments))
    )(module)


def term_argument(module: ModuleOp, term: int, argument: int) -> SSAValue:
    found = cast(sym.TermOp, find(module, "sym.term", term))
    return found.body.block.args[argument]


def site_of_another_term(module: ModuleOp) -> None:
    find(module, "sym.read").operands[1] = term_argument(module, 1, 1)


def source_of_another_term(module: ModuleOp) -> None:
    find(module, "sym.emit", 2).operands[0] = term_argument(module, 0, 0)


def value_of_another_term(module: ModuleOp) -> None:
    value = find(module, "sym.lookup").results[0]
    find(module, "sym.emit", 2).operands[1] = value


def site_of_a_reduction_outside(module: ModuleOp) -> None:
    reduction = cast(sym.ReduceOp, find(module, "sym.reduce"))
    find(module, "sym.write").operands[1] = reduction.body.block.args[0]


def value_of_a_reduction_outside(module: ModuleOp) -> None:
    find(module, "sym.emit").operands[1] = find(module, "sym.read", 1).results[0]


def cycle(name: str, operand: int) -> Edit:
    """Let an op use its own result."""

    def edit(module: ModuleOp) -> None:
        op = find(module, name)
        op.operands[operand] = op.results[0]

    return edit


def late(name: str, number: int = 0) -> Edit:
    """Move an op behind all others of its block, but for a terminator."""

    def edit(module: ModuleOp) -> None:
        op = find(module, name, number)
        block = op.parent
        assert block is not None
        assert block.last_op is not None
        last = block.last_op
        op.detach()
        if last.name == "func.return":
            block.insert_op_before(op, last)
        else:
            block.insert_op_after(op, last)

    return edit


def gone(name: str, number: int = 0) -> Edit:
    """Take an op out of its block and leave its uses."""
    return lambda module: find(module, name, number).detach()


def erased(module: ModuleOp) -> None:
    op = find(module, "sym.read")
    op.detach()
    op.erase(safe_erase=False)


def no_block(name: str) -> Edit:
    """Leave an op with an empty region."""
    return lambda module: find(module, name).regions[0].detach_block(0) and None


def two_blocks(name: str) -> Edit:
    def edit(module: ModuleOp) -> None:
        find(module, name).regions[0].add_block(Block())

    return edit


def empty_block(name: str) -> Edit:
    def edit(module: ModuleOp) -> None:
        block = find(module, name).regions[0].block
        for op in [*block.ops][::-1]:
            op.detach()

    return edit


def another_argument(name: str, kind: Any, number: int = 0) -> Edit:
    def edit(module: ModuleOp) -> None:
        block = find(module, name, number).regions[0].block
        block.insert_arg(kind, len(block.args))

    return edit


def inserted(new: Callable[[], Operation], before: str) -> Edit:
    def edit(module: ModuleOp) -> None:
        anchor, op = find(module, before), new()
        assert anchor.parent is not None
        op.location = anchor.location
        anchor.parent.insert_op_before(op, anchor)

    return edit


def two_columns_of_one_name(module: ModuleOp) -> None:
    term = cast(sym.TermOp, find(module, "sym.term"))
    (column,) = term.data_columns
    term.properties["columns"] = ArrayAttr([column, column])
    block = term.body.block
    block.insert_arg(stablehlo.tensor(f64), 4)


def return_shuffled(module: ModuleOp) -> None:
    values = find(module, "func.return")
    values.operands = values.operands[::-1]


def truncated_constant(module: ModuleOp) -> None:
    value = cast(stablehlo.ConstantOp, find(module, "stablehlo.constant")).value
    short = DenseIntOrFPElementsAttr(value.type, BytesAttr(value.data.data[:-1]))
    reproperty("stablehlo.constant", "value", short)(module)


# endregion
# region The table

NOT_DEFINED = "which is defined behind it or elsewhere"
HOLDS = "a term holds sym and elementwise StableHLO"
BELOW = "no level below sym has such an op"
DYNAMIC = "no axis but that of the batch is dynamic"
NUMBER = stablehlo.tensor(f64)
CUSTOM = "stablehlo.custom_call @f(%t) : (tensor<f64>) -> tensor<f64>"

# fmt: off
WRITTEN = [
    # Values where they are not defined
    Mutation("site of another term", "sym", site_of_another_term, NOT_DEFINED),
    Mutation("source of another term", "sym", source_of_another_term, NOT_DEFINED),
    Mutation("value of another term", "sym", value_of_another_term, NOT_DEFINED),
    Mutation("site of a reduction outside", "sym", site_of_a_reduction_outside, NOT_DEFINED),
    Mutation("value of a reduction outside", "sym", value_of_a_reduction_outside, NOT_DEFINED),
    Mutation("use before definition", "sym", late("sym.read"), NOT_DEFINED),
    Mutation("value of itself", "sym", cycle("sym.write", 0), NOT_DEFINED),
    Mutation("use of a detached op", "sym", gone("sym.read"), "defined out of its IsolatedFromAbove parent"),
    Mutation("use of an erased op", "sym", erased, "Erased SSA value"),
    Mutation("unknown label", "sym", ("sym.read %x[%i]", "sym.read %x[%k]"), "k", "D028", None),
    # Structure
    Mutation("no emission", "sym", ("sym.emit %x, %u : tensor<f64>", ""), "emits nothing"),
    Mutation("two terms of one name", "sym", ("@field", "@bulk"), "two terms are named @bulk"),
    Mutation("two parameters of one name", "sym", ('"u"', '"t"'), "share a name"),
    Mutation("two columns of one name", "sym", two_columns_of_one_name, "two data of term @bulk share a name"),
    Mutation("no body of a term", "sym", no_block("sym.term"), "expected a single block"),
    Mutation("two bodies of a reduction", "sym", two_blocks("sym.reduce"), "block"),
    Mutation("empty term", "sym", empty_block("sym.term"), "emits nothing"),
    Mutation("empty reduction", "sym", empty_block("sym.reduce"), "terminator"),
    Mutation("no yield", "sym", gone("sym.yield"), "terminator"),
    Mutation("emission outside", "sym", ("sym.term @field over #sym.rows<[0], [3]> {", "sym.term @field over #sym.rows<[0], [3]> { ^bb1: } sym.term @g over #sym.rows<[0], [3]> {"), "must have the block arguments"),
    Mutation("another argument of a term", "sym", another_argument("sym.term", sym.SiteType()), "must have the block arguments"),
    Mutation("another argument of a reduction", "sym", another_argument("sym.reduce", sym.SiteType()), "takes one site"),
    Mutation("another argument of an operator", "sym", another_argument("sym.operator", stablehlo.tensor(f64)), "3 parameters, 2 names, 2 defaults"),
    Mutation("a default too few", "sym", reproperty("sym.operator", "defaults", ArrayAttr([UnitAttr()])), "2 names, 1 defaults"),
    Mutation("a default of another type", "sym", reproperty("sym.operator", "defaults", ArrayAttr([stablehlo.dense(1.0, f32), UnitAttr()])), 'the default of parameter "t" has type tensor<f32>'),
    Mutation("no space", "sym", reproperty("sym.operator", "space", None), "no property 'space'"),
    Mutation("no rows", "sym", reproperty("sym.term", "rows", None), "rows"),
    Mutation("rows of another kind", "sym", reproperty("sym.term", "rows", StringAttr("all")), "rows"),
    Mutation("element that is no number", "sym", reproperty("sym.operator", "element", i32), "takes local values as tensor<i32>"),
    # Rows, data and sets
    Mutation("row outside of the lattice", "sym", ("[2, 3]>", "[2, 4]>"), "row 2 of term @bulk is [2, 4]"),
    Mutation("negative row", "sym", ("[2, 3]>", "[2, -1]>"), "row 2 of term @bulk is [2, -1]"),
    Mutation("ragged rows", "sym", ("[2, 3]>", "[2]>"), "rows of unequal length", "D028", None),
    Mutation("rows without their bytes", "sym", lambda m: reproperty("sym.term", "rows", sym.RowsAttr(RowTable(3, 2, b"")))(m), "cannot have 0 bytes", None, "C002"),
    Mutation("a column too short", "sym", ("dense<[1.0, 2.0, 3.0]> : tensor<3xf64>>", "dense<[1.0, 2.0]> : tensor<2xf64>>"), 'data "J" of term @bulk has shape [2]'),
    Mutation("a column of another type", "sym", ("tensor<3xf64>>", "tensor<3xf32>>"), "must have the block arguments"),
    Mutation("a set too few", "sym", ("[0, 1], [2], [3]", "[0, 1], [2]"), "site set 0 of term @bulk has 2 entries"),
    Mutation("a set outside of the lattice", "sym", ("[0, 1], [2], [3]", "[0, 1], [2], [4]"), "the site set of row 2"),
    Mutation("a set with a hole", "sym", lambda m: reproperty("sym.term", "sets", ArrayAttr([sym.SetsAttr(SiteSets(1, 2, b"\xff" * 4 + bytes(4)))]))(m), "padded at their ends only", None, "C002"),
    Mutation("fanout of none", "sym", ("fanout 5", "fanout 0"), "at least 1, got 0"),
    Mutation("negative fanout", "sym", ("fanout 5", "fanout -3"), "at least 1, got -3"),
    # The space
    Mutation("no site", "sym", ("4 x [0, 1, 2], sum = 3", "0 x [0, 1, 2]"), "at least one site", "D028", None),
    Mutation("no site, unparsed", "sym", space(0, ((0.0, 1.0),)), "at least one site", None, "C002"),
    Mutation("no local value", "sym", space(4, ((),)), "at least one local value", None, "C002"),
    Mutation("NaN local value", "sym", space(4, ((0.0, float("nan")),)), "must be finite", None, "C002"),
    Mutation("local values unsorted", "sym", ("[0, 1, 2]", "[0, 2, 1]"), "must ascend", "D028", None),
    Mutation("local values unsorted, unparsed", "sym", space(4, ((2.0, 1.0),)), "must ascend", None, "C002"),
    Mutation("local values twice", "sym", space(4, ((1.0, 1.0),)), "must ascend", None, "C002"),
    Mutation("lists for other sites", "sym", space(4, ((0.0, 1.0),) * 3), "4 sites, 3 lists", None, "C002"),
    Mutation("weights for other sites", "sym", space(4, ((0.0, 1.0),), (SiteSum((1.0,) * 3, 2.0),)), "4 sites, 3 weights", None, "C002"),
    Mutation("sum that is not finite", "sym", space(4, ((0.0, 1.0),), (SiteSum((1.0,) * 4, float("inf")),)), "must be finite", None, "C002"),
    Mutation("local values that fall together", "sym", (SYM, SYM.replace("f64", "f32").replace("[0, 1, 2],", "[1, 1.00000000001],")), "f32 cannot tell apart"),
    # Types
    Mutation("amplitude of another type", "sym", ("sym.emit %x, %u : tensor<f64>", "%k = stablehlo.constant dense<(1.0, 0.0)> : tensor<complex<f64>> sym.emit %x, %k : tensor<complex<f64>>"), "the amplitude has type tensor<complex<f64>>"),
    Mutation("predicate that is a number", "sym", fed("sym.emit", 2, "sym.read"), "tensor<i1>"),
    Mutation("select by a number", "sym", fed("sym.select", 0, "sym.read"), "tensor<i1>"),
    Mutation("read of an integer", "sym", retype("sym.read", stablehlo.tensor(i32)), "takes local values as tensor<f64>"),
    Mutation("read of a tensor", "sym", retype("sym.read", stablehlo.tensor(f64, [2])), "expected a scalar"),
    Mutation("write of an integer", "sym", fed("sym.write", 2, "stablehlo.constant", 2), "takes local values as tensor<f64>"),
    Mutation("write at a number", "sym", fed("sym.write", 1, "sym.read"), "!sym.site"),
    Mutation("shift by a predicate", "sym", fed("sym.shift", 2, "stablehlo.compare"), "takes local values as tensor<f64>"),
    Mutation("permutation of one site", "sym", ("permute %z[%i, %j]", "permute %z[%i]"), "at least two sites"),
    Mutation("comparison of unlike types", "sym", fed("stablehlo.compare", 1, "stablehlo.constant", 2), "'stablehlo.compare' mixes tensor<f64>, tensor<i32>"),
    Mutation("product of unlike types", "sym", fed("stablehlo.multiply", 1, "stablehlo.constant", 2), "'stablehlo.multiply' requires compatible types"),
    Mutation("product of another type", "sym", retype("stablehlo.multiply", stablehlo.tensor(i32)), "'stablehlo.multiply' requires compatible types"),
    Mutation("constant of another type", "sym", ("%n = sym", '%k = "stablehlo.constant"() <{value = dense<1.0> : tensor<f64>}> : () -> tensor<i32> %n = sym'), "'stablehlo.constant' has type tensor<f64>, declared tensor<i32>"),
    Mutation("sum of unlike types", "sym", ("%n = sym", '%k = "stablehlo.add"(%t, %a) : (tensor<f64>, tensor<i32>) -> tensor<f64> %n = sym'), "'stablehlo.add' mixes tensor<f64>, tensor<i32>"),
    Mutation("sum of another type", "sym", ("%n = sym", '%k = "stablehlo.add"(%a, %a) : (tensor<i32>, tensor<i32>) -> tensor<f64> %n = sym'), "'stablehlo.add' has type tensor<i32>, declared tensor<f64>"),
    Mutation("comparison that is no predicate", "sym", retype("stablehlo.compare", stablehlo.tensor(f64)), "i1"),
    Mutation("value of 64 bits", "sym", ("%n = sym", "%k = stablehlo.constant dense<1> : tensor<i64> %n = sym"), "computes with tensor<i64>"),
    # Reductions and tables
    Mutation("half a range", "sym", ("from %a to %a", "from %a"), "both its ends"),
    Mutation("a range and a set", "sym", ("from %a to %a", "over %s from %a to %a"), "not both"),
    Mutation("a range of numbers", "sym", fed("sym.reduce", 0, "sym.read"), "tensor<i32>"),
    Mutation("sum of a predicate", "sym", reproperty("sym.reduce", "kind", sym.ReductionAttr(sym.ReductionKind.ANY)), "'any' cannot combine"),
    Mutation("reduction of another type", "sym", retype("sym.reduce", stablehlo.tensor(i32)), "must end in a sym.yield of tensor<i32>"),
    Mutation("empty table", "sym", reproperty("sym.lookup", "table", stablehlo.dense([], f64)), "at least one entry"),
    Mutation("table of another type", "sym", reproperty("sym.lookup", "table", stablehlo.dense([1], i32)), "no entry of type tensor<f64>"),
    Mutation("table at a predicate", "sym", fed("sym.lookup", 0, "stablehlo.compare"), "the index of a table"),
    Mutation("whether a value is defined as a number", "sym", inserted(lambda: sym.DefinedOp.create(operands=[stablehlo.constant(1.0, f64).results[0]], result_types=[NUMBER]), "sym.read"), "tensor<i1>"),
    # Ops that are not of this level
    Mutation("op of another dialect", "sym", inserted(lambda: test.TestOp(result_types=[NUMBER]), "sym.read"), HOLDS),
    Mutation("op that is not known", "sym", ("%n = sym", '%k = "test.op"() : () -> tensor<f64> %n = sym'), "test.op is not registered", "D028", None),
    Mutation("arithmetic of another dialect", "sym", inserted(lambda: arith.ConstantOp(stablehlo.dense(1.0, f64)), "sym.read"), HOLDS),
    Mutation("call with effects", "sym", ("%n = sym", f'%k = {CUSTOM} %n = sym'), HOLDS),
    Mutation("call of a function", "sym", ("%n = sym", "%k = func.call @f(%t) : (tensor<f64>) -> tensor<f64> %n = sym"), "func.call"),
    Mutation("op of branch tensors", "sym", ("%n = sym", "%k = bt.broadcast %t dims = [] : tensor<f64> -> tensor<f64> %n = sym"), HOLDS),
    Mutation("op on shapes", "sym", ("%n = sym", "%k = stablehlo.iota dim = 0 : tensor<2xi32> %n = sym"), HOLDS),
    Mutation("op beside the terms", "sym", ("sym.term @field", "%k = stablehlo.constant dense<1.0> : tensor<f64> sym.term @field"), "holds sym.term ops only"),
    Mutation("op beside the operator", "sym", ("sym.operator", "func.func private @f() sym.operator"), "nothing beside it", "D030", of_pass=None),
    # Branch tensors: lanes and writes
    Mutation("lanes of branches", "bt", retype("bt.branches", bt.BranchesType.get(4, 2)), "has 4 lanes"),
    Mutation("writes of branches", "bt", retype("bt.branches", bt.BranchesType.get(3, 1)), "2 sites and 2 values"),
    Mutation("a site without a value", "bt", ("[%t, %n] amplitude %a valid %p : [tensor<3xi32>, tensor<3xi32>] [tensor<f64>, tensor<?x3xf64>]", "[%t] amplitude %a valid %p : [tensor<3xi32>, tensor<3xi32>] [tensor<f64>]"), "2 sites and 1 values"),
    Mutation("lanes of an interleaving", "bt", retype("bt.interleave", bt.BranchesType.get(7, 2)), "'bt.interleave' has type !bt.branches<6 x 2>"),
    Mutation("unequal parts of an interleaving", "bt", fed("bt.interleave", 1, "bt.branches", 2), "equal numbers of lanes"),
    Mutation("lanes of a concatenation", "bt", retype("bt.concat", bt.BranchesType.get(6, 2)), "'bt.concat' has type !bt.branches<7 x 2>"),
    Mutation("compaction to more", "bt", retype("bt.compact", bt.BranchesType.get(9, 2)), "fewer than there were"),
    Mutation("compaction to none", "bt", retype("bt.compact", bt.BranchesType.get(0, 2)), "at least one lane"),
    Mutation("compaction of writes", "bt", retype("bt.compact", bt.BranchesType.get(5, 1)), "keeps the number of writes"),
    Mutation("lanes of connections", "bt", retype("bt.connections", stablehlo.tensor(bt.StateType(), [bt.BATCH, 8, 4])), "cannot have types"),
    Mutation("sites of connections", "bt", retype("bt.connections", stablehlo.tensor(bt.StateType(), [bt.BATCH, 7, 3])), "cannot have types"),
    Mutation("negative lanes", "bt", retype("bt.branches", bt.BranchesType.get(-1, 0), 1), "lanes"),
    # Types
    Mutation("sites of 64 bits", "bt", retype("stablehlo.constant", stablehlo.tensor(i64, [3])), "i64"),
    Mutation("amplitude of other lanes", "bt", fed("bt.branches", 0, "stablehlo.constant", 2, number=2), "has 2 lanes, but the amplitude is tensor<3xf64>"),
    Mutation("integer amplitude", "bt", ("%d = bt.branches[] = [] amplitude %t : [] [] tensor<f64>", "%d = bt.branches[] = [] amplitude %i : [] [] tensor<3xi32>"), "amplitudes are tensor<3xi32>"),
    Mutation("matrix elements of another type", "bt", retype("bt.connections", stablehlo.tensor(f32, [bt.BATCH, 7]), result=1), "amplitudes are"),
    Mutation("validity that is a number", "bt", fed("bt.branches", 5, "bt.gather"), "i1"),
    Mutation("complex value", "bt", ("%k = bt.concat", "%v = stablehlo.constant dense<(1.0, 0.0)> : tensor<complex<f64>> %o = bt.branches[%i] = [%v] amplitude %t : [tensor<3xi32>] [tensor<complex<f64>>] tensor<f64> -> !bt.branches<3 x 1> %k = bt.concat"), "writes real local values"),
    Mutation("gather of other lanes", "bt", retype("bt.gather", stablehlo.tensor(f64, [bt.BATCH, 4])), "'bt.gather' at tensor<3xi32> cannot have type"),
    Mutation("broadcast to other lanes", "bt", retype("bt.broadcast", stablehlo.tensor(f64, [bt.BATCH, 4])), "cannot place tensor<3xf64>"),
    Mutation("broadcast along no axis", "bt", ("dims = [1]", "dims = []"), "one ascending axis"),
    Mutation("reduction of another shape", "bt", retype("bt.reduce", stablehlo.tensor(f64, [bt.BATCH, 2])), "along its last axis"),
    Mutation("sum of predicates", "bt", reproperty("bt.reduce", "kind", bt.ReductionAttr(bt.ReductionKind.ANY)), "'any' cannot combine f64"),
    Mutation("lanes meet a batch", "bt", fed("stablehlo.multiply", 0, "stablehlo.constant", 2), "requires the same shape"),
    Mutation("comparison of unlike types", "bt", retype("bt.broadcast", stablehlo.tensor(f32, [bt.BATCH, 3])), "keeps the element type"),
    Mutation("constant of another shape", "bt", ("%l = bt", '%o = "stablehlo.constant"() <{value = dense<1.0> : tensor<3xf64>}> : () -> tensor<4xf64> %l = bt'), "'stablehlo.constant' has type tensor<3xf64>"),
    # The batch
    Mutation("branches of another batch", "bt", ("%d = bt.branches[] = [] amplitude %t : [] [] tensor<f64>", "%o = bt.broadcast %t dims = [] : tensor<f64> -> tensor<4x3xf64> %d = bt.branches[] = [] amplitude %o : [] [] tensor<4x3xf64>"), "branches of another batch, got tensor<4x3xf64>"),
    Mutation("a dynamic number of lanes", "bt", ("%l = bt", "%o = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?x?xf64> %l = bt"), DYNAMIC),
    Mutation("batch that is left dynamic", "stablehlo", ("%n = ", '%dyn = "stablehlo.convert"(%g) : (tensor<2x3xi8>) -> tensor<?x3xf64> %n = '), DYNAMIC),
    # Functions
    Mutation("use before definition", "bt", late("bt.gather"), NOT_DEFINED),
    Mutation("use of a detached op", "bt", gone("bt.gather"), "defined out of its IsolatedFromAbove parent"),
    Mutation("value of itself", "bt", cycle("stablehlo.multiply", 0), NOT_DEFINED),
    Mutation("no return", "bt", gone("func.return"), "terminator"),
    Mutation("results in another order", "bt", return_shuffled, "function output types"),
    Mutation("another argument", "bt", another_argument("func.func", stablehlo.tensor(f64)), "function input types"),
    Mutation("two blocks", "bt", two_blocks("func.func"), "block"),
    Mutation("op of another dialect", "bt", ("%l = bt", '%o = "test.op"() : () -> tensor<f64> %l = bt'), BELOW),
    Mutation("op with effects", "bt", ("%l = bt", f'%o = {CUSTOM} %l = bt'), BELOW),
    Mutation("call of a function", "bt", ("%l = bt", "%o = func.call @hop(%t) : (tensor<f64>) -> tensor<f64> %l = bt"), "func.call"),
    Mutation("op of the level above", "bt", ("%l = bt", "%o = sym.invalid %l = bt"), BELOW),
    # Branches that are put together of images
    Mutation("lanes of images", "images", retype("bt.images", bt.BranchesType.get(3, 4)), "masks of shape (3, 4), got tensor<2x4xi1>"),
    Mutation("sites of images", "images", retype("bt.images", bt.BranchesType.get(2, 3)), "masks of shape (2, 3), got tensor<2x4xi1>"),
    Mutation("a mask without an image", "images", ("[%t, %v] amplitude %J valid %q : [tensor<2x4xi1>, tensor<2x4xi1>] [tensor<f64>, tensor<?x4xf64>]", "[%v] amplitude %J valid %q : [tensor<2x4xi1>, tensor<2x4xi1>] [tensor<?x4xf64>]"), "2 masks and 1 images"),
    Mutation("a mask of other lanes", "images", retype("stablehlo.constant", stablehlo.tensor(i1, [4, 2]), 1), "tensor<4x2xi1>"),
    Mutation("a mask that is a number", "images", fed("bt.images", 0, "stablehlo.negate"), "i1"),
    Mutation("an image of other sites", "images", fed("bt.images", 3, "stablehlo.constant", 2), "images of shape (batch, 4) or scalars, got tensor<2xf64>"),
    Mutation("a complex image", "images", ("%d = bt", "%o = stablehlo.constant dense<(1.0, 0.0)> : tensor<complex<f64>> %p = bt.images[%m] = [%o] amplitude %t : [tensor<2x4xi1>] [tensor<complex<f64>>] tensor<f64> -> !bt.branches<2 x 4> %d = bt"), "writes real local values"),
    Mutation("amplitude of other lanes than the masks", "images", fed("bt.images", 4, "bt.gather"), "has 2 lanes, but the amplitude is tensor<?x4xf64>"),
    Mutation("validity of images that is a number", "images", fed("bt.images", 5, "stablehlo.constant", 2), "i1"),
    Mutation("matrix elements of images of another type", "images", retype("bt.connections", stablehlo.tensor(f32, [bt.BATCH, 3]), result=1), "'bt.connections' has matrix elements of f32"),
    Mutation("images of another batch", "images", ("%d = bt", "%o = bt.broadcast %t dims = [] : tensor<f64> -> tensor<5x4xf64> %p = bt.images[%m] = [%o] amplitude %t : [tensor<2x4xi1>] [tensor<5x4xf64>] tensor<f64> -> !bt.branches<2 x 4> %u, %w = bt.connections %x, %p : (tensor<?x4x!bt.state>, !bt.branches<2 x 4>) -> (tensor<?x2x4x!bt.state>, tensor<?x2xf64>) %d = bt"), "branches of another batch, got tensor<5x4xf64>"),
    Mutation("images of another lattice", "images", ("%d = bt", "%o = stablehlo.constant dense<true> : tensor<2x3xi1> %p = bt.images[%o] = [%t] amplitude %t : [tensor<2x3xi1>] [tensor<f64>] tensor<f64> -> !bt.branches<2 x 3> %u, %w = bt.connections %x, %p : (tensor<?x4x!bt.state>, !bt.branches<2 x 3>) -> (tensor<?x2x4x!bt.state>, tensor<?x2xf64>) %d = bt"), "images of other sites, got !bt.branches<2 x 3>"),
    # Kernels
    Mutation("use before definition", "stablehlo", late("stablehlo.slice"), NOT_DEFINED),
    Mutation("value of a reduction outside", "stablehlo", fed("stablehlo.broadcast_in_dim", 0, "stablehlo.add", number=1), NOT_DEFINED),
    Mutation("results in another order", "stablehlo", return_shuffled, "function output types"),
    Mutation("result of another type", "stablehlo", fed("func.return", 1, "stablehlo.slice"), "function output types"),
    Mutation("comparison of unlike types", "stablehlo", ("compare GT, %n, %o : (tensor<2x3xf64>, tensor<2x3xf64>)", "compare GT, %n, %own : (tensor<2x3xf64>, tensor<2x3xi32>)"), "'stablehlo.compare' mixes"),
    Mutation("comparison of another shape", "stablehlo", retype("stablehlo.compare", stablehlo.tensor(i1, [2, 4])), "same shape"),
    Mutation("product of unlike types", "stablehlo", fed("stablehlo.multiply", 1, "stablehlo.slice"), "'stablehlo.multiply' requires compatible types"),
    Mutation("modulus of another type", "stablehlo", ("%r = ", '%mod = "stablehlo.abs"(%a) : (tensor<2x3xf64>) -> tensor<2x3xf32> %r = '), "'stablehlo.abs' has type tensor<2x3xf64>"),
    Mutation("sum of unlike types", "stablehlo", ("%r = ", '%sum = "stablehlo.add"(%a, %own) : (tensor<2x3xf64>, tensor<2x3xi32>) -> tensor<2x3xf64> %r = '), "'stablehlo.add' mixes"),
    Mutation("clamp of unlike types", "stablehlo", fed("stablehlo.clamp", 0, "stablehlo.iota"), "'stablehlo.clamp' mixes"),
    Mutation("clamp of another type", "stablehlo", ("%y = ", '%cut = "stablehlo.clamp"(%u, %v, %u) : (tensor<2x3x4xi8>, tensor<2x3x4xi8>, tensor<2x3x4xi8>) -> tensor<2x3x4xi32> %y = '), "'stablehlo.clamp' has type"),
    Mutation("conversion to another shape", "stablehlo", retype("stablehlo.convert", stablehlo.tensor(f64, [2, 4])), "compatible shapes"),
    Mutation("choice of unlike types", "stablehlo", fed("stablehlo.select", 1, "stablehlo.slice"), "compatible types"),
    Mutation("slice behind the end", "stablehlo", ("[0:2, 0:3]", "[0:2, 2:5]"), "'stablehlo.slice' of tensor<2x4xi8> cannot be"),
    Mutation("slice of another shape", "stablehlo", ("[0:2, 0:3]", "[0:2, 0:2]"), "'stablehlo.slice' has shape [2, 2]"),
    Mutation("slice of too few axes", "stablehlo", ("[0:2, 0:3]", "[0:2]"), "has 1 ranges"),
    Mutation("slice of another type", "stablehlo", retype("stablehlo.slice", stablehlo.tensor(i32, [2, 3])), "element type"),
    Mutation("gather along another axis", "stablehlo", ("offset_dims = [0], collapsed_slice_dims = [1]", "offset_dims = [0], collapsed_slice_dims = [0]"), "'stablehlo.gather' cannot gather"),
    Mutation("gather of larger slices", "stablehlo", ("array<i64: 2, 1>", "array<i64: 3, 1>"), "'stablehlo.gather' cannot gather"),
    Mutation("gather without its vector", "stablehlo", ("start_index_map = [1], index_vector_dim = 1", "start_index_map = [1], index_vector_dim = 0"), "'stablehlo.gather' cannot gather"),
    Mutation("gather of too few offsets", "stablehlo", ("offset_dims = [0], collapsed", "collapsed"), "'stablehlo.gather' cannot gather"),
    Mutation("gather of another shape", "stablehlo", retype("stablehlo.gather", stablehlo.tensor(stablehlo.IntegerType(8), [2, 5]), 1), "size of operand dimension"),
    Mutation("gather of another number of lanes", "stablehlo", ("%n = ", '%few = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, slice_sizes = array<i64: 2, 1>}> : (tensor<2x4xi8>, tensor<3xi32>) -> tensor<3x2xi8> %n = '), "'stablehlo.gather' has shape [2, 3]"),
    Mutation("gather of another batch", "stablehlo", retype("stablehlo.broadcast_in_dim", stablehlo.tensor(i32, [5, 3]), result=0), "batches differ"),
    Mutation("concatenation of another shape", "stablehlo", retype("stablehlo.concatenate", stablehlo.tensor(f64, [2, 3, 3])), "'stablehlo.concatenate' has shape [2, 3, 2]"),
    Mutation("concatenation along no axis", "stablehlo", ("dim = 2 : (tensor<2x3x1xf64>", "dim = 3 : (tensor<2x3x1xf64>"), "cannot join their axis 3"),
    Mutation("concatenation of unlike shapes", "stablehlo", ("%r, %r, dim = 2 : (tensor<2x3x1xf64>, tensor<2x3x1xf64>)", "%r, %b, dim = 2 : (tensor<2x3x1xf64>, tensor<2x3xf64>)"), "they differ in more than axis 2"),
    Mutation("reshape to more", "stablehlo", retype("stablehlo.reshape", stablehlo.tensor(f64, [2, 3, 2])), "number of output elements"),
    Mutation("broadcast to another size", "stablehlo", retype("stablehlo.broadcast_in_dim", stablehlo.tensor(i32, [2, 4])), "size of operand dimension"),
    Mutation("iota along no axis", "stablehlo", ("iota dim = 2", "iota dim = 3"), "cannot go beyond"),
    Mutation("reduction along no axis", "stablehlo", ("dimensions = [2]", "dimensions = [3]"), "dimension"),
    Mutation("reduction of another type", "stablehlo", retype("stablehlo.reduce", stablehlo.tensor(f32, [2, 3])), "'stablehlo.reduce'"),
    Mutation("reduction to another shape", "stablehlo", retype("stablehlo.reduce", stablehlo.tensor(f64, [2, 2])), "'stablehlo.reduce'"),
    Mutation("return outside of a reduction", "stablehlo", ("%n = ", "stablehlo.return %t : tensor<f64> %n = "), "'stablehlo.return'"),
    Mutation("reduction without a result", "stablehlo", gone("stablehlo.return"), "is not a terminator"),
    Mutation("constant of another type", "stablehlo", ("%n = ", '%one = "stablehlo.constant"() <{value = dense<1.0> : tensor<f64>}> : () -> tensor<f32> %n = '), "'stablehlo.constant' has type tensor<f64>"),
    Mutation("constant without its bytes", "stablehlo", truncated_constant, "holds 11 bytes"),
    Mutation("op of branch tensors", "stablehlo", ("%n = ", "%k9 = bt.broadcast %t dims = [] : tensor<f64> -> tensor<?xf64> %n = "), DYNAMIC),
    Mutation("op of another dialect", "stablehlo", ("%n = ", "%k9 = arith.constant dense<1.0> : tensor<f64> %n = "), BELOW),
    Mutation("op with effects", "stablehlo", ("%n = ", f'%k9 = {CUSTOM} %n = '), BELOW),
]
# fmt: on


def elementwise(kind: type[IRDLOperation]) -> Mutation:
    """Return a term with an elementwise op whose result has a wrong type."""
    properties: dict[str, Attribute] = {}
    operands = ["t"] * len(kind.get_irdl_definition().operands)
    wrong = stablehlo.tensor(i32)
    match kind.name.removeprefix("stablehlo."):
        case "and" | "or" | "xor" | "not":
            operands, wrong = ["a"] * len(operands), NUMBER
        case "shift_left" | "shift_right_arithmetic" | "shift_right_logical":
            operands, wrong = ["a", "a"], NUMBER
        case "select":
            operands = ["p", "t", "t"]
        case "compare":
            properties = dict(
                stablehlo.compare("LT", *Block(arg_types=[NUMBER] * 2).args).properties
            )
        case "constant":
            properties = {"value": stablehlo.dense(1.0, f64)}
        case "convert":
            wrong = stablehlo.tensor(f64, [2])
        case _:
            pass

    def edit(module: ModuleOp) -> None:
        anchor = find(module, "sym.write")
        operator = cast(sym.OperatorOp, find(module, "sym.operator"))
        values = {
            "t": operator.body.block.args[0],
            "a": find(module, "stablehlo.constant", 2).results[0],
            "p": find(module, "stablehlo.compare").results[0],
        }
        new = kind.create(
            operands=[values[name] for name in operands],
            result_types=[wrong],
            properties=properties,
        )
        inserted(lambda: new, anchor.name)(module)

    return Mutation(f"result of {kind.name}", "sym", edit, f"'{kind.name}'")


MUTATIONS = [
    *WRITTEN,
    *(
        elementwise(cast(type[IRDLOperation], kind))
        for kind in stablehlo.StableHLO.operations
        if kind.name in stablehlo.ELEMENTWISE
    ),
]

# endregion
# region Meeting them


def parsed(text: str) -> ModuleOp:
    """Parse IR without verifying it; each op comes from a line of a user's."""
    ctx = context()
    ctx.load_dialect(arith.Arith)
    ctx.load_dialect(test.Test)
    module = Parser(ctx, text).parse_module()
    for line, op in enumerate(module.walk()):
        place = FileLineColLoc(StringAttr(FILE), IntAttr(line), IntAttr(1))
        inside = isinstance(op.parent_op(), FuncOp | sym.TermOp)
        path = "hop/bulk/emit0" if inside else "hop"
        op.location = NameLoc(StringAttr(path), place)
    return module


@cache
def base(level: str) -> ModuleOp:
    return parsed(BASES[level])


def mutated(mutation: Mutation) -> ModuleOp:
    text, edit = BASES[mutation.level], mutation.edit
    if isinstance(edit, tuple):
        old, new = edit
        assert old in text
        return parsed(text.replace(old, new, 1))
    module = base(mutation.level).clone()
    edit(module)
    return module


@dataclass(frozen=True)
class CorruptingPass(ModulePass):
    """A pass that leaves mutated IR behind."""

    name = "corrupting"

    mutation: Any = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        corrupted = mutated(self.mutation)
        op.regions[0].detach_block(0)
        block = corrupted.regions[0].detach_block(0)
        op.regions[0].add_block(block)


def name_of(mutation: Mutation) -> str:
    return f"{mutation.level}: {mutation.name}"


def handed_over(mutation: Mutation) -> SymbolicOperatorIR:
    if callable(mutation.edit):
        return SymbolicOperatorIR(mutated(mutation))
    return SymbolicOperatorIR.from_text(SYM.replace(*mutation.edit, 1), FILE)


@pytest.mark.parametrize("level", BASES)
def test_the_bases_are_valid(level: str) -> None:
    LoweringPipeline([]).run(base(level))


@pytest.mark.parametrize(
    "mutation", [m for m in MUTATIONS if m.level == "sym" and m.code], ids=name_of
)
def test_an_operator_that_is_corrupt(mutation: Mutation) -> None:
    with pytest.raises(DefinitionError) as caught:
        handed_over(mutation)
    error = caught.value
    assert error.code == mutation.code
    assert mutation.fragment in str(error)
    assert error.location is not None
    assert error.location.file == FILE


@pytest.mark.parametrize("mutation", [m for m in MUTATIONS if m.of_pass], ids=name_of)
def test_a_pass_that_corrupts(mutation: Mutation) -> None:
    with pytest.raises(SymbolicCompilerError) as caught:
        LoweringPipeline([CorruptingPass(mutation)]).run(base(mutation.level))
    error = caught.value
    assert (error.code, error.pass_name) == (mutation.of_pass, "corrupting")
    assert error.found is not None
    assert mutation.fragment in error.found
    if error.code == "C002":
        return
    assert re.search(r"'[a-z]+\.\w+'|term @", error.found)
    assert error.operator == "hop"
    assert error.location is not None
    assert error.location.file == FILE


def test_a_foreign_op_that_is_not_verified_is_not_vectorised() -> None:
    module = base("sym").clone()
    inserted(lambda: test.TestOp(result_types=[NUMBER]), "sym.read")(module)
    passes = LoweringPipeline.parse(OPERATOR_PIPELINE)
    with pytest.raises(SymbolicCompilerError) as caught:
        passes.run(module, verify=False)
    assert caught.value.code == "C002"
    assert "cannot vectorise 'test.op' in term @bulk" in str(caught.value.found)


# endregion
