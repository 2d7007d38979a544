"""Handing on where ops come from."""

from __future__ import annotations

from typing import TypeVar

from xdsl.dialects.builtin import LocationAttr, UnknownLoc
from xdsl.ir import Operation

_Op = TypeVar("_Op", bound=Operation)


def in_place_of(origin: Operation, op: _Op) -> _Op:
    """Return an op that stands for another one, with its location."""
    return located(op, origin.location)


def located(op: _Op, location: LocationAttr) -> _Op:
    """Return an op with a location, which ops inside have that know none."""
    op.location = location
    for region in op.regions:
        for inner in region.walk():
            if isinstance(inner.location, UnknownLoc):
                inner.location = location
    return op
