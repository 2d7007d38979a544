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
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import PassFailedException

from lowering.relations import Relation

__all__ = ["InlineCallsPass"]


def _body(call: CallOp, functions: dict[str, FuncOp]) -> FuncOp:
    name = call.callee.string_value()
    function = functions.get(name)
    if function is None or len(function.body.blocks) != 1:
        raise PassFailedException(f"inline-calls: there is no body of @{name}")
    return function


def _inline(call: CallOp, function: FuncOp) -> None:
    """Put a copy of a function in front of a call, and its results in its place."""
    now: dict[SSAValue, SSAValue] = dict(
        zip(function.body.block.args, call.arguments, strict=True)
    )
    block = call.parent_block()
    assert block is not None
    for op in function.body.block.ops:
        if isinstance(op, ReturnOp):
            results = [now[value] for value in op.arguments]
            Rewriter.replace_op(call, [], results)
            return
        block.insert_op_before(op.clone(now), call)


def _calls(function: FuncOp) -> list[CallOp]:
    return [op for op in function.walk() if isinstance(op, CallOp)]


@dataclass(frozen=True)
class InlineCallsPass(ModulePass):
    """Inline every call; only functions that are not private are left."""

    name = "inline-calls"
    relation: ClassVar[Relation] = Relation.EQUAL

    max_ops: int = 1_000_000

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        functions = {f.sym_name.data: f for f in op.ops if isinstance(f, FuncOp)}
        roots = [f for f in functions.values() if not _is_private(f)]
        for function in roots:
            depth = 0
            while calls := _calls(function):
                for call in calls:
                    _inline(call, _body(call, functions))
                depth += 1
                size = sum(1 for _ in function.walk())
                # Calls that are nested deeper than there are functions go around
                if depth > len(functions) or size > self.max_ops:
                    raise PassFailedException(
                        f"{self.name}: @{function.sym_name.data} calls itself, or "
                        f"would have more than {self.max_ops} ops"
                    )
        for function in functions.values():
            if _is_private(function):
                function.detach()
                function.erase(safe_erase=False)


def _is_private(function: FuncOp) -> bool:
    return function.sym_visibility is not None and (
        function.sym_visibility.data == "private"
    )
