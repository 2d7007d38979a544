"""Recognition of the scalar functions of a wavefunction, by algebra.

A region of elementwise ops is followed as a function of its root t, in the normal forms
of `exponential_forms`. How it is written does not matter: what these end in is compared
with a library, up to a factor and a constant. Comparisons, and what depends on a sign,
are decided for t > 0, t = 0 and t < 0 (the real part of complex t), where all have to
agree. An op that leads out of the forms is not followed, and neither is one that rounds
more than the root is rounded: that is a part of the model.
"""

# pyright: basic, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import ComparisonType

from dialects.stablehlo import constant_of, dtype_of, element_of
from lowering.change.form_analysis import Forms
from lowering.change.forms import Added, Elementwise, Same
from lowering.energy.exponential_forms import (
    ExponentialProduct,
    Exponentials,
    Form,
    NoForm,
    Sum,
    added,
    expanded,
    exponential,
    logarithm,
    multiplied,
    power,
    scaled,
    sign,
)
from lowering.energy.extraction import is_coarse
from lowering.evaluate import evaluate
from lowering.order import operands_first
from lowering.rewriting import op_name

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Activation:
    """A scalar function g that the compiler knows.

    Attributes:
        name: its name.
        terms: pairs (k, s), with g(t) = sum k softplus(s t) + linear t + constant; none
            where it is no logarithm of an exponential sum.
        linear: the factor of t.
        constant: the rest.
    """

    name: str
    terms: tuple[tuple[float, float], ...] = ()
    linear: float = 0.0
    constant: float = 0.0

    @cached_property
    def form(self) -> Sum:
        """Normal form of a sum of softplus, without the constant."""
        found: Form = Sum(0j, self.linear)
        for k, s in self.terms:
            # softplus(-s t) is softplus(s t) - s t
            softplus = frozenset([(((abs(s), 1 + 0j),), complex(k))])
            found = added(found, Sum(0j, min(s, 0.0) * k, softplus))
        return cast(Sum, found)

    @property
    def at_zero(self) -> float:
        """g(0)."""
        return self.constant + sum(k for k, _ in self.terms) * float(np.log(2.0))


ACTIVATIONS = {
    one.name: one
    for one in (
        Activation("log_cosh", ((1.0, 2.0),), -1.0, -float(np.log(2.0))),
        Activation("softplus", ((1.0, 1.0),)),
        Activation("log_sigmoid", ((-1.0, -1.0),)),
        Activation("tanh"),
    )
}
"""The library, by name."""


@dataclass(frozen=True)
class Fit:
    """A region is factor * g(root) + const.

    Attributes:
        root: what it is a function of.
        activation: g.
        factor: the factor.
        is_plain: whether it is g(root) itself.
    """

    root: SSAValue
    activation: Activation
    factor: complex
    is_plain: bool


# region Constants


def _dtype(value: SSAValue) -> np.dtype[Any]:
    return dtype_of(cast("TensorType[Attribute]", value.type).element_type)


def known_number(value: SSAValue) -> complex | None:
    """Return the number that all elements of a constant value are, if it is known."""
    values: dict[SSAValue, Array] = {}
    for one in operands_first(value):
        if not isinstance(one.owner, Operation):
            return None
        array = constant_of(one)
        if array is not None:
            if not array.size or not (array == array.flat[0]).all():
                return None
            values[one] = array.reshape(-1)[0]
            continue
        operands = [values[v] for v in one.owner.operands]
        number = _evaluated(one.owner, operands)
        if number is None:
            return None
        values[one] = number
    return complex(np.asarray(values[value]).reshape(-1)[0])


def _evaluated(op: Operation, operands: Sequence[Array]) -> Array | None:
    return operands[0] if op_name(op) in _SAME else evaluate(op, operands)


# endregion
# region Following ops


@dataclass(frozen=True)
class _Bits:
    """The bits of a float."""

    of: Form


@dataclass(frozen=True)
class _Unknown:
    """A value without a form, which does no harm where it is not selected."""

    reason: str


Value: TypeAlias = "Form | Array | _Bits | _Unknown"
"""A function of t, an integer or predicate, or what is no form."""

ONE = Sum(1.0 + 0j)


class _NotFollowed(Exception):
    """An op that is not followed; says why."""


@dataclass(frozen=True)
class _Case:
    """Where t is.

    Attributes:
        side: its sign, or that of its real part.
        is_complex: whether it is complex.
        slope: 1, and 0 for the number 0.
    """

    side: int
    is_complex: bool
    slope: float = 1.0

    def sign(self, form: Form) -> int:
        """Return the sign of a real number."""
        is_part = isinstance(form, Sum) and (form.is_part or form.is_constant)
        found = sign(form, self.side) if is_part or not self.is_complex else None
        if found is None:
            raise NoForm
        return found

    def order(self, lhs: Form, rhs: Form) -> int:
        """Return the sign of lhs - rhs."""
        if lhs == rhs:
            return 0
        if not (isinstance(lhs, Sum) and isinstance(rhs, Sum)):
            raise NoForm
        constant = lhs.constant - rhs.constant  # of any size
        rest = added(replace(lhs, constant=0j), scaled(replace(rhs, constant=0j), -1))
        return self.sign(replace(cast(Sum, rest), constant=constant))

    def differ(self, lhs: Form, rhs: Form) -> bool:
        """Whether complex numbers differ for all t but 0, as multiples of t do."""
        found = added(lhs, scaled(rhs, -1))
        is_line = isinstance(found, Sum) and not found.logs and not found.is_part
        return is_line and bool(found.slope) and not found.constant

    def log(self, form: Form) -> Form:
        return logarithm(form, self.side if self.is_complex else None)

    def larger(self, lhs: Form, rhs: Form) -> Form:
        return rhs if self.order(lhs, rhs) < 0 else lhs

    def smaller(self, lhs: Form, rhs: Form) -> Form:
        return lhs if self.order(lhs, rhs) < 0 else rhs

    def absolute(self, form: Form) -> Form:
        return scaled(form, -1) if self.sign(form) < 0 else form

    def real(self, form: Form) -> Form:
        if not self.is_complex and form.is_real:
            return form
        is_line = isinstance(form, Sum) and not form.logs and form.slope.imag == 0
        if self.is_complex and is_line:
            return replace(form, constant=complex(form.constant.real), is_part=True)
        raise NoForm

    def imag(self, form: Form) -> Form:
        if self.is_complex or not form.is_real:
            raise NoForm
        return Sum(0j)

    def root(self, form: Form, exponent: float) -> Form:
        if self.is_complex:
            raise NoForm
        return power(form, exponent)

    def power(self, base: Form, exponent: Form) -> Form:
        if not (
            isinstance(exponent, Sum) and exponent.is_constant and exponent.is_real
        ):
            raise NoForm
        number = exponent.constant.real
        return power(base, number) if number.is_integer() else self.root(base, number)

    def parts(self, real: Form, imag: Form) -> Form:
        if self.is_complex:
            raise NoForm
        return added(real, scaled(imag, 1j))


def _tanh(form: Form) -> Form:
    twice = exponential(scaled(form, 2))
    return multiplied(added(twice, scaled(ONE, -1)), power(added(twice, ONE), -1))


def _half_sum(form: Form, of_opposite: float) -> Form:
    opposite = exponential(scaled(form, -1))
    return added(scaled(exponential(form), 0.5), scaled(opposite, of_opposite))


_SAME = {f"stablehlo.{name}" for name in ("broadcast_in_dim", "reshape", "transpose")}
"""Ops that only lay out equal numbers, or reorder elements."""

_RULES: dict[str, Callable[..., Form]] = {
    **dict.fromkeys([*_SAME, "stablehlo.convert"], lambda case, a: a),
    "chlo.cosh": lambda case, a: _half_sum(a, 0.5),
    "chlo.sinh": lambda case, a: _half_sum(a, -0.5),
    "chlo.square": lambda case, a: power(a, 2),
    "stablehlo.abs": _Case.absolute,
    "stablehlo.add": lambda case, a, b: added(a, b),
    "stablehlo.clamp": lambda case, low, a, high: case.smaller(
        case.larger(a, low), high
    ),
    "stablehlo.complex": _Case.parts,
    "stablehlo.divide": lambda case, a, b: multiplied(a, power(b, -1)),
    "stablehlo.exponential": lambda case, a: exponential(a),
    "stablehlo.exponential_minus_one": lambda case, a: added(
        exponential(a), scaled(ONE, -1)
    ),
    "stablehlo.imag": _Case.imag,
    "stablehlo.log": _Case.log,
    "stablehlo.log_plus_one": lambda case, a: case.log(added(a, ONE)),
    "stablehlo.logistic": lambda case, a: power(
        added(exponential(scaled(a, -1)), ONE), -1
    ),
    "stablehlo.maximum": _Case.larger,
    "stablehlo.minimum": _Case.smaller,
    "stablehlo.multiply": lambda case, a, b: multiplied(a, b),
    "stablehlo.negate": lambda case, a: scaled(a, -1),
    "stablehlo.power": _Case.power,
    "stablehlo.real": _Case.real,
    "stablehlo.rsqrt": lambda case, a: case.root(a, -0.5),
    "stablehlo.sign": lambda case, a: Sum(complex(case.sign(a))),
    "stablehlo.sqrt": lambda case, a: case.root(a, 0.5),
    "stablehlo.subtract": lambda case, a, b: added(a, scaled(b, -1)),
    "stablehlo.tanh": lambda case, a: _tanh(a),
}
"""Rules of ops for forms; there are none of whole numbers, nor of their bits."""

_HOLDS: dict[str, tuple[int, ...]] = {
    "EQ": (0,),
    "NE": (-1, 1),
    "LT": (-1,),
    "LE": (-1, 0),
    "GT": (1,),
    "GE": (0, 1),
}
"""The signs of a difference for which a comparison holds."""


def _followed(value: SSAValue, root: SSAValue, known: Forms, case: _Case) -> Form:
    """Return a value as a function of a root."""
    values: dict[SSAValue, Value] = {root: Sum(0j, case.slope)}
    for one in operands_first(value, known=(root,)):
        if isinstance(known[one], Same):
            continue
        op = one.owner
        if not isinstance(op, Operation):
            raise _NotFollowed("it depends on x in another way as well")
        _check_rounding(one, root)
        for operand in op.operands:
            if operand not in values:
                values[operand] = _number(operand, op)
        values[one] = _result(op, [values[v] for v in op.operands], case)
    found = values[value]
    if isinstance(found, Form):
        return found
    raise _NotFollowed(
        found.reason if isinstance(found, _Unknown) else "it is no number"
    )


def _check_rounding(value: SSAValue, root: SSAValue) -> None:
    if is_coarse(value) and element_of(value) != element_of(root):
        raise _NotFollowed("it rounds to 16 bits")
    dtype = _dtype(value)
    if dtype.kind in "fc" and _bytes(dtype) < _bytes(_dtype(root)):
        raise _NotFollowed(f"it rounds to {8 * _bytes(dtype)} bits")


def _bytes(dtype: np.dtype[Any]) -> int:
    """Return the size of a number, or of each part of a complex one."""
    return dtype.itemsize // (2 if dtype.kind == "c" else 1)


def _number(value: SSAValue, op: Operation) -> Value:
    number = known_number(value)
    if number is None:
        reason = f"'{op_name(op)}' has a factor or bound that is a parameter"
        raise _NotFollowed(reason)
    dtype = _dtype(value)
    return Sum(number) if dtype.kind in "fc" else np.asarray(number.real, dtype)


def _is_known(value: Value) -> bool:
    """Whether a value is an integer or a predicate that is known."""
    return isinstance(value, np.ndarray | np.generic)


def _result(op: Operation, operands: Sequence[Value], case: _Case) -> Value:
    if isinstance(op, hlo.SelectOp):
        predicate, *sides = operands
        if _is_known(predicate):
            return sides[not predicate]
        if isinstance(sides[0], Form) and sides[0] == sides[1]:
            return sides[0]
    unknown = next((one for one in operands if isinstance(one, _Unknown)), None)
    if unknown is not None:
        return unknown
    try:
        return _computed(op, operands, case)
    except NoForm:
        return _Unknown(f"'{op_name(op)}' is not followed")


def _computed(op: Operation, operands: Sequence[Value], case: _Case) -> Value:
    dtype, first = _dtype(op.results[0]), operands[0]
    if isinstance(first, _Bits):
        return _sign_bit(op, first, case)
    if all(map(_is_known, operands)):
        found = _evaluated(op, cast("list[Array]", operands))
        if found is None:
            raise NoForm
        return Sum(complex(found)) if dtype.kind in "fc" else found
    if not all(isinstance(one, Form) for one in operands):
        raise NoForm
    forms = cast("list[Form]", operands)
    if isinstance(op, hlo.BitcastConvertOp):
        return _Bits(forms[0])
    if isinstance(op, hlo.CompareOp):
        return _compared(op, *forms, case=case)
    if isinstance(op, hlo.IsFiniteOp) and isinstance(first, Sum) and not first.logs:
        return np.asarray(True)
    rule = _RULES.get(op_name(op))
    if rule is None or dtype.kind not in "fc":
        raise NoForm
    if isinstance(op, hlo.ConvertOp) and dtype.kind == "f":
        rule = _Case.real
    return rule(case, *forms)


def _sign_bit(op: Operation, bits: _Bits, case: _Case) -> Array:
    """Return -1 or 0 where an op is x >> (bits - 1), all that is known of bits."""
    last = 8 * _dtype(op.results[0]).itemsize - 1
    if isinstance(op, hlo.ShiftRightArithmeticOp) and known_number(op.rhs) == last:
        return np.asarray(min(case.sign(bits.of), 0), _dtype(op.results[0]))
    raise NoForm


def _compared(op: hlo.CompareOp, lhs: Form, rhs: Form, case: _Case) -> Array:
    kind, direction = op.comparison_type, op.comparison_direction.data.value
    if kind is not None and kind.data == ComparisonType.TOTALORDER:
        raise NoForm
    if case.is_complex and direction in ("EQ", "NE") and case.differ(lhs, rhs):
        return np.asarray(direction == "NE")
    return np.asarray(case.order(lhs, rhs) in _HOLDS[direction])


# endregion
# region Fits


_NEAR = {2: 3e-2, 4: 3e-5, 8: 1e-12}
"""Tolerance of constants, by the bytes of a real number."""


def fit_of(value: SSAValue, known: Forms, names: Sequence[str] = ()) -> Fit | str:
    """Return which activation a value is, or why none.

    `known` is what `analyse` says of all values; `names` are those of activations that
    are tried, by default all.
    """
    one = known[value]
    if not isinstance(one, Elementwise):
        return "it is no function of the elements of one additive value"
    reasons: list[str] = []
    for root in _roots(value, one.root, known):
        if _dtype(root).kind not in "fc":
            reasons.append("it is a function of whole numbers")
            continue
        try:
            found = _fitted(value, root, known, names or tuple(ACTIVATIONS))
        except _NotFollowed as error:
            reasons.append(str(error))
            continue
        if found is not None:
            return found
        reasons.append("it is none of the functions that are known")
    return reasons[0]


def _roots(value: SSAValue, root: SSAValue, known: Forms) -> list[SSAValue]:
    """Return the additive values that a value could be a function of alone."""
    found = [root]
    for one in operands_first(value):
        form = known[one]
        if isinstance(form, Added) and form.root == root and one is not root:
            found.append(one)
    return found


def _fitted(
    value: SSAValue,
    root: SSAValue,
    known: Forms,
    names: Sequence[str],
) -> Fit | None:
    """Return the activation that a value is of a root, on all sides of 0."""
    is_complex = _dtype(root).kind == "c"
    sides = (1, -1, 0) if is_complex else (1, -1)
    cases = [_Case(0, is_complex, 0.0), *(_Case(side, is_complex) for side in sides)]
    at_zero, *forms = (_followed(value, root, known, case) for case in cases)
    near = _NEAR[2 if is_coarse(root) else _bytes(_dtype(root))]
    for name in names:
        activation = ACTIVATIONS[name]
        lines = [_line(activation, form) for form in forms]
        if None in lines or not all(_are_near(lines[0], one, near) for one in lines):
            continue
        factor, constant = cast("tuple[complex, complex]", lines[0])
        expected = factor * activation.at_zero + constant
        error = added(at_zero, Sum(-expected))
        if not (isinstance(error, Sum) and error.is_constant):
            continue
        if abs(error.constant) > near * (1 + abs(expected)):
            continue
        is_plain = factor == 1 and abs(constant) <= near
        return Fit(root, activation, factor, is_plain)
    return None


def _line(activation: Activation, form: Form) -> tuple[complex, complex] | None:
    """Return the factor and the constant with which a form is an activation."""
    if not activation.terms:
        return _tanh_line(form)
    if isinstance(form, ExponentialProduct) or form.is_part or not form.logs:
        return None
    own = activation.form
    ((first, k), *_) = own.logs
    factor = dict(form.logs).get(first, 0j) / k
    expected = scaled(own, factor)
    if expected != replace(form, constant=0j, turns=frozenset()):
        return None
    # As many turns as the activation itself may miss do not count
    if form.turns and not (
        is_whole(factor) and all(is_whole(turn / factor) for turn in form.turns)
    ):
        return None
    return _plain(factor), form.constant - factor * activation.constant


def _plain(number: complex) -> complex:
    """Return a number without a zero of negative sign."""
    return complex(number.real + 0.0, number.imag + 0.0)


def is_whole(number: complex) -> bool:
    """Whether a number has neither a fraction nor an imaginary part."""
    return number.imag == 0 and number.real.is_integer()


def _tanh_line(form: Form) -> tuple[complex, complex] | None:
    """Return f and c of f tanh t + c, which is (a + b exp 2t) / (1 + exp 2t)."""
    try:
        denominator: Exponentials = ((2.0, 1 + 0j),)
        found = multiplied(
            form, ExponentialProduct(1.0, 0.0, frozenset({(denominator, 1.0)}))
        )
        terms = (
            expanded(found)
            if isinstance(found, ExponentialProduct)
            else {0.0: found.constant}
        )
    except NoForm:
        return None
    if isinstance(form, Sum) or terms.keys() - {0.0, 2.0}:
        return None
    a, b = terms.get(0.0, 0), terms.get(2.0, 0)
    return _plain(complex(b - a) / 2), complex(a + b) / 2


def _are_near(one: Any, other: Any, near: float) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) <= near


# endregion
