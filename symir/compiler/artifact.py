"""What a compilation leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from xdsl.dialects.builtin import ModuleOp

from dialects import sym
from dialects.text import print_module
from symir.compiler.pipeline import lower_to_stablehlo
from symir.errors import CompilationError
from symir.ir import SymbolicOperatorIR

if TYPE_CHECKING:
    from symir.runtime.operator import CompiledOperator


class BranchOrigin(NamedTuple):
    """Where a branch lane comes from.

    `row` and `emission` are None for a term with a fanout: which of its branches a lane
    holds differs from x to x.
    """

    term: str
    row: int | None
    emission: int | None
    tag: str | None


@dataclass(frozen=True)
class SymbolicCompiledArtifact:
    """A compiled operator together with its IR at every level."""

    operator_ir: SymbolicOperatorIR
    """The `sym` level, in the precision that it was compiled in."""
    branch_tensors: ModuleOp
    """The `bt` level."""
    compiled_operator: CompiledOperator

    def ir(self, level: str, *, batch: int = 1, state: str = "i8") -> str:
        """Return the text of a level: `"sym"`, `"bt"` or `"stablehlo"`.

        `batch` and `state` choose the kernel to show at the last one.
        """
        match level:
            case "sym":
                return self.operator_ir.text()
            case "bt":
                return print_module(self.branch_tensors)
            case "stablehlo":
                return print_module(
                    lower_to_stablehlo(self.branch_tensors, batch, state)
                )
            case _:
                raise CompilationError(
                    "C003",
                    "there is no such level",
                    expected="sym, bt or stablehlo",
                    found=repr(level),
                )

    def branch_layout(self) -> list[BranchOrigin]:
        """Return the term, row and emission that each branch lane comes from."""
        return list(_lanes(self.operator_ir.module))


def _lanes(module: ModuleOp) -> Iterator[BranchOrigin]:
    operator = cast(sym.OperatorOp, module.body.block.first_op)
    for term in operator.terms:
        if term.lanes < term.branches:
            name = term.sym_name.data
            yield from [BranchOrigin(name, None, None, None)] * term.lanes
            continue
        tags = [e.tag.data if e.tag is not None else None for e in term.emissions]
        for row in range(term.rows.data.rows):
            for k, tag in enumerate(tags):
                yield BranchOrigin(term.sym_name.data, row, k, tag)
