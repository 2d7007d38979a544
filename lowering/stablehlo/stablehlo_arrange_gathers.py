"""`stablehlo-arrange-gathers`: columns that are read more than once lie row by row.

XLA's CPU back end gathers columns of x one after the other. A single reader becomes a
part of that loop; several read the columns with strides of the batch, which takes
longer than to gather them. A concatenation is a single reader, whose own readers find
rows, and XLA does not see through it: so columns with several readers are gathered in
two halves.

    x[:, t]    becomes    concatenate(x[:, t[:n]], x[:, t[n:]])

Columns that come one after the other in a larger table are a slice of what that one has
gathered, which makes them one more reader of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import (
    concatenate,
    constant,
    constant_of,
    element_of,
    gather_columns,
    shape_of,
    slice_columns,
)
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter

MAX_SHARED = 16
"""Most tables, the largest, in which the columns of others are looked for."""


@dataclass(eq=False)
class _Gather:
    """A gather of columns that are the same for each row.

    Attributes:
        op: gathers them.
        table: their numbers.
        parts: gathers of columns that come one after the other here, with their places.
    """

    op: hlo.GatherOp
    table: npt.NDArray[Any]
    parts: list[tuple[_Gather, int]] = field(
        default_factory=list["tuple[_Gather, int]"]
    )

    @property
    def readers(self) -> int:
        """Number of ops that read the columns, or columns of them."""
        return len({use.operation for use in self.op.result.uses}) + len(self.parts)

    def place_of(self, other: _Gather) -> int | None:
        """Return where the columns of another gather begin; None if not here."""
        own, part = self.table.tobytes(), other.table.tobytes()
        place = own.find(part)
        while place > 0 and place % self.table.itemsize:
            place = own.find(part, place + 1)
        return None if place < 0 else place // self.table.itemsize


def _gathers_in(function: FuncOp) -> Iterator[_Gather]:
    """Yield the gathers of several columns whose numbers are known."""
    for op in function.body.block.ops:
        if not isinstance(op, hlo.GatherOp) or op.result.first_use is None:
            continue
        table = constant_of(op.start_indices)
        if table is None or table.ndim != 1 or len(table) < 2:
            continue
        if element_of(op.start_indices) != i32 or len(shape_of(op.operand)) != 2:
            continue
        alike = gather_columns(op.operand, op.start_indices)
        if alike.properties == op.properties:
            yield _Gather(op, table)
        alike.erase()


def _shared(gathers: Sequence[_Gather]) -> list[_Gather]:
    """Return the gathers that are needed; each of the others is a part of one."""
    needed: list[_Gather] = []
    for gather in sorted(gathers, key=lambda one: -len(one.table)):
        for larger in needed[:MAX_SHARED]:
            place = larger.place_of(gather)
            if place is not None:
                larger.parts.append((gather, place))
                break
        else:
            needed.append(gather)
    return needed


def _arrange(gather: _Gather, at: Inserter) -> None:
    """Gather the columns in two halves; what was there before has no readers then."""
    at.location = gather.op.location
    tables = [at.add(constant(half, i32)) for half in np.array_split(gather.table, 2)]
    halves = [at.add(gather_columns(gather.op.operand, table)) for table in tables]
    joined = at.add(concatenate(halves, 1))
    gather.op.result.replace_all_uses_with(joined)
    for part, place in gather.parts:
        end = place + len(part.table)
        sliced = Inserter.before(part.op).add(slice_columns(joined, place, end))
        part.op.result.replace_all_uses_with(sliced)
    remark(
        f"{len(gather.table)} columns with several readers lie row by row", at=gather.op
    )


def _arrange_all(gathers: Sequence[_Gather]) -> None:
    """Arrange the gathers of one source."""
    # Before the first of them, as a slice may come before what it is a slice of now
    at = Inserter.before(gathers[0].op)
    for gather in _shared(gathers):
        if gather.readers > 1:
            _arrange(gather, at)


@dataclass(frozen=True)
class StablehloArrangeGathersPass(ModulePass):
    """Share gathers of columns, and lay out what they gather for several readers."""

    name = "stablehlo-arrange-gathers"
    relation: ClassVar[Relation] = Relation.EQUAL

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in op.walk():
            if not isinstance(function, FuncOp) or not function.body.blocks:
                continue
            gathers = list(_gathers_in(function))
            of_source: dict[SSAValue, list[_Gather]] = {}
            for gather in gathers:
                of_source.setdefault(gather.op.operand, []).append(gather)
            for group in of_source.values():
                _arrange_all(group)
            for gather in gathers:
                if gather.op.result.first_use is None:
                    Rewriter.erase_op(gather.op)
