"""Costs of a kernel, found from its branch tensors without running it.

Everything is counted per sample. Ops that do not follow x are computed once per call,
and cost nothing here. Of the others

- an elementwise op costs one flop for each element of its result, a reduction one for
  each element that it combines; complex numbers cost `COMPLEX_FLOPS` times as much;
- a gather reads an element of x for each element of its result;
- lanes that may be invalid cost a flop for the matrix element, and for each write a
  flop and an element of x that is read, which takes the place of the written value;
- a fanout costs two operations per lane to pack what is valid into words, and
  slots * log2(words) for the search of those that are kept, and their writes and matrix
  elements are read again;
- x' is made by the same selects for all lanes. So each lane of N sites costs N selects
  for each write of the longest lane, for each image that any lane is put together from
  (`bt.images`), and for the validity of such lanes; it reads x, writes x', and writes
  its matrix element.

What several lane groups need is counted once, and split between them. The predicted
share of the time is that of a roofline without overlap, bytes / `BYTES_PER_SECOND` +
operations / `OPERATIONS_PER_SECOND` (after Williams, Waterman and Patterson,
"Roofline", Commun. ACM 52, 65 (2009)). The constants are of the size of what one core
of a desktop computer does; only their ratio enters, and the share predicts no times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ComplexType, ModuleOp, TensorType
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt, sym
from dialects.stablehlo import ELEMENTWISE, ConstantOp, dtype_of, element_of, shape_of
from lowering.bt.lanes import connections_in, lane_count, parts_of, write_count
from lowering.order import operands_first
from symir.compiler.artifact import BranchOrigin, lane_sources
from symir.language.scope import emission_label
from symir.plain_text import Reading, columns
from symir.provenance import origins

BYTES_PER_SECOND = 10e9
"""Assumed cost of moving a byte."""

OPERATIONS_PER_SECOND = 10e9
"""Assumed cost of a flop or a select."""

COMPLEX_FLOPS = 4
"""Real operations that a complex one counts for."""

_NAMES_SHOWN = 3
_ROWS_SHOWN = 24
"""Most rows of the text: the ones with the largest shares."""

_COUNTED = ("flops", "selects", "bytes_read", "bytes_written")

Cost = npt.NDArray[np.float64]
"""The numbers of `_COUNTED`, in order."""


@dataclass(frozen=True)
class CostRow(Reading):
    """Cost of a lane group or a term, per sample.

    Attributes:
        name: what it is called: the names of its terms, and of its emission.
        terms: the names of its terms.
        rows: the number of rows of its terms that have a branch in it.
        emissions: the number of emissions that have.
        lanes_before: how many lanes of the operator are in it.
        lanes_after: how many lanes that are returned hold them.
        writes: the number of writes of each lane, or of its masks.
        flops: operations for matrix elements, validities and written values.
        selects: operations for x'.
        bytes_read: bytes of x, and of lanes before a fanout, that are read.
        bytes_written: bytes of x' and of matrix elements.
        share: its predicted part of the time, from 0 to 1.
        work: the number of branches times the ops of the expressions of each at the
            `sym` level: rows x emissions x expression work.
    """

    name: str
    terms: tuple[str, ...]
    rows: int
    emissions: int
    lanes_before: int
    lanes_after: int
    writes: int
    flops: float
    selects: float
    bytes_read: float
    bytes_written: float
    share: float
    work: int


@dataclass(frozen=True)
class CostTable(Reading):
    """Costs of an operator, by lane group and by term.

    A lane group is what branches are joined of: an emission of a term, of terms that
    were fused, or a sum of lanes; with a fanout it is a whole term. What a group costs
    is that of its terms by where its ops come from, or else by the lanes that each term
    has in it. Lanes that hold branches of several terms are lanes of each of them.

    Attributes:
        groups: the lane groups, in the order of their lanes.
        terms: the terms of the operator, in order.
        lanes_before: the number of lanes of the operator.
        lanes_after: the number of lanes that are returned.
        sites: the number of sites N.
        state_bytes: the bytes of a local value.
        element_bytes: the bytes of a matrix element.
    """

    groups: tuple[CostRow, ...]
    terms: tuple[CostRow, ...]
    lanes_before: int
    lanes_after: int
    sites: int
    state_bytes: int
    element_bytes: int

    def total(self, name: str) -> float:
        """Return a number of `CostRow`, such as "flops", of all lane groups."""
        return sum(getattr(one, name) for one in self.groups)

    def __str__(self) -> str:
        total = {name: self.total(name) for name in _COUNTED}
        return "\n".join(
            [
                *_lines("lane group", self.groups),
                "",
                *_lines("term", self.terms),
                "",
                f"{self.lanes_before} lanes of the operator, {self.lanes_after} are "
                "returned; per sample "
                f"{total['flops']:.0f} flops, {total['selects']:.0f} selects, "
                f"{total['bytes_read']:.0f} bytes read, "
                f"{total['bytes_written']:.0f} written",
            ]
        )


# region Counting


def cost_table(
    module: ModuleOp, branch_tensors: ModuleOp, state_bytes: int
) -> CostTable:
    """Return what the branch tensors of an operator cost, before `bt-specialize`.

    `module` is the `sym` level of the operator as it was defined, `state_bytes` the
    size of a local value of x. Terms are known by the locations of ops, as those of
    symir's own front end are, and by lanes.
    """
    (operator,) = (op for op in module.ops if isinstance(op, sym.OperatorOp))
    (connections,) = connections_in(branch_tensors)
    sources = lane_sources(module, branch_tensors)
    parts = [
        _LaneGroup(branches, tuple(sources[int(lane)] for lane in lanes))
        for branches, lanes in parts_of(connections.branches)
    ]
    sizes = _Sizes(
        operator.space.data.sites,
        state_bytes,
        dtype_of(operator.element).itemsize,
        _selects_of(list(bt.leaves_of(connections.branches))),
    )
    shared = Counter(op for part in parts for op in part.ops)
    work = _Work.of(operator)
    by_group = np.zeros((len(parts), len(_COUNTED)))
    by_term = defaultdict[str, Cost](lambda: np.zeros(len(_COUNTED)))
    for number, part in enumerate(parts):
        for cost, weights in part.costs(sizes, shared):
            by_group[number] += cost
            for term, weight in weights.items():
                by_term[term] += weight * cost
    seconds = sum(map(_seconds, by_group)) or 1.0
    groups = [
        part.row(cost, work, seconds)
        for part, cost in zip(parts, by_group, strict=True)
    ]
    terms = [
        _term_row(term, parts, by_term[term.sym_name.data], work, seconds)
        for term in operator.terms
    ]
    return CostTable(
        tuple(groups),
        tuple(terms),
        sum(term.lanes for term in operator.terms),
        len(sources),
        sizes.sites,
        sizes.state,
        sizes.element,
    )


@dataclass(frozen=True)
class _Sizes:
    sites: int
    state: int
    """Bytes of a local value."""
    element: int
    """Bytes of a matrix element."""
    selects: int
    """The number of selects for each site of each lane."""


@dataclass(frozen=True)
class _Work:
    """Knowledge of the terms of an operator, by their names."""

    terms: Mapping[str, sym.TermOp]
    emissions: Mapping[str, Sequence[int]]
    """The expression work of each emission."""

    @classmethod
    def of(cls, operator: sym.OperatorOp) -> _Work:
        terms = {term.sym_name.data: term for term in operator.terms}
        return cls(
            terms,
            {
                name: [expression_work(emission) for emission in term.emissions]
                for name, term in terms.items()
            },
        )

    def branches(self, found: Iterable[BranchOrigin]) -> set[tuple[str, int, int]]:
        """Return the term, row and emission of all branches that lanes may hold."""
        branches = set[tuple[str, int, int]]()
        for one in dict.fromkeys(found):
            if one.row is not None and one.emission is not None:
                branches.add((one.term, one.row, one.emission))
                continue
            rows = range(self.terms[one.term].rows.data.rows)
            emissions = range(len(self.emissions[one.term]))
            branches |= {(one.term, row, k) for row in rows for k in emissions}
        return branches

    def row(
        self,
        name: str,
        terms: tuple[str, ...],
        found: Iterable[BranchOrigin],
        lanes: tuple[int, int],
        writes: int,
        cost: Cost,
        seconds: float,
    ) -> CostRow:
        """Return the row of what holds branches, `lanes` before and after."""
        branches = self.branches(found)
        return CostRow(
            name,
            terms,
            len({(term, row) for term, row, _ in branches}),
            len({(term, emission) for term, _, emission in branches}),
            *lanes,
            writes,
            **dict(zip(_COUNTED, cost.tolist(), strict=True)),
            share=_seconds(cost) / seconds,
            work=sum(self.emissions[term][k] for term, _, k in branches),
        )


def expression_work(emission: sym.EmitOp) -> int:
    """Return how many ops an emission is computed with, but for constants."""
    found = set[Operation]()
    pending: list[SSAValue] = [
        operand for inner in emission.walk() for operand in inner.operands
    ]
    while pending:
        op = pending.pop().owner
        if not isinstance(op, Operation) or op in found or isinstance(op, ConstantOp):
            continue
        for inner in op.walk():
            pending.extend(inner.operands)
            if inner.results and not isinstance(inner, ConstantOp):
                found.add(inner)
    return len(found)


@dataclass(frozen=True, eq=False)
class _LaneGroup:
    """A lane group: branches that are not joined of others, or with a fanout."""

    branches: SSAValue
    sources: Sequence[tuple[BranchOrigin, ...]]
    """Where each lane comes from."""

    @property
    def origins(self) -> Counter[BranchOrigin]:
        return Counter(origin for one in self.sources for origin in one)

    def lanes_of(self, term: str) -> int:
        """Return how many lanes hold a branch of a term."""
        return sum(any(one.term == term for one in lane) for lane in self.sources)

    @property
    def writes(self) -> int:
        """The writes of its longest lane, or the masks that it has."""
        return max(len(leaf.written) for leaf in self.leaves)

    @property
    def leaves(self) -> list[bt.LeafOp]:
        return list(bt.leaves_of(self.branches))

    @property
    def ops(self) -> list[Operation]:
        """The ops that compute the operands of its lanes, each once."""
        return _ops_for(operand for leaf in self.leaves for operand in leaf.operands)

    def costs(
        self, sizes: _Sizes, shared: Mapping[Operation, int]
    ) -> Iterator[tuple[Cost, dict[str, float]]]:
        """Yield what it is computed with, each with the part of each term in it."""
        lanes = Counter(origin.term for origin in self.origins.elements())
        kept = self._kept
        # All lanes need these, to find out which ones are valid
        valid = [leaf.valid for leaf in self.leaves if leaf.valid is not None]
        always = set(_ops_for(valid))
        for op in self.ops:
            cost = _cost_of(op, sizes) * (1 if op in always else kept)
            if cost.any():
                named = {one.term for one in origins(op)}
                own = {term for term in lanes if term in named}
                yield cost / shared[op], _parts_of_one(lanes, own or set(lanes))
        yield self._of_lanes(sizes), _parts_of_one(lanes, set(lanes))

    @property
    def _kept(self) -> float:
        """The part of the lanes that amplitudes and values are computed for."""
        op = self.branches.owner
        if not isinstance(op, bt.CompactOp) or len(self.leaves) != 1:
            return 1
        return lane_count(op.result) / lane_count(op.operand)

    def _of_lanes(self, sizes: _Sizes) -> Cost:
        lanes, op = lane_count(self.branches), self.branches.owner
        cost = sum((_cost_of_leaf(leaf, sizes) for leaf in self.leaves), _cost())
        cost = cost * self._kept
        if isinstance(op, bt.CompactOp):
            cost = cost + _cost_of_fanout(op, sizes)
        return cost + lanes * _cost(
            selects=sizes.sites * sizes.selects,
            read=sizes.sites * sizes.state,
            written=sizes.sites * sizes.state + sizes.element,
        )

    def row(self, cost: Cost, work: _Work, seconds: float) -> CostRow:
        """Return the row of the table."""
        found = self.origins
        terms = tuple(dict.fromkeys(origin.term for origin in found))
        name = _name(terms, {(origin.emission, origin.tag) for origin in found})
        lanes = found.total(), lane_count(self.branches)
        return work.row(name, terms, found, lanes, self.writes, cost, seconds)


def _ops_for(values: Iterable[SSAValue]) -> list[Operation]:
    """Return the ops that compute values, each once."""
    # In order: sums of floats depend on it
    known = dict[SSAValue, None]()
    for value in values:
        known |= dict.fromkeys(operands_first(value, known=known))
    owners = (value.owner for value in known)
    return [op for op in owners if isinstance(op, Operation)]


def _name(terms: Sequence[str], emissions: set[tuple[int | None, str | None]]) -> str:
    shown = list(terms[:_NAMES_SHOWN])
    more = ["..", terms[-1]] if len(terms) > _NAMES_SHOWN else []
    name = "+".join([*shown, *more]) or "none"
    if len(emissions) != 1:
        return name
    ((emission, tag),) = emissions
    return name if emission is None else f"{name}/{emission_label(emission, tag)}"


def _term_row(
    term: sym.TermOp,
    parts: Sequence[_LaneGroup],
    cost: Cost,
    work: _Work,
    seconds: float,
) -> CostRow:
    name = term.sym_name.data
    whole = BranchOrigin(name, None, None, None)
    holding = {part: part.lanes_of(name) for part in parts}
    lanes = term.lanes, sum(holding.values())
    writes = max((one.writes for one in parts if holding[one]), default=0)
    return work.row(name, (name,), [whole], lanes, writes, cost, seconds)


def _parts_of_one(lanes: Counter[str], terms: set[str]) -> dict[str, float]:
    """Split 1 between terms in proportion to their lanes."""
    total = sum(lanes[term] for term in terms)
    return {term: lanes[term] / total for term in terms}


# endregion
# region Costs


def _cost(
    flops: float = 0, selects: float = 0, read: float = 0, written: float = 0
) -> Cost:
    return np.array([flops, selects, read, written], np.float64)


def _seconds(cost: Cost) -> float:
    flops, selects, read, written = cost.tolist()
    operations = (flops + selects) / OPERATIONS_PER_SECOND
    return operations + (read + written) / BYTES_PER_SECOND


def _elements(value: SSAValue) -> int:
    """Return how many elements each sample has of its own."""
    shape = shape_of(value) if isinstance(value.type, TensorType) else ()
    return prod(shape[1:]) if shape and shape[0] == bt.BATCH else 0


def _weight(value: SSAValue) -> int:
    """Return the elements of a tensor, with one sample where their number is open."""
    size = prod(1 if length == bt.BATCH else length for length in shape_of(value))
    return size * (COMPLEX_FLOPS if isinstance(element_of(value), ComplexType) else 1)


def flops_of(op: Operation) -> int:
    """Return the flops of an op on tensors, for one sample where that is open."""
    match op:
        case bt.ReduceOp():
            return _weight(op.operand)
        case hlo.ReduceOp():
            return sum(map(_weight, op.inputs))
        case bt.DotOp():
            return 2 * _weight(op.operand) * shape_of(op.matrix)[1]
        case hlo.DotGeneralOp():
            axes = op.dot_dimension_numbers.lhs_contracting_dimensions
            lengths = shape_of(op.lhs)
            return (
                2 * _weight(op.results[0]) * prod(lengths[a.value.data] for a in axes)
            )
        case _ if op.name in ELEMENTWISE and not isinstance(op, ConstantOp):
            return _weight(op.results[0])
        case _:
            return 0


def _cost_of(op: Operation, sizes: _Sizes) -> Cost:
    """Return what an op costs that computes an operand of lanes."""
    match op:
        case bt.GatherOp():
            return _cost(read=_elements(op.result) * sizes.state)
        case bt.ReduceOp() | bt.DotOp():
            return _cost(flops=flops_of(op) if _elements(op.operand) else 0)
        case _ if op.name in ELEMENTWISE:
            return _cost(flops=flops_of(op) if _elements(op.results[0]) else 0)
        case _:
            return _cost()


def _selects_of(leaves: Sequence[bt.LeafOp]) -> int:
    images = [leaf for leaf in leaves if isinstance(leaf, bt.ImagesOp)]
    others = [leaf for leaf in leaves if not isinstance(leaf, bt.ImagesOp)]
    columns = max((len(leaf.written) for leaf in others), default=0)
    distinct = len({image for leaf in images for image in leaf.images})
    return columns + distinct + any(leaf.valid is not None for leaf in images)


def _cost_of_leaf(leaf: bt.LeafOp, sizes: _Sizes) -> Cost:
    if leaf.valid is None:
        return _cost()
    lanes = lane_count(leaf.result)
    if isinstance(leaf, bt.ImagesOp):
        return lanes * _cost(flops=1)
    writes = len(leaf.written)
    return lanes * _cost(flops=1 + writes, read=writes * sizes.state)


def _cost_of_fanout(op: bt.CompactOp, sizes: _Sizes) -> Cost:
    lanes, slots = lane_count(op.operand), lane_count(op.result)
    # `lowering.bt.valid_lanes`: lanes are packed into words, of which each slot finds
    # its own by bisection, and then its bit
    words = -(-lanes // 32)
    steps = words.bit_length() + 5
    # Sites are numbered with four bytes
    kept = sizes.element + write_count(op.result) * (4 + sizes.state)
    return _cost(flops=2 * lanes + 6 * slots * steps, read=slots * (kept + 4 * steps))


# endregion
# region Text


def _lines(kind: str, rows: Sequence[CostRow]) -> list[str]:
    by_share = sorted(rows, key=lambda one: one.share, reverse=True)
    shown = set(map(id, by_share[:_ROWS_SHOWN]))
    rest = by_share[_ROWS_SHOWN:]
    share = 100 * sum(one.share for one in rest)
    more = [f"{len(rest)} more, {share:.0f} % of the time"] if rest else []
    return [*_table(kind, [one for one in rows if id(one) in shown]), *more]


def _table(kind: str, rows: Iterable[CostRow]) -> list[str]:
    header = (kind, "rows", "emissions", "lanes", "returned", "writes")
    header = (*header, "flops", "selects", "read", "written", "share", "work")
    cells = [
        (
            one.name,
            *(one.rows, one.emissions, one.lanes_before, one.lanes_after, one.writes),
            *(f"{getattr(one, name):.0f}" for name in _COUNTED),
            f"{100 * one.share:.0f} %",
            one.work,
        )
        for one in rows
    ]
    return columns(header, cells, right=range(1, len(header)))


# endregion
