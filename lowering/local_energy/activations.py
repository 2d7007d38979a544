"""Which activation a scalar function of a wavefunction is: found by algebra.

A region of elementwise ops is followed as a function of its root t, in the normal forms
of `exponential_forms`. How it is written does not matter: what these end in is compared
with a library, up to a factor and a constant. Comparisons, and what depends on a sign,
are decided for t > 0, t = 0 and t < 0 (the real part of complex t), where all have to
agree. An op that leads out of the forms is not followed, and neither is one that rounds
more than the root is rounded: that is a part of the model.
"""

# pyright: basic, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo
from xdsl_jax.dialects.stablehlo.attributes import ComparisonType

from dialects.stablehlo import constant_of, dtype_of, element_of
from lowering.evaluate import Evaluator, evaluator
from lowering.local_energy.exponential_forms import (
    Exponentials,
    Form,
    NoForm,
    Product,
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
from lowering.local_energy.extraction import is_coarse
from lowering.local_energy.site_affine import (
    Additive,
    Constant,
    Dependence,
    Elementwise,
    op_name,
)
from lowering.order import operands_first

__all__ = ["ACTIVATIONS", "Activation", "Fit", "fit_of", "known_number"]

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


_MORE: dict[str, Callable[..., Array]] = {
    "chlo.cosh": np.cosh,
    "chlo.sinh": np.sinh,
    "chlo.square": np.square,
    "stablehlo.clamp": lambda low, value, high: np.minimum(
        np.maximum(value, low), high
    ),
    "stablehlo.exponential_minus_one": np.expm1,
    "stablehlo.is_finite": np.isfinite,
    "stablehlo.log_plus_one": np.log1p,
    "stablehlo.logistic": lambda value: 1 / (1 + np.exp(-value)),
    "stablehlo.rsqrt": lambda value: 1 / np.sqrt(value),
}
"""What folding does not know."""

_SAME = (hlo.BroadcastInDimOp, hlo.ReshapeOp, hlo.TransposeOp)
"""Ops that only lay out equal numbers, or reorder elements."""


def _dtype(value: SSAValue) -> np.dtype[Any]:
    return dtype_of(cast("TensorType[Attribute]", value.type).element_type)


def _function(op: Operation) -> Evaluator | None:
    """Return what an op does to scalars; None where that is not known.

    It is a function of operands and the dtype of the result.
    """
    if isinstance(op, _SAME):
        return lambda operands, dtype: operands[0]
    more = _MORE.get(op_name(op))
    if more is None:
        return evaluator(op)
    return lambda operands, dtype: np.asarray(more(*operands)).astype(dtype)


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
        function = _function(one.owner)
        if function is None:
            return None
        with np.errstate(all="ignore"):
            operands = [values[v] for v in one.owner.operands]
            values[one] = function(operands, _dtype(one))
    return complex(np.asarray(values[value]).reshape(-1)[0])


# endregion
# region Following ops


Value: TypeAlias = "Form | Array | None"
"""A function of t, a number, or a predicate that is not decided."""

ONE = Sum(1.0 + 0j)


class _NotFollowed(Exception):
    """An op that is not followed; says why."""


@dataclass(frozen=True)
class _Case:
    """Where t is: its sign, or that of its real part, and whether it is complex."""

    side: int
    is_complex: bool

    def sign(self, form: Form) -> int | None:
        """Return the sign of a real number, None where it is not known."""
        is_part = isinstance(form, Sum) and (form.is_part or form.is_constant)
        return sign(form, self.side) if is_part or not self.is_complex else None

    def log(self, form: Form) -> Form:
        return logarithm(form, self.side if self.is_complex else None)

    def larger(self, lhs: Form, rhs: Form) -> Form:
        found = self.order(lhs, rhs)
        if found is None:
            raise NoForm
        return rhs if found < 0 else lhs

    def smaller(self, lhs: Form, rhs: Form) -> Form:
        return rhs if self.larger(lhs, rhs) is lhs else lhs

    def order(self, lhs: Form, rhs: Form) -> int | None:
        """Return the sign of lhs - rhs, None where it is not known."""
        if lhs == rhs:
            return 0
        if not (isinstance(lhs, Sum) and isinstance(rhs, Sum)):
            return None
        constant = lhs.constant - rhs.constant  # of any size
        rest = added(replace(lhs, constant=0j), scaled(replace(rhs, constant=0j), -1))
        return self.sign(replace(cast(Sum, rest), constant=constant))

    def absolute(self, form: Form) -> Form:
        found = self.sign(form)
        if found is None:
            raise NoForm
        return scaled(form, -1) if found < 0 else form

    def sign_of(self, form: Form) -> Form:
        found = self.sign(form)
        if found is None:
            raise NoForm
        return Sum(complex(found))

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


_RULES: dict[str, Callable[..., Form]] = {
    "chlo.cosh": lambda case, a: _half_sum(a, 0.5),
    "chlo.sinh": lambda case, a: _half_sum(a, -0.5),
    "chlo.square": lambda case, a: power(a, 2),
    "stablehlo.abs": _Case.absolute,
    "stablehlo.add": lambda case, a, b: added(a, b),
    "stablehlo.broadcast_in_dim": lambda case, a: a,
    "stablehlo.clamp": lambda case, low, a, high: case.smaller(
        case.larger(a, low), high
    ),
    "stablehlo.complex": _Case.parts,
    "stablehlo.convert": lambda case, a: a,
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
    "stablehlo.reshape": lambda case, a: a,
    "stablehlo.rsqrt": lambda case, a: case.root(a, -0.5),
    "stablehlo.sign": _Case.sign_of,
    "stablehlo.sqrt": lambda case, a: case.root(a, 0.5),
    "stablehlo.subtract": lambda case, a, b: added(a, scaled(b, -1)),
    "stablehlo.tanh": lambda case, a: _tanh(a),
    "stablehlo.transpose": lambda case, a: a,
}
"""What ops do to forms; there are none of whole numbers, nor of their bits."""

_HOLDS: dict[str, tuple[int, ...]] = {
    "EQ": (0,),
    "NE": (-1, 1),
    "LT": (-1,),
    "LE": (-1, 0),
    "GT": (1,),
    "GE": (0, 1),
}
"""The signs of a difference for which a comparison holds."""


def _followed(
    value: SSAValue, root: SSAValue, known: Mapping[SSAValue, Dependence], case: _Case
) -> Form:
    """Return a value as a function of a root; a number is a constant sum."""
    dtype = _dtype(root)
    is_number = case.side == 0 and not case.is_complex
    start: Value = np.zeros((), dtype) if is_number else Sum(0j, 1.0)
    values: dict[SSAValue, Value] = {root: start}
    for one in operands_first(value, known=(root,)):
        if isinstance(known[one], Constant):
            continue
        op = one.owner
        if not isinstance(op, Operation):
            raise _NotFollowed("it depends on x in another way as well")
        _check_rounding(one, root)
        for operand in op.operands:
            if operand not in values:
                values[operand] = _number(operand, op)
        if isinstance(op, hlo.BitcastConvertOp):
            values[one] = None  # its sign is looked up in what it is made of
            continue
        try:
            with np.errstate(all="ignore"):
                values[one] = _result(
                    op, [values[v] for v in op.operands], values, case
                )
        except NoForm as error:
            raise _NotFollowed(f"'{op_name(op)}' is not followed") from error
    return _as_form(values[value])


def _check_rounding(value: SSAValue, root: SSAValue) -> None:
    if is_coarse(value) and element_of(value) != element_of(root):
        raise _NotFollowed("it rounds to 16 bits")
    dtype = _dtype(value)
    if dtype.kind in "fc" and _bytes(dtype) < _bytes(_dtype(root)):
        raise _NotFollowed(f"it rounds to {8 * _bytes(dtype)} bits")


def _bytes(dtype: np.dtype[Any]) -> int:
    """Return the size of a number, or of each part of a complex one."""
    return dtype.itemsize // (2 if dtype.kind == "c" else 1)


def _number(value: SSAValue, op: Operation) -> Array:
    number = known_number(value)
    if number is None:
        reason = f"'{op_name(op)}' has a factor or bound that is a parameter"
        raise _NotFollowed(reason)
    with np.errstate(all="ignore"):
        return _of_dtype(number, _dtype(value))


def _of_dtype(number: complex, dtype: np.dtype[Any]) -> Array:
    return np.asarray(number if dtype.kind == "c" else number.real).astype(dtype)


def _as_form(value: Value) -> Form:
    if value is None:
        raise NoForm
    return value if isinstance(value, Form) else Sum(complex(value))


def _result(
    op: Operation,
    operands: Sequence[Value],
    values: Mapping[SSAValue, Value],
    case: _Case,
) -> Value:
    dtype = _dtype(op.results[0])
    signed = _sign_bit_of(op)
    if signed is not None:
        of = values[signed]
        if isinstance(of, np.ndarray | np.generic):
            return np.where(np.signbit(of), -1, 0).astype(dtype)
        found = case.sign(_as_form(of))
        return None if found is None else np.asarray(min(found, 0), dtype)
    if all(isinstance(one, np.ndarray | np.generic) for one in operands):
        function = _function(op)
        if function is None:
            raise NoForm
        return np.asarray(function(cast("list[Array]", operands), dtype))
    if isinstance(op, hlo.SelectOp):
        return _selected(*operands)
    forms = [_as_form(one) for one in operands]
    if isinstance(op, hlo.CompareOp):
        return _compared(op, *forms, case=case)
    if (
        isinstance(op, hlo.IsFiniteOp)
        and isinstance(forms[0], Sum)
        and not forms[0].logs
    ):
        return np.asarray(True)
    rule = _RULES.get(op_name(op))
    if rule is None or dtype.kind not in "fc":
        raise NoForm
    if dtype.kind == "f" and isinstance(op, hlo.ConvertOp):
        rule = _Case.real if _dtype(op.operand).kind == "c" else rule
    found = rule(case, *forms)
    is_number = isinstance(found, Sum) and found.is_constant
    return _of_dtype(found.constant, dtype) if is_number else found


def _sign_bit_of(op: Operation) -> SSAValue | None:
    """Return y where an op is x >> (bits - 1) of the bits x of y: -1 or 0."""
    if not isinstance(op, hlo.ShiftRightArithmeticOp):
        return None
    before = op.lhs.owner
    is_sign = isinstance(before, hlo.BitcastConvertOp) and (
        known_number(op.rhs) == 8 * _dtype(op.results[0]).itemsize - 1
    )
    return before.operands[0] if is_sign else None


def _selected(predicate: Value, on_true: Value, on_false: Value) -> Value:
    if isinstance(predicate, np.ndarray | np.generic):
        return on_true if predicate else on_false
    if _as_form(on_true) != _as_form(on_false):
        raise NoForm
    return on_true


def _compared(op: hlo.CompareOp, lhs: Form, rhs: Form, case: _Case) -> Value:
    kind = op.comparison_type
    if kind is not None and kind.data == ComparisonType.TOTALORDER:
        raise NoForm
    found = case.order(lhs, rhs)
    if found is None:
        return None
    return np.asarray(found in _HOLDS[op.comparison_direction.data.value])


# endregion
# region Fits


_NEAR = {2: 3e-2, 4: 3e-5, 8: 1e-12}
"""How much constants may be off, by the bytes of a real number."""


def fit_of(
    value: SSAValue, known: Mapping[SSAValue, Dependence], names: Sequence[str] = ()
) -> Fit | str:
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


def _roots(
    value: SSAValue, root: SSAValue, known: Mapping[SSAValue, Dependence]
) -> list[SSAValue]:
    """Return the additive values that a value could be a function of alone."""
    found = [root]
    for one in operands_first(value):
        form = known[one]
        if isinstance(form, Additive) and form.root == root and one is not root:
            found.append(one)
    return found


def _fitted(
    value: SSAValue,
    root: SSAValue,
    known: Mapping[SSAValue, Dependence],
    names: Sequence[str],
) -> Fit | None:
    """Return the activation that a value is of a root, on all sides of 0."""
    is_complex = _dtype(root).kind == "c"
    above, at, below = (
        _followed(value, root, known, _Case(side, is_complex)) for side in (1, 0, -1)
    )
    near = _NEAR[2 if is_coarse(root) else _bytes(_dtype(root))]
    for name in names:
        activation = ACTIVATIONS[name]
        lines = [_line(activation, form) for form in (above, below)]
        if is_complex:
            lines.append(_line(activation, at))
        if None in lines or not all(_are_near(lines[0], one, near) for one in lines):
            continue
        factor, constant = cast("tuple[complex, complex]", lines[0])
        if isinstance(at, Sum) and at.is_constant:
            expected = factor * activation.at_zero + constant
            if not abs(at.constant - expected) <= 10 * near * (1 + abs(expected)):
                continue
        is_plain = factor == 1 and abs(constant) <= near
        return Fit(root, activation, factor, is_plain)
    return None


def _line(activation: Activation, form: Form) -> tuple[complex, complex] | None:
    """Return the factor and the constant with which a form is an activation."""
    if not activation.terms:
        return _tanh_line(form)
    if isinstance(form, Product) or form.is_part or len(form.logs) != 1:
        return None
    ((times, scale),) = activation.terms
    ((exponentials, k),) = form.logs
    factor = k / times
    # softplus(-s t) is softplus(s t) - s t
    slope = activation.linear + (times * scale if scale < 0 else 0.0)
    if exponentials != ((abs(scale), 1),) or form.slope != slope * factor:
        return None
    # As many turns as the activation itself may miss do not count
    if form.turns and not (
        _is_whole(factor) and all(_is_whole(turn / factor) for turn in form.turns)
    ):
        return None
    return factor, form.constant - factor * activation.constant


def _is_whole(number: complex) -> bool:
    return number.imag == 0 and number.real.is_integer()


def _tanh_line(form: Form) -> tuple[complex, complex] | None:
    """Return f and c of f tanh t + c, which is (a + b exp 2t) / (1 + exp 2t)."""
    try:
        denominator: Exponentials = ((2.0, 1 + 0j),)
        found = multiplied(form, Product(1.0, 0.0, frozenset({(denominator, 1.0)})))
        terms = expanded(found) if isinstance(found, Product) else {0.0: found.constant}
    except NoForm:
        return None
    if isinstance(form, Sum) or terms.keys() - {0.0, 2.0}:
        return None
    a, b = terms.get(0.0, 0), terms.get(2.0, 0)
    return complex(b - a) / 2, complex(a + b) / 2


def _are_near(one: Any, other: Any, near: float) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) <= near


# endregion
