"""`lift-sparse-delta`: the additive beginning of a network is computed once per sample.

What a network does with x first is mostly linear: a dense layer, a convolution, a
gather. Of x' it is that of x and one row of a table, the linear part applied to the few
sites that change, so that only the rest of the network is evaluated at x'. Where the
first activation is tanh, it follows from that of x as well: with u, v = sigmoid(+-2 t)
and q = exp(2 d), tanh(t + d) = (u q - v) / (u q + v), without cancellation below. Where
what follows is affine, as of one hidden layer, nothing is evaluated at x': the
difference is a sum of fractions.

It pays where a layer costs more than the rows that it is replaced by: as it was
measured on CPUs, or where `sites` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import dtype_of, element_of, shape_of
from dialects.stablehlo_ops import ConvolutionOp
from lowering.bt.lanes import write_count
from lowering.change.form_analysis import analyse, dependent, is_linear
from lowering.change.forms import Elementwise, Form, New, Same, is_added, root_of
from lowering.energy.activations import fit_of
from lowering.energy.extraction import (
    erase,
    erase_unused,
    extracted,
    function_named,
    is_coarse,
    module_of,
    returned,
)
from lowering.energy.transposition import has_weights
from lowering.order import operands_first
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import rewrite_once

MIN_UNITS = 128
"""A layer with fewer outputs is not worth it (an ablation: `docs/benchmarks.md`)."""

SITES_PER_ROW = 20
"""A row of a table costs about as much as so many inputs of a dense layer."""

SITES = {64: 32, 32: 160}
"""Of so many sites at least a first layer with a tanh is worth it, by bits of a real.

In single precision XLA's products and tanh take so little time that what is read
instead takes longer. Measured for first layers of 128 to 512 units and 16 to 256 sites:
0.3 to 1.2 times the time of the network from 32 sites on in double precision, below 16
to 1.4 times; in single precision 0.6 to 0.9 times at 256 sites, 0.9 to 1.7 at 100, 1.2
to 2.8 at 16 to 64."""


@dataclass(frozen=True)
class _Lift:
    """Where a network is cut.

    Attributes:
        root: what is additive.
        cut: what the rest is a function of: the root, or an activation of it.
        activation: which one; None for the root itself.
    """

    root: SSAValue
    cut: SSAValue
    activation: str | None


def _roots(function: FuncOp, known: dict[SSAValue, Form]) -> set[SSAValue]:
    """Return the additive values that others than additive ones are computed from."""
    found: set[SSAValue] = set()
    for op in function.body.block.ops:
        # What ends without a result, such as a print, needs what it is given
        if op.results and not isinstance(known[op.results[0]], Elementwise | New):
            continue
        needed = [v for v in op.operands if is_added(known[v])]
        roots = (root_of(value, known[value]) for value in needed)
        found.update(root for root in roots if root is not None)
    return found


def _cut(function: FuncOp, known: dict[SSAValue, Form]) -> _Lift | str:
    roots = _roots(function, known)
    if len(roots) != 1:
        return f"it has {len(roots)} additive values that activations are taken of"
    (root,) = roots
    x = function.body.block.args[-1]
    if root is x or not isinstance(root.owner, Operation):
        return "its first op on x is an activation already"
    for value in _elementwise(function, root, known):
        if _is_cut(function, value):
            if (scaled := _tanh_of(value, known)) is not None:
                return _Lift(scaled, value, "tanh")
            fitted = fit_of(value, known, ["tanh"])
            if not isinstance(fitted, str) and fitted.is_plain and fitted.root is root:
                return _Lift(root, value, fitted.activation.name)
    if not _is_cut(function, root):
        return "it needs x after its additive beginning as well"
    return _Lift(root, root, None)


def _tanh_of(value: SSAValue, known: dict[SSAValue, Form]) -> SSAValue | None:
    """Return the additive value that a value is tanh of, which may be a multiple."""
    op = value.owner
    if isinstance(op, hlo.TanhOp) and is_added(known[op.operands[0]]):
        return op.operands[0]
    return None


def _elementwise(
    function: FuncOp, root: SSAValue, known: dict[SSAValue, Form]
) -> list[SSAValue]:
    """Return functions of a root, with its elements in the order that it has them in.

    They are those that others than such functions are taken of, and what these are
    computed from.
    """
    found: dict[SSAValue, Elementwise] = {}
    for op in function.body.block.ops:
        if not op.results or not isinstance(known[op.results[0]], New):
            continue
        for value in op.operands:
            one = known[value]
            while isinstance(one, Elementwise) and one.root is root:
                found[value] = one
                before = [v for v in _operands(value) if v is not root]
                moving = [v for v in before if not isinstance(known[v], Same)]
                if len(moving) != 1:
                    break
                (value,) = moving
                one = known[value]
    return [value for value, one in found.items() if not one.order]


def _operands(value: SSAValue) -> Sequence[SSAValue]:
    return value.owner.operands if isinstance(value.owner, Operation) else ()


def _is_cut(function: FuncOp, value: SSAValue) -> bool:
    """Whether the result depends on x through a value alone."""
    *parameters, x = function.body.block.args
    known = {*parameters, value}
    return x not in operands_first(returned(function), known=known)


def _unprofitable(
    op: bt.LocalEnergyOp,
    function: FuncOp,
    lift: _Lift,
    rung: bt.Rung,
    least: int | None,
) -> str | None:
    if is_coarse(lift.root):
        return "of fewer than 32 bits the rounding is the model"
    if rung == bt.Rung.RATIONAL:
        return None  # no part of the network is left to be evaluated
    units = int(np.prod(shape_of(lift.root)))
    sites = _inputs(function, lift.root)
    if units < MIN_UNITS:
        return f"its first layer has {units} outputs, and {MIN_UNITS} would be worth it"
    if least is None and lift.activation is None:
        least = SITES_PER_ROW * (write_count(op.branches) + 1) + 1
    elif least is None:
        least = SITES[np.finfo(dtype_of(element_of(lift.root))).bits]
    if sites < least:
        return f"a layer of {sites} inputs is as fast; of {least} it would be worth it"
    return None


def _inputs(function: FuncOp, root: SSAValue) -> int:
    """Return how many inputs each output of a first layer has."""
    windows = [
        int(np.prod(shape_of(one.owner.rhs))) // shape_of(one.owner.rhs)[out]
        for one in operands_first(root)
        if isinstance(one.owner, ConvolutionOp)
        for out in one.owner.dimension_numbers.axes(1)[:1]
    ]
    return max(windows, default=int(np.prod(shape_of(function.body.block.args[-1]))))


def is_sum_of_tanh(function: FuncOp) -> bool:
    """Whether the differences of a network are found without evaluating it."""
    lift = _cut(function, analyse(function))
    if isinstance(lift, str) or lift.activation is None or is_coarse(lift.root):
        return False
    tail = extracted(function, "tail", [lift.cut], returned(function))
    is_sum = _is_weighted_sum(tail)
    erase(tail)
    return is_sum


def _lifted(
    op: bt.LocalEnergyOp, module: ModuleOp, part: bt.PartAttr, least: int | None
) -> bt.PartAttr:
    name = part.functions[0]
    function = function_named(module, name)
    lift = _cut(function, analyse(function))
    if isinstance(lift, str):
        remark(f"@{name} is not lifted: {lift}", done=False, at=op)
        return part
    x = function.body.block.args[-1]
    first, rest = f"{name}_prefix", f"{name}_tail"
    tail = extracted(function, rest, [lift.cut], returned(function))
    is_sum = lift.activation is not None and _is_weighted_sum(tail)
    rung = bt.Rung.RATIONAL if is_sum else bt.Rung.LIFTED
    reason = _unprofitable(op, function, lift, rung, least)
    if reason is not None:
        erase(tail)
        remark(f"@{name} is not lifted: {reason}", done=False, at=op)
        return part
    extracted(function, first, [x], lift.root)
    remark(
        f"@{name} is a sum of tanh: its changes are sums of fractions"
        if is_sum
        else f"@{name} is lifted: its first layer is computed once per sample",
        at=op,
    )
    return bt.PartAttr.get(
        rung,
        first,
        tail=rest,
        activation=lift.activation,
        coefficient=part.coefficient,
    )


def _is_weighted_sum(function: FuncOp) -> bool:
    """Whether weights are found of an affine function, in arithmetic of one type."""
    kinds = {element_of(v) for v in dependent(function, analyse(function))}
    is_one = kinds == {element_of(function.body.block.args[-1])}
    return is_one and is_linear(function) and has_weights(function)


@dataclass(frozen=True)
class LiftNetworks(RewritePattern):
    """The networks of an energy become what is additive in x, and the rest.

    func.func private @f(%x) { .. sum(v tanh(W x)) .. }
    %e = bt.local_energy %x, %b parameters(..) through [#bt.part<network @f>] ..
    becomes
    func.func private @f_prefix(%x) { .. W x .. }
    func.func private @f_tail(%t) { .. sum(v t) .. }
    %e = bt.local_energy %x, %b parameters(..)
      through [#bt.part<rational @f_prefix then @f_tail as "tanh">] ..
    """

    sites: int | None

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        module = module_of(op)
        before = {name for part in op.parts for name in part.functions}
        op.parts = ArrayAttr(
            _lifted(op, module, part, self.sites)
            if part.kind == bt.Rung.NETWORK
            else part
            for part in op.parts
        )
        rewriter.notify_op_modified(op)
        erase_unused(module, before, rewriter)


@dataclass(frozen=True)
class LiftSparseDeltaPass(ModulePass):
    """Compute the additive beginning of networks once per sample.

    Attributes:
        sites: of so many sites at least it is worth it; as measured where not given.
    """

    name = "lift-sparse-delta"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    sites: int | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, LiftNetworks(self.sites))
