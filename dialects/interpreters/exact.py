"""Rational numbers instead of floats: every level without rounding.

The reference interpreters with other numbers in their arrays: `Fraction` for reals and
`ExactComplex` for complex numbers. Local values, constants, tables, data and parameters
are the binary floats that they are, `Fraction(0.1)` for 0.1; integers and predicates
are NumPy's, as ever. A real has no signed zero, no infinity and no NaN.

Where an op has no exact answer its result is a `NoAnswer`, which spreads to what is
computed of it, and is an error only where a decision or a valid branch needs it: the
square root of an excluded configuration does no harm. Below `sym`, where predicates are
numbers like others, a decision of an excluded branch needs it as well.
"""

from __future__ import annotations

import math
import operator as python
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import total_ordering
from typing import Any, Literal, NoReturn, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ComplexType, ModuleOp
from xdsl.interpreter import Interpreter, PythonValues
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.chlo import ELEMENTWISE as CHLO
from dialects.chlo import TopKOp
from dialects.interpreters.numbers import Numbers, Reference
from dialects.interpreters.stablehlo import COMPARISONS, converted
from dialects.interpreters.sym import (
    Parameters,
    Partial,
    connections,
    defined_of,
    interpreter_of,
    values_of,
)
from dialects.stablehlo import dtype_of, element_of

Array = npt.NDArray[Any]

Inexact: TypeAlias = Literal["error", "float"]
"""Result of an op without an exact answer: an error, or its double precision value."""

Real: TypeAlias = "int | Fraction"
Number: TypeAlias = "int | Fraction | ExactComplex"

MOST_BITS = 2**16
"""A power that needs more bits than this has no answer."""

# region Numbers


@total_ordering
@dataclass(frozen=True)
class ExactComplex:
    """A complex number with rational parts; the order is lexicographic."""

    real: Fraction
    imag: Fraction

    def __add__(self, other: Number | NoAnswer) -> ExactComplex:
        if isinstance(other, NoAnswer):
            return NotImplemented
        other = as_complex(other)
        return ExactComplex(self.real + other.real, self.imag + other.imag)

    def __neg__(self) -> ExactComplex:
        return ExactComplex(-self.real, -self.imag)

    def __sub__(self, other: Number) -> ExactComplex:
        return self + -as_complex(other)

    def __rsub__(self, other: Number) -> ExactComplex:
        return as_complex(other) - self

    def __mul__(self, other: Number | NoAnswer) -> ExactComplex:
        if isinstance(other, NoAnswer):
            return NotImplemented
        other = as_complex(other)
        return ExactComplex(
            self.real * other.real - self.imag * other.imag,
            self.real * other.imag + self.imag * other.real,
        )

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> ExactComplex:
        other = as_complex(other)
        size = other.norm2()
        product = self * other.conjugate()
        return ExactComplex(product.real / size, product.imag / size)

    def __rtruediv__(self, other: Number) -> ExactComplex:
        return as_complex(other) / self

    def __pow__(self, exponent: int) -> ExactComplex:
        result, factor = as_complex(1), self
        for bit in reversed(bin(abs(exponent))[2:]):
            result = result * factor if bit == "1" else result
            factor = factor * factor
        return 1 / result if exponent < 0 else result

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ExactComplex):
            return (self.real, self.imag) == (other.real, other.imag)
        if isinstance(other, complex):
            return (self.real, self.imag) == (other.real, other.imag)
        return self.imag == 0 and self.real == other

    def __lt__(self, other: Any) -> bool:
        than = as_complex(other)
        return (self.real, self.imag) < (than.real, than.imag)

    def __hash__(self) -> int:
        return hash(self.real) if self.imag == 0 else hash((self.real, self.imag))

    def __complex__(self) -> complex:
        return complex(self.real, self.imag)

    def conjugate(self) -> ExactComplex:
        """Return the complex conjugate."""
        return ExactComplex(self.real, -self.imag)

    def norm2(self) -> Fraction:
        """Return |z|^2."""
        return self.real * self.real + self.imag * self.imag


def as_complex(value: Number) -> ExactComplex:
    """Return a number as a complex one."""
    if isinstance(value, ExactComplex):
        return value
    if isinstance(value, float):
        raise NoExactAnswer(NoAnswer(None, (value,)))
    return ExactComplex(Fraction(value), Fraction(0))


class NoExactAnswer(ArithmeticError):
    """A number is needed that cannot be computed exactly.

    Attributes:
        op: the op that has no exact answer; None where a parameter or x is no number.
        operands: what it was asked of.
    """

    def __init__(self, answer: NoAnswer):
        self.op = answer.op
        self.operands = answer.operands
        name = "a value" if self.op is None else self.op.name
        found = ", ".join(map(str, self.operands))
        super().__init__(f"{name} has no exact answer for ({found})")


@dataclass(frozen=True, eq=False)
class NoAnswer:
    """Stands for a number that an op could not compute; so is what is made of it.

    Attributes:
        op: that op, or None for a parameter or x.
        operands: the numbers that it was asked of.
    """

    op: Operation | None
    operands: tuple[object, ...]

    def _spread(self, *others: object) -> NoAnswer:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _spread
    __neg__ = __abs__ = __floor__ = _spread

    def _in_no_order(self, other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _in_no_order


def _first_without_answer(values: Array) -> NoAnswer | None:
    if values.dtype != object:
        return None
    found = (value for value in values.ravel() if isinstance(value, NoAnswer))
    return next(found, None)


def _demand(*values: Any) -> None:
    """Raise NoExactAnswer if a number of some arrays has none."""
    for value in values:
        missing = _first_without_answer(np.asarray(value))
        if missing is not None:
            raise NoExactAnswer(missing)


def _elementwise(function: Callable[..., object], *arrays: Array) -> Array:
    """Apply a function of scalars; the answer is an array of objects."""
    result = np.frompyfunc(function, len(arrays), 1)(*arrays)
    if isinstance(result, np.ndarray):
        return cast(Array, result)
    alone = np.empty((), object)
    alone[()] = result
    return alone


def _finite(op: Operation | None, value: Real | float) -> Fraction | NoAnswer:
    if isinstance(value, float) and not math.isfinite(value):
        return NoAnswer(op, (value,))
    return Fraction(value)


# endregion
# region What ops compute


class _Irrational(ArithmeticError):
    """The answer of an op is no rational number, or none that is known to be."""


def _root(value: Real, degree: int) -> Fraction:
    """Return the real root of a number that is not negative."""
    if value < 0:
        raise _Irrational
    exact = Fraction(value)
    return Fraction(
        _integer_root(exact.numerator, degree), _integer_root(exact.denominator, degree)
    )


def _integer_root(value: int, degree: int) -> int:
    """Return the root of a perfect power, by bisection."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        if middle**degree < value:
            low = middle + 1
        else:
            high = middle
    if low**degree != value:
        raise _Irrational
    return low


def _sqrt(value: Number) -> Number:
    """Return the principal square root."""
    if not isinstance(value, ExactComplex):
        return _root(value, 2)
    modulus = _root(value.norm2(), 2)
    real = _root((modulus + value.real) / 2, 2)
    imag = _root((modulus - value.real) / 2, 2)
    return ExactComplex(real, -imag if value.imag < 0 else imag)


def _square(value: Any) -> Any:
    return value * value


def _rsqrt(value: Number) -> Number:
    return _divide(1, _sqrt(value))


def _cbrt(value: Number) -> Number:
    if isinstance(value, ExactComplex):
        raise _Irrational  # the reference takes another branch than the real root
    return -_root(-value, 3) if value < 0 else _root(value, 3)


def _absolute(value: Number) -> Real:
    return _root(value.norm2(), 2) if isinstance(value, ExactComplex) else abs(value)


def _divide(lhs: Number, rhs: Number) -> Number:
    if isinstance(lhs, ExactComplex) or isinstance(rhs, ExactComplex):
        return as_complex(lhs) / rhs
    return Fraction(lhs) / rhs


def _sign(value: Number) -> Number:
    if isinstance(value, ExactComplex):
        return value if value == 0 else value / _absolute(value)
    return Fraction((value > 0) - (value < 0))


def _remainder(lhs: Real, rhs: Real) -> Real:
    """Return the remainder with the sign of the dividend."""
    return lhs - rhs * math.trunc(Fraction(lhs) / rhs)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(exponent, ExactComplex):
        if exponent.imag != 0:
            raise _Irrational
        exponent = exponent.real
    exact = Fraction(exponent)
    if exact.denominator == 1:
        return _integer_power(base, exact.numerator)
    if isinstance(base, ExactComplex):
        if exact.denominator != 2:
            raise _Irrational
        return _integer_power(_sqrt(base), exact.numerator)
    return _integer_power(_root(base, exact.denominator), exact.numerator)


def _integer_power(base: Number, exponent: int) -> Number:
    parts = (base.real, base.imag) if isinstance(base, ExactComplex) else (base,)
    bits = max(
        max(part.numerator.bit_length(), part.denominator.bit_length())
        for part in parts
    )
    if bits > 1 and bits * abs(exponent) > MOST_BITS:
        raise _Irrational
    return (
        base**exponent
        if isinstance(base, ExactComplex)
        else Fraction(base) ** (exponent)
    )


def _clamp(lower: Any, value: Any, upper: Any) -> Number:
    return min(max(value, lower), upper)


def _round_half_away(value: Real) -> Fraction:
    size = math.floor(abs(value) + Fraction(1, 2))
    return Fraction(-size if value < 0 else size)


def _round_half_even(value: Real) -> Fraction:
    return Fraction(round(value))


def _floor(value: Real) -> Fraction:
    return Fraction(math.floor(value))


def _ceil(value: Real) -> Fraction:
    return Fraction(math.ceil(value))


def _real(value: Number) -> Fraction:
    return Fraction(value.real)


def _imag(value: Number) -> Fraction:
    return Fraction(value.imag)


def _complex(real: Real, imag: Real) -> ExactComplex:
    return ExactComplex(Fraction(real), Fraction(imag))


def _only_at(argument: int, answer: Fraction | int) -> Callable[[Number], Number]:
    """A function that is rational at one rational number only, as far as we know."""

    def at(value: Number) -> Number:
        if value != argument:
            raise _Irrational
        kind = as_complex if isinstance(value, ExactComplex) else Fraction
        return kind(answer)

    return at


def _never(*values: Number) -> NoReturn:
    raise _Irrational


def _atan2(lhs: Number, rhs: Number) -> Number:
    if isinstance(lhs, ExactComplex) or lhs != 0 or cast(Real, rhs) <= 0:
        raise _Irrational
    return Fraction(0)


# endregion
# region Implementations


def _as_float(value: object) -> complex:
    """Return the nearest double; NaN for what has no answer, or is too large."""
    try:
        if isinstance(value, ExactComplex):
            return complex(value)
        return math.nan if isinstance(value, NoAnswer) else float(cast(Real, value))
    except OverflowError:
        return math.nan


def _answering(op: Operation, function: Callable[..., Any]) -> Callable[..., object]:
    """Return the function of an op, or that it has no answer."""

    def at(*numbers: Any) -> object:
        for number in numbers:
            if isinstance(number, NoAnswer):
                return number
        try:
            return function(*numbers)
        except (_Irrational, ZeroDivisionError):
            return NoAnswer(op, numbers)

    return at


def _is_missing(op: Operation) -> Callable[[object], bool]:
    return lambda value: isinstance(value, NoAnswer) and value.op is op


def _as_floats(values: Array, operand: SSAValue) -> Array:
    if values.dtype != object:
        return values
    dtype = complex if isinstance(element_of(operand), ComplexType) else float
    return _elementwise(_as_float, values).astype(dtype)


_RULES: dict[type[Operation], Callable[..., Any]] = {
    hlo.AbsOp: _absolute,
    hlo.CbrtOp: _cbrt,
    hlo.CeilOp: _ceil,
    hlo.CosineOp: _only_at(0, 1),
    hlo.ExponentialOp: _only_at(0, 1),
    hlo.ExponentialMinusOneOp: _only_at(0, 0),
    hlo.FloorOp: _floor,
    hlo.ImagOp: _imag,
    hlo.LogOp: _only_at(1, 0),
    hlo.LogPlusOneOp: _only_at(0, 0),
    hlo.LogisticOp: _only_at(0, Fraction(1, 2)),
    hlo.NegateOp: python.neg,
    hlo.RealOp: _real,
    hlo.RoundNearestAfzOp: _round_half_away,
    hlo.RoundNearestEvenOp: _round_half_even,
    hlo.RsqrtOp: _rsqrt,
    hlo.SignOp: _sign,
    hlo.SineOp: _only_at(0, 0),
    hlo.SqrtOp: _sqrt,
    hlo.TanOp: _only_at(0, 0),
    hlo.TanhOp: _only_at(0, 0),
    hlo.AddOp: python.add,
    hlo.Atan2Op: _atan2,
    hlo.ComplexOp: _complex,
    hlo.DivideOp: _divide,
    hlo.MaximumOp: max,
    hlo.MinimumOp: min,
    hlo.MultiplyOp: python.mul,
    hlo.PowerOp: _power,
    hlo.RemainderOp: _remainder,
    hlo.SubtractOp: python.sub,
    hlo.ClampOp: _clamp,
    CHLO["square"]: _square,
}
"""Functions of numbers; an op without one has no exact answer."""


def _as_integers(values: Array, dtype: np.dtype[Any]) -> Array:
    if values.dtype != object:
        return converted(values, dtype)
    return _elementwise(_to_integer(dtype), values).astype(dtype)


def _to_integer(dtype: np.dtype[Any]) -> Callable[[Number], int | bool]:
    """Return how a number becomes an integer: truncated, and saturated."""
    if dtype.kind == "b":
        return lambda value: value != 0
    limits = np.iinfo(dtype)

    def convert(value: Number | NoAnswer) -> int:
        if isinstance(value, NoAnswer):  # where the value is not defined
            return 0
        whole = math.trunc(_real(value))
        return max(int(limits.min), min(whole, int(limits.max)))

    return convert


class _Decisions(Interpreter.Listener):
    """Sees that what decides has an answer, and x' where a branch may be valid."""

    def will_interpret_op(self, op: Operation, args: PythonValues) -> None:
        if isinstance(op, sym.EmitOp):
            config, _, *predicate = args
            valid = np.ones(len(values_of(config)), bool)
            for holds in (*map(defined_of, args), *map(values_of, predicate)):
                valid &= holds
            _demand(values_of(config)[valid])
        elif isinstance(op, _DECIDING) or _makes_integers(op):
            for value in args:
                _demand(_known(value))


_DECIDING = (
    *(hlo.CompareOp, hlo.IsFiniteOp, hlo.BitcastConvertOp),
    *(sym.AllowedOp, sym.LocalIndexOp, sym.LocalValueOp, sym.ShiftModOp),
    *(sym.SiteOp, sym.LookupOp, TopKOp),
)
"""Ops whose result is a choice, a place or a site: there is none without an answer."""


def _makes_integers(op: Operation) -> bool:
    return (
        isinstance(op, hlo.ConvertOp)
        and dtype_of(element_of(op.result)).kind not in "fc"
    )


def _known(value: Array | Partial) -> Array:
    """Return the numbers of a value where it is defined."""
    if not isinstance(value, Partial):
        return value
    return np.broadcast_to(value.values.T, value.defined.shape)[value.defined]


class Fractions(Numbers):
    """Rational numbers for all floats; the other dtypes stay as they are.

    Attributes:
        inexact: whether an op without an exact answer has none, or that of the
            reference in double precision.
    """

    refused = "cSUMm"
    listeners = (_Decisions(),)

    def __init__(self, inexact: Inexact = "error"):
        self.inexact = inexact

    def dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(object) if dtype.kind in "fc" else dtype

    def taken(
        self, values: npt.ArrayLike, dtype: np.dtype[Any], op: Operation | None = None
    ) -> Array:
        given = np.asarray(values)
        if dtype.kind not in "fc":
            _demand(given)
            return _as_integers(given, dtype)
        if given.dtype != object:
            given = super().taken(given, dtype).astype(object)
        # A complex number of NumPy is a Python one now, a float a float

        def exactly(value: Any) -> object:
            if isinstance(value, NoAnswer):
                return value
            if dtype.kind == "f":
                return _finite(op, value.real)
            real, imag = _finite(op, value.real), _finite(op, value.imag)
            if isinstance(real, NoAnswer) or isinstance(imag, NoAnswer):
                return NoAnswer(op, (value,))
            return ExactComplex(real, imag)

        return _elementwise(exactly, given)

    def given(self, values: Array, op: Operation | None = None) -> Array:
        return self.taken(values, values.dtype, op)

    def computed(self, reference: Reference, op: Operation, args: Any) -> Any:
        dtype = dtype_of(element_of(op.results[0]))
        if isinstance(op, hlo.ConvertOp):
            (value,) = args
            is_exact = dtype.kind in "fc"
            values = value.astype(object) if is_exact else _as_integers(value, dtype)
            return self.taken(values, dtype, op)
        if all(value.dtype != object for value in args):
            return self.given(reference(op, *args), op)
        if isinstance(op, hlo.SelectOp):
            return reference(op, *args)
        if isinstance(op, hlo.CompareOp):
            return np.asarray(COMPARISONS[op.comparison_direction.data](*args))
        if isinstance(op, hlo.IsFiniteOp):
            return np.ones(args[0].shape, bool)
        function = _RULES.get(type(op), _never)
        exact = _elementwise(_answering(op, function), *args)
        missing = _elementwise(_is_missing(op), exact).astype(bool)
        if self.inexact == "error" or not missing.any():
            return exact
        floats = map(_as_floats, args, op.operands)
        rounded = self.taken(reference(op, *floats), dtype, op)
        return np.where(missing, rounded, exact)


# endregion
# region Evaluation


def exact_connections(
    operator: sym.OperatorOp | ModuleOp,
    x: npt.ArrayLike,
    parameters: Parameters | None = None,
    *,
    inexact: Inexact = "error",
) -> tuple[Array, Array]:
    """Return the connected configurations and matrix elements without rounding.

    As `dialects.interpreters.sym.connections`, but for the numbers: `xp` of shape
    (..., K, N) has a `Fraction` for each local value, `mels` of shape (..., K) one for
    each matrix element, or an `ExactComplex` if the operator is complex. `x` may be an
    array of rational numbers. With `inexact="float"` an op without an exact answer has
    that of the reference in double precision, taken exactly.

    Raises:
        NoExactAnswer: where a decision or a valid branch needs a number that is not
            rational, and for an x or parameter that is not finite.
        ValueError: as `connections` does.
    """
    given = np.asarray(x)
    if given.dtype.kind in "biuf":
        given = Fractions().taken(given, np.result_type(given, np.float64))
    exactly = interpreter_of(operator, numbers=Fractions(inexact))
    xp, mels = connections(operator, given, parameters, interpreter=exactly)
    return _settled(xp, as_real=True), _settled(mels, as_real=not _is_complex(operator))


def _is_complex(operator: sym.OperatorOp | ModuleOp) -> bool:
    return any(
        isinstance(op.element, ComplexType)
        for op in operator.walk()
        if isinstance(op, sym.OperatorOp)
    )


def _settled(values: Array, *, as_real: bool) -> Array:
    """Return numbers of one type, all of which have an answer."""

    def settle(value: Any) -> object:
        if isinstance(value, float):  # NaN: more branches than promised, a broken sum
            value = NoAnswer(None, (value,))
        if isinstance(value, NoAnswer):
            raise NoExactAnswer(value)
        return Fraction(value) if as_real else as_complex(value)

    return _elementwise(settle, values)


# endregion
