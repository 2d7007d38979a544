"""Which activation a scalar function of a wavefunction is: found by its values.

A region of elementwise ops is evaluated with NumPy at thousands of points and compared
with a library, up to a factor and a constant. How it is written does not matter. It is
validation and no proof, so the points are chosen to find a difference: powers of two to
the end of the range, a dense middle, and both sides of all places where a value of the
region changes its course (`breakpoints`). Regions with ops that can hide a difference
between the points, such as rounding or a sine, are not looked at. Numbers of 32 bits
are compared as such, and then with the roundings of the region left out.
"""

# pyright: basic, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import constant_of, dtype_of, element_of
from lowering.evaluate import Evaluator, evaluator
from lowering.local_energy.breakpoints import (
    base_line,
    quantities_of,
    refined,
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
        value: g at real or complex points.
        terms: pairs (k, s), with g(t) = sum k softplus(s t) + linear t + const; none
            where it is no logarithm of an exponential sum.
        linear: the factor of t.
        zeros: a, where 1 + exp(a t) is 0 at the singularities of g.
    """

    name: str
    value: Callable[[Array], Array]
    terms: tuple[tuple[float, float], ...] = ()
    linear: float = 0.0
    zeros: float = 2.0


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
        Activation("softplus", _softplus, ((1.0, 1.0),), zeros=1.0),
        Activation("log_sigmoid", lambda t: -_softplus(-t), ((-1.0, -1.0),), zeros=1.0),
        Activation("tanh", np.tanh),
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


_WIDE = {np.dtype("f4"): np.dtype("f8"), np.dtype("c8"): np.dtype("c16")}


def _function(op: Operation) -> Evaluator | None:
    """Return what an op does to scalars, many at once; None where that is not known.

    It is a function of operands and the dtype of the result.
    """
    if isinstance(op, _SAME):
        return lambda operands, dtype: operands[0]
    if _is_sign_bit(op):
        return lambda operands, dtype: np.where(
            np.signbit(operands[0].real), -1, 0
        ).astype(dtype)
    more = _MORE.get(op_name(op))
    if more is None:
        return evaluator(op)
    return lambda operands, dtype: np.asarray(more(*operands)).astype(dtype)


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
        function = _function(one.owner)
        if function is None:
            return None
        with np.errstate(all="ignore"):
            operands = [values[v] for v in one.owner.operands]
            values[one] = function(operands, _dtype(one))
    return complex(np.asarray(values[value]).reshape(-1)[0])


_Step = tuple[SSAValue, tuple[SSAValue, ...], Evaluator, np.dtype[Any]]


@dataclass(frozen=True)
class _Region:
    """The scalar function between a root and a value."""

    root: SSAValue
    order: tuple[SSAValue, ...]
    numbers: Mapping[SSAValue, Array]

    @cached_property
    def key(self) -> Hashable:
        """Say what there is to know of it: of equal keys all values are equal.

        Types are those of the IR: numbers of 16 bits are computed with 32 here, and
        compared as what they are.
        """
        places = {self.root: 0}
        for one in (*self.numbers, *self.order):
            places[one] = len(places)
        constants = [
            (element_of(value), one.tobytes()) for value, one in self.numbers.items()
        ]
        ops: list[Hashable] = []
        for one in self.order:
            op = cast(Operation, one.owner)
            operands = tuple(places[operand] for operand in op.operands)
            said = frozenset(op.properties.items()), frozenset(op.attributes.items())
            ops.append((op_name(op), *said, operands, element_of(one)))
        return (element_of(self.root), tuple(constants), tuple(ops))

    @cached_property
    def steps(self) -> list[_Step]:
        """How each value is found; it is asked for hundreds of times."""
        steps: list[_Step] = []
        for one in self.order:
            op = cast(Operation, one.owner)
            if isinstance(op, hlo.BitcastConvertOp):
                continue
            operands = tuple(op.operands)
            if _is_sign_bit(op):
                operands = tuple(cast(Operation, operands[0].owner).operands)
            function = _function(op)
            if function is None:
                raise _Unknown(op_name(op))
            steps.append((one, operands, function, _dtype(one)))
        return steps

    def up_to(self, values: Iterable[SSAValue]) -> _Region:
        """Return what has to be computed for some values of it."""
        needed = set(values)
        for one in reversed(self.order):
            if one in needed:
                needed.update(cast(Operation, one.owner).operands)
        return replace(self, order=tuple(one for one in self.order if one in needed))

    def values(self, points: Array, *, wide: bool = False) -> dict[SSAValue, Array]:
        """Return all values at some points.

        With `wide`, what is of 32 bits is computed with 64.
        """
        found: dict[SSAValue, Array] = {**self.numbers, self.root: points}
        with np.errstate(all="ignore"):
            for one, operands, function, dtype in self.steps:
                dtype = _WIDE.get(dtype, dtype) if wide else dtype
                result = function([found[value] for value in operands], dtype)
                whole = result.shape == points.shape
                found[one] = result if whole else np.broadcast_to(result, points.shape)
        return found


class _Unknown(Exception):
    """An op that is not evaluated here, by its name."""


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
        if (reason := _hides(op, root)) is not None:
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
    region = _Region(root, tuple(order), numbers)
    try:
        region.values(np.zeros(1, _dtype(root)))
    except _Unknown as error:
        return f"'{error}' is not followed"
    return region


def _hides(op: Operation, root: SSAValue) -> str | None:
    """Say why differences can hide between points, or None."""
    if is_coarse(op.results[0]) and not is_coarse(root):
        return "it rounds to 16 bits"
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
        if before.kind in "fc" and after.kind in "iu":
            return "it rounds to integers"
    return None


# endregion
# region Points


_DIRECTIONS = (1, 1j, 0.8 + 0.6j, -0.28 + 0.96j)
"""Of lines through 0 of the complex plane; the first is real."""

MAX_CORNERS = 64


def _points(region: _Region) -> Array:
    """Return points where a region is looked at."""
    dtype = _dtype(region.root)
    if dtype.kind != "c":
        return _on_line(region, base_line(dtype), 1, "f")[0]
    line = base_line(np.zeros(0, dtype).real.dtype)
    line = np.union1d(line[::2], np.zeros(1, line.dtype))
    found = [_on_line(region, line, 1, "c")[0].astype(complex)]
    ends: list[Array] = []
    for direction in _DIRECTIONS:
        # Off the axis complex exponentials oscillate, and decide nothing
        own, places = _on_line(region, line, direction, "f")
        found.append(direction * own.astype(complex))
        ends.append(places)
    angles = np.exp(1j * np.array([0.2, 0.7, 1.2, 1.9, 2.6, 3.5, 4.4, 5.3]))
    central = line[np.abs(line) < 1e3].astype(complex)
    found.append((central[:, None] * angles[None, :]).reshape(-1))
    # What changes with both parts: corners of the windows that they make
    real, imag = (_spread(one) for one in ends[:2])
    found.append((real[:, None] + 1j * imag[None, :]).reshape(-1))
    found.append(_affine_zeros(region))
    points = np.concatenate(found)
    return points[np.abs(points) < float(np.finfo(line.dtype).max) / 8].astype(dtype)


def _spread(places: Array) -> Array:
    step = max(1, -(-len(places) // MAX_CORNERS))
    return np.concatenate([[0.0, 1.0], places.astype(float)[::step]])


def _on_line(
    region: _Region, line: Array, direction: complex, kinds: str
) -> tuple[Array, Array]:
    """Return points of a line, dense where a region changes its course along it.

    As far as its values of some kinds of dtypes say so; and the places where it does.
    """
    dtype = _dtype(region.root)
    hidden = hlo.BitcastConvertOp  # of which only the sign is of use
    watched = [
        one
        for one in region.order
        if not isinstance(one.owner, hidden) and _dtype(one).kind in f"biu{kinds}"
    ]
    needed = region.up_to(watched)

    def trace(places: Array) -> Mapping[SSAValue, Array]:
        if dtype.kind != "c":
            return needed.values(places)
        return needed.values((direction * places).astype(dtype))

    return refined(line, trace, quantities_of(region.root, watched, _dtype))


def _affine_zeros(region: _Region) -> Array:
    """Return points around the zeros of complex values that are affine in the root."""
    dtype = _dtype(region.root)
    at = region.values(np.array([0, 1, 1j, 2.5 - 3j]).astype(dtype))
    distances = 2.0 ** np.arange(-45, 6)
    around = np.concatenate([[0], distances, -distances, 1j * distances])
    found = [np.zeros(0, complex)]
    values = [at[one] for one in region.order if _dtype(one).kind == "c"]
    values += [
        at[one.owner.lhs] - at[one.owner.rhs]
        for one in region.order
        if isinstance(one.owner, hlo.CompareOp)
    ]
    for one in values:
        origin, right, up, last = np.broadcast_to(one, (4,)).astype(complex)
        slope = right - origin
        expected = np.array([slope * 1j + origin, slope * (2.5 - 3j) + origin])
        if slope and np.allclose([up, last], expected, rtol=1e-4):
            found.append(-origin / slope + around)
    return np.concatenate(found)


# endregion
# region Fits


@dataclass(frozen=True)
class _Tolerance:
    """The largest error: near 0, and relative to values that are large.

    Spellings of 64 bits lose more around 0 than they are rounded by where values are
    large: a step out there is no rounding.
    """

    near: float
    far: float


_TOLERANCES = {
    2: _Tolerance(3e-2, 3e-2),
    4: _Tolerance(3e-5, 3e-5),
    8: _Tolerance(1e-12, 32 * float(np.finfo(np.float64).eps)),
}
"""By the bytes of a real number."""

_WIDE_TOLERANCE = _Tolerance(2e-7, 2e-7)
"""Of what has 32 bits where nothing is rounded but its constants."""

_OVERFLOW = {2: 80.0, 4: 80.0, 8: 700.0}
"""Beyond it exp overflows: a spelling with infinities there is the same function."""

_CAN_OVERFLOW = {
    "chlo.cosh",
    "chlo.sinh",
    "chlo.square",
    "stablehlo.add",
    "stablehlo.exponential",
    "stablehlo.exponential_minus_one",
    "stablehlo.multiply",
    "stablehlo.power",
    "stablehlo.subtract",
}
"""Ops whose result is infinite where exp is too large."""

_LOGARITHMS = {"stablehlo.log", "stablehlo.log_plus_one"}


_Found: TypeAlias = tuple[Activation, complex, bool]
"""What a fit says besides its root."""

_FITTED: dict[Hashable, _Found | None] = {}
"""By what is known of a region, and names: models spell an activation many times."""

MAX_FITTED = 256


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
        region = _region(value, root, known)
        if isinstance(region, str):
            reasons.append(region)
            continue
        fitted = _remembered(region, value, tuple(names or ACTIVATIONS))
        if fitted is not None:
            return Fit(root, *fitted)
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


def _remembered(
    region: _Region, value: SSAValue, names: tuple[str, ...]
) -> _Found | None:
    """Return what `_fitted` says, which is asked once for equal regions."""
    asked = (region.key, names)
    try:
        return _FITTED[asked]
    except KeyError:
        found = _fitted(region, value, names)
    if len(_FITTED) >= MAX_FITTED:
        _FITTED.clear()  # maybe while another thread looks something up
    _FITTED[asked] = found
    return found


def _fitted(region: _Region, value: SSAValue, names: Sequence[str]) -> _Found | None:
    """Return the first activation that a region is, at many points."""
    dtype = _dtype(region.root)
    real = np.zeros(0, dtype).real.dtype
    tolerance = _TOLERANCES[2 if is_coarse(region.root) else real.itemsize]
    line = base_line(real)
    points = (line if dtype.kind != "c" else line * (0.8 + 0.6j)).astype(dtype)
    for name in names:
        one = ACTIVATIONS[name]
        # Most are told apart by a few points
        if not _compared(region, value, one, points, tolerance):
            continue
        more = _points(region)
        found = _compared(region, value, one, more, tolerance)
        if found is not None and tolerance is _TOLERANCES[4]:
            found = _compared(region, value, one, more, _WIDE_TOLERANCE, wide=True)
        if found is not None:
            factor, constant = found
            is_plain = factor == 1 and abs(constant) <= tolerance.near
            return one, factor, is_plain
    return None


def _compared(
    region: _Region,
    value: SSAValue,
    activation: Activation,
    points: Array,
    tolerance: _Tolerance,
    *,
    wide: bool = False,
) -> tuple[complex, complex] | None:
    """Return factor and constant of an activation.

    Complex logarithms may differ by multiples of 2 pi i.
    """
    with np.errstate(all="ignore"):
        given = points.astype(_WIDE.get(points.dtype, points.dtype)) if wide else points
        traced = region.values(given, wide=wide)
        values, exact = _double(traced[value]), _double(points)
        expected = activation.value(exact)
        fitted = _fitted_line(exact, values, expected, tolerance.near)
        if fitted is None:
            return None
        factor, constant = fitted
        fitted = factor * expected + constant
        error = values - fitted
        if (
            points.dtype.kind == "c"
            and factor.imag == 0
            and factor.real == round(factor.real)
        ):
            period = 2 * np.pi * abs(factor.real)
            turns = np.round(error.imag / period)
            error = error - 1j * period * turns
        allowed = np.maximum(tolerance.near, tolerance.far * np.abs(fitted))
        if points.dtype.kind == "c":
            # Near a singularity a logarithm is as inaccurate as it is large
            allowed = allowed / np.minimum(1, _distance(activation, exact))
        agrees = np.abs(error) <= allowed
        agrees |= _overflows(region, value, traced, points)
    return (factor, constant) if bool(agrees.all()) else None


def _double(values: Array) -> Array:
    return values.astype(complex if values.dtype.kind == "c" else np.float64)


def _fitted_line(
    points: Array, values: Array, expected: Array, tolerance: float
) -> tuple[complex, complex] | None:
    """Return the factor and the constant that fit values best, around 0."""
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
    return None if abs(factor) < 1e-3 else (complex(factor), complex(constant))


def _distance(activation: Activation, points: Array) -> Array:
    """Return how far 1 + exp(a t) is from 0, relative to the larger of both."""
    exponent = activation.zeros * points
    return np.abs(1 + np.exp(np.where(exponent.real > 0, -exponent, exponent)))


def _overflows(
    region: _Region, value: SSAValue, traced: Mapping[SSAValue, Array], points: Array
) -> Array:
    """Return where a value is infinite, or no number, since exp is too large there."""
    bytes_ = points.dtype.itemsize // (2 if points.dtype.kind == "c" else 1)
    found = ~np.isfinite(_double(traced[value]))
    found &= np.abs(points.real) >= _OVERFLOW[min(bytes_, 8)] / 2
    if not found.any():
        return found
    if not all(np.isfinite(_double(one)).all() for one in region.numbers.values()):
        return np.zeros_like(found)
    caused = np.zeros_like(found)
    for one in region.order:
        op = cast(Operation, one.owner)
        if _dtype(one).kind not in "fc":
            continue
        own = _double(traced[one])
        if op_name(op) in _CAN_OVERFLOW:
            infinite = ~np.isfinite(own)
        elif op_name(op) in _LOGARITHMS:
            infinite = np.isposinf(own.real)  # as large as its square cannot be
        else:
            continue
        before = [np.isfinite(_double(traced[operand])) for operand in op.operands]
        caused |= infinite & np.all(np.broadcast_arrays(*before), axis=0)
    return found & caused


# endregion
