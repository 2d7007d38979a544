"""Bugs in the passes of local energies, and in parts of log psi: each finds its pass.

A bug is in the IR that a pass leaves, or in the code that a pass is made of.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, cast

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from xdsl.builder import Builder
from xdsl.dialects.builtin import ArrayAttr
from xdsl.dialects.func import ReturnOp
from xdsl.rewriter import InsertPoint
from xdsl_jax.dialects import stablehlo as hlo

import symir as sym
from dialects import bt
from lowering.arrays import Array, concatenated
from lowering.change import combining_rules, cones, determinants, orbitals
from lowering.energy import cone_part, lane_rows, lower_local_energy, part_functions
from lowering.energy.apply_exponential_sums import ApplyExponentialSumsPass
from lowering.energy.extraction import energies_in
from lowering.rewriting import Inserter
from lowering.stablehlo import loops
from symir import models
from symir.compiler.lowering import LoweringPipeline
from symir.runtime.functions import Function
from symir.runtime.local_energy import program
from symir.validation import stages
from tests.unit.symir.validation.test_planted_bugs import (
    Planted,
    first,
    inserted,
    scale_amplitude,
)

SAMPLES = 4
RING = [(site, (site + 1) % 4) for site in range(4)]
RNG = np.random.default_rng(0)
W, B = 0.4 * RNG.normal(size=(4, 20)), RNG.normal(size=20)
A = RNG.normal(size=(4, 4))
ORBITALS = np.random.default_rng(1).normal(size=(8, 4))
KERNELS = tuple(RNG.normal(size=shape) / 2 for shape in ((3, 1, 3), (3, 3, 2)))


# region Energies


def machine(w: Any, x: Any) -> Any:
    return 0.5 * jnp.log(jnp.cosh(x @ w[0] + w[1])).sum(-1) + x @ w[0][:, 0]


def jastrow(w: Any, x: Any) -> Any:
    return jnp.einsum("bi,ij,bj->b", x, w, x)


def one_layer(w: Any, x: Any) -> Any:
    return jnp.tanh(x @ w[0] + w[1]) @ w[1]


def two_layers(w: Any, x: Any) -> Any:
    first = jnp.tanh(jnp.concatenate([x @ w[0]] * 8, axis=-1))
    return jnp.sin(first[:, :20] + first[:, 140:]) @ w[1]


def deep(w: Any, x: Any) -> Any:
    """Two convolutions on a ring: in the cone of a change."""
    y = x[..., None].astype(float)
    for kernel in w:
        y = jnp.pad(y, ((0, 0), (1, 1), (0, 0)), mode="wrap")
        kinds = ("NWC", "WIO", "NWC")
        y = lax.conv_general_dilated(y, kernel, (1,), "VALID", dimension_numbers=kinds)
        y = jnp.tanh(y)
    return y.sum((1, 2))


def slater(w: Any, n: Any) -> Any:
    """The determinant of the orbitals of occupied sites."""
    occupied = jnp.argsort(-n, axis=-1, stable=True)[:, :4]
    sign, size = jnp.linalg.slogdet(w[occupied])
    return size + jnp.log(sign + 0j)


def network(w: Any, x: Any) -> Any:
    """Log psi of no part, with nodes where the first two spins are equal."""
    found = jnp.sin(jnp.sin(x @ w[0]) @ w[0].T) @ w[0][:, 0]
    return jnp.where(x[:, 0] == x[:, 1], -jnp.inf, found)


def declared(w: Any, x: Any) -> Any:
    return jnp.einsum("bi,ij,bj->b", x, w, jnp.sin(x))


def kept(w: Any, x: Any) -> Any:
    return x


def changed(w: Any, x: Any, sites: Any, old: Any, new: Any) -> Any:
    after = x.at[sites].set(new)
    found = declared(w, after[None]) - declared(w, x[None])
    # Of some changes it does not know
    return jnp.where(sites[0] == 2, jnp.nan, found[0])


sym.register_delta(declared)(kept, changed)


@cache
def heisenberg() -> sym.SymbolicOperator:
    return models.heisenberg(4, RING)


@cache
def ising() -> sym.SymbolicOperator:
    return models.transverse_field_ising(4, RING, h=0.5)


@cache
def on_a_ring() -> sym.SymbolicOperator:
    ring = [(site, (site + 1) % 12) for site in range(12)]
    return models.transverse_field_ising(12, ring, h=0.5)


@cache
def hubbard() -> sym.SymbolicOperator:
    return models.fermi_hubbard(4, RING, U=2.0)


@cache
def elsewhere() -> sym.SymbolicOperator:
    """An operator whose lanes are elsewhere for each x."""
    i = sym.site("i")
    target = sym.site((i.index + 1 + i.value) % 4)
    return (
        sym.DOperator(sym.qubit(4), "elsewhere")
        .for_each_site("i")
        .emit(sym.write(target, 1 - target.value), amplitude=2.0 + i.value)
        .build()
    )


ENERGIES = {
    "machine": (heisenberg, machine, (W, B)),
    "a field": (ising, machine, (W, B)),
    "by site": (elsewhere, machine, (W, B)),
    "jastrow": (heisenberg, jastrow, A),
    "one layer": (ising, one_layer, (W, B)),
    "two layers": (ising, two_layers, (W, B)),
    "deep": (on_a_ring, deep, KERNELS),
    "slater": (hubbard, slater, ORBITALS),
    "network": (heisenberg, network, (W, B)),
    "declared": (heisenberg, declared, A),
    "distinct": (heisenberg, network, (W, B)),
}


@cache
def arguments(name: str) -> tuple[sym.LocalEnergy, Any, Any]:
    operator, logpsi, w = ENERGIES[name]
    x = np.array([[1, -1, 1, 1], [-1, 1, -1, -1], [-1, 1, 1, -1], [1, -1, 1, -1]])
    x = np.concatenate([x, x[::-1], x], axis=1) if name == "deep" else x
    x = np.concatenate([x, -x], axis=1) if name == "slater" else x
    if name == "slater":  # one has more than 4 fermions
        x[1, 0] = 1
    x = (x + 1) // 2 if name in {"by site", "slater"} else x
    distinct = True if name == "distinct" else None
    energy = sym.LocalEnergy(operator(), logpsi, distinct=distinct)
    return energy, w, x.astype(np.int8)


# endregion
# region What goes wrong in IR


def amplitude(module: Any) -> None:
    scale_amplitude(module)


def double_diagonal(module: Any) -> None:
    (energy,) = energies_in(module)
    assert energy.diagonal is not None
    twice = inserted(energy, hlo.AddOp(energy.diagonal, energy.diagonal))
    energy.operands[2] = twice


def parts(edit: Callable[[list[bt.PartAttr]], list[bt.PartAttr]]) -> Any:
    def plant(module: Any) -> None:
        (energy,) = energies_in(module)
        energy.parts = ArrayAttr(edit(list(energy.parts)))

    return plant


def with_entry(part: bt.PartAttr, **entries: Any) -> bt.PartAttr:
    name, *others = part.functions
    settings = {
        "tail": others[-1] if others else None,
        "activation": part.applied,
        "coefficient": part.coefficient,
        **entries,
    }
    return bt.PartAttr.get(part.kind, name, **settings)


def double_result(module: Any) -> None:
    op = cast(Any, first(module, ReturnOp))
    op.operands[0] = inserted(op, hlo.AddOp(op.operands[0], op.operands[0]))


# endregion
# region What goes wrong in code

Patch = Callable[[pytest.MonkeyPatch], None]


def after(owner: Any, name: str, change: Callable[..., Any]) -> Patch:
    """Change what a function or method returns."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)

        def changed(*given: Any, **named: Any) -> Any:
            return change(original(*given, **named), *given)

        monkeypatch.setattr(owner, name, changed)

    return patch


def instead(owner: Any, name: str, function: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, function)


def one_row_on(change: Any, table: Any) -> Any:
    (row,) = change.rows
    return table.at((row + 1) % table.shape[0])


def first_factor(self: Any, factors: Any, length: Any) -> Any:
    return part_functions.log_of_product(factors.slice(0, 1).reshape(-1))


def without_last_lane(live: Any, lanes: Any) -> Any:
    kept = np.arange(lanes.count)[None] < lanes.count - 1
    return live & live.constant(kept, live.element).broadcast(live.shape)


def other_sign(found: Any, *_: Any) -> Any:
    rows, signs = found
    return rows, ~signs


def without_product(found: Any, *_: Any) -> Any:
    return [*found[:2], found[2] * 0, *found[3:]]


def one_write(self: Any) -> Any:
    fewer = {name: getattr(self.lanes, name)[:1] for name in ("sites", "values")}
    lanes = lane_rows.replace(self.lanes, **fewer)
    return CONFIGURATION(lane_rows.State(lanes, self.number, self.may_be_sample))


CONFIGURATION = lane_rows.State.configuration


def old_for_new(self: Any) -> Any:
    other = lane_rows.replace(self, sources=self.values, values=self.sources)
    return ROWS_BY_SITE(other)


IS_ODD: Any = determinants._Move.is_odd.fget
ROWS_BY_SITE = lane_rows.Lanes._rows_by_site


def without_first_site(weights: Any, *_: Any) -> Any:
    return np.where(np.arange(len(weights))[:, None] == 0, 0, weights)


def one_turn_less(found: Any, *_: Any) -> Any:
    return [(size, (count - 1).maximum(0)) for size, count in found]


def places_before(table: Any, places: Any) -> Any:
    """Return places one before those that are given, where that is one."""
    owner = places.owner
    insert = Inserter(Builder(InsertPoint.after(owner)), owner.location)
    return (Array(places, insert) - 1).maximum(0).value


UPDATED, SCATTERED, GATHER = loops.updated, loops._scattered, loops.gather_rows

# endregion


class Bug(NamedTuple):
    """What is wrong, in a pass, and on which energy it shows."""

    pass_name: str
    energy: str
    plant: Callable[[Any], None] | None = None
    patch: Patch | None = None
    occurrence: int = 0
    what: str = "local energy"


def in_code(
    pass_name: str, energy: str, patch: Patch, what: str = "local energy"
) -> Bug:
    return Bug(pass_name, energy, patch=patch, what=what)


def in_part(energy: str, kind: str, patch: Patch) -> Bug:
    return in_code("write-parts", energy, patch, f"ratio of the {kind} part")


LOWER, CONVERT = "lower-local-energy", "convert-bt-to-stablehlo"

BUGS = {
    "an element is scaled": Bug("bt-local-energy", "machine", amplitude),
    "a diagonal counts twice": Bug(
        "bt-local-energy-coalesce", "a field", double_diagonal
    ),
    "a part is lost": Bug(
        "apply-exponential-sums", "machine", parts(lambda found: found[:1])
    ),
    "a factor is lost": Bug(
        "apply-exponential-sums",
        "machine",
        parts(lambda found: [with_entry(found[0], coefficient=1.0), *found[1:]]),
    ),
    "a prefix is cut before tanh": Bug(
        "lift-sparse-delta",
        "two layers",
        parts(lambda found: [with_entry(found[0], activation=None)]),
    ),
    "a linear ratio has the other sign": in_part(
        "machine", "linear", after(part_functions.Linear, "ratio", lambda r, *_: -r)
    ),
    "a change is never the opposite": in_part(
        "machine",
        "exponential",
        instead(
            part_functions.Change,
            "sides",
            lambda self, both: (both.entry(0), both.entry(1)),
        ),
    ),
    "a ratio has the row of another change": in_part(
        "a field",
        "exponential",
        instead(part_functions.Change, "multiplied", one_row_on),
    ),
    "a factor of a part is forgotten": in_part(
        "machine",
        "exponential",
        instead(part_functions.Draft, "scaled", lambda self, value: value),
    ),
    "a product is too short": in_part(
        "machine",
        "exponential",
        instead(part_functions.Setting, "logarithm", first_factor),
    ),
    "a cache is of the opposite units": in_part(
        "by site",
        "exponential",
        after(part_functions, "_sigmoids", lambda f, *_: f[::-1]),
    ),
    "a quadratic term is missing": in_part(
        "jastrow", "bilinear", after(part_functions.Bilinear, "tables", without_product)
    ),
    "a slope is wrong": in_part(
        "one layer",
        "rational",
        after(part_functions.Rational, "cache", lambda f, *_: [*f[:3], f[3] * 0.5]),
    ),
    "a cone is that of a row before": in_part(
        "deep",
        "cone",
        after(
            cones.Trace,
            "__init__",
            lambda _, trace, *__: trace.lists.update(
                {
                    node: np.roll(one, 1, axis=0)
                    for node, one in trace.lists.items()
                    if isinstance(node, cones.Pointwise) and node.positions > 1
                }
            ),
        ),
    ),
    "a kernel is turned": in_part(
        "deep",
        "cone",
        after(
            combining_rules,
            "_near",
            lambda near, *_: np.ascontiguousarray(near[:, ::-1]),
        ),
    ),
    "a cone is kept as it was before a change": in_part(
        "deep",
        "cone",
        instead(cone_part.Cone, "commit", lambda self, given: given.caches),
    ),
    "rows are sorted by the other permutation": in_part(
        "slater",
        "cone",
        instead(
            determinants._Move,
            "is_odd",
            property(lambda self: ~IS_ODD(self)),
        ),
    ),
    "a column is that of another row": in_part(
        "slater",
        "cone",
        instead(
            determinants._Move,
            "columns",
            property(lambda self: self.left_of(self.before) * 0 + 3),
        ),
    ),
    "an inverse is updated the other way": in_part(
        "slater", "cone", after(determinants, "solved", lambda found, *_: -found)
    ),
    "a row is that of the next site": in_part(
        "slater",
        "cone",
        after(
            orbitals,
            "_slots",
            lambda found, *_: replace(found, elements=np.roll(found.elements, 1, 0)),
        ),
    ),
    "a cache that is committed stays": in_part(
        "jastrow",
        "bilinear",
        instead(part_functions.Bilinear, "commit", lambda self, given: given.caches),
    ),
    "a commit exchanges sides": in_part(
        "machine",
        "exponential",
        after(
            part_functions.Exponential,
            "commit",
            lambda found, *_: [
                concatenated([both.slice(1, 2), both.slice(0, 1)], 0) for both in found
            ],
        ),
    ),
    "lanes have rows of others": in_code(
        LOWER,
        "machine",
        instead(
            lane_rows.State,
            "lane",
            property(lambda self: (self.flat + 1) % self.lanes.count),
        ),
    ),
    "signs are exchanged": in_code(
        LOWER, "a field", after(lane_rows.Lanes, "rows_and_signs", other_sign)
    ),
    "a live lane is dropped": in_code(
        LOWER, "machine", after(lane_rows.Lanes, "live", without_last_lane)
    ),
    "old and new are exchanged": in_code(
        LOWER, "by site", instead(lane_rows.Lanes, "_rows_by_site", old_for_new)
    ),
    "a write is left out": in_code(
        LOWER, "network", instead(lane_rows.State, "configuration", one_write)
    ),
    "a node counts": in_code(
        LOWER,
        "network",
        instead(
            lower_local_energy,
            "difference",
            lambda after, before: lower_local_energy._is_node(after).where(
                before, after - before
            ),
        ),
    ),
    "what a delta does not know stays unknown": in_code(
        LOWER,
        "declared",
        instead(lower_local_energy._Loops, "_completed", lambda self, found: found),
    ),
    "lanes are unpacked from the places before": in_code(
        CONVERT,
        "machine",
        instead(
            loops,
            "gather_rows",
            lambda table, places: GATHER(table, places_before(table, places)),
        ),
    ),
    "a chunk is written over the first one": in_code(
        CONVERT,
        "a field",
        instead(
            loops,
            "updated",
            lambda whole, part, start: UPDATED(whole, part, start.like(0)),
        ),
    ),
    "a loop is one turn short": in_code(
        CONVERT, "machine", after(loops, "_counts", one_turn_less)
    ),
    "packed lanes come one place later": in_code(
        CONVERT,
        "network",
        instead(
            loops,
            "_scattered",
            lambda whole, places, values: SCATTERED(whole, places + 1, values),
        ),
    ),
    "a site is in no key": in_code(
        LOWER, "distinct", after(lane_rows, "_weights", without_first_site)
    ),
    "equal states are looked for at others": in_code(
        CONVERT, "distinct", after(loops, "_first_of_key", lambda found, *_: found * 0)
    ),
    "a kernel counts twice": Bug("dce", "one layer", double_result),
}


@pytest.mark.parametrize("name", BUGS)
@pytest.mark.usefixtures("lifting")
def test_bugs_are_blamed_on_their_pass(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = BUGS[name]
    check_blame(bug, *arguments(bug.energy), monkeypatch)


def check_blame(
    bug: Bug, energy: sym.LocalEnergy, w: Any, x: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant a bug, and see that its pass and what is wrong are found."""
    energy.program(w, x.dtype)  # as it is without the bug
    if bug.patch is not None:
        bug.patch(monkeypatch)
    if bug.plant is not None:
        plant_behind(bug.pass_name, bug.plant, bug.occurrence, monkeypatch)
    found = sym.bisect(energy, w, x, samples=SAMPLES, executable=False)
    assert found.pass_name == bug.pass_name, str(found)
    assert found.number is not None
    assert found.passes[: found.number].count(bug.pass_name) == bug.occurrence + 1
    assert found.stage is not None
    difference = found.stage.difference
    assert difference is not None
    assert difference.what.startswith(bug.what)
    assert difference.expected != difference.found
    assert found.stage.x is not None
    assert found.before is not None
    assert f"pass {found.number}, {bug.pass_name}, is to blame" in str(found)


def plant_behind(
    pass_name: str, plant: Any, occurrence: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a pass do one thing more, once it has run so often before."""
    parse, left = LoweringPipeline.parse, [occurrence]

    def with_bug(text: str) -> LoweringPipeline:
        passes = list(parse(text))
        for number, one in enumerate(passes):
            if one.name == pass_name:
                if left[0] == 0:
                    passes[number] = Planted(one, plant, is_weak=True)
                left[0] -= 1
        return LoweringPipeline(passes)

    monkeypatch.setattr(LoweringPipeline, "parse", with_bug)


@pytest.mark.parametrize("name", ENERGIES)
def test_nothing_is_blamed_without_a_bug(name: str) -> None:
    energy, w, x = arguments(name)
    report = sym.check(energy, w, x, samples=SAMPLES, executable=name == "machine")
    assert report.ok, str(report)
    assert not any(stage.skipped for stage in report.stages)
    assert (report.samples, report.mode) == (len(x), "given")


def test_a_bug_of_what_runs_is_the_executables(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, w, x = arguments("one layer")

    def doubled(module: Any) -> Function:
        module = module.clone()
        double_result(module)
        return Function(module)

    monkeypatch.setattr(program, "Function", doubled)
    found = sym.bisect(energy, w, x[:2])
    assert found.pass_name == "executable"


def test_what_cannot_be_checked() -> None:
    energy, w, x = arguments("machine")
    report = sym.check(energy, w, x[:1], executable=False)
    with pytest.raises(sym.InputError, match="V015"):
        report.save("certificate.json")
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (x[:, :3], {}, "S007"),
        (3 * x, {}, "R007"),
        (x, {"samples": 0}, "V012"),
        (x, {"parameters": {}}, "V012"),
    ]
    for wrong, options, code in cases:
        with pytest.raises(sym.InputError, match=code):
            sym.check(energy, w, wrong, **options)


def test_what_cannot_be_run_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no meaning")

    monkeypatch.setattr(stages, "run_branches", fail)
    energy, w, x = arguments("machine")
    report = sym.check(energy, w, x[:1])
    number = [stage.name for stage in report.stages].index("convert-sym-to-bt")
    assert report.blamed is report.stages[number]
    assert all(stage.skipped for stage in report.stages[number + 1 :])
    assert report.stages[-1].name == "dce"  # nothing is executed


def test_a_pass_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compilation would do without it."""

    def failing(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(ApplyExponentialSumsPass, "apply", failing)
    energy, w, x = arguments("machine")
    found = sym.bisect(energy, w, x[:1], executable=False)
    assert (found.pass_name, found.ok) == ("apply-exponential-sums", False)
    assert found.error is not None
    assert found.before is not None
    assert "#bt.part<network @logpsi>" in found.before
