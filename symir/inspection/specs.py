"""Specs of a stage: numbers of ops, lanes, bytes and flops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import bt, sym
from dialects.stablehlo import ConstantOp, dtype_of, element_of, shape_of
from lowering.bt.lanes import connections_in, lane_count
from lowering.energy.extraction import energies_in
from symir.compiler.artifact import lane_sources
from symir.compiler.costs import flops_of
from symir.compiler.lowering import table_bytes
from symir.compiler.trace import Stage, lanes_in
from symir.plain_text import Reading, columns

_SITE_BYTES = 4


@dataclass(frozen=True)
class Spec(Reading):
    """The numbers of one stage.

    At "sym" the ops of a term count once for each of its rows, those inside of a
    reduction once for each row as well.

    Attributes:
        stage: the number of the stage.
        name: its name.
        level: its level.
        ops: how often each op occurs.
        lanes: the number of lanes; None where the stage does not say it.
        samples: for so many samples the bytes and flops are.
        tensor_bytes: the bytes of all values that are computed.
        constant_bytes: the bytes of constants and tables.
        flops: operations on elements; complex numbers count as
            `symir.compiler.costs` says.
    """

    stage: int
    name: str
    level: str
    ops: Mapping[str, int]
    lanes: int | None
    samples: int
    tensor_bytes: int
    constant_bytes: int
    flops: int

    @property
    def op_count(self) -> int:
        """The number of ops."""
        return sum(self.ops.values())

    def histogram(self) -> list[str]:
        """Return the lines of the op histogram, the most frequent first."""
        ranked = sorted(self.ops.items(), key=lambda item: (-item[1], item[0]))
        return columns(("op", "count"), ranked, right=[1])

    def __str__(self) -> str:
        return "\n".join([str(Specs((self,))), "", *self.histogram()])


@dataclass(frozen=True)
class Specs:
    """The numbers of several stages, as a table."""

    stages: tuple[Spec, ...]

    def __getitem__(self, key: int | str) -> Spec:
        """Return the numbers by place, or the last ones of a level or pass."""
        if isinstance(key, int):
            return self.stages[key]
        found = [one for one in self.stages if key in (one.level, one.name)]
        if not found:
            raise KeyError(key)
        return found[-1]

    def __len__(self) -> int:
        return len(self.stages)

    def __iter__(self) -> Iterator[Spec]:
        return iter(self.stages)

    def as_dict(self) -> list[dict[str, Any]]:
        """Return the table as plain data."""
        return [one.as_dict() for one in self.stages]

    def __str__(self) -> str:
        header = ("stage", "name", "level", "ops", "lanes", "samples")
        header = (*header, "tensor bytes", "constant bytes", "flops")
        rows = [
            (
                *(one.stage, one.name, one.level, one.op_count, one.lanes),
                *(one.samples, one.tensor_bytes, one.constant_bytes, one.flops),
            )
            for one in self.stages
        ]
        return "\n".join(columns(header, rows, right=[0, *range(3, len(header))]))


def spec_of(stage: Stage, state_bytes: int) -> Spec:
    """Return the numbers of a stage; `state_bytes` is the size of a local value."""
    module = stage.module
    ops = Counter(op.name for op in module.walk() if op is not module)
    tensor_bytes = constant_bytes = flops = 0
    for op, times in _counted(module):
        size = sum(_bytes_of(result, state_bytes) for result in op.results)
        flops += times * flops_of(op)
        if isinstance(op, ConstantOp):
            constant_bytes += size
        else:
            tensor_bytes += times * size
            constant_bytes += table_bytes(op)
    return Spec(
        stage.number,
        stage.name,
        stage.level,
        ops,
        lanes_of_stage(module),
        _samples(module),
        tensor_bytes,
        constant_bytes,
        flops,
    )


def _counted(module: ModuleOp) -> Iterator[tuple[Operation, int]]:
    """Yield ops with how often they run: those of a term for each of its rows."""
    for op in module.ops:
        if not isinstance(op, sym.OperatorOp):
            yield from ((inner, 1) for inner in op.walk())
            continue
        for term in op.terms:
            rows = term.rows.data.rows
            yield from ((inner, rows) for inner in term.walk())


def _bytes_of(value: SSAValue, state_bytes: int) -> int:
    match value.type:
        case TensorType():
            size = prod(1 if n == bt.BATCH else n for n in shape_of(value))
            return size * _element_bytes(element_of(value), state_bytes)
        case sym.SiteType():
            return _SITE_BYTES
        case _:
            # Configurations and branches are not computed as such
            return 0


def _element_bytes(element: Attribute, state_bytes: int) -> int:
    if isinstance(element, bt.StateType):
        return state_bytes
    return dtype_of(element).itemsize


def _samples(module: ModuleOp) -> int:
    """Return for how many samples the public function of a module is."""
    for op in module.ops:
        if not isinstance(op, FuncOp) or op.sym_visibility is not None:
            continue
        for kind in op.function_type.inputs.data[:1]:
            shape = kind.get_shape() if isinstance(kind, TensorType) else ()
            return shape[0] if len(shape) == 2 and shape[0] != bt.BATCH else 1
    return 1


# region Lanes


def lanes_of_stage(module: ModuleOp) -> int | None:
    """Return the number of lanes of a module, also of a local energy."""
    for energy in energies_in(module):
        return lane_count(energy.branches)
    for op in module.walk():
        if isinstance(op, bt.LanesOp):
            return lane_count(op.branches)
    return lanes_in(module)


def lanes_by_term(operator: ModuleOp, module: ModuleOp) -> dict[str, int] | None:
    """Return how many lanes hold branches of each term, in the order of the terms.

    `operator` is the operator as it was defined, `module` what became of it. None where
    the lanes do not tell where they come from.
    """
    origins = [bt.origins_of(op.branches) for op in connections_in(module)]
    known = bool(origins) and None not in origins
    if not known and lanes_in(module) != lanes_in(operator):
        return None
    terms = [op for op in operator.walk() if isinstance(op, sym.TermOp)]
    counts = {term.sym_name.data: 0 for term in terms}
    for sources in lane_sources(operator, module):
        for term in {origin.term for origin in sources}:
            counts[term] += 1
    return counts


# endregion
