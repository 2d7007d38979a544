"""StableHLO that JAX made of a scalar function, as ops to be put into a term.

Private functions are inlined at each call, what nothing reads is dropped, and what is
left has to be elementwise on 0-d tensors: a term computes one number at a time, and the
compiler vectorises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.interpreter import Interpreter
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError, ParseError, VerifyException

from dialects import stablehlo, sym
from dialects.interpreters.stablehlo import StableHLOFunctions
from dialects.text import parse_module
from symir.errors import DefinitionError
from symir.language.codes import Mistake

__all__ = ["ScalarFunction", "ScalarOp", "inlined"]

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
    interpreter = Interpreter(module)
    interpreter.register_implementations(StableHLOFunctions())
    functions = _functions_of(module)
    arguments = len(functions["main"].body.block.args)
    if arguments != arity:
        raise _not_scalar(name, f"{arguments} arguments", f"{arity} arguments")
    return _Inlining(name, functions, tuple(elements), interpreter).run()


def _functions_of(module: ModuleOp) -> dict[str, FuncOp]:
    ops = module.body.block.ops
    return {op.sym_name.data: op for op in ops if isinstance(op, FuncOp)}


@dataclass
class _Inlining:
    name: str
    functions: Mapping[str, FuncOp]
    elements: tuple[Attribute, ...]
    interpreter: Interpreter
    constants: dict[int, npt.NDArray[Any]] = field(
        default_factory=dict[int, npt.NDArray[Any]]
    )
    types: list[Attribute] = field(default_factory=list[Attribute])
    known: dict[tuple[ScalarOp, tuple[int, ...]], int] = field(
        default_factory=dict[tuple[ScalarOp, tuple[int, ...]], int]
    )

    def run(self) -> ScalarFunction:
        main = self.functions["main"]
        self.types = list(main.body.block.arg_types)
        arity = len(self.types)
        results = self._call(main, range(arity))
        if len(results) != 1:
            raise _not_scalar(self.name, f"{len(results)} results", "one number")
        (result,) = results
        return self._live(arity, result)

    def _call(self, function: FuncOp, arguments: Sequence[int]) -> list[int]:
        """Inline a function; return the numbers of the values that it returns."""
        block = function.body.block
        values: dict[SSAValue, int] = {}
        values.update(zip(block.args, arguments, strict=True))
        for op in block.ops:
            operands = tuple(values[operand] for operand in op.operands)
            if isinstance(op, ReturnOp):
                return list(operands)
            if isinstance(op, CallOp):
                callee = self.functions[op.callee.root_reference.data]
                results = self._call(callee, operands)
                values.update(zip(op.results, results, strict=True))
                continue
            if op.regions or len(op.results) != 1:
                raise _not_scalar(self.name, op.name)
            values[op.results[0]] = self._number(op, operands)
        raise AssertionError("a function ends in func.return")

    def _number(self, op: Operation, operands: tuple[int, ...]) -> int:
        kind = cast(TensorType[Attribute], op.results[0].type)
        is_nothing = op.name == "stablehlo.convert" or op.name in _SAME_SCALAR
        if is_nothing and self.types[operands[0]] == kind:
            return operands[0]
        folded = self._folded(op, operands)
        if folded is not None:
            return self._number(folded, ())
        key = ScalarOp(type(op), _properties(op), kind), operands
        if key not in self.known:
            number = self.known[key] = len(self.types)
            self.types.append(kind)
            if isinstance(op, stablehlo.ConstantOp):
                self.constants[number] = stablehlo.to_numpy(op.value)
        return self.known[key]

    def _folded(self, op: Operation, operands: tuple[int, ...]) -> Operation | None:
        """Return a constant for what a term cannot compute, but no argument reaches.

        Such are entries of constant arrays, and integers of 64 bits made floats.
        """
        values = [self.constants.get(operand) for operand in operands]
        types = [op.results[0].type, *(self.types[operand] for operand in operands)]
        if isinstance(op, stablehlo.ConstantOp) or all(map(self._is_scalar, types)):
            return None
        if any(value is None for value in values):
            return None
        try:
            (result,) = self.interpreter.run_op(op, tuple(values))
        except (InterpretationError, TypeError):
            return None
        kind = cast(TensorType[Attribute], op.results[0].type)
        return stablehlo.constant(np.asarray(result), kind.element_type)

    def _is_scalar(self, kind: Attribute) -> bool:
        tensor = cast(TensorType[Attribute], kind)
        return tensor.get_shape() == () and tensor.element_type in self.elements

    def _live(self, arity: int, result: int) -> ScalarFunction:
        """Leave out the ops that the result does not need, and check the others."""
        ops = list(self.known)
        needed = {result}
        for number in range(len(self.types) - 1, arity - 1, -1):
            if number in needed:
                needed.update(ops[number - arity][1])
        renumbered = {number: number for number in range(arity)}
        live: list[tuple[ScalarOp, tuple[int, ...]]] = []
        for number, (op, operands) in enumerate(ops, arity):
            if number not in needed:
                continue
            self._check(op)
            renumbered[number] = arity + len(live)
            live.append((op, tuple(renumbered[operand] for operand in operands)))
        self._check_type("its result", self.types[result])
        element = cast(TensorType[Attribute], self.types[result]).element_type
        return ScalarFunction(arity, tuple(live), renumbered[result], element)

    def _check(self, op: ScalarOp) -> None:
        if op.kind.name not in stablehlo.ELEMENTWISE:
            raise _not_scalar(self.name, op.kind.name)
        self._check_type(op.kind.name, op.result)

    def _check_type(self, what: str, kind: Attribute) -> None:
        if self._is_scalar(kind):
            return
        expected = f"0-d tensors of {', '.join(map(str, self.elements))}"
        raise _not_scalar(self.name, f"{what} is a {kind}", expected)


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
