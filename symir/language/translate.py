"""Translation of definitions to the `sym` dialect.

Scalar mathematics happens in the real type of the operator's dtype, or in its complex
type where a complex number takes part. A value that is computed twice in a term from
the same parts is one SSA value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial, reduce
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import (
    ComplexType,
    FileLineColLoc,
    IntAttr,
    LocationAttr,
    ModuleOp,
    NameLoc,
    StringAttr,
    UnknownLoc,
    i1,
    i32,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue, TypeAttribute
from xdsl_jax.dialects import stablehlo as hlo

from dialects import stablehlo, sym
from dialects.stablehlo import element_of
from symir.errors import SourceLocation
from symir.language.definitions import (
    EmissionDefinition,
    OperatorDefinition,
    TermDefinition,
)
from symir.language.expressions import (
    HERE,
    Apply,
    AtSite,
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
from symir.language.extensions import Call
from symir.language.functions import Lookup, Where, WrapMod
from symir.language.integers import bounds_of
from symir.language.reductions import (
    Between,
    Range,
    ReducedNumber,
    ReducedPredicate,
    Region,
    SiteSet,
    reads_emitted,
)
from symir.language.scalars import Number
from symir.language.scope import blamed_on
from symir.language.updates import OPS, Step, Update

MAX_UNROLLED_POWER = 16
"""Integer powers up to this one are products; they are exact where products are."""

_ELEMENTS: dict[str, TypeAttribute] = {
    stablehlo.dtype_of(element).name: element for element in sym.ELEMENT_TYPES
}
_ARITHMETIC: dict[str, Callable[..., Operation]] = {
    "neg": stablehlo.NegateOp,
    "add": stablehlo.AddOp,
    "sub": stablehlo.SubtractOp,
    "mul": stablehlo.MultiplyOp,
    "div": stablehlo.DivideOp,
    "sqrt": stablehlo.SqrtOp,
    "exp": hlo.ExponentialOp,
    "log": hlo.LogOp,
    "sin": hlo.SineOp,
    "cos": hlo.CosineOp,
    "sign": hlo.SignOp,
    "minimum": hlo.MinimumOp,
    "maximum": hlo.MaximumOp,
    "floor": hlo.FloorOp,
    "ceil": hlo.CeilOp,
    "rem": hlo.RemainderOp,
}
_LOGIC: dict[str, Callable[..., Operation]] = {
    "and": stablehlo.AndOp,
    "or": stablehlo.OrOp,
    "not": stablehlo.NotOp,
}
_HINT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INT32 = np.iinfo(np.int32)


def element_type(dtype: np.dtype[Any]) -> TypeAttribute:
    """Return the element type of an operator's dtype."""
    return _ELEMENTS[dtype.name]


def translate(definition: OperatorDefinition) -> ModuleOp:
    """Return a module that holds the operator as one `sym.operator`."""
    module, operator, parameters = without_terms(definition)
    for term in definition.terms:
        translation = _TermTranslation(definition, term, parameters)
        operator.body.block.add_op(translation.translate())
    return module


def without_terms(
    definition: OperatorDefinition,
) -> tuple[ModuleOp, sym.OperatorOp, dict[str, SSAValue]]:
    """Return the operator without its terms, in a module, and its parameters."""
    element, space = element_type(definition.dtype), definition.space
    real = sym.real_type(element)
    kinds = [element if symbol.is_complex else real for symbol in definition.symbols]
    body = Block(arg_types=[stablehlo.tensor(kind) for kind in kinds])
    parameters: dict[str, SSAValue] = {}
    for symbol, argument in zip(definition.symbols, body.args, strict=True):
        parameters[symbol.name] = argument
        _hint(argument, symbol.name)
    operator = sym.OperatorOp(
        definition.name,
        sym.SpaceAttr(space.local),
        element,
        body,
        hermitian=definition.declared_hermitian,
        projected=definition.is_projected,
        parameter_names=[symbol.name for symbol in definition.symbols],
        defaults=[
            None if symbol.default is None else stablehlo.dense(symbol.default, kind)
            for symbol, kind in zip(definition.symbols, kinds, strict=True)
        ],
    )
    operator.location = _location(definition.name, definition.location)
    return ModuleOp([operator]), operator, parameters


@dataclass
class _Visit:
    """The body of a reduction: what is computed anew for each site."""

    block: Block
    inside: set[SSAValue]
    known: dict[Hashable, SSAValue] = field(default_factory=dict[Hashable, SSAValue])


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
        self.operator = definition.name
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
                *[sym.SitesType()] * len(term.sets),
            ]
        )
        names = ("x", *term.labels, *term.columns, *term.sets)
        for argument, name in zip(self.block.args, names, strict=True):
            _hint(argument, name)
        self.source: SSAValue = self.block.args[0]
        arguments = iter(self.block.args[1:])
        self.sites = {label: next(arguments) for label in term.labels}
        self.data = {name: next(arguments) for name in term.columns}
        self.sets = {name: next(arguments) for name in term.sets}
        self.known: dict[Hashable, SSAValue] = {}
        self.reduced: dict[Hashable, SSAValue] = {}
        self.visit: _Visit | None = None
        self.space = definition.space
        self.predicates = cast(tuple[Predicate, ...], definition.space.predicates)
        self.is_projected = definition.is_projected

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
        sets = [sym.SetsAttr(table) for table in self.term.sets.values()]
        op = sym.TermOp(
            self.term.name, rows, self.block, self.columns, sets, self.term.fanout
        )
        op.location = _location(self.path, self.term.location)
        return op

    def _and(self, first: SSAValue | None, second: SSAValue) -> SSAValue:
        if first is None:
            return second
        return self._value(stablehlo.AndOp, first, second)

    def _emission(
        self, path: str, emission: EmissionDefinition, predicate: SSAValue | None
    ) -> None:
        self.location = _location(path, emission.location)
        if emission.condition is not None:
            predicate = self._and(predicate, self._predicate(emission.condition))
        config = self._update(path, emission.update, self.source)
        for number, projection in enumerate(self.term.projections):
            place = projection.location
            self.location = _location(f"{self.path}/project{number}", place)
            holds = self._predicate(projection.predicate, config)
            predicate = self._and(predicate, holds)
        self.location = _location(path, emission.location)
        values = self._values(emission.amplitude, config)
        amplitude = self._number(emission.amplitude, self.element, values)
        if self.predicates and config is not self.source:
            predicate, amplitude = self._kept_inside(config, predicate, amplitude)
        self._add(sym.EmitOp(config, amplitude, predicate, emission.tag))

    def _kept_inside(
        self, config: SSAValue, predicate: SSAValue | None, amplitude: SSAValue
    ) -> tuple[SSAValue, SSAValue]:
        """Let a branch count only where x' satisfies the predicates of the space.

        It is a mistake elsewhere, and its matrix element NaN unless it is 0; or the
        branch is not valid, in an operator that is projected.
        """
        inside = self._satisfied_by(config)
        if not self.is_projected:
            zero, nan = (self._constant(v, self.element) for v in (0, math.nan))
            matters = self._value(stablehlo.compare, "NE", amplitude, zero)
            amplitude = self._value(stablehlo.select, inside, amplitude, nan)
            inside = self._value(stablehlo.OrOp, inside, matters)
        return self._and(predicate, inside), amplitude

    def _satisfied_by(self, config: SSAValue) -> SSAValue:
        """Return whether a configuration satisfies the predicates of the space."""
        source, self.source = self.source, config
        holds = [self._predicate(predicate) for predicate in self.predicates]
        self.source = source
        inside = reduce(partial(self._value, stablehlo.AndOp), holds)
        # What cannot be told of x' is not true of it.
        is_defined = self._value(sym.DefinedOp, inside)
        return self._value(stablehlo.AndOp, is_defined, inside)

    def _predicate(
        self, predicate: Predicate, emitted: SSAValue | None = None
    ) -> SSAValue:
        return self._values(predicate, emitted)[id(predicate)]

    # region Updates

    def _update(self, path: str, update: Update, config: SSAValue) -> SSAValue:
        for step in update.steps:
            self.location = _location(path, step.location)
            config = self._step(path, step, config)
        return config

    def _step(self, path: str, step: Step, config: SSAValue) -> SSAValue:
        sites = [self._site(site) for site in step.sites]
        values = [
            self._number(value, self.real, self._values(value)) for value in step.values
        ]
        match step.kind:
            case "cond":
                return self._choice(path, step, config)
            case "invalidate":
                return self._value(sym.InvalidOp, step.text, hint="none")
            case "hop":
                return self._hop(config, sites, values[0])
            case "scatter":
                for site, value in zip(sites, values, strict=True):
                    config = self._value(sym.WriteOp, config, site, value, hint="y")
                return config
            case "flip":
                return self._flip(config, sites[0])
            case "flip_set":
                return self._flip_set(config, cast(str, step.text))
            case kind:
                return self._value(OPS[kind], config, *sites, *values, hint="y")

    def _site(self, site: Expr, emitted: SSAValue | None = None) -> SSAValue:
        """Return the site of a number, which is that of a label, or computed."""
        if isinstance(site, SiteNumber):
            return self._place(site, emitted)
        return self._value(sym.SiteOp, self._whole(site, emitted), hint="s")

    def _choice(self, path: str, step: Step, config: SSAValue) -> SSAValue:
        predicate = self._predicate(cast(Predicate, step.predicate))
        then, otherwise = (
            self._update(path, choice, config) for choice in step.choices
        )
        self.location = _location(path, step.location)
        return self._value(sym.SelectOp, predicate, then, otherwise, hint="y")

    def _hop(
        self, config: SSAValue, sites: list[SSAValue], amount: SSAValue
    ) -> SSAValue:
        a, b = sites
        removed = self._value(stablehlo.NegateOp, amount)
        config = self._value(sym.ShiftOp, config, a, removed, hint="y")
        return self._value(sym.ShiftOp, config, b, amount, hint="y")

    def _flip(self, config: SSAValue, site: SSAValue) -> SSAValue:
        one = self._constant(1, self.real)
        return self._value(sym.ShiftModOp, config, site, one, hint="y")

    def _flip_set(self, config: SSAValue, name: str) -> SSAValue:
        for position in range(self.term.sets[name].width):
            element = self._value(sym.ElementOp, self.sets[name], position, hint="s")
            config = self._flip(config, element)
        return config

    # endregion

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
                case ReducedNumber() | ReducedPredicate():
                    values[id(node)] = self._reduction(node, emitted)
                case Predicate():
                    values[id(node)] = self._condition(node, values)
                case Apply():
                    values[id(node)] = self._application(node, values)
                case Call():
                    values[id(node)] = self._call(node, values)
                case Where():
                    values[id(node)] = self._where(node, values)
                case WrapMod():
                    values[id(node)] = self._wrapped(node, values, emitted)
                case _:
                    values[id(node)] = self._leaf(node, emitted)
        return values

    def _leaf(self, node: Node, emitted: SSAValue | None) -> SSAValue:
        match node:
            case LocalValue(label, is_emitted):
                config = emitted if is_emitted and emitted is not None else self.source
                site, kind = self._place(node, emitted), stablehlo.tensor(self.real)
                hint = f"{'y' if is_emitted else 'x'}_{_site_hint(label)}"
                return self._value(sym.ReadOp, config, site, kind, hint=hint)
            case SiteNumber(label):
                site = self._place(node, emitted)
                return self._value(sym.IndexOp, site, hint=f"at_{_site_hint(label)}")
            case Lookup():
                return self._lookup(node, emitted)
            case Symbol():
                return self.parameters[node.name]
            case RowData(name):
                return self.data[name]
            case _:
                raise NotImplementedError(f"no translation of {type(node).__name__}")

    def _place(self, node: AtSite, emitted: SSAValue | None) -> SSAValue:
        """Return the site that a node reads at."""
        if node.number is not None:
            return self._site(node.number, emitted)
        if node.label == HERE and self.visit is not None:
            return self.visit.block.args[0]
        return self.sites[node.label]

    def _whole(self, root: Expr, emitted: SSAValue | None) -> SSAValue:
        """Return a number that is to be whole: exactly, as an integer, if possible."""
        if bounds_of(root, self.space.size) is None:
            values = self._values(root, emitted)
            return self._number(root, self.real, values)
        values: dict[int, SSAValue] = {}
        for node in postorder(root):
            values[id(node)] = self._integer(node, values, emitted)
        return values[id(root)]

    def _integer(
        self, node: Node, values: Mapping[int, SSAValue], emitted: SSAValue | None
    ) -> SSAValue:
        match node:
            case Constant(value):
                return self._constant(value, i32)
            case Apply("mod" | "floordiv", arguments):
                return self._quotient(node, *[values[id(part)] for part in arguments])
            case Apply("abs", (a,)):
                kind = stablehlo.tensor(i32)
                return self._value(stablehlo.AbsOp, values[id(a)], kind)
            case Apply(function, arguments):
                operands = [values[id(argument)] for argument in arguments]
                return self._value(_ARITHMETIC[function], *operands)
            case _:
                return self._leaf(node, emitted)

    def _quotient(self, node: Apply, a: SSAValue, b: SSAValue) -> SSAValue:
        """Return a quotient or remainder of integers."""
        dividend, divisor = (
            bounds_of(part, self.space.size) for part in node.arguments
        )
        is_positive = divisor is not None and divisor[0] > 0
        if is_positive and dividend is not None and dividend[0] >= 0:
            # Rounding down is rounding towards zero.
            whole = node.function == "floordiv"
            return self._value(stablehlo.DivideOp if whole else hlo.RemainderOp, a, b)
        if node.function == "floordiv":
            return self._floor_divide(a, b, is_positive=is_positive)
        return self._modulo(a, b, is_positive=is_positive)

    # region Reductions

    def _reduction(
        self, node: ReducedNumber | ReducedPredicate, emitted: SSAValue | None
    ) -> SSAValue:
        key = (id(node), self.source, emitted if reads_emitted(node) else None)
        if key not in self.reduced:
            self.reduced[key] = self._reduce(node, emitted)
        return self.reduced[key]

    def _reduce(
        self, node: ReducedNumber | ReducedPredicate, emitted: SSAValue | None
    ) -> SSAValue:
        region = self._region(node.over, emitted)
        block = Block(arg_types=[sym.SiteType()])
        _hint(block.args[0], "s")
        around, self.visit = self.visit, _Visit(block, set(block.args))
        values = self._values(node.body, emitted)
        if isinstance(node, ReducedNumber):
            kind = self._common_kind((node.body,), values)
            value = self._number(node.body, kind, values)
        else:
            value = values[id(node.body)]
        self._add(sym.YieldOp(value), block)
        self.visit = around
        kind = sym.ReductionKind(node.kind)
        return self._add(sym.ReduceOp(kind, block, value.type, **region)).results[0]

    def _region(self, region: Region, emitted: SSAValue | None) -> dict[str, SSAValue]:
        """Return what a reduction runs over, as arguments of `sym.ReduceOp`."""
        # It does not depend on the site of a reduction around this one.
        match region:
            case SiteSet(name):
                return {"sites": self.sets[name]}
            case Between(a, b):
                after = _floor(Apply("minimum", (a, b)), self.space.size)
                start = Apply("add", (after, Constant(1)))
                stop = Apply("maximum", (a, b))
            case Range(start, stop):
                pass
            case _:
                return {}
        return {
            "start": self._end(start, emitted),
            "stop": self._end(stop, emitted),
        }

    def _end(self, end: Expr, emitted: SSAValue | None) -> SSAValue:
        """Return an end of a half-open range of sites, cut to the lattice."""
        sites = self.space.size
        bounds = bounds_of(end, sites)
        if bounds is None:
            end = Apply("ceil", (end,))
        if bounds is None or bounds[0] < 0:
            end = Apply("maximum", (end, Constant(0)))
        if bounds is None or bounds[1] > sites:
            end = Apply("minimum", (end, Constant(sites)))
        value = self._whole(end, emitted)
        if element_of(value) == i32:
            return value
        # NaN is no end of a range: there is no site -1, so the branch is not valid.
        is_number = self._value(stablehlo.compare, "EQ", value, value)
        zero, none = (self._constant(v, self.real) for v in (0, -1))
        number = self._value(stablehlo.select, is_number, zero, none)
        nothing = self._value(sym.IndexOp, self._value(sym.SiteOp, number))
        whole = self._value(stablehlo.convert, value, i32)
        return self._value(stablehlo.AddOp, whole, nothing)

    # endregion

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
        match node.function:
            case "abs":
                real = stablehlo.tensor(self.real)
                return self._value(stablehlo.AbsOp, *operands, real)
            case "real" | "imag" | "conj" | "norm2":
                return self._complex_part(node.function, operands[0])
            case "mod":
                is_positive = _is_positive(node.arguments[1])
                return self._modulo(*operands, is_positive=is_positive)
            case "floordiv":
                is_positive = _is_positive(node.arguments[1])
                return self._floor_divide(*operands, is_positive=is_positive)
            case function:
                return self._value(_ARITHMETIC[function], *operands)

    def _call(self, node: Call, values: Mapping[int, SSAValue]) -> SSAValue:
        """Return a registered function: its ops become ops of the term."""
        kind = self._common_kind(node.arguments, values)
        is_complex = node.is_complex(isinstance(kind, ComplexType))
        result = self.element if is_complex else self.real
        with blamed_on(self.operator, self.term.name, location=node.location):
            function = node.function.scalar(kind, result, self.element)
        found = [self._number(arg, kind, values) for arg in node.arguments]
        for op, operands in function.ops:
            if op.kind is stablehlo.ConstantOp:
                # One that the term has already has this key
                found.append(self._value(op.kind, op.properties[0][1]))
            else:
                found.append(self._value(op, *[found[place] for place in operands]))
        return found[function.result]

    def _complex_part(self, function: str, value: SSAValue) -> SSAValue:
        if not isinstance(element_of(value), ComplexType):
            match function:
                case "imag":
                    return self._constant(0, self.real)
                case "norm2":
                    return self._times(value, value)
                case _:
                    return value
        real = stablehlo.tensor(self.real)
        if function == "real":
            return self._value(hlo.RealOp, value, real)
        imaginary = self._value(hlo.ImagOp, value, real)
        if function == "imag":
            return imaginary
        part = self._value(hlo.RealOp, value, real)
        if function == "conj":
            negated = self._value(stablehlo.NegateOp, imaginary)
            return self._value(hlo.ComplexOp, part, negated, value.type)
        squares = self._times(part, part), self._times(imaginary, imaginary)
        return self._value(stablehlo.AddOp, *squares)

    def _modulo(self, a: SSAValue, b: SSAValue, *, is_positive: bool) -> SSAValue:
        """Return the remainder with the divisor's sign, as Python does."""
        zero = self._constant(0, element_of(a))
        rest = self._value(hlo.RemainderOp, a, b)
        wrong = self._value(stablehlo.compare, "LT", rest, zero)
        if not is_positive:
            is_rest = self._value(stablehlo.compare, "NE", rest, zero)
            below = self._value(stablehlo.compare, "LT", b, zero)
            differ = self._value(stablehlo.XorOp, wrong, below)
            wrong = self._value(stablehlo.AndOp, is_rest, differ)
        moved = self._value(stablehlo.AddOp, rest, b)
        return self._value(stablehlo.select, wrong, moved, rest)

    def _floor_divide(self, a: SSAValue, b: SSAValue, *, is_positive: bool) -> SSAValue:
        """Return the quotient rounded down, as Python does."""
        rest = self._modulo(a, b, is_positive=is_positive)
        whole = self._value(stablehlo.SubtractOp, a, rest)
        quotient = self._value(stablehlo.DivideOp, whole, b)
        kind = element_of(a)
        if kind == i32:
            return quotient
        # The division may be rounded to just below the integer that is meant.
        floor = self._value(hlo.FloorOp, quotient)
        half, one = self._constant(0.5, kind), self._constant(1, kind)
        rest = self._value(stablehlo.SubtractOp, quotient, floor)
        is_below = self._value(stablehlo.compare, "GT", rest, half)
        above = self._value(stablehlo.AddOp, floor, one)
        return self._value(stablehlo.select, is_below, above, floor)

    def _where(self, node: Where, values: Mapping[int, SSAValue]) -> SSAValue:
        sides = (node.on_true, node.on_false)
        kind = self._common_kind(sides, values)
        operands = [self._number(side, kind, values) for side in sides]
        return self._value(stablehlo.select, values[id(node.predicate)], *operands)

    def _lookup(self, node: Lookup, emitted: SSAValue | None) -> SSAValue:
        is_complex = any(isinstance(value, complex) for value in node.values)
        kind = self.element if is_complex else self.real
        numbers = [_as_float(value) for value in node.values]
        index = self._whole(node.index, emitted)
        return self._value(sym.LookupOp, stablehlo.dense(numbers, kind), index)

    def _wrapped(
        self,
        node: WrapMod,
        values: Mapping[int, SSAValue],
        emitted: SSAValue | None,
    ) -> SSAValue:
        """Return the value that is a multiple of all local values' steps away."""
        site = self._place(node.site, emitted)
        offset = self._number(node.value, self.real, values)
        low, step = self._grid(site)
        offset = self._value(stablehlo.SubtractOp, offset, low)
        place = self._value(stablehlo.DivideOp, offset, step)
        half = self._constant(0.5, self.real)
        nearest = self._value(stablehlo.AddOp, place, half)
        return self._value(sym.LocalValueOp, nearest, site)

    def _grid(self, site: SSAValue) -> tuple[SSAValue, SSAValue]:
        """Return the lowest local value of a site, and the distance to the next."""
        if self.space.is_uniform:
            first, *rest = self.space.local_states_at(0)
            step = rest[0] - first if rest else 1
            return self._constant(first, self.real), self._constant(step, self.real)
        zero, one = (self._constant(value, self.real) for value in (0, 1))
        low = self._value(sym.LocalValueOp, zero, site)
        second = self._value(sym.LocalValueOp, one, site)
        step = self._value(stablehlo.SubtractOp, second, low)
        # A single local value is the second one too.
        is_single = self._value(stablehlo.compare, "EQ", step, zero)
        return low, self._value(stablehlo.select, is_single, one, step)

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
            else isinstance(element_of(values[id(node)]), ComplexType)
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
        if element_of(value) == i32 and kind not in (i32, self.real):
            value = self._value(stablehlo.convert, value, self.real)
        if element_of(value) == kind:
            return value
        return self._value(stablehlo.convert, value, kind)

    def _constant(self, value: Number, kind: Attribute) -> SSAValue:
        number = float(value) if isinstance(value, Fraction) else value
        return self._value(stablehlo.ConstantOp, stablehlo.dense(number, kind))

    def _value(
        self,
        build: Callable[..., Operation],
        *arguments: SSAValue | Attribute | str | int | tuple[SSAValue, ...] | None,
        hint: str | None = None,
    ) -> SSAValue:
        """Return the result of an op, the one at hand if it was built before."""
        key = (build, *arguments)
        visit = self.visit
        # What does not depend on the site of a reduction is computed outside of it.
        if visit is not None and visit.inside.isdisjoint(arguments):
            visit = None
        known = self.known if visit is None else visit.known
        if key not in known:
            op = self._add(build(*arguments), visit.block if visit else None)
            if hint is not None:
                _hint(op.results[0], hint)
            known[key] = op.results[0]
            if visit is not None:
                visit.inside.add(op.results[0])
        return known[key]

    def _add(self, op: Operation, block: Block | None = None) -> Operation:
        op.location = self.location
        (self.block if block is None else block).add_op(op)
        return op

    # endregion


def _is_positive(node: Expr) -> bool:
    if not isinstance(node, Constant) or isinstance(node.value, complex):
        return False
    return node.value > 0


def _floor(node: Expr, sites: int) -> Expr:
    """Return a number rounded down, itself where it is an integer anyway."""
    return node if bounds_of(node, sites) is not None else Apply("floor", (node,))


def _site_hint(label: str) -> str:
    return "here" if label == HERE else label or "there"


def _as_float(value: Number) -> float | complex:
    return value if isinstance(value, complex) else float(value)


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
