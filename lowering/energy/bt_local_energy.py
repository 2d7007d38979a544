"""`bt-local-energy`: connections and a wavefunction become a local energy.

A function (x, parameters) -> (x', matrix elements) becomes one of (x, parameters,
parameters of the wavefunction) -> energies. The wavefunction is a private function of
the same module, of its parameters and one configuration, (1, sites).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ComplexType,
    ModuleOp,
    TensorType,
    f64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from dialects import bt
from dialects.provenance import in_place_of
from dialects.stablehlo import (
    dtype_of,
    element_of,
    element_of_dtype,
    shape_of,
    tensor,
)
from lowering.energy.extraction import function_named, returned
from lowering.relations import Relation
from lowering.rewriting import rewrite_once

NETWORK = "network"
"""The declaration of log psi of one x: what it computes is JAX's to say."""


def is_network(name: str) -> bool:
    """Whether a function is log psi, of one x or of many."""
    return name.partition(".")[0] == NETWORK


@dataclass(frozen=True)
class AskForEnergies(RewritePattern):
    """Where a function returns connected configurations it returns energies.

    func.func @f(%x : tensor<?x8x!bt.state>) -> (..) {
      %xp, %mels = bt.connections %x, %b : ..
      func.return %xp, %mels : ..
    }
    becomes
    func.func @f(%x : tensor<?x8x!bt.state>, %w : tensor<8xf64>) -> tensor<?xf64> {
      %e = bt.local_energy %x, %b parameters(%w) through [#bt.part<network @logpsi>] ..
      func.return %e : tensor<?xf64>
    }
    """

    logpsi: FuncOp

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.ConnectionsOp, rewriter: PatternRewriter
    ) -> None:
        function = op.parent_op()
        if not isinstance(function, FuncOp):
            return
        block = function.body.block
        *arguments, _ = self.logpsi.body.block.args
        parameters: list[SSAValue] = []
        for old in arguments:
            new = rewriter.insert_block_argument(block, len(block.args), old.type)
            new.name_hint = old.name_hint
            parameters.append(new)
        energy = bt.LocalEnergyOp(
            op.config,
            op.branches,
            None,
            parameters,
            [bt.PartAttr.get(bt.Rung.NETWORK, self.logpsi.sym_name.data)],
            tensor(_element(op, self.logpsi), (shape_of(op.config)[0],)),
        )
        rewriter.insert(in_place_of(op, energy))
        end = block.last_op
        assert isinstance(end, ReturnOp)
        rewriter.replace(end, ReturnOp(energy.result))
        rewriter.erase(op)
        function.update_function_type()


@dataclass(frozen=True)
class BtLocalEnergyPass(ModulePass):
    """Ask for energies of a wavefunction in place of connected configurations.

    Attributes:
        wavefunction: the name of its function.
    """

    name = "bt-local-energy"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    wavefunction: str = "logpsi"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        names = {f.sym_name.data for f in op.ops if isinstance(f, FuncOp)}
        if self.wavefunction not in names:
            raise PassFailedException(
                f"{self.name}: there is no function @{self.wavefunction}"
            )
        logpsi = function_named(op, self.wavefunction)
        if shape_of(returned(logpsi)) not in ((), (1,)):
            raise PassFailedException(
                f"{self.name}: @{self.wavefunction} returns {returned(logpsi).type} "
                "for one configuration, expected one number"
            )
        if NETWORK not in names:
            op.body.block.add_op(_network(logpsi))
        rewrite_once(op, AskForEnergies(logpsi))


def _network(logpsi: FuncOp) -> FuncOp:
    """Return the declaration of log psi of one x, (N,), as it is called in the end."""
    *kinds, x = logpsi.function_type.inputs
    config = cast("TensorType[Attribute]", x)
    kinds.append(tensor(config.element_type, config.get_shape()[1:]))
    # What is rounded to bfloat16 is not computed with
    result = tensor(element_of_dtype(dtype_of(element_of(returned(logpsi)))))
    return FuncOp.external(NETWORK, kinds, [result])


def _element(op: bt.ConnectionsOp, logpsi: FuncOp) -> Attribute:
    """Return the element type of a matrix element times a ratio."""
    own = element_of(op.matrix_elements)
    other = element_of(returned(logpsi))
    kind = np.result_type(dtype_of(own), dtype_of(other))
    for one in (own, other):
        if dtype_of(one) == kind:
            return one
    return ComplexType(f64)  # of double precision, and of a complex single one
