"""Faults of a module at any level, and the op to blame.

xDSL and xdsl-jax verify ops one by one, and leave out some of their types. Here is what
they do not see: values that are used where they are not defined, ops that no level has,
types of StableHLO that do not fit, and functions that are no kernels.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any, cast

from xdsl.dialects.builtin import DYNAMIC_INDEX, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, ErasedSSAValue, Operation, SSAValue
from xdsl.traits import (
    IsTerminator,
    NoMemoryEffect,
    NoTerminator,
    RecursiveMemoryEffect,
)
from xdsl.utils.exceptions import VerifyException

from dialects.bt import ConnectionsOp, LocalEnergyOp
from dialects.stablehlo import type_error

__all__ = ["Invalidity", "Seen", "fault_in"]


@dataclass(frozen=True)
class Invalidity:
    """Fault that keeps a module from being valid.

    Attributes:
        op: the op to blame; the module itself where no op alone is.
        error: what verification raised, mostly a VerifyException: broken IR can be
            odder than a verifier expects.
    """

    op: Operation
    error: Exception


@dataclass
class Seen:
    """Ops that were found valid, and need not be looked at again.

    Attributes:
        keys: those of ops whose validity depends on nothing else.
        units: the ops of the module, such as functions, as they were.
        symbols: what these say of each other: all but what is inside of them.
    """

    keys: set[Hashable] = field(default_factory=set)
    units: dict[Operation, list[Any]] = field(default_factory=dict)
    symbols: list[Any] = field(default_factory=list)


def fault_in(module: ModuleOp, seen: Seen | None = None) -> Invalidity | None:
    """Return the first fault of a module, or None where it is valid.

    `seen` is filled with what was found valid, and tells a later call what it need not
    look at again: most ops are what they were before a pass.
    """
    seen = Seen() if seen is None else seen
    units = {op: _snapshot(op) for block in module.body.blocks for op in block.ops}
    symbols = [(op, *op.properties.items()) for op in units]
    known = seen.units if symbols == seen.symbols else {}
    changed = [op for op, now in units.items() if known.get(op) != now]
    seen.units, seen.symbols = {}, []
    # A verifier looks inside first
    inside = (op for unit in changed for op in unit.walk(region_first=True))
    for op in chain(inside, [module]):
        key = _key(op)
        if key is not None and key in seen.keys:
            continue
        try:
            _verify_blocks(op)
            op.verify(verify_nested_ops=False)
        except Exception as error:
            return Invalidity(op, error)
        if key is not None:
            seen.keys.add(key)
    same = units.keys() - set(changed)
    fault = next(_faults(module.body.block, set(), None, same), None)
    if fault is None:
        seen.units, seen.symbols = units, symbols
    return fault


def _snapshot(op: Operation) -> list[Any]:
    """Return all that an op is, and what is inside: equal only if nothing changed.

    Ops and values are equal to themselves alone, so that this takes little time.
    """
    types = [result.type for result in op.results]
    found: list[Any] = [op, *op.operands, *op.results, *types, *op.successors]
    found += [*op.properties.items(), None, *op.attributes.items()]
    for region in op.regions:
        found.append(region)
        for block in region.blocks:
            found += [block, block.parent, *block.args, *(a.type for a in block.args)]
            for inner in block.ops:
                found.append(inner.parent)
                found += _snapshot(inner)
    return found


def _key(op: Operation) -> Hashable | None:
    """Return all that the validity of an op depends on, or None where it is more.

    An op of StableHLO or `bt` without regions sees its types and attributes, and no
    other op, but for `bt.connections`, `bt.local_energy` with the functions that it
    names, and the terminator of a block, the last op.
    """
    block = op.parent
    if block is None or block.last_op is op or op.regions or op.successors:
        return None
    dialect = op.name.partition(".")[0]
    sees_others = isinstance(op, ConnectionsOp | LocalEnergyOp)
    if dialect not in ("stablehlo", "bt") or sees_others:
        return None
    if any(isinstance(operand, ErasedSSAValue) for operand in op.operands):
        return None
    types = (tuple(op.operand_types), tuple(op.result_types))
    return type(op), *types, *op.properties.items(), None, *op.attributes.items()


def _verify_blocks(op: Operation) -> None:
    """Raise for a block without an op, or an op that is of another block."""
    for block in (block for region in op.regions for block in region.blocks):
        if any(inner.parent is not block for inner in block.ops):
            raise VerifyException(f"'{op.name}' holds an op that belongs elsewhere")
        if block.is_empty and not op.has_trait(NoTerminator):
            raise VerifyException(f"'{op.name}' has a block without a terminator")


def _faults(
    block: Block,
    visible: set[SSAValue],
    dynamic: int | None,
    known: Collection[Operation] = (),
) -> Iterator[Invalidity]:
    """Yield the faults of a block, but for those of its ops that are known.

    `visible` are the values defined around it, `dynamic` is the number of leading axes
    that may be dynamic in its function, None outside of functions.
    """
    own: list[SSAValue] = list(block.args)
    visible.update(own)
    for op in block.ops:
        # An imported wavefunction is what JAX made it
        if not _is_imported(op) and op not in known:
            message = _op_error(op, visible, dynamic)
            if message is not None:
                yield Invalidity(op, VerifyException(message))
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
