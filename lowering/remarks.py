"""Remarks of passes, done and missed with the reason: for reports to users.

A pass says it with `remark`; who wants to know runs it within `collected`. Nobody is
told otherwise, and saying it costs nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import LocationAttr, UnknownLoc
from xdsl.ir import Operation


@dataclass(frozen=True)
class Remark:
    """Remark of a pass on a place.

    Attributes:
        done: whether it changed something there; otherwise it did not, though one could
            expect it to.
        message: what it did, or the reason why not, in a few words.
        hint: what the user could do about it.
        location: where that is in the user's source; it is not compared, and remarks
            from a file have none.
    """

    done: bool
    message: str
    hint: str | None = None
    location: LocationAttr = field(default_factory=UnknownLoc, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the remark as plain data, without its place."""
        return {"done": self.done, "message": self.message, "hint": self.hint}


_listener: ContextVar[list[Remark] | None] = ContextVar("_listener", default=None)


@contextmanager
def collected() -> Generator[list[Remark]]:
    """Collect the remarks of the passes that run within, in order."""
    remarks: list[Remark] = []
    token = _listener.set(remarks)
    try:
        yield remarks
    finally:
        _listener.reset(token)


def remark(
    message: str,
    *,
    done: bool = True,
    hint: str | None = None,
    at: Operation | None = None,
) -> None:
    """Say what the pass that runs did, or with `done=False` did not do."""
    remarks = _listener.get()
    if remarks is None:
        return
    location = UnknownLoc() if at is None else at.location
    remarks.append(Remark(done, message, hint, location))
