"""What is wrong with a module at any level, and which op is to blame.

xDSL and xdsl-jax verify ops one by one, and leave out some of their types. Here is what
they do not see: values that are used where they are not defined, ops that no level has,
types of StableHLO that do not fit, and functions that are no kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import cast

from xdsl.dialects.builtin import DYNAMIC_INDEX, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.traits import IsTerminator, NoMemoryEffect, RecursiveMemoryEffect
from xdsl.utils.exceptions import VerifyException

from dialects.stablehlo import type_error

__all__ = ["Fault", "fault_in"]


@dataclass(frozen=True)
class Fault:
    """What keeps a module from being valid.

    Attributes:
        op: the op to blame; the module itself where no op alone is.
        error: what verification raised, mostly a VerifyException: broken IR can be
            odder than a verifier expects.
    """

    op: Operation
    error: Exception


def fault_in(module: ModuleOp) -> Fault | None:
    """Return the first fault of a module, or None where it is valid."""
    try:
        module.verify()
    except Exception as error:
        # A verifier looks inside first
        ops = module.walk(region_first=True)
        return Fault(next((op for op in ops if not _is_valid(op)), module), error)
    return next(_faults(module.body.block, set(), None), None)


def _is_valid(op: Operation) -> bool:
    try:
        op.verify(verify_nested_ops=False)
    except Exception:
        return False
    return True


def _faults(
    block: Block, visible: set[SSAValue], dynamic: int | None
) -> Iterator[Fault]:
    """Yield the faults of a block.

    `visible` are the values defined around it, `dynamic` is the number of leading axes
    that may be dynamic in its function, None outside of functions.
    """
    own: list[SSAValue] = list(block.args)
    visible.update(own)
    for op in block.ops:
        if _is_imported(op):
            continue  # a wavefunction is what JAX made it
        message = _op_error(op, visible, dynamic)
        if message is not None:
            yield Fault(op, VerifyException(message))
        inner = _dynamic_axes(op) if isinstance(op, FuncOp) else dynamic
        for region in op.regions:
            for part in region.blocks:
                yield from _faults(part, visible, inner)
        visible.update(op.results)
        own.extend(op.results)
    visible.difference_update(own)


def _is_imported(op: Operation) -> bool:
    return (
        isinstance(op, FuncOp)
        and op.sym_visibility is not None
        and op.sym_visibility.data == "private"
    )


def _op_error(op: Operation, visible: set[SSAValue], dynamic: int | None) -> str | None:
    for operand in op.operands:
        if operand not in visible:
            name = f"%{operand.name_hint}" if operand.name_hint else "a value"
            return (
                f"'{op.name}' uses {name} of type {operand.type}, which is defined "
                "behind it or elsewhere"
            )
    if dynamic is not None:
        if not _is_of_kernels(type(op)):
            return (
                f"a function holds '{op.name}', and no level below sym has such an op"
            )
        for result in op.results:
            if DYNAMIC_INDEX in _shape(result.type)[dynamic:]:
                return (
                    f"'{op.name}' is {result.type}: no axis but that of the batch is "
                    "dynamic, and none after bt-specialize"
                )
    elif isinstance(op, FuncOp) and len(op.body.blocks) > 1:
        return f"@{op.sym_name.data} has {len(op.body.blocks)} blocks, expected one"
    return type_error(op)


def _dynamic_axes(function: FuncOp) -> int:
    """Return 1 where an argument has a dynamic batch, else 0."""
    kinds = function.function_type.inputs
    return int(any(DYNAMIC_INDEX in _shape(kind) for kind in kinds))


def _shape(kind: Attribute) -> tuple[int, ...]:
    if not isinstance(kind, TensorType):
        return ()
    return cast(TensorType[Attribute], kind).get_shape()


@cache
def _is_of_kernels(kind: type[Operation]) -> bool:
    """Whether branch tensors and kernels may hold an op: bt and pure StableHLO."""
    if kind is ReturnOp:
        return True
    dialect = kind.name.partition(".")[0]
    effects = (NoMemoryEffect, RecursiveMemoryEffect, IsTerminator)
    return dialect == "bt" or (
        dialect == "stablehlo"
        and any(isinstance(trait, effects) for trait in kind.traits)
    )
