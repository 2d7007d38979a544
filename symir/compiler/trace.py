"""The trace of a lowering: a stage for each pass, read by everything that looks at it.

Handles, differences, checks, bisection, the explorer and reports on optimisation all
take their stages from `LoweringPipeline.run`, and keep none of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from operator import eq
from typing import Any, cast

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation
from xdsl.passes import ModulePass

from dialects import bt, sym
from dialects.text import print_module
from lowering.bt.lanes import lanes_of_function
from symir.compiler.context import SymbolicPassReport


@dataclass(frozen=True, eq=False)
class Stage:
    """An operator after one pass.

    Attributes:
        number: its place among the stages, 0 at the beginning.
        name: the name of the pass; at the beginning that of the level.
        module: the module after that pass: to be looked at, and not to be changed. It
            is that of the stage before where a pass changed nothing.
        report: what the pass did; None at the beginning, and where IR was edited.
        applied: the pass itself, with its settings; None likewise.
        edited: whether its IR was written by hand.
    """

    number: int
    name: str
    module: ModuleOp = field(repr=False)
    report: SymbolicPassReport | None = field(default=None, repr=False)
    applied: ModulePass | None = field(default=None, repr=False)
    edited: bool = False

    @cached_property
    def level(self) -> str:
        """The level of the module: "sym", "bt" or "stablehlo"."""
        return level_of(self.module)

    @cached_property
    def lanes(self) -> int | None:
        """The number of lanes; None where nothing says it."""
        return lanes_in(self.module)

    @cached_property
    def text(self) -> str:
        """The module as text, which parses back."""
        return print_module(self.module)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Trace:
    """The stages and reports of a lowering, to which each run of passes adds its own.

    Attributes:
        stages: a stage for each pass, with a copy of the module that it left, or that
            of the stage before.
        reports: a report for each pass, also for one that failed.
        dump: the result of the passes, such as "operator", in names of folders: the
            stages are written where `symir.compiler.dump` is asked to. None for never.
        keeps_stages: whether stages are kept, and not only reports.
    """

    stages: list[Stage] = field(default_factory=list[Stage])
    reports: list[SymbolicPassReport] = field(default_factory=list[SymbolicPassReport])
    dump: str | None = None
    keeps_stages: bool = True

    def add(self, one: ModulePass, module: ModuleOp, *, same: bool = False) -> None:
        """Add the stage of the pass that was reported last.

        With `same` the module is that of the last stage, up to names and places.
        """
        if not self.keeps_stages:
            return
        number, report = len(self.stages), self.reports[-1]
        same = same and _named_alike(self.stages[-1].module, module)
        copy = self.stages[-1].module if same else module.clone()
        self.stages.append(Stage(number, one.name, copy, report, one))


def _named_alike(a: ModuleOp, b: ModuleOp) -> bool:
    """Whether names of values and places are the same in modules of the same ops."""
    return all(map(eq, _names_in(a), _names_in(b)))


def _names_in(op: Operation) -> Iterator[Any]:
    yield op.location
    for result in op.results:
        yield result.name_hint
    for region in op.regions:
        for block in region.blocks:
            for argument in block.args:
                yield argument.name_hint
                yield argument.location
            for inner in block.ops:
                yield from _names_in(inner)


def level_of(module: ModuleOp) -> str:
    """Return the level of a module: that of the highest op or type in it."""
    if any(isinstance(op, sym.OperatorOp) for op in module.ops):
        return "sym"
    for op in module.walk():
        types = [*op.result_types, *(op.operand_types)]
        if isinstance(op, FuncOp):
            types += [*op.function_type.inputs, *op.function_type.outputs]
        if op.name.startswith("bt.") or any(map(_is_of_bt, types)):
            return "bt"
    return "stablehlo"


def _is_of_bt(kind: Attribute) -> bool:
    inner = kind
    if isinstance(kind, TensorType):
        inner = cast("TensorType[Attribute]", kind).get_element_type()
    return isinstance(inner, bt.StateType | bt.BranchesType)


def lanes_in(module: ModuleOp) -> int | None:
    """Return the lanes of a module at any level; None where nothing says them."""
    operators = [op for op in module.ops if isinstance(op, sym.OperatorOp)]
    if operators:
        return sum(term.lanes for one in operators for term in one.terms)
    return lanes_of_function(module)


def op_count(module: ModuleOp) -> int:
    """Return the number of ops in a module."""
    return _ops_inside(module)


def _ops_inside(op: Operation) -> int:
    # Counted around every pass: xDSL's walk takes four times as long
    count = 0
    for region in op.regions:
        for block in region.blocks:
            for inner in block.ops:
                count += 1 + (_ops_inside(inner) if inner.regions else 0)
    return count


def name_of(module: ModuleOp) -> str:
    """Return the name of the first operator or function in a module."""
    for op in module.ops:
        if isinstance(op, FuncOp | sym.OperatorOp):
            return op.sym_name.data
    return "module"
