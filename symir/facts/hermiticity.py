"""Cheap tests of Hermiticity: a proof, or a counterexample.

The proof holds for all values of the parameters. Matrix elements are polynomials of
them where they are sums and products, and where nothing else depends on them: which
branches there are, and where they lead. What two elements <x|O|x'> and <x'|O|x>*
differ by is a polynomial of the same degree then, of the parameters or, where they are
complex, of their real and imaginary parts. A polynomial of total degree d in n numbers
is 0 if it is at all n-tuples of integers >= 0 with a sum of at most d (R. A.
Nicolaides, SIAM J. Numer. Anal. 9, 435 (1972)), or at multiples of these. There the
groups of rows of `symir.facts.local` are compared, or all configurations of a small
space. Elements that rounding may have made different count as equal, as they do for all
facts.

A counterexample is looked for in a few configurations, at the values that parameters
have by default.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import AnyFloat, ComplexType
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import element_of
from symir.errors import SymirError
from symir.facts.elements import Elements, Evaluator, Selected
from symir.facts.local import Cut, cut, is_diagonal
from symir.facts.operator_facts import Counterexample
from symir.operator.ir import SymbolicOperatorIR
from symir.operator.spaces import Space

Array = npt.NDArray[Any]
Values: TypeAlias = Mapping[str, complex]
"""The values of the parameters."""

MAX_OPS = 2**12
"""The IR of an operator of more ops is not looked at."""

PROOF_WORK = 2**22
"""Most numbers of a proof: samples * lanes * sites at all points."""

MAX_POINTS = 2**6
"""Most values of the parameters that a proof looks at."""

MAX_STATES = 2**10
"""The configurations of a larger space are not all looked at."""

REFUTATION_WORK = 2**17
"""Most numbers of the search for a counterexample, in each direction."""

MAX_SAMPLES, MAX_REVERSED = 8, 32
"""Most configurations where a counterexample is looked for, and x' from there."""

FAR = 2**10
"""A proof looks again at parameters that are so many times as large as elements."""

WRONG = 1e-5
"""Elements that differ by less of their branches were meant to be equal.

Integrals that a program has printed have no more digits, and NetKet takes them for
equal, too.
"""

_GENERIC = 0.6180339887498949
"""Value of real parameters without a default, in the search for a counterexample."""

_NUMBERS = (AnyFloat, ComplexType)
_LINEAR = (
    hlo.AddOp,
    hlo.SubtractOp,
    hlo.NegateOp,
    hlo.ComplexOp,
    hlo.RealOp,
    hlo.ImagOp,
)
"""Ops that are linear in their operands, over the real numbers."""


# region Proof


@lru_cache(maxsize=64)
def is_proved_hermitian(ir: SymbolicOperatorIR) -> bool:
    """Whether a cheap proof shows that an operator is Hermitian.

    What is declared does not count. That it is False says nothing.
    """
    op = ir.operator
    if _size(op) > MAX_OPS:
        return False
    if sym.real_type(op.element) == op.element and all(map(is_diagonal, op.terms)):
        return True
    points = _points(op)
    if points is None:
        return False
    cost = Evaluator(ir, ir.space, points[0]).cost
    most = PROOF_WORK // (2 * cost * len(points))
    return any(
        _are_symmetric(ir, points, x, selected)
        for x, selected in _samples(op, ir.space, most)
    )


def _size(op: Operation) -> int:
    return sum(1 for _ in itertools.islice(op.walk(), MAX_OPS + 1))


def _samples(
    op: sym.OperatorOp, space: Space, most: int
) -> Iterator[tuple[Array, Selected | None]]:
    """Yield configurations that decide it, each with the lanes that count there."""
    parts = cut(op, most)
    if isinstance(parts, Cut):
        yield parts.x, parts.selected
    if space.n_states <= min(most, MAX_STATES):
        yield space.all_states(), None


def _are_symmetric(
    ir: SymbolicOperatorIR,
    points: Sequence[Values],
    x: Array,
    selected: Selected | None,
) -> bool:
    """Whether elements are symmetric at all points, and at far multiples of them.

    Next to a large constant a difference in a parameter is lost to rounding, and far
    out one in the constant is: either is seen at one of the two.
    """
    factor = 1.0
    for _ in range(2 if any(any(point.values()) for point in points) else 1):
        largest = 0.0
        for point in points:
            values = {name: factor * value for name, value in point.items()}
            elements = Evaluator(ir, ir.space, values).elements(x, selected)
            if not _is_symmetric(elements):
                return False
            largest = max(largest, float(elements.scale.max(initial=0)))
        factor = FAR * 2.0 ** math.ceil(math.log2(1 + largest))
    return True


def _is_symmetric(elements: Elements) -> bool:
    distinct = np.unique(elements.x)
    value, scale = elements.reversed(distinct)
    return not elements.differ_from(value.conj(), scale).any()


def _points(op: sym.OperatorOp) -> list[Values] | None:
    """Return values of the parameters at which a proof has to look, or None."""
    degree = _degree(op)
    arguments = op.body.block.args
    used = [argument for argument in arguments if argument.first_use is not None]
    # Of a complex number both parts
    parts = [
        (argument, unit)
        for argument in used
        for unit in ((1, 1j) if isinstance(element_of(argument), ComplexType) else (1,))
    ]
    if degree is None or math.comb(len(parts) + degree, degree) > MAX_POINTS:
        return None
    names = {a: n.data for a, n in zip(arguments, op.parameter_names, strict=True)}
    points: list[Values] = []
    for chosen in itertools.combinations_with_replacement([None, *parts], degree):
        point: dict[str, complex] = dict.fromkeys(names.values(), 0)
        for argument, unit in filter(None, chosen):
            point[names[argument]] += unit
        points.append(point)
    return points


def _degree(op: sym.OperatorOp) -> int | None:
    """Return the total degree of the matrix elements in the parameters.

    None where they are no polynomials, or something else depends on a parameter.
    """
    degrees: dict[SSAValue, int] = dict.fromkeys(op.body.block.args, 1)
    highest = 0
    for term in op.terms:
        for inner in term.body.block.ops:
            degree = _degree_of(inner, degrees)
            if degree is None:
                return None
            degrees |= dict.fromkeys(inner.results, degree)
            highest = max(highest, degree if isinstance(inner, sym.EmitOp) else 0)
    return highest


def _degree_of(op: Operation, degrees: Mapping[SSAValue, int]) -> int | None:
    """Return the degree of what an op computes, or contributes to matrix elements."""
    if not any(degrees.get(v) for inner in op.walk() for v in inner.operands):
        return 0
    found = [degrees.get(value, 0) for value in op.operands]
    match op:
        case hlo.MultiplyOp():
            return sum(found)
        case hlo.DivideOp() if not found[1]:
            return found[0]
        case hlo.SelectOp() if not found[0]:
            return max(found)
        case sym.EmitOp() if max(found) == found[1] == sum(found):
            return found[1]
        case hlo.ConvertOp() if isinstance(element_of(op.result), _NUMBERS):
            return found[0]
        case sym.OwnRuleOp():
            return found[0]
        case _ if isinstance(op, _LINEAR):
            return max(found)
        case _:
            return None


# endregion
# region Counterexample


@lru_cache(maxsize=64)
def counterexample(ir: SymbolicOperatorIR, space: Space) -> Counterexample | None:
    """Return two elements of an operator that differ, one of them conjugate, or None.

    `space` is that of the operator with its predicates: what leads out of it does not
    count. A complex parameter without a default may be meant to have special values:
    nothing is looked at then.
    """
    op, values = ir.operator, values_to_try(ir)
    evaluator = Evaluator(ir, space, values or {})
    affordable = REFUTATION_WORK // evaluator.cost
    if values is None or not affordable or _size(op) > MAX_OPS:
        return None
    rng = np.random.default_rng(0)
    try:
        x = space.random_states(min(MAX_SAMPLES, affordable), rng)
    except SymirError:  # too few configurations satisfy its predicates
        return None
    elements = evaluator.elements(np.unique(x, axis=0))
    chosen = np.flatnonzero(elements.matters)
    if sym.real_type(op.element) == op.element:
        chosen = chosen[elements.moves[chosen]]
    chosen = chosen[space.contains(elements.target[chosen])]
    chosen = rng.permutation(chosen)[: min(MAX_REVERSED, affordable)]
    source, target = elements.x[elements.source[chosen]], elements.target[chosen]
    value = elements.value[chosen]
    reverse, scale = evaluator.element(target, source)
    with np.errstate(invalid="ignore"):
        distance = np.abs(value - reverse.conj())
    wrong = np.isfinite(distance) & (
        distance > WRONG * (elements.scale[chosen] + scale)
    )
    for k in np.flatnonzero(wrong)[:1]:
        pair = value[k].item(), reverse[k].item()
        return Counterexample(
            tuple(source[k].tolist()), tuple(target[k].tolist()), pair
        )
    return None


def values_to_try(ir: SymbolicOperatorIR) -> dict[str, complex] | None:
    """Return values of the parameters, or None where there are no sensible ones."""
    kinds = zip(ir.free_symbols, ir.parameter_dtypes, strict=True)
    if any(kind.kind == "c" and name not in ir.defaults for name, kind in kinds):
        return None
    return ir.bind(otherwise=_GENERIC)


# endregion
