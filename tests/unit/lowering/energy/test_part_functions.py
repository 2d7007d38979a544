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
from dialects.stablehlo import element_of
from lowering.energy.differences import Steps
from lowering.energy.extraction import returned
from lowering.energy.part_functions import PartFunctions, Setting, draft_of
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
}


@dataclass(frozen=True)
class Case:
    """A part, the changes that its tables have rows of, and lengths of products."""

    rung: bt.Rung
    functions: tuple[Callable[[Any, Any], Any], ...]
    leaves: tuple[Any, ...]
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
        for function in self.functions:
            (main,) = import_function(function, tuple(kinds), x).ops
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
        return self.coefficient * elements.sum()

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


CASES = {
    "log cosh": Case(bt.Rung.EXPONENTIAL, (affine,), (W, B), "log_cosh"),
    "complex": Case(
        bt.Rung.EXPONENTIAL, (affine,), (W + 0.3j * W[::-1], B + 0j), "log_cosh"
    ),
    "a phase": Case(bt.Rung.EXPONENTIAL, (affine,), (W, B), "softplus", 0.5j),
    "a sign": Case(
        bt.Rung.EXPONENTIAL, (affine,), (W, B), "log_sigmoid", -2.0, signed=False
    ),
    "by writes": Case(
        bt.Rung.EXPONENTIAL,
        (affine,),
        (W, B),
        "log_cosh",
        values=(0, 1, 2),
        signed=False,
        writes=2,
    ),
    "an embedding": Case(
        bt.Rung.EXPONENTIAL,
        (lambda w, x: w[0][x.astype(int)].sum(1),),
        (W[:3],),
        "log_cosh",
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
}


def by_interpreter(function: FuncOp) -> Callable[..., Any]:
    alone = function.clone()
    alone.sym_name = StringAttr("main")
    module = ModuleOp([alone])
    return lambda *given: run_kernel(module, [np.asarray(one) for one in given])


@pytest.mark.parametrize("run", [by_interpreter, Function])
@pytest.mark.parametrize("name", CASES)
def test_ratios_are_those_of_the_values(name: str, run: Any) -> None:
    """ratio(cache(x), d) = f(x + d) - f(x), modulo 2 pi i, for products of any length.

    And ratio of no change is 0, where a table has a row of none.
    """
    case = CASES[name]
    part = case.written()
    for function in part.all:
        function.verify()
    tables_of, bound_of, cache_of, ratio_of = map(run, part.all)
    tables = tables_of(*case.leaves)
    assert np.isfinite(np.asarray(bound_of(*tables))).all()
    x = RNG.choice(case.values, SITES).astype(np.int8)
    caches = cache_of(*case.leaves, x[None])
    for other, rows, sign in case.changes(x):
        expected = case.value(other) - case.value(x)
        for length in range(len(case.lengths)):
            numbers = [np.int32(length), *map(np.int32, rows), np.bool_(sign)]
            (found,) = ratio_of(*case.leaves, *tables, *caches, *numbers)
            turns = (np.asarray(found) - expected).imag / (2 * np.pi)
            error = abs(np.asarray(found) - expected - 2j * np.pi * np.round(turns))
            assert error < 1e-12 * (1 + abs(expected))
    if case.writes is not None:
        count = len(case.values)
        rows = [(site * count + case.values.index(x[site])) * count for site in (0, 1)]
        still = [row + case.values.index(x[s]) for s, row in enumerate(rows)]
        numbers = [np.int32(0), *map(np.int32, still), np.bool_(True)]
        (nothing,) = ratio_of(*case.leaves, *tables, *caches, *numbers)
        assert abs(np.asarray(nothing)) < 1e-13


def test_a_bound_says_what_is_not_safe() -> None:
    """Products of large weights are as long as their logarithm says, or are none."""
    case = CASES["log cosh"]
    tables_of, bound_of, *_ = map(Function, case.written().all)
    small, large = (
        np.asarray(bound_of(*tables_of(scale * W, B))) for scale in (1.0, 1e3)
    )
    np.testing.assert_allclose(large, 1e3 * small)
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
