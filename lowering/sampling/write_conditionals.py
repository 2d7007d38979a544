"""`write-conditionals`: what draws one site after the other, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from xdsl.builder import Builder
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    ModuleOp,
    SymbolRefAttr,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint

from dialects import bt
from dialects.stablehlo import element_of, shape_of, tensor
from lowering.arrays import Array, array
from lowering.change.asked import Asked, Values, kind_of, whole_of
from lowering.change.completion import (
    Beginning,
    Completion,
    Conditionals,
    conditionals_of,
)
from lowering.change.cone_analysis import cones_of
from lowering.change.cones import Emission, Node
from lowering.change.masked import Masked, Opened
from lowering.energy.extraction import added_to, function_named, module_of
from lowering.functions import Arrays, function_of
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter, rewrite_once
from lowering.stablehlo.stablehlo_batch import unbatched_op

Key = tuple[Any, str]

GROUPS, MORE_GROUPS = 4, 8
"""Groups of steps, each with a loop: sums over what is complete before a group are
products of large matrices, once for all of its steps. Each takes 0.3 s to compile."""

MANY_WEIGHTS = 1 << 18
"""Of masked layers with more weights there are more groups: with 4 in place of 8 two
layers of 2**20 took 1.8 times as long, of 2**15 0.8 times."""

STEPS = 4
"""A group has so many steps at least."""


class _Made(dict[Key, Array]):
    """Tables that are made where they are asked for."""

    def __init__(self, once: Emission):
        super().__init__()
        self._once = once

    def __missing__(self, key: Key) -> Array:
        _, make = self._once.wanted[key]
        self[key] = make(self._once)
        return self[key]


class Draft:
    """The functions of a network that draw its sites in an order.

    | function | arguments | results |
    |---|---|---|
    | tables | parameters | tables |
    | start | parameters | what log psi is without terms, caches of no site |
    | open | tables, caches | what is the same for all steps of a group |
    | term | tables, caches, these, step, value | what the site adds to log psi |
    | commit | as term | caches |

    Of the last three there is one for each group of steps.
    """

    def __init__(self, network: FuncOp, of: Conditionals, first: Sequence[float]):
        """Take a value that each site may have."""
        self.network, self.of, self._first = network, of, first
        count = len(of.order)
        weights = sum(node.size for node in of.inside if isinstance(node, Masked))
        most = MORE_GROUPS if weights > MANY_WEIGHTS else GROUPS
        groups = max(1, min(most, count // STEPS)) if weights else 1
        self.bounds: list[int] = np.linspace(0, count, groups + 1).astype(int).tolist()
        self._wanted: dict[Key, Any] = {}
        self._tables, kept = self._needed()
        self._kept = [key for key in kept if isinstance(key, Node)]
        self._opened = [key for key in kept if isinstance(key, Opened)]

    @property
    def _site(self) -> Attribute:
        """The element type of x."""
        return element_of(self.network.body.block.args[-1])

    def _once(self, insert: Inserter, leaves: Arrays) -> Emission:
        """Return where tables are made."""
        now = Values(insert, self.network, leaves)
        trace = self.of.beginning
        return Emission(insert, trace, fixed_of=now, wanted=self._wanted)

    def _at(
        self,
        group: int,
        tables: Mapping[Key, Array],
        kept: Mapping[Any, Array],
        step: Array,
        value: Array,
    ) -> Completion:
        start, stop = self.bounds[group : group + 2]
        return Completion(
            step.insert,
            self.of.trace(start, stop),
            step - start,
            tables=tables,
            kept=kept,
            wanted=self._wanted,
            group=group,
            of=self.of,
            drawn=value,
        )

    def _term(self, at: Completion) -> Array:
        return at.change(self.of.cones.result).reshape()

    def _needed(self) -> tuple[list[Key], list[Node | Opened]]:
        """Return keys of tables, and what is kept: they are written to see."""
        leaves = self.network.body.block.arg_types[:-1]
        blocks = Block(arg_types=leaves), Block(arg_types=self._state)
        once, inside = (
            Inserter(Builder(InsertPoint.at_end(block)), self.network.location)
            for block in blocks
        )
        given = [Array(one, once) for one in blocks[0].args]
        made = _Made(self._once(once, given))
        tables = Asked(inside, blocks[1], lambda key: made[key].value.type)
        kept = Asked(inside, blocks[1], self._kind)
        step, value = (Array(one, inside) for one in blocks[1].args[:2])
        groups = [
            self._at(group, tables, kept, step, value)
            for group in range(len(self.bounds) - 1)
        ]
        for at in groups:
            self._term(at)
        known = 0
        while known < len(kept):
            for node in list(kept)[known:]:
                known += 1
                for at in groups:
                    if isinstance(node, Node):
                        at.committed(node)
                    elif node.group == at.group:
                        node.node.opened(at)
        return list(tables), list(kept)

    def _kind(self, key: Node | Opened) -> Attribute:
        if isinstance(key, Node):
            return kind_of(key)
        node, group = key
        start, stop = self.bounds[group : group + 2]
        own = np.unique(self.of.trace(start, stop).lists[node])
        return tensor(element_of(node.value), (len(own), node.channels))

    @property
    def _state(self) -> list[Attribute]:
        return [tensor(i32), tensor(self._site)]

    def _tables_of(self, insert: Inserter, leaves: Arrays) -> Arrays:
        made = _Made(self._once(insert, leaves))
        return [made[key] for key in self._tables]

    def _start_of(self, insert: Inserter, leaves: Arrays) -> Arrays:
        x = self.network.body.block.args[-1]
        first = array(insert, np.reshape(self._first, shape_of(x)), self._site)
        now = Values(insert, self.network, [*leaves, first])

        def known(node: Node) -> Array:
            return whole_of(self.of.cones, node, now)

        at = Beginning(
            insert,
            self.of.beginning,
            tables=_Made(self._once(insert, leaves)),
            wanted=self._wanted,
            of=self.of,
            drawn=first,
            known=known,
        )
        result = self.of.cones.result
        found = at.change(result) if result in self.of.terms else at.value(result)
        log = found.reshape()
        return [log, *map(known, self._kept)]

    def written(self) -> list[FuncOp]:
        """Return tables, start, and open, term and commit of each group."""
        leaves = list(self.network.body.block.arg_types[:-1])
        tables = function_of("tables", leaves, self._tables_of)
        start = function_of("start", leaves, self._start_of)
        found = [tables, start]
        kinds = [*tables.function_type.outputs, *start.function_type.outputs.data[1:]]
        for group in range(len(self.bounds) - 1):
            found += self._of_group(group, kinds)
        return found

    def _of_group(self, group: int, kinds: Sequence[Attribute]) -> list[FuncOp]:
        """Return the functions of a group, of tables and caches of some types."""
        opened = [key for key in self._opened if key.group == group]
        keys = [*self._kept, *opened]

        def at(arguments: Arrays) -> Completion:
            count = len(self._tables)
            tables = dict(zip(self._tables, arguments[:count], strict=True))
            *kept, step, value = arguments[count:]
            own = dict(zip(keys, kept, strict=True))
            return self._at(group, tables, own, step, value)

        def open_(insert: Inserter, arguments: Arrays) -> Arrays:
            nothing = [array(insert, 0, kind) for kind in (i32, self._site)]
            none = [array(insert, 0, i32)] * len(opened)
            own = at([*arguments, *none, *nothing])
            return [key.node.opened(own) for key in opened]

        def term(_: Inserter, arguments: Arrays) -> Arrays:
            return [self._term(at(arguments))]

        def commit(_: Inserter, arguments: Arrays) -> Arrays:
            own = at(arguments)
            return [own.committed(node) for node in self._kept]

        more = [*kinds, *map(self._kind, opened), *self._state]
        return [
            function_of(f"open{group}", kinds, open_),
            function_of(f"term{group}", more, term),
            function_of(f"commit{group}", more, commit),
        ]


class WriteConditionals(RewritePattern):
    """What draws configurations names functions that draw one site after the other.

    %x, %log = bt.draw %u from @logpsi(%w) order [0, 1] ..
    becomes
    %x, %log = bt.draw %u from @logpsi(%w) order [0, 1]
      written [@draw0.tables, @draw0.start, @draw0.open0, ..] bounds [0, 2] ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.DrawOp, rewriter: PatternRewriter) -> None:
        if op.written is not None:
            return
        module = module_of(op)
        network = function_named(module, op.callee.string_value())
        cones = cones_of(network)
        found = cones if isinstance(cones, str) else conditionals_of(cones, op.sites)
        if isinstance(found, str):
            remark(f"sites are not drawn one by one: {found}", done=False, at=op)
            return
        draft = Draft(network, found, [values[0] for values in op.local_values])
        written = draft.written()
        name = next(filter(None, map(unbatched_op, written)), None)
        if name is not None:
            reason = f"'{name}' has no batching rule"
            remark(f"sites are not drawn one by one: {reason}", done=False, at=op)
            return
        op.written = ArrayAttr(map(SymbolRefAttr, added_to(module, "draw", written)))
        op.bounds = DenseArrayBase.from_list(i64, draft.bounds)
        rewriter.notify_op_modified(op)


@dataclass(frozen=True)
class WriteConditionalsPass(ModulePass):
    """Write what draws configurations site after site as functions of the module."""

    name = "write-conditionals"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, WriteConditionals())
