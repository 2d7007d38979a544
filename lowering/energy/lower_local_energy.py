"""`lower-local-energy{batch=4096}`: energies as loops over samples and live lanes.

The energy of a chunk of samples becomes a function: which lanes are live, the ratios of
psi for these, by the functions of parts where a product is safe and by the network as
it is where none is, and the sum of matrix elements times ratios. What is made of
parameters alone comes before the loop over chunks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from math import prod
from typing import Any, ClassVar, cast

import numpy as np
from xdsl.builder import Builder
from xdsl.context import Context
from xdsl.dialects.builtin import (
    FunctionType,
    ModuleOp,
    StringAttr,
    TensorType,
    i1,
    i32,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import dtype_of, element_of, gather_rows, shape_of, tensor
from lowering.arrays import Array, array, chosen, zeros
from lowering.bt.lanes import lane_count, write_count
from lowering.energy.bt_local_energy import NETWORK
from lowering.energy.bt_local_energy_pack import local_values
from lowering.energy.extraction import (
    erase_unreachable,
    extracted,
    function_named,
    module_of,
    returned,
)
from lowering.energy.lane_rows import Lanes, State, keys_of
from lowering.energy.moves import Moves, SiteMoves
from lowering.energy.part_functions import scaled
from lowering.energy.plan_distinct_states import has_distinct_states
from lowering.energy.readings import Reading
from lowering.energy.write_parts import tabled
from lowering.functions import Arrays, applied, called, declared, named
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter, rewrite_once
from lowering.stablehlo.indexed import index_arguments
from lowering.stablehlo.stablehlo_batch import batch_function, unbatched_op

REST = 4
"""Ratio of chunk sizes of a network: a rest that fills no chunk takes smaller ones."""

CARRIED = 1 << 17
"""Bytes that a loop carries at most, such as one that factorises matrices: it reads all
of them in each turn, from the cache of a core."""

LARGEST_LOGARITHM = {4: 80.0, 8: 690.0}
"""Bounds on the logarithm of a product that keep it finite, by bytes of a real."""


# region Parts of a wavefunction


@dataclass(eq=False)
class Part(ABC):
    """A part of log psi, and how its ratio is found."""

    part: bt.PartAttr
    module: ModuleOp

    @property
    def knows_all(self) -> bool:
        """Whether log ratios are there at a node of psi, too; NaN is none."""
        return self.part.kind not in (bt.Rung.CONE, bt.Rung.DECLARED)

    @cached_property
    def functions(self) -> list[FuncOp]:
        """Those that were written of it, or else that it is."""
        written = [one.string_value() for one in self.part.written]
        names = written or self.part.functions
        return [function_named(self.module, name) for name in names]

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        """Return what is made of the parameters."""
        return []

    def bounds(self, insert: Inserter, tables: Arrays) -> Arrays:
        """Return bounds of logarithms of products, of each length."""
        return []

    @abstractmethod
    def cache(self, leaves: Arrays, tables: Arrays, x: Array) -> Arrays:
        """Return what is kept of all x, each (C, ..)."""

    @abstractmethod
    def ratio(self, of: Ratio) -> Array:
        """Return the part of log psi(x') - log psi(x) for one state."""


class Written(Part):
    """A part that is found by its functions."""

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        return called(insert, self.functions[0], leaves)

    def bounds(self, insert: Inserter, tables: Arrays) -> Arrays:
        return called(insert, self.functions[1], tables)

    def cache(self, leaves: Arrays, tables: Arrays, x: Array) -> Arrays:
        return of_many(self.functions[2], leaves, x)

    def ratio(self, of: Ratio) -> Array:
        names = self.part.ratios
        name = names[0] if len(names) == 1 else names[of.group or 0]
        function = function_named(self.module, name).clone()
        fixed = [*of.leaves, *of.tables]
        change = [of.length, *of.rows, of.sign]
        if of.caches:
            size = of.state.lanes.shape[0]
            numbers = range(len(fixed), len(fixed) + len(of.caches))
            index_arguments(function, size, numbers)
            change.append(of.state.sample)
        insert = of.state.number.insert
        given = [*fixed, *of.caches, *change]
        return applied(insert, function, [one.inside(insert) for one in given])


class Evaluated(Part):
    """A part that is evaluated at x'."""

    def cache(self, leaves: Arrays, tables: Arrays, x: Array) -> Arrays:
        (found,) = of_many(self.functions[0], leaves, x)
        return [found.reshape(x.shape[0])]

    def ratio(self, of: Ratio) -> Array:
        insert = of.state.number.insert
        x = of.state.configuration().reshape(1, -1)
        leaves = [leaf.inside(insert) for leaf in of.leaves]
        after = applied(insert, self.functions[0], [*leaves, x]).reshape()
        before = of.caches[0].inside(insert).at(of.state.sample)
        own = self.part.coefficient, element_of(returned(self.functions[0]))
        return difference(scaled(after, *own), scaled(before, *own))


@dataclass(eq=False)
class Declared(Part):
    """A part whose functions are declared alone: the user has given them.

    Tables are its own parameters. NaN is where the functions do not know.
    """

    local: Sequence[float]

    def __post_init__(self) -> None:
        inputs = function_named(self.module, self.part.functions[1])
        end, x = inputs.body.block.last_op, inputs.body.block.args[-1]
        assert isinstance(end, ReturnOp)
        *own, config = end.arguments
        name = self.part.functions[0]
        self.parameters = self._once(inputs, f"{name}.parameters", [], *own)
        self.config = self._once(inputs, f"{name}.config", [x], config)
        self.reading = Reading.of(inputs, self.local)

    def _once(
        self, inputs: FuncOp, name: str, given: Sequence[SSAValue], *results: SSAValue
    ) -> FuncOp:
        """Return the function of a name; another part may have it already."""
        known = named(self.module)
        return (
            known[name] if name in known else extracted(inputs, name, given, *results)
        )

    def tables(self, insert: Inserter, leaves: Arrays) -> Arrays:
        return called(insert, self.parameters, leaves)

    def cache(self, leaves: Arrays, tables: Arrays, x: Array) -> Arrays:
        function, samples = self.functions[0], x.shape[0]
        (read,) = of_many(self.config, leaves, x)
        kinds = [
            tensor(kind.element_type, (samples, *kind.get_shape()))
            for kind in cast(Any, function.function_type.outputs.data)
        ]
        own = [one.inside(x.insert) for one in tables]
        return self._called(function, samples, [*own, read.reshape(samples, -1)], kinds)

    def ratio(self, of: Ratio) -> Array:
        insert = of.state.number.insert
        caches = [one.inside(insert).at(of.state.sample) for one in of.caches]
        own = [one.inside(insert) for one in of.tables]
        changes = self.reading.of_changes(of.state.changes())
        (found,) = called(insert, self.functions[1], [*own, *caches, *changes])
        return self._of_found(found)

    def everywhere(self, lanes: Lanes, leaves: Arrays, tables: Arrays) -> Array:
        """Return log ratios of all lanes, (C, R), live or not."""
        caches = self.cache(leaves, tables, lanes.x)
        (kind,) = cast(Any, self.functions[1].function_type.outputs.data)
        own = [one.inside(lanes.insert) for one in tables]
        given = [*own, *caches, *self.reading.of_changes(lanes.changes())]
        kinds = [tensor(kind.element_type, lanes.shape)]
        return self._of_found(self._called(self.functions[1], "all", given, kinds)[0])

    def _of_found(self, found: Array) -> Array:
        """Return the multiple of what was found, or of its real or imaginary part."""
        if self.part.applied is not None:
            found = found.real if self.part.applied == "real" else found.imag
        factor = self.part.coefficient
        if factor == 1:
            return found
        if not factor.imag and found.is_complex:
            # Of a node, -inf, a complex product would have no imaginary part
            both = [(one * factor.real).value for one in (found.real, found.imag)]
            kind = found.value.type
            return found.of(hlo.ComplexOp.create(operands=both, result_types=[kind]))
        return scaled(found, factor, found.element)

    def _called(
        self,
        function: FuncOp,
        suffix: object,
        given: Arrays,
        kinds: Sequence[Attribute],
    ) -> Arrays:
        """Call the function of many, which is declared where it is not yet."""
        name = f"{function.sym_name.data}.{suffix}"
        own = [one.value.type for one in given]
        many = declared(self.module, name, own, kinds)
        return called(given[-1].insert, many, given)


@dataclass(eq=False)
class Ratio:
    """What the ratio of a part is found from, for one state."""

    state: State
    leaves: Arrays
    tables: Arrays
    caches: Arrays
    length: Array
    rows: Arrays
    sign: Array
    group: int | None = None


def of_many(function: FuncOp, leaves: Arrays, x: Array) -> Arrays:
    """Insert a call of a function of one x, (1, N), for all x, (C, N)."""
    samples, size = x.shape
    carried = [
        prod(shape_of(one)) * dtype_of(element_of(one)).itemsize
        for op in function.body.block.ops
        if isinstance(op, hlo.WhileOp)
        for one in op.results
    ]
    few = max(1, CARRIED // max(1, *carried)) if carried else samples
    if few < samples:
        few = -(-samples // -(-samples // few))
        given = [one.value for one in leaves]
        loop = bt.MapSamplesOp(_of_few(function, few, leaves, x), x.value, given)
        x.insert.add_op(loop)
        return [Array(result, x.insert) for result in loop.results]
    name = f"{function.sym_name.data}.{samples}"
    module = function.parent_op()
    assert isinstance(module, ModuleOp)
    known = named(module)
    if name not in known:
        many = function.clone()
        many.sym_name = StringAttr(name)
        batch_function(many, samples, [len(leaves)])
        Rewriter.insert_op(many, InsertPoint.after(function))
        known[name] = many
    return called(x.insert, known[name], [*leaves, x.reshape(samples, 1, size)])


def _of_few(function: FuncOp, few: int, leaves: Arrays, x: Array) -> FuncOp:
    """Return a function of some x, (few, N), and of leaves."""
    module = function.parent_op()
    assert isinstance(module, ModuleOp)
    name, known = f"{function.sym_name.data}.few", named(module)
    if name in known:
        return known[name]
    kinds = [tensor(x.element, (few, x.shape[1])), *(one.value.type for one in leaves)]
    block = Block(arg_types=kinds)
    insert = Inserter(Builder(InsertPoint.at_end(block)), function.location)
    config, *own = (Array(argument, insert) for argument in block.args)
    found = of_many(function, own, config)
    insert.add_op(ReturnOp(*(one.value for one in found)))
    made = FuncOp(name, FunctionType.from_lists([], []), Region(block), "private")
    made.update_function_type()
    Rewriter.insert_op(made, InsertPoint.after(function))
    return made


# endregion
# region Logarithms


def difference(after: Array, before: Array) -> Array:
    """Return after - before; a node of psi at x' is a ratio of 0, whatever is at x."""
    return _or_node(after - before, _is_node(after))


def added(terms: Sequence[Array]) -> Array:
    """Return the sum of some log ratios; a node of any at x' is one, whatever is at x.

    Infinities of two signs are those of one part at x, and of another one at x'.
    """
    is_node = reduce(Array.__or__, map(_is_node, terms))
    return _or_node(reduce(Array.__add__, terms), is_node)


def _is_node(logarithm: Array) -> Array:
    return logarithm.real.compared("EQ", -np.inf)


def _or_node(log_ratio: Array, is_node: Array) -> Array:
    return is_node.where(log_ratio.like(-np.inf).broadcast(log_ratio.shape), log_ratio)


def contributions(elements: Array, log_ratios: Array) -> Array:
    """Return elements times ratios: no branch is no branch, however large its ratio."""
    ratios = log_ratios.exp().astype(elements.element)
    values = elements * ratios
    nothing = elements.compared("EQ", 0) & ~ratios.is_finite()
    return nothing.where(values.like(0).broadcast(values.shape), values)


# endregion


def unfused(op: bt.LocalEnergyOp, moves: Moves | SiteMoves | str) -> str | None:
    """Return why an energy is found by the network alone, None where it is not.

    The text is empty where there is nothing but the network.
    """
    kinds = {part.kind for part in op.parts}
    if kinds == {bt.Rung.NETWORK} or not lane_count(op.branches):
        return ""
    if bt.Rung.DECLARED in kinds and not write_count(op.branches):
        return ""
    if has_distinct_states(op):
        return ""
    if bt.Rung.DECLARED in kinds and not local_values(op):
        return "the local values are not known, and declared models read them"
    for part in (one for one in op.parts if not one.written.data):
        if part.kind != bt.Rung.NETWORK:
            return f"no functions are written of {part}"
        (name,) = part.functions
        unbatched = unbatched_op(function_named(module_of(op), name))
        if unbatched is not None:
            return f"'{unbatched}' in @{name} has no batching rule"
    if isinstance(moves, str) and not kinds <= {bt.Rung.NETWORK, bt.Rung.DECLARED}:
        return f"no tables of differences: {moves}"
    return None


def _method(part: bt.PartAttr, module: ModuleOp, op: bt.LocalEnergyOp) -> Part:
    if part.kind == bt.Rung.DECLARED:
        return Declared(part, module, local_values(op))
    return Written(part, module) if part.written.data else Evaluated(part, module)


@dataclass(eq=False)
class Energy:
    """The energy of a chunk, and how it is found.

    Attributes:
        op: says what is to be found, with a plan.
        options: of the pass.
    """

    op: bt.LocalEnergyOp
    options: LowerLocalEnergyPass
    parts: list[Part] | None = field(init=False)

    def __post_init__(self) -> None:
        module = module_of(self.op)
        self.moves, self.local = tabled(self.op), local_values(self.op)
        self.parts = None
        missed = unfused(self.op, self.moves) if self.options.fused else ""
        if missed is None:
            self.parts = [_method(part, module, self.op) for part in self.op.parts]
        elif missed:
            remark(missed, done=False, at=self.op)

    @cached_property
    def plan(self) -> bt.Plan:
        assert self.op.plan is not None
        return self.op.plan.data

    def at_most(self, planned: int | None) -> int:
        """Return how many states are computed at once."""
        assert planned is not None
        return min(self.options.chunk or planned, planned)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        return self.plan.units or (1,)

    @cached_property
    def network(self) -> FuncOp:
        """The declaration of log psi."""
        return function_named(module_of(self.op), NETWORK)

    @cached_property
    def logpsi(self) -> Attribute:
        """The element type of log psi."""
        (kind,) = self.network.function_type.outputs
        return cast("TensorType[Attribute]", kind).element_type

    # region Tables

    def tables(self, insert: Inserter, leaves: Arrays) -> list[Arrays]:
        """Insert what parts make of the parameters: the tables of each, and a choice.

        The last two are the length of products that is safe, the first that is; and
        0 for the parts, or 1 where none is safe.
        """
        assert self.parts is not None
        found = [part.tables(insert, leaves) for part in self.parts]
        at_once = self.moves.at_once if isinstance(self.moves, SiteMoves) else 1
        bounds = [p.bounds(insert, t) for p, t in zip(self.parts, found, strict=True)]
        none, length = array(insert, True, i1), array(insert, 0, i32)
        for number in reversed(range(len(self.lengths))):
            safe = array(insert, True, i1)
            for own in bounds:
                if own:
                    bound = own[number] * at_once
                    largest = LARGEST_LOGARITHM[dtype_of(bound.element).itemsize]
                    # What is not a number is not safe either
                    safe = safe & bound.compared("LT", largest)
            length = safe.where(length.like(number), length)
            none = none & ~safe
        return [*found, [length], [none.astype(i32)]]

    # endregion
    # region Log ratios

    def log_ratios(
        self, lanes: Lanes, leaves: Arrays, tables: list[Arrays] | None
    ) -> Array:
        """Insert the log ratios of all lanes, (C, R), with 0 where x' is x."""
        loops = _Loops(self, lanes, leaves, lanes.live())
        if tables is None:
            return loops.by_network(lanes.insert, is_rare=False)
        *of_parts, (length,), (choice,) = tables

        def by_parts(insert: Inserter) -> Array:
            return loops.by_parts(insert, of_parts, length)

        def by_network(insert: Inserter) -> Array:
            return loops.by_network(insert, is_rare=True)

        return chosen(choice, [by_parts, by_network])

    # endregion


@dataclass(eq=False)
class _Loops:
    energy: Energy
    lanes: Lanes
    leaves: Arrays
    live: Array | None

    def by_network(self, insert: Inserter, *, is_rare: bool) -> Array:
        """Insert log ratios by log psi at x and x'; what is rare is compiled once."""
        size = self.energy.at_most(self.energy.plan.network_pairs)
        sizes = [size] if is_rare else [size, -(-size // REST)]
        x, network = self.lanes.x, self.energy.network
        is_distinct = not is_rare and has_distinct_states(self.energy.op)

        def of_state(number: Array) -> Array:
            state = State(self.lanes, number, may_be_sample=True)
            given = [leaf.inside(number.insert) for leaf in self.leaves]
            (found,) = called(number.insert, network, [*given, state.configuration()])
            return found

        mapped = self._mapped_distinct if is_distinct else self._mapped
        found, of_lanes = mapped(insert, of_state, 0, sizes)
        own = found.slice(0, x.shape[0]).reshape(-1, 1)
        log_ratios = difference(of_lanes, own.broadcast(self.lanes.shape))
        return self._only_live(log_ratios)

    def by_parts(self, insert: Inserter, tables: list[Arrays], length: Array) -> Array:
        """Insert log ratios by the parts of log psi."""
        parts = self.energy.parts
        assert parts is not None
        declared = [one for one in parts if isinstance(one, Declared)]
        lanes = self.lanes.at(insert)
        leaves = [leaf.inside(insert) for leaf in self.leaves]
        if self.energy.options.dense and len(declared) == len(parts):
            found = added(
                [
                    part.everywhere(lanes, leaves, table).astype(self.energy.logpsi)
                    for part, table in zip(declared, tables, strict=True)
                ]
            )
            return self._completed(self._only_live(found))
        rows = signs = None
        if not isinstance(lanes.moves, str):
            rows, signs = lanes.rows_and_signs()
        caches = [
            part.cache(leaves, table, lanes.x)
            for part, table in zip(parts, tables, strict=True)
        ]

        def of_state(number: Array, group: int | None = None) -> Array:
            state = State(lanes, number, may_be_sample=False)
            own = _rows_of(state, rows)
            sign = array(number.insert, True, i1)
            if signs is not None:
                sign = signs.inside(number.insert).at(state.flat)
            terms = [
                part.ratio(Ratio(state, leaves, table, cache, length, own, sign, group))
                for part, table, cache in zip(parts, tables, caches, strict=True)
            ]
            terms = [term.astype(self.energy.logpsi) for term in terms]
            return added(terms) if len(terms) > 1 else terms[0]

        samples, size = lanes.shape[0], self.energy.at_most(self.energy.plan.pairs)
        if self.energy.plan.groups:
            found = self._by_groups(insert, of_state, rows)
        else:
            _, found = self._mapped(insert, of_state, samples, [size])
            found = self._only_live(found)
        knows = [one.knows_all for one in parts]
        return found if all(knows) else self._completed(found)

    def _by_groups(
        self,
        insert: Inserter,
        of_state: Callable[[Array, int | None], Array],
        rows: Array | None,
    ) -> Array:
        """Insert log ratios by loops over the lanes of one group of rows each."""
        samples, lanes = self.lanes.shape
        groups = array(insert, np.array(self.energy.plan.groups), i32)
        if rows is None:
            own = groups.broadcast((samples, lanes), [1])
        else:
            numbers = rows.inside(insert).reshape(-1).astype(i32)
            own = groups.of(gather_rows(groups.value, numbers.value))
            own = own.reshape(samples, lanes)
        size = self.energy.at_most(self.energy.plan.pairs)
        found: list[Array] = []
        for number in range(max(self.energy.plan.groups or ()) + 1):
            live = own.compared("EQ", number)
            live = live if self.live is None else live & self.live.inside(insert)
            one = replace(self, live=live)

            def of_group(state: Array, number: int = number) -> Array:
                return of_state(state, number)

            _, ratios = one._mapped(insert, of_group, samples, [size, -(-size // REST)])
            found.append(one._only_live(ratios))
        return reduce(Array.__add__, found)

    def _completed(self, found: Array) -> Array:
        """Return log ratios, and where they are NaN what the network says."""
        unknown = found.is_nan()
        is_any = unknown.reshape(-1).any(0).astype(i32)

        def by_network(insert: Inserter) -> Array:
            known = self.by_network(insert, is_rare=True)
            return unknown.inside(insert).where(known, found.inside(insert))

        return chosen(is_any, [found.inside, by_network])

    def _mapped(
        self,
        insert: Inserter,
        of_state: Callable[[Array], Array],
        first: int,
        sizes: Sequence[int],
    ) -> tuple[Array, Array]:
        """Insert what is of states from the first on, and of lanes alone, (C, R)."""
        packed = None
        if self.live is not None:
            # Where it is needed: a choice that is not made takes no time
            packed = bt.PackOp(self.live.value)
            insert.add_op(packed)
        found = self._loop(insert, of_state, packed, first, sizes)
        if packed is None or self.live is None:
            return found, self._of_lanes(found)
        op = bt.UnpackOp(found.value, packed.places, self.live.value)
        return found, found.of(op)

    def _mapped_distinct(
        self,
        insert: Inserter,
        of_state: Callable[[Array], Array],
        first: int,
        sizes: Sequence[int],
    ) -> tuple[Array, Array]:
        """Insert the same, with what is of equal states computed once."""
        packed = bt.DistinctOp(self.lanes.at(insert).keys().value)
        insert.add_op(packed)
        distinct = self._loop(insert, of_state, packed, first, sizes)
        found = distinct.of(gather_rows(distinct.value, packed.places))
        return found, self._of_lanes(found)

    def _of_lanes(self, found: Array) -> Array:
        """Return what is of the lanes among all states, (C, R)."""
        samples, lanes = self.lanes.shape
        own = found.slice(samples, samples * (1 + lanes))
        return own.reshape(samples, lanes)

    def _loop(
        self,
        insert: Inserter,
        of_state: Callable[[Array], Array],
        packed: bt.PackOp | bt.DistinctOp | None,
        first: int,
        sizes: Sequence[int],
    ) -> Array:
        block = Block(arg_types=[tensor(i32)])
        inside = Inserter(Builder(InsertPoint.at_end(block)), insert.location)
        value = of_state(Array(block.args[0], inside)).value
        inside.add_op(bt.YieldOp(value))
        samples, lanes = self.lanes.shape
        kind = tensor(element_of(value), (samples * (1 + lanes),))
        states = packed and (packed.states, packed.count)
        loop = bt.MapStatesOp(states, first, sizes, Region(block), kind)
        return Array(insert.add(loop), insert)

    def _only_live(self, log_ratios: Array) -> Array:
        if self.live is None:
            return log_ratios
        nothing = log_ratios.like(0).broadcast(log_ratios.shape)
        return self.live.inside(log_ratios.insert).where(log_ratios, nothing)


def _rows_of(state: State, rows: Array | None) -> Arrays:
    """Return the row of a lane in tables, or one for each of its writes."""
    if rows is None:
        return [state.lane]
    own = rows.inside(state.number.insert).at(state.flat).astype(i32)
    if not own.shape:
        return [own]
    return [own.slice(n, n + 1).reshape() for n in range(own.shape[0])]


@dataclass
class LowerLocalEnergy(RewritePattern):
    """The energy of a chunk is a function, which is called for chunk after chunk.

    func.func @f(%x : tensor<64x8xi8>, %w : tensor<8xf64>) -> tensor<64xf64> {
      %b = ..
      %e = bt.local_energy %x, %b parameters(%w) through [..] plan <..>
      func.return %e : tensor<64xf64>
    }
    becomes, for a batch of 4096,
    func.func @f(%x : tensor<4096x8xi8>, %w : tensor<8xf64>) -> tensor<4096xf64> {
      %t = func.call @part0.tables(%w) : ..
      %e = bt.map_samples @f.chunk(%x, %w, %t) : .. -> tensor<4096xf64>
      func.return %e : tensor<4096xf64>
    }
    func.func private @f.chunk(%x : tensor<64x8xi8>, ..) -> tensor<64xf64> {
      %b = ..
      %s, %v, %m = bt.lanes %x, %b : ..
      %states, %places, %count = bt.pack %live : ..
      %r = bt.map_states over %states to %count from 64 sizes [1024] { .. }
      ..
    }
    """

    options: LowerLocalEnergyPass

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        function = op.parent_op()
        if op.plan is None or not isinstance(function, FuncOp):
            return
        batch = self.options.batch or shape_of(op.config)[0]
        name = function.sym_name.data
        function.sym_name = StringAttr(f"{name}.chunk")
        energy = Energy(op, self.options)
        main, tables = _main(function, name, energy, batch)
        block = function.body.block
        inner = Inserter(rewriter, op.location)
        given = None
        if tables is not None:
            given = [
                [
                    Array(block.insert_arg(one.value.type, len(block.args)), inner)
                    for one in own
                ]
                for own in tables
            ]
        result = _lowered(energy, given, inner)
        end = block.last_op
        assert isinstance(end, ReturnOp)
        rewriter.replace(end, ReturnOp(result.value))
        rewriter.erase(op)
        function.update_function_type()
        function.sym_visibility = StringAttr("private")
        rewriter.insert(main, InsertPoint.before(function))
        _call_chunks(main, function, energy, tables)


def _main(
    function: FuncOp, name: str, energy: Energy, batch: int
) -> tuple[FuncOp, list[Arrays] | None]:
    """Return the function of the whole batch, as far as the tables of parts."""
    x, *rest = function.body.block.args
    whole = tensor(element_of(x), (batch, shape_of(x)[1]))
    block = Block(arg_types=[whole, *(argument.type for argument in rest)])
    for new, old in zip(block.args, function.body.block.args, strict=True):
        new.name_hint = old.name_hint
    insert = Inserter(Builder(InsertPoint.at_end(block)), energy.op.location)
    main = FuncOp(name, FunctionType.from_lists([], []), Region(block))
    if energy.parts is None:
        return main, None
    count = len(block.args) - len(energy.op.parameters)
    leaves = [Array(argument, insert) for argument in block.args[count:]]
    return main, energy.tables(insert, leaves)


def _call_chunks(
    main: FuncOp, function: FuncOp, energy: Energy, tables: list[Arrays] | None
) -> None:
    block = main.body.block
    x, *rest = block.args
    rest += [one.value for own in tables or () for one in own]
    insert = Inserter(Builder(InsertPoint.at_end(block)), function.location)
    if has_distinct_states(energy.op):
        result = _of_distinct(function, Array(x, insert), rest, energy.local)
    else:
        result = insert.add(bt.MapSamplesOp(function, x, rest))
    insert.add_op(ReturnOp(result))
    main.update_function_type()


def _of_distinct(
    function: FuncOp, x: Array, rest: Sequence[SSAValue], local: Sequence[float]
) -> SSAValue:
    """Insert what a function returns of samples, one time for those that are equal."""
    keys, _ = keys_of(x, local)
    packed = bt.DistinctOp(keys.value)
    x.insert.add_op(packed)
    own = x.of(gather_rows(x.value, packed.states))
    of_own = x.of(bt.MapSamplesOp(function, own.value, rest, packed.count))
    return of_own.of(gather_rows(of_own.value, packed.places)).value


def _lowered(energy: Energy, tables: list[Arrays] | None, insert: Inserter) -> Array:
    """Insert the energies of a chunk, or the log ratios of its lanes."""
    op = energy.op
    samples = shape_of(op.config)[0]
    leaf = next(bt.leaves_of(op.branches), None)
    kind = element_of(op.result)
    stays = zeros(insert, kind, (samples,))
    if op.diagonal is not None:
        diagonal = Array(op.diagonal, insert).astype(kind)
        stays = diagonal.broadcast((samples,), [] if not diagonal.shape else None)
    if leaf is None or not lane_count(op.branches):
        return stays
    own = bt.LanesOp(op.config, op.branches, element_of(leaf.amplitude))
    insert.add_op(own)
    lanes = Lanes.of(op, energy.moves, energy.local, own, insert)
    leaves = [Array(value, insert) for value in op.parameters]
    found = energy.log_ratios(lanes, leaves, tables)
    if energy.options.ratios:
        return found
    elements = Array(own.matrix_elements, insert).astype(kind)
    return stays + contributions(elements, found).sum(1)


@dataclass(frozen=True)
class LowerLocalEnergyPass(ModulePass):
    """Find energies by loops over samples and live lanes. Expects `bt-specialize`.

    Attributes:
        batch: the number of samples; by default that of one chunk.
        chunk: states of which a network sees so many at once, at most.
        ratios: log psi(x') - log psi(x) of all lanes is returned, and no energy.
        fused: whether parts of log psi are found each by its own method.
        dense: whether a declared part is found for all lanes, live or not.
    """

    name = "lower-local-energy"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    batch: int = 0
    chunk: int = 0
    ratios: bool = False
    fused: bool = True
    dense: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, LowerLocalEnergy(self))
        erase_unreachable(op)
