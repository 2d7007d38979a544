"""`sym-fuse-terms`: neighbouring terms of one structure become one term.

Two terms have the same structure when they differ in their rows, data and site sets, in
the values of constants and in tags, only. The rows of the fused term are those of the
first, then those of the second, and so on, so that all lanes keep their place; a
constant that is not the same everywhere becomes a column of data, and a tag that is not
is dropped.

Which terms belong together is marked by `group`: `sym-plan-fusion` sets it to the
number of a group, or whoever knows better does. Terms of a group that
are apart become neighbours by `sym-gather-terms`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby, pairwise
from typing import Any, ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    FusedLoc,
    IntegerAttr,
    LocationAttr,
    ModuleOp,
    NoneAttr,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import dense, to_numpy
from dialects.tables import NO_SITE, RowTable, SiteSets
from lowering.relations import Relation
from lowering.remarks import remark

MAX_GROUPS = 64
"""Where neighbours make more groups than this, lanes may change places for fewer.

Compiling takes time for each group, and an order that one can follow is worth some."""

_NAMES_SHOWN = 8
"""Longer lists of terms are shortened, in names and in messages."""

Use = tuple[int, int]
"""A use of a value in a term: the number of the op, and of its operand."""


# region Structure


def _ops(body: Block) -> Iterator[Operation]:
    """Yield all ops of a term's body but its constants, in order."""
    for op in body.walk():
        if not isinstance(op, hlo.ConstantOp):
            yield op


@dataclass(frozen=True)
class Structure:
    """What is equal for two terms that differ in rows, data, constants and tags only.

    Attributes:
        parts: all that is compared, in order.
        names: those of the ops, which are hashed: quicker than attributes.
    """

    parts: list[Any]
    names: tuple[str, ...]

    def __hash__(self) -> int:
        return hash(self.names)


def structure(term: sym.TermOp) -> Structure:
    """Return the structure of a term."""
    parts: list[Any] = [term.attributes]
    names: list[str] = []
    _describe(term, {}, parts, names)
    return Structure(parts, tuple(names))


def _describe(
    op: Operation, number: dict[SSAValue, int], parts: list[Any], names: list[str]
) -> None:
    """Describe what an op holds; values inside are told apart by their numbers."""
    for region in op.regions:
        parts.append(len(region.blocks))
        for block in region.blocks:
            parts.append([argument.type for argument in block.args])
            _count(block.args, number)
            for inner in block.ops:
                if isinstance(inner, hlo.ConstantOp):
                    continue
                names.append(inner.name)
                parts += (
                    inner.name,
                    [_operand(value, number) for value in inner.operands],
                    _without_tag(inner),
                    inner.attributes,
                    [result.type for result in inner.results],
                )
                _describe(inner, number, parts, names)
                _count(inner.results, number)


def _operand(
    value: SSAValue, number: Mapping[SSAValue, int]
) -> int | SSAValue | Attribute:
    if isinstance(value.owner, hlo.ConstantOp):
        return value.type
    # A parameter of the operator is no value of the term, and stands for itself.
    return number.get(value, value)


def _without_tag(op: Operation) -> Mapping[str, Attribute]:
    if not isinstance(op, sym.EmitOp):
        return op.properties
    return {name: one for name, one in op.properties.items() if name != "tag"}


def _count(values: Iterable[SSAValue], number: dict[SSAValue, int]) -> None:
    for value in values:
        number[value] = len(number)


def _is_fusible(term: sym.TermOp) -> bool:
    # What is promised of a term is not promised of its rows together with others.
    return term.fanout is None


# endregion
# region Groups


def operators_of(root: Operation) -> list[sym.OperatorOp]:
    """Return the operators of a module, or an operator itself, in a list."""
    if isinstance(root, sym.OperatorOp):
        return [root]
    inner = (
        op for region in root.regions for block in region.blocks for op in block.ops
    )
    return [operator for op in inner if op.regions for operator in operators_of(op)]


def fusible_groups(root: Operation) -> tuple[tuple[str, ...], ...]:
    """Return the names of terms of the same structure that are to be fused, in order.

    They are neighbours, so that all lanes keep their places, unless more than
    `MAX_GROUPS` groups remain and there are fewer over the whole operator. A term
    without its like is a group of its own. `root` is an operator, or a module with one.
    """
    return tuple(
        tuple(term.sym_name.data for term in group)
        for operator in operators_of(root)
        for group in _groups(operator)
    )


def _groups(operator: sym.OperatorOp) -> list[list[sym.TermOp]]:
    numbers: dict[Hashable, int] = {}
    keyed = [
        (numbers.setdefault(_key(term), len(numbers)), term) for term in operator.terms
    ]
    runs = [[term for _, term in run] for _, run in groupby(keyed, lambda one: one[0])]
    if len(runs) <= MAX_GROUPS or len(numbers) == len(runs):
        return runs
    alike: dict[int, list[sym.TermOp]] = {}
    for number, term in keyed:
        alike.setdefault(number, []).append(term)
    return list(alike.values())


def _key(term: sym.TermOp) -> Hashable:
    """Return what is equal for terms that can be fused."""
    return structure(term) if _is_fusible(term) else term


def mark_groups(root: Operation, groups: Iterable[Sequence[str]]) -> None:
    """Mark the terms of each group, given by their names, and no others.

    `root` is an operator, or a module with one.

    Raises:
        PassFailedException: for a group that names no term, or a term of another group,
            and for one that cannot be fused.
    """
    for operator in operators_of(root):
        _mark(operator, groups)


def _mark(operator: sym.OperatorOp, groups: Iterable[Sequence[str]]) -> None:
    terms = {term.sym_name.data: term for term in operator.terms}
    place = {term: number for number, term in enumerate(terms.values())}
    for term in terms.values():
        term.group = None
    taken = set[str]()
    for number, group in enumerate(groups):
        for name in group:
            if name not in terms:
                raise PassFailedException(
                    f"a fusion group names '{name}', and @{operator.sym_name.data} has "
                    f"no such term: it has {_listed(terms.values())}"
                )
            if name in taken:
                raise PassFailedException(
                    f"the fusion groups name the term @{name} twice"
                )
            taken.add(name)
        if len(group) < 2:
            continue
        members = [terms[name] for name in group]
        if problem := _unlike(members) or _disorder(members, place):
            raise _cannot(operator, members, problem)
        for term in members:
            term.group = IntegerAttr(number, i64)


def _cannot(
    operator: sym.OperatorOp, group: Sequence[sym.TermOp], problem: str
) -> PassFailedException:
    return PassFailedException(
        f"the terms {_listed(group)} of @{operator.sym_name.data} cannot be fused: "
        f"{problem}"
    )


def _disorder(
    group: Sequence[sym.TermOp], place: Mapping[sym.TermOp, int]
) -> str | None:
    """Return what is wrong with the order of the terms of a group, if anything."""
    if all(place[a] < place[b] for a, b in pairwise(group)):
        return None
    return "they are not in the order of the operator"


def _unlike(group: Sequence[sym.TermOp]) -> str | None:
    """Return why some terms cannot be one whatever their places are, if so."""
    promise = next((term for term in group if not _is_fusible(term)), None)
    if promise is not None:
        return f"@{promise.sym_name.data} has a fanout"
    first = structure(group[0])
    other = next((term for term in group if structure(term) != first), None)
    if other is None:
        return None
    names = f"@{group[0].sym_name.data} and @{other.sym_name.data}"
    return f"{names} differ in more than rows, data, constants and tags"


def _listed(terms: Iterable[sym.TermOp]) -> str:
    names = [f"@{term.sym_name.data}" for term in terms]
    more = f", .. ({len(names)} terms)" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


# endregion
# region Fusion


@dataclass
class _Fusion:
    """Terms that become one: the first of them is rebuilt."""

    terms: Sequence[sym.TermOp]
    taken: Collection[str]
    """The names of all terms of the operator."""

    def run(self) -> sym.TermOp:
        first = self.terms[0]
        values = self._differing_constants()
        body = first.body.clone()
        block = body.block
        columns = self._columns()
        ops = list(_ops(block))
        self._merge_origins(ops)
        place = 1 + len(first.sites) + len(columns)
        for number, (column, uses) in enumerate(values.items()):
            kind = column.type
            argument = block.insert_arg(TensorType(kind.element_type, []), place)
            place += 1
            name = _fresh(f"constant{number}", {one.label.data for one in columns})
            argument.name_hint = name
            columns.append(sym.ColumnAttr(StringAttr(name), column))
            for op, operand in uses:
                ops[op].operands[operand] = argument
        for op in list(block.walk()):
            if isinstance(op, hlo.ConstantOp) and not op.results[0].uses:
                Rewriter.erase_op(op)
        fused = sym.TermOp(self._name(), self._rows(), body, columns, self._sets())
        fused.attributes |= first.attributes
        fused.location = _location(self.terms)
        return fused

    def _merge_origins(self, ops: Sequence[Operation]) -> None:
        """Give the ops of the first term the locations and tags of all terms."""
        bodies = [_ops(term.body.block) for term in self.terms]
        for op, origins in zip(ops, zip(*bodies, strict=True), strict=True):
            op.location = _location(origins)
            if isinstance(op, sym.EmitOp):
                tags = {cast(sym.EmitOp, origin).tag for origin in origins}
                op.tag = op.tag if len(tags) == 1 else None

    def _differing_constants(self) -> dict[DenseIntOrFPElementsAttr, list[Use]]:
        """Return where constants differ: their values per row, and the uses."""
        rows = [term.rows.data.rows for term in self.terms]
        found: dict[DenseIntOrFPElementsAttr, list[Use]] = {}
        for use, constants in self._constant_uses().items():
            if len(set(constants)) == 1:
                continue
            values = np.repeat([to_numpy(constant) for constant in constants], rows)
            column = dense(values, constants[0].get_element_type())
            found.setdefault(column, []).append(use)
        return found

    def _constant_uses(self) -> dict[Use, list[DenseIntOrFPElementsAttr]]:
        uses: dict[Use, list[DenseIntOrFPElementsAttr]] = {}
        for term in self.terms:
            for number, op in enumerate(_ops(term.body.block)):
                for position, operand in enumerate(op.operands):
                    if isinstance(operand.owner, hlo.ConstantOp):
                        constant = operand.owner.value
                        uses.setdefault((number, position), []).append(constant)
        return uses

    def _rows(self) -> sym.RowsAttr:
        tables = [term.rows.data for term in self.terms]
        rows = sum(table.rows for table in tables)
        data = b"".join(table.data for table in tables)
        return sym.RowsAttr(RowTable(rows, tables[0].labels, data))

    def _columns(self) -> list[sym.ColumnAttr]:
        joined: list[sym.ColumnAttr] = []
        for columns in zip(*(term.data_columns for term in self.terms), strict=True):
            values = np.concatenate([to_numpy(column.values) for column in columns])
            kind = columns[0].values.get_element_type()
            joined.append(sym.ColumnAttr(columns[0].label, dense(values, kind)))
        return joined

    def _sets(self) -> list[sym.SetsAttr]:
        joined: list[sym.SetsAttr] = []
        for sets in zip(*(term.site_sets for term in self.terms), strict=True):
            tables = [one.data for one in sets]
            width = max(table.width for table in tables)
            padded = [
                np.pad(
                    table.array,
                    ((0, 0), (0, width - table.width)),
                    constant_values=NO_SITE,
                )
                for table in tables
            ]
            array = np.concatenate(padded).astype("<i4")
            joined.append(sym.SetsAttr(SiteSets(len(array), width, array.tobytes())))
        return joined

    def _name(self) -> str:
        names = [term.sym_name.data for term in self.terms]
        if len(names) > _NAMES_SHOWN:
            names = [names[0], "..", names[-1]]
        return _fresh("+".join(names), self.taken)


def _fresh(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, as close to a given one as can be."""
    candidates = chain([name], (f"{name}_{k}" for k in count(1)))
    return next(one for one in candidates if one not in taken)


def _location(origins: Iterable[Operation]) -> LocationAttr:
    """Return the place of ops that become one."""
    places = tuple(dict.fromkeys(op.location for op in origins))
    return places[0] if len(places) == 1 else FusedLoc(places, NoneAttr())


def _fuse(operator: sym.OperatorOp) -> None:
    marked: dict[Attribute, list[sym.TermOp]] = {}
    for term in operator.terms:
        if term.group is not None:
            marked.setdefault(term.group, []).append(term)
    taken = {term.sym_name.data for term in operator.terms}
    for group in marked.values():
        if len(group) == 1:
            group[0].group = None
            continue
        if any(a.next_op is not b for a, b in pairwise(group)):
            problem = "they are not neighbours: run sym-gather-terms first"
            raise _cannot(operator, group, problem)
        if problem := _unlike(group):
            raise _cannot(operator, group, problem)
        fused = _Fusion(group, taken).run()
        remark(f"{_listed(group)} become one term", at=fused)
        operator.body.block.insert_op_before(fused, group[0])
        for term in group:
            Rewriter.erase_op(term)
        taken -= {term.sym_name.data for term in group}
        taken.add(fused.sym_name.data)
    _remark_on_the_rest(operator)


def _remark_on_the_rest(operator: sym.OperatorOp) -> None:
    """Say which terms stay apart that are alike, and why.

    Of terms that are unlike any other one nothing is said: there is nothing to be done.
    """
    alike: dict[Hashable, list[sym.TermOp]] = {}
    for term in operator.terms:
        alike.setdefault(structure(term), []).append(term)
    place = {term: number for number, term in enumerate(operator.terms)}
    for terms in alike.values():
        if len(terms) < 2:
            continue
        reason, hint = _why_apart([place[term] for term in terms], terms)
        message = f"{_listed(terms)} have one structure and stay apart: {reason}"
        remark(message, done=False, hint=hint, at=terms[0])


def _why_apart(places: Sequence[int], terms: Sequence[sym.TermOp]) -> tuple[str, str]:
    promise = next((term for term in terms if not _is_fusible(term)), None)
    if promise is not None:
        return (
            f"@{promise.sym_name.data} has a fanout, and what is promised of a term is "
            "not promised of its rows together with others",
            "leave the fanout out, unless it saves many lanes",
        )
    if all(b > a + 1 for a, b in pairwise(places)):
        return (
            "they are not neighbours, and lanes keep their places",
            "define them one after the other",
        )
    return (
        "they are not marked as a group",
        "compile with enable_fusion=True and an opt_level of at least 2",
    )


@dataclass(frozen=True)
class SymFuseTermsPass(ModulePass):
    """Fuse neighbouring terms that are marked as one group."""

    name = "sym-fuse-terms"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for operator in operators_of(op):
            _fuse(operator)


# endregion
