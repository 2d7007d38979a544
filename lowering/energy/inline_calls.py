"""`inline-calls`: the bodies of private functions in place of calls of them.

Each call gets a copy of its own: what is found out about one of them, such as of which
value it is a function, holds for no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.traits import SymbolTable
from xdsl.utils.exceptions import PassFailedException

from lowering.relations import Relation
from lowering.rewriting import rewrite_once


class InlineCall(RewritePattern):
    """A call in a function that is not private becomes a copy of what is called.

    func.func private @double(%x : tensor<f64>) -> tensor<f64> {
      %y = stablehlo.add %x, %x : tensor<f64>
      func.return %y : tensor<f64>
    }
    %b = func.call @double(%a) : (tensor<f64>) -> tensor<f64>
    becomes
    %b = stablehlo.add %a, %a : tensor<f64>
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: CallOp, rewriter: PatternRewriter) -> None:
        caller = op.parent_op()
        while caller is not None and not isinstance(caller, FuncOp):
            caller = caller.parent_op()
        if caller is None or _is_private(caller):
            return
        function = _callee(op)
        now: dict[SSAValue, SSAValue] = dict(
            zip(function.body.block.args, op.arguments, strict=True)
        )
        for one in function.body.block.ops:
            if isinstance(one, ReturnOp):
                rewriter.replace(op, (), [now[value] for value in one.arguments])
                return
            rewriter.insert(one.clone(now))


class ErasePrivate(RewritePattern):
    """`func.func private @double(..) { .. }` goes: no call of it is left."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: FuncOp, rewriter: PatternRewriter) -> None:
        if _is_private(op):
            rewriter.erase(op, safe_erase=False)


def _callee(call: CallOp) -> FuncOp:
    function = SymbolTable.lookup_symbol(call, call.callee)
    if not isinstance(function, FuncOp) or len(function.body.blocks) != 1:
        name = call.callee.string_value()
        raise PassFailedException(f"inline-calls: there is no body of @{name}")
    return function


@dataclass(frozen=True)
class InlineCallsPass(ModulePass):
    """Inline every call; only functions that are not private are left."""

    name = "inline-calls"
    relation: ClassVar[Relation] = Relation.EQUAL

    max_ops: int = 1_000_000

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        functions = [f for f in op.ops if isinstance(f, FuncOp)]
        roots = [f for f in functions if not _is_private(f)]
        depth = 0
        while calling := [f for f in roots if _has_call(f)]:
            rewrite_once(op, InlineCall())
            depth += 1
            for function in calling:
                size = sum(1 for _ in function.walk())
                # Calls that are nested deeper than there are functions go around
                if depth > len(functions) or size > self.max_ops:
                    raise PassFailedException(
                        f"{self.name}: @{function.sym_name.data} calls itself, or "
                        f"would have more than {self.max_ops} ops"
                    )
        rewrite_once(op, ErasePrivate())


def _has_call(function: FuncOp) -> bool:
    return any(isinstance(op, CallOp) for op in function.walk())


def _is_private(function: FuncOp) -> bool:
    return function.sym_visibility is not None and (
        function.sym_visibility.data == "private"
    )
