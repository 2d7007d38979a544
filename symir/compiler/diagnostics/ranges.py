"""Diagnostics from the joint local values of the sites that an emission reads.

All of them are enumerated, in every kind of row: see
`lowering.analysis.range_analysis`. What depends on a parameter, on a reduction or on a
table is not known there, and neither is anything where there are too many joint values:
then nothing is said. Nothing is claimed to happen unless it is known that the branch is
valid there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import LocationAttr, ModuleOp, UnknownLoc
from xdsl.ir import Block, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException
from xdsl_jax.dialects import stablehlo as hlo

from dialects import sym
from dialects.stablehlo import constant_of
from lowering.analysis.range_analysis import (
    MAX_POINTS,
    Points,
    Verdict,
    enumerate_points,
    is_allowed,
    is_scalar_op,
    judge,
)
from lowering.analysis.sites import (
    Alias,
    alias,
    column_of,
    normal_form_error,
    writes_of,
)
from lowering.order import operands_first
from lowering.sym.sym_expand_updates import SymExpandUpdatesPass
from lowering.sym.sym_forward_reads import SymForwardReadsPass
from lowering.sym.sym_guard_undefined import SymGuardUndefinedPass
from symir.compiler.diagnostics.diagnostic import Diagnostic, diagnostic_of, label_of

Array = npt.NDArray[Any]

CHEAP_POINTS = 1 << 12
"""The largest number of points that a compilation looks at."""

MAX_VALUES = 1 << 10
"""The largest number of values of an emission that are computed at the points."""

_INT8 = np.iinfo(np.int8)

_ROUNDING = 1e-6
"""Numbers may be negative by so much because they are rounded."""


def range_diagnostics(
    operator: sym.OperatorOp, *, is_constrained: bool, thorough: bool
) -> Iterator[Diagnostic]:
    """Find what local values show: dead branches, undefined numbers, and guards.

    In a constrained space local values may be impossible together: what is found to
    happen for some of them is a note there.
    """
    normal = _in_normal_form(operator)
    if normal is None:
        return
    limit = MAX_POINTS if thorough else CHEAP_POINTS
    for term, own in zip(operator.terms, normal.terms, strict=True):
        if not own.rows.data.rows or normal_form_error(own):
            continue
        always_valid = 0
        pairs = zip(term.emissions, own.emissions, strict=True)
        for emission, expanded in pairs:
            ranges = _ranges_of(own, expanded, limit)
            if ranges is None:
                continue
            finder = _Finder(emission, ranges, is_constrained)
            yield from finder.find()
            always_valid += ranges.is_always_valid
        if not is_constrained:
            yield from _broken_fanout(term, always_valid)


def _in_normal_form(operator: sym.OperatorOp) -> sym.OperatorOp | None:
    """Return a copy in which configurations are writes on x; None where it has none."""
    copy = operator.clone()
    module, context = ModuleOp([copy]), Context()
    passes = (SymGuardUndefinedPass(), SymExpandUpdatesPass(), SymForwardReadsPass())
    try:
        for one in passes:
            one.apply(context, module)
    except PassFailedException:
        return None
    return copy


def _broken_fanout(term: sym.TermOp, always_valid: int) -> Iterator[Diagnostic]:
    if term.fanout is None:
        return
    promised, needed = term.fanout.value.data, always_valid * term.rows.data.rows
    if needed <= promised:
        return
    yield diagnostic_of(
        term,
        "W018",
        "the fanout promises fewer branches than are valid for every x",
        found=f"fanout {promised}, {needed} branches that are always valid",
        hint="the matrix elements of the term are NaN: promise more, or nothing",
    )


# region What is known of an emission


@dataclass
class _Ranges:
    """Values of an emission in normal form at every point.

    Masks have the shape (row kinds, joint local values) of the points; `holds` is where
    the known parts of the predicate hold, and `is_known` says whether all are known.
    """

    term: sym.TermOp
    emission: sym.EmitOp
    guards: list[tuple[SSAValue, LocationAttr]]
    writes: list[sym.WriteOp]
    exact: Points
    rounded: Points
    holds: Array
    leaves: list[Array | None]
    """Where each write takes effect and leaves the space; None where unknown."""
    is_known: bool

    @property
    def valid(self) -> Array:
        """Where the branch is valid, as far as that is known."""
        left = [mask for mask in self.leaves if mask is not None]
        result = self.holds.copy()
        for mask in left:
            result &= ~mask
        return result

    @property
    def is_always_valid(self) -> bool:
        """Whether the branch is valid for every x."""
        is_whole = bool(np.all(self.valid | ~self.exact.reachable))
        return self.is_known and is_whole


def _ranges_of(term: sym.TermOp, emission: sym.EmitOp, limit: int) -> _Ranges | None:
    guards = _guards_of(emission.predicate)
    writes = writes_of(emission.config)
    roots = [value for value, _ in guards]
    roots += [emission.amplitude, *(write.value for write in writes)]
    known = _evaluable(term, roots)
    if known is None or any(column_of(term, write.site) is None for write in writes):
        return None
    sites = [write.site for write in writes] or list(term.sites[:1])
    if not sites:
        return None
    points = enumerate_points(term, known, sites, limit)
    if points is None or not points.reachable.any():
        return None
    for value in known:
        points.evaluate(value)
    holds, is_known = points.reachable.copy(), True
    for value, _ in guards:
        found = points.evaluate(value)
        is_known &= found is not None
        if found is not None:
            holds &= found
    leaves = [_leaving(term, writes[k:], points, holds) for k in range(len(writes))]
    is_known &= all(mask is not None for mask in leaves)
    rounded = points.rounded()
    for value in known:
        rounded.evaluate(value)
    return _Ranges(
        term, emission, guards, writes, points, rounded, holds, leaves, is_known
    )


def _guards_of(
    predicate: SSAValue | None, location: LocationAttr | None = None
) -> list[tuple[SSAValue, LocationAttr]]:
    """Return the parts of a conjunction, each with the place that asks for it.

    A second part may have been computed before, for another one: it is the `and` that
    tells where it was asked for.
    """
    if predicate is None:
        return []
    op = predicate.owner
    place = location or (op.location if isinstance(op, Operation) else UnknownLoc())
    if not isinstance(op, hlo.AndOp):
        return [(predicate, place)]
    return _guards_of(op.lhs) + _guards_of(op.rhs, op.location)


def _evaluable(term: sym.TermOp, roots: Sequence[SSAValue]) -> list[SSAValue] | None:
    """Return the values behind others that local values and rows determine.

    Operands come first; None where there are too many.
    """
    labels = set(term.sites)
    known: dict[SSAValue, None] = {}
    seen: dict[SSAValue, None] = {}
    for root in roots:
        for value in operands_first(root, known=seen):
            seen[value] = None
            if len(seen) > MAX_VALUES:
                return None
            if _is_evaluable(term, value, labels, known):
                known[value] = None
    return list(known)


def _is_evaluable(
    term: sym.TermOp,
    value: SSAValue,
    labels: set[SSAValue],
    known: dict[SSAValue, None],
) -> bool:
    op = value.owner
    match op:
        case sym.ReadOp():
            return op.config is term.source and op.site in labels
        case sym.IndexOp():
            return op.site in labels
        case hlo.ConstantOp():
            return True
        case Operation():
            is_plain = is_scalar_op(op) and not op.regions
            return is_plain and all(operand in known for operand in op.operands)
        case _:
            return term.data_of(value) is not None


def _leaving(
    term: sym.TermOp, writes: Sequence[sym.WriteOp], points: Points, holds: Array
) -> Array | None:
    """Return where the first of some writes takes effect and leaves the space."""
    write, *later = writes
    value = points.evaluate(write.value)
    if value is None:
        verdict = judge(term, write, None, _shadowing(term, write, later))
        return np.zeros_like(holds) if verdict is Verdict.ALLOWED else None
    taken = holds.copy()
    for other in later:
        taken &= points.columns[other.site] != points.columns[write.site]
    return taken & ~is_allowed(term, write.site, value, points)


def _shadowing(
    term: sym.TermOp, write: sym.WriteOp, later: Sequence[sym.WriteOp]
) -> list[SSAValue]:
    sites = (other.site for other in later)
    return [s for s in sites if alias(term, write.site, s) is not Alias.NEVER]


# endregion
# region What is questionable about it


@dataclass
class _Finder:
    """Finds what is questionable about an emission."""

    emission: sym.EmitOp
    """The emission as the user wrote it."""
    ranges: _Ranges
    is_constrained: bool

    def find(self) -> Iterator[Diagnostic]:
        """Find everything; of a branch that is never valid no more than that."""
        if not self.ranges.holds.any():
            yield self._never_holds()
            return
        yield from self._always_holds()
        if not self.ranges.valid.any():
            yield self._never_stays()
            return
        yield from self._leaving()
        yield from self._wide_values()
        if self.vanishing(self.ranges.emission.amplitude)[self.ranges.valid].all():
            yield diagnostic_of(
                self.emission,
                "W003",
                "the amplitude is zero wherever the branch is valid",
                hint="the branch contributes nothing: leave it out",
            )
            return
        yield from self._undefined()

    # region Predicates

    def _never_holds(self) -> Diagnostic:
        """Point to the part of the predicate that excludes what is left."""
        holds, place = self.ranges.exact.reachable.copy(), self.emission.location
        for value, location in self.ranges.guards:
            found = self.ranges.exact.evaluate(value)
            if found is None:
                continue
            holds &= found
            if not holds.any():
                place = location
                break
        return diagnostic_of(
            self.emission,
            "W001",
            "the predicate never holds: no local values satisfy it",
            at=place,
            hint="the branch is never valid: mend the predicate, or leave it out",
        )

    def _always_holds(self) -> Iterator[Diagnostic]:
        own = _guards_of(self.emission.predicate)
        reachable = self.ranges.exact.reachable
        # What the lowering adds to a predicate comes after what was written
        for (written, _), (value, location) in zip(
            own, self.ranges.guards, strict=False
        ):
            found = self.ranges.exact.evaluate(value)
            if found is None or not np.all(found | ~reachable):
                continue
            if not _is_about_x(written):
                continue
            yield diagnostic_of(
                self.emission,
                "W002",
                "a part of the predicate always holds",
                at=location,
                hint="it excludes nothing: leave it out, unless it should",
            )

    # endregion
    # region Writes

    def _never_stays(self) -> Diagnostic:
        left = self.ranges.holds & ~self.ranges.valid
        return diagnostic_of(
            self.emission,
            "W005",
            "x' leaves the space wherever the predicate holds",
            found=self._written(left),
            hint="the branch is never valid: mend what is written",
        )

    def _leaving(self) -> Iterator[Diagnostic]:
        unknown = next(
            (k for k, left in enumerate(self.ranges.leaves) if left is None), None
        )
        if unknown is not None:
            site = label_of(self.ranges.term, self.ranges.writes[unknown].site)
            yield diagnostic_of(
                self.emission,
                "W006",
                f"it is not proved that the value written to '{site}' is allowed",
                hint="the kernel checks it for each x, and drops branches that leave "
                "the space",
            )
        masks = [left for left in self.ranges.leaves if left is not None]
        anywhere = [left for left in masks if left.any()]
        if anywhere:
            yield diagnostic_of(
                self.emission,
                "W004",
                "x' leaves the space for some local values that the predicate allows",
                found=self._written(anywhere[0]),
                hint="the kernel checks it for each x, and drops these branches; a "
                "predicate that excludes them makes the check unnecessary",
            )

    def _written(self, mask: Array) -> str:
        """Return the local values at a point where a write leaves the space."""
        point = _first(mask)
        written: list[str] = []
        for write, left in zip(self.ranges.writes, self.ranges.leaves, strict=True):
            value = self.ranges.exact.evaluate(write.value)
            if left is not None and value is not None and left[point]:
                site = label_of(self.ranges.term, write.site)
                written.append(f"writes {_at(value, mask, point):g} to {site}")
        return f"{', '.join(written)} {self._values_at(point)}"

    def _wide_values(self) -> Iterator[Diagnostic]:
        valid = self.ranges.valid
        for write in self.ranges.writes:
            value = self.ranges.exact.evaluate(write.value)
            if value is None:
                continue
            wide = valid & ((value > _INT8.max) | (value < _INT8.min))
            if not wide.any():
                continue
            point = _first(wide)
            site = label_of(self.ranges.term, write.site)
            yield diagnostic_of(
                self.emission,
                "W016",
                "a value is written that does not fit into int8",
                found=f"writes {_at(value, wide, point):g} to {site}",
                hint="keep configurations in a wider dtype, such as int16: x of int8 "
                "is refused",
            )
            return

    # endregion
    # region Amplitudes

    def vanishing(self, value: SSAValue) -> Array:
        """Return where a number is zero, whatever the parameters are."""
        masks: dict[SSAValue, Array] = {}
        for one in operands_first(value):
            masks[one] = self._vanishes(one, masks)
        return masks[value]

    def _vanishes(self, value: SSAValue, masks: dict[SSAValue, Array]) -> Array:
        nowhere = np.zeros_like(self.ranges.holds)
        known = self.ranges.rounded.evaluate(value)
        if known is not None:
            return nowhere | (known == 0)
        match value.owner:
            case hlo.MultiplyOp() as op:
                return masks[op.lhs] | masks[op.rhs]
            case hlo.NegateOp() | hlo.ConvertOp() | sym.OwnRuleOp() as op:
                return masks[op.operands[0]]
            case _:
                return nowhere

    def _undefined(self) -> Iterator[Diagnostic]:
        """Find numbers that do not exist and reach the amplitude of a valid branch."""
        if not self.ranges.is_known:
            return
        amplitude = self.ranges.emission.amplitude
        order = operands_first(amplitude)
        masks: dict[SSAValue, Array] = {}
        for one in order:
            for fault in _FAULTS:
                where = fault.where(self, one)
                if where is not None and (where & self.ranges.valid).any():
                    yield from self._reaching(fault, one, where, order)
                    masks[one] = where

    def _reaching(
        self, fault: _Fault, value: SSAValue, where: Array, order: list[SSAValue]
    ) -> Iterator[Diagnostic]:
        """Report a fault where the choices on its way to the amplitude take it."""
        nowhere = np.zeros_like(where)
        reached: dict[SSAValue, Array] = {}
        for one in order:
            reached[one] = where if one is value else self._passed_on(one, reached)
        amplitude = self.ranges.emission.amplitude
        result = self.ranges.rounded.evaluate(amplitude)
        harmful = nowhere | (True if result is None else ~np.isfinite(result))
        found = reached[amplitude] & self.ranges.valid & harmful
        if not found.any():
            return
        owner = value.owner
        yield diagnostic_of(
            self.emission,
            fault.code,
            fault.message
            + (
                ", unless the constraints of the space exclude it"
                if self.is_constrained
                else ""
            ),
            at=owner.location if isinstance(owner, Operation) else None,
            found=self._values_at(_first(found)),
            hint="exclude these local values with where(..), or choose another "
            "amplitude for them with where(condition, a, b)",
            severity="note" if self.is_constrained else "error",
        )

    def _passed_on(self, value: SSAValue, reached: dict[SSAValue, Array]) -> Array:
        op = value.owner
        nowhere = np.zeros_like(self.ranges.holds)
        if not isinstance(op, Operation):
            return nowhere
        if isinstance(op, hlo.SelectOp):
            choice = self.ranges.rounded.evaluate(op.pred)
            if choice is None:
                return nowhere
            return np.where(choice, reached[op.on_true], reached[op.on_false])
        # Comparing, rounding and choosing may make a number of what is none
        if not isinstance(op, _PASSING):
            return nowhere
        result = nowhere
        for operand in op.operands:
            result = result | reached[operand]
        return result

    # endregion

    def _values_at(self, point: tuple[int, int]) -> str:
        """Return the local values that a point stands for, in words."""
        term, points = self.ranges.term, self.ranges.exact
        values = [
            f"x_{label_of(term, site)} = {_at(value, self.ranges.holds, point):g}"
            for site, value in points.local_values.items()
        ]
        sites = [
            f"{label_of(term, site)} = {int(_at(value, self.ranges.holds, point))}"
            for site, value in points.columns.items()
            if site in term.sites
        ]
        where = f"at {', '.join(sites)}" if sites else "anywhere"
        return f"for {', '.join(values)} {where}" if values else where


def _is_about_x(predicate: SSAValue) -> bool:
    """Whether a predicate is about local values of x, or about nothing at all.

    Others compare sites or data, and may well hold in all the rows that there are.
    """
    if constant_of(predicate) is not None:
        return True
    reads = [
        one.owner
        for one in operands_first(predicate)
        if isinstance(one.owner, sym.ReadOp)
    ]
    return bool(reads) and all(isinstance(r.config.owner, Block) for r in reads)


def _first(mask: Array) -> tuple[int, int]:
    row, point = np.argwhere(mask)[0].tolist()
    return row, point


def _at(value: Array, like: Array, point: tuple[int, int]) -> Any:
    return np.broadcast_to(value, like.shape)[point]


# endregion
# region Numbers that do not exist

_PASSING = (
    hlo.AbsOp,
    hlo.AddOp,
    hlo.ComplexOp,
    hlo.ConvertOp,
    hlo.CosineOp,
    hlo.DivideOp,
    hlo.ExponentialOp,
    hlo.ImagOp,
    hlo.LogOp,
    hlo.MultiplyOp,
    hlo.NegateOp,
    hlo.RealOp,
    hlo.SineOp,
    hlo.SqrtOp,
    hlo.SubtractOp,
    sym.OwnRuleOp,
)
"""Ops whose result is infinite or no number where that of an operand is, mostly."""


@dataclass(frozen=True)
class _Fault:
    """A way in which an op makes no finite number of finite ones."""

    code: str
    message: str
    where: Callable[[_Finder, SSAValue], Array | None]


def _known(finder: _Finder, value: SSAValue) -> Array | None:
    found = finder.ranges.rounded.evaluate(value)
    return None if found is None else np.broadcast_to(found, finder.ranges.holds.shape)


def _divided_by_zero(finder: _Finder, value: SSAValue) -> Array | None:
    match value.owner:
        case hlo.DivideOp() as op:
            return finder.vanishing(op.rhs)
        case hlo.PowerOp() as op:
            base, exponent = _known(finder, op.lhs), _known(finder, op.rhs)
            if base is None or exponent is None:
                return None
            return (base == 0) & (np.real(exponent) < 0)
        case _:
            return None


def _root_of_negative(finder: _Finder, value: SSAValue) -> Array | None:
    match value.owner:
        case hlo.SqrtOp() as op:
            number = _known(finder, op.operands[0])
            if number is None or number.dtype.kind == "c":
                return None
            return number < -_ROUNDING
        case hlo.PowerOp() as op:
            base, exponent = _known(finder, op.lhs), _known(finder, op.rhs)
            if base is None or exponent is None or base.dtype.kind == "c":
                return None
            return (base < -_ROUNDING) & (exponent != np.floor(exponent))
        case _:
            return None


def _log_of_nothing(finder: _Finder, value: SSAValue) -> Array | None:
    if not isinstance(value.owner, hlo.LogOp):
        return None
    number = _known(finder, value.owner.operands[0])
    if number is None:
        return None
    return number == 0 if number.dtype.kind == "c" else number <= 0


_FAULTS = (
    _Fault("W007", "the amplitude divides by zero", _divided_by_zero),
    _Fault(
        "W008", "the amplitude has the root of a negative number", _root_of_negative
    ),
    _Fault("W009", "the amplitude has the logarithm of zero or less", _log_of_nothing),
)


# endregion
