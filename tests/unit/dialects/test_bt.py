"""The `bt` dialect from Python: constructors, the types they infer, and effects."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ComplexType,
    IntAttr,
    ModuleOp,
    TensorType,
    f32,
    f64,
    i1,
    i8,
    i32,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.dialects.test import TestOp as AnyOp
from xdsl.interfaces import HasCanonicalizationPatternsInterface
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue, TypeAttribute
from xdsl.pattern_rewriter import RewritePattern
from xdsl.traits import Pure
from xdsl.transforms.canonicalize import CanonicalizePass
from xdsl.transforms.common_subexpression_elimination import (
    CommonSubexpressionElimination,
)
from xdsl.transforms.dead_code_elimination import DeadCodeElimination
from xdsl.utils.exceptions import VerifyException
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt, sym
from dialects.canonicalization import bt as patterns
from dialects.origins import LaneOrigins
from dialects.stablehlo import tensor
from dialects.text import Parser, context, parse_module, print_module

STATE = bt.StateType()
SITES, LANES = 8, 7


def values(*types: Attribute) -> Sequence[SSAValue]:
    """Return values of the given types that come from nowhere."""
    return AnyOp(result_types=types).results


def config(batch: int = bt.BATCH, state: Attribute = STATE) -> TensorType[Attribute]:
    return tensor(state, (batch, SITES))


def types_of(op: Operation) -> list[Attribute]:
    op.verify()
    return [result.type for result in op.results]


def f64_of_batch() -> TensorType[Attribute]:
    return tensor(f64, (bt.BATCH,))


# region Constructors


def test_the_batch_is_a_dynamic_dimension() -> None:
    assert bt.BATCH == DYNAMIC_INDEX
    assert str(config()) == "tensor<?x8x!bt.state>"


def test_branches_type() -> None:
    kind = bt.BranchesType.get(6, 2)
    assert (kind.lanes, kind.writes) == (IntAttr(6), IntAttr(2))
    assert str(kind) == "!bt.branches<6 x 2>"


@given(st.integers(0, 10**9), st.integers(0, 100))
def test_a_branches_type_is_read_as_it_was_printed(lanes: int, writes: int) -> None:
    kind = bt.BranchesType.get(lanes, writes)
    assert Parser(context(), str(kind)).parse_attribute() == kind


@pytest.mark.parametrize("batch", [bt.BATCH, 4])
@pytest.mark.parametrize("per_sample", [False, True])
def test_gather(batch: int, per_sample: bool) -> None:
    shape = (batch, LANES) if per_sample else (LANES,)
    x, i = values(config(batch), tensor(i32, shape))
    op = bt.GatherOp(x, i, f64, per_sample=per_sample)
    assert types_of(op) == [tensor(f64, (batch, LANES))]
    assert (op.config, op.sites) == (x, i)
    assert op.is_per_sample is per_sample


@pytest.mark.parametrize(
    "sites", [(), (LANES,), (LANES, 3), (3,)], ids=["one", "lanes", "sets", "all"]
)
def test_gather_at_a_table_of_any_shape(sites: tuple[int, ...]) -> None:
    x, i, j = values(config(), tensor(i32, sites), tensor(i32, (bt.BATCH, *sites)))
    same, own = bt.GatherOp(x, i, f64), bt.GatherOp(x, j, f64, per_sample=True)
    for op in (same, own):
        assert types_of(op) == [tensor(f64, (bt.BATCH, *sites))]
    assert not same.is_per_sample
    assert own.is_per_sample


@pytest.mark.parametrize("kind", list(sym.ReductionKind))
def test_reduce(kind: sym.ReductionKind) -> None:
    element = f64 if kind.combines_numbers else i1
    (v,) = values(tensor(element, (bt.BATCH, LANES, 3)))
    op = bt.ReduceOp(kind, v)
    assert types_of(op) == [tensor(element, (bt.BATCH, LANES))]
    assert (op.kind.data, op.operand) == (kind, v)


def test_broadcast() -> None:
    (v,) = values(tensor(f64, (LANES,)))
    op = bt.BroadcastOp(v, [1], tensor(f64, (bt.BATCH, LANES)))
    assert types_of(op) == [tensor(f64, (bt.BATCH, LANES))]
    assert op.operand is v
    assert list(op.dims.get_values()) == [1]


def test_branches() -> None:
    i, v, w, a, p = values(
        tensor(i32, (LANES,)),
        tensor(f64, (bt.BATCH, LANES)),
        tensor(f64, (LANES,)),
        tensor(f64),
        tensor(i1, (bt.BATCH, LANES)),
    )
    op = bt.BranchesOp([i, i], [v, w], a, p, LANES)
    assert types_of(op) == [bt.BranchesType.get(LANES, 2)]
    assert list(op.sites) == [i, i]
    assert list(op.values) == [v, w]
    assert (op.amplitude, op.valid) == (a, p)


def test_branches_without_writes_and_validity() -> None:
    (a,) = values(tensor(f64))
    op = bt.BranchesOp([], [], a, None, LANES)
    assert types_of(op) == [bt.BranchesType.get(LANES, 0)]
    assert list(op.sites) == list(op.values) == []
    assert op.valid is None


def test_dot() -> None:
    v, matrix = values(tensor(f64, (bt.BATCH, 8)), tensor(f64, (8, 3)))
    op = bt.DotOp(v, matrix)
    assert types_of(op) == [tensor(f64, (bt.BATCH, 3))]
    assert (op.operand, op.matrix) == (v, matrix)


def test_images() -> None:
    mask, image, number, a, p = values(
        tensor(i1, (LANES, 8)),
        tensor(f64, (bt.BATCH, 8)),
        tensor(f64),
        tensor(f64),
        tensor(i1, (bt.BATCH, LANES)),
    )
    kind = bt.BranchesType.get(LANES, 8)
    op = bt.ImagesOp([mask, mask], [image, number], a, p, kind)
    assert types_of(op) == [kind]
    assert list(op.masks) == [mask, mask]
    assert list(op.samples()) == [image, number, a, p]


def branches(*kinds: tuple[int, int]) -> Sequence[SSAValue]:
    return values(*(bt.BranchesType.get(*kind) for kind in kinds))


def test_concat() -> None:
    parts = branches((7, 2), (8, 0), (1, 3))
    op = bt.ConcatOp(parts)
    assert types_of(op) == [bt.BranchesType.get(16, 3)]
    assert list(op.parts) == list(parts)
    assert types_of(bt.ConcatOp([])) == [bt.BranchesType.get(0, 0)]


def test_interleave() -> None:
    parts = branches((7, 2), (7, 0), (7, 3))
    op = bt.InterleaveOp(parts)
    assert types_of(op) == [bt.BranchesType.get(21, 3)]
    assert list(op.parts) == list(parts)
    with pytest.raises(VerifyException, match="equal numbers of lanes"):
        bt.InterleaveOp(branches((7, 2), (8, 2))).verify()


def test_compact() -> None:
    (part,) = branches((7, 2))
    op = bt.CompactOp(part, 3)
    assert types_of(op) == [bt.BranchesType.get(3, 2)]
    assert op.operand is part
    op.verify()
    for lanes in (0, 7, 8):
        with pytest.raises(VerifyException, match="fewer than there were"):
            bt.CompactOp(part, lanes).verify()


def test_pruned() -> None:
    op = bt.PrunedOp(LaneOrigins.plain(range(3, 7), 14))
    assert str(op.origins.data) == "{3:7} of 14"
    op.verify()


def test_assume() -> None:
    (x,) = values(config())
    op = bt.AssumeOp(
        x, bounds=(0, 2), sums=[[1] * SITES + [3]], values=[[0, 2]] * SITES
    )
    op.verify()
    assert op.bounds is not None
    assert op.bounds.get_values() == (0, 2)
    assert [len(one) for one in op.sums or ()] == [SITES + 1]
    assert [one.get_values() for one in op.values or ()] == [(0.0, 2.0)] * SITES
    nothing = bt.AssumeOp(x)
    nothing.verify()
    assert not nothing.properties
    for wrong in ({"bounds": (1, 0)}, {"sums": [[1]]}, {"values": [[]]}):
        with pytest.raises(VerifyException, match=r"'bt.assume'"):
            bt.AssumeOp(x, **wrong).verify()  # pyright: ignore[reportArgumentType]


def test_unarranged() -> None:
    op = bt.UnarrangedOp()
    assert ModuleOp([op]).body.block.first_op is op
    with pytest.raises(VerifyException, match=r"'func.func'"):
        op.verify()


@pytest.mark.parametrize("batch", [bt.BATCH, 4])
@pytest.mark.parametrize("state", [STATE, i8, f32])
@pytest.mark.parametrize("element", [f64, ComplexType(f32)])
def test_connections(batch: int, state: TypeAttribute, element: TypeAttribute) -> None:
    x, b = values(config(batch, state), bt.BranchesType.get(LANES, 2))
    op = bt.ConnectionsOp(x, b, element)
    assert types_of(op) == [
        tensor(state, (batch, LANES, SITES)),
        tensor(element, (batch, LANES)),
    ]
    assert (op.config, op.branches) == (x, b)
    assert (op.connected, op.matrix_elements) == tuple(op.results)


@pytest.mark.parametrize("batch", [bt.BATCH, 4])
def test_lanes(batch: int) -> None:
    x, b = values(config(batch), bt.BranchesType.get(LANES, 2))
    op = bt.LanesOp(x, b, f64)
    assert types_of(op) == [
        *[tensor(i32, (LANES,))] * 2,
        *[tensor(STATE, (batch, LANES))] * 2,
        tensor(f64, (batch, LANES)),
    ]


def test_local_energy() -> None:
    x, b, d, w = values(
        config(), bt.BranchesType.get(LANES, 2), f64_of_batch(), tensor(f64, (3,))
    )
    op = bt.LocalEnergyOp(x, b, d, [w], [], f64_of_batch())
    assert types_of(op) == [f64_of_batch()]
    assert (op.config, op.branches, op.diagonal) == (x, b, d)
    assert list(op.parameters) == [w]


def test_draw() -> None:
    x = config()
    source = AnyOp(result_types=[x, tensor(f64, (bt.BATCH, 3)), tensor(f64, (2,))])
    _, u, w = source.results
    results = [tensor(STATE, (bt.BATCH, 3)), f64_of_batch()]
    op = bt.DrawOp(u, [w], "chunk", [2, 0, 1], [[0, 1]], 2.0, results)
    ModuleOp([source, op, function_of(source.results[0], 2)]).verify()
    assert [one.type for one in op.results] == results
    assert (op.noise, [*op.parameters], op.sites) == (u, [w], (2, 0, 1))
    assert op.local_values == [(0.0, 1.0)] * 3
    assert (op.power.value.data, op.written, op.bounds) == (2, None, None)


def test_declared() -> None:
    v, w, x = values(tensor(f64, (1,)), tensor(f64, (3,)), tensor(f64, (1, 3)))
    op = bt.DeclaredOp("Jastrow.0", v, [w, x])
    assert types_of(op) == [tensor(f64, (1,))]
    assert (op.declaration.data, op.value, op.lost) == ("Jastrow.0", v, None)
    assert list(op.inputs) == [w, x]


def function_of(x: SSAValue, batch: int) -> FuncOp:
    kind = tensor(bt.StateType(), (batch, LANES))
    return FuncOp.external("chunk", [kind], [tensor(f64, (batch,))])


def test_map_samples() -> None:
    (x,) = values(tensor(bt.StateType(), (6, LANES)))
    chunk = function_of(x, 2)
    op = bt.MapSamplesOp(chunk, x, [])
    ModuleOp([op, chunk])
    assert types_of(op) == [tensor(f64, (6,))]
    assert op.callee.string_value() == "chunk"
    assert op.count is None
    (count,) = values(tensor(i32))
    assert bt.MapSamplesOp(chunk, x, [], count).count == count


def test_pack() -> None:
    (live,) = values(tensor(i1, (2, 3)))
    kinds = [tensor(i32, (8,)), tensor(i32, (6,)), tensor(i32)]
    assert types_of(bt.PackOp(live)) == kinds


def test_distinct() -> None:
    (keys,) = values(tensor(i32, (8, 2)))
    kinds = [tensor(i32, (8,)), tensor(i32, (8,)), tensor(i32)]
    assert types_of(bt.DistinctOp(keys)) == kinds


def state_region() -> Region:
    block = Block(arg_types=[tensor(i32)])
    number = hlo.ConvertOp(block.args[0], tensor(f64))
    block.add_ops([number, bt.YieldOp(number.result)])
    return Region(block)


def test_map_states() -> None:
    states, count = values(tensor(i32, (8,)), tensor(i32))
    kind = tensor(f64, (8,))
    op = bt.MapStatesOp((states, count), 2, [4, 1], state_region(), kind)
    op.verify()
    assert (op.states, op.count) == (states, count)
    assert types_of(op) == [kind]
    every = bt.MapStatesOp(None, 2, [4], state_region(), kind)
    every.verify()
    assert every.states is every.count is None


def test_unpack() -> None:
    kinds = tensor(f64, (8,)), tensor(i32, (6,)), tensor(i1, (2, 3))
    assert types_of(bt.UnpackOp(*values(*kinds))) == [tensor(f64, (2, 3))]


def test_yield() -> None:
    (value,) = values(tensor(f64))
    assert bt.YieldOp(value).value == value


def test_every_op_has_a_test_of_its_constructor() -> None:
    tested = {name.removeprefix("test_") for name in globals()}
    assert {op.name.removeprefix("bt.") for op in bt.Bt.operations} <= tested


# endregion
# region Verifiers


def test_verifying_an_op_does_not_use_its_operands() -> None:
    a, b = branches((7, 2), (7, 0))
    ops = [bt.ConcatOp([a, b]), bt.InterleaveOp([a, b])]
    for op in ops:
        op.verify()
    assert {use.operation for use in a.uses} == set(ops)


def test_a_batch_is_bound_everywhere_or_nowhere() -> None:
    i, v, a = values(
        tensor(i32, (LANES,)), tensor(f64, (4, LANES)), tensor(f64, (bt.BATCH, LANES))
    )
    with pytest.raises(VerifyException, match="operands of one batch"):
        bt.BranchesOp([i], [v], a, None, LANES).verify()


# endregion
# region Effects


def one_of_each(x: SSAValue) -> list[Operation]:
    """Return one of each op; the last is nothing that another one uses."""
    i, p, matrix, mask, live, several, keys = values(
        tensor(i32, (LANES,)),
        tensor(i1),
        tensor(f64, (LANES, 2)),
        tensor(i1, (LANES, LANES)),
        tensor(i1, (2, 3)),
        tensor(bt.StateType(), (6, LANES)),
        tensor(i32, (8, 1)),
    )
    ops: list[Operation] = [i.owner] if isinstance(i.owner, Operation) else []
    gather = bt.GatherOp(x, i, f64)
    broadcast = bt.BroadcastOp(p, [], tensor(i1, (bt.BATCH, LANES)))
    lanes = bt.BranchesOp([i], [gather.result], gather.result, broadcast.result, LANES)
    reduction = bt.ReduceOp(sym.ReductionKind.ANY, broadcast.result)
    dot = bt.DotOp(gather.result, matrix)
    images = bt.ImagesOp([mask], [gather.result], p, None, bt.BranchesType.get(7, 7))
    concat = bt.ConcatOp([lanes.result, lanes.result])
    interleave = bt.InterleaveOp([lanes.result, lanes.result])
    compact = bt.CompactOp(interleave.result, 1)
    connections = bt.ConnectionsOp(x, compact.result, f64)
    tensors = bt.LanesOp(x, compact.result, f64)
    energy = bt.LocalEnergyOp(x, compact.result, None, [], [], f64_of_batch())
    each_site = [*range(8)], [[0.0, 1.0]], 2.0, [config(), f64_of_batch()]
    draw = bt.DrawOp(x, [], "chunk", *each_site)
    pack = bt.PackOp(live)
    states = pack.states, pack.count
    each = bt.MapStatesOp(states, 2, [4], state_region(), tensor(f64, (8,)))
    unpack = bt.UnpackOp(each.result, pack.places, live)
    samples = bt.MapSamplesOp(function_of(several, 2), several, [])
    branch_ops: list[Operation] = [
        *(lanes, concat, interleave, compact),
        *(connections, tensors, energy, draw),
        *(pack, each, unpack, samples, bt.DistinctOp(keys)),
        bt.DeclaredOp("Jastrow.0", live, [several]),
    ]
    return [*ops, gather, broadcast, reduction, dot, images, *branch_ops]


def bt_names(module: ModuleOp) -> list[str]:
    return sorted(op.name for op in module.walk() if op.name.startswith("bt."))


NOTES = (bt.PrunedOp, bt.AssumeOp, bt.UnarrangedOp)
ALL = sorted(op.name for op in bt.Bt.operations if op not in NOTES)


def test_every_op_is_pure() -> None:
    impure = [op.name for op in bt.Bt.operations if not op.has_trait(Pure)]
    # They have no result that would keep them
    assert impure == [op.name for op in NOTES]


def test_dead_code_is_eliminated() -> None:
    source = AnyOp(result_types=[config()])
    ops = one_of_each(source.results[0])
    module = ModuleOp([source, *ops, function_of(source.results[0], 2)])
    module.verify()
    assert bt_names(module) == ALL
    DeadCodeElimination().apply(Context(), module)
    module.verify()
    assert bt_names(module) == []


def test_common_subexpressions_are_merged() -> None:
    source = AnyOp(result_types=[config()])
    first = one_of_each(source.results[0])
    # the same operands, or the results of the copies
    copies: dict[SSAValue, SSAValue] = {}
    second = [op.clone(copies) for op in first[1:]]
    sink = AnyOp(
        operands=[value for op in (*first[1:], *second) for value in op.results]
    )
    chunk = function_of(source.results[0], 2)
    module = ModuleOp([source, *first, *second, sink, chunk])
    module.verify()
    assert bt_names(module) == sorted(ALL * 2)
    CommonSubexpressionElimination().apply(Context(), module)
    module.verify()
    assert bt_names(module) == ALL


def test_the_order_of_lanes_is_part_of_an_op() -> None:
    source = AnyOp(result_types=[bt.BranchesType.get(7, 2)] * 2)
    a, b = source.results
    ops = [bt.ConcatOp([a, b]), bt.ConcatOp([b, a])]
    ops += [bt.InterleaveOp([a, b]), bt.InterleaveOp([b, a])]
    module = ModuleOp(
        [source, *ops, AnyOp(operands=[result for op in ops for result in op.results])]
    )
    CommonSubexpressionElimination().apply(Context(), module)
    assert bt_names(module) == ["bt.concat"] * 2 + ["bt.interleave"] * 2


def test_every_canonicalization_pattern_is_offered_by_an_op() -> None:
    offered = {
        type(pattern)
        for op in bt.Bt.operations
        if issubclass(op, HasCanonicalizationPatternsInterface)
        for pattern in op.get_canonicalization_patterns()
    }
    written = {
        value
        for value in vars(patterns).values()
        if isinstance(value, type)
        and issubclass(value, RewritePattern)
        and value.__module__ == patterns.__name__
    }
    assert offered == written


# endregion
# region Text and meaning of canonicalization

Tree = int | list["Tree"]

trees = st.recursive(
    st.integers(0, 3), lambda inner: st.lists(inner, min_size=1, max_size=3)
)


def concat_of(tree: Tree, leaves: Sequence[SSAValue], ops: list[Operation]) -> SSAValue:
    """Build nested concatenations; `ops` receives them."""
    if isinstance(tree, int):
        return leaves[tree]
    op = bt.ConcatOp([concat_of(part, leaves, ops) for part in tree])
    ops.append(op)
    return op.result


def leaves_of(tree: Tree) -> list[int]:
    if isinstance(tree, int):
        return [tree]
    return [leaf for part in tree for leaf in leaves_of(part)]


@given(trees)
def test_concatenations_are_flattened_in_order(tree: Tree) -> None:
    kinds = [bt.BranchesType.get(n + 1, n) for n in range(4)]
    total = sum(leaf + 1 for leaf in leaves_of(tree))
    most = max(leaves_of(tree))
    function = FuncOp("f", (kinds, [bt.BranchesType.get(total, most)]))
    ops: list[Operation] = []
    result = ReturnOp(concat_of(tree, function.args, ops))
    function.body.block.add_ops([*ops, result])
    module = ModuleOp([function])
    module.verify()
    text = print_module(module)
    assert print_module(parse_module(text)) == text

    CanonicalizePass().apply(context(), module)
    module.verify()
    leaves = [function.args[leaf] for leaf in leaves_of(tree)]
    (value,) = result.arguments
    parts = value.owner.parts if isinstance(value.owner, bt.ConcatOp) else [value]
    assert list(parts) == leaves
    assert len(bt_names(module)) == (len(leaves) > 1)


# endregion
