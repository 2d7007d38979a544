"""Each rule is held to the laws, and has the forms and the cost that it says."""

# pyright: basic, reportPrivateUsage=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from lowering.change import cone_analysis
from lowering.change.cone_analysis import Cones
from lowering.change.cones import PATCH, Node, Part, Stencil, Trace, Whole
from lowering.change.determinants import DeterminantPart
from lowering.change.form_analysis import analyse, dependent
from lowering.change.forms import New, Same
from lowering.change.known_rules import RULES, rule_of
from lowering.change.masked import READ, Masked
from lowering.change.orbitals import Rows, Slots
from lowering.change.rules import ChangeRule
from lowering.energy.cone_part import traced
from lowering.energy.propagate_change import FUNCTION, _work
from tests.unit.lowering.change import test_cones, test_determinants, test_forms
from tests.unit.lowering.change.laws import Made
from tests.unit.lowering.energy import test_transposition

KNOWN = sorted({type(rule) for rule in RULES.values()}, key=lambda kind: kind.__name__)
WITH_CONE, WITH_COTANGENT = (
    [kind for kind in KNOWN if getattr(kind, name) is not getattr(ChangeRule, name)]
    for name in ("cone", "cotangent")
)


def kind_of(op: Operation) -> type[ChangeRule] | None:
    rule = rule_of(op)
    return None if rule is None else type(rule)


@cache
def networks() -> list[tuple[Cones, Trace]]:
    """Return the networks of the laws of cones, and the lists of their changes."""
    deep = [
        Made(one, test_cones.LEAVES, test_cones.flips()) for one in test_cones.NETWORKS
    ]
    of_fermions = [
        test_determinants.made(one, test_determinants.moves("two"))
        for one in (test_determinants.several, test_determinants.some_backflow)
    ]
    found: list[tuple[Cones, Trace]] = []
    for made in (*deep, *of_fermions):
        cones = made.analysed()
        assert isinstance(cones, Cones), cones
        trace = traced(cones, made.rows, made.values)
        assert isinstance(trace, Trace), trace
        found.append((cones, trace))
    return found


def in_cones() -> Iterator[type[ChangeRule]]:
    """Yield the rules of ops that a change goes through, as they say."""
    for cones, _ in networks():
        for op in cones.function.body.block.ops:
            view = cones.views.get(op.results[0]) if op.results else None
            if view is None or isinstance(view.node, Whole | Rows):
                continue
            if (kind := kind_of(op)) is not None:
                yield kind


@cache
def by_forms() -> dict[type[ChangeRule], set[str]]:
    """Return the forms that each rule has in the claims of forms."""
    lists = test_forms.LINEAR, test_forms.SITE_WISE, test_forms.ELEMENTWISE
    found: dict[type[ChangeRule], set[str]] = defaultdict(set)
    for function in (*(one for each in lists for one in each), *test_forms.OPAQUE):
        main: FuncOp = test_forms.imported(function)
        known = analyse(main)
        for op in main.body.block.ops:
            kinds = {type(known[value]) for value in op.operands}
            kind = kind_of(op)
            if kind is not None and kinds - {Same} and New not in kinds:
                found[kind].add(str(known[op.results[0]]))
    return found


def test_each_rule_of_cones_is_in_a_network_of_the_laws() -> None:
    assert {*WITH_CONE} - {*in_cones()} == set()


def test_each_rule_of_cotangents_is_in_a_function_of_the_laws() -> None:
    mains = map(test_transposition.imported, test_transposition.AFFINE)
    found = {
        kind_of(value.owner)
        for main in mains
        for value in dependent(main, analyse(main))
        if isinstance(value.owner, Operation)
    }
    assert {*WITH_COTANGENT} - found == set()


def test_each_rule_has_the_forms_that_it_says() -> None:
    for kind in KNOWN:
        found = {one for one in by_forms()[kind] if not one.startswith("new")}
        # What may be affine is not always
        found -= {one.removesuffix(", affine") for one in found if "affine" in one}
        assert found == {*kind.forms}, kind


# region Costs


def operations(node: Node, trace: Trace, cost: str) -> float:
    """Return the operations of one change by what a rule says."""
    (source, *_) = node.sources
    near = node.near.shape[1] if isinstance(node, Stencil) else 1
    is_masked = isinstance(node, Masked)
    numbers = {
        "m": max(trace.length(one) for one in (node, *node.sources)),
        "K": trace.length(source) if is_masked else near,
        "C": source.channels,
        "D": node.channels,
        "f": FUNCTION[8],
        "g": PATCH[8],
        "r": READ[8] if is_masked else 0,
    }
    return eval(cost, numbers)


@cache
def costs() -> dict[type[ChangeRule], list[tuple[float, float]]]:
    """Return operations that the planner counts, and those of a rule, at most."""
    found: dict[type[ChangeRule], list[tuple[float, float]]] = defaultdict(list)
    for cones, trace in networks():
        for node in cones.nodes:
            op = node.value.owner
            if isinstance(node, Part | Whole | DeterminantPart | Rows | Slots):
                continue
            kind = kind_of(op) if isinstance(op, Operation) else None
            if kind is not None:
                both = _work(node, trace), operations(node, trace, kind.cost)
                found[kind].append(both)
    return found


def test_rules_have_a_cost_where_they_have_a_cone() -> None:
    assert [kind for kind in KNOWN if kind.cost] == WITH_CONE


@pytest.mark.parametrize("rule", WITH_CONE, ids=lambda kind: kind.__name__)
def test_no_cone_costs_more_than_its_rule_says(rule: type[ChangeRule]) -> None:
    found = costs()[rule]
    # What costs nothing has no node
    assert bool(found) == (rule.cost != "0")
    assert all(work <= most for work, most in found)
    if "g" not in rule.cost and found:
        assert max(work / most for work, most in found) == 1


def test_no_determinant_costs_more_than_it_says() -> None:
    shares: list[float] = []
    for cones, trace in networks():
        for node in cones.nodes:
            if isinstance(node, DeterminantPart):
                own = node.of
                numbers = {"B": own.count, "F": own.size, "k": own.exchanged(trace)}
                shares.append(node.work(trace) / eval(node.cost, numbers))
    assert max(shares) == pytest.approx(1)


# endregion


def test_what_is_found_of_a_function_is_that_of_its_ops_by_now() -> None:
    function = networks()[0][0].function.clone()
    first = cone_analysis.cones_of(function)
    assert cone_analysis.cones_of(function) is first
    op = next(op for op in function.body.block.ops if op.name == "stablehlo.add")
    op.operands[1] = op.operands[0]
    assert cone_analysis.cones_of(function) is not first
