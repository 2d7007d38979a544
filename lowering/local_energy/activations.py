"""Which activation a scalar function of a wavefunction is: found by its values.

A region of elementwise ops is evaluated with NumPy at some hundred points and compared
with a library, up to a factor and a constant. How it is written does not matter. It is
validation and no proof, so the points are chosen to find a difference: powers of two to
the end of the range, both sides of all places where a comparison or a choice in the
region changes, and a dense middle. Regions with ops that can hide a difference between
the points, such as rounding or a sine, are not looked at.
"""

# pyright: basic, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import constant_of, dtype_of
from lowering.evaluate import evaluate
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
        value: g at real or complex points.
        terms: pairs (k, s), with g(t) = sum k softplus(s t) + linear t + const; none
            where it is no logarithm of an exponential sum.
        linear: the factor of t.
    """

    name: str
    value: Callable[[Array], Array]
    terms: tuple[tuple[float, float], ...] = ()
    linear: float = 0.0


def _softplus(t: Array) -> Array:
    if np.iscomplexobj(t):
        sign = np.where(t.real > 0, 1.0, -1.0)
        return np.where(t.real > 0, t, 0) + np.log1p(np.exp(-sign * t))
    return np.maximum(t, 0) + np.log1p(np.exp(-np.abs(t)))


def _log_cosh(t: Array) -> Array:
    return _softplus(2 * t) - t - np.log(2.0)


ACTIVATIONS = {
    one.name: one
    for one in (
        Activation("log_cosh", _log_cosh, ((1.0, 2.0),), -1.0),
        Activation("softplus", _softplus, ((1.0, 1.0),)),
        Activation("log_sigmoid", lambda t: -_softplus(-t), ((-1.0, -1.0),)),
        Activation("tanh", np.tanh),
    )
}
"""The library, by name."""


@dataclass(frozen=True)
class Fit:
    """A region is factor * g(root) + const.

    Attributes:
        activation: g.
        root: what it is a function of.
        factor: the factor.
        branches: whether complex logarithms agree up to multiples of 2 pi i only.
        is_plain: whether it is g(root) itself.
    """

    activation: Activation
    root: SSAValue
    factor: complex
    branches: bool
    is_plain: bool


# region Evaluation


_MONOTONE = {
    "chlo.cosh",
    "chlo.sinh",
    "chlo.square",
    "stablehlo.abs",
    "stablehlo.add",
    "stablehlo.and",
    "stablehlo.broadcast_in_dim",
    "stablehlo.clamp",
    "stablehlo.compare",
    "stablehlo.complex",
    "stablehlo.constant",
    "stablehlo.convert",
    "stablehlo.divide",
    "stablehlo.exponential",
    "stablehlo.exponential_minus_one",
    "stablehlo.imag",
    "stablehlo.is_finite",
    "stablehlo.log",
    "stablehlo.log_plus_one",
    "stablehlo.logistic",
    "stablehlo.maximum",
    "stablehlo.minimum",
    "stablehlo.multiply",
    "stablehlo.negate",
    "stablehlo.not",
    "stablehlo.or",
    "stablehlo.power",
    "stablehlo.real",
    "stablehlo.reshape",
    "stablehlo.rsqrt",
    "stablehlo.select",
    "stablehlo.sign",
    "stablehlo.sqrt",
    "stablehlo.subtract",
    "stablehlo.tanh",
    "stablehlo.transpose",
    "stablehlo.xor",
}
"""Ops between whose breakpoints nothing can hide, for all that is known of them.

Conversions to integers are breakpoints everywhere; see `_hides`.
"""


def _logistic(value: Array) -> Array:
    return 1 / (1 + np.exp(-value))


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
    "stablehlo.logistic": _logistic,
    "stablehlo.rsqrt": lambda value: 1 / np.sqrt(value),
}
"""What folding does not know."""

_SAME = (hlo.BroadcastInDimOp, hlo.ReshapeOp, hlo.TransposeOp)
"""Ops that only lay out equal numbers, or reorder elements."""


def _dtype(value: SSAValue) -> np.dtype[Any]:
    return dtype_of(cast("TensorType[Attribute]", value.type).element_type)


def _applied(op: Operation, operands: Sequence[Array]) -> Array | None:
    """Return what an op does to scalars, many at once; None where that is not known."""
    if isinstance(op, _SAME):
        return operands[0]
    if _is_sign_bit(op):
        return np.where(np.signbit(operands[0].real), -1, 0).astype(
            _dtype(op.results[0])
        )
    more = _MORE.get(op_name(op))
    with np.errstate(all="ignore"):
        if more is not None:
            return np.asarray(more(*operands)).astype(_dtype(op.results[0]))
        return evaluate(op, operands)


def _is_sign_bit(op: Operation) -> bool:
    """Whether an op is x >> (bits - 1) of the bits of a float: -1 or 0."""
    if not isinstance(op, hlo.ShiftRightArithmeticOp):
        return False
    before = op.lhs.owner
    amount = known_number(op.rhs)
    return isinstance(before, hlo.BitcastConvertOp) and (
        amount == 8 * _dtype(op.results[0]).itemsize - 1
    )


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
        found = _applied(one.owner, [values[v] for v in one.owner.operands])
        if found is None:
            return None
        values[one] = found
    return complex(np.asarray(values[value]).reshape(-1)[0])


@dataclass(frozen=True)
class _Region:
    """The scalar function between a root and a value."""

    root: SSAValue
    order: tuple[SSAValue, ...]
    numbers: Mapping[SSAValue, Array]

    def values(self, points: Array) -> dict[SSAValue, Array]:
        found: dict[SSAValue, Array] = {**self.numbers, self.root: points}
        for one in self.order:
            op = cast(Operation, one.owner)
            if _is_sign_bit(op):
                bits = cast("hlo.BitcastConvertOp", op.operands[0].owner)
                operands = [found[bits.operands[0]]]
            elif isinstance(op, hlo.BitcastConvertOp):
                continue
            else:
                operands = [found[value] for value in op.operands]
            result = _applied(op, operands)
            assert result is not None, op.name
            found[one] = np.broadcast_to(result, points.shape)
        return found


def _region(
    value: SSAValue, root: SSAValue, known: Mapping[SSAValue, Dependence]
) -> _Region | str:
    """Return the function that a value is of a root, or why it cannot be looked at."""
    numbers: dict[SSAValue, Array] = {}
    order: list[SSAValue] = []
    for one in operands_first(value, known=(root,)):
        if isinstance(known[one], Constant):
            continue
        op = one.owner
        if not isinstance(op, Operation):
            return "it depends on x in another way as well"
        if (reason := _hides(op)) is not None:
            return reason
        order.append(one)
        for operand in op.operands:
            if operand in numbers or not isinstance(known[operand], Constant):
                continue
            number = known_number(operand)
            if number is None:
                return f"'{op_name(op)}' has a factor or bound that is a parameter"
            array = np.asarray(number)
            dtype = _dtype(operand)
            with np.errstate(all="ignore"):
                numbers[operand] = (array if dtype.kind == "c" else array.real).astype(
                    dtype
                )
    return _Region(root, tuple(order), numbers)


def _hides(op: Operation) -> str | None:
    """Say why differences can hide between points, or None."""
    if isinstance(op, hlo.BitcastConvertOp):
        users = [use.operation for use in op.results[0].uses]
        if users and all(map(_is_sign_bit, users)):
            return None
    if _is_sign_bit(op):
        return None
    if op_name(op) not in _MONOTONE:
        return f"'{op_name(op)}' is not followed"
    if isinstance(op, hlo.ConvertOp):
        before, after = _dtype(op.operand), _dtype(op.result)
        if before.kind in "fcV" and after.kind in "iu":
            return "it rounds to integers"
    return None


# endregion
# region Points


def _points(region: _Region) -> Array:
    dtype = _dtype(region.root)
    real = np.dtype(np.float32) if dtype.kind == "V" else np.zeros(0, dtype).real.dtype
    info = np.finfo(real)
    with np.errstate(all="ignore"):
        scales = 2.0 ** np.arange(-40, min(info.maxexp, 1020), 1.0)
        line = np.concatenate(
            [[0.0], scales, -scales, np.linspace(-12, 12, 97), np.linspace(-90, 90, 61)]
        )
        line = line[np.abs(line) < float(info.max) / 8]
        line = np.concatenate([line, _edges(region, np.unique(line))])
        if dtype.kind != "c":
            return np.unique(line).astype(dtype)
        line = np.unique(line)
        central = line[np.abs(line) < 40]
        angles = np.exp(1j * np.array([0.2, 0.7, 1.2, 1.9, 2.6, 3.5, 4.4, 5.3]))
        plane = central[:, None] * angles[None, :]
        return np.concatenate([line.astype(complex), plane.reshape(-1)]).astype(dtype)


def _edges(region: _Region, line: Array) -> Array:
    """Return points next to where a comparison or a choice changes, on both sides."""
    dtype = _dtype(region.root)
    found: list[float] = []
    tests = [one for one in region.order if _is_test(one)]
    if not tests:
        return np.zeros(0)
    states = region.values(line.astype(dtype))
    for test in tests:
        before = _state(test, states)
        for place in np.nonzero(before[1:] != before[:-1])[0]:
            found += _bisected(region, test, float(line[place]), float(line[place + 1]))
    return np.array(found)


def _is_test(value: SSAValue) -> bool:
    return isinstance(
        value.owner,
        hlo.CompareOp | hlo.MaximumOp | hlo.MinimumOp | hlo.ClampOp | hlo.AbsOp,
    )


def _state(test: SSAValue, values: Mapping[SSAValue, Array]) -> Array:
    """Return a number that changes where a comparison, or a choice, does."""
    op = cast(Operation, test.owner)
    if isinstance(op, hlo.CompareOp):
        return values[test].astype(np.int64)
    if isinstance(op, hlo.AbsOp):
        return np.signbit(values[op.operand].real).astype(np.int64)
    chosen = values[test]
    return sum(
        (2**n * (chosen == values[one]) for n, one in enumerate(op.operands)),
        start=np.zeros(chosen.shape, np.int64),
    )


def _bisected(region: _Region, test: SSAValue, low: float, high: float) -> list[float]:
    """Return points around the first place between two where a test changes."""
    dtype = _dtype(region.root)
    at_low = int(_state(test, region.values(np.array([low]).astype(dtype)))[0])
    for _ in range(60):
        middle = (low + high) / 2
        state = int(_state(test, region.values(np.array([middle]).astype(dtype)))[0])
        low, high = (middle, high) if state == at_low else (low, middle)
    width = max(abs(low), abs(high), 1e-6)
    steps = [0.0, 1e-7, 1e-5, 1e-3, 0.02, 0.1]
    return [
        place + sign * step * width
        for place in (low, high)
        for step in steps
        for sign in (1, -1)
    ]


# endregion
# region Fits


_TOLERANCES = {2: 3e-2, 4: 3e-5, 8: 1e-12}
"""By the bytes of a real number: the largest error relative to the value, or to 1."""

_OVERFLOW = {2: 80.0, 4: 80.0, 8: 700.0}
"""Beyond it exp overflows: a spelling with infinities there is the same function."""


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
    reason = "it is none of the functions that are known"
    for root in _roots(value, one.root, known):
        region = _region(value, root, known)
        if isinstance(region, str):
            reason = region
            continue
        fitted = _fitted(region, value, names or tuple(ACTIVATIONS))
        if fitted is not None:
            return fitted
    return reason


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


def _fitted(region: _Region, value: SSAValue, names: Sequence[str]) -> Fit | None:
    dtype = _dtype(region.root)
    points = _points(region)
    with np.errstate(all="ignore"):
        found = region.values(points)[value]
        wide = points.astype(complex if dtype.kind == "c" else np.float64)
        values = found.astype(complex if found.dtype.kind == "c" else np.float64)
    bytes_ = 2 if dtype.kind == "V" else np.zeros(0, dtype).real.dtype.itemsize
    for name in names:
        fitted = _compared(ACTIVATIONS[name], wide, values, bytes_)
        if fitted is not None:
            factor, constant, branches = fitted
            is_plain = factor == 1 and abs(constant) <= _TOLERANCES[bytes_]
            return Fit(ACTIVATIONS[name], region.root, factor, branches, is_plain)
    return None


def _compared(
    activation: Activation, points: Array, values: Array, bytes_: int
) -> tuple[complex, complex, bool] | None:
    """Return factor and constant of an activation, and whether branches differ."""
    tolerance = _TOLERANCES[bytes_]
    with np.errstate(all="ignore"):
        expected = activation.value(points)
        central = (np.abs(points) <= 4) & np.isfinite(values) & np.isfinite(expected)
        if np.iscomplexobj(values):
            central &= np.abs(points.imag) < 0.5
        if central.sum() < 10:
            return None
        columns = np.stack([expected[central], np.ones(central.sum())], axis=1)
        (factor, constant), *_ = np.linalg.lstsq(columns, values[central], rcond=None)
        rounded = np.round(4 * factor) / 4
        if abs(rounded - factor) < 100 * tolerance:
            factor = rounded
            constant = np.mean(values[central] - factor * expected[central])
        if abs(factor) < 1e-3:
            return None
        fitted = factor * expected + constant
        error = values - fitted
        branches = False
        if np.iscomplexobj(error):
            turns = np.round(error.imag / (2 * np.pi))
            branches = bool((turns[np.isfinite(turns)] != 0).any())
            error = error - 2j * np.pi * turns
        scale = np.maximum(1, np.abs(fitted))
        agrees = np.abs(error) <= tolerance * scale
        # Near a zero of cosh its logarithm is as inaccurate as it is large
        if np.iscomplexobj(error):
            agrees |= fitted.real < -3
        agrees |= ~np.isfinite(values) & (np.abs(points.real) >= _OVERFLOW[bytes_] / 2)
        agrees |= ~np.isfinite(fitted) & ~np.isfinite(values)
    return (complex(factor), complex(constant), branches) if agrees.all() else None


# endregion
