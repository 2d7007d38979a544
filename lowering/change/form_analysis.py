"""Forms of all values of a wavefunction: see `forms`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import cast

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import constant_of, dtype_of, element_of, shape_of
from lowering.change.elementwise_rules import is_elementwise
from lowering.change.forms import Array, Form, New, Same, Sites, is_added, is_affine
from lowering.change.known_rules import rule_of
from lowering.change.rules import new
from lowering.energy.extraction import returned
from lowering.order import captured

Forms = dict[SSAValue, Form]


def analyse(function: FuncOp) -> Forms:
    """Return the form of each value of a function of x, its last argument.

    Without calls: see `inline-calls`. Of one block one visit of each op is a fixpoint;
    xDSL's solver refuses ops with regions, such as reductions.
    """
    block = function.body.block
    x = block.args[-1]
    found: Forms = {}
    for argument in block.args:
        found[argument] = Same(is_splat=shape_of(argument) == ())
    shape = shape_of(x)
    found[x] = Sites(np.arange(prod(shape)).reshape(shape), affine=True)
    for op in block.ops:
        if isinstance(op, ReturnOp):
            continue
        if isinstance(op, bt.DeclaredOp):
            found[op.result] = found[op.value]
            continue
        made = _form(op, [found[value] for value in op.operands])
        if any(not isinstance(found[value], Same) for value in captured(op)):
            made = new(op, "has a region that depends on x")
        for result in op.results:
            found[result] = made if len(op.results) == 1 else _of_many(op, made)
    return found


def is_linear(function: FuncOp) -> bool:
    """Whether what a function returns is added and affine, also by its types."""
    known = analyse(function)
    one = known[returned(function)]
    kinds = {dtype_of(element_of(v)).kind for v in dependent(function, known)}
    return is_added(one) and is_affine(one) and "i" not in kinds


def dependent(function: FuncOp, known: Forms) -> list[SSAValue]:
    """Return the values of a function that are computed from x."""
    ops = [op for op in function.body.block.ops if not isinstance(op, ReturnOp)]
    values = [op.results[0] for op in ops]
    return [value for value in values if not isinstance(known[value], Same)]


def _of_many(op: Operation, made: Form) -> Form:
    if isinstance(made, Same):
        return Same()
    return made if isinstance(made, New) else new(op, "many results")


def _form(op: Operation, forms: Sequence[Form]) -> Form:
    for one in forms:
        if isinstance(one, New):
            return one
    if all(isinstance(one, Same) for one in forms):
        return _same(op, cast("Sequence[Same]", forms))
    rule = rule_of(op)
    return new(op, "not linear") if rule is None else rule.form(op, forms)


def _same(op: Operation, forms: Sequence[Same]) -> Same:
    if not op.results or not isinstance(op.results[0].type, TensorType):
        return Same()
    if prod(shape_of(op.results[0])) == 1:
        return Same(is_splat=True)
    if isinstance(op, hlo.ConstantOp):
        found = constant_of(op.results[0])
        return Same(found is not None and _is_splat(found))
    moves = is_elementwise(op) or isinstance(
        op, hlo.BroadcastInDimOp | hlo.ReshapeOp | hlo.TransposeOp
    )
    return Same(moves and all(one.is_splat for one in forms))


def _is_splat(found: Array) -> bool:
    if not found.size:
        return False
    # -0 is not 0: what is divided by it is another infinity
    signs = np.signbit(np.real(found)).reshape(-1)
    return bool((found == found.reshape(-1)[0]).all() and (signs == signs[0]).all())
