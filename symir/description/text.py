"""An operator in words and formulas, reconstructed from its `sym` module.

```text
term 'hopping': for (i, j) in [(0, 1), (1, 2)]
  where x[i] > 0
  emission 0 'hop':
    x'[i] = x[i] - 1; x'[j] = x[j] + 1
    <x|O|x'> = t * sqrt(x[i] * x'[j])
```

How it reads: x is the source configuration and x' the one that is emitted. The changes
of x' are made one after the other, on what x' is by then; it starts as x. A change
shows the value of x that it starts from only where no earlier one can have touched the
site, in any row. `let` names what would be too long otherwise; a configuration between
x and x' is y1, y2, .. A site stands for its number too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from string import ascii_lowercase

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr
from xdsl.ir import Operation, SSAValue

from dialects import stablehlo, sym
from dialects.tables import LocalSpace, RowTable, SiteSets, SiteSum
from symir.description.changes import (
    Changes,
    Tree,
    is_config,
    is_understood,
    sides_of,
)
from symir.description.formulas import conjuncts, is_reduction, reading
from symir.description.notation import (
    Formula,
    Level,
    OpNotation,
    conjunction,
    elided,
    multiply,
    number,
    numbers,
    quoted,
)
from symir.description.plain import dtype_name
from symir.operator.terms import labels_of, names_of

_SHARED_LENGTH = 60
"""Longer formulas that are used more than once get a name."""
_LENGTH = 400
"""Longer formulas get a name in any case."""
_DEPTH = 4
"""Choices that are nested deeper than this get a name."""

_RESERVED = frozenset(
    "x all and else false for if in let no not or true where xor inf nan".split()
)


def describe(operator: sym.OperatorOp) -> str:
    """Return a text that says in formulas what an operator does.

    Long tables lose their middle, so that it takes no longer for many rows.
    """
    lines = [_headline(operator)]
    parameters = _parameters(operator)
    names = frozenset(formula.text for formula in parameters.values())
    for term in operator.terms:
        lines += _TermText(term, parameters, names).lines()
    return "\n".join(lines)


# region The operator


def _headline(operator: sym.OperatorOp) -> str:
    space = operator.space.data
    facts = [
        f"operator {operator.sym_name.data!r} on {space.sites} sites",
        f"local values {_local_values(space)}",
        *[f"conserved {_sum(conserved)}" for conserved in space.sums],
        stablehlo.dtype_of(operator.element).name,
        *(["hermitian"] if operator.hermitian is not None else []),
        *(["projected"] if operator.projected is not None else []),
    ]
    parameters = [_parameter(operator, k) for k in range(len(operator.parameter_names))]
    if parameters:
        facts.append(f"parameters {', '.join(parameters)}")
    return "; ".join(facts)


def _local_values(space: LocalSpace) -> str:
    kinds, numbers_of_sites = space.kinds
    texts = [f"{{{_listed(kind)}}}" for kind in kinds]
    if len(kinds) == 1:
        return texts[0]
    counts = np.bincount(numbers_of_sites).tolist()
    shown = elided(len(texts), lambda k: f"{texts[k]} on {_plural(counts[k], 'site')}")
    return shown


def _sum(conserved: SiteSum) -> str:
    weights = conserved.weights
    total = number(conserved.total).text
    if len(set(weights)) == 1:
        all_sites = Formula("sum(x[s] for all s)")
        weight = number(weights[0])
        total_sum = all_sites if weights[0] == 1 else multiply(weight, all_sites)
        return f"{total_sum.text} = {total}"
    sites = [site for site, weight in enumerate(weights) if weight]
    terms = [_weighted(site, weights[site]) for site in sites]
    shown = elided(len(terms), lambda k: terms[k]).replace(", ", " + ")
    return f"{shown} = {total}"


def _weighted(site: int, weight: float) -> str:
    value = Formula(f"x[{site}]")
    if weight == 1:
        return value.text
    factor = number(weight)
    return multiply(Formula(factor.at(Level.ATOM)), value).text


def _parameter(operator: sym.OperatorOp, k: int) -> str:
    name = operator.parameter_names.data[k].data
    text = f"{_quoted(name)}: {dtype_name(operator.body.block.args[k])}"
    default = operator.defaults.data[k]
    if not isinstance(default, DenseIntOrFPElementsAttr):
        return text
    return f"{text} = {number(stablehlo.to_numpy(default)[()]).text}"


def _parameters(operator: sym.OperatorOp) -> dict[SSAValue, Formula]:
    """Return the parameters as formulas: by name, `symbol(..)` where it is no name."""
    return {
        argument: Formula(_own_name(name.data, "symbol", _RESERVED))
        for argument, name in zip(
            operator.body.block.args, operator.parameter_names, strict=True
        )
    }


def _own_name(name: str, function: str, taken: frozenset[str]) -> str:
    """Return a name that users know, marked where it cannot stand by itself."""
    if name.isidentifier() and name not in taken:
        return name
    return f"{function}({quoted(name)})"


def _quoted(name: str) -> str:
    return name if name.isidentifier() else quoted(name)


def _listed(values: Sequence[float]) -> str:
    return elided(len(values), lambda k: number(values[k]).text)


def _plural(amount: int, noun: str) -> str:
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


# endregion

# region Terms


def _inner_order(
    roots: Iterable[SSAValue],
    parts: Callable[[SSAValue], Sequence[SSAValue]],
    done: Callable[[SSAValue], bool],
) -> list[SSAValue]:
    """Return the roots and all of their parts, parts first, without recursion."""
    order: dict[SSAValue, None] = {}
    for root in roots:
        stack = [(root, iter(parts(root)))] if not done(root) else []
        while stack:
            value, waiting = stack[-1]
            following = next((p for p in waiting if p not in order), None)
            if following is None:
                order[value] = None
                stack.pop()
            elif not done(following):
                stack.append((following, iter(parts(following))))
    return list(order)


class _TermText:
    """The text of one term."""

    def __init__(
        self,
        term: sym.TermOp,
        parameters: dict[SSAValue, Formula],
        taken: frozenset[str],
    ):
        self.term = term
        self.source = term.source
        self.space = sym.operator_of(term).space.data
        arguments = iter(term.body.block.args[1:])
        taken |= _RESERVED
        self.known = dict(parameters)
        """The formulas that do not depend on the emission."""
        names = names_of(list(labels_of(term)), taken)
        self.labels = names
        for name in names:
            self.known[next(arguments)] = Formula(name)
        taken = taken.union(names)
        self.columns: list[str] = []
        for column in term.data_columns:
            name = _own_name(column.label.data, "row", taken)
            self.columns.append(name)
            self.known[next(arguments)] = Formula(name)
        taken = taken.union(self.columns)
        sets = list(arguments)
        hints = [value.name_hint or f"set{k}" for k, value in enumerate(sets)]
        self.sets = names_of(hints, taken)
        for value, name in zip(sets, self.sets, strict=True):
            self.known[value] = Formula(name)
        taken = taken.union(self.sets)
        self.visited = next(n for n in _letters("srqt") if n not in taken)
        self.taken = taken | {self.visited}
        self.free_names = (n for n in _letters() if n not in self.taken)
        self.readings: dict[SSAValue, OpNotation] = {}
        self.uses = Counter[SSAValue]()
        self.is_own: dict[SSAValue, bool] = {}
        self.in_visit: dict[SSAValue, bool] = {}

    def lines(self) -> list[str]:
        emissions = self.term.emissions
        conditions = [conjuncts(emission.predicate) for emission in emissions]
        roots = [
            root
            for emission, condition in zip(emissions, conditions, strict=True)
            for root in (*condition, emission.config, emission.amplitude)
        ]
        self._look_at(roots)
        shared = self._guards(conditions)
        lines = [self._headline()]
        values = [value for value in self.is_own if not self.is_own[value]]
        scalars = [value for value in values if not is_config(value)]
        for value in scalars:
            lines += [f"  {line}" for line in self.define(value, self.known)]
        if shared:
            guard = conjunction(self.known[value] for value in shared)
            lines.append(f"  where {guard.text}")
        for k, (emission, condition) in enumerate(
            zip(emissions, conditions, strict=True)
        ):
            lines += _EmissionText(self, k, emission, condition[len(shared) :]).lines()
        return lines

    def _guards(self, conditions: Sequence[Sequence[SSAValue]]) -> list[SSAValue]:
        """Return the conditions that all emissions share, and begin with."""
        shared: list[SSAValue] = []
        for values in zip(*conditions, strict=False):
            if len(set(values)) > 1 or self.is_own[values[0]]:
                break
            shared.append(values[0])
        return shared

    # region The headline

    def _headline(self) -> str:
        facts = [f"term {self.term.sym_name.data!r}: {self._iterator()}"]
        for column, name in zip(self.term.data_columns, self.columns, strict=True):
            facts.append(f"data {name} = {numbers(stablehlo.to_numpy(column.values))}")
        for sets, name in zip(self.term.site_sets, self.sets, strict=True):
            facts.append(f"sets {name} = [{_sets(sets.data)}]")
        if self.term.fanout is not None:
            facts.append(f"fanout {self.term.fanout.value.data}")
        return "; ".join(facts)

    def _iterator(self) -> str:
        table = self.term.rows.data
        if table.labels:
            labels = ", ".join(self.labels)
            bound = labels if table.labels == 1 else f"({labels})"
            return f"for {bound} in [{_rows(table)}]"
        return "once" if table.rows == 1 else f"{table.rows} times"

    # endregion
    # region What a value is made of

    def _look_at(self, roots: Sequence[SSAValue]) -> None:
        """Note how often each value is used, and what it depends on."""
        self.uses.update(dict.fromkeys(roots, 1))
        for value in _inner_order(roots, self.parts, self.known.__contains__):
            parts = self.parts(value)
            self.uses.update(parts)
            self.is_own[value] = self._changes(value) or any(
                self.is_own.get(part, False) for part in parts
            )
            self.in_visit[value] = self._is_visited(value) or (
                not is_reduction(value)
                and any(self.in_visit.get(part, False) for part in parts)
            )

    def _is_visited(self, value: SSAValue) -> bool:
        """Whether a value is the site of a reduction."""
        return value is not self.source and not isinstance(value.owner, Operation)

    def _changes(self, value: SSAValue) -> bool:
        """Whether a value is read differently in each emission."""
        return is_config(value) and value is not self.source

    def parts(self, value: SSAValue) -> tuple[SSAValue, ...]:
        """Return the values that a value is made of as it is read."""
        if value is self.source:
            return ()
        if is_config(value):
            op = value.owner
            return tuple(op.operands) if isinstance(op, Operation) else ()
        return self._reading(value).parts

    def _reading(self, value: SSAValue) -> OpNotation:
        if value not in self.readings:
            self.readings[value] = reading(value, self.visited)
        return self.readings[value]

    # endregion

    def define(
        self,
        value: SSAValue,
        formulas: dict[SSAValue, Formula],
        configs: Mapping[SSAValue, str] | None = None,
    ) -> Iterator[str]:
        """Make the formula of a value of those of its parts; name it where it is long.

        Yields the line that explains the name.
        """
        reading = self._reading(value)
        configs = configs or {self.source: "x"}
        formula = reading.build(
            *(
                Formula(configs[part])
                if is_config(part)
                else formulas.get(part) or self.known[part]
                for part in reading.parts
            )
        )
        size = len(formula.text)
        is_long = size > (_SHARED_LENGTH if self.uses[value] > 1 else _LENGTH)
        if is_long and not isinstance(value.type, sym.SitesType):
            argument = f"({self.visited})" if self.in_visit[value] else ""
            name = f"{next(self.free_names)}{argument}"
            yield f"let {name} = {formula.text}"
            formula = Formula(name)
        formulas[value] = formula


def _letters(letters: str = ascii_lowercase) -> Iterator[str]:
    """Return names: a, b, .., z, a1, b1, .."""
    for round_ in count():
        for letter in letters:
            yield f"{letter}{round_ or ''}"


def _rows(table: RowTable) -> str:
    def show(k: int) -> str:
        row = ", ".join(map(str, table.row(k)))
        return row if table.labels == 1 else f"({row})"

    return elided(table.rows, show)


def _sets(sets: SiteSets) -> str:
    def show(k: int) -> str:
        row = sets.row(k)
        return f"{{{elided(len(row), lambda m: str(row[m]))}}}"

    return elided(sets.rows, show)


# endregion

# region Emissions


class _EmissionText:
    """The text of one emission."""

    def __init__(
        self,
        term: _TermText,
        position: int,
        emission: sym.EmitOp,
        condition: Sequence[SSAValue],
    ):
        self.term = term
        self.position = position
        self.emission = emission
        self.condition = condition
        self.formulas: dict[SSAValue, Formula] = {}
        self.configs: dict[SSAValue, str] = {emission.config: "x'", term.source: "x"}
        roots = [*condition, emission.config, emission.amplitude]
        self.order = _inner_order(roots, term.parts, self._is_known)
        self.tree = Tree(value for value in self.order if is_config(value))

    def _is_known(self, value: SSAValue) -> bool:
        return value is self.term.source or value in self.term.known

    def lines(self) -> list[str]:
        self._name_configs()
        emitted = self.emission.config
        inner = ["x' = x"] if emitted is self.term.source else []
        for value in self.order:
            if value is emitted:
                inner.append(self._changes(value))
            elif not is_config(value):
                inner += self.term.define(value, self.formulas, self.configs)
            elif value in self.configs:
                inner.append(f"let {self.configs[value]}: {self._changes(value)}")
        amplitude = self.formula(self.emission.amplitude).text
        inner.append(f"<x|O|x'> = {amplitude}")
        return [f"  {self._headline()}:", *[f"    {line}" for line in inner]]

    def _headline(self) -> str:
        tag = self.emission.tag
        facts = [f"emission {self.position}"]
        if tag is not None:
            facts.append(repr(tag.data))
        if self.condition:
            holds = conjunction(self.formula(value) for value in self.condition)
            facts.append(f"if {holds.text}")
        return " ".join(facts)

    def formula(self, value: SSAValue) -> Formula:
        """Return the formula of a value that is defined by now."""
        return self.formulas.get(value) or self.term.known[value]

    def _changes(self, config: SSAValue) -> str:
        name = self.configs[config]
        known = {c: n for c, n in self.configs.items() if c is not config}
        changes = Changes(
            self.term.term,
            self.term.visited,
            self.tree,
            name,
            known,
            self.formula,
        )
        return changes.text(config)

    # region Which configurations have names

    def _name_configs(self) -> None:
        """Name the configurations that are read, or would be shown more than once."""
        configs = [value for value in self.order if is_config(value)]
        read = {
            part
            for value in self.order
            if not is_config(value)
            for part in self.term.parts(value)
            if is_config(part) and part not in self.configs
        }
        opaque = {c for c in configs if not is_understood(c)} - set(self.configs)
        wanted = read | opaque | self._repeated(configs, read)
        for config, name in zip(
            [config for config in configs if config in wanted],
            (f"y{k}" for k in count(1) if f"y{k}" not in self.term.taken),
            strict=False,
        ):
            self.configs[config] = name

    def _repeated(self, configs: list[SSAValue], read: set[SSAValue]) -> set[SSAValue]:
        """Return configurations to name so that none is shown twice, or nested deep."""
        tree = self.tree
        shown = Counter[SSAValue]()
        depths: dict[SSAValue, int] = {}
        deep = set[SSAValue]()
        for config in configs:
            depths[config] = 0
            if not isinstance(config.owner, sym.SelectOp):
                continue
            stop = tree.parent[config]
            for side in sides_of(config.owner):
                path = tree.path(side, stop)
                shown.update(path)
                inside = max((depths.get(c, 0) for c in path), default=0)
                depths[config] = max(depths[config], 1 + inside)
            if depths[config] > _DEPTH:
                depths[config] = 0
                deep.add(config)
        root = self.emission.config
        shown.update(tree.path(root, None))
        repeated = {c for c, times in shown.items() if times > 1}
        wanted = (repeated | deep | read) - set(self.configs)
        wanted -= {config for config in configs if tree.is_none[config]}
        return self._referred_to(wanted, tree, configs)

    def _referred_to(
        self, wanted: set[SSAValue], tree: Tree, configs: list[SSAValue]
    ) -> set[SSAValue]:
        """Leave out what is part of only one configuration that has a name."""
        root = self.emission.config
        paths = [tree.path(root, None)]
        paths += [tree.path(config, None)[:-1] for config in wanted]
        paths += [
            tree.path(side, tree.parent[config])
            for config in configs
            if isinstance(config.owner, sym.SelectOp)
            for side in sides_of(config.owner)
        ]
        last = (next((c for c in reversed(p) if c in wanted), None) for p in paths)
        return {config for config in last if config is not None}

    # endregion
