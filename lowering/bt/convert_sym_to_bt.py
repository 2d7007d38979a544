"""`convert-sym-to-bt`: vectorise an operator over its rows.

Each `sym.operator` becomes a function of the configurations and the parameters that
returns the connected configurations and their matrix elements. Labels become tables of
sites, reads become gathers, scalar ops combine values of the largest kind among their
operands, and emissions become sparse branches. Expects normal form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from xdsl.builder import Builder
from xdsl.context import Context
from xdsl.dialects.builtin import (
    FunctionType,
    ModuleOp,
    TensorType,
    i32,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects.stablehlo import FloorOp

from dialects import bt, sym
from dialects.origins import LaneOrigins
from dialects.provenance import in_place_of
from dialects.stablehlo import (
    AddOp,
    AndOp,
    DivideOp,
    MultiplyOp,
    OrOp,
    SubtractOp,
    compare,
    constant,
    constant_of,
    convert,
    dtype_of,
    select,
    tensor,
    to_numpy,
)
from dialects.tables import NO_SITE, SiteSets
from lowering.analysis.sites import Alias, alias, normal_form_error, writes_of
from lowering.relations import Relation
from lowering.rewriting import Inserter

_MAX_LISTED_VALUES = 4
"""Larger local spaces with equal steps are checked by their bounds, not by value."""


BATCH, LANES, SITES = "batch", "lanes", "sites"
AXES = (BATCH, LANES, SITES)
"""The axes that a value can have, in order; `sites` only inside of a reduction."""

Axes = tuple[str, ...]


@dataclass
class _TermLowering:
    """Translates the block of one term."""

    term: sym.TermOp
    config: SSAValue
    at: Inserter
    values: dict[SSAValue, SSAValue]
    """Value at `bt` of each value of `sym`."""
    origins: LaneOrigins
    """Where the branches of the operator were at first."""
    first_branch: int
    """The number of the first branch of the term in the operator."""
    axes: dict[SSAValue, Axes] = field(default_factory=dict[SSAValue, Axes])
    """The axes of each value of `bt`; none for a scalar."""
    emissions: list[SSAValue] = field(default_factory=list[SSAValue])
    width: int = 0
    """The number of sites of the reduction that is being translated."""

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
        branches = self.at.add(bt.InterleaveOp(self.emissions))
        if self.term.lanes == self.term.branches:
            return branches
        return self.at.add(bt.CompactOp(branches, self.term.lanes))

    def _bind_rows(self) -> None:
        self.at.location = self.term.location
        arguments = self.term.body.block.args[1:]
        table = self.term.rows.data
        for label, argument in enumerate(arguments[: table.labels]):
            self._bind(argument, constant(table.column(label), i32), (LANES,))
        columns = arguments[table.labels :][: len(self.term.data_columns)]
        for argument, column in zip(columns, self.term.data_columns, strict=True):
            kind = column.values.get_element_type()
            self._bind(argument, constant(to_numpy(column.values), kind), (LANES,))

    def _bind(self, value: SSAValue, op: Operation, axes: Axes) -> None:
        new = self._add(op, axes)
        new.name_hint = value.name_hint
        self.values[value] = new

    def _add(self, op: Operation, axes: Axes) -> SSAValue:
        """Insert an op whose result has the given axes."""
        new = self.at.add(op)
        self.axes[new] = axes
        return new

    def _axes_of(self, value: SSAValue) -> Axes:
        return self.axes.get(value, ())

    def _shape(self, axes: Axes) -> list[int]:
        sizes = {BATCH: bt.BATCH, LANES: self.lanes, SITES: self.width}
        return [sizes[axis] for axis in axes]

    def _lift(self, value: SSAValue, axes: Axes) -> SSAValue:
        """Repeat a value along the axes that it lacks."""
        own = self._axes_of(value)
        if own == axes:
            return value
        dims = [axes.index(axis) for axis in own]
        element = cast(TensorType[Attribute], value.type).element_type
        wide = tensor(element, self._shape(axes))
        return self._add(bt.BroadcastOp(value, dims, wide), axes)

    def _visit(self, op: Operation) -> None:
        if isinstance(op, sym.WriteOp):
            return  # translated with the emission that it belongs to
        if isinstance(op, sym.EmitOp):
            self.emissions.append(self._branches(op))
            return
        value = self._translated(op)
        if value is None:
            self._elementwise(op)
            return
        if isinstance(op, sym.ReadOp | sym.ElementOp):
            value.name_hint = op.result.name_hint
        self.values[op.results[0]] = value

    def _translated(self, op: Operation) -> SSAValue | None:
        """Return what an op of `sym` becomes; None for an op of another dialect."""
        match op:
            case sym.ReadOp():
                return self._read(op.site, op.result.type)
            case sym.IndexOp() | sym.OwnRuleOp():
                return self.values[op.operands[0]]
            case sym.SiteOp():
                return self._site(op)
            case sym.ElementOp():
                return self._element(op)
            case sym.AllowedOp():
                return self._allowed(op)
            case sym.LocalIndexOp():
                return self._local_index(op)
            case sym.LocalValueOp():
                return self._local_value(op)
            case sym.LookupOp():
                return self._lookup(op)
            case sym.ReduceOp():
                return self._reduce(op)
            case _:
                return None

    def _element(self, op: sym.ElementOp) -> SSAValue:
        sites = self._set_of(op.sites).column(op.position.value.data)
        return self._add(constant(sites, i32), (LANES,))

    def _read(self, site: SSAValue, local_value: Attribute) -> SSAValue:
        """Return the local values of x at a site; 0 where there is none."""
        sites = self.values[site]
        own = self._axes_of(sites)
        element = cast(TensorType[Attribute], local_value).element_type
        per_sample = BATCH in own
        gather = bt.GatherOp(self.config, sites, element, per_sample=per_sample)
        value = self._add(gather, own if per_sample else (BATCH, *own))
        return self._or_zero(site, value, element)

    def _or_zero(self, site: SSAValue, value: SSAValue, element: Attribute) -> SSAValue:
        """Return a value that is of a site: 0 where there is none."""
        if not self._may_be_missing(site):
            return value
        nowhere = self._scalar(NO_SITE, i32)
        exists = self._compare("NE", self.values[site], nowhere)
        return self._elementwise_op(select, exists, value, self._scalar(0, element))

    def _may_be_missing(self, site: SSAValue) -> bool:
        """Whether a site is none in some row. Computed ones are guarded."""
        table = constant_of(self.values[site])
        return table is not None and bool((table == NO_SITE).any())

    def _site(self, op: sym.SiteOp) -> SSAValue:
        """Return the number of a computed site; guards exclude what is off-lattice."""
        number = self.values[op.number]
        if cast(TensorType[Attribute], number.type).element_type == i32:
            return number
        return self._add(convert(number, i32), self._axes_of(number))

    def _scalar(self, value: float, element: Attribute) -> SSAValue:
        return self._add(constant(np.array(value), element), ())

    def _set_of(self, sites: SSAValue) -> SiteSets:
        """Return the table of a site set."""
        found = self.term.set_of(sites)
        if found is None:
            raise PassFailedException(
                "convert-sym-to-bt: a site set must be an argument of its term"
            )
        return found

    def _elementwise(self, op: Operation) -> None:
        if not op.name.startswith("stablehlo.") or op.regions or len(op.results) != 1:
            raise PassFailedException(
                f"convert-sym-to-bt: cannot vectorise '{op.name}' in term "
                f"@{self.term.sym_name.data}"
            )
        values = [self.values[operand] for operand in op.operands]
        axes = self._union(values)
        element = cast(TensorType[Attribute], op.results[0].type).element_type
        new = type(op).create(
            operands=[self._lift(value, axes) for value in values],
            result_types=[tensor(element, self._shape(axes))],
            properties=op.properties.copy(),
            attributes=op.attributes.copy(),
        )
        self._bind(op.results[0], new, axes)

    def _union(self, values: Sequence[SSAValue]) -> Axes:
        found = {axis for value in values for axis in self._axes_of(value)}
        return tuple(axis for axis in AXES if axis in found)

    def _elementwise_op(
        self, build: Callable[..., Operation], *operands: SSAValue
    ) -> SSAValue:
        """Insert an elementwise op on values that are repeated to the same axes."""
        axes = self._union(operands)
        return self._add(build(*[self._lift(v, axes) for v in operands]), axes)

    def _compare(self, direction: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return self._elementwise_op(partial(compare, direction), lhs, rhs)

    # region Reductions

    def _reduce(self, op: sym.ReduceOp) -> SSAValue:
        """Evaluate the body at all sites at once, neutral where a site is not meant."""
        (site,) = op.body.block.args
        meant = self._bind_sites(op, site)
        for inner in op.body.block.ops:
            if isinstance(inner, sym.YieldOp):
                value = self.values[inner.value]
                break
            self._visit(inner)
        else:
            raise PassFailedException("convert-sym-to-bt: a reduction yields nothing")
        element = cast(TensorType[Attribute], value.type).element_type
        neutral = self._scalar(op.kind.data.combination.neutral, element)
        if meant is not None:
            value = self._elementwise_op(select, meant, value, neutral)
        axes = self._union([value, self.values[site]])
        value = self._lift(value, axes)
        rest = tuple(axis for axis in axes if axis != SITES)
        return self._add(bt.ReduceOp(op.kind.data, value), rest)

    def _bind_sites(self, op: sym.ReduceOp, site: SSAValue) -> SSAValue | None:
        """Bind the sites of a reduction; return which are meant, None if all."""
        if op.sites is not None:
            table = self._set_of(op.sites).array
            self.width = table.shape[1]
            self._bind(site, constant(table, i32), (LANES, SITES))
            if (table != NO_SITE).all():
                return None
            return self._compare("NE", self.values[site], self._scalar(NO_SITE, i32))
        self.width = sym.operator_of(self.term).space.data.sites
        self._bind(site, constant(np.arange(self.width), i32), (SITES,))
        if op.start is None or op.stop is None:
            return None
        after = self._compare("GE", self.values[site], self.values[op.start])
        before = self._compare("LT", self.values[site], self.values[op.stop])
        return self._elementwise_op(AndOp, after, before)

    # endregion

    # region Branches

    def _branches(self, op: sym.EmitOp) -> SSAValue:
        writes = writes_of(op.config)
        sites = [self._per_lane(self.values[write.site]) for write in writes]
        values = [self._per_lane(self._written(writes, k)) for k in range(len(writes))]
        valid = None
        if op.predicate is not None:
            valid = self._per_lane(self.values[op.predicate])
        amplitude = self._per_lane(self.values[op.amplitude])
        # Rows major, emissions minor
        first = self.first_branch + len(self.emissions)
        step = len(self.term.emissions)
        places = np.arange(self.lanes) * step + first
        return self.at.add(
            bt.BranchesOp(
                sites,
                values,
                amplitude,
                valid,
                self.lanes,
                self.origins.picked(places),
            )
        )

    def _per_lane(self, value: SSAValue) -> SSAValue:
        """Give a value that differs from sample to sample its lanes."""
        if self._axes_of(value) == (BATCH,):
            return self._lift(value, (BATCH, LANES))
        return value

    def _written(self, writes: Sequence[sym.WriteOp], k: int) -> SSAValue:
        """Return what write k stores: the source value where a later one shadows it."""
        site = writes[k].site
        value = self.values[writes[k].value]
        shadowed: SSAValue | None = None
        for later in writes[k + 1 :]:
            if alias(self.term, site, later.site) is Alias.NEVER:
                continue
            same = self._compare("EQ", self.values[site], self.values[later.site])
            shadowed = (
                same if shadowed is None else self._elementwise_op(OrOp, shadowed, same)
            )
        if shadowed is None:
            return value
        source = self._read(site, writes[k].value.type)
        return self._elementwise_op(select, shadowed, source, value)

    # endregion
    # region Membership in the space

    def _allowed(self, op: sym.AllowedOp) -> SSAValue:
        """Compare a value with the allowed ones of its site."""
        value, site = self.values[op.value], op.site
        element = cast(TensorType[Attribute], op.value.type).element_type
        if self._is_listed(element, _MAX_LISTED_VALUES):
            tests = [
                self._compare("EQ", value, self._per_site(site, listed, element))
                for listed in self._listed()
            ]
            allowed = tests[0]
            for test in tests[1:]:
                allowed = self._elementwise_op(OrOp, allowed, test)
        else:
            low, high = self._bounds(site, element)
            above = self._compare("GE", value, low)
            below = self._compare("LE", value, high)
            bounds = self._elementwise_op(AndOp, above, below)
            if self._is_integral(element):
                nearest = self._elementwise_op(FloorOp, value)
            else:
                step = self._spacing(site, element)
                offset = self._elementwise_op(SubtractOp, value, low)
                count = self._nearest(offset, step, self._all_steps(element))
                change = self._elementwise_op(MultiplyOp, count, step)
                nearest = self._elementwise_op(AddOp, low, change)
            same = self._compare("EQ", nearest, value)
            allowed = self._elementwise_op(AndOp, bounds, same)
        if not self._may_be_missing(site):
            return allowed
        nowhere = self._compare("EQ", self.values[site], self._scalar(NO_SITE, i32))
        return self._elementwise_op(OrOp, nowhere, allowed)

    def _local_index(self, op: sym.LocalIndexOp) -> SSAValue:
        """Return the place of a value among the allowed ones of its site."""
        value, site = self.values[op.value], op.site
        element = cast(TensorType[Attribute], op.value.type).element_type
        if not self._is_listed(element, 0):
            low, _ = self._bounds(site, element)
            step = self._spacing(site, element)
            offset = self._elementwise_op(SubtractOp, value, low)
            place = self._nearest(offset, step, self._all_steps(element))
            return self._or_zero(site, place, element)
        place = self._scalar(0, element)
        # backwards: short spaces repeat their last value, whose first place is meant
        for k, listed in reversed(list(enumerate(self._listed()))):
            here = self._compare("EQ", value, self._per_site(site, listed, element))
            place = self._elementwise_op(select, here, self._scalar(k, element), place)
        return self._or_zero(site, place, element)

    def _local_value(self, op: sym.LocalValueOp) -> SSAValue:
        """Return the allowed value at a place, modulo their number."""
        site = op.site
        element = cast(TensorType[Attribute], op.value.type).element_type
        place = self._elementwise_op(FloorOp, self.values[op.value])
        sizes = [float(len(states)) for states in self._kinds()]
        size = self._per_site(site, sizes, element)
        turns = self._turns(place, size, sizes, element)
        place = self._elementwise_op(
            SubtractOp, place, self._elementwise_op(MultiplyOp, size, turns)
        )
        if not self._is_listed(element, 0):
            low, _ = self._bounds(site, element)
            step = self._spacing(site, element)
            value = self._elementwise_op(
                AddOp, low, self._elementwise_op(MultiplyOp, step, place)
            )
            return self._or_zero(site, value, element)
        value = self._per_site(site, self._listed()[0], element)
        for k, listed in enumerate(self._listed()[1:], start=1):
            here = self._compare("EQ", place, self._scalar(k, element))
            candidate = self._per_site(site, listed, element)
            value = self._elementwise_op(select, here, candidate, value)
        return self._or_zero(site, value, element)

    # Compilers turn a division by a constant into a product with its inverse, which may
    # be a little less: 49 * (1 / 49) < 1. Before they are rounded down, quotients are
    # moved to the middle between two integers, unless the inverse is exact.

    def _turns(
        self,
        place: SSAValue,
        size: SSAValue,
        sizes: Sequence[float],
        element: Attribute,
    ) -> SSAValue:
        """Return how often a size goes into a place; both are integers."""
        if not _has_exact_inverses(sizes):
            place = self._elementwise_op(AddOp, place, self._scalar(0.5, element))
        return self._elementwise_op(
            FloorOp, self._elementwise_op(DivideOp, place, size)
        )

    def _nearest(
        self, offset: SSAValue, step: SSAValue, steps: Sequence[float]
    ) -> SSAValue:
        """Return the number of steps in an offset: exact where that is an integer."""
        count = self._elementwise_op(DivideOp, offset, step)
        if not _has_exact_inverses(steps):
            element = cast(TensorType[Attribute], offset.type).element_type
            count = self._elementwise_op(AddOp, count, self._scalar(0.5, element))
        return self._elementwise_op(FloorOp, count)

    def _all_steps(self, element: Attribute) -> list[float]:
        return [step for step in self._steps(element) if step is not None]

    def _lookup(self, op: sym.LookupOp) -> SSAValue:
        """Choose among the entries; guards exclude indices that the table lacks."""
        index = self.values[op.index]
        kind = cast(TensorType[Attribute], op.index.type).element_type
        element = op.table.get_element_type()
        table = to_numpy(op.table)
        positions = constant_of(index)
        if positions is not None:
            inside = np.clip(np.nan_to_num(positions), 0, len(table) - 1)
            entries = constant(table[inside.astype(np.int64)], element)
            return self._add(entries, self._axes_of(index))
        value = self._scalar(table[0], element)
        for position, entry in enumerate(table[1:], start=1):
            here = self._compare("EQ", index, self._scalar(position, kind))
            chosen = self._scalar(entry, element)
            value = self._elementwise_op(select, here, chosen, value)
        return value

    def _kinds(self) -> tuple[tuple[float, ...], ...]:
        return sym.operator_of(self.term).space.data.kinds[0]

    def _steps(self, element: Attribute) -> list[float | None]:
        return [_step(states, dtype_of(element)) for states in self._kinds()]

    def _is_listed(self, element: Attribute, short: int) -> bool:
        """Whether to go through the allowed values: few, or not equally spaced."""
        few = max(map(len, self._kinds())) <= short
        return few or None in self._steps(element)

    def _is_integral(self, element: Attribute) -> bool:
        """Whether the allowed values are successive integers."""
        lowest = [states[0] for states in self._kinds()]
        return set(self._steps(element)) == {1.0} and all(
            value.is_integer() for value in lowest
        )

    def _listed(self) -> list[list[float]]:
        """Return the k-th allowed value of each kind, or its last one."""
        kinds = self._kinds()
        longest = max(map(len, kinds))
        return [
            [states[min(k, len(states) - 1)] for states in kinds]
            for k in range(longest)
        ]

    def _bounds(self, site: SSAValue, element: Attribute) -> tuple[SSAValue, SSAValue]:
        """Return the lowest and the highest allowed value of a site."""
        kinds = self._kinds()
        low = self._per_site(site, [states[0] for states in kinds], element)
        high = self._per_site(site, [states[-1] for states in kinds], element)
        return low, high

    def _spacing(self, site: SSAValue, element: Attribute) -> SSAValue:
        """Return the distance of the allowed values of a site."""
        return self._per_site(site, self._all_steps(element), element)

    def _per_site(
        self, site: SSAValue, of_kind: Sequence[float], element: Attribute
    ) -> SSAValue:
        """Return a number that depends on the local space of a site."""
        if len(set(of_kind)) == 1:
            return self._scalar(of_kind[0], element)
        _, number = sym.operator_of(self.term).space.data.kinds
        per_site = np.array(of_kind)[number]
        sites = self.values[site]
        table = constant_of(sites)
        if table is not None:
            # No site takes the numbers of any: nothing is written there
            numbers = per_site[np.maximum(table, 0)]
            return self._add(constant(numbers, element), self._axes_of(sites))
        result = self._scalar(per_site[0], element)
        for kind in dict.fromkeys(per_site.tolist()):
            of_this_kind = np.flatnonzero(per_site == kind)
            here = self._is_one_of(sites, of_this_kind)
            result = self._elementwise_op(
                select, here, self._scalar(kind, element), result
            )
        return result

    def _is_one_of(self, sites: SSAValue, numbers: npt.NDArray[np.intp]) -> SSAValue:
        """Whether a computed site is one of the given ones."""
        result = self._compare("EQ", sites, self._scalar(int(numbers[0]), i32))
        for number in numbers[1:].tolist():
            test = self._compare("EQ", sites, self._scalar(number, i32))
            result = self._elementwise_op(OrOp, result, test)
        return result

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


def _has_exact_inverses(values: Sequence[float]) -> bool:
    return all(np.frexp(value)[0] == 0.5 for value in values)


def _is_exact(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> bool:
    """Whether values are integers whose differences a dtype holds exactly."""
    limit = 2.0 ** (np.finfo(dtype).nmant - 1)
    return bool(((values == np.floor(values)) & (np.abs(values) < limit)).all())


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
    origins, first = operator.branch_origins(), 0
    parts: list[SSAValue] = []
    for term in operator.terms:
        lowering = _TermLowering(term, block.args[0], at, dict(values), origins, first)
        parts.append(lowering.run())
        first += term.branches
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


def _bounds(operator: sym.OperatorOp) -> tuple[int, int] | None:
    """Return the least and the greatest local value, if all are integers."""
    values = [v for states in operator.space.data.kinds[0] for v in states]
    if not all(value.is_integer() for value in values):
        return None
    return int(min(values)), int(max(values))


def _local_values(operator: sym.OperatorOp) -> list[Sequence[float]]:
    """Return the local values that x can have; for each site where they differ."""
    kinds, number = operator.space.data.kinds
    return [*kinds] if len(kinds) == 1 else [kinds[int(kind)] for kind in number]


@dataclass(frozen=True)
class ConvertSymToBtPass(ModulePass):
    """Vectorise every operator.

    With `bounds` functions say how small the integers in x are, for `bt-narrow`, and
    which sums over x are conserved, for `bt-compact`; with `values`, which local values
    x has, for `bt-coalesce-static`. Without `arrange` they say that
    `stablehlo-arrange-gathers` is to leave their kernels as they are.
    """

    name = "convert-sym-to-bt"
    relation: ClassVar[Relation] = Relation.EQUAL

    bounds: bool = False
    values: bool = False
    arrange: bool = True

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
            function = _lower_operator(operator)
            self._note(operator, function)
            Rewriter.replace_op(operator, function, [])

    def _note(self, operator: sym.OperatorOp, function: FuncOp) -> None:
        """Say what is known of every x, and how kernels read it."""
        block = function.body.block
        notes = list[Operation]()
        if self.bounds or self.values:
            assume = bt.AssumeOp(
                block.args[0],
                bounds=_bounds(operator) if self.bounds else None,
                sums=[[*one.weights, one.total] for one in operator.space.data.sums]
                if self.bounds
                else (),
                values=_local_values(operator) if self.values else (),
            )
            notes += [assume] if assume.properties else []
        if not self.arrange:
            notes.append(bt.UnarrangedOp())
        Rewriter.insert_op(
            [in_place_of(operator, note) for note in notes],
            InsertPoint.at_start(block),
        )
