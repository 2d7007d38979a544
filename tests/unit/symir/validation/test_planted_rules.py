"""A bug in each rule of change: `check` finds the wrong number and names the pass."""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import symir as sym
from dialects.stablehlo import shape_of
from lowering.arrays import Array
from lowering.change import combining_rules
from lowering.change.combining_rules import (
    ConvolutionRule,
    DotRule,
    PadRule,
    ReadRule,
    ReduceRule,
    TransformRule,
    WindowRule,
)
from lowering.change.cones import NOWHERE, View
from lowering.change.elementwise_rules import (
    ConvertRule,
    ElementwiseRule,
    ProductRule,
    QuotientRule,
    SelectRule,
    SumRule,
)
from lowering.change.known_rules import RULES
from lowering.change.layout_rules import (
    BroadcastRule,
    ConcatenateRule,
    ReshapeRule,
    SliceRule,
    TransposeRule,
)
from lowering.change.rules import ChangeRule, Images
from tests.unit.symir.validation.test_planted_energies import (
    BUGS,
    Bug,
    Patch,
    after,
    check_blame,
    in_part,
    instead,
)

SITES = 12
RNG = np.random.default_rng(0)
SOME = np.arange(SITES) % 3 > 0
ORDER = RNG.permutation(SITES)
SCALES = RNG.uniform(1, 2, SITES)
W = tuple(RNG.normal(size=shape) / 2 for shape in ((3, 1, 4), (4, 4), (4 * SITES, 4)))
X = RNG.choice([-1, 1], (1, SITES)).astype(np.int8)

# region Energies


def same(y: Any) -> Any:
    return y


def layers(w: Any, x: Any, function: Any = same, rounded: Any = same) -> Any:
    """Return numbers (B, 4) by an op of each rule, on a ring: affine ones at first."""
    y = jnp.pad(x[..., None].astype(float), ((0, 0), (1, 1), (0, 0)), mode="wrap")
    kinds = ("NWC", "WIO", "NWC")
    y = lax.conv_general_dilated(y, w[0], (1,), "VALID", dimension_numbers=kinds)
    y = jnp.pad(function(y)[:, ORDER], ((0, 0), (1, 0), (0, 0)))
    y = lax.reduce_window(y, 0.0, lax.add, (1, 2, 1), (1, 1, 1), "VALID")
    y = 1 - w[1][0] * (rounded(y) @ w[1])
    y = jnp.where(SOME[:, None], y / SCALES[:, None], 0.3)
    y = jnp.swapaxes(y.reshape(-1, SITES, 2, 2), 2, 3).reshape(-1, SITES, 4)
    return y.reshape(len(y), -1) @ w[2] + y.sum(1)


def in_cones(w: Any, x: Any) -> Any:
    """Rules that have a cone."""
    y = layers(w, x, jnp.sin, lambda y: y + (4 * y).astype(np.int32))
    return jnp.cos(y).sum(-1)


def by_weights(w: Any, x: Any) -> Any:
    """Rules that have images, a tanh, and rules that have cotangents."""
    y = jnp.tanh(layers(w, jnp.fft.fft(x).real) / 9)
    y = jnp.concatenate([y, 2 - y / 3], axis=1)[:, 1:7].reshape(-1, 2, 3)
    y = jnp.where(SOME[:3, None], jnp.swapaxes(y, 1, 2) * w[1][1:, :2], y[:, :1, :1])
    return (y @ w[1][:2, 0]).sum(-1)


ENERGIES = {"in cones": in_cones, "by weights": by_weights}


@cache
def energy_of(name: str) -> sym.LocalEnergy:
    """Return one of few flips: each state is evaluated by many passes."""
    i = sym.site("i")
    flips = (
        sym.DOperator(sym.spin(0.5, SITES), "flips")
        .for_each("i", over=[(0,), (4,), (11,)])
        .emit(sym.write("i", -i.value), amplitude=0.5)
    )
    return sym.LocalEnergy(flips.build(), ENERGIES[name])


# endregion
# region Bugs


def in_cone(patch: Patch) -> Bug:
    return in_part("in cones", "cone", patch)


def of_node(rule: type[ChangeRule], change: Callable[..., dict[str, Any]]) -> Bug:
    """Change the node that a rule makes: from it, and the rule itself."""

    def changed(view: Any, self: Any, *_: Any) -> Any:
        if type(self) is not rule or isinstance(view, str):
            return view
        return view._replace(node=replace(view.node, **change(view.node, self)))

    return in_cone(after(rule, "cone", changed))


def as_affine(_: Any, rule: Any) -> Any:
    """Make a function of changes, as if it were the change of the function."""

    def image(op: Any, insert: Any, fixed: Any) -> Any:
        return rule.image(op, Images(insert, fixed, {v: v for v in op.operands}))

    return {"image": image}


def with_weights_turned(node: Any, _: Any) -> Any:
    return {"weights": lambda at: node.weights(at).transpose(0, 2, 1)}


def without_last_column(node: Any, _: Any) -> Any:
    near = node.near.copy()
    near[:, -1] = NOWHERE
    return {"near": near}


def of_next_channel(view: Any, *_: Any) -> Any:
    """Make sums over positions those of another channel."""
    is_sum = isinstance(view, View) and view.ids.shape == (1, 4)
    return view._replace(ids=np.roll(view.ids, 1)) if is_sum else view


def unchanged(number: int) -> Callable[..., Any]:
    """Return the image that is that of an operand."""
    return lambda self, op, images: images.now[op.operands[number]]


def next_one(found: Any, *_: Any) -> Any:
    return np.roll(found, 1, axis=1) if found.ndim > 1 else found


SLICED = SliceRule.moved
PADDED = combining_rules.padded

PLANTED: dict[type[ChangeRule], Bug] = {
    ElementwiseRule: of_node(ElementwiseRule, as_affine),
    # What is subtracted from a number counts as what is added to it
    SumRule: in_cone(instead(SumRule, "image", unchanged(1))),
    # Factors count as terms, and a predicate as what is added
    ProductRule: in_cone(instead(ProductRule, "factors", lambda *_: ())),
    SelectRule: in_cone(instead(SelectRule, "factors", lambda *_: ())),
    QuotientRule: in_cone(instead(QuotientRule, "image", unchanged(0))),
    # A function that truncates counts as affine
    ConvertRule: in_cone(instead(ConvertRule, "is_kept_affine", lambda *_: True)),
    BroadcastRule: in_cone(after(BroadcastRule, "moved", next_one)),
    ConcatenateRule: in_cone(
        instead(
            ConcatenateRule,
            "moved",
            lambda self, op, *values: np.concatenate(values[::-1], axis=1),
        )
    ),
    ReshapeRule: in_cone(
        instead(
            ReshapeRule,
            "moved",
            lambda self, op, value: value.reshape(shape_of(op.result), order="F"),
        )
    ),
    SliceRule: in_cone(
        instead(
            SliceRule,
            "moved",
            lambda self, op, value: SLICED(self, op, np.roll(value, 1, axis=1)),
        )
    ),
    # Of two axes of one length
    TransposeRule: in_cone(
        instead(TransposeRule, "moved", lambda self, op, value: value)
    ),
    ConvolutionRule: BUGS["a kernel is turned"]._replace(energy="in cones"),
    DotRule: of_node(DotRule, with_weights_turned),
    ReduceRule: in_cone(after(ReduceRule, "cone", of_next_channel)),
    WindowRule: of_node(WindowRule, without_last_column),
    ReadRule: in_cone(after(combining_rules, "moved_ids", next_one)),
    PadRule: in_cone(
        instead(
            combining_rules,
            "padded",
            lambda ids, low, high, between: PADDED(ids, high, low, between),
        )
    ),
    TransformRule: in_part(
        "by weights", "rational", instead(TransformRule, "image", unchanged(0))
    ),
}

# endregion

KNOWN = sorted({type(rule) for rule in RULES.values()}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("rule", KNOWN, ids=lambda kind: kind.__name__)
@pytest.mark.usefixtures("lifting")
def test_bugs_of_rules_are_blamed_on_the_pass_that_writes_by_them(
    rule: type[ChangeRule], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rule in PLANTED, "a rule needs a bug that is found"
    bug = PLANTED[rule]
    check_blame(bug, energy_of(bug.energy), W, X, monkeypatch)


def twice(found: Any, _: Any, op: Any, images: Images) -> Any:
    return (Array(found, images.insert) * 2).value


DOUBLED = {"image": twice, "cotangent": lambda found, *_: found * 2}
WRITTEN_BY = [
    # The first is of functions that are not affine, which have no image
    *((kind, "image") for kind in KNOWN if kind is not ElementwiseRule),
    *(
        (kind, "cotangent")
        for kind in KNOWN
        if kind.cotangent is not ChangeRule.cotangent
    ),
]


@pytest.mark.parametrize(
    ("rule", "method"), WRITTEN_BY, ids=lambda one: getattr(one, "__name__", one)
)
@pytest.mark.usefixtures("lifting")
def test_bugs_of_tables_are_blamed_on_the_pass_that_writes_them(
    rule: type[ChangeRule], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = in_part("by weights", "rational", after(rule, method, DOUBLED[method]))
    check_blame(bug, energy_of(bug.energy), W, X, monkeypatch)


@pytest.mark.parametrize("name", ENERGIES)
@pytest.mark.usefixtures("lifting")
def test_nothing_is_blamed_without_a_bug_of_rules(name: str) -> None:
    assert sym.check(energy_of(name), W, X, executable=False).ok
