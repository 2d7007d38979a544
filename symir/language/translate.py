"""Translation of definitions to the `sym` dialect.

Scalar mathematics happens in the real type of the operator's dtype, or in its complex
type where a complex number takes part. A value that is computed twice in a term from
the same parts is one SSA value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import (
    ComplexType,
    FileLineColLoc,
    Float32Type,
    Float64Type,
    IntAttr,
    LocationAttr,
    ModuleOp,
    NameLoc,
    StringAttr,
    TensorType,
    UnknownLoc,
    i1,
    i32,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue, TypeAttribute

from dialects import stablehlo, sym
from dialects.tables import LocalSpace
from symir.errors import SourceLocation
from symir.language.definitions import (
    EmissionDefinition,
    OperatorDefinition,
    TermDefinition,
)
from symir.language.expressions import (
    Apply,
    Compare,
    Constant,
    Expr,
    LocalValue,
    Logical,
    Node,
    Predicate,
    RowData,
    SiteNumber,
    Symbol,
    Truth,
    postorder,
)
from symir.language.scalars import Number
from symir.language.updates import Step

__all__ = ["element_type", "translate"]

MAX_UNROLLED_POWER = 16
"""Integer powers up to this one are products; they are exact where products are."""

_ELEMENTS: dict[str, TypeAttribute] = {
    "float32": Float32Type(),
    "float64": Float64Type(),
    "complex64": ComplexType(Float32Type()),
    "complex128": ComplexType(Float64Type()),
}
_ARITHMETIC: dict[str, Callable[..., Operation]] = {
    "neg": stablehlo.NegateOp,
    "add": stablehlo.AddOp,
    "sub": stablehlo.SubtractOp,
    "mul": stablehlo.MultiplyOp,
    "div": stablehlo.DivideOp,
    "sqrt": stablehlo.SqrtOp,
}
_LOGIC: dict[str, Callable[..., Operation]] = {
    "and": stablehlo.AndOp,
    "or": stablehlo.OrOp,
    "not": stablehlo.NotOp,
}
_UPDATES: dict[str, Callable[..., Operation]] = {
    "write": sym.WriteOp,
    "shift": sym.ShiftOp,
    "swap": sym.SwapOp,
}
_HINT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INT32 = np.iinfo(np.int32)


def element_type(dtype: np.dtype[Any]) -> TypeAttribute:
    """Return the element type of an operator's dtype."""
    return _ELEMENTS[dtype.name]


def translate(definition: OperatorDefinition) -> ModuleOp:
    """Return a module that holds the operator as one `sym.operator`."""
    element = element_type(definition.dtype)
    real = sym.real_type(element)
    kinds = [element if symbol.is_complex else real for symbol in definition.symbols]
    body = Block(arg_types=[stablehlo.tensor(kind) for kind in kinds])
    parameters: dict[str, SSAValue] = {}
    for symbol, argument in zip(definition.symbols, body.args, strict=True):
        parameters[symbol.name] = argument
        _hint(argument, symbol.name)
    for term in definition.terms:
        body.add_op(_TermTranslation(definition, term, parameters).translate())
    operator = sym.OperatorOp(
        definition.name,
        sym.SpaceAttr(LocalSpace(definition.space.size, definition.space.local_states)),
        element,
        body,
        hermitian=definition.is_hermitian,
        parameter_names=[symbol.name for symbol in definition.symbols],
        defaults=[
            None if symbol.default is None else stablehlo.dense(symbol.default, kind)
            for symbol, kind in zip(definition.symbols, kinds, strict=True)
        ],
    )
    operator.location = _location(definition.name, definition.location)
    return ModuleOp([operator])


class _TermTranslation:
    """The translation of one term: its block, and the values computed in it so far."""

    def __init__(
        self,
        definition: OperatorDefinition,
        term: TermDefinition,
        parameters: Mapping[str, SSAValue],
    ):
        self.element = element_type(definition.dtype)
        self.real = sym.real_type(self.element)
        self.term = term
        self.path = f"{definition.name}/{term.name}"
        self.location = _location(self.path, term.location)
        self.parameters = parameters
        self.columns = [
            sym.ColumnAttr(StringAttr(name), stablehlo.dense(data, self._kind_of(data)))
            for name, data in term.columns.items()
        ]
        kinds = [column.values.get_element_type() for column in self.columns]
        self.block = Block(
            arg_types=[
                sym.ConfigType(),
                *[sym.SiteType()] * len(term.labels),
                *(stablehlo.tensor(kind) for kind in kinds),
            ]
        )
        names = ("x", *term.labels, *term.columns)
        for argument, name in zip(self.block.args, names, strict=True):
            _hint(argument, name)
        self.source: SSAValue = self.block.args[0]
        first_column = 1 + len(term.labels)
        sites, data = self.block.args[1:first_column], self.block.args[first_column:]
        self.sites = dict(zip(term.labels, sites, strict=True))
        self.data = dict(zip(term.columns, data, strict=True))
        self.known: dict[Hashable, SSAValue] = {}

    def _kind_of(self, data: np.ndarray[Any, Any]) -> Attribute:
        return self.element if data.dtype.kind == "c" else self.real

    def translate(self) -> sym.TermOp:
        predicate = None
        for number, guard in enumerate(self.term.guards):
            self.location = _location(f"{self.path}/where{number}", guard.location)
            holds = self._predicate(guard.predicate)
            predicate = self._and(predicate, holds)
        for number, emission in enumerate(self.term.emissions):
            self._emission(f"{self.path}/emit{number}", emission, predicate)
        rows = sym.RowsAttr(self.term.rows)
        op = sym.TermOp(self.term.name, rows, self.block, self.columns)
        op.location = _location(self.path, self.term.location)
        return op

    def _and(self, first: SSAValue | None, second: SSAValue) -> SSAValue:
        if first is None:
            return second
        return self._value(stablehlo.AndOp, first, second)

    def _emission(
        self, path: str, emission: EmissionDefinition, predicate: SSAValue | None
    ) -> None:
        config = self.source
        for step in emission.update.steps:
            self.location = _location(path, step.location)
            config = self._step(step, config)
        self.location = _location(path, emission.location)
        values = self._values(emission.amplitude, config)
        amplitude = self._number(emission.amplitude, self.element, values)
        self._add(sym.EmitOp(config, amplitude, predicate, emission.tag))

    def _step(self, step: Step, config: SSAValue) -> SSAValue:
        sites = [self.sites[site.label] for site in step.sites]
        values = [
            self._number(value, self.real, self._values(value)) for value in step.values
        ]
        return self._value(_UPDATES[step.kind], config, *sites, *values, hint="y")

    def _predicate(self, predicate: Predicate) -> SSAValue:
        return self._values(predicate)[id(predicate)]

    # region Values

    def _values(
        self, root: Node, emitted: SSAValue | None = None
    ) -> dict[int, SSAValue]:
        """Translate all nodes below `root`; return the value of each, by its id.

        Constants are left out: they take the type that they are used in.
        """
        values: dict[int, SSAValue] = {}
        for node in postorder(root):
            match node:
                case Constant():
                    continue
                case Predicate():
                    values[id(node)] = self._condition(node, values)
                case Apply():
                    values[id(node)] = self._application(node, values)
                case _:
                    values[id(node)] = self._leaf(node, emitted)
        return values

    def _leaf(self, node: Node, emitted: SSAValue | None) -> SSAValue:
        match node:
            case LocalValue(label, is_emitted):
                config = emitted if is_emitted and emitted is not None else self.source
                site, kind = self.sites[label], stablehlo.tensor(self.real)
                hint = f"{'y' if is_emitted else 'x'}_{label}"
                return self._value(sym.ReadOp, config, site, kind, hint=hint)
            case SiteNumber(label):
                return self._value(sym.IndexOp, self.sites[label], hint=f"at_{label}")
            case Symbol():
                return self.parameters[node.name]
            case RowData(name):
                return self.data[name]
            case _:
                raise NotImplementedError(f"no translation of {type(node).__name__}")

    def _condition(self, node: Predicate, values: Mapping[int, SSAValue]) -> SSAValue:
        match node:
            case Truth(value):
                return self._constant(value, i1)
            case Logical(function, arguments):
                operands = [values[id(argument)] for argument in arguments]
                return self._value(_LOGIC[function], *operands)
            case Compare(direction, lhs, rhs):
                sides = (lhs, rhs)
                exact = all(_is_index(side) for side in sides)
                kind = i32 if exact else self._common_kind(sides, values)
                operands = [self._number(side, kind, values) for side in sides]
                return self._value(stablehlo.compare, direction, *operands)
            case _:
                raise NotImplementedError(f"no translation of {type(node).__name__}")

    def _application(self, node: Apply, values: Mapping[int, SSAValue]) -> SSAValue:
        if node.function == "pow":
            base, exponent = node.arguments
            return self._power(base, exponent, values)
        kind = self._common_kind(node.arguments, values)
        operands = [self._number(arg, kind, values) for arg in node.arguments]
        if node.function == "abs":
            real = stablehlo.tensor(self.real)
            return self._value(stablehlo.AbsOp, *operands, real)
        return self._value(_ARITHMETIC[node.function], *operands)

    def _power(
        self, base: Expr, exponent: Expr, values: Mapping[int, SSAValue]
    ) -> SSAValue:
        times = _small_integer(exponent)
        if times is None:
            kind = self._common_kind((base, exponent), values)
            operands = [self._number(side, kind, values) for side in (base, exponent)]
            return self._value(stablehlo.PowerOp, *operands)
        kind = self._common_kind((base,), values)
        product = self._product(self._number(base, kind, values), abs(times), kind)
        if times >= 0:
            return product
        return self._value(stablehlo.DivideOp, self._constant(1, kind), product)

    def _product(self, factor: SSAValue, times: int, kind: Attribute) -> SSAValue:
        """Return a power by repeated squaring."""
        result = None
        while times:
            if times & 1:
                result = factor if result is None else self._times(result, factor)
            times >>= 1
            factor = self._times(factor, factor) if times else factor
        return self._constant(1, kind) if result is None else result

    def _times(self, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return self._value(stablehlo.MultiplyOp, lhs, rhs)

    def _common_kind(
        self, nodes: tuple[Expr, ...], values: Mapping[int, SSAValue]
    ) -> Attribute:
        """Return the real type, or the complex one where a node is complex."""
        is_complex = any(
            isinstance(node.value, complex)
            if isinstance(node, Constant)
            else isinstance(_element(values[id(node)]), ComplexType)
            for node in nodes
        )
        return self.element if is_complex else self.real

    def _number(
        self, node: Expr, kind: Attribute, values: Mapping[int, SSAValue]
    ) -> SSAValue:
        """Return the value of a node in a type that can hold it."""
        if isinstance(node, Constant):
            return self._constant(node.value, kind)
        value = values[id(node)]
        if _element(value) == i32 and kind not in (i32, self.real):
            value = self._value(stablehlo.convert, value, self.real)
        if _element(value) == kind:
            return value
        return self._value(stablehlo.convert, value, kind)

    def _constant(self, value: Number, kind: Attribute) -> SSAValue:
        number = float(value) if isinstance(value, Fraction) else value
        return self._value(stablehlo.ConstantOp, stablehlo.dense(number, kind))

    def _value(
        self,
        build: Callable[..., Operation],
        *arguments: SSAValue | Attribute | str,
        hint: str | None = None,
    ) -> SSAValue:
        """Return the result of an op, the one at hand if it was built before."""
        key = (build, *arguments)
        if key not in self.known:
            op = self._add(build(*arguments))
            if hint is not None:
                _hint(op.results[0], hint)
            self.known[key] = op.results[0]
        return self.known[key]

    def _add(self, op: Operation) -> Operation:
        op.location = self.location
        self.block.add_op(op)
        return op

    # endregion


def _element(value: SSAValue) -> Attribute:
    return cast(TensorType[Attribute], value.type).element_type


def _is_index(node: Expr) -> bool:
    """Whether a node may take part in a comparison of site numbers, which is exact."""
    if isinstance(node, Constant) and isinstance(node.value, int):
        return _INT32.min <= node.value <= _INT32.max
    return isinstance(node, SiteNumber)


def _small_integer(node: Expr) -> int | None:
    """Return the value of a constant that is a small integer, else None."""
    if not isinstance(node, Constant) or isinstance(node.value, complex):
        return None
    value = node.value
    if value != int(value) or abs(value) > MAX_UNROLLED_POWER:
        return None
    return int(value)


def _hint(value: SSAValue, name: str) -> None:
    """Let a value print under a name, where the name can be one."""
    if _HINT.fullmatch(name):
        value.name_hint = name


def _location(path: str, location: SourceLocation | None) -> LocationAttr:
    place = UnknownLoc()
    if location is not None:
        place = FileLineColLoc(
            StringAttr(location.file), IntAttr(location.line), IntAttr(0)
        )
    return NameLoc(StringAttr(path), place)
