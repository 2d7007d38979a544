"""Calls: of functions of the module, and of those that only the caller can give.

A function that is declared and has no body, and a `custom_call`, are computed by an
*oracle*: a Python function of that name, of the arrays of the arguments, that returns
the array of the result, or a tuple of those of several results. What a custom call is
configured with are keyword arguments: two calls of one name can differ in no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from xdsl.dialects import func
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
)
from xdsl.interpreter import (
    Interpreter,
    InterpreterFunctions,
    PythonValues,
    ReturnedValues,
    TerminatorValue,
    impl,
    impl_callable,
    impl_terminator,
    register_impls,
)
from xdsl.ir import Attribute
from xdsl.utils.exceptions import InterpretationError

from dialects.interpreters.numbers import as_array, numbers_of
from dialects.stablehlo import dtype_of
from dialects.stablehlo_ops import CustomCallOp

Oracle: TypeAlias = Callable[..., Any]


class MissingOracle(InterpretationError):
    """A function is needed that the module does not have.

    Attributes:
        name: that of the oracle.
        expected: how to give it.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[Attribute],
        outputs: Sequence[Attribute],
        options: Iterable[str],
    ):
        by_name = "".join(f", and by name {option}" for option in options)
        self.name = name
        self.expected = (
            f"oracles={{{name!r}: function}}, a function of arrays "
            f"{_listed(inputs)}{by_name} that returns {_listed(outputs)}"
        )
        super().__init__(f"@{name} is not in the module: give {self.expected}")


@register_impls
class CallFunctions(InterpreterFunctions):
    """Meaning of `func`, and of what is called and not in the module.

    Attributes:
        oracles: functions of arrays by name. With another kind of numbers than floats
            they are given arrays of it.
    """

    def __init__(self, oracles: Mapping[str, Oracle] | None = None):
        self.oracles: Mapping[str, Oracle] = oracles or {}

    @impl_terminator(func.ReturnOp)
    def run_return(
        self, interpreter: Interpreter, op: func.ReturnOp, args: PythonValues
    ) -> tuple[TerminatorValue, PythonValues]:
        return ReturnedValues(args), ()

    @impl(func.CallOp)
    def run_call(
        self, interpreter: Interpreter, op: func.CallOp, args: PythonValues
    ) -> PythonValues:
        return interpreter.call_op(op.callee, args)

    @impl_callable(func.FuncOp)
    def call_function(
        self, interpreter: Interpreter, op: func.FuncOp, args: PythonValues
    ) -> PythonValues:
        name, kind = op.sym_name.data, op.function_type
        if op.body.blocks:
            return interpreter.run_ssacfg_region(op.body, args, name)
        kinds = kind.inputs.data, kind.outputs.data
        return self._asked(interpreter, name, args, *kinds)

    @impl(CustomCallOp)
    def run_custom_call(
        self, interpreter: Interpreter, op: CustomCallOp, args: PythonValues
    ) -> PythonValues:
        name = op.call_target_name.data
        kinds = op.operand_types, op.result_types
        return self._asked(interpreter, name, args, *kinds, **_options(op))

    def _asked(
        self,
        interpreter: Interpreter,
        name: str,
        args: PythonValues,
        inputs: Sequence[Attribute],
        outputs: Sequence[Attribute],
        **options: Any,
    ) -> PythonValues:
        """Return what an oracle says, in arrays of the types that are declared."""
        function = self.oracles.get(name)
        if function is None:
            raise MissingOracle(name, inputs, outputs, options)
        answer = function(*args, **options)
        several = isinstance(answer, tuple | list)
        results = cast(Sequence[Any], answer if several else [answer])
        arrays = [as_array(result) for result in results]
        found = [(array.shape, array.dtype) for array in arrays]
        numbers = numbers_of(interpreter)
        kinds = [cast(TensorType[Attribute], kind) for kind in outputs]
        dtypes = [dtype_of(kind.element_type) for kind in kinds]
        shapes = [kind.get_shape() for kind in kinds]
        if [shape for shape, _ in found] != shapes or any(
            own not in (dtype, numbers.dtype(dtype))
            for (_, own), dtype in zip(found, dtypes, strict=True)
        ):
            raise InterpretationError(
                f"the oracle of @{name} returns {_listed(outputs)}, got "
                + ", ".join(f"{dtype} {shape}" for shape, dtype in found)
            )
        return tuple(map(numbers.given, arrays))


def _options(op: CustomCallOp) -> dict[str, Any]:
    """Return what a custom call is configured with, by name."""
    # A typed call has it in `backend_config`; JAX writes it for those of its own
    given = op.backend_config, op.attributes.get("mhlo.backend_config")
    return {
        key: _python(value)
        for config in given
        if isinstance(config, DictionaryAttr)
        for key, value in config.data.items()
    }


def _python(value: Attribute) -> Any:
    """Return a number, a text or a list of them; other attributes as they are."""
    match value:
        case IntegerAttr() | FloatAttr():
            return value.value.data
        case StringAttr():
            return value.data
        case ArrayAttr():
            return [_python(one) for one in value]
        case _:
            return value


def _listed(kinds: Sequence[Attribute]) -> str:
    return f"({', '.join(map(str, kinds))})"
