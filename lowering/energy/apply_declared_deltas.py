"""`apply-declared-deltas`: summands of log psi whose changes are declared.

Where log psi is a sum with numbers as factors, what a declared model returns is a part
of its own: log psi(x') - log psi(x) of that is found by what its author has written. Of
a complex logarithm the imaginary part is known up to 2 pi, so that its factor has to be
a whole number; the real part may have any. The rest is log psi with 0 in its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ComplexType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import constant, dtype_of, element_of, shape_of
from lowering.change.form_analysis import analyse
from lowering.change.forms import Form, Same
from lowering.energy.extraction import (
    erase_unused,
    extracted,
    function_named,
    module_of,
    returned,
)
from lowering.energy.readings import fault_of
from lowering.energy.sums import is_sum, terms_of
from lowering.order import captured
from lowering.relations import Relation
from lowering.remarks import remark
from lowering.rewriting import op_name, rewrite_once


@dataclass(frozen=True)
class _Weights:
    """What the sum of all elements of a value adds to log psi.

    real times its real part, and imaginary times its imaginary one.
    """

    real: complex
    imaginary: complex

    @classmethod
    def of_factor(cls, number: complex) -> _Weights:
        """Return the weights of what log psi is a number times."""
        return cls(number, 1j * number)

    def __add__(self, other: _Weights) -> _Weights:
        return _Weights(self.real + other.real, self.imaginary + other.imaginary)

    def of_multiple(self, number: complex) -> _Weights:
        """Return the weights of what was multiplied by a number."""
        p, q = complex(number).real, complex(number).imag
        return _Weights(
            self.real * p + self.imaginary * q, self.imaginary * p - self.real * q
        )

    def parts(self, *, is_complex: bool) -> list[tuple[str | None, complex]] | None:
        """Return parts of what has these weights: what is taken of it, and a factor.

        None where what is not known would matter: 2 pi times some number.
        """
        if not is_complex:
            return [(None, self.real)]
        turns = self.imaginary / 1j
        if turns.imag or not turns.real.is_integer():
            return None
        if self.real == turns:
            return [(None, self.real)]
        both = [("real", self.real), ("imag", self.imaginary)]
        return [(taken, factor) for taken, factor in both if factor]


_NOTHING = _Weights(0, 0)


def _terms(
    value: SSAValue, by: _Weights, known: dict[SSAValue, Form]
) -> list[tuple[SSAValue, _Weights]] | None:
    """Return the values that the sum of all elements of a value is the sum of."""
    match value.owner:
        case hlo.RealOp() as op:
            return [(op.operands[0], _Weights(by.real, 0))]
        case hlo.ImagOp() as op:
            return [(op.operands[0], _Weights(0, by.real))]
        case hlo.ConcatenateOp() as op:
            return [(one, by) for one in op.operands]
        case hlo.ReduceOp() as op if is_sum(op):
            return [(op.operands[0], by)]
        case _:
            found = terms_of(value, known)
            if found is None:
                return None
            return [(one, by.of_multiple(number)) for one, number in found]


class _Search:
    """The declared values that the result of a function is a sum of.

    Attributes:
        found: their weights.
        lost: why others are not used.
    """

    def __init__(self, function: FuncOp, coefficient: complex):
        self._function, self._known = function, analyse(function)
        self._x = function.body.block.args[-1]
        self._weights = {returned(function): _Weights.of_factor(coefficient)}
        self._through: dict[SSAValue, str] = {}
        self.found: dict[bt.DeclaredOp, _Weights] = {}
        self.lost: dict[bt.DeclaredOp, str] = {}
        # All that uses a value comes before what computes it
        for op in reversed(list(function.body.block.ops)):
            if not isinstance(op, ReturnOp):
                self._visit(op)

    def _visit(self, op: Operation) -> None:
        by = next((self._weights[v] for v in op.results if v in self._weights), None)
        why = next((self._through[v] for v in op.results if v in self._through), None)
        if by is None and why is None:
            return
        if isinstance(op, bt.DeclaredOp):
            by = by or _NOTHING
            reason = why or self._unusable(op, by)
            if reason is None:
                self.found[op] = by
                return
            self.lost[op] = reason
            terms, needed = [(op.value, by)], [op.value]
        else:
            terms, needed = [], [*op.operands, *captured(op)]
            if by is not None:
                terms = _terms(op.results[0], by, self._known)
            if terms is None:
                terms, why = [], why or self._no_sum(op)
        for inner in op.walk():
            if isinstance(inner, bt.DeclaredOp) and inner is not op:
                self.lost[inner] = f"it is inside of '{op_name(op)}'"
        for value, weights in terms:
            self._weights[value] = self._weights.get(value, _NOTHING) + weights
        if why is not None:
            self._through |= {v: self._through.get(v, why) for v in needed}

    def _no_sum(self, op: Operation) -> str:
        constant = [isinstance(self._known[one], Same) for one in op.operands]
        if isinstance(op, hlo.MultiplyOp) and any(constant):
            return "its factor is a parameter, and no number"
        return f"its value goes through '{op_name(op)}'"

    def _unusable(self, op: bt.DeclaredOp, by: _Weights) -> str | None:
        if op.lost is not None:
            return op.lost.data
        *parameters, config = op.inputs
        if not all(isinstance(self._known[one], Same) for one in parameters):
            return "its parameters depend on x"
        reason = fault_of(self._function, config, self._known)
        if reason is not None:
            return reason
        if by.parts(is_complex=_is_complex(op.value)) is None:
            return "the factor of its imaginary part is no whole number"
        return None


def _is_complex(value: SSAValue) -> bool:
    return isinstance(element_of(value), ComplexType)


@dataclass(frozen=True)
class EraseDeclared(RewritePattern):
    """A declared value of one of some names, or of any, is its operand.

    %m = bt.declared "Jastrow.0" %v from (%w, %x) ..
    becomes
    %v
    """

    names: Collection[str] | None = None

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: bt.DeclaredOp, rewriter: PatternRewriter) -> None:
        if self.names is None or op.declaration.data in self.names:
            rewriter.replace(op, [], [op.value])


def erase_declared(module: ModuleOp, names: Collection[str] | None = None) -> None:
    """Let a module be as if there were no declarations of these names, or of any."""
    rewrite_once(module, EraseDeclared(names))


def _parts(function: FuncOp, op: bt.DeclaredOp, by: _Weights) -> Iterator[bt.PartAttr]:
    """Yield the parts of a declared value, and write what they are functions of."""
    name = op.declaration.data
    inputs = f"{name}.inputs"
    x = function.body.block.args[-1]
    for part in by.parts(is_complex=_is_complex(op.value)) or ():
        taken, factor = part
        yield bt.PartAttr.get(
            bt.Rung.DECLARED, name, tail=inputs, activation=taken, coefficient=factor
        )
    extracted(function, name, [x], op.value)
    extracted(function, inputs, [x], *op.inputs)


def _rewritten(
    module: ModuleOp, part: bt.PartAttr, rewriter: PatternRewriter
) -> list[bt.PartAttr]:
    function = function_named(module, part.functions[0])
    search = _Search(function, part.coefficient)
    for op, reason in search.lost.items():
        remark(
            f"a delta is declared for {op.declaration.data} and is not used: {reason}",
            done=False,
            at=op,
        )
    parts: list[bt.PartAttr] = []
    for op, by in search.found.items():
        remark(f"a delta is declared for {op.declaration.data}")
        parts += _parts(function, op, by)
    for op in search.found:
        element = element_of(op.value)
        zeros = np.zeros(shape_of(op.value), dtype_of(element))
        rewriter.replace(op, constant(zeros, element))
    if isinstance(analyse(function)[returned(function)], Same):
        return parts
    if not parts:
        return [part]
    x, name = function.body.block.args[-1], f"{part.functions[0]}_rest"
    extracted(function, name, [x], returned(function))
    return [*parts, bt.PartAttr.get(part.kind, name, coefficient=part.coefficient)]


class TakeDeclared(RewritePattern):
    """The networks of an energy become declared values, and what else they are.

    func.func private @f(%w, %x) {
      %m = bt.declared "Jastrow.0" %v from (%w, %x) ..
      .. %m + tanh(W x) ..
    }
    %e = bt.local_energy %x, %b parameters(..) through [#bt.part<network @f>] ..
    becomes
    func.func private @Jastrow.0(%w, %x) { .. %v .. }
    func.func private @Jastrow.0.inputs(%w, %x) { func.return %w, %x }
    func.func private @f_rest(%w, %x) { .. 0 + tanh(W x) .. }
    %e = bt.local_energy %x, %b parameters(..) through
      [#bt.part<declared @Jastrow.0 of @Jastrow.0.inputs>, #bt.part<network @f_rest>] ..
    """

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: bt.LocalEnergyOp, rewriter: PatternRewriter
    ) -> None:
        module = module_of(op)
        before = {name for part in op.parts for name in part.functions}
        parts: list[bt.PartAttr] = []
        for part in op.parts:
            is_network = part.kind == bt.Rung.NETWORK
            parts += _rewritten(module, part, rewriter) if is_network else [part]
        op.parts = ArrayAttr(parts)
        rewriter.notify_op_modified(op)
        erase_unused(module, before, rewriter)


@dataclass(frozen=True)
class ApplyDeclaredDeltasPass(ModulePass):
    """Take declared models out of networks; nothing is declared after it."""

    name = "apply-declared-deltas"
    relation: ClassVar[Relation] = Relation.EXPECTATION

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_once(op, TakeDeclared())
        erase_declared(op)
