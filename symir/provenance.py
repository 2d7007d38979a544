"""Where ops come from: the operator, its term and emission, and the user's line.

The translation to the `sym` level names every op `operator/term/..` at the place of the
user's code, and every pass hands that on, to the ops that stand for an op or were made
of it; fused ops have the origins of all terms that they are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    FileLineColLoc,
    FusedLoc,
    ModuleOp,
    NameLoc,
    StringAttr,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from dialects import sym
from symir.errors import SourceLocation


@dataclass(frozen=True)
class Origin:
    """Where an op comes from.

    Attributes:
        path: "operator/term/..", as in the messages of errors; None where only a place
            is known, as in IR that was read from a file.
        location: the user's file and line, or None.
    """

    path: str | None
    location: SourceLocation | None

    @property
    def operator(self) -> str | None:
        """The name of the operator."""
        return self._part(0)

    @property
    def term(self) -> str | None:
        """The name of the term, if it is of one."""
        return self._part(1)

    @property
    def clause(self) -> str | None:
        """The emission, guard or projection of the term, if it is of one."""
        return self._part(2)

    def _part(self, number: int) -> str | None:
        parts = (self.path or "").split("/")
        return parts[number] if len(parts) > number and parts[number] else None

    def __str__(self) -> str:
        place = "" if self.location is None else f" at {self.location}"
        return f"{self.path or 'IR'}{place}"


def origins(op: Operation) -> tuple[Origin, ...]:
    """Return all origins of an op, in order; none where nothing is known."""
    return origins_in(op.location)


def origins_in(location: Attribute) -> tuple[Origin, ...]:
    """Return all origins that the location of an op, or of a value, tells of."""
    return tuple(dict.fromkeys(_origins(location)))


def place_of(op: Operation) -> SourceLocation | None:
    """Return the first line of the user's code that an op comes from, if any."""
    return place_in(op.location)


def place_in(location: Attribute) -> SourceLocation | None:
    """Return the first line of the user's code that a location tells of, if any."""
    return _first(origin.location for origin in origins_in(location))


def term_around(op: Operation | None) -> sym.TermOp | None:
    """Return the term that an op is, or is in, if any."""
    while op is not None and not isinstance(op, sym.TermOp):
        op = op.parent_op()
    return op


def name_terms(module: ModuleOp) -> None:
    """Let each op know the term that it is in.

    IR that was read from a file knows lines only.
    """
    for term in module.walk():
        if not isinstance(term, sym.TermOp):
            continue
        operator = term.parent_op()
        of = operator.sym_name.data if isinstance(operator, sym.OperatorOp) else ""
        path = StringAttr(f"{of}/{term.sym_name.data}")
        for op in term.walk():
            if not any(one.term for one in origins(op)):
                op.location = NameLoc(path, op.location)


def whereabouts(op: Operation) -> dict[str, Any]:
    """Return where an op is, as the details that a SymirError takes.

    What the op itself does not know, the ops around it and its operands tell.
    """
    around: list[Operation] = [op]
    while (parent := around[-1].parent_op()) is not None:
        around.append(parent)
    owners = [operand.owner for operand in op.operands]
    makers = [owner for owner in owners if isinstance(owner, Operation)]
    known = [origin for one in (op, *makers, *around[1:]) for origin in origins(one)]
    names = {
        kind: _given_name(one)
        for kind in (sym.OperatorOp, sym.TermOp, FuncOp)
        for one in around
        if isinstance(one, kind)
    }
    own_operator = names.get(sym.OperatorOp) or names.get(FuncOp)
    own_term = names.get(sym.TermOp)
    return {
        "operator": own_operator or _first(origin.operator for origin in known),
        "term": own_term or _first(origin.term for origin in known),
        "location": _first(origin.location for origin in known),
    }


def _given_name(op: Operation) -> str | None:
    """Return the name of an op; one that does not verify may have none."""
    name = op.properties.get("sym_name")
    return name.data if isinstance(name, StringAttr) else None


_T = TypeVar("_T")


def _first(found: Iterable[_T | None]) -> _T | None:
    return next((one for one in found if one is not None), None)


def _origins(location: Attribute) -> Iterator[Origin]:
    match location:
        case NameLoc():
            inner = next(_origins(location.location), None)
            yield Origin(location.desc.data, inner.location if inner else None)
        case FileLineColLoc():
            place = SourceLocation(location.filename.data, location.line.data)
            yield Origin(None, place)
        case FusedLoc():
            for part in cast(ArrayAttr[Attribute], location.locations):
                yield from _origins(part)
        case _:
            return
