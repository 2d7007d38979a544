"""Bugs that are planted in passes: each is blamed on its pass, with lane and values.

`bisect` finds them by what `check` compares.

A planted pass does what the pass of its name does, and then one thing more that a
mistake in it could have done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.transforms import get_all_passes as get_all_xdsl_passes
from xdsl_jax.dialects import stablehlo as hlo

import symir as sym
from dialects import bt
from dialects import sym as sym_ir
from dialects.reductions import ReductionKind
from dialects.stablehlo import compare as compare_op
from dialects.stablehlo import constant, dense, to_numpy
from dialects.tables import RowTable
from dialects.text import parse_module
from lowering.registry import get_all_passes
from lowering.relations import Relation, relation_of
from symir.compiler.lowering import LoweringPipeline, operator_pipeline
from symir.errors import SymbolicCompilerError
from symir.validation.bisection import Bisection, bisect
from symir.validation.check import PIPELINE, check
from symir.validation.reports import StageReport

Op = TypeVar("Op", bound=Operation)
Plant = Callable[[ModuleOp], None]

i, j = sym.site("i"), sym.site("j")


# region Operators


def hopping() -> sym.SymbolicOperator:
    """Bosons with a parameter, guards, two emissions and a diagonal term."""
    return (
        sym.DOperator(sym.fock(2, 4), "hopping")
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3), (3, 0)])
        .named("bonds")
        .emit_if(i > 0, sym.hop("i", "j"), amplitude=-sym.sqrt(i) * 0.75)
        .emit(amplitude=sym.symbol("V", default=1.0) * i * j, tag="density")
        .for_each_site("i")
        .named("sites")
        .emit(amplitude=0.1 * i + 0.2)
        .build()
    )


def looking_up() -> sym.SymbolicOperator:
    """Undefined values: a table that some x has no entry in."""
    return (
        sym.DOperator(sym.fock(2, 3), "looking_up")
        .for_each_site("i")
        .named("table")
        .emit(sym.write("i", 0), amplitude=sym.table([0.5, 1.5])[i])
        .build()
    )


def alike() -> sym.SymbolicOperator:
    """Terms that become one, and reads of what was written."""
    builder = sym.DOperator(sym.fock(2, 4), "alike")
    for number in range(3):
        builder = (
            builder.for_each(("i", "j"), over=[(number, number + 1)])
            .named(f"t{number}")
            .emit(sym.swap("i", "j"), amplitude=(1.5 + number) * sym.emitted("i"))
        )
    return builder.build()


def choosy() -> sym.SymbolicOperator:
    """A predicate that nothing else implies, and sites in no order."""
    return (
        sym.DOperator(sym.fock(2, 4), "choosy")
        .for_each(("i", "j"), over=[(1, 2), (2, 0), (0, 3)])
        .named("pairs")
        .emit_if(i > j, sym.swap("i", "j"), amplitude=2.0 + i)
        .build()
    )


def counted() -> sym.SymbolicOperator:
    """A fanout, and a sum over the lattice."""
    everywhere = sym.sum_(sym.here)
    return (
        sym.DOperator(sym.spin(0.5, 4), "counted")
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3), (3, 0)])
        .named("pairs")
        .where(i != j)
        .emit(sym.swap("i", "j"), amplitude=2.0 + everywhere)
        .fanout(2)
        .build()
    )


# endregion
# region What goes wrong


def of(module: ModuleOp, kind: type[Op]) -> list[Op]:
    return [op for op in module.walk() if isinstance(op, kind)]


def first(module: ModuleOp, kind: type[Op]) -> Op:
    return of(module, kind)[0]


def replaced(op: Operation, operand: int, value: SSAValue) -> None:
    op.operands[operand] = value


def inserted(before: Operation, op: Operation) -> SSAValue:
    block = before.parent_block()
    assert block is not None
    block.insert_op_before(op, before)
    return op.results[0]


def scale_amplitude(module: ModuleOp, factor: float = 1.5, which: int = 0) -> None:
    """Multiply the amplitude of an emission or of lanes."""
    emits = [*of(module, sym_ir.EmitOp), *of(module, bt.BranchesOp)]
    op = emits[which]
    amplitude = op.amplitude
    number = inserted(
        op, constant(np.array(factor), cast(Any, amplitude.type).element_type)
    )
    if isinstance(op, bt.BranchesOp):
        shape = cast(Any, amplitude.type).get_shape()
        if shape:
            number = inserted(op, bt.BroadcastOp(number, [], amplitude.type))
    product = inserted(op, hlo.MultiplyOp(amplitude, number))
    op.operands[list(op.operands).index(amplitude)] = product


def drop_predicate(module: ModuleOp) -> None:
    op = next(e for e in of(module, sym_ir.EmitOp) if e.predicate is not None)
    assert op.predicate is not None
    always = inserted(op, hlo.ConstantOp(dense(np.array(True), sym_ir.i1)))
    op.operands[list(op.operands).index(op.predicate)] = always


def shift_the_other_way(module: ModuleOp) -> None:
    """Write the old value where the new one should be."""
    write = first(module, sym_ir.WriteOp)
    read = inserted(write, sym_ir.ReadOp(write.config, write.site, write.value.type))
    write.operands[2] = read


def read_the_source(module: ModuleOp) -> None:
    """Take the value of another site."""
    read = first(module, sym_ir.ReadOp)
    block = read.parent_block()
    assert block is not None
    sites = [a for a in block.args if isinstance(a.type, sym_ir.SiteType)]
    other = next(site for site in sites if site is not read.site)
    read.operands[1] = other


def change_constant(module: ModuleOp, by: float = 1e-6, which: int = 0) -> None:
    floats = [
        op
        for op in of(module, hlo.ConstantOp)
        if to_numpy(op.value).dtype == np.float64
    ]
    op = floats[which]
    values = to_numpy(op.value)
    kind = cast(TensorType[Any], op.output.type).element_type
    op.properties["value"] = dense(values + by, kind)


def rotate_table(module: ModuleOp) -> None:
    """Turn the first table of sites by one row."""
    for op in of(module, hlo.ConstantOp):
        values = to_numpy(op.value)
        if values.dtype == np.int32 and values.ndim == 1 and len(set(values)) > 1:
            kind = cast(TensorType[Any], op.output.type).element_type
            op.properties["value"] = dense(np.roll(values, 1), kind)
            return
    raise AssertionError("no table")


def default_for_parameter(module: ModuleOp) -> None:
    """Take the default of a parameter for a constant."""
    argument = _parameter(module)
    block = argument.owner
    assert isinstance(block, Block)
    one = constant(np.array(1.0), cast(Any, argument.type).element_type)
    head = block.first_op
    assert head is not None
    if isinstance(head, sym_ir.TermOp):
        for term in of(module, sym_ir.TermOp):
            inner = term.body.block.first_op
            assert inner is not None
            value = inserted(inner, one.clone())
            for use in list(argument.uses):
                if use.operation.parent_op() is term:
                    use.operation.operands[use.index] = value
        return
    block.insert_op_before(one, head)
    argument.replace_all_uses_with(one.results[0])


def _parameter(module: ModuleOp) -> SSAValue:
    operators = of(module, sym_ir.OperatorOp)
    if operators:
        return operators[0].body.block.args[0]
    return first(module, FuncOp).body.block.args[1]


def swap_rows(module: ModuleOp) -> None:
    term = first(module, sym_ir.TermOp)
    rows = term.rows.data.array[::-1]
    term.properties["rows"] = sym_ir.RowsAttr(RowTable.from_rows(rows))


def merge_reads(module: ModuleOp) -> None:
    """Take two reads of different sites for one."""
    for term in of(module, sym_ir.TermOp):
        reads = [op for op in term.body.block.ops if isinstance(op, sym_ir.ReadOp)]
        if len(reads) > 1:
            reads[1].result.replace_all_uses_with(reads[0].result)
            return
    raise AssertionError("no two reads")


def merge_gathers(module: ModuleOp) -> None:
    gathers = [*of(module, bt.GatherOp), *of(module, hlo.GatherOp)]
    a, b = next(
        (a, b)
        for n, a in enumerate(gathers)
        for b in gathers[n + 1 :]
        if a.results[0].type == b.results[0].type
    )
    b.results[0].replace_all_uses_with(a.results[0])


def drop_validity(module: ModuleOp) -> None:
    op = next(b for b in of(module, bt.BranchesOp) if b.valid is not None)
    new = bt.BranchesOp(
        op.sites, op.values, op.amplitude, None, op.result.type.lanes.data
    )
    inserted(op, new)
    op.result.replace_all_uses_with(new.result)
    op.detach()
    op.erase()


def concatenate_emissions(module: ModuleOp) -> None:
    """Put the emissions one after the other, instead of row by row."""
    op = first(module, bt.InterleaveOp)
    new = bt.ConcatOp(op.parts)
    inserted(op, new)
    op.result.replace_all_uses_with(new.result)
    op.detach()
    op.erase()


def write_elsewhere(module: ModuleOp) -> None:
    """Swap the sites of two writes."""
    op = next(b for b in of(module, bt.BranchesOp) if len(b.sites) == 2)
    op.operands[0], op.operands[1] = op.operands[1], op.operands[0]


def swap_select(module: ModuleOp) -> None:
    op = of(module, hlo.SelectOp)[-1]
    op.operands[1], op.operands[2] = op.operands[2], op.operands[1]


def halve_last_elements(module: ModuleOp) -> None:
    """Multiply the matrix elements that a kernel returns."""
    op = first(module, ReturnOp)
    elements = op.operands[1]
    op.operands[1] = inserted(op, hlo.AddOp(elements, elements))


def return_x(module: ModuleOp) -> None:
    """Return x' = x in all lanes."""
    op = first(module, ReturnOp)
    kind = cast(TensorType[Any], op.operands[0].type)
    x = first(module, FuncOp).body.block.args[0]
    from dialects.stablehlo import broadcast_in_dim

    op.operands[0] = inserted(op, broadcast_in_dim(x, kind.get_shape(), [0, 2]))


def promise_less(module: ModuleOp) -> None:
    """Compact into one lane, and pad it."""
    op = first(module, bt.CompactOp)
    less = bt.CompactOp(op.operand, 1)
    inserted(op, less)
    again = bt.ConcatOp([less.result, less.result])
    inserted(op, again)
    op.result.replace_all_uses_with(again.result)
    op.detach()
    op.erase()


class Bug(NamedTuple):
    """What is planted behind a pass; `occurrence` counts passes of the same name."""

    pass_name: str
    plant: Plant
    operator: Callable[[], sym.SymbolicOperator]
    what: str = "matrix element"
    occurrence: int = 0


def amplitudes_of(which: int) -> Plant:
    return lambda module: scale_amplitude(module, which=which)


def constants_of(which: int, by: float = 1e-6) -> Plant:
    return lambda module: change_constant(module, by, which)


BUGS = {
    "gathering loses the order of rows": Bug(
        "sym-gather-terms", swap_rows, hopping, "x'"
    ),
    "fusion scales the amplitudes": Bug("sym-fuse-terms", amplitudes_of(0), alike),
    "fusion loses the order of rows": Bug("sym-fuse-terms", swap_rows, hopping, "x'"),
    "undefined values are not guarded": Bug(
        "sym-guard-undefined", drop_predicate, looking_up, "x'"
    ),
    "a guard replaces the predicate": Bug(
        "sym-guard-undefined", drop_predicate, choosy
    ),
    "an update is left out": Bug(
        "sym-expand-updates", shift_the_other_way, hopping, "x'"
    ),
    "an update reads another site": Bug(
        "sym-expand-updates", read_the_source, alike, "x'"
    ),
    "a read is forwarded from another site": Bug(
        "sym-forward-reads", merge_reads, alike, "x'"
    ),
    "a folded constant is off": Bug(
        "stablehlo-fold-constants", constants_of(1), hopping, "x'"
    ),
    "a default is folded": Bug(
        "stablehlo-fold-constants", default_for_parameter, hopping
    ),
    "a predicate is dropped": Bug("canonicalize", drop_predicate, choosy),
    "different reads are merged": Bug("cse", merge_reads, hopping, "x'"),
    "the guard of the space is forgotten": Bug(
        "sym-guard-space", drop_predicate, hopping, "x'"
    ),
    "a table of sites is off by one": Bug(
        "convert-sym-to-bt", rotate_table, hopping, "x'"
    ),
    "validity is lost": Bug("convert-sym-to-bt", drop_validity, hopping, "x'"),
    "lanes are in another order": Bug(
        "convert-sym-to-bt", concatenate_emissions, hopping, "x'"
    ),
    "a lane is compacted away": Bug("convert-sym-to-bt", promise_less, counted),
    "writes go to each other's sites": Bug(
        "convert-sym-to-bt", write_elsewhere, alike, "x'"
    ),
    "a table is folded wrongly": Bug(
        "stablehlo-fold-constants", rotate_table, hopping, "x'", 1
    ),
    "branches lose their validity": Bug(
        "canonicalize", drop_validity, hopping, "x'", 1
    ),
    "different gathers are merged": Bug("cse", merge_gathers, alike, "x'", 1),
    "specialisation fixes a parameter": Bug(
        "bt-specialize", default_for_parameter, hopping
    ),
    "specialisation scales": Bug("bt-specialize", amplitudes_of(1), hopping),
    "the sides of a choice are swapped": Bug(
        "convert-bt-to-stablehlo", swap_select, hopping, "x'"
    ),
    "elements are counted twice": Bug(
        "convert-bt-to-stablehlo", halve_last_elements, hopping
    ),
    "a constant of the kernel is rounded": Bug(
        "stablehlo-fold-constants", constants_of(-1), hopping, "matrix element", 2
    ),
    "gathers of the kernel are merged": Bug("cse", merge_gathers, choosy, "x'", 2),
    "what is needed is taken for dead": Bug("dce", return_x, hopping, "x'"),
}


# endregion


@dataclass(frozen=True)
class Planted(ModulePass):
    """A pass with a bug."""

    inner: ModulePass
    plant: Plant
    is_weak: bool = False
    """Whether it is held to what the pass declares, and no more; else to equality."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.inner.name)
        if self.is_weak:
            object.__setattr__(self, "relation", relation_of(self.inner))

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        self.inner.apply(ctx, op)
        self.plant(op)

    def pipeline_pass_spec(self, *, include_default: bool = False) -> Any:
        return self.inner.pipeline_pass_spec(include_default=include_default)


def planted(
    bug: Bug, monkeypatch: pytest.MonkeyPatch, lowered_by: str = PIPELINE
) -> Bisection:
    """Return what is found where the bug is planted."""
    parse = LoweringPipeline.parse
    left = [bug.occurrence]

    def with_bug(text: str) -> LoweringPipeline:
        passes = list(parse(text))
        for number, one in enumerate(passes):
            if one.name != bug.pass_name:
                continue
            if left[0] == 0:
                passes[number] = Planted(one, bug.plant, lowered_by != PIPELINE)
            left[0] -= 1
        return LoweringPipeline(passes)

    monkeypatch.setattr(LoweringPipeline, "parse", with_bug)
    return bisect(bug.operator(), validate="exhaustive", pipeline=lowered_by)


def check_found(found: Bisection, bug: Bug) -> None:
    """Assert that a pass is named, with what shows that it is to blame."""
    assert not found.ok
    assert found.pass_name == bug.pass_name
    assert found.number is not None
    assert found.passes[: found.number].count(bug.pass_name) == bug.occurrence + 1
    assert found.stage is not None
    assert found.stage.x is not None
    # The texts are those around the pass, and not those of its neighbours
    assert found.before is not None
    assert found.after is not None
    parse_module(found.before)
    parse_module(found.after)
    assert found.diff().startswith(f"--- before {bug.pass_name}\n")
    assert f"pass {found.number}, {bug.pass_name}, is to blame" in str(found)


@pytest.mark.parametrize("name", BUGS)
def test_bugs_are_blamed_on_their_pass(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = BUGS[name]
    found = planted(bug, monkeypatch)
    check_found(found, bug)
    report = found.report
    assert report is not None
    wrong = [stage for stage in report.stages if not stage.ok]
    stage: StageReport = wrong[0]
    names = [one.name for one in report.stages]
    nth = [n for n, one in enumerate(names) if one == bug.pass_name][bug.occurrence]
    assert [report.stages.index(one) for one in wrong][:1] == [nth], str(report)
    assert report.blamed is stage
    difference = stage.difference
    assert difference is not None
    assert difference.what == bug.what
    assert difference.sample is not None
    assert difference.lane is not None
    assert difference.expected != difference.found
    assert stage.origin is not None
    assert found.term == stage.origin.term
    assert found.location is not None
    assert found.location.file == __file__
    assert repr(stage.name)[1:-1] in str(report)
    with pytest.raises(SymbolicCompilerError) as caught:
        report.raise_if_wrong()
    assert caught.value.code == "V010"
    assert caught.value.pass_name == bug.pass_name
    assert caught.value.term == stage.origin.term


def test_nothing_is_blamed_without_a_bug() -> None:
    for operator in (hopping, looking_up, alike, choosy, counted):
        assert check(operator(), validate="exhaustive").ok


def test_there_are_bugs_in_every_pass_of_the_pipeline() -> None:
    default = {*PIPELINE.split(",")} - {"sym-plan-fusion"}
    assert default <= {bug.pass_name for bug in BUGS.values()}
    assert len(BUGS) >= 20
    assert default <= {*get_all_passes(), *get_all_xdsl_passes()}


# region The optimiser

OPTIMISED = f"sym-plan-fusion,{operator_pipeline('static', 3)}"


def strings() -> sym.SymbolicOperator:
    """Lanes of three terms that lead to one x', guards, and strings of signs."""
    both = sym.flip("i").flip("j")
    sign = 1 - 2 * sym.parity(sym.here, over=sym.sites_range(0, "i"))
    return (
        sym.DOperator(sym.qubit(4), "strings")
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3), (3, 0)])
        .named("pairs")
        .emit(both, amplitude=2.0 + i, tag="flip")
        .emit(amplitude=0.5 * i * j)
        .for_each(
            ("i", "j"),
            over=[(1, 0), (1, 0), (3, 2), (3, 2), (2, 0), (1, 3)],
            data={"w": [0.25, 0.5, -1.0, 3.0, 2.0, 4.0]},
        )
        .named("signs")
        .emit(both, amplitude=sym.row("w") * sign * (1 + j))
        .for_each(("i", "j"), over=[(2, 3), (3, 2), (2, 3)], data={"least": [0, 0, -1]})
        .named("guarded")
        .where(i > sym.row("least"))
        .emit(sym.write("i", 0).write("j", 1), amplitude=1.5)
        .build()
    )


def asked() -> sym.SymbolicOperator:
    """Questions to many sites, without lanes that are summed."""
    inside = sym.between("i", "j")
    rows = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    return (
        sym.DOperator(sym.qubit(5), "asked")
        .for_each(("i", "j"), over=rows)
        .named("strings")
        .where(sym.all_(sym.here > 0, over=inside))
        .emit(sym.swap("i", "j"), amplitude=1.5 + i)
        .for_each(("i", "j"), over=rows)
        .named("parities")
        .emit(sym.flip("i"), amplitude=1 + sym.parity(sym.here, over=inside))
        .build()
    )


def flipping() -> sym.SymbolicOperator:
    """A diagonal, and two images that writes are made of."""
    return (
        sym.DOperator(sym.qubit(4), "flipping")
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3)])
        .named("bonds")
        .emit(amplitude=0.5 * i * j)
        .for_each(("i", "j"), over=[(0, 1), (1, 2), (2, 3)])
        .named("flips")
        .emit(sym.flip("i").write("j", 1), amplitude=1.5)
        .build()
    )


def _constants(module: ModuleOp, dtype: str, axes: int) -> list[hlo.ConstantOp]:
    """Return the constants of a dtype that differ in their elements."""
    return [
        op
        for op in of(module, hlo.ConstantOp)
        if (array := to_numpy(op.value)).dtype == dtype
        and array.ndim == axes
        and (array != array.flat[0]).any()
    ]


def _set(op: hlo.ConstantOp, array: Any) -> None:
    kind = cast(TensorType[Any], op.output.type).element_type
    op.properties["value"] = dense(array, kind)


def forget(axes: int) -> Plant:
    """Take one entry out of a table of truths."""

    def plant(module: ModuleOp) -> None:
        op = _constants(module, "bool", axes)[-1]
        array = to_numpy(op.value).copy()
        array[tuple(np.argwhere(array)[-1])] = False
        _set(op, array)

    return plant


def turn(dtype: str, axes: int, axis: int = -1, which: int = -1) -> Plant:
    """Turn a table by one along an axis."""

    def plant(module: ModuleOp) -> None:
        op = _constants(module, dtype, axes)[which]
        _set(op, np.roll(to_numpy(op.value), 1, axis))

    return plant


def add_bit(module: ModuleOp) -> None:
    """Ask one site more, or one less."""
    masks = [
        op
        for op in _constants(module, "int32", 1)
        if any(isinstance(use.operation, bt.BroadcastOp) for use in op.output.uses)
    ]
    array = to_numpy(masks[-1].value).copy()
    array[0] ^= 2
    _set(masks[-1], array)


def all_for_any(module: ModuleOp) -> None:
    """Let a sum be valid only where all of its lanes are."""
    (op,) = (r for r in of(module, bt.ReduceOp) if r.kind.data is ReductionKind.ANY)
    op.properties["kind"] = bt.ReductionAttr(ReductionKind.ALL)


def exchange_images(module: ModuleOp) -> None:
    op = next(one for one in of(module, bt.ImagesOp) if len(one.images) == 2)
    first, second = op.images
    op.operands[2], op.operands[3] = second, first


def write_anyway(module: ModuleOp) -> None:
    """Let all lanes be valid."""
    op = [one for one in of(module, bt.ImagesOp) if one.valid is not None][-1]
    new = bt.ImagesOp(op.masks, op.images, op.amplitude, None, op.result.type)
    inserted(op, new)
    op.result.replace_all_uses_with(new.result)
    op.detach()
    op.erase()


def turn_comparison(module: ModuleOp) -> None:
    """Ask whether a bit is set where none should be."""
    compared = [op for op in of(module, hlo.CompareOp) if "i32" in str(op.lhs.type)]
    turned = "NE" if "EQ" in str(compared[0].comparison_direction) else "EQ"
    new = compare_op(turned, compared[0].lhs, compared[0].rhs)
    inserted(compared[0], new)
    compared[0].results[0].replace_all_uses_with(new.results[0])


OPTIMISER_BUGS = {
    "the diagonal is counted wrongly": Bug(
        "bt-coalesce-diagonal", amplitudes_of(-1), flipping
    ),
    "a sum forgets a lane": Bug("bt-coalesce-static", forget(2), strings),
    "a sum is valid where all lanes are": Bug(
        "bt-coalesce-static", all_for_any, strings
    ),
    "a sum adds another lane": Bug(
        "bt-coalesce-static", turn("float64", 2, 0, 0), strings
    ),
    "a sum writes what another does": Bug(
        "bt-coalesce-static", turn("int32", 1), strings
    ),
    "the diagonal is taken for another lane": Bug(
        "bt-join-diagonal", turn("bool", 1), flipping
    ),
    "a mask has one site more": Bug("bt-reduce-strategy", add_bit, asked),
    "bits are counted the other way round": Bug(
        "bt-reduce-strategy", turn_comparison, asked
    ),
    "a mask has one site less": Bug(
        "bt-materialize-strategy", forget(2), flipping, "x'"
    ),
    "an image is put at the wrong site": Bug(
        "bt-materialize-strategy", turn("bool", 2), flipping, "x'"
    ),
    "images are exchanged": Bug(
        "bt-materialize-strategy", exchange_images, flipping, "x'"
    ),
    "a lane that is not valid is written": Bug(
        "bt-materialize-strategy", write_anyway, strings, "x'"
    ),
}


@pytest.mark.parametrize("name", OPTIMISER_BUGS)
def test_bugs_of_the_optimiser_are_blamed_on_their_pass(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = OPTIMISER_BUGS[name]
    found = planted(bug, monkeypatch, OPTIMISED)
    check_found(found, bug)
    stage = found.stage
    assert stage is not None
    assert (stage.name, stage.level) == (bug.pass_name, "bt")
    difference = stage.difference
    assert difference is not None
    assert difference.expected != difference.found
    assert difference.sample is not None
    if stage.relation is Relation.EQUAL:
        # Sums have no lane that is to blame
        assert stage.location is not None
        assert stage.location.file == __file__


def test_nothing_of_the_optimiser_is_blamed_without_a_bug() -> None:
    for operator in (strings, asked, flipping):
        check(
            operator(), validate="exhaustive", lowering=OPTIMISED, executable=False
        ).raise_if_wrong()
    assert {bug.pass_name for bug in OPTIMISER_BUGS.values()} <= {*OPTIMISED.split(",")}


# endregion


def does_nothing(self: ModulePass, ctx: Context, op: ModuleOp) -> None:
    """Forget what the pass is for."""


@pytest.mark.parametrize(
    ("pass_name", "operator"),
    [("sym-guard-space", hopping), ("sym-guard-undefined", looking_up)],
)
def test_a_guard_that_is_not_there_is_blamed(
    pass_name: str,
    operator: Callable[[], sym.SymbolicOperator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = get_all_passes()[pass_name]()
    monkeypatch.setattr(kind, "apply", does_nothing)
    report = check(operator(), validate="exhaustive")
    assert report.blamed is not None
    assert report.blamed.name == pass_name


# region Weaker relations


@dataclass(frozen=True)
class Reversed(ModulePass):
    """The rows of all terms in the opposite order, as a declared multiset."""

    name = "test-reversed"
    relation = Relation.MULTISET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for term in of(op, sym_ir.TermOp):
            rows = RowTable.from_rows(term.rows.data.array[::-1])
            term.properties["rows"] = sym_ir.RowsAttr(rows)


@dataclass(frozen=True)
class Undeclared(Reversed):
    """The same, held to equality."""

    name = "test-undeclared"
    relation = Relation.EQUAL


@dataclass(frozen=True)
class WithoutLastRow(ModulePass):
    """All rows but the last of each term, as a declared multiset."""

    name = "test-without-last-row"
    relation = Relation.MULTISET

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for term in of(op, sym_ir.TermOp):
            rows = RowTable.from_rows(term.rows.data.array[:-1])
            term.properties["rows"] = sym_ir.RowsAttr(rows)


def test_a_branch_that_is_lost_is_named_by_where_it_comes_from() -> None:
    start = LoweringPipeline.parse(PIPELINE)
    report = check(hopping(), lowering=start.inserted(WithoutLastRow(), 0))
    stage = report.blamed
    assert stage is not None
    assert stage.difference is not None
    assert stage.difference.before
    assert stage.origin is not None
    assert (stage.origin.term, stage.origin.row) == ("sites", 3)
    assert stage.location is not None
    assert Path(stage.location.file).name == Path(__file__).name


def test_a_pass_is_held_to_what_it_declares() -> None:
    start = LoweringPipeline.parse(PIPELINE)
    assert check(hopping(), lowering=start.inserted(Reversed(), 0)).ok
    report = check(hopping(), lowering=start.inserted(Undeclared(), 0))
    assert report.blamed is not None
    assert report.blamed.name == "test-undeclared"


# endregion
