"""Scalar formulas in the notation of a physicist, with no more parentheses than needed.

A formula says what an op computes, as written: sums and products keep their order and
grouping. Only what is equal to the last bit is simplified (`a + (-b)` is `a - b`), and
powers that are written as products (`a * a` is `a**2`).

Division of integers is `trunc(a / b)`, and `rem(a, b)` has the sign of a, as StableHLO
has them; the selects that make Python's `a % b` and `a // b` of them are recognised.
`where(p, a, b)` is a where p holds, and b where it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import (
    ComplexType,
    IntegerType,
    TensorType,
    i1,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import stablehlo

_INTEGERS_UP_TO = 2**53
_SHOWN = 8
"""Longer lists lose their middle."""


class Level(IntEnum):
    """Binding strength of the outermost operator of a formula."""

    XOR = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARE = 4
    ADD = 5
    MULTIPLY = 6
    NEGATE = 7
    POWER = 8
    ATOM = 9


@dataclass(frozen=True)
class Formula:
    """A formula as text.

    Attributes:
        text: the text.
        level: how tightly its outermost operator binds.
        base: what it is a power of, None where it is no product of equal factors.
        exponent: the number of those factors.
    """

    text: str
    level: Level = Level.ATOM
    base: Formula | None = None
    exponent: int = 1

    def at(self, level: Level) -> str:
        """Return the text, in parentheses where it binds less than `level`."""
        return self.text if self.level >= level else f"({self.text})"


Build = Callable[..., Formula]


@dataclass(frozen=True)
class OpNotation:
    """Formula of an op: of the formulas of its parts, in order, `build` makes its own.

    The parts are not always its operands: a recognised pattern skips the ops inside.
    """

    parts: tuple[SSAValue, ...]
    build: Build


# region Numbers and lists


def number(value: Any) -> Formula:
    """Return a number, as short as its dtype allows."""
    if isinstance(value, bool | np.bool_):
        return Formula("true" if value else "false")
    if isinstance(value, complex | np.complexfloating):
        return _complex_number(value)
    text = _digits(value)
    return Formula(text, Level.NEGATE if text.startswith("-") else Level.ATOM)


def _digits(value: Any) -> str:
    is_whole = math.isfinite(value) and value == int(value)
    is_negative_zero = value == 0 and math.copysign(1, value) < 0
    if is_whole and abs(value) < _INTEGERS_UP_TO and not is_negative_zero:
        return str(int(value))
    return str(value)


def _complex_number(value: Any) -> Formula:
    parts = value.real, value.imag
    if any(not math.isfinite(p) or (p == 0 and math.copysign(1, p) < 0) for p in parts):
        return Formula(f"complex({_digits(parts[0])}, {_digits(parts[1])})")
    if parts[1] == 0:
        return number(parts[0])
    imaginary = f"{_digits(abs(parts[1]))}j"
    is_negative = parts[1] < 0
    if parts[0] == 0:
        text = f"-{imaginary}" if is_negative else imaginary
        return Formula(text, Level.NEGATE if is_negative else Level.ATOM)
    sign = "-" if is_negative else "+"
    return Formula(f"{_digits(parts[0])} {sign} {imaginary}", Level.ADD)


def elided(count: int, show: Callable[[int], str]) -> str:
    """Return a list of `count` entries; of a long one four are shown."""
    if count <= _SHOWN:
        return ", ".join(show(k) for k in range(count))
    shown = [show(k) for k in range(3)]
    return ", ".join([*shown, f"... {count - 4} more ...", show(count - 1)])


def numbers(values: npt.NDArray[Any]) -> str:
    """Return a list of numbers; a long one loses its middle."""
    return f"[{elided(len(values), lambda k: number(values[k]).text)}]"


def quoted(name: str) -> str:
    """Return a string in quotes, on one line."""
    return f'"{name}"' if name.isprintable() and '"' not in name else repr(name)


# endregion
# region Operators


def add(a: Formula, b: Formula) -> Formula:
    """Return a + b."""
    left = a.at(Level.ADD)
    if is_negated(b):
        return Formula(f"{left} - {b.text[1:]}", Level.ADD)
    return Formula(f"{left} + {b.at(Level.MULTIPLY)}", Level.ADD)


def subtract(a: Formula, b: Formula) -> Formula:
    """Return a - b."""
    left = a.at(Level.ADD)
    if is_negated(b):
        return Formula(f"{left} + {b.text[1:]}", Level.ADD)
    return Formula(f"{left} - {b.at(Level.MULTIPLY)}", Level.ADD)


def multiply(a: Formula, b: Formula) -> Formula:
    """Return a * b, a power where both are powers of the same."""
    base = a.base or a
    if base == (b.base or b):
        exponent = a.exponent + b.exponent
        text = f"{base.at(Level.ATOM)}**{exponent}"
        return Formula(text, Level.POWER, base, exponent)
    text = f"{a.at(Level.MULTIPLY)} * {b.at(Level.POWER)}"
    return Formula(text, Level.MULTIPLY)


def negate(a: Formula) -> Formula:
    """Return -a."""
    return Formula(f"-{a.at(Level.POWER)}", Level.NEGATE)


def as_it_is(a: Formula) -> Formula:
    """Return a."""
    return a


def call(function: str) -> Build:
    """Return the builder of `function(a, b, ..)`."""
    return lambda *parts: Formula(f"{function}({', '.join(p.text for p in parts)})")


def conjunction(parts: Iterable[Formula]) -> Formula:
    """Return `a and b and ..`; `true` of nothing."""
    terms = list(parts)
    if len(terms) == 1:
        return terms[0]
    if not terms:
        return Formula("true")
    return Formula(" and ".join(term.at(Level.AND) for term in terms), Level.AND)


def negation(a: Formula) -> Formula:
    """Return `not a`."""
    return Formula(f"not {a.at(Level.NOT)}", Level.NOT)


def is_negated(a: Formula) -> bool:
    """Whether a formula is that of -a, with a what its text is without the sign."""
    # -b * c is -(b * c) to the last bit
    return a.text.startswith("-") and a.level >= Level.MULTIPLY


def _divide(a: Formula, b: Formula) -> Formula:
    text = f"{a.at(Level.MULTIPLY)} / {b.at(Level.POWER)}"
    return Formula(text, Level.MULTIPLY)


def _truncated(a: Formula, b: Formula) -> Formula:
    return Formula(f"trunc({_divide(a, b).text})")


def _modulo(a: Formula, b: Formula) -> Formula:
    return Formula(f"{_dividend(a)} % {b.at(Level.POWER)}", Level.MULTIPLY)


def _floor_divide(a: Formula, b: Formula) -> Formula:
    return Formula(f"{_dividend(a)} // {b.at(Level.POWER)}", Level.MULTIPLY)


def _dividend(a: Formula) -> str:
    # A sign must not move out of it: -a % b is no -(a % b)
    return a.at(Level.ATOM if is_negated(a) else Level.MULTIPLY)


def _power(a: Formula, b: Formula) -> Formula:
    return Formula(f"{a.at(Level.ATOM)}**{b.at(Level.ATOM)}", Level.POWER)


def _and(a: Formula, b: Formula) -> Formula:
    return conjunction((a, b))


def _or(a: Formula, b: Formula) -> Formula:
    return Formula(f"{a.at(Level.OR)} or {b.at(Level.OR)}", Level.OR)


def _xor(a: Formula, b: Formula) -> Formula:
    return Formula(f"{a.at(Level.NOT)} xor {b.at(Level.NOT)}", Level.XOR)


def _comparison(sign: str) -> Build:
    def build(a: Formula, b: Formula) -> Formula:
        text = f"{a.at(Level.ADD)} {sign} {b.at(Level.ADD)}"
        return Formula(text, Level.COMPARE)

    return build


def _is_not_zero(a: Formula) -> Formula:
    return _comparison("!=")(a, Formula("0"))


_ARITHMETIC: dict[type[Operation], Build] = {
    stablehlo.AddOp: add,
    stablehlo.SubtractOp: subtract,
    stablehlo.MultiplyOp: multiply,
    stablehlo.NegateOp: negate,
    stablehlo.PowerOp: _power,
    hlo.RemainderOp: call("rem"),
    hlo.ExponentialOp: call("exp"),
    hlo.CosineOp: call("cos"),
    hlo.SineOp: call("sin"),
    hlo.MinimumOp: call("min"),
    hlo.MaximumOp: call("max"),
}
_LOGIC: dict[type[Operation], Build] = {
    stablehlo.AndOp: _and,
    stablehlo.OrOp: _or,
    stablehlo.XorOp: _xor,
    stablehlo.NotOp: negation,
}
_SIGNS = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}

# endregion
# region Reading ops


def reading_of(op: Operation) -> OpNotation:
    """Return how an op of scalar mathematics is read.

    What has no sign of its own is read as a function of its operands.
    """
    match op:
        case stablehlo.ConstantOp():
            values = stablehlo.to_numpy(op.value)
            formula = number(values[()]) if values.ndim == 0 else None
            return OpNotation((), lambda: formula or Formula(str(op.value)))
        case stablehlo.ConvertOp():
            return _conversion(op)
        case stablehlo.CompareOp() if op.comparison_type is None:
            sign = _SIGNS[op.comparison_direction.data.value]
            return OpNotation(tuple(op.operands), _comparison(sign))
        case stablehlo.DivideOp():
            return _division(op)
        case stablehlo.SelectOp():
            return _choice(op)
        case hlo.ComplexOp():
            return _complex(op)
        case _:
            return OpNotation(tuple(op.operands), _function_of(op))


def _function_of(op: Operation) -> Build:
    kind = _element(op.results[0]) if op.results else None
    if kind == i1 and type(op) in _LOGIC:
        return _LOGIC[type(op)]
    if kind != i1 and type(op) in _ARITHMETIC:
        return _ARITHMETIC[type(op)]
    # The name, with everything else that says what the op does.
    name = op.name.removeprefix("stablehlo.").removeprefix("sym.")
    facts = [f"{key}={value}" for key, value in op.properties.items()]
    if op.regions:
        facts.append("regions not shown")
    return call(f"{name}[{', '.join(facts)}]" if facts else name)


def _element(value: SSAValue) -> Attribute | None:
    if not isinstance(value.type, TensorType):
        return None
    return cast(TensorType[Attribute], value.type).element_type


def _conversion(op: stablehlo.ConvertOp) -> OpNotation:
    parts = tuple(op.operands)
    source, target = _element(parts[0]), _element(op.results[0])
    if target == i1:
        return OpNotation(parts, _is_not_zero)
    if isinstance(source, ComplexType) and not isinstance(target, ComplexType):
        return OpNotation(parts, call("real"))
    is_integer = isinstance(target, IntegerType)
    if source == i1 or (is_integer and not isinstance(source, IntegerType)):
        # Truth is 1 or 0; a fraction loses its digits.
        return OpNotation(parts, call("int"))
    return OpNotation(parts, as_it_is)


def _division(op: stablehlo.DivideOp) -> OpNotation:
    dividend, divisor = op.operands
    if not isinstance(_element(op.results[0]), IntegerType):
        return OpNotation((dividend, divisor), _divide)
    # (a - a % b) / b leaves no rest
    match dividend.owner:
        case stablehlo.SubtractOp(operands=(a, rest)):
            if _modulo_parts(rest) == (a, divisor):
                return OpNotation((a, divisor), _floor_divide)
        case _:
            pass
    return OpNotation((dividend, divisor), _truncated)


def _choice(op: stablehlo.SelectOp) -> OpNotation:
    predicate, on_true, on_false = op.operands
    if parts := _modulo_parts(op.results[0]):
        return OpNotation(parts, _modulo)
    if parts := _floor_parts(op):
        return OpNotation(parts, _floor_divide)
    return OpNotation((predicate, on_true, on_false), call("where"))


def _complex(op: hlo.ComplexOp) -> OpNotation:
    real, imaginary = (value.owner for value in op.operands)
    match real, imaginary:
        case hlo.RealOp(operands=(a,)), stablehlo.NegateOp(operands=(negated,)):
            owner = negated.owner
            if isinstance(owner, hlo.ImagOp) and owner.operands[0] is a:
                return OpNotation((a,), call("conj"))
        case _:
            pass
    return OpNotation(tuple(op.operands), call("complex"))


# endregion
# region Python's % and // of numbers


def _modulo_parts(value: SSAValue) -> tuple[SSAValue, SSAValue] | None:
    """Return a and b where a value is a % b: a remainder with the sign of b."""
    op = value.owner
    if not isinstance(op, stablehlo.SelectOp):
        return None
    wrong, moved, rest = op.operands
    if not isinstance(rest.owner, hlo.RemainderOp):
        return None
    a, b = rest.owner.operands
    if not _is(moved, stablehlo.AddOp, rest, b):
        return None
    return (a, b) if _has_wrong_sign(wrong, rest, b) else None


def _has_wrong_sign(wrong: SSAValue, rest: SSAValue, b: SSAValue) -> bool:
    """Whether a predicate says that a remainder by b has the other sign than b."""
    divisor = stablehlo.constant_of(b)
    if divisor is not None and divisor > 0:
        return _is_sign(wrong, "LT", rest)
    match wrong.owner:
        case stablehlo.AndOp(operands=(is_rest, differ)):
            pass
        case _:
            return False
    match differ.owner:
        case stablehlo.XorOp(operands=(negative, below)):
            return (
                _is_sign(is_rest, "NE", rest)
                and _is_sign(negative, "LT", rest)
                and _is_sign(below, "LT", b)
            )
        case _:
            return False


def _floor_parts(op: stablehlo.SelectOp) -> tuple[SSAValue, SSAValue] | None:
    """Return a and b where a select is a // b of fractions.

    It is the integer nearest to (a - a % b) / b, which may be rounded itself.
    """
    is_below, above, floor = op.operands
    if not isinstance(floor.owner, hlo.FloorOp):
        return None
    (quotient,) = floor.owner.operands
    match quotient.owner, is_below.owner:
        case (
            stablehlo.DivideOp(operands=(whole, b)),
            stablehlo.CompareOp(operands=(rest, half)) as comparison,
        ):
            pass
        case _:
            return None
    is_nearest = (
        _direction(comparison) == "GT"
        and _is(rest, stablehlo.SubtractOp, quotient, floor)
        and stablehlo.constant_of(half) == 0.5
        and isinstance(above.owner, stablehlo.AddOp)
        and above.owner.operands[0] is floor
        and stablehlo.constant_of(above.owner.operands[1]) == 1
    )
    if not is_nearest or not isinstance(whole.owner, stablehlo.SubtractOp):
        return None
    a, modulo = whole.owner.operands
    return (a, b) if _modulo_parts(modulo) == (a, b) else None


def _is(value: SSAValue, kind: type[Operation], *operands: SSAValue) -> bool:
    op = value.owner
    return isinstance(op, kind) and tuple(op.operands) == operands


def _is_sign(value: SSAValue, direction: str, compared: SSAValue) -> bool:
    """Whether a value compares another one with zero."""
    op = value.owner
    if not isinstance(op, stablehlo.CompareOp) or _direction(op) != direction:
        return False
    zero = stablehlo.constant_of(op.operands[1])
    return op.operands[0] is compared and zero is not None and not zero.any()


def _direction(op: stablehlo.CompareOp) -> str | None:
    if op.comparison_type is not None:
        return None
    return op.comparison_direction.data.value


# endregion
