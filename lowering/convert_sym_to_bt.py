"""`convert-sym-to-bt`: vectorise an operator over its rows.

Each `sym.operator` becomes a function of the configurations and the parameters that
returns the connected configurations and their matrix elements. Labels become tables of
sites, reads become gathers, scalar ops combine values of the largest kind among their
operands, and emissions become sparse branches. Expects normal form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.builder import Builder
from xdsl.context import Context
from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects.stablehlo import FloorOp

from dialects import bt, sym
from dialects.stablehlo import (
    AddOp,
    AndOp,
    DivideOp,
    MultiplyOp,
    OrOp,
    SubtractOp,
    compare,
    constant,
    dtype_of,
    select,
    shape_of,
    tensor,
    to_numpy,
)
from lowering.rewriting import Inserter
from lowering.sites import Alias, alias, column_of, normal_form_error, writes_of

_Binary = AddOp | AndOp | DivideOp | MultiplyOp | OrOp | SubtractOp

_MAX_LISTED_VALUES = 4
"""Larger local spaces with equal steps are checked by their bounds, not by value."""


def _lift(value: SSAValue, shape: Sequence[int], at: Inserter) -> SSAValue:
    """Broadcast a scalar, lane or batch value to one of the larger kinds."""
    own = shape_of(value)
    if own == tuple(shape):
        return value
    # Kinds are nested: a lane value has the last axis of a batch value
    dims = range(len(shape) - len(own), len(shape))
    element = cast(TensorType[Attribute], value.type).element_type
    return at.add(bt.BroadcastOp(value, list(dims), tensor(element, shape)))


@dataclass
class _TermLowering:
    """Translates the block of one term."""

    term: sym.TermOp
    config: SSAValue
    at: Inserter
    values: dict[SSAValue, SSAValue]
    """What each value of `sym` is at `bt`."""
    emissions: list[SSAValue] = field(default_factory=list[SSAValue])

    @property
    def lanes(self) -> int:
        return self.term.rows.data.rows

    def run(self) -> SSAValue:
        """Translate the term; returns its branches."""
        self._bind_rows()
        for op in self.term.body.block.ops:
            self.at.location = op.location
            self._visit(op)
        self.at.location = self.term.location
        return self.at.add(bt.InterleaveOp(self.emissions))

    def _bind_rows(self) -> None:
        self.at.location = self.term.location
        arguments = self.term.body.block.args[1:]
        table = self.term.rows.data
        for label, argument in enumerate(arguments[: table.labels]):
            self._bind(argument, constant(table.column(label), i32))
        for argument, column in zip(
            arguments[table.labels :], self.term.data_columns, strict=True
        ):
            kind = column.values.get_element_type()
            self._bind(argument, constant(to_numpy(column.values), kind))

    def _bind(self, value: SSAValue, op: Operation) -> None:
        new = self.at.add(op)
        new.name_hint = value.name_hint
        self.values[value] = new

    def _visit(self, op: Operation) -> None:
        match op:
            case sym.WriteOp():
                pass  # translated with the emission that it belongs to
            case sym.ReadOp():
                self._bind(op.result, self._gather(op.site, op.result.type))
            case sym.IndexOp():
                self.values[op.result] = self.values[op.site]
            case sym.AllowedOp():
                self.values[op.result] = self._allowed(op)
            case sym.EmitOp():
                self.emissions.append(self._branches(op))
            case _:
                self._elementwise(op)

    def _gather(self, site: SSAValue, local_value: Attribute) -> bt.GatherOp:
        element = cast(TensorType[Attribute], local_value).element_type
        return bt.GatherOp(self.config, self.values[site], element)

    def _elementwise(self, op: Operation) -> None:
        if not op.name.startswith("stablehlo.") or op.regions or len(op.results) != 1:
            raise PassFailedException(
                f"convert-sym-to-bt: cannot vectorise '{op.name}' in term "
                f"@{self.term.sym_name.data}"
            )
        operands = self._same_kind([self.values[operand] for operand in op.operands])
        shape = shape_of(operands[0]) if operands else ()
        element = cast(TensorType[Attribute], op.results[0].type).element_type
        new = type(op).create(
            operands=operands,
            result_types=[tensor(element, shape)],
            properties=op.properties.copy(),
            attributes=op.attributes.copy(),
        )
        self._bind(op.results[0], new)

    def _same_kind(self, values: Sequence[SSAValue]) -> list[SSAValue]:
        """Broadcast values to the largest kind among them."""
        shape = max((shape_of(value) for value in values), key=len, default=())
        return [_lift(value, shape, self.at) for value in values]

    def _add(self, function: type[_Binary], *operands: SSAValue) -> SSAValue:
        lhs, rhs = self._same_kind(operands)
        return self.at.add(function(lhs, rhs))

    def _compare(self, direction: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return self.at.add(compare(direction, *self._same_kind([lhs, rhs])))

    # region Branches

    def _branches(self, op: sym.EmitOp) -> SSAValue:
        writes = writes_of(op.config)
        sites = [self.values[write.site] for write in writes]
        values = [self._written(writes, k) for k in range(len(writes))]
        valid = None if op.predicate is None else self.values[op.predicate]
        amplitude = self.values[op.amplitude]
        return self.at.add(bt.BranchesOp(sites, values, amplitude, valid, self.lanes))

    def _written(self, writes: Sequence[sym.WriteOp], k: int) -> SSAValue:
        """Return what write k stores: the source value where a later one shadows it."""
        site = writes[k].site
        value = self.values[writes[k].value]
        shadowed: SSAValue | None = None
        for later in writes[k + 1 :]:
            if alias(self.term, site, later.site) is Alias.NEVER:
                continue
            same = self._compare("EQ", self.values[site], self.values[later.site])
            shadowed = same if shadowed is None else self._add(OrOp, shadowed, same)
        if shadowed is None:
            return value
        source = self.at.add(self._gather(site, writes[k].value.type))
        return self.at.add(select(*self._same_kind([shadowed, source, value])))

    # endregion
    # region Membership in the space

    def _allowed(self, op: sym.AllowedOp) -> SSAValue:
        """Compare a value with the allowed ones of its site."""
        kinds, _ = sym.operator_of(self.term).space.data.kinds
        value, site = self.values[op.value], op.site
        element = cast(TensorType[Attribute], op.value.type).element_type
        steps = [_step(states, dtype_of(element)) for states in kinds]
        longest = max(len(states) for states in kinds)
        if longest <= _MAX_LISTED_VALUES or None in steps:
            tests = [
                self._compare("EQ", value, self._per_site(site, listed, element))
                for listed in _padded(kinds, longest)
            ]
            return self._any(tests)
        low = self._per_site(site, [states[0] for states in kinds], element)
        high = self._per_site(site, [states[-1] for states in kinds], element)
        bounds = self._add(
            AndOp, self._compare("GE", value, low), self._compare("LE", value, high)
        )
        if set(steps) == {1.0} and all(states[0].is_integer() for states in kinds):
            nearest = self.at.add(FloorOp(value))
        else:
            step = self._per_site(site, [s for s in steps if s is not None], element)
            offset = self._add(SubtractOp, value, low)
            count = self.at.add(FloorOp(self._add(DivideOp, offset, step)))
            nearest = self._add(AddOp, low, self._add(MultiplyOp, count, step))
        return self._add(AndOp, bounds, self._compare("EQ", nearest, value))

    def _any(self, tests: Sequence[SSAValue]) -> SSAValue:
        result = tests[0]
        for test in tests[1:]:
            result = self._add(OrOp, result, test)
        return result

    def _per_site(
        self, site: SSAValue, of_kind: Sequence[float], element: Attribute
    ) -> SSAValue:
        """Return a number that depends on the local space of a site."""
        if len(set(of_kind)) == 1:
            return self.at.add(constant(np.float64(of_kind[0]), element))
        _, number = sym.operator_of(self.term).space.data.kinds
        column = self._column(site)
        return self.at.add(constant(np.array(of_kind)[number[column]], element))

    def _column(self, site: SSAValue) -> npt.NDArray[np.int32]:
        column = column_of(self.term, site)
        if column is None:
            raise PassFailedException(
                "convert-sym-to-bt: the space differs from site to site, and term "
                f"@{self.term.sym_name.data} writes to a computed site"
            )
        return column

    # endregion


def _step(states: Sequence[float], dtype: np.dtype[Any]) -> float | None:
    """Return the distance of equally spaced local values, or None.

    None as well where sums of them are rounded, so that no value near an allowed one
    passes for it.
    """
    if not any(_is_exact(np.array(states) * scale, dtype) for scale in (1, 2**10)):
        return None
    steps = set(np.diff(states).tolist())
    if not steps:
        return 1.0
    return steps.pop() if len(steps) == 1 else None


def _is_exact(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> bool:
    """Whether values are integers whose differences a dtype holds exactly."""
    limit = 2.0 ** (np.finfo(dtype).nmant - 1)
    return bool(((values == np.floor(values)) & (np.abs(values) < limit)).all())


def _padded(kinds: Sequence[Sequence[float]], longest: int) -> list[list[float]]:
    """Return the k-th allowed value of each kind, short kinds repeating their last."""
    return [
        [states[min(k, len(states) - 1)] for states in kinds] for k in range(longest)
    ]


def _lower_operator(operator: sym.OperatorOp) -> FuncOp:
    """Build the function that an operator becomes."""
    sites = operator.space.data.sites
    config = tensor(bt.StateType(), [bt.BATCH, sites])
    parameters = operator.body.block.args
    block = Block(arg_types=[config, *[parameter.type for parameter in parameters]])
    block.args[0].name_hint = "x"
    values: dict[SSAValue, SSAValue] = {}
    for old, new in zip(parameters, block.args[1:], strict=True):
        new.name_hint = old.name_hint
        values[old] = new

    at = Inserter(Builder(InsertPoint.at_end(block)), operator.location)
    parts = [
        _TermLowering(term, block.args[0], at, dict(values)).run()
        for term in operator.terms
    ]
    at.location = operator.location
    branches = at.add(bt.ConcatOp(parts))
    connections = bt.ConnectionsOp(block.args[0], branches, operator.element)
    at.add_op(connections)
    at.add_op(ReturnOp(*connections.results))
    kind = FunctionType.from_lists(
        [argument.type for argument in block.args],
        [result.type for result in connections.results],
    )
    function = FuncOp(operator.sym_name.data, kind, Region(block))
    function.location = operator.location
    return function


@dataclass(frozen=True)
class ConvertSymToBtPass(ModulePass):
    """Vectorise every operator."""

    name = "convert-sym-to-bt"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for operator in list(op.walk()):
            if not isinstance(operator, sym.OperatorOp):
                continue
            for term in operator.terms:
                if error := normal_form_error(term):
                    raise PassFailedException(
                        f"{self.name}: {error}; run sym-expand-updates and "
                        "sym-forward-reads first"
                    )
            Rewriter.replace_op(operator, _lower_operator(operator), [])
