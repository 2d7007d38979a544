"""Parts of log psi as functions: the laws that each of them obeys, where it is run."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp

from dialects import bt
from dialects.interpreters.kernel import run_kernel
from dialects.stablehlo import element_of, tensor
from lowering.energy.activations import ACTIVATIONS as LIBRARY
from lowering.energy.activations import Activation
from lowering.energy.differences import Steps
from lowering.energy.extraction import returned
from lowering.energy.part_functions import (
    ELEMENTS,
    PHASES,
    PartFunctions,
    Setting,
    log_of_product,
)
from lowering.energy.write_parts import draft_of
from lowering.functions import function_of
from lowering.stablehlo.stablehlo_batch import batch_function
from symir.runtime.functions import Function
from symir.runtime.importing import import_function

SITES, UNITS = 4, 19
RNG = np.random.default_rng(0)
W = RNG.normal(size=(SITES, UNITS))
B = RNG.normal(size=UNITS)
ACTIVATIONS: dict[str | None, Callable[[Any], Any]] = {
    None: lambda z: z,
    "log_cosh": lambda z: np.log(np.cosh(z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "log_sigmoid": lambda z: -np.log1p(np.exp(-z)),
    "tanh": np.tanh,
    "two": lambda z: np.logaddexp(0, 2 * z) + 0.5 * np.logaddexp(0, -z) + 0.25 * z,
}
TWO = Activation("two", ((1.0, 2.0), (0.5, -1.0)), 0.25)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARY, "two", TWO)


@dataclass(frozen=True)
class Case:
    """A part, the changes that its tables have rows of, and lengths of products."""

    rung: bt.Rung
    functions: tuple[Callable[[Any, Any], Any], ...]
    leaves: tuple[Any, ...]
    tail: Callable[[Any, Any], Any] | None = None
    activation: str | None = None
    coefficient: complex = 1.0
    values: tuple[int, ...] = (-1, 1)
    signed: bool = True
    writes: int | None = None
    lengths: tuple[int, ...] = (32, 8)

    @property
    def steps(self) -> Steps:
        """Flips of each site, or all changes of one site where writes are tabled."""
        if self.writes is None:
            sites = np.arange(SITES)[:, None]
            old, new = (np.full((SITES, 1), one) for one in self.values[:2])
        else:
            grid = np.meshgrid(np.arange(SITES), self.values, self.values)
            sites, old, new = (one.swapaxes(0, 1).reshape(-1, 1) for one in grid)
        rows = np.zeros((len(sites), SITES))
        rows[np.arange(len(sites)), sites[:, 0]] = (new - old)[:, 0]
        writes = None if self.signed else (sites, old, new)
        return Steps(rows, tuple(map(float, self.values)), writes)

    def written(self) -> PartFunctions:
        x = jax.ShapeDtypeStruct((1, SITES), np.int8)
        kinds = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in self.leaves]
        functions: list[FuncOp] = []
        own = [(function, x) for function in self.functions]
        if self.tail is not None:
            z = jax.eval_shape(self.functions[0], self.leaves, x)
            own.append((self.tail, z))
        for function, argument in own:
            (main,) = import_function(function, tuple(kinds), argument).ops
            assert isinstance(main, FuncOp)
            functions.append(main)
        part = bt.PartAttr.get(
            self.rung,
            "f",
            tail="g" if len(functions) > 1 else None,
            activation=self.activation,
            coefficient=self.coefficient,
        )
        log = element_of(returned(functions[0]))
        own = Setting(self.steps, self.writes, self.signed, self.lengths, log)
        draft = draft_of(part, functions, own)
        assert draft is not None
        return draft.written()

    def value(self, x: Any) -> Any:
        """Return the part of log psi at x, by NumPy."""
        found = [np.asarray(f(self.leaves, x[None])) for f in self.functions]
        elements = ACTIVATIONS[self.activation](np.prod(found, axis=0))
        tail = self.tail or (lambda w, elements: elements.sum())
        return self.coefficient * np.asarray(tail(self.leaves, elements)).item()

    def changes(self, x: Any) -> list[tuple[Any, list[int], bool]]:
        """Return x', the rows and the sign of some changes of x."""
        if self.writes is None:
            flipped = []
            for site in range(SITES):
                other = x.copy()
                other[site] = sum(self.values) - x[site]
                is_forth = bool(x[site] == self.values[0])
                if self.signed or is_forth:
                    flipped.append((other, [site], is_forth))
            return flipped
        numbers = [self.values.index(one) for one in x]
        count = len(self.values)
        moved = []
        for first in range(SITES - 1):
            other, rows = x.copy(), []
            for site, step in ((first, 1), (first + 1, 2)):
                new = (numbers[site] + step) % count
                other[site] = self.values[new]
                rows.append((site * count + numbers[site]) * count + new)
            moved.append((other, rows, True))
        return moved


def affine(w: Any, x: Any) -> Any:
    return x @ w[0] + w[1]


def weighted(w: Any, t: Any) -> Any:
    return 0.3 + t @ w[1]


def deep(w: Any, t: Any) -> Any:
    return jnp.sin(jnp.tanh(t @ w[0].T) + t[..., :1]).sum()


CASES = {
    "log cosh": Case(bt.Rung.EXPONENTIAL, (affine,), (W, B), None, "log_cosh"),
    "complex": Case(
        bt.Rung.EXPONENTIAL, (affine,), (W + 0.3j * W[::-1], B + 0j), None, "log_cosh"
    ),
    "a phase": Case(bt.Rung.EXPONENTIAL, (affine,), (W, B), None, "softplus", 0.5j),
    "a sign": Case(
        bt.Rung.EXPONENTIAL, (affine,), (W, B), None, "log_sigmoid", -2.0, signed=False
    ),
    "by writes": Case(
        bt.Rung.EXPONENTIAL,
        (affine,),
        (W, B),
        activation="log_cosh",
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
    "two softplus": Case(bt.Rung.EXPONENTIAL, (affine,), (W, B), None, "two"),
    "two softplus by writes": Case(
        bt.Rung.EXPONENTIAL,
        (affine,),
        (W, B),
        activation="two",
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
    "an embedding": Case(
        bt.Rung.EXPONENTIAL,
        (lambda w, x: w[0][x.astype(int)].sum(1),),
        (W[:3],),
        activation="log_cosh",
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
    "linear": Case(bt.Rung.LINEAR, (lambda w, x: x * w[0],), (W[:, 0],)),
    "bilinear": Case(
        bt.Rung.BILINEAR,
        (lambda w, x: x @ w[0][:, :SITES], lambda w, x: x + 0 * w[0][0, 0]),
        (W,),
    ),
    "bilinear by writes": Case(
        bt.Rung.BILINEAR,
        (lambda w, x: x @ w[0][:, :SITES], lambda w, x: x + 0 * w[0][0, 0]),
        (W,),
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
    "rational": Case(bt.Rung.RATIONAL, (affine,), (W, B), weighted, "tanh", -0.5),
    "rational and complex": Case(
        bt.Rung.RATIONAL, (affine,), (W + 0.3j * W[::-1], B + 0j), weighted, "tanh"
    ),
    "rational by writes": Case(
        bt.Rung.RATIONAL,
        (affine,),
        (W, B),
        weighted,
        "tanh",
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
    "lifted": Case(bt.Rung.LIFTED, (affine,), (W, B), deep, coefficient=2j),
    "lifted tanh": Case(bt.Rung.LIFTED, (affine,), (W, B), deep, "tanh"),
    "lifted by writes": Case(
        bt.Rung.LIFTED,
        (affine,),
        (W, B),
        deep,
        "tanh",
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
    "lifted and added by writes": Case(
        bt.Rung.LIFTED,
        (affine,),
        (W, B),
        deep,
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
}


def by_interpreter(function: FuncOp) -> Callable[..., Any]:
    alone = function.clone()
    alone.sym_name = StringAttr("main")
    module = ModuleOp([alone])
    return lambda *given: run_kernel(module, [np.asarray(one) for one in given])


COMMITS = 3


@pytest.mark.parametrize("run", [by_interpreter, Function])
@pytest.mark.parametrize("name", CASES)
def test_ratios_are_those_of_the_values(name: str, run: Any) -> None:
    """ratio(cache(x), d) = f(x + d) - f(x), modulo 2 pi i, for products of any length.

    So it is behind any number of commits, and ratio of no change is 0, where a table
    has a row of none.
    """
    case = CASES[name]
    part = case.written()
    for function in part.all:
        function.verify()
    tables_of, bound_of, cache_of, ratio_of, commit_of = map(run, part.all)
    tables = tables_of(*case.leaves)
    assert np.isfinite(np.asarray(bound_of(*tables))).all()
    x = RNG.choice(case.values, SITES).astype(np.int8)
    caches = first = cache_of(*case.leaves, x[None])
    rng = np.random.default_rng(1)
    for _ in range(COMMITS):
        changes = case.changes(x)
        for other, rows, sign in changes:
            expected = case.value(other) - case.value(x)
            for length in range(len(case.lengths)):
                numbers = [np.int32(length), *map(np.int32, rows), np.bool_(sign)]
                (found,) = ratio_of(*case.leaves, *tables, *caches, *numbers)
                turns = (np.asarray(found) - expected).imag / (2 * np.pi)
                error = abs(np.asarray(found) - expected - 2j * np.pi * np.round(turns))
                assert error < 1e-12 * (1 + abs(expected))
        if not changes:
            break
        x, rows, sign = changes[rng.integers(len(changes))]
        numbers = [np.int32(0), *map(np.int32, rows), np.bool_(sign)]
        caches = commit_of(*case.leaves, *tables, *caches, *numbers)
        kinds = [
            [(np.shape(v), np.asarray(v).dtype) for v in c] for c in (first, caches)
        ]
        assert kinds[0] == kinds[1]
    if case.writes is not None:
        count = len(case.values)
        rows = [(site * count + case.values.index(x[site])) * count for site in (0, 1)]
        still = [row + case.values.index(x[s]) for s, row in enumerate(rows)]
        numbers = [np.int32(0), *map(np.int32, still), np.bool_(True)]
        (nothing,) = ratio_of(*case.leaves, *tables, *caches, *numbers)
        assert abs(np.asarray(nothing)) < 1e-13


@pytest.mark.parametrize("run", [by_interpreter, Function])
@pytest.mark.parametrize("activation", [None, "tanh"])
def test_a_node_at_another_configuration_is_one(run: Any, activation: Any) -> None:
    """Whatever is at x: infinities of one sign do not cancel to what is no number."""

    def positive(w: Any, t: Any) -> Any:
        return jnp.log(jnp.maximum(jnp.sign(t[0, 0]), 0))

    leaves = (np.eye(SITES), np.zeros(SITES))
    case = Case(bt.Rung.LIFTED, (affine,), leaves, positive, activation)
    tables_of, _, cache_of, ratio_of, _ = map(run, case.written().all)
    tables = tables_of(*leaves)
    flips = {(1, 0): -np.inf, (1, 1): 0, (-1, 0): np.inf, (-1, 1): -np.inf}
    for (first, site), expected in flips.items():
        x = np.array([[first, -1, 1, 1]], np.int8)
        caches = cache_of(*leaves, x)
        change = np.int32(0), np.int32(site), np.bool_(x[0, site] < 0)
        (found,) = ratio_of(*leaves, *tables, *caches, *change)
        assert found == expected


def test_a_bound_says_what_is_not_safe() -> None:
    """Products of large weights are as long as their logarithm says, or are none."""
    case = CASES["log cosh"]
    tables_of, bound_of, *_ = map(Function, case.written().all)
    small, large = (
        np.asarray(bound_of(*tables_of(scale * W, B))) for scale in (1.0, 1e3)
    )
    np.testing.assert_allclose(large, 1e3 * small)
    # A flip changes each of the units by twice its weight
    logarithms = {"lifted tanh": 0, "rational": np.log1p(np.abs(B).max())}
    for name, more in logarithms.items():
        tables_of, bound_of, *_ = map(Function, CASES[name].written().all)
        found = bound_of(*tables_of(W, B))
        np.testing.assert_allclose(found, 8 * np.abs(W).max() + more)
    bilinear = CASES["bilinear"]
    tables_of, bound_of, *_ = map(Function, bilinear.written().all)
    assert np.isinf(np.asarray(bound_of(*tables_of(1e304 * W)))).all()
    assert np.isinf(np.asarray(bound_of(*tables_of(np.nan * W)))).all()


def test_lengths_are_chosen_at_run_time() -> None:
    choices = [
        op
        for function in CASES["log cosh"].written().all
        for op in function.walk()
        if op.name == "stablehlo.case"
    ]
    assert [len(op.regions) for op in choices] == [2]


def test_functions_are_mapped_over_parameters() -> None:
    """vmap of a function is the function of many; jit sees one op for each."""
    case = CASES["log cosh"]
    tables_of, *_ = map(Function, case.written().all)
    many = jnp.stack([W, 2 * W, 3 * W])
    found = jax.vmap(lambda w: tables_of(w, B))(many)
    for number, scale in enumerate((1, 2, 3)):
        for one, expected in zip(found, tables_of(scale * W, B), strict=True):
            np.testing.assert_allclose(one[number], expected, rtol=1e-14)


def logarithms_of(values: Any) -> Any:
    """Return the logarithms of the products of rows."""
    kind = tensor(ELEMENTS[values.dtype], values.shape[1:])
    rows = function_of("log", [kind], lambda _, rows: [log_of_product(rows[0])])
    batch_function(rows, len(values), [0])
    (found,) = Function(rows)(values)
    return np.asarray(found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("count", [1, 7, 8, PHASES, PHASES + 1, 3 * PHASES + 5])
def test_logarithms_of_products(dtype: type, count: int) -> None:
    rng = np.random.default_rng(count)
    sizes = np.exp(rng.uniform(-20, 20, size=(50, count)))
    angles = rng.uniform(-np.pi, np.pi, size=sizes.shape)
    is_complex = np.issubdtype(dtype, np.complexfloating)
    values = (sizes * np.exp(1j * angles) if is_complex else sizes).astype(dtype)
    exact: Any = np.log(values.astype(np.clongdouble)).sum(axis=1)
    found = logarithms_of(values)
    assert found.dtype == dtype
    eps = float(np.finfo(dtype).eps)
    bound = 4 * eps * (1 + np.abs(np.log(sizes)).sum(axis=1) + count)
    assert (np.abs(found.real - exact.real) <= bound).all()
    turn = np.abs(np.exp(1j * found.imag) - np.exp(1j * exact.imag.astype(float)))
    assert (turn <= bound).all()


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
def test_products_that_are_no_numbers_to_divide_by(dtype: type) -> None:
    values = np.ones((4, 3), dtype)
    values[1:, 1] = [0, np.inf, np.nan]
    one, nothing, infinite, unknown = logarithms_of(values).real
    assert one == 0
    assert nothing == -np.inf
    assert infinite == np.inf
    assert np.isnan(unknown)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_sizes_next_to_the_ends_of_the_range(size: float) -> None:
    values = np.full((1, 300), size * (0.6 + 0.8j))
    (found,) = logarithms_of(values)
    np.testing.assert_allclose(found.real, 300 * np.log(size), rtol=1e-14)
    turn = np.exp(1j * (found.imag - 300 * np.angle(0.6 + 0.8j)))
    np.testing.assert_allclose(turn, 1, atol=1e-12)
