"""Functions and reductions mean what Python and NumPy say on every configuration."""

from __future__ import annotations

import cmath
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symir as sym
from dialects.interpreters.sym import branches, connections
from dialects.sym import LookupOp, ReduceOp, SiteOp
from symir.errors import DefinitionError
from symir.language.expressions import Apply, Constant, Expr
from symir.language.integers import bounds_of

N = 4
i, j, here = sym.site("i"), sym.site("j"), sym.here

Expected = Callable[[Any, int, int], complex]
"""The matrix element from x and the numbers of the sites i and j."""


def _strictly_between(x: Any, a: int, b: int) -> Any:
    return x[min(a, b) + 1 : max(a, b)]


def _operator(amplitude: Expr) -> sym.SymbolicOperator:
    return (
        sym.DOperator(sym.fock(2, N), "op", dtype="complex128")
        .for_each_pair("i", "j")
        .emit(amplitude=amplitude)
        .build()
    )


CASES: dict[str, tuple[Expr, Expected]] = {
    "exp": (sym.exp(i), lambda x, a, b: math.exp(x[a])),
    "phase": (sym.exp(0.5j * i), lambda x, a, b: cmath.exp(0.5j * x[a])),
    "log": (sym.log(i + 1), lambda x, a, b: math.log(x[a] + 1)),
    "complex log": (sym.log(1j * i - 1), lambda x, a, b: cmath.log(1j * x[a] - 1)),
    "complex sqrt": (sym.sqrt(i - 2 + 0j), lambda x, a, b: cmath.sqrt(x[a] - 2)),
    "sin": (sym.sin(i), lambda x, a, b: math.sin(x[a])),
    "cos": (sym.cos(i), lambda x, a, b: math.cos(x[a])),
    "conj": (sym.conj((1 + 2j) * i), lambda x, a, b: (1 - 2j) * x[a]),
    "real": (sym.real((3 + 2j) * i), lambda x, a, b: 3 * x[a]),
    "imag": (sym.imag((3 + 2j) * i), lambda x, a, b: 2 * x[a]),
    "imag of real": (sym.imag(i), lambda x, a, b: 0),
    "norm2": (sym.norm2(i + 2j * j), lambda x, a, b: x[a] ** 2 + 4 * x[b] ** 2),
    "norm2 of real": (sym.norm2(i - 3), lambda x, a, b: (x[a] - 3) ** 2),
    "sign": (sym.sign(i - 1), lambda x, a, b: (x[a] > 1) - (x[a] < 1)),
    "minimum": (sym.minimum(i, j, 1), lambda x, a, b: min(x[a], x[b], 1)),
    "maximum": (sym.maximum(i, j, 1), lambda x, a, b: max(x[a], x[b], 1)),
    "where": (sym.where(i > j, i, -j), lambda x, a, b: x[a] if x[a] > x[b] else -x[b]),
    "where with 1 / 0": (
        sym.where(i > 0, 1 / i, 5),
        lambda x, a, b: 1 / x[a] if x[a] else 5,
    ),
    "table": (sym.table([3, 1j, -1])[i], lambda x, a, b: [3, 1j, -1][x[a]]),
    "source_index": (sym.source_index(2), lambda x, a, b: x[2]),
    "neighbour": (
        sym.site((i.index - 1) % N).value,
        lambda x, a, b: x[(a - 1) % N],
    ),
    "neighbour of a neighbour": (
        sym.site((sym.site((i.index + 1) % N).index + 1) % N) * 1,
        lambda x, a, b: x[(a + 2) % N],
    ),
    "sum": (sym.sum_(here.value), lambda x, a, b: sum(x)),
    "sum of index": (sym.sum_(here.index), lambda x, a, b: sum(range(N))),
    "prod": (sym.prod(here - 3j), lambda x, a, b: math.prod([v - 3j for v in x])),
    "between": (
        sym.sum_(here + 1, over=sym.between("i", j)),
        lambda x, a, b: sum(v + 1 for v in _strictly_between(x, a, b)),
    ),
    "between values": (
        sym.sum_(here + 1, over=sym.between(i.value * 0.75, 2.0)),
        lambda x, a, b: sum(
            x[s] + 1 for s in range(N) if min(0.75 * x[a], 2) < s < max(0.75 * x[a], 2)
        ),
    ),
    "sites_range": (
        sym.sum_(here + 1, over=sym.sites_range("i", "j")),
        lambda x, a, b: sum(v + 1 for v in x[a:b]),
    ),
    "sites_range beyond the lattice": (
        sym.sum_(here + 1, over=sym.sites_range(i.index - 2, j.index + 2)),
        lambda x, a, b: sum(v + 1 for v in x[max(a - 2, 0) : b + 2]),
    ),
    "sites_range of values": (
        sym.sum_(here + 1, over=sym.sites_range(i.value / 2, j.value + 1.5)),
        lambda x, a, b: sum(x[s] + 1 for s in range(N) if x[a] / 2 <= s < x[b] + 1.5),
    ),
    "parity": (
        sym.parity(here - i, over=sym.between("i", "j")),
        lambda x, a, b: sum(v - x[a] for v in _strictly_between(x, a, b)) % 2,
    ),
    "count": (sym.count(here == i), lambda x, a, b: sum(v == x[a] for v in x)),
    "any_": (
        sym.where(sym.any_(here == 2), 1, 0),
        lambda x, a, b: int(2 in x),
    ),
    "all_ over none": (
        sym.where(sym.all_(sym.false, over=sym.between("i", "i")), 1, 0),
        lambda x, a, b: 1,
    ),
    "jordan_wigner": (
        sym.jordan_wigner("i", "j"),
        lambda x, a, b: (-1) ** sum(_strictly_between(x, a, b)),
    ),
    "long range": (
        i * sym.sum_(sym.where(here.index == i.index, 0, here / (1 + i.index))),
        lambda x, a, b: x[a] * sum(x[s] / (1 + a) for s in range(N) if s != a),
    ),
    "table in a reduction": (
        sym.sum_(sym.table([1, 0.5, 0.25, 0.125])[abs(here.index - i.index)] * here),
        lambda x, a, b: sum(2.0 ** -abs(s - a) * x[s] for s in range(N)),
    ),
    "neighbours in a reduction": (
        sym.sum_(here * sym.site((here.index + 1) % N)),
        lambda x, a, b: sum(x[s] * x[(s + 1) % N] for s in range(N)),
    ),
    "nested": (
        sym.sum_(here * sym.count(here > 1)),
        lambda x, a, b: sum(x) * sum(v > 1 for v in x),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_meaning(name: str):
    amplitude, expected = CASES[name]
    module = _operator(amplitude).to_ir().module
    pairs = list(itertools.product(range(N), repeat=2))
    for x in itertools.product(range(3), repeat=N):
        _, found = connections(module, np.array(x))
        np.testing.assert_allclose(
            found, [expected(x, a, b) for a, b in pairs], rtol=1e-14, atol=1e-14
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quotients_round_down_as_those_of_python(dtype: str):
    values = [-7.5, -3, -1, -0.1, 0, 0.1, 0.3, 1, 2.5, 3, 49, 1e6 + 0.5]
    a, b = sym.symbol("a"), sym.symbol("b")
    operator = (
        sym.DOperator(sym.qubit(1), "op", dtype=dtype)
        .globally()
        .emit(amplitude=a // b)
        .emit(amplitude=a % b)
        .emit(amplitude=a // 0.1)
        .emit(amplitude=a % 0.1)
        .build()
    )
    module, kind = operator.to_ir().module, np.dtype(dtype).type
    run = operator.compile()
    for x, y in itertools.product(values, repeat=2):
        if y == 0:
            continue
        p, q, tenth = kind(x), kind(y), kind(0.1)
        expected = [p // q, p % q, p // tenth, p % tenth]
        parameters = {"a": float(p), "b": float(q)}
        _, found = connections(module, [0], parameters)
        np.testing.assert_array_equal(found, expected)
        _, compiled = run.replace(**parameters).get_conn_padded(np.zeros(1, np.int8))
        np.testing.assert_array_equal(compiled, expected)


def test_what_a_table_or_lattice_lacks_makes_a_branch_invalid():
    for amplitude in (
        sym.table([1.0, 2.0])[i],
        sym.site(2 * i.value).value,
        sym.sum_(sym.table([1.0, 2.0])[here]),
    ):
        module = (
            sym.DOperator(sym.fock(2, 2), "op")
            .for_each_site("i")
            .emit(amplitude=amplitude)
            .build()
            .to_ir()
            .module
        )
        assert [b.valid for b in branches(module, [0, 0])] == [True, True]
        assert False in [b.valid for b in branches(module, [0, 2])]


def test_what_is_not_chosen_is_not_needed():
    amplitude = sym.where(i < 2, sym.table([1.0, 2.0])[i], -1)
    operator = (
        sym.DOperator(sym.fock(2, 1), "op")
        .for_each_site("i")
        .emit(amplitude=amplitude)
        .build()
    )
    _, found = operator.compile().get_conn_padded(np.array([[0], [1], [2]], np.int8))
    np.testing.assert_array_equal(found, [[1], [2], [-1]])


def test_reductions_are_one_op_each():
    shared = sym.sum_(
        sym.table(1 / np.arange(1.0, 65.0))[abs(here.index - i.index)] * here
    )
    operator = (
        sym.DOperator(sym.fock(1, 64), "op")
        .for_each_site("i")
        .emit(amplitude=shared * shared)
        .emit(sym.shift("i", 1), amplitude=shared)
        .build()
    )
    ops = list(operator.to_ir().module.walk())
    assert sum(isinstance(op, ReduceOp) for op in ops) == 1
    assert sum(isinstance(op, LookupOp) for op in ops) == 1
    assert len(ops) < 20


def test_what_does_not_depend_on_the_site_stays_outside():
    operator = _operator(sym.sum_(here * sym.exp(i)))
    (reduction,) = (
        op
        for op in operator.to_ir().module.walk()
        if op.regions and isinstance(op, ReduceOp)
    )
    names = [op.name for op in reduction.body.block.ops]
    assert "stablehlo.exponential" not in names


def test_site_numbers_are_computed_as_integers_where_they_are():
    whole = _operator(sym.site((i.index * 3 + 1) % N).value).to_ir().module
    (site,) = (op for op in whole.walk() if isinstance(op, SiteOp))
    assert str(site.number.type) == "tensor<i32>"
    computed = _operator(sym.site(i.value).value).to_ir().module
    (site,) = (op for op in computed.walk() if isinstance(op, SiteOp))
    assert str(site.number.type) == "tensor<f64>"


@pytest.mark.parametrize(
    ("number", "bounds"),
    [
        (Constant(5), (5, 5)),
        (i.index, (0, 9)),
        (-i.index, (-9, 0)),
        (i.index - j.index, (-9, 9)),
        (abs(i.index - 3), (0, 6)),
        (abs(i.index + 3), (3, 12)),
        ((i.index + 1) % 10, (0, 9)),
        (i.index % -4, (-3, 0)),
        ((i.index - 9) // 2, (-5, 0)),
        (i.index * -2, (-18, 0)),
        (sym.minimum(i.index, 4), (0, 4)),
        (sym.maximum(i.index, 4), (4, 9)),
        (i.index // j.index, None),
        (i.index % (j.index - 4), None),
        (i.index * 2**29, None),
        (i.value, None),
        (i.index / 2, None),
        (i.index + 0.5, None),
    ],
)
def test_bounds(number: Expr, bounds: tuple[int, int] | None):
    assert bounds_of(number, 10) == bounds


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: i // 2 % 3, "((site('i') // 2) % 3)"),
        (lambda: sym.exp(1j * i), "exp((1j * site('i')))"),
        (lambda: sym.where(i > 0, i, 0), "where((site('i') > 0), site('i'), 0)"),
        (
            lambda: sym.wrap_mod(i + 1, "i"),
            "wrap_mod((site('i') + 1), site('i').index)",
        ),
        (lambda: sym.table([1, 2])[i], "table([1, 2])[site('i')]"),
        (lambda: sym.table(range(9)), "table([0, 1, 2, 3, ..])"),
        (lambda: sym.site(i.index + 1), "site((site('i').index + 1))"),
        (lambda: sym.emitted(3).index, "emitted(3).index"),
        (lambda: sym.site(i.index), "site('i')"),
        (lambda: sym.emitted(here.index).value, "emitted(here.index).value"),
        (lambda: sym.sum_(here), "sum_(here, over=all_sites())"),
        (
            lambda: sym.prod(here.value, over=sym.set_("star")),
            "prod(here.value, over=set_('star'))",
        ),
        (
            lambda: sym.any_(here.index == 1, over=sym.between("i", 3)),
            "any_((here.index == 1), over=between(site('i').index, 3))",
        ),
        (
            lambda: sym.all_of(i > 0, True),
            "((site('i') > 0) & true)",
        ),
        (lambda: sym.any_of(), "false"),
        (lambda: sym.all_of(), "true"),
    ],
)
def test_texts(build: Callable[[], object], text: str):
    assert repr(build()) == text


def test_expressions_survive_pickling():
    expression = sym.sum_(here * sym.site(i.index + 1), over=sym.between("i", "j"))
    assert repr(pickle.loads(pickle.dumps(expression))) == repr(expression)


def test_numpy_scalars_on_the_left():
    for build in (lambda: np.float64(7) // i, lambda: np.int8(7) % i):
        combined: Any = build()
        assert isinstance(combined, Apply)
        assert isinstance(combined.arguments[0], Constant)


def _emit(amplitude: object, dtype: str = "complex128") -> None:
    builder: Any = sym.DOperator(sym.space([0, 1, 5], N), "op", dtype=dtype)
    builder.for_each_site("i").emit(amplitude=amplitude)


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("D042", lambda: _emit(here.value)),
        ("D042", lambda: _emit(sym.site(here.index + 1).value)),
        ("D042", lambda: _emit(sym.sum_(here, over=sym.between("i", here)))),
        (
            "D042",
            lambda: _emit(sym.sum_(sym.sum_(here, over=sym.sites_range(0, here)))),
        ),
        ("D043", lambda: sym.table([])),
        ("D043", lambda: sym.table(3)),
        ("D043", lambda: sym.table(["a"])),
        ("D043", lambda: sym.table([[1, 2]])),
        ("D043", lambda: sym.table(range(65))),
        ("D013", lambda: sym.table([float("nan")])),
        ("D012", lambda: _emit(sym.table([1, 1j])[i], "float64")),
        ("D044", lambda: sym.table([1, 2])[2]),
        ("D044", lambda: sym.table([1, 2])[-1]),
        ("D044", lambda: sym.table([1, 2])[0.5]),
        ("D045", lambda: _emit(sym.wrap_mod(i + 1, "i"))),
        ("D046", lambda: sym.sum_(here, over="star")),  # pyright: ignore
        ("D046", lambda: sym.any_(here > 0, over=[0, 1])),  # pyright: ignore
        ("D047", lambda: _emit(1j * i % 2)),
        ("D047", lambda: _emit(1j * i // 2)),
        ("D047", lambda: _emit(sym.sign(1j * i))),
        ("D047", lambda: _emit(sym.minimum(1j * i, 2))),
        ("D047", lambda: _emit(sym.maximum(i, 1j))),
        ("D047", lambda: _emit(sym.wrap_mod(1j * i, "i"))),
        ("D047", lambda: _emit(sym.parity(1j * here))),
        ("D047", lambda: _emit(sym.table([1, 2])[1j * i])),
        ("D047", lambda: _emit(sym.site(1j * i.value).value)),
        ("D047", lambda: _emit(sym.sum_(here, over=sym.sites_range(0, 1j * i.value)))),
        ("D034", lambda: _emit(sym.sum_(here, over=sym.set_("star")))),
        ("D036", lambda: _emit(sym.source_index(N))),
        ("D036", lambda: _emit(sym.source_index(-1))),
        ("D036", lambda: sym.site(i)),
        ("D036", lambda: sym.site(0.5)),
        ("D001", lambda: _emit(sym.sum_(here * sym.site("k")))),
        ("D001", lambda: _emit(sym.sum_(here, over=sym.between("i", "k")))),
        ("D001", lambda: _emit(sym.wrap_mod(i, "k"))),
        ("D001", lambda: _emit(sym.where(sym.site("k") > 0, 1, 0))),
        ("D014", lambda: sym.wrap_mod(i, sym.emitted("i"))),
        ("D015", lambda: sym.sum_(here > 0)),  # pyright: ignore
        ("D016", lambda: sym.any_(here)),  # pyright: ignore
        ("D016", lambda: sym.count(1j * here)),  # pyright: ignore
        ("D016", lambda: sym.where(i, 1, 2)),  # pyright: ignore
        ("D016", lambda: sym.all_of(i > 0, i)),  # pyright: ignore
        ("D021", lambda: _emit(sym.count(1j * here < 1))),
        ("D026", lambda: _emit(sym.sum_(sym.symbol("g") * sym.symbol("g", 1.0)))),
    ],
)
def test_mistakes(code: str, action: Callable[[], object]):
    with pytest.raises(DefinitionError) as caught:
        action()
    assert caught.value.code == code
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_predicates_cannot_read_the_emitted_state_in_a_reduction():
    builder = sym.DOperator(sym.fock(2, N), "op").for_each_site("i")
    with pytest.raises(DefinitionError) as caught:
        builder.where(sym.any_(sym.emitted(here.index) > 0))
    assert caught.value.code == "D014"


def test_a_table_is_not_walked_through():
    with pytest.raises(TypeError):
        list(sym.table([1, 2]))  # pyright: ignore
    assert len(sym.table([1, 2])) == 2
