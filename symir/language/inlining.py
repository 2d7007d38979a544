"""StableHLO that JAX made of a scalar function, as ops to be put into a term.

Private functions are inlined at each call, what nothing reads is dropped, and what is
left has to be elementwise on 0-d tensors: a term computes one number at a time, and the
compiler vectorises.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import StringAttr, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.interpreter import Interpreter
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern
from xdsl.utils.exceptions import InterpretationError, ParseError, VerifyException

from dialects import stablehlo, sym
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.stablehlo import constant_of
from dialects.text import parse_module
from lowering.energy.inline_calls import InlineCallsPass
from lowering.rewriting import rewrite_once
from symir.errors import DefinitionError
from symir.language.codes import Mistake

_SAME_SCALAR = frozenset(("stablehlo.broadcast_in_dim", "stablehlo.reshape"))
"""Ops that do nothing to a 0-d tensor."""

_OP_NAME = re.compile(r'^\s*(?:%[^=]*= )?"?([a-z_]\w*\.[\w.]+)', re.MULTILINE)
_KNOWN_DIALECTS = ("stablehlo", "func")
_HINTS = {
    "stablehlo.case": "jnp.where(p, a, b) chooses between scalars",
    "stablehlo.if": "jnp.where(p, a, b) chooses between scalars",
    "stablehlo.while": "a Python loop over a fixed number of steps is unrolled",
    "stablehlo.custom_call": "use functions that JAX lowers to StableHLO itself",
    "chlo": "XLA expands it, and a term has StableHLO only: write the function with "
    "exp, log, tanh, .. or as a polynomial",
}
_HINT = "a registered function computes one number of numbers: no arrays, no loops"


@dataclass(frozen=True)
class ScalarOp:
    """An op on scalars without its operands; calling it with them builds it."""

    kind: type[Operation]
    properties: tuple[tuple[str, Attribute], ...]
    result: TensorType[Attribute]

    def __call__(self, *operands: SSAValue) -> Operation:
        return self.kind.create(
            operands=operands,
            result_types=[self.result],
            properties=dict(self.properties),
        )


@dataclass(frozen=True)
class ScalarFunction:
    """A function of scalars as a list of ops.

    Attributes:
        arity: the number of arguments.
        ops: each op with the numbers of its operands: arguments come first, and then
            the results of the ops, in order.
        result: the number of the value that it returns.
        result_element: the element type of that value.
    """

    arity: int
    ops: tuple[tuple[ScalarOp, tuple[int, ...]], ...]
    result: int
    result_element: Attribute

    def with_rule(self, name: str) -> ScalarFunction:
        """Return the function with a last op that names a derivative of its own.

        It changes no number; where it is differentiated there is an error, since the
        derivatives of the ops before it would be others.
        """
        scalar = TensorType(self.result_element, ())
        last = ScalarOp(sym.OwnRuleOp, (("function", StringAttr(name)),), scalar)
        ops = (*self.ops, (last, (self.result,)))
        result = self.arity + len(self.ops)
        return ScalarFunction(self.arity, ops, result, self.result_element)


def inlined(
    name: str, text: str, arity: int, elements: Sequence[Attribute]
) -> ScalarFunction:
    """Return what the text of a StableHLO module computes in its `@main`.

    `name` is that of the function in messages, `arity` the number of its arguments,
    and `elements` are the element types that a term may compute with.

    Raises:
        DefinitionError: unless that is one scalar, by elementwise ops on 0-d tensors
            (D076).
    """
    op_names = cast("list[str]", _OP_NAME.findall(text))
    for op_name in op_names:
        if op_name.partition(".")[0] not in _KNOWN_DIALECTS:
            raise _not_scalar(name, op_name)
    try:
        module = parse_module(text)
    except (ParseError, VerifyException) as error:
        ours = (op for op in op_names if op.startswith("stablehlo."))
        unlikely = next((op for op in ours if op not in stablehlo.ELEMENTWISE), None)
        reason = str(error).strip().splitlines()[-1].strip(" |^~")
        raise _not_scalar(name, unlikely or reason) from error
    InlineCallsPass().apply(Context(), module)
    (main,) = (op for op in module.ops if isinstance(op, FuncOp))
    arguments = len(main.body.block.args)
    if arguments != arity:
        raise _not_scalar(name, f"{arguments} arguments", f"{arity} arguments")
    interpreter = Interpreter(module)
    interpreter.register_implementations(StableHLOFunctions())
    rewrite_once(module, _DropConversion(), _FoldArrays(interpreter, elements))
    return _scalar_function(name, main.body.block, elements)


class _DropConversion(RewritePattern):
    """`stablehlo.convert %x : (tensor<f64>) -> tensor<f64>` is `%x`.

    So are reshapes and broadcasts of it.
    """

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        is_nothing = op.name == "stablehlo.convert" or op.name in _SAME_SCALAR
        if is_nothing and op.operand_types == op.result_types:
            rewriter.replace(op, (), op.operands)


@dataclass(frozen=True)
class _FoldArrays(RewritePattern):
    """What a term cannot compute becomes a constant, where no argument reaches it.

    Such are entries of constant arrays, and integers of 64 bits made floats:

    %a = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf64>
    %b = stablehlo.slice %a [0:1] : (tensor<2xf64>) -> tensor<1xf64>
    becomes
    %b = stablehlo.constant dense<1.0> : tensor<1xf64>
    """

    interpreter: Interpreter
    elements: Sequence[Attribute]

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if isinstance(op, stablehlo.ConstantOp) or len(op.results) != 1 or op.regions:
            return
        types = (*op.result_types, *op.operand_types)
        values = [constant_of(operand) for operand in op.operands]
        if all(_is_scalar(kind, self.elements) for kind in types) or any(
            value is None for value in values
        ):
            return
        try:
            (result,) = self.interpreter.run_op(op, tuple(values))
        except (InterpretationError, TypeError):
            return
        kind = cast(TensorType[Attribute], op.results[0].type)
        rewriter.replace(op, stablehlo.constant(np.asarray(result), kind.element_type))


def _is_scalar(kind: Attribute, elements: Sequence[Attribute]) -> bool:
    tensor = cast(TensorType[Attribute], kind)
    return tensor.get_shape() == () and tensor.element_type in elements


def _scalar_function(
    name: str, block: Block, elements: Sequence[Attribute]
) -> ScalarFunction:
    """Return what a block computes, if a term can; ops that nothing needs do not count.

    Two ops that compute the same are left: a term has each only once.
    """
    *ops, last = block.ops
    if len(last.operands) != 1:
        raise _not_scalar(name, f"{len(last.operands)} results", "one number")
    (result,) = last.operands
    needed = {result}
    for op in reversed(ops):
        if not needed.isdisjoint(op.results):
            needed.update(op.operands)
    numbers: dict[SSAValue, int] = {value: k for k, value in enumerate(block.args)}
    kept: list[tuple[ScalarOp, tuple[int, ...]]] = []

    def check(what: str, kind: Attribute) -> None:
        if not _is_scalar(kind, elements):
            expected = f"0-d tensors of {', '.join(map(str, elements))}"
            raise _not_scalar(name, f"{what} is a {kind}", expected)

    for op in ops:
        if needed.isdisjoint(op.results):
            continue
        if op.name not in stablehlo.ELEMENTWISE:
            raise _not_scalar(name, op.name)
        kind = cast(TensorType[Attribute], op.results[0].type)
        check(op.name, kind)
        numbers[op.results[0]] = len(block.args) + len(kept)
        operands = tuple(numbers[operand] for operand in op.operands)
        kept.append((ScalarOp(type(op), _properties(op), kind), operands))
    check("its result", result.type)
    element = cast(TensorType[Attribute], result.type).element_type
    return ScalarFunction(len(block.args), tuple(kept), numbers[result], element)


def _properties(op: Operation) -> tuple[tuple[str, Attribute], ...]:
    """Return the properties of an op without those that its types imply."""
    kept = dict(op.properties)
    kind = getattr(op, "comparison_type", None)
    if isinstance(op, stablehlo.CompareOp) and kind and kind.data != "TOTALORDER":
        del kept["comparison_type"]
    return tuple(sorted(kept.items()))


def _not_scalar(
    name: str, found: str, expected: str = "elementwise StableHLO on 0-d tensors"
) -> DefinitionError:
    dialect = found.partition(".")[0]
    return Mistake.NOT_SCALAR.error(
        f"the function {name} is more than elementwise mathematics of scalars: {found}",
        expected=expected,
        found=found,
        hint=_HINTS.get(found, _HINTS.get(dialect, _HINT)),
    )
