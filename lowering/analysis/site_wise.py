"""Values that are functions of x at one site: f(x[t]) = f(x)[t].

Such a function can be computed at all sites of the lattice once, its image, instead of
in every lane that asks for a site of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ComplexType, i32
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl_jax.dialects import stablehlo as hlo

from dialects import bt
from dialects.stablehlo import (
    ELEMENTWISE,
    constant,
    constant_of,
    element_of,
    shape_of,
    tensor,
)
from dialects.tables import NO_SITE
from lowering.bt.lanes import behind_broadcasts
from lowering.order import operands_first
from lowering.rewriting import Inserter

MAX_PIECES = 6
"""A value that is put together of more is none for this analysis."""

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Piece:
    """Where a value is an image at the site of the table, or the same number.

    Attributes:
        where: the elements that it holds for, of the shape of the value without batch.
        value: (batch, sites) for an image; a scalar or (batch) for a number.
    """

    where: Mask
    value: SSAValue

    @property
    def is_image(self) -> bool:
        return len(shape_of(self.value)) == 2


@dataclass(frozen=True, eq=False)
class SiteWise:
    """A value element by element: value[b, a] is image[b, table[a]], piece by piece.

    Attributes:
        table: the site of each element, where its piece is an image.
        pieces: what the elements are; each element is in one.
    """

    table: Array
    pieces: tuple[Piece, ...]


@dataclass
class SiteWiseAnalysis:
    """Finds the images of values of one function, before `bt-specialize`.

    Attributes:
        config: x.
        at: where images are computed; what is not needed is dead code.
    """

    config: SSAValue
    at: Inserter
    _known: dict[SSAValue, SiteWise | None] = field(
        default_factory=dict[SSAValue, SiteWise | None]
    )
    _built: dict[Hashable, SSAValue] = field(default_factory=dict[Hashable, SSAValue])
    """Images computed so far, so that equal ones are one value."""

    @property
    def sites(self) -> int:
        return shape_of(self.config)[1]

    def of(self, value: SSAValue) -> SiteWise | None:
        """Return what a value is element by element; None if it is not site-wise."""
        for one in operands_first(value, _needs, self._known):
            self._known[one] = self._form(one)
        return self._known[value]

    def is_source(self, image: SSAValue) -> bool:
        """Whether an image is x itself."""
        op = image.owner
        return isinstance(op, bt.GatherOp) and op.config is self.config

    # region Forms

    def _form(self, value: SSAValue) -> SiteWise | None:
        array = constant_of(value)
        if array is not None:
            return self._listed(array, element_of(value))
        if shape_of(value) in ((), (bt.BATCH,)):
            return _everywhere(value, ())
        match value.owner:
            case bt.GatherOp() as op:
                return self._gathered(op)
            case bt.BroadcastOp() as op:
                return self._repeated(op)
            case Operation() as op if op.name in ELEMENTWISE and len(op.results) == 1:
                return self._elementwise(op)
            case _:
                return None

    def _listed(self, array: Array, element: Attribute) -> SiteWise | None:
        """Return a constant as the few numbers that are in it."""
        if not array.size:
            return None
        # Numbers are told apart by their bits: -0 is not 0
        bits = np.ascontiguousarray(array).reshape(-1)
        bits = bits.view(f"V{array.dtype.itemsize}").reshape(array.shape)
        pieces: list[Piece] = []
        rest = np.ones(array.shape, bool)
        while rest.any():
            if len(pieces) == MAX_PIECES:
                return None
            first = np.unravel_index(int(rest.argmax()), array.shape)
            where = bits == bits[first]
            rest &= ~where
            number = self._constant(np.asarray(array[first]), element)
            pieces.append(Piece(where, number))
        return SiteWise(np.full(array.shape, NO_SITE), tuple(pieces))

    def _gathered(self, op: bt.GatherOp) -> SiteWise | None:
        table = constant_of(op.sites)
        if op.config is not self.config or op.is_per_sample or table is None:
            return None
        everywhere = self._constant(np.arange(self.sites), i32)
        image = self._unique(
            ("gather", element_of(op.result)),
            lambda: bt.GatherOp(self.config, everywhere, element_of(op.result)),
        )
        # A site off the lattice is clamped to it, which is what is read there
        table = np.clip(table, 0, self.sites - 1)
        return SiteWise(table, (Piece(np.ones(table.shape, bool), image),))

    def _repeated(self, op: bt.BroadcastOp) -> SiteWise | None:
        form = self._known[op.operand]
        if form is None:
            return None
        has_batch = shape_of(op.operand)[:1] == (bt.BATCH,)
        shape = [n for n in shape_of(op.result) if n != bt.BATCH]
        if len(shape) == len(shape_of(op.result)) and has_batch:
            return None
        skipped = len(shape_of(op.result)) - len(shape)
        dims = [axis - skipped for axis in op.dims.get_values()[has_batch:]]

        def spread(array: Array) -> Array:
            aligned = np.ones(len(shape), int)
            aligned[dims] = array.shape
            return np.broadcast_to(array.reshape(aligned), shape)

        pieces = tuple(Piece(spread(p.where), p.value) for p in form.pieces)
        return SiteWise(spread(form.table), pieces)

    def _elementwise(self, op: Operation) -> SiteWise | None:
        forms = [self._known[operand] for operand in op.operands]
        known = [form for form in forms if form is not None]
        if len(known) < len(forms) or not known:
            return None
        shape = known[0].table.shape
        pieces: list[Piece] = []
        table = np.full(shape, NO_SITE)
        for where, parts in _overlaps(known):
            if len(pieces) == MAX_PIECES:
                return None
            chosen = _chosen(op, parts)
            value = self._computed(op, parts) if chosen is None else chosen.value
            used = parts if chosen is None else [chosen]
            for part, form in zip(parts, known, strict=True):
                if not part.is_image or part not in used:
                    continue
                if ((table != form.table) & (table != NO_SITE) & where).any():
                    return None
                table = np.where(where, form.table, table)
            pieces.append(Piece(where, value))
        return SiteWise(table, _merged(pieces))

    # endregion
    # region Images

    def _computed(self, op: Operation, parts: Sequence[Piece]) -> SSAValue:
        """Apply an elementwise op to images and numbers."""
        shapes = [shape_of(part.value) for part in parts]
        shape = max(shapes, key=len)
        operands = [self._lifted(part.value, shape) for part in parts]
        kind = tensor(element_of(op.results[0]), shape)
        properties = tuple(sorted(op.properties.items()))
        return self._unique(
            (op.name, tuple(operands), properties, kind),
            lambda: type(op).create(
                operands=operands,
                result_types=[kind],
                properties=op.properties.copy(),
            ),
        )

    def _lifted(self, value: SSAValue, shape: tuple[int, ...]) -> SSAValue:
        own = shape_of(value)
        if own == shape:
            return value
        wide = tensor(element_of(value), shape)
        return self._unique(
            ("broadcast", value, wide),
            lambda: bt.BroadcastOp(value, [0] if own else [], wide),
        )

    def _constant(self, array: Array, element: Attribute) -> SSAValue:
        key = ("constant", array.tobytes(), array.shape, array.dtype.str, element)
        return self._unique(key, lambda: constant(array, element))

    def _unique(self, key: Hashable, build: Callable[[], Operation]) -> SSAValue:
        if key not in self._built:
            self._built[key] = self.at.add(build())
        return self._built[key]

    # endregion


_REGULAR = (
    hlo.AbsOp,
    hlo.AddOp,
    hlo.AndOp,
    hlo.CeilOp,
    hlo.CompareOp,
    hlo.ConvertOp,
    hlo.FloorOp,
    hlo.MaximumOp,
    hlo.MinimumOp,
    hlo.MultiplyOp,
    hlo.NegateOp,
    hlo.NotOp,
    hlo.OrOp,
    hlo.SelectOp,
    hlo.SubtractOp,
    hlo.XorOp,
    bt.BroadcastOp,
    bt.GatherOp,
)
"""Ops whose value and derivative are finite where their operands are."""


def is_regular(image: SSAValue) -> bool:
    """Whether an image is real, and finite with its derivatives at every site.

    An image is computed at sites that no lane asks for, too. What is infinite there,
    1 / x say, must not come near a sum, nor the derivative of one: 0 times infinity is
    NaN.
    """
    return not isinstance(element_of(image), ComplexType) and is_finite(image)


def is_finite(value: SSAValue) -> bool:
    """Whether a value and its derivatives are finite for every finite x.

    Overflow aside. Parameters may be infinite.
    """
    for one in operands_first(value, _computed_from):
        array = constant_of(one)
        if array is not None:
            if array.dtype.kind in "fc" and not np.isfinite(array).all():
                return False
        elif not _is_regular_op(one.owner):
            return False
    return True


def _computed_from(op: Operation) -> Sequence[SSAValue]:
    return () if isinstance(op, bt.GatherOp) else op.operands


def _is_regular_op(op: Operation | Block) -> bool:
    if isinstance(op, hlo.DivideOp | hlo.RemainderOp):
        array = constant_of(behind_broadcasts(op.rhs))
        return array is not None and bool(array.all())
    return isinstance(op, _REGULAR)


def _needs(op: Operation) -> Sequence[SSAValue]:
    """Return the operands that matter to the form of a result."""
    if isinstance(op, bt.BroadcastOp) or op.name in ELEMENTWISE:
        return [v for v in op.operands if shape_of(op.results[0])]
    return ()


def _everywhere(value: SSAValue, shape: tuple[int, ...]) -> SiteWise:
    return SiteWise(np.full(shape, NO_SITE), (Piece(np.ones(shape, bool), value),))


def _overlaps(forms: Sequence[SiteWise]) -> list[tuple[Mask, list[Piece]]]:
    """Return where which pieces of some values meet."""
    found: list[tuple[Mask, list[Piece]]] = [(np.ones(forms[0].table.shape, bool), [])]
    for form in forms:
        found = [
            (where & piece.where, [*parts, piece])
            for where, parts in found
            for piece in form.pieces
            if (where & piece.where).any()
        ]
    return found


def _chosen(op: Operation, parts: Sequence[Piece]) -> Piece | None:
    """Return the part that a choice by a constant takes."""
    if not isinstance(op, hlo.SelectOp):
        return None
    predicate = constant_of(parts[0].value)
    if predicate is None or predicate.size != 1:
        return None
    return parts[1] if predicate.item() else parts[2]


def _merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Join the pieces that have one value."""
    found: dict[SSAValue, Mask] = {}
    for piece in pieces:
        where = found.get(piece.value)
        found[piece.value] = piece.where if where is None else where | piece.where
    return tuple(Piece(where, value) for value, where in found.items())
