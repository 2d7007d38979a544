"""Interpreters that remember what every SSA value was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    OpImplResult,
    PythonValues,
)
from xdsl.ir import Operation, Region, SSAValue

from dialects import sym
from dialects.interpreters.sym import SymInterpreter


class Entry(NamedTuple):
    """Record of a value at one evaluation.

    Attributes:
        sample: the number of the sample, at `sym`, where they run one by one.
        rows: which rows of a term ran together; none outside of terms.
        places: the turn of each loop around it, such as that of a reduction.
        result: the value itself.
    """

    sample: int
    rows: slice
    places: tuple[int, ...]
    result: Any


class RecordingInterpreter(Interpreter):
    """Interprets functions; `entries` has what each value was, in order.

    A listener would not do: it is told of ops, so neither of block arguments nor of
    where in a loop an op runs.
    """

    def __init__(self, module: ModuleOp, functions: Iterable[InterpreterFunctions]):
        super().__init__(module)
        for one in functions:
            self.register_implementations(one)
        self.entries: dict[SSAValue, list[Entry]] = {}
        self.sample = 0
        self._rows = slice(0, 0)
        self._places: tuple[int, ...] = ()
        self._turns: dict[Region, int] = {}

    def set_values(self, pairs: Iterable[tuple[SSAValue, Any]]) -> None:
        listed = list(pairs)
        for value, result in listed:
            entry = Entry(self.sample, self._rows, self._places, result)
            self.entries.setdefault(value, []).append(entry)
        super().set_values(listed)

    def run_ssacfg_region(
        self, region: Region, args: PythonValues, name: str = "unknown"
    ) -> PythonValues:
        if isinstance(region.parent, FuncOp):
            return super().run_ssacfg_region(region, args, name)
        before = self._rows, self._places
        turn = self._turns.get(region, 0)
        if isinstance(region.parent, sym.TermOp):
            # Many rows at once: x, the first argument, has been repeated for each
            self._rows = slice(turn, turn + len(args[0]))
            self._turns[region] = self._rows.stop
        else:
            self._turns[region] = turn + 1
            self._places = (*self._places, turn)
        results = super().run_ssacfg_region(region, args, name)
        self._rows, self._places = before
        return results

    def _run_op(self, op: Operation, inputs: PythonValues) -> OpImplResult:
        for region in op.regions:
            self._turns[region] = 0
        return super()._run_op(op, inputs)


class RecordingSymInterpreter(RecordingInterpreter, SymInterpreter):
    """Interprets operators, one sample in each run."""
