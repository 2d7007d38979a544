"""`symir interpret`: what every value of an operator is, at a level, without JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

import numpy as np

from lowering.bt.bt_specialize import state_type
from symir.compiler import lower_to_bt, lower_to_stablehlo
from symir.compiler.artifact import lane_origins
from symir.operator.symbolic_operator import SymbolicOperator
from symir.tools.configurations import Samples
from symir.tools.run import Outcome, parameter_values, show_outcome
from symir.validation import ValueTable, denote


def interpret(
    operator: SymbolicOperator,
    level: str,
    samples: Samples,
    given: Mapping[str, complex],
) -> ValueTable:
    """Return the value table of an operator at a level, on some samples.

    Raises:
        InputError: for parameters that do not fit (R003, R005, T018).
    """
    values = parameter_values(operator, given)
    # All of them at once: what is interpreted is kept as a whole anyway.
    x = np.concatenate([*samples.blocks(1 << 16)])
    if level == "sym":
        return denote(operator, x, values)
    ir = operator.to_ir()
    bound = {**ir.defaults, **values}
    module = lower_to_bt(ir.module)
    if level == "stablehlo":
        module = lower_to_stablehlo(module, len(x), state_type(samples.dtype))
    return denote(module, x, [bound[name] for name in ir.free_symbols])


def show(
    table: ValueTable,
    operator: SymbolicOperator,
    stream: TextIO,
    *,
    values: bool,
    samples: int,
    lanes: int,
) -> None:
    """Print the values, where they are asked for, and the first samples."""
    if values:
        for value in table:
            print(value, file=stream)
        print(file=stream)
    outcome = Outcome()
    outcome.add(table.samples, *table.results, samples)
    layout = list(lane_origins(operator.to_ir().module))
    show_outcome(outcome, operator, layout, stream, lanes=lanes)
