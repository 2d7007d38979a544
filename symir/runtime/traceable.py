"""A kernel as a function of JAX: for derivatives, and for many parameters at once.

The primitive runs a kernel as one piece of StableHLO. Where JAX has to look into it,
its ops are evaluated one by one by those of `jax.lax`, which know their derivatives.

A branch that is not valid, and the side of a choice that is not chosen, must not spoil
a derivative: 0 times infinity is NaN. So each op with a singularity computes with 1
wherever its value is not asked for ("demand"), and so do constants that are infinite;
it changes no result. What is asked for follows from the predicates of choices, through
ops on elements, broadcasts and reductions.
"""

# pyright: basic, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects.stablehlo import dtype_of, shape_of, to_numpy
from symir.errors import NotDifferentiable
from symir.provenance import origins
from symir.runtime.ops import BINARY, UNARY, apply

_SINGULAR = (
    hlo.AbsOp,
    hlo.Atan2Op,
    hlo.CbrtOp,
    hlo.DivideOp,
    hlo.ExponentialMinusOneOp,
    hlo.ExponentialOp,
    hlo.LogOp,
    hlo.LogPlusOneOp,
    hlo.PowerOp,
    hlo.RsqrtOp,
    hlo.SqrtOp,
    hlo.TanOp,
)
"""Ops whose value or derivative is infinite somewhere; all are finite at 1."""

_NOT_DIFFERENTIABLE = (
    hlo.CeilOp,
    hlo.FloorOp,
    hlo.RemainderOp,
    hlo.RoundNearestAfzOp,
    hlo.RoundNearestEvenOp,
    hlo.SignOp,
)
"""Ops with steps: their derivative is 0 where there is one, which helps nobody."""


class _Demand(NamedTuple):
    """A predicate, whether it has to hold or not, and how it lies in a value.

    Its axes that are not of length 1 are those of the value with these numbers.
    """

    predicate: SSAValue
    holds: bool
    axes: tuple[int, ...]


_Ways = frozenset[frozenset[_Demand]]
"""Some sets of demands, of which one has to be met."""

_ALWAYS: _Ways = frozenset([frozenset()])

MAX_WAYS = 8
"""A value that is asked for in more ways than that counts as always asked for."""


class TraceableKernel:
    """The only function of a StableHLO module, evaluated op by op."""

    def __init__(self, module: ModuleOp, name: str):
        (function,) = (op for op in module.ops if isinstance(op, FuncOp))
        self._name = name
        self._block = function.body.block
        self._demands = _demands(list(self._block.ops))
        self._is_regular = not any(map(_is_singular, self._block.ops))

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        """Return the results; the arguments may be traced in any way."""
        values = self._evaluate(arguments, None)
        if not self._is_regular:
            values = self._evaluate(arguments, values)
        return self._returned(values)

    def check_differentiable(self, active: Sequence[bool]) -> None:
        """Raise where a result depends on an active argument in steps.

        Raises:
            NotDifferentiable: naming the op (R011).
        """
        reached = _reaching_results(self._block.ops)
        perturbed: set[SSAValue] = {
            argument
            for argument, flag in zip(self._block.args, active, strict=True)
            if flag and _is_inexact(argument)
        }
        for op in self._block.ops:
            if not op.results or perturbed.isdisjoint(op.operands):
                continue
            if isinstance(op, hlo.CompareOp):
                continue
            if _has_steps(op) and op.results[0] in reached:
                raise NotDifferentiable(
                    "R011",
                    f"the operator has no derivative through '{op.name}'",
                    operator=self._name,
                    expected="an amplitude that is smooth in what it is "
                    "differentiated by",
                    found=f"'{op.name}' at {op.location}",
                    hint="jax.lax.stop_gradient on the input, if the steps are meant",
                )
            perturbed |= {result for result in op.results if _is_inexact(result)}

    # region Evaluation

    def _evaluate(
        self, arguments: Sequence[Any], plain: dict[SSAValue, Any] | None
    ) -> dict[SSAValue, Any]:
        """Return all values; with the plain ones at hand singularities are avoided."""
        values: dict[SSAValue, Any] = {}
        values.update(zip(self._block.args, arguments, strict=True))
        for op in self._block.ops:
            if isinstance(op, ReturnOp):
                continue
            operands = [values[operand] for operand in op.operands]
            wanted = None
            if plain is not None and _is_singular(op):
                wanted = self._wanted(op.results[0], plain)
            if wanted is not None:
                operands = [_one_unless(wanted, operand) for operand in operands]
            # The term is what XLA's metadata and profilers show
            with jax.named_scope(_path_of(op) or self._name):
                value = apply(op, operands)
            if wanted is not None and isinstance(op, hlo.ConstantOp):
                value = _one_unless(wanted, value)
            values[op.results[0]] = value
        return values

    def _wanted(self, value: SSAValue, plain: dict[SSAValue, Any]) -> Any:
        """Return where a value is asked for, in its shape; None for everywhere."""
        ways = self._demands.get(value)
        if ways is None:
            return None
        shape = shape_of(value)
        masks = (
            reduce(lax.bitwise_and, (_laid_out(d, shape, plain) for d in way))
            for way in ways
        )
        return reduce(lax.bitwise_or, masks)

    def _returned(self, values: dict[SSAValue, Any]) -> tuple[Any, ...]:
        last = self._block.last_op
        assert isinstance(last, ReturnOp)
        return tuple(values[value] for value in last.operands)

    # endregion


def _one_unless(wanted: Any, value: Any) -> Any:
    return jnp.where(wanted, value, jnp.ones_like(value))


def _laid_out(
    demand: _Demand, shape: tuple[int, ...], plain: dict[SSAValue, Any]
) -> Any:
    """Return where a demand is made of a value of a shape."""
    test = plain[demand.predicate]
    lengths = [length for length in test.shape if length != 1]
    test = lax.broadcast_in_dim(lax.reshape(test, lengths), shape, demand.axes)
    return test if demand.holds else ~test


def _is_singular(op: Operation) -> bool:
    if isinstance(op, hlo.ConstantOp):  # such as a division by 0 that was folded
        return not np.isfinite(to_numpy(op.value)).all()
    return isinstance(op, _SINGULAR)


def _is_inexact(value: SSAValue) -> bool:
    return dtype_of(value.type.element_type).kind in "fc"  # pyright: ignore


def _path_of(op: Operation) -> str | None:
    """Return "operator/term/.." for an op, if it knows."""
    paths = (origin.path for origin in origins(op))
    return next((path for path in paths if path), None)


def _has_steps(op: Operation) -> bool:
    # Rounded to an integer, such as the number of a site
    is_rounded = isinstance(op, hlo.ConvertOp) and not _is_inexact(op.result)
    return is_rounded or isinstance(op, _NOT_DIFFERENTIABLE)


def _reaching_results(ops: Any) -> set[SSAValue]:
    """Return what results with tangents depend on other than by comparisons."""
    reached: set[SSAValue] = set()
    for op in reversed(list(ops)):
        if isinstance(op, ReturnOp):
            reached |= {v for v in op.operands if _is_inexact(v)}
        elif not isinstance(op, hlo.CompareOp) and not reached.isdisjoint(op.results):
            reached |= set(op.operands)
    return reached


# region Demand


def _demands(ops: Sequence[Operation]) -> dict[SSAValue, _Ways]:
    """Return when each value is asked for: one of some sets of demands is met.

    A value that is missing is always asked for, as far as is known.
    """
    always: set[SSAValue] = set()
    asked: dict[SSAValue, _Ways] = {}

    def ask(value: SSAValue, ways: _Ways) -> None:
        if value in always:
            return
        ways |= asked.get(value, frozenset())
        if frozenset() in ways or len(ways) > MAX_WAYS:
            always.add(value)
            asked.pop(value, None)
            return
        asked[value] = ways

    for op in reversed(ops):
        if isinstance(op, ReturnOp):
            for operand in op.operands:
                ask(operand, _ALWAYS)
            continue
        result = op.results[0]
        if result in always or result in asked:
            for operand, ways in _asked_by(op, asked.get(result, _ALWAYS)):
                ask(operand, ways)
    return asked


def _asked_by(op: Operation, ways: _Ways) -> Iterator[tuple[SSAValue, _Ways]]:
    """Yield what an op asks for, where its result is asked for in some ways."""
    if isinstance(op, hlo.SelectOp):
        yield op.pred, _ALWAYS
        for side, holds in ((op.on_true, True), (op.on_false, False)):
            axes = tuple(range(len(shape_of(op.pred))))
            chosen = frozenset(_parts(_Demand(op.pred, holds, axes)))
            yield side, frozenset(way | chosen for way in ways)
        return
    axes = _axes_of_operand(op)
    for operand in op.operands[:1] if isinstance(op, hlo.ReduceOp) else op.operands:
        yield operand, _ALWAYS if axes is None else _moved(ways, axes)
    if isinstance(op, hlo.ReduceOp):
        yield op.operands[1], _ALWAYS


def _parts(demand: _Demand) -> Iterator[_Demand]:
    """Yield the demands that a demand comes down to, each of as few axes as may be."""
    predicate, holds, axes = demand
    op = predicate.owner
    if isinstance(op, hlo.NotOp):
        yield from _parts(_Demand(op.operand, not holds, axes))
    elif isinstance(op, hlo.AndOp if holds else hlo.OrOp):
        for part in (op.lhs, op.rhs):
            yield from _parts(_Demand(part, holds, axes))
    elif isinstance(op, hlo.BroadcastInDimOp):
        dims = op.broadcast_dimensions.get_values()
        yield from _parts(_Demand(op.operand, holds, tuple(axes[d] for d in dims)))
    else:
        lengths = shape_of(predicate)
        kept = tuple(a for a, length in zip(axes, lengths, strict=True) if length != 1)
        yield _Demand(predicate, holds, kept)


def _moved(ways: _Ways, axes: Mapping[int, int]) -> _Ways:
    """Return demands of a result as those of an operand.

    One that differs along an axis which the operand does not have is left out: then
    more is asked for than has to be.
    """
    return frozenset(
        frozenset(
            demand._replace(axes=tuple(axes[axis] for axis in demand.axes))
            for demand in way
            if axes.keys() >= set(demand.axes)
        )
        for way in ways
    )


def _axes_of_operand(op: Operation) -> dict[int, int] | None:
    """Return the axes of the first operand that axes of the result are, or None."""
    shape = shape_of(op.results[0])
    if type(op) in UNARY or type(op) in BINARY or isinstance(op, hlo.ConvertOp):
        return {axis: axis for axis in range(len(shape))}
    if isinstance(op, hlo.ReduceOp):
        reduced = op.dimensions.get_values()
        kept = [a for a in range(len(shape) + len(reduced)) if a not in reduced]
        return dict(enumerate(kept))
    if isinstance(op, hlo.BroadcastInDimOp):
        lengths = shape_of(op.operand)
        dims = op.broadcast_dimensions.get_values()
        return {d: a for a, d in enumerate(dims) if lengths[a] == shape[d]}
    if isinstance(op, hlo.ReshapeOp):
        before, after = (
            [axis for axis, length in enumerate(lengths) if length != 1]
            for lengths in (shape_of(op.operand), shape)
        )
        if [shape_of(op.operand)[a] for a in before] == [shape[a] for a in after]:
            return dict(zip(after, before, strict=True))
    return None


# endregion
