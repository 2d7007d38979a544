"""Branches of sample configurations, with x' as changes of x.

The branch tensors are interpreted over NumPy, so that neither JAX nor memory for a
dense x' is needed: 10^4 lanes on 10^4 sites are 10^4 short lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.rewriter import InsertPoint, Rewriter

from dialects import bt
from dialects.interpreters.bt import run_lanes
from dialects.stablehlo import element_of
from lowering.bt.lanes import connections_in
from symir.compiler.artifact import BranchOrigin, in_common, lane_sources
from symir.compiler.lowering import OPERATOR_PIPELINE, run_passes
from symir.operator.ir import SymbolicOperatorIR

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Connected:
    """The branches of some configurations.

    Attributes:
        x: (B, N), the configurations.
        origins: the term, row and emission of each of K lanes.
        sites: (B, K, W), where lanes write, in order.
        values: (B, K, W), what they write; x itself where a lane is not valid.
        elements: (B, K), the matrix elements.
    """

    x: Array
    origins: list[BranchOrigin]
    sites: Array
    values: Array
    elements: Array

    def changes(self, sample: int, lane: int) -> dict[int, float]:
        """Return the sites where x' differs from x, with the values of x' there."""
        x, size = self.x[sample], self.x.shape[1]
        sites = self.sites[sample, lane].tolist()
        written: dict[int, float] = {}
        for site, value in zip(sites, self.values[sample, lane].tolist(), strict=True):
            if 0 <= site < size:
                written[site] = value
        return {site: new for site, new in sorted(written.items()) if new != x[site]}


def connected(
    ir: SymbolicOperatorIR, x: Array, parameters: Mapping[str, complex]
) -> Connected:
    """Return the branches of configurations x (B, N), of the dtype of x.

    `parameters` has a value for each parameter of the operator.
    """
    source = ir.module
    # Terms of one structure become one: thousands of them are interpreted as a handful
    lowered = run_passes(source, f"sym-plan-fusion,{OPERATOR_PIPELINE}")
    origins = [in_common(one) for one in lane_sources(source, lowered)]
    _end_in_lanes(lowered)
    arguments = [
        np.asarray(parameters[name], dtype)
        for name, dtype in zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    ]
    sites, values, elements = run_lanes(lowered, x, arguments)
    return Connected(x, origins, sites, values, elements)


def _end_in_lanes(module: ModuleOp) -> None:
    """Let a function return its lanes instead of x' and the matrix elements."""
    (connections,) = connections_in(module)
    element = element_of(connections.matrix_elements)
    lanes = bt.LanesOp(connections.config, connections.branches, element)
    Rewriter.insert_op(lanes, InsertPoint.before(connections))
    block = connections.parent_block()
    assert block is not None
    end = block.last_op
    assert isinstance(end, ReturnOp)
    Rewriter.replace_op(end, ReturnOp(*lanes.results))
    Rewriter.erase_op(connections)
