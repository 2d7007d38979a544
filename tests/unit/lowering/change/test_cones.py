"""Deep networks where changes reach them: ratios and commits are those of values."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from jax import lax
from xdsl.dialects.builtin import i32
from xdsl.dialects.func import FuncOp
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import element_of, tensor
from dialects.text import Parser, context
from lowering.arrays import Array, array
from lowering.change.cone_analysis import Cones, cones_of
from lowering.change.cones import Emission, Trace
from lowering.change.known_zeros import is_zero
from lowering.change.masked import Masked
from lowering.energy.cone_part import groups_of, in_group, sites_of, traced
from lowering.functions import function_of
from lowering.rewriting import Inserter
from symir.runtime.functions import Function
from tests.unit.lowering.change.laws import Made, by_interpreter, imported

RNG = np.random.default_rng(0)
ROWS, COLUMNS = 4, 5
SITES = ROWS * COLUMNS
W1 = RNG.normal(size=(3, 3, 1, 3))
W2 = RNG.normal(size=(3, 3, 3, 2)) / 3
OF_CHANNELS = RNG.normal(size=(3, 4))
OF_ALL = RNG.normal(size=(SITES * 3, 2)) / 5


def image(x: Any) -> Any:
    return x.reshape(-1, ROWS, COLUMNS, 1).astype(float)


def ring(y: Any, width: int = 1) -> Any:
    return jnp.pad(y, ((0, 0), (width, width), (width, width), (0, 0)), mode="wrap")


def conv(y: Any, w: Any, padding: Any = "VALID", **options: Any) -> Any:
    return lax.conv_general_dilated(
        y,
        w,
        options.pop("strides", (1, 1)),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        **options,
    )


def first(w: Any, x: Any) -> Any:
    return jnp.sin(conv(ring(image(x)), w[0]) + 0.3)


def circular(w: Any, x: Any) -> Any:
    return jnp.sin(conv(ring(first(w, x)), w[1])).sum((1, 2, 3))


def open_ends(w: Any, x: Any) -> Any:
    y = jax.nn.gelu(conv(image(x), w[0], "SAME"))
    return jnp.tanh(conv(y, w[1], "SAME")).sum((1, 2, 3))


def strided(w: Any, x: Any) -> Any:
    y = jnp.sin(conv(image(x), w[0], [(1, 1), (2, 1)], strides=(2, 1)))
    return jnp.sin(conv(y, w[1], "SAME", rhs_dilation=(1, 2))).sum((1, 2, 3))


def transposed(w: Any, x: Any) -> Any:
    y = conv(image(x), w[0], [(2, 2), (1, 3)], lhs_dilation=(2, 1))
    return jnp.cos(y).sum((1, 2, 3))


def residual(w: Any, x: Any) -> Any:
    y = first(w, x)
    z = jnp.sin(conv(ring(y), jnp.concatenate([w[1], w[1][..., :1]], -1)))
    return jnp.sin(y + z * 2).sum((1, 2, 3))


def normalised(w: Any, x: Any) -> Any:
    y = first(w, x)
    mean = y.mean(-1, keepdims=True)
    y = (y - mean) / jnp.sqrt(((y - mean) ** 2).mean(-1, keepdims=True) + 0.1)
    return jnp.sin(y * w[0][0, 0, 0]).sum((1, 2, 3))


def channels(w: Any, x: Any) -> Any:
    return jnp.sin(jnp.einsum("bijc,cd->bijd", first(w, x), w[2])).sum((1, 2, 3))


def channels_first(w: Any, x: Any) -> Any:
    y = x.reshape(-1, 1, ROWS, COLUMNS).astype(float)
    for k in w[:2]:
        y = lax.conv_general_dilated(
            y, k, (1, 1), "SAME", dimension_numbers=("NCHW", "HWIO", "NCHW")
        )
        y = jnp.sin(y + w[0][0, 0, 0, : y.shape[1], None, None])
    return y.sum((1, 2, 3))


def pooled(w: Any, x: Any) -> Any:
    y = first(w, x).mean((1, 2))
    return jnp.log(jnp.cosh(jnp.tanh(y @ w[2]) @ w[2].T)).sum(-1)


def sorted_pool(w: Any, x: Any) -> Any:
    """Ops without a rule of values that have one position."""
    y = jnp.sort(first(w, x).sum((1, 2)) @ w[2], axis=-1)
    return (y * jnp.arange(4)).sum(-1)


def flattened(w: Any, x: Any) -> Any:
    y = first(w, x)
    return jnp.sin(y.reshape(len(y), -1) @ w[3]).sum(-1)


def places(w: Any, x: Any) -> Any:
    """Weights that differ from position to position."""
    own = w[3][: ROWS * COLUMNS].reshape(ROWS, COLUMNS, 2)
    y = jnp.sin(conv(ring(first(w, x)), w[1]) * own)
    return (y * own).sum((1, 2, 3))


def one_hot(w: Any, x: Any) -> Any:
    codes = (x[..., None] == np.array([-1, 1])).astype(float)
    y = jnp.sin(codes @ w[2][:2]).reshape(-1, ROWS, COLUMNS, 4)
    y = jnp.sin(conv(ring(y)[..., :3] * 1.0, w[1]))
    return y.sum((1, 2, 3))


def of_complex(w: Any, x: Any) -> Any:
    y = jnp.tanh(conv(ring(image(x) + 0j), w[0] + 0.2j * w[0]) / 2)
    return jnp.log(jnp.cosh(conv(ring(y), w[1] + 0j) / 4)).sum((1, 2, 3))


def narrow_ring(w: Any, x: Any) -> Any:
    """A window as wide as the ring, which reaches positions twice."""
    y = x.reshape(-1, 2, SITES // 2, 1).astype(float)
    y = jnp.sin(conv(ring(y), w[0]))
    return jnp.sin(conv(ring(y), w[1])).sum((1, 2, 3))


def line(w: Any, x: Any) -> Any:
    y = jnp.pad(x.astype(float), ((0, 0), (1, 2)), mode="wrap")[..., None]
    y = lax.conv_general_dilated(
        y,
        w[0][0].reshape(3, 1, 3)[::-1],
        (1,),
        "VALID",
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    return jnp.sin(y).sum((1, 2))


def outer(w: Any, x: Any) -> Any:
    """Channels next to those of another layer, and of the same one again."""
    y = first(w, x)
    z = jnp.einsum("bijc,cd->bijd", y, w[2])
    y = jnp.sin(y[..., None] * z[..., None, :] + w[2])
    y = jnp.tanh(y.reshape(*z.shape[:3], 12)[..., 2:9] * w[3][:7, 0])
    return (y[..., 1:] - y[..., :-1] * y[..., 1:]).sum((1, 2, 3))


def padded(w: Any, x: Any) -> Any:
    """Functions of what is padded with zeros, which are 0 there, and copies of it."""
    y = jnp.pad(first(w, x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = jnp.sin(y * w[2][:, 0])
    y = jnp.sin(jnp.concatenate([y, y], -1) * w[3][:6, 0])
    return conv(y, jnp.concatenate([w[1], w[1]], 2)).sum((1, 2, 3))


def groups(w: Any, x: Any) -> Any:
    """Channels alone, and in groups."""
    own = w[1][..., :1, :1].repeat(6, -1)
    y = jnp.sin(conv(ring(first(w, x)), own, feature_group_count=3))
    pairs = w[1][..., :2, :].repeat(3, -1)
    return jnp.sin(conv(y, pairs, "SAME", feature_group_count=3)).sum((1, 2, 3))


def of_tables(w: Any, x: Any) -> Any:
    """Sums over neighbours by a table, and elements in another order."""
    near = np.stack([np.roll(np.arange(SITES), n) for n in (1, -1, 4)], 1)
    y = jnp.sin(first(w, x).reshape(-1, SITES, 3)[:, near].sum(2))
    order = np.random.default_rng(3).permutation(SITES)
    return jnp.cos(y[:, order] * w[3][:SITES, :1] + y).sum((1, 2))


STRICT, LOWER = (np.tril(np.ones((SITES, SITES)), -own) for own in (1, 0))
MIXED = np.argsort(RNG.normal(size=SITES))


def of_conditionals(y: Any, x: Any) -> Any:
    """The sum of what is said of each site at its own value."""
    own = jnp.take_along_axis(
        jax.nn.log_softmax(y), (x[..., None] == 1).astype(int), -1
    )
    return own.reshape(len(x), -1).sum(1)


def masked(w: Any, x: Any) -> Any:
    """What is said of a site depends on those before it."""
    own = np.kron(STRICT.T, np.ones((1, 3)))
    y = jnp.sin(
        x.astype(float)
        @ (own * (w[3][:SITES, :1] + w[2].reshape(-1)[:3].repeat(SITES)))
    )
    other = np.kron(LOWER.T, np.ones((3, 2)))
    z = y @ jnp.where(other, jnp.outer(w[3][:, 0], w[3][:40, 1]), 0) + w[3][:40, 0]
    return of_conditionals(z.reshape(len(x), SITES, 2), x)


def masked_order(w: Any, x: Any) -> Any:
    """An order of its own, two of which are no triangles, and a residual."""
    one, two = STRICT[MIXED][:, MIXED], np.roll(LOWER, 3, 1)
    y = jnp.sin(x.astype(float) @ (one.T * w[3][:SITES, :1]))
    y = y + jnp.cos(y @ (jnp.asarray(two.T) * w[3][:SITES, 1]))
    return jnp.sin(y * w[3][20:40, 0]).sum(1)


def masked_behind(w: Any, x: Any) -> Any:
    """Masks behind a convolution, and of a window."""
    y = first(w, x).reshape(-1, SITES * 3)
    y = jnp.sin(y @ (np.kron(LOWER.T, np.ones((3, 1))) * w[3][:, :1]))
    window = np.ones((3, 3, 1, 1))
    window[-1, 1:] = 0
    z = conv(y.reshape(-1, ROWS, COLUMNS, 1), window * w[0], "SAME")
    return jnp.sin(z).max(-1).sum((1, 2))


def shifted(w: Any, x: Any) -> Any:
    """Sites behind a first one that is a parameter, in place of the last ones."""
    y = first(w, x).reshape(-1, SITES, 3)
    start = jnp.broadcast_to(w[2][:, 0], (len(x), 2, 3))
    y = jnp.concatenate([start, y[:, :-2]], 1)
    z = y.reshape(-1, SITES * 3) @ (np.kron(LOWER.T, np.ones((3, 1))) * w[3][:, :1])
    y = jax.nn.log_softmax(y * w[2][:, 1])
    return jnp.sin(z).sum(1) + jnp.sin(y).max(-1).sum(1)


def neighbours(w: Any, x: Any) -> Any:
    """Sites that a table says, as features of each one, and features of these."""
    sites = np.arange(SITES)
    near = np.stack([np.roll(sites, by) for by in (0, 1, -3)], axis=-1)
    y = jnp.tanh(x.astype(float)[:, near] + w[2][0, :3])
    z = jnp.sin(
        jnp.concatenate([y @ w[2][:, :3], first(w, x).reshape(-1, SITES, 3)], -1)
    )
    z = z @ jnp.concatenate([w[2][:, :3], w[2][:, 1:]])
    both = z[:, near[:, :2]].reshape(-1, SITES, 6)
    channels = jnp.moveaxis(z[:, near[:, 1:]], -1, -2).reshape(-1, SITES, 6)
    return (jnp.cos(both @ w[3][:6]) + jnp.sin(channels @ w[3][6:12])).sum((1, 2))


def ordered(w: Any, x: Any) -> Any:
    """Channels of one position in another order, and values of their own for each."""
    y = first(w, x).mean((1, 2))[:, np.array([1, 2, 0])]
    z = jnp.tanh(y * w[2][:, 0] + w[2][:, 1])
    ended = jnp.pad(jnp.sin(y)[:, :2], ((0, 0), (0, 1)), constant_values=0.7)
    ended = (ended @ w[2])[:, np.array([2, 1, 3, 0])] * w[2][1]
    return z.sum(1) + jnp.sin(ended).sum(1)


def partial_sums(w: Any, x: Any) -> Any:
    y = first(w, x)
    return jnp.cos(y.sum(1)).sum((1, 2)) + jnp.sin(y.mean((2, 3))).sum(1)


def averages(w: Any, x: Any) -> Any:
    ends = [(0, 0), (0, 1), (1, 1), (0, 0)]
    own = (1, 2, 2, 1), (1, 2, 1, 1)
    sums = lax.reduce_window(first(w, x), 0.0, lax.add, *own, ends)
    return jnp.sin(sums / 4).sum((1, 2, 3))


def chosen(w: Any, x: Any) -> Any:
    """Choices by values, and by places, of elements along other axes."""
    y = jnp.swapaxes(first(w, x), 1, 2)
    y = jnp.where(y > 0.2, y, 0.1 * y)
    own = np.arange(ROWS)[:, None] > np.arange(3)
    return jnp.sin(jnp.where(own, 2.0, y) - w[0][0, 0, 0]).sum((1, 2, 3))


def some_of_few_bits(w: Any, x: Any) -> Any:
    """Some positions of numbers whose differences have no type: they would wrap."""
    y = first(w, x).reshape(-1, SITES, 3)
    few = (y > 0.1, (y > 0.1).astype(jnp.uint8), (120 * y).astype(jnp.int8))
    return sum(jnp.sin(one[:, 2:].astype(float) @ w[2]).sum((1, 2)) for one in few)


def of_infinities(w: Any, x: Any) -> Any:
    """What is compared is infinite at x, at x' or at both."""
    y = jnp.log(jax.nn.relu(conv(ring(image(x)), w[0])))
    z = conv(ring(first(w, x)), jnp.concatenate([w[1], w[1][..., :1]], -1))
    return jnp.where(y > z, jnp.sin(z), jnp.cos(z)).sum((1, 2, 3))


NETWORKS = (
    *(some_of_few_bits, of_infinities),
    *(groups, of_tables, neighbours, ordered, partial_sums, averages, chosen),
    *(masked, masked_order, masked_behind, shifted),
    *(circular, open_ends, strided, transposed, residual, normalised, channels),
    *(channels_first, pooled, sorted_pool, flattened, places, of_complex),
    *(narrow_ring, one_hot, line, outer, padded),
)
LEAVES = (W1, W2, OF_CHANNELS, OF_ALL)


def flips() -> Any:
    return 2 * np.eye(SITES)


def swaps() -> Any:
    """Swaps along both directions, with some of the sites in the other order."""
    rows = []
    for site in range(SITES):
        i, j = divmod(site, COLUMNS)
        for other in (i * COLUMNS + (j + 1) % COLUMNS, (i + 1) % ROWS * COLUMNS + j):
            row = np.zeros(SITES)
            row[site], row[other] = 2, -2
            rows.append(row)
    return np.array([*rows, np.zeros(SITES)])


def rows_of(name: str) -> Any:
    return {"flips": flips, "swaps": swaps}[name]()


def check(made: Made, run: Any, seed: int, commits: int, tolerance: float) -> None:
    """Compare ratios with differences of values, behind commits too."""
    rng = np.random.default_rng(seed)
    x = rng.choice([-1, 1], SITES).astype(np.int8)
    found = list(made.found(run, x, rng, commits))
    assert found
    largest = max(abs(one.after) for one in found)
    for one in found:
        error = abs(one.ratio - (one.after - one.before))
        assert error < tolerance * (1 + largest)


@pytest.mark.parametrize("rows", ["flips", "swaps"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: one.__name__)
def test_changes_are_those_of_the_network(network: Any, rows: str) -> None:
    made = Made(network, LEAVES, rows_of(rows), 0.5j if rows == "swaps" else 1.0)
    check(made, Function, seed=1, commits=2, tolerance=1e-12)


@pytest.mark.parametrize("network", [residual, open_ends], ids=lambda one: one.__name__)
def test_changes_are_those_of_the_network_in_the_interpreter(network: Any) -> None:
    check(Made(network, LEAVES, swaps()), by_interpreter, 2, commits=1, tolerance=1e-12)


def test_single_precision() -> None:
    leaves = tuple(np.asarray(one, np.float32) for one in LEAVES)

    def network(w: Any, x: Any) -> Any:
        y = jnp.sin(conv(ring(image(x).astype(np.float32)), w[0]))
        return jnp.tanh(conv(ring(y), w[1])).sum((1, 2, 3))

    check(Made(network, leaves, flips()), Function, 3, commits=2, tolerance=1e-4)


def test_a_network_without_parameters() -> None:
    def network(_: Any, x: Any) -> Any:
        return jnp.tanh(conv(ring(first(LEAVES, x)), W2)).sum((1, 2, 3))

    check(Made(network, (), flips()), Function, 1, commits=1, tolerance=1e-12)


def test_products_of_a_wider_type_than_their_factors() -> None:
    leaves = tuple(np.asarray(one, np.float32) for one in LEAVES)

    def network(w: Any, x: Any) -> Any:
        y = image(x).astype(np.float32)
        y = conv(ring(y), w[0], preferred_element_type=np.float64)
        y = jnp.sin(y).astype(np.float32)
        y = lax.dot_general(
            y, w[2], (((3,), (0,)), ((), ())), preferred_element_type=np.float64
        )
        y = jnp.sin(y).astype(np.float32).reshape(len(x), -1)
        last = jnp.concatenate([w[3], w[3][:SITES]])
        return lax.dot_general(
            y, last, (((1,), (0,)), ((), ())), preferred_element_type=np.float64
        ).sum(-1)

    made = Made(network, leaves, flips())
    check(made, Function, 3, commits=1, tolerance=1e-5)
    products = [
        op
        for function in made.cone().written().all
        for op in function.walk()
        if isinstance(op, hlo.DotGeneralOp)
    ]
    assert products
    assert all(len(set(map(element_of, op.operands))) == 1 for op in products)


def test_networks_of_many_ops() -> None:
    """There are as many ways through them as there are sums of two terms."""

    def network(w: Any, x: Any) -> Any:
        y = conv(ring(image(x)), w[0])
        for _ in range(100):
            y = y * 0.3 + y * 0.4
        for _ in range(500):
            y = jnp.sin(y)
        return y.sum((1, 2, 3))

    check(Made(network, LEAVES, flips()), Function, 5, commits=1, tolerance=1e-12)


def test_weights_that_are_computed_in_regions() -> None:
    def network(w: Any, x: Any) -> Any:
        scaled = w[0] * w[1].sum()
        own = lax.cond(w[0].sum() > 0, lambda: scaled * 2, lambda: -scaled)
        largest, index = lax.top_k(w[2][0], 2)
        y = conv(ring(image(x)), own)
        return (jnp.sin(y) * largest.sum() + index.sum() * y**2).sum((1, 2, 3))

    check(Made(network, LEAVES, flips()), Function, 6, commits=1, tolerance=1e-12)


def test_entries_by_row_are_not_those_by_class() -> None:
    cones = analysed(circular)
    assert isinstance(cones, Cones)
    # Classes are in order of their writes: the second row is of the first class
    trace = Trace(cones.nodes, [np.array([0, 1]), np.array([2])])
    table = np.array([[3], [4]])

    def entries(insert: Inserter, row: list[Array]) -> list[Array]:
        at = Emission(insert, trace, row[0], tables=Tables(insert))
        return [at.by_row(table), at.by_class(table)]

    run = by_interpreter(function_of("entries", [tensor(i32)], entries))
    assert [int(one[0]) for one in run(np.int32(0))] == [3, 4]


class Tables(dict[Any, Array]):
    """Tables of integers by what is in them."""

    def __init__(self, insert: Inserter):
        super().__init__()
        self.insert = insert

    def __missing__(self, key: Any) -> Array:
        (shape, text), _ = key
        return array(self.insert, np.frombuffer(text, np.int64).reshape(shape), i32)


def as_shape(w: Any) -> Any:
    return jax.ShapeDtypeStruct(w.shape, w.dtype)


def analysed(network: Any) -> Cones | str:
    return Made(network, LEAVES, flips()).analysed()


def test_what_a_translation_leads_to_is_of_one_class() -> None:
    cones = analysed(circular)
    assert isinstance(cones, Cones)
    trace = Trace(cones.nodes, sites_of(flips()))
    assert trace.classes == 1
    # Bonds of two directions, whatever site is first
    assert Trace(cones.nodes, sites_of(swaps())).classes == 2
    lists = {trace.length(node) for node in cones.nodes}
    assert lists == {1, 9, ROWS * COLUMNS}


CHOSEN = """
func.func @main(%w : tensor<4xf64>, %x : tensor<1x1xf64>) -> tensor<4xf64> {
  %low = stablehlo.reshape %x : (tensor<1x1xf64>) -> tensor<f64>
  %y = "stablehlo.clamp"(%low, %w, %w)
    : (tensor<f64>, tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  func.return %y : tensor<4xf64>
}
"""


def test_one_number_next_to_many_makes_many() -> None:
    (main,) = Parser(context(), CHOSEN).parse_module().ops
    assert isinstance(main, FuncOp)
    cones = cones_of(main)
    assert isinstance(cones, Cones)
    assert (cones.result.positions, cones.result.channels) == (1, 4)


def test_what_has_no_cone_says_why() -> None:
    assert analysed(lambda w, x: jnp.fft.fft(first(w, x)).real.sum((1, 2, 3))) == (
        "'stablehlo.fft' has no cone"
    )
    assert "a sum of some" in str(
        analysed(lambda w, x: jnp.sin(first(w, x)[..., :2].sum((1, 3))).sum(1))
    )
    assert "a product of two values" in str(
        analysed(lambda w, x: jnp.einsum("bijc,bijd->b", first(w, x), first(w, x)))
    )
    assert analysed(lambda w, x: w[0].sum((1, 2, 3))[:1]) == "it does not depend on x"
    half = np.float64(0.5)
    assert "starts from another number than 0" in str(
        analysed(lambda w, x: lax.reduce(first(w, x), half, lax.add, (3,)).sum((1, 2)))
    )
    assert "by zeros" in str(
        analysed(lambda w, x: conv(first(w, x), 0 * W2 * w[1], "SAME").sum((1, 2, 3)))
    )


def by_narrow_numbers(w: Any, x: Any) -> Any:
    """Of channels that are more than there are numbers that choose."""
    numbers = lax.GatherDimensionNumbers(
        offset_dims=(),
        collapsed_slice_dims=(1,),
        start_index_map=(1,),
        operand_batching_dims=(0,),
        start_indices_batching_dims=(0,),
    )
    y = jnp.sin(x[0, :, None] * jnp.linspace(0, w[2][0, 0], 300))
    own = (x[0, :, None] * 100).astype(np.int8)
    return lax.gather(y, own, numbers, (1, 1), mode="clip").sum()[None]


def test_numbers_of_few_bits_do_not_choose_among_many() -> None:
    assert analysed(by_narrow_numbers) == "where it reads depends on x"


def of_last_bits(w: Any, x: Any) -> Any:
    """Reductions of one number each, which start from another one than all bits."""
    y = (100 * first(w, x)[..., None]).astype(np.int32)
    return jnp.cos(lax.reduce(y, np.int32(1), lax.bitwise_and, (4,)).astype(float))


def test_reductions_of_one_number_may_change_it() -> None:
    assert analysed(of_last_bits) == "a reduction over positions that is no sum"


def of_dense_integers(w: Any, x: Any) -> Any:
    """Of -64 and 64 in eight bits, of which the difference is -128."""
    ones = np.ones((SITES, 2), np.int8)
    dims = (((1,), (0,)), ((), ()))
    return lax.dot_general(x * 64, ones, dims, preferred_element_type=np.int32)


def of_convolved_integers(w: Any, x: Any) -> Any:
    ones, y = np.ones((3, 3, 1, 1), np.int8), (x * 64).reshape(-1, ROWS, COLUMNS, 1)
    return conv(y, ones, "SAME", preferred_element_type=np.int32)


def of_sums_of_integers(w: Any, x: Any) -> Any:
    return lax.reduce(x * 64, np.int8(0), lax.add, (1,))


@pytest.mark.parametrize(
    "layer", [of_dense_integers, of_convolved_integers, of_sums_of_integers]
)
def test_sums_of_integers_have_no_cone(layer: Any) -> None:
    def network(w: Any, x: Any) -> Any:
        return jnp.sin(layer(w, x).astype(float)).reshape(len(x), -1).sum(-1)

    assert analysed(network) == "sums of integers may wrap"


def points(w: Any, x: Any) -> Any:
    """A layer of every other site, of which none is next to another."""
    y = lax.conv_general_dilated(
        x[..., None].astype(float),
        w[0][0, :1],
        (2,),
        "VALID",
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    return jnp.sin(y).sum((1, 2))


def test_changes_that_no_cone_is_written_of() -> None:
    cones = analysed(points)
    assert isinstance(cones, Cones)
    values = (-1, 1)
    assert isinstance(traced(cones, flips(), values), Trace)
    refused = traced(cones, 100 * flips(), values)
    assert refused == "changes of x are too large for int8"


@pytest.mark.parametrize("network", [masked, masked_order, masked_behind])
def test_changes_reach_what_is_behind_them(network: Any) -> None:
    cones = analysed(network)
    assert isinstance(cones, Cones)
    layers = [node for node in cones.nodes if isinstance(node, Masked)]
    assert layers
    groups = groups_of(cones, flips())
    assert [groups.count(number) for number in range(4)] == [5] * 4
    assert sorted(groups_of(cones, flips()[:2])) == [0, 1]
    last = in_group(cones, flips(), (-1, 1), np.array(groups) == 3)
    whole = traced(cones, flips(), (-1, 1))
    assert isinstance(whole, Trace)
    for node in layers:
        assert last.length(node) < whole.length(node) <= SITES
        assert node.work(last) < node.work(whole)


def test_zeros_that_no_parameter_changes() -> None:
    def of(w: Any, x: Any) -> Any:
        mask = jnp.tril(jnp.ones((SITES, SITES)), -1)
        other = jnp.where(jnp.arange(SITES) < 3, w[3][:SITES, 0], 0.0)
        apart = jnp.pad(mask[:-1] * 1j, ((1, 0), (0, 0))).imag[1:]
        mask = jnp.pad(apart, ((0, 1), (0, 0)), constant_values=1.0) * mask
        weights = (mask * w[3][:SITES, 1])[::-1] + other
        return (
            x.astype(float)
            @ jnp.concatenate([mask, other[None] * mask], 0).T
            @ (jnp.concatenate([weights, other[None] * mask], 0))
        )

    function = imported(of, tuple(map(as_shape, LEAVES)), SITES)
    dots = [op for op in function.walk() if isinstance(op, hlo.DotGeneralOp)]
    lower = np.tril(np.ones((SITES, SITES)), -1)
    few = lower * (np.arange(SITES) < 3)
    masks = np.concatenate([lower, few]).T, np.concatenate([0 * lower + 1, few])
    for op, mask in zip(dots, masks, strict=True):
        assert np.array_equal(is_zero(op.rhs), mask == 0)


@pytest.mark.parametrize("mode", ["clip", "fill"])
def test_what_is_not_known_is_not_without_x(mode: Any) -> None:
    """The place that is read, or what is chosen, next to a constant."""

    def network(w: Any, x: Any) -> Any:
        start = jnp.full((len(x), 1), 0.3)
        y = jnp.concatenate([start, x[:, :-1].astype(float)], axis=1)
        place = (x.astype(jnp.int32) > 0).astype(jnp.int32).sum(1, keepdims=True)
        read = jnp.take_along_axis(y, place % SITES, 1, mode=mode)
        return jnp.sin(read * w[3][0, 0]).sum(1) + jnp.sin(y).sum(1)

    found = analysed(network)
    assert isinstance(found, str)
    assert found.startswith("sums of integers may wrap")


@pytest.mark.parametrize("rows", [flips()[1::2], flips()[1:4]], ids=["none", "some"])
def test_changes_that_reach_no_position(rows: Any) -> None:
    """Flips of odd sites, alone and next to one that is seen."""
    check(Made(points, LEAVES, rows), Function, 4, commits=2, tolerance=1e-12)


def test_changes_of_which_the_first_are_seen() -> None:
    """The one position that is left has the number in the list that it had."""
    rows = flips()[::2][:-1] - flips()[1::2][1:]
    check(Made(points, LEAVES, rows), Function, 7, commits=1, tolerance=1e-12)


UNARY: list[Any] = [
    jnp.sin,
    jax.nn.gelu,
    lambda y: y * y.mean(-1, keepdims=True),
    lambda y: -2 * y + 1,
    lambda y: jnp.where(y > 0, y, 0.1 * y),
]


# Shrinking would take minutes: networks are small
@settings(max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example(
    [
        (3, 1, "ring", 0, False, 1),
        (2, 2, "ring", 0, False, 2),
        (2, 2, "SAME", 0, True, 1),
    ],
    "flips",
    0,
)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),  # window
            st.integers(1, 3),  # features
            st.sampled_from(["ring", "SAME"]),
            st.integers(0, len(UNARY) - 1),
            st.booleans(),  # residual
            st.integers(1, 2),  # stride
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["flips", "swaps"]),
    st.integers(0, 2**16),
)
def test_changes_of_random_networks(layers: Any, rows: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, leaves = 1, []
    for window, features, *_ in layers:
        kernel = rng.normal(size=(window, window, before, features))
        leaves.append(kernel / window)
        before = features

    def network(w: Any, x: Any) -> Any:
        y = image(x)
        for k, (window, _, padding, number, is_residual, stride) in zip(
            w, layers, strict=True
        ):
            wide = ring(y, window // 2) if padding == "ring" else y
            kind = "VALID" if padding == "ring" else "SAME"
            z = UNARY[number](conv(wide, k, kind, strides=(stride, stride)))
            y = y + z if is_residual and y.shape == z.shape else z
        return y.mean((1, 2, 3))

    with jax.enable_x64(True):
        made = Made(network, tuple(leaves), rows_of(rows))
        check(made, Function, seed, commits=1, tolerance=1e-11)
