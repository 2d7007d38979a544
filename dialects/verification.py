"""Faults of a module at any level, and the op to blame.

xDSL and xdsl-jax verify ops one by one, and leave out some of their types. Here is what
they do not see: values that are used where they are not defined, ops that no level has,
types of StableHLO that do not fit, and functions that are no kernels.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any, cast

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    ModuleOp,
    TensorType,
)
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, ErasedSSAValue, Operation, SSAValue
from xdsl.traits import (
    IsTerminator,
    NoMemoryEffect,
    NoTerminator,
    RecursiveMemoryEffect,
)
from xdsl.utils.exceptions import VerifyException
from xdsl_jax.dialects.stablehlo import ConstantOp

from dialects.bt import ConnectionsOp, DrawOp, LocalEnergyOp, MapSamplesOp
from dialects.origins import OriginsData
from dialects.stablehlo import type_error
from dialects.sym import OperatorOp


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


_VALID: set[Hashable] = set()
"""Keys of ops that were found valid in any module: most kernels are of the same ops."""

_MOST_VALID = 20_000
"""So many keys, without tables, take some ten megabytes."""

_TABLES = (DenseIntOrFPElementsAttr, OriginsData, ArrayAttr)
"""Attributes that may be long, and that are not kept longer than their module."""


@dataclass
class Seen:
    """Ops that were found valid, and need not be looked at again.

    Attributes:
        keys: those of ops whose validity depends on nothing else, and that have tables.
        ops: the keys of ops as they were.
        units: the units of the module, see `_units`, as they were.
        unchanged: whether the last look found the module as it was at the one before.
    """

    keys: set[Hashable] = field(default_factory=set)
    ops: dict[Operation, Hashable] = field(default_factory=dict)
    units: dict[Operation, list[Any]] = field(default_factory=dict)
    unchanged: bool = False

    @classmethod
    def of(cls, module: ModuleOp) -> Seen:
        """Return the ops of a module that is known to be valid."""
        ops = {op: key for op in module.walk() if (key := _key(op)) is not None}
        return cls(ops=ops, units=_units(module))

    def knows(self, op: Operation, key: Hashable) -> bool:
        """Whether an op, which has a key, was found valid here or elsewhere."""
        # To compare keys takes less than to hash them: most parts are the same objects
        if self.ops.get(op) == key:
            return True
        is_known = key in _VALID or key in self.keys
        if is_known:
            self.ops[op] = key
        return is_known

    def add(self, op: Operation, key: Hashable) -> None:
        """Remember that an op is valid, which has a key."""
        self.ops[op] = key
        if any(isinstance(value, _TABLES) for value in op.properties.values()):
            self.keys.add(key)
            return
        if len(_VALID) >= _MOST_VALID:
            _VALID.clear()
        _VALID.add(key)


def fault_in(module: ModuleOp, seen: Seen | None = None) -> Invalidity | None:
    """Return the first fault of a module, or None where it is valid.

    `seen` is filled with what was found valid, and tells a later call what it need not
    look at again: most ops are what they were before a pass.
    """
    seen = Seen() if seen is None else seen
    units = _units(module)
    changed = _changed(seen.units, units)
    seen.unchanged = not changed and seen.units.keys() == units.keys()
    seen.units = {}
    # A verifier looks inside first
    for op in chain.from_iterable(map(_own_ops, changed)):
        key = _key(op)
        if key is not None and seen.knows(op, key):
            continue
        try:
            _verify_blocks(op)
            op.verify(verify_nested_ops=False)
        except Exception as error:
            return Invalidity(op, error)
        if key is not None:
            seen.add(op, key)
    if changed:
        same = units.keys() - changed.keys()
        fault = next(_faults(module.body.block, set(), None, same), None)
        if fault is not None:
            return fault
    seen.units = units
    return None


def _units(module: ModuleOp) -> dict[Operation, list[Any]]:
    """Return all that the validity of each unit of a module depends on, in order.

    Terms see the space, the element type and the parameters of their operator, and
    functions the types of others. Operators and the module come behind what is inside.
    """
    units: dict[Operation, list[Any]] = {}
    ops = [op for block in module.body.blocks for op in block.ops]
    symbols = [(op, *_declared(op)) for op in ops]
    for op in ops:
        if not isinstance(op, OperatorOp):
            units[op] = [symbols, *_snapshot(op)]
            continue
        for block in op.body.blocks:
            around = [op, *block.args, *(arg.type for arg in block.args)]
            around += [op.properties.get("space"), op.properties.get("element")]
            for term in block.ops:
                units[term] = [*around, *_snapshot(term)]
        units[op] = _snapshot(op, inside=False)
    units[module] = [symbols, *_snapshot(module, inside=False)]
    return units


def _declared(op: Operation) -> Iterable[Any]:
    """Return what functions may see of an op beside them: no more than its name."""
    if isinstance(op, OperatorOp):
        return (op.properties.get("sym_name"),)
    return op.properties.items()


def _changed(
    was: dict[Operation, list[Any]], units: dict[Operation, list[Any]]
) -> dict[Operation, None]:
    """Return the units that are not what they were, or hold some, in order."""
    changed: dict[Operation, None] = {}
    for op, now in units.items():
        if was.get(op) != now:
            changed[op] = None
        elif isinstance(op, ModuleOp | OperatorOp) and changed:
            inner = (inner for block in op.body.blocks for inner in block.ops)
            # Nobody looks into an operator or a function from outside
            if any(
                one in changed and not isinstance(one, OperatorOp | FuncOp)
                for one in inner
            ):
                changed[op] = None
    return changed


def _own_ops(unit: Operation) -> Iterable[Operation]:
    """Return the ops of a unit that are of no other one, the unit itself last."""
    if isinstance(unit, ModuleOp | OperatorOp):
        return (unit,)
    return unit.walk(region_first=True)


def _snapshot(op: Operation, *, inside: bool = True) -> list[Any]:
    """Return all that an op is, and what is inside: equal only if nothing changed.

    Ops and values are equal to themselves alone, so that this takes little time.
    """
    results = op.results
    found: list[Any] = [op, *op.operands, *results, *[r.type for r in results]]
    found += [*op.successors, *op.properties.items(), None, *op.attributes.items()]
    for region in op.regions:
        found.append(region)
        for block in region.blocks:
            found += [block, block.parent, *block.args, *[a.type for a in block.args]]
            for inner in block.ops:
                found.append(inner.parent)
                found += _snapshot(inner) if inside else (inner,)
    return found


def _key(op: Operation) -> Hashable | None:
    """Return all that the validity of an op depends on, or None where it is more.

    An op without regions sees its types and attributes, and no other op, but for one of
    `sym`, which sees the op around it and the element type of its operator, for
    `bt.connections`, and those that name functions, and for
    the terminator of a block, the last op.
    """
    kind, block = type(op), op.parent
    dialect = _dialect_of(kind)
    if dialect is None or block is None or block.last_op is op or op.regions:
        return None
    operands = [*op.operands]
    if op.successors or ErasedSSAValue in map(type, operands):
        return None
    around = _around(op) if dialect == "sym" else None
    types = (
        tuple([operand.type for operand in operands]),
        tuple([result.type for result in op.results]),
    )
    if kind is ConstantOp and len(op.properties) == 1:
        # Its type is all that is asked of a value, which may be long
        value = op.properties.get("value")
        if isinstance(value, DenseIntOrFPElementsAttr):
            return kind, *types, value.get_type(), None, *op.attributes.items()
    own = (*op.properties.items(), None, *op.attributes.items())
    return kind, around, *types, *own


@cache
def _dialect_of(kind: type[Operation]) -> str | None:
    """Return the dialect of ops that may have a key, None for others."""
    dialect = kind.name.partition(".")[0]
    naming = ConnectionsOp | DrawOp | LocalEnergyOp | MapSamplesOp
    names_functions = issubclass(kind, naming)
    known = dialect in ("sym", "stablehlo", "bt") and not names_functions
    return dialect if known else None


def _around(op: Operation) -> tuple[type[Operation], Attribute | None] | None:
    """Return what an op of `sym` sees around it."""
    around = parent = op.parent_op()
    while parent is not None and not isinstance(parent, OperatorOp):
        parent = parent.parent_op()
    if around is None or parent is None:
        return None
    return type(around), parent.properties.get("element")


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
        type(op) is FuncOp
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
    if kind in (ReturnOp, CallOp):
        return True
    dialect = kind.name.partition(".")[0]
    effects = (NoMemoryEffect, RecursiveMemoryEffect, IsTerminator)
    return dialect == "bt" or (
        dialect == "stablehlo"
        and any(isinstance(trait, effects) for trait in kind.traits)
    )
