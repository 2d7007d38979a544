"""`apply-exponential-sums`: activations whose ratios are products, taken apart.

A wavefunction whose logarithm is a sum is taken apart into its summands. One of the
form c * sum f(z) with z additive in x and exp f an exponential sum needs no network at
x': exp(f(z + d) - f(z)) = sum_j w_j(z) e^(a_j d), where w is computed once for x. What
is additive itself changes by a number of the lane alone, and a sum of products of two
additive values y and z, as in x W x, by y e + d z + d e. The rest stays a network;
it is not taken apart into others, unless `lift-sparse-delta` makes each of them a sum
of tanh, and those that have values in common stay one, as logarithm and sign of a
determinant do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import Rewriter
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import dtype_of, element_of, element_of_dtype, shape_of
from lowering.arrays import Array
from lowering.change.form_analysis import analyse
from lowering.change.forms import Elementwise, Form, New, Same, is_added
from lowering.energy.activations import (
    ACTIVATIONS,
    fit_of,
    is_whole,
)
from lowering.energy.extraction import (
    erase,
    erase_unused,
    extracted,
    function_named,
    is_coarse,
    module_of,
    returned,
)
from lowering.energy.lift_sparse_delta import is_sum_of_tanh
from lowering.energy.part_functions import scaled
from lowering.energy.sums import is_sum, size_of, terms_of
from lowering.order import operands_first
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import Inserter, op_name, rewrite_once

MAX_PRODUCTS = 1024
"""Sums of more products stay a network: tables have so many elements for each lane."""


@dataclass(frozen=True)
class _Summand:
    """A summand of log psi: what it is, of which value or two, and its factor."""

    rung: bt.Rung
    value: SSAValue
    coefficient: complex
    activation: str | None = None
    by: SSAValue | None = None


_Take = Callable[[SSAValue, complex], Iterable[_Summand]]


class _Decomposition:
    """Takes the result of one function apart."""

    def __init__(self, function: FuncOp):
        self.known = analyse(function)
        self.summands = list(self._summands(returned(function), 1.0))

    def _summands(self, value: SSAValue, factor: complex) -> Iterator[_Summand]:
        """Yield the summands of a value that is one number."""
        one = self.known[value]
        if isinstance(one, Same):
            return
        if is_added(one):
            yield _Summand(bt.Rung.LINEAR, value, factor)
            return
        if (pair := self._factors(value)) is not None:
            yield _bilinear(*pair, factor)
            return
        op = value.owner
        if isinstance(op, hlo.ReduceOp) and size_of(value) == 1 and is_sum(op):
            yield from self._sum(value, op.operands[0], factor)
            return
        if isinstance(one, Elementwise):
            # One number: the sum over its only element
            yield from self._sum(value, value, factor)
            return
        yield from self._split(value, factor, self._summands)

    def _sum(self, total: SSAValue, value: SSAValue, factor: complex) -> list[_Summand]:
        """Return the summands of a sum over elements, or the sum as a network."""
        try:
            return list(self._summed(value, factor))
        except _NotApart:
            return [_Summand(bt.Rung.NETWORK, total, factor)]

    def _summed(self, value: SSAValue, factor: complex) -> Iterator[_Summand]:
        """Yield the summands of the sum of all elements of a value."""
        one = self.known[value]
        if isinstance(one, Same):
            return
        if is_added(one):
            yield _Summand(bt.Rung.LINEAR, value, factor)
            return
        if (pair := self._factors(value)) is not None:
            yield _bilinear(*pair, factor)
            return
        if isinstance(one, Elementwise):
            summand = self._recognised(value, factor)
            if summand is not None:
                yield summand
                return
        op = value.owner
        if isinstance(op, hlo.ReduceOp) and is_sum(op):
            yield from self._summed(op.operands[0], factor)
            return
        yield from self._split(value, factor, self._summed)

    def _factors(self, value: SSAValue) -> tuple[SSAValue, SSAValue] | None:
        """Return two additive values whose products, summed, are those of a value."""
        op = value.owner
        match op:
            case hlo.MultiplyOp():
                pair = (op.lhs, op.rhs)
            case hlo.DotGeneralOp() if _pairs_elements(op):
                pair = (op.lhs, op.rhs)
            case Operation() if op_name(op) == "chlo.square":
                pair = (op.operands[0], op.operands[0])
            case _:
                return None
        if not all(is_added(self.known[one]) for one in pair):
            return None
        kinds = {dtype_of(element_of(one)) for one in (*pair, value)}
        # Products of integers wrap around
        if len(kinds) > 1 or kinds.pop().kind not in "fc":
            return None
        if size_of(pair[0]) <= MAX_PRODUCTS:
            return pair
        remark(
            f"a sum of {size_of(pair[0])} products is no bilinear part: there are more "
            f"than {MAX_PRODUCTS}",
            done=False,
            hint="with matrix products, as in (x @ W * x).sum(-1), they are fewer",
        )
        return None

    def _split(self, value: SSAValue, factor: complex, of: _Take) -> Iterator[_Summand]:
        """Yield the summands of a sum, difference, multiple, ... of values."""
        taken = terms_of(value, self.known)
        if taken is not None:
            for one, own in taken:
                yield from of(one, factor * own)
            return
        if size_of(value) > 1:
            raise _NotApart
        yield _Summand(bt.Rung.NETWORK, value, factor)

    def _recognised(self, value: SSAValue, factor: complex) -> _Summand | None:
        sums = [name for name, one in ACTIVATIONS.items() if one.terms]
        fitted = fit_of(value, self.known, sums)
        if isinstance(fitted, str):
            remark(f"an activation is not recognised: {fitted}", done=False)
            return None
        name, coefficient = fitted.activation.name, factor * fitted.factor
        dtype = dtype_of(element_of(fitted.root))
        factors = (coefficient * k for k, _ in fitted.activation.terms)
        if dtype.kind == "c" and not all(map(is_whole, factors)):
            remark(
                f"{name} of complex numbers times {coefficient:g} depends on the "
                "branch of the logarithm",
                done=False,
            )
            return None
        remark(f"{name} is recognised")
        return _Summand(bt.Rung.EXPONENTIAL, fitted.root, coefficient, name)


def _bilinear(first: SSAValue, second: SSAValue, factor: complex) -> _Summand:
    size = size_of(first)
    remark(f"a sum of {size} products of two additive values is bilinear")
    return _Summand(bt.Rung.BILINEAR, first, factor, by=second)


def _pairs_elements(op: hlo.DotGeneralOp) -> bool:
    """Whether each element meets one of the other side, in the order of both."""
    numbers = op.dot_dimension_numbers

    def axes(*names: str) -> list[int]:
        return [axis.value.data for name in names for axis in getattr(numbers, name)]

    left = axes("lhs_batching_dimensions", "lhs_contracting_dimensions")
    right = axes("rhs_batching_dimensions", "rhs_contracting_dimensions")
    lengths = shape_of(op.lhs)
    long = sorted((a, b) for a, b in zip(left, right, strict=True) if lengths[a] > 1)
    met = prod(lengths[a] for a, _ in long)
    is_whole = size_of(op.lhs) == met == size_of(op.rhs)
    return is_whole and [b for _, b in long] == sorted(b for _, b in long)


class _NotApart(Exception):
    """A sum of many elements that is not taken apart."""


def _reason(known: dict[SSAValue, Form], value: SSAValue) -> str:
    one = known[value]
    if isinstance(one, New):
        return f"{one.reason}, at '{one.op}'"
    return "no sum of recognised activations"


def _are_networks(function: FuncOp, summands: Sequence[_Summand]) -> bool:
    """Whether to take a function apart is no use: each summand is evaluated at x'.

    They may share what they are computed from.
    """
    if any(one.rung != bt.Rung.NETWORK for one in summands):
        return False
    is_one = len(summands) == 1 and summands[0].coefficient == 1
    if is_one or is_sum_of_tanh(function):
        return True
    x = function.body.block.args[-1]
    for one in summands:
        network = extracted(function, f"{function.sym_name.data}_one", [x], one.value)
        is_sum = is_sum_of_tanh(network)
        erase(network)
        if not is_sum:
            return True
    return False


def _joined(taken: _Decomposition) -> tuple[list[list[_Summand]], list[_Summand]]:
    """Return networks that share what no rule finds, and other summands."""
    groups: list[tuple[set[SSAValue], list[_Summand]]] = []
    for one in taken.summands:
        if one.rung != bt.Rung.NETWORK:
            continue
        own = {v for v in operands_first(one.value) if isinstance(taken.known[v], New)}
        joined = [one]
        for group in [group for group in groups if group[0] & own]:
            groups.remove(group)
            own |= group[0]
            joined = group[1] + joined
        groups.append((own, joined))
    joined = [summands for _, summands in groups if len(summands) > 1]
    inside = {id(one) for summands in joined for one in summands}
    return joined, [one for one in taken.summands if id(one) not in inside]


def _extracted_sum(function: FuncOp, name: str, summands: Sequence[_Summand]) -> None:
    """Write the function that returns the sum of some summands."""
    x = function.body.block.args[-1]
    new = extracted(function, name, [x], *(one.value for one in summands))
    end = new.body.block.last_op
    assert isinstance(end, ReturnOp)
    insert = Inserter.before(end)
    found = [
        scaled(Array(value, insert).reshape(), one.coefficient, element_of(value))
        for value, one in zip(end.arguments, summands, strict=True)
    ]
    dtype = np.result_type(*(dtype_of(one.element) for one in found))
    element = element_of_dtype(dtype)
    total = reduce(Array.__add__, [one.astype(element) for one in found])
    result = total.reshape(*shape_of(returned(function)))
    Rewriter.replace_op(end, ReturnOp(result.value))
    new.update_function_type()


def _rewritten(module: ModuleOp, part: bt.PartAttr) -> list[bt.PartAttr]:
    function = function_named(module, part.functions[0])
    x = function.body.block.args[-1]
    taken = _Decomposition(function)
    known = taken.known
    whole = returned(function)
    of = [one.value for one in taken.summands]
    if any(map(is_coarse, [*of, *(one.by or one.value for one in taken.summands)])):
        remark(
            f"@{part.functions[0]} computes with fewer than 32 bits and stays as it "
            "is: there the rounding is the model",
            done=False,
            hint="compute in float32 to have it fused",
        )
        return [part]
    if _are_networks(function, taken.summands):
        remark(
            f"@{part.functions[0]} is no exponential sum: {_reason(known, whole)}",
            done=False,
        )
        return [part]
    parts: list[bt.PartAttr] = []
    networks, others = _joined(taken)
    for number, several in enumerate(networks):
        name = f"{part.functions[0]}_rest{number or ''}"
        _extracted_sum(function, name, several)
        reason = _reason(known, several[0].value)
        remark(f"@{name} is no exponential sum: {reason}", done=False)
        parts.append(
            bt.PartAttr.get(bt.Rung.NETWORK, name, coefficient=part.coefficient)
        )
    for number, one in enumerate(others):
        name = f"{part.functions[0]}_{number}"
        extracted(function, name, [x], one.value)
        by = name if one.by is one.value else None
        if one.by is not None and by is None:
            by = f"{name}_by"
            extracted(function, by, [x], one.by)
        if one.rung == bt.Rung.NETWORK:
            reason = _reason(known, one.value)
            remark(f"@{name} is no exponential sum: {reason}", done=False)
        parts.append(
            bt.PartAttr.get(
                one.rung,
                name,
                tail=by,
                activation=one.activation,
                coefficient=part.coefficient * one.coefficient,
            )
        )
    return parts


class TakeApart(RewritePattern):
    """The networks of an energy become the summands of what they return.

    func.func private @f(%x) { .. sum(log_cosh(W x)) + a x .. }
    %e = bt.local_energy %x, %b parameters(..) through [#bt.part<network @f>] ..
    becomes
    func.func private @f_0(%x) { .. W x .. }
    func.func private @f_1(%x) { .. a x .. }
    %e = bt.local_energy %x, %b parameters(..)
      through [#bt.part<exponential @f_0 as "log_cosh">, #bt.part<linear @f_1>] ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        module = module_of(op)
        parts: list[bt.PartAttr] = []
        for part in op.parts:
            is_network = part.kind == bt.Rung.NETWORK
            parts += _rewritten(module, part) if is_network else [part]
        before = {name for part in op.parts for name in part.functions}
        op.parts = ArrayAttr(parts)
        rewriter.notify_op_modified(op)
        erase_unused(module, before, rewriter)


@dataclass(frozen=True)
class ApplyExponentialSumsPass(ModulePass):
    """Take networks apart into exponential sums, linear parts and what is left."""

    name = "apply-exponential-sums"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, TakeApart())
