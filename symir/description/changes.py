"""Formulas of configurations of `sym`: changes, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from xdsl.ir import Operation, SSAValue

from dialects import sym
from dialects.tables import NO_SITE
from symir.description.notation import (
    Formula,
    add,
    call,
    is_negated,
    multiply,
    negation,
    quoted,
)
from symir.operator.terms import site_numbers

_TOUCHED = 16
"""Most sites that are kept track of; more are taken to coincide, perhaps."""


@dataclass(frozen=True)
class _Moved(Formula):
    """A sum of an old value and an amount."""

    amount: Formula | None = None


@dataclass(frozen=True)
class _Notation:
    """Formulas of what updates write."""

    of: Callable[[SSAValue], Formula]

    def plus(self, a: Formula, b: Formula) -> Formula:
        return add(a, b)

    def times(self, a: Formula, b: Formula) -> Formula:
        return multiply(a, b)

    def moved(self, old: Formula, amount: Formula) -> Formula:
        return _Moved(add(old, amount).text, amount=amount)

    def call(self, function: str, *arguments: Formula) -> Formula:
        return call(function)(*arguments)


def is_config(value: SSAValue) -> bool:
    return isinstance(value.type, sym.ConfigType)


def sides_of(op: sym.SelectOp) -> tuple[SSAValue, SSAValue]:
    return op.on_true, op.on_false


def is_understood(config: SSAValue) -> bool:
    known = (sym.UpdateInterface, sym.SelectOp, sym.InvalidOp)
    return isinstance(config.owner, known)


class Tree:
    """Changes that each configuration has in any case, whatever choices are made.

    The parent of a change is the configuration before it; that of a choice is the last
    one that both of its sides go through. A side that is no configuration at all does
    not count: making the other one first, and then none of it, is the same.
    """

    def __init__(self, configs: Iterable[SSAValue]):
        self.parent: dict[SSAValue, SSAValue | None] = {}
        self.depth: dict[SSAValue, int] = {}
        self.is_none: dict[SSAValue, bool] = {}
        for config in configs:
            self._add(config)

    def _add(self, config: SSAValue) -> None:
        owner = config.owner
        parent: SSAValue | None = None
        if isinstance(owner, sym.UpdateInterface):
            parent = owner.before
        elif isinstance(owner, sym.SelectOp):
            parent = self._meet(*sides_of(owner))
        self.is_none[config] = isinstance(owner, sym.InvalidOp) or (
            self._is_none(parent)
        )
        self.parent[config] = parent
        self.depth[config] = 0 if parent is None else 1 + self.depth.get(parent, -1)

    def _is_none(self, config: SSAValue | None) -> bool:
        return config is not None and self.is_none.get(config, False)

    def _meet(self, a: SSAValue, b: SSAValue) -> SSAValue | None:
        if self._is_none(a):
            return b
        if self._is_none(b):
            return a
        first: SSAValue | None = a
        second: SSAValue | None = b
        while first is not second:
            if first is None or second is None:
                return None
            if self.depth.get(first, -1) >= self.depth.get(second, -1):
                first = self.parent.get(first)
            else:
                second = self.parent.get(second)
        return first

    def path(self, config: SSAValue, stop: SSAValue | None) -> list[SSAValue]:
        """Return the configurations from below `stop` on to `config`, in order."""
        found: list[SSAValue] = []
        current: SSAValue | None = config
        while current is not None and current is not stop:
            found.append(current)
            current = self.parent.get(current)
        return found[::-1]


@dataclass
class _Current:
    """Knowledge of a configuration amid its changes.

    `base` is the name of the configuration that all sites which are not `touched` still
    agree with; None where that is not known.
    """

    base: str | None
    touched: list[SSAValue] = field(default_factory=list[SSAValue])

    def copy(self) -> _Current:
        return _Current(self.base, list(self.touched))

    def touch(self, sites: Iterable[SSAValue]) -> None:
        """Note that sites have changed."""
        self.touched = list(dict.fromkeys([*self.touched, *sites]))
        if len(self.touched) > _TOUCHED:
            self.base = None


def may_coincide(term: sym.TermOp, a: SSAValue, b: SSAValue) -> bool:
    """Whether two sites of a term are one in some row, as far as the tables tell."""
    if a is b:
        return True
    first, second = site_numbers(term, a), site_numbers(term, b)
    if first is None or second is None:
        return True
    return bool(((first == second) & (first != NO_SITE)).any())


class Changes:
    """The changes that make one configuration, as statements."""

    def __init__(
        self,
        term: sym.TermOp,
        visited: str,
        tree: Tree,
        name: str,
        known: Mapping[SSAValue, str],
        formulas: Callable[[SSAValue], Formula],
    ):
        """Make them of what is known around: the formulas, and names for some."""
        self.term = term
        self.visited = visited
        self.tree = tree
        self.name = name
        self.known = known
        self._formula = formulas
        self._notation = _Notation(formulas)

    def text(self, config: SSAValue) -> str:
        now = _Current("x")
        statements = self._statements(config, None, now, is_source=True)
        return "; ".join(statements) or f"{self.name} = x"

    def _statements(
        self,
        config: SSAValue,
        stop: SSAValue | None,
        now: _Current,
        *,
        is_source: bool = False,
    ) -> list[str]:
        """Return what makes `config` of `stop`, or of nothing that is known.

        `is_source` tells that what has been made by now is x.
        """
        if self.tree.is_none.get(config):
            return [_no_branch(config)]
        path = self.tree.path(config, stop)
        first = max((k for k, c in enumerate(path) if c in self.known), default=-1)
        statements: list[str] = []
        if first >= 0:
            name = self.known[path[first]]
            if name != "x" or not is_source:
                statements.append(f"{self.name} = {name}")
            now.base, now.touched = name, []
        remaining = path[first + 1 :]
        while remaining:
            loop = self._loop(remaining)
            if loop is not None:
                statements.append(self._in_loop(remaining[:loop], now))
                remaining = remaining[loop:]
                continue
            statements.append(self._statement(remaining[0], now))
            remaining = remaining[1:]
        return [statement for statement in statements if statement]

    def _statement(self, config: SSAValue, now: _Current) -> str:
        owner = config.owner
        if isinstance(owner, sym.SelectOp):
            return self._choice(owner, self.tree.parent[config], now)
        if not isinstance(owner, sym.UpdateInterface):
            now.base = None
            return f"{self.name} = {_opaque(config)}"
        statement = self._step(owner, now)
        now.touch(owner.changed)
        return statement

    # region One change

    def _step(self, op: sym.UpdateInterface, now: _Current) -> str:
        targets = [self._target(site) for site in op.changed]
        return self._assignment(op, targets, [self._old(s, now) for s in op.changed])

    def _assignment(
        self, op: sym.UpdateInterface, targets: list[str], old: list[str]
    ) -> str:
        new = op.formula([Formula(one) for one in old], self._notation)
        amount = new[0].amount if isinstance(new[0], _Moved) else None
        if old == targets and amount is not None:
            if is_negated(amount):
                return f"{targets[0]} -= {amount.text[1:]}"
            return f"{targets[0]} += {amount.text}"
        return f"{', '.join(targets)} = {', '.join(one.text for one in new)}"

    def _target(self, site: SSAValue) -> str:
        return f"{self.name}[{self._formula(site).text}]"

    def _old(self, site: SSAValue, now: _Current) -> str:
        """Return the value of a site before a change."""
        is_old = now.base is not None and not any(
            may_coincide(self.term, site, touched) for touched in now.touched
        )
        name = now.base if is_old else self.name
        return f"{name}[{self._formula(site).text}]"

    # endregion
    # region Choices

    def _choice(self, op: sym.SelectOp, stop: SSAValue | None, now: _Current) -> str:
        """Return what is changed where a predicate holds, and where it does not."""
        states = now.copy(), now.copy()
        sides = [
            [] if side is stop else self._statements(side, stop, state)
            for side, state in zip(sides_of(op), states, strict=True)
        ]
        is_one = states[0].base == states[1].base
        now.base = states[0].base if is_one else None
        now.touched = list(dict.fromkeys([*states[0].touched, *states[1].touched]))
        then, otherwise = ("; ".join(side) for side in sides)
        predicate = self._formula(op.predicate)
        if not then and not otherwise:
            return ""
        if not then:
            return f"if {negation(predicate).text} {{ {otherwise} }}"
        choice = f"if {predicate.text} {{ {then} }}"
        return f"{choice} else {{ {otherwise} }}" if otherwise else choice

    # endregion
    # region The same change at all sites of a set

    def _loop(self, path: Sequence[SSAValue]) -> int | None:
        """Return how many changes make one change of all sites of a set, or None."""
        first = path[0].owner
        if not isinstance(first, sym.UpdateInterface) or len(first.changed) != 1:
            return None
        element = first.changed[0].owner
        if not isinstance(element, sym.ElementOp) or element.position.value.data:
            return None
        sets = self.term.set_of(element.sites)
        width = 0 if sets is None else sets.width
        if width < 2 or len(path) < width:
            return None
        for place, config in enumerate(path[:width]):
            op = config.owner
            if type(op) is not type(first) or not isinstance(op, sym.UpdateInterface):
                return None
            here = op.changed[0].owner
            is_next = (
                isinstance(here, sym.ElementOp)
                and here.sites is element.sites
                and here.position.value.data == place
                and op.operands[2:] == first.operands[2:]
                and op.properties == first.properties
            )
            if not is_next:
                return None
        return width

    def _in_loop(self, path: Sequence[SSAValue], now: _Current) -> str:
        first = path[0].owner
        assert isinstance(first, sym.UpdateInterface)
        element = first.changed[0].owner
        assert isinstance(element, sym.ElementOp)
        is_old = now.base is not None and not now.touched
        name = now.base if is_old and self._is_distinct(element) else self.name
        sites = self._formula(element.sites).text
        s = self.visited
        change = self._assignment(first, [f"{self.name}[{s}]"], [f"{name}[{s}]"])
        for config in path:
            now.touch(cast(sym.UpdateInterface, config.owner).changed)
        return f"for {s} in {sites} {{ {change} }}"

    def _is_distinct(self, element: sym.ElementOp) -> bool:
        """Whether no set of a term has a site twice."""
        sets = self.term.set_of(element.sites)
        if sets is None:
            return False
        ordered = np.sort(sets.array, axis=1)
        same = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_SITE)
        return not same.any()

    # endregion


def _no_branch(config: SSAValue) -> str:
    reason = getattr(config.owner, "reason", None)
    return "no branch" if reason is None else f"no branch: {quoted(reason.data)}"


def _opaque(config: SSAValue) -> str:
    owner = config.owner
    return owner.name if isinstance(owner, Operation) else "unknown"


# endregion
